/* unit: src/core/ev/loop.c */
#include "unit.h"

#include <sys/eventfd.h>

#include "core/ev/loop.c"

enum { MANY = BATCH + 50 };

static struct weir_fd fds[MANY];
static unsigned noticed, fired, noticed_before;

static void
on_ready(struct weir_fd *f, unsigned ev)
{
	assert_true(ev & EV_READ);
	assert_true(f->watched);
	noticed++;
}

static void
on_time(struct weir_timer *t)
{
	(void)t;
	fired++;
	noticed_before = noticed;
}

/* Descriptors that all are ready, and a timer that is due. */
static void
begin(struct weir_timer *t, int (*how)(struct weir_fd *))
{
	noticed = fired = 0;
	assert_int_equal(loop_init(), WEIR_OK);
	for (unsigned i = 0; i < MANY; i++) {
		fds[i] = (struct weir_fd){ .fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC), .on = on_ready };
		assert_true(fds[i].fd >= 0);
		assert_int_equal(how(&fds[i]), WEIR_OK);
	}
	timer_init(t, on_time);
	timer_set(t, 0);
}

static void
end(void)
{
	for (unsigned i = 0; i < MANY; i++)
		fd_end(&fds[i]);
	loop_done();
}

/* What is ready goes before what is due, however much it is. */
static void
test_ready_first(void **state)
{
	struct weir_timer t;

	(void)state;
	begin(&t, fd_watch);
	for (unsigned i = 0; i < 3 && fired == 0; i++)
		loop_turn(0);
	assert_int_equal(fired, 1);
	assert_int_equal(noticed_before, MANY);
	end();
}

/* But not for ever. */
static void
test_timers_come(void **state)
{
	struct weir_timer t;

	(void)state;
	begin(&t, fd_watch_level);
	for (unsigned i = 0; i < BATCHES; i++)
		loop_turn(0);
	assert_int_equal(fired, 1);
	assert_int_equal(noticed, BATCHES * BATCH);
	timer_set(&t, 0);
	for (unsigned i = 0; i < BATCHES; i++)
		loop_turn(0);
	assert_int_equal(fired, 2);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ready_first),
		cmocka_unit_test(test_timers_come),
	};

	return RUN(tests);
}
