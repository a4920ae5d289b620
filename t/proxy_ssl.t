#!/usr/bin/perl

# TLS to upstreams.
#
# effect: proxy_ssl_certificate proxy_ssl_certificate_key proxy_ssl_password_file proxy_ssl_ciphers
# effect: proxy_ssl_ecdh_curve proxy_ssl_protocols proxy_ssl_conf_command proxy_ssl_verify
# effect: allow_insecure_upstream proxy_ssl_verify_depth proxy_ssl_trusted_certificate proxy_ssl_crl
# effect: proxy_ssl_name proxy_ssl_server_name proxy_ssl_session_reuse proxy_ssl_certificate_cache

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::SSL;
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
my $d = $w->dir;

sub openssl { system("cd $d && openssl @_ >>openssl.log 2>&1") == 0 or die "openssl @_: see $d/openssl.log" }

# root -> inter -> chained; root -> direct, client; revoked by the root's list
$w->write('ca.conf', <<"E");
[ca]
default_ca = own
[own]
new_certs_dir = $d
database = $d/index
serial = $d/serial
default_md = sha256
default_days = 2
default_crl_days = 2
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[authority]
basicConstraints = critical,CA:TRUE
[plain]
basicConstraints = CA:FALSE
E
$w->write('index', '');
$w->write('serial', "1000\n");
my $ec = '-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes';
openssl("req -x509 $ec -keyout root.key -out root.crt -subj /CN=root -days 2 -config ca.conf -extensions authority");
sub issue
{
	my ($name, $by, $ext, $alt, @more) = @_;
	openssl("req -new $ec -keyout $name.key -out $name.csr -subj /CN=$name -config ca.conf"
	    . ($alt ? " -addext subjectAltName=$alt" : ''));
	openssl("ca -batch -config ca.conf -cert $by.crt -keyfile $by.key -in $name.csr -out $name.crt -extensions $ext -notext @more");
}
issue('inter', 'root', 'authority');
issue('direct', 'root', 'plain', 'DNS:direct.test,DNS:*.wild.test,IP:127.0.0.1');
issue('chained', 'inter', 'plain', 'DNS:chained.test');
issue('client', 'root', 'plain');
issue('other', 'root', 'plain');
issue('expired', 'root', 'plain', 'DNS:expired.test', '-startdate 20200101000000Z -enddate 20210101000000Z');
issue('revoked', 'root', 'plain', 'DNS:revoked.test');
openssl('ca -config ca.conf -cert root.crt -keyfile root.key -revoke revoked.crt');
openssl('ca -config ca.conf -cert root.crt -keyfile root.key -gencrl -out root.crl');
openssl("req -x509 $ec -keyout self.key -out self.crt -subj /CN=self -days 2");
openssl('ec -in client.key -aes128 -passout pass:secret -out locked.key');
sub put		# as somebody does who renews certificates
{
	my ($as, $name, @ext) = @_;
	for my $ext (@ext ? @ext : qw(key crt)) {
		$w->write("id/$as.new", $w->read("$name.$ext"));
		chmod 0644, "$d/id/$as.new";
		rename "$d/id/$as.new", "$d/id/$as.$ext";
	}
}
put($_, 'client') for 'a', 'c', 'd';
put('b', 'other');
put('locked', 'client', 'crt');
put('locked', 'locked', 'key');
$w->write('empty.crt', '');
$w->write('both.crt', $w->read('chained.crt') . $w->read('inter.crt'));
$w->write('passwords', "wrong\nsecret\n");
chmod 0600, glob "$d/*.key";

my $tls = 'ssl_certificate_key %DIR%/NAME.key; ssl_certificate %DIR%/CERT.crt;';
sub origin { my ($port, $name, $cert, $more) = @_; my $t = $tls =~ s/NAME/$name/r =~ s/CERT/$cert/r;
	return "server { listen 127.0.0.1:%PORT$port% ssl; $t $more location / { return 200 " .
	    '"$ssl_protocol $ssl_cipher $ssl_curve [$ssl_server_name] $ssl_session_reused $ssl_client_verify $ssl_alpn_protocol c$connection\n"; add_header X-Who $ssl_client_s_dn; } }' . "\n" }

