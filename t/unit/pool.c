/* unit: src/core/base/pool.c */
#include "unit.h"

#include "core/base/mem.h"
#include "core/base/pool.c"

static void
test_header_is_small(void **state)
{
	(void)state;
	assert_true(sizeof(struct chunk) <= 16);
	assert_true(sizeof(struct chunk) + sizeof(struct weir_pool) <= 64);
}

static void
test_alignment(void **state)
{
	struct weir_pool	*p = pool_new(0);
	size_t			 i;

	(void)state;
	for (i = 0; i < 3000; i = i * 3 / 2 + 1) {
		memset(pool_bytes(p, 1), 1, 1);
		assert_int_equal((uintptr_t)pool_alloc(p, i) % ALIGN, 0);
	}
	pool_free(p);
}

static void
test_no_overlap(void **state)
{
	struct weir_pool	*p = pool_new(0);
	unsigned char		*at[400];
	size_t			 i, j;

	(void)state;
	for (i = 0; i < 400; i++) {
		at[i] = i % 3 == 0 ? (void *)pool_bytes(p, i * 17) : pool_alloc(p, i * 17);
		memset(at[i], (int)(i & 255), i * 17);
	}
	for (i = 0; i < 400; i++)
		for (j = 0; j < i * 17; j++)
			assert_int_equal(at[i][j], i & 255);
	pool_free(p);
}

static void
test_zalloc_after_recycling(void **state)
{
	struct weir_pool	*p = pool_new(0);
	unsigned char		*z;
	size_t			 i;

	(void)state;
	memset(pool_alloc(p, 900), 0xff, 900);
	pool_free(p);
	p = pool_new(0);
	z = pool_zalloc(p, 900);
	for (i = 0; i < 900; i++)
		assert_int_equal(z[i], 0);
	pool_free(p);
}

#if !WEIR_ASAN
static void
test_growth(void **state)
{
	struct weir_pool *p = pool_new(0);

	(void)state;
	assert_int_equal(pool_size(p), 1024);
	pool_alloc(p, 900);
	assert_int_equal(pool_size(p), 1024);
	pool_alloc(p, 900);
	assert_int_equal(pool_size(p), 1024 + 2048);
	pool_alloc(p, 2000);
	assert_int_equal(pool_size(p), 1024 + 2048 + 4096);
	pool_alloc(p, 4000);
	pool_alloc(p, 4000);
	assert_int_equal(pool_size(p), 1024 + 2048 + 4096 + 8192);
	pool_alloc(p, 4000);
	assert_int_equal(pool_size(p), 1024 + 2048 + 4096 + 8192 + 16384);
	pool_free(p);

	p = pool_new(3000);
	assert_int_equal(pool_size(p), 4096);
	pool_free(p);
	p = pool_new(100000);
	assert_int_equal(pool_size(p), 100000);
	pool_free(p);
}

/* A large thing gets its own chunk; small ones go on in the old one. */
static void
test_large(void **state)
{
	struct weir_pool	*p = pool_new(0);
	char			*a = pool_alloc(p, 16), *b, *c;

	(void)state;
	b = pool_alloc(p, 100000);
	memset(b, 0, 100000);
	c = pool_alloc(p, 16);
	assert_ptr_equal(c, a + 16);
	assert_int_equal(pool_size(p), 1024 + 100000 + sizeof(struct chunk));
	pool_free(p);
}

static void
test_recycling(void **state)
{
	struct weir_pool	*p = pool_new(0), *q;
	size_t			 i, n = KEEP_BYTES / 1024 + 50;
	static struct weir_pool	*many[KEEP_BYTES / 1024 + 50];

	(void)state;
	pool_free(p);
	q = pool_new(0);
	assert_ptr_equal(p, q);
	pool_free(q);
	for (i = 0; i < n; i++)
		many[i] = pool_new(0);
	for (i = 0; i < n; i++)
		pool_free(many[i]);
	assert_int_equal(spare[0].bytes, KEEP_BYTES);
}

static void
test_classes(void **state)
{
	(void)state;
	assert_int_equal(class_of(1), 0);
	assert_int_equal(class_of(1024), 0);
	assert_int_equal(class_of(1025), 1);
	assert_int_equal(class_of(16384), 4);
	assert_int_equal(chunk_size(16384), 16384);
	assert_int_equal(chunk_size(16385), 16385);
}
#endif

static char	order[16];
static unsigned order_n;

static void
note(void *arg)
{
	order[order_n++] = *(char *)arg;
}

static struct weir_pool *growing;

