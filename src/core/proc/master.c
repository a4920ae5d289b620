/*
 * master.c - the master: watches its children, obeys signals, reloads, hands over.
 *
 *	HUP		read the configuration; a new crew starts, and when it is up the
 *			old one retires.  When it cannot, the old one stays.
 *	QUIT		retire everybody, then end
 *	TERM, INT	end everybody, by force after a second
 *	USR1		reopen logs
 *	USR2		start another binary beside us
 *	WINCH		retire the workers, keep the listeners: the other binary serves
 *
 * What is asked for while a crew is still starting waits until that is settled.  The
 * master reads no byte that came from the network.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/os/backtrace.h"
#include "core/proc/child.h"
#include "core/proc/crew.h"
#include "core/proc/master.h"
#include "core/proc/pidfile.h"
#include "core/proc/sig.h"
#include "core/proc/stats.h"
#include "core/proc/keeper.h"
#include "core/proc/upgrade.h"
#include "core/tls/watch.h"

#define KILL_MS		1000	/* from SIGTERM to SIGKILL */
#define AGAIN_MS	1000	/* until a crew is tried again that must be had */

static const struct master_start *self;
static struct weir_pool		*pool;		/* for the name of the pid file */

static struct crew		*now, *coming;	/* who serves, who will; either may be NULL */
static struct weir_cycle	*old_cycles;	/* wait until their last process has ended */

/* What signals have asked for, and was not done yet. */
static struct {
	bool reap, term, quit, reload, reopen, upgrade, rest;
} asked;

static bool	leaving, leaving_fast;
static bool	resting;			/* after WINCH: nobody serves here */
static int	exit_code;
static pid_t	parent, binary;			/* the older and the newer master, 0: none */
static const char *pid_path;			/* where our number stands; NULL: nowhere yet */
static struct weir_timer kill_timer, again_timer;

static void on_up(struct crew *);
static void on_failed(struct crew *);

/*
 * Masters side by side.
 */

static bool
older_lives(void)
{
	return self->inherited && parent > 1 && getppid() == parent;
}

/* Somebody else has the same listeners, so unix sockets must stay. */
static bool
shared(void)
{
	return binary > 0 || older_lives();
}

static const char *
pid_path_of(const struct weir_cycle *c)
{
	return core_conf_of(c->main)->pid.p;
}

static int
pid_write(const char *path)
{
	if (pidfile_write(path, getpid(), weir_log) != WEIR_OK)
		return WEIR_FAIL;
	pid_path = pool_cstr(pool, str_c(path));
	return WEIR_OK;
}

static bool
pid_rename(const char *to)
{
	if (rename(pid_path, to) != 0) {
		log_alert(weir_log, "rename() \"%s\" to \"%s\" failed", pid_path, to);
		return false;
	}
	pid_path = pool_cstr(pool, str_c(to));
	return true;
}

static void
upgrade(void)
{
	struct weir_str old;
	pid_t		pid;

	if (binary > 0 || older_lives()) {
		log_at(weir_log, LOG_ERROR_, 0, "the binary is not changed: process %d is still there "
		    "from the last time", (int)(binary > 0 ? binary : parent));
		return;
	}
	old = pool_printf(pool, "%s.oldbin", pid_path_of(weir_cycle));
	if (!pid_rename(pool_cstr(pool, old)))
		return;
	keeper_end(weir_cycle);		/* the new one reads what the keeper would write in a moment */
	pid = upgrade_start(self->binary, self->argv, weir_cycle);
	if (pid > 0)
		binary = pid;
	else
		pid_rename(pid_path_of(weir_cycle));
}

/* Of a process that is no child of ours by child_start(). */
static void
on_other_exit(pid_t pid, int status)
{
	char text[64];

	if (pid != binary)
		return;
	binary = 0;
	log_at(weir_log, status == 0 ? LOG_NOTICE_ : LOG_ERROR_, 0, "new binary process %d %s",
	    (int)pid, exit_text(text, status));
	if (leaving)
		return;
	pid_rename(pid_path_of(weir_cycle));
	if (resting && coming == NULL) {
		resting = false;
		coming = crew_start(weir_cycle, on_up, on_failed);
	}
}

/*
 * Crews.
 */

static void
retire_cycle(struct weir_cycle *c)
{
	c->next = old_cycles;
	old_cycles = c;
}

