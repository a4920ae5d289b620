#!/usr/bin/perl
# open_file_cache: what is remembered, for how long, and what is not.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: open_file_cache open_file_cache_valid open_file_cache_min_uses open_file_cache_errors

my $w = Weir->new;
my $d = $w->dir;
my @places = qw(long none short twice errors off try index max idle);
for my $p (@places) {
	$w->write("www/$p/$_", "old $_\n") for 'a', 'b', 'c';
}
$w->write('www/index/index.html', "old index\n");
$w->write('www/links/real', "real\n");
symlink 'real', "$d/www/links/link" or die $!;
symlink 'links', "$d/www/linkdir" or die $!;
my $big = join '', map { sprintf "%07d\n", $_ } 1 .. 400_000;
$w->write('www/max/big', $big);
$w->start(<<'E');
http {
	root %DIR%/www;
	open_file_cache max=100 inactive=1h;
	open_file_cache_valid 1h;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /none/ { open_file_cache_valid 0; }
		location /short/ { open_file_cache_valid 1s; }
		location /twice/ { open_file_cache_min_uses 2; }
		location /errors/ { open_file_cache_errors on; }
		location /off/ { open_file_cache off; }
		location /try/ { open_file_cache_errors on; try_files $uri.new $uri =404; }
		location /max/ { open_file_cache max=2; }
		location /idle/ { open_file_cache max=10 inactive=3s; }
		location /if/ { alias %DIR%/www/links/; if (-f $request_filename) { return 204; } }
		location /nolinks/ { alias %DIR%/www/links/; disable_symlinks on from=%DIR%; }
		location /fromlink/ { alias %DIR%/www/linkdir/; disable_symlinks on from=%DIR%/www/linkdir; }
		location /shortlink/ { alias %DIR%/www/linkdir/; disable_symlinks on from=%DIR%/www; }
	}
}
E

sub body { $w->get($_[0])->body }
sub status { $w->get($_[0])->status }
sub replace
{
	my ($name, $text) = @_;
	$w->write("$name.tmp", $text);
	rename "$d/$name.tmp", "$d/$name" or die "rename: $!";
}
my ($pid) = $w->worker_pids;
my $seen = opendir my $fds, "/proc/$pid/fd";
sub open_files { my ($re) = @_; my @v = sort grep defined && m{^\Q$d\E/www/$re}, map readlink, glob "/proc/$pid/fd/*"; return @v }

# ---- how long ----

for my $p (qw(long none short twice off)) {
	is body("/$p/a"), "old a\n", "$p: the file";
	replace("www/$p/a", "new text of a\n");
}
is body('/long/a'), "old a\n", 'valid 1h: what was replaced is served on';
my $r = $w->get('/long/a');
is $r->header('Content-Length'), 6, 'with its length';
unlink "$d/www/long/a";
is body('/long/a'), "old a\n", 'and when it was removed';
is body('/none/a'), "new text of a\n", 'valid 0: it is seen at once';
is body('/off/a'), "new text of a\n", 'off: at once';
is body('/twice/a'), "new text of a\n", 'min_uses 2: once does not keep it';
replace('www/twice/a', "newer\n");
is body('/twice/a'), "new text of a\n", 'but twice does';
SKIP: {
	my $begin = time;
	body('/short/c');
	replace('www/short/c', "new text of c\n");
	my $got = body('/short/c');
	skip 'the machine is too slow to tell', 1 if time - $begin > 0.9;
	is $got, "old c\n", 'valid 1s: not yet';
}
ok wait_for(sub { body('/short/a') eq "new text of a\n" }), 'but soon';
is $w->get('/short/a')->header('Content-Length'), 14, 'with its length';
unlink "$d/www/short/a";
ok wait_for(sub { status('/short/a') == 404 }), 'removed: soon, too';
$w->write('www/short/a', "again\n");
is body('/short/a'), "again\n", 'what is missing is not remembered';
unlink "$d/www/none/a";
is status('/none/a'), 404, 'valid 0: removed';
mkdir "$d/www/none/a";
is status('/none/a'), 301, 'valid 0: a folder now';
rmdir "$d/www/none/a";
$w->write('www/none/a', "file\n");
is body('/none/a'), "file\n", 'and a file again';

