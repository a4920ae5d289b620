#!/usr/bin/perl

# Certificates that change while they are served (P-7, Q-23, QC-4).
#
# effect: ssl_certificate_watch

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
my $n = 0;

# A pair of its own name, not yet in place: its common name.
sub pair
{
	my (%opt) = @_;
	my $cn = 'cn' . ++$n;
	$w->cert($cn, cn => $cn, %opt);
	return $cn;
}
# Writes both into files that exist, whose inodes stay.
sub write_in_place
{
	my ($from, $to) = @_;
	for my $e (qw(crt key)) {
		my $text = $w->read("$from.$e");
		open my $fh, '+<', "$dir/$to.$e" or die "$to.$e: $!";
		print $fh $text;
		truncate $fh, length $text;
		close $fh;
	}
	return $from;
}
sub rename_over
{
	my ($from, $to) = @_;
	rename "$dir/$from.$_", "$dir/$to.$_" or die "rename: $!" for qw(key crt);
	return $from;
}
sub cn
{
	my (%opt) = @_;
	my $port = delete $opt{port} // 1;
	my $c = $w->connect(port => $port, tls => { %opt }) or return "none: $Weir::TLS_ERROR";
	return $c->socket->peer_certificate('cn');
}
# The new one, by eight connections in a row: by both workers.
sub serves
{
	my ($want, $what, @opt) = @_;
	my $last = '';
	my $ok = wait_for(sub {
		for (1 .. 8) {
			$last = cn(@opt);
			return 0 if $last ne $want;
		}
		return 1;
	}, 30);
	ok $ok, $what or diag "it is $last";
}

pair() for 1 .. 4;
rename_over($_->[0], $_->[1]) for ['cn1', 'file'], ['cn2', 'off'], ['cn3', 'slow'];
mkdir "$dir/$_" for qw(archive live data1);
rename "$dir/cn4.$_", "$dir/archive/$_.1" or die for qw(crt key);
symlink "../archive/$_.1", "$dir/live/$_.pem" or die for qw(crt key);
my $data = pair();
rename "$dir/$data.$_", "$dir/data1/$_" or die for qw(crt key);
symlink 'data1', "$dir/..data" or die;
$w->write('passwords', "secret\n", 0600);
rename_over(pair(pass => 'secret'), 'locked');

my $conf = <<'E2';
worker_processes 2;
http {
	ssl_certificate %DIR%/file.crt;
	ssl_certificate_key %DIR%/file.key;
	ssl_certificate_watch on;
	server { listen 127.0.0.1:%PORT1% ssl; server_name first; return 200 "$pid $ssl_session_reused"; }
	server { listen 127.0.0.1:%PORT1% ssl; server_name second; ssl_verify_client off; return 200 second; }
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name live;
		ssl_certificate %DIR%/live/crt.pem;
		ssl_certificate_key %DIR%/live/key.pem;
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name data;
		ssl_certificate %DIR%/..data/crt;
		ssl_certificate_key %DIR%/..data/key;
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name locked;
		ssl_certificate %DIR%/locked.crt;
		ssl_certificate_key %DIR%/locked.key;
		ssl_password_file %DIR%/passwords;
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name off;
		ssl_certificate_watch off;
		ssl_certificate %DIR%/off.crt;
		ssl_certificate_key %DIR%/off.key;
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name slow;
		ssl_certificate_watch 200ms;
		ssl_certificate %DIR%/slow.crt;
		ssl_certificate_key %DIR%/slow.key;
	}
}
E2
$w->start($conf);
my @workers = sort { $a <=> $b } $w->worker_pids;
is cn(), 'cn1', 'at first';

# ---- written in place ----

