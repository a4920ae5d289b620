/*
 * hash.h - a map from byte strings to pointers, in a pool.
 *
 * Open addressing, grows by doubling; keys are views and must outlive the map.
 * Hashing is keyed with a secret of the process (SipHash-1-3), so that a peer
 * who chooses keys cannot choose collisions.
 */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include "core/base/pool.h"

struct weir_hash_slot {
	struct weir_str	 key;
	void		*value;		/* NULL: empty */
	uint32_t	 hash;
};

struct weir_hash {
	struct weir_pool	*pool;
	struct weir_hash_slot	*slot;
	unsigned		 n, room;	/* room: 0 or a power of two */
	bool			 nocase;	/* ASCII case does not matter */
};

void	 hash_init(struct weir_hash *, struct weir_pool *, bool nocase);
void	*hash_get(const struct weir_hash *, struct weir_str key);
/* Returns the value that was there before, or NULL. `value` is not NULL. */
void	*hash_put(struct weir_hash *, struct weir_str key, void *value);
/* Iterate: for (i = 0; (s = hash_next(h, &i)) != NULL; ) in no order. */
const struct weir_hash_slot *hash_next(const struct weir_hash *, unsigned *i);

uint64_t siphash(const void *, size_t);		/* with the process's secret */
uint64_t siphash_with(const uint64_t key[2], const void *, size_t);	/* with another one */
void	 hash_seed(const uint8_t key[16]);	/* once, before the first use */

#endif
