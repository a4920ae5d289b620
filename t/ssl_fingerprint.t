#!/usr/bin/perl

# Fingerprints of clients: JA3 and JA4 of real ones and of made-up ones, who is known, and who is refused
# (Q-104, Q-105, Q-106, Q-108, Q-110).
#
# effect: ssl_fingerprint ssl_fingerprint_db ssl_fingerprint_deny

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5_hex);
use Digest::SHA qw(sha256_hex);
use POSIX ();
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'localhost', san => 'DNS:*.example,DNS:localhost');

# ---- writing hellos, and what their fingerprints are ----

sub ext { my ($type, $body) = @_; return [$type, $body // ''] }
sub name { return ext(0, pack 'n/a', pack 'C n/a', 0, $_[0]) }
my %ext = (
	name => name('on.example'), groups => ext(10, pack 'n/a', pack 'n*', 0x2a2a, 0x001d, 0x0017),
	formats => ext(11, "\1\0"), signatures => ext(13, pack 'n/a', pack 'n*', 0x0403, 0x0804), alpn => ext(16, pack 'n/a', pack '(C/a)*', 'h2', 'http/1.1'),
	versions => ext(43, pack 'C/a', pack 'n*', 0x4a4a, 0x0304, 0x0303), share => ext(51, pack 'n/a', pack 'n n/a n n/a', 0x2a2a, 'x', 0x001d, 'k' x 32),
	first => ext(0x6a6a), last => ext(0xeaea, 'x'), new => ext(0x7777, 'something'),
);
my @CIPHERS = (0x8a8a, 0x1303, 0x1301, 0xc02b);

sub hello
{
	my (@ext) = @_;
	my $body = pack('n', 0x0303) . 'r' x 32 . "\0" . pack('n/a', pack 'n*', @CIPHERS) . "\1\0";
	$body .= pack 'n/a', join '', map { pack 'n n/a', @{ $ext{$_} } } @ext if @ext;
	my $text = "\1" . substr(pack('N', length $body), 1) . $body;
	return join '', map { pack 'C n n/a', 22, 0x0301, $_ } unpack '(a90)*', $text;
}
sub plain { return grep { ($_ & 0x0f0f) != 0x0a0a } @_ }
sub hexes { return join ',', map { sprintf '%04x', $_ } @_ }
sub part { return $_[0] eq '' ? '0' x 12 : substr sha256_hex($_[0]), 0, 12 }
sub ja3
{
	my @types = plain(map { $ext{$_}[0] } @_);
	my %has = map { $_ => 1 } @types;
	return md5_hex(join ',', 0x0303, join('-', plain(@CIPHERS)), join('-', @types), $has{10} ? '29-23' : '', $has{11} ? '0' : '');
}
sub ja4
{
	my @types = plain(map { $ext{$_}[0] } @_);
	my %has = map { $_ => 1 } @_;
	my $c = hexes(sort { $a <=> $b } grep { $_ != 0 && $_ != 16 } @types);
	$c .= '_0403,0804' if $has{signatures};
	return sprintf 't%s%s%02d%02d%s_%s_%s', $has{versions} ? 13 : 12, $has{name} ? 'd' : 'i', scalar(plain(@CIPHERS)), scalar(@types),
	    $has{alpn} ? 'h2' : '00', part(hexes(sort { $a <=> $b } plain(@CIPHERS))), part($c);
}
sub answer
{
	my ($bytes, %opt) = @_;
	my $c = $w->connect(%opt) or return 'no connection';
	$c->send($bytes);
	my $head = $c->read_n(5);
	return $c->timed_out ? 'nothing' : 'closed' if length $head < 5;
	my ($type, undef, $n) = unpack 'C n n', $head;
	my $text = $c->read_n($n);
	return $type == 22 && ord $text == 2 ? 'hello' : $type == 21 ? 'alert ' . unpack 'x C', $text : "record $type";
}

my @most = qw(groups formats signatures versions share);
my @browser = ('first', 'name', @most, 'alpn', 'last');
my @scanner = ('name', @most, 'new');
my @bot = ('name', reverse @most);
my $denied = 'alert 49';

sub entry { my ($hash, $class, $text) = @_; return qq({"hash":"$hash","classification":"$class","description":"$text"}) }
sub db { return '[' . join(",\n", @_) . ']' }

my $conf = <<'E';
worker_processes 1;
error_log %DIR%/error.log info;
http {
	log_format fp '$ssl_ja4 $ssl_ja3 $ssl_fp_class $ssl_protocol $uri';
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	ssl_session_tickets off;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name off.example;
		http2 on;
		return 200 "[off][ja3 $ssl_ja3][ja4 $ssl_ja4][ro $ssl_ja4_ro][class $ssl_fp_class]";
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		listen 127.0.0.1:%PORT3%;
		server_name on.example localhost;
		http2 on;
		ssl_fingerprint on;
		ssl_fingerprint_db %DIR%/known.json;
		access_log %DIR%/access.log fp;
		location / {
			return 200 "[ja3 $ssl_ja3][raw $ssl_ja3_raw][ja4 $ssl_ja4][r $ssl_ja4_r][o $ssl_ja4_o][ro $ssl_ja4_ro][class $ssl_fp_class][name $ssl_fp_name][curve $ssl_curve]";
		}
		location /up {
			proxy_set_header X-JA4 $ssl_ja4;
			proxy_pass http://127.0.0.1:%PORT4%;
		}
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name retry.example;
		ssl_fingerprint on;
		ssl_ecdh_curve P-384;
		return 200 "[ja4 $ssl_ja4][class $ssl_fp_class][curve $ssl_curve]";
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		server_name deny.example;
		ssl_fingerprint on;
		ssl_fingerprint_db %DIR%/known.json;
		ssl_fingerprint_deny malicious scanner;
		return 200 deny;
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		server_name strict.example;
		ssl_fingerprint on;
		ssl_fingerprint_db known.json;
		ssl_fingerprint_deny suspicious;
		return 200 "[strict]";
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		server_name empty.example;
		ssl_fingerprint on;
		ssl_fingerprint_db %DIR%/empty.json;
		ssl_fingerprint_deny suspicious malicious;
		return 200 "[ja4 $ssl_ja4][class $ssl_fp_class]";
	}
	server {
		listen 127.0.0.1:%PORT4%;
		location / { return 200 "[up $http_x_ja4]"; }
		location /metrics { metrics; }
	}
}
stream {
	log_format fp "$ssl_preread_ja4 $ssl_preread_ja3";
	access_log %DIR%/passed.log fp;
	server { listen 127.0.0.1:%PORT5%; ssl_preread on; proxy_pass 127.0.0.1:%PORT1%; }
}
E
$w->write('known.json', db(entry('0' x 32, 'browser', 'nobody')));
$w->write('empty.json', '[]');
$w->start($conf);

sub values_of { my ($text) = @_; my %v = $text =~ /\[(\w+) ([^\]]*)\]/g; return \%v }

