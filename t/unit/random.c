/* unit: src/core/os/random.c */
#include "unit.h"

#include <sys/wait.h>
#include <unistd.h>

#include "core/os/random.c"

static void
test_bytes(void **state)
{
	static unsigned char	a[100000], b[100000];
	unsigned		count[256] = { 0 }, i;

	(void)state;
	random_bytes(a, sizeof(a));
	random_bytes(b, sizeof(b));
	assert_int_not_equal(memcmp(a, b, sizeof(a)), 0);
	for (i = 0; i < sizeof(a); i++)
		count[a[i]]++;
	/* 390 each, give or take ten standard deviations. */
	for (i = 0; i < 256; i++)
		assert_true(count[i] > 190 && count[i] < 590);
	random_bytes(NULL, 0);
}

static void
test_known_sequence(void **state)
{
	(void)state;
	seeded = true;
	s0 = 1;
	s1 = 2;
	/* By hand from the definition. */
	assert_true(random_u64() == 3);
	assert_true(s0 == ((UINT64_C(1) << 24) ^ 3 ^ (UINT64_C(3) << 16)));
	assert_true(s1 == UINT64_C(3) << 37);
	seeded = false;
	assert_true(random_u64() != random_u64());
	assert_true(seeded);
}

static void
test_below(void **state)
{
	unsigned count[10] = { 0 }, i;

	(void)state;
	assert_int_equal(random_below(0), 0);
	assert_int_equal(random_below(1), 0);
	for (i = 0; i < 100000; i++) {
		unsigned n = random_below(10);

		assert_true(n < 10);
		count[n]++;
	}
	for (i = 0; i < 10; i++)
		assert_true(count[i] > 9000 && count[i] < 11000);
	for (i = 0; i < 1000; i++)
		assert_true(random_below(0xc0000001) < 0xc0000001);
}

/* A child does not repeat what its parent, or its sibling, draws. */
static void
test_fork(void **state)
{
	uint64_t	n[3];
	int		fd[2], status, i;
	pid_t		pid;

	(void)state;
	(void)random_u64();
	assert_int_equal(pipe(fd), 0);
	for (i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0) {
			uint64_t r = random_u64();

			_exit(write(fd[1], &r, sizeof(r)) != sizeof(r));
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
		assert_int_equal(read(fd[0], &n[i], sizeof(n[i])), sizeof(n[i]));
	}
	n[2] = random_u64();
	assert_true(n[0] != n[1] && n[0] != n[2] && n[1] != n[2]);
	close(fd[0]);
	close(fd[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_known_sequence),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_fork),
	};

	return RUN(tests);
}
