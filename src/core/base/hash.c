/*
 * hash.c - a map from byte strings to pointers, and the hash behind it.
 *
 * SipHash-1-3 (Aumasson and Bernstein): one round for each eight bytes, three at
 * the end.  Without case, letters are lowered eight at a time on the way in.
 */
#include <endian.h>

#include "core/base/hash.h"

#define FIRST_ROOM 8

static uint64_t key0, key1;

static uint64_t
load8(const unsigned char *p)
{
	uint64_t w;

	memcpy(&w, p, 8);
	return le64toh(w);
}

void
hash_seed(const uint8_t key[16])
{
	key0 = load8(key);
	key1 = load8(key + 8);
}

/* Adds 0x20 to each byte that is an ASCII capital. */
static uint64_t
lower8(uint64_t w)
{
	const uint64_t	ones = 0x0101010101010101;
	uint64_t	low = w & ones * 0x7f;
	uint64_t	ge_a = low + ones * (0x80 - 'A'), gt_z = low + ones * (0x80 - 'Z' - 1);

	return w | ((ge_a & ~gt_z & ~w & ones * 0x80) >> 2);
}

static inline uint64_t
rotl(uint64_t w, unsigned by)
{
	return w << by | w >> (64 - by);
}

static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static inline uint64_t
sip(uint64_t k0, uint64_t k1, const void *data, size_t n, bool nocase)
{
	const unsigned char	*p = data;
	size_t			 i;
	unsigned char		 tail[8] = { 0 };
	uint64_t		 w, v[4] = {
		k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d,
		k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573,
	};

	for (i = n; i >= 8; i -= 8, p += 8) {
		w = nocase ? lower8(load8(p)) : load8(p);
		v[3] ^= w;
		sip_round(v);
		v[0] ^= w;
	}
	if (i != 0)
		memcpy(tail, p, i);
	w = nocase ? lower8(load8(tail)) : load8(tail);
	w |= (uint64_t)n << 56;
	v[3] ^= w;
	sip_round(v);
	v[0] ^= w;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t
siphash(const void *p, size_t n)
{
	return sip(key0, key1, p, n, false);
}

uint64_t
siphash_with(const uint64_t key[2], const void *p, size_t n)
{
	return sip(key[0], key[1], p, n, false);
}

void
hash_init(struct weir_hash *h, struct weir_pool *pool, bool nocase)
{
	*h = (struct weir_hash){ .pool = pool, .nocase = nocase };
}

static uint32_t
hash_of(const struct weir_hash *h, struct weir_str key)
{
	return (uint32_t)(h->nocase ? sip(key0, key1, key.p, key.n, true) :
	    sip(key0, key1, key.p, key.n, false));
}

/* The slot of that key, or the empty one where it would be.  There is always an empty one. */
static struct weir_hash_slot *
find(const struct weir_hash *h, struct weir_str key, uint32_t hash)
{
	unsigned		 i = hash & (h->room - 1);
	struct weir_hash_slot	*s;

	for (;; i = (i + 1) & (h->room - 1)) {
		s = &h->slot[i];
		if (s->value == NULL)
			return s;
		if (s->hash == hash &&
		    (h->nocase ? str_ieq(s->key, key) : str_eq(s->key, key)))
			return s;
	}
}

void *
hash_get(const struct weir_hash *h, struct weir_str key)
{
	return h->n != 0 ? find(h, key, hash_of(h, key))->value : NULL;
}

static void
grow(struct weir_hash *h)
{
	struct weir_hash old = *h;
	unsigned	 i, j;

	h->room = old.room != 0 ? old.room * 2 : FIRST_ROOM;
	assert(h->room > old.room);
	h->slot = pool_zalloc(h->pool, h->room * sizeof(*h->slot));
	for (i = 0; i < old.room; i++) {
		if (old.slot[i].value == NULL)
			continue;
		/* Keys differ: only an empty slot has to be found. */
		for (j = old.slot[i].hash & (h->room - 1); h->slot[j].value != NULL;
		    j = (j + 1) & (h->room - 1))
			;
		h->slot[j] = old.slot[i];
	}
}

void *
hash_put(struct weir_hash *h, struct weir_str key, void *value)
{
	uint32_t		 hash = hash_of(h, key);
	struct weir_hash_slot	*s;
	void			*old;

	assert(value != NULL);
	/* A quarter stays empty, so that chains of full slots stay short. */
	if (h->n >= h->room / 4 * 3)
		grow(h);
	s = find(h, key, hash);
	old = s->value;
	if (old == NULL) {
		s->key = key;
		s->hash = hash;
		h->n++;
	}
	s->value = value;
	return old;
}

const struct weir_hash_slot *
hash_next(const struct weir_hash *h, unsigned *i)
{
	while (*i < h->room) {
		const struct weir_hash_slot *s = &h->slot[(*i)++];

		if (s->value != NULL)
			return s;
	}
	return NULL;
}
