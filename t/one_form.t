#!/usr/bin/perl
# S-203: the location that is chosen, the file that is sent and what variables say are made of one
# normal form of the path, so that nobody gets a file under the rules of another place.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $d = $w->dir;
$w->write('www/x.css', "css\n");
$w->write('www/page.html', "page\n");
$w->write('www/page.html.gz', 'page as gzip');
$w->write('www/run.php', "source\n");
$w->write('www/run.php.gz', 'source as gzip');
$w->write('www/private/x', "private\n");
$w->write('www/private/x.css', "private css\n");
$w->write('www/pub/a', "pub\n");
$w->write('www/odd/a;b', "semicolon\n");
$w->write('www/odd/a\\b', "backslash\n");
$w->write('www/odd/a%2fb', "percent\n");
$w->write('www/odd/a.', "dot\n");
$w->write('www/odd/a ', "space\n");
$w->start(<<'E');
http {
	root %DIR%/www;
	types { text/html html; text/css css; }
	default_type application/x-other;
	gzip_static on;
	open_file_cache max=100;
	open_file_cache_errors on;
	add_header_inherit merge;
	add_header X-Uri $uri always;
	add_header X-File $request_filename always;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { add_header X-Loc root always; }
		location ^~ /private/ { return 403 "private"; }
		location /odd/ { }
		location /other/ { alias %DIR%/www/pub/; }
		location ~ \.php$ { return 200 "handler"; }
		location ~ \.css$ { add_header X-Loc css always; }
		location = /page.html { add_header X-Loc page always; }
	}
}
E

sub seen { my $r = $w->get(@_); return $r->status . ' ' . ($r->body =~ /^<html>/ ? '' : $r->body) }
my $dir = "$d/www";

# ---- another spelling of the same path has the same place and the same file ----

for ('/private/x', '/private%2fx', '/private%2Fx', '/%70rivate/x', '//private/x', '/./private/x', '/pub/../private/x',
    '/pub/%2e%2e/private/x', '/pub%2f..%2fprivate%2fx', '/private//x', '/private/./x', '/pub/..//private/x',
    '/private/x.css', '/private%2fx.css', '/private/x/..') {
	is seen($_), '403 private', "private: $_";
}
for ('/run.php', '/run%2ephp', '/run.%70hp', '//run.php', '/pub/../run.php', '/run.ph%70?a', '/run.php?x.css') {
	is seen($_, 'Accept-Encoding' => 'gzip'), '200 handler', "handler: $_";
}
for ('/page.html', '/page%2ehtml', '//page.html', '/./page.html', '/x/../page.html', '/%70age.html') {
	my $r = $w->get($_);
	is $r->body, "page\n", "page: $_";
	is $r->header('X-Loc'), 'page', 'its place';
	is $w->get($_, 'Accept-Encoding' => 'gzip')->body, 'page as gzip', 'compressed';
}
my $r = $w->get('/pub%2fa');
is $r->body, "pub\n", 'an escaped slash is a slash';
is $r->header('X-Uri'), '/pub/a', 'for $uri';
is $r->header('X-File'), "$dir/pub/a", 'for the file';
is $r->header('X-Loc'), 'root', 'for the location';
is seen('/other%2fa'), "200 pub\n", 'for an alias';

# ---- what looks like another file is none ----

for (['/page.html/x.css', 'css'], ['/page.html%2fx.css', 'css'], ['/run.php/x.css', 'css'], ['/run.php;x.css', 'css'], ['/page.html;.css', 'css'],
    ['/run.php%3fx.css', 'css'], ['/run.php%23.css', 'css'], ['/run.php%0a.css', 'css'], ['/x.css;a', 'root'], ['/x.css%20', 'root'],
    ['/x.css.', 'root'], ['/x.css%2e', 'root'], ['/x.css/', 'root'], ['/X.CSS', 'root'], ['/page.html.', 'root'], ['/page.html%20', 'root'],
    ['/PAGE.HTML', 'root'], ['/page.html;a=b', 'root'], ['/page.html/', 'root'], ['/run.php.', 'root'], ['/run.php%20', 'root'],
    ['/run.php/', 'root'], ['/RUN.PHP', 'root'], ['/run.php;a', 'root'], ['/run.php::$DATA', 'root'], ['/private%252fx', 'root'],
    ['/private%5cx', 'root'], ['/private;/x', 'root'], ['/;/private;x', 'root'], ['/Private/x', 'root'], ['/private%c0%afx', 'root']) {
	my ($uri, $loc) = @$_;
	$r = $w->get($uri, 'Accept-Encoding' => 'gzip');
	is $r->status, 404, "nothing is there: $uri";
	is $r->header('X-Loc'), $loc, 'its place';
	my $path = $r->header('X-Uri');	# none: with a line end it is no value of a field
	is $r->header('X-File'), defined $path ? "$dir$path" : undef, 'what is looked at has the path that chose the place';
}
for ('/page.html%00.css', '/page.html%00', '/%00', '/run.php%00x.css', '/private%00/x', '/..%2fprivate/x', '/%2e%2e/x', '/x%', '/%zz') {
	is $w->get($_)->status, 400, "refused: $_";
}

# ---- signs without a meaning are parts of names ----

is seen('/odd/a;b'), "200 semicolon\n", 'a semicolon';
is seen('/odd/a%3bb'), "200 semicolon\n", 'escaped';
is seen('/odd/a%5cb'), "200 backslash\n", 'a backslash';
is seen('/odd/a%252fb'), "200 percent\n", 'a percent sign is decoded once';
is seen('/odd/a.'), "200 dot\n", 'a dot at the end';
is seen('/odd/a%20'), "200 space\n", 'a space at the end';
is $w->get('/odd/a')->status, 404, 'and nothing is cut off to find a file';

is $w->stop, 0, 'stop';
done_testing;
