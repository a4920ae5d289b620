/* unit: src/core/os/backtrace.c */
#include "child.h"

#include "core/os/backtrace.c"

static unsigned
lines(const char *text, const char *with)
{
	unsigned n = 0;

	for (; (text = strstr(text, with)) != NULL; text++)
		n++;
	return n;
}

static void
writes(void)
{
	backtrace_prime();
	errno = EDOM;
	backtrace_line(child_report, LOG_CRIT_, "it was here:");
	MUST(errno == EDOM);
	backtrace_write(child_report);
}

static void
test_write(void **state)
{
	char	text[8192], year[8];
	time_t	now = time(NULL);

	(void)state;
	assert_int_equal(child_run(writes, text, sizeof(text)), 0);
	strftime(year, sizeof(year), "%Y/", localtime(&now));
	assert_memory_equal(text, year, 5);
	assert_memory_equal(text + 19, " [crit] ", 8);
	assert_non_null(strstr(text, "#0: it was here:\n"));
	assert_true(lines(text, "[0x") >= 3);
}

static void
writes_long(void)
{
	static char long_text[2 * LOG_LINE_MAX];

	memset(long_text, 'l', sizeof(long_text) - 1);
	backtrace_line(child_report, LOG_ALERT_, long_text);
}

static void
test_long_line(void **state)
{
	char text[3 * LOG_LINE_MAX];

	(void)state;
	assert_int_equal(child_run(writes_long, text, sizeof(text)), 0);
	assert_int_equal(strlen(text), LOG_LINE_MAX);
	assert_int_equal(text[LOG_LINE_MAX - 1], '\n');
}

#if !WEIR_ASAN
volatile int *volatile nowhere;

static void
crashes_by_itself(void)
{
	backtrace_on_crash(child_report);
	*nowhere = 1;
}

static volatile unsigned most = UINT32_MAX;

static __attribute__((noinline)) unsigned
deeper(unsigned n)
{
	volatile char room[1000];

	room[0] = (char)n;
	if (n == most)
		return n;
	return deeper(n + 1) + (unsigned)room[0];
}

static void
overflows(void)
{
	backtrace_on_crash(child_report);
	deeper(0);
}

static void
aborts(void)
{
	backtrace_on_crash(child_report);
	abort();
}

static void
test_crash(void **state)
{
	char	text[8192];
	int	status = child_run(crashes_by_itself, text, sizeof(text));

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_non_null(strstr(text, "[alert]"));
	assert_non_null(strstr(text, "crashed: SIGSEGV"));
	assert_true(lines(text, "[0x") >= 3);

	status = child_run(overflows, text, sizeof(text));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	assert_non_null(strstr(text, "crashed: SIGSEGV"));

	status = child_run(aborts, text, sizeof(text));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_int_equal(lines(text, "crashed: SIGABRT"), 1);
}
#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_long_line),
#if !WEIR_ASAN
		cmocka_unit_test(test_crash),
#endif
	};

	return RUN(tests);
}
