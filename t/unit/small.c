/* unit: src/core/base/small.c */
#include "unit.h"

#include <pthread.h>

#include "core/base/small.c"

enum { BLOCKS = 4000, ROUNDS = 60000 };

static struct {
	unsigned char	*p;
	size_t		 n;
} held[BLOCKS];

static unsigned seed = 1;

static unsigned
dice(unsigned n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static size_t
any_size(void)
{
	switch (dice(8)) {
	case 0:
		return dice(40000);
	case 1:
		return dice(SMALL_MOST + 2);
	default:
		return dice(600);
	}
}

static unsigned char
mark(unsigned i, size_t at)
{
	return (unsigned char)(i * 31 + at);
}

static void
fill(unsigned i)
{
	for (size_t k = 0; k < held[i].n; k++)
		held[i].p[k] = mark(i, k);
}

static void
check(unsigned i, size_t n)
{
	for (size_t k = 0; k < n; k++)
		assert_int_equal(held[i].p[k], mark(i, k));
}

static void
let_go(unsigned i)
{
	if (held[i].p != NULL)
		check(i, held[i].n);
	small_free(held[i].p);
	held[i].p = NULL;
	held[i].n = 0;
}

/* Before small_begin() all is malloc()'s, and may be given back later. */
static void
test_before(void **state)
{
	(void)state;
	held[0].p = small_try(100);
	held[0].n = 100;
	fill(0);
	assert_int_equal(small_in_use(), 0);
	small_begin();
	held[0].p = small_retry(held[0].p, 300);
	check(0, 100);
	small_free(held[0].p);
	held[0].p = NULL;
	assert_int_equal(small_in_use(), 0);
	small_free(NULL);
}

static void
test_many(void **state)
{
	(void)state;
	for (unsigned r = 0; r < ROUNDS; r++) {
		unsigned i = dice(BLOCKS);
		size_t n = any_size();

		small_blank(dice(3) == 0);
		if (held[i].p != NULL && dice(4) == 0) {
			size_t both = WEIR_MIN(n, held[i].n);

			held[i].p = small_retry(held[i].p, n);
			check(i, both);
		} else {
			let_go(i);
			held[i].p = small_try(n);
		}
		assert_non_null(held[i].p);
		assert_int_equal((uintptr_t)held[i].p % 16, 0);
		assert_true(small_size(held[i].p) >= n);
		held[i].n = n;
		fill(i);
	}
	small_blank(false);
	for (unsigned i = 0; i < BLOCKS; i++)
		let_go(i);
	assert_int_equal(small_in_use(), 0);
}

#if !WEIR_ASAN	/* all is malloc()'s there */

static size_t
resident(void)
{
	static unsigned char in[SLICES];
	size_t n = 0;

	for (unsigned i = 0; i < n_usable; i++) {
		assert_int_equal(mincore(base + (size_t)i * SLICE, SLICE, in), 0);
		for (unsigned k = 0; k < SLICE / PAGE; k++)
			n += in[k] & 1;
	}
	return n * PAGE;
}

/* What stays zero takes no memory; what is written there after all is kept. */
static void
test_blank(void **state)
{
	enum { SIZE = 960 };
	size_t before;

	(void)state;
	mem_trim();
	assert_null(clean);
	before = resident();
	small_blank(true);
	for (unsigned i = 0; i < BLOCKS; i++) {
		held[i].p = small_try(SIZE);
		memset(held[i].p, 0, SIZE);
	}
	small_blank(false);
	/* the last ones, and the last page of each slice */
	assert_in_range(resident() - before, 0, BLANK_EVERY * SIZE + (BLOCKS * SIZE / SLICE + 1) * 2 * PAGE);
	for (unsigned i = 0; i < BLOCKS; i += 7) {
		held[i].n = SIZE;
		fill(i);
	}
	/* others come and go around them */
	for (unsigned r = 0; r < ROUNDS; r++) {
		unsigned i = dice(BLOCKS);

		if (i % 7 == 0)
			continue;
		small_free(held[i].p);
		small_blank(dice(2));
		held[i].p = small_try(SIZE);
		memset(held[i].p, 0, SIZE);
	}
	small_blank(false);
	for (unsigned i = 0; i < BLOCKS; i++) {
		if (i % 7 != 0)
			for (unsigned k = 0; k < SIZE; k++)
				assert_int_equal(held[i].p[k], 0);
		let_go(i);
	}
	assert_int_equal(small_in_use(), 0);
}

/* A burst's pages are used by the next burst, of whatever size. */
static void
test_reuse(void **state)
{
	unsigned most = n_usable;

	(void)state;
	for (unsigned size = 512; size <= SMALL_MOST; size += 512) {
		for (unsigned i = 0; i < BLOCKS; i++)
			memset(held[i].p = small_try(size), 1, size);
		assert_int_equal(small_in_use(), BLOCKS);
		if (size == SMALL_MOST)
			most = n_usable;
		for (unsigned i = 0; i < BLOCKS; i++)
			small_free(held[i].p), held[i].p = NULL;
		assert_int_equal(small_in_use(), 0);
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		memset(held[i].p = small_try(SMALL_MOST - 16), 1, SMALL_MOST - 16);
	assert_true(n_usable <= most + GROW);
	for (unsigned i = 0; i < BLOCKS; i++)
		small_free(held[i].p), held[i].p = NULL;
	assert_true(n_clean <= KEEP_CLEAN);
}

/* No slice is left: malloc() has to do, also for what grows. */
static void
test_full(void **state)
{
	unsigned usable = n_usable;
	struct slice *hidden = bare;
	size_t i, n = 0;

	(void)state;
	n_usable = SLICES;
	bare = NULL;
	for (i = 0; i < BLOCKS && n < 3; i++) {
		held[i].p = small_try(SMALL_MOST);
		n += !is_ours(held[i].p);
		held[i].n = SMALL_MOST;
		fill((unsigned)i);
	}
	assert_int_equal(n, 3);
	assert_int_equal(small_in_use(), i - 3);
	held[0].p = small_retry(held[0].p, SMALL_MOST - 1);
	check(0, SMALL_MOST - 1);
	while (i-- > 0)
		let_go((unsigned)i);
	assert_int_equal(small_in_use(), 0);
	n_usable = usable;
	assert_null(bare);
	bare = hidden;
}

#endif

static void *
stranger(void *arg)
{
	void *own = small_try(100);

	assert_false(is_ours(own));
	small_free(own);
	for (unsigned i = 0; i < BLOCKS; i++)
		small_free(held[i].p);
	return arg;
}

static void
test_threads(void **state)
{
	pthread_t t;
	unsigned most;

	(void)state;
	for (unsigned i = 0; i < BLOCKS; i++)
		held[i].p = small_try(5000);
	most = n_usable;
	assert_int_equal(pthread_create(&t, NULL, stranger, NULL), 0);
	assert_int_equal(pthread_join(t, NULL), 0);
	for (unsigned i = 0; i < BLOCKS; i++)
		held[i].p = small_try(5000);
	assert_int_equal(n_usable, most);
	for (unsigned i = 0; i < BLOCKS; i++)
		small_free(held[i].p), held[i].p = NULL;
	assert_int_equal(small_in_use(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before),
		cmocka_unit_test(test_many),
#if !WEIR_ASAN
		cmocka_unit_test(test_blank),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_full),
#endif
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
