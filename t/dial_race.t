#!/usr/bin/perl
# A name with several addresses: whichever takes the connection first (RFC 8305).

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use IO::Socket::IP;
use Socket qw(inet_pton AF_INET6);
use Test::More;
use Weir;

my $w = Weir->new;
$w->cert('a', san => 'DNS:slow.test');

# ---- a name server --------------------------------------------------------------

my %zone = (
	'slow.test' => [ '127.0.0.2', '127.0.0.1' ],	# the first takes no connections
	'refuses.test' => [ '127.0.0.3', '127.0.0.1' ],
	'dead.test' => [ '127.0.0.3', '127.0.0.4' ],
	'stuck.test' => [ '127.0.0.2', '127.0.0.5' ],
	'both.test' => [ '127.0.0.1', '::1' ],
	'six.test' => [ '127.0.0.1', '::1' ],
);

sub wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }
sub rr { my ($name, $type, $data) = @_; return wire($name) . pack('n n N n/a', $type, 1, 60, $data) }

sub answer
{
	my ($q) = @_;
	my ($id, $at, @name) = (unpack('n', $q), 12);
	while (my $n = unpack "x$at C", $q) { push @name, substr $q, $at + 1, $n; $at += $n + 1 }
	my $type = unpack 'x' . ($at + 1) . ' n', $q;
	my $name = lc join '.', @name;
	my @rr = map { /:/ ? ($type == 28 ? rr($name, 28, inet_pton(AF_INET6, $_)) : ())
	    : $type == 1 ? rr($name, 1, pack 'C4', split /\./) : () } @{ $zone{$name} || [] };
	return pack('n6', $id, 0x8180, 1, scalar @rr, 0, 0) . substr($q, 12, $at + 5 - 12) . join '', @rr;
}

my $udp = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(2), Proto => 'udp') or die "udp: $!";
my $dns = $w->background(sub {
	my ($stop) = @_;
	until ($stop->()) {
		my $in = '';
		vec($in, fileno $udp, 1) = 1;
		select($in, undef, undef, 0.05) or next;
		my $from = $udp->recv(my $q, 4096);
		$udp->send(answer($q), 0, $from);
	}
	return {};
});

# ---- servers ---------------------------------------------------------------------

# A listener whose queue is full does not answer.
my @hold;
sub full
{
	my ($host, $port) = @_;
	my $l = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port, Listen => 1) or return 0;
	push @hold, $l;
	for (1 .. 4) {
		my $s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port, Blocking => 0);
		push @hold, $s;
	}
	return 1;
}

my $who = sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $text = $c->socket->sockhost;
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
	}
};
$w->origin(4, $who);
$w->origin(6, $who);
full('127.0.0.2', $w->port($_)) or die for 4, 5;
full('127.0.0.5', $w->port(4)) or die;
my $six = full('::1', $w->port(4));
my $l6 = $six && IO::Socket::IP->new(LocalHost => '::1', LocalPort => $w->port(6), Listen => 100);

