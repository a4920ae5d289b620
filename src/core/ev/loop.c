/*
 * loop.c - the loop on epoll, and its tasks.
 *
 * Descriptors are registered once, edge-triggered for everything, and never
 * modified: a connection costs one epoll_ctl in its life, not one for each change of mind.
 */
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/ev/loop.h"
#include "core/ev/wheel.h"

enum {
	BATCH	= 256,
	BATCHES	= 16,	/* so many full ones may go before the timers */
	TRIM_MS	= 300	/* given-back memory goes to the system so long after, and no more often */
};

void (*loop_on_turn)(void);

static int ep = -1;
static bool stopping;
static unsigned full;		/* batches in a row */
static struct weir_timer trim_timer;
static struct weir_list tasks = { &tasks, &tasks };

static void
on_trim(struct weir_timer *t)
{
	(void)t;
	mem_trim();
}

int
loop_init(void)
{
	timer_init(&trim_timer, on_trim);
	clock_update();
	wheel_init();
	list_init(&tasks);
	stopping = false;
	full = 0;
	ep = epoll_create1(EPOLL_CLOEXEC);
	return ep < 0 ? WEIR_FAIL : WEIR_OK;
}

void
loop_done(void)
{
	if (ep >= 0)
		close(ep);
	ep = -1;
}

static int
watch(struct weir_fd *f, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = f };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, f->fd, &e) != 0)
		return WEIR_FAIL;
	f->watched = true;
	return WEIR_OK;
}

int
fd_watch(struct weir_fd *f)
{
	return watch(f, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET);
}

int
fd_watch_level(struct weir_fd *f)
{
	return watch(f, EPOLLIN);
}

void
fd_unwatch(struct weir_fd *f)
{
	struct epoll_event e = { 0 };

	if (f->watched && f->fd >= 0)
		epoll_ctl(ep, EPOLL_CTL_DEL, f->fd, &e);
	f->watched = false;
	f->ready = 0;
}

void
fd_end(struct weir_fd *f)
{
	if (f->fd < 0)
		return;
	/* no one else holds these descriptors, so closing also ends the watch */
	close(f->fd);
	f->fd = -1;
	f->watched = false;
	f->ready = 0;
}

static void
notice(struct weir_fd *f, uint32_t e)
{
	unsigned ev = 0;

	if (f->fd < 0 || !f->watched)
		return;		/* ended earlier in this batch */
	if (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		ev |= EV_READ;
	if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		ev |= EV_WRITE;
	if (e & (EPOLLRDHUP | EPOLLHUP))
		ev |= EV_HUP;
	if (e & EPOLLERR)
		ev |= EV_ERR;
	else if ((e & (EPOLLRDHUP | EPOLLPRI)) == EPOLLRDHUP)
		ev |= EV_LAST;
	if (ev == 0)
		return;
	f->ready |= (uint8_t)ev;
	f->on(f, ev);
}

void
task_init(struct weir_task *t, void (*fn)(struct weir_task *))
{
	list_init(&t->node);
	t->fn = fn;
}

void
task_post(struct weir_task *t)
{
	if (list_empty(&t->node))
		list_append(&tasks, &t->node);
}

void
task_now(struct weir_task *t)
{
	list_remove(&t->node);
	t->fn(t);
}

void
task_off(struct weir_task *t)
{
	list_remove(&t->node);
}

/* Those that are posted now; what they post runs in the next turn, which does not wait. */
static void
run_tasks(void)
{
	struct weir_list now;

	if (list_empty(&tasks))
		return;
	now = tasks;
	now.next->prev = now.prev->next = &now;
	list_init(&tasks);
	while (!list_empty(&now)) {
		struct weir_task *t = list_first(&now, struct weir_task, node);

		list_remove(&t->node);
		t->fn(t);
	}
}

void
loop_turn(int max_ms)
{
	struct epoll_event ev[BATCH];
	int wait, n;

	if (mem_trim_due() && trim_timer.at == 0)
		timer_set(&trim_timer, TRIM_MS);
	wait = list_empty(&tasks) ? wheel_wait() : 0;

	if (max_ms >= 0 && (wait < 0 || wait > max_ms))
		wait = max_ms;
	n = epoll_wait(ep, ev, BATCH, wait);
	if (n < 0 && errno != EINTR)
		log_alert(weir_log, "epoll_wait() failed");
	clock_update();
	if (loop_on_turn != NULL)
		loop_on_turn();
	for (int i = 0; i < n; i++)
		notice(ev[i].data.ptr, ev[i].events);
	/*
	 * What has happened goes before what is due: after a process had to wait for a CPU, answers that are there
	 * already may not fit into one batch, and are no timeouts.
	 */
	full = n < BATCH ? 0 : full + 1;
	if (full % BATCHES == 0)
		wheel_run();
	run_tasks();
}

void
loop_run(void)
{
	while (!stopping)
		loop_turn(-1);
}

void
loop_stop(void)
{
	stopping = true;
}
