#!/usr/bin/env perl
# upstream_resolve.t - servers whose addresses DNS tells while weir runs.

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Test::More;
use Weir;

# effect: server resolver resolver_negative_ttl

my $w = Weir->new;
$w->expect_alert(qr/exited on signal 9/);

# ---- a name server: the file `zone` says what it answers, "name: address address ...", "name: fail"

sub dns { $w->write('zone.new', join '', map "$_: $_[0]{$_}\n", sort keys %{ $_[0] }); rename $w->dir . '/zone.new', $w->dir . '/zone' }

sub answer
{
	my ($q) = @_;
	return if length $q < 17;
	my ($id, $at, @name) = (unpack('n', $q), 12);
	while (my $n = unpack "x$at C", $q) { push @name, substr $q, $at + 1, $n; $at += $n + 1 }
	my $type = unpack 'x' . ($at + 1) . ' n', $q;
	my $question = substr $q, 12, $at + 5 - 12;
	my ($says) = $w->read('zone') =~ /^\Q@{[ join '.', @name ]}\E: *(.*)$/m;
	return pack('n6', $id, 0x8183, 1, 0, 0, 0) . $question if !defined $says;
	if ($says eq 'fail') {
		open my $f, '>>', $w->dir . '/failed' or die "failed: $!";
		print $f join('.', @name), "\n";
		return pack('n6', $id, 0x8182, 1, 0, 0, 0) . $question;
	}
	return pack('n6', $id, 0x8180, 1, scalar(split /,/, $says), 0, 0) . $question . join '', map {
		my (@n, $to) = split ' ';
		$to = pop @n;
		pack 'n n n N n/a', 0xc00c, 33, 1, 1, pack('n3', @n) . join('', map { pack 'C/a', $_ } split /\./, $to) . "\0";
	} split /,/, $says if $type == 33;
	my @a = $type == 1 ? split ' ', $says : ();
	my $rr = join '', map { pack 'n n n N n/a', 0xc00c, 1, 1, 1, pack 'C4', split /\./ } @a;
	return pack('n6', $id, 0x8180, 1, scalar @a, 0, 0) . $question . $rr;
}

my $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:' . $w->port(3), Proto => 'udp') or die "udp: $!";
my $server = $w->background(sub {
	my ($stop) = @_;
	until ($stop->()) {
		my $in = '';
		vec($in, fileno $s, 1) = 1;
		select($in, undef, undef, 0.05) or next;
		my $from = $s->recv(my $q, 4096) // next;
		my $r = answer($q);
		$s->send($r, 0, $from) if defined $r;
	}
	return {};
});

# ---- weir in front of itself, at 127.0.0.2 to 127.0.0.5