# JA3 and JA4 fit to the texts that they are made of.
sub fits
{
	my ($v, $what) = @_;
	is $v->{ja3}, md5_hex($v->{raw}), "$what: JA3 is the MD5 of its text";
	my ($a, $b, $c) = $v->{r} =~ /^([^_]+)_([^_]*)_(.*)$/;
	is $v->{ja4}, join('_', $a, part($b), part($c)), "$what: JA4 is made of its text";
	my ($d, $e, $f) = $v->{ro} =~ /^([^_]+)_([^_]*)_(.*)$/;
	is $v->{o}, join('_', $d, part($e), part($f)), "$what: and JA4_o";
	is $d, $a, "$what: both begin alike";
	is join(',', sort split /,/, $e), $b, "$what: the same ciphers";
	like $a, qr/^t1[23]d\d{4}(?:00|h[12])$/, "$what: $v->{ja4}";
	my ($exts) = $f =~ /^([^_]*)/;
	is join(',', sort grep { !/^00(?:00|10)$/ } split /,/, $exts), $c =~ s/_.*//r, "$what: the same extensions";
	my (undef, $ciphers, $types) = split /,/, $v->{raw};
	is hexes(split /-/, $ciphers), $e, "$what: JA3 has the same ciphers";
	is hexes(split /-/, $types), $exts, "$what: ... and the same extensions";
}

# ---- real ones ----

my $openssl = values_of($w->s_client('on.example', '-alpn', 'http/1.1'));
fits($openssl, 'openssl');
like $openssl->{ja4}, qr/^t13d/, 'TLSv1.3, with a name';
my $again = values_of($w->s_client('on.example', '-alpn', 'http/1.1'));
is $again->{$_}, $openssl->{$_}, "$_ is the same the next time" for qw(ja3 ja4 ro);
isnt values_of($w->s_client('on.example'))->{ja4}, $openssl->{ja4}, 'without ALPN it is another one';
like values_of($w->s_client('on.example', '-tls1_2'))->{ja4}, qr/^t12d/, 'TLSv1.2';
my $retry = values_of($w->s_client('retry.example', '-alpn', 'http/1.1', '-groups', 'X25519:P-384'));
is $retry->{curve}, 'secp384r1', 'a handshake with a HelloRetryRequest';
is $retry->{ja4}, values_of($w->s_client('on.example', '-alpn', 'http/1.1', '-groups', 'X25519:P-384'))->{ja4}, '... the first hello counts';
is $retry->{class}, '', '... where no list is, there is no class';
is $openssl->{class}, 'suspicious', 'who is not in the list';
is $openssl->{name}, '', '... has no name';

