/*
 * backtrace.h - where the process is, for handlers of signals.
 */
#ifndef WEIR_OS_BACKTRACE_H
#define WEIR_OS_BACKTRACE_H

#include "core/base/log.h"

/* Once at start: the first backtrace loads a library, which no signal handler may do. */
void	 backtrace_prime(void);

/* Writes one line for each function on the stack.  Safe in a signal handler. */
void	 backtrace_write(int fd);

/*
 * Writes a line as the error log has it: time, level, pid, text, newline.  Safe in a
 * signal handler.  What does not fit LOG_LINE_MAX is cut.
 */
void	 backtrace_line(int fd, enum weir_level, const char *text);

/*
 * From now on a crash (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT) writes an alert line and a
 * backtrace to `fd`, then takes its usual course.  Runs on a stack of its own, so that
 * an overflow of the stack is seen too.  Not under AddressSanitizer, which says more.
 */
void	 backtrace_on_crash(int fd);

#endif
