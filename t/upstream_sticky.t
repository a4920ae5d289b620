#!/usr/bin/env perl
# upstream_sticky.t - clients stay with their servers.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: sticky server

my $w = Weir->new;

for my $n (2 .. 4) {
	$w->origin($n, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			return if $q->{uri} =~ m{/close} && $n == 2;
			$c->note("$q->{uri}") if $q->{uri} =~ /held/;
			wait_for(sub { -e "$w->{dir}/go$1" }) if $q->{uri} =~ /held(\d)/;
			my $more = $q->{uri} =~ m{/login(\d)} ? "Set-Cookie: session=s$1; path=/\r\n" : '';
			$c->send("HTTP/1.1 200 X\r\n${more}Content-Length: 1\r\n\r\n");
			wait_for(sub { -e "$w->{dir}/end" }) if $q->{uri} =~ /end/;
			$c->send($n);
		}
	});
}

my $three = join ' ', map "server 127.0.0.1:%PORT$_% max_fails=0;", 2 .. 4;

sub conf
{
	my ($drain) = @_;
	return <<"CONF";
worker_processes 2;
http {
	upstream plain { zone z 256k; $three sticky cookie id; }
	upstream other { zone z; server 127.0.0.1:%PORT3%; sticky cookie id; }
	upstream full {
		$three
		sticky cookie id expires=1h domain=.\$arg_d path=/p samesite=\$arg_s httponly secure secret=$drain->{secret};
	}
	upstream always { $three sticky cookie id expires=max samesite=lax; }
	upstream route {
		server 127.0.0.1:%PORT2% route=a;
		server 127.0.0.1:%PORT3% route=b $drain->{b};
		server 127.0.0.1:%PORT4% route=c;
		sticky route \$arg_first \$cookie_second;
	}
	upstream learn {
		zone z;
		$three
		sticky learn create=\$upstream_cookie_session lookup=\$cookie_session zone=sessions:64k;
	}
	upstream soon {
		zone z;
		$three
		sticky learn create=\$upstream_cookie_session lookup=\$cookie_session zone=soon:64k timeout=200ms header;
	}
	server {
		listen 127.0.0.1:%PORT1%;
		location /plain/ { proxy_pass http://plain; }
		location /other/ { proxy_pass http://other; }
		location /full/ { proxy_pass http://full; }
		location /always/ { proxy_pass http://always; }
		location /route/ { proxy_pass http://route; }
		location /learn/ { proxy_pass http://learn; }
		location /soon/ { proxy_pass http://soon; }
	}
}
CONF
}

my %as = (secret => 'xyzzy', b => '');
$w->start(conf(\%as));

sub who { my ($uri, $n, @h) = @_; join '', map $w->get($uri, @h)->body, 1 .. $n }
sub sorted { join '', sort split //, $_[0] }

my %token;	# by server
subtest 'cookie' => sub {
	for (1 .. 6) {
		my $r = $w->get('/plain/');
		my ($t) = ($r->header('Set-Cookie') // '') =~ /^id=(\w+)$/;
		ok $t, 'a token' or diag $r->header('Set-Cookie');
		$token{$r->body}{$t} = 1;
	}
	is join('', sort keys %token), '234', 'new clients take turns';
	is scalar(keys %{ $token{$_} }), 1, 'one token for one server' for 2 .. 4;
	%token = map { my ($t) = keys %{ $token{$_} }; $_ => $t } 2 .. 4;
	like $token{2}, qr/^[0-9a-f]{32}$/;
	for (2 .. 4) {
		is who('/plain/', 5, Cookie => "a=b; id=$token{$_}; c=d"), $_ x 5, "client of $_ stays";
		like $w->get('/plain/', Cookie => "id=$token{$_}")->header('Set-Cookie'), qr/^id=$token{$_}$/;
	}
	like sorted(who('/plain/', 15, Cookie => 'id=unknown')), qr/^2+3+4+$/, 'an unknown one takes turns';
	my $r = $w->get('/plain/close', Cookie => "id=$token{2}");
	like $r->body, qr/[34]/, 'when it fails another one answers';
	is $r->header('Set-Cookie'), "id=$token{ $r->body }", 'whose client it is then';
	is $w->get('/other/', Cookie => 'id=x')->header('Set-Cookie'), "id=$token{3}", 'the same in all groups';
};

subtest 'attributes' => sub {
	my $r = $w->get('/full/?d=example.org&s=none');
	my ($t) = $r->header('Set-Cookie') =~ /^id=(\w+);/;
	like $r->header('Set-Cookie'), qr/^id=\w{32}; expires=\w{3}, \d\d-\w{3}-\d\d \d\d:\d\d:\d\d GMT; max-age=3600; domain=\.example\.org; httponly; secure; samesite=none; path=\/p$/;
	isnt $t, $token{ $r->body }, 'another secret';
	unlike $w->get('/full/?d=a;b')->header('Set-Cookie'), qr/domain/, 'a value that would be two';
	unlike $w->get('/full/?d=a')->header('Set-Cookie'), qr/samesite/;
	like $w->get('/full/?d=a&s=bad')->header('Set-Cookie'), qr/; samesite=strict;/;
	like $w->get('/always/')->header('Set-Cookie'),
	    qr/; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000; samesite=lax$/;
};

subtest 'route' => sub {
	is who('/route/?first=c', 4), '4444', 'by the first variable';
	is who('/route/', 4, Cookie => 'second=b'), '3333', 'by the next';
	is who('/route/?first=a', 4, Cookie => 'second=b'), '2222', 'in order';
	like sorted(who('/route/?first=x', 15)), qr/^2+3+4+$/, 'nobody has it';
};

subtest 'learn' => sub {
	my $first = $w->get('/learn/login1')->body;
	ok wait_for(sub { who('/learn/', 6, Cookie => 'session=s1') eq $first x 6 }), 'it stays where it logged in';
	like sorted(who('/learn/', 15, Cookie => 'session=s9')), qr/^2+3+4+$/, 'nobody knows this one';
	my $soon = $w->get('/soon/login1')->body;
	# each look waits longer than it is kept
	ok wait_for(sub { select undef, undef, undef, 0.3; who('/soon/', 1, Cookie => 'session=s1') ne $soon }),
	    'forgotten after timeout';
};

# Who asked before a session was learnt has nothing to say of where it is.
subtest 'learn, at the same time' => sub {
	my ($login, @held) = map $w->connect, 0 .. 3;
	$login->send("GET /learn/login3/end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	ok $login->read_until(qr/\r\n\r\n/), 'a head, but not yet all of it';
	$held[$_]->send("GET /learn/held$_ HTTP/1.1\r\nHost: x\r\nCookie: session=s3\r\nConnection: close\r\n\r\n")
	    for 0 .. 2;
	ok wait_for(sub { 3 == map $w->origin_notes($_), 2 .. 4 }), 'others ask';
	$w->write('end', '');
	my ($first) = $login->read_all =~ /(\d)$/;
	ok wait_for(sub { who('/learn/', 6, Cookie => 'session=s3') eq $first x 6 }), 'it stays';
	for (0 .. 2) {
		$w->write("go$_", '');
		like $held[$_]->read_all, qr/[234]$/, 'another has its answer';
		is who('/learn/', 6, Cookie => 'session=s3'), $first x 6, 'and it stays where it is';
	}
};

subtest 'reload' => sub {
	my $first = $w->get('/learn/login2')->body;
	ok wait_for(sub { who('/learn/', 4, Cookie => 'session=s2') eq $first x 4 });
	$as{b} = 'drain';
	ok $w->reload(conf(\%as));
	is who('/plain/', 3, Cookie => "id=$token{4}"), '444', 'tokens are the same';
	is who('/learn/', 4, Cookie => 'session=s2'), $first x 4, 'what was learnt is known';
	like sorted(who('/route/', 12)), qr/^2+4+$/, 'one that drains gets nobody new';
	is who('/route/?first=b', 3), '333', 'and keeps its clients';
	my $r = $w->get('/full/?d=a');
	my ($t) = $r->header('Set-Cookie') =~ /^id=(\w+);/;
	$w->stop;
	$w->start(conf(\%as));
	is who('/full/?d=a', 3, Cookie => "id=$t"), $r->body x 3, 'with a secret tokens outlive a restart';
	isnt $w->get('/plain/')->header('Set-Cookie'), "id=$token{$_}", 'without they are new' for 2 .. 4;
};

subtest 'mistakes' => sub {
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	my $learn = 'learn create=$cookie_a lookup=$cookie_b';
	for my $t (
		[ 'sometimes x', qr/unknown parameter "sometimes"/ ],
		[ 'cookie ""', qr/empty cookie name/ ],
		[ 'cookie "a b"', qr/no name for a cookie/ ],
		[ 'cookie a path=/ path=/', qr/parameter "path" is duplicate/ ],
		[ 'cookie a path=', qr/no value for "path"/ ],
		[ 'cookie a domain=', qr/no value for "domain"/ ],
		[ 'cookie a secure secure', qr/parameter "secure" is duplicate/ ],
		[ 'cookie a httponly httponly', qr/parameter "httponly" is duplicate/ ],
		[ 'cookie a expires=1d expires=1d', qr/parameter "expires" is duplicate/ ],
		[ 'cookie a expires=soon', qr/soon/ ],
		[ 'cookie a samesite=all', qr/invalid "samesite" parameter value/ ],
		[ 'cookie a wrong', qr/wrong/ ],
		[ 'route cookie_a', qr/invalid variable name "cookie_a"/ ],
		[ 'learn create=$cookie_a zone=s:64k', qr/"lookup" parameter is not specified/ ],
		[ 'learn lookup=$cookie_a zone=s:64k', qr/"create" parameter is not specified/ ],
		[ $learn, qr/"zone" parameter is not specified/ ],
		[ "$learn zone=s", qr/name:size/ ],
		[ "$learn zone=s:1k", qr/too small/ ],
		[ "$learn zone=s:64k zone=t:64k", qr/duplicate zone/ ],
		[ "$learn zone=s:64k timeout=1s timeout=1s", qr/duplicate timeout/ ],
		[ "$learn zone=s:64k timeout=0", qr/invalid timeout/ ],
		[ "$learn zone=s:64k; } upstream v { server 127.0.0.1:1; sticky $learn zone=s:64k",
		    qr/sticky zone "s" is already used in upstream "u"/ ],
		[ 'cookie a; sticky cookie b', qr/sticky/ ],
	) {
		my ($text, $want) = @$t;
		my ($code, undef, $err) = $bad->test_conf("http { upstream u { server 127.0.0.1:9; sticky $text; } }");
		is $code, 1, substr $text, 0, 60;
		like $err, $want;
	}
};

done_testing;
