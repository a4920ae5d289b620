#!/usr/bin/perl
# splitting_modules.t - S-204: line ends in values that modules put into heads, to clients and to upstreams.

use strict;
use warnings;

use lib 't/lib';
use Test::More;
use Weir;

my $w = Weir->new;

# Says what it was asked, as one line, and what it is told to (after the first "!" of the URI, in hex) as its head.
$w->origin(2, sub {
	my ($c) = @_;
	while (my $q = $c->read_request) {
		my $asked = $q->{head} . "\r\n\n" . ($q->{body} // '');
		$c->note($asked =~ s/([^ -~])/sprintf '%%%02x', ord $1/ger);
		my ($more) = $q->{uri} =~ /!([0-9a-f]+)/;
		$c->send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/html\r\n" .
		    (defined $more ? pack 'H*', $more : '') . "\r\nok") or return;
	}
});
$w->write('www/file', 'the file');
$w->write('users', "me:{PLAIN}secret\n");
mkdir $w->dir . "/www/odd\nEvil: 1" or die;
mkdir $w->dir . "/www/odd\nEvil: 1/in\r\nEvil: 1" or die;
$w->start(<<'E');
http {
	root %DIR%/www;
	charset_map koi8-r utf-8 { 80 D0B0; }
	upstream up { server 127.0.0.1:%PORT2%; }
	proxy_connect_timeout 3s;
	server {
		listen 127.0.0.1:%PORT1%;
		error_page 418 =302 /over/$value;
		set $value "";
		location ~ "^/to_us/(?<where>[a-z_]+)/(?s)(?<bad>.*)$" {
			set $value $bad;
			rewrite ^ /$where/ last;
		}
		location /realm/ { auth_basic "a $value"; auth_basic_user_file %DIR%/users; }
		location /charset/ { charset $value; alias %DIR%/www/; try_files file =404; default_type text/html; return 200 "x"; }
		location /header/ { add_header X-Bad $value always; add_header X-Fine fine always; return 200 x; }
		location /trailer/ { add_trailer X-Bad $value; add_trailer X-Fine fine; proxy_pass http://up; }
		location /asked/ {
			auth_request /permit; auth_request_set $got "$upstream_http_x_user$value"; add_header X-Got $got;
			proxy_pass http://up;
		}
		location /permit { internal; proxy_pass http://up/!582d557365723a20730d0a; }
		location /linked/ { secure_link $value; secure_link_md5 "$value"; add_header X-Link "$secure_link$secure_link_expires$value"; return 200 x; }
		location /cookie_path/ { proxy_cookie_path /in "/out$value"; proxy_pass http://up/!5365742d436f6f6b69653a20613d623b20706174683d2f696e0d0a; }
		location /cookie_domain/ { proxy_cookie_domain in "out$value"; proxy_pass http://up/!5365742d436f6f6b69653a20613d623b20646f6d61696e3d696e0d0a; }
		location /redirected/ { proxy_redirect /in /out$value; proxy_pass http://up/!4c6f636174696f6e3a202f696e0d0a; }
		location /refreshed/ { proxy_redirect ~^/in(.*)$ /out$value$1; proxy_pass http://up/!526566726573683a20303b2075726c3d2f696e0d0a; }
		location /returned/ { return 307 $value; }
		location /errored/ { error_page 404 =301 http://$host/$value; return 404; }
		location /rewritten/ { rewrite ^ /x?$value permanent; }
		location /expiring/ { expires $value; return 200 x; }
		location /typed/ { default_type "text/html; x=$value"; return 200 x; }
		location /limited/ { limit_rate $value; return 200 x; }

		location /up_header/ { proxy_set_header X-Bad $value; proxy_set_header X-Fine fine; proxy_pass http://up/; }
		location /up_host/ { proxy_set_header Host $value; proxy_pass http://up/; }
		location /up_uri/ { proxy_pass http://up/$value; }
		location /up_args/ { proxy_pass http://up/?a=$value; }
		location /up_method/ { proxy_method $value; proxy_pass http://up/; }
		location /up_type/ { proxy_set_header Content-Type $value; proxy_set_header Connection $value; proxy_pass http://up/; }
		location /up_mirror/ { mirror /mirrored; mirror_request_body off; return 200 x; }
		location /up_ask/ { auth_request /question; proxy_pass http://up/; }
		location /question { internal; proxy_set_header X-Bad $value; proxy_pass http://up/?$value; }
		location /up_rewrite/ { rewrite ^ /up_pass/$value last; }
		location /up_pass/ { proxy_pass http://up; }
		location /up_rewrite_break/ { rewrite ^ /$value break; proxy_pass http://up; }
		location /up_rewrite_args/ { rewrite ^ /?x=$value break; proxy_pass http://up; }
		location /up_set_args/ { set $args $value; proxy_pass http://up; }

		location /accel/ { proxy_pass http://up; auth_request /permit; }
		location /over/ { return 200 over; }
		location /folder/ { alias %DIR%/www/; autoindex on; }
		location /folder_json/ { alias %DIR%/www/; autoindex on; autoindex_format json; }
		location /folder_xml/ { alias %DIR%/www/; autoindex on; autoindex_format xml; }
		location / { proxy_pass http://up; add_header X-Seen "$upstream_http_x_seen|$upstream_cookie_a"; }
	}
}
E

sub split_up { my ($head) = @_; return $head =~ /^Evil/mi || $head =~ /(?<!\r)\n|\r(?!\n)|\0/ }

my %to_us = map { $_ => 1 } qw(realm charset header trailer asked linked cookie_path cookie_domain redirected refreshed
    returned errored rewritten expiring typed limited);
my @to_up = qw(up_header up_host up_uri up_args up_method up_type up_mirror up_ask up_rewrite up_rewrite_break
    up_rewrite_args up_set_args);
for my $end ("\r\n", "\n", "\r") {
	my $name = join '', map sprintf('%%%02x', ord), split //, $end;
	for my $where (sort(keys %to_us), @to_up) {
		my $bad = "x${end}Evil:%201${end}${end}Evil" =~ s/([\r\n])/sprintf '%%%02x', ord $1/ger;
		my $text = $w->http("GET /to_us/$where/$bad HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
		my ($head, $body) = $text =~ /^(.*?\r\n)\r\n(.*)$/s;
		ok defined $head && $head =~ m{^HTTP/1\.1 \d}, "$where, $name: an answer" or next;
		ok !split_up($head), "$where, $name: no field" or diag $head;
		unlike $body, qr/^Evil/mi, "$where, $name: nor a trailer" if $where eq 'trailer';
		like $text, qr/^X-Fine: fine\r$/m, "$where, $name: others stay" if $where =~ /^(?:header|trailer)$/;
	}
}
my @asked = $w->origin_notes(2);
cmp_ok scalar @asked, '>', 20, 'the upstream was asked';
for (@asked) {
	my $text = s/%([0-9a-f]{2})/chr hex $1/ger;
	my $head = (split /\r\n\n/, $text, 2)[0] . "\r\n";
	ok !split_up($head), 'the upstream is told no field' or diag $_;
}
ok scalar(grep(/X-Fine: fine/, @asked)), 'those that are well are';

# What an upstream says, with line ends of its own.
sub told { my ($h, $path) = @_; return $w->http('GET ' . ($path // '/') . '!' . unpack('H*', $h) . " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") }
for my $h ("X-Seen: a\rEvil: 1\r\n", "X-Seen: a\nEvil : 1\r\n", "X-Seen: a\0Evil: 1\r\n", "Set-Cookie: a=b\rEvil: 1\r\n",
    "X-Seen: a\r\n Evil: 1\r\n", "Location: /x\rEvil: 1\r\n") {
	my ($head) = (told($h) // '') =~ /^(.*?\r\n)\r\n/s;
	my $name = $h =~ s/([^ -~])/sprintf '%%%02x', ord $1/ger;
	ok defined $head && !split_up($head), "of an upstream: $name" or diag $head;
}
for my $to ('/to_us/header/x%0d%0aEvil:%201', '/header/?x%0d%0aEvil:%201', '/folder/odd%0aEvil:%201', "/folder/x\rEvil: 1") {
	my ($head) = (told("X-Accel-Redirect: $to\r\n", '/accel/') // '') =~ /^(.*?\r\n)\r\n/s;
	my $name = $to =~ s/([^ -~])/sprintf '%%%02x', ord $1/ger;
	ok defined $head && !split_up($head), "X-Accel-Redirect: $name" or diag $head;
}

# Names of files.
my $r = $w->http("GET /folder/odd%0aEvil:%201 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
like $r, qr{^Location: \S*/folder/odd%0AEvil:%201/\r$}mi, 'a folder with a line end redirects to its encoded name';
for my $how ('folder', 'folder_json', 'folder_xml') {
	$r = $w->get("/$how/odd%0aEvil:%201/");
	is $r->status, 200, "$how: a listing";
	unlike $r->body, qr/^Evil/m, 'in which a name is one line' if $how eq 'folder_json';
}
is $w->stop, 0, 'the end';
done_testing;
