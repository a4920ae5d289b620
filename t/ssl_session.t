#!/usr/bin/perl

# Sessions that are resumed: by tickets and by numbers, across workers and reloads.
#
# effect: ssl_session_cache ssl_session_timeout ssl_session_tickets ssl_session_ticket_key
# effect: ssl_session_ticket_rotate

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::SSL;
use Test::More;
use Weir;

our $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'localhost');
$w->write("key$_", join('', map { chr(int rand 256) } 1 .. 80), 0600) for 1, 2;
$w->write('key3', join('', map { chr(int rand 256) } 1 .. 48), 0600);
$w->write('www/index.html', 'x');

sub conf
{
	my (%in) = @_;
	my $servers = '';
	$servers .= "server { listen 127.0.0.1:%PORT1% ssl; server_name $_; $in{$_} }\n" for sort keys %in;
	return "worker_processes 2;\nhttp {\nssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/s.key;\n" .
	    "add_header X-Tls \"\$ssl_session_reused \$ssl_session_id\" always;\n$servers}\n";
}
my %all = (
	'0' => 'return 200 0;',
	'tickets' => 'return 200 1;',
	'nothing' => 'ssl_session_tickets off; ssl_session_cache off; return 200 1;',
	'cache' => 'ssl_session_tickets off; ssl_session_cache shared:one:1m; return 200 1;',
	'both' => 'ssl_session_tickets off; ssl_session_cache builtin shared:one:1m; return 200 1;',
	'command' => 'ssl_session_tickets off; ssl_conf_command Options SessionTicket; return 200 1;',
	'short' => 'ssl_session_timeout 1s; return 200 1;',
	'keyed' => 'ssl_session_ticket_key %DIR%/key1; return 200 1;',
	'keyed2' => 'ssl_session_ticket_key %DIR%/key3; ssl_session_ticket_key %DIR%/key2; return 200 1;',
);
$w->start(conf(%all));

my $file = 0;
# Makes a session, uses it so many times, and says how often it was resumed.
sub resumed
{
	my ($name, $v, $times, $between, $w) = @_;
	$w //= $main::w;
	my $f = "$dir/session" . ++$file;
	my $out = $w->s_client($name, $v, '-sess_out', $f);
	like $out, qr/\A(?=.*New, TLS)(?=.*X-Tls: \. )/s, "$name $v: a new session" or return -1;
	$between->() if $between;
	my $n = 0;
	for (1 .. $times) {
		my $r = $w->s_client($name, $v, (-s $f ? ('-sess_in', $f) : ()));
		$n++ if $r =~ /Reused, TLS/;
		is $r =~ /Reused, TLS/ ? 'r' : '.', $r =~ /X-Tls: (\S)/ ? $1 : '?', "$name $v: the variable says the same";
	}
	return $n;
}

# Eight times, so that both workers are asked.
for my $v ('-tls1_3', '-tls1_2') {
	is resumed('tickets', $v, 8), 8, "$v: tickets, of any worker";
	is resumed('nothing', $v, 4), 0, "$v: neither tickets nor a cache: nothing is resumed";
	is resumed('command', $v, 2), 2, "$v: tickets by a command of OpenSSL's, which has the last word";
	is resumed('cache', $v, 8), 8, "$v: the shared cache, of any worker";
	is resumed('both', $v, 8), 8, "$v: with builtin, too";
	is resumed('keyed', $v, 4), 4, "$v: a key from a file";
	is resumed('keyed2', $v, 4), 4, "$v: a short one";
	is resumed('short', $v, 2, sub { my $until = time + 2; wait_for(sub { time > $until }) }), 0,
	    "$v: not after ssl_session_timeout";
}
like $w->s_client('cache', '-tls1_2'), qr/X-Tls: \. [0-9a-f]{64}\r/, '$ssl_session_id';
unlike $w->s_client('nothing', '-tls1_2'), qr/TLS session ticket:/, 'ssl_session_tickets off';
like $w->s_client('tickets', '-tls1_3'), qr/New Session Ticket arrived/, 'TLSv1.3 has its own';
unlike $w->s_client('nothing', '-tls1_3'), qr/New Session Ticket arrived/, '... and none that nobody remembers';
like $w->s_client('tickets', '-tls1_2'), qr/TLS session ticket lifetime hint: 300 /, 'ssl_session_timeout is told: 5m';

