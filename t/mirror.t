#!/usr/bin/perl

# Requests are made once more, somewhere else.
#
# effect: mirror mirror_request_body

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);

for my $port (2, 3) {
	$w->origin($port, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			my $body = $q->{body} // '';
			$body = length($body) . ' bytes' if length $body > 100;
			$c->note("$q->{method} $q->{uri} [$body]");
			if ($q->{uri} =~ /hang/) { $c->read_all; return }
			my $text = $q->{uri} =~ /big/ ? 'x' x 3_000_000 : "from $port";
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text") or return;
		}
	});
}

$w->start(<<'E');
http {
	access_log %DIR%/access.log;
	client_body_temp_path %DIR%/body;
	server {
		listen 127.0.0.1:%PORT1%;
		client_body_buffer_size 8k;
		client_max_body_size 8m;
		mirror /copy;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /two { mirror /copy; mirror /copy2; proxy_pass http://127.0.0.1:%PORT2%; }
		location /none { mirror off; proxy_pass http://127.0.0.1:%PORT2%; }
		location /static { root %DIR%; }
		location /no-body { mirror_request_body off; proxy_request_buffering off; proxy_pass http://127.0.0.1:%PORT2%; }
		location /small { client_max_body_size 10; proxy_pass http://127.0.0.1:%PORT2%; }
		location /hang { mirror /copy-hang; proxy_pass http://127.0.0.1:%PORT2%/quick; }
		location /broken { mirror /nobody; proxy_pass http://127.0.0.1:%PORT2%; }
		location /big { mirror /copy-big; proxy_pass http://127.0.0.1:%PORT2%/little; }
		location = /copy { internal; proxy_pass http://127.0.0.1:%PORT3%$request_uri; }
		location = /copy2 { internal; proxy_pass http://127.0.0.1:%PORT3%/second; }
		location = /copy-hang { internal; proxy_pass http://127.0.0.1:%PORT3%/hang; }
		location = /copy-big { internal; proxy_pass http://127.0.0.1:%PORT3%/big; }
		location = /nobody { internal; proxy_pass http://127.0.0.1:%PORT4%; }
	}
}
E
$w->write('static', 'a file');

sub notes { return join "\n", $w->origin_notes($_[0]) }
sub mirrored { my ($re, $why) = @_; ok wait_for(sub { notes(3) =~ $re }), $why }

is $w->get('/a?b=c')->body, 'from 2', 'the answer is the origin\'s';
mirrored(qr{^GET /a\?b=c \[\]$}m, 'the copy went to the other');
is $w->request('POST', '/post', [], 'the body')->body, 'from 2', 'a body';
mirrored(qr{^POST /post \[the body\]$}m, 'is mirrored');
like notes(2), qr{^POST /post \[the body\]$}m, 'and arrives';
is $w->request('PUT', '/put', [], 'y' x 200_000)->body, 'from 2', 'a body in a file';
mirrored(qr{^PUT /put \[200000 bytes\]$}m, 'is mirrored');
like notes(2), qr{^PUT /put \[200000 bytes\]$}m, 'and arrives';
like $w->http("POST /chunks HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" .
    "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), qr/from 2$/, 'a body in chunks';
mirrored(qr{^POST /chunks \[abcde\]$}m, 'is mirrored');
$w->get('/two');
mirrored(qr{^GET /two \[\]$}m, 'two mirrors: one');
mirrored(qr{^GET /second \[\]$}m, 'two mirrors: the other');
is $w->get('/static')->body, 'a file', 'a file is served';
mirrored(qr{^GET /static \[\]$}m, 'and its request mirrored');
$w->request('POST', '/no-body', [], 'secret');
mirrored(qr{^POST /no-body \[\]$}m, 'mirror_request_body off: without the body');
like notes(2), qr{^POST /no-body \[secret\]$}m, 'which arrives';
is $w->get('/none')->status, 200, 'off';
is $w->get('/broken')->body, 'from 2', 'a mirror that is not there';
is $w->get('/big')->body, 'from 2', 'a mirror that sends much';
like $w->http("POST /small HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" .
    "10\r\n0123456789abcdef\r\n0\r\n\r\n"), qr/^HTTP\S+ 413/, 'a body that is too large goes nowhere';

# the client does not wait for copies
my $c = $w->connect;
for (1 .. 3) {
	$c->send("GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is $c->response('GET')->body, 'from 2', 'a mirror that does not answer holds nobody up';
}
$c->close;
ok wait_for(sub { 3 == grep { m{^GET /hang } } $w->origin_notes(3) }), 'all copies are on their way';
unlike notes(3), qr{/none|/small}, 'what is off was not mirrored';
is scalar(grep { m{"GET /two} } $w->access), 1, 'copies are not logged';

my ($rc, undef, $err) = $wrong->test_conf('http { server { listen 127.0.0.1:%PORT9%; mirror off; mirror /x; } }');
is $rc, 1, 'off and a URI';
like $err, qr/cannot stand beside "off"/, 'contradict';
($rc, undef, $err) = $wrong->test_conf('http { server { listen 127.0.0.1:%PORT9%; mirror x; } }');
like $err, qr/"x" is no URI/, 'a URI begins with a slash';

done_testing;
