/*
 * dials.c - who waits for a connection that another request is making.
 */
#include <stdio.h>

#include "http/up/dials.h"

enum { FIRST_ROOM = 100 };	/* nobody knows yet how many the peer takes (RFC 9113, 6.5.2) */

static struct weir_list all = { &all, &all };	/* of this worker: those that are being made */

void
dials_begin(struct weir_dials_making *m, struct weir_group *g, const struct weir_peer *p,
    const struct weir_links_want *w)
{
	list_init(&m->waiters);
	m->group = g;
	m->addr = p->addr;
	m->want = *w;
	m->waiting = 0;
	m->on = true;
	list_push(&all, &m->node);
}

void
dials_end(struct weir_dials_making *m, enum weir_dials_end how, const char *why)
{
	if (!m->on)
		return;
	m->on = false;
	list_remove(&m->node);
	while (!list_empty(&m->waiters)) {
		struct weir_dials_wait *w = list_first(&m->waiters, struct weir_dials_wait, node);

		list_remove(&w->node);
		w->at = NULL;
		w->how = how;
		(void)snprintf(w->why, sizeof w->why, "%s", why != NULL ? why : "");
		task_post(&w->task);
	}
}

static void
on_task(struct weir_task *t)
{
	struct weir_dials_wait *w = WEIR_OF(t, struct weir_dials_wait, task);

	w->on = false;
	w->done(w);
}

bool
dials_wait(struct weir_dials_wait *w, struct weir_group *g, const struct weir_peer *p,
    const struct weir_links_want *want)
{
	unsigned limit = links_limit(g), most = WEIR_MIN(want->most, (unsigned)FIRST_ROOM);
	struct weir_list *at;

	if (limit != 0)
		most = WEIR_MIN(most, limit);
	list_each(at, &all) {
		struct weir_dials_making *m = WEIR_OF(at, struct weir_dials_making, node);

		if (m->group != g || m->want.kind != want->kind || m->want.codec != want->codec ||
		    !str_eq(m->want.preface, want->preface) || !addr_eq(&m->addr, &p->addr) || m->waiting + 1 >= most)
			continue;
		m->waiting++;
		w->at = m;
		w->on = true;
		task_init(&w->task, on_task);
		list_append(&m->waiters, &w->node);
		return true;
	}
	return false;
}

void
dials_wait_off(struct weir_dials_wait *w)
{
	if (!w->on)
		return;
	w->on = false;
	if (w->at != NULL)
		w->at->waiting--;
	w->at = NULL;
	list_remove(&w->node);
	task_off(&w->task);
}
