/*
 * proc.h - processes: what main() calls.
 */
#ifndef WEIR_PROC_PROC_H
#define WEIR_PROC_PROC_H

#include "core/base/defs.h"

struct weir_options {
	const char	*prefix, *conf_path, *error_log, *globals;	/* NULL: the built-in */
	const char	*signal;	/* -s: stop, quit, reload, reopen */
	bool		 test, dump, quiet;
	char		**argv;		/* for the binary upgrade, and to name the processes */
};

/* Each returns the exit code of the command. */
int	proc_test(const struct weir_options *);		/* -t, -T */
int	proc_signal(const struct weir_options *);	/* -s */
int	proc_main(const struct weir_options *);		/* run */

#endif
