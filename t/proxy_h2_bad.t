#!/usr/bin/perl

# HTTP/2 towards upstreams that break its rules, or flood: security rows S-40 to S-56.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;

sub ok_head { (':status' => 200) }

# What the upstream does with a request, by its path: frames by hand.
my %does = (
	nostatus => sub { $_[0]->fields($_[1], ['x' => 'y'], 1) },
	status2 => sub { $_[0]->fields($_[1], [':status' => 200, ':status' => 200], 1) },
	statusbad => sub { $_[0]->fields($_[1], [':status' => '20x'], 1) },
	status101 => sub { $_[0]->fields($_[1], [':status' => 101], 0); $_[0]->data($_[1], 'x', 1) },
	statusend => sub { $_[0]->fields($_[1], [':status' => 103], 1) },
	pseudo => sub { $_[0]->fields($_[1], [ok_head, ':path' => '/'], 1) },
	behind => sub { $_[0]->fields($_[1], ['x' => 'y', ':status' => 200], 1) },
	upper => sub { $_[0]->fields($_[1], [ok_head, 'X-Upper' => 'y'], 1) },
	space => sub { $_[0]->fields($_[1], [ok_head, 'x y' => 'z'], 1) },
	noname => sub { $_[0]->fields($_[1], [ok_head, '' => 'z'], 1) },
	crlf => sub { $_[0]->fields($_[1], [ok_head, 'x-a' => "a\r\nSet-Cookie: evil=1"], 1) },
	nul => sub { $_[0]->fields($_[1], [ok_head, 'x-a' => "a\0b"], 1) },
	connection => sub { $_[0]->fields($_[1], [ok_head, 'connection' => 'close'], 1) },
	coding => sub { $_[0]->fields($_[1], [ok_head, 'transfer-encoding' => 'chunked'], 0); $_[0]->data($_[1], "0\r\n\r\n", 1) },
	lengths => sub { $_[0]->fields($_[1], [ok_head, 'content-length' => 1, 'content-length' => 2], 0); $_[0]->data($_[1], 'x', 1) },
	lengthbad => sub { $_[0]->fields($_[1], [ok_head, 'content-length' => '+1'], 0); $_[0]->data($_[1], 'x', 1) },
	lengthhuge => sub { $_[0]->fields($_[1], [ok_head, 'content-length' => '9' x 30], 0); $_[0]->data($_[1], 'x', 1) },
	lengthend => sub { $_[0]->fields($_[1], [ok_head, 'content-length' => 5], 1) },
	early => sub { $_[0]->data($_[1], 'x', 1) },
	big => sub { $_[0]->fields($_[1], [ok_head, map { ("x-$_" => 'y' x 1000) } 1 .. 15], 1) },
	many => sub { $_[0]->fields($_[1], [ok_head, map { ("x-$_" => '') } 1 .. 1100], 1) },
	interims => sub { my ($h, $sid) = @_; $h->fields($sid, [':status' => 103, link => '</a>'], 0) for 1 .. 30; $h->respond($sid, 200, [], 'x') },
	# the body
	long => sub { $_[0]->fields($_[1], [ok_head, 'content-length' => 3], 0); $_[0]->data($_[1], 'abcdef', 1) },
	short => sub { $_[0]->fields($_[1], [ok_head, 'content-length' => 30], 0); $_[0]->data($_[1], 'abc', 1) },
	trailer => sub { $_[0]->respond($_[1], 200, [], 'abc', trailers => ['Upper' => 1]) },
	trailerpseudo => sub { $_[0]->respond($_[1], 200, [], 'abc', trailers => [':status' => 200]) },
	trailermore => sub { my ($h, $sid) = @_; $h->respond($sid, 200, [], 'abc', more => 1); $h->fields($sid, ['x' => 1], 0); $h->data($sid, '', 1) },
	nobody => sub { $_[0]->respond($_[1], 204, [], 'abc') },
	reset => sub { my ($h, $sid) = @_; $h->respond($sid, 200, [], 'abc', more => 1); $h->rst($sid, 2) },
	refused => sub { $_[0]->rst($_[1], 2) },
	# the connection
	junk => sub { $_[0]{c}->send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n") },
	push => sub { my ($h, $sid) = @_; $h->frame(5, 4, $sid, pack('N', 2) . $h->block(':method' => 'GET', ':path' => '/', ':scheme' => 'http', ':authority' => 'a')) },
	size => sub { my ($h, $sid) = @_; $h->frame(4, 0, 0, 'abc') },
	hpack => sub { my ($h, $sid) = @_; $h->frame(1, 5, $sid, "\xff\xff\xff\xff\xff\xff\xff\xff") },
	window => sub { my ($h, $sid) = @_; $h->window(0x7fffffff) for 1 .. 2 },
	window0 => sub { my ($h, $sid) = @_; $h->window(0) },
	streamwindow0 => sub { my ($h, $sid) = @_; $h->window(0, $sid) },
	idle => sub { my ($h, $sid) = @_; $h->data($sid + 100, 'x', 0) },
	pings => sub { my ($h, $sid) = @_; $h->frame(6, 0, 0, 'ABCDEFGH' x 1) for 1 .. 3000 },
	settings => sub { my ($h, $sid) = @_; $h->settings(3 => 100) for 1 .. 3000 },
	empty => sub { my ($h, $sid) = @_; $h->fields($sid, [ok_head], 0); $h->data($sid, '', 0) for 1 .. 3000 },
	windows => sub { my ($h, $sid) = @_; $h->window(1, $sid) for 1 .. 3000 },
	unknown => sub { my ($h, $sid) = @_; $h->frame(0x55, 0, 0, 'x' x 1000) for 1 .. 500 },
	continuation => sub { my ($h, $sid) = @_; $h->frame(1, 1, $sid, $h->block(ok_head)); $h->frame(9, 0, $sid, '') for 1 .. 1000 },
	flow => sub { my ($h, $sid) = @_; $h->fields($sid, [ok_head], 0); $h->frame(0, 0, $sid, 'x' x 16384) for 1 .. 200; my ($f) = grep { $_->{type} == 3 } $h->read_until(sub { $_[0]{type} == 3 }); $h->{c}->note('reset ' . unpack 'N', $f->{payload}) if $f },
);

$w->origin(9, sub {
	my ($c) = @_;
	my $h = Weir::H2->server($c) or return;
	$h->credit(0);
	while (my $q = $h->read_request) {
		my ($what) = $q->{fields}{':path'} =~ /^\/(\w+)/;
		$c->note($q->{fields}{':path'});
		if ($does{$what}) {
			$does{$what}->($h, $q->{sid});
		} else {
			$h->respond($q->{sid}, 200, [], 'fine');
		}
	}
});

$w->start(<<'E');
http {
	access_log %DIR%/access.log;
	server {
		listen 127.0.0.1:%PORT1%;
		proxy_http_version 2;
		proxy_next_upstream off;
		proxy_read_timeout 60s;
		proxy_buffer_size 8k;
		proxy_pass_trailers on;
		early_hints 1;
		location / { proxy_pass http://127.0.0.1:%PORT9%; }
		location /flow { proxy_pass http://127.0.0.1:%PORT9%; proxy_buffers 2 4k; limit_rate 1; }
	}
}
E

# 502 and what the log says; afterwards everything goes on.
sub refuses
{
	my ($what, $log) = @_;
	my $r = $w->get("/$what");
	is defined $r ? $r->status : 'none', 502, "$what: 502";
	ok $w->wait_log(qr/\[error\].*$log.* upstream: "http:[^"]*\/$what"/), "$what: the log says why";
	is $w->get('/fine')->body, 'fine', "$what: the next one is served";
}

refuses('nostatus', 'upstream sent no :status header');
refuses('status2', 'upstream sent duplicate :status header');
refuses('statusbad', 'upstream sent invalid :status "20x"');
refuses('status101', 'upstream sent unexpected :status "101"');
refuses('statusend', 'upstream sent an interim response that ends the stream');
refuses('pseudo', 'upstream sent an unknown pseudo-header field');
refuses('behind', 'upstream sent a pseudo-header field behind others');
refuses($_, 'upstream sent invalid header: invalid name of a field') for qw(upper space noname);
refuses($_, 'upstream sent invalid header: invalid value of "x-a"') for qw(crlf nul);
refuses('connection', 'upstream sent invalid header: a field about the connection, "connection"');
refuses('coding', 'upstream sent invalid header: a field about the connection, "transfer-encoding"');
refuses('lengths', 'upstream sent two different Content-Length header fields');
refuses($_, 'upstream sent invalid "Content-Length" header') for qw(lengthbad lengthhuge);
refuses('lengthend', 'upstream sent Content-Length without a body');
refuses('early', 'upstream broke the rules of HTTP\/2');
refuses($_, 'upstream sent too big header') for qw(big many);
refuses('interims', 'upstream sent too many interim responses');
refuses('refused', 'upstream rejected request with error 2');
refuses('streamwindow0', 'upstream broke the rules of HTTP\/2: WINDOW_UPDATE');

# Whatever its version, a body that is not whole must not look whole.
sub cuts
{
	my ($what, $log) = @_;
	my $text = $w->http("GET /$what HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	ok $text =~ /^HTTP\/1.1 502 / || ($text =~ /^HTTP\/1.1 200 / && $text !~ /\r\n0\r\n/ &&
	    !($text =~ /Content-Length: (\d+)\r\n.*\r\n\r\n(.*)/is && $1 == length $2)), "$what: cut" or diag $text;
	ok $w->wait_log(qr/\[error\].*$log.* upstream: "http:[^"]*\/$what"/), "$what: the log says why";
	is $w->get('/fine')->body, 'fine', "$what: the next one is served";
}

cuts('long', 'upstream sent response body larger than indicated content length');
cuts('short', 'upstream prematurely closed stream: the body is shorter than Content-Length says');
cuts('trailer', 'upstream sent invalid header: invalid name of a field');
cuts('trailerpseudo', 'upstream sent a pseudo-header field among the trailers');
cuts('trailermore', 'upstream sent trailers that are not the end');
cuts('reset', 'upstream rejected request with error 2');
my $r = $w->get('/nobody');
is $r->status == 204 || $r->status == 502, 1, 'a body with 204: refused, or not passed on';
is $r->status == 204 ? $r->body : '', '', 'none of it is passed on';

# What ends the connection.
refuses('junk', 'upstream (broke the rules of HTTP\/2|sent what HTTP\/2 does not allow)');
refuses('push', 'upstream sent unexpected push promise frame');
refuses($_, 'upstream broke the rules of HTTP\/2') for qw(size hpack window window0 idle);
refuses($_, 'upstream flooded the connection with SETTINGS or PING frames') for qw(pings settings);
refuses('windows', 'upstream flooded the connection with frames');
refuses('unknown', 'upstream flooded the connection with unknown frames');
refuses('continuation', 'upstream sent too many CONTINUATION frames');
cuts('empty', 'upstream flooded the connection with empty frames');

# More than the windows allow, to a client that hardly reads.
my $slow = $w->connect;
$slow->send("GET /flow HTTP/1.1\r\nHost: a\r\n\r\n");
ok wait_for(sub { grep { $_ eq 'reset 3' } $w->origin_notes(9) }), 'windows are kept to';
$slow->close;
is $w->get('/fine')->body, 'fine', 'the next one is served';

done_testing;
