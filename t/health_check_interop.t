#!/usr/bin/env perl
# health_check_interop.t - other servers are asked how they are: nginx, haproxy, nghttpd; clear and by TLS.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Test::More;
use Weir;

# effect: health_check match

sub have { my ($p) = @_; (grep { -x "$_/$p" } '/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin') > 0 }
my ($nginx, $haproxy, $nghttpd) = map { have($_) } 'nginx', 'haproxy', 'nghttpd';
plan skip_all => 'needs nginx, haproxy or nghttpd' unless $nginx || $haproxy || $nghttpd;

my $w = Weir->new;
my $dir = $w->dir;
mkdir "$dir/ngx";
$w->write('site/index.html', 'nghttpd is here');
chmod 0755, "$dir/site";
$w->cert('other', cn => 'localhost', san => 'DNS:localhost');
$w->write('other.pem', $w->read('other.crt') . $w->read('other.key'));

my %pid;
sub leave { my ($name) = @_; my $pid = delete $pid{$name} or return; return $w->leave($pid) }

my @groups;
sub group { my ($name, $port, $check) = @_; push @groups, "upstream $name { zone z 1m; server 127.0.0.1:%PORT$port%; health_check interval=200ms mandatory $check; }" }

if ($nginx) {
	my $conf = $w->write('nginx.conf', $w->expand(<<'E'));
daemon off;
master_process off;
pid %DIR%/ngx/pid;
error_log %DIR%/ngx/error.log;
events { }
http {
	access_log off;
	client_body_temp_path %DIR%/ngx/a; proxy_temp_path %DIR%/ngx/b; fastcgi_temp_path %DIR%/ngx/c;
	uwsgi_temp_path %DIR%/ngx/d; scgi_temp_path %DIR%/ngx/e;
	server { listen 127.0.0.1:%PORT2%; location /health { return 200 "nginx is here"; } location /ill { return 503; } }
	server { listen 127.0.0.1:%PORT3% http2; location /health { return 200 $server_protocol; } }
	server { listen 127.0.0.1:%PORT4% ssl http2; ssl_certificate %DIR%/other.crt; ssl_certificate_key %DIR%/other.key;
		location /health { return 200 "$server_protocol $ssl_server_name"; } }
}
E
	$pid{nginx} = $w->other(2, 'nginx', '-p', "$dir/ngx/", '-e', "$dir/ngx/error.log", '-c', $conf);
	group('nginx1', 2, 'uri=/health match=here keepalive_time=10s');
	group('nginx2', 3, 'uri=/health type=h2 match=two keepalive_time=10s');
	group('nginxs', 4, 'uri=/health ssl match=one');
	group('nginxs2', 4, 'uri=/health type=h2 ssl match=two');
	group('nginxt', 4, 'type=tls');
	group('nginxill', 2, 'uri=/ill');
}
if ($haproxy) {
	my $cfg = $w->write('haproxy.cfg', $w->expand(<<'E'));
defaults
	mode http
	timeout client 10s
	timeout server 10s
	timeout connect 10s
frontend clear
	bind 127.0.0.1:%PORT5%
	http-request return status 200 content-type text/plain string "haproxy is here"
frontend secure
	bind 127.0.0.1:%PORT6% ssl crt %DIR%/other.pem alpn h2,http/1.1
	http-request return status 200 content-type text/plain string "haproxy is here"
E
	$pid{haproxy} = $w->other(5, 'haproxy', '-db', '-f', $cfg);
	group('haproxy1', 5, 'match=here');
	group('haproxyt', 5, 'type=tcp');
	group('haproxysend', 5, 'type=tcp match=bytes');
	group('haproxytls', 6, 'type=tls match=bytes');
	group('haproxys2', 6, 'type=h2 ssl match=here keepalive_time=10s');
}
if ($nghttpd) {
	$pid{nghttpd} = $w->other(7, 'nghttpd', '--no-tls', '-d', "$dir/site", $w->port(7));
	group('nghttpd2', 7, 'type=h2 uri=/index.html match=here');
	group('nghttpdill', 7, 'type=h2 uri=/nothing');
}

$w->start(<<"E");
http {
	match here { status 200; body ~ "is here"; }
	match one { body ~ "^HTTP/1\\.1 "; }
	match two { body ~ "^HTTP/2\\.0"; }
	match bytes { send "GET / HTTP/1.0\\r\\n\\r\\n"; expect ~ "^HTTP/1\\.[01] 200 [^z]*is here"; }
	@groups
	server { listen 127.0.0.1:%PORT1%; }
}
E

my %port = map { /upstream (\w+) .*%PORT(\d+)%/ ? ($1 => $2) : () } @groups;
for (sort keys %port) {
	my $re = /ill/ ? qr/upstream "$_": server \S+ is unhealthy: status (?:503|404) does not match/ : qr/upstream "$_": server \S+ is healthy/;
	ok $w->wait_log($re), "$_: " . (/ill/ ? 'unhealthy' : 'healthy');
}
my $checks = sub { my ($name) = @_; scalar(() = $w->log_text =~ /upstream "$name": server \S+ is unhealthy/g) };
is $checks->($_), 0, "$_ stays so" for grep !/ill/, sort keys %port;
for my $name (sort keys %pid) {
	leave($name);
	ok $w->wait_log(qr/upstream "$_": server \S+ is unhealthy: /), "$_: $name has gone" for grep /^$name(?!ill)/, sort keys %port;
}

done_testing;
