#!/usr/bin/perl
# How much is tried again: budgets, pauses, and how long all of it may take.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::Metrics;

# effect: proxy_retry_budget proxy_next_upstream_delay proxy_total_timeout

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
	server {
		listen 127.0.0.1:%PORT1%;
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
