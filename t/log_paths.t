#!/usr/bin/perl

# Access logs whose names have variables, and what keeps them open; logs that a reload no longer names.
#
# effect: access_log open_log_file_cache

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
for my $dir (qw(logs logs/sub root)) {
	mkdir $w->dir . "/$dir";
	chmod 0777, $w->dir . "/$dir";
}
my $conf = <<'E';
http {
	log_format short '$uri';
	access_log off;
	large_client_header_buffers 4 64k;
	root %DIR%/root;
	server {
		listen 127.0.0.1:%PORT1%;
		location / { access_log %DIR%/logs/$arg_n.log short; return 200; }
		location ~ ^/group/(\w+) { access_log logs/group-$1.log short; return 200; }
		location /noroot { root %DIR%/none; access_log %DIR%/logs/noroot-$arg_n.log short; return 200; }
		location /links {
			disable_symlinks on from=%DIR%;
			access_log %DIR%/logs/$arg_n.log short;
			return 200;
		}
		location /if { access_log %DIR%/logs/if-$arg_n.log short if=$arg_log; return 200; }
		open_log_file_cache max=4;
		location /once { open_log_file_cache off; access_log %DIR%/logs/once-$arg_n.log short; return 200; }
		location /kept { access_log %DIR%/logs/kept-$arg_n.log short; return 200; }
		location /uses { open_log_file_cache max=10 min_uses=3; access_log %DIR%/logs/uses-$arg_n.log short; return 200; }
		location /inactive { open_log_file_cache max=10 inactive=200ms; access_log %DIR%/logs/inactive-$arg_n.log short; return 200; }
		location /valid { open_log_file_cache max=10 valid=0; access_log %DIR%/logs/valid-$arg_n.log short; return 200; }
		location /believed { open_log_file_cache max=10 valid=1h; access_log %DIR%/logs/believed-$arg_n.log short; return 200; }
	}
}
E
$w->start($conf);

sub lines { my ($name, $n) = @_; return [ $w->access("logs/$name", $n) ] }

