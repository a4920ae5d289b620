#!/usr/bin/env perl
# stream_interop.t - stream between other programs: redis, nginx, haproxy, openssl.

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Test::More;
use Weir;

# effect: proxy_pass

sub have { my ($p) = @_; (grep -x "$_/$p", '/usr/sbin', '/usr/bin', '/usr/local/sbin', '/usr/local/bin') > 0 }
my $module = '/usr/lib/nginx/modules/ngx_stream_module.so';
plan skip_all => 'needs nginx with stream, haproxy, openssl' unless have('nginx') && -e $module && have('haproxy') && have('openssl');

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('up', san => 'DNS:up.test');
$w->start(<<'E');
stream {
	ssl_certificate %DIR%/up.crt;
	ssl_certificate_key %DIR%/up.key;
	server { listen 127.0.0.1:%PORT1%; proxy_pass 127.0.0.1:%PORT10%; }
	server { listen 127.0.0.1:%PORT2% ssl; proxy_pass 127.0.0.1:%PORT10%; }
	server { listen 127.0.0.1:%PORT3%; proxy_pass 127.0.0.1:%PORT11%; proxy_protocol on; }
	server { listen 127.0.0.1:%PORT4% proxy_protocol; set_real_ip_from 127.0.0.1; return "weir saw $remote_addr $proxy_protocol_server_port"; }
	server { listen 127.0.0.1:%PORT5%; proxy_pass 127.0.0.1:%PORT13%; proxy_ssl on; }
	server { listen 127.0.0.1:%PORT6%; ssl_preread on; proxy_pass 127.0.0.1:%PORT13%; }
	server { listen 127.0.0.1:%PORT7%; proxy_pass 127.0.0.1:%PORT14%; }
}
E

# what comes, in capitals, until the end
my $big = join '', map chr(97 + $_ * 31 % 26), 1 .. 2000000;
$w->origin(10, sub {
	my ($c) = @_;
	my $n = 0;
	while (length(my $d = $c->read_n(20000))) { $c->send(uc $d) or last; $n += length $d }
	$c->half_close;
});
sub through
{
	my (%o) = @_;
	my $c = $w->connect(%o) or return 'no connection';
	my $pid = fork // die;
	if (!$pid) {	# one process writes, the other reads
		$c->send($big);
		$c->half_close;
		POSIX::_exit(0);
	}
	my $all = $c->read_n(length $big);
	waitpid $pid, 0;
	return md5_hex($all);
}
my $want = md5_hex(uc $big);

$w->write('nginx.conf', $w->expand(<<"E"));
load_module $module;
daemon off; pid $dir/nginx.pid; error_log $dir/nginx.log;
events { }
stream {
	server { listen 127.0.0.1:%PORT20%; proxy_pass 127.0.0.1:%PORT1%; proxy_half_close on; }
	server { listen 127.0.0.1:%PORT11% proxy_protocol; return "nginx saw \$proxy_protocol_addr \$proxy_protocol_server_port"; }
	server { listen 127.0.0.1:%PORT21%; proxy_pass 127.0.0.1:%PORT4%; proxy_protocol on; }
}
E
$w->other(20, 'nginx', '-p', $dir, '-e', "$dir/nginx.log", '-c', "$dir/nginx.conf");
$w->write('haproxy.conf', $w->expand(<<"E"));
defaults
	mode tcp
	timeout connect 5s
	timeout client 30s
	timeout server 30s
listen in
	bind 127.0.0.1:%PORT22%
	server weir 127.0.0.1:%PORT4% send-proxy-v2
listen tls
	bind 127.0.0.1:%PORT23%
	server weir 127.0.0.1:%PORT2% ssl verify none
E
$w->other(22, 'haproxy', '-f', "$dir/haproxy.conf");
$w->other(13, 'openssl', 's_server', '-accept', '127.0.0.1:' . $w->port(13), '-cert', "$dir/up.crt", '-key', "$dir/up.key", '-www', '-quiet');

is through(port => 1), $want, 'both ways at once';
is through(port => 20), $want, 'behind nginx';
is through(port => 23), $want, 'behind haproxy, by TLS';
my $p3 = $w->port(3);
is $w->connect(port => 3, from => '127.0.0.7')->read_all, "nginx saw 127.0.0.7 $p3", 'nginx understands our PROXY header';
is $w->connect(port => 21, from => '127.0.0.8')->read_all, 'weir saw 127.0.0.8 ' . $w->port(21), 'and we its own';
is $w->connect(port => 22, from => '127.0.0.9')->read_all, 'weir saw 127.0.0.9 ' . $w->port(22), 'and that of haproxy, version 2';
like $w->http("GET / HTTP/1.0\r\n\r\n", port => 5), qr/s_server/, 'TLS to openssl';
like $w->http("GET / HTTP/1.0\r\n\r\n", port => 6, tls => { sni => 'up.test' }), qr/s_server/, 'TLS through to openssl';

SKIP: {
	skip 'needs redis-server', 2 unless have('redis-server');
	$w->other(14, 'redis-server', '--port', $w->port(14), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', $dir);
	my $c = $w->connect(port => 7);
	$c->send("SET key " . 'v' x 1000 . "\r\nGET key\r\n");
	is $c->read_n(5), "+OK\r\n", 'redis is set';
	is $c->read_n(1009), "\$1000\r\n" . 'v' x 1000 . "\r\n", 'and read';
}

done_testing;
