/*
 * scan.c - the loops over the arrays of a block.
 */
#include "core/peer/block.h"
#include "core/peer/scan.h"

/* gcc makes vectors of such loops at -O3 only; clang always does. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

enum { BATCH = 32 };

int32_t
scan_add(int32_t *restrict current, const int32_t *restrict effective, unsigned n, int32_t *total)
{
	int32_t most = INT32_MIN, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		int32_t c = current[i] + effective[i];

		current[i] = c;
		sum += effective[i];
		most = c > most ? c : most;
	}
	*total = sum;
	return most;
}

int32_t
scan_add_ranked(int32_t *restrict current, const int32_t *restrict effective, const int32_t *restrict rank,
    unsigned n, int32_t want, int32_t *total)
{
	int32_t most = INT32_MIN, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		int32_t add = rank[i] == want ? effective[i] : 0;
		int32_t c = current[i] + add;
		int32_t seen = rank[i] == want ? c : INT32_MIN;

		current[i] = c;
		sum += add;
		most = seen > most ? seen : most;
	}
	*total = sum;
	return most;
}

int32_t
scan_min(const int32_t *v, unsigned n)
{
	int32_t least = INT32_MAX;

	for (unsigned i = 0; i < n; i++)
		least = v[i] < least ? v[i] : least;
	return least;
}

unsigned
scan_find(const int32_t *v, unsigned n, int32_t want)
{
	unsigned i = 0;

	for (; i + BATCH <= n; i += BATCH) {
		int32_t any = 0;

		for (unsigned j = 0; j < BATCH; j++)
			any |= v[i + j] == want;
		if (any)
			break;
	}
	while (i < n && v[i] != want)
		i++;
	return i;
}

unsigned
scan_find_ranked(const int32_t *v, const int32_t *rank, unsigned n, int32_t ranked, int32_t want)
{
	unsigned i = 0;

	for (; i + BATCH <= n; i += BATCH) {
		int32_t any = 0;

		for (unsigned j = 0; j < BATCH; j++)
			any |= (v[i + j] == want) & (rank[i + j] == ranked);
		if (any)
			break;
	}
	while (i < n && (v[i] != want || rank[i] != ranked))
		i++;
	return i;
}