SKIP: {
	skip 'needs curl', 12 if system 'curl --version > /dev/null 2>&1';
	my $port = $w->port(1);
	my $get = sub { return values_of(scalar `curl -sk --noproxy '*' --resolve on.example:$port:127.0.0.1 https://on.example:$port/`) };
	my $curl = $get->();
	fits($curl, 'curl');
	my $next = $get->();
	is $next->{$_}, $curl->{$_}, "... its $_ is the same the next time" for qw(ja3 ja4);
	isnt $curl->{ja4}, $openssl->{ja4}, '... and not that of openssl';
}
{	# who passes TLS on sees the same as who ends it
	my $through = values_of($w->s_client('on.example', '-alpn', 'http/1.1', '-connect', '127.0.0.1:' . $w->port(5)));
	is $through->{ja4}, $openssl->{ja4}, 'openssl through a tunnel';
	is(($w->access('passed.log', 1))[0], "$openssl->{ja4} $openssl->{ja3}", '... is the same to the tunnel');
}

# ---- made-up ones: what is in the list says what we make of them ----

$w->write('known.json', db(entry(ja4(@browser), 'malicious', 'M'), entry(uc ja3(@scanner), 'scanner', 'S'), entry(ja4(@bot), 'bot', 'B'),
    entry($openssl->{ja4}, 'browser', 'a \"client\" \u00e9')));
ok $w->reload, 'the list is read again';
is answer(hello(@bot), port => 2), 'hello', 'a bot may come in';
is answer(hello(@browser), port => 2), $denied, 'who is malicious by his JA4 may not';
my $log = quotemeta ja4(@browser);
ok $w->wait_log(qr/the client with the fingerprint $log is refused here: malicious/), '... and that is logged';
is answer(hello(grep { !/first|last/ } @browser), port => 2), $denied, '... nor without GREASE';
is answer(hello(reverse @browser), port => 2), $denied, '... nor in another order';
is answer(hello(@scanner), port => 2), $denied, 'who is a scanner by his JA3 may not, either';
is answer(hello('new', grep { $_ ne 'new' } @scanner), port => 2), 'hello', '... but in another order';
is answer(hello(@browser)), 'hello', 'elsewhere he may';
is answer(hello(@most), port => 2), 'hello', 'who is unknown may come in';
my $known = values_of($w->s_client('on.example', '-alpn', 'http/1.1'));
is $known->{class}, 'browser', '$ssl_fp_class';
is $known->{name}, "a \"client\" \xc3\xa9", '$ssl_fp_name';
my $strict = sub { $w->s_client('strict.example', @_, '-connect', '127.0.0.1:' . $w->port(2)) };
like $strict->('-alpn', 'http/1.1'), qr/\[strict\]/, 'where only those are let in that are known';
like $strict->(), qr/alert number 49/, '... another one is refused';

like $w->request('GET', '/metrics', [], undef, port => 4)->body, qr/^weir_tls_handshake_failures_total\{reason="denied"\} 5$/m, 'they are counted';

# An empty list does not make everybody suspicious.
my $empty = values_of($w->s_client('empty.example', '-connect', '127.0.0.1:' . $w->port(2)));
like $empty->{ja4}, qr/^t13d/, 'an empty list: clients come in';
is $empty->{class}, '', '... and nobody is suspicious';

# ---- where it is off ----

my $off = $w->s_client('off.example');
like $off, qr/\[off\]\[ja3 \]\[ja4 \]\[ro \]\[class \]/, 'off: there is nothing' or diag $off;
is_deeply values_of($w->request('GET', '/', [Host => 'on.example'], undef, port => 3)->body), { map { $_ => '' } qw(ja3 raw ja4 r o ro class name curve) },
    'nor without TLS';

# ---- logs and upstreams ----

my $up = $w->request('GET', '/up', [Host => 'on.example'], undef, tls => { sni => 'on.example', SSL_verify_mode => 0 });
like $up->body, qr/^\[up t13d\d{4}00_[0-9a-f]{12}_[0-9a-f]{12}\]$/, 'an upstream is told';
sub logged { my ($path) = @_; return grep m{ \Q$path\E$}, $w->log_lines('access.log') }
wait_for(sub { logged('/up') });
like +(logged('/up'))[0], qr{^t13d\S+ [0-9a-f]{32} suspicious TLSv1\.3 /up$}, '... and the access log';
cmp_ok scalar(grep { /^\Q$openssl->{ja4} $openssl->{ja3}\E (?:suspicious|browser) / } logged('/')), '>=', 3, '... also of those before';

