/* unit: src/core/os/sandbox.c */
#include "child.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/os/sandbox.c"

static char dir[64];

static const char *
path(const char *name)
{
	static char	buf[4][100];
	static unsigned	i;

	i = (i + 1) % 4;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, name);
	return buf[i];
}

static void
put(const char *name)
{
	int fd = open(path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), 1);
	close(fd);
}

static int
can(const char *name, int flags)
{
	int fd = open(name, flags | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static struct weir_sandbox box;

static void
declared_files_only(void)
{
	int	open_before = open(path("closed/file"), O_RDWR | O_CLOEXEC);
	int	got;
	char	c;

	sandbox_init(&box, pool_new(0));
	sandbox_allow_read(&box, path("read"));
	sandbox_allow_read(&box, path("one/file"));
	sandbox_allow_read(&box, path("absent"));
	sandbox_allow_write(&box, path("write"));
	sandbox_allow_system(&box);
	got = sandbox_enter(&box);
	MUST((got & SANDBOX_SECCOMP) != 0 && (got & SANDBOX_NO_NEW_PRIVS) != 0);
	if ((got & SANDBOX_LANDLOCK) == 0) {
		MUST(errno == ENOSYS || errno == EOPNOTSUPP);
		return;
	}
	MUST(can(path("read/file"), O_RDONLY));
	MUST(!can(path("read/file"), O_WRONLY) && errno == EACCES);
	MUST(!can(path("read/new"), O_WRONLY | O_CREAT) && errno == EACCES);
	MUST(unlink(path("read/file")) != 0 && errno == EACCES);
	MUST(can(path("read"), O_RDONLY | O_DIRECTORY));
	MUST(can(path("one/file"), O_RDONLY));
	MUST(!can(path("one/other"), O_RDONLY) && errno == EACCES);
	MUST(!can(path("closed/file"), O_RDONLY) && errno == EACCES);
	MUST(!can(path("absent"), O_WRONLY | O_CREAT) && errno == EACCES);
	MUST(can(path("write/new"), O_RDWR | O_CREAT | O_EXCL));
	MUST(rename(path("write/new"), path("write/sub/newer")) == 0 || errno == EXDEV);
	MUST(unlink(path("write/sub/newer")) == 0 || unlink(path("write/new")) == 0);
	MUST(mkdir(path("write/made"), 0700) == 0 && rmdir(path("write/made")) == 0);
	MUST(rename(path("write/file"), path("read/moved")) != 0);
	MUST(can("/dev/null", O_RDWR));
	MUST(!can("/etc/passwd", O_RDONLY) && errno == EACCES);
	/* What was open stays usable. */
	MUST(read(open_before, &c, 1) == 1 && c == 'x');
	MUST(pwrite(open_before, "y", 1, 0) == 1);
}

static pthread_t	thread;
static int		gate[2];
static int		could;		/* what the thread did */

static void *
in_a_thread(void *arg)
{
	char c;

	if (read(gate[0], &c, 1) == 1)
		could = can(path("closed/file"), O_RDONLY) ? 1 : 0;
	return arg;
}

static void
begin_thread(void)
{
	MUST(pthread_create(&thread, NULL, in_a_thread, NULL) == 0);
}

/* Landlock holds for a thread that begins in between. */
static void
files_of_threads(void)
{
	int got;

	could = -1;
	MUST(pipe(gate) == 0);
	sandbox_init(&box, pool_new(0));
	sandbox_allow_read(&box, path("read"));
	sandbox_allow_system(&box);
	box.begin_threads = begin_thread;
	got = sandbox_enter(&box);
	MUST((got & SANDBOX_SECCOMP) != 0);
	MUST(write(gate[1], "x", 1) == 1);
	MUST(pthread_join(thread, NULL) == 0);
	MUST(could == ((got & SANDBOX_LANDLOCK) != 0 ? 0 : 1));
}

static void
any_file(void)
{
	int got;

	sandbox_init(&box, pool_new(0));
	box.any_file = true;
	got = sandbox_enter(&box);
	MUST((got & SANDBOX_LANDLOCK) == 0 && (got & SANDBOX_SECCOMP) != 0);
	MUST(can(path("closed/file"), O_RDWR));
}

/* S-280: what the process looks like from outside. */
static void
shows(void)
{
	char	buf[8192];
	int	fd;
	ssize_t	n;

	sandbox_init(&box, pool_new(0));
	fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0);
	MUST(sandbox_enter(&box) != 0);
	n = read(fd, buf, sizeof(buf) - 1);
	MUST(n > 0);
	buf[n] = '\0';
	MUST(strstr(buf, "NoNewPrivs:\t1\n") != NULL);
	MUST(strstr(buf, "Seccomp:\t2\n") != NULL);
}

/* A second filter can only add to the first; asking for one is refused inside. */
static void
twice(void)
{
	sandbox_init(&box, pool_new(0));
	MUST((sandbox_enter(&box) & SANDBOX_SECCOMP) != 0);
	errno = 0;
	MUST(syscall(SYS_chroot, "/") == -1 && errno == EPERM);
	MUST((sandbox_enter(&box) & (SANDBOX_SECCOMP | SANDBOX_LANDLOCK)) == 0);
}

static void
test_files(void **state)
{
	(void)state;
	child_ok(declared_files_only);
	child_ok(any_file);
	child_ok(files_of_threads);
}

static void
test_status(void **state)
{
	(void)state;
	child_ok(shows);
	child_ok(twice);
}

static void
test_declaring(void **state)
{
	struct weir_pool	*p = pool_new(0);
	struct weir_sandbox	 s;
	char			 name[] = "/a";

	(void)state;
	sandbox_init(&s, p);
	assert_int_equal(s.paths.n, 0);
	sandbox_allow_read(&s, name);
	name[1] = 'b';
	sandbox_allow_write(&s, name);
	assert_string_equal(s.paths.v[0].path, "/a");
	assert_false(s.paths.v[0].write);
	assert_string_equal(s.paths.v[1].path, "/b");
	assert_true(s.paths.v[1].write);
	pool_free(p);
}

static const char *const dirs[] = { "read", "one", "closed", "write", "write/sub" };
static const char *const names[] = {
	"read/file", "one/file", "one/other", "closed/file", "write/file",
};

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");
	size_t i;

	(void)state;
	snprintf(dir, sizeof(dir), "%.40s/weir-box-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return -1;
	for (i = 0; i < WEIR_COUNT(dirs); i++)
		if (mkdir(path(dirs[i]), 0700) != 0)
			return -1;
	for (i = 0; i < WEIR_COUNT(names); i++)
		put(names[i]);
	return 0;
}

static int
teardown(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(names); i++)
		unlink(path(names[i]));
	for (i = WEIR_COUNT(dirs); i-- > 0; )
		rmdir(path(dirs[i]));
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declaring),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
