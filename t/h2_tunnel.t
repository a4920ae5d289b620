#!/usr/bin/perl

# HTTP/2: tunnels on streams, by extended CONNECT (RFC 8441), towards upstreams that speak HTTP/1.
#
# effect: http2_extended_connect

use strict;
use warnings;

use lib 't/lib';
use Digest::SHA qw(sha1_base64);
use Test::More;
use Weir;
use Weir::H2;

my $w = Weir->new;
$w->write('www/text', "text\n");
$w->cert('localhost', cn => 'localhost', san => 'DNS:localhost');

$w->origin(9, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my %h = %{ $q->{headers} };
	my ($name) = $q->{uri} =~ m{(\w+)$};
	my $key = $h{'sec-websocket-key'} // '';
	$c->note("$name: $q->{method} upgrade=" . ($h{upgrade} // '-') . ' connection=' . ($h{connection} // '-') .
	    ' version=' . ($h{'sec-websocket-version'} // '-') . ' proto=' . ($h{'sec-websocket-protocol'} // '-') .
	    ' key=' . length($key) . ($key eq 'mine' ? ' not ours' : '') . ' host=' . ($h{host} // '-') .
	    ' length=' . ($h{'content-length'} // '-') . ' coding=' . ($h{'transfer-encoding'} // '-'));
	if ($name eq 'plain' || !defined $h{upgrade}) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain");
		return;
	}
	if ($name eq 'no') {
		$c->send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
		return;
	}
	my $accept = sha1_base64($key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11') . '=';
	$accept = 'x' . $accept if $name eq 'liar';
	$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: $h{upgrade}\r\nConnection: Upgrade\r\n" .
	    "Sec-WebSocket-Accept: $accept\r\nSec-WebSocket-Protocol: chat\r\nX-Own: 1\r\n\r\n" .
	    ($name eq 'first' ? 'hello' : ''));
	if ($name eq 'echo' || $name eq 'first' || $name eq 'early' || $name eq 'idle') {
		while (length(my $data = $c->read_until(qr/\n/))) {
			$c->send(uc $data);
		}
		$c->note("$name: " . ($c->was_reset ? 'reset' : 'end'));
		$c->send("bye\n");	# after the client's end
		$c->half_close;
	} elsif ($name eq 'closes') {
		$c->send('done');
		$c->half_close;
		$c->note('after the end: ' . $c->read_all);
	} elsif ($name eq 'resets') {
		$c->read_until(qr/\n/);
		$c->reset;
	} elsif ($name eq 'big') {
		for (1 .. 20) {
			$c->send($c->read_n(100000));
		}
		$c->half_close;
	} elsif ($name eq 'sends') {
		$c->send('x' x 10_000_000);
		$c->note('all is sent');
	} elsif ($name eq 'deaf') {
		Weir::wait_for(sub { -e $w->dir . '/hear' });
		my $n = 0;
		$n += length $c->read_n(100000) for 1 .. 20;
		$c->send("heard $n\n");
		$c->half_close;
	} elsif ($name eq 'watch') {
		$c->timeout(30);
		$c->eof;
		$c->note('saw ' . ($c->was_reset ? 'reset' : $c->timed_out ? 'nothing' : 'end'));
	}
});

my $conf = <<'E';
worker_processes 1;
worker_shutdown_timeout 30s;
http {
	log_format l '$request|$request_method|$uri|$status|$http2|$server_protocol|$http_upgrade|$http_x_own|$upstream_status|$received|$body_bytes_sent';
	map $request_length $received { default got; 0 nothing; }
	access_log %DIR%/access.log l;
	ssl_certificate %DIR%/localhost.crt;
	ssl_certificate_key %DIR%/localhost.key;
	http2 on;
	server {
		listen 127.0.0.1:%PORT1%;
		listen 127.0.0.1:%PORT3% ssl;
		root %DIR%/www;
		location / { proxy_pass http://127.0.0.1:%PORT9%; proxy_read_timeout 5m; }
		location /boiler/ {
			proxy_pass http://127.0.0.1:%PORT9%;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection "upgrade";
			proxy_set_header Host $host;
		}
		location /off/ { proxy_pass http://127.0.0.1:%PORT9%; proxy_websocket off; }
		location /text { }
		location /return { return 200 "a text"; }
		location /page { error_page 501 =200 /text; return 200 "a text"; }
		location /none { return 404; }
		location /one { limit_conn tunnels 1; proxy_pass http://127.0.0.1:%PORT9%; proxy_read_timeout 5m; }
	}
	limit_conn_zone $uri zone=tunnels:64k;
	server {
		listen 127.0.0.1:%PORT4%;
		keepalive_timeout 300ms;
		client_body_timeout 300ms;
		send_timeout 300ms;
		location / { proxy_pass http://127.0.0.1:%PORT9%; proxy_read_timeout 600ms; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		http2_extended_connect off;
		location / { proxy_pass http://127.0.0.1:%PORT9%; }
	}
}
E
$w->start($conf);

sub h2 { my ($n, %o) = @_; Weir::H2->new($w->connect(port => $n // 1), %o) }
sub notes { my ($re) = @_; scalar grep /$re/, $w->origin_notes(9) }

sub ask
{
	my ($h, $path, @more) = @_;
	return $h->request([':method' => 'CONNECT', ':protocol' => 'websocket', ':scheme' => 'http', ':path' => $path,
	    ':authority' => 'localhost', 'sec-websocket-version' => 13, @more], more => 1);
}

# The next head that comes for a stream.
sub head
{
	my ($h, $sid) = @_;
	my @f = grep { $_->{type} == 1 } $h->read_until(sub { $_[0]{type} == 1 && $_[0]{sid} == $sid });
	return @f ? { @{ $f[-1]{fields} } } : {};
}

# So many bytes of a stream, or until its end; what comes for it besides.
sub bytes
{
	my ($h, $sid, $n) = @_;
	my ($s, $last) = ('', undef);
	while (length $s < $n) {
		my $f = $h->read_frame(20) or last;
		next unless $f->{sid} == $sid;
		$s .= $f->{payload} if $f->{type} == 0;
		$last = $f;
		last if $f->{type} == 3 || $f->{flags} & 1;
	}
	return wantarray ? ($s, $last) : $s;
}

subtest 'is offered' => sub {
	my $h = h2();
	$h->read_until(sub { $_[0]{type} == 4 && $_[0]{flags} & 1 });
	is $h->{settings}{8}, 1, 'SETTINGS_ENABLE_CONNECT_PROTOCOL';
	$h = h2(2);
	$h->read_until(sub { $_[0]{type} == 4 && $_[0]{flags} & 1 });
	is $h->{settings}{8}, undef, 'not, when it is off';
	is $h->response(ask($h, '/echo'))->{status}, 400, 'and is refused then';
};

for my $at ('/', '/boiler/') {
	subtest "joined: $at" => sub {
		my $h = h2();
		my $sid = ask($h, "${at}echo", 'sec-websocket-protocol' => 'chat', 'sec-websocket-key' => 'mine', 'x-own' => 'me');
		my $r = head($h, $sid);
		is $r->{':status'}, 200;
		is $r->{'sec-websocket-protocol'}, 'chat', 'fields come through';
		is_deeply [grep { defined $r->{$_} } qw(upgrade connection sec-websocket-accept content-length)], [],
		    'but those of HTTP/1';
		like +(grep { /^echo: G/ } $w->origin_notes(9))[-1], qr/^echo: GET upgrade=websocket connection=Upgrade version=13 proto=chat key=24 host=\S+ length=- coding=-$/i,
		    'what the upstream sees';
		for my $i (1 .. 3) {
			$h->data($sid, "line $i\n");
			is bytes($h, $sid, 7), "LINE $i\n";
		}
		is $h->response($h->get('/text'))->{body}, "text\n", 'other streams go on';
		$h->data($sid, '', 1);
		my ($s, $f) = bytes($h, $sid, 1000);
		is $s, "bye\n", 'our end, then theirs';
		ok $f->{type} == 0 && $f->{flags} & 1, 'in order';
		ok wait_for(sub { grep { $_ eq "CONNECT ${at}echo HTTP/2.0|GET|${at}echo|200|h2c|HTTP/2.0|websocket|me|101|got|25" }
		    $w->access('access.log') }), 'the log' or diag join "\n", $w->access('access.log');
		is $h->response($h->get('/text'))->{body}, "text\n", 'and the connection';
	};
}

subtest 'bytes together with the heads' => sub {
	my $h = h2();
	my $sid = ask($h, '/first');
	is head($h, $sid)->{':status'}, 200;
	is bytes($h, $sid, 5), 'hello', 'behind the 101';
	$sid = ask($h, '/early');
	$h->data($sid, "early\n");
	is head($h, $sid)->{':status'}, 200;
	is bytes($h, $sid, 6), "EARLY\n", 'behind the request';
	$h->rst($sid);
	$sid = $h->{next};
	$h->request([':method' => 'CONNECT', ':protocol' => 'websocket', ':scheme' => 'http', ':path' => '/early',
	    ':authority' => 'localhost'], body => "and\n");
	is head($h, $sid)->{':status'}, 200;
	is bytes($h, $sid, 100), "AND\nbye\n", 'and the end, too';
};

subtest 'S-67 not joined' => sub {
	my $h = h2();
	is $h->response(ask($h, '/no'))->{status}, 403, 'the upstream does not want to';
	for ('/plain', '/off/echo', '/return', '/text', '/page') {
		my $r = $h->response(ask($h, $_));
		is $r->{status}, 501, "$_: 2xx would mean a tunnel";
	}
	is $h->response(ask($h, '/none'))->{status}, 404;
	is $h->response(ask($h, '/liar'))->{status}, 502, 'Sec-WebSocket-Accept is checked';
	$w->log_like(qr/upstream gave a wrong Sec-WebSocket-Accept/, 'and told');
	my @ok = (':method' => 'CONNECT', ':protocol' => 'websocket', ':scheme' => 'http', ':path' => '/echo', ':authority' => 'a');
	my $without = sub { my ($x, @more) = @_; my @l = @ok; my @k;
	    while (my ($n, $v) = splice @l, 0, 2) { push @k, $n, $v unless $n eq $x } (@k, @more) };
	for (['no :path', $without->(':path')], ['no :scheme', $without->(':scheme')], ['no :authority', $without->(':authority')],
	    ['Host only', $without->(':authority', host => 'a')],
	    ['another method', ':method' => 'GET', $without->(':method')], ['CR LF', $without->(':protocol', ':protocol' => "web\r\nx: y")],
	    ['a length', @ok, 'content-length' => 3], ['no slash', $without->(':path', ':path' => 'a:1')]) {
		my ($what, @fields) = @$_;
		is $h->response($h->request(\@fields))->{status}, 400, $what;
	}
	is $h->response($h->request([':method' => 'CONNECT', ':authority' => 'a:1']))->{status}, 405, 'plain CONNECT';
	is $h->response($h->get('/text'))->{body}, "text\n", 'the connection goes on';
};

subtest 'ends of every kind' => sub {
	my $h = h2();
	my $sid = ask($h, '/closes');
	is head($h, $sid)->{':status'}, 200;
	my ($s, $f) = bytes($h, $sid, 1000);
	ok $s eq 'done' && $f->{flags} & 1, 'the upstream ends its direction';
	$h->data($sid, 'more', 1);
	ok wait_for(sub { notes(qr/after the end: more$/) }), 'ours goes on';
	$sid = ask($h, '/resets');
	is head($h, $sid)->{':status'}, 200;
	$h->data($sid, "go\n");
	(undef, $f) = bytes($h, $sid, 1000);
	is $f->{type}, 3, 'the upstream resets: RST_STREAM';
	is unpack('N', $f->{payload}), 8, 'CANCEL';
	$sid = ask($h, '/watch');
	is head($h, $sid)->{':status'}, 200;
	$h->rst($sid);
	ok wait_for(sub { notes(qr/^saw reset/) == 1 }), 'our RST_STREAM resets the upstream';
	$w->log_like(qr/client broke the tunnel/, 'is told');
	$sid = ask($h, '/watch');
	is head($h, $sid)->{':status'}, 200;
	$h->frame(1, 5, $sid, $h->block(a => 1));
	(undef, $f) = bytes($h, $sid, 1000);
	is unpack('N', $f->{payload}), 1, 'trailers: PROTOCOL_ERROR';
	ok wait_for(sub { notes(qr/^saw reset/) == 2 });
	$sid = ask($h, '/watch');
	is head($h, $sid)->{':status'}, 200;
	$h->{c}->close;
	ok wait_for(sub { notes(qr/^saw reset/) == 3 }), 'the connection ends';
	$h = h2(4);
	$sid = ask($h, '/idle');
	is head($h, $sid)->{':status'}, 200;
	(undef, $f) = bytes($h, $sid, 1000);
	is $f->{type}, 3, 'an idle tunnel';
	ok $w->wait_log(qr/nothing moved in the tunnel for 600 ms: closing/), 'and no other timeout counts';
	is $h->goaway->{code}, 0, 'then the connection rests';
};

subtest 'flow control' => sub {
	my $h = h2();
	my $sid = ask($h, '/big');
	is head($h, $sid)->{':status'}, 200;
	my $data = join '', map { sprintf '%09d ', $_ } 1 .. 200_000;
	my ($left, $got) = ($data, '');
	while (length $got < length $data) {
		$h->upload($sid, \$left);
		my $f = $h->read_frame(20) or last;
		$got .= $f->{payload} if $f->{type} == 0;
		last if $f->{type} == 3 || $f->{type} == 7;
	}
	ok $got eq $data, 'both ways at once';

	$h = h2();
	$sid = ask($h, '/deaf');
	is head($h, $sid)->{':status'}, 200;
	$left = $data;
	$h->upload($sid, \$left);
	$w->write('hear', '');
	while (length $left) {
		$h->read_frame(20) or last;
		$h->upload($sid, \$left);
	}
	is bytes($h, $sid, 14), "heard 2000000\n", 'an upstream that does not read at first';

	$h = h2();
	$h->credit(0);
	$sid = ask($h, '/sends');
	is head($h, $sid)->{':status'}, 200;
	is length bytes($h, $sid, 65535), 65535, 'no more than the window';
	$h->ping;
	my @f = $h->read_until(sub { $_[0]{type} == 6 && $_[0]{flags} & 1 });
	is scalar(grep { $_->{type} == 0 } @f), 0;
	ok !notes(qr/all is sent/), 'the upstream is held back';
	is $h->response($h->request($h->head('HEAD', '/text')))->{status}, 200, 'others go on';
	$h->credit(1);
	$h->window(65535), $h->window(65535, $sid);
	is length bytes($h, $sid, 9_934_465), 9_934_465, 'and all of it comes in the end';
};

subtest 'limits' => sub {
	my $h = h2();
	my $sid = ask($h, '/one/echo');
	is head($h, $sid)->{':status'}, 200;
	is $h->response(ask($h, '/one/echo'))->{status}, 429, 'limit_conn counts a tunnel as long as it lasts';
	$h->data($sid, '', 1);
	bytes($h, $sid, 1000);
	my $status;
	ok wait_for(sub { my $next = ask($h, '/one/echo'); $status = head($h, $next)->{':status'}; $h->rst($next); $status == 200 }),
	    'and no longer';
};

sub memory
{
	my ($pid) = $w->worker_pids;
	open my $f, '<', "/proc/$pid/status" or die;
	my ($kb) = map { /^VmRSS:\s+(\d+)/ ? $1 : () } <$f>;
	return $kb;
}

subtest 'many' => sub {
	my $h = h2();
	my @sid = map { ask($h, '/echo') } 1 .. 50;
	my $n = 0;
	$h->read_until(sub { $_[0]{type} == 1 && ++$n == @sid }, 20);
	is $n, @sid, 'tunnels on one connection';
	$h->data($sid[$_], "number $_\n") for 0 .. $#sid;
	my %got;
	$h->read_until(sub { $got{ $_[0]{sid} } .= $_[0]{payload} if $_[0]{type} == 0;
	    keys %got == @sid && !grep { !/\n/ } values %got }, 20);
	is_deeply [map { $got{$_} } @sid], [map { "NUMBER $_\n" } 0 .. $#sid], 'each its own';
	$h->rst($_) for @sid;
	is $h->response($h->get('/text'))->{body}, "text\n", 'the connection lives';
};

subtest 'a reload' => sub {
	my $h = h2();
	my $sid = ask($h, '/echo');
	is head($h, $sid)->{':status'}, 200;
	ok $w->reload, 'reloaded';
	is $h->goaway->{last}, 0x7fffffff, 'no new streams, please';
	is $h->goaway->{code}, 0;
	$h->data($sid, "still\n");
	is bytes($h, $sid, 6), "STILL\n", 'what is open goes on';
	$h->data($sid, '', 1);
	is bytes($h, $sid, 1000), "bye\n";
	ok $h->eof, 'then it ends';
	ok $w->reload($conf =~ s/worker_shutdown_timeout 30s/worker_shutdown_timeout 100ms/r);
	$h = h2();
	$sid = ask($h, '/watch');
	is head($h, $sid)->{':status'}, 200;
	my $before = notes(qr/^saw reset/);
	ok $w->reload($conf);
	ok $h->eof, 'worker_shutdown_timeout ends it';
	ok wait_for(sub { notes(qr/^saw reset/) > $before }), 'visibly';
};

SKIP: {
	my $python = '/usr/bin/python3';
	skip 'no python3 with h2 and wsproto', 1 if system("$python -c 'import h2, wsproto' 2>/dev/null") != 0;
	$w->write('client.py', <<'E');
import socket, ssl, sys
import h2.connection, h2.events, h2.config, h2.settings
ctx = ssl.create_default_context(cafile=sys.argv[2])
ctx.set_alpn_protocols(['h2'])
sock = ctx.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))), server_hostname='localhost')
sock.settimeout(20)
c = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding='utf-8'))
c.initiate_connection()
sock.sendall(c.data_to_send())
got, sid, status, sent = b'', None, None, False
want = b'HELLO\nWORLD\nbye\n'
while got != want:
    data = sock.recv(65536)
    if not data:
        break
    for e in c.receive_data(data):
        if isinstance(e, h2.events.RemoteSettingsChanged) and sid is None:
            assert c.remote_settings.enable_connect_protocol == 1
            sid = c.get_next_available_stream_id()
            c.send_headers(sid, [(':method', 'CONNECT'), (':protocol', 'websocket'), (':scheme', 'https'),
                (':path', '/echo'), (':authority', 'localhost'), ('sec-websocket-version', '13')])
        elif isinstance(e, h2.events.ResponseReceived):
            status = dict(e.headers)[':status']
            c.send_data(sid, b'hello\nworld\n', end_stream=True)
        elif isinstance(e, h2.events.DataReceived):
            got += e.data
            c.acknowledge_received_data(e.flow_controlled_length, sid)
    sock.sendall(c.data_to_send())
print(status, got)
E
	my $out = `$python @{[$w->dir]}/client.py @{[$w->port(3)]} @{[$w->dir]}/localhost.crt 2>&1`;
	is $out, "200 b'HELLO\\nWORLD\\nbye\\n'\n", "Python's h2, through TLS";
}

done_testing;
