/*
 * lb_random.c - by chance, with weights; or the better one of two.
 *
 * After so many that were out of service it goes round.
 */
#include "core/os/random.h"
#include "core/peer/block.h"
#include "core/peer/sums.h"

enum { SPINS = 20 };

/* One that could do it, other than `not`; -1 when chance found none. */
static int
throw_dice(struct weir_pick *p, const struct weir_tier *t, int not)
{
	while (p->spins++ <= SPINS) {
		unsigned i = sums_find(p->group, t, random_below(t->total));

		if ((int)i != not && !pick_cannot(p, i))
			return (int)i;
	}
	return -1;
}

static int
choose(struct weir_pick *p, const struct weir_tier *t)
{
	const struct weir_group *g = p->group;
	int a, b;

	if (p->tier != t->first) {
		p->tier = t->first;
		p->spins = 0;
	}
	if (t->n < 2 || (a = throw_dice(p, t, -1)) < 0)
		return pick_round(p, t, false);
	if (!g->two)
		return a;
	if ((b = throw_dice(p, t, a)) < 0)
		return pick_round(p, t, false);
	return block_rank(g->block)[b] > block_rank(g->block)[a] ? a : b;
}

static double
rank_conns(const struct weir_group *g, unsigned i)
{
	return lb_least_conn.rank(g, i);
}

static double
rank_header(const struct weir_group *g, unsigned i)
{
	return lb_header.rank(g, i);
}

static double
rank_last_byte(const struct weir_group *g, unsigned i)
{
	return lb_last_byte.rank(g, i);
}

const struct weir_balancer lb_random = { .name = "random", .choose = choose, .rank = rank_conns,
	.fixed = true, .no_backup = true };
const struct weir_balancer lb_random_header = { .name = "random header", .choose = choose,
	.rank = rank_header, .timely = true, .times = true, .fixed = true, .no_backup = true };
const struct weir_balancer lb_random_last_byte = { .name = "random last_byte", .choose = choose,
	.rank = rank_last_byte, .timely = true, .times = true, .fixed = true, .no_backup = true };
