#!/usr/bin/perl
# no_files.t - S-184 and S-192 for those who open something at work: no descriptors, a full disk, a disk that may not be
# written.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Test::More;
use Weir;

sub wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }

sub name_server
{
	my ($w, $n) = @_;
	my $udp = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port($n), Proto => 'udp') or die "udp: $!";
	return $w->background(sub {
		my ($stop) = @_;
		until ($stop->()) {
			my $in = '';
			vec($in, fileno $udp, 1) = 1;
			select($in, undef, undef, 0.05) or next;
			my $from = $udp->recv(my $q, 4096);
			my ($at, @name) = 12;
			while (my $l = unpack "x$at C", $q) { push @name, substr $q, $at + 1, $l; $at += $l + 1 }
			$udp->send(pack('n6', unpack('n', $q), 0x8180, 1, 1, 0, 0) . substr($q, 12, $at + 5 - 12) .
			    wire(join '.', @name) . pack('n n N n/a', 1, 1, 3600, pack 'C4', 127, 0, 0, 1), 0, $from);
		}
		return {};
	});
}

sub origin
{
	my ($w, $n) = @_;
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			my $body = $q->{uri} =~ /big/ ? 'b' x 500_000 : 'from afar';
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body") or return;
		}
	});
}

subtest 'S-184 no descriptors' => sub {
	my $w = Weir->new;
	$w->expect_alert(qr/accept4|worker_connections|resolver/);
	my $names = name_server($w, 2);
	origin($w, 3);
	my $log = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(4), Proto => 'udp') or die "udp: $!";
	$w->cert('s', cn => 'localhost');
	$w->write("www/$_", "file $_") for 'a' .. 'z';
	$w->write('users', "me:{PLAIN}secret\n");
	mkdir $w->dir . '/hosts';
	chmod 0777, $w->dir . '/hosts';
	$w->start(<<'E');
