#!/usr/bin/env perl
# effects.t - does every directive have a test that fails when it has no effect?
#
# Such a test says so in its file, in a line `# effect: name name ...`.

use strict;
use warnings;

use Test::More tests => 2;

my $weir = $ENV{WEIR_BINARY} // 'objs/weir';
my %place = map { /^(\S+) (\S+) (\S+)$/ ? ($1 => "$2: $1 ($3)") : () } `$weir --directives`;
ok(scalar(keys %place), 'weir tells its directives');

my $dir = $0 =~ s{[^/]*$}{}r || '.';
my %tested;
for my $file (glob "$dir/*.t") {
	open my $f, '<', $file or die "$file: $!";
	while (<$f>) {
		$tested{$_} = 1 for /^\s*#\s*effect:\s*(.*)/ ? split ' ', $1 : ();
	}
}

my @missing = sort map { $place{$_} } grep { !$tested{$_} } keys %place;
is(scalar @missing, 0, 'every directive has a test of its effect')
    or diag("no `# effect:` line names:\n", map { "  $_\n" } @missing);
