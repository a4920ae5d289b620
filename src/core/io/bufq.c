/*
 * bufq.c - a queue of bytes held in shared, counted segments.
 *
 * A segment brings its first reference with it, so that reading into a fresh
 * segment and dropping it again touches one free list and nothing else.  More
 * references are needed only where a segment is split between queues.
 *
 * A reference may be empty: bufq_room() hangs the segment that it offers on the
 * queue before there is anything in it.  Whoever walks a queue skips those.
 */
#include <errno.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/io/bufq.h"

#define KEEP_SMALL	256	/* segments on the free lists; more go back to the system */
#define KEEP_LARGE	64
#define COPY_MOVE	128	/* up to here a copy is cheaper than a reference */
#define REST_MIN	256	/* a tail's rest that is worth a vector of its own ... */
#define REST_ALONE	(SEG_LARGE / 4)	/* ... and one that is worth being the only one */

struct spare {
	struct weir_ref	*list;		/* the own references of segments */
	unsigned	 n, keep;
	uint32_t	 size;
	uint8_t		 kind;
};

static struct spare	spare_small = { NULL, 0, KEEP_SMALL, SEG_SMALL, SEG_IS_SMALL };
static struct spare	spare_large = { NULL, 0, KEEP_LARGE, SEG_LARGE, SEG_IS_LARGE };
static struct weir_slab	ref_slab = WEIR_SLAB(weir_ref);
static struct weir_slab	head_slab = WEIR_SLAB(weir_seg);	/* of views and files */
static size_t		outstanding;

/*
 * Segments and references.
 */

static void
empty(struct spare *sp)
{
	while (sp->list != NULL) {
		struct weir_seg *s = sp->list->seg;

		sp->list = sp->list->next;
		mem_spares -= sp->size;
		mem_free(s);
	}
	sp->n = 0;
}

static void
give_back(void)
{
	empty(&spare_small);
	empty(&spare_large);
}

static struct weir_seg *
seg_new(struct spare *sp)
{
	struct weir_ref *r = sp->list;
	struct weir_seg *s;

	outstanding += sizeof(*s) + sp->size;
	if (likely(r != NULL)) {
		sp->list = r->next;
		sp->n--;
		mem_spares -= sp->size;
		s = r->seg;
	} else {
		mem_on_trim(give_back);
		s = mem_alloc(sizeof(*s) + sp->size);
		s->size = sp->size;
		s->kind = sp->kind;
		s->data = (char *)(s + 1);
		s->own.seg = s;
	}
	s->refs = 1;
	s->used = 0;
	s->own.next = NULL;
	s->own.off = s->own.len = 0;
	return s;
}

static struct weir_seg *
seg_for(size_t n)
{
	return seg_new(n <= SEG_SMALL ? &spare_small : &spare_large);
}

static struct weir_ref *
head_new(uint8_t kind, uint64_t off, uint64_t len)
{
	struct weir_seg *s = slab_take(&head_slab);

	outstanding += sizeof(*s);
	s->refs = 1;
	s->size = s->used = 0;
	s->kind = kind;
	s->own = (struct weir_ref){ NULL, s, off, len };
	return &s->own;
}

static void
file_unref(struct weir_seg_file *f)
{
	assert(f->refs > 0);
	if (--f->refs == 0)
		f->close(f);
}

static void
head_free(struct weir_seg *s)
{
	struct weir_seg_file *f = s->kind == SEG_IS_FILE ? s->file : NULL;

	outstanding -= sizeof(*s);
	slab_give(&head_slab, s);
	if (f != NULL)
		file_unref(f);
}

static void
seg_free(struct weir_seg *s)
{
	struct spare *sp;

	if (s->size == 0) {
		head_free(s);
		return;
	}
	sp = s->kind == SEG_IS_LARGE ? &spare_large : &spare_small;
	outstanding -= sizeof(*s) + s->size;
	if (WEIR_ASAN || unlikely(sp->n >= sp->keep)) {
		mem_shed(s->size);
		mem_free(s);
		return;
	}
	s->own.next = sp->list;
	sp->list = &s->own;
	sp->n++;
	mem_spares += sp->size;
}

static struct weir_ref *
ref_new(struct weir_seg *s, uint64_t off, uint64_t len)
{
	struct weir_ref *r = slab_take(&ref_slab);

	outstanding += sizeof(*r);
	s->refs++;
	*r = (struct weir_ref){ NULL, s, off, len };
	return r;
}

static void
ref_free(struct weir_ref *r)
{
	struct weir_seg *s = r->seg;

	if (r != &s->own) {
		outstanding -= sizeof(*r);
		slab_give(&ref_slab, r);
	}
	if (--s->refs == 0)
		seg_free(s);
}

