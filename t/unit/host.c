/* unit: src/http/msg/host.c */
#include "unit.h"

#include "http/msg/host.c"

static const struct { const char *text, *host, *port; } good[] = {
	{ "a", "a", "" },
	{ "example.com", "example.com", "" },
	{ "Example.COM", "example.com", "" },
	{ "example.com.", "example.com", "" },
	{ "EXAMPLE.com.:8080", "example.com", "8080" },
	{ "a:80", "a", "80" },
	{ "a:", "a", "" },
	{ "a:00080", "a", "00080" },
	{ "a:1", "a", "1" },
	{ "a:65535", "a", "65535" },
	{ "my_host-1.x", "my_host-1.x", "" },
	{ "127.0.0.1:1", "127.0.0.1", "1" },
	{ "[::1]", "[::1]", "" },
	{ "[::1]:8443", "[::1]", "8443" },
	{ "[2001:DB8::A]", "[2001:db8::a]", "" },
	{ "[::ffff:1.2.3.4]:", "[::ffff:1.2.3.4]", "" },
	{ "a,b;c=d", "a,b;c=d", "" },
};

/* S-12, and what else is no host. */
static const struct weir_str bad[] = {
	STR(""), STR(" "), STR("a b"), STR("a/b"), STR("/"), STR("u@h"), STR("a?b"), STR("a#b"),
	STR("a\\b"), STR("a\tb"), STR("a\rb"), STR("a\nb"), STR("a\0b"), STR("a\x7f"), STR("a\x80"),
	STR("a:80:80"), STR("a:8o"), STR("a:http"), STR("a:-1"), STR("a:0"), STR("a:65536"),
	STR("a:000080"), STR("a:999999999999"), STR(":80"), STR(":"), STR("."), STR(".a"),
	STR("a..b"), STR("a.."), STR(".:80"), STR("a%41"), STR("a\"b"), STR("<a>"), STR("a:+80"),
	STR("["), STR("[]"), STR("[::1"), STR("::1"), STR("[::1]x"), STR("[::1]."), STR("[::1]]"),
	STR("[::1]:x"), STR("[127.0.0.1]"), STR("[::g]"), STR("[fe80::1%25eth0]"), STR("[v1.a]"),
	STR("[::1\0]"), STR("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]"), STR("a,b c"),
	STR("a:80/"), STR("a:80 "), STR(" a"), STR("a "),
};

static void
test_good(void **state)
{
	struct weir_pool *pool = pool_new(0);
	struct weir_str	  host, port;
	size_t		  i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(good); i++) {
		assert_true(host_valid(str_c(good[i].text)));
		assert_true(host_parse(pool, str_c(good[i].text), &host, &port));
		assert_str(host, good[i].host);
		assert_str(port, good[i].port);
	}
	/* No copy when there is nothing to lower. */
	assert_true(host_parse(pool, str_c(good[1].text), &host, &port));
	assert_ptr_equal(host.p, good[1].text);
	pool_free(pool);
}

static void
test_bad(void **state)
{
	struct weir_pool *pool = pool_new(0);
	struct weir_str	  host, port;
	size_t		  i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(bad); i++) {
		if (host_valid(bad[i]))
			fail_msg("\"%.*s\" is taken for a host", STR_ARG(bad[i]));
		assert_false(host_parse(pool, bad[i], &host, &port));
	}
	pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
	};

	return RUN(tests);
}
