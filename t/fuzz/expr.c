/*
 * expr.c - texts with variables and regexes, compiled and evaluated.
 *
 * The input is an expression, then a line end, then a regex, then a line end, then its
 * subject.  Values of several parts are checked against what was asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "core/sess/expr.h"
#include "core/sess/regex.h"

static int
get_host(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s, (void)data;
	*to = STR("example.org");
	return WEIR_OK;
}

static int
get_arg(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)s;
	*to = *(const struct weir_str *)data;
	return to->n % 2 ? WEIR_OK : WEIR_FAIL;
}

static const struct weir_var vars[] = {
	{ "host", get_host, NULL, 0, NULL, NULL },
	{ "now", get_host, NULL, VAR_VOLATILE, NULL, NULL },
	{ "arg_", get_arg, NULL, VAR_PREFIX, NULL, NULL },
	{ .name = NULL }
};
static unsigned number_of_module;
static const struct weir_module module = { .name = "m", .index = &number_of_module, .vars = vars };
const struct weir_module *const weir_modules[] = { &module, NULL };
const unsigned weir_n_modules = 1;
const struct weir_absent weir_absent[] = { { NULL, NULL, NULL } };

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

static struct weir_str
line(struct weir_str *rest)
{
	ssize_t		nl = str_chr(*rest, '\n');
	struct weir_str s = *rest;

	if (nl < 0) {
		*rest = STR_NONE;
		return s;
	}
	*rest = str_from(s, (size_t)nl + 1);
	return str_of(s.p, (size_t)nl);
}

static void
run(struct weir_conf *cf, struct weir_sess *s, struct weir_str in)
{
	struct weir_conf_word	 word = { STR("word"), 1, 1, false };
	struct weir_node	 node = { .w = &word, .n = 1 };
	struct weir_str		 text = line(&in), pattern = line(&in), v, again;
	struct weir_expr	 e;
	struct weir_regex	*re;
	unsigned		 i;
	size_t			 n = 0;

	if (expr_compile(cf, &node, 0, text, &e) != WEIR_OK)
		return;
	if (vars_check(vars_now, cf) != WEIR_OK)
		return;
	if (regex_compile(cf, &node, 0, pattern, text.n % 2, &re) == WEIR_OK &&
	    regex_match(s, re, in) == WEIR_OK)
		for (i = 0; i <= regex_groups(re) + 1; i++) {
			v = sess_capture(&s->cap, i);
			if (v.n > in.n || (v.n != 0 && (v.p < in.p || v.p + v.n > in.p + in.n)))
				abort();
		}
	v = expr_eval(s, &e);
	again = expr_eval(s, &e);
	if (!str_eq(v, again))
		abort();
	for (i = 0; i < e.n; i++)
		n += e.parts[i].var == -1 ? e.parts[i].text.n : 0;
	if (v.n < n || (expr_is_const(&e) && !str_eq(v, text)))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct weir_conf cf = { .pool = pool_new(0) };
	struct weir_log	 log = { .outs = NULL };
	struct weir_sess s = { .magic = WEIR_SESS_MAGIC, .is_http = true, .pool = pool_new(0),
	    .log = log };

	vars_now = vars_http = vars_new(&cf, false);
	run(&cf, &s, str_of((const char *)p, n));
	pool_free(s.pool);
	pool_free(cf.pool);
	return 0;
}
