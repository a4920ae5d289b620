#!/usr/bin/env perl
# upstream_queue.t - requests wait until a server of their group is free.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: queue

my $w = Weir->new;

# /hold waits for a byte of the body, and so for the test.
for my $n (2, 3) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			$c->note($q->{uri});
			if ($q->{uri} =~ m{/hold}) {
				my $file = $w->dir . "/go$n";
				Weir::wait_for(sub { -e $file }, 60);
			}
			$c->send("HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\n$n");
		}
	});
}

$w->start(<<'CONF');
worker_processes 1;
http {
	log_format q '$request_uri|$status|$upstream_addr|$upstream_queue_time';
	access_log %DIR%/access.log q;
	upstream one { server 127.0.0.1:%PORT2% max_conns=1; queue 2 timeout=600s; }
	upstream shared { zone z 64k; server 127.0.0.1:%PORT3% max_conns=1; queue 10 timeout=600s; }
	upstream soon { server 127.0.0.1:%PORT2% max_conns=1; queue 2 timeout=100ms; }
	upstream none { server 127.0.0.1:%PORT2% max_conns=1; }
	upstream dead { server 127.0.0.1:%PORT8%; server 127.0.0.1:%PORT9%; queue 1 timeout=100ms; }
	server {
		listen 127.0.0.1:%PORT1%;
		location /one/ { proxy_pass http://one; }
		location /shared/ { proxy_pass http://shared; }
		location /soon/ { proxy_pass http://soon; }
		location /none/ { proxy_pass http://none; }
		location /dead/ { proxy_pass http://dead; }
	}
}
CONF

sub ask
{
	my ($uri) = @_;
	my $c = $w->connect;
	$c->send("GET $uri HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	return $c;
}

sub asked { my ($n, $re) = @_; scalar grep /$re/, $w->origin_notes($n) }

# Holds the server of a group until release() is called.
sub hold
{
	my ($n, $uri) = @_;
	unlink $w->dir . "/go$n";
	my $before = asked($n, $uri);
	my $c = ask($uri);
	wait_for(sub { asked($n, $uri) > $before }) or die "$uri did not arrive";
	return $c;
}

sub release { my ($n) = @_; $w->write("go$n", '') }

subtest 'in order' => sub {
	my $held = hold(2, '/one/hold');
	my $first = ask('/one/a');
	my $gone = ask('/one/gone');
	is $w->get('/one/full')->status, 503, 'no room for more';
	$w->log_like(qr/the queue of upstream "one" is full: 2 requests wait/);
	$gone->reset;
	my @l = $w->access('access.log', 2);
	like $l[1], qr{^/one/gone\|499\|}, 'a client leaves';
	my $last = ask('/one/b');
	is asked(2, '/one/(a|b|gone)'), 0, 'nobody was served';
	release(2);
	is $held->response->status, 200;
	is $first->response->status, 200, 'served when it was free';
	is $last->response->status, 200;
	is join(' ', grep m{/one/[ab]}, $w->origin_notes(2)), '/one/a /one/b', 'in order';
	is asked(2, '/one/gone'), 0, 'nobody serves who left';
	my ($l) = grep m{^/one/b}, $w->access('access.log', 5);
	like $l, qr{\|200\|127\.0\.0\.1:\d+\|\d+\.\d{3}$}, 'how long it waited';
};

subtest 'shared' => sub {
	my $held = hold(3, '/shared/hold');
	my @wait = map ask("/shared/$_"), 1 .. 5;
	release(3);
	is $_->response->status, 200 for $held, @wait;
};

subtest 'in vain' => sub {
	my $held = hold(2, '/soon/hold');
	is $w->get('/soon/')->status, 503, 'until timeout';
	$w->log_like(qr/waited in vain for a server of upstream "soon"/);
	my $other = hold(2, '/none/hold');
	is $w->get('/none/')->status, 502, 'without a queue nobody waits';
	release(2);
	is $_->response->status, 200 for $held, $other;
	is $w->get('/dead/')->status, 502, 'all were tried';
	is $w->get('/dead/')->status, 503, 'none to be tried';
};

subtest 'mistakes' => sub {
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	for my $text ('0', 'x', '1 wrong', '1 timeout=x', '1 timeout=0') {
		my ($code) = $bad->test_conf("http { upstream u { server 127.0.0.1:9; queue $text; } }");
		is $code, 1, "queue $text";
	}
};

done_testing;
