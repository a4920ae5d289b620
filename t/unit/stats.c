/* unit: src/core/proc/stats.c */
#include "unit.h"

#include "core/proc/stats.c"

static void
test_stats(void **state)
{
	struct weir_accept_stats *own = accept_stats, sum;
	int			  a, b;

	(void)state;
	/* One process alone counts for itself. */
	own->requests = 3;
	stats_sum(&sum);
	assert_int_equal(sum.requests, 3);
	own->requests = 0;

	assert_int_equal(stats_init(), WEIR_OK);
	a = stats_claim();
	b = stats_claim();
	assert_int_not_equal(a, b);
	stats_use(a);
	accept_stats->requests = 5;
	accept_stats->active = 2;
	stats_use(b);
	accept_stats->requests = 7;
	accept_stats->active = 1;
	stats_sum(&sum);
	assert_int_equal(sum.requests, 12);
	assert_int_equal(sum.active, 3);
	/* What it counted stays, what it held does not. */
	stats_give_back(a);
	stats_sum(&sum);
	assert_int_equal(sum.requests, 12);
	assert_int_equal(sum.active, 1);
	/* The next one begins with nothing. */
	assert_int_equal(stats_claim(), a);
	stats_use(a);
	assert_int_equal(accept_stats->requests, 0);
	/* When all places are taken, children count for themselves. */
	while (stats_claim() >= 0)
		;
	stats_use(-1);
	stats_give_back(-1);
	stats_sum(&sum);
	assert_int_equal(sum.requests, 12);
	accept_stats = own;
	shmap_free(shared, sizeof(*shared));
	shared = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_stats) };

	return RUN(tests);
}
