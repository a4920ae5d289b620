#!/usr/bin/perl

# Connections over TLS: everything that a clear connection does, and what may go wrong only here.

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use IPC::Open2;
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $sanitized = ($ENV{WEIR_OBJS} // '') =~ /asan|fuzz/;
my $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'localhost');
my $big = join '', map { pack 'N', $_ * 2654435761 % 4294967296 } 1 .. 2_000_000;
$w->write('www/big', $big);
$w->write('www/small', "small\n");
$w->write('www/page.html', 'page');
$w->write('www/mirrored', 'ok');

$w->start(<<'E');
worker_shutdown_timeout 8s;
http {
	log_format sent '$request_uri $status $bytes_sent $body_bytes_sent $request_length';
	access_log %DIR%/access.log sent;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	client_header_timeout 1s;
	client_max_body_size 100m;
	lingering_timeout 1s;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		listen 127.0.0.1:%PORT3% ssl proxy_protocol;
		root %DIR%/www;
		location /up { proxy_pass http://127.0.0.1:%PORT2%; proxy_request_buffering off; }
		location /buffered { proxy_pass http://127.0.0.1:%PORT2%; }
		location /addr { return 200 "$proxy_protocol_addr $ssl_protocol"; }
		location /page { add_after_body /tail; }
		location = /tail { return 200 " $ssl_protocol $ssl_cipher $scheme $ssl_session_reused"; }
		location /mirrored { mirror /copy; }
		location = /copy { internal; proxy_pass http://127.0.0.1:%PORT2%; proxy_set_header X-Tls "$ssl_protocol $ssl_server_name $https"; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		if ($q->{uri} eq '/copy' || ($q->{headers}{'x-tls'} // '') ne '') {
			$c->note("tls $q->{headers}{'x-tls'}");
			$c->send("HTTP/1.1 204 No Content\r\n\r\n");
		} elsif (lc($q->{headers}{upgrade} // '') eq 'echo') {
			$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\nhello ");
			while (length(my $line = $c->read_until(qr/\n/))) { $c->send("<$line>") }
			return;
		} elsif ($q->{method} eq 'POST') {
			$c->note('whole ' . length $q->{body}) if !defined $q->{complete} || $q->{complete};
			my $sum = Digest::MD5::md5_hex($q->{body});
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: 32\r\n\r\n$sum");
		} else {
			$c->send('HTTP/1.1 200 OK' . "\r\nContent-Length: " . length($big) . "\r\n\r\n$big");
		}
	}
});

sub tls { my $c = $w->connect(tls => { @_ }) or die "handshake: $Weir::TLS_ERROR"; return $c }
sub req { my ($uri, @h) = @_; return join "\r\n", "GET $uri HTTP/1.1", 'Host: localhost', @h, '', '' }
sub got_notify { return Net::SSLeay::get_shutdown($_[0]->socket->_get_ssl_object) & 2 }

# ---- requests ----

for my $v ('TLSv1_3', 'TLSv1_2') {
	my $c = tls(SSL_version => $v);
	$c->send(req('/small'));
	is $c->response->body, "small\n", "$v: a request";
	$c->send(req('/small'));
	is $c->response->body, "small\n", "$v: another on the same connection";
	$c->send(req('/small') x 30);
	is scalar(grep { my $r = $c->response; $r && $r->body eq "small\n" } 1 .. 30), 30, "$v: thirty at once";
	my $big_req = req('/small', 'X-Long: ' . 'x' x 7000);
	for my $part (unpack '(a500)*', $big_req) { $c->send($part) }
	is $c->response->status, 200, "$v: a head in many records";
	$c->send(req('/big'));
	is md5_hex($c->response->body), md5_hex($big), "$v: a large file";
	$c->send(req('/up'));
	is md5_hex($c->response->body), md5_hex($big), "$v: a large response of an upstream";
	for my $where ('/up', '/buffered') {
		$c->send("POST $where HTTP/1.1\r\nHost: localhost\r\nContent-Length: " . length($big) . "\r\n\r\n$big");
		is $c->response->body, md5_hex($big), "$v: a large body to $where";
	}
	$c->send("POST /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
	like $c->read_until(qr/\r\n\r\n/), qr/^HTTP\/1\.1 100 /, "$v: 100 Continue";
	$c->send("5\r\nhello\r\n0\r\n\r\n");
	is $c->response->body, md5_hex('hello'), "$v: a body in chunks";
	$c->send(req('/small', 'Connection: close'));
	is $c->response->body, "small\n", "$v: the last one";
	ok $c->eof && got_notify($c), "$v: the end is announced (close_notify)";
}

# A reader that takes its time: the file and the upstream wait, and nothing is lost.
for my $uri ('/big', '/up') {
	my ($worker) = $w->worker_pids;
	my $kb = sub { my $n = 0; $n += $_ for $w->read("/proc/$worker/smaps_rollup") =~ /^Private_\w+:\s+(\d+) kB/mg; $n };
	my $before = $kb->();
	my $c = tls();
	$c->send(req($uri, 'Connection: close'));
	my $body = $c->read_until(qr/\r\n\r\n/) && '';
	my $most = 0;
	while (1) {
		my $part = $c->read_n(400_000);
		last if $part eq '';
		$body .= $part;
		my $now = $kb->() - $before;
		$most = $now if $now > $most;
		select undef, undef, undef, 0.005;
	}
	is md5_hex($body), md5_hex($big), "$uri: a slow reader gets everything";
	SKIP: {
		skip 'sanitizers need memory of their own', 1 if $sanitized;
		cmp_ok $most, '<', 3000, "$uri: ... at $most kB";
	}
}

# ---- what is counted is what is inside ----
{
	my $c = tls();
	$c->send(req('/small?counted', 'Connection: close'));
	my $all = $c->read_all;
	my ($line) = wait_for(sub { grep /counted/, $w->log_lines('access.log') });
	($line) = grep /counted/, $w->log_lines('access.log');
	is $line, '/small?counted 200 ' . length($all) . ' 6 ' . length(req('/small?counted', 'Connection: close')),
	    'bytes of HTTP are logged, not of TLS';
}

# ---- tunnels ----
{
	my $c = tls();
	$c->send(req('/up', 'Upgrade: echo', 'Connection: upgrade'));
	is $c->response->status, 101, 'an upgraded connection';
	$c->send("one\n");
	is $c->read_until(qr/>/), "hello <one\n>", '... both ways';
	$c->send("two\n" . 'x' x 100_000 . "\n");
	is length($c->read_n(100_009)), 100_009, '... and more';
	$c->close;
}

# ---- sub-requests see it ----

{
	my $c = tls();
	$c->send(req('/page.html', 'Connection: close'));
	like $c->response->body, qr/^page TLSv1\.3 TLS_AES_256_GCM_SHA384 https \.$/, 'a sub-request knows of TLS';
	$c = tls(sni => 'localhost');
	$c->send(req('/mirrored', 'Connection: close'));
	is $c->response->body, 'ok', 'mirrored';
	$c->close;
	ok wait_for(sub { grep /^tls TLSv1\.3 localhost on$/, $w->log_lines('origin-2.notes') }),
	    '... and the copy knew of TLS, though the connection had gone';
}

# ---- PROXY header, then TLS ----
{
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $w->port(3));
	syswrite $s, "PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n";
	my $c = Weir::Conn->over_tls($s);
	$c->send(req('/addr', 'Connection: close'));
	is $c->response->body, '192.0.2.1 TLSv1.3', 'a PROXY header goes before TLS';
}

# ---- the end of things ----
{
	my $c = tls();
	$c->send(req('/small'));
	$c->response;
	Net::SSLeay::shutdown($c->socket->_get_ssl_object);
	my $began = time;
	ok $c->eof, 'close_notify of an idle client: the connection ends';
	cmp_ok time - $began, '<', slack(3), '... at once';

	$c = tls();
	$c->send(req('/up'));
	Net::SSLeay::shutdown($c->socket->_get_ssl_object);
	is md5_hex($c->response->body), md5_hex($big), 'a client that ends its direction still gets its answer';

	$c = tls();
	$c->send("POST /up?cut HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" . 'x' x 500);
	$c->socket->stop_SSL(SSL_no_shutdown => 1);
	shutdown $c->socket, 2;
	ok wait_for(sub { grep m{^/up\?cut }, $w->log_lines('access.log') }), 'a body that is cut off without close_notify';
	ok !(grep /^whole 500/, $w->log_lines('origin-2.notes')), '... never looks whole';
}

# ---- handshakes ----
{
	my @quiet = map { $w->connect } 1 .. 3;
	$quiet[1]->send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
	$quiet[2]->send("\x16");
	my $began = time;
	ok $_->eof, 'a handshake that does not go on is ended' for @quiet;
	my $took = time - $began;
	ok $took > 0.5 && $took < 5, "... after client_header_timeout: $took";
	ok $w->wait_log(qr/client timed out in the TLS handshake, client: 127\.0\.0\.1/), '... and logged';

	my $c = $w->connect;
	$c->send("\x16\x03\x01\x00\x05hello" . 'junk' x 100);
	ok $c->eof, 'junk';
	ok $w->wait_log(qr/SSL_do_handshake\(\) failed \(SSL: error:[^)]*\), client: 127\.0\.0\.1/), '... is logged';
	$c = $w->connect;
	$c->send("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
	$c->close;
	ok $w->wait_log(qr/client closed the connection in the TLS handshake, client: 127\.0\.0\.1/), 'a client that leaves';
	$c = $w->connect;
	$c->reset;
	is tls() ? 1 : 0, 1, 'others do not notice';

	# S-132: many that are begun and left alone
	my @left = grep { defined } map { my $c = $w->connect; $c->send("\x16\x03\x01\x02\x00") if $c; $c } 1 .. 200;
	$began = time;
	my $s = tls();
	$s->send(req('/small'));
	is $s->response->status, 200, scalar(@left) . ' idle handshakes';
	cmp_ok time - $began, '<', slack(1), '... hold nobody up';
	$_->close for @left;
}

# Bytes one by one, as a bad network gives them.
$w->origin(4, sub {
	my ($c) = @_;
	my $up = $w->connect;
	my ($from, $to) = ($c->socket, $up->socket);
	for (;;) {
		my $v = '';
		vec($v, fileno $_, 1) = 1 for $from, $to;
		select($v, undef, undef, 10) > 0 or return;
		if (vec $v, fileno $from, 1) {
			sysread($from, my $b, 65536) or return;
			$up->send($_) for split //, $b;
		}
		if (vec $v, fileno $to, 1) {
			sysread($to, my $b, 65536) or return;
			$c->send($_) for unpack '(a7)*', $b;
		}
	}
});
for my $v ('TLSv1_3', 'TLSv1_2') {
	my $c = $w->connect(port => 4, tls => { SSL_version => $v, sni => 'localhost' });
	ok $c, "$v: a handshake in segments of one byte (S-122)" or diag $Weir::TLS_ERROR;
	$c->send(req('/small', 'Connection: close'));
	is $c->response->body, "small\n", '... and a request';
}

# The last of the handshake and the first request in one segment, and more of it than is read at once.
my $relay = 5;
for my $size (500, 5000, 12_000, 50_000) {
	$w->origin($relay, sub {
		my ($c) = @_;
		my $up = $w->connect;
		my ($from, $to, $first, $held) = ($c->socket, $up->socket, 1, '');
		for (;;) {
			my $v = '';
			vec($v, fileno $_, 1) = 1 for $from, $to;
			select($v, undef, undef, 30) > 0 or return;
			if (vec $v, fileno $to, 1) {
				sysread($to, my $b, 65536) or return;
				$c->send($b);
			}
			if (vec $v, fileno $from, 1) {
				sysread($from, $held, 65536, length $held) or return;
				next if !$first && length $held < $size;
				$up->send($held);
				($first, $held) = (0, '');
			}
		}
	});
	my $c = $w->connect(port => $relay++, tls => { SSL_version => 'TLSv1_3' });
	my $body = substr $big, 0, $size;
	$c->send("POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: $size\r\nConnection: close\r\n\r\n$body");
	is $c->response->body, md5_hex($body), "$size bytes right behind a handshake";
}

# ---- new keys in the middle (RFC 8446, 4.6.3) ----
{
	my $pid = open2(my $out, my $in, "openssl s_client -tls1_3 -connect 127.0.0.1:" . $w->port(1) . " 2>&1");
	my $text = '';
	my $until = sub {
		my ($re) = @_;
		my $end = time + $Weir::TIMEOUT;
		while ($text !~ $re && time < $end) {
			vec(my $v = '', fileno $out, 1) = 1;
			select($v, undef, undef, 1) > 0 or next;
			sysread($out, $text, 65536, length $text) or last;
		}
		return $text =~ $re;
	};
	$in->autoflush(1);
	for my $i (1 .. 3) {
		print {$in} req('/small');
		ok $until->(qr/(?:HTTP\/1\.1 200.*?small\n.*?){$i}/s), "a response between new keys: $i";
		print {$in} "K\n";
		ok $until->(qr/(?:KEYUPDATE.*?){$i}/s), '... and they are asked for';
	}
	close $in;
	close $out;
	waitpid $pid, 0;
}

# ---- reload and shutdown ----
{
	my $slow = tls();
	$slow->send(req('/big'));
	$slow->read_n(100_000);
	my $idle = tls();
	$idle->send(req('/small'));
	$idle->response;
	ok $w->reload, 'reload';
	my $rest = $slow->read_n(length($big) - 90_000);
	cmp_ok length $rest, '>=', length($big) - 100_000, 'a download goes on while the worker retires';
	ok $idle->eof && got_notify($idle), 'an idle connection ends in order';
	$slow = tls();
	$slow->send(req('/big'));
	$slow->read_n(1000);
	$idle = tls();
	$idle->send(req('/small'));
	$idle->response;
	$w->kill('QUIT');
	ok $idle->eof && got_notify($idle), 'quit: idle connections end at once';
	my $got = 1000 + length $slow->read_all;
	cmp_ok $got, '>', length $big, 'quit: a download is finished';
	is $w->stop, 0, 'and weir ends';
}
# ---- memory ----

SKIP: {
	skip 'sanitizers need memory of their own', 2 if $sanitized;
	for my $v ('TLSv1_3', 'TLSv1_2') {
		my $m = Weir->new;
		$m->cert('s');
		$m->start(<<'E');
http {
	access_log off;
	server { listen 127.0.0.1:%PORT1% ssl; ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key; return 200 x; }
}
E
		my ($worker) = $m->worker_pids;
		# dirty ones only: of the binary's pages others may be users now, and not later
		my $kb = sub { my $n = 0; $n += $_ for $m->read("/proc/$worker/smaps_rollup") =~ /^Private_Dirty:\s+(\d+) kB/mg; $n };
		my $open = sub {
			return map {
				my $c = $m->connect(tls => { SSL_version => $v });
				$c->send(req('/'));
				$c->response;
				$c;
			} 1 .. $_[0];
		};
		my @warm = $open->(30);
		my $before = $kb->();
		my @idle = $open->(200);
		my $each = ($kb->() - $before) / @idle;
		note sprintf '%s: %.1f kB for each idle connection', $v, $each;
		cmp_ok $each, '<=', 20, "$v: an idle connection holds at most 20 kB";
		$m->stop;
	}
}
done_testing;
