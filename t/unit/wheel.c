/* unit: src/core/ev/wheel.c */
#include "unit.h"

#include "core/base/clock.h"
#include "core/ev/wheel.c"

static struct weir_timer t[4096];
static uint64_t fired_at[4096];
static unsigned fired;

static void
on_fire(struct weir_timer *timer)
{
	size_t i = (size_t)(timer - t);

	assert_int_equal(timer->at, 0);
	fired_at[i] = weir_now_ms;
	fired++;
}

static void
begin(size_t n)
{
	wheel_init();
	for (size_t i = 0; i < n; i++) {
		timer_init(&t[i], on_fire);
		fired_at[i] = 0;
	}
	fired = 0;
}

/* On to `to` in the steps that the loop would make. */
static void
go(uint64_t to)
{
	while (weir_now_ms < to) {
		int wait = wheel_wait();

		if (wait < 0 || weir_now_ms + (uint64_t)wait > to)
			weir_now_ms = to;
		else
			weir_now_ms += (uint64_t)wait;
		wheel_run();
	}
}

/* Each fires at its time, to the millisecond, whatever level it lies at. */
static void
test_times(void **state)
{
	static const uint64_t in[] = { 1, 2, 62, 63, 64, 65, 127, 128, 4095, 4096, 4097, 10000, 60000,
		262143, 262144, 262145, 3600000, 16777215, 16777216, 86400000, 1073741824, 5000000000 };

	(void)state;
	for (uint64_t start = 1000; start < 300000; start = start * 3 + 17) {
		weir_now_ms = start;
		begin(WEIR_COUNT(in));
		for (size_t i = 0; i < WEIR_COUNT(in); i++)
			timer_set(&t[i], in[i]);
		go(start + 5000000001);
		assert_int_equal(fired, WEIR_COUNT(in));
		for (size_t i = 0; i < WEIR_COUNT(in); i++)
			assert_int_equal(fired_at[i], start + in[i]);
		assert_int_equal(wheel_wait(), -1);
	}
}

/* Beyond the rim of the wheel it still comes at its time. */
static void
test_far(void **state)
{
	uint64_t year = 365ull * 86400 * 1000;

	(void)state;
	weir_now_ms = 12345;
	begin(1);
	timer_set(&t[0], 3 * year);
	go(12345 + 3 * year - 1);
	assert_int_equal(fired, 0);
	go(12345 + 3 * year);
	assert_int_equal(fired, 1);
}

static void
test_later(void **state)
{
	(void)state;
	weir_now_ms = 5000;
	begin(2);
	timer_set(&t[0], 100);
	for (int i = 0; i < 50; i++) {		/* put off again and again: only a store */
		uint64_t queued = t[0].queued;

		go(weir_now_ms + 10);
		timer_set(&t[0], 100);
		assert_true(t[0].queued == queued || t[0].queued == t[0].at || fired == 0);
	}
	assert_int_equal(fired, 0);
	go(weir_now_ms + 99);
	assert_int_equal(fired, 0);
	go(weir_now_ms + 1);
	assert_int_equal(fired, 1);
	timer_set(&t[1], 1000);			/* and earlier */
	timer_set(&t[1], 10);
	go(weir_now_ms + 10);
	assert_int_equal(fired, 2);
	assert_int_equal(wheel_wait(), -1);
}

static void
test_off(void **state)
{
	(void)state;
	weir_now_ms = 77777;
	begin(3);
	timer_set(&t[0], 50);
	timer_set(&t[1], 50);
	timer_set(&t[2], 5000);
	timer_off(&t[1]);
	timer_off(&t[1]);
	timer_off(&t[2]);
	go(weir_now_ms + 10000);
	assert_int_equal(fired, 1);
	assert_int_equal(fired_at[0], 77827);
	assert_int_equal(wheel_wait(), -1);
}

/* A callback takes others off, sets them, and sets itself. */
static void
on_meddle(struct weir_timer *timer)
{
	fired++;
	timer_off(&t[1]);
	timer_set(&t[2], 5);
	if (fired < 3)
		timer_set(timer, 7);
}

static void
test_meddling(void **state)
{
	(void)state;
	weir_now_ms = 1000;
	begin(3);
	timer_init(&t[0], on_meddle);
	timer_set(&t[0], 10);
	timer_set(&t[1], 10);
	timer_set(&t[2], 10);
	go(1100);
	assert_int_equal(fired_at[1], 0);
	assert_int_equal(fired_at[2], 1022);	/* set again by each run, at 1010 and 1017 */
	assert_int_equal(fired, 4);
}

/* Set to 0 ms by its own function, a timer waits for the next turn, and the others have theirs. */
static void
on_at_once(struct weir_timer *timer)
{
	fired++;
	timer_set(timer, 0);
	if (fired == 3)
		timer_off(timer);
	if (fired == 5)
		timer_set(timer, 20);
}

static void
test_at_once(void **state)
{
	(void)state;
	weir_now_ms = 3000;
	begin(2);
	timer_init(&t[0], on_at_once);
	timer_set(&t[0], 0);
	timer_set(&t[1], 0);
	wheel_run();
	assert_int_equal(fired, 2);
	assert_int_equal(wheel_wait(), 0);
	wheel_run();
	assert_int_equal(fired, 3);
	assert_int_equal(wheel_wait(), -1);
	timer_set(&t[0], 10);
	weir_now_ms += 15;			/* late */
	wheel_run();
	assert_int_equal(fired, 4);
	assert_int_equal(wheel_wait(), 0);
	wheel_run();
	assert_int_equal(fired, 5);
	assert_int_equal(t[0].at, weir_now_ms + 20);
	wheel_run();
	go(weir_now_ms + 19);
	assert_int_equal(fired, 5);
	go(weir_now_ms + 1);
	assert_int_equal(fired, 6);
}

/* Against a plain table, with random times, puttings off and takings off. */
static void
test_random(void **state)
{
	uint64_t want[500], x = 88172645463325252ull;

	(void)state;
	weir_now_ms = 999999;
	begin(500);
	memset(want, 0, sizeof want);
	for (int round = 0; round < 3000; round++) {
		size_t i;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		i = x % 500;
		if (x >> 60 == 0) {
			timer_off(&t[i]);
			want[i] = 0;
		} else {
			uint64_t ms = (x >> 20) % (1ull << (x >> 40) % 24) + 1;

			timer_set(&t[i], ms);
			want[i] = weir_now_ms + ms;
		}
		if (round % 3 == 0)
			go(weir_now_ms + (x >> 50) % 300);
		for (size_t k = 0; k < 500; k++) {
			if (want[k] == 0 || want[k] > weir_now_ms)
				continue;
			assert_int_equal(fired_at[k], want[k]);
			want[k] = 0;
		}
	}
	for (size_t k = 0; k < 500; k++)
		assert_true(want[k] == 0 ? t[k].at == 0 : t[k].at == want[k]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_meddling),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_random),
	};

	return RUN(tests);
}
