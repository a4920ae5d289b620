package Weir::Metrics;

# Metrics.pm - reads what `metrics` answers, strictly: anything that Prometheus would not take, and anything that it takes
# but should not be there, is a complaint.
#
#	my $m = Weir::Metrics->parse(TEXT [, openmetrics => 1]);
#	$m->complaints				what is wrong, as texts
#	$m->value('weir_x_total', zone => 'a')	of a sample, undef when there is none
#	$m->sum('weir_x_total', proto => 'h2')	of all samples that have these labels
#	$m->counters				"name{labels}" => value, of all that never go down

use strict;
use warnings;

my $name = qr/[a-zA-Z_:][a-zA-Z0-9_:]*/;

sub parse
{
	my ($class, $text, %opt) = @_;
	my $self = bless { samples => [], bad => [], type => {}, om => $opt{openmetrics} }, $class;
	my ($family, %seen, %done);

	push @{ $self->{bad} }, 'the last line has no end' unless $text =~ /\n\z/;
	if ($self->{om}) {
		push @{ $self->{bad} }, 'no # EOF' unless $text =~ s/^# EOF\n\z//m;
	}
	for (split /\n/, $text) {
		if (/^# HELP ($name) (?:[^\\]|\\\\|\\n)+$/) {
			$self->bad("help of $1 comes twice") if $done{$1}++;
			$family = $1;
		} elsif (/^# TYPE ($name) (counter|gauge|histogram)$/) {
			$self->bad("type of $1 without help") if !defined $family || $family ne $1;
			$self->{type}{$1} = $2;
		} elsif (/^($name)(?:\{(.*)\})? (-?\d+(?:\.\d+)?)$/) {
			$self->sample($family, $1, $2, $3, \%seen);
		} else {
			$self->bad("no line of this format: $_");
		}
	}
	$self->histograms;
	return $self;
}

sub bad
{
	my ($self, $what) = @_;
	push @{ $self->{bad} }, $what;
}

sub complaints { @{ $_[0]{bad} } }

sub sample
{
	my ($self, $family, $n, $text, $value, $seen) = @_;
	my %labels;

	return $self->bad("$n before any type") if !defined $family || !$self->{type}{$family};
	my $type = $self->{type}{$family};
	my $suffix = $type eq 'histogram' ? qr/_(?:bucket|sum|count)/ : $self->{om} && $type eq 'counter' ? qr/_total/ : qr//;
	$self->bad("$n stands among $family") unless $n =~ /^\Q$family\E$suffix$/;
	$self->bad("$n is a counter and its name does not say so") if $type eq 'counter' && $n !~ /_total$/;
	$self->bad("$n begins with no weir_") unless $n =~ /^weir_/;
	if (defined $text) {
		my $rest = $text;
		while ($rest =~ s/^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,(?=.)|$)//) {
			my ($l, $v) = ($1, $2);
			$v =~ s/\\(.)/$1 eq 'n' ? "\n" : $1/ge;
			$self->bad("label $l twice: $text") if exists $labels{$l};
			$labels{$l} = $v;
		}
		$self->bad("no labels: $text") if $rest ne '' || !%labels;
	}
	my $key = join "\0", $n, map { "$_=$labels{$_}" } sort keys %labels;
	$self->bad("$n\{" . ($text // '') . '} twice') if $seen->{$key}++;
	push @{ $self->{samples} }, { name => $n, labels => \%labels, value => $value, type => $type,
	    family => $family, key => $key };
}

# Buckets ascend, the last is +Inf and is the count.
sub histograms
{
	my ($self) = @_;
	my %h;
	for my $s (@{ $self->{samples} }) {
		next if $s->{type} ne 'histogram';
		my %l = %{ $s->{labels} };
		my $le = delete $l{le};
		my $h = $h{ join "\0", $s->{family}, map { "$_=$l{$_}" } sort keys %l } //= { le => [], n => [] };
		if ($s->{name} =~ /_bucket$/) {
			push @{ $h->{le} }, $le;
			push @{ $h->{n} }, $s->{value};
		} else {
			$h->{$1} = $s->{value} if $s->{name} =~ /_(sum|count)$/;
		}
	}
	for my $k (keys %h) {
		my $h = $h{$k};
		$self->bad("$k: no sum or count") unless defined $h->{sum} && defined $h->{count};
		$self->bad("$k: the last bucket is not +Inf") if $h->{le}[-1] ne '+Inf';
		$self->bad("$k: +Inf is not the count") if $h->{n}[-1] != $h->{count};
		for (1 .. $#{ $h->{n} }) {
			$self->bad("$k: buckets go down") if $h->{n}[$_] < $h->{n}[ $_ - 1 ];
			$self->bad("$k: bounds go down") if $h->{le}[$_] ne '+Inf' && $h->{le}[$_] <= $h->{le}[ $_ - 1 ];
		}
	}
}

sub find
{
	my ($self, $n, %labels) = @_;
	return grep {
		my $s = $_;
		$s->{name} eq $n && !grep { ($s->{labels}{$_} // '') ne $labels{$_} } keys %labels;
	} @{ $self->{samples} };
}

sub value
{
	my ($self, $n, %labels) = @_;
	my @s = grep { keys %{ $_->{labels} } == keys %labels } $self->find($n, %labels);
	return @s ? $s[0]{value} : undef;
}

sub sum
{
	my ($self, $n, %labels) = @_;
	my $sum = 0;
	$sum += $_->{value} for $self->find($n, %labels);
	return $sum;
}

sub counters
{
	my ($self) = @_;
	return { map { $_->{type} eq 'gauge' ? () : ($_->{key} => $_->{value}) } @{ $self->{samples} } };
}

1;
