/*
 * watchdog.h - ends a process whose loop no longer turns.
 *
 * A timer ticks for each second of CPU time that the thread uses, so an idle
 * process is never woken and a turn costs one addition.  When the same turn
 * is seen for `limit` ticks, an alert and a backtrace are written and the process
 * aborts; whoever supervises it starts another.  What waits without using the CPU
 * is not seen: nothing in a worker may do that.
 */
#ifndef WEIR_OS_WATCHDOG_H
#define WEIR_OS_WATCHDOG_H

#include "core/base/defs.h"

/* The loop adds one on each turn. */
extern volatile unsigned long watchdog_turn;

#define WATCHDOG_SIGNAL	SIGVTALRM	/* must not be blocked */

/*
 * Starts it in this thread: `limit` seconds of CPU, at least 2.  `log_fd` is where the alert goes.
 * WEIR_FAIL with errno.  Not inherited by fork.
 */
int	 watchdog_start(unsigned limit, int log_fd) WEIR_MUST_USE;
void	 watchdog_stop(void);

#endif
