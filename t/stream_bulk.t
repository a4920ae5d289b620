#!/usr/bin/env perl
# stream_bulk.t - whatever goes in comes out, byte for byte: through TCP, through an end of TLS on one side and on both, and through
# TLS that is passed on by its name; with ends of every kind, pauses and pieces of any size (S-149).
#
# t/lib/bulk.c is both ends.  WEIR_STREAM_GB=1: so many gigabytes each way of passing, instead of 48 MB;
# WEIR_STREAM_SEED=N: the same once more.
#
# effect: proxy_pass proxy_ssl ssl_preread proxy_buffer_size

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
my $bulk = $w->build('t/lib/bulk.c');
my $bytes = $ENV{WEIR_STREAM_GB} ? $ENV{WEIR_STREAM_GB} * 1e9 : 48e6;
my $seed = $ENV{WEIR_STREAM_SEED} // int rand 1e9;
note "seed $seed";

$w->cert('c');
$w->start(<<'E');
worker_processes 1;
stream {
	ssl_certificate %DIR%/c.crt;
	ssl_certificate_key %DIR%/c.key;
	map $ssl_preread_server_name $to { a.test 127.0.0.1:%PORT21%; b.test 127.0.0.1:%PORT22%; }
	server { listen 127.0.0.1:%PORT1%; proxy_pass 127.0.0.1:%PORT20%; }
	server { listen 127.0.0.1:%PORT2%; proxy_pass 127.0.0.1:%PORT20%; proxy_buffer_size 1; }
	server { listen 127.0.0.1:%PORT3% ssl; proxy_pass 127.0.0.1:%PORT20%; }
	server { listen 127.0.0.1:%PORT4% ssl; proxy_pass 127.0.0.1:%PORT20%; proxy_ssl on; }
	server { listen 127.0.0.1:%PORT5% ssl; proxy_pass 127.0.0.1:%PORT20%; proxy_ssl on; proxy_buffer_size 1; }
	server { listen 127.0.0.1:%PORT6%; proxy_pass 127.0.0.1:%PORT20%; proxy_ssl on; }
	server { listen 127.0.0.1:%PORT7%; ssl_preread on; proxy_pass $to; }
}
E

sub cpu
{
	my ($pid) = @_;
	my @f = split / /, $w->read("/proc/$pid/stat") =~ s/.*\) //sr;
	return ($f[11] + $f[12]) / 100;
}

sub through
{
	my ($what, $from, $to, @more) = @_;
	my @args = ("seed=$seed", "bytes=$bytes", 'ports=' . join(',', map $w->port($_), @$from),
	    'origins=' . join(',', map $w->port($_), @$to), "cert=$dir/c.crt", "key=$dir/c.key", "quiet=$Weir::TIMEOUT", @more);
	my ($pid) = $w->worker_pids;
	my $before = cpu($pid);
	open my $fh, '-|', $bulk, @args or die "$bulk: $!";
	my $said = do { local $/; <$fh> // '' };
	close $fh;
	my %got = $said =~ /^(\w+) (\d+)$/mg;
	ok $got{ok}, "$what: all of it came, and nothing else" or diag "seed $seed: $said";
	cmp_ok +($got{up} // 0) + ($got{down} // 0), '>=', $bytes, '... as much as it should be';
	cmp_ok +(sort { $a <=> $b } map $_ // 0, @got{qw(up down ends cuts)})[0], '>', 0, '... of both, with ends of both kinds';
	note sprintf '%s: %d sessions, %d MB up, %d MB down, %d orderly ends, %d breaks, %.1f s, CPU of the worker %.2f s', $what,
	    $got{sessions} // 0, ($got{up} // 0) / 1e6, ($got{down} // 0) / 1e6, $got{ends} // 0, $got{cuts} // 0, ($got{ms} // 0) / 1000,
	    cpu($pid) - $before;
}

through('TCP', [1, 2], [20]);
through('TLS to TCP', [3], [20], 'client=tls');
through('TLS to TLS', [4, 5], [20], 'client=tls', 'origin=tls');
through('TCP to TLS', [6], [20], 'origin=tls');
through('TLS passed through', [7], [21, 22], 'client=tls', 'origin=tls', 'names=a.test,b.test');

my ($pid) = $w->worker_pids;
ok wait_for(sub { my @fds = glob "/proc/$pid/fd/*"; @fds < 100 }), 'no descriptor is left behind';
is $w->stop, 0, 'stop';
done_testing;
