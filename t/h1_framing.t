#!/usr/bin/perl
# How requests are framed (RFC 9112): what is in doubt is refused, and nobody behind us sees it.
#
# Every stimulus goes to a place that answers by itself, through a proxy that reads the body
# first, and through one that passes it on as it comes.  A refusal is the named status, the end of
# the connection without a reset, one line in the access log, and no complete request at the origin.
# Behind each stimulus waits another request, which nobody may ever answer.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;

# What arrived, with a note of how it ended; the answer is what came.
$w->origin(2, sub {
	my ($c) = @_;
	$c->note('open');
	my $q = $c->read_request;
	if ($q && $q->{complete}) {
		$c->note("complete $q->{method} $q->{uri}");
		my $text = "$q->{head}\r\n\r\n$q->{body}|" . ($q->{trailers} // '');
		$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " . length($text) .
		    "\r\n\r\n$text");
	} elsif ($q) {
		$c->note("partial $q->{uri}");
	}
	my $rest = $c->read_all;
	$c->note("extra $rest") if length $rest;
	$c->note('end');
});

$w->start(<<'E');
http {
	log_format t '$status $request';
	access_log %DIR%/access.log t;
	client_max_body_size 100m;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "direct\n"; }
		location /p/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location /s/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_request_buffering off; }
	}
	server {
		listen 127.0.0.1:%PORT3%;
		max_headers 5;
		client_header_buffer_size 256;
		large_client_header_buffers 2 512;
		location / { return 200 "small\n"; }
	}
	server {
		listen 127.0.0.1:%PORT4%;
		max_headers 5;
		client_header_buffer_size 1k;
		large_client_header_buffers 4 8k;
		location / { return 200 "wide\n"; }
	}
}
E

my $next = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
my $n = 0;

# As wait_for, for things that take a millisecond, a thousand times.
sub soon
{
	my ($code) = @_;
	my ($end, $r) = Time::HiRes::time() + 4;
	select undef, undef, undef, 0.0005 until $r = $code->() or Time::HiRes::time() > $end;
	return $r;
}

sub settled
{
	return soon(sub {
		my @notes = $w->origin_notes(2);
		return (grep $_ eq 'open', @notes) == (grep $_ eq 'end', @notes);
	});
}