my $old = $w->connect(tls => { SSL_session_cache_size => 10 });
$old->send("GET / HTTP/1.1\r\nHost: first\r\n\r\n");
like $old->response->body, qr/^\d+ \.$/, 'a connection';
$w->s_client('first', '-tls1_3', '-sess_out', "$dir/session");
write_in_place(pair(), 'file');
serves "cn$n", 'written in place';
serves "cn$n", '... for whatever server uses it', SSL_hostname => 'second';
$w->log_like(qr/\[notice\] .*certificate ".*file\.crt" has changed, the new one is served/, '... the log tells of it');
is_deeply [sort { $a <=> $b } $w->worker_pids], \@workers, '... by the same workers';
$old->send("GET / HTTP/1.1\r\nHost: first\r\n\r\n");
like $old->response->body, qr/^\d+ \.$/, '... the old connection goes on';
is $old->socket->peer_certificate('cn'), 'cn1', '... with what it began with';
like $w->s_client('first', '-tls1_3', '-sess_in', "$dir/session"), qr/Reused, TLS/, '... and so do sessions';

# ---- renamed over, with a key of another kind, and back ----

rename_over(pair(key => 'RSA:2048'), 'file');
serves "cn$n", 'renamed over, another kind of key';
like cn(SSL_version => 'TLSv1_2', SSL_cipher_list => 'aECDSA'), qr/^none/, '... and the old kind is there no more';
is cn(SSL_version => 'TLSv1_2', SSL_cipher_list => 'aRSA+ECDHE'), "cn$n", '... in TLSv1.2 either';
rename_over(pair(), 'file');
serves "cn$n", '... and back';
like cn(SSL_version => 'TLSv1_2', SSL_cipher_list => 'aRSA+ECDHE'), qr/^none/, '... wholly';

# ---- links ----

my $new = pair();
for my $e (qw(crt key)) {
	rename "$dir/$new.$e", "$dir/archive/$e.2" or die;
	symlink "../archive/$e.2", "$dir/live/$e.new" or die;
	rename "$dir/live/$e.new", "$dir/live/$e.pem" or die;
}
serves $new, 'links that lead to other files, as certbot makes them', SSL_hostname => 'live';
$new = pair();
mkdir "$dir/data2" or die;
rename "$dir/$new.$_", "$dir/data2/$_" or die for qw(crt key);
symlink 'data2', "$dir/..new" or die;
rename "$dir/..new", "$dir/..data" or die;
serves $new, 'a link to another folder, as Kubernetes makes it', SSL_hostname => 'data';
$new = pair();
rename "$dir/$new.$_", "$dir/data2/$_" or die for qw(crt key);
serves $new, '... and the folder is watched from now on', SSL_hostname => 'data';

# ---- keys with passwords, intervals, off ----

rename_over(pair(pass => 'secret'), 'locked');
serves "cn$n", 'a key with a password', SSL_hostname => 'locked';
rename_over(pair(), 'slow');
serves "cn$n", 'an interval', SSL_hostname => 'slow';
{
	rename_over(pair(), 'off');
	my $other = rename_over(pair(), 'file');
	serves $other, 'another that changes later';
	is cn(SSL_hostname => 'off'), 'cn2', 'off: nobody looks';
}

# ---- what must not be served ----

