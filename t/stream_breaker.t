#!/usr/bin/env perl
# stream_breaker.t - circuit_breaker in stream: connections and datagrams that fail, over several workers.

use strict;
use warnings;

use lib 't/lib';
use IO::Select;
use Test::More;
use Weir;

# effect: circuit_breaker circuit_breaker_on

my $w = Weir->new;
$w->expect_alert(qr/\[emerg\] .*weir\.conf:1:/);

$w->origin(60, sub { my ($c) = @_; $c->send('here') });
$w->origin(61, sub { my ($c) = @_; $c->reset });
$w->origin(62, sub { my ($c) = @_; my $said = $c->read_until(qr/\n/) // ''; $c->eof if $said eq "silence\n"; $c->send("heard $said") });

# A server that the test switches on and off; `full`: whose queue has no room, so that connecting takes for ever.
my (%on, %waiting);
sub on { my ($n) = @_; $on{$n} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port($n), Listen => 511, ReuseAddr => 1) or die "$n: $!" }
sub off { delete @{$_}{$_[0]} for \%on, \%waiting }
sub full
{
	my ($n) = @_;
	$on{$n} = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port($n), Listen => 1, ReuseAddr => 1) or die "$n: $!";
	$waiting{$n} = [ map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $w->port($n), Blocking => 0) } 1 .. 6 ];
}

my %groups = (		# port: its servers, what is said of it, what is said of the server block
	13 => [ row => '127.0.0.1:%PORT50%', 'circuit_breaker failures=3 open=600s;' ],
	2 => [ soon => '127.0.0.1:%PORT51%', 'circuit_breaker failures=1 open=50ms success=2;' ],
	3 => [ place => '127.0.0.1:%PORT52%', 'circuit_breaker failures=1 open=1ms half_open=1 success=1;' ],
	4 => [ late => '127.0.0.1:%PORT53%', 'circuit_breaker failures=1 open=600s; circuit_breaker_on timeout;', 'proxy_connect_timeout 100ms;' ],
	5 => [ late_error => '127.0.0.1:%PORT53%', 'circuit_breaker failures=1 open=600s; circuit_breaker_on error;', 'proxy_connect_timeout 100ms;' ],
	6 => [ slow => '127.0.0.1:%PORT54%', 'circuit_breaker failures=1 open=600s; circuit_breaker_on slow=100ms;' ],
	7 => [ resets => '127.0.0.1:%PORT61%', 'circuit_breaker failures=2 open=600s;' ],
	8 => [ silent => '127.0.0.1:%PORT62%', 'circuit_breaker failures=1 open=600s;', 'proxy_timeout 100ms;' ],
	9 => [ half => '127.0.0.1:%PORT55%', 'circuit_breaker failures=0 rate=50% window=600s min=4;' ],
	10 => [ many => '127.0.0.1:%PORT50%', 'circuit_breaker failures=20 open=600s;' ],
	11 => [ two => '127.0.0.1:%PORT50% weight=1000', 'server 127.0.0.1:%PORT60%; circuit_breaker failures=1 open=600s;' ],
	14 => [ talks => '127.0.0.1:%PORT64%', 'circuit_breaker failures=2 open=600s;' ],
	12 => [ clear => '127.0.0.1:%PORT62%', 'circuit_breaker failures=1 open=600s; circuit_breaker_on error;', 'proxy_ssl on;' ],
);
my %datagrams = (
	20 => [ refused => '127.0.0.1:%PORT50%', 'circuit_breaker failures=1 open=600s;' ],
	21 => [ quiet => '127.0.0.1:%PORT63%', 'circuit_breaker failures=1 open=600s;', 'proxy_responses 1; proxy_timeout 100ms;' ],
);

sub block
{
	my ($all, $udp) = @_;
	return join '', map {
		my ($name, $server, $more, $here) = @{ $all->{$_} };
		"\tupstream $name { zone z 1m; server $server max_fails=0; $more }\n\tserver { listen 127.0.0.1:%PORT$_%$udp; set \$name $name; proxy_pass $name; " . ($here // '') . " }\n";
	} sort { $a <=> $b } keys %$all;
}

my $conf = "worker_processes 3;\nhttp { server { listen 127.0.0.1:%PORT1%; location = /metrics { metrics; } } }\nstream {\n" .
    "\tlog_format s '\$name \$status \$upstream_addr';\n\taccess_log %DIR%/access.log s;\n" . block(\%groups, '') . block(\%datagrams, ' udp') . "}\n";
my $quiet = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $w->port(63)) or die;
$w->start($conf);

sub lines_of { my ($name) = @_; grep /^\Q$name\E /, $w->log_lines('access.log') }

