#!/usr/bin/perl

# OCSP responses that are fetched and sent with the certificate: nobody waits for them, and what clients would not believe is
# not sent (S-131).
#
# effect: ssl_stapling ssl_stapling_responder ssl_stapling_verify

use strict;
use warnings;

use lib 't/lib';
use Fate;
use MIME::Base64;
use Test::More;
use Weir;

my $w = Weir->new;
my $f = Fate->new($w);
my $dir = $w->dir;
my $asked = "http://127.0.0.1:" . $w->port(2);
$w->cert('root', cn => 'Root', is_ca => 1);
$w->cert('mid', cn => 'Middle', is_ca => 1, ca => 'root');
$w->cert('other', cn => 'Other', is_ca => 1);
$w->cert('signer', cn => 'Signer', ca => 'root', usage => 'OCSPSigning');
$w->cert('ec', cn => 'localhost', ca => 'root', ocsp => "$asked/aia", must_staple => 1);
$w->cert('rsa', cn => 'localhost', ca => 'root', ocsp => "$asked/aia", key => 'RSA:2048');
$w->cert('next', cn => 'next', ca => 'root', ocsp => "$asked/aia");
$w->cert('below', cn => 'localhost', ca => 'mid', ocsp => "$asked/aia");
$w->cert('named', cn => 'localhost', ca => 'root', ocsp => 'http://responder.test/aia');
$w->cert('mute', cn => 'localhost', ca => 'root', must_staple => 1);
$w->write("$_.chain", $w->read("$_.crt") . $w->read('root.crt')) for qw(ec rsa next named mute);
$w->write('below.chain', $w->read('below.crt') . $w->read('mid.crt') . $w->read('root.crt'));

