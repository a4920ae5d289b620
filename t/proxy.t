#!/usr/bin/env perl
# proxy.t - proxy_pass: what the upstream is asked, and by whom.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: proxy_pass proxy_http_version proxy_method proxy_set_body proxy_pass_request_headers
# effect: proxy_pass_request_body proxy_bind proxy_socket_keepalive proxy_set_header upstream server

my $w = Weir->new;

# Answers with what it was asked.
sub echo
{
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $peer = $c->socket->isa('IO::Socket::INET') ? $c->socket->peerhost . ':' . $c->socket->peerport : 'unix';
		my $text = "$q->{head}\r\nPeer: $peer\r\n\r\n$q->{body}";
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
	}
}

$w->origin(2, \&echo);
$w->origin(3, \&echo, unix => $w->dir . '/origin.sock');
$w->origin(4, \&echo);
$w->write('www/there', 'a file');
$w->start(<<'E');
http {
	upstream named { server 127.0.0.1:%PORT2%; }
	map $arg_to $chosen { default 127.0.0.1:%PORT2%; four 127.0.0.1:%PORT4%; name named; bad nowhere.invalid; }
	server {
		listen 127.0.0.1:%PORT1%;
		server_name localhost;
		root %DIR%/www;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /named/ { proxy_pass http://named; }
		location /uri/ { proxy_pass http://named/other/; }
		location /bare { proxy_pass http://named/; }
		location /args/ { proxy_pass http://named/x?y=1&rest=; }
		location = /exact { proxy_pass http://named/elsewhere; }
		location ~ ^/re/(.*)$ { proxy_pass http://named; }
		location ~ ^/revar/(.*)$ { proxy_pass http://named/got/$1$is_args$args; }
		location /unix/ { proxy_pass http://unix:%DIR%/origin.sock; }
		location /unixuri/ { proxy_pass http://unix:%DIR%/origin.sock:/sock/; }
		location /var/ { proxy_pass http://$chosen; }
		location /rewritten/ { rewrite ^/rewritten/(.*)$ /new/$1?more=1 break; proxy_pass http://named; }
		location /setargs/ { set $args $arg_c; proxy_pass http://named; }
		location /try/ { try_files /nothing @fallback; }
		location @fallback { proxy_pass http://named; }
		location /limited/ { return 200 local; limit_except GET { proxy_pass http://named; } }
		location /if/ { if ($arg_p) { proxy_pass http://named; } }
		location /ifs/ { if ($arg_p) { proxy_pass http://named; } if ($arg_n) { root %DIR%/www; } if ($arg_m) { root %DIR%/www; } if ($arg_q) { proxy_pass http://127.0.0.1:%PORT4%; } }
		location /ifs/in/ { proxy_pass http://named; if ($arg_p) { proxy_pass http://127.0.0.1:%PORT4%; } if ($arg_n) { root %DIR%/www; } }
		location /old/ { proxy_pass http://named; proxy_http_version 1.0; }
		location /new/ { proxy_pass http://named; proxy_http_version 1.1; }
		location /method/ { proxy_pass http://named; proxy_method PURGE; }
		location /methodvar/ { proxy_pass http://named; proxy_method $arg_m; }
		location /body/ { proxy_pass http://named; proxy_set_body "<$request_method $arg_x>"; }
		location /noheaders/ { proxy_pass http://named; proxy_pass_request_headers off; proxy_set_header X-Set yes; }
		location /nobody/ { proxy_pass http://named; proxy_pass_request_body off; }
		location /bind/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_bind 127.0.0.7; }
		location /bindvar/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_bind $arg_from; }
		location /bindport/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_bind 127.0.0.8:%PORT9%; }
		location /bindoff/ { proxy_bind 127.0.0.7; location /bindoff/x { proxy_bind off; proxy_pass http://127.0.0.1:%PORT4%; } }
		location /alive/ { proxy_pass http://127.0.0.1:%PORT4%; proxy_socket_keepalive on; }
		location /nope/ { proxy_pass http://127.0.0.1:%PORT5%; }
		location /headers/ {
			proxy_pass http://named;
			proxy_set_header Host $host:77;
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header Accept-Encoding "";
			proxy_set_header X-Empty $arg_nothing;
			proxy_set_header X-Uri $request_uri;
			location /headers/own/ { proxy_pass http://named; proxy_set_header X-Own 1; }
			location /headers/same/ { proxy_pass http://named; }
		}
		location /closing/ { proxy_pass http://named; proxy_set_header Connection close; }
	}
}
E

# (method, URI, version, rest) as the upstream saw it
sub asked
{
	my ($uri, @h) = @_;
	my $r = $w->get($uri, @h);
	return $r->body =~ /^(\S+ \S+)/ ? $1 : $r->status;
}
sub field { my ($r, $name) = @_; return $r->body =~ /^\Q$name\E: (.*?)\r$/mi ? $1 : undef }

subtest 'the URI' => sub {
	is asked('/a/b?c=d'), 'GET /a/b?c=d', 'as it came';
	is asked('/a/./b//c/%7E%2f?x=%41'), 'GET /a/./b//c/%7E%2f?x=%41', 'not even normalised';
	is asked('/uri/x?y=z'), 'GET /other/x?y=z', 'the URI part replaces the prefix';
	is asked('/uri/a/../b%20c'), 'GET /other/b%20c', 'of the normalised URI, escaped again';
	is asked('/uri/'), 'GET /other/';
	is asked('/bare'), 'GET /', 'prefix without a slash';
	is asked('/barefoot'), 'GET /foot';
	is asked('/bare/foot'), 'GET //foot';
	is asked('/args/more'), 'GET /x?y=1&rest=more';
	is asked('/exact?q'), 'GET /elsewhere?q';
	is asked('/re/x%20y'), 'GET /re/x%20y';
	is asked('/revar/a%20b?c'), 'GET /got/a%20b?c', 'what variables give is escaped where it must be';
	is asked('/setargs/x?c=1&d=2'), 'GET /setargs/x?1', 'arguments that were set';
	is asked('/setargs/x?d=2'), 'GET /setargs/x', 'that were taken away';
	is asked('/rewritten/x?y=1'), 'GET /new/x?more=1&y=1', 'a rewritten URI';
	is asked('/try/a?b'), 'GET /try/a?b', 'a named location';
	is asked('/uri/%0d%0aX-A:%20b'), 'GET /other/%0D%0AX-A:%20b', 'line ends stay escaped';
	is asked('/revar/%0d%0aX-A:%20b') =~ /\bX-A: b/ ? 1 : 0, 0, 'also by way of variables';
};

subtest 'where to' => sub {
	is field($w->get('/x'), 'Host'), '127.0.0.1:' . $w->port(2), 'Host is the address';
	is field($w->get('/named/x'), 'Host'), 'named', 'or the name of the group';
	is field($w->get('/unix/x'), 'Host'), 'localhost', 'or localhost';
	is field($w->get('/unix/x'), 'Peer'), 'unix', 'over a unix socket';
	is asked('/unix/x'), 'GET /unix/x';
	is asked('/unixuri/x'), 'GET /sock/x';
	is field($w->get('/var/x'), 'Host'), '127.0.0.1:' . $w->port(2), 'an address from variables';
	is field($w->get('/var/x?to=four'), 'Host'), '127.0.0.1:' . $w->port(4);
	is field($w->get('/var/x?to=name'), 'Host'), 'named', 'a group by name';
	is asked('/var/x?to=four'), 'GET /var/x?to=four';
	is $w->get('/var/x?to=bad')->status, 502;
	$w->log_like(qr/no resolver defined to resolve nowhere.invalid/);
	is $w->get('/limited/x')->body, 'local';
	is substr($w->request('PUT', '/limited/x', [], 'x')->body, 0, 14), 'PUT /limited/x', 'in limit_except';
	is asked('/if/x?p=1'), 'GET /if/x?p=1', 'in if';
	is $w->get('/if/x')->status, 404;
	is field($w->get('/ifs/x?p=1'), 'Host'), 'named', 'one of several';
	is $w->get("/ifs/x?$_")->status, 404, "$_: none of them passes" for qw(n=1 n=1&m=1);
	is $w->get("/ifs/x?$_")->status, 500, "$_: the last does not say to whom" for qw(p=1&n=1 p=1&n=1&m=1);
	$w->log_like(qr/the last "if" that holds does not say to whom the request is passed/);
	is field($w->get('/ifs/x?p=1&n=1&q=1'), 'Host'), '127.0.0.1:' . $w->port(4), 'but it does';
	is field($w->get('/ifs/in/x?p=1'), 'Host'), '127.0.0.1:' . $w->port(4), 'an if in a location that passes';
	is field($w->get('/ifs/in/x?p=1&n=1'), 'Host'), 'named', 'and two: the location says to whom';
	is $w->get('/nope/')->status, 502, 'nobody listens';
	$w->log_like(qr/connect\(\) failed \(111: Connection refused\) while connecting to upstream, client: 127.0.0.1, server: localhost, request: "GET \/nope\/ HTTP\/1.1", upstream: "http:\/\/127.0.0.1:\d+\/nope\/", host: "localhost"/);
};

subtest 'version' => sub {
	like $w->get('/old/x')->body, qr{^GET /old/x HTTP/1.0\r\n}, '1.0';
	like $w->get('/new/x')->body, qr{^GET /new/x HTTP/1.1\r\n}, '1.1';
	like $w->get('/x')->body, qr{^GET /x HTTP/1.1\r\n}, '1.1 unless told';
	my $c = $w->connect;
	$c->send("POST /old/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" .
	    "3\r\nabc\r\n0\r\n\r\n");
	my $r = $c->response;
	is field($r, 'Content-Length'), 3, '1.0 gets no chunks';
	is field($r, 'Transfer-Encoding'), undef;
	like $r->body, qr/\r\n\r\nabc$/;
};

subtest 'method and body' => sub {
	is asked('/method/x'), 'PURGE /method/x';
	is asked('/methodvar/x?m=REPORT'), 'REPORT /methodvar/x?m=REPORT';
	my $r = $w->request('POST', '/body/?x=7', [ 'X-A' => 'b' ], 'of the client');
	like $r->body, qr/\r\n\r\n<POST 7>$/, 'proxy_set_body';
	is field($r, 'Content-Length'), 8;
	like $w->get('/body/')->body, qr/\r\n\r\n<GET >$/, 'also without one of the client';
	$r = $w->request('POST', '/nobody/', [], 'of the client');
	like $r->body, qr/\r\n\r\n$/, 'proxy_pass_request_body off';
	is field($r, 'Content-Length'), undef;
	like $w->request('POST', '/x', [], 'of the client')->body, qr/of the client$/, 'passed on otherwise';
	$r = $w->request('POST', '/x', [], '');
	is field($r, 'Content-Length'), 0, 'an empty body has a length';
	is field($w->get('/x'), 'Content-Length'), undef, 'none has none';
};

subtest 'fields' => sub {
	my @h = ('X-Client' => 'c', 'Accept-Encoding' => 'gzip', 'X-Forwarded-For' => '1.2.3.4', 'Cookie' => 'a=b');
	my $r = $w->get('/noheaders/', @h);
	is field($r, 'X-Client'), undef, 'proxy_pass_request_headers off';
	is field($r, 'X-Set'), 'yes';
	$r = $w->get('/x', @h);
	is field($r, 'X-Client'), 'c', 'passed on otherwise';
	is field($r, 'Accept-Encoding'), 'gzip';
	$r = $w->get('/headers/?q', @h);
	is field($r, 'Host'), 'localhost:77', 'proxy_set_header';
	is field($r, 'X-Real-IP'), '127.0.0.1';
	is field($r, 'X-Forwarded-For'), '1.2.3.4, 127.0.0.1';
	is field($r, 'Accept-Encoding'), undef, 'an empty value removes a field';
	is field($r, 'X-Empty'), undef;
	is field($r, 'X-Uri'), '/headers/?q';
	is field($r, 'Cookie'), 'a=b';
	is scalar(() = $r->body =~ /^x-forwarded-for:/mig), 1, 'in place of the client\'s';
	$r = $w->get('/headers/own/', @h);
	is field($r, 'X-Own'), 1, 'an own one';
	is field($r, 'X-Real-IP'), undef, 'ends inheritance';
	is field($r, 'Host'), 'named';
	$r = $w->get('/headers/same/', @h);
	is field($r, 'X-Real-IP'), '127.0.0.1', 'inherited';
	$r = $w->get('/x', Connection => 'close, X-Hop', 'X-Hop' => 1, 'Keep-Alive' => 5, TE => 'gzip',
	    'Proxy-Authorization' => 'x', 'Upgrade' => 'foo', 'Proxy-Connection' => 'close');
	is field($r, $_), undef, "$_ ends here" for qw(X-Hop Keep-Alive TE Proxy-Authorization Upgrade
	    Proxy-Connection Connection);
	is field($w->get('/closing/'), 'Connection'), 'close', 'Connection: close on demand';
};

subtest 'the local address' => sub {
	like field($w->get('/bind/'), 'Peer'), qr/^127\.0\.0\.7:/;
	like field($w->get('/bindvar/?from=127.0.0.9'), 'Peer'), qr/^127\.0\.0\.9:/, 'from a variable';
	like field($w->get('/bindvar/'), 'Peer'), qr/^127\.0\.0\.1:/, 'empty: any';
	is field($w->get('/bindport/'), 'Peer'), '127.0.0.8:' . $w->port(9), 'with a port';
	like field($w->get('/bindoff/x'), 'Peer'), qr/^127\.0\.0\.1:/, 'off';
};

# The kernel tells of timers: 02 is keepalive.
sub keepalive_timers
{
	my ($port) = @_;
	my $hex = sprintf '%04X', $port;
	open my $f, '<', '/proc/net/tcp' or return;
	return scalar grep { my @f = split; $f[2] =~ /:$hex$/ && $f[3] eq '01' && $f[5] =~ /^02:/ } <$f>;
}
SKIP: {
	skip 'no /proc/net/tcp', 2 unless -r '/proc/net/tcp';
	$w->get('/bindoff/x');
	is keepalive_timers($w->port(4)), 0, 'no TCP keepalive unless asked for';
	$w->reload;		# ends kept connections
	$w->get('/alive/');
	ok wait_for(sub { keepalive_timers($w->port(4)) >= 1 }), 'proxy_socket_keepalive';
}

subtest 'expressions that would break a head' => sub {
	my $other = Weir->new;
	$other->expect_alert(qr/is no field name/);
	my ($code, $out, $err) = $other->test_conf('http { server { location / { proxy_pass http://127.0.0.1:1; proxy_set_header "X Y" z; } } }');
	isnt $code, 0;
	like $err, qr/is no field name/;
	is asked('/methodvar/x?m=GE(T'), 'GET /methodvar/x?m=GE(T', 'a method is one word';
};

done_testing;
