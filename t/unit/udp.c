/* unit: src/core/net/udp.c */
#include "unit.h"

#include <errno.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include "core/net/udp.c"

static struct weir_pool *pool;
static struct weir_listeners ls;
static struct weir_listen *here, *everywhere;
static struct weir_udp *last;		/* the session that was made last */
static unsigned	n_new, n_data, n_drained;
static size_t	n_bytes;
static bool	echo, refuse, wait_first;
static uint64_t	take_most;

static void
on_data(struct weir_udp *u, struct weir_bundle b)
{
	n_data += (unsigned)bundle_count(&b);
	n_bytes += b.n;
	if (echo)
		assert_int_equal(udp_put(u, b), bundle_count(&b));
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	assert_int_equal(how, DRAIN_CUT);
	n_drained++;
	conn_close(c);
}

static void
on_conn(struct weir_conn *c)
{
	assert_true(c->flags & CONN_UDP);
	last = udp_of(c);
	n_new++;
	if (refuse) {
		conn_close(c);
		return;
	}
	last->most = take_most;
	c->on_drain = on_drain;
	if (!wait_first)
		udp_begin(last, on_data);
}

static struct weir_listen *
listener(const char *ip)
{
	union weir_sockaddr sa;
	socklen_t n = sizeof sa;
	struct weir_listen *l;
	struct weir_addr a;

	assert_int_equal(addr_parse_ip(str_c(ip), &a), WEIR_OK);
	l = listen_get(&ls, pool, &a, SOCK_DGRAM);
	l->on_conn = on_conn;
	l->fds = pool_alloc(pool, sizeof(int));
	l->fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	l->n_fds = 1;
	addr_to_kernel(&a, &sa);
	assert_int_equal(bind(l->fds[0], &sa.sa, sizeof sa.in), 0);
	assert_int_equal(getsockname(l->fds[0], &sa.sa, &n), 0);
	dgram_prepare(l->fds[0], &a);
	addr_set_port(&l->addr, ntohs(sa.in.sin_port));
	return l;
}

/* A client's socket at 127.0.0.N (0: 1), that sends to l at 127.0.0.1. */
static int
client(const struct weir_listen *l, unsigned from, const char *to)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000000u + (from ? from : 1)) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct timeval most_time = { 20, 0 };

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	a.sin_addr.s_addr = inet_addr(to);
	a.sin_port = htons((uint16_t)addr_port(&l->addr));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most_time, sizeof most_time);
	return fd;
}

static void
reset(void)
{
	echo = true;
	refuse = wait_first = false;
	take_most = 0;
	n_new = n_data = n_drained = 0;
	n_bytes = 0;
}

static void
end_all(void)
{
	while (!list_empty(&others))
		conn_close(&list_first(&others, struct weir_udp, age)->conn);
	while (!list_empty(&proven))
		conn_close(&list_first(&proven, struct weir_udp, age)->conn);
	loop_turn(0);
	assert_int_equal(udp_count(), 0);
	assert_int_equal(n_others, 0);
	for (size_t i = 0; i <= mask; i++)
		assert_null(table[i]);
}

static void
turn_until_data(unsigned n)
{
	for (unsigned i = 0; i < 1000 && n_data < n; i++)
		loop_turn(10);
	assert_int_equal(n_data, n);
}

static void
test_cut(void **state)
{
	struct weir_bundle b = { "abcdefgh", 8, 3 }, to;
	(void)state;

	assert_int_equal(bundle_count(&b), 3);
	assert_true(bundle_cut(&b, 2, &to));
	assert_int_equal(to.n, 6);
	assert_int_equal(to.each, 3);
	assert_int_equal(bundle_count(&b), 1);
	assert_true(bundle_cut(&b, 1, &to));
	assert_true(to.n == 2 && to.each == 2);
	assert_false(bundle_cut(&b, 1, &to));
	b = (struct weir_bundle){ "", 0, 0 };		/* one that is empty */
	assert_int_equal(bundle_count(&b), 1);
	assert_true(bundle_cut(&b, 1, &to));
	assert_int_equal(to.n, 0);
	assert_false(bundle_cut(&b, 1, &to));
	b = (struct weir_bundle){ "abcd", 4, 2 };
	assert_true(bundle_cut(&b, SIZE_MAX, &to));
	assert_int_equal(bundle_count(&to), 2);
	assert_false(bundle_cut(&b, 1, &to));
}

