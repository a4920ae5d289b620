#!/usr/bin/perl

# A short connection of stream is cheap: which system calls it takes.  Their order and number hardly depend on timing, what may
# come on top is reading once more.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
$w->origin(2, sub {
	my ($c) = @_;
	my $said = $c->read_until(qr/\n/) // '';
	$c->send("you said $said");
});
$w->start(<<'CONF');
worker_processes 1;
stream {
	log_format t "$status $close_reason $bytes_received/$bytes_sent";
	access_log %DIR%/access.log t;
	error_log %DIR%/error.log warn;		# what is told in addition takes calls, too
	server { listen 127.0.0.1:%PORT1%; proxy_pass 127.0.0.1:%PORT2%; }
	server { listen 127.0.0.1:%PORT3%; proxy_pass 127.0.0.1:%PORT2%; proxy_half_close off; }
}
CONF

sub visit
{
	my ($n) = @_;
	my $c = $w->connect(port => $n);
	$c->send("hello\n");
	return $c->read_all;
}

sub calls_of
{
	my ($n, $logged) = @_;
	my ($worker) = $w->worker_pids;
	my $trace = $w->dir . "/trace$n";
	my $strace = fork // die;
	if (!$strace) {
		open STDERR, '>', "$trace.err";
		exec 'strace', '-e', 'trace=%network,close,epoll_ctl,fcntl,ioctl', '-o', $trace, '-p', $worker;
		exit 127;
	}
	wait_for(sub { ($w->read("trace$n.err") // '') =~ /attached/ });
	is visit($n), "you said hello\n", 'an answer';
	is +($w->access('access.log', $logged))[-1], '200 upstream_closed 6/15', 'and a line';
	wait_for(sub { ($w->read("trace$n") // '') =~ /^close\(.*^close\(.*\n/ms });
	CORE::kill('INT', $strace);
	waitpid $strace, 0;
	my %n;
	$n{$_}++ for $w->read("trace$n") =~ /^(\w+)\(/mg;
	return \%n;
}

visit(1);
visit(3);
$w->access('access.log', 2);
for ([1, 1, 'ends that are handed on'], [3, 0, 'or that end both']) {
	my ($port, $shutdown, $what) = @$_;
	my $n = calls_of($port, $port == 1 ? 3 : 4);
	my $reads = delete $n->{recvfrom};
	cmp_ok $reads, '<=', 4, "$what: reading" or diag explain $n;
	is_deeply $n, { accept4 => 1, epoll_ctl => 2, socket => 1, connect => 1, sendto => 2, close => 2, $shutdown ? (shutdown => 1) : () },
	    'and no call too many';
}
$w->stop;
done_testing;
