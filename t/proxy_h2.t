#!/usr/bin/perl

# HTTP/2 towards upstreams: messages both ways, shared connections, upstreams that behave.
#
# effect: proxy_http_version proxy_http2_max_streams

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;
$w->cert('localhost', cn => 'localhost', san => 'DNS:localhost');
my $big = join '', map { sprintf '%07d ', $_ } 1 .. 100_000;
$w->write('www/big', $big);
$w->write('www/text', "text\n");

# What the origin saw of a request, as its answer; by the path something else.
my %answers = (
	'/cookies' => sub { $_[0]->respond($_[1]{sid}, 200, ['set-cookie' => 'a=1', 'set-cookie' => 'b=2'], 'x') },
	'/trailers' => sub { $_[0]->respond($_[1]{sid}, 200, [], 'abc', trailers => ['x-sum' => '7']) },
	'/hints' => sub {
		my ($h, $q) = @_;
		$h->fields($q->{sid}, [':status' => 100], 0);
		$h->fields($q->{sid}, [':status' => 103, link => '</a>'], 0);
		$h->respond($q->{sid}, 200, [], 'hinted');
	},
	'/empty' => sub { $_[0]->respond($_[1]{sid}, 204, []) },
	'/length' => sub { $_[0]->respond($_[1]{sid}, 200, ['content-length' => 5], '12345') },
	'/head' => sub { $_[0]->respond($_[1]{sid}, 200, ['content-length' => 500]) },
	'/none' => sub { $_[0]->respond($_[1]{sid}, 200, []) },
);
$w->origin(9, sub {
	my ($c) = @_;
	my $h = Weir::H2->server($c) or return;
	my $n = 0;
	while (my $q = $h->read_request) {
		$n++;
		my ($path) = $q->{fields}{':path'} =~ /^([^?]*)/;
		if ($answers{$path}) {
			$answers{$path}->($h, $q);
			next;
		}
		my @seen = map { "$q->{list}[2 * $_]=$q->{list}[2 * $_ + 1]" } 0 .. @{ $q->{list} } / 2 - 1;
		my %t = %{ $q->{trailers} // {} };
		$h->respond($q->{sid}, 200, ['x-n' => $n, 'content-type' => 'text/plain'], join "\n", @seen,
		    'body=' . length($q->{body}), (map { "behind $_=$t{$_}" } sort keys %t), '');
	}
});

$w->origin(10, sub {		# TLS without ALPN
	my ($c) = @_;
	require IO::Socket::SSL;
	IO::Socket::SSL->start_SSL($c->socket, SSL_server => 1, SSL_cert_file => $w->dir . '/localhost.crt',
	    SSL_key_file => $w->dir . '/localhost.key') or return;
	$c->socket->sysread(my $all, 1000);
});

$w->start(<<'E');
http {
	log_format up '$status $upstream_status $upstream_addr $upstream_response_length $request_uri';
	access_log %DIR%/access.log up;
	ssl_certificate %DIR%/localhost.crt;
	ssl_certificate_key %DIR%/localhost.key;
	client_max_body_size 10m;
	upstream nine { server 127.0.0.1:%PORT9%; }
	upstream tls { server 127.0.0.1:%PORT2%; }
	server {
		listen 127.0.0.1:%PORT1%;
		http2 on;
		proxy_http_version 2;
		location / { proxy_pass http://nine; early_hints 1; }
		location /named { proxy_pass http://nine; proxy_set_header Host some.where:8000; }
		location /stream { proxy_pass http://nine; proxy_request_buffering off; proxy_pass_trailers on; }
		location /trailers { proxy_pass http://nine; proxy_pass_trailers on; }
		location /tls/ { proxy_pass https://tls/; proxy_ssl_name localhost; proxy_ssl_server_name on;
			proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/localhost.crt; }
		location /tls-a/ { proxy_pass https://tls/conn; proxy_ssl_name localhost; }
		location /tls-b/ { proxy_pass https://tls/conn; proxy_ssl_name other; }
		location /tls0/ { proxy_pass https://127.0.0.1:%PORT10%/; }
		location /tls1/ { proxy_pass https://127.0.0.1:%PORT3%/; }
		location /clear/ { proxy_pass http://127.0.0.1:%PORT4%/; proxy_request_buffering off; }
		location /file/ { proxy_pass http://nine/; proxy_request_buffering off; client_body_in_file_only on;
			add_header X-Body $request_body; }
		location /old/ { proxy_pass http://127.0.0.1:%PORT4%/; proxy_http_version 1.1; }
	}
	server { listen 127.0.0.1:%PORT2% ssl; http2 on; root %DIR%/www; location /v { return 200 "$server_protocol $host\n"; }
		location /conn { return 200 $connection; } }
	server { listen 127.0.0.1:%PORT3% ssl; root %DIR%/www; }
	server { listen 127.0.0.1:%PORT4%; http2 on; root %DIR%/www;
		location /v { return 200 "$server_protocol\n"; }
		location /len { return 200 "$content_length $request_body"; }
	}
}
E

# ---- the request ----

my $r = $w->get('/a?b=c', 'X-Y' => 'z', Cookie => 'k=v', TE => 'gzip', 'Keep-Alive' => '5');
is $r->status, 200;
my $saw = $r->body;
like $saw, qr/^:method=GET$/m, ':method';
like $saw, qr/^:scheme=http$/m, ':scheme';
like $saw, qr/^:path=\/a\?b=c$/m, ':path';
like $saw, qr/^:authority=nine$/m, ':authority';
like $saw, qr/^x-y=z$/m, 'a field, in lower case';
like $saw, qr/^cookie=k=v$/m, 'a cookie';
unlike $saw, qr/^(connection|te|keep-alive|host|upgrade|transfer-encoding|content-length)=/m, 'nothing about the connection';
like $w->get('/named')->body, qr/^:authority=some\.where:8000$/m, 'Host becomes :authority';
like $w->request('POST', '/p', [], 'abcde')->body, qr/^content-length=5\n.*^body=5\n/ms, 'a body';
like $w->request('POST', '/stream/p', [], 'x' x 300_000)->body, qr/^content-length=300000\n.*^body=300000\n/ms, 'a long one, streamed';
like $w->http("POST /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: 1\r\n\r\n"),
    qr/^te=trailers\n.*^body=3\nbehind x-end=1\n/ms, 'trailers of a request';
unlike $w->request('DELETE', '/d')->body, qr/content-length/, 'no body, no length';
like $w->http("GET /up HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: websocket\r\n\r\n"), qr/^HTTP\/1.1 200 (?!.*upgrade=)/s,
    'an upgrade is not passed on';
cmp_ok $w->get('/n')->header('X-N'), '>', 5, 'one connection for all';

is $w->request('POST', '/file/x', [], 'abc')->header('X-Body'), 'abc', 'client_body_in_file_only counts only where bodies are buffered';

# ---- the response ----

$r = $w->get('/cookies');
is $r->header('Set-Cookie'), 'a=1, b=2', 'fields that come twice';
$r = $w->get('/length');
is $r->header('Content-Length'), 5, 'a length';
is $r->body, '12345', 'and the body';
$r = $w->get('/empty');
is $r->status, 204, 'no body';
$r = $w->request('HEAD', '/head');
is $r->header('Content-Length'), 500, 'HEAD';
is $r->body, '', 'without a body';
is $w->get('/none')->body, '', 'an end without a body';
like $w->http("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n"),
    qr/\r\n3\r\nabc\r\n0\r\nx-sum: 7\r\n\r\n$/i, 'trailers of a response';
like $w->http("GET /hints HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
    qr/^HTTP\/1.1 103 .*link: <\/a>.*HTTP\/1.1 200 .*hinted/is, '103, then 200';
my $h = Weir::H2->new($w->connect);
$r = $h->response($h->get('/trailers', te => 'trailers'));
is $r->{body}, 'abc', 'HTTP/2 on both sides';
is $r->{trailers}{'x-sum'}, 7, 'with trailers';
my @sids = map { $h->get("/many/$_", 'cookie' => 'a=1', 'cookie' => 'b=2') } 1 .. 20;
my @all = map { $h->response($_) } @sids;
is scalar(grep { $_->{status} == 200 && $_->{body} =~ /^cookie=a=1; b=2$/m } @all), 20, 'many at a time; crumbs of cookies are joined';

# ---- weir, clear and by TLS ----

is $w->get('/clear/v')->body, "HTTP/2.0\n", 'clear';
is $w->get('/old/v')->body, "HTTP/1.1\n", 'another version to the same upstream';
is $w->get('/clear/v')->body, "HTTP/2.0\n", 'and back';
is $w->get('/tls/v')->body, "HTTP/2.0 tls\n", 'by TLS';
ok $w->get('/tls/big')->body eq $big, 'a big response by TLS';
ok $w->get('/clear/big')->body eq $big, 'a big response';
is $w->get('/clear/nothing')->status, 404, 'an error';
is $w->get('/tls1/text')->status, 502, 'TLS that refuses "h2"';
$w->log_like(qr/no application protocol.* while SSL handshaking to upstream/, 'the log says why');
is $w->get('/tls0/text')->status, 502, 'TLS without ALPN';
$w->log_like(qr/upstream does not speak HTTP\/2: it did not choose "h2" by ALPN/, 'the log says why');
my %conn = map { $_ => $w->get("/tls-$_/")->body } 'a', 'b';
isnt $conn{a}, $conn{b}, 'another name, another connection';
is $w->get('/tls-a/')->body, $conn{a}, 'the same name, the same one';

done_testing;
