#!/usr/bin/env perl
# api_upstreams.t - servers of upstream groups come, go and change while requests are under way.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use JSON::PP;
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: api drain_timeout

my $w = Weir->new;
my $json = JSON::PP->new;

for my $n (2 .. 6) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			if ($q->{uri} =~ m{/hang}) {
				$c->note('hangs');
				wait_for(sub { -e $w->dir . '/go' });
			}
			$c->send("HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\n$n");
		}
	});
}

sub conf
{
	my ($more, $drain) = (@_, '', '');
	return <<"CONF";
worker_processes 3;
error_log %LOG% notice;
http {
	access_log off;
	upstream rr { zone a 1m; $drain server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3% weight=2; $more
		sticky route \$arg_r; }
	upstream least { zone a; least_conn; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3% backup; }
	upstream hash { zone a; hash \$arg_k; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	upstream ring { zone a; hash \$arg_k consistent; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	upstream ip { zone a; ip_hash; server 127.0.0.1:%PORT2%; }
	upstream random { zone a; random; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	upstream two { zone a; random two; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	upstream tiny { zone tiny 64k; server 127.0.0.1:%PORT2%; }
	upstream load { zone b 512k; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	upstream alone { server 127.0.0.1:%PORT2%; }
	server {
		listen 127.0.0.1:%PORT1%;
		server_name front.test;
		location ~ ^/to/(?<group>\\w+) { proxy_pass http://\$group; }
		location /api { api write=on; allow 127.0.0.1; deny all; }
		location /look/ { api; }
		location /off/ { api write=off; location /off/below { return 200 below; } }
	}
}
CONF
}

sub start_conf { my $c = conf(@_); my $log = $w->log_path; $c =~ s/%LOG%/$log/; $c }
my $long_drain = 'drain_timeout 1h;';
$w->start(start_conf('', $long_drain));

sub call
{
	my ($method, $path, $body, @h) = @_;
	my @type = defined $body ? ('Content-Type' => 'application/json') : ();
	my $r = $w->request($method, "/api/9/http/upstreams$path", [@type, @h], ref $body ? $json->encode($body) : $body);
	# a worker that a reload has just retired says so
	return call(@_) if $r->status == 503 && $r->body =~ /UpstreamBusy/ && $r->header('Retry-After');
	return ($r->status, eval { $json->decode($r->body) });
}

# "status code" of a request that is refused, or "status".
sub says
{
	my ($status, $j) = call(@_);
	return ref $j eq 'HASH' && $j->{error} ? "$status $j->{error}{code}" : $status;
}

sub addr { '127.0.0.1:' . $w->port($_[0]) }
sub add { my ($g, $n, %more) = @_; my ($s, $j) = call('POST', "/$g/servers/", { server => addr($n), %more }); is $s, 201, "$g gets server $n"; $j->{id} }
sub who { my ($g, $n, $args) = @_; join '', map $w->get("/to/$g" . ($args // '?k=') . $_)->body, 1 .. $n }
sub sorted { join '', sort split //, $_[0] }
sub count { my ($text, $c) = @_; scalar(() = $text =~ /$c/g) }
sub servers { my ($s, $j) = call('GET', "/$_[0]/servers"); [map "$_->{id}:" . ($_->{server} =~ s/.*:// ? $_->{server} - 0 : ''), @$j] }
sub peer { my ($g, $id) = @_; my ($s, $j) = call('GET', "/$g"); (grep $_->{id} == $id, @{ $j->{peers} })[0] }

subtest 'what is shown' => sub {
	is $w->get('/api/')->body, "[1,2,3,4,5,6,7,8,9]\n", 'versions';
	is $w->get('/api')->body, "[1,2,3,4,5,6,7,8,9]\n", 'without a slash, too';
	is $w->get('/api/3/')->body, "[\"http\",\"stream\"]\n";
	is $w->get('/api/3/http')->body, "[\"upstreams\"]\n";
	my ($status, $all) = call('GET', '/');
	is $status, 200;
	is_deeply [sort keys %$all], [qw(hash ip least load random ring rr tiny two)], 'groups with a zone';
	is $all->{rr}{zone}, 'a';
	my ($p) = @{ $all->{rr}{peers} };
	is_deeply $p, { id => 0, server => addr(2), name => addr(2), backup => JSON::PP::false, weight => 1, state => 'up',
		active => 0, requests => 0, fails => 0, unavail => 0 };
	my (undef, $conf) = call('GET', '/least/servers/1');
	is_deeply $conf, { id => 1, server => addr(3), weight => 1, max_conns => 0, max_fails => 1, fail_timeout => '10s',
		slow_start => '0s', route => '', backup => JSON::PP::true, down => JSON::PP::false };
	my $r = $w->get('/api/1/http/upstreams/');
	is $r->header('Content-Type'), 'application/json';
	is $r->header('Cache-Control'), 'no-store';
	is $w->request('HEAD', '/api/1/http/upstreams/')->status, 200;
};

subtest 'what is not there' => sub {
	is says('GET', '/nobody'), '404 UpstreamNotFound';
	is says('GET', '/alone'), '400 UpstreamStatic';
	is says('GET', '/rr/servers/9'), '404 UpstreamServerNotFound';
	is says('GET', '/rr/servers/x'), '400 UpstreamBadServerId';
	is says('GET', '/rr/servers/99999999999999999999'), '400 UpstreamBadServerId';
	is says('GET', '/rr/peers'), '404 PathNotFound';
	is says('GET', '/rr/servers/0/more'), '404 PathNotFound';
	is $w->get('/api/10/http')->status, 404;
	my $e = $json->decode($w->get('/api/10/http')->body);
	is $e->{error}{code}, 'UnknownVersion';
	is $e->{error}{status}, 404;
	like $e->{request_id}, qr/^[0-9a-f]{32}$/;
	is says('PUT', '/rr/servers/0'), '405 MethodDisabled';
	is says('DELETE', '/rr'), '405 MethodDisabled';
	for my $place ('look', 'off') {
		my $r = $w->request('DELETE', "/$place/1/http/upstreams/rr/servers/0");
		is $r->status, 405, "/$place/ does not write";
		is $r->header('Allow'), 'GET, HEAD';
		is $w->get("/$place/1/http/upstreams/rr/servers/0")->status, 200, 'but tells';
	}
	is $w->get('/off/below')->body, 'below', 'not inherited';
	is $w->request('PUT', '/api/1/http/upstreams/rr/servers/0')->header('Allow'), 'GET, HEAD, PATCH, DELETE';
};

subtest 'what is refused' => sub {
	my $too_long = 'x' x 33;
	my @bad = (
		['{', '415 JsonError'], ['{"server":"1.2.3.4:80"} x', '415 JsonError'], ["\xff", '415 JsonError'],
		['{"server":"1.2.3.4:80","server":"1.2.3.4:81"}', '415 JsonError'],
		['[' x 60000, '415 JsonError'],
		['[]', '400 UpstreamConfFormatError'], ['{}', '400 UpstreamConfFormatError'],
		['{"server":["1.2.3.4:80"]}', '400 UpstreamConfFormatError'],
		['{"server":"1.2.3.4:80","host":"x"}', '400 UpstreamConfFormatError'],
		['{"server":"1.2.3.4:80","id":3}', '400 UpstreamConfFormatError'],
		['{"server":"1.2.3.4:80","down":1}', '400 UpstreamConfFormatError'],
		['{"server":"1.2.3.4:80;"}', '400 UpstreamBadAddress'], ['{"server":"a b"}', '400 UpstreamBadAddress'],
		['{"server":"1.2.3.4:99999"}', '400 UpstreamBadAddress'], ['{"server":"*:80"}', '400 UpstreamBadAddress'],
		['{"server":"name.test:80"}', '400 UpstreamBadAddress'], ['{"server":"unix:"}', '400 UpstreamBadAddress'],
		['{"server":"' . 'a' x 200 . '"}', '400 UpstreamBadAddress'],
		['{"server":"1.2.3.4:80","weight":0}', '400 UpstreamBadWeight'],
		['{"server":"1.2.3.4:80","weight":"2"}', '400 UpstreamBadWeight'],
		['{"server":"1.2.3.4:80","weight":65536}', '400 UpstreamBadWeight'],
		['{"server":"1.2.3.4:80","max_conns":-1}', '400 UpstreamBadMaxConns'],
		['{"server":"1.2.3.4:80","max_fails":1.5}', '400 UpstreamBadMaxFails'],
		['{"server":"1.2.3.4:80","fail_timeout":"soon"}', '400 UpstreamBadFailTimeout'],
		['{"server":"1.2.3.4:80","slow_start":true}', '400 UpstreamBadSlowStart'],
		["{\"server\":\"1.2.3.4:80\",\"route\":\"$too_long\"}", '400 UpstreamBadRoute'],
		['{"server":"1.2.3.4:80","route":"a;b"}', '400 UpstreamBadRoute'],
	);
	is says('POST', '/rr/servers/', $_->[0]), $_->[1], substr $_->[0], 0, 60 for @bad;
	is says('POST', '/hash/servers/', { server => '1.2.3.4:80', slow_start => '1s' }), '400 UpstreamBadSlowStart', 'fixed weights';
	is says('POST', '/hash/servers/', { server => '1.2.3.4:80', backup => JSON::PP::true }), '400 UpstreamNoBackup';
	is says('POST', '/rr/servers/', '{"server":"1.2.3.4:80"' . ' ' x 70000 . '}'), '413 BodyTooLarge';
	my $c = $w->connect;
	$c->send("POST /api/1/http/upstreams/rr/servers/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" .
	    "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" . sprintf("%x\r\n%s\r\n0\r\n\r\n", 70000, ' ' x 70000));
	is $c->response->status, 413, 'however it comes';
	my $r = $w->request('POST', '/api/1/http/upstreams/rr/servers/', ['Content-Type' => 'text/plain'], '{"server":"1.2.3.4:80"}');
	is $r->status, 415, 'a form can say text/plain';
	is_deeply servers('rr'), ['0:' . $w->port(2), '1:' . $w->port(3)], 'nothing has come of all that';
};

subtest 'other sites' => sub {
	my $body = { weight => 1 };
	my $port = $w->port(1);
	is says('PATCH', '/rr/servers/0', $body, 'Sec-Fetch-Site' => 'cross-site'), '403 CrossSite';
	is says('PATCH', '/rr/servers/0', $body, 'Sec-Fetch-Site' => 'same-site'), '403 CrossSite';
	is says('PATCH', '/rr/servers/0', $body, 'Sec-Fetch-Site' => 'same-origin'), 200;
	is says('PATCH', '/rr/servers/0', $body, Origin => 'http://evil.test'), '403 CrossSite';
	is says('PATCH', '/rr/servers/0', $body, Origin => 'null'), '403 CrossSite';
	is says('PATCH', '/rr/servers/0', $body, Host => "evil.test:$port", Origin => "http://evil.test:$port"), '403 CrossSite',
	    'rebinding: a name that is not ours';
	is says('PATCH', '/rr/servers/0', $body, Host => "front.test:$port", Origin => "http://front.test:$port"), 200, 'our name';
	is says('PATCH', '/rr/servers/0', $body, Host => "127.0.0.1:$port", Origin => "http://127.0.0.1:$port"), 200, 'our address';
	is says('PATCH', '/rr/servers/0', $body, Host => "127.0.0.1:$port", Origin => "http://127.0.0.1:1"), '403 CrossSite', 'another port';
	is says('DELETE', '/rr/servers/0', undef, Origin => 'http://evil.test'), '403 CrossSite';
};

subtest 'turns' => sub {
	is sorted(who('rr', 12)), '2222' . '3333' x 2;
	my $id = add('rr', 4, weight => 3);
	is $id, 2;
	is sorted(who('rr', 12)), '22' . '3333' . '444444', 'all workers know it';
	is peer('rr', $id)->{requests}, 6;
	is says('PATCH', "/rr/servers/$id", { weight => 1 }), 200;
	is sorted(who('rr', 8)), '22' . '3333' . '44', 'another weight';
	my ($status, $j) = call('DELETE', '/rr/servers/1');
	is $status, 200;
	is_deeply [map $_->{id}, @$j], [0, 2], 'who is left is told';
	is sorted(who('rr', 8)), '2222' . '4444';
	is says('DELETE', '/rr/servers/1'), '404 UpstreamServerNotFound', 'it is gone';
	is says('PATCH', '/rr/servers/1', { down => JSON::PP::true }), '404 UpstreamServerNotFound';
	is says('PATCH', '/rr/servers/0', { down => JSON::PP::true }), 200;
	is peer('rr', 0)->{state}, 'down';
	is who('rr', 4), '4444', 'down';
	is says('PATCH', '/rr/servers/0', { down => JSON::PP::false }), 200;
	is sorted(who('rr', 4)), '2244', 'and not any more';
	is says('PATCH', '/rr/servers/2', { id => 2, server => addr(4), route => '', backup => JSON::PP::false, weight => 2 }), 200,
	    'what stays as it is may be said';
	is says('PATCH', '/rr/servers/2', { server => addr(5) }), '400 UpstreamServerImmutable';
	is says('PATCH', '/rr/servers/2', { route => 'x' }), '400 UpstreamServerImmutable';
	is says('PATCH', '/rr/servers/2', { backup => JSON::PP::true }), '400 UpstreamServerImmutable';
	$id = add('rr', 3, weight => 2, backup => JSON::PP::true);
	is $id, 3, 'numbers are not given twice';
	is count(who('rr', 6), 3), 0, 'a backup waits';
	is says('DELETE', "/rr/servers/$_"), 200 for 0, 2;
	is who('rr', 3), '333', 'until nobody else is there';
	is says('DELETE', '/rr/servers/3'), 200;
	is $w->get('/to/rr')->status, 502, 'nobody is there';
	$w->log_like(qr/there are no servers/, 'and the log tells so');
	$w->log_like(qr/somebody added server 2 to upstream rr: 127\.0\.0\.1:\d+ weight=3, client: 127\.0\.0\.1/, 'who did what');
	$w->log_like(qr/changed server 2 of upstream rr: \S+; it was: \S+ weight=3,/, 'before and after');
	$w->log_like(qr/removed server 1 from upstream rr: 127\.0\.0\.1:\d+ weight=2,/);
};

subtest 'routes, and draining' => sub {
	my $a = add('rr', 2, route => 'a');
	my $b = add('rr', 3, route => 'b');
	my $b2 = add('rr', 4, route => 'b');
	is who('rr', 4, '?r=a&x='), '2222', 'who sticks';
	like who('rr', 6, '?r=b&x='), qr/^(333333|444444)$/, 'one of those that are alike';
	is says('PATCH', "/rr/servers/$a", { drain => JSON::PP::true }), 200;
	is peer('rr', $a)->{state}, 'draining';
	is who('rr', 3, '?r=a&x='), '222', 'those who stick still come';
	is count(who('rr', 8), 2), 0, 'others do not';
	is says('DELETE', "/rr/servers/$b"), 200;
	is who('rr', 3, '?r=b&x='), '444', 'its like takes over';
	is says('PATCH', "/rr/servers/$a", { drain => JSON::PP::false }), 200;
	is count(who('rr', 8), 2), 4, 'it has its turns again';
};

subtest 'drain_timeout' => sub {
	ok $w->reload(start_conf('server 127.0.0.1:%PORT6% route=x;', 'drain_timeout 1ms;')), 'reload';
	my ($x) = grep { $_->{server} eq addr(6) } @{ (call('GET', '/rr/servers/'))[1] };
	is says('PATCH', "/rr/servers/$x->{id}", { drain => JSON::PP::true }), 200;
	ok wait_for(sub { peer('rr', $x->{id})->{state} eq 'down' }), 'its time is over';
	is count(who('rr', 6, '?r=x&x='), 6), 0, 'nobody sticks to it any more';
};

subtest 'a reload without state' => sub {
	is_deeply servers('rr'), ['0:' . $w->port(2), '1:' . $w->port(3), '7:' . $w->port(6)], 'the configuration counts again';
	ok $w->reload(start_conf('', $long_drain)), 'reload';
	is_deeply servers('rr'), ['0:' . $w->port(2), '1:' . $w->port(3)], 'and again';
	is sorted(who('rr', 6)), '22' . '3333';
};

subtest 'balancers follow' => sub {
	# those that must spread over three; then over two
	for my $g (qw(least random two)) {
		my $id = add($g, 4);
		my $seen = who($g, 120);
		cmp_ok count($seen, 4), '>', 15, "$g: it has its part";
		is says('PATCH', "/$g/servers/0", { down => JSON::PP::true }), 200;
		is says('DELETE', "/$g/servers/0"), 200;
		is count(who($g, 60), 2), 0, "$g: not who left";
	}
	for my $g (qw(hash ring)) {
		my %was = map { $_ => $w->get("/to/$g?k=$_")->body } 1 .. 90;
		my $id = add($g, 4, weight => 2);
		my %is = map { $_ => $w->get("/to/$g?k=$_")->body } 1 .. 90;
		cmp_ok scalar(grep $_ == 4, values %is), '>', 20, "$g: keys go to who came";
		is_deeply [grep { $w->get("/to/$g?k=$_")->body ne $is{$_} } 1 .. 90], [], 'in all workers the same';
		is scalar(grep { $is{$_} != 4 && $is{$_} != $was{$_} } keys %is), 0, 'others stay where they were' if $g eq 'ring';
		is says('DELETE', "/$g/servers/$id"), 200;
		is_deeply [grep { $w->get("/to/$g?k=$_")->body ne $was{$_} } 1 .. 90], [], "$g: as before";
		is says('DELETE', "/$g/servers/$_"), 200 for 0, 1;
		is $w->get("/to/$g?k=1")->status, 502, "$g: nobody";
		add($g, 5);
		is $w->get("/to/$g?k=1")->body, 5, "$g: the first one again";
	}
	is who('ip', 2), '22';
	my $id = add('ip', 3);
	is says('DELETE', '/ip/servers/0'), 200;
	is who('ip', 4), '3333', 'ip_hash';
	is says('DELETE', "/ip/servers/$id"), 200;
	is $w->get('/to/ip')->status, 502;
	my $max = { weight => 65535 };
	is says('PATCH', '/ring/servers/3', $max), 200, 'as much as it can';
	my @heavy = map says('POST', '/ring/servers/', { server => addr(2), %$max }), 1 .. 2;
	is $heavy[1], '400 UpstreamBadWeight', 'more than consistent hashing can do';
};

subtest 'limits and times' => sub {
	my (undef, $j) = call('POST', '/least/servers/', { server => addr(5), max_conns => 1, max_fails => 7, fail_timeout => '1500ms',
		slow_start => 3600, weight => 100, down => JSON::PP::true });
	is $j->{fail_timeout}, '1500ms';
	is $j->{slow_start}, '3600s', 'a number is seconds';
	is $j->{max_fails}, 7;
	ok $j->{down}, 'it comes as down';
	is count(who('least', 8), 5), 0;
	is says('PATCH', "/least/servers/$j->{id}", { down => JSON::PP::false }), 200;
	my $seen = who('least', 40);
	cmp_ok count($seen, 5), '<', 39, 'slow start: it does not get all that its weight says';
	cmp_ok count($seen, 5), '>', 0, 'but some';
	my $c = $w->connect;
	is says('PATCH', "/least/servers/$_->{id}", { down => JSON::PP::true }), 200
	    for grep { $_->{server} ne addr(5) } @{ (call('GET', '/least/servers'))[1] };
	$c->send("GET /to/least/hang HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	ok wait_for(sub { peer('least', $j->{id})->{active} == 1 }), 'it is busy';
	is $w->get('/to/least')->status, 502, 'max_conns';
	is says('PATCH', "/least/servers/$j->{id}", { max_conns => 2 }), 200;
	is $w->get('/to/least')->body, 5, 'more of them';
	is says('DELETE', "/least/servers/$j->{id}"), 200;
	(undef, my $g) = call('GET', '/least');
	is $g->{zombies}, 1, 'who was removed is not through yet';
	$w->write('go', '');
	is $c->response->body, 5, 'what it had is finished';
	ok wait_for(sub { (call('GET', '/least'))[1]{zombies} == 0 }), 'then it is gone';
	unlink $w->dir . '/go';
};

subtest 'a full zone' => sub {
	my ($n, $said) = (0);
	while ($n < 1000 && ($said = says('POST', '/tiny/servers/', { server => addr(3) })) eq '201') { $n++ }
	is $said, '400 UpstreamOutOfMemory', "after $n servers";
	cmp_ok $n, '>', 0;
	my @all = @{ servers('tiny') };
	is says('DELETE', '/tiny/servers/' . (split /:/, $all[-1])[0]), 200;
	is says('POST', '/tiny/servers/', { server => addr(4) }), 201, 'a place that was left';
	is count(who('tiny', $n + 1), 4), 1;
};

subtest 'under load' => sub {
	my @load = map {
		my $k = $_;
		$w->background(sub {
			my ($stop) = @_;
			my %seen;
			until ($stop->()) {
				my $c = $w->connect;
				for (1 .. 20) {
					$c->send("GET /to/load HTTP/1.1\r\nHost: x\r\n\r\n") or last;
					my $r = $c->response or last;
					$seen{ $r->status == 200 ? $r->body : 'failed ' . $r->status }++;
				}
				$c->close;
			}
			return \%seen;
		})
	} 1 .. 3;
	my $until = time + 4;
	my $rounds = 0;
	while ($rounds < 30 || time < $until) {
		last if $rounds > 400;
		my (undef, $a) = call('POST', '/load/servers/', { server => addr(4 + $rounds % 3), weight => 1 + $rounds % 5 });
		my $id = $a->{id} // die "round $rounds: " . $json->encode($a);
		my @said = says('PATCH', "/load/servers/$id", { weight => 3, max_conns => 500 });
		push @said, says('PATCH', "/load/servers/$id", { drain => JSON::PP::true });
		push @said, says('DELETE', "/load/servers/$id");
		is "@said", '200 200 200', "round $rounds" if "@said" ne '200 200 200';
		if ($rounds == 10) {		# a worker dies in the middle
			my ($pid) = $w->worker_pids;
			$w->expect_alert(qr/worker process $pid exited on signal 9/);
			kill 'KILL', $pid;
		}
		if ($rounds == 20) {
			ok $w->reload, 'a reload';
		}
		$rounds++;
	}
	my %all;
	for my $seen (map $_->finish, @load) {
		$all{$_} += $seen->{$_} for keys %$seen;
	}
	diag explain \%all if grep /failed/, keys %all;
	is scalar(grep /failed/, keys %all), 0, "nothing failed in $rounds rounds";
	ok $all{$_}, "$_ was asked" for 2 .. 6;
	is_deeply servers('load'), ['0:' . $w->port(2), '1:' . $w->port(3)], 'as before';
	ok wait_for(sub {
		my $g = (call('GET', '/load'))[1];
		$g->{zombies} == 0 && !grep $_->{active}, @{ $g->{peers} };
	}), 'all that was counted was given back';
};

subtest 'with health checks and circuit breakers' => sub {
	my $v = Weir->new;
	for my $n (2, 3, 4) {
		my $status = $n == 3 ? 500 : 200;
		$v->origin($n, sub { my ($c) = @_; while ($c->read_request) { $c->send("HTTP/1.1 $status X\r\nContent-Length: 1\r\n\r\n$n") } });
	}
	$v->start(<<'CONF');
worker_processes 2;
http {
	access_log off;
	upstream checked { zone a 1m; server 127.0.0.1:%PORT2%; }
	upstream broken { zone a; circuit_breaker failures=1 open=600s; circuit_breaker_on http_500; server 127.0.0.1:%PORT2%; }
	server {
		listen 127.0.0.1:%PORT1%;
		location /checked { proxy_pass http://checked; health_check interval=100ms fails=1 mandatory; }
		location /broken { proxy_pass http://broken; }
		location /metrics { metrics; }
		location /api { api write=on; allow 127.0.0.1; deny all; }
	}
}
CONF
	my $ask = sub {
		my ($method, $path, $body) = @_;
		my $r = $v->request($method, "/api/1/http/upstreams/$path", ['Content-Type' => 'application/json'],
		    defined $body ? $json->encode($body) : undef);
		return $json->decode($r->body);
	};
	my $peer = sub { my ($g, $id) = @_; (grep $_->{id} == $id, @{ $ask->('GET', $g)->{peers} })[0] // {} };
	my $many = sub { my ($uri, $n) = @_; join '', sort map $v->get($uri)->body, 1 .. $n };
	my %id = map { $_ => $ask->('POST', 'checked/servers/', { server => '127.0.0.1:' . $v->port($_) })->{id} } 3, 4;

	ok wait_for(sub { $peer->('checked', $id{3})->{state} eq 'unhealthy' }), 'who comes is asked how it is';
	ok wait_for(sub { $peer->('checked', $id{4})->{state} eq 'up' }), 'and serves when it is well';
	my $p = $peer->('checked', $id{3});
	cmp_ok $p->{health_checks}{checks}, '>', 0;
	ok !$p->{health_checks}{last_passed};
	ok wait_for(sub { $peer->('checked', 0)->{state} eq 'up' }), 'the one that was there';
	is $many->('/checked', 6), '222444', 'the others have their turns';
	$ask->('DELETE', "checked/servers/$id{$_}") for 3, 4;
	is $many->('/checked', 3), '222';

	my $id = $ask->('POST', 'broken/servers/', { server => '127.0.0.1:' . $v->port(3) })->{id};
	is $many->('/broken', 6), '222223', 'its circuit opens';
	is $peer->('broken', $id)->{state}, 'unavail';
	$ask->('DELETE', "broken/servers/$id");
	$id = $ask->('POST', 'broken/servers/', { server => '127.0.0.1:' . $v->port(4) })->{id};
	is $many->('/broken', 6), '222444', 'who gets its place begins anew';
	unlike $v->get('/metrics')->body, qr/^weir_upstream_\w+\{[^}]*server=""/m, 'no series without a name';
	like $v->get('/metrics')->body, qr/^weir_upstream_circuit_changes_total\{upstream="broken",server="other",.*\} 1$/m, 'counted';
};

subtest 'who may write' => sub {
	my $v = Weir->new;
	$v->expect_alert(qr/\[emerg\]/);
	my $warned = qr/api: everybody who can reach this may change upstreams/;
	for my $case (
		['api write=on;', 1], ['api;', 0], ['api write=on; deny all;', 0], ['api write=on; auth_basic off;', 1],
		['api write=on; limit_except GET { deny all; }', 0],
	) {
		my ($rc, undef, $err) = $v->test_conf("http { server { listen 127.0.0.1:%PORT9%; location / { $case->[0] } } }");
		is $rc, 0;
		is $err =~ $warned ? 1 : 0, $case->[1], $case->[0];
	}
	my ($rc, undef, $err) = $v->test_conf('http { server { listen 127.0.0.1:%PORT9%; location / { api read=on; } } }');
	isnt $rc, 0;
	($rc, undef, $err) = $v->test_conf('http { upstream u { drain_timeout 0; server 127.0.0.1; } }');
	isnt $rc, 0;
};

done_testing;
