/* unit: src/core/base/mem.c */
#include "unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/mem.c"

static void
test_plain(void **state)
{
	char	*p = mem_zalloc(100);
	size_t	 i;

	(void)state;
	for (i = 0; i < 100; i++)
		assert_int_equal(p[i], 0);
	memset(p, 'x', 100);
	p = mem_realloc(p, 100, 10000);
	for (i = 0; i < 100; i++)
		assert_int_equal(p[i], 'x');
	mem_free(p);
	mem_free(NULL);
	assert_false(mem_low());
}

static void
test_nothing_is_something(void **state)
{
	void *p = mem_alloc(0), *q = mem_zalloc(0), *r = mem_realloc(NULL, 0, 0);

	(void)state;
	assert_non_null(p);
	assert_non_null(q);
	assert_non_null(r);
	assert_ptr_not_equal(p, q);
	mem_free(p);
	mem_free(q);
	mem_free(r);
}

static void
test_reserve_comes_back(void **state)
{
	void *p;

	(void)state;
	mem_reserve(200000);
	assert_int_equal(reserve_n, 4);
	assert_false(mem_low());

	mem_fail_at(2, 0);
	mem_free(mem_alloc(10));
	assert_false(mem_low());
	p = mem_zalloc(10);
	assert_non_null(p);
	assert_int_equal(((char *)p)[9], 0);
	mem_free(p);
	assert_int_equal(reserve_n, 3);
	assert_true(low);
	/* The failure is over: asking fills the reserve again. */
	assert_false(mem_low());
	assert_int_equal(reserve_n, 4);
}

static void
test_low_while_it_lasts(void **state)
{
	void *p, *q;

	(void)state;
	mem_reserve(200000);
	mem_fail_at(1, 2);
	p = mem_alloc(10);
	assert_true(mem_low());
	p = mem_realloc(p, 10, 20);
	assert_true(mem_low());
	q = mem_alloc(10);
	assert_int_equal(reserve_n, 1);
	/* All three have failed, but that can only be known by trying. */
	mem_free(mem_alloc(1));
	assert_int_equal(reserve_n, 1);
	assert_false(mem_low());
	assert_int_equal(reserve_n, 4);
	mem_free(p);
	mem_free(q);
}

static void
test_fail_at_zero_is_off(void **state)
{
	(void)state;
	mem_reserve(65536);
	mem_fail_at(1, 1000);
	mem_fail_at(0, 1000);
	mem_free(mem_alloc(1));
	assert_int_equal(reserve_n, 1);
	assert_false(mem_low());
}

static void
test_reserve_shrinks(void **state)
{
	(void)state;
	mem_reserve(1 << 20);
	assert_int_equal(reserve_n, 16);
	mem_reserve(1);
	assert_int_equal(reserve_n, 1);
	mem_reserve(0);
	assert_int_equal(reserve_n, 0);
	assert_null(reserve);
	assert_false(mem_low());
}

/* Without a reserve the process ends, and says why. */
static void
test_abort_at_the_end(void **state)
{
	char	text[512];
	int	fd[2], status;
	pid_t	pid;
	ssize_t	n;

	(void)state;
	mem_reserve(0);
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fd[1], STDERR_FILENO);
		mem_fail_at(1, 0);
		mem_free(mem_alloc(77));
		_exit(0);
	}
	close(fd[1]);
	n = read(fd[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "[alert]"));
	assert_non_null(strstr(text, "77 bytes"));
}

struct small { char c; };
struct large { char c[20000]; };
struct odd { char c[40]; };

static void
test_slab(void **state)
{
	static struct weir_slab	 slab = WEIR_SLAB(odd);
	static void		*o[1000];
	unsigned		 i;

	(void)state;
	assert_string_equal(slab.name, "odd");
	for (i = 0; i < 1000; i++) {
		o[i] = slab_take(&slab);
		assert_int_equal((uintptr_t)o[i] % _Alignof(max_align_t), 0);
		memset(o[i], (int)i, sizeof(struct odd));
	}
	assert_int_equal(slab.in_use, 1000);
	assert_true(slab.total >= 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(((unsigned char *)o[i])[39], i & 255);
	for (i = 0; i < 1000; i++)
		slab_give(&slab, o[i]);
	assert_int_equal(slab.in_use, 0);
#if !WEIR_ASAN
	i = slab.total;
	assert_ptr_equal(slab_take(&slab), o[999]);
	assert_int_equal(slab.total, i);
	slab_give(&slab, o[999]);
#endif
}

static void
test_slab_sizes(void **state)
{
	static struct weir_slab	 small = WEIR_SLAB(small), large = WEIR_SLAB(large);
	char			*a = slab_take(&small), *b = slab_take(&small), *c;

	(void)state;
	assert_true(a + sizeof(void *) <= b || b + sizeof(void *) <= a);
	slab_give(&small, b);
	slab_give(&small, a);
	c = slab_take(&large);
	memset(c, 1, sizeof(struct large));
	slab_give(&large, c);
	assert_int_equal(large.in_use, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_nothing_is_something),
		cmocka_unit_test(test_reserve_comes_back),
		cmocka_unit_test(test_low_while_it_lasts),
		cmocka_unit_test(test_fail_at_zero_is_off),
		cmocka_unit_test(test_reserve_shrinks),
		cmocka_unit_test(test_abort_at_the_end),
		cmocka_unit_test(test_slab),
		cmocka_unit_test(test_slab_sizes),
	};

	return RUN(tests);
}
