#!/usr/bin/perl
# autoindex: listings of folders, whatever the names in them, and however many.

use strict;
use warnings;

use lib 't/lib';
use POSIX qw(mkfifo strftime);
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: autoindex autoindex_exact_size autoindex_format autoindex_localtime

my $w = Weir->new;
my $d = $w->dir;
my %files = ('file' => "abc", '.hidden' => '', 'sp ace' => '', 'q?uest' => '', 'pct%41' => '', 'col:on' => '',
    'lt<gt>&amp"q' => '', 'quote\'x' => '', '0' x 60 => '', '>' x 60 => '', "bad\xff" => '', "tab\tnl\nx" => '',
    'back\\slash' => '', "cr\rx" => '', "ctl\x01" => '', "\xd1\x84" x 45 => '', "\xd1\x84" x 60 => '', '1' x 50 => '',
    'http:' => '', 'javascript:alert(1)' => '');
$w->write("www/d/$_", $files{$_}) for keys %files;
$w->write('www/d/zdir/x', '');
$w->write('www/d/' . '9' x 50 . '/x', '');
symlink 'file', "$d/www/d/link" or die $!;
symlink 'zdir', "$d/www/d/dirlink" or die $!;
symlink 'nowhere', "$d/www/d/dangling" or die $!;
mkfifo("$d/www/d/fifo", 0644) or die $!;
my $when = 1577934245;	# Thu, 02 Jan 2020 03:04:05 GMT
utime $when, $when, glob("$d/www/d/*"), "$d/www/d/sp ace";
$w->write('www/sizes/' . $_, '') for 'a9999', 'b10000', 'c1048575', 'd1048576', 'e3000000', 'f1073741823', 'g1073741824', 'h5368709120';
for (glob "$d/www/sizes/*") {
	truncate $_, /.(\d+)$/ ? $1 : 0 or die $!;
	utime $when, $when, $_;
}
$w->write('www/empty/.x', '');
$w->write('www/index/index.html', "index\n");
$w->write('www/off/x', '');
$w->write('www/a<b&"/x', '');
$w->write('www/closed/x', '');
chmod 0, "$d/www/closed";
mkdir "$d/www/many";
for (1 .. 3000) {
	open my $fh, '>', sprintf "%s/www/many/n%05d", $d, (7919 * $_) % 3001 or die $!;
}
$w->start(<<'E', env => { TZ => 'XYZ-5:30' });
env TZ;
http {
	root %DIR%/www;
	autoindex on;
	keepalive_requests 1000000;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /off/ { autoindex off; }
		location /round/ { alias %DIR%/www/; autoindex_exact_size off; autoindex_localtime on; }
		location /xml/ { alias %DIR%/www/; autoindex_format xml; }
		location /json/ { alias %DIR%/www/; autoindex_format json; }
		location /jsonp/ { alias %DIR%/www/; autoindex_format jsonp; }
		location /nolinks/ { alias %DIR%/www/; disable_symlinks on from=%DIR%; autoindex_format json; }
		location /page/ { alias %DIR%/www/nothing/; error_page 404 /many/; }
	}
}
E

# ---- HTML ----

