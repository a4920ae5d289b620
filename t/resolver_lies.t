#!/usr/bin/env perl
# resolver_lies.t - S-153: name servers that lie, are slow, send garbage or too much; TCP; what is kept, and for how long.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::Dns;
use Weir::Metrics;

# effect: resolver resolver_negative_ttl

my $w = Weir->new;
my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Proto => 'udp') or die "udp: $!";
my $here = '127.0.0.1';
my $nowhere = '127.0.0.9';

sub one { my ($name, $type) = @_; return { answer => [ $type == 1 ? a($name, $here) : () ] } }
sub chain { my ($n, $name) = @_; return map { cname($_ == 1 ? $name : "c$_.$name", 'c' . ($_ + 1) . ".$name") } 1 .. $n }
sub junk { my ($n) = @_; return join '', map { chr int rand 256 } 1 .. $n }

my %zone = (
	'one.test' => \&one,
	# another name's
	'foreign.test' => sub { return { answer => [ a('bank.test', $nowhere) ], additional => [ a('foreign.test', $here) ] } },
	'mixed.test' => sub { return { answer => [ a('bank.test', $nowhere), a('mixed.test', $here), aaaa('mixed.test', '::9') ] } },
	'bank.test' => \&one,
	# from somewhere else, with another number, about another question: and then the right one
	'port.test' => sub { return { %{ one(@_) }, from => $other, first => { answer => [ a('port.test', $nowhere) ] } } },
	'number.test' => sub { return { %{ one(@_) }, first => { id => sub { $_[0] ^ 1 }, answer => [ a('number.test', $nowhere) ] } } },
	'question.test' => sub {
		return { %{ one(@_) }, first => { raw => sub { my ($q) = @_; my $r = $q =~ s/\x08question/\x08questiom/r;
			return substr($r, 0, 2) . pack('n5', 0x8180, 1, 1, 0, 0) . substr($r, 12) . a('question.test', $nowhere) } } };
	},
	# aliases
	'short.test' => sub { return { answer => [ reverse(chain(3, 'short.test')), a('c4.short.test', $here) ] } },
	'hundred.test' => sub { return { answer => [ chain(100, 'hundred.test'), a('c101.hundred.test', $here) ] } },
	'circle.test' => sub { return { answer => [ cname('circle.test', 'b.test'), cname('b.test', 'circle.test') ] } },
	'self.test' => sub { return { answer => [ cname('self.test', 'self.test') ] } },
	# long
	'long.test' => sub {
		my ($name, $type, $proto) = @_;
		return { tc => 1 } if $proto eq 'udp';
		return { answer => [ (map { aaaa("other$_.test", '::1') } 1 .. 30), a('long.test', $here) ], step => 1 };
	},
	'crowd.test' => sub {
		my ($name, $type, $proto) = @_;
		return { tc => 1, answer => [ map { a('crowd.test', "127.1.0.$_") } 1 .. 9 ] } if $proto eq 'udp';
		return { answer => [ map { a('crowd.test', '127.0.' . ($_ >> 8) . '.' . ($_ & 255)) } 1 .. 1000 ] };
	},
	'cut.test' => sub { my ($name, $type, $proto) = @_; return $proto eq 'udp' ? { tc => 1 } : { %{ one(@_) }, wire => sub { substr $_[0], 0, 20 } } },
	'empty.test' => sub { my ($name, $type, $proto) = @_; return $proto eq 'udp' ? { tc => 1 } : { raw => sub { '' } } },
	# nonsense
	'loop.test' => sub { return { raw => sub { substr($_[0], 0, 2) . pack('n5', 0x8180, 1, 1, 0, 0) . substr($_[0], 12) . pack('n n n N n', 0xc000 | length $_[0], 1, 1, 1, 4) . 'aaaa' } } },
	'junk.test' => sub { return { raw => sub { junk(1 + int rand 600) } } },
	'junk2.test' => sub { return { raw => sub { substr($_[0], 0, 2) . pack('n5', 0x8180, 1, 9, 9, 9) . substr($_[0], 12) . junk(300) } } },
	# one kind of addresses only
	'half.test' => sub { return $_[1] == 28 ? undef : one(@_) },
	'fails6.test' => sub { return $_[1] == 28 ? { rcode => 2 } : one(@_) },
	# there is none
	'gone.test' => sub { return { rcode => 3, authority => [ soa('test', 3600, 3600) ] } },
	'brief.test' => sub { return { rcode => 3, authority => [ soa('test', 3600, 1) ] } },
	'nothing.test' => sub { return { authority => [ soa('test', 1, 3600) ] } },
	'dangling.test' => sub { return { rcode => 3, answer => [ cname('dangling.test', 'no.test') ], authority => [ soa('test', 3600, 3600) ] } },
	# until it is told to fail
	'stale.test' => sub { return -e $w->dir . '/down' ? undef : { answer => [ a('stale.test', $here, 1) ] } },
	'fresh.test' => sub { return -e $w->dir . '/down' ? { rcode => 2 } : { answer => [ a('fresh.test', $here, 1) ] } },
	'left.test' => sub { return -e $w->dir . '/down' ? { rcode => 3 } : { answer => [ a('left.test', $here, 1) ] } },
);

