/*
 * signal.c - weir -s: sends a signal to the master that the pid file names.
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/proc/load.h"
#include "core/proc/pidfile.h"

static const struct {
	const char	*word;
	int		 sig;
} words[] = {
	{ "stop", SIGTERM }, { "quit", SIGQUIT }, { "reopen", SIGUSR1 }, { "reload", SIGHUP },
};

static int
signal_of(const char *word)
{
	size_t i;

	for (i = 0; i < WEIR_COUNT(words); i++)
		if (strcmp(words[i].word, word) == 0)
			return words[i].sig;
	return 0;
}

/* To the terminal and to the log. */
static int
complain(struct weir_log *log, enum weir_level lvl, const char *text)
{
	fprintf(stderr, "weir: [%s] %s\n", log_level_name(lvl), text);
	log_at(log, lvl, 0, "%s", text);
	return 1;
}

int
proc_signal(const struct weir_options *o)
{
	struct weir_pool	*pool = pool_new(0);
	struct weir_log		 log = { .outs = NULL };
	struct load_from	 from;
	struct weir_cycle	*c;
	char			 text[512];
	pid_t			 pid;
	int			 sig = signal_of(o->signal);

	clock_update();
	conf_modules_init();
	load_prepare(&from, o, pool);
	log_add(pool, &log, from.log, LOG_NOTICE_);
	weir_log = &log;
	if (sig == 0) {
		snprintf(text, sizeof(text), "invalid option: \"-s %s\"", o->signal);
		return complain(&log, LOG_EMERG_, text);
	}
	if ((c = cycle_load(&from, &log)) == NULL)
		return 1;
	if (pidfile_read(core_conf_of(c->main)->pid.p, &pid, text) != WEIR_OK)
		return complain(&log, LOG_ERROR_, text);
	if (kill(pid, sig) != 0) {
		snprintf(text, sizeof(text), "kill(%d, %d) failed (%d: %s)", (int)pid, sig, errno,
		    strerror(errno));
		return complain(&log, LOG_ALERT_, text);
	}
	return 0;
}
