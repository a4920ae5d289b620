/* unit: src/core/io/fdio.c */
#include <linux/tcp.h>
#include <netinet/in.h>
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

/* ---- TCP ---- */

enum { ESTABLISHED = 1 };	/* netinet/tcp.h has its name, but a shorter struct tcp_info */

static void
begin_tcp(struct run *r)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(r, 0, sizeof *r);
	assert_int_equal(bind(l, (void *)&a, n), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (void *)&a, &n), 0);
	assert_int_equal(connect(fd, (void *)&a, n), 0);
	r->peer = accept(l, NULL, NULL);
	assert_true(r->peer >= 0);
	close(l);
	assert_int_equal(fdio_init(&r->f, fd), WEIR_OK);
	r->f.tcp = 1;
	src_on_ready(&r->f.io.in, on_read, r);
	sink_on_ready(&r->f.io.out, on_write, r);
	loop_turn(0);
}

static void
turn_until(struct run *r, uint8_t what)
{
	for (unsigned i = 0; i < 1000 && (r->f.ev.ready & what) != what; i++)
		loop_turn(10);
	assert_int_equal(r->f.ev.ready & what, what);
}

static struct tcp_info
info(const struct run *r)
{
	struct tcp_info i = { 0 };
	socklen_t n = sizeof i;

	assert_int_equal(getsockopt(r->f.ev.fd, IPPROTO_TCP, TCP_INFO, &i, &n), 0);
	return i;
}

/* The end is known with the last bytes: nobody asks the kernel for it. */
static void
test_end_with_bytes(void **state)
{
	struct run r;
	struct weir_bufq q = { 0 };

	(void)state;
	begin_tcp(&r);
	assert_int_equal(write(r.peer, "hello", 5), 5);
	shutdown(r.peer, SHUT_WR);
	turn_until(&r, EV_READ | EV_HUP | EV_LAST);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), 5);
	assert_int_equal(r.f.eof, 1);
	assert_int_equal(src_read(&r.f.io.in, &q, 100), WEIR_EOF);
	src_want(&r.f.io.in, true);
	loop_turn(0);
	assert_int_equal(r.reads, 1);	/* and who asks later is told */
	bufq_clear(&q);
	finish(&r);
}

/* A read stops where an urgent byte was, so that a short count is not the end. */
static void
test_end_with_urgent(void **state)
{
	struct run r;
	struct weir_bufq q = { 0 };
	char text[9];
	ssize_t n = 0;

	(void)state;
	begin_tcp(&r);
	assert_int_equal(send(r.peer, "abcd!", 5, MSG_OOB), 5);
	assert_int_equal(write(r.peer, "efgh", 4), 4);
	shutdown(r.peer, SHUT_WR);
	turn_until(&r, EV_READ | EV_HUP);
	assert_false(r.f.ev.ready & EV_LAST);
	for (unsigned i = 0; i < 10 && n != WEIR_EOF; i++)
		n = src_read(&r.f.io.in, &q, 100);
	assert_int_equal(n, WEIR_EOF);
	assert_int_equal(bufq_peek(&q, 0, text, sizeof text), 8);
	assert_memory_equal(text, "abcdefgh", 8);
	bufq_clear(&q);
	finish(&r);
}

/* How many segments a last write and the end after it are. */
static unsigned
segments(bool closing)
{
	struct weir_bufq q = { 0 };
	struct run r;
	unsigned before, n;
	char c[8];

	begin_tcp(&r);
	before = info(&r).tcpi_segs_out;
	r.f.io.out.last = true;
	r.f.io.out.closing = closing;
	bufq_put(&q, "bye", 3);
	assert_int_equal(sink_write(&r.f.io.out, &q), 3);
	assert_int_equal(sink_finish(&r.f.io.out), WEIR_OK);
	n = info(&r).tcpi_segs_out - before;
	assert_int_equal(info(&r).tcpi_state == ESTABLISHED, closing);	/* closing says the end */
	fdio_end(&r.f, false);
	assert_int_equal(recv(r.peer, c, 3, MSG_WAITALL), 3);
	assert_int_equal(recv(r.peer, c, 1, 0), 0);
	close(r.peer);
	return n;
}

/* One instead of two; a machine that sleeps between the calls may make it two all the same. */
static void
test_last(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 20 && n != 1; i++)
		n = segments(false);
	assert_int_equal(n, 1);
	n = 1;
	for (unsigned i = 0; i < 20 && n != 0; i++)
		n = segments(true);
	assert_int_equal(n, 0);
}

static int
nodelay(const struct run *r)
{
	socklen_t n = sizeof(int);
	int on = -1;

	assert_int_equal(getsockopt(r->f.ev.fd, IPPROTO_TCP, TCP_NODELAY, &on, &n), 0);
	return on;
}

/* The first short thing goes at once in any case; the second has TCP_NODELAY, and so has a long one. */
static void
test_nodelay(void **state)
{
	static char much[ONE_SEGMENT + 1];
	struct run r;

	(void)state;
	begin_tcp(&r);
	r.f.nagle = FDIO_FRESH;
	assert_int_equal(fdio_send(&r.f, "x", 1, false), 1);
	assert_int_equal(nodelay(&r), 0);
	assert_int_equal(fdio_send(&r.f, "y", 1, false), 1);
	assert_int_equal(nodelay(&r), 1);
	assert_int_equal(r.f.nagle, 0);
	finish(&r);
	begin_tcp(&r);
	r.f.nagle = FDIO_FRESH;
	assert_int_equal(fdio_send(&r.f, much, sizeof much, false), sizeof much);
	assert_int_equal(nodelay(&r), 1);
	finish(&r);
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
		cmocka_unit_test(test_end_with_bytes),
		cmocka_unit_test(test_end_with_urgent),
		cmocka_unit_test(test_last),
		cmocka_unit_test(test_nodelay),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
