#!/usr/bin/env perl
# stream.t - connections of TCP: listeners, answers, sessions' lines in the log, what is refused in a configuration.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: stream listen server server_name return set map geo split_clients access_log log_format error_log
# effect: tcp_nodelay allow deny limit_conn limit_conn_zone limit_conn_dry_run limit_conn_log_level set_real_ip_from
# effect: proxy_protocol_timeout

my $w = Weir->new;

# What a connection gives until its end.
sub ask
{
	my ($port, $send, %opt) = @_;
	my $c = $w->connect(port => $port, %opt) or return undef;
	$c->send($send) if defined $send;
	$c->half_close;
	return $c->read_all;
}

$w->start(<<'E');
worker_processes 2;
stream {
	log_format t "$remote_addr $server_port $protocol $status $close_reason $bytes_sent $limit_conn_status";
	log_format other escape=json '{"a":"$close_reason","t":$session_time}';
	access_log %DIR%/access.log t;
	map $server_port $which { %PORT2% two; default one; }
	geo $near { 127.0.0.2 second; default first; }
	split_clients "$remote_addr" $half { 100% all; }
	limit_conn_zone $binary_remote_addr zone=z:1m;

	server {
		listen 127.0.0.1:%PORT1%;
		listen 127.0.0.1:%PORT2% backlog=100 rcvbuf=64k sndbuf=64k so_keepalive=on;
		set $said "$which-$near";
		return "$remote_addr:$server_addr:$server_port $said $half\n";
	}
	server { listen 127.0.0.1:%PORT3%; deny 127.0.0.1; allow all; return no; }
	server { listen 127.0.0.1:%PORT4%; access_log off; return quiet; }
	server { listen 127.0.0.1:%PORT5%; access_log %DIR%/json.log other; access_log %DIR%/own.log json; return x; }
	server { listen unix:%DIR%/s.sock; return "unix $remote_addr $remote_port."; }
	server {
		listen 127.0.0.1:%PORT6%;
		limit_conn z 1;
		proxy_pass 127.0.0.1:%PORT10%;
	}
	server { listen 127.0.0.1:%PORT7%; limit_conn z 1; limit_conn_log_level warn; return held; }
	server { listen 127.0.0.1:%PORT8%; limit_conn z 1; limit_conn_dry_run on; return dry; }
	server {
		listen 127.0.0.1:%PORT9% proxy_protocol;
		set_real_ip_from 127.0.0.1;
		deny 192.0.2.7;
		return "$remote_addr:$remote_port $realip_remote_addr $proxy_protocol_addr $proxy_protocol_server_port";
	}
	server { listen 127.0.0.1:%PORT11%; tcp_nodelay off; error_log %DIR%/here.log info; return x; }
	server { listen 127.0.0.1:%PORT12% proxy_protocol; proxy_protocol_timeout 100ms; return x; }
	server { listen 127.0.0.1:%PORT13% proxy_protocol=trusted; set_real_ip_from 127.0.0.2; return in; }
}
E

my ($p1, $p2) = ($w->port(1), $w->port(2));
is ask(1), "127.0.0.1:127.0.0.1:$p1 one-first all\n", 'return, with variables of every kind';
is ask(2, undef, from => '127.0.0.2'), "127.0.0.2:127.0.0.1:$p2 two-second all\n", 'another address, another client';
is ask(1, 'x' x 1000), "127.0.0.1:127.0.0.1:$p1 one-first all\n", 'what the client has sent does not hurt the answer';
is ask(3), '', 'who may not come in, is closed';
is ask(3, undef, from => '127.0.0.2'), 'no', 'others are served';
is ask(4), 'quiet', 'without a log';
is ask(5), 'x', 'with logs of its own';
my $u = $w->connect(unix => $w->dir . '/s.sock');
is $u->read_all, 'unix unix: .', 'a unix socket';

my @lines = $w->access('access.log', 6);
is scalar(grep(/^127\.0\.0\.1 $p1 TCP 200 answered \d+ -$/, @lines)), 2, 'a line for each session';
is scalar(grep(/^127\.0\.0\.1 \d+ TCP 403 refused 0 -$/, @lines)), 1, 'and for who was refused';
like $w->log_text, qr/access forbidden by rule, client: 127\.0\.0\.1, server: 127\.0\.0\.1:\d+$/m, 'the error log has it';
like(($w->access('json.log', 1))[0], qr/^\{"a":"answered","t":\d+\.\d{3}\}$/, 'a format of its own');
like(($w->access('own.log', 1))[0], qr/^\{"time":.*"status":200,"close_reason":"answered",.*\}$/, 'the format json is there');

