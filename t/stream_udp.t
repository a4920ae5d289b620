#!/usr/bin/env perl
# stream_udp.t - listen ... udp: datagrams are passed on and answered, by sessions that are bounded.
#
# effect: proxy_requests proxy_responses udp_sessions proxy_protocol proxy_protocol_tlv proxy_timeout listen

use strict;
use warnings;

use lib 't/lib';
use IO::Select;
use IO::Socket::INET;
use Socket qw(inet_aton pack_sockaddr_in unpack_sockaddr_in);
use Test::More;
use Time::HiRes qw(time);
use Weir;

my $w = Weir->new;
my @daemons;
END { if (@daemons) { local $?; kill 'KILL', @daemons; waitpid $_, 0 for @daemons } }

# Answers each datagram: "ID:NAME:CLIENT'S PORT:TEXT", as a DNS server would the question with that id; some texts mean more.
sub server
{
	my ($n, $name) = @_;
	my $s = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $w->port($n)) or die "port: $!";
	my $pid = fork // die;
	if ($pid) {
		push @daemons, $pid;
		return $pid;
	}
	local $SIG{ALRM} = 'DEFAULT';
	alarm 600;
	for (;;) {
		my $from = $s->recv(my $q, 65536) // next;
		my ($port) = unpack_sockaddr_in($from);
		if ($q =~ /^quiet/) {
		} elsif ($q =~ /^echo(.*)/s) {
			$s->send($1, 0, $from);
		} elsif ($q =~ /^many (\d+)/) {
			$s->send($_, 0, $from) for 1 .. $1;
		} elsif ($q =~ /^late (\S+)/) {
			my $file = $1;
			$w->write("$file.asked", '');
			my $child = fork // die;
			if (!$child) {
				wait_for(sub { -e $w->dir . "/$file" });
				$s->send('late', 0, $from);
				POSIX::_exit(0);
			}
		} elsif (substr($q, 0, 12) eq "\r\n\r\n\0\r\nQUIT\n") {
			$s->send(unpack('H*', $q), 0, $from);
		} else {
			$s->send("$name:$port:$q", 0, $from);
		}
	}
}