# the same file, written over
is body('/long/b'), "old b\n", 'a file';
is body('/none/b'), "old b\n", 'another';
for my $p (qw(long none)) {
	open my $fh, '>>', "$d/www/$p/b" or die $!;
	print $fh "more\n";
	close $fh;
}
is body('/long/b'), "old b\n", 'valid 1h: its length is remembered';
is body('/none/b'), "old b\nmore\n", 'valid 0: it is not';

# ---- errors ----

is status("/$_/new"), 404, "$_: nothing there" for 'errors', 'long';
$w->write("www/$_/new", "new\n") for 'errors', 'long';
is status('/errors/new'), 404, 'errors on: the error is remembered';
$w->log_like(qr{open\(\) "$d/www/errors/new" failed \(2: No such file or directory\)}, 'and logged as ever');
is body('/long/new'), "new\n", 'errors off: it is not';

# ---- who uses it ----

is body('/try/a'), "old a\n", 'try_files';
$w->write('www/try/a.new', "new a\n");
replace('www/try/a', "newer\n");
is body('/try/a'), "old a\n", 'remembers what is there and what is not';
is body('/index/'), "old index\n", 'index';
replace('www/index/index.html', "new index\n");
is body('/index/'), "old index\n", 'remembered';
unlink "$d/www/index/index.html";
is body('/index/'), "old index\n", 'remembered when it was removed';
is status('/if/nothing'), 404, 'if -f: nothing';
is status('/if/real'), 204, 'if -f: a file';
rename "$d/www/links/real", "$d/www/links/moved" or die $!;
is status('/if/real'), 204, 'remembered';
rename "$d/www/links/moved", "$d/www/links/real" or die $!;

# ---- descriptors ----

SKIP: {
	skip 'the descriptors of the worker cannot be seen', 9 unless $seen;
	ok scalar(open_files('long/')), 'files stay open';
	is scalar(open_files('off/')), 0, 'but not without a cache';
	status("/max/$_") for qw(a b c a c b a);
	is_deeply [open_files('max/')], ["$d/www/max/a", "$d/www/max/b"], 'the latest stay, up to max';
	# a file that is being sent leaves the cache
	my $c = $w->connect;
	$c->send("GET /max/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	$c->read_n(1000);
	is body("/max/$_"), "old $_\n", "another file: $_" for qw(a b c);
	unlink "$d/www/max/big";
	my $rest = $c->read_all;
	ok substr($rest, -8000) eq substr($big, -8000), 'it is sent to its end';
	ok wait_for(sub { !open_files('max/big') }), 'and closed then';
	status("/idle/$_") for qw(a b c);
	is scalar(open_files('idle/')), 3, 'open';
	ok wait_for(sub { !open_files('idle/') }), 'closed when nobody asks, without a request';
}
is body("/max/$_"), "old $_\n", "max: $_" for qw(a b c);
replace('www/max/a', "new a\n");
is body('/max/a'), "new a\n", 'what was pushed out is looked at anew';

# ---- links ----

is status('/links/link'), 200, 'a link where links are fine';
is status('/nolinks/link'), 403, 'the same name where they are not';
is status('/links/link'), 200, 'and again';
is status('/nolinks/link'), 403, 'and again';
is status('/fromlink/real'), 200, 'a link in the part that from= names';
isnt status('/shortlink/real'), 200, 'the same path when it is not';
is status('/fromlink/real'), 200, 'and again';
isnt status('/shortlink/real'), 200, 'and again';

ok $w->reload, 'reload';
ok wait_for(sub { body('/index/') ne "old index\n" }), 'a new generation remembers nothing';
is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for (['open_file_cache;', qr/open_file_cache/],
    ['open_file_cache inactive=1s;', qr/must have the "max" parameter/],
    ['open_file_cache max=0;', qr/max/],
    ['open_file_cache max=x;', qr/max/],
    ['open_file_cache on;', qr/invalid "open_file_cache" parameter "on"/],
    ['open_file_cache max=1 inactive=x;', qr/inactive/],
    ['open_file_cache_errors maybe;', qr/maybe/]) {
	my ($code, undef, $err) = $w->test_conf("http { server { listen %PORT1%; $_->[0] } }");
	is $code, 1, $_->[0];
	like $err, $_->[1], 'why';
}
done_testing;
