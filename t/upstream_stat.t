#!/usr/bin/env perl
# upstream_stat.t - who gets how many of ten thousand requests, of several workers.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

use constant { SERVERS => 10, CONNECTIONS => 40, AT_ONCE => 50 };

my $w = Weir->new;
my @numbers = 0 .. SERVERS - 1;

# The servers are weir's own; each says its number.
sub conf
{
	my @in = @_;
	my $servers = join ' ', map "server { listen 127.0.0.1:%PORT@{[10 + $_]}%; return 200 $_; }", @numbers;
	my $weight = sub { my ($i) = @_; return (5, 3, 2)[$i] };
	my $turns = join ' ', map "server 127.0.0.1:%PORT@{[10 + $_]}% weight=" . $weight->($_) . ';', 0 .. 2;
	# many points for each server: its share is what it should be, whatever the ports are
	my $keys = join ' ', map "server 127.0.0.1:%PORT@{[10 + $_]}% weight=30;", @in;
	return <<"CONF";
worker_processes 4;
http {
	keepalive_requests 100000;
	upstream turns { zone z 1m; $turns }
	upstream keys { zone z; hash \$arg_k consistent; $keys }
	server {
		listen 127.0.0.1:%PORT1% reuseport;
		location /turns/ { proxy_pass http://turns; add_header X-Worker \$pid; }
		location /keys/ { proxy_pass http://keys; }
	}
	$servers
}
CONF
}

$w->start(conf(@numbers));

# What they answer, in order, and by how many workers: some requests at once on each of many connections.
sub ask
{
	my @uris = @_;
	my @conns = map $w->connect, 1 .. CONNECTIONS;
	my (@answers, %workers);
	while (@uris) {
		my @batch = map [ splice @uris, 0, AT_ONCE ], @conns;
		for my $i (grep @{$batch[$_]}, 0 .. $#conns) {
			$conns[$i]->send(join '', map "GET $_ HTTP/1.1\r\nHost: a\r\n\r\n", @{$batch[$i]});
		}
		for my $i (0 .. $#conns) {
			for (@{$batch[$i]}) {
				my $r = $conns[$i]->response or die 'no response';
				push @answers, $r->status == 200 ? $r->body : 'status ' . $r->status;
				$workers{ $r->header('X-Worker') // '' }++;
			}
		}
	}
	$_->close for @conns;
	return (scalar(keys %workers), @answers);
}

subtest 'weights' => sub {
	my ($workers, @answers) = ask(('/turns/') x 10_000);
	my %n;
	$n{$_}++ for @answers;
	cmp_ok $workers, '>', 1, "$workers workers";
	is join(' ', sort keys %n), '0 1 2', 'nobody else';
	for ([ 0, 5000 ], [ 1, 3000 ], [ 2, 2000 ]) {
		my ($i, $want) = @$_;
		cmp_ok abs($n{$i} - $want), '<=', $want * 0.02, "server $i: $n{$i} of $want";
	}
};

subtest 'consistent hashes' => sub {
	my @uris = map "/keys/?k=key-$_", 1 .. 5_000;
	my $gone = 4;
	my (undef, @before) = ask(@uris);
	ok $w->reload(conf(grep $_ != $gone, @numbers)), 'a server leaves';
	my (undef, @after) = ask(@uris);
	my @moved = grep $before[$_] ne $after[$_], 0 .. $#uris;
	is scalar(grep $_ eq $gone, @after), 0, 'nobody asks it';
	is scalar(grep $before[$_] ne $gone, @moved), 0, 'only its own keys go elsewhere';
	cmp_ok @moved / @uris, '<=', 1 / SERVERS + 0.02, scalar(@moved) . ' of ' . @uris;
	my %to;
	$to{ $after[$_] }++ for @moved;
	is scalar(keys %to), SERVERS - 1, 'to all the others';
	ok $w->reload(conf(@numbers)), 'it comes back';
	my (undef, @again) = ask(@uris);
	is join(',', @again), join(',', @before), 'and has its keys again';
};

done_testing;
