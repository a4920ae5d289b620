/*
 * warm.h - parts of files are brought into memory by a thread, before the loop sends them.
 *
 * The kernel sends files without a copy, but who asks it for a part that is only on the disk waits for the disk,
 * and with him all other clients of the process.  So a thread reads the part first, into
 * the kernel's cache; what it read is not used.  What is in the cache already costs two
 * system calls and no thread.
 */
#ifndef WEIR_IO_WARM_H
#define WEIR_IO_WARM_H

#include "core/ev/loop.h"
#include "core/io/bufq.h"

struct weir_warm {
	struct weir_warm_job *job;	/* NULL: none is under way */
	uint64_t	 from, upto;	/* this range of the file is warm */
	void		(*ready)(struct weir_warm *);	/* a part that was asked for is there */
	bool		 off;		/* there are no threads: nothing to wait for */
};

void	 warm_init(struct weir_warm *, void (*ready)(struct weir_warm *));
/*
 * How many of the file's bytes from `off` on, `len` at most and more than 0, may be sent now.  0: a thread is at it, ready() is
 * called when it has ended, as the last statement of its caller.  Takes a reference on the file as long as it needs it.
 */
uint64_t warm_part(struct weir_warm *, struct weir_seg_file *, uint64_t off, uint64_t len);
/* Nothing is wanted any more: ready() will not be called. */
void	 warm_end(struct weir_warm *);

#endif
