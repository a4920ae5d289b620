#!/usr/bin/env perl
# api_stream.t - servers of stream's upstream groups come, go and change while connections last, and are kept in a file.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Test::More;
use Weir;

# effect: api state server proxy_session_drop

my $w = Weir->new;
my $json = JSON::PP->new;
my $dir = $w->dir;

for my $n (40 .. 42) { $w->origin($n, sub { my ($c) = @_; $c->send($n); $c->send($_) while defined($_ = $c->read_n(1)) && length }) }

mkdir "$dir/state" or die;
chmod 0777, "$dir/state";

sub conf
{
	return <<'CONF';
worker_processes 3;
error_log %LOG% notice;
http {
	access_log off;
	upstream u { zone h 128k; server 127.0.0.1:%PORT40%; server 127.0.0.1:%PORT41%; }
	server {
		listen 127.0.0.1:%PORT1%;
		location /api { api write=on; allow 127.0.0.1; deny all; }
		location /look { api; }
		location = /metrics { metrics; }
	}
}
stream {
	upstream u { zone u 1m; server 127.0.0.1:%PORT40%; server 127.0.0.1:%PORT41% weight=3 max_fails=2 fail_timeout=7s; }
	upstream kept { zone u; state %DIR%/state/kept.conf; }
	upstream drains { zone u; server 127.0.0.1:%PORT40% drain; server 127.0.0.1:%PORT41%; }
	upstream timed { zone u; least_time first_byte; server 127.0.0.1:%PORT40%; health_check; }
	upstream warm { zone u; server 127.0.0.1:%PORT40% weight=10; server 127.0.0.1:%PORT41% weight=10 slow_start=1h; }
	upstream alone { server 127.0.0.1:%PORT40%; }
	server { listen 127.0.0.1:%PORT2%; proxy_pass u; }
	server { listen 127.0.0.1:%PORT3%; proxy_pass kept; }
	server { listen 127.0.0.1:%PORT4%; proxy_pass drains; }
	server { listen 127.0.0.1:%PORT5%; proxy_pass timed; }
	server { listen 127.0.0.1:%PORT6%; proxy_pass warm; }
	upstream dropped { zone u; server 127.0.0.1:%PORT40%; server 127.0.0.1:%PORT41%; server 127.0.0.1:%PORT42%; }
	log_format d '$status $close_reason $upstream_addr';
	server { listen 127.0.0.1:%PORT7%; proxy_pass dropped; proxy_session_drop on; access_log %DIR%/dropped.log d; }
	upstream datagrams { zone u; server 127.0.0.1:%PORT40%; }
	server { listen 127.0.0.1:%PORT7% udp; proxy_pass datagrams; proxy_session_drop on; access_log %DIR%/dropped.log d; }
	upstream sick { zone u; server 127.0.0.1:%PORT43%; health_check interval=100ms; }
	server { listen 127.0.0.1:%PORT8%; proxy_pass sick; proxy_session_drop on; }
}
CONF
}

$w->start(conf() =~ s/%LOG%/$w->log_path/er);

sub call
{
	my ($method, $path, $body) = @_;
	my $r = $w->request($method, "/api/9/stream/upstreams$path", [defined $body ? ('Content-Type' => 'application/json') : ()],
	    defined $body ? $json->encode($body) : undef);
	# a reload was just made, and an old worker answered: as it says
	return call(@_) if $r->status == 503;
	return ($r->status, eval { $json->decode($r->body) });
}