static inline bool
is_file(const struct weir_ref *r)
{
	return r->seg->kind == SEG_IS_FILE;
}

/* In memory of ours, which a copy could free. */
static inline bool
is_own(const struct weir_ref *r)
{
	return r->seg->size != 0;
}

static inline char *
at(const struct weir_ref *r)
{
	return r->seg->data + r->off;
}

static inline void
append(struct weir_bufq *q, struct weir_ref *r)
{
	r->next = NULL;
	if (q->tail != NULL)
		q->tail->next = r;
	else
		q->head = r;
	q->tail = r;
	q->len += r->len;
}

/* Takes the head off; whose bytes were counted is up to the caller. */
static inline struct weir_ref *
shift(struct weir_bufq *q)
{
	struct weir_ref *r = q->head;

	q->head = r->next;
	if (q->head == NULL)
		q->tail = NULL;
	return r;
}

/*
 * What can be written behind the tail: when nobody else holds the segment, and
 * nothing behind our bytes was given out.
 */
static inline size_t
tail_room(const struct weir_bufq *q)
{
	const struct weir_ref *t = q->tail;

	if (t == NULL || t->seg->refs != 1 || t->off + t->len != t->seg->used)
		return 0;
	return t->seg->size - t->seg->used;
}

static inline void
tail_grow(struct weir_bufq *q, size_t n)
{
	q->tail->seg->used += (uint32_t)n;
	q->tail->len += n;
	q->len += n;
}

/*
 * Putting in.
 */

static char *
room(struct weir_bufq *q, struct spare *sp, size_t min, size_t *n)
{
	size_t rest = tail_room(q);

	assert(min <= SEG_LARGE);
	if (rest == 0 || rest < min) {
		if (min > sp->size)
			sp = &spare_large;
		append(q, &seg_new(sp)->own);
		rest = sp->size;
	}
	*n = rest;
	return q->tail->seg->data + q->tail->seg->used;
}

char *
bufq_room(struct weir_bufq *q, size_t min, size_t *n)
{
	return room(q, &spare_large, min, n);
}

char *
bufq_room_small(struct weir_bufq *q, size_t min, size_t *n)
{
	return room(q, &spare_small, min, n);
}

/* The tail is empty, others are not: give it back. */
static void
pop(struct weir_bufq *q)
{
	struct weir_ref *t = q->tail, *r = q->head;

	while (r->next != t)
		r = r->next;
	r->next = NULL;
	q->tail = r;
	ref_free(t);
}

void
bufq_added(struct weir_bufq *q, size_t n)
{
	if (likely(n != 0)) {
		assert(n <= tail_room(q));
		tail_grow(q, n);
	} else if (q->len == 0) {
		bufq_clear(q);
	} else if (q->tail->len == 0) {
		pop(q);
	}
}

void
bufq_put(struct weir_bufq *q, const void *from, size_t n)
{
	const char *p = from;

	while (n > 0) {
		size_t k = tail_room(q);

		if (k == 0) {
			append(q, &seg_for(n)->own);
			k = q->tail->seg->size;
		}
		k = WEIR_MIN(k, n);
		memcpy(q->tail->seg->data + q->tail->seg->used, p, k);
		tail_grow(q, k);
		p += k;
		n -= k;
	}
}

void
bufq_put_view(struct weir_bufq *q, const void *p, size_t n)
{
	struct weir_ref *r;

	if (n == 0)
		return;
	r = head_new(SEG_IS_VIEW, 0, n);
	r->seg->data = (char *)(uintptr_t)p;	/* never written: it has no room */
	append(q, r);
}

void
bufq_put_file(struct weir_bufq *q, struct weir_seg_file *f, uint64_t off, uint64_t len)
{
	struct weir_ref *r;

	if (len == 0)
		return;
	r = head_new(SEG_IS_FILE, off, len);
	r->seg->file = f;
	f->refs++;
	append(q, r);
}

static void
prepend(struct weir_bufq *q, struct weir_bufq *front)
{
	if (front->head == NULL)
		return;
	front->tail->next = q->head;
	if (q->tail == NULL)
		q->tail = front->tail;
	q->head = front->head;
	q->len += front->len;
}

void
bufq_unread(struct weir_bufq *q, const void *p, size_t n)
{
	struct weir_ref	*h = q->head;
	struct weir_bufq front = { NULL, NULL, 0 };

	/* Mostly the bytes are still in front of those that are left. */
	if (h != NULL && is_own(h) && h->seg->refs == 1 && h->off >= n) {
		h->off -= n;
		h->len += n;
		q->len += n;
		memmove(at(h), p, n);
		return;
	}
	bufq_put(&front, p, n);
	prepend(q, &front);
}

