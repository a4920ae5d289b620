package Fate;

# Fate.pm - lets the wall clock of a weir jump, and its memory run out (t/lib/fate.c).
#
#	my $f = Fate->new($w) or plan skip_all => Fate->why_not($w);
#	$w->start($conf, env => $f->env);
#	$f->jump(3600);			# the wall clock is an hour ahead from now on
#	$f->fail($pid, 7);		# the seventh allocation from now on fails in that process
#	$f->fail($pid, 7, 2);		# and the two behind it
#	$f->failed			# how many did
#	$f->spare			# none fails any more

use strict;
use warnings;

sub why_not
{
	my ($class, $w) = @_;
	return 'a preloaded object and sanitizers do not go together' if join('', $w->run('-V')) =~ /--with-sanitizers/;
	my $cc = $ENV{CC} // 'cc';
	my $dir = $w->dir;
	my $said = `$cc -O1 -shared -fPIC -o $dir/fate.so t/lib/fate.c -ldl 2>&1`;
	return $? == 0 ? undef : "cannot build t/lib/fate.c: $said";
}

sub new
{
	my ($class, $w) = @_;
	return undef if $class->why_not($w);
	my $path = $w->write('fate', "\0" x 40);
	open my $fh, '+<:raw', $path or die "$path: $!";
	return bless { dir => $w->dir, fh => $fh }, $class;
}

sub env { my ($self) = @_; return { LD_PRELOAD => "$self->{dir}/fate.so", FATE_FILE => "$self->{dir}/fate" } }

sub put
{
	my ($self, $nth, @values) = @_;
	sysseek $self->{fh}, 8 * $nth, 0;
	syswrite $self->{fh}, pack('q*', @values);
}

sub jump { my ($self, $sec) = @_; $self->put(0, $sec) }
sub spare { my ($self) = @_; $self->put(2, 0, 0) }

sub fail
{
	my ($self, $pid, $nth, $more) = @_;
	$self->put(2, 0);
	$self->put(3, $more // 0);
	$self->put(1, $pid);
	$self->put(2, $nth);
}

sub failed
{
	my ($self) = @_;
	sysseek $self->{fh}, 32, 0;
	sysread $self->{fh}, my $text, 8;
	return unpack 'q', $text;
}

1;
