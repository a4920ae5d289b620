/*
 * pick.c - a session picks a peer, and tells how it went.
 *
 * The tiers of a group are asked one after the other; in each, first whom the session wants, if anybody,
 * then the balancer.
 */
#include <limits.h>

#include "core/base/clock.h"
#include "core/peer/breaker.h"
#include "core/peer/resolve.h"
#include "core/peer/scan.h"
#include "core/peer/share.h"

enum { WHY_MOST = 8 };

void
pick_init(struct weir_pick *p, struct weir_group *g, struct weir_pool *pool, struct weir_sess *s)
{
	memset(p, 0, sizeof *p);
	p->group = g;
	p->s = s;
	p->want = -1;
	p->tier = UINT_MAX;
	p->tried = p->few;
	if (g->moves)
		resolve_keep_up(g, false);
	if (g->n > PICK_WORDS * 64)
		p->tried = pool_zalloc(pool, (g->n + 63) / 64 * sizeof *p->tried);
}

void
pick_again(struct weir_pick *p)
{
	memset(p->tried, 0, (p->group->n + 63) / 64 * sizeof *p->tried);
	p->n_tried = 0;
	p->tier = UINT_MAX;
}

static bool
was_tried(const struct weir_pick *p, unsigned i)
{
	return p->tried[i / 64] >> (i % 64) & 1;
}

bool
pick_cannot(const struct weir_pick *p, unsigned i)
{
	return block_state(p->group->block, i)->out != 0 || was_tried(p, i);
}

/* For a scan: those that were tried are out, and are not any more. */
static void
hide_tried(struct weir_pick *p, const struct weir_tier *t, bool hide)
{
	struct weir_group *g = p->group;

	for (unsigned w = t->first / 64; w <= (t->first + t->n - 1) / 64; w++)
		for (uint64_t bits = p->tried[w]; bits != 0; bits &= bits - 1) {
			unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);

			if (i < t->first || i >= t->first + t->n || block_state(g->block, i)->out != 0)
				continue;
			if (hide)
				block_hide(g->block, i);
			else
				block_show(g, i);
		}
}

/*
 * Every candidate gains its effective weight, the one with most is chosen and pays the sum back: weights
 * 5, 1, 1 give a a b a c a a.
 */
static int
round_all(struct weir_block *b, const struct weir_tier *t)
{
	int32_t *current = block_current(b) + t->first, total, most;
	unsigned at;

	most = scan_add(current, block_effective(b) + t->first, t->n, &total);
	if (most <= OUT_CURRENT)
		return -1;
	at = scan_find(current, t->n, most);
	current[at] -= total;
	return (int)(t->first + at);
}

static int
round_ranked(struct weir_block *b, const struct weir_tier *t)
{
	int32_t *current = block_current(b) + t->first, *rank = block_rank(b) + t->first;
	int32_t total, most, least = scan_min(rank, t->n);
	unsigned at, from;

	if (least == OUT_RANK)
		return -1;
	from = scan_find(rank, t->n, least);
	if (scan_find(rank + from + 1, t->n - from - 1, least) == t->n - from - 1)
		return (int)(t->first + from);		/* alone: nobody's turn changes */
	most = scan_add_ranked(current + from, block_effective(b) + t->first + from, rank + from, t->n - from,
	    least, &total);
	at = from + scan_find_ranked(current + from, rank + from, t->n - from, least, most);
	current[at] -= total;
	return (int)(t->first + at);
}

int
pick_round(struct weir_pick *p, const struct weir_tier *t, bool ranked)
{
	struct weir_block *b = p->group->block;
	int i;

	if (p->n_tried != 0)
		hide_tried(p, t, true);
	i = ranked ? round_ranked(b, t) : round_all(b, t);
	if (p->n_tried != 0)
		hide_tried(p, t, false);
	return i;
}

/*
 * Who is wanted takes the turn that it would have got, so that the others get theirs; but not so many in
 * advance that it would get none for long afterwards.
 */
