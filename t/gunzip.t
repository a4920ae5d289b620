#!/usr/bin/perl
# gunzip: what comes compressed is unpacked for clients that do not take it so.

use strict;
use warnings;

use lib 't/lib';
use IO::Compress::Gzip qw(gzip);
use Weir;
use Test::More;

# effect: gunzip gunzip_buffers gunzip_max_ratio gunzip_max_size

sub zip
{
	my ($text) = @_;
	gzip(\$text, \my $out, -Level => 9) or die 'gzip';
	return $out;
}

my $long = join '', map "line $_ of many lines, all much alike\n", 1 .. 50_000;
my $zipped = zip($long);
my %body = (
	plain => $zipped, two => zip('one ') . zip('two'), empty => zip(''), none => '',
	bad => substr($zipped, 0, 2000) . 'x' x 100 . substr($zipped, 2100), early => substr($zipped, 0, -20),
	junk => zip('text') . 'junk', bomb => zip("\0" x 20_000_000), deep => zip('ab' x 1_000_000),
);
my $w = Weir->new;
$w->start(<<'E');
http {
	gunzip on;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /off/ { gunzip off; proxy_pass http://127.0.0.1:%PORT2%; }
		location /buffers/ { gunzip_buffers 1 100; proxy_pass http://127.0.0.1:%PORT2%; }
		location /vary/ { gzip_vary on; proxy_pass http://127.0.0.1:%PORT2%; }
		location /ratio/ { gunzip_max_ratio 0; proxy_pass http://127.0.0.1:%PORT2%; }
		location /low/ { gunzip_max_ratio 10; proxy_pass http://127.0.0.1:%PORT2%; }
		location /size/ { gunzip_max_size 1m; gunzip_max_ratio 0; proxy_pass http://127.0.0.1:%PORT2%; }
		location /sub/ { sub_filter alike similar; sub_filter_once off; proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my ($name) = $q->{uri} =~ m{(\w+)$};
	my $coding = $q->{uri} =~ /br/ ? 'br' : 'GZip';
	my $body = $body{$name} // 'xxxx';
	my $head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: $coding\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\n";
	if ($q->{uri} =~ /bytes/) {
		$c->send("${head}Transfer-Encoding: chunked\r\n\r\n");
		$c->send("1\r\n$_\r\n") for split //, $body{two};
		$c->send("0\r\n\r\n");
	} elsif ($q->{uri} =~ /events/) {
		$c->send("${head}Transfer-Encoding: chunked\r\n\r\n");
		require Compress::Raw::Zlib;
		my ($z) = Compress::Raw::Zlib::Deflate->new(-WindowBits => 31);
		my $part = '';
		$z->deflate('event 1', $part);
		my $rest = '';
		$z->flush($rest, Compress::Raw::Zlib::Z_SYNC_FLUSH());
		$part .= $rest;
		$c->send(sprintf "%x\r\n%s\r\n", length $part, $part);
		$c->read_n(1);
	} else {
		$c->send("${head}Content-Length: " . length($body) . "\r\n\r\n");
		$c->send($body) if $q->{method} ne 'HEAD';
	}
	$c->close;
});

# The body of what may be cut short, and whether it was whole.
sub body_of
{
	my ($uri) = @_;
	my $text = $w->http("GET $uri HTTP/1.0\r\n\r\n");
	$text =~ s/^.*?\r\n\r\n//s;
	my $whole = $w->http("GET $uri HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") =~ /\r\n0\r\n\r\n\z/;
	return ($text, $whole ? 'whole' : 'cut');
}

my $r = $w->get('/plain');
is $r->header('Content-Encoding'), undef, 'unpacked';
is $r->header('Content-Length'), undef, 'of unknown length';
is $r->header('ETag'), 'W/"x"', 'its ETag is weakened';
is $r->header('Accept-Ranges'), undef, 'no ranges';
is $r->header('Vary'), undef, 'no Vary';
ok $r->body eq $long, 'the text';
$r = $w->get('/plain', 'Accept-Encoding' => 'gzip');
is $r->header('Content-Encoding'), 'GZip', 'not for clients that take it';
ok $r->body eq $zipped, 'as it came';
is $r->header('ETag'), '"x"', 'with its ETag';
is $w->get('/off/plain')->header('Content-Encoding'), 'GZip', 'off';
is $w->get('/br/x')->body, 'xxxx', 'another coding';
is $w->get('/vary/plain')->header('Vary'), 'Accept-Encoding', 'gzip_vary';
ok $w->get('/buffers/plain')->body eq $long, 'gunzip_buffers';
is $w->get('/two')->body, 'one two', 'several members';
is $w->get('/bytes/two')->body, 'one two', 'byte by byte';
is $w->get('/empty')->body, '', 'an empty text';
is $w->get('/none')->body, '', 'nothing at all';
is $w->request('HEAD', '/plain')->header('Content-Encoding'), undef, 'HEAD says the same';
like $w->get('/sub/plain')->body, qr/all much similar\n\z/, 'before sub_filter';

my $c = $w->connect;
$c->send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
ok $c->read_until(qr/event 1/), 'what came is passed on at once';
$c->close;

is +(body_of('/bad'))[1], 'cut', 'malformed';
$w->log_like(qr/a compressed response is malformed/, 'it is logged');
my ($text, $whole) = body_of('/early');
is $whole, 'cut', 'ends too early';
ok $text =~ /line 1\d\d\d of many/, 'what there is, is given';
$w->log_like(qr/a compressed response ended too early/, 'it is logged');
is +(body_of('/junk'))[1], 'cut', 'something behind it';

($text, $whole) = body_of('/bomb');
is $whole, 'cut', 'a bomb';
cmp_ok length $text, '<', 2_000_000, 'is not unpacked';
$w->log_like(qr/becomes larger than gunzip_max_ratio allows/, 'it is logged');
is length +(body_of('/ratio/bomb'))[0], 20_000_000, 'unless the limit is off';
is +(body_of('/low/deep'))[1], 'cut', 'a lower ratio';
($text, $whole) = body_of('/size/deep');
is $whole, 'cut', 'gunzip_max_size';
cmp_ok length $text, '<', 1_500_000, 'bounds it';
$w->log_like(qr/becomes larger than gunzip_max_size/, 'it is logged');

my $bad = Weir->new;
$bad->expect_alert(qr/./);
my ($code) = $bad->test_conf('http { gunzip_buffers x 4k; }');
isnt $code, 0, 'wrong buffers';

done_testing;
