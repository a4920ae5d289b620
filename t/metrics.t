#!/usr/bin/perl
# Metrics: the format, exact numbers over several workers, and that they never go down: over reloads, crashes, and a
# change of the binary.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Test::More;
use Weir;
use Weir::Metrics;

# effect: metrics metrics_json metrics_buckets metrics_exclude status_zone

sub conf
{
	my (%o) = @_;
	my $workers = $o{workers} // 2;
	my $more = $o{more} // '';
	my $buckets = $o{buckets} // '1ms 2m 1h 30d';
	return <<"E";
daemon on;
worker_processes $workers;
http {
	metrics_buckets $buckets;
	metrics_exclude \$arg_hide;
	server {
		listen 127.0.0.1:%PORT1%;
		status_zone front;
		location / { return 200 hello; }
		location /teapot { return 418; }
		location /moved { return 301 /; }
		location /broken { return 500; }
		location /shop { status_zone shop; return 200 shop;
			location /shop/off { status_zone off; return 200 off; }
			location /shop/in { return 200 in; } }
		location /seen { metrics_exclude ""; return 200 seen; }
		location /slow {	# the head is out at once
			limit_rate 1; limit_rate_after 300;
			set \$x 0123456789012345678901234567890123456789; return 200 "\$x\$x\$x\$x\$x\$x\$x\$x\$x\$x";
		}
		$more
	}
	server { listen 127.0.0.1:%PORT2%; return 200 nameless; }
	server {
		listen 127.0.0.1:%PORT3%;
		status_zone watch;
		metrics_exclude 1;
		location / { metrics; }
		location /json { metrics_json; }
		location /stub { stub_status; }
		location /closed { deny all; metrics; }
	}
}
E
}

my $w = Weir->new;

sub get3
{
	my ($uri, @headers) = @_;
	return $w->request('GET', $uri, \@headers, undef, port => 3);
}

sub metrics
{
	my $r = get3('/');
	my $m = Weir::Metrics->parse($r ? $r->body : '');
	is_deeply [ $m->complaints ], [], 'well-formed' if $m->complaints;
	return $m;
}

# A request counts when it has ended, which may be after its answer came.
sub soon
{
	my ($want, $name, @labels) = @_;
	my $got;
	wait_for(sub { ($got = metrics()->sum($name, @labels)) >= $want });
	return $got;
}

