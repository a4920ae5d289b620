#!/usr/bin/env perl
# proxy_protocol.t - listen ... proxy_protocol: headers of version 1 and 2 in front of connections.
#
# Rows of security.md: S-201.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: listen real_ip_header set_real_ip_from client_header_timeout

sub have { my ($p) = @_; (grep -x "$_/$p", '/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin') > 0 }

my $w = Weir->new;
my @tlvs = qw(alpn authority unique_id netns ssl_version ssl_cn ssl_cipher ssl_sig_alg ssl_key_alg ssl_verify 0xea ssl_0x22);
my $tlvs = join '|', map "\$proxy_protocol_tlv_$_", @tlvs;
$w->start(<<"EOC" =~ s/TLVS/$tlvs/r =~ s/\\\$/\$/gr);
worker_processes 1;
events { worker_connections 4096; }
http {
	log_format pp '\$remote_addr \$proxy_protocol_addr \$uri';
	access_log %DIR%/access.log pp;
	client_header_timeout 60s;
	server {
		listen 127.0.0.1:%PORT1% proxy_protocol;
		listen unix:%DIR%/sock proxy_protocol;
		location / { return 200 "\$proxy_protocol_addr \$proxy_protocol_port \$proxy_protocol_server_addr \$proxy_protocol_server_port \$remote_addr"; }
		location /tlv { return 200 "TLVS"; }
		location /tlv_ssl { return 200 "\$proxy_protocol_tlv_ssl"; }
		location /tlv_wrong { return 200 "(\$proxy_protocol_tlv_nothing)"; }
		location /post { client_max_body_size 1m; proxy_pass http://127.0.0.1:%PORT9%; }
	}
	server {
		listen 127.0.0.1:%PORT2% proxy_protocol;
		set_real_ip_from 127.0.0.1;
		real_ip_header proxy_protocol;
		location / { return 200 "\$remote_addr \$remote_port \$realip_remote_addr"; }
		location /deny { deny 192.0.2.1; try_files /x =204; }
		location /allow { allow 127.0.0.1; deny all; try_files /x =204; }
		location /up { forwarded on; proxy_pass http://127.0.0.1:%PORT9%; }
	}
	server {
		listen 127.0.0.1:%PORT3% proxy_protocol=trusted;
		set_real_ip_from 127.0.0.2;
		real_ip_header proxy_protocol;
		return 200 "\$remote_addr";
	}
	server {
		listen 127.0.0.1:%PORT4% proxy_protocol;
		client_header_timeout 300ms;
		return 200 ok;
	}
	server {	# the parameter of one listen holds for the address
		listen 127.0.0.1:%PORT5%;
		server_name a;
		return 200 "a \$proxy_protocol_addr";
	}
	server {
		listen 127.0.0.1:%PORT5% proxy_protocol;
		server_name b;
		return 200 "b \$proxy_protocol_addr";
	}
	server { listen 127.0.0.1:%PORT6%; return 200 "(\$proxy_protocol_addr)(\$proxy_protocol_port)(\$proxy_protocol_tlv_alpn)"; }
	server {
		listen 127.0.0.1:%PORT9%;
		client_max_body_size 1m;
		location / { return 200 "\$http_forwarded \$content_length"; }
	}
}
EOC

my $sig = "\r\n\r\n\0\r\nQUIT\n";
sub v2 { my ($cmd, $kind, $body) = @_; $sig . pack('CCn', $cmd, $kind, length $body) . $body }
sub tlv { pack('Cn', $_[0], length $_[1]) . $_[1] }
my $inet = pack 'C8n2', 192, 0, 2, 1, 192, 0, 2, 2, 123, 5678;
my $inet6 = pack 'H32H32n2', '20010db8000000000000000000000001', '20010db8000000000000000000000002', 123, 5678;
my $tcp4 = "PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n";

# What comes after the head of the response to a request behind `header`; undef when the connection was closed instead.
sub ask
{
	my ($header, $uri, %opt) = @_;
	my $text = $w->http($header . "GET " . ($uri // '/') . " HTTP/1.0\r\nHost: b\r\n\r\n", %opt) // '';
	return $text =~ /^HTTP\/1\.1 200 .*?\r\n\r\n(.*)/s ? $1 : $text eq '' ? undef : $text;
}

# ---- what a header says is in variables ----

my $real = '127.0.0.1';
is ask($tcp4), "192.0.2.1 123 192.0.2.2 5678 $real", 'version 1, IPv4';
is ask("PROXY TCP6 2001:DB8::1 ::1 1 65535\r\n"), "2001:DB8::1 1 ::1 65535 $real", 'version 1, IPv6: as it was written';
is ask("PROXY TCP4 192.0.2.1 192.0.2.2 0 0\r\n"), "192.0.2.1  192.0.2.2  $real", 'ports 0';
is ask("PROXY UNKNOWN\r\n"), "    $real", 'version 1, UNKNOWN';
is ask("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"), "    $real", 'the longest';
is ask(v2(0x21, 0x11, $inet)), "192.0.2.1 123 192.0.2.2 5678 $real", 'version 2, IPv4';
is ask(v2(0x21, 0x21, $inet6)), "2001:db8::1 123 2001:db8::2 5678 $real", 'version 2, IPv6';
is ask(v2(0x20, 0x00, '')), "    $real", 'LOCAL';
is ask(v2(0x20, 0x11, $inet)), "    $real", 'LOCAL with addresses';
is ask(v2(0x21, 0x00, 'x' x 30)), "    $real", 'UNSPEC';
is ask(v2(0x21, 0x12, $inet)), "    $real", 'UDP';
is ask(v2(0x21, 0x31, "\0" x 216)), "    $real", 'unix';
is ask(v2(0x21, 0x41, 'abcd')), "    $real", 'a family of the future';
is ask(v2(0x21, 0x11, $inet . tlv(4, 'x' x 4065))), "192.0.2.1 123 192.0.2.2 5678 $real", '4096 bytes';
is ask($tcp4, '/', unix => $w->dir . '/sock'), '192.0.2.1 123 192.0.2.2 5678 unix:', 'a unix socket';
is ask('', '/', port => 6), '()()()', 'without a header the variables are empty';

my $ssl = pack('CN', 1, 7) . tlv(0x21, 'TLSv1.3') . tlv(0x22, 'me') . tlv(0x23, 'AES') . tlv(0x24, 'SHA256') . tlv(0x25, 'RSA2048');
my $all = v2(0x21, 0x11, $inet . tlv(1, 'h2') . tlv(2, 'a.example') . tlv(4, 'noop') . tlv(5, 'id7') . tlv(0x20, $ssl) . tlv(0x30, 'ns') . tlv(0xea, 'vpce'));
is ask($all, '/tlv'), 'h2|a.example|id7|ns|TLSv1.3|me|AES|SHA256|RSA2048|7|vpce|me', 'TLVs';
is ask($all, '/tlv_ssl'), $ssl, 'the ssl TLV itself';
is ask($tcp4, '/tlv'), '|' x 11, 'version 1 has none';
is ask($all, '/tlv_wrong'), '()', 'a wrong name is empty';
$w->log_like(qr/\[error\].* unknown PROXY protocol TLV "nothing", client: /, 'and logged');

sub crc32c
{
	my $c = 0xffffffff;
	for (unpack 'C*', $_[0]) {
		$c ^= $_;
		$c = $c & 1 ? $c >> 1 ^ 0x82f63b78 : $c >> 1 for 1 .. 8;
	}
	return $c ^ 0xffffffff;
}
my $unsummed = v2(0x21, 0x11, $inet . tlv(1, 'h2') . tlv(3, "\0\0\0\0") . tlv(5, 'i'));
my $summed = $unsummed;
substr $summed, 28 + 5 + 3, 4, pack 'N', crc32c($unsummed);
is ask($summed, '/tlv'), 'h2||i' . '|' x 9, 'a right checksum';

# ---- what comes behind it is not touched ----

{
	my $c = $w->connect;
	for my $byte (split //, $all . "GET /tlv HTTP/1.1\r\nHost: x\r\n\r\n") {
		$c->send($byte);
		select undef, undef, undef, 0.0005;
	}
	like $c->response->body, qr/^h2\|a\.example\|/, 'byte by byte';
	$c->send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /tlv HTTP/1.1\r\nHost: x\r\n\r\n");
	is $c->response->body, "192.0.2.1 123 192.0.2.2 5678 $real", 'it holds for the whole connection';
	like $c->response->body, qr/^h2\|/, 'pipelined too';
}
{
	my $c = $w->connect(unix => $w->dir . '/sock');
	$c->send($_) for split //, "${tcp4}GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	like $c->response->body, qr/^192\.0\.2\.1 /, 'byte by byte through a unix socket';
}
{
	my $c = $w->connect;
	$c->send($tcp4 . "POST /post HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\nConnection: close\r\n\r\n" . 'x' x 300000);
	is $c->response->body, ' 300000', 'a header with a large body at once';
}
like ask($tcp4 . $tcp4), qr/ 400 /, 'there is one header, not two';

# ---- S-201: what is malformed is closed ----

my $n = 0;
for (['no header', ''], ['version 1 without CR', "PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\n"],
    ['108 bytes without CRLF', 'PROXY UNKNOWN ' . 'x' x 94], ['CRLF too late', 'PROXY UNKNOWN ' . 'x' x 92 . "\r\n"],
    ['a port too high', "PROXY TCP4 192.0.2.1 192.0.2.2 123 65536\r\n"], ['a missing port', "PROXY TCP4 192.0.2.1 192.0.2.2 123\r\n"],
    ['families do not match', "PROXY TCP4 ::1 ::1 1 2\r\n"], ['a name', "PROXY TCP4 localhost 192.0.2.2 1 2\r\n"],
    ['UDP in version 1', "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n"], ['lower case', lc $tcp4], ['a control character', "PROXY UNKNOWN \x01\r\n"],
    ['length 65535', $sig . pack('CCn', 0x21, 0x11, 65535) . $inet], ['4097 bytes', v2(0x21, 0x11, $inet . tlv(4, 'x' x 4066))],
    ['version 3', v2(0x31, 0x11, $inet)], ['an unknown command', v2(0x22, 0x11, $inet)], ['too short', v2(0x21, 0x11, substr $inet, 1)],
    ['IPv6 too short', v2(0x21, 0x21, $inet)], ['a TLV overruns', v2(0x21, 0x11, $inet . "\x01\xff\xffx")],
    ['half a TLV', v2(0x21, 0x11, $inet . "\x01\x00")], ['a nested TLV overruns', v2(0x21, 0x11, $inet . tlv(0x20, "\1\0\0\0\0\x21\0\x09x"))],
    ['an ssl TLV too short', v2(0x21, 0x11, $inet . tlv(0x20, "\1\0\0\0"))], ['a wrong checksum', $unsummed],
    ['a checksum too short', v2(0x21, 0x11, $inet . tlv(3, 'abc'))], ['a wrong signature', "\r\n\r\n\0\r\nQUIT\r" . substr $all, 12]) {
	is ask($_->[1]), undef, "$_->[0]: closed";
	$n++;
}
ok wait_for(sub { $n <= grep /\[error\].* while reading PROXY protocol, client: 127\.0\.0\.1, server: 127\.0\.0\.1:/, $w->log_lines }),
    'each has a line in the log';
$w->log_like(qr/broken header: "GET \/ HTTP\/1\.0" while reading PROXY protocol/, 'with what came');
$w->log_like(qr/header is too large/, 'or why');

{
	my $c = $w->connect;
	$c->send("GET / HTTP/1.0\r\n\r\n");
	is $c->read_all, '', 'plain HTTP is no PROXY header';
	ok !$c->was_reset, 'the end of it is orderly';
}

# ---- who is believed ----

sub two { ask($_[0], $_[1], port => 2) }
is two($tcp4), "192.0.2.1 123 $real", 'realip takes the address';
is two(v2(0x21, 0x21, $inet6)), "2001:db8::1 123 $real", 'of version 2';
like two("PROXY UNKNOWN\r\n"), qr/^127\.0\.0\.1 \d+ 127\.0\.0\.1$/, 'UNKNOWN: the connection\'s';
like two($tcp4, '/deny'), qr/ 403 /, 'deny sees the client';
like two("PROXY TCP4 192.0.2.9 192.0.2.2 1 2\r\n", '/deny'), qr/ 204 /, 'and others come in';
like two($tcp4, '/allow'), qr/ 403 /, 'allow does not see the proxy';
like two("PROXY UNKNOWN\r\n", '/allow'), qr/ 204 /, 'unless it comes for itself';
is two($tcp4, '/up'), 'for=192.0.2.1;host=b;proto=http ', 'Forwarded names the client';
is $w->http("${tcp4}GET /up HTTP/1.0\r\nHost: b\r\nForwarded: for=1.1.1.1\r\n\r\n", port => 2) =~ s/.*\r\n\r\n//sr,
    'for=192.0.2.1;host=b;proto=http ', 'what the client behind the proxy has sent is replaced';
is ask($tcp4, '/', port => 3, from => '127.0.0.2'), '192.0.2.1', 'trusted: from a trusted peer';
is ask($tcp4, '/', port => 3), undef, 'trusted: another is closed';
$w->log_like(qr/\[error\].* client is not trusted to send a PROXY header while reading PROXY protocol, client: 127\.0\.0\.1/, 'and logged');
is ask($tcp4, '/', port => 5), 'b 192.0.2.1', 'one listen of an address speaks for all';
is $w->http("${tcp4}GET / HTTP/1.0\r\nHost: a\r\n\r\n", port => 5) =~ s/.*\r\n\r\n//sr, 'a 192.0.2.1', 'also for servers without it';
ok wait_for(sub { grep /^192\.0\.2\.1 192\.0\.2\.1 \/deny$/, $w->access }), 'the access log has the client';

# ---- time, ends, memory ----

{
	my $c = $w->connect(port => 4);
	$c->send('PROXY TCP4 192');
	is $c->read_all, '', 'half a header: closed in time';
	$w->log_like(qr/\[info\].* client timed out while reading PROXY protocol/, 'and logged');
	$c = $w->connect(port => 4);
	is $c->read_all, '', 'no header: closed in time';
	$c = $w->connect(port => 4);
	$c->send($tcp4);
	like $c->read_all, qr/^(?:HTTP\/1\.1 408 .*)?$/s, 'a header and no request: the same';
	$c = $w->connect;
	$c->send('PROXY TCP4 192');
	$c->half_close;
	is $c->read_all, '', 'half a header and the end';
	$c = $w->connect;
	$c->send("\r\n\r\n");
	$c->reset;
	is ask($tcp4), "192.0.2.1 123 192.0.2.2 5678 $real", 'a reset hurts nobody';
}

my $sanitized = join('', Weir->new->run('-V')) =~ /--with-sanitizers/;	# it keeps what was freed
sub rss { my ($p) = $w->worker_pids; open my $f, '<', "/proc/$p/status" or die; local $/; <$f> =~ /^VmRSS:\s+(\d+)/m ? $1 : 0 }
{
	my $before = rss();
	my $half = substr v2(0x21, 0x11, $inet . tlv(4, 'x' x 4000)), 0, 4000;
	my @many = map { my $c = $w->connect; $c->send($half); $c } 1 .. 1500;
	is ask($tcp4), "192.0.2.1 123 192.0.2.2 5678 $real", 'served beside 1500 half headers';
	my $more = rss() - $before;
	cmp_ok $more, '<', 1500, "1500 half headers cost less than 1 kB each ($more kB)" unless $sanitized;
	$_->close for @many;
}
{
	my $c = $w->connect;
	my $late = $w->connect;
	$late->send(substr $tcp4, 0, 9);
	is ask($tcp4, '/tlv'), '|' x 11, 'what is asked later is answered, so both are accepted';
	ok $w->reload, 'a reload with connections that have said nothing, or half';
	$late->send(substr($tcp4, 9) . "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	like $late->response->body, qr/^192\.0\.2\.1 /, 'the other half comes in time';
	ok $c->eof, 'who stays silent is closed';
}

# ---- real senders ----

SKIP: {
	skip 'no curl', 1 unless have('curl');
	my $text = `curl -s --max-time 10 --haproxy-protocol http://127.0.0.1:@{[$w->port(2)]}/ 2>&1`;
	like $text, qr/^127\.0\.0\.1 \d+ 127\.0\.0\.1$/, 'curl --haproxy-protocol';
}
SKIP: {
	skip 'no haproxy', 1 unless have('haproxy');
	my $cfg = $w->write('haproxy.cfg', $w->expand(<<'E'));
defaults
	mode http
	timeout connect 5s
	timeout client 10s
	timeout server 10s
listen one
	bind 127.0.0.1:%PORT10%
	server weir 127.0.0.1:%PORT2% send-proxy
listen two
	bind 127.0.0.1:%PORT11%
	server weir 127.0.0.1:%PORT1% send-proxy-v2 proxy-v2-options crc32c,unique-id
	unique-id-format id-%ci
listen checked
	bind 127.0.0.1:%PORT12%
	option httpchk GET /
	server weir 127.0.0.1:%PORT1% send-proxy-v2 check inter 100ms
E
	my $pid = fork // die;
	if (!$pid) {
		open STDOUT, '>>', $w->dir . '/haproxy.log';
		open STDERR, '>>', $w->dir . '/haproxy.log';
		exec 'haproxy', '-db', '-f', $cfg or POSIX::_exit(127);
	}
	wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $w->port(12)) })
	    or BAIL_OUT('haproxy does not come up: ' . ($w->read('haproxy.log') // ''));
	like ask('', '/', port => 10, from => '127.0.0.7'), qr/^127\.0\.0\.7 \d+ 127\.0\.0\.1$/, 'haproxy send-proxy';
	like ask('', '/', port => 11, from => '127.0.0.7'), qr/^127\.0\.0\.7 \d+ 127\.0\.0\.1 \d+ 127\.0\.0\.1$/, 'haproxy send-proxy-v2, with a checksum';
	is +(split /\|/, ask('', '/tlv', port => 11, from => '127.0.0.7'))[2], 'id-127.0.0.7', 'and a unique id';
	ok wait_for(sub { (ask('', '/', port => 12) // '') =~ /^127\.0\.0\.1 \d+/ }), 'haproxy\'s checks (LOCAL) are answered';
	CORE::kill('TERM', $pid);
	waitpid $pid, 0;
}

is $w->stop, 0, 'a clean end';

# ---- the configuration ----

my $c = Weir->new;
$c->expect_alert(qr/\[emerg\]/);
sub conf { my ($code, undef, $err) = $c->test_conf("http {\n$_[0]\n}"); return ($code, $err) }
sub warns
{
	my ($want, $name, @listens) = @_;
	my ($code, $err) = conf(join '', map { my $l = 'a' . ++$n; "server { listen %PORT1% $_; server_name $l; }\n" } @listens);
	is $code, 0, "$name: taken";
	is scalar(() = $err =~ /protocol options redefined for 0\.0\.0\.0:/g), $want, "$name: warnings";
}
warns 0, 'the same', 'proxy_protocol', 'proxy_protocol';
warns 0, 'named once, first', 'proxy_protocol', '', '';
warns 0, 'named once, second', '', 'proxy_protocol';
warns 1, 'left out, then named again', 'proxy_protocol', '', 'proxy_protocol';
warns 1, 'options of the socket without it', 'proxy_protocol', 'backlog=5';
my ($code, $err) = conf('server { listen %PORT1% proxy_protocol=any; }');
is $code, 1, 'a wrong value is refused';
like $err, qr/weir\.conf:2:\d+: listen: "any" is not "trusted"/, 'with its place';
($code, $err) = conf('server { listen %PORT1% proxy_protocal; }');
is $code, 1, 'misspelt';
like $err, qr/proxy_protocol/, 'did you mean';

done_testing;
