#!/usr/bin/perl

# Listening sockets: opened, kept, added, removed and handed over.
#
# effect: listen

use strict;
use warnings;

use lib 't/lib';
use Socket qw(AF_INET6 SOCK_STREAM);
use Test::More;
use Weir;

sub server { my ($name, @listen) = @_; return "server { " . join(' ', map "listen $_;", @listen) . " return 200 $name; }\n" }
sub http { return "worker_processes 2;\nhttp {\n@_}\n" }

sub body
{
	my ($w, %opt) = @_;
	my $r = $w->request('GET', '/', [], undef, %opt);
	return $r ? $r->body : undef;
}

sub have_ip6
{
	socket my $s, AF_INET6, SOCK_STREAM, 0 or return 0;
	return bind $s, Socket::pack_sockaddr_in6(0, Socket::IN6ADDR_LOOPBACK());
}

subtest 'addresses that overlap' => sub {
	my $w = Weir->new;
	my $p = $w->port(1);
	$w->start(http(server('any', '%PORT1%'), server('one', '127.0.0.1:%PORT1%'), server('two', '127.0.0.2:%PORT1%')));
	is body($w, to => ['127.0.0.1', $p]), 'one', 'the nearer address is chosen';
	is body($w, to => ['127.0.0.2', $p]), 'two', 'so here';
	is body($w, to => ['127.0.0.3', $p]), 'any', 'and the rest goes to the wildcard';
	ok $w->reload(http(server('any', '%PORT1%'), server('three', '127.0.0.3:%PORT1%'))), 'others after a reload';
	is body($w, to => ['127.0.0.3', $p]), 'three', 'a new nearer address';
	is body($w, to => ['127.0.0.1', $p]), 'any', 'an old one has gone';
	$w->stop;
};

SKIP: {
	skip 'no IPv6 here', 1 unless have_ip6();
	subtest 'IPv6' => sub {
		my $w = Weir->new;
		my $p = $w->port(1);
		$w->start(http(server('six', '[::]:%PORT1%')));
		is body($w, to => ['::1', $p]), 'six', '[::]';
		ok !$w->connect(to => ['127.0.0.1', $p]), 'is for IPv6 only';
		ok $w->reload(http(server('dual', '[::]:%PORT1% ipv6only=off'))), 'ipv6only changes';
		is body($w, to => ['127.0.0.1', $p]), 'dual', 'now for both';
		is body($w, to => ['::1', $p]), 'dual', 'really';
		$w->stop;
	};
}

