#!/usr/bin/perl
# What a client can make weir use: descriptors, memory, time, disk.

use strict;
use warnings;

use lib 't/lib';
use Socket qw(SOL_SOCKET SO_RCVBUF);
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $built = join '', Weir->new->run('-V');
my $sanitized = $built =~ /--with-sanitizers/;

sub tree_kb
{
	my ($w) = @_;
	my $kb = 0;
	for my $pid ($w->all_pids) {
		my $text = $w->read("/proc/$pid/smaps_rollup") // '';
		$kb += $1 if $text =~ /^Pss:\s+(\d+) kB/m;
	}
	return $kb;
}

sub fast_answer
{
	my ($w, $uri) = @_;
	my $begin = time;
	my $r = $w->get($uri);
	return $r && $r->status == 200 && time - $begin < slack(1);
}

# ---- S-184

subtest 'S-184 no descriptors' => sub {
	my $w = Weir->new;
	$w->expect_alert(qr/worker_connections|accept4/);
	$w->write('html/file', 'f' x 100);
	$w->start(<<'E');
worker_rlimit_nofile 64;
events { worker_connections 1000; }
http {
	root %DIR%/html;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "fine\n"; }
		location /file { }
	}
}
E
	my $old = $w->connect;
	my $ask = sub { $old->send("GET $_[0] HTTP/1.1\r\nHost: a\r\n\r\n"); my $r = $old->response; $r ? $r->status : 'none' };
	is $ask->('/'), 200, 'a connection';
	my @idle;
	push @idle, $w->connect for 1 .. 100;
	ok $w->wait_log(qr/accepting pauses/), 'accepting pauses';
	is $ask->('/'), 200, 'who is connected is served';
	$w->kill('USR1');
	ok $w->wait_log(qr/reopening logs/), 'logs can be opened all the same';
	is $ask->('/'), 200, 'and again';
	my $complaints = () = $w->log_text =~ /accept4\(\) failed/g;
	cmp_ok $complaints, '<=', 5, 'the log is not flooded';
	$_->close for @idle;
	my $begin = time;
	my $new = $w->connect;
	$new->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	my $r = $new->response;
	is $r && $r->status, 200, 'when they have gone others are served';
	cmp_ok time - $begin, '<', slack(2), 'soon';
	is $ask->('/file'), 200, 'and files can be opened';
	is $w->stop, 0, 'stop';
};

# ---- S-185, S-188

