#!/usr/bin/perl

# Directives of the main and events blocks, and what happens when connections or descriptors run out.
#
# effect: events use accept_mutex multi_accept debug_connection worker_connections
# effect: load_module pcre_jit error_log worker_processes worker_rlimit_nofile

use strict;
use warnings;

use lib 't/lib';
use POSIX ();
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $sanitized = ($ENV{WEIR_OBJS} // '') =~ /asan|fuzz/;
my $http = <<'E';
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "pid $pid\n"; }
		location ~ ^/re/[a-z]+$ { return 200 regex; }
		location /bad { root %DIR%/nothing; }
	}
}
E

subtest 'mistakes' => sub {
	my @bad = (
		[ 'worker_processes 0;', qr/weir\.conf:1:18: worker_processes: / ],
		[ 'worker_processes many;', qr/weir\.conf:1:18: worker_processes: / ],
		[ 'worker_priority 20;', qr/weir\.conf:1:17: worker_priority: / ],
		[ 'worker_cpu_affinity 012;', qr/weir\.conf:1:21: worker_cpu_affinity: a mask is made of 0 and 1/ ],
		[ 'worker_cpu_affinity 000;', qr/weir\.conf:1:21: worker_cpu_affinity: a mask is made of 0 and 1, and has a 1/ ],
		[ 'worker_cpu_affinity auto 01 10;', qr/weir\.conf:1:29: worker_cpu_affinity: / ],
		[ 'worker_shutdown_timeout soon;', qr/weir\.conf:1:25: worker_shutdown_timeout: / ],
		[ 'load_module modules/x.so;', qr/weir\.conf:1:13: load_module: weir's modules are part of the binary/ ],
		[ 'error_log %DIR%/e.log loud;', qr/weir\.conf:1:\d+: error_log: there is no log level "loud"/ ],
		[ 'error_log %DIR%/e.log inf;', qr/error_log: .*did you mean "info"\?/ ],
		[ 'error_log %DIR%/none/e.log;', qr/error_log: open\(\) ".*none\/e\.log" failed \(2: No such file/ ],
		[ 'error_log memory:32k;', qr/error_log: weir keeps no log in memory/ ],
		[ 'error_log stderr info warn;', qr/error_log: duplicate log level "warn"/ ],
		[ 'error_log stderr info format=xml;', qr/error_log: the format of an error log is text or json, not "xml"/ ],
		[ 'env =x;', qr/weir\.conf:1:5: env: the variable has no name/ ],
		[ 'events { use kqueue; }', qr/weir\.conf:1:14: use: weir waits for events with "epoll"/ ],
		[ 'events { worker_connections 0; }', qr/weir\.conf:1:29: worker_connections: / ],
		[ 'events { debug_connection 10.0.0.0/33; }', qr/debug_connection: "10\.0\.0\.0\/33" is no network/ ],
		[ 'events { } events { }', qr/events: "events" directive is duplicate/ ],
		[ 'pcre_jit maybe;', qr/weir\.conf:1:10: pcre_jit: / ],
	);
	for (@bad) {
		my ($text, $like) = @$_;
		my $w = Weir->new;
		$w->expect_alert(qr/\[emerg\]/);
		my ($code, undef, $err) = $w->test_conf("$text\n$http");
		is $code, 1, $text;
		like $err, $like, 'says what and where';
	}
	my $w = Weir->new;
	my ($code, undef, $err) = $w->test_conf("events { use epoll; accept_mutex off; }\n$http");
	is $code, 0, 'use epoll; accept_mutex off';
	unlike $err, qr/warn/, 'is how it is anyway';
	($code, undef, $err) = $w->test_conf("events { accept_mutex on; }\n$http");
	is $code, 0, 'accept_mutex on';
	like $err, qr/\[warn\].*accept_mutex: weir does not need it/, 'is told to be needless';
};

subtest 'worker_processes auto' => sub {
	my $w = Weir->new;
	my ($cpus) = `nproc` =~ /(\d+)/;
	$w->start("worker_processes auto;\n$http");
	my @p = $w->worker_pids;
	# A cgroup may pay for fewer than there are.
	cmp_ok scalar(@p), '>=', 1, 'there are some';
	cmp_ok scalar(@p), '<=', $cpus, 'not more than processors';
	ok $w->reload("worker_processes auto;\nworker_cpu_affinity auto;\n$http"), 'affinity';
	my %cpu = map { ($w->read("/proc/$_/status") =~ /^Cpus_allowed_list:\s+(\S+)$/m)[0] => 1 } $w->worker_pids;
	is scalar(keys %cpu), scalar(@p), 'each worker has a processor of its own';
	ok !grep(/[-,]/, keys %cpu), 'and only one';
	$w->stop;
};

subtest 'error_log' => sub {
	my $w = Weir->new;
	$w->start("error_log %DIR%/error.log error;\nerror_log %DIR%/second.log notice;\nerror_log stderr warn;\n$http");
	is $w->get('/bad')->status, 404, 'a file that is not there';
	ok $w->wait_log(qr/\[error\].*nothing/), 'is an error';
	unlike $w->log_text, qr/\[notice\]/, 'of level error are the first log';
	like $w->log_text('second.log'), qr/\[notice\].*generation 1 serves/, 'of level notice the second';
	like $w->log_text('second.log'), qr/\[error\].*nothing/, 'which has the error as well';
	like $w->read('stderr'), qr/\[error\].*nothing/, 'as stderr has';
	unlike $w->read('stderr'), qr/\[notice\]/, 'and no notices';
	$w->stop;
	# Without the directive: the file of -e, at level error.
	my $v = Weir->new;
	my $conf = $v->set_conf("pid %DIR%/weir.pid;\ndaemon off;\n$http");
	my $pid = $v->spawn([ $v->binary, '-p', $v->dir, '-c', $v->conf_path, '-e', 'logs/first.log' ]);
	ok wait_for(sub { $v->get('/bad') }), 'started by -e';
	ok wait_for(sub { $v->log_text('logs/first.log') =~ /\[error\].*nothing/ }), 'errors are there';
	CORE::kill('QUIT', $pid);
	is Weir::wait_exit($pid), 0, 'stopped';
};

subtest 'debug_connection' => sub {
	my $w = Weir->new;
	$w->start("error_log %DIR%/error.log error;\nevents {\n debug_connection 127.0.0.2;\n debug_connection 127.0.1.0/25;\n debug_connection unix:;\n}\n" .
	    ($http =~ s/(listen .*)/$1\n listen unix:%DIR%\/s;/r));
	for (['127.0.0.1', 0], ['127.0.0.2', 1], ['127.0.1.127', 1], ['127.0.1.128', 0]) {
		my ($from, $debug) = @$_;
		my $before = () = $w->log_text =~ /\[debug\]/g;
		is $w->request('GET', '/', [], undef, from => $from)->status, 200, "from $from";
		my $lines = (() = $w->log_text =~ /\[debug\]/g) - $before;
		is $lines > 0 ? 1 : 0, $debug, $debug ? 'is logged at debug' : 'is not';
	}
	my $before = () = $w->log_text =~ /\[debug\]/g;
	$w->request('GET', '/', [], undef, unix => $w->dir . '/s');
	cmp_ok scalar(() = $w->log_text =~ /\[debug\]/g), '>', $before, 'nor are unix sockets forgotten';
	$w->stop;
};

subtest 'pcre_jit' => sub {
	# Machine code of no file is in the memory of who has compiled some.
	my $code = sub {
		my ($w) = @_;
		my ($p) = $w->worker_pids;
		return scalar(() = $w->read("/proc/$p/maps") =~ /^\S+ r?w?-?[^ ]*x\S* \S+ 00:00 0 *$/mg);
	};
	for (['on', 1], ['off', 0]) {
		my ($value, $has) = @$_;
		my $w = Weir->new;
		$w->start("pcre_jit $value;\n$http");
		is $w->get('/re/abc')->body, 'regex', "$value: regexes work";
		is $code->($w) > 0 ? 1 : 0, $has, $has ? 'compiled' : 'interpreted';
		$w->stop;
	}
} unless $sanitized;

# How many connections a worker takes before it looks for other events.
sub accepted_at_once
{
	my ($multi) = @_;
	my $w = Weir->new;
	$w->start("events { multi_accept $multi; }\n$http");
	my ($worker) = $w->worker_pids;
	my $trace = $w->dir . '/trace';
	CORE::kill('STOP', $worker);
	my @c = map $w->connect, 1 .. 40;
	my $strace = fork // die;
	if (!$strace) {
		open STDERR, '>', "$trace.err";
		exec 'strace', '-e', 'trace=accept4,epoll_wait', '-o', $trace, '-p', $worker;
		exit 127;
	}
	wait_for(sub { ($w->read('trace.err') // '') =~ /attached/ });
	CORE::kill('CONT', $worker);
	$_->send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") for @c;
	$_->response for @c;
	CORE::kill('INT', $strace);
	waitpid $strace, 0;
	$w->stop;
	my ($most, $n) = (0, 0);
	for (split /\n/, $w->read('trace')) {
		$n = /^accept4\(.*= \d+/ ? $n + 1 : /^epoll_wait/ ? 0 : $n;
		$most = $n if $n > $most;
	}
	return $most;
}

subtest 'multi_accept' => sub {
	my ($off, $on) = map accepted_at_once($_), qw(off on);
	cmp_ok $on, '>=', 32, "on: all that wait, $on";
	cmp_ok $off, '>', 0, 'off: some';
	cmp_ok $off, '<', $on, "but fewer: $off";
};

subtest 'worker_connections' => sub {
	my $w = Weir->new;
	$w->expect_alert(qr/worker_connections are not enough/);
	$w->start("events { worker_connections 4; }\n$http");
	my @c = map $w->connect, 1 .. 4;
	$_->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") for @c;
	is scalar(grep { my $r = $_->response; $r && $r->status == 200 } @c), 4, 'as many as may be';
	my $more = $w->connect(timeout => 1);
	$more->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	ok !$more->response, 'one more has to wait';
	$w->log_like(qr/\[alert\] .*worker_connections are not enough/);
	$c[0]->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is $c[0]->response->status, 200, 'those that were there are served on';
	$more->timeout(5);
	(pop @c)->close;
	my $began = time;
	is $more->response->status, 200, 'when one has gone it gets its turn';
	cmp_ok time - $began, '<', slack(1.5), 'soon';
	$w->stop;
};

subtest 'no descriptors are left' => sub {
	my $w = Weir->new;
	$w->start("worker_rlimit_nofile 40;\n$http");
	$w->log_like(qr/\[warn\].*512 worker_connections are more than worker_rlimit_nofile 40 allows/);
	my @c = map $w->connect, 1 .. 60;
	$_->timeout(2) for @c;
	$_->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") for @c;
	$w->log_like(qr/\[crit\] .*accept4\(\) failed, accepting pauses \(24: Too many open files\)/);
	my (@served, @wait);
	for (@c) {
		# Those that came first are served first.
		@wait ? push @wait, $_ : $_->response ? push @served, $_ : push @wait, $_;
	}
	cmp_ok scalar(@served), '>', 10, scalar(@served) . ' are served';
	cmp_ok scalar(@wait), '>', 0, 'others wait';
	$served[0]->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is $served[0]->response->status, 200, 'who is there is served on';
	# The log can be reopened all the same, and is written to.
	rename $w->log_path, $w->log_path . '.1';
	$w->kill('USR1');
	ok wait_for(sub { -e $w->log_path }), 'logs are reopened';
	$_->close for splice @served, 1;
	my $began = time;
	my $late = grep { my $r = $_->response; $r && $r->status == 200 } @wait[0 .. ($#wait > 5 ? 5 : $#wait)];
	cmp_ok $late, '>', 0, 'those that waited get their turn';
	cmp_ok time - $began, '<', slack(2), 'within a second';
	is scalar(() = ($w->log_text . $w->read('error.log.1')) =~ /accepting pauses/g), 1, 'and the log says it once';
	$w->stop;
};

done_testing;
