/* unit: src/core/io/bufq.c */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/io/bufq.c"

static char pattern[200000];

static int
setup(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i * 31 + (i >> 8) * 7);
	return 0;
}

/* Every test gives back what it took. */
static int
nothing_left(void **state)
{
	(void)state;
	assert_int_equal(bufq_outstanding(), 0);
	return 0;
}

/* The queue holds pattern[at .. at + n). */
static void
assert_holds(const struct weir_bufq *q, size_t at, size_t n)
{
	char *copy = malloc(n + 2);

	assert_int_equal(q->len, n);
	assert_int_equal(bufq_peek(q, 0, copy, n + 1), n);
	assert_memory_equal(copy, pattern + at, n);
	free(copy);
}

static unsigned
count_refs(const struct weir_bufq *q)
{
	const struct weir_ref	*r;
	unsigned		 n = 0;

	for (r = q->head; r != NULL; r = r->next)
		n++;
	return n;
}

static void
test_room(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	char		*p, *again;
	size_t		 n, used;

	(void)state;
	p = bufq_room(&q, 1, &n);
	assert_int_equal(n, SEG_LARGE);
	memcpy(p, pattern, 100);
	bufq_added(&q, 100);
	/* The same segment as long as it has what is wanted. */
	again = bufq_room(&q, SEG_LARGE - 100, &n);
	assert_ptr_equal(again, p + 100);
	assert_int_equal(n, SEG_LARGE - 100);
	memcpy(again, pattern + 100, 50);
	bufq_added(&q, 50);
	assert_holds(&q, 0, 150);
	/* Another one when it has not; unused, it is given back. */
	used = bufq_outstanding();
	again = bufq_room(&q, SEG_LARGE, &n);
	assert_true(again < p || again >= p + SEG_LARGE);
	assert_true(bufq_outstanding() > used);
	bufq_added(&q, 0);
	assert_int_equal(bufq_outstanding(), used);
	assert_holds(&q, 0, 150);
	/* Also from behind more than one. */
	bufq_put_view(&q, pattern + 150, 10);
	used = bufq_outstanding();
	bufq_room(&q, 1, &n);
	bufq_added(&q, 0);
	assert_int_equal(bufq_outstanding(), used);
	bufq_added(&q, 0);
	assert_holds(&q, 0, 160);
	bufq_clear(&q);
	assert_int_equal(q.len, 0);

	/* A read that brought nothing leaves nothing. */
	bufq_room(&q, 1, &n);
	bufq_added(&q, 0);
	assert_null(q.head);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
test_room_small(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	size_t		 n;

	(void)state;
	bufq_room_small(&q, 10, &n);
	assert_int_equal(n, SEG_SMALL);
	assert_int_equal(q.tail->seg->kind, SEG_IS_SMALL);
	/* Too small for this: an empty reference stays behind, and nobody sees it. */
	bufq_room_small(&q, SEG_SMALL + 1, &n);
	assert_int_equal(n, SEG_LARGE);
	assert_int_equal(bufq_first(&q).n, 0);
	memcpy(q.tail->seg->data, pattern, 5);
	bufq_added(&q, 5);
	assert_int_equal(bufq_first(&q).n, 5);
	assert_holds(&q, 0, 5);
	bufq_clear(&q);
}

static void
test_put_take(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	char		 buf[64];
	size_t		 at = 0;

	(void)state;
	bufq_put(&q, pattern, 0);
	assert_null(q.head);
	bufq_put(&q, pattern, 1500);
	assert_int_equal(q.tail->seg->kind, SEG_IS_SMALL);
	bufq_put(&q, pattern + 1500, 40000);
	bufq_put_str(&q, str_of(pattern + 41500, 10));
	assert_holds(&q, 0, 41510);
	while (q.len > 0) {
		size_t k = bufq_take(&q, buf, sizeof(buf));

		assert_memory_equal(buf, pattern + at, k);
		at += k;
	}
	assert_int_equal(at, 41510);
	assert_null(q.head);
	assert_null(q.tail);
	assert_int_equal(bufq_take(&q, buf, 1), 0);
}

static void
test_views(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };

	(void)state;
	bufq_put_view(&q, pattern, 0);
	assert_null(q.head);
	bufq_put_view(&q, pattern, 1000);
	assert_ptr_equal(bufq_first(&q).p, pattern);
	bufq_put(&q, pattern + 1000, 10);
	assert_holds(&q, 0, 1010);
	bufq_drop(&q, 900);
	assert_ptr_equal(bufq_first(&q).p, pattern + 900);
	assert_holds(&q, 900, 110);
	bufq_drop(&q, 1000000);
	assert_null(q.head);
}

