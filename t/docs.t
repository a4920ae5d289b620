#!/usr/bin/perl
# docs.t - what the documents name exists, and the committed manual is what the tables say.

use strict;
use warnings;
use Test::More;

my $weir = $ENV{WEIR_BINARY} // 'objs/weir';
my %known = map { (split)[0] => 1 } `$weir --directives`;
ok scalar(keys %known) > 100, 'weir tells its directives';

sub slurp { local (@ARGV, $/) = ($_[0]); return <> }

for my $doc (qw(README.md HACKING.md SECURITY.md)) {
	my $text = slurp($doc);
	for my $path ($text =~ /`(?:\.\/)?((?:conf|contrib|core|doc|http|man|modules|src|t)\/[\w.\/-]*\w\/?)[ `]/g) {
		ok -e $path || -e "src/$path", "$doc: $path exists";
	}
	for my $word ($text =~ /`([a-z]+(?:_[a-z]+)+)`/g) {
		next if $word =~ /^links_take|^links_return|^weir_|^is_field_value|_$|^on_|^mem_/;
		ok $known{$word}, "$doc: $word is a directive";
	}
	for my $file ($text =~ /\| ((?:core|http|modules)\/[\w\/]+\.[ch])/g) {
		ok -e "src/$file", "$doc: $file exists";
	}
}

is `$weir --manual`, slurp('man/weir.conf.5'), 'man/weir.conf.5 is current (make man)';
SKIP: {
	skip 'no groff', 1 if system('command -v groff > /dev/null 2>&1') != 0;
	is join('', map { `groff -mdoc -Tascii -ww $_ 2>&1 > /dev/null` } qw(man/weir.8 man/weir.conf.5)), '',
	    'the manual pages are well-formed';
}
done_testing;
