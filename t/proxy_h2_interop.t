#!/usr/bin/perl

# HTTP/2 towards other servers: nginx and nghttpd, clear and by TLS, with bodies, and with many requests at a time.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Test::More;
use Weir;

sub have { my ($p) = @_; (grep { -x "$_/$p" } '/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin') > 0 }
my ($nginx, $nghttpd, $h2load) = map { have($_) } 'nginx', 'nghttpd', 'h2load';
plan skip_all => 'needs nginx or nghttpd' unless $nginx || $nghttpd;

my $w = Weir->new;
my $dir = $w->dir;
my $big = join '', map { sprintf '%07d ', $_ } 1 .. 300_000;
$w->write('site/big', $big);
$w->write('site/small', 'small');
chmod 0755, "$dir/site";
mkdir "$dir/ngx";
$w->cert('other', cn => 'localhost', san => 'DNS:localhost');

$w->start(<<'E');
http {
	access_log %DIR%/access.log;
	client_max_body_size 100m;
	proxy_http_version 2;
	proxy_ssl_name localhost;
	proxy_ssl_verify on;
	proxy_ssl_trusted_certificate %DIR%/other.crt;
	server {
		listen 127.0.0.1:%PORT1%;
		http2 on;
		location /nginx/ { proxy_pass http://127.0.0.1:%PORT2%/; }
		location /nginxs/ { proxy_pass https://127.0.0.1:%PORT3%/; }
		location /nghttpd/ { proxy_pass http://127.0.0.1:%PORT4%/; }
		location /nghttpds/ { proxy_pass https://127.0.0.1:%PORT5%/; proxy_request_buffering off; }
	}
}
E

sub asks
{
	my ($where, $echoes) = @_;
	is $w->get("/$where/small")->body, 'small', "$where: a small body";
	ok $w->get("/$where/big")->body eq $big, "$where: a big one";
	is $w->request('HEAD', "/$where/big")->header('Content-Length'), length $big, "$where: HEAD";
	is $w->get("/$where/nothing")->status, 404, "$where: 404";
	my $r = $w->request('POST', "/$where/echo", [], $big);
	is $r->status, 200, "$where: a body to it";
	is $r->body, $echoes ? $big : length $big, "$where: all of it" if $echoes != 2;
	SKIP: {
		skip 'no h2load', 1 unless $h2load;
		my $port = $w->port(1);
		# nginx says GOAWAY after so many requests
		my $out = `h2load -n 2500 -c 10 -m 10 http://127.0.0.1:$port/$where/small 2>&1`;
		like $out, qr/2500 succeeded, 0 failed, 0 errored/, "$where: many at a time";
		like $out, qr/status codes: 2500 2xx/, "$where: all of them well";
	}
}

if ($nginx) {
	my @p = map { $w->port($_) } 2, 3;
	$w->write('ngx/nginx.conf', <<"E");
daemon off;
worker_processes 1;
error_log $dir/ngx/error.log;
pid $dir/ngx/pid;
events { worker_connections 512; }
http {
	access_log off;
	client_max_body_size 100m;
	client_body_temp_path $dir/ngx/body;
	proxy_temp_path $dir/ngx/proxy;
	fastcgi_temp_path $dir/ngx/fastcgi;
	uwsgi_temp_path $dir/ngx/uwsgi;
	scgi_temp_path $dir/ngx/scgi;
	ssl_certificate $dir/other.crt;
	ssl_certificate_key $dir/other.key;
	keepalive_requests 500;
	server {
		listen 127.0.0.1:$p[0] http2;
		listen 127.0.0.1:$p[1] ssl http2;
		root $dir/site;
		# who has a body reads it: there is nobody behind, and the error says how long it was
		location = /echo { proxy_pass http://unix:$dir/ngx/none:/; error_page 502 =200 /length; }
		location = /length { internal; return 200 \$content_length; }
	}
}
E
	$w->other(2, 'nginx', '-p', "$dir/ngx", '-e', "$dir/ngx/error.log", '-c', "$dir/ngx/nginx.conf");
	asks('nginx', 2);
	asks('nginxs', 2);
}
if ($nghttpd) {
	$w->other(4, 'nghttpd', '--no-tls', '-a', '127.0.0.1', '--echo-upload', '-d', "$dir/site", $w->port(4));
	$w->other(5, 'nghttpd', '-a', '127.0.0.1', '--echo-upload', '-d', "$dir/site", $w->port(5), "$dir/other.key",
	    "$dir/other.crt");
	asks('nghttpd', 1);
	asks('nghttpds', 1);
}

done_testing;
