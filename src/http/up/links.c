/*
 * links.c - connections to upstreams, kept for the next request.
 *
 * Each peer has a stack of idle links, each group a list of all of its idle links in
 * order of return, whose oldest gives way when there are too many.  One timer serves a group: it
 * looks at the oldest.  Links that carry many exchanges are in a second list while they have some.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/proc/cycle.h"
#include "http/up/links.h"

struct weir_links {			/* of a group; peers point at it */
	struct weir_list idle;		/* newest first */
	struct weir_list busy;		/* of codecs with many, newest first */
	unsigned	 n;
	unsigned	 limit;		/* what a peer said last about its links */
	struct weir_group *group;
	struct weir_timer timer;
	struct weir_list all;		/* of all groups of this worker */
};

static struct weir_list all = { &all, &all };
static unsigned n_idle;

static void
end(struct weir_link *l)
{
	struct weir_links *ls = l->keeper;

	if (ls != NULL) {
		n_idle--;
		if (--ls->n == 0)	/* nothing is left to look at: do not wake for it */
			timer_off(&ls->timer);
	}
	l->keeper = NULL;
	l->codec->end(l);
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_links *ls = WEIR_OF(t, struct weir_links, timer);
	uint64_t limit = ls->group->keepalive_ms;

	while (!list_empty(&ls->idle)) {
		struct weir_link *l = list_last(&ls->idle, struct weir_link, node);
		uint64_t age = weir_now_ms - l->idle_since_ms;

		if (age < limit) {
			timer_set(&ls->timer, limit - age);
			return;
		}
		end(l);
	}
}

static struct weir_links *
links_of(struct weir_group *g)
{
	struct weir_links *ls = g->peers[0].links;

	if (ls != NULL)
		return ls;
	ls = mem_zalloc(sizeof *ls);
	list_init(&ls->idle);
	list_init(&ls->busy);
	ls->group = g;
	timer_init(&ls->timer, on_timer);
	list_append(&all, &ls->all);
	for (unsigned i = 0; i < g->n; i++)
		g->peers[i].links = ls;
	return ls;
}

/* An idle link said something, or was closed by the other side. */
static void
on_idle_state(struct weir_link *l)
{
	if (l->state == LINK_DEAD)
		end(l);
}

/* May it serve one more request to this peer? */
static bool
is_fit(const struct weir_link *l, const struct weir_group *g, const struct weir_peer *p,
    const struct weir_links_want *w)
{
	if (l->kind != w->kind || l->codec != w->codec || (g->n > 1 && !addr_eq(&l->conn->peer, &p->addr)))
		return false;
	if (l->conn->began_ms < w->fresh_ms || !conn_preface_is(l->conn, w->preface))
		return false;
	return !w->codec->many || (l->room != 0 && l->open < w->most);
}

/* Has it served as much, or lived as long, as the group lets it? */
static bool
is_worn(const struct weir_link *l, const struct weir_group *g)
{
	return l->requests >= g->keepalive_requests || weir_now_ms - l->conn->began_ms > g->keepalive_time_ms;
}

static struct weir_link *
take_shared(struct weir_links *ls, struct weir_group *g, struct weir_peer *p, const struct weir_links_want *w)
{
	struct weir_list *at;

	list_each(at, &ls->busy) {
		struct weir_link *l = WEIR_OF(at, struct weir_link, node);

		if (is_fit(l, g, p, w) && !is_worn(l, g))
			return l;
	}
	return NULL;
}

struct weir_link *
links_take(struct weir_group *g, struct weir_peer *p, const struct weir_links_want *w)
{
	struct weir_links *ls = p->links;
	struct weir_list *at;
	struct weir_link *l;

	if (ls == NULL)
		return NULL;
	if (w->codec->many && (l = take_shared(ls, g, p, w)) != NULL)
		return l;
	list_each(at, &ls->idle) {
		l = WEIR_OF(at, struct weir_link, node);
		if (!is_fit(l, g, p, w))
			continue;
		list_remove(&l->node);
		l->keeper = NULL;
		l->on_state = NULL;
		ls->n--;
		n_idle--;
		if (w->codec->many)
			list_push(&ls->busy, &l->node);
		return l;
	}
	return NULL;
}

unsigned
links_limit(const struct weir_group *g)
{
	return g->peers[0].links != NULL ? g->peers[0].links->limit : 0;
}

void
links_share(struct weir_link *l, struct weir_group *g)
{
	if (g->brief || g->keepalive == 0 || weir_retiring)
		return;
	l->limit = links_limit(g);
	list_push(&links_of(g)->busy, &l->node);
}

void
links_return(struct weir_link *l, struct weir_group *g, struct weir_peer *p, bool keep)
{
	struct weir_links *ls;

	(void)p;
	if (l->limit != 0 && g->peers[0].links != NULL)
		g->peers[0].links->limit = l->limit;
	if (l->open != 0)
		return;
	if (l->state != LINK_IDLE || !keep || weir_retiring || g->keepalive == 0 || is_worn(l, g)) {
		l->keeper = NULL;
		l->codec->end(l);
		return;
	}
	ls = links_of(g);
	l->keeper = ls;
	l->on_state = on_idle_state;
	list_remove(&l->node);		/* of those in use */
	list_push(&ls->idle, &l->node);
	ls->n++;
	n_idle++;
	if (ls->timer.at == 0)
		timer_set(&ls->timer, g->keepalive_ms);
	if (ls->n > g->keepalive)
		end(list_last(&ls->idle, struct weir_link, node));
}

unsigned
links_idle(void)
{
	return n_idle;
}

void
links_end_all(void)
{
	struct weir_list *at;

	list_each(at, &all) {
		struct weir_links *ls = WEIR_OF(at, struct weir_links, all);

		while (!list_empty(&ls->idle))
			end(list_first(&ls->idle, struct weir_link, node));
		timer_off(&ls->timer);
	}
}
