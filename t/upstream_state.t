#!/usr/bin/env perl
# upstream_state.t - servers that were changed at run time stand in a file, and outlive reloads, restarts and crashes.

use strict;
use warnings;

use lib 't/lib';
use JSON::PP;
use Test::More;
use Weir;

# effect: state

my $w = Weir->new;
$w->expect_alert(qr/\[emerg\]/);		# reloads that fail
my $json = JSON::PP->new;
my $dir = $w->dir;

mkdir "$dir/state";
chmod 0777, "$dir/state";
for my $n (2 .. 5) {
	$w->origin($n, sub {
		my ($c) = @_;
		while ($c->read_request) { $c->send("HTTP/1.1 200 X\r\nContent-Length: 1\r\n\r\n$n") }
	});
}

sub conf
{
	my ($upstream) = @_;
	$upstream //= "zone u 128k; state $dir/state/u.conf;";
	my $log = $w->log_path;
	return <<"CONF";
worker_processes 3;
error_log $log notice;
http {
	access_log off;
	upstream u { $upstream }
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://u; }
		location /api { api write=on; allow 127.0.0.1; deny all; }
	}
}
CONF
}

sub call
{
	my ($method, $path, $body) = @_;
	my $r = $w->request($method, "/api/9/http/upstreams/u/servers$path", [defined $body ? ('Content-Type' => 'application/json') : ()],
	    defined $body ? $json->encode($body) : undef);
	# a reload was just made, and an old worker answered: as it says
	return call(@_) if $r->status == 503;
	return ($r->status, eval { $json->decode($r->body) });
}

