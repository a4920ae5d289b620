#!/usr/bin/env perl
# conf_bad.t - configurations that cannot be: refused with their place, by -t and by a reload,
# and a server that runs goes on.

use strict;
use warnings;

use lib 't/lib';
use Time::HiRes qw(time);
use Weir;
use Test::More;

my $w = Weir->new;
my $dir = $w->dir;
$w->expect_alert(qr/\[emerg\]/);

my $good = <<'CONF';
http {
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "still here"; }
		location = /loop { rewrite ^ /loop2 last; }
		location = /loop2 { rewrite ^ /loop last; }
		location = /error { error_page 404 /error2; return 404; }
		location = /error2 { error_page 404 /error; recursive_error_pages on; return 404; }
		location = /named { try_files /nothing @a; }
		location @a { try_files /nothing @b; }
		location @b { try_files /nothing @a; }
		location = /nobody { error_page 404 = @nobody; return 404; }
	}
}
CONF

# [name, text, places and what is said...]; LINE:COL is of weir.conf unless a file is named.
my @bad = (
	[ 'an unknown variable', "http {\n server {\n  return 200 \$nope;\n }\n}", '3:14: return: unknown "nope" variable' ],
	[ 'a variable of a misspelt name', "http {\n log_format a \"\$remote_adr\";\n}",
	    '2:15: log_format: unknown "remote_adr" variable, did you mean "\$remote_addr"' ],
	[ 'server in location', "http { server { location / {\n server { } } } }",
	    '2:2: server: "server" directive is not allowed here, it belongs in http, upstream' ],
	[ 'location in http', "http {\n location / { } }",
	    '2:2: location: "location" directive is not allowed here, it belongs in server, location' ],
	[ 'duplicate locations', "http { server {\n location /a { }\n location /a { } } }",
	    '3:11: location: duplicate location "/a", the first is in \S+:2' ],
	[ 'duplicate exact locations', "http { server {\n location = /a { }\n location = /a { } } }",
	    '3:13: location: duplicate location "/a"' ],
	[ 'duplicate named locations', "http { server {\n location \@a { }\n location \@a { } } }",
	    '3:11: location: duplicate location "@a"' ],
	[ 'a location outside the one around it', "http { server { location /a {\n location /b { } } } }",
	    '2:2: location: location "/b" is outside location "/a"' ],
	[ 'a duplicate upstream', "http { upstream u { server 127.0.0.1:1; }\nupstream u { server 127.0.0.1:1; } }",
	    '2:10: upstream: duplicate upstream "u", the first is at \S+:1' ],
	[ 'an empty upstream', "http {\n upstream u { } }", '2:2: upstream: no servers are inside upstream "u"' ],
	[ 'an upstream of backups only', "http {\n upstream u { server 127.0.0.1:1 backup; } }",
	    '2:2: upstream: no servers are inside upstream "u"' ],
	[ 'an open parenthesis in a regex', "http { server {\n rewrite a(b /x; } }",
	    '2:10: rewrite: regex "a\(b": missing closing parenthesis at its end' ],
	[ 'a quantifier in a regex', "http { server {\n location ~ 'x{2,1}y' { } } }",
	    '2:13: location: regex "x\{2,1\}y": numbers out of order in \{\} quantifier at offset 5, "\}y"' ],
	[ 'a class in the regex of a map', "http { map \$host \$h {\n ~*a[ x; } }",
	    '2:2: \S+: regex "a\[": missing terminating \] for character class at its end' ],
	[ 'a regex as server name', "http { server {\n server_name ~a(; } }",
	    '2:14: server_name: regex "a\(": missing closing parenthesis at its end' ],
	[ 'a missing include', "events { }\ninclude nothing.conf;", '2:9: include: open\(\) "\S+/nothing.conf" failed \(2: ' ],
	[ 'a folder as include', "events { }\ninclude folder;", '2:9: include: "\S+/folder" is a directory' ],
	[ 'a FIFO as include', "events { }\ninclude fifo;", '2:9: include: "\S+/fifo" is not a regular file' ],
	[ 'itself as include', "events { }\ninclude weir.conf;", '2:9: include: include loop: \S+/weir.conf > \S+/weir.conf' ],
	[ 'a folder as error log', "events { }\nerror_log folder;", '2:11: error_log: open\(\) "\S+/folder" failed \(21: Is a directory\)' ],
	[ 'a folder as access log', "http {\n access_log folder; }", '2:13: access_log: cannot open "\S+/folder" \(21: Is a directory\)' ],
	[ 'a folder as pid file', "events { }\npid folder;", '2:5: pid: "\S+/folder" is a directory' ],
	[ 'a file as folder for bodies', "http {\n client_body_temp_path file; }",
	    '2:24: client_body_temp_path: "\S+/file" is not a directory' ],
	[ 'a file as folder for responses', "http {\n proxy_temp_path file; }",
	    '2:18: proxy_temp_path: "\S+/file" is not a directory' ],
	[ 'a file as working directory', "events { }\nworking_directory file;",
	    '2:19: working_directory: "\S+/file" is not a directory' ],
	[ 'a thousand includes in one another', "events { }\ninclude deep/1;",
	    'deep/31:1:9: include: more than 32 levels of include: ' ],
	[ 'NUL bytes', "events { }\nuser\0 x;", '2:5: a NUL byte: this is no text' ],
	[ 'UTF-16', "\xff\xfee\0v\0e\0n\0t\0s\0", '1:1: this is UTF-16: save it as UTF-8' ],
	[ 'UTF-16 of the other end', "\xfe\xff\0e\0v", '1:1: this is UTF-16: save it as UTF-8' ],
	[ 'bytes that are not UTF-8', "events { }\nnons\xe9nse \x9b31m;", '2:1: nons\\\\xE9nse: unknown directive' ],
	[ 'BOM and CRLF, and a mistake behind them', "\xef\xbb\xbfevents {}\r\n\tnonsense;\r\n", '2:2: nonsense: unknown' ],
	[ 'a block that is never closed', "events { }\nhttp {\n server {\n  location / {\n  }\n }\n",
	    '2:1: unexpected end of file, expecting "\}" to close this "http"' ],
	[ 'a brace too many', "events { }\n}\n", '2:1: unexpected "\}"' ],
	[ 'a quote that is never closed', "events { }\nerror_log \"logs/x;\nhttp { }\n",
	    '2:11: unexpected end of file, expecting the closing " of this one' ],
	[ 'an unclosed block in an included file', "events { }\nhttp { include open.inc; }",
	    'open.inc:1:1: unexpected end of file, expecting "\}" to close this "server"' ],
	[ 'a word of 70,000 bytes', "events { }\nuser " . 'x' x 70_000 . ";", '2:6: too long parameter' ],
	[ 'an unknown directive of 5,000 bytes', "events { }\n" . 'x' x 5_000 . ";", '2:1: x{100}: unknown directive' ],
	[ 'a wrong protocol', "http { server { location / {\n proxy_pass ftp://a; } } }", '2:13: proxy_pass: ' ],
	[ 'a port that is none', "http { server {\n listen 99999; } }", '2:9: listen: invalid port in "99999"' ],
	[ 'a user that does not exist', "events { }\nuser nosuchuser;", '2:6: user: cannot find "nosuchuser"' ],
);

