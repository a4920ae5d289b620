/* unit: src/core/io/fdio.c */
#include <sys/socket.h>
#include <unistd.h>

#include "unit.h"

#include "core/io/fdio.c"
#include "stream.h"

struct run {
	struct weir_fdio f;
	int	 peer;
	unsigned reads, writes, gone;
};

static void on_read(void *arg) { ((struct run *)arg)->reads++; }
static void on_write(void *arg) { ((struct run *)arg)->writes++; }
static void on_gone(void *arg) { ((struct run *)arg)->gone++; }

static void
begin(struct run *r)
{
	int s[2];

	memset(r, 0, sizeof *r);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s), 0);
	assert_int_equal(fdio_init(&r->f, s[0]), WEIR_OK);
	r->peer = s[1];
	src_on_ready(&r->f.io.in, on_read, r);
	sink_on_ready(&r->f.io.out, on_write, r);
	r->f.on_gone = on_gone;
	r->f.gone_arg = r;
	loop_turn(0);
}

static void
finish(struct run *r)
{
	fdio_end(&r->f, false);
	close(r->peer);
	loop_turn(0);
	assert_int_equal(bufq_outstanding(), 0);
}

static void
test_read(void **state)
{
	struct run r;
	struct weir_bufq q = { 0 };

	(void)state;
	begin(&r);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), WEIR_AGAIN);
	src_want(&r.f.io.in, true);
	assert_int_equal(write(r.peer, "hello", 5), 5);
	loop_turn(0);
	assert_int_equal(r.reads, 1);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), 5);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), WEIR_AGAIN);
	/* wanted late: what is there already is told all the same */
	src_want(&r.f.io.in, false);
	assert_int_equal(write(r.peer, "more", 4), 4);
	loop_turn(0);
	assert_int_equal(r.reads, 1);
	src_want(&r.f.io.in, true);
	loop_turn(0);
	assert_int_equal(r.reads, 2);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), 4);
	shutdown(r.peer, SHUT_WR);
	loop_turn(0);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), WEIR_EOF);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), WEIR_EOF);
	assert_true(fdio_gone(&r.f));
	assert_false(fdio_reset(&r.f));
	assert_int_equal(r.f.got, 9);
	bufq_clear(&q);
	finish(&r);
}

static void
test_write(void **state)
{
	struct run r;
	struct weir_bufq q = { 0 };
	char sink[65536];
	uint64_t total = 0, got = 0;
	ssize_t n;

	(void)state;
	begin(&r);
	for (int i = 0; i < 64; i++)
		stream_fill(&q, 65536);
	while ((n = sink_write(&r.f.io.out, &q)) > 0)
		total += (uint64_t)n;
	assert_int_equal(n, WEIR_AGAIN);
	sink_want(&r.f.io.out, true);
	loop_turn(0);
	assert_int_equal(r.writes, 0);
	for (int i = 0; i < 10000 && got < 64 * 65536; i++) {
		while ((n = read(r.peer, sink, sizeof sink)) > 0)
			got += (uint64_t)n;
		loop_turn(0);
		while ((n = sink_write(&r.f.io.out, &q)) > 0)
			total += (uint64_t)n;
	}
	assert_true(r.writes > 0);
	assert_int_equal(got, 64 * 65536);
	assert_int_equal(total, got);
	assert_int_equal(r.f.put, got);
	assert_int_equal(sink_finish(&r.f.io.out), WEIR_OK);
	assert_int_equal(read(r.peer, sink, 1), 0);
	finish(&r);
}

/* The peer has answered and closed: writing fails, the answer can be read all the same. */
static void
test_answer_after_epipe(void **state)
{
	struct run r;
	struct weir_bufq q = { 0 }, in = { 0 };

	(void)state;
	begin(&r);
	assert_int_equal(write(r.peer, "answer", 6), 6);
	close(r.peer);
	loop_turn(0);
	bufq_put(&q, "request", 7);
	assert_int_equal(sink_write(&r.f.io.out, &q), WEIR_FAIL);
	assert_non_null(r.f.io.out.err);
	assert_int_equal(sink_write(&r.f.io.out, &q), WEIR_FAIL);
	assert_int_equal(src_read(&r.f.io.in, &in, 100), 6);
	assert_int_equal(src_read(&r.f.io.in, &in, 100), WEIR_EOF);
	assert_true(fdio_reset(&r.f));
	bufq_clear(&q);
	bufq_clear(&in);
	r.peer = dup(r.f.ev.fd);
	finish(&r);
}

static void
test_gone(void **state)
{
	struct run r;

	(void)state;
	begin(&r);
	shutdown(r.peer, SHUT_WR);
	loop_turn(0);
	assert_int_equal(r.gone, 1);		/* nobody was reading */
	assert_int_equal(r.reads, 0);
	finish(&r);
	begin(&r);
	src_want(&r.f.io.in, true);
	shutdown(r.peer, SHUT_WR);
	loop_turn(0);
	assert_int_equal(r.gone, 0);		/* who reads finds out by reading */
	assert_int_equal(r.reads, 1);
	finish(&r);
}

static void
test_quiet(void **state)
{
	struct run r;

	(void)state;
	begin(&r);
	r.f.ev.ready |= EV_READ;		/* as after a read that got all it asked for */
	assert_true(fdio_quiet(&r.f));
	assert_int_equal(r.f.ev.ready & EV_READ, 0);
	assert_int_equal(write(r.peer, "x", 1), 1);
	loop_turn(0);
	assert_false(fdio_quiet(&r.f));
	finish(&r);
	begin(&r);
	shutdown(r.peer, SHUT_WR);
	loop_turn(0);
	assert_false(fdio_quiet(&r.f));
	finish(&r);
}

/* After the end no notice is posted: the owner may be freed at the end of the turn. */
static void
test_after_end(void **state)
{
	struct run r;

	(void)state;
	begin(&r);
	assert_int_equal(write(r.peer, "x", 1), 1);
	shutdown(r.peer, SHUT_WR);
	loop_turn(0);
	r.f.eof = 1;
	fdio_end(&r.f, false);
	src_want(&r.f.io.in, true);
	sink_want(&r.f.io.out, true);
	assert_true(list_empty(&r.f.notice.node));
	loop_turn(0);
	assert_int_equal(r.reads, 0);
	close(r.peer);
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
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_answer_after_epipe),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_quiet),
		cmocka_unit_test(test_after_end),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
