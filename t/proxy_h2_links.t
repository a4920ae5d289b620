#!/usr/bin/perl

# HTTP/2 towards upstreams: connections that many requests share, how they begin and end, what is sent again.
#
# effect: keepalive keepalive_requests keepalive_timeout keepalive_time proxy_http2_max_streams

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;
my $gate = $w->dir . '/gate';

# /hold waits for the gate.  Each connection notes its number, and how many requests it had at a time.
sub origin
{
	my ($n, %opt) = @_;
	$w->origin($n, sub {
		my ($c) = @_;
		my $h = Weir::H2->server($c, settings => $opt{settings}, quiet => $opt{quiet}) or return;
		$c->note("connection $$");
		my (@held, $served, $most) = ();
		for (;;) {
			my $q = $h->read_head(0.02);
			last if !$q && $h->{ended};
			if ($q && $q->{fields}{':path'} =~ /^\/hold/) {
				push @held, $q;
				$c->note("$$ holds $q->{fields}{':path'}");
				if (!$most || @held > $most) {
					$most = @held;
					$c->note("$$ has $most");
				}
			} elsif ($q) {
				$served++;
				last if $opt{does} && $opt{does}->($c, $h, $q, $served);
				$h->respond($q->{sid}, 200, [], "$$") unless $q->{done};
			}
			@held = grep {
				$c->note("$$ reset $_->{rst} $_->{fields}{':path'}") if defined $_->{rst};
				!defined $_->{rst};
			} @held;
			if (@held && -e $gate) {
				$h->respond($_->{sid}, 200, [], "$$") for splice @held;
			}
		}
		$c->note("closed $$");
	});
}

sub connections { my ($n) = @_; scalar grep { /^connection/ } $w->origin_notes($n) }
sub note_like { my ($n, $re) = @_; wait_for(sub { grep { $_ =~ $re } $w->origin_notes($n) }) }

