/* unit: src/core/net/syslog.c */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/net/syslog.c"

static char	dir[64], sock_path[100], log_path[100];

static int
server_socket(void)
{
	struct sockaddr_un	un = { .sun_family = AF_UNIX };
	int			fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	unlink(sock_path);
	memcpy(un.sun_path, sock_path, strlen(sock_path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

/* The next datagram, or "". */
static const char *
next_of(int fd)
{
	static char	buf[70000];
	ssize_t		n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	buf[n > 0 ? n : 0] = '\0';
	return buf;
}

static struct weir_syslog *
new_syslog(struct weir_pool *p)
{
	struct weir_syslog	*y = POOL_NEW(p, weir_syslog);

	y->server = POOL_NEW(p, server);
	y->server->addr.sa.sa_family = AF_UNIX;
	y->server->addr.path = sock_path;
	y->server->file = (struct weir_log_file){ .path = "the server", .fd = -1, .send = send_record };
	log_file_adopt(p, &y->server->file);
	y->facility = 3;
	y->severity = 2;
	y->tag = STR("tag");
	y->host = STR("host");
	return y;
}

static void
set_time(void)
{
	setenv("TZ", "UTC0", 1);
	tzset();
	weir_wall_ms = (uint64_t)1795222923 * 1000;
	weir_now_ms = 1000000;
}

static const char *
about(void)
{
	static char	buf[10000];
	int		fd = open(log_path, O_RDONLY | O_CLOEXEC);
	ssize_t		n = read(fd, buf, sizeof(buf) - 1);

	assert_true(n >= 0);
	close(fd);
	buf[n] = '\0';
	return buf;
}

static void
test_head(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_syslog	*y = new_syslog(p);
	char			 to[LOG_HEAD_MAX];

	(void)state;
	set_time();
	assert_str(str_of(to, put_head(y, 5, to)), "<29>Nov 21 01:02:03 host tag: ");
	y->host = STR_NONE;
	assert_str(str_of(to, put_head(y, 0, to)), "<24>Nov 21 01:02:03 tag: ");
	y->tag = STR_NONE;
	assert_str(str_of(to, put_head(y, 0, to)), "<24>Nov 21 01:02:03 : ");
	pool_free(p);
}

static void
test_records(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_syslog	*y = new_syslog(p);
	struct weir_log		 l = { .outs = NULL };
	int			 server = server_socket();
	char			*x = pool_bytes(p, 70000);
	const char		*got;

	(void)state;
	set_time();
	assert_int_equal(y->server->file.fd, -1);
	syslog_put(y, "a record", 8);
	assert_true(y->server->file.fd >= 0);
	assert_string_equal(next_of(server), "<26>Nov 21 01:02:03 host tag: a record");

	syslog_add(p, &l, y, LOG_INFO_, false);
	log_info(&l, "text");
	got = next_of(server);
	assert_memory_equal(got, "<30>Nov 21 01:02:03 host tag: 2026/11/21 01:02:03 [info] ", 57);
	assert_string_equal(strrchr(got, ':'), ": text");
	l.outs->json = true;
	log_alertx(&l, "object");
	got = next_of(server);
	assert_memory_equal(got, "<25>Nov 21 01:02:03 host tag: {\"time\":", 38);
	assert_int_equal(got[strlen(got) - 1], '}');

	memset(x, 'x', 70000);
	syslog_put(y, x, DATAGRAM_MAX);
	assert_int_equal(strlen(next_of(server)), 30 + DATAGRAM_MAX);
	syslog_put(y, x, 70000);
	got = next_of(server);
	assert_int_equal(strlen(got), 30 + DATAGRAM_MAX + 3);
	assert_string_equal(got + 30 + DATAGRAM_MAX - 1, "x...");
	close(server);
	pool_free(p);
}

/* A server that reads nothing: what it does not take is counted, told, and told again when it works. */
static void
test_slow_server(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_syslog	*y = new_syslog(p);
	struct weir_log		 own = { .outs = NULL }, *was = weir_log;
	int			 server = server_socket();
	unsigned		 i, got = 0;
	char			 want[100];

	(void)state;
	set_time();
	/* The log in which it is told has the slow server as an output, too. */
	log_add(p, &own, log_file_for(p, log_path), LOG_INFO_);
	syslog_add(p, &own, y, LOG_INFO_, false);
	weir_log = &own;
	for (i = 0; i < 1000; i++)
		syslog_put(y, "x", 1);
	assert_non_null(strstr(about(), "[error]"));
	assert_non_null(strstr(about(), "sending to the log \"the server\" fails, lines are lost (11: "));
	assert_ptr_equal(strchr(about(), '\n')[1], NULL);
	while (*next_of(server) != '\0')
		got++;
	assert_true(got > 0 && got < 1000);
	assert_int_equal(y->server->file.dropped, 1000 - got);

	weir_now_ms += 60000;
	syslog_put(y, "again", 5);
	assert_non_null(strstr(next_of(server), "tag: again"));
	assert_int_equal(y->server->file.dropped, 0);
	snprintf(want, sizeof(want), "the log \"the server\" lost %u lines\n", 1000 - got);
	assert_non_null(strstr(about(), want));
	weir_log = was;
	close(server);
	pool_free(p);
	unlink(log_path);
}

static void
test_server_comes_and_goes(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_syslog	*y = new_syslog(p);
	struct weir_log		 nowhere = { .outs = NULL }, *was = weir_log;
	int			 server;

	(void)state;
	weir_log = &nowhere;
	unlink(sock_path);
	errno = EDOM;
	syslog_put(y, "nobody", 6);
	assert_int_equal(errno, EDOM);
	assert_int_equal(y->server->file.dropped, 1);
	assert_int_equal(y->server->file.fd, -1);
	server = server_socket();
	syslog_put(y, "one", 3);
	assert_non_null(strstr(next_of(server), "one"));
	/* Another socket under the same name: nothing is lost. */
	close(server);
	server = server_socket();
	syslog_put(y, "two", 3);
	assert_non_null(strstr(next_of(server), "two"));
	assert_int_equal(y->server->file.dropped, 1);
	close(server);
	weir_log = was;
	pool_free(p);
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%.40s/weir-syslog-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(sock_path, sizeof(sock_path), "%s/sock", dir);
	snprintf(log_path, sizeof(log_path), "%s/log", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	unlink(sock_path);
	unlink(log_path);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_slow_server),
		cmocka_unit_test(test_server_comes_and_goes),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
