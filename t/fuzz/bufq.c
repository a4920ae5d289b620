/*
 * bufq.c - operations on two queues, told by the input, against flat arrays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/io/bufq.h"

enum { MODEL_MAX = 1 << 18, FILE_SIZE = 50000, STEPS_MAX = 400 };

static char			 pattern[65536];
static struct weir_seg_file	 file = { .fd = -1, .refs = 1 };

struct pair {
	struct weir_bufq q;
	char		*p;		/* what it must hold */
	size_t		 n;
};

static struct pair	pairs[2];
static const uint8_t	*in, *in_end;
static bool		 shared;	/* a segment may have more than one reference */

static void
check(bool what)
{
	if (!what)
		abort();
}

static unsigned
byte(void)
{
	return in < in_end ? *in++ : 0;
}

/* Sizes near every border there is. */
static size_t
size(void)
{
	static const size_t telling[] = { 0, 1, 2, 127, 128, 129, 255, 256, 1000, SEG_SMALL - 1, SEG_SMALL,
	    SEG_SMALL + 1, 4096, SEG_LARGE - 1, SEG_LARGE, SEG_LARGE + 1, 20000, 40000 };
	unsigned b = byte();

	return b < 128 ? telling[b % WEIR_COUNT(telling)] : (b & 127) * (1 + byte());
}

static const char *
some(size_t n)
{
	return pattern + byte() * 16 % (sizeof(pattern) - n);
}

static void
model_add(struct pair *a, const char *p, size_t n)
{
	memcpy(a->p + a->n, p, n);
	a->n += n;
}

static void
model_drop(struct pair *a, size_t n)
{
	n = WEIR_MIN(n, a->n);
	memmove(a->p, a->p + n, a->n - n);
	a->n -= n;
}

static void
op_put(struct pair *a, size_t n)
{
	const char *p = some(n);

	bufq_put(&a->q, p, n);
	model_add(a, p, n);
}

static void
op_view(struct pair *a, size_t n)
{
	const char *p = some(n);

	bufq_put_view(&a->q, p, n);
	model_add(a, p, n);
}

static void
op_file(struct pair *a, size_t n)
{
	size_t off = byte() * 8;

	n = WEIR_MIN(n, FILE_SIZE - off);
	bufq_put_file(&a->q, &file, off, n);
	model_add(a, pattern + off, n);
}

static void
add_room(struct pair *a, char *room, size_t n, size_t use)
{
	const char *p;

	use = WEIR_MIN(use, n);
	p = some(use);
	memcpy(room, p, use);
	bufq_added(&a->q, use);
	model_add(a, p, use);
}

static void
op_room(struct pair *a, size_t n)
{
	size_t	 min = WEIR_MIN(n, SEG_LARGE), room;
	char	*p = bufq_room(&a->q, min, &room);

	check(room >= min && room > 0);
	add_room(a, p, room, size());
}

static void
op_room_small(struct pair *a, size_t n)
{
	size_t	 min = WEIR_MIN(n, SEG_LARGE), room;
	char	*p = bufq_room_small(&a->q, min, &room);

	check(room >= min && room > 0);
	add_room(a, p, room, size());
}

/* An offer that is not taken up, and then forgotten. */
static void
op_room_unused(struct pair *a, size_t n)
{
	size_t room;

	bufq_room(&a->q, WEIR_MIN(n, SEG_LARGE), &room);
	check(room > 0);
}

static void
op_fill(struct pair *a, size_t n)
{
	struct weir_fill f;
	size_t		 left, sum = 0;
	int		 i;

	bufq_fill(&a->q, &f, 1 + (int)(byte() % 4));
	check(f.n >= 1);
	for (i = 0; i < f.n; i++)
		sum += f.iov[i].iov_len;
	left = n = WEIR_MIN(n, sum);
	for (i = 0; i < f.n && left > 0; i++) {
		size_t		 k = WEIR_MIN(left, f.iov[i].iov_len);
		const char	*p = some(k);

		memcpy(f.iov[i].iov_base, p, k);
		model_add(a, p, k);
		left -= k;
	}
	bufq_fill_done(&a->q, &f, n);
}

static void
op_unread(struct pair *a, size_t n)
{
	const char *p = some(n);

	bufq_unread(&a->q, p, n);
	memmove(a->p + n, a->p, a->n);
	memcpy(a->p, p, n);
	a->n += n;
}

static struct pair *
other(struct pair *a)
{
	return a == &pairs[0] ? &pairs[1] : &pairs[0];
}

