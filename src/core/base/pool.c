/*
 * pool.c - memory that is freed as a whole.
 *
 * A pool is a list of chunks; the pool's own struct sits in the first one,
 * behind the chunk's header.  Chunks of 1k to 16k are kept on free lists, a
 * megabyte of each size at most, so that a flood leaves little behind.
 * What is too large for a chunk gets one of its own, and the pool goes on with
 * the chunk it had.
 */
#include <stdio.h>

#include "core/base/mem.h"
#include "core/base/pool.h"

#define ALIGN		_Alignof(max_align_t)
#define CLASSES		5			/* 1k << 0 ... 1k << 4 */
#define KEEP_BYTES	((size_t)2 << 20)	/* on each free list, until mem_trim() */
#define LARGE		(POOL_CHUNK_MAX / 4)

struct chunk {
	_Alignas(max_align_t) struct chunk *next;
	size_t	 size;				/* with this header */
};

struct weir_cleanup {
	struct weir_cleanup	*next;
	void			(*fn)(void *);	/* NULL: taken back */
	void			*arg;
};

struct weir_pool {
	_Alignas(max_align_t) char *at;		/* what is free of the current chunk */
	char			*end;
	struct chunk		*chunks;	/* the first chunk, which holds us, is the last */
	struct weir_cleanup	*cleanups;
	size_t			 size;
	size_t			 next;		/* size of the next ordinary chunk */
};

static struct {
	struct chunk	*list;
	size_t		 bytes;
} spare[CLASSES];

static unsigned
class_of(size_t size)
{
	unsigned c = 0;

	while (((size_t)POOL_CHUNK_MIN << c) < size)
		c++;
	return c;
}

static size_t
chunk_size(size_t size)
{
	if (WEIR_ASAN || size > POOL_CHUNK_MAX)
		return size;
	return (size_t)POOL_CHUNK_MIN << class_of(size);
}

static void
give_back(void)
{
	for (unsigned k = 0; k < CLASSES; k++) {
		struct chunk *c;

		while ((c = spare[k].list) != NULL) {
			spare[k].list = c->next;
			mem_free(c);
		}
		mem_spares -= spare[k].bytes;
		spare[k].bytes = 0;
	}
}

static struct chunk *
chunk_take(size_t size)
{
	struct chunk *c;

	size = chunk_size(size);
	if (!WEIR_ASAN && size <= POOL_CHUNK_MAX) {
		unsigned k = class_of(size);

		if (likely((c = spare[k].list) != NULL)) {
			spare[k].list = c->next;
			spare[k].bytes -= size;
			mem_spares -= size;
			return c;
		}
	}
	mem_on_trim(give_back);
	c = mem_alloc(size);
	c->size = size;
	return c;
}

static void
chunk_give(struct chunk *c)
{
	if (!WEIR_ASAN && c->size <= POOL_CHUNK_MAX) {
		unsigned k = class_of(c->size);

		if (likely(spare[k].bytes < KEEP_BYTES)) {
			c->next = spare[k].list;
			spare[k].list = c;
			spare[k].bytes += c->size;
			mem_spares += c->size;
			return;
		}
	}
	mem_shed(c->size);
	mem_free(c);
}

struct weir_pool *
pool_new(size_t first)
{
	size_t			 own = sizeof(struct chunk) + sizeof(struct weir_pool);
	struct chunk		*c;
	struct weir_pool	*p;

	if (first < POOL_CHUNK_MIN)
		first = POOL_CHUNK_MIN;
	c = chunk_take(WEIR_ASAN ? own : first);
	c->next = NULL;
	p = (struct weir_pool *)(c + 1);
	p->at = (char *)(p + 1);
	p->end = (char *)c + c->size;
	p->chunks = c;
	p->cleanups = NULL;
	p->size = c->size;
	p->next = WEIR_MIN(chunk_size(first) * 2, POOL_CHUNK_MAX);
	return p;
}

void
pool_free(struct weir_pool *p)
{
	struct chunk		*c, *next;
	struct weir_cleanup	*cl;

	if (p == NULL)
		return;
	/* A cleanup may still allocate from the pool, and add cleanups. */
	while ((cl = p->cleanups) != NULL) {
		p->cleanups = cl->next;
		if (cl->fn != NULL)
			cl->fn(cl->arg);
	}
	for (c = p->chunks; c != NULL; c = next) {
		next = c->next;
		chunk_give(c);
	}
}

/* Too much for any size that can be: mem_alloc() then says so and aborts. */
static size_t
with_header(size_t size)
{
	size_t all;

	return weir_add(size, sizeof(struct chunk), &all) ? SIZE_MAX / 2 : all;
}

