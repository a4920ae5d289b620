/* unit: src/core/base/hash.c */
#include "unit.h"

#include "core/base/hash.c"

/*
 * The first published vectors of SipHash are of 2-4; for 1-3 these are
 * those that other implementations agree on (key 00..0f, input 00..n-1).
 */
static void
test_siphash(void **state)
{
	static const uint64_t want[] = {
		0xabac0158050fc4dc, 0xc9f49bf37d57ca93, 0x82cb9b024dc7d44d, 0x8bf80ab8e7ddf7fb,
		0xcf75576088d38328, 0xdef9d52f49533b67, 0xc50d2b50c59f22a7, 0xd3927d989bb11140,
		0x369095118d299a8e, 0x25a48eb36c063de4,
	};
	uint8_t		 key[16], in[16];
	unsigned	 i;

	(void)state;
	for (i = 0; i < 16; i++)
		key[i] = in[i] = (uint8_t)i;
	hash_seed(key);
	for (i = 0; i < WEIR_COUNT(want); i++)
		assert_true(siphash(in, i) == want[i]);
	/* Another secret, another hash. */
	key[0] ^= 1;
	hash_seed(key);
	assert_true(siphash(in, 3) != want[3]);
	assert_true(siphash(NULL, 0) == siphash(in, 0));
}

static void
test_lower8(void **state)
{
	unsigned	c, i;
	unsigned char	in[8], out[8];
	uint64_t	w;

	(void)state;
	for (c = 0; c < 256; c++) {
		for (i = 0; i < 8; i++)
			in[i] = (unsigned char)(c + i * 31);
		w = lower8(load8(in));
		w = htole64(w);
		memcpy(out, &w, 8);
		for (i = 0; i < 8; i++)
			assert_int_equal(out[i], ascii_lower(in[i]));
	}
}

static void
test_empty(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_hash	 h;
	unsigned		 i = 0;

	(void)state;
	hash_init(&h, p, false);
	assert_null(hash_get(&h, STR("x")));
	assert_null(hash_next(&h, &i));
	assert_null(hash_put(&h, STR_NONE, p));
	assert_ptr_equal(hash_get(&h, STR("")), p);
	pool_free(p);
}

static void
test_replace(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_hash	 h;
	int			 a, b;

	(void)state;
	hash_init(&h, p, false);
	assert_null(hash_put(&h, STR("key"), &a));
	assert_ptr_equal(hash_put(&h, STR("key"), &b), &a);
	assert_ptr_equal(hash_get(&h, STR("key")), &b);
	assert_int_equal(h.n, 1);
	assert_null(hash_get(&h, STR("Key")));
	pool_free(p);
}

static void
test_case(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_hash	 h;

	(void)state;
	hash_init(&h, p, true);
	hash_put(&h, STR("Content-Security-Policy-Report-Only"), &h);
	assert_ptr_equal(hash_get(&h, STR("content-SECURITY-policy-report-onlY")), &h);
	hash_put(&h, STR("[key]"), p);
	assert_null(hash_get(&h, STR("{key}")));
	assert_ptr_equal(hash_get(&h, STR("[KEY]")), p);
	pool_free(p);
}

static void
test_growth(void **state)
{
	struct weir_pool		*p = pool_new(0);
	struct weir_hash		 h;
	const struct weir_hash_slot	*s;
	static unsigned			 value[5000];
	unsigned			 i, seen = 0;

	(void)state;
	hash_init(&h, p, false);
	for (i = 0; i < 5000; i++) {
		assert_null(hash_put(&h, pool_printf(p, "key%u", i), &value[i]));
		assert_true(h.n <= h.room / 4 * 3);
		assert_int_equal(h.room & (h.room - 1), 0);
	}
	for (i = 0; i < 5000; i++)
		assert_ptr_equal(hash_get(&h, pool_printf(p, "key%u", i)), &value[i]);
	assert_null(hash_get(&h, STR("key5000")));
	for (i = 0; (s = hash_next(&h, &i)) != NULL; seen++)
		++*(unsigned *)s->value;
	assert_int_equal(seen, 5000);
	for (i = 0; i < 5000; i++)
		assert_int_equal(value[i], 1);
	pool_free(p);
}

/* Keys of one hash, whose chain runs over the end of the table. */
static void
test_collisions(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_hash	 h;
	struct weir_hash_slot	*s;
	int			 v[5];
	unsigned		 i;

	(void)state;
	hash_init(&h, p, false);
	hash_put(&h, STR("first"), &v[0]);
	memset(h.slot, 0, h.room * sizeof(*h.slot));
	for (i = 0; i < 5; i++) {
		struct weir_str key = pool_printf(p, "k%u", i);

		s = find(&h, key, h.room - 2);
		assert_null(s->value);
		*s = (struct weir_hash_slot){ key, &v[i], h.room - 2 };
	}
	h.n = 5;
	assert_ptr_equal(h.slot[2].value, &v[4]);
	for (i = 0; i < 5; i++)
		assert_ptr_equal(find(&h, pool_printf(p, "k%u", i), h.room - 2)->value, &v[i]);
	assert_null(find(&h, STR("k5"), h.room - 2)->value);
	/* The same key, another hash: not found there, and chains stay whole when growing. */
	grow(&h);
	for (i = 0; i < 5; i++)
		assert_ptr_equal(find(&h, pool_printf(p, "k%u", i), 6)->value, &v[i]);
	pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_lower8),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_replace),
		cmocka_unit_test(test_case),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_collisions),
	};

	return RUN(tests);
}
