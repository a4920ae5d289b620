#!/usr/bin/perl

# Variables that depend on others.
#
# effect: map map_hash_bucket_size map_hash_max_size

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
$w->write('more.map', "included yes;\n");
my $conf = <<'E';
http {
	map $arg_a $plain {
		default fallback;
		one 1;
		Two 2;
		"" empty;
		\default escaped;
		\~x tilde;
		include %DIR%/more.map;
		~^re-(?<group>[a-z]+)-(.*)$ "$group/$2";
		~^RE case;
		~*^any nocase;
		~^re second;
	}
	map $arg_a $no_default { one 1; }
	map "$arg_a:$arg_b" $pair { x:y both; default "$arg_b:$arg_a"; }
	map $arg_h $host_kind {
		hostnames;
		default none;
		example.com exact;
		.example.org both;
		*.example.com star;
		*.deep.example.com deep;
		www.example.* end;
		www.* www;
		~^regex\. regex;
	}
	map $arg_a $through { default "<$plain>"; }
	map $uri $kept { default $uri; }
	map $uri $fresh { volatile; default $uri; }
	map $arg_a $ring_a { default "a$ring_b"; }
	map $arg_a $ring_b { default "b$ring_a"; }
	map $http_x $explodes { default d; ~^(a+)+$ yes; }
	map $arg_a $http_x_made { default made; }
	map $arg_a $chain0 { default end; }
	%CHAIN%
	map $http_x $groups { default none; ~^%GROUPS%$ "$1$9$g99"; }

	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "$plain|$no_default|$pair"; }
		location /host { return 200 $host_kind; }
		location /through { return 200 $through; }
		location /rewritten { return 200 "$kept $fresh"; }
		location /first { set $x "$kept$fresh"; rewrite ^ /rewritten last; }
		location /ring { return 200 "[$ring_a]"; }
		location /explodes { return 200 "[$explodes]"; }
		location /chain/in { return 200 "[$chain98]"; }
		location /chain/over { return 200 "[$chain120]"; }
		location /groups { return 200 $groups; }
		location /made { return 200 $http_x_made; }
		location /capture/ {
			if ($uri ~ ^/capture/(.*)$) { return 200 "$1 $plain $1"; }
		}
	}
}
E
my $chain = join ' ', map { 'map $arg_a $chain' . $_ . ' { default $chain' . ($_ - 1) . '; }' } 1 .. 120;
my $groups = join '', map { $_ == 99 ? '(?<g99>.)' : '(.)' } 1 .. 100;
$conf =~ s/%CHAIN%/$chain/;
$conf =~ s/%GROUPS%/$groups/;
$w->start($conf);

sub body { return $w->get(@_)->body }
sub plain { return (split /\|/, body("/?a=$_[0]"))[0] }

is plain('one'), 1, 'a key';
is plain('TWO'), 2, 'in any case';
is plain(''), 'empty', 'the empty key';
is plain('default'), 'escaped', 'a key named default';
is plain('~x'), 'tilde', 'a key that begins with ~';
is plain('included'), 'yes', 'an included file';
is plain('else'), 'fallback', 'default';
is plain('re-a-b'), 'a/b', 'a regex with captures';
is plain('RE-a-b'), 'case', 'regexes heed case';
is plain('ANY'), 'nocase', 'unless told otherwise';
is plain('re-'), 'second', 'in order of writing';

is body('/?a=x&b=y'), 'fallback||both', 'several variables, no default';
is body('/?a=1&b=2'), 'fallback||2:1', 'variables in values';

my %kinds = ('example.com' => 'exact', 'EXAMPLE.com.' => 'exact', 'example.org' => 'both',
    'a.example.org' => 'both', 'a.example.com' => 'star', 'a.b.example.com' => 'star',
    'a.deep.example.com' => 'deep', 'deep.example.com' => 'star', 'www.example.net' => 'end',
    'www.example.co.uk' => 'end', 'www.other.net' => 'www', 'www.' => 'none', 'www' => 'none',
    '.example.com' => 'star', '..example.com' => 'star', '.net' => 'none', 'regex.x' => 'regex', 'x.net' => 'none', '' => 'none', '.' => 'none');
is body("/host?h=$_"), $kinds{$_}, "host \"$_\"" for sort keys %kinds;

is body('/through?a=one'), '<1>', 'a map in a map';
is body('/first'), '/first /rewritten', 'kept, or found out anew';
is body('/made'), 'made', 'a map may have a name of a family';
is body('/capture/x?a=re-y-z'), 'x y/z x', 'captures of a map do not disturb the others';

# A ring of maps ends (S-255).
like body('/ring'), qr/^\[ab/, 'a ring';
$w->log_like(qr/cycle while evaluating variable "\$ring_a"/, 'is logged');

is body("/chain/in"), "[end]", "a hundred maps in one another";
is body("/chain/over"), "[]", "more are too many";
$w->log_like(qr/too many variables in one another while evaluating "/, 'is logged');
is body('/groups', X => join '', map { chr(ord('a') + $_ % 10) } 1 .. 100), 'bjj', 'a hundred groups';
is body('/groups', X => 'abc'), 'none', 'that do not match';

is body('/explodes', X => 'aaa'), '[yes]', 'a regex';
is body('/explodes', X => 'a' x 5000 . '!'), '[]', 'that explodes gives nothing';
$w->log_like(qr/gave up on 5001 bytes/, 'and is logged');

my %mistakes = (
	'map $host x { }' => 'invalid variable name "x"',
	'map $host $uri { }' => 'the duplicate "uri" variable',
	'map $host $x { a 1; A 2; }' => 'conflicting parameter "A"',
	'map $host $x { default 1; default 2; }' => 'duplicate default',
	'map $host $x { a; }' => 'invalid number of the map parameters',
	'map $host $x { a b c; }' => 'invalid number of the map parameters',
	'map $host $x { hostnames; a.*.b 1; }' => 'invalid hostname or wildcard',
	'map $host $x { hostnames; *x 1; }' => 'invalid hostname or wildcard',
	'map $host $x { ~( 1; }' => 'regex "\("',
	'map $nowhere $x { }' => 'unknown "nowhere" variable',
	'map $host $x { a $nowhere; }' => 'unknown "nowhere" variable',
);
for my $line (sort keys %mistakes) {
	my ($code, undef, $err) = $wrong->test_conf("http { $line server { } }");
	isnt $code, 0, "refused: $line";
	like $err, qr/$mistakes{$line}/, 'says why';
}

my ($code, undef, $err) = $wrong->test_conf('http { map_hash_bucket_size 64; map_hash_max_size 64; }');
is $code, 0, 'sizes of tables';
is scalar(() = $err =~ /\[warn\].*has no effect/g), 2, 'have no effect, and weir says so';

done_testing;
