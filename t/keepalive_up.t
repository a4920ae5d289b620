#!/usr/bin/env perl
# keepalive_up.t - connections to upstreams, kept for the next request; clients that leave.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;

# effect: keepalive keepalive_requests keepalive_timeout keepalive_time proxy_ignore_client_abort upstream

my $w = Weir->new;
$w->cert('a', san => 'DNS:a.test');

# Says which connection it is; the end of each is noted.
for my $n (2, 3) {
	$w->origin($n, sub {
		my ($c) = @_;
		$c->timeout(20);
		while (my $q = $c->read_request) {
			if ($q->{uri} =~ /wait/) {
				$c->note("waiting $q->{uri}");
				wait_for(sub { defined $c->{weir}->read('go') });
				my $v = '';
				vec($v, $c->fd, 1) = 1;
				my $wait = $q->{uri} =~ /abort/ ? 10 : 0;	# it is told of before it is done
				my $left = select($v, undef, undef, $wait) && !length($c->{in}) && !$c->fill($c->deadline);
				$c->note("then $q->{uri} " . ($left ? 'left' : 'there'));
				return if $left;
			}
			my $body = $q->{uri} =~ m{/(\d+)$} ? 'x' x $1 : $$;
			my $more = $q->{uri} =~ m{/close} ? "Connection: close\r\n" : '';
			my $version = $q->{uri} =~ m{/one} ? '1.0' : '1.1';
			$c->send("HTTP/$version 200 OK\r\nContent-Length: " . length($body) . "\r\n$more\r\n$body");
			return if $more && $q->{uri} !~ /stays/;
		}
		$c->note("end $$");
	});
}
# The first request of a connection gets its answer; with the second the connection ends, as its URI says.
$w->origin(4, sub {
	my ($c) = @_;
	$c->timeout(20);
	my $n = 0;
	while (my $q = $c->read_request) {
		$c->note("$q->{method} $q->{uri} " . length($q->{body}) . ' ' . ++$n);
		if ($n > 1) {
			return $c->reset if $q->{uri} =~ /reset/;
			$c->send('HTTP/1.1 2') if $q->{uri} =~ /cut/;
			return if $q->{uri} =~ /fin|cut/;
		}
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($$) . "\r\n\r\n$$");
		if ($q->{uri} =~ /leave/) {
			wait_for(sub { defined $c->{weir}->read('leave') });
			return $q->{uri} =~ /reset/ ? $c->reset : ();
		}
	}
});
my $conf = <<'E';
worker_processes 1;
http {
	log_format stale '$request_method $uri $status $upstream_addr $upstream_status';
	upstream plain { server 127.0.0.1:%PORT2%; }
	upstream none { server 127.0.0.1:%PORT2%; keepalive 0; }
	upstream two { server 127.0.0.1:%PORT2%; keepalive 2; }
	upstream three { server 127.0.0.1:%PORT2%; keepalive_requests 3; }
	upstream short { server 127.0.0.1:%PORT2%; keepalive_timeout 400ms; }
	upstream old { server 127.0.0.1:%PORT2%; keepalive_time 300ms; }
	upstream both { server 127.0.0.1:%PORT2%; server 127.0.0.1:%PORT3%; }
	upstream stale_tls { server 127.0.0.1:%PORT6%; }
	upstream stale { server 127.0.0.1:%PORT4%; }
	server {
		listen 127.0.0.1:%PORT5%;
		access_log %DIR%/stale.log stale;
		proxy_next_upstream off;
		location / { proxy_pass http://stale; }
		location /local { return 200; }
		location /tls { proxy_pass https://stale_tls; proxy_ssl_trusted_certificate %DIR%/a.crt; proxy_ssl_name a.test; }
	}
	# The second request of a connection ends it.
	server {
		listen 127.0.0.1:%PORT6% ssl;
		ssl_certificate %DIR%/a.crt;
		ssl_certificate_key %DIR%/a.key;
		access_log off;
		location / {
			if ($connection_requests = 2) { return 444; }
			return 200 "$connection $connection_requests $server_protocol";
		}
	}
	server {
		listen 127.0.0.1:%PORT1%;
		location / { proxy_pass http://plain; }
		location /none/ { proxy_pass http://none; }
		location /two/ { proxy_pass http://two; }
		location /three/ { proxy_pass http://three; }
		location /short/ { proxy_pass http://short; }
		location /old/ { proxy_pass http://old; }
		location /both/ { proxy_pass http://both; }
		location /bound/ { proxy_pass http://plain; proxy_bind 127.0.0.5; }
		location /address/ { proxy_pass http://127.0.0.1:%PORT2%; }
		location /var/ { proxy_pass http://127.0.0.1:%PORT2%$request_uri; }
		location /abort/ { proxy_pass http://plain; }
		location /ignore/ { proxy_pass http://plain; proxy_ignore_client_abort on; }
	}
}
E
$w->start($conf);

sub ids { my ($uri, $n) = @_; map $w->get($uri)->body, 1 .. $n }
sub different { my %h = map { $_ => 1 } @_; scalar keys %h }

subtest 'kept' => sub {
	is different(ids('/', 5)), 1, 'without a word in the configuration';
	is different(ids('/address/', 3)), 1, 'also to an address';
	is different(ids('/none/', 3)), 3, 'keepalive 0';
	is different(ids('/both/', 6)), 2, 'for each server its own';
	is different(ids('/bound/', 3)), 3, 'not when bound to an address';
	is different(ids('/close', 3)), 3, 'not when the upstream closes';
	is different(ids('/close/stays', 3)), 3, 'not when it says so';
	is different(ids('/one', 3)), 3, 'not by HTTP/1.0';
	is different(ids('/', 2)), 1;
	my ($id) = ids('/', 1);
	is length $w->get('/3000000')->body, 3000000;
	is +(ids('/', 1))[0], $id, 'also after a long body';
};

subtest 'limits' => sub {
	my @i = ids('/three/', 7);
	is $i[0] . $i[1] . $i[2], $i[0] x 3, 'keepalive_requests';
	is $i[3] . $i[4] . $i[5], $i[3] x 3;
	is different(@i), 3;
	my ($a, $begin);
	# On a machine that stalls its time may be over before the second request.
	ok wait_for(sub { ($a) = ids('/short/', 1); $begin = time; $a eq (ids('/short/', 1))[0] }), 'kept for a while';
	ok wait_for(sub { grep $_ eq "end $a", $w->origin_notes(2) }), 'keepalive_timeout';
	cmp_ok time - $begin, '>', 0.3;
	cmp_ok time - $begin, '<', slack(2);
	isnt +(ids('/short/', 1))[0], $a;
	($a) = ids('/old/', 1);
	$begin = time;
	my $last;
	ok wait_for(sub { ($last) = ids('/old/', 1); $last ne $a }), 'keepalive_time';
	cmp_ok time - $begin, '>', 0.2;
};

subtest 'keepalive: how many' => sub {
	unlink $w->dir . '/go';
	my @c = map { my $c = $w->connect; $c->send("GET /two/wait HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); $c } 1 .. 5;
	ok wait_for(sub { 5 == grep m{^waiting /two/}, $w->origin_notes(2) });
	$w->write('go', '');
	my @ids = map $_->response->body, @c;
	is different(@ids), 5;
	my %ended;
	ok wait_for(sub {
		%ended = map { $_ => 1 } grep { my $i = $_; grep $_ eq "end $i", $w->origin_notes(2) } @ids;
		return keys %ended == 3;
	}), 'the others are closed';
	my ($next) = ids('/two/', 1);
	ok !$ended{$next} && (grep $_ eq $next, @ids), 'two are kept';
};

subtest 'proxy_ignore_client_abort' => sub {
	unlink $w->dir . '/go';
	my @c = map { my $c = $w->connect; $c->send("GET $_ HTTP/1.1\r\nHost: a\r\n\r\n"); $c } '/abort/wait', '/ignore/wait';
	ok wait_for(sub { 2 == grep m{^waiting /(?:abort|ignore)/}, $w->origin_notes(2) });
	$_->close for @c;
	$w->log_like(qr/client closed the connection while waiting for the upstream.*abort/, 'one is given up');
	$w->write('go', '');
	ok wait_for(sub { 2 == grep m{^then /(?:abort|ignore)/}, $w->origin_notes(2) });
	is join(' ', sort grep m{^then /(?:abort|ignore)}, $w->origin_notes(2)),
	    'then /abort/wait left then /ignore/wait there', 'the upstream of the other goes on';
};

subtest 'an upstream that closes what was kept' => sub {
	my $lines = 0;
	my $ask = sub { $w->request($_[0], $_[1], [], $_[2], port => 5) };
	my $logged = sub { my @l = $w->access('stale.log', $lines += $_[0] // 1); return $l[$lines - 1] };
	my $addr = '127.0.0.1:' . $w->port(4);
	for my $how (qw(fin reset)) {
		for my $t ([ GET => '' ], [ PUT => 'x' x 100000 ], [ DELETE => '' ]) {
			my ($method, $body) = @$t;
			my $id = $ask->(GET => '/first')->body;
			$logged->();
			my $r = $ask->($method, "/$how", $body);
			is $r->status, 200, "$how when $method has come: once more, whatever proxy_next_upstream says";
			isnt $r->body, $id, 'by another connection';
			is $logged->(), "$method /$how 200 $addr 200", 'which is no further try';
			$ask->(GET => '/fin');
			$logged->();
		}
	}
	is scalar(grep m{^PUT /fin 100000 }, $w->origin_notes(4)), 2, 'with all of the body';
	$ask->(GET => '/first');
	is $ask->(POST => '/fin', 'x')->status, 502, 'POST is not done twice';
	is scalar(grep(m{^POST /fin }, $w->origin_notes(4))), 1;
	$ask->(GET => '/first');
	is $ask->(GET => '/cut')->status, 502, 'nor is what was begun to be answered';
	$w->log_unlike(qr/temporarily disabled/);
	$logged->(4);

	my ($first) = split ' ', $ask->(GET => '/tls')->body;
	my $text = $ask->(GET => '/tls')->body;
	like $text, qr{^\d+ 1 HTTP/1\.1$}, 'over TLS: once more';
	isnt +(split ' ', $text)[0], $first, 'by another connection';

	# the end comes while the link is idle, or just before the request, in the same turn
	for my $how (qw(leave leave-reset)) {
		unlink $w->dir . '/leave';
		my $id = $ask->(GET => "/$how")->body;
		my ($worker) = $w->worker_pids;
		my $c = $w->connect(port => 5);
		$c->send("GET /local HTTP/1.1\r\nHost: a\r\n\r\n");
		$c->response;
		kill STOP => $worker;
		$c->send("POST /last HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx");
		$w->write('leave', '');
		ok wait_for(sub { !kill 0 => $id }), 'the upstream has left';
		kill CONT => $worker;
		is $c->response->status, 200, "$how: a link whose end has come does not get a POST";
	}
};

subtest 'a reload ends what is idle' => sub {
	my ($id) = ids('/', 1);
	ok $w->reload;
	ok wait_for(sub { grep $_ eq "end $id", $w->origin_notes(2) });
	isnt +(ids('/', 1))[0], $id;
};

is $w->stop, 0;
done_testing;
