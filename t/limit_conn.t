#!/usr/bin/env perl
# limit_conn.t - how many may be served at once; every way in which that ends.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: limit_conn_zone limit_conn limit_conn_log_level limit_conn_status limit_conn_dry_run

my $w = Weir->new;

# Answers when it is told to, by a file of the name in the query.
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		if ($q->{headers}{upgrade}) {
			$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
			while (length(my $line = $c->read_until(qr/\n/))) {
				$c->send($line);
			}
			return;
		}
		my ($go) = $q->{uri} =~ /go=(\w+)/;
		$c->note("asked $go") if $go;
		wait_for(sub { !$go || -e $w->dir . "/go.$go" });
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
	}
});

sub conf
{
	my ($workers) = @_;
	return <<"E";
worker_processes $workers;
events { worker_connections 1500; }
http {
	log_format limits '\$uri \$status \$limit_conn_status';
	access_log %DIR%/access.log limits;
	limit_conn_zone \$arg_k zone=one:1m;
	limit_conn_zone \$arg_v zone=v:1m;
	limit_conn_zone \$arg_k zone=small:32k;
	limit_conn_zone \$binary_remote_addr zone=addr:1m ipv6_prefix=64;
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		location = /pid { add_header X-Pid \$pid; return 204; }
		location /one { limit_conn one 1; proxy_pass http://127.0.0.1:%PORT2%; }
		location /two { limit_conn one 2; proxy_pass http://127.0.0.1:%PORT2%; }
		location /status { limit_conn one 1; limit_conn_status 503; limit_conn_log_level warn; }
		location /dry { limit_conn one 1; limit_conn_dry_run on; }
		location /both { limit_conn v 1; limit_conn one 1; proxy_pass http://127.0.0.1:%PORT2%; }
		location /v { limit_conn v 1; }
		location /addr { limit_conn addr 1; proxy_pass http://127.0.0.1:%PORT2%; }
		location /page { limit_conn one 1; error_page 404 =200 /one?\$args; }
		location /small { limit_conn small 1; proxy_pass http://127.0.0.1:%PORT2%; }
		location /none { }
	}
}
E
}

$w->write("www/$_", 'ok') for qw(status dry v none);
$w->start(conf(2));

my $n = 0;
sub key { return 'k' . ++$n }
sub go { $w->write("go.$_[0]", 'go') }
sub status { return $w->get($_[0])->status }
# A place is given back behind the response: another worker may be asked before.
sub passes { my ($uri, $name) = @_; ok wait_for(sub { status($uri) == 200 }), $name }

# A request that is being served until go(KEY); returns its connection.
sub served
{
	my ($place, $key, $args, $c) = @_;
	$c //= $w->connect;
	$c->send("GET /$place?k=$key&go=$key" . ($args // '') . " HTTP/1.1\r\nHost: x\r\n\r\n");
	ok wait_for(sub { grep $_ eq "asked $key", $w->origin_notes(2) }), "$place: being served";
	return $c;
}

# A slot is taken, and given back at the end.
{
	my $k = key;
	my $c = served('one', $k);
	my $r = $w->get("/one?k=$k");
	is $r->status, 429, 'the second is refused';
	is $r->header('Retry-After'), 1, 'Retry-After';
	$w->log_like(qr/\[error\] .*limiting connections by zone "one", client: 127\.0\.0\.1/, 'logged as nginx does');
	is status("/one?k=" . key), 200, 'another key';
	is status('/one'), 200, 'no key';
	is status("/status?k=$k"), 503, 'limit_conn_status';
	$w->log_like(qr/\[warn\] .*limiting connections by zone "one"/, 'limit_conn_log_level');
	is status("/two?k=$k"), 200, 'there is room for two';
	is status("/dry?k=$k"), 200, 'dry run';
	$w->log_like(qr/limiting connections, dry run, by zone "one"/, 'is logged');
	go($k);
	is $c->response->status, 200, 'answered';
	passes("/one?k=$k", 'there is room again') for 1 .. 3;
	my @log = $w->access('access.log', 8);
	ok((grep $_ eq "/one 429 REJECTED", @log), '$limit_conn_status: REJECTED');
	ok((grep $_ eq "/one 200 PASSED", @log), 'PASSED');
	ok((grep $_ eq "/dry 200 REJECTED_DRY_RUN", @log), 'REJECTED_DRY_RUN');
	status('/none');
	ok wait_for(sub { grep $_ eq '/none 200 -', $w->access }), 'none';
	# On the same connection, one after the other.
	$k = key;
	$c->send("GET /one?k=$k HTTP/1.1\r\nHost: x\r\n\r\n" x 5);
	is $c->response->status, 200, 'pipelined requests are not served at once' for 1 .. 5;
}

# Several limits: what the first gave is given back when the second refuses.
{
	my $k = key;
	my $c = served('one', $k);
	is status("/both?k=$k&v=$k"), 429, 'the second refuses';
	passes("/v?v=$k", 'the first has room');
	go($k);
	$c->response;
	passes("/both?k=$k&v=$k", 'both pass') for 1 .. 2;
}

# Who leaves gives it back.
{
	my $k = key;
	my $c = served('one', $k);
	is status("/one?k=$k"), 429, 'taken';
	$c->reset;
	ok wait_for(sub { status("/status?k=$k") == 200 }), 'reset: given back';
	go($k);

	$k = key;
	# Who asks takes the place for a moment, too, and may have been there first.
	ok wait_for(sub {
		$c = $w->connect;
		$c->send("POST /one?k=$k HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
		my $taken;
		$taken = status("/status?k=$k") == 503 or select undef, undef, undef, 0.02 for 1 .. 20;
		return $taken && status("/status?k=$k") == 503 && !$c->fill(time);
	}), 'a body that is not complete: taken';
	$c->close;
	ok wait_for(sub { status("/status?k=$k") == 200 }), 'closed: given back';
}

# Internal redirects keep it, and do not ask twice.
{
	my $k = key;
	my $c = served('page', $k);
	is status("/one?k=$k"), 429, 'an error page: taken';
	is status("/two?k=$k"), 200, 'once';
	go($k);
	is $c->response->status, 200, 'answered';
	passes("/one?k=$k", 'given back');
}

# A tunnel holds it as long as it lasts.
{
	my $k = key;
	my $c = $w->connect;
	$c->send("GET /one?k=$k&tunnel HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
	like $c->read_until(qr/\r\n\r\n/), qr/ 101 /, 'a tunnel';
	$c->send("hello\n");
	is $c->read_until(qr/\n/), "hello\n", 'works';
	is status("/one?k=$k"), 429, 'taken' for 1 .. 2;
	$c->close;
	ok wait_for(sub { status("/status?k=$k") == 200 }), 'given back at its end';
	ok wait_for(sub { grep $_ eq '/one 101 PASSED', $w->access }), 'its log line knows the status';
}

# A reload: what the old workers serve still counts.
{
	my $k = key;
	my $c = served('one', $k);
	ok $w->reload, 'reload';
	is status("/one?k=$k"), 429, 'still taken';
	go($k);
	is $c->response->status, 200, 'the old worker answers';
	ok wait_for(sub { status("/status?k=$k") == 200 }), 'given back';
}

# Another binary: the same.
{
	my $k = key;
	my $c = served('one', $k);
	my $old = $w->pid;
	$w->kill('USR2');
	my $new = wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $old ? $1 : 0 });
	ok $new, 'USR2';
	$w->kill('WINCH');
	ok wait_for(sub { $w->log_text =~ /gracefully shutting down/ && status("/one?k=$k") == 429 }),
	    'the new binary knows what the old one serves';
	go($k);
	is $c->response->status, 200, 'which answers';
	ok wait_for(sub { status("/status?k=$k") == 200 }), 'given back';
	$w->kill('QUIT');
	ok wait_for(sub { !Weir::alive($old) }), 'the old master goes';
	$w->adopt($new);
}

# A worker that dies takes its counts along, and those of others stay.
sub by_worker
{
	my ($not) = @_;
	for (1 .. 200) {
		my $c = $w->connect;
		$c->send("GET /pid HTTP/1.1\r\nHost: x\r\n\r\n");
		my $pid = $c->response->header('X-Pid');
		return ($c, $pid) if $pid != $not;
	}
	die "no worker but $not answers";
}

$w->expect_alert(qr/exited on signal 9/);
for my $round (1 .. 2) {
	my ($dies, $lives) = (key, key);
	my ($c1, $pid1) = by_worker(0);
	my ($c2, $pid2) = by_worker($pid1);
	served('one', $dies, '', $c1);
	served('one', $lives, '', $c2);
	is status("/one?k=$dies"), 429, 'taken';
	is status("/one?k=$lives"), 429, 'taken by another worker';
	kill 'KILL', $pid1;
	ok wait_for(sub { $w->log_text =~ /worker process $pid1 exited on signal 9/ }), 'a worker is killed';
	ok wait_for(sub { status("/status?k=$dies") == 200 }), 'given back';
	# Each worker enters what it has when it next looks: make both look.
	ok wait_for(sub { my ($c, $p) = by_worker(0); $c->close; $p == $pid2 }), 'the other one lives';
	my ($c3) = $c2;
	ok wait_for(sub { my ($c) = by_worker(0);
		$c->send("GET /one?k=$lives HTTP/1.1\r\nHost: x\r\n\r\n");
		my $s = $c->response->status; $c->close; $s == 429 }), 'what another holds is still taken';
	# A client has its response a moment before its place is given back.
	ok wait_for(sub { status("/two?k=$lives") == 200 }), 'and once only' for 1 .. 4;
	go($lives);
	is $c3->response->status, 200, 'answered';
	ok wait_for(sub { status("/status?k=$lives") == 200 }), 'given back';
	go($dies);
	ok wait_for(sub { my @p = $w->worker_pids; @p == 2 }), 'replaced';
}

{
	my $c = served('addr', key);
	is status('/addr'), 429, 'by address';
	$c->reset;
	passes('/addr', 'by address: given back');
}
is $w->stop, 0, 'stopped';

# A zone full of keys in use refuses others, and forgets nobody.
{
	$w->start(conf(1));
	my @c;
	my $refused;
	for my $i (1 .. 700) {
		my $c = $w->connect;
		$c->send("POST /small?k=held$i HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc");
		push @c, $c;
	}
	ok wait_for(sub { status('/small?k=late') == 429 }), 'full: refused';
	$w->log_like(qr/\[warn\] .*zone "small" is full of what is in use/, 'logged');
	is status('/small?k=held7'), 429, 'who is in is known';
	is status('/none'), 200, 'others are served';
	$_->reset for @c;
	ok wait_for(sub { status('/small?k=late') == 200 }), 'room again';
	ok wait_for(sub { status('/small?k=held7') == 200 }), 'for all';
	is $w->stop, 0, 'stopped';
}

# Mistakes.
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
for (
	[ 'limit_conn none 1;', qr/:1:\d+: limit_conn: unknown zone "none": no limit_conn_zone declares it/ ],
	[ 'limit_conn_zone $uri zone=a:1m; limit_conn a;', qr/limit_conn/ ],
	[ 'limit_conn_zone $uri zone=a:1m; limit_conn a 0;', qr/:1:\d+: limit_conn: .*"0"|limit_conn: .*1/ ],
	[ 'limit_conn_zone $uri zone=a:1m; limit_conn a 65536;', qr/65535/ ],
	[ 'limit_conn_zone $uri zone=a:1m; limit_conn a 1; limit_conn a 2;', qr/it is duplicate/ ],
	[ 'limit_conn_zone $uri zone=a:1m; limit_conn_zone $host zone=a:1m;', qr/already bound to key "\$uri"/ ],
	[ 'limit_conn_zone $uri zone=a:1m rate=1r/s;', qr/invalid parameter "rate=1r\/s"/ ],
	[ 'limit_conn_zone $uri zone=a:4k;', qr/zone "a" is too small/ ],
	[ 'limit_conn_zone $uri foo;', qr/invalid parameter "foo"/ ],
	[ 'limit_conn_status 200;', qr/limit_conn_status/ ],
	[ 'limit_conn_log_level crit;', qr/limit_conn_log_level/ ],
) {
	my ($text, $like) = @$_;
	my ($code, undef, $err) = $wrong->test_conf("http { $text }");
	isnt $code, 0, "refused: $text";
	like $err, $like, 'says why';
}

done_testing;