mkdir "$dir/folder" or die;
system('mkfifo', "$dir/fifo") == 0 or die;
$w->write('file', "x\n");
$w->write('open.inc', "server {\n location / { }\n");
$w->write("deep/$_", 'include deep/' . ($_ + 1) . ";\n") for 1 .. 1000;
$w->write('deep/1001', "events { }\n");

for (@bad) {
	my ($name, $text, $re) = @$_;
	my ($code, undef, $err) = $w->test_conf($text);
	my $place = $re =~ /^\d/ ? "weir\\.conf:$re" : $re;

	ok $code == 1 && $err =~ /^weir: \[emerg\] \S*$place/m, "$name: refused with its place"
	    or diag "code $code: ", substr $err, 0, 2000;
	$err =~ s/[\xc2-\xf4][\x80-\xbf]+//g;
	unlike $err, qr/[\x00-\x08\x0b-\x1f\x7f-\xff]/, "$name: nothing odd reaches the terminal";
}

# ---- fine, though odd ----

for (
	[ 'a directive of 5,000 bytes', 'http { server { return 200 ' . 'x' x 5_000 . '; } }' ],
	[ 'ten thousand words', 'http { server { server_name ' . join(' ', map "h$_", 1 .. 10_000) . '; } }' ],
	[ 'names that are not UTF-8', "http { server { server_name \xe9.example; location /\xe9\xff { root /\xff; } } }" ],
	[ 'BOM and CRLF', "\xef\xbb\xbfhttp {\r\n}\r\n" ],
	[ 'a regular location twice', 'http { server { location ~ x { } location ~ x { } } }' ],
) {
	my ($code, undef, $err) = $w->test_conf($_->[1]);

	is $code, 0, "$_->[0]: accepted" or diag substr $err, 0, 2000;
}
my ($code, undef, $err) = $w->test_conf(
    "http {\n server { listen 1080; server_name a b; }\n server { listen 1080; server_name b; }\n}");
