/*
 * master.h - the long life of the master, and the signals of a process; for this room.
 */
#ifndef WEIR_PROC_MASTER_H
#define WEIR_PROC_MASTER_H

#include "core/proc/load.h"

struct master_start {
	const struct load_from	*from;
	struct weir_cycle	*cycle;		/* opened */
	char			**argv;		/* as weir was called */
	const char		*binary;	/* what a binary upgrade executes */
	bool			 inherited;	/* an older master started us */
	void			(*started)(void);	/* everybody serves */
};

/* Until the end; returns the exit code. */
int	master_run(const struct master_start *);
/* The process of master_process off. */
int	single_run(const struct master_start *);

#endif
