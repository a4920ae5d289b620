#!/usr/bin/perl

# The keys of tickets over reloads, workers and binaries, and what nobody may be talked down to
# (QH-1, QH-2, S-120, S-123, S-127, S-130, S-133).
#
# effect: ssl_session_tickets ssl_session_ticket_rotate pqc_policy

use strict;
use warnings;

use lib 't/lib';
use Pq;
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
my $pq = Pq->new($w);
$pq->cert('s', 'EC');
sub conf
{
	my ($rotate) = @_;
	return "worker_processes 2;\nerror_log %DIR%/debug.log debug;\nhttp {\n$rotate\nssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key;\n" .
	    "server { listen 127.0.0.1:%PORT1% ssl; server_name s; return 200 \"\$pid \$ssl_session_reused\"; }\n" .
	    "server { listen 127.0.0.1:%PORT1% ssl; server_name pq; pqc_policy require; return 200 secret; }\n}\n";
}
$w->start(conf(''));
$w->expect_alert(qr/exited on signal 9/);

# A ticket of TLSv1.2 begins with the name of its key.
sub key { return $w->s_client('s', '-tls1_2') =~ /TLS session ticket:\s+0000 - ((?:[0-9a-f]{2}[ -]){16})/ ? $1 : 'none' }
my $file = 0;
sub session
{
	my ($name, %opt) = @_;
	my $f = "$dir/session" . ++$file;
	my $r = $pq->get($name, out => $f, %opt);
	ok -s $f, "a session of $name" or diag "$r->{error} $r->{text}";
	return $f;
}
# How often of eight, with both workers asked.
sub resumed
{
	my ($f, $name, %opt) = @_;
	return scalar grep { $_ == 1 } map { $pq->get($name // 's', in => $f, %opt)->{reused} // 0 } 1 .. 8;
}

# ---- one key for all, which stays ----

my $key = key();
like $key, qr/^[0-9a-f]{2}/, 'a key seals tickets';
my $s = session('s');
is resumed($s), 8, 'a ticket of TLSv1.3, at any worker';
like $pq->get('s', in => $s)->{group}, qr/^X25519MLKEM768$/, '... with a key exchange of its own';
ok $w->reload, 'a reload';
is key(), $key, '... has the same key';
is resumed($s), 8, '... and opens the ticket';
my @old = $w->worker_pids;
kill 'KILL', @old;
ok wait_for(sub { my @now = $w->worker_pids; @now == 2 && !grep { my $p = $_; grep $_ == $p, @old } @now }), 'workers are killed';
is key(), $key, '... others have the same key';
is resumed($s), 8, '... and open the ticket';
{
	my $old = $w->pid;
	my $in_file = sub { my ($p) = ($w->read('weir.pid') // '') =~ /^(\d+)$/m; return $p // 0 };
	$w->kill('USR2');
	ok wait_for(sub { $in_file->() && $in_file->() != $old }), 'another binary';
	my $new = $in_file->();
	$w->kill('WINCH');
	ok wait_for(sub { !$w->worker_pids && !$w->retiring_pids }), '... alone';
	is key(), $key, '... has the same key';
	is resumed($s), 8, '... and opens the ticket';
	$w->kill('HUP');
	ok wait_for(sub { my @p = $w->worker_pids; @p == 2 }), 'back';
	kill 'QUIT', $new;
	ok wait_for(sub { !Weir::alive($new) && $in_file->() == $old }), '... to the old one';
	is resumed($s), 8, '... which opens it, too';
}

# ---- it changes ----

ok $w->reload(conf('ssl_session_ticket_rotate 3s;')), 'a reload with ssl_session_ticket_rotate';
my $tries = 0;
my $ok = 0;
# A machine that is very busy may need the time of a second key for all this.
while (!$ok && $tries++ < 5) {
	my $first = key();
	$s = session('s');
	my $next = $first;
	wait_for(sub { ($next = key()) ne $first }, 30);
	isnt $next, $first, 'the key changes';
	$w->reload or last;
	my $n = resumed($s);
	$ok = $n == 8 && key() eq $next;
}
ok $ok, '... and the old one opens its tickets, also after a reload';
ok wait_for(sub { resumed($s) == 0 }, 40), '... until it is wiped out';

# ---- what was recorded and changed ----

ok $w->reload(conf('')), 'a reload without';
$s = session('s');
$pq->get('s', in => $s, save => "$dir/first");
{
	my $first = $w->read('first');
	my $answers = 0;
	for my $i (1 .. 60) {
		my $at = length($first) - 1 - $i * 5;
		my $changed = $first;
		substr($changed, $at, 1) ^= chr(1 << $i % 8);
		my $c = $w->connect;
		$c->send($changed);
		my $got = $c->read_n(1);
		$answers++ if defined $got && length $got;
		$c->close;
	}
	is $answers, 60, 'a ticket or its proof with one bit changed: an answer each time';
	is resumed($s), 8, '... and nothing has come of it';
}

# ---- down ----

$s = session('pq');
is $pq->get('pq', in => $s)->{reused}, 1, 'pqc_policy require: resumed';
like $pq->get('pq', in => $s, groups => 'X25519')->{error} // '', qr/handshake failure/, '... which is no way around it (S-123)';
my $s12 = session('s', max => '1.2', groups => 'X25519:P-256');
like $pq->get('pq', in => $s12, max => '1.2', groups => 'X25519:P-256')->{error} // '', qr/protocol version/, '... nor is an older version';
like $w->s_client('s', '-tls1_2', '-fallback_scsv'), qr/inappropriate fallback/i, 'a client that was talked down to TLSv1.2 is told (RFC 7507)';
like $w->s_client('s', '-tls1_2'), qr/Protocol\s*: TLSv1\.2/, '... one that knows nothing else is served';

# In between, somebody makes the post-quantum group one that nobody knows.
$w->origin(2, sub {
	my ($c) = @_;
	my $up = $w->connect(port => 1);
	my ($from, $to) = ($c->socket, $up->socket);
	my $begun = 0;
	for (;;) {
		my $v = '';
		vec($v, fileno $_, 1) = 1 for $from, $to;
		return unless select $v, undef, undef, 30;
		for ([$from, $up], [$to, $c]) {
			my ($in, $out) = @$_;
			next unless vec $v, fileno $in, 1;
			sysread $in, my $b, 65536 or return;
			if (!$begun++) {
				my $n = $b =~ s/\x11\xec/\x0a\x0a/g;
				$c->note("changed $n");
			}
			$out->send($b);
		}
	}
});
my $r = $pq->get('s', port => 2, groups => '*X25519MLKEM768:*X25519');
like $r->{error} // '', qr/handshake/, 'a group that was taken out on the way: the client notices';
ok wait_for(sub { grep /^changed [2-9]$/, $w->origin_notes(2) }), '... as it was taken out';
$r = $pq->get('s', groups => '*X25519MLKEM768:*X25519');
is $r->{group}, 'X25519MLKEM768', '... else it is agreed on';

# ---- nothing secret in logs ----

{
	my $log = $w->read('debug.log');
	cmp_ok length $log, '>', 1000, 'a log at level debug';
	my @secret = grep length > 20, split /\n/, $w->read('s.key') =~ s/-----[^\n]+//gr;
	is scalar(grep { index($log, $_) >= 0 } @secret), 0, '... has no key (S-133)';
	(my $name = $key) =~ tr/ -//d;
	unlike $log, qr/$name/i, '... nor that of tickets';
}
$w->stop;
done_testing;