# So many held requests at a time; their bodies.
sub many
{
	my ($path, $n, $ready) = @_;
	unlink $gate;
	my $h = Weir::H2->new($w->connect);
	my @sids = map { $h->get($path) } 1 .. $n;
	$ready->() if $ready;
	$w->write('gate', '');
	return map { my $r = $h->response($_); ($r->{status} // 0) == 200 ? $r->{body} : "status " . ($r->{status} // 'none') } @sids;
}

sub distinct { my %h = map { $_ => 1 } @_; return scalar keys %h }

origin(9);
origin(10, settings => [3 => 2]);
origin(11);
origin(12, quiet => 1);
origin(13, does => sub {		# GOAWAY: the first request is the last that counts
	my ($c, $h, $q, $served) = @_;
	my ($what) = $q->{fields}{':path'} =~ /^\/(\w+)/;
	$c->note("$what $q->{fields}{':method'} $$ $served");
	if ($what eq 'goaway' && -e "$gate.goaway") {
		unlink "$gate.goaway";
		$h->frame(7, 0, 0, pack 'NN', $q->{sid} - 2, 0);
		$h->eof(30);
		return 1;
	}
	if ($what eq 'refuse' && -e "$gate.refuse") {
		unlink "$gate.refuse";
		$h->rst($q->{sid}, 7);
		$q->{done} = 1;
	}
	if ($what eq 'bye') {		# an answer, then the end
		$h->respond($q->{sid}, 200, [], "$$");
		$h->frame(7, 0, 0, pack 'NN', $q->{sid}, 0) if $q->{fields}{':path'} =~ /goaway/;
		return 1;
	}
	if ($what eq 'cut' && $q->{fields}{':method'} ne 'HEAD' && -e "$gate.cut") {
		unlink "$gate.cut";
		return 1;
	}
	return 0;
});
origin(14, does => sub {		# an answer before the end of the request
	my ($c, $h, $q) = @_;
	$h->credit(0);
	$h->respond($q->{sid}, 413, [], 'early');
	$h->rst($q->{sid}, 0) if $q->{fields}{':path'} =~ /rst/;
	$q->{done} = 1;
	$h->credit(1);
	return 0;
});
origin(15, does => sub {		# takes no more of a body than the first window
	my ($c, $h, $q) = @_;
	return 0 if $q->{fields}{':method'} eq 'GET';
	$h->credit(0);
	wait_for(sub { $h->take(0.1); -e $gate });
	$c->note('got ' . length $q->{body});
	$h->credit(1);
	$h->window(1 << 20);
	$h->window(1 << 20, $q->{sid});
	until ($q->{end} || $h->{ended}) {
		$h->take(1);
	}
	$h->respond($q->{sid}, 200, [], length $q->{body});
	$q->{done} = 1;
	return 0;
});
origin(16, does => sub {		# a big answer on one stream, small ones on others
	my ($c, $h, $q) = @_;
	return 0 if $q->{fields}{':path'} !~ /big/;
	$h->fields($q->{sid}, [':status' => 200], 0);
	$h->data($q->{sid}, 'x' x 60000, 0);
	$c->note('big ' . ++$h->{big});
	$q->{done} = 1;
	return 0;
});

$w->origin(18, sub { my ($c) = @_; $c->note('accepted'); $c->eof; $c->note('gone') });	# never a handshake

$w->start(<<'E');
http {
	log_format up '$request_uri $status $upstream_status $upstream_addr';
	access_log %DIR%/access.log up;
	client_max_body_size 100m;
	proxy_http_version 2;
	upstream nine { server 127.0.0.1:%PORT9%; }
	upstream eleven { server 127.0.0.1:%PORT11%; }
	upstream kept { server 127.0.0.1:%PORT12%; keepalive 4; }
	upstream none { server 127.0.0.1:%PORT9%; keepalive 0; }
	upstream two { server 127.0.0.1:%PORT9%; keepalive_requests 2; }
	upstream short { server 127.0.0.1:%PORT9%; keepalive_timeout 50ms; }
	upstream old { server 127.0.0.1:%PORT9%; keepalive_time 1ms; }
	server {
		listen 127.0.0.1:%PORT1%;
		http2 on;
		location / { proxy_pass http://nine/; }
		location /timeout/ { proxy_pass http://eleven/; proxy_read_timeout 300ms; proxy_next_upstream off; }
		location /limited/ { proxy_pass http://127.0.0.1:%PORT10%/; }
		location /most/ { proxy_pass http://eleven/; proxy_http2_max_streams 3; }
		location /quiet/ { proxy_pass http://127.0.0.1:%PORT12%/; }
		location /quiet/kept/ { proxy_pass http://kept/; }
		location /none/ { proxy_pass http://none/; }
		location /two/ { proxy_pass http://two/; }
		location /short/ { proxy_pass http://short/; }
		location /old/ { proxy_pass http://old/; }
		location /ends/ { proxy_pass http://127.0.0.1:%PORT13%/; }
		location /off/ { proxy_pass http://127.0.0.1:%PORT13%/; proxy_next_upstream off; }
		location /early/ { proxy_pass http://127.0.0.1:%PORT14%/; proxy_request_buffering off; }
		location /slow/ { proxy_pass http://127.0.0.1:%PORT15%/; proxy_request_buffering off; }
		location /stalled/ { proxy_pass http://127.0.0.1:%PORT16%/; proxy_buffering off; }
		location /nobody/ { proxy_pass http://127.0.0.1:%PORT17%/; }
		location /stuck/ { proxy_pass https://127.0.0.1:%PORT18%/; }
		location /own/ { proxy_pass http://nine/; proxy_bind 127.0.0.1; }
	}
}
E

# ---- sharing ----

is distinct(many('/hold', 40)), 1, 'forty requests at a time, before there is a connection: one';
is connections(9), 1, 'it was the only one';
$w->get('/x');
is connections(9), 1, 'the next request takes it, too';
$w->get('/limited/x');		# so that it has said how many
cmp_ok distinct(many('/limited/hold', 6, sub { note_like(10, qr/has 2/) })), '>=', 3,
    'no more at a time than the upstream allows' or diag join "\n", $w->origin_notes(10);
is scalar(grep { /has 3/ } $w->origin_notes(10)), 0, 'never more';
cmp_ok distinct(many('/most/hold', 9)), '>=', 3, 'proxy_http2_max_streams';
is scalar(grep { /has 4/ } $w->origin_notes(11)), 0, 'never more';
my @pids = map { $w->get('/own/x')->body } 1 .. 2;
isnt $pids[0], $pids[1], 'who asks for an address of his own shares nothing';
@pids = map { $w->get('/quiet/x')->body } 1 .. 2;
isnt $pids[0], $pids[1], 'an upstream that does not answer PING gets no second request on a connection';
@pids = map { $w->get('/quiet/kept/x')->body } 1 .. 2;
is $pids[0], $pids[1], 'unless keepalive was written for it';

# ---- how long they are kept ----

@pids = map { $w->get('/none/x')->body } 1 .. 2;
isnt $pids[0], $pids[1], 'keepalive 0';
@pids = map { $w->get('/two/x')->body } 1 .. 3;
is $pids[0], $pids[1], 'keepalive_requests: the second';
isnt $pids[1], $pids[2], 'the third is one too many';
my $pid = $w->get('/short/x')->body;
ok note_like(9, qr/^closed $pid$/), 'keepalive_timeout';
$pid = $w->get('/old/x')->body;
ok wait_for(sub { $w->get('/old/x')->body ne $pid }), 'keepalive_time';

# ---- the ends of connections ----

# One that is used, and its pid.
sub warm { $w->get('/ends/x'); return $w->get('/ends/x')->body }

$pid = warm();
$w->write('gate.goaway', '');
my $r = $w->request('POST', '/ends/goaway', [], 'abc');
is $r->status, 200, 'a request above the last stream of GOAWAY goes out again, also a POST';
isnt $r->body, $pid, 'on another connection';
$w->write('gate.goaway', '');
is $w->request('POST', '/off/goaway', [], 'abc')->status, 200, 'whatever proxy_next_upstream says';
$w->write('gate.refuse', '');
is $w->request('POST', '/ends/refuse', [], 'abc')->status, 200, 'REFUSED_STREAM: again';
$w->write('gate.refuse', '');
is $w->request('POST', '/off/refuse', [], 'abc')->status, 200, 'whatever proxy_next_upstream says';
for my $end ('bye', 'bye/goaway') {
	for (1 .. 5) {
		is $w->get("/ends/$end")->status, 200, "$end: an answer";
		is $w->get('/ends/x')->status, 200, "$end: and one more, on another connection";
	}
}
warm();
$w->write('gate.cut', '');
is $w->get('/ends/cut')->status, 200, 'a kept connection that breaks: again';
warm();
$w->write('gate.cut', '');
is $w->request('POST', '/ends/cut', [], 'abc')->status, 502, 'but not a POST';
is scalar(grep { /^cut POST/ } $w->origin_notes(13)), 1, 'it went out once';

# ---- who cannot be reached ----

my $h = Weir::H2->new($w->connect);
my @sids = map { $h->get('/nobody/x') } 1 .. 5;
is join(' ', map { $h->response($_)->{status} // 'none' } @sids), '502 502 502 502 502', 'nobody there: all are told';

$h = Weir::H2->new($w->connect);
@sids = map { $h->get('/stuck/x') } 1 .. 4;
ok wait_for(sub { grep { /accepted/ } $w->origin_notes(18) }), 'a handshake that does not go on: all wait for it';
$h->rst($sids[2]);
$h->rst($sids[0]);
ok wait_for(sub { (grep { /gone/ } $w->origin_notes(18)) == 1 }), 'who began it went';
ok wait_for(sub { (grep { /accepted/ } $w->origin_notes(18)) == 2 }), 'another one begins it anew';
$h->{c}->reset;
ok wait_for(sub { (grep { /gone/ } $w->origin_notes(18)) == 2 }), 'all of them went';
is scalar(grep { /accepted/ } $w->origin_notes(18)), 2, 'there were no more connections';

# ---- cancelling ----

unlink $gate;
$pid = $w->get('/x')->body;
my $c = $w->connect;
$c->send("GET /hold/left HTTP/1.1\r\nHost: a\r\n\r\n");
ok note_like(9, qr/^$pid holds \/hold\/left/), 'a request waits';
$c->reset;
ok note_like(9, qr/^$pid reset 8 \/hold\/left$/), 'the client went: the stream is reset';
is $w->get('/x')->body, $pid, 'the connection lives on';
$h = Weir::H2->new($w->connect);
my $sid = $h->get('/hold/cancel');
ok note_like(9, qr/holds \/hold\/cancel/), 'one by HTTP/2 waits';
$h->rst($sid);
ok note_like(9, qr/^$pid reset 8 \/hold\/cancel$/), 'its reset is passed on';
is $w->get('/timeout/hold/late')->status, 504, 'proxy_read_timeout';
ok note_like(11, qr/reset 8 \/hold\/late$/), 'the stream is reset';
is $w->get('/timeout/x')->status, 200, 'the connection serves others';
$w->write('gate', '');

# ---- bodies ----

for my $how ('x', 'rst') {
	$r = $w->request('POST', "/early/$how", [], 'x' x 1_000_000);
	is $r->status, 413, "$how: an answer before the end of the request";
	is $r->body, 'early', "$how: all of it";
}
is distinct(map { $w->request('POST', '/early/rst', [], 'x' x 200_000)->status } 1 .. 5), 1, 'again';
unlink $gate;
$c = $w->connect;
my $big = 50_000_000;
$c->send("POST /slow/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: $big\r\n\r\n");
my $part = 'x' x 100_000;
my $sent = 0;
$c->socket->blocking(0);
for (my $idle = 0; $idle < 20 && $sent < $big; ) {	# until nothing moves any more
	my $n = syswrite $c->socket, $part;
	$sent += $n // 0;
	$idle = defined $n ? 0 : $idle + 1;
	select undef, undef, undef, 0.02 unless defined $n;
}
cmp_ok $sent, '<', 30_000_000, 'an upstream that gives no window holds the client back';
$c->socket->blocking(1);
$w->write('gate', '');
$c->send('x' x ($big - $sent));
is $c->response->body, $big, 'then all of it goes';
is +(grep { /^got/ } $w->origin_notes(15))[0], 'got 65535', 'no more than its window';
$h = Weir::H2->new($w->connect, settings => [4 => 1]);
$h->credit(0);
$h->get('/stalled/big') for 1 .. 60;
ok note_like(16, qr/^big 60$/), 'sixty bodies, and nobody reads them';
is distinct(map { $w->get('/stalled/x')->body } 1 .. 5), 1, 'they hold up nobody else';
is connections(16), 1, 'on the same connection' or diag join "\n", $w->origin_notes(16), grep { /stalled/ } $w->access;

# ---- reload ----

unlink $gate;
$c = $w->connect;
$c->send("GET /hold/reload HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
ok note_like(9, qr/holds \/hold\/reload/), 'a request waits';
ok $w->reload, 'reload';
$w->write('gate', '');
is $c->response->status, 200, 'it is answered';
is $w->get('/x')->status, 200, 'and the next one, by the new generation';

done_testing;
