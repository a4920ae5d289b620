#!/usr/bin/perl

# TLS to upstreams.
#
# effect: proxy_ssl_certificate proxy_ssl_certificate_key proxy_ssl_password_file proxy_ssl_ciphers
# effect: proxy_ssl_ecdh_curve proxy_ssl_protocols proxy_ssl_conf_command proxy_ssl_verify
# effect: allow_insecure_upstream proxy_ssl_verify_depth proxy_ssl_trusted_certificate proxy_ssl_crl
# effect: proxy_ssl_name proxy_ssl_server_name proxy_ssl_session_reuse

use strict;
use warnings;

use lib 't/lib';
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
	my ($name, $by, $ext, $alt) = @_;
	openssl("req -new $ec -keyout $name.key -out $name.csr -subj /CN=$name -config ca.conf"
	    . ($alt ? " -addext subjectAltName=$alt" : ''));
	openssl("ca -batch -config ca.conf -cert $by.crt -keyfile $by.key -in $name.csr -out $name.crt -extensions $ext -notext");
}
issue('inter', 'root', 'authority');
issue('direct', 'root', 'plain', 'DNS:direct.test,DNS:*.wild.test,IP:127.0.0.1');
issue('chained', 'inter', 'plain', 'DNS:chained.test');
issue('client', 'root', 'plain');
issue('revoked', 'root', 'plain', 'DNS:revoked.test');
openssl('ca -config ca.conf -cert root.crt -keyfile root.key -revoke revoked.crt');
openssl('ca -config ca.conf -cert root.crt -keyfile root.key -gencrl -out root.crl');
openssl("req -x509 $ec -keyout self.key -out self.crt -subj /CN=self -days 2");
openssl('ec -in client.key -aes128 -passout pass:secret -out locked.key');
$w->write('both.crt', $w->read('chained.crt') . $w->read('inter.crt'));
$w->write('passwords', "wrong\nsecret\n");
chmod 0600, glob "$d/*.key";

my $tls = 'ssl_certificate_key %DIR%/NAME.key; ssl_certificate %DIR%/CERT.crt;';
sub origin { my ($port, $name, $cert, $more) = @_; my $t = $tls =~ s/NAME/$name/r =~ s/CERT/$cert/r;
	return "server { listen 127.0.0.1:%PORT$port% ssl; $t $more location / { return 200 " .
	    '"$ssl_protocol $ssl_cipher $ssl_curve [$ssl_server_name] $ssl_session_reused $ssl_client_verify $ssl_alpn_protocol c$connection\n"; } }' . "\n" }

$w->start("http {\n" . origin(2, 'direct', 'direct', 'ssl_verify_client optional; ssl_client_certificate %DIR%/root.crt;') .
    origin(3, 'chained', 'both', '') . origin(4, 'self', 'self', '') . origin(5, 'revoked', 'revoked', '') .
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

# mistakes
my @wrong = (
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_verify off;', qr/allow_insecure_upstream on/ ],
	[ 'proxy_pass https://127.0.0.1:1; proxy_ssl_trusted_certificate missing.crt;', qr/cannot load certificates of authorities/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate $d/client.crt;", qr/no "ssl_certificate_key" is defined/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate $d/client.crt; proxy_ssl_certificate_key $d/direct.key;", qr/does not belong/ ],
	[ "proxy_pass https://127.0.0.1:1; proxy_ssl_certificate $d/client.crt; proxy_ssl_certificate_key $d/locked.key;", qr/it has a password/ ],
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
