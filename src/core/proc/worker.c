/*
 * worker.c - a worker: accepts and serves until it is told to stop or to retire.
 *
 *	serving --QUIT, USR2, the master died--> retiring --empty, or timeout--> end
 *	   \______________TERM, INT__________________\______________________/
 *
 * QUIT: everybody goes, so idle connections end at once.  USR2, which only the master sends:
 * others take over, so idle connections get a moment for a request that is on its way.
 */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/ev/offload.h"
#include "core/net/udp.h"
#include "core/os/limit.h"
#include "core/os/sock.h"
#include "core/proc/keeper.h"
#include "core/proc/master.h"
#include "core/proc/pidfile.h"
#include "core/proc/sig.h"
#include "core/proc/stats.h"
#include "core/proc/title.h"
#include "core/proc/worker.h"
#include "core/tls/watch.h"

#define LAST_TURNS	64	/* for what waits in accept queues */
#define LAST_JOBS_MS	100	/* for threads; whose jobs these are, is gone */
#define GAP		4096	/* descriptors in a row that are not open: the rest is not either */

static bool		 done, quit_asked, retire_asked;
static struct weir_task	 empty_task;
static struct weir_timer shutdown_timer;

static int
start_modules(void)
{
	unsigned i;

	for (i = 0; i < weir_n_modules; i++)
		if (weir_modules[i]->start != NULL && weir_modules[i]->start() != WEIR_OK) {
			log_at(weir_log, LOG_EMERG_, 0, "module \"%s\" cannot start",
			    weir_modules[i]->name);
			return WEIR_FAIL;
		}
	return WEIR_OK;
}

static void
stop_modules(void)
{
	unsigned i;

	for (i = weir_n_modules; i-- > 0; )
		if (weir_modules[i]->stop != NULL)
			weir_modules[i]->stop();
}

/*
 * Retiring.
 */

static bool
is_mine(const struct weir_listen *l, unsigned i)
{
	return l->n_fds == 1 || i % weir_workers == weir_worker;
}

/* Does a client wait to be accepted by us? */
static bool
somebody_waits(void)
{
	const struct weir_listen	*l;
	unsigned			 i;

	for (l = weir_cycle->listeners.first; l != NULL; l = l->next)
		for (i = 0; i < l->n_fds; i++) {
			struct pollfd p = { .fd = l->fds[i], .events = POLLIN };

			if (l->type == SOCK_STREAM && is_mine(l, i) && poll(&p, 1, 0) > 0)
				return true;
		}
	return false;
}

/*
 * Whoever was let in by the kernel would be reset when the last process closes the socket,
 * and after an address was removed this may be the last.
 */
static void
accept_the_last(void)
{
	unsigned i;

	for (i = 0; i < LAST_TURNS && !done && somebody_waits(); i++)
		loop_turn(0);
}

/* An end without a reset would look complete where the end of the connection ends the body. */
static void
reset_all(void)
{
	uint64_t most = limit_nofile();
	int	 fd, on, gap = 0;

	for (fd = 3; (uint64_t)fd < most && gap < GAP; fd++) {
		socklen_t n = sizeof(on);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0) {
			gap = 0;
			if (!on)
				sock_linger0(fd);
		} else
			gap = errno == EBADF ? gap + 1 : 0;
	}
}

static void
on_shutdown_timer(struct weir_timer *t)
{
	(void)t;
	log_at(weir_log, LOG_WARN_, 0, "worker_shutdown_timeout has passed, %u connections are reset",
	    accept_count());
	accept_drain(DRAIN_CUT);
	reset_all();
	done = true;
}

/* At the end of a turn: what the last connection did on its way out is done then. */
static void
on_empty_task(struct weir_task *t)
{
	(void)t;
	done = true;
}

static void
on_empty(void)
{
	if (weir_retiring)
		task_post(&empty_task);
}

static void
retire(void)
{
	uint64_t ms = core_conf()->shutdown_ms;

	if (weir_retiring) {
		if (quit_asked)
			accept_drain(DRAIN_NOW);
		return;
	}
	log_at(weir_log, LOG_NOTICE_, 0, "gracefully shutting down");
	if (weir_role == ROLE_WORKER)
		title_set("worker process is shutting down");
	accept_the_last();
	accept_stop();
	udp_stop();
	listen_close_all(&weir_cycle->listeners, weir_role == ROLE_SINGLE);
	metric_sub(&stats_workers, WORKER_SERVES, 1);
	metric_add(&stats_workers, WORKER_RETIRES, 1);
	weir_retiring = true;
	accept_drain(quit_asked ? DRAIN_NOW : DRAIN_SOON);
	if (accept_count() == 0)
		task_post(&empty_task);
	else if (ms > 0)
		timer_set(&shutdown_timer, ms);
}

/*
 * Serving.
 */

