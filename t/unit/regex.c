/* unit: src/core/sess/regex.c */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "unit.h"

#include "core/sess/regex.c"

static const struct weir_var vars[] = {
	{ .name = "host", .flags = 0 },
	{ .name = NULL }
};
static unsigned number_of_module;
static const struct weir_module module = { .name = "m", .index = &number_of_module, .vars = vars };
const struct weir_module *const weir_modules[] = { &module, NULL };
const unsigned weir_n_modules = 1;
const struct weir_absent weir_absent[] = { { NULL, NULL, NULL } };

static struct weir_conf cf;
static struct weir_sess s;
static struct weir_conf_word word = { { "word", 4 }, 1, 1, false };
static struct weir_node node = { .w = &word, .n = 1 };

static int
setup(void **state)
{
	(void)state;
	cf = (struct weir_conf){ .pool = pool_new(0) };
	vars_now = vars_http = vars_new(&cf, false);
	s = (struct weir_sess){ .magic = WEIR_SESS_MAGIC, .is_http = true, .pool = pool_new(0) };
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	pool_free(s.pool);
	pool_free(cf.pool);
	return 0;
}

static struct weir_regex *
compiled(const char *pattern, bool nocase)
{
	struct weir_regex *re = NULL;

	assert_int_equal(regex_compile(&cf, &node, 0, str_c(pattern), nocase, &re), WEIR_OK);
	assert_str(regex_pattern(re), pattern);
	return re;
}

static int
test(const char *pattern, const char *subject)
{
	return regex_test(compiled(pattern, false), str_c(subject));
}

static void
test_matching(void **state)
{
	(void)state;
	assert_int_equal(test("^/a", "/abc"), WEIR_OK);
	assert_int_equal(test("^/a", "/bc"), WEIR_AGAIN);
	assert_int_equal(test("^$", ""), WEIR_OK);
	assert_int_equal(regex_test(compiled("", false), STR_NONE), WEIR_OK);
	assert_int_equal(test("ABC", "abc"), WEIR_AGAIN);
	assert_int_equal(regex_test(compiled("ABC", true), STR("abc")), WEIR_OK);
	assert_int_equal(regex_test(compiled("a.c", false), STR("a\0c")), WEIR_OK);
}

static void
test_mistakes(void **state)
{
	static char	   long_one[PATTERN_MAX + 2];
	struct weir_regex *re;
	(void)state;

	assert_int_equal(regex_compile(&cf, &node, 0, STR("a(b"), false, &re), WEIR_FAIL);
	assert_int_equal(regex_compile(&cf, &node, 0, STR("(?<host>b)"), false, &re), WEIR_FAIL);
	memset(long_one, 'a', sizeof(long_one) - 1);
	assert_int_equal(regex_compile(&cf, &node, 0, str_c(long_one), false, &re), WEIR_FAIL);
	assert_int_equal(cf.errors, 3);
}

static void
test_groups(void **state)
{
	struct weir_regex	*re = compiled("(a)|(b)(?<Third>c)?", false);
	unsigned		 third = vars_use(vars_now, STR("third"));
	bool			 missing;
	(void)state;

	assert_int_equal(regex_groups(re), 3);
	assert_str(var_get(&s, third, &missing), "");
	assert_true(missing);
	assert_int_equal(regex_match(&s, re, STR("xbc")), WEIR_OK);
	assert_str(sess_capture(&s.cap, 0), "bc");
	assert_str(sess_capture(&s.cap, 1), "");
	assert_str(sess_capture(&s.cap, 2), "b");
	assert_str(sess_capture(&s.cap, 3), "c");
	assert_str(sess_capture(&s.cap, 4), "");
	assert_str(var_get(&s, third, &missing), "c");
	assert_false(missing);
	/* A match without groups leaves none; no match leaves them alone. */
	assert_int_equal(regex_match(&s, re, STR("x")), WEIR_AGAIN);
	assert_str(sess_capture(&s.cap, 2), "b");
	assert_int_equal(regex_match(&s, compiled("x", false), STR("x")), WEIR_OK);
	assert_str(sess_capture(&s.cap, 2), "");
	assert_str(var_get(&s, third, NULL), "c");
	assert_int_equal(regex_match(&s, re, STR("a")), WEIR_OK);
	assert_str(sess_capture(&s.cap, 1), "a");
	assert_str(var_get(&s, third, NULL), "");
}