# Which logs a worker has open: parts of names, sorted.
sub opened
{
	my ($re) = @_;
	my ($pid) = $w->worker_pids;
	return join ' ', sort map { (readlink($_) // '') =~ m{/logs/($re[^/]*)\.log$} ? $1 : () } glob "/proc/$pid/fd/*";
}

# What the code says; waits until it is what is wanted, for lines come after responses.
sub soon { my ($code, $want) = @_; wait_for(sub { $code->() eq $want }); return $code->() }
sub are_open
{
	my ($re, $want, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is soon(sub { opened($re) }, $want), $want, $name;
}

# ---- names ----

$w->get('/x?n=a');
$w->get('/y?n=b');
is_deeply lines('a.log', 1), ['/x'], 'a file for each value';
is_deeply lines('b.log', 1), ['/y'], 'and another';
$w->get('/z?n=sub/c');
is_deeply lines('sub/c.log', 1), ['/z'], 'also in a folder below';
$w->get('/group/one');
is_deeply lines('group-one.log', 1), ['/group/one'], 'a capture; a path relative to the prefix';
$w->get('/nothing');
is_deeply lines('.log', 1), ['/nothing'], 'no value';
$w->get('/if?n=1');
$w->get('/if?n=1&log=1');
is_deeply lines('if-1.log', 1), ['/if'], 'if=';
is +(stat $w->dir . '/logs/a.log')[2] & 0777, 0640, 'its mode';

# ---- names that do not do ----

for my $n ('../up', 'sub/../../up') {
	is $w->get("/dots?n=$n")->status, 200, "answered: $n";
}
$w->get('/dots?n=...');
is_deeply lines('....log', 1), ['/dots'], 'three dots and more are a name';
ok !-e $w->dir . '/up.log', 'no file above';
$w->log_like(qr{\[error\].* the name of an access log leads out of its folder: "[^"]*/logs/\.\./up\.log", client: },
    'is told');
is scalar(() = $w->log_text =~ /leads out/g), 1, 'once a minute';
$w->get('/dots?n=' . 'x' x 5000);
$w->get('/dots?n=none/x');
$w->get('/dots?n=' . 'x' x 300);
$w->get('/after?n=a');
is_deeply lines('a.log', 2), [ '/x', '/after' ], 'all goes on';
is $w->get('/noroot?n=1')->status, 200, 'without a root';
$w->log_like(qr{\[error\].* testing "[^"]*/none" existence failed \(2: No such file}, 'there is no log');
ok !-e $w->dir . '/logs/noroot-1.log', 'indeed';

symlink $w->dir . '/logs/a.log', $w->dir . '/logs/link.log' or die;
$w->get('/through?n=link');
is lines('a.log', 3)->[2], '/through', 'a link is followed';
$w->get('/links?n=link');
$w->log_like(qr{\[crit\].* open\(\) "[^"]*/logs/link\.log" failed \(40: }, 'unless disable_symlinks says not to');
$w->get('/links?n=new');
is_deeply lines('new.log', 1), ['/links'], 'then files are made as well';

# ---- the cache ----

$w->get("/once?n=$_") for 1, 1;
is_deeply lines('once-1.log', 2), [ '/once', '/once' ], 'off';
are_open('once', '', 'nothing stays open');
$w->get("/kept?n=$_") for 1 .. 6, 4;
lines('kept-4.log', 2);
are_open('kept', 'kept-3 kept-4 kept-5 kept-6', 'those used last are kept');
$w->get("/kept?n=$_") for 3, 7;
lines('kept-7.log', 1);
are_open('kept', 'kept-3 kept-4 kept-6 kept-7', 'the one that was not used goes first');
is_deeply lines('kept-3.log', 2), [ '/kept', '/kept' ], 'and is written to';

$w->get("/uses?n=$_") for 1, 1, 2;
lines('uses-2.log', 1);
are_open('uses', '', 'min_uses');
$w->get('/uses?n=1');
are_open('uses', 'uses-1', 'is reached');
is scalar(@{ lines('uses-1.log', 3) }), 3, 'every line is there';

$w->get('/inactive?n=1');
ok wait_for(sub { opened('inactive') eq '' }), 'inactive ones are closed';
$w->get('/inactive?n=1');
is scalar(@{ lines('inactive-1.log', 2) }), 2, 'and opened again';

for my $name (qw(valid believed)) {
	$w->get("/$name?n=1");
	lines("$name-1.log", 1);
	rename $w->dir . "/logs/$name-1.log", $w->dir . "/logs/$name-1.old" or die;
	$w->get("/$name?n=1");
}
is_deeply [ $w->access('logs/valid-1.old', 1) ], ['/valid'], 'a file that was moved is noticed';
is_deeply lines('valid-1.log', 1), ['/valid'], 'when it is looked for';
is_deeply [ $w->access('logs/believed-1.old', 2) ], [ '/believed', '/believed' ], 'valid= says how often';
$w->kill('USR1');
ok wait_for(sub { $w->get('/believed?n=1'); -e $w->dir . '/logs/believed-1.log' }), 'USR1 makes new ones';

# The folder goes: nobody waits, and it goes on when there is one again.
rename $w->dir . '/logs', $w->dir . '/logs.old' or die;
is $w->get('/gone?n=a')->status, 200, 'a folder that is gone';
is $w->get('/gone?n=new')->status, 200, 'also where nothing is open';
rename $w->dir . '/logs.old', $w->dir . '/logs' or die;
$w->get('/back?n=a');
ok wait_for(sub { (lines('a.log')->[-1] // '') eq '/back' }), 'and comes back';
is $w->stop, 0, 'the end';

# ---- logs that a reload no longer names ----

my $r = Weir->new;
sub conf
{
	my ($name) = @_;
	return <<"E";
error_log %DIR%/error.log info;
error_log %DIR%/err-$name.log info;
http {
	access_log %DIR%/acc-$name.log combined buffer=1k;
	server { listen 127.0.0.1:%PORT1%; return 200; }
}
E
}
sub logs_of { return join ' ', sort map { (readlink($_) // '') =~ m{/((?:err|acc)-.*)\.log$} ? $1 : () } glob "/proc/$_[0]/fd/*" }

$r->start(conf('one'));
$r->get('/one');
is logs_of($_), 'acc-one err-one', 'open in the beginning' for $r->pid, $r->worker_pids;
my ($old) = $r->worker_pids;
my $c = $r->connect;
$c->send("GET / HTTP/1.1\r\nHost: x\r\n");
ok $r->reload(conf('two')), 'others';
is soon(sub { logs_of($r->pid) }, 'acc-one acc-two err-one err-two'), 'acc-one acc-two err-one err-two',
    'while somebody writes to them, the master has them, for USR1';
is logs_of($_), 'acc-two err-two', 'a new process has its own' for $r->worker_pids, $r->keeper_pid;
is logs_of($old), 'acc-one err-one', 'the old one has the old ones';
rename $r->dir . "/$_", $r->dir . "/$_.old" or die for 'err-one.log', 'acc-one.log', 'acc-two.log';
$r->kill('USR1');
ok wait_for(sub { -e $r->dir . '/err-one.log' && -e $r->dir . '/acc-two.log' }), 'USR1 goes to all of them';
my ($new) = $r->worker_pids;
is soon(sub { logs_of($new) }, 'acc-two err-two'), 'acc-two err-two', 'and gives nobody what it does not need';
is soon(sub { logs_of($old) }, 'acc-one err-one'), 'acc-one err-one', 'and to the old one its own';
$c->send("\r\n");
is $c->response->status, 200, 'the old one serves';
$c->close;
ok wait_for(sub { !kill 0, $old }), 'and ends';
is soon(sub { logs_of($r->pid) }, 'acc-two err-two'), 'acc-two err-two', 'then the master closes them';
like join('', $r->access('acc-one.log', 1)), qr{"GET / HTTP}, 'its last line is in the new file';
ok $r->reload(conf('two')), 'again, with the same';
is soon(sub { logs_of($r->pid) }, 'acc-two err-two'), 'acc-two err-two', 'which stay';
ok !$r->reload(conf('three') . 'nonsense;'), 'a configuration that is refused';
is logs_of($r->pid), 'acc-two err-two', 'leaves nothing open';
$r->expect_alert(qr/\[emerg\]/);
$r->get('/last');
is $r->stop, 0, 'the end';
like +($r->access('acc-two.log'))[-1], qr{"GET /last HTTP}, 'was written';

# ---- mistakes ----

my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
my %mistakes = (
	'open_log_file_cache inactive=10s;' => '"open_log_file_cache" must have "max" parameter',
	'open_log_file_cache max=0;' => 'max',
	'open_log_file_cache max=1 inactive=x;' => 'inactive',
	'open_log_file_cache max=1 min_uses=x;' => 'min_uses',
	'open_log_file_cache max=1 valid=x;' => 'valid',
	'open_log_file_cache max=1 more;' => 'more',
);
for my $line (sort keys %mistakes) {
	my ($code, undef, $err) = $wrong->test_conf("http { $line server { } }");
	isnt $code, 0, "refused: $line";
	like $err, qr/$mistakes{$line}/, 'says why';
}

done_testing;
