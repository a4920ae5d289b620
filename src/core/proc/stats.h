/*
 * stats.h - where workers count, in shared memory; for this room.  stats_sum() is in cycle.h.
 */
#ifndef WEIR_PROC_STATS_H
#define WEIR_PROC_STATS_H

#include "core/base/defs.h"

/* Master, once, before the first fork. */
int	stats_init(void) WEIR_MUST_USE;
/* Master: a place for a new child, or -1 when there is none; it counts for itself then. */
int	stats_claim(void);
/* Child: accept_stats points there from now on. */
void	stats_use(int place);
/* Master: the child is dead. */
void	stats_give_back(int place);

#endif
