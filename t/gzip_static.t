#!/usr/bin/perl
# Files that were compressed beforehand, and who gets them.

use strict;
use warnings;

use lib 't/lib';
use POSIX qw(mkfifo);
use Test::More;
use Weir;

# effect: gzip_static brotli_static zstd_static gzip_vary gzip_http_version gzip_proxied gzip_disable

my $w = Weir->new;
my $d = $w->dir;
$w->write('www/a.html', "plain text\n");
$w->write('www/a.html.gz', 'as gzip');
$w->write('www/a.html.br', 'as brotli');
$w->write('www/a.html.zst', 'as zstd!');
$w->write('www/none.html', "none\n");
$w->write('www/only.html.gz', 'only gzip');
$w->write('www/dir.html', "dir\n");
mkdir "$d/www/dir.html.gz";
$w->write('www/fifo.html', "fifo\n");
mkfifo("$d/www/fifo.html.gz", 0644) or die $!;
$w->write('www/closed.html', "closed\n");
$w->write('www/closed.html.gz', 'closed', 0000);
$w->write('www/sub/x', '');
my $when = 1577934245;	# Thu, 02 Jan 2020 03:04:05 GMT
utime $when, $when, "$d/www/a.html.gz";
$w->start(<<'E');
http {
	root %DIR%/www;
	types { text/html html; }
	gzip_static on;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /off/ { alias %DIR%/www/; gzip_static off; gzip_vary on; }
		location /always/ { alias %DIR%/www/; gzip_static always; gzip_vary on; }
		location /vary/ { alias %DIR%/www/; gzip_vary on; }
		location /old/ { alias %DIR%/www/; gzip_http_version 1.0; }
		location /any/ { alias %DIR%/www/; gzip_proxied any; }
		location /proxied-off/ { alias %DIR%/www/; gzip_proxied any off; }
		location /auth/ { alias %DIR%/www/; gzip_proxied auth expired; }
		location /msie/ { alias %DIR%/www/; gzip_disable msie6; gzip_disable "bad.*bot" "^x"; gzip_vary on; }
		location /br/ { alias %DIR%/www/; gzip_static off; brotli_static on; gzip_vary on; }
		location /br-always/ { alias %DIR%/www/; brotli_static always; }
		location /zstd/ { alias %DIR%/www/; gzip_static off; zstd_static on; }
		location /all/ { alias %DIR%/www/; brotli_static on; zstd_static on; gzip_vary on; }
		location /page/ { alias %DIR%/www/nothing/; error_page 404 /a.html; }
	}
	server { listen 127.0.0.1:%PORT2%; disable_symlinks on; }
}
E

