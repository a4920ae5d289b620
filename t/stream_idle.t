#!/usr/bin/env perl
# stream_idle.t - ten thousand tunnels that rest cost little, and ten thousand clients that say nothing are borne and sent away
# (S-134, S-149, S-188).
#
# effect: ssl_preread preread_timeout proxy_pass

use strict;
use warnings;

use lib 't/lib';
use Socket qw(AF_INET SOCK_STREAM SOL_SOCKET SO_LINGER SO_REUSEADDR inet_aton pack_sockaddr_in);
use Test::More;
use Time::HiRes qw(time);
use Weir;

# As many descriptors as there may be: a test cannot ask for them, a shell can.
chomp(my ($soft, $hard) = map scalar(`sh -c 'ulimit $_ -n'`), '-S', '-H');
if ($soft ne $hard && !$ENV{WEIR_REEXEC}) {
	$ENV{WEIR_REEXEC} = 1;
	exec 'sh', '-c', 'ulimit -n "$(ulimit -H -n)"; exec "$0" "$@"', $^X, $0, @ARGV;
}
$hard = 1e6 if $hard eq 'unlimited';

my $w = Weir->new;
my $sanitized = join('', $w->run('-V')) =~ /--with-sanitizers/;
my $wanted = $sanitized ? 1000 : 10000;
# a process has one descriptor of a tunnel, each of two workers two, of about one half of all
my $n = int(0.9 * $hard) - 200;
$n = $wanted if $n > $wanted;
note $n == $wanted ? "$n connections" : "$n connections: $hard descriptors are all that a process may have here";

my $piece = 'abc' x 1000;
my $to = pack_sockaddr_in($w->port(20), inet_aton('127.0.0.1'));
my $origin = $w->background(sub {
	my ($stop) = @_;
	socket my $l, AF_INET, SOCK_STREAM, 0 or die;
	setsockopt $l, SOL_SOCKET, SO_REUSEADDR, 1;
	bind $l, $to or die "bind: $!";
	listen $l, 4096 or die;
	$w->write('origin', '');
	my @all;
	until ($stop->()) {
		my $v = '';
		vec($v, fileno $l, 1) = 1;
		next unless select $v, undef, undef, 0.1;
		accept my $s, $l or next;
		whole($s, length $piece) eq $piece or die 'not what was sent';
		syswrite $s, $piece;
		push @all, $s;
	}
	return { n => scalar @all };
});
ok wait_for(sub { defined $w->read('origin') }), 'an origin';

$w->start(<<"E");
worker_processes 2;
worker_rlimit_nofile $hard;
events { worker_connections 50000; }
stream {
	log_format t "\$server_port \$status \$close_reason";
	access_log %DIR%/access.log t;
	server { listen 127.0.0.1:%PORT1% reuseport; proxy_pass 127.0.0.1:%PORT20%; proxy_timeout 1h; access_log off; }
	server { listen 127.0.0.1:%PORT2% reuseport; ssl_preread on; preread_timeout 1h; return "\$ssl_preread_server_name"; access_log off; }
	server { listen 127.0.0.1:%PORT3% reuseport; ssl_preread on; preread_timeout 1s; return x; }
	server { listen 127.0.0.1:%PORT4%; return served; access_log off; }
}
E

sub whole
{
	my ($s, $want) = @_;
	my $got = '';
	while (length $got < $want) {
		sysread $s, $got, $want - length $got, length $got or last;
	}
	return $got;
}

# From several addresses, so that ports do not run out.
sub dial
{
	my ($port, $i) = @_;
	socket my $s, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
	setsockopt $s, 0, 24, 1;		# IP_BIND_ADDRESS_NO_PORT
	bind $s, pack_sockaddr_in(0, inet_aton('127.0.0.' . (2 + $i % 8))) or die "bind: $!";
	connect $s, pack_sockaddr_in($w->port($port), inet_aton('127.0.0.1')) or die "connect: $!";
	setsockopt $s, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
	return $s;
}

