#!/usr/bin/perl

# The format json, which is there from the beginning (P-24, Q-187, Q-188).
#
# effect: access_log log_format

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Pq;
use Test::More;
use Weir;

my $w = Weir->new;
my $pq = Pq->new($w);
$pq->cert('s', 'EC');
$w->start(<<'E');
worker_processes 1;
http {
	access_log %DIR%/access.log json;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		listen 127.0.0.1:%PORT2%;
		location / { add_header X-Id $request_id; return 200 hello; }
		location /up { proxy_pass http://127.0.0.1:%PORT3%; }
		location /combined { access_log %DIR%/combined.log; return 200; }
		location /any { access_log %DIR%/any.log JSON; return 200; }
	}
}
E
$w->origin(3, sub {
	my ($c) = @_;
	my $q = $c->read_request;
	if ($q->{uri} =~ /never/) {
		$c->note($q->{uri});
		return $c->read_all;
	}
	$c->send("HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
});

my $n = 0;
# The next line, as a value.
sub line
{
	my @lines = $w->access('access.log', ++$n);
	my $v = eval { JSON::PP->new->latin1->decode($lines[$n - 1]) };
	ok $v, 'a line is JSON' or diag "$@: $lines[$n - 1]";
	return $v // {};
}
sub waits
{
	my ($uri) = @_;
	my $c = $w->connect(port => 2);
	$c->send("GET $uri HTTP/1.1\r\nHost: x\r\n\r\n");
	ok wait_for(sub { grep /^\Q$uri\E$/, $w->origin_notes(3) }), "$uri waits for its upstream";
	return $c;
}

my $r = $pq->get('localhost', path => '/a?b=c');
is $r->{status}, 200, 'a request over TLS';
my $v = line();
is $v->{ssl_curve}, 'X25519MLKEM768', 'ssl_curve';
is $v->{ssl_protocol}, 'TLSv1.3', 'ssl_protocol';
like $v->{ssl_cipher}, qr/^TLS_/, 'ssl_cipher';
is join(' ', @$v{qw(method scheme host uri protocol status body_bytes_sent)}), 'GET https localhost /a?b=c HTTP/1.1 200 5', 'the request';
like $v->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$/, 'time';
is $v->{request_id}, ($r->{text} =~ /^X-Id: (\w{32})\r$/m ? $1 : 'none'), 'request_id';
is $v->{remote_addr}, '127.0.0.1', 'remote_addr';
cmp_ok $v->{bytes_sent}, '>', 5, 'bytes_sent';
cmp_ok $v->{request_length}, '>', 10, 'request_length';
cmp_ok $v->{request_time}, '>=', 0, 'request_time';
is $v->{upstream_addr}, '', 'there is no upstream';

is $pq->get('localhost', groups => 'X25519')->{status}, 200, 'a classical client';
is line()->{ssl_curve}, 'X25519', '... is told apart';

$w->request('GET', '/up/x', ['User-Agent', qq(a"b\\c\t\x{e9}), 'Referer', '{"x":1}'], undef, port => 2);
$v = line();
is "$v->{ssl_curve}|$v->{scheme}", '|http', 'clear text';
is $v->{referer}, '{"x":1}', 'quotes';
like $v->{user_agent}, qr/^a"b\\c\t/, '... and worse';
is "$v->{status} $v->{upstream_status}", '201 201', 'upstream_status';
is $v->{upstream_addr}, '127.0.0.1:' . $w->port(3), 'upstream_addr';
like $v->{upstream_response_time}, qr/^[\d.]+$/, 'upstream_response_time';

$w->http("JUNK\x01\x{ff}\"\r\n\r\n", port => 2);
is line()->{status}, 400, 'what is no request';
waits('/up/never')->close;
is line()->{status}, 499, 'a client that has gone';
$w->request('GET', '/combined', [], undef, port => 2);
like +($w->access('combined.log', 1))[0], qr{^127\.0\.0\.1 - - \[[^\]]+\] "GET /combined HTTP/1\.1" 200 0 "-" "-"$}, 'combined is the default';
$w->request('GET', '/any', [], undef, port => 2);
like +($w->access('any.log', 1))[0], qr/^\{"time":/, 'the name in any case, as all of them';
{
	my $c = waits('/up/nevermore');
	is $w->stop('TERM'), 0, 'weir ends in the middle';
	my @lines = $w->log_lines('access.log');
	is scalar(@lines), ++$n, '... there is a line';
	is scalar(grep { !eval { JSON::PP->new->latin1->decode($_) } } @lines), 0, '... all are JSON' or diag "@lines";
}

# ---- a name like others ----

my $o = Weir->new;
$o->start(<<'E');
http {
	log_format json escape=json '{"mine":"$uri"}';
	server { listen 127.0.0.1:%PORT1%; access_log %DIR%/access.log json; return 200; }
}
E
$o->get('/x');
is +($o->access('access.log', 1))[0], '{"mine":"/x"}', 'a log_format of that name takes its place';
$o->stop;
my $t = Weir->new;
$t->expect_alert(qr/\[emerg\]/);
my ($code, $out, $err) = $t->test_conf("http {\naccess_log %DIR%/a json;\nlog_format json x;\n}\n");
is $code, 1, '... not after it was used';
like $err, qr/3:\d+: log_format: duplicate "log_format" name "json"/, '... and says so';
($code, $out, $err) = $t->test_conf("http {\naccess_log %DIR%/a jsn;\n}\n");
like $err, qr/unknown log format "jsn", did you mean "json"\?/, 'a name like it';
done_testing;
