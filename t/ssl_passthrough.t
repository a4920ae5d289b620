#!/usr/bin/env perl
# ssl_passthrough.t - one port: the TLS of some names ends here, that of others passes through (Q-193 to Q-196, S-122,
# S-126, S-134).

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::SSL;
use Pq;
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::H2;

# effect: ssl_passthrough

my $w = Weir->new;
my $dir = $w->dir;
my $pq = Pq->new($w);
$w->cert('here', cn => 'here', san => 'DNS:localhost,DNS:*.far.test');
$w->cert('far', cn => 'far', san => 'DNS:*.far.test,DNS:far.test');

my $conf = <<'E';
worker_processes 1;
error_log %DIR%/error.log info;
http {
	ssl_certificate %DIR%/here.crt;
	ssl_certificate_key %DIR%/here.key;
	upstream far { server 127.0.0.1:%PORT20%; server 127.0.0.1:%PORT11%; }

	server {
		listen 127.0.0.1:%PORT1% ssl;
		listen 127.0.0.1:%PORT2%;
		http2 on;
		server_name localhost;
		ssl_passthrough far.test FAR2.test far;
		ssl_passthrough *.far.test .dot.test tail.* ~^x\d+\.re\.test$ 127.0.0.1:%PORT11%;
		ssl_passthrough stream.test of_stream;
		ssl_passthrough var.test $to:%PORT11%;
		ssl_passthrough told.test 127.0.0.1:%PORT12% { proxy_protocol v2; access_log off; }
		ssl_passthrough dead.test 127.0.0.1:%PORT20%;
		ssl_passthrough idle.test 127.0.0.1:%PORT14% { proxy_timeout 300ms; }
		ssl_passthrough socket.test unix:%DIR%/far.sock;
		ssl_passthrough raw.test 127.0.0.1:%PORT14%;
		location / { return 200 "here $host $server_name"; }
		location = /metrics { metrics; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name mine.far.test;
		return 200 "mine $host";
	}
	server {
		listen 127.0.0.1:%PORT3% ssl;
		client_header_timeout 400ms;
		ssl_passthrough far.test far;
		return 200 slow;
	}
	server {
		listen 127.0.0.1:%PORT4% ssl proxy_protocol;
		listen 127.0.0.1:%PORT5% ssl http2;
		set_real_ip_from 127.0.0.1;
		real_ip_header proxy_protocol;
		error_log %DIR%/four.log info;
		ssl_passthrough far.test 127.0.0.1:%PORT12% { proxy_protocol v1; }
		return 200 "here $remote_addr";
	}
	server {
		listen 127.0.0.1:%PORT6%;
		https_redirect on;
	}
	server {
		listen 127.0.0.1:%PORT11% ssl;
		listen unix:%DIR%/far.sock ssl;
		http2 on;
		ssl_certificate %DIR%/far.crt;
		ssl_certificate_key %DIR%/far.key;
		location / { return 200 "far $ssl_server_name"; }
		location /up { client_max_body_size 10m; proxy_pass http://127.0.0.1:%PORT15%; }
	}
	server {
		listen 127.0.0.1:%PORT12% ssl proxy_protocol;
		ssl_certificate %DIR%/far.crt;
		ssl_certificate_key %DIR%/far.key;
		return 200 "far of $proxy_protocol_addr $proxy_protocol_port";
	}
}
stream {
	map $ssl_preread_server_name $to { default 127.0.0.1; }
	log_format t "$server_name|$ssl_preread_server_name|$status|$close_reason|$remote_addr|$upstream_addr|$bytes_received";
	access_log %DIR%/stream.log t;
	upstream of_stream { hash $ssl_preread_server_name; server 127.0.0.1:%PORT11%; }
	proxy_connect_timeout 5s;
	preread_buffer_size 64;
}
E

# Counts what it gets up to each =#=, and ends its own direction at the end of the other.
$w->origin(14, sub {
	my ($c) = @_;
	while (1) {
		my $text = $c->read_until(qr/=#=/) // '';
		last unless $text =~ /=#=/;
		$c->send('got ' . length($text) . "\n");
	}
	$c->send("bye\n");
});
$w->origin(15, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my $n = length $q->{body};
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($n) . "\r\n\r\n$n");
});
$w->start($conf);

# The body of a response, or its status.
sub body_of { my ($all) = @_; return $all =~ m{^HTTP/1\.1 (\d+).*?\r\n\r\n(.*)}s ? ($1 == 200 ? $2 : $1) : "no response: $all" }

sub text
{
	my ($name, %opt) = @_;
	my $host = delete $opt{host} // $name;
	my $c = $w->connect(port => $opt{port} // 1, from => $opt{from}, tls => { sni => $name }) or return "no TLS: $Weir::TLS_ERROR";
	$c->send("GET / HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
	return body_of($c->read_all);
}

# A request in clear text.
sub plain { my ($port, $host, $uri) = @_; return $w->request('GET', $uri // '/', [Host => $host], undef, port => $port) }

# Whose certificate is shown?
sub whose
{
	my ($name, @opt) = @_;
	return $pq->get($name, @opt)->{cn} // 'nobody';
}

# ---- who ends TLS ----

is text('localhost'), 'here localhost localhost', 'TLS that ends here';
is text('far.test'), 'far far.test', 'TLS that passes through';
is text('FAR.Test'), 'far FAR.Test', '... by a name in capitals';
is text('far2.test.', host => 'far2.test'), 'far far2.test.', '... with a dot behind it';
is text($_), "far $_", "... $_" for qw(a.far.test b.a.far.test dot.test a.dot.test tail.com x12.re.test stream.test var.test socket.test);
is text('mine.far.test'), 'mine mine.far.test', 'an exact name of a server wins over a wildcard that passes through';
is text($_), "here $_ localhost", "... $_ ends here" for qw(xy.re.test unknown.test nodot.test);
is text('', host => 'localhost'), 'here localhost localhost', 'no name';
is whose('far.test'), 'far', "the origin's certificate is seen";
is whose('localhost'), 'here', '... and ours';
is whose('far.test', max => '1.2'), 'far', '... in TLSv1.2';

like $w->s_client('far.test', '-CAfile', "$dir/far.crt", '-verify_return_error', '-verify_hostname', 'far.test'), qr/far far\.test/,
    "openssl's client is content with the origin's certificate";
SKIP: {
	skip 'no curl', 1 if system('curl --version > /dev/null 2>&1') != 0;
	my $at = 'far.test:' . $w->port(1);
	is `curl -sS --max-time 60 --resolve $at:127.0.0.1 --cacert $dir/far.crt https://$at/ 2>&1`, 'far far.test', 'so is curl';
}

# ---- hellos in pieces (S-122) ----

for ([groups => 'X25519MLKEM768'], [groups => 'X25519MLKEM768', piece => 1], [groups => 'X25519MLKEM768', record => 600],
    [groups => 'X25519MLKEM768', record => 700, piece => 3], [extra => 12000], [extra => 14000, record => 1500], [extra => 12000, piece => 100],
    [extra => 12000, piece => 1]) {
	is whose('far.test', @$_), 'far', "a hello with @$_ passes through";
	is whose('localhost', @$_), 'here', '... or ends here';
}
{
	my $r = $pq->get('far.test', groups => 'X25519MLKEM768', piece => 1);
	is $r->{group}, 'X25519MLKEM768', 'keys are exchanged with the origin';
	cmp_ok $r->{hello}, '>', 1216, '... by a long hello';
	is $r->{body}, 'far far.test', '... and a request is served';
}

# What OpenSSL says first.
sub hello
{
	my ($name) = @_;
	my $ssl = Net::SSLeay::new(Net::SSLeay::CTX_new());
	my $out = Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem());
	Net::SSLeay::set_bio($ssl, Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem()), $out);
	Net::SSLeay::set_tlsext_host_name($ssl, $name);
	Net::SSLeay::set_connect_state($ssl);
	Net::SSLeay::do_handshake($ssl);
	return Net::SSLeay::BIO_read($out);
}
sub records { my ($text, $size) = @_; return join '', map { pack 'C n n/a', 22, 0x0301, $_ } unpack "(a$size)*", $text }

my $hello = hello('raw.test');
for my $cut (1 .. 6, 50, length($hello) - 6) {
	my $c = $w->connect;
	my $r = records(substr($hello, 5), $cut);
	$c->send($_) for $cut > 3 ? split(//, $r) : $r;
	$c->send('=#=');
	is $c->read_until(qr/\n/), 'got ' . (3 + length $r) . "\n", "a hello in records of $cut bytes arrives as it is";
	$c->half_close;
	is $c->read_all, "bye\n", '... and its tunnel lasts until both have ended';
}
{
	my @bad;
	for my $at (1 .. length($hello) - 1) {
		my $c = $w->connect;
		$c->send(substr $hello, 0, $at);
		$c->send(substr($hello, $at) . '=#=');
		push @bad, $at unless ($c->read_until(qr/\n/) // '') eq 'got ' . (3 + length $hello) . "\n";
		$c->close;
	}
	is "@bad", '', 'a hello cut in two at any place';
}

# ---- requests for them ----

is text('localhost', host => 'far.test'), 421, 'a request for a name that passes through, by a handshake that was made here (421)';
is text('localhost', host => 'A.far.test:443'), 421, '... by a wildcard, in capitals, with a port';
is text('localhost', host => 'mine.far.test'), 'mine mine.far.test', '... and not for one that does not';
{
	my $h = Weir::H2->new($w->connect(tls => { sni => 'localhost', SSL_alpn_protocols => ['h2'] }));
	my @get = (':method' => 'GET', ':scheme' => 'https', ':path' => '/');
	is $h->response($h->request([@get, ':authority' => 'localhost']))->{body}, 'here localhost localhost', 'HTTP/2: a request';
	is $h->response($h->request([@get, ':authority' => 'b.far.test']))->{status}, 421,
	    '... and one on the same connection that should have gone through (421)';
}
is plain(2, 'far.test')->body, 'here far.test localhost', 'clear text on another address has nothing to do with it';
is plain(1, $_)->status, 400, "clear text where TLS is expected: $_" for qw(localhost far.test);
is plain(6, 'far.test')->header('Location'), 'https://far.test/', 'https_redirect knows the names';
is plain(6, 'nobody.test')->header('Location') // 'none', 'none', '... and no others';

for (["\x80\x2e\1\0\2", 'a hello of SSL 2.0'], ["\x16\3\1\x40\0" . 'x' x 16384, 'a record of nonsense'], ["\0" x 65536, 'no TLS'],
    [records("\1\0\xff\xff" . 'x' x 60000, 4000), 'a hello of 64 kB'], [records("\2\0\0\1x", 100), 'another message'],
    [records(substr($hello, 5), 1) =~ s/^(.{60})/$1 . "\x16\3\1\0\0" x 5000/ser, 'records without content'], [substr($hello, 0, 50), 'half a hello']) {
	my $c = $w->connect;
	$c->send($_->[0]);
	$c->half_close;
	$c->read_all;
	ok !$c->timed_out, "$_->[1]: that is the end (S-134)";
}
is text('far.test'), 'far far.test', '... and nobody else notices';

for my $begin ('', substr $hello, 0, 100) {
	my $t = time;
	my $c = $w->connect(port => 3);
	$c->send($begin) if length $begin;
	$c->read_all;
	ok !$c->timed_out, 'a hello that is not there in time' . (length $begin ? ' to its end' : '');
	cmp_ok time - $t, '>', 0.2, '... was waited for';
}
ok $w->wait_log(qr/client timed out in the TLS handshake/), '... is logged as ever';

# ---- the tunnel ----

sub logged { my ($like) = @_; return wait_for(sub { (grep { $_ =~ $like } $w->access('stream.log'))[0] }) // '' }

my ($dead, $far) = map { '127.0.0.1:' . $w->port($_) } 20, 11;
like text('dead.test'), qr/^no TLS/, 'nobody is there';
like logged(qr/^dead\.test/), qr/^dead\.test\|dead\.test\|502\|upstream_failed\|127\.0\.0\.1\|\Q$dead\E\|/, '... as an access log of stream has it';
ok logged(qr/^far\.test\|far2?\.test\|200\|\w+\|127\.0\.0\.1\|\Q$dead, $far\E\|\d{3}/), 'a server that is not there is followed by the next';
ok logged(qr/^\*\.far\.test\|b\.a\.far\.test\|200\|/), 'the name that was written, and the one that was asked for';
like text('told.test'), qr/^far of 127\.0\.0\.1 \d+$/, 'the origin is told who the client is';
like text('told.test', from => '127.0.0.9'), qr/^far of 127\.0\.0\.9 \d+$/, '... whoever that is';
ok logged(qr/^socket\.test/), 'many have a line';
ok !(grep { /told/ } $w->access('stream.log')), '... but what a block says counts';
like text('far.test', port => 5), qr/^far of 127\.0\.0\.1/, 'listen ... http2';
for (['far.test', qr/^far of 192\.0\.2\.7 1234$/, 'a client behind a proxy'], ['localhost', qr/^here 192\.0\.2\.7$/, '... whose TLS ends here']) {
	my ($name, $want, $what) = @$_;
	my $c = $w->connect(port => 4);
	$c->send("PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n");
	my $t = Weir::Conn->over_tls($c->socket, undef, sni => $name);
	$t->send("GET / HTTP/1.1\r\nHost: $name\r\nConnection: close\r\n\r\n");
	like body_of($t->read_all), $want, $what;
}
ok wait_for(sub { $w->log_text('four.log') =~ /client: 192\.0\.2\.7, server: \S+, upstream/ }), '... and the error log of the server around tells so';
{
	my $big = join '', map { sprintf '%07d ', $_ } 1 .. 500_000;
	my $c = $w->connect(tls => { sni => 'far.test' });
	$c->send("POST /up HTTP/1.1\r\nHost: far.test\r\nConnection: close\r\nContent-Length: " . length($big) . "\r\n\r\n$big");
	is body_of($c->read_all), '4000000', 'four megabytes';

	$c = $w->connect;
	$c->send(hello('idle.test'));
	$c->read_all;
	ok !$c->timed_out, 'a tunnel with a short proxy_timeout ends when it is idle';
	ok logged(qr/^idle\.test\|idle\.test\|200\|idle\|/), '... and is logged so';
}
my $metrics = plain(2, 'localhost', '/metrics')->body;
cmp_ok +($metrics =~ /^weir_http_passthrough_connections_total (\d+)$/m)[0] // 0, '>', 200, 'they are counted';
cmp_ok +($metrics =~ /^weir_stream_sessions_total\{status="502"\} (\d+)$/m)[0] // 0, '>', 0, '... as connections of stream, too';

# ---- reloads ----

{
	my $c = $w->connect;
	$c->send("$hello=#=");
	like $c->read_until(qr/\n/), qr/^got/, 'a tunnel';
	my ($old) = $w->worker_pids;
	ok $w->reload($conf =~ s/ssl_passthrough raw\.test/ssl_passthrough raw2.test/r), 'a reload without its name';
	is text('raw.test'), 'here raw.test localhost', '... which ends here from now on';
	$c->send('x=#=');
	is $c->read_until(qr/\n/), "got 4\n", '... while the tunnel goes on';
	ok kill(0, $old), '... in the old worker';
	$c->half_close;
	is $c->read_all, "bye\n", '... to its end';
	ok wait_for(sub { !kill 0, $old }), '... which is that of the worker';
}
{
	ok $w->reload("worker_shutdown_timeout 300ms;\n$conf"), 'a reload with worker_shutdown_timeout';
	my $c = $w->connect;
	$c->send("$hello=#=");
	like $c->read_until(qr/\n/), qr/^got/, '... and a tunnel';
	ok $w->reload($conf), '... which the next reload';
	$c->read_all;
	ok !$c->timed_out, '... ends after that time';
}

# ---- mistakes ----

my $bad = Weir->new;
$bad->expect_alert(qr/\[emerg\]/);
sub mistake
{
	my ($text, $want, $what) = @_;
	my ($code, $out, $err) = $bad->test_conf("http { ssl_certificate $dir/here.crt; ssl_certificate_key $dir/here.key;\n$text\n}");
	ok $code != 0 && "$out$err" =~ $want, $what or diag "$code: $out$err";
}
my ($ssl, $to) = ('listen 127.0.0.1:%PORT1% ssl;', '127.0.0.1:1;');
mistake("server { $ssl server_name a.test b.test;\n ssl_passthrough a.test $to }",
    qr/:3:18: ssl_passthrough: conflicting name "a\.test" on 127\S+: it is said at \S+:2 already/, 'a name of the server itself');
mistake("server { $ssl server_name *.test; }\nserver { $ssl ssl_passthrough x *.test $to }",
    qr/:3:\d+: ssl_passthrough: conflicting name "\*\.test".*:2 already/, 'a wildcard of another server');
mistake("server { $ssl ssl_passthrough a.test $to\n ssl_passthrough A.TEST $to }", qr/:3:18: ssl_passthrough: conflicting name "a\.test".*:2 already/, 'twice');
mistake("server { $ssl ssl_passthrough a.test A.test $to }", qr/conflicting name "a\.test".*:2 already/, 'twice in a line');
mistake("server { $ssl ssl_passthrough .a.test $to }\nserver { $ssl server_name a.test; }", qr/:2:\d+: ssl_passthrough: conflicting name "\.a\.test".*:3 already/,
    'a name with a dot in front');
mistake("server { $ssl ssl_passthrough a.* $to }\nserver { $ssl server_name a.*; }", qr/conflicting name "a\.\*".*:3 already/, 'a star at the end');
mistake("server { listen 127.0.0.1:%PORT1%; ssl_passthrough a.test $to }", qr/ssl_passthrough: there is no "listen \.\.\. ssl" in this server/, 'no ssl');
mistake("server { $ssl\n ssl_passthrough a.test nobody; }", qr/:3:25: ssl_passthrough: no port in upstream "nobody"/, 'no such upstream');
mistake("upstream u { hash \$request_uri; server 127.0.0.1:1; } server { $ssl ssl_passthrough a.test u; }",
    qr/upstream "u" of http chooses by variables of requests/, 'an upstream that wants requests');
mistake("server { $ssl ssl_passthrough a.test; }", qr/invalid number of arguments/, 'no upstream');
mistake("server { $ssl ssl_passthrough '' $to }", qr/ssl_passthrough: clients that ask for no name/, 'an empty name');
mistake("server { $ssl ssl_passthrough a.*.b $to }", qr/"a\.\*\.b" is invalid/, 'a star in the middle');
mistake("server { $ssl ssl_passthrough a.test 127.0.0.1:1 { return x; } }", qr/return: is duplicate: line 2 serves already/, 'another who serves');
mistake("server { $ssl ssl_passthrough a.test 127.0.0.1:1 { listen 127.0.0.1:%PORT2%; } }", qr/listen: has no meaning here/, 'a listener');
mistake("server { $ssl ssl_passthrough a.test 127.0.0.1:1 { server_name b; } }", qr/server_name: has no meaning here/, 'a server_name');
mistake("server { $ssl ssl_passthrough a.test 127.0.0.1:1 { ssl_protocols TLSv1.3; } }", qr/TLS does not end here/, 'TLS');
mistake("server { $ssl ssl_passthrough a.test 127.0.0.1:1 { root /; } }", qr/"root"/, 'a directive of http');
{
	my ($code, $out, $err) = $bad->test_conf("http { ssl_certificate $dir/here.crt; ssl_certificate_key $dir/here.key;\n" .
	    "server { listen 127.0.0.1:%PORT1% ssl rcvbuf=4k; ssl_passthrough a.test $to } }");
	ok $code == 0 && "$out$err" =~ /warn\S+ \S+:2:10: listen: a hello that is longer than rcvbuf/, 'a small rcvbuf is worth a warning';
}

done_testing;
