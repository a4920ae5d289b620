#!/usr/bin/perl

# Fields for the safety of browsers, and the way from http to https.
#
# effect: security_headers https_redirect

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
$w->cert('site', san => 'DNS:site.test');

my %basic = ('X-Content-Type-Options' => 'nosniff', 'Referrer-Policy' => 'strict-origin-when-cross-origin');
my %strict = (%basic,
	'X-Frame-Options' => 'DENY',
	'Permissions-Policy' => 'camera=(), microphone=(), geolocation=(), interest-cohort=(), fullscreen=(self), payment=()',
	'Cross-Origin-Opener-Policy' => 'same-origin',
	'Cross-Origin-Embedder-Policy' => 'require-corp',
	'Cross-Origin-Resource-Policy' => 'same-origin',
	'X-Permitted-Cross-Domain-Policies' => 'none',
	'X-Download-Options' => 'noopen',
	'X-DNS-Prefetch-Control' => 'off');
my @all = (sort(keys %strict), 'Strict-Transport-Security');

$w->start(<<'E');
http {
	ssl_certificate %DIR%/site.crt;
	ssl_certificate_key %DIR%/site.key;
	server {
		listen 127.0.0.1:%PORT1%;
		listen 127.0.0.1:%PORT2% ssl;
		server_name site.test;
		location /none { return 200 x; }
		location /basic { security_headers basic; return 200 x; }
		location /strict {
			security_headers strict;
			return 200 x;
			location /strict/off { security_headers off; return 200 x; }
			location /strict/error { return 404; }
			location /strict/own { security_headers basic X-Frame-Options=SAMEORIGIN Referrer-Policy=off
			    "Strict-Transport-Security=max-age=1; preload" "permissions-policy=camera=($arg_x)"; return 200 x; }
			location /strict/up { proxy_pass http://127.0.0.1:%PORT9%; }
			location /strict/over { security_headers strict replace=always; proxy_pass http://127.0.0.1:%PORT9%; }
			location /strict/kept { security_headers strict replace=never; proxy_pass http://127.0.0.1:%PORT9%; }
			location /strict/add { add_header X-Frame-Options "ALLOW" always; return 200 x; }
		}
	}

	server {
		listen 127.0.0.1:%PORT4% default_server;
		https_redirect on;
		location /.well-known/acme-challenge/ { https_redirect off; return 200 challenge; }
		location /301 { https_redirect on 301; }
		location /302 { https_redirect on 302 port=8443; }
		location /307 { https_redirect on 307; }
	}
	server {
		listen 127.0.0.1:%PORT4%;
		server_name plain.test *.wild.test ~^re\d\.test$;
		https_redirect on;
	}
	server {
		listen 127.0.0.1:%PORT5%;
		listen 127.0.0.1:%PORT6% ssl;
		server_name both.test *.tls.test;
		https_redirect on;
		location / { return 200 "secure $request_method"; }
	}
	server { listen 127.0.0.1:%PORT7%; server_name clear.test; return 200 clear; }
}
E
$w->origin(9, sub { my ($c) = @_; $c->read_request;
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-Frame-Options: SAMEORIGIN\r\nstrict-transport-security: max-age=5\r\n\r\nx") });

my %site = (tls => { sni => 'site.test' });

sub fields
{
	my ($uri, $port) = @_;
	my $r = $w->request('GET', $uri, [ Host => 'site.test' ], undef, port => $port // 1, ($port // 1) == 2 ? %site : ());
	return { map { my @v = $r->headers_all($_); @v ? ($_ => join('|', @v)) : () } @all };
}

is_deeply fields('/none'), {}, 'nothing unless asked for';
is_deeply fields('/basic'), \%basic, 'basic';
is_deeply fields('/strict'), \%strict, 'strict, without TLS';
is_deeply fields('/strict', 2), { %strict, 'Strict-Transport-Security' => 'max-age=63072000; includeSubDomains' }, 'strict, over TLS';
is_deeply fields('/strict/off', 2), {}, 'off further in';
is_deeply fields('/strict/error'), \%strict, 'errors have them';
is_deeply fields('/missing/there'), {}, 'only where it was said';
is_deeply fields('/strict/own?x=self', 2), { 'X-Content-Type-Options' => 'nosniff', 'X-Frame-Options' => 'SAMEORIGIN',
    'Strict-Transport-Security' => 'max-age=1; preload', 'Permissions-Policy' => 'camera=(self)' }, 'values of one\'s own';
for my $uri ('/strict/up', '/strict/kept') {
	my $f = fields($uri, 2);
	is $f->{'X-Frame-Options'}, 'SAMEORIGIN', "$uri: the upstream knows better";
	is $f->{'Strict-Transport-Security'}, 'max-age=5', "$uri: for how long, too";
	is $f->{'X-Download-Options'}, 'noopen', "$uri: it gets the others";
}
is_deeply fields('/strict/over', 2), { %strict, 'Strict-Transport-Security' => 'max-age=63072000; includeSubDomains' }, 'replace=always';
is fields('/strict/add')->{'X-Frame-Options'}, 'ALLOW', 'add_header goes first';

# ---- from http to https ----

sub sent
{
	my ($port, $host, $uri, $method) = @_;
	my $r = $w->request($method // 'GET', $uri // '/a%20b?c=d&e', [ Host => $host ], undef, port => $port);
	return join ' ', $r->status, $r->header('Location') // '-';
}

is sent(4, 'site.test'), '308 https://site.test/a%20b?c=d&e', 'a name of a server with TLS';
is sent(4, 'SITE.test.:8080'), '308 https://site.test/a%20b?c=d&e', 'written in another way, with a port';
is sent(4, 'plain.test'), '308 https://plain.test/a%20b?c=d&e', 'a name of the server itself';
is sent(4, 'a.wild.test'), '308 https://a.wild.test/a%20b?c=d&e', 'a wildcard';
is sent(4, 're5.test'), '308 https://re5.test/a%20b?c=d&e', 'a regex';
is sent(4, 'x.tls.test'), '308 https://x.tls.test/a%20b?c=d&e', 'a wildcard of a server with TLS';
is sent(4, $_), '400 -', "'$_' is nobody's name" for 'evil.test', '127.0.0.1', 'clear.test', 'wild.test', 'site.test.evil.test', 're5.testx', '';
like $w->http("GET / HTTP/1.0\r\n\r\n", port => 4), qr{^HTTP/1\.1 400 }, 'no name at all';
$w->log_like(qr/no server is called "evil\.test": not redirected to https/, 'the log says why');
is sent(4, 'site.test', '/301'), '301 https://site.test/301', 'a status';
is sent(4, 'site.test', '/302'), '302 https://site.test:8443/302', 'a port';
is sent(4, 'site.test', '/307', 'POST'), '307 https://site.test/307', 'of another kind';
is sent(4, 'site.test', '//evil.test/'), '308 https://site.test//evil.test/', 'what looks like a host is a path';
is sent(4, 'site.test', 'http://both.test/x'), '308 https://both.test/x', 'a host in the request line counts';
is sent(4, 'site.test', 'http://evil.test/x'), '400 -', 'also when it is nobody\'s';
is $w->request('GET', '/.well-known/acme-challenge/x', [ Host => 'evil.test' ], undef, port => 4)->body, 'challenge', 'off in a location';
is sent(5, 'both.test', '/x'), '308 https://both.test/x', 'one server for both';
is $w->request('GET', '/x', [ Host => 'both.test' ], undef, port => 6, tls => { sni => 'both.test' })->body, 'secure GET', 'which serves by TLS';
is sent(5, 'evil.test', '/x'), '400 -', 'and has one name only';

for (
	[ 'security_headers strong', qr/it is off, basic or strict/ ],
	[ 'security_headers off X-Frame-Options=DENY', qr/nothing can stand behind off/ ],
	[ 'security_headers basic X-Frame-Option=DENY', qr/did you mean "X-Frame-Options"/ ],
	[ 'security_headers basic X-Frame-Options', qr/replace=always, replace=never, or Field=value/ ],
	[ 'security_headers basic X-Frame-Options=', qr/it has no value/ ],
	[ "security_headers basic 'X-Frame-Options=a\nb'", qr/cannot hold line ends/ ],
	[ 'https_redirect on 303', qr/a status \(301, 302, 307 or 308\)/ ],
	[ 'https_redirect on port=0', qr/port=0/ ],
	[ 'https_redirect maybe', qr/maybe/ ],
) {
	my ($rc, undef, $err) = $wrong->test_conf("http { server { listen 127.0.0.1:%PORT1%; $_->[0]; } }");
	is $rc, 1, "refused: $_->[0]";
	like $err, $_->[1], 'and why';
}

done_testing;
