/* unit: src/core/net/cidr.c */
#include "unit.h"

#include "core/net/cidr.c"

static bool
has(const char *range, const char *ip)
{
	struct weir_cidr c;
	struct weir_addr a;

	assert_int_equal(cidr_parse(str_c(range), &c, NULL), WEIR_OK);
	assert_int_equal(addr_parse_ip(str_c(ip), &a), WEIR_OK);
	return cidr_has(&c, &a);
}

static void
test_ranges(void **state)
{
	(void)state;
	assert_true(has("10.1.2.3", "10.1.2.3"));
	assert_false(has("10.1.2.3", "10.1.2.2"));
	assert_true(has("10.0.0.0/8", "10.255.0.1"));
	assert_false(has("10.0.0.0/8", "11.0.0.0"));
	assert_true(has("10.0.0.128/25", "10.0.0.255"));
	assert_false(has("10.0.0.128/25", "10.0.0.127"));
	assert_true(has("0.0.0.0/0", "255.255.255.255"));
	assert_false(has("0.0.0.0/0", "::1"));
	assert_true(has("::/0", "2001:db8::1"));
	assert_false(has("::/0", "1.2.3.4"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::"));
	assert_true(has("::1/128", "::1"));
}

/* Every length against the first address behind it. */
static void
test_every_length(void **state)
{
	struct weir_cidr c;
	struct weir_addr a;
	unsigned	 bits;
	(void)state;

	for (bits = 1; bits <= 128; bits++) {
		memset(&c, 0, sizeof(c));
		c.len = 16;
		c.bits = (uint8_t)bits;
		memset(&a, 0, sizeof(a));
		a.sa.sa_family = AF_INET6;
		assert_true(cidr_has(&c, &a));
		a.in6.sin6_addr.s6_addr[(bits - 1) / 8] = (uint8_t)(0x80 >> (bits - 1) % 8);
		assert_false(cidr_has(&c, &a));
		memset(a.in6.sin6_addr.s6_addr, 0, 16);
		if (bits == 128)
			break;
		a.in6.sin6_addr.s6_addr[bits / 8] = (uint8_t)(0x80 >> bits % 8);
		assert_true(cidr_has(&c, &a));
	}
}

static void
test_mapped(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_false(has("10.0.0.0/8", "::ffff:11.1.2.3"));
	assert_true(has("::/0", "::ffff:11.1.2.3"));
}

static void
test_unix(void **state)
{
	struct weir_cidr c;
	struct weir_addr a = { .path = "" };
	(void)state;

	a.sa.sa_family = AF_UNIX;
	assert_int_equal(cidr_parse(STR("0.0.0.0/0"), &c, NULL), WEIR_OK);
	assert_false(cidr_has(&c, &a));
}

static void
test_low_bits(void **state)
{
	struct weir_cidr c;
	bool		 low;
	(void)state;

	assert_int_equal(cidr_parse(STR("10.1.0.0/8"), &c, &low), WEIR_OK);
	assert_true(low);
	assert_int_equal(c.bytes[1], 0);
	assert_int_equal(cidr_parse(STR("10.0.0.0/8"), &c, &low), WEIR_OK);
	assert_false(low);
}

static void
test_malformed(void **state)
{
	static const char *const bad[] = {
		"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/8/8",
		"10.0.0.0/-1", "10.0.0.0/ 8", "[::1]", "[::1]/64", "name", "10.0.0.0/99999999999999999999",
	};
	struct weir_cidr c;
	unsigned	 i;
	(void)state;

	for (i = 0; i < WEIR_COUNT(bad); i++)
		assert_int_equal(cidr_parse(str_c(bad[i]), &c, NULL), WEIR_FAIL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_every_length),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_low_bits),
		cmocka_unit_test(test_malformed),
	};

	return RUN(tests);
}
