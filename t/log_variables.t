#!/usr/bin/perl
# log_variables.t - S-205: every variable there is, in logs, with clients and upstreams that say odd things: a record is
# a line without control characters, and JSON is JSON.

use strict;
use warnings;

use lib 't/lib';
use File::Find;
use JSON::PP;
use Test::More;
use Weir;

my %names;
find({ no_chdir => 1, wanted => sub {
	return unless /\.c$/;
	open my $fh, '<', $_ or die "$_: $!";
	local $/;
	my $text = <$fh>;
	for my $table ($text =~ /struct weir_var \w+\[\] = \{(.*?)^\};/msg) {
		$names{$1} = 1 while $table =~ /^\t\{ (?:\.name = )?"([a-z][a-z0-9_]*)"/mg;
	}
} }, 'src');

my $w = Weir->new;
my @candidates = sort grep !/_$/, keys %names;
my @unknown;
# Names that begin a family end in "_"; modules may be left out of this build.
my @vars = grep {
	my ($rc) = $w->test_conf("http { log_format t '\$$_'; access_log off; server { listen 127.0.0.1:%PORT1%; return 200 \"\$$_\"; } }");
	push @unknown, $_ if $rc;
	!$rc;
} @candidates;
$w->expect_alert(qr/\[emerg\].*(?:unknown|not known|no such|undefined).*variable|\[emerg\]/);
cmp_ok scalar @vars, '>', 80, scalar(@vars) . ' variables';
note "not in this build: @unknown" if @unknown;
push @vars, qw(http_x http_referer http_user_agent http_cookie arg_x arg_y cookie_a sent_http_x sent_http_content_type upstream_http_x
    upstream_cookie_a request_id);

$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		$c->send("HTTP/1.1 200 Odd \x1b[31m\"reason\\ \xff\r\nContent-Length: 2\r\nContent-Type: text/x\"\\\x80\r\n" .
		    "X: \xff\x80\"\\\t\x7f\x9b31m\r\nSet-Cookie: a=\"\\\xfe; path=/\r\n\r\nok") or return;
	}
});
my $plain = join ' ', map "\$$_", @vars;
my $json = join ',', map "\"$_\":\"\$$_\"", @vars;
$w->start(<<"E");
http {
	log_format plain '$plain';
	log_format json escape=json '{$json}';
	underscores_in_headers on;
	ignore_invalid_headers off;
	proxy_ignore_headers Set-Cookie;
	server {
		listen 127.0.0.1:%PORT1%;
		access_log %DIR%/plain.log plain;
		access_log %DIR%/json.log json;
		location / { proxy_pass http://127.0.0.1:%PORT2%; add_header X "\$http_x"; }
		location /own { return 200 own; }
		location /auth { auth_basic x; auth_basic_user_file none; }
	}
}
E
my $odd = "a\"b\\c\t\xff\x80\xc3\xa4\xf0\x9f\x98\x80\xed\xa0\x80\x7f";
my @requests = (
	[ '/own', X => $odd, Referer => $odd, 'User-Agent' => $odd, Cookie => "a=$odd" ],
	[ '/x%0aInjected%0d%1b%5b31m%00' =~ s/%00//r, X => $odd ],
	[ "/y?x=\"\\%0a%1b\xff&y=$odd" =~ s/\t//gr =~ s/\x7f//gr, Cookie => 'a="\\"; a=2' ],
	[ '/auth', Authorization => 'Basic ' . "bWVcbiI6eA==", Referer => "\x9b31m" ],
	[ '/auth', Authorization => 'Basic ' . 'YQpiGyJcOng=' ],
	[ '/x', 'X-Forwarded-For' => "1.2.3.4, \"\\\xff", Referer => 'r' x 7000 ],
	[ '/none', Range => "bytes=\"$odd", 'If-None-Match' => $odd, 'Accept-Encoding' => $odd, 'Content-Type' => $odd ],
);
$w->get(@$_) for @requests;
$w->http("GET / HTTP/1.1\r\nHost: \"\\\xff\r\n\r\n");
$w->http("\x1b[31m\"\\\xff /\xff HTTP/1.1\r\nHost: a\r\n\r\n");
$w->http("GET /\x01\x1b HTTP/1.1\r\nHost: a\r\n\r\n");
my $n = @requests + 3;
for my $name ('plain.log', 'json.log') {
	my @lines = $w->access($name, $n);
	is scalar @lines, $n, "$name: one line for each request";
	is scalar(grep /[\x00-\x1f\x7f]/, @lines), 0, 'without control characters' if $name eq 'plain.log';
	is scalar(grep /[\x80-\xff"]/, @lines), 0, 'nor quotes or bytes of others' if $name eq 'plain.log';
	next if $name eq 'plain.log';
	for my $i (0 .. $#lines) {
		my $o = eval { JSON::PP->new->utf8->decode($lines[$i]) };
		ok $o, "record $i is JSON" or diag $@, $lines[$i];
		is scalar keys %{ $o // {} }, scalar(keys %{ { map { $_ => 1 } @vars } }), 'with every variable';
	}
	is scalar(grep /[\x00-\x1f\x7f]/, @lines), 0, 'and without control characters';
}
my @error = split /\n/, $w->log_text;
is scalar(grep !m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[}, @error), 0, 'the error log, too, has one line for each event'
    or diag grep !m{^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[}, @error;
is scalar(grep /[\x00-\x08\x0b-\x1f\x7f]/, @error), 0, 'without control characters';
is $w->stop, 0, 'the end';
done_testing;
