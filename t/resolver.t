#!/usr/bin/perl

# Names that are resolved while the server runs.
#
# effect: resolver resolver_timeout

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::INET;
use Socket qw(inet_pton AF_INET6);
use Test::More;
use Weir;

my $w = Weir->new;
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);

# ---- a name server --------------------------------------------------------------

sub wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }
sub rr { my ($name, $type, $ttl, $data) = @_; return wire($name) . pack('n n N n/a', $type, 1, $ttl, $data) }
sub a { my ($name, $addr, $ttl) = @_; return rr($name, 1, $ttl // 60, pack 'C4', split /\./, $addr) }
sub aaaa { my ($name, $addr) = @_; return rr($name, 28, 60, inet_pton(AF_INET6, $addr)) }
sub cname { my ($name, $to) = @_; return rr($name, 5, 60, wire($to)) }

my %zone = (
	'one.test' => sub { $_[0] == 1 ? a('one.test', '127.0.0.1') : () },
	'short.test' => sub { $_[0] == 1 ? a('short.test', '127.0.0.1', 1) : () },
	'two.test' => sub { $_[0] == 1 ? (a('two.test', '127.0.0.2'), a('two.test', '127.0.0.3')) : () },
	'both.test' => sub { $_[0] == 1 ? a('both.test', '127.0.0.1') : aaaa('both.test', '::1') },
	'alias.test' => sub { cname('alias.test', 'one.test') },
	'inline.test' => sub { cname('inline.test', 'one.test'), $_[0] == 1 ? a('one.test', '127.0.0.1') : () },
	'loop.test' => sub { cname('loop.test', 'loop2.test') },
	'loop2.test' => sub { cname('loop2.test', 'loop.test') },
	'empty.test' => sub { () },
	'many.test' => sub { $_[0] == 1 ? map { a('many.test', "127.0.1.$_") } 1 .. 20 : () },
);

sub answer
{
	my ($q, $notes) = @_;
	return if length $q < 17;
	my ($id, $at, @name) = (unpack('n', $q), 12);
	while (my $n = unpack "x$at C", $q) { push @name, substr $q, $at + 1, $n; $at += $n + 1 }
	my $type = unpack 'x' . ($at + 1) . ' n', $q;
	my $name = lc join '.', @name;
	my $question = substr $q, 12, $at + 5 - 12;
	print $notes "$name $type\n";
	return if $name eq 'silent.test';
	return pack('n6', $id, 0x8182, 1, 0, 0, 0) . $question if $name eq 'broken.test';
	return pack('n6', $id ^ 1, 0x8180, 1, 1, 0, 0) . $question . a($name, '127.0.0.9') if $name eq 'forged.test';
	return pack('n6', $id, 0x8180, 1, 1, 0, 0) . $question . "\xc0\xff" if $name eq 'garbage.test';
	my $code = $zone{$name} or return pack('n6', $id, 0x8183, 1, 0, 0, 0) . $question;
	my @rr = $code->($type);
	return pack('n6', $id, 0x8180, 1, scalar @rr, 0, 0) . $question . join '', @rr;
}

sub serve
{
	my ($port, $notes_path, $first) = @_;
	my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1:$port", Proto => 'udp') or die "udp: $!";
	return $w->background(sub {
		my ($stop) = @_;
		open my $notes, '>>', $notes_path or die;
		$notes->autoflush(1);
		until ($stop->()) {
			my $in = '';
			vec($in, fileno $s, 1) = 1;
			select($in, undef, undef, 0.05) or next;
			my $from = $s->recv(my $q, 4096);
			my $r = answer($q, $notes);
			$r = pack('n6', unpack('n', $q), 0x8182, 1, 0, 0, 0) . substr($r, 12) if $first && defined $r;
			$s->send($r, 0, $from) if defined $r;
		}
		return {};
	});
}

my @servers = (serve($w->port(2), $w->dir . '/asked'), serve($w->port(3), $w->dir . '/asked2', 1));

$w->origin(4, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my ($host) = $q->{head} =~ /^Host: (\S*)/mi;
		my $text = "$q->{uri} $host";
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($text) . "\r\n\r\n$text") or return;
	}
});

