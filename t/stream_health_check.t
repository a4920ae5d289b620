#!/usr/bin/env perl
# stream_health_check.t - servers of stream are asked how they are: by TCP, by TLS, with words that are expected.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

# effect: health_check health_check_timeout match

my $w = Weir->new;
my $dir = $w->dir;
$w->expect_alert(qr/\[emerg\] .*weir\.conf:1:/);
$w->cert('root', is_ca => 1);
$w->cert('origin', ca => 'root', san => 'DNS:origin.test');

# ---- mistakes

for (
	[ 'no zone', 'upstream u { server 127.0.0.1:1; health_check; }', qr/must be in shared memory/ ],
	[ 'nothing is passed', 'server { listen 127.0.0.1:%PORT9%; return x; health_check; }', qr/there is no proxy_pass here/ ],
	[ 'variables', 'server { listen 127.0.0.1:%PORT9%; proxy_pass $remote_addr:1; health_check; }', qr/proxy_pass has variables/ ],
	[ 'no match', 'upstream u { zone z 256k; server 127.0.0.1:1; health_check match=m; }', qr/there is no match "m"/ ],
	[ 'a type of HTTP', 'upstream u { zone z 256k; server 127.0.0.1:1; health_check type=http; }', qr/unknown type "http": there are tcp, tls/ ],
	[ 'words of HTTP', 'upstream u { zone z 256k; server 127.0.0.1:1; health_check uri=/; }', qr/"uri" has no meaning with type tcp/ ],
	[ 'conditions of HTTP', 'match m { status 200; }', qr/unknown condition "status"/ ],
	[ 'no conditions', 'match m { }', qr/it has no conditions/ ],
	[ 'a match twice', 'match m { send x; } match m { send y; }', qr/duplicate match "m"/ ],
) {
	my ($name, $conf, $re) = @$_;
	my ($code, $out, $err) = $w->test_conf("stream { $conf }");
	isnt $code, 0, $name;
	like $err, $re, "$name: said";
}

# ---- servers: each says who it is; to PING what the file `says-N` tells

sub says { my ($n, $what) = @_; $w->write("says-$n.new", $what); rename "$dir/says-$n.new", "$dir/says-$n" or die }

for my $n (2, 3) {
	says($n, 'PONG');
	$w->origin($n, sub {
		my ($c) = @_;
		my $line = $c->read_until(qr/\n/) // '';
		my $says = $w->read("says-$n");
		if ($line eq "PING\n") { $c->note('ping'); $says eq 'silence' ? $c->eof : $c->send("$says\n") }
		else { $c->send($n) }
	});
}
$w->origin(4, sub { my ($c) = @_; 1 until $c->eof });

