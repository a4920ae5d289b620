#!/usr/bin/perl

# Answers that the configuration gives itself.
#
# effect: return

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
$w->start(<<'E');
http {
	default_type text/x-default;
	absolute_redirect off;

	server {
		listen 127.0.0.1:%PORT1%;
		server_name localhost;

		location = /text { return 200 "text of $uri"; }
		location = /page.html { return 200 "<p>"; }
		location = /empty { return 200; }
		location = /quoted-empty { return 200 ""; }
		location = /204 { return 204; }
		location = /403 { return 403; }
		location = /403-text { return 403 "go away"; }
		location = /444 { return 444; }
		location = /999 { return 999 odd; }
		location = /301 { return 301 /there; }
		location = /302 { return 302 http://example.org$request_uri; }
		location = /303 { return 303 https://example.org/; }
		location = /307 { return 307 $arg_to; }
		location = /308 { return 308 $scheme://$host/x; }
		location = /nowhere { return 301; }
		location = /url { return http://example.org/; }
		location = /scheme { return $scheme://example.org$uri; }
		location /split/ { return 302 http://example.org$uri; }
		location = /not-a-redirect { return 304; }
		location = /page { error_page 403 /403-text; return 403; }
		location = /moved { error_page 301 =200 /text; return 301 /x; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		return 200 "server";
		location / { return 200 "location"; }
	}
}
E

sub location_is
{
	my ($uri, $status, $to) = @_;
	my $r = $w->get($uri);
	is $r->status, $status, "$uri: status";
	is $r->header('Location'), $to, "$uri: Location";
}

my $r = $w->get('/text');
is $r->status, 200, 'text';
is $r->body, 'text of /text', 'with a variable';
is $r->header('Content-Type'), 'text/x-default', 'its type';
is $r->header('Content-Length'), 13, 'its length';
is $w->get('/page.html')->header('Content-Type'), 'text/html', 'type by extension';
is $w->request('HEAD', '/text')->header('Content-Length'), 13, 'HEAD';

$r = $w->get('/empty');
is $r->status . $r->body, '200', 'no text';
is $r->header('Content-Length'), 0, 'length 0';
is $w->get('/quoted-empty')->body, '', 'empty text';
is $w->get('/204')->status, 204, 'no content';
is $w->get('/204')->header('Content-Length'), undef, '204 has no length';
is $w->get('/not-a-redirect')->status, 304, 'not modified';
is $w->get('/999')->status, 999, 'an odd status';

$r = $w->get('/403');
is $r->status, 403, 'an error';
like $r->body, qr/403 Forbidden/, 'with the built-in page';
$r = $w->get('/403-text');
is $r->status, 403, '403 with a text';
is $r->body, 'go away', 'the text';
is $w->http("GET /444 HTTP/1.1\r\nHost: x\r\n\r\n"), '', '444 closes';
is $w->get('/page')->body, 'go away', 'error_page applies';
is $w->get('/moved')->body, 'text of /text', 'also to a redirect';

location_is '/301', 301, '/there';
location_is '/302?a=b', 302, 'http://example.org/302?a=b';
location_is '/303', 303, 'https://example.org/';
location_is '/307?to=/a%20b', 307, '/a%20b';
location_is '/308', 308, 'http://localhost/x';
location_is '/url', 302, 'http://example.org/';
location_is '/scheme', 302, 'http://example.org/scheme';
like $w->get('/301')->body, qr/301 Moved/, 'a redirect has a page';
like $w->get('/nowhere')->body, qr/301 Moved/, 'also one that does not say where';
is $w->get('/204')->header('Content-Type'), undef, '204 has no type';

# A response cannot be split (S-204).
$r = $w->get('/split/a%0d%0aSet-Cookie:%20x=1');
is $r->status, 302, 'a line end in a redirect';
is $r->header('Location'), undef, 'the field is dropped';
is $r->header('Set-Cookie'), undef, 'and no other made';
$w->log_like(qr/"Location" would hold a line end or NUL: dropped/, 'and it is logged');

is $w->request('GET', '/', [], undef, port => 2)->body, 'server', 'return of a server comes first';

# The body of a request that nobody wants does not disturb the next one.
my $c = $w->connect;
$c->send("POST /text HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" .
    "GET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
is $c->response->body, 'text of /text', 'a body is thrown away';
is $c->response->header('Content-Length'), 0, 'and the next request answered';

for my $text ('return 99;', 'return 1000;', 'return x;', 'return /uri;', 'return 200 a b;',
    'return;', 'return x http://example.org/;') {
	my ($code, undef, $err) = $wrong->test_conf("http { server { $text } }");
	isnt $code, 0, "refused: $text";
	like $err, qr/:1:\d+: return: /, 'with its place';
}

done_testing;
