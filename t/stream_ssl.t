#!/usr/bin/env perl
# stream_ssl.t - TLS in stream: ended here, begun here, passed through, passed on.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: ssl_alpn ssl_handshake_timeout ssl_certificate ssl_certificate_key ssl_verify_client ssl_client_certificate
# effect: ssl_preread preread_timeout preread_buffer_size pass proxy_ssl proxy_ssl_alpn proxy_ssl_verify proxy_ssl_name proxy_ssl_server_name
# effect: ssl_conf_command proxy_ssl_trusted_certificate server_name ssl_reject_handshake

my $w = Weir->new;
$w->cert('ca', is_ca => 1);
$w->cert($_, ca => 'ca', san => "DNS:$_.test") for qw(one two up);
$w->cert('client', ca => 'ca');
$w->cert('stranger');

$w->write('www/index.html', 'page');
$w->start(<<'E');
stream {
	log_format t "$server_port $status $close_reason $ssl_protocol $ssl_server_name $ssl_preread_server_name $bytes_received";
	access_log %DIR%/access.log t;
	ssl_certificate %DIR%/one.crt;
	ssl_certificate_key %DIR%/one.key;
	map $ssl_preread_server_name $to {
		one.test 127.0.0.1:%PORT1%;
		two.test 127.0.0.1:%PORT2%;
		default 127.0.0.1:%PORT3%;
	}
	server { listen 127.0.0.1:%PORT1% ssl; server_name one.test; return "one $ssl_protocol $ssl_server_name $ssl_alpn_protocol."; ssl_alpn first second; }
	server { listen 127.0.0.1:%PORT1%; server_name ~^(?<part>\w+)\.two\.test$; ssl_certificate %DIR%/two.crt; ssl_certificate_key %DIR%/two.key;
	    return "two $part"; }
	server { listen 127.0.0.1:%PORT2% ssl; ssl_certificate %DIR%/two.crt; ssl_certificate_key %DIR%/two.key; return "second"; }
	server { listen 127.0.0.1:%PORT3%; return clear; }
	server {
		listen 127.0.0.1:%PORT4% ssl;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/ca.crt;
		return "hello $ssl_client_s_dn";
	}
	server { listen 127.0.0.1:%PORT5% ssl; ssl_handshake_timeout 200ms; return x; }
	server { listen 127.0.0.1:%PORT6% ssl; ssl_reject_handshake on; return x; }
	server { listen 127.0.0.1:%PORT6% ssl; server_name known.test; return known; }
	server { listen 127.0.0.1:%PORT7% ssl; ssl_conf_command Certificate two.crt; ssl_conf_command PrivateKey two.key; return x; }

	# passing through
	server { listen 127.0.0.1:%PORT10%; ssl_preread on; proxy_pass $to; }
	server { listen 127.0.0.1:%PORT11%; ssl_preread on; preread_timeout 300ms; return x; }
	server { listen 127.0.0.1:%PORT12%; ssl_preread on; preread_buffer_size 64; return x; }
	server { listen 127.0.0.1:%PORT13%; ssl_preread on; return "$ssl_preread_protocol|$ssl_preread_server_name|$ssl_preread_alpn_protocols"; }
	server { listen 127.0.0.1:%PORT14%; ssl_preread on; server_name _; return default; }
	server { listen 127.0.0.1:%PORT14%; server_name named.test; return named; }
	server { listen 127.0.0.1:%PORT15%; ssl_preread on; return "$ssl_preread_ja4"; }

	# to upstreams by TLS
	server { listen 127.0.0.1:%PORT20%; proxy_pass 127.0.0.1:%PORT21%; proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/ca.crt;
	    proxy_ssl_name up.test; proxy_ssl_server_name on; proxy_ssl_alpn bad good; }
	server { listen 127.0.0.1:%PORT21% ssl; ssl_certificate %DIR%/up.crt; ssl_certificate_key %DIR%/up.key; ssl_alpn good;
	    return "up $ssl_server_name $ssl_alpn_protocol"; }
	server { listen 127.0.0.1:%PORT22%; proxy_pass 127.0.0.1:%PORT21%; proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/ca.crt;
	    proxy_ssl_name other.test; }
	server { listen 127.0.0.1:%PORT23% ssl; proxy_pass 127.0.0.1:%PORT24%; proxy_ssl on; }
	server { listen 127.0.0.1:%PORT24% ssl; proxy_pass 127.0.0.1:%PORT25%; }

	# passing on
	server { listen 127.0.0.1:%PORT30%; pass 127.0.0.1:%PORT40%; }
	server { listen 127.0.0.1:%PORT31% ssl; pass 127.0.0.1:%PORT40%; }
	server { listen 127.0.0.1:%PORT32%; ssl_preread on; pass 127.0.0.1:%PORT41%; }
	server { listen 127.0.0.1:%PORT33%; pass 127.0.0.1:%PORT33%; }
	server { listen 127.0.0.1:%PORT34%; pass 127.0.0.1:$server_port; access_log off; }
	server { listen 127.0.0.1:%PORT35%; pass 127.0.0.1:1; }
}
http {
	access_log off;
	server { listen 127.0.0.1:%PORT40%; location / { return 200 "$scheme $remote_port $server_protocol"; } }
	server { listen 127.0.0.1:%PORT41% ssl; http2 on; ssl_certificate %DIR%/two.crt; ssl_certificate_key %DIR%/two.key;
	    location / { return 200 "tls $ssl_server_name"; } }
}
E

