#!/usr/bin/env perl
# realip.t - who the client is, when trusted proxies say so; Forwarded towards upstreams.
#
# Rows of security.md: S-200.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: set_real_ip_from real_ip_header real_ip_recursive forwarded

my $w = Weir->new;
$w->start(<<'E');
http {
	log_format who '$remote_addr $remote_port $realip_remote_addr $uri';
	access_log %DIR%/access.log who;
	geo $place { default far; 192.0.2.0/24 near; }
	server {
		listen 127.0.0.1:%PORT1%;
		listen unix:%DIR%/sock;
		root %DIR%;
		location /none { return 200 "$remote_addr"; }
		# return comes before realip of a location, so these answer with a field
		add_header X-IP "$remote_addr!$remote_port!$realip_remote_addr!$realip_remote_port";
		location /default { set_real_ip_from 127.0.0.1; try_files /x =204; }
		location /xff { set_real_ip_from 127.0.0.0/8; real_ip_header X-Forwarded-For; try_files /x =204; }
		location /other { set_real_ip_from 126.0.0.0/8; try_files /x =204; }
		location /unix { set_real_ip_from unix:; try_files /x =204; }
		location /name { set_real_ip_from localhost; try_files /x =204; }
		location /custom { set_real_ip_from 127.0.0.1; real_ip_header X-Who-Is-It; try_files /x =204; }
		location /rec {
			set_real_ip_from 127.0.0.1;
			set_real_ip_from 10.0.0.0/8;
			set_real_ip_from 2001:db8:1::/48;
			real_ip_header X-Forwarded-For;
			real_ip_recursive on;
			try_files /x =204;
			location /rec/off { real_ip_recursive off; try_files /x =204; }
			location /rec/own { set_real_ip_from 127.0.0.1; try_files /x =204; }
		}
		location /deny { set_real_ip_from 127.0.0.1; deny 192.0.2.1; try_files /x =204; }
		location /except { set_real_ip_from 127.0.0.1; allow 192.0.2.1; deny all; try_files /x =204; }
		location /geo { set_real_ip_from 127.0.0.1; add_header X-Place $place; try_files /x =204; }
		location /redirect { set_real_ip_from 127.0.0.1; try_files /x /rec/after; }
		location /error { set_real_ip_from 127.0.0.1; error_page 404 = /rec/after; }
		location /log { set_real_ip_from 127.0.0.1; deny all; }
		location /binary { set_real_ip_from 127.0.0.1; add_header X-Bin $binary_remote_addr; try_files /x =204; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		set_real_ip_from 127.0.0.1;
		set $early $remote_addr;
		if ($remote_addr = 192.0.2.66) { return 403; }
		location / { real_ip_header X-Forwarded-For; return 200 "$early $remote_addr"; }
	}
	server {
		listen 127.0.0.1:%PORT3%;
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_set_header X-Real-IP $remote_addr;
		proxy_set_header X-Forwarded-Proto $scheme;
		proxy_set_header X-Forwarded-Host $host;
		forwarded on;
		location / { proxy_pass http://127.0.0.1:%PORT4%; }
		location /trusted { set_real_ip_from 127.0.0.1; real_ip_header X-Forwarded-For; proxy_pass http://127.0.0.1:%PORT4%; }
		location /bare { set_real_ip_from 127.0.0.1; proxy_pass_request_headers off; proxy_pass http://127.0.0.1:%PORT4%; }
		location /by { forwarded on by; proxy_pass http://127.0.0.1:%PORT4%; }
		location /name { forwarded on by=_edge-1; proxy_pass http://127.0.0.1:%PORT4%; }
		location /off { forwarded off; proxy_pass http://127.0.0.1:%PORT4%; }
		location /set { proxy_set_header Forwarded mine; proxy_pass http://127.0.0.1:%PORT4%; }
		location /bind { set_real_ip_from 127.0.0.1; proxy_bind $remote_addr; proxy_pass http://127.0.0.1:%PORT5%; }
	}
	server {
		listen unix:%DIR%/front;
		forwarded on by;
		location / { proxy_pass http://127.0.0.1:%PORT4%; }
	}
	server { listen 127.0.0.1:%PORT4%; location / { return 200 "$http_forwarded|$http_x_forwarded_for|$http_x_real_ip"; } }
	server { listen 127.0.0.1:%PORT5%; location / { return 200 $remote_addr; } }
}
E

sub ip
{
	my ($uri, @h) = @_;
	return ($w->get($uri, @h)->header('X-IP') // '') =~ s/!.*//r;
}
sub xff { ip($_[0], map { ('X-Forwarded-For' => $_) } @_[1 .. $#_]) }

# ---- nobody is trusted unless told (S-200, Q-93) ----

is $w->get('/none', 'X-Real-IP' => '192.0.2.1', 'X-Forwarded-For' => '192.0.2.2')->body, '127.0.0.1', 'nobody is trusted';
is ip('/other', 'X-Real-IP' => '192.0.2.1'), '127.0.0.1', 'another is trusted';
is ip('/default', 'X-Real-IP' => '192.0.2.1'), '192.0.2.1', 'an address is trusted';
is ip('/default', 'X-Forwarded-For' => '192.0.2.1'), '127.0.0.1', 'X-Real-IP is the default';
is ip('/default'), '127.0.0.1', 'without the field';
is ip('/custom', 'X-Who-Is-It' => '192.0.2.1'), '192.0.2.1', 'any field';
is ip('/custom', 'X-Who-Is-It' => '192.0.2.1', 'x-who-is-it' => '192.0.2.2'), '192.0.2.2',
    'of several the last counts: the first may be the client\'s own';
is xff('/xff', '192.0.2.1'), '192.0.2.1', 'a range is trusted';
is ip('/name', 'X-Real-IP' => '192.0.2.1'), '192.0.2.1', 'a host name';
is ip('/unix', 'X-Real-IP' => '192.0.2.1'), '127.0.0.1', 'unix: is not TCP';
like $w->request('GET', '/unix', ['X-Real-IP' => '192.0.2.1'], undef, unix => $w->dir . '/sock')->header('X-IP'),
    qr/^192\.0\.2\.1!!unix:!$/, 'unix: is trusted';
like $w->request('GET', '/default', ['X-Real-IP' => '192.0.2.1'], undef, unix => $w->dir . '/sock')->header('X-IP'),
    qr/^unix:!/, 'unix: is not trusted unless told';

# ---- what may stand there ----

like $w->get('/default', 'X-Real-IP' => $_->[0])->header('X-IP'), qr/^\Q$_->[1]\E!127\.0\.0\.1!\d+$/, "value $_->[0]" for
    ['192.0.2.1', '192.0.2.1!'], ['192.0.2.1:8080', '192.0.2.1!8080'], ['2001:DB8::1', '2001:db8::1!'],
    ['[2001:db8::1]', '2001:db8::1!'], ['[2001:db8::1]:443', '2001:db8::1!443'], ['::ffff:192.0.2.9', '::ffff:192.0.2.9!'],
    ['198.51.100.1, 192.0.2.1', '192.0.2.1!'], ['198.51.100.1,192.0.2.1 , ', '192.0.2.1!'];
is ip('/default', 'X-Real-IP' => $_), '127.0.0.1', "no address: $_" for 'unknown', '192.0.2.1:0', '192.0.2.1:65536',
    '192.0.2.1:', '[2001:db8::1', '[192.0.2.1]', '2001:db8::1:443:x', ',', '192.0.2.1:80:80', 'for=192.0.2.1', '192.0.2',
    ':80', '8080';

# ---- the rightmost that is not trusted ----

is xff('/rec', '203.0.113.1, 192.0.2.1'), '192.0.2.1', 'the last';
is xff('/rec', '203.0.113.1, 192.0.2.1, 10.1.1.1'), '192.0.2.1', 'behind a trusted one';
is xff('/rec', '203.0.113.1, 192.0.2.1, 10.1.1.1, 2001:db8:1::5'), '192.0.2.1', 'behind two';
is xff('/rec', '10.1.1.1, 10.2.2.2'), '10.1.1.1', 'all are trusted';
is xff('/rec', '192.0.2.1, junk, 10.2.2.2'), '10.2.2.2', 'no further than what can be read';
is xff('/rec', '192.0.2.1', '10.2.2.2'), '192.0.2.1', 'two fields are one list';
is xff('/rec', '203.0.113.1', '192.0.2.1', '10.2.2.2, 10.3.3.3'), '192.0.2.1', 'three';
is xff('/rec', '203.0.113.1', '', '192.0.2.1', '10.1.1.1'), '192.0.2.1', 'an empty one between';
is xff('/rec/off', '192.0.2.1, 10.1.1.1'), '10.1.1.1', 'not recursive: the last';
is xff('/rec/off', '192.0.2.1', '10.1.1.1'), '10.1.1.1', 'not recursive: the last of the last field';
is xff('/rec/own', '192.0.2.1, 10.1.1.1'), '10.1.1.1', 'a place with networks has none of the others';

# ---- consumers ----

is $w->get('/deny', 'X-Real-IP' => '192.0.2.1')->status, 403, 'deny';
is $w->get('/deny', 'X-Real-IP' => '192.0.2.2')->status, 204, 'deny another';
is $w->get('/except', 'X-Real-IP' => '192.0.2.1')->status, 204, 'allow';
is $w->get('/except', 'X-Real-IP' => '192.0.2.2')->status, 403, 'allow another only';
is $w->get('/geo', 'X-Real-IP' => '192.0.2.2')->header('X-Place'), 'near', 'geo';
is $w->get('/geo')->header('X-Place'), 'far', 'geo without it';
is $w->get('/binary', 'X-Real-IP' => '65.66.67.68')->header('X-Bin'), 'ABCD', '$binary_remote_addr';
is ip('/redirect', 'X-Real-IP' => '192.0.2.1', 'X-Forwarded-For' => '203.0.113.9'), '192.0.2.1',
    'found once: not again after a redirect';
is ip('/error', 'X-Real-IP' => '192.0.2.1', 'X-Forwarded-For' => '203.0.113.9'), '192.0.2.1', 'nor for an error page';
is $w->get('/log', 'X-Real-IP' => '192.0.2.77')->status, 403, 'refused';
$w->log_like(qr/access forbidden by rule, client: 192\.0\.2\.77, server: /, 'the error log names the client');
ok wait_for(sub { grep /^192\.0\.2\.77  127\.0\.0\.1 \/log$/, $w->access }), 'the access log too';
is $w->request('GET', '/bind', ['X-Real-IP' => '127.0.0.9'], undef, port => 3)->body, '127.0.0.9', 'proxy_bind $remote_addr';

# ---- the server's level is first, the location's second ----

sub two { $w->request('GET', '/', [@_], undef, port => 2) }
is two('X-Real-IP' => '192.0.2.1')->body, '192.0.2.1 192.0.2.1', 'set and return of a server see it';
is two('X-Real-IP' => '192.0.2.66')->status, 403, 'if of a server sees it';
is two('X-Forwarded-For' => '192.0.2.1')->body, '127.0.0.1 127.0.0.1', 'return comes before the location is asked';

# ---- each request of a connection anew ----

{
	my $c = $w->connect;
	my @got;
	for ('X-Real-IP: 192.0.2.1', 'X-Real-IP: 192.0.2.2:5', 'X-Nothing: 1') {
		$c->send("GET /default HTTP/1.1\r\nHost: x\r\n$_\r\n\r\n");
		push @got, ($c->response->header('X-IP') =~ /^([^!]*!\d*)/)[0];
	}
	like "@got", qr/^192\.0\.2\.1! 192\.0\.2\.2!5 127\.0\.0\.1!\d+$/, 'keep-alive';
}

# ---- a tunnel remembers ----

$w->origin(6, sub {
	my ($c) = @_;
	$c->read_request;
	$c->send("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
	$c->send($c->read_n(2));
});
{
	my $t = Weir->new;
	$t->start($w->expand(<<'E') =~ s/DIR/$t->dir/ger);
http {
	log_format who '$remote_addr $remote_port $realip_remote_addr';
	access_log DIR/access.log who;
	server {
		listen unix:DIR/sock;
		set_real_ip_from unix:;
		location / { proxy_pass http://127.0.0.1:%PORT6%; }
	}
}
E
	my $c = $t->connect(unix => $t->dir . '/sock');
	$c->send("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\nX-Real-IP: 192.0.2.5:77\r\n\r\nhi");
	like $c->read_all, qr/ 101 .*hi$/s, 'a tunnel';
	$c->close;
	is_deeply [$t->access('access.log', 1)], ['192.0.2.5 77 unix:'], 'its log line has the client';
	is $t->stop, 0, 'its end';
}

# ---- towards upstreams (S-200, Q-66) ----

sub up { my ($uri, @h) = @_; $w->request('GET', $uri, [Host => 'a.example:8080', @h], undef, port => 3)->body }
my $ours = 'for=127.0.0.1;host="a.example:8080";proto=http';

is up('/'), "$ours|127.0.0.1|127.0.0.1", 'nothing came';
is up('/', 'X-Forwarded-For' => '1.1.1.1', 'X-Real-IP' => '1.1.1.1', Forwarded => 'for=1.1.1.1'),
    "$ours|1.1.1.1, 127.0.0.1|127.0.0.1", 'from an untrusted client: overwritten or appended';
is up('/trusted', Forwarded => 'for=1.1.1.1;proto=https'), "for=1.1.1.1;proto=https, $ours|127.0.0.1|127.0.0.1",
    'Forwarded of a trusted proxy is appended to';
is up('/trusted', Forwarded => 'for=1.1.1.1', forwarded => 'for=_x'), "for=1.1.1.1, for=_x, $ours|127.0.0.1|127.0.0.1", 'two fields';
is up('/trusted', Forwarded => 'for="1.1.1.1'), "$ours|127.0.0.1|127.0.0.1", 'an open quote is not passed on';
like up('/trusted', Forwarded => 'for="\\""'), qr/^for="\\"", \Q$ours\E\|/, 'a closed one is';
is up('/trusted', 'X-Forwarded-For' => '192.0.2.1'), 'for=192.0.2.1;host="a.example:8080";proto=http|192.0.2.1, 192.0.2.1|192.0.2.1',
    'a trusted proxy that knows X-Forwarded-For only';
is up('/trusted', 'X-Forwarded-For' => '2001:db8::1'),
    'for="[2001:db8::1]";host="a.example:8080";proto=http|2001:db8::1, 2001:db8::1|2001:db8::1', 'IPv6';
is up('/bare', Forwarded => 'for=1.1.1.1'), "$ours|127.0.0.1|127.0.0.1", 'without the client\'s fields';
is up('/by'), "$ours;by=127.0.0.1|127.0.0.1|127.0.0.1", 'by';
is up('/name'), "$ours;by=_edge-1|127.0.0.1|127.0.0.1", 'by a name';
is up('/off'), '|127.0.0.1|127.0.0.1', 'off';
is up('/off', Forwarded => 'for=1.1.1.1'), 'for=1.1.1.1|127.0.0.1|127.0.0.1', 'off: as it came';
is up('/set', Forwarded => 'for=1.1.1.1'), 'mine||', 'proxy_set_header wins';
is $w->request('GET', '/', [Host => 'b'], undef, unix => $w->dir . '/front')->body, 'for=unknown;host=b;proto=http;by=unknown||',
    'a unix socket';

is $w->stop, 0, 'a clean end';

# ---- mistakes ----

my $bad = Weir->new;
$bad->expect_alert(qr/\[emerg\]/);
sub wrong
{
	my ($in, $re, $name) = @_;
	my ($code, undef, $err) = $bad->test_conf("http { server { listen %PORT1%;\n\t$in } }");
	is $code, 1, "$name: refused";
	like $err, qr/weir\.conf:2:\d+: \w+: $re/, $name;
}
wrong 'set_real_ip_from 1.2.3.4/33;', qr/invalid parameter "1\.2\.3\.4\/33"/, 'a range too long';
wrong 'set_real_ip_from 1.2.3.4:80;', qr/invalid parameter/, 'a port';
wrong 'set_real_ip_from unix:/x;', qr/invalid parameter/, 'a path';
wrong 'set_real_ip_from no-such-host.invalid;', qr/.* in set_real_ip_from "no-such-host\.invalid"/, 'no such host';
wrong 'set_real_ip_from;', qr/.+/, 'no address';
wrong 'real_ip_header "a b";', qr/"a b" is no field name/, 'no field name';
wrong 'real_ip_header a; real_ip_header b;', qr/.+/, 'two fields';
wrong 'real_ip_recursive maybe;', qr/.+/, 'no flag';
wrong 'forwarded maybe;', qr/.+/, 'forwarded: no flag';
wrong 'forwarded on for;', qr/the only parameter is "by"/, 'forwarded: parameter';
wrong "forwarded on by=$_;", qr/a name begins with "_"/, "forwarded: name $_" for 'edge', '_', '_a!', '1.2.3.4';
{
	my ($code, undef, $err) = $bad->test_conf('http { server { listen %PORT1%; set_real_ip_from 10.0.0.1/8; } }');
	is $code, 0, 'low bits are a warning';
	like $err, qr/low address bits of 10\.0\.0\.1\/8 are meaningless/, 'which names them';
}

done_testing;
