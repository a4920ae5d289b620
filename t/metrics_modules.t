#!/usr/bin/perl
# What modules count: limits, TLS, HTTP/2, upstreams.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Test::More;
use Weir;
use Weir::H2;
use Weir::Metrics;

my $w = Weir->new;
$w->cert('a', san => 'DNS:localhost');
my (%here, %label);

sub metrics
{
	my $r = $w->request('GET', '/', [], undef, port => 9);
	my $m = Weir::Metrics->parse($r ? $r->body : '');
	is_deeply [ $m->complaints ], [], 'well-formed' if $m->complaints;
	$here{$_} = 1 for keys %{ $m->{type} };
	for my $s (@{ $m->{samples} }) {
		$label{ $s->{family} }{$_} = 1 for keys %{ $s->{labels} };
	}
	return $m;
}

sub soon
{
	my ($want, $name, @labels) = @_;
	my $got;
	wait_for(sub { ($got = metrics()->sum($name, @labels)) >= $want });
	return $got;
}

my $show = 'server { listen 127.0.0.1:%PORT9%; metrics; metrics_exclude 1; }';

subtest 'limits' => sub {
	$w->write("www/$_", 'a long answer') for qw(few slow dry hope);
	$w->write('www/one', 'a long answer' x 100000);
	$w->start(<<"E");
worker_processes 2;
http {
	resolver 127.0.0.1:%PORT8%;	# is asked nothing: t/resolver_lies.t looks at what it counts
	limit_req_zone \$arg_k zone=few:64k rate=1r/m;
	limit_req_zone \$arg_k zone=slow:64k rate=100r/s;
	limit_req_zone \$arg_k zone=dry:64k rate=1r/m;
	limit_conn_zone \$arg_k zone=one:64k;
	limit_conn_zone \$arg_k zone=many:64k;
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		location /few { limit_req zone=few burst=1 nodelay; }
		location /slow { limit_req zone=slow burst=5; }
		location /dry { limit_req zone=dry; limit_req_dry_run on; }
		location /one { limit_conn many 10; limit_conn one 1; limit_rate 1000; }
		location /hope { limit_conn one 1; limit_conn_dry_run on; }
	}
	$show
}
E
	my $req = 'weir_limit_req_requests_total';
	my $conn = 'weir_limit_conn_requests_total';
	is metrics()->value($req, zone => 'few', result => 'passed'), 0, 'nothing yet';
	$w->get("/few?k=$_") for 1, 1, 1, 1, 2;
	$w->get('/few');			# no key, no limit
	$w->get("/dry?k=1") for 1 .. 3;
	my @c = map { my $c = $w->connect; $c->send("GET /slow?k=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); $c } 1, 2;
	$_->read_all for @c;
	my $m = metrics();
	is $m->value($req, zone => 'few', result => 'passed'), 3, 'passed';
	is $m->value($req, zone => 'few', result => 'rejected'), 2, 'rejected';
	is $m->value($req, zone => 'few', result => 'delayed'), 0, 'none delayed';
	is $m->value($req, zone => 'dry', result => 'passed'), 1, 'one passed';
	is $m->value($req, zone => 'dry', result => 'rejected_dry_run'), 2, 'others in hope';
	is $m->sum($req, zone => 'slow'), 2, 'where some wait';

	is $m->value('weir_limit_zone_keys', zone => 'few'), 2, 'keys';
	cmp_ok $m->value('weir_limit_zone_capacity', zone => 'few'), '>', 100, 'and room for more';
	is $m->value('weir_limit_zone_lost_total', zone => 'few'), 0, 'nothing was forgotten';
	$w->get("/few?k=many$_") for 1 .. 3;
	is metrics()->value('weir_limit_zone_keys', zone => 'few'), 5, 'more keys';

	my $c = $w->connect;
	$c->send("GET /one?k=1 HTTP/1.1\r\nHost: x\r\n\r\n");
	ok $c->read_until(qr/\r\n\r\n/), 'one is being served';
	is $w->get('/one?k=1')->status, 429, 'and no other';
	is $w->get('/hope?k=1')->status, 200, 'but for the one who only would have been refused';
	$m = metrics();
	is $m->value($conn, zone => 'one', result => 'passed'), 1, 'passed';
	is $m->value($conn, zone => 'many', result => 'passed'), 1, 'the other zone';
	is $m->value($conn, zone => 'one', result => 'rejected'), 1, 'rejected';
	is $m->value($conn, zone => 'one', result => 'rejected_dry_run'), 1, 'in hope';
	is $m->value($conn, zone => 'many', result => 'rejected'), 0, 'it was not this one';
	$c->close;
	$w->stop;
};

subtest 'TLS and HTTP/2' => sub {
	$w->start(<<"E");
worker_processes 2;
http {
	server {
		listen 127.0.0.1:%PORT1% ssl;
		listen 127.0.0.1:%PORT2%;
		listen 127.0.0.1:%PORT3% http2;
		http2 on;
		server_name localhost;
		ssl_certificate %DIR%/a.crt;
		ssl_certificate_key %DIR%/a.key;
		ssl_session_cache shared:s:100k;
		location / { return 200 x; }
		location /slow { limit_rate 1; return 200 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; }
		location /self { proxy_pass https://127.0.0.1:%PORT1%/; proxy_ssl_verify off; allow_insecure_upstream on;
			proxy_ssl_session_reuse off; }
		location /other { proxy_pass https://127.0.0.1:%PORT2%/; proxy_ssl_verify off; allow_insecure_upstream on; }
	}
	server {
		listen 127.0.0.1:%PORT4% ssl;
		client_header_timeout 1s;
		ssl_certificate %DIR%/a.crt;
		ssl_certificate_key %DIR%/a.key;
	}
	$show
}
E
	my $m = metrics();
	my $hands = 'weir_tls_handshakes_total';
	is $m->sum($hands), 0, 'nobody yet';
	my ($end) = `openssl x509 -in @{[ $w->dir ]}/a.crt -noout -enddate` =~ /=(.*)/;
	my $expiry = $m->value('weir_tls_certificate_expiry_timestamp_seconds', certificate => $w->dir . '/a.crt');
	chomp(my $want = `date -u -d '$end' +%s`);
	is $expiry, $want, 'the end of the certificate';
	like $w->s_client('localhost', '-tls1_3', '-groups', 'P-256'), qr/200 OK/, 'TLSv1.3';
	like $w->s_client('localhost', '-tls1_2', '-groups', 'X25519:P-256', '-no_ticket', '-sess_out', $w->dir . '/sess'), qr/200 OK/,
	    'TLSv1.2';
	like $w->s_client('localhost', '-tls1_2', '-no_ticket', '-sess_in', $w->dir . '/sess'), qr/200 OK/, 'again';
	is soon(3, $hands), 3, 'three handshakes';
	$m = metrics();
	is $m->value($hands, group => 'prime256v1', protocol => 'TLSv1.3', resumed => 'no'), 1, 'by group';
	is $m->value($hands, group => 'X25519', protocol => 'TLSv1.2', resumed => 'no'), 1, 'by version';
	is $m->sum($hands, protocol => 'TLSv1.2', resumed => 'yes'), 1, 'resumed';
	is $m->value('weir_tls_key_exchanges_total', kind => 'pqc'), 0, 'nothing for the future';
	is $w->request('GET', '/self', [], undef, port => 2)->status, 200, 'weir as its client';
	is soon(1, $hands, group => 'X25519MLKEM768', protocol => 'TLSv1.3', resumed => 'no'), 1, 'for the future';
	$m = metrics();
	is $m->value('weir_tls_key_exchanges_total', kind => 'pqc'), 1, 'counted by itself';
	is $m->value('weir_tls_upstream_key_exchanges_total', kind => 'pqc'), 1, 'from the other side';
	is $m->value('weir_tls_upstream_handshakes_total', group => 'X25519MLKEM768', protocol => 'TLSv1.3', resumed => 'no'), 1,
	    'its handshake';

	# Failures.
	is $w->request('GET', '/other', [], undef, port => 2)->status, 502, 'no TLS there';
	is soon(1, 'weir_tls_upstream_handshake_failures_total', reason => 'error'), 1, 'an upstream';
	like $w->http("GET / HTTP/1.1\r\n\r\n"), qr/400/, 'no TLS here';
	is soon(1, 'weir_tls_handshake_failures_total', reason => 'plain'), 1, 'plain';
	my $c = $w->connect(port => 4);
	ok $c->eof, 'nothing said';
	is soon(1, 'weir_tls_handshake_failures_total', reason => 'timeout'), 1, 'timeout';
	$c = $w->connect;
	$c->send("\x16\x03\x01");
	$c->close;
	is soon(1, 'weir_tls_handshake_failures_total', reason => 'closed'), 1, 'closed';
	$c = $w->connect;
	$c->send("\x16\x03\x01\x00\x05nonse");
	$c->read_all;
	is soon(1, 'weir_tls_handshake_failures_total', reason => 'error'), 1, 'error';

	# HTTP/2.
	my $h = Weir::H2->new($w->connect(port => 3));
	is $h->response($h->get('/'))->{status}, 200, 'HTTP/2';
	is soon(1, 'weir_http_connections_total', proto => 'http2', tls => 'no'), 1, 'a connection';
	is soon(1, 'weir_http_requests_total', proto => 'http2'), 1, 'a request';
	is metrics()->sum("weir_http_connections_total", tls => "yes", proto => "http1"), 4, 'others';
	my $abuse = 'weir_http2_abuse_total';
	is metrics()->sum($abuse), 0, 'nothing bad';
	my %flood = (
		ping => sub { $_[0]->frame(6, 0, 0, 'x' x 8) },
		settings => sub { $_[0]->frame(4, 0, 0, '') },
		resets => sub { my $sid = $_[0]->get('/slow'); $_[0]->rst($sid, 8) },
		window_updates => sub { $_[0]->frame(8, 0, 0, pack 'N', 1) },
	);
	for my $kind (sort keys %flood) {
		$h = Weir::H2->new($w->connect(port => 3));
		for my $n (1 .. 6000) {
			$flood{$kind}->($h) or last;
			next if $n % 50;
			while ($h->read_frame(0.001)) { }
			last if @{ $h->{goaways} } || $h->{ended};
		}
		is soon(1, $abuse, kind => $kind), 1, "$kind is counted";
	}
	is metrics()->sum($abuse), 4, 'each once';
	$h = Weir::H2->new($w->connect(port => 3));
	$h->request([ ':method' => 'GET', ':scheme' => 'http', ':path' => '/', ':authority' => 'x',
	    map { ("x-$_" => 'y' x 8000) } 1 .. 8 ]);
	ok $h->goaway, 'a large head';
	is soon(1, $abuse, kind => 'large_head'), 1, 'is counted';
	$w->stop;
};

subtest 'certificates that change' => sub {
	$w->cert('b', san => 'DNS:localhost');
	$w->start("http { $show server { listen 127.0.0.1:%PORT1% ssl; ssl_certificate_watch on;\n" .
	    "ssl_certificate %DIR%/b.crt; ssl_certificate_key %DIR%/b.key; location / { return 200 x; } } }");
	my $name = 'weir_tls_certificate_expiry_timestamp_seconds';
	my $first = metrics()->sum($name);
	ok $first > time, 'a certificate';
	my $key = $w->read('b.key');
	$w->cert('new', san => 'DNS:localhost');
	$w->write('b.crt', $w->read('new.crt'));
	is soon(1, 'weir_tls_certificate_changes_total', result => 'refused'), 1, 'one that does not fit';
	$w->write('b.key', $w->read('new.key'), 0600);
	is soon(1, 'weir_tls_certificate_changes_total', result => 'served'), 1, 'a new one';
	ok wait_for(sub { metrics()->sum($name) >= $first }), 'with its own end';
	$w->stop;
};

subtest 'upstreams' => sub {
	$w->origin(20, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			if ($q->{uri} =~ /hang/) {
				$c->read_all;
				return;
			}
			my $status = $q->{uri} =~ m{/(\d+)} ? $1 : 200;
			$c->send("HTTP/1.1 $status X\r\nContent-Length: 2\r\n\r\nok");
		}
	});
	$w->start(<<"E");
worker_processes 2;
http {
	upstream app { server 127.0.0.1:%PORT20%; }
	upstream two { zone two 128k; server 127.0.0.1:%PORT20%; server 127.0.0.1:%PORT21% max_fails=1 fail_timeout=1h; circuit_breaker failures=1; }
	upstream checked { zone two; server 127.0.0.1:%PORT20%; health_check type=tcp; }
	upstream gone { server 127.0.0.1:%PORT21% down; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://app; proxy_read_timeout 30; }
		location /hang { proxy_pass http://app; proxy_read_timeout 1; }
		location /two/ { proxy_pass http://two/; }
		location /gone { proxy_pass http://gone; }
		location /plain { proxy_pass http://127.0.0.1:%PORT20%/; }
		location /by/ { set \$who 127.0.0.1:%PORT20%; proxy_pass http://\$who/; }
	}
	$show
}
E
	my $rsp = 'weir_upstream_responses_total';
	my $failed = 'weir_upstream_failures_total';
	my $app = '127.0.0.1:' . $w->port(20);
	is metrics()->value($rsp, upstream => 'app', class => '2xx'), 0, 'nothing yet';
	is metrics()->value('weir_upstream_response_seconds_count', upstream => 'other'), undef, 'and nobody else';
	$w->get($_) for qw(/ /a /b /404 /503 /plain);
	is soon(3, $rsp, upstream => 'app', class => '2xx'), 3, '2xx';
	is soon(1, $rsp, upstream => 'app', class => '4xx'), 1, '4xx';
	is soon(1, $rsp, upstream => 'app', class => '5xx'), 1, '5xx';
	is soon(1, $rsp, upstream => $app, class => '2xx'), 1, 'one without a name';
	is soon(5, 'weir_upstream_response_seconds_count', upstream => 'app'), 5, 'times';
	cmp_ok soon(5 * 30, 'weir_upstream_received_bytes_total', upstream => 'app'), '>=', 5 * 30, 'bytes';
	cmp_ok soon(5 * 30, 'weir_upstream_sent_bytes_total', upstream => 'app'), '>=', 5 * 30, 'bytes';
	is metrics()->sum('weir_upstream_failures_total'), 0, 'no failures';

	my $c = $w->connect;
	$c->send("GET /x/hang HTTP/1.1\r\nHost: x\r\n\r\n");
	is soon(1, 'weir_upstream_requests_in_progress', upstream => 'app'), 1, 'it works on one';
	$c->close;
	ok wait_for(sub { metrics()->value('weir_upstream_requests_in_progress', upstream => 'app') == 0 }), 'not any more';
	is metrics()->sum($failed), 0, 'the client left';

	is $w->get('/hang')->status, 504, 'a timeout';
	is $w->get('/gone')->status, 502, 'nobody to ask';
	$w->get('/two/') for 1 .. 2;
	is soon(2, $rsp, upstream => 'two', class => '2xx'), 2, 'two answers';
	my $m = metrics();
	is $m->value($failed, upstream => 'app', reason => 'timeout'), 1, 'timeout';
	is $m->value($failed, upstream => 'gone', reason => 'no_server'), 1, 'no server';
	is $m->value($failed, upstream => 'two', reason => 'error'), 1, 'one of two';
	is $m->value('weir_upstream_retries_total', upstream => 'two'), 1, 'the other was asked';
	is $m->value('weir_upstream_server_up', upstream => 'two', server => $app), 1, 'which is up';
	is $m->value('weir_upstream_server_up', upstream => 'two', server => '127.0.0.1:' . $w->port(21)), 0, 'the first is not';
	ok wait_for(sub { metrics()->value('weir_upstream_server_checks_total', upstream => 'checked', server => $app) }), 'checks';
	my $dead = '127.0.0.1:' . $w->port(21);
	is $m->value('weir_upstream_circuit_state', upstream => 'two', server => $dead), 2, 'its circuit is open';
	is $m->value('weir_upstream_circuit_changes_total', upstream => 'two', server => $dead, to => 'open'), 1, 'since once';
	ok wait_for(sub { metrics()->value('weir_upstream_server_connections', upstream => 'two', server => $app) == 0 }),
	    'connections';
	is $w->get('/by/')->status, 200, 'by a variable';
	is soon(1, $rsp, upstream => 'other', class => '2xx'), 1, 'other';
	$w->stop;
};

subtest 'connections' => sub {
	$w->expect_alert(qr/worker_connections are not enough/);
	$w->start("events { worker_connections 3; }\nworker_processes 1;\nhttp { $show server { listen 127.0.0.1:%PORT1%; } }");
	is metrics()->sum('weir_accept_pauses_total'), 0, 'room';
	my @c = map { $w->connect } 1 .. 4;
	ok $w->wait_log(qr/worker_connections are not enough/), 'no room';
	$_->close for @c;
	ok soon(1, 'weir_accept_pauses_total', reason => 'worker_connections') >= 1, 'counted';
	$w->stop;
};

{
	open my $f, '<', 'doc/metrics.md' or die "doc/metrics.md: $!";
	my %known = map { /^\| `(weir_\w+)` \|/ ? ($1 => 1) : () } <$f>;
	is_deeply [ grep !$known{$_}, sort keys %here ], [], 'doc/metrics.md knows all that is counted';
	# What the dashboard asks for is there, with these labels.
	open my $d, '<', 'contrib/grafana/weir.json' or die "contrib/grafana/weir.json: $!";
	my $board = decode_json(join '', <$d>);
	for my $panel (@{ $board->{panels} }) {
		my @expr = map { $_->{expr} } @{ $panel->{targets} };
		my @unknown = grep { !$known{s/_bucket$//r} } map { /\b(weir_\w+)/g } @expr;
		is_deeply \@unknown, [], "dashboard: $panel->{title}";
		for my $t (@{ $panel->{targets} }) {
			my ($name) = $t->{expr} =~ /\b(weir_\w+?)(?:_bucket)?\b/;
			my @strange = grep { $_ ne 'le' && !$label{$name}{$_} } map { split /, / } $t->{expr} =~ /by \(([^)]*)\)/g;
			is_deeply \@strange, [], "labels of $name";
		}
	}
	delete @known{ grep /^weir_http_location_/, keys %known };
	is_deeply [ grep !$here{$_}, sort keys %known ], [], 'and nothing else';
}

done_testing;
