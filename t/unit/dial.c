/* unit: src/core/net/dial.c */
#include "unit.h"

#include <errno.h>
#include <string.h>

#include "core/net/dial.c"

static struct weir_dial dial;
static struct weir_conn *got;
static int	got_err;
static unsigned	n_done;

static void
on_done(struct weir_dial *d, struct weir_conn *c, int err)
{
	assert_ptr_equal(d, &dial);
	got = c;
	got_err = err;
	n_done++;
}

/* A listener on loopback. */
static int
listener(struct weir_addr *a)
{
	socklen_t n = sizeof a->in;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	memset(a, 0, sizeof *a);
	a->in.sin_family = AF_INET;
	a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, &a->sa, n), 0);
	assert_int_equal(listen(fd, 4), 0);
	assert_int_equal(getsockname(fd, &a->sa, &n), 0);
	return fd;
}

static void
turn_until_done(void)
{
	n_done = 0;
	for (unsigned i = 0; i < 1000 && n_done == 0; i++)
		loop_turn(10);
	assert_int_equal(n_done, 1);
}

/* The preface has gone out before done(), whole, and the connection knows it. */
static void
test_preface(void **state)
{
	struct weir_dial_opts opts = { .timeout_ms = 10000, .preface = STR("PROXY UNKNOWN\r\n") };
	struct weir_addr a;
	char text[64];
	int fd = listener(&a), other;
	(void)state;

	dial.done = on_done;
	dial_start(&dial, &a, &opts);
	turn_until_done();
	assert_non_null(got);
	assert_true(conn_preface_is(got, opts.preface));
	assert_false(conn_preface_is(got, STR("")));
	assert_false(conn_preface_is(got, STR("PROXY UNKNOWN\r")));
	assert_int_equal(got->tcp.put, 15);
	other = accept(fd, NULL, NULL);
	assert_int_equal(recv(other, text, sizeof text, 0), 15);
	assert_memory_equal(text, "PROXY UNKNOWN\r\n", 15);
	conn_close(got);
	loop_turn(0);
	close(other);

	opts.preface = STR("");
	dial_start(&dial, &a, &opts);
	turn_until_done();
	assert_true(conn_preface_is(got, STR("")));
	assert_false(conn_preface_is(got, STR("PROXY UNKNOWN\r\n")));
	assert_int_equal(got->tcp.put, 0);
	conn_close(got);
	loop_turn(0);
	close(fd);
}

/* A part of it is nothing: the connection is closed, and nobody gets it. */
static void
test_preface_cut(void **state)
{
	enum { LONG = 16 << 20 };
	char *text = test_malloc(LONG);
	struct weir_dial_opts opts = { .timeout_ms = 10000, .sndbuf = 4096, .preface = { text, LONG } };
	struct weir_addr a;
	int fd = listener(&a), other;
	(void)state;

	memset(text, 'x', LONG);
	dial.done = on_done;
	dial_start(&dial, &a, &opts);
	turn_until_done();
	assert_null(got);
	assert_int_equal(got_err, ENOBUFS);
	assert_null(dial.conn);
	loop_turn(0);
	other = accept(fd, NULL, NULL);
	while (recv(other, text, LONG, 0) > 0)
		;		/* its end comes */
	close(other);
	close(fd);
	test_free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preface), cmocka_unit_test(test_preface_cut),
	};

	if (loop_init() != WEIR_OK)
		return 1;
	return RUN(tests);
}
