/* unit: src/core/proc/keeper.c */
#include "unit.h"

#include "core/base/clock.h"
#include "core/proc/keeper.c"

static unsigned once, often;

static void
do_once(struct weir_keeper_job *j)
{
	(void)j;
	once++;
}

static void
do_often(struct weir_keeper_job *j)
{
	(void)j;
	often++;
}

static void
test_jobs(void **state)
{
	struct weir_cycle	c = { .jobs = NULL };
	struct weir_keeper_job	a = { .name = "once", .first_ms = 5, .fn = do_once };
	struct weir_keeper_job	b = { .name = "often", .first_ms = 1, .every_ms = 2, .fn = do_often };
	struct weir_keeper_job	never = { .name = "never", .first_ms = 3600000, .fn = do_once };
	uint64_t		end;

	(void)state;
	assert_int_equal(loop_init(), WEIR_OK);
	keeper_add(&c, &a);
	keeper_add(&c, &b);
	keeper_add(&c, &never);
	keeper_begin(&c);
	assert_int_equal(once + often, 0);
	end = weir_now_ms + 5000;
	while ((often < 5 || once < 1) && weir_now_ms < end)
		loop_turn(-1);
	assert_int_equal(once, 1);
	assert_true(often >= 5);
	timer_off(&b.timer);
	timer_off(&never.timer);
	loop_done();
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_jobs) };

	return RUN(tests);
}
