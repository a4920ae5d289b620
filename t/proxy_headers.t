#!/usr/bin/env perl
# proxy_headers.t - what the client gets of the upstream's head: fields, redirects, errors, X-Accel-*.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: proxy_hide_header proxy_pass_header proxy_redirect proxy_intercept_errors proxy_ignore_headers
# effect: proxy_buffer_size early_hints proxy_pass_trailers proxy_websocket

my $w = Weir->new;
my $ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my %arg = map { my ($k, $v) = split /=/, $_, 2; $v =~ s/%([0-9a-f]{2})/chr hex $1/ige; ($k => $v) }
		    $q->{uri} =~ /\?(.*)/ ? split /&/, $1 : ();
		my $status = $arg{status} // 200;
		my $body = "body $status";
		$c->send($arg{early}) if defined $arg{early};
		$c->note("te: " . ($q->{headers}{te} // '-') . ' connection: ' . ($q->{headers}{connection} // '-'));
		if ($q->{uri} =~ /trailers/) {
			$c->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n4\r\nbody\r\n" .
			    "0\r\nX-Sum: 42\r\nContent-Length: 9\r\nX-Accel-Redirect: /x\r\nSet-Cookie: a=b\r\n\r\n");
			next;
		}
		my $fields = $arg{h} // '';
		$c->send("HTTP/1.1 $status Said So\r\nContent-Length: " . length($body) . "\r\n" .
		    "Date: Sat, 01 Jan 2000 00:00:00 GMT\r\nServer: theirs\r\nX-Pad: pad\r\nX-Powered-By: php\r\n" .
		    "Content-Type: text/x-test\r\n$fields\r\n" . ($q->{method} eq 'HEAD' ? '' : $body));
	}
});
$w->write('www/big', 'y' x 30000);
$w->start(<<'E');
http {
	upstream up { server 127.0.0.1:%PORT2%; }
	server {
		listen 127.0.0.1:%PORT1%;
		server_name localhost;
		root %DIR%/www;
		location / { proxy_pass http://up; }
		location /hide/ { proxy_pass http://up; proxy_hide_header X-Powered-By; proxy_hide_header etag; }
		location /pass/ {
			proxy_pass http://up;
			proxy_pass_header Date; proxy_pass_header Server; proxy_pass_header X-Accel-Expires;
			proxy_pass_header X-Pad;
		}
		location /default/ { proxy_pass http://up/app/; }
		location /off/ { proxy_pass http://up/app/; proxy_redirect off; }
		location /two/ {
			proxy_pass http://up/app/;
			proxy_redirect http://other.example/ /other/;
			proxy_redirect ~^https?://([^/]+)\.example(:\d+)?/(.*)$ /by/$1/$3;
			proxy_redirect ~*^HTTP://CASE/ /nocase/;
			proxy_redirect /relative/ $scheme://$host/abs/;
		}
		location /inherit/ {
			proxy_redirect http://a/ /b/;
			location /inherit/x/ { proxy_pass http://up; }
			location /inherit/y/ { proxy_pass http://up; proxy_redirect off; }
		}
		location /errors/ {
			proxy_pass http://up;
			proxy_intercept_errors on;
			error_page 404 /page;
			error_page 500 =200 /page;
			error_page 302 = @moved;
			location /errors/not/ { proxy_pass http://up; proxy_intercept_errors off; }
		}
		location = /page { return 200 "our page"; }
		location @moved { return 200 "moved on"; }
		location /proxied_page/ { error_page 404 /fine?status=200; return 404; }
		location /internal/ { internal; alias %DIR%/www/; }
		location @named { return 200 "named: $uri"; }
		location /ignore/ { proxy_pass http://up; proxy_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate; }
		location /small/ { proxy_pass http://up; proxy_buffer_size 400; }
		location /large/ { proxy_pass http://up; proxy_buffer_size 64k; }
		location /hints/ { proxy_pass http://up; early_hints 1; }
		location /hintsvar/ { proxy_pass http://up; early_hints $arg_want; }
		location /trailers/on/ { proxy_pass http://up; proxy_pass_trailers on; }
		location /trailers/all/ { proxy_pass http://up; proxy_pass_trailers on; add_trailer X-Ours $upstream_status; }
		location /trailers/slow/ { proxy_pass http://up; proxy_pass_trailers on; limit_rate 1k; }
		location /trailers/plain/ { proxy_pass http://up; proxy_pass_trailers on; proxy_buffering off; }
	}
}
E

sub esc { my ($s) = @_; $s =~ s/([^A-Za-z0-9])/sprintf '%%%02x', ord $1/ge; $s }
sub with { my ($uri, @h) = @_; $w->get("$uri?h=" . esc(join '', map "$_\r\n", @h)) }
sub location { my ($uri, $to, $name) = @_; with($uri, ($name // 'Location') . ": $to")->header($name // 'Location') }

subtest 'fields' => sub {
	my $r = with('/', 'X-A: 1', 'X-A: 2', 'X-Accel-Expires: 5', 'ETag: "e"', 'Set-Cookie: a', 'Set-Cookie: b',
	    'Cache-Control: no-cache');
	is $r->body, 'body 200';
	is $r->reason, 'Said So', 'the reason is theirs';
	is_deeply [ $r->headers_all('X-A') ], [ 1, 2 ], 'fields are passed on in their order';
	is_deeply [ $r->headers_all('Set-Cookie') ], [ 'a', 'b' ];
	is $r->header('Content-Type'), 'text/x-test';
	is $r->header('Cache-Control'), 'no-cache';
	isnt $r->header('Date'), 'Sat, 01 Jan 2000 00:00:00 GMT', 'Date is our own';
	like $r->header('Server'), qr/^weir/, 'and Server';
	is $r->header('X-Pad'), undef, 'X-Pad is hidden';
	is $r->header('X-Accel-Expires'), undef, 'and X-Accel-*';
	is $r->header('X-Powered-By'), 'php';
	$r = with('/hide/', 'ETag: "e"', 'X-A: 1');
	is $r->header('X-Powered-By'), undef, 'proxy_hide_header';
	is $r->header('ETag'), undef;
	is $r->header('X-A'), 1;
	$r = with('/pass/', 'X-Accel-Expires: 5');
	is $r->header('Date'), 'Sat, 01 Jan 2000 00:00:00 GMT', 'proxy_pass_header';
	is $r->header('Server'), 'theirs';
	is $r->header('X-Accel-Expires'), 5;
	is $r->header('X-Pad'), 'pad';
	my $c = $w->connect;
	$c->send("HEAD /?status=200 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
	$r = $c->response('HEAD');
	is $r->header('Content-Length'), 8, 'HEAD: the length of what GET would give';
	is $c->read_all, '';
};

subtest 'redirects' => sub {
	is location('/default/', 'http://up/app/x?y'), '/default/x?y', 'by default to the location';
	is location('/default/', 'http://elsewhere/x'), 'http://elsewhere/x', 'others stay';
	is location('/default/', '0; url=http://up/app/x', 'Refresh'), '0; url=/default/x', 'Refresh too';
	is location('/x', 'http://up/y'), '/y', 'without a URI part';
	is location('/off/', 'http://up/app/x'), 'http://up/app/x', 'off';
	is location('/two/', 'http://other.example/x'), '/other/x', 'from and to';
	is location('/two/', 'https://sub.example:8080/a/b'), '/by/sub/a/b', 'regex';
	is location('/two/', 'http://case/x'), '/nocase/', 'regex without case';
	is location('/two/', '/relative/x'), 'http://localhost/abs/x', 'variables';
	is location('/two/', 'http://up/app/x'), 'http://up/app/x', 'the default only when asked for';
	is location('/inherit/x/', 'http://a/z'), '/b/z', 'inherited';
	is location('/inherit/y/', 'http://a/z'), 'http://a/z', 'and ended';
};

subtest 'errors' => sub {
	my $r = $w->get('/x?status=404');
	is $r->status . $r->body, '404body 404', 'their page unless told';
	$r = $w->get('/errors/?status=404');
	is $r->status . $r->body, '404our page', 'proxy_intercept_errors';
	$r = $w->get('/errors/?status=500');
	is $r->status . $r->body, '200our page';
	$r = $w->get('/errors/?status=302');
	is $r->status . $r->body, '200moved on';
	$r = $w->get('/errors/?status=403');
	is $r->status . $r->body, '403body 403', 'only those that have a page';
	$r = $w->get('/errors/not/?status=404');
	is $r->status . $r->body, '404body 404';
	$r = $w->get('/proxied_page/');
	is $r->status . $r->body, '404body 200', 'a page may come from an upstream';
};

subtest 'X-Accel-Redirect' => sub {
	my $r = with('/', 'X-Accel-Redirect: /internal/big', 'Content-Type: x/y', 'Set-Cookie: a', 'X-Other: 1');
	is length $r->body, 30000, 'a file in place of the answer';
	is $r->header('Content-Type'), 'text/x-test', 'with the type of the answer';
	is $r->header('Set-Cookie'), 'a';
	is $r->header('X-Other'), undef;
	is $r->header('X-Accel-Redirect'), undef;
	is with('/', 'X-Accel-Redirect: @named')->body, 'named: /', 'a named location';
	is with('/ignore/', 'X-Accel-Redirect: /internal/big')->body, 'body 200', 'proxy_ignore_headers';
	is $w->request('POST', '/?h=' . esc("X-Accel-Redirect: /internal/big\r\n"), [], 'x')->status, 200,
	    'after POST it is a GET';
};

subtest 'X-Accel-Limit-Rate' => sub {
	my $uri = '/?h=' . esc("X-Accel-Limit-Rate: 6\r\n");
	my $begin = time;
	is $w->get($uri)->body, 'body 200';
	cmp_ok time - $begin, '>', 0.3, 'as slow as the upstream wants it';
	$begin = time;
	is $w->get("/ignore$uri")->body, 'body 200';
	cmp_ok time - $begin, '<', slack(0.3), 'ignored';
};

subtest 'the size of a head' => sub {
	is with('/small/', 'X-A: ' . 'a' x 100)->status, 200;
	is with('/small/', 'X-A: ' . 'a' x 500)->status, 502, 'proxy_buffer_size';
	$w->log_like(qr/upstream sent too big header while reading response header from upstream/);
	is $w->get('/large/?h=X-A:%20' . 'a' x 6000 . '%0d%0a')->status, 200;
};

subtest 'early hints' => sub {
	my $early = '?early=' . esc("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: X-No\r\nX-No: 1\r\n\r\n");
	my $r = $w->get("/hints/$early");
	is $r->status, 200;
	my @i = $r->informational;
	is scalar @i, 1, 'early_hints passes 103 on';
	is $i[0] && $i[0]->status, 103;
	is $i[0] && $i[0]->header('Link'), '</a.css>';
	is $i[0] && $i[0]->header('X-No'), undef, 'without what ends at this hop';
	is scalar($w->get("/$early")->informational), 0, 'not unless told';
	is scalar($w->get("/hintsvar/$early&want=1")->informational), 1, 'by a condition';
	is scalar($w->get("/hintsvar/$early&want=0")->informational), 0;
	is scalar($w->get("/hints/?early=" . esc("HTTP/1.1 102 Processing\r\n\r\n"))->informational), 0, 'only 103';
	my $c = $w->connect;
	$c->send("GET /hints/$early HTTP/1.0\r\n\r\n");
	like $c->read_all, qr{^HTTP/1.1 200}, 'not to HTTP/1.0';
};

subtest 'trailers' => sub {
	my $r = $w->get('/trailers/');
	is $r->body, 'body';
	is_deeply $r->{trailers}, {}, 'not unless told';
	for my $uri (qw(/trailers/on/ /trailers/plain/)) {
		$r = $w->get($uri, TE => 'trailers');
		is $r->body, 'body';
		is $r->trailer('X-Sum'), 42, "proxy_pass_trailers ($uri)";
		is_deeply [ keys %{ $r->{trailers} } ], [ 'x-sum' ], 'but not what changes the message';
	}
	is +($w->origin_notes(2))[-1], 'te: trailers connection: TE', 'they are asked for';
	$r = $w->get('/trailers/all/');
	is $r->trailer('X-Sum') . $r->trailer('X-Ours'), '42200', 'together with our own';
	my $c = $w->connect;
	$c->send("GET /trailers/on/ HTTP/1.0\r\n\r\n");
	like $c->read_all, qr/\r\n\r\nbody$/, 'none without chunks';
};

# RFC 9110, 15.5.22: what to upgrade to is part of the answer
$w->origin(9, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my ($status) = $q->{uri} =~ m{/(\d+)};
		$c->send("HTTP/1.1 $status X\r\nUpgrade: foo/2\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n") or return;
	}
});
{
	my $u = Weir->new;
	$u->start('http { server { listen 127.0.0.1:%PORT1%; location / { proxy_pass http://127.0.0.1:' . $w->port(9) . '; } } }');
	like $u->http("GET /426 HTTP/1.1\r\nHost: x\r\n\r\nGET /200 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
	    qr{^HTTP/1\.1 426 .*Upgrade: foo/2\r\n.*Connection: upgrade\r\nConnection: keep-alive\r\n.*?\r\nHTTP/1\.1 200 (?!.*Upgrade)}s,
	    '426 says what to upgrade to, other answers do not';
}

done_testing;
