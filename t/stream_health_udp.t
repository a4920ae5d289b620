#!/usr/bin/env perl
# stream_health_udp.t - servers are asked by datagrams how they are.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Test::More;
use Weir;

# effect: health_check match

my $w = Weir->new;
$w->expect_alert(qr/\[emerg\] .*weir\.conf:1:/);

for ([ 'TLS', 'upstream u { zone z 256k; server 127.0.0.1:1; health_check udp ssl; }', qr/there is no TLS over UDP/ ],
    [ 'two kinds in http', 'X', qr/unknown type "udp": there are http/ ]) {
	my ($name, $conf, $re) = @$_;
	my ($code, undef, $err) = $w->test_conf($conf eq 'X' ? 'http { upstream u { zone z 256k; server 127.0.0.1:1; health_check udp; } }' : "stream { $conf }");
	isnt $code, 0, $name;
	like $err, $re, "$name: said";
}

# What a server is asked; it answers what the file says, in as many datagrams as that has lines, or nothing.
my %servers;
sub server
{
	my ($n) = @_;
	my $s = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $w->port($n)) or die "port: $!";
	$servers{$n} = $w->background(sub {
		my ($stop) = @_;
		my %asked;
		until ($stop->()) {
			my $in = '';
			vec($in, fileno $s, 1) = 1;
			select($in, undef, undef, 0.05) or next;
			my $from = $s->recv(my $q, 4096) // next;
			$asked{$q}++;
			$s->send($_, 0, $from) for split /\n/, $w->read("says-$n") // '';
		}
		return \%asked;
	});
	close $s;
}
sub says { my ($n, $what) = @_; $w->write("says-$n.new", $what); rename $w->dir . "/says-$n.new", $w->dir . "/says-$n" or die }

says(40, "something\nhere is PONG\n");
says(41, 'nothing of the kind');
server($_) for 40 .. 43;
says(43, "x\n");

$w->start(<<'CONF');
worker_processes 2;
stream {
	match ping { send "PING \x01"; expect ~ "PONG$"; }
	match word { expect PONG; }
	upstream well { zone z 1m; server 127.0.0.1:%PORT40%; health_check udp mandatory match=ping timeout=600s; }
	upstream word { zone z; server 127.0.0.1:%PORT40%; health_check type=udp mandatory match=word; }
	upstream wrong { zone z; server 127.0.0.1:%PORT41%; health_check udp match=ping timeout=300ms; }
	upstream silent { zone z; server 127.0.0.1:%PORT42%; health_check udp mandatory timeout=300ms; }
	upstream waits { zone z; server 127.0.0.1:%PORT42%; health_check udp mandatory timeout=600s; }
	upstream answers { zone z; server 127.0.0.1:%PORT43%; health_check udp mandatory timeout=600s; }
	upstream refuses { zone z; server 127.0.0.1:%PORT50%; health_check udp timeout=600s; }
	upstream goes { zone z; server 127.0.0.1:%PORT44%; health_check udp interval=100ms timeout=100ms passes=2; }
	upstream header { zone z; server 127.0.0.1:%PORT45%; }
	server { listen 127.0.0.1:%PORT1% udp; proxy_pass header; proxy_protocol on; proxy_ssl on; health_check udp mandatory match=ping; }
}
CONF

sub addr { '127\.0\.0\.1:' . $w->port($_[0]) }
for ([ 'well', 40, undef ], [ 'word', 40, undef ], [ 'silent', 42, undef ], [ 'answers', 43, undef ],
    [ 'wrong', 41, 'timed out while waiting for what is expected' ], [ 'refuses', 50, 'a datagram was refused \(111: Connection refused\)' ]) {
	my ($name, $n, $why) = @$_;
	ok $w->wait_log(defined $why ? qr/upstream "$name": server ${\addr($n)} is unhealthy: $why/ : qr/upstream "$name": server ${\addr($n)} is healthy/),
	    "$name: " . ($why // 'healthy');
}
$w->log_unlike(qr/upstream "waits": server \S+ is healthy/, 'who need not say anything is asked until the time is over');

ok $w->wait_log(qr/upstream "goes": server ${\addr(44)} is unhealthy: a datagram was refused/), 'nobody there';
server(44);
ok $w->wait_log(qr/upstream "goes": server ${\addr(44)} is healthy/), 'then somebody';
$servers{44}->finish;
ok wait_for(sub { (() = $w->log_text =~ /upstream "goes": server ${\addr(44)} is unhealthy/g) == 2 }), 'and nobody again';

says(45, "\n");
my $s = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $w->port(45)) or die;
ok $w->reload, 'a reload asks at once';
ok wait_for(sub { my $in = ''; vec($in, fileno $s, 1) = 1; select $in, undef, undef, 0 });
$s->recv(my $q, 4096);
is unpack('H*', $q), unpack('H*', "\r\n\r\n\0\r\nQUIT\n\x20\0\0\0PING \x01"), 'a PROXY header in front, where proxy_protocol wants one';

is_deeply [ sort keys %{ $servers{42}->finish } ], [ 'weir health check' ], 'what is said without a match';
my $asked = $servers{40}->finish;
ok $asked->{"PING \x01"} && $asked->{'weir health check'}, 'what match says';
$servers{$_}->finish for 41, 43;

done_testing;
