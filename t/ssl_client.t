#!/usr/bin/perl

# Clients that show certificates: who is let in, what is known of them, and that nobody gets into one server
# by what another was shown.
#
# effect: ssl_client_certificate ssl_trusted_certificate ssl_verify_client ssl_verify_depth ssl_crl

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'localhost');
$w->cert('root', cn => 'The Root', is_ca => 1);
$w->cert('mid', cn => 'The Middle', is_ca => 1, ca => 'root');
$w->cert('mid2', cn => 'The Other Middle', is_ca => 1, ca => 'mid');
$w->cert('good', cn => 'good client', ca => 'root');
$w->cert('bad', cn => 'revoked client', ca => 'root');
$w->cert('deep', cn => 'deep client', ca => 'mid2');
$w->cert('stranger', cn => 'stranger');
$w->cert('late', cn => 'late client', ca => 'root', end => '20200202000000Z');
$w->cert('server', cn => 'a server', ca => 'root', usage => 'serverAuth');
$w->cert('elsewhere', cn => 'Another Root', is_ca => 1);
$w->crl('root', 'bad');
$w->write('deep-chain.crt', join '', map { $w->read("$_.crt") } qw(deep mid2 mid));

my $conf = <<'E';
http {
	http2 on;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	access_log %DIR%/access.log;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name localhost;
		location / { return 200 "open|$ssl_client_verify|$ssl_client_s_dn"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name on.example;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/root.crt;
		location / { return 200 "on|$ssl_client_verify|$ssl_client_s_dn|$ssl_client_i_dn|$ssl_client_s_dn_legacy|$ssl_client_i_dn_legacy"; }
		location /header { add_header X-Cert "$ssl_client_cert"; return 200 x; }
		location /cert { return 200 "$ssl_client_cert"; }
		location /raw { return 200 "$ssl_client_raw_cert"; }
		location /escaped { return 200 "$ssl_client_escaped_cert"; }
		location /facts { return 200 "$ssl_client_serial|$ssl_client_fingerprint|$ssl_client_v_start|$ssl_client_v_end|$ssl_client_v_remain|$ssl_client_sigalg"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name pages.example;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/root.crt;
		error_page 495 =200 /bad;
		error_page 496 /none;
		location / { return 200 in; }
		location /bad { return 200 "bad: $ssl_client_verify"; }
		location /none { return 200 "none"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name optional.example;
		ssl_verify_client optional;
		ssl_trusted_certificate %DIR%/root.crt;
		location / { return 200 "optional|$ssl_client_verify"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name noca.example;
		ssl_verify_client optional_no_ca;
		ssl_verify_depth 3;
		location / { return 200 "noca|$ssl_client_verify"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name depth.example;
		ssl_verify_client on;
		ssl_verify_depth 3;
		ssl_client_certificate %DIR%/root.crt;
		location / { return 200 "depth|$ssl_client_verify"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name crl.example;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/root.crt;
		ssl_crl %DIR%/root.crl;
		location / { return 200 "crl|$ssl_client_verify"; }
	}
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name other.example;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/elsewhere.crt;
		location / { return 200 other; }
	}
}
E
$w->start($conf);

sub client { my ($name, $chain) = @_; return (SSL_cert_file => "$dir/" . ($chain // $name) . '.crt', SSL_key_file => "$dir/$name.key") }

sub get
{
	my ($sni, %opt) = @_;
	my $host = delete $opt{host} // $sni;
	my $uri = delete $opt{uri} // '/';
	my $c = $w->connect(tls => { sni => $sni, %opt }) or return undef;
	$c->send("GET $uri HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
	return $c->response;
}

sub body { my $r = get(@_); return $r ? $r->status . ' ' . $r->body : "no response: $Weir::TLS_ERROR" }

# ---- one test for both versions of TLS ----

for my $v ('TLSv1_3', 'TLSv1_2') {
	my @v = (SSL_version => $v);
	is body('localhost', @v, client('good')), '200 open|NONE|', "$v: a server that does not ask learns nothing";
	is body('on.example', @v, client('good')),
	    '200 on|SUCCESS|CN=good client|CN=The Root|/CN=good client|/CN=The Root', "$v: on: a good certificate";
	like body('on.example', @v), qr{^400 .*<title>400 No required SSL certificate was sent</title>}s, "$v: on: none (496)";
	like body('on.example', @v, client('stranger')), qr{^400 .*<title>400 The SSL certificate error</title>}s, "$v: on: a stranger (495)";
	like body('on.example', @v, client('late')), qr{^400 .*The SSL certificate error}s, "$v: on: expired (S-129)";
	like body('on.example', @v, client('server')), qr{^400 .*The SSL certificate error}s, "$v: on: for another use (S-129)";
	is body('pages.example', @v), '400 none', "$v: error_page 496";
	is body('pages.example', @v, client('stranger')), '200 bad: FAILED:self-signed certificate', "$v: error_page 495";
	is body('pages.example', @v, client('good')), '200 in', "$v: who is good sees neither";
	is body('optional.example', @v), '200 optional|NONE', "$v: optional: none";
	is body('optional.example', @v, client('good')), '200 optional|SUCCESS', "$v: optional, by ssl_trusted_certificate";
	like body('optional.example', @v, client('stranger')), qr/^400 /, "$v: optional: a stranger";
	is body('noca.example', @v), '200 noca|NONE', "$v: optional_no_ca: none";
	is body('noca.example', @v, client('stranger')), '200 noca|FAILED:self-signed certificate', "$v: optional_no_ca: a stranger";
	is body('noca.example', @v, client('good')), '200 noca|FAILED:unable to verify the first certificate', "$v: optional_no_ca";
	like body('noca.example', @v, client('late')), qr/^(?:200 noca\|FAILED|400)/, "$v: optional_no_ca: expired";
	like body('on.example', @v, client('deep', 'deep-chain')), qr/^400 /, "$v: too long a chain for ssl_verify_depth 1";
	is body('depth.example', @v, client('deep', 'deep-chain')), '200 depth|SUCCESS', "$v: ssl_verify_depth 3";
	is body('crl.example', @v, client('good')), '200 crl|SUCCESS', "$v: ssl_crl: not revoked";
	like body('crl.example', @v, client('bad')), qr/^400 .*The SSL certificate error/s, "$v: ssl_crl: revoked";
	is body('on.example', @v, client('bad')) =~ /^200 / ? 1 : 0, 1, "$v: ... which others do not know";

	# S-125: what was shown to one server means nothing to another.
	like body('localhost', @v, client('good'), host => 'on.example'), qr/^421 /, "$v: SNI without, Host with verification";
	like body('on.example', @v, client('good'), host => 'other.example'), qr/^421 /, "$v: other authorities";
	like body('on.example', @v, client('good'), host => 'localhost'), qr/^421 /, "$v: the other way round";
	like body('', @v, client('good'), host => 'on.example'), qr/^421 /, "$v: no SNI at all";
	like body('other.example', @v, client('good')), qr/^400 /, "$v: another root refuses it";
}

# Files of authorities: several, some with trust settings of OpenSSL's, and revocations among them.
{
	my $m = Weir->new;
	$m->cert('s');
	$m->cert("ca$_", is_ca => 1) for 1, 2;
	$m->cert("c$_", ca => "ca$_") for 1, 2;
	my $d = $m->dir;
	system("openssl x509 -in $d/ca1.crt -addtrust clientAuth -trustout -out $d/ca1.trusted") == 0 or die;
	$m->write('cas', "some text\n" . join '', map { $m->read($_) } qw(ca1.trusted ca2.crt));
	$m->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1% ssl;
		ssl_certificate %DIR%/s.crt;
		ssl_certificate_key %DIR%/s.key;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/cas;
		return 200 "$ssl_client_s_dn";
	}
}
E
	for my $n (1, 2) {
		my $c = $m->connect(tls => { SSL_cert_file => "$d/c$n.crt", SSL_key_file => "$d/c$n.key" });
		$c->send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		is $c->response->body, "CN=c$n", "authority $n of a file";
	}
	$m->stop;
}

# ---- the names of authorities ----

sub told
{
	my ($sni) = @_;
	return scalar `openssl s_client -connect 127.0.0.1:@{[ $w->port(1) ]} -servername $sni -tls1_2 < /dev/null 2>&1`;
}
like told('on.example'), qr/Acceptable client certificate CA names\nCN = The Root/, 'ssl_client_certificate is told to clients';
like told('optional.example'), qr/No client certificate CA names sent/, 'ssl_trusted_certificate is not';

# ---- variables ----

my $pem = $w->read('good.crt');
(my $tabbed = $pem) =~ s/\n(?=.)/\n\t/g;
chomp $tabbed;
is body('on.example', client('good'), uri => '/raw'), "200 $pem", '$ssl_client_raw_cert';
is body('on.example', client('good'), uri => '/cert'), "200 $tabbed", '$ssl_client_cert';
(my $line = $tabbed) =~ s/\n\t/ /g;
is get('on.example', client('good'), uri => '/header')->header('X-Cert'), $line, '... in a field it is one line';
(my $escaped = $pem) =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ge;
is body('on.example', client('good'), uri => '/escaped'), "200 $escaped", '$ssl_client_escaped_cert';
chomp(my @x = `openssl x509 -in $dir/good.crt -noout -serial -fingerprint -sha1 -startdate -enddate`);
my %x = map { /^([^=]*)=(.*)/ ? ($1 => $2) : () } @x;
$x{'sha1 Fingerprint'} =~ tr/A-F:/a-f/d;
my ($serial, $print, $start, $end, $remain, $how) = split /\|/, body('on.example', client('good'), uri => '/facts') =~ s/^200 //r;
is $serial, $x{serial}, '$ssl_client_serial';
is $print, $x{'sha1 Fingerprint'}, '$ssl_client_fingerprint';
is $start, $x{notBefore}, '$ssl_client_v_start';
is $end, $x{notAfter}, '$ssl_client_v_end';
like $remain, qr/^(?:29|30)$/, '$ssl_client_v_remain';
is $how, 'ecdsa_secp256r1_sha256', '$ssl_client_sigalg';
$w->log_like(qr/client SSL certificate verify error: \(\d+:certificate revoked\)/, 'the log tells why');
$w->log_like(qr/client sent no required SSL certificate/, '... or that there was none');
$w->log_like(qr/client attempted to request the server name different from the one that was negotiated/, '... or that it was the wrong server');

# ---- resuming: not with others' sessions, nor by old rules (S-124) ----

for my $v ('-tls1_3', '-tls1_2') {
	my @me = ('-cert', "$dir/good.crt", '-key', "$dir/good.key");
	my $r = $w->s_client('on.example', $v, @me, '-sess_out', "$dir/one");
	like $r, qr/\A(?=.*New, TLS)(?=.*on\|SUCCESS)/s, "$v: a session of one server";
	like $w->s_client('on.example', $v, @me, '-sess_in', "$dir/one"), qr/\A(?=.*Reused, TLS)(?=.*on\|SUCCESS)/s, "$v: ... is resumed there";
	like $w->s_client('on.example', $v, '-sess_in', "$dir/one"), qr/\A(?=.*Reused, TLS)(?=.*on\|SUCCESS\|CN=good client)/s, "$v: ... and says who it was";
	$r = $w->s_client('other.example', $v, @me, '-sess_in', "$dir/one");
	like $r, qr/New, TLS/, "$v: not at a server with other authorities";
	like $r, qr/HTTP\/1\.1 400 /, "$v: ... which refuses the certificate";
	$r = $w->s_client('localhost', $v, '-sess_out', "$dir/two");
	like $r, qr/\A(?=.*New, TLS)(?=.*open\|NONE)/s, "$v: a session without a certificate";
	$r = $w->s_client('on.example', $v, '-sess_in', "$dir/two");
	like $r, qr/\A(?=.*New, TLS)(?=.*No required SSL certificate)/s, "$v: ... is worth nothing where one is needed";
}

# What was resumed for one name gets at no other server by Host (S-124, S-125).
sub as_host
{
	my ($sni, $host, @args) = @_;
	$w->write('asked', "GET / HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
	return scalar `timeout 60 openssl s_client -ign_eof -connect 127.0.0.1:@{[ $w->port(1) ]} -servername $sni @args < $dir/asked 2>&1`;
}
for my $v ('-tls1_3', '-tls1_2') {
	my @me = ('-cert', "$dir/good.crt", '-key', "$dir/good.key");
	like $w->s_client('localhost', $v, '-sess_out', "$dir/open"), qr/open\|NONE/, "$v: a session of who is nobody";
	like as_host('localhost', 'localhost', $v, '-sess_in', "$dir/open"), qr/\A(?=.*Reused, TLS)(?=.*open\|NONE)/s, "$v: resumed: the same server";
	like as_host('localhost', 'on.example', $v, '-sess_in', "$dir/open"), qr/\A(?=.*Reused, TLS)(?=.*HTTP\/1\.1 421 )/s, "$v: resumed: another by Host";
	like $w->s_client('on.example', $v, @me, '-sess_out', "$dir/known"), qr/on\|SUCCESS/, "$v: a session of who is known";
	like as_host('on.example', 'other.example', $v, '-sess_in', "$dir/known"), qr/\A(?=.*Reused, TLS)(?=.*HTTP\/1\.1 421 )/s,
	    "$v: resumed: one with other authorities by Host";
	like as_host('localhost', 'localhost', $v, '-sess_in', "$dir/known"), qr/open\|NONE\|/, "$v: where nobody asks, nobody is known";
	unlike as_host('localhost', 'on.example', $v, '-sess_in', "$dir/known"), qr/SUCCESS/, "$v: ... by Host neither";
}

# The same of HTTP/2.
SKIP: {
	skip 'no curl with HTTP/2', 4 if `curl --version 2>&1` !~ /HTTP2/;
	my $port = $w->port(1);
	my $ask = sub {
		my ($sni, $host) = @_;
		return `curl -sk --http2 --cert $dir/good.crt --key $dir/good.key --resolve $sni:$port:127.0.0.1 -H 'Host: $host' -o /dev/null -w '%{http_version} %{http_code}' https://$sni:$port/ 2>&1`;
	};
	is $ask->('on.example', 'on.example'), '2 200', 'HTTP/2: a good certificate';
	is $ask->('localhost', 'on.example'), '2 421', '... :authority of another server (S-125)';
	is $ask->('on.example', 'other.example'), '2 421', '... with other authorities';
	is $ask->('on.example', 'localhost'), '2 421', '... the other way round';
}

# New rules hold for old sessions: the list of revocations has grown.
{
	my @me = ('-cert', "$dir/good.crt", '-key', "$dir/good.key");
	like $w->s_client('crl.example', '-tls1_3', @me, '-sess_out', "$dir/three"), qr/\A(?=.*New, TLS)(?=.*crl\|SUCCESS)/s, 'a session before a reload';
	$w->crl('root', 'good');
	ok $w->reload, 'reload';
	like $w->s_client('crl.example', '-tls1_3', @me, '-sess_in', "$dir/three"), qr/\A(?=.*New, TLS)(?=.*The SSL certificate error)/s,
	    'who was revoked since is refused';
}

# ---- mistakes (S-128) ----

my $t = Weir->new;
$t->expect_alert(qr/\[emerg\]/);
$t->cert('s');
$t->write('empty', '');
$t->write('cut', substr $t->read('s.crt'), 0, 300);
$t->write('half', $t->read('s.crt') . "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
for (['nothing to verify with', 'ssl_verify_client on;', qr/6:\d+: ssl_verify_client: no ssl_client_certificate or ssl_trusted_certificate/],
    ['no such file', "ssl_verify_client on;\nssl_client_certificate %DIR%/none;", qr/7:\d+: ssl_client_certificate: cannot load certificates of authorities from ".*No such file/],
    ['an empty file', "ssl_verify_client on;\nssl_client_certificate %DIR%/empty;", qr/7:\d+: ssl_client_certificate: cannot load certificates of authorities/],
    ['an empty file that is trusted', "ssl_verify_client optional;\nssl_trusted_certificate %DIR%/empty;", qr/7:\d+: ssl_trusted_certificate: cannot load/],
    ['a folder', "ssl_verify_client on;\nssl_client_certificate %DIR%;", qr/7:\d+: ssl_client_certificate: cannot load/],
    ['a key', "ssl_verify_client on;\nssl_client_certificate %DIR%/s.key;", qr/7:\d+: ssl_client_certificate: cannot load/],
    ['a certificate that is cut', "ssl_verify_client on;\nssl_client_certificate %DIR%/cut;", qr/7:\d+: ssl_client_certificate: cannot load/],
    ['junk behind a certificate', "ssl_verify_client optional;\nssl_trusted_certificate %DIR%/half;", qr/7:\d+: ssl_trusted_certificate: cannot load/],
    ['a list of nothing', "ssl_crl %DIR%/empty;", qr/6:\d+: ssl_crl: cannot load revocations/],
    ['a word', 'ssl_verify_client maybe;', qr/6:\d+: ssl_verify_client: /]) {
	my ($what, $text, $re) = @$_;
	my ($code, $out, $err) = $t->test_conf("http {\nserver {\nlisten 127.0.0.1:%PORT1% ssl;\n" .
	    "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/s.key;\n$text\n}\n}\n");
	is $code, 1, "$what is refused";
	like $err, $re, '... at its place';
}

# A file that became empty is no reason to let everybody in.
{
	my $e = Weir->new;
	$e->expect_alert(qr/\[emerg\]/);
	$e->cert('s');
	$e->write('cas', $e->read('s.crt'));
	$e->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1% ssl;
		ssl_certificate %DIR%/s.crt;
		ssl_certificate_key %DIR%/s.key;
		ssl_verify_client on;
		ssl_client_certificate %DIR%/cas;
		return 200 in;
	}
}
E
	my $status = sub {
		my $c = $e->connect(tls => {});
		$c->send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		return $c->response->status;
	};
	is $status->(), 400, 'a certificate is asked for';
	$e->write('cas', '');
	ok !$e->reload, 'the file is empty: no reload';
	is $status->(), 400, '... and still one is asked for';
	$e->stop;
}
done_testing;
