#!/usr/bin/env perl
# upstream_lb.t - how a server of a group is chosen.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: hash ip_hash least_conn random least_time

my $w = Weir->new;

# Each says its number; /hang waits until the client goes; /slow takes a while at server 2.
for my $n (2 .. 4) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			if ($q->{uri} =~ m{/hang}) {
				$c->note('hangs');
				$c->eof;
				return;
			}
			select undef, undef, undef, 0.3 if $q->{uri} =~ m{/slow} && $n == 2;
			$c->send("HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\n$n");
		}
	});
}

my $three = join ' ', map "server 127.0.0.1:%PORT$_%;", 2 .. 4;
my @groups = (
	[ least_conn => 'least_conn;' ],
	[ least_time => 'least_time last_byte;' ],
	[ least_head => 'least_time header inflight;' ],
	[ ip => 'ip_hash;' ],
	[ hash => 'hash $arg_k;' ],
	[ consistent => 'hash $arg_k consistent;' ],
	[ random => 'random;' ],
	[ two => 'random two;' ],
	[ two_conn => 'random two least_conn;' ],
	[ two_time => 'random two least_time;' ],
	[ two_head => 'random two least_time=header;' ],
	[ two_last => 'random two least_time=last_byte;' ],
);
my $upstreams = join "\n", map "upstream $_->[0] { $_->[1] $three }", @groups;
my $locations = join "\n", map "location /$_->[0]/ { proxy_pass http://$_->[0]; }", @groups;
$w->start(<<"CONF");
http {
	set_real_ip_from 127.0.0.1;
	real_ip_header X-Real;
	$upstreams
	server { listen 127.0.0.1:%PORT1%; $locations }
}
CONF

sub who { my ($uri, $n) = @_; join '', map $w->get($uri)->body, 1 .. $n }
sub sorted { join '', sort split //, $_[0] }
sub hung { my $n = 0; $n += grep /hangs/, $w->origin_notes($_) for 2 .. 4; $n }

sub hang
{
	my ($uri) = @_;
	my $n = hung();
	my $c = $w->connect;
	$c->send("GET $uri/hang HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(sub { hung() > $n }) or die 'it does not hang';
	return $c;
}

subtest 'least_conn' => sub {
	is sorted(who('/least_conn/', 6)), '223344', 'equals take turns';
	my @c = map hang('/least_conn'), 1 .. 2;
	my $free = who('/least_conn/', 6);
	ok $free =~ /^(\d)\1{5}$/, 'the one without connections' or diag $free;
	my $last = hang('/least_conn');
	like sorted(who('/least_conn/', 12)), qr/^2+3+4+$/, 'all have as many';
	$_->close for @c, $last;
};

subtest 'least_time' => sub {
	for my $up (qw(least_time least_head)) {
		$w->get("/$up/slow") for 1 .. 3;	# also by 2, which is slow
		my $seen = who("/$up/", 8);
		unlike $seen, qr/2/, "$up: the slow one is left out" or diag $seen;
		like $seen, qr/[34]/;
	}
};

subtest 'hashes' => sub {
	for my $up (qw(hash consistent)) {
		my %seen;
		for my $k (1 .. 12) {
			my $first = $w->get("/$up/?k=$k")->body;
			$seen{$first}++;
			is $w->get("/$up/?k=$k")->body, $first, "$up: $k stays";
		}
		cmp_ok scalar(keys %seen), '>', 1, 'not all at one';
		is sorted(who("/$up/", 6)), '223344', 'without a key they take turns';
	}
	my %seen;
	for my $k (1 .. 12) {
		my $first = $w->get('/ip/', 'X-Real' => "10.$k.3.4")->body;
		$seen{$first}++;
		is $w->get('/ip/', 'X-Real' => "10.$k.3.99")->body, $first, 'one network, one server';
	}
	cmp_ok scalar(keys %seen), '>', 1;
};

subtest 'random' => sub {
	for my $up (qw(random two two_conn two_time two_head two_last)) {
		my $seen = who("/$up/", 60);
		like $seen, qr/$_/, "$up: $_ is asked" for 2 .. 4;
		unlike $seen, qr/^(234)+$/, 'not in turns';
	}
	my $c = hang('/two_conn');
	my %seen = map { $_ => 1 } split //, who('/two_conn/', 40);
	is scalar(keys %seen), 2, 'the busy one is never the better of two';
	$c->close;
};

subtest 'mistakes' => sub {
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	for my $t (
		[ 'hash $arg_k wrong;', qr/invalid parameter "wrong"/ ],
		[ 'random one;', qr/invalid parameter "one"/ ],
		[ 'random two most;', qr/invalid parameter "most"/ ],
		[ 'least_time first;', qr/invalid value "first"/ ],
		[ 'least_time header out;', qr/invalid parameter "out"/ ],
		[ 'ip_hash; server 127.0.0.1:1 backup;', qr/does not support parameter "backup"/ ],
		[ 'hash a; server 127.0.0.1:1 slow_start=1s;', qr/slow_start has no meaning/ ],
		[ 'hash a consistent; server 127.0.0.1:1 weight=65535; server 127.0.0.1:2 weight=65535;',
		    qr/consistent hashing/ ],
		[ 'server 127.0.0.1:1 priority=0;', qr/priority/ ],
		[ 'server 127.0.0.1:1 slow_start_min=7;', qr/1 to 100/ ],
		[ 'server 127.0.0.1:1 route=;', qr/route is empty/ ],
		[ 'server 127.0.0.1:1 route=' . 'x' x 33 . ';', qr/route is longer than 32/ ],
		[ 'zone z;', qr/zero size shared memory zone "z"/ ],
		[ 'zone z 1k;', qr/zone "z" is too small/ ],
		[ 'zone z 32k; ' . join(' ', map "server 127.0.0.1:$_;", 1 .. 900), qr/too small for the servers/ ],
	) {
		my ($text, $want) = @$t;
		my ($code, undef, $err) = $bad->test_conf("http { upstream u { server 127.0.0.1:9; $text } }");
		is $code, 1, substr $text, 0, 60;
		like $err, $want;
	}
	my ($code, undef, $err) = $bad->test_conf('http { upstream u { least_conn; ip_hash; server 127.0.0.1:9; } }');
	is $code, 0;
	like $err, qr/load balancing method redefined/;
};

done_testing;