static void
test_unread(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 }, other = { NULL, NULL, 0 };
	char		 buf[300];

	(void)state;
	bufq_unread(&q, pattern, 0);
	assert_null(q.head);
	bufq_unread(&q, pattern + 100, 300);
	assert_holds(&q, 100, 300);
	/* Back to where it was. */
	assert_int_equal(bufq_take(&q, buf, 200), 200);
	bufq_unread(&q, buf, 200);
	assert_int_equal(count_refs(&q), 1);
	assert_holds(&q, 100, 300);
	/* No room in front. */
	bufq_unread(&q, pattern, 100);
	assert_int_equal(count_refs(&q), 2);
	assert_holds(&q, 0, 400);
	bufq_clear(&q);
	/* What somebody else still sees must not be written over. */
	bufq_put(&q, pattern, 1000);
	assert_int_equal(bufq_move(&other, &q, 500), 500);
	bufq_unread(&q, pattern + 700, 50);
	assert_holds(&other, 0, 500);
	bufq_drop(&q, 50);
	assert_holds(&q, 500, 500);
	bufq_clear(&q);
	bufq_clear(&other);
}

static void
fill(struct weir_fill *f, size_t at, size_t got)
{
	int i;

	for (i = 0; i < f->n && got > 0; i++) {
		size_t k = WEIR_MIN(got, f->iov[i].iov_len);

		memcpy(f->iov[i].iov_base, pattern + at, k);
		at += k;
		got -= k;
	}
	assert_int_equal(got, 0);
}

static void
test_fill(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	struct weir_fill f;

	(void)state;
	bufq_fill(&q, &f, 1);
	assert_int_equal(f.n, 1);
	assert_int_equal(f.iov[0].iov_len, SEG_LARGE);
	bufq_fill_done(&q, &f, 0);
	assert_null(q.head);
	assert_int_equal(bufq_outstanding(), 0);

	bufq_fill(&q, &f, 9);
	assert_int_equal(f.n, 4);
	fill(&f, 0, SEG_LARGE + 1000);
	bufq_fill_done(&q, &f, SEG_LARGE + 1000);
	assert_holds(&q, 0, SEG_LARGE + 1000);
	assert_int_equal(count_refs(&q), 2);
	/* The tail's rest first. */
	bufq_fill(&q, &f, 2);
	assert_null(f.seg[0]);
	assert_int_equal(f.iov[0].iov_len, SEG_LARGE - 1000);
	assert_int_equal(f.iov[1].iov_len, SEG_LARGE);
	fill(&f, SEG_LARGE + 1000, SEG_LARGE);
	bufq_fill_done(&q, &f, SEG_LARGE);
	assert_holds(&q, 0, 2 * SEG_LARGE + 1000);
	/* Alone only if it is worth a call. */
	bufq_drop(&q, 2 * SEG_LARGE);
	bufq_put(&q, pattern + 2 * SEG_LARGE + 1000, SEG_LARGE - 2000);
	bufq_fill(&q, &f, 1);
	assert_non_null(f.seg[0]);
	bufq_fill_done(&q, &f, 0);
	assert_holds(&q, 2 * SEG_LARGE, SEG_LARGE - 1000);
	bufq_fill(&q, &f, 2);
	assert_null(f.seg[0]);
	bufq_fill_done(&q, &f, 0);
	bufq_clear(&q);
}

