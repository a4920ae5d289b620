#!/usr/bin/env perl
# transparent.t - listening on, and connecting from, addresses that are not the machine's.
#
# It runs in a network of its own, where 10.99.0.0/16 and fd00:99::/64 belong to nobody, so that they cannot be bound, but are
# routed to the loopback device: what a rule of TPROXY, or a router, does.  Where pairs of devices can be made there are also a
# client and a server in networks of their own, with weir between them.

use strict;
use warnings;

BEGIN {
	if ($> == 0 && !defined $ENV{WEIR_TEST_NET}) {
		$ENV{WEIR_TEST_NET} = 1;
		exec 'unshare', '-n', $^X, $0 or die "unshare: $!";
	}
}

use lib 't/lib';
use Socket qw(:all);
use Test::More;
use Weir;

# effect: listen proxy_bind

my $w = Weir->new;

# ---- without the right to do it ----

# A weir that may not, even if this is root.
my $weak = $> == 0 ? do {
	$w->write('weak', "#!/bin/sh\nexec setpriv --bounding-set=-net_raw,-net_admin $ENV{PWD}/" . (File::Spec->abs2rel($w->binary)) . ' "$@"' . "\n", 0755);
	local $ENV{WEIR_BINARY} = $w->dir . '/weak';
	Weir->new;
} : $w;
$weak->expect_alert(qr/CAP_NET_RAW/);
my ($code, undef, $err) = $weak->test_conf("http {\n\tserver { listen 127.0.0.1:%PORT1% transparent; }\n}");
isnt $code, 0, 'listen ... transparent needs a right';
like $err, qr/weir\.conf:2:\d+: listen: "transparent" needs the capability CAP_NET_RAW/, 'and that is said with its place';
($code, undef, $err) = $weak->test_conf("stream {\n\tproxy_bind \$remote_addr transparent;\n\tserver { listen 127.0.0.1:%PORT1%; return x; }\n}");
is $code, 0, 'proxy_bind ... transparent can be tested without it';
like $err, qr/\[warn\].*weir\.conf:2:\d+: proxy_bind: needs the capability CAP_NET_RAW/, 'but there is a warning';
if ($> != 0) {
	done_testing;
	exit;
}

# ---- mistakes ----

$w->expect_alert(qr/transparent|Cannot assign/);
($code, undef, $err) = $w->test_conf('stream { server { listen unix:%DIR%/s transparent; return x; } }');
isnt $code, 0, 'a unix socket is no address of somebody else';
like $err, qr/"transparent" is for addresses of IP/, 'which is said';
($code, undef, $err) = $w->test_conf('stream { server { listen 127.0.0.1:%PORT1%; proxy_pass 127.0.0.1:1; proxy_bind 127.0.0.1 opaque; } }');
isnt $code, 0, 'another word';
like $err, qr/the only parameter is "transparent"/, 'is told';

# ---- the network ----

sub must { system(@_) == 0 or die "cannot do: @_\n" }
sub set { my ($path, $to) = @_; open my $f, '>', "/proc/sys/$path" or return; print $f $to }

must(qw(ip link set lo up));
my $six = -e '/proc/net/if_inet6' && grep / lo$/, do { open my $f, '<', '/proc/net/if_inet6'; <$f> };
must(qw(ip rule add to 10.99.0.0/16 lookup 99));
must(qw(ip route add local 10.99.0.0/16 dev lo table 99));
if ($six) {
	must(qw(ip -6 rule add to fd00:99::/64 lookup 99));
	must(qw(ip -6 route add local fd00:99::/64 dev lo table 99));
}

sub addr { my ($ip, $port) = @_; return $ip =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $ip)) : pack_sockaddr_in($port, inet_aton($ip)) }

