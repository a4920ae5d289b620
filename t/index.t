#!/usr/bin/perl
# Index files.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: index

my $w = Weir->new;
$w->write('html/index.html', "default\n");
$w->write('html/two/b.html', "b\n");
$w->write('html/two/c.html', "c\n");
$w->write('html/abs/x', "x\n");
$w->write('html/last', "last\n");
$w->write('html/var/v-1.html', "v1\n");
$w->write('html/php/index.php', "source\n");
$w->write('html/none/x', "x\n");
$w->write('html/sub/dir/index.html', "sub\n");
$w->write('html/locked/index.html', "locked\n");
chmod 0, $w->dir . '/html/locked';
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /two/ { index a.html b.html; index c.html; }
		location /abs/ { index nothing.html /last; }
		location /var/ { index v-$arg_v.html; }
		location /php/ { index index.php; }
		location ~ \.php$ { return 200 "handler:$uri:$args"; }
		location /alias/ { alias html/sub/; index dir/index.html; }
		location /loop/ { index /loop/; }
	}
}
E

is $w->get('/')->body, "default\n", 'index.html without being told';
is $w->get('/')->header('Content-Type'), 'text/html', 'with its type';
is $w->get('/two/')->body, "b\n", 'the first that exists';
is $w->get('/abs/')->body, "last\n", 'the last may be absolute';
is $w->get('/var/?v=1')->body, "v1\n", 'variables';
is $w->get('/var/?v=2')->status, 403, 'variables, not there';
is $w->get('/php/?a=b')->body, 'handler:/php/index.php:a=b', 'the index has its own location, and the arguments';
is $w->get('/alias/')->body, "sub\n", 'below an alias';
is $w->get('/none/')->status, 403, 'none: forbidden';
is $w->get('/nodir/')->status, 404, 'no folder';
my $dir = $w->dir;
$w->log_like(qr{\[error\].*"$dir/html/nodir/" is not found \(2: No such file}, 'its line');
is $w->get('/locked/')->status, 403, 'a folder without permission';
is $w->request('HEAD', '/')->header('Content-Length'), 8, 'HEAD';
is $w->request('POST', '/', [], 'x')->status, 405, 'POST reaches the file, which is only to be had';
is $w->request('PUT', '/', [], 'x')->status, 405, 'PUT';
is $w->get('/loop/')->status, 500, 'a loop ends';
$w->log_like(qr/cycle/, 'and is logged');
is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
my ($code, undef, $err) = $w->test_conf('http { server { listen %PORT1%; index ""; } }');
is $code, 1, 'an empty name';
like $err, qr/index "" in "index" directive is invalid/, 'why';
($code, undef, $err) = $w->test_conf('http { server { listen %PORT1%; index /a b; } }');
is $code, 0, 'absolute before others';
like $err, qr/only the last index/, 'is warned of';

done_testing;
