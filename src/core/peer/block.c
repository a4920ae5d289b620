/*
 * block.c - the state of a group's peers: connections, failures, who is in service.
 *
 *	in service -- max_fails failures --> OUT_FAILED -- fail_timeout --> in service, for one try
 *	     ^                                                                   |       |
 *	     +------------------------------- it went well ---------------------+       it failed: out again
 */
#include <math.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/peer/breaker.h"
#include "core/peer/resolve.h"

/* Of what lies in zones: names must be the same in all processes, and nobody gains from collisions. */
static const uint64_t name_key[2] = { 0x77656972, 0x70656572 };

static size_t
aligned(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

static unsigned
n_spares(const struct weir_group *g)
{
	unsigned n = 0;

	for (unsigned i = 0; i < g->n; i++)
		n += g->peers[i].spare;
	return n;
}

static size_t
arrays_size(unsigned n, unsigned n_slots)
{
	return aligned(sizeof(struct weir_block)) + aligned(n * sizeof(struct weir_state)) +
	    3 * aligned(n * sizeof(int32_t)) + aligned((size_t)n * n_slots * sizeof(uint32_t)) +
	    aligned(n_slots * sizeof(uint32_t));
}

size_t
block_size(const struct weir_group *g, unsigned n_slots)
{
	return arrays_size(g->n, n_slots) + aligned(breaker_size(g, n_slots)) +
	    aligned(n_spares(g) * sizeof(struct weir_place));
}

size_t
block_spare_size(unsigned n_slots)
{
	return sizeof(struct weir_state) + 3 * sizeof(int32_t) + n_slots * sizeof(uint32_t) +
	    sizeof(struct weir_place) + sizeof(struct weir_circuit) + n_slots * sizeof(uint32_t);
}

static uint64_t
mix(uint64_t h, const void *p, size_t n)
{
	const uint64_t key[2] = { name_key[0] ^ h, name_key[1] };

	return siphash_with(key, p, n);
}

uint64_t
block_key(struct weir_str text, struct weir_str name)
{
	return mix(mix(0, text.p, text.n), name.p, name.n);
}

static uint64_t
key_of(const struct weir_peer *p)
{
	if (p->spare)
		return 0;
	if (p->resolve != NULL)
		return resolve_key(p);
	return block_key(p->text, p->name);
}

uint64_t
block_id(const struct weir_group *g)
{
	uint64_t h = mix(0, g->name.p, g->name.n);

	h = mix(h, g->balancer->name, strlen(g->balancer->name));
	for (unsigned i = 0; i < g->n; i++) {
		const struct weir_peer *p = &g->peers[i];
		const uint64_t all[] = { key_of(p), p->tier, p->weight, p->max_fails, p->max_conns,
			p->fail_timeout_ms, p->warm_ms, p->warm_min, p->down | p->drain << 1 | (g->breaker != NULL) << 2,
			p->resolve != NULL ? resolve_port(p->resolve) : 0 };

		h = mix(h, all, sizeof all);
	}
	return h;
}

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

/* What of its weight counts now. */
static int32_t
share(const struct weir_block *b, const struct weir_state *st)
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
	block_effective(b)[i] = share(b, st);
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

/* ---- a block's life ---- */

static void
init_lock(pthread_mutex_t *lock)
{
	pthread_mutexattr_t a;

	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(lock, &a);
	pthread_mutexattr_destroy(&a);
}

static uint64_t
drain_until(const struct weir_group *g)
{
	return g->drain_ms != 0 ? weir_now_ms + g->drain_ms : UINT64_MAX;
}

static void
init_state(struct weir_state *st, const struct weir_group *g, const struct weir_peer *p)
{
	st->key = g->shared != NULL ? key_of(p) : 0;
	st->weight = p->weight;
	st->effective = (int32_t)p->weight;
	st->max_fails = p->max_fails;
	st->max_conns = p->max_conns;
	st->fail_timeout_ms = p->fail_timeout_ms;
	st->warm_ms = p->warm_ms;
	st->warm_min = p->warm_min;
	st->out = (uint8_t)((p->down ? OUT_DOWN : 0) | (p->drain ? OUT_DRAIN : 0) |
	    (p->resolve != NULL || p->spare ? OUT_VACANT : 0));
	st->drain_until_ms = drain_until(g);
	health_init(g, st);
}

static void
count(struct weir_block *b)
{
	unsigned n = 0;

	for (unsigned i = 0; i < b->n; i++)
		n += !(block_state(b, i)->out & OUT_VACANT);
	for (unsigned i = 0; i < b->n; i++)
		block_state(b, i)->alone = n == 1;
}

void
block_count(struct weir_group *g)
{
	count(g->block);
}

static void
lay_out(struct weir_block *b, const struct weir_group *g, unsigned n_slots)
{
	size_t at = aligned(sizeof *b);
	unsigned n = g->n;

	b->n = n;
	b->n_slots = n_slots;
	b->at_state = (uint32_t)at;
	b->at_current = (uint32_t)(at += aligned(n * sizeof(struct weir_state)));
	b->at_effective = (uint32_t)(at += aligned(n * sizeof(int32_t)));
	b->at_rank = (uint32_t)(at += aligned(n * sizeof(int32_t)));
	b->at_pins = (uint32_t)(at += aligned(n * sizeof(int32_t)));
	b->at_held = (uint32_t)(at + aligned(n_slots * sizeof(uint32_t)));
	b->at_circuits = g->breaker != NULL ? (uint32_t)arrays_size(n, n_slots) : 0;
	b->at_places = (uint32_t)(arrays_size(n, n_slots) + aligned(breaker_size(g, n_slots)));
	b->size = block_size(g, n_slots);
}

/* Those that are written get the first numbers, the others none before somebody comes. */
static void
number(struct weir_block *b, const struct weir_group *g)
{
	uint32_t places = 0;

	for (unsigned i = 0; i < b->n; i++) {
		if (g->peers[i].spare)
			block_state(b, i)->place = ++places;
		else
			block_state(b, i)->id = b->next_id++;
	}
}

void
block_init(struct weir_block *b, const struct weir_group *g, unsigned n_slots)
{
	lay_out(b, g, n_slots);
	number(b, g);
	b->scale = 1;
	for (unsigned i = 0; i < g->n; i++)
		if (g->peers[i].warm_ms != 0)
			b->scale = 100;
	for (unsigned i = 0; i < g->n; i++) {
		struct weir_state *st = block_state(b, i);

		init_state(st, g, &g->peers[i]);
		block_effective(b)[i] = share(b, st);
		if (st->out != 0)
			block_hide(b, i);
	}
	count(b);
	b->version = 1;
	b->stale = g->balancer->rank != NULL ? STALE_RANKS : 0;
	if (n_slots != 0) {
		init_lock(&b->lock);
		init_lock(&b->saving);
		b->id = block_id(g);
	}
}

/* ---- from an older block ---- */

struct finder {			/* numbers + 1 by key */
	uint32_t	*slot;
	uint32_t	 mask;
};

static struct finder
finder_new(struct weir_block *b)
{
	struct finder f = { .mask = 7 };

	while (f.mask < b->n * 2)
		f.mask = f.mask * 2 + 1;
	f.slot = mem_zalloc((f.mask + 1) * sizeof *f.slot);
	for (unsigned i = 0; i < b->n; i++) {
		uint32_t at = (uint32_t)block_state(b, i)->key & f.mask;

		if (block_state(b, i)->key == 0)
			continue;	/* nobody's */
		while (f.slot[at] != 0)
			at = (at + 1) & f.mask;
		f.slot[at] = i + 1;
	}
	return f;
}

/* The state of that key that has no heir yet: a server may be there twice. */
static struct weir_state *
find(const struct finder *f, struct weir_block *b, uint64_t key)
{
	for (uint32_t at = (uint32_t)key & f->mask; f->slot[at] != 0; at = (at + 1) & f->mask) {
		struct weir_state *st = block_state(b, f->slot[at] - 1);

		if (st->key == key && st->heir == 0)
			return st;
	}
	return NULL;
}

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
	st->drain_until_ms = drain_until(g);
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

static void
inherit_state(struct weir_group *g, unsigned i, struct weir_state *was)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	was->heir = i + 1;
	st->id = was->id;
	st->requests = was->requests;
	st->failures = was->failures;
	st->outages = was->outages;
	if (was->out & OUT_DRAIN)
		st->drain_until_ms = was->drain_until_ms;
	st->serial = was->serial;
	st->family = was->family;
	memcpy(st->ip, was->ip, sizeof st->ip);
	st->port = was->port;
	if (was->port != 0)
		block_reweight(g, i, was->weight);
	if (!(was->out & OUT_VACANT))
		block_in(g, i, OUT_VACANT);
	health_carry(g, i, &was->health);
	st->fails = was->fails;
	st->failed_ms = was->failed_ms;
	st->checked_ms = was->checked_ms;
	st->header_ms = was->header_ms;
	st->response_ms = was->response_ms;
	st->conns = st->inherited = was->conns;
	if (st->warm_ms != 0 && was->warm_from_ms != 0) {
		st->warm_from_ms = was->warm_from_ms;
		b->warming++;
	}
}