subtest 'S-188 stalled clients' => sub {
	my $w = Weir->new;
	$w->write('html/big', 'b' x 10_000_000);
	$w->origin(2, sub {
		my ($c) = @_;
		my $q = $c->read_request or return;
		return unless $q->{complete};
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
	});
	$w->start(<<'E');
events { worker_connections 4000; }
http {
	root %DIR%/html;
	client_header_timeout 3s;
	client_body_timeout 3s;
	send_timeout 3s;
	keepalive_timeout 3s;
	lingering_timeout 1s;
	access_log off;
	server {
		listen 127.0.0.1:%PORT1% rcvbuf=8k sndbuf=8k;
		location / { return 200 "fine\n"; }
		location /big { }
		location /p/ { proxy_pass http://127.0.0.1:%PORT2%; client_max_body_size 0; }
	}
}
E
	ok fast_answer($w, '/'), 'an answer';
	my $before = tree_kb($w);
	my $count = $sanitized ? 50 : 300;
	my %kinds = (
		nothing => '',
		'first line' => "GET /" . 'a' x 3000,
		head => "GET / HTTP/1.1\r\nHost: a\r\nX: " . 'x' x 6000,
		idle => "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		body => "POST /p/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" . 'x' x 4000,
		chunks => "POST /p/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5;" . 'x' x 1000,
		download => "GET /big HTTP/1.1\r\nHost: a\r\n\r\n" x 3,
	);
	my (@all, %by);
	for my $kind (sort keys %kinds) {
		for (1 .. $count) {
			my $c = $w->connect(timeout => 15) or last;
			setsockopt $c->socket, SOL_SOCKET, SO_RCVBUF, 4096 if $kind eq 'download';
			$c->send($kinds{$kind});
			push @all, $c;
			push @{ $by{$kind} }, $c;
		}
	}
	is scalar @all, $count * keys %kinds, 'connections';
	ok fast_answer($w, '/'), 'others are served';
	my $during = tree_kb($w);
	ok fast_answer($w, '/'), 'and again';
	cmp_ok $during - $before, '<', 32 * 1024, 'memory while they stall' unless $sanitized;
	# a download that is read would go on: see how many connections weir still has
	my ($worker) = $w->worker_pids;
	ok wait_for(sub { my @fds = glob "/proc/$worker/fd/*"; @fds < 100 }), 'all are closed at their timeouts';
	delete $by{download};
	my $end = time + 10;
	my %open;
	for my $kind (sort keys %by) {
		for my $c (@{ $by{$kind} }) {
			$c->timeout($end - time > 0.1 ? $end - time : 0.1);
			$open{$kind}++ unless $c->eof;
		}
	}
	is_deeply \%open, {}, 'and see it';
	ok fast_answer($w, '/'), 'weir serves';
	$_->close for @all;
	unless ($sanitized) {
		my $after;
		ok wait_for(sub { $after = tree_kb($w); $after - $before < 8192 }), 'memory comes back';
		note "before $before kB, during $during kB, after $after kB";
	}
	is $w->stop, 0, 'stop';
};

subtest 'S-188 slow readers of a proxied response' => sub {
	my $w = Weir->new;
	my $body = 'b' x 5_000_000;
	$w->origin(2, sub {
		my ($c) = @_;
		$c->read_head;
		$c->timeout(30);
		$c->send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5000000\r\n\r\n$body");
	});
	$w->start(<<'E');
events { worker_connections 4000; }
http {
	proxy_buffers 4 8k;
	server {
		listen 127.0.0.1:%PORT1% sndbuf=8k;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /own { return 200 "fine\n"; }
	}
}
E
	ok fast_answer($w, '/own'), 'an answer';
	my ($worker) = $w->worker_pids;
	my ($before, @slow) = tree_kb($w);
	for (1 .. ($sanitized ? 20 : 100)) {
		my $c = $w->connect;
		setsockopt $c->socket, SOL_SOCKET, SO_RCVBUF, 4096;
		$c->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		push @slow, $c;
	}
	my @heads = grep defined && /200/, map $_->read_head, @slow;
	is scalar @heads, scalar @slow, 'all have begun';
	ok fast_answer($w, '/own'), 'others are served';
	my $during = tree_kb($w);
	$_->reset for @slow;
	ok wait_for(sub { my @fds = glob "/proc/$worker/fd/*"; @fds < 40 }), 'when they leave their connections are closed';
	unless ($sanitized) {
		my $after;
		cmp_ok $during - $before, '<', 32 * 1024, 'memory is bounded';
		ok wait_for(sub { $after = tree_kb($w); $after - $before < 8192 }), 'and comes back';
		note "before $before kB, during $during kB, after $after kB";
	}
	is $w->stop, 0, 'stop';
};

# ---- S-187

subtest 'S-187 every allocation fails' => sub {
	plan skip_all => 'needs --with-debug' unless $built =~ /--with-debug/;
	my $w = Weir->new;
	$w->write('html/file', 'f' x 100);
	$w->origin(2, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($q->{body}) . "\r\n\r\n$q->{body}");
		}
	});
	$w->start(<<'E', env => { WEIR_FAIL_MEMORY => 1 });
env WEIR_FAIL_MEMORY;
http {
	root %DIR%/html;
	map $arg_x $m { default "$arg_x-y"; ~^(a+)$ "$1"; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { add_header X-M $m; return 200 "fine $uri\n"; }
		location /file { }
		location /p/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location ~ ^/r/(.*)$ { rewrite ^/r/(.*)$ /p/$1?$args last; }
	}
}
E
	my $worker = join ' ', $w->worker_pids;
	my (%seen, $wrong);
	for my $i (1 .. ($sanitized ? 400 : 1500)) {
		my $uri = ('/', '/file', '/p/x', "/r/@{['y' x ($i % 500)]}?x=aaa", "/?x=@{['a' x ($i % 3000)]}")[$i % 5];
		my $c = $w->connect(timeout => 3);
		my $body = $uri =~ /^.p/ ? 'z' x ($i * 13 % 20000) : '';
		my $text = "POST $uri HTTP/1.1\r\nHost: a\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
		$c->send($text . $text);
		for (1, 2) {
			my $r = $c->response;
			$seen{ $r ? $r->status : 'closed' }++;
			$wrong //= "$uri: " . $r->status if $r && $r->status !~ /^(?:200|405|503)$/;
			last unless $r;
		}
		$c->close;
	}
	is $wrong, undef, 'nobody gets a wrong answer';
	cmp_ok $seen{200} // 0, '>', 100, 'many get the right one';
	note join ', ', map "$_: $seen{$_}", sort keys %seen;
	is join(' ', $w->worker_pids), $worker, 'the worker lives';
	is $w->stop, 0, 'stop';
};

# ---- S-190, S-191, S-204

