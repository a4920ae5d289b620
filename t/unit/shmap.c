/* unit: src/core/os/shmap.c */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "core/os/shmap.c"

static void
test_shared_with_children(void **state)
{
	size_t	 size = 100000, i;
	char	*p = shmap_new(size, "weir-test");
	int	 status;
	pid_t	 pid;

	(void)state;
	assert_non_null(p);
	assert_int_equal((uintptr_t)p % 4096, 0);
	for (i = 0; i < size; i++)
		assert_int_equal(p[i], 0);
	pid = fork();
	if (pid == 0) {
		p[size - 1] = 'c';
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(p[size - 1], 'c');
	shmap_free(p, size);
	shmap_free(NULL, 0);
}

static void
test_no_descriptor_left(void **state)
{
	int	 before = dup(0), after;
	void	*p;

	(void)state;
	close(before);
	p = shmap_new(1, "x");
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	shmap_free(p, 1);
}

static void
test_refused(void **state)
{
	(void)state;
	assert_null(shmap_new(0, "x"));
	assert_int_equal(errno, EINVAL);
	assert_null(shmap_new(SIZE_MAX, "x"));
	assert_int_equal(errno, ENOMEM);
	assert_null(shmap_new((size_t)1 << 60, "x"));
}

/* A name that memfd_create(2) does not take: an unnamed one then. */
static void
test_odd_name(void **state)
{
	char	 name[1000];
	char	*p;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	p = shmap_new(10, name);
	assert_non_null(p);
	p[9] = 1;
	shmap_free(p, 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shared_with_children),
		cmocka_unit_test(test_no_descriptor_left),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_odd_name),
	};

	return RUN(tests);
}
