#!/usr/bin/perl
# cut.t - what is under way when the time is over ends visibly, and has its line in the log.

# effect: worker_shutdown_timeout

use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Weir;

my $long = 'x' x 3000;
my $conf = <<"E";
worker_shutdown_timeout 300ms;
events { }
http {
	log_format short '\$request_uri \$status \$upstream_addr';
	access_log %DIR%/access.log short;
	server {
		listen 127.0.0.1:%PORT1%;
		location /ws { proxy_pass http://127.0.0.1:%PORT2%; }
		location /slow { limit_rate 300; return 200 "$long"; }
	}
}
E

for my $sig (qw(QUIT TERM)) {
	my $w = Weir->new;
	$w->origin(2, sub {
		my ($c) = @_;
		$c->read_request or return;
		$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhi");
		$c->read_all;
	});
	$w->start($conf);

	my $tunnel = $w->connect;
	$tunnel->send("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
	like $tunnel->read_until(qr/\r\n\r\nhi/), qr/ 101 /, "$sig: a tunnel stands";
	my $slow = $w->connect;
	$slow->send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
	like $slow->read_until(qr/\r\n\r\nx/), qr/ 200 /, "$sig: a slow response has begun";

	$w->stop($sig);
	ok $slow->eof || $slow->was_reset, "$sig: the slow one sees an end";
	ok $tunnel->eof || $tunnel->was_reset, "$sig: and the tunnel";
	my @lines = $w->access('access.log', 2);
	is scalar(grep { m{^/ws 101 127} } @lines), 1, "$sig: the tunnel is in the log";
	is scalar(grep { m{^/slow 200} } @lines), 1, "$sig: so is the slow response";
}
done_testing;
