/*
 * watchdog.c - ends a process whose loop no longer turns.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/os/backtrace.h"
#include "core/os/watchdog.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

volatile unsigned long watchdog_turn;

static struct itimerspec every = { { 1, 0 }, { 1, 0 } };
static timer_t		timer;
static bool		running;
static int		log_fd;
static unsigned		limit, seen;	/* ticks on which the turn was the same */
static unsigned long	last;

static void
on_tick(int sig)
{
	(void)sig;
	if (watchdog_turn != last) {
		last = watchdog_turn;
		seen = 1;
		return;
	}
	if (++seen < limit)
		return;
	backtrace_line(log_fd, LOG_ALERT_,
	    "the event loop is stuck, this process ends itself; it was here:");
	backtrace_write(log_fd);
	/* One backtrace is enough. */
	signal(SIGABRT, SIG_DFL);
	abort();
}

int
watchdog_start(unsigned sec, int fd)
{
	struct sigaction	sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct sigevent		ev = { .sigev_notify = SIGEV_THREAD_ID };

	watchdog_stop();
	backtrace_prime();
	limit = WEIR_MAX(sec, 2);
	seen = 0;
	last = watchdog_turn;
	log_fd = fd;
	sigemptyset(&sa.sa_mask);
	if (sigaction(WATCHDOG_SIGNAL, &sa, NULL) != 0)
		return WEIR_FAIL;
	/* The signal must hit the thread that is stuck, or the backtrace is another's. */
	ev.sigev_signo = WATCHDOG_SIGNAL;
	ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &timer) != 0)
		return WEIR_FAIL;
	running = true;
	if (timer_settime(timer, 0, &every, NULL) != 0) {
		watchdog_stop();
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

void
watchdog_stop(void)
{
	int saved = errno;

	if (running)
		timer_delete(timer);
	running = false;
	errno = saved;
}
