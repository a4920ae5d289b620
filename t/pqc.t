#!/usr/bin/perl

# Key exchange and certificates that quantum computers do not break (Q-38 to Q-44, QC-8, QC-9, QH-6, QH-7; S-121 to S-123).
#
# effect: pqc_policy pqc_min_level ssl_ecdh_curve

use strict;
use warnings;

use lib 't/lib';
use Pq;
use Test::More;
use Weir;

my $w = Weir->new;
my $pq = Pq->new($w);
$pq->cert('s', 'EC');
$pq->cert("mldsa$_", "ML-DSA-$_") for 44, 65, 87;
sub server { my ($name, $text) = @_; return "server { listen 127.0.0.1:%PORT1% ssl; server_name $name; $text }\n" }
my $conf = "worker_processes 1;\nhttp {\n" .
    "ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key;\nadd_header X-Group \$ssl_curve always;\n" .
    server('default', 'return 200 "$ssl_curve $ssl_protocol";') .
    server('hybrids', 'ssl_ecdh_curve SecP384r1MLKEM1024:SecP256r1MLKEM768; return 200 x;') .
    server('dflt', 'ssl_ecdh_curve DEFAULT; return 200 x;') .
    server('first', 'ssl_ecdh_curve X25519MLKEM768:DEFAULT; return 200 x;') .
    server('pure', 'ssl_ecdh_curve MLKEM1024:mlkem768:MLKEM512; return 200 x;') .
    server('require', 'pqc_policy require; return 200 secret;') .
    server('status', 'pqc_policy require status=421; return 200 secret;') .
    server('page', 'pqc_policy require status=426; error_page 426 =403 /sorry; location / { return 200 secret; } location = /sorry { return 200 sorry; }') .
    server('log', 'pqc_policy log; return 200 x;') .
    server('off', 'pqc_policy off; return 200 x;') .
    server('five', 'pqc_min_level 5; return 200 x;') .
    server('fiveonly', 'pqc_min_level 5; pqc_policy require; return 200 x;') .
    server('threeonly', 'pqc_min_level 3; ssl_ecdh_curve MLKEM512:MLKEM768:X25519; return 200 x;') .
    server('command', 'ssl_conf_command Groups P-521:MLKEM1024; return 200 x;') .
    server('sneaky', 'pqc_policy require; ssl_conf_command MinProtocol TLSv1.2; ssl_conf_command Groups X25519:X25519MLKEM768; return 200 x;') .
    join('', map { server("mldsa$_", "ssl_certificate %DIR%/mldsa$_.crt; ssl_certificate_key %DIR%/mldsa$_.key; return 200 \$ssl_sigalg;") } 44, 65, 87) .
    server('two', 'ssl_certificate %DIR%/mldsa87.crt; ssl_certificate_key %DIR%/mldsa87.key; ' .
    'ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key; return 200 x;') . "}\n";
$w->start($conf);

