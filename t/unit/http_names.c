/* unit: src/http/msg/names.c */
#include "unit.h"

#include "http/msg/names.c"

/* Every name has a slot of its own and is found, however it is written. */
static void
test_all(void **state)
{
	char	 text[NAME_MAX_LEN];
	unsigned i, k, used = 0;

	(void)state;
	for (i = 1; i < H_COUNT; i++) {
		struct weir_str t = name_text((enum weir_known)i);

		assert_int_equal(name_find(t), i);
		str_lower(text, t.p, t.n);
		assert_int_equal(name_find(str_of(text, t.n)), i);
		for (k = 0; k < t.n; k++)
			if (text[k] >= 'a' && text[k] <= 'z')
				text[k] = (char)(text[k] - 32);
		assert_int_equal(name_find(str_of(text, t.n)), i);
	}
	for (i = 0; i < SLOTS; i++)
		used += slots[i] != 0;
	assert_int_equal(used, H_COUNT - 1);
}

/* One byte changed, whatever it is changed to, is another name. */
static void
test_near(void **state)
{
	char	 text[NAME_MAX_LEN + 1];
	unsigned i, k, c;

	(void)state;
	for (i = 1; i < H_COUNT; i++) {
		struct weir_str t = name_text((enum weir_known)i);

		for (k = 0; k < t.n; k++)
			for (c = 0; c < 256; c++) {
				memcpy(text, t.p, t.n);
				text[k] = (char)c;
				assert_int_equal(name_find(str_of(text, t.n)) == i,
				    ascii_lower((unsigned char)c) ==
				    ascii_lower((unsigned char)t.p[k]));
			}
		memcpy(text, t.p, t.n);
		text[t.n] = 's';
		assert_int_not_equal(name_find(str_of(text, t.n + 1)), i);
		assert_int_not_equal(name_find(str_of(text, t.n - 1)), i);
	}
}

static void
test_unknown(void **state)
{
	static const char *const others[] = {
		"X", "Foo", "Content-Lengti", "Xontent-Length", "Hosts", "Content_Length",
		"Transfer-Encodin", "Upgrade-Insecure-Requests", "a-name-that-is-longer-than-any-known",
	};
	size_t i;

	(void)state;
	assert_int_equal(name_find(STR_NONE), H_UNKNOWN);
	assert_str(name_text(H_UNKNOWN), "");
	assert_false(name_is_hop(H_UNKNOWN));
	for (i = 0; i < WEIR_COUNT(others); i++)
		assert_int_equal(name_find(str_c(others[i])), H_UNKNOWN);
}

static void
test_hop(void **state)
{
	(void)state;
	assert_true(name_is_hop(H_CONNECTION));
	assert_true(name_is_hop(H_TRANSFER_ENCODING));
	assert_true(name_is_hop(H_PROXY_AUTHORIZATION));
	assert_true(name_is_hop(H_HTTP2_SETTINGS));
	assert_false(name_is_hop(H_HOST));
	assert_false(name_is_hop(H_CONTENT_LENGTH));
	assert_false(name_is_hop(H_AUTHORIZATION));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all), cmocka_unit_test(test_near),
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_hop),
	};

	return RUN(tests);
}