# A socket of a client that has an address of somebody else.
sub from
{
	my ($source, $to, $port, $type) = @_;
	socket my $s, ($to =~ /:/ ? AF_INET6 : AF_INET), $type // SOCK_STREAM, 0 or die "socket: $!";
	setsockopt $s, 0, 19, 1 or die "IP_TRANSPARENT: $!";
	setsockopt $s, SOL_SOCKET, SO_REUSEADDR, 1;	# weir is to have the same address on the same machine
	setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack 'q2', $Weir::TIMEOUT, 0;
	bind $s, addr($source, 0) or die "bind: $!";
	connect $s, addr($to, $port) or return;
	return $s;
}

sub talk
{
	my ($s, $say) = @_;
	return 'no connection' unless $s;
	syswrite $s, $say if defined $say;
	my $all = '';
	1 while sysread $s, $all, 4096, length $all;
	return $all;
}

sub name_of { my ($s) = @_; my ($port) = unpack_sockaddr_in(getsockname $s); return $port }
sub page { my ($s, $uri) = @_; my ($body) = talk($s, "GET $uri HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") =~ /\r\n\r\n(.*)/s; return $body }

# Is there nobody, or nobody whose answers come here?  True when no connection was made.
sub deaf
{
	my ($to, $port) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $to, PeerPort => $port, Timeout => 0.5);
	return !$s;
}

# ---- listening and connecting ----

