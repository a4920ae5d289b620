#!/usr/bin/perl

# Links from other sites.
#
# effect: valid_referers referer_hash_bucket_size referer_hash_max_size

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		server_name www.own.org .dotted.org *.star.org tail.* "~^re\d+\.org$" "";
		add_header X-Invalid "[$invalid_referer]" always;
		valid_referers inherited.org;
		location / { return 204; }
		location /any/ { location /any/inner/ { return 204; } return 204; }
		location /names/ { valid_referers server_names; return 204; }
		location /none/ { valid_referers none a.org; return 204; }
		location /blocked/ { valid_referers blocked a.org; return 204; }
		location /hosts/ {
			valid_referers Exact.org *.sub.org .both.org;
			valid_referers begin.* *.deep.sub.org 127.0.0.1;
			return 204;
		}
		location /paths/ { valid_referers a.org/blog/ b.org/X *.c.org/y; return 204; }
		location /regex/ { valid_referers none "~\.Google\." "~/secret/(?<page>\w+)$" ; return 204; }
		location /if/ {
			valid_referers none a.org;
			if ($invalid_referer) { return 403; }
			return 204;
		}
	}
	server {
		listen 127.0.0.1:%PORT2%;
		return 200 "[$invalid_referer]";
	}
}
E

sub invalid { my ($place, $ref) = @_; return $w->get("/$place/", defined $ref ? (Referer => $ref) : ())->header('X-Invalid') }
sub good { my ($place, @ref) = @_; is invalid($place, $_), '[]', "$place: good: " . ($_ // 'none') for @ref }
sub bad { my ($place, @ref) = @_; is invalid($place, $_), '[1]', "$place: bad: " . ($_ // 'none') for @ref }

good 'any', 'http://inherited.org';
bad 'any/inner', 'http://a.org/', undef;
bad 'hosts', 'http://inherited.org/';

good 'hosts', 'http://exact.org', 'https://exact.org/', 'HTTP://EXACT.ORG/x', 'http://exact.org:8080/', 'http://a.sub.org/',
    'http://a.b.sub.org', 'http://both.org/', 'http://a.both.org/', 'http://begin.org/', 'http://begin.co.uk',
    'http://x.deep.sub.org/', 'http://127.0.0.1/';
bad 'hosts', undef, 'http://sub.org/', 'http://exact.org.evil.com/', 'http://xexact.org/', 'http://xboth.org/', 'http://begin/',
    'http://beginx.org/', 'http://x.begin.org/', 'exact.org', 'ftp://exact.org/', '//exact.org/', 'http:///exact.org',
    'http://evil.com/exact.org', 'http://user@exact.org/', 'http://.sub.org/', 'http://.both.org/', 'http://begin./',
    'http://evil.com:exact.org/', 'http://' . 'a' x 300 . '.sub.org/', 'http://...........', 'http://:80/exact';

good 'names', 'http://www.own.org/', 'http://dotted.org/', 'http://a.dotted.org/', 'http://a.star.org/', 'http://tail.net/',
    'http://re12.org/', 'http://RE12.org:80/x';
bad 'names', undef, 'http://own.org/', 'http://star.org/', 'http://re.org/', 'http://x.re12.org/', 'masked';

good 'none', undef, 'http://a.org/';
bad 'none', '', 'masked', 'http://b.org/';
good 'blocked', '', 'masked', 'a.org/', 'ftp://x.y.org/z', 'http://i.r', 'http://a.org/';
bad 'blocked', undef, 'http://b.org/', 'https://masked';

good 'paths', 'http://a.org/blog/', 'http://a.org/blog/x', 'http://a.org:80/blog/x', 'https://b.org/Xyz', 'http://x.c.org/yy';
bad 'paths', 'http://a.org/blog', 'http://a.org/', 'http://a.org', 'http://a.org/x/blog/', 'http://b.org/x', 'http://x.c.org/';

good 'regex', undef, 'http://www.google.com/search', 'http://x.org/?q=.GOOGLE.', 'http://x.org/secret/y';
bad 'regex', 'http://google.com/', 'http://x.org/secret/', 'www.google.com', '';

is $w->get('/if/', Referer => 'http://evil.com/')->status, 403, 'if: bad';
is $w->get('/if/', Referer => 'http://a.org/')->status, 204, 'if: good';
is $w->request('GET', '/', [ Referer => 'http://evil.com/' ], undef, port => 2)->body, '[]', 'without the directive all are good';
$w->stop;

for ([ 'none', 'without any valid referer' ], [ 'none blocked', 'without any valid referer' ], [ 'a.*.org', 'invalid hostname or wildcard "a.\*.org"' ],
    [ '*a.org', 'invalid hostname' ], [ 'a..org', 'invalid hostname' ], [ '*', 'invalid hostname' ], [ '""', 'invalid referer' ],
    [ 'a.org A.org', 'conflicting parameter "a.org"' ], [ '.a.org a.org', 'conflicting' ], [ '*.a.org .a.org', 'conflicting' ],
    [ '~', 'empty regex' ], [ '"~("', 'missing' ], [ 'server_names a.org', 'conflicting parameter "a.org"' ]) {
	my ($rc, undef, $err) = $wrong->test_conf("http { server { listen 127.0.0.1:%PORT9%; server_name a.org; valid_referers $_->[0]; } }");
	is $rc, 1, "$_->[0] is a mistake";
	like $err, qr/$_->[1]/, 'which is told';
}
my ($rc, undef, $err) = $wrong->test_conf('http { server { listen 127.0.0.1:%PORT9%; referer_hash_max_size 1024; referer_hash_bucket_size 64; } }');
is $rc, 0, 'sizes of tables';
like $err, qr/referer_hash_max_size: has no effect.*referer_hash_bucket_size: has no effect/s, 'have no effect, as a warning says';

done_testing;