static void
note_and_add(void *arg)
{
	static char z = 'z';

	memset(pool_alloc(growing, 5000), 1, 5000);
	pool_on_free(growing, note, &z);
	note(arg);
}

static void
test_cleanups(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_cleanup	*c;

	(void)state;
	order_n = 0;
	pool_on_free(p, note, pool_dup(p, "a", 1));
	c = pool_on_free(p, note, pool_dup(p, "b", 1));
	pool_on_free(p, note, pool_dup(p, "c", 1));
	pool_off(c);
	pool_free(p);
	assert_str(str_of(order, order_n), "ca");
	pool_free(NULL);
}

static void
test_cleanup_adds_cleanup(void **state)
{
	struct weir_pool *p = growing = pool_new(0);

	(void)state;
	order_n = 0;
	pool_on_free(p, note, pool_dup(p, "a", 1));
	pool_on_free(p, note_and_add, pool_dup(p, "b", 1));
	pool_free(p);
	assert_str(str_of(order, order_n), "bza");
}

static void
test_copies(void **state)
{
	struct weir_pool *p = pool_new(0);

	(void)state;
	assert_str(pool_str(p, STR("hello")), "hello");
	assert_int_equal(pool_str(p, STR_NONE).n, 0);
	assert_string_equal(pool_cstr(p, STR("hello")), "hello");
	assert_string_equal(pool_cstr(p, STR_NONE), "");
	assert_memory_equal(pool_dup(p, "xyz", 3), "xyz", 3);
	assert_non_null(pool_dup(p, NULL, 0));
	pool_free(p);
}

/* Every length around the end of the chunk, where it is formatted twice. */
static void
test_printf(void **state)
{
	struct weir_str	s;
	unsigned	i, j;

	(void)state;
	for (i = 900; i < 1100; i++) {
		struct weir_pool *p = pool_new(0);

		s = pool_printf(p, "%*d|%s", (int)i, 7, "x");
		assert_int_equal(s.n, i + 2);
		for (j = 0; j + 1 < i; j++)
			assert_int_equal(s.p[j], ' ');
		assert_memory_equal(s.p + i - 1, "7|x", 3);
		assert_str(pool_printf(p, "%s", "next"), "next");
		assert_int_equal(s.p[i + 1], 'x');
		pool_free(p);
	}
}

static void
test_push(void **state)
{
	struct { unsigned *v; unsigned n, room; } a = { NULL, 0, 0 };
	struct weir_pool	*p = pool_new(0);
	unsigned		 i;

	(void)state;
	for (i = 0; i < 10000; i++) {
		unsigned *at = POOL_PUSH(p, &a);

		assert_int_equal(*at, 0);
		*at = i;
		if (i % 100 == 0)
			memset(pool_alloc(p, 1), 0xff, 1);
	}
	assert_int_equal(a.n, 10000);
	assert_true(a.room >= a.n);
	for (i = 0; i < 10000; i++)
		assert_int_equal(a.v[i], i);
	pool_free(p);
}

#if !WEIR_ASAN
static void
test_grow_in_place(void **state)
{
	struct weir_pool	*p = pool_new(4096);
	unsigned		 room = 0;
	int			*v = pool_grow(p, NULL, 0, &room, sizeof(int)), *w;

	(void)state;
	assert_int_equal(room, 4);
	w = pool_grow(p, v, 4, &room, sizeof(int));
	assert_ptr_equal(v, w);
	assert_int_equal(room, 8);
	pool_alloc(p, 1);
	assert_ptr_not_equal(pool_grow(p, v, 8, &room, sizeof(int)), v);
	assert_int_equal(room, 16);
	pool_free(p);
}
#endif

static void
test_on_the_reserve(void **state)
{
	struct weir_pool *p;

	(void)state;
	mem_reserve(1 << 20);
	mem_fail_at(1, 3);
	p = pool_new(8192);
	memset(pool_alloc(p, 100000), 1, 100000);
	memset(pool_alloc(p, 100000), 1, 100000);
	assert_true(mem_low());
	pool_free(p);
	mem_fail_at(0, 0);
	assert_false(mem_low());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_is_small),
		cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_no_overlap),
		cmocka_unit_test(test_zalloc_after_recycling),
#if !WEIR_ASAN
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_recycling),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_grow_in_place),
#endif
		cmocka_unit_test(test_cleanups),
		cmocka_unit_test(test_cleanup_adds_cleanup),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_printf),
		cmocka_unit_test(test_push),
		cmocka_unit_test(test_on_the_reserve),
	};

	return RUN(tests);
}
