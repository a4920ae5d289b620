#!/usr/bin/perl

# HTTP/2 towards clients: messages, bodies, how it is chosen, mistakes of clients, the ends of connections.
#
# effect: http2 http2_chunk_size http2_max_concurrent_streams http2_body_preread_size
# Without effect, but with a warning:
# effect: http2_recv_buffer_size http2_pool_size http2_streams_index_size http2_idle_timeout http2_recv_timeout
# effect: http2_max_requests http2_max_field_size http2_max_header_size http2_push http2_push_preload
# effect: http2_max_concurrent_pushes

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::H2;

my $w = Weir->new;
$w->cert('localhost', cn => 'localhost', san => 'DNS:localhost');
$w->write('www/text', "text\n");
$w->write('www/big', join '', map { sprintf '%07d ', $_ } 1 .. 100_000);
my $big = $w->read('www/big');

$w->origin(9, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $len = $q->{headers}{'content-length'} // '-';
		$c->note("$q->{method} $q->{uri} len=$len coding=" . ($q->{headers}{'transfer-encoding'} // '-') .
		    ' body=' . length($q->{body}) . ' cookie=' . ($q->{headers}{cookie} // '-') .
		    ' host=' . ($q->{headers}{host} // '-') . ' x=' . ($q->{headers}{'x-a'} // '-'));
		if ($q->{uri} =~ /trailers/) {
			$c->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n" .
			    "3\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n");
		} elsif ($q->{uri} =~ /hints/) {
			$c->send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
		} elsif ($q->{uri} =~ /hop/) {
			$c->send("HTTP/1.1 200 OK\r\nConnection: keep-alive, x-drop\r\nX-Drop: 1\r\nKeep-Alive: timeout=5\r\n" .
			    "Upgrade: h9\r\nX-Keep: YES\r\nContent-Length: 0\r\n\r\n");
		} elsif ($q->{uri} =~ /short/) {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
			return;
		} else {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($q->{body}) . "\r\n\r\n$q->{body}");
		}
	}
});

