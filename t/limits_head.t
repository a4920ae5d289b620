#!/usr/bin/perl
# What a client may send and how long it may take: client_*, keepalive_*, lingering_*, limit_rate.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: client_header_timeout client_header_buffer_size large_client_header_buffers max_headers
# effect: ignore_invalid_headers underscores_in_headers client_body_timeout client_max_body_size
# effect: client_body_buffer_size client_body_in_file_only client_body_in_single_buffer
# effect: keepalive_min_timeout client_body_temp_path keepalive_timeout keepalive_requests keepalive_time
# effect: keepalive_disable lingering_close lingering_time lingering_timeout send_timeout
# effect: reset_timedout_connection limit_rate limit_rate_after satisfy tcp_nodelay

my $w = Weir->new;
my $big = 'x' x 8_000_000;
$w->write('html/big', $big);
$w->write('html/small', 'y' x 100);
$w->start(<<'E');
http {
	client_body_in_single_buffer on;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "$http_a|$http_b_c|$http_b_d"; }
		location /odd { proxy_pass http://127.0.0.1:%PORT8%; }
	}
	server {	# small heads
		listen 127.0.0.1:%PORT2%;
		client_header_buffer_size 256;
		large_client_header_buffers 2 512;
		max_headers 10;
		location / { return 200 fine; }
	}
	server {	# names of fields
		listen 127.0.0.1:%PORT3%;
		ignore_invalid_headers off;
		underscores_in_headers on;
		location / { return 200 "$http_b_c"; }
		location /odd { proxy_pass http://127.0.0.1:%PORT8%; }
	}
	server {	# times
		listen 127.0.0.1:%PORT4%;
		client_header_timeout 300ms;
		client_body_timeout 300ms;
		send_timeout 300ms;
		location / { return 200 fine; }
		location /read { proxy_pass http://127.0.0.1:%PORT9%; }
		location /big { }
		location /reset/ { alias html/; reset_timedout_connection on; }
	}
	server {	# bodies
		listen 127.0.0.1:%PORT5%;
		client_max_body_size 1000;
		location / { proxy_pass http://127.0.0.1:%PORT9%; }
		location /small { client_max_body_size 10; proxy_pass http://127.0.0.1:%PORT9%; }
		location /any { client_max_body_size 0; proxy_pass http://127.0.0.1:%PORT9%; }
		location /file { client_body_in_file_only on; client_body_temp_path %DIR%/kept;
			proxy_pass http://127.0.0.1:%PORT9%; proxy_set_header X-File $request_body_file; }
		location /clean { client_body_in_file_only clean; client_body_temp_path %DIR%/cleaned;
			proxy_pass http://127.0.0.1:%PORT9%; proxy_set_header X-File $request_body_file; }
		location /buffer { client_max_body_size 1m; client_body_buffer_size 1k; client_body_temp_path %DIR%/spilled 1 2;
			proxy_pass http://127.0.0.1:%PORT9%; proxy_set_header X-File $request_body_file; }
		location /buffer/large { client_max_body_size 1m; client_body_buffer_size 100k;
			proxy_pass http://127.0.0.1:%PORT9%; proxy_set_header X-File $request_body_file; }
	}
	server {	# connections
		listen 127.0.0.1:%PORT6%;
		keepalive_timeout 300ms 20s;
		keepalive_requests 3;
		location / { return 200 fine; }
		location /never { keepalive_timeout 0; return 200 fine; }
		location /old { keepalive_time 1ms; return 200 fine; }
		location /safari { keepalive_disable safari; return 200 fine; }
		location /msie { return 200 fine; }
		location /none { keepalive_disable none; return 200 fine; }
		location /delay { tcp_nodelay off; return 200 fine; }
		location /linger-off { lingering_close off; return 200 fine; }
		location /linger-on { lingering_time 10s; lingering_timeout 300ms; return 200 fine; }
		location /linger-short { lingering_close always; lingering_time 300ms; lingering_timeout 10s; keepalive_timeout 0; return 200 fine; }
	}
	server {	# rates
		listen 127.0.0.1:%PORT7%;
		location / { limit_rate 100k; }
		location /after/ { alias html/; limit_rate 1; limit_rate_after 600; }
		location /var/ { alias html/; limit_rate $arg_rate; }
		location /head/ {
			limit_rate 1000;
			set $l 0123456789012345678901234567890123456789;
			set $l $l$l$l$l$l;
			add_header X-Large $l$l$l$l$l$l$l$l$l$l;
			return 200 fine;
		}
		location /any { satisfy any; allow 127.0.0.2; deny all; }
		location /all { satisfy all; allow 127.0.0.1; deny all; return 200 fine; }
	}
}
E

$w->origin(9, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $file = $q->{headers}{'x-file'};
		$file = $file->[0] if ref $file;
		my $text = length($q->{body}) . ' ' . ($file // '-') . ' ' . (defined $file && -e $file ? -s _ : 'none');
		$c->send('HTTP/1.1 200 OK' . "\r\nContent-Length: " . length($text) . "\r\n\r\n$text");
	}
});

$w->origin(8, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my ($v) = $q->{head} =~ /^B\.C: (.*?)\r?$/m;
	$v //= '';
	$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($v) . "\r\n\r\n$v");
});

# ---- heads ----

sub status { my ($port, $raw) = @_; my $c = $w->connect(port => $port); $c->send($raw); my $r = $c->response('GET'); return $r ? $r->status : 'none' }
sub head { "GET $_[0] HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" . join('', map "$_\r\n", @_[1 .. $#_]) . "\r\n" }

is status(2, head('/')), 200, 'a small head';
is status(2, head('/' . 'a' x 300)), 200, 'a line within large_client_header_buffers';
is status(2, head('/' . 'a' x 600)), 414, 'a longer first line';
is status(2, head('/', 'A: ' . 'a' x 600)), 431, 'a longer field (Q-115)';
is status(2, head('/', map "A$_: " . 'a' x 400, 1 .. 4)), 431, 'too much together';
is status(2, head('/', map "A$_: a", 1 .. 8)), 200, 'max_headers';
is status(2, head('/', map "A$_: a", 1 .. 9)), 431, 'one more';
is status(1, head('/', map "A$_: a", 1 .. 900)), 200, 'max_headers is 1000';
is status(1, head('/', map "A$_: a", 1 .. 1000)), 431, 'one more';
is status(1, head('/', 'A: ' . 'a' x 8000)), 200, 'lines of 8k';
is status(1, head('/', 'A: ' . 'a' x 8200)), 431, 'no more';

is $w->get('/', A => 'a', 'B_C' => 'c', 'B-D' => 'd')->body, 'a||d', 'underscores_in_headers off: dropped (S-38)';
is $w->get('/odd', A => 'a', 'B.C' => 'c')->body, '', 'ignore_invalid_headers on: dropped';
is $w->request('GET', '/', [ 'B_C' => 'c' ], undef, port => 3)->body, 'c', 'underscores_in_headers on';
is $w->request('GET', '/odd', ['B.C' => 'c'], undef, port => 3)->body, 'c', 'ignore_invalid_headers off: let through';
is status($_, head('/', 'B@C: c')), 400, 'what HTTP does not allow is refused' for 1, 3;

# ---- times ----

sub lasts
{
	my ($c, $least, $most, $name) = @_;
	my $t = time;
	$c->read_all;
	my $took = time - $t;
	ok $took >= $least && $took <= slack($most), "$name: " . sprintf '%.2f s', $took;
}

my $c = $w->connect(port => 4);
$c->send("GET / HTTP/1.1\r\nHost: x\r\n");
my $t = time;
my $r = $c->response('GET');
is $r ? $r->status : 'closed', 408, 'client_header_timeout: 408';
cmp_ok time - $t, '<', slack(3), 'in time';
$c = $w->connect(port => 4);
lasts $c, 0.2, 3, 'a connection that says nothing';
$c = $w->connect(port => 4);
$c->send("POST /read HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc");
$r = $c->response('POST');
is $r ? $r->status : 'none', 408, 'client_body_timeout: 408';

for my $uri ('/big', '/reset/big') {
	$c = $w->connect(port => 4);
	setsockopt $c->socket, Socket::SOL_SOCKET(), Socket::SO_RCVBUF(), 4096;
	$c->send("GET $uri HTTP/1.1\r\nHost: x\r\n\r\n");
	ok $w->wait_log(qr/timed out.*GET \Q$uri\E /), "$uri: send_timeout is logged";
	$c->timeout(1);		# the kernel goes on with what it has, slowly
	my $text = $c->read_all;
	cmp_ok length $text, '<', length $big, "$uri: the body is cut short";
	if ($uri eq '/reset/big') {
		ok $c->was_reset, 'reset_timedout_connection on: by a reset';
	}
}

# ---- bodies ----

sub post { my ($uri, $body, @h) = @_; return $w->request('POST', $uri, [@h], $body, port => 5) }
sub chunked { my ($uri, @chunks) = @_; return $w->request('POST', $uri, ['Transfer-Encoding' => 'chunked'],
	join('', map sprintf("%x\r\n%s\r\n", length, $_), @chunks) . "0\r\n\r\n", port => 5) }

is post('/', 'x' x 1000)->body, '1000 - none', 'client_max_body_size';
is post('/', 'x' x 1001)->status, 413, 'one byte more';
is chunked('/', ('x' x 100) x 10)->status, 200, 'in chunks';
is chunked('/', ('x' x 100) x 11)->status, 413, 'in chunks, more (Q-114)';
is post('/small', 'x' x 11)->status, 413, 'in a location';
is post('/any', 'x' x 2_000_000)->body, '2000000 - none', '0: any';
$w->log_like(qr/client intended to send too large body: 1001 bytes/, 'logged');

$r = post('/file', 'x' x 500);
my ($len, $file, $size) = split ' ', $r->body;
like $file, qr/^\Q@{[ $w->dir ]}\E\/kept\//, 'client_body_in_file_only on: a file';
is $size, 500, 'with the body';
ok -e $file, 'it stays';
$r = post('/clean', 'x' x 500);
($len, $file, $size) = split ' ', $r->body;
like $file, qr/^\Q@{[ $w->dir ]}\E\/cleaned\//, 'client_body_in_file_only clean: a file';
ok wait_for(sub { !-e $file }), 'it is removed';
is post('/buffer', 'x' x 100_000)->status, 200, 'larger than client_body_buffer_size';
is +(split ' ', post('/buffer', 'x' x 100_000)->body)[0], 100_000, 'nothing is lost';
is +(split ' ', post('/buffer/large', 'x' x 90_000)->body)[0], 90_000, 'within client_body_buffer_size';
ok -d $w->dir . '/spilled', 'client_body_temp_path is made';
ok -d $w->dir . '/client_body_temp', 'and the default one';
$w->log_like(qr/client_body_temp_path: levels of folders have no effect/, 'levels are warned of');

# ---- connections ----

sub req { my ($uri, @h) = @_; return "GET $uri HTTP/1.1\r\nHost: x\r\n" . join('', map "$_\r\n", @h) . "\r\n" }

$c = $w->connect(port => 6);
$c->send(req('/'));
$r = $c->response;
is $r->header('Keep-Alive'), 'timeout=20', 'keepalive_timeout: the second time is told';
lasts $c, 0.2, 3, 'keepalive_timeout';
$c = $w->connect(port => 6);
$c->send(req('/') x 4);
is_deeply [map { my $r = $c->response; $r ? $r->header('Connection') // '' : 'none' } 1 .. 4],
    ['keep-alive', 'keep-alive', 'close', 'none'], 'keepalive_requests';
for (['/never', 'close'], ['/old', 'close'], ['/delay', 'keep-alive']) {
	$c = $w->connect(port => 6);
	if ($_->[0] eq '/old') {	# old enough
		$c->send(req('/'));
		$c->response;
		select undef, undef, undef, 0.01;
	}
	$c->send(req($_->[0]));
	is $c->response->header('Connection'), $_->[1], $_->[0];
}
my $safari = 'User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X) AppleWebKit Safari/600';
my $msie = 'User-Agent: Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1)';
for (['/safari', $safari, 'close'], ['/', $safari, 'keep-alive'], ['/none', $safari, 'keep-alive']) {
	$c = $w->connect(port => 6);
	$c->send(req($_->[0], $_->[1]));
	is $c->response->header('Connection'), $_->[2], "keepalive_disable: $_->[0], Safari";
}
for (['/msie', 'close'], ['/none', 'keep-alive']) {
	$c = $w->connect(port => 6);
	$c->send("POST $_->[0] HTTP/1.1\r\nHost: x\r\n$msie\r\nContent-Length: 1\r\n\r\nx");
	is $c->response->header('Connection'), $_->[1], "keepalive_disable: $_->[0], POST of an old browser";
}

# lingering: what else comes is read for a while
sub linger
{
	my ($uri) = @_;
	my $c = $w->connect(port => 6);
	$c->send("POST $uri HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\nabc");
	is $c->response('POST')->status, 200, "$uri: an answer before the body";
	return $c;
}
# After its FIN weir reads on; a reset shows when it does no more.
sub closed { my ($c) = @_; return wait_for(sub { !$c->send('x') }) }

my $c1 = linger('/linger-on');
$t = time;
ok $c1->send('y' x 1000), 'the rest may come';
ok closed_after($c1, 0.2), 'lingering_timeout: until nothing came for a while';
$c1 = linger('/linger-short');
my $until = time + 5;
my $n = 0;
while (time < $until && $c1->send('z')) { $n++; select undef, undef, undef, 0.05 }
cmp_ok time, '<', $until, 'lingering_time: however much comes';
cmp_ok $n, '>=', 3, 'but until then';
$c1 = linger('/linger-off');
ok closed($c1), 'lingering_close off: at once';

sub closed_after
{
	my ($c, $least) = @_;
	my $t = time;
	# silent: only weir's close ends it, which a later write finds out
	select undef, undef, undef, 0.8;
	$c->send('x');
	return wait_for(sub { !$c->send('x') }) && time - $t >= $least;
}

# ---- rates ----

$t = time;
$r = $w->request('GET', '/big', [Range => 'bytes=0-149999'], undef, port => 7);
is length $r->body, 150_000, 'limit_rate';
my $took = time - $t;
ok $took > 0.3 && $took < slack(5), sprintf '150 kB at 100 kB/s, the first second at once: %.2f s', $took;
$t = time;
is length $w->request('GET', '/after/small', [], undef, port => 7)->body, 100, 'limit_rate_after';
cmp_ok time - $t, '<', slack(2), 'the first bytes are free, of the head too';
$t = time;
is length $w->request('GET', '/var/small?rate=0', [], undef, port => 7)->body, 100, 'limit_rate 0 by a variable';
cmp_ok time - $t, '<', slack(2), 'no limit';
$t = time;
is length $w->request('GET', '/var/small?rate=150', [], undef, port => 7)->body, 100, 'limit_rate by a variable';
cmp_ok time - $t, '>', 0.4, 'a limit';
$t = time;
$r = $w->request('GET', '/head/', [], undef, port => 7);
is length $r->header('X-Large'), 2000, 'a large head with limit_rate';
is $r->body, 'fine';
cmp_ok time - $t, '>', 0.9, 'is limited, too';
{
	my $c = $w->connect(port => 7);
	$c->send("GET /head/ HTTP/1.1\r\nHost: a\r\n\r\n");
	like $c->read_n(900), qr{^HTTP/1.1 200 OK\r\n}, 'it begins at once';
	$c->reset;
}

is $w->request('GET', '/any', [], undef, port => 7)->status, 403, 'satisfy any: nobody vouches';
is $w->request('GET', '/all', [], undef, port => 7)->body, 'fine', 'satisfy all';

$w->log_like(qr/\[warn\].*client_body_in_single_buffer: has no effect/, 'warned');
is $w->stop, 0, 'stop';

# ---- keepalive_min_timeout: idle connections of a worker that goes ----

{
	my $v = Weir->new;
	$v->start('http { server { listen 127.0.0.1:%PORT1%; location / { return 200 x; }
		location /min { keepalive_min_timeout 700ms; return 200 x; } } }');
	my %c;
	for my $uri ('/', '/min') {
		$c{$uri} = $v->connect;
		$c{$uri}->send(req($uri));
		$c{$uri}->response;
	}
	my $t = time;
	$v->kill('QUIT');
	$c{'/'}->read_all;
	cmp_ok time - $t, '<', slack(0.5), 'an idle connection ends when the worker goes';
	$c{'/min'}->send(req('/min'));
	my $r = $c{'/min'}->response;
	is $r && $r->header('Connection'), 'close', 'keepalive_min_timeout: another request is answered';
	is $v->stop, 0, 'and then it goes';
}

# ---- mistakes: S-251 ----

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for ('client_max_body_size 1e9g;', 'client_max_body_size -1;', 'client_max_body_size "10 m";',
    'client_max_body_size 99999999999999999999;', 'client_header_timeout x;', 'client_header_timeout -1s;',
    'client_header_timeout 99999999999y;', 'large_client_header_buffers 4;', 'large_client_header_buffers 0 8k;',
    'large_client_header_buffers 4 1g;', 'max_headers 0;', 'max_headers x;', 'keepalive_timeout x;',
    'keepalive_timeout 1 2 3;', 'keepalive_requests 2147483648;', 'keepalive_disable opera;',
    'lingering_close sometimes;', 'limit_rate x;', 'limit_rate_after -5;', 'satisfy some;',
    'client_body_in_file_only yes;', 'client_body_temp_path a 9;', 'send_timeout 1h 1d;',
    'underscores_in_headers maybe;', 'merge_slashes 1;') {
	my ($code, undef, $err) = $w->test_conf("http { server { listen %PORT1%; $_ } }");
	is $code, 1, $_;
	like $err, qr/weir\.conf:1:\d+: \w+: /, 'where';
}

done_testing;
