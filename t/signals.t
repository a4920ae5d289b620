#!/usr/bin/perl

# What the master does when it is signalled, and how it starts and ends.
#
# effect: pid daemon master_process worker_processes worker_shutdown_timeout error_log env
# effect: worker_rlimit_nofile worker_connections worker_priority worker_cpu_affinity working_directory

use strict;
use warnings;

use File::Copy ();

use lib 't/lib';
use Test::More;
use Weir;

my $http = <<'E';
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "pid $pid\n"; }
		location /slow { proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E

sub pid_of { my ($w, $c) = @_; $w->get('/')->body =~ /pid (\d+)/; return $1 }

# An origin whose answer is finished when the file `go` is there.
sub slow_origin
{
	my ($w) = @_;
	$w->origin(2, sub {
		my ($c) = @_;
		$c->read_request;
		$c->note('began');
		$c->send("HTTP/1.1 200 OK\r\n\r\nfirst ");
		wait_for(sub { -e $w->dir . '/go' });
		$c->send('last');
	});
}

sub begin_slow
{
	my ($w) = @_;
	my $n = () = $w->origin_notes(2);
	my $c = $w->connect;
	$c->send("GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	$w->origin_notes(2, $n + 1);
	return $c;
}

sub idle_conn
{
	my ($w) = @_;
	my $c = $w->connect;
	$c->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is $c->response->status, 200, 'a connection to be kept alive';
	return $c;
}

subtest 'start and quit' => sub {
	my $w = Weir->new;
	$w->start("worker_processes 2;\n$http");
	is $w->read('weir.pid'), $w->pid . "\n", 'the pid file has the number of the master';
	is scalar(my @p = $w->worker_pids), 2, 'two workers';
	ok $w->keeper_pid, 'and a keeper';
	like Weir::title($w->pid), qr/^weir: master process \S*weir -p /, 'title of the master';
	is $w->get('/')->status, 200, 'served';
	is $w->stop('QUIT'), 0, 'QUIT ends with code 0';
	ok !-e $w->pid_path, 'the pid file has gone';
	ok !grep(Weir::alive($_), @p), 'and the workers';
	$w->log_like(qr/\[notice\] \d+#0: signal 3 \(SIGQUIT\) received from \d+, shutting down/);
};

subtest 'QUIT is graceful' => sub {
	my $w = Weir->new;
	$w->start($http);
	slow_origin($w);
	my $c = begin_slow($w);
	my $idle = idle_conn($w);
	my $pid = $w->pid;
	$w->kill('QUIT');
	ok $idle->eof, 'an idle connection ends at once';
	ok !$idle->was_reset, 'in good order';
	ok wait_for(sub { !$w->connect(timeout => 1) }), 'nobody is accepted any more';
	my ($worker) = $w->retiring_pids;
	ok $worker, 'the worker says that it is shutting down';
	ok -e $w->pid_path, 'the master waits for it';
	$w->write('go', '');
	my $r = $c->response;
	is $r->body, 'first last', 'the request under way was finished';
	is $w->stop('QUIT'), 0, 'then the master ends';
};

subtest 'worker_shutdown_timeout' => sub {
	my $w = Weir->new;
	$w->start("worker_shutdown_timeout 300ms;\n$http");
	slow_origin($w);
	my $c = begin_slow($w);
	is $w->stop('QUIT'), 0, 'ends in time';
	my $r = $c->response;
	ok !$r || !$r->complete, 'the response does not look complete';
	ok $c->was_reset, 'because the connection was reset';
	$w->log_like(qr/worker_shutdown_timeout has passed, 1 connections are reset/);
};

subtest 'TERM and INT are fast' => sub {
	for my $sig (qw(TERM INT)) {
		my $w = Weir->new;
		$w->start($http);
		slow_origin($w);
		my $c = begin_slow($w);
		is $w->stop($sig), 0, "$sig: code 0";
		ok $c->eof, 'the request was cut off';
		ok !-e $w->pid_path, 'no pid file';
	}
};

subtest 'HUP' => sub {
	my $w = Weir->new;
	my $pid = 'pid %DIR%/weir.pid;';
	$w->start("$pid\nworker_processes 1;\n$http");
	my ($master, $keeper, @old) = ($w->pid, $w->keeper_pid, $w->worker_pids);
	my $idle = idle_conn($w);
	ok $w->reload("$pid\nworker_processes 2;\n$http"), 'reloads';
	is $w->pid, $master, 'the master stays';
	my @new = $w->worker_pids;
	is scalar(@new), 2, 'as many workers as were asked for';
	isnt $w->keeper_pid, $keeper, 'a new keeper';
	is $w->read('weir.pid'), "$master\n", 'the pid file stays';
	$idle->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	my $r = $idle->response;
	is $r && $r->status, 200, 'a request that was on its way on an idle connection is answered';
	ok wait_for(sub { !Weir::alive($old[0]) }), 'the old worker ends';
	ok !$w->reload("$pid worker_processes 3;\nhtpp { }\n"), 'a mistake is refused';
	$w->expect_alert(qr/weir\.conf:\d+.*htpp/);
	$w->log_like(qr/\[emerg\] .*weir\.conf:2:\d+: htpp: unknown directive.*http/, 'with its place');
	is_deeply [$w->worker_pids], \@new, 'and nothing changes';
	is $w->get('/')->status, 200, 'still served';
	ok $w->reload("pid %DIR%/other.pid;\n$http"), 'another pid file';
	ok wait_for(sub { ($w->read('other.pid') // '') eq "$master\n" && !-e $w->pid_path }),
	    'is written, the old one removed';
	is $w->stop, 0, 'ends';
	ok !-e $w->dir . '/other.pid', 'without leaving it';
};

subtest 'USR1 reopens logs' => sub {
	my $w = Weir->new;
	$w->start("error_log %DIR%/error.log info;\n" .
	    ($http =~ s/http \{/http {\n\taccess_log %DIR%\/access.log;/r));
	$w->get('/before');
	$w->access('access.log', 1);
	rename $w->dir . "/$_", $w->dir . "/$_.1" for qw(access.log error.log);
	$w->kill('USR1');
	ok wait_for(sub { -e $w->dir . '/access.log' && -e $w->dir . '/error.log' }), 'new files';
	# The worker is told by the master; until then it writes to the old file, and no line is lost.
	my $n = 0;
	ok wait_for(sub { $n++; $w->get('/after'); $w->log_text('access.log') =~ m{/after} }),
	    'the worker, which may not open files there, writes to the new one';
	is scalar(grep m{/after}, map $w->log_lines($_), 'access.log.1', 'access.log'), $n, 'no line is lost';
	my ($worker) = $w->worker_pids;
	rename $w->dir . '/access.log', $w->dir . '/access.log.2';
	kill 'USR1', $worker;
	ok wait_for(sub { $w->get('/third'); ($w->read('access.log') // '') =~ m{/third} }),
	    'USR1 to a worker does it too';
	$w->stop;
};

subtest 'worker ends, worker comes' => sub {
	my $w = Weir->new;
	$w->start($http);
	for my $sig (qw(TERM QUIT)) {
		my ($old) = $w->worker_pids;
		kill $sig, $old;
		ok wait_for(sub { my ($n) = $w->worker_pids; $n && $n != $old && !Weir::alive($old) }),
		    "$sig to a worker: the master starts another";
		is $w->get('/')->status, 200, 'which serves';
	}
	$w->log_like(qr/worker process \d+ exited with code 0/);
	$w->stop;
};

subtest 'storms' => sub {
	my $w = Weir->new;
	$w->start("worker_processes 2;\n$http");
	my $load = $w->background(sub {
		my ($stop) = @_;
		my ($ok, $bad) = (0, 0);
		until ($stop->()) {
			my $r = $w->get('/');
			$r && $r->status == 200 ? $ok++ : $bad++;
		}
		return { ok => $ok, bad => $bad };
	});
	for (1 .. 100) {
		kill $_, $w->pid for qw(HUP USR1 CHLD);
		select undef, undef, undef, 0.005;
	}
	# What was asked last is done: the configuration as it is after the last HUP.
	ok $w->reload("worker_processes 3;\n$http"), 'the last reload counts';
	# A reload that was asked for in between may still be under way.
	ok wait_for(sub { $w->worker_pids == 3 && $w->all_pids == 5 }),
	    'in the end there are a master, three workers and a keeper';
	my $r = $load->finish;
	is $r->{bad}, 0, "no request failed of $r->{ok}";
	cmp_ok $r->{ok}, '>', 0, 'and there were some';
	is $w->stop, 0, 'ends';
};

subtest 'signals during the start' => sub {
	for my $sig (qw(TERM QUIT)) {
		my $w = Weir->new;
		my $conf = $w->set_conf($http);
		my $pid = $w->spawn([ $w->binary, $w->args($conf) ]);
		kill $sig, $pid;
		my $code = Weir::wait_exit($pid);
		# Before main() a signal ends any process; after it, in order.
		ok defined $code && ($code == 0 || $code == -($sig eq 'TERM' ? 15 : 3)), "$sig at once: ends" or
		    diag(defined $code ? "with $code" : 'it runs', "\n", $w->log_text);
		ok !-e $w->pid_path, 'no pid file is left';
	}
	my $w = Weir->new;
	$w->set_conf($http);
	$w->start(undef);
	kill 'HUP', $w->pid for 1 .. 3;
	is $w->stop('TERM'), 0, 'HUP and TERM at the same time';
};

subtest 'a start that fails' => sub {
	my @bad = (
		[ 'the pid file cannot be written', 'pid %DIR%/none/weir.pid;', qr/\[emerg\].*open\(\) ".*none\/weir\.pid" failed \(2: / ],
		[ 'a worker cannot begin', 'working_directory %DIR%/none;', qr/\[emerg\].*chdir\(".*none"\) failed \(2: / ],
	);
	for my $daemon (qw(off on)) {
		for (@bad) {
			my ($what, $conf, $says) = @$_;
			my $w = Weir->new;
			$w->expect_alert(qr/\[emerg\]|exited with code 2/);
			my ($code, undef, $err) = $w->run($w->args($w->set_conf("daemon $daemon;\n$conf\n$http")));
			is $code, 1, "daemon $daemon: $what: code 1";
			like $err, qr/weir: \[emerg\] weir cannot start: \S+error\.log tells why/, 'where to look';
			like $w->log_text, $says, 'and there it is';
			ok wait_for(sub { !$w->connect(timeout => 1) }), 'nothing runs';
		}
	}
};

subtest 'a reload that fails when it is tried' => sub {
	my $w = Weir->new;
	$w->expect_alert(qr/chdir|exited with code 2/);
	$w->start("worker_processes 1;\n$http");
	my @old = $w->worker_pids;
	ok !$w->reload("worker_processes 3;\nworking_directory %DIR%/none;\n$http"), 'the new workers cannot begin';
	# Sockets that were opened for them may hold connections already, so old ones take them over.
	ok wait_for(sub { my @p = $w->worker_pids; @p == 1 && $p[0] != $old[0] && !$w->retiring_pids }),
	    'a worker of the old configuration serves all sockets';
	is scalar(grep { my $r = $w->get('/'); $r && $r->status == 200 } 1 .. 40), 40, 'no request is lost';
	ok $w->reload("worker_processes 2;\n$http"), 'the next reload works';
	is $w->stop, 0, 'end';
};

subtest 'daemon' => sub {
	my $w = Weir->new;
	my $conf = $w->set_conf("daemon on;\n$http");
	my ($code) = $w->run($w->args($conf));
	is $code, 0, 'the command returns';
	is $w->get('/')->status, 200, 'when the server serves';
	my $pid = $w->pid_file_pid;
	ok $pid, 'and has a pid file';
	$w->adopt($pid);
	isnt getpgrp($pid), getpgrp(0), 'it has left the terminal';
	is readlink "/proc/$pid/fd/0", '/dev/null', 'stdin is nothing';
	my ($c2, undef, $err) = $w->run($w->args($conf));
	is $c2, 1, 'a second one fails';
	like $err, qr/\[emerg\].* bind\(\) to 127\.0\.0\.1:\d+ failed \(98: Address already in use\)/, 'and says why';
	like $err, qr/still could not bind\(\)/, 'after some tries';
	$w->expect_alert(qr/bind\(\)/);
	is $w->get('/')->status, 200, 'the first one serves on';
	($code) = $w->run($w->args($conf), '-s', 'reload');
	is $code, 0, '-s reload';
	$w->log_like(qr/generation 2 serves/);
	($code) = $w->run($w->args($conf), '-s', 'reopen');
	is $code, 0, '-s reopen';
	$w->log_like(qr/SIGUSR1.*reopening/);
	($code) = $w->run($w->args($conf), '-s', 'quit');
	is $code, 0, '-s quit';
	ok wait_for(sub { !-e $w->pid_path && !Weir::alive($pid) }), 'gone';
	($code, undef, $err) = $w->run($w->args($conf), '-s', 'stop');
	is $code, 1, '-s stop without a server fails';
	like $err, qr/^weir: \[error\] open\(\) ".*weir\.pid" failed \(2: No such file or directory\)$/m, 'as nginx says it';
	$w->write('weir.pid', "x7\n");
	($code, undef, $err) = $w->run($w->args($conf), '-s', 'stop');
	is $code, 1, 'nonsense in the pid file';
	like $err, qr/^weir: \[error\] invalid PID number "x7" in ".*weir\.pid"$/m, 'is told';
	($code, undef, $err) = $w->run($w->args($conf), '-s', 'jump');
	is $code, 1, 'no such signal';
	unlink $w->pid_path;
};

subtest 'master_process off' => sub {
	my $w = Weir->new;
	$w->start("master_process off;\n$http");
	is pid_of($w), $w->pid, 'the only process serves';
	is scalar($w->all_pids), 1, 'and has no children';
	$w->kill('HUP');
	$w->log_like(qr/reload failed: there is no master process/, 'it says that it cannot reload');
	my $idle = idle_conn($w);
	is $w->stop, 0, 'QUIT';
	ok $idle->eof, 'closed the idle connection';
	ok !-e $w->pid_path, 'and removed the pid file';
};

subtest 'what workers are given' => sub {
	my $w = Weir->new;
	mkdir $w->dir . '/cwd';
	# What weir calls as the new binary tells what it was given, and fails.
	my $new = $w->write('new', "#!/bin/sh\nenv > $w->{dir}/env\nexit 3\n", 0755);
	$w->start(<<"E", env => { KEPT => 'kept', LOST => 'lost', LD_BIND_NOW => '1' }, argv0 => $new);
worker_rlimit_nofile 777;
worker_priority 3;
worker_cpu_affinity 1;
working_directory %DIR%/cwd;
env KEPT;
env GIVEN=given;
env LD_BIND_NOW;
$http
E
	my ($p) = $w->worker_pids;
	my $master = $w->pid;
	my ($limits) = $w->read("/proc/$p/limits") =~ /^Max open files\s+(\d+)/m;
	is $limits, 777, 'worker_rlimit_nofile';
	my @stat = split / /, $w->read("/proc/$p/stat") =~ s/^.*\) //sr;
	is $stat[16], 3, 'worker_priority';
	like $w->read("/proc/$p/status"), qr/^Cpus_allowed_list:\s+0$/m, 'worker_cpu_affinity';
	is readlink "/proc/$p/cwd", $w->dir . '/cwd', 'working_directory';
	$w->kill('USR2');
	$w->log_like(qr/\[error\].* new binary process \d+ exited with code 3/, 'the new binary failed');
	is $w->read('weir.pid'), "$master\n", 'the pid file is back';
	ok !-e $w->pid_path . '.oldbin', 'under its name';
	my @env = grep !/^(?:PWD|_|SHLVL|[AUL][A-Z]*SAN_OPTIONS)=/, split /\n/, $w->read('env');
	like join("\n", @env), qr/^WEIR=\d+:127\.0\.0\.1:\d+;$/m, 'it was offered the listeners';
	is join(' ', sort grep !/^(?:WEIR|WEIR_ZONES|TZ)=/, @env), 'GIVEN=given KEPT=kept',
	    'env: what was said and nothing else';
	$w->stop;
};

subtest 'descriptors' => sub {
	plan skip_all => 'needs root to lower the hard limit for another user' if $>;
	my $w = Weir->new;
	chmod 0777, $w->dir, $w->dir . '/logs';
	# Where this tree lies may be closed to others.
	my $binary = $w->dir . '/weir';
	File::Copy::copy($w->binary, $binary) && chmod 0755, $binary or die "$binary: $!";
	my $try = sub {
		my ($conf) = @_;
		$conf = $w->set_conf($conf);
		my @args = map "'$_'", $binary, $w->args($conf), '-t';
		my $out = `setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "ulimit -n 200; exec @args" 2>&1`;
		unlink $w->log_path;
		return ($? >> 8, $out);
	};
	my ($code, $out) = $try->("events { worker_connections 1000; }\n$http");
	is $code, 1, 'more worker_connections than descriptors: refused';
	like $out, qr/\[emerg\].*1000 worker_connections need \d+ descriptors, and the system allows 200/, 'with the numbers';
	($code, $out) = $try->("events { }\n$http");
	is $code, 0, 'the default works all the same';
	like $out, qr/\[warn\].*512 worker_connections need/, 'with a warning';
	($code, $out) = $try->("worker_rlimit_nofile 1000;\n$http");
	is $code, 1, 'worker_rlimit_nofile above the hard limit: refused';
	like $out, qr/worker_rlimit_nofile 1000 is more than the hard limit of 200/, 'with the numbers';
};

done_testing;
