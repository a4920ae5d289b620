/* unit: src/core/os/user.c */
#include "child.h"

#include <fcntl.h>

#include "core/os/user.c"

static void
test_find(void **state)
{
	struct weir_user u;

	(void)state;
	assert_int_equal(user_find(&u, "root", NULL), WEIR_OK);
	assert_string_equal(u.name, "root");
	assert_int_equal(u.uid, 0);
	assert_int_equal(u.gid, 0);
	assert_int_equal(user_find(&u, "0", NULL), WEIR_OK);
	assert_string_equal(u.name, "root");
	assert_int_equal(user_find(&u, "root", "54321"), WEIR_OK);
	assert_int_equal(u.gid, 54321);
	assert_int_equal(user_find(&u, "54321", "root"), WEIR_OK);
	assert_int_equal(u.uid, 54321);
	assert_int_equal(u.gid, 0);
	assert_string_equal(u.name, "");
}

static void
test_not_found(void **state)
{
	struct weir_user u;

	(void)state;
	assert_int_equal(user_find(&u, "no such user", NULL), WEIR_FAIL);
	assert_int_equal(errno, 0);
	assert_int_equal(user_find(&u, "root", "no such group"), WEIR_FAIL);
	assert_int_equal(errno, 0);
	/* A number without entry has no group of its own. */
	assert_int_equal(user_find(&u, "54321", NULL), WEIR_FAIL);
	assert_int_equal(user_find(&u, "", NULL), WEIR_FAIL);
	/* -1 would mean "as it is". */
	assert_int_equal(user_find(&u, "4294967295", "0"), WEIR_FAIL);
	assert_int_equal(user_find(&u, "root", "4294967295"), WEIR_FAIL);
	assert_int_equal(user_find(&u, "-1", "0"), WEIR_FAIL);
}

/* The value of a line of /proc/self/status, as it stands there. */
static const char *
status_of(const char *key)
{
	static char	buf[8192];
	int		fd = open("/proc/self/status", O_RDONLY);
	ssize_t		n = read(fd, buf, sizeof(buf) - 1);
	char		*at, *end;

	MUST(n > 0);
	close(fd);
	buf[n] = '\0';
	MUST((at = strstr(buf, key)) != NULL);
	at += strlen(key) + 1;
	at += strspn(at, " \t");
	if ((end = strchr(at, '\n')) != NULL)
		*end = '\0';
	return at;
}

#define NOTHING "0000000000000000"

static void
locked_down(void)
{
	MUST(strcmp(status_of("CapEff"), NOTHING) == 0);
	MUST(strcmp(status_of("CapPrm"), NOTHING) == 0);
	MUST(strcmp(status_of("CapInh"), NOTHING) == 0);
	MUST(strcmp(status_of("CapAmb"), NOTHING) == 0);
	MUST(strcmp(status_of("NoNewPrivs"), "1") == 0);
	MUST(prctl(PR_GET_DUMPABLE) == 0);
}

static void
drop_from_root(void)
{
	struct weir_user	u = { .uid = 54321, .gid = 54322 };
	const char		*step = NULL;

	MUST(user_drop(&u, 0, &step) == WEIR_OK);
	MUST(step != NULL);
	locked_down();
	MUST(strcmp(status_of("CapBnd"), NOTHING) == 0);
	MUST(strcmp(status_of("Uid"), "54321\t54321\t54321\t54321") == 0);
	MUST(strcmp(status_of("Gid"), "54322\t54322\t54322\t54322") == 0);
	MUST(getgroups(0, NULL) == 0);
	MUST(setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0 && setgroups(0, NULL) != 0);
}

static void
drop_by_name(void)
{
	struct weir_user	u;
	gid_t			groups[64];
	int			n, i;

	MUST(user_find(&u, "nobody", NULL) == WEIR_OK);
	MUST(user_drop(&u, 0, NULL) == WEIR_OK);
	locked_down();
	MUST(getuid() == u.uid && getgid() == u.gid);
	n = getgroups(64, groups);
	for (i = 0; i < n; i++)
		MUST(groups[i] != 0);
}

static void
drop_but_keep_one(void)
{
	struct weir_user u = { .uid = 54321, .gid = 54322 };

	MUST(user_drop(&u, (uint64_t)1 << CAP_NET_RAW, NULL) == WEIR_OK);
	MUST(strcmp(status_of("CapEff"), "0000000000002000") == 0);
	MUST(strcmp(status_of("CapPrm"), "0000000000002000") == 0);
	MUST(strcmp(status_of("CapBnd"), "0000000000002000") == 0);
	MUST(strcmp(status_of("NoNewPrivs"), "1") == 0);
	MUST(getuid() == 54321 && setuid(0) != 0);
	MUST(user_may(CAP_NET_RAW) && !user_may(CAP_NET_ADMIN) && !user_may(CAP_BPF));
}

/* `user root`: the name stays, the power goes. */
static void
drop_to_root(void)
{
	struct weir_user u;
	int		 fd[2];

	MUST(user_find(&u, "root", NULL) == WEIR_OK);
	MUST(user_drop(&u, 0, NULL) == WEIR_OK);
	locked_down();
	MUST(getuid() == 0);
	MUST(pipe(fd) == 0 && fchown(fd[0], 54321, 54321) != 0);
}

static void
drop_without_privileges(void)
{
	struct weir_user u = { .uid = 1, .gid = 1 };

	MUST(getuid() != 0 || setresuid(54321, 54321, 54321) == 0);
	MUST(user_drop(&u, 0, NULL) == WEIR_OK);
	locked_down();
	MUST(getuid() != 0 && getuid() != 1);
}

static void
refused(void)
{
	struct weir_user	u = { .name = "x", .uid = 54321, .gid = 54322 };
	const char		*step = "";
	struct __user_cap_header_struct	h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct	d[2];

	/* Root in name only may not become another. */
	memset(d, 0, sizeof(d));
	MUST(syscall(SYS_capset, &h, d) == 0);
	MUST(user_drop(&u, 0, &step) == WEIR_FAIL);
	MUST(errno == EPERM);
	MUST(strcmp(step, "changing user and group") == 0);
}

static void
not_gone(void)
{
	struct weir_user u = { .uid = 54321, .gid = 54322 };

	MUST(no_way_back(&u) == WEIR_FAIL);
	/* The saved identity is a way back. */
	MUST(setresgid(54322, 54322, 54322) == 0 && setresuid(54321, 54321, 0) == 0);
	MUST(no_way_back(&u) == WEIR_FAIL);
}

#define AS_ROOT(name)				\
static void					\
test_##name(void **state)			\
{						\
	(void)state;				\
	if (geteuid() != 0)			\
		skip();				\
	child_ok(name);				\
}

AS_ROOT(drop_from_root)
AS_ROOT(drop_by_name)
AS_ROOT(drop_but_keep_one)
AS_ROOT(drop_to_root)
AS_ROOT(refused)
AS_ROOT(not_gone)

static void
test_drop_without_privileges(void **state)
{
	(void)state;
	child_ok(drop_without_privileges);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_not_found),
		cmocka_unit_test(test_drop_from_root),
		cmocka_unit_test(test_drop_by_name),
		cmocka_unit_test(test_drop_but_keep_one),
		cmocka_unit_test(test_drop_to_root),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_not_gone),
		cmocka_unit_test(test_drop_without_privileges),
	};

	return RUN(tests);
}