$w->start(<<'E');
worker_processes 1;
http {
	log_format up '$uri $status $upstream_addr $upstream_status';
	access_log %DIR%/access.log up;
	resolver 127.0.0.1:%PORT2%;
	resolver_timeout 10s;
	# longer than a test waits
	proxy_connect_timeout 5m;
	tunnel_connect_timeout 5m;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://$arg_name:%PORT4%; }
		location /four { resolver 127.0.0.1:%PORT2% ipv6=off; proxy_pass http://$arg_name:%PORT6%; }
		location /six { proxy_pass http://$arg_name:%PORT6%; }
		location /off { proxy_pass http://$arg_name:%PORT4%; proxy_next_upstream off; }
		location /once { proxy_pass http://$arg_name:%PORT4%; proxy_next_upstream_tries 1; }
		location /impatient { proxy_pass http://$arg_name:%PORT4%; proxy_connect_timeout 600ms; }
		location /tls { proxy_pass https://$arg_name:%PORT5%; proxy_ssl_trusted_certificate %DIR%/a.crt; proxy_ssl_name slow.test; }
	}
	server { listen 127.0.0.1:%PORT3%; tunnel_pass; }
	server { listen 127.0.0.1:%PORT5% ssl; ssl_certificate %DIR%/a.crt; ssl_certificate_key %DIR%/a.key; access_log off; return 200 tls; }
}
E

my $lines = 0;
sub logged { my @l = $w->access('access.log', ++$lines); return $l[$lines - 1] }
my $at = sub { return "127.0.0.$_[0]:" . $w->port($_[1] // 4) };

subtest 'an address that does not answer' => sub {
	for (1 .. 4) {
		is $w->get('/?name=slow.test')->body, '127.0.0.1', 'another one does';
		is logged(), '/ 200 ' . $at->(1) . ' 200', 'it is the only one that was tried';
	}
	is $w->get('/tls?name=slow.test')->body, 'tls', 'by TLS';
	logged();
	my $c = $w->connect(port => 3);
	$c->send("CONNECT slow.test:" . $w->port(4) . " HTTP/1.1\r\nHost: slow.test\r\n\r\n");
	like $c->read_until(qr/\r\n\r\n/), qr{^HTTP/1.1 200}, 'a tunnel';
	$c->close;
	like logged(), qr/ 200 \Q${\ $at->(1) }\E 200$/;
	is $w->get('/impatient?name=stuck.test')->status, 504, 'none does';
	like logged(), qr/ 504 127\.0\.0\.\d:\d+(?:, 127\.0\.0\.\d:\d+)? 504/;
	$c = $w->connect;
	$c->send("GET /?name=stuck.test HTTP/1.1\r\nHost: a\r\n\r\n");
	ok wait_for(sub { `cat /proc/@{[ ($w->worker_pids)[0] ]}/net/tcp` =~ /\n *\d+: \S+ 0500007F:\S+ 02 / }), 'the second is being asked';
	$c->reset;
	$w->log_like(qr/client .*(?:closed|reset).*while connecting to upstream|while connecting.*stuck/s, 'when the client leaves');
	logged();
};

subtest 'an address that refuses' => sub {
	my %seen;
	for (1 .. 2) {
		is $w->get('/?name=refuses.test')->body, '127.0.0.1';
		$seen{ logged() } = 1;
	}
	my ($tried) = grep /,/, keys %seen;
	is $tried, '/ 200 ' . $at->(3) . ', ' . $at->(1) . ' 502, 200', 'counts as tried';
	$w->log_like(qr/connect\(\) failed \(111: Connection refused\), another address is tried/);
	is $w->get('/?name=dead.test')->status, 502, 'all do';
	like logged(), qr/^\S+ 502 \S+, \S+ 502, 502$/, 'and all were tried';
	for my $uri (qw(/off /once)) {
		is join(' ', sort map { my $s = $w->get("$uri?name=refuses.test")->status; logged(); $s } 1 .. 2), '200 502',
		    "$uri: one of them only";
	}
};

SKIP: {
	$l6 or skip 'no IPv6 here', 1;
	subtest 'IPv6' => sub {
		my $serve = $w->background(sub {
			my ($stop) = @_;
			my $n = 0;
			until ($stop->()) {
				my $in = '';
				vec($in, fileno $l6, 1) = 1;
				select($in, undef, undef, 0.05) or next;
				my $c = Weir::Conn->new(scalar $l6->accept);
				$c->read_request or next;
				$c->send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nsix");
				$n++;
			}
			return { n => $n };
		});
		is $w->get('/six?name=six.test')->body, '127.0.0.1', 'a fresh answer: IPv4 is the first';
		is join(' ', sort map { $w->get('/six?name=six.test')->body } 1 .. 4), '127.0.0.1 127.0.0.1 six six', 'then they take turns';
		is $w->get('/four?name=six.test')->body, '127.0.0.1', 'unless the resolver is told otherwise' for 1 .. 2;
		is $w->get('/?name=both.test')->body, '127.0.0.1', 'and where it does not answer IPv4 is taken' for 1 .. 2;
		$lines += 9;
		like $w->log_text('access.log'), qr{^/six 200 \[::1\]:\d+ 200$}m;
		is $serve->finish->{n}, 2;
	};
}

$dns->finish;
is $w->stop, 0;
done_testing;
