/* unit: src/core/conf/bind.c */
/* unit: objs/modules.c */
#include "unit.h"

#include "core/conf/bind.c"

#include "conf_test.h"

static const struct alpha *
of(const struct weir_scope *s)
{
	return conf_of(s, &alpha_module);
}

/* The text says so, in this order; the last argument is NULL. */
static void
assert_said(const struct run *r, ...)
{
	const char	*at = r->said, *what;
	va_list		 ap;

	va_start(ap, r);
	while ((what = va_arg(ap, const char *)) != NULL) {
		at = strstr(at, what);
		if (at == NULL)
			fail_msg("\"%s\" is not in:\n%s", what, r->said);
	}
	va_end(ap);
}

static void
assert_mistake(const char *text, const char *what)
{
	struct run *r = run_text(text);

	if (r->rc == WEIR_OK)
		fail_msg("accepted: %s", text);
	assert_said(r, what, NULL);
	if (r->cf.errors != 1)
		fail_msg("%u mistakes instead of one: %s", r->cf.errors, r->said);
	run_free(r);
}

static struct run *
fine(const char *text)
{
	struct run *r = run_text(text);

	if (r->rc != WEIR_OK)
		fail_msg("%s", r->said);
	return r;
}

static void
test_defaults(void **state)
{
	struct run		*r = fine("");
	const struct alpha	*a = of(r->cf.main);

	(void)state;
	assert_true(a->flag);
	assert_int_equal(a->number, 7);
	assert_int_equal(a->small, 0);
	assert_int_equal(a->size, 8192);
	assert_int_equal(a->time, 60000);
	assert_true(str_eq(a->str, STR("a b")));
	assert_string_equal(a->path.p, "/prefix/logs/x");
	assert_int_equal(a->mode, 2);
	assert_int_equal(a->bits, 3);
	assert_int_equal(a->list.n, 2);
	assert_true(str_eq(a->list.v[1], STR("y")));
	assert_false(conf_set(r->cf.main, &alpha_module, "flag"));
	run_free(r);
}

static void
test_types(void **state)
{
	struct run *r = fine("flag OFF; number 2147483647; small -20; size 3m; limit 1k; time 1m30s;"
	    "str '{;}'; path /abs; mode Slow; bits off error; list one; level 4;");
	const struct alpha *a = of(r->cf.main);

	(void)state;
	assert_false(a->flag);
	assert_int_equal(a->number, 2147483647);
	assert_int_equal(a->small, -20);
	assert_int_equal(a->size, 3 << 20);
	assert_int_equal(a->limit, 1024);
	assert_int_equal(a->time, 90000);
	assert_true(str_eq(a->str, STR("{;}")));
	assert_string_equal(a->path.p, "/abs");
	assert_int_equal(a->mode, 1);
	assert_int_equal(a->bits, 5);
	assert_int_equal(a->list.n, 1);
	assert_true(str_eq(a->list.v[0], STR("one")));
	run_free(r);

	r = fine("small auto;");
	assert_int_equal(of(r->cf.main)->small, -1);
	run_free(r);
}

static void
test_order(void **state)
{
	struct run *r = fine("http { server { location /a { } number 3; location /b { flag off; } } }");

	(void)state;
	/* The top and the server have their own; so has /b, but not /a. */
	assert_string_equal(trace, "ready http server ready location location ready done done done ");
	assert_int_equal(of(last_location)->number, 3);
	assert_false(of(last_location)->flag);
	assert_true(of(last_server)->flag);
	run_free(r);
}

static void
test_sharing(void **state)
{
	struct run *r = fine("number 1; http { server { location / { } } }");

	(void)state;
	assert_ptr_equal(of(last_location), of(r->cf.main));
	assert_false(conf_is_own(last_location, &alpha_module));
	assert_true(conf_is_own(r->cf.main, &alpha_module));
	assert_true(conf_set(last_location, &alpha_module, "number"));
	assert_false(conf_set_here(last_location, &alpha_module, "number"));
	assert_true(conf_set_here(r->cf.main, &alpha_module, "number"));
	assert_int_equal(conf_written(r->cf.main, &alpha_module, "number")->w[1].col, 8);
	assert_null(conf_written(r->cf.main, &alpha_module, "flag"));

	((struct alpha *)conf_own(&r->cf, last_location, &alpha_module))->number = 2;
	assert_int_equal(of(last_location)->number, 2);
	assert_int_equal(of(r->cf.main)->number, 1);
	assert_ptr_equal(of(last_location), conf_own(&r->cf, last_location, &alpha_module));
	run_free(r);
}