sub tls { my ($port, %o) = @_; my $c = $w->connect(port => $port, tls => \%o); return $c ? $c->read_all : undef }
sub line { my ($port) = @_; my $p = $w->port($port); my @l;
	wait_for(sub { @l = grep /^$p /, $w->log_lines('access.log') }); return $l[-1] // '' }

# ended here
like tls(1), qr/^one TLSv1\.[23]  \.$/, 'a handshake';
is tls(1, sni => 'one.test', SSL_alpn_protocols => [ 'other', 'second' ]), 'one TLSv1.3 one.test second.', 'a name and a protocol';
is tls(1, SSL_alpn_protocols => [ 'third' ]), undef, 'ssl_alpn: who offers only others is refused';
is tls(1, sni => 'my.two.test'), 'two my', 'a name of another server, with its captures';
is tls(1, sni => 'One.Test.'), 'one TLSv1.3 One.Test. .', 'however it is written';
is tls(6, sni => 'unknown.test'), undef, 'ssl_reject_handshake';
is tls(6, sni => 'known.test'), 'known', 'but for names that are known';
is $w->connect(port => 7, tls => {})->socket->peer_certificate('cn'), 'two', 'ssl_conf_command, with a file beside the configuration';
like tls(4, SSL_cert_file => $w->dir . '/client.crt', SSL_key_file => $w->dir . '/client.key'), qr/^hello CN=client$/, 'a client shows who it is';
is tls(4) // '', '', 'who shows nothing gets nothing';
is tls(4, SSL_cert_file => $w->dir . '/stranger.crt', SSL_key_file => $w->dir . '/stranger.key') // '', '', 'nor does a stranger';
ok wait_for(sub { $w->log_text =~ /client sent no required SSL certificate/ }), 'the log says so';
ok wait_for(sub { grep / 500 refused TLS/, $w->log_lines('access.log') }), 'with its status';
ok $w->connect(port => 5)->eof, 'ssl_handshake_timeout';
like line(5), qr/ 500 handshake_timeout /, 'in the log, too';
my $c = $w->connect(port => 2);
$c->send("hello?\r\n\r\n");
ok $c->eof, 'who speaks no TLS is closed';
like line(2), qr/ 500 handshake_failed /, 'in the log, too';

# passed through
is tls(10, sni => 'two.test'), 'second', 'ssl_preread: the name says where';
like tls(10, sni => 'one.test'), qr/^one TLSv1.3 one.test/, 'another name, somewhere else';
is do { $c = $w->connect(port => 10); $c->send("plain\r\n" x 3); $c->half_close; $c->read_all }, 'clear', 'no TLS: the default';
ok wait_for(sub { grep(/ - - two\.test \d+$/, $w->log_lines('access.log')) && grep(/ - - one\.test \d+$/, $w->log_lines('access.log')) }),
    'the log has the names';
$c = $w->connect(port => 11);
$c->send("\x16\x03\x01");
ok $c->eof, 'preread_timeout';
like line(11), qr/ 200 preread_timeout /, 'in the log, too';
$c = $w->connect(port => 12);
$c->send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 200);
ok $c->eof, 'preread_buffer_size';
like line(12), qr/ 400 preread_full /, 'in the log, too';
$w->log_like(qr/preread buffer full/, 'and why');
# byte by byte, and in records of their own
my $hello = do {
	my $name = 'Host.Example.';
	my $sni = pack('n', 0) . pack('n/a', pack('n/a', pack('C n/a', 0, $name)));
	my $alpn = pack('n', 16) . pack('n/a', pack('n/a', pack('C/a C/a', 'h2', 'http/1.1')));
	my $body = pack('n', 0x303) . 'r' x 32 . pack('C/a', '') . pack('n/a', pack('n2', 0x1301, 0xc02b)) . pack('C/a', "\0") .
	    pack('n/a', $sni . $alpn . pack('n', 43) . pack('n/a', pack('C/a', pack('n2', 0x0304, 0x0303))));
	pack('C', 1) . substr(pack('N', length $body), 1) . $body;
};
for my $cut (1, 5, 40) {
	$c = $w->connect(port => 13);
	for my $part (unpack "(a$cut)*", $hello) {
		my $record = pack('C n n/a', 22, 0x301, $part);
		if ($cut == 1) { $c->send($record) } else { $c->send($_) for split //, $record }
	}
	is $c->read_all, 'TLSv1.3|host.example|h2,http/1.1', "a hello in records of $cut bytes";
}
is do { $c = $w->connect(port => 13); $c->send("SSH-2.0-x\r\n"); $c->read_all }, '||', 'something else has none of it';
is do { $c = $w->connect(port => 13); $c->half_close; $c->read_all }, '', 'nothing at all';
is do { $c = $w->connect(port => 14); $c->send(pack('C n n/a', 22, 0x301, $hello)); $c->read_all }, 'default', 'an unknown name: the default server';
is do { $c = $w->connect(port => 14); my $h = $hello =~ s/Host\.Example\./NAMED.teST/r;
	# three bytes less in the name, and so in all that holds it
	substr($h, 1, 3) = substr pack('N', length($h) - 4), 1;
	my $at = index $h, 'NAMED';
	substr($h, $at - 9, 9) = pack('n n n C n', 0, 15, 13, 0, 10);
	substr($h, $at - 11, 2) = pack 'n', length($h) - $at + 9;
	$c->send(pack('C n n/a', 22, 0x301, $h)); $c->read_all }, 'named', 'a known name: its server';
like do { $c = $w->connect(port => 15); $c->send(pack('C n n/a', 22, 0x301, $hello)); $c->read_all }, qr/^t13d02\d{2}h2_/, 'a fingerprint';

# to upstreams
is $w->connect(port => 20)->read_all, 'up up.test good', 'proxy_ssl, verified, with name and protocol';
is $w->connect(port => 22)->read_all // '', '', 'not with a name that the certificate has not';
like line(22), qr/ 502 upstream_failed /, 'which is an error';
ok wait_for(sub { $w->log_text =~ /while SSL handshaking to upstream, client: 127\.0\.0\.1, server: \S+, upstream: "127/ }), 'the log says why';
# an end of TLS on both sides, and half-closing through it
$w->origin(25, sub { my ($o) = @_; $o->note('got ' . $o->read_n(5)); $o->send('z' x 300000); $o->half_close; $o->eof });
$c = $w->connect(port => 23, tls => {});
$c->send('hello');
is length $c->read_all, 300000, 'TLS in and TLS out';

# passed on
like $w->request('GET', '/', [], undef, port => 30)->body, qr/^http \d+ HTTP\/1\.1$/, 'pass: to a server of http';
like $w->request('GET', '/', [], undef, port => 31, tls => {})->body, qr/^https \d+ HTTP\/1\.1$/, 'without the TLS that ended before';
is $w->request('GET', '/', [], undef, port => 32, tls => { sni => 'x.test' })->body, 'tls x.test', 'with the TLS that was only looked at';
ok $w->connect(port => 33)->eof, 'not round in a circle';
ok $w->connect(port => 34)->eof, 'also when a variable says so';
ok $w->connect(port => 35)->eof, 'nor to nobody';
$w->log_like(qr/passed round in a circle/, 'the log says so');
$w->log_like(qr/port not found for "127\.0\.0\.1:1"/, 'of both');
like line(30), qr/ 200 passed /, 'a line for the session';

# $upstream_first_byte_time counts what the upstream says, neither its handshake nor what the client says
{
	my $w = Weir->new;
	$w->cert('one');
	$w->origin(5, sub { my ($c) = @_; $c->read_all });
	$w->origin(6, sub { my ($c) = @_; $c->read_until(qr/last\n/); $c->send('answer') });
	$w->start(<<'E');
stream {
	log_format f "$server_port $upstream_first_byte_time $upstream_bytes_received";
	server { listen 127.0.0.1:%PORT1%; proxy_pass 127.0.0.1:%PORT3%; proxy_ssl on; access_log %DIR%/access.log f; }
	server { listen 127.0.0.1:%PORT2%; proxy_pass 127.0.0.1:%PORT4%; proxy_ssl on; access_log %DIR%/access.log f; }
	server { listen 127.0.0.1:%PORT3% ssl; ssl_certificate %DIR%/one.crt; ssl_certificate_key %DIR%/one.key; proxy_pass 127.0.0.1:%PORT5%; }
	server { listen 127.0.0.1:%PORT4% ssl; ssl_certificate %DIR%/one.crt; ssl_certificate_key %DIR%/one.key; proxy_pass 127.0.0.1:%PORT6%; }
}
E
	my $c = $w->connect(port => 1);
	$c->send("something\n");
	$c->half_close;
	is $c->read_all, '', 'an upstream of TLS that says nothing';
	like +($w->access('access.log', 1))[0], qr/^\d+ - 0$/, 'has no first byte, and no byte, though it had a handshake';
	$c = $w->connect(port => 2);
	$c->send("first\n");
	select undef, undef, undef, 0.5;		# time that shall be counted
	$c->send("last\n");
	is $c->read_all, 'answer', 'one that answers late';
	$c->close;
	my ($time) = ($w->access('access.log', 2))[1] =~ /^\d+ ([\d.]+) /;
	cmp_ok $time, '>=', 0.4, 'has its first byte then';
	$w->stop;
}

done_testing;
