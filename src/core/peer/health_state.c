/*
 * health_state.c - what checks have found, in the block.
 */
#include <unistd.h>

#include "core/base/clock.h"
#include "core/peer/block.h"
#include "core/peer/share.h"

enum { LEASE_MS = 5000 };	/* a keeper that says nothing for so long is gone */

/* The checks of the group that this is about, as bits. */
static uint8_t
bits_of(const struct weir_group *g, bool mandatory, bool persistent)
{
	uint8_t bits = 0;

	for (const struct weir_health *h = g->health; h != NULL; h = h->next)
		if ((!mandatory || h->mandatory) && (!persistent || !h->persistent))
			bits |= (uint8_t)(1 << h->number);
	return bits;
}

/* In or out, as it was found. */
static void
apply(struct weir_group *g, unsigned i)
{
	const struct weir_health_state *hs = &block_state(g->block, i)->health;

	if ((hs->failing | hs->pending) != 0)
		block_out(g, i, OUT_UNHEALTHY);
	else
		block_in(g, i, OUT_UNHEALTHY);
}

void
health_init(const struct weir_group *g, struct weir_state *st)
{
	st->health.pending = bits_of(g, true, false);
	if (st->health.pending != 0)
		st->out |= OUT_UNHEALTHY;
}

/* Who was unhealthy has to pass all checks that there are now; who was not, those that insist. */
void
health_carry(struct weir_group *g, unsigned i, const struct weir_health_state *was)
{
	struct weir_health_state *hs = &block_state(g->block, i)->health, old = *was;

	*hs = old;
	hs->failing = old.failing != 0 ? bits_of(g, false, false) : 0;
	hs->pending = hs->failing != 0 ? 0 : bits_of(g, true, old.passed);
	apply(g, i);
}

void
health_renew(struct weir_group *g, unsigned i)
{
	struct weir_health_state *hs = &block_state(g->block, i)->health;

	*hs = (struct weir_health_state){ .pending = bits_of(g, true, false) };
	apply(g, i);
}

void
health_pause(struct weir_block *b)
{
	b->prober = 0;
	b->probed_ms = weir_now_ms;
}

void
health_reopen(struct weir_group *g)
{
	share_lock(g);
	health_pause(g->block);		/* who asked until now may know of other checks */
	for (unsigned i = 0; i < g->n; i++)
		health_carry(g, i, &block_state(g->block, i)->health);
	share_unlock(g);
}

bool
health_is_prober(struct weir_group *g, bool begin)
{
	struct weir_block *b = g->block;
	uint32_t me = (uint32_t)getpid();
	bool is;

	share_lock(g);
	if (begin || (b->prober != me && weir_now_ms > b->probed_ms + LEASE_MS))
		b->prober = me;
	is = b->prober == me;
	if (is)
		b->probed_ms = weir_now_ms;
	share_unlock(g);
	return is;
}

/* ---- judging ---- */

static enum weir_health_change
has_passed(struct weir_probe *p, struct weir_health_state *hs, uint8_t bit)
{
	bool was_out = (hs->failing | hs->pending) != 0;

	p->fails = 0;
	p->passes++;
	hs->passed = true;
	hs->pending &= (uint8_t)~bit;
	if (p->passes >= p->h->passes)
		hs->failing &= (uint8_t)~bit;
	return was_out && (hs->failing | hs->pending) == 0 ? HEALTH_BETTER : HEALTH_SAME;
}

static enum weir_health_change
has_failed(struct weir_probe *p, struct weir_health_state *hs, uint8_t bit)
{
	bool was_failing = hs->failing != 0;

	p->passes = 0;
	p->fails++;
	hs->fails++;
	if ((hs->failing & bit) || (p->fails < p->h->fails && !(hs->pending & bit)))
		return HEALTH_SAME;
	hs->pending &= (uint8_t)~bit;
	hs->failing |= bit;
	if (was_failing)
		return HEALTH_SAME;
	hs->unhealthy++;
	return HEALTH_WORSE;
}

enum weir_health_change
health_record(struct weir_probe *p)
{
	struct weir_group *g = p->h->group;
	unsigned i = p->peer->number;
	struct weir_state *st = block_state(g->block, i);
	struct weir_health_state *hs = &st->health;
	uint8_t bit = (uint8_t)(1 << p->h->number);
	bool failing = hs->failing != 0;
	enum weir_health_change change;

	hs->failing &= bits_of(g, false, false);
	hs->checks++;
	hs->last_passed = p->passed;
	change = p->passed ? has_passed(p, hs, bit) : has_failed(p, hs, bit);
	if (change == HEALTH_BETTER && failing)
		block_warm(g, i);
	apply(g, i);
	return change;
}
