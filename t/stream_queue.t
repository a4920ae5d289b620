#!/usr/bin/env perl
# stream_queue.t - connections of stream wait until a server is free, are tried again within a budget; servers in a file.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: queue proxy_retry_budget state

my $w = Weir->new;
$w->expect_alert(qr/\[emerg\] .*weir\.conf:1:/);
my $dir = $w->dir;

# Says who it is, and stays until the client says something or goes.
for my $n (40 .. 42) { $w->origin($n, sub { my ($c) = @_; $c->note('came'); $c->send($n); $c->read_n(1) }) }

mkdir "$dir/state" or die;
chmod 0777, "$dir/state";
$w->write('state/filled.conf', $w->expand("server 127.0.0.1:%PORT41% weight=2;\nserver 127.0.0.1:%PORT42% down;\n"));

sub conf
{
	return <<'CONF';
worker_processes 1;
http { server { listen 127.0.0.1:%PORT1%; location = /metrics { metrics; } } }
stream {
	log_format q '$name $status $upstream_addr $upstream_queue_time';
	access_log %DIR%/access.log q;
	upstream one { server 127.0.0.1:%PORT40% max_conns=1; queue 2 timeout=600s; }
	upstream shared { zone z 1m; server 127.0.0.1:%PORT41% max_conns=1; queue 10 timeout=600s; }
	upstream soon { server 127.0.0.1:%PORT40% max_conns=1; queue 2 timeout=100ms; }
	upstream none { server 127.0.0.1:%PORT40% max_conns=1; }
	upstream half { zone z; server 127.0.0.1:%PORT50% max_fails=0; server 127.0.0.1:%PORT41% backup; }
	upstream whole { zone z; server 127.0.0.1:%PORT50% max_fails=0; server 127.0.0.1:%PORT41% backup; }
	upstream filled { zone z; state %DIR%/state/filled.conf; }
	upstream empty { zone z; state %DIR%/state/empty.conf; }
	server { listen 127.0.0.1:%PORT2%; set $name one; proxy_pass one; }
	server { listen 127.0.0.1:%PORT3%; set $name shared; proxy_pass shared; }
	server { listen 127.0.0.1:%PORT4%; set $name soon; proxy_pass soon; }
	server { listen 127.0.0.1:%PORT5%; set $name none; proxy_pass none; }
	server { listen 127.0.0.1:%PORT6%; set $name half; proxy_pass half; proxy_retry_budget 50% min=0; }
	server { listen 127.0.0.1:%PORT7%; set $name whole; proxy_pass whole; proxy_retry_budget off; }
	server { listen 127.0.0.1:%PORT8%; set $name filled; proxy_pass filled; }
	server { listen 127.0.0.1:%PORT9%; set $name empty; proxy_pass empty; }
	server { listen 127.0.0.1:%PORT10% udp; set $name datagrams; proxy_pass one; }
}
CONF
}

$w->start(conf());

sub lines_of { my ($name) = @_; grep /^$name /, $w->log_lines('access.log') }
sub came { my ($n) = @_; scalar $w->origin_notes($n) }
sub clients { my $port = $w->port($_[0]); scalar grep /\[info\].* client [\d.:]+ connected to 127\.0\.0\.1:$port\b/, $w->log_lines }
sub waits { my ($n) = @_; my $before = clients($n); my $c = $w->connect(port => $n); ok wait_for(sub { clients($n) > $before }), 'it has come'; return $c }

# How it went with one that leaves when it has been told who serves it: that, or ''.
sub try
{
	my ($n) = @_;
	my $c = $w->connect(port => $n) or return '';
	my $who = $c->read_n(2) // '';
	$c->send('x');
	$c->eof;
	return $who;
}

subtest 'mistakes' => sub {
	for ([ 'stream { upstream u { server 127.0.0.1:1; queue 0; } }', qr/queue|0/ ], [ 'stream { proxy_retry_budget 200%; }', qr/200/ ],
	    [ 'stream { upstream u { zone z 1m; server 127.0.0.1:1; state f; } }', qr/not in both/ ],
	    [ 'stream { upstream u { server 127.0.0.1:1 route=a; } }', qr/route has no meaning in stream/ ],
	    [ 'stream { upstream u { drain_timeout 1s; server 127.0.0.1:1; } }', qr/drain_timeout/ ],
	    [ "stream { upstream u { state $dir/f; } }", qr/give the upstream a zone/ ]) {
		my ($code, undef, $err) = $w->test_conf($_->[0]);
		isnt $code, 0, $_->[0];
		like $err, $_->[1];
	}
};

