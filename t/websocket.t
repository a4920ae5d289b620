#!/usr/bin/env perl
# websocket.t - Upgrade: without boilerplate in the configuration, bytes at every moment, ends of every kind.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: proxy_websocket proxy_read_timeout

my $w = Weir->new;

$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my ($name) = $q->{uri} =~ m{(\w+)$};
		my $u = $q->{headers}{upgrade} // '-';
		$c->note("$name upgrade=$u connection=" . ($q->{headers}{connection} // '-') .
		    ' key=' . ($q->{headers}{'sec-websocket-key'} // '-'));
		if ($name eq 'no200' || $name eq 'no426') {
			my $s = $name eq 'no200' ? '200 OK' : "426 Upgrade Required\r\nUpgrade: other\r\nConnection: upgrade";
			$c->send("HTTP/1.1 $s\r\nContent-Length: 2\r\n\r\nno");
			next;
		}
		$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: $u\r\nConnection: Upgrade\r\n" .
		    "Sec-WebSocket-Accept: yes\r\nX-Hop: 1\r\n\r\n" . ($name eq 'first' ? 'hello' : ''));
		if ($name eq 'echo' || $name eq 'first' || $name eq 'early') {
			for (;;) {
				my $data = $c->read_until(qr/\n/);
				last unless length $data;
				$c->send(uc $data);
			}
			$c->send("bye\n");	# after the client's end
			$c->half_close;
		} elsif ($name eq 'closes') {
			$c->send('done');
			$c->half_close;
			my $rest = $c->read_all;
			$c->note("after the end: $rest");
		} elsif ($name eq 'resets') {
			$c->read_until(qr/\n/);
			$c->reset;
		} elsif ($name eq 'big') {
			my $in = 0;
			for (1 .. 40) {
				my $d = $c->read_n(100000);
				$c->send($d);
				$in += length $d;
			}
			$c->note("big $in");
			$c->half_close;
		} elsif ($name eq 'watch') {
			$c->note('watching');
			$c->timeout(8);
			$c->eof;
			$c->note('saw ' . ($c->was_reset ? 'reset' : $c->timed_out ? 'nothing' : 'end'));
		}
		return;
	}
});
$w->start(<<'E');
http {
	log_format l "$request_uri $status $body_bytes_sent $upstream_status $upstream_bytes_received";
	access_log %DIR%/access.log l;
	upstream up { server 127.0.0.1:%PORT2%; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://up; }
		location /off/ { proxy_pass http://up; proxy_websocket off; proxy_read_timeout 500ms; }
		location /idle/ { proxy_pass http://up; proxy_read_timeout 600ms; }
		location /boiler/ {
			proxy_pass http://up;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
		}
	}
}
E

sub ask
{
	my ($uri, $more, %opt) = @_;
	my $c = $w->connect(%opt);
	$c->send("GET $uri HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n" .
	    "Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n" . ($more // ''));
	return $c;
}
sub notes { my ($re) = @_; scalar grep /$re/, $w->origin_notes(2) }

for my $at ('/', '/boiler/') {
	subtest "joined: $at" => sub {
		my $c = ask("${at}echo");
		my $r = $c->response;
		is $r->status, 101;
		is $r->header('Upgrade'), 'websocket';
		is lc $r->header('Connection'), 'upgrade';
		is $r->header('Sec-WebSocket-Accept'), 'yes';
		is +($w->origin_notes(2))[-1], 'echo upgrade=websocket connection=Upgrade key=k', 'what the upstream saw';
		for my $i (1 .. 3) {
			$c->send("line $i\n");
			is $c->read_until(qr/\n/), "LINE $i\n";
		}
		$c->half_close;
		is $c->read_all, "bye\n", 'our end, then theirs';
		ok !$c->was_reset, 'in order';
	};
}

subtest 'bytes together with the heads' => sub {
	my $c = ask('/first');
	is $c->response->status, 101;
	is $c->read_n(5), 'hello', 'behind the 101';
	$c->close;
	$c = ask('/early', "early\n");
	is $c->response->status, 101;
	is $c->read_until(qr/\n/), "EARLY\n", 'behind the request';
	$c->close;
};

for my $name (qw(no200 no426)) {
	subtest "S-31 no switch: $name" => sub {
		my $c = ask("/$name", "GET /no200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		my $r = $c->response;
		is $r->status, $name eq 'no200' ? 200 : 426;
		is $r->body, 'no', 'an ordinary answer';
		is $r->header('Sec-WebSocket-Accept'), undef;
		my $n = notes('upgrade=websocket');
		$r = $c->response;
		is $r && $r->body, 'no', 'what follows is HTTP';
		is +($w->origin_notes(2))[-1], 'no200 upgrade=- connection=- key=-', 'and nothing was tunnelled';
	};
}

subtest 'ends' => sub {
	my $c = ask('/closes');
	$c->response;
	is $c->read_n(4), 'done';
	ok $c->eof && !$c->was_reset, 'the upstream ends first';
	$c->send('more');
	$c->half_close;
	ok wait_for(sub { notes(qr/^after the end: more$/) }), 'the other direction goes on';

	$c = ask('/resets');
	is $c->response->status, 101;
	$c->send("now\n");
	ok $c->eof, 'a reset of the upstream ends it';

	for my $how (qw(close reset)) {
		my $n = notes(qr/^saw (?:end|reset)/);
		my $watching = notes(qr/^watching/);
		$c = ask('/watch');
		$c->response;
		ok wait_for(sub { notes(qr/^watching/) > $watching });
		my $begin = time;
		$c->$how;
		ok wait_for(sub { notes(qr/^saw (?:end|reset)/) > $n }), "the client leaves: $how";
		cmp_ok time - $begin, '<', slack(1.5);
	}
};

subtest 'much in both directions' => sub {
	my $c = ask('/big');
	$c->response;
	my $out = 'x' x 100000;
	my $in = '';
	for (1 .. 40) {
		$c->send($out);
		$in .= $c->read_n(100000);
	}
	is length $in, 4000000;
	$c->half_close;
	is $c->read_all, '';
	ok wait_for(sub { notes(qr/^big 4000000/) });
};

subtest 'idle' => sub {
	my $begin = time;
	my $c = ask('/idle/watch');
	is $c->response->status, 101;
	ok $c->eof, 'proxy_read_timeout ends an idle tunnel';
	cmp_ok time - $begin, '>', 0.55;
	cmp_ok time - $begin, '<', slack(2);
	$w->log_like(qr/nothing moved in the tunnel for 600 ms/);
	$c = ask('/idle/echo');
	$c->response;
	for (1 .. 5) {
		select undef, undef, undef, 0.2;	# shorter than the timeout, together longer
		$c->send("x\n");
		is $c->read_until(qr/\n/), "X\n", 'what moves is not idle';
	}
	$c->close;
};

subtest 'proxy_websocket off' => sub {
	my $c = ask('/off/no200');
	is $c->response->body, 'no';
	is +($w->origin_notes(2))[-1], 'no200 upgrade=- connection=- key=k', 'the upstream is not asked';
	$c->close;
	$c = ask('/off/echo');
	is $c->response->status, 502, 'nor believed';
};

subtest 'many at once' => sub {
	my @c = map ask('/echo'), 1 .. 30;
	is scalar(grep { $_->response->status == 101 } @c), 30;
	$_->send("a\n") for @c;
	is join('', map $_->read_until(qr/\n/), @c), "A\n" x 30;
	$_->close for @c;
};

subtest 'in the log' => sub {
	my @l = $w->access;
	ok scalar(grep m{^/first 101 9 101 123$}, @l), 'status and bytes' or diag @l;
	ok scalar(grep m{^/big 101 4000000 101 4000114$}, @l);
};

is $w->stop, 0, 'a clean end';
done_testing;
