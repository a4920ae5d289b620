#!/usr/bin/perl

# gRPC: messages both ways as they come, trailers, statuses, and what its directives say.
#
# effect: grpc_pass grpc_bind grpc_socket_keepalive grpc_socket_rcvbuf grpc_socket_sndbuf grpc_connect_timeout
# effect: grpc_send_timeout grpc_read_timeout grpc_intercept_errors grpc_buffer_size grpc_next_upstream
# effect: grpc_next_upstream_delay grpc_retry_budget grpc_total_timeout grpc_replay_buffer grpc_hedge
# effect: grpc_next_upstream_tries grpc_next_upstream_timeout grpc_set_header grpc_hide_header grpc_pass_header
# effect: grpc_ignore_headers grpc_http2_max_streams grpc_ssl_certificate grpc_ssl_certificate_key
# effect: grpc_ssl_certificate_cache grpc_ssl_password_file grpc_ssl_ciphers grpc_ssl_ecdh_curve grpc_ssl_protocols
# effect: grpc_ssl_conf_command grpc_ssl_verify grpc_ssl_verify_depth grpc_ssl_trusted_certificate grpc_ssl_crl
# effect: grpc_ssl_name grpc_ssl_server_name grpc_ssl_session_reuse early_hints forwarded

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Time::HiRes qw(time);
use Weir;
use Weir::H2;

my $w = Weir->new;
$w->cert('root', is_ca => 1);
$w->cert('inter', is_ca => 1, ca => 'root');
$w->cert('origin', ca => 'root', san => 'DNS:origin.test');
$w->cert('deep', ca => 'inter', san => 'DNS:deep.test');
$w->cert('client', ca => 'root');
$w->cert('locked', ca => 'root', pass => 'secret');
$w->crl('root', 'origin');
$w->write('deep-chain.crt', $w->read('deep.crt') . $w->read('inter.crt'));
$w->write('passwords', "secret\n");
$w->write('id/a.crt', $w->read('client.crt'), 0644);
$w->write('id/a.key', $w->read('client.key'), 0644);
$w->write('id/b.crt', $w->read('client.crt'), 0644);
$w->write('id/b.key', $w->read('client.key'), 0644);

my @grpc = ('content-type' => 'application/grpc');
my $ok = ['grpc-status' => 0, 'grpc-message' => 'fine'];

# Each DATA goes back as it came, until the client has ended.
sub echo
{
	my ($h, $q) = @_;
	$h->fields($q->{sid}, [':status' => 200, @grpc], 0);
	my $rest = $q->{body};
	$h->credit(0);
	for (;;) {
		$h->window($_, $q->{sid}), $h->window($_) for $h->upload($q->{sid}, \$rest) || ();
		last if $q->{end} && !length $rest;
		my $f = $h->read_frame or return;
		next unless $f->{sid} == $q->{sid};
		return if $f->{type} == 3;
		return $h->rst($q->{sid}, 2) if $f->{type} == 0 && $f->{payload} eq 'cut';
		$rest .= $f->{payload} if $f->{type} == 0;
		$q->{end} = 1 if $f->{type} == 0 && $f->{flags} & 1;
	}
	$h->credit(1);
	$h->fields($q->{sid}, $ok, 1);
}

my %answers = (
	'/no.Such/Method' => sub { $_[0]->fields($_[1]{sid}, [':status' => 200, @grpc, 'grpc-status' => 12, 'grpc-message' => 'unknown'], 1) },
	'/rst' => sub { $_[0]->rst($_[1]{sid}, 2) },
	'/refused' => sub { $_[0]->rst($_[1]{sid}, 7) },
	'/hang' => sub { },
	'/many' => sub { my ($h, $q) = @_; $h->respond($q->{sid}, 200, [@grpc], 'x' x 1000, more => 1) for 1; $h->data($q->{sid}, 'y' x 1000, 0) for 1 .. 50; $h->fields($q->{sid}, $ok, 1) },
	'/large' => sub { my ($h, $q) = @_; $h->respond($q->{sid}, 200, [@grpc, 'x-large' => 'x' x 3000], 'a', trailers => $ok) },
	'/fields' => sub { my ($h, $q) = @_; $h->respond($q->{sid}, 200, [@grpc, server => 'origin', date => 'Thu, 01 Jan 1970 00:00:00 GMT',
	    'x-secret' => 's', 'x-accel-limit-rate' => '5', 'x-accel-redirect' => '/inside'], 'body', trailers => $ok) },
	'/hints' => sub { my ($h, $q) = @_; $h->fields($q->{sid}, [':status' => 103, link => '</a>'], 0); $h->respond($q->{sid}, 200, [@grpc], 'a', trailers => $ok) },
);
for my $status (404, 500, 503) {
	$answers{"/$status"} = sub { $_[0]->respond($_[1]{sid}, $status, ['content-type' => 'text/plain'], "origin $status") };
}