static void
test_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 512, 1472, 1473, 9000, 65507 };
	char *text = test_malloc(DGRAM_MAX), *got = test_malloc(DGRAM_MAX);
	int fd = client(here, 0, "127.0.0.1");
	(void)state;

	reset();
	for (unsigned i = 0; i < WEIR_COUNT(sizes); i++) {
		memset(text, 'a' + (int)i, sizes[i]);
		assert_int_equal(send(fd, text, sizes[i], 0), sizes[i]);
		turn_until_data(i + 1);
		assert_int_equal(recv(fd, got, DGRAM_MAX, 0), sizes[i]);
		assert_memory_equal(got, text, sizes[i]);
	}
	assert_int_equal(n_new, 1);
	assert_int_equal(last->taken, WEIR_COUNT(sizes));
	assert_int_equal(last->answered, WEIR_COUNT(sizes));
	assert_int_equal(last->conn.tcp.got, n_bytes);
	assert_int_equal(last->conn.tcp.put, n_bytes);
	assert_true(last->proven);
	end_all();
	close(fd);
	test_free(text);
	test_free(got);
}

/* What the sender gives the kernel as a bundle comes and goes as one, and arrives as datagrams. */
static void
test_bundle(void **state)
{
	char text[10 * 100 + 7], got[200];
	struct weir_dgram_out o = { .bundle = { text, sizeof text, 100 } };
	int fd = client(here, 0, "127.0.0.1");
	(void)state;

	reset();
	for (unsigned i = 0; i < sizeof text; i++)
		text[i] = (char)('a' + i / 100);
	assert_int_equal(dgram_send(fd, &o), 11);
	turn_until_data(11);
	assert_int_equal(n_bytes, sizeof text);
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(recv(fd, got, sizeof got, 0), i < 10 ? 100 : 7);
		assert_int_equal(got[0], 'a' + i);
	}
	o.head = STR("head ");		/* in front of the first only */
	assert_int_equal(dgram_send(fd, &o), 11);
	turn_until_data(22);
	assert_int_equal(recv(fd, got, sizeof got, 0), 105);
	assert_memory_equal(got, "head aaa", 8);
	assert_int_equal(recv(fd, got, sizeof got, 0), 100);
	end_all();
	close(fd);
}

/* Answers leave from the address that was asked. */
static void
test_addresses(void **state)
{
	int a = client(everywhere, 0, "127.0.0.1"), b = client(everywhere, 0, "127.0.0.9");
	struct weir_addr local;
	char got[10];
	(void)state;

	reset();
	assert_int_equal(send(a, "a", 1, 0), 1);
	turn_until_data(1);
	assert_int_equal(recv(a, got, sizeof got, 0), 1);
	assert_int_equal(send(b, "b", 1, 0), 1);
	turn_until_data(2);
	assert_int_equal(recv(b, got, sizeof got, 0), 1);	/* it is connected: others' datagrams do not come */
	assert_int_equal(n_new, 2);
	conn_local(&last->conn, &local);
	assert_int_equal(local.in.sin_addr.s_addr, htonl(0x7f000009));
	assert_int_equal(addr_port(&local), addr_port(&everywhere->addr));
	end_all();
	close(a);
	close(b);
}

