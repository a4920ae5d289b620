#!/usr/bin/perl

# ClientHellos as no library writes them: what is old or nonsense is refused by an alert, and nobody else notices
# (S-120, S-122, S-126, S-127, S-132, S-133).

use strict;
use warnings;

use lib 't/lib';
use MIME::Base64;
use Pq;
use Test::More;
use Time::HiRes qw(time);
use Weir;

srand 7;
my $w = Weir->new;
my $dir = $w->dir;
my $pq = Pq->new($w);
$w->cert('s', cn => 'localhost');
$w->start(<<'E');
worker_processes 1;
error_log %DIR%/debug.log debug;
http {
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	client_header_timeout 20s;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name localhost;
		http2 on;
		location / { return 200 "$ssl_server_name"; }
		location /status { stub_status; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name no.example 127.0.0.1;
		ssl_reject_handshake on;
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name one.example;
		http2 off;
		location / { return 200 "$ssl_server_name"; }
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		server_name known.example;
		return 200 known;
	}
	server {
		listen 127.0.0.1:%PORT2% ssl default_server;
		ssl_reject_handshake on;
	}
}
E

# ---- writing them ----

my %number = (name => 0, groups => 10, formats => 11, signatures => 13, alpn => 16, padding => 21, versions => 43, share => 51);
sub ext { my ($type, $body) = @_; return pack 'n n/a', $number{$type} // $type, $body }
sub name { return ext('name', pack 'n/a', pack 'C n/a', 0, $_[0]) }
sub alpn { return ext('alpn', pack 'n/a', join '', map { pack 'C/a', $_ } @_) }

# Of both versions, as OpenSSL would; `ext`: more of them.
sub hello
{
	my (%opt) = @_;
	my $ciphers = $opt{ciphers} // [0x1301, 0x1302, 0xc02b];
	my $body = pack('n', $opt{version} // 0x0303) . join('', map chr rand 256, 1 .. 32) . pack('C/a', $opt{session} // '') .
	    pack('n/a', pack 'n*', @$ciphers) . pack('C/a', $opt{compression} // "\0");
	my $ext = ext(groups => pack 'n/a', pack 'n*', 0x001d, 0x0017) . ext(formats => "\1\0") . ext(signatures => pack 'n/a', pack 'n*', 0x0403, 0x0804);
	$ext .= ext(versions => pack 'C/a', pack 'n*', 0x0304, 0x0303) . ext(share => pack 'n/a', pack 'n n/a', 0x001d, join '', map chr rand 256, 1 .. 32)
	    unless $opt{old};
	$ext .= $opt{ext} // '';
	$body .= pack 'n/a', $ext unless $opt{bare};
	return "\1" . substr(pack('N', length $body), 1) . $body;
}
sub record { my ($type, $text, $version) = @_; return pack 'C n n/a', $type, $version // 0x0301, $text }
sub records { my ($text, $size) = @_; return join '', map { record(22, $_) } unpack "(a$size)*", $text }

# What comes back first: "hello", "alert N", or how it ends.
sub answer
{
	my ($bytes, %opt) = @_;
	my $c = $w->connect(port => $opt{port} // 1) or return 'no connection';
	$c->send($_) for ref $bytes ? @$bytes : $bytes;
	my $head = $c->read_n(5);
	return $c->timed_out ? 'nothing' : 'closed' if length $head < 5;
	my ($type, $version, $n) = unpack 'C n n', $head;
	my $text = $c->read_n($n);
	return $type == 22 && ord $text == 2 ? 'hello' : $type == 21 ? 'alert ' . unpack 'x C', $text : "record $type";
}
sub alive { return $pq->get('localhost')->{body} // 'dead' }

# ---- what is right, however it is cut ----

is answer(record(22, hello())), 'hello', 'a ClientHello';
is answer(record(22, hello(old => 1))), 'hello', '... of TLSv1.2';
is answer([split //, record(22, hello())]), 'hello', '... in segments of one byte (S-122)';
is answer(records(hello(), 1)), 'hello', '... in records of one byte';
is answer(records(hello(), 100)), 'hello', '... in several records (S-122)';
for my $size (2000, 4000, 8000, 15900) {
	my $h = hello(ext => ext(padding => "\0" x ($size - 200)));
	cmp_ok length $h, '>', $size - 100, "a ClientHello of $size bytes";
	is answer(record(22, $h)), 'hello', '... at once (S-122)';
	is answer(records($h, int($size / 3) + 1)), 'hello', '... in three records (S-122)';
	is answer([unpack '(a7)*', records($h, 1000)]), 'hello', '... in segments of seven bytes';
}
for ([extra => 15000], [extra => 12000, piece => 1], [extra => 20000, record => 4000], [extra => 15000, max => '1.2', piece => 100]) {
	my $r = $pq->get('localhost', @$_);
	cmp_ok $r->{hello} // 0, '>', $_->[1], "with @$_";
	is $r->{body} // $r->{error}, 'localhost', '... a whole request (S-122)';
}

# ---- what is old ----

my ($handshake_failure, $protocol_version) = ('alert 40', 'alert 70');
is answer(record(22, hello(old => 1, version => $_->[0]))), $protocol_version, "$_->[1] is refused (S-120)"
    for [0x0302, 'TLSv1.1'], [0x0301, 'TLSv1'];
is answer(record(22, hello(old => 1, version => 0x0300))), $handshake_failure, "SSLv3 is refused (S-120)";
is answer(record(22, hello(old => 1, ciphers => $_->[0]))), $handshake_failure, "$_->[1] is refused (S-120)"
    for [[0x0004, 0x0005, 0xc007, 0xc011], 'RC4'], [[0x000a, 0xc008, 0xc012], '3DES'], [[0x0003, 0x0008, 0x0014], 'export'],
    [[0x0000, 0x0001, 0x0002, 0xc006], 'no encryption'], [[0x0018, 0x0034, 0xc018], 'no authentication'],
    [[0x002f, 0x0035, 0x009c, 0x009d], 'RSA key exchange, without forward secrecy'], [[0xc009, 0xc013, 0xc023], 'CBC'];
is answer(record(22, hello(compression => "\1"))), 'alert 47', 'compression alone is refused (S-120)';
is answer(record(22, hello(old => 1, compression => "\1\0"))), 'hello', '... and not taken up';
is answer("\x80\x2e\1\0\2\0\x15\0\0\0\x10" . "\0\0\5" x 7 . 'x' x 16), $protocol_version, 'a hello of SSLv2';

# ---- names (S-126) ----

for ([name('localhost'), 'hello', 'a name'], [name('LOCALHOST.'), 'hello', 'a dot behind it'],
    [name('x' x 255), 'hello', '255 bytes'], [name(''), undef, 'no bytes'], [name('x' x 256), undef, '256 bytes'], [name('x' x 5000), undef, '5000 bytes'],
    [name("local\0host"), undef, 'a NUL'], [name("no.example\0"), undef, 'a NUL behind it'], [name("\xff\xfe"), 'hello', 'no ASCII'], [name('127.0.0.2'), 'hello', 'an address'],
    [name('::1'), 'hello', 'another'], [name('no.example'), 'alert 112', 'a name that is refused'],
    [name('No.Example.'), 'alert 112', '... in another form'], [name('127.0.0.1'), 'alert 112', 'an address that is refused'],
    [ext('name', ''), undef, 'an empty extension'], [ext('name', "\0\5\0\0\2x"), undef, 'a list that is cut'],
    [ext('name', pack 'n/a', pack('C n/a', 0, 'localhost') x 2), undef, 'two names'], [ext('name', pack 'n/a', pack 'C n/a', 1, 'localhost'), undef, 'a name of another kind'],
    [name('localhost') . name('localhost'), undef, 'the extension twice']) {
	my ($ext, $want, $what) = @$_;
	my $got = answer(record(22, hello(ext => $ext)));
	like $got, defined $want ? qr/^$want$/ : qr/^(?:hello|alert \d+)$/, "a name: $what: $got";
	my $other = answer(record(22, hello(ext => $ext)), port => 2);
	like $other, qr/^alert \d+$/, "... where only known names are served: $other";
}
is answer(record(22, hello()), port => 2), 'alert 112', 'no name where only known ones are served';
is answer(record(22, hello(ext => name('Known.Example'))), port => 2), 'hello', 'a known one';

# ---- protocols (S-127) ----

is answer(record(22, hello(ext => alpn(@{ $_->[0] }) . name($_->[2] // 'localhost')))), $_->[1], "ALPN: @{ $_->[0] }" . ($_->[2] ? " of $_->[2]" : '')
    for [['http/1.1'], 'hello'], [['h2'], 'hello'], [['smtp', 'http/1.1'], 'hello'], [['smtp'], 'alert 120'], [['ftp', 'imap', 'pop3'], 'alert 120'],
    [['h3'], 'alert 120'], [['H2'], 'alert 120'], [['h2'], 'alert 120', 'one.example'], [['h2', 'http/1.1'], 'hello', 'one.example'],
    [['acme-tls/1'], 'alert 120'];
like answer(record(22, hello(ext => ext('alpn', $_)))), qr/^alert \d+$/, 'ALPN: nonsense'
    for '', "\0\0", "\0\1\0", "\0\5\4http/1", "\0\3\2h", "\0\4\0\2h2";
is alpn_of($_->[0]), $_->[1], "$_->[0] speaks $_->[1] (QH-5)" for ['localhost', 'h2'], ['one.example', 'http/1.1'];

sub alpn_of
{
	my ($name) = @_;
	return $w->s_client($name, '-alpn', 'h2,http/1.1') =~ /ALPN protocol: (\S+)/ ? $1 : 'nothing';
}

# ---- nonsense ----

my $good = hello();
for (['a type of record that there is not', record(99, $good)], ['data first', record(23, 'GET / HTTP/1.1')], ['an alert first', record(21, "\2\50")],
    ['a record without bytes', record(22, '')], ['many of them', record(22, '') x 100], ['a ServerHello', record(22, "\2" . substr $good, 1)],
    ['a Finished', record(22, "\x14\0\0\x0c" . 'x' x 12)], ['a record of another version', record(22, $good, 0x0903)],
    ['a record that is too long', pack('C n n', 22, 0x0301, 16385) . 'x' x 16385], ['a message of 16 MB', record(22, "\1\xff\xff\xff" . 'x' x 16000) x 4],
    ['a message of 200 kB', records("\1\3\0\0" . 'x' x 196608, 16000)], ['no extensions', record(22, hello(bare => 1, ciphers => [0x1301]))],
    ['a message that is cut', record(22, substr($good, 0, 60)) . record(21, "\1\0")],
    ['extensions of a length that is not so', record(22, $good =~ s/..(\x00\x0a\x00\x06\x00\x04)/\xff\xff$1/sr)],
    ['no ciphers', record(22, hello(ciphers => []))], ['a session of 33 bytes', record(22, hello(session => 'x' x 33))],
    ['no compression at all', record(22, hello(compression => ''))], ['two ClientHellos', record(22, $good) . record(22, $good)],
    ['1000 extensions', record(22, hello(ext => join '', map { ext(1000 + $_, '') } 1 .. 1000))],
    ['bytes', "\x16" . join '', map chr rand 256, 1 .. 3000]) {
	my ($what, $bytes) = @$_;
	my $c = $w->connect;
	$c->send($bytes);
	$c->half_close;
	$c->read_all;
	ok $c->eof && !$c->timed_out, "nonsense: $what";
}
for my $n (1 .. 200) {
	my $bytes = record(22, hello(ext => name('localhost') . alpn('h2')));
	substr($bytes, 5 + int rand(length($bytes) - 5), 1) = chr rand 256 for 1 .. 1 + $n % 4;
	my $c = $w->connect;
	$c->send($bytes);
	$c->half_close;
	$c->read_all;
	fail "mutant $n: " . unpack 'H*', $bytes if $c->timed_out;
}
is alive(), 'localhost', 'others do not notice';

# ---- begun and left alone (S-132) ----
{
	my ($pid) = $w->worker_pids;
	my $kb = sub { return $w->read("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m ? $1 : 0 };
	my $room = join('', $w->run('-V')) =~ /--with-sanitizers/ ? 20 : 1;
	my $before = $kb->();
	my $other = $w->connect(tls => { sni => 'one.example' });
	for my $round (1 .. 4) {
		my @left = grep { defined } map { $w->connect } 1 .. 250;
		$_->send(record(22, hello(ext => name('localhost')))) for @left;
		is scalar(grep { length $_->read_n(5) == 5 } @left), 250, 'handshakes that wait for the client';
		my $began = time;
		$other->send("GET / HTTP/1.1\r\nHost: one.example\r\n\r\n");
		is $other->response->body, 'one.example', '... while who was here before is served';
		cmp_ok time - $began, '<', slack(1), '... at once';
		cmp_ok $kb->() - $before, '<', $room * 32_000, '... and memory is bounded';
		$_->close for @left;
	}
	cmp_ok $kb->() - $before, '<', $room * 32_000, 'a thousand of them: it comes back';
}
is scalar(@{[ $w->worker_pids ]}), 1, 'the worker lives';
unlike $w->log_text('debug.log'), qr/exited on signal|worker process \d+ exited/, '... and always did';

# ---- keys are nowhere to be seen (S-133) ----
{
	my $pem = $w->read('s.key');
	my @lines = grep !/^-/, split /\n/, $pem;
	my $der = decode_base64(join '', @lines);
	my ($secret) = `openssl pkey -in $dir/s.key -noout -text` =~ /priv:\s*((?:[0-9a-f]{2}:?\s*)+)/ or die;
	$secret =~ s/[^0-9a-f]//g;
	$secret = substr $secret, -64;
	my $all = $w->log_text('debug.log') . $w->read('stderr') . ($pq->get('localhost', path => '/status')->{text});
	like $all, qr/\[debug\]/, 'there are debug messages';
	like $all, qr/Active connections/, '... and a status page';
	for my $text (@lines, $secret, uc $secret, pack('H*', $secret), 'PRIVATE KEY') {
		ok index($all, $text) < 0, 'no key in the log, in messages, on a status page' or diag $text;
	}
	my ($code, $out, $err) = $w->run('-c', "$dir/weir.conf", '-T');
	ok index("$out$err", $_) < 0, '... nor in -T' for $lines[0], $secret, 'PRIVATE KEY';
}
is $w->stop, 0, 'stop';
done_testing;
