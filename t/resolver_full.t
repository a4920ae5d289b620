#!/usr/bin/perl
# resolver_full.t - S-186: more names than a resolver remembers, and names with more addresses than it takes.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

use constant MOST => 4096;	# RESOLVER_NAMES

my $w = Weir->new;
my $sanitized = join('', $w->run('-V')) =~ /--with-sanitizers/;

sub wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }

# Every name is 127.0.0.1; "crowd" is that so often as a datagram has room; and it is noted who was asked for.
my $udp = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(2), Proto => 'udp') or die "udp: $!";
my $names = $w->background(sub {
	my ($stop) = @_;
	my %asked;
	until ($stop->()) {
		my $in = '';
		vec($in, fileno $udp, 1) = 1;
		select($in, undef, undef, 0.05) or next;
		my $from = $udp->recv(my $q, 4096);
		my ($at, @name) = 12;
		while (my $n = unpack "x$at C", $q) { push @name, substr $q, $at + 1, $n; $at += $n + 1 }
		my $name = lc join '.', @name;
		$asked{$name}++;
		my @addrs = $name eq 'crowd' ? map { '127.0.' . ($_ >> 8) . '.' . ($_ & 255) } 1 .. 70 : '127.0.0.1';
		$udp->send(pack('n6', unpack('n', $q), 0x8180, 1, scalar @addrs, 0, 0) . substr($q, 12, $at + 5 - 12) .
		    join('', map { "\xc0\x0c" . pack('n n N n/a', 1, 1, 3600, pack 'C4', split /\./) } @addrs), 0, $from);
	}
	return \%asked;
});

$w->start(<<'E');
worker_processes 1;
http {
	access_log off;
	server {
		listen 127.0.0.1:%PORT1%;
		resolver 127.0.0.1:%PORT2% ipv6=off;
		keepalive_requests 100000;
		location / { proxy_pass http://$arg_n:%PORT1%/ok; }
		location /ok { return 200 ok; }
	}
}
E

my ($pid) = $w->worker_pids;
sub kb { return ($w->read("/proc/$pid/status") // '') =~ /VmRSS:\s+(\d+)/ ? $1 : 0 }

my $c = $w->connect;
my $bad = 0;
sub ask
{
	$c->send("GET /?n=$_[0] HTTP/1.1\r\nHost: a\r\n\r\n");
	my $r = $c->response;
	$bad++ unless $r && $r->status == 200;
}
ask("warm$_") for 1 .. 200;
ask('first');
my $before = kb();
for (1 .. MOST + 200) {
	ask("n$_");
	ask('hot') if $_ % 500 == 0;
}
my $grown = kb() - $before;
ask('hot');
ask('first');
is $bad, 0, 'every name is found';
cmp_ok $grown, '<', 4096, 'the names take less than 4 MB' unless $sanitized;
note "$grown kB for ", MOST;
ask('crowd');
is $bad, 0, 'a name with many addresses' or diag $w->log_text;
is join(' ', $w->worker_pids), $pid, 'the worker lives';
is $w->stop, 0, 'the end';
my $asked = $names->finish;
is $asked->{first}, 2, 'the name that was used longest ago was forgotten';
is $asked->{hot}, 1, 'one that was in use was not';
is $asked->{n100}, 1, 'nobody is asked twice otherwise';
done_testing;
