/* unit: src/core/base/base64.c */
#include "unit.h"

#include "core/base/base64.c"

#define is(text, url, want) do {						\
	char	to_[BASE64_ROOM(sizeof(text) - 1)];				\
	ssize_t	n_ = base64_read(to_, STR(text), url);				\
										\
	assert_int_equal(n_, sizeof(want) - 1);					\
	assert_memory_equal(to_, want, sizeof(want) - 1);			\
} while (0)

#define is_bad(text, url) do {							\
	char to_[BASE64_ROOM(sizeof(text) - 1)];				\
										\
	assert_int_equal(base64_read(to_, STR(text), url), -1);			\
} while (0)

static void
test_read(void **state)
{
	(void)state;
	is("", false, "");
	is("Zg==", false, "f");
	is("Zg", false, "f");
	is("Zm8=", false, "fo");
	is("Zm9v", false, "foo");
	is("Zm9vYg==", false, "foob");
	is("Zm9vYmFy", false, "foobar");
	is("AP+/", false, "\0\xff\xbf");
	is("AP-_", true, "\0\xff\xbf");
	is("=", false, "");
}

static void
test_put(void **state)
{
	static const char *const text = "foobar";
	static const char *const want[] = { "", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy" };

	(void)state;
	for (size_t n = 0; n < WEIR_COUNT(want); n++) {
		char to[BASE64_PUT_ROOM(6)];
		char *end = base64_put(to, str_of(text, n));

		assert_int_equal(end - to, strlen(want[n]));
		assert_memory_equal(to, want[n], strlen(want[n]));
	}
}

static void
test_bad(void **state)
{
	(void)state;
	is_bad("Z", false);
	is_bad("Zm9vY", false);
	is_bad("Zg===", false);
	is_bad("Z=g=", false);
	is_bad("=Zg=", false);
	is_bad("Zm9v Zm9v", false);
	is_bad("Zm9v\n", false);
	is_bad("Zm\0v", false);
	is_bad("AP-_", false);
	is_bad("AP+/", true);
	is_bad("Zm\xc3\xa9", false);
}

static void
test_in_place(void **state)
{
	char text[] = "Zm9vYmFyZm9vYmFy";

	(void)state;
	assert_int_equal(base64_read(text, str_c(text), false), 12);
	assert_memory_equal(text, "foobarfoobar", 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read), cmocka_unit_test(test_put), cmocka_unit_test(test_bad), cmocka_unit_test(test_in_place),
	};

	return RUN(tests);
}
