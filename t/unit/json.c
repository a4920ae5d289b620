/* unit: src/core/base/json.c */
#include "unit.h"

#include "core/base/json.c"

static void
escapes(struct weir_str s, const char *want)
{
	char	buf[256];
	char	*end = json_escape(buf, s);

	assert_int_equal(json_escaped(s), end - buf);
	assert_str(str_of(buf, (size_t)(end - buf)), want);
}

static void
test_ascii(void **state)
{
	(void)state;
	escapes(STR_NONE, "");
	escapes(STR("plain /text'"), "plain /text'");
	escapes(STR("a\"b\\c"), "a\\\"b\\\\c");
	escapes(STR("\b\f\n\r\t"), "\\b\\f\\n\\r\\t");
	escapes(STR("\0\x1f\x7f\x1b["), "\\u0000\\u001f\\u007f\\u001b[");
}

static void
test_utf8(void **state)
{
	(void)state;
	escapes(STR("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
	escapes(STR("\xee\x80\x80\xf4\x8f\xbf\xbf"), "\xee\x80\x80\xf4\x8f\xbf\xbf");
	/* Lone, cut, overlong, surrogate, too large. */
	escapes(STR("\x80z"), "\\u0080z");
	escapes(STR("\xff"), "\\u00ff");
	escapes(STR("\xc3"), "\\u00c3");
	escapes(STR("\xe2\x82"), "\\u00e2\\u0082");
	escapes(STR("\xe2\x82" "a"), "\\u00e2\\u0082a");
	escapes(STR("\xf0\x9f\x98\""), "\\u00f0\\u009f\\u0098\\\"");
	escapes(STR("\xc0\xaf"), "\\u00c0\\u00af");
	escapes(STR("\xe0\x9f\xbf"), "\\u00e0\\u009f\\u00bf");
	escapes(STR("\xf0\x8f\xbf\xbf"), "\\u00f0\\u008f\\u00bf\\u00bf");
	escapes(STR("\xed\xa0\x80"), "\\u00ed\\u00a0\\u0080");
	escapes(STR("\xf4\x90\x80\x80"), "\\u00f4\\u0090\\u0080\\u0080");
	escapes(STR("\xf5\x80\x80\x80"), "\\u00f5\\u0080\\u0080\\u0080");
}

/* Nothing behind the view is looked at. */
static void
test_cut(void **state)
{
	(void)state;
	escapes(str_of("\xe2\x82\xac", 2), "\\u00e2\\u0082");
	escapes(str_of("\xc3\xa4", 1), "\\u00c3");
}

/* With room for n bytes: whole units only, and what was taken is what is there. */
static void
test_some(void **state)
{
	struct weir_str	s = STR("a\"\x01\xc3\xa4\xffz");
	const char	*whole = "a\\\"\\u0001\xc3\xa4\\u00ffz";
	static const struct { size_t room, taken, written; } rows[] = {
		{ 0, 0, 0 }, { 1, 1, 1 }, { 2, 1, 1 }, { 3, 2, 3 }, { 8, 2, 3 }, { 9, 3, 9 },
		{ 10, 3, 9 }, { 11, 5, 11 }, { 16, 5, 11 }, { 17, 6, 17 }, { 18, 7, 18 },
		{ 64, 7, 18 },
	};
	char	 buf[64], *at;
	size_t	 i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(rows); i++) {
		at = buf;
		assert_int_equal(json_escape_some(&at, buf + rows[i].room, s), rows[i].taken);
		assert_int_equal(at - buf, rows[i].written);
		assert_memory_equal(buf, whole, rows[i].written);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ascii),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_some),
	};

	return RUN(tests);
}
