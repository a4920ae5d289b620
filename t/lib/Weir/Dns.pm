package Weir::Dns;

# Dns.pm - a name server for tests, on the UDP and the TCP port of the same number.
#
#	my $dns = Weir::Dns->new($w, 2, sub {
#		my ($name, $type, $proto) = @_;		# 'one.test', 1, 'udp' or 'tcp'
#		return { answer => [ a('one.test', '127.0.0.1') ] };
#	});
#	$dns->asked('one.test')		# how often; asked('one.test', 'tcp'): by TCP
#	$dns->stop			# nobody answers any more
#
# What the code returns: undef, nothing is said; or a hash:
#	answer, authority, additional	lists of records
#	rcode				2: failure, 3: there is no such name
#	tc => 1				it did not fit
#	id => sub { }			makes another number of the one that was asked with
#	raw => sub { my ($question) = @_; }	instead of all that
#	first => { }			by UDP: such an answer before it; from => SOCKET: from there
#	only_first => 1			and nothing else
#	step => 1			by TCP: so many bytes at a time
#	wire => sub { my ($bytes) = @_; }	by TCP: makes other bytes of them, with their length in front
#
# reply(QUESTION, CODE, PROTO) makes an answer of a question for servers of another kind.

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use Socket qw(inet_pton AF_INET6 IPPROTO_TCP TCP_NODELAY);

our @EXPORT = qw(a aaaa cname srv soa rr);

sub wire { return join('', map { pack 'C/a', $_ } split /\./, $_[0]) . "\0" }
sub rr { my ($name, $type, $ttl, $data) = @_; return wire($name) . pack('n n N n/a', $type, 1, $ttl, $data) }
sub a { my ($name, $addr, $ttl) = @_; return rr($name, 1, $ttl // 60, pack 'C4', split /\./, $addr) }
sub aaaa { my ($name, $addr, $ttl) = @_; return rr($name, 28, $ttl // 60, inet_pton(AF_INET6, $addr)) }
sub cname { my ($name, $to, $ttl) = @_; return rr($name, 5, $ttl // 60, wire($to)) }
sub srv { my ($name, $to, @n) = @_; return rr($name, 33, 1, pack('n3', @n) . wire($to)) }
sub soa { my ($name, $ttl, $least) = @_; return rr($name, 6, $ttl, wire("ns.$name") . wire("root.$name") . pack 'N5', 1, 60, 60, 60, $least) }

# (name, type, the bytes of the question), or nothing
sub parse
{
	my ($q) = @_;
	my ($at, @name) = 12;
	return if length $q < 17;
	while (my $n = unpack "x$at C", $q) {
		return if $n > 63 || $at + $n + 5 >= length $q;
		push @name, substr $q, $at + 1, $n;
		$at += $n + 1;
	}
	return (lc join('.', @name), unpack('x' . ($at + 1) . ' n', $q), substr $q, 12, $at + 5 - 12);
}

sub encode
{
	my ($q, $question, $r) = @_;
	return $r->{raw}->($q) if $r->{raw};
	my $id = unpack 'n', $q;
	my @parts = map { $r->{$_} // [] } qw(answer authority additional);
	return pack('n6', $r->{id} ? $r->{id}->($id) : $id, 0x8180 | ($r->{rcode} // 0) | ($r->{tc} ? 0x200 : 0), 1, map { scalar @$_ } @parts) .
	    $question . join '', map { @$_ } @parts;
}

sub reply
{
	my ($q, $code, $proto) = @_;
	my ($name, $type, $question) = parse($q) or return;
	my $r = $code->($name, $type, $proto) // return;
	return encode($q, $question, $r);
}

sub new
{
	my ($class, $w, $n, $code) = @_;
	my $at = '127.0.0.1:' . $w->port($n);
	my $udp = IO::Socket::INET->new(LocalAddr => $at, Proto => 'udp') or die "udp: $!";
	my $tcp = IO::Socket::INET->new(LocalAddr => $at, Proto => 'tcp', Listen => 64, ReuseAddr => 1) or die "tcp: $!";
	my $self = bless { notes => $w->dir . "/dns.$n", w => $w }, $class;
	$w->write("dns.$n", '');
	$self->{server} = $w->background(sub { $self->serve($_[0], $udp, $tcp, $code) });
	return $self;
}

sub stop { my ($self) = @_; my $s = delete $self->{server}; $s->finish if $s; return }
sub DESTROY { local ($@, $?); $_[0]->stop if $_[0]{server} && $_[0]{pid} && $_[0]{pid} == $$; return }

sub asked
{
	my ($self, $name, $proto) = @_;
	$proto //= '\w+';
	open my $f, '<', $self->{notes} or return 0;
	return scalar grep { /^\Q$name\E \d+ $proto$/ } <$f>;
}

sub serve
{
	my ($self, $stop, $udp, $tcp, $code) = @_;
	my $s = IO::Select->new($udp, $tcp);
	my %in;
	open my $notes, '>>', $self->{notes} or die;
	$notes->autoflush(1);
	my $note = sub { my ($name, $type) = parse($_[0]) or return; print $notes "$name $type $_[1]\n" };
	until ($stop->()) {
		for my $h ($s->can_read(0.05)) {
			if ($h == $udp) {
				my $from = $udp->recv(my $q, 4096) // next;
				$note->($q, 'udp');
				my ($name, $type, $question) = parse($q) or next;
				my $r = $code->($name, $type, 'udp') // next;
				if (my $first = $r->{first}) {
					($r->{from} // $udp)->send(encode($q, $question, $first), 0, $from);
				}
				$udp->send(encode($q, $question, $r), 0, $from) unless $r->{only_first};
			} elsif ($h == $tcp) {
				my $c = $tcp->accept or next;
				setsockopt $c, IPPROTO_TCP, TCP_NODELAY, 1;
				$s->add($c);
				$in{$c} = '';
			} else {
				my $n = sysread $h, $in{$h}, 65536, length $in{$h};
				if (!$n) {
					$s->remove($h);
					delete $in{$h};
					close $h;
					next;
				}
				while (length $in{$h} >= 2 && length $in{$h} >= 2 + unpack 'n', $in{$h}) {
					my $q = substr $in{$h}, 2, unpack 'n', $in{$h};
					substr $in{$h}, 0, 2 + length $q, '';
					$note->($q, 'tcp');
					my ($name, $type, $question) = parse($q) or next;
					my $r = $code->($name, $type, 'tcp') // next;
					my $text = pack 'n/a', encode($q, $question, $r);
					$text = $r->{wire}->($text) if $r->{wire};
					my $step = $r->{step} // length $text;
					for (my $at = 0; $at < length $text; $at += $step) {
						defined syswrite $h, substr $text, $at, $step or last;
					}
				}
			}
		}
	}
	return {};
}

1;