static void
test_lists_are_replaced(void **state)
{
	struct run *r = fine("many a; many b c; allow 1; deny 2; http { server {"
	    "location / { many d; deny 3; allow 4; allow 5; } } }");
	const struct alpha *top = of(r->cf.main), *in = of(last_location);

	(void)state;
	assert_int_equal(top->many.n, 3);
	assert_int_equal(in->many.n, 1);
	assert_true(str_eq(in->many.v[0], STR("d")));
	assert_true(str_eq(top->many.v[0], STR("a")));
	assert_int_equal(top->rules.n, 4);
	assert_int_equal(in->rules.n, 6);
	assert_true(str_eq(in->rules.v[0], STR("deny")));
	assert_true(str_eq(in->rules.v[5], STR("5")));
	assert_true(str_eq(top->rules.v[1], STR("1")));
	run_free(r);
}

static void
test_noinherit(void **state)
{
	struct run *r = fine("http { server { location / { pass x; number 5; if (1) { flag off; }"
	    " location /in { } } } }");

	(void)state;
	assert_true(str_eq(of(last_if)->pass, STR("x")));
	assert_false(of(last_if)->flag);
	/* last_location is the outer: it was finished last. */
	assert_true(str_eq(of(last_location)->pass, STR("x")));
	run_free(r);

	r = fine("http { server { location /in { } } }");
	assert_int_equal(of(last_location)->pass.n, 0);
	run_free(r);
}

static struct weir_scope *
inner(struct run *r, struct weir_scope *parent)
{
	static struct weir_node empty;

	return conf_block(&r->cf, parent, &empty, IN_LOCATION, NULL);
}

static void
test_noinherit_nested(void **state)
{
	struct run *r = fine("http { server { location / { pass x; number 5; if (1) { } } } }");
	struct weir_scope *in;

	(void)state;
	in = inner(r, last_location);
	assert_int_equal(of(in)->pass.n, 0);
	assert_int_equal(of(in)->number, 5);
	/* Also through an `if`, which had it only from its location. */
	in = inner(r, last_if);
	assert_int_equal(of(in)->pass.n, 0);
	run_free(r);
}

static void
test_same_name_by_place(void **state)
{
	struct run *r = fine("http { upstream u { server a b; server c; } upstream v; server { } }");

	(void)state;
	assert_non_null(last_server);
	run_free(r);
	assert_mistake("http { upstream u { server; } }", "t.conf:1:21: server: invalid number of "
	    "arguments in \"server\" directive: 0, it takes at least 1\n");
}

static void
test_raw(void **state)
{
	struct run *r = fine("http { pairs { a b; default 'c'; unknown; } }");

	(void)state;
	assert_int_equal(r->cf.errors, 0);
	run_free(r);
	assert_mistake("http { pairs { a { } } }", "t.conf:1:16: a: unexpected \"{\" in \"pairs\"");
	assert_mistake("http { pairs; }", "pairs: directive \"pairs\" has no opening \"{\"");
}

static void
test_misplaced(void **state)
{
	(void)state;
	assert_mistake("location / { }", "t.conf:1:1: location: \"location\" directive is not "
	    "allowed here, it belongs in server, location\n");
	assert_mistake("server { }", "it belongs in http, upstream\n");
	assert_mistake("there on;", "it belongs in http, server, location\n");
}

static void
test_unknown(void **state)
{
	(void)state;
	assert_mistake("flga on;", "unknown directive \"flga\", did you mean \"flag\"?");
	assert_mistake("htpt { server { } }", "unknown directive \"htpt\", did you mean \"http\"?");
	assert_mistake("utterly_different 1;", "unknown directive \"utterly_different\"\n");
	assert_mistake("gone 1;", "unknown directive \"gone\": it is of the module gone_module, "
	    "which this build lacks (configure --with-gone)");
	/* Of two equally near the one that may stand here. */
	assert_mistake("thre on;\n", "did you mean");
}

static void
test_counts(void **state)
{
	(void)state;
	assert_mistake("flag;", "invalid number of arguments in \"flag\" directive: 0, it takes 1\n");
	assert_mistake("flag on off;", "t.conf:1:9: flag: invalid number");
	assert_mistake("many;", "0, it takes 1 or 2\n");
	assert_mistake("many 1 2 3;", "t.conf:1:10: many: invalid number of arguments in \"many\" "
	    "directive: 3, it takes 1 or 2\n");
	assert_mistake("bits;", "it takes at least 1\n");
	assert_mistake("http x { }", "t.conf:1:6: http: invalid number of arguments in \"http\" "
	    "directive: 1, it takes none\n");
	assert_mistake("http { server { location { } } }", "it takes 1 or 2\n");
}

