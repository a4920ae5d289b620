/*
 * accept.c - new connections, in a worker.
 *
 * Listeners are watched level-triggered, so what is not taken in this turn is told again.
 * Accepting pauses when the worker has as many connections as it may, and when the
 * system has no descriptors left; it goes on when one was given back or after PAUSE_MS.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/conn_new.h"

enum { BATCH = 64, PAUSE_MS = 500, COMPLAIN_MS = 60000 };

struct acceptor {
	struct weir_fd	 ev;
	struct weir_listen *from;
};

static struct acceptor *acceptors;
static unsigned n_acceptors, most, alive, batch;
static bool paused, stopped;
static struct weir_list all = { &all, &all };
static struct weir_timer pause_timer;
static uint64_t complained_ms;
static struct weir_accept_stats own_stats;

struct weir_accept_stats *accept_stats = &own_stats;
void (*accept_on_empty)(void);

static void
watch_all(bool on)
{
	for (unsigned i = 0; i < n_acceptors; i++) {
		if (!on)
			fd_unwatch(&acceptors[i].ev);
		else if (!acceptors[i].ev.watched && fd_watch_level(&acceptors[i].ev) != WEIR_OK)
			log_alert(weir_log, "watching %s failed", acceptors[i].from->text);
	}
}

static void
on_pause_over(struct weir_timer *t)
{
	(void)t;
	if (paused && !stopped && alive < most) {
		paused = false;
		watch_all(true);
	}
}

/* ---- why nobody is let in ---- */

enum { FULL, REFUSED };

static const char *const reasons[] = { "worker_connections", "system", NULL };
static struct weir_metric pauses;

const struct weir_metric_row accept_rows[] = {
	{ "accept_pauses_total", METRIC_COUNTER, "How often a worker let nobody in for a while: it had as many connections "
	  "as worker_connections allows, or the system refused it more.",
	  .labels = { { "reason", reasons } }, .at = &pauses },
	{ .name = NULL }
};

static void
pause_accepting(const char *why, int err)
{
	if (complained_ms == 0 || weir_now_ms - complained_ms >= COMPLAIN_MS) {
		complained_ms = weir_now_ms;
		errno = err;
		if (err != 0)
			log_crit(weir_log, "accept4() failed, accepting pauses");
		else
			log_alertx(weir_log, "%s", why);
	}
	metric_add(&pauses, err != 0 ? REFUSED : FULL, 1);
	paused = true;
	watch_all(false);
	if (err != 0)
		timer_set(&pause_timer, PAUSE_MS);
}

bool
conn_room(void)
{
	return alive < most && !mem_low();
}

void
conn_came(struct weir_conn *c)
{
	accept_stats->handled++;
	accept_stats->active++;
	list_append(&all, &c->all);
	alive++;
}

static void
take_over(struct acceptor *a, int fd, const union weir_sockaddr *sa, socklen_t n)
{
	struct weir_conn *c;

	accept_stats->accepted++;
	if (mem_low() || (c = conn_new(fd)) == NULL) {
		close(fd);
		return;
	}
	addr_from_kernel(&c->peer, sa, n, NULL);
	c->from = a->from;
	c->tcp.ev.ready = EV_WRITE;
	c->tcp.tcp = c->peer.sa.sa_family != AF_UNIX;
	conn_came(c);
	a->from->on_conn(c);
}

static void
on_listen(struct weir_fd *ev, unsigned what)
{
	struct acceptor *a = WEIR_OF(ev, struct acceptor, ev);

	(void)what;
	for (unsigned i = 0; i < batch; i++) {
		union weir_sockaddr sa;
		socklen_t n = sizeof sa;
		int fd;

		if (alive >= most) {
			pause_accepting("worker_connections are not enough", 0);
			return;
		}
		fd = accept4(ev->fd, &sa.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == ECONNABORTED || errno == EINTR)
				continue;
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				pause_accepting(NULL, errno);
			else if (errno != EAGAIN)
				log_alert(weir_log, "accept4() on %s failed", a->from->text);
			return;
		}
		take_over(a, fd, &sa, n);
		if (stopped)
			return;
	}
}

void
conn_left(struct weir_conn *c)
{
	list_remove(&c->all);
	alive--;
	accept_stats->active--;
	if (paused && !stopped && alive < most && pause_timer.at == 0) {
		paused = false;
		watch_all(true);
	}
	if (alive == 0 && accept_on_empty != NULL)
		accept_on_empty();
}

static unsigned
count_mine(struct weir_listeners *ls, unsigned worker, unsigned workers, bool fill)
{
	unsigned n = 0;

	for (struct weir_listen *l = ls->first; l != NULL; l = l->next) {
		bool shared = l->n_fds == 1;

		if (l->type != SOCK_STREAM)
			continue;
		for (unsigned i = shared ? 0 : worker; i < l->n_fds; i += workers) {
			if (fill) {
				acceptors[n].ev = (struct weir_fd){ .fd = l->fds[i], .on = on_listen };
				acceptors[n].from = l;
			}
			n++;
			if (shared)
				break;
		}
	}
	return n;
}

int
accept_start(struct weir_listeners *ls, unsigned worker, unsigned workers, unsigned max_conns,
    bool multi)
{
	most = max_conns;
	batch = multi ? BATCH : 1;
	stopped = paused = false;
	timer_init(&pause_timer, on_pause_over);
	n_acceptors = count_mine(ls, worker, workers, false);
	acceptors = mem_zalloc((n_acceptors + 1) * sizeof *acceptors);
	count_mine(ls, worker, workers, true);
	for (unsigned i = 0; i < n_acceptors; i++)
		if (fd_watch_level(&acceptors[i].ev) != WEIR_OK) {
			log_alert(weir_log, "watching %s failed", acceptors[i].from->text);
			return WEIR_FAIL;
		}
	return WEIR_OK;
}

void
accept_stop(void)
{
	stopped = true;
	timer_off(&pause_timer);
	watch_all(false);
}

void
accept_drain(enum weir_drain how)
{
	struct weir_list *at, *next;

	list_each_safe(at, next, &all) {
		struct weir_conn *c = WEIR_OF(at, struct weir_conn, all);

		if (c->on_drain != NULL)
			c->on_drain(c, how);
	}
}

unsigned
accept_count(void)
{
	return alive;
}
