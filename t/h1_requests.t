#!/usr/bin/perl
# Requests that are understood: what is passed on of them, and what is not (RFC 9110, 9112).

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;

# The answer is the head and the body that came.
sub mirror
{
	my ($c) = @_;
	while (my $q = $c->read_request) {
		$c->note("$q->{method} $q->{uri}" . ($q->{complete} ? '' : ' partial'));
		my $text = "$q->{head}\r\n\r\n$q->{body}";
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n" .
		    ($q->{method} eq 'HEAD' ? '' : $text));
	}
}
$w->origin(2, \&mirror);

# One that upgrades, or says no to it; the rest of the connection is noted.
$w->origin(3, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my ($status) = $q->{uri} =~ /(\d+)/;
	if ($status == 101) {
		$c->send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
		my $got = $c->read_n(5);
		$c->send("<$got>");
		return;
	}
	$c->send("HTTP/1.1 $status Whatever\r\nUpgrade: echo\r\nConnection: upgrade, close\r\nContent-Length: 3\r\n\r\nno\n");
	$c->timeout(1);
	my $rest = $c->read_all;
	$c->note("rest $status [$rest]");
});

$w->start(<<'E');
http {
	log_format t '$status $request';
	access_log %DIR%/access.log t;
	map $http_upgrade $conn_upgrade { default upgrade; "" close; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "$host $uri $http_x_foo $http_remote_user"; }
		location /p/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location /host/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_set_header Host $http_host; }
		location /name/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_set_header Host $host; }
		location /add/ {
			proxy_pass http://127.0.0.1:%PORT2%;
			proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
			proxy_set_header X-Real-IP $remote_addr;
			proxy_set_header Remote-User trusted;
		}
		location /up/ {
			proxy_pass http://127.0.0.1:%PORT3%;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $conn_upgrade;
		}
		location /plain-up/ { proxy_pass http://127.0.0.1:%PORT3%; }
		location /strip/ { proxy_pass http://127.0.0.1:%PORT2%/; }
		location /secret/ { deny all; proxy_pass http://127.0.0.1:%PORT2%; }
		location /rewritten/ { rewrite ^/rewritten/(.*)$ /$1 break; proxy_pass http://127.0.0.1:%PORT2%; }
		location /var/ { proxy_pass http://127.0.0.1:%PORT2%$uri; }
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name other;
		location / { return 200 "other $host"; }
	}
	server {
		listen 127.0.0.1:%PORT4%;
		underscores_in_headers on;
		location / {
			proxy_pass http://127.0.0.1:%PORT2%;
			proxy_set_header Remote-User trusted;
		}
	}
	server {
		listen 127.0.0.1:%PORT5%;
		server_name one;
		location / { return 200 one; }
	}
	server {
		listen 127.0.0.1:%PORT5%;
		server_name two;
		location / { return 200 two; }
	}
}
E

my $n = 0;

sub raw
{
	my ($text, %o) = @_;
	my $c = $w->connect(timeout => 5, %o);
	$c->send($text);
	return $c;
}

sub answer { my ($text, %o) = @_; return raw($text, %o)->response }

# The head as the origin got it.
sub passed
{
	my ($text, %o) = @_;
	my $r = answer($text, %o) or return '';
	return $r->status == 200 ? $r->body : 'status ' . $r->status;
}

sub get { join("\r\n", "GET $_[0] HTTP/1.1", 'Host: a', @_[1 .. $#_]) . "\r\n\r\n" }

# ---- S-13

subtest 'S-13 the authority of an absolute target is the host' => sub {
	my $got = passed("GET http://Real.Example:8080/host/x?y HTTP/1.1\r\nHost: evil.example\r\n\r\n");
	like $got, qr{^GET /host/x\?y HTTP/1.1\r\n}, 'origin form upstream';
	like $got, qr/\r\nHost: Real\.Example:8080\r\n/, 'Host is the authority';
	unlike $got, qr/evil/, 'the other is gone';
	like passed("GET http://Real.Example/name/ HTTP/1.1\r\nHost: evil\r\n\r\n"), qr/\r\nHost: real\.example\r\n/, 'also as $host';
	is answer("GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n")->body, 'other other', 'it finds the server, too';
	is answer("GET http://other HTTP/1.1\r\nHost: a\r\n\r\n")->body, 'other other', 'without a path';
	like passed("GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n"), qr{^b / }, 'and with a query only';
	is answer("GET HTTP://OTHER/ HTTP/1.0\r\n\r\n")->body, 'other other', 'in HTTP/1.0 without Host';
};

# ---- S-25

subtest 'S-25 30 requests at once' => sub {
	for my $place ('/', '/p/') {
		my $c = raw(join '', map get("${place}n$_"), 1 .. 30);
		my @got = map { my $r = $c->response; $r ? $r->body =~ m{\Q$place\En(\d+) } ? $1 : $r->body : undef } 1 .. 30;
		is_deeply \@got, [1 .. 30], "are answered in their order at $place";
		$c->send(get('/again'));
		like $c->response->body, qr{/again}, 'and the connection goes on';
	}
};
subtest 'S-25 with bodies between them' => sub {
	my $c = raw(join '', map("POST /p/b$_ HTTP/1.1\r\nHost: a\r\n" . ($_ & 1 ? "Content-Length: 4\r\n\r\n" :
	    "Transfer-Encoding: chunked\r\n\r\n4\r\n") . sprintf('%04d', $_) . ($_ & 1 ? '' : "\r\n0\r\n\r\n"), 1 .. 30));
	is_deeply [map { substr $c->response->body, -4 } 1 .. 30], [map { sprintf '%04d', $_ } 1 .. 30], 'each has its own';
};
for my $k (1, 2, 7, 30) {
	subtest "S-25 request $k of 30 is malformed" => sub {
		for my $place ('/', '/p/') {
			my $c = raw(join '', map $_ == $k ? "GET ${place}x\r\nHost : a\r\n\r\n" : get("${place}m$k-$_"), 1 .. 30);
			my @got = map { my $r = $c->response; $r ? $r->status : 'none' } 1 .. $k;
			is_deeply \@got, [(200) x ($k - 1), 400], "answers at $place";
			is $c->read_all, '', 'and no more';
			ok $c->eof, 'and the end';
			is_deeply [grep m{/m$k-(\d+)} && $1 > $k, $w->origin_notes(2)], [], 'nothing behind it went upstream';
		}
	};
}

# ---- S-26

subtest 'S-26 Connection: close' => sub {
	for my $v ('close', 'Close', 'CLOSE', 'x, close', 'close, x', ', close ,', "keep-alive, close", 'close, keep-alive') {
		my $c = raw(get('/first', "Connection: $v") . get('/second'));
		my $r = $c->response;
		like $r->body, qr{/first}, "$v: an answer";
		is lc $r->header('Connection'), 'close', 'that says so';
		is $c->read_all, '', 'the rest is ignored';
		ok $c->eof, 'the end';
	}
	my $c = raw(get('/first', 'Connection: x', 'Connection: close') . get('/second'));
	$c->response;
	is $c->read_all, '', 'in the second of two fields';
	$c = raw(get('/p/first', 'Connection: close') . get('/p/second-after-close'));
	$c->response;
	is $c->read_all, '', 'behind a proxy';
	is_deeply [grep /second-after-close/, $w->origin_notes(2)], [], 'and upstream saw nothing';
};
subtest 'S-26 HTTP/1.0' => sub {
	my $c = raw("GET / HTTP/1.0\r\nHost: a\r\n\r\n" . get('/second'));
	is lc $c->response->header('Connection'), 'close', 'ends';
	is $c->read_all, '', 'with one answer';
	$c = raw("GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n" . get('/second'));
	is lc $c->response->header('Connection'), 'keep-alive', 'unless it asks';
	like $c->response->body, qr{/second}, 'for more';
};

# ---- S-27, S-28, S-29: hop by hop

for my $c (['X-Foo', 'X-Foo: 1'], ['x-foo', 'X-Foo: 1'], ['X-Foo, X-Bar', 'X-Foo: 1', 'X-Bar: 1'], [',, X-Foo ,,', 'X-Foo: 1'],
    ["X-Foo\t,\tX-Bar", 'X-Foo: 1', 'X-Bar: 1'], ['keep-alive, X-FOO', 'x-foo: 1', 'X-Foo: 2'], ['X-Foo,X-Foo', 'X-Foo: 1']) {
	my ($value, @fields) = @$c;
	subtest "S-27 Connection: $value" => sub {
		for my $order ([@fields, "Connection: $value"], ["Connection: $value", @fields],
		    ['Connection: y', "CONNECTION: $value", @fields]) {
			my $got = passed(get('/p/hop', @$order, 'X-Kept: 1'));
			like $got, qr{^GET /p/hop}, 'passed on';
			unlike $got, qr/^X-(?:Foo|Bar)/mi, 'without what is listed';
			unlike $got, qr/^Connection:.*(?:foo|bar|y)/mi, 'or the list';
			like $got, qr/^X-Kept: 1\r$/m, 'with the others';
		}
	};
}
subtest 'S-28 what Connection cannot remove' => sub {
	my $post = sub { "POST $_[0] HTTP/1.1\r\nHost: a\r\n" . join('', map "$_\r\n", @_[1 .. $#_]) . "\r\n" };
	my $got = passed($post->('/p/', 'Content-Length: 5', 'Connection: Content-Length') . 'hello');
	like $got, qr/^Content-Length: 5\r$/m, 'Content-Length';
	like $got, qr/\r\n\r\nhello$/, 'the body';
	$got = passed($post->('/p/', 'Transfer-Encoding: chunked', 'Connection: Transfer-Encoding') . "5\r\nhello\r\n0\r\n\r\n");
	like $got, qr/\r\n\r\nhello$/, 'Transfer-Encoding';
	like passed(get('/host/', 'Connection: Host')), qr/^Host: a\r$/m, 'Host';
	$got = passed(get('/add/', 'Connection: X-Forwarded-For, X-Real-IP, Remote-User', 'X-Forwarded-For: 6.6.6.6'));
	like $got, qr/^X-Forwarded-For: 6\.6\.6\.6, 127\.0\.0\.1\r$/m, 'X-Forwarded-For';
	like $got, qr/^X-Real-IP: 127\.0\.0\.1\r$/m, 'X-Real-IP';
	like $got, qr/^Remote-User: trusted\r$/m, 'a field of ours';
	like passed(get('/p/', "Connection: $_->[0]", "$_->[0]: $_->[1]")), qr/^\Q$_->[0]: $_->[1]\E\r$/m, $_->[0]
	    for ['Authorization', 'Basic eDp5'], ['Cookie', 'a=b'], ['X-Forwarded-Host', 'h'], ['Content-Type', 'x/y'];
	is answer(get('/', 'Connection: ' . join ',', 1 .. 200))->status, 400, '200 options are refused';
};
subtest 'S-29 fields of this hop only' => sub {
	my $got = passed(get('/p/', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'TE: trailers', 'Upgrade: websocket',
	    'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA', 'Proxy-Authenticate: x', 'Trailer: x', 'X-Kept: 1'));
	unlike $got, qr/^$_:/mi, "$_ is not passed on" for qw(Keep-Alive Proxy-Connection TE Upgrade HTTP2-Settings);
	like $got, qr/^X-Kept: 1\r$/m, 'another is';
};

# ---- S-30, S-31: Upgrade

subtest 'S-30 h2c' => sub {
	for my $v ('h2c', 'H2C', 'h2c, websocket', 'websocket, h2c') {
		for my $place ('/p/', '/up/200') {
			my $r = answer(get($place, "Upgrade: $v", 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABk'));
			is $r && $r->status, 200, "$v: answered in HTTP/1.1";
			unlike $r->body, qr/^(?:Upgrade|HTTP2-Settings):.*/mi, 'nobody is told' if $place eq '/p/';
		}
	}
};
$w->origin(6, \&mirror);
subtest 'S-31 an upgrade that is granted' => sub {
	my $c = raw(get('/up/101', 'Upgrade: echo', 'Connection: Upgrade'));
	my $r = $c->response;
	is $r->status, 101, 'switches';
	is lc $r->header('Upgrade'), 'echo', 'to what was asked for';
	$c->send('hello');
	is $c->read_all, '<hello>', 'and carries bytes';
};
for my $status (200, 426, 400, 404, 500) {
	subtest "S-31 an upgrade that is answered with $status" => sub {
		my $early = "GET /tunnelled HTTP/1.1\r\nHost: a\r\n\r\n";
		my $c = raw(get("/up/$status", 'Upgrade: echo', 'Connection: Upgrade') . $early);
		my $r = $c->response;
		is $r->status, $status, 'is passed on';
		is $r->body, "no\n", 'with its body';
		my $next = $c->response;
		like $next ? $next->body : '', qr{^a /tunnelled}, 'the next bytes are a request to us' if $next;
		ok wait_for(sub { grep /^rest $status /, $w->origin_notes(3) }), 'the origin read on';
		is_deeply [grep /^rest $status \[.+\]/, $w->origin_notes(3)], [], 'and got nothing of it';
	};
}
subtest 'S-31 101 that nobody asked for' => sub {
	my $r = answer(get('/plain-up/101'));
	is $r->status, 502, 'is a bad gateway';
};

# ---- S-32, S-34: methods

subtest 'S-32 CONNECT and TRACE' => sub {
	for (['CONNECT a:443', 'authority'], ['CONNECT 127.0.0.1:' . $w->port(2), 'the origin'], ['CONNECT /p/', 'a path'],
	    ['CONNECT http://a/', 'a URL'], ['CONNECT a', 'no port'], ['CONNECT *', 'an asterisk'], ['TRACE /', 'TRACE'], ['TRACE /p/', 'TRACE at a proxy'],
	    ['TRACE *', 'TRACE *']) {
		my ($line, $what) = @$_;
		my $c = raw("$line HTTP/1.1\r\nHost: a\r\nX-Secret: s3cret\r\n\r\n" . get('/p/tunnelled'));
		my $r = $c->response;
		like $r ? $r->status : 'none', qr/^40[05]$/, "$what is refused";
		unlike $r->body, qr/s3cret/, 'without an echo';
		is $c->read_all, '', 'and no tunnel';
	}
	is_deeply [grep /tunnelled|CONNECT|TRACE/, $w->origin_notes(2)], [], 'nothing went upstream';
};
subtest 'S-34 OPTIONS and *' => sub {
	my $r = answer("OPTIONS /p/ HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
	like $r->status, qr/^2/, 'Max-Forwards: 0 is answered';
	$r = answer("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	ok $r, 'OPTIONS * has an answer';
	is answer("$_ * HTTP/1.1\r\nHost: a\r\n\r\n")->status, 400, "$_ * is refused" for qw(GET POST HEAD PUT);
};

# ---- S-33: Expect

$w->origin(7, sub {
	my ($c) = @_;
	while (my $head = $c->read_head) {
		my ($uri) = $head =~ m{^\S+ (\S+)};
		my ($n) = $head =~ /^Content-Length: (\d+)/mi;
		$c->note("head $uri" . ($head =~ /^Expect: 100-continue\r?$/mi ? ' expects' : ''));
		if ($uri =~ /403/) {
			$c->send("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno");
			last;
		}
		$c->send("HTTP/1.1 100 Continue\r\n\r\n" x ($uri =~ /twice/ ? 2 : 1)) if $head =~ /^Expect:/mi;
		my $body = $c->read_n($n // 0);
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
	}
	$c->read_all;
});
$w->stop;
my $conf = $w->read('weir.conf');
$w->start($conf =~ s/http \{/http { server { listen 127.0.0.1:%PORT8%; location \/ { proxy_pass http:\/\/127.0.0.1:%PORT7%; }
	location \/s\/ { proxy_pass http:\/\/127.0.0.1:%PORT7%; proxy_request_buffering off; }
	location \/own { return 200 own; } location \/big { client_max_body_size 3; proxy_pass http:\/\/127.0.0.1:%PORT7%; } }/r);

sub expecting
{
	my ($uri, %o) = @_;
	my $expect = $o{expect} // '100-continue';
	my $version = $o{version} // '1.1';
	return raw("POST $uri HTTP/$version\r\nHost: a\r\nContent-Length: 5\r\nExpect: $expect\r\n\r\n", port => 8);
}
for my $uri ('/', '/s/', '/s/twice') {
	subtest "S-33 100-continue at $uri" => sub {
		my $c = expecting($uri);
		my $early = $c->read_until(qr/\r\n\r\n/);
		like $early, qr{^HTTP/1\.1 100 }, 'the client is told to go on';
		$c->send('hello');
		my $r = $c->response;
		is $r->status, 200, 'final answer';
		is scalar($r->informational), 0, 'told once';
		is $r->body, 'hello', 'the body came through';
		$c->send("GET /own HTTP/1.1\r\nHost: a\r\n\r\n");
		is $c->response->body, 'own', 'the connection goes on';
	};
}
subtest 'S-33 a body that does not wait' => sub {
	my $c = raw("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello", port => 8);
	my $r = $c->response;
	is $r->status, 200, 'is read';
	is $r->body, 'hello', 'as it is';
};
for my $uri ('/403', '/s/403', '/big', '/own') {
	subtest "S-33 a final answer instead at $uri" => sub {
		my $c = expecting($uri);
		my $r;
		if ($uri eq '/403') {		# the body is read before anybody is asked
			$c->read_until(qr/\r\n\r\n/);
			$c->send('hello');
			$r = $c->response;
			is $r->status, 403, 'passed on';
			return;
		}
		$r = $c->response;
		is $r->status, { '/s/403' => 403, '/big' => 413, '/own' => 200 }->{$uri}, 'status';
		is scalar($r->informational), 0, 'no 100 before it' unless $uri =~ m{^/s/};	# there the body is wanted
		is lc $r->header('Connection'), 'close', 'and the connection ends';
		$c->send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
		is $c->read_all, '', 'what comes is no request';
	};
}
subtest 'S-33 other expectations' => sub {
	for my $e ('200-ok', '100-continue, x', 'x', '100 -continue', '100-continue;a=b', '', '"100-continue"', 'y 100-continue',
	    "100-continue\x0b", "\x0b100-continue", '100-continue,', '100-continue,100-continue') {
		my $c = expecting('/s/obscure', expect => $e);
		my $r = $c->response;
		like $r ? $r->status : 'none', qr/^4(?:00|17)$/, "'$e' is refused";
		$c->send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
		is $c->read_all, '', 'and the connection ends';
	}
	my $c = raw("POST /s/obscure HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\r\n", port => 8);
	is $c->response->status, 400, 'twice';
	is_deeply [grep m{/s/obscure}, $w->origin_notes(7)], [], 'upstream saw none of them';
};
subtest 'S-33 HTTP/1.0' => sub {
	for my $uri ('/', '/s/') {
		my $c = expecting($uri . 'old', version => '1.0');
		$c->send('hello');
		my $text = $c->read_all;
		unlike $text, qr{HTTP/1\.\d 100}, 'is never told to go on';
		like $text, qr{^HTTP/1\.1 200.*hello$}s, 'but answered';
	}
};

# ---- S-35: paths

subtest 'S-35 what is decoded is not passed on decoded' => sub {
	my @same = ('/p/a%2fb', '/p/a%20b', '/p/%0d%0aX-Evil:%201', '/p/a%0a', '/p/%3fq', '/p/%23', '/p/a;b', '/p/%25', '/p/a%5cb', '/p/%41');
	for my $uri (@same) {
		my $got = passed(get($uri));
		like $got, qr{^GET \Q$uri\E HTTP/1\.1\r\n}, "$uri goes as it came" or diag $got;
		unlike $got, qr/^X-Evil/m, 'in one line';
	}
	my $got = passed(get('/strip/%0d%0aX-Evil:%201%20HTTP/1.1%0d%0a'));
	unlike $got, qr/^X-Evil|\n /m, 'when a part is replaced, it is escaped again';
	like $got, qr{^GET /%0D%0AX-Evil}i, 'so';
	$got = passed(get('/rewritten/%0dX-Evil:%201'));
	like $got, qr{^GET /%0DX-Evil}i, 'when it is rewritten, too';
	$got = passed(get('/var/%0d%0aX-Evil:1'));
	unlike $got, qr/^X-Evil/m, 'a variable cannot split the line either';
	is answer(get('/p/%00'))->status, 400, 'NUL is refused';
	is answer(get('/p/a%00b'))->status, 400, 'wherever it is';
};
subtest 'S-35 one normal form decides' => sub {
	for my $uri ('/secret/x', '//secret/x', '/./secret/x', '/p/../secret/x', '/%73ecret/x', '/secret//x', '/p/%2e%2e/secret/x', '/p/.%2e/secret/x',
	    '/p/..%2fsecret/x', '/p%2f..%2fsecret/x', '/%2fsecret/x', '/secret/./x', '/a/b/../../secret/x', '/%2e/secret/x', '/secret%2fx') {
		my $r = answer(get($uri));
		is $r->status, 403, "$uri is under lock";
	}
	is_deeply [grep /secret/, $w->origin_notes(2)], [], 'upstream saw none of them';
	is answer(get($_))->status, 400, "$_ is refused" for '/..', '/p/../../x', '/%2e%2e/x', '/..%2fx', '/p/..%2f..%2fx';
	like answer(get('/a\\..\\secret\\x'))->body, qr/^a /, 'a backslash is no slash';
};

# ---- S-36: names

subtest 'S-36 a host in all spellings' => sub {
	for my $host ('two', 'TWO', 'Two', 'two.', 'two:80', 'two:' . $w->port(5), 'TWO.:80') {
		my $r = answer("GET / HTTP/1.1\r\nHost: $host\r\n\r\n", port => 5);
		is $r->body, 'two', $host;
	}
};
subtest 'S-36 any number of names and places' => sub {
	for my $count (1, 100, 101, 3000) {
		my $v = Weir->new;
		$v->start(<<"E");
http {
	server { listen 127.0.0.1:%PORT1%; server_name _; return 200 default; }
	server {
		listen 127.0.0.1:%PORT1%;
		server_name @{[join "\n\t\t", map "h$_.example", 1 .. $count]};
@{[join "\n", map "location /l$_/ { return 200 \$uri:$_; }", 1 .. $count]}
	}
}
E
		for my $k (1, int(($count + 1) / 2), $count) {
			for my $host ("h$k.example", "H$k.EXAMPLE", "h$k.example.", "h$k.example:80") {
				my $r = $v->request('GET', "/l$k/", [Host => $host]);
				is $r->body, "/l$k/:$k", "$host of $count";
			}
		}
		is $v->request('GET', '/', [Host => "h@{[$count + 1]}.example"])->body, 'default', 'one more is the default';
		is $v->stop('TERM'), 0, 'end';
	}
};

# ---- S-37, S-38

subtest 'S-37 a client that has said all' => sub {
	for my $text (get('/p/half'), get('/half'), "POST /p/half HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello") {
		my $c = raw($text);
		$c->half_close;
		my $r = $c->response;
		ok $r && $r->complete, 'is still answered';
		is $r && $r->status, 200, 'well';
		is $c->read_all, '', 'once';
	}
};
subtest 'S-38 underscores' => sub {
	my $got = passed(get('/add/', 'Remote_User: evil', 'X_Forwarded_For: 6.6.6.6'));
	unlike $got, qr/Remote_User|X_Forwarded_For|evil/i, 'are dropped';
	like $got, qr/^Remote-User: trusted\r$/m, 'and ours is there';
	unlike answer(get('/', 'Remote_User: evil'))->body, qr/evil/, 'nor does a variable see them';
	$got = passed(get('/', 'Remote-User: evil', 'Remote_User: odd'), port => 4);
	is_deeply [$got =~ /^Remote-User: (.*?)\r$/mg], ['trusted'], 'where they are allowed ours wins over its twin';
};

done_testing;
