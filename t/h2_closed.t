#!/usr/bin/perl

# HTTP/2: frames on streams that are closed (RFC 9113, 5.1), by whom, and what is still right then.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;
$w->write('www/text', "text\n");
$w->write('www/big', 'x' x 300_000);
$w->start(<<'E');
http {
	root %DIR%/www;
	http2 on;
	server { listen 127.0.0.1:%PORT1%; lingering_close off; }
	server { listen 127.0.0.1:%PORT2%; }
}
E

sub h2 { Weir::H2->new($w->connect(port => $_[0] // 1)) }

# One that is over on both sides.
sub done_with
{
	my ($h) = @_;
	my $sid = $h->get('/text');
	$h->response($sid);
	return $sid;
}

sub ends_with
{
	my ($h, $code, $what) = @_;
	my $g = $h->goaway // { code => 'none' };
	is $g->{code}, $code, $what;
	ok $h->eof, "$what: the end";
}

my $request = sub { my $h = shift; $h->block(@{ $h->head('GET', '/text') }) };
use constant { PROTOCOL_ERROR => 1, STREAM_CLOSED => 5, FRAME_SIZE_ERROR => 6 };

subtest 'ended by the client' => sub {
	my $h = h2();
	$h->data(done_with($h), 'test', 1);
	ends_with($h, STREAM_CLOSED, 'DATA');
	$h = h2();
	$h->frame(1, 5, done_with($h), $request->($h));
	ends_with($h, STREAM_CLOSED, 'HEADERS');
	$h = h2();
	my $sid = $h->get('/big');
	$h->data($sid, 'test', 1);
	ends_with($h, STREAM_CLOSED, 'DATA, half closed');
	$w->log_like(qr/client broke the rules of HTTP\/2: a frame on a closed stream/, 'is told');
};

subtest 'reset by the client' => sub {
	for my $frame ('DATA', 'HEADERS') {
		my $h = h2();
		$h->credit(0);
		my $sid = $h->request($h->head('GET', '/big'), more => 1);
		$h->rst($sid);
		$frame eq 'DATA' ? $h->data($sid, 'test', 1) : $h->frame(1, 5, $sid, $request->($h));
		ends_with($h, STREAM_CLOSED, $frame);
	}
};

subtest 'numbers' => sub {
	my $h = h2();
	$h->{next} = 5;
	done_with($h);
	$h->frame(1, 5, 3, $request->($h));
	ends_with($h, PROTOCOL_ERROR, 'one that was passed over');
	$h = h2();
	$h->data(7, 'test', 1);
	ends_with($h, PROTOCOL_ERROR, 'one that is not open yet');
	$h = h2();
	$h->frame(1, 5, 2, $request->($h));
	ends_with($h, PROTOCOL_ERROR, 'an even one');
};

subtest 'frames that are too large' => sub {
	my $times = 0;
	for (['DATA', 0], ['HEADERS', 1], ['SETTINGS', 4], ['of another type', 99]) {
		my ($what, $type) = @$_;
		my $h = h2();
		my $sid = $h->request($h->head('POST', '/text'), more => 1);
		$h->frame($type, 0, $type == 4 ? 0 : $sid, 'x' x 100_000);
		ends_with($h, FRAME_SIZE_ERROR, $what);
		$times++;
		ok wait_for(sub { $times == (() = $w->log_text =~ /broke the rules of HTTP\/2: a frame that is too large/g) }), "$what is told";
	}
	$w->log_unlike(qr/unknown frames/, 'and taken for nothing else');
};

subtest 'what is right' => sub {
	my $h = h2();
	my $sid = done_with($h);
	$h->window(1, $sid);
	$h->rst($sid);
	$h->frame(2, 0, $sid, pack 'NC', 0, 1);
	is $h->response($h->get('/text'))->{body}, "text\n", 'WINDOW_UPDATE, RST_STREAM, PRIORITY';
	for my $n (1 .. 3) {		# more than a window in sum
		$sid = $h->request($h->head('POST', '/text'), more => 1);
		my $r = $h->response($sid);
		is $r->{status}, 405;
		$h->read_until(sub { $_[0]{type} == 3 && $_[0]{sid} == $sid });
		$h->data($sid, 'x' x 60000);
		$h->frame(1, 5, $sid, $h->block(a => 1)) if $n == 2;
		is $h->response($h->get('/text'))->{body}, "text\n", 'what was on its way when we reset';
	}
};

for (['malformed', [], 5, ':method' => 'POST'], ['not the end', [], 4, a => 1], ['too early', ['content-length' => 5], 5, a => 1]) {
	my ($what, $head, $flags, @trailer) = @$_;
	subtest "S-60 trailers of a request that was answered: $what" => sub {
		my $h = h2(2);
		my $code;
		for (1 .. 10) {		# after a second the rest is not wanted any more, whatever it is
			my $sid = $h->request($h->head('POST', '/text', @$head), body => 'test', more => 1);
			is $h->response($sid)->{status}, 405;
			$h->frame(1, $flags, $sid, $h->block(@trailer));
			my ($rst) = grep { $_->{type} == 3 } $h->read_until(sub { $_[0]{type} == 3 });
			$code = unpack 'N', $rst->{payload} // '';
			last if $code != 0;
		}
		is $code, PROTOCOL_ERROR, 'a reset that says so';
		is $h->response($h->get('/text'))->{body}, "text\n", 'others go on';
	};
}

done_testing;
