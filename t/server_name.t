#!/usr/bin/perl
# Which server answers: by address, by Host, by default_server.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: http server server_name listen server_names_hash_bucket_size server_names_hash_max_size

my $w = Weir->new;
$w->start(<<'E');
http {
	server_names_hash_bucket_size 64;
	server_names_hash_max_size 512;

	server { listen 127.0.0.1:%PORT1%; server_name first; return 200 "first:$server_name"; }
	server { listen 127.0.0.1:%PORT1%; server_name exact.example.com other.example.com; return 200 exact; }
	server { listen 127.0.0.1:%PORT1%; server_name *.example.com; return 200 head; }
	server { listen 127.0.0.1:%PORT1%; server_name *.deep.example.com; return 200 deep; }
	server { listen 127.0.0.1:%PORT1%; server_name www.example.*; return 200 tail; }
	server { listen 127.0.0.1:%PORT1%; server_name .both.org; return 200 "both:$server_name"; }
	server { listen 127.0.0.1:%PORT1%; server_name ~^(?<name>[a-z]+)\.re\.org$; return 200 "re:$name:$1"; }
	server { listen 127.0.0.1:%PORT1%; server_name ~^RE2; return 200 "re2:$server_name"; }
	server { listen 127.0.0.1:%PORT1%; server_name ""; return 200 nameless; }
	server { listen 127.0.0.1:%PORT1%; server_name Upper.Example.NET; return 200 upper; }

	server { listen 127.0.0.1:%PORT2%; server_name a; return 200 a; }
	server { listen 127.0.0.1:%PORT2% default_server; server_name b; return 200 b; }
	server { listen 127.0.0.1:%PORT2%; listen 127.0.0.1:%PORT3%; server_name c; return 200 c; }
}
E

sub host { $w->get('/', Host => $_[0])->body }

is host('exact.example.com'), 'exact', 'exact';
is host('other.example.com'), 'exact', 'second name';
is host('a.example.com'), 'head', 'star in front';
is host('a.b.example.com'), 'head', 'star for several labels';
is host('x.deep.example.com'), 'deep', 'the longest star wins';
is host('deep.example.com'), 'head', 'a star wants something';
is host('example.com'), 'first:first', 'nobody: the first server';
is host('www.example.co.uk'), 'tail', 'star behind';
is host('www.example.com'), 'head', 'star in front before star behind';
is host('both.org'), 'both:both.org', 'dot: itself';
is host('x.both.org'), 'both:both.org', 'dot: below';
is host('abc.re.org'), 're:abc:abc', 'regex and its groups';
is host('re2.whatever'), 're2:~^RE2', 'regex without regard to case';
is host('abc1.re.org'), 'first:first', 'regex that does not match';

# S-36, R-6: case, port, trailing dot
is host($_), 'exact', "host $_" for 'EXACT.Example.Com', 'exact.example.com.',
    'exact.example.com:80', 'Exact.example.COM.:8080';
is host('upper.example.net'), 'upper', 'name written with capitals';

like $w->http("GET / HTTP/1.0\r\n\r\n"), qr/nameless$/, 'no Host: the server without a name';
is $w->get('/', Host => undef)->status, 400, 'HTTP/1.1 without Host is refused';

# the absolute form wins over Host (RFC 9112, 3.2.2)
like $w->http("GET http://exact.example.com/ HTTP/1.1\r\nHost: x.both.org\r\nConnection: close\r\n\r\n"),
    qr/exact$/, 'absolute form';

is $w->request('GET', '/', [Host => 'x'], undef, port => 2)->body, 'b', 'default_server';
is $w->request('GET', '/', [Host => 'a'], undef, port => 2)->body, 'a', 'beside default_server';
is $w->request('GET', '/', [Host => 'c'], undef, port => 2)->body, 'c', 'several addresses';
is $w->request('GET', '/', [Host => 'a'], undef, port => 3)->body, 'c', 'names belong to addresses';

$w->log_like(qr/\[warn\].*server_names_hash_bucket_size: has no effect/, 'warned');
$w->log_like(qr/\[warn\].*server_names_hash_max_size: has no effect/, 'warned');
is $w->stop, 0, 'stop';
$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);

# ---- mistakes ----

sub wrong
{
	my ($servers, $re, $name) = @_;
	my ($code, undef, $err) = $w->test_conf("http { $servers }");
	is $code, 1, "$name: refused";
	like $err, $re, $name;
}

for ('*', '*x.com', 'a.*.b', '.', '*.') {
	wrong "server { listen %PORT1%; server_name $_; }", qr/weir\.conf:1:\d+: server_name: .*invalid/,
	    "server_name $_";
}
wrong 'server { listen %PORT1%; server_name ~(; }', qr/server_name: /, 'bad regex';
wrong 'server_name x;', qr/server_name" directive is not allowed here/, 'wrong place';
wrong 'server { server { } }', qr/server" directive is not allowed here/, 'server in server';

my ($code, undef, $err) = $w->test_conf(<<'E');
http {
	server { listen %PORT1%; server_name a a; }
	server { listen %PORT1%; server_name b a; }
	server { listen %PORT1%; }
	server { listen %PORT1%; }
}
E
is $code, 0, 'conflicting names are a warning';
like $err, qr/\[warn\].*:3:.*conflicting server name "a" on 0\.0\.0\.0:\d+, ignored/, 'its text and place';
like $err, qr/conflicting server name "" on/, 'the empty name, too';

done_testing;
