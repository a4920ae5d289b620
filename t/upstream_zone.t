#!/usr/bin/env perl
# upstream_zone.t - workers share what they know of servers; reloads, upgrades and crashes keep it.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: zone server

my $w = Weir->new;

for my $n (2 .. 5) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			$c->note("$q->{uri}");
			if ($q->{uri} =~ m{/hang}) {
				$c->note('hangs');
				$c->eof;
				$c->note('let go');
				return;
			}
			return if $q->{uri} =~ m{/close} && $n == 2;
			$c->send("HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\n$n");
		}
	});
}

sub conf
{
	my ($more) = @_;
	return <<"CONF";
worker_processes 3;
http {
	log_format pid '\$pid \$upstream_addr';
	access_log %DIR%/access.log pid;
	upstream turns { zone z 256k; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3% weight=2; server 127.0.0.1:%PORT4%; }
	upstream fails { zone z; server 127.0.0.1:%PORT2% fail_timeout=600s; server 127.0.0.1:%PORT3%; $more }
	upstream conns { zone z; server 127.0.0.1:%PORT2% max_conns=2; server 127.0.0.1:%PORT3% backup; $more }
	upstream tiers {
		zone tiers 64k;
		server 127.0.0.1:%PORT2% max_conns=1;
		server 127.0.0.1:%PORT3% priority=2 max_conns=1;
		server 127.0.0.1:%PORT4% priority=3 max_conns=1;
		server 127.0.0.1:%PORT5% backup;
	}
	upstream drains { server 127.0.0.1:%PORT2% drain; server 127.0.0.1:%PORT3%; }
	server {
		listen 127.0.0.1:%PORT1%;
		location /turns/ { proxy_pass http://turns; }
		location /fails/ { proxy_pass http://fails; }
		location /conns/ { proxy_pass http://conns; }
		location /tiers/ { proxy_pass http://tiers; }
		location /drains/ { proxy_pass http://drains; }
	}
}
CONF
}

$w->start(conf(''));

sub who { my ($uri, $n) = @_; join '', map $w->get($uri)->body, 1 .. $n }
sub sorted { join '', sort split //, $_[0] }
sub notes { my ($re) = @_; my $n = 0; $n += grep /$re/, $w->origin_notes($_) for 2 .. 5; $n }

sub hang
{
	my ($uri) = @_;
	my $n = notes('hangs');
	my $c = $w->connect;
	$c->send("GET $uri/hang HTTP/1.1\r\nHost: a\r\n\r\n");
	wait_for(sub { notes('hangs') > $n }) or die 'it does not hang';
	return $c;
}

# At this server; a request before it may count for a moment after its response, and send it elsewhere.
sub hang_at
{
	my ($n, $uri) = @_;
	for (1 .. 20) {
		my $before = grep /hangs/, $w->origin_notes($n);
		my $c = hang($uri);
		if ($before < grep /hangs/, $w->origin_notes($n)) {
			pass "server $n";
			return $c;
		}
		leave($c);
	}
	fail "server $n";
}

sub leave
{
	my @c = @_;
	my $n = notes('let go');
	$_->reset for @c;
	ok wait_for(sub { notes('let go') >= $n + @c }), 'they left';
}

subtest 'turns' => sub {
	is sorted(who('/turns/', 80)), '2' x 20 . '3' x 40 . '4' x 20, 'weights hold over all workers';
	my %pids = map { (split)[0] => 1 } $w->access('access.log', 80);
	note scalar(keys %pids), ' workers took part';
};

subtest 'failures' => sub {
	is who('/fails/close', 1), 3 for 1 .. 2;
	is scalar(grep m{/fails/close}, $w->origin_notes(2)), 1, 'one worker learns it for all';
	is who('/fails/', 12), '3' x 12, 'all leave it alone';
	ok $w->reload(conf('')), 'a reload';
	is who('/fails/', 6), '3' x 6, 'keeps that';
	ok $w->reload(conf('server 127.0.0.1:%PORT4%;')), 'another one, with another server';
	is sorted(who('/fails/', 6)), '333444', 'keeps it as well';
	ok $w->reload(conf(''));
};

subtest 'max_conns' => sub {
	my @c = map hang_at(2, '/conns'), 1 .. 2;
	is who('/conns/', 6), '333333', 'full, for all workers';
	ok $w->reload(conf('')), 'a reload';
	is who('/conns/', 3), '333', 'old connections count';
	ok $w->reload(conf('server 127.0.0.1:%PORT4% down;')), 'another one, with another server';
	is who('/conns/', 3), '333', 'for it, too';
	leave(@c);
	ok wait_for(sub { $w->get('/conns/')->body == 2 }), 'free again';
	ok $w->reload(conf(''));
};

subtest 'crashes' => sub {
	my @c = map hang_at(2, '/conns'), 1 .. 2;
	is who('/conns/', 2), '33';
	$w->expect_alert(qr/exited on signal 9/);
	my @before = $w->worker_pids;
	kill 'KILL', @before;
	ok wait_for(sub { my %old = map { $_ => 1 } @before; my @now = grep !$old{$_}, $w->worker_pids; @now == 3 }),
	    'all workers are others';
	ok wait_for(sub { my $r = $w->get('/conns/'); $r && $r->body eq '2' }), 'what they held is given back';
	is who('/fails/', 4), '3333', 'what they had learnt is known';
	$_->close for @c;
};

subtest 'tiers' => sub {
	my @c;
	push @c, hang_at($_, '/tiers') for 2 .. 5;
	ok wait_for(sub { $w->get('/tiers/')->body == 5 });
	$_->close for @c;
	ok wait_for(sub { $w->get('/tiers/')->body == 2 });
};

is who('/drains/', 5), '33333', 'drain: nobody new';

subtest 'another binary' => sub {
	my $old = $w->pid;
	$w->kill('USR2');
	my $new = wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $old ? $1 : 0 });
	ok $new, 'it starts';
	$w->kill('QUIT');
	ok wait_for(sub { !Weir::alive($old) }), 'and is alone';
	$w->adopt($new);
	is who('/fails/', 4), '3333', 'what was learnt is still known';
};

subtest 'one process' => sub {
	$w->stop;
	my $one = conf('') =~ s/worker_processes 3/master_process off/r;
	$w->start($one);
	is sorted(who('/turns/', 8)), '22333344', 'it serves';
	is who('/fails/close', 1), 3 for 1 .. 2;
	is who('/fails/', 4), '3333', 'and learns';
	$w->stop;
};

done_testing;
