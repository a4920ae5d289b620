#!/usr/bin/perl

# Who may come in is asked of somebody else.
#
# effect: auth_request auth_request_set log_subrequest

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);

$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my ($path) = $q->{uri} =~ m{^([^?]*)};
		my $fields = join ' ', sort map { lc } grep { /^(if-|range|content-length|transfer-encoding|expect|upgrade)/i }
		    map { /^([^:]+):/ ? $1 : () } split /\r\n/, $q->{head};
		$c->note("$q->{method} $q->{uri} [$fields] [" . ($q->{body} // '') . ']');
		if ($path eq '/status/close') { $c->close; return }
		if ($path eq '/status/hang') { $c->read_all; return }
		if ($path eq '/status/hint') {
			$c->send("HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n");
			$path = '/status/200';
		}
		my ($status) = $path =~ m{^/status/(\d+)} ? $1 : 200;
		my $body = $path =~ /big/ ? 'b' x 3_000_000 : 'from the origin';
		$c->send("HTTP/1.1 $status X\r\nContent-Length: " . length($body) . "\r\nX-User: somebody\r\n" .
		    "WWW-Authenticate: Basic realm=\"a\"\r\nWWW-Authenticate: Bearer\r\n" .
		    "X-Secret: inside\r\n\r\n" . ($status == 204 ? '' : $body)) or return;
	}
});

