#!/usr/bin/perl

# HTTP/2: how connections rest, wait and end, and what clients may not do to us.
#
# effect: keepalive_requests keepalive_timeout keepalive_time client_header_timeout client_body_timeout send_timeout
# effect: large_client_header_buffers max_headers worker_shutdown_timeout

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::H2;

my $w = Weir->new;
my $big = join '', map { sprintf '%07d ', $_ } 1 .. 1_250_000;		# 10 MB
$w->write('www/big', $big);
$w->write('www/text', "text\n");
$w->origin(9, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		$c->note($q->{uri});
		if ($q->{uri} =~ m{/hang}) {
			$c->eof;
			$c->note('left');
			return;
		}
		if ($q->{uri} =~ m{/gate}) {		# answers when the test has made a file
			Weir::wait_for(sub { -e $w->dir . '/gate' });
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
			next;
		}
		$c->send('HTTP/1.1 200 OK' . "\r\nContent-Length: " . length($big) . "\r\n\r\n");
		$c->send($big);
	}
});

my $conf = <<'E';
worker_processes 1;
worker_shutdown_timeout 30s;
http {
	access_log %DIR%/access.log;
	http2 on;
	root %DIR%/www;
	server {
		listen 127.0.0.1:%PORT1%;
		keepalive_requests 100000;
		location /up { proxy_pass http://127.0.0.1:%PORT9%; client_max_body_size 0; }
		location /stream { proxy_pass http://127.0.0.1:%PORT9%; proxy_request_buffering off; client_max_body_size 0; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		keepalive_requests 3;
	}
	server {
		listen 127.0.0.1:%PORT3%;
		keepalive_timeout 300ms;
		client_header_timeout 300ms;
		client_body_timeout 300ms;
		send_timeout 300ms;
		location /up { proxy_pass http://127.0.0.1:%PORT9%; }
	}
	server {
		listen 127.0.0.1:%PORT4%;
		keepalive_timeout 0;
	}
	server {
		listen 127.0.0.1:%PORT5%;
		keepalive_time 1ms;
	}
	server {
		listen 127.0.0.1:%PORT6%;
		large_client_header_buffers 2 1k;
		max_headers 5;
	}
}
E
$w->start($conf);

sub h2 { my ($n, %o) = @_; Weir::H2->new($w->connect(port => $n // 1), %o) }

# Of the worker, in kB.
sub memory
{
	my ($pid) = $w->worker_pids;
	open my $f, '<', "/proc/$pid/status" or die;
	my ($kb) = map { /^VmRSS:\s+(\d+)/ ? $1 : () } <$f>;
	return $kb;
}

sub works
{
	my $h = h2(1);
	my $begin = time;
	my $r = $h->response($h->get('/text'));
	return ($r->{body} // '') eq "text\n" && time - $begin < slack(2);
}

subtest 'the last request' => sub {
	my $h = h2(2);
	is $h->response($h->get('/text'))->{status}, 200 for 1, 2;
	my $sid = $h->get('/text');
	is $h->response($sid)->{body}, "text\n", 'the last is answered';
	is_deeply $h->goaway, { last => $sid, code => 0 }, 'keepalive_requests';
	ok $h->eof, 'then it ends';
	$h = h2(4);
	is $h->response($h->get('/text'))->{status}, 200;
	is_deeply $h->goaway, { last => 1, code => 0 }, 'keepalive_timeout 0';
	$h = h2(5);
	my $n = 0;
	$h->response($h->get('/text')) until @{ $h->{goaways} } || $n++ > 10000;
	is +($h->goaway // {})->{code}, 0, 'keepalive_time';
};

subtest 'S-77 S-81 timeouts' => sub {
	my $h = h2(3);
	$h->response($h->get('/text'));
	is_deeply $h->goaway, { last => 1, code => 0 }, 'keepalive_timeout';
	ok $h->eof;
	$h = h2(3, raw => 1);
	ok $h->eof, 'nothing behind the preface';
	my $c = $w->connect(port => 3);
	ok $c->eof, 'nothing at all';
	$c = $w->connect(port => 3);
	$c->send('PRI * HTT');
	ok $c->eof, 'half a preface';
	$h = h2(3);
	$h->read_until(sub { $_[0]{type} == 4 && $_[0]{flags} & 1 });
	$h->frame(1, 1, 1, $h->block(@{ $h->head('GET', '/text') }));
	ok $h->eof, 'HEADERS without END_HEADERS';
	$w->log_like(qr/client timed out while sending its request head/, 'is told');
	$h = h2(3);
	$h->{c}->send("\0\0\x40\1\5\0\0\0\1\0\0\0");
	ok $h->eof, 'half a frame';
	$h = h2(3);
	my $sid = $h->request($h->head('POST', '/up', 'content-length' => 10), body => 'abc', more => 1);
	is $h->response($sid)->{status}, 408, 'client_body_timeout';
	$h = h2(3);
	$h->credit(0);
	$sid = $h->get('/big');
	my ($rst) = grep { $_->{type} == 3 } $h->read_until(sub { $_[0]{type} == 3 });
	is unpack('N', $rst->{payload} // ''), 8, 'send_timeout: a window that stays shut';
	$h = h2(3, settings => [4 => 0x7fffffff]);
	$h->window(0x7fffffff - 65535);
	$h->get('/big') for 1 .. 4;
	ok $w->wait_log(qr/client timed out while receiving responses/), 'send_timeout: a socket that nobody reads';
};

subtest 'S-69 heads that are too large' => sub {
	my $h = h2(6);
	is $h->response($h->get('/text', map { ('x-y' => $_) } 1 .. 5))->{status}, 200, 'max_headers';
	is $h->response($h->get('/text', map { ('x-y' => $_) } 1 .. 6))->{status}, 431, 'one more';
	is $h->response($h->get('/text', 'x-y' => 'x' x 1024))->{status}, 200, 'a field of the largest size';
	$h->get('/text', 'x-y' => 'x' x 1025);
	is $h->goaway->{code}, 11, 'a larger one: ENHANCE_YOUR_CALM';
	$h = h2(6);
	$h->get('/text', map { ('x-y' => 'x' x 700) } 1 .. 3);
	is $h->goaway->{code}, 11, 'all of them';
	$w->log_like(qr/client sent too large a request head/, 'is told');
};

subtest 'S-72 to S-75 floods' => sub {
	my %flood = (
		'RST_STREAM' => sub { my $h = shift; $h->get('/up/hang'); $h->rst($h->{next} - 2) },
		'RST_STREAM of POST' => sub { my $h = shift; $h->request($h->head('POST', '/stream/hang'), more => 1);
		    $h->rst($h->{next} - 2) },
		'SETTINGS' => sub { $_[0]->settings(3 => 100) },
		'empty SETTINGS' => sub { $_[0]->settings },
		'PING' => sub { $_[0]->ping },
		'PRIORITY' => sub { $_[0]->frame(2, 0, 1, pack 'NC', 0, 1) },
		'WINDOW_UPDATE' => sub { $_[0]->window(1) },
		'empty DATA' => sub { my $h = shift; $h->{open} //= $h->request($h->head('POST', '/up'), more => 1);
		    $h->data($h->{open}, '') },
		'unknown frames' => sub { $_[0]->frame(0x77, 0, 0, 'x') },
		'empty CONTINUATION' => sub { my $h = shift; $h->frame(1, 1, 1, '') unless $h->{in}++; $h->frame(9, 0, 1, '') },
		'malformed requests' => sub { my $h = shift; $h->request([':method' => 'GET', 'X' => 1]) },
		'windows of nothing' => sub { my $h = shift; $h->get('/text'); $h->window(0, $h->{next} - 2) },
		'trailers in the middle' => sub { my $h = shift; my $sid = $h->request($h->head('POST', '/stream/hang'), more => 1);
		    $h->frame(1, 4, $sid, $h->block(a => 1)) },
		'windows that overflow' => sub { my $h = shift; my $sid = $h->request($h->head('POST', '/stream/hang'), more => 1);
		    $h->window(0x7fffffff, $sid) },
	);
	for my $what (sort keys %flood) {
		my $h = h2(1);
		my $n = 0;
		while ($n++ < 12000) {
			$flood{$what}->($h) or last;
			next if $n % 100;
			1 while $h->read_frame(0.002);
			last if @{ $h->{goaways} } || $h->{ended};
		}
		my $g = $h->goaway(5);
		ok $g && $g->{code} != 0, "$what: GOAWAY " . ($g ? $g->{code} : 'did not come');
		cmp_ok $n, '<=', 12000, "$what: after $n";	# a server that is held up hears of them late
		ok works(), "$what: others are served";
	}
	$w->log_like(qr/client reset too many streams/, 'resets are told');
	ok wait_for(sub { my @n = $w->origin_notes(9); grep(m{/hang}, @n) == grep(/left/, @n) }),
	    'what was asked of the origin was given up';
};

subtest 'S-77 slow readers' => sub {
	my $before = memory();
	my @h;
	for (1 .. 20) {
		my $h = h2(1, settings => [4 => 1]);
		$h->credit(0);
		$h->get('/up') for 1 .. 2;
		push @h, $h;
	}
	$_->read_until(sub { $_[0]{type} == 1 }) for @h;
	ok works(), 'others are served meanwhile';
	my $grown = memory() - $before;
	cmp_ok $grown, '<', 100_000, "40 responses of 10 MB that nobody takes: $grown kB";
	$_->{c}->close for @h;
	ok works();
	my $h = h2(1);
	my $r = $h->response($h->get('/up'));
	ok $r->{body} eq $big, 'and one that is read';
};

subtest 'one slow body does not hold up others' => sub {
	my $h = h2(1);
	my @slow = map { $h->request($h->head('POST', '/stream/hang'), body => 'x' x 60000, more => 1) } 1 .. 10;
	is $h->response($h->request($h->head('POST', '/text'), body => 'x' x 100))->{status}, 405, 'a sibling';
	$h->rst($_) for @slow;
	ok works();
};

subtest 'S-83 a reload' => sub {
	unlink $w->dir . '/gate';
	my $idle = h2(1);
	$idle->response($idle->get('/text'));
	my $busy = h2(1);
	my $sid = $busy->get('/up/gate');
	$busy->ping;
	$busy->read_until(sub { $_[0]{type} == 6 && $_[0]{flags} & 1 });
	ok $w->reload, 'reloaded';
	is_deeply $idle->goaway, { last => 1, code => 0 }, 'one that rests ends';
	is_deeply $busy->goaway, { last => 0x7fffffff, code => 0 }, 'one that works is told first';
	my $more = $busy->get('/text');
	is $busy->response($more)->{body}, "text\n", 'what was on its way is served';
	is_deeply $busy->goaway, { last => $more, code => 0 }, 'then no more';
	$w->write('gate', '');
	is $busy->response($sid)->{body}, 'late', 'what was asked is answered';
	ok $busy->eof && $idle->eof, 'and they end';
};

subtest 'an end by force' => sub {
	unlink $w->dir . '/gate';
	ok $w->reload($conf =~ s/30s/100ms/r);
	my $h = h2(1);
	my $sid = $h->get('/up/gate');
	$h->ping;
	$h->read_until(sub { $_[0]{type} == 6 && $_[0]{flags} & 1 });
	ok $w->reload($conf);
	ok $h->eof, 'worker_shutdown_timeout';
	ok works();
};

done_testing;
