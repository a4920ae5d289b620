#!/usr/bin/perl

# What the variables of a request say.

use strict;
use warnings;

use lib 't/lib';
use Cwd ();
use Sys::Hostname;
use Test::More;
use Weir;

my $w = Weir->new;
mkdir $w->dir . '/real';
symlink $w->dir . '/real', $w->dir . '/link' or die;
$w->write('real/index.html', 'index');
$w->start(<<'E');
http {
	underscores_in_headers on;
	log_format late '$status $request_completion $connection_requests $pipe '
	    '$sent_http_content_length $sent_http_connection $sent_http_transfer_encoding';
	log_format body '$request_length';
	large_client_header_buffers 4 32k;

	server {
		listen 127.0.0.1:%PORT1%;
		listen unix:%DIR%/sock;
		server_name first.example second.example;

		location /uri { return 200 "$uri|$document_uri|$request_uri|$args|$query_string|$is_args"; }
		location /arg { return 200 "$arg_a|$arg_b_c|$arg_|$arg_A"; }
		location /request { return 200 "$request|$request_method|$server_protocol|$scheme|$https"; }
		location /host { return 200 "$host|$http_host|$server_name|$is_request_port$request_port"; }
		location /address {
			return 200 "$remote_addr|$remote_port|$server_addr|$server_port|$connection";
		}
		location /binary { if ($binary_remote_addr ~ "^\x7f\x00\x00\x01$") { return 200 four; } return 200 no; }
		location /field { return 200 "$http_x|$http_x_y|$http_cookie|$http_none"; }
		location /cookie { return 200 "$cookie_a|$cookie_b|$cookie_long_name|$cookie_none|$cookie_q"; }
		location /body { return 200 "$content_length|$content_type"; access_log %DIR%/body.log body; }
		location /user { return 200 "[$remote_user]"; }
		location /id { return 200 "$request_id|$request_id"; }
		location /process { return 200 "$pid|$hostname|$weir_version|$nginx_version"; }
		location /time { return 200 "$msec|$time_local|$time_iso8601|$request_time|$connection_time"; }
		location /tcp { return 200 "$tcpinfo_rtt|$tcpinfo_rttvar|$tcpinfo_snd_cwnd|$tcpinfo_rcv_space"; }
		location /files/ {
			root %DIR%/link;
			return 200 "$request_filename|$document_root|$realpath_root";
		}
		location /alias/ {
			alias %DIR%/real/;
			return 200 "$request_filename|$document_root";
		}
		location /rate {
			limit_rate 10k;
			if ($arg_set) { set $limit_rate $arg_set; }
			return 200 "$limit_rate";
		}
		location /sent {
			add_header X-A 1;
			add_header X-A 2;
			add_header X-Sent "$sent_http_content_type|$sent_http_content_length|$sent_http_x_a";
			add_header Cache-Control a;
			add_header Cache-Control b;
			add_header X-CC $sent_http_cache_control;
			default_type text/x;
			return 200 text;
		}
		location /late {
			access_log %DIR%/late.log late;
			return 200 text;
			location /late/none { return 204; }
			location /late/moved { return 301 /x; }
			location /late/error { return 404; }
		}
	}
}
E

sub body { my ($uri, @h) = @_; return $w->get($uri, @h)->body }

is body('/uri/a%20b/../c?x=%20&y'), '/uri/c|/uri/c|/uri/a%20b/../c?x=%20&y|x=%20&y|x=%20&y|?', 'the URI';
is body('/uri'), '/uri|/uri|/uri|||', 'without arguments';
is body('/uri?'), '/uri|/uri|/uri?|||', 'with a lone ?';

is body('/arg?a=1&B_C=2&a=3&aa=4'), '1|2||1', 'arguments';
is body('/arg?xa=0&a&a=%20&=x'), '%20|||%20', 'as they were sent';
is body('/arg?&&a=='), '=|||=', 'odd ones';

