#!/usr/bin/perl

# What the variables of a proxied request say.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		if ($q->{uri} =~ /trailers/) {
			$c->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" .
			    "4\r\nbody\r\n0\r\nX-Sum: 42\r\nX-Other: 1\r\n\r\n");
			next;
		}
		$c->send("HTTP/1.1 201 Made\r\nContent-Length: 4\r\nX-Two: a\r\nX-Two: b\r\n" .
		    "Set-Cookie: Sid=abc; Path=/\r\nSet-Cookie: sidx=no\r\nSet-Cookie: spaced = s ;x\r\n" .
		    "Set-Cookie: empty=\r\n\r\nbody");
	}
});
$w->start(<<'E');
http {
	upstream up { server 127.0.0.1:%PORT2%; }
	upstream half { server 127.0.0.1:%PORT9% max_fails=0; server 127.0.0.1:%PORT2% backup; }
	log_format fields '$upstream_http_x_two|$upstream_cookie_sid|$upstream_cookie_spaced|$upstream_cookie_empty|$upstream_cookie_none';
	log_format who '$proxy_host|$proxy_port|$upstream_addr|$upstream_status';
	log_format trailers '$upstream_trailer_x_sum|$upstream_trailer_none|$sent_trailer_x_sum|$sent_trailer_none';
	log_format numbers '$upstream_response_length|$upstream_bytes_received|$upstream_bytes_sent|'
	    '$upstream_connect_time|$upstream_header_time|$upstream_response_time';
	log_format kept '$sent_http_keep_alive|$sent_http_connection';
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://up; access_log %DIR%/fields.log fields; }
		location /who/name { proxy_pass http://up; access_log %DIR%/who.log who; }
		location /who/address { proxy_pass http://127.0.0.1:%PORT2%; access_log %DIR%/who.log who; }
		location /who/half { proxy_pass http://half; access_log %DIR%/who.log who; }
		location /who/nobody { return 200; access_log %DIR%/who.log who; }
		location /trailers { proxy_pass http://up; proxy_pass_trailers on; access_log %DIR%/trailers.log trailers; }
		location /numbers { proxy_pass http://up; access_log %DIR%/numbers.log numbers; }
		location /half { proxy_pass http://half; access_log %DIR%/numbers.log numbers; }
		location /kept { keepalive_timeout 60s 9s; return 200; access_log %DIR%/kept.log kept; }
		location /plain { return 200; access_log %DIR%/kept.log kept; }
		location /forwarded { proxy_pass http://up; add_header X-F $proxy_add_x_forwarded_for; }
	}
}
E

my %lines;
sub logged { my $n = ++$lines{$_[0]}; return ($w->access("$_[0].log", $n))[$n - 1] // 'nothing' }

is $w->get('/')->status, 201, 'a response';
is logged('fields'), 'a, b|abc|s ||-', 'fields and cookies';

my ($two, $nine) = map { $w->port($_) } 2, 9;
$w->get("/who/$_") for qw(name address half nobody);
is logged('who'), "up|80|127.0.0.1:$two|201", 'proxy_pass with a name';
is logged('who'), "127.0.0.1:$two|$two|127.0.0.1:$two|201", 'with an address';
is logged('who'), "half|80|127.0.0.1:$nine, 127.0.0.1:$two|502, 201", 'two servers';
is logged('who'), '-|-|-|-', 'nobody was asked';

my $c = $w->connect;
$c->send("GET /trailers HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n");
is $c->response->body, 'body', 'trailers';
is logged('trailers'), '42|-|42|-', 'of both sides';

$w->get('/numbers');
like logged('numbers'), qr/^4\|1\d\d\|\d\d\|0\.\d{3}\|0\.\d{3}\|0\.\d{3}$/, 'lengths and times';
$w->get('/half');
like logged('numbers'), qr/^0, 4\|0, 1\d\d\|0, \d\d\|-, 0\.\d{3}\|-, 0\.\d{3}\|0\.\d{3}, 0\.\d{3}$/, 'of two servers';

$c = $w->connect;
$c->send("GET /$_ HTTP/1.1\r\nHost: x\r\n\r\n") && $c->response for 'kept', 'plain';
is logged('kept'), 'timeout=9|keep-alive', 'Keep-Alive';
is logged('kept'), '-|keep-alive', 'none';

is $w->get('/forwarded')->header('X-F'), '127.0.0.1', 'X-Forwarded-For';
is $w->get('/forwarded', 'X-Forwarded-For' => '1.2.3.4')->header('X-F'), '1.2.3.4, 127.0.0.1', 'added to';

done_testing;