static void
count_wanted(struct weir_block *b, const struct weir_tier *t, unsigned i)
{
	int32_t *current = block_current(b) + t->first, total;

	if (block_state(b, i)->out != 0 ||
	    block_current(b)[i] <= -(int32_t)((t->total - block_state(b, i)->weight) * b->scale))
		return;
	scan_add(current, block_effective(b) + t->first, t->n, &total);
	block_current(b)[i] -= total;
}

static bool
may_stick(const struct weir_state *st)
{
	return st->out == 0 || (st->out == OUT_DRAIN && weir_now_ms < st->drain_until_ms);
}

/* Of those whom the session wants, the first in this tier that can. */
static int
wanted(const struct weir_pick *p, const struct weir_tier *t)
{
	const struct weir_group *g = p->group;

	for (int i = p->want; i >= 0; i = (int)g->peers[i].alike - 1)
		if ((unsigned)i >= t->first && (unsigned)i < t->first + t->n && !was_tried(p, (unsigned)i) &&
		    may_stick(block_state(g->block, (unsigned)i)))
			return i;
	return -1;
}

static int
choose(struct weir_pick *p)
{
	const struct weir_group *g = p->group;

	for (const struct weir_tier *t = g->tiers; t < g->tiers + g->n_tiers; t++) {
		int i;

		if (t->n == 0)
			continue;
		i = wanted(p, t);
		if (i >= 0) {
			if (g->balancer == &lb_round_robin)
				count_wanted(g->block, t, (unsigned)i);
			return i;
		}
		i = g->balancer->choose(p, t);
		if (i >= 0)
			return i;
	}
	return -1;
}

static void
begin_inflight(struct weir_pick *p, unsigned i)
{
	struct weir_block *b = p->group->block;
	struct weir_state *st = block_state(b, i);

	if (!p->group->inflight)
		return;
	if (st->inflight > 0 && weir_now_ms > st->inflight_at_ms)
		st->inflight_sum_ms += (weir_now_ms - st->inflight_at_ms) * st->inflight;
	st->inflight_at_ms = weir_now_ms;
	st->inflight++;
	b->inflight++;
	p->inflight = true;
}

struct weir_peer *
pick_next(struct weir_pick *p)
{
	struct weir_group *g = p->group;
	struct weir_circuit_news news;
	int i, slot;

	if (!p->keyed && g->balancer->key != NULL)
		g->balancer->key(p);
	p->keyed = true;
	p->header_ms = p->response_ms = PICK_NO_TIME;
	slot = share_slot(g);
	share_look(g);
	share_lock(g);
	if (g->moves)
		resolve_keep_up(g, true);
	block_refresh(g);
	if (g->breaker != NULL)
		breaker_before(g, slot, &news);
	i = choose(p);
	if (i >= 0) {
		begin_inflight(p, (unsigned)i);
		block_state(g->block, (unsigned)i)->requests++;
		block_taken(g, (unsigned)i, slot);
		share_tell_heirs(g, (unsigned)i, 1);
		if (p->budget && p->n_tried == 0)
			budget_asked(g);
	}
	if (g->breaker != NULL)
		breaker_chosen(p, i, slot, &news);
	share_unlock(g);
	if (g->breaker != NULL)
		breaker_tell(g, &news, p);
	if (i < 0)
		return NULL;
	p->tried[i / 64] |= 1ull << (i % 64);
	p->n_tried++;
	return p->peer = &g->peers[i];
}

void
pick_beside(struct weir_pick *to, const struct weir_pick *from, struct weir_pool *pool)
{
	size_t words = (from->group->n + 63) / 64;

	*to = *from;
	to->peer = NULL;
	to->inflight = false;
	memset(&to->circuit, 0, sizeof to->circuit);
	to->tried = from->tried == from->few ? to->few : pool_dup(pool, from->tried, words * sizeof *from->tried);
}