is body('/request?x'), 'GET /request?x HTTP/1.1|GET|HTTP/1.1|http|', 'the request line';
like $w->http("POST /request HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
    qr{\r\n\r\nPOST /request HTTP/1\.0\|POST\|HTTP/1\.0\|http\|$}, 'of HTTP/1.0';

is body('/host', Host => 'Some.Example:8080'), 'some.example|Some.Example:8080|first.example|:8080', 'host';
is body('/host', Host => 'x'), 'x|x|first.example|', 'without port';
like $w->http("GET /host HTTP/1.0\r\n\r\n"), qr{\r\n\r\nfirst\.example\|\|first\.example\|$}, 'without Host';
like $w->http("GET http://A.example:81/host HTTP/1.1\r\nHost: a.example:81\r\nConnection: close\r\n\r\n"),
    qr{\r\n\r\na\.example\|A\.example:81\|first\.example\|:81$}, 'from the target';

my $port = $w->port(1);
like body('/address'), qr{^127\.0\.0\.1\|\d+\|127\.0\.0\.1\|$port\|[1-9]\d*$}, 'addresses';
like $w->request('GET', '/address', [], undef, unix => $w->dir . '/sock')->body,
    qr{^unix:\|\|unix:\Q$w->{dir}\E/sock\|\|\d+$}, 'of a unix socket';
is body('/binary'), 'four', 'an address as bytes';

is body('/field', X => 'a', x => 'b', 'X-Y' => 'c', Cookie => 'd=1', Cookie => 'e=2'),
    'a, b|c|d=1; e=2|', 'fields are joined';
is body('/field', 'X_Y' => 'c'), '|c||', 'an underscore';
is body('/field', X => '', X => 'b', X => ''), ', b, |||', 'empty ones';
is body('/cookie', Cookie => 'a=1, q=0; b = 2 ;long_name=x=y', Cookie => 'B=3; A=4'),
    '1, q=0|2|x=y||', 'cookies';
is body('/cookie', Cookie => 'ba=1;a;;=;b'), '||||', 'none';

is $w->request('POST', '/body', [ 'Content-Type' => 'a/b' ], 'x' x 10)->body, '10|a/b', 'a body';
like +($w->access('body.log', 1))[0], qr/^\d+$/, 'request_length';
my $request = "POST /body HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
like $w->http("${request}3\r\nabc\r\n0\r\n\r\n"), qr{\r\n\r\n\|$}, 'chunked: no length';
cmp_ok +($w->access('body.log', 2))[1], '>=', length($request), 'request_length of it';

is body('/user', Authorization => 'Basic dXNlcjpzZWNyZXQ='), '[user]', 'Basic';
is body('/user', Authorization => 'basic  dXNlcjpzZWNyZXQ'), '[user]', 'any case, no padding';
is body('/user', Authorization => $_), '[]', "none: $_"
    for 'Basic', 'Basic dXNlcg==', 'Basic OnNlY3JldA==', 'Basic d', 'Basic d*==', 'Bearer dXNlcjpz', 'Basic =';

like body('/id'), qr/^([0-9a-f]{32})\|\1$/, 'request_id stays';
isnt body('/id'), body('/id'), 'for one request';

my ($worker) = $w->worker_pids;
my $host = hostname;
like body('/process'), qr/^$worker\|\Q$host\E\|(\d+\.\d+\.\d+)\|\1$/, 'the process';
my ($msec, $local, $iso, $took, $age) = split /\|/, body('/time');
cmp_ok abs($msec - time), '<', 5, 'msec';
like $local, qr{^\d\d/[A-Z][a-z]{2}/\d{4}(:\d\d){3} [+-]\d{4}$}, 'time_local';
like $iso, qr{^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$}, 'time_iso8601';
like "$took $age", qr/^\d\.\d{3} \d\.\d{3}$/, 'request_time, connection_time';
like body('/tcp'), qr/^\d+\|\d+\|[1-9]\d*\|[1-9]\d*$/, 'tcpinfo';

my $real = Cwd::abs_path($w->dir);
is body('/files/x'), "$w->{dir}/link/files/x|$w->{dir}/link|$real/real", 'files';
is body('/alias/x/y'), "$w->{dir}/real/x/y|$w->{dir}/real/", 'alias';

is body('/rate'), 10240, 'limit_rate';
is body('/rate?set=1m'), 1048576, 'that was set';
is body('/rate?set=x'), 10240, 'but not to that';
$w->log_like(qr/invalid \$limit_rate "x"/, 'as the log says');

my $r = $w->get('/sent');
is $r->header('X-Sent'), 'text/x|4|1, 2', 'fields of the response';
is $r->header('X-CC'), 'a, b', 'joined';

my $c = $w->connect;
$c->send("GET /late HTTP/1.1\r\nHost: x\r\n\r\nGET /late/none HTTP/1.1\r\nHost: x\r\n\r\n");
$c->response for 1 .. 2;
$c->send("GET /late/moved HTTP/1.1\r\nHost: x\r\n\r\n");
$c->response;
$c->send("GET /late/error HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
my $length = length $c->response->body;
my $moved = length $w->get('/late/moved')->body;
is_deeply [ ($w->access('late.log', 5))[0 .. 3] ], [ '200 OK 1 . 4 keep-alive -',
    '204 OK 2 p - keep-alive -', "301 OK 3 . $moved keep-alive -", "404 OK 4 . $length close -" ],
    'what is known at the end';

done_testing;
