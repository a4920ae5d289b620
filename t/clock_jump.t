#!/usr/bin/perl
# clock_jump.t - S-183: the wall clock jumps, back and ahead; nobody is locked out, let in, or kept waiting for it.

use strict;
use warnings;

use lib 't/lib';
use MIME::Base64;
use Test::More;
use Time::HiRes qw(time);
use Fate;
use Weir;

my $w = Weir->new;
my $f = Fate->new($w) or plan skip_all => Fate->why_not($w);

sub wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }

# A name server: every name is 127.0.0.1, for an hour; who ends in "short", for a second.
my $udp = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(2), Proto => 'udp') or die "udp: $!";
my $names = $w->background(sub {
	my ($stop) = @_;
	my $asked = 0;
	until ($stop->()) {
		my $in = '';
		vec($in, fileno $udp, 1) = 1;
		select($in, undef, undef, 0.05) or next;
		my $from = $udp->recv(my $q, 4096);
		my ($at, @name) = 12;
		while (my $n = unpack "x$at C", $q) { push @name, substr $q, $at + 1, $n; $at += $n + 1 }
		my $name = join '.', @name;
		$w->write('asked', ++$asked);
		$udp->send(pack('n6', unpack('n', $q), 0x8180, 1, 1, 0, 0) . substr($q, 12, $at + 5 - 12) .
		    wire($name) . pack('n n N n/a', 1, 1, 3600, pack 'C4', 127, 0, 0, 1), 0, $from);
	}
	return {};
});

$w->origin(3, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		if ($q->{uri} =~ /hang/) {
			$c->note('hangs');
			$c->eof;
			return;
		}
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") or return;
	}
});
$w->write('users', "me:{PLAIN}secret\n");
$w->write('www/x', 'x');
$w->start(<<'E', env => $f->env);
http {
	limit_req_zone $arg_k zone=req:1m rate=1r/m;
	limit_req_zone $arg_k zone=fast:1m rate=10r/s;
	limit_conn_zone $arg_k zone=conn:1m;
	proxy_connect_timeout 2s;
	log_format t '$time_iso8601 $request_time $uri $status';
	access_log %DIR%/access.log t;
	open_file_cache max=10 inactive=20s;
	open_file_cache_valid 10s;
	server {
		listen 127.0.0.1:%PORT1%;
		resolver 127.0.0.1:%PORT2% ipv6=off;
		root %DIR%/www;
		keepalive_timeout 60s;
		location / { }
		location /req { limit_req zone=req burst=1 nodelay; try_files /x =404; }
		location /queue { limit_req zone=fast burst=5; try_files /x =404; }
		location /conn { limit_conn conn 1; proxy_pass http://127.0.0.1:%PORT3%; proxy_read_timeout 1s; }
		location /ok/ { proxy_pass http://127.0.0.1:%PORT3%; }
		location /auth { auth_basic x; auth_basic_user_file users; auth_basic_limit 2/1h; try_files /x =404; }
		location /name { proxy_pass http://some.test$arg_none:%PORT3%; }
	}
}
E

sub status { my ($uri, @h) = @_; my $r = $w->get($uri, @h); return $r ? $r->status : 'none' }
sub auth { return (Authorization => 'Basic ' . encode_base64("me:$_[0]", '')) }
sub served { my $t = time; my $s = status(@_); my $d = time - $t; return $d < 5 ? $s : "late ($d s)" }

my $kept = $w->connect(timeout => 5);
my $n = 0;
for my $jump (3600, -3600, 86400 * 365 * 40, -86400 * 365 * 40, 0) {
	my $name = $jump ? sprintf('%+d h', $jump / 3600) : 'back again';
	subtest $name => sub {
		my $k = 'k' . ++$n;
		# what is counted before ...
		is status("/req?k=$k"), 200, 'limit_req lets two in' for 1, 2;
		is status("/req?k=$k"), 429, 'and no third';
		my $held = $w->connect;
		$held->send("GET /conn/hang?k=$k HTTP/1.1\r\nHost: a\r\n\r\n");
		ok wait_for(sub { $w->origin_notes(3) >= $n }), 'limit_conn: one is served';
		my $file = status('/x');
		my $names_asked = status('/name') == 200 ? $w->read('asked') : 'no';
		$kept->send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
		is $kept->response->status, 200, 'an idle connection';

		$f->jump($jump);

		# ... still counts, and no more than that.
		my $date = $w->get('/x')->header('Date');
		my $year = 1970 + int((time + $jump) / 86400 / 365.2425);
		like $date, qr/ (?:@{[$year - 1]}|$year|@{[$year + 1]}) /, 'Date follows the clock';
		is status("/req?k=$k"), 429, 'limit_req: who had to wait has to';
		is served("/req?k=new$k"), 200, 'others are let in';
		my $t = time;
		is served("/queue?k=$k"), 200, 'queued' for 1 .. 4;
		cmp_ok time - $t, '<', slack(3), 'not for longer than the rate says';
		is status("/conn/?k=$k"), 429, 'limit_conn: nobody beside the one';
		is $held->response->status, 504, 'whose timeout comes';
		is served("/conn/ok?k=$k"), 200, 'then there is room';
		is $file . status('/x'), 200200, 'a remembered file';
		is served('/name'), 200, 'a name';
		is $w->read('asked'), $names_asked, 'that is remembered as long as it was said';
		$kept->send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
		my $r = $kept->response;
		is $r && $r->status, 200, 'the idle connection was kept';
		is served('/ok/'), 200, 'upstreams';
	};
}

subtest 'passwords' => sub {
	$f->jump(0);
	is status('/auth', auth('secret')), 200, 'the right one';
	is status('/auth', auth("wrong$_")), 401, 'a wrong one' for 1, 2;
	is status('/auth', auth('secret')), 429, 'enough of them';
	for my $jump (7200, -7200, 0) {
		$f->jump($jump);
		my $r = $w->get('/auth', auth('secret'));
		is $r->status, 429, "still, $jump s away";
		cmp_ok $r->header('Retry-After'), '<=', 3600, 'for no longer than that';
		cmp_ok $r->header('Retry-After'), '>', 3500, 'and no shorter';
	}
};

my @odd = grep !m{^\d{4}-\S+ \d{1,2}\.\d{3} /}, $w->access;
is_deeply \@odd, [], 'durations in the log are those of the monotonic clock';
ok $w->reload, 'a reload';
is served("/req?k=k$n"), 429, 'that forgets nothing';
is $w->stop, 0, 'the end';
$names->finish;
done_testing;
