#!/usr/bin/perl

# tunnel_pass: CONNECT, by HTTP/1.1 and HTTP/2, and what connects: tunnel_*.
#
# effect: tunnel_pass tunnel_bind tunnel_socket_keepalive tunnel_socket_rcvbuf tunnel_socket_sndbuf
# effect: tunnel_connect_timeout tunnel_read_timeout tunnel_next_upstream tunnel_next_upstream_tries
# effect: tunnel_next_upstream_delay tunnel_retry_budget
# effect: tunnel_next_upstream_timeout tunnel_send_timeout tunnel_buffer_size tunnel_send_lowat

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use MIME::Base64;
use Socket ();
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::H2;
use Weir::Metrics;

my $w = Weir->new;
$w->write('passwords', "me:{PLAIN}secret\n");
$w->write('www/text', "a text\n");

# Says who is there, then everything in capitals, and goodbye when the other side has ended.
$w->origin(9, sub {
	my ($c) = @_;
	$c->send('from ' . ($c->socket->peerhost // '-') . "\n");
	while (length(my $data = $c->read_until(qr/\n/) // '')) {
		$c->send(uc $data);
	}
	$c->note($c->was_reset ? 'reset' : 'end');
	$c->send("bye\n");
	$c->half_close;
});
$w->origin(8, sub {
	my ($c) = @_;
	$c->read_request;
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nweb 8\n");
});

# A listener whose queue is full does not answer.
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(16), Listen => 1) or die;
my @fill = map {
	my $s = IO::Socket::INET->new(Proto => 'tcp');
	$s->blocking(0);
	connect $s, Socket::pack_sockaddr_in($w->port(16), Socket::inet_aton('127.0.0.1'));
	$s;
} 1 .. 4;

$w->start(<<'E');
worker_processes 1;
http {
	log_format l '$request|$status|$uri|$host|$request_port|$upstream_addr|$upstream_status|$remote_user|$body_bytes_sent';
	log_format times '$upstream_addr|$upstream_connect_time|$upstream_header_time|$upstream_response_time';
	access_log %DIR%/access.log l;
	access_log %DIR%/times.log times;
	http2 on;
	map $request_port $known { default 0; %PORT8% 1; %PORT9% 1; }
	upstream first_is_dead { server 127.0.0.1:%PORT7%; server 127.0.0.1:%PORT9%; }
	upstream dead_too { server 127.0.0.1:%PORT7%; server 127.0.0.1:%PORT9%; }
	upstream all_dead { server 127.0.0.1:%PORT7% max_fails=0; server 127.0.0.2:%PORT7% max_fails=0; server 127.0.0.3:%PORT7% max_fails=0; }
	upstream spender { server 127.0.0.1:%PORT7% max_fails=0; server 127.0.0.2:%PORT7% max_fails=0; }
	upstream slow_dead { server 127.0.0.1:%PORT16%; server 127.0.0.1:%PORT9%; }
	tunnel_read_timeout 5m;
	tunnel_send_timeout 1s;
	tunnel_buffer_size 4k;
	tunnel_send_lowat 0;
	server {
		listen 127.0.0.1:%PORT1%;
		if ($known = 0) { return 403; }
		tunnel_pass;
	}
	server {
		listen 127.0.0.1:%PORT2%;
		root %DIR%/www;
		location / {
			if ($request_method = CONNECT) { tunnel_pass; }
		}
	}
	server { listen 127.0.0.1:%PORT3%; tunnel_pass first_is_dead; }
	server { listen 127.0.0.1:%PORT4%; tunnel_pass dead_too; tunnel_next_upstream off; }
	server { listen 127.0.0.1:%PORT5%; tunnel_pass all_dead; tunnel_next_upstream_tries 2; }
	server {
		listen 127.0.0.1:%PORT6%;
		location / { return 200 "no tunnel"; }
	}
	server { listen 127.0.0.1:%PORT10%; auth_basic "a proxy"; auth_basic_user_file %DIR%/passwords; tunnel_pass; }
	server { listen 127.0.0.1:%PORT11%; tunnel_pass; tunnel_read_timeout 600ms; }
	server { listen 127.0.0.1:%PORT12%; tunnel_pass; tunnel_connect_timeout 300ms; }
	server {
		listen 127.0.0.1:%PORT13%;
		tunnel_bind 127.0.0.9;
		tunnel_socket_keepalive on;
		tunnel_socket_rcvbuf 16k;
		tunnel_socket_sndbuf 32k;
		tunnel_pass;
	}
	server { listen 127.0.0.1:%PORT14%; tunnel_pass slow_dead; tunnel_connect_timeout 300ms; tunnel_next_upstream_timeout 1ms; }
	server { listen 127.0.0.1:%PORT18%; tunnel_pass all_dead; tunnel_next_upstream_delay 100ms; }
	server { listen 127.0.0.1:%PORT19%; tunnel_pass spender; tunnel_retry_budget 1% min=1; }
	server { listen 127.0.0.1:%PORT17%; access_log off; metrics; }
	server { listen 127.0.0.1:%PORT15%; tunnel_pass; location / { return 200 "here"; } }
}
E

my $to = '127.0.0.1:' . $w->port(9);

sub ask
{
	my ($port, $host, %opt) = @_;
	my $c = $w->connect(port => $port);
	$c->send("CONNECT $host HTTP/" . ($opt{version} // '1.1') . "\r\nHost: $host\r\n" . ($opt{fields} // '') .
	    "\r\n" . ($opt{early} // ''));
	return $c;
}

sub head { my ($c) = @_; return $c->read_until(qr/\r\n\r\n/) }
sub status { my ($status) = head(ask(@_)) =~ m{^HTTP/1\.[01] (\d+)}; return $status }

# The line that comes after those which were seen; lines of tunnels come when these end.
my $lines = 0;
sub logged { $lines += $_[0] // 1; return ($w->access('access.log', $lines))[$lines - 1] }

subtest 'a tunnel' => sub {
	my $c = ask(1, $to, early => "early\n");
	my $head = head($c);
	like $head, qr{^HTTP/1\.1 200 OK\r\n}, 'the answer is 200';
	unlike $head, qr/^(?:Content-Length|Transfer-Encoding|Connection):/mi, 'nothing about a body (RFC 9110, 9.3.6)';
	is $c->read_until(qr/EARLY\n/), "from 127.0.0.1\nEARLY\n", 'what came with the head goes on';
	$c->send("more\n");
	is $c->read_until(qr/\n/), "MORE\n", 'and what comes later';
	$c->half_close;
	is $c->read_all, "bye\n", 'an end in one direction';
	is logged(), "CONNECT $to HTTP/1.1|200|/|127.0.0.1|" . $w->port(9) . "|$to|200|-|30", 'in the log';
};

# What a stream carries until it is this.
sub data
{
	my ($h, $re) = @_;
	my $got = '';
	$h->read_until(sub { $got .= $_[0]{payload} if $_[0]{type} == 0; $got =~ $re });
	return $got;
}

subtest 'HTTP/2' => sub {
	my $h = Weir::H2->new($w->connect(port => 1));
	my $sid = $h->request([ ':method' => 'CONNECT', ':authority' => $to ], more => 1);
	my %head;
	$h->read_until(sub { %head = @{ $_[0]{fields} } if $_[0]{fields}; %head });
	is $head{':status'}, 200, 'a head';
	is $head{'content-length'}, undef, 'without a length';
	$h->data($sid, "two\n", 0);
	is data($h, qr/TWO\n/), "from 127.0.0.1\nTWO\n", 'a stream is a tunnel';
	# each small message may be answered by windows and a PING, as gRPC's libraries do
	my $n = 0;
	for (1 .. 800) {
		$h->data($sid, "m\n", 0);
		last if $h->{ended} || data($h, qr/M\n/) !~ /M/;
		$h->ping;	# the windows are H2.pm's
		$n++;
	}
	is $n, 800, 'small messages are no flood';
	$h->data($sid, '', 1);
	is data($h, qr/bye\n/), "bye\n", 'its end, too';
	like logged(), qr{HTTP/2\.0\|200\|/\|127\.0\.0\.1\|\d+\|\Q$to\E\|200\|}, 'in the log';
	$sid = $h->request([ ':method' => 'CONNECT', ':authority' => '127.0.0.1:1' ], more => 1);
	is $h->response($sid)->{status}, 403, 'refused as others are';
	logged();
	$sid = $h->request([ ':method' => 'CONNECT', ':authority' => $to, 'content-length' => 3 ], body => 'abc');
	my $bad = $h->response($sid);
	ok defined $bad->{rst} || ($bad->{status} // 0) == 400, 'a length has no place in it';
	logged();
};

subtest 'a real client' => sub {
	plan skip_all => 'curl is missing' unless `curl -V 2>/dev/null`;
	my $url = "http://127.0.0.1:@{[ $w->port(8) ]}/";
	is `curl -sS -p -x http://127.0.0.1:@{[ $w->port(1) ]} $url 2>&1`, "web 8\n", 'curl -p';
	is `curl -sS -p -x http://me:secret\@127.0.0.1:@{[ $w->port(10) ]} $url 2>&1`, "web 8\n", 'with a password';
	logged(2);
};

subtest 'what is refused' => sub {
	is status(1, '127.0.0.1:1'), 403, 'a port that the configuration does not know';
	is status(6, $to), 405, 'a server without tunnel_pass';
	is $w->request('GET', '/', [], undef, port => 3)->status, 405, 'another method at tunnel_pass';
	is status(1, $to, version => '1.0'), 405, 'HTTP/1.0';
	logged(4);
	for my $target ("$to/", "me\@$to", "http://$to", '127.0.0.1', '127.0.0.1:', ':80', '127.0.0.1:65536') {
		is status(1, $target), 400, "the target $target";
		logged();
	}
	is status(1, $to, fields => "Content-Length: 3\r\n", early => 'abc'), 400, 'a body';
	is status(1, $to, fields => "Transfer-Encoding: chunked\r\n", early => "0\r\n\r\n"), 400, 'chunks';
	is status(11, 'nobody.example:80'), 502, 'a name without a resolver';
	$w->log_like(qr/no resolver defined to resolve nobody\.example/, 'is told');
	like $w->request('GET', '/text', [], undef, port => 2)->body, qr/a text/, 'other methods pass by an if';
	is status(15, $to), 501, 'locations do not inherit it, and no 2xx stands for a tunnel that is none';
	logged(5);
};

subtest 'servers' => sub {
	is status(3, 'ignored.example:1'), 200, 'the first is dead: the second';
	like logged(), qr/\|127\.0\.0\.1:\d+, \Q$to\E\|502, 200\|/, 'both are in the log';
	my $time = qr/\d+\.\d{3}/;
	like +($w->access('times.log', $lines))[$lines - 1], qr/^[^|]*, \Q$to\E\|-, $time\|-, $time\|$time, $time$/, 'with its times';
	my $m;
	my %of = (upstream => 'first_is_dead');
	ok wait_for(sub {
		$m = Weir::Metrics->parse($w->request('GET', '/', [], undef, port => 17)->body);
		$m->value('weir_upstream_responses_total', %of, class => '2xx');
	}), 'metrics know of it';
	is $m->value('weir_upstream_response_seconds_count', %of), 1;
	is status(4, 'x.example:1'), 502, 'tunnel_next_upstream off';
	logged();
	is status(5, 'x.example:1'), 502, 'all are dead';
	is scalar(my @tried = logged() =~ /127\.0\.0\.\d:\d+/g), 2, 'tunnel_next_upstream_tries';
	is status(14, 'x.example:1'), 504, 'tunnel_next_upstream_timeout';
	logged();
	my $begin = time;
	is status(18, 'x.example:1'), 502;
	cmp_ok time - $begin, '>', 0.28, 'tunnel_next_upstream_delay';
	is scalar(@tried = logged() =~ /127\.0\.0\.\d:\d+/g), 3;
	is status(19, 'x.example:1'), 502;
	is scalar(@tried = logged() =~ /127\.0\.0\.\d:\d+/g), 2, 'within the budget';
	is status(19, 'x.example:1'), 502 for 1 .. 3;
	logged(3);
	$w->log_like(qr/the retry budget of upstream "spender" is spent/, 'tunnel_retry_budget');
};

subtest 'passwords' => sub {
	my $head = head(ask(10, $to));
	like $head, qr{^HTTP/1\.1 407 }, 'the answer is 407';
	like $head, qr{^Proxy-Authenticate: Basic realm="a proxy"\r$}m, 'and how';
	unlike $head, qr/^WWW-Authenticate/m, 'not as an origin';
	my $basic = 'Basic ' . encode_base64('me:secret', '') . "\r\n";
	is status(10, $to, fields => "Authorization: $basic"), 407, 'Authorization is for somebody else';
	is status(10, $to, fields => "Proxy-Authorization: $basic"), 200, 'Proxy-Authorization';
	like logged(3), qr/\|me\|\d+$/, '$remote_user';
};

subtest 'timeouts' => sub {
	my $c = ask(11, $to);
	head($c);
	ok $c->eof, 'tunnel_read_timeout ends an idle tunnel';
	like logged(), qr/\|200\|/, 'which is logged';
	is status(12, '127.0.0.1:' . $w->port(16)), 504, 'tunnel_connect_timeout';
	logged();
};

subtest 'connections' => sub {
	my $c = ask(13, $to);
	head($c);
	is $c->read_until(qr/\n/), "from 127.0.0.9\n", 'tunnel_bind';
	SKIP: {
		`ss -V 2>/dev/null` or skip 'ss is missing', 1;
		my $seen = qr/timer:\(keepalive.*\n?.*rb32768,.*tb65536,/;
		ok wait_for(sub { `ss -Htnmo state established 'dport = :@{[ $w->port(9) ]}'` =~ $seen }),
		    'tunnel_socket_keepalive, tunnel_socket_rcvbuf and tunnel_socket_sndbuf';
	}
	$c->close;
	logged();
	my $n = $w->origin_notes(9);
	$c = ask(1, $to);
	head($c);
	$c->reset;
	ok wait_for(sub { $w->origin_notes(9) > $n }), 'a client that leaves is told to the other side';
	logged();
};

$w->log_like(qr/\[warn\].*\Q$_\E: has no effect: /, "$_ warns")
    for qw(tunnel_send_timeout tunnel_buffer_size tunnel_send_lowat);

for ([ 'tunnel_pass 127.0.0.1:80/x;', qr/"tunnel_pass" has no URI part/ ],
    [ 'tunnel_next_upstream http_500;', qr/http_500/ ], [ 'tunnel_pass a b;', qr/tunnel_pass/ ]) {
	my $bad = Weir->new;
	$bad->expect_alert(qr/./);
	my ($code, undef, $err) = $bad->test_conf("http { server { listen 127.0.0.1:1; $_->[0] } }");
	isnt $code, 0, $_->[0];
	like $err, $_->[1], 'says why';
}

done_testing;