static void
test_move(void **state)
{
	struct weir_bufq a = { NULL, NULL, 0 }, b = { NULL, NULL, 0 };
	const char	*p;

	(void)state;
	assert_int_equal(bufq_move(&b, &a, 100), 0);
	bufq_put(&a, pattern, 60000);
	p = bufq_first(&a).p;
	/* References, not bytes. */
	assert_int_equal(bufq_move(&b, &a, 20000), 20000);
	assert_ptr_equal(bufq_first(&b).p, p);
	assert_holds(&b, 0, 20000);
	assert_holds(&a, 20000, 40000);
	/* What was split is joined again. */
	assert_int_equal(bufq_move(&b, &a, 5000), 5000);
	assert_int_equal(count_refs(&b), 2);
	assert_int_equal(bufq_move(&b, &a, UINT64_MAX), 35000);
	assert_holds(&b, 0, 60000);
	assert_null(a.head);
	assert_int_equal(count_refs(&b), 4);
	assert_int_equal(bufq_move(&a, &b, 60000), 60000);
	assert_holds(&a, 0, 60000);
	assert_null(b.tail);
	bufq_clear(&a);
}

static void
test_move_few(void **state)
{
	struct weir_bufq a = { NULL, NULL, 0 }, b = { NULL, NULL, 0 };
	int		 i;

	(void)state;
	/* A thousand pieces of a few bytes do not become a thousand references. */
	for (i = 0; i < 1000; i++) {
		bufq_put_view(&a, pattern + i * 10, 10);
		assert_int_equal(bufq_move(&b, &a, 4), 4);
		assert_int_equal(bufq_move(&b, &a, 6), 6);
	}
	assert_holds(&b, 0, 10000);
	assert_true(count_refs(&b) <= 6);
	bufq_clear(&b);
	/* The first piece of an empty queue is copied when it is split off ... */
	bufq_put(&a, pattern, 1000);
	bufq_move(&b, &a, 100);
	assert_int_equal(a.head->seg->refs, 1);
	assert_holds(&b, 0, 100);
	/* ... so what follows it can still be appended where it was. */
	bufq_put(&a, pattern + 1000, 500);
	assert_int_equal(count_refs(&a), 1);
	assert_int_equal(bufq_move(&b, &a, 1400), 1400);
	assert_holds(&b, 0, 1500);
	/* An offer that was not taken up moves along and does no harm. */
	{
		size_t n;

		bufq_put(&a, pattern + 1500, 200);
		bufq_room(&a, SEG_LARGE, &n);
		bufq_move(&b, &a, 200);
		bufq_added(&a, 0);
		assert_null(a.head);
		assert_holds(&b, 0, 1700);
	}
	bufq_clear(&b);
}

static void
test_peek(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	char		 buf[100];

	(void)state;
	bufq_put_view(&q, pattern, 50);
	bufq_put_view(&q, pattern + 50, 50);
	bufq_put_view(&q, pattern + 100, 50);
	assert_int_equal(bufq_peek(&q, 40, buf, 70), 70);
	assert_memory_equal(buf, pattern + 40, 70);
	assert_int_equal(bufq_peek(&q, 100, buf, 100), 50);
	assert_memory_equal(buf, pattern + 100, 50);
	assert_int_equal(bufq_peek(&q, 150, buf, 1), 0);
	bufq_clear(&q);
}

static void
test_iov(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	struct iovec	 v[3];
	size_t		 n;

	(void)state;
	assert_int_equal(bufq_iov(&q, v, 3, &n), 0);
	assert_int_equal(n, 0);
	bufq_room(&q, 1, &n);
	bufq_put_view(&q, pattern, 10);
	bufq_put_view(&q, pattern + 10, 20);
	bufq_put_view(&q, pattern + 30, 30);
	assert_int_equal(bufq_iov(&q, v, 3, &n), 3);
	assert_int_equal(n, 60);
	assert_ptr_equal(v[1].iov_base, pattern + 10);
	assert_int_equal(v[1].iov_len, 20);
	assert_int_equal(bufq_iov(&q, v, 2, &n), 2);
	assert_int_equal(n, 30);
	bufq_clear(&q);
}

