#!/usr/bin/perl
# A request that has no answer for a while is sent to a second server as well.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::Metrics;

# effect: proxy_hedge

my $w = Weir->new;

# The URI tells what server N does: ...&N=hang waits until it is left; with ok it answers; go, fail, 503: that, once it may.
for my $n (2, 3) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			my ($id, $what) = $q->{uri} =~ /id=(\w+)/ ? $1 : '';
			($what) = $q->{uri} =~ /$n=(\w+)/ or die $q->{uri};
			$c->note("asked $id $q->{method} $q->{body}");
			if ($what eq 'hang') {
				$c->timeout(120);
				$c->note("left $id") if $c->eof;
				return;
			}
			wait_for(sub { defined $c->{weir}->read("go-$id-$n") }) unless $what eq 'ok';
			return if $what eq 'fail';
			my $status = $what eq '503' ? 503 : 200;
			$c->send("HTTP/1.1 $status X\r\nContent-Length: 1\r\n\r\n$n");
		}
	});
}
$w->start(<<'E');
worker_processes 1;
http {
	log_format up '$uri $status $upstream_addr $upstream_status';
	access_log %DIR%/access.log up;
	proxy_read_timeout 5m;
	proxy_hedge 100ms;
	upstream two { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0 backup; zone a 1m; keepalive 0; }
	upstream spent { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0 backup; zone a; keepalive 0; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://two; }
		location /all/ { proxy_pass http://two; proxy_next_upstream error timeout http_503 non_idempotent; }
		location /off/ { proxy_pass http://two; proxy_hedge 0; proxy_read_timeout 500ms; proxy_next_upstream off; }
		location /short/ { proxy_pass http://two; proxy_read_timeout 500ms; proxy_next_upstream off; }
		location /once/ { proxy_pass http://two; proxy_read_timeout 500ms; proxy_next_upstream_tries 1; }
		location /spent/ { proxy_pass http://spent; proxy_read_timeout 500ms; proxy_next_upstream off; proxy_retry_budget 1% min=0; }
		location /total/ { proxy_pass http://two; proxy_total_timeout 500ms; }
	}
	server { listen 127.0.0.1:%PORT5%; access_log off; metrics; }
}
E

my ($two, $three) = map '127.0.0.1:' . $w->port($_), 2, 3;
my ($id, $lines) = ('a', 0);
sub asked { my ($n, $more) = @_; return scalar grep /^asked $id\b/, $w->origin_notes($n) }
sub both_asked { return wait_for(sub { asked(2) && asked(3) }) }
sub left { my ($n) = @_; return wait_for(sub { grep $_ eq "left $id", $w->origin_notes($n) }) }
sub go { my ($n) = @_; $w->write("go-$id-$n", '') }
sub logged { my @l = $w->access('access.log', ++$lines); return $l[$lines - 1] }

# Sends the request; whoever wants reads the response later.
sub begin
{
	my ($at, $do, $method, $body) = @_;
	my $c = $w->connect;
	$id++;
	$body //= '';
	$c->send(($method // 'GET') . " $at?id=$id&$do HTTP/1.1\r\nHost: a\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body");
	return $c;
}

subtest 'the second server is first' => sub {
	my $c = begin('/', '2=hang&3=ok');
	is $c->response->body, 3;
	ok left(2), 'the other exchange is ended';
	is logged(), "/ 200 $two, $three -, 200", 'both are in the log';
	$w->log_like(qr/no answer for 100 ms, another server is asked as well/);
};

subtest 'the first server is first' => sub {
	my $c = begin('/', '2=go&3=hang');
	ok both_asked();
	go(2);
	is $c->response->body, 2;
	ok left(3);
	is logged(), "/ 200 $three, $two -, 200";
};

subtest 'one fails' => sub {
	my $c = begin('/', '2=fail&3=go');
	ok both_asked();
	go(2);
	$w->log_like(qr/prematurely closed.*id=$id&/);
	go(3);
	is $c->response->body, 3, 'the first';
	is logged(), "/ 200 $two, $three 502, 200";
	$c = begin('/', '2=go&3=fail');
	ok both_asked();
	go(3);
	$w->log_like(qr/prematurely closed.*id=$id&/);
	go(2);
	is $c->response->body, 2, 'the second';
	is logged(), "/ 200 $three, $two 502, 200";
	$c = begin('/', '2=fail&3=fail');
	ok both_asked();
	go($_) for 2, 3;
	is $c->response->status, 502, 'both';
	like logged(), qr{^/ 502 \S+, \S+ 502, 502$}, 'and nobody is asked twice';
	is asked($_), 1 for 2, 3;
	$c = begin('/all/', '2=503&3=go');
	ok both_asked();
	go(2);
	ok wait_for(sub { metric('upstream_responses_total', class => '5xx') }), 'a status that proxy_next_upstream names';
	go(3);
	is $c->response->body, 3;
	is logged(), "/all/ 200 $two, $three 503, 200";
	$c = begin('/', '2=503&3=hang');
	ok both_asked();
	go(2);
	is $c->response->status, 503, 'others are answers';
	logged();
};

sub metric
{
	my ($name, %labels) = @_;
	return Weir::Metrics->parse($w->request('GET', '/', [], undef, port => 5)->body)->value("weir_$name", upstream => 'two', %labels);
}

subtest 'who is left' => sub {
	my $c = begin('/', '2=hang&3=hang');
	ok both_asked();
	$c->close;
	ok left($_), "server $_, by a client" for 2, 3;
	like logged(), qr{^/ 499 };
	$c = begin('/total/', '2=hang&3=hang');
	is $c->response->status, 504, 'or when all of it took too long';
	ok left($_) for 2, 3;
	like logged(), qr{^/total/ 504 $three, $two -, 504$};
};

subtest 'not always' => sub {
	for my $t ([ '/off/', 'GET', 'off' ], [ '/short/', 'POST', 'what changes something' ], [ '/short/', 'PUT', 'also PUT' ],
	    [ '/once/', 'GET', 'proxy_next_upstream_tries' ], [ '/spent/', 'GET', 'proxy_retry_budget' ]) {
		my ($at, $method, $why) = @$t;
		my $c = begin($at, '2=hang&3=ok', $method, $method eq 'GET' ? '' : 'x');
		is $c->response->status, 504, $why;
		is asked(3), 0;
		logged();
	}
	$w->log_like(qr/the retry budget of upstream "spent" is spent/);
	my $c = begin('/all/', '2=hang&3=ok', 'POST', 'a body');
	is $c->response->body, 3, 'non_idempotent';
	is scalar(grep $_ eq "asked $id POST a body", map $w->origin_notes($_), 2, 3), 2, 'with its body, to both';
	logged();
	$c = begin('/', '2=ok&3=ok');
	is $c->response->body, 2, 'nor when the answer comes soon';
	is asked(3), 0;
	logged();
};

is metric('upstream_hedges_total'), 10, 'counted';
for my $server ($two, $three) {
	ok wait_for(sub { metric('upstream_server_connections', server => $server) == 0 }), 'nothing is left of a server';
}
is metric('upstream_requests_in_progress'), 0, 'nor of the group';
is $w->stop, 0;
done_testing;
