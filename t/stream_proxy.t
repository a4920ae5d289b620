#!/usr/bin/env perl
# stream_proxy.t - connections of TCP are joined with upstreams: bytes, ends of every kind, who is tried, and for how long.

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: proxy_pass proxy_connect_timeout proxy_timeout proxy_buffer_size proxy_upload_rate proxy_download_rate
# effect: proxy_next_upstream proxy_next_upstream_tries proxy_next_upstream_timeout proxy_half_close
# effect: proxy_socket_keepalive proxy_bind least_time proxy_protocol proxy_protocol_tlv upstream server least_conn hash random zone

my $w = Weir->new;

# What an upstream does is said by its first line.
$w->origin(10, sub {
	my ($c) = @_;
	my $say = $c->read_until(qr/\n/) // '';
	if ($say =~ /^echo/) {			# everything, back, until the end
		my ($n, $all) = (0, '');
		while (defined(my $d = $c->read_n(1))) {
			last unless length $d;
			$c->send($d);
			$n++;
		}
		$c->note("echo $n");
		$c->send("bye");
		$c->half_close;
		$c->eof;
	} elsif ($say =~ /^sum/) {		# what came, at its end
		my $all = $c->read_all;
		$c->send(length($all) . ' ' . md5_hex($all));
	} elsif ($say =~ /^give (\d+)/) {
		my $left = $1;
		my $i = 0;
		while ($left > 0) {
			my $n = 1 + ($i++ * 7919) % 60000;
			$n = $left if $n > $left;
			last unless $c->send(chr(65 + $i % 26) x $n);
			select undef, undef, undef, 0.002 if $i % 50 == 0;
			$left -= $n;
		}
		$c->half_close;
		$c->eof;
	} elsif ($say =~ /^first/) {		# ends at once, and still hears
		$c->send('mine');
		$c->half_close;
		$c->note('heard ' . $c->read_all);
	} elsif ($say =~ /^reset/) {
		$c->send('x');
		$c->read_until(qr/\n/);
		$c->reset;
	} elsif ($say =~ /^watch/) {
		$c->send('ok');
		$c->eof;
		$c->note('saw ' . ($c->was_reset ? 'reset' : 'end'));
	} elsif ($say =~ /^ends/) {		# once it is told so
		$c->send('ok');
		wait_for(sub { -e $w->dir . '/end' });
		$c->send('mine');
		$c->half_close;
		$c->note('ended');
		$c->note('of late ' . $c->read_all . ($c->was_reset ? ' and a reset' : ''));
	} elsif ($say =~ /^much/) {
		$c->send('m' x 1000000);
		$c->eof;
	} elsif ($say =~ /^hold/) {
		$c->send('held');
		$c->eof;
		$c->note('held over');
	} else {
		$c->send($say);
	}
});
# Says who it is, and what it is told.
for my $n (11, 12, 14) {
	$w->origin($n, sub {
		my ($c) = @_;
		my $said = $c->read_until(qr/\n/) // '';
		$c->send("$n " . $c->socket->peerhost . ' ' . $said);
	});
}

# Somebody whose queue is full: connecting to him takes for ever.
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(40), Listen => 1, ReuseAddr => 1) or die;
my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $w->port(40), Blocking => 0) } 1 .. 6;