sub serve
{
	my ($c, $who) = @_;
	my $h = Weir::H2->server($c) or return;
	while (my $q = $h->read_head) {
		my $path = $q->{fields}{':path'} =~ s/\?.*//r =~ s{^/\w+(?=/)}{}r;
		$c->note("$who $path");
		if ($q->{fields}{':path'} =~ /bidi/) {
			echo($h, $q);
			next;
		}
		while (!$q->{end}) { $h->take(10) or return }
		if ($answers{$path}) {
			$answers{$path}->($h, $q);
			next;
		}
		my @seen = map { "$q->{list}[2 * $_]=$q->{list}[2 * $_ + 1]" } 0 .. @{ $q->{list} } / 2 - 1;
		$h->respond($q->{sid}, 200, [@grpc, 'x-who' => $who], join("\n", @seen, "body=$q->{body}"), trailers => $ok);
	}
}

$w->origin(2, sub { serve($_[0], 'two') });
$w->origin(3, sub { serve($_[0], 'three') });
# takes nothing of bodies
$w->origin(6, sub { my ($c) = @_; my $h = Weir::H2->server($c, settings => [4 => 0]) or return; $h->read_head; $h->eof });
$w->origin(12, sub { my ($c) = @_; my $h = Weir::H2->server($c) or return; while (my $q = $h->read_request) { $h->rst($q->{sid}, 2) } });

# takes the beginning of a body and refuses the stream, the first time
$w->origin(13, sub {
	my ($c) = @_;
	my $h = Weir::H2->server($c) or return;
	while (my $q = $h->read_head) {
		while (!length $q->{body} && !$q->{end}) { $h->take(10) or return }
		my $path = $q->{fields}{':path'};
		my $first = !grep $_ eq "took $path", $w->origin_notes(13);
		$c->note("took $path");
		if ($first) { $h->rst($q->{sid}, 7); next }
		while (!$q->{end}) { $h->take(10) or return }
		$h->respond($q->{sid}, 200, [@grpc], "body=$q->{body}", trailers => $ok);
	}
});

# says nothing, but notes what is taken back
$w->origin(14, sub {
	my ($c) = @_;
	my $h = Weir::H2->server($c) or return;
	while (my $f = $h->read_frame(60)) { $c->note("reset $f->{sid}") if $f->{type} == 3 }
});

my $tls = 'return 200 "$ssl_protocol $ssl_cipher $ssl_curve [$ssl_server_name] $ssl_session_reused $ssl_client_verify $ssl_alpn_protocol c$connection $server_protocol $scheme\n";';
my $verify = 'grpc_ssl_verify on; grpc_ssl_trusted_certificate %DIR%/root.crt;';
my $id = 'grpc_ssl_certificate %DIR%/id/$arg_id.crt; grpc_ssl_certificate_key %DIR%/id/$arg_id.key;';

