/*
 * budget.h - what bounds the further tries of a group: proxy_retry_budget, and its kin of other modules.
 */
#ifndef WEIR_PEER_BUDGET_H
#define WEIR_PEER_BUDGET_H

#include "core/peer/peer.h"

struct weir_budget_conf { unsigned percent, min; };	/* 0 per cent: there is no bound */

/* For set(), and the rest of the row. */
int	budget_conf(struct weir_conf *, struct weir_node *, struct weir_budget_conf *) WEIR_MUST_USE;
#define BUDGET_ROW								\
	.args_min = 1, .args_max = 2, .args = "off | share% [min=number]",	\
	.doc = "Further tries may be such a share of the requests, of stream connections, that the group got within the last ten " \
	"seconds, and so many (10) in any case; what would be more is not tried again. With a zone all workers count together. " \
	"Names that variables give have no group and no budget. By default, off, the number of tries is the only limit, as in " \
	"nginx."
/* May it be tried once more?  Yes counts; no is logged.  Only of a pick with ->budget, which says that there is a bound. */
bool	budget_allows(struct weir_pick *, const struct weir_budget_conf *);

#endif
