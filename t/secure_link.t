#!/usr/bin/perl

# Links that were made with a secret, for a time.
#
# effect: secure_link secure_link_md5 secure_link_secret

use strict;
use warnings;

use lib 't/lib';
use Digest::MD5 qw(md5 md5_hex);
use MIME::Base64 qw(encode_base64url);
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		secure_link_md5 "$secure_link_expires$uri secret";
		location / {
			secure_link $arg_md5,$arg_expires;
			return 200 "[$secure_link] [$secure_link_expires]";
		}
		location /forever/ {
			secure_link $arg_md5;
			secure_link_md5 "$uri secret";
			return 200 "[$secure_link] [$secure_link_expires]";
		}
		location /half/ { return 200 "[$secure_link]"; }
		location /if/ {
			secure_link $arg_md5,$arg_expires;
			if ($secure_link = "") { return 403; }
			if ($secure_link = "0") { return 410; }
			return 204;
		}
		location /p/ {
			secure_link_secret word;
			if ($secure_link = "") { return 403; }
			rewrite ^ /secure/$secure_link;
		}
		location /secure/ {
			internal;
			return 200 "$uri [$secure_link] $args";
		}
		location /outer/ {
			secure_link_secret word;
			location /outer/inner/ { return 200 "[$secure_link]"; }
			location /outer/other/ { secure_link $arg_md5; secure_link_md5 "x"; return 200 "[$secure_link]"; }
		}
	}
}
E

sub body { return $w->get($_[0])->body }
sub link_to { my ($uri, $expires) = @_; return encode_base64url(md5(($expires // '') . "$uri secret")) }

my ($past, $future) = (time - 100, time + 1000);
my $md5 = link_to('/x', $future);
is body("/x?md5=$md5&expires=$future"), "[1] [$future]", 'a good link';
is body("/x?md5=$md5==&expires=$future"), "[1] [$future]", 'with padding';
is body("/x?md5=" . link_to('/x', $past) . "&expires=$past"), "[0] [$past]", 'one whose time is over';
is body("/x?md5=$md5&expires=" . ($future + 1)), '[] [' . ($future + 1) . ']', 'one with another time';
is body("/y?md5=$md5&expires=$future"), "[] [$future]", 'one for another path';
is body("/x?md5=" . link_to('/x', '0') . '&expires=0'), '[] []', 'no time';
is body("/x?md5=" . link_to('/x', $_) . "&expires=$_"), '[] []', "\"$_\" is no time" for '', '-1', "+$future", "${future}x", '9' x 30;
(my $swapped = $md5) =~ tr{-_A-Za-z}{+/a-zA-Z};
is body("/x?md5=$_&expires=$future"), "[] [$future]", "\"$_\" is no hash"
    for '', 'x', $swapped, substr($md5, 0, 21), "${md5}A", "$md5===", '!' x 22, 'A' x 1000;
$md5 = link_to('/forever/x');
is body("/forever/x?md5=$md5"), '[1] []', 'without a time';
is body("/forever/x?md5=$md5,$future"), "[1] [$future]", 'unless there is a comma';
is body("/half/x?md5=$md5"), '[]', 'both directives are needed';
is $w->get("/if/x?md5=" . link_to('/if/x', $future) . "&expires=$future")->status, 204, 'if: good';
is $w->get("/if/x?md5=" . link_to('/if/x', $past) . "&expires=$past")->status, 410, 'if: over';
is $w->get("/if/x?md5=" . link_to('/if/y', $future) . "&expires=$future")->status, 403, 'if: bad';

my $hex = md5_hex('dir/link word' =~ s/ //r);
is body("/p/$hex/dir/link"), '/secure/dir/link [dir/link] ', 'a secret: a good link';
is body('/p/' . uc($hex) . '/dir/link'), '/secure/dir/link [dir/link] ', 'in any case';
is body('/p/' . md5_hex('a?b=cword') . '/a?b=c'), '/secure/a?b=c [a?b=c] b=c', 'with arguments, as nginx has it';
is $w->get($_)->status, 403, "a secret: $_"
    for "/p/$hex/dir/other", "/p/$hex/", "/p/$hex", '/p/', "/p/${hex}0/dir/link", "/p/" . substr($hex, 1) . '/dir/link',
    '/p/' . 'g' x 32 . '/dir/link', '/p/' . md5_hex('dir/link') . '/dir/link';
is body('/outer/inner/' . 'x'), '[]', 'the place of the hash is where it is';
is body('/outer/other/?md5=' . encode_base64url(md5('x'))), '[1]', 'one kind replaces the other';
$w->stop;

for ([ 'secure_link_secret a; secure_link $arg_x;', 'cannot be mixed' ], [ 'secure_link_md5 x; secure_link_secret a;', 'cannot be mixed' ],
    [ 'secure_link_secret "";', 'empty' ], [ 'secure_link $no_such;', 'no_such' ]) {
	my ($rc, undef, $err) = $wrong->test_conf("http { server { listen 127.0.0.1:%PORT9%; $_->[0] } }");
	is $rc, 1, "$_->[0] is a mistake";
	like $err, qr/$_->[1]/, 'which is told';
}

done_testing;