$w->start(<<'E');
http {
	log_format h2 '"$request" $status $http2 $body_bytes_sent $bytes_sent';
	access_log %DIR%/access.log h2;
	ssl_certificate %DIR%/localhost.crt;
	ssl_certificate_key %DIR%/localhost.key;
	client_max_body_size 10m;
	server {
		listen 127.0.0.1:%PORT1%;
		http2 on;
		root %DIR%/www;
		location /v { return 200 "$http2|$server_protocol|$request|$http_host|$host|$scheme|$request_length|$connection_requests"; }
		location /cookie { return 200 "$http_cookie|$cookie_b"; }
		location /none { return 204; }
		location /empty { add_trailer X-Last yes; return 200; }
		location /field { return 200 "$http_x_a|$http_x_b|"; }
		location /chunk { alias %DIR%/www/big; http2_chunk_size 1000; }
		location /up { proxy_pass http://127.0.0.1:%PORT9%; proxy_http_version 1.1; }
		location /stream { proxy_pass http://127.0.0.1:%PORT9%; proxy_http_version 1.1; proxy_request_buffering off; }
		location /slow { proxy_pass http://127.0.0.1:%PORT8%; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		return 200 "old $server_protocol";
	}
	server {
		listen 127.0.0.1:%PORT3% http2;
		http2_max_concurrent_streams 2;
		http2_body_preread_size 10;
		location / { return 200 "$server_protocol"; }
		location /up { proxy_pass http://127.0.0.1:%PORT9%; proxy_http_version 1.1; proxy_request_buffering off; }
		location /slow { proxy_pass http://127.0.0.1:%PORT8%; }
	}
	server {
		listen 127.0.0.1:%PORT4% ssl;
		server_name localhost;
		http2 on;
		root %DIR%/www;
		location /v { return 200 "$http2|$server_protocol|$scheme"; }
	}
	server {
		listen 127.0.0.1:%PORT4% ssl;
		server_name old.example;
		location /v { return 200 "$http2|$server_protocol|$scheme"; }
	}
}
E

sub h2 { my ($n, %o) = @_; Weir::H2->new($w->connect(port => $n // 1), %o) }

sub once
{
	my ($path, @more) = @_;
	my $h = h2(1);
	return $h->response($h->get($path, @more));
}

subtest 'a request' => sub {
	my $h = h2(1);
	my $r = $h->response($h->get('/v', 'x-y' => 'z'));
	is $r->{status}, 200;
	my $n = 5 * 2 + length(':methodGET:schemehttp:path/v:authoritylocalhostx-yz') + 5;
	is $r->{body}, "h2c|HTTP/2.0|GET /v HTTP/2.0|localhost|localhost|http|$n|1", 'variables';
	is $r->{headers}{'content-length'}, length $r->{body};
	is $r->{headers}{connection}, undef, 'nothing about the connection';
	ok defined $r->{headers}{date} && defined $r->{headers}{server}, 'Date and Server';
	like $h->response($h->get('/v'))->{body}, qr/\|2$/, 'the second on this connection';
	is_deeply [sort { $a <=> $b } keys %{ $h->{settings} }], [3, 4, 8, 9], 'settings';
	is $h->{settings}{3}, 128;
	is $h->{settings}{4}, 65536;
	is scalar(grep { $_ eq '"GET /v HTTP/2.0" 200 h2c ' . length($r->{body}) . ' ' . (18 + length($r->{body}) +
	    length_of_head($w, $_)) } $w->access(undef, 2)), 1, 'the log';
};

# The head's length is only known to whoever encodes it: it is what $bytes_sent has besides.
sub length_of_head
{
	my ($w, $line) = @_;
	my ($body, $sent) = $line =~ /(\d+) (\d+)$/;
	my $n = $sent - $body - 18;
	return $n > 20 && $n < 200 ? $n : -1;
}

subtest 'responses without a body' => sub {
	my $r = once('/none');
	is $r->{status}, 204;
	ok $r->{end} && $r->{body} eq '' && !defined $r->{headers}{'content-length'};
	my $h = h2(1);
	$r = $h->response($h->request($h->head('HEAD', '/text')));
	is $r->{status}, 200;
	is $r->{headers}{'content-length'}, 5, 'HEAD tells the length';
	ok $r->{end} && $r->{body} eq '';
	my $tag = $r->{headers}{etag};
	$r = $h->response($h->get('/text', 'if-none-match' => $tag));
	is $r->{status}, 304;
	ok $r->{end} && $r->{body} eq '';
};

subtest 'files and pieces' => sub {
	my $r = once('/big');
	ok $r->{body} eq $big, 'a big file';
	cmp_ok((sort { $b <=> $a } @{ $r->{sizes} })[0], '<=', 8192, 'in pieces of 8k');
	$r = once('/chunk');
	ok $r->{body} eq $big;
	cmp_ok((sort { $b <=> $a } @{ $r->{sizes} })[0], '<=', 1000, 'http2_chunk_size');
};

subtest 'HTTP/1 and HTTP/2 on one port' => sub {
	like $w->get('/v', port => 1)->body, qr{^\|HTTP/1.1\|}, 'HTTP/1.1 on the same port';
	my $c = $w->connect(port => 1);
	$c->send('PR');
	$c->send("I * HTTP/2.0\r\n\r\nSM\r\n\r");
	my $h = Weir::H2->new(bless({ s => $c->socket }, 'Later'));
	is $h->response($h->get('/text'))->{body}, "text\n", 'a preface in pieces';
	$c = $w->connect(port => 1);
	$c->send('P');
	$c->send("UT /text HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
	is $c->response->status, 405, 'what only begins like one';
	$c = $w->connect(port => 2);
	$c->send(Weir::H2::PREFACE);
	like $c->read_all, qr{^HTTP/1.1 (400|505)}, 'no HTTP/2 where it is off';
	$h = h2(3);
	is $h->response($h->get('/'))->{body}, 'HTTP/2.0', 'listen ... http2';
};

package Later;
sub send { my ($self, $s) = @_; $s =~ s/^\QPRI * HTTP\/2.0\E\r\n\r\nSM\r\n\r//s; syswrite $self->{s}, $s; 1 }
sub fd { fileno $_[0]{s} }
sub socket { $_[0]{s} }
package main;

subtest 'ALPN' => sub {
	my $port = $w->port(4);
	my $alpn = sub {
		my ($offer, $sni) = @_;
		my $out = `echo | openssl s_client -connect 127.0.0.1:$port -servername $sni -alpn $offer 2>&1`;
		return $out =~ /no application protocol/i ? 'refused' : $out =~ /ALPN protocol: (\S+)/ ? $1 : $out;
	};
	is $alpn->('h2,http/1.1', 'localhost'), 'h2';
	is $alpn->('http/1.1,h2', 'localhost'), 'h2', 'our order counts';
	is $alpn->('http/1.1', 'localhost'), 'http/1.1';
	is $alpn->('h2,http/1.1', 'old.example'), 'http/1.1', 'the server that is asked for decides';
	is $alpn->('h3', 'localhost'), 'refused', 'nothing in common';
	my $out = `nghttp -t 10 https://localhost:$port/v 2>&1`;
	like $out, qr{h2\|HTTP/2.0\|https}, 'a real client';
	ok index(`nghttp -t 10 https://localhost:$port/big 2>&1`, $big) >= 0, 'a big file through TLS';
	$out = `h2load -n 500 -c 5 -m 10 https://127.0.0.1:$port/text 2>&1`;
	like $out, qr/500 succeeded, 0 failed/, 'h2load';
};

subtest 'bodies' => sub {
	for my $at ('/up', '/stream') {
		my $h = h2(1);
		my $body = 'x' x 30000;
		my $r = $h->response($h->request($h->head('POST', $at, 'content-length' => 30000), body => $body));
		ok $r->{body} eq $body, "$at: with a length";
		$r = $h->response($h->request($h->head('POST', $at), body => $body));
		ok $r->{body} eq $body, "$at: without";
		my $sid = $h->request($h->head('POST', $at), more => 1);
		$h->ping;
		$h->read_until(sub { $_[0]{type} == 6 });	# the head was read by itself
		$h->data($sid, 'ab');
		$h->data($sid, '', 0);
		$h->data($sid, 'cd', 1);
		is $h->response($sid)->{body}, 'abcd', "$at: in pieces";
		$sid = $h->request($h->head('POST', $at), body => 'abc', more => 1);
		$h->frame(1, 5, $sid, $h->block('x-trailer' => 1));
		is $h->response($sid)->{body}, 'abc', "$at: ended by trailers";
		$sid = $h->request($h->head('POST', $at), more => 1);
		$h->data($sid, '', 1);
		is $h->response($sid)->{status}, 200, "$at: empty";
	}
	my $h = h2(1);
	my $sid = $h->request($h->head('POST', '/stream', expect => '100-continue'), more => 1);
	$h->read_until(sub { $_[0]{type} == 1 });
	$h->data($sid, 'late', 1);
	is $h->response($sid)->{body}, 'late', '100-continue';
	my $port = $w->port(1);
	$w->write('body', $big);
	ok index(`nghttp -t 10 -d @{[ $w->dir ]}/body http://127.0.0.1:$port/up 2>&1`, $big) >= 0, 'a big one';
	ok index(`nghttp -t 10 -d @{[ $w->dir ]}/body http://127.0.0.1:$port/stream 2>&1`, $big) >= 0, 'streamed';
	$sid = $h->request($h->head('POST', '/text', 'content-length' => 100000), body => 'abc', more => 1);
	my $r = $h->response($sid);
	is $r->{status}, 405, 'answered before its body has come';
	$h->data($sid, 'x' x 1000);
	my ($rst) = grep { $_->{type} == 3 && $_->{sid} == $sid } $h->read_until(sub { $_[0]{type} == 3 });
	is unpack('N', $rst->{payload}), 0, 'the rest is not wanted';
};

subtest 'S-65 bodies that lie' => sub {
	for my $at ('/up', '/stream') {
		for (['less', 10, 'abc'], ['more', 2, 'abc'], ['none', 3, '']) {
			my ($how, $len, $body) = @$_;
			my $h = h2(1);
			my $sid = $h->request($h->head('POST', "$at/$how", 'content-length' => $len), more => 1);
			$h->ping;
			$h->read_until(sub { $_[0]{type} == 6 });
			$h->data($sid, $body, 1);
			my $r = $h->response($sid);
			is $r->{status}, 400, "$at: $how than its Content-Length says";
		}
	}
	my $r = once('/up', 'content-length' => 3);
	is $r->{status}, 400, 'Content-Length, and the head is all';
	is_deeply [grep { m{/(less|more|none) len=(\d+) .*body=(\d+)} && $2 == $3 } $w->origin_notes(9)], [], 'no origin saw one';
};

subtest 'what upstreams say' => sub {
	my $h = h2(1);
	my $r = $h->response($h->get('/up/hop'));
	is $r->{status}, 200;
	is $r->{headers}{'x-keep'}, 'YES';
	is_deeply [grep { defined $r->{headers}{$_} } qw(connection keep-alive upgrade x-drop transfer-encoding)], [],
	    'nothing about its connection';
	$r = $h->response($h->get('/up/hints'));
	is $r->{body}, 'x', 'behind a 103';
	$r = $h->response($h->get('/up/short'));
	is $r->{rst}, 2, 'a body that is cut short is a reset';
	is $h->response($h->get('/text'))->{body}, "text\n", 'and others go on';
};

subtest 'S-63 S-68 cookies and hosts' => sub {
	is once('/cookie', cookie => 'a=1', 'x' => 'y', cookie => 'b=2', cookie => 'c=3')->{body}, 'a=1; b=2; c=3|2';
	my $h = h2(1);
	$h->response($h->get('/up/c', cookie => 'a=1', cookie => 'b=2'));
	like +($w->origin_notes(9))[-1], qr/cookie=a=1; b=2 /, 'one field for an upstream';
	my @base = (':method' => 'GET', ':scheme' => 'http', ':path' => '/v');
	like $h->response($h->request([@base, host => 'h.example']))->{body}, qr/\|h.example\|h.example\|/, 'Host only';
	is $h->response($h->request([@base, ':authority' => 'a', host => 'a']))->{status}, 200, 'both, the same';
};

subtest 'S-61 S-62 S-63 S-64 S-67 malformed heads' => sub {
	my %base = (':method' => 'GET', ':scheme' => 'http', ':path' => '/v', ':authority' => 'localhost');
	my @order = qw(:method :scheme :path :authority);
	my $with = sub { my %b = (%base, @_); map { defined $b{$_} ? ($_ => $b{$_}) : () } @order };
	my @bad = (
		['no :method', $with->(':method' => undef)], ['no :path', $with->(':path' => undef)],
		['no :scheme', $with->(':scheme' => undef)], ['no :authority', $with->(':authority' => undef)],
		['empty :path', $with->(':path' => '')], ['empty :authority', $with->(':authority' => '')],
		['empty :scheme', $with->(':scheme' => '')], ['empty :method', $with->(':method' => '')],
		['no slash', $with->(':path' => 'v')], ['a blank', $with->(':path' => '/a b')],
		['a fragment', $with->(':path' => '/a#b')], ['CR LF', $with->(':path' => "/a\r\nX: 1")],
		['NUL', $with->(':path' => "/a\0b")], ['CR LF in a method', $with->(':method' => "GET\r\n")],
		['userinfo', $with->(':authority' => 'u@localhost')], ['CR LF in a host', $with->(':authority' => "a\r\nb")],
		['* but not OPTIONS', $with->(':path' => '*')],
		['twice :path', $with->(), ':path' => '/'], ['unknown', $with->(), ':foo' => '1'],
		['a response\'s', $with->(), ':status' => '200'], ['behind others', @{[$with->()]}[0 .. 5], 'a' => 'b', ':authority' => 'x'],
		['upper case', $with->(), 'X-Y' => 1], ['empty name', $with->(), '' => 1], ['a colon', $with->(), 'a:b' => 1],
		['a blank in a name', $with->(), 'a b' => 1], ['CR LF in a value', $with->(), 'a' => "b\r\nc: d"],
		['LF in a value', $with->(), 'a' => "b\nc"], ['NUL in a value', $with->(), 'a' => "b\0c"],
		['a blank before a value', $with->(), 'a' => ' b'], ['a blank behind a value', $with->(), 'a' => "b\t"],
		(map { [$_->[0], $with->(), @$_] } ['connection', 'close'], ['keep-alive', '1'], ['proxy-connection', 'x'],
		    ['upgrade', 'h9'], ['transfer-encoding', 'chunked'], ['te', 'gzip'], ['http2-settings', 'AA']),
		['another Host', $with->(), host => 'other'], ['two Hosts', $with->(), host => 'localhost', host => 'localhost'],
		['two lengths', $with->(), 'content-length' => 0, 'content-length' => 0],
		['no number', $with->(), 'content-length' => '+0'], ['extended CONNECT', $with->(), ':protocol' => 'websocket'],
		['CONNECT with a path', ':method' => 'CONNECT', ':path' => '/', ':authority' => 'a:1'],
	);
	my $h = h2(1);
	for my $b (@bad) {
		my ($what, @fields) = @$b;
		my $sid = $h->request(\@fields);
		my $r = $h->response($sid);
		is $r->{status}, 400, $what or diag explain $r;
		my ($rst) = grep { $_->{type} == 3 && $_->{sid} == $sid } $h->read_until(sub { $_[0]{type} == 3 });
		is unpack('N', $rst->{payload} // ''), 1, "$what: PROTOCOL_ERROR";
	}
	is $h->response($h->request([$with->(), te => 'trailers']))->{status}, 200, 'te: trailers';
	is $h->response($h->request([$with->(':method' => 'OPTIONS', ':path' => '*')]))->{rst}, undef, 'OPTIONS *';
	is $h->response($h->request([$with->(), expect => 'wonders']))->{status}, 417, 'an unknown expectation';
	is $h->response($h->request([':method' => 'CONNECT', ':authority' => 'a:1']))->{status}, 405, 'CONNECT';
	is $h->response($h->get('/field', 'x_b' => 1, 'x-a' => 2))->{body}, '2||', 'an underscore is dropped';
	my $sid = $h->request($h->head('POST', '/up'), body => 'abc', more => 1);
	$h->frame(1, 5, $sid, $h->block('connection' => 'x'));
	my $r = $h->response($sid);
	ok defined $r->{rst} || $r->{status} == 400, 'a trailer about the connection';
};

subtest 'S-82 many streams' => sub {
	my $h = h2(1);
	my @sid = map { $h->get("/field?$_", 'x-a' => "v$_") } 1 .. 100;
	is_deeply [map { $h->response($_)->{body} } @sid], [map { "v$_||" } 1 .. 100], '100 at once, each its own';
	$w->origin(8, sub { my ($c) = @_; $c->read_request; $c->eof; });
	$h = h2(3);
	my $one = $h->get('/slow');
	my $two = $h->get('/slow');
	my $three = $h->get('/');
	$h->read_until(sub { $_[0]{type} == 3 });
	$h->rst($one);
	is $h->response($h->get('/'))->{body}, 'HTTP/2.0', 'room again after a reset';
	$h = h2(3, raw => 1);
	$h->settings;
	$h->request($h->head('POST', '/'), body => 'x', more => 1);
	my ($rst) = grep { $_->{type} == 3 } $h->read_until(sub { $_[0]{type} == 3 });
	is unpack('N', $rst->{payload}), 7, 'REFUSED_STREAM: a body before settings are known';
};

subtest 'a body before anybody reads it' => sub {
	my $h = h2(3);
	$h->read_until(sub { $_[0]{type} == 4 && $_[0]{flags} & 1 });
	is $h->{settings}{4}, 10, 'http2_body_preread_size';
	my $sid = $h->request($h->head('POST', '/up'), more => 1);
	my ($more) = grep { $_->{type} == 8 && $_->{sid} == $sid }
	    $h->read_until(sub { $_[0]{type} == 8 && $_[0]{sid} == $sid });
	cmp_ok unpack('N', $more->{payload}), '>', 1000, 'more, when it is read';
	$h->data($sid, 'x' x 1000, 1);
	is length $h->response($sid)->{body}, 1000;
};

my %obsolete = (http2_recv_buffer_size => '256k', http2_pool_size => '4k', http2_streams_index_size => 32,
    http2_idle_timeout => '3m', http2_recv_timeout => '30s', http2_max_requests => 1000,
    http2_max_field_size => '4k', http2_max_header_size => '16k', http2_push => '/x',
    http2_push_preload => 'on', http2_max_concurrent_pushes => 10);
my ($code, undef, $err) = $w->test_conf("http {\n" . join('', map { "$_ $obsolete{$_};\n" } sort keys %obsolete) . "}\n");
is $code, 0, 'obsolete directives are no mistakes';
like $err, qr/\[warn\].*\Q$_\E: has no effect: /, "$_ warns" for sort keys %obsolete;

{
	my $h = Weir::H2->new($w->connect(port => 1));
	my $r = $h->response($h->get('/empty'));
	is "$r->{status} [$r->{body}] " . ($r->{trailers}{'x-last'} // 'none'), '200 [] yes', 'trailers of an empty body';
}

done_testing;
