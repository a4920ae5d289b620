#!/usr/bin/perl

# What somebody has recorded, and sends again: early data at any worker (S-103, Q-26 to Q-28; RFC 8470).
#
# effect: ssl_early_data early_data_methods

use strict;
use warnings;

use lib 't/lib';
use Pq;
use Test::More;
use Weir;

my $w = Weir->new;
my $pq = Pq->new($w);
my $dir = $w->dir;
$pq->cert('s', 'EC');
$w->start(<<'E');
worker_processes 2;
http {
	log_format early '$pid $request_method $uri $status $server_protocol early=$ssl_early_data $ssl_session_reused';
	access_log %DIR%/access.log early;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	ssl_early_data on;
	http2 on;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name s;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
	}
	server {
		listen 127.0.0.1:%PORT3% ssl;
		server_name s;
		ssl_early_data off;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		$c->note("$q->{method} $q->{uri} " . ($q->{headers}{'early-data'} // 'none'));
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
});

sub notes { my ($re) = @_; return scalar grep /$re/, $w->origin_notes(2) }

# A session of its own, and what a client sends with it at first; that is in DIR/first.
sub record
{
	my ($method, $path, %opt) = @_;
	unlink "$dir/session";
	my %first = $opt{alpn} ? (alpn => $opt{alpn}, send => "$dir/frames-first") : (path => '/session');
	$pq->get('s', out => "$dir/session", %first);
	ok -s "$dir/session", "$method $path: a session";
	return $pq->get('s', in => "$dir/session", early => '', save => "$dir/first", method => $method, path => $path, %opt);
}

# Sends it again, so often, and to both workers; ends when the server has answered each time, as the log says.
sub replay
{
	my ($re, %opt) = @_;
	my $first = $w->read('first');
	my %pids;
	my $times = 0;
	while ($times < 6 || (keys %pids < 2 && $times < 64)) {
		my $before = grep /$re/, $w->log_lines('access.log');
		my $c = $w->connect(port => $opt{port} // 1);
		$c->send($first);
		$times++;
		wait_for(sub { (grep /$re/, $w->log_lines('access.log')) > $before }) or last;
		$c->close;
		%pids = map { /^(\d+) .*$re/ ? ($1 => 1) : () } $w->log_lines('access.log');
	}
	return ($times, scalar keys %pids);
}

# ---- a request that may be repeated ----

my $r = record('GET', '/get');
is $r->{early}, 'accepted', 'early data is taken';
is $r->{status}, 200, '... and served';
my $known = notes(qr{^GET /get });
is $known, 1, '... by the upstream';
my ($times, $workers) = replay(qr{GET /get 200 HTTP/1\.1 early=1});
is $workers, 2, 'a copy of it gets through, at both workers';
cmp_ok notes(qr{^GET /get 1$}), '>=', $times, '... and upstream each is told of as early';
is notes(qr{^GET /get }), 1 + $times, '... and there are no others';

# ---- others ----

for my $method (qw(POST DELETE PUT PATCH FOO)) {
	$r = record($method, "/$method");
	is $r->{early}, 'accepted', "$method: taken";
	# when the client was quick enough, the handshake was over, and nothing was early any more
	my $served = $r->{status} == 200;
	is $r->{status}, 425, '... and not served' unless $served;
	($times, $workers) = replay(qr{$method /$method 425 HTTP/1\.1 early=1});
	cmp_ok $times, '>=', 6, '... nor are copies';
	is $workers, 2, '... by any worker' if $method eq 'POST';
	is notes(qr{^$method }), $served ? 1 : 0, '... upstream nobody has heard of them';
	is notes(qr{^$method .* 1$}), 0, '... as early least of all';
}

# ---- behind one that may ----

unlink "$dir/session";
$pq->get('s', out => "$dir/session", path => '/session');
$w->write('two', "GET /before HTTP/1.1\r\nHost: s\r\n\r\nPOST /behind HTTP/1.1\r\nHost: s\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
$r = $pq->get('s', in => "$dir/session", early => '', save => "$dir/first", send => "$dir/two");
is $r->{early}, 'accepted', 'two requests at once';
like $r->{text}, qr{^HTTP/1\.1 200 .*HTTP/1\.1 (?:425|200) }s, '... each is judged for itself';
my $behind = notes(qr{behind});
($times, $workers) = replay(qr{POST /behind 425 HTTP/1\.1 early=1});
cmp_ok $times, '>=', 6, '... as copies';
is notes(qr{behind}), $behind, '... of which none is served';

# ---- HTTP/2 ----

{
	my $frame = sub { my ($type, $flags, $stream, $body) = @_; return substr(pack('N', length $body), 1) . pack('CCN', $type, $flags, $stream) . $body };
	my $begin = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" . $frame->(4, 0, 0, '');
	# :method, :scheme https, :path as a literal, :authority s
	my $head = sub { my ($method, $path) = @_; return "$method\x87\x04" . chr(length $path) . $path . "\x41\x01s" };
	my $bye = $frame->(7, 0, 0, pack 'NN', 0, 0);
	$w->write('frames-first', $begin . $frame->(1, 5, 1, $head->("\x82", '/session2')) . $bye);
	$w->write('frames', $begin . $frame->(1, 5, 1, $head->("\x83", '/post2')) . $frame->(1, 5, 3, $head->("\x82", '/get2')) . $bye);
	$r = record('POST', '/post2', alpn => 'h2', send => "$dir/frames");
	is $r->{early}, 'accepted', 'HTTP/2: taken';
	($times, $workers) = replay(qr{POST /post2 425 HTTP/2\.0 early=1});
	cmp_ok $times, '>=', 6, '... POST is not served';
	is notes(qr{/post2 1}), 0, '... as early data';
	cmp_ok notes(qr{/post2}), '<=', 1, '... and never again';
	ok wait_for(sub { notes(qr{^GET /get2 1$}) }), '... GET is, and the upstream knows';
}

# ---- where it is not taken ----

record('GET', '/elsewhere');
{
	my $c = $w->connect(port => 3);
	$c->send($w->read('first'));
	ok wait_for(sub { $c->read_n(5) }), 'a copy for an address where early data is off: an answer';
	$c->close;
	is $pq->get('s', port => 3, path => '/after')->{status}, 200, '... others are served';
	is notes(qr{^GET /elsewhere}), 1, '... the copy is not';
}

is $w->stop, 0, 'stop';
done_testing;