# How it went with one connection to the group, or with one that says something: its line of the log.
sub try
{
	my ($n, $say) = @_;
	my $name = $groups{$n}[0];
	my $before = lines_of($name);
	if (my $c = $w->connect(port => $n)) {		# else it was reset before anybody looked
		$c->send($say) if defined $say;
		$c->eof;
		$c->close;
	}
	wait_for(sub { lines_of($name) > $before }) or die "no line of $name";
	return (lines_of($name))[-1];
}

sub datagram
{
	my ($n) = @_;
	my $name = $datagrams{$n}[0];
	my $before = lines_of($name);
	my $c = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $w->port($n)) or die;
	$c->send('x');
	wait_for(sub { lines_of($name) > $before }) or die "no line of $name";
	return (lines_of($name))[-1];
}

# How many wait for an answer to the first packet that they have sent there?
sub knocking
{
	my $port = sprintf '%04X', $w->port($_[0]);
	open my $f, '<', '/proc/net/tcp' or die;
	return scalar grep /^\s*\d+: \S+ 0100007F:$port 02 /, <$f>;
}

sub port { '127.0.0.1:' . $w->port($_[0]) }
sub told { my ($re) = @_; scalar grep /$re/, $w->log_lines }
sub change { my ($group, $from, $to) = @_; qr/circuit of upstream server 127\.0\.0\.1:\d+ of $group: $from -> $to: / }

subtest 'mistakes' => sub {
	for ([ 'http_500', qr/http_500/ ], [ 'invalid_header', qr/invalid_header/ ], [ 'error http_5xx', qr/http_5xx/ ]) {
		my ($code, undef, $err) = $w->test_conf("stream { upstream u { server 127.0.0.1:1; circuit_breaker; circuit_breaker_on $_->[0]; } }");
		isnt $code, 0, $_->[0];
		like $err, $_->[1];
	}
	my ($code) = $w->test_conf('stream { upstream u { server 127.0.0.1:1; circuit_breaker; circuit_breaker_on error timeout slow=1s; } }');
	is $code, 0, 'the words of stream';
};

subtest 'failures in a row, whoever serves them' => sub {
	is try(13), 'row 502 ' . port(50), "failure $_" for 1 .. 3;
	is try(13), 'row 503 row', 'open: nobody is asked' for 1 .. 6;
	is told(change('row', 'closed', 'open')), 1, 'it was told once';
	$w->log_like(qr/of row: closed -> open: 3 failures in a row, the last: connect\(\) failed \(111: Connection refused\)/);
	$w->log_like(qr/servers that were passed over: 127\.0\.0\.1:\d+ has an open circuit/, 'the reason for each server');
	my $text = $w->get('/metrics')->body;
	like $text, qr/^weir_upstream_circuit_state\{upstream="row",server="[^"]+"\} 2$/m, 'metrics: the state';
	like $text, qr/^weir_upstream_circuit_changes_total\{upstream="row",server="[^"]+",to="open"\} 1$/m;
	like $text, qr/^weir_upstream_failures_total\{upstream="row",reason="error"\} 3$/m, 'failures';
	like $text, qr/^weir_upstream_failures_total\{upstream="row",reason="no_server"\} 6$/m, 'connections without a server';
};

subtest 'many at once' => sub {
	my @c = map $w->connect(port => 10), 1 .. 60;
	$_->eof for @c;
	ok wait_for(sub { lines_of('many') == 60 }), 'all are over';
	is told(change('many', 'closed', 'open')), 1, 'one change';
	cmp_ok scalar(grep /^many 502 /, lines_of('many')), '>=', 20, 'those that were let through';
	like try(10), qr/^many 503/, 'and nobody more';
};

subtest 'until it is well again' => sub {
	is try(2), 'soon 502 ' . port(51), 'a failure';
	on(51);
	my @c;
	for my $n (1, 2) {
		ok wait_for(sub {
			push @c, my $c = $w->connect(port => 2);
			wait_for(sub { IO::Select->new($c->socket)->can_read(0) || $on{51}->sockport && IO::Select->new($on{51})->can_read(0) });
			return IO::Select->new($on{51})->can_read(0) && $on{51}->accept;
		}), "trial $n";
	}
	ok $w->wait_log(qr/of soon: half-open -> closed: trials that went well: 2/), 'two of them, while both connections last';
	is told(change('soon', '\S+', '\S+')), 3, 'three changes';
};

