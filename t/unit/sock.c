/* unit: src/core/os/sock.c */
#include "unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include "core/os/sock.c"

static int
value(int fd, int level, int name)
{
	int		n = -1;
	socklen_t	len = sizeof(n);

	assert_int_equal(getsockopt(fd, level, name, &n, &len), 0);
	return n;
}

static void
readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 10000), 1);
}

/* Both ends of a TCP connection over the loopback. */
static void
tcp(int *client, int *server)
{
	struct sockaddr_in	a = { .sin_family = AF_INET };
	socklen_t		len = sizeof(a);
	int			l = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(l, (void *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (void *)&a, &len), 0);
	*client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(*client, (void *)&a, sizeof(a)), 0);
	*server = accept(l, NULL, NULL);
	assert_true(*server >= 0);
	close(l);
}

static void
test_switches(void **state)
{
	static const struct { int (*fn)(int, bool); int level, name; } t[] = {
		{ sock_reuseaddr, SOL_SOCKET, SO_REUSEADDR },
		{ sock_reuseport, SOL_SOCKET, SO_REUSEPORT },
		{ sock_nodelay, IPPROTO_TCP, TCP_NODELAY },
		{ sock_cork, IPPROTO_TCP, TCP_CORK },
		{ sock_fastopen_connect, IPPROTO_TCP, TCP_FASTOPEN_CONNECT },
	};
	int	fd = socket(AF_INET, SOCK_STREAM, 0);
	size_t	i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(t); i++) {
		if (t[i].fn(fd, true) != WEIR_OK)
			continue;	/* an old kernel */
		assert_int_not_equal(value(fd, t[i].level, t[i].name), 0);
		assert_int_equal(t[i].fn(fd, false), WEIR_OK);
		assert_int_equal(value(fd, t[i].level, t[i].name), 0);
		assert_int_equal(t[i].fn(-1, true), WEIR_FAIL);
		assert_int_equal(errno, EBADF);
	}
	close(fd);
	if ((fd = socket(AF_INET6, SOCK_STREAM, 0)) >= 0) {
		assert_int_equal(sock_v6only(fd, true), WEIR_OK);
		assert_int_equal(value(fd, IPPROTO_IPV6, IPV6_V6ONLY), 1);
		close(fd);
	}
}

static void
test_values(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(sock_keepalive(fd, 0, 0, 0), WEIR_OK);
	assert_int_equal(value(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
	assert_int_equal(sock_keepalive(fd, 100, 20, 3), WEIR_OK);
	assert_int_equal(value(fd, IPPROTO_TCP, TCP_KEEPIDLE), 100);
	assert_int_equal(value(fd, IPPROTO_TCP, TCP_KEEPINTVL), 20);
	assert_int_equal(value(fd, IPPROTO_TCP, TCP_KEEPCNT), 3);
	assert_int_equal(sock_keepalive(fd, 4000000000, 0, 0), WEIR_FAIL);
	assert_int_equal(sock_keepalive_off(fd), WEIR_OK);
	assert_int_equal(value(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
	assert_int_equal(sock_rcvbuf(fd, 20000), WEIR_OK);
	assert_true(value(fd, SOL_SOCKET, SO_RCVBUF) >= 20000);
	assert_int_equal(sock_sndbuf(fd, 20000), WEIR_OK);
	assert_true(value(fd, SOL_SOCKET, SO_SNDBUF) >= 20000);
	assert_int_equal(sock_sndbuf(fd, SIZE_MAX), WEIR_OK);
	assert_int_equal(sock_defer_accept(fd, 5), WEIR_OK);
	assert_true(value(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT) >= 5);
	assert_int_equal(sock_user_timeout(fd, 1234), WEIR_OK);
	assert_int_equal(value(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 1234);
	assert_int_equal(sock_bind_address_no_port(fd), WEIR_OK);
	assert_int_equal(value(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT), 1);
	assert_int_equal(sock_error(fd), 0);
	close(fd);
	assert_int_equal(sock_error(fd), EBADF);
}

static void
test_fastopen(void **state)
{
	struct sockaddr_in	a = { .sin_family = AF_INET };
	int			fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (void *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(sock_fastopen(fd, 16), WEIR_OK);
	assert_int_equal(value(fd, IPPROTO_TCP, TCP_FASTOPEN), 16);
	close(fd);
}

static void
test_bytes(void **state)
{
	int a, b;

	(void)state;
	tcp(&a, &b);
	assert_int_equal(sock_unread(b), 0);
	assert_int_equal(write(a, "hello", 5), 5);
	readable(b);
	assert_int_equal(sock_unread(b), 5);
	assert_true(sock_unsent(a) >= 0);
	close(a);
	close(b);
	assert_int_equal(sock_unread(a), WEIR_FAIL);
	assert_int_equal(sock_unsent(a), WEIR_FAIL);
}

static void
test_linger0(void **state)
{
	char	c;
	int	a, b;

	(void)state;
	tcp(&a, &b);
	assert_int_equal(sock_linger0(a), WEIR_OK);
	close(a);
	readable(b);
	assert_int_equal(read(b, &c, 1), -1);
	assert_int_equal(errno, ECONNRESET);
	close(b);
}

static void
test_waiting_error(void **state)
{
	int a, b;

	(void)state;
	tcp(&a, &b);
	assert_int_equal(sock_linger0(a), WEIR_OK);
	close(a);
	readable(b);
	assert_int_equal(sock_error(b), ECONNRESET);
	assert_int_equal(sock_error(b), 0);
	close(b);
}

static void
test_transparent(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	if (sock_transparent(fd, AF_INET) == WEIR_OK)
		assert_int_equal(value(fd, IPPROTO_IP, IP_TRANSPARENT), 1);
	else
		assert_int_equal(errno, EPERM);
	close(fd);
}

static void
test_peer(void **state)
{
	int	sv[2], a, b;
	pid_t	pid = 0;
	uid_t	uid = 1;
	gid_t	gid = 1;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
	assert_int_equal(sock_peer(sv[0], &pid, &uid, &gid), WEIR_OK);
	assert_int_equal(pid, getpid());
	assert_int_equal(uid, geteuid());
	assert_int_equal(gid, getegid());
	assert_int_equal(sock_peer(sv[0], NULL, NULL, NULL), WEIR_OK);
	close(sv[0]);
	close(sv[1]);
	tcp(&a, &b);
	assert_int_equal(sock_peer(a, &pid, NULL, NULL), WEIR_FAIL);
	close(a);
	close(b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_switches),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_fastopen),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_linger0),
		cmocka_unit_test(test_waiting_error),
		cmocka_unit_test(test_transparent),
		cmocka_unit_test(test_peer),
	};

	return RUN(tests);
}