/* Under AddressSanitizer each allocation has a chunk of its own, with red zones around it. */
static void * __attribute__((noinline))
alloc_slow(struct weir_pool *p, size_t size)
{
	struct chunk	*c;
	bool		 own = WEIR_ASAN || size > LARGE;

	c = chunk_take(own ? with_header(size) : WEIR_MAX(p->next, with_header(size)));
	c->next = p->chunks;
	p->chunks = c;
	p->size += c->size;
	if (!own) {
		p->at = (char *)(c + 1) + size;
		p->end = (char *)c + c->size;
		p->next = WEIR_MIN(p->next * 2, POOL_CHUNK_MAX);
	}
	return c + 1;
}

void *
pool_alloc(struct weir_pool *p, size_t size)
{
	char *at = (char *)(((uintptr_t)p->at + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));

	if (unlikely(WEIR_ASAN || at > p->end || size > (size_t)(p->end - at)))
		return alloc_slow(p, size);
	p->at = at + size;
	return at;
}

char *
pool_bytes(struct weir_pool *p, size_t size)
{
	char *at = p->at;

	if (unlikely(WEIR_ASAN || size > (size_t)(p->end - at)))
		return alloc_slow(p, size);
	p->at += size;
	return at;
}

void *
pool_zalloc(struct weir_pool *p, size_t size)
{
	return memset(pool_alloc(p, size), 0, size);
}

void *
pool_dup(struct weir_pool *p, const void *from, size_t size)
{
	void *to = pool_alloc(p, size);

	return size != 0 ? memcpy(to, from, size) : to;
}

struct weir_str
pool_str(struct weir_pool *p, struct weir_str s)
{
	char *to = pool_bytes(p, s.n);

	if (s.n != 0)
		memcpy(to, s.p, s.n);
	return str_of(to, s.n);
}

char *
pool_cstr(struct weir_pool *p, struct weir_str s)
{
	char *to = pool_bytes(p, with_header(s.n) - sizeof(struct chunk) + 1);

	if (s.n != 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
	return to;
}

struct weir_str
pool_vprintf(struct weir_pool *p, const char *fmt, va_list ap)
{
	size_t	 room = (size_t)(p->end - p->at);
	va_list	 again;
	char	*to = p->at;
	int	 n;

	/* Mostly it fits what is left of the chunk, and is formatted once. */
	va_copy(again, ap);
	n = vsnprintf(WEIR_ASAN ? NULL : to, WEIR_ASAN ? 0 : room, fmt, ap);
	if (n < 0)
		n = 0;
	else if (WEIR_ASAN || (size_t)n >= room) {
		to = pool_bytes(p, (size_t)n + 1);
		vsnprintf(to, (size_t)n + 1, fmt, again);
	} else
		p->at += n + 1;
	va_end(again);
	return str_of(to, (size_t)n);
}

struct weir_str
pool_printf(struct weir_pool *p, const char *fmt, ...)
{
	struct weir_str	s;
	va_list		ap;

	va_start(ap, fmt);
	s = pool_vprintf(p, fmt, ap);
	va_end(ap);
	return s;
}

struct weir_cleanup *
pool_on_free(struct weir_pool *p, void (*fn)(void *), void *arg)
{
	struct weir_cleanup *c = pool_alloc(p, sizeof(*c));

	c->fn = fn;
	c->arg = arg;
	c->next = p->cleanups;
	p->cleanups = c;
	return c;
}

void
pool_off(struct weir_cleanup *c)
{
	c->fn = NULL;
}

size_t
pool_size(const struct weir_pool *p)
{
	return p->size;
}

void *
pool_grow(struct weir_pool *p, const void *v, unsigned n, unsigned *room, size_t each)
{
	unsigned	 more;
	size_t		 bytes, had = *room * each;
	void		*to;

	if (weir_mul(*room, 2u, &more))
		more = UINT32_MAX;
	if (more < 4)
		more = 4;
	if (weir_mul((size_t)more, each, &bytes))
		bytes = SIZE_MAX / 2;

	/* The last thing that was allocated can grow where it is. */
	if (!WEIR_ASAN && v != NULL && (const char *)v + had == p->at &&
	    bytes - had <= (size_t)(p->end - p->at)) {
		p->at += bytes - had;
		*room = more;
		return (void *)(uintptr_t)v;
	}
	to = pool_alloc(p, bytes);
	if (n != 0)
		memcpy(to, v, n * each);
	*room = more;
	return to;
}
