/* unit: src/core/net/addr.c */
#include "unit.h"

#include "core/net/addr.c"

static struct weir_pool *pool;

static void
ip_is(const char *text, const char *want)
{
	struct weir_addr a;
	char		 got[ADDR_TEXT_MAX];

	assert_int_equal(addr_parse_ip(str_c(text), &a), WEIR_OK);
	assert_str(str_of(got, addr_put_ip(got, &a)), want);
}

static void
test_parse_ip(void **state)
{
	static const char *const bad[] = {
		"", "1.2.3", "1.2.3.4.5", "256.0.0.1", "1.2.3.4 ", " 1.2.3.4", "::g", "[::1", "[1.2.3.4]",
		"localhost", "1:2:3:4:5:6:7:8:9", "[]", "01.2.3.4",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
	};
	struct weir_addr a = { .in = { .sin_family = 77 } };

	(void)state;
	ip_is("1.2.3.4", "1.2.3.4");
	ip_is("0.0.0.0", "0.0.0.0");
	ip_is("255.255.255.255", "255.255.255.255");
	ip_is("::1", "::1");
	ip_is("[2001:DB8::A]", "2001:db8::a");
	ip_is("::ffff:1.2.3.4", "::ffff:1.2.3.4");
	for (size_t i = 0; i < WEIR_COUNT(bad); i++)
		assert_int_equal(addr_parse_ip(str_c(bad[i]), &a), WEIR_FAIL);
	assert_int_equal(addr_parse_ip(str_of("1.2.3.4\0x", 9), &a), WEIR_FAIL);
	assert_int_equal(a.sa.sa_family, 77);
}

static void
test_parse_ip_port(void **state)
{
	static const char *const good[][2] = {
		{ "1.2.3.4", "1.2.3.4:0" }, { "1.2.3.4:80", "1.2.3.4:80" }, { "::1", "[::1]:0" },
		{ "[::1]", "[::1]:0" }, { "[::1]:443", "[::1]:443" }, { "2001:db8::1:80", "[2001:db8::1:80]:0" },
	};
	static const char *const bad[] = {
		"", "80", ":80", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:80:80", "[1.2.3.4]:80",
		"[::1]80", "[::1", "1:2:3:4:5:6:7:8:9", "name:80", "*:80", "unix:/x",
	};
	struct weir_addr a;
	char		 got[ADDR_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < WEIR_COUNT(good); i++) {
		assert_int_equal(addr_parse_ip_port(str_c(good[i][0]), &a), WEIR_OK);
		assert_str(str_of(got, addr_put(got, &a)), good[i][1]);
	}
	for (size_t i = 0; i < WEIR_COUNT(bad); i++)
		assert_int_equal(addr_parse_ip_port(str_c(bad[i]), &a), WEIR_FAIL);
}

static void
parses_to(const char *text, unsigned port, const char *want)
{
	struct weir_addr a;
	char		 got[ADDR_TEXT_MAX];

	assert_int_equal(addr_parse(pool, str_c(text), port, &a, NULL, NULL), WEIR_OK);
	assert_str(str_of(got, addr_put(got, &a)), want);
}

static void
test_parse(void **state)
{
	static const char *const bad[] = {
		"", ":", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:x", "1.2.3.4:-1", "[::1]x80",
		"[::1]:", "::1:80", "::1", "[::1", "unix:", "a b:80", "1.2.3.4/8", "a\\b", "1.2.3.4:80 ",
	};
	struct weir_addr a;

	(void)state;
	parses_to("1.2.3.4:80", 0, "1.2.3.4:80");
	parses_to("1.2.3.4", 81, "1.2.3.4:81");
	parses_to("[::1]:8080", 0, "[::1]:8080");
	parses_to("[::1]", 443, "[::1]:443");
	parses_to("[::]:1", 0, "[::]:1");
	parses_to("*:80", 0, "0.0.0.0:80");
	parses_to("*", 80, "0.0.0.0:80");
	parses_to(":80", 0, "0.0.0.0:80");
	parses_to("80", 0, "0.0.0.0:80");
	parses_to("65535", 80, "0.0.0.0:65535");
	parses_to("unix:/tmp/x", 0, "unix:/tmp/x");
	parses_to("unix:/tmp/x:y", 80, "unix:/tmp/x:y");
	for (size_t i = 0; i < WEIR_COUNT(bad); i++)
		assert_int_equal(addr_parse(pool, str_c(bad[i]), 80, &a, NULL, NULL), WEIR_FAIL);
	/* Without a port from anywhere. */
	assert_int_equal(addr_parse(pool, STR("1.2.3.4"), 0, &a, NULL, NULL), WEIR_FAIL);
	assert_int_equal(addr_parse(pool, STR("name"), 0, &a, NULL, NULL), WEIR_FAIL);
}

