/* unit: src/core/base/num.c */
#include "unit.h"

#include "core/base/num.c"

#define GOOD(read, text, want) do {				\
	__typeof__(want) n_ = 0;				\
								\
	assert_int_equal(read(str_c(text), &n_), WEIR_OK);	\
	assert_true(n_ == (want));				\
} while (0)

/* Refused, and the result is left alone. */
#define BAD(read, type, ...) do {						\
	static const char *const t_[] = { __VA_ARGS__ };			\
	size_t i_;								\
										\
	for (i_ = 0; i_ < WEIR_COUNT(t_); i_++) {				\
		type n_ = 4711;							\
										\
		if (read(str_c(t_[i_]), &n_) != WEIR_FAIL || n_ != 4711)	\
			fail_msg("\"%s\" was taken", t_[i_]);			\
	}									\
} while (0)

static void
test_u64(void **state)
{
	uint64_t n = 4711;

	(void)state;
	GOOD(num_u64, "0", (uint64_t)0);
	GOOD(num_u64, "0000000000000000000000000000007", (uint64_t)7);
	GOOD(num_u64, "18446744073709551615", UINT64_MAX);
	BAD(num_u64, uint64_t, "", " 1", "1 ", "+1", "-1", "1a", "0x1", "1.0", "1e3", "a",
	    "18446744073709551616", "18446744073709551620", "99999999999999999999999");
	assert_int_equal(num_u64(STR_NONE, &n), WEIR_FAIL);
	assert_int_equal(num_u64(STR("1\0"), &n), WEIR_FAIL);
	assert_int_equal(n, 4711);
}

static void
test_i64(void **state)
{
	(void)state;
	GOOD(num_i64, "0", (int64_t)0);
	GOOD(num_i64, "-0", (int64_t)0);
	GOOD(num_i64, "-1", (int64_t)-1);
	GOOD(num_i64, "9223372036854775807", INT64_MAX);
	GOOD(num_i64, "-9223372036854775808", INT64_MIN);
	BAD(num_i64, int64_t, "", "-", "--1", "+1", "- 1", "9223372036854775808",
	    "-9223372036854775809", "18446744073709551616");
}

static void
test_hex(void **state)
{
	(void)state;
	GOOD(num_hex, "0", (uint64_t)0);
	GOOD(num_hex, "fF", (uint64_t)255);
	GOOD(num_hex, "ffffffffffffffff", UINT64_MAX);
	GOOD(num_hex, "00000000000000000001", (uint64_t)1);
	BAD(num_hex, uint64_t, "", "0x1", "g", "1g", "@", "`", "-1", "1 ", "/", ":",
	    "10000000000000000", "10000000000000005");
}

static void
test_size(void **state)
{
	(void)state;
	GOOD(num_size, "0", (uint64_t)0);
	GOOD(num_size, "10", (uint64_t)10);
	GOOD(num_size, "10k", (uint64_t)10240);
	GOOD(num_size, "10K", (uint64_t)10240);
	GOOD(num_size, "3m", (uint64_t)3 << 20);
	GOOD(num_size, "3G", (uint64_t)3 << 30);
	GOOD(num_size, "17179869183g", (uint64_t)17179869183 << 30);
	BAD(num_size, uint64_t, "", "k", "1kb", "10 m", "1t", "-1", "1.5m", "17179869184g", "1e9g",
	    "1mm");
}

static void
test_msec(void **state)
{
	(void)state;
	GOOD(num_msec, "0", (uint64_t)0);
	GOOD(num_msec, "10", (uint64_t)10000);
	GOOD(num_msec, "10s", (uint64_t)10000);
	GOOD(num_msec, "100ms", (uint64_t)100);
	GOOD(num_msec, "1m30s", (uint64_t)90000);
	GOOD(num_msec, "1m30", (uint64_t)90000);
	GOOD(num_msec, "1h 30m", (uint64_t)5400000);
	GOOD(num_msec, "1h  30m", (uint64_t)5400000);
	GOOD(num_msec, "1s500ms", (uint64_t)1500);
	GOOD(num_msec, "1d", (uint64_t)86400000);
	GOOD(num_msec, "2w", (uint64_t)1209600000);
	GOOD(num_msec, "1M", (uint64_t)2592000000);
	GOOD(num_msec, "1y", (uint64_t)31536000000);
	GOOD(num_msec, "1y1M1w1d1h1m1s1ms", (uint64_t)31536000000 + 2592000000 + 604800000 +
	    86400000 + 3600000 + 60000 + 1000 + 1);
	GOOD(num_msec, "584942417y", (uint64_t)584942417 * 31536000000);
	BAD(num_msec, uint64_t, "", "s", "1x", "1sm", "30s1m", "1m1m", "1s5", "5 5", " 1s", "1s ",
	    "1 s", "-1s", "1.5s", "1S", "1h30m foo", "1ms1", "584942418y", "18446744073709551616s",
	    "584942417y584942417M");
}

static void
test_put(void **state)
{
	char buf[NUM_MAX];

	(void)state;
	assert_str(str_of(buf, (size_t)(num_put(buf, 0) - buf)), "0");
	assert_str(str_of(buf, (size_t)(num_put(buf, 1234567890) - buf)), "1234567890");
	assert_str(str_of(buf, (size_t)(num_put(buf, UINT64_MAX) - buf)), "18446744073709551615");
	assert_str(str_of(buf, (size_t)(num_put_hex(buf, 0) - buf)), "0");
	assert_str(str_of(buf, (size_t)(num_put_hex(buf, 0xdeadbeef) - buf)), "deadbeef");
	assert_str(str_of(buf, (size_t)(num_put_hex(buf, UINT64_MAX) - buf)), "ffffffffffffffff");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_u64),
		cmocka_unit_test(test_i64),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_msec),
		cmocka_unit_test(test_put),
	};

	return RUN(tests);
}
