/* unit: src/core/sess/expr.c */
#include <stdio.h>

#include "unit.h"

#include "core/sess/expr.c"
#include "core/sess/regex.h"

static unsigned asked;			/* how often get() functions were called */

static int
get_name(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s;
	asked++;
	*to = str_c(data);
	return WEIR_OK;
}

static int
get_none(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s, (void)to, (void)data;
	asked++;
	return WEIR_FAIL;
}

static int
get_rest(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s;
	*to = *(const struct weir_str *)data;
	return WEIR_OK;
}

static const struct weir_var vars[] = {
	{ "host", get_name, NULL, 0, "example.org", NULL },
	{ "now", get_name, NULL, VAR_VOLATILE, "12:00", NULL },
	{ "none", get_none, NULL, 0, NULL, NULL },
	{ "args", get_name, NULL, VAR_CHANGEABLE, "a=b", NULL },
	{ "arg_", get_rest, NULL, VAR_PREFIX, NULL, NULL },
	{ "arg_x_", get_rest, NULL, VAR_PREFIX, NULL, NULL },
	{ "protocol", get_name, NULL, VAR_STREAM | VAR_NOT_HTTP, "TCP", NULL },
	{ .name = NULL }
};
static unsigned number_of_module;
static const struct weir_module module = { .name = "m", .index = &number_of_module, .vars = vars };
const struct weir_module *const weir_modules[] = { &module, NULL };
const unsigned weir_n_modules = 1;
const struct weir_absent weir_absent[] = { { NULL, NULL, NULL } };

static struct weir_conf cf;
static struct weir_sess s;
static struct weir_expr chain[VAR_DEPTH_MAX + 10];
static struct weir_conf_word word = { { "word", 4 }, 1, 1, false };
static struct weir_node node = { .w = &word, .n = 1 };

