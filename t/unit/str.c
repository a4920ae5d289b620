/* unit: src/core/base/str.c */
#include "unit.h"

#include "core/base/str.c"

static void
test_equal(void **state)
{
	(void)state;
	assert_true(str_eq(STR_NONE, STR("")));
	assert_true(str_eq(STR("a"), STR("a")));
	assert_false(str_eq(STR("a"), STR("A")));
	assert_false(str_eq(STR("a"), STR("ab")));
	assert_true(str_ieq(STR("Host-[`{@Z"), STR("hOST-[`{@z")));
	/* Neighbours of the letters, and what differs only in bit 5. */
	assert_false(str_ieq(STR("@"), STR("`")));
	assert_false(str_ieq(STR("["), STR("{")));
	assert_false(str_ieq(STR("\xc4"), STR("\xe4")));
	assert_true(str_ieq(STR_NONE, STR_NONE));
}

static void
test_lower(void **state)
{
	unsigned	c;
	char		buf[6] = "aBC-Z";

	(void)state;
	for (c = 0; c < 256; c++)
		assert_int_equal(ascii_lower((unsigned char)c),
		    c >= 'A' && c <= 'Z' ? c + 32 : c);
	str_lower(buf, buf, 5);
	assert_string_equal(buf, "abc-z");
	str_lower(NULL, NULL, 0);
}

static void
test_order(void **state)
{
	(void)state;
	assert_int_equal(str_cmp(STR("abc"), STR("abc")), 0);
	assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
	assert_true(str_cmp(STR("b"), STR("abc")) > 0);
	assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
	assert_true(str_cmp(STR_NONE, STR("a")) < 0);
	assert_int_equal(str_cmp(STR_NONE, STR_NONE), 0);
}

static void
test_parts(void **state)
{
	(void)state;
	assert_true(str_begins(STR("abc"), STR("ab")));
	assert_true(str_begins(STR("abc"), STR("")));
	assert_false(str_begins(STR("ab"), STR("abc")));
	assert_true(str_ibegins(STR("Bearer x"), STR("bearer ")));
	assert_false(str_ibegins(STR("bear"), STR("bearer ")));
	assert_true(str_ends(STR("abc"), STR("bc")));
	assert_true(str_ends(STR("abc"), STR("")));
	assert_false(str_ends(STR("c"), STR("bc")));
	assert_str(str_from(STR("abc"), 1), "bc");
	assert_str(str_from(STR("abc"), 3), "");
	assert_str(str_from(STR("abc"), 99), "");
}

static void
test_search(void **state)
{
	(void)state;
	assert_int_equal(str_chr(STR("abca"), 'a'), 0);
	assert_int_equal(str_rchr(STR("abca"), 'a'), 3);
	assert_int_equal(str_chr(STR("abc"), 'x'), -1);
	assert_int_equal(str_rchr(STR("abc"), 'x'), -1);
	assert_int_equal(str_chr(STR_NONE, 'x'), -1);
	assert_int_equal(str_rchr(STR_NONE, 'x'), -1);
	assert_int_equal(str_chr(STR("a\0b"), 'b'), 2);

	assert_int_equal(str_find(STR("aabaabaac"), STR("aabaac")), 3);
	assert_int_equal(str_find(STR("abc"), STR("c")), 2);
	assert_int_equal(str_find(STR("abc"), STR("abc")), 0);
	assert_int_equal(str_find(STR("abc"), STR("abcd")), -1);
	assert_int_equal(str_find(STR("abc"), STR("bd")), -1);
	assert_int_equal(str_find(STR_NONE, STR("a")), -1);
	assert_int_equal(str_find(STR_NONE, STR_NONE), 0);
	assert_int_equal(str_ifind(STR("xX-Keep-ALIVE"), STR("keep-alive")), 3);
	assert_int_equal(str_ifind(STR("keep-alive"), STR("keep-alivex")), -1);
	assert_int_equal(str_ifind(STR("abc"), STR("")), 0);
}

