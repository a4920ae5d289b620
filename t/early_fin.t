#!/usr/bin/perl
# early_fin.t - S-51, S-37: a client whose end of the connection comes together with its request.

use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
$w->origin(2, sub {
	my ($c) = @_;
	my $r = $c->read_request or return;
	if ($r->{uri} eq '/quick') {
		$c->send("HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\nok");
		$c->read_all;
		return;
	}
	$c->note('left') if $c->eof;	# never answers: it waits to be let go
});
$w->start(<<'E');
worker_processes 1;
events { }
http {
	log_format short '$request_uri $status';
	access_log %DIR%/access.log short;
	server { listen 127.0.0.1:%PORT1%; location / { proxy_pass http://127.0.0.1:%PORT2%; } }
}
E

my ($worker) = $w->worker_pids;
kill STOP => $worker;
my $slow = $w->connect;
$slow->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
$slow->half_close;
my $quick = $w->connect;
$quick->send("GET /quick HTTP/1.1\r\nHost: a\r\n\r\n");
$quick->half_close;
my $begin = time;
kill CONT => $worker;

is $quick->response->body, 'ok', 'an answer that comes soon is delivered';
ok wait_for(sub { grep { m{^/slow 499} } $w->access }), 'one that does not is given up with 499';
cmp_ok time - $begin, '<', slack(3), 'in about half a second';
ok wait_for(sub { grep { /left/ } $w->origin_notes(2) }), 'and the upstream was let go';
done_testing;
