#!/usr/bin/perl

# URIs that are changed, variables that are set, conditions.
#
# effect: rewrite set if break rewrite_log uninitialized_variable_warn pcre_jit

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
mkdir $w->dir . '/folder';
$w->write('file', '');
$w->write('tool', '', 0755);
$w->start(<<'E');
error_log %DIR%/error.log notice;
http {
	absolute_redirect off;

	server {
		listen 127.0.0.1:%PORT1%;
		server_name localhost;

		set $order "${order_}1";
		rewrite ^/server/(.*)$ /from-server/$1;
		if ($arg_early) { return 200 "early $arg_early"; }
		set $order "${order}2";
		set $order_ x;

		location /from-server/ { return 200 "$uri $is_args$args"; }
		location /show { return 200 "$uri|$args|$request_uri"; }
		location = /order { return 200 $order; }

		location /last { rewrite ^/last(.*) /show$1 last; return 404; }
		location /plain { rewrite ^/plain(.*) /show$1; set $a after; return 200 "not reached by $a"; }
		location /on { rewrite ^/on(.*) /show$1; set $a b; }
		location /break { rewrite ^/break(.*) /show$1 break; rewrite ^ /x; root %DIR%; }
		location /stay { rewrite ^ /show/stay; break; rewrite ^ /x; return 404; }
		location /args/add { rewrite ^ /show?n=1; }
		location /args/drop { rewrite ^ /show?n=1?; }
		location /args/none { rewrite ^ /show?; }
		location /args/capture { rewrite ^/args/capture/(.*)$ /show?c=$1? last; }
		location /args/path { rewrite ^/args/path/(.*)$ /show/$1? last; }
		location /args/two { rewrite ^ /show?a?b? last; }
		location /loop { rewrite ^ /loop/x; }
		location /nine { rewrite "^/nine(x{0,8})$" /nine$1x last; return 200 "$uri"; }
		location /empty-uri { rewrite ^ $arg_nothing? last; }
		location /up { rewrite ^ /show/$arg_p? last; }
		location /spaces { rewrite ^ "/show?$http_x_args?" last; }

		location /to/redirect { rewrite ^ /there redirect; }
		location /to/permanent { rewrite ^ /there permanent; }
		location /to/url { rewrite ^/to/url/(.*) http://example.org/$1; }
		location /to/scheme { rewrite ^ $scheme://example.org/?x=1; }
		location /to/drop { rewrite ^ http://example.org/?x=1?; }
		location /to/arg { rewrite ^ $arg_r? redirect; }
		location /to/split { rewrite ^ http://example.org$uri? redirect; }

		location /set/args { set $args "x y&z"; rewrite ^ /show last; }
		location /set/changed { set $args $arg_new; return 200 "$args $arg_c"; }
		location /set/named {
			if ($uri ~ ^/set/named/(?<first>[a-z]+)(?:/(?<Second>.*))?) {
				return 200 "$first-$second-$1";
			}
		}
		location /set/later { set $a1 $b1; set $b1 2; set $a1 "$a1-$b1"; return 200 $a1; }
		location /set/quiet {
			uninitialized_variable_warn off;
			set $quiet_one $quiet_two;
			if ($quiet) { set $quiet_two 1; set $quiet 1; }
			return 200 "[$quiet_one]";
		}

		location ~ ^/set/quoted/(.*)$ {
			set $q $1;
			set $before "-$q-";
			if (-f %DIR%/$1) { set $before "file$before"; }
			rewrite ^(/set)/quoted/(.*)$ $1/it;
			set $after $2;
			return 200 "$before $after|$2";
		}
		location /if/conf {
			default_type text/outer;
			if ($arg_in) { set $x in; set $y "$x"; }
			if ($arg_type) { add_header X-In "yes $uri"; }
			set $z "$y!";
			return 200 "$z";
		}
		location /if/inherit {
			add_header X-Outer outer;
			root %DIR%;
			if ($arg_in) { set $x in; }
		}
		location /if/order {
			set $v 1;
			if ($v = 1) { set $v 2; }
			if ($v = 1) { set $v 3; }
			set $v "${v}4";
			if ($v = 24) { set $v "${v}5"; }
			return 200 $v;
		}
		location /if/rewrite {
			if ($arg_a ~ ^(\d+)-(\d+)$) { rewrite ^ /show/$arg_a? last; }
			if ($arg_a !~ x) { return 200 "none"; }
			return 200 "x";
		}
		location /if/after { if ($arg_v = yes) { break; } return 200 "fell through"; }
		location /log {
			rewrite_log on;
			rewrite ^/log/no /x;
			rewrite ^/log/(.*) /show/$1;
		}
		location /regex { if ($http_x ~ "^(a+)+$") { return 200 yes; } return 200 no; }
	}

	server {
		listen 127.0.0.1:%PORT2%;
		location / { if ($arg_c) { return 204; } }
		location /spaces { if ( $arg_c ) { return 204; } }
		location /eq { if ($arg_c = 1) { return 204; } }
		location /eq-var { if ($arg_c = "x$arg_d") { return 204; } }
		location /eq-empty { if ($arg_c = "") { return 204; } }
		location /ne { if ($arg_c != 1) { return 204; } }
		location /re { if ($arg_c ~ foo) { return 204; } }
		location /re-case { if ($arg_c ~* foo) { return 204; } }
		location /re-not { if ($arg_c !~ foo) { return 204; } }
		location /re-not-case { if ($arg_c !~* foo) { return 204; } }
		location /re-brackets { if ($arg_c ~ "^(a|b)$") { return 204; } }
		location /re-bare { if ($arg_c ~ ^(a|b)$) { return 204; } }
		location /f { if (-f %DIR%/$arg_c) { return 204; } }
		location /d { if (-d %DIR%/$arg_c) { return 204; } }
		location /e { if (-e %DIR%/$arg_c) { return 204; } }
		location /x { if (-x %DIR%/$arg_c) { return 204; } }
		location /not-f { if (!-f %DIR%/$arg_c) { return 204; } }
		location /not-d { if (!-d %DIR%/$arg_c) { return 204; } }
		location /not-e { if (!-e %DIR%/$arg_c) { return 204; } }
		location /not-x { if (!-x %DIR%/$arg_c) { return 204; } }
		location /relative { if (-f file) { return 204; } }
	}
}
E

sub body { return $w->get(@_)->body }

sub location_is
{
	my ($uri, $status, $to) = @_;
	my $r = $w->get($uri);
	is $r->status, $status, "$uri: status";
	is $r->header('Location'), $to, "$uri: Location";
}

# ---- where they run and in which order ----

is body('/server/a?b=c'), '/from-server/a ?b=c', 'a server rewrites first';
is body('/order?early=1'), 'early 1', 'a condition on the server level';
is body('/order'), '12', 'the order of writing';

is body('/last/x?y=z'), '/show/x|y=z|/last/x?y=z', 'last';
is body('/plain/x'), 'not reached by after', 'without last the rest runs';
is body('/on/x'), '/show/x||/on/x', 'and then the location is looked for';
is $w->get('/break/x')->status, 404, 'break stays in the location';
$w->log_like(qr{"\Q$w->{dir}\E/show/x" failed}, 'and so its root counts');
is $w->get('/stay')->status, 404, 'the directive break, too';

is body('/args/add?q=1'), '/show|n=1&q=1|/args/add?q=1', 'arguments are added';
is body('/args/add'), '/show|n=1|/args/add', 'when there are any';
is body('/args/drop?q=1'), '/show|n=1|/args/drop?q=1', 'or dropped';
is body('/args/none?q=1'), '/show||/args/none?q=1', 'also when there are no new ones';
is body('/args/capture/a%26b%3f%25'), '/show|c=a%26b%3F%25|/args/capture/a%26b%3f%25',
    'captures are escaped in arguments';
is body('/args/capture/a&b'), '/show|c=a&b|/args/capture/a&b', 'of a path that was escaped';
is body('/args/path/a%20b'), '/show/a b||/args/path/a%20b', 'and not in paths';
is body('/args/two'), '/show|a?b|/args/two', 'only the first ? begins arguments';

is body('/set/quoted/a%20b'), '-a%20b- a b|a b', 'set escapes captures as they were, until a rewrite matches';
is body('/set/quoted/file'), 'file-file- file|file', 'what needs no escape has none';

is $w->get('/loop')->status, 500, 'a loop ends';
$w->log_like(qr/rewrite or internal redirection cycle while processing "\/loop/, 'and is logged');
is body('/nine'), '/ninexxxxxxxxx', 'nine changes are not too many';
is $w->get('/empty-uri')->status, 500, 'an empty URI';
$w->log_like(qr/the rewritten URI has a zero length/, 'is logged');
is $w->get('/up?p=../../etc/passwd')->status, 500, 'a rewrite cannot leave the root';
is body('/up?p=a..b'), '/show/a..b||/up?p=a..b', 'dots alone are fine';
is body('/spaces', 'X-Args' => "a b\tc"), '/show|a%20b%09c|/spaces', 'arguments never hold spaces';

# ---- redirects ----

location_is '/to/redirect?a=b', 302, '/there?a=b';
location_is '/to/permanent', 301, '/there';
location_is '/to/url/x?a=b', 302, 'http://example.org/x?a=b';
location_is '/to/url/x%3fy', 302, 'http://example.org/x?y';
location_is '/to/scheme?a=b', 302, 'http://example.org/?x=1&a=b';
location_is '/to/drop?a=b', 302, 'http://example.org/?x=1';
location_is '/to/arg?r=http%3A%2F%2Fexample.com%2F%3Ffrom', 302, 'http://example.com/?from';
location_is '/to/arg?r=http%3A%2F%2Fexample.com%0D%0Asplit', 302, 'http://example.com%0D%0Asplit';
location_is '/to/split/%0d%0aX:%20y', 302, undef;

# ---- set ----

is body('/set/args?c=1'), '/show|x%20y&z|/set/args?c=1', 'set $args';
is body('/set/changed?new=c%3D&c=1'), 'c%3D ', 'and what depends on it changes';
is body('/set/named/ab/c'), 'ab-c-ab', 'named groups';
is body('/set/named/ab'), 'ab--ab', 'one that took no part';
is body('/set/later'), '-2', 'not set yet';
$w->log_like(qr/\[warn\].* using uninitialized "b1" variable/, 'warns');
is body('/set/quiet'), '[]', 'quiet';
unlike $w->log_text, qr/uninitialized "quiet/, 'uninitialized_variable_warn off';

# ---- if ----

is body('/if/conf?in=1'), 'in!', 'a condition that holds';
is body('/if/conf'), '!', 'and one that does not';
is $w->get('/if/conf?type=1')->header('X-In'), 'yes /if/conf', 'its configuration counts';
is $w->get('/if/conf')->header('X-In'), undef, 'only then';
is $w->get('/if/inherit/x?in=1')->status, 404, 'it inherits';
$w->log_like(qr{\Q$w->{dir}\E/if/inherit/x}, 'root');
is body('/if/order'), '245', 'conditions in their order';
is body('/if/rewrite?a=1-2'), '/show/1-2||/if/rewrite?a=1-2', 'captures and a rewrite';
is body('/if/rewrite?a=y'), 'none', 'a regex that does not match';
is body('/if/rewrite?a=x'), 'x', 'negated';
is $w->get('/if/after?v=yes')->status, 404, 'break inside ends the outer program';
is body('/if/after'), 'fell through', 'only if it holds';

sub holds { is $w->request('GET', $_[0], [], undef, port => 2)->status, 204, "holds: $_[0]" }
sub fails { is $w->request('GET', $_[0], [], undef, port => 2)->status, 404, "fails: $_[0]" }
holds $_ for '/?c=1', '/?c=00', '/spaces?c=1', '/eq?c=1', '/eq-var?c=xy&d=y', '/eq-empty',
    '/eq-empty?c=', '/ne?c=2', '/ne', '/re?c=food', '/re-case?c=FooD', '/re-not?c=FOO',
    '/re-not-case?c=bar', '/re-brackets?c=a', '/re-bare?c=b', '/f?c=file', '/d?c=folder',
    '/e?c=file', '/e?c=folder', '/x?c=tool', '/x?c=folder', '/not-f?c=folder', '/not-f?c=nx',
    '/not-d?c=file', '/not-e?c=nx', '/not-x?c=file', '/relative';
fails $_ for '/zero?c=0', '/none?c=', '/none', '/eq?c=2', '/eq', '/eq-var?c=x&d=y', '/eq-empty?c=1',
    '/ne?c=1', '/re?c=FOO', '/re-case?c=bar', '/re-not?c=food', '/re-not-case?c=FOO',
    '/re-brackets?c=c', '/re-bare?c=c', '/f?c=folder', '/f?c=nx', '/d?c=file', '/e?c=nx', '/x?c=file',
    '/x?c=nx', '/not-f?c=file', '/not-d?c=folder', '/not-e?c=file', '/not-x?c=tool';

# ---- logs, limits ----

is body('/log/x'), '/show/x||/log/x', 'rewrite_log';
$w->log_like(qr{\[notice\].* "\^/log/no" does not match "/log/x"}, 'tells of what did not match');
$w->log_like(qr{\[notice\].* "\^/log/\(\.\*\)" matches "/log/x"}, 'what did');
$w->log_like(qr{\[notice\].* rewritten data: "/show/x", args: ""}, 'and what became of it');
unlike $w->log_text, qr{"\^/last}, 'only where it is on';

is body('/regex', X => 'aaa'), 'yes', 'a regex';
is $w->get('/regex', X => 'a' x 5000 . '!')->status, 500, 'that explodes is given up';
$w->log_like(qr/the regex "\^\(a\+\)\+\$" gave up on 5001 bytes/, 'and logged');
is body('/regex', X => 'aa'), 'yes', 'and works again';

# What machine code does in no time takes too long without: so pcre_jit has an effect.

for my $jit ('on', 'off') {
	my $slow = Weir->new;
	$slow->start("pcre_jit $jit;\n" . <<'E');
http {
	large_client_header_buffers 4 64k;
	server {
		listen 127.0.0.1:%PORT1%;
		if ($http_x ~ "a.*[bc]") { return 200 yes; }
		return 200 no;
	}
}
E
	is $slow->get('/', X => 'xab')->body, 'yes', "pcre_jit $jit: a match";
	is $slow->get('/', X => 'xba')->body, 'no', 'no match';
	is $slow->get('/', X => 'a' x 60000)->status, $jit eq 'on' ? 200 : 500, 'a long text';
}

# ---- mistakes ----

my %mistakes = (
	'set x y;' => 'invalid variable name "x"',
	'set $ y;' => 'invalid variable name "\$"',
	'set $uri y;' => 'the duplicate "uri" variable',
	'set $x $nowhere;' => 'unknown "nowhere" variable',
	'set $x $request_ur;' => 'did you mean "\$request_uri"',
	'set $x $;' => 'invalid variable name',
	'set $x "${host";' => 'closing bracket in "host" variable is missing',
	'rewrite (a b;' => 'regex "\(a"',
	'rewrite a "";' => 'empty replacement',
	'if ($host = ) { }' => 'nothing behind "="',
	'if ($host ~) { }' => 'nothing behind "~"',
	'rewrite a b nowhere;' => 'invalid parameter "nowhere"',
	'rewrite (?<uri>a) b;' => 'the group "uri" has the name',
	'if $x { }' => 'it begins with "\("',
	'if ($host { }' => 'it ends with "\)"',
	'if ($host > 1) { }' => 'unexpected ">" in condition',
	'if ($host = 1 2) { }' => 'unexpected "2" in condition',
	'if (-q /x) { }' => 'invalid condition "-q"',
	'if (x) { }' => 'invalid condition "x"',
	'if () { }' => 'the condition is empty',
	'if ($host ~ "(") { }' => 'regex "\("',
	'if ($host) { if ($host) { } }' => '"if"',
);
for my $line (sort keys %mistakes) {
	my ($code, undef, $err) = $wrong->test_conf("http { server { $line } }");
	isnt $code, 0, "refused: $line";
	like $err, qr/$mistakes{$line}/, 'says why';
}

done_testing;