my @ae = ('Accept-Encoding' => 'gzip');
sub coding { $w->get(@_)->header('Content-Encoding') // '-' }
sub vary { $w->get(@_)->header('Vary') // '-' }

# ---- gzip_static ----

my $r = $w->get('/a.html', @ae);
is $r->status, 200, 'on: a client that takes it';
is $r->body, 'as gzip', 'its content';
is $r->header('Content-Encoding'), 'gzip', 'its coding';
is $r->header('Content-Type'), 'text/html', 'the type of the plain name';
is $r->header('Content-Length'), 7, 'its length';
is $r->header('Last-Modified'), 'Thu, 02 Jan 2020 03:04:05 GMT', 'its time';
is $r->header('ETag'), sprintf('"%x-7"', $when), 'its tag';
is $r->header('Accept-Ranges'), undef, 'no ranges';
is $r->header('Vary'), undef, 'gzip_vary off';
$r = $w->get('/a.html', @ae, Range => 'bytes=0-1');
is $r->status . $r->body, '200as gzip', 'a range is not looked at';
$r = $w->request('HEAD', '/a.html', \@ae);
is $r->header('Content-Encoding'), 'gzip', 'HEAD';
is $r->header('Content-Length'), 7, 'its length';
$r = $w->get('/a.html');
is $r->body, "plain text\n", 'a client that does not';
is $r->header('Content-Encoding'), undef, 'no coding';
is $r->header('Accept-Ranges'), 'bytes', 'ranges';
is $w->request('POST', '/a.html', \@ae, 'x')->status, 405, 'POST';
$r = $w->get('/a.html', @ae, 'If-None-Match' => sprintf '"%x-7"', $when);
is $r->status, 304, 'its tag is known';
is $r->header('Content-Encoding'), undef, 'nothing is coded then';
$r = $w->get('/a.html', @ae, 'If-Match' => '"x"');
is $r->status, 412, 'another tag is wanted';
is $r->header($_), undef, "its page has no $_" for 'Content-Encoding', 'ETag', 'Last-Modified';
like $r->body, qr/<h1>412/, 'it is plain';

is coding('/none.html', @ae), '-', 'nothing compressed is there';
is $w->get('/only.html', @ae)->body, 'only gzip', 'nothing plain is there';
is $w->get('/only.html')->status, 404, 'for others there is nothing';
is $w->get('/dir.html', @ae)->body, "dir\n", 'a folder is no file';
is $w->get('/fifo.html', @ae)->status, 404, 'nor is a FIFO';
$w->log_like(qr{\[crit\] .*"$d/www/fifo.html.gz" is not a regular file}, 'its line');
SKIP: {
	is $w->get('/closed.html', @ae)->body, "closed\n", 'what cannot be read is passed by';
	$w->log_like(qr{\[error\] .*open\(\) "$d/www/closed.html.gz" failed \(13: Permission denied\)}, 'its line');
}
is $w->get('/sub', @ae)->status, 301, 'a folder';
is $w->get('/sub/', @ae)->status, 403, 'a folder with its slash';
is $w->get('/page/x', @ae)->body, 'as gzip', 'an error page';
is $w->get('/page/x', @ae)->status, 404, 'its status';
symlink 'a.html.gz', "$d/www/none.html.gz" or die $!;
is coding('/none.html', @ae), 'gzip', 'a link';
is $w->request('GET', '/none.html', \@ae, undef, port => 2)->status =~ /^(?:200|403)$/ ? 1 : 0, 1, 'disable_symlinks';
is $w->request('GET', '/none.html', \@ae, undef, port => 2)->header('Content-Encoding'), undef, 'a link where there may be none';
unlink "$d/www/none.html.gz";

is coding('/off/a.html', @ae), '-', 'off';
is vary('/off/a.html', @ae), '-', 'off: no Vary';
is coding('/always/a.html'), 'gzip', 'always';
is vary('/always/a.html'), '-', 'always: nobody gets something else';
is $w->get('/always/none.html')->body, "none\n", 'always: if it is there';

# ---- Accept-Encoding ----

for my $ok ('gzip', 'GZIP', 'deflate, gzip', 'gzip,br', 'br;q=1.0,gzip;q=0.5', 'gzip;q=1', 'gzip;q=1.000', 'gzip;q=0.001',
    'gzip; q=0.5', 'gzip ;q=0.5', 'gzip;Q=0.5', ', gzip') {
	is coding('/a.html', 'Accept-Encoding' => $ok), 'gzip', "wanted: $ok";
}
for my $no ('gzip;q=0', 'gzip;q=0.000', 'gzip; q=0', 'gzip;q=1.001', 'gzip;q=2', 'gzip;q=', 'gzip;q=x', 'gzip;q=0.0001', 'gzip;q=-1',
    'gzip;x=1', 'x-gzip', 'gzip2', 'xgzip', '*', 'identity', '', 'gzip;q=0, gzip', '"gzip"') {
	is coding('/a.html', 'Accept-Encoding' => $no), '-', "not wanted: $no";
}
is coding('/a.html', 'Accept-Encoding' => 'br', 'Accept-Encoding' => 'gzip'), 'gzip', 'two fields';

# ---- the four ----

is vary('/vary/a.html', @ae), 'Accept-Encoding', 'gzip_vary: with it';
is vary('/vary/a.html'), 'Accept-Encoding', 'gzip_vary: without';
is vary('/vary/a.html', @ae, 'If-None-Match' => '*'), 'Accept-Encoding', 'gzip_vary: 304';
is vary('/vary/none.html', @ae), '-', 'gzip_vary: nothing compressed is there';

sub old { my ($uri) = @_; $w->http("GET $uri HTTP/1.0\r\nAccept-Encoding: gzip\r\n\r\n") =~ /^Content-Encoding: gzip\r$/m ? 1 : 0 }
is old('/a.html'), 0, 'HTTP/1.0';
is old('/old/a.html'), 1, 'gzip_http_version 1.0';

my @via = (@ae, Via => '1.1 proxy');
is coding('/a.html', @via), '-', 'by a proxy: off';
is coding('/any/a.html', @via), 'gzip', 'any';
is coding('/proxied-off/a.html', @via), '-', 'any off';
is coding('/auth/a.html', @via, Authorization => 'x'), 'gzip', 'auth';

my @msie = map { ('User-Agent' => $_) } 'Mozilla/4.0 (compatible; MSIE 6.0; Windows)', 'Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1)';
is coding('/msie/a.html', @ae, @msie[0, 1]), '-', 'msie6';
is vary('/msie/a.html', @ae, @msie[0, 1]), 'Accept-Encoding', 'others get something else';
is coding('/msie/a.html', @ae, @msie[2, 3]), 'gzip', 'with SV1';
is coding('/msie/a.html', @ae, 'User-Agent' => $_), '-', "gzip_disable: $_" for 'a bad old bot', 'BADBOT', 'xyz', 'MSIE 5.5', 'MSIE 4.0';
is coding('/msie/a.html', @ae, 'User-Agent' => $_), 'gzip', "not disabled: $_" for 'good bot', 'wxyz', 'MSIE 7.0', 'MSIE 6.0 Opera', 'MSIE 6';
is coding('/msie/a.html', @ae), 'gzip', 'no User-Agent';
is coding('/a.html', @ae, @msie[0, 1]), 'gzip', 'without gzip_disable';

# ---- Brotli, Zstandard ----

is $w->get('/br/a.html', 'Accept-Encoding' => 'gzip, br')->body, 'as brotli', 'brotli_static';
is coding('/br/a.html', 'Accept-Encoding' => 'gzip, br'), 'br', 'its name';
is coding('/br/a.html', @ae), '-', 'not for others';
is vary('/br/a.html', @ae), 'Accept-Encoding', 'Vary';
is coding('/br-always/a.html'), 'br', 'always';
is coding('/br-always/a.html', @ae), 'gzip', 'but what is wanted comes first';
is $w->get('/zstd/a.html', 'Accept-Encoding' => 'zstd')->body, 'as zstd!', 'zstd_static';
is coding('/zstd/a.html', 'Accept-Encoding' => 'zstd'), 'zstd', 'its name';
is coding('/all/a.html', 'Accept-Encoding' => 'gzip, zstd, br'), 'br', 'all are wanted';
is coding('/all/a.html', 'Accept-Encoding' => 'gzip, zstd'), 'zstd', 'two are wanted';
is coding('/all/a.html', 'Accept-Encoding' => 'gzip;q=1, br;q=0.9, zstd;q=0.8'), 'gzip', 'one is wanted more';
is coding('/all/a.html', 'Accept-Encoding' => 'gzip;q=0.1, br;q=0, zstd;q=0.2'), 'zstd', 'another';
is coding('/all/only.html', 'Accept-Encoding' => 'gzip, zstd, br'), 'gzip', 'only one is there';
is vary('/all/only.html', 'Accept-Encoding' => 'br, gzip'), 'Accept-Encoding', 'Vary';

is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for ('gzip_static maybe;', 'brotli_static;', 'zstd_static x;', 'gzip_vary x;', 'gzip_http_version 2.0;', 'gzip_proxied x;',
    'gzip_disable;', 'gzip_disable "(";') {
	my ($code) = $w->test_conf("http { server { listen %PORT1%; $_ } }");
	is $code, 1, $_;
}
done_testing;