$w->start(<<'E');
worker_processes 1;
worker_shutdown_timeout 300s;
stream {
	log_format t "$server_port $status $close_reason $bytes_received/$bytes_sent $upstream_addr $upstream_bytes_sent/$upstream_bytes_received "
	    "$upstream_connect_time $upstream_first_byte_time $upstream_session_time $session_time";
	access_log %DIR%/access.log t;
	upstream two { server 127.0.0.1:%PORT11%; server 127.0.0.1:%PORT12%; }
	upstream sure { zone s 64k; server 127.0.0.1:%PORT13%; server 127.0.0.1:%PORT11% backup; }
	upstream none { server 127.0.0.1:%PORT13% max_fails=0; server 127.0.0.1:%PORT13% max_fails=0; server 127.0.0.1:%PORT11% backup; }
	upstream slow { server 127.0.0.1:%PORT40% max_fails=0; server 127.0.0.1:%PORT11% backup; }
	upstream least { least_conn; server 127.0.0.1:%PORT10%; server 127.0.0.1:%PORT11%; }
	upstream keyed { hash $remote_addr consistent; server 127.0.0.1:%PORT11%; server 127.0.0.1:%PORT12%; }
	upstream lots { random two least_conn; server 127.0.0.1:%PORT11%; server 127.0.0.1:%PORT12%; }
	upstream fast { least_time connect; server 127.0.0.1:%PORT11%; server 127.0.0.1:%PORT12%; }
	map $server_port $where { %PORT31% two; %PORT32% 127.0.0.1:%PORT12%; %PORT33% 127.0.0.1; default nothing; }

	server { listen 127.0.0.1:%PORT1%; proxy_pass 127.0.0.1:%PORT10%; }
	server { listen 127.0.0.1:%PORT2%; proxy_pass 127.0.0.1:%PORT10%; proxy_half_close off; }
	server { listen 127.0.0.1:%PORT3%; proxy_pass 127.0.0.1:%PORT10%; proxy_timeout 300ms; }
	server { listen 127.0.0.1:%PORT4%; proxy_pass 127.0.0.1:%PORT10%; proxy_buffer_size 1; proxy_upload_rate 10m; }
	server { listen 127.0.0.1:%PORT5%; proxy_pass 127.0.0.1:%PORT10%; proxy_download_rate 3000; }
	server { listen 127.0.0.1:%PORT6%; proxy_pass 127.0.0.1:%PORT10%; proxy_upload_rate 3000; }
	server { listen 127.0.0.1:%PORT7%; proxy_pass 127.0.0.1:%PORT14%; proxy_protocol on; proxy_bind 127.0.0.9; proxy_socket_keepalive on; }
	server { listen 127.0.0.1:%PORT8%; proxy_pass 127.0.0.1:%PORT14%; proxy_protocol v2; proxy_protocol_tlv 0xE0 seen; }
	server { listen 127.0.0.1:%PORT20%; proxy_pass two; }
	server { listen 127.0.0.1:%PORT21%; proxy_pass sure; }
	server { listen 127.0.0.1:%PORT22%; proxy_pass sure; proxy_next_upstream off; }
	server { listen 127.0.0.1:%PORT23%; proxy_pass none; proxy_next_upstream_tries 2; }
	server { listen 127.0.0.1:%PORT24%; proxy_pass least; }
	server { listen 127.0.0.1:%PORT25%; proxy_pass keyed; }
	server { listen 127.0.0.1:%PORT26%; proxy_pass lots; }
	server { listen 127.0.0.1:%PORT27%; proxy_pass fast; }
	server { listen 127.0.0.1:%PORT28%; proxy_pass slow; proxy_next_upstream_timeout 100ms; proxy_connect_timeout 200ms; }
	server { listen 127.0.0.1:%PORT29%; proxy_pass slow; proxy_connect_timeout 200ms; }
	server { listen 127.0.0.1:%PORT31%; listen 127.0.0.1:%PORT32%; listen 127.0.0.1:%PORT33%; proxy_pass $where; }
	server { listen 127.0.0.1:%PORT34%; proxy_pass unix:%DIR%/up.sock; }
	server { listen 127.0.0.1:%PORT35%; proxy_pass 127.0.0.1:%PORT41%; }
}
E

