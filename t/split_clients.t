#!/usr/bin/perl

# Clients in groups of given sizes.
#
# effect: split_clients

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
$w->start(<<'E');
http {
	split_clients "$arg_x" $half { 50% one; * two; }
	split_clients $arg_x $parts { 0.01% tiny; 10.5% small; 20% "big $arg_x"; }
	split_clients $arg_x $all { * everybody; }
	split_clients $arg_x $edge { .5% a; 0099.49% b; 0.01% c; }
	split_clients $arg_x $hundred { 33.33% a; 66.67% b; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "$half|$parts|$all|$hundred|$edge"; }
	}
}
E

my (%half, %parts, %hundred, %edge, $c);
my $n = 1000;
$c = $w->connect;
$c->send(join '', map "GET /?x=client$_ HTTP/1.1\r\nHost: x\r\n\r\n", 1 .. $n);
for (1 .. $n) {
	my ($half, $parts, $all, $hundred, $edge) = split /\|/, $c->response->body;
	$half{$half}++;
	$parts{$parts =~ s/ .*//r}++;
	$hundred{$hundred}++;
	$edge{$edge}++;
	$all eq 'everybody' or fail "client $_ is in no group";
}
cmp_ok abs($half{one} - 500), '<', 60, 'one half';
is $half{one} + $half{two}, $n, 'and the rest';
cmp_ok abs($parts{small} - 105), '<', 40, 'a small group';
cmp_ok abs($parts{big} - 200), '<', 50, 'a big one';
cmp_ok abs($parts{''} - 695), '<', 60, 'nothing for those who are in none';
is $hundred{a} + $hundred{b}, $n, 'exactly all of them';
cmp_ok $edge{a}, '<', 20, 'half a percent';
cmp_ok $edge{b}, '>', 970, 'nearly all';
is $w->get('/?x=same')->body, $w->get('/?x=same')->body, 'who was in a group stays in it';

my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
my %mistakes = (
	'split_clients $host x { }' => 'invalid variable name "x"',
	'split_clients $host $uri { }' => 'the duplicate "uri" variable',
	'split_clients $host $x { 50 a; }' => 'invalid percent value "50"',
	'split_clients $host $x { 0% a; }' => 'invalid percent value "0%"',
	'split_clients $host $x { 1.234% a; }' => 'invalid percent value',
	'split_clients $host $x { .% a; }' => 'invalid percent value',
	'split_clients $host $x { 5..% a; }' => 'invalid percent value',
	'split_clients $host $x { 99999999999% a; }' => 'invalid percent value',
	'split_clients $host $x { 100.01% a; }' => 'percent total is greater than 100%',
	'split_clients $host $x { 60% a; 40.01% b; }' => 'percent total is greater than 100%',
	'split_clients $host $x { * a; 5% b; }' => 'nothing is left after "*"',
	'split_clients $host $x { 5%; }' => 'invalid number of the split_clients parameters',
);
for my $line (sort keys %mistakes) {
	my ($code, undef, $err) = $wrong->test_conf("http { $line server { } }");
	isnt $code, 0, "refused: $line";
	like $err, qr/\Q$mistakes{$line}\E/, 'says why';
}

done_testing;
