/* unit: src/core/sess/users.c */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/sess/users.c"

static char dir[64];

static const char *
path(unsigned i)
{
	static char buf[128];

	snprintf(buf, sizeof(buf), "%s/%u", dir, i);
	return buf;
}

/* Long unchanged, so that it is kept. */
static void
put(unsigned i, const char *text, size_t n)
{
	struct timespec	old[2] = { { 1000000000 + i, 0 }, { 1000000000 + i, 0 } };
	int		fd = open(path(i), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	assert_int_equal(futimens(fd, old), 0);
	close(fd);
}

static const struct weir_users *
get(unsigned i)
{
	const char *what;

	return users_open(path(i), weir_log, &what);
}

static void
test_next(void **state)
{
	struct weir_str rest = STR("# c\n\nno\n:x\na:1\nb:2:c\r\nc:3\r\nd:\n#e:4\nf:5"), name, stored;
	char		got[200];
	size_t		n = 0;

	(void)state;
	while (users_next(&rest, &name, &stored))
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%.*s=%.*s ", STR_ARG(name), STR_ARG(stored));
	assert_string_equal(got, "a=1 b=2 c=3 d= f=5 ");
	assert_int_equal(rest.n, 0);
}

static void
test_file(void **state)
{
	static const char text[] = "a:1\na:2\nb:{PLAIN}x\nc:$2y$10$x:who\nd:$2y$12$y\ne:$6$s$";
	const struct weir_users *u;

	(void)state;
	put(1, text, sizeof(text) - 1);
	u = get(1);
	assert_non_null(u);
	assert_str(users_find(u, STR("a")), "1");
	assert_str(users_find(u, STR("c")), "$2y$10$x");
	assert_str(users_find(u, STR("e")), "$6$s$");
	assert_null(users_find(u, STR("f")).p);
	assert_null(users_find(u, STR("")).p);
	assert_str(users_costliest(u), "$2y$12$y");
	/* It is kept while nothing changes. */
	assert_ptr_equal(get(1), u);
	put(1, "b:{SHA}x\n", 9);
	u = get(1);
	assert_null(users_find(u, STR("a")).p);
	assert_str(users_find(u, STR("b")), "{SHA}x");
	assert_int_equal(users_costliest(u).n, 0);
	assert_int_equal(unlink(path(1)), 0);
	assert_null(get(1));
	assert_int_equal(errno, ENOENT);
	assert_int_equal(n_kept, 0);
}

/* One that was just changed is looked at again: its times may not tell the next change. */
static void
test_fresh(void **state)
{
	const struct weir_users	*u;
	int			 fd;

	(void)state;
	clock_update();
	put(2, "a:1\n", 4);
	fd = open(path(2), O_WRONLY | O_CLOEXEC);
	assert_int_equal(futimens(fd, NULL), 0);
	u = get(2);
	assert_true(u->fresh);
	assert_int_equal(pwrite(fd, "a:2\n", 4, 0), 4);
	close(fd);
	assert_str(users_find(get(2), STR("a")), "2");
	assert_int_equal(n_kept, 1);
	users_forget();
	assert_int_equal(n_kept, 0);
	assert_int_equal(bytes_kept, 0);
	unlink(path(2));
}

/* Not more than so many, and not more than so large: the latest stay. */
static void
test_bounds(void **state)
{
	size_t	 n = USERS_FILE_MAX - 100;
	char	*large = malloc(n);
	unsigned i;

	(void)state;
	for (i = 0; i < USERS_FILES + 5; i++) {
		put(100 + i, "a:1\n", 4);
		assert_non_null(get(100 + i));
		assert_non_null(get(100));	/* used all the time */
	}
	assert_int_equal(n_kept, USERS_FILES);
	assert_non_null(find_kept(path(100)));
	assert_null(find_kept(path(101)));
	assert_non_null(find_kept(path(100 + USERS_FILES + 4)));
	assert_non_null(large);
	memset(large, 'x', n);
	for (i = 0; i < 6; i++) {
		put(200 + i, large, n);
		assert_non_null(get(200 + i));
		assert_true(bytes_kept <= USERS_KEPT);
	}
	assert_true(n_kept < 6);
	assert_non_null(find_kept(path(205)));
	users_forget();
	assert_int_equal(bytes_kept, 0);
	free(large);
	for (i = 0; i < USERS_FILES + 5; i++)
		unlink(path(100 + i));
	for (i = 0; i < 6; i++)
		unlink(path(200 + i));
}

static int
setup(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%.40s/weir-users-XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(dir) != NULL ? 0 : -1;
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
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_fresh),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