void
pick_join(struct weir_pick *p, const struct weir_pick *over)
{
	unsigned n = 0;

	for (unsigned w = 0; w < (p->group->n + 63) / 64; w++) {
		p->tried[w] |= over->tried[w];
		n += (unsigned)__builtin_popcountll(p->tried[w]);
	}
	p->n_tried = n;
}

void
pick_swap(struct weir_pick *p, struct weir_peer *to)
{
	struct weir_group *g = p->group;
	unsigned i;
	int slot;

	if (p->peer != NULL) {
		i = p->peer->number;
		pick_done(p, WENT_NOWHERE);
		p->tried[i / 64] &= ~(1ull << (i % 64));
		p->n_tried--;
	}
	i = to->number;
	slot = share_slot(g);
	p->header_ms = p->response_ms = PICK_NO_TIME;
	share_lock(g);
	begin_inflight(p, i);
	block_taken(g, i, slot);
	share_tell_heirs(g, i, 1);
	share_unlock(g);
	p->tried[i / 64] |= 1ull << (i % 64);
	p->n_tried++;
	p->peer = to;
}

void
peer_hold(struct weir_peer *p)
{
	int slot = share_slot(p->group);

	share_lock(p->group);
	block_taken(p->group, p->number, slot);
	share_tell_heirs(p->group, p->number, 1);
	share_unlock(p->group);
}

void
peer_let_go(struct weir_peer *p)
{
	int slot = share_slot(p->group);

	share_lock(p->group);
	block_freed(p->group, p->number, slot);
	share_tell_heirs(p->group, p->number, -1);
	share_unlock(p->group);
	if (p->group->on_free != NULL)
		p->group->on_free(p->group);
}

unsigned
pick_most(const struct weir_pick *p)
{
	unsigned n = 0;

	for (const struct weir_tier *t = p->group->tiers; t < p->group->tiers + p->group->n_tiers; t++)
		for (unsigned i = t->first; i < t->first + t->n; i++)
			n += !(block_state(p->group->block, i)->out & (OUT_DOWN | OUT_DRAIN | OUT_VACANT));
	return n;
}

static const struct { unsigned bit; const char *text; } reasons[] = {
	{ OUT_DOWN, "is down" }, { OUT_DRAIN, "drains" }, { OUT_FAILED, "has failed" },
	{ OUT_UNHEALTHY, "is unhealthy" }, { OUT_FULL, "has max_conns connections" },
};

static const char *
reason(const struct weir_pick *p, unsigned i)
{
	const struct weir_state *st = block_state(p->group->block, i);

	if (was_tried(p, i))
		return "was tried";
	if (st->out & OUT_OPEN)
		return breaker_why(p->group->block, i);
	if ((st->out & (OUT_DOWN | OUT_DRAIN | OUT_UNHEALTHY)) == OUT_UNHEALTHY && st->health.failing == 0)
		return "was not checked yet";
	for (unsigned k = 0; k < WEIR_COUNT(reasons); k++)
		if (st->out & reasons[k].bit)
			return reasons[k].text;
	return "is free again";
}

struct weir_str
pick_why(struct weir_pick *p, struct weir_pool *pool)
{
	struct weir_group *g = p->group;
	struct weir_str all = STR_NONE;
	unsigned told = 0, more = 0;

	for (unsigned i = 0; i < g->n; i++) {
		if (block_state(g->block, i)->out & OUT_VACANT)
			continue;
		if (told == WHY_MOST) {
			more++;
			continue;
		}
		all = pool_printf(pool, "%.*s%s%.*s %s", STR_ARG(all), told++ != 0 ? ", " : "",
		    STR_ARG(g->peers[i].text), reason(p, i));
	}
	if (told == 0)
		return g->resolves != NULL ? STR("no name has an address") : STR("there are no servers");
	return more != 0 ? pool_printf(pool, "%.*s, and %u more", STR_ARG(all), more) : all;
}

