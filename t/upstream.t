#!/usr/bin/env perl
# upstream.t - groups of servers: who is asked, who is left alone, who is asked next.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: upstream server proxy_next_upstream proxy_next_upstream_tries proxy_next_upstream_timeout
# effect: proxy_connect_timeout

my $w = Weir->new;

# Each says its number; /status/N answers so, but not at server 4; /hang waits.
for my $n (2 .. 5) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			$c->note("$q->{method} $q->{uri} $q->{body}");
			my ($body, $status) = ($n, 200);
			if ($q->{uri} =~ m{/hang} && $n != 4) {
				$c->note('hangs');
				$c->eof;
				return;
			}
			return if $q->{uri} =~ m{/close} && $n != 4;
			if ($q->{uri} =~ m{/garbage} && $n != 4) {
				$c->send("garbage in place of a head\r\n\r\n");
				next;
			}
			$status = $1 if $q->{uri} =~ m{/(\d\d\d)} && $n != 4;
			$c->send("HTTP/1.1 $status X\r\nContent-Length: 1\r\n\r\n$body");
		}
	});
}
$w->start(<<'E');
http {
	log_format up "$request_uri|$status|$upstream_addr|$upstream_status|$upstream_response_time|$upstream_connect_time|$upstream_header_time|$upstream_response_length|$upstream_bytes_received|$upstream_bytes_sent";
	access_log %DIR%/access.log up;
	upstream weights { server 127.0.0.1:%PORT2% weight=5; server 127.0.0.1:%PORT3%; server 127.0.0.1:%PORT4%; }
	upstream plain { server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; server 127.0.0.1:%PORT4%; }
	upstream downs { server 127.0.0.1:%PORT2% down; server 127.0.0.1:%PORT3%; }
	upstream backup { server 127.0.0.1:%PORT9%; server 127.0.0.1:%PORT3% backup; }
	upstream spare { server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3% backup; }
	upstream fails { server 127.0.0.1:%PORT2% max_fails=2 fail_timeout=600ms; server 127.0.0.1:%PORT4%; }
	upstream never { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT4%; }
	upstream conns { server 127.0.0.1:%PORT2% max_conns=1; server 127.0.0.1:%PORT4%; }
	upstream full { server 127.0.0.1:%PORT2% max_conns=1; }
	upstream retry { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT4% max_fails=0; }
	upstream three { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0; server 127.0.0.1:%PORT5% max_fails=0; }
	upstream away { server 127.0.0.1:%PORT2% down; server 127.0.0.1:%PORT3% drain; }
	upstream dead { server 127.0.0.1:%PORT8%; server 127.0.0.1:%PORT9%; }
	server {
		listen 127.0.0.1:%PORT1%;
		proxy_read_timeout 1s;
		location /weights/ { proxy_pass http://weights; }
		location /plain/ { proxy_pass http://plain; }
		location /downs/ { proxy_pass http://downs; }
		location /backup/ { proxy_pass http://backup; }
		location /spare/ { proxy_pass http://spare; }
		location /fails/ { proxy_pass http://fails; }
		location /never/ { proxy_pass http://never; }
		location /conns/ { proxy_pass http://conns; proxy_read_timeout 5s; }
		location /full/ { proxy_pass http://full; proxy_read_timeout 5s; }
		location /away/ { proxy_pass http://away; }
		location /dead/ { proxy_pass http://dead; }
		location /default/ { proxy_pass http://retry; }
		location /off/ { proxy_pass http://retry; proxy_next_upstream off; }
		location /error/ { proxy_pass http://retry; proxy_next_upstream error; }
		location /timeout/ { proxy_pass http://retry; proxy_next_upstream timeout; }
		location /invalid/ { proxy_pass http://retry; proxy_next_upstream invalid_header; }
		location /statuses/ {
			proxy_pass http://retry;
			proxy_next_upstream http_500 http_502 http_503 http_504 http_403 http_404 http_429;
		}
		location /nonidem/ { proxy_pass http://retry; proxy_next_upstream error timeout http_503 non_idempotent; }
		location /unbuffered/ {
			proxy_pass http://retry;
			proxy_next_upstream error timeout http_503 non_idempotent;
			proxy_request_buffering off;
		}
		location /all/ { proxy_pass http://three; proxy_next_upstream http_503; }
		location /tries/ { proxy_pass http://three; proxy_next_upstream http_503; proxy_next_upstream_tries 2; }
		location /untimed/ { proxy_pass http://three; }
		location /timed/ { proxy_pass http://three; proxy_next_upstream_timeout 200ms; }
		location /connect/ { proxy_pass http://127.0.0.1:%PORT7%; proxy_connect_timeout 300ms; }
	}
}
E

sub who { my ($uri, $n) = @_; join '', map $w->get($uri)->body, 1 .. $n }
sub sorted { join '', sort split //, $_[0] }
sub asked { my ($n, $re) = @_; scalar grep /$re/, $w->origin_notes($n) }

subtest 'spread' => sub {
	is sorted(who('/plain/', 9)), '222333444', 'evenly';
	my $o = who('/weights/', 7);
	is sorted($o), '2222234', 'by weight';
	unlike $o, qr/2222/, 'and smoothly';
	is who('/downs/', 4), '3333', 'down';
};

subtest 'failures' => sub {
	is who('/backup/', 3), '333', 'backups when all others are out';
	is who('/spare/', 3), '222', 'not before';
	is $w->get('/fails/close')->body, 4, 'somebody else answers' for 1 .. 4;
	my $n = asked(2, '/fails/close');
	is $n, 2, 'max_fails';
	$w->log_like(qr/upstream server 127.0.0.1:\d+ of fails is temporarily disabled/);
	is who('/fails/', 6), '444444', 'left alone';
	ok wait_for(sub { $w->get('/fails/')->body == 2 }), 'asked again after fail_timeout';
	is $w->get('/never/close')->body, 4 for 1 .. 6;
	is asked(2, '/never/close'), 3, 'max_fails=0: never left alone';
	is $w->get('/dead/')->status, 502;
	is $w->get('/dead/')->status, 502;
	$w->log_like(qr/no live upstreams while connecting to upstream: 127\.0\.0\.1:\d+ has failed, 127\.0\.0\.1:\d+ has failed/);
	is $w->get('/away/')->status, 502;
	$w->log_like(qr/no live upstreams while connecting to upstream: 127\.0\.0\.1:\d+ is down, 127\.0\.0\.1:\d+ drains/);
};

subtest 'max_conns' => sub {
	my @c = map { my $c = $w->connect; $c->send("GET /conns/hang HTTP/1.1\r\nHost: a\r\n\r\n"); $c } 1 .. 2;
	ok wait_for(sub { asked(2, 'hangs') + 0 >= 1 }), 'one is at work';
	is who('/conns/', 4), '4444', 'and gets no more';
	$_->close for @c;
	ok wait_for(sub { $w->get('/conns/')->body == 2 }), 'until it is free again';
	my $n = asked(2, 'hangs');
	my $c = $w->connect;
	$c->send("GET /full/hang HTTP/1.1\r\nHost: a\r\n\r\n");
	ok wait_for(sub { asked(2, 'hangs') > $n });
	is $w->get('/full/')->status, 502, 'all are full';
	$w->log_like(qr/no live upstreams while connecting to upstream: 127\.0\.0\.1:\d+ has max_conns connections/);
	$c->reset;
	ok wait_for(sub { $w->get('/full/')->status == 200 });
};

# Each request comes to server 2 or to 4, which is always fine.
sub outcome
{
	my ($method, $uri, $body) = @_;
	my %seen = map { ($w->request($method, $uri, [], $body)->status => 1) } 1 .. 2;
	return join ' ', sort keys %seen;
}

subtest 'proxy_next_upstream' => sub {
	for my $t (
		# at                error  timeout garbage 503
		[ default => '200', '200', '200 502', '200 503' ],
		[ off => '200 502', '200 504', '200 502', '200 503' ],
		[ error => '200', '200 504', '200 502', '200 503' ],
		[ timeout => '200 502', '200', '200 502', '200 503' ],
		[ invalid => '200 502', '200 504', '200', '200 503' ],
	) {
		my ($at, @want) = @$t;
		is outcome('GET', "/$at/$_"), shift @want, "$at, $_" for qw(close hang garbage 503);
	}
	is outcome('GET', "/statuses/$_"), '200', "http_$_" for 500, 502, 503, 504, 403, 404, 429;
	is outcome('GET', '/statuses/501'), '200 501', 'no others';
	is outcome('POST', '/default/close', 'x'), '200 502', 'POST is not repeated';
	is outcome('PUT', '/default/close', 'x'), '200', 'PUT is';
	is outcome('POST', '/nonidem/close', 'x'), '200', 'POST with non_idempotent';
	is outcome('POST', '/nonidem/503', 'x' x 100000), '200', 'with all of its body';
	is length((grep m{/nonidem/503}, $w->origin_notes(4))[-1]), 100000 + length('POST /nonidem/503 ');
	is outcome('GET', '/unbuffered/503'), '200', 'without buffering when there is no body';
	my $c = $w->connect;
	my %seen;
	for (1 .. 2) {
		my $c = $w->connect;
		$c->send("POST /unbuffered/503 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nConnection: close\r\n\r\n");
		$c->send('x' x 1000000);
		$seen{ $c->response->status } = 1;
	}
	is join(' ', sort keys %seen), '200 503', 'a body that has gone cannot be sent again';
	# nobody listens: nothing was sent, so POST goes on as well
	is $w->request('POST', '/backup/', [], 'x')->body, 3;
};

subtest 'how often, how long' => sub {
	is $w->get('/all/503')->status, 503;
	is asked($_, '/all/503'), 1, "server $_ was asked" for 2, 3, 5;
	is $w->get('/tries/503')->status, 503;
	is asked(2, '/tries/503') + asked(3, '/tries/503') + asked(5, '/tries/503'), 2, 'proxy_next_upstream_tries';
	is $w->get('/untimed/hang')->status, 504;
	is asked(2, '/untimed/') + asked(3, '/untimed/') + asked(5, '/untimed/'), 3;
	is $w->get('/timed/hang')->status, 504;
	is asked(2, '/timed/') + asked(3, '/timed/') + asked(5, '/timed/'), 1, 'proxy_next_upstream_timeout';
};

# A listener whose queue is full does not answer.
subtest 'proxy_connect_timeout' => sub {
	my $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(7), Listen => 1) or die;
	my @fill;
	for (1 .. 4) {
		my $s = IO::Socket::INET->new(Proto => 'tcp');
		$s->blocking(0);
		connect $s, Socket::pack_sockaddr_in($w->port(7), Socket::inet_aton('127.0.0.1'));
		push @fill, $s;
	}
	my $begin = time;
	my $r = $w->get('/connect/');
	is $r->status, 504;
	cmp_ok time - $begin, '>', 0.28;
	cmp_ok time - $begin, '<', slack(1);
	$w->log_like(qr/upstream timed out .* while connecting to upstream/);
};

subtest 'in the access log' => sub {
	# the line of the last request may come a moment after its response
	my @l;
	wait_for(sub { @l = $w->access; scalar grep m{^/connect/\|}, @l });
	my ($p2, $p3, $p4, $p5) = map '127.0.0.1:' . $w->port($_), 2 .. 5;
	my ($l) = grep m{^/plain/\|}, @l;
	like $l, qr{^/plain/\|200\|127\.0\.0\.1:\d+\|200\|0\.\d{3}\|0\.\d{3}\|0\.\d{3}\|1\|\d+\|\d+$}, 'one attempt';
	my ($got) = $l =~ /\|(\d+)\|\d+$/;
	is $got, length("HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\n2"), 'bytes received';
	($l) = grep m{^/all/503\|}, @l;
	my $three = qr{127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+};
	like $l, qr{^/all/503\|503\|$three\|503, 503, 503\|}, 'three attempts';
	($l) = grep m{^/nonidem/close\|200\|.*,}, @l;
	like $l, qr{\|200\|\Q$p2\E, \Q$p4\E\|502, 200\|}, 'an upstream that said nothing counts as 502';
	($l) = grep m{^/connect/\|}, @l;
	like $l, qr{\|504\|[^|]*\|504\|0\.[23]\d\d\|-\|-\|0\|}, 'no connection';
	($l) = grep m{^/dead/\|}, @l;
	like $l, qr{^/dead/\|502\|}, 'nobody there';
};

done_testing;
