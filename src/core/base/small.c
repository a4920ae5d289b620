/*
 * small.c - memory for libraries: blocks of any size, given back without saying how large they are.
 *
 * A range of addresses is reserved at start, and cut in slices of 256k.  A slice has blocks of one size, in steps of
 * 16 bytes.  Where a block lies tells its slice, and what is known about the slice is kept elsewhere, so
 * that it costs no page that blocks could have.
 *
 *	free slice --> has room (in the list of its size) <--> full (in no list)
 *	     ^-----------------/ when nothing in it is used any more, and others have room, too
 */
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "core/base/mem.h"
#include "core/base/small.h"

enum {
	STEP		= 16,
	CLASSES		= SMALL_MOST / STEP + 1,
	SLICE_BITS	= 18,
	SLICE		= 1 << SLICE_BITS,
	SLICES		= 1 << 14,		/* 4 GB */
	GROW		= 4,			/* slices that are made usable at once */
	KEEP_CLEAN	= 4,			/* free slices whose pages are kept */
	LARGE_MIN	= 16384, LARGE_MAX = 20480, LARGE_KEEP = 4
};

struct slice {
	void		*free;		/* blocks that were given back */
	struct slice	*next, *prev;	/* of those of its size that have room; free ones use next only */
	uint32_t	 cut;		/* bytes that were ever given out */
	uint16_t	 used, most;	/* blocks */
	uint16_t	 size;
	bool		 listed;
};

static char		*base;		/* NULL: everything is malloc()'s */
static struct slice	*slices;
static struct slice	*roomy[CLASSES];
static struct slice	*clean;		/* free ones with pages */
static struct slice	*bare;		/* and without */
static unsigned		 n_clean, n_usable;
static size_t		 in_use;
static __thread bool	 first;		/* this is the thread that all of it belongs to */
static _Atomic(void *)	 strays;	/* given back by another */

/* Buffers for records of TLS come and go with each of them, and are what malloc() takes longest for. */
static struct {
	void	*p;
	size_t	 size;
} large[LARGE_KEEP];
static unsigned n_large;

