#!/usr/bin/env perl
# chromium.t - a browser loads a page: HTTP/2, and a key exchange that quantum computers do not break (Q-38, P-6).

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use POSIX ();
use Weir;

# effect: http2 pqc_policy

my ($chromium) = grep -x, map "$_/chromium", '/usr/bin', '/usr/local/bin';
plan skip_all => 'needs chromium' unless $chromium;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'weir.example', san => 'DNS:weir.example');
$w->write('www/index.html', '<!DOCTYPE html><title>t</title><link rel=stylesheet href=style.css><p id=p>the page</p>' .
    '<img src=dot.svg><script src=script.js></script>');
$w->write('www/style.css', 'p { color: red }');
$w->write('www/dot.svg', '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>');
$w->write('www/script.js', 'document.getElementById("p").textContent = "the script ran";');
$w->start(<<'E');
http {
	types { text/html html; text/css css; image/svg+xml svg; text/javascript js; }
	access_log %DIR%/access.log json;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	http2 on;
	pqc_policy require;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name weir.example;
		root %DIR%/www;
		location = /favicon.ico { return 204; }
	}
}
E

# What the page has become.  Nothing else is asked, and no other address.
sub load
{
	my ($uri) = @_;
	my @cmd = ($chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
	    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions',
	    '--disable-default-apps', '--disable-breakpad', '--no-proxy-server', '--mute-audio', '--password-store=basic',
	    '--ignore-certificate-errors', '--host-resolver-rules=MAP weir.example 127.0.0.1, MAP * ~NOTFOUND',
	    "--user-data-dir=$dir/profile", '--dump-dom', $uri);
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		setpgrp;
		%ENV = (PATH => $ENV{PATH}, HOME => $dir, TMPDIR => $dir, XDG_RUNTIME_DIR => $dir, DBUS_SESSION_BUS_ADDRESS => 'disabled:');
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/dom";
		open STDERR, '>', "$dir/chromium.err";
		exec @cmd or POSIX::_exit(127);
	}
	my $ended = wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 120);
	CORE::kill('KILL', -$pid);		# its children, and itself when it hangs
	waitpid $pid, 0 unless $ended;
	return $w->read('dom') // '';
}

my $dom = load('https://weir.example:' . $w->port(1) . '/index.html');
like $dom, qr/the script ran/, 'Chromium loads a page with what belongs to it'
    or diag substr($w->read('chromium.err') // '', -2000), $w->log_text;
my @asked;
ok wait_for(sub {
	@asked = grep m{"uri":"/(?:index\.html|style\.css|dot\.svg|script\.js)".*\}$}, $w->log_lines('access.log');
	return @asked >= 4;
}), 'four files' or diag "@asked";
is scalar(grep !/"protocol":"HTTP\/2\.0"/, @asked), 0, '... all over HTTP/2' or diag "@asked";
is scalar(grep !/"ssl_curve":"X25519MLKEM768"/, @asked), 0, '... all with X25519MLKEM768' or diag "@asked";
is scalar(grep !/"status":200\b/, @asked), 0, '... all with 200' or diag "@asked";
is $w->stop, 0, 'stop';
done_testing;
