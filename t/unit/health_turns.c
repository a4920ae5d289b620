/* unit: src/core/peer/health.c */
/*
 * health_turns.c - servers have their turns all over the interval, and checks take turns, too.
 */
#include <stdlib.h>

#include "unit.h"

#include "core/peer/health.c"

static int
compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
test_spread(void **state)
{
	struct weir_health h = { .interval_ms = 1000000 };
	static const unsigned sizes[] = { 1, 2, 3, 10, 64, 1000 };
	uint64_t at[1001];

	(void)state;
	assert_int_equal(second_turn(&h, 0), h.interval_ms);
	for (unsigned k = 0; k < WEIR_COUNT(sizes); k++) {
		unsigned n = sizes[k];

		at[n] = 0;
		for (unsigned i = 0; i < n; i++) {
			at[i] = second_turn(&h, i);
			assert_in_range(at[i], 1, h.interval_ms);
		}
		qsort(at, n + 1, sizeof *at, compare);
		for (unsigned i = 0; i < n; i++)
			assert_true(at[i + 1] - at[i] <= 3 * h.interval_ms / n);
	}
}

static void
wait_for_place(struct weir_health *h, struct weir_probe *p)
{
	p->h = h;
	if (list_empty(&h->waiting))
		list_append(&turns, &h->turn);
	list_append(&h->waiting, &p->node);
}

static void
test_turns(void **state)
{
	struct weir_health h[2] = { { .fails = 1 }, { .fails = 1 } };
	struct weir_probe a[3] = { { .serial = 0 } }, b[2] = { { .serial = 0 } };

	(void)state;
	list_init(&h[0].waiting);
	list_init(&h[1].waiting);
	assert_null(take_turn());
	for (unsigned i = 0; i < 3; i++)
		wait_for_place(&h[0], &a[i]);
	for (unsigned i = 0; i < 2; i++)
		wait_for_place(&h[1], &b[i]);
	assert_ptr_equal(take_turn(), &a[0]);
	assert_ptr_equal(take_turn(), &b[0]);
	h[0].under_way = PROBES_OF_ONE;		/* it has had enough */
	assert_ptr_equal(take_turn(), &b[1]);
	assert_null(take_turn());
	h[0].under_way--;
	assert_ptr_equal(take_turn(), &a[1]);
	assert_ptr_equal(take_turn(), &a[2]);
	assert_null(take_turn());
	assert_true(list_empty(&turns));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spread),
		cmocka_unit_test(test_turns),
	};

	return RUN(tests);
}
