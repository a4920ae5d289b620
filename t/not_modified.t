#!/usr/bin/perl
# Conditional requests.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: if_modified_since etag

my $w = Weir->new;
my $now = time;
$w->write('html/t.txt', "text\n");
utime $now - 1000, $now - 1000, $w->dir . '/html/t.txt';
$w->write('html/page.html', "precondition\n");
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /before/ { alias html/; if_modified_since before; }
		location /off/ { alias html/; if_modified_since off; }
		location /no-etag/ { alias html/; etag off; }
		location /page/ { alias html/; error_page 412 /page.html; }
		location /made { add_header ETag '"made"'; return 200 made; }
	}
}
E

sub date { my @t = gmtime $_[0]; POSIX::strftime('%a, %d %b %Y %H:%M:%S GMT', @t) }
use POSIX ();

my $r = $w->get('/t.txt');
my ($tag, $date) = map $r->header($_), qw(ETag Last-Modified);
is $date, date($now - 1000), 'Last-Modified';

sub get { my ($name, $value, @more) = @_; return $w->get('/t.txt', $name => $value, @more)->status }

$r = $w->get('/t.txt', 'If-Modified-Since' => $date);
is $r->status, 304, 'If-Modified-Since: the date';
is $r->reason, 'Not Modified', 'reason';
is $r->body, '', 'no body';
is $r->header($_), undef, "no $_" for qw(Content-Length Content-Type Accept-Ranges);
is $r->header('ETag'), $tag, 'the tag';
is $r->header('Last-Modified'), $date, 'the date';
is get('If-Modified-Since', date($now)), 200, 'exact: a later date is another';
is get('If-Modified-Since', date($now - 2000)), 200, 'an earlier date';
is get('If-Modified-Since', 'yesterday'), 200, 'no date';
my @t = gmtime($now - 1000);
is get('If-Modified-Since', POSIX::strftime('%A, %d-%b-%y %H:%M:%S GMT', @t)), 304, 'RFC 850';
is get('If-Modified-Since', POSIX::strftime('%a %b %e %H:%M:%S %Y', @t)), 304, 'asctime';
is $w->get('/before/t.txt', 'If-Modified-Since' => date($now))->status, 304, 'before: a later date';
is $w->get('/before/t.txt', 'If-Modified-Since' => $date)->status, 304, 'before: the date';
is $w->get('/before/t.txt', 'If-Modified-Since' => date($now - 2000))->status, 200, 'before: an earlier date';
is $w->get('/off/t.txt', 'If-Modified-Since' => $date)->status, 200, 'off';

is get('If-None-Match', $tag), 304, 'If-None-Match: the tag';
is get('If-None-Match', "W/$tag"), 304, 'weak';
is get('If-None-Match', "\"a\", $tag ,\"b\""), 304, 'on a list';
is get('If-None-Match', '*'), 304, 'star';
is get('If-None-Match', '"a,b", "c"'), 200, 'another';
is get('If-None-Match', substr $tag, 1, -1), 200, 'without quotes';
is $w->get('/no-etag/t.txt', 'If-None-Match' => $tag)->status, 200, 'no tag to compare with';
is $w->get('/off/t.txt', 'If-None-Match' => $tag)->status, 304, 'if_modified_since is about dates';
is get('If-None-Match', '"x"', 'If-Modified-Since' => $date), 200, 'the tag decides (RFC 9110, 13.1.3)';
is get('If-None-Match', $tag, 'If-Modified-Since' => date($now)), 304, 'in both directions';
is $w->request('HEAD', '/t.txt', ['If-None-Match' => $tag])->status, 304, 'HEAD';

is get('If-Unmodified-Since', $date), 200, 'If-Unmodified-Since: the date';
is get('If-Unmodified-Since', date($now)), 200, 'a later date';
is get('If-Unmodified-Since', date($now - 2000)), 412, 'an earlier date';
is get('If-Unmodified-Since', 'x'), 200, 'no date';
is get('If-Match', $tag), 200, 'If-Match: the tag';
is get('If-Match', '*'), 200, 'star';
is get('If-Match', "\"x\", $tag"), 200, 'on a list';
is get('If-Match', '"x"'), 412, 'another';
is get('If-Match', "W/$tag"), 412, 'weakly is not enough';
is get('If-Match', $tag, 'If-Unmodified-Since' => date($now - 2000)), 200, 'the tag decides';
is $w->get('/no-etag/t.txt', 'If-Match' => $tag)->status, 412, 'no tag to compare with';
$r = $w->get('/t.txt', 'If-Match' => '"x"');
is $r->reason, 'Precondition Failed', 'reason';
like $r->body, qr/412 Precondition Failed/, 'its page';
is $w->get('/nothing', 'If-Match' => '"x"')->status, 404, 'an error is not conditional';

$r = $w->get('/page/t.txt', 'If-Match' => '"x"');
is $r->status, 412, 'error_page 412';
is $r->body, "precondition\n", 'its page';
is $w->get('/made', 'If-None-Match' => '"made"')->status, 200, 'a made up response is not conditional';

# both at once: 304 before 206
is $w->get('/t.txt', 'If-None-Match' => $tag, Range => 'bytes=0-1')->status, 304, 'a condition comes before Range';
is $w->get('/t.txt', 'If-Match' => $tag, Range => 'bytes=0-1')->status, 206, 'and then Range';

# several requests over one connection
my $c = $w->connect;
$c->send("GET /t.txt HTTP/1.1\r\nHost: x\r\nIf-None-Match: $tag\r\n\r\n" x 2 .
    "GET /t.txt HTTP/1.1\r\nHost: x\r\n\r\n");
is_deeply [map $c->response->status, 1 .. 3], [304, 304, 200], 'pipelined';

is $w->stop, 0, 'stop';
done_testing;