static int
setup(void **state)
{
	(void)state;
	cf = (struct weir_conf){ .pool = pool_new(0) };
	vars_now = vars_http = vars_new(&cf, false);
	s = (struct weir_sess){ .magic = WEIR_SESS_MAGIC, .is_http = true, .pool = pool_new(0) };
	/* Here names are compiled while the session lives, so there must be room for later ones. */
	s.vars = pool_zalloc(s.pool, 2 * WEIR_COUNT(chain) * sizeof(*s.vars));
	asked = 0;
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

static struct weir_expr
compiled(const char *text)
{
	struct weir_expr e;

	assert_int_equal(expr_compile(&cf, &node, 0, str_c(text), &e), WEIR_OK);
	assert_true(e.set);
	return e;
}

static struct weir_str
value(const char *text)
{
	struct weir_expr e = compiled(text);

	return expr_eval(&s, &e);
}

static bool
refused(const char *text)
{
	struct weir_expr e;
	unsigned	 before = cf.errors;

	return expr_compile(&cf, &node, 0, str_c(text), &e) == WEIR_FAIL && cf.errors == before + 1;
}

static void
test_values(void **state)
{
	(void)state;
	assert_str(value(""), "");
	assert_str(value("plain } { text"), "plain } { text");
	assert_str(value("$host"), "example.org");
	assert_str(value("$HOST"), "example.org");
	assert_str(value("http://$host/"), "http://example.org/");
	assert_str(value("${host}x$none-$now"), "example.orgx-12:00");
	assert_str(value("$host$host$host$host$host$host$host$host$host$host$host$host$host$host"
	    "$host$host$host$host"), "example.orgexample.orgexample.orgexample.orgexample.org"
	    "example.orgexample.orgexample.orgexample.orgexample.orgexample.orgexample.org"
	    "example.orgexample.orgexample.orgexample.orgexample.orgexample.org");
	assert_str(value("$arg_Foo"), "foo");
	assert_str(value("$arg_x_y"), "y");
	assert_str(value("$1"), "");
	assert_str(value("$10"), "0");
}

static void
test_grammar(void **state)
{
	(void)state;
	assert_true(refused("$"));
	assert_true(refused("a$"));
	assert_true(refused("$$host"));
	assert_true(refused("$-"));
	assert_true(refused("${"));
	assert_true(refused("${}"));
	assert_true(refused("${host"));
	assert_true(refused("${host-}"));
}

static void
test_constant_is_not_copied(void **state)
{
	struct weir_expr e = compiled("text");
	(void)state;

	assert_true(expr_is_const(&e));
	assert_ptr_equal(expr_eval(&s, &e).p, e.source.p);
	e = compiled("$host");
	assert_ptr_equal(expr_eval(&s, &e).p, vars[0].data);
}

static void
test_kept(void **state)
{
	(void)state;
	compiled("$now$host$none");
	s.vars = NULL;
	assert_str(value("$now$now"), "12:0012:00");
	assert_int_equal(asked, 2);
	assert_null(s.vars);
	assert_str(value("$host$host$none$none"), "example.orgexample.org");
	assert_non_null(s.vars);
	assert_int_equal(asked, 4);
	var_forget(&s, VAR_ALL);
	assert_str(value("$host$none"), "example.org");
	assert_int_equal(asked, 6);
}

static void
test_set_and_forget(void **state)
{
	unsigned	n, now = vars_use(vars_now, STR("now"));
	bool		missing;
	(void)state;

	assert_int_equal(vars_define(vars_now, STR("mine"), &(struct weir_var){ .flags = 0 }, &n),
	    WEIR_OK);
	assert_str(var_get(&s, n, &missing), "");
	assert_true(missing);
	var_set(&s, n, STR("yours"));
	assert_str(var_get(&s, n, &missing), "yours");
	assert_false(missing);
	var_forget(&s, n);
	assert_str(var_get(&s, n, NULL), "");
	/* A volatile variable that was set keeps what it was given. */
	var_set(&s, now, STR("never"));
	assert_str(value("$now"), "never");
}

static void
test_definitions(void **state)
{
	static const struct weir_var strong = { .get = get_name, .data = "strong" };
	static const struct weir_var weak = { .get = get_name, .data = "weak", .flags = VAR_WEAK };
	unsigned n, m;
	(void)state;

	assert_int_equal(vars_define(vars_now, STR("host"), &strong, &n), WEIR_FAIL);
	assert_int_equal(vars_define(vars_now, STR("args"), &weak, &n), WEIR_OK);
	assert_str(value("$args"), "a=b");
	assert_int_equal(vars_define(vars_now, STR("args"), &strong, &m), WEIR_OK);
	assert_int_equal(n, m);
	var_forget(&s, VAR_ALL);
	assert_str(value("$args"), "strong");
	/* Used first, defined later; the weak one gives way. */
	n = vars_use(vars_now, STR("Later"));
	assert_int_equal(vars_define(vars_now, STR("later"), &weak, &m), WEIR_OK);
	assert_int_equal(n, m);
	assert_str(value("$later"), "weak");
	assert_int_equal(vars_define(vars_now, STR("later"), &strong, &m), WEIR_OK);
	assert_int_equal(vars_define(vars_now, STR("later"), &weak, &m), WEIR_OK);
	var_forget(&s, VAR_ALL);
	assert_str(value("$later"), "strong");
	/* A definition wins over a family. */
	assert_int_equal(vars_define(vars_now, STR("arg_q"), &strong, &m), WEIR_OK);
	assert_str(value("$arg_q"), "strong");
}

static void
test_unknown(void **state)
{
	(void)state;
	compiled("$hots$protocol");
	compiled("$host$arg_");
	assert_int_equal(vars_check(vars_now, &cf), WEIR_FAIL);
	assert_int_equal(cf.errors, 2);
	vars_now = vars_new(&cf, true);
	compiled("$protocol");
	assert_int_equal(vars_check(vars_now, &cf), WEIR_OK);
	compiled("$host");
	assert_int_equal(vars_check(vars_now, &cf), WEIR_FAIL);
}

static struct weir_expr in_cycle;

static int
get_in_cycle(struct weir_sess *sess, struct weir_str *to, const void *data)
{
	(void)data;
	asked++;
	*to = expr_eval(sess, &in_cycle);
	return WEIR_OK;
}

static void
test_cycle(void **state)
{
	static const struct weir_var def = { .get = get_in_cycle, .flags = VAR_VOLATILE };
	unsigned n;
	(void)state;

	assert_int_equal(vars_define(vars_now, STR("ring"), &def, &n), WEIR_OK);
	in_cycle = compiled("<$ring$ring>");
	assert_str(value("$ring"), "<>");
	assert_int_equal(asked, 1);
}

static int
get_chain(struct weir_sess *sess, struct weir_str *to, const void *data)
{
	asked++;
	*to = expr_eval(sess, data);
	return WEIR_OK;
}

static void
test_long_chain(void **state)
{
	static char	names[WEIR_COUNT(chain)][16], texts[WEIR_COUNT(chain)][16];
	unsigned	i, n;
	(void)state;

	for (i = 0; i < WEIR_COUNT(chain); i++) {
		struct weir_var def = { .get = get_chain, .data = &chain[i] };

		snprintf(names[i], sizeof(names[i]), "c%u", i);
		snprintf(texts[i], sizeof(texts[i]), "$c%u.", i + 1);
		assert_int_equal(vars_define(vars_now, str_c(names[i]), &def, &n), WEIR_OK);
		if (i + 1 < WEIR_COUNT(chain))
			chain[i] = compiled(texts[i]);
	}
	chain[WEIR_COUNT(chain) - 1] = compiled("end");
	assert_int_equal(value("$c0").n, VAR_DEPTH_MAX);
	assert_int_equal(asked, VAR_DEPTH_MAX);
	asked = 0;
	assert_str(value("$c105"), "end....");
}

static int
get_by_regex(struct weir_sess *sess, struct weir_str *to, const void *data)
{
	assert_int_equal(regex_match(sess, (struct weir_regex *)(uintptr_t)data, STR("xyz")), WEIR_OK);
	*to = sess_capture(&sess->cap, 1);
	return WEIR_OK;
}

static struct weir_str
in_brackets(struct weir_sess *sess, struct weir_str v)
{
	return pool_printf(sess->pool, "[%.*s]", STR_ARG(v));
}

static void
test_captures(void **state)
{
	struct weir_regex	*ab, *xyz;
	struct weir_var		 def = { .get = get_by_regex };
	struct weir_expr	 e;
	unsigned		 n;
	(void)state;

	assert_int_equal(regex_compile(&cf, &node, 0, STR("(a+)(b+)?(c)"), false, &ab), WEIR_OK);
	assert_int_equal(regex_compile(&cf, &node, 0, STR("x(y)"), false, &xyz), WEIR_OK);
	def.data = xyz;
	assert_int_equal(vars_define(vars_now, STR("by_regex"), &def, &n), WEIR_OK);
	assert_int_equal(regex_match(&s, ab, STR("--aac--")), WEIR_OK);
	assert_str(value("$1,$2,$3,$4"), "aa,,c,");
	/* The value's own match changes nothing in an expression that has begun. */
	assert_str(value("$1 $by_regex $1"), "aa y aa");
	assert_str(value("$1"), "y");
	e = compiled("$1-$2-$host");
	assert_true(e.uses_captures);
	assert_str(expr_eval_with(&s, &e, in_brackets), "[y]--example.org");
}

static int
get_big(struct weir_sess *sess, struct weir_str *to, const void *data)
{
	(void)sess, (void)data;
	*to = str_of("", EXPR_VALUE_MAX);	/* never looked at */
	return WEIR_OK;
}

static void
test_too_long(void **state)
{
	static const struct weir_var def = { .get = get_big };
	unsigned n;
	(void)state;

	assert_int_equal(vars_define(vars_now, STR("big"), &def, &n), WEIR_OK);
	assert_int_equal(value("$big").n, EXPR_VALUE_MAX);
	assert_str(value("x$big"), "");
}

static void
test_truth(void **state)
{
	(void)state;
	assert_false(expr_true(STR("")));
	assert_false(expr_true(STR_NONE));
	assert_false(expr_true(STR("0")));
	assert_true(expr_true(STR("00")));
	assert_true(expr_true(STR("a")));
}

static void
test_numbers(void **state)
{
	struct weir_str v;
	(void)state;

	assert_int_equal(var_seconds(&s, &v, 0), WEIR_OK);
	assert_str(v, "0.000");
	assert_int_equal(var_seconds(&s, &v, 61045), WEIR_OK);
	assert_str(v, "61.045");
	assert_int_equal(var_u64(&s, &v, UINT64_MAX), WEIR_OK);
	assert_str(v, "18446744073709551615");
	assert_int_equal(var_seconds(&s, &v, UINT64_MAX), WEIR_OK);
	assert_str(v, "18446744073709551.615");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_values),
		TEST(test_grammar),
		TEST(test_constant_is_not_copied),
		TEST(test_kept),
		TEST(test_set_and_forget),
		TEST(test_definitions),
		TEST(test_unknown),
		TEST(test_cycle),
		TEST(test_long_chain),
		TEST(test_captures),
		TEST(test_too_long),
		TEST(test_truth),
		TEST(test_numbers),
	};

	return RUN(tests);
}
