#!/usr/bin/perl
# proxy_cookie_domain, proxy_cookie_path, proxy_cookie_flags.

use strict;
use warnings;

use lib 't/lib';
use Weir;
use Test::More;

# effect: proxy_cookie_domain proxy_cookie_path proxy_cookie_flags

my $w = Weir->new;
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		proxy_cookie_domain inherited.example out.example;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /accel { proxy_cookie_domain example.org got.example; proxy_pass http://127.0.0.1:%PORT2%; }
		location /inside { internal; return 200 inside; }
		location /off { proxy_cookie_domain off; proxy_pass http://127.0.0.1:%PORT2%; }
		location /domain {
			proxy_cookie_domain .Example.org $host;
			proxy_cookie_domain ~^\.([a-z]+\.net)$ www.$1;
			proxy_pass http://127.0.0.1:%PORT2%;
		}
		location /path {
			proxy_cookie_path /two/ /;
			proxy_cookie_path ~^/r/([a-z]+) /x/$1/;
			proxy_cookie_path ~*/CASE /case;
			proxy_pass http://127.0.0.1:%PORT2%;
		}
		location /var { proxy_cookie_path $arg_from /arg/; proxy_pass http://127.0.0.1:%PORT2%; }
		location /flags {
			proxy_cookie_flags one secure httponly samesite=strict;
			proxy_cookie_flags ~^two nosecure nohttponly nosamesite;
			proxy_cookie_flags var $arg_flag secure;
			proxy_cookie_flags lax samesite=lax;
			proxy_pass http://127.0.0.1:%PORT2%;
		}
	}
}
E
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $cookies = join '', map "Set-Cookie: $_\r\n", split /\|/, $q->{headers}{'x-cookie'};
		$cookies .= "X-Accel-Redirect: /inside\r\n" if $q->{uri} eq '/accel';
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n$cookies\r\n");
	}
});

sub cookie
{
	my ($uri, $cookie) = @_;
	my $text = $w->http("GET $uri HTTP/1.1\r\nHost: here.example\r\nConnection: close\r\nX-Cookie: $cookie\r\n\r\n");
	return join '|', $text =~ /^Set-Cookie: ([^\r]*)\r$/mg;
}

is cookie('/', 'a=b; Domain=inherited.example; path=/'), 'a=b; Domain=out.example; path=/', 'inherited';
is cookie('/off', 'a=b; Domain=inherited.example'), 'a=b; Domain=inherited.example', 'off';
is cookie('/accel', 'a=b; domain=example.org'), 'a=b; domain=got.example', 'with X-Accel-Redirect';

is cookie('/domain', 'a=b; domain=EXAMPLE.ORG;Secure'), 'a=b; domain=here.example; Secure', 'a domain';
is cookie('/domain', 'a=b; domain=.example.org'), 'a=b; domain=.here.example', 'a dot stays';
is cookie('/domain', 'a=b; domain=x.example.org'), 'a=b; domain=x.example.org', 'another domain';
is cookie('/domain', 'a=b; domain=.Test.net'), 'a=b; domain=www.Test.net', 'a regex';
is cookie('/domain', 'a=b;domain= example.org ;  x  =  y ;;'), 'a=b; domain=here.example; x=y; ; ',
    'blanks go when something changes';
is cookie('/domain', 'a=b;x  =  y'), 'a=b;x  =  y', 'and stay otherwise';
is cookie('/domain', 'a; domain=example.org'), 'a; domain=example.org', 'what has no value is none';
is cookie('/domain', 'domain=example.org; p'), 'domain=example.org; p', 'a cookie of that name';
is cookie('/domain', 'a=b; domain=example.org|c=d; domain=example.org'),
    'a=b; domain=here.example|c=d; domain=here.example', 'several cookies';

is cookie('/path', 'a=b; path=/two/x'), 'a=b; path=/x', 'a path';
is cookie('/path', 'a=b; path=/Two/x'), 'a=b; path=/Two/x', 'in its own letter case';
is cookie('/path', 'a=b; PATH=/r/abc/d'), 'a=b; PATH=/x/abc/', 'a regex replaces all';
is cookie('/path', 'a=b; path=/any/case/x'), 'a=b; path=/case', 'one in any case';
is cookie('/var?from=/from', 'a=b; path=/from/x'), 'a=b; path=/arg//x', 'a variable';
is cookie('/path', 'a=b; domain=example.org'), 'a=b; domain=example.org', 'a domain is no path';

is cookie('/flags', 'one=1'), 'one=1; Secure; HttpOnly; SameSite=Strict', 'flags are added';
is cookie('/flags', 'ONE=1; secure; samesite=None'), 'ONE=1; secure; SameSite=Strict; HttpOnly', 'but not twice';
is cookie('/flags', 'two=1; Secure; HttpOnly; SameSite=Lax; x'), 'two=1; x', 'or taken away';
is cookie('/flags', 'twofold=1; path=/; secure'), 'twofold=1; path=/', 'a regex';
is cookie('/flags?flag=HttpOnly', 'var=1'), 'var=1; Secure; HttpOnly', 'a variable';
is cookie('/flags?flag=nonsense', 'var=1'), 'var=1; Secure', 'one that is no flag';
is cookie('/flags', 'lax=1; samesite=lax'), 'lax=1; samesite=lax', 'what is so stays so';
is cookie('/flags', 'other=1'), 'other=1', 'another cookie';
my $many = 'one=1' . '; x' x 70;
is cookie('/flags', $many), $many, 'one with very many attributes stays as it is';

for (['proxy_cookie_domain x;', qr/invalid parameter "x"/], ['proxy_cookie_path x;', qr/invalid parameter "x"/],
    ['proxy_cookie_path off; proxy_cookie_path /a /b;', qr/is duplicate/],
    ['proxy_cookie_flags a nothing;', qr/invalid proxy_cookie_flags flag "nothing"/]) {
	my $bad = Weir->new;
	$bad->expect_alert(qr/./);
	my ($code, undef, $err) = $bad->test_conf("http { $_->[0] }");
	isnt $code, 0, $_->[0];
	like $err, $_->[1], 'says why';
}

done_testing;
