/*
 * worker.h - what a child does after fork; for this room.
 */
#ifndef WEIR_PROC_WORKER_H
#define WEIR_PROC_WORKER_H

#include "core/proc/load.h"

/* A child that cannot begin its work ends with this; the master does not simply try again. */
#define EXIT_UNFIT 2

/* Until they end; the exit code. */
int	worker_run(struct weir_cycle *, unsigned index, int channel);
int	keeper_run(struct weir_cycle *, int channel);

/*
 * What both have in common (settle.c).  All return WEIR_OK, or WEIR_FAIL after complaining.
 */

/* Loop, limits, environment, and the line to the master; on_end() is called when it has died. */
int	settle_in(struct weir_cycle *, int channel, void (*on_end)(void)) WEIR_MUST_USE;
/* Another user, without any privilege. */
int	settle_down(struct weir_cycle *) WEIR_MUST_USE;
/* The sandbox closes, the watchdog begins, and the master is told that we serve. */
int	settle_finish(struct weir_cycle *) WEIR_MUST_USE;
/* Asks the master to open the logs anew for us. */
void	settle_ask_logs(void);

#endif
