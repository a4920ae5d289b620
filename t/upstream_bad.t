#!/usr/bin/env perl
# upstream_bad.t - upstreams that break the rules, break off, stall or say too much.
#
# What counts: the client gets a clean error, or sees that the answer is cut short; the
# connection to such an upstream serves nobody else.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: proxy_read_timeout

my $w = Weir->new;
my $h = "HTTP/1.1 200 OK\r\n";
my $two = "Content-Length: 2\r\n";
my $chunked = "Transfer-Encoding: chunked\r\n";
my $ok = "$h$two\r\nok";

# Waits, and tells whether the other side leaves.
sub until_left
{
	my ($c) = @_;
	$c->note('waiting');
	$c->timeout(4);
	$c->note('left ' . ($c->eof ? 'yes' : 'no'));
	return 0;
}

sub go
{
	my ($c, $name, $seconds) = @_;
	wait_for(sub { defined $c->{weir}->read($name) }, $seconds);
}

# What the upstream says to /NAME.  Text: the connection stays open after it; code: it
# tells whether it does.
my %say = (
	ok => $ok,
	# S-40
	cl_twice => "$h${two}Content-Length: 3\r\n\r\nabc",
	cl_same => "$h$two$two\r\nok",
	cl_list => "${h}Content-Length: 2, 2\r\n\r\nok",
	cl_minus => "${h}Content-Length: -2\r\n\r\nok",
	cl_plus => "${h}Content-Length: +2\r\n\r\nok",
	cl_hex => "${h}Content-Length: 0x2\r\n\r\nok",
	cl_empty => "${h}Content-Length:\r\n\r\nok",
	cl_huge => "${h}Content-Length: 99999999999999999999\r\n\r\nok",
	cl_word => "${h}Content-Length: 2 3\r\n\r\nok",
	# S-41
	cl_te => "${h}Content-Length: 5\r\n$chunked\r\n2\r\nok\r\n0\r\n\r\n${h}Content-Length: 6\r\n\r\nhidden",
	te_cl => "$h${chunked}Content-Length: 300\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	te_odd => "${h}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	te_twice => "$h$chunked$chunked\r\n2\r\nok\r\n0\r\n\r\n",
	te_xchunked => "${h}Transfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
	# S-42
	line_text => "hello world, this is no HTTP at all\r\n\r\n",
	line_icy => "ICY 200 OK\r\n\r\nmusic",
	line_status => "HTTP/1.1 2000 OK\r\n$two\r\nok",
	line_short => "HTTP/1.1 20 OK\r\n$two\r\nok",
	line_word => "HTTP/1.1 abc OK\r\n$two\r\nok",
	line_zero => "HTTP/1.1 000 OK\r\n$two\r\nok",
	line_version => "HTTP/2.0 200 OK\r\n$two\r\nok",
	line_nine => "HTTP/0.9 200 OK\r\n$two\r\nok",
	line_html => "<html><body>HTTP/0.9</body></html>\r\n\r\n",
	line_binary => join('', map chr, 0 .. 255) . "\r\n\r\n",
	line_h2 => "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
	line_alert => "\x15\x03\x01\x00\x02\x02\x46",
	# S-43
	f_nul => "${h}X-A: a\0b\r\n$two\r\nok",
	f_cr => "${h}X-A: a\rb\r\n$two\r\nok",
	f_empty => "$h: a\r\n$two\r\nok",
	f_space => "${h}X A: b\r\n$two\r\nok",
	f_colon => "${h}no colon here\r\n$two\r\nok",
	f_before => "${h}X-A : b\r\n$two\r\nok",
	f_fold => "${h}X-A: a\r\n b\r\n$two\r\nok",
	# S-44
	short => sub { $_[0]->send("${h}Content-Length: 100\r\n\r\nonly this"); 0 },
	short_big => sub { $_[0]->send("${h}Content-Length: 3000000\r\n\r\n" . 'x' x 1000000); 0 },
	chunk_cut => sub { $_[0]->send("$h$chunked\r\n5\r\nabcde\r\n20\r\nab"); 0 },
	chunk_end => sub { $_[0]->send("$h$chunked\r\n5\r\nabcde\r\n"); 0 },
	chunk_trailer => sub { $_[0]->send("$h$chunked\r\n5\r\nabcde\r\n0\r\nX: y\r\n"); 0 },
	chunk_bad => "$h$chunked\r\n5\r\nabcde\r\nxyz\r\n",
	chunk_long => "$h$chunked\r\n5\r\nabcdefgh\r\n0\r\n\r\n",
	chunk_huge => "$h$chunked\r\n5\r\nabcde\r\nfffffffffffffffff\r\nabc",
	rst => sub {
		$_[0]->send("${h}Content-Length: 100\r\n\r\nonly this");
		go($_[0], 'go-rst', 1);
		$_[0]->reset;
		0;
	},
	close_rst => sub {
		$_[0]->send("$h\r\nuntil the close");
		go($_[0], 'go-rst', 1);
		$_[0]->reset;
		0;
	},
	stall => "${h}Content-Length: 100\r\n\r\nonly this",
	stall_chunked => "$h$chunked\r\n5\r\nabcde\r\n",
	# S-45
	extra => "${ok}${h}Content-Length: 6\r\n\r\nhidden",
	extra_chunked => "$h$chunked\r\n2\r\nok\r\n0\r\n\r\n${h}Content-Length: 6\r\n\r\nhidden",
	later => sub {
		my ($c) = @_;
		$c->send($ok);
		go($c, 'go-later', 3);
		$c->send("${h}Content-Length: 6\r\n\r\nhidden");
		$c->note('later said') if $c->eof;
		0;
	},
	# S-46
	head => "${h}Content-Length: 6\r\n\r\nhidden",
	no204 => "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\nhidden",
	no204c => "HTTP/1.1 204 No Content\r\n$chunked\r\n6\r\nhidden\r\n0\r\n\r\n",
	no304 => "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\nETag: \"x\"\r\n\r\nhidden",
	no304c => "HTTP/1.1 304 Not Modified\r\n$chunked\r\n6\r\nhidden\r\n0\r\n\r\n",
	# S-47
	map({ ("i$_" => "HTTP/1.1 $_ Interim\r\nX-I: 1\r\n\r\n$ok",
	    "icl$_" => "HTTP/1.1 $_ Interim\r\nContent-Length: 5\r\n\r\n$ok") } 100, 102, 103, 199),
	i20 => "HTTP/1.1 102 Processing\r\n\r\n" x 20 . $ok,
	i5000 => "HTTP/1.1 102 Processing\r\n\r\n" x 5000 . $ok,
	i103x5000 => "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" x 5000 . $ok,
	i101 => "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n$ok",
	i_endless => sub { 1 while $_[0]->send("HTTP/1.1 102 Processing\r\n\r\n" x 100); 0 },
	# S-48
	big_field => "${h}X-Big: " . 'a' x 100000 . "\r\n$two\r\nok",
	many_fields => $h . join('', map "X-$_: a\r\n", 1 .. 200000) . "$two\r\nok",
	short_fields => $h . "a:\r\n" x 3000 . "$two\r\nok",
	big_line => 'HTTP/1.1 200 ' . 'O' x 100000 . "\r\n$two\r\nok",
	endless => sub {
		$_[0]->send($h);
		1 while $_[0]->send(('X-Endless: ' . 'e' x 1000 . "\r\n") x 20);
		0;
	},
	one_endless => sub {
		$_[0]->send("${h}X-Endless: ");
		1 while $_[0]->send('e' x 20000);
		0;
	},
	big_ext => sub {
		$_[0]->send("$h$chunked\r\n2;ext=" . 'e' x 2000000 . "\r\nok\r\n0\r\n\r\n");
		1;
	},
	big_trailer => sub {
		$_[0]->send("$h$chunked\r\n2\r\nok\r\n0\r\nX-T: " . 't' x 4000000 . "\r\n\r\n");
		1;
	},
	# S-49
	close => sub { 0 },
	reset => sub { $_[0]->reset; 0 },
	half => sub { $_[0]->send("${h}Content-"); 0 },
	half_line => sub { $_[0]->send('HTT'); 0 },
	# S-51
	wait => \&until_left,
	drip => sub { $_[0]->send("$h$chunked\r\n5\r\nabcde\r\n"); until_left($_[0]) },
	flood => sub {
		my ($c) = @_;
		$c->send("${h}Content-Length: 1000000000\r\n\r\n");
		$c->note('waiting');
		$c->timeout(4);
		my $n = 0;
		$n++ while $n < 10000 && $c->send('x' x 65536);
		$c->note('left ' . ($!{EAGAIN} || $n == 10000 ? 'no' : 'yes'));
		0;
	},
	late => sub {
		my ($c) = @_;
		$c->note('waiting');
		go($c, 'go-late', 3);
		$c->send("${h}Content-Length: 4\r\n\r\nlate");
		1;
	},
	# S-53
	hop => "${h}Connection: close, X-Secret, X-Other\r\nX-Secret: 1\r\nX-Other: 2\r\n" .
	    "Keep-Alive: timeout=99\r\nProxy-Authenticate: Basic\r\nProxy-Connection: close\r\nTE: trailers\r\n" .
	    "Trailer: X\r\nUpgrade: foo\r\nX-Good: 3\r\n$two\r\nok",
	# S-57
	map({ $_->[0] => "${h}X-Accel-Redirect: $_->[1]\r\nContent-Length: 6\r\n\r\nhidden" }
	    [ inside => '/inside/x' ], [ open => '/open/x' ], [ outside => '../../etc/passwd' ],
	    [ dots => '/inside/../../etc/passwd' ], [ escaped => '/inside/%2e%2e/%2e%2e/x' ],
	    [ crlf => '/open/%0d%0aX-Evil:1' ], [ url => 'http://127.0.0.1/x' ], [ nul => '/inside/%00' ],
	    [ loop => '/accel/loop' ]),
);