worker_processes 1;
worker_rlimit_nofile 64;
events { worker_connections 1000; }
http {
	log_format short '$uri $status';
	access_log %DIR%/access.log short;
	access_log syslog:server=127.0.0.1:%PORT4% short;
	access_log %DIR%/hosts/$arg_n.log short;
	open_log_file_cache max=10 inactive=1s;
	open_file_cache max=20 inactive=60s;
	proxy_connect_timeout 2s;
	resolver 127.0.0.1:%PORT2% ipv6=off;
	resolver_timeout 2s;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	server {
		listen 127.0.0.1:%PORT1%;
		listen 127.0.0.1:%PORT5% ssl;
		root %DIR%/www;
		keepalive_requests 10000;
		location / { }
		location /list/ { alias %DIR%/www/; autoindex on; }
		location /up { proxy_pass http://127.0.0.1:%PORT3%; }
		location /named { proxy_pass http://$arg_n.test:%PORT3%; }
		location /mirrored { mirror /up; try_files /a =404; }
		location /asked { auth_request /up; try_files /a =404; }
		location /auth { auth_basic x; auth_basic_user_file %DIR%/users; try_files /a =404; }
		location /added { add_before_body /b; addition_types *; try_files /a =404; }
		location /memory { return 200 memory; }
	}
}
E
	my ($pid) = $w->worker_pids;
	my @kept = map { $w->connect } 1 .. 30;	# a 500 ends a connection
	my $ask = sub {
		my $c = $kept[0];
		$c->send("GET $_[0] HTTP/1.1\r\nHost: a\r\nAuthorization: Basic bWU6c2VjcmV0\r\n\r\n");
		my $r = $c->response;
		shift @kept if @kept > 1 && (!$r || $r->header('Connection') eq 'close');
		return $r ? $r->status : 'none';
	};
	my @places = qw(/a /list/ /up /named /mirrored /asked /auth /added /memory);
	is $ask->("$_?n=first"), 200, "$_ before" for @places;
	for my $c (@kept) { $c->send("GET /memory HTTP/1.1\r\nHost: a\r\n\r\n"); $c->response }
	my $fds = () = glob "/proc/$pid/fd/*";
	my @idle = map { $w->connect(port => $_ % 2 ? 1 : 5) } 1 .. 120;
	ok $w->wait_log(qr/accepting pauses/), 'accepting pauses';
	my %fine = ('/memory' => qr/^200$/, '/up' => qr/^(?:200|502)$/, '/named' => qr/^(?:200|502)$/,
	    '/asked' => qr/^(?:200|500)$/, '/auth' => qr/^(?:200|500)$/);
	for my $round (1 .. 3) {
		for my $place (@places) {
			my $want = $fine{$place} // qr/^(?:200|500|503)$/;
			like $ask->("$place?n=x$round"), $want, "$place meanwhile";
		}
		like $ask->("/$_?n=$_"), qr/^(?:200|500|503)$/, "file $_" for 'c' .. 'f';
	}
	$w->kill('USR1');
	ok $w->wait_log(qr/reopening logs/), 'logs are opened anew';
	is $ask->('/memory'), 200, 'who is connected is served';
	cmp_ok scalar(() = $w->log_text =~ /accept4\(\) failed/g), '<=', 6, 'the log is not flooded';
	$_->close for @idle;
	@kept = $w->connect;
	is $ask->("$_?n=again"), 200, "$_ again" for @places;
	my $r = $w->request('GET', '/a', [], undef, port => 5, tls => { sni => 'localhost' });
	is $r && $r->status, 200, 'TLS again';
	is join(' ', $w->worker_pids), $pid, 'the worker lives';
	ok wait_for(sub { my $n = () = glob "/proc/$pid/fd/*"; $n <= $fds + 24 }), 'with no descriptors lost';
	is $w->stop, 0, 'the end';
	$names->finish;
};

SKIP: {
	skip 'needs root for a small file system', 1 if $> != 0;
	subtest 'S-192 disks' => sub {
		my $w = Weir->new;
		origin($w, 3);
		my $small = $w->dir . '/small';
		mkdir $small;
		system("mount -t tmpfs -o size=128k,mode=777 none $small 2>/dev/null") == 0 or plan skip_all => 'mounting is not allowed';
		mkdir "$small/$_" for qw(store tmp hosts);
		chmod 0777, map "$small/$_", qw(store tmp hosts);
		$w->start(<<'E');
worker_processes 1;
error_log %DIR%/error.log info;
http {
	log_format short '$uri $status xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx';
	access_log %DIR%/small/access.log short;
	access_log %DIR%/small/buffered.log short buffer=4k;
	access_log %DIR%/small/zipped.log short gzip buffer=4k;
	access_log %DIR%/small/hosts/$arg_n.log short;
	proxy_temp_path %DIR%/small/tmp;
	server {
		listen 127.0.0.1:%PORT1%;
		keepalive_requests 10000;
		location /store/ { proxy_pass http://127.0.0.1:%PORT3%; proxy_store %DIR%/small/store/$arg_n; }
		location /slow/ { proxy_pass http://127.0.0.1:%PORT3%; proxy_max_temp_file_size 10m; proxy_buffers 2 4k; }
		location / { return 200 fine; }
	}
}
E
		my $c = $w->connect;
		my $ask = sub { $c->send("GET $_[0] HTTP/1.1\r\nHost: a\r\n\r\n"); my $r = $c->response; $r ? $r->status . length($r->body) : 'none' };
		is $ask->('/store/x?n=one'), 2009, 'a response is stored';
		ok wait_for(sub { ($w->read('small/store/one') // '') eq 'from afar' }), 'whole';
		is_deeply [ grep { $ask->('/') ne 2004 } 1 .. 2500 ], [], 'the disk becomes full of logs, and everybody is served';
		ok $w->wait_log(qr/fails, lines are lost.*No space/), 'which is told';
		cmp_ok scalar(() = $w->log_text =~ m{small/access\.log" fails}g), '<=', 2, 'once a minute';
		is $ask->('/store/big?n=two'), 200500000, 'a response that cannot be stored is passed on';
		ok !-e "$small/store/two", 'and not stored in part';
		is_deeply [ glob "$small/tmp/*" ], [], 'nor left behind';
		is $ask->('/slow/big'), 200500000, 'what cannot be put away waits in memory';
		unlink "$small/access.log", "$small/buffered.log", "$small/zipped.log", glob "$small/hosts/*";
		$w->kill('USR1');
		ok wait_for(sub { -e "$small/access.log" }), 'room again';
		ok wait_for(sub { $ask->('/'); -s "$small/access.log" }), 'logs go on by themselves';
		is $ask->('/store/x?n=three'), 2009, 'a response';
		ok wait_for(sub { ($w->read('small/store/three') // '') eq 'from afar' }), 'is stored again';
		if (system("mount -o remount,ro $small 2>/dev/null") == 0 || system("mount -o remount,ro,size=128k none $small 2>/dev/null") == 0) {
			is $ask->('/'), 2004, 'a disk that may not be written: served';
			is $ask->('/store/x?n=four'), 2009, 'a response that cannot be stored';
			is $ask->('/slow/big'), 200500000, 'one that cannot be put away';
			system("mount -o remount,rw $small 2>/dev/null");
			is $ask->('/store/x?n=five'), 2009, 'when it may';
			ok wait_for(sub { ($w->read('small/store/five') // '') eq 'from afar' }), 'it is stored';
		}
		is $w->stop, 0, 'the end';
		system("umount -l $small");
	};
}

done_testing;
