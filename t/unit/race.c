/*
 * race.c - in which order the addresses of a name are dialled.
 */
/* unit: src/core/net/race.c */
#include <stdlib.h>

#include "unit.h"

#include "core/net/race.c"

static const struct weir_addr *
addr(const char *text)
{
	struct weir_addr *a = calloc(1, sizeof *a);

	assert_int_equal(addr_parse_ip(str_c(text), a), WEIR_OK);
	addr_set_port(a, 80);
	return a;
}

/* The order as text: "0312". */
static const char *
order_of(const struct weir_addr *const *a, unsigned n)
{
	static char text[RACE_MOST + 1];
	unsigned order[RACE_MOST];

	race_order(a, n, order);
	for (unsigned i = 0; i < n; i++)
		text[i] = (char)('0' + order[i]);
	text[n] = '\0';
	return text;
}

static void
free_all(const struct weir_addr **a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		free((void *)(uintptr_t)a[i]);
}

static void
families_take_turns(void **state)
{
	const struct weir_addr *a[] = { addr("::1"), addr("::2"), addr("127.0.0.1"), addr("::3"), addr("127.0.0.2") };

	(void)state;
	weir_now_ms = 1000000;
	assert_string_equal(order_of(a, 1), "0");
	assert_string_equal(order_of(a, 2), "01");
	assert_string_equal(order_of(a, 5), "02143");
	assert_string_equal(order_of(a + 2, 3), "012");
	free_all(a, 5);
}

static void
who_did_badly_comes_last(void **state)
{
	const struct weir_addr *a[] = { addr("::1"), addr("127.0.0.1"), addr("127.0.0.2") };

	(void)state;
	weir_now_ms = 2000000;
	remember(a[0], true);
	assert_string_equal(order_of(a, 3), "120");
	remember(a[1], true);
	assert_string_equal(order_of(a, 3), "201");
	remember(a[2], true);
	assert_string_equal(order_of(a, 3), "012");
	remember(a[1], false);
	assert_string_equal(order_of(a, 3), "102");
	weir_now_ms += RACE_MEMORY_MS;
	assert_string_equal(order_of(a, 3), "012");
	free_all(a, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(families_take_turns),
		cmocka_unit_test(who_did_badly_comes_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
