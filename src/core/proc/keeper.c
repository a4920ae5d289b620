/*
 * keeper.c - the keeper: a table of jobs, each with its timer.
 */
#include <signal.h>

#include "core/proc/keeper.h"
#include "core/proc/sig.h"
#include "core/proc/title.h"
#include "core/proc/worker.h"

static bool done;

void
keeper_add(struct weir_cycle *c, struct weir_keeper_job *job)
{
	job->next = c->jobs;
	c->jobs = job;
}

static void
on_due(struct weir_timer *t)
{
	struct weir_keeper_job *job = WEIR_OF(t, struct weir_keeper_job, timer);

	log_debug(weir_log, "keeper: %s", job->name);
	job->fn(job);
	if (job->every_ms > 0)
		timer_set(&job->timer, job->every_ms);
}

void
keeper_begin(struct weir_cycle *c)
{
	struct weir_keeper_job *job;

	for (job = c->jobs; job != NULL; job = job->next) {
		timer_init(&job->timer, on_due);
		timer_set(&job->timer, job->first_ms);
	}
}

void
keeper_end(struct weir_cycle *c)
{
	for (struct weir_keeper_job *job = c->jobs; job != NULL; job = job->next)
		if (job->at_end)
			job->fn(job);
}

static void
on_signal(int sig)
{
	if (sig == SIGUSR1)
		settle_ask_logs();
	else
		done = true;
}

static void
on_master_end(void)
{
	done = true;
}

int
keeper_run(struct weir_cycle *c, int channel)
{
	static const struct sig_row rows[] = {
		{ SIGQUIT, NULL }, { SIGUSR2, NULL }, { SIGTERM, "exiting" }, { SIGINT, "exiting" },
		{ SIGUSR1, "reopening logs" },
	};

	weir_role = ROLE_KEEPER;
	title_set("keeper process");
	/* Its copies would keep an address busy that the others have given up. */
	listen_close_all(&c->listeners, false);
	if (settle_in(c, channel, on_master_end) != WEIR_OK)
		return EXIT_UNFIT;
	if (sig_watch(rows, WEIR_COUNT(rows), on_signal) != WEIR_OK) {
		log_at(weir_log, LOG_EMERG_, errno, "signalfd() failed");
		return EXIT_UNFIT;
	}
	keeper_begin(c);
	if (settle_down(c) != WEIR_OK || settle_finish(c) != WEIR_OK)
		return EXIT_UNFIT;
	while (!done)
		loop_turn(-1);
	keeper_end(c);
	log_flush();
	return 0;
}
