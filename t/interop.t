#!/usr/bin/env perl
# interop.t - weir before and behind other servers, asked by other clients.

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Test::More;
use Weir;

# effect: proxy_pass

sub have { my ($p) = @_; (grep -x "$_/$p", '/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin') > 0 }
plan skip_all => 'needs curl' unless have('curl');
plan skip_all => 'needs nginx or haproxy' unless have('nginx') || have('haproxy');

my $w = Weir->new;
my $dir = $w->dir;
my $big = join '', map chr($_ * 31 % 251), 1 .. 3000000;
$w->write('site/big', $big);
$w->write('site/small', 'small');
chmod 0755, "$dir/site";
mkdir "$dir/ngx";

sub curl
{
	my (@args) = @_;
	open my $f, '-|', 'curl', '-s', '--max-time', 10, @args or die;
	local $/;
	my $text = <$f> // '';
	close $f;
	return $text;
}
sub url { my ($port, $path) = @_; 'http://127.0.0.1:' . $w->port($port) . $path }

$w->start(<<'E');
http {
	client_max_body_size 0;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://127.0.0.1:%PORT2%; proxy_set_header Host $host; }
		location /stream/ { proxy_pass http://127.0.0.1:%PORT2%/; proxy_request_buffering off; proxy_buffering off; }
		location /static/ { alias %DIR%/site/; }
	}
}
E

# What is asked through a chain of servers that ends at port N.
sub exercise
{
	my ($name, $port) = @_;
	subtest $name => sub {
		for my $v ('--http1.1', '--http1.0') {
			for my $at ('/', '/stream/') {
				is curl($v, url($port, "${at}small")), 'small', "$v ${at}small";
				is md5_hex(curl($v, url($port, "${at}big"))), md5_hex($big), "$v ${at}big";
			}
		}
		like curl('-I', url($port, '/big')), qr/^Content-Length: 3000000\r$/mi, 'HEAD';
		is md5_hex(curl('-r', '1000-1999', url($port, '/big'))), md5_hex(substr $big, 1000, 1000), 'a range';
		my $etag = curl('-I', url($port, '/small')) =~ /^ETag: (.*?)\r$/mi ? $1 : '';
		is curl('-o', '/dev/null', '-w', '%{http_code}', '-H', "If-None-Match: $etag", url($port, '/small')), 304,
		    'not modified' if length $etag;
		is curl('-o', '/dev/null', '-w', '%{http_code}', url($port, '/nothing')), 404, 'not there';
		is curl(map url($port, '/small'), 1 .. 20), 'small' x 20, 'twenty over one connection';
	};
}

SKIP: {
	skip 'no nginx', 1 unless have('nginx');
	my $ngx = $w->write('ngx/nginx.conf', $w->expand(<<'E'));
daemon off; master_process off; pid %DIR%/ngx/pid; error_log %DIR%/ngx/error.log;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %DIR%/ngx/body; proxy_temp_path %DIR%/ngx/proxy; fastcgi_temp_path %DIR%/ngx/f;
	uwsgi_temp_path %DIR%/ngx/u; scgi_temp_path %DIR%/ngx/s;
	client_max_body_size 0;
	upstream weir { server 127.0.0.1:%PORT1%; keepalive 4; }
	server {
		listen 127.0.0.1:%PORT2%;
		root %DIR%/site;
		location = /post { proxy_pass http://127.0.0.1:%PORT2%/taken; proxy_http_version 1.1; }
		location = /taken { return 200 "$content_length $http_transfer_encoding"; }
	}
	server {
		listen 127.0.0.1:%PORT3%;
		location / { proxy_pass http://weir; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
	server {
		listen 127.0.0.1:%PORT4%;
		location / { proxy_pass http://weir; }
	}
}
E
	$w->other(2, 'nginx', '-c', $ngx, '-p', "$dir/ngx/", '-e', "$dir/ngx/error.log");
	exercise('nginx behind weir', 1);
	exercise('nginx before and behind', 3);
	exercise('with HTTP/1.0 between', 4);
	$w->write('upload', $big);
	is curl('--data-binary', "\@$dir/upload", '-H', 'Expect: 100-continue', url($_, '/post')), '3000000 ',
	    "an upload, port $_" for 1, 3;
	is curl('-X', 'POST', '-T', "$dir/upload", '-H', 'Transfer-Encoding: chunked', url(1, '/post')), '3000000 ',
	    'in chunks';
	like curl('-X', 'POST', '-T', "$dir/upload", '-H', 'Transfer-Encoding: chunked', url(1, '/stream/post')),
	    qr/^(?:3000000 | chunked)$/, 'as it comes';
}

SKIP: {
	skip 'no nginx', 1 unless have('nginx');
	skip 'no haproxy', 1 unless have('haproxy');
	my $cfg = $w->write('haproxy.cfg', $w->expand(<<'E'));
defaults
	mode http
	timeout connect 5s
	timeout client 10s
	timeout server 10s
frontend f
	bind 127.0.0.1:%PORT5%
	default_backend b
backend b
	server weir 127.0.0.1:%PORT1%
E
	$w->other(5, 'haproxy', '-db', '-f', $cfg);
	exercise('behind haproxy', 5);
}

is $w->stop, 0, 'a clean end';
done_testing;
