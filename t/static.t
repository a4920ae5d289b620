#!/usr/bin/perl
# Files: root, alias, types, what is no regular file.

use strict;
use warnings;

use lib 't/lib';
use POSIX qw(mkfifo);
use Test::More;
use Weir;

# effect: root alias types default_type sendfile sendfile_max_chunk etag log_not_found empty_gif
# effect: error_log types_hash_max_size types_hash_bucket_size tcp_nopush aio_write directio
# effect: directio_alignment read_ahead output_buffers postpone_output send_lowat
# effect: subrequest_output_buffer_size

my $w = Weir->new;
my $big = join '', map { sprintf "%07d\n", $_ } 1 .. 400_000;	# 3.2 MB
$w->write('www/a.html', "<p>a</p>\n");
$w->write('www/b.TXT', "b\n");
$w->write('www/c.unknown', "c\n");
$w->write('www/noext', "n\n");
$w->write('www/empty', '');
$w->write('www/sp ace?.txt', "space\n");
$w->write('www/dir/x', "x\n");
$w->write('www/di r/x', "x\n");
$w->write('www/big', $big);
$w->write('www/secret', "s\n", 0000);
$w->write('www/deep/a/b.txt', "deep\n");
$w->write('other/alias.txt', "alias\n");
$w->write('other/v/one.txt', "v-one\n");
$w->write('outside', "outside\n");
mkfifo($w->dir . '/www/fifo', 0644) or die "mkfifo: $!";
$w->start(<<'E');
http {
	root %DIR%/www;
	types_hash_max_size 1024;
	types_hash_bucket_size 64;
	aio_write on;
	directio 4m;
	directio_alignment 512;
	read_ahead 0;
	output_buffers 1 32k;
	postpone_output 0;
	send_lowat 0;
	subrequest_output_buffer_size 8k;
	tcp_nopush on;

	server {
		listen 127.0.0.1:%PORT1%;
		location / { }
		location /types/ {
			alias %DIR%/www/;
			types { text/x-a html; image/x-b TXT; }
			default_type text/x-default;
		}
		location /no-etag/ { alias %DIR%/www/; etag off; }
		location /copy/ { alias %DIR%/www/; sendfile off; }
		location /chunk/ { alias %DIR%/www/; sendfile_max_chunk 64k; tcp_nopush off; }
		location /quiet/ { log_not_found off; }
		location /loud/ { error_log %DIR%/error-loud.log; }
		location /alias/ { alias %DIR%/other/; }
		location /gap { alias %DIR%/www/; }
		location = /exact { alias %DIR%/other/alias.txt; }
		location ~ ^/re/(.+)$ { alias %DIR%/other/$1.txt; }
		location /var/ { root %DIR%/$arg_root; }
		location /rel/ { root other/../www/deep/..; }
		location /pixel { empty_gif; }
		location /nested/ {
			alias %DIR%/other/;
			location ~ \.txt$ { }
		}
	}
	server { listen 127.0.0.1:%PORT2%; types { } default_type x/y; }
	server { listen 127.0.0.1:%PORT3%; }
}
E

my $r = $w->get('/a.html');
is $r->status, 200, 'a file';
is $r->body, "<p>a</p>\n", 'its content';
is $r->header('Content-Type'), 'text/html', 'its type';
is $r->header('Content-Length'), 9, 'its length';
is $r->header('Accept-Ranges'), 'bytes', 'ranges';
my @st = stat $w->dir . '/www/a.html';
is $r->header('ETag'), sprintf('"%x-%x"', $st[9], $st[7]), 'etag on';
like $r->header('Last-Modified'), qr/^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/, 'Last-Modified';
$r = $w->request('HEAD', '/a.html');
is $r->header('Content-Length'), 9, 'HEAD: the length';
is $r->body, '', 'HEAD: no body';

