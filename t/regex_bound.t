#!/usr/bin/perl
# regex_bound.t - S-190: a pattern that explodes is a logged 500, wherever it stands, and the worker goes on.

use strict;
use warnings;
use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
$w->start(<<'E');
error_log %DIR%/error.log info;
events { }
http {
	server { listen 127.0.0.1:%PORT1%; server_name plain; return 200 plain; }
	server { listen 127.0.0.1:%PORT1%; server_name ~^(a+)+b$; return 200 names; }
	server {
		listen 127.0.0.1:%PORT2%;
		location ~ ^/(a+)+b$ { return 200 location; }
		location /rewrite/ { rewrite ^/rewrite/(a+)+b$ /x; return 200 rewrite; }
	}
}
E

my $long = 'a' x 60;
is $w->get('/', Host => 'plain')->body, 'plain', 'an exact name is found without the regex';
is $w->get('/', Host => "${long}b")->body, 'names', 'what matches, matches';
is $w->get('/', Host => "${long}bc")->status, 500, 'server_name: gives up with 500';
is $w->get('/', Host => 'plain')->status, 200, 'and the worker goes on';
is $w->request('GET', "/${long}bc", [], undef, port => 2)->status, 500, 'location: 500';
is $w->request('GET', "/rewrite/${long}bc", [], undef, port => 2)->status, 500, 'rewrite: 500';
$w->log_like(qr/\[(error|alert|warn)\].*(match|regex|pattern)/i, 'the log says why');
done_testing;
