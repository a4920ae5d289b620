/* unit: src/core/net/netset.c */
#include <stdio.h>

#include "unit.h"

#include "core/net/netset.c"

static uint64_t seed = 0x9e3779b97f4a7c15;

static unsigned
any(unsigned below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)((seed >> 20) % below);
}

static struct weir_cidr
cidr(const char *text)
{
	struct weir_cidr c;

	assert_int_equal(cidr_parse(str_c(text), &c, NULL), WEIR_OK);
	return c;
}

static struct weir_addr
addr(const char *text)
{
	struct weir_addr a;

	assert_int_equal(addr_parse_ip(str_c(text), &a), WEIR_OK);
	return a;
}

static uint32_t
find(const struct weir_netset *set, const char *ip)
{
	struct weir_addr a = addr(ip);

	return netset_find(set, &a);
}

static void
add(struct weir_pool *pool, struct weir_netset *set, const char *text, uint32_t id)
{
	struct weir_cidr c = cidr(text);

	netset_add(pool, set, &c, id);
}

static void
test_first_counts(void **state)
{
	struct weir_pool   *pool = pool_new(0);
	struct weir_netset  set = { .other = 0 };
	(void)state;

	add(pool, &set, "10.1.2.0/24", 0);
	add(pool, &set, "10.1.0.0/16", 1);
	add(pool, &set, "10.1.3.0/24", 2);
	add(pool, &set, "255.255.255.255", 3);
	add(pool, &set, "0.0.0.0", 4);
	add(pool, &set, "2001:db8::/32", 5);
	netset_freeze(pool, &set);
	assert_int_equal(find(&set, "10.1.2.3"), 0);
	assert_int_equal(find(&set, "10.1.3.3"), 1);
	assert_int_equal(find(&set, "10.1.255.255"), 1);
	assert_int_equal(find(&set, "10.2.0.0"), NETSET_NONE);
	assert_int_equal(find(&set, "10.0.255.255"), NETSET_NONE);
	assert_int_equal(find(&set, "255.255.255.255"), 3);
	assert_int_equal(find(&set, "255.255.255.254"), NETSET_NONE);
	assert_int_equal(find(&set, "0.0.0.0"), 4);
	assert_int_equal(find(&set, "0.0.0.1"), NETSET_NONE);
	assert_int_equal(find(&set, "2001:db8::1"), 5);
	assert_int_equal(find(&set, "2001:db9::"), NETSET_NONE);
	pool_free(pool);
}

static void
test_all_and_unix(void **state)
{
	struct weir_pool   *pool = pool_new(0);
	struct weir_netset  set = { .other = 0 }, none = { .other = 0 };
	struct weir_addr    sock = { .sa.sa_family = AF_UNIX, .path = "" };
	(void)state;

	netset_freeze(pool, &none);
	assert_int_equal(netset_find(&none, &sock), NETSET_NONE);
	assert_int_equal(find(&none, "1.2.3.4"), NETSET_NONE);
	assert_int_equal(find(&none, "::ffff:1.2.3.4"), NETSET_NONE);
	add(pool, &set, "::/0", 1);
	netset_add_unix(&set, 2);
	netset_add_all(pool, &set, 3);
	add(pool, &set, "1.2.3.4", 4);
	netset_freeze(pool, &set);
	assert_int_equal(netset_find(&set, &sock), 2);
	assert_int_equal(find(&set, "::1"), 1);
	assert_int_equal(find(&set, "1.2.3.4"), 3);
	pool_free(pool);
}

static void
test_mapped(void **state)
{
	struct weir_pool   *pool = pool_new(0);
	struct weir_netset  set = { .other = 0 };
	struct weir_addr    a = addr("::ffff:10.0.0.1");
	(void)state;

	add(pool, &set, "10.0.0.1", 3);
	add(pool, &set, "::ffff:0:0/96", 5);
	netset_freeze(pool, &set);
	assert_int_equal(find(&set, "::ffff:10.0.0.1"), 3);
	assert_int_equal(find(&set, "::ffff:10.0.0.2"), 5);
	assert_int_equal(find(&set, "10.0.0.2"), NETSET_NONE);
	assert_int_equal(netset_find_bytes(&set, addr_bytes(&a)), 5);
	pool_free(pool);
}

