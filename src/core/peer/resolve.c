/*
 * resolve.c - servers whose addresses DNS tells.
 */
#include <stdatomic.h>

#include "core/peer/change.h"
#include "core/peer/resolve.h"
#include "core/peer/share.h"
#include "core/tls/tls.h"

enum { ASK_MS = 1000, TEXT_ROOM = 64 };

void
resolve_make_room(struct weir_conf *cf, struct weir_resolve *r, struct weir_peer *p)
{
	p->resolve = r;
	if (r->found == NULL)
		r->found = pool_alloc(cf->pool, 2 * (RESOLVE_PLACES + 1) * sizeof *r->found);
	p->text = str_of(pool_zalloc(cf->pool, TEXT_ROOM), 0);
	memset(&p->addr, 0, sizeof p->addr);
	p->addr.sa.sa_family = AF_INET;
}

void
resolve_service(struct weir_conf *cf, struct weir_resolve *r, struct weir_str service)
{
	r->service = pool_printf(cf->pool, str_chr(service, '.') >= 0 ? "%.*s.%.*s" : "_%.*s._tcp.%.*s",
	    STR_ARG(service), STR_ARG(r->name));
	r->targets = pool_zalloc(cf->pool, RESOLVE_TARGETS * sizeof *r->targets);
}

static bool
is_spare(const struct weir_peer *p)
{
	return p->priority != p->resolve->priority;
}

void
resolve_begins(const struct weir_peer *p, unsigned number)
{
	if (is_spare(p))
		p->resolve->first_spare = number;
	else
		p->resolve->first = number;
}

uint64_t
resolve_key(const struct weir_peer *p)
{
	const uint64_t key[2] = { 0x7265736f, 0x6c7665 + is_spare(p) };
	const struct weir_resolve *r = p->resolve;
	struct weir_str name = r->service.n != 0 ? r->service : r->name;

	return siphash_with(key, name.p, name.n);
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
	addr_set_port(a, st->port != 0 ? st->port : p->resolve->port);
	p->text.n = WEIR_MIN(addr_put(text, a), TEXT_ROOM);
	memcpy((char *)(uintptr_t)p->text.p, text, p->text.n);
	tls_sessions_free(&p->tls);
}

/* Vacant places have no part in the weights by which hashes and chance go, and nobody looks at those behind the last server. */
static void
sum_up(struct weir_group *g)
{
	for (struct weir_tier *t = g->tiers; t < g->tiers + g->n_tiers; t++) {
		t->total = t->n = 0;
		for (unsigned i = t->first; i < t->first + t->room; i++) {
			if (!(block_state(g->block, i)->out & OUT_VACANT)) {
				t->total += g->peers[i].weight;
				t->n = i + 1 - t->first;
			}
			g->sums[i] = t->total;
		}
	}
}

static void
keep_up(struct weir_group *g)
{
	g->version = atomic_load(&g->block->version);
	for (unsigned i = 0; i < g->n; i++) {
		const struct weir_state *st = block_state(g->block, i);

		g->peers[i].weight = st->weight;
		if (g->peers[i].serial == st->serial)
			continue;
		if (g->peers[i].resolve != NULL)
			take_address(&g->peers[i], st);
		else if (g->peers[i].spare)
			change_take(&g->peers[i], block_place(g->block, st));
		g->peers[i].serial = st->serial;
	}
	sum_up(g);
	g->lags = g->balancer->follow != NULL;
	if (g->on_change != NULL)
		g->on_change(g);
}

void
resolve_keep_up(struct weir_group *g, bool locked)
{
	if (unlikely(atomic_load(&g->block->version) != g->version)) {
		if (!locked)
			share_lock(g);
		keep_up(g);
		if (!locked)
			share_unlock(g);
	}
	if (unlikely(g->lags) && !locked) {
		g->lags = false;
		g->balancer->follow(g);
	}
}

/* ---- from DNS to the block ---- */

static struct weir_str
bytes_of(const struct weir_state *st)
{
	return str_of((const char *)st->ip, st->family == 4 ? 4 : 16);
}

static bool
is_at(const struct weir_state *st, const struct resolve_found *f)
{
	return st->family != 0 && st->port == f->port && str_eq(addr_bytes(&f->a), bytes_of(st));
}

static bool
is_among(const struct weir_state *st, const struct weir_resolve *r, bool spare)
{
	for (unsigned i = 0; i < r->n_found; i++)
		if (r->found[i].spare == spare && is_at(st, &r->found[i]))
			return true;
	return false;
}

static unsigned
first_of(const struct weir_resolve *r, bool spare)
{
	return spare ? r->first_spare : r->first;
}

/* The place that has this address, vacant or not; else a vacant one that nobody uses; -1: there is none. */
static int
place_for(const struct weir_resolve *r, const struct resolve_found *f)
{
	unsigned first = first_of(r, f->spare);
	int free = -1;

	for (unsigned i = first; i < first + RESOLVE_PLACES; i++) {
		const struct weir_state *st = block_state(r->group->block, i);

		if (is_at(st, f))
			return (int)i;
		if (free < 0 && (st->out & OUT_VACANT) && st->conns == 0)
			free = (int)i;
	}
	return free;
}