bool
pick_is_gone(const struct weir_pick *p)
{
	const struct weir_state *st;

	if (p->peer == NULL)
		return false;
	st = block_state(p->group->block, p->peer->number);
	return (st->out & (OUT_DOWN | OUT_VACANT)) || ((st->out & OUT_UNHEALTHY) && st->health.failing != 0);
}

/* ---- how it went ---- */

/* An average in which the last twenty count most. */
static void
average(uint32_t *avg, uint64_t ms)
{
	ms = WEIR_MIN(ms, 3600000);
	*avg = *avg == 0 ? (uint32_t)ms : (uint32_t)(0.5 + (double)ms * 0.05 + (double)*avg * 0.95);
}

static void
end_inflight(struct weir_pick *p, struct weir_state *st, uint64_t ms)
{
	struct weir_block *b = p->group->block;

	if (!p->inflight)
		return;
	p->inflight = false;
	if (b->inflight != 0)
		b->inflight--;
	if (st->inflight <= 1) {
		st->inflight = 0;
		st->inflight_sum_ms = 0;
		return;
	}
	if (weir_now_ms > st->inflight_at_ms)
		st->inflight_sum_ms += (weir_now_ms - st->inflight_at_ms) * st->inflight;
	st->inflight_sum_ms -= WEIR_MIN(ms, st->inflight_sum_ms);
	st->inflight_at_ms = weir_now_ms;
	st->inflight--;
}

void
pick_heard(struct weir_pick *p, uint64_t ms)
{
	struct weir_group *g = p->group;

	p->header_ms = ms;
	if (!p->inflight || g->balancer != &lb_header)
		return;
	share_lock(g);
	average(&block_state(g->block, p->peer->number)->header_ms, ms);
	end_inflight(p, block_state(g->block, p->peer->number), ms);
	block_rerank(g, p->peer->number);
	share_unlock(g);
}

static void
learn_times(struct weir_pick *p, struct weir_state *st, enum weir_outcome how)
{
	struct weir_group *g = p->group;

	end_inflight(p, st, p->response_ms == PICK_NO_TIME ? 0 : p->response_ms);
	if (how != WENT_WELL || p->header_ms == PICK_NO_TIME || p->response_ms == PICK_NO_TIME)
		return;
	average(&st->response_ms, p->response_ms);
	if (!g->inflight || g->balancer != &lb_header)
		average(&st->header_ms, p->header_ms);
}

void
pick_done(struct weir_pick *p, enum weir_outcome how)
{
	struct weir_peer *q = p->peer;
	struct weir_group *g = p->group;
	struct weir_circuit_news news;
	struct weir_state *st;
	bool disabled;
	int slot;

	if (q == NULL)
		return;
	p->peer = NULL;
	slot = share_slot(g);
	share_lock(g);
	st = block_state(g->block, q->number);
	if (g->balancer->times)
		learn_times(p, st, how);
	if (how == WENT_BADLY)
		block_failed(g, q->number);
	else if (how != WENT_NOWHERE)
		block_well(g, q->number);
	if (g->breaker != NULL)
		breaker_ended(p, q->number, how, slot, &news);
	disabled = how == WENT_BADLY && st->max_fails != 0 && st->fails == st->max_fails;
	block_freed(g, q->number, slot);
	share_tell_heirs(g, q->number, -1);
	share_unlock(g);
	if (disabled)
		log_warnx(weir_log, "upstream server %.*s of %.*s is temporarily disabled",
		    STR_ARG(q->text), STR_ARG(g->name));
	if (g->breaker != NULL)
		breaker_tell(g, &news, p);
	if (g->on_free != NULL)
		g->on_free(g);
}

void
pick_well(struct weir_pick *p)
{
	struct weir_group *g = p->group;

	share_lock(g);
	block_well(g, p->peer->number);
	share_unlock(g);
}
