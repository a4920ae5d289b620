#!/usr/bin/env perl
# resolver_https.t - names that are asked for by DNS over HTTPS (RFC 8484).

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;
use Weir::Dns;

# effect: resolver

my $w = Weir->new;		# asks
my $f = Weir->new;		# TLS in front of the servers
$f->expect_alert(qr/exited on signal 9/);

# ---- servers ------------------------------------------------------------------------

# Every name is here; "none" is not, "short" for a moment only.  The path says what is wrong with the answer.
my $zone = sub {
	my ($name, $type) = @_;
	return { rcode => 3, authority => [ soa('test', 3600, 3600) ] } if $name =~ /none/;
	return { answer => [ cname($name, "to.$name"), ] } if $name =~ /^alias/;
	return { answer => [ $type == 1 ? a($name, '127.0.0.1', $name =~ /short/ ? 1 : 3600) : () ] };
};
my %way = (
	'/dns-query' => sub { },
	'/path' => sub { },
	'/500' => sub { $_[0]{status} = '500 Oh' },
	'/302' => sub { $_[0]{status} = '302 There'; $_[0]{head} = "Location: /dns-query\r\n" },
	'/type' => sub { $_[0]{type} = 'text/html' },
	'/typed' => sub { $_[0]{type} = 'Application/DNS-Message; x=y' },
	'/silent' => sub { delete $_[0]{status} },
	'/garbage' => sub { $_[0]{body} = 'x' x 50 },
	'/nothing' => sub { $_[0]{body} = '' },
	'/other' => sub { $_[0]{body} =~ s/\x04test/\x04tesd/ },
	'/number' => sub { substr $_[0]{body}, 0, 2, "\1\1" },
	'/question' => sub { substr $_[0]{body}, 2, 1, "\1" },
	'/refused' => sub { substr $_[0]{body}, 3, 1, "\x85" },
	'/old' => sub { $_[0]{head} = "Age: 3600\r\n" },
	'/cut' => sub { $_[0]{length} = 500 },
	'/drip' => sub { $_[0]{step} = 1 },
);

$f->origin(5, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my ($name, $type) = Weir::Dns::parse($q->{body});
		my %h = map { lc($_) => $q->{head} =~ /^$_: (.*?)\r?$/mi } qw(Host Accept Content-Type);
		$c->note("$q->{uri} $q->{method} $name $type $h{host} $h{accept} $h{'content-type'} " . unpack 'n', $q->{body});
		if ($q->{uri} eq '/endless') {
			$c->send("HTTP/1.1 200 OK\r\nContent-Type: application/dns-message\r\n\r\n");
			1 while $c->send('x' x 16384);
			return;
		}
		my %a = (status => '200 OK', type => 'application/dns-message', head => '', body => Weir::Dns::reply($q->{body}, $zone, 'https'));
		$way{ $q->{uri} }->(\%a);
		if (!$a{status}) {
			$c->eof;
			return;
		}
		my $text = "HTTP/1.1 $a{status}\r\nContent-Type: $a{type}\r\n$a{head}Content-Length: " .
		    ($a{length} // length $a{body}) . "\r\n\r\n";
		$c->send($text);
		if ($a{step}) {
			$c->send($_) for split //, $a{body};
		} else {
			$c->send($a{body});
		}
		return if $a{length};
	}
});

sub asked { my ($path, $name) = @_; return scalar grep { /^\Q$path\E POST \Q$name\E / } $f->origin_notes(5) }

$f->cert('ca', is_ca => 1);
$f->cert('server', ca => 'ca', san => 'DNS:dns.test,IP:127.0.0.1');
$f->cert('stranger', san => 'DNS:dns.test,IP:127.0.0.1');