static void
test_long_unix(void **state)
{
	struct weir_addr	a;
	union weir_sockaddr	sa;
	char			text[128] = "unix:/";

	(void)state;
	memset(text + 6, 'x', 106);
	assert_int_equal(addr_parse(pool, str_of(text, 5 + 107), 0, &a, NULL, NULL), WEIR_OK);
	assert_int_equal(addr_to_kernel(&a, &sa), sizeof(struct sockaddr_un));
	memset(text + 6, 'x', 107);
	assert_int_equal(addr_parse(pool, str_of(text, 5 + 108), 0, &a, NULL, NULL), WEIR_FAIL);
}

static void
test_names(void **state)
{
	struct weir_addr a;
	struct weir_str	 host;
	unsigned	 port;

	(void)state;
	assert_int_equal(addr_parse(pool, STR("example.org:81"), 80, &a, &host, &port), WEIR_AGAIN);
	assert_str(host, "example.org");
	assert_int_equal(port, 81);
	assert_int_equal(addr_parse(pool, STR("backend_1"), 80, &a, &host, &port), WEIR_AGAIN);
	assert_str(host, "backend_1");
	assert_int_equal(port, 80);
}

static void
test_lookup(void **state)
{
	const char		*err = NULL;
	unsigned		 n;
	struct weir_addr	*a = addr_lookup(pool, STR("127.0.0.1"), 81, &n, &err);
	char			 text[ADDR_TEXT_MAX];

	(void)state;
	assert_non_null(a);
	assert_int_equal(n, 1);
	assert_str(str_of(text, addr_put(text, a)), "127.0.0.1:81");
	assert_null(addr_lookup(pool, STR("no such.name"), 81, &n, &err));
	assert_int_equal(n, 0);
	assert_non_null(err);
}

static void
round_trip(const char *text)
{
	struct weir_addr	a, b;
	union weir_sockaddr	sa;
	socklen_t		n;

	assert_int_equal(addr_parse(pool, str_c(text), 0, &a, NULL, NULL), WEIR_OK);
	n = addr_to_kernel(&a, &sa);
	addr_from_kernel(&b, &sa, n, pool);
	assert_true(addr_eq(&a, &b));
	assert_int_equal(addr_port(&a), addr_port(&b));
}

static void
test_kernel(void **state)
{
	union weir_sockaddr	sa = { .un = { .sun_family = AF_UNIX } };
	struct weir_addr	a;
	char			text[ADDR_TEXT_MAX];
	const socklen_t		head = offsetof(struct sockaddr_un, sun_path);

	(void)state;
	round_trip("1.2.3.4:80");
	round_trip("[fe80::1]:443");
	round_trip("unix:/run/x");
	/* A client that is not bound, one that is bound to a name which is no file, a path without its NUL. */
	addr_from_kernel(&a, &sa, head, pool);
	assert_str(str_of(text, addr_put(text, &a)), "unix:");
	memcpy(sa.un.sun_path, "\0abc", 4);
	addr_from_kernel(&a, &sa, head + 4, pool);
	assert_str(str_of(text, addr_put(text, &a)), "unix:");
	memcpy(sa.un.sun_path, "/abc", 4);
	addr_from_kernel(&a, &sa, head + 4, pool);
	assert_str(str_of(text, addr_put(text, &a)), "unix:/abc");
	addr_from_kernel(&a, &sa, head + 4, NULL);
	assert_str(str_of(text, addr_put(text, &a)), "unix:");
	/* The kernel fills in nothing for a peer that has gone. */
	addr_from_kernel(&a, &sa, 0, pool);
	assert_int_equal(a.sa.sa_family, AF_UNSPEC);
}

static struct weir_addr
addr(const char *text)
{
	struct weir_addr a;

	assert_int_equal(addr_parse(pool, str_c(text), 0, &a, NULL, NULL), WEIR_OK);
	return a;
}

static void
test_compare(void **state)
{
	struct weir_addr a = addr("1.2.3.4:80"), b = addr("1.2.3.4:81"), c = addr("1.2.3.5:80"),
	    six = addr("[::]:80"), any = addr("*:80"), u = addr("unix:/a"), v = addr("unix:/b");

	(void)state;
	assert_true(addr_eq(&a, &a));
	assert_false(addr_eq(&a, &b));
	assert_false(addr_eq(&a, &c));
	assert_false(addr_eq(&six, &any));
	assert_true(addr_eq(&u, &u));
	assert_false(addr_eq(&u, &v));
	assert_true(addr_is_wild(&any));
	assert_true(addr_is_wild(&six));
	assert_false(addr_is_wild(&a));
	assert_false(addr_is_wild(&u));
	assert_int_equal(addr_bytes(&a).n, 4);
	assert_int_equal(addr_bytes(&six).n, 16);
	assert_str(addr_bytes(&u), "/a");
	addr_set_port(&a, 81);
	assert_true(addr_eq(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_ip), cmocka_unit_test(test_parse_ip_port), cmocka_unit_test(test_parse),
		cmocka_unit_test(test_long_unix), cmocka_unit_test(test_names),
		cmocka_unit_test(test_lookup), cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_compare),
	};
	int rc;

	pool = pool_new(0);
	rc = RUN(tests);
	pool_free(pool);
	return rc;
}