my $dns = Weir::Dns->new($w, 2, sub { my $code = $zone{ $_[0] } or return { rcode => 3 }; return $code->(@_) });
# one that is there, and says nothing
my $silent = Weir::Dns->new($w, 3, sub { return });

$w->start(<<'E');
worker_processes 1;
http {
	proxy_connect_timeout 300ms;
	proxy_next_upstream_tries 3;
	log_format up "$uri $status $upstream_addr";
	access_log %DIR%/access.log up;
	server { listen 127.0.0.1:%PORT4%; location / { access_log off; return 200 here; } }
	server {
		listen 127.0.0.1:%PORT1%;
		resolver 127.0.0.1:%PORT2% ipv6=off;
		resolver_timeout 600s;
		location / { proxy_pass http://$arg_n:%PORT4%; }
		location /both { resolver 127.0.0.1:%PORT2%; proxy_pass http://$arg_n:%PORT4%; }
		location /tcp { resolver 127.0.0.1:%PORT2% ipv6=off tcp=on; proxy_pass http://$arg_n:%PORT4%; }
		location /dead { resolver 127.0.0.1:%PORT3% 127.0.0.1:%PORT2% ipv6=off; proxy_pass http://$arg_n:%PORT4%; }
		location /forget { resolver_negative_ttl 0; proxy_pass http://$arg_n:%PORT4%; }
		location /soon { resolver_negative_ttl 1s; proxy_pass http://$arg_n:%PORT4%; }
		location /long { resolver_negative_ttl 1h; proxy_pass http://$arg_n:%PORT4%; }
		location /impatient { resolver_timeout 500ms; proxy_pass http://$arg_n:%PORT4%; }
		location /stale { resolver 127.0.0.1:%PORT2% ipv6=off stale=1h status_zone=old; proxy_pass http://$arg_n:%PORT4%; }
		location /sour { resolver 127.0.0.1:%PORT2% ipv6=off stale=2s; proxy_pass http://$arg_n:%PORT4%; }
		location /metrics { metrics; }
	}
}
E

sub get { my ($uri, $n) = @_; return $w->get("$uri?n=$n") }
sub found { my ($uri, $n, $why) = @_; is get($uri, $n)->status, 200, $why // "$n is found" or diag $w->log_text; return }
sub lost { my ($uri, $n, $why) = @_; is get($uri, $n)->status, 502, $why // "$n is not"; return }

subtest 'other names' => sub {
	lost('/', 'foreign.test', 'addresses of another name are no answer');
	found('/', 'mixed.test', 'those of the name are');
	found('/', 'bank.test', 'and the other name is not known by that');
	is $dns->asked('bank.test'), 1;
};

subtest 'forgeries' => sub {
	found('/', "$_.test", "then the true one: $_") for qw(port number question);
	ok wait_for(sub { 5 <= grep { m{^/ 200} } $w->access }), 'logged';
	is scalar(grep { /\Q$nowhere\E/ } $w->access), 0, 'nobody went where forged answers say';
};

subtest 'aliases' => sub {
	found('/', 'short.test', 'three, in any order');
	is $dns->asked('short.test'), 1, 'in one answer';
	for my $n (qw(hundred circle self)) {
		lost('/', "$n.test");
		$w->log_like(qr/"$n\.test" has more than 8 names behind one another/, $n);
	}
	is $dns->asked('c2.hundred.test'), 0, 'nobody asks on';
};

subtest 'tcp' => sub {
	found('/', 'long.test', 'what was cut is asked for by TCP, and comes byte by byte');
	is $dns->asked('long.test', 'tcp'), 1;
	get('/', 'crowd.test');
	$w->log_like(qr/"crowd\.test" has more than 256 addresses: the others are not used/, 'a thousand addresses');
	lost('/impatient', 'cut.test', 'a connection that stays in the middle of an answer');
	lost('/impatient', 'empty.test', 'an answer of no bytes');
	found('/tcp', 'one.test', 'tcp=on');
	is $dns->asked('one.test', 'udp'), 0, 'not by UDP';
	is $dns->asked('one.test', 'tcp'), 1, 'but by TCP';
	found('/', 'one.test', 'tcp=off');
	is $dns->asked('one.test', 'udp'), 1;
};

subtest 'nonsense' => sub {
	lost('/impatient', "$_.test") for qw(loop junk junk2);
	found('/', 'one.test', 'it goes on');
};

subtest 'half an answer' => sub {
	my $t = time;
	found('/both', 'half.test', 'addresses of the other kind do not come');
	cmp_ok time - $t, '<', slack(2), 'nobody waits for them for long';
	lost('/both', 'fails6.test', 'a failure is one of the name, as with nginx');
};

subtest 'none' => sub {
	my $n = sub { my ($name) = @_; return $dns->asked($name) };
	lost('/long', $_) for ('gone.test') x 3, ('dangling.test') x 2;
	is $n->('gone.test'), 1, 'is remembered';
	is $n->('dangling.test'), 1, 'also for what an alias has';
	is $n->('no.test'), 0;
	lost('/forget', 'gone.test') for 1 .. 3;
	is $n->('gone.test'), 4, 'resolver_negative_ttl 0';
	for (['/soon', 'gone.test', 'resolver_negative_ttl'], ['/long', 'brief.test', 'the minimum of the zone'],
	    ['/long', 'nothing.test', 'the TTL of its SOA']) {
		my ($uri, $name, $why) = @$_;
		lost($uri, $name);
		my $before = $n->($name);
		ok wait_for(sub { get($uri, $name); $n->($name) > $before }), "$why says how long";
	}
};

subtest 'a dead server' => sub {
	found('/dead', 'one.test', 'beside one that lives');
	is $silent->asked('one.test'), 1, 'was asked, too';
};

subtest 'stale' => sub {
	for my $uri (qw(/stale /sour)) {
		found($uri, "$_.test") for qw(stale fresh left);
	}
	found('/', 'fresh.test');
	$w->write('down', '');
	ok wait_for(sub { get('/', 'fresh.test')->status == 502 }), 'without stale=';
	ok wait_for(sub { get('/stale', 'left.test')->status == 502 }), 'that there is none counts';
	my $asked = $dns->asked('stale.test');
	found('/stale', $_) for ('stale.test', 'fresh.test') x 3;
	ok wait_for(sub { get('/stale', 'stale.test'); $dns->asked('stale.test') > $asked }), 'it is asked for';
	ok wait_for(sub { get('/sour', 'fresh.test')->status == 502 }), 'the time is over';
	unlink $w->dir . '/down';
	ok wait_for(sub { get('/sour', 'fresh.test')->status == 200 }), 'it is there again';
};

subtest 'metrics' => sub {
	my $m = Weir::Metrics->parse($w->get('/metrics')->body);
	my $v = sub { my ($name, %l) = @_; return $m->value("weir_resolver_$name", %l) // 0 };
	cmp_ok $v->('lookups_total', resolver => 'old', from => 'stale'), '>', 0, 'stale';
	cmp_ok $v->('lookups_total', resolver => 'default', from => 'cache'), '>', 0, 'from the cache';
	cmp_ok $v->('lookups_total', resolver => 'default', from => 'answer'), '>', 10, 'from answers';
	cmp_ok $v->('answers_total', resolver => 'default', result => 'found'), '>', 5, 'found';
	cmp_ok $v->('answers_total', resolver => 'default', result => 'none'), '>', 5, 'none';
	cmp_ok $v->('answers_total', resolver => 'default', result => 'failed'), '>', 2, 'failed';
	cmp_ok $v->('questions_total', resolver => 'default'), '>', 20, 'questions';
	is_deeply [ $m->complaints ], [], 'well-formed';
};

subtest 'mistakes' => sub {
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	for (['resolver 127.0.0.1 stale=never', qr/invalid/], ['resolver 127.0.0.1 tcp=maybe', qr/"on"|invalid/],
	    ['resolver 127.0.0.1 status_zone=', qr/status_zone is empty/], ['resolver_negative_ttl often', qr/invalid/]) {
		my ($rc, undef, $err) = $bad->test_conf("http { server { listen 127.0.0.1:%PORT9%; $_->[0]; } }");
		is $rc, 1, $_->[0];
		like $err, $_->[1];
	}
};

$_->stop for $dns, $silent;
done_testing;
