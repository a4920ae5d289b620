/* unit: src/core/ev/offload.c */
#include "unit.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/ev/offload.c"

struct work {
	struct weir_job	 job;
	unsigned	 number, square;
	pthread_t	 ran_in;
	int		 gate;		/* >= 0: run() waits for a byte from it */
	bool		 mask_ok;
};

static atomic_uint	ran;
static unsigned		freed, done_n;
static unsigned		done[1000];
static struct work	*cancel_in_done;

static void
run_work(struct weir_job *j)
{
	struct work	*w = WEIR_OF(j, struct work, job);
	sigset_t	 set;
	char		 c;

	if (w->gate >= 0 && read(w->gate, &c, 1) != 1)
		abort();
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	w->mask_ok = sigismember(&set, SIGTERM) == 1 && sigismember(&set, SIGUSR1) == 1 &&
	    sigismember(&set, SIGSEGV) == 0;
	w->ran_in = pthread_self();
	w->square = w->number * w->number;
	atomic_fetch_add(&ran, 1);
}

static void
work_done(struct weir_job *j)
{
	struct work *w = WEIR_OF(j, struct work, job);

	assert_int_equal(w->square, w->number * w->number);
	assert_true(w->mask_ok);
	assert_false(pthread_equal(w->ran_in, pthread_self()));
	done[done_n++] = w->number;
	if (cancel_in_done != NULL && cancel_in_done != w) {
		offload_cancel(&cancel_in_done->job);
		cancel_in_done = NULL;
	}
}

static void
free_work(struct weir_job *j)
{
	freed++;
	free(WEIR_OF(j, struct work, job));
}

static struct work *
work_new(unsigned number, int gate)
{
	struct work *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->number = number;
	w->gate = gate;
	w->job.run = run_work;
	w->job.done = work_done;
	w->job.free = free_work;
	return w;
}

static void
turn_until(const unsigned *what, unsigned n)
{
	uint64_t end = weir_now_ms + 10000;

	while (*what < n && weir_now_ms < end)
		loop_turn(100);
	assert_int_equal(*what, n);
}

/* Until threads hold n jobs. */
static void
await_running(unsigned n)
{
	unsigned waiting, running = 0, i;

	for (i = 0; i < 10000 && running != n; i++) {
		offload_count(&waiting, &running);
		if (running != n)
			poll(NULL, 0, 1);
	}
	assert_int_equal(running, n);
}

static void
open_gate(int fd, unsigned n)
{
	while (n-- > 0)
		assert_int_equal(write(fd, "x", 1), 1);
}

static int
setup(void **state)
{
	(void)state;
	atomic_store(&ran, 0);
	freed = done_n = 0;
	cancel_in_done = NULL;
	return loop_init() == WEIR_OK ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	offload_end(5000);
	loop_done();
	return n_threads == 0 ? 0 : -1;
}

static void
test_results(void **state)
{
	unsigned i, k, seen = 0;

	(void)state;
	for (i = 1; i <= 200; i++) {
		assert_int_equal(offload(&work_new(i, -1)->job), WEIR_OK);
		if (i % 50 == 0)
			turn_until(&freed, i);
	}
	assert_int_equal(done_n, 200);
	for (i = 1; i <= 200; i++)
		for (k = 0; k < 200; k++)
			seen += done[k] == i;
	assert_int_equal(seen, 200);
}

/* What is too much is told at once; what was taken is done. */
static void
test_full(void **state)
{
	unsigned	i, waiting, running;
	struct work	*more;
	int		gate[2];

	(void)state;
	assert_int_equal(pipe(gate), 0);
	for (i = 0; i < OFFLOAD_THREADS; i++)
		assert_int_equal(offload(&work_new(i, gate[0])->job), WEIR_OK);
	await_running(OFFLOAD_THREADS);
	for (i = 0; i < OFFLOAD_QUEUE; i++)
		assert_int_equal(offload(&work_new(i, -1)->job), WEIR_OK);
	more = work_new(i, -1);
	assert_int_equal(offload(&more->job), WEIR_AGAIN);
	offload_count(&waiting, &running);
	assert_int_equal(waiting, OFFLOAD_QUEUE);
	assert_int_equal(freed, 0);
	/* A loop with nothing to do does not turn because of them. */
	loop_turn(0);
	assert_int_equal(done_n, 0);
	open_gate(gate[1], OFFLOAD_THREADS);
	turn_until(&freed, OFFLOAD_THREADS + OFFLOAD_QUEUE);
	assert_int_equal(offload(&more->job), WEIR_OK);
	turn_until(&freed, OFFLOAD_THREADS + OFFLOAD_QUEUE + 1);
	close(gate[0]);
	close(gate[1]);
}

