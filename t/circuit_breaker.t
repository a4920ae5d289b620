#!/usr/bin/env perl
# circuit_breaker.t - a server that fails is left alone, then tried with care, by all workers together.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: circuit_breaker circuit_breaker_on

my $w = Weir->new;

# What the last part of the path says: a status, or what goes wrong.  hang waits for the test.
for my $n (2 .. 4) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			my ($what) = $q->{uri} =~ m{/(\w+)$};
			$c->note($q->{uri});
			return if $what eq 'close' || -e $w->dir . "/bad$n";
			if ($what eq 'garbage') {
				$c->send("what?\r\n\r\n");
				return;
			}
			if ($what eq 'cut') {
				$c->send("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n$n");
				return;
			}
			if ($what eq 'stream') {
				$c->send("HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n$n");
				$c->eof;
				return;
			}
			select undef, undef, undef, 1.2 if $what eq 'slow';
			Weir::wait_for(sub { -e $w->dir . '/go' }, 60) if $what eq 'hang';
			my $status = $what =~ /^\d+$/ ? $what : 200;
			$c->send("HTTP/1.1 $status X\r\nContent-Length: 1\r\n\r\n$n");
		}
	});
}

my %more = (			# groups of one server, with what is said of them
	row => 'circuit_breaker failures=3 open=600s; circuit_breaker_on http_500;',
	standard => 'circuit_breaker;',
	soon => 'circuit_breaker failures=1 open=100ms success=1;',
	later => 'circuit_breaker failures=1 open=600s success=1;',
	three => 'circuit_breaker failures=1 open=1ms success=3;',
	places => 'circuit_breaker failures=1 open=1ms half_open=2;',
	place => 'circuit_breaker failures=1 open=1ms half_open=1;',
	streams => 'circuit_breaker failures=1 open=1ms half_open=1 success=2;',
	grows => 'circuit_breaker failures=1 open=100ms max_open=600s half_open=1;',
	half => 'circuit_breaker failures=0 rate=50% window=600s min=4;',
	all => 'circuit_breaker failures=0 rate=100% window=600s min=2;',
	long => 'circuit_breaker failures=0 rate=100% window=600s min=2;',
	short => 'circuit_breaker failures=0 rate=100% window=200ms min=2;',
	first => 'circuit_breaker failures=0 rate=1% window=600s min=1;',
	on_error => 'circuit_breaker failures=1; circuit_breaker_on error;',
	on_timeout => 'circuit_breaker failures=1; circuit_breaker_on timeout;',
	on_invalid => 'circuit_breaker failures=1; circuit_breaker_on invalid_header;',
	on_503 => 'circuit_breaker failures=1; circuit_breaker_on http_503;',
	on_4xx => 'circuit_breaker failures=1; circuit_breaker_on http_4xx http_500;',
	on_slow => 'circuit_breaker failures=1; circuit_breaker_on slow=1s;',
	on_very_slow => 'circuit_breaker failures=1; circuit_breaker_on slow=600s;',
	waits => 'circuit_breaker failures=1 open=600s; queue 10 timeout=600s;',
);