subtest 'in order of coming' => sub {
	my $first = $w->connect(port => 2);
	is $first->read_n(2), 40, 'the first is served';
	my @c = map waits(2), 1, 2;
	is try(2), '', 'there is no room for a third';
	is +(lines_of('one'))[0], 'one 503 one 0.000';
	$w->log_like(qr/the queue of upstream "one" is full: 2 requests wait while connecting to upstream, client/);
	$w->log_like(qr/servers that were passed over: 127\.0\.0\.1:\d+ has max_conns connections/);
	is came(40), 1, 'the server has one';
	$first->close;
	is $c[0]->read_n(2), 40, 'then the next';
	$c[0]->close;
	is $c[1]->read_n(2), 40, 'and the last';
	$c[1]->close;
	ok wait_for(sub { lines_of('one') == 4 });
	like +(lines_of('one'))[1], qr/^one 200 127\.0\.0\.1:\d+ 0\.000$/, 'one that did not wait';
	like +(lines_of('one'))[3], qr/^one 200 127\.0\.0\.1:\d+ \d+\.\d+$/;
};

subtest 'with a zone' => sub {
	my @c = map $w->connect(port => 3), 1 .. 5;
	for (1 .. 5) {
		my ($who) = grep { my $bits = ''; vec($bits, $_->fd, 1) = 1; select $bits, undef, undef, 0 } @c;
		wait_for(sub { ($who) = grep { my $bits = ''; vec($bits, $_->fd, 1) = 1; select $bits, undef, undef, 0 } @c });
		is $who && $who->read_n(2), 41, "turn $_";
		@c = grep { $_ != $who } @c;
		$who->close;
	}
};

subtest 'in vain' => sub {
	my $c = $w->connect(port => 4);
	is $c->read_n(2), 40;
	is try(4), '', 'closed after a while';
	ok wait_for(sub { lines_of('soon') == 1 });
	like +(lines_of('soon'))[0], qr/^soon 503 soon (\d\.[1-9]|[1-9])/, 'it waited';
	$w->log_like(qr/waited in vain for a server of upstream "soon" while waiting for an upstream, client/);
	$c->close;
	$c = $w->connect(port => 5);
	is $c->read_n(2), 40;
	is try(5), '', 'without a queue';
	ok wait_for(sub { grep /^none 502 none/, lines_of('none') }), 'the log has 502';
};

subtest 'who leaves the queue' => sub {
	my $n = lines_of('one');
	my $first = $w->connect(port => 2);
	is $first->read_n(2), 40;
	for (1 .. 4) {			# more than there are places
		my $c = waits(2);
		my $seen = lines_of('one');
		$c->reset;
		ok wait_for(sub { lines_of('one') > $seen }), 'a client that resets its connection makes room';
	}
	unlike join("\n", (lines_of('one'))[$n .. $n + 3]), qr/^one 503/m;
	$first->close;
	is try(2), 40, 'the server is free';
};

subtest 'datagrams wait, too' => sub {
	my $first = $w->connect(port => 2);
	is $first->read_n(2), 40;
	my $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $w->port(10)) or die;
	my $served = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $w->port(40)) or die;
	my $before = clients(10);
	$s->send('question');
	ok wait_for(sub { clients(10) > $before }), 'it has come';
	$first->close;
	ok wait_for(sub { my $bits = ''; vec($bits, fileno $served, 1) = 1; select $bits, undef, undef, 0 }), 'it has come';
	$served->recv(my $what, 100);
	is $what, 'question', 'what came first';
};

subtest 'a budget' => sub {
	my @who = map try(6), 1 .. 10;
	my $served = grep $_ eq '41', @who;
	is $served, 5, 'every second one may be tried again';
	$w->log_like(qr/the retry budget of upstream "half" is spent while connecting to upstream, client/);
	is scalar(grep { $_ eq '41' } map try(7), 1 .. 10), 10, 'off: all of them';
	my $text = $w->get('/metrics')->body;
	like $text, qr/^weir_upstream_retries_total\{upstream="half"\} 5$/m;
	like $text, qr/^weir_upstream_retries_refused_total\{upstream="half"\} 5$/m;
	like $text, qr/^weir_upstream_requests_in_progress\{upstream="half"\} 0$/m;
};

subtest 'servers in a file' => sub {
	is try(8), 41 for 1 .. 3;
	is try(9), '', 'none at first';
	$w->log_like(qr/servers that were passed over: there are no servers/);
	$w->write('state/filled.conf', $w->expand("server 127.0.0.1:%PORT42%;\n"));
	ok $w->reload(conf()), 'reload';
	is try(8), 42, 'another one' for 1 .. 3;
};

done_testing;
