#!/usr/bin/env perl
# health_check_bad.t - health_check: mistakes in its words, servers that misbehave, many servers, servers whose names are resolved.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Test::More;
use Weir;

# effect: health_check match

my $w = Weir->new;
$w->expect_alert(qr/\[emerg\] .*weir\.conf:1:/);

# ---- mistakes

my $u = 'upstream u { zone z 256k; server 127.0.0.1:1; }';

sub wrong
{
	my ($name, $conf, $re) = @_;
	my ($code, $out, $err) = $w->test_conf("http { $conf }");
	isnt $code, 0, $name;
	like $err, $re, "$name: said";
}

sub place { my ($check, $more) = @_; return "$u " . ($more // '') . " server { listen 127.0.0.1:%PORT9%; location / { proxy_pass http://u; health_check $check; } }" }
sub group { my ($check, $more) = @_; return ($more // '') . " upstream u { zone z 256k; server 127.0.0.1:1; health_check $check; }" }

wrong 'no zone', 'upstream u { server 127.0.0.1:1; health_check; }', qr/health_check: upstream "u" must be in shared memory: .* "zone name 256k;"/;
wrong 'no group', 'server { location / { proxy_pass http://127.0.0.1:1; health_check; } }', qr/must be in shared memory.*"upstream name \{ zone name 256k; server ...; \}"/;
wrong 'nothing is passed', 'server { location / { return 200; health_check; } }', qr/there is no proxy_pass or grpc_pass here/;
wrong 'not here, but around', "$u server { location / { proxy_pass http://u; location /a { health_check; } } }", qr/there is no proxy_pass or grpc_pass here/;
wrong 'in server', "$u server { health_check; }", qr/health_check.* not allowed here/;
wrong 'variables', 'server { location / { proxy_pass http://$host; health_check; } }', qr/proxy_pass has variables/;
wrong 'an unknown word', place('intervall=1s'), qr/intervall=1s/;
wrong "$_->[0]", place($_->[0]), $_->[1] for
    [ 'interval=0', qr/it must not be 0/ ], [ 'interval=x', qr/interval=x/ ], [ 'interval=10000d', qr/too long|invalid/ ],
    [ 'timeout=0', qr/it must not be 0/ ], [ 'jitter=-1', qr/jitter=-1/ ], [ 'fails=0', qr/fails=0/ ], [ 'passes=0', qr/passes=0/ ],
    [ 'passes=a', qr/passes=a/ ], [ 'port=0', qr/port=0/ ], [ 'port=65536', qr/port=65536/ ],
    [ 'uri=health', qr/the URI must begin with \// ], [ '"uri=/a b"', qr/a URI cannot hold blanks/ ],
    [ 'type=udp', qr/unknown type "udp": there are http, h2, grpc, tcp, tls/ ], [ 'persistent', qr/"persistent" goes with "mandatory" only/ ],
    [ 'match=', qr/match is empty/ ], [ 'match=none', qr/there is no match "none"/ ],
    [ 'type=tcp uri=/', qr/"uri" has no meaning with type tcp/ ], [ 'type=grpc uri=/', qr/"uri" has no meaning with type grpc/ ],
    [ 'type=grpc grpc_status=17', qr/grpc_status=17/ ], [ 'grpc_service=x', qr/"grpc_service" has no meaning with type http/ ],
    [ 'grpc_status=1', qr/"grpc_status" has no meaning with type http/ ], [ 'type=tls keepalive_time=1s', qr/"keepalive_time" has no meaning/ ];
wrong 'nine checks', "$u server { " . join('', map "location /$_ { proxy_pass http://u; health_check uri=/$_; } ", 1 .. 9) . '}', qr/more than 8 checks/;
wrong 'a match for gRPC', group('type=grpc match=m', 'match m { status 200; }'), qr/"match" has no meaning with type grpc/;
wrong 'a match of bytes for HTTP', group('match=m', 'match m { expect x; }'), qr/send or expect, which are for types tcp and tls/;
wrong 'a match of HTTP for bytes', group('type=tcp match=m', 'match m { status 200; }'), qr/has conditions for HTTP, and the type is tcp/;
wrong 'TLS by requests', "$u server { location / { proxy_pass https://u; proxy_ssl_name \$host; health_check; } }", qr/depends on requests/;
wrong "match { $_->[0] }", group('match=m', "match m { $_->[0] }"), $_->[1] for
    [ '', qr/it has no conditions/ ], [ 'what 1;', qr/unknown condition "what"/ ], [ 'status;', qr/it names no status/ ], [ 'status !;', qr/it names no status/ ],
    [ 'status 99;', qr/99/ ], [ 'status 200-x;', qr/200-x/ ], [ 'status 300-200;', qr/the range "300-200" is empty/ ],
    [ 'status 200; status 201;', qr/it stands twice/ ], [ 'header;', qr/it has the form/ ], [ 'header "a b";', qr/is no field name/ ],
    [ 'header A == b;', qr/expected one of/ ], [ 'header A ~ "(";', qr/header/ ], [ 'body x;', qr/it has the form/ ], [ 'body = x;', qr/it has the form/ ],
    [ 'body ~ x; body ~ y;', qr/it stands twice/ ];
wrong "match { $_->[0] }", group('type=tcp match=m', "match m { $_->[0] }"), $_->[1] for
    [ 'send;', qr/it has the form/ ], [ 'send a; send b;', qr/it has the form/ ], [ 'expect "";', qr/it is empty/ ], [ 'expect = x;', qr/expected "~"/ ],
    [ 'expect a; expect b;', qr/it has the form/ ];
wrong 'a match twice', 'match m { status 200; } match m { status 200; }', qr/duplicate match "m"/;
{
	my ($code, $out, $err) = $w->test_conf("http { match lonely { status 200; } $u }");
	is $code, 0, 'a match that nobody uses';
	like $err, qr/no health_check has match=lonely/, 'is said';
	($code, $out, $err) = $w->test_conf('http { ' . place('interval=1s jitter=1s timeout=1s fails=1 passes=1 uri=/ port=1 mandatory persistent '
	    . 'keepalive_time=1s type=h2 ssl') . ' }');
	is $code, 0, 'all words' or diag $err;
}

# ---- servers that misbehave

my %does = (
	nonsense => sub { $_[0]->read_request; $_[0]->send("\0\1\2nonsense\r\n\r\n") },
	close => sub { },
	reset => sub { $_[0]->read_request; $_[0]->reset },
	head => sub { $_[0]->read_request; $_[0]->send("HTTP/1.1 200 OK\r\n"); for (1 .. 1000) { $_[0]->send("X-$_: " . 'x' x 100 . "\r\n") or last } },
	cut => sub { $_[0]->read_request; $_[0]->send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello") },
	drip => sub { my ($c) = @_; while ($c->send('H')) { select undef, undef, undef, 0.01 } },
);
my %why = (
	nonsense => 'upstream sent (?:no valid|invalid)', close => '.', reset => '.', head => '.', cut => 'the body was cut short',
	drip => '.',
);
my @names = sort keys %does;
my $n = 10;
my %port = map { $_ => $n++ } @names;
$w->origin($port{$_}, $does{$_}) for @names;

# A name server: it knows one name, whose addresses are in the file `zone`.
sub dns { $w->write('zone.new', $_[0]); rename $w->dir . '/zone.new', $w->dir . '/zone' }
my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(3), Proto => 'udp') or die "udp: $!";
my $server = $w->background(sub {
	my ($stop) = @_;
	until ($stop->()) {
		my $in = '';
		vec($in, fileno $s, 1) = 1;
		select($in, undef, undef, 0.05) or next;
		my $from = $s->recv(my $q, 4096) // next;
		next if length $q < 17;
		my $at = 12;
		while (my $len = unpack "x$at C", $q) { $at += $len + 1 }
		my @a = unpack('x' . ($at + 1) . ' n', $q) == 1 ? split ' ', $w->read('zone') : ();
		$s->send(pack('n6', unpack('n', $q), 0x8180, 1, scalar @a, 0, 0) . substr($q, 12, $at + 5 - 12) . join('',
		    map { pack 'n n n N n/a', 0xc00c, 1, 1, 1, pack 'C4', split /\./ } @a), 0, $from);
	}
	return {};
});
dns('127.0.0.2 127.0.0.3');

# A listener that accepts nobody: connections are made by the kernel, and wait.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(4), Listen => 4096, ReuseAddr => 1) or die $!;
my $many = join ' ', map "server 127.0.0.1:%PORT4% weight=$_;", 1 .. 1000;

my $conf = <<"CONF";
http {
	access_log off;
	resolver 127.0.0.1:%PORT3% ipv6=off;
	match hello { body ~ hello; }
	match never { expect never; }
	match me { body ~ "^127.0.0.[24]"; }
	upstream named { zone named 1m; server name.test:%PORT2% resolve; }
	upstream many { zone many 4m; $many health_check type=tcp match=never interval=600s timeout=600s; }
	@{[ map "upstream $_ { zone z 1m; server 127.0.0.1:%PORT$port{$_}%; health_check match=hello interval=100ms timeout=1s; }", @names ]}
	server { listen 127.0.0.1:%PORT1%; location / { proxy_pass http://named; }
		location /hc { proxy_pass http://named; health_check uri=/who match=me interval=100ms mandatory; } }
	server { listen 127.0.0.2:%PORT2%; listen 127.0.0.3:%PORT2%; listen 127.0.0.4:%PORT2%; location / { return 200 \$server_addr; } }
}
CONF
$w->start($conf);

for (@names) {
	ok $w->wait_log(qr/upstream "$_": server 127\.0\.0\.1:\d+ is unhealthy: $why{$_}/), "$_: unhealthy";
}
like $w->log_text, qr/upstream "drip": .* is unhealthy/, 'who never ends, too';

subtest 'names' => sub {
	ok $w->wait_log(qr/upstream "named": server 127\.0\.0\.2:\d+ is healthy/), 'an address is healthy';
	ok $w->wait_log(qr/upstream "named": server 127\.0\.0\.3:\d+ is unhealthy: the body does not match/), 'another is not';
	ok wait_for(sub { $w->get('/')->status == 200 }), 'there is one';
	is join(' ', map $w->get('/')->body, 1 .. 4), join(' ', ('127.0.0.2') x 4), 'which is asked';
	dns('127.0.0.4 127.0.0.3');
	ok $w->wait_log(qr/upstream "named": server 127\.0\.0\.4:\d+ is healthy/), 'a new one is checked';
	ok wait_for(sub { $w->get('/')->body eq '127.0.0.4' }), 'and asked';
	is join(' ', map $w->get('/')->body, 1 .. 4), join(' ', ('127.0.0.4') x 4), 'and nobody else';
};

subtest 'a thousand' => sub {
	my $keeper = $w->keeper_pid;
	my $sockets = sub { scalar grep { (readlink($_) // '') =~ /^socket/ } glob "/proc/$keeper/fd/*" };
	ok wait_for(sub { $sockets->() >= 64 }), 'many are asked at a time' or diag $sockets->();
	my $highest = 0;
	for (1 .. 50) {
		my $is = $sockets->();
		$highest = $is if $is > $highest;
		select undef, undef, undef, 0.01;
	}
	cmp_ok $highest, '<=', 64 + 20, "but not all ($highest)";
	is $w->get('/')->body, '127.0.0.4', 'requests do not notice';
	# the state of all of them is kept
	ok $w->reload($conf), 'a reload meanwhile';
};

done_testing;
