#!/usr/bin/perl

# TLS for clients: certificates, names, what is agreed on, and mistakes of the configuration.
#
# effect: ssl_certificate ssl_certificate_key ssl_password_file ssl_protocols ssl_ciphers
# effect: ssl_prefer_server_ciphers ssl_ecdh_curve ssl_dhparam ssl_conf_command ssl_reject_handshake
# effect: ssl_buffer_size pqc_policy listen ssl_key_permissions

use strict;
use warnings;

use lib 't/lib';
use POSIX ();
use Test::More;
use Weir;

my $w = Weir->new;
$w->cert('plain', cn => 'localhost', san => 'DNS:localhost');
$w->cert('a', cn => 'a.example', san => 'DNS:a.example');
$w->cert('b', cn => 'b.example', key => 'RSA:2048');
$w->cert('b-ec', cn => 'b.example');
$w->cert('c', cn => 'c.example', pass => 'second');
$w->cert('star', cn => '*.wild.example');
$w->cert('root', cn => 'root', is_ca => 1);
$w->cert('mid', cn => 'middle', is_ca => 1, ca => 'root');
$w->cert('leaf', cn => 'leaf.example', ca => 'mid');
$w->write('chain.crt', $w->read('leaf.crt') . $w->read('mid.crt'));
$w->write('passwords', "first\nsecond\r\nthird\n", 0600);
# A group of 2048 bits that everybody knows (RFC 7919).
$w->write('dh.pem', scalar `openssl genpkey -genparam -algorithm DH -pkeyopt group:ffdhe2048 2>/dev/null`);
$w->write('www/big', join '', map { chr(33 + $_ * 7 % 90) } 1 .. 300000);

$w->start(<<'E');
http {
	log_format tls '$ssl_protocol $ssl_server_name $scheme $https';
	access_log %DIR%/access.log tls;
	ssl_certificate %DIR%/plain.crt;
	ssl_certificate_key %DIR%/plain.key;
	ssl_password_file %DIR%/passwords;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		server_name localhost;
		root %DIR%/www;
		location /v { return 200 "$ssl_protocol|$ssl_cipher|$ssl_curve|$ssl_server_name|$server_name|$scheme|$https"; }
		location /offered { return 200 "$ssl_ciphers|$ssl_curves|$ssl_sigalg"; }
		location /dir { rewrite ^ /to redirect; }
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name a.example *.a.example;
		ssl_certificate %DIR%/a.crt;
		ssl_certificate_key %DIR%/a.key;
		ssl_protocols TLSv1.2;
		ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256;
		ssl_prefer_server_ciphers on;
		ssl_ecdh_curve P-384:P-256;
		location / { return 200 "a|$ssl_protocol|$ssl_cipher|$ssl_curve"; }
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name b.example;
		ssl_certificate %DIR%/b.crt;
		ssl_certificate_key %DIR%/b.key;
		ssl_certificate %DIR%/b-ec.crt;
		ssl_certificate_key %DIR%/b-ec.key;
		ssl_ciphers HIGH:DHE-RSA-AES128-GCM-SHA256:!aNULL;
		ssl_dhparam %DIR%/dh.pem;
		ssl_buffer_size 1k;
		root %DIR%/www;
		location /v { return 200 "b|$ssl_cipher|$ssl_sigalg"; }
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name c.example;
		ssl_certificate %DIR%/c.crt;
		ssl_certificate_key %DIR%/c.key;
		ssl_protocols TLSv1.3;
		ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;
		location / { return 200 "c|$ssl_protocol|$ssl_cipher"; }
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name *.wild.example ~^r\d+\.example$;
		ssl_certificate %DIR%/star.crt;
		ssl_certificate_key %DIR%/star.key;
		location / { return 200 wild; }
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name leaf.example;
		ssl_certificate %DIR%/chain.crt;
		ssl_certificate_key %DIR%/leaf.key;
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name pq.example;
		pqc_policy require;
	}
	server {
		listen 127.0.0.1:%PORT1%;
		server_name no.example;
		ssl_reject_handshake on;
	}
	server {
		listen 127.0.0.1:%PORT2% ssl default_server;
		ssl_reject_handshake on;
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		server_name known.example;
		return 200 known;
	}
	server {
		listen 127.0.0.1:%PORT3%;
		return 200 "$scheme|$https|$ssl_protocol|";
	}
}
E

