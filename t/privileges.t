#!/usr/bin/perl

# What workers, keeper and master may do, and what they hold.
#
# effect: user client_body_temp_path

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $sanitized = ($ENV{WEIR_OBJS} // '') =~ /asan|fuzz/;
my $conf = <<'E';
worker_processes 2;
http {
	client_body_temp_path %DIR%/body;
	server {
		listen 127.0.0.1:%PORT1%;
		listen unix:%DIR%/sock;
		location / { root %DIR%/www; }
	}
}
E

sub status
{
	my ($w, $pid) = @_;
	return { $w->read("/proc/$pid/status") =~ /^(\w+):[ \t]*(.*)$/mg };
}

sub ids { join ' ', (split ' ', $_[0])[0 .. 3] }

# As the file descriptors of a process are: number => what it is.
sub fds
{
	my ($pid) = @_;
	return map { m{/(\d+)$}; $1 => (readlink($_) // '') } glob "/proc/$pid/fd/*";
}

sub is_locked_in
{
	my ($w, $pid, $what, $uid, $gid) = @_;
	my $s = status($w, $pid);
	is ids($s->{Uid}), "$uid $uid $uid $uid", "$what: uid $uid in every form";
	is ids($s->{Gid}), "$gid $gid $gid $gid", "$what: gid $gid in every form";
	is $s->{"Cap$_"}, '0' x 16, "$what: Cap$_ is empty" for qw(Inh Prm Eff Bnd Amb);
	is $s->{NoNewPrivs}, 1, "$what: NoNewPrivs";
	is $s->{Umask}, '0027', "$what: umask";
	return if $sanitized;
	is $s->{Seccomp}, 2, "$what: seccomp";
	# The kernel gives the files in /proc of what is not dumpable to root.
	is((stat "/proc/$pid/environ")[4], 0, "$what: not dumpable, not traceable by its own user");
}

my $w = Weir->new;
$w->write('www/index.html', "hello\n", 0644);
$w->write('www/secret', "secret\n", 0600);
$w->start($conf, env => { SECRET_TOKEN => 'hunter2' });

SKIP: {
	skip 'the test does not run as root', 1 if $>;
	my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
	my @workers = $w->worker_pids;
	is_locked_in($w, $_, "worker $_", $uid, $gid) for @workers;
	is_locked_in($w, $w->keeper_pid, 'keeper', $uid, $gid);
	is $w->get('/index.html')->status, 200, 'what everybody may read is served';
	is $w->get('/secret')->status, 403, 'what root may read is not';
	my @st = stat $w->dir . '/body';
	is $st[4], $uid, 'a temp folder belongs to the workers';
	is sprintf('%o', $st[2] & 07777), '700', 'and to nobody else';

	is status($w, $w->pid)->{Umask}, '0027', 'master: umask';
}

for my $pid ($w->all_pids) {
	my %fd = fds($pid);
	my $title = Weir::title($pid);
	my @open = grep {
		my ($flags) = ($w->read("/proc/$pid/fdinfo/$_") // 'flags: 02000000') =~ /^flags:\s+(\d+)/m;
		$_ > 2 && !(oct($flags) & 02000000);
	} keys %fd;
	is_deeply \@open, [], "$title: every descriptor is close-on-exec";
	unlike $w->read("/proc/$pid/environ") // '', qr/hunter2/, "$title: the environment does not show";
	unlike $w->read("/proc/$pid/cmdline"), qr/hunter2/, "$title: nor in its title";
}

# Who holds which sockets.
sub sockets
{
	my ($pid) = @_;
	my %fd = fds($pid);
	return map /^socket:\[(\d+)\]$/ ? $1 : (), values %fd;
}

my $tcp = sub {
	my %state;
	for my $file (qw(tcp tcp6)) {
		for (split /\n/, $w->read("/proc/net/$file") // '') {
			my @f = split;
			$state{ $f[9] } = $f[3] if @f > 9;
		}
	}
	return \%state;
};
my $c = $w->connect;
$c->send("GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n");
is $c->response->status, 200, 'a connection that stays';
my $state = $tcp->();
is_deeply [grep { ($state->{$_} // '0A') ne '0A' } sockets($w->pid)], [], 'the master has no connection';
is scalar(grep { ($state->{$_} // '') eq '0A' } sockets($w->pid)), 2, 'but all listeners';
is_deeply [grep { $state->{$_} } sockets($w->keeper_pid)], [], 'the keeper has neither';
is $w->stop, 0, 'stop';

SKIP: {
	skip 'the test does not run as root', 1 if $>;
	my ($user, $group) = ('daemon', 'games');
	my ($uid, $gid) = ((getpwnam $user)[2], (getgrnam $group)[2]);
	$w = Weir->new;
	$w->start("user $user $group;\n$conf");
	is_locked_in($w, $_, 'worker', $uid, $gid) for ($w->worker_pids)[0];
	ok $w->reload("user nobody;\n$conf"), 'another user after a reload';
	is_locked_in($w, $_, 'new worker', (getpwnam 'nobody')[2, 3]) for ($w->worker_pids)[0];
	is((stat $w->dir . '/body')[4], (getpwnam 'nobody')[2], 'the temp folder follows');
	my ($code, undef, $err) = $w->test_conf("user no_such_user;\n$conf");
	is $code, 1, 'an unknown user is refused';
	like $err, qr/weir\.conf:1:6: user: cannot find "no_such_user"/, 'with its place';
	$w->expect_alert(qr/no_such_user/);
	$w->stop;

	# Without root.
	$w = Weir->new;
	chmod 0777, $w->dir, $w->dir . '/logs';
	$w->set_conf("user nobody;\n$conf");
	my @args = map "'$_'", $w->binary, $w->args($conf), '-t';
	my $out = `setpriv --reuid=65534 --regid=65534 --clear-groups @args 2>&1`;
	like $out, qr/\[warn\].*weir\.conf:1:1: user: ignored: only a master that runs as root/, 'not root: user is ignored';
	like $out, qr/test is successful/, 'with a warning only';
}

# Files of the master are not written through links that somebody else laid.
$w = Weir->new;
my $victim = $w->write('victim', "precious\n");
symlink $victim, $w->pid_path or die;
symlink $victim, $w->pid_path . '.tmp' or die;
$w->start($conf);
is $w->read('victim'), "precious\n", 'the pid file does not follow a symbolic link';
is $w->read('weir.pid'), $w->pid . "\n", 'but replaces it';
is sprintf('%o', (stat $w->pid_path)[2] & 07777), '644', 'readable for all';
is sprintf('%o', (stat $w->log_path)[2] & 07777 & ~0644), '0', 'the log is writable for its owner only';
$w->stop;

done_testing;
