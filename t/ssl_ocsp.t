#!/usr/bin/perl

# Clients' certificates that OCSP responders are asked about (S-129): what they say counts, and when nothing can be
# learned, nobody gets in.
#
# effect: ssl_ocsp ssl_ocsp_responder ssl_ocsp_cache

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use MIME::Base64;
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
my $asked = "http://127.0.0.1:" . $w->port(2);
$w->cert('s', cn => 'localhost');
$w->cert('root', cn => 'The Root', is_ca => 1);
$w->cert('mid', cn => 'The Middle', is_ca => 1, ca => 'root', ocsp => "$asked/aia");
$w->cert($_, cn => "$_ client", ca => 'root', ocsp => "$asked/aia") for qw(good gone odd late self);
$w->cert('deep', cn => 'deep client', ca => 'mid', ocsp => "$asked/aia");
$w->cert('named', cn => 'named client', ca => 'root', ocsp => 'http://responder.test:' . $w->port(2) . '/aia');
$w->cert('nowhere', cn => 'nowhere client', ca => 'root', ocsp => 'http://none.test/aia');
$w->cert('secure', cn => 'secure client', ca => 'root', ocsp => 'https://127.0.0.1/');
$w->cert('mute', cn => 'mute client', ca => 'root');
$w->cert('signer', cn => 'Signer', ca => 'root', usage => 'OCSPSigning');
$w->cert('liar', cn => 'Liar', ca => 'root');
$w->cert('other', cn => 'Other', is_ca => 1);
$w->write('deep-chain.crt', join '', map { $w->read("$_.crt") } qw(deep mid));
$w->crl('root', 'gone');

