/*
 * budget.h - what bounds the further tries of a group: proxy_retry_budget, and its kin of other modules.
 */
#ifndef WEIR_PEER_BUDGET_H
#define WEIR_PEER_BUDGET_H

#include "core/peer/peer.h"

struct weir_budget_conf { unsigned percent, min; };	/* 0 per cent: there is no bound */

/* For set(). */
int	budget_conf(struct weir_conf *, struct weir_node *, struct weir_budget_conf *) WEIR_MUST_USE;
/* May it be tried once more?  Yes counts; no is logged.  Only of a pick with ->budget, which says that there is a bound. */
bool	budget_allows(struct weir_pick *, const struct weir_budget_conf *);

#endif
