/* unit: src/core/io/ahead.c */
#include <unistd.h>

#include "unit.h"

#include "core/io/ahead.c"
#include "stream.h"

struct run {
	struct weir_qsrc from;
	struct weir_fault below;
	struct weir_ahead ahead;
	struct weir_bufq got;
	unsigned ends, wakes;
};

static void
on_end(struct weir_ahead *a)
{
	((struct run *)a->owner)->ends++;
}

static void
on_ready(void *arg)
{
	((struct run *)arg)->wakes++;
}

static void
begin(struct run *r, size_t n, uint64_t cap, uint64_t file_cap)
{
	memset(r, 0, sizeof *r);
	qsrc_init(&r->from);
	stream_fill(&r->from.q, n);
	fault_init(&r->below, &r->from.src, NULL);
	r->below.most = 1000;
	ahead_init(&r->ahead, &r->below.io.in, cap, file_cap, "/tmp");
	r->ahead.owner = r;
	r->ahead.on_end = on_end;
	src_on_ready(&r->ahead.src, on_ready, r);
}

/* The reader is busy with other things for some turns. */
static void
busy(struct run *r)
{
	src_want(&r->ahead.src, false);
	for (int i = 0; i < 10; i++)
		loop_turn(0);
}

static ssize_t
drain(struct run *r)
{
	char copy[4096];
	struct weir_bufq some = { 0 };
	ssize_t n;

	while ((n = src_read(&r->ahead.src, &some, 777)) > 0) {
		assert_int_equal(bufq_load(&some, some.len), WEIR_OK);
		while (some.len != 0) {
			size_t k = bufq_take(&some, copy, sizeof copy);

			bufq_put(&r->got, copy, k);
		}
	}
	return n;
}

static void
finish(struct run *r)
{
	ahead_free(&r->ahead);
	fault_free(&r->below);
	bufq_clear(&r->from.q);
	bufq_clear(&r->got);
	loop_turn(0);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
test_keeping_up(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 20000, 4000, 0);
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 20000);
	assert_int_equal(r.ends, 0);		/* nothing was read ahead */
	finish(&r);
}

static void
test_memory(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 20000, 4000, 0);
	busy(&r);
	assert_in_range(r.ahead.q.len, 4000, 5000);	/* as far as the cap, and no further */
	assert_int_equal(r.ends, 0);
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 20000);
	finish(&r);
	begin(&r, 3000, 4000, 0);
	busy(&r);
	assert_int_equal(r.ends, 1);		/* all is here: whoever is below may go */
	src_want(&r.ahead.src, true);
	loop_turn(0);
	assert_int_equal(r.wakes, 1);
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 3000);
	finish(&r);
}

static void
test_file(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 50000, 4000, 20000);
	busy(&r);
	assert_in_range(r.ahead.q.len, 20000, 27000);
	assert_non_null(r.ahead.file);
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 50000);
	finish(&r);
	/* by turns: the order stays */
	begin(&r, 50000, 2000, 30000);
	for (int i = 0; i < 40; i++) {
		struct weir_bufq some = { 0 };

		busy(&r);
		if (src_read(&r.ahead.src, &some, 1500) > 0) {
			char copy[4096];

			assert_int_equal(bufq_load(&some, some.len), WEIR_OK);
			bufq_put(&r.got, copy, bufq_take(&some, copy, sizeof copy));
			assert_int_equal(some.len, 0);
		}
	}
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 50000);
	finish(&r);
}

/* A folder that is not there: what was read stays in memory. */
static void
test_no_folder(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 20000, 2000, 10000);
	r.ahead.dir = "/nonexistent/folder";
	busy(&r);
	assert_int_equal(drain(&r), WEIR_EOF);
	stream_check(&r.got, 20000);
	finish(&r);
}

/* A failure comes after what was read before it. */
static void
test_failure(void **state)
{
	struct run r;

	(void)state;
	for (unsigned at = 1; at < 12; at++) {
		begin(&r, 10000, 4000, 0);
		r.below.fail_at = at;
		busy(&r);
		(void)drain(&r);
		assert_int_equal(r.ends, 0);
		if (r.below.failed) {
			assert_int_equal(src_read(&r.ahead.src, &r.got, 10), WEIR_FAIL);
			assert_int_equal(r.got.len, r.below.got);
		}
		stream_check(&r.got, (size_t)r.got.len);
		finish(&r);
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
		cmocka_unit_test(test_keeping_up),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_no_folder),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
