/* unit: src/core/sess/keyed.c */
#include "unit.h"

#include <arpa/inet.h>

#include "core/sess/keyed.c"

static struct weir_str
cut_text(const char *address, unsigned bits, char buf[KEYED_BUF])
{
	static char from[16];

	assert_int_equal(inet_pton(AF_INET6, address, from), 1);
	return cut(str_of(from, 16), bits, buf);
}

/* S-181: whoever has a /64 has one key. */
static void
test_prefix(void **state)
{
	static const struct {
		const char *from; unsigned bits; const char *to;
	} rows[] = {
		{ "2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::" },
		{ "2001:db8:1:2:ffff:ffff:ffff:ffff", 64, "2001:db8:1:2::" },
		{ "2001:db8:1:3::1", 64, "2001:db8:1:3::" },
		{ "2001:db8:1:2:3:4:5:6", 128, "2001:db8:1:2:3:4:5:6" },
		{ "2001:db8:1:2:3:4:5:7", 127, "2001:db8:1:2:3:4:5:6" },
		{ "2001:db8:ffff::1", 33, "2001:db8:8000::" },
		{ "2001:db8:ffff::1", 36, "2001:db8:f000::" },
		{ "ffff::", 1, "8000::" },
	};
	char		buf[KEYED_BUF], want[16];
	struct weir_str got;
	size_t		i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(rows); i++) {
		got = cut_text(rows[i].from, rows[i].bits, buf);
		inet_pton(AF_INET6, rows[i].to, want);
		assert_int_equal(got.n, 16);
		assert_memory_equal(got.p, want, 16);
	}
}

/* All of IPv4 lies in one /64 of those: they must not become one key. */
static void
test_mapped(void **state)
{
	char		buf[KEYED_BUF];
	struct weir_str got = cut_text("::ffff:192.0.2.1", 64, buf);

	(void)state;
	assert_int_equal(got.n, 4);
	assert_memory_equal(got.p, "\xc0\x00\x02\x01", 4);
}

static void
test_is_address(void **state)
{
	(void)state;
	assert_true(is_address(STR("$binary_remote_addr")));
	assert_true(is_address(STR("${binary_remote_addr}")));
	assert_false(is_address(STR("$binary_remote_addr$host")));
	assert_false(is_address(STR("$remote_addr")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_is_address),
	};

	return RUN(tests);
}