$w->start(<<'E');
http {
	log_format uri "$uri $status";
	access_log %DIR%/access.log uri;
	proxy_read_timeout 10s;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 404; }
		location /in { auth_request /auth/200; return 200 "early"; }
		location /allow/ { auth_request /auth/200; auth_request_set $user $upstream_http_x_user; add_header X-User $user; alias %DIR%/; }
		location /201/ { auth_request /auth/201; alias %DIR%/; }
		location /401/ { auth_request /auth/401; alias %DIR%/; }
		location /403/ { auth_request /auth/403; alias %DIR%/; }
		location /302/ { auth_request /auth/302; alias %DIR%/; }
		location /404/ { auth_request /auth/404; alias %DIR%/; }
		location /500/ { auth_request /auth/500; alias %DIR%/; }
		location /502/ { auth_request /nobody; alias %DIR%/; }
		location /close/ { auth_request /auth/close; alias %DIR%/; }
		location /hint/ { auth_request /auth/hint; alias %DIR%/; }
		location /big/ { auth_request /auth/200/big; alias %DIR%/; }
		location /slow/ { auth_request /short/hang; alias %DIR%/; }
		location /hang/ { auth_request /auth/hang; alias %DIR%/; }
		location /args/ { auth_request /auth/200?for=me; alias %DIR%/; }
		location /return/ { auth_request /says-no; alias %DIR%/; }
		location /open/ { auth_request off; alias %DIR%/; }
		location /up/ { auth_request /auth/200; proxy_pass http://127.0.0.1:%PORT2%/up/; }
		location /deny/ { auth_request /auth/200; deny all; alias %DIR%/; }
		location /any/ { satisfy any; auth_request /auth/200; deny all; alias %DIR%/; }
		location /any-401/ { satisfy any; auth_request /auth/401; deny all; alias %DIR%/; }
		location /any-500/ { satisfy any; auth_request /auth/500; allow 127.0.0.2; alias %DIR%/; }
		location /page/ { auth_request /auth/401; error_page 401 = @login; alias %DIR%/; }
		location @login { return 302 /login?to=$request_uri; }
		location /seen/ { set $mine before; auth_request /see; auth_request_set $seen $upstream_http_x_secret; add_header X-Seen "$seen $mine"; alias %DIR%/; }
		location = /see { internal; proxy_pass http://127.0.0.1:%PORT2%/status/200?method=$request_method&mine=$mine; }
		location = /says-no { return 403; }
		location /auth/ { internal; proxy_pass http://127.0.0.1:%PORT2%/status/; }
		location /short/ { internal; proxy_read_timeout 300ms; proxy_pass http://127.0.0.1:%PORT2%/status/; }
		location /nobody { proxy_pass http://127.0.0.1:%PORT3%; }
		location /logged/ { auth_request /log/200; alias %DIR%/; }
		location /log/ { log_subrequest on; proxy_pass http://127.0.0.1:%PORT2%/status/; }
	}
	server {
		listen 127.0.0.1:%PORT4%;
		auth_request /auth/403;
		location /auth/ { proxy_pass http://127.0.0.1:%PORT2%/status/; }
		location / { root %DIR%; }
		location /free/ { auth_request off; alias %DIR%/; }
	}
}
E
$w->write('x', 'the file');

sub got { my ($uri, $status, $why, @h) = @_; my $r = $w->get($uri, @h); is $r->status, $status, $why; return $r }

is got('/allow/x', 200, '200 lets in')->body, 'the file', 'and the content comes';
is $w->get('/allow/x')->header('X-User'), 'somebody', 'auth_request_set: a field of the answer';
got('/201/x', 200, '201 lets in');
got('/hint/x', 200, '103 is not the answer');
got('/big/x', 200, 'a body of the answer is thrown away');
my $r = got('/401/x', 401, '401 is passed on');
my $raw = $w->http("GET /401/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
is_deeply [ $raw =~ /^WWW-Authenticate: (.*?)\r$/mg ], [ 'Basic realm="a"', 'Bearer' ], 'with every challenge';
unlike $raw, qr/X-Secret|from the origin/, 'and nothing else of the answer';
got('/403/x', 403, '403 is passed on');
got('/return/x', 403, 'a location may answer by itself');
got("/$_/x", 500, "$_ is no permission") for 302, 404, 500, 502, 'close';
got('/slow/x', 500, 'nor is a timeout');
got('/open/x', 200, 'off');
got('/deny/x', 403, 'satisfy all: others are asked too');
got('/any/x', 200, 'satisfy any: it can vouch');
got('/any-401/x', 401, 'satisfy any: 401 rather than 403');
got('/any-500/x', 500, 'satisfy any: an answer that is none refuses at once');
like got('/page/x?a=b', 302, 'error_page serves the refusal')->header('Location'),
    qr{/login\?to=/page/x\?a=b$}, 'with the URI that was asked for';
got('/auth/200', 404, 'internal places stay internal');
is got('/in', 200, 'return comes before access')->body, 'early', 'as in nginx';
$w->log_like(qr/auth request unexpected status: 404/, 'an odd answer is logged');

is $w->request('GET', '/x', [], undef, port => 4)->status, 403, 'set for the server';
is $w->request('GET', '/free/x', [], undef, port => 4)->status, 200, 'off in a location';

# the sub-request itself
is got('/seen/x', 200, 'variables')->header('X-Seen'), 'inside before', 'both see them';
$r = $w->request('POST', '/up/', [ 'If-None-Match' => '"x"', Range => 'bytes=0-1' ], 'hello');
is $r->status, 200, 'a POST is authorized';
my $notes = join "\n", $w->origin_notes(2);
like $notes, qr{^GET /status/200\?method=GET&mine=before \[\] \[\]$}m, 'it has the parent\'s variables';
like $notes, qr{^GET /status/200 \[\] \[\]$}m, 'it is a GET without body and conditions';
unlike $notes, qr{^GET /status/\S+ \[.*(?:if-|range)}m, 'always';
like $notes, qr{^POST /up/ \[content-length if-none-match range\] \[hello\]$}m, 'the request goes on with its own';
got('/args/x', 200, 'arguments');
like join("\n", $w->origin_notes(2)), qr{^GET /status/200\?for=me }m, 'of the sub-request\'s URI';

# each on its own, on one connection
my $c = $w->connect;
for (1 .. 3) {
	$c->send("GET /allow/x HTTP/1.1\r\nHost: localhost\r\n\r\nGET /403/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is $c->response('GET')->status, 200, 'pipelined: in';
	is $c->response('GET')->status, 403, 'pipelined: out';
}
$c->close;

# a client that does not wait
$c = $w->connect;
$c->send("GET /hang/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
ok wait_for(sub { 2 <= grep { m{/status/hang} } $w->origin_notes(2) }), 'a question without an answer';
$c->reset;
got('/allow/x', 200, 'others are served');

got('/logged/x', 200, 'log_subrequest');
ok wait_for(sub { grep { $_ eq '/logged/x 200' } $w->access }), 'the request is logged';
ok wait_for(sub { grep { $_ eq '/log/200 200' } $w->access }), 'and the sub-request';
ok !(grep { m{^/auth/200 200} } $w->access), 'those of places without it are not';

my ($rc, undef, $err) = $wrong->test_conf('http { server { listen 127.0.0.1:%PORT9%; auth_request auth; } }');
is $rc, 1, 'a URI begins with a slash';
like $err, qr/"auth" is no URI/, 'says the error';
($rc, undef, $err) = $wrong->test_conf('http { server { listen 127.0.0.1:%PORT9%; auth_request_set user 1; } }');
like $err, qr/invalid variable name "user"/, 'auth_request_set wants a variable';

done_testing;
