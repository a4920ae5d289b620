/* unit: src/core/io/change.c */
#include "unit.h"

#include "core/io/change.c"
#include "core/io/cut.h"
#include "stream.h"

/* Every byte twice; but what came since the last flush waits for the next, or for the end. */
struct doubler {
	struct weir_change c;
	struct weir_bufq held;
	unsigned flushes, ends;
};

static int
on_run(struct weir_change *c, enum weir_change_how how)
{
	struct doubler	*d = WEIR_OF(c, struct doubler, c);
	char		 one;

	bufq_move(&d->held, &c->in, c->in.len);
	d->flushes += how == CHANGE_FLUSH;
	if (how == CHANGE_MORE)
		return WEIR_OK;
	while (d->held.len != 0) {
		if (c->out.len >= c->enough)
			return WEIR_AGAIN;
		bufq_take(&d->held, &one, 1);
		bufq_put(&c->out, &one, 1);
		bufq_put(&c->out, &one, 1);
	}
	return WEIR_OK;
}

static void
on_end(struct weir_change *c)
{
	struct doubler	*d = WEIR_OF(c, struct doubler, c);

	bufq_clear(&d->held);
	d->ends++;
}

struct run {
	struct weir_qsrc from;
	struct weir_fault below;
	struct doubler d;
	unsigned wakes;
};

static void
on_wake(void *arg)
{
	((struct run *)arg)->wakes++;
}

static void
start(struct run *r, size_t n, size_t enough)
{
	memset(r, 0, sizeof(*r));
	qsrc_init(&r->from);
	stream_fill(&r->from.q, n);
	fault_init(&r->below, &r->from.src, NULL);
	r->d.c.run = on_run;
	r->d.c.end = on_end;
	r->d.c.enough = enough;
	change_init(&r->d.c, &r->below.io.in);
	src_on_ready(&r->d.c.src, on_wake, r);
}

/* Everything twice, whatever the steps. */
static void
check_doubled(struct weir_bufq *q, size_t n)
{
	struct weir_bufq	once = { NULL, NULL, 0 };
	char			a, b;

	assert_int_equal(q->len, 2 * n);
	while (bufq_take(q, &a, 1) == 1) {
		assert_int_equal(bufq_take(q, &b, 1), 1);
		assert_int_equal(a, b);
		bufq_put(&once, &a, 1);
	}
	stream_check(&once, n);
}

static ssize_t
read_all(struct run *r, struct weir_bufq *to, size_t step)
{
	ssize_t	n = 0;

	for (int i = 0; i < 100000; i++) {
		n = src_read(&r->d.c.src, to, step);
		if (n != WEIR_AGAIN && n < 0)
			break;
	}
	return n;
}

static void
test_all(void **state)
{
	static const size_t	steps[] = { 1, 777, 100000 };
	struct run		r;
	struct weir_bufq	got = { NULL, NULL, 0 };

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(steps); i++) {
		start(&r, 20000, i == 1 ? 10 : 0);
		r.below.most = 1000;
		assert_int_equal(read_all(&r, &got, steps[i]), WEIR_EOF);
		check_doubled(&got, 20000);
		assert_int_equal(r.d.ends, 0);
		src_stop(&r.d.c.src);
		src_stop(&r.d.c.src);
		assert_int_equal(r.d.ends, 1);
		fault_free(&r.below), bufq_clear(&r.from.q);
		assert_int_equal(bufq_outstanding(), 0);
	}
}

/* AGAIN below: what is held comes out, once, and then AGAIN is handed on. */
static void
test_flush(void **state)
{
	struct run		r;
	struct weir_bufq	got = { NULL, NULL, 0 };

	(void)state;
	start(&r, 100, 0);
	r.below.most = 100;
	r.below.again_at = 2;
	assert_int_equal(src_read(&r.d.c.src, &got, 1000), 200);
	assert_int_equal(r.d.flushes, 1);
	check_doubled(&got, 100);
	assert_int_equal(src_read(&r.d.c.src, &got, 1000), WEIR_EOF);
	change_end(&r.d.c);
	fault_free(&r.below);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
test_failure(void **state)
{
	struct run		r;
	struct weir_bufq	got = { NULL, NULL, 0 };

	(void)state;
	start(&r, 100, 0);
	r.below.most = 50;
	r.below.fail_at = 2;
	assert_int_equal(read_all(&r, &got, 1000), WEIR_FAIL);
	assert_non_null(r.d.c.src.err);
	assert_int_equal(src_read(&r.d.c.src, &got, 1000), WEIR_FAIL);
	bufq_clear(&got);
	src_stop(&r.d.c.src);
	fault_free(&r.below), bufq_clear(&r.from.q);
	assert_int_equal(bufq_outstanding(), 0);
}

/* Whoever wants bytes while there are some gets a notice, and none after the end. */
static void
test_notice(void **state)
{
	struct run		r;
	struct weir_bufq	got = { NULL, NULL, 0 };

	(void)state;
	start(&r, 100, 0);
	assert_int_equal(src_read(&r.d.c.src, &got, 10), 10);
	src_want(&r.d.c.src, true);
	assert_int_equal(r.wakes, 0);
	loop_turn(0);
	assert_int_equal(r.wakes, 1);
	src_want(&r.d.c.src, true);
	src_stop(&r.d.c.src);
	src_want(&r.d.c.src, true);
	loop_turn(0);
	assert_int_equal(r.wakes, 1);
	bufq_clear(&got);
	fault_free(&r.below), bufq_clear(&r.from.q);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
test_cut(void **state)
{
	static const struct { size_t n, off, len; ssize_t end; } rows[] = {
		{ 1000, 0, 1000, WEIR_EOF }, { 1000, 0, 1, WEIR_EOF }, { 1000, 999, 1, WEIR_EOF },
		{ 300000, 200000, 50000, WEIR_EOF }, { 10, 5, 10, WEIR_FAIL }, { 10, 20, 1, WEIR_FAIL },
	};
	struct weir_qsrc	from;
	struct weir_cut		cut;
	struct weir_bufq	got = { NULL, NULL, 0 }, all = { NULL, NULL, 0 };
	char			a, b;
	ssize_t			n;

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(rows); i++) {
		qsrc_init(&from);
		stream_fill(&from.q, rows[i].n);
		stream_fill(&all, rows[i].n);
		cut_init(&cut, &from.src, rows[i].off, rows[i].len);
		while ((n = src_read(&cut.src, &got, 700)) > 0)
			;
		assert_int_equal(n, rows[i].end);
		bufq_drop(&all, WEIR_MIN(rows[i].off, rows[i].n));
		if (n == WEIR_EOF)
			assert_int_equal(got.len, rows[i].len);
		while (bufq_take(&got, &a, 1) == 1) {
			bufq_take(&all, &b, 1);
			assert_int_equal(a, b);
		}
		bufq_clear(&all);
		src_stop(&cut.src);
		assert_int_equal(bufq_outstanding(), 0);
	}
}

static int
setup(void **state)
{
	(void)state;
	return loop_init() == WEIR_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all), cmocka_unit_test(test_flush), cmocka_unit_test(test_failure),
		cmocka_unit_test(test_notice), cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