my @workers = $w->worker_pids;
sub fds { my $n = 0; for my $p (@workers) { my @f = glob "/proc/$p/fd/*"; $n += @f } return $n }
sub private_kb
{
	my $kb = 0;
	for my $p (@workers) {
		$kb += $_ for $w->read("/proc/$p/smaps_rollup") =~ /^Private_\w+:\s+(\d+) kB/mg;
	}
	return $kb;
}
sub served { my $c = $w->connect(port => 4); return $c->read_all }

# ---- tunnels that rest ----

is served(), 'served', 'another client' for 1 .. 20;
my ($kb, $fds) = (private_kb(), fds());
my $t = time;
my @tunnels;
for my $i (1 .. $n) {
	my $s = dial(1, $i);
	syswrite $s, $piece;
	whole($s, length $piece) eq $piece or last;
	push @tunnels, $s;
}
is scalar(@tunnels), $n, "$n tunnels, through which something went";
my $more = fds() - $fds;
ok $more <= 2 * $n && $more > 2 * $n - 40, 'each has two descriptors, and no pipe' or diag $more;
my $each = (private_kb() - $kb) * 1024 / $n;
note sprintf '%.0f bytes of private memory for each tunnel, made in %.1f s', $each, time - $t;
cmp_ok $each, '<=', 2048, 'at most 2 kB of private memory each' unless $sanitized;
is served(), 'served', 'others are served meanwhile';
my $last = 0;
for my $i (map int $_ * $n / 10, 0 .. 9) {
	$last++ if defined syswrite $tunnels[$i], 'x';
}
is $last, 10, 'they can still be used';
shutdown $tunnels[$_], 1 for 0 .. 99;		# some end in order, the others break
close $_ for @tunnels;
@tunnels = ();
ok wait_for(sub { fds() <= $fds + 200 }), 'they end';
is $origin->finish->{n}, $n, 'the origin had all of them';
ok wait_for(sub { fds() <= $fds }), 'and nothing is left';

# ---- clients that say nothing ----

sub hello
{
	my ($name) = @_;
	my $body = pack('n', 0x303) . 'r' x 32 . "\0" . pack('n/a', pack 'n', 0x1301) . "\1\0" .
	    pack('n/a', pack('n n/a', 0, pack 'n/a', pack 'C n/a', 0, $name));
	return pack 'C n n/a', 22, 0x301, "\1" . substr(pack('N', length $body), 1) . $body;
}

$kb = private_kb();
my @silent = map dial(2, $_), 1 .. $n;
ok wait_for(sub { fds() >= $fds + $n }), "$n clients who say nothing where a ClientHello is waited for";
$each = (private_kb() - $kb) * 1024 / $n;
note sprintf '%.0f bytes more of private memory for each', $each;
cmp_ok $each, '<=', 4096, 'they have no buffer' unless $sanitized;
is served(), 'served', 'others are served meanwhile';
my $c = $w->connect(port => 2);
$c->send(hello('a.test'));
is $c->read_all, 'a.test', 'also where they wait';
close $_ for @silent;
@silent = ();
ok wait_for(sub { fds() <= $fds }), 'they go';

@silent = map dial(3, $_), 1 .. $n;
is served(), 'served', 'others are served';
my $ends = 0;
for my $s (@silent) {
	my $v = '';
	vec($v, fileno $s, 1) = 1;
	select $v, undef, undef, $Weir::TIMEOUT or last;
	$ends++ if defined(my $got = sysread $s, my $x, 1);
}
is $ends, $n, 'preread_timeout ends all of them';
my $p3 = $w->port(3);
is scalar(grep /^$p3 200 preread_timeout$/, $w->access('access.log', $n)), $n, 'and each is logged';
ok wait_for(sub { fds() <= $fds }), 'nothing is left';
is served(), 'served', 'and others are served';
is $w->stop, 0, 'stop';
done_testing;
