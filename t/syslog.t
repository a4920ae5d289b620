#!/usr/bin/perl

# Logs that go to syslog servers, over UDP and unix sockets, from inside the sandbox.
#
# effect: error_log access_log

use strict;
use warnings;

use lib 't/lib';
use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket;
use Sys::Hostname;
use Test::More;
use Weir;

my $host = lc hostname();
my $date = qr/[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d/;

sub udp
{
	my ($port) = @_;
	return IO::Socket::INET->new(Proto => 'udp', LocalAddr => "127.0.0.1:$port") // die "port $port: $!";
}

sub unix_socket
{
	my ($path) = @_;
	unlink $path;
	my $s = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path) // die "$path: $!";
	chmod 0666, $path;
	return $s;
}

# The next datagram; undef when none comes.
sub next_of
{
	my ($s, $seconds) = @_;
	return undef unless IO::Select->new($s)->can_read($seconds // 10);
	defined $s->recv(my $text, 65536) or return undef;
	return $text;
}

# The next one that looks so.
sub next_like
{
	my ($s, $re) = @_;
	while (defined(my $text = next_of($s))) {
		return $text if $text =~ $re;
	}
	return '';
}

my $w = Weir->new;
my $error = udp($w->port(2));
my $access = udp($w->port(3));
my $unix = unix_socket($w->dir . '/log.sock');
$w->start(<<'E');
error_log %DIR%/error.log info;
error_log syslog:server=127.0.0.1:%PORT2% notice;
http {
	access_log off;
	log_format short '$uri:$status';
	log_format empty '';
	log_format long '$arg_x$arg_x$arg_x';
	large_client_header_buffers 4 64k;
	server {
		listen 127.0.0.1:%PORT1%;
		server_name here;
		location /access {
			access_log syslog:server=127.0.0.1:%PORT3%;
			access_log syslog:severity=alert,server=127.0.0.1:%PORT3%,tag=two,facility=mail short;
			return 200;
		}
		location /quiet {
			access_log syslog:server=127.0.0.1:%PORT3%,nohostname short if=$arg_log;
			return 200;
		}
		location /empty { access_log syslog:server=127.0.0.1:%PORT3% empty; return 200; }
		location /long { access_log syslog:server=127.0.0.1:%PORT3% long; return 200; }
		root %DIR%;
		location / { }
		location /unix { error_log syslog:server=unix:%DIR%/log.sock,facility=user,tag=UNIX_1,severity=alert; }
		location /bare { error_log syslog:nohostname,server=unix:%DIR%/log.sock,facility=kern crit; error_log
		    syslog:nohostname,server=unix:%DIR%/log.sock,facility=kern; }
		location /json { error_log syslog:server=unix:%DIR%/log.sock error format=json; }
	}
}
E

# ---- error logs ----

like next_like($error, qr/start worker/), qr{^<189>$date \Q$host\E nginx: \d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[notice\] (?#
    )\d+#0: start worker process \d+$}, 'the master: local7, the severity of the message, host, tag, no line end';
$w->get('/missing');
my $text = next_like($error, qr{/missing"});
like $text, qr{^<187>$date \Q$host\E nginx: .* \[error\] .*, client: 127\.0\.0\.1, server: here, request: },
    'a worker: what is written where nothing is said';
is $text =~ s/^.*? nginx: //r, (grep m{/missing"}, $w->log_lines)[0], 'the same line as in the file';
$w->get('/unix');
like next_of($unix), qr{^<11>$date \Q$host\E UNIX_1: .* \[error\] }, 'a unix socket, facility, tag';
$w->get('/bare');
like next_of($unix), qr{^<3>$date nginx: .*\[error\] }, 'nohostname';
is next_of($unix, 0), undef, 'each output has its level';
$w->get('/json');
like next_of($unix), qr/^<187>$date \Q$host\E nginx: \{"time":.*,"level":"error",.*\}$/, 'JSON';
$w->get('/' . 'x' x 8000);
is length(next_like($error, qr/x{1000}/) =~ s/^.*? nginx: //r), 4095, 'a long line is cut as in files';

# ---- access logs ----

$w->get('/access');
like next_of($access), qr{^<190>$date \Q$host\E nginx: 127\.0\.0\.1 - - \[.*\] "GET /access HTTP/1\.1" 200 0 "-" "-"$},
    'an access log: local7, info';
like next_of($access), qr{^<17>$date \Q$host\E two: /access:200$}, 'a second one, with all of its own';
$w->get('/quiet');
$w->get('/quiet/yes?log=1');
like next_of($access), qr{^<190>$date nginx: /quiet/yes:200$}, 'nohostname, if=';
$w->get('/empty');
like next_of($access), qr{^<190>$date \Q$host\E nginx: $}, 'an empty line';
# Each value is cut, and the whole would be too much for a datagram: it arrives cut.
$w->get('/long?x=' . "\xff" x 10000);
$text = next_of($access);
like $text, qr{(\\xFF)+\\?x?F?\.\.\.$}, 'a long one, with a mark';
cmp_ok length $text, '<', 65507, 'fits a datagram';

# ---- servers that come and go ----

close $unix;
$w->get('/unix') for 1 .. 3;
$w->log_like(qr{\[error\].* sending to the log "syslog:server=unix:[^"]*/log\.sock" fails, lines are lost \(111: Conn},
    'a server that is gone is told of');
is scalar(() = $w->log_text =~ m{log\.sock" fails}g), 1, 'once';
unlink $w->dir . '/log.sock';
$w->get('/unix');
$unix = unix_socket($w->dir . '/log.sock');
$w->get('/unix');
like next_of($unix), qr{ UNIX_1: .*"GET /unix }, 'a new socket is found';

close $error;
$w->get("/lost/$_") for 1 .. 3;
$w->log_like(qr{\[error\].* sending to the log "syslog:server=127\.0\.0\.1:\d+" fails, lines are lost \(111}, 'UDP');
$error = udp($w->port(2));
$w->get('/again');
like next_like($error, qr{/again}), qr{ nginx: .*/again}, 'UDP goes on as well';

# Nobody reads: the socket is full soon, and no request waits (S-206).
for (1 .. 500) {
	my $status = $w->get("/unix/$_")->status;
	is $status, 404, "answered, $_" if $status != 404 || $_ == 500;
}
my $n = 0;
$n++ while defined next_of($unix, 0);
cmp_ok $n, '<', 500, 'what a slow server does not take is lost';
cmp_ok $n, '>', 0, 'and no more than that';
$w->get('/unix/then');
like next_of($unix), qr{/unix/then}, 'then it goes on';

# ---- only syslog ----

my $alone = Weir->new;
my $only = udp($alone->port(2));
$alone->start(<<'E');
error_log syslog:server=127.0.0.1:%PORT2% info;
http { server { listen 127.0.0.1:%PORT1%; root %DIR%; } }
E
$alone->get('/missing');
like next_like($only, qr{/missing}), qr{\[error\]}, 'syslog alone';
$alone->log_like(qr{\[error\].*/missing"}, 'errors go to the default file as well');
$alone->log_unlike(qr{\[notice\].*generation}, 'and nothing else');
is $alone->reload, 1, 'a reload';
like next_like($only, qr{generation 2}), qr{\[notice\]}, 'which goes there';
close $only;
$alone->stop;

# ---- mistakes ----

my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
my %mistakes = (
	'syslog:' => 'unknown syslog parameter ""',
	'syslog:tag=x' => 'no syslog server specified',
	'syslog:server=' => 'no host in syslog server ""',
	'syslog:server=:514' => 'no host in syslog server ":514"',
	'syslog:server=127.0.0.1:x' => 'invalid address in syslog server "127.0.0.1:x"',
	'syslog:server=127.0.0.1:70000' => 'invalid address in syslog server',
	'syslog:server=no.such.name.invalid' => ' in syslog server "no.such.name.invalid"',
	'syslog:server=127.0.0.1,server=127.0.0.1' => 'duplicate syslog "server"',
	'syslog:server=127.0.0.1,facility=local8' => 'unknown syslog facility "local8", did you mean "local',
	'syslog:server=127.0.0.1,facility=user,facility=user' => 'duplicate syslog "facility"',
	'syslog:server=127.0.0.1,severity=err' => 'unknown syslog severity "err"',
	'syslog:server=127.0.0.1,severity=info,severity=info' => 'duplicate syslog "severity"',
	'syslog:server=127.0.0.1,tag=a-b' => 'syslog "tag" only allows alphanumeric characters and underscore',
	'syslog:server=127.0.0.1,tag=' . 'x' x 33 => 'syslog tag length exceeds 32',
	'syslog:server=127.0.0.1,tag=a,tag=b' => 'duplicate syslog "tag"',
	'syslog:server=127.0.0.1,hostname' => 'unknown syslog parameter "hostname"',
	'syslog:server=127.0.0.1,' => 'unknown syslog parameter ""',
);
for my $word (sort keys %mistakes) {
	my ($code, undef, $err) = $wrong->test_conf("error_log $word; http { }");
	isnt $code, 0, "refused: $word";
	like $err, qr/error_log: .*\Q$mistakes{$word}\E/, 'says why';
}
for my $word ('127.0.0.1', '[::1]', '[::1]:1514', 'localhost', 'localhost:99', 'unix:/dev/log',
    '127.0.0.1,tag=' . 'x' x 32 . ',facility=auth,severity=debug,nohostname') {
	my ($code, undef, $err) = $wrong->test_conf("error_log syslog:server=$word; http { }");
	is $code, 0, "taken: $word" or diag $err;
}

done_testing;