void
bufq_fill(struct weir_bufq *q, struct weir_fill *f, int max)
{
	size_t	rest = tail_room(q);
	int	i = 0;

	max = WEIR_MIN(max, (int)WEIR_COUNT(f->iov));
	if (rest >= (max > 1 ? REST_MIN : REST_ALONE)) {
		f->iov[0].iov_base = q->tail->seg->data + q->tail->seg->used;
		f->iov[0].iov_len = rest;
		f->seg[i++] = NULL;
	}
	for (; i < max; i++) {
		f->seg[i] = seg_new(&spare_large);
		f->iov[i].iov_base = f->seg[i]->data;
		f->iov[i].iov_len = SEG_LARGE;
	}
	f->n = i;
}

void
bufq_fill_done(struct weir_bufq *q, struct weir_fill *f, size_t got)
{
	int i;

	for (i = 0; i < f->n; i++) {
		size_t k = WEIR_MIN(got, f->iov[i].iov_len);

		got -= k;
		if (f->seg[i] == NULL) {
			tail_grow(q, k);
		} else if (k == 0) {
			seg_free(f->seg[i]);
		} else {
			f->seg[i]->used = (uint32_t)k;
			f->seg[i]->own.len = k;
			append(q, &f->seg[i]->own);
		}
	}
	assert(got == 0);
}

/*
 * Taking out.
 */

/* All of `from`, when nothing has to be looked at. */
static uint64_t
move_all(struct weir_bufq *to, struct weir_bufq *from)
{
	uint64_t n = from->len;

	if (to->tail != NULL)
		to->tail->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->len += n;
	*from = (struct weir_bufq){ NULL, NULL, 0 };
	return n;
}

void
bufq_share(struct weir_bufq *to, const struct weir_bufq *from)
{
	for (const struct weir_ref *r = from->head; r != NULL; r = r->next)
		if (r->len != 0)
			append(to, ref_new(r->seg, r->off, r->len));
}

/* The first k bytes of r, which stays. */
static void
share(struct weir_bufq *to, struct weir_ref *r, uint64_t k)
{
	struct weir_ref *t = to->tail;

	if (t != NULL && t->seg == r->seg && t->off + t->len == r->off) {
		t->len += k;
		to->len += k;
	} else if (k <= COPY_MOVE && !is_file(r)) {
		bufq_put(to, at(r), (size_t)k);
	} else {
		append(to, ref_new(r->seg, r->off, k));
	}
}

/* All of r, which was taken off its queue. */
static void
move_ref(struct weir_bufq *to, struct weir_ref *r)
{
	struct weir_ref *t = to->tail;

	if (t != NULL && t->seg == r->seg && t->off + t->len == r->off) {
		t->len += r->len;
		to->len += r->len;
	} else if (r->len <= COPY_MOVE && !is_file(r) && tail_room(to) >= r->len) {
		bufq_put(to, at(r), (size_t)r->len);
	} else {
		append(to, r);
		return;
	}
	ref_free(r);
}

uint64_t
bufq_move(struct weir_bufq *to, struct weir_bufq *from, uint64_t n)
{
	uint64_t left;

	if (from->len == 0)
		return 0;
	/* All of it goes as it is, unless it should be joined to what is there. */
	if (n >= from->len && (to->tail == NULL ||
	    (from->len > COPY_MOVE && to->tail->seg != from->head->seg)))
		return move_all(to, from);
	left = n = WEIR_MIN(n, from->len);
	while (left > 0) {
		struct weir_ref *r = from->head;

		if (r->len > left) {
			share(to, r, left);
			r->off += left;
			r->len -= left;
			break;
		}
		left -= r->len;
		move_ref(to, shift(from));
	}
	from->len -= n;
	if (from->len == 0)
		bufq_clear(from);
	return n;
}

void
bufq_clear(struct weir_bufq *q)
{
	struct weir_ref *r = q->head, *next;

	for (; r != NULL; r = next) {
		next = r->next;
		ref_free(r);
	}
	*q = (struct weir_bufq){ NULL, NULL, 0 };
}

void
bufq_drop(struct weir_bufq *q, uint64_t n)
{
	if (n >= q->len) {
		bufq_clear(q);
		return;
	}
	q->len -= n;
	while (n > 0) {
		struct weir_ref *r = q->head;

		if (r->len > n) {
			r->off += n;
			r->len -= n;
			return;
		}
		n -= r->len;
		ref_free(shift(q));
	}
}

size_t
bufq_take(struct weir_bufq *q, void *to, size_t n)
{
	size_t got = bufq_peek(q, 0, to, n);

	bufq_drop(q, got);
	return got;
}

