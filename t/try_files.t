#!/usr/bin/perl
# try_files.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: try_files

my $w = Weir->new;
$w->write('html/a', "a\n");
$w->write('html/a.html', "a.html\n");
$w->write('html/dir/index.html', "dir index\n");
$w->write('html/dir/f', "f\n");
$w->write('html/sp ace', "space\n");
$w->write('other/x.txt', "other x\n");
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { try_files $uri $uri.html $uri/ /fallback?from=$uri; }
		location /fallback { return 200 "fallback:$uri:$args"; }
		location /code/ { try_files /nothing =418; }
		location /gone/ { try_files $uri =410; }
		location /named/ { try_files $uri @named; }
		location @named { return 200 "named:$uri:$args"; }
		location /file/ { try_files /a =404; }
		location /no-dir/ { try_files /dir =404; }
		location /no-file/ { try_files /a/ =404; }
		location /alias/ { alias other/; try_files $uri =404; location /alias/in { } }
		location ~ ^/re/(.*)$ { alias other; try_files /$1 =404; }
		location /loop/ { try_files /nothing /loop/x; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		try_files /a =404;
		location /in/ { }
	}
}
E

sub at { $w->get($_[0])->body }

is at('/a'), "a\n", 'a file';
is $w->get('/dir/f')->body, "f\n", 'a file below';
$w->write('html/b.html', "b.html\n");
is at('/b'), "b.html\n", 'the second choice';
is $w->get('/b')->header('Content-Type'), 'text/html', 'with its type';
is at('/dir/'), "dir index\n", 'a folder';
is $w->get('/dir')->status, 301, 'a folder without its slash';
is at('/sp%20ace'), "space\n", 'a space';
is at('/none?x=1'), 'fallback:/fallback:from=/none', 'the last: elsewhere, with arguments of its own';
is at('/none%0d%0ax'), "fallback:/fallback:from=/none\r\nx", 'whatever is asked for';
is $w->get('/code/')->status, 418, '=code';
is $w->get('/gone/x')->status, 410, '=code';
is at('/named/x?y=1'), 'named:/named/x:y=1', '@named keeps URI and arguments';
is at('/file/'), "a\n", 'a path of its own';
is $w->get('/no-dir/')->status, 404, 'a folder is no file';
is $w->get('/no-file/')->status, 404, 'a file is no folder';
is at('/alias/x.txt'), "other x\n", 'under an alias';
is $w->get('/alias/in')->status, 404, 'is not inherited: a file that is missing';
is at('/re/x.txt'), "other x\n", 'under an alias with a regex';
is $w->get('/loop/')->status, 500, 'a loop ends';
$w->log_like(qr/cycle/, 'and is logged');
is $w->get('/../x')->status, 400, 'no way out';

sub at2 { $w->request('GET', $_[0], [], undef, port => 2) }
is at2('/x')->body, "a\n", 'on server level';
is at2('/in/x')->status, 404, 'not for its locations';
is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for (['try_files /x;', qr/invalid number of arguments/], ['try_files /x =abc;', qr/invalid code "=abc"/],
    ['try_files /x =1000;', qr/invalid code/]) {
	my ($code, undef, $err) = $w->test_conf("http { server { listen %PORT1%; $_->[0] } }");
	is $code, 1, $_->[0];
	like $err, $_->[1], 'why';
}

done_testing;
