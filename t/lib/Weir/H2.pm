package Weir::H2;

# Weir::H2 - HTTP/2 by hand, frame by frame, for tests of what real clients do not do.
#
#	my $h = Weir::H2->new($w->connect);		# preface and settings are exchanged
#	my $h = Weir::H2->new($c, settings => [4 => 10], raw => 1);	# raw: only the preface is sent
#	my $sid = $h->get('/x', 'x-y' => 'z');		# the next odd stream
#	my $sid = $h->request([':method' => 'POST', ...], body => 'abc', more => 1);
#						frame => N: the largest frame of its head, 16384
#	my $r = $h->response($sid);	# { status, headers => {}, list => [], body, trailers, end, rst, goaway }
#
#	$h->frame(TYPE, FLAGS, SID, PAYLOAD)	sends one frame
#	$h->block(NAME => VALUE ...)		a header block: literals, not indexed
#	$h->data(SID, BYTES, END)		DATA, in frames of 16384 bytes at most
#	$h->upload(SID, \BYTES)			as DATA, as much of it as the windows allow now, and takes it away
#	$h->window(N, SID), rst(SID, CODE), ping(BYTES), settings(ID => VALUE ...)
#	$h->read_frame(SECONDS)			{ type, flags, sid, payload } or undef; answers SETTINGS and PING,
#						decodes heads into `fields`
#	$h->read_until(CODE)			frames until the code is true for one; all of them
#	$h->goaway				waits for GOAWAY: { last, code }, or undef
#	$h->eof					waits for the end of the connection
#	$h->credit(0)				from now on windows are not opened by response()
#
# The other side, for origins:
#	my $h = Weir::H2->server($c, settings => [3 => 10]);	# takes the preface, sends settings; undef: none came
#	my $q = $h->read_request;	# { sid, fields => {}, list => [], body, trailers }, whole; undef at the end
#	my $q = $h->read_head;		# as soon as its head is here: body holds what has come, `end` says whether that is all
#	$h->respond(SID, STATUS, [NAME => VALUE ...], BODY, %opt)	# more => 1: no end; trailers => [...]
#	$h->fields(SID, [NAME => VALUE ...], END)			# one HEADERS frame, whatever is in it
#	$h->quiet(1)			# SETTINGS and PING are answered no more
#
# Types: DATA 0, HEADERS 1, PRIORITY 2, RST_STREAM 3, SETTINGS 4, PING 6, GOAWAY 7, WINDOW_UPDATE 8,
# CONTINUATION 9.

use strict;
use warnings;

use Errno;
use Time::HiRes qw(time);
use Weir ();

use constant PREFACE => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

