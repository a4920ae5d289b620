#!/usr/bin/perl
# error_page and the built-in pages.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: error_page recursive_error_pages internal msie_padding msie_refresh

my $w = Weir->new;
$w->write('html/404.html', "sorry\n");
$w->write('html/e/t.txt', "text\n");
$w->start(<<'E');
http {
	error_page 404 /404.html;
	msie_padding off;
	msie_refresh off;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location = /404.html { internal; }
		location /builtin { error_page 400 /x; location /builtin/403 { return 403; } location /builtin/500 { return 500; }
			location /builtin/404 { return 404; } }
		location /ok { error_page 404 =200 /404.html; return 404; }
		location /other { error_page 404 403 =410 /404.html; location /other/403 { return 403; } return 404; }
		location /page { error_page 404 = /made; return 404; }
		location = /made { return 202 "made:$uri:$request_uri:$args"; }
		location /args { error_page 404 /made2?a=$arg_a; return 404; }
		location = /made2 { return 200 "$args"; }
		location /named { error_page 404 @named; return 404; }
		location /named-ok { error_page 404 = @named; return 404; }
		location @named { return 203 "named:$uri"; }
		location /url { error_page 404 http://e.example.com/$arg_x; return 404; }
		location /url301 { error_page 404 =301 http://e.example.com/; return 404; }
		client_max_body_size 10;
		location /sized { error_page 413 /toolarge; }
		location = /toolarge { return 413 "not so much"; }
		location /loop { error_page 404 /loop2; return 404; }
		location /loop2 { error_page 404 /made; return 404; }
		location /rec { recursive_error_pages on; error_page 404 /rec2; return 404; }
		location /rec2 { recursive_error_pages on; error_page 404 = /rec3; error_page 403 =200 /made; return 404; }
		location /rec3 { recursive_error_pages on; error_page 403 =200 /made; return 403; }
		location /rec4 { recursive_error_pages on; error_page 404 /rec5; return 404; }
		location /rec5 { error_page 403 =200 /made; return 403; }
		location /rec6 { error_page 404 /rec7; return 404; }
		location /rec7 { recursive_error_pages on; error_page 403 =200 /made; return 403; }
		location /rec8 { recursive_error_pages on; error_page 404 /rec8; return 404; }
		location /rec9 { recursive_error_pages on; error_page 404 /rec5-up; return 404; }
		location /rec5-up { error_page 502 = /made; proxy_pass http://127.0.0.1:%PORT9%; }
		location = /post { alias html/404.html; error_page 405 /method; }
		location /method { return 200 "$request_method"; }
		location /many { error_page 500 502 503 504 /50x; location /many/502 { return 502; } location /many/504 { return 504; } location /many/501 { return 501; } }
		location /50x { return 200 "50x $status"; }
		location /missing { error_page 404 /nothing-here; return 404; }
		location /if { if ($arg_e) { error_page 404 =200 /404.html; return 404; } return 404; }
		location /redir { error_page 301 =200 /made; return 301 /somewhere; }
		location /gone { proxy_pass http://127.0.0.1:%PORT9%; error_page 502 =503 @down; }
		location @down { return 200 down; }
		location /html { server_tokens off; return 400; }
	}
}
E

my $r = $w->get('/nothing');
is $r->status, 404, 'the status stays';
is $r->body, "sorry\n", 'the page is its body';
is $r->header('Content-Type'), 'text/html', 'with its type';
is $w->get('/404.html')->status, 404, 'an internal page cannot be asked for';
is $w->get('/404.html')->body, "sorry\n", 'and is shown for that';
is $w->request('HEAD', '/nothing')->body, '', 'HEAD';

like $w->get('/builtin/403')->body, qr{^<html>\r\n<head><title>403 Forbidden</title></head>}, 'built-in page';
is $w->get('/builtin/500')->status, 500, 'built-in 500';
like $w->get('/builtin/404')->body, qr{<h1>404 Not Found</h1>}, 'own pages replace inherited ones';

is $w->get('/ok')->status, 200, '=200';
is $w->get('/ok')->body, "sorry\n", '=200: the page';
is $w->get('/other')->status, 410, '=410';
is $w->get('/other/403')->status, 410, 'several codes';
$r = $w->get('/page?x');
is $r->status, 202, '=: the page says the status';
is $r->body, 'made:/made:/page?x:', 'and has no arguments of the request';
is $w->get('/args?a=5')->body, 'a=5', 'but its own, with variables';
is $w->get('/args?a=5')->status, 404, 'and the status of the error';
is $w->get('/named')->status, 404, 'named: the status stays';
is $w->get('/named')->body, 'named:/named', 'named: the URI stays';
is $w->get('/named-ok')->status, 203, '= named';
$r = $w->get('/url?x=y');
is $r->status, 302, 'a URL: a redirect';
is $r->header('Location'), 'http://e.example.com/y', 'with variables';
is $w->get('/url301')->status, 301, 'of the kind that is asked for';

is $w->get('/loop')->status, 404, 'an error in an error page';
like $w->get('/loop')->body, qr/404 Not Found/, 'shows the built-in page';
is $w->get('/rec')->status, 200, 'recursive_error_pages goes on';
like $w->get('/rec')->body, qr/^made:/, 'to the end';
is $w->get('/rec4')->status, 200, 'where the first error was it must be on';
is $w->get('/rec6')->status, 403, 'where the second one is does not matter';
is $w->get('/rec8')->status, 500, 'a ring of them ends';
is $w->get('/rec9')->status, 202, 'an upstream that fails in an error page';
is $w->request('POST', '/post', [], 'x')->status, 405, 'POST';
is $w->request('POST', '/post', [], 'x')->body, 'GET', 'the page is got';
is $w->get("/many/$_")->body, "50x $_", "$_ of many" for 502, 504;
like $w->get('/many/501')->body, qr/501 Not Implemented/, '501 is not among them';
is $w->get('/missing')->status, 404, 'a page that is missing';
like $w->get('/missing')->body, qr/404 Not Found/, 'the built-in instead';
is $w->get('/if?e=1')->status, 200, 'in if';
is $w->get('/if')->status, 404, 'not without';
is $w->get('/redir')->status, 200, 'a redirect may have a page';
$r = $w->get('/gone');
is $r->status, 503, 'an upstream that is not there';
is $r->body, 'down', 'its page';

# what was too large for the place is not too large for its error page again
$r = $w->request('POST', '/sized', [], 'x' x 11);
is $r->status, 413, 'too large a body';
is $r->body, 'not so much', 'its page';

# S-207: nothing of the request in a built-in page, no version
$r = $w->get('/html/<script>alert(1)</script>');
unlike $r->body, qr/<script>/, 'nothing of the request';
unlike $r->body, qr{weir/}, 'no version';

# a connection goes on after an error page
my $c = $w->connect;
$c->send("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" x 2);
is_deeply [map $c->response->status, 1 .. 2], [404, 404], 'kept alive';

$w->log_like(qr/\[warn\].*$_: has no effect/, "$_ warns") for qw(msie_padding msie_refresh);
is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for (['error_page 200 /x;', qr/must be between 300 and 599/], ['error_page 499 /x;', qr/not 499/],
    ['error_page x /x;', qr/invalid status "x"/], ['error_page 404 =x /x;', qr/invalid status "=x"/],
    ['error_page /x;', qr/invalid number of arguments/], ['error_page 404 $nosuch;', qr/nosuch/]) {
	my ($code, undef, $err) = $w->test_conf("http { server { listen %PORT1%; $_->[0] } }");
	is $code, 1, $_->[0];
	like $err, $_->[1], 'why';
}

done_testing;
