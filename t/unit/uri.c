/* unit: src/http/msg/uri.c */
#include "unit.h"

#include <stdio.h>

#include "http/msg/uri.c"

static struct weir_pool *pool;

static int
setup(void **state)
{
	(void)state;
	pool = pool_new(0);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

/* What becomes of a path with merge_slashes and without; NULL: refused. */
static const struct { const char *text, *merged, *kept; } paths[] = {
	{ "/", "/", "/" },
	{ "/a/b", "/a/b", "/a/b" },
	{ "/a/", "/a/", "/a/" },
	{ "//", "/", "//" },
	{ "///a//b///", "/a/b/", "///a//b///" },
	{ "/a//../b", "/b", "/a/b" },
	{ "/a///../b", "/b", "/a//b" },
	{ "/foo//../bar", "/bar", "/foo/bar" },
	{ "/foo///../bar", "/bar", "/foo//bar" },
	{ "/.", "/", "/" },
	{ "/./", "/", "/" },
	{ "/a/.", "/a/", "/a/" },
	{ "/a/./b", "/a/b", "/a/b" },
	{ "/a/..", "/", "/" },
	{ "/a/../", "/", "/" },
	{ "/a/b/..", "/a/", "/a/" },
	{ "/a/b/../c", "/a/c", "/a/c" },
	{ "/a/b/../../c", "/c", "/c" },
	{ "//..", NULL, "/" },
	{ "/..", NULL, NULL },
	{ "/../", NULL, NULL },
	{ "/../a", NULL, NULL },
	{ "/a/../..", NULL, NULL },
	{ "/a/../../b", NULL, NULL },
	{ "/./..", NULL, NULL },
	{ "/...", "/...", "/..." },
	{ "/..a", "/..a", "/..a" },
	{ "/a..", "/a..", "/a.." },
	{ "/.a/", "/.a/", "/.a/" },
	{ "/.well-known/x", "/.well-known/x", "/.well-known/x" },
	{ "/a/.../b", "/a/.../b", "/a/.../b" },
	/* Escapes are decoded before anything is decided (S-35). */
	{ "/%61", "/a", "/a" },
	{ "/a%20b", "/a b", "/a b" },
	{ "/%2e", "/", "/" },
	{ "/a/%2e%2E/b", "/b", "/b" },
	{ "/a/.%2e/b", "/b", "/b" },
	{ "/%2e%2e", NULL, NULL },
	{ "/%2e%2e/x", NULL, NULL },
	{ "/a%2fb", "/a/b", "/a/b" },
	{ "/a%2F%2Fb", "/a/b", "/a//b" },
	{ "/a%2f..%2fb", "/b", "/b" },
	{ "/a%2f..%2f..%2fb", NULL, NULL },
	{ "/%3fa", "/?a", "/?a" },
	{ "/%23a", "/#a", "/#a" },
	{ "/%25", "/%", "/%" },
	{ "/%252e%252e/", "/%2e%2e/", "/%2e%2e/" },
	{ "/%0d%0a", "/\r\n", "/\r\n" },
	{ "/%ff%80", "/\xff\x80", "/\xff\x80" },
	{ "/\xc3\xa4", "/\xc3\xa4", "/\xc3\xa4" },
	{ "/a+b", "/a+b", "/a+b" },
	{ "/a\\..\\b", "/a\\..\\b", "/a\\..\\b" },
	{ "/a\\b/..", "/", "/" },
	{ "/A/b", "/A/b", "/A/b" },		/* Q-46: the case stays */
	{ "/%", NULL, NULL },
	{ "/%4", NULL, NULL },
	{ "/%4g", NULL, NULL },
	{ "/%g4", NULL, NULL },
	{ "/%%41", NULL, NULL },
	{ "/%00", NULL, NULL },
	{ "/a%00b", NULL, NULL },
	{ "/%u0041", NULL, NULL },
	/* S-14 */
	{ "/a b", NULL, NULL },
	{ "/a#b", NULL, NULL },
	{ "/./#", NULL, NULL },
	{ "/a\tb", NULL, NULL },
	{ "/a\x7f", NULL, NULL },
	{ "/a\nb", NULL, NULL },
	{ "", NULL, NULL },
	{ "*", NULL, NULL },
	{ "a/b", NULL, NULL },
	{ "?a", NULL, NULL },
	{ "%2fa", NULL, NULL },
};

static void
check_path(const char *text, bool merge, const char *want)
{
	char		 with_args[256];
	struct weir_uri	 u;
	const char	*why = NULL;
	int		 rc, k;

	/* Alone, with arguments, with empty arguments: the path is the same. */
	for (k = 0; k < 3; k++) {
		static const char *const args[] = { "", "?x=/../%zz?y", "?" };

		snprintf(with_args, sizeof(with_args), "%s%s", text, args[k]);
		rc = uri_parse(pool, str_c(with_args), merge, &u, &why);
		if (want == NULL) {
			if (rc == WEIR_OK)
				fail_msg("%s was not refused", with_args);
			assert_non_null(why);
			continue;
		}
		if (rc != WEIR_OK)
			fail_msg("%s: %s", with_args, why);
		assert_str(u.path, want);
		assert_int_equal(u.has_args, k > 0);
		assert_str(u.args, k > 0 ? args[k] + 1 : "");
		assert_int_equal(u.plain, strcmp(want, text) == 0);
		if (u.plain)
			assert_ptr_equal(u.path.p, with_args);
	}
}

static void
test_paths(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(paths); i++) {
		check_path(paths[i].text, true, paths[i].merged);
		check_path(paths[i].text, false, paths[i].kept);
	}
}

