/* unit: src/core/base/httpdate.c */
#include "unit.h"

#include <time.h>

#include "core/base/httpdate.c"

#define Y2026 1795222923	/* 2026-11-21T01:02:03Z */

static void
test_civil_agrees_with_libc(void **state)
{
	struct weir_civil	c;
	struct tm		tm;
	int64_t			t;
	time_t			tt;

	(void)state;
	/* Odd steps through 12000 years, so that all kinds of days come up. */
	for (t = -62135596800; t < 316000000000; t += 86399 * 37 + 11) {
		tt = (time_t)t;
		assert_non_null(gmtime_r(&tt, &tm));
		civil_of(&c, t);
		assert_int_equal(c.year, tm.tm_year + 1900);
		assert_int_equal(c.month, tm.tm_mon + 1);
		assert_int_equal(c.day, tm.tm_mday);
		assert_int_equal(c.hour, tm.tm_hour);
		assert_int_equal(c.min, tm.tm_min);
		assert_int_equal(c.sec, tm.tm_sec);
		assert_int_equal(c.wday, tm.tm_wday);
		assert_int_equal(civil_sec(&c), t);
	}
}

static const char *
put(int64_t t)
{
	static char buf[HTTP_DATE_LEN + 2];

	buf[HTTP_DATE_LEN] = '#';
	http_date_put(buf, (time_t)t);
	assert_int_equal(buf[HTTP_DATE_LEN], '#');
	buf[HTTP_DATE_LEN] = '\0';
	return buf;
}

static void
test_put(void **state)
{
	(void)state;
	assert_string_equal(put(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
	assert_string_equal(put(0), "Thu, 01 Jan 1970 00:00:00 GMT");
	assert_string_equal(put(-1), "Wed, 31 Dec 1969 23:59:59 GMT");
	assert_string_equal(put(951782400), "Tue, 29 Feb 2000 00:00:00 GMT");
	assert_string_equal(put(4107542400), "Mon, 01 Mar 2100 00:00:00 GMT");
	assert_string_equal(put(2147483648), "Tue, 19 Jan 2038 03:14:08 GMT");
	assert_string_equal(put(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_string_equal(put(INT64_MIN), "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void
test_read(void **state)
{
	static const struct { const char *text; int64_t t; } good[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Sunday, 06-Nov-94 08:49:37 GMT", 784111777 },
		{ "Sun Nov  6 08:49:37 1994", 784111777 },
		{ "Wed Nov 16 08:49:37 1994", 784975777 },
		{ "Wed Nov 06 08:49:37 1994", 784111777 },
		{ "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
		{ "Wed, 31 Dec 1969 23:59:59 GMT", 0 },
		{ "Mon, 01 Jan 0001 00:00:00 GMT", 0 },
		{ "Tue, 29 Feb 2000 00:00:00 GMT", 951782400 },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", 253402300799 },
		{ "Sat, 31 Dec 2016 23:59:60 GMT", 1483228800 },
		/* The day of the week is decoration. */
		{ "Mon, 06 Nov 1994 08:49:37 GMT", 784111777 },
		{ "Wednesday, 01-Jan-70 00:00:00 GMT", 3155760000 },	/* 2070: 44 years ahead */
		{ "Saturday, 01-Jan-77 00:00:00 GMT", 220924800 },	/* 2077 would be 51 */
	};
	static const char *const bad[] = {
		"", "Sun", "Sun,", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 GMT ",
		"Sun, 06 Nov 1994 08:49:37 UTC", "sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 1994 24:00:00 GMT", "Sun, 06 Nov 1994 08:60:00 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 29 Feb 1900 00:00:00 GMT",
		"Sun, 29 Feb 1995 00:00:00 GMT", "Sun, 32 Dec 1994 00:00:00 GMT",
		"Xun, 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
		"Sunday, 06 Nov 1994 08:49:37 GMT", "Sunday Nov  6 08:49:37 1994",
		"Sun Nov 6 08:49:37 1994", "Sun Nov  6 08:49:37 94", "Sun Nov   6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT", "784111777", "0", "-1",
		"Sun, +6 Nov 1994 08:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT",
		" Sun, 06 Nov 1994 08:49:37 GMT",
	};
	size_t i;

	(void)state;
	weir_wall_ms = (uint64_t)Y2026 * 1000;
	for (i = 0; i < WEIR_COUNT(good); i++)
		if (http_date_read(str_c(good[i].text)) != good[i].t)
			fail_msg("%s: %lld", good[i].text,
			    (long long)http_date_read(str_c(good[i].text)));
	for (i = 0; i < WEIR_COUNT(bad); i++)
		if (http_date_read(str_c(bad[i])) != -1)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(http_date_read(STR_NONE), -1);
}

/* No part of a date is a date, and nothing behind the view is looked at. */
static void
test_cut(void **state)
{
	static const char *const dates[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};
	size_t i, n;

	(void)state;
	for (i = 0; i < WEIR_COUNT(dates); i++)
		for (n = 0; n < strlen(dates[i]); n++)
			assert_int_equal(http_date_read(str_of(dates[i], n)), -1);
}

static void
test_two_digits(void **state)
{
	static const struct { int64_t now; const char *text; int64_t year; } t[] = {
		{ Y2026, "Monday, 01-Jan-26 00:00:00 GMT", 2026 },
		{ Y2026, "Monday, 01-Jan-76 00:00:00 GMT", 2076 },
		{ Y2026, "Monday, 01-Jan-77 00:00:00 GMT", 1977 },
		{ Y2026, "Monday, 01-Jan-99 00:00:00 GMT", 1999 },
		{ Y2026, "Monday, 01-Jan-00 00:00:00 GMT", 2000 },
		{ 3786912000, "Monday, 01-Jan-01 00:00:00 GMT", 2101 },	/* now: 2090 */
		{ 3786912000, "Monday, 01-Jan-91 00:00:00 GMT", 2091 },
		{ 3786912000, "Monday, 01-Jan-41 00:00:00 GMT", 2041 },
	};
	struct weir_civil	c;
	size_t			i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(t); i++) {
		weir_wall_ms = (uint64_t)t[i].now * 1000;
		civil_of(&c, http_date_read(str_c(t[i].text)));
		assert_int_equal(c.year, t[i].year);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_civil_agrees_with_libc),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_two_digits),
	};

	return RUN(tests);
}