sub group { my ($name, $groups, %opt) = @_; my $r = $pq->get($name, ($groups ? (groups => $groups) : ()), %opt); return $r->{group} // "error $r->{error}" }
sub fails
{
	my ($what, $name, $groups, %opt) = @_;
	like group($name, $groups, %opt), qr/^error .*alert (?:handshake failure|protocol version)/, $what;
}

# ---- what is agreed on ----

my $r = $pq->get('default');
is $r->{group}, 'X25519MLKEM768', 'the default, of a client that offers it (Q-38)';
is $r->{body}, 'X25519MLKEM768 TLSv1.3', '... as the variable says (Q-43, Q-44)';
cmp_ok $r->{hello}, '>', 1216, "... with a ClientHello of $r->{hello} bytes (Q-45)";
is group('default', 'X25519:X25519MLKEM768'), 'X25519MLKEM768', 'also when the client guessed another (S-121)';
for my $name ('dflt', 'first') {
	is group($name, 'X25519MLKEM768:X25519'), 'X25519MLKEM768', "DEFAULT in the list: $name (S-121)";
	is group($name, 'X25519:X25519MLKEM768'), 'X25519MLKEM768', '... also when the client guessed another';
}
is group('default', 'X25519:P-256'), 'x25519', 'a classical client gets in (Q-42)';
is $pq->get('default', max => '1.2')->{body}, 'X25519 TLSv1.2', '... and one of TLSv1.2';
is group('hybrids', 'SecP256r1MLKEM768:X25519'), 'SecP256r1MLKEM768', 'SecP256r1MLKEM768 (Q-39)';
is group('hybrids', 'SecP384r1MLKEM1024'), 'SecP384r1MLKEM1024', 'SecP384r1MLKEM1024 (Q-39)';
fails 'and nothing else there', 'hybrids', 'X25519MLKEM768:X25519';
is group('pure', $_), $_, "$_ (Q-40)" for qw(MLKEM512 MLKEM768 MLKEM1024);
fails '... which no default has', 'default', 'MLKEM768';
is group('command', 'MLKEM1024:P-384'), 'MLKEM1024', 'Groups of ssl_conf_command, for a server that is not the default';
fails '... and no others', 'command', 'X25519MLKEM768:X25519';

# ---- the policy ----

is $pq->get('require')->{body}, 'secret', 'require: with ML-KEM (S-123)';
is group('require', 'X25519:SecP256r1MLKEM768'), 'SecP256r1MLKEM768', '... of any kind';
fails '... X25519 is refused', 'require', 'X25519:P-256';
fails '... and so is TLSv1.2', 'require', undef, max => '1.2';
$w->log_like(qr/\[info\] .*SSL_do_handshake\(\) failed \(SSL: [^)]*no suitable (?:groups|key share)/, '... and the log tells why');
$r = $pq->get('default', groups => 'X25519', host => 'require');
is $r->{status}, 421, '... nor does the name of another server help';
unlike $r->{text}, qr/secret/, '... to what is behind it';
is $pq->get('default', host => 'require')->{body}, 'secret', '... where the exchange was good it does';
$w->log_like(qr/the key exchange of its connection is weaker than pqc_policy requires/, '... and the log tells why');

is $pq->get('status')->{body}, 'secret', 'require status=421: with ML-KEM (QH-7)';
$r = $pq->get('status', groups => 'X25519');
is $r->{status}, 421, '... X25519 gets that';
is $r->{group}, 'x25519', '... by a handshake that was made';
like $r->{text}, qr/^X-Group: X25519\r$/m, '... and logged by its name';
unlike $r->{text}, qr/secret/, '... and nothing else';
is $pq->get('status', max => '1.2')->{status}, 421, '... and so does TLSv1.2';
$r = $pq->get('page', groups => 'P-256');
is "$r->{status} $r->{body}", '403 sorry', 'error_page makes it another';
is $pq->get('page')->{body}, 'secret', '... not for others';
is $pq->get('log', groups => 'P-384')->{body}, 'x', 'log: served';
ok $w->wait_log(qr/\[warn\] .*the key exchange is classical \(secp384r1\)/), '... and told';
is $pq->get('log')->{body}, 'x', 'log: with ML-KEM';
is scalar(() = $w->log_text =~ /the key exchange is classical/g), 1, '... nothing is told';
is group('off'), 'x25519', 'off: no ML-KEM';

is group('five', 'X25519MLKEM768:X25519:SecP384r1MLKEM1024'), 'SecP384r1MLKEM1024', 'pqc_min_level 5 (QC-8)';
is group('five', 'X25519MLKEM768:X25519'), 'x25519', '... what is weaker is left out';
fails '... or refused, where ML-KEM is required', 'fiveonly', 'X25519MLKEM768:X25519';
is $pq->get('default', host => 'fiveonly')->{status}, 421, '... also behind a handshake with another server';
is group('threeonly', 'MLKEM512:MLKEM768'), 'MLKEM768', 'pqc_min_level 3';
is group('sneaky'), 'X25519MLKEM768', 'require and ssl_conf_command';
fails '... which does not weaken it', 'sneaky', 'X25519';
fails '... by an older version either', 'sneaky', undef, max => '1.2';

# ---- certificates ----

for my $n (44, 65, 87) {
	$r = $pq->get("mldsa$n");
	is $r->{cn}, "mldsa$n", "a certificate of ML-DSA-$n (QH-6)" or diag $r->{error};
	like $r->{signature}, qr/^mldsa$n$/i, '... signs the handshake';
	like $r->{body}, qr/^mldsa$n$/i, '... $ssl_sigalg';
}
is $pq->get('two')->{cn}, 'mldsa87', 'two certificates: who knows ML-DSA';
like $w->s_client('two'), qr/^subject=CN = s$/m, '... and who does not';

# ---- towards upstreams ----

{
	my $u = Weir->new;
	Pq->new($u)->cert('s', 'EC');
	my $at = 0;
	my $place = sub { my ($text) = @_; return 'location /' . ++$at . "/ { proxy_pass https://127.0.0.1:%PORT1%; $text }\n" };
	my $all = 'server { listen 127.0.0.1:%PORT1% ssl; ssl_certificate %DIR%/s.crt; ssl_certificate_key %DIR%/s.key; pqc_policy require; ' .
	    'ssl_ecdh_curve X25519MLKEM768:MLKEM1024:SecP256r1MLKEM768; return 200 "$ssl_curve $ssl_curves"; }' . "\n" .
	    'server { listen 127.0.0.1:%PORT2%; ' . $place->('') . $place->('proxy_ssl_ecdh_curve MLKEM1024;') .
	    $place->('proxy_ssl_conf_command Groups SecP256r1MLKEM768:P-256;') . $place->('proxy_ssl_ecdh_curve X25519;') . '}';
	$u->start("http {\n$all\n}\n");
	my $ask = sub { my $r = $u->request('GET', "/$_[0]/", [], undef, port => 2); return $r->status . ' ' . $r->body };
	like $ask->(1), qr/^200 X25519MLKEM768 X25519MLKEM768:/, 'an upstream is offered X25519MLKEM768 first';
	is $ask->(2), '200 MLKEM1024 MLKEM1024', 'proxy_ssl_ecdh_curve';
	like $ask->(3), qr/^200 SecP256r1MLKEM768 SecP256r1MLKEM768:/, 'Groups of proxy_ssl_conf_command';
	like $ask->(4), qr/^502 /, 'an upstream that requires ML-KEM, and none is offered: 502, nothing else is tried';
	$u->log_like(qr/SSL_do_handshake\(\) failed \(SSL: [^)]*handshake failure[^)]*\) while SSL handshaking to upstream/, '... and the log tells why');
	$u->stop;
}

