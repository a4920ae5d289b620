#!/usr/bin/env perl
# protocol_detect.t - what is spoken on a connection of stream, by its first bytes.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: protocol_detect protocol_detect_timeout protocol_allow protocol_deny

my $w = Weir->new;
$w->cert('ca', is_ca => 1);
$w->cert('one', ca => 'ca', san => 'DNS:one.test');

$w->origin(40, sub { my ($c) = @_; $c->send("220 ready\r\n"); my $l = $c->read_until(qr/\n/) // ''; $c->send("got $l") });
$w->origin(41, sub { my ($c) = @_; my $l = $c->read_all // ''; $c->send(length($l) . ' ' . unpack('%32C*', $l)) });

$w->start(<<'E');
error_log %DIR%/error.log debug;
stream {
	log_format d "$server_port $status $close_reason [$detected_protocol] $ssl_preread_server_name";
	access_log %DIR%/access.log d;
	protocol_detect on;
	protocol_detect_timeout 5m;
	preread_timeout 5m;
	map $detected_protocol $to {
		http 127.0.0.1:%PORT30%;
		tls 127.0.0.1:%PORT31%;
		server_first 127.0.0.1:%PORT40%;
		default 127.0.0.1:%PORT41%;
	}
	server { listen 127.0.0.1:%PORT1%; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT2%; protocol_detect_timeout 50ms; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT14% deferred; protocol_detect_timeout 500ms; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT3%; protocol_detect off; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT4%; protocol_detect_timeout 50ms; ssl_preread on; proxy_pass $to; }
	server { listen 127.0.0.1:%PORT5%; ssl_preread on; proxy_pass $to; }
	server { listen 127.0.0.1:%PORT6%; protocol_allow tls ssh; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT7%; protocol_deny bittorrent unknown; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT8%; protocol_detect_timeout 50ms; protocol_deny server_first; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT9%; preread_buffer_size 2; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT10% ssl; ssl_certificate %DIR%/one.crt; ssl_certificate_key %DIR%/one.key; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT11% udp; return "[$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT12%; ssl_preread on; return "plain [$detected_protocol]"; }
	server { listen 127.0.0.1:%PORT12%; server_name one.test; protocol_deny tls; return "never"; }
	server { listen 127.0.0.1:%PORT13%; proxy_pass 127.0.0.1:%PORT41%; }
	server { listen 127.0.0.1:%PORT31% ssl; protocol_detect off; ssl_certificate %DIR%/one.crt; ssl_certificate_key %DIR%/one.key; return "inside $ssl_server_name"; }
}
http { access_log off; server { listen 127.0.0.1:%PORT30%; location / { return 200 "web"; } } }
E

# What the server on this port says after these pieces, which do not come at once.
sub said
{
	my ($port, @pieces) = @_;
	my $c = $w->connect(port => $port) or return;
	for (@pieces) {
		$c->send($_);
		select undef, undef, undef, 0.005 if @pieces > 1;	# so that they are not read at once; it would do no harm
	}
	my $text = $c->read_all;
	$c->close;
	return $text;
}

my $hello = "\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03";
my %first = (
	tls => $hello,
	http => "GET / HTTP/1.1\r\n",
	http2 => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	ssh => "SSH-2.0-x\r\n",
	socks4 => "\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
	socks5 => "\x05\x01\x00",
	bittorrent => "\x13BitTorrent protocol" . "\0" x 8,
	proxy => "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
	unknown => "\xff\xfe\xfd",
);
for my $is (sort keys %first) {
	is said(1, $first{$is}), "[$is]", "$is";
	is said(1, split //, $first{$is}), "[$is]", "$is, byte by byte" unless $is eq 'unknown';
}
is said(1, "PROXY UNKNOWN\r\n"), '[proxy]', 'proxy, of nobody';
is said(1, "\r\n\r\n\0\r\nQUIT\n!!!!"), '[proxy]', 'proxy, version 2';
is said(1, "PROPFIND / HTTP/1.1\r\n"), '[http]', 'http, another method';
is said(1, "\x04\x09zzzzzzzz"), '[unknown]', 'nearly socks4';
is said(1, "\x16\x02zzzzzzzz"), '[unknown]', 'nearly tls';
is said(1, "GETX / HTTP/1.1\r\n"), '[unknown]', 'nearly http';
is said(1, 'Z' x 65536), '[unknown]', '64 kB of something';
is said(1, "\x05" . "\xfe" . "\x01" x 254), '[socks5]', 'the longest that may be wanted';

# who does not say enough
is said(2), '[server_first]', 'a client that says nothing';
is said(14, 'GE'), '[unknown]', 'a client that says too little';
is said(14, "\x05\xfe"), '[unknown]', 'one that promises more';
is said(9, 'GET / HTTP/1.1'), '[unknown]', 'preread_buffer_size is too small to tell';
my $c = $w->connect(port => 1);
$c->half_close;
is $c->read_all, '[server_first]', 'a client that has nothing to say and ends its side';
$c = $w->connect(port => 1);
$c->send('SS');
$c->half_close;
is $c->read_all, '[unknown]', 'and one that has said too little';
is said(3, $first{http}), '[]', 'protocol_detect off';

# a client that resets
$c = $w->connect(port => 1);
$c->send('SS');
$c->reset;
my $p1 = $w->port(1);
ok wait_for(sub { grep /^$p1 200 client_reset \[-\]/, $w->log_lines('access.log') }), 'a reset while it is not known';

# one port for all
for my $port (4, 5) {
	my $r = $port == 4 ? undef : $w->get('/', port => $port);
	is $r->body, 'web', "port $port: http" if $r;
	next if $port == 4;
	my $t = $w->connect(port => $port, tls => { sni => 'one.test' });
	ok $t, "port $port: tls" or next;
	is $t->read_all, 'inside one.test', 'the hello was left where it was';
}
my $p5 = $w->port(5);
ok wait_for(sub { grep /^$p5 200 \w+ \[tls\] one\.test$/, $w->log_lines('access.log') }), 'what was detected, and the name, are in the log';

my $began = time;
$c = $w->connect(port => 4);
is $c->read_until(qr/\n/), "220 ready\r\n", 'a server that speaks first, with ssl_preread';
cmp_ok time - $began, '<', slack(20), 'nobody waited for preread_timeout';
$c->send("EHLO\n");
is $c->read_all, "got EHLO\n", 'and goes on';

my $junk = "\xff" . join '', map { chr(($_ * 7) % 251) } 1 .. 200_000;
$c = $w->connect(port => 13);
$c->send($junk);
$c->half_close;
is $c->read_all, length($junk) . ' ' . unpack('%32C*', $junk), 'not a byte is lost or changed';

# filters
is said(6, $first{ssh}), '[ssh]', 'protocol_allow: one of these';
is said(6, $first{http}), '', 'not another';
is said(6, $first{unknown}), '', 'nor an unknown one';
is said(7, $first{http}), '[http]', 'protocol_deny: others';
is said(7, $first{bittorrent}), '', 'not this one';
is said(7, $first{unknown}), '', 'nor this one';
is said(8), '', 'protocol_deny server_first';
my $p7 = $w->port(7);
ok wait_for(sub { grep /^$p7 403 refused \[bittorrent\]/, $w->log_lines('access.log') }), 'it is status 403';
$w->log_like(qr/\[error\].*protocol bittorrent is not allowed, client: 127\.0\.0\.1/, 'and an error');
$w->log_like(qr/\[debug\].*detected protocol: tls/, 'what is detected is in the debug log');

# the server that a name chooses has its own filter
is said(12, $first{http}), 'plain [http]', 'the default server';
my $t = $w->connect(port => 12, tls => { sni => 'one.test' });
ok !$t, 'the named server refuses tls';
my $p12 = $w->port(12);
ok wait_for(sub { grep /^$p12 403 refused \[tls\] one\.test/, $w->log_lines('access.log') }), 'by its own protocol_deny';

# inside TLS, and datagrams
$t = $w->connect(port => 10, tls => {});
$t->send("SSH-2.0-x\r\n");
is $t->read_all, '[ssh]', 'what is spoken inside TLS';
for ([ "GET / HTTP/1.1\r\n", 'http' ], [ 'GE', 'unknown' ]) {
	my $u = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $w->port(11));
	$u->send($_->[0]);
	my $got = '';
	$u->recv($got, 100) if wait_for(sub { my $r = ''; vec($r, fileno $u, 1) = 1; select $r, undef, undef, 0 });
	is $got, "[$_->[1]]", "a datagram is all that there is: $_->[1]";
}

# mistakes
$w->expect_alert(qr/protocol_allow/);
my ($code, undef, $err) = $w->test_conf('stream { server { listen 127.0.0.1:%PORT50%; protocol_deny tls; return x; } }');
isnt $code, 0, 'protocol_deny without protocol_detect';
like $err, qr/protocol_allow and protocol_deny need "protocol_detect on"/, 'is told';
($code, undef, $err) = $w->test_conf('stream { protocol_detect on; server { listen 127.0.0.1:%PORT50%; protocol_allow gopher; return x; } }');
isnt $code, 0, 'a protocol that is not known';
like $err, qr/"gopher"/, 'is told';
($code) = $w->test_conf('stream { protocol_deny tls; server { listen 127.0.0.1:%PORT50%; protocol_detect on; return x; } }');
is $code, 0, 'they may stand further out';

$w->stop;
done_testing;
