#!/usr/bin/perl
# hardening.t - S-287, S-284: how the binary was built, and what the systemd unit takes away.

use strict;
use warnings;
use Test::More;

my $weir = $ENV{WEIR_BINARY} // 'objs/weir';
my $head = `readelf -hW $weir`;
my $segments = `readelf -lW $weir`;
my $dynamic = `readelf -dW $weir`;
my $symbols = `readelf -sW --dyn-syms $weir`;

like $head, qr/Type:\s+DYN/, 'position independent';
like $segments, qr/GNU_RELRO/, 'relocations become read-only';
like $dynamic, qr/BIND_NOW|FLAGS_1.*NOW/, 'all of them, at the start';
my ($stack) = $segments =~ /(GNU_STACK.*)/;
unlike $stack, qr/E\s+0x/, 'the stack cannot be executed';
like $symbols, qr/__stack_chk_fail/, 'stack protector';
SKIP: {
	skip 'a sanitizer build', 1 if $symbols =~ /__asan_init/;
	like $symbols, qr/__\w+_chk\b/, 'fortified calls';
}

open my $f, '<', 'contrib/weir.service' or die;
my $unit = join '', <$f>;
like $unit, qr/^$_/m, $_ for qw(
	Type= ProtectSystem=strict PrivateDevices=yes ProtectKernelTunables=yes ProtectKernelModules=yes
	ProtectControlGroups=yes RestrictAddressFamilies= SystemCallFilter= CapabilityBoundingSet=
	NoNewPrivileges=yes);
done_testing;
