/* unit: src/core/os/limit.c */
#include "unit.h"

#include <sys/wait.h>

#include "core/os/limit.c"

static void
test_nofile(void **state)
{
	uint64_t was = limit_nofile();

	(void)state;
	assert_true(was > 0);
	assert_true(limit_nofile_hard() >= was);
	assert_int_equal(limit_nofile_set(100), WEIR_OK);
	assert_int_equal(limit_nofile(), 100);
	assert_true(limit_nofile_hard() >= was);
	assert_int_equal(limit_nofile_set(was), WEIR_OK);
	assert_int_equal(limit_nofile(), was);
	/* More than the system allows anybody. */
	assert_int_equal(limit_nofile_set(UINT64_MAX - 1), WEIR_FAIL);
	assert_int_equal(limit_nofile(), was);
}

/* Without privileges the hard limit is the end. */
static void
test_nofile_unprivileged(void **state)
{
	int	status;
	pid_t	pid = fork();

	(void)state;
	if (pid == 0) {
		struct rlimit l = { 50, 60 };

		if (setrlimit(RLIMIT_NOFILE, &l) != 0 || (getuid() == 0 && setuid(12345) != 0))
			_exit(1);
		if (limit_nofile_set(60) != WEIR_OK || limit_nofile() != 60)
			_exit(2);
		if (limit_nofile_set(61) != WEIR_FAIL || errno != EPERM || limit_nofile() != 60)
			_exit(3);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
test_core(void **state)
{
	struct rlimit l;

	(void)state;
	assert_int_equal(limit_core_set(0), WEIR_OK);
	assert_int_equal(getrlimit(RLIMIT_CORE, &l), 0);
	assert_int_equal(l.rlim_cur, 0);
}

static void
test_quota(void **state)
{
	(void)state;
	assert_int_equal(quota_of(STR("max 100000\n")), 0);
	assert_int_equal(quota_of(STR("100000 100000\n")), 1);
	assert_int_equal(quota_of(STR("150000 100000\n")), 2);
	assert_int_equal(quota_of(STR("50000 100000")), 1);
	assert_int_equal(quota_of(STR("800000 100000\n")), 8);
	assert_int_equal(quota_of(STR("1 0\n")), 0);
	assert_int_equal(quota_of(STR("100000\n")), 0);
	assert_int_equal(quota_of(STR("")), 0);
	assert_int_equal(quota_of(STR(" \n")), 0);
}

static void
test_cpus(void **state)
{
	cpu_set_t own, one, now;

	(void)state;
	assert_true(cpu_count() >= 1);
	assert_int_equal(cpu_mask_own(&own), WEIR_OK);
	assert_true(cpu_count() <= (unsigned)CPU_COUNT(&own));
	assert_true(cpu_mask_nth(&own, 0, &one));
	assert_int_equal(cpu_bind(&one), WEIR_OK);
	assert_int_equal(cpu_mask_own(&now), WEIR_OK);
	assert_true(CPU_EQUAL(&now, &one));
	assert_int_equal(cpu_count(), 1);
	assert_int_equal(cpu_bind(&own), WEIR_OK);
	CPU_ZERO(&one);
	assert_int_equal(cpu_bind(&one), WEIR_FAIL);
}

static void
test_masks(void **state)
{
	char		text[CPU_SETSIZE + 1];
	cpu_set_t	m, n;

	(void)state;
	assert_int_equal(cpu_mask_read(STR("0101"), &m), WEIR_OK);
	assert_int_equal(CPU_COUNT(&m), 2);
	assert_true(CPU_ISSET(0, &m) && CPU_ISSET(2, &m));
	assert_int_equal(cpu_mask_read(STR("10"), &m), WEIR_OK);
	assert_true(CPU_ISSET(1, &m) && !CPU_ISSET(0, &m));

	n = m;
	assert_int_equal(cpu_mask_read(STR(""), &m), WEIR_FAIL);
	assert_int_equal(cpu_mask_read(STR("0000"), &m), WEIR_FAIL);
	assert_int_equal(cpu_mask_read(STR("0102"), &m), WEIR_FAIL);
	assert_int_equal(cpu_mask_read(STR("auto"), &m), WEIR_FAIL);
	assert_int_equal(cpu_mask_read(STR("1 1"), &m), WEIR_FAIL);
	assert_true(CPU_EQUAL(&m, &n));

	memset(text, '0', sizeof(text));
	text[0] = '1';
	assert_int_equal(cpu_mask_read(str_of(text, CPU_SETSIZE), &m), WEIR_OK);
	assert_true(CPU_ISSET(CPU_SETSIZE - 1, &m));
	assert_int_equal(cpu_mask_read(str_of(text, CPU_SETSIZE + 1), &m), WEIR_FAIL);
}

static void
test_nth(void **state)
{
	cpu_set_t from, to;

	(void)state;
	assert_int_equal(cpu_mask_read(STR("10100"), &from), WEIR_OK);
	assert_true(cpu_mask_nth(&from, 0, &to));
	assert_true(CPU_ISSET(2, &to) && CPU_COUNT(&to) == 1);
	assert_true(cpu_mask_nth(&from, 1, &to));
	assert_true(CPU_ISSET(4, &to) && CPU_COUNT(&to) == 1);
	assert_true(cpu_mask_nth(&from, 4, &to));
	assert_true(CPU_ISSET(2, &to) && CPU_COUNT(&to) == 1);
	CPU_ZERO(&from);
	assert_false(cpu_mask_nth(&from, 0, &to));
}

static void
test_sizes(void **state)
{
	(void)state;
	assert_true(page_size() >= 4096);
	assert_int_equal(page_size() & (page_size() - 1), 0);
	assert_true(cache_line() >= 16 && cache_line() <= 1024);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nofile),
		cmocka_unit_test(test_nofile_unprivileged),
		cmocka_unit_test(test_core),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_cpus),
		cmocka_unit_test(test_masks),
		cmocka_unit_test(test_nth),
		cmocka_unit_test(test_sizes),
	};

	return RUN(tests);
}