# Who hangs up without a word (no close_notify) is no worse off for it, and is sent nothing more.
{
	my $cache = IO::Socket::SSL::Session_Cache->new({ SSL_session_cache_size => 4 });
	my @all;
	for my $round (1 .. 6) {
		my $c = $w->connect(tls => { SSL_version => 'TLSv1_2', sni => 'cache', SSL_session_cache => $cache, SSL_session_key => 'one' });
		$c->send("GET / HTTP/1.1\r\nHost: cache\r\n\r\n");
		push @all, $c->response->header('X-Tls') =~ /^(\S)/;
		my $fd = $c->socket;
		shutdown $fd, 1;
		vec(my $in = '', fileno $fd, 1) = 1;
		select $in, undef, undef, $Weir::TIMEOUT;
		is recv($fd, my $b, 1, 0) // 'failed', '', 'the end, and no alert before it';
		is $b, '', '... not a byte of one';
		my $ssl = $fd->_get_ssl_object;
		Net::SSLeay::set_quiet_shutdown($ssl, 1);	# else our side would forget it
		Net::SSLeay::shutdown($ssl);
		$c->close;
	}
	is "@all", '. r r r r r', 'a session that ended without a close_notify is resumed';
}

# ---- reloads ----

is resumed('cache', '-tls1_2', 4, sub { $w->reload }), 4, 'the shared cache outlives a reload';
is resumed('keyed', '-tls1_3', 4, sub { $w->reload }), 4, 'so do keys from files';
is resumed('tickets', '-tls1_3', 6, sub { $w->reload }), 6, 'and keys that were made here (S-130)';
is resumed('tickets', '-tls1_2', 6, sub {
	my @old = $w->worker_pids;
	$w->expect_alert(qr/exited on signal 9/);
	kill 'KILL', @old;
	wait_for(sub { my @now = $w->worker_pids; @now == 2 && !grep { my $p = $_; grep $_ == $p, @old } @now });
}), 6, '... which outlive workers';
is resumed('keyed', '-tls1_3', 4, sub {
	$all{keyed} = 'ssl_session_ticket_key %DIR%/key2; ssl_session_ticket_key %DIR%/key1; return 200 1;';
	ok $w->reload(conf(%all)), 'the key is replaced';
}), 4, 'the second key opens, too';
is resumed('keyed', '-tls1_3', 4, sub {
	$all{keyed} = 'ssl_session_ticket_key %DIR%/key1; return 200 1;';
	ok $w->reload(conf(%all)), 'the key is taken away';
}), 0, 'who has another key opens nothing';
{
	my $f = "$dir/old";
	$w->s_client('cache', '-tls1_2', '-sess_out', $f);
	$w->cert('s', cn => 'localhost');
	ok $w->reload, 'another certificate';
	like $w->s_client('cache', '-tls1_2', '-sess_in', $f), qr/New, TLS/, '... ends the sessions of the old one';
}
is $w->stop, 0, 'stop';

# ---- keys that are made here, and go ----

