#!/usr/bin/perl
# disable_symlinks.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: disable_symlinks

my $w = Weir->new;
my $d = $w->dir;
$w->write('www/real/file', "file\n");
$w->write('www/real/index.html', "index\n");
symlink 'file', "$d/www/real/link" or die $!;
symlink 'real', "$d/www/dirlink" or die $!;
symlink '../weir.conf', "$d/www/out" or die $!;
# A target of somebody else: root's for others, a made one for root.
my $theirs = '/etc/passwd';
if ($> == 0) {
	$theirs = $w->write('theirs', "theirs\n");
	chown 65534, 65534, $theirs;
}
symlink $theirs, "$d/www/real/theirs" or die $!;
$w->start(<<'E');
http {
	root %DIR%/www;
	server { listen 127.0.0.1:%PORT1%; }
	server { listen 127.0.0.1:%PORT2%; disable_symlinks on;
		location / { }
		location /try/ { alias %DIR%/www/real/; try_files /link /file =404; }
		location /if/ { alias %DIR%/www/real/; if (-f $request_filename) { return 204; } } }
	server { listen 127.0.0.1:%PORT3%; disable_symlinks if_not_owner; }
	server { listen 127.0.0.1:%PORT4%; disable_symlinks on from=$document_root;
		location / { }
		location /under/ { alias %DIR%/www/dirlink/; }
		location /elsewhere/ { disable_symlinks on from=/nowhere; alias %DIR%/www/dirlink/; } }
	server { listen 127.0.0.1:%PORT5%; disable_symlinks off; }
}
E

sub status { my ($port, $uri) = @_; return $w->request('GET', $uri, [], undef, port => $port)->status }

# The folder of the test itself may lie below a link.
use Cwd ();
my $plain = Cwd::realpath($d) eq $d;

for my $port (1, 5) {
	is status($port, $_), 200, "off: $_" for '/real/file', '/real/link', '/dirlink/file', '/real/theirs', '/dirlink/';
}
SKIP: {
	skip 'the temporary folder is reached by a link', 19 unless $plain;
	is status(2, '/real/file'), 200, 'on: no link';
	is status(2, '/real/'), 200, 'on: index';
	is status(2, '/real'), 301, 'on: folder';
	is status(2, $_), 403, "on: $_" for '/real/link', '/real/theirs', '/out';
	like status(2, $_), qr/^40[34]$/, "on: $_" for '/dirlink/file', '/dirlink/', '/dirlink';
	is status(2, '/real/nothing'), 404, 'on: nothing there';
	is status(2, '/real/file/'), 404, 'on: a file is no folder';
	is status(2, '/try/'), 200, 'try_files passes a link by';
	is status(2, '/if/file'), 204, 'if: a file';
	is status(2, '/if/link'), 403, 'if: a link';
	is status(3, $_), 200, "if_not_owner: $_" for '/real/file', '/real/link', '/dirlink/file';
	is status(3, '/real/theirs'), 403, 'if_not_owner: the target is somebody else\'s';
	is status(4, '/elsewhere/file') =~ /^40[34]$/ ? 1 : 0, 1, 'from: something else';
}
is status(4, '/real/file'), 200, 'from: no link';
is status(4, '/real/link'), 403, 'from: a link below';
is status(4, '/under/file'), 200, 'from: a link above';
is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for ('disable_symlinks maybe;', 'disable_symlinks;', 'disable_symlinks on off;', 'disable_symlinks from=/x;',
    'disable_symlinks off from=/x;') {
	my ($code) = $w->test_conf("http { server { listen %PORT1%; $_ } }");
	is $code, 1, $_;
}
done_testing;
