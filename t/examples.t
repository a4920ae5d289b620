#!/usr/bin/env perl
# examples.t - does every file of conf/examples do what it says?
#
# Each is tested as it is (weir -t, without a word of complaint; with files => 1, which it needs, not before they
# are there), and started with
# 8080 to 8089, 127.0.0.1:9001 to 9009, /srv/www, /etc/weir, /var/spool/weir and
# /dev/log put where a test may have them.  So an example uses these and no others.

use strict;
use warnings;

use Cwd qw(abs_path);
use Digest::MD5 qw(md5);
use File::Path qw(make_path);
use IO::Compress::Gzip qw(gzip);
use IO::Socket::UNIX;
use IO::Uncompress::Gunzip qw(gunzip);
use MIME::Base64 qw(encode_base64);
use Socket qw(SOCK_DGRAM);
use lib 't/lib';
use Pq;
use Weir;
use Weir::Dns;
use Weir::H2;
use Test::More;

my $root = abs_path('.');
my %example;

sub slurp {
	my ($path) = @_;

	open my $f, '<', $path or die "$path: $!";
	local $/;
	return scalar <$f>;
}

# The example with this test's ports and folders.
sub moved {
	my ($w, $text) = @_;

	$text =~ s{\b808(\d)\b}{'%PORT' . (1 + $1) . '%'}ge;
	$text =~ s{127\.0\.0\.1:900(\d)\b}{'127.0.0.1:%PORT' . (20 + $1) . '%'}ge;
	$text =~ s{/(?:srv/www|etc/weir|var/spool/weir)\b}{$w->dir . $&}ge;
	$text =~ s{unix:/dev/log\b}{'unix:' . $w->dir . '/devlog'}ge;
	$text =~ s{^error_log\s+logs/error\.log\s+\w+}{'error_log ' . $w->log_path . ' info'}me;
	$text =~ s{\blisten(\s+)(%PORT)}{listen${1}127.0.0.1:$2}g;
	$text =~ s{include(\s+)\.\./mime\.types}{include$1$root/conf/mime.types};
	$text =~ s{include(\s+)proxy\.inc}{include$1$root/conf/examples/proxy.inc}g;
	return $text;
}

# Tests one example: its subtest gets a weir that runs it.  before => a sub that gets the object
# first; files => 1: the example reads files that `before` makes; change => a sub that edits the text in $_; origins => { 9001 => sub } with the connection, or a text for who answers.
sub example {
	my ($name, $code, %opt) = @_;

	$example{$name} = 1;
	subtest $name => sub {
		my $w = Weir->new;
		$w->set_conf(slurp("conf/examples/$name.conf"));
		my $try = sub {
			my ($rc, undef, $err) = @_;
			is $rc, 0, 'weir -t';
			unlike $err, qr/\[\w+\]/, 'not a word about it' or diag $err;
		};
		$try->($w->run('-t', '-p', $w->dir, '-e', 'error.log', '-c', "$root/conf/examples/$name.conf")) unless $opt{files};

		make_path(map $w->dir . $_, qw(/srv/www /etc/weir /var/spool/weir));
		chmod 0777, $w->dir . '/var/spool/weir';
		$opt{before}->($w) if $opt{before};
		for my $port (sort keys %{ $opt{origins} // {} }) {
			my $o = $opt{origins}{$port};
			$w->origin(20 + $port - 9000, ref $o ? $o : echo($o));
		}
		my $text = moved($w, slurp("conf/examples/$name.conf"));
		$opt{change}->() for $opt{change} ? $text : ();
		$try->($w->test_conf($text)) if $opt{files};
		$w->start($text);
		$code->($w);
		is $w->stop, 0, 'and ends';
	};
}

# The answers to so many requests on one connection, which wait for nothing in between.
sub at_once {
	my ($w, $n, $uri, %h) = @_;
	my $c = $w->connect;

	my $one = "GET $uri HTTP/1.1\r\nHost: x\r\n" . join('', map "$_: $h{$_}\r\n", sort keys %h) . "\r\n";
	$c->send($one x $n);
	return map $c->response('GET'), 1 .. $n;
}

# An origin that says who it is and what it was asked.
sub echo {
	my ($who) = @_;

	return sub {
		my ($c) = @_;

		while (my $q = $c->read_request) {
			my $h = $q->{headers};
			my $body = "$who $q->{method} $q->{uri} " . length($q->{body}) . "\n" .
			    join '', map "$_: $h->{$_}\n", sort keys %$h;
			$c->note("$who $q->{method} $q->{uri}");
			$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " .
			    length($body) . "\r\n\r\n$body");
		}
	};
}

# ---- files and an application ----

example 'site-with-app' => sub {
	my ($w) = @_;
	my $r = $w->get('/style.css');

	is $r->body, 'css', 'a file is served';
	is $r->header('Content-Type'), 'text/css', 'with its type';
	like $r->header('Cache-Control'), qr/max-age=2592000/, 'and for long';
	like $w->get('/2024/hello')->body, qr{^app GET /2024/hello }, 'the rest is the application';
	like $w->get('/')->body, qr{^app GET / }, 'the front page, too';
	like $w->get('/missing.css')->body, qr{^app GET /missing.css }, 'and assets that it makes';
	like $w->get('/index.php?p=1')->body, qr{^app GET /index.php\?p=1 }, 'code is run, not sent';
	my $said = $w->get('/hello', Host => 'blog.example.com', 'X-Forwarded-For' => '10.9.8.7')->body;
	like $said, qr/^host: blog\.example\.com$/m, 'it knows the name';
	like $said, qr/^x-forwarded-for: 10\.9\.8\.7, 127\.0\.0\.1$/m, 'and the client';
	is $w->get('/.env')->status, 404, 'no secrets';
	is $w->get('/sub/.git/config')->status, 404, 'in no folder';
	is $w->get('/.well-known/security.txt')->body, 'contact', 'but what is well known';
	is $w->get('/wp-content/uploads/2024/evil.php')->status, 403, 'uploads do not run';
	is $w->get('/xmlrpc.php')->status, 403, 'xmlrpc';
}, origins => { 9001 => 'app' }, before => sub {
	my ($w) = @_;
	my $www = 'srv/www/blog';

	$w->write("$www/style.css", 'css');
	$w->write("$www/index.php", '<?php secret');
	$w->write("$www/.env", 'SECRET=1');
	$w->write("$www/.well-known/security.txt", 'contact');
	$w->write("$www/sub/.git/config", 'x');
	$w->write("$www/wp-content/uploads/2024/evil.php", 'x');
};

