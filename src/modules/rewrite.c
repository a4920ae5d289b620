/*
 * rewrite.c - the directives set, if, return, break, rewrite: scripts are made of them here, and run by
 * http/req/script.c.
 *
 * Those of a server run before its location is known, those of a location in it.  Scripts are not inherited.
 *
 * In stream there are set and return only, and what a server sets is set before it answers.
 */
#include <stdlib.h>

#include "core/base/num.h"
#include "core/sess/regex.h"
#include "http/req/script.h"
#include "stream/stream.h"

extern const struct weir_module rewrite_module;

struct rewrite_conf {
	const struct weir_scope	*scope;		/* whose script it is */
	struct weir_script		*script;
	bool			 log, warn;
	/* of a server in stream */
	struct stream_sets {
		struct stream_set {
			unsigned	 var;
			struct weir_expr value;
		}		*v;
		unsigned	 n, room;
	}			 sets;
	struct weir_expr	 answer;
};

static unsigned module_index;

/* ---- hooks ---- */

static enum weir_next
run_of(struct weir_sess *s, const struct weir_scope *scope)
{
	const struct rewrite_conf *c = SESS_CONF(s, module_index);

	return c->scope == scope ? script_run(req_of(s), c->script, c->log) : WEIR_NEXT;
}

static enum weir_next
on_server_rewrite(struct weir_sess *s)
{
	return run_of(s, req_of(s)->server->scope);
}

static enum weir_next
on_rewrite(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);

	return r->loc != NULL ? run_of(s, r->loc->scope) : WEIR_NEXT;
}

static enum weir_next
on_stream_set(struct weir_sess *s)
{
	const struct stream_sets *sets = &((const struct rewrite_conf *)SESS_CONF(s, module_index))->sets;

	for (unsigned i = 0; i < sets->n; i++)
		var_set(s, sets->v[i].var, expr_eval(s, &sets->v[i].value));
	return WEIR_NEXT;
}

static enum weir_next
on_stream_return(struct weir_sess *s)
{
	return stream_answer(stream_of(s), expr_eval(s, &((const struct rewrite_conf *)SESS_CONF(s, module_index))->answer));
}

static bool
sets_nothing(const void *conf)
{
	return ((const struct rewrite_conf *)conf)->sets.n == 0;
}

static bool
answers_nothing(const void *conf)
{
	return !((const struct rewrite_conf *)conf)->answer.set;
}

/* ---- configuration ---- */

/* A new operation at the end of the scope's own script. */
static struct weir_op *
add(struct weir_conf *cf, struct weir_scope *scope, const struct weir_node *node,
    enum weir_outcome (*fn)(struct weir_run *, const struct weir_op *))
{
	struct rewrite_conf	*c = conf_own(cf, scope, &rewrite_module);
	struct weir_op		*op;

	if (c->scope != scope) {
		c->scope = scope;
		c->script = POOL_NEW(cf->pool, weir_script);
	}
	op = POOL_PUSH(cf->pool, c->script);
	op->seq = node->seq;
	op->fn = fn;
	return op;
}

/* "$name" to the name; complains. */
static int
variable_name(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str word,
    struct weir_str *name)
{
	size_t i;

	*name = str_from(word, 1);
	for (i = 0; i < name->n; i++)
		if (!(ascii_lower((unsigned char)name->p[i]) >= 'a' &&
		    ascii_lower((unsigned char)name->p[i]) <= 'z') && name->p[i] != '_' &&
		    !(name->p[i] >= '0' && name->p[i] <= '9'))
			break;
	if (word.n < 2 || word.p[0] != '$' || i != name->n)
		return conf_error(cf, node, w, "invalid variable name \"%.*s\"", STR_ARG(word));
	return WEIR_OK;
}

/* What a variable is that `set` defines and nobody has set yet. */
static int
get_unset(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct rewrite_conf *c = SESS_CONF(s, module_index);

	if (c->warn)
		log_warnx(&s->log, "using uninitialized \"%s\" variable", (const char *)data);
	*to = STR("");
	return WEIR_OK;
}

/* The variable of word 1, defined as one that can be set. */
static int
settable(struct weir_conf *cf, const struct weir_node *node, struct weir_str *name, unsigned *var)
{
	struct weir_var	def = { .get = get_unset, .flags = VAR_WEAK };

	if (variable_name(cf, node, 1, node->w[1].s, name) != WEIR_OK)
		return WEIR_FAIL;
	def.data = pool_cstr(cf->pool, *name);
	if (vars_define(vars_now, *name, &def, var) != WEIR_OK)
		return conf_error(cf, node, 1, "the duplicate \"%.*s\" variable: it is built in and "
		    "cannot be set", STR_ARG(*name));
	return WEIR_OK;
}

