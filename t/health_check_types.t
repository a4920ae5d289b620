#!/usr/bin/env perl
# health_check_types.t - how servers are asked, and what they must answer: match, HTTP/1, HTTP/2, gRPC, TCP, TLS.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Test::More;
use Weir;
use Weir::H2;

# effect: health_check match

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('root', is_ca => 1);
$w->cert('origin', ca => 'root', san => 'DNS:origin.test');

# ---- origins

# HTTP/1: the path says what the answer is like
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $uri = $q->{uri};
		$c->note(join '|', $uri, $q->{version}, map { "$_=$q->{headers}{$_}" } sort keys %{ $q->{headers} });
		my $status = $uri =~ m{/(\d{3})} ? $1 : 200;
		my $body = $uri =~ m{/late} ? 'x' x 300_000 . 'hello' : $uri =~ m{/early} ? 'x' x 1000 . 'hello' . 'x' x 300_000 : 'hello world';
		my $fields = $uri =~ m{/fields} ? "X-One: 1\r\nX-Two: first\r\nX-Two: second\r\n" : '';
		if ($uri =~ m{/endless}) {
			$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n");
			1 while $c->send('y' x 65536);
			return;
		}
		$c->send("HTTP/1.1 100 Continue\r\n\r\n") if $uri =~ m{/interim};
		$c->send("HTTP/1.1 $status X\r\n${fields}Content-Length: " . length($body) . "\r\n\r\n$body");
		return;
	}
});
# bytes: says hello, and answers PING in pieces; what comes is noted
$w->origin(3, sub {
	my ($c) = @_;
	$c->send('hello');
	my $line = $c->read_until(qr/\n/) // '';
	$c->note(unpack 'H*', $line) if length $line;
	$c->send($_), select undef, undef, undef, 0.01 for "\0", '+PO', 'NG';
	$c->eof;
});
# lets connect, and says nothing
$w->origin(4, sub { my ($c) = @_; 1 until $c->eof });
# gRPC
my @grpc = ('content-type' => 'application/grpc');
$w->origin(5, sub {
	my ($c) = @_;
	my $h = Weir::H2->server($c) or return;
	while (my $q = $h->read_request) {
		my $service = length $q->{body} > 5 ? substr $q->{body}, 7 : '';
		$c->note(join '|', $q->{fields}{':method'}, $q->{fields}{':path'}, $q->{fields}{te}, $q->{fields}{'content-type'}, $service,
		    unpack('H*', $q->{body}));
		my $ok = ['grpc-status' => 0];
		if ($service eq 'none') { $h->fields($q->{sid}, [':status' => 200, @grpc, 'grpc-status' => 12], 1) }
		elsif ($service eq 'bare') { $h->respond($q->{sid}, 200, [@grpc], "\0\0\0\0\2\x08\1") }
		elsif ($service eq 'nonsense') { $h->respond($q->{sid}, 200, [@grpc], 'nonsense', trailers => $ok) }
		elsif ($service eq 'down') { $h->respond($q->{sid}, 200, [@grpc], "\0\0\0\0\2\x08\2", trailers => $ok) }
		elsif ($service eq 'http') { $h->respond($q->{sid}, 503, [], '') }
		else { $h->respond($q->{sid}, 200, [@grpc], "\0\0\0\0\2\x08\1", trailers => $ok) }
	}
});

# ---- many groups: each has a server that is asked in some way, and what is to come of it

my (@groups, %wanted, %place);

# name, the port, what its check says, what its location says, undef: healthy, or what the log says
sub group
{
	my ($name, $port, $check, $loc, $why) = @_;
	$wanted{$name} = $why;
	push @groups, "upstream $name { zone z; server 127.0.0.1:%PORT$port%; "
	    . (defined $loc ? '' : "health_check interval=600s mandatory $check; ") . '}';
	$loc //= "proxy_pass http://$name;";
	$loc .= " health_check interval=600s mandatory $check;" if $groups[-1] !~ /health_check/;
	$place{$name} = "location /$name/ { $loc }";
}

my @matches;
sub match { my ($name, $lines, $uri, $why) = @_; push @matches, "match $name { $lines }"; group($name, 2, "match=$name uri=$uri", undef, $why) }