subtest 'one trial at a time, and its place comes back' => sub {
	is try(3), 'place 502 ' . port(52), 'a failure';
	full(52);
	my $trial;
	ok wait_for(sub {
		$trial = $w->connect(port => 3);
		return !IO::Select->new($trial->socket)->can_read(0.3);
	}), 'a trial is under way';
	ok $w->wait_log(change('place', 'open', 'half-open'));
	is try(3), 'place 503 place', 'the others do not come' for 1 .. 6;
	$w->log_like(qr/passed over: 127\.0\.0\.1:\d+ has a half-open circuit and is being tried/);
	$trial->reset;
	ok wait_for(sub { grep /^place 200 127/, lines_of('place') }), 'its client left';
	off(52);
	on(52);
	my @c;
	ok wait_for(sub {
		push @c, my $c = $w->connect(port => 3);
		wait_for(sub { IO::Select->new($c->socket, $on{52})->can_read(0.1) });
		return IO::Select->new($on{52})->can_read(0);
	}), 'the next trial';
	ok $w->wait_log(change('place', 'half-open', 'closed')), 'closed';
};

subtest 'timeouts' => sub {
	full(53);
	is try(5), 'late_error 502 ' . port(53), 'not listed' for 1 .. 3;
	is told(change('late_error', 'closed', 'open')), 0;
	is try(4), 'late 502 ' . port(53), 'listed';
	is try(4), 'late 503 late';
	$w->log_like(qr/of late: closed -> open: 1 failure in a row, the last: connecting timed out/);
};

subtest 'slow' => sub {
	full(54);
	my $before = knocking(54);
	my $c = $w->connect(port => 6);
	ok wait_for(sub { knocking(54) > $before }), 'its first packet finds no room, the next comes a second later';
	wait_for(sub { my $s; 1 while IO::Select->new($on{54})->can_read(0) && ($s = $on{54}->accept); told(change('slow', 'closed', 'open')) });
	$w->log_like(qr/of slow: closed -> open: 1 failure in a row, the last: the response came after \d{3,} ms/);
	is try(6), 'slow 503 slow';
};

subtest 'servers that say nothing' => sub {
	like try(7), qr/^resets \d+ 127/ for 1, 2;
	is try(7), 'resets 503 resets', 'resets before the first byte';
	$w->log_like(qr/of resets: closed -> open: 2 failures in a row, the last: (?:it reset the connection before it had said anything|connect\(\) failed \(104)/);	# before it was seen to be made
	like try(8, "x\n"), qr/^silent 200 127/, 'one that speaks';
	like try(8), qr/^silent 200 127/, 'one that was not told anything';
	like try(8, "silence\n"), qr/^silent 200 127/;
	is try(8), 'silent 503 silent';
	$w->log_like(qr/of silent: closed -> open: 1 failure in a row, the last: it did not say anything/);
	like try(12), qr/^clear 502 127/, 'no TLS there';
	like try(12), qr/^clear 503 clear/;
	$w->log_like(qr/of clear: .* the last: the TLS handshake failed/);
};

subtest 'connections that last' => sub {
	like try(14), qr/^talks 502/, 'a failure';
	on(64);
	my $c = $w->connect(port => 14);
	ok wait_for(sub { IO::Select->new($on{64})->can_read(0) }), 'connected';
	my $served = $on{64}->accept;
	$served->syswrite('on');
	is $c->read_n(2), 'on', 'one that says something, and stays';
	off(64);
	like try(14), qr/^talks 502/, "failure $_" for 1, 2;
	is try(14), 'talks 503 talks', 'are two in a row';
};

subtest 'a share of all' => sub {
	on(55);
	for (1, 2) {
		my $c = $w->connect(port => 9);
		ok wait_for(sub { IO::Select->new($on{55})->can_read(0) && $on{55}->accept }), 'connected';
		$c->close;
	}
	wait_for(sub { lines_of('half') == 2 });
	off(55);
	like try(9), qr/^half 502/, 'failures' for 1, 2;
	is try(9), 'half 503 half', 'half of four';
	$w->log_like(qr/of half: closed -> open: 2 of 4 requests failed within 600000 ms/);
};

subtest 'another server is asked' => sub {
	is try(11), 'two 200 ' . port(50) . ', ' . port(60), 'at first after the one that fails';
	is try(11), 'two 200 ' . port(60), 'then alone' for 1 .. 4;
};

subtest 'datagrams' => sub {
	is datagram(20), 'refused 502 ' . port(50), 'refused';
	is datagram(20), 'refused 503 refused', 'open';
	$w->log_like(qr/of refused: closed -> open: 1 failure in a row, the last: (?:send|recv)\(\) failed \(111: Connection refused\)/);
	is datagram(21), 'quiet 502 ' . port(63), 'no answer';
	is datagram(21), 'quiet 503 quiet';
	$w->log_like(qr/of quiet: closed -> open: 1 failure in a row, the last: it did not answer/);
};

subtest 'reloads' => sub {
	ok $w->reload($conf), 'reload';
	is try(13), 'row 503 row', 'the circuit is as it was' for 1 .. 3;
};

done_testing;
