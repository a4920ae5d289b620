/*
 * block_make.c - how a block begins: how large it is, what lies where, what is known from an older one.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/peer/breaker.h"
#include "core/peer/resolve.h"
#include "core/shm/mutex.h"

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

/* ---- a new block ---- */

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
	st->drain_until_ms = block_drain_until(g);
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
		block_effective(b)[i] = block_share(b, st);
		if (st->out != 0)
			block_hide(b, i);
	}
	count(b);
	b->version = 1;
	b->stale = g->balancer->rank != NULL ? STALE_RANKS : 0;
	if (n_slots != 0) {
		mutex_init(&b->lock);
		mutex_init(&b->saving);
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
			block_warm(g, i);
			continue;
		}
		inherit_state(g, i, was);
		breaker_inherit(b, i, old, (unsigned)(was - block_state(old, 0)));
	}
	count(b);
	block_keep_out(g);
	b->stale |= STALE_RANKS;
	mem_free(f.slot);
}
