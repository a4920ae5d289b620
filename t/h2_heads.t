#!/usr/bin/perl

# Heads of HTTP/2, byte by byte: what is no head comes to no upstream (S-61 to S-64), and a hundred uploads at once do
# not mix (S-82).

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;
$w->origin(9, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		$c->note("$q->{method} $q->{uri} host=$q->{headers}{host}");
		my $body = "$q->{uri}|$q->{headers}{host}|" . ($q->{headers}{'x-own'} // '') . "|$q->{body}";
		$c->send('HTTP/1.1 200 OK' . "\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
	}
});
$w->start(<<'CONF');
worker_processes 1;
http {
	http2 on;
	access_log %DIR%/access.log;
	proxy_set_header Host $http_host;
	server {
		listen 127.0.0.1:%PORT1%;
		keepalive_requests 100000;
		client_body_buffer_size 1k;
		location / { proxy_pass http://127.0.0.1:%PORT9%; }
		location /stream { proxy_pass http://127.0.0.1:%PORT9%; proxy_request_buffering off; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		large_client_header_buffers 4 32k;
		location /back { add_header X-One $http_x_long; add_header X-Two $http_x_long; return 204; }
		location / { if ($http_x_long ~ "^x{30000}$") { return 204; } return 400; }
	}
}
CONF

sub h2 { return Weir::H2->new($w->connect) }

my @base = (':method' => 'GET', ':scheme' => 'http', ':path' => '/bad', ':authority' => 'localhost');
my ($h, $n) = (h2(), 0);

# A stream error, by 400 or without a response; the connection goes on.
sub refused
{
	my ($what, @fields) = @_;
	$h = h2() if ++$n % 50 == 0;		# as much as somebody may do wrong
	my $sid = $h->request(\@fields);
	my $r = $h->response($sid);
	$h->read_until(sub { $_[0]{type} == 3 && $_[0]{sid} == $sid }) if ($r->{status} // 0) == 400;
	ok defined $r->{rst} && !$r->{status} || ($r->{status} // 0) == 400, $what =~ s/([^ -~])/sprintf '\x%02x', ord $1/ger
	    or diag explain $r;
}

# ---- S-61: fields ----

refused("a name with $_", @base, "x${_}y" => 1) for map chr, 0 .. 32, 127, grep { chr =~ /[A-Z"(),\/:;<=>?@\[\\\]{}]/ } 33 .. 126;
refused("a name that begins with $_", @base, "${_}y" => 1) for "\r", "\n", "\0", ' ', "\t";
refused("a name that ends in $_", @base, "y$_" => 1) for "\r", "\n", "\0", ' ', "\t", ':';
refused('a name of no bytes', @base, '' => 'x');
refused("a value with $_", @base, 'x-own' => "a${_}b") for "\r", "\n", "\0", "\r\n";
refused("a value that ends in $_", @base, 'x-own' => "a$_") for "\r", "\n", "\0", "\r\n", ' ', "\t";
refused("a value of only $_", @base, 'x-own' => $_) for "\r", "\n", "\0", "\r\nX: y";

# ---- S-62: pseudo fields ----

my %fine = @base;
for my $name (sort keys %fine) {
	my $with = sub { my ($v) = @_; return map { my $k = $_; ($k => $k eq $name ? $v : $fine{$k}) } @base[0, 2, 4, 6] };
	refused("$name: $_", $with->($_)) for '', map { ("$fine{$name}$_", "$_$fine{$name}") } "\r", "\n", "\r\n", "\0", ' ', "\t", "\x7f";
	refused("$name: $_", $with->($fine{$name} . $_)) for "\r\nX: y", " HTTP/1.1\r\nX: y\r\n\r\n";
	my @others = map { $_ eq $name ? () : ($_ => $fine{$_}) } @base[0, 2, 4, 6];
	refused("$name: none", @others) if $name ne ':authority';
	refused("$name: twice", @base, $name => $fine{$name});
	refused("$name: behind others", @others, a => 'b', $name => $fine{$name});
}
refused(":authority: $_", @base[0 .. 5], ':authority' => $_) for 'u@localhost', 'u:p@localhost', 'localhost/x', 'localhost?x', 'localhost#x',
    'local host', 'localhost:x', 'localhost:99999', '[::1', '::1', "localhost\\";
refused(":path: $_", @base[0 .. 3], ':path' => $_, @base[6, 7]) for '/a#b', 'bad', '*', '?x', 'http://localhost/bad', '//' . "\n";
refused("$_: unknown", $_ => 'x', @base), refused("$_: unknown, last", @base, $_ => 'x') for ':foo', ':', ':Path', ':status', '::path';
refused(':protocol without CONNECT', @base, ':protocol' => 'websocket');

# ---- S-63: Host ----

sub host { my (@fields) = @_; my $r = $h->response($h->request(\@fields)); return $r->{status} == 200 ? (split /\|/, $r->{body})[1] : $r->{status} }
$h = h2();
is host(@base[0 .. 3], ':path' => '/', ':authority' => 'a.example:81'), 'a.example:81', ':authority is Host to an upstream';
is host(@base[0 .. 3], ':path' => '/', host => 'b.example'), 'b.example', 'Host without :authority';
is host(@base[0 .. 3], ':path' => '/', ':authority' => 'c.example', host => 'c.example'), 'c.example', 'both: once';
refused('both, not the same', @base, host => 'other');
refused('two Hosts', @base, host => 'localhost', host => 'localhost');
refused('two Hosts, no :authority', @base[0 .. 5], host => 'localhost', host => 'localhost');
refused('neither', @base[0 .. 5]);

# ---- S-64: the connection ----

refused("$_->[0]: $_->[1]", @base, @$_) for ['connection', ''], ['connection', 'te'], ['connection', 'x-own'], ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'keep-alive'], ['upgrade', 'websocket'], ['transfer-encoding', 'chunked'], ['transfer-encoding', 'identity'],
    ['transfer-encoding', ''], ['te', 'gzip'], ['te', 'trailers, gzip'], ['te', ''], ['te', 'chunked'];

is scalar(grep { !m{^GET / host=} } $w->origin_notes(9)), 0, 'none of them came to the upstream';
$h = h2();
is $h->response($h->get('/last'))->{status}, 200, 'the worker goes on';
ok wait_for(sub { $w->access >= $n }), 'each of them has a line in the log'
    or diag scalar($w->access), " of $n";

# ---- large ones ----

$h = Weir::H2->new($w->connect(port => 2));
$h->read_until(sub { $_[0]{type} == 4 });
my $long = 'x' x 30000;
my $large = $h->request([@base[0 .. 3], ':path' => '/', @base[6, 7], 'x-long' => $long], frame => 100_000);
is $h->response($large)->{status}, 204, 'with larger buffers a head is one frame';
is $h->{settings}{5}, 131072, 'which clients are told';

for ([131072, 1], [40000, 2], [16384, 4]) {
	my ($most, $want) = @$_;
	$h = Weir::H2->new($w->connect(port => 2), settings => [5 => $most]);
	$h->read_until(sub { $_[0]{type} == 4 });
	my $sid = $h->request([@base[0 .. 3], ':path' => '/back', @base[6, 7], 'x-long' => $long], frame => 100_000);
	my @f = grep { $_->{sid} == $sid } $h->read_until(sub { $_[0]{sid} == $sid && $_[0]{flags} & 4 });
	is join(' ', map { $_->{type} } @f), join(' ', 1, (9) x ($want - 1)), "the head of a response, for frames of $most";
	cmp_ok length $_->{payload}, '<=', $most, 'none is larger' for @f;
	my %field = @{ $f[-1]{fields} };
	is $field{'x-two'}, $long, 'all of it';
}

# ---- S-82: a hundred at once ----

for my $at ('', '/stream') {
	$h = h2();
	my (%sid, %body);
	for my $i (1 .. 100) {
		my $sid = $h->request($h->head('POST', "$at/up/$i", 'x-own' => "v$i"), more => 1);
		$sid{$i} = $sid;
		$body{$i} = '';
	}
	for my $round (1 .. 20) {
		for my $i (sort { ($a * 37 + $round) % 101 <=> ($b * 37 + $round) % 101 } 1 .. 100) {
			my $part = "<$i.$round>" x (1 + ($i + $round) % 7);
			$body{$i} .= $part;
			$h->data($sid{$i}, $part, $round == 20);
		}
	}
	is_deeply { map { $_ => $h->response($sid{$_})->{body} } 1 .. 100 }, { map { $_ => "$at/up/$_|localhost|v$_|$body{$_}" } 1 .. 100 },
	    "$at: each has its own";
}

is $w->stop, 0, 'the end';
done_testing;
