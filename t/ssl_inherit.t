#!/usr/bin/perl

# What a reload takes over of certificates, keys, authorities and revocations.
#
# effect: ssl_object_cache_inheritable

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert($_) for qw(one two three other);
$w->cert('pass', pass => 'secret');
$w->cert('root', cn => 'Root', is_ca => 1);
$w->cert('root2', cn => 'Root 2', is_ca => 1);
$w->cert('client', ca => 'root');
$w->crl('root');
$w->write('words', "secret\n");

sub conf
{
	my ($flag, $more) = @_;
	my $server = sub { my ($name, $text) = @_; return "server { listen 127.0.0.1:%PORT1% ssl; server_name $name; $text return 200 \$ssl_client_verify; }\n" };
	return "$flag\nhttp {\nssl_certificate %DIR%/one.crt; ssl_certificate_key %DIR%/one.key;\n" .
	    $server->('one', '') .
	    $server->('again', 'ssl_prefer_server_ciphers on;') .
	    $server->('two', 'ssl_certificate %DIR%/two.crt; ssl_certificate_key %DIR%/two.key;') .
	    $server->('pass', 'ssl_certificate %DIR%/pass.crt; ssl_certificate_key %DIR%/pass.key; ssl_password_file %DIR%/words;') .
	    $server->('client', 'ssl_verify_client optional; ssl_client_certificate %DIR%/root.crt; ssl_crl %DIR%/root.crl;') .
	    ($more // '') . "}\n";
}
$w->start(conf('ssl_object_cache_inheritable on;'));

# Other text in the same file, with its time of modification or another.
sub change
{
	my ($file, $from, $keep) = @_;
	my $when = (stat "$dir/$file")[9];
	open my $fh, '+<', "$dir/$file" or die;
	truncate $fh, 0;
	print $fh $w->read($from);
	close $fh;
	utime $when + ($keep ? 0 : 5), $when + ($keep ? 0 : 5), "$dir/$file" or die;
}

sub name { return $w->s_client($_[0]) =~ /subject=CN = (\S+)/ ? $1 : 'none' }
sub verify { return $w->s_client('client', '-cert', "$dir/client.crt", '-key', "$dir/client.key") =~ /^(SUCCESS|FAILED.*|.*400 Bad)/m ? $1 =~ s/.*400/400/r : 'none' }

is name('one'), 'one', 'a certificate';
is name('again'), 'one', '... which another server names, too';
is name('two'), 'two', 'another';
is name('pass'), 'pass', 'a key with a password';
is verify(), 'SUCCESS', 'authorities and revocations';

change("one.$_", "three.$_", 1) for qw(crt key);
change("two.$_", "three.$_", 0) for qw(crt key);
change('root.crt', 'root2.crt', 1);
ok $w->reload, 'reload';
is name('one'), 'one', 'same file, same time: taken over';
is name('again'), 'one', '... for all';
is name('two'), 'three', 'another time: read';
is name('pass'), 'pass', 'a key with a password';
is verify(), 'SUCCESS', 'authorities: taken over';

# A new file under the name.
for (qw(crt key)) {
	my $time = (stat "$dir/one.$_")[9];
	$w->write("new.$_", $w->read("other.$_"));
	chmod 0600, "$dir/new.$_";
	utime $time, $time, "$dir/new.$_";
	rename "$dir/new.$_", "$dir/one.$_" or die;
}
ok $w->reload, 'reload';
is name('one'), 'other', 'another file with the same time: read';
is name('two'), 'three', 'the others stay';

# What failed leaves what was known, and a password is still needed where none is given.
change("two.$_", "one.$_", 1) for qw(crt key);
$w->expect_alert(qr/\[emerg\].*no ssl_password_file/);
$w->set_conf(conf('ssl_object_cache_inheritable on;', 'server { listen 127.0.0.1:%PORT2% ssl; ' .
    "ssl_certificate %DIR%/pass.crt; ssl_certificate_key %DIR%/pass.key; }\n"));
$w->kill('HUP');
$w->log_like(qr/cannot load certificate key ".*pass\.key": it has a password, and there is no ssl_password_file/, 'a server without the password');
is name('two'), 'three', '... changes nothing';

# Off: all is read.
$w->set_conf(conf('ssl_object_cache_inheritable off;'));
ok $w->reload, 'reload';
is name('two'), 'other', 'off: read in spite of the time';
is verify(), '400 Bad', '... authorities, too';
change("two.$_", "three.$_", 1) for qw(crt key);
$w->set_conf(conf(''));
ok $w->reload, 'reload';
is name('two'), 'other', 'by default it is on';
is $w->stop, 0, 'stop';
done_testing;