sub get
{
	my ($uri, %opt) = @_;
	my $host = delete $opt{host} // $opt{sni} // 'localhost';
	my $port = delete $opt{port} // 1;
	my $c = $w->connect(port => $port, tls => \%opt) or return undef;
	$c->send("GET $uri HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
	return $c->response;
}

sub body { my $r = get(@_); return $r ? $r->body : "no response: $Weir::TLS_ERROR" }
sub cn { my $c = $w->connect(tls => { @_ }) or return "none: $Weir::TLS_ERROR"; return $c->socket->peer_certificate('cn') }

# ---- certificates and names ----

is body('/v'), 'TLSv1.3|TLS_AES_256_GCM_SHA384|X25519||localhost|https|on', 'no name: the default server';
is body('/v', sni => 'localhost'), 'TLSv1.3|TLS_AES_256_GCM_SHA384|X25519|localhost|localhost|https|on', 'a name';
is cn(), 'localhost', 'the default certificate';
is cn(sni => 'a.example'), 'a.example', 'a certificate by its name';
is cn(sni => 'A.ExAmple'), 'a.example', '... in any case';
is cn(sni => 'x.a.example'), 'a.example', '... by a wildcard';
is cn(sni => 'x.wild.example'), '*.wild.example', '... by another';
is cn(sni => 'r12.example'), '*.wild.example', '... by a regex';
is cn(sni => 'unknown.example'), 'localhost', 'an unknown name: the default';
is cn(sni => 'a.example.'), 'a.example', 'a trailing dot does not count (S-126)';
is cn(sni => '.'), 'localhost', 'nor does nothing but a dot';
is cn(sni => 'x' x 300), 'localhost', 'a name of 300 bytes';
is cn(sni => "a\x{1}b\x{ff}.example"), 'localhost', 'bytes that no name has';
is cn(sni => '127.0.0.1'), 'localhost', 'an address is a name that nobody has';
is body('/', sni => 'c.example'), 'c|TLSv1.3|TLS_CHACHA20_POLY1305_SHA256', 'ssl_password_file, ssl_conf_command';
like body('/v', host => 'localhost', sni => 'b.example'), qr/\|b\.example\|localhost\|/,
    'a Host that the handshake did not name is served when both have the same rules';

{
	my $c = $w->connect(tls => { sni => 'leaf.example' });
	is scalar(my @chain = $c->socket->peer_certificates), 2, 'the chain is sent';
	$c = $w->connect(tls => { sni => 'leaf.example', SSL_verify_mode => 1, SSL_ca_file => $w->dir . '/root.crt',
	    SSL_verifycn_scheme => 'none' });
	ok $c, 'a client that trusts the root accepts it' or diag $Weir::TLS_ERROR;
}

# ---- what is agreed on ----

is body('/', sni => 'a.example'), 'a|TLSv1.2|ECDHE-ECDSA-CHACHA20-POLY1305|secp384r1',
    'ssl_protocols, ssl_ciphers and ssl_ecdh_curve of a server that is not the default';
is body('/', sni => 'a.example', SSL_cipher_list => 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384'),
    'a|TLSv1.2|ECDHE-ECDSA-AES256-GCM-SHA384|secp384r1', 'ssl_prefer_server_ciphers on';
like body('/v', SSL_version => 'TLSv1_2', SSL_cipher_list => 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384'),
    qr/^TLSv1\.2\|ECDHE-ECDSA-AES128-GCM-SHA256/, 'ssl_prefer_server_ciphers off';
is get('/', sni => 'a.example', SSL_version => 'TLSv1_3'), undef, 'TLSv1.3 is not offered there';
is get('/', sni => 'c.example', SSL_version => 'TLSv1_2'), undef, 'TLSv1.2 is not offered here';
like $Weir::TLS_ERROR, qr/protocol version/, '... and the client is told why';
is get('/v', SSL_version => 'TLSv1_1', SSL_cipher_list => 'ALL:@SECLEVEL=0'), undef, 'TLSv1.1 never';
is get('/v', SSL_version => 'TLSv1_2', SSL_cipher_list => 'AES128-SHA'), undef, 'a cipher without forward secrecy is refused';
like body('/v', sni => 'b.example', SSL_version => 'TLSv1_2', SSL_cipher_list => 'aRSA+ECDHE'), qr/^b\|ECDHE-RSA-/, 'two certificates: RSA';
like body('/v', sni => 'b.example', SSL_version => 'TLSv1_2', SSL_cipher_list => 'aECDSA'), qr/^b\|ECDHE-ECDSA-/, '... and ECDSA';
like body('/v', sni => 'b.example', SSL_version => 'TLSv1_2', SSL_cipher_list => 'DHE-RSA-AES128-GCM-SHA256'),
    qr/^b\|DHE-RSA-AES128-GCM-SHA256/, 'ssl_dhparam';
is get('/v', SSL_version => 'TLSv1_2', SSL_cipher_list => 'DHE'), undef, 'no DHE without it';
like body('/offered', SSL_version => 'TLSv1_2', SSL_cipher_list => 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256'),
    qr/^ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256(?::TLS_EMPTY_\w+|:0x00ff)?\|[\w:]*X25519[\w:]*\|ecdsa_secp256r1_sha256$/i,
    '$ssl_ciphers, $ssl_curves, $ssl_sigalg';
like body('/offered', SSL_ecdh_curve => 'P-521:X25519'), qr/\|secp521r1:x25519\|/i, '$ssl_curves';

# The size of records, as the client's library gives them.
sub records
{
	my ($sni) = @_;
	my $c = $w->connect(tls => { sni => $sni });
	my ($most, $all) = (0, 0);
	$c->send("GET /big HTTP/1.1\r\nHost: $sni\r\nConnection: close\r\n\r\n");
	wait_for(sub {
		my $n = $c->socket->sysread(my $buf, 65536);
		$most = $n if $n && $n > $most;
		$all += $n // 0;
		return defined $n && $n == 0;
	});
	return ($most, $all);
}
{
	my ($most, $all) = records('b.example');
	cmp_ok $most, '<=', 1024, "ssl_buffer_size 1k: $most bytes in a record";
	cmp_ok $all, '>', 300000, '... and nothing is missing';
	($most) = records('localhost');
	cmp_ok $most, '>', 8000, "16k by default: $most";
}

# ---- refusals ----

is get('/', sni => 'no.example'), undef, 'ssl_reject_handshake';
like $Weir::TLS_ERROR, qr/unrecognized name/, '... by the alert for it (RFC 6066)';
is get('/', port => 2), undef, 'ssl_reject_handshake of the default server: no name';
is get('/', port => 2, sni => 'x.example'), undef, '... an unknown name';
is body('/', port => 2, sni => 'known.example'), 'known', '... a known one passes';
$w->log_like(qr/asked for "no\.example", which is refused here/, 'the log tells of it');

# The client here knows no ML-KEM; t/unit/tls.c has one that does.
is get('/', sni => 'pq.example'), undef, 'pqc_policy require: a classical client is refused (S-123)';
like $Weir::TLS_ERROR, qr/handshake failure/, '... by handshake_failure';
is get('/', sni => 'pq.example', SSL_version => 'TLSv1_2'), undef, '... and TLSv1.2 is no way around';
$w->log_like(qr/SSL_do_handshake\(\) failed \(SSL: [^)]*no suitable (?:groups|key share)/, '... and the log tells why');

# ---- clear text ----

is $w->request('GET', '/', [], undef, port => 3)->body, 'http|||', 'no TLS: no values';
{
	my $r = $w->get('/v?x=1');
	is $r->status, 400, 'clear HTTP on a port for TLS: 400 (497)';
	like $r->body, qr{<title>400 The plain HTTP request was sent to HTTPS port</title>}, 'and says so';
	like $r->body, qr{<h1>400 Bad Request</h1></center>\r\n<center>The plain HTTP request was sent to HTTPS port<}, '... twice';
	is $r->header('Connection'), 'close', 'and closes';
	$w->log_like(qr/client sent plain HTTP request to HTTPS port/, 'so does the log');
	like $w->http("junk\r\n\r\n"), qr{^HTTP/1\.1 400 }, 'junk is a bad request';
	like $w->http("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), qr{^HTTP/1\.1 400 .*plain HTTP request}s, 'so is HTTP/2 without TLS';
}
is get('/dir')->header('Location'), 'https://localhost:' . $w->port(1) . '/to', 'redirects go to https';
ok scalar(grep /^TLSv1\.3 b\.example https on$/, $w->access), 'variables in logs';

# Clients that others wrote.
SKIP: {
	skip 'no curl', 1 if system('curl --version > /dev/null 2>&1') != 0;
	my ($p, $dir) = ($w->port(1), $w->dir);
	is `curl -s --cacert $dir/a.crt --resolve a.example:$p:127.0.0.1 https://a.example:$p/`,
	    'a|TLSv1.2|ECDHE-ECDSA-CHACHA20-POLY1305|secp384r1', 'curl believes the certificate';
}
like `openssl s_client -connect 127.0.0.1:@{[ $w->port(1) ]} -servername a.example < /dev/null 2>&1`,
    qr/Compression: NONE/, 'no compression';
{
	my ($p, $dir) = ($w->port(1), $w->dir);
	open my $fh, '|-', "openssl s_client -connect 127.0.0.1:$p -servername a.example > $dir/s_client 2>&1" or die;
	$fh->autoflush(1);
	ok wait_for(sub { ($w->read('s_client') // '') =~ /Verify return code/ }), 's_client';
	print $fh "R\n";
	ok wait_for(sub { ($w->read('s_client') // '') =~ /no renegotiation/i }), 'no renegotiation (S-120)';
	close $fh;
}

# ---- reload: other certificates, old connections go on ----
{
	my $c = $w->connect(tls => {});
	$c->send("GET /v HTTP/1.1\r\nHost: localhost\r\n\r\n");
	like $c->response->body, qr/^TLSv1\.3/, 'a connection';
	$w->cert('plain', cn => 'renewed', san => 'DNS:localhost');
	ok $w->reload, 'reload';
	is cn(), 'renewed', 'the new certificate is served';
	$c->send("GET /v HTTP/1.1\r\nHost: localhost\r\n\r\n");
	my $r = $c->response;
	like $r ? $r->body : '', qr/^TLSv1\.3/, 'the old connection has its answer';
	is $c->socket->peer_certificate('cn'), 'localhost', '... with the certificate that it had';
}
is $w->stop, 0, 'stop';

# ---- 497 and error_page ----

my $e = Weir->new;
$e->cert('s', cn => 'localhost');
$e->start(<<'E');
http {
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		error_page 497 https://$host$request_uri;
	}
	server {
		listen 127.0.0.1:%PORT2% ssl;
		error_page 497 =200 /told;
		location /told { return 200 "told $uri"; }
	}
	server {
		listen 127.0.0.1:%PORT3% ssl;
		error_page 497 =301 https://$host$uri;
	}
}
E
is $e->get('/x?y=1')->status, 302, 'error_page 497 as a redirect';
is $e->get('/x?y=1')->header('Location'), 'https://localhost/x?y=1', '... knows the URI';
is $e->request('GET', '/x', [], undef, port => 2)->body, 'told /told', 'error_page 497 to a location';
is $e->request('GET', '/x', [], undef, port => 2)->status, 200, '... with a status';
is $e->request('GET', '/a%20b/../c', [], undef, port => 3)->header('Location'), 'https://localhost/c', '$uri is known, too';
$e->stop;

# ---- a file is read once, whoever names it ----
{
	my $f = Weir->new;
	$f->cert('s', cn => 'once');
	POSIX::mkfifo($f->dir . "/$_.fifo", 0600) or die "mkfifo: $!" for qw(crt key);
	my %give;
	for my $what (qw(crt key)) {
		my $text = $f->read("s.$what");
		$give{$what} = $f->background(sub {
			open my $fh, '>', $f->dir . "/$what.fifo" or return;
			print $fh $text;
			close $fh;
			return { given => 1 };
		});
	}
	my $pair = 'ssl_certificate %DIR%/crt.fifo; ssl_certificate_key %DIR%/key.fifo;';
	$f->start("http {\n" . join('', map { "server { listen 127.0.0.1:%PORT$_% ssl; $pair return 200 $_; }\n" } 1, 2) . "}\n");
	for my $n (1, 2) {
		my $c = $f->connect(port => $n, tls => {});
		is $c && $c->socket->peer_certificate('cn'), 'once', "server $n has it";
	}
	$_->finish for values %give;
	$f->stop;
}

# ---- mistakes ----

my $t = Weir->new;
$t->expect_alert(qr/\[emerg\]/);
$t->cert('s', cn => 's');
$t->cert('other', cn => 'o');
$t->cert('rsa', cn => 'rsa', key => 'RSA:2048');
$t->cert('locked', cn => 'locked', pass => 'secret');
$t->cert('old', cn => 'old', end => '20200202000000Z');
$t->write('wrong', "no\nneither\n", 0600);
$t->write('empty', '');
$t->write('junk.pem', "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
$t->write('half.crt', $t->read('s.crt') . "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
$t->write('open.key', $t->read('s.key'), 0644);
$t->write('group.key', $t->read('s.key'), 0640);

sub conf_is
{
	my ($what, $text, $ok, @like) = @_;
	my ($code, $out, $err) = $t->test_conf("http {\nserver {\nlisten 127.0.0.1:%PORT1% ssl;\n$text\n}\n}\n");
	is $code, $ok ? 0 : 1, "$what: " . ($ok ? 'accepted' : 'refused') or diag $err;
	like $err, $_, "$what: message" for @like;
	unlike $err, qr/PRIVATE|secret/, "$what: nothing secret is said";
}
my $pair = "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/s.key;";

conf_is 'a pair', $pair, 1;
conf_is 'no certificate', '', 0, qr/weir\.conf:3:\d+: listen: no "ssl_certificate" is defined for the "listen \.\.\. ssl"/;
conf_is 'no key', 'ssl_certificate %DIR%/s.crt;', 0, qr/weir\.conf:4:\d+: ssl_certificate: no "ssl_certificate_key" is defined for certificate "/;
conf_is 'no such file', "ssl_certificate %DIR%/none;\nssl_certificate_key %DIR%/s.key;", 0,
    qr/weir\.conf:4:\d+: ssl_certificate: cannot open certificate ".*none" \(SSL: .*No such file/;
conf_is 'no such key', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/none;", 0, qr/weir\.conf:5:\d+: ssl_certificate_key: .*No such file/;
conf_is 'an empty file', "ssl_certificate %DIR%/empty;\nssl_certificate_key %DIR%/s.key;", 0, qr/4:\d+: ssl_certificate: cannot load certificate /;
conf_is 'junk', "ssl_certificate %DIR%/junk.pem;\nssl_certificate_key %DIR%/s.key;", 0, qr/4:\d+: ssl_certificate: cannot load certificate /;
conf_is 'junk in the chain', "ssl_certificate %DIR%/half.crt;\nssl_certificate_key %DIR%/s.key;", 0, qr/4:\d+: ssl_certificate: cannot load certificate /;
conf_is 'a foreign key', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/other.key;", 0, qr/5:\d+: ssl_certificate_key: this key does not belong to the certificate/;
conf_is 'a key of another kind', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/rsa.key;", 0, qr/5:\d+: ssl_certificate_key: this key does not belong to the certificate/;
conf_is 'a certificate as key', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/s.crt;", 0, qr/5:\d+: ssl_certificate_key: cannot load certificate key/;
conf_is 'a folder as key', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%;", 0, qr/5:\d+: ssl_certificate_key: cannot load certificate key/;
SKIP: {
	skip 'root reads everything', 3 if $> == 0;
	chmod 0, $t->dir . '/other.key';
	conf_is 'a key that cannot be read', "ssl_certificate %DIR%/other.crt;\nssl_certificate_key %DIR%/other.key;", 0,
	    qr/5:\d+: ssl_certificate_key: cannot load certificate key .*Permission denied/;
}
conf_is 'a key that everybody can read', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/open.key;", 1,
    qr/\[warn\].*5:\d+: ssl_certificate_key: everybody can read the key/;
conf_is '... also said so', "ssl_key_permissions warn;\nssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/open.key;", 1, qr/\[warn\].*6:/;
conf_is '... or not to be told (QC-6)', "ssl_key_permissions off;\nssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/open.key;", 1,
    qr/\A(?!.*can read the key)/s;
conf_is '... or refused (QC-6)', "ssl_key_permissions strict;\nssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/open.key;", 0,
    qr/6:\d+: ssl_certificate_key: others than its owner can read the key ".*open\.key"/;
conf_is 'a key that a group can read', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/group.key;", 1, qr/\A(?!.*can read the key)/s;
conf_is '... is refused, too', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key %DIR%/group.key;\n}\nssl_key_permissions strict;\nserver {\nlisten 127.0.0.1:%PORT2%;", 0,
    qr/5:\d+: ssl_certificate_key: others than its owner can read the key ".*group\.key"/;
conf_is 'strict with a key of its owner', "$pair\nssl_key_permissions strict;", 1;
conf_is 'strict towards upstreams', "$pair\nssl_key_permissions strict;\nlocation / { proxy_pass https://127.0.0.1:%PORT2%;\n" .
    "proxy_ssl_certificate %DIR%/s.crt;\nproxy_ssl_certificate_key %DIR%/group.key; }", 0,
    qr/9:\d+: proxy_ssl_certificate_key: others than its owner can read the key/;
conf_is 'an unknown mode', "$pair\nssl_key_permissions maybe;", 0, qr/6:\d+: ssl_key_permissions: /;
conf_is 'an expired certificate', "ssl_certificate %DIR%/old.crt;\nssl_certificate_key %DIR%/old.key;", 1,
    qr/\[warn\].*4:\d+: ssl_certificate: the certificate ".*old\.crt" has expired/;
conf_is 'a password is needed', "ssl_certificate %DIR%/locked.crt;\nssl_certificate_key %DIR%/locked.key;", 0, qr/it has a password, and there is no ssl_password_file/;
conf_is 'wrong passwords', "ssl_certificate %DIR%/locked.crt;\nssl_certificate_key %DIR%/locked.key;\nssl_password_file %DIR%/wrong;", 0,
    qr/no password in ssl_password_file fits/;
conf_is 'no passwords', "ssl_certificate %DIR%/locked.crt;\nssl_certificate_key %DIR%/locked.key;\nssl_password_file %DIR%/nowhere;", 0,
    qr/6:\d+: ssl_password_file: cannot read .*No such file/;
conf_is 'unknown ciphers', "$pair\nssl_ciphers NOPE;", 0, qr/6:\d+: ssl_ciphers: OpenSSL knows no cipher of "NOPE"/;
conf_is 'an unknown protocol', "$pair\nssl_protocols TLSv1.4;", 0, qr/6:\d+: ssl_protocols: there is no protocol "TLSv1\.4"/;
conf_is 'old protocols', "$pair\nssl_protocols TLSv1 TLSv1.1 TLSv1.2;", 1, qr/TLSv1\.1 is not offered any more \(RFC 8996\)/;
conf_is 'only old protocols', "$pair\nssl_protocols SSLv3 TLSv1;", 0, qr/no protocol is left/;
conf_is 'an unknown group', "$pair\nssl_ecdh_curve X25519:nope;", 0, qr/6:\d+: ssl_ecdh_curve: OpenSSL does not know the group "nope"/;
conf_is 'Kyber', "$pair\nssl_ecdh_curve x25519_kyber768;", 0, qr/Kyber was a draft: the standard is X25519MLKEM768/;
conf_is 'X448MLKEM1024', "$pair\nssl_ecdh_curve X448MLKEM1024;", 0, qr/TLS has no such group: SecP384r1MLKEM1024/;
conf_is 'groups', "$pair\nssl_ecdh_curve SecP384r1MLKEM1024:MLKEM768/X25519:P-256;", 1;
conf_is 'require without TLSv1.3', "$pair\nssl_protocols TLSv1.2;\npqc_policy require;", 0, qr/7:\d+: pqc_policy: .*needs TLSv1\.3/;
conf_is 'require and classical groups', "$pair\nssl_ecdh_curve X25519:P-256;\npqc_policy require;", 0, qr/6:\d+: ssl_ecdh_curve: no group is left/;
conf_is 'off and ML-KEM alone', "$pair\nssl_ecdh_curve MLKEM768;\npqc_policy off;", 0, qr/6:\d+: ssl_ecdh_curve: no group is left/;
conf_is 'a policy that is none', "$pair\npqc_policy maybe;", 0, qr/6:\d+: pqc_policy: /;
conf_is 'no parameters', "$pair\nssl_dhparam %DIR%/s.key;", 0, qr/6:\d+: ssl_dhparam: cannot load Diffie-Hellman parameters/;
conf_is 'an unknown command', "$pair\nssl_conf_command Nope x;", 0, qr/6:\d+: ssl_conf_command: OpenSSL has no command "Nope"/;
conf_is 'a wrong value', "$pair\nssl_conf_command MinProtocol x;", 0, qr/6:\d+: ssl_conf_command: OpenSSL refuses the value "x"/;
conf_is 'a variable', "ssl_certificate %DIR%/\$host.crt;\nssl_certificate_key %DIR%/s.key;", 1;
conf_is 'an unknown variable', "ssl_certificate %DIR%/\$nope.crt;\nssl_certificate_key %DIR%/s.key;", 0, qr/4:\d+: ssl_certificate: unknown "nope" variable/;
conf_is 'a cache without a size', "$pair\nssl_certificate_cache valid=1s;", 0, qr/6:\d+: ssl_certificate_cache: it needs max=number/;
conf_is 'a cache with something else', "$pair\nssl_certificate_cache max=1 min=2;", 0, qr/6:\d+: ssl_certificate_cache: /;
conf_is 'an engine', "ssl_certificate %DIR%/s.crt;\nssl_certificate_key engine:x:y;", 0, qr/weir reads certificates and keys from files only/;
conf_is 'a record that is too large', "$pair\nssl_buffer_size 32k;", 0, qr/6:\d+: ssl_buffer_size: /;
conf_is 'a server without certificate beside one that refuses all',
    "ssl_reject_handshake on;\n}\nserver { listen 127.0.0.1:%PORT1% ssl; server_name x;", 0, qr/no "ssl_certificate" is defined for a server on /;
conf_is 'http may say half', "$pair\n}\nssl_verify_client on;\nserver { listen 127.0.0.1:%PORT2%; ssl_verify_client off;", 0,
    qr/7:\d+: ssl_verify_client: no ssl_client_certificate or ssl_trusted_certificate/;

done_testing;