$w->origin(2, sub {
	my ($c) = @_;
	for (;;) {
		my $head = $c->read_head // return;
		my ($method, $name) = $head =~ m{^(\S+) /(?:\w+/)*(\w+)} or return;
		$c->note("$$ $name");
		if ($name eq 'upload') {
			until_left($c);
			return;
		}
		$c->read_n($1) if $head =~ /^Content-Length: (\d+)/m;
		my $s = $say{$name} // die "unknown: $name";
		if (ref $s) {
			$s->($c) or return;
		} else {
			$c->send($s);
		}
	}
});

$w->start(<<'E');
http {
	access_log %DIR%/access.log;
	proxy_read_timeout 1s;
	client_max_body_size 0;
	upstream one { server 127.0.0.1:%PORT2%; }
	upstream two { server 127.0.0.1:%PORT3% max_fails=0; server 127.0.0.1:%PORT4% max_fails=0; }
	upstream dead { server 127.0.0.1:%PORT5% fail_timeout=1s; server 127.0.0.1:%PORT6% fail_timeout=1s; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://one; }
		location /two/ { proxy_pass http://two; }
		location /dead/ { proxy_pass http://dead; }
		location /slow/ { proxy_pass http://one; proxy_read_timeout 700ms; }
		location /long/ { proxy_pass http://one; proxy_read_timeout 5s; }
		location /stream/ { proxy_pass http://one; proxy_request_buffering off; proxy_read_timeout 5s; }
		location /early/ { proxy_pass http://127.0.0.1:%PORT7%; proxy_request_buffering off; }
		location /accel/off/ { proxy_pass http://one; proxy_ignore_headers X-Accel-Redirect; }
		location /inside/ { internal; return 200 inside; }
		location /open/ { return 200 open; }
	}
}
E

# A good answer afterwards shows that nothing of the bad one is left over.
sub next_is_fine
{
	my ($name) = @_;
	my $r = $w->get('/ok');
	is $r && $r->status . $r->body, '200ok', "$name: the next request is not affected";
}

sub is_502
{
	my ($name, $r) = @_;
	ok defined $r, "$name: an answer came" or return;
	is $r->status, 502, "$name: status";
	ok $r->complete, "$name: the error is complete";
	unlike $r->text, qr/hidden|no colon here|\0/, "$name: nothing of the bad answer is in it";
}

# Which connections of the origin had these last two requests?
sub other_connection
{
	my ($name) = @_;
	my @ids = map { /^(\d+) (?:$name|ok)$/ ? $1 : () } $w->origin_notes(2);
	isnt $ids[-1], $ids[-2], "$name: the next request goes over another connection";
}

for my $t (
	[ 'S-40', qw(cl_twice cl_minus cl_plus cl_hex cl_empty cl_huge cl_word) ],
	[ 'S-41', qw(te_odd te_twice te_xchunked) ],
	[ 'S-42', qw(line_text line_icy line_status line_short line_word line_zero line_version line_nine
	    line_html line_binary line_alert) ],
	[ 'S-43', qw(f_nul f_cr) ],
) {
	my ($id, @names) = @$t;
	for my $name (@names) {
		subtest "$id $name" => sub {
			is_502($name, $w->get("/$name"));
			next_is_fine($name);
		};
	}
}

for my $name (qw(cl_same cl_list)) {
	subtest "S-40 $name: the same length twice" => sub {
		my $r = $w->get("/$name");
		if ($r->status == 200) {
			is $r->header('Content-Length'), 2, 'is one length';
			is $r->body, 'ok';
		} else {
			is_502($name, $r);
		}
		next_is_fine($name);
	};
}

subtest 'S-42 line_h2: no head at all, so the timeout may end it' => sub {
	my $r = $w->get('/line_h2');
	like $r->status, qr/^50[24]$/;
	next_is_fine('line_h2');
};

for my $name (qw(f_empty f_space f_colon f_before f_fold)) {
	subtest "S-43 $name" => sub {
		my $r = $w->get("/$name");
		if ($r->status == 200) {
			is $r->body, 'ok', 'cleaned';
			unlike $r->head, qr/^(?:[^:\r\n]*\s+:|:|no colon|\s)/m, 'what is wrong was left out';
		} else {
			is_502($name, $r);
		}
		next_is_fine($name);
	};
}

for my $name (qw(cl_te te_cl)) {
	subtest "S-41 $name" => sub {
		my $c = $w->connect;
		$c->send("GET /$name HTTP/1.1\r\nHost: a\r\n\r\nGET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		my $r = $c->response;
		if ($r->status == 200) {
			is $r->body, 'ok', 'chunks frame it';
			is scalar(grep defined, $r->header('Content-Length'), $r->header('Transfer-Encoding')), 1,
			    'one framing is forwarded';
		} else {
			is $r->status, 502;
		}
		my $next = $c->response;
		is $next->body, 'ok', 'the next answer is the right one';
		other_connection($name);
	};
}

# ---- S-44: cut short ----

for my $name (qw(short short_big chunk_cut chunk_end chunk_trailer chunk_bad chunk_long chunk_huge rst stall
    stall_chunked)) {
	for my $version ($name =~ /^stall/ ? '1.1' : ('1.1', '1.0')) {
		subtest "S-44 $name, HTTP/$version client" => sub {
			my $c = $w->connect;
			unlink $w->dir . '/go-rst';
			$c->send("GET /$name HTTP/$version\r\nHost: a\r\n" .
			    ($version eq '1.0' ? "Connection: keep-alive\r\n" : '') . "\r\n");
			my $head = $c->read_head;
			if (!defined $head) {
				ok $c->was_reset || $c->{eof}, 'nothing came, and the end';
				return;
			}
			if ($head =~ m{^HTTP/1.1 502}) {
				pass 'refused before the answer began';
				return;
			}
			like $head, qr{^HTTP/1.1 200}, 'it began well';
			$w->write('go-rst', '') if $name eq 'rst';
			my $rest = $c->read_all;
			ok $c->{eof}, 'the connection ends';
			if ($head =~ /^Content-Length: (\d+)/mi) {
				cmp_ok length $rest, '<', $1, 'shorter than announced';
			} elsif ($head =~ /^Transfer-Encoding/mi) {
				unlike $rest, qr/\r\n0\r\n/, 'no last chunk';
			} else {
				ok $c->was_reset, 'a reset, for nothing else would show it';
			}
		};
	}
}

subtest 'S-44 close_rst: a reset is no end of a body that ends with the connection' => sub {
	unlink $w->dir . '/go-rst';
	my $c = $w->connect;
	$c->send("GET /close_rst HTTP/1.1\r\nHost: a\r\n\r\n");
	my $head = $c->read_head;
	$w->write('go-rst', '');
	my $rest = $c->read_all;
	ok $c->{eof}, 'the connection ends';
	unlike $rest, qr/\r\n0\r\n/, 'no last chunk';
	next_is_fine('close_rst');
};

# ---- S-45 ----

for my $name (qw(extra extra_chunked)) {
	subtest "S-45 $name" => sub {
		my $c = $w->connect;
		$c->send("GET /$name HTTP/1.1\r\nHost: a\r\n\r\nGET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		is $c->response->body, 'ok';
		is $c->response->body, 'ok', 'the next answer is the right one';
		other_connection($name);
	};
}

subtest 'S-45 an answer on an idle connection' => sub {
	is $w->get('/later')->body, 'ok';
	$w->write('go-later', '');
	ok wait_for(sub { grep /later said/, $w->origin_notes(2) }), 'the connection was dropped';
	next_is_fine('later');
};

# ---- S-46 ----

for my $t ([ head => 'HEAD', 200 ], [ no204 => 'GET', 204 ], [ no204c => 'GET', 204 ],
    [ no304 => 'GET', 304 ], [ no304c => 'GET', 304 ]) {
	my ($name, $method, $status) = @$t;
	subtest "S-46 $name" => sub {
		my $c = $w->connect;
		$c->send("$method /$name HTTP/1.1\r\nHost: a\r\n\r\n");
		my $r = $c->response('HEAD');
		is $r->status, $status;
		$c->send("GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		my $next = $c->response;
		is $next && $next->body, 'ok', 'the body was not forwarded';
		unlike $c->read_all, qr/hidden/;
		other_connection($name);
	};
}

# ---- S-47 ----

for my $name (map({ ("i$_", "icl$_") } 100, 102, 103, 199), 'i20') {
	subtest "S-47 $name" => sub {
		my $r = $w->get("/$name");
		is $r && $r->status . $r->body, '200ok', 'the final answer is delivered';
		ok $r->complete;
		next_is_fine($name);
	};
}
for my $name (qw(i5000 i103x5000 i101 i_endless)) {
	subtest "S-47 $name" => sub {
		is_502($name, $w->get("/$name"));
		next_is_fine($name);
	};
}

# ---- S-48 ----

sub memory
{
	my $kb = 0;
	for my $pid ($w->worker_pids) {
		open my $f, '<', "/proc/$pid/status" or next;
		/^VmHWM:\s+(\d+)/ and $kb += $1 while <$f>;
	}
	return $kb;
}

my $before = memory();
for my $name (qw(big_field many_fields short_fields big_line endless one_endless)) {
	subtest "S-48 $name" => sub {
		is_502($name, $w->get("/$name"));
		next_is_fine($name);
	};
}
for my $name (qw(big_ext big_trailer)) {
	subtest "S-48 $name" => sub {
		my $c = $w->connect;
		$c->send("GET /$name HTTP/1.1\r\nHost: a\r\n\r\n");
		my $r = $c->response;
		ok !$r || $r->status == 502 || !$r->complete, 'refused, or visibly cut short';
		next_is_fine($name);
	};
}
SKIP: {
	my $binary = $w->binary;
	skip 'a sanitizer keeps what is freed', 1 if `grep -c __asan_init $binary` > 0;
	cmp_ok memory() - $before, '<', 8192, 'S-48: memory is bounded';
}

# ---- S-49 ----

for my $name (qw(close reset half half_line)) {
	for my $method (qw(GET POST)) {
		subtest "S-49 $name, $method" => sub {
			my $before = () = grep / $name$/, $w->origin_notes(2);
			my $r = $w->request($method, "/$name", [], $method eq 'POST' ? 'body' : undef);
			is $r->status, 502;
			my $n = (() = grep / $name$/, $w->origin_notes(2)) - $before;
			$method eq 'POST' ? is($n, 1, 'never asked twice') :
			    cmp_ok($n, '<=', 2, 'asked once more at most');
			next_is_fine($name);
		};
	}
}

# An idle connection that is closed, or reset, just when the next request has come.
for my $p (3, 4) {
	$w->origin($p, sub {
		my ($c) = @_;
		my $n = 0;
		while (my $q = $c->read_request) {
			$c->note("$q->{method} $q->{uri}");
			if ($q->{uri} =~ /all_die/ || ($n++ && $q->{uri} =~ /die/)) {
				$c->reset if $q->{uri} =~ /rst/;
				return;
			}
			$c->send($ok);
		}
	});
}

for my $end (qw(die die_rst)) {
	subtest "S-49 stale connection ($end): GET goes out once more, POST does not" => sub {
		$w->get('/two/warm') for 1 .. 2;
		my $r = $w->get("/two/$end");
		is $r->status . $r->body, '200ok', 'GET is answered on another connection';
		$w->get('/two/warm') for 1 .. 2;
		my $before = grep /POST/, map $w->origin_notes($_), 3, 4;
		$r = $w->request('POST', "/two/$end", [], 'x');
		is $r->status, 502, 'POST is not';
		my $after = grep /POST/, map $w->origin_notes($_), 3, 4;
		is $after - $before, 1, 'and was sent once';
	};
}

subtest 'S-49 all_die: every server, not for ever' => sub {
	$w->get('/two/warm') for 1 .. 2;
	my $r = $w->get('/two/all_die/1');
	is $r->status, 502;
	my $n = grep m{/two/all_die/1}, map $w->origin_notes($_), 3, 4;
	cmp_ok $n, '<=', 4;
	cmp_ok $n, '>=', 2;
};

# ---- S-50 ----

$w->origin(7, sub {
	my ($c) = @_;
	my $head = $c->read_head;
	my ($name) = $head =~ m{^POST /early/(\w+)} or return;
	$c->send("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly");
	if ($name eq 'close') {
		# an orderly end: what was sent is read, so that no reset is sent
		$c->half_close;
		$c->eof;
	} else {
		wait_for(sub { defined $c->{weir}->read('go-early') });
		$c->reset if $name eq 'reset';
		$c->eof if $name eq 'stop';
	}
});

for my $name (qw(close stop reset)) {
	subtest "S-50 an answer before the upload is over: $name" => sub {
		unlink $w->dir . '/go-early';
		my $c = $w->connect(timeout => 8);
		$c->send("POST /early/$name HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n" . 'x' x 100000);
		my $begin = time;
		my $r = $c->response;
		$w->write('go-early', '');
		is $r && $r->status . $r->body, '413early', 'it is delivered';
		cmp_ok time - $begin, '<', slack(3), 'without waiting for the upload';
		$c->half_close;
		ok $c->eof, 'the connection ends';
		next_is_fine($name);
	};
}

# ---- S-51 ----

sub waits { scalar grep $_ eq 'waiting', $w->origin_notes(2) }
sub left { scalar grep $_ eq 'left yes', $w->origin_notes(2) }

for my $name (qw(wait drip flood)) {
	for my $how (qw(close reset)) {
		subtest "S-51 the client leaves ($how) during $name" => sub {
			my ($waits, $left) = (waits(), left());
			my $c = $w->connect;
			$c->send("GET /long/$name HTTP/1.1\r\nHost: a\r\n\r\n");
			ok wait_for(sub { waits() > $waits }), 'the upstream is at work';
			$c->read_until(qr/abcde|xxxx/) if $name ne 'wait';
			my $begin = time;
			$how eq 'close' ? $c->close : $c->reset;
			ok wait_for(sub { left() > $left }), 'it is told';
			cmp_ok time - $begin, '<', slack(1.3), 'within a second or so';
		};
	}
}

for my $how (qw(close reset)) {
	subtest "S-51 the client leaves ($how) during an upload" => sub {
		my ($waits, $left) = (waits(), left());
		my $c = $w->connect;
		$c->send("POST /stream/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" . 'x' x 1000);
		ok wait_for(sub { waits() > $waits }), 'the upstream is at work';
		my $begin = time;
		$how eq 'close' ? $c->close : $c->reset;
		ok wait_for(sub { left() > $left }), 'it is told';
		cmp_ok time - $begin, '<', slack(1.3), 'within a second or so';
	};
}

subtest 'S-51 a client that only half-closes gets its answer when it comes soon' => sub {
	my $waits = waits();
	my $c = $w->connect;
	$c->send("GET /long/late HTTP/1.1\r\nHost: a\r\n\r\n");
	ok wait_for(sub { waits() > $waits }), 'the upstream is at work';
	$c->half_close;
	$w->write('go-late', '');
	my $r = $c->response;
	is $r && $r->body, 'late';
};

# ---- S-52 ----

subtest 'S-52 a silent upstream' => sub {
	my $begin = time;
	my $r = $w->get('/slow/wait');
	my $took = time - $begin;
	is $r->status, 504;
	ok $r->complete;
	cmp_ok $took, '>', 0.68, 'not before its time';
	cmp_ok $took, '<', slack(1.2), 'nor long after';
	$w->log_like(qr/upstream timed out .* while reading response header from upstream/);
};

# ---- S-53 ----

subtest 'S-53 fields that end at this hop' => sub {
	my $r = $w->get('/hop');
	is $r->body, 'ok';
	is $r->header($_), undef, $_ for qw(X-Secret X-Other Keep-Alive Proxy-Authenticate Proxy-Connection TE
	    Trailer Upgrade);
	is $r->header('X-Good'), 3, 'others are passed on';
	is $r->header('Connection'), 'close', 'Connection is our own';
};

# ---- S-57 ----

subtest 'S-57 X-Accel-Redirect' => sub {
	is $w->get('/inside/x')->status, 404, 'an internal location is closed to clients';
	is $w->get('/accel/inside')->body, 'inside', 'and open to the upstream';
	is $w->get('/accel/open')->body, 'open';
	my $r = $w->get('/accel/off/inside');
	is $r->body, 'hidden', 'ignored where the configuration says so';
	is $r->header('X-Accel-Redirect'), undef, 'and not shown';
	for my $name (qw(outside dots escaped url nul)) {
		$r = $w->get("/accel/$name");
		cmp_ok $r->status, '>=', 400, "$name is refused";
		unlike $r->text, qr/hidden|root:/, "$name: nothing is disclosed";
	}
	$r = $w->get('/accel/crlf');
	is $r->header('X-Evil'), undef, 'no field is smuggled in';
	is $w->get('/accel/loop')->status, 500, 'a circle is left';
};

# ---- S-188 ----

subtest 'S-188 stalled exchanges do not slow down others' => sub {
	my @stalled = map { my $c = $w->connect; $c->send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"); $c } 1 .. 40;
	my @slow = map { my $c = $w->connect; $c->send("GET /ok HTTP/1.1\r\nHo"); $c } 1 .. 100;
	my $begin = time;
	is $w->get('/two/warm')->body, 'ok';
	cmp_ok time - $begin, '<', slack(1), 'answered at once';
	my $r = $stalled[-1]->response;
	is $r->status, 504, 'the stalled ones end at their time';
	$_->close for @stalled, @slow;
};

# ---- S-270 ----

subtest 'S-270 all upstreams down' => sub {
	for (1 .. 5) {
		my $begin = time;
		my $r = $w->get('/dead/ok');
		is $r->status, 502;
		cmp_ok time - $begin, '<', slack(0.5), 'at once';
	}
	for my $p (5, 6) {
		$w->origin($p, sub {
			my ($c) = @_;
			$c->send($ok) while $c->read_request;
		});
	}
	my $begin = time;
	ok wait_for(sub { $w->get('/dead/ok')->status == 200 }), 'they are back';
	cmp_ok time - $begin, '<', slack(2), 'within fail_timeout';
};

is $w->stop, 0, 'a clean end';
done_testing;