subtest 'added, removed, changed' => sub {
	my $w = Weir->new;
	$w->start(http(server('a', '127.0.0.1:%PORT1%')));
	my $kept = $w->connect;
	$kept->send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
	is $kept->response->body, 'a', 'a connection';
	my $load = $w->background(sub {
		my ($stop) = @_;
		my ($ok, $bad) = (0, 0);
		until ($stop->()) {
			(body($w) // '') eq 'a' ? $ok++ : $bad++;
		}
		return { ok => $ok, bad => $bad };
	});
	for (1 .. 3) {
		ok $w->reload(http(server('a', '127.0.0.1:%PORT1%'), server('b', '127.0.0.1:%PORT2%'))), 'added';
		is body($w, port => 2), 'b', 'served';
		ok $w->reload(http(server('a', '127.0.0.1:%PORT1% backlog=77 so_keepalive=on'), server('c', '127.0.0.1:%PORT3%'))), 'changed';
		is body($w, port => 3), 'c', 'the new one';
		ok wait_for(sub { !$w->connect(port => 2) }), 'the old one is closed';
		ok $w->reload(http(server('a', '127.0.0.1:%PORT1%'))), 'removed';
		ok wait_for(sub { !$w->connect(port => 3) }), 'closed';
	}
	my $r = $load->finish;
	is $r->{bad}, 0, "the address that stays lost none of $r->{ok} requests";
	cmp_ok $r->{ok}, '>', 0, 'and had some';
	$w->stop;
};

# Whoever waits in the queue of an address that goes is answered all the same.
subtest 'the last to come are served' => sub {
	my $w = Weir->new;
	$w->start("worker_processes 1;\nhttp {" . server('a', '127.0.0.1:%PORT1%') . server('b', '127.0.0.1:%PORT2%') . '}');
	my ($worker) = $w->worker_pids;
	CORE::kill('STOP', $worker);
	my @c = map {
		my $c = $w->connect(port => 2);
		$c->send("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
		$c;
	} 1 .. 20;
	$w->set_conf("worker_processes 1;\nhttp {" . server('a', '127.0.0.1:%PORT1%') . '}');
	$w->kill('HUP');
	$w->log_like(qr/generation 2 serves/);
	CORE::kill('CONT', $worker);
	is scalar(grep { my $r = $_->response; $r && $r->body eq 'b' } @c), 20, 'all of them';
	ok wait_for(sub { !$w->connect(port => 2) }), 'then the address is closed';
	$w->stop;
};

subtest 'unix sockets' => sub {
	my $w = Weir->new;
	my ($s, $t) = map $w->dir . "/$_", qw(s t);
	my $stale = IO::Socket::UNIX->new(Local => $s, Listen => 1);
	close $stale;
	ok -S $s, 'a socket that a server left behind';
	$w->start(http(server('s', "unix:$s"), server('t', "unix:$t")));
	is body($w, unix => $s), 's', 'is replaced';
	is sprintf('%o', (stat $s)[2] & 07777), '666', 'open to all';
	ok $w->reload(http(server('s2', "unix:$s"))), 'reload without the other';
	is body($w, unix => $s), 's2', 'one is kept';
	ok wait_for(sub { !-e $t }), 'the file of the other is removed';
	my ($code, undef, $err) = Weir->new->run(do {
		my $v = Weir->new;
		$v->set_conf(http(server('v', "unix:$s")));
		$v->expect_alert(qr/bind\(\) to unix:/);
		$v->args('');
	});
	is $code, 1, 'a second server cannot have it';
	like $err, qr/bind\(\) to unix:\S+ failed \(98: Address already in use\)/, 'and says so';
	is body($w, unix => $s), 's2', 'the first one still has it';
	my $file = $w->write('file', 'x');
	ok !$w->reload(http(server('f', "unix:$file"))), 'a file that is no socket';
	$w->expect_alert(qr/bind\(\) to unix:/);
	is $w->read('file'), 'x', 'is left alone';
	$w->kill('USR2');
	$w->log_like(qr/new binary process \d+ exited with code 1/, 'a new binary with that configuration');
	ok wait_for(sub { -e $w->pid_path && !-e $w->pid_path . '.oldbin' }), 'goes again';
	is body($w, unix => $s), 's2', 'the socket has survived it';
	$w->set_conf(http(server('s3', "unix:$s")));
	$w->kill('USR2');
	my $new = wait_for(sub { my ($p) = ($w->read('weir.pid') // '') =~ /(\d+)/; $p && $p != $w->pid && $p });
	ok $new, 'a new binary that works';
	is $w->stop, 0, 'the old master ends';
	ok -S $s, 'the socket stays';
	is body($w, unix => $s), 's3', 'and is the new master\'s';
	$w->adopt($new);
	is $w->stop, 0, 'the end of all';
	ok !-e $s, 'the file is removed';
};

# What must be told of so many is longer than the kernel lets a variable be (128 kB).
subtest 'a new binary for many' => sub {
	my $w = Weir->new;
	my $dir = $w->dir;
	my $long = ';' x 50;			# is written as three bytes each
	my @paths = map "$dir/$_$long", 1 .. 900;
	$w->start("worker_processes 1;\nevents { worker_connections 2000; }\nhttp {\n" .
	    join('', map(server($_, qq("unix:$paths[$_]")), 0 .. $#paths), server('tcp', '127.0.0.1:%PORT1%')) . '}');
	is body($w, unix => $paths[$_]), $_, "$_ is served" for 0, $#paths;
	my $old = $w->pid;
	$w->kill('USR2');
	my $new = wait_for(sub { my ($p) = ($w->read('weir.pid') // '') =~ /(\d+)/; $p && $p != $old && $p });
	ok $new, 'a new binary';
	$w->log_like(qr/using inherited sockets from "\@\d+"/, 'has them from a file');
	is $w->stop, 0, 'the old master ends';
	is scalar(grep { (body($w, unix => $paths[$_]) // '') ne $_ } 0 .. $#paths), 0, 'all are served';
	is body($w), 'tcp', 'the last, too';
	$w->adopt($new);
	is $w->stop, 0, 'the end of all';
	is scalar(grep -e, @paths), 0, 'the files are removed';
};

subtest 'ports of others' => sub {
	my $w = Weir->new;
	my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(2), Listen => 1, ReuseAddr => 1, ReusePort => 1);
	my $conf = $w->set_conf(http(server('a', '127.0.0.1:%PORT1%'), server('b', '127.0.0.1:%PORT2%')));
	my ($code, undef, $err) = $w->run($w->args($conf), '-t');
	is $code, 0, '-t does not mind, for it finds the running server there';
	($code, undef, $err) = $w->run($w->args($conf));
	is $code, 1, 'start fails';
	my $p = $w->port(2);
	like $err, qr/\[emerg\].* bind\(\) to 127\.0\.0\.1:$p failed \(98: Address already in use\)/, 'which address, and why';
	is scalar(() = $err =~ /bind\(\) to/g), 5, 'after five tries';
	ok !-e $w->pid_path, 'no pid file';
	$w->expect_alert(qr/bind\(\)/);
	($code, undef, $err) = $w->test_conf(http(server('c', '192.0.2.1:%PORT1%')));
	is $code, 1, 'an address that is not ours';
	like $err, qr/bind\(\) to 192\.0\.2\.1:\d+ failed \(99: /, 'fails in -t, too';
	close $other;
	$w->start($conf);
	is body($w, port => 2), 'b', 'free again';
	$w->stop;
};

done_testing;