static void
test_most(void **state)
{
	char text[500];
	struct weir_dgram_out o = { .bundle = { text, sizeof text, 100 } };
	int fd = client(here, 0, "127.0.0.1");
	(void)state;

	reset();
	memset(text, 'x', sizeof text);
	take_most = 2;
	assert_int_equal(dgram_send(fd, &o), 5);
	turn_until_data(5);
	assert_int_equal(n_new, 3);		/* 2, 2, 1, whether they came together or not */
	assert_int_equal(last->taken, 1);
	assert_int_equal(udp_count(), 3);	/* the first two can still answer */
	end_all();
	close(fd);
}

/* What comes while the session has not begun is kept, not without end, and handed over in order. */
static void
test_kept(void **state)
{
	int fd = client(here, 0, "127.0.0.1");
	char got[10];
	(void)state;

	reset();
	wait_first = true;
	for (char c = 'a'; c < 'a' + DGRAMQ_MOST + 8; c++)
		assert_int_equal(send(fd, &c, 1, 0), 1);
	for (unsigned i = 0; i < 1000 && (n_new == 0 || last->taken < DGRAMQ_MOST + 8); i++)
		loop_turn(10);
	assert_int_equal(n_data, 0);
	udp_begin(last, on_data);
	assert_true(n_data >= DGRAMQ_MOST && n_data <= DGRAMQ_MOST + 8);
	for (char c = 'a'; c < 'a' + DGRAMQ_MOST; c++) {
		assert_int_equal(recv(fd, got, sizeof got, 0), 1);
		assert_int_equal(got[0], c);
	}
	end_all();
	close(fd);
}

static void
test_refused(void **state)
{
	int fd = client(here, 0, "127.0.0.1");
	(void)state;

	reset();
	refuse = true;
	assert_int_equal(send(fd, "x", 1, 0), 1);
	for (unsigned i = 0; i < 1000 && n_new == 0; i++)
		loop_turn(10);
	assert_int_equal(udp_count(), 0);
	assert_int_equal(n_data, 0);
	end_all();
	close(fd);
}

/* Made-up clients do not push out those who are there. */
static void
test_evict(void **state)
{
	enum { GOOD = 4, MANY = 100 };
	int good[GOOD], fd;
	char got[10];
	(void)state;

	reset();
	assert_int_equal(most, 16);
	for (unsigned i = 0; i < GOOD; i++) {
		good[i] = client(here, 10 + i, "127.0.0.1");
		for (unsigned j = 0; j < 2; j++) {
			assert_int_equal(send(good[i], "x", 1, 0), 1);
			turn_until_data(2 * i + j + 1);
			assert_int_equal(recv(good[i], got, sizeof got, 0), 1);
		}
	}
	assert_int_equal(n_new, GOOD);
	for (unsigned i = 0; i < MANY; i++) {
		fd = client(here, 100 + i, "127.0.0.1");
		assert_int_equal(send(fd, "x", 1, 0), 1);
		turn_until_data(2 * GOOD + i + 1);
		close(fd);
		assert_true(udp_count() <= most);
	}
	assert_int_equal(n_new, GOOD + MANY);
	assert_int_equal(udp_count(), most);
	assert_int_equal(n_drained, GOOD + MANY - most);
	for (unsigned i = 0; i < GOOD; i++) {
		assert_int_equal(send(good[i], "x", 1, 0), 1);
		turn_until_data(2 * GOOD + MANY + i + 1);
		close(good[i]);
	}
	assert_int_equal(n_new, GOOD + MANY);		/* they still had their sessions */
	end_all();
}

/* And those who are there leave a share to new ones. */
static void
test_evict_proven(void **state)
{
	int fd[40];
	char got[10];
	(void)state;

	reset();
	for (unsigned i = 0; i < WEIR_COUNT(fd); i++) {
		fd[i] = client(here, 50 + i, "127.0.0.1");
		for (unsigned j = 0; j < 2; j++) {
			assert_int_equal(send(fd[i], "x", 1, 0), 1);
			turn_until_data(2 * i + j + 1);
			assert_int_equal(recv(fd[i], got, sizeof got, 0), 1);
		}
		assert_true(udp_count() <= most);
	}
	assert_int_equal(n_new, WEIR_COUNT(fd));
	for (unsigned i = 0; i < WEIR_COUNT(fd); i++)
		close(fd[i]);
	end_all();
}