match('s1', 'status 200;', '/200');
match('s2', 'status 200;', '/201', 'status 201 does not match');
match('s3', 'status 200 404;', '/404');
match('s4', 'status 200-299 404-410;', '/410');
match('s5', 'status 200-299 404-410;', '/411', 'status 411 does not match');
match('s6', 'status ! 500;', '/503');
match('s7', 'status ! 500-599 404;', '/503', 'status 503 does not match');
match('s8', 'status ! 500-599 404;', '/404', 'status 404 does not match');
match('h1', 'header X-One;', '/fields');
match('h2', 'header x-none;', '/fields', 'header "x-none" does not match');
match('h3', 'header ! X-None;', '/fields');
match('h4', 'header ! X-One;', '/fields', 'header "X-One" does not match');
match('h5', 'header X-One = 1;', '/fields');
match('h6', 'header X-One = 2;', '/fields', 'header "X-One" does not match');
match('h7', 'header X-One != 2; header X-None != 1;', '/fields');
match('h8', 'header X-One != 1;', '/fields', 'header "X-One" does not match');
match('h9', 'header X-Two = second; header X-Two ~ ^f; header X-Two ~* ^S; header X-Two !~ t$x; header X-Two !~* D[^$];', '/fields');
match('h10', 'header X-Two !~ ^sec;', '/fields', 'header "X-Two" does not match');
match('h11', 'header X-Two ~ ^Sec;', '/fields', 'header "X-Two" does not match');
match('b1', 'body ~ "hello w";', '/');
match('b2', 'body ~ "Hello";', '/', 'the body does not match');
match('b3', 'body ~* "HELLO";', '/');
match('b4', 'body !~ "hello";', '/', 'the body does not match');
match('b5', 'body !~* "goodbye";', '/500');
match('b6', 'status 200; body ~ hello;', '/500', 'status 500 does not match');
match('b7', 'body ~ hello;', '/early');
match('b8', 'body ~ hello;', '/late', 'the body does not match');
match('b9', 'body ~ hello;', '/endless', 'the body does not match');
group('d1', 2, 'uri=/302', undef);
group('d2', 2, 'uri=/404', undef, 'status 404 does not match');
group('d3', 2, 'uri=/interim', undef);
group('d4', 99, '', undef, 'connect\(\) failed \(111: Connection refused\)');
group('d5', 5, 'timeout=300s', undef, '.');	# it speaks HTTP/2
group('port', 99, 'uri=/port port=%PORT2%', undef);

$w->origin(9, sub { my ($c) = @_; my $q = $c->read_request or return; $c->note($q->{headers}{host}); $c->send("HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n") },
    unix => "$dir/sock");
for ('d6', 'd7') {
	push @groups, "upstream $_ { zone z; server unix:%DIR%/" . ($_ eq 'd6' ? 'sock' : 'none') . '; health_check port=1 mandatory; }';
	$wanted{$_} = $_ eq 'd7' ? 'connect\(\) failed \(2: No such file or directory\)' : undef;
}

# what the place says
group('p1', 2, 'uri=/p1', 'proxy_pass http://p1/x; proxy_http_version 1.0; proxy_set_header Host my.test; proxy_set_header X-A "b c"; '
    . 'proxy_set_header X-V $remote_addr; proxy_set_header User-Agent "";');

# bytes
push @matches, 'match hello { expect hello; }', 'match bye { expect bye; }', 'match ping { send "\x50ING\x0d\n"; expect ~ "\x00\+PONG$"; }',
    'match fine { send x; }', 'match any { expect ~* HELLO; }', 'match no { expect ~ HELLO; }', 'match endless { send "GET /endless HTTP/1.0\r\n\r\n"; expect z; }';
group('t1', 4, 'type=tcp', undef);
group('t2', 99, 'type=tcp', undef, 'connect\(\) failed \(111: Connection refused\)');
group('t3', 3, 'type=tcp match=hello', undef);
group('t4', 3, 'type=tcp match=bye timeout=300ms', undef, 'timed out while waiting for what is expected');
group('t5', 3, 'type=tcp match=ping', undef);
group('t6', 4, 'type=tcp match=fine', undef);
group('t7', 3, 'type=tcp match=any', undef);
group('t8', 3, 'type=tcp match=no timeout=300ms', undef, 'timed out while waiting for what is expected');
group('t9', 2, 'type=tcp match=endless', undef, 'no match in the first 262144 bytes of the answer');
group('t10', 4, 'timeout=300ms', undef, 'timed out while waiting for the answer');

# gRPC
group('g1', 5, 'type=grpc', undef);
group('g2', 5, 'type=grpc grpc_service=my.Service', undef);
group('g3', 5, 'type=grpc grpc_service=down', undef, 'the service is not serving \(2\)');
group('g4', 5, 'type=grpc grpc_service=none', undef, 'gRPC status 12 does not match');
group('g5', 5, 'type=grpc grpc_service=none grpc_status=12', undef);
group('g6', 5, 'type=grpc grpc_status=12', undef, 'gRPC status 0 does not match');
group('g7', 5, 'type=grpc grpc_service=nonsense', undef, 'the answer is none of grpc\.health\.v1');
group('g8', 5, 'type=grpc grpc_service=bare', undef, 'the answer has no gRPC status');
group('g9', 5, 'type=grpc grpc_service=http', undef, 'status 503 does not match');
group('g10', 5, 'grpc_service=' . 'l' x 300, 'grpc_pass g10;');
group('g11', 2, 'type=grpc', undef, '.');

