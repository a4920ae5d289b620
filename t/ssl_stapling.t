#!/usr/bin/perl

# OCSP responses that are sent with the certificate.
#
# effect: ssl_stapling ssl_stapling_file

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('root', cn => 'Root', is_ca => 1);
$w->cert('good', cn => 'localhost', ca => 'root');
$w->cert('gone', cn => 'localhost', ca => 'root');
$w->cert('other', cn => 'Other', is_ca => 1);
$w->cert('signer', cn => 'Signer', ca => 'root', usage => 'OCSPSigning');
$w->write("$_.chain", $w->read("$_.crt") . $w->read('root.crt')) for qw(good gone);
$w->crl('root', 'gone');

# What openssl's responder says of a certificate, into FILE.
sub response
{
	my ($file, $cert, @args) = @_;
	my $signer = (grep /-rsigner/, @args) ? '' : "-rsigner $dir/root.crt -rkey $dir/root.key";
	my $index = $w->read('root.index');
	# The responder knows what is in the index only.
	my $serial = `openssl x509 -in $dir/$cert.crt -noout -serial` =~ s/serial=|\n//gr;
	$w->write('all.index', $index . ($index =~ /\t$serial\t/ ? '' : "V\t301231235959Z\t\t$serial\tunknown\t/CN=x\n"));
	system("openssl ocsp -index $dir/all.index -CA $dir/root.crt $signer -issuer $dir/root.crt -cert $dir/$cert.crt " .
	    "-respout $dir/$file @args > $dir/ocsp.out 2>&1") == 0 or die $w->read('ocsp.out');
}
response('good.der', 'good', '-ndays 2');
response('signed.der', 'good', '-ndays 2', "-rsigner $dir/signer.crt", "-rkey $dir/signer.key");
response('gone.der', 'gone', '-ndays 2');
response('stranger.der', 'good', '-ndays 2', "-rsigner $dir/other.crt", "-rkey $dir/other.key");
$w->write('junk.der', 'junk');
{
	my $der = $w->read('good.der');
	$der =~ s/Root/Roof/ or die;
	$w->write('broken.der', $der);
}

sub server
{
	my ($name, $cert, $more) = @_;
	return "server { listen 127.0.0.1:%PORT1% ssl; server_name $name; ssl_certificate %DIR%/$cert.chain; " .
	    "ssl_certificate_key %DIR%/$cert.key; $more return 200 x; }\n";
}
$w->start("http {\n" . server('none', 'good', '') .
    server('good', 'good', 'ssl_stapling on; ssl_stapling_file %DIR%/good.der;') .
    server('signed', 'good', 'ssl_stapling on; ssl_stapling_file %DIR%/signed.der;') .
    server('gone', 'gone', 'ssl_stapling on; ssl_stapling_file %DIR%/gone.der;') .
    "server { listen 127.0.0.1:%PORT1% ssl; server_name trusted; ssl_certificate %DIR%/good.crt; ssl_certificate_key %DIR%/good.key; " .
    "ssl_stapling on; ssl_stapling_file %DIR%/good.der; ssl_trusted_certificate %DIR%/root.crt; return 200 x; }\n" .
    server('off', 'good', 'ssl_stapling_file %DIR%/good.der;') .
    server('wrong', 'good', 'ssl_stapling on; ssl_stapling_file %DIR%/gone.der;') .
    server('stranger', 'good', 'ssl_stapling on; ssl_stapling_file %DIR%/stranger.der;') .
    server('broken', 'good', 'ssl_stapling on; ssl_stapling_file %DIR%/broken.der;') .
    server('alone', 'good', 'ssl_stapling on;') . "}\n");

sub status
{
	my $out = $w->s_client($_[0], '-status', @_[1 .. $#_]);
	return 'none' if $out =~ /OCSP response: no response sent/;
	return $out =~ /Cert Status: (\w+)/ ? $1 : $out;
}
for my $v ('-tls1_3', '-tls1_2') {
	is status('none', $v), 'none', "$v: without stapling";
	is status('good', $v), 'good', "$v: ssl_stapling_file";
	is status('signed', $v), 'good', "$v: signed by whom the issuer has told to";
	is status('gone', $v), 'revoked', "$v: bad news are sent, too";
	is status('trusted', $v), 'good', "$v: the issuer is in ssl_trusted_certificate";
	is status('off', $v), 'none', "$v: ssl_stapling off";
	is status('wrong', $v), 'none', "$v: what is about another certificate is not sent (S-131)";
	is status('stranger', $v), 'none', "$v: nor what a stranger has signed";
	is status('broken', $v), 'none', "$v: nor what was changed";
	is status('alone', $v), 'none', "$v: nothing without a file";
}
unlike $w->s_client('good', '-tls1_3'), qr/Cert Status/, 'who does not ask gets nothing';
my $err = $w->read('stderr');
like $err, qr/\[warn\].*ssl_stapling_file: the OCSP response in ".*gone\.der" is not sent: it is about another certificate/, 'wrong: warned';
like $err, qr/\[warn\].*stranger\.der" is not sent: the signature is not the issuer's/, 'stranger: warned';
like $err, qr/\[warn\].*broken\.der" is not sent: the signature is not the issuer's/, 'changed: warned';
like $err, qr/\[warn\].*ssl_certificate: "ssl_stapling" ignored, no OCSP responder URL in the certificate/, 'without a file, nor a responder: warned';

# A reload brings the next; that it is not sent any longer than it says, t/unit/tls_stapling.c tells.
response('good.der', 'good', '-ndays 1');
ok $w->reload, 'reload';
is status('good'), 'good', 'the next response';
is $w->stop, 0, 'stop';

# S-131: who must bring one is missed without.
$w->cert('must', ca => 'root', must_staple => 1);
$w->write('must.chain', $w->read('must.crt') . $w->read('root.crt'));
response('must.der', 'must', '-ndays 2');
for ([server('x', 'must', ''), 1], [server('x', 'must', 'ssl_stapling_file %DIR%/must.der;'), 1],
    [server('x', 'must', 'ssl_stapling on; ssl_stapling_file %DIR%/must.der;'), 0], [server('x', 'good', ''), 0]) {
	my ($text, $warned) = @$_;
	my ($code, undef, $said) = $w->test_conf("http {\n$text}\n");
	is $code, 0, 'a certificate';
	is $said =~ /\[warn\].*ssl_certificate: the certificate must come with an OCSP response/ ? 1 : 0, $warned, '... is ' . ($warned ? '' : 'not ') . 'warned about';
}
for (['none.der', qr/ssl_stapling_file: cannot load an OCSP response from ".*none\.der" \(SSL: .*No such file/],
    ['junk.der', qr/ssl_stapling_file: cannot load an OCSP response from ".*junk\.der"/]) {
	my ($file, $re) = @$_;
	$w->expect_alert(qr/\[emerg\]/);
	my ($code, undef, $said) = $w->test_conf("http {\n" . server('x', 'good', "ssl_stapling on; ssl_stapling_file %DIR%/$file;") . "}\n");
	is $code, 1, "$file is refused";
	like $said, $re, '... at its place';
}
done_testing;