# ---- one that changes ----

{
	my $c = Weir->new;
	my $cpq = Pq->new($c);
	$cpq->cert('c', 'EC');
	$c->start("http { server { listen 127.0.0.1:%PORT1% ssl; ssl_certificate_watch on;\n" .
	    "ssl_certificate %DIR%/c.crt; ssl_certificate_key %DIR%/c.key; return 200 x; } }");
	is $cpq->get('c')->{signature}, 'ecdsa_secp256r1_sha256', 'a certificate';
	$cpq->cert('new', 'ML-DSA-65');
	rename $c->dir . "/new.$_", $c->dir . "/c.$_" for qw(key crt);
	ok wait_for(sub { ($cpq->get('c')->{signature} // '') eq 'mldsa65' }, 30), '... becomes one of ML-DSA without a reload';
	$c->stop;
}

# ---- large ClientHellos, slowly ----

for ([piece => 1], [piece => 7], [piece => 500], [record => 512], [record => 512, piece => 3]) {
	$r = $pq->get('default', groups => '*X25519MLKEM768:*SecP384r1MLKEM1024:*MLKEM1024:*MLKEM768', @$_);
	cmp_ok $r->{hello} // 0, '>', 4096, 'it is large';
	is $r->{group} // $r->{error}, 'X25519MLKEM768', "a ClientHello by @$_ (S-122)";
}
is group('require', 'X25519:X25519MLKEM768', piece => 1), 'X25519MLKEM768', '... also the second one';

# ---- mistakes ----

my $t = Weir->new;
$t->expect_alert(qr/\[emerg\]/);
$t->cert('s');
sub mistake
{
	my ($text, $re) = @_;
	my ($code, $out, $err) = $t->test_conf("http {\nserver { listen 127.0.0.1:%PORT1% ssl;\nssl_certificate %DIR%/s.crt; " .
	    "ssl_certificate_key %DIR%/s.key;\n$text\n}\n}\n");
	is $code, 1, "$text is refused";
	like $err, $re, '... at its place, with the reason';
}
mistake "ssl_ecdh_curve $_->[0];", qr/4:\d+: ssl_ecdh_curve: there is no group "\Q$_->[0]\E": .*$_->[1]/
    for ['kyber768', 'MLKEM768'], ['x25519_kyber768', 'X25519MLKEM768'], ['X448MLKEM1024', 'SecP384r1MLKEM1024'],
    ['X25519Kyber768Draft00', 'X25519MLKEM768'];
mistake 'ssl_conf_command Groups x25519_kyber768;', qr/4:\d+: ssl_conf_command: .*Groups|4:\d+: ssl_conf_command: there is no group/;
mistake 'pqc_policy require status=200;', qr/4:\d+: pqc_policy: /;
mistake 'pqc_policy prefer status=421;', qr/4:\d+: pqc_policy: only require has a parameter/;
mistake 'pqc_policy require code=421;', qr/4:\d+: pqc_policy: only require has a parameter, status=code/;
mistake 'pqc_policy sometimes;', qr/4:\d+: pqc_policy: invalid value "sometimes"/;
mistake 'pqc_min_level 6;', qr/4:\d+: pqc_min_level: /;
mistake 'ssl_ecdh_curve X25519MLKEM768:X25519; pqc_min_level 5;', qr/4:\d+: ssl_ecdh_curve: no group with ML-KEM is left: pqc_min_level wants/;
mistake 'ssl_ecdh_curve X25519; pqc_policy require status=421;', qr/4:\d+: ssl_ecdh_curve: no group is left/;
mistake 'ssl_conf_command Groups X25519; pqc_policy require;', qr/4:\d+: ssl_conf_command: no group is left/;
done_testing;
