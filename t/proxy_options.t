#!/usr/bin/perl
# What proxy_pass has beside the way there and back: ranges, buffers, trailers of requests, Host.

use strict;
use warnings;

use lib 't/lib';
use Weir;
use Test::More;

# effect: proxy_force_ranges proxy_busy_buffers_size proxy_socket_rcvbuf proxy_socket_sndbuf
# effect: proxy_temp_file_write_size proxy_headers_hash_max_size proxy_headers_hash_bucket_size
# effect: proxy_send_lowat proxy_pass_trailers

my $w = Weir->new;
$w->start(<<'E');
http {
	proxy_headers_hash_max_size 1024;
	proxy_headers_hash_bucket_size 128;
	proxy_send_lowat 12000;
	proxy_temp_file_write_size 16k;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /force { proxy_force_ranges on; proxy_pass http://127.0.0.1:%PORT2%; }
		location /direct/force { proxy_force_ranges on; proxy_buffering off; proxy_pass http://127.0.0.1:%PORT2%; }
		location /busy {
			proxy_buffers 8 4k;
			proxy_busy_buffers_size 4k;
			proxy_pass http://127.0.0.1:%PORT2%;
		}
		location /sockets { proxy_socket_rcvbuf 16k; proxy_socket_sndbuf 32k; proxy_pass http://127.0.0.1:%PORT2%; }
		location /trailers { proxy_pass_trailers on; proxy_pass http://127.0.0.1:%PORT2%; }
		location /trailers/stream { proxy_pass_trailers on; proxy_request_buffering off; proxy_pass http://127.0.0.1:%PORT2%; }
		location /host { proxy_set_header Host $http_host; proxy_pass http://127.0.0.1:%PORT2%; }
		location /host/none { proxy_set_header Host ""; proxy_pass http://127.0.0.1:%PORT2%; }
		location /host/ten { proxy_http_version 1.0; proxy_set_header Host $http_host; proxy_pass http://127.0.0.1:%PORT2%; }
	}
	server {
		listen 127.0.0.1:%PORT3%;
		server_name first.example second.example;
		location / { proxy_set_header Host $host; proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E
my $long = join '', map "line $_\n", 1 .. 20_000;
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	if ($q->{uri} =~ m{redirect}) {
		$c->note("asked for $q->{uri}");
		$c->send("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://127.0.0.1:1/elsewhere\r\nContent-Length: 6\r\n\r\nmoved\n");
	} elsif ($q->{uri} =~ m{trailers|echo|host}) {
		my $text = $q->{head} . $q->{body};
		(my $trailers = $q->{trailers} // '') =~ s/\r\n/|/g;
		$c->note("trailers $trailers");
		$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n$text");
	} elsif ($q->{uri} =~ m{wait}) {
		$c->read_n(1);
	} elsif ($q->{uri} =~ m{unknown}) {
		$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n0123456789");
	} elsif ($q->{uri} =~ m{short}) {
		$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\n0123");
	} else {
		my $body = $q->{method} eq 'HEAD' ? '' : $long;
		$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nAccept-Ranges: none\r\nETag: \"e\"\r\nContent-Length: " .
		    length($long) . "\r\n\r\n$body");
	}
	$c->close;
});

# P-14
my $r = $w->get('/redirect');
is $r->status, 302, 'a redirect is passed on';
is $r->header('Location'), 'http://127.0.0.1:1/elsewhere', 'with its target';
is $r->body, "moved\n", 'and its body';
is_deeply [$w->origin_notes(2)], ['asked for /redirect'], 'never followed';

# ranges
is $w->get('/x', Range => 'bytes=0-4')->status, 200, 'no ranges unless asked for';
for my $at ('/force', '/direct/force') {
	$r = $w->get($at, Range => 'bytes=5-9');
	is $r->status, 206, "$at: one range";
	is $r->body, substr($long, 5, 5), 'its bytes';
	is $r->header('Content-Range'), 'bytes 5-9/' . length $long, 'Content-Range';
	is $r->header('Content-Length'), 5, 'Content-Length';
	is $w->get($at, Range => 'bytes=-20')->body, substr($long, -20), 'the end';
	is $w->get($at, Range => 'bytes=100000-')->body, substr($long, 100_000), 'from far inside';
	$r = $w->get($at, Range => 'bytes=0-1,5-6');
	is $r->status, 200, 'several ranges are not cut';
	is $r->header('Accept-Ranges'), 'bytes', 'Accept-Ranges is ours';
	ok $r->body eq $long, 'all of it';
	is $w->get($at, Range => 'bytes=999999-')->status, 416, 'beyond the end';
	is $w->get($at, Range => 'bytes=0-0', 'If-Range' => '"x"')->status, 200, 'If-Range';
	is $w->get($at, Range => 'bytes=0-0', 'If-Range' => '"e"')->status, 206, 'If-Range that is true';
}
$r = $w->request('HEAD', '/force', [Range => 'bytes=0-3']);
is $r->status, 206, 'HEAD';
is $r->header('Content-Length'), 4, 'its length';
is $w->get('/force/unknown', Range => 'bytes=0-3')->body, '0123456789', 'an unknown length cannot be cut';
like $w->http("GET /force/short HTTP/1.1\r\nHost: x\r\nRange: bytes=2-6\r\n\r\n"), qr/\r\n\r\n23\z/,
    'one that ends early is cut short';

# buffers
ok $w->get('/busy')->body eq $long, 'small steps to the client';
is $w->request('POST', '/sockets/echo', [], 'x' x 300_000)->body =~ tr/x//, 300_000, 'small buffers of the kernel';
SKIP: {
	`ss -V 2>/dev/null` or skip 'ss is missing', 1;
	my $c = $w->connect;
	$c->send("GET /sockets/wait HTTP/1.1\r\nHost: x\r\n\r\n");
	# the kernel doubles what is asked for
	ok wait_for(sub { `ss -Htnm state established 'dport = :@{[ $w->port(2) ]}'` =~ /rb32768,.*tb65536,/ }),
	    'proxy_socket_rcvbuf and proxy_socket_sndbuf';
	$c->close;
}

# Host
like $w->http("GET /host HTTP/1.0\r\n\r\n"), qr/^Host: 127\.0\.0\.1:\d+\r?$/m, 'HTTP/1.1 needs a Host';
unlike $w->http("GET /host/none HTTP/1.0\r\n\r\n"), qr/^Host:/m, 'unless somebody takes it away';
unlike $w->http("GET /host/ten HTTP/1.0\r\n\r\n"), qr/^Host:/m, 'HTTP/1.0 does not';
like $w->http("GET /host HTTP/1.0\r\n\r\n", port => 3), qr/^Host: first\.example\r?$/m, '$host: the server name';

# trailers of a request
my $chunked = "Host: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n";
for my $uri ('/trailers', '/trailers/stream') {
	my $text = $w->http("POST $uri HTTP/1.1\r\n$chunked");
	like $text, qr/^Transfer-Encoding: chunked\r$/m, "$uri: chunks";
}
$w->http("POST /echo HTTP/1.1\r\n$chunked");
is_deeply [($w->origin_notes(2))[-3 .. -1]], ['trailers X-Sum: 1|', 'trailers X-Sum: 1|', 'trailers '],
    'trailers are passed on, when asked for';

$w->log_like(qr/\[warn\].*\Q$_\E: has no effect: /, "$_ warns") for qw(proxy_headers_hash_max_size
    proxy_headers_hash_bucket_size proxy_send_lowat proxy_temp_file_write_size);

for (['proxy_busy_buffers_size 2k;', qr/must be equal to or greater than the maximum/],
    ['proxy_busy_buffers_size 1m;', qr/must be less than the size of all "proxy_buffers" minus one buffer/]) {
	my $bad = Weir->new;
	$bad->expect_alert(qr/./);
	my ($code, undef, $err) = $bad->test_conf("http { $_->[0] }");
	isnt $code, 0, $_->[0];
	like $err, $_->[1], 'says why';
}

done_testing;
