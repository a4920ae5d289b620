/* unit: src/core/io/pump.c */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "core/io/pump.c"
#include "core/io/fdio.h"
#include "stream.h"

struct run {
	struct weir_qsrc from;
	struct weir_fault in, out;
	struct weir_pump pump;
	enum weir_pump_end how;
	unsigned ends;
	bool	 done;
};

static void
on_done(struct weir_pump *p, enum weir_pump_end how)
{
	struct run *r = p->owner;

	r->how = how;
	r->ends++;
	r->done = true;
}

static void
run_init(struct run *r, size_t n)
{
	memset(r, 0, sizeof *r);
	qsrc_init(&r->from);
	stream_fill(&r->from.q, n);
	fault_init(&r->in, &r->from.src, NULL);
	fault_init(&r->out, NULL, NULL);
	r->pump.owner = r;
	r->pump.done = on_done;
}

static void
run_go(struct run *r, size_t cap)
{
	pump_start(&r->pump, &r->in.io.in, &r->out.io.out, cap);
	stream_turns(&r->done);
}

static void
run_free(struct run *r)
{
	if (!r->done)
		pump_off(&r->pump);
	fault_free(&r->in);
	fault_free(&r->out);
	bufq_clear(&r->from.q);
	loop_turn(0);
}

static void
test_all_sizes(void **state)
{
	static const size_t mosts[] = { 0, 1, 3, 100, 4096 };
	static const size_t lens[] = { 0, 1, 99, 5000 };
	struct run r;

	(void)state;
	for (size_t a = 0; a < WEIR_COUNT(mosts); a++)
		for (size_t b = 0; b < WEIR_COUNT(mosts); b++)
			for (size_t n = 0; n < WEIR_COUNT(lens); n++)
				for (size_t cap = 1; cap <= 8192; cap *= 64) {
					run_init(&r, lens[n]);
					r.in.most = mosts[a];
					r.out.most = mosts[b];
					run_go(&r, cap);
					assert_int_equal(r.ends, 1);
					assert_int_equal(r.how, PUMP_EOF);
					assert_true(r.out.finished);
					assert_int_equal(r.pump.moved, lens[n]);
					stream_check(&r.out.taken, lens[n]);
					run_free(&r);
				}
	assert_int_equal(bufq_outstanding(), 0);
}

/* One run for each call that can fail or say AGAIN, on either side. */
static void
nth(bool sink, bool fail)
{
	enum { LEN = 3000, MOST = 500 };
	struct run r;

	for (unsigned at = 1; ; at++) {
		struct weir_fault *f;
		bool reached;

		run_init(&r, LEN);
		r.in.most = r.out.most = MOST;
		f = sink ? &r.out : &r.in;
		if (fail)
			f->fail_at = at;
		else
			f->again_at = at;
		run_go(&r, 800);
		reached = f->calls >= at;
		assert_int_equal(r.ends, 1);
		if (fail && reached) {
			assert_int_equal(r.how, sink ? PUMP_SINK_FAIL : PUMP_SRC_FAIL);
			assert_false(r.out.finished);
			/* what arrived is a beginning of it */
			stream_check(&r.out.taken, (size_t)r.out.put);
		} else {
			assert_int_equal(r.how, PUMP_EOF);
			stream_check(&r.out.taken, LEN);
		}
		run_free(&r);
		if (!reached)
			break;
		assert_true(at < 1000);
	}
	assert_int_equal(bufq_outstanding(), 0);
}

static void
test_nth(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		nth(i & 1, i & 2);
}

/* A sink that takes nothing for a while stops the source at the cap. */
static void
test_backpressure(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, 100000);
	r.out.most = 1;
	r.out.again_at = 2;
	pump_start(&r.pump, &r.in.io.in, &r.out.io.out, 1000);
	assert_true(r.in.got <= 1001);
	run_free(&r);
	assert_int_equal(bufq_outstanding(), 0);
}

/*
 * A source that gives no notices, and a sink that was full: when it has room again the pump must
 * ask the source by itself.
 */
static void
test_always_ready(void **state)
{
	struct run r;

	(void)state;
	for (unsigned at = 1; at < 40; at++) {
		run_init(&r, 10000);
		r.out.again_at = at;
		pump_start(&r.pump, &r.from.src, &r.out.io.out, 600);
		stream_turns(&r.done);
		assert_int_equal(r.how, PUMP_EOF);
		assert_int_equal(r.ends, 1);
		stream_check(&r.out.taken, 10000);
		run_free(&r);
	}
}

/* keep_open: the sink is not finished. */
static void
test_keep_open(void **state)
{
	struct run r;

	(void)state;
	run_init(&r, 10);
	r.pump.keep_open = true;
	run_go(&r, 100);
	assert_int_equal(r.how, PUMP_EOF);
	assert_false(r.out.finished);
	run_free(&r);
}

/* Between sockets the kernel moves the bytes; short and long, all of them arrive. */
static void
test_splice(void **state)
{
	enum { LEN = 3000000 };
	struct run r = { .done = false };
	struct weir_fdio in, out;
	struct weir_bufq sent = { 0 }, got = { 0 };
	int a[2], b[2];
	bool shut = false;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b), 0);
	assert_int_equal(fdio_init(&in, a[1]), WEIR_OK);
	assert_int_equal(fdio_init(&out, b[0]), WEIR_OK);
	stream_fill(&sent, LEN);
	r.pump.owner = &r;
	r.pump.done = on_done;
	pump_start(&r.pump, &in.io.in, &out.io.out, 65536);
	for (int i = 0; i < 200000 && got.len < LEN; i++) {
		struct weir_str s = bufq_first(&sent);
		size_t room;
		char *p;
		ssize_t n = s.n != 0 ? write(a[0], s.p, WEIR_MIN(s.n, 50000u)) : 0;

		if (n > 0)
			bufq_drop(&sent, (uint64_t)n);
		if (sent.len == 0 && !shut)
			shut = shutdown(a[0], SHUT_WR) == 0;
		loop_turn(0);
		p = bufq_room(&got, 4096, &room);
		n = read(b[1], p, room);
		bufq_added(&got, n > 0 ? (size_t)n : 0);
	}
	stream_turns(&r.done);
	assert_int_equal(r.how, PUMP_EOF);
	assert_int_equal(r.pump.moved, LEN);
	stream_check(&got, LEN);
	fdio_end(&in, false);
	fdio_end(&out, false);
	close(a[0]);
	close(b[1]);
	bufq_clear(&sent);
}

static int
begin(void **state)
{
	(void)state;
	return loop_init() == WEIR_OK ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_sizes),
		cmocka_unit_test(test_nth),
		cmocka_unit_test(test_backpressure),
		cmocka_unit_test(test_always_ready),
		cmocka_unit_test(test_keep_open),
		cmocka_unit_test(test_splice),
	};

	return cmocka_run_group_tests(tests, begin, NULL);
}
