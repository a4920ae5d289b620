/*
 * settle.c - how a child settles in: limits, user, sandbox, and its line to the master.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "config.h"
#include "core/base/mem.h"
#include "core/ev/loop.h"
#include "core/ev/offload.h"
#include "core/os/backtrace.h"
#include "core/os/fd.h"
#include "core/os/limit.h"
#include "core/os/watchdog.h"
#include "core/proc/channel.h"
#include "core/proc/worker.h"
#include "core/tls/watch.h"

#define RESERVE_BYTES	(256 * 1024)
#define STUCK_SEC	3	/* of CPU time in one turn of the loop */

static struct weir_fd	 line = { .fd = -1 };
static void		 (*on_master_end)(void);

/*
 * The line to the master.
 */

static void
take_log(uint32_t number, int fd)
{
	struct weir_log_file *f = log_file_numbered(number);

	if (f == NULL || !log_is_file(f) || fd < 0)
		return;
	if (f->flush != NULL)
		f->flush(f, f->flush_arg);
	log_file_replace(f, fd);
}

static void
on_line(struct weir_fd *f, unsigned ev)
{
	enum channel_kind	kind;
	uint32_t		arg;
	int			fd = -1, rc;

	(void)ev;
	/* A log must arrive also when connections have taken all descriptors. */
	fd_reserve_release();
	rc = channel_recv(f->fd, &kind, &arg, &fd);
	if (rc == WEIR_OK && kind == CHANNEL_LOG)
		take_log(arg, fd);
	else if (rc == WEIR_OK && kind == CHANNEL_LOGS_SENT)
		log_reopened();
	else if (rc == WEIR_OK && kind == CHANNEL_CERTS && fd >= 0)
		(void)!watch_take(weir_cycle->conf->watch, fd);
	if (rc == WEIR_OK)
		fd_close(&fd);
	fd_reserve_retake();
	if (rc == WEIR_EOF) {
		log_alertx(weir_log, "the master process has gone");
		fd_end(f);
		on_master_end();
	} else if (rc == WEIR_FAIL)
		log_alert(weir_log, "cannot understand the master process");
}

void
settle_ask_logs(void)
{
	if (line.fd >= 0 && channel_send(line.fd, CHANNEL_ASK_LOGS, 0, -1) != WEIR_OK)
		log_alert(weir_log, "cannot ask the master process for new logs");
}

/*
 * Before privileges go.
 */

static void
set_limits(const struct core_main *m)
{
	if (m->c.nofile > 0 && limit_nofile_set((uint64_t)m->c.nofile) != WEIR_OK)
		log_alert(weir_log, "setting worker_rlimit_nofile failed");
	if (m->rlimit_core_set && limit_core_set(m->rlimit_core) != WEIR_OK)
		log_alert(weir_log, "setting worker_rlimit_core failed");
}

int
settle_in(struct weir_cycle *c, int channel, void (*on_end)(void))
{
	mem_reserve(RESERVE_BYTES);
	backtrace_on_crash(log_crash_fd(&c->log));
	set_limits(core_main_of(c));
	cycle_environment(c, c->pool, NULL);
	on_master_end = on_end;
	line = (struct weir_fd){ .fd = channel, .on = on_line };
	if (loop_init() != WEIR_OK || fd_watch_level(&line) != WEIR_OK || fd_reserve() != WEIR_OK) {
		log_at(weir_log, LOG_EMERG_, errno, "a new process cannot begin");
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

/*
 * Giving up, locking in.
 */

int
settle_down(struct weir_cycle *c)
{
	const struct core_main	*m = core_main_of(c);
	const char		*step = "";

	if (user_drop(&m->who, weir_role == ROLE_WORKER ? c->conf->keep_caps : 0, &step) != WEIR_OK) {
		log_at(weir_log, LOG_EMERG_, errno, "giving up privileges failed: %s", step);
		return WEIR_FAIL;
	}
	/* Asking for cores is asking for this: the kernel writes none of what is not dumpable. */
	if (m->rlimit_core_set && m->rlimit_core > 0)
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (m->working_dir.n > 0 && chdir(m->working_dir.p) != 0) {
		log_at(weir_log, LOG_EMERG_, errno, "chdir(\"%s\") failed", m->working_dir.p);
		return WEIR_FAIL;
	}
	return WEIR_OK;
}

/*
 * For tests: with `env WEIR_FAIL_MEMORY=1` every allocation fails once: the first, the second after that, the
 * third after that, and so on; within the same turn of the loop the one behind it, too.
 */
static void
sweep_failures(void)
{
#ifdef WEIR_DEBUG
	static int on = -1;
	static unsigned nth;

	if (on < 0)
		on = getenv("WEIR_FAIL_MEMORY") != NULL;
	if (!on)
		return;
	if (mem_low())		/* or nobody would be let in who could make the next one fail */
		mem_fail_at(0, 0);
	else if (!mem_will_fail())
		mem_fail_at(++nth, 1);
#endif
}

static void
on_turn(void)
{
	watchdog_turn++;
	sweep_failures();
}

static void
begin_threads(void)
{
	if (offload_begin() != WEIR_OK)
		log_alert(weir_log, "no threads can be made");
}

int
settle_finish(struct weir_cycle *c)
{
	int got;

	if (c->threads && weir_role == ROLE_WORKER)
		c->sandbox.begin_threads = begin_threads;
	got = sandbox_enter(&c->sandbox);

	if (got != SANDBOX_ALL)
		log_at(weir_log, LOG_INFO_, errno, "the sandbox lacks%s%s%s",
		    got & SANDBOX_NO_NEW_PRIVS ? "" : " no_new_privs",
		    got & SANDBOX_LANDLOCK ? "" : " Landlock", got & SANDBOX_SECCOMP ? "" : " seccomp");
	loop_on_turn = on_turn;
	if (watchdog_start(STUCK_SEC, log_crash_fd(&c->log)) != WEIR_OK)
		log_alert(weir_log, "the watchdog cannot start");
	if (channel_send(line.fd, CHANNEL_READY, 0, -1) != WEIR_OK) {
		log_at(weir_log, errno == EPIPE ? LOG_NOTICE_ : LOG_EMERG_, errno,
		    "cannot report to the master process");
		return WEIR_FAIL;
	}
	return WEIR_OK;
}