static void
op_move(struct pair *a, size_t n)
{
	struct pair	*b = other(a);
	size_t		 k = WEIR_MIN(n, a->n);

	shared = true;
	check(bufq_move(&b->q, &a->q, n) == k);
	model_add(b, a->p, k);
	model_drop(a, k);
}

static void
op_share(struct pair *a, size_t n)
{
	(void)n;
	shared = true;
	bufq_share(&other(a)->q, &a->q);
	model_add(other(a), a->p, a->n);
}

static void
op_drop(struct pair *a, size_t n)
{
	bufq_drop(&a->q, n);
	model_drop(a, n);
}

static void
op_take(struct pair *a, size_t n)
{
	char	*to = malloc(n + 1);
	size_t	 k;

	check(to != NULL);
	k = bufq_take(&a->q, to, n);
	check(k <= n && k <= a->n && memcmp(to, a->p, k) == 0);
	check(k == n || k == a->n || bufq_first_is_file(&a->q));
	model_drop(a, k);
	free(to);
}

static void
op_iov(struct pair *a, size_t n)
{
	struct iovec	v[8];
	size_t		bytes, at = 0;
	int		i, k = bufq_iov(&a->q, v, (int)(n % 9), &bytes);

	check(k <= (int)(n % 9) && bytes <= a->n);
	for (i = 0; i < k; i++) {
		check(v[i].iov_len > 0 && memcmp(v[i].iov_base, a->p + at, v[i].iov_len) == 0);
		at += v[i].iov_len;
	}
	check(at == bytes);
}

static void
op_pack(struct pair *a, size_t n)
{
	size_t before = bufq_outstanding();

	(void)n;
	bufq_pack(&a->q);
	/* What others see, too, has to stay. */
	check(bufq_outstanding() <= before || shared);
}

static void
op_load(struct pair *a, size_t n)
{
	check(bufq_load(&a->q, n) == WEIR_OK);
	if (n > 0 && a->n > 0)
		check(!bufq_first_is_file(&a->q));
}

static void
op_clear(struct pair *a, size_t n)
{
	(void)n;
	bufq_clear(&a->q);
	a->n = 0;
}

static void (*const ops[])(struct pair *, size_t) = {
	op_put, op_view, op_file, op_room, op_room_small, op_room_unused, op_fill, op_unread,
	op_move, op_move, op_share, op_drop, op_take, op_iov, op_pack, op_load, op_clear,
};

static void
compare(const struct pair *a)
{
	struct weir_bufq	 copy = { NULL, NULL, 0 };
	char			*p = malloc(a->n + 1);
	struct weir_str		 first = bufq_first(&a->q);

	check(p != NULL && a->q.len == a->n);
	check(first.n <= a->n && (first.n == 0 || memcmp(first.p, a->p, first.n) == 0));
	bufq_share(&copy, &a->q);
	check(bufq_load(&copy, UINT64_MAX) == WEIR_OK);
	check(bufq_peek(&copy, 0, p, a->n + 1) == a->n && memcmp(p, a->p, a->n) == 0);
	if (a->n > 10)
		check(bufq_peek(&copy, a->n - 5, p, 10) == 5 && memcmp(p, a->p + a->n - 5, 5) == 0);
	bufq_clear(&copy);
	free(p);
}

static void
not_closed(struct weir_seg_file *f)
{
	(void)f;
	abort();
}

static void
begin(void)
{
	FILE	*t;
	size_t	 i;

	if (file.fd != -1)
		return;
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i * 31 + (i >> 8) * 7);
	t = tmpfile();
	check(t != NULL && fwrite(pattern, 1, FILE_SIZE, t) == FILE_SIZE && fflush(t) == 0);
	file.fd = dup(fileno(t));
	fclose(t);
	file.close = not_closed;
	for (i = 0; i < 2; i++)
		check((pairs[i].p = malloc(MODEL_MAX)) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	unsigned i, steps = 0;

	begin();
	shared = false;
	in = data;
	in_end = data + n;
	while (in < in_end && steps++ < STEPS_MAX) {
		unsigned	 b = byte();
		struct pair	*a = &pairs[b & 1];
		size_t		 k = size();

		/* The model's arrays have an end. */
		if (pairs[0].n + pairs[1].n + 4 * SEG_LARGE > MODEL_MAX / 2)
			op_clear(pairs[0].n > pairs[1].n ? &pairs[0] : &pairs[1], 0);
		ops[(b >> 1) % WEIR_COUNT(ops)](a, k);
		compare(&pairs[0]);
		compare(&pairs[1]);
	}
	for (i = 0; i < 2; i++)
		op_clear(&pairs[i], 0);
	check(bufq_outstanding() == 0 && file.refs == 1);
	return 0;
}
