#!/usr/bin/perl

# S-60: what h2spec (https://github.com/summerwind/h2spec) asks of a server of HTTP/2.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $tool = $ENV{H2SPEC} // 'h2spec';
plan skip_all => 'no h2spec' if system("$tool --version > /dev/null 2>&1") != 0;

my $w = Weir->new;
$w->cert('s', cn => 'localhost');
$w->write('www/big', 'x' x 300_000);
$w->start(<<'CONF');
http {
	http2 on;
	root %DIR%/www;
	server {
		listen 127.0.0.1:%PORT1% ssl;
		ssl_certificate %DIR%/s.crt;
		ssl_certificate_key %DIR%/s.key;
	}
}
CONF
my $port = $w->port(1);
for my $path ('/big', '/none') {
	my $out = `$tool -h 127.0.0.1 -p $port -t -k --strict -o 5 -P $path 2>&1`;
	my ($all, $passed, $skipped) = $out =~ /^(\d+) tests, (\d+) passed, (\d+) skipped/m;
	ok defined $all && $all >= 146 && $passed == $all - $skipped, "$path: all of it" or diag $out =~ /^(Failures:.*)/ms ? $1 : $out;
	cmp_ok $skipped, '<=', $path eq '/big' ? 0 : 1, "$path: what needs a large response is tried with one";
}
done_testing;
