/*
 * names.c - field names that weir itself looks at.
 *
 * A name's key is its length and three of its letters, which no two of the
 * names share.  A multiplication spreads the keys over a table; the factor is
 * searched for at start so that every name has a slot of its own.  A lookup is
 * therefore one multiplication and one comparison.
 */
#include <stdio.h>
#include <stdlib.h>

#include "http/msg/names.h"

#define SLOT_BITS	9
#define SLOTS		(1u << SLOT_BITS)
#define NAME_MAX_LEN	32
#define TRIES		100000u

static const struct {
	struct weir_str	 text;
	bool		 hop;
} names[H_COUNT] = {
	[H_UNKNOWN] = { { "", 0 }, false },
#define X(number, name, hop) [number] = { { name, sizeof(name) - 1 }, hop },
	WEIR_KNOWN_NAMES(X)
#undef X
};

/*
 * For comparing: the lower-cased name, and 0x20 where there is a letter, so
 * that ((x ^ lower) & ~fold) is 0 in either case and for nothing else.
 */
static struct {
	uint8_t	 lower[NAME_MAX_LEN];
	uint8_t	 fold[NAME_MAX_LEN];
} shapes[H_COUNT];

static uint8_t	slots[SLOTS];
static uint32_t	factor;

static inline uint32_t
key_of(const char *p, size_t n)
{
	uint32_t a = (unsigned char)p[0], b = (unsigned char)p[n / 2], c = (unsigned char)p[n - 1];

	return (uint32_t)n | (a | 0x20) << 8 | (b | 0x20) << 16 | (c | 0x20) << 24;
}

static inline unsigned
slot_of(uint32_t key)
{
	return (key * factor) >> (32 - SLOT_BITS);
}

static bool
place_all(void)
{
	unsigned i, s;

	memset(slots, 0, sizeof(slots));
	for (i = 1; i < H_COUNT; i++) {
		s = slot_of(key_of(names[i].text.p, names[i].text.n));
		if (slots[s] != 0)
			return false;
		slots[s] = (uint8_t)i;
	}
	return true;
}

static void
shape_all(void)
{
	unsigned i, k;

	for (i = 1; i < H_COUNT; i++) {
		struct weir_str t = names[i].text;

		assert(t.n <= NAME_MAX_LEN);
		str_lower((char *)shapes[i].lower, t.p, t.n);
		for (k = 0; k < t.n; k++) {
			unsigned c = shapes[i].lower[k];

			shapes[i].fold[k] = c >= 'a' && c <= 'z' ? 0x20 : 0;
		}
	}
}

/* Before main(): the same factor is found every time. */
__attribute__((constructor)) static void
names_init(void)
{
	unsigned tries;

	_Static_assert(H_COUNT <= UINT8_MAX, "a name's number fits a slot");
	shape_all();
	factor = 0x9e3779b1u;
	for (tries = 0; !place_all(); tries++) {
		if (tries == TRIES) {
			fputs("two known field names share length and letters\n", stderr);
			abort();
		}
		factor = factor * 1664525u + 1013904223u;
	}
}

static inline uint64_t
load8(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t
load4(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t
differ8(const char *p, unsigned i, size_t at)
{
	return (load8(p + at) ^ load8(shapes[i].lower + at)) & ~load8(shapes[i].fold + at);
}

static inline uint32_t
differ4(const char *p, unsigned i, size_t at)
{
	return (load4(p + at) ^ load4(shapes[i].lower + at)) & ~load4(shapes[i].fold + at);
}

/* Words, the last one overlapping the one before. */
static inline bool
same(const char *p, size_t n, unsigned i)
{
	size_t at;

	if (n >= 8) {
		for (at = 0; at + 8 < n; at += 8)
			if (differ8(p, i, at) != 0)
				return false;
		return differ8(p, i, n - 8) == 0;
	}
	if (n >= 4)
		return (differ4(p, i, 0) | differ4(p, i, n - 4)) == 0;
	for (at = 0; at < n; at++)
		if ((((unsigned char)p[at] ^ shapes[i].lower[at]) & ~shapes[i].fold[at]) != 0)
			return false;
	return true;
}

enum weir_known
name_find(struct weir_str s)
{
	unsigned i;

	if (unlikely(s.n == 0))
		return H_UNKNOWN;
	i = slots[slot_of(key_of(s.p, s.n))];
	if (i == 0 || s.n != names[i].text.n || !same(s.p, s.n, i))
		return H_UNKNOWN;
	return (enum weir_known)i;
}

struct weir_str
name_text(enum weir_known k)
{
	return names[k].text;
}

struct weir_str
name_lower(enum weir_known k)
{
	return str_of((const char *)shapes[k].lower, names[k].text.n);
}

bool
name_is_hop(enum weir_known k)
{
	return names[k].hop;
}