my $good = "cn$n";
sub refused
{
	my ($what, $re) = @_;
	ok wait_for(sub { $w->log_text =~ /certificate ".*file\.crt" has changed, but the old one stays: $re/ }, 30), "$what: the log tells"
	    or diag $w->log_text;
	is cn(), $good, '... and the old one stays';
}
$new = pair();
rename "$dir/$new.crt", "$dir/file.crt";
refused('a certificate without its key', qr/the key does not belong to the certificate/);
rename "$dir/$new.key", "$dir/file.key";
serves $new, '... until the key comes';
$good = $new;
my $was = $w->read('file.crt');
$w->write('file.crt', "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
refused('junk', qr/cannot load "[^"]*file\.crt" \(SSL: /);
$w->write('file.crt', '');
refused('an empty file', qr/cannot load "[^"]*file\.crt" \(SSL: [^\n]*no start line/i);
unlink "$dir/file.crt";
refused('no file', qr/cannot open "[^"]*file\.crt" \(2: No such file/);
mkdir "$dir/file.crt";
refused('a folder', qr/"[^"]*file\.crt" is no file/);
rmdir "$dir/file.crt";
rename_over(pair(end => '20210101000000Z'), 'file');
refused('an expired one', qr/it has expired/);
my $telling = () = $w->log_text =~ /it has expired/g;
is $telling, 1, '... said once';
rename_over(pair(), 'file');
serves "cn$n", 'a good one is taken after all that';
$good = "cn$n";
is_deeply [sort { $a <=> $b } $w->worker_pids], \@workers, 'still the same workers';

# ---- workers that come later ----

{
	my @old = $w->worker_pids;
	$w->expect_alert(qr/exited on signal 9/);
	kill 'KILL', @old;
	ok wait_for(sub { my @now = $w->worker_pids; @now == 2 && !grep { my $p = $_; grep $_ == $p, @old } @now }), 'workers are replaced';
	serves $good, '... by some that have the new one';
	rename_over(pair(), 'file');
	serves "cn$n", '... and get newer ones';
}
ok $w->reload, 'a reload';
serves "cn$n", '... reads the same';
rename_over(pair(), 'file');
serves "cn$n", '... and the new generation watches';
ok $w->reload($conf =~ s/watch on/watch off/r), 'no more';
rename_over(pair(), 'file');
rename_over(pair(), 'slow');
serves "cn$n", '... an interval is still one', SSL_hostname => 'slow';
isnt cn(), 'cn' . ($n - 1), '... the other is not watched any more';
is $w->stop, 0, 'stop';

# ---- one process ----

{
	my $s = Weir->new;
	$s->cert('s', cn => 'one');
	$s->start("master_process off; http { server { listen 127.0.0.1:%PORT1% ssl; ssl_certificate_watch on;\n" .
	    "ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key; } }");
	$s->cert('t', cn => 'two');
	rename $s->dir . "/t.$_", $s->dir . "/s.$_" for qw(key crt);
	ok wait_for(sub { my $c = $s->connect(tls => {}); $c && $c->socket->peer_certificate('cn') eq 'two' }, 30), 'master_process off';
	$s->stop;
}

# ssl_key_permissions strict holds for what comes later, too.
{
	my $s = Weir->new;
	$s->cert($_) for qw(s one two);
	$s->start("http { ssl_key_permissions strict; server { listen 127.0.0.1:%PORT1% ssl; ssl_certificate_watch 100ms;\n" .
	    "ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key; } }");
	my $name = sub { my $c = $s->connect(tls => {}); return $c && $c->socket->peer_certificate('cn') };
	chmod 0640, $s->dir . '/one.key';
	rename $s->dir . "/one.$_", $s->dir . "/s.$_" for qw(key crt);
	$s->log_like(qr/certificate ".*s\.crt" has changed, but the old one stays: others than its owner can read the key/, 'strict');
	is $name->(), 's', '... the old one stays';
	rename $s->dir . "/two.$_", $s->dir . "/s.$_" for qw(key crt);
	ok wait_for(sub { $name->() eq 'two' }, 30), '... until a key is private';
	$s->stop;
}

# ---- mistakes ----

my $t = Weir->new;
$t->expect_alert(qr/\[emerg\]/);
$t->cert('s');
for (['50ms', qr/4:\d+: ssl_certificate_watch: an interval is at least 100 ms/], ['maybe', qr/4:\d+: ssl_certificate_watch: /],
    ['on on', qr/4:\d+: ssl_certificate_watch: /]) {
	my ($text, $re) = @$_;
	my ($code, $out, $err) = $t->test_conf("http {\nserver { listen 127.0.0.1:%PORT1% ssl;\nssl_certificate %DIR%/s.crt; " .
	    "ssl_certificate_key %DIR%/s.key;\nssl_certificate_watch $text;\n}\n}\n");
	is $code, 1, "$text is refused";
	like $err, $re, '... at its place';
}
done_testing;
