/* unit: src/core/os/env.c */
#include "unit.h"

#include "core/os/env.c"

static void
test_keep(void **state)
{
	static const char *const entries[] = {
		"TZ", "ABSENT", "SET=1=2", "EMPTY=", "LD_PRELOAD", "LD_LIBRARY_PATH=/tmp",
		"GLIBC_TUNABLES", "MALLOC_PERTURB_",
	};
	struct weir_pool	*p = pool_new(0);
	char			**old = environ;

	(void)state;
	environ = (char *[]){
		(char[]){ "SECRET=x" }, (char[]){ "TZ=UTC0" }, (char[]){ "LD_PRELOAD=evil.so" },
		(char[]){ "GLIBC_TUNABLES=x" }, (char[]){ "MALLOC_PERTURB_=1" }, NULL,
	};
	env_keep(p, entries, WEIR_COUNT(entries));
	assert_string_equal(environ[0], "TZ=UTC0");
	assert_string_equal(environ[1], "SET=1=2");
	assert_string_equal(environ[2], "EMPTY=");
	assert_null(environ[3]);
	assert_null(getenv("SECRET"));
	env_keep(p, NULL, 0);
	assert_null(environ[0]);
	environ = old;
	pool_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep),
	};

	return RUN(tests);
}