sub conf
{
	my ($check, $more) = @_;
	return <<"CONF";
worker_processes 2;
http {
	match ping { status 200; }
	upstream web { zone web 256k; server 127.0.0.1:%PORT8%; }
	server { listen 127.0.0.1:%PORT7% ssl; ssl_certificate %DIR%/origin.crt; ssl_certificate_key %DIR%/origin.key; }
	server { listen 127.0.0.1:%PORT8%; location / { proxy_pass http://web; health_check uri=/self match=ping; } location /self { return 200; } }
}
stream {
	match ping { send "PING\\n"; expect ~ "^PONG"; }
	match hello { expect hello; }
	upstream u { zone z 1m; server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	upstream refuses { zone z; server 127.0.0.1:%PORT99%; health_check; }
	upstream connects { zone z; server 127.0.0.1:%PORT4%; health_check mandatory; }
	upstream clear { zone z; server 127.0.0.1:%PORT4%; }
	upstream secure { zone z; server 127.0.0.1:%PORT7%; health_check mandatory ssl; }
	upstream tls { zone z; server 127.0.0.1:%PORT7%; health_check mandatory type=tls; }
	upstream verified { zone z; server 127.0.0.1:%PORT7%; }
	upstream other { zone z; server 127.0.0.1:%PORT7%; }
	upstream says { zone z; server 127.0.0.1:%PORT6%; }
	upstream quick { zone z; server 127.0.0.1:%PORT4%; }
	upstream patient { zone z; server 127.0.0.1:%PORT4%; }
	proxy_ssl_trusted_certificate %DIR%/root.crt;
	server { listen 127.0.0.1:%PORT1%; proxy_pass u; $check }
	server { listen 127.0.0.1:%PORT10%; proxy_pass verified; proxy_ssl on; proxy_ssl_verify on; proxy_ssl_name origin.test; health_check mandatory; }
	server { listen 127.0.0.1:%PORT11%; proxy_pass other; proxy_ssl on; proxy_ssl_verify on; proxy_ssl_name other.test; health_check mandatory; }
	server { listen 127.0.0.1:%PORT12%; proxy_pass says; proxy_protocol on; health_check mandatory match=hello; }
	server { listen 127.0.0.1:%PORT6% proxy_protocol; return hello; }
	server { listen 127.0.0.1:%PORT13%; proxy_pass quick; health_check_timeout 300ms; health_check match=hello; }
	server { listen 127.0.0.1:%PORT14%; proxy_pass patient; health_check_timeout 300ms; health_check match=hello timeout=600s; }
	server { listen 127.0.0.1:%PORT15%; proxy_pass connects; }
	server { listen 127.0.0.1:%PORT16%; proxy_pass refuses; }
	$more
}
CONF
}

sub who { my ($n) = @_; join '', map { my $c = $w->connect; $c->send("who\n"); $c->read_all } 1 .. $n }
sub sorted { join '', sort split //, $_[0] }
sub server { '127\.0\.0\.1:' . $w->port($_[0]) }

my $check = 'health_check match=ping interval=100ms fails=2 passes=2;';
$w->start(conf($check, ''));

subtest 'what is expected' => sub {
	ok wait_for(sub { $w->origin_notes(2) > 2 && $w->origin_notes(3) > 2 }), 'both are asked';
	is sorted(who(4)), '2233', 'both are healthy';
	says(2, 'no');
	ok $w->wait_log(qr/upstream "u": server ${\server(2)} is unhealthy: the connection ended without a match/), 'one is not';
	is who(4), '3333', 'it gets no connections';
	says(3, 'silence');
	ok $w->reload(conf('health_check match=ping interval=100ms timeout=300ms;', '')), 'a reload, with a timeout';
	ok $w->wait_log(qr/upstream "u": server ${\server(3)} is unhealthy: timed out while waiting for what is expected/), 'the other neither';
	is who(1), '', 'there is nobody';
	ok $w->wait_log(qr/${\server(2)} is unhealthy, ${\server(3)} is unhealthy/), 'which the log tells';
	says($_, 'PONG') for 2, 3;
	ok $w->wait_log(qr/upstream "u": server ${\server($_)} is healthy/), "$_ is back" for 2, 3;
	is sorted(who(4)), '2233', 'both get connections';
};

for ([ 'connects', 4, undef ], [ 'refuses', 99, 'connect\(\) failed \(111: Connection refused\)' ], [ 'secure', 7, undef ], [ 'tls', 7, undef ],
    [ 'verified', 7, undef ], [ 'other', 7, 'the TLS handshake failed' ], [ 'says', 6, undef ],
    [ 'quick', 4, 'timed out while waiting for what is expected' ]) {
	my ($name, $port, $why) = @$_;
	ok $w->wait_log(defined $why ? qr/upstream "$name": server ${\server($port)} is unhealthy: $why/ : qr/upstream "$name": server ${\server($port)} is healthy/),
	    "$name: " . ($why // 'healthy');
}
$w->log_unlike(qr/upstream "(?:patient|web|clear)": server \S+ is unhealthy/, 'and nobody else');

done_testing;