sub conf
{
	my ($more) = @_;
	my $listen = join ' ', map "listen 127.0.0.$_:%PORT2%; listen 127.0.0.$_:%PORT4%;", 2 .. 5;
	return <<"CONF";
worker_processes 2;
http {
	resolver 127.0.0.1:%PORT3% ipv6=off;
	resolver_negative_ttl 1s;
	log_format up '\$uri \$status \$upstream_addr';
	access_log %DIR%/access.log up;
	upstream names { zone z 1m; server names.test:%PORT2% resolve $more; }
	upstream fails { zone z; server fails.test:%PORT2% resolve fail_timeout=600s; }
	upstream sticks { zone z; server names.test:%PORT2% resolve; sticky cookie id; }
	upstream hashes { zone z; server names.test:%PORT2% resolve; hash \$arg_k; }
	upstream many { zone z; server many.test:%PORT2% resolve; resolver 127.0.0.1:%PORT3% ipv6=off; }
	upstream service { zone z; server svc.test resolve service=http; }
	upstream whole { zone z; server svc.test resolve service=_http._tcp; }
	upstream tiers { zone z; server tiers.test resolve service=http fail_timeout=1s; }
	upstream hashed { zone z; hash k; server tiers.test resolve service=http; }
	upstream spare { zone z; server 127.0.0.1:%PORT9% fail_timeout=600s; server tiers.test resolve service=http backup; }
	upstream mixed { server no-such-name.invalid:%PORT2%; server 127.0.0.3:%PORT2%; }
	upstream later { zone z; server later.invalid:%PORT2% weight=2; server 127.0.0.5:%PORT2% backup; }
	upstream lost { server no-such-name.invalid:%PORT2%; }
	server { $listen access_log off; add_header X-Port \$server_port; location / { return 200 \$server_addr; } }
	server {
		listen 127.0.0.1:%PORT1%;
		location /names/ { proxy_pass http://names; }
		location /later/ { proxy_pass http://later; }
		location /fails/ { proxy_pass http://fails; }
		location /sticks/ { proxy_pass http://sticks; }
		location /hashes/ { proxy_pass http://hashes; }
		location /service/ { proxy_pass http://service; }
		location /whole/ { proxy_pass http://whole; }
		location /many/ { proxy_pass http://many; }
		location /tiers/ { proxy_pass http://tiers; }
		location /hashed/ { proxy_pass http://hashed; }
		location /spare/ { proxy_pass http://spare; }
		location /mixed/ { proxy_pass http://mixed; }
		location /lost/ { proxy_pass http://lost; }
	}
}
stream {
	resolver 127.0.0.1:%PORT3% ipv6=off;
	resolver_negative_ttl 1s;
	upstream names { zone s 1m; server names.test:%PORT2% resolve; }
	upstream service { zone s; server svc.test resolve service=http; }
	upstream later { zone s; server later.invalid:%PORT2%; server 127.0.0.5:%PORT2% backup; }
	server { listen 127.0.0.1:%PORT5%; proxy_pass names; }
	server { listen 127.0.0.1:%PORT6%; proxy_pass service; }
	server { listen 127.0.0.1:%PORT7%; proxy_pass later; }
}
CONF
}

sub ask { my ($uri, @h) = @_; my $r = $w->get($uri, @h); $r->status == 200 ? $r->body =~ s/^127\.0\.0\.//r : $r->status }
sub seen { my ($uri, $n) = @_; my %s = map { ask($uri) => 1 } 1 .. $n; join ' ', sort keys %s }
# Who answers at a port of stream.
sub behind { my ($n) = @_; my $r = $w->request('GET', '/', [], undef, port => $n); defined $r ? $r->body =~ s/^127\.0\.0\.//r : 'none' }
sub all_behind { my ($n) = @_; my %s = map { behind($n) => 1 } 1 .. 12; join ' ', sort keys %s }

sub becomes { my ($uri, $want, $name) = @_; ok wait_for(sub { seen($uri, 12) eq $want }), $name or diag seen($uri, 12) }

my %zone = ('names.test' => '127.0.0.2', 'fails.test' => '127.0.0.9 127.0.0.2',
    'many.test' => join ' ', map "127.0.0.$_", 5, 101 .. 190);
my ($p2, $p4) = map $w->port($_), 2, 4;
%zone = (%zone, '_http._tcp.svc.test' => "1 1 $p2 a.svc.test, 1 3 $p4 a.svc.test, 2 1 $p2 b.svc.test",
    'a.svc.test' => '127.0.0.2', 'b.svc.test' => '127.0.0.5');
dns(\%zone);
$w->start(conf(''));

subtest 'addresses' => sub {
	becomes('/names/', '2', 'at start');
	$zone{'names.test'} = '127.0.0.2 127.0.0.3 127.0.0.4';
	dns(\%zone);
	becomes('/names/', '2 3 4', 'more of them');
	ok wait_for(sub { all_behind(5) eq '2 3 4' }), 'of stream, too';
	ok wait_for(sub { all_behind(6) eq '2' }), 'a service';
	is behind(7), '5', 'a name that has no address yet';
	$zone{'names.test'} = '127.0.0.4 127.0.0.5';
	dns(\%zone);
	becomes('/names/', '4 5', 'others');
	$zone{'names.test'} = 'fail';
	dns(\%zone);
	$w->log_like(qr/names\.test could not be resolved .*, for upstream "names"/);
	is seen('/names/', 8), '4 5', 'no answer changes nothing';
	delete $zone{'names.test'};
	dns(\%zone);
	becomes('/names/', '502', 'none');
	$w->log_like(qr/no live upstreams while connecting to upstream: no name has an address/);
	$zone{'names.test'} = '127.0.0.3 127.0.0.2';
	dns(\%zone);
	becomes('/names/', '2 3', 'again some');
};

subtest 'affinity' => sub {
	ok wait_for(sub { seen('/sticks/', 8) eq '2 3' });
	for (1 .. 4) {
		my $r = $w->get('/sticks/');
		my ($id) = $r->header('Set-Cookie') =~ /(id=\w{32})/;
		is $w->get('/sticks/', Cookie => $id)->body, $r->body, 'by cookie' for 1 .. 3;
	}
	ok wait_for(sub { seen('/hashes/', 8) eq '2 3' }), 'without a key';
	for my $k (1 .. 8) {
		my $first = ask("/hashes/?k=$k");
		is ask("/hashes/?k=$k"), $first, 'by hash' for 1 .. 2;
	}
};

subtest 'failures' => sub {
	ok wait_for(sub { ask('/fails/') eq '2' }), 'one of two is there';
	wait_for(sub { ask('/fails/'); $w->log_text =~ m{127\.0\.0\.9:\d+ of fails is temporarily disabled} });
	$zone{'fails.test'} = '127.0.0.9 127.0.0.3';
	dns(\%zone);
	becomes('/fails/', '3', 'another one');
	is seen('/fails/', 12), '3';
	$w->log_like(qr/127\.0\.0\.9:\d+ of fails is temporarily disabled/);
	my $n = () = $w->log_text =~ /127\.0\.0\.9:\d+ of fails is temporarily disabled/g;
	is $n, 1, 'what stays is not asked again';
};

subtest 'services' => sub {
	becomes('/service/', '2', 'the lowest priority');
	becomes('/whole/', '2', 'the same, written in full');
	my %n;
	$n{ $w->get('/service/')->header('X-Port') }++ for 1 .. 40;
	is $n{$p2}, 10, 'by weight';
	is $n{$p4}, 30;
	$zone{'_http._tcp.svc.test'} = "1 2 $p2 a.svc.test, 1 2 $p4 b.svc.test";
	dns(\%zone);
	becomes('/service/', '2 5', 'others');
	$zone{'_http._tcp.svc.test'} = 'fail';
	dns(\%zone);
	ok $w->reload(conf(''));
	is seen('/service/', 8), '2 5', 'kept over a reload';
	delete $zone{'_http._tcp.svc.test'};
	dns(\%zone);
	becomes('/service/', '502', 'no such service');
};

subtest 'priorities' => sub {
	my ($nobody, @to) = ($w->port(9), map "$p2 $_.tiers.test", 'a' .. 'c');
	my $say = sub { $zone{'_http._tcp.tiers.test'} = join ', ', @_; dns(\%zone) };
	$zone{"$_->[0].tiers.test"} = "127.0.0.$_->[1]" for [ a => 2 ], [ b => 3 ], [ c => 4 ];
	$say->("10 1 $nobody a.tiers.test", "20 1 $to[1]", "30 1 $to[2]");
	becomes('/tiers/', '3 4', 'those of the lowest priority are out: all others');
	becomes('/hashed/', '502', 'a hash knows no backups');
	becomes('/spare/', '502', 'a line that is a backup has none');
	$say->("10 1 $to[0]", "20 1 $to[1]", "30 1 $to[2]");
	becomes('/tiers/', '2', 'they are there');
	becomes('/spare/', '2', 'a backup');
	$say->("10 1 $to[0]", "10 1 $to[2]", "20 1 $to[1]");
	becomes('/tiers/', '2 4', 'one is a backup no more');
	$zone{'b.tiers.test'} = 'fail';
	dns(\%zone);
	ok wait_for(sub { ($w->read('failed') // '') =~ /^b\.tiers\.test$/m }), 'a name fails';
	$zone{'c.tiers.test'} = '127.0.0.5';
	dns(\%zone);
	becomes('/tiers/', '2 4 5', 'while a name cannot be asked for others come, and none goes');
	$zone{'b.tiers.test'} = '127.0.0.3';
	dns(\%zone);
	becomes('/tiers/', '2 5', 'then it goes');
};

subtest 'a name that comes into being' => sub {
	$w->log_like(qr/\[warn\].*host not found in upstream "later\.invalid".*: it is asked for while the server runs/);
	is seen('/later/', 4), '5', 'nobody yet: the others serve';
	$zone{'later.invalid'} = '127.0.0.2 127.0.0.3';
	dns(\%zone);
	becomes('/later/', '2 3', 'then it has addresses');
	ok wait_for(sub { all_behind(7) eq '2 3' }), 'of stream, too';
};

subtest 'no such name' => sub {
	$w->log_like(qr/\[warn\].*host not found in upstream "no-such-name\.invalid".*: it is down until the next reload/);
	is seen('/mixed/', 6), '3', 'the others serve';
	is ask('/lost/'), 502, 'without others';
	$w->log_like(qr/no live upstreams while connecting to upstream: no-such-name\.invalid:$p2 is down/, 'why');
	my ($code, undef, $err) = $w->test_conf('http { upstream u { server no-such-name.invalid:80 weight=2; } }');
	is $code, 0, '-t';
	like $err, qr/\[warn\].*host not found in upstream "no-such-name\.invalid"/;
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	($code, undef, $err) = $bad->test_conf('http { server { listen 127.0.0.1:%PORT9%; location / { proxy_pass http://no-such-name.invalid; } } }');
	is $code, 1, 'proxy_pass without an upstream block';
	like $err, qr/host not found in upstream "no-such-name\.invalid"/;
};

subtest 'reload' => sub {
	$zone{'names.test'} = 'fail';
	dns(\%zone);
	ok $w->reload(conf('weight=3'));
	is seen('/names/', 12), '2 3', 'addresses are kept';
	$zone{'names.test'} = '127.0.0.5';
	dns(\%zone);
	becomes('/names/', '5', 'and change');
};

subtest 'crashes' => sub {
	my @to = ('127.0.0.4', '127.0.0.3');
	for my $pid ($w->worker_pids) {		# one of them is who asks
		kill 'KILL', $pid;
		ok wait_for(sub { !grep $_ == $pid, $w->worker_pids }), 'a worker dies';
		my $to = $zone{'names.test'} = shift @to;
		dns(\%zone);
		becomes('/names/', $to =~ /(\d)$/, 'another one asks');
	}
};

subtest 'many' => sub {
	$w->log_like(qr/many\.test has more addresses than upstream "many" has places for: 64/);
};

subtest 'mistakes' => sub {
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	my ($code, undef, $err) = $bad->test_conf('http { upstream u { zone z 1m; server a.test resolve; } }');
	is $code, 1;
	like $err, qr/no resolver defined to resolve names at run time in upstream "u"/;
	($code, undef, $err) = $bad->test_conf('http { resolver 127.0.0.1; upstream u { server a.test resolve; } }');
	is $code, 1;
	like $err, qr/requires upstream "u" to be in shared memory/;
	for my $t (
		[ 'a.test service=http', qr/service upstream "a.test" requires "resolve"/ ],
		[ '127.0.0.1 resolve service=http', qr/service upstream "127.0.0.1" requires .* domain name/ ],
		[ 'a.test:80 resolve service=http', qr/service upstream "a.test:80" may not have port/ ],
		[ 'a.test resolve service=', qr/service is empty/ ],
	) {
		my ($text, $want) = @$t;
		($code, undef, $err) = $bad->test_conf("http { resolver 127.0.0.1; upstream u { zone z 1m; server $text; } }");
		is $code, 1, $text;
		like $err, $want;
	}
	($code) = $bad->test_conf('http { upstream u { server 127.0.0.1 resolve; } }');
	is $code, 0, 'an address needs neither';
};

$server->finish;
done_testing;