/* As many groups as anybody may write, after patterns with fewer (S-255). */
static void
test_many_groups(void **state)
{
	char	 pattern[1024] = "", text[16];
	unsigned i;
	(void)state;

	assert_int_equal(regex_match(&s, compiled("(.)", false), STR("b")), WEIR_OK);
	for (i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), i % 2 ? "(.)" : "(?<g%u>.)", i);
		strcat(pattern, text);
	}
	assert_int_equal(regex_match(&s, compiled(pattern, false),
	    str_of("0123456789012345678901234567890123456789012345678901234567890123456789"
	    "012345678901234567890123456789", 100)), WEIR_OK);
	for (i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "%u", i % 10);
		assert_str(sess_capture(&s.cap, i + 1), text);
		snprintf(text, sizeof(text), "g%u", i);
		if (i % 2 == 0)
			assert_int_equal(var_get(&s, vars_use(vars_now, str_c(text)), NULL).n, 1);
	}
	assert_int_equal(s.cap.n, 101);
}

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Patterns that explode give up soon, with and without JIT. */
static void
test_explosion(void **state)
{
	static const char *const patterns[] = {
		"^(a+)+$", "(a|aa)+$", "^(a|a?)+$", "(.*a){20}b", "(?:a*)*b", "((a+)+)+c\\1", "a.*[bc]", "a*a*a*[bc]",
	};
	static char	   subject[100001];
	struct weir_regex *re;
	uint64_t	   began;
	unsigned	   i, jit;
	int		   rc;
	(void)state;

	memset(subject, 'a', sizeof(subject) - 2);
	subject[sizeof(subject) - 2] = '!';
	for (i = 0; i < WEIR_COUNT(patterns); i++)
		for (jit = 0; jit < 2; jit++) {
			re = compiled(patterns[i], false);
			re->jit = re->jit && jit;
			began = now_ms();
			rc = regex_test(re, str_c(subject));
			assert_int_not_equal(rc, WEIR_OK);
			if (getenv("WEIR_UNIT_TIMES"))
				fprintf(stderr, "%s jit %u: %d, %u ms\n", patterns[i], jit, rc,
				    (unsigned)(now_ms() - began));
			assert_true(now_ms() - began < 1000 * (WEIR_ASAN ? 10 : 1));
		}
}

/* The same results without JIT. */
static void
test_interpreter(void **state)
{
	static const struct { const char *pattern, *subject; } t[] = {
		{ "^a", "ab" }, { "", "" }, { "b$", "0123456789abcde0123456789abcde0b" },
		{ "(x)(y)?", "0123456789abcdefx" }, { "(?<=f)x", "0123456789abcdefx" },
		{ "x", "0123456789abcdef" }, { "\\bx", "0123456789abcde x" },
		{ "^x", "0123456789abcdef0123456789abcdefx" }, { "f(.+)f", "0123456789abcdef01f" },
		{ "(*UTF)^.{16}x", "0123456789abcde\xc3\xa4" "0x" },
		{ "(*UTF)\xc3\xa4", "0123456789abcde\xc3\xa4" "0x" },
		{ "(*UTF)x", "0123456789abcde\xc3\xa4" "0x" }, { "(*UTF)x", "0123456789abcdef0x\xc3" },
	};
	struct weir_regex	*re;
	PCRE2_SIZE		*at, v[6];
	unsigned		 i, g;
	int			 rc;
	(void)state;

	for (i = 0; i < WEIR_COUNT(t); i++) {
		re = compiled(t[i].pattern, false);
		assert_true(re->jit);
		rc = regex_test(re, str_c(t[i].subject));
		at = pcre2_get_ovector_pointer(found);
		for (g = 0; g < 2 * (re->groups + 1); g++)
			v[g] = at[g];
		re->jit = false;
		assert_int_equal(regex_test(re, str_c(t[i].subject)), rc);
		at = pcre2_get_ovector_pointer(found);
		for (g = 0; rc == WEIR_OK && g < 2 * (re->groups + 1); g++)
			assert_int_equal(at[g], v[g]);
	}
}

/* Ordinary patterns are not hurt by the limits. */
static void
test_long_subject(void **state)
{
	static char subject[100001];
	(void)state;

	memset(subject, 'a', sizeof(subject) - 1);
	assert_int_equal(test("^(.*)$", subject), WEIR_OK);
	assert_int_equal(test("^/?(.*)(.*)$", subject), WEIR_OK);
	assert_int_equal(test("^(?:[a-z]+/?)+$", subject), WEIR_OK);
	assert_int_equal(test("b", subject), WEIR_AGAIN);
	assert_int_equal(test("a.*b", subject), WEIR_AGAIN);
}

static void
test_utf(void **state)
{
	(void)state;
	assert_int_equal(test("(*UTF)^.$", "\xc3\xa4"), WEIR_OK);
	/* What is not UTF-8 neither matches nor passes. */
	assert_int_equal(test("(*UTF)^.$", "\xc3"), WEIR_FAIL);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_matching),
		TEST(test_mistakes),
		TEST(test_groups),
		TEST(test_many_groups),
		TEST(test_explosion),
		TEST(test_interpreter),
		TEST(test_long_subject),
		TEST(test_utf),
	};

	return RUN(tests);
}
