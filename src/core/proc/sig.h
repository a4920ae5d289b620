/*
 * sig.h - signals as something to read.
 *
 * All that weir understands are blocked from the very beginning, and stay so; a signal that
 * comes at any time waits until somebody looks.  Signals of one kind that
 * wait together are one: each asks for something to be done after it came, once.
 */
#ifndef WEIR_PROC_SIG_H
#define WEIR_PROC_SIG_H

#include <signal.h>

#include "core/ev/loop.h"

/* First thing in main. */
void	sig_block(void);
/* For a program that is executed: as we found it. */
void	sig_restore(void);
/*
 * Watch for those for which `what` has a text, "reconfiguring"; each is logged with it and given
 * to on().  Returns WEIR_FAIL with errno.
 */
struct sig_row {
	int		 sig;
	const char	*what;		/* NULL: not worth a line */
};
int	sig_watch(const struct sig_row *rows, unsigned n, void (*on)(int sig)) WEIR_MUST_USE;
/* In a child, before it watches for its own. */
void	sig_forget(void);
const char *sig_name(int sig);		/* "SIGHUP" */

#endif
