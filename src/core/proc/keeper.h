/*
 * keeper.h - the process for work that must not wait for clients, nor they for it.
 *
 * There is one for each generation.  It has no listeners and, while no job is due, makes no
 * system call.  A job may block: only other jobs wait for it.
 */
#ifndef WEIR_PROC_KEEPER_H
#define WEIR_PROC_KEEPER_H

#include "core/ev/loop.h"

struct weir_cycle;

struct weir_keeper_job {
	struct weir_keeper_job *next;
	const char	*name;		/* for the log */
	uint64_t	 first_ms;	/* after the start of the keeper */
	uint64_t	 every_ms;	/* after the end of the last time; 0: once */
	bool		 at_end;	/* once more when the process ends */
	void		 (*fn)(struct weir_keeper_job *);
	struct weir_timer timer;
};

/*
 * Adds a job to those of a cycle, while it is being bound.  The job is the caller's and lives as
 * long as the cycle.  It runs in the keeper, or in the only process there is.
 */
void	keeper_add(struct weir_cycle *, struct weir_keeper_job *);
/* For the process that runs them: sets their timers. */
void	keeper_begin(struct weir_cycle *);
/* The same: those that want it run for the last time.  In a master: before another binary reads what they write. */
void	keeper_end(struct weir_cycle *);

#endif