sub serial { return `openssl x509 -in $dir/$_[0].crt -noout -serial` =~ s/serial=|\n//gr }
sub say_of
{
	my ($cert, $status, %opt) = @_;
	my $ca = $opt{ca} // 'root';
	my $by = $opt{by} // $ca;
	my $serial = serial($cert);
	$w->write('all.index', $status ? "$status\t301231235959Z\t" . ($status eq 'R' ? '250101000000Z' : '') . "\t$serial\tunknown\t/CN=x\n" : '');
	my $out = $opt{as} // $serial;
	system("openssl ocsp -index $dir/all.index -CA $dir/$ca.crt -rsigner $dir/$by.crt -rkey $dir/$by.key " .
	    "-issuer $dir/$ca.crt -cert $dir/$cert.crt -respout $dir/new.der -ndays 2 > $dir/ocsp.out 2>&1") == 0
	    or die $w->read('ocsp.out');
	rename "$dir/new.der", "$dir/$out.der" or die;
}

# The first word of the path is how it behaves; those that are no behaviour name a file.
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	my (undef, $how, $base64) = split m{/}, $q->{uri}, 3;
	my $ask = decode_base64(($base64 // '') =~ s/%(..)/chr hex $1/ger);
	my ($serial) = grep { index($ask, pack 'H*', $_) >= 0 } map { m{/([0-9A-F]+)\.der$} ? $1 : () } glob "$dir/*.der";
	$c->note($how);
	my $der = -e "$dir/$how.der" ? $w->read("$how.der") : defined $serial ? $w->read("$serial.der") : '';
	my $head = "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\n\r\n";
	return $c->read_all if $how eq 'silent';
	$c->send($how eq '500' ? "HTTP/1.1 500 No\r\n\r\n$der" : $how eq 'moved' ? "HTTP/1.1 302 Found\r\nLocation: $asked/aia/\r\n\r\n" :
	    $how eq 'huge' ? $head . 'x' x 1_000_000 : $how eq 'junk' ? "${head}junk" : $head . $der);
});

say_of('ec', 'V');
say_of('rsa', 'V', by => 'signer');
say_of('next', 'V');
say_of('below', 'V', ca => 'mid');
say_of('named', 'V');
say_of('ec', 'R', as => 'gone');
say_of('ec', '', as => 'unknown');
say_of('ec', 'V', by => 'other', as => 'stranger');
say_of('rsa', 'V', as => 'wrong');
my @odd = qw(gone unknown stranger wrong 500 moved huge junk silent);

sub server
{
	my ($name, $cert, $text, $port) = @_;
	return "server { listen 127.0.0.1:%PORT" . ($port // 1) . "% ssl; server_name $name; ssl_certificate %DIR%/$cert.chain; " .
	    "ssl_certificate_key %DIR%/$cert.key; $text return 200 x; }\n";
}
$w->start("http {\nssl_stapling on; ssl_stapling_verify on; ssl_certificate_watch 200ms;\n" .
    server('localhost', 'ec', 'ssl_certificate %DIR%/rsa.chain; ssl_certificate_key %DIR%/rsa.key;') .
    server('off', 'ec', 'ssl_stapling off;') .
    server('below', 'below', '') .
    server('named', 'named', '') .
    server('mute', 'mute', '') .
    server('auto', 'mute', 'ssl_stapling auto;') .
    server('autoec', 'ec', 'ssl_stapling auto;') .
    server('responder', 'mute', "ssl_stapling_responder $asked/aia;") .
    server('name', 'ec', 'ssl_stapling_responder http://localhost:%PORT2%/aia;') .
    server('trusted', 'only', 'ssl_trusted_certificate %DIR%/root.crt;') .
    server('orphan', 'orphan', '') .
    server('down', 'ec', 'ssl_stapling_responder http://127.0.0.1:%PORT3%;') .
    server('variable', '$ssl_server_name', '') .
    join('', map { server("x$_", 'ec', "ssl_stapling_responder $asked/$_;") } @odd) . "}\n", defined $f ? (env => $f->env) : ())
    if prepare();

sub prepare
{
	for my $name (qw(only orphan)) {
		$w->write("$name.chain", $w->read('ec.crt'));
		system("cp -p $dir/ec.key $dir/$name.key") == 0 or die;
	}
	$w->write("variable.$_", $w->read("ec.$_")) for qw(key chain);
	say_of('mute', 'V');
	return 1;
}

sub status
{
	my ($name, @args) = @_;
	my $out = $w->s_client($name, '-status', @args);
	return 'none' if $out =~ /OCSP response: no response sent/;
	return $out =~ /Cert Status: (\w+)/ ? $1 : $out;
}
# The first who asks gets none; soon there is one.
sub comes { my ($name, @args) = @_; return wait_for(sub { status($name, @args) eq 'good' }) }

is status('localhost', '-tls1_3'), 'none', 'the first client does not wait';
ok comes('localhost', '-tls1_3'), 'then there is a response';
is status('localhost', '-tls1_2'), 'good', '... also in TLSv1.2';
my @rsa = ('-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256');
is status('localhost', @rsa), 'none', 'each certificate has its own';
ok comes('localhost', @rsa), '... signed by whom the issuer has told to';
unlike $w->s_client('localhost'), qr/Cert Status/, 'who does not ask gets nothing';
is scalar(grep { $_ eq 'aia' } $w->origin_notes(2, 2)), 2, 'each was asked for once';
is status('off'), 'none', 'off';
ok comes('below'), 'an issuer in the middle';
ok comes('trusted'), 'an issuer of ssl_trusted_certificate';
ok comes('autoec'), 'auto';
ok comes('responder'), 'ssl_stapling_responder';
ok comes('name'), '... by name';
is status($_), 'none', "$_: none" for qw(orphan mute auto named down variable);

is status("x$_"), 'none', "$_: none" for @odd;
is_deeply [sort grep { $_ ne 'aia' } $w->origin_notes(2, 7 + @odd)], [sort @odd], 'all were asked';
for (['revoked', qr/certificate status "revoked" in the OCSP response while requesting certificate status, responder: 127\.0\.0\.1, certificate: "\/CN=localhost"/],
    ['unknown', qr/certificate status "unknown" in the OCSP response/], ['a stranger', qr/the signature is not the issuer's while/],
    ['another certificate', qr/it is about another certificate while/], ['500', qr/a status other than 200 while/],
    ['too long', qr/answer is too long while/], ['junk', qr/the response is not understood while/],
    ['a responder that is down', qr/connect\(\) failed \(111: Connection refused\) while requesting/],
    ['no resolver', qr/no resolver defined to resolve responder\.test while requesting/]) {
	$w->log_like($_->[1], "the log: $_->[0]");
}
is status("x$_"), 'none', "$_: still none" for grep { $_ ne 'silent' } @odd;
is scalar(my @all = grep { $_ ne 'aia' } $w->origin_notes(2)), scalar(@odd), '... and nobody was asked again so soon';
is scalar(my @said = $w->log_text =~ /the signature is not the issuer's while/g), 1, '... nor was it logged again';
my $err = $w->read('stderr');
is scalar(my @none = $err =~ /\[warn\].*"ssl_stapling" ignored, no OCSP responder URL in the certificate/g), 1, 'no responder: a warning, but not of auto';
like $err, qr/\[warn\].*"ssl_stapling" ignored, issuer certificate not found/, 'no issuer: a warning';
like $err, qr/\[warn\].*"ssl_stapling" ignored, certificates have variables/, 'variables: a warning';

# Another certificate under the name is another one.
$w->write("new.$_", $w->read("next.$_")) for qw(key chain);
chmod 0600, "$dir/new.key";
rename "$dir/new.$_", "$dir/below.$_" or die for qw(key chain);
ok wait_for(sub { $w->s_client('below') =~ /subject=CN = next\n/ }, 30), 'a certificate is replaced';
ok comes('below'), '... and has a response of its own';

# A response is not sent any longer than it says.
SKIP: {
	skip 'the clock cannot be moved here', 3 unless defined $f;
	my $before = () = grep { $_ eq 'aia' } $w->origin_notes(2);
	unlink "$dir/" . serial('ec') . '.der';
	$f->jump(3 * 86400);
	is status('localhost', '-tls1_3'), 'none', 'its time is over';
	$f->jump(0);
	ok wait_for(sub { my @n = grep { $_ eq 'aia' } $w->origin_notes(2); @n > $before }), '... and another is asked for';
	is status('localhost', @rsa), 'good', 'the other certificate still has its own';
}
say_of('ec', 'V');
ok $w->reload, 'reload';
ok comes('localhost', '-tls1_3'), '... begins anew';
is $w->stop, 0, 'stop';

# ---- mistakes ----

for (['ssl_stapling maybe;', 1, qr/ssl_stapling: /], ['ssl_stapling on; ssl_stapling_responder https://127.0.0.1/;', 1, qr/ssl_stapling_responder: invalid URL prefix/],
    ['ssl_stapling on; ssl_stapling_responder http://no..host/;', 1, qr/ssl_stapling_responder: .* in OCSP responder/],
    ['ssl_stapling_verify maybe;', 1, qr/ssl_stapling_verify: it is on or off/],
    ['ssl_stapling_verify off;', 0, qr/\[warn\].*ssl_stapling_verify: OCSP responses are verified all the same/], ['ssl_stapling_verify on;', 0, qr/\A(?!.*ssl_stapling_verify)/s]) {
	my ($text, $code, $re) = @$_;
	$w->expect_alert(qr/\[emerg\]/);
	my ($got, undef, $said) = $w->test_conf("http {\n" . server('x', 'ec', $text) . "}\n");
	is $got, $code, $text;
	like $said, $re, '... as it is said';
}
done_testing;
