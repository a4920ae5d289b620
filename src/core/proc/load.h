/*
 * load.h - making and opening a cycle; for this room.
 */
#ifndef WEIR_PROC_LOAD_H
#define WEIR_PROC_LOAD_H

#include "core/proc/core_conf.h"

/* What is the same for every cycle of a process: from the command line. */
struct load_from {
	const char		*prefix, *conf_path;	/* absolute; prefix ends with a slash */
	const char		*globals;
	struct weir_log_file	*log;		/* of -e: for cycles without error_log */
	bool			 to_stderr;	/* mistakes are printed too */
	bool			 quiet;
};

/* Fills `to` with copies of the options and opens the log; complains on stderr by itself. */
void	load_prepare(struct load_from *to, const struct weir_options *, struct weir_pool *);

/* Reads and binds; NULL after complaining to `log`. */
struct weir_cycle *cycle_load(const struct load_from *, struct weir_log *log);
/*
 * Makes folders, checks limits, maps zones, opens listeners, taking over those of `old` (may be NULL).
 * WEIR_FAIL after complaining; then `old` was not touched.
 */
int	cycle_open(struct weir_cycle *, struct weir_cycle *old, struct weir_log *) WEIR_MUST_USE;
/* For -t: the same, without leaving anything open. */
int	cycle_try(struct weir_cycle *, struct weir_log *) WEIR_MUST_USE;
void	cycle_free(struct weir_cycle *);

/* The environment of workers, or, with `more` (two at most, ended by NULL), of a new binary. */
void	cycle_environment(struct weir_cycle *, struct weir_pool *, const char *const *more);

#endif