is $w->get('/types/a.html')->header('Content-Type'), 'text/x-a', 'types replaces those above';
is $w->get('/types/b.TXT')->header('Content-Type'), 'image/x-b', 'without regard to case';
is $w->get('/types/noext')->header('Content-Type'), 'text/x-default', 'default_type';
is $w->get('/c.unknown')->header('Content-Type'), 'text/plain', 'default_type is text/plain';
is $w->request('GET', '/a.html', [], undef, port => 2)->header('Content-Type'), 'x/y', 'no types at all';
is $w->get('/no-etag/a.html')->header('ETag'), undef, 'etag off';
ok defined $w->get('/no-etag/a.html')->header('Last-Modified'), 'but a date';

is $w->get('/empty')->status, 200, 'an empty file';
is $w->get('/empty')->header('Content-Length'), 0, 'its length';
ok $w->get('/big')->body eq $big, 'a large file';
ok $w->get('/copy/big')->body eq $big, 'sendfile off';
ok $w->get('/chunk/big')->body eq $big, 'sendfile_max_chunk';
is $w->get('/sp%20ace%3F.txt')->body, "space\n", 'a name with a space and a question mark';

# ---- root and alias ----

is $w->get('/alias/alias.txt')->body, "alias\n", 'alias';
is $w->get('/exact')->body, "alias\n", 'alias of an exact location';
is $w->get('/re/alias')->body, "alias\n", 'alias with a group';
is $w->get('/nested/alias.txt')->body, "alias\n", 'alias is inherited';
is $w->get('/var/one.txt?root=other/v/..')->status, 404, 'root with a variable: not there';
$w->write('other/var/one.txt', "var\n");
is $w->get('/var/one.txt?root=other')->body, "var\n", 'root with a variable: there';
$w->write('www/rel/r.txt', "rel\n");
is $w->get('/rel/r.txt')->body, "rel\n", 'a root below the prefix';
is $w->get('/gap../outside')->status, 404, 'an alias cannot be left through the gap';
$w->log_like(qr{"/gap\.\./outside" would leave the alias of location "/gap"}, 'which is logged');
$w->log_like(qr{\[warn\].*alias: location "/gap" does not end with "/"}, 'and warned of');
is $w->get('/gapa.html')->status, 200, 'without dots it is a name like any other';
is $w->get("/$_")->status, 400, "/$_ is refused" for '../outside', '%2e%2e/outside', 'x/../../outside';
is $w->get('/x%00')->status, 400, 'NUL';
$w->write('html/default.txt', "html\n");
{
	my $v = Weir->new;
	$v->write('html/default.txt', "html\n");
	$v->start('http { server { listen 127.0.0.1:%PORT1%; } }');
	is $v->get('/default.txt')->body, "html\n", 'the default root is html';
	$v->stop;
}

# ---- errors ----

