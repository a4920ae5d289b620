#!/usr/bin/perl
# aio threads: files that are not in memory are read by threads.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: aio

my $w = Weir->new;
my $d = $w->dir;
my $big = join '', map { sprintf "%07d\n", $_ } 1 .. 400_000;	# 3.2 MB
$w->write('www/big', $big);
$w->write('www/small', "small\n");
$w->start(<<'E');
http {
	root %DIR%/www;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /threads/ { alias %DIR%/www/; aio threads; }
		location /copy/ { alias %DIR%/www/; aio threads; sendfile off; }
		location /rate/ { alias %DIR%/www/; aio threads; limit_rate_after 3m; limit_rate 3m; }
		location /off/ { alias %DIR%/www/; aio threads;
			location /off/in/ { alias %DIR%/www/; aio off; } }
	}
}
E

# Push the file out of memory.  True if that is known to work where the test runs.
sub forget { system("dd if=$d/www/big iflag=nocache count=0 status=none 2>/dev/null && sync $d/www/big && dd if=$d/www/big iflag=nocache count=0 status=none 2>/dev/null") }

my ($pid) = $w->worker_pids;
# What threads other than the first have read.
sub by_threads
{
	my $sum = 0;
	for (grep !m{/$pid/io$}, glob "/proc/$pid/task/*/io") {
		open my $fh, '<', $_ or return undef;
		local $/;
		$sum += <$fh> =~ /^rchar: (\d+)/m ? $1 : 0;
	}
	return $sum;
}

sub body { $w->get($_[0])->body }
for my $place (qw(threads copy rate off/in)) {
	forget();
	ok body("/$place/big") eq $big, "$place: cold";
	ok body("/$place/big") eq $big, "$place: warm";
	is body("/$place/small"), "small\n", "$place: a small file";
	forget();
	is $w->get("/$place/big", Range => 'bytes=800000-800007')->body, "0100001\n", "$place: a part";
	like $w->get("/$place/big", Range => 'bytes=0-7,3199992-3199999')->body, qr/\r\n0000001\n\r\n.*\r\n0400000\n\r\n/s, "$place: two parts";
	is $w->request('HEAD', "/$place/big")->header('Content-Length'), length $big, "$place: HEAD";
}
forget();
my $c = $w->connect;
$c->send("GET /threads/$_ HTTP/1.1\r\nHost: x\r\n\r\n") for 'big', 'small', 'big';
ok $c->response->body eq ($_ eq 'big' ? $big : "small\n"), "one connection: $_" for 'big', 'small', 'big';
for (1 .. 20) {
	forget() if $_ % 4 == 0;
	my $c = $w->connect;
	$c->send("GET /threads/big HTTP/1.1\r\nHost: x\r\n\r\n");
	$c->read_n(1) if $_ & 1;
	$c->reset;
}
is body('/threads/small'), "small\n", 'clients that leave do no harm';

SKIP: {
	skip 'what threads do cannot be seen', 3 unless defined by_threads();
	my $before = by_threads();
	forget();
	ok body('/threads/big') eq $big, 'cold';
	my $after = by_threads();
	forget();
	ok body('/big') eq $big, 'cold, without threads';
	is by_threads(), $after, 'nothing is read by threads';
	skip 'the file stays in memory here', 1 if `findmnt -no FSTYPE -T $d 2>/dev/null` !~ /^(?:ext[234]|xfs|btrfs)$/;
	cmp_ok $after - $before, '>', 100_000, 'but with them it is, as far as the kernel does not read ahead';
}
is $w->stop, 0, 'stop';

{
	my $v = Weir->new;
	$v->start('http { server { listen 127.0.0.1:%PORT1%; aio on; } }');
	$v->log_like(qr/\[warn\].*aio: has no effect: .*aio threads/, 'aio on warns');
	$v->stop;
}
my ($code, undef, $err) = $w->test_conf('http { server { listen %PORT1%; aio threads=mine; } }');
is $code, 0, 'a pool';
like $err, qr/\[warn\].*the name of a pool has no effect/, 'warns';
$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for ('aio maybe;', 'aio;', 'aio threads=;', 'aio off on;') {
	($code) = $w->test_conf("http { server { listen %PORT1%; $_ } }");
	is $code, 1, $_;
}
done_testing;
