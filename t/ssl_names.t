#!/usr/bin/perl

# Certificates whose names have variables, and the cache of them.
#
# effect: ssl_certificate ssl_certificate_key ssl_certificate_cache

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert($_) for qw(one two three four);
$w->cert('locked', pass => 'secret');
$w->write('passwords', "secret\n", 0600);
$w->write('sub/x', '');
rename "$dir/two.$_", "$dir/sub/two.$_" or die for qw(crt key);
system('chmod', 'o+r', glob "$dir/*.key $dir/*.crt $dir/sub/*");

$w->start(<<'E');
http {
	map $ssl_server_name $which {
		mapped one;
		sub sub/two;
		locked locked;
		~^n[0-9]$ one;
		default $ssl_server_name;
	}
	ssl_password_file %DIR%/passwords;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		ssl_certificate %DIR%/$which.crt;
		ssl_certificate_key %DIR%/$which.key;
		return 200 "$server_name|$ssl_server_name|$ssl_session_reused";
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name bare;
		return 200 bare;
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name relative;
		ssl_certificate three.crt;
		ssl_certificate_key $ssl_server_name.key;
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		ssl_certificate $ssl_server_name.crt;
		ssl_certificate_key $ssl_server_name.key;
		ssl_certificate_cache max=4 inactive=60s valid=1s;
		return 200 x;
	}
	server {
		listen 127.0.0.1:%PORT3% ssl;
		ssl_certificate $ssl_server_name.crt;
		ssl_certificate_key $ssl_server_name.key;
		ssl_certificate_cache max=4 inactive=1s valid=60s;
		return 200 x;
	}
}
E

sub cn
{
	my ($name, $port) = @_;
	my $c = $w->connect(port => $port // 1, tls => { sni => $name }) or return 'none';
	return $c->socket->peer_certificate('cn');
}
sub body
{
	my ($name) = @_;
	my $c = $w->connect(tls => { sni => $name }) or return 'none';
	$c->send("GET / HTTP/1.1\r\nHost: $name\r\nConnection: close\r\n\r\n");
	return $c->response->body;
}

is cn('one'), 'one', 'by the name that is asked for';
is cn('mapped'), 'one', 'by a map';
is cn('sub'), 'two', 'in a folder';
is cn('n7'), 'one', 'by a regex in a map';
is cn('locked'), 'locked', 'with a password';
like body('one'), qr/^\|one\|/, 'and it is served';
system('cp', "$dir/one.crt", "$dir/bare.crt") == 0 && system('cp', '-p', "$dir/one.key", "$dir/bare.key") == 0 or die;
is body('bare'), 'bare', 'a server without a certificate has the default one, by its own name';
system('cp', '-p', "$dir/three.key", "$dir/relative.key") == 0 or die;
is cn('relative'), 'three', 'only the key has a variable; relative to the configuration';
is cn('nobody'), 'none', 'no such file: no handshake';
$w->log_like(qr/cannot load certificate ".*nobody\.crt" \(SSL: .*No such file/, '... and the log tells');
is cn('../one'), 'none', 'nobody climbs out';
is cn('sub/../one'), 'none', '... nor in between';
$w->log_like(qr/the name of a certificate would be ".*\.\.\/one\.crt"/, '... and the log tells');
system('cp', '-p', "$dir/one.crt", "$dir/mixed.crt") == 0 && system('cp', '-p', "$dir/three.key", "$dir/mixed.key") == 0 or die;
is cn('mixed'), 'none', "another's key";
$w->log_like(qr/cannot load certificate key ".*mixed\.key" \(SSL: .*mismatch/, '... and the log tells');

# Without a cache a new file is seen at once.
$w->cert('three', cn => 'third');
chmod 0644, "$dir/three.crt", "$dir/three.key";
is cn('three'), 'third', 'no cache: the new file';

# With one it is not, for a time; and the least used goes first.
is cn('one', 2), 'one', 'into the cache';
is cn('four', 2), 'four', 'another';
unlink "$dir/one.crt", "$dir/one.key";
is cn('one', 2), 'one', 'from the cache';
is cn('three', 2), 'third', 'one more than there is room for';
is cn('one', 2), 'one', 'the most recently used stays';
ok wait_for(sub { cn('one', 2) eq 'none' }), 'after valid the file is looked at, and it is gone';
$w->cert('three', cn => 'other third');
chmod 0644, "$dir/three.crt", "$dir/three.key";
ok wait_for(sub { cn('three', 2) eq 'other third' }), '... or another';

is cn('four', 3), 'four', 'into the other cache';
unlink "$dir/four.crt";
is cn('four', 3), 'four', 'from there';
my $until = time + 1.2;
wait_for(sub { time > $until });
is cn('four', 3), 'none', 'inactive';

# Sessions are resumed as ever.
$w->cert('again');
chmod 0644, "$dir/again.key", "$dir/again.crt";
like $w->s_client('again', '-tls1_3', '-sess_out', "$dir/sess"), qr/New, TLS/, 'a session';
like $w->s_client('again', '-tls1_3', '-sess_in', "$dir/sess"), qr/Reused, TLS/, '... is resumed';
done_testing;
