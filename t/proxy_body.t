#!/usr/bin/env perl
# proxy_body.t - bodies through the proxy: of any size and framing, in memory that does not
# grow with them, held back when the other side is slow.

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: proxy_request_buffering proxy_buffering proxy_buffers proxy_max_temp_file_size proxy_temp_path
# effect: proxy_limit_rate proxy_ignore_headers proxy_send_timeout

my $w = Weir->new;
my $MB = 1 << 20;

sub bytes { my ($n) = @_; substr join('', map pack('N', $_ * 2654435761 % 4294967296), 1 .. $n / 4 + 1), 0, $n }
my $ten = bytes($MB) x 10 . 'rest';

# /sum tells of the request's body; /give/N[/chunked|/close] gives N MB; others are special.
$w->origin(2, sub {
	my ($c) = @_;
	$c->timeout(20);
	for (;;) {
		my $head = $c->read_head // return;
		my ($uri) = $head =~ m{^\S+ (\S+)};
		$c->note("head $uri");
		if ($uri =~ /deaf/) {
			$c->note('deaf');
			wait_for(sub { defined $c->{weir}->read('go-deaf') });
		}
		my ($body, $how) = ('', 'none');
		if ($head =~ /^Transfer-Encoding: chunked/mi) {
			($body) = $c->read_chunked;
			$how = 'chunked';
		} elsif ($head =~ /^Content-Length: (\d+)/mi) {
			my $n = $1;
			if ($uri =~ /first/) {
				my $first = $c->read_n(5);
				$c->note("first $first");
				$body = $first . $c->read_n($n - 5);
			} else {
				$body = $c->read_n($n);
			}
			$how = 'length';
		}
		if ($uri =~ m{/give/(\d+)(?:/(\w+))?}) {
			my ($n, $kind) = ($1, $2 // 'length');
			my $text = bytes($MB);
			$c->send("HTTP/1.1 200 OK\r\n" . ($kind eq 'length' ? 'Content-Length: ' . $n * $MB . "\r\n" :
			    $kind eq 'chunked' ? "Transfer-Encoding: chunked\r\n" : '') .
			    ($uri =~ /accel_(\w+)/ ? "X-Accel-Buffering: $1\r\n" : '') . "\r\n");
			for my $i (1 .. $n) {
				$c->send($kind eq 'chunked' ? sprintf("%x\r\n%s\r\n", $MB, $text) : $text) or last;
				$c->note("gave $i $uri");
			}
			$c->send("0\r\n\r\n") if $kind eq 'chunked';
			$c->note("done $uri");
			return if $kind eq 'close';
			next;
		}
		my $text = "$how " . length($body) . ' ' . md5_hex($body);
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
	}
});
mkdir $w->dir . '/spill';
$w->start(<<'E');
http {
	client_max_body_size 0;
	client_body_buffer_size 16k;
	proxy_buffers 4 16k;
	upstream up { server 127.0.0.1:%PORT2%; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://up; }
		location /off/ { proxy_pass http://up; proxy_request_buffering off; }
		location /plain/ { proxy_pass http://up; proxy_buffering off; }
		location /wide/ { proxy_pass http://up; proxy_buffers 512 16k; }
		location /file/ { proxy_pass http://up; proxy_max_temp_file_size 100m; proxy_temp_path %DIR%/spill; }
		location /smallfile/ { proxy_pass http://up; proxy_max_temp_file_size 1m; proxy_temp_path %DIR%/spill; }
		location /limited/ { proxy_pass http://up; proxy_limit_rate 400k; }
		location /limitvar/ { proxy_pass http://up; proxy_limit_rate $arg_rate; proxy_buffering off; }
		location /ignore/ { proxy_pass http://up; proxy_buffers 512 16k; proxy_ignore_headers X-Accel-Buffering; }
		location /accel/ { proxy_pass http://up; proxy_buffers 512 16k; }
		location /send/ { proxy_pass http://up; proxy_request_buffering off; proxy_send_timeout 400ms; proxy_read_timeout 8s; }
		location /most/ { proxy_pass http://up; proxy_request_buffering off; client_max_body_size 100k; }
	}
}
E

sub memory
{
	my $kb = 0;
	for my $pid ($w->worker_pids) {
		open my $f, '<', "/proc/$pid/status" or next;
		/^VmHWM:\s+(\d+)/ and $kb += $1 while <$f>;
	}
	return $kb;
}
my $sanitized = do { my $b = $w->binary; `grep -c __asan_init $b` > 0 };
$w->get('/sum');
my $memory = memory();

sub chunks
{
	my ($data, $size) = @_;
	return join('', map sprintf("%x\r\n%s\r\n", length $_, $_), $data =~ /(.{1,$size})/gs) . "0\r\n\r\n";
}

subtest 'requests' => sub {
	for my $at ('/', '/off/') {
		for my $n (0, 1, 5000, 20000, length $ten) {
			my $data = substr $ten, 0, $n;
			my $r = $w->request('POST', "${at}sum", [], $data);
			is $r->body, "length $n " . md5_hex($data), "$at: $n bytes with a length";
			$r = $w->request('POST', "${at}sum", [ 'Transfer-Encoding' => 'chunked' ],
			    chunks($data, $n > 100000 ? 50001 : 997));
			my $how = $at eq '/' ? 'length' : '(?:chunked|length)';
			like $r->body, qr/^$how $n @{[md5_hex($data)]}$/, "$at: $n bytes in chunks";
		}
	}
	my $r = $w->request('POST', '/off/sum', [ 'Transfer-Encoding' => 'chunked' ], chunks($ten, 50001));
	like $r->body, qr/^chunked /, 'what is not kept stays chunked';
	my $c = $w->connect;
	$c->send("POST /sum HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345POST /sum HTTP/1.1\r\nHost: a\r\n" .
	    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	is $c->response->body, 'length 5 ' . md5_hex('12345'), 'pipelined';
	is $c->response->body, 'length 3 ' . md5_hex('abc');
};

subtest 'proxy_request_buffering' => sub {
	my $c = $w->connect;
	$c->send("POST /first/on HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345");
	my $d = $w->connect;
	$d->send("POST /off/first HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345");
	ok wait_for(sub { grep $_ eq 'first 12345', $w->origin_notes(2) }), 'off: passed on as it comes';
	ok !(grep m{^head /first/on}, $w->origin_notes(2)), 'on: not before all of it is here';
	$_->send('67890') for $c, $d;
	like $_->response->body, qr/^length 10/ for $c, $d;
};

subtest 'responses' => sub {
	my $one = md5_hex(bytes($MB));
	for my $at ('/', '/plain/', '/wide/', '/file/') {
		for my $kind (qw(length chunked close)) {
			my $n = $at eq '/' ? 10 : 3;
			my $r = $w->get("${at}give/$n/$kind");
			ok $r->complete, "$at $kind: complete";
			my @sums = map md5_hex(substr $r->body, $_ * $MB, $MB), 0 .. length($r->body) / $MB - 1;
			is_deeply \@sums, [ ($one) x $n ], "$at $kind: right";
		}
	}
	my $c = $w->connect;
	$c->send("GET /give/1/chunked HTTP/1.0\r\n\r\n");
	my $text = $c->read_all;
	is length($text =~ s/.*?\r\n\r\n//sr), $MB, 'no chunks for HTTP/1.0';
	$c->socket;
};

# A client that asks and does not read: how much does the upstream get rid of?
sub slow_client
{
	my ($uri, $most) = @_;
	my $s = IO::Socket::INET->new(Proto => 'tcp');
	setsockopt $s, SOL_SOCKET, SO_RCVBUF, 4096;
	connect $s, Socket::pack_sockaddr_in($w->port(1), Socket::inet_aton('127.0.0.1')) or die;
	my $c = Weir::Conn->new($s, 90);	# its window is small, so it takes long
	$c->send("GET $uri HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	return $c;
}
sub gave { my ($uri) = @_; scalar grep m{^gave \d+ \Q$uri\E$}, $w->origin_notes(2) }
sub all { my ($uri) = @_; scalar grep $_ eq "done $uri", $w->origin_notes(2) }

# It has stopped when nothing was added for a while.
sub settled
{
	my ($uri) = @_;
	my ($n, $since) = (-1, time);
	wait_for(sub {
		my $now = gave($uri);
		($n, $since) = ($now, time) if $now != $n;
		return all($uri) || time - $since > 0.3;
	});
	return gave($uri);
}

subtest 'a slow reader' => sub {
	my %got;
	for my $uri (qw(/plain/give/64/length /give/64/chunked /wide/give/8/chunked /file/give/16/length
	    /smallfile/give/65/length /accel/give/8/accel_no /accel/give/8/length /ignore/give/8/accel_no)) {
		my $real = $uri =~ s/accel_no/length\/accel_no/r;
		$got{$uri} = [ slow_client($real), $real ];
	}
	settled($got{$_}[1]) for keys %got;
	cmp_ok gave('/plain/give/64/length'), '<', 48, 'proxy_buffering off: the upstream is held back';
	cmp_ok gave('/give/64/chunked'), '<', 48, 'on: held back when proxy_buffers are full';
	ok wait_for(sub { all('/wide/give/8/chunked') }), 'proxy_buffers: as much is read ahead';
	ok wait_for(sub { all('/file/give/16/length') }), 'proxy_max_temp_file_size: or goes to a file';
	cmp_ok gave('/smallfile/give/65/length'), '<', 52, 'as much as the size allows';
	ok wait_for(sub { all('/accel/give/8/length') }), 'buffered';
	ok wait_for(sub { all('/ignore/give/8/length/accel_no') }), 'X-Accel-Buffering ignored';
	my @files = glob $w->dir . '/spill/*';
	is scalar @files, 0, 'the files have no names';
	for my $uri (sort keys %got) {
		my $r = $got{$uri}[0]->response;
		ok $r->complete, "$uri: still complete";
		my ($n) = $uri =~ m{give/(\d+)};
		is md5_hex(substr $r->body, ($n - 1) * $MB), md5_hex(bytes($MB)), "$uri: and right";
	}
};

subtest 'a slow reader among the upstreams' => sub {
	my $c = $w->connect(timeout => 0.6);
	$c->send("POST /off/deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 200000000\r\nConnection: close\r\n\r\n");
	my $sent = 0;
	my $piece = 'x' x 1000000;
	$sent++ while $sent < 200 && $c->send($piece);
	cmp_ok $sent, '<', 150, 'the client is held back';	# the kernel's buffers hold tens of megabytes
	$c->reset;
	$w->write('go-deaf', '');
	unlink $w->dir . '/go-deaf';
};

subtest 'proxy_send_timeout' => sub {
	my $c = $w->connect;
	$c->send("POST /send/deaf HTTP/1.1\r\nHost: a\r\nContent-Length: 60000000\r\n\r\n");
	my $pid = fork;
	if (!$pid) {
		$c->timeout(4);
		$c->send('x' x 1000000) or last for 1 .. 60;
		POSIX::_exit(0);
	}
	my $begin = time;
	my $r = $c->response;
	is $r && $r->status, 504, 'the upstream takes nothing';
	cmp_ok time - $begin, '<', slack(3);
	kill 'KILL', $pid;
	waitpid $pid, 0;
	$w->log_like(qr/upstream timed out .* while sending request to upstream/);
	$w->write('go-deaf', '');

	$c = $w->connect;
	$c->send("POST /send/x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nConnection: close\r\n\r\n12345");
	wait_for(sub { 0 }, 0.8);		# longer than the timeout
	$c->send('67890');
	$r = $c->response;
	is $r && $r->status, 200, 'a slow client is not the upstream\'s fault';
};

subtest 'proxy_limit_rate' => sub {
	my $begin = time;
	is length $w->get('/limited/give/1')->body, $MB;
	cmp_ok time - $begin, '>', 1, 'slowed down';
	$begin = time;
	is length $w->get('/limitvar/give/1?rate=0')->body, $MB;
	cmp_ok time - $begin, '<', slack(1), 'or not, by a variable';
	$begin = time;
	is length $w->get('/limitvar/give/1?rate=700k')->body, $MB;
	cmp_ok time - $begin, '>', 0.3;
};

subtest 'client_max_body_size on the way' => sub {
	my $r = $w->request('POST', '/most/x', [ 'Transfer-Encoding' => 'chunked' ], chunks('x' x 500000, 10000));
	is $r && $r->status, 413;
};

SKIP: {
	skip 'a sanitizer keeps what is freed', 1 if $sanitized;
	# the reading ahead of 8 MB that was asked for, three times, and a little
	cmp_ok memory() - $memory, '<', 40000, 'memory does not grow with the bodies';
}

done_testing;