# What goes up and down: a connection, a process counts until it is seen to have gone.
sub settles
{
	my ($name, $want, $what, @labels) = @_;
	my $got;
	wait_for(sub { ($got = metrics()->value($name, @labels) // '') eq $want });
	return is $got, $want, $what;
}

my $requests = 'weir_http_requests_total';

$w->start(conf());

{
	my $r = get3('/');
	is $r->status, 200, 'metrics';
	is $r->header('Content-Type'), 'text/plain; version=0.0.4; charset=utf-8', 'its type';
	is_deeply [ Weir::Metrics->parse($r->body)->complaints ], [], 'all as Prometheus wants it';
	$r = get3('/', 'Accept' => 'application/openmetrics-text; version=1.0.0,text/plain;q=0.5');
	is $r->header('Content-Type'), 'application/openmetrics-text; version=1.0.0; charset=utf-8', 'OpenMetrics';
	is_deeply [ Weir::Metrics->parse($r->body, openmetrics => 1)->complaints ], [], 'all as it should be';
	is $w->request('POST', '/', [], '', port => 3)->status, 405, 'nothing to post';
	is $w->request('HEAD', '/', [], undef, port => 3)->status, 200, 'HEAD';
	is get3('/closed')->status, 403, 'who may ask is said as anywhere';
	$r = get3('/json');
	is $r->header('Content-Type'), 'application/json', 'JSON';
	my $json = eval { decode_json($r->body) };
	is $json->{weir_workers}{series}[0]{value}, 2, 'which can be read';
	is $json->{weir_http_request_seconds}{type}, 'histogram', 'with types';
}

# Exact numbers, whoever answered.
{
	my $m = metrics();
	is $m->sum($requests), 0, 'nobody came, and those who watch are excluded';
	settles('weir_workers', 2, 'workers', state => 'serving');
	is $m->value('weir_workers', state => 'retiring'), 0, 'nobody retires';
	ok defined $m->value('weir_uptime_seconds'), 'uptime';
	is $m->sum('weir_build_info'), 1, 'the version';

	my $ask = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	my $sent = 0;
	$sent += length $w->http($ask) for 1 .. 40;
	is soon(40, $requests, server => 'front'), 40, 'requests of a server';
	$m = metrics();
	is $m->value('weir_http_sent_bytes_total', server => 'front'), $sent, 'bytes out';
	is $m->value('weir_http_received_bytes_total', server => 'front'), 40 * length $ask, 'bytes in';

	$w->get($_) for qw(/teapot /moved /broken /shop /shop/in /shop/off /?hide=1 /seen?hide=1);
	is $w->request('GET', '/', [], undef, port => 2)->status, 200, 'another server';
	is soon(47, $requests, server => 'front'), 47, 'more requests';
	is soon(1, $requests, server => ''), 1, 'a server without a name';
	is soon(2, 'weir_http_location_requests_total', location => 'shop'), 2, 'a location, and what is in it';
	$m = metrics();
	is $m->value($requests, server => 'front', class => '2xx', proto => 'http1'), 44, '2xx';
	is $m->sum($requests, server => 'front', class => "${_}xx"), 1, "${_}xx" for 3 .. 5;
	is $m->sum($requests, server => 'watch'), 0, 'excluded';
	is $m->value('weir_http_request_seconds_count', server => 'front'), 47, 'all were timed';
	is $m->value('weir_http_request_seconds_bucket', server => 'front', le => '120'), 47, 'with our bounds';
	is $m->value('weir_http_request_seconds_bucket', server => 'front', le => '2592000'), 47, 'the last';
	is $m->value('weir_http_location_request_seconds_count', location => 'shop'), 2, 'of a location, too';

	my ($stub) = get3('/stub')->body =~ /requests\n (\d+)/;
	is metrics()->value('weir_connections_accepted_total'), $stub + 1, 'the same as stub_status says';
}

# Nothing that a client says makes a series (S-228).
{
	my $lines = () = get3('/')->body =~ /^weir_/mg;
	for my $n (1 .. 20) {
		$w->http("GET /$n/%22%0a HTTP/1.1\r\nHost: h$n.example\r\nUser-Agent: \"}$n\r\nConnection: close\r\n\r\n");
		$w->http("M$n /x HTTP/1.1\r\nHost: h$n\r\nConnection: close\r\n\r\n");
		$w->http("nonsense $n\r\n\r\n");
	}
	is soon(47 + 60, $requests, server => 'front'), 47 + 60, 'all of it is counted';
	my $after = () = get3('/')->body =~ /^weir_/mg;
	is $after, $lines, 'and makes no new names';
	is_deeply [ metrics()->complaints ], [], 'or anything else';
}

# What is under way.
{
	my $c = $w->connect;
	my $slow = $w->connect;
	$slow->send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	ok $slow->read_until(qr/\r\n\r\n/), 'an answer has begun';
	settles('weir_http_requests_in_progress', 2, 'it, and the one who asks');
	settles('weir_connections_active', 3, 'connections');
	$_->close for $c, $slow;
	settles('weir_connections_active', 1, 'they have gone');
}

# Nothing that is counted goes down, and nothing is lost.
my $last = metrics()->counters;

sub monotonic
{
	my ($what) = @_;
	my $now = metrics()->counters;
	my @down = grep { defined $now->{$_} && $now->{$_} < $last->{$_} } keys %$last;
	my @lost = grep { !defined $now->{$_} } keys %$last;
	is_deeply \@down, [], "$what: nothing goes down";
	is_deeply \@lost, [], "$what: nothing is lost";
	$last = $now;
}

{
	my $before = metrics()->sum($requests, server => 'front');
	ok $w->reload(conf(workers => 3)), 'reload with more workers';
	monotonic('reload');
	is metrics()->sum($requests, server => 'front'), $before, 'the old workers counted';
	$w->get('/');
	is soon($before + 1, $requests, server => 'front'), $before + 1, 'and the new ones go on';
	settles('weir_workers', 3, 'workers of now', state => 'serving');
	settles('weir_workers', 0, 'and no others', state => 'retiring');
	is metrics()->value('weir_config_reloads_total', result => 'ok'), 1, 'a reload';

	# Those of a name that is gone for a while.
	ok $w->reload(conf(more => 'location /cart { status_zone cart; return 200 cart; }')), 'another zone';
	$w->get('/cart');
	is soon(1, 'weir_http_location_requests_total', location => 'cart'), 1, 'counted';
	monotonic('another zone');
	ok $w->reload(conf()), 'without it';
	is metrics()->value('weir_http_location_received_bytes_total', location => 'cart'), undef, 'not shown';
	ok $w->reload(conf(more => 'location /cart { status_zone cart; return 200 cart; }')), 'with it again';
	$w->get('/cart');
	is soon(2, 'weir_http_location_requests_total', location => 'cart'), 2, 'goes on';
	monotonic('again');
	$w->expect_alert(qr/unknown directive "nonsense"/);
	ok !$w->reload("http { nonsense; }"), 'a reload that fails';
	is metrics()->value('weir_config_reloads_total', result => 'failed'), 1, 'counted, too';
	monotonic('failure');
}

{
	my $before = metrics()->sum($requests, server => 'front');
	my @pids = $w->worker_pids;
	my $slow = $w->connect;
	$slow->send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	ok $slow->read_until(qr/\r\n\r\n/), 'somebody is being served';
	$w->expect_alert(qr/exited on signal 9/);
	kill 'KILL', @pids;
	ok $slow->eof, 'and is not any more';
	is soon(2, 'weir_worker_crashes_total'), 2, 'crashes';
	settles('weir_workers', 2, 'others have come', state => 'serving');
	monotonic('crash');
	is metrics()->sum($requests, server => 'front'), $before, 'what the dead have counted';
	settles('weir_connections_active', 1, 'what they had is gone');
	settles('weir_http_requests_in_progress', 1, 'requests, too');
}

# Other bounds are another histogram.
{
	my $before = metrics()->value('weir_http_request_seconds_count', server => 'front');
	ok $w->reload(conf(buckets => '1s')), 'other bounds';
	is metrics()->value('weir_http_request_seconds_count', server => 'front'), 0, 'it begins anew';
	ok $w->reload(conf()), 'those from before';
	is metrics()->value('weir_http_request_seconds_count', server => 'front'), $before, 'it goes on';
}

# Another binary.
{
	my $before = metrics()->sum($requests, server => 'front');
	my $old = $w->pid;
	$last = metrics()->counters;
	$w->kill('USR2');
	my $new = wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $old ? $1 : 0 });
	ok $new, 'USR2';
	monotonic('two binaries');
	settles('weir_workers', 4, 'workers of both', state => 'serving');
	$w->get('/') for 1 .. 20;
	is soon($before + 20, $requests, server => 'front'), $before + 20, 'whoever serves';
	monotonic('requests');
	$w->kill('QUIT');
	ok wait_for(sub { !Weir::alive($old) }), 'the old master goes';
	$w->adopt($new);
	monotonic('the new one alone');
	is metrics()->sum($requests, server => 'front'), $before + 20, 'what the old one has counted';
	settles('weir_workers', 2, 'workers of the new one', state => 'serving');
	ok $w->reload, 'reload';
	monotonic('reload of the new one');
}
is $w->stop, 0, 'stopped';

# All that there is, is written down.
{
	open my $f, '<', 'doc/metrics.md' or die "doc/metrics.md: $!";
	my %known = map { /^\| `(weir_\w+)` \|/ ? ($1 => 1) : () } <$f>;
	$w->start(conf());
	my %here = map { /^# TYPE (\S+)/ ? ($1 => 1) : () } split /\n/, get3('/')->body;
	is_deeply [ grep !$known{$_}, sort keys %here ], [], 'doc/metrics.md knows all of them';
	$w->stop;
}

# Nobody sees them, so nothing is counted; and without a master.
$w->start('master_process off; http { server { listen 127.0.0.1:%PORT1%; location / { return 200 x; } } }');
is $w->get('/')->status, 200, 'no metrics anywhere';
$w->stop;
$w->start('master_process off; http { server { listen 127.0.0.1:%PORT1%; location / { return 200 x; }
    location /m { metrics; } location /j { metrics_json; } } }');
$w->get('/');
my $alone = Weir::Metrics->parse($w->get('/m')->body);
is $alone->value($requests, server => '', class => '2xx', proto => 'http1'), 1, 'without a master';
is $alone->value('weir_http_request_seconds_bucket', server => '', le => '7.5'), 1, 'the usual bounds';
is $alone->value('weir_workers', state => 'serving'), 1, 'one process';
$w->stop;

# Names are what the configuration says, whatever that is.
$w->start('http { server { listen 127.0.0.1:%PORT1%; status_zone "a\\"b\\\\c{}=,\\n"; location / { metrics; } } }');
$alone = Weir::Metrics->parse($w->get('/')->body);
is_deeply [ $alone->complaints ], [], 'strange names';
is $alone->value('weir_http_sent_bytes_total', server => "a\"b\\c{}=,\n"), 0, 'come as they are';
$w->stop;

# Mistakes.
$w->expect_alert(qr/\[emerg\] .* (?:status_zone|metrics_json|metrics_buckets): /);
for ([ 'status_zone "";', 'the zone has no name' ], [ 'status_zone $host;', 'cannot have variables' ],
    [ 'status_zone a; status_zone b;', 'duplicate' ], [ 'location / { metrics; metrics_json; }', 'either' ]) {
	my ($code, $out, $err) = $w->test_conf("http { server { listen 127.0.0.1:%PORT1%; $_->[0] } }");
	isnt $code, 0, "$_->[0] is a mistake";
	like $err, qr/$_->[1]/, 'which is told';
}
for ([ '1s 1s', 'longer' ], [ '2s 1s', 'longer' ], [ '0', 'longer' ], [ '1x', 'time' ], [ join(' ', 1 .. 33), 'enough' ]) {
	my ($code, $out, $err) = $w->test_conf("http { metrics_buckets $_->[0]; }");
	isnt $code, 0, "metrics_buckets $_->[0] is a mistake";
	like $err, qr/$_->[1]/, 'which is told';
}

done_testing;
