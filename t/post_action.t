#!/usr/bin/perl

# Somebody else hears of requests that have ended.
#
# effect: post_action

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
$w->write('www/file', 'x' x 1000);
$w->write('www/post.html', 'nobody sees this');
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $done = $q->{headers}{'x-done'} // '-';
		my $body = $q->{body} // '';
		$c->note("$q->{method} $q->{uri} [$done] [$body]");
		if ($q->{uri} =~ /hang/) { $c->read_all; return }
		$c->send("HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nheard") or return;
	}
});
$w->origin(3, sub {
	my ($c) = @_;
	$c->read_until(qr/\r\n\r\nhalf/);
	$c->note('half');
	$c->read_until(qr/rest/);
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole");
});
$w->start(<<'E');
http {
	log_format post '$request|$uri|$status|$body_bytes_sent|$request_completion|$request_length';
	access_log %DIR%/access.log post;
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		location /file { post_action /post.html; }
		location = /post.html { internal; }
		location /named { post_action @heard; return 200 "some text"; }
		location @heard {
			proxy_set_header X-Done "$uri $body_bytes_sent $request_completion $http_x";
			proxy_pass http://127.0.0.1:%PORT2%;
		}
		location = /heard { internal; proxy_pass http://127.0.0.1:%PORT2%; }
		location /missing { post_action /post.html; }
		location /off/ {
			post_action /post.html;
			location /off/file { post_action off; return 204; }
		}
		location /nowhere { post_action @nowhere; return 200 fine; }
		location /kept { post_action /heard; proxy_pass http://127.0.0.1:%PORT2%; }
		location /stream { post_action /heard; proxy_request_buffering off; proxy_pass http://127.0.0.1:%PORT3%; }
		location /if { if ($arg_x) { post_action /post.html; return 201; } return 200; }
		location /ring { post_action /ring; return 200 ring; }
		location /dead { post_action /gone; return 200 fine; }
		location /gone { proxy_pass http://127.0.0.1:%PORT9%; }
		location /slow { post_action /hang; return 200 fine; }
		location /hang { proxy_pass http://127.0.0.1:%PORT2%; }
		location /set { set $x "of the request"; post_action /other; return 200 fine; }
		location /other { return 200 "$x"; access_log %DIR%/other.log other; }
	}
	log_format other '$x';
}
E

my $lines = 0;
sub logged { $lines++; return ($w->access('access.log', $lines))[$lines - 1] // 'nothing' }
sub heard { my $like = shift; return wait_for(sub { grep { $_ =~ $like } $w->origin_notes(2) }) }

is length $w->get('/file')->body, 1000, 'the client has its answer';
like logged(), qr{^GET /file HTTP/1\.1\|/post\.html\|200\|1000\|OK\|[1-9]\d*$}, 'one line in the log, of the other place';

is $w->get('/named', X => 'y')->body, 'some text', 'a named place';
ok heard(qr{^GET /named \[/named 9 OK y\] \[\]$}), 'knows what became of the request';
like logged(), qr{^GET /named HTTP/1\.1\|/named\|202\|9\|OK\|}, 'is logged';

is $w->get('/missing')->status, 404, 'after an error';
like logged(), qr{^GET /missing HTTP/1\.1\|/post\.html\|200\|}, 'too';
is $w->get('/off/file')->status, 204, 'off';
like logged(), qr{\|/off/file\|204\|}, 'off: nothing else';
is $w->get('/nowhere')->body, 'fine', 'a place that is not there';
like logged(), qr{\|/nowhere\|200\|}, 'is as good as off';
$w->log_like(qr/there is no "\@nowhere"/, 'and is logged');

is $w->request('POST', '/kept', [], 'a body')->body, 'heard', 'a request with a body';
ok heard(qr{^POST /heard \[-\] \[a body\]$}), 'that was kept';
like logged(), qr{^POST /kept HTTP/1\.1\|/heard\|202\|5\|OK\|}, 'in the log';
my $c = $w->connect;
$c->send("POST /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8\r\n\r\nhalf");
ok wait_for(sub { grep { $_ eq 'half' } $w->origin_notes(3) }), 'and one';
$c->send('rest');
is $c->response->body, 'whole', 'with a body';
ok heard(qr{^GET /heard \[-\] \[\]$}), 'that was not';
like logged(), qr{^POST /stream HTTP/1\.1\|/heard\|202\|5\|OK\|}, 'in the log';

is $w->get('/if?x=1')->status, 201, 'in if';
like logged(), qr{\|/post\.html\|}, 'in if: it counts';
is $w->get('/if')->status, 200, 'not outside';
like logged(), qr{\|/if\|}, 'not outside: nothing';
is $w->get('/ring')->body, 'ring', 'a ring';
like logged(), qr{\|/ring\|200\|4\|OK\|}, 'ends after one turn';
is $w->get('/dead')->body, 'fine', 'a place that is out of order';
like logged(), qr{\|/gone\|502\|4\|OK\|}, 'disturbs nobody';
is $w->get('/set')->body, 'fine', 'variables';
is(($w->access('other.log', 1))[0], 'of the request', 'go along');

# Nobody waits for it.
$c = $w->connect;
$c->send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" . "GET /if HTTP/1.1\r\nHost: x\r\n\r\n");
is $c->response->body, 'fine', 'the answer';
is $c->response->status, 200, 'and the next one do not wait';
ok heard(qr{^GET /hang}), 'for one that takes its time';
is $w->get('/if')->status, 200, 'weir serves';
is $w->stop('TERM'), 0, 'and stops';

for my $text ('post_action x;', 'post_action "";', 'post_action @;', 'post_action /a /b;') {
	my ($code) = $wrong->test_conf("http { server { $text } }");
	isnt $code, 0, "refused: $text";
}

done_testing;
