#!/usr/bin/perl
# regex_bound.t - S-190: a pattern that explodes is a logged 500, wherever it stands, and the worker goes on.

use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $w = Weir->new;
my $long = 'a' x 60;
$w->origin(3, sub {
	my ($c) = @_;
	$c->read_request;
	$c->send("HTTP/1.1 302 Found\r\nLocation: /${long}bc\r\nSet-Cookie: ${long}bc=1; path=/${long}bc; domain=${long}bc\r\n" .
	    "Content-Length: 0\r\nConnection: close\r\n\r\n");
});
$w->start(<<'E');
error_log %DIR%/error.log info;
events { }
http {
	server { listen 127.0.0.1:%PORT1%; server_name plain; return 200 plain; }
	server { listen 127.0.0.1:%PORT1%; server_name ~^(a+)+b$; return 200 names; }
	server {
		listen 127.0.0.1:%PORT2%;
		location ~ ^/(a+)+b$ { return 200 location; }
		location /redirect/ { proxy_redirect ~^/(a+)+b$ /x; proxy_pass http://127.0.0.1:%PORT3%; }
		location /path/ { proxy_cookie_path ~^/(a+)+b$ /x; proxy_pass http://127.0.0.1:%PORT3%; }
		location /domain/ { proxy_cookie_domain ~^(a+)+b$ x; proxy_pass http://127.0.0.1:%PORT3%; }
		location /flags/ { proxy_cookie_flags ~^(a+)+b$ secure; proxy_pass http://127.0.0.1:%PORT3%; }
		location /referer/ { valid_referers ~(a+)+b$; if ($invalid_referer) { return 403; } return 200 referer; }
		location /rewrite/ { rewrite ^/rewrite/(a+)+b$ /x; return 200 rewrite; }
	}
}
E

is $w->get('/', Host => 'plain')->body, 'plain', 'an exact name is found without the regex';
is $w->get('/', Host => "${long}b")->body, 'names', 'what matches, matches';
is $w->get('/', Host => "${long}bc")->status, 500, 'server_name: gives up with 500';
is $w->get('/', Host => 'plain')->status, 200, 'and the worker goes on';
is $w->request('GET', "/${long}bc", [], undef, port => 2)->status, 500, 'location: 500';
is $w->request('GET', "/rewrite/${long}bc", [], undef, port => 2)->status, 500, 'rewrite: 500';

# In what an upstream or a client says.
for my $place (qw(redirect path domain flags)) {
	my $begin = time;
	my $r = $w->request('GET', "/$place/", [], undef, port => 2);
	like $r && $r->status, qr/^(?:200|302|50[02])$/, "$place: an answer";
	cmp_ok time - $begin, '<', slack(3), 'soon';
}
isnt $w->request('GET', '/referer/', [ Referer => "http://${long}bc" ], undef, port => 2)->status, 200, 'referer: nobody comes in by that';
is $w->get('/', Host => 'plain')->status, 200, 'and the worker goes on';
$w->log_like(qr/\[(error|alert|warn)\].*(match|regex|pattern)/i, 'the log says why');
done_testing;
