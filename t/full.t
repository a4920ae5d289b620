#!/usr/bin/perl
# full.t - S-186: whatever is kept for each session, host, file or user, filled beyond its bound.  (Others: limit_req.t,
# limit_conn.t, resolver_full.t, auth_basic.t for what waits for a thread, autoindex.t, syslog.t.)

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use IO::Socket::SSL;
use MIME::Base64;
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'localhost');
$w->write("www/$_", "file $_") for 1 .. 200;
$w->write("users-$_", "me:{PLAIN}secret$_\n") for 1 .. 80;
$w->write('users', join '', map "u$_:" . crypt("pw$_", '$1$salt$') . "\n", 1 .. 1300);
mkdir "$dir/hosts";
chmod 0777, "$dir/hosts";

# A host that takes connections and never says a word.
my $silent = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(4), Listen => 1) or die;

$w->start(<<'E');
worker_processes 1;
worker_rlimit_nofile 4096;
events { worker_connections 3000; }
http {
	root %DIR%/www;
	log_format short '$uri';
	upstream safe { server 127.0.0.1:%PORT2%; keepalive 0; }
	server {
		listen 127.0.0.1:%PORT1%;
		keepalive_requests 100000;
		location /files/ { alias %DIR%/www/; open_file_cache max=10 inactive=60s; open_file_cache_valid 60s; }
		location /logs/ { access_log %DIR%/hosts/$arg_n.log short; open_log_file_cache max=5 valid=60s inactive=60s; return 200 x; }
		location /users/ { auth_basic x; auth_basic_user_file %DIR%/users-$arg_n; auth_basic_limit off; alias %DIR%/www/; }
		location /cached/ { auth_basic x; auth_basic_user_file %DIR%/users; auth_basic_limit off; alias %DIR%/www/; }
		location /mirrored { mirror /mirror; try_files /1 =404; }
		location = /mirror { internal; proxy_connect_timeout 30s; proxy_read_timeout 30s; proxy_pass http://127.0.0.1:%PORT4%; }
		location /acted { post_action /mirror; try_files /1 =404; }
		location /safe { proxy_pass https://safe/; proxy_ssl_server_name on; proxy_ssl_name $arg_n; }
		location = /pid { return 200 $pid; }
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		ssl_certificate %DIR%/s.crt;
		ssl_certificate_key %DIR%/s.key;
		ssl_session_tickets off;
		ssl_session_cache shared:tiny:32k;
		access_log off;
		return 200 "$ssl_session_reused";
	}
}
E
my ($pid) = $w->worker_pids;
my $c = $w->connect;
sub ask
{
	my ($uri, @h) = @_;
	my $more = '';
	while (my ($k, $v) = splice @h, 0, 2) { $more .= "$k: $v\r\n" }
	$c->send("GET $uri HTTP/1.1\r\nHost: a\r\n$more\r\n");
	my $r = $c->response;
	return $r ? $r->status . ' ' . $r->body : 'none';
}
sub files { my ($re) = @_; return scalar grep { (readlink($_) // '') =~ $re } glob "/proc/$pid/fd/*" }
sub basic { return (Authorization => 'Basic ' . encode_base64($_[0], '')) }
sub kb { return ($w->read("/proc/$pid/status") // '') =~ /VmRSS:\s+(\d+)/ ? $1 : 0 }

subtest 'open_file_cache' => sub {
	is_deeply [ grep { ask("/files/$_") ne "200 file $_" } 1 .. 200, 1 .. 200 ], [], 'every file is right';
	cmp_ok files(qr{/www/}), '<=', 10, 'ten are open';
	cmp_ok files(qr{/www/}), '>', 0, 'and no less than one';
};

subtest 'open_log_file_cache' => sub {
	ask("/logs/?n=$_") for 1 .. 100, 1 .. 100;
	is scalar(() = glob "$dir/hosts/*.log"), 100, 'every log is written';
	ok wait_for(sub { !grep { $w->read("hosts/$_.log") ne "/logs/\n" x 2 } 1 .. 100 }), 'with all lines';
	cmp_ok files(qr{/hosts/}), '<=', 5, 'five are open';
};

subtest 'files of users' => sub {
	for my $round (1, 2) {
		is_deeply [ grep { ask("/users/1?n=$_", basic("me:secret$_")) ne '200 file 1' } 1 .. 80 ], [], 'the right password';
		is_deeply [ grep { ask("/users/1?n=$_", basic('me:secret' . ($_ + 1))) !~ /^401/ } 1 .. 80 ], [], 'of no other file';
	}
};

subtest 'passwords that were right' => sub {
	for my $round (1, 2) {
		is_deeply [ grep { ask('/cached/1', basic("u$_:pw$_")) ne '200 file 1' } 1 .. 1300 ], [], 'still are';
	}
	is_deeply [ grep { ask('/cached/1', basic("u$_:pw" . ($_ + 1))) !~ /^401/ } 1 .. 100, 1200 .. 1300 ], [], 'and no others';
};

subtest 'sessions of clients' => sub {
	my @sessions;
	my $talk = sub {
		my ($session) = @_;
		my $t = IO::Socket::SSL->new(PeerAddr => '127.0.0.1', PeerPort => $w->port(2), SSL_verify_mode => 0, Timeout => 5,
		    SSL_version => 'TLSv1_2', SSL_reuse_ctx => $session // undef, SSL_session_cache_size => 5) or return 'none';
		print $t "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
		my $text = join '', <$t>;
		push @sessions, $t unless $session;
		return $text =~ /\r\n\r\n(.*)$/s ? $1 : 'none';
	};
	is_deeply [ grep { $talk->() ne '.' } 1 .. 60 ], [], 'more of them than there is room for';
	is $talk->($sessions[-1]), 'r', 'the last is remembered';
	is $talk->($sessions[0]), '.', 'the first is not';
};

subtest 'sessions with upstreams' => sub {
	is ask('/safe?n=n0'), '200 .', 'a new one';
	is ask('/safe?n=n0'), '200 r', 'is resumed';
	my $before = kb();
	is_deeply [ grep { ask("/safe?n=n$_") ne '200 .' } 1 .. 60 ], [], 'each name has its own';
	is ask('/safe?n=n60'), '200 r', 'the last is resumed';
	is ask('/safe?n=n0'), '200 .', 'the first was forgotten';
	cmp_ok kb() - $before, '<', 2048, 'memory' unless join('', $w->run('-V')) =~ /--with-sanitizers/;
};

subtest 'requests in the background' => sub {
	my $begin = time;
	my $bad = 0;
	for my $i (1 .. 1100) {
		$c = $w->connect if $i % 100 == 1;
		$bad++ if ask($i % 2 ? '/mirrored' : '/acted') ne '200 file 1';
		$c->send("GET /pid HTTP/1.1\r\nHost: a\r\n\r\n"), $c->response if $i % 100 == 0;
	}
	is $bad, 0, 'nobody waits for them';
	$w->log_like(qr/1024 mirrored requests are under way: this one is not mirrored|1024 requests in the background are under way: post_action does nothing/,
	    'those beyond the bound are told of');
	cmp_ok scalar(grep /under way/, $w->log_lines), '<=', 2, 'once a minute';
	cmp_ok files(qr/^socket:/), '<', 1024 + 60, 'no more than that are open';
	close $silent;
	ok wait_for(sub { files(qr/^socket:/) < 200 }), 'when the host has gone they go';
	is ask('/mirrored'), '200 file 1', 'and all is well';
};

is join(' ', $w->worker_pids), $pid, 'the worker lives';
is $w->stop, 0, 'the end';
done_testing;
