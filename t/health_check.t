#!/usr/bin/env perl
# health_check.t - servers are asked how they are: when, by whom, what becomes of them; reloads, other keepers.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::Metrics;

# effect: health_check

my $w = Weir->new;
$w->expect_alert(qr/exited on signal 9/);

# Origins answer checks (/hc...) as the file `says-N` tells: a status, or "hang"; and all else with their number.
sub says { my ($n, $what) = @_; $w->write("says-$n.new", $what); rename $w->dir . "/says-$n.new", $w->dir . "/says-$n" or die }

for my $n (2 .. 4) {
	says($n, 200);
	$w->origin($n, sub {
		my ($c) = @_;
		my $asked = 0;
		while (my $q = $c->read_request) {
			my $status = 200;
			if ($q->{uri} =~ m{^/hc}) {
				$status = $w->read("says-$n");
				$c->note(sprintf '%s %d %s %.3f', $q->{uri}, ++$asked, $q->{headers}{host}, Time::HiRes::time());
				if ($status eq 'hang') { 1 until $c->eof; return }
			}
			$c->send("HTTP/1.1 $status X\r\nContent-Length: 1\r\n\r\n$n");
			return if ($q->{headers}{connection} // '') eq 'close';
		}
	});
}

sub conf
{
	my ($more, %opt) = @_;
	my $check = $opt{check} // 'health_check uri=/hc/back interval=100ms fails=2 passes=3;';
	return <<"CONF";
worker_processes 2;
http {
	access_log off;
	upstream back { zone z 1m; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	$more
	server {
		listen 127.0.0.1:%PORT1%;
		location /back/ { proxy_pass http://back; $check }
		location /plain/ { proxy_pass http://plain; }
		location /metrics { metrics; }
	}
}
CONF
}

sub who { my ($uri, $n) = @_; join '', map { my $r = $w->get($uri); $r->status == 200 ? $r->body : $r->status . ' ' } 1 .. $n }
sub sorted { join '', sort split //, $_[0] }
sub notes { my ($n, $re) = @_; return grep /^$re /, $w->origin_notes($n) }
sub server { '127\.0\.0\.1:' . $w->port($_[0]) }
sub logged { my ($re) = @_; my @l = $w->log_text =~ /$re/g; return scalar @l }

my $plain = 'upstream plain { zone z; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT4%; ';
$w->start(conf("$plain }"));

subtest 'out and in again' => sub {
	ok wait_for(sub { notes(2, '/hc/back') > 2 && notes(3, '/hc/back') > 2 }), 'both are asked, again and again';
	is sorted(who('/back/', 10)), '2222233333', 'both are healthy';
	like +(notes(2, '/hc/back'))[0], qr{ back }, 'by the name of the group';
	says(2, 500);
	ok $w->wait_log(qr/\[warn\] .*upstream "back": server ${\server(2)} is unhealthy: status 500 does not match/), 'a line says why';
	is who('/back/', 10), '3' x 10, 'it gets no requests';
	is who('/plain/', 4) =~ tr/2//, 2, 'in other groups it does';
	my $n = notes(2, '/hc/back');
	says(2, 200);
	ok $w->wait_log(qr/\[notice\] .*upstream "back": server ${\server(2)} is healthy/), 'another that it is back';
	cmp_ok scalar(notes(2, '/hc/back')) - $n, '>=', 3, 'passes';
	is sorted(who('/back/', 10)), '2222233333', 'it gets requests';
};

subtest 'all are out' => sub {
	says($_, 503) for 2, 3;
	ok $w->wait_log(qr/server ${\server($_)} is unhealthy: status 503/), "server $_" for 2, 3;
	is $w->get('/back/')->status, 502, 'then nobody is asked';
	ok $w->wait_log(qr/${\server(2)} is unhealthy, ${\server(3)} is unhealthy/), 'and a line says why';
	like $w->get('/metrics')->body, qr/^weir_upstream_server_up\{upstream="back",server="${\server(3)}"\} 0$/m, 'metrics know it';
	my $m = Weir::Metrics->parse($w->get('/metrics')->body);
	my %who = (upstream => 'back', server => '127.0.0.1:' . $w->port(3));
	is $m->value('weir_upstream_server_unhealthy_total', %who), 1, 'how often it became so';
	cmp_ok $m->value('weir_upstream_server_checks_failed_total', %who), '>=', 2, 'how many checks failed';
	cmp_ok $m->value('weir_upstream_server_checks_total', %who), '>', $m->value('weir_upstream_server_checks_failed_total', %who),
	    'of how many';
};

subtest 'reloads' => sub {
	says($_, 200) for 2, 3;
	# so many that it does not become healthy by being asked
	my $slow = 'health_check uri=/hc/slow interval=600s passes=1000;';
	ok $w->reload(conf("$plain }", check => $slow)), 'another check';
	ok wait_for(sub { notes(2, '/hc/slow') && notes(3, '/hc/slow') }), 'it is made';
	is $w->get('/back/')->status, 502, 'who was out is out, though the check is passed';
	ok $w->reload(conf("$plain }", check => '')), 'without a check';
	is sorted(who('/back/', 10)), '2222233333', 'nobody is out';
};

subtest 'once for all' => sub {
	ok $w->reload(conf(<<'E', check => '')), 'servers that are asked once';
		upstream plain { zone z; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3% down; server 127.0.0.1:%PORT4%;
			health_check uri=/hc/once interval=600s timeout=600s; health_check uri=/hc/often interval=50ms; }
E
	ok wait_for(sub { notes(4, '/hc/often') > 5 && notes(2, '/hc/often') > 5 }), 'the check with a short interval';
	is scalar(notes(2, '/hc/once')), 1, 'the one with a long interval, by one process';
	is scalar(notes(3, '/hc/o\w+')), 0, 'not of a server that is down';
	my $keeper = $w->keeper_pid;
	kill 'KILL', $keeper;
	ok wait_for(sub { ($w->keeper_pid // $keeper) != $keeper }), 'a keeper is killed';
	ok wait_for(sub { notes(2, '/hc/once') == 2 && notes(4, '/hc/once') == 2 }), 'the next one goes on';
	says(4, 404);
	ok $w->wait_log(qr/"plain": server ${\server(4)} is unhealthy: status 404/), 'one of two checks fails';
	is who('/plain/', 4), '2222', 'that is enough';
	says(4, 200);
	ok $w->wait_log(qr/"plain": server ${\server(4)} is healthy/), 'until both are passed';
};

subtest 'mandatory' => sub {
	says($_, 'hang') for 2, 4;
	my $new = sub { conf('upstream plain { zone z; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT4% max_fails=' . "$_[0]; $_[1] }", check => '') };
	my $check = 'health_check uri=/hc/must timeout=600s interval=600s';
	ok $w->reload($new->(2, "$check mandatory;")), 'mandatory';
	ok wait_for(sub { notes(2, '/hc/must') && notes(4, '/hc/must') }), 'they are asked, and say nothing';
	is $w->get('/plain/')->status, 502, 'nobody knows whether they are healthy';
	ok $w->wait_log(qr/${\server(2)} was not checked yet, ${\server(4)} was not checked yet/), 'a line says so';
	says($_, 200) for 2, 4;
	ok $w->reload($new->(2, "$check mandatory;")), 'they are asked again';
	ok wait_for(sub { who('/plain/', 4) =~ tr/24// == 4 }), 'and are healthy';
	says($_, 'hang') for 2, 4;
	ok $w->reload($new->(3, "$check mandatory persistent;")), 'persistent';
	is who('/plain/', 4) =~ tr/24//, 4, 'what was known is known';
	ok $w->reload($new->(3, "$check mandatory;")), 'not persistent';
	is $w->get('/plain/')->status, 502, 'what was known is forgotten';
	ok $w->reload($new->(3, "$check;")), 'not mandatory';
	is who('/plain/', 4) =~ tr/24//, 4, 'healthy unless a check says otherwise';
};

subtest 'slow start' => sub {
	says($_, 200) for 2, 4;
	ok $w->reload(conf(<<'E', check => '')), 'one that wants it';
		upstream plain { zone z; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT4% slow_start=600s slow_start_min=10%;
			health_check uri=/hc/warm interval=100ms; }
E
	says(4, 500);
	my $n = logged(qr/"plain": server ${\server(4)} is healthy/);
	ok $w->wait_log(qr/"plain": server ${\server(4)} is unhealthy: status 500/), 'it is out';
	says(4, 200);
	ok wait_for(sub { logged(qr/"plain": server ${\server(4)} is healthy/) > $n }), 'it is back';
	my $four = who('/plain/', 44) =~ tr/4//;
	ok $four >= 2 && $four <= 10, "with a tenth of its weight ($four of 44)";
};

subtest 'times' => sub {
	says(2, 'hang');
	ok $w->reload(conf(<<'E', check => '')), 'with timeouts';
		upstream plain { zone z; server 127.0.0.1:%PORT2%; health_check uri=/hc/short interval=100ms timeout=300ms; }
		upstream patient { zone z; server 127.0.0.1:%PORT2%; health_check uri=/hc/long interval=100ms timeout=600s; }
		upstream moves { zone z; server 127.0.0.1:%PORT3%; health_check uri=/hc/moves interval=1ms jitter=2000ms; }
		upstream keeps { zone z; server 127.0.0.1:%PORT3%; health_check uri=/hc/keeps interval=20ms keepalive_time=600s; }
		upstream leaves { zone z; server 127.0.0.1:%PORT3%; health_check uri=/hc/leaves interval=20ms; }
E
	ok $w->wait_log(qr/"plain": server ${\server(2)} is unhealthy: timed out while waiting for the answer/), 'who says nothing is out';
	$w->log_unlike(qr/"patient": .* unhealthy/, 'a long timeout is long');
	ok wait_for(sub { notes(3, '/hc/moves') >= 6 }), 'with jitter';
	my @at = map { (split)[3] } notes(3, '/hc/moves');
	my ($gap) = sort { $b <=> $a } map { $at[$_] - $at[$_ - 1] } 1 .. $#at;
	cmp_ok $gap, '>', 0.1, 'they come later than the interval says';
	ok wait_for(sub { notes(3, '/hc/keeps') >= 4 && notes(3, '/hc/leaves') >= 4 }), 'some checks';
	cmp_ok +(split ' ', (notes(3, '/hc/keeps'))[3])[1], '>', 1, 'a connection is used again with keepalive_time';
	is +(split ' ', (notes(3, '/hc/leaves'))[3])[1], 1, 'and else not';
};

done_testing;
