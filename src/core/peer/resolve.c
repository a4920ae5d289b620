/*
 * resolve.c - servers whose addresses DNS tells.
 */
#include <stdatomic.h>

#include "core/peer/resolve.h"
#include "core/peer/share.h"
#include "core/tls/tls.h"

enum { ASK_MS = 1000, TEXT_ROOM = 64 };

void
resolve_make_room(struct weir_conf *cf, struct weir_resolve *r, struct weir_peer *p)
{
	p->resolve = r;
	p->text = str_of(pool_zalloc(cf->pool, TEXT_ROOM), 0);
	memset(&p->addr, 0, sizeof p->addr);
	p->addr.sa.sa_family = AF_INET;
}

uint64_t
resolve_key(const struct weir_resolve *r)
{
	static const uint64_t key[2] = { 0x7265736f, 0x6c7665 };

	return siphash_with(key, r->name.p, r->name.n);
}

unsigned
resolve_port(const struct weir_resolve *r)
{
	return r->port;
}

/* ---- from the block to the peers ---- */

static void
take_address(struct weir_peer *p, const struct weir_state *st)
{
	struct weir_addr *a = &p->addr;
	char text[ADDR_TEXT_MAX];

	memset(a, 0, sizeof *a);
	a->sa.sa_family = st->family == 4 ? AF_INET : AF_INET6;
	if (st->family == 4)
		memcpy(&a->in.sin_addr, st->ip, 4);
	else
		memcpy(&a->in6.sin6_addr, st->ip, 16);
	addr_set_port(a, p->resolve->port);
	p->text.n = WEIR_MIN(addr_put(text, a), TEXT_ROOM);
	memcpy((char *)(uintptr_t)p->text.p, text, p->text.n);
	p->serial = st->serial;
	tls_sessions_free(&p->tls);
}

/* Vacant places have no part in the weights by which hashes and chance go. */
static void
sum_up(struct weir_group *g)
{
	for (struct weir_tier *t = g->tiers; t < g->tiers + g->n_tiers; t++) {
		t->total = 0;
		for (unsigned i = t->first; i < t->first + t->n; i++) {
			if (!(block_state(g->block, i)->out & OUT_VACANT))
				t->total += g->peers[i].weight;
			g->sums[i] = t->total;
		}
	}
}

static void
keep_up(struct weir_group *g)
{
	g->version = atomic_load(&g->block->version);
	for (unsigned i = 0; i < g->n; i++)
		if (g->peers[i].resolve != NULL && g->peers[i].serial != block_state(g->block, i)->serial)
			take_address(&g->peers[i], block_state(g->block, i));
	sum_up(g);
	if (g->on_change != NULL)
		g->on_change(g);
}

void
resolve_keep_up(struct weir_group *g, bool locked)
{
	if (likely(atomic_load(&g->block->version) == g->version))
		return;
	if (!locked)
		share_lock(g);
	keep_up(g);
	if (!locked)
		share_unlock(g);
}

/* ---- from DNS to the block ---- */

static struct weir_str
bytes_of(const struct weir_state *st)
{
	return str_of((const char *)st->ip, st->family == 4 ? 4 : 16);
}

static bool
is_among(const struct weir_state *st, const struct weir_addr *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (str_eq(addr_bytes(&v[i]), bytes_of(st)))
			return true;
	return false;
}

/* The place that has this address, vacant or not; else a vacant one that nobody uses; -1: there is none. */
static int
place_for(const struct weir_resolve *r, struct weir_str ip)
{
	int free = -1;

	for (unsigned i = r->first; i < r->first + RESOLVE_PLACES; i++) {
		const struct weir_state *st = block_state(r->group->block, i);

		if (st->family != 0 && str_eq(bytes_of(st), ip))
			return (int)i;
		if (free < 0 && (st->out & OUT_VACANT) && st->conns == 0)
			free = (int)i;
	}
	return free;
}

/* Whether it is new there. */
static bool
settle(const struct weir_resolve *r, unsigned i, struct weir_str ip)
{
	struct weir_state *st = block_state(r->group->block, i);

	if (!(st->out & OUT_VACANT))
		return false;
	if (!str_eq(bytes_of(st), ip) || st->family == 0) {
		st->family = ip.n == 4 ? 4 : 6;
		memcpy(st->ip, ip.p, ip.n);
		st->serial++;
		block_renew(r->group, i);
	}
	block_in(r->group, i, OUT_VACANT);
	return true;
}

/* False when some found no place. */
static bool
write_down(struct weir_resolve *r, const struct weir_addr *v, unsigned n)
{
	struct weir_block *b = r->group->block;
	bool changed = false, all = true;

	for (unsigned i = r->first; i < r->first + RESOLVE_PLACES; i++) {
		struct weir_state *st = block_state(b, i);

		if ((st->out & OUT_VACANT) || is_among(st, v, n))
			continue;
		block_out(r->group, i, OUT_VACANT);
		changed = true;
	}
	for (unsigned k = 0; k < n; k++) {
		int i = place_for(r, addr_bytes(&v[k]));

		if (i < 0)
			all = false;
		else
			changed |= settle(r, (unsigned)i, addr_bytes(&v[k]));
	}
	if (changed) {
		block_count(r->group);
		b->version++;
	}
	return all;
}

static void
tell(struct weir_resolve *r, enum weir_resolved how)
{
	if (how != RESOLVED && how != r->told)
		log_errorx(weir_log, "%.*s could not be resolved (%s), for upstream \"%.*s\"", STR_ARG(r->name),
		    resolve_error(how), STR_ARG(r->group->name));
	r->told = how;
}

static void
on_resolved(struct weir_lookup *l)
{
	struct weir_resolve *r = WEIR_OF(l, struct weir_resolve, lookup);
	bool all = true;

	r->asking = false;
	tell(r, l->how);
	if (l->how != RESOLVED && l->how != RESOLVE_NO_NAME)
		return;
	share_lock(r->group);
	all = write_down(r, l->addrs, l->how == RESOLVED ? l->n : 0);
	share_unlock(r->group);
	if (!all && !r->told_full)
		log_warnx(weir_log, "%.*s has more addresses than upstream \"%.*s\" has places for: %d",
		    STR_ARG(r->name), STR_ARG(r->group->name), RESOLVE_PLACES);
	r->told_full = !all;
}

/* One process asks; another takes over when it is dead. */
static bool
is_leader(struct weir_group *g)
{
	int slot = share_slot(g);
	bool is;

	if (g->shared == NULL)
		return true;
	if (slot < 0)
		return false;
	share_look(g);
	share_lock(g);
	if (g->block->leader == 0)
		g->block->leader = (uint32_t)slot + 1;
	is = g->block->leader == (uint32_t)slot + 1;
	share_unlock(g);
	return is;
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_resolve *r = WEIR_OF(t, struct weir_resolve, timer);

	timer_set(&r->timer, ASK_MS);
	if (r->asking || !is_leader(r->group))
		return;
	r->asking = true;
	lookup_start(&r->lookup, r->resolver, r->name, r->timeout_ms, on_resolved);
}

void
resolve_start(struct weir_group *g)
{
	for (struct weir_resolve *r = g->resolves; r != NULL; r = r->next) {
		timer_init(&r->timer, on_timer);
		timer_set(&r->timer, 1);
	}
}
