/* unit: src/core/io/rate.c */
#include "unit.h"

#include "core/io/rate.c"
#include "core/ev/wheel.h"
#include "stream.h"

struct run {
	struct weir_qsrc from;
	struct weir_rate rate;
	struct weir_bufq got;
	unsigned wakes;
};

static void
on_ready(void *arg)
{
	((struct run *)arg)->wakes++;
}

static void
begin(struct run *r, size_t n, uint64_t rate, uint64_t after)
{
	memset(r, 0, sizeof *r);
	weir_now_ms = 50000;
	wheel_init();
	qsrc_init(&r->from);
	stream_fill(&r->from.q, n);
	rate_init(&r->rate, &r->from.src, rate, after);
	src_on_ready(&r->rate.src, on_ready, r);
}

static ssize_t
drain(struct run *r)
{
	ssize_t n;

	while ((n = src_read(&r->rate.src, &r->got, 65536)) > 0)
		;
	return n;
}

static void
test_average(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 10000, 1000, 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 1000);		/* a second's worth to begin with */
	for (int s = 1; s <= 9; s++) {
		weir_now_ms += 1000;
		wheel_run();
		(void)drain(&r);
		assert_int_equal(r.got.len, 1000 * (s + 1));
	}
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 10000);
}

static void
test_after(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 10000, 100, 5000);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 5100);
	bufq_clear(&r.got);
	src_stop(&r.rate.src);
	assert_int_equal(wheel_wait(), -1);
}

/* Whoever reached the end may free the source: no timer is left. */
static void
test_no_timer_left(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 1500, 1000, 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_true(r.rate.timer.at != 0);
	src_want(&r.rate.src, true);
	weir_now_ms = r.rate.timer.at - 1 + 500;
	assert_int_equal(drain(&r), WEIR_EOF);	/* asked before the timer was run */
	assert_int_equal(r.rate.timer.at, 0);
	assert_int_equal(wheel_wait(), -1);
	bufq_clear(&r.got);
}

static void
test_wakes(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 3000, 1000, 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	src_want(&r.rate.src, true);
	weir_now_ms += 1001;
	wheel_run();
	assert_int_equal(r.wakes, 1);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	src_want(&r.rate.src, false);
	weir_now_ms += 1001;
	wheel_run();
	assert_int_equal(r.wakes, 1);		/* nobody wants to know */
	bufq_clear(&r.got);
	src_stop(&r.rate.src);
}

/* Not a few bytes now and a few bytes then: a slow rate goes in seconds, a fast one in chunks. */
static void
test_steps(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 3000, 1000, 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	weir_now_ms += 999;
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 1000);
	assert_int_equal(r.rate.timer.at, weir_now_ms + 1);
	bufq_clear(&r.got);
	src_stop(&r.rate.src);

	begin(&r, 200000, 16384 * 10, 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 163840);
	weir_now_ms += 99;
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 163840);
	weir_now_ms += 1;
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 163840 + 16384);
	bufq_clear(&r.got);
	src_stop(&r.rate.src);
}

/* An end behind the last byte that is allowed need not wait for more to be allowed; and nothing is lost by looking. */
static void
test_end(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 1000, 1000, 0);
	assert_int_equal(drain(&r), WEIR_EOF);
	assert_int_equal(r.rate.timer.at, 0);
	bufq_clear(&r.got);

	begin(&r, 1500, 1000, 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	weir_now_ms += 1000;
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 1500);
}

/* What goes another way counts. */
static void
test_spend(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 3000, 1000, 0);
	assert_int_equal(rate_spend(&r.rate, 400), 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 600);
	bufq_clear(&r.got);
	src_stop(&r.rate.src);

	begin(&r, 3000, 1000, 500);
	src_want(&r.rate.src, true);
	assert_int_equal(rate_spend(&r.rate, 2700), 1200);
	weir_now_ms += 1000;
	wheel_run();
	assert_int_equal(r.wakes, 1);
	assert_int_equal(rate_spend(&r.rate, 0), 200);
	weir_now_ms += 1000;
	wheel_run();
	assert_int_equal(r.wakes, 2);
	assert_int_equal(rate_spend(&r.rate, 0), 0);
	assert_int_equal(drain(&r), WEIR_AGAIN);
	assert_int_equal(r.got.len, 800);
	bufq_clear(&r.got);
	src_stop(&r.rate.src);
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
		cmocka_unit_test(test_average),
		cmocka_unit_test(test_after),
		cmocka_unit_test(test_no_timer_left),
		cmocka_unit_test(test_wakes),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_spend),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
