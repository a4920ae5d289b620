package Weir;

# Weir.pm - what every t/*.t uses: a weir in a folder of its own, clients, origins, logs.
#
#	use lib 't/lib';
#	use Weir;
#	use Test::More;
#
#	# effect: return server_name			(directives whose effect is tested)
#	my $w = Weir->new;
#	$w->start(<<'E');				# dies with the log when it does not come up
#	http {
#		server {
#			listen 127.0.0.1:%PORT1%;
#			root %DIR%/www;
#			location / { return 200 hello; }
#		}
#	}
#	E
#	my $r = $w->get('/x', 'X-Y' => 'z');		# a Weir::Response
#	is $r->status, 200;
#	is $r->body, 'hello';
#	like $r->header('Server'), qr/weir/;
#	done_testing;
#
# Everything waits for a bounded time (10 s unless said otherwise), nothing sleeps to
# let something happen.  At the end the processes that the test started are ended, and the
# test fails when an error log has an [alert] or [emerg] line, or a sanitizer said
# something, unless the test declared it: $w->expect_alert(qr/exited on signal 9/).
#
# Environment: WEIR_BINARY (objs/weir), WEIR_KEEP=1 keeps the folders and says where they are.
#
# The object
#	dir, port(N), ports(COUNT), conf_path, log_path, pid	(ports: the first of so many in a row; pid: of the master)
#	write(NAME, TEXT [, MODE]), read(NAME)	files in dir; folders are made
#	expand(TEXT)				%DIR% %PORT1% ... %PORT99% %USER%
#	start(CONF, %opt)	args => [...], env => {...}, argv0 => NAME
#	run(ARGS...)		runs the binary to its end: (exit code, stdout, stderr)
#	test_conf(CONF)		the same for -t with this configuration
#	stop([SIGNAL])		QUIT unless told; returns the exit code
#	kill(SIGNAL)		to the master
#	reload([CONF])		true when the new generation serves, false when it was refused
#	worker_pids, keeper_pid	of the running generation (not those that retire)
#	all_pids		master and all its children
#	Weir::cpu_time(PID)	seconds of processor time; undef when the kernel does not tell
#	expect_alert(REGEX)
#	log_text([NAME]), log_lines([NAME]), log_like(REGEX, TEST NAME), log_unlike,
#	wait_log(REGEX)		waits until the error log has it; true or false
#	access([NAME], [COUNT])	lines of DIR/access.log; waits until there are COUNT
#
#	other(N, COMMAND...)	another server, which comes up on port N; its pid.  What it says goes to DIR/others
#	leave(PID)		ends it; the end of the test does so, too
#	build(FILE.c)		a program, with the compiler and the libraries that weir was built with; its path
#
#	cert(NAME, %opt)	a key and a certificate, DIR/NAME.key and DIR/NAME.crt; see there
#	crl(NAME, NAMES...)	DIR/NAME.crl, what it has revoked
#	s_client(HOST, ARGS...)	what openssl's client says of a GET / on port 1
#
# Requests (all take port => N, the number of %PORTN%; or to => [host, port]; or unix => PATH;
# tls => { sni => NAME, SSL_...=> ... } speaks TLS, with options of IO::Socket::SSL)
#	http(RAW, %opt)		sends, reads until the server closes; the text
#	get(URI, HEADERS...), request(METHOD, URI, HEADERS, BODY, %opt)   a Weir::Response;
#				they say Connection: close and Host: localhost unless told otherwise
#	connect(%opt)		a Weir::Conn
#
# Weir::Conn
#	send(BYTES)		all of them; true or false (the peer has gone)
#	response([METHOD])	reads exactly one response by its framing; undef when none came
#	read_request		reads one request: { method, uri, version, head, headers, body }
#	read_n(N), read_until(REGEX), read_all (to the end), eof (waits for the end; 1, or 0 on timeout)
#	was_reset		the connection ended with a reset
#	half_close, close, reset, fd, note(TEXT)
#
# Origins: $w->origin(N, sub { my ($c) = @_; ... }) listens on port N; the code runs in
# a process of its own for each connection, as a Weir::Conn.  $c->note("x") adds a line
# to what $w->origin_notes(N) reads.  $w->origin_stop(N).
#
# Load: my $b = $w->background(sub { my ($stop) = @_; until ($stop->()) { ... } return { ok => 3 } });
#	my $result = $b->finish;	# tells it to stop, and gives what the code returned
#
# wait_for(sub { ... }, SECONDS) is exported: calls the code until it is true.
# slack(SECONDS), too: a limit of time, which a busy machine may exceed tenfold.

use strict;
use warnings;

use Carp qw(croak confess);
use Cwd ();
use Errno qw(EAGAIN EWOULDBLOCK EINTR EINPROGRESS ECONNRESET EPIPE);
use Exporter 'import';
use Fcntl qw(:DEFAULT :flock);
use File::Path qw(make_path remove_tree);
use File::Temp ();
use IO::Handle;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h);
use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER);
use Storable ();
use Test::More ();
use Time::HiRes qw(time sleep);

our @EXPORT = qw(wait_for slack);
our $TIMEOUT = 30;

my @all;		# every Weir of this test
my %ours;		# pid => what: processes to end
my %port_locks;		# port => handle with the lock
my $owner = $$;