my $front = <<'CONF';
worker_processes 1;
http {
	log_format f "$server_port $server_protocol $connection $connection_requests $uri";
	access_log %DIR%/access.log f;
	server {
		listen 127.0.0.1:%PORT6% ssl;
		http2 on;
		ssl_certificate server.crt;
		ssl_certificate_key server.key;
		location / { proxy_pass http://127.0.0.1:%PORT5%; proxy_set_header Host $http_host; proxy_buffering off; }
	}
	server {
		listen 127.0.0.1:%PORT7% ssl;
		ssl_certificate server.crt;
		ssl_certificate_key server.key;
		location / { proxy_pass http://127.0.0.1:%PORT5%; proxy_set_header Host $http_host; }
	}
	server {
		listen 127.0.0.1:%PORT8% ssl;
		http2 on;
		ssl_certificate stranger.crt;
		ssl_certificate_key stranger.key;
		location / { proxy_pass http://127.0.0.1:%PORT5%; }
	}
	server { listen 127.0.0.1:%PORT4%; location / { return 200 plain; } }
}
CONF
$f->start($front);

# One that takes connections, and says nothing.
my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or die "listen: $!";
my ($h2, $h1, $stranger, $plain, $nobody) = map $f->port($_), 6, 7, 8, 4, 9;
my ($mute_port, $ca) = ($mute->sockport, $f->dir . '/ca.crt');

my @bad = qw(500 302 type silent garbage nothing other number question refused endless cut);
my $at = "bootstrap=127.0.0.1 ipv6=off trusted_certificate=$ca";
my $url = "https://dns.test:$h2";
my $places = join '', map {
	my ($place, $servers) = @$_;
	"location /$place { resolver $servers; proxy_pass http://\$arg_n:%PORT4%; }\n";
} ([ one => "$url/dns-query $at" ],
    [ path => "'$url/path{?dns}' $at" ],
    [ dflt => "https://127.0.0.1:$h2 ipv6=off trusted_certificate=$ca" ],
    [ both => "$url/dns-query bootstrap=127.0.0.1 trusted_certificate=$ca" ],
    [ http1 => "https://dns.test:$h1/dns-query $at" ],
    [ typed => "$url/typed $at" ],
    [ drip => "$url/drip $at" ],
    [ old => "$url/old $at" ],
    [ fresh => "$url/path $at" ],
    [ stranger => "https://dns.test:$stranger/dns-query $at" ],
    [ lax => "https://dns.test:$stranger/dns-query bootstrap=127.0.0.1 ipv6=off verify=off" ],
    [ name => "https://other.test:$h2/dns-query $at" ],
    [ system => "$url/dns-query bootstrap=127.0.0.1 ipv6=off" ],
    [ clear => "https://dns.test:$plain/dns-query $at" ],
    [ nobody => "https://dns.test:$nobody/dns-query $at" ],
    [ beside => "https://dns.test:$nobody/dns-query bootstrap=127.0.0.1 $url/500 bootstrap=127.0.0.1 " .
	"$url/refused bootstrap=127.0.0.1 $url/dns-query $at" ],
    [ mute => "https://dns.test:$mute_port/ bootstrap=127.0.0.1 $url/dns-query $at" ],
    [ where => "$url/dns-query bootstrap=127.0.0.9 $at" ],
    map [ "bad-$_" => "$url/$_ $at" ], @bad);

$w->start(<<"CONF");
worker_processes 1;
http {
	upstream names { zone z 1m; resolver $url/dns-query $at; server some.test:%PORT4% resolve; }
	server { listen 127.0.0.1:%PORT4%; location / { return 200 here; } }
	server {
		listen 127.0.0.1:%PORT1%;
		resolver_timeout 600s;
		$places
		location /names { proxy_pass http://names; }
	}
}
CONF

sub found { my ($place, $n, $why) = @_; is $w->get("/$place?n=$n")->status, 200, $why // "$place: $n is found" or diag $w->log_text; return }
sub lost { my ($place, $n, $why) = @_; is $w->get("/$place?n=$n")->status, 502, $why // "$place: $n is not"; return }
# How many connections of the port carried questions, once `n` of them are logged.
sub connections
{
	my ($port, $n) = @_;
	my @lines;
	ok wait_for(sub { @lines = grep { /^$port / } $f->access; @lines >= $n }), 'logged';
	return scalar keys %{ { map { (split ' ')[2] => 1 } @lines } };
}

subtest 'questions' => sub {
	found('one', 'a.test');
	my ($note) = grep { / a\.test / } $f->origin_notes(5, 1);
	is $note, "/dns-query POST a.test 1 dns.test:$h2 application/dns-message application/dns-message 0", 'what goes out';
	found('one', 'A.test', 'once more');
	is asked('/dns-query', 'a.test'), 1, 'from the cache';
	found('one', $_) for map "b$_.test", 1 .. 20;
	found('one', 'alias.test');
	is asked('/dns-query', 'to.alias.test'), 1, 'what it stands for';
	lost('one', 'none.test') for 1, 2;
	is asked('/dns-query', 'none.test'), 1, 'there is none, which is remembered';
	ok wait_for(sub { $w->get('/names')->status == 200 }), 'servers with resolve';
	like((grep { /^$h2 / } $f->access)[0], qr{ HTTP/2\.0 }, 'HTTP/2');
	cmp_ok connections($h2, 24), '<=', 4, 'connections are kept';
	found('path', 'a.test', 'a URL with a template');
	is asked('/path', 'a.test'), 1;
	found('dflt', 'dflt.test', 'an address, without a path');
	is asked('/dns-query', 'dflt.test'), 1;
	found('both', 'both.test', 'both kinds of addresses');
	is asked('/dns-query', 'both.test'), 2;
};

subtest 'HTTP/1.1' => sub {
	found('http1', "c$_.test") for 1 .. 5;
	cmp_ok connections($h1, 5), '<=', 2, 'connections are kept';
	like((grep { /^$h1 / } $f->access)[0], qr{ HTTP/1\.1 });
	my @c = map { my $c = $w->connect; $c->send("GET /http1?n=d$_.test HTTP/1.0\r\n\r\n"); $c } 1 .. 30;
	is $_->response('GET')->status, 200 for @c;
	cmp_ok connections($h1, 35), '<=', 8, 'of many at a time, too';
};

subtest 'answers' => sub {
	found('typed', 'a.test', 'a type with a parameter');
	found('drip', 'a.test', 'byte by byte');
	found('old', 'old.test');
	ok wait_for(sub { $w->get('/old?n=old.test'); asked('/old', 'old.test') > 1 }), 'its time was over in a cache';
	found('fresh', 'short.test');
	ok wait_for(sub { $w->get('/fresh?n=short.test'); asked('/path', 'short.test') > 1 }), 'its time is over';
	my %says = (500 => qr/the answer has status 500/, 302 => qr/the answer has status 302/, type => qr/is no application\/dns-message/,
	    silent => qr/no answer in time/, endless => qr/the answer is too long/, cut => qr/ while asking https:\S+\/cut for names/,
	    map { $_ => qr/"$_\.test" was asked for by HTTPS, and what came is no answer to that/ } qw(garbage nothing other number question));
	for my $bad (@bad) {
		lost("bad-$bad", "$bad.test");
		$w->log_like($says{$bad}, "$bad: says the log") if $says{$bad};
	}
	lost('bad-refused', 'refused.test', 'a server that does not want to');
	found('one', 'a.test', 'others go on');
};

subtest 'who it is' => sub {
	lost('stranger', 'a.test', 'a certificate that nobody has signed');
	$w->log_like(qr/upstream SSL certificate verify error/, 'says the log');
	is asked('/dns-query', 'stranger.test'), 0;
	lost('name', 'a.test', 'of somebody else');
	$w->log_like(qr/upstream SSL certificate does not match the name that was asked for/, 'says the log');
	lost('system', 'a.test', 'one that the system does not trust');
	found('lax', 'a.test', 'verify=off');
	lost('clear', 'a.test', 'no TLS');
	$w->log_like(qr/the TLS handshake failed while asking https:\/\/dns\.test:$plain\/dns-query for names/, 'says the log');
};

subtest 'servers' => sub {
	lost('nobody', 'a.test', 'nobody is there');
	$w->log_like(qr/Connection refused while asking https:\/\/dns\.test:$nobody\/dns-query for names/, 'says the log');
	found('beside', "beside$_.test", 'one that answers beside some that do not') for 1 .. 3;
	is asked('/refused', 'beside1.test'), 1, 'they were asked';
	found('mute', 'a.test', 'one that says nothing');
	found('where', 'where.test', 'another address');
};

subtest 'connections that end' => sub {
	found('one', 'before.test');
	my ($pid) = $f->worker_pids;
	kill 'KILL', $pid;
	ok wait_for(sub { my @p = $f->worker_pids; @p == 1 && $p[0] != $pid }), 'the server begins anew';
	found('one', "after$_.test", 'another connection') for 1 .. 3;
	ok $f->reload($front);
	found('one', 'reloaded.test', 'after GOAWAY');
	ok $w->reload, 'a reload';
	found('one', 'a.test', 'the new generation asks for itself');
};

subtest 'nginx' => sub {
	my $nginx = '/usr/sbin/nginx';
	plan skip_all => "no $nginx" if !-x $nginx;
	my $dir = $f->dir;
	my $port = $f->port(10);
	$f->write('nginx.conf', <<"CONF");
daemon off;
pid $dir/nginx.pid;
error_log $dir/nginx.log;
events { }
http {
	access_log $dir/nginx.access;
	client_body_temp_path $dir/n1; proxy_temp_path $dir/n2; fastcgi_temp_path $dir/n3; uwsgi_temp_path $dir/n4; scgi_temp_path $dir/n5;
	server {
		listen 127.0.0.1:$port ssl http2;
		ssl_certificate $dir/server.crt;
		ssl_certificate_key $dir/server.key;
		location / { proxy_pass http://127.0.0.1:@{[ $f->port(5) ]}; }
	}
}
CONF
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		{ exec $nginx, '-p', $dir, '-e', "$dir/nginx.log", '-c', "$dir/nginx.conf" }
		POSIX::_exit(127);
	}
	ok wait_for(sub { my $s = IO::Socket::INET->new("127.0.0.1:$port"); close $s if $s; $s }), 'nginx is there';
	ok $w->reload("worker_processes 1; http { server { listen 127.0.0.1:%PORT4%; location / { return 200 here; } }
	    server { listen 127.0.0.1:%PORT1%; resolver https://dns.test:$port/dns-query $at; location / { proxy_pass http://\$arg_n:%PORT4%; } } }");
	found('', "n$_.test") for 1 .. 5;
	ok wait_for(sub { 5 <= grep { m{POST /dns-query HTTP/2\.0" 200} } $f->log_lines('nginx.access') }), 'by HTTP/2';
	kill 'TERM', $pid;
	waitpid $pid, 0;
};

subtest 'mistakes' => sub {
	my $bad = Weir->new;
	$bad->expect_alert(qr/\[emerg\]/);
	for (
		['https://dns.test/dns-query 127.0.0.1', qr/do not stand together with others/],
		['https://127.0.0.1/ tcp=on', qr/no meaning for servers by HTTPS/],
		['bootstrap=127.0.0.1 https://dns.test/', qr/whose URL stands before it/],
		['https://dns.test/ bootstrap=dns.test', qr/invalid address "dns\.test"/],
		['https://no-such-name.invalid/', qr/host not found in resolver .*: say its address with "bootstrap="/],
		['https:///dns-query', qr/invalid URL/],
		['https://dns.test:99999/', qr/invalid URL/],
		['https://me@dns.test/', qr/invalid URL/],
		['"https://dns.test/a b" bootstrap=127.0.0.1', qr/invalid URL/],
		['https://dns.test/#x bootstrap=127.0.0.1', qr/invalid URL/],
		['127.0.0.1 verify=off', qr/meaning for servers by HTTPS only/],
		['127.0.0.1 trusted_certificate=ca.crt', qr/meaning for servers by HTTPS only/],
		['127.0.0.1 bootstrap=127.0.0.1', qr/whose URL stands before it/],
		['https://127.0.0.1/ trusted_certificate=no.crt', qr/no\.crt/],
		['https://127.0.0.1/ verify=maybe', qr/"on"|invalid/],
		[join(' ', ('https://127.0.0.1/') x 17), qr/more than 16 servers/],
	) {
		my ($rc, undef, $err) = $bad->test_conf("http { server { listen 127.0.0.1:%PORT9%; resolver $_->[0]; } }");
		is $rc, 1, $_->[0];
		like $err, $_->[1];
	}
	my ($rc, undef, $err) = $bad->test_conf('http { server { listen 127.0.0.1:%PORT9%; resolver https://127.0.0.1 verify=off; } }');
	is $rc, 0;
	like $err, qr/\[warn\].*without verification anybody can be the server/;
};

done_testing;