static int
set_stream_set(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct stream_set	set;
	struct weir_str		name;

	(void)scope;
	if (settable(cf, node, &name, &set.var) != WEIR_OK ||
	    expr_compile(cf, node, 2, node->w[2].s, &set.value) != WEIR_OK)
		return WEIR_FAIL;
	*POOL_PUSH(cf->pool, &((struct rewrite_conf *)conf)->sets) = set;
	return WEIR_OK;
}

static int
set_stream_return(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	if (stream_serves(cf, scope, node) != WEIR_OK)
		return WEIR_FAIL;
	return expr_field(cf, node, 1, &((struct rewrite_conf *)conf)->answer);
}

static int
set_set(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_op_set	set = { .var = 0 };
	struct weir_str	name;

	(void)conf;
	if (settable(cf, node, &name, &set.var) != WEIR_OK)
		return WEIR_FAIL;
	set.builtin = vars_builtin(vars_now, name);
	if (set.builtin != NULL && set.builtin->set == NULL)
		set.builtin = NULL;
	if (expr_compile(cf, node, 2, node->w[2].s, &set.value) != WEIR_OK)
		return WEIR_FAIL;
	add(cf, scope, node, script_set)->set = set;
	return WEIR_OK;
}

static int
set_break(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)conf;
	add(cf, scope, node, script_break);
	return WEIR_OK;
}

/* A replacement that says itself that it is elsewhere. */
static bool
is_url(struct weir_str s)
{
	return str_begins(s, STR("http://")) || str_begins(s, STR("https://")) ||
	    str_begins(s, STR("$scheme"));
}

static int
set_return(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_op_return ret = { .status = 302 };
	struct weir_str	 first = node->w[1].s;
	uint64_t	 status;
	unsigned	 w = node->n - 1;

	(void)conf;
	if (num_u64(first, &status) == WEIR_OK && status >= 200 && status <= 999)
		ret.status = (int)status;
	else if (node->n != 2 || !is_url(first))
		return conf_error(cf, node, 1, "invalid return code \"%.*s\"", STR_ARG(first));
	if ((node->n == 3 || is_url(first)) &&
	    expr_compile(cf, node, w, node->w[w].s, &ret.text) != WEIR_OK)
		return WEIR_FAIL;
	add(cf, scope, node, script_return)->ret = ret;
	return WEIR_OK;
}

static const struct {
	const char	*word;
	int		 status;
	bool		 stop, stay;
} rewrite_flags[] = {
	{ "last", 0, true, false }, { "break", 0, true, true },
	{ "redirect", 302, true, false }, { "permanent", 301, true, false },
};

static int
read_flag(struct weir_conf *cf, const struct weir_node *node, struct weir_op_rewrite *rw)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(rewrite_flags); i++) {
		if (!str_eq(node->w[3].s, str_c(rewrite_flags[i].word)))
			continue;
		if (rewrite_flags[i].status != 0)
			rw->status = rewrite_flags[i].status;
		rw->stop = rewrite_flags[i].stop;
		rw->stay = rewrite_flags[i].stay;
		return WEIR_OK;
	}
	return conf_error(cf, node, 3, "invalid parameter \"%.*s\": it is one of last, break, redirect "
	    "and permanent", STR_ARG(node->w[3].s));
}

static int
set_rewrite(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_op_rewrite rw = { .keep_args = true };
	struct weir_str	  to = node->w[2].s;
	ssize_t		  q;

	(void)conf;
	if (regex_compile(cf, node, 1, node->w[1].s, false, &rw.re) != WEIR_OK)
		return WEIR_FAIL;
	if (to.n == 0)
		return conf_error(cf, node, 2, "empty replacement");
	if (is_url(to))
		rw.status = 302;
	if (node->n == 4 && read_flag(cf, node, &rw) != WEIR_OK)
		return WEIR_FAIL;
	if (to.n != 0 && to.p[to.n - 1] == '?') {
		rw.keep_args = false;	/* "the last ? drops the original arguments" */
		to.n--;
	}
	q = str_chr(to, '?');
	rw.has_args = q >= 0;
	if (rw.status == 0 && q >= 0) {
		if (expr_compile(cf, node, 2, str_from(to, (size_t)q + 1), &rw.args) != WEIR_OK)
			return WEIR_FAIL;
		to.n = (size_t)q;
	}
	if (expr_compile(cf, node, 2, to, &rw.to) != WEIR_OK)
		return WEIR_FAIL;
	add(cf, scope, node, script_rewrite)->rewrite = rw;
	return WEIR_OK;
}

/* The words of a condition, without its brackets. */
struct words {
	struct weir_str	 v[4];
	unsigned	 at[4];		/* numbers of their words */
	unsigned	 n;
};

