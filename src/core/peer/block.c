/*
 * block.c - the state of a group's peers: connections, failures, who is in service.
 *
 *	in service -- max_fails failures --> OUT_FAILED -- fail_timeout --> in service, for one try
 *	     ^                                                                   |       |
 *	     +------------------------------- it went well ---------------------+       it failed: out again
 */
#include "core/base/clock.h"
#include "core/peer/breaker.h"

/* ---- time ---- */

/* Processes' clocks may differ by a turn of their loops. */
static uint64_t
since(uint64_t ms)
{
	return weir_now_ms > ms ? weir_now_ms - ms : 0;
}

static unsigned
warmth(const struct weir_state *st)
{
	uint64_t ms = since(st->warm_from_ms);

	if (st->warm_from_ms == 0 || ms >= st->warm_ms)
		return 100;
	return st->warm_min + (unsigned)((100 - st->warm_min) * ms / st->warm_ms);
}

int32_t
block_share(const struct weir_block *b, const struct weir_state *st)
{
	int32_t v = st->effective;

	if (b->scale == 1 || v == 0)
		return v;
	return WEIR_MAX(v * (int32_t)warmth(st), 1);
}

/* ---- in and out of service ---- */

void
block_hide(struct weir_block *b, unsigned i)
{
	struct weir_state *st = block_state(b, i);

	st->current = block_current(b)[i];
	block_current(b)[i] = OUT_CURRENT;
	block_effective(b)[i] = 0;
	block_rank(b)[i] = OUT_RANK;
}

/* Floats that are not negative are in the order of their bits. */
static int32_t
rank_of(const struct weir_group *g, unsigned i)
{
	float f = g->balancer->rank == NULL ? 0 : (float)g->balancer->rank(g, i);
	int32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return bits;
}

void
block_rerank(struct weir_group *g, unsigned i)
{
	if (g->balancer->rank != NULL && block_state(g->block, i)->out == 0)
		block_rank(g->block)[i] = rank_of(g, i);
}

void
block_show(struct weir_group *g, unsigned i)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	block_current(b)[i] = st->current;
	block_effective(b)[i] = block_share(b, st);
	block_rank(b)[i] = rank_of(g, i);
}

static bool
is_weak(const struct weir_state *st)
{
	return st->out == 0 && st->effective < (int32_t)st->weight;
}

void
block_out(struct weir_group *g, unsigned i, unsigned bit)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	if (st->out & bit)
		return;
	b->weak -= is_weak(st);
	if (st->out == 0)
		block_hide(b, i);
	st->out |= (uint8_t)bit;
	b->failed += bit == OUT_FAILED;
}

void
block_in(struct weir_group *g, unsigned i, unsigned bit)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	if (!(st->out & bit))
		return;
	st->out &= (uint8_t)~bit;
	if (bit == OUT_VACANT)
		b->circuits_ms = 0;	/* the same server may be back, with its circuit */
	b->failed -= bit == OUT_FAILED;
	b->weak += is_weak(st);
	if (st->out == 0)
		block_show(g, i);
}

static bool
has_failed(const struct weir_state *st)
{
	return !st->alone && st->max_fails != 0 && st->fails >= st->max_fails;
}

/* Out until its fail_timeout is over. */
static void
leave_alone(struct weir_group *g, unsigned i)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);
	uint64_t at = st->checked_ms + st->fail_timeout_ms + 1;

	if (b->failed == 0 || at < b->wake_ms)
		b->wake_ms = at;
	block_out(g, i, OUT_FAILED);
}

void
block_keep_out(struct weir_group *g)
{
	struct weir_block *b = g->block;

	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		if (has_failed(st) && since(st->checked_ms) <= st->fail_timeout_ms)
			leave_alone(g, i);
	}
}

/* ---- changes ---- */

static void
begin_warming(struct weir_block *b, struct weir_state *st)
{
	if (st->warm_ms == 0)
		return;
	b->warming += st->warm_from_ms == 0;
	st->warm_from_ms = WEIR_MAX(weir_now_ms, 1);
}

void
block_warm(struct weir_group *g, unsigned i)
{
	begin_warming(g->block, block_state(g->block, i));
}

void
block_drain(struct weir_group *g, unsigned i)
{
	struct weir_state *st = block_state(g->block, i);

	if (st->out & OUT_DRAIN)
		return;
	block_out(g, i, OUT_DRAIN);
	st->drain_until_ms = block_drain_until(g);
}

void
block_reweight(struct weir_group *g, unsigned i, unsigned weight)
{
	struct weir_state *st = block_state(g->block, i);

	if (st->weight == weight)
		return;
	g->block->weak -= is_weak(st);
	st->weight = weight;
	st->effective = (int32_t)weight;
	g->block->stale |= STALE_RANKS;
}

void
block_renew(struct weir_group *g, unsigned i)
{
	struct weir_state *st = block_state(g->block, i);

	g->block->weak -= is_weak(st);
	st->effective = (int32_t)st->weight;
	st->fails = 0;
	st->failed_ms = st->checked_ms = 0;
	st->header_ms = st->response_ms = st->inflight_ms = 0;
	st->current = 0;
	block_in(g, i, OUT_FAILED);
	health_renew(g, i);
	breaker_forget(g->block, i);
	begin_warming(g->block, st);
}

