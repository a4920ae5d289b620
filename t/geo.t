#!/usr/bin/perl

# Variables that depend on addresses.
#
# effect: geo

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
$w->write('more.geo', "192.0.2.0/24 included;\n");
$w->start(<<'E');
http {
	geo $client { 127.0.0.0/8 loopback; default other; }
	geo $arg_ip $net {
		default none;
		10.0.0.0/8 ten;
		10.1.0.0/16 ten-one;
		10.1.2.3 host;
		10.1.0.0/16 later;
		172.16.0.0/12 gone;
		172.16.1.0/24 stays;
		delete 172.16.0.0/12;
		2001:db8::/32 doc;
		2001:db8:1::/48 "doc one";
		::/0 six;
		255.255.255.255 nobody;
		include %DIR%/more.geo;
	}
	geo $arg_ip $range {
		ranges;
		default none;
		10.0.0.0-10.0.0.255 a;
		10.0.0.10-10.0.0.20 b;
		10.0.0.0-10.0.0.0 first;
		10.0.0.255-10.0.1.5 over;
		10.0.0.15-10.0.0.15 c;
		255.255.255.254-255.255.255.255 end;
		0.0.0.0-0.0.0.1 begin;
		10.0.0.100-10.0.0.110 x;
		delete 10.0.0.101-10.0.0.102;
		2001:db8::1-2001:db8::3 six;
	}
	geo $empty { }
	geo $proxied { proxy 127.0.0.0/8; default none; 127.0.0.0/8 loopback; 10.0.0.0/8 ten; 192.0.2.0/24 test; }
	geo $chain {
		proxy_recursive; proxy 127.0.0.0/8; proxy 192.0.2.0/24;
		default none; 127.0.0.0/8 loopback; 10.0.0.0/8 ten; 192.0.2.0/24 test;
	}
	geo $arg_ip $kept { 10.0.0.1 a; 10.0.0.2 b; }
	geo $arg_ip $fresh { volatile; 10.0.0.1 a; 10.0.0.2 b; }
	server {
		listen 127.0.0.1:%PORT1%;
		listen unix:%DIR%/sock;
		location / { return 200 "$client|$net|$range|$empty"; }
		location /proxy { return 200 "$proxied $chain"; }
		location /kept { set $x "$kept$fresh"; set $args ip=10.0.0.2; return 200 "$kept$fresh"; }
	}
}
E

sub body { my ($uri, @h) = @_; return $w->get($uri, @h)->body }
sub both { return join ' ', (split /\|/, body("/?ip=$_[0]"))[1, 2] }

my %want = (
	'10.200.0.1' => 'ten none', '10.1.2.4' => 'later none', '10.1.2.3' => 'host none',
	'172.16.5.5' => 'none none', '172.16.1.5' => 'stays none', '192.0.2.9' => 'included none',
	'2001:db8::' => 'doc none', '2001:db8:1:2::3' => 'doc one none', '::1' => 'six none',
	'2001:db8::1' => 'doc six', '2001:db8::3' => 'doc six', '2001:db8::4' => 'doc none',
	'::ffff:10.1.2.3' => 'host none', '1.2.3.4' => 'none none', 'x' => 'nobody end', '' => 'nobody end',
	'10.0.0.0' => 'ten first', '10.0.0.1' => 'ten a', '10.0.0.9' => 'ten a', '10.0.0.10' => 'ten b',
	'10.0.0.14' => 'ten b', '10.0.0.15' => 'ten c', '10.0.0.16' => 'ten b', '10.0.0.21' => 'ten a',
	'10.0.0.254' => 'ten a', '10.0.0.255' => 'ten over', '10.0.1.5' => 'ten over',
	'10.0.1.6' => 'ten none', '255.255.255.254' => 'none end', '255.255.255.255' => 'nobody end',
	'0.0.0.0' => 'none begin', '0.0.0.1' => 'none begin', '0.0.0.2' => 'none none',
	'10.0.0.100' => 'ten x', '10.0.0.101' => 'ten none', '10.0.0.103' => 'ten x',
);
is both($_), $want{$_}, "address \"$_\"" for sort keys %want;
like body('/'), qr/^loopback\|.*\|$/, 'the client, and an empty block';
like $w->request('GET', '/', [], undef, unix => $w->dir . '/sock')->body, qr/^other/, 'a unix client';

is body('/proxy'), 'loopback loopback', 'a proxy that says nothing';
is body('/proxy', 'X-Forwarded-For' => '10.1.1.1'), 'ten ten', 'one that does';
is body('/proxy', 'X-Forwarded-For' => '10.1.1.1, 192.0.2.1'), 'test ten', 'a chain of them';
is body('/proxy', 'X-Forwarded-For' => '10.1.1.1', 'X-Forwarded-For' => ' 192.0.2.1 ,'), 'test ten',
    'in several fields';
is body('/proxy', 'X-Forwarded-For' => '10.1.1.1, x, 192.0.2.1'), 'test test', 'up to what is no address';
is body('/proxy', 'X-Forwarded-For' => '192.0.2.1, 8.8.8.8'), 'none none', 'or to who is not trusted';
is body('/kept?ip=10.0.0.1'), 'ab', 'kept or volatile';

my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
my %mistakes = (
	'geo x { }' => 'invalid variable name "x"',
	'geo $uri { }' => 'the duplicate "uri" variable',
	'geo $nowhere $x { }' => 'unknown "nowhere" variable',
	'geo $x { 10.0.0.0/33 a; }' => 'invalid network "10.0.0.0/33"',
	'geo $x { 10.0.0.0-10.0.0.1 a; }' => 'invalid network',
	'geo $x { ranges; 10.0.0.0/8 a; }' => 'invalid range',
	'geo $x { ranges; 10.0.0.1-10.0.0.0 a; }' => 'ends before it begins',
	'geo $x { ranges; 10.0.0.1-::1 a; }' => 'invalid range',
	'geo host $x { default a; }' => 'invalid variable name "host"',
	'geo $x { default a; ranges; }' => 'must be the first',
	'geo $x { 10.0.0.0/8 a; ranges; }' => 'must be the first',
	'geo $x { proxy a; }' => 'invalid network "a"',
	'geo $x { 10.0.0.0/8; }' => 'invalid number of the geo parameters',
);
for my $line (sort keys %mistakes) {
	my ($code, undef, $err) = $wrong->test_conf("http { $line server { } }");
	isnt $code, 0, "refused: $line";
	like $err, qr/\Q$mistakes{$line}\E/, 'says why';
}
my ($code, undef, $err) = $wrong->test_conf('http { geo $x { delete 10.0.0.0/8; 10.0.0.1/8 a; } }');
is $code, 0, 'odd, but no mistakes';
like $err, qr/no network "10\.0\.0\.0\/8" to delete/, 'a warning';
like $err, qr/low address bits of 10\.0\.0\.1\/8 are meaningless/, 'and another';

done_testing;
