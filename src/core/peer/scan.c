/*
 * scan.c - the loops over the arrays of a block.
 *
 * Each is written once, as compilers like it, and compiled twice where that pays: for every x86-64, and for those
 * with AVX2, which do it in half the time.
 */
#include "core/peer/block.h"
#include "core/peer/scan.h"

/* gcc makes vectors of such loops at -O3 only; clang always does. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

#define BODY	static inline __attribute__((always_inline))

#if defined(__x86_64__)
#define WIDE	__attribute__((target("avx2")))
#define WIDELY	__builtin_cpu_supports("avx2")
#else
#define WIDE
#define WIDELY	false
#endif

enum { BATCH = 32 };

BODY int32_t
add(int32_t *restrict current, const int32_t *restrict effective, unsigned n, int32_t *total)
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

BODY int32_t
add_ranked(int32_t *restrict current, const int32_t *restrict effective, const int32_t *restrict rank,
    unsigned n, int32_t want, int32_t *total)
{
	int32_t most = INT32_MIN, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		int32_t is = rank[i] == want ? -1 : 0, plus = effective[i] & is;
		int32_t c = current[i] + plus;
		int32_t seen = (c & is) | (INT32_MIN & ~is);

		current[i] = c;
		sum += plus;
		most = seen > most ? seen : most;
	}
	*total = sum;
	return most;
}

BODY int32_t
min(const int32_t *v, unsigned n)
{
	int32_t least = INT32_MAX;

	for (unsigned i = 0; i < n; i++)
		least = v[i] < least ? v[i] : least;
	return least;
}

BODY unsigned
find(const int32_t *v, unsigned n, int32_t want)
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

BODY unsigned
find_ranked(const int32_t *v, const int32_t *rank, unsigned n, int32_t ranked, int32_t want)
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

WIDE static int32_t
wide_add(int32_t *current, const int32_t *effective, unsigned n, int32_t *total)
{
	return add(current, effective, n, total);
}

WIDE static int32_t
wide_add_ranked(int32_t *current, const int32_t *effective, const int32_t *rank, unsigned n, int32_t want,
    int32_t *total)
{
	return add_ranked(current, effective, rank, n, want, total);
}

WIDE static int32_t
wide_min(const int32_t *v, unsigned n)
{
	return min(v, n);
}

WIDE static unsigned
wide_find(const int32_t *v, unsigned n, int32_t want)
{
	return find(v, n, want);
}

WIDE static unsigned
wide_find_ranked(const int32_t *v, const int32_t *rank, unsigned n, int32_t ranked, int32_t want)
{
	return find_ranked(v, rank, n, ranked, want);
}

int32_t
scan_add(int32_t *current, const int32_t *effective, unsigned n, int32_t *total)
{
	return WIDELY ? wide_add(current, effective, n, total) : add(current, effective, n, total);
}

int32_t
scan_add_ranked(int32_t *current, const int32_t *effective, const int32_t *rank, unsigned n, int32_t want,
    int32_t *total)
{
	return WIDELY ? wide_add_ranked(current, effective, rank, n, want, total) :
	    add_ranked(current, effective, rank, n, want, total);
}

int32_t
scan_min(const int32_t *v, unsigned n)
{
	return WIDELY ? wide_min(v, n) : min(v, n);
}

unsigned
scan_find(const int32_t *v, unsigned n, int32_t want)
{
	return WIDELY ? wide_find(v, n, want) : find(v, n, want);
}

unsigned
scan_find_ranked(const int32_t *v, const int32_t *rank, unsigned n, int32_t ranked, int32_t want)
{
	return WIDELY ? wide_find_ranked(v, rank, n, ranked, want) : find_ranked(v, rank, n, ranked, want);
}
