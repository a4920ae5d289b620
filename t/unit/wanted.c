/* unit: src/core/net/conn.c */
#include "unit.h"

#include <errno.h>
#include <arpa/inet.h>
#include <sys/socket.h>

#include "core/net/addr.h"

/* Address translation needs rules in the kernel: here it is what the test says. */
static const char *local, *original;
static int asked;

static int
put(const char *text, struct sockaddr *sa, socklen_t *n)
{
	union weir_sockaddr k;
	struct weir_addr a;
	struct weir_str host;
	unsigned port;
	struct weir_pool *pool = pool_new(0);

	assert_int_equal(addr_parse(pool, str_c(text), 0, &a, &host, &port), WEIR_OK);
	*n = addr_to_kernel(&a, &k);
	memcpy(sa, &k, *n);
	pool_free(pool);
	return 0;
}

static int
fake_getsockname(int fd, struct sockaddr *sa, socklen_t *n)
{
	(void)fd;
	return put(local, sa, n);
}

static int
fake_getsockopt(int fd, int level, int name, void *to, socklen_t *n)
{
	(void)fd;
	assert_int_equal(name, 80);
	asked = level;
	if (original != NULL)
		return put(original, to, n);
	errno = ENOENT;
	return -1;
}

#define getsockname	fake_getsockname
#define getsockopt	fake_getsockopt
#include "core/net/conn.c"

static const char *
wanted(const char *at, const char *from)
{
	static char text[ADDR_TEXT_MAX + 1];
	struct weir_conn c = { .tcp.ev.fd = 1000 };
	struct weir_addr a;

	local = at;
	original = from;
	asked = -1;
	if (!conn_wanted(&c, &a))
		return "";
	text[addr_put(text, &a)] = '\0';
	return text;
}

static void
test_wanted(void **state)
{
	struct weir_conn none = { .tcp.ev.fd = -1 }, udp = { .tcp.ev.fd = 1000, .flags = CONN_UDP };
	struct weir_addr a;

	(void)state;
	assert_string_equal(wanted("10.0.0.1:8080", "192.0.2.5:80"), "192.0.2.5:80");
	assert_int_equal(asked, IPPROTO_IP);
	assert_string_equal(wanted("[fd00::1]:8080", "[2001:db8::5]:80"), "[2001:db8::5]:80");
	assert_int_equal(asked, IPPROTO_IPV6);
	/* of a socket for both */
	assert_string_equal(wanted("[::ffff:10.0.0.1]:8080", "192.0.2.5:80"), "192.0.2.5:80");
	assert_int_equal(asked, IPPROTO_IP);
	assert_string_equal(wanted("[::ffff:10.0.0.1]:8080", "10.0.0.1:8080"), "");
	/* only the port is another */
	assert_string_equal(wanted("10.0.0.1:8080", "10.0.0.1:80"), "10.0.0.1:80");
	/* it was not changed, or nobody looked; who passes on to what came would meet itself */
	assert_string_equal(wanted("10.0.0.1:8080", "10.0.0.1:8080"), "");
	assert_string_equal(wanted("10.0.0.1:8080", NULL), "");
	asked = -1;
	assert_string_equal(wanted("unix:/x", "10.0.0.1:80"), "");
	assert_false(conn_wanted(&none, &a));
	assert_false(conn_wanted(&udp, &a));
	assert_int_equal(asked, -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wanted),
	};

	return RUN(tests);
}
