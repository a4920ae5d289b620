/*
 * children.c - the processes that the master has started.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/os/fd.h"
#include "core/proc/channel.h"
#include "core/proc/child.h"
#include "core/proc/sig.h"
#include "core/proc/stats.h"
#include "core/proc/worker.h"
#include "core/tls/watch.h"

#define LOGS_AGAIN_MS	100
#define CERTS_AGAIN_MS	100

struct weir_list children = { &children, &children };

static const struct child_hooks	*hooks;
static struct weir_timer	 logs_timer, ask_timer, certs_timer;

#define CHILD(node) WEIR_OF((node), struct child, all)

static const char *
kind_name(const struct child *c)
{
	return c->kind == CHILD_KEEPER ? "keeper" : "worker";
}

/*
 * Logs.
 */

/* False: the channel is full.  True also when the child is no more. */
static bool
send_one(struct child *c, enum channel_kind kind, uint32_t arg, int fd)
{
	int rc = channel_send(c->channel.fd, kind, arg, fd);

	if (rc == WEIR_FAIL && errno != EPIPE && errno != ECONNRESET)
		log_alert(weir_log, "cannot send to process %d", (int)c->pid);
	return rc != WEIR_AGAIN;
}

/* A child that was forked earlier, or runs another configuration, ignores files that it does not know. */
static bool
send_logs(struct child *c)
{
	struct weir_log_file *f;

	for (f = log_files(); f != NULL; f = f->next)
		if (log_is_file(f) && f->fd >= 0 && !send_one(c, CHANNEL_LOG, f->number, f->fd))
			return false;
	return send_one(c, CHANNEL_LOGS_SENT, 0, -1);
}

static void
send_due_logs(void)
{
	struct weir_list *at;

	list_each(at, &children) {
		struct child *c = CHILD(at);

		if (!c->logs_due)
			continue;
		c->logs_due = c->channel.fd >= 0 && !send_logs(c);
		if (c->logs_due)
			timer_set(&logs_timer, LOGS_AGAIN_MS);
	}
}

void
children_send_logs(void)
{
	struct weir_list *at;

	list_each(at, &children)
		CHILD(at)->logs_due = true;
	send_due_logs();
}

static void
on_logs_timer(struct weir_timer *t)
{
	(void)t;
	send_due_logs();
}

/* However often children ask, it is done ten times a second at most. */
static void
on_ask_timer(struct weir_timer *t)
{
	(void)t;
	log_reopen((uid_t)-1, (gid_t)-1);
	children_send_logs();
}

/*
 * Certificates.  What is sent is all that has changed since the configuration was read, so who is late misses nothing.
 */

static bool
has_due_certs(const struct weir_cycle *of)
{
	struct weir_list *at;

	list_each(at, &children)
		if (CHILD(at)->certs_due && CHILD(at)->cycle == of)
			return true;
	return false;
}

static void
send_due_certs(void)
{
	struct weir_cycle	*of = weir_cycle;
	struct weir_list	*at;
	int			 fd;

	if (!has_due_certs(of))
		return;
	fd = watch_give(of->conf->watch);
	if (fd < 0)
		log_alert(weir_log, "cannot give new certificates to workers");
	list_each(at, &children) {
		struct child *c = CHILD(at);

		if (c->certs_due && c->cycle == of && fd >= 0)
			c->certs_due = c->channel.fd >= 0 && !send_one(c, CHANNEL_CERTS, 0, fd);
	}
	fd_close(&fd);
	if (has_due_certs(of))
		timer_set(&certs_timer, CERTS_AGAIN_MS);
}

void
children_send_certs(struct weir_cycle *of)
{
	struct weir_list *at;

	list_each(at, &children)
		if (CHILD(at)->cycle == of && CHILD(at)->kind == CHILD_WORKER)
			CHILD(at)->certs_due = true;
	send_due_certs();
}

static void
on_certs_timer(struct weir_timer *t)
{
	(void)t;
	send_due_certs();
}

void
children_init(const struct child_hooks *h)
{
	hooks = h;
	timer_init(&logs_timer, on_logs_timer);
	timer_init(&ask_timer, on_ask_timer);
	timer_init(&certs_timer, on_certs_timer);
	stats_use(metric_claim());
}

/*
 * What a child says.
 */

static void
hang_up(struct child *c)
{
	if (c->channel.fd < 0)
		return;
	/* A child of ours may still hold it for a moment, so closing alone does not end the watch. */
	fd_unwatch(&c->channel);
	fd_end(&c->channel);
}