static void
on_signal(int sig)
{
	switch (sig) {
	case SIGQUIT:
		quit_asked = retire_asked = true;
		break;
	case SIGUSR2:
		retire_asked = true;
		break;
	case SIGTERM:
	case SIGINT:
		done = true;
		break;
	case SIGUSR1:
		if (weir_role == ROLE_SINGLE)
			log_reopen((uid_t)-1, (gid_t)-1);
		else
			settle_ask_logs();
		break;
	case SIGHUP:
		log_at(weir_log, LOG_ERROR_, 0,
		    "reload failed: there is no master process to do it (master_process off)");
		break;
	}
}

static void
on_master_end(void)
{
	retire_asked = true;
}

static unsigned
udp_sessions(const struct weir_core_conf *cc)
{
	return cc->udp_sessions != 0 ? (unsigned)cc->udp_sessions : (unsigned)WEIR_MAX(cc->connections / 2, 1u);
}

static int
begin(struct weir_cycle *c, unsigned index)
{
	const struct weir_core_conf *cc = core_conf();

	weir_worker = index;
	weir_workers = c->workers;
	task_init(&empty_task, on_empty_task);
	timer_init(&shutdown_timer, on_shutdown_timer);
	accept_on_empty = on_empty;
	metric_add(&stats_workers, WORKER_SERVES, 1);
	if (udp_start(&c->listeners, index, c->workers, udp_sessions(cc)) != WEIR_OK)
		return WEIR_FAIL;
	return accept_start(&c->listeners, index, c->workers, (unsigned)cc->connections,
	    cc->multi_accept);
}

static int
serve(void)
{
	while (!done) {
		loop_turn(-1);
		if (retire_asked && !done) {
			retire_asked = false;
			retire();
		}
	}
	log_at(weir_log, LOG_NOTICE_, 0, "exiting");
	accept_drain(DRAIN_CUT);	/* what is under way ends here, and has its line in the log */
	stop_modules();
	offload_end(LAST_JOBS_MS);
	log_flush();
	log_at(weir_log, LOG_NOTICE_, 0, "exit");
	return 0;
}

static void
choose_cpus(const struct core_main *m, unsigned index)
{
	cpu_set_t from, set;

	if (m->affinity_auto) {
		if (m->cpus.n > 0)
			from = m->cpus.v[0];
		else if (cpu_mask_own(&from) != WEIR_OK)
			return;
		if (!cpu_mask_nth(&from, index, &set))
			return;
	} else if (m->cpus.n > 0)
		set = m->cpus.v[WEIR_MIN(index, m->cpus.n - 1)];
	else
		return;
	if (cpu_bind(&set) != WEIR_OK)
		log_alert(weir_log, "setting worker_cpu_affinity failed");
}

static void
choose_priority(const struct core_main *m)
{
	if (m->priority != 0 && setpriority(PRIO_PROCESS, 0, (int)m->priority) != 0)
		log_alert(weir_log, "setting worker_priority failed");
}

int
worker_run(struct weir_cycle *c, unsigned index, int channel)
{
	static const struct sig_row rows[] = {
		{ SIGQUIT, "shutting down" }, { SIGUSR2, "giving way to new processes" },
		{ SIGTERM, "exiting" }, { SIGINT, "exiting" }, { SIGUSR1, "reopening logs" },
	};

	weir_role = ROLE_WORKER;
	title_set("worker process");
	choose_priority(core_main_of(c));
	choose_cpus(core_main_of(c), index);
	if (settle_in(c, channel, on_master_end) != WEIR_OK)
		return EXIT_UNFIT;
	if (sig_watch(rows, WEIR_COUNT(rows), on_signal) != WEIR_OK) {
		log_at(weir_log, LOG_EMERG_, errno, "signalfd() failed");
		return EXIT_UNFIT;
	}
	if (begin(c, index) != WEIR_OK || settle_down(c) != WEIR_OK || start_modules() != WEIR_OK ||
	    settle_finish(c) != WEIR_OK)
		return EXIT_UNFIT;
	return serve();
}

int
single_run(const struct master_start *start)
{
	static const struct sig_row rows[] = {
		{ SIGQUIT, "shutting down" }, { SIGTERM, "exiting" }, { SIGINT, "exiting" },
		{ SIGUSR1, "reopening logs" }, { SIGHUP, "reconfiguring" },
	};
	struct weir_cycle *c = start->cycle;

	weir_role = ROLE_SINGLE;
	weir_cycle = c;
	weir_log = &c->log;
	mem_reserve(1);
	stats_use(metric_claim());
	if (loop_init() != WEIR_OK || sig_watch(rows, WEIR_COUNT(rows), on_signal) != WEIR_OK) {
		log_at(weir_log, LOG_EMERG_, errno, "the process cannot begin");
		return 1;
	}
	if (begin(c, 0) != WEIR_OK || start_modules() != WEIR_OK ||
	    pidfile_write(core_conf()->pid.p, getpid(), weir_log) != WEIR_OK)
		return 1;
	keeper_begin(c);
	watch_begin(c->conf->watch, NULL);
	start->started();
	serve();
	keeper_end(c);
	listen_close_all(&c->listeners, true);
	pidfile_remove(core_conf()->pid.p, weir_log);
	return 0;
}
