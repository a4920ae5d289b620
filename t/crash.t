#!/usr/bin/perl

# Processes that die, hang or are killed: nobody else notices, and others take their place.
#
# effect: worker_rlimit_core working_directory

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $sanitized = ($ENV{WEIR_OBJS} // '') =~ /asan|fuzz/;
my $conf = <<'E';
worker_processes 2;
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "pid $pid\n"; }
		location /slow { proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E

sub start
{
	my ($text) = @_;
	my $w = Weir->new;
	$w->start($text // $conf);
	$w->origin(2, sub {
		my ($c) = @_;
		$c->read_request;
		$c->note('began');
		$c->send("HTTP/1.1 200 OK\r\n\r\nfirst ");
		wait_for(sub { -e $w->dir . '/go' });
		$c->send('last');
	});
	return $w;
}

# A connection that is kept alive, and whose it is.
sub conn_of
{
	my ($w) = @_;
	my $c = $w->connect;
	$c->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	$c->response->body =~ /pid (\d+)/;
	return ($c, $1);
}

# One of each worker.
sub conn_of_each
{
	my ($w) = @_;
	my %by;
	wait_for(sub {
		my ($c, $pid) = conn_of($w);
		$by{$pid} //= $c;
		return keys %by == 2;
	});
	return \%by;
}

my @signals = (
	[ KILL => 9 ],
	[ SEGV => 11, qr/\[alert\] \d+#0: crashed: SIGSEGV/ ],
	[ ABRT => 6, qr/\[alert\] \d+#0: crashed: SIGABRT/ ],
);
for (@signals) {
	my ($name, $number, $says) = @$_;
	subtest "a worker dies of $name" => sub {
		my $w = start();
		# A sanitizer reports the crash and exits.
		$w->expect_alert(qr/exited on signal $number\b|crashed: SIG$name/);
		$w->expect_alert(qr/Sanitizer|worker process \d+ exited with code 1/) if $sanitized && $says;
		my $by = conn_of_each($w);
		my ($victim, $other) = sort keys %$by;
		my $load = $w->background(sub {
			my ($stop) = @_;
			my ($ok, $slowest) = (0, 0);
			until ($stop->()) {
				my $began = time;
				my $r = $w->get('/');
				$ok++ if $r && $r->status == 200;
				$slowest = time - $began if time - $began > $slowest;
			}
			return { ok => $ok, slowest => $slowest };
		});
		kill $name, $victim;
		my $began = time;
		ok wait_for(sub { my @p = $w->worker_pids; @p == 2 && !grep $_ == $victim, @p }), 'replaced';
		cmp_ok time - $began, '<', slack(1.5), 'within a second';
		ok $by->{$victim}->eof, 'its connection is gone';
		$by->{$other}->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
		like $by->{$other}->response->body, qr/pid $other/, 'that of the other worker lives on';
		my $r = $load->finish;
		cmp_ok $r->{slowest}, '<', slack(3), 'nobody waited long';
		cmp_ok $r->{ok}, '>', 0, "$r->{ok} requests answered meanwhile";
		$w->log_like($sanitized && $says ? qr/\[alert\] .*worker process $victim exited/
		    : qr/\[alert\] \d+#0: worker process $victim exited on signal $number\b/);
		if ($says && !$sanitized) {
			$w->log_like($says, 'its last words');
			like $w->log_text, qr/^\S*weir.*\(.*\) ?\[0x[0-9a-f]+\]$/m, 'and a backtrace';
		}
		is $w->get('/')->status, 200, 'served';
		$w->stop;
	};
}

subtest 'workers that die again and again' => sub {
	my $w = start();
	$w->expect_alert(qr/exited on signal 9/);
	my $end = time + 4;
	while (time < $end) {
		kill 'KILL', $w->worker_pids;
		select undef, undef, undef, 0.005;
	}
	my $starts = () = $w->log_text =~ /start worker process/g;
	cmp_ok $starts, '>=', 8, 'they are replaced';
	cmp_ok $starts, '<', 60, "but not endlessly fast: $starts";
	is wait_for(sub { my @p = $w->worker_pids; @p == 2 }), 1, 'when it is over all are there within a second';
	is $w->get('/')->status, 200, 'and serve';
	is $w->stop, 0, 'the master can still be stopped';
};

subtest 'the keeper dies' => sub {
	my $w = start();
	$w->expect_alert(qr/keeper process \d+ exited on signal 9/);
	my $old = $w->keeper_pid;
	kill 'KILL', $old;
	ok wait_for(sub { my $k = $w->keeper_pid; $k && $k != $old }), 'replaced';
	$w->log_like(qr/keeper process $old exited on signal 9/);
	$w->stop;
};

subtest 'a retiring worker dies' => sub {
	my $w = start($conf =~ s/worker_processes 2/worker_processes 1/r);
	$w->expect_alert(qr/exited on signal 9/);
	my $c = $w->connect;
	$c->send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
	$w->origin_notes(2, 1);
	my ($old) = $w->worker_pids;
	ok $w->reload, 'reload with a request under way';
	is_deeply [$w->retiring_pids], [$old], 'its worker stays';
	my @new = $w->worker_pids;
	kill 'KILL', $old;
	ok $c->eof, 'killed';
	$w->log_like(qr/worker process $old exited on signal 9/);
	is_deeply [$w->worker_pids], \@new, 'nobody takes its place';
	$w->stop;
};

# Puts an endless loop where the worker will go on when it wakes up.
sub make_stuck
{
	my ($pid) = @_;
	my %loop = (x86_64 => "\xeb\xfe", aarch64 => "\x00\x00\x00\x14");
	my $code = $loop{ (POSIX::uname())[4] } or return 0;
	# A process that runs right now has no such place: wait until it sleeps.
	my $pc = wait_for(sub {
		open my $sys, '<', "/proc/$pid/syscall" or return '-';
		my @f = split ' ', <$sys> // '';
		return @f > 1 && $f[-1];
	});
	return 0 if !$pc || $pc eq '-';
	open my $mem, '+<:unix', "/proc/$pid/mem" or return 0;
	no warnings 'portable';
	sysseek $mem, hex $pc, 0 or return 0;
	return syswrite($mem, $code) == length $code;
}

subtest 'a stuck worker' => sub {
	my $w = start();
	my $by = conn_of_each($w);
	my ($victim, $other) = sort keys %$by;
	plan skip_all => 'cannot change another process here' unless make_stuck($victim);
	$w->expect_alert(qr/$victim exited on signal 6|the event loop is stuck|$victim#0: crashed/);
	$by->{$victim}->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	# Two seconds of CPU time are counted, and others use the CPU as well.
	$by->{$victim}{timeout} = 120;
	ok $by->{$victim}->eof, 'it is ended';
	$w->log_like(qr/\[alert\] $victim#0: the event loop is stuck/);
	like $w->log_text, qr/^\S+\(.*\) ?\[0x[0-9a-f]+\]$/m, 'with a backtrace';
	$w->log_like(qr/worker process $victim exited on signal 6/);
	ok wait_for(sub { my @p = $w->worker_pids; @p == 2 }), 'replaced';
	$by->{$other}->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	like $by->{$other}->response->body, qr/pid $other/, 'the other worker has not noticed';
	$w->stop;
};

subtest 'the master is killed' => sub {
	my $w = start();
	$w->expect_alert(qr/the master process has gone/);
	my $c = $w->connect;
	$c->send("GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
	$w->origin_notes(2, 1);
	my @all = $w->all_pids;
	kill 'KILL', $w->pid;
	waitpid $w->pid, 0;
	ok wait_for(sub { 1 == grep Weir::alive($_), @all }), 'everybody ends but who has something to do';
	ok wait_for(sub { !$w->connect }), 'nobody listens';
	$w->write('go', '');
	is $c->response->body, 'first last', 'which it finishes';
	ok wait_for(sub { !grep Weir::alive($_), @all }), 'and then ends too';
	$w->{pid} = undef;
	$w->start(undef);
	is $w->get('/')->status, 200, 'another server takes over, with the old pid file in place';
	is $w->read('weir.pid'), $w->pid . "\n", 'which is its own now';
	$w->stop;
};

subtest 'core dumps' => sub {
	my $pattern = do { open my $fh, '<', '/proc/sys/kernel/core_pattern'; <$fh> };
	my ($limit) = do { open my $fh, '<', '/proc/self/limits'; local $/; <$fh> =~ /^Max core file size\s+\S+\s+(\S+)/m };
	plan skip_all => 'cores do not become files here' if $sanitized || $pattern =~ m{^\||/} || $limit eq '0';
	my $w = Weir->new;
	mkdir $w->dir . '/cores';
	chmod 0777, $w->dir . '/cores';
	$w->expect_alert(qr/signal 11|SIGSEGV/);
	$w->start("worker_rlimit_core 100m;\nworking_directory %DIR%/cores;\n$conf");
	my ($p) = $w->worker_pids;
	kill 'SEGV', $p;
	$w->log_like(qr/worker process $p exited on signal 11 \(core dumped\)/);
	ok scalar(glob $w->dir . '/cores/*'), 'the core is in working_directory';
	$w->stop;
};

done_testing;
