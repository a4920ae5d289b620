#!/usr/bin/perl
# no_memory.t - S-187: memory runs out at the first allocation of a request, the second, and so on, for one feature
# after the other, in weir as in the libraries.  The client gets the right answer, an error, or a cut that it can see.

use strict;
use warnings;

use lib 't/lib';
use IO::Compress::Gzip qw(gzip);
use IO::Uncompress::Gunzip qw(gunzip);
use MIME::Base64;
use Test::More;
use Fate;
use Weir;
use Weir::H2;

my $w = Weir->new;
my $f = Fate->new($w) or plan skip_all => Fate->why_not($w);
$w->expect_alert(qr/the resolver cannot begin/);
my $step = $ENV{WEIR_EVERY_ONE} ? 1e9 : 30;	# beyond so many not every allocation is tried

# ---- who is asked ----

sub wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }

my $udp = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(2), Proto => 'udp') or die "udp: $!";
my $names = $w->background(sub {
	my ($stop) = @_;
	until ($stop->()) {
		my $in = '';
		vec($in, fileno $udp, 1) = 1;
		select($in, undef, undef, 0.05) or next;
		my $from = $udp->recv(my $q, 4096);
		my ($at, @name) = 12;
		while (my $n = unpack "x$at C", $q) { push @name, substr $q, $at + 1, $n; $at += $n + 1 }
		$udp->send(pack('n6', unpack('n', $q), 0x8180, 1, 1, 0, 0) . substr($q, 12, $at + 5 - 12) .
		    wire(join '.', @name) . pack('n n N n/a', 1, 1, 3600, pack 'C4', 127, 0, 0, 1), 0, $from);
	}
	return {};
});

my $text = join ' ', 'a' .. 'z', 1 .. 3000;
gzip(\$text, \my $packed);
$w->origin(3, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $body = $q->{uri} =~ /packed/ ? $packed : $q->{uri} =~ /echo/ ? $q->{body} : $text;
		return $c->send("HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\n" . $w->read('gone.der')) if $q->{uri} =~ m{^/gone/};
		my $more = $q->{uri} =~ /packed/ ? "Content-Encoding: gzip\r\n" : '';
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nSet-Cookie: a=b; Path=/in/\r\n" .
		    "Location: http://127.0.0.1:9/in/x\r\nX-User: somebody\r\n${more}Content-Length: " . length($body) . "\r\n\r\n$body")
		    or return;
	}
});

$w->cert('a', san => 'DNS:localhost');
$w->cert('b', is_ca => 1);
$w->cert('c', ca => 'b');
$w->crl('b', 'c');
system("cd @{[ $w->dir ]} && openssl ocsp -index b.index -CA b.crt -rsigner b.crt -rkey b.key -issuer b.crt -cert c.crt " .
    '-respout gone.der -ndays 2 > ocsp.out 2>&1') == 0 or die $w->read('ocsp.out');