my $r = $w->get('/d/');
is $r->status, 200, 'a listing';
is $r->header('Content-Type'), 'text/html', 'its type';
is $r->header('Content-Length'), undef, 'its length is not known before';
ok $r->complete, 'complete';
my $page = $r->body;
like $page, qr{^<html>\r\n<head><title>Index of /d/</title></head>\r\n<body>\r\n<h1>Index of /d/</h1><hr><pre><a href="../">../</a>\r\n}, 'its begin';
like $page, qr{</pre><hr></body>\r\n</html>\r\n\z}, 'its end';
my ($list) = $page =~ m{\.\./</a>\r\n(.*)</pre>}s;
my @lines = split /\r\n/, $list;
my %line = map { m{^<a href="([^"]+)">} ? ($1 => $_) : ('?' => $_) } @lines;
is $line{file}, sprintf('<a href="file">file</a>%47s02-Jan-2020 03:04%20s', '', 3), 'a file';
is $line{'zdir/'}, sprintf('<a href="zdir/">zdir/</a>%46s02-Jan-2020 03:04%20s', '', '-'), 'a folder';
like $line{'dirlink/'}, qr{>dirlink/</a>.* -$}, 'a link to a folder';
like $line{link}, qr{>link</a>.* 3$}, 'a link to a file';
like $line{dangling}, qr{>dangling</a>.* 7$}, 'a link to nothing';
ok !exists $line{'.hidden'}, 'no hidden file';
like $line{'sp%20ace'}, qr{>sp ace</a>}, 'a space';
like $line{'q%3Fuest'}, qr{>q\?uest</a>}, 'a question mark';
like $line{'pct%2541'}, qr{>pct%41</a>}, 'a percent sign';
like $line{'lt%3Cgt%3E%26amp%22q'}, qr{>lt&lt;gt&gt;&amp;amp&quot;q</a>}, 'markup';
like $line{'quote%27x'}, qr{>quote'x</a>}, 'an apostrophe';
like $line{'javascript%3Aalert%281%29'}, qr{>javascript:alert\(1\)</a>}, 'no scheme';
like $line{'bad%FF'}, qr{>bad\xff</a>}, 'no UTF-8';
like $line{'ctl%01'}, qr{>ctl\x01</a>}, 'a control character';
is $line{'0' x 60}, '<a href="' . '0' x 60 . '">' . '0' x 47 . '..&gt;</a> 02-Jan-2020 03:04' . ' ' x 19 . '0', 'a long name';
like $line{'%3E' x 60}, qr{">(?:&gt;){47}\.\.&gt;</a> 0}, 'a long name of markup';
like $line{'1' x 50}, qr{">1{50}</a> 0}, 'just short enough';
like $line{'9' x 50 . '/'}, qr{">9{50}</a> 0}, 'a folder without room for its slash';
like $line{'%D1%84' x 45}, qr{">(?:\xd1\x84){45}</a> {6}0}, 'UTF-8 counts signs';
like $line{'%D1%84' x 60}, qr{">(?:\xd1\x84){47}\.\.&gt;</a> 0}, 'a long name of UTF-8';
my @names = map { m{^<a href="([^"]+)">} } @lines;
is_deeply [grep m{/$}, @names[0 .. 2]], ['9' x 50 . '/', 'dirlink/', 'zdir/'], 'folders first';
is_deeply [@names[3 .. $#names]], [map { s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger }
    sort grep !/^\./, keys(%files), 'link', 'dangling', 'fifo'], 'by name';
is scalar(grep !m{^<a href="[^"<>]*">[^<"]*</a> +\d\d-\w{3}-\d{4} \d\d:\d\d +[\d-]+$}s, @lines), 0, 'no markup is left';
like $w->get('/a%3Cb&%22/')->body, qr{<title>Index of /a&lt;b&amp;&quot;/</title>.*<h1>Index of /a&lt;b&amp;&quot;/</h1>}s, 'the path';
is $w->get('/empty/')->body, "<html>\r\n<head><title>Index of /empty/</title></head>\r\n<body>\r\n<h1>Index of /empty/</h1><hr><pre><a href=\"../\">../</a>\r\n</pre><hr></body>\r\n</html>\r\n", 'an empty folder';

my $round = $w->get('/round/sizes/')->body;
for (['a9999', '   9999'], ['b10000', '    10K'], ['c1048575', '  1024K'], ['d1048576', '     1M'], ['e3000000', '     3M'],
    ['f1073741823', '  1024M'], ['g1073741824', '     1G'], ['h5368709120', '     5G']) {
	like $round, qr{>$_->[0]</a> +02-Jan-2020 08:34 $_->[1]\r\n}, "rounded, local time: $_->[0]";
}
like $w->get('/sizes/')->body, qr{>h5368709120</a> +02-Jan-2020 03:04          5368709120\r\n}, 'exact, UTC';
like $w->get('/round/d/')->body, qr{>zdir/</a> +02-Jan-2020 08:34       -\r\n}, 'a folder';

# ---- XML, JSON ----

$r = $w->get('/xml/d/');
is $r->header('Content-Type'), 'text/xml; charset=utf-8', 'XML: its type';
my $xml = $r->body;
like $xml, qr{^<\?xml version="1.0"\?>\r\n<list>\r\n<directory mtime="2020-01-02T03:04:05Z">9{50}</directory>\r\n}, 'its begin';
like $xml, qr{</list>\r\n\z}, 'its end';
like $xml, qr{<file mtime="2020-01-02T03:04:05Z" size="3">file</file>\r\n}, 'a file';
like $xml, qr{<other mtime="2020-01-02T03:04:05Z">fifo</other>\r\n}, 'something else';
like $xml, qr{>lt&lt;gt&gt;&amp;amp&quot;q</file>}, 'markup';
like $xml, qr{>bad\xef\xbf\xbd</file>}, 'no UTF-8';
like $xml, qr{>ctl\xef\xbf\xbd</file>}, 'what XML does not have';
like $xml, qr{>cr&#13;x</file>}, 'what it would change';
is $w->get('/xml/empty/')->body, "<?xml version=\"1.0\"?>\r\n<list>\r\n</list>\r\n", 'an empty folder';

$r = $w->get('/json/d/');
is $r->header('Content-Type'), 'application/json', 'JSON: its type';
my $json = $r->body;
like $json, qr{^\[\r\n\{ "name":"9{50}", "type":"directory", "mtime":"Thu, 02 Jan 2020 03:04:05 GMT" \},\r\n}, 'its begin';
like $json, qr{ \}\r\n\]\z}, 'its end';
like $json, qr{\{ "name":"file", "type":"file", "mtime":"Thu, 02 Jan 2020 03:04:05 GMT", "size":3 \}}, 'a file';
like $json, qr{\{ "name":"fifo", "type":"other", "mtime":"[^"]+" \}}, 'something else';
like $json, qr{"name":"lt<gt>&amp\\"q"}, 'a quote';
like $json, qr{"name":"back\\\\slash"}, 'a backslash';
like $json, qr{"name":"tab\\tnl\\nx"}, 'control characters';
SKIP: {
	eval { require JSON::PP; 1 } or skip 'no JSON::PP', 1;
	my $v = eval { JSON::PP->new->utf8->decode($json) };
	is scalar(@{ $v // [] }), keys(%files) - 1 + 6, 'it can be read';
}
is $w->get('/json/empty/')->body, "[\r\n\r\n]", 'an empty folder';

$r = $w->get('/jsonp/empty/?a=b&callback=my.call_1');
is $r->header('Content-Type'), 'application/javascript', 'JSONP: its type';
is $r->body, "/* callback */\r\nmy.call_1([\r\n\r\n]);", 'a call';
$r = $w->get('/jsonp/empty/');
is $r->header('Content-Type'), 'application/json', 'without a name: JSON';
is $r->body, "[\r\n\r\n]", 'alone';
is $w->get("/jsonp/empty/?callback=$_")->status, 400, "no name: $_" for 'a(b', 'a%61', 'x;y', "a'b", 'a-b';
is $w->get('/json/empty/?callback=x')->body, "[\r\n\r\n]", 'JSON knows no callback';

# ---- requests ----

$r = $w->request('HEAD', '/d/');
is $r->status, 200, 'HEAD';
is $r->header('Content-Type'), 'text/html', 'its type';
is $w->request('POST', '/d/', [], 'x')->status, 403, 'POST';
is $w->get('/d')->status, 301, 'without the slash';
is $w->get('/off/')->status, 403, 'off';
is $w->get('/index/')->body, "index\n", 'an index comes first';
is $w->get('/nothing/')->status, 404, 'nothing there';
is $w->get('/d/file/')->status, 404, 'below a file';
is $w->get('/closed/')->status, 403, 'closed';

# ---- links ----

$json = $w->get('/nolinks/d/')->body;
like $json, qr{"name":"link", "type":"other"}, 'disable_symlinks: what is behind a link is not told';
like $json, qr{"name":"dirlink", "type":"other"}, 'nor for a folder';
like $w->get('/nolinks/d/dirlink/')->status, qr/^40[34]$/, 'nor is it listed';
is $w->get('/d/dirlink/')->status, 200, 'but without it';

# ---- many ----

$r = $w->get('/many/');
my @got = $r->body =~ m{<a href="(n\d+)">}g;
is scalar(@got), 3000, 'all of many';
is_deeply \@got, [map sprintf('n%05d', $_), 1 .. 3000], 'in order';
my $early = $w->connect;
$early->send("GET /many/ HTTP/1.1\r\nHost: x\r\n\r\n");
$early->reset;
is scalar(() = $w->get('/page/')->body =~ m{<a href="(n\d+)">}g), 3000, 'as an error page';
my $c = $w->connect;
for my $n (1, 2) {
	$c->send("GET /many/ HTTP/1.1\r\nHost: x\r\n\r\n");
	is length $c->response->body, length $r->body, "on one connection: $n";
}
$c->close;

mkdir "$d/www/huge";
for (1 .. 56_000) {
	open my $fh, '>', sprintf '%s/www/huge/%s%06d', $d, 'x' x 240, $_ or die $!;
}
my $load = $w->background(sub {
	my ($stop) = @_;
	my ($worst, $n) = (0, 0);
	my $k = $w->connect;
	until ($stop->()) {
		my $begin = time;
		$k->send("GET /index/ HTTP/1.1\r\nHost: x\r\n\r\n");
		$k->response->body eq "index\n" or return { worst => 99 };
		my $took = time - $begin;
		$worst = $took if $took > $worst;
		$n++;
	}
	return { worst => $worst, n => $n };
});
$r = $w->get('/huge/');
my $others = $load->finish;
ok $r->complete, 'too many: a whole page';
my $count = () = $r->body =~ /<a href="x/g;
cmp_ok $count, '>', 40_000, 'with many of them';
cmp_ok $count, '<', 56_000, 'but not all';
$w->log_like(qr{directory index of "$d/www/huge" ends after $count entries: it would take more than 16 megabytes}, 'which is logged');
cmp_ok $others->{worst} // 99, '<', slack(2), 'others were not held up' or diag explain $others;
SKIP: {
	my ($pid) = $w->worker_pids;
	opendir my $fds, "/proc/$pid/fd" or skip 'the descriptors of the worker cannot be seen', 1;
	ok wait_for(sub { !grep { (readlink($_) // '') =~ m{/www/} } glob "/proc/$pid/fd/*" }), 'no folder is left open';
}
is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for ('autoindex maybe;', 'autoindex_format yaml;', 'autoindex_exact_size;', 'autoindex_localtime 1;') {
	my ($code) = $w->test_conf("http { server { listen %PORT1%; $_ } }");
	is $code, 1, $_;
}
done_testing;
