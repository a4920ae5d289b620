#!/usr/bin/env perl
# limit_req.t - how often requests may come: buckets, delays, several zones, reloads, floods of keys.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: limit_req_zone limit_req limit_req_log_level limit_req_status limit_req_dry_run limit_headers

my $w = Weir->new;

sub conf
{
	my (%o) = @_;
	my $workers = $o{workers} // 2;
	my $kept = $o{kept} // '$arg_k zone=kept:32k';
	my $more = $o{more} // '';
	return <<"E";
worker_processes $workers;
http {
	log_format limits '\$uri \$status \$limit_req_status';
	access_log %DIR%/access.log limits;
	limit_req_zone \$arg_k zone=one:1m rate=1r/m;
	limit_req_zone \$arg_k zone=other:1m rate=1r/m;
	limit_req_zone \$arg_k zone=fast:1m rate=3r/s;
	limit_req_zone \$arg_k zone=rate:1m rate=100r/s;
	limit_req_zone \$arg_k zone=small:32k rate=1r/m;
	limit_req_zone \$arg_k zone=unused:32k;
	limit_req_zone \$arg_v zone=v:1m rate=1r/m;
	limit_req_zone $kept rate=1r/m;
	limit_req_zone \$binary_remote_addr zone=addr:1m rate=1r/m ipv6_prefix=128;
	$more
	server {
		listen 127.0.0.1:%PORT1%;
		root %DIR%/www;
		location / { }
		location /one { limit_req zone=one; }
		location /burst { limit_req zone=one burst=2 nodelay; limit_req_log_level notice; }
		location /status { limit_req zone=one; limit_req_status 503; }
		location /other_status { limit_req zone=one; limit_req_status 420; }
		location /delay { limit_req zone=fast burst=5; }
		location /delay2 { limit_req zone=fast burst=5 delay=2; }
		location /both { limit_req zone=one burst=1 nodelay; limit_req zone=other nodelay; }
		location /longest { limit_req zone=fast burst=9; limit_req zone=rate burst=9; }
		location /second { limit_req zone=one; limit_req zone=v; }
		location /dry { limit_req zone=one; limit_req_dry_run on; limit_headers on; }
		location /dry_delay { limit_req zone=fast burst=9; limit_req_dry_run on; }
		location /headers { limit_req zone=one burst=2 nodelay; limit_headers on; }
		location /rate { limit_req zone=rate burst=5 nodelay; limit_req_log_level info; }
		location /small { limit_req zone=small burst=1 nodelay; }
		location /kept { limit_req zone=kept; }
		location /addr { limit_req zone=addr; }
		location /page {
			limit_req zone=one burst=1 nodelay;
			error_page 429 /one/page;
			error_page 404 =200 \@named;
		}
		location \@named { limit_req zone=one; try_files /one/file =404; }
		location /server/ { limit_req zone=one; location /server/in { } }
	}
}
E
}

$w->write('www/one/page', 'a page');
$w->write("www/$_", 'ok') for qw(one/file burst status other_status delay delay2 both longest second
    dry dry_delay headers rate small kept addr server/in);
$w->start(conf());

my $key = 0;
sub key { return 'k' . ++$key }
sub ask { return $w->get($_[0]) }
sub status { return ask($_[0])->status }

# One request a minute.
{
	my $k = key;
	my $before = time;
	is status("/one/file?k=$k"), 200, 'the first passes';
	my $r = ask("/one/file?k=$k");
	is $r->status, 429, 'the second does not';
	my $after = $r->header('Retry-After');
	ok $after <= 63 && $after >= 60 - (time - $before) - 1, "Retry-After $after";
	is $r->header('RateLimit-Limit'), undef, 'no other fields unless asked for';
	is status('/one/file?k=' . key), 200, 'another key does';
	is status('/one/file'), 200, 'no key: no limit' for 1 .. 3;
	is status("/one/file?k=$k" . 'x' x 1000), 200, 'a long key';
	is status("/one/file?k=$k" . 'x' x 1000), 429, 'counts';
	is status("/one/file?k=$k" . 'x' x 999 . 'y'), 200, 'as it is';
	$w->log_like(qr/\[error\] .*limiting requests, excess: (?:1\.000|0\.9\d\d) by zone "one", client: 127\.0\.0\.1/,
	    'logged as nginx does');
	is status("/server/in?k=$k"), 429, 'inherited';
	is status("/status?k=$k"), 503, 'limit_req_status';
	ok ask("/status?k=$k")->header('Retry-After'), '503 with Retry-After';
	my $o = ask("/other_status?k=$k");
	is $o->status, 420, 'any other';
	is $o->header('Retry-After'), undef, 'without Retry-After';
}

