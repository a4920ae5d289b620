#!/usr/bin/perl

# Certificates that are sent compressed (RFC 8879).
#
# effect: ssl_certificate_compression

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Pq;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
my $pq = Pq->new($w);
my $names = join ',', map { "DNS:name$_.example.com" } 1 .. 300;
$w->cert('root', cn => 'Root', is_ca => 1);
$w->cert('s', ca => 'root', san => $names);
$w->write('s.chain', $w->read('s.crt') . $w->read('root.crt'));
$w->cert('s2', ca => 'root', san => $names);
$w->cert('v', san => $names);
$w->write('all.index', "V\t301231235959Z\t\t" . `openssl x509 -in $dir/s.crt -noout -serial` =~ s/serial=|\n//gr . "\tunknown\t/CN=x\n");
system("openssl ocsp -index $dir/all.index -CA $dir/root.crt -rsigner $dir/root.crt -rkey $dir/root.key -issuer $dir/root.crt " .
    "-cert $dir/s.crt -respout $dir/s.der -ndays 2 > $dir/ocsp.out 2>&1") == 0 or die;

sub server
{
	my ($name, $text) = @_;
	return "server { listen 127.0.0.1:%PORT1% ssl; server_name $name; $text return 200 \$ssl_server_name; }\n";
}
$w->start("http {\nssl_certificate %DIR%/s.chain; ssl_certificate_key %DIR%/s.key; ssl_certificate_watch on;\n" .
    server('default', '') . server('off', 'ssl_certificate_compression off;') . server('on', 'ssl_certificate_compression on;') .
    server('staple', 'ssl_certificate_compression on; ssl_stapling on; ssl_stapling_file %DIR%/s.der;') .
    server('variable', 'ssl_certificate_compression on; ssl_certificate %DIR%/$ssl_server_name.crt; ssl_certificate_key %DIR%/$ssl_server_name.key;') .
    "}\n");
$w->write("variable.$_", $w->read("v.$_")) for qw(crt key);

if ($w->read('stderr') =~ /"ssl_certificate_compression" does nothing: OpenSSL was built without/) {
	is $pq->get('on')->{compressed}, 0, 'an OpenSSL that compresses nothing is warned about';
	done_testing;
	exit;
}
is $pq->get('default')->{compressed}, 0, 'nothing is compressed by default';
is $pq->get('off')->{compressed}, 0, 'off';
my $r = $pq->get('on');
is $r->{compressed}, 1, 'on: compressed';
is "$r->{cn} $r->{body}", 's on', '... and understood';
$r = $pq->get('on', max => '1.2');
is "$r->{compressed} $r->{body}", '0 on', 'not in TLSv1.2, which has no such thing';
like $w->s_client('on', '-tls1_3'), qr/subject=CN = s\n/, 'nor for who does not ask';
$r = $pq->get('staple', status => '');
is "$r->{compressed} $r->{body}", '0 staple', 'with an OCSP response';
cmp_ok $r->{staple}, '>', 100, '... which is there';
$r = $pq->get('variable');
is "$r->{compressed} $r->{body} $r->{cn}", '0 variable v', 'a name with variables';

# Other certificates are compressed again.
$w->write("new.$_", $w->read("s2.$_")) for qw(crt key);
rename "$dir/new.key", "$dir/s.key" or die;
rename "$dir/new.crt", "$dir/s.chain" or die;
ok wait_for(sub { ($pq->get('on')->{cn} // '') eq 's2' }), 'a changed certificate';
$r = $pq->get('on');
is "$r->{compressed} $r->{body}", '1 on', '... is compressed';
is $w->stop, 0, 'stop';
done_testing;
