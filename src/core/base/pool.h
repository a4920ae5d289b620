/*
 * pool.h - memory that is freed as a whole.
 *
 * A cycle, a connection and a request each have a pool; what belongs to them
 * comes from it and is never freed singly.  Chunks start small, because an
 * idle tunnel keeps its request's pool, and double up to POOL_CHUNK_MAX.
 * Nothing here returns NULL (see mem.h).
 */
#ifndef WEIR_BASE_POOL_H
#define WEIR_BASE_POOL_H

#include <stdarg.h>

#include "core/base/str.h"

#define POOL_CHUNK_MIN	1024
#define POOL_CHUNK_MAX	16384

struct weir_pool;

/*
 * A new pool.  Its first chunk is `first` bytes long (0: POOL_CHUNK_MIN), the pool
 * itself included, rounded up to a power of two when it is at most POOL_CHUNK_MAX: those
 * come from free lists, so that making and freeing a pool with every request costs
 * next to nothing.
 */
struct weir_pool *pool_new(size_t first);
/* Runs the cleanups, latest first, then frees everything.  NULL is fine. */
void	 pool_free(struct weir_pool *);

void	*pool_alloc(struct weir_pool *, size_t);	/* aligned for any type */
void	*pool_zalloc(struct weir_pool *, size_t);
char	*pool_bytes(struct weir_pool *, size_t);	/* not aligned: for text */
void	*pool_dup(struct weir_pool *, const void *, size_t);
struct weir_str pool_str(struct weir_pool *, struct weir_str);
char	*pool_cstr(struct weir_pool *, struct weir_str);
struct weir_str pool_printf(struct weir_pool *, const char *, ...) WEIR_PRINTF(2, 3);
struct weir_str pool_vprintf(struct weir_pool *, const char *, va_list);

#define POOL_NEW(pool, type)	((struct type *)pool_zalloc((pool), sizeof(struct type)))

/* Call fn(arg) when the pool is freed.  Returns a handle for pool_off(). */
struct weir_cleanup;
struct weir_cleanup *pool_on_free(struct weir_pool *, void (*fn)(void *), void *arg);
/* Forget that cleanup: fn will not be called. */
void	 pool_off(struct weir_cleanup *);

/* Bytes held from the system, for accounting. */
size_t	 pool_size(const struct weir_pool *);

/*
 * A growing array in a pool: `struct { T *v; unsigned n, room; }`.
 * POOL_PUSH gives the address of a new, zeroed element at the end.
 */
#define POOL_PUSH(pool, a)						\
	((a)->n == (a)->room						\
	    ? (void)((a)->v = pool_grow((pool), (a)->v, (a)->n, &(a)->room, sizeof(*(a)->v))) \
	    : (void)0,							\
	 memset(&(a)->v[(a)->n], 0, sizeof(*(a)->v)),			\
	 &(a)->v[(a)->n++])
/* Doubles the room; the old array stays where it was, unless it could grow in place. */
void	*pool_grow(struct weir_pool *, const void *v, unsigned n, unsigned *room, size_t each);

#endif
