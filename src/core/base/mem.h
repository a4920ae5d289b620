/*
 * mem.h - where memory comes from.
 *
 * A small allocation that fails must hurt one client and nobody else.  So
 * none of these returns NULL: when the system has no memory, they fall back to
 * a reserve that mem_reserve() set aside at start, and raise mem_low().  Who
 * begins something new (accept, a request) asks mem_low() first and refuses
 * with 503 or a close; what already runs can finish on the reserve.  Only when
 * that is used up too does the process abort, and the master starts another.
 *
 * Anything whose size a peer decides must be bounded by its owner first.
 */
#ifndef WEIR_BASE_MEM_H
#define WEIR_BASE_MEM_H

#include "core/base/defs.h"

void	*mem_alloc(size_t) __attribute__((malloc, alloc_size(1)));
void	*mem_zalloc(size_t) __attribute__((malloc, alloc_size(1)));
void	*mem_realloc(void *, size_t old, size_t size);
/* What is large and can be done without: NULL when there is no memory; the reserve is not touched. */
void	*mem_try(size_t) __attribute__((malloc, alloc_size(1)));
void	 mem_free(void *);		/* NULL is fine */

/* Set `size` bytes aside for bad times.  Called once in each process. */
void	 mem_reserve(size_t size);
/* An allocation failed recently, and memory has not been seen to come back. */
bool	 mem_low(void);
/* Low, and half of the reserve is gone: who reads for a connection ends it instead of growing. */
bool	 mem_scarce(void);

/*
 * Freeing many blocks leaves holes that the allocator keeps.  Who gives large blocks back to the system
 * says so with mem_shed(); mem_trim() returns the holes when that has become worth a system call.
 */
void	 mem_shed(size_t);
bool	 mem_trim_due(void);
void	 mem_trim(void);
/*
 * Free lists that keep blocks for the next user count them here, and give all of them back when
 * mem_trim() calls.  So a burst leaves nothing behind, and a busy process keeps what it needs.
 */
extern size_t mem_spares;
void	 mem_on_trim(void (*give_back)(void));

/* For tests: the nth allocation from now on fails, and `count` after it. */
void	 mem_fail_at(unsigned nth, unsigned count);
bool	 mem_will_fail(void);		/* some of them are still to come */

/*
 * A free list of equal objects, for what comes and goes with every request.
 * Blocks of objects are taken from the system and never given back singly;
 * objects are not cleared.
 */
struct weir_slab {
	const char	*name;
	size_t		 size;		/* of an object, at least a pointer */
	void		*free;
	unsigned	 in_use, total;
};

#define WEIR_SLAB(type)	{ .name = #type, .size = sizeof(struct type) }

void	*slab_take(struct weir_slab *);
void	 slab_give(struct weir_slab *, void *);

/*
 * Objects of any size that live long beside ones that live short: kept apart from the others in slabs of
 * like size, so that they do not pin the pages of what is freed around them.  Zeroed.
 */
void	*slab_sized_take(size_t);
void	 slab_sized_give(void *, size_t);

#endif
