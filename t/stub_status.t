#!/usr/bin/perl
# stub_status and its variables.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: stub_status

my $w = Weir->new;
$w->start(<<'E');
worker_processes 2;
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location /stub { stub_status;
			location /stub/in { return 200 in; } }
		location /vars { return 200 "$connections_active $connections_reading $connections_writing $connections_waiting"; }
		location /slow { limit_rate 1; return 200 "a long answer"; }
	}
	server { listen 127.0.0.1:%PORT2%; stub_status; }
}
E

my $text = qr/^Active connections: (\d+) \nserver accepts handled requests\n (\d+) (\d+) (\d+) \nReading: (\d+) Writing: (\d+) Waiting: (\d+) \n$/;

sub stub
{
	my %s;
	@s{qw(active accepts handled requests reading writing waiting)} = $w->get('/stub')->body =~ $text;
	return \%s;
}

is $w->get('/stub')->header('Content-Type'), 'text/plain', 'type';
my $s = stub();
is $s->{active}, 1, 'we alone';
is $s->{writing}, 1, 'writing to us';
is $s->{reading}, 0, 'reading nothing';
is $s->{accepts}, 2, 'second connection';
is $s->{handled}, 2, 'handled';
is $s->{requests}, 2, 'second request';

my $c = $w->connect;
$c->send("GET /vars HTTP/1.1\r\nHost: x\r\n\r\n" x 3);
$c->response for 1 .. 3;
my $n = stub();
is $n->{requests}, 6, 'requests of a connection count';
is $n->{accepts}, 4, 'the connection counts once';
is $n->{active}, 2, 'it is still there';
is $n->{waiting}, 1, 'waiting';

$c->send("GET /vars HTTP/1.1\r\n");
ok wait_for(sub { my $s = stub(); $s->{reading} == 1 && $s->{waiting} == 0 }), 'half a head: reading';
$c->send("Host: x\r\n\r\n");
is +($c->response->body =~ /^(\d+) (\d+) (\d+) (\d+)$/)[0], 1, '$connections_active';
$c->send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
ok wait_for(sub { stub()->{writing} == 2 }), 'a slow answer: writing';
is $w->get('/vars')->body, '2 0 2 0', '$connections_*';
$c->close;
ok wait_for(sub { stub()->{active} == 1 }), 'gone';

is $w->get('/stub/in')->body, 'in', 'not inherited';
is $w->request('GET', '/', [], undef, port => 2)->status, 200, 'on server level';
is $w->request('POST', '/stub', [], 'x')->status, 405, 'POST';
is $w->request('HEAD', '/stub')->body, '', 'HEAD';

# counts survive a reload; connections of the old generation are not lost
my $before = stub()->{accepts};
ok $w->reload, 'reload';
cmp_ok stub()->{accepts}, '>', $before, 'the counts go on';
is $w->stop, 0, 'stop';
done_testing;
