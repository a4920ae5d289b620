#!/usr/bin/perl
# listen: addresses, ports, options of sockets.

use strict;
use warnings;

use lib 't/lib';
use Socket qw(:DEFAULT IPPROTO_TCP);
use Test::More;
use Weir;

# effect: listen server tcp_nodelay

use constant { TCP_KEEPIDLE => 4, TCP_KEEPINTVL => 5, TCP_KEEPCNT => 6, TCP_DEFER_ACCEPT => 9 };

my $w = Weir->new;
my $range = $w->port(10);
$w->start(<<"E");
http {
	server { listen 127.0.0.1:%PORT1% backlog=7 rcvbuf=32k sndbuf=64k so_keepalive=30m::10 deferred reuseport bind;
		return 200 "one \$server_addr:\$server_port"; }
	server { listen %PORT2%; return 200 "two \$server_addr"; }
	server { listen *:%PORT3% default_server fastopen=16; return 200 three; }
	server { listen [::1]:%PORT4%; return 200 "four \$server_addr"; }
	server { listen unix:%DIR%/s.sock; return 200 "five \$server_addr"; }
	server { listen [::]:%PORT5% ipv6only=off; return 200 six; }
	server { listen localhost:%PORT6%; return 200 seven; }
	server { listen 127.0.0.1:$range-$range so_keepalive=off; return 200 "range \$server_port"; }
}
E

is $w->get('/')->body, 'one 127.0.0.1:' . $w->port(1), 'address and port';
is $w->request('GET', '/', [], undef, port => 2)->body, 'two 127.0.0.1', 'a port alone is every IPv4 address';
is $w->request('GET', '/', [], undef, port => 3)->body, 'three', 'star';
like $w->request('GET', '/', [], undef, unix => $w->dir . '/s.sock')->body, qr/^five unix:/,
    'unix socket';
is $w->request('GET', '/', [], undef, port => 5)->body, 'six', 'ipv6only=off takes IPv4';
is $w->request('GET', '/', [], undef, port => 6)->body, 'seven', 'a name';
is $w->request('GET', '/', [], undef, port => 10)->body, "range $range", 'range of ports';

SKIP: {
	eval { require IO::Socket::IP; IO::Socket::IP->new(LocalHost => '::1', Listen => 1) }
	    or skip 'no IPv6 here', 1;
	my $s = IO::Socket::IP->new(PeerHost => '::1', PeerPort => $w->port(4)) or die $!;
	print $s "GET / HTTP/1.0\r\n\r\n";
	local $/;
	like scalar <$s>, qr/four ::1$/, 'IPv6';
}

# What the kernel says about the sockets: state, timers, backlog (tx_queue of a listener has none, so ss is asked).
my $ss = `ss -Hltnoi 'sport = :@{[ $w->port(1) ]}' 2>/dev/null`;
SKIP: {
	$ss =~ /LISTEN/ or skip 'ss is missing', 1;
	like $ss, qr/LISTEN\s+\d+\s+7\s/, 'backlog';
}
my $mem = `ss -Hltnm 'sport = :@{[ $w->port(1) ]}' 2>/dev/null`;
SKIP: {
	$mem =~ /skmem/ or skip 'ss is missing', 2;
	# the kernel doubles what is asked for
	like $mem, qr/rb65536\b/, 'rcvbuf';
	like $mem, qr/tb131072\b/, 'sndbuf';
}
my $c = $w->connect;
my $alive = `ss -Htno 'sport = :@{[ $w->port(1) ]}' 2>/dev/null`;
SKIP: {
	`ss -V 2>/dev/null` or skip 'ss is missing', 1;
	# deferred: the connection is accepted, and gets its timer, once it has sent something
	$c->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	is $c->response->status, 200, 'a deferred connection is served';
	$alive = `ss -Htno 'sport = :@{[ $w->port(1) ]}'`;
	like $alive, qr/timer:\(keepalive,(29|30)min/, 'so_keepalive: first probe after 30 minutes';
}
$c->close;
is $w->stop, 0, 'stop';
ok !-e $w->dir . '/s.sock', 'the unix socket is gone';

$w->expect_alert(qr/\[emerg\] .*(?:weir\.conf:|cannot stand beside)/);

# ---- mistakes ----

sub wrong
{
	my ($in, $re, $name) = @_;
	my ($code, undef, $err) = $w->test_conf("http { $in }");
	is $code, 1, "$name: refused";
	like $err, qr/weir\.conf:\d+:\d+: \w+: $re/, $name;
}

wrong 'server { listen %PORT1%; listen *:%PORT1%; }', qr/a duplicate listen 0\.0\.0\.0:/, 'twice in a server';
wrong 'server { listen %PORT1% default_server; } server { listen %PORT1% default_server; }',
    qr/a duplicate default server for 0\.0\.0\.0:/, 'two defaults';
wrong 'server { listen %PORT1% backlog=5; } server { listen %PORT1% backlog=6; }',
    qr/duplicate listen options for/, 'options twice';
wrong "server { listen %PORT1% $_; }", qr/invalid parameter "\Q$_\E", weir does not have it/, $_
    for qw(quic);
wrong 'server { listen %PORT1% backlock=5; }', qr/.*backlog/, 'misspelt parameter';
wrong 'server { listen %PORT1% backlog=x; }', qr/\S/, 'backlog=x';
wrong 'server { listen %PORT1% rcvbuf=9g; }', qr/\S/, 'rcvbuf=9g';
wrong 'server { listen %PORT1% ipv6only=on; }', qr/ipv6only is not supported on addr/, 'ipv6only on IPv4';
wrong 'server { listen %PORT1% so_keepalive=x; }', qr/invalid so_keepalive value/, 'so_keepalive=x';
wrong 'server { listen %PORT1% so_keepalive=::; }', qr/invalid so_keepalive value/, 'so_keepalive=::';
wrong 'server { listen 70000; }', qr/invalid port/, 'port';
wrong 'server { listen 127.0.0.1:0; }', qr/invalid address or port/, 'port 0';
wrong 'server { listen 1.2.3.4.5:80; }', qr/\S/, 'address';
wrong 'server { listen 127.0.0.1:90-80; }', qr/invalid port range/, 'range';
wrong 'server { listen no-such-host.invalid:80; }', qr/host not found|.* in "no-such-host.invalid"/, 'name';
my ($code, undef, $err) = $w->test_conf(
    'http { server { listen [::]:%PORT1% ipv6only=off; } server { listen %PORT1%; } }');
is $code, 1, 'dual stack beside IPv4 is refused';
like $err, qr/cannot stand beside/, 'why';

# ---- the default ----

($code, undef, $err) = $w->test_conf('http { server { } server { listen ' . ($> ? 8000 : 80) . '; } }');
is $code, 0, 'no listen';
like $err, qr/conflicting server name "" on 0\.0\.0\.0:@{[ $> ? 8000 : 80 ]}/, 'means port 80, or 8000';

done_testing;