# RFC 7541, appendix A.
my @static = map { my ($n, $v) = split / /, $_, 2; [$n, $v // ''] } (
	'', ':authority', ':method GET', ':method POST', ':path /', ':path /index.html', ':scheme http',
	':scheme https', ':status 200', ':status 204', ':status 206', ':status 304', ':status 400',
	':status 404', ':status 500', 'accept-charset', 'accept-encoding gzip, deflate', 'accept-language',
	'accept-ranges', 'accept', 'access-control-allow-origin', 'age', 'allow', 'authorization',
	'cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-length',
	'content-location', 'content-range', 'content-type', 'cookie', 'date', 'etag', 'expect', 'expires',
	'from', 'host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since',
	'last-modified', 'link', 'location', 'max-forwards', 'proxy-authenticate', 'proxy-authorization',
	'range', 'referer', 'refresh', 'retry-after', 'server', 'set-cookie', 'strict-transport-security',
	'transfer-encoding', 'user-agent', 'vary', 'via', 'www-authenticate',
);

# RFC 7541, appendix B.  The code is canonical, so the lengths say all of it.
my @lengths = qw(
	13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
	6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
	13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
	15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13
	28 20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23
	24 22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22
	23 26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27
	27 20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27
	26 30
);
my %symbol;
{
	my ($code, $last) = (0, 0);
	for my $s (sort { $lengths[$a] <=> $lengths[$b] || $a <=> $b } 0 .. 256) {
		$code <<= $lengths[$s] - $last;
		$last = $lengths[$s];
		$symbol{ sprintf '%0*b', $last, $code++ } = $s;
	}
}

sub unhuff
{
	my ($bits, $text, $word) = (unpack('B*', $_[0]), '', '');
	for my $bit (split //, $bits) {
		$word .= $bit;
		next unless defined $symbol{$word};
		$text .= chr $symbol{$word};
		$word = '';
	}
	return $text;
}

sub new
{
	my ($class, $conn, %opt) = @_;
	my $self = bless { c => $conn, buf => '', next => 1, table => [], credit => 1, settings => {},
	    window => 65535, goaways => [] }, $class;
	$conn->send(PREFACE);
	return $self if $opt{raw};
	$self->settings(@{ $opt{settings} // [] });
	return $self;
}

sub server
{
	my ($class, $conn, %opt) = @_;
	my $self = bless { c => $conn, buf => '', next => 2, table => [], credit => 1, settings => {},
	    window => 65535, goaways => [], q => {}, quiet => $opt{quiet} }, $class;
	$self->fill(24, time + 10) && substr($self->{buf}, 0, 24, '') eq PREFACE or return;
	$self->settings(@{ $opt{settings} // [] }) unless $opt{raw};
	return $self;
}

sub number
{
	my ($self, $bits, $p) = @_;
	my $most = (1 << $bits) - 1;
	my $n = ord(substr $$p, 0, 1, '') & $most;
	return $n if $n < $most;
	for (my $shift = 0; ; $shift += 7) {
		my $b = ord substr $$p, 0, 1, '';
		$n += ($b & 127) << $shift;
		return $n unless $b & 128;
	}
}

sub string
{
	my ($self, $p) = @_;
	my $huff = ord(substr $$p, 0, 1) & 128;
	my $s = substr $$p, 0, $self->number(7, $p), '';
	return $huff ? unhuff($s) : $s;
}

sub entry
{
	my ($self, $i) = @_;
	return $i < @static ? $static[$i] : $self->{table}[$i - @static];
}

# The table is never too full in these tests' lifetimes to matter, except for its size.
sub remember
{
	my ($self, $e) = @_;
	unshift @{ $self->{table} }, $e;
	my $size = 0;
	for my $i (0 .. $#{ $self->{table} }) {
		$size += 32 + length($self->{table}[$i][0]) + length $self->{table}[$i][1];
		next if $size <= 4096;
		splice @{ $self->{table} }, $i;
		last;
	}
}

sub decode
{
	my ($self, $block) = @_;
	my @fields;
	while (length $block) {
		my $b = ord $block;
		if ($b & 128) {
			push @fields, @{ $self->entry($self->number(7, \$block)) };
			next;
		}
		if (($b & 0xe0) == 0x20) {
			$self->number(5, \$block);
			next;
		}
		my $i = $self->number($b & 64 ? 6 : 4, \$block);
		my $name = $i ? $self->entry($i)->[0] : $self->string(\$block);
		my $value = $self->string(\$block);
		$self->remember([$name, $value]) if $b & 64;
		push @fields, $name, $value;
	}
	return \@fields;
}

sub encode_number
{
	my ($bits, $n, $first) = @_;
	my $most = (1 << $bits) - 1;
	return chr($first | $n) if $n < $most;
	my $s = chr($first | $most);
	for ($n -= $most; $n >= 128; $n >>= 7) {
		$s .= chr($n & 127 | 128);
	}
	return $s . chr $n;
}

sub block
{
	my ($self, @fields) = @_;
	my $s = '';
	while (@fields) {
		my ($n, $v) = splice @fields, 0, 2;
		$s .= "\0" . encode_number(7, length $n, 0) . $n . encode_number(7, length $v, 0) . $v;
	}
	return $s;
}

sub frame
{
	my ($self, $type, $flags, $sid, $payload) = @_;
	$payload //= '';
	return $self->{c}->send(substr(pack('N', length $payload), 1) . pack('CCN', $type, $flags, $sid) . $payload);
}

sub settings
{
	my ($self, @s) = @_;
	my $p = '';
	$p .= pack 'nN', splice @s, 0, 2 while @s;
	return $self->frame(4, 0, 0, $p);
}

sub window { $_[0]->frame(8, 0, $_[2] // 0, pack 'N', $_[1]) }
sub rst { $_[0]->frame(3, 0, $_[1], pack 'N', $_[2] // 8) }
sub ping { $_[0]->frame(6, 0, 0, $_[1] // 'ABCDEFGH') }
sub credit { $_[0]{credit} = $_[1] }

# Of DATA, together with room() for a stream and the connection; neither end is waited for.
sub upload
{
	my ($self, $sid, $bytes) = @_;
	my $n = $self->room($sid);
	$n = length $$bytes if $n > length $$bytes;
	return 0 if $n <= 0;
	$self->{pushed}{$_} += $n for 0, $sid;
	$self->data($sid, substr $$bytes, 0, $n, '');
	return $n;
}

sub room
{
	my ($self, $sid) = @_;
	my ($one, $all) = map { ($self->{opened}{$_} // 0) - ($self->{pushed}{$_} // 0) } $sid, 0;
	$one += $self->{settings}{4} // 65535;
	$all += 65535;
	return $one < $all ? $one : $all;
}

sub data
{
	my ($self, $sid, $bytes, $end) = @_;
	$self->frame(0, 0, $sid, substr $bytes, 0, 16384, '') while length $bytes > 16384;
	return $self->frame(0, $end ? 1 : 0, $sid, $bytes);
}

sub request
{
	my ($self, $fields, %opt) = @_;
	my $sid = $self->{next};
	$self->{next} += 2;
	my $end = !defined $opt{body} && !$opt{more};
	my $block = $self->block(@$fields);
	my $most = $opt{frame} // 16384;
	my $part = substr $block, 0, $most, '';
	$self->frame(1, ($end ? 1 : 0) | (length $block ? 0 : 4), $sid, $part);
	while (length $block) {
		$part = substr $block, 0, $most, '';
		$self->frame(9, length $block ? 0 : 4, $sid, $part);
	}
	$self->data($sid, $opt{body}, !$opt{more}) if defined $opt{body};
	return $sid;
}

sub head
{
	my ($self, $method, $path, @more) = @_;
	return [':method' => $method, ':scheme' => 'http', ':path' => $path, ':authority' => 'localhost', @more];
}

sub get
{
	my ($self, $path, @more) = @_;
	return $self->request($self->head('GET', $path, @more));
}

sub fill
{
	my ($self, $n, $end) = @_;
	while (length $self->{buf} < $n) {
		my $left = $end - time;
		return 0 if $left <= 0;
		my ($r, $s) = ('', $self->{c}->socket);
		vec($r, $self->{c}->fd, 1) = 1;
		# TLS may hold bytes of which the socket knows nothing, and the socket bytes that are none yet
		$s->can('pending') && $s->pending or select $r, undef, undef, $left or return 0;
		my $got = sysread $s, $self->{buf}, 65536, length $self->{buf};
		next if !defined $got && $!{EAGAIN};
		if (!$got) {
			$self->{ended} = 1;
			return 0;
		}
	}
	return 1;
}

sub read_frame
{
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // $Weir::TIMEOUT);
	$self->fill(9, $end) or return;
	my ($high, $low, $type, $flags, $sid) = unpack 'CnCCN', $self->{buf};
	my $n = $high << 16 | $low;
	$self->fill(9 + $n, $end) or return;
	substr $self->{buf}, 0, 9, '';
	my $f = { type => $type, flags => $flags, sid => $sid, payload => substr $self->{buf}, 0, $n, '' };
	if ($type == 4 && !($flags & 1)) {
		my @s = unpack '(nN)*', $f->{payload};
		%{ $self->{settings} } = (%{ $self->{settings} }, @s);
		$self->frame(4, 1, 0) unless $self->{quiet};
	} elsif ($type == 6 && !($flags & 1)) {
		$self->frame(6, 1, 0, $f->{payload}) unless $self->{quiet};
	} elsif ($type == 1 || $type == 9) {
		$self->{block} = ($type == 1 ? '' : $self->{block}) . $f->{payload};
		$f->{fields} = $self->decode($self->{block}) if $flags & 4;
	} elsif ($type == 7) {
		push @{ $self->{goaways} }, { last => (unpack 'NN', $f->{payload})[0], code => (unpack 'NN', $f->{payload})[1] };
	} elsif ($type == 8) {
		$self->{opened}{$sid} += unpack 'N', $f->{payload};
	} elsif ($type == 0 && $self->{credit} && $n) {
		$self->window($n);
		$self->window($n, $sid) unless $flags & 1;
	}
	return $f;
}

sub read_until
{
	my ($self, $code, $seconds) = @_;
	my @all;
	my $end = time + ($seconds // $Weir::TIMEOUT);
	while (time < $end && (my $f = $self->read_frame($end - time))) {
		push @all, $f;
		last if $code->($f);
	}
	return @all;
}

# What comes for other streams meanwhile is kept for their response().
sub response
{
	my ($self, $sid, $seconds) = @_;
	my $end = time + ($seconds // $Weir::TIMEOUT);
	my $r = $self->{r}{$sid} //= { body => '', headers => {}, list => [], sizes => [] };
	until ($r->{end} || defined $r->{rst} || $self->{ended}) {
		my $f = time < $end ? $self->read_frame($end - time) : undef;
		last unless $f;
		my $x = $f->{sid} ? $self->{r}{ $f->{sid} } //= { body => '', headers => {}, list => [], sizes => [] } : {};
		if ($f->{fields}) {
			my %h = @{ $f->{fields} };
			if (!defined $h{':status'}) {
				$x->{trailers} = \%h;
			} elsif ($h{':status'} < 200) {
				push @{ $x->{early} }, $h{':status'};
			} else {
				$x->{status} = $h{':status'};
				$x->{headers} = \%h;
				$x->{list} = $f->{fields};
			}
		} elsif ($f->{type} == 0) {
			$x->{body} .= $f->{payload};
			push @{ $x->{sizes} }, length $f->{payload};
		} elsif ($f->{type} == 3) {
			$x->{rst} = unpack 'N', $f->{payload};
		}
		$x->{end} = 1 if ($f->{type} == 0 || $f->{type} == 1) && $f->{flags} & 1;
	}
	return $r;
}

sub goaway
{
	my ($self, $seconds) = @_;
	$self->read_until(sub { $_[0]{type} == 7 }, $seconds) unless @{ $self->{goaways} };
	return shift @{ $self->{goaways} };
}

sub eof
{
	my ($self, $seconds) = @_;
	$self->read_until(sub { 0 }, $seconds);
	return $self->{ended} ? 1 : 0;
}

sub quiet { $_[0]{quiet} = $_[1] }

# Takes one frame in; the request that it belongs to.
sub take
{
	my ($self, $seconds) = @_;
	my $f = $self->read_frame($seconds) or return;
	return {} if !$f->{sid} || ($f->{type} != 0 && $f->{type} != 3 && !$f->{fields});
	my $q = $self->{q}{ $f->{sid} } //= { sid => $f->{sid}, body => '' };
	if ($f->{type} == 3) {
		$q->{rst} = unpack 'N', $f->{payload};
	} elsif ($f->{type} == 0) {
		$q->{body} .= $f->{payload};
	} elsif ($q->{list}) {
		$q->{trailers} = { @{ $f->{fields} } };
	} else {
		$q->{list} = $f->{fields};
		$q->{fields} = { @{ $f->{fields} } };
		$self->{began}{ $f->{sid} } = $f->{flags} & 1;	# for what a CONTINUATION ends
	}
	$q->{end} = 1 if $f->{flags} & 1 && $f->{type} <= 1 || $f->{type} == 9 && $self->{began}{ $f->{sid} };
	return $q;
}

# The first request that has `what` and was not given before.
sub next_with
{
	my ($self, $what, $seconds) = @_;
	my $end = time + ($seconds // $Weir::TIMEOUT);
	for (;;) {
		my ($q) = sort { $a->{sid} <=> $b->{sid} } grep { $_->{$what} && !$_->{given} } values %{ $self->{q} };
		if ($q) {
			$q->{given} = 1;
			return $q;
		}
		return unless time < $end && $self->take($end - time);
	}
}

sub read_request { $_[0]->next_with('end', $_[1]) }
sub read_head { $_[0]->next_with('list', $_[1]) }

sub fields
{
	my ($self, $sid, $fields, $end) = @_;
	return $self->frame(1, 4 | ($end ? 1 : 0), $sid, $self->block(@$fields));
}

sub respond
{
	my ($self, $sid, $status, $fields, $body, %opt) = @_;
	my $open = $opt{more} || $opt{trailers};
	$self->fields($sid, [':status' => $status, @{ $fields // [] }], !defined $body && !$open);
	$self->data($sid, $body, !$open) if defined $body;
	$self->fields($sid, $opt{trailers}, 1) if $opt{trailers};
}

1;
