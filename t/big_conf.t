#!/usr/bin/perl
# A configuration of 1,000 servers and 10,000 locations: read in under a second, and as
# quick to look up as a small one.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: server location server_name variables_hash_max_size variables_hash_bucket_size
# effect: connection_pool_size request_pool_size

sub conf
{
	my ($servers, $locations) = @_;
	my $text = "http {\nvariables_hash_max_size 2048;\nvariables_hash_bucket_size 64;\nrequest_pool_size 4k;\nconnection_pool_size 512;\n";
	for my $s (1 .. $servers) {
		$text .= "server {\n\tlisten 127.0.0.1:%PORT1%;\n\tserver_name s$s.example.com *.w$s.example.com;\n";
		$text .= "\tlocation /l$_/ {\n\t\treturn 200 \"s$s l$_\";\n\t}\n" for 1 .. $locations;
		$text .= "}\n";
	}
	$text .= "server { listen 127.0.0.1:%PORT1%; server_name many;\n";
	$text .= "location /many/$_ { return 200 $_; }\n" for 1 .. $locations * 100;
	return "$text}\n}\n";
}

# A sanitizer makes everything slower.
my $slow = `grep -c __asan_init '@{[ $ENV{WEIR_BINARY} // 'objs/weir' ]}'` > 0 ? 6 : 1;

my $w = Weir->new;
my $conf = conf(1000, 10);
my ($best, $code) = (1e9);
for (1 .. 3) {
	my $t = time;
	($code) = $w->test_conf($conf);
	my $took = time - $t;
	$best = $took if $took < $best;
}
is $code, 0, 'it is right';
cmp_ok $best, '<', $slow, sprintf 'it is read in %.2f s', $best;

$w->start($conf);
for my $s (1, 2, 500, 999, 1000) {
	is $w->get('/l7/x', Host => "S$s.example.com.:80")->body, "s$s l7", "server $s";
	is $w->get('/l10/', Host => "a.b.w$s.example.com")->body, "s$s l10", "wildcard $s";
}
is $w->get('/l11/', Host => 's5.example.com')->status, 404, 'no such location';
is $w->get("/many/$_", Host => 'many')->body, $_, "location $_ of 1,000" for 1, 10, 99, 100, 1000;
is $w->get('/many/10001', Host => 'many')->body, '1000', 'longest prefix among many';

# CPU time of the worker for the same requests, with much and with little to choose from.
sub cpu { my ($w) = @_; return Weir::cpu_time($w->worker_pids) }

sub cost
{
	my ($w, $host, $uri) = @_;
	my $best = 1e9;
	for (1 .. 5) {
		my $c = $w->connect;
		my $before = cpu($w) // return undef;
		for (1 .. 20) {
			$c->send("GET $uri HTTP/1.1\r\nHost: $host\r\n\r\n" x 50);
			$c->response for 1 .. 50;
		}
		my $took = cpu($w) - $before;
		$best = $took if $took < $best;
	}
	return $best;
}

my $much = cost($w, 's999.example.com', '/l7/x');
$w->stop;
my $v = Weir->new;
$v->start(conf(1, 1));
my $little = cost($v, 's1.example.com', '/l1/x');
$v->stop;
SKIP: {
	defined $much or skip 'the kernel does not tell CPU times', 1;
	cmp_ok $much, '<', $little * 1.5 + 0.002, sprintf '1,000 requests cost %.1f ms and %.1f ms', $much * 1e3, $little * 1e3;
}
done_testing;