$w->start(<<'E');
http {
	proxy_connect_timeout 300ms;
	log_format up "$uri $status $upstream_addr";
	access_log %DIR%/access.log up;
	server {
		listen 127.0.0.1:%PORT1%;
		resolver 127.0.0.1:%PORT2% ipv6=off;
		resolver_timeout 5s;
		location / { proxy_pass http://$arg_name:%PORT4%; }
		location /uri { proxy_pass http://$arg_name:%PORT4%/other; }
		location /both { resolver 127.0.0.1:%PORT2%; proxy_pass http://$arg_name:%PORT4%; }
		location /six { resolver 127.0.0.1:%PORT2% ipv4=off; proxy_pass http://$arg_name:%PORT4%; }
		location /valid { resolver 127.0.0.1:%PORT2% ipv6=off valid=1h; proxy_pass http://$arg_name:%PORT4%; }
		location /impatient { resolver 127.0.0.1:%PORT2% ipv6=off; resolver_timeout 200ms; proxy_pass http://$arg_name:%PORT4%; }
		location /second { resolver 127.0.0.1:%PORT3% 127.0.0.1:%PORT2% ipv6=off; proxy_pass http://$arg_name:%PORT4%; }
		location /page { error_page 502 = @other; proxy_pass http://$arg_name:%PORT4%; }
		location @other { proxy_pass http://one.test$arg_empty:%PORT4%; }
	}
	server {
		listen 127.0.0.1:%PORT5%;
		location / { proxy_pass http://$arg_name:%PORT4%; }
	}
}
E

sub asked { my ($name, $file) = @_; return scalar grep { /^\Q$name\E / } split /\n/, $w->read($file // 'asked') }
sub ok_from { my ($uri, $why) = @_; my $r = $w->get($uri); is $r->status, 200, $why; return $r->body }
sub bad { my ($uri, $why) = @_; is $w->get($uri)->status, 502, $why }

is ok_from('/x?name=one.test', 'a name'), '/x?name=one.test one.test:' . $w->port(4), 'Host is the name';
is asked('one.test'), 1, 'asked once';
ok_from('/x?name=ONE.test', 'once more, in another case') for 1 .. 3;
is asked('one.test'), 1, 'and not again';
ok_from('/uri?name=one.test', 'with a URI');
is asked('one.test'), 1, 'the cache is of the resolver, whoever asks';
ok_from('/valid?name=one.test', 'another resolver');
is asked('one.test'), 2, 'has a cache of its own';
ok_from('/x?name=alias.test', 'an alias');
ok_from('/x?name=inline.test', 'an alias with its addresses');
ok_from('/x?name=127.0.0.1', 'an address needs no question');
ok_from('/x?name=one.test.', 'a trailing dot');
ok_from('/both?name=both.test', 'both kinds of addresses');
bad('/six?name=both.test', 'ipv4=off: nobody listens there');
ok wait_for(sub { grep { m{^/six 502 \[::1\]:} } $w->access }), 'which is the address of the other kind';
bad('/x?name=many.test', 'many addresses where nobody is');
my $tried;
ok wait_for(sub { ($tried) = grep { m{^/x 502 .*, } } $w->access }), 'logged';
is scalar(() = $tried =~ /127\.0\.1\.\d+:/g), 20, 'all are tried';
my @first = map { bad('/x?name=two.test', 'two addresses'); ok wait_for(sub { $_ <= grep { /127\.0\.0\.[23]:/ } $w->access }), 'logged';
    (grep { /127\.0\.0\.[23]:/ } $w->access)[-1] =~ /(127\.0\.0\.[23]):/ ? $1 : '' } 1, 2;
is_deeply [ sort @first ], [ '127.0.0.2', '127.0.0.3' ], 'take turns to be first';

# time
ok_from('/x?name=short.test', 'a short TTL');
is asked('short.test'), 1, 'asked once';
ok wait_for(sub { $w->get('/x?name=short.test'); asked('short.test') >= 2 }), 'and again when it is over';
ok_from('/valid?name=short.test', 'valid=');
my $n = asked('short.test');
ok wait_for(sub { $w->get('/x?name=short.test'); asked('short.test') >= $n + 2 }), '(two more times have passed)';
my $m = asked('short.test');
ok_from('/valid?name=short.test', 'still valid');
is asked('short.test'), $m, 'instead of the TTL';

# what goes wrong
bad('/x?name=none.test', 'there is no such name');
is asked('none.test'), 1, 'asked once';
$w->log_like(qr/none\.test could not be resolved \(3: Host not found\) while resolving/, 'says the log');
bad('/x?name=none.test', 'still not');
is asked('none.test'), 1, 'which is remembered for a while';
bad('/x?name=empty.test', 'a name without addresses');
bad('/x?name=loop.test', 'aliases in a circle');
$w->log_like(qr/has more than 8 names behind one another/, 'end');
bad('/x?name=broken.test', 'a server that fails');
$w->log_like(qr/broken\.test could not be resolved \(2: Server failure\)/, 'says the log');
bad('/x?name=broken.test', 'once more');
cmp_ok asked('broken.test'), '>', 1, 'failures are not remembered';
bad('/impatient?name=silent.test', 'a server that is silent');
$w->log_like(qr/silent\.test could not be resolved \(110: Operation timed out\)/, 'resolver_timeout');
bad('/impatient?name=forged.test', 'an answer to another question');
bad('/impatient?name=garbage.test', 'an answer that is none');
bad('/x?name=' . 'a' x 300 . '.test', 'a name that is too long');
bad('/x?name=a..b', 'a name with an empty part');
ok_from('/second?name=one.test', 'the next server, when one fails');
cmp_ok asked('one.test', 'asked2'), '>=', 1, 'which was asked first' if -e $w->dir . '/asked2';
is $w->get('/page?name=none2.test')->body, '/page?name=none2.test one.test:' . $w->port(4), 'an error page may ask anew';
is $w->request('GET', '/x?name=one.test', [], undef, port => 5)->status, 502, 'no resolver';
$w->log_like(qr/no resolver defined to resolve one\.test/, 'says the log');

# many at once ask once; who leaves does not matter
my @c = map { my $c = $w->connect; $c->send("GET /x?name=fresh.both.test HTTP/1.0\r\n\r\n"); $c } 1 .. 20;
$_->reset for @c[0 .. 9];
is $_->response('GET')->status, 502, 'answered' for @c[10 .. 19];
is asked('fresh.both.test'), 1, 'many wait for one answer';
@c = map { my $c = $w->connect; $c->send("GET /x?name=silent.test HTTP/1.0\r\n\r\n"); $c } 1 .. 5;
ok wait_for(sub { asked('silent.test') > 1 }), 'asked';
ok $w->reload, 'a reload in the middle';
$_->reset for @c;
ok_from('/x?name=one.test', 'the new generation asks by itself');

for ([ 'resolver;', qr/invalid number of arguments|at least/ ],
    [ 'resolver ipv6=off;', qr/no name servers defined/ ],
    [ 'resolver 127.0.0.1 ipv4=off ipv6=off;', qr/cannot both be off/ ],
    [ 'resolver 127.0.0.1 valid=never;', qr/invalid/ ],
    [ 'resolver 127.0.0.1 vaild=1s;', qr/invalid parameter "vaild=1s"/ ],
    [ 'resolver no.such.host.invalid;', qr/host not found|in resolver/ ],
    [ 'resolver 127.0.0.1:99999;', qr/invalid address of a name server/ ]) {
	my ($rc, undef, $err) = $wrong->test_conf("http { server { listen 127.0.0.1:%PORT9%; $_->[0] } }");
	is $rc, 1, "refused: $_->[0]";
	like $err, $_->[1], 'and why';
}

$_->finish for @servers;
done_testing;