static void
test_shape(void **state)
{
	(void)state;
	assert_mistake("flag on { }", "t.conf:1:1: flag: directive \"flag\" is not terminated by \";\"");
	assert_mistake("http;", "t.conf:1:1: http: directive \"http\" has no opening \"{\"");
	assert_mistake("flag on\nnumber 3;", "t.conf:1:6: flag: directive \"flag\" is not terminated "
	    "by \";\" before \"number\"");
	assert_mistake("flag on\nhttp { }", "directive \"flag\" is not terminated by \";\" before \"http\"");
}

static void
test_swallowed_is_warned_of(void **state)
{
	struct run *r = fine("list a\nnumber 3;");

	(void)state;
	assert_int_equal(r->cf.warnings, 1);
	assert_said(r, "[warn] t.conf:2:1: list: \"number\" is an argument of \"list\" here",
	    "is a \";\" missing before it?\n", "    2 | number 3;\n", "      | ^~~~~~\n", NULL);
	run_free(r);

	/* Not of what is quoted or goes on in the same line. */
	r = fine("list a number\n 'number';");
	assert_int_equal(r->cf.warnings, 0);
	run_free(r);
}

static void
test_duplicate(void **state)
{
	struct run *r;

	(void)state;
	assert_mistake("flag on;\n\nflag off;", "t.conf:3:1: flag: \"flag\" directive is duplicate, "
	    "the first is at t.conf:1\n");
	assert_mistake("http { } http { }", "\"http\" directive is duplicate");
	r = fine("flag on; http { flag on; server { flag off; } server { flag off; } }");
	run_free(r);
}

static void
test_every_mistake(void **state)
{
	struct run *r = run_text("flag maybe;\nnumber x;\nhttp {\n\tserver {\n\t\tlisten 80;\n\t}\n"
	    "\tmode fast;\n\tthere on;\n}\ngone;\n");

	(void)state;
	assert_int_equal(r->rc, WEIR_FAIL);
	assert_int_equal(r->cf.errors, 5);
	assert_said(r, "t.conf:1:6: flag: invalid value \"maybe\", it must be \"on\" or \"off\"\n",
	    "t.conf:2:8: number: invalid number \"x\"\n", "t.conf:10:1: gone: unknown directive",
	    "t.conf:7:7: mode: invalid value \"fast\", it must be one of",
	    "t.conf:5:3: listen: unknown directive", NULL);
	run_free(r);

	/* Those of reading too. */
	r = run_text("falg on;\n;\ninclude missing.conf;\nnumbr 1;");
	assert_int_equal(r->rc, WEIR_FAIL);
	assert_int_equal(r->cf.errors, 4);
	assert_said(r, "t.conf:2:1: unexpected \";\"", "t.conf:3:9: include: open()",
	    "did you mean \"flag\"?", "did you mean \"number\"?", NULL);
	run_free(r);
}

static void
test_done_waits_for_the_whole(void **state)
{
	struct run *r = run_text("number 1; http { number 2; server { flag x; } }");

	(void)state;
	assert_string_equal(trace, "ready http ready server ready ");
	run_free(r);
}

static void
test_set_that_fails_silently(void **state)
{
	(void)state;
	assert_mistake("allow silent;", "t.conf:1:1: allow: cannot be used");
	assert_mistake("level 3;", "t.conf:1:7: level: it must be even");
}

static void
test_broken_is_not_bound(void **state)
{
	(void)state;
	assert_mistake("flga on; http {", "expecting \"}\" to close this \"http\"");
}

static void
test_many_mistakes(void **state)
{
	struct weir_pool *p = pool_new(0);
	char		 *text = pool_zalloc(p, 64 * 1000 + 1), *at = text;
	struct run	 *r;
	unsigned	  i, lines = 0;

	(void)state;
	for (i = 0; i < 1000; i++)
		at += sprintf(at, "mistake_%u x;\n", i);
	r = run_text(text);
	assert_int_equal(r->cf.errors, 1000);
	for (at = r->said; (at = strstr(at, "unknown directive")) != NULL; at++)
		lines++;
	assert_int_equal(lines, CONF_ERRORS_MAX);
	assert_said(r, "weir: [emerg] 950 more errors\n", NULL);
	run_free(r);
	pool_free(p);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_sharing),
		cmocka_unit_test(test_lists_are_replaced),
		cmocka_unit_test(test_noinherit),
		cmocka_unit_test(test_noinherit_nested),
		cmocka_unit_test(test_same_name_by_place),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_misplaced),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_swallowed_is_warned_of),
		cmocka_unit_test(test_duplicate),
		cmocka_unit_test(test_every_mistake),
		cmocka_unit_test(test_done_waits_for_the_whole),
		cmocka_unit_test(test_set_that_fails_silently),
		cmocka_unit_test(test_broken_is_not_bound),
		cmocka_unit_test(test_many_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
