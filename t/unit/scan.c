/* unit: src/core/peer/scan.c */
#include "unit.h"

#include "core/os/random.h"
#include "core/peer/scan.c"

enum { MOST = 300, ROUNDS = 3000 };

static int32_t current[MOST], effective[MOST], rank[MOST];

/* Some are out, ranks are few. */
static unsigned
fill(void)
{
	unsigned n = 1 + random_below(MOST - 1);

	for (unsigned i = 0; i < n; i++) {
		bool out = random_below(5) == 0;

		current[i] = out ? OUT_CURRENT : (int32_t)random_below(2000) - 1000;
		effective[i] = out ? 0 : (int32_t)random_below(100);
		rank[i] = out ? OUT_RANK : (int32_t)random_below(4);
	}
	return n;
}

static void
test_add(void **state)
{
	static int32_t a[MOST], b[MOST];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		unsigned n = fill();
		int32_t total[2], most = INT32_MIN, sum = 0;

		memcpy(a, current, sizeof a);
		memcpy(b, current, sizeof b);
		for (unsigned i = 0; i < n; i++) {
			most = WEIR_MAX(most, current[i] + effective[i]);
			sum += effective[i];
		}
		assert_int_equal(scan_add(a, effective, n, &total[0]), most);
		assert_int_equal(add(b, effective, n, &total[1]), most);
		assert_int_equal(total[0], sum);
		assert_int_equal(total[1], sum);
		assert_memory_equal(a, b, n * sizeof *a);
		for (unsigned i = 0; i < n; i++)
			assert_int_equal(a[i], current[i] + effective[i]);
	}
}

static void
test_add_ranked(void **state)
{
	static int32_t a[MOST], b[MOST];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		unsigned n = fill();
		int32_t total[2], most = INT32_MIN, sum = 0, want = scan_min(rank, n);

		assert_int_equal(min(rank, n), want);
		memcpy(a, current, sizeof a);
		memcpy(b, current, sizeof b);
		for (unsigned i = 0; i < n; i++) {
			assert_true(rank[i] >= want);
			if (rank[i] != want)
				continue;
			most = WEIR_MAX(most, current[i] + effective[i]);
			sum += effective[i];
		}
		assert_int_equal(scan_add_ranked(a, effective, rank, n, want, &total[0]), most);
		assert_int_equal(add_ranked(b, effective, rank, n, want, &total[1]), most);
		assert_int_equal(total[0], sum);
		assert_int_equal(total[1], sum);
		assert_memory_equal(a, b, n * sizeof *a);
	}
}

static void
test_find(void **state)
{
	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		unsigned n = fill(), at = random_below(n), first = 0, ranked = 0;

		while (current[first] != current[at])
			first++;
		while (current[ranked] != current[at] || rank[ranked] != rank[at])
			ranked++;
		assert_int_equal(scan_find(current, n, current[at]), first);
		assert_int_equal(find(current, n, current[at]), first);
		assert_int_equal(scan_find_ranked(current, rank, n, rank[at], current[at]), ranked);
		assert_int_equal(find_ranked(current, rank, n, rank[at], current[at]), ranked);
		assert_int_equal(scan_find(current, n, 5000), n);
		assert_int_equal(find(current, n, 5000), n);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add), cmocka_unit_test(test_add_ranked), cmocka_unit_test(test_find),
	};

	return RUN(tests);
}
