#!/usr/bin/perl
# gzip: responses are compressed while they are sent.

use strict;
use warnings;

use lib 't/lib';
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use Weir;
use Test::More;

# effect: gzip gzip_types gzip_comp_level gzip_min_length gzip_buffers

my $w = Weir->new;
my $long = join '', map "line $_ of many lines, all much alike\n", 1 .. 20_000;
$w->write('www/a.html', $long);
$w->write('www/a.txt', $long);
$w->write('www/short.html', 'x' x 30);
$w->write('www/tiny.html', 'x' x 19);
$w->write('www/404.html', 'nobody here, nobody at all');
$w->start(<<'E');
http {
	types { text/html html; text/plain txt; }
	log_format ratio '$uri $gzip_ratio';
	gzip on;
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		access_log %DIR%/access.log ratio;
		location / { error_page 404 /404.html; }
		location /off/ { alias %DIR%/www/; gzip off; }
		location /types/ { alias %DIR%/www/; gzip_types text/plain; }
		location /best/ { alias %DIR%/www/; gzip_comp_level 9; }
		location /min/ { alias %DIR%/www/; gzip_min_length 31; }
		location /buffers/ { alias %DIR%/www/; gzip_buffers 1 100; }
		location /vary/ { alias %DIR%/www/; gzip_vary on; }
		location /sub/ { alias %DIR%/www/; sub_filter alike similar; sub_filter_once off; }
		location /up/ { proxy_pass http://127.0.0.1:%PORT2%/; gzip_types text/event-stream; gzip_proxied any; }
		location /teapot { default_type text/html; return 418 "short and stout, short and stout"; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	if ($q->{uri} =~ /events/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
		for my $n (1 .. 3) {
			$c->send("8\r\ndata: $n\n\r\n");
			$c->read_n(1) if $n < 3;	# not before the client has it
		}
		$c->send("0\r\n\r\n");
	} elsif ($q->{uri} =~ /coded/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: br\r\nContent-Length: 30\r\n\r\n" . 'b' x 30);
	} elsif ($q->{uri} =~ /etag/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\nContent-Length: 30\r\n\r\n" . 'b' x 30);
	} elsif ($q->{uri} =~ /empty/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
	} elsif ($q->{uri} =~ /cut/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n" . 'b' x 30);
	}
	$c->close;
});

my @takes = ('Accept-Encoding' => 'gzip');

sub unzip
{
	my ($r) = @_;
	my ($in, $out) = ($r->body);
	gunzip(\$in, \$out) or return "no gzip: $GunzipError";
	return $out;
}

my $r = $w->get('/a.html', @takes);
is $r->header('Content-Encoding'), 'gzip', 'a file';
is $r->header('Content-Length'), undef, 'of unknown length';
like $r->header('ETag'), qr{^W/"}, 'its ETag is weakened';
is $r->header('Accept-Ranges'), undef, 'no ranges';
is $r->header('Vary'), undef, 'no Vary';
ok unzip($r) eq $long, 'the same text';
ok length $r->body < length($long) / 5, 'shorter';
my $usual = length $r->body;
ok wait_for(sub { (($w->access)[-1] // '') =~ m{^/a\.html \d+\.\d\d$} }), '$gzip_ratio';
my ($ratio) = +($w->access)[-1] =~ / ([\d.]+)$/;
is $ratio, sprintf('%.2f', length($long) / $usual), 'as it is';

is $w->get('/a.html')->header('Content-Encoding'), undef, 'not for clients that do not ask';
is $w->get('/a.html', 'Accept-Encoding' => 'gzip;q=0')->header('Content-Encoding'), undef, 'or refuse';
is $w->get('/a.html', @takes, Range => 'bytes=0-3')->status, 200, 'a range is not cut out';
is $w->get('/a.txt', @takes)->header('Content-Encoding'), undef, 'other types';
is $w->get('/types/a.txt', @takes)->header('Content-Encoding'), 'gzip', 'gzip_types';
is $w->get('/types/a.html', @takes)->header('Content-Encoding'), 'gzip', 'text/html is among them';
is $w->get('/off/a.html', @takes)->header('Content-Encoding'), undef, 'off';
ok length $w->get('/best/a.html', @takes)->body < $usual, 'gzip_comp_level';
ok unzip($w->get('/buffers/a.html', @takes)) eq $long, 'gzip_buffers';
is unzip($w->get('/short.html', @takes)), 'x' x 30, 'a short file';
is $w->get('/tiny.html', @takes)->header('Content-Encoding'), undef, 'a shorter one';
is $w->get('/min/short.html', @takes)->header('Content-Encoding'), undef, 'gzip_min_length';
is $w->get('/vary/a.html')->header('Vary'), 'Accept-Encoding', 'gzip_vary';
is $w->get('/vary/a.html', @takes)->header('Vary'), 'Accept-Encoding', 'for all';
is $w->get('/vary/a.txt', @takes)->header('Vary'), undef, 'not of other types';
$r = $w->get('/nothing', @takes);
is $r->status, 404, 'an error page';
is unzip($r), 'nobody here, nobody at all', 'is compressed';
is $w->get('/teapot', @takes)->header('Content-Encoding'), undef, 'other statuses are not';
$r = $w->request('HEAD', '/a.html', [@takes]);
is $r->header('Content-Encoding'), 'gzip', 'HEAD says the same';
is $r->header('Content-Length'), undef, 'without a length';
like unzip($w->get('/sub/a.html', @takes)), qr/all much similar\n\z/, 'after sub_filter';

is $w->get('/up/coded', @takes)->header('Content-Encoding'), 'br', 'what is compressed already';
$r = $w->get('/up/etag', @takes);
is unzip($r), 'b' x 30, 'a proxied response with a charset';
is $r->header('ETag'), 'W/"x"', 'its ETag';
is $r->header('Accept-Ranges'), undef, 'its Accept-Ranges';
$r = $w->get('/up/empty', @takes);
is $r->header('Content-Encoding') ? unzip($r) : $r->body, '', 'an empty one';
my $cut = $w->http("GET /up/cut HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
unlike $cut, qr/\r\n0\r\n\r\n\z/, 'one cut short is cut short';

# a stream of events is one still
require Compress::Raw::Zlib;
my ($z) = Compress::Raw::Zlib::Inflate->new(WindowBits => 31, AppendOutput => 1);
my $c = $w->connect;
$c->send("GET /up/events HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n");
my $head = $c->read_until(qr/\r\n\r\n/);
like $head, qr/Content-Encoding: gzip/, 'events are compressed';
my $text = '';
until ($text =~ /data: 1\n/) {
	my $size = $c->read_until(qr/\r\n/) or last;
	$size =~ s/\r\n//;
	my $part = $c->read_n(hex $size) . '';
	$c->read_n(2);
	$z->inflate($part, $text);
}
is $text, "data: 1\n", 'and come at once';
$c->close;

for (['gzip_comp_level 10;', qr/gzip_comp_level/], ['gzip_buffers 0 4k;', qr/gzip_buffers/],
    ['gzip_types text/html;', qr/duplicate MIME type "text\/html"/]) {
	my $bad = Weir->new;
	$bad->expect_alert(qr/./);
	my ($code, undef, $err) = $bad->test_conf("http { $_->[0] }");
	like $err, $_->[1], $_->[0];
}

done_testing;