subtest 'S-190 regular expressions that explode' => sub {
	my $w = Weir->new;
	$w->start(<<'E');
http {
	large_client_header_buffers 4 64k;
	map $arg_x $evil { default no; "~^(a+)+$" yes; }
	map $http_x $twin { default ""; "~^(?<one>\w+)-(?<two>\w+)$" "$two-$one"; }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { return 200 "fine\n"; }
		location /map { return 200 "$evil\n"; }
		location /deep { if ($arg_x ~ "^((((((((((a|b)*)*)*)*)*)*)*)*)*)*c$") { return 403; } return 200 "no\n"; }
		location ~ ^/(x+x+)+y$ { return 200 "y\n"; }
		location /twin { rewrite ^/(twin)/(.*)$ /$2/$1; add_header X-T "$twin|$1|$2|$one"; return 200 "$uri $twin $1 $2\n"; }
		location /set {
			set $a $arg_x;
			if ($a ~ "^(.)(.*)$") { set $a "$2$1$twin$2"; }
			return 200 "$a\n";
		}
	}
}
E
	for my $uri ('/map?x=' . 'a' x 60_000 . '!', '/deep?x=' . 'ab' x 25_000, '/' . 'x' x 30_000, '/map?x=' . 'a' x 40 . '!') {
		my $begin = time;
		my $r = $w->get($uri);
		like $r ? $r->status : 'none', qr/^(?:200|500)$/, 'an answer to ' . substr($uri, 0, 12);
		cmp_ok time - $begin, '<', slack(3), 'in time';
	}
	ok fast_answer($w, '/'), 'weir serves';
	is $w->get('/twin/x', 'X' => 'a-b')->body, "/x/twin b-a twin x\n", 'S-191 captures of one expression stay what they were';
	is $w->get('/set?x=abc', 'X' => 'd-e')->body, "bcae-dbc\n", 'S-191 also when a map matches in between';
	is scalar($w->worker_pids), 1, 'one worker';
	is $w->stop, 0, 'stop';
};

# ---- S-192, S-193

subtest 'S-192 a full disk' => sub {
	my $w = Weir->new;
	mkdir $w->dir . '/tmp';
	chmod 0777, $w->dir . '/tmp';
	$w->origin(2, sub {
		my ($c) = @_;
		while (my $q = $c->read_request) {
			$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($q->{body}) . "\r\n\r\n$q->{body}");
		}
	});
	$w->start(<<'E');
http {
	access_log /dev/full;
	access_log %DIR%/access.log;
	server {
		listen 127.0.0.1:%PORT1%;
		error_log /dev/full info;
		client_body_temp_path %DIR%/tmp;
		client_body_buffer_size 1k;
		location / { return 200 "fine\n"; }
		location /p/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location /s/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_request_buffering off; }
	}
}
E
	is $w->get('/')->status, 200, 'served though the log is full' for 1 .. 20;
	is $w->request('GET', '/', ['X' => "a\x01"])->status, 200, 'the error log, too';
	is scalar($w->access(undef, 21)), 21, 'the other log has all';
	is $w->request('POST', '/p/', [], 'x' x 50_000)->body, 'x' x 50_000, 'a body is kept in a file';
	is_deeply [glob $w->dir . '/tmp/*'], [], 'S-193 that has no name';
	chmod 0555, $w->dir . '/tmp';
	is $w->stop, 0, 'stop';
};

SKIP: {
	skip 'needs root for a small file system', 1 if $> != 0;
	subtest 'S-192 no room for bodies' => sub {
		my $w = Weir->new;
		my $small = $w->dir . '/small';
		mkdir $small;
		if (system("mount -t tmpfs -o size=64k,mode=777 none $small 2>/dev/null") != 0) {
			plan skip_all => 'mounting is not allowed';
		}
		$w->origin(2, sub {
			my ($c) = @_;
			while (my $q = $c->read_request) {
				$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($q->{body}) . "\r\n\r\n$q->{body}");
			}
		});
		$w->start(<<'E');
http {
	server {
		listen 127.0.0.1:%PORT1%;
		client_body_temp_path %DIR%/small;
		client_body_buffer_size 1k;
		location / { proxy_pass http://127.0.0.1:%PORT2%; }
		location /s/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_request_buffering off; }
		location /own { return 200 "fine\n"; }
	}
}
E
		is $w->request('POST', '/', [], 'x' x 30_000)->status, 200, 'a body that fits';
		my $r = $w->request('POST', '/', [], 'x' x 500_000);
		like $r ? $r->status : 'none', qr/^50[037]$/, 'one that does not is refused';
		is $w->request('POST', '/s/', [], 'x' x 500_000)->status, 200, 'one that is passed on as it comes is not';
		is $w->get('/own')->status, 200, 'others are served';
		is $w->request('POST', '/', [], 'x' x 30_000)->status, 200, 'it goes on by itself';
		$w->log_like(qr/\[crit\].*temporary file/, 'the log says so');
		is $w->stop, 0, 'stop';
		system("umount $small");
	};
}

done_testing;
