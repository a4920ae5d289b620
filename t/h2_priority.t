#!/usr/bin/perl

# HTTP/2: which response goes first (RFC 9218): the field Priority, PRIORITY_UPDATE, and what older clients say.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;
$w->write("www/$_", $_ x 60_000) for 'a' .. 'f';
$w->start(<<'E');
http {
	http2 on;
	http2_chunk_size 4k;
	root %DIR%/www;
	server {
		listen 127.0.0.1:%PORT1%;
		location /last/ { alias %DIR%/www/; add_header Priority u=7; }
		location /first/ { alias %DIR%/www/; add_header Priority u=0; }
	}
}
E

# All is asked for while nothing may be sent; then the window of the connection is opened.
sub order
{
	my ($h, @sid) = @_;
	$h->credit(0);
	my %open = map { $_ => 1 } @sid;
	my $s = '';
	$h->window(1_000_000);
	$h->read_until(sub {
		my ($f) = @_;
		return 0 unless $f->{type} == 0 && $open{ $f->{sid} };
		my $c = length $f->{payload} ? substr $f->{payload}, 0, 1 : '';
		$s .= $c if $c ne substr $s, -1;
		delete $open{ $f->{sid} } if $f->{flags} & 1;
		return !keys %open;
	});
	return $s;
}

# A connection with no window of its own, and streams with large ones.
sub shut
{
	my (@settings) = @_;
	my $h = Weir::H2->new($w->connect, settings => [4 => 1_000_000, @settings]);
	$h->credit(0);
	my $sid = $h->get('/f');
	$h->get('/f');		# these take all of the window
	my $got = 0;
	$h->read_until(sub { $got += length $_[0]{payload} if $_[0]{type} == 0; $got >= 65535 });
	is $got, 65535;
	$h->rst(3), $h->rst($sid);
	return $h;
}

sub asked
{
	my ($h, @list) = @_;
	my @sid = map { ref $_ ? $h->get(@$_) : $h->get($_) } @list;
	$h->ping('in order');
	$h->read_until(sub { $_[0]{type} == 6 && $_[0]{flags} & 1 });
	return @sid;
}

sub update { my ($h, $sid, $value) = @_; $h->frame(0x10, 0, 0, pack('N', $sid) . $value) }
sub taken { my ($h, @list) = @_; order($h, asked($h, @list)) }

subtest 'urgency' => sub {
	is taken(shut(), ['/a', priority => 'u=5'], ['/b', priority => 'u=1'], ['/c', priority => 'u=3']), 'bca';
	is taken(shut(), ['/a', priority => 'u=4'], '/b', ['/c', priority => 'u=2']), 'cba', '3, when nothing is said';
	is taken(shut(), ['/a', priority => 'u=9, x'], ['/b', priority => 'u=2']), 'ba', 'nonsense is passed over';
};

subtest 'in parts' => sub {
	is taken(shut(), ['/a', priority => 'u=3'], ['/b', priority => 'u=3']), 'ab', 'one after the other';
	like taken(shut(), ['/a', priority => 'u=3, i'], ['/b', priority => 'u=3, i']), qr/^(ab){5,}/, 'in turns';
	like taken(shut(), ['/a', priority => 'i'], ['/b', priority => 'i'], ['/c', priority => 'u=2, i=?0']), qr/^c(ab){5,}/;
	like taken(shut(), '/a', '/b'), qr/^(ab){5,}/, 'in turns, when nothing is said';
	my $h = shut();
	my @sid = map { asked($h, $_) } '/a', '/b', '/c';
	like order($h, @sid), qr/^(abc){5,}/, 'also with one that was there alone';
	$h = shut();
	@sid = asked($h, '/a');
	push @sid, asked($h, ['/b', priority => 'u=2']);
	is order($h, @sid), 'ba', 'which does not make it the first';
};

subtest 'PRIORITY_UPDATE' => sub {
	my $h = shut();
	my @sid = asked($h, ['/a', priority => 'u=1'], ['/b', priority => 'u=2'], ['/c', priority => 'u=3']);
	update($h, $sid[0], 'u=6');
	update($h, $sid[2], 'u=0');
	is order($h, @sid), 'cba';
	$h = shut();
	update($h, $h->{next} + 2, 'u=0');
	is taken($h, ['/a', priority => 'u=1'], ['/b', priority => 'u=6']), 'ba', 'before the request, and stronger than it';
	$h = shut();
	update($h, 0, 'u=0');
	is $h->goaway->{code}, 1, 'of no stream: PROTOCOL_ERROR';
	$h = shut();
	$h->frame(0x10, 0, 5, pack('N', 5) . 'u=1');
	is $h->goaway->{code}, 1, 'on a stream: PROTOCOL_ERROR';
};

subtest 'what the response says' => sub {
	is taken(shut(), '/last/a', '/b', '/first/c'), 'cba';
	is taken(shut(), ['/last/a', priority => 'u=1'], ['/b', priority => 'u=2']), 'ba', 'it knows better';
};

sub priority { my ($h, $sid, $on, $weight, $exclusive) = @_; $h->frame(2, 0, $sid, pack 'NC', $on | ($exclusive ? 1 << 31 : 0), $weight) }

subtest 'signals of RFC 7540' => sub {
	my $h = shut();
	my @sid = asked($h, '/a', '/b');
	priority($h, $sid[0], 0, 0);
	priority($h, $sid[1], 0, 255);
	is order($h, @sid), 'ba', 'weights';
	$h = shut();
	@sid = asked($h, '/a', '/b', '/c');
	priority($h, $sid[0], $sid[1], 15);
	priority($h, $sid[1], $sid[2], 15);
	is order($h, @sid), 'cba', 'dependencies';
	$h = shut();
	@sid = asked($h, '/a', '/b', '/c');
	priority($h, $sid[$_], 0, 15) for 0 .. 2;
	priority($h, $sid[2], 0, 15, 1);
	like order($h, @sid), qr/^c(ab)+/, 'exclusive';
	$h = shut();
	@sid = asked($h, ['/a', priority => 'u=2'], '/b');
	priority($h, $sid[0], $sid[1], 0);
	is order($h, @sid), 'ab', 'RFC 9218 is stronger';
	$h = shut(9 => 1);
	@sid = asked($h, '/a', '/b');
	priority($h, $sid[0], $sid[1], 0);
	like order($h, @sid), qr/^(ab){5,}/, 'SETTINGS_NO_RFC7540_PRIORITIES: they do not count';
	for (['of no stream', 0, 3], ['on itself', 3, 3]) {
		my ($what, $sid, $on) = @$_;
		$h = Weir::H2->new($w->connect);
		priority($h, $sid, $on, 1);
		is $h->goaway->{code}, 1, "$what: PROTOCOL_ERROR";
	}
	$h = Weir::H2->new($w->connect);
	$h->frame(2, 0, 1, 'abc');
	is $h->goaway->{code}, 6, 'too short: FRAME_SIZE_ERROR';
	$h = Weir::H2->new($w->connect);
	priority($h, 2 * $_ + 1, 2 * $_ + 3, $_) for 1 .. 200;
	is length $h->response($h->get('/a'))->{body}, 60_000, 'more than are kept';
};

done_testing;
