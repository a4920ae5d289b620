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

my $asked = 0;		# each by a connection of its own
sub stub
{
	my %s;
	$asked++;
	@s{qw(active accepts handled requests reading writing waiting)} = $w->get('/stub')->body =~ $text;
	return \%s;
}

is $w->get('/stub')->header('Content-Type'), 'text/plain', 'type';
my $s;
ok wait_for(sub { $s = stub(); $s->{active} == 1 }), 'we alone, when the last one is gone';
is $s->{writing}, 1, 'writing to us';
is $s->{reading}, 0, 'reading nothing';
is $s->{accepts}, $asked + 1, 'one more connection';
is $s->{handled}, $asked + 1, 'handled';
is $s->{requests}, $asked + 1, 'one more request';

my $c = $w->connect;
$c->send("GET /vars HTTP/1.1\r\nHost: x\r\n\r\n" x 3);
$c->response for 1 .. 3;
my $n;
ok wait_for(sub { $n = stub(); $n->{active} == 2 }), 'it is still there';
is $n->{requests}, $asked + 4, 'requests of a connection count';
is $n->{accepts}, $asked + 2, 'the connection counts once';
is $n->{waiting}, 1, 'waiting';

$c->send("GET /vars HTTP/1.1\r\n");
ok wait_for(sub { my $s = stub(); $s->{reading} == 1 && $s->{waiting} == 0 }), 'half a head: reading';
$c->send("Host: x\r\n\r\n");
like $c->response->body, qr/^[12] 0 [12] 0$/, '$connections_*';	# the last asker may be there yet
$c->send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
ok wait_for(sub { stub()->{writing} == 2 }), 'a slow answer: writing';
ok wait_for(sub { $w->get('/vars')->body eq '2 0 2 0' }), '$connections_*';
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