$w->start(<<"E");
http {
	log_format up '\$uri \$status \$upstream_status \$upstream_addr';
	access_log %DIR%/access.log up;
	client_max_body_size 20m;
	keepalive_requests 100000;
	upstream group { server 127.0.0.1:%PORT2%; }
	upstream pair { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0; }
	upstream spender { server 127.0.0.1:%PORT2% max_fails=0; server 127.0.0.1:%PORT3% max_fails=0; zone spender 256k; }
	upstream hedged { server 127.0.0.1:%PORT14%; server 127.0.0.1:%PORT2% backup; }
	upstream rejects { server 127.0.0.1:%PORT12% max_fails=0; server 127.0.0.1:%PORT3% backup; }
	upstream one { server 127.0.0.1:%PORT2%; keepalive 4; }
	server {
		listen 127.0.0.1:%PORT1%;
		http2 on;
		location / { grpc_pass grpc://127.0.0.1:%PORT2%; }
		location /bare { grpc_pass 127.0.0.1:%PORT2%; }
		location /group { grpc_pass group; }
		location /sgroup { grpc_pass grpc://group; }
		location /var { grpc_pass \$arg_to; }
		location /varhost { grpc_pass grpc://\$arg_to; }
		location /unix { grpc_pass grpc://unix:%DIR%/sock; }
		location /slash/ { grpc_pass group; }
		location /set { grpc_set_header X-One \$arg_x; grpc_set_header Host custom.test; grpc_set_header X-Drop ""; grpc_pass group;
			location /set/more { grpc_set_header X-Two 2; grpc_pass group; } }
		location /hide { grpc_hide_header X-Secret; grpc_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate; grpc_pass group; }
		location /passes { grpc_pass_header Server; grpc_pass_header Date; grpc_ignore_headers X-Accel-Redirect X-Accel-Limit-Rate; grpc_pass group; }
		location /accel { grpc_pass group; }
		location /inside { internal; return 200 inside; }
		location /small { grpc_buffer_size 2k; grpc_pass group; }
		location /read { grpc_read_timeout 300ms; grpc_pass group; }
		location /send { grpc_send_timeout 300ms; grpc_pass 127.0.0.1:%PORT6%; }
		location /connect { grpc_connect_timeout 300ms; grpc_pass 127.0.0.1:%PORT7%; }
		location /gone { grpc_pass 127.0.0.1:%PORT8%; }
		location /intercept { grpc_intercept_errors on; error_page 404 = \@page; grpc_pass group; }
		location /plain { error_page 404 = \@page; grpc_pass group; }
		location \@page { return 200 page; }
		location /next { grpc_next_upstream http_503 non_idempotent; grpc_pass pair; }
		location /invalid { grpc_next_upstream invalid_header; grpc_pass rejects; }
		location /noinvalid { grpc_next_upstream error timeout; grpc_pass rejects; }
		location /nonext { grpc_next_upstream off; grpc_pass pair; }
		location /tries { grpc_next_upstream http_503 non_idempotent; grpc_next_upstream_tries 1; grpc_pass pair; }
		location /timed { grpc_read_timeout 400ms; grpc_next_upstream timeout non_idempotent; grpc_next_upstream_timeout 200ms; grpc_pass pair; }
		location /untimed { grpc_read_timeout 400ms; grpc_next_upstream timeout non_idempotent; grpc_pass pair; }
		location /delay { grpc_next_upstream http_503 non_idempotent; grpc_next_upstream_delay 200ms; grpc_pass pair; }
		location /budget { grpc_next_upstream http_503 non_idempotent; grpc_retry_budget 1% min=1; grpc_pass spender; }
		location /total { grpc_total_timeout 300ms; grpc_read_timeout 5m; grpc_pass pair; }
		location /replayed { grpc_replay_buffer 64k; grpc_pass 127.0.0.1:%PORT13%; }
		location /gone/body { grpc_pass 127.0.0.1:%PORT13%; }
		location /hedge { grpc_hedge 100ms; grpc_replay_buffer 64k; grpc_next_upstream error non_idempotent; grpc_pass hedged; }
		location /most { grpc_http2_max_streams 1; grpc_pass 127.0.0.1:%PORT4%; }
		location /stuck { grpc_pass 127.0.0.1:%PORT3%; }
		location /shared { grpc_pass 127.0.0.1:%PORT4%; }
		location /bind { grpc_bind 127.0.0.9; grpc_pass 127.0.0.1:%PORT4%; }
		location /sockets { grpc_socket_rcvbuf 16k; grpc_socket_sndbuf 32k; grpc_socket_keepalive on; grpc_pass one; }
		location /hinted { early_hints 1; grpc_pass group; }
		location /fwd { forwarded on; grpc_pass group; }
		location /limit { limit_except POST { deny all; } grpc_pass group; }

		location /tls { grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /tlsvar { grpc_pass \$arg_scheme://127.0.0.1:%PORT5%; }
		location /verify { $verify grpc_ssl_name \$arg_name; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /strict { grpc_ssl_verify on; grpc_ssl_name origin.test; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /crl { $verify grpc_ssl_name origin.test; grpc_ssl_crl %DIR%/root.crl; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /deep { $verify grpc_ssl_name deep.test; grpc_pass grpcs://127.0.0.1:%PORT9%; }
		location /shallow { $verify grpc_ssl_name deep.test; grpc_ssl_verify_depth 0; grpc_pass grpcs://127.0.0.1:%PORT9%; }
		location /sni { grpc_ssl_server_name on; grpc_ssl_name sni.test; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /cert { grpc_ssl_certificate %DIR%/client.crt; grpc_ssl_certificate_key %DIR%/client.key; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /locked { grpc_ssl_certificate %DIR%/locked.crt; grpc_ssl_certificate_key %DIR%/locked.key; grpc_ssl_password_file %DIR%/passwords; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /id { $id grpc_pass grpcs://127.0.0.1:%PORT5%;
			location /id/kept { grpc_ssl_certificate_cache max=10 valid=1h inactive=1h; grpc_pass grpcs://127.0.0.1:%PORT5%; } }
		location /v12 { grpc_ssl_protocols TLSv1.2; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /cipher { grpc_ssl_protocols TLSv1.2; grpc_ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /suite { grpc_ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /curve { grpc_ssl_ecdh_curve X25519; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /reuse { grpc_bind 127.0.0.10; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /noreuse { grpc_ssl_session_reuse off; grpc_bind 127.0.0.11; grpc_pass grpcs://127.0.0.1:%PORT5%; }
		location /notls { grpc_pass grpcs://127.0.0.1:%PORT2%; }
		location /h1 { grpc_pass grpcs://127.0.0.1:%PORT10%; }
	}
	server { listen 127.0.0.1:%PORT4%; http2 on; location / { return 200 "\$remote_addr c\$connection\\n"; } location ~ slow { proxy_pass http://127.0.0.1:%PORT11%; } }
	server { listen unix:%DIR%/sock; http2 on; return 200 "unix \$host \$server_protocol\\n"; }
	ssl_verify_client optional;
	ssl_client_certificate %DIR%/root.crt;
	server { listen 127.0.0.1:%PORT5% ssl; http2 on; ssl_certificate %DIR%/origin.crt; ssl_certificate_key %DIR%/origin.key; $tls }
	server { listen 127.0.0.1:%PORT9% ssl; http2 on; ssl_certificate %DIR%/deep-chain.crt; ssl_certificate_key %DIR%/deep.key; $tls }
	server { listen 127.0.0.1:%PORT10% ssl; ssl_certificate %DIR%/origin.crt; ssl_certificate_key %DIR%/origin.key; $tls }
}
E

my $h = Weir::H2->new($w->connect);

sub call
{
	my ($path, $body, @more) = @_;
	my $sid = $h->request([':method' => 'POST', ':path' => $path, ':scheme' => 'http', ':authority' => 'localhost', @grpc,
	    te => 'trailers', @more], body => $body // 'hello');
	return $h->response($sid);
}
sub status { return call(@_)->{status} }

# ---- a call ----

subtest 'one call' => sub {
	my $r = call('/pkg.Service/Method');
	is $r->{status}, 200;
	is $r->{headers}{'content-type'}, 'application/grpc';
	is $r->{trailers}{'grpc-status'}, 0, 'the status is in the trailers';
	is $r->{trailers}{'grpc-message'}, 'fine';
	like $r->{body}, qr/^:method=POST$/m;
	like $r->{body}, qr/^:scheme=http$/m;
	like $r->{body}, qr/^:path=\/pkg\.Service\/Method$/m;
	like $r->{body}, qr/^:authority=127\.0\.0\.1:@{[ $w->port(2) ]}$/m;
	like $r->{body}, qr/^te=trailers$/m, 'TE is passed on';
	like $r->{body}, qr/^content-type=application\/grpc$/m;
	like $r->{body}, qr/^body=hello$/m;
	unlike $w->get('/pkg.Service/Method')->body, qr/^te=/m, 'no TE when the client says none';
	$r = call('/no.Such/Method');
	is $r->{trailers} // $r->{headers}{'grpc-status'}, 12, 'a response that is trailers only';
	is $r->{body}, '';
	is status("/$_"), $_, "status $_ is passed on" for 404, 503;
	is $w->request('POST', '/pkg/Old', [TE => 'trailers'], 'x')->status, 200, 'clients with HTTP/1.1 may call, too';
};

subtest 'both ways at once' => sub {
	my $sid = $h->request([':method' => 'POST', ':path' => '/bidi', ':scheme' => 'http', ':authority' => 'localhost', @grpc,
	    te => 'trailers'], more => 1);
	my ($head) = grep { $_->{fields} } $h->read_until(sub { $_[0]{fields} });
	is +{ @{ $head->{fields} } }->{':status'}, 200, 'the response begins before there is a message';
	for my $i (1 .. 5) {
		$h->data($sid, "message $i", 0);
		my @f = $h->read_until(sub { $_[0]{type} == 0 && length $_[0]{payload} });
		is $f[-1]{payload}, "message $i", "message $i comes back";
	}
	$h->data($sid, '', 1);
	my $r = $h->response($sid);
	is $r->{trailers}{'grpc-status'}, 0, 'and the status when the client has ended';
};

subtest 'what is long' => sub {
	my $body = join '', map { sprintf '%07d ', $_ } 1 .. 300_000;
	my $rest = $body;
	my $sid = $h->request([':method' => 'POST', ':path' => '/bidi/long', ':scheme' => 'http', ':authority' => 'localhost', @grpc], more => 1);
	my $got = '';
	while (length $rest || length $got < length $body) {
		$h->upload($sid, \$rest) if length $rest;
		my $f = $h->read_frame or last;
		$got .= $f->{payload} if $f->{type} == 0 && $f->{sid} == $sid;
	}
	ok $got eq $body, '2.4 MB there and back';
	$h->data($sid, '', 1);
	is $h->response($sid)->{trailers}{'grpc-status'}, 0;
	my $r = call('/many');
	is length $r->{body}, 51000, 'many messages';
	is $r->{trailers}{'grpc-status'}, 0;
};

# Who does not read stops who sends, through both connections.
subtest 'a client that reads nothing' => sub {
	my $k = Weir::H2->new($w->connect, settings => [4 => 0]);
	$k->credit(0);
	my $sid = $k->request([':method' => 'POST', ':path' => '/stuck/bidi', ':scheme' => 'http', ':authority' => 'localhost', @grpc], more => 1);
	my $rest = 'z' x 8_000_000;
	my $sent = length $rest;
	for (my $idle = 0; length $rest && $idle < 3; ) {
		my $before = length $rest;
		$k->upload($sid, \$rest);
		my $f = $k->read_frame(length $rest == $before ? 1 : 0.2);
		$idle = $f || length $rest != $before ? 0 : $idle + 1;
	}
	$sent -= length $rest;
	cmp_ok $sent, '<', 6_000_000, "it could send $sent bytes only";
	is status('/other/call'), 200, 'others are served';
	$k->rst($sid);
	$k->{c}->close;
};

subtest 'what goes wrong' => sub {
	my $cut = $h->request([':method' => 'POST', ':path' => '/bidi/cut', ':scheme' => 'http', ':authority' => 'localhost', @grpc], more => 1);
	$h->data($cut, 'half', 0);
	$h->read_until(sub { $_[0]{type} == 0 && length $_[0]{payload} });
	$h->data($cut, 'cut', 0);
	my $r = $h->response($cut);
	ok defined $r->{rst} && !$r->{trailers}, 'a call that is cut is no whole one';
	is status('/rst'), 502, 'one that the upstream resets';
	$w->log_like(qr{upstream rejected request with error 2 .*upstream: "grpc://127\.0\.0\.1:}, 'the log says so');
	is status('/gone'), 502, 'nobody is there';
	$w->log_like(qr/connect\(\) failed \(111: .*upstream: "grpc:/, 'the log says so');
	is status('/read/hang'), 504, 'grpc_read_timeout';
	is $w->request('POST', '/send/x', [], 'x' x 3_000_000)->status, 504, 'grpc_send_timeout';
	my $l = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $w->port(7), Listen => 1) or die;
	my @fill;
	for (1 .. 4) {
		my $s = IO::Socket::INET->new(Proto => 'tcp');
		$s->blocking(0);
		connect $s, Socket::pack_sockaddr_in($w->port(7), Socket::inet_aton('127.0.0.1'));
		push @fill, $s;
	}
	is status('/connect'), 504, 'grpc_connect_timeout';
	is status('/small/large'), 502, 'grpc_buffer_size';
	is status('/group/large'), 200, 'the usual one is larger';

	my $sid = $h->request([':method' => 'POST', ':path' => '/group/bidi/left', ':scheme' => 'http', ':authority' => 'localhost', @grpc], more => 1);
	$h->read_until(sub { $_[0]{fields} });
	$h->rst($sid);
	is status('/group/after'), 200, 'a client that gives up';
};

subtest 'where to' => sub {
	my $two = '127.0.0.1:' . $w->port(2);
	like call('/bare/x')->{body}, qr/^:authority=\Q$two\E$/m, 'an address alone';
	like call('/group/x')->{body}, qr/^:authority=group$/m, 'a group';
	like call('/sgroup/x')->{body}, qr/^:authority=group$/m, 'a group, with a scheme';
	like call("/var/x?to=grpc://$two")->{body}, qr/^:authority=\Q$two\E$/m, 'all in a variable';
	like call("/var/x?to=$two")->{body}, qr/^:path=\/var\/x\?to=\Q$two\E$/m, 'without a scheme, and the path stays';
	like call('/var/x?to=group')->{body}, qr/^:authority=group$/m, 'a group';
	like call("/varhost/x?to=$two")->{body}, qr/^:authority=\Q$two\E$/m, 'the host in a variable';
	is status('/var/x?to='), 500, 'none';
	is call('/unix/x')->{body}, "unix localhost HTTP/2.0\n", 'a socket of the machine';
	is status('/slash'), 301, 'a slash is added';
	is $w->request('GET', '/limit', [], undef)->status, 403, 'limit_except';
	like call('/fwd')->{body}, qr/^forwarded=for=127\.0\.0\.1;host=localhost;proto=http$/m, 'forwarded';
};

subtest 'fields' => sub {
	my $r = call('/set/x?x=1', undef, 'x-drop' => 'me', 'x-one' => 'mine');
	like $r->{body}, qr/^x-one=1$/m, 'grpc_set_header';
	like $r->{body}, qr/^:authority=custom\.test$/m, 'Host is :authority';
	unlike $r->{body}, qr/x-drop|x-one=mine/, 'the client\'s go';
	$r = call('/set/more/x?x=1');
	like $r->{body}, qr/^x-two=2$/m, 'a place of its own';
	unlike $r->{body}, qr/x-one|custom/, 'has nothing from above';
	$r = call('/accel/fields');
	is $r->{body}, 'inside', 'X-Accel-Redirect';
	$r = call('/hide/fields');
	is $r->{body}, 'body', 'grpc_ignore_headers';
	is $r->{headers}{'x-secret'}, undef, 'grpc_hide_header';
	like $r->{headers}{server}, qr/weir/, 'Server is ours';
	$r = call('/passes/fields');
	is $r->{headers}{server}, 'origin', 'grpc_pass_header';
	is $r->{headers}{date}, 'Thu, 01 Jan 1970 00:00:00 GMT', 'another';
	is $r->{headers}{'x-secret'}, 's', 'the others are passed';
	is call('/intercept/404')->{body}, 'page', 'grpc_intercept_errors';
	is call('/plain/404')->{body}, 'origin 404', 'off by default';
	is_deeply call('/hinted/hints')->{early}, [103], 'early_hints';
	is call('/group/hints')->{early}, undef, 'not unless asked for';
};

subtest 'other servers' => sub {
	my $asked = sub { my ($uri) = @_; my @l = grep /^\Q$uri\E /, $w->access; wait_for(sub { @l = grep /^\Q$uri\E /, $w->access; @l }); return scalar(() = $l[-1] =~ /127\.0\.0\.1:/g) };
	is $w->get('/next/503')->status, 503;
	is $asked->('/next/503'), 2, 'grpc_next_upstream';
	is $w->get('/nonext/503')->status, 503;
	is $asked->('/nonext/503'), 1, 'off';
	is $w->get('/tries/503')->status, 503;
	is $asked->('/tries/503'), 1, 'grpc_next_upstream_tries';
	is $w->get('/timed/hang')->status, 504;
	is $asked->('/timed/hang'), 1, 'grpc_next_upstream_timeout';
	is $w->get('/untimed/hang')->status, 504;
	is $asked->('/untimed/hang'), 2, 'no limit';
	my $begin = time;
	is $w->get('/delay/503')->status, 503;
	is $asked->('/delay/503'), 2;
	cmp_ok time - $begin, '>', 0.18, 'grpc_next_upstream_delay';
	is $w->get('/budget/503')->status, 503;
	is $asked->('/budget/503'), 2, 'there is one retry';
	is $w->get('/budget/503?2')->status, 503 for 1 .. 3;
	$w->log_like(qr/the retry budget of upstream "spender" is spent/, 'grpc_retry_budget');
	is $w->get('/total/hang')->status, 504, 'grpc_total_timeout';
	is $asked->('/total/hang'), 1;
	my $streams = sub {
		my ($path) = @_;
		my $sid = $h->request([':method' => 'POST', ':path' => $path, ':scheme' => 'http', ':authority' => 'localhost', @grpc], more => 1);
		$h->data($sid, 'hello', 0);
		ok wait_for(sub { grep $_ eq "took $path", $w->origin_notes(13) });
		$h->data($sid, ' again', 1);
		return $h->response($sid);
	};
	like $streams->('/replayed/x')->{body}, qr/^body=hello again$/m, 'grpc_replay_buffer';
	like call('/replayed/whole')->{body}, qr/^body=hello$/m, 'also when its end has come';
	is $streams->('/gone/body')->{status}, 502, 'what has gone has gone';
	like call('/hedge/x')->{body}, qr/^body=hello$/m, 'grpc_hedge';
	ok wait_for(sub { grep /^reset /, $w->origin_notes(14) }), 'the other stream is taken back';
	is status('/refused'), 502, 'refused';
	is $w->get('/invalid/x')->status, 200, 'a reset is invalid_header';
	is $w->get('/noinvalid/x')->status, 502, 'and no error';
};

subtest 'connections' => sub {
	like call('/bind/x')->{body}, qr/^127\.0\.0\.9 /, 'grpc_bind';
	my ($a) = call('/most/x')->{body} =~ /(c\d+)$/m;
	is +(call('/most/x')->{body} =~ /(c\d+)$/m)[0], $a, 'a connection serves one call after the other';
	$w->origin(11, sub { my ($c) = @_; my $q = $c->read_request; $c->note("here $q->{uri}"); $c->eof });
	for ([ '/most', 0 ], [ '/shared', 1 ]) {
		my ($uri, $same) = @$_;
		my ($idle) = call("$uri/x")->{body} =~ /(c\d+)$/m;
		my $slow = $h->request([':method' => 'POST', ':path' => "$uri/slow", ':scheme' => 'http', ':authority' => 'localhost'], body => 'x');
		ok wait_for(sub { grep /^here \Q$uri\E/, $w->origin_notes(11) }), "$uri: a call is under way";
		my ($now) = call("$uri/x")->{body} =~ /(c\d+)$/m;
		is $now eq $idle ? 1 : 0, $same, $same ? 'others share its connection' : 'others get another: grpc_http2_max_streams';
		$h->rst($slow);
	}
	SKIP: {
		`ss -V 2>/dev/null` or skip 'ss is missing', 1;
		my $sid = $h->request([':method' => 'POST', ':path' => '/sockets/bidi', ':scheme' => 'http', ':authority' => 'localhost', @grpc], more => 1);
		$h->read_until(sub { $_[0]{fields} });
		ok wait_for(sub { `ss -Htnmo state established 'dport = :@{[ $w->port(2) ]}'` =~ /timer:\(keepalive.*\n?.*rb32768,.*tb65536,/ }),
		    'grpc_socket_rcvbuf, grpc_socket_sndbuf and grpc_socket_keepalive';
		$h->rst($sid);
	}
};

subtest 'TLS' => sub {
	like call('/tls/x')->{body}, qr{^TLSv1\.3 \S+ X25519MLKEM768 \[\] \. NONE h2 c\d+ HTTP/2\.0 https$}, 'grpcs';
	like call('/tlsvar/x?scheme=grpcs')->{body}, qr{^TLSv1\.3 }, 'in a variable';
	is status('/verify/x?name=origin.test'), 200, 'grpc_ssl_verify, grpc_ssl_trusted_certificate, grpc_ssl_name';
	is status('/verify/x?name=other.test'), 502, 'another name';
	$w->log_like(qr{upstream SSL certificate does not match .*upstream: "grpcs:}, 'the log says so');
	is status('/strict/x'), 502, 'nobody vouches for it';
	is status('/crl/x'), 502, 'grpc_ssl_crl';
	is status('/deep/x'), 200, 'a chain of two';
	is status('/shallow/x'), 502, 'grpc_ssl_verify_depth';
	like call('/sni/x')->{body}, qr/\[sni\.test\]/, 'grpc_ssl_server_name';
	like call('/cert/x')->{body}, qr/ SUCCESS /, 'grpc_ssl_certificate';
	like call('/locked/x')->{body}, qr/ SUCCESS /, 'grpc_ssl_password_file';
	like call('/id/x?id=a')->{body}, qr/ SUCCESS /, 'grpc_ssl_certificate with a variable';
	is status('/id/x?id=none'), 500, 'one that is not there';
	like call('/id/kept/x?id=b')->{body}, qr/ SUCCESS /;
	unlink $w->dir . "/id/b.$_" for 'crt', 'key';
	like call('/id/kept/x?id=b')->{body}, qr/ SUCCESS /, 'grpc_ssl_certificate_cache';
	is status('/id/x?id=b'), 500, 'without it, no more';
	like call('/v12/x')->{body}, qr/^TLSv1\.2 /, 'grpc_ssl_protocols';
	like call('/cipher/x')->{body}, qr/ ECDHE-ECDSA-CHACHA20-POLY1305 /, 'grpc_ssl_ciphers';
	like call('/suite/x')->{body}, qr/ TLS_CHACHA20_POLY1305_SHA256 /, 'grpc_ssl_conf_command';
	like call('/curve/x')->{body}, qr/ X25519 /, 'grpc_ssl_ecdh_curve';
	call('/reuse/x');
	ok wait_for(sub { call('/reuse/x')->{body} =~ / r NONE / }), 'sessions are resumed';
	call('/noreuse/x') for 1, 2;
	like call('/noreuse/x')->{body}, qr/ \. NONE /, 'grpc_ssl_session_reuse off';
	is status('/notls/x'), 502, 'no TLS there';
	is status('/h1/x'), 502, 'no HTTP/2 there';
	$w->log_like(qr/alert no application protocol/, 'the log says so');
};

SKIP: {
	system('python3 -c "import grpc" 2>/dev/null') == 0 or skip 'python3-grpcio is missing', 1;
	my $p = Weir->new;
	my $port = $p->port(2);
	$p->write('peer.py', <<'PY');
import grpc, sys
from concurrent import futures
front, back = sys.argv[1:]
ident = lambda b: b
def one(q, c):
    if q == b'bad': c.abort(grpc.StatusCode.INVALID_ARGUMENT, 'so bad')
    c.set_trailing_metadata((('x-behind', 'yes'),))
    return q + b'!'
def many(q, c):
    for i in range(int(q)): yield b'%d' % i
def both(it, c):
    for m in it: yield m.upper()
def take(it, c):
    return b'%d' % sum(len(m) for m in it)
H = grpc.method_handlers_generic_handler('t.S', {
    'One': grpc.unary_unary_rpc_method_handler(one, ident, ident),
    'Many': grpc.unary_stream_rpc_method_handler(many, ident, ident),
    'Take': grpc.stream_unary_rpc_method_handler(take, ident, ident),
    'Both': grpc.stream_stream_rpc_method_handler(both, ident, ident)})
s = grpc.server(futures.ThreadPoolExecutor(4)); s.add_generic_rpc_handlers((H,)); s.add_insecure_port('127.0.0.1:' + back); s.start()
with grpc.insecure_channel('127.0.0.1:' + front, options=[('grpc.enable_http_proxy', 0)]) as ch:
    T = 10
    r, call = ch.unary_unary('/t.S/One').with_call(b'hi', timeout=T)
    print('one', r.decode(), dict(call.trailing_metadata()).get('x-behind'))
    try: ch.unary_unary('/t.S/One')(b'bad', timeout=T)
    except grpc.RpcError as e: print('bad', e.code().name, e.details())
    try: ch.unary_unary('/t.S/None')(b'x', timeout=T)
    except grpc.RpcError as e: print('none', e.code().name)
    print('many', len(list(ch.unary_stream('/t.S/Many')(b'1000', timeout=T))))
    print('take', ch.stream_unary('/t.S/Take')((b'x' * 10000 for _ in range(200)), timeout=T).decode())
    print('both', b''.join(ch.stream_stream('/t.S/Both')(iter([b'a', b'b', b'c']), timeout=T)).decode())
    try: ch.unary_unary('/down')(b'x', timeout=T)
    except grpc.RpcError as e: print('down', e.code().name)
s.stop(None)
PY
	$p->start(<<'E');
http { server { listen 127.0.0.1:%PORT1%; http2 on; client_max_body_size 0; location / { grpc_pass 127.0.0.1:%PORT2%; } location /down { grpc_pass 127.0.0.1:%PORT3%; } } }
E
	my $out = `timeout 60 python3 @{[ $p->dir ]}/peer.py @{[ $p->port(1) ]} $port 2>/dev/null`;
	is $out, "one hi! yes\nbad INVALID_ARGUMENT so bad\nnone UNIMPLEMENTED\nmany 1000\ntake 2000000\nboth ABC\ndown UNAVAILABLE\n", 'gRPC\'s own library, both sides';
}

# mistakes
my $wrong = Weir->new;
$wrong->expect_alert(qr/\[emerg\]/);
for (
	[ 'grpc_pass http://127.0.0.1:1;', qr/invalid|port/ ],
	[ 'grpc_pass grpc://127.0.0.1:1/uri;', qr/has no URI part/ ],
	[ 'grpc_pass grpcs://127.0.0.1:1; grpc_ssl_verify off;', qr/grpc_ssl_trusted_certificate.*allow_insecure_upstream on/ ],
	[ "grpc_pass grpcs://127.0.0.1:1; grpc_ssl_certificate @{[ $w->dir ]}/client.crt;", qr/no "grpc_ssl_certificate_key" is defined/ ],
) {
	my ($rc, undef, $err) = $wrong->test_conf("http { server { listen 127.0.0.1:%PORT1%; location / { $_->[0] } } }");
	is $rc, 1, "refused: $_->[0]";
	like $err, $_->[1], 'and why';
}

done_testing;
