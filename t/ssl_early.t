#!/usr/bin/perl

# Early data: requests that come before the handshake is over, and may be copies (RFC 8446, 2.3; RFC 8470).
#
# effect: ssl_early_data early_data_methods

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'localhost');
my $big = "\x01" x 800_000;
$w->write('www/big', $big);
$w->start(<<'E');
http {
	log_format early '$request_method $uri $status early=$ssl_early_data';
	access_log %DIR%/access.log early;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	ssl_early_data on;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name localhost;
		root %DIR%/www;
		location /big { }
		location /up { proxy_pass http://127.0.0.1:%PORT2%; }
		location /said { proxy_pass http://127.0.0.1:%PORT2%; proxy_set_header Early-Data "x$ssl_early_data"; }
		location /none { early_data_methods off; try_files /big =404; }
		location /post { early_data_methods GET POST; proxy_pass http://127.0.0.1:%PORT2%; }
		location /mirrored { mirror /copy; try_files /big =404; }
		location = /copy { proxy_pass http://127.0.0.1:%PORT2%; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name off;
		ssl_early_data off;
		location / { return 200 "off $ssl_early_data."; }
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		$c->note("$q->{method} $q->{uri} " . ($q->{headers}{'early-data'} // 'none') . ' ' . length $q->{body});
		my $body = "early-data: " . ($q->{headers}{'early-data'} // 'none');
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
	}
});

# Between client and server: what the client says after the server's first answer is held back until the server
# has no more to say, so that the handshake is not over when the early data is looked at.
$w->origin(3, sub {
	my ($c) = @_;
	my $up = $w->connect;
	my ($from, $to) = ($c->socket, $up->socket);
	my ($held, $answered) = ('', 0);
	for (;;) {
		my $v = '';
		vec($v, fileno $_, 1) = 1 for $from, $to;
		if (select($v, undef, undef, $answered ? 0.3 : 10) == 0) {
			$up->send($held);
			($held, $answered) = ('', 0);
			next;
		}
		if (vec $v, fileno $to, 1) {
			if (!sysread $to, my $b, 65536) {	# no reset shall overtake the response
				$up->send($held);
				$c->half_close;
				return $c->read_all;
			} else {
				$c->send($b);
			}
			$answered = 1;
		}
		if (vec $v, fileno $from, 1) {
			my $n = sysread($from, my $b, 65536);
			return if !$n && $held eq '';
			$answered ? ($held .= $b) : $up->send($b);
		}
	}
});

# A session first, then a connection that sends `early` with its ClientHello and `later` behind the handshake.
sub early
{
	my ($early, %opt) = @_;
	my $name = $opt{name} // 'localhost';
	unlink "$dir/session";
	$w->s_client($name, '-tls1_3', '-sess_out', "$dir/session");
	$w->write('early', $early);
	return $w->s_client($name, '-tls1_3', '-sess_in', "$dir/session", '-early_data', "$dir/early",
	    '-connect', '127.0.0.1:' . $w->port(3));
}
sub req { my ($line, @h) = @_; return join "\r\n", "$line HTTP/1.1", 'Host: localhost', @h, '', '' }

my $out = early(req('GET /up'));
like $out, qr/Early data was accepted/, 'early data is accepted';
like $out, qr/HTTP\/1\.1 200 OK.*early-data: 1.*HTTP\/1\.1 \d+/s, 'it is served, and the upstream is told; a later request, too';
ok wait_for(sub { grep /^GET \/up 200 early=1$/, $w->log_lines('access.log') }), '$ssl_early_data';
ok wait_for(sub { grep /^GET \/ \d+ early=$/, $w->log_lines('access.log') }), '... of the request behind the handshake it is empty';

$out = early(req('GET /big', 'Connection: close'));
like $out, qr/HTTP\/1\.1 200 OK.*Connection: close/s, 'Connection: close';
is scalar($out =~ tr/\x01//), 800_000, '... the whole response arrives though the client was not finished';

$out = early(req('GET /up') . req('HEAD /big') . req('GET /up?third'));
is scalar(() = $out =~ /HTTP\/1\.1 200 OK/g), 3, 'several requests at once' or diag $out;

$out = early(req('POST /up', 'Content-Length: 5') . 'hello');
like $out, qr/HTTP\/1\.1 425 Too Early/, 'POST: 425';
$out = early(req('DELETE /up'));
like $out, qr/HTTP\/1\.1 425 /, 'DELETE: 425';
$out = early(req('GET /none'));
like $out, qr/HTTP\/1\.1 425 /, 'early_data_methods off';
$out = early(req('POST /post', 'Content-Length: 5') . 'hello');
like $out, qr/HTTP\/1\.1 200 OK.*early-data: 1/s, 'early_data_methods POST' or diag $out;
ok !(grep /^(?:POST \/up|DELETE)/, $w->log_lines('origin-2.notes')), 'what got 425 never arrived';
$w->log_like(qr/early data with method POST is not served/, '... and the log tells');
$out = early(req('GET /said'));
like $out, qr/early-data: x1/, 'proxy_set_header goes before';
$out = early(req('GET /mirrored'));
ok wait_for(sub { grep m{^GET /\w+ 1 }, $w->log_lines('origin-2.notes') }), 'sub-requests are early, too';

# A request that begins early and ends later.
$out = early("GET /up?half HTTP/1.1\r\nHost: local", name => 'localhost');
ok $out =~ /Early data was accepted/ && $out =~ /HTTP\/1\.1 400 |HTTP\/1\.1 200 /, 'half a request: the rest comes later';

# Others do not take it.
$out = early(req('GET /'), name => 'off');
like $out, qr/Early data was (?:rejected|not sent)/, 'ssl_early_data off';
like $out, qr/off \./, '... the request behind the handshake is served';
like $w->s_client('localhost', '-tls1_2'), qr/HTTP\/1\.1 \d+/, 'TLSv1.2 knows nothing of it';
{
	my $c = $w->connect(tls => {});
	$c->send("GET /up HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	is $c->response->body, 'early-data: none', 'a client that sends none';
	$c = $w->connect(tls => {});
	$c->send("GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
	is md5_hex($c->response->body), md5_hex($big), '... has large responses, too';
	$c = $w->connect(tls => {});
	$c->send("GET /up HTTP/1.1\r\nHost: localhost\r\nEarly-Data: 1\r\nConnection: close\r\n\r\n");
	is $c->response->body, 'early-data: 1', 'a gateway before us said so: it is passed on (RFC 8470, 5.1)';
}
done_testing;