sub addr { '127.0.0.1:' . $w->port($_[0]) }
sub try { my $c = $w->connect(port => $_[0]) or return ''; return $c->read_n(2) // '' }
sub spread { my ($n, $times) = @_; my %n; $n{try($n)}++ for 1 .. $times; return join ' ', map "$_*$n{$_}", sort keys %n }
sub lines { open my $f, '<', "$dir/state/kept.conf" or return ''; join '', grep !/^#/, <$f> }
sub has { my ($text, $name) = @_; ok wait_for(sub { lines() eq $w->expand($text) }), $name or diag lines() }

subtest 'what is shown' => sub {
	is $w->get('/look/9/stream')->body, "[\"upstreams\"]\n";
	my ($status, $all) = call('GET', '/');
	is $status, 200;
	is join(' ', sort keys %$all), 'datagrams drains dropped kept sick timed u warm', 'groups of stream with a zone';
	is join(' ', sort keys %{ $json->decode($w->get('/look/9/http/upstreams')->body) }), 'u', 'not among those of http';
	is spread(2, 4), '40*1 41*3';
	my (undef, $g) = call('GET', '/u');
	is $g->{zone}, 'u';
	my $p = $g->{peers}[1];
	is "$p->{server} $p->{name} $p->{weight} $p->{state} $p->{connections} $p->{fails}", addr(41) . ' ' . addr(41) . ' 3 up 3 0', 'how a server is doing';
	ok !exists $p->{requests}, 'connections in place of requests';
	is_deeply [ call('GET', '/u/servers/1') ], [ 200, { id => 1, server => addr(41), weight => 3, max_conns => 0, max_fails => 2,
		fail_timeout => '7s', slow_start => '0s', backup => JSON::PP::false, down => JSON::PP::false } ], 'what was said of it';
	is try(5), 40;
	(undef, $g) = call('GET', '/timed');
	ok $g->{peers}[0]{health_checks}{checks} >= 1, 'checks';
	is((call('GET', '/alone'))[0], 400, 'no zone');
	is((call('GET', '/none'))[0], 404);
	is $w->get('/look/9/other')->status, 404;
};

my $id;
subtest 'added and removed' => sub {
	my ($status, $j) = call('POST', '/u/servers', { server => addr(42), weight => 4 });
	is $status, 201;
	$id = $j->{id};
	$w->log_like(qr/added server $id to stream upstream u: 127\.0\.0\.1:\d+ weight=4/);
	is spread(2, 32), '40*4 41*12 42*16', 'all workers know it';
	my $c = $w->connect(port => 2);
	until ($c->read_n(2) eq '42') { $c = $w->connect(port => 2) }
	($status, $j) = call('DELETE', "/u/servers/$id");
	is $status, 200;
	is scalar(@$j), 2;
	is spread(2, 16), '40*4 41*12', 'no further connections';
	$c->send('x');
	is $c->read_n(1), 'x', 'the one that it has goes on';
	is((call('GET', '/u'))[1]{zombies}, 1, 'and is known');
	$c->close;
	ok wait_for(sub { (call('GET', '/u'))[1]{zombies} == 0 });
	is((call('GET', "/u/servers/$id"))[0], 404);
};

subtest 'changed' => sub {
	is((call('PATCH', '/u/servers/0', { weight => 3 }))[0], 200);
	is spread(2, 12), '40*6 41*6', 'weight';
	is((call('PATCH', '/u/servers/0', { down => JSON::PP::true }))[0], 200);
	is spread(2, 6), '41*6', 'down';
	is((call('PATCH', '/u/servers/0', { down => JSON::PP::false }))[0], 200);
	is((call('PATCH', '/u/servers/1', { drain => JSON::PP::true }))[0], 200);
	is spread(2, 6), '40*6', 'drain';
	is((call('GET', '/u'))[1]{peers}[1]{state}, 'draining');
	is((call('PATCH', '/u/servers/1', { drain => JSON::PP::false, max_conns => 1 }))[0], 200);
	my @c = map $w->connect(port => 2), 1 .. 4;
	is join(' ', sort map $_->read_n(2), @c), '40 40 40 41', 'max_conns';
	$w->log_like(qr/changed server 1 of stream upstream u: .*max_conns=1.*; it was: /);
	is $json->decode($w->get('/look/9/http/upstreams/u/servers/0')->body)->{weight}, 1, 'the group of http with that name is another';
};

subtest 'what is refused' => sub {
	for ([ { server => '127.0.0.1' }, 400, 'UpstreamBadAddress', qr/no port/ ], [ { server => 'localhost:1' }, 400, 'UpstreamBadAddress', qr/only addresses/ ],
	    [ { server => addr(42), route => 'a' }, 400, 'UpstreamConfFormatError', qr/unknown parameter "route"/ ],
	    [ { server => addr(42), weight => 0 }, 400, 'UpstreamBadWeight', qr/weight/ ]) {
		my ($body, $status, $code, $why) = @$_;
		my ($got, $j) = call('POST', '/u/servers', $body);
		is "$got $j->{error}{code}", "$status $code";
		like $j->{error}{text}, $why;
	}
	is $w->request('POST', '/look/9/stream/upstreams/u/servers', ['Content-Type' => 'application/json'], '{}')->status, 405;
};

# Connections by who serves them.
sub by_server { my ($n, $times) = @_; my %c; for (1 .. $times) { my $c = $w->connect(port => $n); push @{ $c{ $c->read_n(2) } }, $c } return \%c }

subtest 'sessions that are dropped' => sub {
	my $c = by_server(7, 6);
	my $udp = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $w->port(40)) or die;
	my $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $w->port(7)) or die;
	$s->send('x');
	ok wait_for(sub { my $in = ''; vec($in, fileno $udp, 1) = 1; select $in, undef, undef, 0 }), 'a session of datagrams';
	is((call('PATCH', '/dropped/servers/2', { drain => JSON::PP::true }))[0], 200, 'one server drains');
	is((call('PATCH', '/dropped/servers/0', { down => JSON::PP::true }))[0], 200, 'one is down');
	is((call('DELETE', '/dropped/servers/1'))[0], 200, 'one is removed');
	for my $n (40, 41) { for (@{ $c->{$n} }) { $_->eof; ok $_->was_reset, "a connection to $n ends" } }
	for (@{ $c->{42} }) { $_->send('x'); is $_->read_n(1), 'x', 'those to 42 go on' }
	is((call('PATCH', '/datagrams/servers/0', { down => JSON::PP::true }))[0], 200);
	ok wait_for(sub { $w->log_lines('dropped.log') >= 5 }), 'the session of datagrams, too';
	is scalar(grep { !/^502 server_dropped 127/ } $w->log_lines('dropped.log')), 0, 'why';
	$w->origin(43, sub { my ($c) = @_; $c->send('43'); $c->eof });
	my $sick;
	ok wait_for(sub { $sick = $w->connect(port => 8); ($sick->read_n(2) // '') eq '43' }), 'a healthy server';
	kill 'KILL', $w->{origins}{43};		# who listens, not who serves
	$sick->eof;
	ok $sick->was_reset, 'that becomes unhealthy';
};

subtest 'words of the configuration' => sub {
	is spread(4, 8), '41*8', 'drain';
	is spread(6, 4), '40*2 41*2', 'slow_start is for who comes';
	is((call('PATCH', '/warm/servers/1', { down => JSON::PP::true }))[0], 200);
	is((call('PATCH', '/warm/servers/1', { down => JSON::PP::false }))[0], 200);
	my ($n) = spread(6, 22) =~ /41\*(\d+)/;
	cmp_ok $n // 0, '<=', 4, 'a tenth of its weight at first';
};

subtest 'kept in a file' => sub {
	is try(3), '', 'nobody at first';
	is((call('POST', '/kept/servers', { server => addr($_), max_fails => 4 }))[0], 201) for 41, 42;
	has("server 127.0.0.1:%PORT41% max_fails=4;\nserver 127.0.0.1:%PORT42% max_fails=4;\n", 'it is written');
	is spread(3, 4), '41*2 42*2';
	for my $round (1 .. 3) {
		is((call('PATCH', '/kept/servers/0', { down => JSON::PP::true }))[0], 200);
		ok $w->reload, 'a reload right behind a change';
		is spread(3, 2), '42*2', 'it is as it was';
		is((call('PATCH', '/kept/servers/0', { down => JSON::PP::false }))[0], 200);
		ok $w->reload, 'once more';
	}
	is((call('DELETE', '/kept/servers/0'))[0], 200);
	is $w->stop('QUIT'), 0, 'stopped';
	is lines(), $w->expand("server 127.0.0.1:%PORT42% max_fails=4;\n");
	$w->start(conf() =~ s/%LOG%/$w->log_path/er);
	is spread(3, 2), '42*2', 'after a restart';
};

subtest 'metrics' => sub {
	my $m = $w->get('/metrics')->body;
	my %seen;
	my @twice = grep { /^(\S+\{[^}]*\}|\w+) / && $seen{$1}++ } split /\n/, $m;
	is join("\n", @twice), '', 'no series is there twice';
	like $m, qr/^weir_upstream_server_up\{upstream="drains",server="\Q${\addr(41)}\E"\} 1$/m;
};

done_testing;