{
	my $r = Weir->new;
	$r->cert('s');
	$r->start(conf('0' => 'return 200 0;') =~ s/http \{/http { ssl_session_ticket_rotate 4s;/r);
	my $name = sub { $r->s_client('0', '-tls1_2') =~ /TLS session ticket:\s+0000 - ((?:[0-9a-f]{2}[ -]){16})/ ? $1 : 'none' };
	my $began = time;
	my @names = map $name->(), 1 .. 9;
	my $changes = grep { $names[$_] ne $names[$_ - 1] } 1 .. $#names;
	my $first = $names[-1];
	like $first, qr/^[0-9a-f]/, 'a ticket begins with the name of its key';
	cmp_ok $changes, '<=', 1 + int((time - $began) / 4), '... the same for both workers';
	my $next;
	is resumed('0', '-tls1_2', 1, sub { wait_for(sub { ($next = $name->()) ne $first }) }, $r), 1,
	    'after ssl_session_ticket_rotate the old key still opens';
	isnt $next, $first, '... and another seals';
	my $third;
	is resumed('0', '-tls1_2', 2, sub {
		my ($n, $last) = (0, $next);
		wait_for(sub { my $now = $name->(); $n++ if $now ne $last; $last = $now; $n == 3 });
	}, $r), 0, 'a key that is older opens nothing';
	$r->stop;
}

# ---- in the worker itself, as the default server says ----

my $b = Weir->new;
$b->cert('s');
$b->start(conf('0' => 'ssl_session_tickets off; ssl_session_cache builtin:100; return 200 0;', 'x' => 'return 200 x;') =~
    s/worker_processes 2/worker_processes 1/r);
is resumed('0', '-tls1_2', 4, undef, $b), 4, 'builtin';
is resumed('0', '-tls1_2', 2, sub { $b->reload }, $b), 0, '... ends with the worker';

# ---- mistakes ----

my $t = Weir->new;
$t->expect_alert(qr/\[emerg\]/);
$t->cert('s');
$t->write('short', 'x' x 47, 0600);
$t->write('long', 'x' x 81, 0600);
$t->write('open', 'x' x 80, 0644);
$t->write('group', 'x' x 80, 0640);
{
	mkdir $t->dir . '/shut', 0700;
	$t->write('shut/open', 'x' x 80, 0644);
	my ($code, $out, $err) = $t->test_conf("http { server { listen 127.0.0.1:%PORT1% ssl;\n" .
	    "ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key; ssl_session_ticket_key %DIR%/shut/open; } }");
	is $code, 0, 'a key that others could read, in a folder where they cannot go' or diag $err;
}
for (['ssl_session_ticket_key %DIR%/short;', qr/4:\d+: ssl_session_ticket_key: ".*short" must be 48 or 80 bytes/],
    ['ssl_session_ticket_key %DIR%/long;', qr/4:\d+: ssl_session_ticket_key: ".*long" must be 48 or 80 bytes/],
    ['ssl_session_ticket_key %DIR%/none;', qr/4:\d+: ssl_session_ticket_key: cannot read ".*none" \(2: No such file/],
    ['ssl_key_permissions strict; ssl_session_ticket_key %DIR%/group;', qr/4:\d+: ssl_session_ticket_key: others than its owner can read the keys in ".*group"/],
    ['ssl_session_ticket_key %DIR%/open;', qr/4:\d+: ssl_session_ticket_key: everybody can read the keys in ".*open"/],
    ['ssl_session_cache shared:x;', qr/4:\d+: ssl_session_cache: it has a name and a size/],
    ['ssl_session_cache shared:x:huge;', qr/4:\d+: ssl_session_cache: /],
    ['ssl_session_cache shared:x:1k;', qr/4:\d+: ssl_session_cache: /],
    ['ssl_session_cache off none;', qr/4:\d+: ssl_session_cache: invalid session cache "off"/],
    ['ssl_session_cache builtin:x;', qr/4:\d+: ssl_session_cache: /],
    ['ssl_session_cache some;', qr/4:\d+: ssl_session_cache: invalid session cache "some"/]) {
	my ($text, $re) = @$_;
	my ($code, $out, $err) = $t->test_conf("http {\nssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key;\n" .
	    "server { listen 127.0.0.1:%PORT1% ssl;\n$text\n}\n}\n");
	is $code, 1, "$text is refused";
	like $err, $re, '... at its place';
}
done_testing;