static void
free_old_cycles(void)
{
	struct weir_cycle **at = &old_cycles, *c;

	while ((c = *at) != NULL) {
		if (c->children == 0) {
			*at = c->next;
			cycle_free(c);
		} else
			at = &c->next;
	}
}

/* What went wrong is in the log; whoever started us looks at the terminal. */
static void
cannot_start(void)
{
	const struct weir_log_out *o = weir_log->outs;

	log_at(weir_log, LOG_EMERG_, 0, "weir cannot start");
	if (o != NULL && o->file->path != NULL)
		fprintf(stderr, "weir: [emerg] weir cannot start: %s tells why\n", o->file->path);
	exit_code = 1;
	asked.term = true;
}

static void
first_up(void)
{
	if (pid_write(pid_path_of(weir_cycle)) == WEIR_OK)
		self->started();
	else
		cannot_start();
}

static void
replaced(struct weir_cycle *old)
{
	const char *was = pid_path, *path = pid_path_of(weir_cycle);

	if (binary == 0 && strcmp(was, path) != 0 && pid_write(path) == WEIR_OK)
		pidfile_remove(was, weir_log);
	listen_close_others(&old->listeners, &weir_cycle->listeners);
	retire_cycle(old);
}

static void
on_certs_changed(void)
{
	children_send_certs(weir_cycle);
}

static void
on_up(struct crew *w)
{
	struct crew *old = now;

	now = w;
	coming = NULL;
	watch_end(weir_cycle->conf->watch);
	weir_cycle = w->cycle;
	weir_log = &w->cycle->log;
	backtrace_on_crash(log_crash_fd(weir_log));	/* before the old log is closed */
	log_at(weir_log, LOG_NOTICE_, 0, "generation %u serves with %u workers",
	    w->cycle->generation, w->cycle->workers);
	watch_begin(weir_cycle->conf->watch, on_certs_changed);
	if (old == NULL) {
		first_up();
		return;
	}
	crew_retire(old);
	if (old->cycle != w->cycle) {
		metric_add(&stats_reloads, RELOAD_OK, 1);
		replaced(old->cycle);
	}
	crew_free(old);
}

static void
on_again_timer(struct weir_timer *t)
{
	(void)t;
	if (coming == NULL && !leaving)
		coming = crew_start(weir_cycle, on_up, on_failed);
}

static void
refuse(struct weir_cycle *c)
{
	log_at(weir_log, LOG_ERROR_, 0, "reload failed, the running configuration stays");
	metric_add(&stats_reloads, RELOAD_FAILED, 1);
	if (c != NULL)
		retire_cycle(c);
}

static void
on_failed(struct crew *w)
{
	struct weir_cycle *c = w->cycle;

	crew_dismiss(w);
	if (now == NULL) {
		cannot_start();
		return;
	}
	coming = NULL;
	crew_free(w);
	if (c == weir_cycle) {
		timer_set(&again_timer, AGAIN_MS);
		return;
	}
	if (listen_give_back(&weir_cycle->listeners, &c->listeners))
		coming = crew_start(weir_cycle, on_up, on_failed);
	refuse(c);
}

static void
reload(void)
{
	struct weir_cycle *c;

	/* After WINCH in favour of another binary, HUP takes it back. */
	if (resting && binary > 0) {
		resting = false;
		coming = crew_start(weir_cycle, on_up, on_failed);
		return;
	}
	c = cycle_load(self->from, weir_log);
	if (c == NULL || cycle_open(c, weir_cycle, weir_log) != WEIR_OK) {
		refuse(c);
		return;
	}
	resting = false;
	timer_off(&again_timer);
	coming = crew_start(c, on_up, on_failed);
}

/*
 * Leaving.
 */

static void
on_kill_timer(struct weir_timer *t)
{
	(void)t;
	children_signal(SIGKILL);
}

/* The ports are free for others as soon as the last worker has stopped accepting. */
static void
close_listeners(void)
{
	struct weir_cycle *c = now != NULL ? now->cycle : coming->cycle;

	if (coming != NULL && coming->cycle != c)
		listen_close_others(&coming->cycle->listeners, &c->listeners);
	listen_close_all(&c->listeners, !shared());
}

