#!/usr/bin/perl
# sub_filter: texts in bodies are replaced, wherever the bytes are cut.

use strict;
use warnings;

use lib 't/lib';
use Weir;
use Test::More;

# effect: sub_filter sub_filter_once sub_filter_types sub_filter_last_modified

my $w = Weir->new;
$w->write('www/a.html', 'The cat sat on the mat, the CAT.');
$w->write('www/a.txt', 'the cat');
$w->write('www/big.html', join '', map "line $_ of the needle\n", 1 .. 20000);
$w->start(<<'E');
http {
	types { text/html html; text/plain txt; }
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		sub_filter cat dog;
		location / { }
		location /all/ { alias %DIR%/www/; sub_filter_once off; sub_filter_last_modified on; }
		location /types/ { alias %DIR%/www/; sub_filter_types text/plain; }
		location /any/ { alias %DIR%/www/; sub_filter_types *; }
		location /several/ {
			alias %DIR%/www/;
			sub_filter_once off;
			sub_filter 'the cat' A;
			sub_filter 'the' B;
			sub_filter 'cat sat' C;
		}
		location /var/ {
			alias %DIR%/www/;
			sub_filter_once off;
			sub_filter $arg_from "[$arg_to]";
			sub_filter $arg_none x;
		}
		location /big/ { alias %DIR%/www/; sub_filter needle hay; sub_filter_once off; }
		location /grow/ { alias %DIR%/www/; sub_filter n 0123456789012345678901234567890123456789; sub_filter_once off; }
		location /up/ {
			sub_filter split whole;
			sub_filter_once off;
			proxy_pass http://127.0.0.1:%PORT2%/;
		}
		location /error { return 404; sub_filter 'Not Found' 'Gone fishing'; sub_filter_once off; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	if ($q->{uri} =~ /stream/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n");
		$c->send("9\r\none split\r\n");
		$c->read_n(1);		# nothing comes: the client must see the first part without more
	} elsif ($q->{uri} =~ /pieces/) {
		my @bytes = split //, 'a sPLIt sp split splisplit';
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"x\"\r\nTransfer-Encoding: chunked\r\n\r\n");
		$c->send("1\r\n$_\r\n") for @bytes;
		$c->send("0\r\n\r\n");
	} elsif ($q->{uri} =~ /coded/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\nETag: \"x\"\r\n" .
		    "Content-Length: 5\r\n\r\nsplit");
	} elsif ($q->{uri} =~ /cut/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 50\r\n\r\none split");
	}
	$c->close;
});

my $r = $w->get('/a.html');
is $r->body, 'The dog sat on the mat, the CAT.', 'once';
is $r->header('Content-Length'), undef, 'the length is not known';
is $r->header('Last-Modified'), undef, 'no Last-Modified';
is $r->header('ETag'), undef, 'no ETag';
is $r->header('Accept-Ranges'), undef, 'no ranges';
is $w->get('/a.html', Range => 'bytes=0-1')->status, 200, 'a range is not cut out';
is $w->get('/a.txt')->body, 'the cat', 'other types are left alone';
ok $w->get('/a.txt')->header('ETag'), 'and keep their ETag';
$r = $w->request('HEAD', '/a.html');
is $r->header('Content-Length'), undef, 'HEAD says the same';

$r = $w->get('/all/a.html');
is $r->body, 'The dog sat on the mat, the dog.', 'again and again, in any case';
like $r->header('ETag'), qr{^W/"}, 'the ETag is weakened';
ok $r->header('Last-Modified'), 'Last-Modified stays';
is $w->get('/types/a.txt')->body, 'the dog', 'sub_filter_types';
is $w->get('/types/a.html')->body, 'The dog sat on the mat, the CAT.', 'text/html is among them';
is $w->get('/any/a.txt')->body, 'the dog', 'all types';

is $w->get('/several/a.html')->body, 'A sat on B mat, A.', 'leftmost, then the first written';
is $w->get('/var/a.html?from=AT&to=x')->body, 'The c[x] s[x] on the m[x], the C[x].', 'variables in both';
is $w->get('/var/a.html')->body, 'The cat sat on the mat, the CAT.', 'empty patterns match nothing';

my $big = $w->read('www/big.html');
(my $want = $big) =~ s/needle/hay/g;
ok $w->get('/big/big.html')->body eq $want, 'a long file';
($want = $big) =~ s/n/0123456789012345678901234567890123456789/g;
ok $w->get('/grow/big.html')->body eq $want, 'one that grows';

$r = $w->get('/up/pieces');
is $r->body, 'a whole sp whole spliwhole', 'byte by byte';
$r = $w->get('/up/coded');
is $r->body, 'split', 'what is compressed is left alone';
is $r->header('ETag'), '"x"', 'as is its head';
like $w->get('/error')->body, qr/Gone fishing.*Gone fishing/s, 'error pages too';

my $c = $w->connect;
$c->send("GET /up/stream HTTP/1.1\r\nHost: x\r\n\r\n");
ok $c->read_until(qr/whole/), 'what came is sent on before more comes';
$c->close;

like $w->http("GET /up/cut HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), qr/one whole\r\n\z/,
    'a body cut short stays cut short';

my $bad = Weir->new;
$bad->expect_alert(qr/empty search pattern/);
my ($code, undef, $err) = $bad->test_conf('http { server { sub_filter "" x; } }');
isnt $code, 0, 'an empty pattern';
like $err, qr/empty search pattern/, 'is refused';

done_testing;