# limit_conn: a connection counts as long as it lasts
$w->origin(10, sub { my ($c) = @_; $c->note('here'); $c->eof });
my $held = $w->connect(port => 6);
ok wait_for(sub { $w->origin_notes(10) }), 'a connection is held';
is ask(7), '', 'another of the same client is not served';
is ask(8), 'dry', 'or would not be';
is ask(7, undef, from => '127.0.0.3'), 'held', 'another client is';
$held->close;
ok wait_for(sub { ask(7) eq 'held' }), 'served when the first has gone';
@lines = $w->access('access.log', 11);
ok scalar(grep(/ 503 refused 0 REJECTED$/, @lines)), 'the log tells it';
ok scalar(grep(/ 200 answered 3 REJECTED_DRY_RUN$/, @lines)), 'also what would have been';
like $w->log_text, qr/\[warn\].*limiting connections by zone "z", client: 127/, 'at its level';

# PROXY protocol and realip
is ask(9, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 5678\r\n"), '192.0.2.1:1234 127.0.0.1 192.0.2.1 5678', 'the client that a proxy names';
is ask(9, "PROXY TCP4 192.0.2.7 192.0.2.2 1234 5678\r\n"), '', 'counts for access';
is ask(9, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 5678\r\n", from => '127.0.0.2') =~ s/:\d+/:n/r,
    '127.0.0.2:n 127.0.0.2 192.0.2.1 5678', 'not of who is not trusted';
is ask(9, "GET / HTTP/1.0\r\n\r\n"), '', 'without the header nothing';
my $slow = $w->connect(port => 12);
ok $slow->eof, 'who does not send it in time is closed';
is ask(13, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 5678\r\n") // '', '', 'proxy_protocol=trusted: not from everybody';
is ask(13, "PROXY TCP4 192.0.2.1 192.0.2.2 1234 5678\r\n", from => '127.0.0.2'), 'in', 'but from who is trusted';

is ask(11), 'x', 'tcp_nodelay off';
ok wait_for(sub { $w->log_text('here.log') =~ /client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:\d+, client: 127/ }), 'an error log of its own';
$w->log_unlike(qr/connected to 127\.0\.0\.1:@{[$w->port(11)]},/, 'which the others have not');

# many at once, over reloads
my $load = $w->background(sub {
	my ($stop) = @_;
	my %n = (ok => 0, bad => 0);
	$n{ (ask(1) // '') =~ /one-first all\n$/ ? 'ok' : 'bad' }++ until $stop->();
	return \%n;
});
ok $w->reload, 'reload' for 1 .. 3;
my $n = $load->finish;
cmp_ok $n->{ok}, '>', 0, 'connections were answered';
is $n->{bad}, 0, 'all of them, over reloads';

# ---- configurations ----

my $v = Weir->new;
$v->expect_alert(qr/\[emerg\]/);
my $busy = 'server { listen 127.0.0.1:%PORT20%; return x; }';
for (
	[ 'server { listen 127.0.0.1:%PORT20%; }', qr/no handler for server/ ],
	[ 'server { return x; }', qr/no "listen" is defined for server/ ],
	[ 'server { listen 127.0.0.1; return x; }', qr/no port in "127\.0\.0\.1" of the "listen" directive/ ],
	[ 'server { listen 127.0.0.1:%PORT20%; return x; proxy_pass 127.0.0.1:1; }', qr/is duplicate/ ],
	[ 'server { listen 127.0.0.1:%PORT20%; proxy_pass 127.0.0.1; }', qr/no port in upstream "127\.0\.0\.1"/ ],
	[ 'upstream u { server 127.0.0.1; } server { listen 127.0.0.1:%PORT20%; proxy_pass u; }', qr/no port in upstream/ ],
	[ 'server { listen 127.0.0.1:%PORT20% http2; return x; }', qr/invalid parameter "http2"/ ],
	[ 'server { listen 127.0.0.1:%PORT20% ssl; return x; }', qr/no "ssl_certificate" is defined/ ],
	[ 'server { listen 127.0.0.1:%PORT20%; return $nothing; }', qr/unknown "nothing" variable/ ],
	[ 'server { listen 127.0.0.1:%PORT20%; return $uri; }', qr/unknown "uri" variable/ ],
	[ 'access_log /dev/null;', qr/log format is not specified/ ],
	[ $busy . ' server { listen 127.0.0.1:%PORT20% default_server; return y; } ' .
	  'server { listen 127.0.0.1:%PORT20% default_server; return z; }', qr/a duplicate default server/ ],
	[ 'server { listen 127.0.0.1:%PORT20%; return x; location / { } }', qr/"location" directive is not allowed here/ ],
) {
	my ($conf, $want) = @$_;
	my ($code, undef, $err) = $v->test_conf("stream { $conf }");
	isnt $code, 0, $conf;
	like $err, $want, '... and why';
}
my ($code, undef, $err) = $v->test_conf("stream { $busy } http { access_log off; server { listen 127.0.0.1:%PORT20%; } }");
like $err, qr/is listened on by an? (stream|http) server already/, 'http and stream cannot share an address';
($code) = $v->test_conf('stream { upstream u { server 127.0.0.1:1; } server { listen 127.0.0.1:%PORT20%; proxy_pass u; } } ' .
    'http { access_log off; upstream u { server 127.0.0.1:2; } server { listen 127.0.0.1:%PORT21%; location / { proxy_pass http://u; } } }');
is $code, 0, 'but names of upstreams';

done_testing;