/* ---- a connected socket ---- */

static struct weir_dgram link_;
static int	link_err;

static void
on_link_data(struct weir_dgram *d, struct weir_bundle b)
{
	(void)d;
	n_data += (unsigned)bundle_count(&b);
}

static void
on_link_error(struct weir_dgram *d, int err)
{
	link_err = err;
	dgram_end(d);
}

static void
test_connected(void **state)
{
	const struct weir_dial_opts opts = { .timeout_ms = 1000 };
	struct weir_addr to = here->addr, nobody;
	union weir_sockaddr sa;
	socklen_t n = sizeof sa;
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	(void)state;

	reset();
	link_.on_data = on_link_data;
	link_.on_error = on_link_error;
	assert_int_equal(dgram_dial(&link_, &to, &opts), WEIR_OK);
	assert_int_equal(dgram_put(&link_, (struct weir_bundle){ "hello", 5, 5 }, STR("head ")), 1);
	turn_until_data(2);		/* once there, once back */
	assert_int_equal(link_.put, 10);
	assert_int_equal(link_.got, 10);
	dgram_end(&link_);
	dgram_end(&link_);
	end_all();

	/* a port where nobody is */
	memset(&sa, 0, sizeof sa);
	sa.in.sin_family = AF_INET;
	sa.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, &sa.sa, sizeof sa.in), 0);
	assert_int_equal(getsockname(fd, &sa.sa, &n), 0);
	addr_from_kernel(&nobody, &sa, n, NULL);
	close(fd);
	link_err = 0;
	assert_int_equal(dgram_dial(&link_, &nobody, &opts), WEIR_OK);
	assert_int_equal(dgram_put(&link_, (struct weir_bundle){ "hello", 5, 5 }, STR("")), 1);
	for (unsigned i = 0; i < 1000 && link_err == 0; i++)
		loop_turn(10);
	assert_int_equal(link_err, ECONNREFUSED);
	assert_int_equal(link_.ev.fd, -1);
}

/* The last: a worker that retires hears nothing, and can answer. */
static void
test_stop(void **state)
{
	int fd = client(here, 0, "127.0.0.1");
	char got[10];
	(void)state;

	reset();
	assert_int_equal(send(fd, "x", 1, 0), 1);
	turn_until_data(1);
	assert_int_equal(recv(fd, got, sizeof got, 0), 1);
	udp_stop();
	close(here->fds[0]);
	close(everywhere->fds[0]);
	assert_int_equal(send(fd, "y", 1, 0), 1);
	loop_turn(0);
	assert_int_equal(n_data, 1);
	assert_int_equal(udp_put(last, (struct weir_bundle){ "later", 5, 5 }), 1);
	assert_int_equal(recv(fd, got, sizeof got, 0), 5);
	end_all();
	for (unsigned i = 0; i < n_sockets; i++)
		assert_int_equal(sockets[i].ev.fd, -1);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut), cmocka_unit_test(test_sizes), cmocka_unit_test(test_bundle),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_most), cmocka_unit_test(test_kept),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_evict), cmocka_unit_test(test_evict_proven),
		cmocka_unit_test(test_connected), cmocka_unit_test(test_stop),
	};

	pool = pool_new(0);
	here = listener("127.0.0.1");
	everywhere = listener("0.0.0.0");
	if (loop_init() != WEIR_OK || accept_start(&ls, 0, 1, 1000, false) != WEIR_OK ||
	    udp_start(&ls, 0, 1, 16) != WEIR_OK)
		return 1;
	int rc = RUN(tests);
	pool_free(pool);
	return rc;
}