static void
test_trim(void **state)
{
	(void)state;
	assert_str(str_trim(STR(" \t a b\t ")), "a b");
	assert_str(str_trim(STR(" \t ")), "");
	assert_str(str_trim(STR("")), "");
	assert_int_equal(str_trim(STR_NONE).n, 0);
	/* Only these two are blanks of HTTP. */
	assert_str(str_trim(STR("\va\r\n")), "\va\r\n");
}

static void
items(const char *text, const char *want)
{
	struct weir_str	rest = str_c(text), item;
	char		got[200];
	size_t		n = 0;

	while (str_next_item(&rest, &item)) {
		memcpy(got + n, item.p, item.n);
		n += item.n;
		got[n++] = '|';
	}
	assert_int_equal(rest.n, 0);
	assert_str(str_of(got, n), want);
}

static void
test_items(void **state)
{
	struct weir_str none = STR_NONE, item;

	(void)state;
	items("a,b", "a|b|");
	items(" a , b\t", "a|b|");
	items(",, a,,b , ,", "a|b|");
	items("", "");
	items(" , ,", "");
	items("a=\"x,y\", b", "a=\"x,y\"|b|");
	items("\"a\\\",b\",c", "\"a\\\",b\"|c|");
	items("\"a\\\\\",b", "\"a\\\\\"|b|");
	items("\"open, to the end", "\"open, to the end|");
	items("\"backslash at the end\\", "\"backslash at the end\\|");
	items("a\\,b", "a\\|b|");
	assert_false(str_next_item(&none, &item));
}

static void
test_hashes(void **state)
{
	(void)state;
	/* Published values of FNV-1a. */
	assert_int_equal(str_hash(STR("")), 0x811c9dc5);
	assert_int_equal(str_hash(STR("a")), 0xe40c292c);
	assert_int_equal(str_hash(STR("foobar")), 0xbf9cf968);
	assert_int_equal(str_ihash(STR("FooBar")), 0xbf9cf968);
	assert_int_not_equal(str_hash(STR("FooBar")), 0xbf9cf968);
}

static void
test_distance(void **state)
{
	char a[300], b[300];

	(void)state;
	assert_int_equal(str_distance(STR(""), STR(""), 3), 0);
	assert_int_equal(str_distance(STR("listen"), STR("listen"), 0), 0);
	assert_int_equal(str_distance(STR("listen"), STR("listem"), 0), 1);
	assert_int_equal(str_distance(STR("listen"), STR("lisen"), 3), 1);
	assert_int_equal(str_distance(STR("listen"), STR("llisten"), 3), 1);
	assert_int_equal(str_distance(STR("listen"), STR("lisetn"), 3), 1);
	assert_int_equal(str_distance(STR("ab"), STR("ba"), 1), 1);
	assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 3), 3);
	assert_int_equal(str_distance(STR("kitten"), STR("sitting"), 2), 3);
	assert_int_equal(str_distance(STR("sitting"), STR("kitten"), 9), 3);
	assert_int_equal(str_distance(STR("a"), STR("abcd"), 3), 3);
	assert_int_equal(str_distance(STR("abcd"), STR("a"), 3), 3);
	assert_int_equal(str_distance(STR("a"), STR("abcde"), 3), 4);
	assert_int_equal(str_distance(STR(""), STR("abc"), 3), 3);
	assert_int_equal(str_distance(STR("abc"), STR(""), 3), 3);
	assert_int_equal(str_distance(STR("ca"), STR("abc"), 3), 3);
	assert_int_equal(str_distance(STR("abcdef"), STR("uvwxyz"), 3), 4);
	assert_int_equal(str_distance(STR("abcdef"), STR("uvwxyz"), 1000), 6);

	memset(a, 'x', sizeof(a));
	memset(b, 'x', sizeof(b));
	b[150] = 'y';
	assert_int_equal(str_distance(str_of(a, 300), str_of(b, 299), 2), 2);
	memset(b, 'y', sizeof(b));
	assert_int_equal(str_distance(str_of(a, 300), str_of(b, 300), 1000),
	    STR_DISTANCE_MAX + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_lower),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_trim),
		cmocka_unit_test(test_items),
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_distance),
	};

	return RUN(tests);
}