static void
test_args(void **state)
{
	static const struct weir_str bad[] = {
		STR("/?a b"), STR("/?#"), STR("/?\x01"), STR("/?\0"), STR("/.?\x7f"), STR("/\0"),
		STR("/?a#b"), STR("/a/../?\r\n"),
	};
	struct weir_uri	 u;
	const char	*why;
	size_t		 i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(bad); i++)
		assert_int_equal(uri_parse(pool, bad[i], true, &u, &why), WEIR_FAIL);
	assert_int_equal(uri_parse(pool, STR("/a?"), true, &u, &why), WEIR_OK);
	assert_true(u.has_args);
	assert_int_equal(u.args.n, 0);
	assert_int_equal(uri_parse(pool, STR("/a"), true, &u, &why), WEIR_OK);
	assert_false(u.has_args);
	assert_null(u.args.p);
	assert_int_equal(uri_parse(pool, STR("/?%0\x80/..//"), true, &u, &why), WEIR_OK);
	assert_str(u.args, "%0\x80/..//");
}

static const struct { enum weir_escape how; const char *text, *want; } escapes[] = {
	{ ESCAPE_URI, "/a/b:c@d&e=f;g,h+i!$'()*~-._", "/a/b:c@d&e=f;g,h+i!$'()*~-._" },
	{ ESCAPE_URI, "/a b?c#d%e", "/a%20b%3Fc%23d%25e" },
	{ ESCAPE_URI, "\r\n\x7f\xe4", "%0D%0A%7F%E4" },
	{ ESCAPE_URI, "\"<>\\^`{|}", "%22%3C%3E%5C%5E%60%7B%7C%7D" },
	{ ESCAPE_ARGS, "a&b+c;d?e%f g#", "a%26b%2Bc%3Bd%3Fe%25f%20g%23" },
	{ ESCAPE_ARGS, "a=b/c:d", "a=b/c:d" },
	{ ESCAPE_COMPONENT, "aZ0-._~", "aZ0-._~" },
	{ ESCAPE_COMPONENT, "/a=b&c d:", "%2Fa%3Db%26c%20d%3A" },
	{ ESCAPE_HTML, "plain", "plain" },
	{ ESCAPE_HTML, "<a href=\"x\">&'", "&lt;a href=&quot;x&quot;&gt;&amp;'" },
	{ ESCAPE_REDIRECT, "http://a/b?c=%20d#e&f", "http://a/b?c=%20d#e&f" },
	{ ESCAPE_REDIRECT, "/a b\r\nX: y\xc3", "/a%20b%0D%0AX:%20y%C3" },
	{ ESCAPE_URI, "", "" },
	{ ESCAPE_HTML, "", "" },
};

static void
test_escape(void **state)
{
	struct weir_str	one = str_of("\0", 1), same = STR("same");
	size_t		i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(escapes); i++)
		assert_str(uri_escape(pool, str_c(escapes[i].text), escapes[i].how),
		    escapes[i].want);
	for (i = ESCAPE_URI; i <= ESCAPE_REDIRECT; i++) {
		assert_ptr_equal(uri_escape(pool, same, (enum weir_escape)i).p, same.p);
		if (i != ESCAPE_HTML)
			assert_str(uri_escape(pool, one, (enum weir_escape)i), "%00");
	}
}

static void
test_unescape(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "", "" }, { "a+b", "a+b" }, { "%41%42", "AB" }, { "%", "%" }, { "%4", "%4" },
		{ "%4x%41", "%4xA" }, { "a%2", "a%2" }, { "%%41", "%A" }, { "%e4", "\xe4" },
		{ "100%25", "100%" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_COUNT(rows); i++)
		assert_str(uri_unescape(pool, str_c(rows[i].text)), rows[i].want);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_paths), TEST(test_args), TEST(test_escape), TEST(test_unescape),
	};

	return RUN(tests);
}
