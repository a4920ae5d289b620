/*
 * random.c - random numbers: for secrets, and cheap ones for everything else.
 *
 * The cheap ones are xoroshiro128+ (Blackman and Vigna), whose upper half is the better one.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core/base/log.h"
#include "core/os/random.h"

static uint64_t	s0, s1;
static bool	seeded;

void
random_bytes(void *to, size_t n)
{
	char	*p = to;
	ssize_t	 got;

	while (n > 0) {
		got = getrandom(p, n, 0);
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		} else if (errno != EINTR) {
			log_alert(weir_log, "getrandom() failed");
			abort();
		}
	}
}

static void
on_fork(void)
{
	seeded = false;
}

static WEIR_COLD void
seed(void)
{
	static bool	told;
	uint64_t	s[2];

	if (!told) {
		pthread_atfork(NULL, NULL, on_fork);
		told = true;
	}
	random_bytes(s, sizeof(s));
	s0 = s[0];
	s1 = s[1] | 1;		/* the state must not be all zero */
	seeded = true;
}

static inline uint64_t
rotl(uint64_t w, unsigned by)
{
	return w << by | w >> (64 - by);
}

uint64_t
random_u64(void)
{
	uint64_t r, t;

	if (unlikely(!seeded))
		seed();
	r = s0 + s1;
	t = s0 ^ s1;
	s0 = rotl(s0, 24) ^ t ^ (t << 16);
	s1 = rotl(t, 37);
	return r;
}

uint32_t
random_u32(void)
{
	return (uint32_t)(random_u64() >> 32);
}

/* The upper half of a product, without the few values that would make it uneven (Lemire). */
uint32_t
random_below(uint32_t n)
{
	uint64_t m;
	uint32_t odd;

	if (n == 0)
		return 0;
	m = (uint64_t)random_u32() * n;
	if ((uint32_t)m < n)
		for (odd = (0 - n) % n; (uint32_t)m < odd; )
			m = (uint64_t)random_u32() * n;
	return (uint32_t)(m >> 32);
}
