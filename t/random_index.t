#!/usr/bin/perl
# random_index: any file of a folder.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: random_index

my $w = Weir->new;
my $d = $w->dir;
$w->write("www/r/$_", "$_\n") for qw(a b c.html .hidden);
$w->write('www/r/sub/x', "x\n");
$w->write('www/off/x', "x\n");
$w->write('www/none/sub/x', "x\n");
$w->write('www/index/index.html', "index\n");
$w->write('www/one/' . 'n' x 250, "one\n");
$w->write('www/links/real', "real\n");
symlink 'real', "$d/www/links/link" or die $!;
symlink '../r', "$d/www/links/folder" or die $!;
mkdir "$d/www/many";
for (1 .. 3000) {
	open my $fh, '>', "$d/www/many/f$_" or die $!;
	print $fh $_;
}
$w->start(<<'E');
http {
	root %DIR%/www;
	types { text/html html; }
	default_type text/plain;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { random_index on; }
		location /off/ { }
		location /nolinks/ { alias %DIR%/www/links/; random_index on; disable_symlinks on from=%DIR%; }
		location ~ \.html$ { return 200 "location:$uri:$args"; }
	}
}
E

my %seen;
for (1 .. 200) {
	my $r = $w->get('/r/?x=y');
	$seen{ $r->status . ':' . $r->body }++;
}
is_deeply [sort keys %seen], ["200:a\n", "200:b\n", '200:location:/r/c.html:x=y'], 'all files, and nothing else';
cmp_ok $seen{$_}, '>', 20, 'none is rare' for sort keys %seen;
is $w->get('/one/')->body, "one\n", 'a long name';
is $w->get('/none/')->status, 403, 'folders only';
is $w->get('/off/')->status, 403, 'off';
is $w->get('/nothing/')->status, 404, 'no folder';
is $w->get('/r')->status, 301, 'without the slash';
is $w->request('DELETE', '/r/')->status, 405, 'another method';
%seen = ();
$seen{ $w->get('/links/')->status }++ for 1 .. 20;
is_deeply [keys %seen], [200], 'a link is fine';
%seen = ();
$seen{ $w->get('/nolinks/')->status }++ for 1 .. 20;
is_deeply [keys %seen], [200], 'links are not taken where they may not';
%seen = ();
$seen{ $w->get('/many/')->body }++ for 1 .. 20;
cmp_ok scalar(keys %seen), '>', 10, 'a large folder';
is scalar(grep !/^\d+$/, keys %seen), 0, 'files of it';
is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for ('random_index on;', 'location / { random_index maybe; }') {
	my ($code) = $w->test_conf("http { server { listen %PORT1%; $_ } }");
	is $code, 1, $_;
}
done_testing;
