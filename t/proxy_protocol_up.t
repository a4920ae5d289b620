#!/usr/bin/env perl
# proxy_protocol_up.t - PROXY headers to upstreams: who the client is, of both versions, before TLS, and on no connection that
# serves somebody else.
#
# effect: proxy_protocol proxy_protocol_tlv grpc_proxy_protocol grpc_proxy_protocol_tlv

use strict;
use warnings;

use lib 't/lib';
use Socket ();
use Test::More;
use Weir;

sub have { my ($p) = @_; (grep -x "$_/$p", '/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin') > 0 }

my $w = Weir->new;
$w->cert('s', cn => 'localhost');
$w->cert('root', is_ca => 1);
$w->cert('client', cn => 'a client', ca => 'root');

# Tells what came first on its connection, as it was, and how many requests there were.
my $sig = "\r\n\r\n\0\r\nQUIT\n";
$w->origin(9, sub {
	my ($c) = @_;
	my $first = $c->read_n(12) // return;
	if ($first eq $sig) {
		my $head = $c->read_n(4);
		$first .= $head . $c->read_n(unpack 'x2n', $head);
	} elsif ($first =~ /^PROXY/) {
		$first .= $c->read_until(qr/\n/);
	} else {
		$first = '';
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone");
		return;
	}
	for (my $n = 1; my $q = $c->read_request; $n++) {
		my $body = "$n " . unpack 'H*', $first;
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
	}
	$c->note('end');
});

