#!/usr/bin/perl
# The life of a connection of HTTP/1: pieces, bodies that are not read, early answers, tunnels.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $w = Weir->new;
$w->write('html/file', 'f' x 1000);
$w->write('html/big', 'b' x 20_000_000);

$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		last unless $q->{complete};
		my $text = "$q->{method} $q->{uri} [$q->{body}]";
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n" . ($q->{method} eq 'HEAD' ? '' : $text));
	}
});

# Answers before it has read the body, in the way that the path says.
$w->origin(3, sub {
	my ($c) = @_;
	my $head = $c->read_head // return;
	my ($how) = $head =~ m{^\S+ /\w/(\w+)};
	$c->send("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
	$how eq 'close' ? $c->close : $how eq 'reset' ? $c->half_close : $how eq 'read' ? $c->read_all : $c->eof;
});

$w->start(<<'E');
worker_shutdown_timeout 1s;
http {
	log_format t '$status $request $request_length';
	access_log %DIR%/access.log t;
	root %DIR%/html;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "own $uri\n"; }
		location /none { return 204; }
		location /file { }
		location /big { }
		location /p/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location /s/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_request_buffering off; }
		location /e/ { proxy_pass http://127.0.0.1:%PORT3%; proxy_request_buffering off; client_max_body_size 0; }
		location /b/ { proxy_pass http://127.0.0.1:%PORT3%; client_max_body_size 0; }
		location /small/ { proxy_pass http://127.0.0.1:%PORT2%; client_max_body_size 1k; }
		location /small/s/ { proxy_pass http://127.0.0.1:%PORT2%; client_max_body_size 1k; proxy_request_buffering off; }
		location /closed { return 444; }
		location /lazy/ { client_max_body_size 0; lingering_time 300ms; lingering_timeout 5s; return 200 "lazy\n"; }
		location /off/ { client_max_body_size 0; lingering_close off; return 200 "off\n"; }
	}
}
E

sub raw { my ($text, %o) = @_; my $c = $w->connect(%o); $c->send($text); return $c }

# ---- no body where there is none

for my $place ('/', '/p/', '/file', '/none') {
	for my $method (qw(HEAD GET)) {
		my $c = raw("$method $place HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
		my $r = $c->response($method);
		is $r->status, $place eq '/none' ? 204 : 200, "$method $place";
		like $r->header('Content-Length') // 'none', $place eq '/none' ? qr/^none$/ : qr/^\d+$/, 'its length';
		is $c->response->body, "own /next\n", 'the next answer follows at once';
	}
}
{
	my $date = $w->get('/file')->header('Last-Modified');
	my $c = raw("GET /file HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: $date\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
	is $c->response->status, 304, '304';
	is $c->response->body, "own /next\n", 'without a body';
}
{
	my $c = raw("GET /closed HTTP/1.1\r\nHost: a\r\n\r\n");
	is $c->read_all, '', '444 closes without a word';
}

# ---- pieces

subtest 'a request in pieces' => sub {
	my @requests = (
		["GET /p/x HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n\r\n", 'GET /p/x []'],
		["POST /p/l HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 'POST /p/l [hello]'],
		["POST /s/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n02\r\nlo\r\n0\r\nT: u\r\n\r\n",
		    'POST /s/c [hello]'],
		["\r\n\r\nPOST /p/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 'POST /p/c [hello]'],
	);
	my $all = join '', map $_->[0], @requests;
	my @want = map $_->[1], @requests;

	my $c = $w->connect;
	$c->send($_) for split //, $all;
	is_deeply [map { $c->response->body } @want], \@want, 'byte by byte';
	my @bad;
	for my $at (1 .. length($all) - 1) {
		my $d = raw(substr $all, 0, $at);
		# the first piece is read alone when another connection was served after it
		$w->get('/') unless $at % 8;
		$d->send(substr $all, $at);
		my @got = map { my $r = $d->response; $r ? $r->body : 'none' } @want;
		push @bad, $at if "@got" ne "@want";
	}
	is "@bad", '', 'cut anywhere';
};

# ---- bodies that nobody reads

for my $uri ('/small/x', '/small/s/x') {
	for my $kind ('length', 'chunks') {
		subtest "413 at $uri while 50 MB come with $kind" => sub {
			my $c = raw("POST $uri HTTP/1.1\r\nHost: a\r\n" .
			    ($kind eq 'length' ? 'Content-Length: 52428800' : 'Transfer-Encoding: chunked') . "\r\n\r\n");
			my $block = 'x' x 65536;
			$block = "10000\r\n$block\r\n" if $kind eq 'chunks';
			my $sent = 0;
			# a client that only writes, until nobody takes it any more
			while ($sent < 800) {
				$c->send($block) or last;
				$sent++;
			}
			my $r = $c->response;
			ok $r && $r->complete, 'an answer all the same' or return;
			is $r->status, 413, 'too large';
			is $r->header('Connection'), 'close', 'the end';
		};
	}
}
for my $uri ('/e/close', '/e/reset', '/e/read', '/e/wait', '/b/close') {
	subtest "an early answer of the upstream, $uri" => sub {
		my $c = raw("POST $uri HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
		my $block = 'x' x 50_000;
		for (1 .. 100) {
			$c->send($block) or last;
		}
		my $r = $c->response;
		ok $r, 'an answer' or return;
		is $r->status, 403, 'is passed on';
		is $r->body, 'no', 'wholly';
		$c->send("GET /smuggled HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		my $rest = $c->read_all;
		ok $rest eq '' || $rest =~ m{^HTTP/1.1 200 .*own /smuggled\n$}s, 'and the next request, if any, is told from the body';
	};
}
subtest 'a body that has come is skipped, one that has not is not waited for' => sub {
	my $c = raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\nHost: a\r\n\r\n");
	is $c->response->body, "own /\n", 'an answer';
	is $c->response->body, "own /next\n", 'and the next';
	$c = raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nhello");
	is $c->response->body, "own /\n", 'an answer before the body';
	$c->send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
	is $c->read_all, '', 'then no other';
};
subtest 'lingering ends' => sub {
	my $c = raw("POST /lazy/ HTTP/1.1\r\nHost: a\r\nContent-Length: 500000000\r\n\r\nhello", timeout => 4);
	is $c->response->body, "lazy\n", 'an answer';
	my $begin = time;
	1 while time - $begin < 4 && $c->send('x' x 1000) && !select undef, undef, undef, 0.005;
	cmp_ok time - $begin, '<', slack(3), 'a client that goes on for ever is cut off';
	$c = raw("POST /off/ HTTP/1.1\r\nHost: a\r\nContent-Length: 500000000\r\n\r\nhello", timeout => 4);
	$c->read_all;
	ok $c->eof, 'lingering_close off: at once';
};

# ---- clients that leave

subtest 'resets at any time' => sub {
	my $all = "POST /s/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\nGET /big HTTP/1.1\r\nHost: a\r\n\r\n";
	for (my $at = 0; $at <= length $all; $at += 5) {
		my $c = raw(substr $all, 0, $at);
		$c->reset;
	}
	for (1 .. 20) {
		my $c = raw("GET /big HTTP/1.1\r\nHost: a\r\n\r\n" x 3);
		$c->read_n(1000 * $_);
		$c->reset;
	}
	is $w->get('/')->body, "own /\n", 'do no harm';
	is scalar($w->worker_pids), 1, 'to the worker';
	$w->log_unlike(qr/exited on signal/, 'which did not crash');
};

# ---- a graceful end

$w->origin(4, sub {
	my ($c) = @_;
	$c->read_head;
	$c->send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
	while (length(my $got = $c->read_n(1))) {
		$c->send($got);
	}
	$c->note($c->was_reset ? 'reset' : 'end');
});

subtest 'S-267 QUIT, a long transfer and a tunnel' => sub {
	my $v = Weir->new;
	$v->write('html/big', 'b' x 20_000_000);
	my $port = $w->port(4);
	$v->start(<<"E");
worker_shutdown_timeout 1s;
http {
	root %DIR%/html;
	server {
		listen 127.0.0.1:%PORT1%;
		location /tunnel {
			proxy_pass http://127.0.0.1:$port;
			proxy_http_version 1.1;
			proxy_set_header Upgrade \$http_upgrade;
			proxy_set_header Connection upgrade;
		}
		location /slow { alias %DIR%/html/big; }
	}
}
E
	my $tunnel = $v->connect;
	$tunnel->send("GET /tunnel HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n");
	is $tunnel->response->status, 101, 'a tunnel';
	my $done = $v->connect;
	$done->send("GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	my $head = $done->read_head;
	my $slow = $v->connect;
	$slow->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
	$slow->read_head;
	my $begin = time;
	$v->kill('QUIT');
	ok $v->wait_log(qr/gracefully shutting down|shutting down|exiting/), 'it is told to end';
	$tunnel->send('x');
	is $tunnel->read_n(1), 'x', 'the tunnel still carries bytes';
	is length $done->read_n(20_000_000), 20_000_000, 'the transfer is completed';
	my $rest = $slow;		# is not read, until the time is over
	ok $tunnel->eof, 'the tunnel ends';
	cmp_ok time - $begin, '>', 0.8, 'not before worker_shutdown_timeout';
	cmp_ok time - $begin, '<', slack(5), 'and not long after';
	my $got = length $rest->read_all;
	ok $rest->was_reset || $got < 20_000_000, 'who was too slow sees that something is missing';
	is $v->stop, 0, 'weir ends';
};

is $w->stop, 0, 'stop';
done_testing;