/* Whether something is new there. */
static bool
settle(const struct weir_resolve *r, unsigned i, const struct resolve_found *f)
{
	struct weir_state *st = block_state(r->group->block, i);
	struct weir_str ip = addr_bytes(&f->a);
	bool same_weight = f->weight == 0 || f->weight == st->weight;

	if (!(st->out & OUT_VACANT) && same_weight)
		return false;
	if (!is_at(st, f)) {
		st->family = ip.n == 4 ? 4 : 6;
		memcpy(st->ip, ip.p, ip.n);
		st->port = (uint16_t)f->port;
		st->serial++;
		block_renew(r->group, i);
	}
	if (!same_weight)
		block_reweight(r->group, i, f->weight);
	block_in(r->group, i, OUT_VACANT);
	return true;
}

/* Who was not found leaves.  True: somebody did. */
static bool
vacate(const struct weir_resolve *r, bool spare)
{
	unsigned first = first_of(r, spare);
	bool changed = false;

	for (unsigned i = first; i < first + RESOLVE_PLACES; i++) {
		struct weir_state *st = block_state(r->group->block, i);

		if ((st->out & OUT_VACANT) || is_among(st, r, spare))
			continue;
		block_out(r->group, i, OUT_VACANT);
		changed = true;
	}
	return changed;
}

/* What was found is who there is.  False when some found no place. */
static bool
write_down(struct weir_resolve *r)
{
	struct weir_block *b = r->group->block;
	bool changed = false, all = true;

	if (!r->partly) {
		changed = vacate(r, false);
		changed |= r->spares && vacate(r, true);
	}
	for (unsigned k = 0; k < r->n_found; k++) {
		int i = place_for(r, &r->found[k]);

		if (i < 0)
			all = false;
		else
			changed |= settle(r, (unsigned)i, &r->found[k]);
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
conclude(struct weir_resolve *r)
{
	bool all;

	r->asking = false;
	if (r->failed)
		return;
	share_lock(r->group);
	all = write_down(r);
	share_unlock(r->group);
	if (!all && !r->told_full)
		log_warnx(weir_log, "%.*s has more addresses than upstream \"%.*s\" has places for: %d",
		    STR_ARG(r->name), STR_ARG(r->group->name), RESOLVE_PLACES);
	r->told_full = !all;
}

static bool
says_nothing(const struct weir_lookup *l)
{
	return l->how != RESOLVED && l->how != RESOLVE_NO_NAME;
}

static unsigned
n_found(const struct weir_resolve *r, bool spare)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n_found; i++)
		n += r->found[i].spare == spare;
	return n;
}

/* One more than there are places, so that somebody notices. */
static void
find_more(struct weir_resolve *r, const struct weir_lookup *l, struct resolve_found like)
{
	unsigned n = n_found(r, like.spare);

	for (unsigned i = 0; l->how == RESOLVED && i < l->n && n <= RESOLVE_PLACES; i++, n++) {
		like.a = l->addrs[i];
		r->found[r->n_found++] = like;
	}
}

static void
on_resolved(struct weir_lookup *l)
{
	struct weir_resolve *r = WEIR_OF(l, struct weir_resolve, lookup);

	tell(r, l->how);
	r->failed = says_nothing(l);
	find_more(r, l, (struct resolve_found){ .port = 0 });
	conclude(r);
}

static void
on_target(struct weir_lookup *l)
{
	struct resolve_target *t = WEIR_OF(l, struct resolve_target, lookup);

	t->r->partly |= says_nothing(l);
	find_more(t->r, l, (struct resolve_found){ .weight = t->weight, .port = t->port, .spare = t->spare });
	if (--t->r->waiting == 0)
		conclude(t->r);
}

static unsigned
lowest(const struct weir_lookup *l)
{
	unsigned v = UINT16_MAX;

	for (unsigned i = 0; i < l->n; i++)
		v = WEIR_MIN(v, l->srvs[i].priority);
	return v;
}

/* No answer comes before this returns. */
static void
ask_targets(struct weir_resolve *r, const struct weir_lookup *l, bool spare)
{
	unsigned priority = lowest(l);

	for (unsigned i = 0; i < l->n && r->waiting < RESOLVE_TARGETS; i++) {
		struct resolve_target *t = &r->targets[r->waiting];

		if ((l->srvs[i].priority != priority) != spare || l->srvs[i].port == 0)
			continue;
		r->waiting++;
		t->r = r;
		t->spare = spare;
		t->port = l->srvs[i].port;
		t->weight = WEIR_MAX(l->srvs[i].weight, 1u);
		lookup_start(&t->lookup, r->resolver, str_c(l->srvs[i].name), r->timeout_ms, on_target);
	}
}

/* Who serves: the names are asked for, those of backups last, as there are not always places for all. */
static void
on_service(struct weir_lookup *l)
{
	struct weir_resolve *r = WEIR_OF(l, struct weir_resolve, lookup);

	tell(r, l->how);
	r->failed = says_nothing(l);
	ask_targets(r, l, false);
	if (r->spares)
		ask_targets(r, l, true);
	if (r->waiting == 0)
		conclude(r);
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
	r->failed = r->partly = false;
	r->n_found = r->waiting = 0;
	if (r->service.n != 0)
		lookup_start_srv(&r->lookup, r->resolver, r->service, r->timeout_ms, on_service);
	else
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
