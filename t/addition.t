#!/usr/bin/perl

# Text before and after responses.
#
# effect: add_before_body add_after_body addition_types

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;

$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		if ($q->{uri} eq '/slow') {
			$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nslow ");
			$c->send('end');
			return;
		}
		my $text = 'L' x 1_000_000;
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: " . length($text) . "\r\n\r\n$text") or return;
	}
});

$w->start(<<'E');
http {
	types { text/html html; text/plain txt; text/css css; }
	default_type text/html;
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%;
		location / { add_before_body /before; add_after_body /after; }
		location /only-before/ { add_before_body /before; alias %DIR%/; }
		location /only-after/ { add_after_body /after; alias %DIR%/; }
		location /plain/ { add_before_body /before; addition_types text/plain; alias %DIR%/; }
		location /all/ { add_before_body /before; addition_types *; alias %DIR%/; }
		location /nested/ { add_before_body /before; add_after_body /x.html; alias %DIR%/; location /nested/none/ { add_before_body ""; alias %DIR%/; } }
		location /var/ { add_before_body /$arg_what; alias %DIR%/; }
		location /large/ { add_before_body /origin/large; add_after_body /origin/large; alias %DIR%/; }
		location /slow/ { add_before_body /origin/slow; add_after_body /missing; alias %DIR%/; }
		location /ret { add_after_body /after; return 200 "text "; }
		location /origin/ { proxy_pass http://127.0.0.1:%PORT2%/; }
		location = /before { return 200 "before "; }
		location = /after { return 200 " after"; }
	}
}
E
$w->write('x.html', 'html');
$w->write('x.txt', 'plain');
$w->write('x.css', 'css');

my $r = $w->get('/x.html');
is $r->body, 'before html after', 'around a file';
is $r->header('Content-Length'), undef, 'the length is not known before';
is $r->header('Accept-Ranges'), undef, 'no ranges';
is $r->header('Last-Modified'), undef, 'no date';
like $r->header('ETag'), qr{^W/"}, 'the tag is a weak one';
is $w->get('/x.txt')->body, 'plain', 'not around other types';
is $w->get('/missing')->status, 404, 'not around errors';
unlike $w->get('/missing')->body, qr/before|after/, 'whose body stays';
is $w->get('/x.html', Range => 'bytes=0-1')->status, 200, 'a range is not cut';
is $w->request('HEAD', '/x.html')->body, '', 'HEAD';
is $w->get('/only-before/x.html')->body, 'before html', 'before only';
is $w->get('/only-after/x.html')->body, 'html after', 'after only';
is $w->get('/plain/x.txt')->body, 'before plain', 'addition_types';
is $w->get('/plain/x.css')->body, 'css', 'addition_types: others are left';
is $w->get('/plain/x.html')->body, 'before html', 'addition_types: text/html always';
is $w->get('/all/x.css')->body, 'before css', 'addition_types *';
is $w->get('/nested/none/x.html')->body, 'htmlhtml', 'empty: nothing, the other is inherited';
is $w->get('/nested/x.html')->body, 'before htmlhtml', 'additions are not added to';
is $w->get('/var/x.html?what=before')->body, 'before html', 'a variable';
is $w->get('/ret')->body, 'text  after', 'around a text';
$r = $w->get('/slow/x.html');
like $r->body, qr{^slow endhtml<html>.*404 Not Found}s, 'an addition may be an error page';
$r = $w->get('/large/x.html');
is length($r->body), 2_000_004, 'large additions';
is substr($r->body, 999_998, 8), 'LLhtmlLL', 'in order';

# a slow reader, and one that leaves in the middle
my $c = $w->connect;
$c->send("GET /large/x.html HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
is length($c->read_n(100_000)), 100_000, 'a reader begins';
$c->reset;
is $w->get('/x.html')->body, 'before html after', 'and leaves; others are served';
$c = $w->connect;
$c->send("GET /x.html HTTP/1.1\r\nHost: localhost\r\n\r\n" x 2);
is $c->response('GET')->body, 'before html after', 'pipelined' for 1, 2;

done_testing;