sub say { my ($port, $text, %o) = @_; my $c = $w->connect(port => $port, %o); $c->send("$text\n"); return $c }
sub line { my ($port) = @_; my $p = $w->port($port); my @l;
	wait_for(sub { @l = grep /^$p /, $w->log_lines('access.log') }); return $l[-1] // '' }

# bytes and ends
my $c = say(1, 'echo');
$c->send('hello');
is $c->read_n(5), 'hello', 'there and back';
$c->half_close;
is $c->read_all, 'bye', 'the end of the client is handed on, and the upstream answers it';
like line(1), qr{ 200 client_closed 10/8 127\.0\.0\.1:\d+ 10/8 \d\.\d{3} \d\.\d{3} \d+\.\d{3} \d+\.\d{3}$}, 'the log has all of it';

$c = say(1, 'first');
is $c->read_all, 'mine', 'the end of the upstream is handed on';
$c->send('late');
$c->half_close;
ok wait_for(sub { grep /^heard late$/, $w->origin_notes(10) }), 'and it still hears the client';
like line(1), qr/ 200 upstream_closed /, 'who ended first';

$c = say(2, 'first');
is $c->read_all, 'mine', 'proxy_half_close off: the upstream ends';
ok wait_for(sub { grep /^heard $/, $w->origin_notes(10) }), 'and with it the client';

$c = say(1, 'reset');
is $c->read_n(1), 'x', 'an upstream';
$c->send("now\n");
$c->eof;
ok $c->was_reset, 'that resets: the client sees it';
like line(1), qr/ 200 upstream_reset /, 'the log says who';
$c = say(1, 'watch');
is $c->read_n(2), 'ok', 'a client';
$c->reset;
ok wait_for(sub { grep /^saw reset$/, $w->origin_notes(10) }), 'that resets: the upstream sees it';
ok wait_for(sub { line(1) =~ / 200 client_reset / }), 'the log says who';

# what writing finds out, reading is not told any more: what comes then is no orderly end
$c = say(1, 'ends');
is $c->read_n(2), 'ok', 'an upstream that will end';
{
	my ($worker) = $w->worker_pids;
	kill 'STOP', $worker;
	ok wait_for(sub { Weir::proc_stat($worker) eq 'T' }), 'the worker is held';
	$w->write('end', '');
	ok wait_for(sub { grep /^ended$/, $w->origin_notes(10) }), 'the upstream ends';
	$c->send('late');
	$c->reset;
	kill 'CONT', $worker;
}
ok wait_for(sub { grep /^of late/, $w->origin_notes(10) }), 'the client resets before it has been written to';
is_deeply [grep /^of late/, $w->origin_notes(10)], ['of late late and a reset'], 'the upstream sees that';
like line(1), qr/ 200 client_reset /, 'and so does the log';

# a client that has gone before the connection to the upstream was seen to be made
{
	my $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(41), Listen => 5, ReuseAddr => 1) or die;
	my ($worker) = $w->worker_pids;
	kill 'STOP', $worker;
	ok wait_for(sub { Weir::proc_stat($worker) eq 'T' }), 'the worker is held';
	$w->connect(port => 35)->reset;
	kill 'CONT', $worker;
	like line(35), qr/ client_reset /, 'a client that resets at once';
	my $s = IO::Socket::INET->new;
	$s = $l->accept if IO::Select->new($l)->can_read($Weir::TIMEOUT);
	ok !defined sysread($s, my $got, 1) && $!{ECONNRESET}, 'is no orderly end to the upstream';
}

# much, in pieces of every size, both ways at once
my $big = join '', map { chr(33 + $_ % 90) x (1 + ($_ * 7919) % 50000) } 1 .. 800;
for my $port (1, 4) {
	$c = say($port, 'sum');
	for (my $at = 0, my $i = 0; $at < length $big; $i++) {
		my $n = 1 + ($i * 104729) % 90000;
		$c->send(substr $big, $at, $n) or last;
		$at += $n;
		select undef, undef, undef, 0.001 if $i % 20 == 0;
	}
	$c->half_close;
	is $c->read_all, length($big) . ' ' . md5_hex($big), length($big) . ' bytes of a client' . ($port == 4 ? ', by a small buffer' : '');
	last if $ENV{WEIR_QUICK};
}
$c = say(1, 'give 50000000');
my ($got, $i) = (0, 0);
for (;;) {
	my $d = $c->read_n(1 + ($i++ * 7919) % 300000);
	last unless length $d;
	$got += length $d;
	select undef, undef, undef, 0.01 if $i % 20 == 0;
}
is $got, 50000000, '50 MB to a client who takes them now and then';

# rates
my $t = time;
$c = say(5, 'give 9000');
$c->half_close;
is length $c->read_all, 9000, 'proxy_download_rate: all of it';
cmp_ok time - $t, '>', 1.5, 'but slowly';
$t = time;
$c = say(6, 'sum');
$c->send('x' x 9000);
$c->half_close;
like $c->read_all, qr/^9000 /, 'proxy_upload_rate: all of it';
cmp_ok time - $t, '>', 1.5, 'but slowly';

# time
$c = say(3, 'hold');
is $c->read_n(4), 'held', 'a connection that rests';
ok $c->eof, 'is closed after proxy_timeout';
like line(3), qr/ 200 idle /, 'which the log says';

# what the upstream sees
like say(7, 'x')->read_all, qr/^14 127\.0\.0\.9 PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ @{[$w->port(7)]}\r$/m, 'proxy_protocol and proxy_bind';
like say(8, 'x')->read_all, qr/^14 127\.0\.0\.1 \r$/m, 'of version 2, too';
like say(7, 'x', from => '127.0.0.5')->read_all, qr/TCP4 127\.0\.0\.5 /, 'it is the client that is named';

