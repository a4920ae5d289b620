/* unit: src/core/net/proxy_accept.c */
/* unit: src/core/net/conn.c */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/net/conn.c"
#define slab reader_slab
#define on_free reader_on_free
#include "core/net/proxy_accept.c"

#define TEXT "PROXY TCP4 192.0.2.1 192.0.2.2 40000 80\r\n"

static struct weir_listen from = { .text = (char *)(uintptr_t)"here" };
static struct weir_log nothing;
static struct weir_conn *conn;
static int	far;		/* the other end */
static unsigned	n_done;

static void
on_done(struct weir_conn *c)
{
	assert_ptr_equal(c, conn);
	n_done++;
}

static void
begin(uint64_t ms)
{
	int	fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	far = fd[1];
	n_done = 0;
	conn = conn_new(fd[0]);
	assert_non_null(conn);
	conn->peer.in = (struct sockaddr_in){ .sin_family = AF_INET };
	conn->from = &from;
	conn->tcp.ev.ready = EV_WRITE;
	proxy_accept(conn, ms, &nothing, on_done);
}

static void
say(const char *p, size_t n)
{
	assert_int_equal(send(far, p, n, MSG_NOSIGNAL), n);
	loop_turn(0);
}

/* With a reset, when there was something that nobody took. */
static bool
is_closed(void)
{
	char	c;
	ssize_t	n = recv(far, &c, 1, MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static void
test_byte_by_byte(void **state)
{
	char		rest[8];
	const char	*text = TEXT;
	(void)state;

	begin(1000);
	loop_turn(0);
	for (size_t i = 0; i + 1 < strlen(text); i++) {
		say(text + i, 1);
		assert_int_equal(n_done, 0);
	}
	say("\nREST", 5);
	assert_int_equal(n_done, 1);
	assert_non_null(conn->proxied);
	assert_int_equal(addr_port(&conn->proxied->src), 40000);
	assert_int_equal(recv(conn->tcp.ev.fd, rest, sizeof(rest), 0), 4);
	assert_memory_equal(rest, "REST", 4);
	assert_int_equal(conn->tcp.got, strlen(text));
	assert_int_equal(accept_stats->waiting, 0);
	conn_close(conn);
	loop_turn(0);
	close(far);
}

/* What is not the header is left for whoever is next, whose notice comes by itself. */
static void
test_silent_header(void **state)
{
	(void)state;

	begin(1000);
	say("PROXY UNKNOWN\r\n", 15);
	assert_int_equal(n_done, 1);
	assert_null(conn->proxied);
	assert_true(conn->tcp.ev.ready & EV_READ);
	conn_close(conn);
	loop_turn(0);
	close(far);
}

static void
closes(const char *p, size_t n)
{
	begin(1000);
	say(p, n);
	assert_int_equal(n_done, 0);
	assert_true(is_closed());
	assert_int_equal(accept_stats->waiting, 0);
	loop_turn(0);
	close(far);
}

static void
test_refused(void **state)
{
	(void)state;

	closes("GET / HTTP/1.1\r\n", 16);
	closes("X", 1);
	closes("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16);
}

static void
test_ends(void **state)
{
	(void)state;

	begin(1000);		/* nothing, and the end */
	shutdown(far, SHUT_WR);
	loop_turn(0);
	assert_true(is_closed());
	loop_turn(0);
	close(far);
	begin(1000);		/* a part, and the end, in one event */
	assert_int_equal(send(far, "PROXY", 5, 0), 5);
	shutdown(far, SHUT_WR);
	loop_turn(0);
	loop_turn(0);
	assert_int_equal(n_done, 0);
	loop_turn(0);
	close(far);
	begin(1000);		/* all of it, and the end */
	assert_int_equal(send(far, TEXT, sizeof(TEXT) - 1, 0), sizeof(TEXT) - 1);
	shutdown(far, SHUT_WR);
	loop_turn(0);
	assert_int_equal(n_done, 1);
	conn_close(conn);
	loop_turn(0);
	close(far);
}

static void
test_timeout(void **state)
{
	(void)state;

	begin(20);
	say("PROXY", 5);
	for (int i = 0; i < 100 && accept_stats->waiting != 0; i++)
		loop_turn(10);
	assert_int_equal(accept_stats->waiting, 0);
	assert_int_equal(n_done, 0);
	loop_turn(0);
	close(far);
}

static void
test_drain(void **state)
{
	(void)state;

	begin(60000);
	conn->on_drain(conn, DRAIN_SOON);
	assert_int_equal(accept_stats->waiting, 1);
	say(TEXT, sizeof(TEXT) - 1);
	assert_int_equal(n_done, 1);
	conn_close(conn);
	loop_turn(0);
	close(far);
	begin(60000);
	conn->on_drain(conn, DRAIN_NOW);
	assert_int_equal(accept_stats->waiting, 0);
	loop_turn(0);
	close(far);
	begin(60000);
	assert_int_equal(send(far, "P", 1, 0), 1);
	conn->on_drain(conn, DRAIN_CUT);
	assert_int_equal(accept_stats->waiting, 0);
	loop_turn(0);
	close(far);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_byte_by_byte), cmocka_unit_test(test_silent_header),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_ends),
		cmocka_unit_test(test_timeout), cmocka_unit_test(test_drain),
	};

	if (loop_init() != WEIR_OK)
		return 1;
	return RUN(tests);
}