$w->start(<<'E');
worker_processes 1;
http {
	access_log off;
	proxy_ssl_verify off;
	allow_insecure_upstream on;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	http2 on;
	server {
		listen 127.0.0.1:%PORT1%;
		listen [::1]:%PORT1%;
		listen unix:%DIR%/sock;
		set_real_ip_from 127.0.0.1;
		set_real_ip_from unix:;
		proxy_protocol v2;
		location / { proxy_pass http://127.0.0.1:%PORT9%; }
		location /v1 { proxy_protocol v1; proxy_pass http://127.0.0.1:%PORT9%; }
		location /on { proxy_protocol on; proxy_pass http://127.0.0.1:%PORT9%; }
		location /off { proxy_protocol off; proxy_pass http://127.0.0.1:%PORT9%; }
		location /v2 { proxy_pass http://127.0.0.1:%PORT9%; }
		location /tlvs {
			proxy_protocol_tlv authority $arg_a;
			proxy_protocol_tlv 0xE7 "x-$arg_x";
			proxy_protocol_tlv crc32c on;
			proxy_protocol_tlv ssl on;
			proxy_pass http://127.0.0.1:%PORT9%;
		}
		location /weir { proxy_protocol_tlv crc32c on; proxy_protocol_tlv unique_id u7; proxy_pass http://127.0.0.1:%PORT2%; }
		location /weir1 { proxy_protocol v1; proxy_pass http://127.0.0.1:%PORT2%; }
		location /tls { proxy_protocol_tlv unique_id u8; proxy_pass https://127.0.0.1:%PORT3%; }
		location /h2 { proxy_http_version 2; proxy_pass http://127.0.0.1:%PORT2%; }
		location /grpc {
			grpc_proxy_protocol v2;
			grpc_proxy_protocol_tlv unique_id g9;
			grpc_pass 127.0.0.1:%PORT2%;
		}
		location /grpc1 { grpc_proxy_protocol on; grpc_pass 127.0.0.1:%PORT2%; }
		location /mixed { proxy_bind off; proxy_pass http://127.0.0.1:%PORT9%; }
		location /nginx { proxy_protocol v2; proxy_pass http://127.0.0.1:%PORT11%; }
		location /nginx1 { proxy_protocol v1; proxy_pass http://127.0.0.1:%PORT11%; }
		location /haproxy { proxy_protocol_tlv authority a.test; proxy_protocol_tlv unique_id u1; proxy_protocol_tlv crc32c on;
			proxy_pass http://127.0.0.1:%PORT12%; }
		location /haproxy1 { proxy_protocol v1; proxy_pass http://127.0.0.1:%PORT12%; }
		location /refused { proxy_pass http://127.0.0.1:%PORT8%; }
	}
	server {
		listen 127.0.0.1:%PORT4% ssl;
		server_name localhost;
		ssl_verify_client optional_no_ca;
		proxy_protocol v2;
		proxy_protocol_tlv alpn $ssl_alpn_protocol;
		proxy_protocol_tlv authority $ssl_server_name;
		proxy_protocol_tlv ssl on;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /good { proxy_pass http://127.0.0.1:%PORT9%; }
	}
	server {
		listen 127.0.0.1:%PORT5% ssl;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/root.crt;
		proxy_protocol v2;
		proxy_protocol_tlv ssl on;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
	}
	server {	# behind another proxy
		listen 127.0.0.1:%PORT6% proxy_protocol;
		set_real_ip_from 127.0.0.1;
		real_ip_header proxy_protocol;
		proxy_protocol v2;
		location / { proxy_pass http://127.0.0.1:%PORT9%; }
	}
	server {
		listen 127.0.0.1:%PORT2% proxy_protocol;
		location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_addr $proxy_protocol_server_port $proxy_protocol_tlv_unique_id|$proxy_protocol_tlv_alpn|$proxy_protocol_tlv_authority|$proxy_protocol_tlv_ssl_version|$proxy_protocol_tlv_ssl_cn|$proxy_protocol_tlv_ssl_verify|$connection_requests|$connection|"; }
		location /grpc { add_header X-Who "$proxy_protocol_addr|$proxy_protocol_tlv_unique_id"; return 204; }
	}
	server {
		listen 127.0.0.1:%PORT3% proxy_protocol ssl;
		return 200 "$proxy_protocol_addr $proxy_protocol_tlv_unique_id $https";
	}
}
E

sub body { my ($uri, %opt) = @_; my $r = $w->request('GET', $uri, $opt{headers} // [], '', %opt); $r ? $r->body : undef }
sub raw { my ($uri, %opt) = @_; my ($n, $hex) = split / /, body($uri, %opt) // ''; pack 'H*', $hex // '' }
sub v2 { my ($cmd, $kind, $body) = @_; $sig . pack('CCn', $cmd, $kind, length $body) . $body }
sub tlv { pack('Cn', $_[0], length $_[1]) . $_[1] }
sub v4 { my ($src, $sport, $dst, $dport) = @_; Socket::inet_aton($src) . Socket::inet_aton($dst) . pack 'n2', $sport, $dport }
sub crc32c
{
	my $c = 0xffffffff;
	for (unpack 'C*', $_[0]) {
		$c ^= $_;
		$c = $c & 1 ? $c >> 1 ^ 0x82f63b78 : $c >> 1 for 1 .. 8;
	}
	return $c ^ 0xffffffff;
}

# ---- what it says ----

my $p1 = $w->port(1);
like raw('/v1', from => '127.0.0.3'), qr/^PROXY TCP4 127\.0\.0\.3 127\.0\.0\.1 \d+ $p1\r\n$/, 'version 1';
like raw('/on'), qr/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ $p1\r\n$/, 'on: version 1';
is body('/off'), 'none', 'off';
{
	my $got = raw('/v2', from => '127.0.0.3');
	is length $got, 28, 'version 2';
	my $port = unpack 'n', substr $got, 24, 2;
	is $got, v2(0x21, 0x11, v4('127.0.0.3', $port, '127.0.0.1', $p1)), 'is right, byte for byte';
}
SKIP: {
	my $c = IO::Socket::IP->can('new') || eval { require IO::Socket::IP; 1 } ? IO::Socket::IP->new(PeerHost => '::1', PeerPort => $p1) : undef;
	skip 'no IPv6 here', 2 unless $c;
	print $c "GET /v2 HTTP/1.0\r\n\r\n";
	my $text = do { local $/; <$c> };
	my ($hex) = $text =~ /\r\n\r\n1 (\w+)/;
	is substr($hex // '', 24, 8 + 64), '21210024' . '0' x 31 . '1' . '0' x 31 . '1', 'version 2, IPv6';
	$c = IO::Socket::IP->new(PeerHost => '::1', PeerPort => $p1);
	print $c "GET /v1 HTTP/1.0\r\n\r\n";
	$text = do { local $/; <$c> };
	like pack('H*', $text =~ /\r\n\r\n1 (\w+)/), qr/^PROXY TCP6 ::1 ::1 \d+ $p1\r\n$/, 'version 1, IPv6';
}
{
	my $path = $w->dir . '/sock';
	is raw('/v1', unix => $path), "PROXY UNKNOWN\r\n", 'version 1 of a unix socket';
	is raw('/v2', unix => $path), v2(0x21, 0x31, "\0" x 108 . pack 'a108', $path), 'version 2 of a unix socket';
	my @real = (headers => ['X-Real-IP' => '192.0.2.7']);
	is raw('/v1', unix => $path, @real), "PROXY TCP4 192.0.2.7 0.0.0.0 0 0\r\n", 'a client behind a proxy on a unix socket';
	is raw('/v2', unix => $path, @real), v2(0x21, 0x11, v4('192.0.2.7', 0, '0.0.0.0', 0)), 'the same, version 2';
	@real = (headers => ['X-Real-IP' => '2001:db8::7']);
	is raw('/v2', @real), v2(0x21, 0x21, pack('H32', '20010db8' . '0' x 23 . '7') . pack('H24', '0' x 20 . 'ffff') .
	    Socket::inet_aton('127.0.0.1') . pack 'n2', 0, $p1), 'families that differ: IPv4 as IPv6';
	is raw('/v1', @real), "PROXY TCP6 2001:db8::7 ::ffff:127.0.0.1 0 $p1\r\n", 'in version 1, too';
}
{
	my $got = raw('/tlvs?a=host.test&x=1');
	my $port = unpack 'n', substr $got, 24, 2;
	my $want = v2(0x21, 0x11, v4('127.0.0.1', $port, '127.0.0.1', $p1) . tlv(2, 'host.test') . tlv(0xe7, 'x-1') . tlv(3, "\0\0\0\0"));
	substr $want, -4, 4, pack 'N', crc32c($want);
	is $got, $want, 'TLVs and a checksum; no ssl without TLS';
	is length raw('/tlvs?x=1'), length($got) - 12, 'an empty one is left out';
	my $r = $w->get('/tlvs?a=' . 'x' x 4100);
	is $r->status, 500, 'one that does not fit';
	$w->log_like(qr/\[error\].* the PROXY header would be longer than 4096 bytes/, 'and it is logged');
	is length raw('/tlvs?a=' . 'x' x 4053), 4096, 'as long as can be';
	is $w->get('/tlvs?a=' . 'x' x 4054)->status, 500, 'and one byte more';
}

# ---- TLS: the client's, and with the upstream ----

like body('/', port => 4, tls => { sni => 'localhost' }), qr/^127\.0\.0\.1 127\.0\.0\.1 @{[$w->port(4)]} \|[^|]*\|localhost\|TLSv1\.3\|\|1\|/, 'what is known of the client\'s TLS';
like body('/', port => 5, tls => { SSL_use_cert => 1, SSL_cert_file => $w->dir . '/client.crt', SSL_key_file => $w->dir . '/client.key' }),
    qr/\|\|\|TLSv1\.3\|a client\|0\|/, 'a client with a certificate';
like body('/', port => 4, tls => { sni => 'localhost', SSL_use_cert => 1, SSL_cert_file => $w->dir . '/client.crt', SSL_key_file => $w->dir . '/client.key' }),
    qr/\|TLSv1\.3\|a client\|1\|/, 'a certificate that nobody vouches for';
{
	my $got = raw('/good', port => 4, tls => { sni => 'localhost', SSL_use_cert => 1, SSL_cert_file => $w->dir . '/client.crt', SSL_key_file => $w->dir . '/client.key' });
	like $got, qr/\x20..\x07\0\0\0\x01\x21\0\x07TLSv1\.3\x23\0.TLS_\w+\x22\0\x08a client$/s, 'flags, version, cipher, name';
}
is body('/tls', from => '127.0.0.4'), '127.0.0.4 u8 on', 'the header precedes TLS to the upstream';

# ---- weir behind weir ----

like body('/weir', from => '127.0.0.3'), qr/^127\.0\.0\.3 127\.0\.0\.1 $p1 u7\|/, 'weir understands weir, with a checksum';
like body('/weir1', from => '127.0.0.3'), qr/^127\.0\.0\.3 127\.0\.0\.1 $p1 \|/, 'and version 1';
{
	my $t = "PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\nGET / HTTP/1.0\r\n\r\n";
	my ($hex) = $w->http($t, port => 6) =~ /\r\n\r\n1 (\w+)/;
	is pack('H*', $hex // ''), v2(0x21, 0x11, v4('192.0.2.1', 123, '192.0.2.2', 5678)), 'what a trusted proxy says is passed on, both addresses';
}
like $w->http("GET /grpc HTTP/1.0\r\n\r\n", from => '127.0.0.5'), qr/^X-Who: 127\.0\.0\.5\|g9\r$/mi, 'grpc_pass';
like $w->http("GET /grpc1 HTTP/1.0\r\n\r\n", from => '127.0.0.5'), qr/^X-Who: 127\.0\.0\.5\|\r$/mi, 'grpc_pass, version 1';

# ---- connections speak for one client ----

{
	my ($a, $b) = ($w->connect, $w->connect(from => '127.0.0.6'));
	my $ask = sub { my ($c, $uri) = @_; $c->send("GET $uri HTTP/1.1\r\nHost: x\r\n\r\n"); $c->response->body };
	my @first = map $ask->($_, '/v2'), $a, $b, $a, $b;
	is_deeply [map /^(\d+)/, @first], [1, 1, 2, 2], 'a connection is kept for the requests of the same client';
	is substr($first[0], 2), substr($first[2], 2), 'with what was said of it';
	isnt substr($first[0], 2), substr($first[1], 2), 'and not of another';
	is $ask->($a, '/off'), 'none', 'who needs no header does not get such a connection';
	like $ask->($a, '/tlvs?x=2'), qr/^1 /, 'other TLVs: another connection';
	like $ask->($a, '/tlvs?x=2'), qr/^2 /, 'the same: the same';
	my @two = map $ask->($_, '/h2'), $a, $b, $a, $b;
	is_deeply [map +(split /\|/)[6], @two], [1, 1, 2, 2], 'HTTP/2: one for each client';
	isnt +(split /\|/, $two[0])[7], (split /\|/, $two[1])[7], 'that are different connections';
}

# ---- failures ----

is $w->get('/refused')->status, 502, 'who is not there';

# ---- real receivers ----

SKIP: {
	skip 'no nginx', 3 unless have('nginx');
	my $cfg = $w->write('nginx.conf', $w->expand(<<'E'));
worker_processes 1;
daemon off;
master_process off;
pid %DIR%/nginx.pid;
error_log %DIR%/nginx.log;
events { }
http {
	access_log off;
	client_body_temp_path %DIR%/n1; proxy_temp_path %DIR%/n2; fastcgi_temp_path %DIR%/n3; uwsgi_temp_path %DIR%/n4; scgi_temp_path %DIR%/n5;
	server {
		listen 127.0.0.1:%PORT11% proxy_protocol;
		return 200 "$proxy_protocol_addr $proxy_protocol_server_addr $proxy_protocol_server_port";
	}
	server {
		listen 127.0.0.1:%PORT13%;
		return 200 up;
	}
}
E
	my $pid = fork // die;
	if (!$pid) {
		open STDERR, '>>', $w->dir . '/nginx.err';
		exec 'nginx', '-c', $cfg, '-p', $w->dir or POSIX::_exit(127);
	}
	wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $w->port(13)) })
	    or BAIL_OUT('nginx does not come up: ' . ($w->read('nginx.log') // ''));
	is body('/nginx', from => '127.0.0.7'), "127.0.0.7 127.0.0.1 $p1", 'nginx, version 2';
	is body('/nginx1', from => '127.0.0.7'), "127.0.0.7 127.0.0.1 $p1", 'nginx, version 1';
	is body('/nginx', headers => ['X-Real-IP' => '2001:db8::7']), "2001:db8::7 ::ffff:127.0.0.1 $p1", 'nginx, mixed families';
	CORE::kill('TERM', $pid);
	waitpid $pid, 0;
}
SKIP: {
	skip 'no haproxy', 3 unless have('haproxy');
	my $cfg = $w->write('haproxy.cfg', $w->expand(<<'E'));
defaults
	mode http
	timeout connect 5s
	timeout client 10s
	timeout server 10s
frontend f
	bind 127.0.0.1:%PORT12% accept-proxy
	http-request return status 200 content-type text/plain lf-string "%[src] %[dst] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]"
frontend up
	bind 127.0.0.1:%PORT14%
	http-request return status 200
E
	my $pid = fork // die;
	if (!$pid) {
		open STDOUT, '>>', $w->dir . '/haproxy.log';
		open STDERR, '>>', $w->dir . '/haproxy.log';
		exec 'haproxy', '-db', '-f', $cfg or POSIX::_exit(127);
	}
	wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $w->port(14)) })
	    or BAIL_OUT('haproxy does not come up: ' . ($w->read('haproxy.log') // ''));
	is body('/haproxy', from => '127.0.0.7'), "127.0.0.7 127.0.0.1 $p1 a.test u1", 'haproxy, version 2, with a checksum';
	is body('/haproxy1', from => '127.0.0.7'), "127.0.0.7 127.0.0.1 $p1  ", 'haproxy, version 1';
	like body('/haproxy', headers => ['X-Real-IP' => '2001:db8::7']), qr/^2001:db8::7 ::ffff:127\.0\.0\.1 $p1 /, 'haproxy, mixed families';
	CORE::kill('TERM', $pid);
	waitpid $pid, 0;
}

is $w->stop, 0, 'a clean end';

# ---- the configuration ----

my $c = Weir->new;
$c->expect_alert(qr/\[emerg\]/);
sub refused
{
	my ($conf, $like, $name) = @_;
	my ($code, undef, $err) = $c->test_conf("http {\nserver { listen %PORT1%; location / { proxy_pass http://127.0.0.1:1;\n$conf }\n}\n}");
	is $code, 1, "$name: refused";
	like $err, $like, "$name: why";
}
refused 'proxy_protocol v3;', qr/weir\.conf:3:\d+: .*v3/, 'a version';
refused 'proxy_protocol on; proxy_protocol_tlv alpn h2;', qr/TLVs need version 2/, 'TLVs in version 1';
refused 'proxy_protocol v2; proxy_protocol_tlv alnp h2;', qr/"alnp" is no name of a TLV/, 'a name';
refused 'proxy_protocol v2; proxy_protocol_tlv 0x100 h2;', qr/is no name of a TLV/, 'a number';
refused 'proxy_protocol v2; proxy_protocol_tlv 0x03 h2;', qr/write "crc32c on"/, 'a checksum of one\'s own';
refused 'proxy_protocol v2; proxy_protocol_tlv ssl $ssl_protocol;', qr/it is "on" or "off"/, 'ssl';
refused 'proxy_protocol v2; proxy_protocol_tlv alpn h2; proxy_protocol_tlv 0x01 h2;', qr/stands here twice/, 'twice';

done_testing;
