/*
 * lb_least_conn.c - whoever has the fewest connections for its weight.
 *
 * Among equals it goes round.
 */
#include "core/peer/block.h"

static double
rank(const struct weir_group *g, unsigned i)
{
	const struct weir_state *st = block_state(g->block, i);
	int32_t share = block_effective(g->block)[i];

	/* what is warming up has a part of its weight only */
	if (st->warm_from_ms != 0 && share > 0)
		return (double)st->conns * g->block->scale / share;
	return (double)st->conns / st->weight;
}

static int
choose(struct weir_pick *p, const struct weir_tier *t)
{
	return pick_round(p, t, true);
}

const struct weir_balancer lb_least_conn = { .name = "least_conn", .choose = choose, .rank = rank };
