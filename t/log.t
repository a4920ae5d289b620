#!/usr/bin/perl

# Access logs: formats, escapes, buffers, files that fail.
#
# effect: access_log log_format

use strict;
use warnings;

use lib 't/lib';
use Fcntl;
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use JSON::PP;
use POSIX ();
use Test::More;
use Weir;

my $w = Weir->new;
$w->start(<<'E');
http {
	log_format short '$uri $status';
	log_format several '$uri ' "$arg_a" ' $arg_b|' $arg_c;
	log_format escaped '$uri "$http_x"';
	log_format json escape=json '{"uri":"$uri","x":"$http_x","none":"$http_none","t":$request_time}';
	log_format none escape=none '$uri "$http_x" [$http_none]';
	log_format direct '$remote_addr $connection $status $bytes_sent $body_bytes_sent $request_length '
	    '$request_time $msec [$time_local] $time_iso8601';
	log_format many '$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a'
	    '$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a$arg_a';
	log_format group '$1,$named';
	large_client_header_buffers 4 128k;

	access_log %DIR%/all.log short;

	server {
		listen 127.0.0.1:%PORT1%;
		server_name localhost;
		location / { return 200 "text"; }
		location /several { access_log %DIR%/several.log several; return 200; }
		location /escaped { access_log %DIR%/escaped.log escaped; return 200; }
		location /json { access_log %DIR%/json.log json; return 200; }
		location /none { access_log %DIR%/none.log none; return 200; }
		location /direct { access_log %DIR%/direct.log direct; return 200 "text"; }
		location /combined { access_log %DIR%/combined.log; return 200 "text"; }
		location /named { access_log %DIR%/combined.log combined; return 200 "text"; }
		location /many { access_log %DIR%/many.log many; return 200; }
		location ~ ^/group/(?<named>.)(.) { access_log %DIR%/group.log group; return 200; }
		location /two {
			access_log %DIR%/first.log short;
			access_log %DIR%/second.log escaped;
			location /two/off { access_log off; return 200; }
			location /two/inner { return 200; }
			return 200;
		}
		location /if {
			access_log %DIR%/if.log short if=$arg_log;
			return 200;
		}
		location /branch {
			if ($arg_other) { access_log %DIR%/branch.log short; return 200; }
			return 200;
		}
		location /buffer { access_log %DIR%/buffer.log short buffer=1k; return 200; }
		location /small { access_log %DIR%/small.log short buffer=16; return 200; }
		location /flush { access_log %DIR%/flush.log short buffer=64k flush=200ms; return 200; }
		location /slow-flush { access_log %DIR%/slow.log short buffer=64k flush=1h; return 200; }
		location /gzip {
			access_log %DIR%/gzip.log short gzip buffer=1k;
			access_log %DIR%/gzip9.log escaped gzip=9 flush=100ms;
			return 200;
		}
		location /shared { access_log %DIR%/shared.log short; return 200; }
		location /shared/buffer { access_log %DIR%/shared.log SHORT buffer=64k; return 200; }
		location /off { access_log off; access_log %DIR%/all.log short; return 200; }
		location /full { access_log /dev/full short; return 200 "served"; }
	}
	server {
		listen 127.0.0.1:%PORT2%;
		access_log off;
		return 200;
	}
}
E
my $r;

sub lines { my ($name, $n) = @_; return $w->access($name, $n) }

# ---- formats ----

$w->get('/x?y');
is_deeply [ lines('all.log', 1) ], [ '/x 200' ], 'a format of one\'s own, inherited';
$w->request('GET', '/', [], undef, port => 2);

$w->get('/several?a=1&c=3');
is_deeply [ lines('several.log', 1) ], [ '/several 1 -|3' ], 'several strings; - for what is not there';
$w->get('/several?a=&b=&c=');
is((lines('several.log', 2))[1], '/several  |', 'an empty value is one');

my $request = "GET /direct HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
my $sent = $w->http($request);
my ($line) = lines('direct.log', 1);
like $line, qr{^127\.0\.0\.1 \d+ 200 @{[ length $sent ]} 4 @{[ length $request ]} \d+\.\d{3} (?#
    )\d{10}\.\d{3} \[\d\d/[A-Z][a-z][a-z]/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] (?#
    )\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d$}, 'sizes and times';