static int closed;

static void
on_close(struct weir_seg_file *f)
{
	close(f->fd);
	f->fd = -1;
	closed++;
}

static struct weir_seg_file
a_file(size_t n)
{
	FILE			*t = tmpfile();
	struct weir_seg_file	 f = { .fd = -1, .refs = 1, .close = on_close };

	assert_non_null(t);
	f.fd = dup(fileno(t));
	fclose(t);
	assert_int_not_equal(f.fd, -1);
	assert_int_equal(write(f.fd, pattern, n), (ssize_t)n);
	return f;
}

static void
test_file(void **state)
{
	struct weir_bufq	a = { NULL, NULL, 0 }, b = { NULL, NULL, 0 };
	struct weir_seg_file	f = a_file(100000);
	struct iovec		v[4];
	char			buf[10];
	size_t			n;

	(void)state;
	closed = 0;
	bufq_put_file(&a, &f, 0, 0);
	assert_null(a.head);
	bufq_put(&a, pattern, 100);
	bufq_put_file(&a, &f, 100, 99900);
	assert_int_equal(f.refs, 2);
	file_unref(&f);
	assert_int_equal(a.len, 100000);
	assert_false(bufq_first_is_file(&a));
	assert_int_equal(bufq_iov(&a, v, 4, &n), 1);
	assert_int_equal(n, 100);
	bufq_drop(&a, 100);
	assert_true(bufq_first_is_file(&a));
	assert_int_equal(bufq_first(&a).n, 0);
	assert_int_equal(bufq_iov(&a, v, 4, &n), 0);
	assert_int_equal(bufq_take(&a, buf, 10), 0);
	/* A few bytes of a file are not copied. */
	assert_int_equal(bufq_move(&b, &a, 50), 50);
	assert_true(bufq_first_is_file(&b));
	assert_int_equal(b.head->off, 100);
	assert_int_equal(bufq_move(&b, &a, 50), 50);
	assert_int_equal(count_refs(&b), 1);
	assert_int_equal(bufq_move(&b, &a, UINT64_MAX), 99800);
	assert_int_equal(count_refs(&b), 1);
	bufq_pack(&b);
	assert_true(bufq_first_is_file(&b));
	assert_int_equal(b.len, 99900);

	assert_int_equal(bufq_load(&b, 10000), WEIR_OK);
	assert_int_equal(bufq_first(&b).n, 10000);
	assert_int_equal(b.len, 99900);
	assert_int_equal(closed, 0);
	assert_int_equal(bufq_load(&b, UINT64_MAX), WEIR_OK);
	assert_int_equal(closed, 1);
	assert_holds(&b, 100, 99900);
	bufq_clear(&b);
}

static void
test_short_file(void **state)
{
	struct weir_bufq	q = { NULL, NULL, 0 };
	struct weir_seg_file	f = a_file(1000);

	(void)state;
	closed = 0;
	bufq_put_view(&q, pattern, 10);
	bufq_put_file(&q, &f, 10, 2000);
	assert_int_equal(bufq_load(&q, UINT64_MAX), WEIR_FAIL);
	assert_int_equal(errno, ENODATA);
	assert_int_equal(q.len, 2010);
	bufq_drop(&q, 10);
	assert_int_equal(bufq_first(&q).n, 990);
	bufq_clear(&q);
	/* Not a file that can be read. */
	bufq_put_file(&q, &f, 0, 1);
	close(f.fd);
	assert_int_equal(bufq_load(&q, 1), WEIR_FAIL);
	assert_int_equal(errno, EBADF);
	bufq_clear(&q);
	file_unref(&f);
	assert_int_equal(closed, 1);
}