static void
test_ranks(void **state)
{
	struct weir_pool	*pool = pool_new(0);
	struct weir_netset	 set = { .other = 0 };
	struct weir_netrange	 r = { .from = 10, .to = 20, .rank = 1, .id = 7 };
	(void)state;

	netset_add_range(pool, &set, false, &r);
	r.id = 9;
	r.rank = 2;
	r.from = 15;
	netset_add_range(pool, &set, false, &r);
	r.from = 30;
	r.to = 40;
	netset_add_range(pool, &set, false, &r);
	assert_true(netset_drop(&set, false, &r));
	assert_false(netset_drop(&set, false, &r));
	assert_false(netset_drop(&set, true, &r));
	netset_freeze(pool, &set);
	assert_int_equal(find(&set, "0.0.0.9"), NETSET_NONE);
	assert_int_equal(find(&set, "0.0.0.14"), 7);
	assert_int_equal(find(&set, "0.0.0.15"), 9);
	assert_int_equal(find(&set, "0.0.0.20"), 9);
	assert_int_equal(find(&set, "0.0.0.21"), NETSET_NONE);
	assert_int_equal(find(&set, "0.0.0.35"), NETSET_NONE);
	pool_free(pool);
}

/* Few different bytes, so that networks lie in one another and addresses in them. */
static void
random_bytes(uint8_t *to, unsigned n)
{
	static const uint8_t some[] = { 0, 1, 0x7f, 0x80, 0xff };
	unsigned	     i;

	for (i = 0; i < n; i++)
		to[i] = some[any(WEIR_COUNT(some))];
}

static void
random_ip(struct weir_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = any(2) ? AF_INET : AF_INET6;
	if (a->sa.sa_family == AF_INET) {
		random_bytes((uint8_t *)&a->in.sin_addr, 4);
		return;
	}
	random_bytes(a->in6.sin6_addr.s6_addr, 16);
	if (any(3) == 0) {
		memset(a->in6.sin6_addr.s6_addr, 0, 10);
		memset(a->in6.sin6_addr.s6_addr + 10, 0xff, 2);
	}
}

static struct weir_cidr
random_cidr(void)
{
	char		 text[ADDR_TEXT_MAX + 8];
	struct weir_addr a;
	size_t		 n;

	random_ip(&a);
	n = addr_put_ip(text, &a);
	snprintf(text + n, sizeof(text) - n, "/%u", any(a.sa.sa_family == AF_INET ? 33 : 129));
	return cidr(text);
}

/* Every answer against asking the rules one after the other. */
static void
test_against_scan(void **state)
{
	struct weir_cidr   rules[200];
	struct weir_pool  *pool;
	struct weir_netset set;
	struct weir_addr   a;
	unsigned	   turn, n, i, k, hits = 0;
	(void)state;

	for (turn = 0; turn < 300; turn++) {
		pool = pool_new(0);
		memset(&set, 0, sizeof(set));
		n = 1 + any(WEIR_COUNT(rules));
		for (i = 0; i < n; i++) {
			rules[i] = random_cidr();
			netset_add(pool, &set, &rules[i], i);
		}
		netset_freeze(pool, &set);
		for (k = 0; k < 500; k++) {
			random_ip(&a);
			for (i = 0; i < n && !cidr_has(&rules[i], &a); i++)
				;
			hits += i < n;
			assert_int_equal(netset_find(&set, &a), i < n ? i : NETSET_NONE);
		}
		pool_free(pool);
	}
	assert_in_range(hits, 20000, 149000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_counts),
		cmocka_unit_test(test_all_and_unix),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_against_scan),
	};

	return RUN(tests);
}
