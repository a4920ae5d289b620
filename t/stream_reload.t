#!/usr/bin/env perl
# stream_reload.t - connections of stream outlive what happens to the server: reloads, another binary, the death of a worker, and
# its end (S-260, S-263, S-264, S-267).
#
# effect: worker_shutdown_timeout proxy_pass

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
$w->expect_alert(qr/exited on signal 9/);
$w->origin(20, sub {
	my ($c) = @_;
	while ((my $line = $c->read_until(qr/\n/) // '') ne '') {
		$c->send(uc $line) or last;
	}
});
my $conf = <<'E';
worker_processes 2;
worker_shutdown_timeout 300s;
stream {
	log_format t "$status $close_reason";
	access_log %DIR%/access.log t;
	server { listen 127.0.0.1:%PORT1% reuseport; proxy_pass 127.0.0.1:%PORT20%; }
}
E
$w->start($conf);

my $n = 0;
sub works { my ($c) = @_; my $text = 'line ' . $n++ . "\n"; $c->send($text); return ($c->read_until(qr/\n/) // '') eq uc $text }
sub tunnels { my @c = map $w->connect, 1 .. $_[0]; return grep works($_), @c }

# ---- reloads (S-260) ----

my $load = $w->background(sub {
	my ($stop) = @_;
	my %n = (ok => 0, bad => 0);
	until ($stop->()) {
		my $c = $w->connect;
		my $ok = $c && works($c) && works($c);
		$ok &&= do { $c->half_close; $c->read_all eq '' && !$c->was_reset };
		$n{ $ok ? 'ok' : 'bad' }++;
	}
	return \%n;
});
my @old = tunnels(10);
is scalar(@old), 10, 'tunnels';
for (1 .. 8) {
	ok $w->reload, 'a reload';
	push @old, tunnels(2);
}
my $did = $load->finish;
cmp_ok $did->{ok}, '>', 0, "$did->{ok} connections came and went meanwhile";
is $did->{bad}, 0, 'none of them failed';
is scalar(grep works($_), @old), 26, 'and tunnels of every generation still work';
$_->half_close for @old;
is scalar(grep { $_->eof && !$_->was_reset } @old), 26, 'until they end in order';
ok wait_for(sub { !$w->retiring_pids }), 'and with them the old workers';

# ---- a worker dies (S-264) ----

my @held = tunnels(30);
is scalar(@held), 30, 'tunnels of two workers';
my ($victim) = $w->worker_pids;
kill 'KILL', $victim;
ok wait_for(sub { my @p = $w->worker_pids; @p == 2 && !grep { $_ == $victim } @p }), 'one of them is killed, and replaced';
my @left = grep works($_), @held;
cmp_ok scalar(@left), '>', 0, scalar(@left) . ' tunnels of the other go on';
cmp_ok scalar(@left), '<', 30, 'those of the dead one have ended';
is scalar(tunnels(20)), 20, 'new ones work';

# ---- another binary (S-263) ----

my $old = $w->pid;
$w->kill('USR2');
my $new = wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $old ? $1 : 0 });
ok $new, 'another binary';
$w->kill('QUIT');
ok wait_for(sub { $w->retiring_pids }), 'the old one retires';
is scalar(grep works($_), @left), scalar(@left), 'its tunnels work';
is scalar(my @more = tunnels(10)), 10, 'new ones are taken';
$_->half_close for @left;
ok wait_for(sub { !Weir::alive($old) }), 'it goes when they have ended';
is scalar(grep works($_), @more), 10, 'the new one has its own';
$w->adopt($new);

# ---- the end (S-267) ----

ok $w->reload($conf =~ s/300s/300ms/r), 'worker_shutdown_timeout';
my @last = tunnels(5);
$_->half_close for @more;
kill 'QUIT', $w->pid;
is scalar(grep { $_->eof && $_->was_reset } @last), 5, 'who does not end in time sees a reset';
ok wait_for(sub { 5 == grep /^500 shutdown$/, $w->log_lines('access.log') }), 'which the log has';
is $w->stop, 0, 'stop';
done_testing;