sub conf
{
	my ($other) = @_;
	my $groups = join '', map "\tupstream $_ { zone z 1m; server 127.0.0.1:%PORT2% max_fails=0; keepalive 0; $more{$_} }\n", sort keys %more;
	my $places = join '', map "\t\tlocation /$_/ { proxy_pass http://$_; }\n", sort keys %more;
	return <<"CONF";
worker_processes 3;
http {
	proxy_next_upstream off;
	proxy_read_timeout 60s;
$groups
	upstream two {
		zone z; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3% $other; server 127.0.0.1:%PORT4% backup;
		circuit_breaker failures=1 open=600s;
	}
	upstream counts {
		zone z; server 127.0.0.1:%PORT2% max_fails=1 fail_timeout=600s; server 127.0.0.1:%PORT3% max_fails=0;
		circuit_breaker failures=100;
	}
	upstream dead { zone z; server 127.0.0.1:%PORT8%; circuit_breaker failures=1 open=600s; }
	upstream own { server 127.0.0.1:%PORT2%; circuit_breaker failures=2 open=600s; }
	server {
		listen 127.0.0.1:%PORT1%;
$places
		location /on_timeout/hang { proxy_pass http://on_timeout; proxy_read_timeout 100ms; }
		location /on_error/hang { proxy_pass http://on_error; proxy_read_timeout 100ms; }
		location /two/ { proxy_pass http://two; proxy_next_upstream error; }
		location /counts/ { proxy_pass http://counts; }
		location /dead/ { proxy_pass http://dead; }
		location /own/ { proxy_pass http://own; }
		location = /metrics { metrics; }
	}
}
CONF
}

$w->start(conf(''));

sub status { $w->get($_[0])->status }
sub is_status { my ($uri, $want, $name) = @_; is status($uri), $want, $name // $uri }
sub asked { my ($re, @n) = @_; scalar grep /$re/, map $w->origin_notes($_), @n ? @n : 2 .. 4 }
sub told { my ($re) = @_; scalar grep /$re/, $w->log_lines }

sub change
{
	my ($group, $from, $to) = @_;
	return qr/circuit of upstream server 127\.0\.0\.1:\d+ of $group: $from -> $to: /;
}

# A request that is let through, when that is not at once.
sub passes
{
	my ($uri, $want) = @_;
	ok wait_for(sub { status($uri) == $want }), "$uri passes with $want";
}

sub ask
{
	my ($uri) = @_;
	my $c = $w->connect;
	$c->send("GET $uri HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	return $c;
}

# One that hangs at the server; what is refused before is tried again.
sub hang
{
	my ($group, $what) = @_;
	for (1 .. 1000) {
		my $before = asked("^/$group/$what");
		my $c = ask("/$group/$what");
		my $gone;
		wait_for(sub { asked("^/$group/$what") > $before || ($gone = told_off($c)) }) or last;
		return $c unless $gone;
	}
	die "/$group/$what did not arrive";
}

# Has it got its answer?
sub told_off
{
	my ($c) = @_;
	my $bits = '';
	vec($bits, $c->fd, 1) = 1;
	return select $bits, undef, undef, 0;
}

sub release { $w->write('go', '') }
sub hold { unlink $w->dir . '/go' }

subtest 'failures in a row' => sub {
	is_status('/row/500', 500) for 1 .. 2;
	is_status('/row/200', 200);
	is_status('/row/500', 500) for 1 .. 3;
	is_status('/row/200', 503, 'nobody is left: at once') for 1 .. 5;
	is asked('^/row/'), 6, 'the server is left alone';
	like join("\n", grep { $_ =~ change('row', 'closed', 'open') } $w->log_lines),
	    qr/^[^\n]*\[warn\][^\n]*3 failures in a row, the last: status 500$/, 'one line tells why';
	$w->log_like(qr{no live upstreams while connecting to upstream: 127\.0\.0\.1:\d+ has an open circuit,.* "GET /row/200}, 'why 503');
	is_status('/standard/503', 503) for 1 .. 5;
	is_status('/standard/200', 503, 'five of them unless told otherwise');
	is asked('^/standard/'), 5;
};

subtest 'connections that fail' => sub {
	is_status('/dead/200', 502);
	is_status('/dead/200', 503);
	$w->log_like(qr/of dead: closed -> open: 1 failure in a row, the last: connect\(\) failed \(111: Connection refused\)/);
};

subtest 'until it is well again' => sub {
	is_status("/$_/500", 500) for 'soon', 'later';
	passes('/soon/200', 200);
	ok $w->wait_log(change('soon', 'open', 'half-open')), 'its time was over';
	ok $w->wait_log(qr/of soon: half-open -> closed: trials that went well: 1/), 'one success is enough here';
	is_status('/soon/200', 200) for 1 .. 5;
	is told(change('soon', '\S+', '\S+')), 3, 'three changes';
	is_status('/later/200', 503, 'not after 600s');
	is_status('/three/500', 500);
	passes('/three/200', 200);
	is_status('/three/200', 200);
	is told(change('three', 'half-open', 'closed')), 0, 'two successes are not enough there';
	is_status('/three/200', 200);
	$w->log_like(qr/of three: half-open -> closed: trials that went well: 3/);
	is_status('/three/500', 500);
	passes('/three/500', 500);
	$w->log_like(qr/of three: half-open -> open: a trial failed: status 500/);
	passes('/three/200', 200);
};

subtest 'trials at a time' => sub {
	hold();
	is_status('/places/500', 500);
	my $first = hang('places', 'hang');
	my @many = map ask('/places/hang'), 1 .. 20;
	ok wait_for(sub { asked('^/places/hang') == 2 && 19 == grep told_off($_), @many }), 'two of all workers';
	is_status('/places/200', 503, 'and no more');
	$w->log_like(qr/open -> half-open: its time is over; trials at a time: 2/);
	$w->log_like(qr/127\.0\.0\.1:\d+ has a half-open circuit and is being tried/);
	release();
	is join(' ', sort map $_->response->status, $first, @many), join(' ', (200) x 2, (503) x 19), 'what they got';
	ok $w->wait_log(change('places', 'half-open', 'closed'));
	is told(change('places', '\S+', '\S+')), 3, 'each change happened once';
	is_status('/places/200', 200) for 1 .. 5;
};

subtest 'places are given back' => sub {
	hold();
	is_status('/place/500', 500);
	for (1 .. 3) {
		my $c = hang('place', 'hang');
		is_status('/place/200', 503, 'taken');
		$c->reset;
	}
	my $held = hang('place', 'hang');
	$w->expect_alert(qr/exited on signal 9/);
	my @before = $w->worker_pids;
	kill 'KILL', @before;
	ok wait_for(sub { my %old = map { $_ => 1 } @before; 3 == grep !$old{$_}, $w->worker_pids }), 'all workers were killed';
	ok wait_for(sub { my $r = $w->get('/place/200'); $r && $r->status == 200 }), 'the trial of a dead one is given back';
	release();
	is_status('/row/200', 503, 'what they knew is known');
	is_status('/streams/500', 500);
	my @streams = map hang('streams', 'stream'), 1 .. 2;
	ok $w->wait_log(change('streams', 'half-open', 'closed')), 'a response that does not end is no longer a trial';
	$_->close for @streams, $held;
};

subtest 'longer each time' => sub {
	my ($failed, @long);
	for (0 .. 4) {
		my $before;
		ok wait_for(sub { $before = time; status('/grows/500') == 500 }), 'the server was asked';
		push @long, time - $failed if $failed;
		$failed = $before;
	}
	cmp_ok $long[$_], '>=', 0.1 * 2 ** $_ - 0.06, 'twice as long' for 0 .. 3;
};

subtest 'rates' => sub {
	is_status("/half/$_", $_) for 200, 200, 500;
	is_status('/half/500', 500, 'three are too few');
	is_status('/half/200', 503, 'half of four');
	$w->log_like(qr/of half: closed -> open: 2 of 4 requests failed within 600000 ms, the last: status 500/);
	is_status("/all/$_", $_) for 200, 500, 500, 500, 200;
	is told(change('all', 'closed', 'open')), 0, 'not all of them';
	is_status('/first/500', 500);
	is_status('/first/200', 503, 'the first one decides');
	is_status("/$_/500", 500) for 'short', 'long';
	my $end = time + 0.25;
	wait_for(sub { time > $end });
	is_status("/$_/500", 500) for 'short', 'long';
	is_status('/short/200', 200, 'the first one was too long ago');
	is_status('/long/200', 503, 'and not here');
};

subtest 'what counts' => sub {
	hold();
	my %not = (			# does not open it, does
		on_error => [['/500', 500], ['/garbage', 502], ['/hang', 504], ['/close', 502]],
		on_timeout => [['/500', 500], ['/close', 502], ['/garbage', 502], ['/hang', 504]],
		on_invalid => [['/500', 500], ['/close', 502], ['/garbage', 502]],
		on_503 => [['/500', 500], ['/close', 502], ['/404', 404], ['/503', 503]],
		on_4xx => [['/503', 503], ['/close', 502], ['/404', 404]],
		on_slow => [['/500', 500], ['/close', 502], ['/slow', 200]],
	);
	for my $group (sort keys %not) {
		my @all = @{$not{$group}};
		my $last = pop @all;
		is_status("/$group$_->[0]", $_->[1]) for @all;
		is told(change($group, 'closed', 'open')), 0, 'they do not';
		is_status("/$group$last->[0]", $last->[1]);
		is_status("/$group/200", 503, "$last->[0] does");
	}
	release();
	$w->log_like(qr/of on_slow: .*the last: the response came after \d+ ms/);
	$w->log_like(qr/of on_timeout: .*the last: upstream timed out \(110: Connection timed out\)/);
	is_status('/on_very_slow/slow', 200);
	is_status('/on_very_slow/200', 200);
	is_status('/later/200', 503);
};

subtest 'cut short' => sub {
	is_status('/waits/200', 200);
	my $c = ask('/waits/cut');
	ok $c->read_all, 'something came';
	ok $w->wait_log(qr/of waits: .*the last: upstream prematurely closed connection$/), 'a body that is cut is an error';
	is_status('/waits/200', 503, 'a queue is for those who may hope');
};


sub gauge
{
	my ($name, $group, $n, $to) = @_;
	my $port = $w->port($n);
	my $more = defined $to ? qr/,to="$to"/ : '';
	return $w->get('/metrics')->body =~ /^weir_upstream_circuit_$name\{upstream="$group",server="127\.0\.0\.1:$port"$more\} (\d+)$/m ?
	    $1 : undef;
}

subtest 'others, and reloads' => sub {
	is gauge('state', 'two', 2), 0, 'closed';
	$w->write('bad2', '');
	is_status('/two/200', 200, 'another one is asked') for 1 .. 3;
	is asked('^/two/', 2), 1, 'at once: the first failure was enough';
	is gauge('state', 'two', 2), 2, 'a metric says so';
	is gauge('state', 'two', 3), 0, 'of which';
	is gauge('changes_total', 'two', 2, 'open'), 1, 'and how often';
	is gauge('state', 'own', 2), undef, 'not of groups without a zone';
	unlink $w->dir . '/bad2';
	for my $other ('', 'weight=2', '') {
		ok $w->reload(conf($other)), 'a reload';
		is join('', map $w->get('/two/200')->body, 1 .. 6), '333333', 'keeps that';
	}
	$w->write('bad3', '');
	is $w->get('/two/200')->body, 4, 'a backup, when that is what is left' for 1 .. 2;
	unlink $w->dir . '/bad3';
	is_status('/two/500', 500);
	is_status('/two/200', 503, 'nobody');
	$w->log_like(qr/connecting to upstream: 127\.0\.0\.1:\d+ has an open circuit, 127\.0\.0\.1:\d+ has an open circuit, 127/);
	is gauge('state', 'soon', 2), 0, 'closed again';
	is gauge('changes_total', 'soon', 2, $_), 1, $_ for qw(open half_open closed);
};

subtest 'max_fails' => sub {
	$w->write('bad2', '');
	ok wait_for(sub { status('/counts/200') == 502 }), 'one failure';
	unlink $w->dir . '/bad2';
	is join('', map $w->get('/counts/200')->body, 1 .. 6), '333333', 'and it is left alone';
	is gauge('state', 'counts', 2), 0, 'its circuit is closed';
};

subtest 'without a zone' => sub {
	passes('/own/500', 503);
	ok asked('^/own/') >= 2, 'each worker knows its own';
	$w->log_like(qr/of own: closed -> open: 2 failures in a row/);
};

subtest 'mistakes' => sub {
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	my %why = (
		'circuit_breaker failures=x' => 'invalid number',
		'circuit_breaker failures=0' => 'nothing opens the circuit',
		'circuit_breaker rate=50' => 'a rate is written as',
		'circuit_breaker rate=0%' => '',
		'circuit_breaker rate=101%' => '',
		'circuit_breaker open=0' => 'must not be 0',
		'circuit_breaker half_open=0' => '',
		'circuit_breaker success=0' => '',
		'circuit_breaker min=5' => 'without a rate',
		'circuit_breaker window=5s' => 'without a rate',
		'circuit_breaker rate=5% window=0' => 'must not be 0',
		'circuit_breaker rate=5% min=0' => '',
		'circuit_breaker open=10s max_open=9s' => 'max_open is less than open',
		'circuit_breaker fails=3' => 'fails=3',
		'circuit_breaker; circuit_breaker' => 'duplicate',
		'circuit_breaker_on error' => 'there is no circuit_breaker',
		'circuit_breaker; circuit_breaker_on' => '',
		(map +("circuit_breaker; circuit_breaker_on $_" => ''), qw(errors http_ http_600 http_50 http_5x3 http_2xx slow=0 slow)),
	);
	for my $text (sort keys %why) {
		my ($code, undef, $err) = $bad->test_conf("http { upstream u { server 127.0.0.1:9; $text; } }");
		is $code, 1, $text;
		like $err, qr/$why{$text}/, 'why' if $why{$text} ne '';
	}
};

done_testing;