/* ---- before a choice ---- */

void
block_recount(struct weir_block *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		st->conns = st->inherited;
		for (unsigned s = 0; s < b->n_slots; s++)
			st->conns += block_held(b, s)[i];
	}
	breaker_recount(b);
}

static void
forget_sums(struct weir_block *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		st->current = 0;
		if (st->out == 0)
			block_current(b)[i] = 0;
	}
}

static void
rerank_all(struct weir_group *g)
{
	struct weir_block *b = g->block;

	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		if (st->max_conns != 0 && st->conns >= st->max_conns)
			block_out(g, i, OUT_FULL);
		else
			block_in(g, i, OUT_FULL);
		block_rerank(g, i);
	}
	b->ranked_ms = weir_now_ms;
}

static void
wake(struct weir_group *g)
{
	struct weir_block *b = g->block;

	b->wake_ms = UINT64_MAX;
	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		if (!(st->out & OUT_FAILED))
			continue;
		if (since(st->checked_ms) > st->fail_timeout_ms)
			block_in(g, i, OUT_FAILED);
		else
			b->wake_ms = WEIR_MIN(b->wake_ms, st->checked_ms + st->fail_timeout_ms + 1);
	}
}

static void
warm(struct weir_group *g)
{
	struct weir_block *b = g->block;

	b->warmed_ms = weir_now_ms;
	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		if (st->warm_from_ms == 0)
			continue;
		if (warmth(st) == 100) {
			st->warm_from_ms = 0;
			b->warming--;
		}
		if (st->out == 0)
			block_effective(b)[i] = block_share(b, st);
		block_rerank(g, i);
	}
}

/* With each choice those who failed get a part of their weight back. */
static void
recover(struct weir_block *b)
{
	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		if (!is_weak(st))
			continue;
		block_effective(b)[i] = block_share(b, st);	/* what it is now goes into this choice */
		if (++st->effective == (int32_t)st->weight)
			b->weak--;
	}
	if (b->weak == 0)
		b->stale |= STALE_RANKS;
}

/* How often ranks that depend on time are made anew. */
static bool
is_ranking_old(const struct weir_group *g)
{
	return g->balancer->timely && since(g->block->ranked_ms) >= (g->block->inflight != 0 ? 5 : 500);
}

static void
reshare(struct weir_block *b)
{
	for (unsigned i = 0; i < b->n; i++)
		if (block_state(b, i)->out == 0)
			block_effective(b)[i] = block_share(b, block_state(b, i));
}

void
block_refresh(struct weir_group *g)
{
	struct weir_block *b = g->block;

	if (unlikely(b->stale & STALE_COUNTS))
		block_recount(b);
	if (unlikely(b->stale & STALE_SUMS))
		forget_sums(b);
	if (unlikely(b->stale != 0)) {
		b->stale = 0;
		reshare(b);
		rerank_all(g);
	} else if (is_ranking_old(g)) {
		rerank_all(g);
	}
	if (b->failed != 0 && weir_now_ms >= b->wake_ms)
		wake(g);
	if (b->warming != 0 && b->warmed_ms != weir_now_ms)
		warm(g);
	if (b->weak != 0)
		recover(b);
}

/* ---- what happens to a peer ---- */

void
block_taken(struct weir_group *g, unsigned i, int slot)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	st->conns++;
	if (slot >= 0)
		block_held(b, (unsigned)slot)[i]++;
	else if (b->n_slots != 0)
		st->inherited++;	/* of a process without a slot: as good as an older one's */
	if (st->max_conns != 0 && st->conns >= st->max_conns)
		block_out(g, i, OUT_FULL);
	if (since(st->checked_ms) > st->fail_timeout_ms) {
		st->checked_ms = weir_now_ms;
		if (has_failed(st))
			leave_alone(g, i);	/* one try; the others wait for how it goes */
	}
	block_rerank(g, i);
}

void
block_freed(struct weir_group *g, unsigned i, int slot)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	if (slot >= 0)
		block_held(b, (unsigned)slot)[i]--;
	else if (b->n_slots != 0 && st->inherited != 0)
		st->inherited--;
	if (st->conns != 0)
		st->conns--;
	if (st->max_conns != 0 && st->conns < st->max_conns)
		block_in(g, i, OUT_FULL);
	block_rerank(g, i);
}

void
block_failed(struct weir_group *g, unsigned i)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	st->failures++;
	if (st->alone)
		return;
	st->fails++;
	st->outages += st->fails == st->max_fails;
	st->failed_ms = st->checked_ms = WEIR_MAX(weir_now_ms, 1);
	if (st->max_fails == 0)
		return;
	b->weak -= is_weak(st);
	st->effective = WEIR_MAX(st->effective - (int32_t)(st->weight / st->max_fails), 0);
	b->weak += is_weak(st);
	if (st->out == 0)
		block_effective(b)[i] = block_share(b, st);
	if (has_failed(st))
		leave_alone(g, i);
}

void
block_well(struct weir_group *g, unsigned i)
{
	struct weir_state *st = block_state(g->block, i);

	if (st->fails == 0 || st->failed_ms >= st->checked_ms)
		return;
	if (has_failed(st))
		begin_warming(g->block, st);
	st->fails = 0;
	block_in(g, i, OUT_FAILED);
}