sub refused
{
	my ($place, $raw, $status, %o) = @_;
	my $uri = $place . 'bad' . ++$n;

	$raw =~ s/%U/$uri/g;
	my $before = $w->access;
	my $c = $w->connect(port => $o{port} // 1, timeout => 4);
	$c->send($raw . ($o{alone} ? '' : $next));
	my $got = $c->read_all;
	my @heads = $got =~ m{^HTTP/1\.1 (\d+)}mg;
	is scalar @heads, 1, 'one answer' or diag($got);
	like $heads[0] // 'none', qr/^(?:$status)$/, "status $status";
	like $got, qr/^Connection: close\r$/m, 'it says that the connection ends';
	ok $c->eof && !$c->was_reset, 'which it does';
	$c->close;
	soon(sub { $w->access > $before });
	is scalar($w->access), $before + 1, 'one line in the log';
	ok settled(), 'upstream is quiet';
	is_deeply [grep /complete .*\Q$uri\E|smuggled/, $w->origin_notes(2)], [], 'nothing complete upstream';
}

sub bad
{
	my ($name, $status, $raw, %o) = @_;
	subtest $name => sub {
		refused($_, $raw, $status, %o) for $o{places} ? @{ $o{places} } : qw(/ /p/ /s/);
	};
}

sub head { join("\r\n", 'POST %U HTTP/1.1', 'Host: a', @_) . "\r\n\r\n" }
sub chunked { head('Transfer-Encoding: chunked') . join '', @_ }

# It is served; the text that the origin got.
sub served
{
	my ($name, $raw, $check, %o) = @_;
	subtest $name => sub {
		for my $place (qw(/p/ /s/)) {
			my $uri = $place . 'good' . ++$n;
			(my $text = $raw) =~ s/%U/$uri/g;
			my $before = $w->access;
			my $c = $w->connect;
			$c->send($text);
			my $r = $c->response;
			soon(sub { $w->access > $before });
			ok $r, 'an answer' or next;
			is $r->status, 200, "status at $place" or next;
			$check->($r->body);
			$c->close;
		}
	};
}

# ---- S-1 to S-6: the length of the body

for (["Content-Length: 5", "Transfer-Encoding: chunked"], ["Transfer-Encoding: chunked", "Content-Length: 5"],
    ["Content-Length: 0", "Transfer-Encoding: chunked"], ["transfer-encoding: Chunked", "CONTENT-LENGTH: 5"],
    ["Content-Length: 5", "Transfer-Encoding: identity"], ["Content-Length: 5", "Transfer-Encoding:"]) {
	bad "S-1 @$_", '400|501', head(@$_) . "0\r\n\r\n";
}
bad 'S-2 two lengths', 400, head('Content-Length: 5', 'Content-Length: 6') . 'hello!';
bad 'S-2 two lengths, the other way round', 400, head('Content-Length: 6', 'Content-Length: 5') . 'hello!';
bad 'S-2 two equal lengths', 400, head('Content-Length: 5', 'Content-Length: 5') . 'hello';
bad 'S-2 two lengths apart', 400, head('Content-Length: 5', 'X: y', 'content-length: 0') . 'hello';
bad "S-2 list $_", 400, head("Content-Length: $_") . 'hello' for '5, 6', '5,5', '5 , 5', ',5', '5,', '0,5';
for (['+5'], ['-5'], ['0x5'], ['5a'], ['a5'], ['', 'empty'], [' ', 'blank'], ['5 5'], ['5;'], ['"5"'], ["'5'"], ['5.0'],
    ['5e0'], ["\x{0b}5", 'VT before'], ["5\x{0b}", 'VT behind'], ["5\x{0c}", 'FF behind'], ["\x{a0}5", 'NBSP before'],
    ["5\x{a0}", 'NBSP behind'], ["\x{c2}\x{a0}5", 'UTF-8 NBSP'], ["5\0", 'NUL behind'], ["\x{00}5", 'NUL before'],
    ["5\x{01}", 'SOH behind'], ["5\x7f", 'DEL behind'], ["\x{ef}\x{bc}\x{95}", 'full width digit'], ['5_0'], ['0b101'],
    ['-0'], ['+0']) {
	my ($v, $name) = @$_;
	bad 'S-3 length ' . ($name // $v), 400, head("Content-Length: $v") . 'hello';
}
bad "S-4 length $_", '400|413', head("Content-Length: $_") . 'hello'
    for '9223372036854775808', '18446744073709551616', '18446744073709551621', '4294967301000000000000',
	'00000000000000000005', '99999999999999999999', '9' x 300, '9223372036854775807';
for ('identity', 'gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'chunked,chunked', 'xchunked', 'chunkedx',
    'chunk', 'chunked;a=b', 'chunked; q=1', '"chunked"', "'chunked'", ',chunked', 'chunked,', 'chunked, identity',
    'identity, chunked', 'c hunked', 'chunked chunked', '') {
	bad "S-5 coding '$_'", '400|501', chunkless($_);
}
sub chunkless { head("Transfer-Encoding: $_[0]") . "5\r\nhello\r\n0\r\n\r\n" }
for (["\x{0b}chunked", 'VT before'], ["chunked\x{0b}", 'VT behind'], ["\x{0c}chunked", 'FF before'], ["chunked\0", 'NUL behind'],
    ["\x{00}chunked", 'NUL before'], ["chun\x{00}ked", 'NUL within'], ["chunked\x{a0}", 'NBSP behind'], ["\x{85}chunked", 'NEL before'],
    ["chunked\x7f", 'DEL'], ["chunked\r", 'CR behind'], ["\rchunked", 'CR before'], ["chunked\x{ff}", 'FF'],
    ["chun\x{212a}ed" =~ s/\x{212a}/\xe2\x84\xaa/r, 'Kelvin sign']) {
	bad "S-5 coding with $_->[1]", '400|501', chunkless($_->[0]);
}
bad 'S-5 coding twice', '400|501', head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') . "0\r\n\r\n";
bad 'S-5 coding twice, unknown', '400|501', head('Transfer-Encoding: chunked', 'Transfer-Encoding: x') . "0\r\n\r\n";
bad 'S-5 coding twice, empty', '400|501', head('Transfer-Encoding: chunked', 'Transfer-Encoding:') . "0\r\n\r\n";
bad 'S-6 chunked in HTTP/1.0', '400|501', head('Transfer-Encoding: chunked') =~ s{1\.1}{1.0}r . "0\r\n\r\n";
bad 'S-6 chunked and keep-alive in HTTP/1.0', '400|501',
    head('Connection: keep-alive', 'Transfer-Encoding: chunked', 'Content-Length: 5') =~ s{1\.1}{1.0}r . "0\r\n\r\n";

# ---- S-7 to S-11: field names and values

for my $name ('Content-Length', 'Transfer-Encoding', 'Host', 'X-Any') {
	bad "S-7 $name and " . ($_ eq ' ' ? 'space' : $_ eq "\t" ? 'tab' : 'two spaces') . ' before the colon', 400,
	    "POST %U HTTP/1.1\r\nHost: a\r\n$name$_: 5\r\n\r\nhello" for ' ', "\t", '  ';
}
for my $name ('Transfer-Encoding', 'Content-Length') {
	my $value = $name eq 'Transfer-Encoding' ? 'chunked' : '30';
	for (["\0", 'NUL'], ["\r", 'CR'], ["\x{0b}", 'VT'], ["\x{0c}", 'FF'], ["\x{85}", 'NEL'], ["\x{a0}", 'NBSP'], ["\x7f", 'DEL'],
	    ["\x{ff}", '0xff'], ["\x{01}", 'SOH'], ["\x{c2}\x{ad}", 'soft hyphen']) {
		my ($b, $what) = @$_;
		bad "S-8 $what before $name", 400, head('Content-Length: 5', "$b$name: $value") . 'hello';
		bad "S-8 $what behind $name", 400, head('Content-Length: 5', "$name$b: $value") . 'hello';
		bad "S-8 $what within $name", 400, head('Content-Length: 5', substr($name, 0, 3) . $b . substr($name, 3) .
		    ": $value") . 'hello';
	}
	bad "S-8 LF within $name", 400, head('Content-Length: 5', substr($name, 0, 3) . "\n" . substr($name, 3) . ": $value") . 'hello';
	bad "S-8 LF before $name", 400, head('Content-Length: 5', "X: y\n$name: $value") . 'hello';
	bad "S-8 CR before $name", 400, head('Content-Length: 5', "X: y\r$name: $value") . 'hello';
	bad "S-8 $name folded before the colon", 400, head('Content-Length: 5', "$name\r\n : $value") . 'hello';
	bad "S-8 $name in a fold", 400, head('Content-Length: 5', "X: y\r\n $name: $value") . 'hello';
	bad "S-8 $name behind an empty fold", 400, head('Content-Length: 5', "X: y\r\n \r\n$name: $value") . 'hello';
	bad "S-8 value of $name folded", 400, head("$name:\r\n $value") . "0\r\n\r\n";
	bad "S-8 $name as the first line, indented", 400, "POST %U HTTP/1.1\r\n $name: $value\r\nHost: a\r\n\r\n";
}
served 'S-8 coding with an underscore is no coding', head('Content-Length: 5', 'Transfer_Encoding: chunked') . 'hello', sub {
	unlike $_[0], qr/Transfer_Encoding/i, 'not passed on';
	like $_[0], qr/\r\nhello\|/, 'the length counts';
};
served 'S-8 a coding that is only nearly so', head('Content-Length: 5', 'X-Transfer-Encoding: chunked', 'Transfer: chunked') . 'hello',
    sub { like $_[0], qr/\r\nhello\|/, 'the length counts' };
bad 'S-9 fold ' . ($_ eq ' ' ? 'of a space' : 'of a tab'), 400, head("X: a\r\n${_}b") for ' ', "\t";
bad 'S-9 fold in Host', 400, "POST %U HTTP/1.1\r\nHost: a\r\n b\r\n\r\n";
bad 'S-9 fold behind the first line', 400, "POST %U HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n";
bad 'S-9 fold at the end', 400, head("X: a\r\n ");
bad 'S-10 NUL in a value', 400, head("X: a\0b");
bad 'S-10 NUL in a name', 400, head("X\0Y: a");
bad 'S-10 NUL as a line', 400, head("\0");
bad 'S-10 CR in a value', 400, head("X: a\rb");
bad 'S-10 CR at the end of a value', 400, head("X: a\r");
bad 'S-10 CR in a name', 400, head("X\rY: a");
bad 'S-10 NUL in the value of Host', 400, "POST %U HTTP/1.1\r\nHost: a\0\r\n\r\n";
bad 'S-11 empty name', 400, head(': x');
bad 'S-11 empty name, then a length', 400, head(': x', 'Content-Length: 5') . 'hello';
bad 'S-11 line without a colon', 400, head('Xyz');
bad 'S-11 line without a colon, then a length', 400, head('Xyz', 'Content-Length: 5') . 'hello';
bad "S-11 name with '$_'", 400, head("X${_}Y: a")
    for '(', ')', '<', '>', '@', ',', ';', '\\', '"', '/', '[', ']', '?', '=', '{', '}', ' ';
bad sprintf('S-11 name with 0x%02x', ord), 400, head("X${_}Y: a") for "\x80", "\xc3", "\xe9", "\xff";
served 'S-11 fields behind a dropped one are not lost', head('X.Y: a', 'X_Z: b', 'X-Last: c'), sub {
	like $_[0], qr/\r\nX-Last: c\r\n/, 'the last is there';
	unlike $_[0], qr/X[._]/, 'the others are not';
};

# ---- S-12: Host

bad 'S-12 no Host', 400, "POST %U HTTP/1.1\r\nX: y\r\n\r\n";
bad 'S-12 no field at all', 400, "POST %U HTTP/1.1\r\n\r\n";
bad 'S-12 two Hosts', 400, head('Host: b');
bad 'S-12 two equal Hosts', 400, head('Host: a');
bad 'S-12 two Hosts in one', 400, "POST %U HTTP/1.1\r\nHost: a, b\r\n\r\n";
bad 'S-12 no Host but an absolute target', 400, "POST http://a%U HTTP/1.1\r\nX: y\r\n\r\n";
for ('a b', 'a/b', 'a@b', '@a', 'a?b', 'a#b', 'a\\b', "a\tb", 'a:1:2', 'a:x', 'a:8x', 'a:-1', 'a:65536', 'a:999999',
    'a"b', '<a>', 'a%b', '[::1', '::1]', '[::1]x', '[zz]', "a\x01", "a\x7f", 'a..b', '.a', 'http://a', 'a|b', 'a^b', 'a`b',
    '{a}', '[]', '[::1]:x') {
	bad 'S-12 Host ' . s/([^ -~])/sprintf '\\x%02x', ord $1/gre, 400, "POST %U HTTP/1.1\r\nHost: $_\r\n\r\n";
}

# ---- S-14 to S-16: the first line

for (['%U#a', '#'], ['#', 'only #'], ['/a b', 'space'], ["/a\tb", 'tab'], ["/a\0b", 'NUL'], ["/a\x01", 'SOH'], ["/a\x7f", 'DEL'],
    ["/a\rb", 'CR'], ["/a\nb", 'LF'], ["/a\x0bb", 'VT'], ['a', 'no slash'], ['', 'nothing'], ['?a', 'only a query'], ['\\a', 'backslash'],
    ['ftp://a/', 'another scheme'], ['http://', 'no authority'], ['http:///a', 'an empty authority'], ['http://u@a/', 'userinfo'],
    ['http://a:x/', 'port of letters'], ['http://a b/', 'space in the authority'], ['http://a#b', '# behind the authority'],
    ['//%zz', 'bad escape'], ['/%0', 'short escape'], ['/%', 'percent'], ['/%00', 'escaped NUL'], ['/../a', 'above the root'],
    ['/a/../../b', 'above the root, later'], ['/%2e%2e/a', 'above the root, escaped'], ['*', 'asterisk'],
    ["/a?b#c", '# in the query'], ["/a?b c", 'space in the query']) {
	bad "S-14 target with $_->[1]", 400, "GET $_->[0] HTTP/1.1\r\nHost: a\r\n\r\n", places => ['/'];
}
bad "S-14 # at a proxy", 400, "GET %U#x HTTP/1.1\r\nHost: a\r\n\r\n";
bad "S-14 # in the query at a proxy", 400, "GET %U?x#y HTTP/1.1\r\nHost: a\r\n\r\n";
for ('HTTP/2.0', 'HTTP/0.9', 'HTTP/1.10', 'HTTP/1.1.1', 'http/1.1', 'Http/1.1', 'HTTP/11', 'HTTP/1', 'HTTP/1.', 'HTTP/.1', 'HTTP/01.1',
    'HTTP/1.01', 'HTTP/4294967297.1', 'HTTP/1.4294967297', 'HTTP/-1.1', 'HTTP/+1.1', 'HTTP/1,1', 'HTTP 1.1', 'HTTP/3.0', 'HTTP/9.9',
    'HTTP/1.1 ', 'HTTP/1.1x', ' HTTP/1.1', 'XTTP/1.1', 'ICY/1.1', "HTTP/1.1\0", "HTTP/1.1\t", 'HTTPS/1.1', '/1.1', 'HTTP/a.b', 'HTTP/0.0') {
	bad 'S-15 version ' . s/([^ -~])/sprintf '\\x%02x', ord $1/gre, '400|505', "GET %U $_\r\nHost: a\r\n\r\n";
}
bad 'S-15 simple request', '400|505', "GET %U\r\n";
bad 'S-15 simple request with a blank', '400|505', "GET %U \r\n";
bad 'S-15 simple request, LF', '400|505', "GET %U\n";
bad 'S-15 the preface of HTTP/2', '400|505', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", places => ['/'];
bad 'S-15 no version but fields', '400|505', "GET %U\r\nHost: a\r\n\r\n";
for (['G T', 'a space'], ["G\0T", 'NUL'], ["G\tT", 'tab'], ['', 'nothing'], [' GET', 'leading space'], ['G(T', 'a bracket'], ['G"T', 'a quote'],
    ["G\x80T", '0x80'], ["GET\r", 'CR'], ["\x16\x03\x01\x02\x00\x01", 'TLS'], ['G:T', 'a colon'], ['G/T', 'a slash'], ['{GET}', 'braces'],
    ["\x04\x01", 'SOCKS4'], ["\x05\x01\x00", 'SOCKS5'], ['GET,', 'a comma']) {
	bad "S-16 method with $_->[1]", '400|405|501', "$_->[0] %U HTTP/1.1\r\nHost: a\r\n\r\n";
}
bad 'S-16 a method of 10 kB', '400|405|414|501', ('A' x 10240) . " %U HTTP/1.1\r\nHost: a\r\n\r\n";
bad 'S-16 a method of 100 kB that does not end', '400|405|414|501', 'A' x 102400, alone => 1, places => ['/'];

# ---- S-17: line ends

served 'S-17 LF throughout becomes CRLF', "POST %U HTTP/1.1\nHost: a\nContent-Length: 5\nX: y\n\nhello", sub {
	unlike $_[0], qr/(?<!\r)\n/, 'no bare LF';
	like $_[0], qr/\r\nX: y\r\n/, 'the field is there';
	like $_[0], qr/hello\|/, 'and the body';
};
served 'S-17 empty lines before a request', "\r\n\r\nPOST %U HTTP/1.1\r\nHost: a\r\n\r\n", sub { like $_[0], qr/^POST/ };
bad 'S-17 LF behind a field', 400, "POST %U HTTP/1.1\r\nHost: a\nX: y\r\n\r\n";
bad 'S-17 LF as the empty line', 400, "POST %U HTTP/1.1\r\nHost: a\r\n\n";
bad 'S-17 LF LF at the end', 400, "POST %U HTTP/1.1\r\nHost: a\n\n";
bad 'S-17 CR for CRLF', 400, "POST %U HTTP/1.1\rHost: a\r\r", alone => 1;
bad 'S-17 CR CR LF', 400, "POST %U HTTP/1.1\r\r\nHost: a\r\r\n\r\r\n";
bad 'S-17 LF CR', 400, "POST %U HTTP/1.1\n\rHost: a\n\r\n\r";
bad 'S-17 LF and then a body by a CR', 400, "POST %U HTTP/1.1\nHost: a\n\r\r\n";
bad 'S-17 LF behind a chunk size', 400, chunked("5\nhello\r\n0\r\n\r\n");
bad 'S-17 LF behind chunk data', 400, chunked("5\r\nhello\n0\r\n\r\n");
bad 'S-17 LF behind the last chunk', 400, chunked("5\r\nhello\r\n0\n\r\n");
bad 'S-17 LF at the end', 400, chunked("5\r\nhello\r\n0\r\n\n");
bad 'S-17 LF behind a trailer', 400, chunked("0\r\nX: y\n\r\n");
bad 'S-17 LF behind a chunk extension', 400, chunked("5;a\nhello\r\n0\r\n\r\n");
bad 'S-17 LF heads do not allow LF chunks', 400, chunked("5\nhello\n0\n\n") =~ s/(Host: a|1\.1|chunked|)\r\n/$1\n/gr;

# ---- S-18 to S-21: chunks

for (['+5'], ['-5'], ['0x5'], ['0X5'], ['', 'nothing'], [' 5', 'space before'], ["\t5", 'tab before'], ['5h'], ['g'], ['5 5'], ['5,5'], ['5.'],
    ["5\0", 'NUL behind'], ["\x{00}5", 'NUL before'], ["5\x0b", 'VT behind'], ["5\x0c", 'FF behind'], ["5\xa0", 'NBSP behind'], ['"5"'], ['5_'],
    ['fffffffffffffffff', '17 digits'], ['00000000000000005', '17 digits with zeroes'], ['10000000000000005', '2^64 + 5'],
    ['ffffffffffffffff', '2^64 - 1'], ['8000000000000000', '2^63'], ['-1'], ['5 x', 'word behind'], ["5\r", 'CR behind'],
    ["\xef\xbc\x95", 'full width'], ['_5'], ['5#'], ['5=1'], ['0' x 5000, '5000 zeroes']) {
	my ($v, $name) = @$_;
	bad 'S-18 size ' . ($name // $v), 400, chunked("$v\r\nhello\r\n0\r\n\r\n");
}
bad 'S-18 CR without LF behind a size', 400, chunked("5\rhello\r\n0\r\n\r\n");
bad 'S-18 CR X behind a size', 400, chunked("5\rXhello\r\n0\r\n\r\n");
bad 'S-18 sizes that add up beyond 2^64', 400, chunked("5\r\nhello\r\nfffffffffffffffb\r\nx");
bad 'S-18 later chunk malformed', 400, chunked("5\r\nhello\r\nx\r\n0\r\n\r\n");
bad 'S-18 a blank before the last chunk', 400, chunked("5\r\nhello\r\n 0\r\n\r\n");
bad 'S-18 no CRLF at all', 400, chunked("0 GET / HTTP/1.1\r\n\r\n");
bad 'S-19 data longer than the size', 400, chunked("4\r\nhello\r\n0\r\n\r\n");
bad 'S-19 data shorter than the size', 400, chunked("6\r\nhello\r\n0\r\n\r\n");
bad 'S-19 two bytes that are no CRLF', 400, chunked("5\r\nhelloXX0\r\n\r\n");
bad 'S-19 LF LF behind data', 400, chunked("5\r\nhello\n\n0\r\n\r\n");
bad 'S-19 CR only behind data', 400, chunked("5\r\nhello\r0\r\n\r\n");
bad 'S-19 nothing behind data', 400, chunked("5\r\nhello0\r\n\r\n");
served 'S-20 extensions', chunked("5;a=b\r\nhello\r\n3 ; c=\"d e\";f\r\n...\r\n0;x\r\n\r\n"), sub {
	like $_[0], qr/hello\.\.\.\|/, 'are ignored';
	unlike $_[0], qr/a=b|d e/, 'and not passed on';
};
served 'S-20 leading zeroes and capitals', chunked("0005\r\nhello\r\n00A\r\n0123456789\r\n000\r\n\r\n"), sub { like $_[0], qr/hello0123456789\|/ };
bad 'S-20 an extension of 5 kB', 400, chunked('5;' . ('a' x 5000) . "\r\nhello\r\n0\r\n\r\n");
bad 'S-20 an extension without end', 400, chunked('5;' . ('a' x 300000)), alone => 1;
bad 'S-20 extensions of 16 times the data', 400, chunked(("1;" . ('a' x 1000) . "\r\nx\r\n") x 40);
bad 'S-20 an extension with a CR', 400, chunked("5;a\rb\r\nhello\r\n0\r\n\r\n");
bad 'S-20 an extension with a NUL', 400, chunked("5;a\0b\r\nhello\r\n0\r\n\r\n");
my @forbidden = ('Content-Length: 3', 'Transfer-Encoding: chunked', 'Host: evil', 'Authorization: Basic eDp5', 'Set-Cookie: a=b',
    'Cookie: a=b', 'X-Forwarded-For: 6.6.6.6', 'Content-Type: x/y', 'Content-Encoding: gzip', 'Expect: 100-continue', 'Range: bytes=0-1',
    'Connection: close', 'Upgrade: x', 'Trailer: x', 'TE: x', 'Max-Forwards: 1', 'Cache-Control: no-store', 'Proxy-Authorization: x',
    'X-Real-IP: 6.6.6.6', 'Forwarded: for=6.6.6.6');
for my $field (@forbidden) {
	my ($name) = $field =~ /^([^:]+)/;
	served "S-21 $name in the trailers", chunked("5\r\nhello\r\n0\r\n$field\r\nX-Fine: 1\r\n\r\n"), sub {
		my ($head, $tail) = $_[0] =~ /^(.*?\r\n\r\n)(.*)$/s;
		my ($value) = $field =~ /: (.*)/;
		unlike $head, qr/^\Q$field\E\r$/mi, 'not in the head' unless $name =~ /^(?:Transfer-Encoding|Connection)$/;
		unlike $head, qr/X-Fine/, 'nor a harmless one';
		unlike $tail, qr/^\Q$name\E:/mi, 'nor in the trailers';
	};
}
bad 'S-21 trailer without a colon', 400, chunked("0\r\njunk\r\n\r\n");
bad 'S-21 trailer with a NUL', 400, chunked("0\r\nX: a\0\r\n\r\n");
bad 'S-21 trailer that is folded', 400, chunked("0\r\nX: a\r\n b\r\n\r\n");
bad 'S-21 trailer without a name', 400, chunked("0\r\n: a\r\n\r\n");
bad 'S-21 trailer with a blank before the colon', 400, chunked("0\r\nX : a\r\n\r\n");
bad 'S-21 300 kB of trailers', '400|431', chunked("0\r\n" . "X-Y: @{['z' x 990]}\r\n" x 300 . "\r\n");
bad 'S-21 a trailer of 300 kB', '400|431', chunked("0\r\nX-Y: @{['z' x 300000]}\r\n\r\n");
bad 'S-21 5000 trailers', '400|431', chunked("0\r\n" . "a:\r\n" x 5000 . "\r\n");
bad 'S-21 1500 short trailers', '400|431', chunked("0\r\n" . "a:\r\n" x 1500 . "\r\n");

# ---- S-22: size of the head

sub quickly
{
	my ($name, $status, $raw, %o) = @_;
	subtest $name => sub {
		my $begin = Time::HiRes::time();
		refused($_, $raw, $status, %o) for $o{port} ? '/' : qw(/ /p/);
		cmp_ok Time::HiRes::time() - $begin, '<', slack(2), 'at once';
	};
}

quickly 'S-22 a target of 64 kB', 414, "GET %U?@{['a' x 65536]} HTTP/1.1\r\nHost: a\r\n\r\n";
quickly 'S-22 a target without end', 414, "GET %U?@{['a' x 65536]}", alone => 1;
quickly 'S-22 a field of 64 kB', 431, head("X: @{['a' x 65536]}");
quickly 'S-22 a field without end', 431, "POST %U HTTP/1.1\r\nHost: a\r\nX: @{['a' x 65536]}", alone => 1;
quickly 'S-22 a name without end', 431, "POST %U HTTP/1.1\r\nHost: a\r\n@{['a' x 65536]}", alone => 1;
quickly 'S-22 many fields of 4 kB', 431, head(map "X-$_: @{['a' x 4000]}", 1 .. 20);
quickly 'S-22 a head without end', 431, "POST %U HTTP/1.1\r\nHost: a\r\n" . "X: y\r\n" x 20000, alone => 1;
quickly 'S-22 2000 fields', 431, head(map "X-$_:", 1 .. 2000);
quickly 'S-22 1 MB of empty lines', '400|431', "\r\n" x 500000, alone => 1, port => 4;
quickly 'S-22 six fields where five may be', 431, head(map "X: $_", 1 .. 5), port => 3;
quickly 'S-22 a line above the small buffers', 414, "GET %U?@{['a' x 600]} HTTP/1.1\r\nHost: a\r\n\r\n", port => 3;
quickly 'S-22 a field above the small buffers', 431, head("X: @{['a' x 600]}"), port => 3;
quickly 'S-22 a head above the small buffers', 431, head(map "X-$_: @{['a' x 450]}", 1 .. 4), port => 3;
for (3, 4) {
	my $c = $w->connect(port => $_);
	$c->send("GET / HTTP/1.1\r\nHost: a\r\n" . join('', map "X-$_: y\r\n", 1 .. 4) . "\r\n");
	is $c->response->status, 200, 'S-22 five fields where five may be';
}
{
	my $c = $w->connect(port => 4);
	$c->send("GET /?@{['a' x 8000]} HTTP/1.1\r\nHost: a\r\nX: @{['b' x 8000]}\r\n\r\n");
	is $c->response->status, 200, 'S-22 lines that fill large buffers';
}

# ---- S-23: a body that is cut

for my $how (qw(FIN RST)) {
	for (['length', head('Content-Length: 10') . 'hello'], ['chunk', chunked("a\r\nhello")], ['chunks', chunked("5\r\nhello\r\n")],
	    ['last chunk', chunked("5\r\nhello\r\n0")], ['last chunk line', chunked("5\r\nhello\r\n0\r\n")],
	    ['last line end', chunked("5\r\nhello\r\n0\r\n\r")], ['trailers', chunked("5\r\nhello\r\n0\r\nX: y\r\n")],
	    ['length, nothing', head('Content-Length: 1')], ['big length', head('Content-Length: 3000000') . 'x' x 2000000]) {
		my ($what, $raw) = @$_;
		subtest "S-23 $how within the $what" => sub {
			for my $place (qw(/ /p/ /s/)) {
				my $uri = $place . 'cut' . ++$n;
				(my $text = $raw) =~ s/%U/$uri/;
				my $c = $w->connect;
				$c->send($text);
				# the head was seen before the connection breaks
				soon(sub { grep $_ eq 'open', $w->origin_notes(2) }) if $place eq '/s/';
				if ($how eq 'FIN') {
					$c->half_close;
					my $got = $c->read_all;
					ok $c->eof, 'the connection ends';
					unlike $got, qr{^HTTP/1.1 200.*HTTP/1.1}s, 'no second answer';
				} else {
					$c->reset;
				}
				ok settled(), 'upstream is quiet';
				is_deeply [grep /complete \S+ \Q$uri\E$|extra/, $w->origin_notes(2)], [], 'nothing complete upstream';
			}
		};
	}
}

# ---- S-24: an answer before the body was read

subtest 'S-24 the rest of an unread body is no request' => sub {
	my $smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
	for my $uri (qw(/missing /p/../%2e%2e)) {
		my $c = $w->connect;
		$c->send("POST $uri HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
		my $r = $c->response;
		ok $r && $r->complete, "an answer before the body of $uri";
		$c->send($smuggled);
		is $c->read_all, '', 'and no other';
	}
};

ok settled(), 'at the end upstream is quiet';
is_deeply [grep /bad\d|cut\d|smuggled|extra/, grep !/^partial/, $w->origin_notes(2)], [], 'it never saw what was refused';
is_deeply [grep /smuggled/, $w->access], [], 'nor did anybody serve what was behind';
is $w->get('/')->body, "direct\n", 'weir serves';
done_testing;
