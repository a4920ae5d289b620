#!/usr/bin/perl

# Reloads and binary upgrades under load: no request fails, no connection is reset.
#
# effect: worker_processes worker_shutdown_timeout

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

sub conf
{
	my ($workers, $more) = @_;
	$more //= '';
	return <<"E";
daemon on;
worker_processes $workers;
http {
	server {
		listen 127.0.0.1:%PORT1%;
		$more
		location / { return 200 "workers $workers\\n"; }
		location /up { proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E
}

# One connection for each request.
sub new_load
{
	my ($w, $uri) = @_;
	return $w->background(sub {
		my ($stop) = @_;
		my ($ok, @bad) = (0);
		until ($stop->()) {
			my $c = $w->connect;
			if (!$c) {
				push @bad, "connect: $!";
				next;
			}
			$c->send("GET $uri HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
			my $r = $c->response;
			if ($r && $r->status == 200 && $r->complete && $c->eof && !$c->was_reset) {
				$ok++;
			} else {
				push @bad, !$r ? 'no response' . ($c->was_reset ? ', reset' : '') : $r->head;
			}
			$c->close;
		}
		return { ok => $ok, bad => \@bad };
	});
}

# One connection for as long as the server keeps it; a request on it never goes unanswered.
sub keepalive_load
{
	my ($w, $uri) = @_;
	return $w->background(sub {
		my ($stop) = @_;
		my ($ok, $conns, $c, @bad) = (0, 0);
		until ($stop->()) {
			if (!$c) {
				$conns++;
				$c = $w->connect or push(@bad, "connect: $!"), next;
			}
			my $r;
			$r = $c->response if $c->send("GET $uri HTTP/1.1\r\nHost: localhost\r\n\r\n");
			if ($r && $r->status == 200 && $r->complete) {
				$ok++;
				undef $c if lc($r->header('Connection') // '') eq 'close';
			} else {
				push @bad, !$r ? 'no response' . ($c->was_reset ? ', reset' : '') : $r->head;
				undef $c;
			}
		}
		return { ok => $ok, bad => \@bad, conns => $conns };
	});
}

my $w = Weir->new;
$w->start(conf(1));
$w->origin(2, sub {
	my ($c) = @_;
	while ($c->read_request) {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nup");
	}
});

sub start_load
{
	return {
		'new connections' => new_load($w, '/'),
		'connections kept alive' => keepalive_load($w, '/'),
		'proxied' => keepalive_load($w, '/up'),
	};
}

sub end_load
{
	my ($load, $when) = @_;
	for my $name (sort keys %$load) {
		my $r = $load->{$name}->finish;
		my @bad = @{ $r->{bad} // [ $r->{error} ] };
		is scalar(@bad), 0, "$when: $name: none of " . ($r->{ok} // 0) . ' failed';
		diag join "\n", @bad[0 .. ($#bad > 4 ? 4 : $#bad)] if @bad;
		cmp_ok $r->{ok} // 0, '>', 0, 'and there were some';
	}
}

my $load = start_load();
my @cycle = (2, 3, 1);
for my $i (1 .. 20) {
	my $n = $cycle[($i - 1) % 3];
	$w->reload(conf($n)) or fail "reload $i";
	my @p = $w->worker_pids;
	is scalar(@p), $n, "reload $i: $n workers" if $i <= 3;
}
ok $w->reload(conf(2)), '20 reloads, and one more';
end_load($load, 'reload');
ok wait_for(sub { !$w->retiring_pids }), 'nobody is left over';

# A reload that is refused, in the middle of the load.
$load = start_load();
ok !$w->reload(conf(3, 'frobnicate on;')), 'a broken configuration is refused';
$w->expect_alert(qr/frobnicate/);
ok !$w->reload(conf(3, 'listen 127.0.0.1:%PORT2%;')), 'an address that somebody else has is refused';
$w->expect_alert(qr/bind\(\)/);
like $w->get('/')->body, qr/workers 2/, 'the old configuration serves';
end_load($load, 'refused reload');

sub master_in_file
{
	my ($not) = @_;
	return wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $not ? $1 : 0 });
}

# To another binary, and back: it has more workers than the old one.
my $old = $w->pid;
$w->set_conf(conf(3));
$load = start_load();
$w->kill('USR2');
my $new = master_in_file($old);
ok $new, 'USR2: a new master serves';
is $w->read('weir.pid.oldbin'), "$old\n", 'the old one is beside it';
like Weir::title($new), qr/^weir: master process/, 'it is a master';
kill 'USR2', $new;
ok $w->wait_log(qr/the binary is not changed: process $old is still there/), 'USR2 to the new one: not now';
$w->kill('WINCH');
ok wait_for(sub { !$w->worker_pids && !$w->retiring_pids }), 'WINCH: the workers of the old master retire';
like $w->get('/')->body, qr/workers 3/, 'the new master has the new configuration';
$w->kill('HUP');
ok wait_for(sub { my @p = $w->worker_pids; @p == 2 }), 'HUP: they come back, with the old configuration';
kill 'QUIT', $new;
ok wait_for(sub { !Weir::alive($new) }), 'QUIT: the new master goes';
ok wait_for(sub { ($w->read('weir.pid') // '') eq "$old\n" && !-e $w->pid_path . '.oldbin' }),
    'the pid file is the old master\'s again';
end_load($load, 'rollback');
like $w->get('/')->body, qr/workers 2/, 'rolled back';

# And for good.
$load = start_load();
$w->kill('USR2');
$new = master_in_file($old);
ok $new, 'USR2 again';
$w->kill('QUIT');
ok wait_for(sub { !Weir::alive($old) }), 'QUIT: the old master goes';
ok wait_for(sub { !-e $w->pid_path . '.oldbin' }), 'and its pid file';
is $w->read('weir.pid'), "$new\n", 'the new one has its own';
$w->adopt($new);
like $w->get('/')->body, qr/workers 3/, 'upgraded';
ok $w->reload(conf(1)), 'the new master reloads';
end_load($load, 'upgrade');

# A new binary that dies: the old one takes everything back.
kill 'WINCH', $w->pid;
ok wait_for(sub { !$w->worker_pids }), 'WINCH without a new binary';
ok $w->reload(conf(2)), 'HUP brings workers';
$w->kill('USR2');
$new = master_in_file($w->pid);
$w->kill('WINCH');
ok wait_for(sub { !$w->worker_pids && !$w->retiring_pids }), 'handed over';
kill 'KILL', Weir::children($new);
kill 'KILL', $new;
ok wait_for(sub { my @p = $w->worker_pids; @p == 2 }), 'the new master was killed: workers come back';
is $w->get('/')->status, 200, 'and serve';
is $w->read('weir.pid'), $w->pid . "\n", 'pid file';
$w->expect_alert(qr/exited on signal 9|the master process has gone/);
is $w->stop, 0, 'end';

done_testing;
