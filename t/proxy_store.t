#!/usr/bin/perl
# proxy_store: responses become files, whole or not at all.

use strict;
use warnings;

use lib 't/lib';
use Weir;
use Test::More;

# effect: proxy_store proxy_store_access proxy_temp_path

my $w = Weir->new;
my $dir = $w->dir;
mkdir "$dir/$_" for qw(www kept);
chmod 0777, "$dir/$_" for qw(www kept);
$w->start(<<'E');
http {
	proxy_temp_path %DIR%/temp;
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		location / { proxy_store on; proxy_pass http://127.0.0.1:%PORT2%; }
		location /off/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location /path/ {
			proxy_store %DIR%/kept$arg_to;
			proxy_store_access group:rw all:r;
			proxy_pass http://127.0.0.1:%PORT2%;
		}
		location /direct/ { proxy_store on; proxy_buffering off; proxy_pass http://127.0.0.1:%PORT2%; }
		location /alias/ { alias %DIR%/kept/; proxy_store on; proxy_pass http://127.0.0.1:%PORT2%; }
		location /changed/ { proxy_store on; sub_filter here there; proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my $date = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
	if ($q->{uri} =~ /big/) {
		my $body = join '', map "line $_\n", 1 .. 50_000;
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
	} elsif ($q->{uri} =~ /cut/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all");
	} elsif ($q->{uri} =~ /404/) {
		$c->send("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone");
	} elsif ($q->{uri} =~ /empty/) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
	} elsif ($q->{uri} =~ /chunks/) {
		$c->send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
	} elsif ($q->{method} eq 'HEAD') {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
	} else {
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\n$date\r\nit's here");
	}
	$c->close;
});

sub mode { sprintf '%o', (stat $_[0])[2] & 0777 }

is $w->get('/a/b/c')->body, "it's here", 'a response';
is $w->read('www/a/b/c'), "it's here", 'is a file';
is mode("$dir/www/a/b/c"), '600', 'user:rw by default';
is((stat "$dir/www/a/b/c")[9], 784111777, 'with its own time');
is $w->get('/big')->body, $w->read('www/big'), 'a long one';
is $w->get('/direct/big')->body, $w->read('www/direct/big'), 'not buffered';
$w->get('/empty');
is $w->read('www/empty'), '', 'an empty one';
$w->get('/chunks');
is $w->read('www/chunks'), 'abc', 'one of unknown length';
is $w->get('/404')->body, 'none', 'other statuses';
is $w->read('www/404'), undef, 'are not kept';
$w->http("GET /cut HTTP/1.1\r\nHost: x\r\n\r\n");
is $w->read('www/cut'), undef, 'nor is what was cut short';
$w->request('HEAD', '/head');
is $w->read('www/head'), undef, 'nor an answer to HEAD';
$w->get('/off/x');
is $w->read('www/off/x'), undef, 'nor where nobody asks for it';

$w->get('/path/?to=/sub/x');
is $w->read('kept/sub/x'), "it's here", 'a path with variables';
is mode("$dir/kept/sub/x"), '664', 'proxy_store_access';
$w->get('/path/?to=/../www/evil');
is $w->read('www/evil'), undef, 'no way out of the folder';
$w->log_like(qr/proxy_store: .* is no path for a file/, 'it is logged');
$w->get('/alias/y');
is $w->read('kept/y'), "it's here", 'an alias';
is $w->get('/changed/z')->body, "it's there", 'what is changed for the client';
is $w->read('www/changed/z'), "it's here", 'is kept as it came';
is_deeply [glob "$dir/temp/*"], [], 'nothing is left behind';

for (['proxy_store "";', qr/empty path/], ['proxy_store_access all:x;', qr/invalid value "all:x"/],
    ['proxy_store $arg_x;', qr/begins with no folder/]) {
	my $bad = Weir->new;
	$bad->expect_alert(qr/./);
	my ($code, undef, $err) = $bad->test_conf(
	    "http { server { location / { proxy_pass http://127.0.0.1:1; $_->[0] } } }");
	isnt $code, 0, $_->[0];
	like $err, $_->[1], 'says why';
}

done_testing;
