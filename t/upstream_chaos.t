#!/usr/bin/env perl
# upstream_chaos.t - five origins are killed, frozen, slowed and return by chance, and clients notice nothing but what they
# must: a POST that an origin had when it was killed or frozen.
#
# Environment: WEIR_CHAOS_SECONDS (10) and WEIR_CHAOS_RATE (300, requests per second) make it longer and harder; 120 and 2000
# are what it was made for.  WEIR_CHAOS_SEED repeats the choices of a run, though not its timing.

use strict;
use warnings;

use lib 't/lib';
use Errno qw(EAGAIN EINTR);
use IO::Socket::INET;
use List::Util qw(max shuffle);
use POSIX qw(WNOHANG);
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::Metrics;

my $seconds = $ENV{WEIR_CHAOS_SECONDS} // 10;
my $rate = $ENV{WEIR_CHAOS_RATE} // 300;
my $seed = $ENV{WEIR_CHAOS_SEED} // time ^ $$;
my $full = $rate > 1000;
my $clients = $full ? 4 : 2;
my $most_conns = $full ? 220 : 60;	# of each client; select() bounds them
my $timeout = $full ? 1 : 2;		# of weir, for an origin
# After so long an origin that returned may be the only one that is well: no request is left that found it out and may
# not ask it again.
my $settle = 5 * $timeout;

my $w = Weir->new;
my @origins = map +{ n => $_, port => $w->port($_), state => 'well', since => 0, out => [] }, 2 .. 6;
my %of_port = map { $_->{port} => $_ } @origins;
my (%events, %count, @kept);

# ---- origins ----------------------------------------------------------------

my $slow = 0;
$SIG{USR1} = sub { $slow = 1 };		# before any fork, so that no origin dies of one
$SIG{USR2} = sub { $slow = 0 };

sub listener
{
	my ($port) = @_;
	my $l;
	wait_for(sub { $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 511, ReuseAddr => 1) })
	    or die "port $port: $!";
	$l->blocking(0);
	return $l;
}

# Takes one request from the bytes, if all of it is there; gives the response.
sub answer
{
	my ($in, $n, $posts) = @_;
	$$in =~ /\r\n\r\n/ or return undef;
	my ($head, $end) = (substr($$in, 0, $-[0]), $+[0]);
	$end += $1 if $head =~ /^content-length: *(\d+)/mi;
	return undef if length $$in < $end;
	substr $$in, 0, $end, '';
	my ($method, $uri) = $head =~ m{^(\S+) (\S+) HTTP/1\.1};
	syswrite $posts, "$uri\n" if $method eq 'POST';
	my $text = "$n $method $uri well\n" . 'x' x 500;
	return ("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text", $uri);
}

# One process, one loop: what a slowed one answers waits in @later.
sub serve
{
	my ($o, $stop) = @_;
	my $l = listener($o->{port});
	open my $posts, '>>', $w->dir . "/posts-$o->{n}" or die;
	my (%c, @later);
	my $bits = '';
	vec($bits, fileno $l, 1) = 1;
	my $drop = sub { vec($bits, $_[0], 1) = 0; close delete($c{$_[0]})->{s} };
	my $send = sub { syswrite $_[0]{s}, $_[1] if fileno $_[0]{s} };
	until ($stop->()) {
		my $found = select my $r = $bits, undef, undef, @later ? max(0, $later[0][0] - time) : 0.5;
		$send->(@{shift @later}[1, 2]) while @later && $later[0][0] <= time;
		next if $found <= 0;
		if (vec $r, fileno $l, 1) {
			while (my $s = $l->accept) {
				$s->blocking(0);
				$c{fileno $s} = { s => $s, in => '' };
				vec($bits, fileno $s, 1) = 1;
			}
		}
		for my $fd (grep vec($r, $_, 1), keys %c) {
			my $c = $c{$fd};
			my $got = sysread $c->{s}, $c->{in}, 65536, length $c->{in};
			if (!$got) {
				$drop->($fd) if defined $got || !($!{EAGAIN} || $!{EINTR});
				next;
			}
			while (my ($text, $uri) = answer(\$c->{in}, $o->{n}, $posts)) {
				defined $text or last;
				if ($slow && $uri ne '/check') {
					push @later, [time + rand $timeout / 3, $c, $text];
					@later = sort { $a->[0] <=> $b->[0] } @later;
				} else {
					$send->($c, $text);
				}
			}
		}
	}
	return {};
}

sub begin
{
	my ($o) = @_;
	push @kept, $w->background(sub { $slow = 0; serve($o, @_) });	# an object that is gone ends its process
	$o->{pid} = $kept[-1]->pid;
}

# ---- clients ----------------------------------------------------------------

