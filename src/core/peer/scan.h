/*
 * scan.h - the loops over the arrays of a block (block.h).
 *
 * They are written so that compilers make vector instructions of them: a thousand peers in less than
 * half a microsecond.
 */
#ifndef WEIR_PEER_SCAN_H
#define WEIR_PEER_SCAN_H

#include "core/base/defs.h"

/* current[i] += effective[i]; gives the greatest, and in *total the sum of what was added. */
int32_t	 scan_add(int32_t *current, const int32_t *effective, unsigned n, int32_t *total);
/* The same for those of this rank; the others are as if they were not there. */
int32_t	 scan_add_ranked(int32_t *current, const int32_t *effective, const int32_t *rank, unsigned n,
	    int32_t want, int32_t *total);
int32_t	 scan_min(const int32_t *v, unsigned n);
/* The first that is `want`; n when there is none. */
unsigned scan_find(const int32_t *v, unsigned n, int32_t want);
/* The first of that rank that is `want`. */
unsigned scan_find_ranked(const int32_t *v, const int32_t *rank, unsigned n, int32_t ranked, int32_t want);

#endif
