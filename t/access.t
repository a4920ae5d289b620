#!/usr/bin/perl

# Who may come in, by address.
#
# effect: allow deny satisfy limit_except

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
my $conf = <<'E';
http {
	server {
		listen 127.0.0.1:%PORT1%;
		listen unix:%DIR%/sock;
		root %DIR%;
		location /allow/all { allow all; }
		location /allow/unix { allow unix:; }
		location /deny/all { deny all; }
		location /deny/unix { deny unix:; }
		location /deny/one { deny 127.0.0.1; }
		location /deny/other { deny 127.0.0.2; }
		location /deny/v6 { deny ::1; }
		location /range/in { deny 127.0.0.0/8; }
		location /range/out { deny 126.0.0.0/8; }
		location /range/odd { deny 127.0.0.0/31; }
		location /range/even { deny 127.0.0.2/31; }
		location /range/any { deny 0.0.0.0/0; }
		location /range/v6 { deny ::/0; }
		location /first { allow 127.0.0.1; deny all; }
		location /second { deny 127.0.0.1; allow all; }
		location /only { allow 127.0.0.2; deny all; }
		location /nested/ {
			deny all;
			location /nested/own { allow all; }
			location /nested/none { }
		}
		location /many { %MANY% allow 127.0.0.0/31; deny all; }
		location /many-not { %MANY% deny 127.0.0.0/31; allow all; }
		location /any { satisfy any; allow 127.0.0.1; deny all; }
		location /any-not { satisfy any; deny all; }
		location /except { limit_except GET { deny all; } }
		location /before { deny all; return 200 "rewrite comes first"; }
	}
}
E
my $many = join '', map { "deny 10.$_.0.0/16; allow 127.0.$_.0/24; " } 1 .. 250;
$conf =~ s/%MANY%/$many/g;
$w->start($conf);

my @how;
sub in { is $w->request('GET', $_[0], [], undef, @how)->status, 404, "in: $_[0]" }
sub out { is $w->request('GET', $_[0], [], undef, @how)->status, 403, "out: $_[0]" }

in $_ for '/allow/all', '/allow/unix', '/deny/unix', '/deny/other', '/deny/v6', '/range/out',
    '/range/even', '/range/v6', '/many', '/first', '/nested/own', '/any', '/except';
out $_ for '/deny/all', '/deny/one', '/range/in', '/range/odd', '/range/any', '/many-not', '/second', '/only',
    '/nested/x', '/nested/none', '/any-not';
$w->log_like(qr/\[error\].* access forbidden by rule, client: 127\.0\.0\.1/, 'refusals are logged');
is $w->request('POST', '/except')->status, 403, 'limit_except';
is $w->get('/before')->body, 'rewrite comes first', 'return comes before';

@how = (unix => $w->dir . '/sock');
in $_ for '/allow/all', '/allow/unix', '/deny/one', '/range/any', '/range/v6';
out $_ for '/deny/all', '/deny/unix', '/only';

for my $text ('x', '127.0.0.1/33', '::1/129', '1.2.3', '127.0.0.1:80', '[::1]', '127.0.0.1/', '/8',
    '127.0.0.1/8/8', '127.0.0.1/-1') {
	my ($code, undef, $err) = $wrong->test_conf("http { deny $text; }");
	isnt $code, 0, "refused: $text";
	like $err, qr/:1:\d+: deny: invalid parameter "\Q$text\E"/, 'says why';
}
my ($code, undef, $err) = $wrong->test_conf('http { allow 10.1.0.0/8; }');
is $code, 0, 'bits behind a range';
like $err, qr/low address bits of 10\.1\.0\.0\/8 are meaningless/, 'are warned of';

# IPv6, and IPv4 over an IPv6 socket.
my $six = Weir->new;
if (eval { IO::Socket::IP->can('new') || require IO::Socket::IP;
    IO::Socket::IP->new(LocalHost => '::1', Listen => 1) }) {
	$six->start(<<'E');
http {
	server {
		listen [::]:%PORT1% ipv6only=off;
		root %DIR%;
		location /mapped { deny 127.0.0.1; }
		location /other { deny 127.0.0.2; }
		location /one { deny ::1; }
		location /range { deny ::/127; }
		location /range/not { deny 2001:db8::/32; }
		location /four { deny 0.0.0.0/0; }
		location /only { allow 2001:db8::1; deny all; }
	}
}
E
	is $six->get('/mapped')->status, 403, 'IPv4 over an IPv6 socket is IPv4';
	is $six->get('/four')->status, 403, 'also for ranges';
	is $six->get('/other')->status, 404, 'with another address';
	my @via = (to => ['::1', $six->port(1)]);
	is $six->request('GET', '/mapped', [], undef, @via)->status, 404, 'IPv6 is not IPv4';
	is $six->request('GET', '/four', [], undef, @via)->status, 404, 'whatever the range';
	is $six->request('GET', '/one', [], undef, @via)->status, 403, 'an IPv6 address';
	is $six->request('GET', '/range', [], undef, @via)->status, 403, 'a range of them';
	is $six->request('GET', '/range/not', [], undef, @via)->status, 404, 'another';
	is $six->request('GET', '/only', [], undef, @via)->status, 403, 'the first rule that fits';
} else {
	note 'there is no IPv6 on the loopback here';
}

done_testing;
