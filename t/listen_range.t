#!/usr/bin/env perl
# listen_range.t - a server that listens on many ports.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: listen

my $w = Weir->new;

my ($up, $first);
sub conf
{
	my $last = $first + 9;
	my ($second, $third) = ($first + 10, $first + 12);
	return <<"E";
worker_processes 2;
stream {
	server { listen 127.0.0.1:$first-$last; return "\$server_port"; }
	server { listen 127.0.0.2:$first-$last udp; return "udp \$server_port"; }
	server { listen 127.0.0.3:$first-$first; proxy_pass 127.0.0.1:\$server_port; }
	server { listen $second-$third; return "all \$server_port"; }
	server { listen localhost:@{[ $first + 13 ]}-@{[ $first + 14 ]}; return "named \$server_port"; }
}
http { access_log off; server { listen 127.0.0.4:$first-$last; location / { return 200 "http \$server_port"; } } }
E
}
# Somebody may take one of them before weir does.
for (1 .. 5) {
	$first = $w->ports(15);
	last if ($w->test_conf(conf()))[0] == 0;
}
$w->start(conf());

sub said { my ($ip, $port) = @_; my $s = IO::Socket::INET->new(PeerAddr => $ip, PeerPort => $port, Timeout => $Weir::TIMEOUT) or return; return join '', <$s> }

is join(' ', map said('127.0.0.1', $_), $first .. $first + 9), join(' ', $first .. $first + 9), 'every port of the range';
is said('127.0.0.1', $first + 10), 'all ' . ($first + 10), 'the port behind it is another server\'s';
is said('127.0.0.5', $first + 12), 'all ' . ($first + 12), 'a range on all addresses';
is said('localhost', $first + 14), 'named ' . ($first + 14), 'of a name';
is said('127.0.0.3', $first), $first, 'a range of one; the upstream has the same port';
for my $p ($first, $first + 9) {
	my $u = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.2', PeerPort => $p);
	$u->send('x');
	my $got = '';
	$u->recv($got, 100) if wait_for(sub { my $r = ''; vec($r, fileno $u, 1) = 1; select $r, undef, undef, 0 });
	is $got, "udp $p", "datagrams, port $p";
	is $w->request('GET', '/', [], undef, to => [ '127.0.0.4', $p ])->body, "http $p", "http, port $p";
}

# a reload that moves the range: what stays is not closed
my $c = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $first + 5) or die;
my $later = $first + 5;
ok $w->reload("worker_processes 2; stream { server { listen 127.0.0.1:$later-@{[ $first + 12 ]}; return \"new \$server_port\"; } }"), 'a reload with another range';
is said('127.0.0.1', $later), "new $later", 'a port of both';
is said('127.0.0.1', $first + 12), 'new ' . ($first + 12), 'a new one';
ok wait_for(sub { !defined said('127.0.0.1', $first) }), 'the others are closed';
is join('', <$c>), $later, 'who was connected got the answer of before';
$w->stop;

# ---- mistakes ----

$w->expect_alert(qr/listen|bind/);
for (
	[ '127.0.0.1:8010-8000', qr/invalid port range in "127\.0\.0\.1:8010-8000"/, 'reversed' ],
	[ '127.0.0.1:8000-65536', qr/invalid port range/, 'too far' ],
	[ '127.0.0.1:0-10', qr/invalid port range/, 'from port 0' ],
	[ '127.0.0.1:8000-', qr/invalid address or port/, 'without end' ],
	[ '127.0.0.1:-8000', qr/invalid address or port/, 'without beginning' ],
	[ '127.0.0.1:80-81-82', qr/invalid address or port/, 'twice' ],
	[ '127.0.0.1:8000-8010x', qr/invalid address or port/, 'with more behind it' ],
	[ '127.0.0.1:8000-99999999999999999999', qr/invalid address or port/, 'beyond all numbers' ],
	[ '127.0.0.1:8000-8010; listen 127.0.0.1:8010-8020', qr/a duplicate listen 127\.0\.0\.1:8010/, 'that overlap' ],
) {
	my ($listen, $why, $name) = @$_;
	my ($code, undef, $err) = $w->test_conf("stream { server { listen $listen; return x; } }");
	isnt $code, 0, "a range $name";
	like $err, $why, 'is told';
}

# every port has a socket for each worker
my $conf = $w->set_conf("worker_processes 8;\nstream { server { listen 127.0.0.1:1024-65535; return x; } }");
my @args = map "'$_'", $w->binary, $w->args($conf), '-t';
my $began = time;
my $weak = $> == 0 ? 'setpriv --bounding-set=-sys_resource' : '';	# who has that right may have any number
my $out = `sh -c "ulimit -n 1000; exec $weak @args" 2>&1`;
isnt $?, 0, 'a range that takes all descriptors';
like $out, qr/the addresses of listen need 516096 descriptors, one for each worker, and \d+ are allowed/, 'is told, with the numbers';
cmp_ok time - $began, '<', slack(10), 'soon';

done_testing;
