/*
 * lb_rr.c - smooth weighted round robin.
 */
#include "core/peer/peer.h"

static int
choose(struct weir_pick *p, const struct weir_tier *t)
{
	return pick_round(p, t, false);
}

const struct weir_balancer lb_round_robin = { .name = "round_robin", .choose = choose };