$w->write('www/text', $text);
$w->write("www/list/$_", $_) for 1 .. 9;
$w->write('www/before', 'before ');
$w->write('users', 'me:' . crypt('secret', '$6$rounds=1000$salt$') . "\nplain:{PLAIN}secret\n");
mkdir $w->dir . "/$_" for qw(tmp store);
chmod 0777, map $w->dir . "/$_", qw(tmp store logs);
$w->start(<<'E', env => $f->env);
http {
	root %DIR%/www;
	client_body_temp_path %DIR%/tmp;
	proxy_temp_path %DIR%/tmp;
	client_body_buffer_size 1k;
	proxy_connect_timeout 3s;
	proxy_read_timeout 3s;
	resolver 127.0.0.1:%PORT2% ipv6=off;
	resolver_timeout 3s;
	limit_req_zone $arg_k zone=req:1m rate=100r/s;
	limit_conn_zone $arg_k zone=conn:1m;
	log_format all escape=json '$remote_addr $request $args $http_x $status $upstream_addr $ssl_cipher $user';
	access_log %DIR%/access.log all;
	access_log %DIR%/logs/l-$status.log all;
	open_log_file_cache max=4;
	open_file_cache max=4;
	map $arg_k $mapped { default "$arg_k-x"; ~^(a+)$ "$1"; }
	gzip_types text/plain;
	charset_map other utf-8 { 23 23; }
	upstream safe { server 127.0.0.1:%PORT5%; keepalive 1; }
	server {
		listen 127.0.0.1:%PORT1%;
		set $user none;
		location /text { }
		location /auth/ { auth_basic x; auth_basic_limit off; auth_basic_user_file users; alias %DIR%/www/; }
		location /asked/ { auth_request /may; auth_request_set $user $upstream_http_x_user; add_header X-User $user; alias %DIR%/www/; }
		location = /may { internal; proxy_pass http://127.0.0.1:%PORT3%/may; }
		location /mirrored { mirror /mirror; proxy_pass http://127.0.0.1:%PORT3%/echo; }
		location = /mirror { internal; proxy_pass http://127.0.0.1:%PORT3%/echo; }
		location /added/ { addition_types *; add_before_body /before; add_after_body /before; alias %DIR%/www/; }
		location /replaced/ { sub_filter_types *; sub_filter 'a b c' '$mapped'; sub_filter '3000' 'end'; alias %DIR%/www/; }
		location /zipped/ { gzip on; types { } default_type text/plain; alias %DIR%/www/; }
		location /unzipped { gunzip on; proxy_pass http://127.0.0.1:%PORT3%/packed; }
		location /named { proxy_pass http://$arg_k.test:%PORT3%/in/; proxy_cookie_path /in/ /out/; proxy_redirect ~^http://[^/]*/in/(.*)$ /out/$1; }
		location /wrong_name {
			proxy_ssl_verify on; proxy_ssl_trusted_certificate a.crt; proxy_ssl_name other; proxy_ssl_session_reuse off;
			proxy_pass https://127.0.0.1:%PORT5%/text;
		}
		location /not_vouched {
			proxy_ssl_verify on; proxy_ssl_trusted_certificate b.crt; proxy_ssl_name localhost; proxy_ssl_session_reuse off;
			proxy_pass https://127.0.0.1:%PORT5%/text;
		}
		location /safe { proxy_pass https://safe/text; }
		location /body { proxy_pass http://127.0.0.1:%PORT3%/echo; }
		location /limited/ { limit_req zone=req burst=5; limit_conn conn 5; alias %DIR%/www/; }
		location /list/ { autoindex on; }
		location /kept/ { proxy_pass http://127.0.0.1:%PORT3%; proxy_store %DIR%/store/$arg_k; proxy_store_access user:rw; }
		location /coded/ { charset utf-8; charset_types *; source_charset other; override_charset on; alias %DIR%/www/; }
		location /linked/ { secure_link $arg_md5; secure_link_md5 "$arg_k secret"; add_header X-Link "$secure_link"; alias %DIR%/www/; }
		location /acted/ { post_action /mirror; alias %DIR%/www/; }
		location /slow/ { proxy_buffers 2 1k; proxy_buffer_size 1k; proxy_pass http://127.0.0.1:%PORT3%; }
	}
	server {
		listen 127.0.0.1:%PORT5% ssl;
		ssl_certificate a.crt;
		ssl_certificate_key a.key;
		ssl_session_cache shared:s:1m;
		location /text { }
	}
	server {
		listen 127.0.0.1:%PORT6%;
		http2 on;
		location /text { }
		location /body { proxy_pass http://127.0.0.1:%PORT3%/echo; }
	}
	server {
		listen 127.0.0.1:%PORT5% ssl;
		server_name strict;
		ssl_certificate b.crt;
		ssl_certificate_key b.key;
		ssl_verify_client on;
		ssl_client_certificate b.crt;
		location /text { }
	}
	server {
		listen 127.0.0.1:%PORT5% ssl;
		server_name asked;
		ssl_certificate b.crt;
		ssl_certificate_key b.key;
		ssl_verify_client on;
		ssl_client_certificate b.crt;
		ssl_ocsp on;
		ssl_ocsp_responder http://127.0.0.1:%PORT3%/gone;
		location /text { }
	}
}
stream {
	log_format all "$remote_addr $status $close_reason $upstream_addr $ssl_preread_ja4";
	access_log %DIR%/stream.log all;
	limit_conn_zone $remote_addr zone=stream:1m;
	map $ssl_preread_server_name $to { localhost 127.0.0.1:%PORT5%; }
	upstream far { server 127.0.0.1:%PORT9%; server 127.0.0.1:%PORT3%; }
	server { listen 127.0.0.1:%PORT7%; limit_conn stream 100; proxy_pass far; proxy_download_rate 100m; }
	server { listen 127.0.0.1:%PORT8% ssl; ssl_certificate a.crt; ssl_certificate_key a.key; proxy_pass 127.0.0.1:%PORT5%; proxy_ssl on; }
	server { listen 127.0.0.1:%PORT10%; ssl_preread on; proxy_pass $to; proxy_protocol off; }
}
E

sub unzip { my ($r) = @_; return $r->body unless $r->header('Content-Encoding'); gunzip(\$r->body, \my $out); return $out }
sub basic { return (Authorization => 'Basic ' . encode_base64($_[0], '')) }

# As a Weir::Response, as far as it is looked at here.
sub by_http2
{
	my ($method, $uri, $body) = @_;
	my $c = $w->connect(port => 6, timeout => 3) or return undef;
	my $h = Weir::H2->new($c) or return undef;
	my $sid = $h->request([ ':method' => $method, ':scheme' => 'http', ':authority' => 'localhost', ':path' => $uri ], body => $body);
	my $r = $h->response($sid) or return undef;
	return undef unless $r->{status};
	return bless { status => $r->{status}, body => $r->{body}, complete => $r->{end}, headers => {} }, 'Weir::Response';
}

my $i = 0;
my %features = (
	file => [ sub { $w->get('/text') }, $text ],
	password => [ sub { $w->get('/auth/text', basic('me:secret')) }, $text ],
	'wrong password' => [ sub { $w->get('/auth/text', basic('me:wrong' . $i)) }, undef, 401 ],
	'sub-request that permits' => [ sub { $w->get('/asked/text') }, $text ],
	mirror => [ sub { $w->request('POST', '/mirrored', [], 'm' x 5000) }, 'm' x 5000 ],
	addition => [ sub { $w->get('/added/text') }, "before ${text}before " ],
	sub_filter => [ sub { $w->get('/replaced/text?k=aaa') }, $text =~ s/a b c/aaa/r =~ s/3000/end/r ],
	gzip => [ sub { $w->get('/zipped/text', 'Accept-Encoding' => 'gzip') }, $text ],
	gunzip => [ sub { $w->get('/unzipped') }, $text ],
	resolver => [ sub { $w->get('/named?k=' . ++$i) }, $text ],
	'TLS of a client' => [ sub { $w->request('GET', '/text', [], undef, port => 5, timeout => 3, tls => { sni => 'localhost' }) }, $text ],
	'TLS to an upstream' => [ sub { $w->get('/safe') }, $text ],
	'an upstream of another name' => [ sub { $w->get('/wrong_name') }, undef, 502 ],
	'an upstream nobody vouches for' => [ sub { $w->get('/not_vouched') }, undef, 502 ],
	'a client nobody vouches for' => [ sub { $w->request('GET', '/text', [ Host => 'strict' ], undef, port => 5, timeout => 3,
	    tls => { sni => 'strict', SSL_cert_file => $w->dir . '/a.crt', SSL_key_file => $w->dir . '/a.key' }) }, undef, 400 ],
	'a client who was revoked' => [ sub { $w->request('GET', '/text', [ Host => 'asked' ], undef, port => 5, timeout => 3,
	    tls => { sni => 'asked', SSL_cert_file => $w->dir . '/c.crt', SSL_key_file => $w->dir . '/c.key' }) }, undef, 400 ],
	'HTTP/2' => [ sub { by_http2('GET', '/text') }, $text ],
	'HTTP/2 with a body' => [ sub { by_http2('POST', '/body', 'b' x 30000) }, 'b' x 30000 ],
	'a body in a file' => [ sub { $w->request('POST', '/body', [], 'b' x 30000) }, 'b' x 30000 ],
	limits => [ sub { $w->get('/limited/text?k=' . ++$i) }, $text ],
	listing => [ sub { $w->get('/list/') }, qr{<a href="9">9</a>.*</html>}s ],
	proxy_store => [ sub { $w->get('/kept/x?k=' . ++$i) }, $text ],
	charset => [ sub { $w->get('/coded/text') }, $text ],
	secure_link => [ sub { $w->get('/linked/text?k=1&md5=AAAAAAAAAAAAAAAAAAAAAA') }, $text ],
	post_action => [ sub { $w->get('/acted/text') }, $text ],
	'a tunnel' => [ sub { $w->request('GET', '/text', [], undef, port => 7, timeout => 3) }, $text ],
	'a tunnel with TLS on both sides' => [ sub { $w->request('GET', '/text', [], undef, port => 8, timeout => 3, tls => { sni => 'localhost' }) }, $text ],
	'TLS that is passed on' => [ sub { $w->request('GET', '/text', [], undef, port => 10, timeout => 3, tls => { sni => 'localhost' }) }, $text ],
	'small buffers' => [ sub { $w->get('/slow/text') }, $text ],
);

my ($pid) = $w->worker_pids;
sub open_files { return scalar(() = glob "/proc/$pid/fd/*") }

my ($wrong, $total, $before) = (0, 0);
for my $round (0, 1) {		# the second time nothing is made for the first time
	for my $name (sort keys %features) {
		my ($ask, $want, $refused) = @{ $features{$name} };
		my (%seen, @bad);
		my $failed = $f->failed;
		for (my $n = 1; $n < 5000; $n += 1 + int($n / $step)) {
			$f->fail($pid, $n, $round);
			my $r = eval { $ask->() };
			$f->spare;
			my $status = !$r ? 'closed' : !$r->complete ? 'cut' : $r->status;
			$seen{$status}++;
			if ($status eq 200) {
				my $body = unzip($r);
				push @bad, "allocation $n: a wrong body"
				    if !defined $want || (ref $want ? $body !~ $want : $body ne $want);
			} elsif ($status !~ /^(?:closed|cut|50[0234])$/ && $status ne ($refused // '')) {
				push @bad, "allocation $n: $status";
			}
			my $now = $f->failed;
			last if $now == $failed;
			$total += $now - $failed;
			$failed = $now;
		}
		is_deeply \@bad, [], "$name: " . join ', ', map "$_ $seen{$_}", sort keys %seen;
		my $r = $ask->();
		is $r && $r->status, $refused // 200, 'and all is well afterwards';
		is join(' ', $w->worker_pids), $pid, 'the worker lives' or exit 1;
	}
	$before //= open_files();
}
note "$total allocations failed";
cmp_ok $total, '>', 500, 'many failed';
ok wait_for(sub { open_files() <= $before + 2 }), 'and lost no descriptor' or diag open_files(), " of $before";
is $w->stop, 0, 'the end';
$names->finish;
done_testing;