sub serial { return `openssl x509 -in $dir/$_[0].crt -noout -serial` =~ s/serial=|\n//gr }

# What the responder will say of a certificate from now on; status: V, R, or none, so that it knows nothing.
sub say_of
{
	my ($cert, $status, %opt) = @_;
	my $ca = $opt{ca} // 'root';
	my $by = $opt{by} // $ca;
	my $serial = serial($cert);
	my $when = $status eq 'R' ? '250101000000Z' : '';
	$w->write('all.index', $status ? "$status\t301231235959Z\t$when\t$serial\tunknown\t/CN=x\n" : '');
	system("openssl ocsp -index $dir/all.index -CA $dir/$ca.crt -rsigner $dir/$by.crt -rkey $dir/$by.key " .
	    "-issuer $dir/$ca.crt -cert $dir/$cert.crt -respout $dir/new.der -ndays 2 > $dir/ocsp.out 2>&1") == 0
	    or die $w->read('ocsp.out');
	rename "$dir/new.der", "$dir/$serial.der" or die;
}

# The responder: the first word of the path is how it behaves.
sub responder
{
	my ($c) = @_;
	my $q = $c->read_request or return;
	my (undef, $how, $base64) = split m{/}, $q->{uri}, 3;
	my $der = decode_base64(($base64 // '') =~ s/%(..)/chr hex $1/ger);
	my ($serial) = grep { index($der, pack 'H*', $_) >= 0 } map { m{([0-9A-F]+)\.der$} ? $1 : () } glob "$dir/*.der";
	my $host = $q->{headers}{host};
	$c->note("$how " . ($serial // '?') . " $host");
	$der = defined $serial ? $w->read("$serial.der") : '';
	my $type = 'Content-Type: application/ocsp-response';
	my $n = length $der;
	return $c->send("HTTP/1.1 200 OK\r\n$type\r\nContent-Length: $n\r\n\r\n$der") && $c->read_all if $how eq 'length';
	return $c->read_all if $how eq 'silent';
	$c->send($how eq 'lines' ? "HTTP/1.0 200 OK\n$type\n\n$der" :
	    $how eq 'bytes' ? '' :
	    $how eq '500' ? "HTTP/1.1 500 No\r\n$type\r\nContent-Length: $n\r\n\r\n$der" :
	    $how eq 'moved' ? "HTTP/1.1 302 Found\r\nLocation: $asked/lines/\r\nContent-Length: 0\r\n\r\n" :
	    $how eq 'type' ? "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: $n\r\n\r\n$der" :
	    $how eq 'chunked' ? "HTTP/1.1 200 OK\r\n$type\r\nTransfer-Encoding: chunked\r\n\r\n" . sprintf("%x\r\n%s\r\n0\r\n\r\n", $n, $der) :
	    $how eq 'short' ? "HTTP/1.1 200 OK\r\n$type\r\nContent-Length: " . ($n + 1) . "\r\n\r\n$der" :
	    $how eq 'huge' ? "HTTP/1.1 200 OK\r\n$type\r\n\r\n$der" . ('x' x 1_000_000) :
	    $how eq 'head' ? "HTTP/1.1 200 OK\r\n" . ("X: y\r\n" x 200_000) :
	    $how eq 'empty' ? "HTTP/1.1 200 OK\r\n$type\r\n\r\n" :
	    $how eq 'junk' ? "HTTP/1.1 200 OK\r\n$type\r\n\r\njunk" :
	    $how eq 'noise' ? "\0\1\2\3 nothing\r\n\r\n" :
	    $how eq 'close' ? '' : "HTTP/1.1 200 OK\r\nConnection: close\r\n$type\r\n\r\n$der");
	if ($how eq 'bytes') {
		$c->send($_) for split //, "HTTP/1.0 200 OK\r\n$type\r\n\r\n$der";
	}
}
$w->origin(2, \&responder);

# A name server that knows responder.test.
my $names = do {
	my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(3), Proto => 'udp') or die "udp: $!";
	$w->background(sub {
		my ($stop) = @_;
		until ($stop->()) {
			my $in = '';
			vec($in, fileno $s, 1) = 1;
			select($in, undef, undef, 0.05) or next;
			my $from = $s->recv(my $q, 4096);
			my ($name, $type) = substr($q, 12) =~ /^(.*?\0)(..)/s;
			my $known = lc $name eq "\x09responder\x04test\0";
			my $answer = $known && unpack('n', $type) == 1 ? "\xc0\x0c" . pack('n n N n/a', 1, 1, 60, "\x7f\0\0\1") : '';
			$s->send(pack('n6', unpack('n', $q), $known ? 0x8180 : 0x8183, 1, $answer ? 1 : 0, 0, 0) .
			    "$name$type\0\1" . $answer, 0, $from);
		}
		return {};
	});
};

my @odd = qw(lines length bytes 500 moved type chunked short huge head empty junk noise close);
my $conf = <<'E' . join('', map { <<E } @odd) . "}\n";
http {
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	ssl_verify_client on;
	ssl_client_certificate %DIR%/root.crt;
	ssl_verify_depth 2;
	ssl_session_cache shared:S:1m;
	error_page 495 =200 /bad;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name off;
		location / { return 200 "$ssl_client_verify:$ssl_session_reused"; }
		location /bad { return 200 "$ssl_client_verify:$ssl_session_reused"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name leaf;
		ssl_ocsp leaf;
		location / { return 200 "$ssl_client_verify:$ssl_session_reused"; }
		location /bad { return 200 "$ssl_client_verify:$ssl_session_reused"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name on;
		ssl_ocsp on;
		ssl_verify_client optional;
		resolver 127.0.0.1:%PORT3%;
		location / { return 200 "$ssl_client_verify:$ssl_session_reused"; }
		location /bad { return 200 "$ssl_client_verify:$ssl_session_reused"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name cached;
		ssl_ocsp leaf;
		ssl_ocsp_cache shared:O:1m;
		location / { return 200 "$ssl_client_verify"; }
		location /bad { return 200 "$ssl_client_verify"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name down;
		ssl_ocsp leaf;
		ssl_ocsp_responder http://127.0.0.1:%PORT4%/;
		location / { return 200 "$ssl_client_verify"; }
		location /bad { return 200 "$ssl_client_verify"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name name;
		ssl_ocsp leaf;
		ssl_ocsp_responder http://localhost:%PORT2%/name;
		location / { return 200 "$ssl_client_verify"; }
		location /bad { return 200 "$ssl_client_verify"; }
	}
	server {
		listen 127.0.0.1:%PORT5% ssl;
		client_header_timeout 1s;
		ssl_ocsp leaf;
		ssl_ocsp_responder http://127.0.0.1:%PORT2%/silent;
		return 200 x;
	}
	server { listen 127.0.0.1:%PORT6%; metrics; }
E
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name $_;
		ssl_ocsp leaf;
		ssl_ocsp_responder http://127.0.0.1:%PORT2%/$_;
		location / { return 200 "\$ssl_client_verify"; }
		location /bad { return 200 "\$ssl_client_verify"; }
	}
E
$w->start($conf);

sub verify
{
	my ($sni, $name, %opt) = @_;
	my @cert = defined $name ? (SSL_cert_file => "$dir/" . (delete $opt{chain} // $name) . '.crt', SSL_key_file => "$dir/$name.key") : ();
	my $c = $w->connect(tls => { sni => $sni, @cert, %opt }) or return "no connection: $Weir::TLS_ERROR";
	$c->send("GET / HTTP/1.1\r\nHost: $sni\r\nConnection: close\r\n\r\n");
	my $r = $c->response or return 'no response';
	return $r->body =~ s/:\.$//r;
}
my $failed = 'FAILED:certificate status request failed';
my $revoked = 'FAILED:certificate revoked';

say_of('good', 'V');
say_of('gone', 'R');
say_of('odd', '');
say_of('named', 'V');
for my $v ('TLSv1_3', 'TLSv1_2') {
	my @v = (SSL_version => $v);
	is verify('off', 'gone', @v), 'SUCCESS', "$v: off: nobody is asked";
	is verify('leaf', 'good', @v), 'SUCCESS', "$v: leaf: good";
	is verify('leaf', 'gone', @v), $revoked, "$v: revoked (S-129)";
	is verify('leaf', 'odd', @v), 'FAILED:certificate status unknown', "$v: the responder does not know it (S-129)";
	is verify('leaf', 'mute', @v), $failed, "$v: a certificate that names no responder";
	is verify('leaf', 'secure', @v), $failed, "$v: or one that is asked over TLS";
	is verify('leaf', 'named', @v), $failed, "$v: a name without a resolver";
	is verify('on', 'named', @v), 'SUCCESS', "$v: a resolver";
	is verify('on', 'nowhere', @v), $failed, "$v: a name that nobody knows";
	is verify('on', undef, @v), 'NONE', "$v: who has no certificate is asked nothing";
	is verify('down', 'good', @v), $failed, "$v: a responder that is down (S-129)";
	is verify('down', 'other', @v), 'FAILED:self-signed certificate', "$v: about strangers nobody is asked";
}
is verify('name', 'good'), 'SUCCESS', 'a name that was known when the configuration was read';
my @notes = $w->origin_notes(2, 9);
is scalar(grep(/^aia/, @notes)), 8, 'the responder of the certificate';
is scalar(grep { /^name \S+ localhost:\d+$/ } @notes), 1, 'ssl_ocsp_responder, with Host';
for (qr/no OCSP responder URL in certificate while requesting certificate status/,
    qr/invalid URL prefix in OCSP responder "https:/,
    qr/no resolver defined to resolve responder\.test while requesting certificate status, responder: responder\.test/,
    qr/none\.test could not be resolved \(.*Host not found\)/,
    qr/connect\(\) failed \(111: Connection refused\) while requesting certificate status, responder: 127\.0\.0\.1/,
    qr/client SSL certificate verify error: certificate revoked/) {
	$w->log_like($_, "the log: $_");
}

{
	my $m = $w->request('GET', '/', [], undef, port => 6)->body;
	my ($answered) = $m =~ /^weir_tls_ocsp_requests_total\{result="answered"\} (\d+)$/m;
	my ($silent) = $m =~ /^weir_tls_ocsp_requests_total\{result="failed"\} (\d+)$/m;
	is $answered, 9, 'answers are counted';
	cmp_ok $silent, '>=', 4, 'and when there were none';
}

# ---- whose word counts ----

say_of('good', 'V', by => 'signer');
is verify('leaf', 'good'), 'SUCCESS', 'signed by whom the issuer has told to';
for (['other', 'a stranger'], ['liar', 'somebody else whom the issuer knows'], ['good', 'the client itself']) {
	my ($by, $what) = @$_;
	say_of('good', 'V', by => $by);
	is verify('leaf', 'good'), $failed, "signed by $what: not believed";
}
# about another certificate, whose answer lies where this one's is expected
say_of('good', 'V');
say_of('odd', 'V');
{
	my $der = $w->read(serial('odd') . '.der');
	$w->write(serial('odd') . '.der', $w->read(serial('good') . '.der'));
	is verify('leaf', 'odd'), $failed, 'about another certificate: not believed';
	$w->write(serial('odd') . '.der', $der);
	is verify('leaf', 'odd'), 'SUCCESS', '... its own is';
}
$w->log_like(qr/the signature is not the issuer's while requesting certificate status/, 'says the log');
$w->log_like(qr/it is about another certificate while requesting certificate status/, 'and that');

# ---- how it is said ----

say_of('good', 'V');
is verify($_, 'good'), 'SUCCESS', "an answer: $_" for qw(lines length bytes);
is verify($_, 'good'), $failed, "no answer: $_ (S-129)" for grep !/^(?:lines|length|bytes)$/, @odd;
{
	my $c = $w->connect(port => 5, tls => { SSL_cert_file => "$dir/good.crt", SSL_key_file => "$dir/good.key" });
	is verify('leaf', 'good'), 'SUCCESS', 'others are served while a responder is silent';
	is $c->read_all, '', 'the handshake has its time';
	$w->log_like(qr/client timed out in the TLS handshake/, 'says the log');
}

# ---- the chain ----

say_of('deep', 'V', ca => 'mid');
is verify('leaf', 'deep', chain => 'deep-chain'), 'SUCCESS', 'leaf: authorities are not asked about';
is verify('on', 'deep', chain => 'deep-chain'), $failed, 'on: they are';
say_of('mid', 'R');
is verify('on', 'deep', chain => 'deep-chain'), $revoked, '... and may be revoked';
say_of('mid', 'V');
is verify('on', 'deep', chain => 'deep-chain'), 'SUCCESS', '... or not';

# ---- what is kept ----

my $before = () = grep /^aia/, $w->origin_notes(2);
is verify('cached', 'good'), 'SUCCESS', 'ssl_ocsp_cache: asked';
say_of('good', 'R');
is verify('cached', 'good'), 'SUCCESS', '... and remembered';
ok $w->reload, 'reload';
is verify('cached', 'good'), 'SUCCESS', '... also then';
is scalar(grep /^aia/, $w->origin_notes(2)) - $before, 1, '... asked once';
is verify('leaf', 'good'), $revoked, 'without a cache: news count';
is verify('cached', 'mute'), $failed, 'failures are not kept';

# ---- sessions ----

for my $v ('-tls1_3', '-tls1_2') {
	my @me = ($v, '-cert', "$dir/good.crt", '-key', "$dir/good.key");
	say_of('good', 'V');
	like $w->s_client('leaf', @me, '-sess_out', "$dir/one"), qr/\A(?=.*New, TLS)(?=.*SUCCESS:\.)/s, "$v: a session";
	like $w->s_client('leaf', @me, '-sess_in', "$dir/one"), qr/\A(?=.*Reused, TLS)(?=.*SUCCESS:r)/s, "$v: ... is resumed";
	like $w->s_client('leaf', @me, '-sess_out', "$dir/two"), qr/\A(?=.*New, TLS)(?=.*SUCCESS:\.)/s, "$v: another";
	say_of('good', 'R');
	like $w->s_client('leaf', @me, '-sess_in', "$dir/two"), qr/\A(?=.*Reused, TLS)(?=.*FAILED:certificate revoked:r)/s, "$v: revoked since";
	# of the second connection only the client's own certificate is there
	for my $more ([], ['-no_ticket']) {
		next if @$more && $v eq '-tls1_3';
		@me = ($v, '-cert', "$dir/deep.crt", '-key', "$dir/deep.key", '-cert_chain', "$dir/mid.crt", @$more);
		like $w->s_client('leaf', @me, '-sess_out', "$dir/three"), qr/SUCCESS:\./, "$v @$more: a longer chain";
		like $w->s_client('leaf', @me, '-sess_in', "$dir/three"), qr/\A(?=.*New, TLS)(?=.*SUCCESS:\.)/s, "$v @$more: ... begins anew";
	}
}
is $w->stop, 0, 'stop';

# ---- mistakes ----

$w->expect_alert(qr/\[emerg\]/);
for (['ssl_ocsp maybe;', qr/ssl_ocsp: /],
    ["ssl_ocsp on;\nssl_verify_client optional_no_ca;", qr/"ssl_ocsp" is incompatible with "ssl_verify_client optional_no_ca"/],
    ['ssl_ocsp on; ssl_ocsp_responder https://127.0.0.1/;', qr/ssl_ocsp_responder: invalid URL prefix in OCSP responder "https:/],
    ['ssl_ocsp on; ssl_ocsp_responder http:///x;', qr/ssl_ocsp_responder: no host/],
    ['ssl_ocsp on; ssl_ocsp_responder http://127.0.0.1:99999/;', qr/ssl_ocsp_responder: invalid port/],
    ['ssl_ocsp on; ssl_ocsp_responder http://no..host/;', qr/ssl_ocsp_responder: .* in OCSP responder/],
    ['ssl_ocsp_cache 1m;', qr/ssl_ocsp_cache: invalid OCSP cache "1m"/],
    ['ssl_ocsp_cache shared:O;', qr/ssl_ocsp_cache: it has a name and a size/],
    ['ssl_ocsp_cache shared:O:1;', qr/ssl_ocsp_cache: /]) {
	my ($text, $re) = @$_;
	my ($code, undef, $err) = $w->test_conf("http {\nserver {\nlisten 127.0.0.1:%PORT1% ssl;\nssl_certificate %DIR%/s.crt;\n" .
	    "ssl_certificate_key %DIR%/s.key;\n$text\n}\n}\n");
	is $code, 1, "$text";
	like $err, $re, '... is refused at its place';
}
done_testing;
