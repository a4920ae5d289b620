#!/usr/bin/perl
# How much is tried again: budgets, pauses, and how long all of it may take.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::Metrics;

# effect: proxy_retry_budget proxy_next_upstream_delay proxy_total_timeout proxy_replay_buffer

my $w = Weir->new;

# Says its number; /STATUS gives that status, /hang nothing, /slow the beginning of a body.
for my $n (2, 3, 4) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			$c->note("$q->{method} $q->{uri}");
			return $c->eof if $q->{uri} =~ m{/hang};
			if ($q->{uri} =~ m{/slow}) {
				$c->send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun");
				return $c->eof;
			}
			my $status = $q->{uri} =~ m{/(\d\d\d)} ? $1 : 200;
			$c->send("HTTP/1.1 $status X\r\nContent-Length: 1\r\n\r\n$n");
		}
	});
}
# Answers before all of a body is there; the other one takes all.
$w->origin(6, sub {
	my ($c) = @_;
	my $head = $c->read_until(qr/\r\n\r\n/);
	my ($uri, $want) = $head =~ m{^\S+ (/\S+?(\d+)) };
	$want -= length($head =~ s/.*?\r\n\r\n//sr);
	$c->read_n($want) if $want > 0;
	$c->note("early $uri");
	$c->send("HTTP/1.1 503 X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") if $uri !~ /close/;
	return if $uri =~ /close/;
	$c->eof;
});
$w->origin(7, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		$c->note("$q->{method} $q->{uri}");
		my $text = length($q->{body}) . ' ' . unpack('%32C*', $q->{body});
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
	}
});
$w->start(<<'E');
worker_processes 2;
http {
	log_format up '$uri $status $upstream_status';
	access_log %DIR%/access.log up;
	proxy_next_upstream error timeout http_503;
	proxy_read_timeout 5m;
	upstream none { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0; zone a 1m; }
	upstream few { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0; zone a; }
	upstream share { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0; zone a; }
	upstream paused { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0; server 127.0.0.1:%PORT4% max_fails=0; }
	upstream early { server 127.0.0.1:%PORT6% max_fails=0; server 127.0.0.1:%PORT7% backup; }
	server {
		listen 127.0.0.1:%PORT1%;
		location /stream/ { proxy_pass http://early; proxy_request_buffering off; proxy_replay_buffer 64k; client_body_buffer_size 1k; }
		location /once/ { proxy_pass http://early; proxy_request_buffering off; client_body_buffer_size 1k; }
		location /whole/ { proxy_pass http://127.0.0.1:%PORT7%; proxy_request_buffering off; proxy_replay_buffer 64k; client_body_buffer_size 1k; }
		location /off/ { proxy_pass http://none; proxy_retry_budget off; }
		location /none/ { proxy_pass http://none; proxy_retry_budget 1% min=0; }
		location /few/ { proxy_pass http://few; proxy_retry_budget 1% min=3; }
		location /share/ { proxy_pass http://share; proxy_retry_budget 50% min=0; }
		location /paused/ { proxy_pass http://paused; proxy_next_upstream_delay 100ms; }
		location /long/ { proxy_pass http://paused; proxy_next_upstream_delay 60s; }
		location /total/ { proxy_pass http://paused; proxy_total_timeout 300ms; }
		location /total/long/ { proxy_pass http://paused; proxy_total_timeout 300ms; proxy_next_upstream_delay 60s; }
		location /total/off/ { proxy_pass http://paused; proxy_total_timeout 0; }
	}
	server { listen 127.0.0.1:%PORT5%; access_log off; metrics; }
}
E

sub asked { my ($re) = @_; return scalar map { grep /$re/, $w->origin_notes($_) } 2 .. 4 }
sub metric
{
	my ($name, $group) = @_;
	my $text = $w->request('GET', '/', [], undef, port => 5)->body;
	return Weir::Metrics->parse($text)->value("weir_upstream_$name", upstream => $group);
}

subtest 'proxy_retry_budget' => sub {
	is $w->get('/off/503')->status, 503;
	is asked(qr{/off/503}), 2, 'off: every server is asked';
	is $w->get('/none/503')->status, 503, 'nothing is left of the budget: the answer that is there';
	is asked(qr{/none/503}), 1;
	$w->log_like(qr/\[warn\].*the retry budget of upstream "none" is spent/, 'the log says so');
	ok wait_for(sub { metric('retries_refused_total', 'none') == 1 }), 'and a metric';
	is $w->get('/few/503')->status, 503 for 1 .. 10;
	# of what is more than ten seconds ago less counts
	cmp_ok asked(qr{/few/503}), '>=', 10 + 3, 'min, over all workers';
	cmp_ok asked(qr{/few/503}), '<', 10 + 10;
	is $w->get('/share/')->status, 200 for 1 .. 4;
	is $w->get('/share/503')->status, 503 for 1 .. 10;
	cmp_ok asked(qr{/share/503}), '>', 10, 'a share: some are tried again';
	cmp_ok asked(qr{/share/503}), '<', 20, 'not all';
};

subtest 'proxy_next_upstream_delay' => sub {
	my $begin = time;
	is $w->get('/paused/503')->status, 503;
	cmp_ok time - $begin, '>', 0.28, 'a pause, and one of twice the time';
	is asked(qr{/paused/503}), 3, 'all were asked';
	my $c = $w->connect;
	$c->send("GET /long/503 HTTP/1.1\r\nHost: a\r\n\r\n");
	ok wait_for(sub { asked(qr{/long/503}) == 1 });
	$c->close;
	$w->log_like(qr/client closed the connection while waiting.*waiting before a further try/, 'a client leaves meanwhile');
	is asked(qr{/long/503}), 1;
};

subtest 'proxy_total_timeout' => sub {
	my $begin = time;
	is $w->get('/total/hang')->status, 504, 'no answer';
	cmp_ok time - $begin, '>', 0.28;
	is asked(qr{/total/hang}), 1, 'and nobody else is asked';
	$w->log_like(qr/upstream timed out: all of it took too long.*while reading response header/);
	is $w->get('/total/long/503')->status, 504, 'in a pause between two tries';
	is asked(qr{/total/long}), 1;
	my $c = $w->connect;
	$c->send("GET /total/slow HTTP/1.1\r\nHost: a\r\n\r\n");
	like $c->read_all, qr/\r\n\r\nbegun$/, 'a response that takes long is cut short';
	is $w->get('/total/200')->status, 200, 'others have time';
	$c = $w->connect;
	$c->send("GET /total/off/hang HTTP/1.1\r\nHost: a\r\n\r\n");
	ok wait_for(sub { asked(qr{/total/off}) == 1 });
	is $w->get('/total/hang')->status, 504;
	$c->close;
	$w->log_like(qr/client closed the connection while waiting.*total.off/, 'no limit');
};

subtest 'proxy_replay_buffer' => sub {
	my $body = join '', map chr(33 + $_ % 90), 1 .. 300_000;
	my $sum = sub { my $s = substr $body, 0, $_[0]; return length($s) . ' ' . unpack('%32C*', $s) };
	# so much has gone when the first server answers, or does not; then the rest follows
	my $ask = sub {
		my ($method, $uri, $gone, $all) = @_;
		my $c = $w->connect;
		$c->send("$method $uri HTTP/1.1\r\nHost: a\r\nContent-Length: $all\r\nConnection: close\r\n\r\n" . substr $body, 0, $gone);
		ok wait_for(sub { grep $_ eq "early $uri", $w->origin_notes(6) }), "$method $uri";
		$w->log_like(qr/prematurely closed.*\Q$uri\E/, 'it has left') if $uri =~ /close/;
		$c->send(substr $body, $gone, $all - $gone);
		return $c->response;
	};
	is $ask->(PUT => '/stream/a5000', 5000, 50000)->body, $sum->(50000), 'once more, from the beginning';
	is $ask->(PUT => '/stream/close5000', 5000, 200000)->body, $sum->(200000), 'longer than the buffer, as long as that has not gone';
	is $ask->(PUT => '/stream/b100000', 100000, 200000)->status, 503, 'too much has gone';
	is $ask->(PUT => '/once/c5000', 5000, 50000)->status, 503, 'without it anything is too much';
	is $ask->(POST => '/stream/d5000', 5000, 50000)->status, 503, 'POST is not done twice';
	is $w->request('PUT', '/whole/', [], $body)->body, $sum->(300000), 'what is long passes all the same';
	my $c = $w->connect;
	$c->send("PUT /stream/close3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n");
	ok wait_for(sub { grep $_ eq 'early /stream/close3', $w->origin_notes(6) }), 'in chunks';
	$c->send("3\r\ndef\r\n0\r\n\r\n");
	is $c->response->body, '6 ' . unpack('%32C*', 'abcdef'), 'the same';
};

my $bad = Weir->new;
$bad->expect_alert(qr/emerg/);
for ([ 'proxy_retry_budget 20', qr/a budget is "off", or a number/ ], [ 'proxy_retry_budget 0%', qr/1/ ],
    [ 'proxy_retry_budget 101%', qr/100/ ], [ 'proxy_retry_budget 20% max=3', qr/invalid parameter "max=3"/ ],
    [ 'proxy_retry_budget off min=3', qr/a budget is/ ], [ 'proxy_retry_budget 20% min=x', qr/x/ ]) {
	my ($code, undef, $err) = $bad->test_conf("http { server { listen 127.0.0.1:1; $_->[0]; } }");
	isnt $code, 0, $_->[0];
	like $err, $_->[1], 'says why';
}

done_testing;
