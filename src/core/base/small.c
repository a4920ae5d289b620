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
	PAGE		= 4096,
	BLANK_MIN	= 512,			/* smaller ones are not worth it */
	BLANK_EVERY	= 16,			/* blocks, and the pages are looked at */
	LARGE_MIN	= 16384, LARGE_MAX = 20480, LARGE_KEEP = 4
};

struct slice {
	void		*free;		/* blocks that were given back */
	struct slice	*next, *prev;	/* of those of its size that have room; free ones use next only */
	uint32_t	 cut;		/* bytes that were ever given out */
	uint16_t	 used, most;	/* blocks */
	uint16_t	 size;
	bool		 listed;
	bool		 blank;		/* of blocks that are expected to stay zero */
	uint8_t		 taken;		/* since pages were looked at */
	uint64_t	 touched;	/* a bit for each page that may not be the system's page of zeros */
};

_Static_assert(SLICE / PAGE == 64, "a bit for each page");

static char		*base;		/* NULL: everything is malloc()'s */
static struct slice	*slices;
static struct slice	*roomy[2][CLASSES];	/* [1]: blank ones */
static struct slice	*clean;		/* free ones with pages */
static struct slice	*bare;		/* and without */
static unsigned		 n_clean, n_usable;	/* clean ones are counted in mem_spares, too */
static size_t		 in_use;
static bool		 blank;		/* see small_blank() */
static __thread bool	 first;		/* this is the thread that all of it belongs to */
static _Atomic(void *)	 strays;	/* given back by another */

/* Buffers for records of TLS come and go with each of them, and are what malloc() takes longest for. */
static struct {
	void	*p;
	size_t	 size;
} large[LARGE_KEEP];
static unsigned n_large;

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

static inline struct slice **
list_of(const struct slice *s)
{
	return &roomy[s->blank][s->size / STEP];
}

static void
list_it(struct slice *s)
{
	struct slice **head = list_of(s);

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
		*list_of(s) = s->next;
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
slice_new(size_t size, bool is_blank)
{
	struct slice **from = clean != NULL ? &clean : &bare, *s;

	if (*from == NULL && !grow())
		return NULL;
	s = *from;
	*from = s->next;
	if (from == &clean) {
		n_clean--;
		mem_spares -= SLICE;
	}
	s->free = NULL;
	s->cut = 0;
	s->used = 0;
	s->size = (uint16_t)size;
	s->most = (uint16_t)(SLICE / size);
	s->blank = is_blank;
	s->taken = 0;
	s->touched = ~0ull;
	list_it(s);
	return s;
}

static void
strip(struct slice *s)
{
	madvise(start_of(s), SLICE, MADV_DONTNEED);
	s->next = bare;
	bare = s;
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
		mem_spares += SLICE;
		return;
	}
	strip(s);
}

/* For mem_trim(). */
static void
give_back(void)
{
	struct slice *s;

	while ((s = clean) != NULL) {
		clean = s->next;
		strip(s);
	}
	mem_spares -= n_clean * (size_t)SLICE;
	n_clean = 0;
}

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
	mem_on_trim(give_back);
	base = (char *)(((uintptr_t)p + SLICE - 1) & ~(uintptr_t)(SLICE - 1));
	first = true;
}

/* ---- pages of zeros ---- */

static bool
is_zero(const char *page)
{
	return *(const uint64_t *)page == 0 && memcmp(page, page + sizeof(uint64_t), PAGE - sizeof(uint64_t)) == 0;
}

/* Pages in a row go in one call. */
static void
give_zeros(struct slice *s)
{
	char *start = start_of(s);
	unsigned pages = (s->cut + PAGE - 1) / PAGE, end;

	for (unsigned i = 0; i < pages; i = end + 1) {
		for (end = i; end < pages && (s->touched >> end & 1) && is_zero(start + end * PAGE); end++)
			;
		if (end != i && madvise(start + i * PAGE, (end - i) * PAGE, MADV_DONTNEED) == 0)
			s->touched &= ~((~0ull >> (64 - (end - i))) << i);
	}
	s->taken = 0;
}

static void
touch(struct slice *s, const void *p)
{
	size_t at = (size_t)((const char *)p - start_of(s));

	for (size_t i = at / PAGE; i <= (at + s->size - 1) / PAGE; i++)
		s->touched |= 1ull << i;
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
	if (unlikely(s->blank))
		touch(s, p);
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
	bool b = blank && n >= BLANK_MIN;
	struct slice *s = roomy[b][c];
	void *p;

	if (unlikely(s == NULL)) {
		if (atomic_load(&strays) != NULL)
			fetch();
		s = roomy[b][c] != NULL ? roomy[b][c] : slice_new(c * STEP, b);
		if (s == NULL)
			return NULL;
	}
	if (unlikely(b) && (++s->taken >= BLANK_EVERY || s->used + 1 == s->most))
		give_zeros(s);
	if (s->free != NULL) {
		p = s->free;
		s->free = *(void **)p;
	} else {
		p = start_of(s) + s->cut;
		s->cut += s->size;
	}
	if (unlikely(b))
		touch(s, p);
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

void
small_blank(bool on)
{
	blank = on && first;
}

size_t
small_in_use(void)
{
	return in_use;
}
