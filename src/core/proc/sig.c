/*
 * sig.c - signals as something to read: signalfd(2).
 */
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/proc/sig.h"

static const struct {
	int		 sig;
	const char	*name;
} understood[] = {
	{ SIGHUP, "SIGHUP" }, { SIGINT, "SIGINT" }, { SIGQUIT, "SIGQUIT" },
	{ SIGTERM, "SIGTERM" }, { SIGUSR1, "SIGUSR1" }, { SIGUSR2, "SIGUSR2" },
	{ SIGWINCH, "SIGWINCH" }, { SIGCHLD, "SIGCHLD" }, { SIGALRM, "SIGALRM" },
};

static sigset_t		 before;
static struct weir_fd	 watched = { .fd = -1 };
static const struct sig_row *rows;
static unsigned		 n_rows;
static void		 (*on)(int);

const char *
sig_name(int sig)
{
	size_t i;

	for (i = 0; i < WEIR_COUNT(understood); i++)
		if (understood[i].sig == sig)
			return understood[i].name;
	return "?";
}

void
sig_block(void)
{
	sigset_t set;
	size_t	 i;

	sigemptyset(&set);
	for (i = 0; i < WEIR_COUNT(understood); i++)
		sigaddset(&set, understood[i].sig);
	sigprocmask(SIG_BLOCK, &set, &before);
	/* Whoever started us may have ignored these; an ignored signal is never delivered. */
	for (i = 0; i < WEIR_COUNT(understood); i++)
		signal(understood[i].sig, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
}

void
sig_restore(void)
{
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static const char *
meaning(int sig)
{
	unsigned i;

	for (i = 0; i < n_rows; i++)
		if (rows[i].sig == sig)
			return rows[i].what;
	return NULL;
}

static void
on_readable(struct weir_fd *f, unsigned ev)
{
	struct signalfd_siginfo	si;
	const char		*what;
	int			 sig;

	(void)ev;
	while (f->fd >= 0 && read(f->fd, &si, sizeof(si)) == sizeof(si)) {
		sig = (int)si.ssi_signo;
		if ((what = meaning(sig)) != NULL)
			log_at(weir_log, LOG_NOTICE_, 0, "signal %d (%s) received from %u, %s", sig,
			    sig_name(sig), si.ssi_pid, what);
		on(sig);
	}
}

int
sig_watch(const struct sig_row *r, unsigned n, void (*fn)(int))
{
	sigset_t set;
	unsigned i;

	sigemptyset(&set);
	for (i = 0; i < n; i++)
		sigaddset(&set, r[i].sig);
	rows = r;
	n_rows = n;
	on = fn;
	watched = (struct weir_fd){
		.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), .on = on_readable,
	};
	return watched.fd >= 0 ? fd_watch_level(&watched) : WEIR_FAIL;
}

void
sig_forget(void)
{
	if (watched.fd >= 0)
		close(watched.fd);
	watched = (struct weir_fd){ .fd = -1 };
}
