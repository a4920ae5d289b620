#!/usr/bin/perl
# Which location answers.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: location limit_except internal merge_slashes

my $w = Weir->new;
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		error_page 418 = @named;
		error_page 419 = /internal;

		location / { return 200 root; }
		location = / { return 200 exact-root; }
		location /a { return 200 a; }
		location /a/long { return 200 long; }
		location =/a/exact { return 200 exact; }
		location ^~ /static/ { return 200 static; }
		location ~ \.php$ { return 200 php; }
		location ~* \.gif$ { return 200 gif; }
		location ~ \.(php|x)$ { return 200 second; }
		location "~*^/cap/(?<what>[^/]+)/(.*)$" { return 200 "$what:$1:$2"; }
		location "/sp ace" { return 200 space; }
		location @named { return 200 named; }
		location /to-named { return 418; }
		location = /internal { internal; return 200 "internal:$uri"; }
		location = /to-internal { return 419; }
		location /nest {
			location /nest/a { return 200 nest-a; }
			location = /nest/b { return 200 nest-b; }
			location ~ /re$ {
				location ~ /deep/re$ { return 200 nest-deep; }
				return 200 nest-re;
			}
			return 200 nest;
		}
		location /except {
			limit_except get POST { deny all; }
			location /except/in { return 200 in; }
			return 200 fine;
		}
	}
	server {
		listen 127.0.0.1:%PORT2%;
		merge_slashes off;
		location /a/b { return 200 one; }
		location /a//b { return 200 two; }
		location / { return 200 "$uri"; }
	}
	server {
		listen 127.0.0.1:%PORT3%;
		location /only { return 200 only; }
		return 200 server;
	}
	server {
		listen 127.0.0.1:%PORT4%;
		location /only { return 200 only; }
	}
}
E

sub at { $w->get($_[0])->body }

is at('/'), 'exact-root', 'exact';
is at('/x'), 'root', 'shortest prefix';
is at('/a'), 'a', 'prefix, all of it';
is at('/abc'), 'a', 'a prefix need not end at a slash';
is at('/a/longer'), 'long', 'longest prefix';
is at('/a/exact'), 'exact', 'exact, with the mark sticking to it';
is at('/a/exact/'), 'a', 'exact is exact';
is at('/A'), 'root', 'case matters (Q-46)';
is at('/a/x.php'), 'php', 'regex wins over prefix';
is at('/static/x.php'), 'static', '^~ wins over regex';
is at('/x.GIF'), 'gif', '~* does not care for case';
is at('/x.PHP'), 'root', '~ does';
is at('/x.php'), 'php', 'the first regex wins';
is at('/x.x'), 'second', 'the next one';
is at('/cap/one/two/three'), 'one:one:two/three', 'groups';
is at('/sp%20ace'), 'space', 'locations are compared with the decoded path';
is at('/%61/lon%67'), 'long', 'decoded';
is at('/x/../a/./long'), 'long', 'dots are resolved before';
is at('/a//long'), 'long', 'slashes are merged before';
is at('/a/long?/b'), 'long', 'arguments do not count';

is at('/to-named'), 'named', 'named location';
is at('/@named'), 'root', 'which no client can reach';
is at('/to-internal'), 'internal:/internal', 'internal location';
is $w->get('/internal')->status, 404, 'which no client can reach';

is at('/nest/x'), 'nest', 'around';
is at('/nest/abc'), 'nest-a', 'nested prefix';
is at('/nest/b'), 'nest-b', 'nested exact';
is at('/nest/a/re'), 'nest-re', 'nested regex';
is at('/nest/deep/re'), 'nest-deep', 'regex in regex';
is at('/nest/x.php'), 'php', 'a regex outside is asked after those inside';

is $w->request($_, '/except')->status, 200, "limit_except: $_" for qw(GET HEAD POST);
is $w->request($_, '/except')->status, 403, "limit_except: $_" for qw(DELETE OPTIONS PATCH WHATEVER);
is $w->request('PUT', '/except', [], 'x')->status, 403, 'limit_except: PUT';
is $w->request('DELETE', '/except/in')->status, 200, 'limit_except is not inherited';

sub at2 { $w->request('GET', $_[0], [], undef, port => 2)->body }
is at2('/a/b'), 'one', 'merge_slashes off: one slash';
is at2('/a//b'), 'two', 'two slashes';
is at2('/x//y'), '/x//y', 'and the path keeps them';

is $w->request('GET', '/x', [], undef, port => 3)->body, 'server', 'no location: server level';
is $w->request('GET', '/only', [], undef, port => 4)->body, 'only', 'only one location';
is $w->request('GET', '/x', [], undef, port => 4)->status, 404, 'none: a file that is not there';

is $w->stop, 0, 'stop';
$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);

# ---- mistakes ----

sub wrong
{
	my ($in, $re, $name) = @_;
	my ($code, undef, $err) = $w->test_conf("http { server { listen %PORT1%;\n$in\n} }");
	is $code, 1, "$name: refused";
	like $err, qr/weir\.conf:\d+:\d+: \w+: $re/, $name;
}

wrong 'location /a { } location /a { }', qr/duplicate location "\/a", the first is in .*:2/, 'duplicate';
wrong 'location /a { } location ^~ /a { }', qr/duplicate location/, '^~ is a prefix, too';
wrong 'location = /a { } location = /a { }', qr/duplicate location/, 'duplicate exact';
wrong 'location @a { } location @a { }', qr/duplicate location/, 'duplicate named';
wrong 'location + /a { }', qr/invalid location modifier "\+"/, 'modifier';
wrong 'location /a { location /b { } }', qr{location "/b" is outside location "/a"}, 'outside';
wrong 'location = /a { location /a/b { } }', qr{location "/a/b" cannot be inside the exact location "/a"}, 'in exact';
wrong 'location @a { location /a { } }', qr{.*cannot be inside the named location "\@a"}, 'in named';
wrong 'location / { location @a { } }', qr{named location "\@a" can be on the server level only}, 'named inside';
wrong 'location ~ "(" { }', qr/\S/, 'regex';
wrong 'location a b c { }', qr/invalid number of arguments/, 'arguments';
wrong 'location / { limit_except FOO { } }', qr/invalid method "FOO"/, 'method';
wrong 'location / { server_name x; }', qr/.*not allowed here/, 'wrong place';
wrong 'internal;', qr/.*not allowed here/, 'internal belongs in location';

done_testing;
