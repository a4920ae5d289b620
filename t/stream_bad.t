#!/usr/bin/env perl
# stream_bad.t - what a client of stream should not send: ClientHellos that are cut, that lie, or never end; headers of the PROXY
# protocol that are broken, or a stranger's; and clients that do not read (S-122, S-126, S-134, S-149, S-201).
#
# effect: ssl_preread preread_timeout preread_buffer_size listen set_real_ip_from proxy_protocol_timeout proxy_pass

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Socket qw(inet_aton);
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $seed = $ENV{WEIR_SEED} // int rand 1e9;
srand $seed;
note "seed $seed";
my $w = Weir->new;
my $sanitized = join('', $w->run('-V')) =~ /--with-sanitizers/;
$w->cert('c');

# Says who it is, and what came.
for my $n (21, 22) {
	$w->origin($n, sub {
		my ($c) = @_;
		my $all = $c->read_all;
		$c->send("$n " . length($all) . ' ' . md5_hex($all));
	});
}
# Sends as long as somebody takes it.
$w->origin(23, sub {
	my ($c) = @_;
	$c->timeout(300);
	for (1 .. 2000) {
		$c->send('x' x 100000) or last;
	}
});

$w->start(<<'E');
worker_processes 1;
stream {
	log_format t "$server_port $status $close_reason $bytes_received";
	access_log %DIR%/access.log t;
	ssl_certificate %DIR%/c.crt;
	ssl_certificate_key %DIR%/c.key;
	map $ssl_preread_server_name $to { a.test 127.0.0.1:%PORT21%; default 127.0.0.1:%PORT22%; }
	server { listen 127.0.0.1:%PORT1%; ssl_preread on; return "$ssl_preread_protocol|$ssl_preread_server_name"; }
	server { listen 127.0.0.1:%PORT2%; ssl_preread on; proxy_pass $to; }
	server { listen 127.0.0.1:%PORT3%; ssl_preread on; preread_timeout 300ms; return x; }
	server { listen 127.0.0.1:%PORT4% ssl; ssl_preread on; preread_buffer_size 64k; return "$ssl_preread_server_name"; }
	server { listen 127.0.0.1:%PORT5%; ssl_preread on; preread_buffer_size 40k; return "$ssl_preread_server_name"; }

	server { listen 127.0.0.1:%PORT6% proxy_protocol; set_real_ip_from 127.0.0.2; deny 192.0.2.9; deny 127.0.0.3;
	    return "$remote_addr $proxy_protocol_addr"; }
	server { listen 127.0.0.1:%PORT7% proxy_protocol; proxy_protocol_timeout 300ms; return x; }
	server { listen 127.0.0.1:%PORT8% proxy_protocol; proxy_pass 127.0.0.1:%PORT21%; }
	server { listen 127.0.0.1:%PORT9% proxy_protocol ssl; set_real_ip_from 127.0.0.1; return "$remote_addr"; }
	server { listen 127.0.0.1:%PORT10% proxy_protocol; ssl_preread on; set_real_ip_from 127.0.0.1; proxy_pass $to; }

	server { listen 127.0.0.1:%PORT11%; proxy_pass 127.0.0.1:%PORT23%; }
	server { listen 127.0.0.1:%PORT12% ssl; proxy_pass 127.0.0.1:%PORT23%; }
	server { listen 127.0.0.1:%PORT13%; return alive; }
}
E

