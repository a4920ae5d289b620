#!/usr/bin/env perl
# conf.t - the configuration and the command line, as somebody at a terminal sees them.

use strict;
use warnings;

use Cwd qw(abs_path);
use File::Temp qw(tempdir);
use Test::More;

my $weir = abs_path($ENV{WEIR_BINARY} // 'objs/weir');
die "the server is not built\n" if !defined $weir || !-x $weir;

my $dir = tempdir('weir-conf-XXXXXX', TMPDIR => 1, CLEANUP => 1);
mkdir "$dir/logs" or die;

sub write_file {
	my ($name, $text) = @_;

	open my $f, '>:raw', "$dir/$name" or die "$dir/$name: $!";
	print $f $text;
	close $f or die;
}

sub read_file {
	my ($path) = @_;

	open my $f, '<:raw', $path or return '';
	local $/;
	return scalar(<$f>) // '';
}

# Runs the command and gives what it did: code, signal, out, err.  It has a minute.
sub weir {
	my @args = @_;
	my $pid = fork // die;

	if (!$pid) {
		chdir $dir or die;
		open STDIN, '<', '/dev/null' or die;
		open STDOUT, '>', "$dir/.out" or die;
		open STDERR, '>', "$dir/.err" or die;
		exec $weir, @args or exit 127;
	}
	eval {
		local $SIG{ALRM} = sub { die "late\n" };
		alarm 60;
		waitpid $pid, 0;
		alarm 0;
	};
	if ($@) {
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	return { code => $? >> 8, signal => $? & 127, out => read_file("$dir/.out"),
		err => read_file("$dir/.err") };
}

sub test_file {
	return weir('-t', '-p', $dir, '-e', 'error.log', '-c', @_);
}

sub test_text {
	my ($text, @more) = @_;

	write_file('test.conf', $text);
	return test_file('test.conf', @more);
}

sub good {
	my ($text, $name) = @_;
	my $r = test_text($text);

	is($r->{code}, 0, "$name: accepted") or diag($r->{err});
	return $r;
}

# Refused, with a message for each pattern.
sub bad {
	my ($text, $name, @said) = @_;
	my $r = test_text($text);
	my @missing = grep { $r->{err} !~ /$_/ } @said;

	ok($r->{code} == 1 && $r->{signal} == 0 && !@missing, "$name: refused")
	    or diag("code $r->{code}, signal $r->{signal}, not said: @missing\n",
		substr $r->{err}, 0, 4000);
	return $r;
}

my $file = qr{\Q$dir\E/test\.conf};

# ---- the words of the command line ------------------------------------------

my $r = weir('-v');
is($r->{code}, 0, '-v');
like($r->{err}, qr{^weir version: weir/\d+\.\d+\.\d+\n$}, '-v prints the version on stderr');

$r = weir('-V');
is($r->{code}, 0, '-V');
like($r->{err}, qr{^weir version: weir/}, '-V: version');
like($r->{err}, qr{^built by \S}m, '-V: compiler');
like($r->{err}, qr{^built with .*pcre2 \d}m, '-V: libraries');
like($r->{err}, qr{^running with pcre2 \d+\.\d+}m, '-V: the library that is there');
like($r->{err}, qr{^configure arguments: }m, '-V: how it was configured');

for my $help ('-h', '-?') {
	$r = weir($help);
	is($r->{code}, 0, $help);
	like($r->{err}, qr{^Usage: weir \[-\?hvVtTq\] \[-s signal\] \[-p prefix\]}m, "$help: usage");
	like($r->{err}, qr{^  -\Q$_\E}m, "$help tells of -$_") for qw(? v V t T q s p e c g);
}

for (
	[ 'invalid option: "x"', '-x' ],
	[ 'invalid option: "x"', '-tqx' ],
	[ 'invalid option: "foo"', 'foo' ],
	[ 'invalid option: "-"', '-' ],
	[ 'invalid option: ""', '' ],
	[ 'invalid option: "-s fly"', '-s', 'fly' ],
	[ 'invalid option: "-s fly"', '-sfly' ],
	[ 'option "-c" requires file name', '-c' ],
	[ 'option "-c" requires file name', '-tc' ],
	[ 'option "-c" requires file name', '-c', '' ],
	[ 'option "-e" requires file name', '-e' ],
	[ 'option "-p" requires directory name', '-p' ],
	[ 'option "-g" requires parameter', '-g' ],
	[ 'option "-s" requires parameter', '-s' ],
) {
	my ($said, @args) = @$_;

	$r = weir(@args);
	is("$r->{code} $r->{err}", "1 weir: $said\n", "weir @args");
}

# ---- -t, -T, -q, -g, -p, -c --------------------------------------------------

my $empty = "events { worker_connections 32; }\n";
my $path = "$dir/test.conf";
my $passed = "weir: the configuration file $path syntax is ok\n" .
    "weir: configuration file $path test is successful\n";

$r = good($empty, 'nearly nothing');
is($r->{err}, $passed, '-t says so on stderr');
is($r->{out}, '', '-t prints nothing on stdout');
$r = test_file('test.conf', '-q');
is("$r->{code} $r->{err}$r->{out}", '0 ', '-t -q says nothing');
$r = weir("-tqp$dir", '-ctest.conf', '-eerror.log');
is("$r->{code} $r->{err}$r->{out}", '0 ', 'options in one word, arguments behind their letter');
$r = weir('-tc', 'test.conf', '-p', "$dir/", '-e', 'error.log');
is("$r->{code} $r->{err}", "0 $passed", '-tc FILE, and a prefix that ends with a slash');
$r = weir('-t', '-c', $path, '-p', '/nowhere', '-e', "$dir/error.log");
is($r->{code}, 0, 'an absolute -c has nothing to do with the prefix') or diag($r->{err});
$r = weir('-t', '-v', '-p', $dir, '-c', 'test.conf', '-e', 'error.log');
like($r->{err}, qr{^weir version: .*\Q$passed\E$}s, '-t -v: both');

write_file('part.inc', "# part\n");
write_file('all.conf', "$empty# a\ninclude part.inc;\ninclude part.inc;\n# z");
$r = weir('-T', '-p', $dir, '-c', 'all.conf', '-e', 'error.log');
is($r->{code}, 0, '-T') or diag($r->{err});
is($r->{out}, "# configuration file $dir/all.conf:\n${empty}# a\ninclude part.inc;\n" .
    "include part.inc;\n# z\n# configuration file $dir/part.inc:\n# part\n\n",
    '-T prints every file once');
like($r->{err}, qr{test is successful}, '-T tests');
$r = weir('-Tq', '-p', $dir, '-c', 'all.conf', '-e', 'error.log');
ok($r->{err} eq '' && $r->{out} =~ /^# configuration file/, '-Tq prints only the files');

$r = test_text($empty, '-g', 'worker_processes 2; worker_priority 1;');
is($r->{code}, 0, '-g: directives before the file') or diag($r->{err});
$r = test_text("${empty}worker_processes 3;\n", '-g', 'worker_processes 2;');
is($r->{code}, 1, '-g sets, the file sets again');
like($r->{err}, qr{$file:2:1: worker_processes: "worker_processes" directive is duplicate, the first is at command line:1\n},
    '-g: the place of the first');
$r = test_text($empty, '-g', 'worker_processes 2');
like($r->{err}, qr{command line:1:1: unexpected end of parameter, expecting ";"},
    '-g wants its semicolon');
like($r->{err}, qr{^weir: configuration file \Q$path\E test failed\n}m, '-g: the test failed');
$r = test_text($empty, '-g', 'worker_proceses 2;');
like($r->{err}, qr{^    1 \| worker_proceses 2;\n      \| \^~{14}\n}m, '-g: line and caret');

$r = test_file('missing.conf');
is($r->{code}, 1, 'no file');
is($r->{err}, "weir: [emerg] open() \"$dir/missing.conf\" failed (2: No such file or directory)\n" .
    "weir: configuration file $dir/missing.conf test failed\n", 'no file: what is said');

# ---- include -----------------------------------------------------------------

mkdir "$dir/d" or die;
write_file('d/20.conf', "worker_priority 2;\n");
write_file('d/10.conf', "worker_processes 2;\n");
write_file('d/30.other', "nonsense;\n");
write_file('d/deeper.inc', "include d/10.conf;\n");
good("${empty}include d/*.conf;\n", 'include with a pattern, relative to the file');
good("${empty}include d/*.nothing; include no/such/*;\n", 'a pattern that nothing matches');
good("${empty}include $dir/d/10.conf;\n", 'include of an absolute path');
good("${empty}include d/deeper.inc;\n", 'include in an included file');
bad("${empty}include d/*;\n", 'a pattern that matches too much', qr{d/30\.other:1:1: nonsense: unknown});
bad("include d/*.conf;\ninclude d/10.conf;\n$empty", 'included twice',
    qr{d/10\.conf:1:1: worker_processes: .* is duplicate, the first is at \S+/d/10\.conf:1});
bad("${empty}include missing.inc;\nworker_proceses 2;\n", 'missing include, and what follows',
    qr{^weir: \[emerg\] $file:2:9: include: open\(\) "\Q$dir\E/missing\.inc" failed \(2: }m,
    qr{$file:3:1: worker_proceses: unknown directive "worker_proceses", did you mean "worker_processes"\?});
bad("${empty}include d;\n", 'a directory as include', qr{:2:9: include: "\Q$dir\E/d" is a directory});
bad("${empty}include test.conf;\n", 'an include loop', qr{$file:2:9: include: include loop: $file > $file\n});
write_file('ping.inc', "include pong.inc;\n");
write_file('pong.inc', "include ping.inc;\n");
bad("${empty}include ping.inc;\n", 'a loop of several',
    qr{pong\.inc:1:9: include: include loop: $file > \S+/ping\.inc > \S+/pong\.inc > \S+/ping\.inc\n});
$r = test_file('d');
is($r->{code}, 1, 'a directory as configuration');
like($r->{err}, qr{"\Q$dir\E/d" is a directory\n}, 'a directory as configuration: said');

# Root may open what it likes, but nobody can read here from the beginning.
my $unreadable = '/proc/self/mem';
if ($> != 0) {
	$unreadable = "$dir/secret.inc";
	write_file('secret.inc', '');
	chmod 0, $unreadable or die;
}
bad("${empty}include $unreadable;\n", 'a file that cannot be read',
    qr{:2:9: include: \w+\(\) "\Q$unreadable\E" failed \(\d+: \w});

# ---- S-250: the text ---------------------------------------------------------

bad("events {\n", 'no closing brace',
    qr{$file:1:1: unexpected end of file, expecting "\}" to close this "events"\n});
bad("http {\n  server {\n  }\n", 'a closing brace too few', qr{$file:1:1: .*close this "http"});
bad("$empty}\n", 'a closing brace too many', qr{$file:2:1: unexpected "\}"\n});
bad("$empty\{ }\n", 'a block without a name', qr{$file:2:1: unexpected "\{"\n});
bad("${empty}user 'nobody;\n", 'an unclosed quote',
    qr{$file:2:6: unexpected end of file, expecting the closing ' of this one\n});
bad("${empty}user \"nobody\"x;\n", 'text behind a quote', qr{$file:2:14: unexpected "x"});
bad("${empty}user nobody", 'no semicolon at the end',
    qr{$file:2:1: unexpected end of file, expecting ";" or "\{" to end "user"\n});
bad("events { worker_connections 10 }\n", 'no semicolon before a brace',
    qr{$file:1:29: directive "worker_connections" is not terminated by ";" before "\}"\n});
bad("${empty}worker_processes 1\nworker_priority 0;\n", 'no semicolon at the end of a line',
    qr{$file:2:18: worker_processes: directive "worker_processes" is not terminated by ";" before "worker_priority"\n});
bad("${empty}worker_processes\0 1;\n", 'a NUL', qr{$file:2:17: a NUL byte});
bad("\0" x 1000, 'nothing but NUL', qr{$file:1:1: a NUL byte});
good("\xef\xbb\xbf$empty", 'a BOM');
good("events\r\n{\r\n}\r\nworker_processes\r\n2;\r\n", 'CRLF');
bad("\xef\xbb\xbfevents {}\r\n\tfoo_bar 1;\r\n", 'a mistake with BOM and CRLF',
    qr{$file:2:2: foo_bar: unknown}, qr{^    2 \| \tfoo_bar 1;\n      \| \t\^~{6}\n}m);
bad(' ' x (10 << 20) . "nonsense;$empty", 'a line of 10 MB', qr{$file:1:10485761: nonsense: unknown});
bad('x' x (10 << 20) . ";$empty", 'a word of 10 MB', qr{$file:1:1: too long parameter\n});
bad("user '" . 'x' x (10 << 20) . "';$empty", 'a quoted word of 10 MB',
    qr{$file:1:6: too long parameter, probably the closing quote is missing\n});
bad('http {' x 1000 . '}' x 1000, 'a thousand blocks', qr{nested more than 100 deep});
good("# comment\n" x 100_000 . $empty, '100 000 lines');
bad($empty . "nonsense 1;\n" x 100_000, '100 000 mistakes', qr{^weir: \[emerg\] 99950 more errors\n}m);
$r = bad("$empty# " . 'x' x 1000 . "\nnonsense \x1b[31m \x07;\n", 'control characters');
unlike($r->{err}, qr{[\x00-\x08\x0b-\x1f\x7f]}, 'control characters do not reach the terminal');

# ---- S-250: directives -------------------------------------------------------

bad("${empty}sendfil on;\n", 'unknown', qr{$file:2:1: sendfil: unknown directive "sendfil"});
bad("events {}\nserver { }\n", 'in the wrong place',
    qr{$file:2:1: server: "server" directive is not allowed here, it belongs in http});
bad("events { worker_processes 1; }\n", 'of main in events',
    qr{worker_processes: "worker_processes" directive is not allowed here, it belongs in main\n});
bad("events {}\nevents {}\n", 'twice',
    qr{$file:2:1: events: "events" directive is duplicate, the first is at $file:1\n});
bad("${empty}daemon;\n", 'no argument', qr{$file:2:1: daemon: invalid number of arguments in "daemon" directive: 0, it takes 1\n});
bad("${empty}daemon on off;\n", 'too many arguments', qr{$file:2:11: daemon: invalid number of arguments in "daemon" directive: 2, it takes 1\n});
bad("${empty}daemon maybe;\n", 'a wrong word', qr{$file:2:8: daemon: invalid value "maybe", it must be "on" or "off"\n});
bad("${empty}daemon on { }\n", 'a block too much', qr{$file:2:1: daemon: directive "daemon" is not terminated by ";"});
bad("events;\n", 'no block', qr{$file:1:1: events: directive "events" has no opening "\{"\n});

# ---- S-251: numbers ----------------------------------------------------------

for (
	[ worker_processes => '2147483648', '9223372036854775808', '-1', '1k', '1.5', "''" ],
	[ worker_priority => '2147483648', '9223372036854775808', '-9223372036854775809', '0x1' ],
	[ worker_shutdown_timeout => '2147483648', '9223372036854775808', '-1', "'10 m m'", '1e9', '1h30' . '0' x 20 ],
	[ worker_rlimit_core => '9223372036854775808', '-1', '1e9g', "'10 m'", '10 m', '99999999999g' ],
) {
	my ($name, @values) = @$_;

	bad("$empty\n $name $_;\n", "$name $_", qr{$file:3:\d+: $name: \S}) for @values;
}

# ---- several at once ---------------------------------------------------------

$r = bad("worker_proceses 1;\nevents {\n\tworker_connections x;\n}\ndaemon 1;\n;\nhttp { srever { } }\n", 'several');
my @places = $r->{err} =~ /^weir: \[emerg\] $file:(\d+:\d+): /mg;
is_deeply([ sort @places ], [ '1:1', '3:21', '5:8', '6:1', '7:8' ], 'several: each in its place');
like($r->{err}, qr{^weir: \[emerg\] $file:3:21: worker_connections: invalid number "x"\n    3 \| \tworker_connections x;\n      \| \t                   \^\n}m,
    'several: the caret stands under the word');
like($r->{err}, qr{^weir: configuration file $file test failed\n\z}m, 'several: the test failed');
my $log = read_file("$dir/error.log");
like($log, qr{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[emerg\] \d+#0: $file:$_: }m, "several: $_ is in the log")
    for @places;

# ---- what the tables say -------------------------------------------------------

my $list = weir('--directives');
is($list->{code}, 0, '--directives');
my (%in, %manual, %default, %several);
for (split /\n/, $list->{out}) {
	my ($name, $module, $places) = split / /;

	$in{$name}{$_} = 1 for split /,/, $places;
}
ok($in{events}{main} && $in{server}{http}, '--directives: names and places');

my $page = weir('--manual');
is($page->{code}, 0, '--manual');
like($page->{out}, qr{^\.Dt WEIR\.CONF 5$}m, '--manual is the page');
while ($page->{out} =~ /^\.It Ic (\S+)\nSyntax:\n\.Ic \S+\n(?:\.Li "(.*)"\n)?/mg) {
	push @{ $manual{$1} }, $2 // '';
}
for my $about (split /^(?=\.It Ic )/m, $page->{out}) {
	my ($name) = $about =~ /^\.It Ic (\S+)$/m or next;

	# Names that stand in several places have several entries, and are left alone here.
	next if @{ $manual{$name} // [] } != 1;
	$several{$name} = 1 if $about =~ /^May be given several times/m;
	next if $about !~ /^Default:\n\.Li "(.*)"$/m;
	$default{$name} = $1;
	$default{$name} =~ s/\\\(dq/"/g;
	$default{$name} =~ s/\\&//g;
	$default{$name} =~ s/\\e/\\/g;
}
is_deeply([ sort keys %manual ], [ sort keys %in ], '--manual tells of every directive');

my %around = (
	main => [ '', '' ],
	events => [ 'events {', '}' ],
	http => [ 'http {', '}' ],
	server => [ 'http { server {', '} }' ],
	location => [ 'http { server { location / {', '} } }' ],
	'if-in-server' => [ 'http { server { if ($host) {', '} } }' ],
	'if-in-location' => [ 'http { server { location / { if ($host) {', '} } } }' ],
	limit_except => [ 'http { server { location / { limit_except GET {', '} } } }' ],
	upstream => [ 'http { upstream u { server 127.0.0.1:1;', '} }' ],
	stream => [ 'stream {', '}' ],
	'server-in-stream' => [ 'stream { server { listen unix:/nowhere/s.sock; return x;', '} }' ],
	'upstream-in-stream' => [ 'stream { upstream u { server 127.0.0.1:1;', '} }' ],
);

# Does this build know the blocks that lead there?
sub exists_place {
	my ($place) = @_;

	return 1 if $place eq 'main';
	for my $name ($around{$place}[0] =~ /(\w+)[^{]*\{/g) {
		return 0 if !$in{$name};
	}
	return 1;
}

# The lines of which something was said, 40 lines a run, so that none is hidden by the limit.
sub lines_said {
	my ($place, $format, @names) = @_;
	my (%said, @odd);

	while (my @some = splice @names, 0, 40) {
		my $text = join "\n", $around{$place}[0], map({ sprintf $format, $_ } @some),
		    $around{$place}[1], '';
		my $got = test_text($text);

		push @odd, "signal $got->{signal}, code $got->{code}: @some"
		    if $got->{signal} || $got->{code} > 1;
		$said{ $some[$1 - 2] } //= $2
		    while $got->{err} =~ /^weir: \[emerg\] $file:(\d+):\d+: (\S+: .*)/mg;
	}
	diag($_) for @odd;
	return (\%said, !@odd);
}

for my $place (sort grep { exists_place($_) } keys %around) {
	my @wrong = sort grep { !$in{$_}{$place} } keys %in;
	my @right = sort grep { $in{$_}{$place} } keys %in;
	my ($said, $sound) = lines_said($place, '%s;', @wrong);

	is_deeply([ grep { ($said->{$_} // '') !~ /^\Q$_\E: "\Q$_\E" directive is not allowed here/ } @wrong ],
	    [], "in $place others are not allowed");

	($said, $sound) = lines_said($place, '%s;', @right);
	my @needs = grep {
		!grep { $_ eq '' || /^\[/ } @{ $manual{$_} }
	} @right;
	is_deeply([ grep { !$said->{$_} } @needs ], [], "in $place arguments are missed");
	ok($sound, "in $place: nothing but refusals for missing arguments");

	my @defaults = grep { defined $default{$_} } @right;
	($said, $sound) = lines_said($place, '%s', map { $default{$_} } @defaults);
	is_deeply([ values %$said ], [], "in $place every default may be written");
	my @once = grep { !$several{$_} } @defaults;
	($said, $sound) = lines_said($place, '%s %1$s', map { $default{$_} } @once);
	is_deeply([ grep { ($said->{$_} // '') !~ /directive is duplicate/ } map { $default{$_} } @once ],
	    [], "in $place nothing may be written twice");

	(undef, $sound) = lines_said($place, '%s' . ' x' x 300 . ';', @right);
	ok($sound, "in $place: many arguments");
	(undef, $sound) = lines_said($place, '%s ' . 'x' x 60_000 . ';', @right);
	ok($sound, "in $place: large arguments");
	(undef, $sound) = lines_said($place, '%s { x y; %1$s 1; }', @right);
	ok($sound, "in $place: with a block");
	(undef, $sound) = lines_said($place, "%s '' 9223372036854775808 -1 \$x{ ~( *. : = / @;", @right);
	ok($sound, "in $place: odd arguments");
}

done_testing();