example 'single-page-app' => sub {
	my ($w) = @_;
	my $r = $w->get('/cart/42');

	is $r->body, 'the page', 'a route of the application gets the page';
	is $r->header('Content-Type'), 'text/html', 'as HTML';
	is $r->header('Cache-Control'), 'no-cache', 'which is asked for anew';
	is $w->get('/', 'If-None-Match' => $r->header('ETag'))->status, 304, 'and mostly is the same';
	like $w->get('/assets/app-1a2b.js')->header('Cache-Control'), qr/immutable/, 'assets stay';
	is $w->get('/assets/app-1a2b.js')->header('Content-Type'), 'text/javascript', 'and are JavaScript';
	is $w->get('/assets/gone.js')->status, 404, 'a missing asset is no page';
	like $w->get('/api/users?x=1')->body, qr{^api GET /v1/users\?x=1 }, 'the API below its own path';
}, origins => { 9001 => 'api' }, before => sub {
	my ($w) = @_;

	$w->write('srv/www/spa/index.html', 'the page');
	$w->write('srv/www/spa/assets/app-1a2b.js', 'js');
};

example 'many-sites' => sub {
	my ($w) = @_;
	my $port = $w->port(1);

	is $w->get('/', Host => 'example.com')->body, 'main', 'the site';
	my $r = $w->get('/a?b', Host => 'www.example.com');
	is $r->status, 301, 'the other spelling';
	is $r->header('Location'), "http://example.com:$port/a?b", 'is sent to the site';
	is $w->get('/', Host => 'a.sites.example.com')->body, 'customer a', 'a customer';
	is $w->get('/', Host => 'b.sites.example.com')->status, 404, 'no customer';
	is $w->http("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), '', 'an unknown name gets no answer';
}, before => sub {
	my ($w) = @_;

	$w->write('srv/www/example.com/index.html', 'main');
	$w->write('srv/www/customers/a/index.html', 'customer a');
};

example 'static-cdn' => sub {
	my ($w) = @_;
	my $r = $w->get('/a.png');

	like $r->header('Cache-Control'), qr/max-age=2592000/, 'pictures: 30 days';
	is $r->header('Access-Control-Allow-Origin'), '*', 'for scripts of other sites';
	like $w->get('/a.html')->header('Cache-Control'), qr/no-cache/, 'pages: ask each time';
	like $w->get('/app.0123abcd.js')->header('Cache-Control'), qr/max-age=315360000/, 'hashed names: for ever';
	is $w->get('/a.bin')->header('Cache-Control'), 'max-age=3600', 'others: an hour';
	$r = $w->get('/films/a.mp4', Range => 'bytes=2-4');
	is $r->status, 206, 'a part';
	is $r->body, '234', 'the right one';
	is $r->header('Content-Range'), 'bytes 2-4/10', 'and says which';
	is $w->get('/a.png', 'If-None-Match' => $w->get('/a.png')->header('ETag'))->status, 304, 'conditional';
	is $w->request('POST', '/a.png', [], 'x')->status, 403, 'nobody writes';
	is $w->get('/a.part')->status, 404, 'nothing unfinished';
}, before => sub {
	my ($w) = @_;

	$w->write("srv/www/cdn/$_", '0123456789')
	    for qw(a.png a.html a.bin app.0123abcd.js a.part films/a.mp4);
};

# ---- applications ----

example 'load-balancing' => sub {
	my ($w) = @_;
	my %n;

	$n{ (split ' ', $w->get('/')->body)[0] }++ for 1 .. 30;
	is_deeply \%n, { one => 20, two => 10 }, 'two to one';
	$w->origin_stop($_) for 21, 22;
	like $w->get('/')->body, qr/^spare /, 'the spare one when the others are gone';
	like $w->get('/')->header('X-Served-By'), qr/127\.0\.0\.1:${\$w->port(23)}$/, 'which says who it was';
	like $w->get('/status')->body, qr/^Active connections/, 'numbers';
	like join("\n", $w->access('logs/access.log', 33)), qr{"GET / HTTP/1.1" 200 by .*, 127}, 'the log tells of the tries';
}, origins => { 9001 => 'one', 9002 => 'two', 9003 => 'spare' };

my $names;
example 'names-by-dns' => sub {
	my ($w) = @_;

	ok wait_for(sub { $w->get('/')->status == 200 }), 'the addresses of a name';
	is +(split ' ', $w->get('/')->body)[0], 'app';
	ok wait_for(sub { $w->get('/api/')->status == 200 }), 'the servers of a service';
	is +(split ' ', $w->get('/api/')->body)[0], 'api', 'the one of the lowest priority';
	$names->stop;
}, origins => { 9002 => 'app', 9003 => 'api' }, change => sub { s/(app\.example\.com):9002/$1:%PORT22%/ }, before => sub {
	my ($w) = @_;
	my $api = '_http._tcp.api.example.com';
	my ($spare, $port) = map $w->port($_), 22, 23;

	$names = Weir::Dns->new($w, 21, sub {
		my ($name, $type) = @_;
		return { answer => [ srv($api, 'b.example.com', 20, 1, $spare), srv($api, 'a.example.com', 10, 1, $port) ] }
		    if $type == 33 && $name eq $api;
		return { answer => [ $type == 1 ? a($name, '127.0.0.1') : () ] };
	});
};

example 'health-checks' => sub {
	my ($w) = @_;
	my $server = sub { '127\.0\.0\.1:' . $w->port($_[0]) };

	ok $w->wait_log(qr/"app": server ${\$server->(21)} is healthy/), 'a healthy one';
	ok $w->wait_log(qr/"app": server ${\$server->(22)} is unhealthy: (?:the body|status 200|header "Content-Type") does not match/),
	    'one that is not ready';
	ok wait_for(sub { $w->get('/')->status == 200 }), 'there is an answer';
	is join('', map { (split ' ', $w->get('/')->body)[0] } 1 .. 6), 'good' x 6, 'of who is healthy';
	is +(split ' ', $w->get('/reports/')->body)[0], 'reports', 'the other group';
	$w->origin_stop(23);
	ok $w->wait_log(qr/"reports": server ${\$server->(23)} is unhealthy: connect\(\) failed/), 'who does not listen';
}, origins => { 9001 => sub { healthy($_[0], 'ok') }, 9002 => sub { healthy($_[0], 'starting') }, 9003 => 'reports' },
    change => sub { s/interval=10s/interval=1s/ };

sub healthy {
	my ($c, $says) = @_;

	while (my $q = $c->read_request) {
		my $body = $q->{uri} eq '/health' && $q->{headers}{host} eq 'app.example.com' ? $says : 'good morning';
		$c->send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " . length($body) . "\r\n\r\n$body");
	}
}

example 'circuit-breaker' => sub {
	my ($w) = @_;
	my $state = sub {
		my ($n) = @_;
		my $port = $w->port($n);
		return $w->get('/metrics')->body =~ /^weir_upstream_circuit_state\{upstream="app",server="127\.0\.0\.1:$port"\} (\d)$/m ? $1 : '';
	};

	is $state->($_), 0, 'closed' for 21, 22;
	$w->origin_stop(21);
	ok wait_for(sub { $w->get('/')->body =~ /^two / or die 'somebody else'; $state->(21) == 2 }), 'the next server is asked until it is open';
	$w->origin_stop(22);
	ok wait_for(sub { my $r = $w->get('/'); $r->status == 503 && $r->header('Retry-After') }), 'then all are';
	$w->log_like(qr/\[warn\].* circuit of upstream server 127\.0\.0\.1:\d+ of app: closed -> open: 5 failures in a row/, 'which is logged', 'logs/error.log');
	$w->origin(22, sub { my ($c) = @_; $c->read_request; $c->send("HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 4\r\n\r\nback") });
	ok wait_for(sub { $w->get('/')->body eq 'back' && $state->(22) == 0 }), 'well again';
}, origins => { 9001 => 'one', 9002 => 'two' };
example 'upstream-api' => sub {
	my ($w) = @_;
	my $servers = '/api/9/http/upstreams/app/servers';
	my $json = ['Content-Type' => 'application/json'];
	my $ask = sub { my ($method, $path, $body) = @_; $w->request($method, $servers . $path, $body ? $json : [], $body, port => 2) };

	is $w->get('/')->status, 502, 'nobody is there';
	is $ask->('POST', '/', '{"server": "127.0.0.1:' . $w->port(20 + $_) . '"}')->status, 201, "server $_" for 1, 2;
	my %n;
	$n{ (split ' ', $w->get('/')->body)[0] }++ for 1 .. 10;
	is_deeply \%n, { one => 5, two => 5 }, 'turns';
	my ($cookie) = map /(served_by=\w+)/, grep defined, map { my $r = $w->get('/'); $r->body =~ /^one/ ? $r->header('Set-Cookie') : undef } 1 .. 2;
	is $ask->('PATCH', '/0', '{"drain": true}')->status, 200, 'one drains';
	like $w->get('/', Cookie => $cookie)->body, qr/^one/, 'those who have it keep it';
	like $w->get('/')->body, qr/^two/, 'others do not get it';
	is $ask->('DELETE', '/0')->status, 200, 'and is gone';
	like $w->get('/', Cookie => $cookie)->body, qr/^two/, 'for all';
	ok wait_for(sub { ($w->read('var/spool/weir/app.servers') // '') eq "# Servers of upstream app.  Written when they are changed at run time.\n" .
	    'server 127.0.0.1:' . $w->port(22) . ";\n" }), 'the file has who is left';
}, files => 1, origins => { 9001 => 'one', 9002 => 'two' }, before => sub {
	my ($w) = @_;
	make_path($w->dir . '/var/spool/weir');
	chmod 0777, $w->dir . '/var/spool/weir';
};

sub chat {
	my ($c) = @_;
	my $q = $c->read_request or return;

	if (lc($q->{headers}{upgrade} // '') ne 'websocket') {
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nplain");
		return;
	}
	$c->send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
	my $text = $c->read_n(5);
	$c->send("echo $text");
}

example 'metrics' => sub {
	my ($w) = @_;
	my $ask = sub { $w->request('GET', shift, [], undef, port => 2) };
	is $w->get('/checkout/pay')->status, 200, 'a visitor';
	$w->get('/') for 1 .. 2;
	ok wait_for(sub { $ask->('/metrics')->body =~ /^weir_http_requests_total\{server="app",class="2xx",proto="http1"\} 3$/m }),
	    'three requests';
	my $text = $ask->('/metrics')->body;
	like $text, qr/^weir_http_location_requests_total\{location="checkout",class="2xx",proto="http1"\} 1$/m, 'one of a place';
	like $text, qr/^weir_http_request_seconds_bucket\{server="app",le="0\.25"\} \d+$/m, 'bounds';
	like $ask->('/metrics.json')->body, qr/^\{\s+"weir_/, 'JSON';
	is $ask->('/')->status, 404, 'nothing else';
}, origins => { 9001 => 'app' };

example 'websocket-chat' => sub {
	my ($w) = @_;
	my @ask = ('Connection' => 'Upgrade', 'Upgrade' => 'websocket', 'Sec-WebSocket-Version' => 13,
	    'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==');
	my $talk = sub {
		my ($uri, @more) = @_;
		my $c = $w->connect;
		my $head = "GET $uri HTTP/1.1\r\nHost: chat.example.com\r\n";
		my @h = (@ask, @more);
		while (my ($k, $v) = splice @h, 0, 2) {
			$head .= "$k: $v\r\n";
		}
		$c->send("$head\r\n");
		my $r = $c->response;
		return $r->status if $r->status != 101;
		$c->send('hello');
		return $c->read_n(10);
	};

	is $talk->('/ws/room'), 'echo hello', 'a WebSocket';
	is $talk->('/'), 'echo hello', 'everywhere';
	is $talk->('/ws/private/room', Origin => 'http://chat.example.com'), 'echo hello', 'from our pages';
	is $talk->('/ws/private/room', Origin => 'http://evil.example'), 403, 'not from others';
	is $talk->('/plain/x'), 200, 'and not where it is off';
}, origins => { 9001 => \&chat, 9002 => \&chat };

example 'canary' => sub {
	my ($w) = @_;
	my %n;

	is $w->get('/', Cookie => "release=$_")->header('X-Release'), "release_$_", "a cookie chooses: $_" for qw(new old);
	like $w->get('/', Cookie => 'release=new')->body, qr/^new GET/, 'and its server answers';
	$n{ $w->get('/', 'User-Agent' => "browser $_")->header('X-Release') }++ for 1 .. 200;
	ok $n{release_old} > 150 && $n{release_new} > 2, 'without one about a tenth get the new release'
	    or diag explain \%n;
	my %one = map { $w->get('/', 'User-Agent' => 'x')->header('X-Release') => 1 } 1 .. 10;
	is scalar(keys %one), 1, 'and the same client the same one';
}, origins => { 9001 => 'old', 9002 => 'new' };

example 'maintenance' => sub {
	my ($w) = @_;

	like $w->get('/')->body, qr/^app GET/, 'open';
	$w->write('srv/www/maintenance/on', '');
	my $r = $w->get('/a/b', Host => 'shop.example.com');
	is $r->status, 503, 'closed';
	is $r->body, 'back soon', 'with the page';
	is $r->header('Retry-After'), 600, 'and a word for machines';
	unlink $w->dir . '/srv/www/maintenance/on';
	like $w->get('/')->body, qr/^app GET/, 'open again, without a reload';
	$w->origin_stop(21);
	$r = $w->get('/shop/');
	is $r->status . $r->body, '503back soon', 'the same page when the application is gone';
}, origins => { 9001 => 'app' }, before => sub {
	$_[0]->write('srv/www/maintenance/page.html', 'back soon');
};

example 'tls-site' => sub {
	my ($w) = @_;
	my $pq = Pq->new($w);
	my $r = $pq->get('www.example.com');

	is $r->{body}, 'home', 'the site';
	is $r->{group}, 'X25519MLKEM768', 'by a key exchange that lasts';
	like $r->{text}, qr/^Strict-Transport-Security: /m, 'and browsers shall come again by TLS';
	is $pq->get('www.example.com', groups => 'X25519')->{body}, 'home', 'older clients are served';
	like join("\n", $w->access('logs/access.log', 2)), qr/"ssl_curve":"X25519MLKEM768".*"ssl_curve":"X25519"/s, 'the log tells them apart';
	like $pq->get('api.example.com', port => 2)->{body}, qr/^api GET .*^x-tls-group: X25519MLKEM768$/ms, 'programs, and what the upstream knows';
	is $pq->get('api.example.com', port => 2, groups => 'X25519')->{status}, 421, 'others are not served there';
	$pq->cert('new', 'EC');
	rename $w->dir . "/new.$_", $w->dir . "/etc/weir/www.$_" for qw(key crt);
	ok wait_for(sub { ($pq->get('www.example.com')->{cn} // '') eq 'new' }, 30), 'a new certificate';
}, files => 1, origins => { 9001 => 'api' }, before => sub {
	my ($w) = @_;
	my $pq = Pq->new($w);

	for my $name ('www', 'api') {
		$pq->cert($name, 'EC');
		rename $w->dir . "/$name.$_", $w->dir . "/etc/weir/$name.$_" for qw(key crt);
	}
	$w->write('srv/www/site/index.html', 'home');
};

example 'client-fingerprints' => sub {
	my ($w) = @_;
	my %way = (api_client => ['-alpn', 'http/1.1'], malicious => ['-tls1_2'], scanner => ['-no_ticket'], suspicious => []);
	my (%ja4, $c, $r);

	for my $class (sort keys %way) {
		like $w->s_client('www.example.com', @{ $way{$class} }), qr/^home/m, 'nobody is known yet: all get in';
		my @lines = $w->access('logs/clients.log', 1 + keys %ja4);
		($ja4{$class}) = split / /, $lines[-1];
	}
	$w->write('etc/weir/clients.json', '[' . join(',', map { qq({"hash":"$ja4{$_}","classification":"$_","description":"a $_"}) }
	    qw(api_client malicious scanner)) . ']');
	ok $w->reload, 'a list';
	like $w->s_client('www.example.com', @{ $way{api_client} }), qr/^home/m, 'a program that is known';
	like $w->s_client('www.example.com', @{ $way{malicious} }), qr/alert number 49/, 'a malicious one';
	like $w->s_client('www.example.com', @{ $way{scanner} }), qr/ 403 /, 'a scanner';
	my @tls = (tls => { sni => 'www.example.com', SSL_verify_mode => 0 });
	like $w->request('GET', '/whoami', [Host => 'www.example.com'], undef, @tls)->body, qr/^t13d\w+ suspicious: \n/, 'a stranger';
	like $w->request('GET', '/app/', [Host => 'www.example.com'], undef, @tls)->body, qr/^x-client-class: suspicious\n.*x-ja4: t13d/ms,
	    '... as the upstream knows';
	for (1 .. 1000) {
		$r = $w->request('GET', '/', [Host => 'www.example.com'], undef, @tls);
		last if $r->status != 200;
	}
	is $r->status, 429, '... does not get everything at once';
	like $w->s_client('www.example.com', @{ $way{api_client} }), qr/^home/m, '... while others do';
}, files => 1, origins => { 9001 => 'app' }, before => sub {
	my ($w) = @_;

	$w->cert('www');
	$w->write('etc/weir/clients.json', '[]');
	rename $w->dir . "/www.$_", $w->dir . "/etc/weir/www.$_" for qw(key crt);
	$w->write('srv/www/site/index.html', 'home');
};

example 'connect-proxy' => sub {
	my ($w) = @_;
	my $connect = sub {
		my ($port, $user) = @_;
		my $c = $w->connect;
		$c->send("CONNECT 127.0.0.1:$port HTTP/1.1\r\nHost: 127.0.0.1:$port\r\n" .
		    ($user ? 'Proxy-Authorization: Basic ' . encode_base64($user, '') . "\r\n" : '') . "\r\n");
		my ($status) = $c->read_until(qr/\r\n\r\n/) =~ m{^HTTP/1\.1 (\d+)};
		return ($status, $c);
	};
	is +($connect->($w->port(21)))[0], 407, 'a password is asked for';
	is +($connect->($w->port(22), 'me:secret'))[0], 403, 'a port that is not known';
	my ($status, $c) = $connect->($w->port(21), 'me:secret');
	is $status, 200, 'one that is';
	$c->send("GET /there HTTP/1.1\r\nHost: there\r\n\r\n");
	like $c->response->body, qr{/there}, 'is reached';
	like +($w->access('logs/access.log', 2))[1], qr/ me "CONNECT \S+ HTTP\/1\.1" 403 /, 'who was where';
}, origins => { 9001 => 'there' }, before => sub { $_[0]->write('etc/weir/passwords', "me:{PLAIN}secret\n") },
    change => sub { s/\b9001\b/%PORT21%/ };

example 'tcp-services' => sub {
	my ($w) = @_;

	like $w->get('/x')->body, qr{^standby GET /x}, 'the standby, when the first is not there';
	like +($w->access('logs/sessions.log', 1))[0], qr{ 127\.0\.0\.1 \d+ 200 \w+ \d+/\d+ [\d.]+ \S+, \S+$}, 'the log has both';
	like $w->request('GET', '/y', [], undef, port => 2, tls => {})->body, qr{^mail GET /y}, 'TLS ends here';
	like $w->request('GET', '/z', [], undef, port => 3)->body, qr{^other GET /z}, 'no name: the default';
	is $w->connect(port => 3, tls => { sni => 'a.shop.example.com' }), undef, 'what the shop makes of TLS is its business';
	is join(' ', $w->origin_notes(24, 1)), '22', 'but it gets it, with its first byte';
}, files => 1, origins => { 9002 => 'standby', 9003 => 'mail', 9005 => 'other', 9004 => sub {
	my ($c) = @_;
	$c->note(ord $c->read_n(1));
} }, before => sub {
	my ($w) = @_;

	$w->cert('site');
	rename $w->dir . "/site.$_", $w->dir . "/etc/weir/site.$_" for qw(key crt);
};

example 'one-port' => sub {
	my ($w) = @_;

	like $w->get('/x')->body, qr{^web GET /x}, 'a browser';
	my $c = $w->connect(port => 1);
	is $c->read_until(qr/\n/), "220 mail\r\n", 'a client of mail, who waits';
	$c = $w->connect(port => 1);
	$c->send("\x13BitTorrent protocol");
	is $c->read_all, '', 'others may not';
}, origins => { 9002 => 'web', 9004 => sub { my ($c) = @_; $c->send("220 mail\r\n") } },
    change => sub { s/300ms/2s/ };		# a busy machine may keep the browser waiting for long

example 'https-passthrough' => sub {
	my ($w) = @_;
	my $tls = sub { return $w->connect(tls => { sni => $_[0] }) };
	my $text = sub {
		my ($sni, $host) = @_;
		my $c = $tls->($sni) or return 'none';
		$c->send("GET / HTTP/1.1\r\nHost: $host\r\nConnection: close\r\n\r\n");
		return $c->read_all;
	};

	like $text->('www.example.com', 'www.example.com'), qr/^www$/m, 'TLS that ends here';
	like $text->('www.customer.example', 'www.customer.example'), qr/^customer$/m, '... by an exact name, too';
	like $text->('www.example.com', 'mail.example.com'), qr/^HTTP\S+ 421 /, 'a request that came here by mistake';
	is $tls->('mail.example.com'), undef, 'what the mail server makes of TLS is its business';
	is join(' ', $w->origin_notes(22, 1)), '16', '... but it gets it, when the first is not there';
	is $tls->('a.customer.example'), undef, 'so it is with the customer';
	is join(' ', $w->origin_notes(23, 1)), '0d0a0d0a000d0a515549540a', '... who gets a PROXY header before';
	like +($w->access('logs/passed.log', 2))[0], qr/ 127\.0\.0\.1 mail\.example\.com 200 \w+ \d+\/\d+ \S+, \S+$/, 'a log of its own';
}, files => 1, origins => { 9002 => sub { $_[0]->note(unpack 'H*', $_[0]->read_n(1)) }, 9003 => sub { $_[0]->note(unpack 'H*', $_[0]->read_n(12)) } }, before => sub {
	my ($w) = @_;

	$w->cert('site');
	rename $w->dir . "/site.$_", $w->dir . "/etc/weir/site.$_" for qw(key crt);
};

# Answers datagrams as a name server would: the id of the question, and who it is.
my @name_servers;
sub name_server {
	my ($w, $n) = @_;
	my $s = IO::Socket::INET->new(Proto => 'udp', LocalAddr => '127.0.0.1', LocalPort => $w->port(20 + $n)) or die "port: $!";
	my $pid = fork // die;
	if ($pid) {
		push @name_servers, $pid;
		return;
	}
	alarm 300;
	while (1) {
		my $from = $s->recv(my $question, 512) // next;
		$s->send(substr($question, 0, 2) . "ns$n", 0, $from);
	}
}
END { if (@name_servers) { local $?; CORE::kill('KILL', @name_servers); waitpid $_, 0 for @name_servers } }

example 'dns-balancer' => sub {
	my ($w) = @_;
	my %who;
	for my $id (1 .. 6) {
		my $s = IO::Socket::INET->new(Proto => 'udp', PeerAddr => '127.0.0.1', PeerPort => $w->port(1)) or die;
		$s->send(pack('n', $id) . 'question');
		my $in = '';
		vec($in, fileno $s, 1) = 1;
		$s->recv(my $answer, 512) if select $in, undef, undef, $Weir::TIMEOUT;
		is unpack('n', $answer // ''), $id, 'the answer to the question';
		$who{ substr $answer, 2 }++;
	}
	is join(' ', sort keys %who), 'ns1 ns2', 'of both servers';
	is scalar(() = grep / UDP 200 /, $w->access('logs/dns.log', 6)), 6, 'each is logged';
	my $c = $w->connect;
	$c->send("GET / HTTP/1.0\r\n\r\n");
	like $c->response->body, qr/^by tcp /, 'and by TCP';
}, origins => { 9001 => 'by tcp', 9002 => 'by tcp' }, before => sub { name_server($_[0], $_) for 1, 2 };

example 'grpc' => sub {
	my ($w) = @_;
	my $h = Weir::H2->new($w->connect);
	my $call = sub {
		my ($path) = @_;
		return $h->response($h->request([':method' => 'POST', ':path' => $path, ':scheme' => 'http', ':authority' => 'shop',
		    'content-type' => 'application/grpc', te => 'trailers'], body => 'message'));
	};
	my $r = $call->('/shop.Orders/Get');

	is $r->{body} . $r->{trailers}{'grpc-status'}, '/shop.Orders/Get message0', 'a service';
	$r = $call->('/shop.Search/Find');
	is $r->{status} . $r->{headers}{'grpc-status'}, '20414', 'one whose server is down: UNAVAILABLE';
	is $call->('/shop.Nothing/Get')->{headers}{'grpc-status'}, 12, 'one that is not there: UNIMPLEMENTED';
}, origins => { 9001 => sub {
	my ($c) = @_;
	my $h = Weir::H2->server($c) or return;
	while (my $q = $h->read_request) {
		$h->respond($q->{sid}, 200, ['content-type' => 'application/grpc'], "$q->{fields}{':path'} $q->{body}",
		    trailers => ['grpc-status' => 0]);
	}
} };

example 'http-to-https' => sub {
	my ($w) = @_;
	my $r = $w->get('/a?b', Host => 'www.example.com');

	is $r->status . ' ' . $r->header('Location'), '308 https://www.example.com/a?b', 'to https';
	is $w->get('/', Host => 'evil.example')->status, 400, 'but nowhere else';
	is $w->get('/.well-known/acme-challenge/x')->body, 'proof', 'proofs need no TLS';
	$r = $w->request('GET', '/', [], undef, port => 2);
	is $r->header('X-Frame-Options'), 'DENY', 'fields for browsers';
	is $r->header('Strict-Transport-Security'), undef, 'HSTS not without TLS';
	is $r->header('Cross-Origin-Embedder-Policy'), undef, 'one is left out';
	like $r->header('Content-Security-Policy'), qr/default-src/, 'one is added';
	$r = $w->request('GET', '/pictures/p.png', [], undef, port => 2);
	is $r->header('Cross-Origin-Resource-Policy') . $r->body, 'cross-originpicture', 'others in a location';
}, before => sub {
	$_[0]->write('srv/www/acme/.well-known/acme-challenge/x', 'proof');
	$_[0]->write('srv/www/site/index.html', 'home');
	$_[0]->write('srv/www/site/pictures/p.png', 'picture');
};

example 'large-uploads' => sub {
	my ($w) = @_;
	my $mb = 'x' x (3 << 20);

	is $w->request('PUT', '/x', [], $mb)->status, 413, 'too much elsewhere';
	is $w->request('PUT', '/x', [], $mb)->body, "This is more than we take.\n", 'which is told';
	like $w->request('PUT', '/upload/x', [], $mb)->body, qr{^app PUT /upload/x 3145728$}m, 'kept and passed';
	like $w->request('PUT', '/stream/x', [], $mb)->body, qr{^app PUT /stream/x 3145728$}m, 'passed as it comes';
	is_deeply [ glob $w->dir . '/var/spool/weir/*' ], [], 'nothing stays in the folder';

	my $c = $w->connect;
	$c->send("PUT /stream/early HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf");
	ok wait_for(sub { grep /early/, $w->origin_notes(22) }), 'the application hears of it before its end';
}, origins => { 9001 => sub {
	my ($c) = @_;
	my $head = $c->read_head // return;

	if ($head =~ /early/) {
		open my $f, '>>', $c->{weir}->dir . '/origin-22.notes';
		print $f "early\n";
		return;
	}
	my ($n) = $head =~ /^content-length: (\d+)/mi;
	my $got = length $c->read_n($n // 0);
	my ($line) = $head =~ /^(\S+ \S+)/;
	my $body = "app $line $got\n";
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body");
} };

# Says who is logged in by a cookie.
sub login {
	my ($c) = @_;

	while (my $q = $c->read_request) {
		my ($user) = ($q->{headers}{cookie} // '') =~ /user=(\w+)/;
		my $status = $q->{uri} ne '/auth/check' ? '200 OK' : !defined $user ? '401 Unauthorized' :
		    $user eq 'mallory' ? '403 Forbidden' : '204 No Content';
		my $body = $status =~ /^200/ ? "login page $q->{uri}" : '';
		$c->note(join ' ', $q->{method}, $q->{uri}, $q->{headers}{'x-original-uri'} // '-', length $q->{body});
		$c->send("HTTP/1.1 $status\r\n" . ($user ? "X-Auth-User: $user\r\nX-Auth-Groups: staff\r\n" : '') .
		    ($status =~ /^204/ ? '' : 'Content-Length: ' . length($body) . "\r\n") . "\r\n$body");
	}
}

example 'sso' => sub {
	my ($w) = @_;
	my $r = $w->get('/wiki?a=b', 'X-Auth-User' => 'root');

	is $r->status, 302, 'nobody is logged in';
	like $r->header('Location'), qr{/auth/login\?back=/wiki\?a=b$}, 'so to the login';
	is $w->get('/auth/login')->body, 'login page /auth/login', 'which is open';
	is $w->get('/api/x')->status, 401, 'programs get a 401';
	is $w->get('/wiki', Cookie => 'user=mallory')->status, 403, 'somebody who must not';
	$r = $w->request('POST', '/wiki', [ Cookie => 'user=alice', 'X-Auth-User' => 'root' ], 'text');
	like $r->body, qr{^app POST /wiki 4$}m, 'somebody who may';
	like $r->body, qr/^x-auth-user: alice$/m, 'by name, and no other';
	like $r->body, qr/^x-auth-groups: staff$/m, 'and groups';
	ok grep($_ eq 'GET /auth/check /wiki 0', $w->origin_notes(21)), 'the service was asked without the body'
	    or diag $w->origin_notes(21);
	is $w->get('/auth/check', Cookie => 'user=alice')->status, 404, 'the question is for no client';
}, origins => { 9001 => \&login, 9002 => 'app' };

example 'mirror-traffic' => sub {
	my ($w) = @_;
	my $r = $w->request('POST', '/all/x?y=z', [], 'a body');

	like $r->body, qr{^old POST /all/x\?y=z 6$}m, 'the application answers';
	ok wait_for(sub { grep $_ eq 'new POST /all/x?y=z', $w->origin_notes(22) }), 'and the copy went there';
	like $w->get("/$_")->body, qr{^old GET /$_ }, 'a page' for 1 .. 3;
	# Who is chosen depends on the address; all of 127.0.0.x are ours.
	for my $n (2 .. 60) {
		my $c = $w->connect(from => "127.0.0.$n");
		$c->send("GET /from/$n HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
		$c->read_all;
	}
	ok wait_for(sub { grep m{^new GET /from/}, $w->origin_notes(22) }), 'some pages are copied';
	my $n = grep m{^new GET /from/}, $w->origin_notes(22);
	cmp_ok $n, '<', 40, 'and not all of them';
	is scalar(grep m{^new POST /[^a]}, $w->origin_notes(22)), 0, 'and nothing else';
	$w->origin_stop(22);
	like $w->get('/alone')->body, qr/^old GET/, 'nobody misses the new release';
	is $w->get('/copy')->status, 404, 'which no client asks';
}, origins => { 9001 => 'old', 9002 => 'new' };

example 'file-mirror' => sub {
	my ($w) = @_;
	my $r = $w->get('/');

	like $r->body, qr{<a href="pool/">pool/</a>}, 'a listing';
	like $w->get('/pool/')->body, qr{<a href="a\.deb">a\.deb</a>}, 'of every folder';
	like $w->get('/json/pool/')->body, qr/"name"\s*:\s*"a\.deb",\s*"type"\s*:\s*"file"/, 'for programs';
	is $w->get('/web/')->body, 'welcome', 'a page wins';
	like $w->get('/pool/a.deb')->header('Cache-Control'), qr/2592000/, 'packages stay';
	is $w->get('/dists/Release')->header('Cache-Control'), 'no-cache', 'lists do not';
	is $w->get('/pool/.~a.deb')->status, 404, 'nothing unfinished';
	is $w->request('PUT', '/pool/a.deb', [], 'x')->status, 405, 'read only';
	is $w->get('/pool/a.deb', Range => 'bytes=1-')->body, 'eb', 'downloads go on where they ended';
}, before => sub {
	my ($w) = @_;

	$w->write("srv/www/mirror/$_->[0]", $_->[1]) for [ 'pool/a.deb', 'deb' ], [ 'pool/.~a.deb', 'd' ],
	    [ 'web/index.html', 'welcome' ], [ 'dists/Release', 'r' ];
};

example 'behind-a-balancer' => sub {
	my ($w) = @_;
	my $from = sub { my ($x, $uri, @h) = @_; $w->get($uri // '/', 'X-Forwarded-For' => $x, @h) };

	like $from->('192.0.2.7')->body, qr/^x-real-ip: 192\.0\.2\.7$/m, 'the client that the balancer names';
	like $from->('192.0.2.7, 198.51.100.1, 10.1.2.3')->body, qr/^x-real-ip: 198\.51\.100\.1$/m,
	    'not the one that it was told';
	is $from->('192.0.2.7', '/office/')->status, 200, 'allowed by the client';
	is $from->('198.51.100.1', '/office/')->status, 403, 'or not';
	is $from->('192.0.2.7', '/account/')->status, 301, 'without TLS';
	is $from->('192.0.2.7', '/account/', 'X-Forwarded-Proto' => 'https')->status, 200, 'with it';
	like +($w->access('logs/access.log', 6))[0], qr/^192\.0\.2\.7 via 127\.0\.0\.1 /, 'the log knows both';

	my $c = $w->connect(port => 2);
	$c->send("PROXY TCP4 203.0.113.9 127.0.0.1 5000 80\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	like $c->read_all, qr/^x-real-ip: 203\.0\.113\.9$/m, 'PROXY protocol';
	$c = $w->connect(port => 2);
	$c->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	is $c->read_all, '', 'and nobody without it';
}, origins => { 9001 => 'app' };

example 'api-gateway' => sub {
	my ($w) = @_;
	my @alice = ('X-API-Key' => 'k-3f9a-alice');
	my $r = $w->request('POST', '/v1/orders?x=1', [ @alice, 'X-Customer' => 'root' ], 'order');

	like $r->body, qr{^orders POST /v1/orders\?x=1 5$}m, 'an order';
	like $r->body, qr/^x-customer: alice$/m, 'by name';
	unlike $r->body, qr/x-api-key/, 'without the key';
	like $w->get('/v1/users/7', @alice)->body, qr{^users GET /v1/users/7 }, 'another service';
	like $w->get('/v0/users/7', @alice)->body, qr{^users GET /v1/users/7 }, 'by its old path';

	my @errors = ([ 401, $w->get('/v1/orders') ], [ 401, $w->get('/v1/users', 'X-API-Key' => 'guess') ],
	    [ 403, $w->request('DELETE', '/v1/users/7', [ @alice ]) ], [ 404, $w->get('/nothing') ],
	    [ 404, $w->get('/v1/users/none', @alice) ]);
	for (@errors) {
		is $_->[1]->status, $_->[0], "an error, $_->[0]";
		like $_->[1]->body, qr/^\{"error":"[a-z ]+"\}$/, 'is JSON';
		is $_->[1]->header('Content-Type'), 'application/json', 'and says so';
	}

	my @status = at_once($w, 5, '/v1/status');
	is $_->status, 200, 'open to all' for @status[0 .. 3];
	$r = $status[4];
	is $r->status . $r->body, qq(429{"error":"too many requests"}\n), 'and so little of it';
	is $r->header('Retry-After'), 1, 'which is told';
	ok defined $w->get('/v1/orders', @alice)->header('RateLimit-Remaining'), 'and what is left';
	my %n;
	$n{ $_->status }++ for at_once($w, 150, '/v1/orders', 'X-API-Key' => 'k-77c1-bob');
	ok $n{200} > 40 && $n{429} > 20, 'a burst is taken, not more' or diag explain \%n;
	is $w->get('/v1/orders', @alice)->status, 200, 'others do not notice';
	$w->origin_stop(21);
	is $w->get('/v1/orders', @alice)->body, qq({"error":"the service does not answer"}\n), 'a service is gone';
}, origins => { 9001 => 'orders', 9002 => sub {
	my ($c) = @_;
	my $q = $c->read_request or return;

	return $c->send("HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
	    if $q->{uri} =~ /none/;
	my $body = "users $q->{method} $q->{uri} \n";
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: " . length($body) . "\r\nConnection: close\r\n\r\n$body");
} };

example 'admin-area' => sub {
	my ($w) = @_;
	my $as = sub { [ Authorization => 'Basic ' . encode_base64($_[0], '') ] };
	my $r = $w->get('/admin/');

	like $w->get('/')->body, qr/^app GET/, 'the pages are open';
	is $r->status, 401, 'the others are not';
	is $r->header('WWW-Authenticate'), 'Basic realm="Administration"', 'and ask for a password';
	is $w->request('GET', '/admin/', $as->('alice:wrong'))->status, 401, 'the right one';
	$r = $w->request('GET', '/admin/x', [ @{ $as->('alice:secret') }, 'X-User' => 'root' ]);
	like $r->body, qr{^app GET /admin/x }, 'with which one comes in';
	like $r->body, qr/^x-user: alice$/m, 'by name';
	unlike $r->body, qr/^authorization/m, 'and the application does not see it';
	is $w->request('GET', '/admin/', [], undef, from => '127.0.0.5')->status, 200, 'the office needs none';
	like $w->get('/admin/status')->body, qr/^Active connections/, 'what is open to this host';
	is $w->request('GET', '/admin/status', $as->('alice:secret'), undef, from => '127.0.0.6')->status, 403,
	    'and to no other';
	my %n;
	$n{ $w->request('GET', '/admin/', $as->("alice:guess$_"))->status }++ for 1 .. 30;
	ok $n{429}, 'guessing is slow' or diag explain \%n;
}, origins => { 9001 => 'app' }, change => sub {
	# The test comes from here.
	s{192\.0\.2\.0/24}{127.0.0.5};
}, before => sub {
	my ($w) = @_;

	$w->write('etc/weir/users', 'alice:' . crypt('secret', '$6$saltsalt$') . "\n");
};

example 'protected-downloads' => sub {
	my ($w) = @_;
	my $link = sub {
		my ($expires, $uri, $secret) = @_;
		my $md5 = encode_base64(md5("$expires${uri}127.0.0.1 $secret"), '') =~ tr{+/}{-_}r =~ s/=+$//r;
		return $w->get("$uri?md5=$md5&expires=$expires");
	};

	is $link->(time + 60, '/links/report.pdf', 'change-me')->body, 'report', 'a link that holds';
	is $link->(time - 60, '/links/report.pdf', 'change-me')->status, 410, 'one whose time is over';
	is $link->(time + 60, '/links/report.pdf', 'guess')->status, 403, 'one that was made up';
	is $w->get('/links/report.pdf')->status, 403, 'and none';

	is $w->get('/pictures/cat.png')->body, 'cat', 'a picture';
	is $w->get('/pictures/cat.png', Referer => 'http://www.example.com/page')->status, 200, 'on a page of ours';
	is $w->get('/pictures/cat.png', Referer => 'http://evil.example/page')->status, 403, 'of others';

	my $r = $w->get('/download/report', Cookie => 'user=alice');
	is $r->body, 'report', 'the application says who may';
	is $w->get('/download/report')->status, 403, 'and who may not';
	is $w->get('/inside/report.pdf')->status, 404, 'which nobody gets around';
}, origins => { 9001 => sub {
	my ($c) = @_;

	while (my $q = $c->read_request) {
		$c->send(($q->{headers}{cookie} // '') =~ /alice/
		    ? "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /inside/report.pdf\r\nContent-Length: 0\r\n\r\n"
		    : "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
	}
} }, before => sub {
	my ($w) = @_;

	$w->write('srv/www/files/report.pdf', 'report');
	$w->write('srv/www/files/cat.png', 'cat');
};

example 'compressed-front' => sub {
	my ($w) = @_;
	my @gzip = ('Accept-Encoding' => 'gzip');
	my $unpack = sub {
		my ($r) = @_;

		gunzip(\($r->body), \my $text) or return undef;
		return $text;
	};

	my $r = $w->get('/page', @gzip);
	is $r->header('Content-Encoding'), 'gzip', 'a page is compressed';
	is $r->header('Vary'), 'Accept-Encoding', 'and caches are told';
	cmp_ok length($r->body), '<', 2000, 'it is smaller';
	my $text = $unpack->($r) // '';
	like $text, qr{<a href="/next">}, 'links are right';
	unlike $text, qr/intranet-old/, 'all of them';
	like $text, qr{<script src="/static/notice\.js" defer></script></body>}, 'and there is something more';
	like $w->get('/page')->body, qr{<a href="/next">}, 'without gzip, too';
	is $w->get('/moved')->header('Location'), '/there', 'redirects';
	is $w->get('/picture', @gzip)->header('Content-Encoding'), undef, 'pictures stay';
	is $w->get('/account/', @gzip)->header('Content-Encoding'), undef, 'secrets are not compressed';

	$r = $w->get('/static/style.css', @gzip);
	is $r->header('Content-Encoding'), 'gzip', 'a file that was compressed beforehand';
	is $unpack->($r), 'made beforehand', 'is the one';
	is $w->get('/static/style.css')->body, 'plain', 'others get the plain one';
}, origins => { 9001 => sub {
	my ($c) = @_;

	while (my $q = $c->read_request) {
		my $type = $q->{uri} =~ /picture/ ? 'image/png' : 'text/html';
		my $body = '<body>' . "<a href=\"http://intranet-old.example.com/next\">next</a>\n" x 200 . '</body>';

		if ($q->{uri} eq '/moved') {
			$c->send("HTTP/1.1 302 Found\r\nLocation: http://intranet-old.example.com/there\r\n" .
			    "Content-Length: 0\r\n\r\n");
		} else {
			$c->send("HTTP/1.1 200 OK\r\nContent-Type: $type\r\nContent-Length: " .
			    length($body) . "\r\n\r\n$body");
		}
	}
} }, before => sub {
	my ($w) = @_;

	gzip(\'made beforehand', \my $packed) or die;
	$w->write('srv/www/front/style.css', 'plain');
	$w->write('srv/www/front/style.css.gz', $packed);
};

my $syslog;

example 'log-to-syslog' => sub {
	my ($w) = @_;
	my $line = sub {
		my $v = '';
		vec($v, fileno $syslog, 1) = 1;
		return undef if !select $v, undef, undef, 10;
		recv $syslog, my $text, 65536, 0;
		return $text;
	};

	$w->get('/fine');
	$w->get('/health');
	$w->get('/%22missing%22');
	like $line->(), qr/^<190>.* weir: \{.*"uri":"\/%22missing%22","status":404,/, 'a 404 is told to syslog';
	$w->origin_stop(21);
	$w->get('/gone');
	# one more when a connection that was kept is reset first
	my ($told, @told);
	push @told, $told while @told < 4 && !grep(/^<190>/, @told) && defined($told = $line->());
	is scalar(grep(/^<\d+>.* weir_error: .*connect\(\) failed/, @told)), 1, 'errors, too' or diag @told;
	is scalar(grep(/^<190>.* weir: .*"status":502,/, @told)), 1, 'and what the client got' or diag @told;

	$w->kill('USR1');
	my @log = $w->access('logs/access.log', 3);
	is scalar(@log), 3, 'the file has all but the checks';
	like $log[0], qr/^\{"time":"[^"]+","client":"127\.0\.0\.1","method":"GET","host":"localhost","uri":"\/fine","status":200,.*\}$/,
	    'as JSON';
}, origins => { 9001 => sub {
	my ($c) = @_;

	while (my $q = $c->read_request) {
		$c->send('HTTP/1.1 ' . ($q->{uri} =~ /missing/ ? '404 Not Found' : '200 OK') .
		    "\r\nContent-Length: 0\r\n\r\n");
	}
} }, before => sub {
	my ($w) = @_;

	$syslog = IO::Socket::UNIX->new(Local => $w->dir . '/devlog', Type => SOCK_DGRAM) or die;
	chmod 0777, $w->dir . '/devlog';
};

# ---- the configuration that is installed ----

subtest 'weir.conf' => sub {
	my $w = Weir->new;
	my $text = slurp('conf/weir.conf');
	my $types = "include $root/conf/mime.types";

	for ([ 'as it is', $text ], [ 'with everything switched on', $text =~ s{^(?:#(?=\S)|( +)#(?=\S| {4}))}{$1 // ''}gmre ]) {
		my ($name, $conf) = @$_;

		$conf =~ s/^user .*//m;
		$conf =~ s/include\s+mime\.types/$types/;
		$w->write('conf/weir.conf', $conf);
		my ($rc, undef, $err) = $w->run('-t', '-p', $w->dir, '-e', 'error.log', '-c', 'conf/weir.conf');
		is $rc, 0, $name;
		unlike $err, qr/\[\w+\]/, "$name: not a word about it" or diag $err;
	}
	like $w->read('conf/weir.conf'), qr/^    upstream app \{\n {8}server /m, 'it was on';
};

# Facts that a web of today needs; and nginx.conf's users miss no extension.
subtest 'mime.types' => sub {
	my %type = map { my ($t, @e) = split; map { $_ => $t } @e } slurp('conf/mime.types') =~ /^\s+(\w+\/[^;]+);/mg;

	is $type{$_->[0]}, $_->[1], $_->[0] for [ js => 'text/javascript' ], [ mjs => 'text/javascript' ],
	    [ wasm => 'application/wasm' ], [ webp => 'image/webp' ], [ avif => 'image/avif' ],
	    [ woff2 => 'font/woff2' ], [ json => 'application/json' ], [ webmanifest => 'application/manifest+json' ],
	    [ svg => 'image/svg+xml' ], [ ico => 'image/vnd.microsoft.icon' ], [ html => 'text/html' ];
};

# ---- none is forgotten ----

is_deeply [ sort map { m{([^/]+)\.conf$} } glob 'conf/examples/*.conf' ], [ sort keys %example ],
    'every example has a test';
my $guide = slurp('doc/migrate-from-nginx.md');
is_deeply [ grep { index($guide, "conf/examples/$_.conf") < 0 } sort keys %example ], [],
    'and doc/migrate-from-nginx.md tells of it';

# The third column of its table says what weir does not have, the second what it has.
my %known = map { (split)[0] => 1 } `${\(Weir->new->binary)} --directives`;
for ($guide =~ /^## What is there.*?(?=^## )/ms ? $& =~ /^\| (.*) \|$/mg : ()) {
	my ($module, $has, $lacks) = split / *\| */, $_, 3;

	$lacks =~ s/;.*//;
	is_deeply [ grep { !known($_) } $has =~ /`([a-z_0-9]+\*?)`/g ], [], "$module: weir has what the guide says";
	is_deeply [ grep known($_), $lacks =~ /`([a-z_0-9]+\*?)`/g ], [], "$module: and lacks what it says";
}

sub known {
	my ($name) = @_;

	return $name =~ s/\*$// ? grep(index($_, $name) == 0, keys %known) : $known{$name};
}

done_testing();
