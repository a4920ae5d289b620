#!/usr/bin/perl

# Logs are rotated under load, by USR1 and by reloads, and no line is lost (S-206).
#
# effect: access_log open_log_file_cache

use strict;
use warnings;

use lib 't/lib';
use IO::Uncompress::Gunzip qw(gunzip $GunzipError);
use Test::More;
use Weir;

my $w = Weir->new;
mkdir $w->dir . '/logs';
chmod 0777, $w->dir . '/logs';
my $conf = <<'E';
worker_processes 2;
error_log %DIR%/error.log info;
error_log %DIR%/logs/error.json error format=json;
http {
	log_format short '$request_id';
	open_log_file_cache max=10;
	root %DIR%;
	server {
		listen 127.0.0.1:%PORT1%;
		access_log %DIR%/logs/plain short;
		access_log %DIR%/logs/buffer short buffer=4k;
		access_log %DIR%/logs/zipped short gzip buffer=4k flush=50ms;
		access_log %DIR%/logs/path-$arg_n short;
		return 200;
	}
}
E
my @names = qw(plain buffer zipped path-1 path-2);
$w->start($conf);

my $load = $w->background(sub {
	my ($stop) = @_;
	my ($ok, $c, $left) = (0, undef, 0);
	until ($stop->()) {
		($c, $left) = ($w->connect, 50) unless $left;
		$left--;
		$c->send('GET /?n=' . (1 + $ok % 2) . " HTTP/1.1\r\nHost: x\r\n" .
		    ($left ? '' : "Connection: close\r\n") . "\r\n");
		my $r = $c->response;
		# A worker that retires ends its connections after a response.
		return { ok => $ok, failed => 1 } unless $r && $r->status == 200;
		$ok++;
		$left = 0 if ($r->header('Connection') // '') eq 'close';
		$c->close unless $left;
	}
	return { ok => $ok, failed => 0 };
});

sub unzipped
{
	my ($in) = @_;
	my $out = '';
	return '' if $in eq '';
	gunzip \$in => \$out, MultiStream => 1 or die $GunzipError;
	return $out;
}

my $dir = $w->dir . '/logs';
for my $round (1 .. 6) {
	my $size = sub { -s "$dir/$_[0]" };
	ok wait_for(sub { !grep { !$size->($_) } qw(plain path-1 path-2) }), "round $round";
	rename "$dir/$_", "$dir/$_.$round" for @names, 'error.json';
	if ($round % 3 == 0) {
		ok $w->reload($conf), 'a reload';
	}
	$w->kill('USR1');
	ok wait_for(sub { !grep { !-e "$dir/$_" } qw(plain buffer zipped error.json) }), 'new files';
}
my $result = $load->finish;
is $result->{failed}, 0, 'every request was answered';
cmp_ok $result->{ok}, '>', 10, "$result->{ok} of them";
is $w->stop, 0, 'the end';

for my $name (qw(plain buffer zipped path)) {
	my (%seen, $lines);
	for my $file (glob "$dir/$name*") {
		my $text = $w->read($file =~ s{^\Q@{[ $w->dir ]}\E/}{}r);
		$text = unzipped($text) if $name eq 'zipped';
		for my $line (split /\n/, $text) {
			$lines++;
			$seen{$line}++ if $line =~ /^[0-9a-f]{32}$/;
		}
	}
	is $lines, $result->{ok}, "$name: a line for each request";
	is scalar(keys %seen), $result->{ok}, 'all different, all whole';
}
$w->log_unlike(qr/lines are lost|cannot reopen/, 'nothing was lost');

done_testing;