# ---- Chromium changes the order of its extensions ----

my ($chromium) = grep -x, map "$_/chromium", '/usr/bin', '/usr/local/bin';
sub browse
{
	my ($path) = @_;
	my @cmd = ($chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run',
	    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions',
	    '--disable-default-apps', '--disable-breakpad', '--no-proxy-server', '--mute-audio', '--password-store=basic',
	    '--ignore-certificate-errors', '--host-resolver-rules=MAP on.example 127.0.0.1, MAP * ~NOTFOUND',
	    "--user-data-dir=$dir/profile" . $path =~ s/\W//gr, '--dump-dom', 'https://on.example:' . $w->port(1) . $path);
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		setpgrp;
		%ENV = (PATH => $ENV{PATH}, HOME => $dir, TMPDIR => $dir, XDG_RUNTIME_DIR => $dir, DBUS_SESSION_BUS_ADDRESS => 'disabled:');
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/dom";
		open STDERR, '>', "$dir/chromium.err";
		exec @cmd or POSIX::_exit(127);
	}
	my $ended = wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid }, 120);
	CORE::kill('KILL', -$pid);		# its children, and itself when it hangs
	waitpid $pid, 0 unless $ended;
	wait_for(sub { logged($path) });
	my ($ja4, $ja3) = split / /, (logged($path))[0] // '';
	return { ja4 => $ja4, ja3 => $ja3 };
}
SKIP: {
	skip 'needs chromium', 4 unless $chromium;
	my @seen = map { browse("/page$_") } 1, 2;
	ok $seen[$_]{ja4}, 'Chromium loads a page' or diag $w->read('chromium.err') for 0, 1;
	is $seen[0]{ja4}, $seen[1]{ja4}, 'its JA4 is always the same: ' . ($seen[0]{ja4} // '');
	isnt $seen[0]{ja3}, $seen[1]{ja3}, '... and its JA3 is not';
}
is $w->stop, 0, 'stop';

# ---- lists that are none ----

sub check
{
	my ($http, $server) = @_;
	return $w->test_conf("http { $http ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key;\n" .
	    "server { listen 127.0.0.1:%PORT1% ssl; $server } }\n");
}
my $nobody = qr/no fingerprint is known: /;
for (['missing', undef, qr/$nobody.*No such file/], ['empty', '', $nobody], ['cut', '[{', $nobody], ['an object', '{}', qr/${nobody}the file is no list/],
    ['a number', '7', $nobody], ['a key twice', '[{"hash":"a","hash":"b"}]', $nobody], ['a list of numbers', '[7]', qr/entry 1: it has no "hash"/],
    ['a short hash', db(entry('0' x 32, 'bot', ''), entry('x', 'bot', '')), qr/entry 2: it has no "hash"/],
    ['another class', db(entry('0' x 32, 'friend', '')), qr/entry 1: there is no such "classification"/]) {
	my ($what, $text, $re) = @$_;
	$w->write('known.json', $text) if defined $text;
	unlink "$dir/known.json" unless defined $text;
	my ($code, undef, $err) = check('', 'ssl_fingerprint on; ssl_fingerprint_db %DIR%/known.json;');
	is $code, 0, "a list: $what: weir starts";
	like $err, qr/\[warn\].*ssl_fingerprint_db: $re/, '... and warns';
}
$w->write('known.json', '[]');
my (undef, undef, $err) = check('', 'ssl_fingerprint on; ssl_fingerprint_db %DIR%/known.json;');
unlike $err, qr/warn/, 'a list of nobody is fine';

# ---- mistakes ----

$w->expect_alert(qr/ssl_fingerprint_deny: /);

for (['ssl_fingerprint_deny malicious;', qr/ssl_fingerprint_deny: it needs ssl_fingerprint on and an ssl_fingerprint_db/],
    ['ssl_fingerprint on; ssl_fingerprint_deny malicious;', qr/ssl_fingerprint_deny: it needs/],
    ['ssl_fingerprint_db %DIR%/known.json; ssl_fingerprint_deny malicious;', qr/ssl_fingerprint_deny: it needs/],
    ['ssl_fingerprint on; ssl_fingerprint_db %DIR%/known.json; ssl_fingerprint_deny friends;', qr/ssl_fingerprint_deny: .*friends/]) {
	my ($code, undef, $text) = check('', $_->[0]);
	is $code, 1, "refused: $_->[0]";
	like $text, $_->[1], '... with the reason';
}
is((check('ssl_fingerprint on; ssl_fingerprint_db %DIR%/known.json; ssl_fingerprint_deny scanner;', 'ssl_fingerprint off; ssl_fingerprint_deny off;'))[0], 0,
    'a server may do without what http says');
done_testing;