$w->start("http {\n" . origin(2, 'direct', 'direct', 'ssl_verify_client optional; ssl_client_certificate %DIR%/root.crt;') .
    origin(3, 'chained', 'both', '') . origin(4, 'self', 'self', '') . origin(5, 'revoked', 'revoked', '') .
    origin(10, 'expired', 'expired', '') . origin(11, 'direct', 'direct', 'ssl_protocols TLSv1.3;') .
    origin(6, 'direct', 'direct', 'ssl_protocols TLSv1.2; keepalive_timeout 0;') .
    origin(7, 'direct', 'direct', 'keepalive_timeout 0;') . <<'E');
	server {
		listen 127.0.0.1:%PORT1%;
		location /plain { proxy_pass https://127.0.0.1:%PORT4%; }
		location /var { proxy_pass $arg_scheme://127.0.0.1:%PORT4%; }
		location /verify/ip { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; }
		location /verify/name { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name $arg_name; }
		location /verify/system { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_verify on; }
		location /verify/self { proxy_pass https://127.0.0.1:%PORT4%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name self; }
		location /verify/off { proxy_pass https://127.0.0.1:%PORT4%; allow_insecure_upstream on; proxy_ssl_verify off; proxy_ssl_trusted_certificate %DIR%/root.crt; }
		location /deep { proxy_pass https://127.0.0.1:%PORT3%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name chained.test; }
		location /shallow { proxy_pass https://127.0.0.1:%PORT3%; proxy_ssl_verify on; proxy_ssl_verify_depth 0; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name chained.test; }
		location /revoked { proxy_pass https://127.0.0.1:%PORT5%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name revoked.test; }
		location /crl { proxy_pass https://127.0.0.1:%PORT5%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name revoked.test; proxy_ssl_crl %DIR%/root.crl; }
		location /crl-fine { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name direct.test; proxy_ssl_crl %DIR%/root.crl; }
		location /cert { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_certificate %DIR%/client.crt; proxy_ssl_certificate_key %DIR%/client.key; 
			location /cert/none { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_certificate ""; } }
		location /locked { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_certificate %DIR%/client.crt; proxy_ssl_certificate_key %DIR%/locked.key; proxy_ssl_password_file %DIR%/passwords; }
		location /sni { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_server_name on; proxy_ssl_name sni.test; }
		location /sni-ip { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_server_name on; }
		location /sni-off { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_name sni.test; }
		location /v12 { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_protocols TLSv1.2; }
		location /cipher { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_protocols TLSv1.2; proxy_ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305; }
		location /suite { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; }
		location /group { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_ecdh_curve X25519; }
		location /expired { proxy_pass https://127.0.0.1:%PORT10%; proxy_ssl_verify on; proxy_ssl_trusted_certificate %DIR%/root.crt; proxy_ssl_name expired.test; }
		location /alert { proxy_pass https://127.0.0.1:%PORT11%; proxy_ssl_protocols TLSv1.2; }
		location /late { proxy_pass https://127.0.0.1:%PORT14%; }
		location /early { proxy_pass https://127.0.0.1:%PORT12%; }
		location /cut { proxy_pass https://127.0.0.1:%PORT13%; }
		location /id {
			proxy_ssl_certificate %DIR%/id/$arg_id.crt; proxy_ssl_certificate_key %DIR%/id/$arg_id.key;
			location /id/plain { proxy_pass https://127.0.0.1:%PORT2%; }
			location /id/two { proxy_pass https://two; }
			location /id/kept { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_certificate_cache max=2 valid=1h inactive=1h; }
			location /id/short { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_certificate_cache max=20 valid=1ms inactive=1h; }
			location /id/unused { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_certificate_cache max=20 valid=1h inactive=1ms; }
			location /id/locked { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_password_file %DIR%/passwords; proxy_ssl_certificate_cache max=20 valid=1h inactive=1h; }
			location /id/var { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_certificate $arg_crt; }
		}
		location /reuse { proxy_pass https://127.0.0.1:%PORT7%; }
		location /reuse12 { proxy_pass https://127.0.0.1:%PORT6%; }
		location /no-reuse { proxy_pass https://127.0.0.1:%PORT7%; proxy_ssl_session_reuse off; }
		location /clear { proxy_pass https://127.0.0.1:%PORT8%; }
		location /silent { proxy_pass https://127.0.0.1:%PORT9%; proxy_connect_timeout 300ms; }
		location /next { proxy_pass https://two; }
		location /if { proxy_pass https://127.0.0.1:%PORT2%; proxy_ssl_server_name on; proxy_ssl_name outer.test;
			if ($arg_x) { set $y 1; } }
	}
	upstream two { server 127.0.0.1:%PORT8%; server 127.0.0.1:%PORT4%; }
}
E
$w->origin(8, sub { my ($c) = @_; $c->read_n(1); $c->send("HTTP/1.1 400 what is this\r\n\r\n") });
$w->origin(14, sub {
	my ($c) = @_;
	IO::Socket::SSL->start_SSL($c->socket, SSL_server => 1, SSL_cert_file => "$d/direct.crt", SSL_key_file => "$d/direct.key",
	    SSL_verify_mode => IO::Socket::SSL::SSL_VERIFY_PEER() | IO::Socket::SSL::SSL_VERIFY_FAIL_IF_NO_PEER_CERT(), SSL_ca_file => "$d/root.crt");
	$c->eof;
});
$w->origin(12, sub { my ($c) = @_; $c->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"); $c->read_all });
$w->origin(13, sub { my ($c) = @_; $c->read_n(5) });
$w->origin(9, sub { my ($c) = @_; $c->read_all });

sub body { return $w->get($_[0])->body }
sub works { my ($uri, $re, $why) = @_; my $r = $w->get($uri); is $r->status, 200, "$why: works"; like $r->body, $re, $why }
sub fails { my ($uri, $why) = @_; is $w->get($uri)->status, 502, $why }

works('/plain', qr{^TLSv1\.3 \S+ X25519MLKEM768 \[\] \. NONE }, 'the best there is, without a word');
$w->log_unlike(qr/verify error/, 'nobody is asked to vouch for this machine');
works('/var?scheme=https', qr{^TLSv1\.3 }, 'a scheme in a variable');
is $w->get('/var?scheme=http')->status, 400, 'which may be the other one';
fails('/clear', 'clear text where TLS is expected');
is $w->get('/silent')->status, 504, 'a handshake that does not go on';
works('/next', qr/^TLSv1/, 'the next server after a failed handshake');

# verification
works('/verify/ip', qr/^TLS/, 'the address is in the certificate');
works("/verify/name?name=$_", qr/^TLS/, "$_ is in the certificate") for 'direct.test', 'a.wild.test';
fails("/verify/name?name=$_", "'$_' is not") for 'other.test', 'a.b.wild.test', '', 'direct', 'n' x 300;
$w->log_like(qr/upstream SSL certificate does not match/, 'the log says that the name does not match');
$w->log_like(qr/there is no name to verify/, 'or that there is none');
fails('/verify/system', 'the system does not trust our root');
fails('/verify/self', 'nor does our root vouch for others');
$w->log_like(qr/upstream SSL certificate verify error: \(\d+:.*while SSL handshaking to upstream, client: .*upstream: "https:/, 'and the log says what is wrong');
works('/verify/off', qr/^TLS/, 'with verification off anybody will do');
works('/deep', qr/^TLS/, 'a chain of two');
fails('/shallow', 'proxy_ssl_verify_depth');
works('/revoked', qr/^TLS/, 'a revoked certificate, and nobody knows');
fails('/crl', 'proxy_ssl_crl');
works('/crl-fine', qr/^TLS/, 'proxy_ssl_crl: others are let in');

# S-55: what goes wrong is told with its reason and with whom
my $tail = qr{ while SSL handshaking to upstream, client: 127\.0\.0\.1, server: .*, request: "GET [^"]*", upstream: "https://127\.0\.0\.1:};
sub says { my ($port, $re, $why) = @_; my $p = $w->port($port); $w->log_like(qr/$re$tail$p/, $why) }
says(4, qr/upstream SSL certificate verify error: \(\d+:[^)]+\)/, 'nobody vouches for it');
says(2, qr/upstream SSL certificate does not match the name that was asked for/, 'it has another name');
says(8, qr/SSL_do_handshake\(\) failed \(SSL: [^)]*wrong version number[^)]*\)/, 'it speaks something else');
says(9, qr/upstream timed out \(110: Connection timed out\)/, 'it says nothing');
fails('/expired', 'an expired certificate');
says(10, qr/upstream SSL certificate verify error: \(10:certificate has expired\)/, 'which the log tells');
fails('/alert', 'no version in common');
says(11, qr/SSL_do_handshake\(\) failed \(SSL: [^)]*alert protocol version[^)]*\)/, 'which the log tells');
fails('/late', 'an alert when the handshake is over for us (TLSv1.3), as there is no certificate of ours');
$w->log_like(qr{alert certificate required while reading response header from upstream, .*upstream: "https:}, 'which the log tells');
fails('/early', 'what is said before the handshake is no response');
says(12, qr/SSL_do_handshake\(\) failed \(SSL: [^)]*wrong version number[^)]*\)/, 'which the log tells');
fails('/cut', 'an end in the middle of the handshake');
says(13, qr/upstream closed the connection in the TLS handshake/, 'which the log tells');

# what is shown and said
works('/cert', qr/ SUCCESS /, 'a certificate is shown');
works('/cert/none', qr/ NONE /, 'or none, with an empty name');
works('/locked', qr/ SUCCESS /, 'a key with a password');
works('/sni', qr/ \[sni\.test\] /, 'proxy_ssl_server_name');
works('/sni-ip', qr/ \[\] /, 'addresses are not asked for');
works('/sni-off', qr/ \[\] /, 'off by default');
works('/if?x=1', qr/ \[outer\.test\] /, 'inside if');
works('/v12', qr/^TLSv1\.2 /, 'proxy_ssl_protocols');
works('/cipher', qr/ ECDHE-ECDSA-CHACHA20-POLY1305 /, 'proxy_ssl_ciphers');
works('/suite', qr/ TLS_CHACHA20_POLY1305_SHA256 /, 'proxy_ssl_conf_command');
works('/group', qr/ X25519 /i, 'proxy_ssl_ecdh_curve');

# a certificate that the request chooses
sub who { return $w->get($_[0])->header('X-Who') }
like who('/id/plain?id=a'), qr/CN=client$/, 'variables in proxy_ssl_certificate';
like who('/id/plain?id=b'), qr/CN=other$/, 'and another one';
put('c', 'other');
like who('/id/plain?id=c'), qr/CN=other$/, 'read each time without a cache';
is $w->get('/id/plain?id=none')->status, 500, 'one that is not there';
$w->log_like(qr{cannot load certificate "\Q$d\E/id/none\.crt" \(SSL: .*upstream: "https:}, 'which the log tells');
is $w->get('/id/two?id=none')->status, 500, 'no other upstream is asked for it';
is $w->get('/id/plain?id=../client')->status, 500, 'nothing leads out of the folder';
$w->log_like(qr{the name of a certificate would be "\Q$d\E/id/\.\./client\.crt"}, 'which the log tells');
works('/id/var', qr/ NONE /, 'an empty name is none');
is $w->get('/id/plain?id=locked')->status, 500, 'a key with a password, and there is none';
like who('/id/locked?id=locked'), qr/CN=client$/, 'one that there is a password for';
put('locked', 'other');
like who('/id/locked?id=locked'), qr/CN=other$/, 'is not kept, and what does not belong together is read again';
my ($id) = body('/id/plain?id=a') =~ /(c\d+)$/m;
isnt +(body('/id/plain?id=a') =~ /(c\d+)$/m)[0], $id, 'such a connection serves one request';
unlike body('/id/plain?id=a'), qr/ r /, 'in a session of its own';

like who('/id/kept?id=d'), qr/CN=client$/, 'proxy_ssl_certificate_cache: read';
put('d', 'other');
like who('/id/kept?id=d'), qr/CN=client$/, 'kept';
who('/id/kept?id=a');
like who('/id/kept?id=d'), qr/CN=other$/, 'max: the least used has to go';
for my $uri ('/id/short', '/id/unused') {
	like who("$uri?id=d"), qr/CN=other$/, "$uri: read";
	put('d', 'client');
	like who("$uri?id=d"), qr/CN=client$/, 'read again';
	put('d', 'other');
}

# sessions, and connections
for my $uri ('/reuse', '/reuse12') {
	body($uri) for 1, 2;
	like body($uri), qr/ r NONE /, "$uri: sessions are resumed";
}
body('/no-reuse') for 1, 2;
like body('/no-reuse'), qr/ \. NONE /, 'proxy_ssl_session_reuse off';
my ($one) = body('/plain') =~ /(c\d+)$/m;
is +(body('/plain') =~ /(c\d+)$/m)[0], $one, 'a connection serves several requests';
isnt +(body('/sni') =~ /(c\d+)$/m)[0], (body('/sni-off') =~ /(c\d+)$/m)[0], 'but not those that want another name';
my ($a) = body('/verify/name?name=direct.test') =~ /(c\d+)$/m;
isnt +(body('/verify/name?name=a.wild.test') =~ /(c\d+)$/m)[0], $a, 'or another name verified';

# mistakes; S-128: nothing fails open
my @wrong = (
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_verify off;', qr/allow_insecure_upstream on/ ],
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_trusted_certificate missing.crt;', qr/cannot load certificates of authorities/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_trusted_certificate $d/empty.crt;", qr/cannot load certificates of authorities/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate $d/\$arg_x.crt;", qr/no "proxy_ssl_certificate_key" is defined/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate data:\$arg_x;", qr/from files only/ ],
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_certificate_cache valid=1s;', qr/it needs max=number/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate $d/client.crt;", qr/no "proxy_ssl_certificate_key" is defined/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate $d/client.crt; proxy_ssl_certificate_key $d/direct.key;", qr/does not belong/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate $d/client.crt; proxy_ssl_certificate_key $d/locked.key;", qr/it has a password, and there is no proxy_ssl_password_file/ ],
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_ciphers NONSENSE;', qr/OpenSSL knows no cipher/ ],
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_protocols TLSv1.4;', qr/there is no protocol "TLSv1.4"/ ],
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_conf_command Nothing x;', qr/OpenSSL has no command "Nothing"/ ],
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_ecdh_curve kyber768;', qr/the standard is MLKEM768/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_crl $d/root.key;", qr/cannot load revocations/ ],
);
for (@wrong) {
	my ($rc, undef, $err) = $wrong->test_conf("http { server { listen 127.0.0.1:%PORT9%; location / { $_->[0] } } }");
	is $rc, 1, "refused: $_->[0]";
	like $err, $_->[1], 'and why';
}

done_testing;