my $dir = $w->dir;
$r = $w->get('/nothing');
is $r->status, 404, 'nothing there';
$w->log_like(qr{\[error\] .*open\(\) "$dir/www/nothing" failed \(2: No such file or directory\), client: 127.0.0.1}, 'its line');
is $w->get('/a.html/x')->status, 404, 'below a file';
is $w->get('/' . 'x' x 300)->status, 404, 'a name that is too long';
is $w->get('/quiet/nothing')->status, 404, 'log_not_found off';
$w->log_unlike(qr{quiet/nothing" failed}, 'its line is missing');
is $w->get('/loud/nothing')->status, 404, 'error_log in a location';
wait_for(sub { $w->log_text('error-loud.log') =~ m{loud/nothing" failed} });
$w->log_unlike(qr{loud/nothing" failed}, 'its line is not here');
like $w->log_text('error-loud.log'), qr{open\(\) "$dir/www/loud/nothing" failed}, 'but there';
SKIP: {
	# workers of root are nobody, but root without workers' user is not asked
	is $w->get('/secret')->status, 403, 'no permission';
	$w->log_like(qr{open\(\) "$dir/www/secret" failed \(13: Permission denied\)}, 'its line');
}
is $w->get('/fifo')->status, 404, 'a FIFO holds nobody up';
$w->log_like(qr{\[crit\] .*"$dir/www/fifo" is not a regular file}, 'its line');
is $w->request('POST', '/a.html', [], 'x')->status, 405, 'POST';
is $w->request('POST', '/a.html', [], 'x')->reason, 'Not Allowed', 'as nginx calls it';
is $w->request('POST', '/nothing', [], 'x')->status, 404, 'POST to nothing';
is $w->request($_, '/a.html')->status, 405, $_ for qw(DELETE PUT OPTIONS PATCH FOO);

# ---- folders ----

$r = $w->get('/dir');
is $r->status, 301, 'a folder without its slash';
is $r->header('Location'), 'http://localhost:' . $w->port(1) . '/dir/', 'is told';
is $w->get('/dir?a=b&c')->header('Location'), 'http://localhost:' . $w->port(1) . '/dir/?a=b&c', 'with arguments';
is $w->get('/di%20r')->header('Location'), 'http://localhost:' . $w->port(1) . '/di%20r/', 'escaped';
is $w->get('/alias/v')->header('Location'), 'http://localhost:' . $w->port(1) . '/alias/v/', 'under an alias';
is $w->get('/dir/')->status, 403, 'no index';
$w->log_like(qr{directory index of "$dir/www/dir/" is forbidden}, 'its line');
is $w->get('/nodir/')->status, 404, 'no folder';

$r = $w->get('/pixel');
is $r->header('Content-Type'), 'image/gif', 'empty_gif';
like $r->body, qr/^GIF89a\x01\x00\x01\x00.*;\z/s, 'its picture';
is length $r->body, 43, 'its length';
is $w->request('POST', '/pixel', [], 'x')->status, 405, 'only to be had';

# a slow reader of a large file does not hold others up
my $slow = $w->connect;
$slow->send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
is $w->get('/a.html')->status, 200, 'another reader meanwhile';
ok $slow->response->body eq $big, 'and the slow one gets it all';

# no descriptor is left over, however a request ends
sub descriptors { my ($pid) = $w->worker_pids; return scalar(() = glob "/proc/$pid/fd/*") }
SKIP: {
	my $before = descriptors() or skip 'the descriptors of the worker cannot be seen', 1;
	for (1 .. 20) {
		$w->get('/a.html');
		$w->request('HEAD', '/a.html');
		$w->get('/a.html', 'If-None-Match' => '*');
		$w->get('/a.html', 'If-Match' => '"x"');
		$w->get('/a.html', Range => 'bytes=100-');
		$w->get('/a.html', Range => 'bytes=0-0,2-2');
		$w->request('POST', '/a.html', [], 'x');
		$w->get('/fifo');
		$w->get('/dir');
		my $c = $w->connect;
		$c->send("GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
		$c->read_n(1);
		$c->reset;
	}
	ok wait_for(sub { descriptors() <= $before }), 'no descriptor is left over';
}

$w->log_like(qr/\[warn\].*\Q$_\E: has no effect: /, "$_ warns") for qw(types_hash_max_size
    types_hash_bucket_size aio_write directio directio_alignment read_ahead output_buffers postpone_output
    send_lowat subrequest_output_buffer_size tcp_nopush);

is $w->stop, 0, 'stop';

$w->expect_alert(qr/\[emerg\] .*weir\.conf:/);
for (['root a; root b;', qr/root" directive is duplicate/],
    ['location / { root a; alias b; }', qr/"root" directive was specified earlier/],
    ['location / { alias a; root b; }', qr/"alias" directive was specified earlier/],
    ['location @x { alias a; }', qr/alias" directive cannot be used inside the named location/],
    ['root $document_root/x;', qr/\$document_root variable cannot be used/],
    ['alias x;', qr/not allowed here/],
    ['types { text/plain; }', qr/types: |text\/plain/],
    ['root $nosuchvariable;', qr/nosuchvariable/]) {
	my ($code, undef, $err) = $w->test_conf("http { server { listen %PORT1%; $_->[0] } }");
	is $code, 1, $_->[0];
	like $err, $_->[1], 'why';
}
my ($code, undef, $err) = $w->test_conf('http { server { listen %PORT1%; types { a/b x; c/d x; } } }');
is $code, 0, 'an extension twice';
like $err, qr{\[warn\].*duplicate extension "x", content type: "c/d", previous content type: "a/b"}, 'is warned of';

done_testing;
