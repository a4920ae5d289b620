#!/usr/bin/perl

# Header blocks of HTTP/2 upstreams: in pieces of all kinds, and with strings that are padded too much.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;

# ":status: 200" and "x-word: application/grpc" with a word whose last octet is padding, and "x-none: " that is nothing else.
my $word = pack 'H*', '8c1d75d0620d263d4c4d6564ff';
my $block = "\x88" . "\x40\x06x-word$word" . "\x00\x06x-none\x81\xff";

sub end { my ($h, $sid, $text) = @_; $h->data($sid, $text // 'body', 1) }

# As the upstream sends it, by the path.
my %does = (
	plain => sub { my ($h, $sid) = @_; $h->frame(1, 4, $sid, $block); end($h, $sid) },
	padding => sub { my ($h, $sid) = @_; $h->frame(1, 4 | 8, $sid, "\x05$block" . "\0" x 5); end($h, $sid) },
	priority => sub { my ($h, $sid) = @_; $h->frame(1, 4 | 8 | 32, $sid, "\x02\0\0\0\0\x10$block\0\0"); end($h, $sid) },
	pieces => sub {
		my ($h, $sid) = @_;
		my @part = split //, $block;
		$h->frame(1, 8 | 32, $sid, "\x03\0\0\0\0\x10" . shift(@part) . "\0\0\0");
		$h->frame(9, @part == 1 ? 4 : 0, $sid, shift @part) while @part;
		end($h, $sid);
	},
	octets => sub {
		my ($h, $sid) = @_;
		my $bytes = pack('NCCN', 0, 0, 0, 0);
		$bytes = substr(pack('N', length $block), 1) . pack('CCN', 1, 4, $sid) . $block;
		for my $octet (split //, $bytes) {
			$h->{c}->send($octet);
			select undef, undef, undef, 0.002;	# each a segment of its own, if the kernel likes
		}
		end($h, $sid);
	},
	empty => sub { my ($h, $sid) = @_; $h->frame(1, 0, $sid, ''); $h->frame(9, 4, $sid, $block); end($h, $sid) },
	trailers => sub { my ($h, $sid) = @_; $h->frame(1, 4, $sid, "\x88"); $h->data($sid, 'body', 0); $h->frame(1, 5, $sid, "\x40\x06x-word$word") },
	two => sub { my ($h, $sid) = @_; $h->frame(1, 4, $sid, "\x88\x40\x06x-word" . pack('H*', '8d1d75d0620d263d4c4d6564ffff')); end($h, $sid) },
	wide => sub { my ($h, $sid) = @_; $h->frame(1, 4 | 8, $sid, "\x50$block"); end($h, $sid) },
	other => sub { my ($h, $sid) = @_; $h->frame(1, 0, $sid, $block); $h->frame(9, 4, $sid + 2, ''); end($h, $sid) },
	between => sub { my ($h, $sid) = @_; $h->frame(1, 0, $sid, $block); $h->frame(6, 0, 0, 'ABCDEFGH'); $h->frame(9, 4, $sid, ''); end($h, $sid) },
	many => sub { my ($h, $sid) = @_; $h->frame(1, 0, $sid, $block); $h->frame(9, 0, $sid, '') for 1 .. 80 },
	large => sub { my ($h, $sid) = @_; $h->frame(1, 0, $sid, $block); $h->frame(9, 0, $sid, "\x00\x01x\x7f\x81\x7c" . 'y' x 16000) for 1 .. 5 },
	long => sub {	# the middle one is longer than a frame
		my ($h, $sid) = @_;
		my $field = "\x00\x01x\x7f\x81\x7c" . 'y' x 16000;
		my $long = "\x00\x01x\x7f\xc1\xb7\x02" . 'y' x 40000;
		my $head = $block . $field . $long . $field;
		$h->frame(1, 0, $sid, substr $head, 0, 16384, '');
		$h->frame(9, length $head > 16384 ? 0 : 4, $sid, substr $head, 0, 16384, '') while length $head;
		end($h, $sid);
	},
);

$w->origin(9, sub {
	my ($c) = @_;
	my $h = Weir::H2->server($c) or return;
	while (my $q = $h->read_request) {
		my ($what) = $q->{fields}{':path'} =~ /^\/(\w+)/;
		$does{$what} ? $does{$what}->($h, $q->{sid}) : $h->respond($q->{sid}, 200, [], 'fine');
	}
});

$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		proxy_http_version 2;
		proxy_next_upstream off;
		proxy_pass_trailers on;
		location / { proxy_pass http://127.0.0.1:%PORT9%; }
		location /long { proxy_pass http://127.0.0.1:%PORT9%; proxy_buffer_size 100k; proxy_buffers 4 100k; proxy_busy_buffers_size 100k; }
	}
}
E

for my $what (qw(plain padding priority pieces octets empty)) {
	my $r = $w->get("/$what");
	is $r->status, 200, "$what: 200";
	is $r->header('X-Word'), 'application/grpc', "$what: a string padded by an octet too many";
	is $r->header('X-None'), '', "$what: one that is nothing but padding";
	is $r->body, 'body', "$what: the body";
	is $w->get('/fine')->body, 'fine', "$what: the connection goes on";
}
my $r = $w->get('/long');
is $r->status, 200, 'a large head, where it may be large';
is $r->header('X-Word'), 'application/grpc', 'is mended, too';
is $r->body, 'body';
my $text = $w->http("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close\r\n\r\n");
like $text, qr/\r\n0\r\nx-word: application\/grpc\r\n\r\n$/i, 'in trailers';

for (['two', 'broke the rules of HTTP\/2'], ['wide', 'broke the rules of HTTP\/2: HEADERS: invalid padding'],
    ['other', '(?:broke the rules of|sent what) HTTP\/2'], ['between', '(?:broke the rules of|sent what) HTTP\/2'],
    ['many', 'sent too many CONTINUATION frames'], ['large', 'sent too many CONTINUATION frames']) {
	my ($what, $log) = @$_;
	is $w->get("/$what")->status, 502, "$what: 502";
	ok $w->wait_log(qr/\[error\].*upstream $log.*"http:[^"]*\/$what"/), "$what: the log says why";
	is $w->get('/fine')->body, 'fine', "$what: the next one is served";
}
is $w->stop, 0, 'the end';
done_testing;