my $conf = <<'E';
worker_processes 2;
stream {
	server { listen 10.99.0.1:%PORT1% transparent; return "$remote_addr $server_addr $server_port"; }
	server { listen %PORT2% transparent; return "$remote_addr $server_addr $server_port"; }
	server { listen %PORT3%; return "$server_addr"; }
	server { listen %PORT10% transparent; return "$remote_addr:$remote_port > $server_addr"; }
	server { listen 127.0.0.1:%PORT4%; proxy_pass 127.0.0.1:%PORT10%; proxy_bind $remote_addr transparent; }
	server { listen 127.0.0.1:%PORT5%; proxy_pass 127.0.0.1:%PORT10%; proxy_bind $remote_addr:$remote_port transparent; }
	server { listen 127.0.0.1:%PORT6%; proxy_pass 127.0.0.1:%PORT10%; proxy_bind $remote_addr; }
	server { listen 127.0.0.1:%PORT7%; proxy_pass 127.0.0.1:%PORT10%; proxy_bind 10.99.4.4 transparent; }
	server { listen %PORT8% transparent; proxy_pass $server_addr:%PORT10%; proxy_bind $remote_addr transparent; }
	server { listen %PORT11% udp transparent; return "$remote_addr > $server_addr"; }
	server { listen 127.0.0.1:%PORT12% udp; proxy_pass 127.0.0.1:%PORT11%; proxy_bind $remote_addr transparent; proxy_responses 1; }
	server { listen %PORT13% transparent; return "[$redirected_addr:$redirected_port]"; }
	#6 server { listen [::]:%PORT2% transparent; return "$remote_addr $server_addr $server_port"; }
	#6 server { listen [fd00:99::1]:%PORT1% transparent; return "$remote_addr $server_addr $server_port"; }
	#6 server { listen [::]:%PORT11% udp transparent; return "$remote_addr > $server_addr"; }
	#6 server { listen [::1]:%PORT4%; proxy_pass [::1]:%PORT2%; proxy_bind $remote_addr transparent; }
	#6 server { listen [::]:%PORT8% transparent; proxy_pass [$server_addr]:%PORT2%; proxy_bind [$remote_addr]:$remote_port transparent; }
}
http {
	access_log off;
	server { listen %PORT21% transparent; location / { return 200 "$remote_addr > $server_addr"; } }
	server {
		listen %PORT20% transparent;
		location / { proxy_pass http://127.0.0.1:%PORT21%; proxy_bind $remote_addr transparent; }
		location /there { proxy_pass http://$server_addr:%PORT21%; proxy_bind $remote_addr transparent; }
		location /not { proxy_pass http://127.0.0.1:%PORT21%; proxy_bind $remote_addr; }
	}
}
E
$conf =~ s/#6//g if $six;
$w->start($conf);
my ($p1, $p2, $p8) = map $w->port($_), 1, 2, 8;

is talk(from('10.99.5.5', '10.99.0.1', $p1)), "10.99.5.5 10.99.0.1 $p1", 'an address that is nobody\'s';
is talk(from('10.99.5.5', '10.99.7.8', $p2)), "10.99.5.5 10.99.7.8 $p2", 'any address: where the client wanted to go';
is talk(from('127.0.0.1', '127.0.0.3', $p2)), "127.0.0.1 127.0.0.3 $p2", 'the machine\'s own, too';
ok deaf('10.99.7.8', $w->port(3)), 'without transparent only those';
my $s = from('10.99.5.5', '127.0.0.1', $w->port(4));
my $port = name_of($s);
like my $said = talk($s), qr/^10\.99\.5\.5:\d+ > 127\.0\.0\.1$/, 'the upstream sees the client';
unlike $said, qr/:$port /, 'with another port';
$s = from('10.99.5.5', '127.0.0.1', $w->port(5));
$port = name_of($s);
is talk($s), "10.99.5.5:$port > 127.0.0.1", 'or with the very same';
is talk(from('10.99.5.6', '127.0.0.1', $w->port(6))), '', 'without transparent that cannot be';
$w->log_like(qr/\[error\].*Cannot assign requested address.*client: 10\.99\.5\.6/, 'which is an error');
like talk(from('10.99.5.5', '127.0.0.1', $w->port(7))), qr/^10\.99\.4\.4:/, 'some other address';
like talk(from('10.99.5.5', '10.99.9.9', $p8)), qr/^10\.99\.5\.5:\d+ > 10\.99\.9\.9$/, 'proxy_pass $server_addr:...';
is talk(from('10.99.5.5', '10.99.9.9', $w->port(13))), '[:]', 'nothing was redirected';

$s = from('10.99.5.5', '10.99.9.9', $w->port(11), SOCK_DGRAM);
send $s, 'x', 0;
recv $s, my $got, 100, 0;
is $got, '10.99.5.5 > 10.99.9.9', 'a datagram, answered from the address that it was sent to';
$s = from('10.99.5.5', '127.0.0.1', $w->port(12), SOCK_DGRAM);
send $s, 'x', 0;
recv $s, $got, 100, 0;
is $got, '10.99.5.5 > 127.0.0.1', 'and passed on by an address of the client';

is page(from('10.99.5.5', '10.99.3.3', $w->port(20)), '/'), '10.99.5.5 > 127.0.0.1', 'http: the upstream sees the client';
is page(from('10.99.5.5', '10.99.3.3', $w->port(20)), '/there'), '10.99.5.5 > 10.99.3.3', 'and is where the client wanted to go';
like page(from('10.99.5.5', '10.99.3.3', $w->port(20)), '/not'), qr/502 Bad Gateway/, 'not without transparent';

if ($six) {
	is talk(from('fd00:99::5', 'fd00:99::7', $p2)), "fd00:99::5 fd00:99::7 $p2", 'IPv6: any address';
	is talk(from('fd00:99::5', 'fd00:99::1', $p1)), "fd00:99::5 fd00:99::1 $p1", 'IPv6: an address that is nobody\'s';
	is talk(from('fd00:99::5', '::1', $w->port(4))), "fd00:99::5 ::1 $p2", 'IPv6: the upstream sees the client';
	is talk(from('fd00:99::5', 'fd00:99::9', $p8)), "fd00:99::5 fd00:99::9 $p2", 'IPv6: proxy_pass [$server_addr]:...';
	$s = from('fd00:99::5', 'fd00:99::9', $w->port(11), SOCK_DGRAM);
	send $s, 'x', 0;
	recv $s, $got, 100, 0;
	is $got, 'fd00:99::5 > fd00:99::9', 'IPv6: datagrams';
}

# ---- what it costs: one capability of workers ----

sub status { my ($pid, $what) = @_; my ($v) = $w->read("/proc/$pid/status") =~ /^$what:\s*(\S+)/m; return $v }
for my $pid ($w->worker_pids) {
	is status($pid, 'CapEff'), '0000000000002000', 'a worker keeps CAP_NET_RAW';
	is status($pid, 'CapPrm'), '0000000000002000', 'and nothing else';
	isnt status($pid, 'Uid'), 0, 'and is no longer root';
}
is status($w->keeper_pid, 'CapEff'), '0000000000000000', 'the keeper needs none';

# ---- reload: the sockets are the same, what they take changes ----

ok $w->reload('stream { server { listen %PORT2%; return x; } server { listen %PORT3% transparent; return "$server_addr"; } }'), 'a reload';
is talk(from('10.99.5.5', '10.99.7.8', $w->port(3))), '10.99.7.8', 'a socket that was there before is transparent now';
ok deaf('10.99.7.8', $p2), 'and another is not any more';
is status(($w->worker_pids)[0], 'CapEff'), '0000000000000000', 'who only listens keeps no capability';
$w->stop;

# ---- a router: the client, weir, and the server ----

my @pipes;		# closing one would wait for what writes into it
sub network
{
	my ($name, $mine, $its) = @_;
	open my $p, '-|', 'unshare', '-n', 'sh', '-c', 'ip link set lo up && echo $$ && exec sleep 300' or die "unshare: $!";
	my $pid = <$p> // die 'no network';
	chomp $pid;
	push @pipes, $p;
	must('ip', 'link', 'add', $name, 'type', 'veth', 'peer', 'name', 'eth', 'netns', $pid);
	must('ip', 'addr', 'add', "$mine/24", 'dev', $name);
	must('ip', 'link', 'set', $name, 'up');
	must('ip', 'rule', 'add', 'iif', $name, 'lookup', 100);
	must('nsenter', '-t', $pid, '-n', 'sh', '-c', "ip addr add $its/24 dev eth && ip link set eth up && ip route add default via $mine");
	return $pid;
}

my $pairs = system('ip link add try0 type veth peer name try1 2>/dev/null') == 0;
subtest 'between a client and a server' => sub {
	system('ip link del try0');
	set("net/ipv4/conf/$_/rp_filter", 0) for qw(all default);
	must(qw(ip route add local default dev lo table 100));
	my %pid = (client => network('toclient', '10.1.0.1', '10.1.0.2'), server => network('toserver', '10.2.0.1', '10.2.0.2'));
	my $r = Weir->new;
	my $port = $r->port(1);

	my $server_pid = open my $server, '-|', 'nsenter', '-t', $pid{server}, '-n', $^X, '-MIO::Socket::INET', '-e', <<'E', $port or die "nsenter: $!";
$| = 1;
alarm 120;
my $l = IO::Socket::INET->new(LocalPort => shift, Listen => 5) or die "listen: $!";
print "up\n";
while (my $c = $l->accept) { print $c "server sees ", $c->peerhost; close $c }
E
	is scalar <$server>, "up\n", 'the server is there';
	$r->start('stream { server { listen %PORT1% transparent; proxy_pass $server_addr:$server_port; proxy_bind $remote_addr transparent; } }');
	my $said = `nsenter -t $pid{client} -n $^X -MIO::Socket::INET -e 'my \$s = IO::Socket::INET->new(PeerAddr => "10.2.0.2", PeerPort => $port) or die \$!; print "client sees ", \$s->peerhost, ": ", <\$s>'`;
	is $said, 'client sees 10.2.0.2: server sees 10.1.0.2', 'neither of them sees weir';
	$r->log_like(qr/proxy 10\.1\.0\.2:\d+ connected to 10\.2\.0\.2:$port/, 'which was there');
	$r->stop;
	kill 'TERM', values %pid, $server_pid;
} if $pairs;
note 'this kernel makes no pairs of devices: the above is all that was tried' unless $pairs;

done_testing;