$w->request('GET', '/combined', [ Referer => 'http://r/', 'User-Agent' => 'agent "x"',
    Authorization => 'Basic dXNlcjpwYXNz' ]);
$w->get('/named');
my @l = lines('combined.log', 2);
like $l[0], qr{^127\.0\.0\.1 - user \[[^]]+\] "GET /combined HTTP/1\.1" 200 4 "http://r/" "agent \\x22x\\x22"$},
    'combined';
like $l[1], qr{^127\.0\.0\.1 - - \[[^]]+\] "GET /named HTTP/1\.1" 200 4 "-" "-"$}, 'with nothing to tell';

$w->get('/many?a=xyz');
is((lines('many.log', 1))[0], 'xyz' x 28, 'many values');
$w->get('/group/ab');
is((lines('group.log', 1))[0], 'a,a', 'captures');

# ---- escapes ----

sub logged { my ($name, $n) = @_; return (lines($name, $n))[$n - 1] }

$w->get('/escaped', X => "a\tb\"c\\d\x7f\xc3\xa4z");
is logged('escaped.log', 1), '/escaped "a\x09b\x22c\x5Cd\x7F\xC3\xA4z"', 'control, 8-bit, quotes';
$w->get('/escaped%0A%1b[2J%22');
is logged('escaped.log', 2), '/escaped\x0A\x1B[2J\x22 "-"', 'a line end stays in its line';
$w->get('/escaped', X => join '', map { 'x' x $_ . '"' } 0 .. 20);
is logged('escaped.log', 3), '/escaped "' . join('', map { 'x' x $_ . '\x22' } 0 .. 20) . '"',
    'at every place';
for my $n (1 .. 20) {
	$w->get('/escaped', X => 'x' x $n . "\x01" . 'y' x (20 - $n));
	is logged('escaped.log', 3 + $n), '/escaped "' . 'x' x $n . '\x01' . 'y' x (20 - $n) . '"',
	    "one at $n";
}

$w->get('/json', X => "a\"b\\c\td\xc3\xa4\xff");
my $json = decode_json(logged('json.log', 1));
is $json->{x}, "a\"b\\c\td\x{e4}\x{ff}", 'JSON';
is $json->{none}, '', 'nothing for what is not there';
$w->get('/json%0a');
is decode_json(logged('json.log', 2))->{uri}, "/json\n", 'a line end in JSON';

$w->get('/none', X => "a\"\\\xc3\xa4");
is logged('none.log', 1), "/none \"a\"\\\xc3\xa4\" []", 'escape=none';
$w->get('/none%0d%0ax');
is logged('none.log', 2), '/none\x0D\x0Ax "" []', 'but for line ends';

# A value of any size is one line, cut with a mark (S-205).
$w->get('/escaped', X => 'y' x 65536);
is logged('escaped.log', 24), '/escaped "' . 'y' x 8192 . '..."', 'a long value is cut';
$w->get('/escaped', X => "\xff" x 65536);
is logged('escaped.log', 25), '/escaped "' . '\xFF' x 8192 . '..."', 'also if all is escaped';
$w->get('/json', X => 'y' . "\xc3\xa4" x 30000);
is length(decode_json(logged('json.log', 3))->{x}), 1 + 4095 + 3, 'never within a character';

# ---- where ----

$w->get("/two$_") for '', '/inner', '/off';
is_deeply [ lines('first.log', 2) ], [ '/two 200', '/two/inner 200' ], 'several logs, inherited';
is_deeply [ lines('second.log', 2) ], [ '/two "-"', '/two/inner "-"' ], 'both of them';
$w->get("/if?log=$_") for 0, '', 1, 'x';
$w->get('/if');
is_deeply [ lines('if.log', 2) ], [ '/if 200', '/if 200' ], 'if=';
$w->get('/branch');
$w->get('/branch?other=1');
is_deeply [ lines('branch.log', 1) ], [ '/branch 200' ], 'in an if';
is_deeply [ lines('all.log', 2) ], [ '/x 200', '/branch 200' ], 'off, and nothing twice';

