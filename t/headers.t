#!/usr/bin/perl
# add_header, add_trailer, expires, server_tokens and what else is said in heads.

use strict;
use warnings;

use lib 't/lib';
use POSIX ();
use Test::More;
use Weir;

# effect: add_header add_header_inherit add_trailer add_trailer_inherit expires server_tokens
# effect: chunked_transfer_encoding absolute_redirect server_name_in_redirect port_in_redirect

$ENV{TZ} = 'UTC';
my $w = Weir->new;
$w->write('html/t.txt', "text\n");
my $changed = time - 100;
utime $changed, $changed, $w->dir . '/html/t.txt';
$w->start(<<'E');
env TZ;
http {
	add_header X-Http http;
	map $sent_http_content_type $by_type { default off; text/plain $arg_e; ~image/ max; }

	server {
		listen 127.0.0.1:%PORT1%;
		server_name name.example.com;

		location / { }
		location /own { add_header X-Own "a $arg_x b"; add_header X-Always always always;
			location /own/inner { return 200 x; }
			location /own/other { add_header X-Inner i; return 200 x; }
			return 200 x; }
		location /own-error { add_header X-Own o; add_header X-Always always always; return 404; }
		location /merge { add_header_inherit merge; add_header X-Own own;
			location /merge/in { add_header X-In in; return 200 x; }
			return 200 x; }
		location /off { add_header_inherit off; return 200 x; }
		location /on { add_header_inherit on; add_header X-Own own; return 200 x; }
		location /if { if ($arg_a) { add_header X-If if; return 200 x; } return 200 x; }
		location /empty { add_header X-Empty ""; add_header X-Var $arg_none; return 200 x; }
		location /last { add_header Last-Modified ""; add_header ETag '"mine"'; alias html/; }
		location /many { add_header Cache-Control a; add_header Cache-Control b; add_header Set-Cookie c=1; add_header Set-Cookie d=2; return 200 x; }
		location /split { add_header X-Split $cookie_x; add_header X-Split2 "$uri"; return 200 x; }

		location /e/ { alias html/;
			location /e/day/ { alias html/; expires 1d; }
			location /e/no/ { alias html/; expires -1; }
			location /e/zero/ { alias html/; expires 0; }
			location /e/epoch/ { alias html/; expires epoch; }
			location /e/max/ { alias html/; expires max; }
			location /e/off/ { alias html/; expires off; }
			location /e/mod/ { alias html/; expires modified 1h; }
			location /e/modneg/ { alias html/; expires modified -1h; }
			location /e/at/ { alias html/; expires @12h30m; }
			location /e/modzero/ { alias html/; expires modified 0; }
			location /e/modvar/ { alias html/; expires modified $arg_e; }
			location /e/map/ { alias html/; expires $by_type; }
			location /e/mix/ { alias html/; expires "1h 30m"; add_header Cache-Control private; }
			location /e/long/ { alias html/; expires 10000y; }
			location /e/last/ { alias html/; expires modified 1h; return 200 "no date"; }
			location /e/var/ { alias html/; expires $arg_e; }
			location /e/error/ { expires 1d; return 404; }
		}

		location /t { add_trailer X-T "t $request_uri"; add_trailer X-Empty ""; add_trailer X-A a always; return 200 text; }
		location /t-error { add_trailer X-T t; add_trailer X-A a always; return 404; }
		location /t-file/ { alias html/; add_trailer X-Len $body_bytes_sent;
			location /t-file/in/ { alias html/; }
			location /t-file/own/ { alias html/; add_trailer X-Own o; }
			location /t-file/merge/ { alias html/; add_trailer_inherit merge; add_trailer X-Own o; }
			location /t-file/off/ { alias html/; add_trailer_inherit off; }
		}
		location /t-none { chunked_transfer_encoding off; add_trailer X-T t; return 200 text; }

		location /tokens-off { server_tokens off; return 404; }
		location /tokens-on { server_tokens on; return 404; }
		location /tokens-build { server_tokens build; return 404; }
		location /tokens-text { server_tokens "my $arg_s"; return 404; }
		location /tokens-none { server_tokens ""; return 404; }

		location /r/abs { return 301 /x?y; }
		location /r/rel { absolute_redirect off; return 301 /x?y; }
		location /r/name { server_name_in_redirect on; return 301 /x; }
		location /r/noport { port_in_redirect off; return 301 /x; }
		location /r/out { return 301 http://other.example.com/y; }

		location /stream { proxy_pass http://127.0.0.1:%PORT2%; }
		location /plain { chunked_transfer_encoding off; proxy_pass http://127.0.0.1:%PORT2%; }
	}
}
E

sub field { my ($uri, $name, @more) = @_; return $w->get($uri, @more)->header($name) }

is field('/t.txt', 'X-Http'), 'http', 'inherited';
is field('/nothing', 'X-Http'), undef, 'not with an error';
is field('/own?x=1', 'X-Own'), 'a 1 b', 'variables';
is field('/own', 'X-Http'), undef, 'own ones replace inherited ones';
is field('/own/inner', 'X-Always'), 'always', 'nested: inherited';
is field('/own/other', 'X-Own'), undef, 'nested: replaced';
is field('/own-error', 'X-Own'), undef, 'without always: not with an error';
is field('/own-error', 'X-Always'), 'always', 'always: with an error';
is field('/merge', 'X-Http'), 'http', 'merge: from above';
is field('/merge', 'X-Own'), 'own', 'merge: and own';
is_deeply [map field('/merge/in', "X-$_"), qw(Http Own In)], [qw(http own in)], 'merge is inherited';
is field('/off', 'X-Http'), undef, 'off';
is field('/on', 'X-Http'), undef, 'on';
is field('/on', 'X-Own'), 'own', 'on: own';
is field('/if?a=1', 'X-If'), 'if', 'in if';
is field('/if', 'X-If'), undef, 'not without if';
is field('/empty', $_), undef, "$_: an empty value adds nothing" for qw(X-Empty X-Var);
is field('/last/t.txt', 'Last-Modified'), undef, 'an empty Last-Modified removes it';
is_deeply [$w->get('/last/t.txt')->headers_all('ETag')], ['"mine"'], 'ETag is replaced';
is_deeply [$w->get('/many')->headers_all('Cache-Control')], ['a', 'b'], 'several of a name';
is_deeply [$w->get('/many')->headers_all('Set-Cookie')], ['c=1', 'd=2'], 'Set-Cookie, too';

# what a client sends cannot make fields of its own
my $r = $w->get('/split%0d%0aX-Evil:%20yes');
isnt $r->header('X-Evil'), 'yes', 'no splitting by the URI';
is field('/split', 'X-Split', Cookie => 'x=a'), 'a', 'a cookie';

# ---- expires ----

sub seconds { my %m; @m{qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)} = 0 .. 11;
	my ($d, $m, $y, $h, $i, $s) = ($_[0] // '') =~ /^\w+, (\d+) (\w+) (\d+) (\d+):(\d+):(\d+) GMT$/ or return -1;
	require Time::Local; return Time::Local::timegm($s, $i, $h, $d, $m{$m}, $y) }

sub expires
{
	my ($uri, $control, $in, $name) = @_;
	my $r = $w->get($uri);
	is $r->header('Cache-Control'), $control, "$name: Cache-Control";
	my $got = seconds($r->header('Expires')) - seconds($r->header('Date'));
	cmp_ok abs($got - $in), '<=', 2, "$name: Expires";
	return $r;
}

expires '/e/day/t.txt', 'max-age=86400', 86400, '1d';
expires '/e/no/t.txt', 'no-cache', -1, '-1';
expires '/e/zero/t.txt', 'max-age=0', 0, '0';
expires '/e/var/t.txt?e=2h', 'max-age=7200', 7200, 'variable';
is field('/e/epoch/t.txt', 'Expires'), 'Thu, 01 Jan 1970 00:00:01 GMT', 'epoch';
is field('/e/epoch/t.txt', 'Cache-Control'), 'no-cache', 'epoch';
is field('/e/max/t.txt', 'Expires'), 'Thu, 31 Dec 2037 23:55:55 GMT', 'max';
is field('/e/max/t.txt', 'Cache-Control'), 'max-age=315360000', 'max';
is field($_, 'Expires'), undef, "$_: nothing" for '/e/off/t.txt', '/e/var/t.txt', '/e/var/t.txt?e=off',
    '/e/var/t.txt?e=nonsense', '/e/error/', '/e/t.txt';
$r = $w->get('/e/mod/t.txt');
is seconds($r->header('Expires')), $changed + 3600, 'modified: from the last modification';
like $r->header('Cache-Control'), qr/^max-age=34(9\d|[0-9]\d)|max-age=3500$/, 'modified: what is left of it';
is field('/e/modneg/t.txt', 'Cache-Control'), 'no-cache', 'modified, negative';
expires '/e/modzero/t.txt', 'max-age=0', 0, 'modified 0: now';
$r = $w->get('/e/modvar/t.txt?e=%2B1h' =~ s/%2B/+/r);
is seconds($r->header('Expires')), $changed + 3600, 'modified, a variable';
is field("/e/modvar/t.txt?e=$_", 'Expires'), undef, "modified, a variable without sense: $_" for '@1h', 'epoch', 'off', '';
expires '/e/map/t.txt?e=1d12h', 'max-age=129600', 129600, 'a map of the type';
expires '/e/map/t.txt?e=+1h', 'max-age=3600', 3600, 'with a sign';
is field('/e/map/t.txt?e=max', 'Cache-Control'), 'max-age=315360000', 'a variable: max';
is field('/e/map/t.txt?e=epoch', 'Cache-Control'), 'no-cache', 'a variable: epoch';
is seconds(field('/e/map/t.txt?e=@15h', 'Expires')) % 86400, 15 * 3600, 'a variable: a time of the day';
is field("/e/map/t.txt?e=$_", 'Expires'), undef, "a variable without sense: $_" for '@25h', '@-1h', '1000ms', '1x', '-', '@', 'Epoch';
is_deeply [$w->get('/e/mix/t.txt')->headers_all('Cache-Control')], ['max-age=5400', 'private'], 'add_header adds to it';
is field('/e/long/t.txt', 'Expires'), 'Fri, 31 Dec 9999 23:59:59 GMT', 'dates have an end';
expires '/e/last/', 'max-age=3600', 3600, 'modified: without a date from now on';
$r = $w->get('/e/at/t.txt');
is seconds($r->header('Expires')) % 86400, 12 * 3600 + 30 * 60, '@time: a time of the day';
my ($age) = $r->header('Cache-Control') =~ /^max-age=(\d+)$/;
cmp_ok $age, '<=', 86400, '@time: within a day';

# ---- trailers ----

$r = $w->get('/t');
is $r->header('Transfer-Encoding'), 'chunked', 'a trailer needs chunks';
is $r->header('Content-Length'), undef, 'so there is no length';
is $r->body, 'text', 'the body';
is $r->trailer('X-T'), 't /t', 'the trailer';
is $r->trailer('X-Empty'), undef, 'an empty one is left out';
is $r->header('X-T'), undef, 'it is not before the body';
$r = $w->get('/t-error');
is $r->trailer('X-T'), undef, 'not with an error';
is $r->trailer('X-A'), 'a', 'unless always';
like $w->http("GET /t HTTP/1.0\r\n\r\n"), qr/\r\n\r\ntext$/, 'HTTP/1.0 has none';
is $w->request('HEAD', '/t')->header('Content-Length'), 4, 'HEAD has none';
$r = $w->get('/t-none');
is $r->header('Content-Length'), 4, 'chunked_transfer_encoding off: a length';
is $r->trailer('X-T'), undef, 'and no trailer';
$r = $w->get('/t-file/t.txt');
is $r->body, "text\n", 'a file with a trailer';
is $r->header('Accept-Ranges'), 'bytes', 'has parts';
is $w->get('/t-file/t.txt', Range => 'bytes=1-2')->body, 'ex', 'indeed';
ok defined $w->get('/t-file/in/t.txt')->trailer('X-Len'), 'inherited';
is $w->get('/t-file/own/t.txt')->trailer('X-Len'), undef, 'replaced';
is $w->get('/t-file/own/t.txt')->trailer('X-Own'), 'o', 'by its own';
is_deeply [map defined $w->get('/t-file/merge/t.txt')->trailer($_), qw(X-Len X-Own)], [1, 1], 'merged';
is $w->get('/t-file/off/t.txt')->trailer('X-Len'), undef, 'off';

# ---- Server ----

like field('/tokens-on', 'Server'), qr{^weir/\d+\.\d+}, 'server_tokens on';
like $w->get('/tokens-on')->body, qr{<center>weir/\d}, 'and in pages';
is field('/tokens-off', 'Server'), 'weir', 'server_tokens off';
like $w->get('/tokens-off')->body, qr{<center>weir</center>}, 'and in pages (S-207)';
like field('/tokens-build', 'Server'), qr{^weir/\d+\.\d+}, 'server_tokens build: a weir has no name of its build';
is field('/tokens-text?s=own', 'Server'), 'my own', 'a text of your own';
unlike $w->get('/tokens-text?s=own')->body, qr{weir/}, 'tells no version in pages';
is field('/tokens-none', 'Server'), undef, 'none at all';

# ---- Location ----

my $p = $w->port(1);
sub to { return field($_[0], 'Location', Host => $_[1] // 'host.example.com') }
is to('/r/abs'), "http://host.example.com:$p/x?y", 'absolute_redirect on';
is to('/r/rel'), '/x?y', 'absolute_redirect off';
is to('/r/name'), "http://name.example.com:$p/x", 'server_name_in_redirect on';
is to('/r/abs', 'UPPER.example.com'), "http://upper.example.com:$p/x?y", 'else the Host';
is to('/r/noport'), 'http://host.example.com/x', 'port_in_redirect off';
is to('/r/out'), 'http://other.example.com/y', 'elsewhere';
like $w->http("GET /r/abs HTTP/1.0\r\n\r\n"), qr{Location: http://127\.0\.0\.1:$p/x}, 'no Host: the address';

# ---- chunked_transfer_encoding ----

$w->origin(2, sub {
	my ($c) = @_;
	$c->read_request or return;
	$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nunknown length");
});
is field('/stream', 'Transfer-Encoding'), 'chunked', 'a body of unknown length comes in chunks';
$r = $w->get('/plain');
is $r->header('Transfer-Encoding'), undef, 'or not';
is $r->body, 'unknown length', 'then the end of the connection is its end';

is $w->stop, 0, 'stop';

# ---- mistakes ----

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for (['add_header "a b" c;', qr/is no name of a field/], ['add_header a b c;', qr/invalid parameter "c"/],
    ["add_header a \"b\nc\";", qr/cannot hold line ends/], ['add_trailer Content-Length 1;', qr/cannot be a trailer/],
    ['expires soon;', qr/invalid time/], ['expires @25h;', qr/less than 24 hours/],
    ['expires modified @1h;', qr/daily time cannot be used/], ['expires modifed 1h;', qr/invalid parameter "modifed"/],
    ['add_header_inherit maybe;', qr/maybe/], ['server_tokens;', qr/invalid number of arguments/]) {
	my ($code, undef, $err) = $w->test_conf("http { server { listen %PORT1%; $_->[0] } }");
	is $code, 1, $_->[0];
	like $err, $_->[1], 'why';
}

done_testing;
