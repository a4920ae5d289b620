#!/usr/bin/perl

# A server without work makes no system call, and needs little memory.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $sanitized = ($ENV{WEIR_OBJS} // '') =~ /asan|fuzz/;
my $seconds = $ENV{WEIR_IDLE_SECONDS} // 4;

my $w = Weir->new;
$w->write('www/index.html', 'x' x 100000);
$w->start(<<'E');
http {
	access_log %DIR%/access.log;
	server {
		listen 127.0.0.1:%PORT1%;
		listen unix:%DIR%/sock;
		location / { root %DIR%/www; }
		location /up { proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	$c->read_request and $c->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup");
});

sub private_kb
{
	my ($pid) = @_;
	my $kb = 0;
	$kb += $_ for $w->read("/proc/$pid/smaps_rollup") =~ /^Private_\w+:\s+(\d+) kB/mg;
	return $kb;
}

SKIP: {
	skip 'sanitizers need memory of their own', 2 if $sanitized;
	my ($worker) = $w->worker_pids;
	my %kb = (master => private_kb($w->pid), worker => private_kb($worker), keeper => private_kb($w->keeper_pid));
	my $sum = $kb{master} + $kb{worker} + $kb{keeper};
	note "private memory: $_ $kb{$_} kB" for sort keys %kb;
	cmp_ok $sum, '>', 0, 'memory was read';
	cmp_ok $sum, '<=', 8192, "master, keeper and a worker hold $sum kB, 8 MB are allowed";
}

# Some work, so that whatever it leaves behind would show.
is $w->get('/index.html')->status, 200, 'a file' for 1 .. 3;
is $w->get('/up')->status, 200, 'proxied' for 1 .. 3;
my $keep = $w->connect;
$keep->send("GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n");
is $keep->response->status, 200, 'a connection that is kept alive and idle';

my @pids = $w->all_pids;
is scalar(@pids), 3, 'master, worker, keeper';
my $trace = $w->dir . '/trace';
my $strace = fork // die;
if (!$strace) {
	open STDERR, '>', "$trace.err";
	exec 'strace', '-f', '-ttt', '-o', $trace, map { ('-p', $_) } @pids;
	exit 127;
}
my $attached = wait_for(sub { my $n = () = ($w->read('trace.err') // '') =~ /attached/g; $n == @pids });
ok $attached, 'strace watches all of them' or diag $w->read('trace.err');
# Attaching interrupts what they wait in, and they begin to wait again.
my $from = time + 0.5;
my $end = $from + $seconds;
wait_for(sub { time > $end }, $seconds + 5);
kill 'INT', $strace;
waitpid $strace, 0;

my @calls = grep { /^\d+ +(\d+\.\d+) (?!.*<detached)/ && $1 > $from && $1 < $end } split /\n/, $w->read('trace');
is_deeply \@calls, [], "no system call in $seconds seconds";
is $w->get('/index.html')->status, 200, 'awake when needed';
$w->stop;

done_testing;