static void
leave(bool fast)
{
	if (!leaving) {
		/* Gently, where another master serves those who come back at once. */
		int sig = fast ? SIGTERM : shared() ? SIGUSR2 : SIGQUIT;

		leaving = true;
		if (!fast && older_lives() && now != NULL)
			listen_leave(&now->cycle->listeners);
		timer_off(&again_timer);
		if (coming != NULL)
			coming->idle = true;
		if (now != NULL)
			now->idle = true;
		close_listeners();
		children_signal(sig);
	} else if (fast && !leaving_fast)
		children_signal(SIGTERM);
	if (fast && !leaving_fast) {
		leaving_fast = true;
		timer_set(&kill_timer, KILL_MS);
	}
}

static void
rest(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	/* A terminal sends WINCH when its window changes size. */
	if (fd >= 0) {
		close(fd);
		return;
	}
	resting = true;
	if (coming == NULL)
		crew_retire(now);
}

/*
 * The loop.
 */

static void
on_child_ready(struct child *c)
{
	if (c->slot != NULL && !leaving)
		crew_ready(c->slot->crew);
}

static void
on_child_exit(struct child *c, int code)
{
	if (code != 0)
		zones_hurt(c->cycle->zones);
	if (code != 0 && c->kind == CHILD_WORKER && !c->ended)
		metric_add(&stats_deaths, 0, 1);
	if (c->slot != NULL && !leaving)
		crew_lost(c->slot, c, code);
}

static void
forget(struct crew *w, struct weir_cycle *mine)
{
	if (w != NULL && w->cycle != mine)
		listen_forget(&w->cycle->listeners, &mine->listeners);
}

/* An address that the other generation alone listens on would stay open as long as we live. */
static void
in_child(struct weir_cycle *mine)
{
	forget(now, mine);
	forget(coming, mine);
	watch_forget(weir_cycle->conf->watch);
	zones_close_fds();
}

static void
on_signal(int sig)
{
	switch (sig) {
	case SIGCHLD:
		asked.reap = true;
		break;
	case SIGHUP:
		asked.reload = true;
		break;
	case SIGQUIT:
		asked.quit = true;
		break;
	case SIGTERM:
	case SIGINT:
		asked.term = true;
		break;
	case SIGUSR1:
		asked.reopen = true;
		break;
	case SIGUSR2:
		asked.upgrade = true;
		break;
	case SIGWINCH:
		asked.rest = true;
		break;
	}
}

#define TAKE(flag) (asked.flag && !(asked.flag = false))

static void
obey(void)
{
	if (TAKE(reap))
		children_reap(on_other_exit);
	if (TAKE(reopen)) {
		log_reopen((uid_t)-1, (gid_t)-1);
		children_send_logs();
	}
	if (TAKE(term))
		leave(true);
	if (TAKE(quit) && !leaving)
		leave(false);
	if (!leaving && coming == NULL) {
		if (TAKE(rest))
			rest();
		if (TAKE(upgrade))
			upgrade();
		if (TAKE(reload))
			reload();
	}
	free_old_cycles();
}

static int
begin(void)
{
	static const struct sig_row rows[] = {
		{ SIGCHLD, NULL }, { SIGHUP, "reconfiguring" }, { SIGQUIT, "shutting down" },
		{ SIGTERM, "exiting" }, { SIGINT, "exiting" }, { SIGUSR1, "reopening logs" },
		{ SIGUSR2, "changing binary" }, { SIGWINCH, "retiring workers" },
	};
	static const struct child_hooks hooks = { on_child_ready, on_child_exit, in_child };

	weir_cycle = self->cycle;
	weir_log = &weir_cycle->log;
	pool = pool_new(0);
	parent = getppid();
	backtrace_on_crash(log_crash_fd(weir_log));
	timer_init(&kill_timer, on_kill_timer);
	timer_init(&again_timer, on_again_timer);
	children_init(&hooks);
	if (loop_init() != WEIR_OK || sig_watch(rows, WEIR_COUNT(rows), on_signal) != WEIR_OK) {
		log_at(weir_log, LOG_EMERG_, errno, "the master process cannot begin");
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

int
master_run(const struct master_start *start)
{
	self = start;
	if (begin() != WEIR_OK)
		return 1;
	coming = crew_start(weir_cycle, on_up, on_failed);
	while (!leaving || !list_empty(&children)) {
		loop_turn(-1);
		obey();
	}
	if (pid_path != NULL)
		pidfile_remove(pid_path, weir_log);
	log_at(weir_log, LOG_NOTICE_, 0, "exit");
	log_flush();
	return exit_code;
}
