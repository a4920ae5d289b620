#!/usr/bin/perl
# Parts of files.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: max_ranges

my $w = Weir->new;
my $text = join '', map { sprintf "%03d-------", $_ } 0 .. 99;	# 1000 bytes
$w->write('html/t.txt', $text);
$w->write('html/empty', '');
my $big = join '', map { sprintf "%07d\n", $_ } 1 .. 100_000;
$w->write('html/big', $big);
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /none/ { alias html/; max_ranges 0; }
		location /two/ { alias html/; max_ranges 2; }
		location /copy/ { alias html/; sendfile off; }
		location /made { return 200 "made up"; }
	}
}
E

sub range { my ($range, @more) = @_; return $w->get('/t.txt', Range => $range, @more) }

sub one
{
	my ($range, $from, $to) = @_;
	my $r = range($range);
	is $r->status, 206, $range;
	is $r->header('Content-Range'), "bytes $from-$to/1000", 'which';
	is $r->header('Content-Length'), $to - $from + 1, 'how long';
	ok $r->body eq substr($text, $from, $to - $from + 1), 'what';
}

one 'bytes=0-9', 0, 9;
one 'bytes=0-0', 0, 0;
one 'bytes=990-', 990, 999;
one 'bytes=-10', 990, 999;
one 'bytes=-2000', 0, 999;
one 'bytes=100-5000', 100, 999;
one 'bytes=0-99999999999999999', 0, 999;
one 'Bytes=5-6', 5, 6;
one 'bytes= 5-6 ', 5, 6;
one 'bytes=5-6,', 5, 6;
one 'bytes=2000-3000, 5-6', 5, 6;
is $w->get('/t.txt', Range => 'bytes=0-9')->reason, 'Partial Content', 'reason';
is $w->get('/t.txt')->header('Accept-Ranges'), 'bytes', 'a whole says that parts can be had';

my $r = $w->request('HEAD', '/t.txt', [Range => 'bytes=0-9']);
is $r->status, 206, 'HEAD';
is $r->header('Content-Length'), 10, 'HEAD: length';

for ('bytes=1000-', 'bytes=5000-6000', 'bytes=-0', 'bytes=1000-2000,3000-', 'bytes=9-5',
    'bytes=x-y', 'bytes=5', 'bytes=-', 'bytes=1-2-3', 'bytes=1-x', 'bytes=,', 'bytes=99999999999999999999999-') {
	$r = range($_);
	is $r->status, 416, $_;
	is $r->header('Content-Range'), 'bytes */1000', 'how long it is';
}
is $w->get('/empty', Range => 'bytes=0-9')->status, 416, 'of an empty file nothing can be had';

for ('lines=0-9', 'bytes', 'bytes 0-9', '0-9') {
	$r = range($_);
	is $r->status, 200, "$_ is ignored";
	ok $r->body eq $text, 'the whole';
}

# ---- several ----

sub parts
{
	my ($r) = @_;
	my ($mark) = ($r->header('Content-Type') // '') =~ m{^multipart/byteranges; boundary=(\S+)$} or return;
	my @parts = split /\r\n--\Q$mark\E/, $r->body;
	my $end = pop @parts;
	return unless $end eq "--\r\n" && shift @parts eq '';
	return map { m{^\r\nContent-Type: text/plain\r\nContent-Range: (\S+ \S+)\r\n\r\n(.*)\z}s ? [$1, $2] : [$_] } @parts;
}

for my $where ('/t.txt', '/copy/t.txt') {
	$r = $w->get($where, Range => 'bytes=0-4, 500-509,-3');
	is $r->status, 206, 'several';
	is $r->header('Content-Length'), length $r->body, 'length';
	is $r->header('Content-Range'), undef, 'no range of its own';
	is_deeply [parts($r)], [['bytes 0-4/1000', '000--'], ['bytes 500-509/1000', '050-------'],
	    ['bytes 997-999/1000', '---']], 'the parts';
}
$r = range('bytes=0-4, 2000-, 6-7');
is_deeply [parts($r)], [['bytes 0-4/1000', '000--'], ['bytes 6-7/1000', '--']], 'what cannot be had is left out';
$r = $w->get('/big', Range => 'bytes=0-99999,200000-299999');
is length $r->body, $r->header('Content-Length'), 'large parts';
ok index($r->body, substr $big, 200_000, 100_000) > 0, 'are there';

is range('bytes=0-,0-')->status, 200, 'more than the whole is the whole';
is range('bytes=' . join ',', ('0-') x 500)->status, 200, 'however often';
is range('bytes=' . join ',', map "$_-$_", 0 .. 99)->status, 206, 'many small ones';
is $w->get('/two/t.txt', Range => 'bytes=0-0,2-2')->status, 206, 'max_ranges';
is $w->get('/two/t.txt', Range => 'bytes=0-0,2-2,4-4')->status, 200, 'more than max_ranges';
$r = $w->get('/none/t.txt', Range => 'bytes=0-0');
is $r->status, 200, 'max_ranges 0';
is $r->header('Accept-Ranges'), undef, 'does not offer them';
$r = $w->get('/made', Range => 'bytes=0-0');
is $r->status, 200, 'a made up response has no parts';
is $r->header('Accept-Ranges'), undef, 'and says so';
is $w->get('/copy/t.txt', Range => 'bytes=3-4')->body, '--', 'sendfile off';

# ---- If-Range ----

$r = $w->get('/t.txt');
my ($tag, $date) = map $r->header($_), qw(ETag Last-Modified);
is range('bytes=0-9', 'If-Range' => $tag)->status, 206, 'If-Range: the tag';
is range('bytes=0-9', 'If-Range' => $date)->status, 206, 'If-Range: the date';
is range('bytes=0-9', 'If-Range' => $_)->status, 200, "If-Range: $_"
    for '"x"', "W/$tag", '"', 'x', 'Sun, 06 Nov 1994 08:49:37 GMT';
is range('bytes=5000-', 'If-Range' => '"x"')->status, 200, 'no 416 then';

is $w->stop, 0, 'stop';
done_testing;
