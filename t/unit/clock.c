/* unit: src/core/base/clock.c */
#include "unit.h"

#include "core/base/clock.c"

#define Y2026 ((uint64_t)1795222923)	/* 2026-11-21T01:02:03Z */

static void
zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
	offset_quarter = INT64_MIN;
}

static void
at(uint64_t sec)
{
	weir_wall_ms = sec * 1000 + 999;
}

static void
test_update(void **state)
{
	uint64_t before;

	(void)state;
	weir_now_ms = weir_wall_ms = 0;
	/* The first text that is asked for reads the clock. */
	assert_int_equal(clock_http_date().n, HTTP_DATE_LEN);
	assert_true(weir_wall_ms / 1000 >= 1700000000);
	assert_true(weir_now_ms != 0);
	before = weir_now_ms;
	clock_update();
	assert_true(weir_now_ms >= before);
	assert_true(weir_now_ms - before < 60000);
	assert_true(llabs((long long)(weir_wall_ms / 1000) - (long long)time(NULL)) <= 1);
}

static void
test_utc(void **state)
{
	(void)state;
	zone("UTC0");
	at(Y2026);
	assert_str(clock_http_date(), "Sat, 21 Nov 2026 01:02:03 GMT");
	assert_str(clock_log_time(), "21/Nov/2026:01:02:03 +0000");
	assert_str(clock_iso8601(), "2026-11-21T01:02:03+00:00");
	assert_str(clock_err_time(), "2026/11/21 01:02:03");
	assert_str(clock_syslog_time(), "Nov 21 01:02:03");
	at(Y2026 - 12 * 86400);
	assert_str(clock_syslog_time(), "Nov  9 01:02:03");
}

static void
test_zones(void **state)
{
	(void)state;
	zone("XXX-5:30");
	at(Y2026 + 1);
	assert_str(clock_log_time(), "21/Nov/2026:06:32:04 +0530");
	assert_str(clock_iso8601(), "2026-11-21T06:32:04+05:30");
	assert_str(clock_err_time(), "2026/11/21 06:32:04");
	assert_str(clock_http_date(), "Sat, 21 Nov 2026 01:02:04 GMT");

	zone("XXX3:30");
	at(Y2026 + 2);
	assert_str(clock_log_time(), "20/Nov/2026:21:32:05 -0330");
	assert_str(clock_iso8601(), "2026-11-20T21:32:05-03:30");
	zone("XXX0:30");
	at(Y2026 + 3);
	assert_str(clock_iso8601(), "2026-11-21T00:32:06-00:30");
}

/* Summer time ends at 2026-10-25T01:00:00Z: the texts follow within the second. */
static void
test_summer_time(void **state)
{
	(void)state;
	zone("CET-1CEST,M3.5.0,M10.5.0/3");
	at(1792889999);
	assert_str(clock_log_time(), "25/Oct/2026:02:59:59 +0200");
	at(1792890000);
	assert_str(clock_log_time(), "25/Oct/2026:02:00:00 +0100");
	/* And back, when somebody sets the clock. */
	at(1792889999);
	assert_str(clock_log_time(), "25/Oct/2026:02:59:59 +0200");
}

static void
test_made_once_a_second(void **state)
{
	struct weir_str s;

	(void)state;
	zone("UTC0");
	at(Y2026 + 10);
	s = clock_log_time();
	((char *)(uintptr_t)s.p)[0] = '#';
	assert_str(clock_log_time(), "#1/Nov/2026:01:02:13 +0000");
	at(Y2026 + 11);
	assert_str(clock_log_time(), "21/Nov/2026:01:02:14 +0000");
}

static void
test_from_a_handler(void **state)
{
	char a[CLOCK_ERR_LEN + 1] = "", b[CLOCK_ERR_LEN + 1] = "";

	(void)state;
	zone("XXX-5:30");
	do {
		clock_update();
		memcpy(a, clock_err_time().p, CLOCK_ERR_LEN);
		clock_err_time_put(b);
	} while ((uint64_t)time(NULL) != weir_wall_ms / 1000);
	assert_int_equal(clock_err_time().n, CLOCK_ERR_LEN);
	assert_string_equal(a, b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_update),
		cmocka_unit_test(test_utc),
		cmocka_unit_test(test_zones),
		cmocka_unit_test(test_summer_time),
		cmocka_unit_test(test_made_once_a_second),
		cmocka_unit_test(test_from_a_handler),
	};

	return RUN(tests);
}