# groups
is join(' ', sort map { substr say(20, 'x')->read_all, 0, 2 } 1 .. 4), '11 11 12 12', 'servers take turns';
like say(21, 'x')->read_all, qr/^11 /, 'a server that is not there: the next one';
like line(21), qr{ 200 \w+ \d+/\d+ 127\.0\.0\.1:@{[$w->port(13)]}, 127\.0\.0\.1:\d+ 0, 2/0, \d+ -, \d\.\d+ -, \d\.\d+ \d\.\d+, \d\.\d+ }, 'the log has both';
is say(23, 'x')->read_all // '', '', 'proxy_next_upstream_tries: no more than two';
like line(23), qr/ 502 upstream_failed 0\/0 \S+, \S+ 0, 0/, 'which were two';
my $off = Weir->new;
$off->start("stream { upstream u { server 127.0.0.1:@{[$w->port(13)]}; server 127.0.0.1:@{[$w->port(11)]} backup; } " .
    'server { listen 127.0.0.1:%PORT1%; proxy_pass u; proxy_next_upstream off; } }');
my $no = $off->connect;
is $no->read_all // '', '', 'proxy_next_upstream off: no other is tried';
$off->log_like(qr/connect\(\) failed \(111: Connection refused\) while connecting to upstream, client: 127\.0\.0\.1, server: \S+, upstream: "127/, 'which the error log tells');
like say(29, 'x')->read_all, qr/^11 /, 'proxy_connect_timeout: who does not answer is none';
like $w->log_text, qr/upstream timed out \(110: Connection timed out\) while connecting to upstream/, 'which the error log tells';
is say(28, 'x')->read_all // '', '', 'proxy_next_upstream_timeout: no time for others';
my $hold = say(24, 'hold');
is $hold->read_n(4), 'held', 'least_conn: one is busy';
is join(' ', map { substr say(24, 'x')->read_all, 0, 2 } 1 .. 3), '11 11 11', 'so the other one serves';
$hold->close;
my %keyed = map { my $ip = "127.0.0.$_"; map { substr(say(25, 'x', from => $ip)->read_all, 0, 2) . $ip => 1 } 1 .. 2 } 1 .. 6;
is scalar keys %keyed, 6, 'hash: a client stays where it is';
like say(26, 'x')->read_all, qr/^1[12] /, 'random';
like say(27, 'x')->read_all, qr/^1[12] /, 'least_time connect';
like say(31, 'x')->read_all, qr/^1[12] /, 'a variable names a group';
like say(32, 'x')->read_all, qr/^12 /, 'or an address';
is say(33, 'x')->read_all // '', '', 'or nothing that is of use';
like $w->log_text, qr/no port in upstream "127\.0\.0\.1", client/, 'which the log says';
like line(33), qr/ 500 no_upstream /, 'and how it ended';
$w->origin(35, sub { my ($o) = @_; $o->send('unix ' . $o->read_until(qr/\n/)) }, unix => $w->dir . '/up.sock');
is say(34, 'x')->read_all, "unix x\n", 'an upstream at a unix socket';

# what rests costs little, and outlives reloads
my @rest = map { say(1, 'hold') } 1 .. 60;
is scalar(grep { $_->read_n(4) eq 'held' } @rest), 60, 'sixty connections rest';
my ($pid) = $w->worker_pids;
cmp_ok scalar(my @fds = glob "/proc/$pid/fd/*"), '<', 60 * 2 + 64, 'with two descriptors each';
my @much = map { say(1, 'much') } 1 .. 40;
is scalar(grep { length $_->read_n(1000000) == 1000000 } @much), 40, 'forty more after much has gone through them';
ok wait_for(sub { @fds = glob "/proc/$pid/fd/*"; @fds < 100 * 2 + 64 }), 'they keep no pipe' or diag scalar @fds;
$_->close for @much;
ok $w->reload, 'reload';
for (@rest) { $_->half_close }
is scalar(grep { defined $_->read_all } @rest), 60, 'all went on until their end';
ok wait_for(sub { !$w->retiring_pids }), 'and the old worker has gone';

$hold = say(1, 'hold');
is $hold->read_n(4), 'held', 'one more';
is $w->stop('TERM'), 0, 'a fast end';
$hold->eof;
ok $hold->was_reset, 'cuts it';
like line(1), qr/ 500 shutdown /, 'and the log has it';

done_testing;
