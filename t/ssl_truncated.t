#!/usr/bin/perl

# Connections over TLS that end without close_notify: somebody on the way may have cut them, so what has no length of its
# own is not whole (RFC 8446, 6.1; RFC 9110, 8.6).

use strict;
use warnings;

use lib 't/lib';
use IO::Socket::SSL;
use Test::More;
use Weir;

my $w = Weir->new;
my $dir = $w->dir;
$w->cert('s', cn => 'localhost');

# The path says what there is of the response, and how it ends.
my %head = (
	open => "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
	old => "HTTP/1.0 200 OK\r\n\r\n",
	length => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n",
	more => "HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n",
	chunks => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n",
	head => "HTTP/1.1 200 OK\r\nX-Head: ",
);
$w->origin(2, sub {
	my ($c) = @_;
	$c->socket->blocking(1);
	my $s = IO::Socket::SSL->start_SSL($c->socket, SSL_server => 1, SSL_cert_file => "$dir/s.crt", SSL_key_file => "$dir/s.key") or return;
	my $q = '';
	while ($q !~ /\r\n\r\n/) {
		vec(my $in = '', fileno $s, 1) = 1;
		select $in, undef, undef, 30 or return unless $s->pending;
		my $n = sysread $s, $q, 4096, length $q;
		return unless $n || !defined $n && $IO::Socket::SSL::SSL_ERROR == IO::Socket::SSL::SSL_WANT_READ();
	}
	my ($what, $end) = $q =~ m{/(\w+)/(\w+) HTTP} or return;
	syswrite $s, "$head{$what}body";
	$s->stop_SSL(SSL_no_shutdown => $end eq 'cut' ? 1 : 0);
	shutdown $c->socket, 1;
	$c->eof;
});
$w->origin(3, sub {
	my ($c) = @_;
	my $q = $c->read_request;
	$c->note(!$q ? 'nothing' : defined $q->{complete} && !$q->{complete} ? 'part' : "whole $q->{uri}");
	$c->send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") if $q;
});
$w->start(<<'CONF');
http {
	access_log %DIR%/access.log;
	ssl_certificate %DIR%/s.crt;
	ssl_certificate_key %DIR%/s.key;
	server {
		listen 127.0.0.1:%PORT1%;
		proxy_next_upstream off;
		location / { proxy_pass https://127.0.0.1:%PORT2%; }
		location /direct/ { proxy_buffering off; proxy_pass https://127.0.0.1:%PORT2%/; }
	}
	server {
		listen 127.0.0.1:%PORT4% ssl;
		location / { proxy_pass http://127.0.0.1:%PORT3%; }
		location /stream { proxy_pass http://127.0.0.1:%PORT3%; proxy_request_buffering off; }
		location /here { return 200 here; }
	}
}
CONF

# ---- upstreams ----

sub is_whole { my ($r) = @_; return defined $r && $r->status == 200 && $r->complete && $r->body eq 'body' ? 1 : 0 }
for my $at ('', '/direct') {
	for (['open', 'told', 1], ['open', 'cut', 0], ['old', 'told', 1], ['old', 'cut', 0], ['length', 'told', 1], ['length', 'cut', 1],
	    ['more', 'told', 0], ['more', 'cut', 0], ['chunks', 'told', 0], ['chunks', 'cut', 0]) {
		my ($what, $end, $whole) = @$_;
		is is_whole($w->get("$at/$what/$end")), $whole, "$at/$what/$end: " . ($whole ? 'whole' : 'not whole');
	}
	is $w->get("$at/head/cut")->status, 502, "$at: a head that is cut";
}
$w->log_like(qr{connection closed without a close_notify while .*request: "GET /$_/cut }, "$_: the log says so") for 'open', 'old';
# A connection that was kept may have ended so, behind a response that was whole.
$w->log_unlike(qr{close_notify while .*"GET /(?:direct/)?\w+/told }, 'what was ended in order is not complained of');

# ---- clients ----

sub cut
{
	my ($request) = @_;
	my $c = $w->connect(port => 4, tls => {}) or die $Weir::TLS_ERROR;
	$c->send($request);
	$c->socket->stop_SSL(SSL_no_shutdown => 1);
	shutdown $c->socket, 1;
	return $c;
}
my @uri = map { ("$_/length", "$_/chunks") } '/up', '/stream';
for my $uri (@uri) {
	my $c = cut("POST $uri HTTP/1.1\r\nHost: localhost\r\n" . ($uri =~ /length/ ? "Content-Length: 10\r\n\r\nbody" :
	    "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n"));
	ok wait_for(sub { grep m{POST $uri }, $w->log_lines('access.log') }), "$uri: a body that is cut";
	$c->close;
}
cut("GET /here HTTP/1.1\r\nHost: loc")->close;
cut('')->close for 1 .. 20;
my $c = $w->connect(port => 4, tls => {});
$c->send("POST /up/last HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
is $c->response->status, 200, 'a whole one comes through';
is_deeply [grep /whole/, $w->origin_notes(3)], ['whole /up/last'], '... and the only one that looks whole';
is scalar(grep m{"GET }, grep m{/here}, $w->log_lines('access.log')), 0, 'a head that is cut is no request';
is $w->stop, 0, 'the end';
done_testing;