# What comes back when these pieces were sent, and the end; undef when that lasts too long.
sub ask
{
	my ($port, $pieces, %opt) = @_;
	my $c = $w->connect(port => $port, %opt) or return 'no connection';
	for (ref $pieces ? @$pieces : $pieces) {
		$c->send($_) or last;
	}
	$c->half_close;
	my $got = $c->read_all;
	return $c->timed_out ? undef : $got;
}
sub line { my ($port) = @_; my $p = $w->port($port); my @l;
	wait_for(sub { @l = grep /^$p /, $w->log_lines('access.log') }); return $l[-1] // '' }
sub alive { is ask(13, ''), 'alive', 'others do not notice' }

# ---- ClientHellos ----

sub ext { my ($type, $body) = @_; return pack 'n n/a', $type, $body }
sub name { return ext(0, pack 'n/a', pack 'C n/a', 0, $_[0]) }
sub hello
{
	my ($ext) = @_;
	my $body = pack('n', 0x303) . 'r' x 32 . pack('C/a', 's' x 32) . pack('n/a', pack 'n*', 0x1301, 0xc02b) . "\1\0" .
	    pack('n/a', ext(10, pack 'n/a', pack 'n*', 29, 23) . ext(43, pack 'C/a', pack 'n*', 0x304, 0x303) . $ext);
	return "\1" . substr(pack('N', length $body), 1) . $body;
}
sub record { return pack 'C n n/a', 22, 0x301, $_[0] }
sub records { my ($text, $size) = @_; return join '', map record($_), unpack "(a$size)*", $text }
sub passed { my ($to, $bytes) = @_; return $w->port($to) ? "$to " . length($bytes) . ' ' . md5_hex($bytes) : '' }

my $plain = hello(name('a.test'));
is ask(1, record($plain)), 'TLSv1.3|a.test', 'a ClientHello';
is ask(1, [split //, record($plain)]), 'TLSv1.3|a.test', '... in segments of one byte';
is ask(1, records($plain, 1)), 'TLSv1.3|a.test', '... in records of one byte';
for my $size (2000, 4000, 8000, 15900) {
	my $h = hello(ext(21, "\0" x ($size - 200)) . name('a.test'));
	for ([whole => record($h)], ['in three records' => records($h, int($size / 3) + 1)], ['in records of 700' => records($h, 700)]) {
		my ($how, $bytes) = @$_;
		is ask(1, $bytes), 'TLSv1.3|a.test', "a ClientHello of $size bytes, $how (S-122)";
		is ask(2, [unpack '(a97)*', $bytes]), passed(21, $bytes), '... passed on as it came, in segments of 97';
	}
}
is ask(1, [split //, record(hello(ext(21, "\0" x 5000) . name('a.test')))]), 'TLSv1.3|a.test', 'a large one in segments of one byte';

for (['a name' => name('a.test'), 'TLSv1.3|a.test'], ['in capitals, with a dot behind it' => name('A.TEST.'), 'TLSv1.3|a.test'],
    ['no name' => '', 'TLSv1.3|'], ['an address' => name('127.0.0.1'), 'TLSv1.3|127.0.0.1'], ['255 bytes' => name('x' x 255), 'TLSv1.3|' . 'x' x 255],
    ['256 bytes' => name('x' x 256)], ['300 bytes' => name('x' x 300)], ['300 bytes that begin as another' => name('a.test' . 'x' x 294)], ['a NUL in it' => name("a.test\0.b")],
    ['a NUL behind it' => name("a.test\0")], ['a NUL before it' => name("\0a.test")], ['no byte' => name('')],
    ['an empty extension' => ext(0, '')], ['a list that is cut' => ext(0, "\0\x09\0\0\x06a.te")],
    ['a list that is longer' => ext(0, "\0\x0a\0\0\x06a.test")], ['a name that is longer than its list' => ext(0, "\0\x09\0\0\x07a.test")],
    ['a name of 65535' => ext(0, "\0\x09\0\xff\xffa.test")], ['bytes behind the list' => ext(0, pack('n/a', pack 'C n/a', 0, 'a.test') . 'x')],
    ['two names' => ext(0, pack 'n/a', pack('C n/a', 0, 'a.test') x 2)], ['the extension twice' => name('a.test') x 2],
    ['another kind of name' => ext(0, pack 'n/a', pack 'C n/a', 1, 'a.test')], ['extensions that are cut' => name('a.test') . "\0\1\0"]) {
	my ($what, $ext, $want) = @$_;
	my $bytes = record(hello($ext));
	is ask(1, $bytes), $want // '|', "a ClientHello with $what" . ($want ? '' : ': nothing is known (S-126)');
	is ask(2, $bytes), passed(($want // '') eq 'TLSv1.3|a.test' ? 21 : 22, $bytes), '... passed on as it came';
}
alive();

# each byte of it wrong, in several ways
my $wrong = 0;
for my $at (0 .. 4 + length $plain) {
	for my $to ("\0", "\xff", chr(1 + ord substr record($plain), $at, 1)) {
		my $bytes = record($plain);
		substr($bytes, $at, 1) = $to;
		my $got = ask(1, $bytes);
		next if defined $got && $got =~ /^(?:|(?:TLSv1\.[123]|SSLv3|)\|[^\0]{0,255})$/;
		$wrong++ or diag unpack('H*', $bytes) . ': ' . ($got // 'nothing');
	}
}
is $wrong, 0, 'lengths that lie, whichever it is: an answer or an end';
for my $n (1 .. 200) {
	my $bytes = record($plain);
	substr($bytes, rand length $bytes, 1) = chr rand 256 for 1 .. 1 + $n % 5;
	is ask(2, $bytes) =~ s/^2[12] //r, length($bytes) . ' ' . md5_hex($bytes), 'some wrong byte: passed on as it came' or last
	    if ask(1, $bytes) ne '';
	defined ask(1, substr $bytes, 0, rand length $bytes) or fail 'a piece of it';
}
alive();

# what is no TLS, or does not end
my $junk = join '', map chr rand 256, 1 .. 65536;
substr($junk, 0, 1) = 'S';
is ask(2, $junk), passed(22, $junk), '64 kB of something else go to the default (S-134)';
is ask(2, "\x16"), '', 'one byte, and the end';
like line(2), qr/ 200 client_closed 0$/, '... which the log has';
is ask(2, "\x16\x03\x01\xff\xff" . 'x' x 65536), passed(22, "\x16\x03\x01\xff\xff" . 'x' x 65536), 'a record that is too long is none';
is ask(1, records("\1\xff\xff\xff" . 'x' x 65536, 16000)), '|', 'a ClientHello of 16 MB is none';
is ask(1, records("\1\0\x3f\xf0" . 'x' x 16000, 1)), '', 'one that does not come to its end within preread_buffer_size';
like line(1), qr/ 400 preread_full /, '... is closed (S-134)';
is ask(5, records(hello(ext(21, "\0" x 10000) . name('a.test')), 2)), 'a.test', 'preread_buffer_size: more of it';
{
	my $c = $w->connect(port => 3);
	my $end = time + $Weir::TIMEOUT;
	my $n = 0;
	for my $byte (split //, record($plain) x 50) {
		last if time > $end || !$c->send($byte);
		$n++;
		my $v = '';
		vec($v, $c->fd, 1) = 1;
		select $v, undef, undef, 0.02 and last;
	}
	ok $c->eof && time < $end, "a byte now and then does not lengthen preread_timeout (S-134): $n bytes";
	like line(3), qr/ 200 preread_timeout 0$/, '... which the log has';
}

# Behind an end of TLS it is read, and must not be kept many times over.
sub kb { my ($pid) = $w->worker_pids; return ($w->read("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m)[0] }
{
	my $before = kb();
	my $bytes = records(hello(ext(21, "\0" x 12000) . name('a.test')), 2);
	my $c = $w->connect(port => 4, tls => {});
	for (unpack '(a20)*', substr $bytes, 0, -1) {
		$c->send($_);
		select undef, undef, undef, 0.0005;	# so that they are read singly
	}
	cmp_ok kb() - $before, '<', 8000, 'small pieces inside TLS are kept once' unless $sanitized;
	$c->send(substr $bytes, -1);
	is $c->read_all, 'a.test', '... and understood';
}
alive();

# ---- the PROXY protocol (S-201) ----

my $sig = "\r\n\r\n\0\r\nQUIT\n";
my $tcp4 = "PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n";
my $inet = inet_aton('192.0.2.1') . inet_aton('192.0.2.2') . pack 'n2', 123, 5678;
sub v2 { my ($cmd, $family, $body) = @_; return $sig . pack 'CC n/a', $cmd, $family, $body }
sub tlv { return pack 'C n/a', @_ }

for ([$tcp4, '192.0.2.1', 'version 1'], [v2(0x21, 0x11, $inet), '192.0.2.1', 'version 2'],
    [v2(0x21, 0x11, $inet . tlv(2, 'a.test')), '192.0.2.1', 'with a TLV'], ["PROXY UNKNOWN\r\n", '', 'UNKNOWN'],
    [v2(0x20, 0x11, $inet), '', 'LOCAL'], [v2(0x21, 0x00, $inet), '', 'UNSPEC']) {
	my ($header, $addr, $what) = @$_;
	my $says = $addr || '127.0.0.2';
	is ask(6, $header, from => '127.0.0.2'), "$says $addr", "$what: of who is trusted it is believed";
	is ask(6, $header, from => '127.0.0.4'), "127.0.0.4 $addr", '... of a stranger it is not';
	is ask(6, [split //, $header], from => '127.0.0.2'), "$says $addr", '... byte by byte';
	is ask(8, $header . $plain), passed(21, $plain), '... and what comes with it is not touched';
	is ask(10, $header . record($plain)), passed(21, record($plain)), '... nor a ClientHello';
	for my $n (0, 1, 5, 11, length($header) - 1) {
		is ask(6, substr($header, 0, $n), from => '127.0.0.2'), '', "... $n bytes of it: closed";
	}
}
is ask(6, $tcp4 =~ s/2\.1 /2.9 /r, from => '127.0.0.2'), '', 'deny sees who is named';
is ask(6, $tcp4 =~ s/2\.1 /2.9 /r), '127.0.0.1 192.0.2.9', '... but not by a stranger';
is ask(6, $tcp4, from => '127.0.0.3'), '', '... who does not escape it by a header';
for (['none', 'GET / HTTP/1.0' . "\r\n\r\n"], ['108 bytes without CRLF', 'PROXY UNKNOWN ' . 'x' x 94], ['version 1 without CR', "PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\n"],
    ['families that do not match', "PROXY TCP4 ::1 ::1 1 2\r\n"], ['a port too high', "PROXY TCP4 192.0.2.1 192.0.2.2 123 65536\r\n"],
    ['a NUL', "PROXY TCP4 192.0.2.1\0 192.0.2.2 123 5678\r\n"], ['65535 bytes', $sig . pack('CCn', 0x21, 0x11, 65535) . $inet . 'x' x 65523],
    ['4097 bytes', v2(0x21, 0x11, $inet . tlv(4, 'x' x 4066))], ['a TLV that overruns', v2(0x21, 0x11, $inet . "\1\xff\xffx")],
    ['half a TLV', v2(0x21, 0x11, $inet . "\1\0")], ['too short', v2(0x21, 0x11, substr $inet, 1)], ['an unknown command', v2(0x22, 0x11, $inet)],
    ['another version', v2(0x31, 0x11, $inet)], ['a wrong checksum', v2(0x21, 0x11, $inet . tlv(3, 'abcd'))], ['TLS', record($plain)], ['another signature', "\r\n\r\n\0\r\nQUIT\r" . substr v2(0x21, 0x11, $inet), 12]) {
	my ($what, $header) = @$_;
	is ask(6, $header, from => '127.0.0.2'), '', "a header: $what: closed";
	is ask(8, "$header$plain"), '', '... and an upstream hears nothing of it';
}
{
	my $c = $w->connect(port => 7);
	ok $c->eof, 'none: closed in time';
	$c = $w->connect(port => 7);
	$c->send('PROXY TCP4 192');
	ok $c->eof, 'half of one: too';
	$c = $w->connect(port => 7);
	$c->send(substr v2(0x21, 0x11, $inet), 0, 20);
	ok $c->eof, 'of version 2, too';
	$c = $w->connect(port => 9);
	$c->send($tcp4 =~ s/2\.1 /2.7 /r);
	$c->socket->blocking(1);
	require IO::Socket::SSL;
	my $s = IO::Socket::SSL->start_SSL($c->socket, SSL_verify_mode => 0);
	is do { local $/; <$s> }, '192.0.2.7', 'TLS behind a header';
}
alive();

# ---- clients who do not read ----

for ([11, 'a tunnel'], [12, 'a tunnel with TLS', tls => {}]) {
	my ($port, $what, @how) = @$_;
	my $before = kb();
	my @idle = map $w->connect(port => $port, @how), 1 .. 40;
	my ($was, $now) = (-1, 0);
	# as much as fits on the way; then nothing moves
	wait_for(sub {
		$was = $now;
		$now = kb();
		select undef, undef, undef, 0.1;
		return $was == $now;
	});
	my $more = kb() - $before;
	cmp_ok $more, '<', 40 * 250, "$what whose client does not read: 40 hold $more kB (S-149)" unless $sanitized;
	$idle[0]->read_n(20_000_000);
	ok !$idle[0]->timed_out, '... and goes on when it does';
	$_->reset for @idle;
	alive();
}
is $w->stop, 0, 'stop';
done_testing;