is $code, 0, 'the same name in two servers: accepted';
like $err, qr/^weir: \[warn\] \S+:3:36: server_name: conflicting server name "b" on 0\.0\.0\.0:1080, ignored$/m,
    'and warned about';

# ---- bounded, however large ----

# 2 GB of addresses are enough; a build with sanitizers reserves more than that for itself.
$w->write('small.conf', "events { }\n");
my $binary = $w->binary;
my $bounded = (`$binary -V 2>&1` =~ /--with-sanitizers/ ? '' : 'ulimit -v 2000000; ') .
    "$binary -t -p $dir -e error.log";

for (
	[ 'a gigabyte of nothing', sub { truncate $_[0], 1 << 30 or die }, 'is larger than 64 megabytes' ],
	[ '60 MB of NUL', sub { truncate $_[0], 60 << 20 or die }, ':1:1: a NUL byte' ],
	[ '60 MB in one word', sub { my $fh = shift; print $fh 'x' x 1_000_000 for 1 .. 60 }, ':1:1: too long parameter' ],
	[ '20 MB of unknown directives', sub { my $fh = shift; print $fh 'ab;' x 1_000_000 for 1 .. 7 }, 'more errors' ],
) {
	my ($name, $fill, $re) = @$_;
	my $begin = time;

	open my $fh, '>:raw', "$dir/large.conf" or die;
	$fill->($fh);
	close $fh or die;
	my $said = `$bounded -c large.conf 2>&1`;
	is $? >> 8, 1, "$name: refused";
	like $said, qr/^weir: \[emerg\] .*$re/m, "$name: what is said";
	$said = `$bounded -g 'include large.conf;' -c small.conf 2>&1`;
	is $? >> 8, 1, "$name, included: refused";
	like $said, qr/^weir: \[emerg\] .*large\.conf/m, "$name, included: what is said";
	cmp_ok time - $begin, '<', slack(60), "$name: soon";
	unlink "$dir/large.conf";
}

# ---- a reload with each of them: the server goes on as it was ----

$w->start($good);
my @before = $w->worker_pids;
for (@bad) {
	my ($name, $text, $re) = @$_;
	my $place = $re =~ /^\d/ ? "weir\\.conf:$re" : $re;

	# The tests give the pid file on the command line, so this one would be a duplicate.
	next if $name eq 'a folder as pid file';
	# The same text was refused once at the start; what is new in the log counts.
	my $lines = $w->log_lines;
	my $took = $w->reload($text);
	my @new = $w->log_lines;
	splice @new, 0, $lines;
	ok !$took && grep(/\[emerg\] .*$place/, @new), "$name: the reload is refused with its place"
	    or diag @new;
}
is_deeply [ sort $w->worker_pids ], [ sort @before ], 'the same workers serve';
is $w->get('/')->body, 'still here', 'as before';
ok $w->reload($good), 'a good one is taken';
is $w->get('/')->body, 'still here', 'and serves';

# ---- what turns in circles ends ----

is $w->get('/loop')->status, 500, 'a loop of rewrites ends';
$w->log_like(qr/rewrite or internal redirection cycle/);
is $w->get('/error')->status, 404, 'a loop of error pages ends';
is $w->get('/named')->status, 500, 'a loop of named locations ends';
is $w->get('/nobody')->status, 500, 'a named location that is not there';
$w->log_like(qr/could not find named location "\@nobody"/);

done_testing();
