/*
 * peer.c - weighted round robin that spreads smoothly, and failures.
 *
 * At each pick every candidate gains its effective weight, the one with most is
 * chosen and pays the total back: weights 5, 1, 1 give a a b a c a a.  A
 * failure lowers the effective weight; each success lets it recover a little.
 */
#include "core/base/clock.h"
#include "core/peer/peer.h"

void
pick_init(struct weir_pick *p, struct weir_group *g, struct weir_pool *pool)
{
	memset(p, 0, sizeof *p);
	p->group = g;
	p->tried = p->few;
	if (g->n > PICK_WORDS * 64)
		p->tried = pool_zalloc(pool, (g->n + 63) / 64 * sizeof *p->tried);
}

static bool
was_tried(const struct weir_pick *p, unsigned i)
{
	return p->tried[i / 64] >> (i % 64) & 1;
}

static bool
usable(const struct weir_group *g, const struct weir_peer *p)
{
	if (p->down)
		return false;
	if (p->max_conns != 0 && p->conns >= p->max_conns)
		return false;
	if (g->n == 1)		/* nobody else to ask: better to try than to give up */
		return true;
	return p->max_fails == 0 || p->fails < p->max_fails ||
	    weir_now_ms - p->checked_ms > p->fail_timeout_ms;
}

static struct weir_peer *
best_of(struct weir_pick *p, unsigned from, unsigned to)
{
	struct weir_peer *best = NULL;
	int total = 0;

	for (unsigned i = from; i < to; i++) {
		struct weir_peer *q = &p->group->peers[i];

		if (was_tried(p, i) || !usable(p->group, q))
			continue;
		q->current += q->effective;
		total += q->effective;
		if (q->effective < (int)q->weight)
			q->effective++;
		if (best == NULL || q->current > best->current)
			best = q;
	}
	if (best == NULL)
		return NULL;
	best->current -= total;
	if (weir_now_ms - best->checked_ms > best->fail_timeout_ms)
		best->checked_ms = weir_now_ms;
	return best;
}

struct weir_peer *
pick_next(struct weir_pick *p)
{
	struct weir_group *g = p->group;
	unsigned mains = g->n - g->n_backup;
	struct weir_peer *q;

	if (g->n == 1 && !was_tried(p, 0) && usable(g, &g->peers[0]))
		q = &g->peers[0];
	else if ((q = best_of(p, 0, mains)) == NULL)
		q = best_of(p, mains, g->n);
	if (q == NULL) {
		for (unsigned i = 0; i < g->n; i++)
			g->peers[i].fails = 0;
		return NULL;
	}
	p->tried[q->number / 64] |= 1ull << (q->number % 64);
	q->conns++;
	p->peer = q;
	return q;
}

void
peer_hold(struct weir_peer *p)
{
	p->conns++;
}

void
peer_let_go(struct weir_peer *p)
{
	p->conns--;
}

unsigned
pick_most(const struct weir_pick *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->group->n; i++)
		n += !p->group->peers[i].down;
	return n;
}

void
pick_done(struct weir_pick *p, enum weir_outcome how)
{
	struct weir_peer *q = p->peer;

	if (q == NULL)
		return;
	p->peer = NULL;
	q->conns--;
	if (how == WENT_BADLY) {
		q->fails++;
		q->failed_ms = q->checked_ms = weir_now_ms;
		if (q->max_fails != 0) {
			q->effective -= (int)(q->weight / q->max_fails);
			if (q->fails == q->max_fails && p->group->n > 1)
				log_warnx(weir_log, "upstream server %.*s of %.*s is temporarily disabled",
				    STR_ARG(q->text), STR_ARG(p->group->name));
		}
		if (q->effective < 0)
			q->effective = 0;
	} else if (how == WENT_WELL && q->failed_ms < q->checked_ms) {
		q->fails = 0;
	}
}