my %opened;
sub client
{
	my ($n, %opt) = @_;
	my $class = $opt{six} ? 'IO::Socket::IP' : 'IO::Socket::INET';
	$class->new(Proto => 'udp', LocalAddr => $opt{from} // ($opt{six} ? '::1' : '127.0.0.1'),
	    PeerAddr => $opt{to} // ($opt{six} ? '::1' : '127.0.0.1'), PeerPort => $w->port($n)) or die "client: $!";
}
sub get
{
	my ($s, $limit) = @_;
	return undef unless IO::Select->new($s)->can_read($limit // $Weir::TIMEOUT);
	my $text;
	return defined $s->recv($text, 65536) ? $text : undef;
}
sub ask { my ($s, $text) = @_; $s->send($text); get($s) }
# Where datagrams get lost: asks again until there is an answer.
sub insist
{
	my ($s, $text) = @_;
	my $got;
	wait_for(sub { $s->send($text); defined($got = get($s, 0.2)) });
	return $got;
}

server(21, 'a');
server(22, 'b');

my $conf = <<'E';
worker_processes WORKERS;
worker_shutdown_timeout 60s;
events { worker_connections 1000; udp_sessions 100; }
http {
	server { listen 127.0.0.1:%PORT1%; metrics; }
}
stream {
	log_format l '$protocol $remote_addr $status $bytes_received $bytes_sent $upstream_addr $upstream_bytes_sent $upstream_bytes_received $close_reason $server_addr $server_port';
	upstream two { server 127.0.0.1:%PORT21%; server 127.0.0.1:%PORT22%; }
	upstream half { server 127.0.0.1:%PORT29%; server 127.0.0.1:%PORT21%; }
	upstream other_half { server 127.0.0.1:%PORT29%; server 127.0.0.1:%PORT21%; }
	upstream dead { server 127.0.0.1:%PORT28%; server 127.0.0.1:%PORT29%; }
	server { listen 127.0.0.1:%PORT2% udp; proxy_pass 127.0.0.1:%PORT21%; proxy_timeout 10m; }
	server { listen 127.0.0.1:%PORT3% udp; proxy_pass 127.0.0.1:%PORT21%; proxy_responses 1; access_log %DIR%/one.log l; }
	server { listen 127.0.0.1:%PORT4% udp; proxy_pass two; proxy_requests 2; proxy_responses 1; access_log %DIR%/two.log l; }
	server { listen 127.0.0.1:%PORT5% udp; proxy_pass 127.0.0.1:%PORT21%; proxy_responses 2; proxy_timeout 300ms; access_log %DIR%/time.log l; }
	server { listen 127.0.0.1:%PORT6% udp; proxy_pass 127.0.0.1:%PORT21%; proxy_timeout 300ms; access_log %DIR%/idle.log l; }
	server { listen 127.0.0.1:%PORT7% udp; proxy_pass half; proxy_responses 1; access_log %DIR%/half.log l; }
	server { listen 127.0.0.1:%PORT8% udp; proxy_pass dead; proxy_responses 1; access_log %DIR%/dead.log l; }
	server { listen 127.0.0.1:%PORT9% udp; proxy_pass other_half; proxy_responses 1; proxy_next_upstream off; access_log %DIR%/off.log l; }
	server { listen 127.0.0.1:%PORT10% udp; return "you are $remote_addr on $protocol"; access_log %DIR%/return.log l; }
	server { listen 0.0.0.0:%PORT11% udp; return "$server_addr"; }
	server { listen 127.0.0.1:%PORT12% udp; proxy_pass 127.0.0.1:%PORT21%; proxy_protocol v2; proxy_protocol_tlv unique_id u5; proxy_protocol_tlv crc32c on; }
	server { listen 127.0.0.1:%PORT13% udp; deny 127.0.0.5; proxy_pass 127.0.0.1:%PORT21%; access_log %DIR%/deny.log l; }
	server { listen 127.0.0.1:%PORT14% udp; proxy_pass 127.0.0.1:%PORT21%; proxy_download_rate 20000; proxy_upload_rate 20000; }
	server { listen 127.0.0.1:%PORT15%; listen 127.0.0.1:%PORT15% udp; return "$protocol"; }
	server { listen 127.0.0.1:%PORT16% udp; proxy_pass two; proxy_responses 1; access_log %DIR%/balance.log l; }
	server { listen 127.0.0.1:%PORT17%; proxy_pass 127.0.0.1:%PORT18%; proxy_protocol v2; proxy_protocol_tlv unique_id t6; }
	server { listen 127.0.0.1:%PORT18% proxy_protocol; return "$proxy_protocol_addr $proxy_protocol_server_port $proxy_protocol_tlv_unique_id"; }
	server { listen 127.0.0.1:%PORT30% udp; pass 127.0.0.1:%PORT15%; access_log %DIR%/pass.log l; }
	server { listen 127.0.0.1:%PORT31% udp; ssl_preread on; return x; access_log %DIR%/preread.log l; }
	server { listen 127.0.0.1:%PORT19%; proxy_pass 127.0.0.1:%PORT18%; proxy_protocol on; }
	SIX
}
E
my $six = eval { require IO::Socket::IP; IO::Socket::IP->new(Proto => 'udp', LocalAddr => '::1') };
$conf =~ s/SIX/$six ? 'server { listen [::]:%PORT20% udp ipv6only=off; return "$remote_addr $server_addr"; }' : ''/e;
$w->start($conf =~ s/WORKERS/1/r);

# ---- there and back ----

{
	my $s = client(2);
	like ask($s, 'hello'), qr/^a:(\d+):hello$/, 'a question and its answer';
	my @ports = map { ask($s, $_) =~ /^a:(\d+):/ } 1 .. 5;
	is scalar(keys %{ { map { $_ => 1 } @ports } }), 1, 'a client is one session';
	isnt ask(client(2), 'x') =~ s/^a:(\d+):.*/$1/r, $ports[0], 'another is another';
	is length(ask($s, 'echo' . 'x' x $_) // ''), $_, "$_ bytes" for 0, 1, 508, 1468, 1500, 9000, 65503;
	my $big = join '', map { chr rand 256 } 1 .. 60000;
	ok ask($s, "echo$big") eq $big, 'they are the same';
	$s->send('many 200');
	my %got;
	for (1 .. 200) {
		$got{ get($s) // last } = 1;
	}
	is scalar(keys %got), 200, 'many answers';
	$s->send($_) for 1 .. 200;
	my %back;
	for (1 .. 200) {
		$back{ (get($s) // last) =~ s/.*://r } = 1;
	}
	is scalar(keys %back), 200, 'many questions at once';
}

# ---- sessions end ----

{
	is ask(client(3), 'echohello'), 'hello', 'proxy_responses 1';
	my ($line) = $w->access('one.log', 1);
	is $line, 'UDP 127.0.0.1 200 9 5 127.0.0.1:' . $w->port(21) . ' 9 5 answered 127.0.0.1 ' . $w->port(3),
	    'the session is over with the answer, and logged';
	my $s = client(3);
	my ($a, $b) = map { ask($s, $_) =~ /^a:(\d+)/ } 1, 2;
	isnt $a, $b, 'what comes later is another session';
	$s = client(4);
	my @two = map { ask($s, $_) =~ /^(\w:\d+)/ } 1 .. 4;
	is $two[0], $two[1], 'proxy_requests 2: the second is of the same session';
	is $two[2], $two[3], 'so are the next two';
	isnt substr($two[0], 0, 1), substr($two[2], 0, 1), 'which go to another server';
	like +($w->access('two.log', 2))[0], qr/^UDP 127\.0\.0\.1 200 2 .* answered /, 'with a line for two';
	$s = client(5);
	ok defined ask($s, 'only one'), 'an answer where two are waited for';
	like +($w->access('time.log', 1))[0], qr/^UDP 127\.0\.0\.1 502 /, 'the other does not come: 502';
	$w->log_like(qr/upstream timed out \(110: Connection timed out\) while proxying datagrams, client: 127\.0\.0\.1, server: [\d.:]+, upstream: "127/, 'and it is logged');
	$s = client(6);
	ok defined ask($s, 'x'), 'any number of answers';
	like +($w->access('idle.log', 1))[0], qr/^UDP 127\.0\.0\.1 200 .* idle /, 'proxy_timeout';
}

# ---- servers that are not there ----

{
	is ask(client(7), 'echo1'), '1', 'who is not there is told by ICMP, and another is asked';
	is ask(client(7), 'echo2'), '2', 'once more';
	like +($w->access('half.log', 1))[0], qr/ 200 .* 127\.0\.0\.1:@{[$w->port(29)]}, 127\.0\.0\.1:@{[$w->port(21)]} /, 'both are logged';
	$w->log_like(qr/\[error\] .*\(111: Connection refused\).* while proxying datagrams, client: 127/, 'and why');
	client(8)->send('x');
	like +($w->access('dead.log', 1))[0], qr/ 502 .* upstream_failed /, 'nobody is there: 502';
	client(9)->send('x');
	like +($w->access('off.log', 1))[0], qr/ 502 .*upstream_failed /, 'proxy_next_upstream off';
	is ask(client(9), 'echo3'), '3', 'the next session goes elsewhere';
	my %who;
	$who{ ask(client(16), 'x') =~ s/:.*//r }++ for 1 .. 10;
	is_deeply \%who, { a => 5, b => 5 }, 'servers take turns';
}

# ---- answers of our own, addresses, access ----

{
	my $s = client(10, from => '127.0.0.3');
	is ask($s, 'who?'), 'you are 127.0.0.3 on UDP', 'return';
	is ask($s, 'who?'), 'you are 127.0.0.3 on UDP', 'return, again';
	is scalar(my @l = $w->access('return.log', 2)), 2, 'each is a session';
	like $l[0], qr/^UDP 127\.0\.0\.3 200 4 24 - - - answered /, 'that is logged';
	is ask(client(11, to => $_), 'x'), $_, "the answer comes from $_, which was asked" for '127.0.0.1', '127.0.0.77';
	client(13, from => '127.0.0.5')->send('x');
	like +($w->access('deny.log', 1))[0], qr/^UDP 127\.0\.0\.5 403 /, 'deny';
	like ask(client(13), 'x'), qr/^a:/, 'and others';
	client(30)->send('x');
	like +($w->access('pass.log', 1))[0], qr/^UDP 127\.0\.0\.1 500 /, 'pass is for connections';
	$w->log_like(qr/datagrams cannot be passed to another listener/, 'and says so');
	client(31)->send("\x16\x03\x01");
	like +($w->access('preread.log', 1))[0], qr/^UDP 127\.0\.0\.1 400 .* preread_full /, 'a datagram is all that can be looked at';
	is ask(client(15), 'x'), 'UDP', 'UDP and TCP';
	my $c = $w->connect(port => 15);
	is $c->read_all, 'TCP', 'on the same port';
}
SKIP: {
	skip 'no IPv6 here', 2 unless $six;
	is ask(client(20, six => 1), 'x'), '::1 ::1', 'IPv6';
	is ask(client(20, to => '127.0.0.9'), 'x'), '::ffff:127.0.0.1 ::ffff:127.0.0.9', 'IPv4 on an address of IPv6';
}

# ---- the PROXY protocol ----

{
	my $s = client(12, from => '127.0.0.4');
	my $got = pack 'H*', ask($s, 'first') // '';
	my ($port, $to) = ($s->sockport, $w->port(12));
	is unpack('H*', substr $got, 0, 28), unpack('H*', "\r\n\r\n\0\r\nQUIT\n" . pack('CCn', 0x21, 0x12, 12 + 5 + 7) .
	    inet_aton('127.0.0.4') . inet_aton('127.0.0.1') . pack('n2', $port, $to)), 'a header of version 2, of UDP';
	is substr($got, 28, 5), "\x05\0\x02u5", 'with what is said of the session';
	is substr($got, 28 + 5 + 7), 'first', 'in front of the first datagram';
	like ask($s, 'second'), qr/^a:\d+:second$/, 'and of no other';
	my $c = $w->connect(port => 17, from => '127.0.0.4');
	is $c->read_all, '127.0.0.4 ' . $w->port(17) . ' t6', 'TCP: version 2, with a TLV';
	$c = $w->connect(port => 19, from => '127.0.0.4');
	is $c->read_all, '127.0.0.4 ' . $w->port(19) . ' ', 'TCP: version 1';
}

# ---- rates ----

{
	my $s = client(14);
	is length ask($s, 'echo' . 'x' x 30000), 30000, 'more than the rate at first';
	my $t = time;
	is length ask($s, 'echo' . 'x' x 30000), 30000, 'and later';
	cmp_ok time - $t, '>', 0.3, 'what is too fast is held';
}

# ---- a flood ----

sub metric
{
	my ($name) = @_;
	my ($v) = $w->get('/')->body =~ /^weir_$name (\d+)$/m;
	return $v;
}
{
	$w->expect_alert(qr/UDP sessions are not enough/);
	my $good = client(2, from => '127.0.0.2');
	my ($port) = ask($good, 'a') =~ /^a:(\d+)/;
	ask($good, $_) for 1 .. 3;
	my $before = metric('udp_sessions_total');
	my $peer = pack_sockaddr_in($w->port(2), inet_aton('127.0.0.1'));
	for my $i (1 .. 10000) {
		socket my $s, Socket::AF_INET, Socket::SOCK_DGRAM, 0 or die;
		bind $s, pack_sockaddr_in(0, inet_aton('127.1.' . int($i / 200) . '.' . (1 + $i % 200))) or die;
		send $s, 'quiet', 0, $peer;
		insist($good, 'still there?') if $i % 500 == 0;
	}
	cmp_ok metric('udp_sessions_total') - $before, '>', 300, 'ten thousand addresses';
	cmp_ok metric('udp_sessions_active'), '<=', 100, 'have as many sessions as there may be';
	cmp_ok metric('udp_evicted_total'), '>', 200, 'others ended';
	is insist($good, 'b') =~ s/^a:(\d+):.*/$1/r, $port, 'a client that is really there keeps its session';
	is insist(client(2), 'echonew'), 'new', 'and new ones come in';
	$w->log_like(qr/\[alert\].* 100 UDP sessions are not enough: those that were quiet for longest give way/, 'it is logged');
	cmp_ok scalar(() = $w->log_text =~ /UDP sessions are not enough/g), '<', 10, 'once a minute';
}

# ---- a reload ----

{
	my $s = client(2, from => '127.0.0.2');
	$s->send('late go');
	ok wait_for(sub { -e $w->dir . '/go.asked' }), 'an answer that takes its time';
	my ($old) = $w->worker_pids;
	my $next = ($conf =~ s/WORKERS/2/r) =~ s/worker_shutdown_timeout 60s/worker_shutdown_timeout 100ms/r;
	ok $w->reload($next), 'a reload';
	like ask(client(2), 'new'), qr/:new$/, 'new clients are served';
	ok CORE::kill(0, $old), 'the old worker has sessions';
	$w->write('go', '');
	is get($s), 'late', 'and the answer comes by it';
	CORE::kill('TERM', $old);
	my @s = map client(2), 1 .. 20;
	like ask($_, 'x'), qr/:x$/, 'two workers' for @s;
	my @all = $w->worker_pids;
	ok $w->reload($next), 'another reload';
	like ask($_, 'y'), qr/:y$/, 'clients go on with new sessions' for @s[0 .. 3];
	ok wait_for(sub { !grep { CORE::kill(0, $_) } @all }), 'worker_shutdown_timeout ends sessions';
}

# ---- another binary ----

{
	my $old = $w->pid;
	$w->kill('USR2');
	my $new = wait_for(sub { ($w->read('weir.pid') // '') =~ /^(\d+)$/m && $1 != $old ? $1 : 0 });
	ok $new, 'USR2';
	$w->kill('QUIT');
	ok wait_for(sub { !Weir::alive($old) }), 'the old master goes';
	$w->adopt($new);
	my @s = map client(2), 1 .. 10;
	like ask($_, 'z'), qr/:z$/, 'the sockets were handed over' for @s;
}

$w->kill('TERM');
$w->stop;

# ---- the configuration ----

my $c = Weir->new;
$c->expect_alert(qr/\[emerg\]/);
sub refused
{
	my ($listen, $like, $more) = @_;
	my ($code, undef, $err) = $c->test_conf("stream {\nserver { listen $listen; return x; @{[$more // '']} }\n}");
	is $code, 1, "$listen: refused";
	like $err, $like, 'and why';
}
refused "127.0.0.1:%PORT1% udp $_", qr/weir\.conf:2:\d+: listen: "\w+" parameter is incompatible with "udp"/
    for qw(ssl so_keepalive=on proxy_protocol deferred fastopen=3 backlog=5);
refused 'unix:%DIR%/x udp', qr/not by unix sockets/;
refused '127.0.0.1:%PORT1% udp; listen 127.0.0.1:%PORT1% udp', qr/a duplicate listen/;
refused '127.0.0.1:%PORT1% upd', qr/udp/;
{
	my ($code, undef, $err) = $c->test_conf("http { server { listen %PORT1% udp; } }");
	is $code, 1, 'not in http';
}

done_testing;