sub addr { '127.0.0.1:' . $w->port($_[0]) }
sub add { my ($n, %more) = @_; my ($s, $j) = call('POST', '/', { server => addr($n), %more }); is $s, 201, "server $n"; $j->{id} }
sub state_lines { open my $f, '<', "$dir/state/u.conf" or return ''; join '', grep !/^#/, <$f> }
sub shown { my ($s, $j) = call('GET', '/'); join ' ', map "$_->{id}:" . ($_->{server} =~ s/.*://r) . "*$_->{weight}", @$j }
sub has { my ($text, $name) = @_; ok wait_for(sub { state_lines() eq $w->expand($text) }), $name or diag state_lines() }
sub who { join '', sort map $w->get('/')->body, 1 .. $_[0] }

$w->start(conf());
is $w->get('/')->status, 502, 'no file: no servers';
is shown(), '';

my $first = add(2);
my $second = add(3, weight => 2, max_conns => 9, max_fails => 3, fail_timeout => '2500ms', slow_start => '1m', route => 'r1');
my $third = add(4, backup => JSON::PP::true, down => JSON::PP::true);
my $lines = "server 127.0.0.1:%PORT2%;\n" .
    "server 127.0.0.1:%PORT3% weight=2 max_conns=9 max_fails=3 fail_timeout=2500ms slow_start=60s route=r1;\n";
has("${lines}server 127.0.0.1:%PORT4% backup down;\n", 'what was added is written');
like $w->read('state/u.conf'), qr/\A# .*upstream u\b/, 'it says what it is';
ok !-e "$dir/state/u.conf.new", 'nothing is left over';

my $was = shown();
ok $w->reload, 'reload';
is shown(), $was, 'it is as it was, with the same numbers';
is $w->get('/')->status, 200, 'and serves';
my (undef, $j) = call('GET', "/$second");
is $j->{route}, 'r1';
is $j->{max_conns}, 9;
is $j->{slow_start}, '60s';

is((call('PATCH', "/$third", { down => JSON::PP::false, drain => JSON::PP::true }))[0], 200);
has("${lines}server 127.0.0.1:%PORT4% drain backup;\n" =~ s/drain backup/backup drain/r, 'changes are written');
is((call('DELETE', "/$third"))[0], 200);
has($lines, 'who was removed is not');

subtest 'a reload right behind a change' => sub {
	for my $round (1 .. 4) {
		my $id = add(4);
		ok $w->reload, "reload $round";
		like shown(), qr/\b$id:/, 'the server is there';
		is((call('DELETE', "/$id"))[0], 200);
		ok $w->reload, 'once more';
		unlike shown(), qr/\b$id:/, 'and is not';
	}
	has($lines, 'as before');
};

subtest 'stop right behind a change' => sub {
	add(5, weight => 3);
	is $w->stop('QUIT'), 0, 'stopped';
	is state_lines(), $w->expand("${lines}server 127.0.0.1:%PORT5% weight=3;\n"), 'it is written';
	$w->start(conf());
	is shown(), join(' ', '0:' . $w->port(2) . '*1', '1:' . $w->port(3) . '*2', '2:' . $w->port(5) . '*3'), 'after a restart';
	is((call('DELETE', '/2'))[0], 200);
	has($lines, 'as before');
};

subtest 'another binary right behind a change' => sub {
	my $old = $w->pid;
	my $id = add(4);
	$w->kill('USR2');
	my $new = wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $old ? $1 : 0 });
	ok $new, 'it starts';
	$w->kill('QUIT');
	ok wait_for(sub { !Weir::alive($old) }), 'and is alone';
	$w->adopt($new);
	like shown(), qr/\b$id:/, 'the server is there';
	is((call('DELETE', "/$id"))[0], 200);
	has($lines, 'as before');
};

subtest 'processes die' => sub {
	my ($pid) = $w->worker_pids;
	my $keeper = $w->keeper_pid;
	$w->expect_alert(qr/exited on signal 9/);
	kill 'KILL', $keeper;
	my $id = add(4);
	kill 'KILL', $pid;
	has("${lines}server 127.0.0.1:%PORT4%;\n", 'the next keeper writes');
	is((call('DELETE', "/$id"))[0], 200);
	has($lines, 'as before');
};

subtest 'a failed reload' => sub {
	my $good = conf();
	ok !$w->reload(conf() . "\nnonsense;\n"), 'it fails';
	is((call('PATCH', '/0', { weight => 5 }))[0], 200, 'changes go on');
	has($lines =~ s/(PORT2%)/$1 weight=5/r, 'and are written');
	is((call('PATCH', '/0', { weight => 1 }))[0], 200);
	has($lines, 'as before');
	$w->set_conf($good);
};

subtest 'edited by hand' => sub {
	open my $f, '>', "$dir/state/u.conf";
	print $f $w->expand("server 127.0.0.1:%PORT4%; # mine\nserver 127.0.0.1:%PORT5%;\n");
	close $f;
	ok $w->reload, 'reload';
	is who(4), '4455', 'it is read';
	open $f, '>', "$dir/state/u.conf";
	print $f "server 127.0.0.1:1;\nlisten 80;\n";
	close $f;
	ok !$w->reload, 'nonsense is refused';
	$w->log_like(qr{state/u\.conf:2.*only lines like "server address;"}, 'with its place');
	is who(4), '4455', 'and changes nothing';
};

subtest 'names' => sub {
	open my $f, '>', "$dir/state/u.conf";
	print $f $w->expand("server localhost:%PORT5%;\n");
	close $f;
	ok $w->reload, 'reload';
	is $w->get('/')->body, 5;
	my $id = add(4);
	ok wait_for(sub { my $t = $w->expand('127.0.0.1:%PORT5%'); state_lines() =~ /^server \Q$t\E;$/m }), 'names are written as addresses';
	open $f, '>', "$dir/state/u.conf";
	print $f "server localhost:1 resolve;\n";
	close $f;
	ok !$w->reload, 'not those that are resolved again';
	$w->log_like(qr{state/u\.conf:1.*names that are resolved at run time});
	unlink "$dir/state/u.conf";
	ok $w->reload, 'reload';
};

subtest 'a folder that cannot be written' => sub {
	plan skip_all => 'only root has other users' if $> != 0;
	chmod 0555, "$dir/state";
	unlink "$dir/state/u.conf";
	ok $w->reload, 'reload';
	add(2);
	ok $w->wait_log(qr{\[error\].*the servers of upstream u cannot be written to "\S+/u\.conf" \(13: Permission denied\)}), 'the log says so';
	is $w->get('/')->body, 2, 'it serves all the same';
	chmod 0777, "$dir/state";
	has("server 127.0.0.1:%PORT2%;\n", 'written as soon as that is possible');
};

subtest 'mistakes' => sub {
	my $v = Weir->new;
	$v->expect_alert(qr/\[emerg\]/);
	for my $case (
		["state $dir/x.conf;", qr/give the upstream a zone/],
		["zone a 64k; state $dir/x.conf; server 127.0.0.1;", qr/servers stand in the file/],
		["zone a 64k; state \"\";", qr/no name/],
		["zone a 64k; state $dir/none/x.conf;", qr{there is no folder "\S+/none"}],
		["zone a 64k; state $dir/x.conf; } upstream v { zone b 64k; state $dir/x.conf;", qr/the file of upstream "u" already/],
	) {
		my ($rc, undef, $err) = $v->test_conf("http { upstream u { $case->[0] } }");
		isnt $rc, 0, $case->[0];
		like $err, $case->[1];
	}
};

$w->stop;

subtest 'one process' => sub {
	my $v = Weir->new;
	my $d = $v->dir;
	$v->start(<<"CONF");
master_process off;
http {
	access_log off;
	upstream u { zone u 128k; state $d/u.conf; }
	server { listen 127.0.0.1:%PORT1%; location /api { api write=on; allow 127.0.0.1; } }
}
CONF
	my $r = $v->request('POST', '/api/1/http/upstreams/u/servers/', ['Content-Type' => 'application/json'], '{"server":"unix:/a/b"}');
	is $r->status, 201;
	$v->stop;
	like $v->read('u.conf'), qr{^server unix:/a/b;$}m, 'written at the end';
};

done_testing;