void
small_begin(void)
{
	struct rlimit limit;
	char *p;

	if (WEIR_ASAN || base != NULL || getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY)
		return;
	p = mmap(NULL, ((size_t)SLICES + 1) * SLICE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return;
	slices = mmap(NULL, SLICES * sizeof *slices, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (slices == MAP_FAILED) {
		munmap(p, ((size_t)SLICES + 1) * SLICE);
		return;
	}
	(void)madvise(p, ((size_t)SLICES + 1) * SLICE, MADV_NOHUGEPAGE);	/* a block would take 2 MB */
	base = (char *)(((uintptr_t)p + SLICE - 1) & ~(uintptr_t)(SLICE - 1));
	first = true;
}

static inline bool
is_ours(const void *p)
{
	return (uintptr_t)p - (uintptr_t)base < (size_t)SLICES << SLICE_BITS && base != NULL;
}

static inline struct slice *
slice_of(const void *p)
{
	return &slices[((uintptr_t)p - (uintptr_t)base) >> SLICE_BITS];
}

static inline char *
start_of(const struct slice *s)
{
	return base + ((size_t)(s - slices) << SLICE_BITS);
}

/* ---- slices ---- */

static void
list_it(struct slice *s)
{
	struct slice **head = &roomy[s->size / STEP];

	s->prev = NULL;
	s->next = *head;
	if (*head != NULL)
		(*head)->prev = s;
	*head = s;
	s->listed = true;
}

static void
unlist(struct slice *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		roomy[s->size / STEP] = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	s->listed = false;
}

static bool
grow(void)
{
	char *p = base + ((size_t)n_usable << SLICE_BITS);

	if (n_usable + GROW > SLICES || mprotect(p, (size_t)GROW * SLICE, PROT_READ | PROT_WRITE) != 0)
		return false;
	for (unsigned i = GROW; i-- > 0; ) {	/* lowest address first */
		struct slice *s = &slices[n_usable + i];

		s->next = bare;
		bare = s;
	}
	n_usable += GROW;
	return true;
}

static struct slice *
slice_new(size_t size)
{
	struct slice **from = clean != NULL ? &clean : &bare, *s;

	if (*from == NULL && !grow())
		return NULL;
	s = *from;
	*from = s->next;
	n_clean -= from == &clean;
	s->free = NULL;
	s->cut = 0;
	s->used = 0;
	s->size = (uint16_t)size;
	s->most = (uint16_t)(SLICE / size);
	list_it(s);
	return s;
}

/* Nothing in it is used.  The last one of its size stays: who takes one block takes more. */
static void
slice_free(struct slice *s)
{
	if (s->next == NULL && s->prev == NULL)
		return;
	unlist(s);
	if (n_clean < KEEP_CLEAN) {
		s->next = clean;
		clean = s;
		n_clean++;
		return;
	}
	madvise(start_of(s), SLICE, MADV_DONTNEED);
	s->next = bare;
	bare = s;
}

/* ---- blocks ---- */

static void
give(void *p)
{
	struct slice *s = slice_of(p);

	*(void **)p = s->free;
	s->free = p;
	s->used--;
	in_use--;
	if (!s->listed)
		list_it(s);
	if (s->used == 0)
		slice_free(s);
}

/* Another thread gives back what this one took: it is left here for it. */
static void
leave(void *p)
{
	void *head = atomic_load(&strays);

	do
		*(void **)p = head;
	while (!atomic_compare_exchange_weak(&strays, &head, p));
}

static void
fetch(void)
{
	void *p = atomic_exchange(&strays, NULL), *next;

	for (; p != NULL; p = next) {
		next = *(void **)p;
		give(p);
	}
}

static void *
take(size_t n)
{
	size_t c = n != 0 ? (n + STEP - 1) / STEP : 1;
	struct slice *s = roomy[c];
	void *p;

	if (unlikely(s == NULL)) {
		if (atomic_load(&strays) != NULL)
			fetch();
		s = roomy[c] != NULL ? roomy[c] : slice_new(c * STEP);
		if (s == NULL)
			return NULL;
	}
	if (s->free != NULL) {
		p = s->free;
		s->free = *(void **)p;
	} else {
		p = start_of(s) + s->cut;
		s->cut += s->size;
	}
	in_use++;
	if (++s->used == s->most)
		unlist(s);
	return p;
}

static void *
take_large(size_t n)
{
	if (n_large != 0 && n >= LARGE_MIN && large[n_large - 1].size >= n)
		return large[--n_large].p;
	return malloc(n != 0 ? n : 1);
}

void *
small_try(size_t n)
{
	void *p;

	if (unlikely(!first))
		return malloc(n != 0 ? n : 1);
	if (n > SMALL_MOST)
		return take_large(n);
	p = take(n);
	return likely(p != NULL) ? p : malloc(n != 0 ? n : 1);
}

void
small_free(void *p)
{
	size_t size;

	if (p == NULL)
		return;
	if (likely(is_ours(p))) {
		if (likely(first))
			give(p);
		else
			leave(p);
		return;
	}
	if (first && n_large < LARGE_KEEP && (size = malloc_usable_size(p)) >= LARGE_MIN && size <= LARGE_MAX) {
		large[n_large].p = p;
		large[n_large++].size = size;
		return;
	}
	free(p);
}

void *
small_retry(void *old, size_t n)
{
	size_t had;
	void *p;

	if (old == NULL)
		return small_try(n);
	if (!is_ours(old))
		return realloc(old, n != 0 ? n : 1);
	had = slice_of(old)->size;
	if (n <= had && n + n >= had)
		return old;
	p = small_try(n);
	if (p == NULL)
		return NULL;
	memcpy(p, old, WEIR_MIN(had, n));
	small_free(old);
	return p;
}

size_t
small_size(void *p)
{
	return is_ours(p) ? slice_of(p)->size : malloc_usable_size(p);
}

size_t
small_in_use(void)
{
	return in_use;
}
