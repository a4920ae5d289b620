#!/usr/bin/perl

# Error logs as JSON: one object for each message, whatever clients send (S-205).
#
# effect: error_log

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Test::More;
use Weir;

my $w = Weir->new;
$w->start(<<'E');
error_log %DIR%/error.json info format=json;
error_log %DIR%/error.log info;
http {
	access_log %DIR%/access.log combined;
	log_format id '$uri $request_id';
	large_client_header_buffers 4 128k;
	server {
		listen 127.0.0.1:%PORT1%;
		server_name json.example;
		root %DIR%;
		location / { access_log %DIR%/id.log id; }
		location /proxy { proxy_pass http://127.0.0.1:%PORT9%/to; }
		location /own { error_log %DIR%/own.log format=json; }
		location /text { error_log %DIR%/text.log error format=text; }
	}
}
E

# All lines, each of which must be an object.
sub objects
{
	my ($name, $n) = @_;
	my @l;
	wait_for(sub { @l = map { decode_json($_) } $w->access($name); @l >= ($n // 0) });
	return @l;
}

# The last one for which the code is true, when there is one.
sub object
{
	my ($code) = @_;
	my @l;
	wait_for(sub { @l = grep { $code->() } objects('error.json'); scalar @l });
	return $l[-1] // {};
}

sub with_message
{
	my ($re) = @_;
	return object(sub { $_->{message} =~ $re });
}

my ($first) = objects('error.json', 1);
like $first->{time}, qr{^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d$}, 'the time, with milliseconds';
like $first->{pid}, qr{^\d+$}, 'a process';
ok !exists $first->{connection} && !exists $first->{client}, 'no client where there is none';

$w->request('GET', '/missing?x', [ Host => 'json.example', Referer => 'http://r.example/"x"' ]);
my $m = with_message(qr{^open\(\) ".*/missing" failed$});
is $m->{level}, 'error', 'level';
like $m->{connection}, qr{^\d+$}, 'the connection';
is $m->{errno}, 2, 'errno';
is $m->{error}, 'No such file or directory', 'and its text';
is $m->{client}, '127.0.0.1', 'client';
is $m->{server}, 'json.example', 'server';
is $m->{request}, 'GET /missing?x HTTP/1.1', 'request';
is $m->{host}, 'json.example', 'host';
is $m->{referrer}, 'http://r.example/"x"', 'referrer, with quotes';
my ($id) = map { m{^/missing (\w{32})$} ? $1 : () } $w->access('id.log', 1);
is $m->{request_id}, $id, 'the request has the same id in both logs';
ok !exists $m->{upstream} && !exists $m->{cut}, 'nothing that is not so';

is $w->request('GET', '/proxy?a', [])->status, 502, 'an upstream that is not there';
$m = with_message(qr{^connect\(\) failed});
is $m->{doing}, 'connecting to upstream', 'what was being done';
is $m->{upstream}, 'http://127.0.0.1:' . $w->port(9) . '/to?a', 'upstream';

# ---- what clients may send ----

$w->request('GET', '/missing%0a%1b[31m%22%5c%ff%c3%a4', [ Referer => "\xff\xc3\xa4\t\"\\" ]);
$m = with_message(qr{\[31m});
like $m->{message}, qr{/missing\n\x1b\[31m"\\\x{ff}\x{e4}" failed$}, 'every byte comes back';
is $m->{referrer}, "\x{ff}\x{e4}\t\"\\", 'in values too';
my ($raw) = grep { /\[31m/ } $w->access('error.json');
unlike $raw, qr/[\x00-\x1f\x7f]/, 'and none of them as it is';

$w->request('GET', '/missing', [ Host => 'a.example', Referer => 'y' x 65536 ]);
$m = object(sub { exists $_->{cut} });
like $m->{referrer}, qr{^y{900,}\.\.\.$}, 'a value of 64 kB is cut, with a mark';
is $m->{host}, 'a.example', 'which costs the others nothing';
my ($line) = grep { /y{900}/ } $w->access('error.json');
cmp_ok length $line, '<', 8192, 'a line has its bound';

($line) = grep { /y{900}/ } $w->log_lines;
is length $line, 4095, 'as text, too';
like $line, qr{y\.\.\.$}, 'with a mark';

$w->request('GET', '/' . 'z' x 60000, []);
$m = object(sub { ($_->{request} // '') =~ /z\.\.\.$/ });
like $m->{message}, qr{z\.\.\.$}, 'a long message too';
is $m->{server}, 'json.example', 'and what comes behind it is there';

# ---- places ----

$w->get('/own');
is scalar(objects('own.log', 1)), 1, 'a log of a location';
$w->get('/text');
like +($w->access('text.log', 1))[0], qr{^\d{4}/\d\d/\d\d .* \[error\] .*, client: 127\.0\.0\.1, }, 'format=text';
$w->log_like(qr{ \[error\] \d+#0: \*\d+ open\(\) "[^"]*/missing" failed \(2: No such file or directory\), (?#
    )client: 127\.0\.0\.1, server: json\.example, request: "GET /missing\?x HTTP/1\.1", (?#
    )host: "json\.example", referrer: "http://r\.example/"x""$}m, 'text of the same events');
is $w->stop, 0, 'the end';
is +(grep { $_->{message} eq 'exit' } objects('error.json'))[-1]{level}, 'notice', 'to its last line';

# ---- stderr ----

my $e = Weir->new;
$e->write('conf', $e->expand('error_log stderr info format=json; http { server { listen 127.0.0.1:%PORT1%; } }'));
my (undef, undef, $err) = $e->run('-c', $e->dir . '/conf', '-p', $e->dir . '/', '-g',
    'daemon off; master_process off; pid nowhere/pid;');
my @objects = map { decode_json($_) } grep { /^\{/ } split /\n/, $err;
like $objects[-1]{message}, qr{^open\(\) ".*nowhere/pid" failed$}, 'stderr';

done_testing;
