/*
 * budget.c - how many further tries a group has.
 */
/* unit: src/core/peer/budget.c */
#include "unit.h"

#include "core/peer/budget.c"

static struct weir_block block;
static struct weir_group group = { .block = &block };
static struct weir_pick pick = { .group = &group };

static void
begin(uint64_t ms)
{
	memset(&block, 0, sizeof block);
	weir_now_ms = ms;
}

static void
ask(unsigned n)
{
	while (n-- > 0)
		budget_asked(&group);
}

/* How many of so many get through. */
static unsigned
again(unsigned n, unsigned percent, unsigned min)
{
	unsigned may = 0;

	while (n-- > 0)
		may += pick_may_again(&pick, percent, min);
	return may;
}

static void
a_share_of_what_was_asked(void **state)
{
	(void)state;
	begin(1000000);
	ask(100);
	assert_int_equal(again(50, 20, 0), 20);
	ask(10);
	assert_int_equal(again(50, 20, 0), 2);
	assert_int_equal(again(50, 20, 25), 3);
	assert_int_equal(again(200, 100, 0), 110 - 25);
}

static void
a_few_in_any_case(void **state)
{
	(void)state;
	begin(1000000);
	assert_int_equal(again(50, 20, 10), 10);
	ask(20);
	assert_int_equal(again(50, 20, 10), 0);
	begin(1000000);
	assert_int_equal(again(50, 20, 0), 0);
}

static void
time_goes_by(void **state)
{
	(void)state;
	begin(1000000);
	ask(100);
	assert_int_equal(again(50, 20, 0), 20);
	weir_now_ms += WINDOW_MS;
	assert_int_equal(again(50, 20, 0), 0);	/* all of the window before still counts */
	weir_now_ms += WINDOW_MS / 2;
	assert_int_equal(again(50, 20, 0), 0);	/* half of it: 10 of 50 */
	ask(50);
	assert_int_equal(again(50, 20, 0), 10);
	weir_now_ms += 2 * WINDOW_MS;
	assert_int_equal(again(50, 20, 0), 0);
	ask(5);
	assert_int_equal(again(50, 20, 0), 1);
}

static void
groups_of_variables_have_none(void **state)
{
	(void)state;
	begin(1000000);
	group.brief = true;
	assert_int_equal(again(50, 1, 0), 50);
	group.brief = false;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_share_of_what_was_asked),
		cmocka_unit_test(a_few_in_any_case),
		cmocka_unit_test(time_goes_by),
		cmocka_unit_test(groups_of_variables_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
