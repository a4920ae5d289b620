/*
 * offload.h - work that would hold up the loop is done by threads: hashing passwords, for one.
 *
 *	loop                                  thread
 *	offload(job) --> queue (bounded) -->  job->run(job)
 *	job->done(job), job->free(job)  <--  eventfd
 *
 * A job lies in memory of its own, and run() touches nothing else: no pool, no mem_alloc(), no log, no
 * static that changes.  So it does not matter to a thread what becomes of the job's owner.
 *
 * Threads begin when the first job comes, or with offload_begin(); a locked-in process cannot make any,
 * so workers have them only if the configuration declared a need (cycle_needs_threads()).  All
 * signals but those of a crash are blocked in them, they give way to the loop (nice), and while
 * there is no job they make no system call.
 */
#ifndef WEIR_EV_OFFLOAD_H
#define WEIR_EV_OFFLOAD_H

#include "core/base/defs.h"

#define OFFLOAD_THREADS	2
#define OFFLOAD_QUEUE	64	/* jobs that wait, besides those that run */

struct weir_job {
	struct weir_job	*next;
	/* In a thread. */
	void		(*run)(struct weir_job *);
	/* On the loop, after run(); never called after offload_cancel(). */
	void		(*done)(struct weir_job *);
	/* On the loop, last of all, also after a cancel: the job's memory goes. */
	void		(*free)(struct weir_job *);
	uint8_t		 state;
};

/*
 * Have a job done.  WEIR_OK: it belongs to the threads until free().  Otherwise it is still the caller's:
 * WEIR_AGAIN, too many wait already; WEIR_FAIL, there are no threads and none can be made.
 */
int	 offload(struct weir_job *) WEIR_MUST_USE;
/*
 * Its owner goes: done() will not be called.  A job that waits is freed now, one that runs when it has
 * ended.  The pointer is worth nothing any more.
 */
void	 offload_cancel(struct weir_job *);
/* Make the threads now, if there are none.  WEIR_FAIL with errno. */
int	 offload_begin(void) WEIR_MUST_USE;
/*
 * The process ends: jobs that wait are freed, and those that run get `max_ms` to end.  Threads that
 * do not make it go with the process; their jobs are never freed.
 */
void	 offload_end(unsigned max_ms);
/* Jobs that wait, and that run. */
void	 offload_count(unsigned *waiting, unsigned *running);

#endif
