#!/usr/bin/perl

# Secrets in files of their own.
#
# effect: secret_file

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);

$w->write('token', "s3cr\$et \"x\"\n", 0600);
$w->write('crlf', "two\r\n", 0640);
my $conf = <<'E';
http {
	secret_file $token token;
	secret_file $second %DIR%/crlf;
	map $http_authorization $known { default 0; "Bearer $token" 1; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { add_header X-Token "[$token][$second]"; return 200 $known; }
	}
}
E
$w->start($conf);
my $r = $w->get('/');
is $r->header('X-Token'), '[s3cr$et "x"][two]', 'the values, as they are';
my ($rc, $out) = $w->run('-T');
unlike $out, qr/s3cr/, 'weir -T does not show them';
$w->write('token', 'new', 0600);
ok $w->reload, 'a reload';
like $w->get('/')->header('X-Token'), qr/^\[new\]/, 'reads them anew';
$w->write('token', 'open', 0644);
$w->expect_alert(qr/everybody can read the secret/);
ok !$w->reload, 'a file that became readable';
like $w->get('/')->header('X-Token'), qr/^\[new\]/, 'changes nothing';

my $d = $wrong->dir;
$wrong->write('open', 'x', 0604);
$wrong->write('empty', "\n", 0600);
$wrong->write('large', 'x' x 65537, 0600);
$wrong->write('fine', 'x', 0600);
for ([ 'secret_file token fine;', qr/invalid variable name "token"/ ],
    [ 'secret_file $a open;', qr/everybody can read the secret.*chmod o=/ ],
    [ 'secret_file $a empty;', qr/there is no secret in/ ],
    [ 'secret_file $a large;', qr/more than 65536 bytes/ ],
    [ 'secret_file $a missing;', qr/cannot open .*missing" \(2:/ ],
    [ "secret_file \$a $d;", qr/is no file/ ],
    [ 'secret_file $uri fine;', qr/it is built in/ ]) {
	my ($code, undef, $err) = $wrong->test_conf("http { $_->[0] server { listen 127.0.0.1:%PORT9%; } }");
	is $code, 1, "refused: $_->[0]";
	like $err, $_->[1], 'and why';
}

done_testing;
