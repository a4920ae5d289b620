/*
 * sums.h - whose weight a number falls into.
 */
#ifndef WEIR_PEER_SUMS_H
#define WEIR_PEER_SUMS_H

#include "core/peer/peer.h"

/* The first peer of the tier whose sum is above x, which is below the tier's total. */
static inline unsigned
sums_find(const struct weir_group *g, const struct weir_tier *t, unsigned x)
{
	unsigned lo = t->first, hi = t->first + t->n - 1;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (g->sums[mid] > x)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

#endif