# HTTP/2 and TLS: weir itself answers
group('v1', 6, 'type=h2 uri=/2', undef);
group('v2', 6, 'uri=/1', undef);
group('v3', 6, 'uri=/2', 'proxy_pass http://v3; proxy_http_version 2;');
group('v4', 6, 'type=http uri=/1', 'proxy_pass http://v4; proxy_http_version 2;');
my $ca = 'proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name';
group('x1', 7, 'ssl uri=/s', undef);
group('x2', 7, 'uri=/1', 'proxy_pass https://x2;');
group('x3', 7, 'uri=/2', 'proxy_pass https://x3; proxy_http_version 2;');
group('x4', 7, 'uri=/1', "proxy_pass https://x4; $ca origin.test;");
group('x5', 7, 'uri=/1', "proxy_pass https://x5; $ca other.test;", 'the TLS handshake failed');
group('x6', 7, 'uri=/sni', "proxy_pass https://x6; proxy_ssl_name sni.test; proxy_ssl_server_name on;");
group('x7', 7, 'type=tls', undef);
group('x8', 7, 'type=tls', "proxy_pass http://x8; $ca other.test;", 'the TLS handshake failed');
group('x9', 6, 'type=tls', undef, 'the TLS handshake failed');
group('x10', 4, 'type=tls timeout=300ms', undef, 'timed out while shaking hands');
group('x11', 8, 'ssl type=h2', undef, 'it does not speak HTTP/2: it did not choose "h2" by ALPN|the TLS handshake failed');
group('y1', 11, '', 'proxy_pass http://y1; proxy_protocol on;');
group('y2', 11, '', 'proxy_pass http://y2; proxy_protocol v2;');
group('y3', 11, '', undef, '.');
push @matches, 'match overtls { send "GET /1 HTTP/1.0\r\n\r\n"; expect ~ "^HTTP/1.1 200"; }';
group('x12', 7, 'type=tls match=overtls', undef);

my @places = map $place{$_}, sort keys %place;
$w->start(<<"CONF");
http {
	access_log off;
	@matches
	upstream first { zone z 4m; server 127.0.0.1:1; }
	@groups
	proxy_ssl_verify auto;
	map \$server_protocol \$version { default 0; "HTTP/2.0" 2; "HTTP/1.1" 1; "HTTP/1.0" 1; }
	server { listen 127.0.0.1:%PORT1%; @places }
	server { listen 127.0.0.1:%PORT6%; http2 on;
		location /2 { if (\$version != 2) { return 500; } return 200; }
		location /1 { if (\$version != 1) { return 500; } return 200; } }
	server { listen 127.0.0.1:%PORT7% ssl default_server; http2 on; ssl_certificate %DIR%/origin.crt; ssl_certificate_key %DIR%/origin.key;
		location /2 { if (\$version != 2) { return 500; } return 200; }
		location /1 { if (\$version != 1) { return 500; } return 200; }
		location /s { if (\$ssl_server_name) { return 500; } return 200; }
		location /sni { if (\$ssl_server_name != sni.test) { return 500; } return 200; } }
	server { listen 127.0.0.1:%PORT11% proxy_protocol; location / { return 200; } }
	server { listen 127.0.0.1:%PORT8% ssl; ssl_certificate %DIR%/origin.crt; ssl_certificate_key %DIR%/origin.key; }
}
CONF

for my $name (sort keys %wanted) {
	my $server = qr/upstream "$name": server (?:127\.0\.0\.1:\d+|unix:\S+)/;
	my $why = $wanted{$name};
	my $ok = $w->wait_log(qr/$server is (healthy|unhealthy)/);
	my ($how) = $w->log_text =~ /$server is (healthy|unhealthy: .*)/;
	defined $why ? like $how, qr/^unhealthy: (?:$why)/, "$name: $why" : is $how, 'healthy', "$name is healthy";
}

# What they were asked.
my @asked = $w->origin_notes(2);
is +(grep /^\/p1\|/, @asked)[0], '/p1|1.0|connection=close|host=my.test|x-a=b c', 'fields without variables, version';
is +(grep /^\/port\|/, @asked)[0], '/port|1.1|connection=close|host=port|user-agent=weir (health check)', 'another port';
ok +(grep { $_ eq '50494e470d0a' } $w->origin_notes(3)), 'what is sent';
my @grpcs = $w->origin_notes(5);
ok +(grep { $_ eq 'POST|/grpc.health.v1.Health/Check|trailers|application/grpc||0000000000' } @grpcs), 'gRPC';
ok +(grep /\|my\.Service\|000000000c0a0a6d792e53657276696365$/, @grpcs), 'a service';
ok +(grep /000000012f0aac02(6c){300}$/, @grpcs), 'a long one';

$w->log_like(qr/\[error\] .*certificate.* while checking the health of a server, upstream: "x5", server: 127\.0\.0\.1:\d+/, 'what is wrong with a certificate is told');

done_testing;