static void
on_channel(struct weir_fd *f, unsigned ev)
{
	struct child		*c = WEIR_OF(f, struct child, channel);
	enum channel_kind	 kind;
	uint32_t		 arg;
	int			 rc;

	(void)ev;
	rc = channel_recv(f->fd, &kind, &arg, NULL);
	if (rc == WEIR_AGAIN)
		return;
	if (rc != WEIR_OK) {
		if (rc == WEIR_FAIL)
			log_alertx(weir_log, "%s process %d sent something that is no message",
			    kind_name(c), (int)c->pid);
		hang_up(c);	/* its end will be reported by SIGCHLD */
		return;
	}
	if (kind == CHANNEL_READY && !c->ready) {
		c->ready = true;
		hooks->on_ready(c);
	} else if (kind == CHANNEL_ASK_LOGS && ask_timer.at == 0)
		timer_set(&ask_timer, LOGS_AGAIN_MS);
}

/*
 * Beginning and end.
 */

/* In the child: nothing of the master's stays open but listeners and logs. */
static void
forget_master(void)
{
	struct weir_list *at;

	loop_done();
	sig_forget();
	list_each(at, &children)
		if (CHILD(at)->channel.fd >= 0)
			close(CHILD(at)->channel.fd);
	list_init(&children);
	log_pid_changed();
}

static void __attribute__((noreturn))
become(enum child_kind kind, struct weir_cycle *cycle, unsigned index, int place, int channel)
{
	forget_master();
	hooks->in_child(cycle);
	stats_use(place);
	weir_cycle = cycle;
	weir_log = &cycle->log;
	log_forget_others(cycle->pool);
	/* Not exit(3): what the master has registered for its own end is none of our business. */
	_exit(kind == CHILD_KEEPER ? keeper_run(cycle, channel) : worker_run(cycle, index, channel));
}

struct child *
child_start(enum child_kind kind, struct weir_cycle *cycle, unsigned index)
{
	struct child	*c;
	int		 fds[2], place;
	pid_t		 pid;

	if (channel_open(fds) != WEIR_OK) {
		log_alert(weir_log, "socketpair() for a new process failed");
		return NULL;
	}
	place = metric_claim();
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		become(kind, cycle, index, place, fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		log_alert(weir_log, "fork() failed");
		metric_give_back(place);
		close(fds[0]);
		return NULL;
	}
	c = mem_zalloc(sizeof(*c));
	c->kind = kind;
	c->index = index;
	c->pid = pid;
	c->cycle = cycle;
	c->born_ms = weir_now_ms;
	c->place = place;
	c->channel = (struct weir_fd){ .fd = fds[0], .on = on_channel };
	cycle->children++;
	list_append(&children, &c->all);
	log_at(weir_log, LOG_NOTICE_, 0, "start %s process %d", kind_name(c), (int)pid);
	if (fd_watch_level(&c->channel) != WEIR_OK)
		log_alert(weir_log, "watching the channel of process %d failed", (int)pid);
	return c;
}

const char *
exit_text(char to[64], int status)
{
	if (WIFSIGNALED(status))
		snprintf(to, 64, "exited on signal %d%s", WTERMSIG(status),
		    WCOREDUMP(status) ? " (core dumped)" : "");
	else
		snprintf(to, 64, "exited with code %d", WEXITSTATUS(status));
	return to;
}

static struct child *
find(pid_t pid)
{
	struct weir_list *at;

	list_each(at, &children)
		if (CHILD(at)->pid == pid)
			return CHILD(at);
	return NULL;
}

static void
bury(struct child *c, int status)
{
	char text[64];
	bool bad = status != 0 && !(c->ended && WIFSIGNALED(status));

	log_at(weir_log, bad ? LOG_ALERT_ : LOG_NOTICE_, 0, "%s process %d %s", kind_name(c),
	    (int)c->pid, exit_text(text, status));
	list_remove(&c->all);
	hang_up(c);
	metric_give_back(c->place);
	c->cycle->children--;
	hooks->on_exit(c, WIFSIGNALED(status) ? -1 : WEXITSTATUS(status));
	mem_free(c);
}

/* One SIGCHLD may stand for many children. */
void
children_reap(void (*other)(pid_t, int status))
{
	struct child	*c;
	pid_t		 pid;
	int		 status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if ((c = find(pid)) != NULL)
			bury(c, status);
		else
			other(pid, status);
	}
}

static void
send_signal(struct child *c, int sig)
{
	/* Not reaped yet, so the number is still its own. */
	if (kill(c->pid, sig) != 0 && errno != ESRCH)
		log_alert(weir_log, "kill(%d, %d) failed", (int)c->pid, sig);
}

void
children_signal(int sig)
{
	struct weir_list *at;

	list_each(at, &children) {
		if (sig == SIGKILL)
			CHILD(at)->ended = true;
		send_signal(CHILD(at), sig);
	}
}

void
child_retire(struct child *c)
{
	c->slot = NULL;
	send_signal(c, SIGUSR2);
}
