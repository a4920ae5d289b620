/* unit: src/core/os/fd.c */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/os/fd.c"

static char dir[64];

static unsigned
count_open(void)
{
	unsigned n = 0;
	int	 fd;

	for (fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void
test_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY), old = fd;

	(void)state;
	errno = EDOM;
	fd_close(&fd);
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(old, F_GETFD), -1);
	errno = EDOM;
	fd_close(&fd);
	assert_int_equal(errno, EDOM);
	fd = 999999;
	fd_close(&fd);
	assert_int_equal(errno, EDOM);
}

static void
test_flags(void **state)
{
	int fd[2];

	(void)state;
	assert_int_equal(pipe(fd), 0);
	assert_int_equal(fd_nonblock(fd[0]), WEIR_OK);
	assert_int_equal(fd_nonblock(fd[0]), WEIR_OK);
	assert_true(fcntl(fd[0], F_GETFL) & O_NONBLOCK);
	assert_int_equal(fd_cloexec(fd[0], true), WEIR_OK);
	assert_int_equal(fcntl(fd[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fd_cloexec(fd[0], false), WEIR_OK);
	assert_int_equal(fcntl(fd[0], F_GETFD), 0);
	fd_close(&fd[0]);
	fd_close(&fd[1]);
	assert_int_equal(fd_nonblock(-1), WEIR_FAIL);
	assert_int_equal(fd_cloexec(-1, true), WEIR_FAIL);
}

static void
test_open_append(void **state)
{
	char	path[100], link[100], buf[10];
	int	fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = fd_open_append(path, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "ab", 2), 2);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(write(fd, "c", 1), 1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	fd_close(&fd);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, buf, sizeof(buf)), 3);
	assert_memory_equal(buf, "abc", 3);
	fd_close(&fd);

	snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(fd_open_append(link, 0600), -1);
	assert_int_equal(errno, ELOOP);
	unlink(link);
	unlink(path);
	assert_int_equal(fd_open_append(dir, 0600), -1);

	assert_int_equal(mkfifo(path, 0600), 0);
	fd = fd_open_append(path, 0600);
	assert_true(fd >= 0);
	fd_close(&fd);
	unlink(path);
}

static void
pair(int type, int sv[2])
{
	assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
}

