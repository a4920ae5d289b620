/*
 * backtrace.c - where the process is, for handlers of signals.
 */
#include <execinfo.h>
#include <signal.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/os/backtrace.h"

#define FRAMES	64

void
backtrace_prime(void)
{
	void *frames[4];

	(void)backtrace(frames, WEIR_COUNT(frames));
}

void
backtrace_write(int fd)
{
	void	*frames[FRAMES];
	int	 n = backtrace(frames, FRAMES);

	/* The first is this function. */
	if (n > 1)
		backtrace_symbols_fd(frames + 1, n - 1, fd);
}

/* As much of `s` as there is room for. */
static char *
add(char *at, const char *end, struct weir_str s)
{
	size_t n = WEIR_MIN(s.n, (size_t)(end - at));

	memcpy(at, s.p, n);
	return at + n;
}

void
backtrace_line(int fd, enum weir_level lvl, const char *text)
{
	char	 buf[LOG_LINE_MAX], num[NUM_MAX], *at = buf, *end = buf + sizeof(buf) - 1;
	int	 saved = errno;
	ssize_t	 n;

	clock_err_time_put(at);
	at = add(at + CLOCK_ERR_LEN, end, STR(" ["));
	at = add(at, end, str_c(log_level_name(lvl)));
	at = add(at, end, STR("] "));
	at = add(at, end, str_of(num, (size_t)(num_put(num, (uint64_t)getpid()) - num)));
	at = add(at, end, STR("#0: "));
	at = add(at, end, str_c(text));
	*at++ = '\n';
	n = write(fd, buf, (size_t)(at - buf));
	(void)n;
	errno = saved;
}

#if !WEIR_ASAN

static int	crash_fd = -1;
static char	crash_stack[65536] __attribute__((aligned(16)));

static const struct {
	int		 sig;
	const char	*text;
} crashes[] = {
	{ SIGSEGV, "crashed: SIGSEGV (invalid memory reference)" },
	{ SIGBUS, "crashed: SIGBUS (memory that cannot be had)" },
	{ SIGILL, "crashed: SIGILL (illegal instruction)" },
	{ SIGFPE, "crashed: SIGFPE (arithmetic)" },
	{ SIGABRT, "crashed: SIGABRT (an assertion, or no memory)" },
};

static void
on_crash(int sig)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(crashes); i++)
		if (crashes[i].sig == sig)
			backtrace_line(crash_fd, LOG_ALERT_, crashes[i].text);
	backtrace_write(crash_fd);
	/* SA_RESETHAND: this one takes the usual course as soon as we return. */
	raise(sig);
}

void
backtrace_on_crash(int fd)
{
	stack_t			 st = { .ss_sp = crash_stack, .ss_size = sizeof(crash_stack) };
	struct sigaction	 sa = { .sa_handler = on_crash };
	unsigned		 i;

	backtrace_prime();
	crash_fd = fd;
	sigaltstack(&st, NULL);
	sigfillset(&sa.sa_mask);
	sa.sa_flags = SA_ONSTACK | (int)SA_RESETHAND;
	for (i = 0; i < WEIR_COUNT(crashes); i++)
		sigaction(crashes[i].sig, &sa, NULL);
}

#else

void
backtrace_on_crash(int fd)
{
	(void)fd;
	backtrace_prime();
}

#endif