$SIG{PIPE} = 'IGNORE';
# So that END also tidies up after an interrupted test.  Children are ended as ever.
$SIG{$_} = sub {
	exit 1 if $$ == $owner;
	$SIG{ $_[0] } = 'DEFAULT';
	CORE::kill($_[0], $$);
} for qw(INT TERM HUP);

# A limit of time for a machine that has nothing else to do: it is ten times that where processes wait for a CPU.
sub slack
{
	my ($seconds) = @_;
	open my $f, '<', '/proc/pressure/cpu' or return 10 * $seconds;
	my ($busy) = (<$f> // '') =~ /avg10=([\d.]+)/;
	return defined $busy && $busy < 5 ? $seconds : 10 * $seconds;
}

sub wait_for
{
	my ($code, $seconds) = @_;
	my $end = time + ($seconds // $TIMEOUT);
	for (;;) {
		my $r = $code->();
		return $r if $r;
		return $r if time > $end;
		select undef, undef, undef, 0.01;
	}
}

# ---- the object --------------------------------------------------------------

sub new
{
	my ($class, %opt) = @_;
	my $binary = Cwd::abs_path($ENV{WEIR_BINARY} // 'objs/weir');
	defined $binary && -x $binary or croak 'there is no weir to test: make it, or set WEIR_BINARY';
	my $dir = File::Temp::tempdir('weir-test-XXXXXXXX', TMPDIR => 1);
	chmod 0755, $dir;
	my $self = bless { dir => $dir, binary => $binary, ports => {}, expected => [],
	    origins => {}, logs => { 'error.log' => 1 } }, $class;
	mkdir "$dir/logs" or die "mkdir: $!";
	push @all, $self;
	return $self;
}

sub dir { $_[0]{dir} }
sub binary { $_[0]{binary} }
sub conf_path { "$_[0]{dir}/weir.conf" }
sub log_path { "$_[0]{dir}/" . ($_[1] // 'error.log') }
sub pid_path { "$_[0]{dir}/weir.pid" }

# Ports below the range that the kernel gives to clients, so that no connection of another
# test can sit on one; the lock keeps parallel tests apart.
# Nobody else has it, nor will have it before this process ends.
sub take_port
{
	my ($p) = @_;
	my $locks = File::Spec->tmpdir . '/weir-test-ports-' . $>;
	mkdir $locks;
	return if $port_locks{$p};
	sysopen my $fh, "$locks/$p", O_RDWR | O_CREAT | O_NOFOLLOW or return;
	flock $fh, LOCK_EX | LOCK_NB or return;
	my $tcp = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $p, Listen => 1) or return;
	my $udp = IO::Socket::INET->new(LocalAddr => '0.0.0.0', LocalPort => $p, Proto => 'udp') or return;
	return $port_locks{$p} = $fh;
}

sub port
{
	my ($self, $n) = @_;
	return $self->{ports}{$n // 1} //= ports($self, 1);
}

sub ports
{
	my ($self, $n) = @_;
	TRY: for (1 .. 500) {
		my $first = 10000 + int rand 20000;
		take_port($_) or next TRY for $first .. $first + $n - 1;
		return $first;
	}
	die 'no free port';
}

sub expand
{
	my ($self, $text) = @_;
	my $user = getpwuid $>;
	$text =~ s/%PORT(\d+)%/$self->port($1)/ge;
	$text =~ s/%DIR%/$self->{dir}/g;
	$text =~ s/%USER%/$user/g;
	return $text;
}

sub write
{
	my ($self, $name, $text, $mode) = @_;
	my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
	(my $folder = $path) =~ s{/[^/]*$}{};
	make_path($folder);
	open my $fh, '>:raw', $path or die "$path: $!";
	print $fh $text;
	close $fh or die "$path: $!";
	chmod $mode, $path if defined $mode;
	return $path;
}

sub read
{
	my ($self, $name) = @_;
	my $path = $name =~ m{^/} ? $name : "$self->{dir}/$name";
	open my $fh, '<:raw', $path or return undef;
	local $/;
	my $text = <$fh>;
	return $text // '';
}

# What the test needs of every configuration, unless it says it itself.
sub globals
{
	my ($self, $conf) = @_;
	my $g = '';
	$g .= 'daemon off; ' unless $conf =~ /^\s*daemon\s/m;
	$g .= "pid $self->{dir}/weir.pid; " unless $conf =~ /^\s*pid\s/m;
	$g .= "error_log $self->{dir}/error.log info; " unless $conf =~ /^error_log\s/m;
	return $g;
}

sub args
{
	my ($self, $conf) = @_;
	return ('-p', "$self->{dir}/", '-c', $self->conf_path, '-e', $self->log_path,
	    '-g', $self->globals($conf));
}

sub set_conf
{
	my ($self, $conf) = @_;
	$conf = $self->expand($conf);
	$conf .= "\nevents { }\n" unless $conf =~ /^\s*events\b/m;
	$self->{conf} = $conf;
	$self->write('weir.conf', $conf);
	return $conf;
}

sub start
{
	my ($self, $conf, %opt) = @_;
	croak 'this weir runs already' if $self->{pid};
	$conf = defined $conf ? $self->set_conf($conf) : $self->{conf};
	$self->launch($conf, %opt) or die $self->why_not;
	return $self;
}

sub why_not
{
	my ($self) = @_;
	return "weir did not start\n--- stderr\n" . ($self->read('stderr') // '') .
	    "--- error log\n" . join('', map "$_\n", grep !/\[debug\]/, $self->log_lines) . "---\n";
}

# The pid of the master as the pid file says, once it runs.
sub pid_file_pid
{
	my ($self) = @_;
	my $path = $self->{conf} =~ /^\s*pid\s+([^;\s]+)\s*;/m ? $1 : $self->pid_path;
	my $text = $self->read($path) // '';
	return $text =~ /^(\d+)\n/ ? $1 : 0;
}

sub launch
{
	my ($self, $conf, %opt) = @_;
	my @cmd = ($self->{binary}, $self->args($conf), @{ $opt{args} // [] });
	my $child = $self->spawn(\@cmd, $opt{env}, $opt{argv0});
	my $daemon = $conf =~ /^\s*daemon\s+on\s*;/m;
	my $up = wait_for(sub {
		my $pid = $self->pid_file_pid;
		if (!$daemon || !$pid) {
			my $r = waitpid $child, WNOHANG;
			if ($r == $child) {
				delete $ours{$child};
				$self->{exit} = $?;
				return -1 unless $daemon && $? == 0;
				$daemon = 2;
			}
		}
		return $pid && ($daemon || $pid == $child) ? $pid : 0;
	}, $opt{timeout} // 15);
	if ($up <= 0) {
		end_pid($child) if $up == 0;
		return 0;
	}
	if ($daemon) {
		waitpid $child, 0 if $daemon != 2;
		delete $ours{$child};
		$ours{$up} = 'weir';
	}
	$self->{pid} = $up;
	$self->{daemon} = $daemon;
	return 1;
}

sub spawn
{
	my ($self, $cmd, $env, $argv0) = @_;
	my ($program, @args) = @$cmd;
	# Perl would swallow a signal that comes between fork and exec; a shell ignores QUIT for what it runs in the background.
	my $set = POSIX::SigSet->new(POSIX::SIGTERM, POSIX::SIGINT, POSIX::SIGHUP, POSIX::SIGQUIT);
	POSIX::sigprocmask(POSIX::SIG_BLOCK, $set);
	my $pid = fork // die "fork: $!";
	$SIG{$_} = 'DEFAULT' for $pid ? () : qw(TERM INT HUP QUIT);
	POSIX::sigprocmask(POSIX::SIG_UNBLOCK, $set);
	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{dir}/stdout";
		open STDERR, '>>', "$self->{dir}/stderr";
		$SIG{PIPE} = 'DEFAULT';
		$ENV{$_} = $env->{$_} for keys %{ $env // {} };
		exec { $program } $argv0 // $program, @args or POSIX::_exit(127);
	}
	$ours{$pid} = 'weir';
	return $pid;
}

sub run
{
	my ($self, @args) = @_;
	my ($out, $err) = map "$self->{dir}/run.$_", qw(out err);
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', $out;
		open STDERR, '>', $err;
		exec { $self->{binary} } $self->{binary}, @args or POSIX::_exit(127);
	}
	$ours{$pid} = 'weir';
	my $code = wait_exit($pid, 60);
	if (!defined $code) {
		end_pid($pid);
		die "weir @args did not end";
	}
	delete $ours{$pid};
	return ($code, $self->read('run.out'), $self->read('run.err'));
}

sub test_conf
{
	my ($self, $conf) = @_;
	$conf = $self->set_conf($conf);
	return $self->run($self->args($conf), '-t');
}

sub pid { $_[0]{pid} }

sub kill
{
	my ($self, $signal) = @_;
	return kill $signal, $self->{pid};
}

sub alive { CORE::kill(0, $_[0]) && (proc_stat($_[0]) // 'Z') ne 'Z' }

sub proc_stat
{
	my ($pid) = @_;
	open my $fh, '<', "/proc/$pid/stat" or return undef;
	my $line = <$fh> // return undef;
	return $line =~ /\) (\S)/ ? $1 : undef;
}

# Seconds of processor time that a process and its threads had; undef when the kernel does not tell.
sub cpu_time
{
	my ($pid) = @_;
	my $ns;
	for my $thread (glob "/proc/$pid/task/*/schedstat") {
		open my $fh, '<', $thread or next;
		$ns += (split ' ', <$fh> // '')[0] // 0;
	}
	return defined $ns ? $ns / 1e9 : undef;
}

# The exit status of a child, or undef when it does not end in time.
sub wait_exit
{
	my ($pid, $seconds) = @_;
	my $code;
	wait_for(sub {
		my $r = waitpid $pid, WNOHANG;
		$code = $r == $pid ? ($? & 127 ? -($? & 127) : $? >> 8) : $r < 0 ? 0 : undef;
		return defined $code;
	}, $seconds);
	return $code;
}

sub stop
{
	my ($self, $signal) = @_;
	my $pid = delete $self->{pid} or return;
	CORE::kill($signal // 'QUIT', $pid);
	my $code;
	if ($self->{daemon}) {
		wait_for(sub { !alive($pid) }, 20) and $code = 0;
	} else {
		$code = wait_exit($pid, 20);
	}
	if (!defined $code) {
		Test::More::diag("weir $pid did not stop");
		end_tree($pid);
		return undef;
	}
	delete $ours{$pid};
	return $code;
}

# After a binary upgrade another process is the master.
sub adopt
{
	my ($self, $pid) = @_;
	delete $ours{ $self->{pid} } if $self->{pid} && !alive($self->{pid});
	$ours{$pid} = 'weir';
	$self->{daemon} = 1;
	return $self->{pid} = $pid;
}

# ---- its processes -----------------------------------------------------------

sub children
{
	my ($pid) = @_;
	my @c;
	for my $stat (glob '/proc/[0-9]*/stat') {
		open my $fh, '<', $stat or next;
		my $line = <$fh> // next;
		push @c, $1 if $line =~ /^(\d+) \(.*\) \S (\d+) /s && $2 == $pid;
	}
	return @c;
}

sub title
{
	my ($pid) = @_;
	open my $fh, '<', "/proc/$pid/cmdline" or return '';
	local $/;
	my $t = <$fh> // '';
	$t =~ s/\0.*//s;
	return $t;
}

sub pids_titled
{
	my ($self, $re) = @_;
	my @pids = sort { $a <=> $b } grep title($_) =~ $re, children($self->{pid});
	return @pids;
}

sub worker_pids { $_[0]->pids_titled(qr/^weir: worker process\s*$/) }
sub retiring_pids { $_[0]->pids_titled(qr/^weir: worker process is shutting down/) }
sub keeper_pid { ($_[0]->pids_titled(qr/^weir: keeper process\s*$/))[0] }
sub all_pids { my @pids = ($_[0]{pid}, children($_[0]{pid})); return @pids }

# Old workers retire only when the new ones are ready, so that is what is waited for.
sub reload
{
	my ($self, $conf) = @_;
	$self->set_conf($conf) if defined $conf;
	my @before = $self->worker_pids;
	my $fails = () = $self->log_text =~ /reload failed/g;
	$self->kill('HUP');
	my $ok = wait_for(sub {
		# First the workers: those of a reload that failed may be others, too, behind the line.
		my %w = map { $_ => 1 } $self->worker_pids;
		my $now = () = $self->log_text =~ /reload failed/g;
		return -1 if $now > $fails;
		return %w && !grep($w{$_}, @before);
	}, 20);
	croak 'reload: nothing happened' unless $ok;
	return $ok > 0;
}

# ---- logs --------------------------------------------------------------------

sub expect_alert { my ($self, $re) = @_; push @{ $self->{expected} }, $re }

sub log_text { my ($self, $name) = @_; $self->read($name // 'error.log') // '' }
# Whole lines: a reader may see a long one half written.
sub log_lines { my ($self, $name) = @_; my @l = $self->log_text($name) =~ /(.*)\n/g; return @l }

sub wait_log
{
	my ($self, $re, $seconds) = @_;
	return wait_for(sub { $self->log_text =~ $re }, $seconds);
}

sub log_like
{
	my ($self, $re, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $ok = $self->wait_log($re);
	Test::More::ok($ok, $name // "log has $re") or
	    Test::More::diag(join "\n", grep !/\[debug\]/, $self->log_lines);
	return $ok;
}

sub log_unlike
{
	my ($self, $re, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::unlike($self->log_text, $re, $name // "log has not $re");
}

sub access
{
	my ($self, $name, $count) = @_;
	$name //= 'access.log';
	wait_for(sub { $self->log_lines($name) >= $count }) if defined $count;
	return $self->log_lines($name);
}

# ---- requests ----------------------------------------------------------------

sub connect
{
	my ($self, %opt) = @_;
	my $s;
	if (defined $opt{unix}) {
		$s = IO::Socket::UNIX->new(Peer => $opt{unix});
	} else {
		my ($host, $port) = $opt{to} ? @{ $opt{to} } : ('127.0.0.1', $self->port($opt{port} // 1));
		if ($host =~ /:/) {
			require IO::Socket::IP;
			$s = IO::Socket::IP->new(PeerHost => $host, PeerPort => $port);
		} else {
			$s = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port,
			    ($opt{from} ? (LocalAddr => $opt{from}) : ()), Timeout => $opt{timeout} // $TIMEOUT);
		}
	}
	return undef unless $s;
	return Weir::Conn->new($s, $opt{timeout}) unless $opt{tls};
	return Weir::Conn->over_tls($s, $opt{timeout}, %{ $opt{tls} });
}

# A certificate.  cn: its subject, NAME otherwise; san: other names, as OpenSSL writes them; ca: the NAME that
# signs it, otherwise itself; is_ca => 1; key: an algorithm, EC:P-256 otherwise; end: its last moment
# (YYYYMMDDHHMMSSZ); usage: an extendedKeyUsage; ocsp: the URL of a responder; must_staple => 1; pass: the key's password.
sub cert
{
	my ($self, $name, %opt) = @_;
	my $dir = $self->{dir};
	my ($alg, @key) = split /:/, $opt{key} // 'EC:P-256';
	my $cn = $opt{cn} // $name;
	my @pkey = $alg eq 'EC' ? ('-algorithm', 'EC', '-pkeyopt', "ec_paramgen_curve:$key[0]")
	    : $alg eq 'RSA' ? ('-algorithm', 'RSA', '-pkeyopt', "rsa_keygen_bits:$key[0]") : ('-algorithm', $alg);
	my @cipher = defined $opt{pass} ? ('-aes-128-cbc', '-pass', "pass:$opt{pass}") : ();
	my @in = defined $opt{pass} ? ('-passin', "pass:$opt{pass}") : ();
	my $ext = 'basicConstraints=critical,CA:' . ($opt{is_ca} ? 'TRUE' : 'FALSE') . "\nsubjectKeyIdentifier=hash\n";
	$ext .= "subjectAltName=$opt{san}\n" if $opt{san};
	$ext .= "extendedKeyUsage=$opt{usage}\n" if $opt{usage};
	$ext .= "tlsfeature=status_request\n" if $opt{must_staple};
	$ext .= "authorityInfoAccess=OCSP;URI:$opt{ocsp}\n" if $opt{ocsp};
	$self->write("$name.cnf", "[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=e\n[dn]\nCN=$cn\n[e]\n$ext" .
	    "[ca]\ndefault_ca=c\n[c]\ndatabase=$dir/$name.index\nunique_subject=no\nrand_serial=yes\n" .
	    "default_md=sha256\nnew_certs_dir=$dir\npolicy=p\ncrlnumber=$dir/$name.crlnumber\n[p]\ncommonName=supplied\n");
	$self->write("$name.index", '');
	$self->write("$name.crlnumber", "01\n");
	my $run = sub {
		my ($code, $out) = (0, '');
		my $pid = open my $fh, '-|' // die;
		if (!$pid) {
			open STDERR, '>&', \*STDOUT;
			exec 'openssl', @_;
			exit 127;
		}
		$out = join '', <$fh>;
		CORE::close($fh) or die "openssl @_: $out";
	};
	umask 077;
	$run->('genpkey', @pkey, @cipher, '-out', "$dir/$name.key");
	if ($opt{end}) {
		my $ca = $opt{ca} // $name;
		$run->('req', '-new', '-config', "$dir/$name.cnf", '-key', "$dir/$name.key", @in, '-out', "$dir/$name.csr");
		$run->('ca', '-batch', '-config', "$dir/$name.cnf", '-in', "$dir/$name.csr", '-keyfile', "$dir/$ca.key",
		    ($ca eq $name ? '-selfsign' : ('-cert', "$dir/$ca.crt")), '-startdate', '20200101000000Z',
		    '-enddate', $opt{end}, '-extensions', 'e', '-notext', '-out', "$dir/$name.crt");
	} else {
		$run->('req', '-x509', '-new', '-config', "$dir/$name.cnf", '-key', "$dir/$name.key", @in, '-days', 30,
		    ($opt{ca} ? ('-CA', "$dir/$opt{ca}.crt", '-CAkey', "$dir/$opt{ca}.key") : ()), '-out', "$dir/$name.crt");
	}
	umask 022;
	return "$dir/$name.crt";
}

# What `openssl s_client` says of a request for / to a server of that name: the response, and the handshake.
sub s_client
{
	my ($self, $name, @args) = @_;
	$self->write('s_client.in', "GET / HTTP/1.1\r\nHost: $name\r\nConnection: close\r\n\r\n");
	my $pid = open my $fh, '-|' // die;
	if (!$pid) {
		open STDIN, '<', "$self->{dir}/s_client.in";
		open STDERR, '>&', \*STDOUT;
		exec 'timeout', $TIMEOUT, 'openssl', 's_client', '-ign_eof', '-connect', '127.0.0.1:' . $self->port(1), '-servername', $name, @args;
		exit 127;
	}
	my $out = join '', <$fh>;
	CORE::close($fh);
	return $out;
}

# A list of what CA has revoked: the certificates of these names.
sub crl
{
	my ($self, $ca, @names) = @_;
	my @with = ('-config', "$self->{dir}/$ca.cnf", '-keyfile', "$self->{dir}/$ca.key", '-cert', "$self->{dir}/$ca.crt");
	for my $args ((map { ['-revoke', "$self->{dir}/$_.crt"] } @names),
	    ['-gencrl', '-crldays', 30, '-out', "$self->{dir}/$ca.crl"]) {
		system('openssl ca ' . join(' ', @with, @$args) . " > $self->{dir}/crl.out 2>&1") == 0
		    or die "openssl ca: " . $self->read('crl.out');
	}
	return "$self->{dir}/$ca.crl";
}

sub http
{
	my ($self, $raw, %opt) = @_;
	my $c = $self->connect(%opt) or return undef;
	$c->send($raw);
	return $c->read_all;
}

sub request
{
	my ($self, $method, $uri, $headers, $body, %opt) = @_;
	my @h = @{ $headers // [] };
	my %have = map { lc $h[$_] => 1 } grep !($_ & 1), 0 .. $#h;
	my $raw = "$method $uri HTTP/1.1\r\n";
	$raw .= "Host: localhost\r\n" unless $have{host};
	$raw .= "Connection: close\r\n" unless $have{connection};
	$raw .= 'Content-Length: ' . length($body) . "\r\n"
	    if defined $body && !$have{'content-length'} && !$have{'transfer-encoding'};
	while (my ($k, $v) = splice @h, 0, 2) {
		$raw .= "$k: $v\r\n" if defined $v;
	}
	$raw .= "\r\n" . ($body // '');
	my $c = $self->connect(%opt) or return undef;
	$c->send($raw);
	return $c->response($method);
}

sub get
{
	my ($self, $uri, @headers) = @_;
	return $self->request('GET', $uri, \@headers);
}

# ---- origins and load --------------------------------------------------------

sub origin
{
	my ($self, $n, $code, %opt) = @_;
	my $l = defined $opt{unix}
	    ? IO::Socket::UNIX->new(Local => $opt{unix}, Listen => 511)
	    : IO::Socket::INET->new(LocalAddr => $opt{host} // '127.0.0.1', LocalPort => $self->port($n),
		Listen => 511, ReuseAddr => 1);
	$l or die "origin $n: $!";
	chmod 0777, $opt{unix} if defined $opt{unix};
	my $pid = fork // die "fork: $!";
	if ($pid) {
		$ours{$pid} = 'origin';
		$self->{origins}{$n} = $pid;
		return $self->port($n);
	}
	setpgrp 0, 0;
	$SIG{CHLD} = 'IGNORE';
	my $notes = "$self->{dir}/origin-$n.notes";
	for (;;) {
		my $s = $l->accept or next;
		my $kid = fork;
		if (defined $kid && !$kid) {
			close $l;
			$SIG{CHLD} = 'DEFAULT';
			my $c = Weir::Conn->new($s);
			$c->{notes} = $notes;
			$c->{weir} = $self;
			eval { $code->($c); 1 } or warn "origin $n: $@";
			$c->close;
			POSIX::_exit(0);
		}
		close $s;
	}
}

sub origin_notes
{
	my ($self, $n, $count) = @_;
	wait_for(sub { $self->log_lines("origin-$n.notes") >= $count }) if defined $count;
	return $self->log_lines("origin-$n.notes");
}

sub origin_stop
{
	my ($self, $n) = @_;
	my $pid = delete $self->{origins}{$n} or return;
	CORE::kill('KILL', -$pid);
	end_pid($pid);
}

sub other
{
	my ($self, $port, @cmd) = @_;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$self->{dir}/others";
		open STDERR, '>>', "$self->{dir}/others";
		exec @cmd or POSIX::_exit(127);
	}
	$ours{$pid} = 'other';
	wait_for(sub { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->port($port)) })
	    or Test::More::BAIL_OUT("$cmd[0] does not come up: " . ($self->read('others') // ''));
	return $pid;
}

sub build
{
	my ($self, $source) = @_;
	my $objs = $ENV{WEIR_OBJS} // 'objs';
	my $make = $objs eq 'objs' ? 'Makefile' : "$objs/Makefile";
	my ($name) = $source =~ m{([^/]+)\.c$} or croak "build: $source";
	my %v;
	open my $fh, '<', $make or die "$make: $!";
	/^(CC|LIB_CFLAGS|LIBS) = (.*)/ and $v{$1} = $2 while <$fh>;
	my $said = `$v{CC} -std=gnu11 -O2 -w $v{LIB_CFLAGS} -o $self->{dir}/$name $source $v{LIBS} 2>&1`;
	$? == 0 or die "cannot build $source: $said";
	return "$self->{dir}/$name";
}

sub leave { my ($self, $pid) = @_; return end_pid($pid) }

sub background
{
	my ($self, $code) = @_;
	pipe my $r, my $w or die "pipe: $!";
	pipe my $stop_r, my $stop_w or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		close $r;
		close $stop_w;
		my $result = eval {
			$code->(sub { my $v = ''; vec($v, fileno $stop_r, 1) = 1; 0 < select $v, undef, undef, 0 });	# -1: a signal came
		};
		$result = { error => "$@" } if $@;
		print $w Storable::freeze(ref $result ? $result : { value => $result });
		close $w;
		POSIX::_exit(0);
	}
	close $w;
	close $stop_r;
	$ours{$pid} = 'load';
	return bless { pid => $pid, r => $r, stop => $stop_w }, 'Weir::Background';
}

# ---- the end -----------------------------------------------------------------

sub end_pid
{
	my ($pid) = @_;
	CORE::kill('TERM', $pid);
	if (!wait_for(sub { waitpid($pid, WNOHANG) != 0 }, 5) || alive($pid)) {
		CORE::kill('KILL', $pid);
		waitpid $pid, 0;
	}
	delete $ours{$pid};
}

sub end_tree
{
	my ($pid) = @_;
	my @tree = children($pid);
	end_pid($pid);
	wait_for(sub { !grep alive($_), @tree }, 3);
	CORE::kill('KILL', $_) for grep alive($_) && title($_) =~ /^weir: /, @tree;
}

sub complaints
{
	my ($self) = @_;
	my @bad;
	for my $path (glob "$self->{dir}/error*.log") {
		open my $fh, '<', $path or next;
		while (my $line = <$fh>) {
			next unless $line =~ /\[(?:alert|emerg)\]|Sanitizer/;
			next if grep $line =~ $_, @{ $self->{expected} };
			push @bad, $line;
		}
	}
	my $said = $self->read('stderr') // '';
	push @bad, $said if $said =~ /Sanitizer|runtime error:/ && !grep $said =~ $_, @{ $self->{expected} };
	return @bad;
}

END {
	if ($$ == $owner) {
		my $code = $?;
		for my $self (@all) {
			$self->stop('TERM') if $self->{pid} && alive($self->{pid});
			$self->origin_stop($_) for keys %{ $self->{origins} };
		}
		for my $pid (keys %ours) {
			$ours{$pid} eq 'weir' ? end_tree($pid) : end_pid($pid);
		}
		for my $self (@all) {
			my @bad = $self->complaints;
			if (@bad) {
				Test::More::diag("the log of weir says:\n", @bad);
				$code ||= 1;
			}
			if ($ENV{WEIR_KEEP}) {
				Test::More::diag("kept: $self->{dir}");
			} else {
				remove_tree($self->{dir});
			}
		}
		$? = $code;
	}
}

# ---- background work -----------------------------------------------------------

package Weir::Background;

sub finish
{
	my ($self) = @_;
	# A byte, not the end: processes that were forked meanwhile hold the pipe too.
	syswrite $self->{stop}, 'x';
	close $self->{stop};
	my ($text, $fh) = ('', $self->{r});
	my $end = Time::HiRes::time() + 30;
	for (;;) {
		my $v = '';
		vec($v, fileno $fh, 1) = 1;
		my $left = $end - Time::HiRes::time();
		last if $left <= 0 || !select $v, undef, undef, $left;
		last unless sysread $fh, $text, 65536, length $text;
	}
	Weir::end_pid($self->{pid});
	return length $text ? Storable::thaw($text) : { error => 'no result' };
}

sub pid { $_[0]{pid} }

# ---- a response ------------------------------------------------------------------

package Weir::Response;

sub parse_head
{
	my ($class, $head) = @_;
	my ($first, @lines) = split /\r\n/, $head;
	$first =~ m{^HTTP/(\d\.\d) (\d{3})(?: (.*))?$} or return undef;
	my $self = bless { version => $1, status => $2, reason => $3 // '', head => $head, headers => {},
	    body => '', complete => 0, trailers => {}, informational => [] }, $class;
	for (@lines) {
		push @{ $self->{headers}{ lc $1 } }, $2 if /^([^:]+):[ \t]*(.*?)[ \t]*$/;
	}
	return $self;
}

sub status { $_[0]{status} }
sub reason { $_[0]{reason} }
sub version { $_[0]{version} }
sub body { $_[0]{body} }
sub head { $_[0]{head} }		# with the status line, without the empty line
sub complete { $_[0]{complete} }	# the framing says that nothing is missing
sub informational { @{ $_[0]{informational} } }	# 1xx responses before it
sub headers_all { @{ $_[0]{headers}{ lc $_[1] } // [] } }
sub header
{
	my ($self, $name) = @_;
	my $v = $self->{headers}{ lc $name } or return undef;
	return join ', ', @$v;
}
sub trailer
{
	my ($self, $name) = @_;
	my $v = $self->{trailers}{ lc $name } or return undef;
	return join ', ', @$v;
}
sub text { "$_[0]{head}\r\n\r\n$_[0]{body}" }

# ---- a connection, of a client or of an origin --------------------------------------

package Weir::Conn;

use Errno qw(EAGAIN EWOULDBLOCK EINTR ECONNRESET EPIPE);
use Socket qw(IPPROTO_TCP TCP_NODELAY SOL_SOCKET SO_LINGER);

sub new
{
	my ($class, $sock, $timeout) = @_;
	$sock->blocking(0);
	$sock->autoflush(1);
	setsockopt $sock, IPPROTO_TCP, TCP_NODELAY, 1 if $sock->isa('IO::Socket::INET');
	return bless { s => $sock, in => '', timeout => $timeout // $Weir::TIMEOUT, eof => 0, reset => 0 },
	    $class;
}

# undef when the handshake fails; the reason is in $Weir::TLS_ERROR.
our $TLS_ERROR;
my %contexts;
sub over_tls
{
	my ($class, $sock, $timeout, %opt) = @_;
	require IO::Socket::SSL;
	my $sni = delete $opt{sni};
	$Weir::TLS_ERROR = '';
	# Making a context is slow, and it may be used again for the same options.
	my $key = join ' ', map { "$_=$opt{$_}" } sort keys %opt;
	my $ctx = $opt{SSL_reuse_ctx} // ($contexts{$key} //= IO::Socket::SSL::SSL_Context->new(SSL_verify_mode => 0,
	    SSL_cipher_list => 'DEFAULT', %opt));
	my $tls = IO::Socket::SSL->start_SSL($sock, SSL_verify_mode => 0, SSL_hostname => $sni // '',
	    Timeout => $timeout // $Weir::TIMEOUT, %opt, SSL_reuse_ctx => $ctx);
	if (!$tls) {
		$Weir::TLS_ERROR = "$IO::Socket::SSL::SSL_ERROR";
		return undef;
	}
	return $class->new($tls, $timeout);
}

sub fd { fileno $_[0]{s} }
sub socket { $_[0]{s} }
sub was_reset { $_[0]{reset} }
sub timed_out { $_[0]{timed_out} }
sub timeout { $_[0]{timeout} = $_[1] }

sub wait_io
{
	my ($self, $write, $end) = @_;
	my $left = $end - Time::HiRes::time();
	return 0 if $left <= 0;
	my $v = '';
	vec($v, fileno $self->{s}, 1) = 1;
	my $n = $write ? select undef, $v, undef, $left : select $v, undef, undef, $left;
	return $n > 0;
}

sub send
{
	my ($self, $data) = @_;
	my ($at, $end) = (0, Time::HiRes::time() + $self->{timeout});
	while ($at < length $data) {
		my $n = syswrite $self->{s}, $data, 65536, $at;
		if (defined $n) {
			$at += $n;
			next;
		}
		next if $!{EINTR};
		return 0 unless $!{EAGAIN};
		return 0 unless $self->wait_io(1, $end);
	}
	return 1;
}

# More bytes into the buffer: true, or false at the end, after a reset and on timeout.
sub fill
{
	my ($self, $end) = @_;
	return 0 if $self->{eof};
	for (;;) {
		my $n = sysread $self->{s}, $self->{in}, 262144, length $self->{in};
		return 1 if $n;
		if (!defined $n) {
			next if $!{EINTR};
			if ($!{EAGAIN}) {
				next if $self->wait_io(0, $end);
				$self->{timed_out} = 1;
				return 0;
			}
			$self->{reset} = 1;
		}
		$self->{eof} = 1;
		return 0;
	}
}

sub take
{
	my ($self, $n) = @_;
	return substr $self->{in}, 0, $n, '';
}

sub deadline { Time::HiRes::time() + $_[0]{timeout} }

sub read_n
{
	my ($self, $n) = @_;
	my $end = $self->deadline;
	while (length $self->{in} < $n) {
		$self->fill($end) or last;
	}
	return $self->take($n);
}

# Up to and including what matches; what there is when it does not come.
sub read_until
{
	my ($self, $re) = @_;
	my $end = $self->deadline;
	for (;;) {
		return $self->take($+[0]) if $self->{in} =~ $re;
		$self->fill($end) or return $self->take(length $self->{in});
	}
}

sub read_all
{
	my ($self) = @_;
	my $end = $self->deadline;
	1 while $self->fill($end);
	return $self->take(length $self->{in});
}

# Does the peer end the connection?
sub eof
{
	my ($self) = @_;
	my $end = $self->deadline;
	1 while $self->fill($end);
	return $self->{eof};
}

sub half_close { shutdown $_[0]{s}, 1 }
sub close { my ($self) = @_; CORE::close($self->{s}) if $self->{s}; $self->{eof} = 1 }

sub reset
{
	my ($self) = @_;
	setsockopt $self->{s}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
	$self->close;
}

sub note
{
	my ($self, $text) = @_;
	open my $fh, '>>', $self->{notes} or die "$self->{notes}: $!";
	syswrite $fh, "$text\n";
	CORE::close($fh);
}

sub read_head
{
	my ($self) = @_;
	my $head = $self->read_until(qr/\r\n\r\n/);
	return undef unless $head =~ s/\r\n\r\n\z//;
	return $head;
}

# Chunks up to the last; (body, trailer lines, complete).
sub read_chunked
{
	my ($self) = @_;
	my $body = '';
	for (;;) {
		my $line = $self->read_until(qr/\r\n/);
		return ($body, '', 0) unless $line =~ /^([0-9a-fA-F]+)[^\r\n]*\r\n\z/;
		my $n = hex $1;
		if ($n == 0) {
			my $t = '';
			for (;;) {
				my $l = $self->read_until(qr/\r\n/);
				return ($body, $t, 0) unless $l =~ /\r\n\z/;
				return ($body, $t, 1) if $l eq "\r\n";
				$t .= $l;
			}
		}
		my $part = $self->read_n($n + 2);
		if (length $part < $n + 2) {
			$body .= substr $part, 0, $n;
			return ($body, '', 0);
		}
		$body .= substr $part, 0, $n;
	}
}

sub response
{
	my ($self, $method) = @_;
	my (@early, $r);
	for (;;) {
		my $head = $self->read_head // return undef;
		$r = Weir::Response->parse_head($head) or return undef;
		last if $r->{status} >= 200 || $r->{status} == 101;
		push @early, $r;
	}
	$r->{informational} = \@early;
	if (($method // '') eq 'HEAD' || $r->{status} =~ /^(?:101|204|304)$/) {
		$r->{complete} = 1;
	} elsif (lc($r->header('Transfer-Encoding') // '') eq 'chunked') {
		(my $trailers, $r->{complete}) = ('', 0);
		($r->{body}, $trailers, $r->{complete}) = $self->read_chunked;
		for (split /\r\n/, $trailers) {
			push @{ $r->{trailers}{ lc $1 } }, $2 if /^([^:]+):[ \t]*(.*?)[ \t]*$/;
		}
	} elsif (defined(my $n = $r->header('Content-Length'))) {
		$r->{body} = $self->read_n($n);
		$r->{complete} = length $r->{body} == $n;
	} else {
		$r->{body} = $self->read_all;
		$r->{complete} = $self->{eof} && !$self->{reset};
	}
	return $r;
}

sub read_request
{
	my ($self) = @_;
	my $head = $self->read_head // return undef;
	my ($first, @lines) = split /\r\n/, $head;
	$first =~ m{^(\S+) (\S+) HTTP/(\d\.\d)$} or return undef;
	my $q = { method => $1, uri => $2, version => $3, head => $head, headers => {}, body => '' };
	for (@lines) {
		$q->{headers}{ lc $1 } = exists $q->{headers}{ lc $1 } ? "$q->{headers}{lc $1}, $2" : $2
		    if /^([^:]+):[ \t]*(.*?)[ \t]*$/;
	}
	if (lc($q->{headers}{'transfer-encoding'} // '') eq 'chunked') {
		($q->{body}, $q->{trailers}, $q->{complete}) = $self->read_chunked;
	} elsif (my $n = $q->{headers}{'content-length'}) {
		$q->{body} = $self->read_n($n);
		$q->{complete} = length $q->{body} == $n;
	} else {
		$q->{complete} = 1;
	}
	return $q;
}

1;