# Burst without delay.
{
	my $k = key;
	is status("/burst?k=$k"), 200, 'burst' for 1 .. 3;
	is status("/burst?k=$k"), 429, 'no more than burst' for 1 .. 2;
	$w->log_like(qr/\[notice\] .*limiting requests, excess: [23]\.\d+ by zone "one"/, 'limit_req_log_level');
	is status("/one/file?k=$k"), 429, 'the same zone elsewhere';
}

# Delays.
{
	my $k = key;
	my $t = time;
	is status("/delay?k=$k"), 200, 'not delayed';
	my @c = map { my $c = $w->connect; $c->send("GET /delay?k=$k HTTP/1.0\r\n\r\n"); $c } 1 .. 4;
	my @at = map { $_->response->status == 200 ? time - $t : -1 } @c;
	cmp_ok $at[3], '>=', 1.3, 'the fourth waits for its turn';
	$w->log_like(qr/\[warn\] .*delaying request, excess: [01]\.\d+, by zone "fast"/, 'logged one level below');
	my $said = sub { my ($uri) = @_; return join ' ', sort map { (split ' ')[2] } grep m{^\Q$uri\E }, $w->access };
	ok wait_for(sub { $said->('/delay') eq 'DELAYED DELAYED DELAYED DELAYED PASSED' }), '$limit_req_status';

	$k = key;
	status("/delay2?k=$k") for 1 .. 4;
	ok wait_for(sub { $said->('/delay2') eq 'DELAYED PASSED PASSED PASSED' }), 'delay=2: the fourth waits';

	$k = key;
	status("/longest?k=$k");
	$t = time;
	is status("/longest?k=$k"), 200, 'two zones';
	cmp_ok time - $t, '>=', 0.2, 'the longest delay counts';
}

# Several zones: who is refused by one is not charged by the others.
{
	my $k = key;
	is status("/both?k=$k"), 200, 'both pass';
	is status("/both?k=$k"), 429, 'the second refuses' for 1 .. 5;
	$w->log_like(qr/limiting requests, excess: \d\.\d+ by zone "other"/, 'and it is said which');
	is status("/burst?k=$k"), 200, 'the first was charged once' for 1 .. 2;
	is status("/burst?k=$k"), 429, 'and not more often';
	$k = key;
	is status("/second?k=$k"), 200, 'the last one has no key';
	is status("/second?k=$k"), 429, 'the first one counts';
	is status("/second?v=$k"), 200, 'the first one has no key';
	is status("/second?v=$k"), 429, 'the last one counts';
}

# Dry run and fields.
{
	my $k = key;
	my $r = ask("/dry?k=$k");
	is $r->header('RateLimit-Remaining'), 0, 'limit_headers: RateLimit-Remaining';
	is status("/dry?k=$k"), 200, 'dry run' for 1 .. 2;
	status("/dry_delay?k=$k") for 1 .. 3;
	$w->log_like(qr/limiting requests, dry run, excess: \d\.\d+ by zone "one"/, 'would be refused');
	$w->log_like(qr/delaying request, dry run, excess: \d\.\d+, by zone "fast"/, 'would be delayed');
	ok wait_for(sub { grep m{^/dry_delay 200 DELAYED_DRY_RUN}, $w->access }), 'DELAYED_DRY_RUN';
	ok wait_for(sub { grep m{^/dry 200 REJECTED_DRY_RUN}, $w->access }), 'REJECTED_DRY_RUN';
	status('/one/none');
	status('/nothing');
	ok wait_for(sub { grep m{^/nothing 404 -}, $w->access }), 'no limit: no status';

	$k = key;
	for my $left (2, 1, 0, 0) {
		$r = ask("/headers?k=$k");
		is $r->header('RateLimit-Limit'), 3, 'RateLimit-Limit';
		is $r->header('RateLimit-Remaining'), $left, "RateLimit-Remaining $left";
	}
	is $r->status, 429, 'refused';
	ok $r->header('RateLimit-Reset') > 100 && $r->header('RateLimit-Reset') <= 190, 'RateLimit-Reset';
}

# A request counts once, whatever becomes of it inside.
{
	my $k = key;
	is status("/page?k=$k"), 200, 'an error page of a place with the same limit';
	is status("/page?k=$k"), 200, 'not charged again';
	my $r = ask("/page?k=$k");
	is $r->status, 429, 'refused';
	is $r->body, 'a page', 'with a page from a place that would have refused';
	ok $r->header('Retry-After'), 'and Retry-After';
}

