#!/usr/bin/perl
# What a client sends is never taken for what we say: response fields, upstream fields, logs, statuses.

use strict;
use warnings;

use lib 't/lib';
use POSIX qw(mkfifo);
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $w = Weir->new;
mkfifo $w->dir . '/fifo', 0666 or die "mkfifo: $!";
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		if ($q->{uri} =~ /late/) {
			$c->note($q->{uri});
			$c->eof;	# never answers
			last;
		}
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($q->{head}) . "\r\n\r\n$q->{head}");
	}
});
$w->start(<<'E');
http {
	log_format t '$status $request';
	access_log %DIR%/access.log t;
	access_log %DIR%/fifo t;
	client_header_timeout 300ms;
	client_body_timeout 300ms;
	map $uri $mapped { default $uri; "~^/map/(?<rest>(?s).*)$" $rest; }
	server {
		listen 127.0.0.1:%PORT1%;
		server_tokens off;
		location / { return 200 "fine\n"; }
		location /add/ { add_header X-Uri $uri always; add_header X-Fine fine always; return 200 "$uri"; }
		location /map/ { add_header X-Mapped $mapped; return 200 ok; }
		location ~ ^/cap/(?s)(.*)$ { add_header X-Cap $1; return 200 ok; }
		location ~ ^/redir/(?s)(.*)$ { return 302 /$1; }
		location ~ ^/rewrite/(?s)(.*)$ { rewrite (?s)^/rewrite/(.*)$ /$1 redirect; }
		location ~ ^/perm/(?s)(.*)$ { rewrite (?s)^/perm/(.*)$ http://b/$1 permanent; }
		location /p/ {
			proxy_pass http://127.0.0.1:%PORT2%;
			proxy_set_header X-Uri $uri;
			proxy_set_header X-Fine fine;
			proxy_read_timeout 300ms;
		}
		location /dead/ { proxy_pass http://127.0.0.1:%PORT9%; }
		location /deny/ { deny all; }
		location /many/ { return 429; }
		location /small/ { client_max_body_size 10; proxy_pass http://127.0.0.1:%PORT2%; }
		location /body/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location /421/ { return 421; }
		location /425/ { return 425; }
	}
}
E

# ---- S-204

for my $code ('%0d%0a', '%0a', '%0d', '%00') {
	for my $place (qw(add map cap redir rewrite perm)) {
		my $evil = "${code}Set-Cookie:%20evil=1${code}${code}<script>";
		my $text = $w->http("GET /$place/x$evil HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		if ($code eq '%00') {
			like $text, qr{^HTTP/1.1 400 }, "S-204 $code in $place is refused";
			next;
		}
		my ($head) = $text =~ /^(.*?\r\n\r\n)/s;
		unlike $head, qr/^Set-Cookie/mi, "S-204 $code in $place makes no field";
		unlike $head, qr/(?<!\r)\n|\r(?!\n)|\0/, 'and no odd line end';
		unlike $head, qr/^X-(?:Uri|Mapped|Cap):/m, 'the whole field is dropped' if $place =~ /add|map|cap/;
		like $head, qr/^X-Fine: fine\r$/m, 'others stay' if $place eq 'add';
	}
	next if $code eq '%00';
	my $got = $w->get("/p/x${code}Evil:%201")->body;
	unlike $got, qr/^Evil/m, "S-204 $code towards an upstream makes no field";
	like $got, qr/^X-Fine: fine\r?$/m, 'and takes none away';
}
$w->log_like(qr/would hold a line end or NUL: dropped/, 'S-204 it is logged');

# ---- S-206

subtest 'S-206 a log that nobody reads' => sub {
	my $begin = time;
	is $w->get('/')->status, 200, 'does not block' for 1 .. 20;
	cmp_ok time - $begin, '<', slack(3), 'at all';
	rename $w->dir . '/access.log', $w->dir . '/access.log.1';
	is $w->get('/before')->status, 200, 'a log that was renamed';
	$w->kill('USR1');
	ok wait_for(sub { -e $w->dir . '/access.log' }), 'is opened anew';
	ok wait_for(sub { $w->get('/after'); ($w->log_text('access.log')) =~ m{/after} }), 'and written';
	like $w->log_text('access.log.1'), qr{/before}, 'the old one has what was before';
	unlink $w->dir . '/access.log';
	is $w->get('/')->status, 200, 'a log that was deleted';
};

# ---- S-208

sub status_of
{
	my ($name, $raw, $status, %o) = @_;
	subtest "S-208 $name" => sub {
		my $c = $w->connect(timeout => 5);
		$c->send($raw);
		my $r = $c->response;
		ok $r && $r->complete, 'an answer' or return;
		is $r->status, $status, "is $status";
		unlike $r->text, qr{weir/\d|127\.0\.0\.1}, 'S-207 without version and addresses';
		if ($o{goes_on}) {
			is $r->header('Connection'), 'keep-alive', 'the connection goes on';
		} else {
			is $r->header('Connection'), 'close', 'the end of the connection';
			ok $c->eof, 'in fact';
		}
		ok wait_for(sub { $w->log_text('access.log') =~ /^$status /m }), 'in the log';
	};
}

$w->kill('USR1');
# The master makes the file, and the worker is told of it later.
ok wait_for(sub { -e $w->dir . '/access.log' && $w->get('/again') && $w->log_text('access.log') =~ m{/again} }), 'a log again';
my $host = "Host: a\r\n";
status_of 'not HTTP', "bad\r\n\r\n", 400;
status_of 'a forbidden place', "GET /deny/ HTTP/1.1\r\n$host\r\n", 403, goes_on => 1;
status_of 'a late body', "POST /body/ HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhe", 408;
status_of 'a late head', "GET / HTTP/1.1\r\n", 408;
status_of 'a large body', "POST /small/ HTTP/1.1\r\n${host}Content-Length: 50\r\n\r\n", 413;
status_of 'a large body in chunks', "POST /small/ HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n" . "8\r\n12345678\r\n" x 4, 413;
status_of 'a long target', 'GET /' . 'a' x 20000 . " HTTP/1.1\r\n$host\r\n", 414;
status_of 'a large head', "GET / HTTP/1.1\r\n${host}X: " . 'a' x 20000 . "\r\n\r\n", 431;
status_of '421', "GET /421/ HTTP/1.1\r\n$host\r\n", 421, goes_on => 1;
status_of '425', "GET /425/ HTTP/1.1\r\n$host\r\n", 425, goes_on => 1;
status_of '429', "GET /many/ HTTP/1.1\r\n$host\r\n", 429, goes_on => 1;
status_of 'an upstream that is not there', "GET /dead/ HTTP/1.1\r\n$host\r\n", 502, goes_on => 1;
status_of 'an upstream that is late', "GET /p/late HTTP/1.1\r\n$host\r\n", 504, goes_on => 1;
{
	my $c = $w->connect;
	$c->send("GET /p/late2 HTTP/1.1\r\n$host\r\n");
	ok wait_for(sub { grep /late2/, $w->origin_notes(2) }), 'upstream has it';
	$c->reset;
	ok wait_for(sub { $w->log_text('access.log') =~ m{^499 GET /p/late2}m }), 'S-208 a client that left is 499';
}

is $w->stop, 0, 'stop';
done_testing;