static int
strip_brackets(struct weir_conf *cf, const struct weir_node *node, struct words *to)
{
	struct weir_str s;
	unsigned	w;

	to->n = 0;
	for (w = 1; w < node->n; w++) {
		s = node->w[w].s;
		if (w == 1) {
			if (s.n == 0 || s.p[0] != '(')
				return conf_error(cf, node, w, "invalid condition \"%.*s\": it begins "
				    "with \"(\"", STR_ARG(s));
			s = str_from(s, 1);
		}
		if (w == node->n - 1) {
			if (s.n == 0 || s.p[s.n - 1] != ')')
				return conf_error(cf, node, w, "invalid condition \"%.*s\": it ends "
				    "with \")\"", STR_ARG(s));
			s.n--;
		}
		if (s.n == 0 && (w == 1 || w == node->n - 1))
			continue;	/* the bracket stood alone */
		if (to->n == WEIR_COUNT(to->v))
			return conf_error(cf, node, w, "unexpected \"%.*s\" in condition", STR_ARG(s));
		to->v[to->n] = s;
		to->at[to->n++] = w;
	}
	return to->n != 0 ? WEIR_OK : conf_error(cf, node, 1, "the condition is empty");
}

/* -f path, !-f path */
static int
read_file_test(struct weir_conf *cf, const struct weir_node *node, const struct words *words,
    struct weir_condition *c)
{
	struct weir_str op = words->v[0];

	c->negated = op.p[0] == '!';
	c->file = op.p[op.n - 1];
	if (strchr("fdex", c->file) == NULL)
		return conf_error(cf, node, words->at[0], "invalid condition \"%.*s\"", STR_ARG(op));
	if (words->n != 2)
		return conf_error(cf, node, words->at[words->n - 1], "\"%.*s\" takes one path",
		    STR_ARG(op));
	return expr_compile(cf, node, words->at[1], words->v[1], &c->value);
}

/* $variable, $variable = text, $variable ~ regex */
static int
read_comparison(struct weir_conf *cf, const struct weir_node *node, const struct words *words,
    struct weir_condition *c)
{
	struct weir_str name, op, value;

	if (variable_name(cf, node, words->at[0], words->v[0], &name) != WEIR_OK)
		return WEIR_FAIL;
	c->var = vars_use(vars_now, name);
	vars_used_at(vars_now, c->var, node, words->at[0]);
	if (words->n == 1)
		return WEIR_OK;
	op = words->v[1];
	if (words->n == 2)
		return conf_error(cf, node, words->at[1], "there is nothing behind \"%.*s\"", STR_ARG(op));
	if (words->n > 3)
		return conf_error(cf, node, words->at[3], "unexpected \"%.*s\" in condition",
		    STR_ARG(words->v[3]));
	value = words->v[2];
	c->negated = op.n > 1 && op.p[0] == '!';
	if (c->negated)
		op = str_from(op, 1);
	if (str_eq(op, STR("=")))
		return expr_compile(cf, node, words->at[words->n - 1], value, &c->value);
	if (str_eq(op, STR("~")) || str_eq(op, STR("~*")))
		return regex_compile(cf, node, words->at[words->n - 1], value, op.n == 2, &c->re);
	return conf_error(cf, node, words->at[1], "unexpected \"%.*s\" in condition",
	    STR_ARG(words->v[1]));
}

static int
read_condition(struct weir_conf *cf, const struct weir_node *node, struct weir_condition *c)
{
	struct words words;

	if (strip_brackets(cf, node, &words) != WEIR_OK)
		return WEIR_FAIL;
	if (words.v[0].n > 1 && words.v[0].p[0] == '$')
		return read_comparison(cf, node, &words, c);
	if ((words.v[0].n == 2 && words.v[0].p[0] == '-') ||
	    (words.v[0].n == 3 && words.v[0].p[0] == '!' && words.v[0].p[1] == '-'))
		return read_file_test(cf, node, &words, c);
	return conf_error(cf, node, words.at[0], "invalid condition \"%.*s\"", STR_ARG(words.v[0]));
}

static struct weir_location *
inner_location(struct weir_conf *cf, struct weir_scope *scope, const struct weir_node *node)
{
	struct weir_location *loc = POOL_NEW(cf->pool, weir_location);

	loc->parent = scope->owner;
	loc->kind = LOC_PSEUDO;
	loc->name = loc->parent->name;
	loc->node = node;
	return loc;
}