# Who leaves while waiting.
{
	my $k = key;
	my $slow = "/delay?k=$k";
	status($slow);
	my $c = $w->connect;
	$c->send("GET $slow HTTP/1.0\r\n\r\n");
	ok wait_for(sub { $w->log_text =~ /delaying request.*\Q$k\E/ }), 'it waits';
	$c->reset;
	ok wait_for(sub { grep m{^/delay 499 DELAYED}, $w->access }), 'answered to nobody';
	$w->log_like(qr/while it was delayed/, 'told');
	$c = $w->connect;
	$k = key;
	$c->send("GET /delay?k=$k HTTP/1.1\r\nHost: x\r\n\r\n" x 3);
	is $c->response->status, 200, 'pipelined' for 1 .. 3;
	$c->close;
}

# S-180: more keys than there is room for.
{
	is status('/small?k=hot'), 200, 'hot' for 1 .. 2;
	is status('/small?k=hot'), 429, 'hot';
	my $c = $w->connect;
	my $passed = 0;
	for my $i (1 .. 3000) {
		$c = $w->connect if $i % 900 == 0;
		$c->send("GET /small?k=cold$i HTTP/1.1\r\nHost: x\r\n\r\n");
		$passed += $c->response->status == 200;
	}
	is $passed, 3000, 'new keys pass';
	is status('/small?k=hot'), 429, 'who was in penalty still is';
	$w->log_like(qr/\[warn\] .*zone "small" is full: the oldest keys are forgotten/, 'logged');
	is scalar(grep /zone "small" is full/, $w->log_lines), 1, 'once';
}

# A reload keeps what was counted, unless the zone is declared otherwise.
{
	my $kept = '/kept?k=kept';
	is status($kept), 200, 'counted';
	ok $w->reload, 'reload';
	is status($kept), 429, 'still counted';
	$w->expect_alert(qr/mapping \d+ bytes for zone "huge" failed/);
	ok !$w->reload(conf(more => 'limit_req_zone $arg_x zone=huge:7000000g;')), 'a reload that fails';
	$w->log_like(qr/mapping \d+ bytes for zone "huge" failed/, 'because there is no such memory');
	is status($kept), 429, 'still counted';
	ok $w->reload(conf(workers => 3)), 'more workers';
	is status($kept), 429, 'still counted';
	ok $w->reload(conf(kept => '$arg_k zone=kept:64k')), 'another size';
	$w->log_like(qr/\[notice\] .*zone "kept" is declared otherwise than before: it begins empty/, 'said');
	is status($kept), 200, 'begins anew';
	is status($kept), 429, 'and counts';
	ok $w->reload(conf(kept => '$arg_k$arg_z zone=kept:64k')), 'another key';
	is status($kept), 200, 'begins anew';
	is status('/one/file?k=k1'), 429, 'the others were kept all the time';
}

# Another binary gets them, too.
{
	my $old = $w->pid;
	$w->kill('USR2');
	my $new = wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $old ? $1 : 0 });
	ok $new, 'USR2';
	$w->kill('QUIT');
	ok wait_for(sub { !Weir::alive($old) }), 'the old master goes';
	$w->adopt($new);
	is status('/kept?k=kept'), 429, 'counted by the old binary';
	is status('/kept?k=new'), 200, 'counted by the new one';
	ok $w->reload, 'reload';
	is status('/kept?k=new'), 429, 'and kept';
}

is status('/addr'), 200, 'by address';
is status('/addr'), 429, 'by address';
is $w->stop, 0, 'stopped';

# What one counter lets pass of requests at these times, with rate=100r/s and burst=5.
sub passed
{
	my ($excess, $n, $last) = (0, 0);
	for (sort { $a <=> $b } @_) {
		my $now = defined $last ? $excess - 100 * ($_ - $last) + 1 : 0;
		$now = 0 if $now < 0;
		next if $now > 5;
		($excess, $last) = ($now, $_);
		$n++;
	}
	return $n;
}

