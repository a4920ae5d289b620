package Pq;

# Pq.pm - a TLS client and certificates that know ML-KEM and ML-DSA (t/lib/pq.c), built with the libraries that weir was.
#
#	my $pq = Pq->new($w);
#	$pq->cert('name', 'ML-DSA-65');			# DIR/name.key and DIR/name.crt
#	my $r = $pq->get('name', groups => 'MLKEM768');	# options of t/lib/pq.c, and port => N
#	$r->{group}, {protocol}, {cn}, {signature}, {reused}, {early}, {hello}, {compressed}, {staple}
#	$r->{error}					# it came to nothing
#	$r->{status}, {body}, {text}			# the response

use strict;
use warnings;

sub new
{
	my ($class, $w) = @_;
	return bless { w => $w, bin => $w->build('t/lib/pq.c') }, $class;
}

sub run
{
	my ($self, @args) = @_;
	open my $fh, '-|', 'timeout', 60, $self->{bin}, @args or die "pq: $!";
	local $/;
	my $text = <$fh> // '';
	CORE::close($fh);
	return $text;
}

sub cert
{
	my ($self, $name, $algorithm) = @_;
	my $dir = $self->{w}->dir;
	my $said = $self->run('cert', $algorithm, $name, "$dir/$name.key", "$dir/$name.crt");
	die "pq cert: $said" if length $said;
	return $name;
}

sub get
{
	my ($self, $name, %opt) = @_;
	my $port = $self->{w}->port(delete $opt{port} // 1);
	my $said = $self->run('get', $port, $name, map { "$_=$opt{$_}" } sort keys %opt);
	my ($head, $text) = split /\n\n/, $said, 2;
	my %r = map { /^(\S+) ?(.*)$/ ? ($1, $2) : () } split /\n/, $head // '';
	$r{text} = $text // '';
	($r{status}) = $r{text} =~ m{^HTTP/1\.1 (\d+)};
	(undef, $r{body}) = split /\r\n\r\n/, $r{text}, 2;
	$r{error} = 'nothing' unless %r && (defined $r{group} || defined $r{error});
	return \%r;
}

1;
