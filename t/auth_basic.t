#!/usr/bin/perl

# Names and passwords.  S-168, S-169, S-174.
#
# effect: auth_basic auth_basic_user_file auth_basic_limit auth_delay

use strict;
use warnings;

use lib 't/lib';
use Digest::SHA qw(sha1);
use IO::Select;
use MIME::Base64;
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);

# name => stored; the password is "secret" unless the name is in %other
my $salt = 'abcdefghijklmnopqrstuu';
my @kinds = (
	bcrypt => crypt('secret', "\$2y\$05\$$salt"), bcrypt_b => crypt('secret', "\$2b\$04\$$salt"),
	yescrypt => crypt('secret', '$y$j75$saltsalt$'), gost => crypt('secret', '$gy$j75$saltsalt$'),
	sha256 => crypt('secret', '$5$salt$'), sha512 => crypt('secret', '$6$salt$'),
	rounds => crypt('secret', '$6$rounds=2000$salt$'), md5 => crypt('secret', '$1$salt$'),
	des => crypt('secret', 'ab'),
	apr1 => '$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/',
	apr1_short => '$apr1$x$12YdXEY0/hH4rDNkmZupO0',
	plain => '{PLAIN}secret', plain_empty => '{PLAIN}', plain_8k => '{PLAIN}' . 'x' x 3000,
	sha => '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=',
	ssha => "{SSHA}" . encode_base64(sha1("secretsalt") . "salt", ""),
);
chomp(my $openssl = `openssl passwd -apr1 -salt x secret 2>/dev/null` // '');
is({ @kinds }->{apr1_short}, $openssl, 'the value of openssl') if $openssl;
my %other = (plain_empty => '', plain_8k => 'x' x 3000);
my @bad = (
	apr1_bad => '$apr1$', md5_bad => '$1$', sha_bad => '{SHA}Zm9vCg==', sha_odd => '{SHA}____6G6MezRroT3XKqkdPOmY/BfQ=',
	ssha_bad => '{SSHA}Zm9vCg==', bcrypt_bad => '$2y$12$short', unknown_kind => '$argon2id$v=19$m=1,t=1,p=1$c2FsdHNhbHQ$AA',
	clear => 'secret', empty => '', long => '$6$' . 'x' x 600, many => '$6$rounds=99999999999$x',
	star => '*0',
);

sub lines { my @l; while (my ($n, $h) = splice @_, 0, 2) { push @l, "$n:$h" } return join("\n", @l) }

$w->write('users', join "\n", '# a comment: with a colon', '', 'no colon', ':nobody',
    lines(@kinds), 'comment:{PLAIN}secret:a comment:{PLAIN}other', "cr:{PLAIN}secret\r",
    'twice:{PLAIN}first', 'twice:{PLAIN}second', '#hidden:{PLAIN}secret', lines(@bad),
    'last:{PLAIN}secret');
$w->write('slow', "slow:" . crypt('secret', "\$2y\$10\$$salt") . "\ncheap:{PLAIN}secret\n");
$w->write('slower', "slow:" . crypt('secret', "\$2y\$12\$$salt") . "\n");
$w->write('one', "me:{PLAIN}secret\n");
$w->write('conf/one', "me:{PLAIN}secret\n");
$w->write('nothing', '');
$w->write('huge', 'x' x (8 << 20) . "\n");
$w->write('line', 'x' x 100000 . ':' . 'y' x 100000 . "\nme:{PLAIN}secret\n");
mkdir $w->dir . '/folder';
system('mkfifo', $w->dir . '/fifo') == 0 or die 'mkfifo';

my $conf = <<'E';
worker_processes 1;
http {
	log_format u "$uri user=$remote_user $status";
	access_log %DIR%/access.log u;
	auth_basic_limit off;
	server {
		listen 127.0.0.1:%PORT1%;
		auth_basic "a \"realm\" \\ and $arg_r";
		auth_basic_user_file %DIR%/users;
		location / { root %DIR%/www; }
		location /off/ { auth_basic off; alias %DIR%/www/; }
		location /var-off/ { auth_basic $arg_realm; alias %DIR%/www/; }
		location /var/ { auth_basic_user_file $arg_f; alias %DIR%/www/; }
		location /rel/ { auth_basic_user_file one; alias %DIR%/www/; }
		location /slow/ { auth_basic_user_file %DIR%/slow; alias %DIR%/www/; }
		location /slower/ { auth_basic_user_file %DIR%/slower; alias %DIR%/www/; }
		location /changes/ { auth_basic_user_file %DIR%/changes; alias %DIR%/www/; }
		location /any/ { satisfy any; deny all; alias %DIR%/www/; }
		location /any-in/ { satisfy any; allow all; alias %DIR%/www/; }
		location /any-other/ { satisfy any; auth_request /yes; alias %DIR%/www/; }
		location /all/ { deny all; alias %DIR%/www/; }
		location /any-page/ {
			satisfy any; allow all; alias %DIR%/www/; error_page 404 /any-page/x;
		}
		location = /yes { internal; return 204; }
		location /page/ { error_page 401 /denied; alias %DIR%/www/; }
		location = /denied { auth_basic "another"; alias %DIR%/www/x; }
		location /except/ { limit_except GET { auth_basic "writers"; } auth_basic off; alias %DIR%/www/; }
		location /delayed/ { auth_delay 600ms; alias %DIR%/www/; }
		location /delayed-any/ { auth_delay 600ms; satisfy any; deny all; alias %DIR%/www/; }
		location /forwarded/ { proxy_pass http://127.0.0.1:%PORT2%; proxy_set_header X-User $remote_user; }
	}
	server {
		listen 127.0.0.1:%PORT3%;
		auth_basic "limited";
		auth_basic_user_file %DIR%/one;
		auth_basic_limit 3/1h;
		root %DIR%/www;
	}
	server {
		listen 127.0.0.1:%PORT4%;
		auth_basic "limited, too";
		auth_basic_user_file %DIR%/one;
		auth_basic_limit 3/200ms;
		root %DIR%/www;
	}
	server {
		listen 127.0.0.1:%PORT5%;
		auth_basic "nobody is asked";
		root %DIR%/www;
	}
}
E
(my $local = $conf) =~ s/auth_basic_user_file one/auth_basic_user_file conf\/one/;
$w->write('www/x', 'the file');
$w->origin(2, sub {
	my ($c) = @_;
	my $q = $c->read_request or return;
	$c->note("$q->{headers}{'x-user'}[0]") if ref $q->{headers}{'x-user'};
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
});
$w->start($local);

sub auth { return (Authorization => 'Basic ' . encode_base64("$_[0]:$_[1]", '')) }
sub got { my ($uri, $user, $pw, %opt) = @_; return $w->request('GET', $uri, [ defined $user ? auth($user, $pw) : () ], undef, %opt) }
sub in { my $r = got(@_[0 .. 2]); is $r->status, 200, $_[3]; return $r }
sub out { my $r = got(@_[0 .. 2]); is $r->status, 401, $_[3]; return $r }

# threads are there from the begin, and locked in like the worker
my ($pid) = $w->worker_pids;
my @threads = glob "/proc/$pid/task/*";
is scalar @threads, 3, 'a worker and two threads';
for (@threads) {
	open my $h, '<', "$_/status" or die "$_: $!";
	my $text = join '', <$h>;
	like $text, qr/^NoNewPrivs:\t1$/m, 'no new privileges';
	like $text, qr/^Seccomp:\t2$/m, 'a filter of system calls';
}
my $keeper = $w->keeper_pid;
is scalar(() = glob "/proc/$keeper/task/*"), 1, 'the keeper needs none';

# ---- kinds of hashes ----
for (my $i = 0; $i < @kinds; $i += 2) {
	my $n = $kinds[$i];
	my $pw = $other{$n} // 'secret';
	in '/x', $n, $pw, "$n: right";
	out '/x', $n, 'Secret', "$n: wrong";
	out '/x', $n, "${pw}x", "$n: longer";
	out '/x', $n, "$pw\0", "$n: with a NUL behind";
	out '/x', $n, "$pw\0x", "$n: and more";
	out '/x', $n, '', "$n: empty" if $n ne 'plain_empty';
	out '/x', $n, 'x' x 5500, "$n: very long";
	in '/x', $n, $pw, "$n: right, again";
}
for (my $i = 0; $i < @bad; $i += 2) {
	out '/x', $bad[$i], $_, "$bad[$i]: nothing fits" for 'secret', '', $bad[$i + 1];
}
$w->log_like(qr/\[error\].* user "apr1_bad": what is stored fits no password, client: 127/, 'and the log says so');

# ---- the file ----
in '/x', 'comment', 'secret', 'a comment behind the hash';
out '/x', 'comment', 'secret:a comment', 'is none of it';
in '/x', 'cr', 'secret', 'a line that ends with CR LF';
in '/x', 'twice', 'first', 'the first line of a name counts';
out '/x', 'twice', 'second', 'the second does not';
in '/x', 'last', 'secret', 'no newline at the end';
out '/x', $_, 'secret', "no such user: $_" for '#hidden', 'hidden', 'no colon', 'pla', 'plainx', "plain\0", ' plain', 'Plain';
$w->log_like(qr/\[error\].* user "pla" was not found in "\S+\/users"/, 'nginx\'s words');
$w->log_like(qr/\[error\].* user "des": password mismatch/, 'for both');

in '/rel/x', 'me', 'secret', 'relative to the folder of the configuration';
my $d = $w->dir;
in "/var/x?f=$d/one", 'me', 'secret', 'a file by a variable';
in '/var/x?f=one', 'me', 'secret', 'relative, too';
is got('/var/x?f=absent', 'me', 'secret')->status, 403, 'no such file';
is got("/var/x?f=$d/folder", 'me', 'secret')->status, 500, 'a folder';
is got('/var/x', 'me', 'secret')->status, 500, 'no name';
is got("/var/x?f=$d/fifo", 'me', 'secret')->status, 500, 'a FIFO';
is got("/var/x?f=$d/huge", 'me', 'secret')->status, 500, 'too large';
in "/var/x?f=$d/line", 'me', 'secret', 'a huge line';
out "/var/x?f=$d/nothing", 'me', 'secret', 'nobody';
$w->log_like(qr/\[error\].* open\(\) "\S+absent" failed \(2: No such/, 'a missing file is logged');
$w->log_like(qr/\[crit\].* read\(\) "\S+folder" failed \(21: Is a dir/, 'a folder is');
$w->log_like(qr/\[crit\].* "\S+huge" has more than 8388608 bytes/, 'a large one is');
$w->log_like(qr/\[warn\].*everybody on this machine may read the user file "\S+one"/, 'one for everybody is');

# changes are noticed, whatever is remembered
my $b = crypt('secret', "\$2y\$05\$$salt");
$w->write('changes', "me:$b\n");
in '/changes/x', 'me', 'secret', 'before a change';
in '/changes/x', 'me', 'secret', 'and again';
$w->write('changes', 'me:' . crypt('public', "\$2y\$05\$$salt") . "\n");
out '/changes/x', 'me', 'secret', 'after it, the old password';
in '/changes/x', 'me', 'public', 'and the new one';
$w->write('changes.new', "you:$b\n");
rename "$d/changes.new", "$d/changes" or die;
out '/changes/x', 'me', 'public', 'another file, another user';
in '/changes/x', 'you', 'secret', 'who comes in';
unlink "$d/changes";
is got('/changes/x', 'you', 'secret')->status, 403, 'no file any more';

# ---- credentials ----
for ([ 'none' ], [ 'another scheme', 'Bearer x' ], [ 'nothing behind it', 'Basic ' ], [ 'no base64', 'Basic !!!' ],
    [ 'no colon', 'Basic ' . encode_base64('plain', '') ], [ 'no name', 'Basic ' . encode_base64(':secret', '') ],
    [ 'padding in the midst', 'Basic cGxhaW4=c2VjcmV0' ], [ 'a rest', 'Basic cGxhaW46c2VjcmV0A' ]) {
	my ($what, $value) = @$_;
	my $r = $w->get('/x', $value ? (Authorization => $value) : ());
	is $r->status, 401, "credentials: $what";
	unlike $r->text, qr/cGxhaW4/, 'nothing of them comes back';
}
(my $bare = encode_base64('plain:secret', '')) =~ s/=//g;
is $w->get('/x', Authorization => "Basic $bare")->status, 200, 'credentials: without padding';
is $w->get('/x', Authorization => "bAsIc   $bare  ")->status, 200, 'credentials: odd case and spaces';
$w->write('colon', "c:{PLAIN}secret\nd:" . crypt('a:b:c', '$6$salt$') . "\n");
in "/var/x?f=$d/colon", 'd', 'a:b:c', 'credentials: a colon in the password';

# ---- 401 ----
my $r = out '/x?r=you', undef, undef, 'nobody';
is $r->header('WWW-Authenticate'), 'Basic realm="a \"realm\" \\\\ and you"', 'the realm is quoted';
my $c = $w->connect;
for my $i (1 .. 3) {
	$c->send("GET /x HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n" . join(': ', auth('apr1', 'secret')) .
	    "\r\n\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\nGET /y HTTP/1.1\r\nHost: bad\r\n\r\n");
	is $c->response('GET')->status, 401, 'one connection: nobody';
	is $c->response('GET')->status, 200, 'then somebody';
	is $c->response('POST')->status, 401, 'then nobody, whose body is no request';
}
$c->close;
is +(() = $w->http("GET /page/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") =~ /^WWW-Auth/mg), 1,
    'an error page behind a password: one challenge';

# ---- together with others ----
in '/off/x', undef, undef, 'off';
in '/var-off/x?realm=off', undef, undef, 'off by a variable';
out '/var-off/x?realm=of', undef, undef, 'on by a variable';
is $w->request('GET', '/x', [], undef, port => 5)->status, 200, 'no file, no question';
in '/any/x', 'plain', 'secret', 'satisfy any: a password is enough';
$r = out '/any/x', undef, undef, 'satisfy any: 401 rather than 403';
ok $r->header('WWW-Authenticate'), 'with a challenge';
in '/any/x', 'bcrypt', 'secret', 'satisfy any: one that is hashed, too';
out '/any/x', 'bcrypt', 'public', 'satisfy any: or is not';
in '/any-in/x', undef, undef, 'satisfy any: an address is enough';
$r = in '/any-other/x', undef, undef, 'satisfy any: somebody else vouches';
is $r->header('WWW-Authenticate'), undef, 'satisfy any: and then nobody is asked';
is got('/any-page/absent')->status, 404, 'satisfy any: an error page keeps its status';
is got('/all/x', 'plain', 'secret')->status, 403, 'satisfy all: a password is not enough';
is $w->request('GET', '/except/x', [])->status, 200, 'limit_except: readers';
is $w->request('POST', '/except/x', [], 'x')->status, 401, 'limit_except: writers';

# $remote_user is what was sent, whether or not anybody looked at it
$w->request('GET', '/off/user', [ auth('some one', 'x') ]);
ok wait_for(sub { grep { $_ eq '/off/user user=some one 404' } $w->access }), '$remote_user without a question';
ok !(grep { /user=.*secret/ } $w->access), 'no password in the log';
$w->log_unlike(qr/secret/, 'nor in the other');

# ---- auth_delay ----
my $t = time;
out '/delayed/x', 'plain', 'public', 'delayed';
cmp_ok time - $t, '>=', 0.58, 'a 401 is';
$t = time;
out '/delayed-any/x', undef, undef, 'delayed, satisfy any';
cmp_ok time - $t, '>=', 0.58, 'there too';
$t = time;
in '/delayed/x', 'plain', 'secret', 'not delayed';
cmp_ok time - $t, '<', slack(0.58), 'who comes in';
$c = $w->connect;
$c->send("GET /delayed/x HTTP/1.1\r\nHost: a\r\n\r\n");
ok $w->wait_log(qr/delaying unauthorized request/), 'the log says so';
$c->reset;
in '/x', 'plain', 'secret', 'and a client that leaves harms nobody';

# ---- time tells nothing (S-168) ----
# Processor time, whatever else the machine does.
sub cost
{
	my ($u, $p) = @_;
	my ($worker) = $w->worker_pids;
	my $before = Weir::cpu_time($worker) // return undef;
	got('/slow/x', $u, $p) for 1 .. 3;
	return Weir::cpu_time($worker) - $before;
}

sub compare
{
	my ($u, $p, $more, $why) = @_;
	SKIP: {
		my $known = cost('slow', 'public') // skip 'the kernel does not tell CPU times', 1;
		cmp_ok cost($u, $p), $more ? '>' : '<', $known * 0.5, $why;
	}
}
compare('nobody', 'public', 1, 'an unknown user costs the same');
compare('cheap', 'public', 1, 'a wrong password of a cheap hash, too');
compare('slow', 'a' x 3000, 1, 'one that cannot be right, too');
in '/slow/x', 'slow', 'secret', 'a right one';
compare('slow', 'secret', 0, 'costs once');

# ---- nothing waits for a hash but who sent it ----
sub ask_slowly
{
	my ($n, $what) = @_;
	return map {
		my $c = $w->connect;
		$c->send("GET /slower/x HTTP/1.1\r\nHost: a\r\n" . join(': ', auth('slow', "$what$_")) . "\r\n\r\n");
		$c;
	} 1 .. $n;
}
my (@c, $most);
for my $round (1 .. 3) {	# the machine may have other things to do
	@c = ask_slowly(4, "round $round ");
	$most = 0;
	for (1 .. 10) {
		$t = time;
		in '/x', 'plain', 'secret', 'another client meanwhile';
		my $took = time - $t;
		$most = $took if $took > $most;
	}
	ok !IO::Select->new($c[3]->socket)->can_read(0), 'while hashes are still computed' if $most < 0.1;
	is $_->response('GET')->status, 401, 'each of which gets its answer' for @c;
	last if $most < 0.1;
}
cmp_ok $most, '<', slack(0.1), 'does not wait';

# more than wait in the queue
@c = ask_slowly(90, 'more');
is $c[-1]->response('GET')->status, 503, 'too many are told so';
$w->log_like(qr/\[error\].* too many passwords are being checked, client/, 'as the log is');
in '/x', 'plain', 'secret', 'others come in';
$_->reset for @c;
$t = time;
in '/slower/x', 'slow', 'secret', 'somebody comes in';
cmp_ok time - $t, '<', slack(3), 'who has gone is not computed for';

# reload and end while there is something to compute
@c = ask_slowly(3, 'again');
ok $w->reload($local), 'a reload meanwhile';
is $_->response('GET')->status, 401, 'loses none' for @c;
$_->close for @c;
in '/slower/x', 'slow', 'secret', 'the new generation computes, too';

# ---- too many guesses (S-174) ----
sub limited { my ($port, $user, $pw) = @_; return got('/x', $user, $pw, port => $port) }
is limited(3, undef)->status, 401, 'no guess is none' for 1 .. 5;
is limited(3, 'me', 'guess')->status, 401, 'a guess' for 1 .. 2;
is limited(3, 'me', 'secret')->status, 200, 'a right one';
is limited(3, 'you', 'guess')->status, 401, 'forgives nothing';
$r = limited(3, 'me', 'guess');
is $r->status, 429, 'enough';
cmp_ok $r->header('Retry-After'), '>', 3500, 'it takes an hour';
cmp_ok $r->header('Retry-After'), '<=', 3600, 'no longer';
is limited(3, 'me', 'secret')->status, 429, 'a right one does not help, or it would tell which is';
is limited(3, undef)->status, 401, 'who asks for nothing is asked';
is got('/x', 'me', 'secret', port => 3, from => '127.0.0.2')->status, 200, 'another address';
$w->log_like(qr/\[error\].* 3 wrong passwords from this address, it has to wait for 3\d\d\d s/, 'the log says when');
ok $w->reload($local), 'a reload';
is limited(3, 'me', 'secret')->status, 429, 'does not help either';
sub short { got('/x', 'me', $_[0], port => 4, from => '127.0.0.3') }
ok wait_for(sub { short('guess')->status == 429 }), 'a short time';
ok wait_for(sub { short('secret')->status == 200 }), 'is over soon';
is $w->stop, 0, 'the end';

# one process: threads begin with the first need
my $one = Weir->new;
$one->write('users', 'me:' . crypt('secret', "\$2y\$05\$$salt") . "\n");
$one->start("master_process off;\nhttp { auth_basic x; auth_basic_user_file users; server { listen 127.0.0.1:%PORT1%; root %DIR%; } }\n");
is $one->get('/users', auth('me', 'secret'))->status, 200, 'without a master';
is $one->get('/users', auth('me', 'public'))->status, 401, 'too';
is $one->get('/users', auth('me', 'public'))->status, 401, 'ten are allowed by default' for 2 .. 10;
is $one->get('/users', auth('me', 'public'))->status, 429, 'an eleventh is not';
$one->stop;

# mistakes
for ([ 'auth_basic_limit 10', 'a number of wrong passwords and a time' ], [ 'auth_basic_limit x/1m', 'invalid|number' ],
    [ 'auth_basic_limit 0/1m', 'least|1' ], [ 'auth_basic_limit 1/0', 'longer than 0' ], [ 'auth_basic_limit 1/x', 'time|invalid' ]) {
	my ($rc, undef, $err) = $wrong->test_conf("http { server { listen 127.0.0.1:%PORT9%; $_->[0]; } }");
	is $rc, 1, $_->[0];
	like $err, qr/$_->[1]/, 'is a mistake';
}

done_testing;