# Sends by the clock, whether or not answers came, over connections that are kept; looks at every answer.
sub load
{
	my ($k, $stop) = @_;
	srand $seed + $k;
	my (%busy, @idle, @bad, @times, %done, @posted);
	my ($serial, $skipped, $step) = (0, 0, $clients / $rate);
	my ($bits, $next) = ('', time);
	my $over = sub {
		my ($c, $why) = @_;
		vec($bits, fileno $c->{s}, 1) = 0;
		delete $busy{fileno $c->{s}};
		push @times, time - $c->{at};
		$done{$c->{method}}++;
		if (defined $why) {
			push @bad, { at => time, took => time - $c->{at}, method => $c->{method}, uri => $c->{uri}, why => $why };
			close $c->{s};
		} else {
			push @posted, $c->{uri} if $c->{method} eq 'POST';
			$c->{in} =~ /^connection: *close/mi ? close $c->{s} : push @idle, $c->{s};
		}
	};
	my $ask = sub {
		return $skipped++ if keys %busy >= $most_conns;
		my $s = pop @idle;
		my $kind = rand;
		my $c = { at => time, in => '', method => $kind < 0.15 ? 'POST' : 'GET', uri => ($kind < 0.6 ? '/plain/' : '/hedge/') . "$k-" . ++$serial };
		$s //= IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $w->port(1), Timeout => 30);
		if (!$s) {
			push @bad, { at => time, took => 0, method => $c->{method}, uri => $c->{uri}, why => "connect: $!" };
			return;
		}
		$s->blocking(0);
		$c->{s} = $s;
		$busy{fileno $s} = $c;
		vec($bits, fileno $s, 1) = 1;
		my $text = "$c->{method} $c->{uri} HTTP/1.1\r\nHost: a\r\n" .
		    ($c->{method} eq 'POST' ? "Content-Length: 100\r\n\r\n" . 'b' x 100 : "\r\n");
		$over->($c, "send: $!") if (syswrite($s, $text) // 0) != length $text;
	};
	my $look = sub {
		my ($c) = @_;
		my $got = sysread $c->{s}, $c->{in}, 65536, length $c->{in};
		if (!$got) {
			return if !defined $got && ($!{EAGAIN} || $!{EINTR});
			return $over->($c, (defined $got ? 'end' : "read: $!") . ' after ' . length($c->{in}) . ' bytes');
		}
		$c->{in} =~ /\r\n\r\n/ or return;
		my ($head, $at) = (substr($c->{in}, 0, $-[0]), $+[0]);
		my ($n) = $head =~ /^content-length: *(\d+)/mi or return $over->($c, 'no length');
		return if length $c->{in} < $at + $n;
		my ($status) = $head =~ m{^HTTP/1\.1 (\d+)} or return $over->($c, 'no status');
		return $over->($c, "status $status") if $status != 200;
		my $body = substr $c->{in}, $at;
		return $over->($c, 'what was not asked for') if $body !~ /^\d \Q$c->{method} $c->{uri}\E well\nx{500}\z/;
		$over->($c);
	};
	my ($stopping, $ends, $seen, $last, @gaps) = (0, 0, 0, time);
	until ($stopping && (!%busy || time > $ends)) {
		my $now = time;
		push @gaps, [$last, $now] if $now - $last > $timeout / 4;
		$last = $now;
		if (!$stopping && $now - $seen > 0.1) {
			$seen = $now;
			($stopping, $ends) = (1, $now + 20) if $stop->();
			$over->($_, 'no answer') for grep $now - $_->{at} > 30, values %busy;
		}
		while (!$stopping && $next <= $now) {
			$ask->();
			$next += $step;
		}
		my $found = select my $r = $bits, undef, undef, $stopping ? 0.05 : max(0.001, $next - time);
		next if $found <= 0;
		$look->($_) for map $busy{$_}, grep vec($r, $_, 1), keys %busy;
	}
	$over->($_, 'no answer at the end') for values %busy;
	return { bad => \@bad, times => \@times, done => \%done, posted => \@posted, gaps => \@gaps, skipped => $skipped };
}

# ---- weir -------------------------------------------------------------------

my $servers = join ' ', map "server 127.0.0.1:$_->{port} max_fails=0 slow_start=1s;", @origins;
$w->start(<<"CONF");
worker_processes 2;
events { worker_connections 4096; }
http {
	log_format chaos '\$status \$request_method \$uri \$upstream_addr \$upstream_status';
	access_log access.log chaos;
	keepalive_requests 100000000;
	match well { status 200; body ~ well; }
	upstream five {
		zone z 1m;
		$servers
		circuit_breaker failures=5 open=500ms;
		health_check uri=/check interval=200ms timeout=${timeout}s fails=2 match=well;
	}
	proxy_next_upstream error timeout invalid_header http_500 http_502 http_503 http_504;
	proxy_connect_timeout ${timeout}s;
	proxy_send_timeout ${timeout}s;
	proxy_read_timeout ${timeout}s;
	server {
		listen 127.0.0.1:%PORT1%;
		location /plain/ { proxy_pass http://five; }
		location /hedge/ { proxy_pass http://five; proxy_hedge 300ms; }
		location = /metrics { access_log off; metrics; }
	}
}
CONF
my @workers = sort $w->worker_pids;

# ---- what happens -----------------------------------------------------------

sub is_up
{
	my ($m, $o) = @_;
	my %who = (upstream => 'five', server => "127.0.0.1:$o->{port}");
	return $m->value('weir_upstream_server_up', %who) == 1 && $m->value('weir_upstream_circuit_state', %who) == 0;
}

sub metrics { Weir::Metrics->parse($w->get('/metrics')->body) }

sub take_out
{
	my ($o, $how) = @_;
	push @{$o->{out}}, { how => $how, from => time };
	kill { killed => 'KILL', frozen => 'STOP', slowed => 'USR1' }->{$how}, $o->{pid};
	@$o{'state', 'since'} = ($how, time);
	$events{$how}++;
}

sub bring_back
{
	my ($o) = @_;
	if ($o->{state} eq 'killed') {
		begin($o);		# the one before is waited for at the end, so its pid stays its own
	} else {
		kill $o->{state} eq 'frozen' ? 'CONT' : 'USR2', $o->{pid};
	}
	$events{returned}++;
	$o->{out}[-1]{to} = time;
	@$o{'state', 'since'} = ('well', time);
}

# What is known of those who did not come back.
sub who_is_not
{
	my $m = metrics();
	for my $o (grep !is_up($m, $_), @origins) {
		my $gone = waitpid $o->{pid}, WNOHANG;
		diag sprintf 'port %d, last %s: process %s', $o->{port}, $o->{out}[-1]{how}, $gone ? "ended, $?" : 'there';
		diag $_ for grep /:$o->{port}\b/ && /_(?:up|circuit_state|checks_total|check_failures_total|fails)\b/, split /\n/, $w->get('/metrics')->body;
		diag $_ for (grep /:$o->{port}\b/, split /\n/, $w->read('error.log'))[-5 .. -1];
	}
}

# Somebody else must have been well for long enough, and weir must know it.
sub may_go
{
	my ($o) = @_;
	my $m = metrics();
	return scalar grep $_ != $o && $_->{state} eq 'well' && time - $_->{since} > $settle && is_up($m, $_), @origins;
}

begin($_) for @origins;
ok wait_for(sub { my $m = metrics(); 5 == grep(is_up($m, $_), @origins) && $m->sum('weir_upstream_server_checks_total') >= 10 }), 'all are up';
wait_for(sub { !grep !IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_->{port}), @origins }) or die 'no origins';
ok wait_for(sub { my $m = metrics(); 5 == grep is_up($m, $_), @origins }), 'and weir knows it';

srand $seed;
my @first = shuffle qw(killed frozen slowed);		# each of them once, at least
my $began = time;
my @load = map { my $k = $_; $w->background(sub { load($k, @_) }) } 1 .. $clients;
while (time - $began < $seconds) {
	my ($o, $chance, $pause, $how) = ($origins[rand @origins], rand, 0.05 + rand 0.3, (qw(killed frozen slowed))[rand 3]);
	select undef, undef, undef, $pause;
	if ($o->{state} ne 'well') {
		bring_back($o) if $chance < 0.5;
	} elsif ($chance < 0.8 && may_go($o)) {
		take_out($o, shift @first // $how);
	}
}
for my $o (grep $_->{state} ne 'well', @origins) {
	bring_back($o);
}
my $returned = time;

# ---- afterwards -------------------------------------------------------------

ok wait_for(sub { my $m = metrics(); 5 == grep is_up($m, $_), @origins }), 'all are up again, with closed circuits' or who_is_not();
my $recovered = time - $returned;
my %seen;
ok wait_for(sub { $w->get('/plain/0-0')->body =~ /^(\d)/ and $seen{$1}++; 5 == keys %seen }), 'all serve again';

my (@bad, @times, %done, @posted, @gaps, $skipped);
for my $r (map $_->finish, @load) {
	die $r->{error} if defined $r->{error};
	push @bad, @{$r->{bad}};
	push @times, @{$r->{times}};
	push @posted, @{$r->{posted}};
	push @gaps, @{$r->{gaps}};
	$done{$_} += $r->{done}{$_} for keys %{$r->{done}};
	$skipped += $r->{skipped};
}
my $took = time - $began;
is join(' ', sort $w->worker_pids), "@workers", 'no worker died';

# What the log has of requests whose attempts failed: URI => [[port, reason], ...].
my %told;
for ($w->log_lines) {
	next unless m{ \[error\] \d+#\d+: (?:\*\d+ )?(.+?) while .*request: "\w+ (\S+) HTTP/1\.1", upstream: "http://127\.0\.0\.1:(\d+)/};
	push @{$told{$2}}, [$3, $1];
	(my $reason = $1) =~ s/127\.0\.0\.1:\d+/A/g;
	$count{$reason}++;
}

# Was it killed or frozen when, or a timeout before, the request failed?
sub was_out
{
	my ($o, $at) = @_;
	return scalar grep $_->{how} ne 'slowed' && $at >= $_->{from} - 0.1 && $at <= $_->{to} + $timeout + slack(1), @{$o->{out}};
}

# A client that did not run for so long: neither did the origins, perhaps, and their answers were late.
sub stood_still
{
	my ($bad) = @_;
	return scalar grep $bad->{at} >= $_->[0] && $bad->{at} <= $_->[1] + 2 * $timeout, @gaps;
}

sub is_due
{
	my ($bad) = @_;
	return 0 if $bad->{method} ne 'POST' || $bad->{why} !~ /^status 50[24]$/;
	my $told = $told{$bad->{uri}} or return 0;
	return was_out($of_port{$told->[-1][0]}, $bad->{at});
}

my @posts = grep $_->{method} eq 'POST', @bad;
my @excused = grep !is_due($_) && $_->{why} =~ /^status 50[234]$/ && stood_still($_), @bad;
my %is_excused = map { $_->{uri} => 1 } @excused;
my @gets = grep $_->{method} eq 'GET' && !$is_excused{$_->{uri}}, @bad;
my @undue = grep !is_due($_) && !$is_excused{$_->{uri}}, @posts;
my @lines = map { my $b = $_; sprintf('%.3f %s %s after %.3f s: %s', $b->{at} - $began, @$b{qw(method uri took why)}) .
    join '', map "; origin $of_port{$_->[0]}{n}: $_->[1]", @{$told{$b->{uri}} // []} } @gets, @undue;
is scalar(@gets), 0, 'no GET failed';
is scalar(@undue), 0, 'no POST failed but by an origin that was killed or frozen, and the log tells of each';
diag join "\n", @lines[0 .. ($#lines > 19 ? 19 : $#lines)] if @lines;

# Attempts that another one followed: the log tells of them, too.
my (@untold, $again);
for ($w->access) {
	my ($uri, $statuses) = m{^200 GET (/plain/\S+) 127.*:\d+ (\d+(?:, \d+)+)$} or next;
	$again++;
	push @untold, $_ if @{$told{$uri} // []} < $statuses =~ tr/,//;
}
is scalar(@untold), 0, 'each further try has its reason in the log' or diag "@untold[0 .. ($#untold > 9 ? 9 : $#untold)]";

my %posted;
$posted{$_}++ for map split(/\n/, $w->read("posts-$_->{n}") // ''), @origins;
is scalar(grep $_ > 1, values %posted), 0, 'no POST was done twice';
is scalar(grep !$posted{$_}, @posted), 0, 'each that was answered was done';
ok $done{GET} && $done{POST}, 'there was something to do';
cmp_ok scalar(grep $events{$_}, qw(killed frozen slowed)), '==', 3, 'each mishap happened';
$w->log_unlike(qr/\[(?:alert|emerg)\]/, 'no alert');

my @sorted = sort { $a <=> $b } @times;
my $report = join "\n", "seed $seed", sprintf('%d requests in %.1f s: %.0f/s (%d GET, %d POST), %d not sent for want of connections',
    scalar @times, $took, @times / $took, $done{GET}, $done{POST}, $skipped),
    sprintf('times: median %.1f ms, 99%% %.0f ms, longest %.0f ms', map 1000 * $_, @sorted[@sorted / 2, @sorted * 0.99, -1]),
    'events: ' . join(', ', map "$events{$_} $_", sort keys %events),
    sprintf('errors seen by clients: %d GET, %d POST; undue: %d GET, %d POST; others while the machine stood still: %d (%d times, %.1f s at most)',
	@bad - @posts, scalar @posts, scalar @gets, scalar @undue, scalar @excused, scalar @gaps, max(0, map $_->[1] - $_->[0], @gaps)),
    (map { my $why = $_; sprintf '  %d %s', scalar(grep "$_->{method} $why" eq "POST $_->{why}", @bad), $why } do { my %s; grep !$s{$_}++, map $_->{why}, @bad }),
    "attempts that failed, in the log:", (map "  $count{$_} $_", sort { $count{$b} <=> $count{$a} } keys %count),
    sprintf('GET of /plain/ with further tries: %d; all up again after %.1f s', $again // 0, $recovered);
$full || !Test::More->builder->is_passing ? diag $report : note $report;

done_testing;
