/*
 * fault.h - an io that misbehaves on purpose, around another one, for tests.
 *
 * Short reads and writes, AGAIN and FAIL at the Nth call, an end that comes early.  It takes over the
 * notices of the io below, which the test owns.  The kernel never moves bytes past it.
 */
#ifndef WEIR_IO_FAULT_H
#define WEIR_IO_FAULT_H

#include "core/ev/loop.h"
#include "core/io/io.h"

struct weir_fault {
	struct weir_io	 io;		/* to be used in place of what is below */
	struct weir_src	 *in;		/* what is below; NULL: nothing to read */
	struct weir_sink *out;		/* NULL: writes are collected in `taken` */
	/* what to do; 0: nothing */
	size_t		 most;		/* bytes for each read and write */
	size_t		 first;		/* bytes for the first read only */
	unsigned	 again_at, fail_at;	/* the Nth call: reads, writes and finishes together */
	bool		 early;		/* reads end after eof_after bytes */
	uint64_t	 eof_after;
	/* what was done */
	unsigned	 calls;
	uint64_t	 got, put;
	bool		 failed, finished, aborted;
	struct weir_bufq taken;
	/* its own */
	struct weir_bufq held;
	int		 end;		/* of what is below: 0, WEIR_EOF, WEIR_FAIL */
	bool		 in_wanted, out_wanted;
	bool		 dry;		/* what is below said AGAIN, and will give a notice */
	struct weir_task notice;
};

void	fault_init(struct weir_fault *, struct weir_src *in, struct weir_sink *out);
/* Drops what it holds; what is below is not touched. */
void	fault_free(struct weir_fault *);

#endif