void
block_inherit(struct weir_group *g, struct weir_block *b, struct weir_block *old)
{
	struct finder f = finder_new(old);

	b->budget = old->budget;
	b->next_id = old->next_id;
	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i), *was;

		if (st->place != 0)
			continue;
		was = find(&f, old, st->key);
		if (was == NULL) {
			st->id = b->next_id++;
			begin_warming(b, st);
			continue;
		}
		inherit_state(g, i, was);
		breaker_inherit(b, i, old, (unsigned)(was - block_state(old, 0)));
	}
	count(b);
	for (unsigned i = 0; i < b->n; i++) {
		struct weir_state *st = block_state(b, i);

		if (has_failed(st) && since(st->checked_ms) <= st->fail_timeout_ms)
			leave_alone(g, i);
	}
	b->stale |= STALE_RANKS;
	mem_free(f.slot);
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
		/* the sums of a scan may be half of two */
		st->current = 0;
		if (st->out == 0)
			block_current(b)[i] = 0;
	}
	breaker_recount(b);
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
			block_effective(b)[i] = share(b, st);
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
		block_effective(b)[i] = share(b, st);	/* what it is now goes into this choice */
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
			block_effective(b)[i] = share(b, block_state(b, i));
}

void
block_refresh(struct weir_group *g)
{
	struct weir_block *b = g->block;

	if (unlikely(b->stale & STALE_COUNTS))
		block_recount(b);
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
		block_effective(b)[i] = share(b, st);
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