# What is no request is logged as well, and before the connection ends.
$w->http("BAD\r\n\r\n");
like logged('all.log', 3), qr{ 400$}, 'a bad request';
is scalar(lines('all.log')), 3, 'one line';

# ---- buffers ----

$w->get('/buffer');
is_deeply [ lines('buffer.log') ], [], 'a buffer waits';
$w->get("/buffer/$_") for 1 .. 100;
my $n = () = lines('buffer.log');
cmp_ok $n, '>', 50, 'until it is full';
is((lines('buffer.log'))[0], '/buffer 200', 'in order');
$w->kill('USR1');
is scalar(lines('buffer.log', 101)), 101, 'USR1 writes it';

$w->get('/small');
$w->get('/small/longer-than-the-buffer');
$w->get('/small');
is_deeply [ lines('small.log', 2) ], [ '/small 200', '/small/longer-than-the-buffer 200' ],
    'a record larger than the buffer';
$w->get('/flush');
is_deeply [ lines('flush.log', 1) ], [ '/flush 200' ], 'flush';
$w->get('/slow-flush');
is_deeply [ lines('slow.log') ], [], 'not before its time';

# The same file has one buffer, also where none is asked for.
$w->get('/shared');
$w->get('/shared/buffer');
is_deeply [ lines('shared.log') ], [], 'a file has one buffer';

# ---- gzip ----

sub unzipped
{
	my ($name) = @_;
	my ($in, $out) = ($w->read($name), '');
	gunzip \$in => \$out, MultiStream => 1 or die $GunzipError;
	return $out;
}

$w->get("/gzip/$_") for 1 .. 100;
wait_for(sub { length $w->read('gzip9.log') });
my $zipped = $w->read('gzip.log');
like unzipped('gzip.log'), qr{^(/gzip/\d+ 200\n){60,99}$}, 'a full buffer is compressed, and no line cut';
cmp_ok length $zipped, '<', 600, 'it is';
cmp_ok scalar(() = $zipped =~ /\x1f\x8b\x08/g), '<=', 2, 'as one member';
ok wait_for(sub { unzipped('gzip9.log') eq join '', map { "/gzip/$_ \"-\"\n" } 1 .. 100 }), 'flush';
$w->get('/gzip?' . 'x' x 3000);
$w->get('/gzip/' . 'y' x 3000);
ok wait_for(sub { unzipped('gzip.log') =~ qr{^/gzip/100 200\n/gzip 200\n/gzip/y{3000} 200\n$}m }), 'what is larger than the buffer';
$w->get('/gzip/last');

$w->get('/off');
ok !scalar(grep m{^/off}, lines('all.log')), 'off counts wherever it stands';

rename $w->dir . '/all.log', $w->dir . '/all.log.1' or die;
rename $w->dir . '/buffer.log', $w->dir . '/buffer.log.1' or die;
$w->get('/before');
$w->get('/buffer/before');
$w->kill('USR1');
ok wait_for(sub { -e $w->dir . '/all.log' && -e $w->dir . '/buffer.log' }), 'USR1 makes new files';
ok wait_for(sub { $w->get('/after'); (grep m{^/after 200}, lines('all.log')) > 0 }), 'that are used';
ok scalar(grep $_ eq '/before 200', lines('all.log.1')), 'what came before is in the old one';
ok !scalar(grep $_ eq '/before 200', lines('all.log')), 'and in no other';
is((lines('buffer.log.1'))[-1], '/buffer/before 200', 'also out of a buffer');

# ---- files that fail ----