static void
test_pass(void **state)
{
	int		sv[2], p[2], got[4];
	unsigned	n = 4;
	char		buf[64];

	(void)state;
	pair(SOCK_SEQPACKET, sv);
	assert_int_equal(pipe(p), 0);
	assert_int_equal(fd_pass_recv(sv[0], buf, sizeof(buf), got, &n), WEIR_AGAIN);
	assert_int_equal(n, 0);
	assert_int_equal(fd_pass_send(sv[1], "hello", 5, p, 2), WEIR_OK);
	assert_int_equal(fd_pass_send(sv[1], "none", 4, NULL, 0), WEIR_OK);
	n = 4;
	assert_int_equal(fd_pass_recv(sv[0], buf, sizeof(buf), got, &n), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(n, 2);
	assert_int_equal(fcntl(got[0], F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(got[1], "x", 1), 1);
	assert_int_equal(read(p[0], buf, 1), 1);
	n = 4;
	assert_int_equal(fd_pass_recv(sv[0], buf, sizeof(buf), got + 2, &n), 4);
	assert_int_equal(n, 0);
	fd_close(&got[0]);
	fd_close(&got[1]);
	fd_close(&sv[1]);
	n = 4;
	assert_int_equal(fd_pass_recv(sv[0], buf, sizeof(buf), got, &n), WEIR_EOF);
	assert_int_equal(fd_pass_send(sv[0], "x", 1, NULL, 0), WEIR_FAIL);
	assert_int_equal(errno, EPIPE);
	fd_close(&sv[0]);
	fd_close(&p[0]);
	fd_close(&p[1]);
}

static void
test_pass_most(void **state)
{
	static char	big[FD_PASS_BYTES + 1], back[FD_PASS_BYTES];
	int		sv[2], fds[FD_PASS_FDS + 1], got[FD_PASS_FDS];
	unsigned	i, n = FD_PASS_FDS, before = count_open();

	(void)state;
	pair(SOCK_SEQPACKET, sv);
	for (i = 0; i <= FD_PASS_FDS; i++)
		fds[i] = sv[0];
	memset(big, 'b', sizeof(big));
	assert_int_equal(fd_pass_send(sv[0], big, FD_PASS_BYTES, fds, FD_PASS_FDS), WEIR_OK);
	assert_int_equal(fd_pass_recv(sv[1], back, sizeof(back), got, &n), FD_PASS_BYTES);
	assert_int_equal(n, FD_PASS_FDS);
	assert_memory_equal(big, back, FD_PASS_BYTES);
	for (i = 0; i < n; i++)
		fd_close(&got[i]);
	assert_int_equal(fd_pass_send(sv[0], big, FD_PASS_BYTES + 1, NULL, 0), WEIR_FAIL);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(fd_pass_send(sv[0], "", 0, NULL, 0), WEIR_FAIL);
	assert_int_equal(fd_pass_send(sv[0], "x", 1, fds, FD_PASS_FDS + 1), WEIR_FAIL);
	fd_close(&sv[0]);
	fd_close(&sv[1]);
	assert_int_equal(count_open(), before);
}

/* Somebody sends more than we want: refused, and no descriptor stays behind. */
static void
test_pass_too_much(void **state)
{
	int		sv[2], fds[3] = { 0, 1, 2 }, got[2] = { -1, -1 };
	unsigned	n, before;
	char		buf[4];

	(void)state;
	pair(SOCK_SEQPACKET, sv);
	before = count_open();
	assert_int_equal(fd_pass_send(sv[0], "x", 1, fds, 3), WEIR_OK);
	n = 2;
	assert_int_equal(fd_pass_recv(sv[1], buf, 4, got, &n), WEIR_FAIL);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(n, 0);
	assert_int_equal(got[0], -1);
	assert_int_equal(fd_pass_send(sv[0], "too long", 8, fds, 1), WEIR_OK);
	n = 2;
	assert_int_equal(fd_pass_recv(sv[1], buf, 4, got, &n), WEIR_FAIL);
	assert_int_equal(errno, EMSGSIZE);
	assert_int_equal(count_open(), before);
	/* The next message is not affected. */
	assert_int_equal(fd_pass_send(sv[0], "ok", 2, NULL, 0), WEIR_OK);
	n = 0;
	assert_int_equal(fd_pass_recv(sv[1], buf, 4, NULL, &n), 2);
	fd_close(&sv[0]);
	fd_close(&sv[1]);
}

static void
test_pass_full(void **state)
{
	int	sv[2], rc;
	char	buf[1024] = "";
	int	i;

	(void)state;
	pair(SOCK_SEQPACKET, sv);
	for (i = 0; (rc = fd_pass_send(sv[0], buf, sizeof(buf), NULL, 0)) == WEIR_OK; i++)
		assert_true(i < 100000);
	assert_int_equal(rc, WEIR_AGAIN);
	fd_close(&sv[0]);
	fd_close(&sv[1]);
}

static void
test_sealed(void **state)
{
	int	fd = fd_sealed("text", "hello", 5);
	char	b[8] = "";

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, b, sizeof(b), 0), 5);
	assert_string_equal(b, "hello");
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fd, 2), -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	fd_close(&fd);
	fd = fd_sealed("empty", "", 0);
	assert_int_equal(pread(fd, b, sizeof(b), 0), 0);
	fd_close(&fd);
}

static void
test_reserve(void **state)
{
	struct rlimit	old, lim;
	int		fds[256], n = 0, fd;

	(void)state;
	assert_int_equal(fd_reserve(), WEIR_OK);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	lim = old;
	lim.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	while ((fd = dup(0)) >= 0)
		fds[n++] = fd;
	assert_int_equal(errno, EMFILE);
	assert_true(fd_reserve_release());
	assert_false(fd_reserve_release());
	fd = dup(0);
	assert_true(fd >= 0);
	assert_false(fd_reserve_retake());
	close(fd);
	assert_true(fd_reserve_retake());
	assert_true(fd_reserve_retake());
	assert_int_equal(dup(0), -1);
	while (n > 0)
		close(fds[--n]);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_true(fd_reserve_release());
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%.40s/weir-fd-XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(dir) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_open_append),
		cmocka_unit_test(test_pass),
		cmocka_unit_test(test_pass_most),
		cmocka_unit_test(test_pass_too_much),
		cmocka_unit_test(test_pass_full),
		cmocka_unit_test(test_sealed),
		cmocka_unit_test(test_reserve),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
