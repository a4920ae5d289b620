/*
 * mem.c - allocation that does not fail, a reserve for bad times, and slabs.
 *
 * The reserve is a stack of ordinary blocks.  When the system refuses an
 * allocation, blocks are given back to it one by one until it works; mem_low()
 * takes them again, and says that all is well only when every one is back.
 * The process has one thread; nothing here is locked.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/log.h"
#include "core/base/mem.h"

#define RESERVE_BLOCK	((size_t)65536)
#define TRIM_BYTES	((size_t)1 << 20)	/* so much to give back is worth a malloc_trim() */
#define SIZED_STEP	64
#define SIZED_CLASSES	33			/* up to 2 kB */

struct block {
	struct block *next;
};

static struct block	*reserve;
static unsigned		 reserve_n, reserve_full;	/* blocks there are, and should be */
static bool		 low;

/* Allocations until one fails on purpose, and how many do so after it. */
static uint64_t		 fail_in, fail_count;

static bool
fails_now(void)
{
	if (likely(fail_in == 0))
		return false;
	if (fail_in > 1) {
		fail_in--;
		return false;
	}
	if (fail_count == 0)
		fail_in = 0;
	else
		fail_count--;
	return true;
}

void
mem_fail_at(unsigned nth, unsigned count)
{
	fail_in = nth;
	fail_count = nth != 0 ? count : 0;
}

bool
mem_will_fail(void)
{
	return fail_in != 0;
}

static bool
reserve_add(void)
{
	struct block *b;

	if (fail_in == 1 || (b = malloc(RESERVE_BLOCK)) == NULL)
		return false;
	/* Touch every page, or the memory is only promised (overcommit). */
	memset(b, 0x5a, RESERVE_BLOCK);
	b->next = reserve;
	reserve = b;
	reserve_n++;
	return true;
}

static bool
reserve_drop(void)
{
	struct block *b = reserve;

	if (b == NULL)
		return false;
	reserve = b->next;
	reserve_n--;
	free(b);
	return true;
}

void
mem_reserve(size_t size)
{
	reserve_full = (unsigned)((size + RESERVE_BLOCK - 1) / RESERVE_BLOCK);
	while (reserve_n > reserve_full)
		reserve_drop();
	while (reserve_n < reserve_full && reserve_add())
		;
	low = reserve_n < reserve_full;
}

bool
mem_low(void)
{
	if (likely(!low))
		return false;
	while (reserve_n < reserve_full && reserve_add())
		;
	low = reserve_n < reserve_full || fail_in == 1;
	return low;
}

bool
mem_scarce(void)
{
	return unlikely(low) && mem_low() && 2 * reserve_n <= reserve_full;
}

static void *
from_reserve(void *old, size_t size)
{
	void *p;

	low = true;
	while (reserve_drop())
		if ((p = realloc(old, size)) != NULL)
			return p;
	log_alertx(weir_log, "out of memory: %zu bytes were refused and the reserve is used up",
	    size);
	abort();
}

void *
mem_alloc(size_t size)
{
	void *p;

	if (size == 0)
		size = 1;
	if (likely(!fails_now() && (p = malloc(size)) != NULL))
		return p;
	return from_reserve(NULL, size);
}

void *
mem_try(size_t size)
{
	return likely(!fails_now()) ? malloc(size != 0 ? size : 1) : NULL;
}

void *
mem_zalloc(size_t size)
{
	void *p;

	if (size == 0)
		size = 1;
	if (likely(!fails_now() && (p = calloc(1, size)) != NULL))
		return p;
	return memset(from_reserve(NULL, size), 0, size);
}

void *
mem_realloc(void *old, size_t old_size, size_t size)
{
	void *p;

	(void)old_size;		/* for an allocator that has to copy */
	if (size == 0)
		size = 1;
	if (likely(!fails_now() && (p = realloc(old, size)) != NULL))
		return p;
	return from_reserve(old, size);
}

void
mem_free(void *p)
{
	free(p);
}

/*
 * Holes.
 */

static size_t shed;

void
mem_shed(size_t size)
{
	shed += size;
}

size_t mem_spares;

static void	(*trimmers[4])(void);
static unsigned	 n_trimmers;

void
mem_on_trim(void (*give_back)(void))
{
	for (unsigned i = 0; i < n_trimmers; i++)
		if (trimmers[i] == give_back)
			return;
	assert(n_trimmers < WEIR_COUNT(trimmers));
	trimmers[n_trimmers++] = give_back;
}

bool
mem_trim_due(void)
{
	return shed + mem_spares >= TRIM_BYTES;
}

void
mem_trim(void)
{
	for (unsigned i = 0; i < n_trimmers; i++)
		trimmers[i]();
	shed = 0;
	malloc_trim(0);
}

/*
 * Slabs.
 */

static struct weir_slab sized[SIZED_CLASSES];

static struct weir_slab *
sized_of(size_t size)
{
	size_t k = (size + SIZED_STEP - 1) / SIZED_STEP;

	if (k >= SIZED_CLASSES)
		return NULL;
	sized[k].name = "sized";
	sized[k].size = WEIR_MAX(k, (size_t)1) * SIZED_STEP;
	return &sized[k];
}

void *
slab_sized_take(size_t size)
{
	struct weir_slab *s = sized_of(size);

	return s != NULL ? memset(slab_take(s), 0, size) : mem_zalloc(size);
}

void
slab_sized_give(void *p, size_t size)
{
	struct weir_slab *s = sized_of(size);

	if (s != NULL)
		slab_give(s, p);
	else
		mem_free(p);
}

#if WEIR_ASAN

/* Recycled objects would hide every use after free: take each from the system. */
void *
slab_take(struct weir_slab *s)
{
	s->in_use++;
	if (s->total < s->in_use)
		s->total = s->in_use;
	return mem_alloc(s->size);
}

void
slab_give(struct weir_slab *s, void *p)
{
	assert(s->in_use > 0);
	s->in_use--;
	mem_free(p);
}

#else

#define SLAB_BLOCK	((size_t)32768)

static size_t
slab_stride(const struct weir_slab *s)
{
	size_t align = s->size < _Alignof(max_align_t) ? sizeof(void *) : _Alignof(max_align_t);
	size_t size = WEIR_MAX(s->size, sizeof(void *));

	return (size + align - 1) & ~(align - 1);
}

static void
slab_fill(struct weir_slab *s)
{
	size_t	 stride = slab_stride(s), n = SLAB_BLOCK / stride, i;
	char	*p;

	n = WEIR_MIN(WEIR_MAX(n, 4), 128);
	p = mem_alloc(n * stride);
	/* Lowest address first: neighbours are taken together. */
	for (i = n; i-- > 0; ) {
		void *o = p + i * stride;

		*(void **)o = s->free;
		s->free = o;
	}
	s->total += (unsigned)n;
}

void *
slab_take(struct weir_slab *s)
{
	void *o;

	if (unlikely(s->free == NULL))
		slab_fill(s);
	o = s->free;
	s->free = *(void **)o;
	s->in_use++;
	return o;
}

void
slab_give(struct weir_slab *s, void *o)
{
	assert(s->in_use > 0);
	*(void **)o = s->free;
	s->free = o;
	s->in_use--;
}

#endif