size_t
bufq_peek(const struct weir_bufq *q, size_t from, void *to, size_t n)
{
	const struct weir_ref	*r;
	size_t			 got = 0;

	for (r = q->head; r != NULL && got < n && !is_file(r); r = r->next) {
		size_t k;

		if (r->len <= from) {
			from -= (size_t)r->len;
			continue;
		}
		k = WEIR_MIN((size_t)r->len - from, n - got);
		memcpy((char *)to + got, at(r) + from, k);
		got += k;
		from = 0;
	}
	return got;
}

/*
 * Looking.
 */

static inline const struct weir_ref *
first(const struct weir_bufq *q)
{
	const struct weir_ref *r = q->head;

	while (r != NULL && unlikely(r->len == 0))
		r = r->next;
	return r;
}

struct weir_str
bufq_first(const struct weir_bufq *q)
{
	const struct weir_ref *r = first(q);

	if (r == NULL || is_file(r))
		return STR_NONE;
	return str_of(at(r), (size_t)r->len);
}

bool
bufq_first_is_file(const struct weir_bufq *q)
{
	const struct weir_ref *r = first(q);

	return r != NULL && is_file(r);
}

int
bufq_iov(const struct weir_bufq *q, struct iovec *iov, int max, size_t *bytes)
{
	const struct weir_ref	*r;
	int			 n = 0;

	*bytes = 0;
	for (r = q->head; r != NULL && n < max && !is_file(r); r = r->next) {
		if (r->len == 0)
			continue;
		iov[n].iov_base = at(r);
		iov[n++].iov_len = (size_t)r->len;
		*bytes += (size_t)r->len;
	}
	return n;
}

/*
 * Keeping.
 */

/* Neighbours that would fit one segment together, and their share of what they are in. */
struct group {
	size_t		 len, held;
	unsigned	 n;
};

static struct group
group_at(const struct weir_ref *r)
{
	struct group g = { 0, 0, 0 };

	for (; r != NULL && is_own(r) && g.len + r->len <= SEG_LARGE; r = r->next) {
		g.held += r->seg->size / r->seg->refs;
		g.len += (size_t)r->len;
		g.n++;
	}
	return g;
}

/* Copying has its price: it should free at least half of what is copied. */
static bool
worth_packing(const struct group *g)
{
	size_t then = g->len <= SEG_SMALL ? SEG_SMALL : SEG_LARGE;

	return g->len != 0 && g->held > then && g->held - then >= g->len / 2;
}

void
bufq_pack(struct weir_bufq *q)
{
	struct weir_bufq packed = { NULL, NULL, 0 };

	while (q->head != NULL) {
		struct group g = group_at(q->head);
		struct weir_seg *s;

		if (!worth_packing(&g)) {
			struct weir_ref *r = shift(q);

			if (r->len == 0)
				ref_free(r);
			else
				append(&packed, r);
			continue;
		}
		s = seg_for(g.len);
		for (; g.n > 0; g.n--) {
			struct weir_ref *r = shift(q);

			memcpy(s->data + s->used, at(r), (size_t)r->len);
			s->used += (uint32_t)r->len;
			ref_free(r);
		}
		s->own.len = s->used;
		append(&packed, &s->own);
	}
	*q = packed;
}

/* The beginning of a file part as a new reference; NULL when it cannot be read. */
static struct weir_ref *
load(const struct weir_ref *r, uint64_t most)
{
	size_t		 n = (size_t)WEIR_MIN(WEIR_MIN(r->len, most), SEG_LARGE);
	struct weir_seg	*s = seg_for(n);
	ssize_t		 got;

	do
		got = pread(r->seg->file->fd, s->data, n, (off_t)r->off);
	while (got == -1 && errno == EINTR);
	if (got <= 0) {
		if (got == 0)
			errno = ENODATA;
		seg_free(s);
		return NULL;
	}
	s->used = (uint32_t)got;
	s->own.len = (uint64_t)got;
	return &s->own;
}

int
bufq_load(struct weir_bufq *q, uint64_t most)
{
	struct weir_bufq done = { NULL, NULL, 0 };
	int		 rc = WEIR_OK;

	while (most > 0 && q->head != NULL) {
		struct weir_ref *r = q->head;

		if (!is_file(r)) {
			most -= WEIR_MIN(most, r->len);
			append(&done, shift(q));
			q->len -= r->len;
			continue;
		}
		if ((r = load(r, most)) == NULL) {
			rc = WEIR_FAIL;
			break;
		}
		most -= r->len;
		append(&done, r);
		bufq_drop(q, r->len);
	}
	prepend(q, &done);
	return rc;
}

size_t
bufq_outstanding(void)
{
	return outstanding;
}
