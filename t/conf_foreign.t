#!/usr/bin/env perl
# conf_foreign.t - what somebody is told who brings a directive of nginx that weir does not have.

use strict;
use warnings;

use lib 't/lib';
use Weir;
use Test::More;

my $w = Weir->new;
$w->expect_alert(qr/\[emerg\]/);

# What is said about a text: code, and the [emerg] lines without their beginning.
sub said {
	my ($text) = @_;
	my ($code, undef, $err) = $w->test_conf($text);

	return ($code, $err =~ /^weir: \[emerg\] \S*?(\d+:\d+: .*|\d+ more.*)/mg);
}

sub one {
	my ($name, $text, $re) = @_;
	my ($code, @lines) = said($text);

	ok $code == 1 && @lines == 1 && $lines[0] =~ $re, $name or diag "code $code\n", map "$_\n", @lines;
}

# ---- a directive: whose it is, and the way out ----

for (
	[ 'fastcgi_pass 127.0.0.1:9000', 'ngx_http_fastcgi_module', 'proxy_pass' ],
	[ 'fastcgi_cache_use_stale error', 'ngx_http_fastcgi_module', 'proxy_pass' ],
	[ 'uwsgi_pass 127.0.0.1:9000', 'ngx_http_uwsgi_module', '--http-socket' ],
	[ 'scgi_param A b', 'ngx_http_scgi_module', 'proxy_pass' ],
	[ 'memcached_pass 127.0.0.1:11211', 'ngx_http_memcached_module', 'proxy_pass' ],
	[ 'image_filter resize 10 10', 'ngx_http_image_filter_module', 'pictures' ],
	[ 'xslt_stylesheet a.xslt', 'ngx_http_xslt_module', 'application' ],
	[ 'ssi on', 'ngx_http_ssi_module', 'application' ],
	[ 'js_content main.hello', 'ngx_http_js_module', 'scripts' ],
	[ 'perl hello::handler', 'ngx_http_perl_module', 'scripts' ],
	[ 'dav_methods PUT', 'ngx_http_dav_module', 'WebDAV' ],
	[ 'mp4', 'ngx_http_mp4_module', 'ranges' ],
	[ 'auth_jwt closed', 'ngx_http_auth_jwt_module, commercial', 'token' ],
	[ 'more_set_headers "A: b"', 'third-party module headers-more', 'add_header' ],
	[ 'content_by_lua_block', 'third-party module lua-nginx-module', 'scripts' ],
) {
	my ($line, $module, $way) = @$_;
	my ($name) = $line =~ /^(\w+)/;

	one "$name: $module", "http { server { location / { $line; } } }",
	    qr/^1:\d+: $name: unknown directive "$name", weir does not have it \(nginx: \Q$module\E\); .*\Q$way\E/;
}

# ---- a block is one mistake, whatever is in it ----

one 'mail { } with much in it', <<'M', qr/^1:1: mail: unknown directive "mail", .*ngx_mail_core_module/;
mail {
	server_name mail.example.com;
	auth_http localhost:9000/auth;
	server { listen 110; protocol pop3; pop3_auth plain; nonsense; }
	server { listen 143; protocol imap; imap_capabilities IMAP4rev1; }
}
M
one 'an unknown block of nobody', 'nobodys_block x { a b; c { d; } include /nowhere/at/all*; }',
    qr/^1:1: nobodys_block: unknown directive "nobodys_block"$/;

# ---- several of a kind: the advice once ----

my ($code, @lines) = said(<<'E');
http {
	server {
		location / {
			fastcgi_pass 127.0.0.1:9000;
			fastcgi_param A a;
			fastcgi_param B b;
			scgi_pass a;
			sendfil on;
		}
	}
}
E
is $code, 1, 'several';
like $lines[0], qr/^4:4: fastcgi_pass: .*nginx: ngx_http_fastcgi_module/, 'several: the first at length';
like $lines[$_], qr/^${\($_ + 4)}:4: fastcgi_param: unknown directive "fastcgi_param", see \S+:4$/,
    'several: the others in short' for 1, 2;
like $lines[3], qr/^7:4: scgi_pass: .*ngx_http_scgi_module/, 'several: another module';
like $lines[4], qr/did you mean "sendfile"/, 'several: a slip of the pen is no module';

# ---- a name that is nearly one of weir's is a slip, not the family it begins like ----

one 'nearly ours', 'http { proxy_pass_header X; server { proxy_bindd 127.0.0.1; } }', qr/did you mean "proxy_bind"/;

# ---- parameters and variables ----

one 'listen ... quic', 'http { server { listen 1443 quic; } }',
    qr/^1:\d+: listen: invalid parameter "quic", weir does not have it \(nginx: ngx_http_v3_module\); /;
($code, @lines) = said("http { server { listen 1443 quic;\n listen 1444 quic; quic_retry on; } }");
is scalar(grep /; weir speaks HTTP/, @lines), 1, 'the advice once, for parameters, too';
is scalar(grep /, see \S+:1$/, @lines), 2, 'and the place of it for the others';
one 'a variable', 'http { log_format x "$remote_addr $uid_got"; access_log off; }',
    qr/^1:\d+: log_format: unknown "uid_got" variable, weir does not have it \(nginx: ngx_http_userid_module\); /;
one 'a variable of nobody', 'http { log_format x "$nobodys_variable"; access_log off; }',
    qr/unknown "nobodys_variable" variable$/;

# ---- what only a cache would ignore ----

my ($rc, undef, $err) = $w->test_conf('http { proxy_ignore_headers X-Accel-Redirect Cache-Control Set-Cookie; }');
is $rc, 0, 'proxy_ignore_headers: fields for a cache are accepted';
is_deeply [ $err =~ /\[warn\] .*proxy_ignore_headers: "(\S+)" has no effect/mg ], [ 'Cache-Control', 'Set-Cookie' ],
    'and are said to have no effect';

# ---- an include that is used again and again does not hide what else is wrong ----

$w->write('fastcgi_params', join '', map "fastcgi_param P$_ v;\n", 1 .. 30);
($code, @lines) = said("http {\n" . "server { include fastcgi_params; }\n" x 10 . "sendfil on;\n}\n");
is scalar(grep(/fastcgi_param/, @lines)), 30, 'each line of an included file once';
ok scalar(grep(/sendfil:/, @lines)), 'and the mistake after it is told';

done_testing();
