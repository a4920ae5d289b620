#!/usr/bin/perl
# charset: what Content-Type says, and conversions by charset_map.

use strict;
use warnings;

use lib 't/lib';
use Weir;
use Test::More;

# effect: charset source_charset override_charset charset_types charset_map

my $w = Weir->new;
$w->write('www/a.html', "k\xC1\xD0\xFF.");			# koi8-r: a, p, and one that the map has not
$w->write('www/u.html', "k\xD0\xB0\xD0\xBF \xE2\x82\xAC \xFF\xD0 \xF0\x9F\x98\x80\xD0");
$w->write('www/a.css', 'x');
$w->write('www/a.txt', 'plain');
$w->write('www/big.html', "\xD0\xB0\xD0\xBF-" x 100_000);
$w->write('www/w.html', "\xC1\xC2");
$w->start(<<'E');
http {
	types { text/html html; text/plain txt; text/css css; }
	charset_map koi8-r utf-8 { C1 D0B0; D0 D0BF; }
	charset_map koi8-r windows-1251 { C1 E0; D0 EF; }
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		location / { charset utf-8; }
		location /none/ { alias %DIR%/www/; }
		location /off/ { alias %DIR%/www/; charset utf-8; location /off/x/ { alias %DIR%/www/; charset off; } }
		location /types/ { alias %DIR%/www/; charset utf-8; charset_types text/css; }
		location /to/ { alias %DIR%/www/; source_charset koi8-r; charset utf-8; }
		location /from/ { alias %DIR%/www/; source_charset utf-8; charset koi8-r; }
		location /byte/ { alias %DIR%/www/; source_charset koi8-r; charset windows-1251; }
		location /same/ { alias %DIR%/www/; source_charset UTF-8; charset utf-8; }
		location /var/ { alias %DIR%/www/; source_charset $arg_from; charset $arg_to; }
		location /redirect { charset utf-8; return 302 /x; }
		location /up/ { charset utf-8; proxy_pass http://127.0.0.1:%PORT2%/; }
		location /over/ { charset utf-8; override_charset on; proxy_pass http://127.0.0.1:%PORT2%/; }
		location /accel/ { proxy_pass http://127.0.0.1:%PORT2%/; }
		location /ignore/ { proxy_ignore_headers X-Accel-Charset; proxy_pass http://127.0.0.1:%PORT2%/; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my $head = $q->{uri} =~ /accel=([\w-]+)/ ? "X-Accel-Charset: $1\r\n" : '';
	$head .= "Content-Encoding: gzip\r\n" if $q->{uri} =~ /coded/;
	my $type = $q->{uri} =~ /bare/ ? 'text/html' : 'text/html; charset="KOI8-R"; level=1';
	$c->send("HTTP/1.1 200 OK\r\n${head}Content-Type: $type\r\nContent-Length: 2\r\n\r\n\xC1\xD0");
	$c->close;
});

sub type { $w->get(@_)->header('Content-Type') }

is type('/a.html'), 'text/html; charset=utf-8', 'charset';
is $w->get('/a.html')->body, "k\xC1\xD0\xFF.", 'the body stays as it is';
is type('/a.txt'), 'text/plain; charset=utf-8', 'text/plain is a type of it';
is type('/a.css'), 'text/css', 'text/css is not';
is type('/none/a.html'), 'text/html', 'no charset';
is type('/off/a.html'), 'text/html; charset=utf-8', 'a nested place';
is type('/off/x/a.html'), 'text/html', 'can switch it off';
is type('/types/a.css'), 'text/css; charset=utf-8', 'charset_types';
is type('/types/a.txt'), 'text/plain', 'replaces the list';
is type('/redirect'), 'text/html', 'not of redirects';

my $r = $w->get('/to/a.html');
is $r->body, "k\xD0\xB0\xD0\xBF?.", 'to utf-8';
is $r->header('Content-Type'), 'text/html; charset=utf-8', 'and it is said';
is $r->header('Content-Length'), undef, 'the length is another';
$r = $w->get('/from/u.html');
is $r->body, "k\xC1\xD0 &#8364; ?? &#128512;?", 'from utf-8';
is $r->header('Content-Type'), 'text/html; charset=koi8-r', 'and it is said';
ok $w->get('/from/big.html')->body eq "\xC1\xD0-" x 100_000, 'a long text';
$r = $w->get('/byte/w.html');
is $r->body, "\xE0?", 'byte by byte';
is $r->header('Content-Length'), 2, 'has the same length';
is $w->get('/same/a.html')->body, "k\xC1\xD0\xFF.", 'the same charset: nothing to do';
is $w->get('/var/a.html?from=koi8-r&to=utf-8')->body, "k\xD0\xB0\xD0\xBF?.", 'from variables';
is type('/var/a.html?to=x'), 'text/html; charset=x', 'only one of them';
is type('/var/a.html?from=a&to=b'), 'text/html', 'without a map';
$w->log_like(qr/no "charset_map" between the charsets "a" and "b"/, 'it is logged');

is type('/up/'), 'text/html; charset="KOI8-R"; level=1', 'what says its charset keeps it';
is $w->get('/over/')->body, "\xD0\xB0\xD0\xBF", 'override_charset';
is type('/over/'), 'text/html; charset=utf-8', 'tells the new one';
is type('/over/coded'), 'text/html; charset="KOI8-R"; level=1', 'what is compressed is not converted';
is type('/up/bare'), 'text/html; charset=utf-8', 'what does not say it gets one';
is $w->get('/accel/?accel=windows-1251')->body, "\xE0\xEF", 'X-Accel-Charset';
is type('/accel/?accel=utf-8&bare'), 'text/html; charset=utf-8', 'with an unknown source';
is type('/accel/?accel=nobody&bare'), 'text/html', 'one that nobody knows';
is type('/ignore/?accel=utf-8&bare'), 'text/html', 'proxy_ignore_headers X-Accel-Charset';

for (['charset utf-8; source_charset koi8-r;', qr/no "charset_map" between the charsets "koi8-r" and "utf-8"/],
    ['charset_map a A { }', qr/between the same charsets/],
    ['charset_map a b { } charset_map b a { }', qr/duplicate "charset_map"/],
    ['charset_map a b { X0 80; }', qr/invalid value "X0"/],
    ['charset_map a b { 80 8080; }', qr/invalid value "8080"/],
    ['charset_map a utf-8 { 80 FFFF; }', qr/invalid UTF-8 "FFFF"/]) {
	my ($text, $like) = @$_;
	my $bad = Weir->new;
	$bad->expect_alert(qr/./);
	my ($code, undef, $err) = $bad->test_conf("http { $text server { } }");
	isnt $code, 0, $text;
	like $err, $like, 'says why';
}

done_testing;
