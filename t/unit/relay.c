/* unit: src/core/io/relay.c */
#include "unit.h"

#include "core/io/relay.c"
#include "core/base/clock.h"
#include "core/ev/wheel.h"
#include "stream.h"

struct run {
	struct weir_qsrc from_a, from_b;
	struct weir_fault a, b;
	struct weir_relay relay;
	enum weir_relay_end how;
	unsigned ends;
	bool	 done;
};

static void
on_end(struct weir_relay *relay, enum weir_relay_end how)
{
	struct run *r = relay->owner;

	r->how = how;
	r->ends++;
	r->done = true;
}

static void
begin(struct run *r, size_t a, size_t b)
{
	memset(r, 0, sizeof *r);
	qsrc_init(&r->from_a);
	qsrc_init(&r->from_b);
	stream_fill(&r->from_a.q, a);
	stream_fill(&r->from_b.q, b);
	fault_init(&r->a, &r->from_a.src, NULL);
	fault_init(&r->b, &r->from_b.src, NULL);
	r->relay.owner = r;
	r->relay.done = on_end;
}

static void
go(struct run *r, uint64_t idle)
{
	relay_start(&r->relay, &r->a.io, &r->b.io, 700, idle);
	stream_turns(&r->done);
}

static void
finish(struct run *r)
{
	relay_off(&r->relay);
	fault_free(&r->a);
	fault_free(&r->b);
	bufq_clear(&r->from_a.q);
	bufq_clear(&r->from_b.q);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
test_both(void **state)
{
	struct run r;

	(void)state;
	for (size_t most = 1; most < 3000; most = most * 3 + 1) {
		begin(&r, 2000, 3000);
		r.a.most = most;
		go(&r, 0);
		assert_int_equal(r.ends, 1);
		assert_int_equal(r.how, RELAY_EOF);
		assert_true(r.a.finished && r.b.finished);
		assert_false(r.a.aborted || r.b.aborted);
		stream_check(&r.b.taken, 2000);
		stream_check(&r.a.taken, 3000);
		finish(&r);
	}
}

static void
test_preload(void **state)
{
	struct run r;
	struct weir_bufq to_b = { 0 }, to_a = { 0 };

	(void)state;
	begin(&r, 0, 0);
	stream_fill(&to_b, 300);
	stream_fill(&to_a, 100);
	relay_preload(&r.relay, &to_b, &to_a);
	go(&r, 0);
	assert_int_equal(r.how, RELAY_EOF);
	stream_check(&r.b.taken, 300);
	stream_check(&r.a.taken, 100);
	finish(&r);
}

/* Each call fails once: one end, both sides see that something is missing. */
static void
test_nth(void **state)
{
	struct run r;

	(void)state;
	for (int side = 0; side < 2; side++)
		for (unsigned at = 1; ; at++) {
			struct weir_fault *f;
			bool reached;

			begin(&r, 1000, 1500);
			r.a.most = r.b.most = 400;
			f = side == 0 ? &r.a : &r.b;
			f->fail_at = at;
			go(&r, 0);
			reached = f->calls >= at;
			assert_int_equal(r.ends, 1);
			if (reached) {
				assert_int_equal(r.how, side == 0 ? RELAY_A_FAIL : RELAY_B_FAIL);
				assert_true(r.a.aborted && r.b.aborted);
			} else {
				assert_int_equal(r.how, RELAY_EOF);
			}
			finish(&r);
			if (!reached)
				break;
			assert_true(at < 200);
		}
}

static void
test_idle(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 10, 10);
	r.a.again_at = 1;	/* and nothing wakes it */
	relay_start(&r.relay, &r.a.io, &r.b.io, 700, 5000);
	task_off(&r.a.notice);
	weir_now_ms += 4999;
	wheel_run();
	assert_false(r.done);
	weir_now_ms += 1;
	wheel_run();
	assert_true(r.done);
	assert_int_equal(r.how, RELAY_IDLE);
	assert_true(r.a.aborted && r.b.aborted);
	finish(&r);
	assert_int_equal(wheel_wait(), -1);
}

/* A source that has a byte when it is told so, and never ends. */
struct drip {
	struct weir_src src;
	bool	 has;
};

static ssize_t
drip_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct drip *d = WEIR_OF(src, struct drip, src);

	(void)max;
	if (!d->has)
		return WEIR_AGAIN;
	d->has = false;
	bufq_put(to, "x", 1);
	return 1;
}

static void
drip_want(struct weir_src *src, bool on)
{
	(void)src;
	(void)on;
}

static void
drip_stop(struct weir_src *src)
{
	(void)src;
}

/* One timer for both: bytes in either direction set it anew. */
static void
test_idle_either(void **state)
{
	static const struct weir_src_ops ops = { .read = drip_read, .want = drip_want, .stop = drip_stop };

	(void)state;
	for (int side = 0; side < 2; side++) {
		struct drip drips[2] = { { .src.ops = &ops }, { .src.ops = &ops } };
		struct run r;

		begin(&r, 0, 0);
		r.relay.from_a = &drips[0].src;
		r.relay.from_b = &drips[1].src;
		relay_start(&r.relay, &r.a.io, &r.b.io, 700, 5000);
		for (int i = 0; i < 5; i++) {
			weir_now_ms += 4000;
			wheel_run();
			assert_false(r.done);
			drips[side].has = true;
			drips[side].src.ready(drips[side].src.arg);
		}
		assert_int_equal(side == 0 ? r.b.taken.len : r.a.taken.len, 5);
		weir_now_ms += 5000;
		wheel_run();
		assert_true(r.done);
		assert_int_equal(r.how, RELAY_IDLE);
		finish(&r);
	}
}

static int
setup(void **state)
{
	(void)state;
	return loop_init() == WEIR_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_preload),
		cmocka_unit_test(test_nth),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_idle_either),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