static int
set_if(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	bool			   in_server = scope->in == IN_SERVER;
	struct weir_location	  *loc = in_server ? NULL : inner_location(cf, scope, node);
	struct weir_op_if		   iff = { .inner = loc };
	const struct rewrite_conf *c;
	struct weir_scope	  *inner;
	bool			   ok = read_condition(cf, node, &iff.cond) == WEIR_OK;

	(void)conf;
	/* What stands inside is read in any case, for the mistakes in it. */
	inner = conf_block(cf, scope, node, in_server ? IN_IF_SERVER : IN_IF, loc);
	if (inner == NULL || !ok)
		return WEIR_FAIL;
	if (loc != NULL) {
		loc->scope = inner;
		loc->conf = inner->conf;
	}
	c = conf_of(inner, &rewrite_module);
	iff.script = c->scope == inner ? c->script : NULL;
	add(cf, scope, node, script_if)->iff = iff;
	return WEIR_OK;
}

static int
by_seq(const void *a, const void *b)
{
	unsigned x = ((const struct weir_op *)a)->seq, y = ((const struct weir_op *)b)->seq;

	return x < y ? -1 : x > y;
}

/* Simple directives were bound before blocks: back to the order of writing. */
static int
done(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct rewrite_conf *c = conf;

	(void)cf;
	if (c->scope == scope)
		qsort(c->script->v, c->script->n, sizeof(*c->script->v), by_seq);
	return WEIR_OK;
}

#define IN_REWRITE	(IN_SERVER | IN_LOCATION | IN_IF_SERVER | IN_IF)

static const struct weir_cmd cmds[] = {
	{ "set", IN_REWRITE, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_set,
	  .flags = CONF_MULTI, .args = "$variable value",
	  .doc = "Give a variable a value, which may contain variables." },
	{ "set", IN_STREAM_SERVER, CONF_CUSTOM, CONF_AT(rewrite_conf, sets), .args_min = 2, .args_max = 2,
	  .set = set_stream_set, .flags = CONF_MULTI, .args = "$variable value",
	  .doc = "Give a variable a value, which may contain variables, before the connection is passed on or answered." },
	{ "return", IN_STREAM_SERVER, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_stream_return,
	  .args = "text", .doc = "Send a text, which may contain variables, and close the connection." },
	{ "if", IN_SERVER | IN_LOCATION, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY,
	  .set = set_if, .flags = CONF_MULTI | CONF_BLOCK, .args = "(condition) { ... }",
	  .doc = "What stands inside holds when the condition does: $variable (neither empty nor "
	  "\"0\"); $variable = text, != text; $variable ~ regex, ~* (any case), !~, !~*; -f file, -d "
	  "folder, -e anything, -x executable, and each with ! before it." },
	{ "return", IN_REWRITE, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_return,
	  .flags = CONF_MULTI, .args = "code [text] | code URL | URL",
	  .doc = "Answer: with a status and a text, or with a redirect (301, 302, 303, 307, 308; 302 for a URL "
	  "alone).  444 closes the connection without a word." },
	{ "break", IN_REWRITE, CONF_CUSTOM, .set = set_break, .flags = CONF_MULTI, .args = "",
	  .doc = "Do not run what else of set, if, return and rewrite stands in this block." },
	{ "rewrite", IN_REWRITE, CONF_CUSTOM, .args_min = 2, .args_max = 3, .set = set_rewrite,
	  .flags = CONF_MULTI, .args = "regex replacement [last | break | redirect | permanent]",
	  .doc = "Change a URI that matches.  The request's arguments follow those of the "
	  "replacement unless it ends with \"?\".  last: then look for its location at once; break: "
	  "stay in this one; redirect, permanent: tell the client, with 302 or 301, as is done for "
	  "replacements that begin with http://, https:// or $scheme.  After ten changes the answer is "
	  "500." },
	{ "rewrite_log", IN_HTTP_ANY | IN_IF_SERVER | IN_IF, CONF_FLAG, CONF_AT(rewrite_conf, log),
	  .def = "off", .doc = "Tell the error log, at level notice, what these directives do." },
	{ "uninitialized_variable_warn", IN_HTTP_ANY | IN_IF_SERVER | IN_IF, CONF_FLAG,
	  CONF_AT(rewrite_conf, warn), .def = "on",
	  .doc = "Warn in the error log when a variable is used that was not set." },
	{ 0 }
};

static const struct weir_hook hooks[] = {
	{ ON_SERVER_REWRITE, on_server_rewrite, NULL },
	{ ON_REWRITE, on_rewrite, NULL },
	{ ON_PREREAD, on_stream_set, sets_nothing },
	{ ON_SERVE, on_stream_return, answers_nothing },
	{ .fn = NULL }
};

const struct weir_module rewrite_module = {
	.name = "rewrite", .index = &module_index, .conf_size = sizeof(struct rewrite_conf),
	.cmds = cmds, .done = done, .hooks = hooks,
	.doc = "Change URIs, set variables, answer at once.",
};