# S-182: the rate holds whoever counts.
for my $workers (2, 4) {
	$w->start(conf(workers => $workers));
	my $k = key;
	my @load = map { $w->background(sub {
		my ($ok, $begin, @at) = (0, time);
		while (time - $begin < 2.5) {
			my $c = $w->connect or die 'cannot connect';
			for (1 .. 50) {
				$c->send("GET /rate?k=$k HTTP/1.1\r\nHost: x\r\n\r\n");
				my $r = $c->response or last;
				push @at, time;
				$ok++ if $r->status == 200;
				last if time - $begin >= 2.5;
			}
			$c->close;
		}
		return { ok => $ok, at => \@at };
	}) } 1 .. 4;
	my ($ok, @at) = (0);
	for (map $_->finish, @load) {
		$ok += $_->{ok};
		push @at, @{ $_->{at} };
	}
	my $want = passed(@at);
	cmp_ok scalar @at, '>', 2 * $want, "$workers workers: " . @at . ' requests are more than is allowed';
	# of each of the four one answer may have been held up on its way
	ok abs($ok - $want) <= 0.05 * $want + 4, sprintf 'within 5 %%: %d of %d passed', $ok, $want;
	is $w->stop, 0, 'stopped';
}

# One process.
$w->start("master_process off;\n" . conf(workers => 1));
is status('/one/file?k=a'), 200, 'without a master';
is status('/one/file?k=a'), 429, 'it counts, too';
$w->stop;

# Mistakes.
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
for (
	[ 'limit_req zone=none;', qr/:1:\d+: limit_req: unknown zone "none": no limit_req_zone declares it/ ],
	[ 'limit_req_zone $uri zone=a:1m; limit_req_zone $host zone=a:1m;',
	  qr/:1:\d+: limit_req_zone: zone "a" is already bound to key "\$uri"/ ],
	[ 'limit_req_zone $uri zone=a:1m; limit_req_zone $uri zone=a:2m;', qr/already bound to key "\$uri"/ ],
	[ 'limit_req_zone $uri zone=a:1m; limit_conn_zone $uri zone=a:1m;',
	  qr/limit_conn_zone: the shared memory zone "a" is already declared for a different use/ ],
	[ 'limit_req_zone $uri zone=a:31k;', qr/zone "a" is too small: it needs 32k at least/ ],
	[ 'limit_req_zone $uri zone=a;', qr/a zone is written as name:size/ ],
	[ 'limit_req_zone $uri zone=a:x;', qr/invalid zone size/ ],
	[ 'limit_req_zone $uri zone=:1m;', qr/a zone is written as name:size/ ],
	[ 'limit_req_zone $uri zone=' . 'n' x 64 . ':1m;', qr/name of the zone is longer than 63 bytes/ ],
	[ 'limit_req_zone $uri rate=1r/s;', qr/it must have the parameter zone=name:size/ ],
	[ 'limit_req_zone $uri zone=a:1m sync;', qr/zones of several servers cannot be synchronized/ ],
	[ 'limit_req_zone $uri zone=a:1m ipv6_prefix=64;', qr/ipv6_prefix is for the key \$binary_remote_addr/ ],
	[ 'limit_req_zone $binary_remote_addr zone=a:1m ipv6_prefix=0;', qr/limit_req_zone: .*128/ ],
	[ 'limit_req_zone $binary_remote_addr zone=a:1m ipv6_prefix=129;', qr/limit_req_zone: .*128/ ],
	[ 'limit_req_zone $nosuch zone=a:1m;', qr/nosuch/ ],
	[ 'limit_req_zone $uri zone=a:1m bad=1;', qr/invalid parameter "bad=1"/ ],
	(map { [ "limit_req_zone \$uri zone=a:1m rate=$_;", qr/invalid rate "\Q$_\E"/ ] }
	    '1', '0r/s', '-1r/s', '1r/h', 'r/s', '1.5r/s', '99999999999r/s'),
	[ 'limit_req_zone $uri zone=a:1m; limit_req burst=5;', qr/limit_req: it must have the parameter zone=name/ ],
	[ 'limit_req_zone $uri zone=a:1m; limit_req zone=a; limit_req zone=a burst=1;', qr/it is duplicate/ ],
	[ 'limit_req_zone $uri zone=a:1m; limit_req zone=a burst=x;', qr/:1:\d+: limit_req: .*"x"/ ],
	[ 'limit_req_zone $uri zone=a:1m; limit_req zone=a brust=1;', qr/invalid parameter "brust=1"/ ],
	[ 'limit_req_status 399;', qr/limit_req_status/ ], [ 'limit_req_status 600;', qr/limit_req_status/ ],
	[ 'limit_req_log_level debug;', qr/limit_req_log_level/ ],
) {
	my ($text, $like) = @$_;
	my ($code, undef, $err) = $wrong->test_conf("http { $text }");
	isnt $code, 0, "refused: $text";
	like $err, $like, 'says why';
}
my ($code, undef, $err) = $wrong->test_conf('http { limit_req zone=late; limit_req_zone $uri zone=late:32k; }');
is $code, 0, 'a zone may be declared behind its use' or diag $err;

done_testing;
