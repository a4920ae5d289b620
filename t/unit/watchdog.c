/* unit: src/core/os/watchdog.c */
#include "child.h"

#include <poll.h>
#include <sys/resource.h>

#include "core/os/watchdog.c"

/* CPU time this process has used, in milliseconds. */
static unsigned
used_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (unsigned)(t.tv_sec * 1000 + t.tv_nsec / 1000000);
}

/* Ticks of 20 ms instead of a second. */
static void
fast(void)
{
	every.it_value.tv_sec = every.it_interval.tv_sec = 0;
	every.it_value.tv_nsec = every.it_interval.tv_nsec = 20000000;
}

static void
spin(unsigned ms, bool turning)
{
	unsigned end = used_ms() + ms;

	while (used_ms() < end)
		if (turning)
			watchdog_turn++;
}

static void
stuck(void)
{
	fast();
	MUST(watchdog_start(3, child_report) == WEIR_OK);
	spin(10000, false);
}

static void
test_stuck(void **state)
{
	char		text[8192];
	struct rusage	before, after;
	int		status;

	(void)state;
	getrusage(RUSAGE_CHILDREN, &before);
	status = child_run(stuck, text, sizeof(text));
	getrusage(RUSAGE_CHILDREN, &after);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "[alert]"));
	assert_non_null(strstr(text, "stuck"));
	assert_non_null(strstr(text, "[0x"));
	/* Long before the ten seconds of CPU were over. */
	assert_true(after.ru_utime.tv_sec + after.ru_stime.tv_sec -
	    before.ru_utime.tv_sec - before.ru_stime.tv_sec < 5);
}

static void
busy_but_turning(void)
{
	fast();
	MUST(watchdog_start(3, child_report) == WEIR_OK);
	spin(400, true);
	MUST(last != 0);
	watchdog_stop();
	spin(400, false);
	watchdog_stop();
}

static void
test_busy_is_not_stuck(void **state)
{
	(void)state;
	child_ok(busy_but_turning);
}

/* Long turns are fine as long as they end: each new one starts to count again. */
static void
slow_turns(void)
{
	int i;

	fast();
	MUST(watchdog_start(20, child_report) == WEIR_OK);
	for (i = 0; i < 6; i++) {
		spin(200, false);
		watchdog_turn++;
		MUST(seen < 20);
	}
}

static void
test_slow_turns(void **state)
{
	(void)state;
	child_ok(slow_turns);
}

/* Waiting takes no CPU: no tick wakes it. */
static void
idle(void)
{
	int fd[2];

	fast();
	MUST(watchdog_start(2, child_report) == WEIR_OK);
	MUST(pipe(fd) == 0);
	seen = 0;
	MUST(poll(&(struct pollfd){ .fd = fd[0], .events = POLLIN }, 1, 300) == 0);
	MUST(seen == 0);
}

static void
test_idle(void **state)
{
	(void)state;
	child_ok(idle);
}

static void
test_limits(void **state)
{
	(void)state;
	assert_int_equal(watchdog_start(0, 2), WEIR_OK);
	assert_int_equal(limit, 2);
	assert_int_equal(watchdog_start(5, 2), WEIR_OK);
	assert_int_equal(limit, 5);
	watchdog_stop();
	assert_false(running);
	watchdog_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_busy_is_not_stuck),
		cmocka_unit_test(test_slow_turns),
		cmocka_unit_test(test_idle),
	};

	return RUN(tests);
}
