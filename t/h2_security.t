#!/usr/bin/perl

# HTTP/2 from clients that mean harm: frames, header compression, floods.  S-60, S-65 to S-80; S-61 to S-64 are in h2.t,
# S-67 in h2_tunnel.t, S-81 and S-83 in h2_conn.t.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::H2;

my $w = Weir->new;
my $big = 'x' x 10_000_000;
$w->write('www/big', $big);
$w->write('www/text', "text\n");
$w->origin(9, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		return $c->note('cut') unless $q->{complete};
		$c->note("$q->{method} $q->{uri} body=" . length($q->{body}) . ' cookie=' . ($q->{headers}{cookie} // '-'));
		if ($q->{uri} =~ m{/hang}) {
			$c->eof;
			$c->note('left');
			return;
		}
		my $b = $q->{uri} =~ m{/big} ? $big : 'up';
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($b) . "\r\n\r\n$b");
	}
});
$w->origin(8, sub {		# takes the head of a request, and nothing more
	my ($c) = @_;
	$c->read_until(qr/\r\n\r\n/);
	$c->note('stalled');
	Weir::wait_for(sub { -e $w->dir . '/go' });
});
$w->start(<<'E');
worker_processes 1;
http {
	access_log off;
	http2 on;
	root %DIR%/www;
	client_max_body_size 0;
	server {
		listen 127.0.0.1:%PORT1%;
		keepalive_requests 100000;
		location /up { proxy_pass http://127.0.0.1:%PORT9%; }
		location /stream { proxy_pass http://127.0.0.1:%PORT9%; proxy_request_buffering off; }
		location /stalled { proxy_pass http://127.0.0.1:%PORT8%; proxy_request_buffering off; proxy_read_timeout 5m; proxy_send_timeout 5m; }
		location /fields { add_header X-Own $arg_v; return 200 "$http_x_a"; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		max_headers 10;
		http2_max_concurrent_streams 20;
		location /up { proxy_pass http://127.0.0.1:%PORT9%; }
		location /cookie { return 200 "$http_cookie"; }
	}
	server {
		listen 127.0.0.1:%PORT3% rcvbuf=4m;
		location /stalled { proxy_pass http://127.0.0.1:%PORT8%; proxy_request_buffering off; proxy_read_timeout 5m; proxy_send_timeout 5m; }
	}
}
E

sub h2 { my ($n, %o) = @_; Weir::H2->new($w->connect(port => $n // 1), %o) }
sub notes { my ($re) = @_; scalar grep /$re/, $w->origin_notes(9) }
sub code { my ($h) = @_; my $g = $h->goaway; $g ? $g->{code} : $h->{ended} ? 'closed' : 'nothing' }

sub works
{
	my $begin = time;
	my $h = h2(1);
	my $r = $h->response($h->get('/text'));
	return ($r->{body} // '') eq "text\n" && time - $begin < 10;
}

# Of the worker, in kB.  A sanitizer keeps for a while what was freed.
my $room = join('', $w->run('-V')) =~ /--with-sanitizers/ ? 20 : 1;

sub memory
{
	my ($pid) = $w->worker_pids;
	open my $f, '<', "/proc/$pid/status" or die;
	my ($kb) = map { /^VmRSS:\s+(\d+)/ ? $1 : () } <$f>;
	return $kb;
}

# All that has come.
sub drain { my ($h) = @_; 1 while $h->read_frame(0.002) }

# What a stream ends in: a status, or the code of RST_STREAM, or of GOAWAY.
sub ends_in
{
	my ($h, $sid) = @_;
	my $r = $h->response($sid);
	return $r->{status} if $r->{status} && $r->{status} >= 400;
	return "rst $r->{rst}" if defined $r->{rst};
	return @{ $h->{goaways} } ? "goaway $h->{goaways}[0]{code}" : $r->{status} // 'nothing';
}

subtest 'S-65 lengths' => sub {
	my $before = $w->origin_notes(9);
	for my $at ('/up', '/stream') {
		for (['DATA', sub { my ($h, $s) = @_; $h->data($s, 'abcd', 1) }],
		    ['empty DATA', sub { my ($h, $s) = @_; $h->data($s, 'abcd'); $h->data($s, '', 1) }],
		    ['trailers', sub { my ($h, $s) = @_; $h->data($s, 'abcd'); $h->frame(1, 5, $s, $h->block(a => 1)) }],
		    ['only trailers', sub { my ($h, $s) = @_; $h->frame(1, 5, $s, $h->block(a => 1)) }],
		    ['more', sub { my ($h, $s) = @_; $h->data($s, 'abcdef'); $h->frame(1, 5, $s, $h->block(a => 1)) }]) {
			my ($how, $end) = @$_;
			my $h = h2();
			my $sid = $h->request($h->head('POST', "$at/lie", 'content-length' => 5), more => 1);
			$end->($h, $sid);
			like ends_in($h, $sid), qr/^(400|rst 1)$/, "$at: ended by $how";
		}
		my $h = h2();
		is ends_in($h, $h->request($h->head('POST', "$at/lie", 'content-length' => 5))), 400, "$at: ended by HEADERS";
	}
	is notes(qr{/lie body=[1-9]}), 0, 'no upstream sees a request that looks whole';
};

subtest 'S-66 trailers' => sub {
	for (['pseudo', ':path' => '/x'], ['status', ':status' => 200], ['connection', connection => 'close'], ['te', te => 'gzip'],
	    ['transfer-encoding', 'transfer-encoding' => 'chunked'], ['upper case', 'X-Y' => 1], ['CR LF', 'x-y' => "a\r\nb"]) {
		my ($what, @fields) = @$_;
		my $h = h2();
		my $sid = $h->request($h->head('POST', '/up/trailers'), body => 'abc', more => 1);
		$h->frame(1, 5, $sid, $h->block(@fields));
		my $end = ends_in($h, $sid);
		like $end, $what eq 'te' ? qr/^(400|rst 1|200)$/ : qr/^(400|rst 1)$/, $what;
		ok works();
	}
};

subtest 'S-68 crumbs of cookies' => sub {
	my $h = h2(2);
	is $h->response($h->get('/cookie', map { (cookie => "c$_=$_") } 1 .. 10))->{body},
	    join('; ', map { "c$_=$_" } 1 .. 10), 'joined';
	is $h->response($h->get('/cookie', map { (cookie => "c$_=$_") } 1 .. 11))->{status}, 431, 'each counts as a field';
};

subtest 'S-69 heads' => sub {
	my $h = h2(1);
	is ends_in($h, $h->get('/text', map { ("x-$_" => 'x' x 1000) } 1 .. 70)), 'goaway 11', 'more than 64k in sum';
	$h = h2(2);
	is ends_in($h, $h->get('/text', map { ("x-$_" => 1) } 1 .. 11)), 431, 'too many fields';
	is $h->response($h->get('/text'))->{body}, "text\n", 'the connection goes on';
	my $c = $w->connect(port => 2);
	$c->send("GET /text HTTP/1.1\r\nHost: a\r\n" . join('', map { "X-$_: 1\r\n" } 1 .. 11) . "\r\n");
	is $c->response->status, 431, 'as in HTTP/1';
};

subtest 'S-70 compression' => sub {
	my $base = "\x82\x86\x84\x01\x01a";		# GET, http, /, :authority a
	my %bad = (
		'index 0' => "\x80", 'index beyond the table' => "\xff\x7f", 'a name beyond the table' => "\x7f\x7f\x01a",
		'a number that overflows' => "\xff" . "\xff" x 10 . "\x7f", 'a number without an end' => "\xff" . "\x80" x 20,
		'EOS in a string' => "\x00\x01a\x84\xff\xff\xff\xff", 'padding of more than 7 bits' => "\x00\x01a\x82\x1f\xff",
		'padding of zeros' => "\x00\x01a\x81\x18", 'a table larger than allowed' => "\x3f\xe1\xff\x03",
		'a string beyond the block' => "\x00\x01a\x7fab", 'half a field' => "\x00",
		'a change of the table behind a field' => undef,
	);
	for my $what (sort keys %bad) {
		my $h = h2();
		my $block = defined $bad{$what} ? ($what =~ /table larger/ ? "$bad{$what}$base" : "$base$bad{$what}") : "$base\x20";
		$h->frame(1, 5, 1, $block);
		is code($h), 9, "$what: COMPRESSION_ERROR";
		ok $h->eof, "$what: the end";
	}
	my $h = h2();
	$h->frame(1, 5, 1, "\x20$base");
	is $h->response(1)->{status}, 403, 'a smaller table is fine';
	ok works();
};

subtest 'S-71 frames' => sub {
	my ($PROTOCOL, $FLOW, $SIZE, $CLOSED) = (1, 3, 6, 5);
	my $block = sub { $_[0]->block(@{ $_[0]->head('GET', '/text') }) };
	for (
		['SETTINGS of 5 bytes', $SIZE, sub { $_[0]->frame(4, 0, 0, 'x' x 5) }],
		['SETTINGS on a stream', $PROTOCOL, sub { $_[0]->frame(4, 0, 1, '') }],
		['ACK with something', $SIZE, sub { $_[0]->frame(4, 1, 0, 'x' x 6) }],
		['ENABLE_PUSH 2', $PROTOCOL, sub { $_[0]->settings(2 => 2) }],
		['a window of 2^31', $FLOW, sub { $_[0]->settings(4 => 1 << 31) }],
		['frames of 16383', $PROTOCOL, sub { $_[0]->settings(5 => 16383) }],
		['frames of 2^24', $PROTOCOL, sub { $_[0]->settings(5 => 1 << 24) }],
		['PING of 7 bytes', $SIZE, sub { $_[0]->frame(6, 0, 0, 'x' x 7) }],
		['PING on a stream', $PROTOCOL, sub { $_[0]->frame(6, 0, 1, 'x' x 8) }],
		['WINDOW_UPDATE of 0', $PROTOCOL, sub { $_[0]->window(0) }],
		['WINDOW_UPDATE of 3 bytes', $SIZE, sub { $_[0]->frame(8, 0, 0, 'abc') }],
		['WINDOW_UPDATE over 2^31', $FLOW, sub { $_[0]->window(0x7fffffff) }],
		['WINDOW_UPDATE of an idle stream', $PROTOCOL, sub { $_[0]->window(1, 7) }],
		['RST_STREAM of 3 bytes', $SIZE, sub { $_[0]->frame(3, 0, 1, 'abc') }],
		['RST_STREAM of no stream', $PROTOCOL, sub { $_[0]->frame(3, 0, 0, 'abcd') }],
		['RST_STREAM of an idle stream', $PROTOCOL, sub { $_[0]->rst(7) }],
		['DATA of no stream', $PROTOCOL, sub { $_[0]->data(0, 'x') }],
		['DATA of an idle stream', $PROTOCOL, sub { $_[0]->data(7, 'x') }],
		['HEADERS of no stream', $PROTOCOL, sub { $_[0]->frame(1, 5, 0, $block->($_[0])) }],
		['HEADERS of an even stream', $PROTOCOL, sub { $_[0]->frame(1, 5, 2, $block->($_[0])) }],
		['HEADERS that depend on themselves', $PROTOCOL, sub { $_[0]->frame(1, 0x25, 1, pack('NC', 1, 1) . $block->($_[0])) }],
		['too much padding', $PROTOCOL, sub { $_[0]->frame(1, 0xd, 1, "\xff" . $block->($_[0])) }],
		['a frame that is too large', $SIZE, sub { $_[0]->frame(1, 5, 1, 'x' x 16385) }],
		['one of an unknown type that is too large', $SIZE, sub { $_[0]->frame(0x77, 0, 0, 'x' x 16385) }],
		['CONTINUATION alone', $PROTOCOL, sub { $_[0]->frame(9, 4, 1, 'x') }],
		['another frame within a head', $PROTOCOL, sub { $_[0]->frame(1, 1, 1, $block->($_[0])); $_[0]->ping }],
		['CONTINUATION of another stream', $PROTOCOL, sub { $_[0]->frame(1, 1, 1, $block->($_[0])); $_[0]->frame(9, 4, 3, '') }],
		['PUSH_PROMISE', $PROTOCOL, sub { $_[0]->frame(5, 4, 1, pack('N', 2) . $block->($_[0])) }],
		['GOAWAY on a stream', $PROTOCOL, sub { $_[0]->frame(7, 0, 1, pack 'NN', 0, 0) }],
	) {
		my ($what, $code, $do) = @$_;
		my $h = h2();
		$do->($h);
		is code($h), $code, $what;
		ok $h->eof, "$what: the end";
	}
	my $h = h2();
	my $sid = $h->request($h->head('POST', '/up/hang'), more => 1);
	$h->window(0x7fffffff, $sid);
	is ends_in($h, $sid), 'rst 3', 'the window of a stream over 2^31: that stream only';
	$h->frame(0x77, 0xff, 1, 'what is this?');
	$h->settings(0x1234 => 5);
	is $h->response($h->get('/text'))->{body}, "text\n", 'what is unknown is passed over';
};

subtest 'S-72 rapid reset' => sub {
	for my $method ('GET', 'POST') {
		my $before = notes(qr{/hang});
		my $h = h2();
		for (1 .. 10_000) {
			my $sid = $h->request($h->head($method, '/stream/hang'), more => $method eq 'POST');
			$h->rst($sid) or last;
			next if $_ % 100;
			drain($h);
			last if $h->{ended} || @{ $h->{goaways} };
		}
		is code($h), 11, "$method: ENHANCE_YOUR_CALM";
		ok works(), 'others are served';
		cmp_ok notes(qr{/hang}) - $before, '<', 5000, 'only some came to the upstream';
	}
	$w->log_like(qr/client reset too many streams/, 'is told');
	ok wait_for(sub { my @n = $w->origin_notes(9); grep(m{/hang}, @n) == grep(/left/, @n) }), 'and was given up there';
};

subtest 'S-73 resets that the client provokes' => sub {
	my %way = (
		'a window of nothing' => sub { my $h = shift; $h->window(0, $h->request($h->head('POST', '/stream/hang'), more => 1)) },
		'a window that overflows' => sub { my $h = shift; $h->window(0x7fffffff, $h->request($h->head('POST', '/stream/hang'), more => 1)) },
		'trailers that are not the end' => sub { my $h = shift; my $sid = $h->request($h->head('POST', '/stream/hang'), more => 1);
		    $h->frame(1, 4, $sid, $h->block(a => 1)) },
		'malformed trailers' => sub { my $h = shift; my $sid = $h->request($h->head('POST', '/stream/hang'), more => 1);
		    $h->frame(1, 5, $sid, $h->block(':path' => 1)) },
		'more than its length' => sub { my $h = shift; my $sid = $h->request($h->head('POST', '/stream/hang', 'content-length' => 1), more => 1);
		    $h->data($sid, 'abc', 1) },
		'malformed requests' => sub { my $h = shift; $h->request([':method' => 'GET', ':path' => '/', 'X' => 1]) },
		'DATA behind the end' => sub { my $h = shift; my $sid = $h->get('/up/hang'); $h->data($sid, 'x', 1) },
		'PRIORITY on itself' => sub { my $h = shift; my $sid = $h->get('/up/hang'); $h->frame(2, 0, $sid, pack 'NC', $sid, 1) },
		'PRIORITY of 4 bytes' => sub { my $h = shift; my $sid = $h->get('/up/hang'); $h->frame(2, 0, $sid, 'abcd') },
	);
	for my $what (sort keys %way) {
		my $h = h2();
		my $n = 0;
		while ($n++ < 8000) {
			$way{$what}->($h) or last;
			next if $n % 50;
			drain($h);
			last if $h->{ended} || @{ $h->{goaways} };
		}
		my $g = $h->goaway;
		ok $g && $g->{code} != 0, "$what: GOAWAY " . ($g ? $g->{code} : 'did not come') . " after $n";
		ok works(), "$what: others are served";
	}
	$w->log_like(qr/client provoked too many resets/, 'is told');
};

subtest 'S-74 CONTINUATION' => sub {
	my %more = (
		'fields' => sub { $_[0]->block(map { ("x-$_" => 'y' x 50) } 1 .. 100) },
		'one literal' => sub { 'y' x 16000 },
		'nothing' => sub { '' },
	);
	for my $what (sort keys %more) {
		my $h = h2();
		my $before = memory();
		$h->frame(1, 1, 1, $h->block(@{ $h->head('GET', '/text') }) . ($what eq 'one literal' ? "\0\1a\x7f\xff\xff\xff\x07" : ''));
		my $bytes = 0;
		while ($bytes < 1 << 22) {
			my $s = $more{$what}->($h);
			$h->frame(9, 0, 1, $s) or last;
			$bytes += 9 + length $s;
			next if $what eq 'nothing' && $bytes % 900;
			$h->read_frame(0.01);
			last if $h->{ended} || @{ $h->{goaways} };
		}
		my $g = $h->goaway;
		ok $g && $g->{code} != 0, "$what: GOAWAY " . ($g ? $g->{code} : 'did not come');
		cmp_ok $bytes, '<', 1 << 20, "$what: after $bytes bytes";
		cmp_ok memory() - $before, '<', $room * 20_000, "$what: memory";
	}
	$w->log_like(qr/client sent too many CONTINUATION frames/, 'is told');
	ok works();
};

subtest 'S-75 floods' => sub {
	my $h = h2();
	my $sid = $h->request($h->head('POST', '/up'), more => 1);
	for (1 .. 5000) {
		$h->frame(0, 8, $sid, "\x10" . "\0" x 16) or last;
		next if $_ % 100;
		drain($h);
		last if $h->{ended} || @{ $h->{goaways} };
	}
	is code($h), 11, 'DATA of nothing but padding';
	my $before = memory();
	$h = h2();
	my $n = 0;
	{
		local $SIG{PIPE} = 'IGNORE';
		for (1 .. 200) {		# nobody reads the answers
			vec(my $can = '', $h->{c}->fd, 1) = 1;
			select(undef, $can, undef, 1) or last;
			(syswrite($h->{c}->socket, (substr(pack('N', 8), 1) . pack('CCN', 6, 0, 0) . 'ABCDEFGH') x 100) // 0) > 0 or last;
			$n += 100;
		}
	}
	cmp_ok memory() - $before, '<', $room * 20_000, "$n PINGs whose answers nobody reads: memory";
	ok works(), 'others are served';
	is code($h), 11, 'and the end';
	$w->log_like(qr/client flooded the connection with PING frames/, 'is told');
};

subtest 'S-76 bombs' => sub {
	my $before = memory();
	my $h = h2(1);
	my $entry = "\x40\x01a\x7f" . chr(4000 - 127 & 127 | 128) . chr(4000 - 127 >> 7) . 'z' x 4000;
	my $base = $h->block(@{ $h->head('GET', '/text') });
	$h->frame(1, 5, 1, $base . $entry . "\xbe" x 10_000);
	is code($h), 11, 'a large field, ten thousand times';
	my @h;
	for (1 .. 5) {
		my $h = h2(1, settings => [4 => 0]);
		$h->credit(0);
		push @h, $h;
		for (1 .. 20) {
			my $sid = $h->{next};
			$h->{next} += 2;
			$h->frame(1, 5, $sid, ($_ == 1 ? "$base\x40\x01a\x01b" : $base) . "\xbe" x 15_000) or last;
		}
		my ($f) = grep { $_->{type} == 1 } $h->read_until(sub { $_[0]{type} == 1 || $_[0]{type} == 7 });
		ok !$f || { @{ $f->{fields} } }->{':status'} == 431, 'small ones, on a hundred streams without a window';
	}
	cmp_ok memory() - $before, '<', $room * 50_000, 'memory';
	ok works();
};

subtest 'S-77 one-byte windows' => sub {
	my $before = memory();
	my @h;
	for (1 .. 100) {
		my $h = h2(1, settings => [4 => 1]);
		$h->credit(0);
		$h->{mine} = $h->get($_ % 2 ? '/up/big' : '/big');
		push @h, $h;
	}
	for my $round (1 .. 20) {
		for my $h (@h) {
			my @f = $h->read_until(sub { $_[0]{type} == 0 }, 30);
			$h->{got} += map { $_->{type} == 0 ? length $_->{payload} : () } @f;
			$h->{bytes} += length $_->{payload} for grep { $_->{type} == 0 } @f;
			$h->window(1, $h->{mine});
		}
		next if $round % 5;
		my $begin = time;
		ok works(), "others are served, round $round";
		cmp_ok time - $begin, '<', slack(1), 'within a second';
	}
	is scalar(grep { $_->{bytes} == 20 } @h), 100, '100 readers of 10 MB, a byte at a time';
	my $grown = memory() - $before;
	cmp_ok $grown, '<', $room * 50_000, "memory: $grown kB";
	$_->{c}->close for @h;
};

subtest 'S-78 a table of 4 GB' => sub {
	my $before = memory();
	my $h = h2(1, settings => [1 => 0xffffffff]);
	my ($most, @sid) = (0);
	for my $n (1 .. 2000) {
		my $sid = $h->get("/fields?v=" . $n x 100);
		for my $f ($h->read_until(sub { $_[0]{sid} == $sid && $_[0]{flags} & 1 })) {
			next unless $f->{type} == 1 && (ord($f->{payload}) & 0xe0) == 0x20;
			my $size = $h->number(5, \(my $p = $f->{payload}));
			$most = $size if $size > $most;
		}
	}
	cmp_ok $most, '<=', 65536, "our table is of $most bytes";
	cmp_ok memory() - $before, '<', $room * 10_000, 'memory';
};

subtest 'S-79 3000 streams' => sub {
	my $before = notes(qr{/many});
	my $h = h2(2);
	my %refused;
	for (1 .. 3000) {
		$h->get('/up/hang/many') or last;
		next if $_ % 50;
		while (my $f = $h->read_frame(0.001)) {
			$refused{ unpack 'N', $f->{payload} }++ if $f->{type} == 3;
		}
		last if $h->{ended} || @{ $h->{goaways} };
	}
	cmp_ok $refused{7} // 0, '>', 0, 'REFUSED_STREAM';
	is_deeply [keys %refused], [7], 'and no other reset';
	cmp_ok notes(qr{/many}) - $before, '<=', 20, 'no more at the upstream than were announced';
	ok works();
};

subtest 'S-80 more than the window' => sub {
	my $h = h2();
	my $sid = $h->request($h->head('POST', '/stalled'), more => 1);
	my $before = memory();
	my ($sent, $rst) = (0);
	while ($sent < 20_000_000) {
		$h->data($sid, 'x' x 16384) or last;
		$sent += 16384;
		my $f;
		do { $f = $h->read_frame(0.001) } until !$f || $f->{type} == 3;
		$rst = unpack 'N', $f->{payload} if $f;
		last if $f || $h->{ended};
	}
	is $rst, 3, 'FLOW_CONTROL_ERROR';
	cmp_ok $sent, '<', 8_000_000, "after $sent bytes";
	cmp_ok memory() - $before, '<', $room * 20_000, 'memory';
	ok works();
	# in one piece, as to who was held up
	$h = h2(3);
	is $h->response($h->get('/text'))->{status}, 200;
	my ($worker) = $w->worker_pids;
	kill 'STOP', $worker;
	ok wait_for(sub { Weir::proc_stat($worker) eq 'T' }), 'the worker is held';
	$sid = $h->request($h->head('POST', '/stalled'), more => 1);
	my $load = $w->background(sub { $h->data($sid, 'x' x 16384) for 1 .. 300; return {} });
	ok wait_for(sub { !IO::Select->new($h->{c}->socket)->can_write(0) }), 'as much as there is room for is on its way';
	kill 'CONT', $worker;
	$load->finish;
	my ($f) = grep { $_->{type} == 3 } $h->read_until(sub { $_[0]{type} == 3 || $_[0]{type} == 7 });
	is $f ? unpack 'N', $f->{payload} : 'none', 3, 'FLOW_CONTROL_ERROR, at once';
	is $h->response($h->get('/text'))->{status}, 200, 'of this stream only';
	$w->log_unlike(qr/unknown frames/, 'and of nothing else');
	$w->write('go', '');
};

done_testing;