static void
test_cancel(void **state)
{
	struct work	*running[OFFLOAD_THREADS], *waits[3];
	unsigned	 i;
	int		 gate[2];

	(void)state;
	assert_int_equal(pipe(gate), 0);
	for (i = 0; i < OFFLOAD_THREADS; i++)
		assert_int_equal(offload(&(running[i] = work_new(i, gate[0]))->job), WEIR_OK);
	await_running(OFFLOAD_THREADS);
	for (i = 0; i < 3; i++)
		assert_int_equal(offload(&(waits[i] = work_new(10 + i, -1))->job), WEIR_OK);
	/* One that waits is never run, nor is anything else lost: first, last, middle. */
	offload_cancel(&waits[2]->job);
	assert_int_equal(freed, 1);
	offload_cancel(&waits[0]->job);
	assert_int_equal(freed, 2);
	assert_int_equal(offload(&work_new(13, -1)->job), WEIR_OK);
	/* One that runs goes on, without a word at its end. */
	offload_cancel(&running[0]->job);
	assert_int_equal(freed, 2);
	open_gate(gate[1], OFFLOAD_THREADS);
	turn_until(&freed, OFFLOAD_THREADS + 4);
	assert_int_equal(atomic_load(&ran), OFFLOAD_THREADS + 2);
	assert_int_equal(done_n, OFFLOAD_THREADS + 1);
	for (i = 0; i < done_n; i++)
		assert_true(done[i] != 0 && done[i] != 10 && done[i] != 12);
	close(gate[0]);
	close(gate[1]);
}

/* done() of one ends another whose result is there already. */
static void
test_cancel_in_done(void **state)
{
	struct work	*w[2];
	unsigned	 i;

	(void)state;
	for (i = 0; i < 2; i++)
		assert_int_equal(offload(&(w[i] = work_new(i + 1, -1))->job), WEIR_OK);
	while (atomic_load(&ran) < 2)
		poll(NULL, 0, 1);
	await_running(0);
	/* Whichever comes first. */
	cancel_in_done = all.ended.first == &w[0]->job ? w[1] : w[0];
	turn_until(&freed, 2);
	assert_int_equal(done_n, 1);
}

/* The end is bounded, whatever a thread does, and what waits is freed. */
static void
test_end(void **state)
{
	struct work	*w;
	unsigned	 i;
	int		 gate[2];
	uint64_t	 began;

	(void)state;
	assert_int_equal(pipe(gate), 0);
	for (i = 0; i < OFFLOAD_THREADS; i++)
		assert_int_equal(offload(&work_new(i, gate[0])->job), WEIR_OK);
	await_running(OFFLOAD_THREADS);
	w = work_new(5, -1);
	assert_int_equal(offload(&w->job), WEIR_OK);
	clock_update();
	began = weir_now_ms;
	offload_end(20);
	clock_update();
	assert_in_range(weir_now_ms - began, 19, 5000);
	assert_int_equal(freed, 1);
	assert_int_equal(n_threads, OFFLOAD_THREADS);
	open_gate(gate[1], OFFLOAD_THREADS);
	offload_end(5000);
	assert_int_equal(n_threads, 0);
	assert_int_equal(freed, OFFLOAD_THREADS + 1);
	assert_int_equal(done_n, 0);
	/* And it can begin again. */
	assert_int_equal(offload(&work_new(7, -1)->job), WEIR_OK);
	turn_until(&freed, OFFLOAD_THREADS + 2);
	assert_int_equal(done[0], 7);
	close(gate[0]);
	close(gate[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_results, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel_in_done, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end, setup, teardown),
	};

	return RUN(tests);
}