static void
test_pack(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	size_t		 n, before;
	int		 i;

	(void)state;
	bufq_pack(&q);
	assert_null(q.head);
	/* A few bytes in a large segment. */
	memcpy(bufq_room(&q, 1, &n), pattern, 500);
	bufq_added(&q, 500);
	bufq_pack(&q);
	assert_int_equal(q.head->seg->kind, SEG_IS_SMALL);
	assert_holds(&q, 0, 500);
	bufq_clear(&q);
	/* Several of them, each little used. */
	for (i = 0; i < 8; i++) {
		memcpy(bufq_room(&q, SEG_LARGE, &n), pattern + i * 2000, 2000);
		bufq_added(&q, 2000);
	}
	before = bufq_outstanding();
	bufq_pack(&q);
	assert_int_equal(count_refs(&q), 1);
	assert_true(bufq_outstanding() < before / 7);
	assert_holds(&q, 0, 16000);
	bufq_clear(&q);
	/* Nothing to gain: nothing is copied, but what is empty goes. */
	bufq_put(&q, pattern, SEG_SMALL);
	bufq_put(&q, pattern + SEG_SMALL, SEG_LARGE);
	bufq_put_view(&q, pattern + SEG_SMALL + SEG_LARGE, 100);
	bufq_room(&q, SEG_LARGE, &n);
	bufq_pack(&q);
	assert_int_equal(count_refs(&q), 3);
	assert_int_equal(q.tail->seg->kind, SEG_IS_VIEW);
	assert_holds(&q, 0, SEG_SMALL + SEG_LARGE + 100);
	/* Little to gain. */
	bufq_clear(&q);
	bufq_put(&q, pattern, 100);
	memcpy(bufq_room(&q, SEG_LARGE, &n), pattern + 100, 16000);
	bufq_added(&q, 16000);
	bufq_pack(&q);
	assert_int_equal(count_refs(&q), 2);
	assert_holds(&q, 0, 16100);
	bufq_clear(&q);
}

static void
test_share(void **state)
{
	struct weir_bufq	a = { NULL, NULL, 0 }, b = { NULL, NULL, 0 };
	struct weir_seg_file	f = a_file(1000);
	size_t			n;

	(void)state;
	closed = 0;
	bufq_put(&a, pattern, 30000);
	bufq_room(&a, SEG_LARGE, &n);
	bufq_share(&b, &a);
	assert_holds(&b, 0, 30000);
	assert_ptr_equal(bufq_first(&a).p, bufq_first(&b).p);
	/* Neither can write where the other reads. */
	bufq_added(&a, 0);
	bufq_put(&a, pattern + 500, 100);
	bufq_put(&b, pattern + 30000, 100);
	assert_holds(&b, 0, 30100);
	bufq_clear(&a);
	assert_holds(&b, 0, 30100);
	bufq_clear(&b);

	bufq_put_file(&a, &f, 0, 1000);
	bufq_share(&b, &a);
	bufq_clear(&a);
	assert_int_equal(bufq_load(&b, 1000), WEIR_OK);
	assert_holds(&b, 0, 1000);
	bufq_clear(&b);
	file_unref(&f);
	assert_int_equal(closed, 1);
}

/* The free lists are bounded. */
static void
test_spare(void **state)
{
	struct weir_bufq q = { NULL, NULL, 0 };
	int		 i;

	(void)state;
	for (i = 0; i < 40; i++)
		bufq_put(&q, pattern, sizeof(pattern));
	bufq_clear(&q);
	assert_true(spare_large.n <= KEEP_LARGE);
	for (i = 0; i < 2000; i++) {
		size_t n;

		bufq_room_small(&q, SEG_SMALL, &n);
		bufq_added(&q, n);
	}
	bufq_clear(&q);
	assert_true(spare_small.n <= KEEP_SMALL);
	if (!WEIR_ASAN) {
		assert_int_equal(spare_large.n, KEEP_LARGE);
		assert_int_equal(spare_small.n, KEEP_SMALL);
	}
}

#define TEST(f)	cmocka_unit_test_teardown(f, nothing_left)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_room), TEST(test_room_small), TEST(test_put_take), TEST(test_views),
		TEST(test_unread), TEST(test_fill), TEST(test_move), TEST(test_move_few),
		TEST(test_peek), TEST(test_iov), TEST(test_file), TEST(test_short_file),
		TEST(test_pack), TEST(test_share), TEST(test_spare),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
