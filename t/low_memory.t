#!/usr/bin/perl
# low_memory.t - S-185: a worker that may not have more memory (ulimit -d), and clients that take what they can.

use strict;
use warnings;

use lib 't/lib';
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Weir;

my $w = Weir->new;
plan skip_all => 'sanitizers need much more' if join('', $w->run('-V')) =~ /--with-sanitizers/;

# The binary with a limit of 24 MB for each process.
my $real = $w->binary;
$w->{binary} = $w->write('limited', "#!/bin/sh\nulimit -d 24576\nexec $real \"\$@\"\n", 0755);
$w->write('www/big', 'b' x 5_000_000);
$w->origin(2, sub {
	my ($c) = @_;
	$c->read_head;
	$c->timeout(20);
	$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\n" . 'b' x 1_000_000);
});
$w->start(<<'E');
worker_processes 1;
worker_rlimit_nofile 8192;
events { worker_connections 4000; }
http {
	root %DIR%/www;
	access_log off;
	proxy_buffers 8 8k;
	server {
		listen 127.0.0.1:%PORT1% sndbuf=8k backlog=1000;
		location / { return 200 fine; }
		location /big { }
		location /zip { gzip on; gzip_types *; default_type text/plain; alias %DIR%/www/big; }
		location /p { proxy_pass http://127.0.0.1:%PORT2%; }
		location /body { client_body_buffer_size 128k; client_max_body_size 1m; proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E
my ($pid) = $w->worker_pids;
sub kb { return ($w->read("/proc/$pid/status") // '') =~ /VmData:\s+(\d+)/ ? $1 : 0 }

my %floods = (
	'large heads' => [ 1200, "GET / HTTP/1.1\r\nHost: a\r\n" . join '', map "X-$_: " . 'x' x 7900 . "\r\n", 1 .. 4 ],
	'bodies' => [ 400, "POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 120000\r\n\r\n" . 'x' x 110000 ],
	'gzip for slow readers' => [ 200, "GET /zip HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\n\r\n" ],
	'an upstream for slow readers' => [ 300, "GET /p HTTP/1.1\r\nHost: a\r\n\r\n" ],
	'pipelines' => [ 400, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n" x 1000 ],
);
for my $name (sort keys %floods) {
	my ($n, $text) = @{ $floods{$name} };
	my @held;
	for (1 .. $n) {
		my $c = $w->connect(timeout => 2) or last;
		setsockopt $c->socket, SOL_SOCKET, SO_RCVBUF, 4096 if $name =~ /slow|pipe/;
		$c->send($text);
		push @held, $c;
	}
	my $r = $w->get('/');
	note "$name: ", kb(), ' kB, somebody else gets ', $r ? $r->status : 'nothing';
	is join(' ', $w->worker_pids), $pid, "$name: the worker lives" or ($pid) = $w->worker_pids;
	$_->reset for @held;
	ok wait_for(sub { my $r = $w->get('/'); $r && $r->status == 200 }), "$name: and serves when they have gone";
}
# All at once: each kind finds what the others left.
for my $round (1, 2) {
	my @held;
	for my $name (sort keys %floods) {
		my ($n, $text) = @{ $floods{$name} };
		for (1 .. $n) {
			my $c = $w->connect(timeout => 2) or last;
			setsockopt $c->socket, SOL_SOCKET, SO_RCVBUF, 4096 if $name =~ /slow|pipe/;
			$c->send($text);
			push @held, $c;
		}
	}
	note 'all of them: ', kb(), ' kB';
	is join(' ', $w->worker_pids), $pid, 'all of them: the worker lives' or ($pid) = $w->worker_pids;
	$_->reset for @held;
	ok wait_for(sub { my $r = $w->get('/'); $r && $r->status == 200 }), 'all of them: and serves when they have gone';
}
is $w->stop, 0, 'the end';
done_testing;