is $w->get('/full')->body, 'served', 'a full disk' for 1 .. 3;
$w->log_like(qr{\[error\].*writing to the log "/dev/full" fails, lines are lost.*No space}, 'is told');
is scalar(() = $w->log_text =~ m{/dev/full" fails}g), 1, 'once';

# ---- the end ----

$w->get('/buffer/last');
is $w->stop, 0, 'the server ends';
is((lines('buffer.log'))[-1], '/buffer/last 200', 'buffers are written at exit');
is_deeply [ lines('slow.log') ], [ '/slow-flush 200' ], 'all of them';
like unzipped('gzip.log'), qr{^/gzip/last 200\n\z}m, 'compressed ones, too';
is_deeply [ lines('shared.log') ], [ '/shared 200', '/shared/buffer 200' ], 'and shared ones';

# ---- a FIFO that nobody reads, and one that somebody does ----

my $fifo = Weir->new;
POSIX::mkfifo($fifo->dir . '/fifo', 0666) or die "mkfifo: $!";
$fifo->start(<<'E');
http {
	log_format long '$uri $arg_x';
	access_log %DIR%/fifo long;
	server { listen 127.0.0.1:%PORT1%; return 200 served; }
}
E
my $long = 'x' x 4000;
is $fifo->get("/unread?x=$long")->body, 'served', 'a FIFO without reader holds nobody up' for 1 .. 20;
$fifo->log_like(qr{\[error\].*fifo" fails, lines are lost}, 'its lines are lost when it is full');
sysopen my $fh, $fifo->dir . '/fifo', O_RDONLY | O_NONBLOCK or die "open: $!";
my $text = '';
ok wait_for(sub { sysread $fh, $text, 65536, length $text; length $text >= 4000 * 15 }), 'a reader comes';
is $fifo->get("/read?x=1")->body, 'served', 'and the next';
ok wait_for(sub { sysread $fh, $text, 65536, length $text; $text =~ m{^/read 1$}m }), 'arrives';
is scalar(grep !m{^/unread x{4000}$|^/read 1$|^/unread x*$}, split /\n/, $text), 0, 'one record a line';

# ---- the default ----

my $d = Weir->new;
$d->start('http { server { listen 127.0.0.1:%PORT1%; return 200 x; } }');
$d->get('/default');
like +($d->access('logs/access.log', 1))[0], qr{"GET /default HTTP/1\.1" 200 1 "-" "-"$},
    'logs/access.log, combined';

# ---- mistakes ----

my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
my %mistakes = (
	'log_format a x; log_format a y;' => 'duplicate "log_format" name "a"',
	'log_format combined x;' => 'duplicate "log_format" name "combined"',
	'log_format a escape=xml x;' => 'unknown log format escaping "xml"',
	'log_format a escape=json;' => 'the format "a" is empty',
	'log_format a $nowhere;' => 'unknown "nowhere" variable',
	'log_format main x; access_log l mian;' => 'unknown log format "mian", did you mean "main"',
	'access_log l combined flush=1s;' => 'no buffer is defined',
	'access_log l combined buffer=0;' => 'a buffer has',
	'access_log l combined buffer=1k flush=0;' => 'invalid flush time',
	'access_log l combined bufer=1k;' => 'bufer',
	'access_log l combined gzip=0;' => 'invalid compression level "0"',
	'access_log l combined gzip=10;' => 'invalid compression level "10"',
	'access_log l combined gzip=;' => 'invalid compression level ""',
	'access_log l gzip;' => 'unknown log format "gzip"',
	'access_log l combined buffer=2k; access_log l combined buffer=1k;' => 'conflicting parameters',
	'access_log l combined buffer=1k; access_log l combined buffer=1k gzip;' => 'conflicting parameters',
	'access_log off combined;' => 'access_log off has no parameters',
	'access_log syslog:tag=x;' => 'access_log: no syslog server specified',
	'access_log syslog:server=127.0.0.1 combined buffer=1k;' => 'logs to syslog cannot be buffered',
	'access_log syslog:server=127.0.0.1 combined gzip;' => 'logs to syslog cannot be buffered',
	'access_log $host.log combined buffer=1k;' => 'buffered logs cannot have variables in name',
	'access_log $host.log combined gzip;' => 'buffered logs cannot have variables in name',
	'access_log $nowhere.log;' => 'unknown "nowhere" variable',
	'access_log nowhere/l;' => 'cannot open ".*nowhere/l" \(2: No such file',
);
for my $line (sort keys %mistakes) {
	my ($code, undef, $err) = $wrong->test_conf("http { $line server { } }");
	isnt $code, 0, "refused: $line";
	like $err, qr/$mistakes{$line}/, 'says why';
}

done_testing;
