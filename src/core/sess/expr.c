/*
 * expr.c - texts with variables: compiled to parts, evaluated in one pass.
 *
 * The grammar is nginx's: $name, ${name}, $1 to $9; names are letters, digits and '_'.
 */
#include "core/sess/expr.h"

#define PARTS_ON_STACK	16

#define CAPTURE(n)	(-2 - (int32_t)(n))	/* weir_expr_part.var */

struct compiling {
	struct weir_conf	*cf;
	const struct weir_node	*node;
	unsigned		 word;
	struct weir_str		 text;
	size_t			 at;
	struct {
		struct weir_expr_part *v;
		unsigned	 n, room;
	}			 parts;
	bool			 captures;
};

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '_';
}

static void
add(struct compiling *c, struct weir_str text, int32_t var)
{
	struct weir_expr_part *p = POOL_PUSH(c->cf->pool, &c->parts);

	p->text = text;
	p->var = var;
}

/* The name at c->at, behind "$" or "${"; moves behind it and its brace. */
static int
take_name(struct compiling *c, struct weir_str *name)
{
	bool	brace = c->at < c->text.n && c->text.p[c->at] == '{';
	size_t	from = c->at + brace;

	for (c->at = from; c->at < c->text.n && is_name_char(c->text.p[c->at]); c->at++)
		;
	*name = str_of(c->text.p + from, c->at - from);
	if (brace && (c->at == c->text.n || c->text.p[c->at] != '}'))
		return conf_error(c->cf, c->node, c->word,
		    "the closing bracket in \"%.*s\" variable is missing", STR_ARG(*name));
	if (name->n == 0)
		return conf_error(c->cf, c->node, c->word, "invalid variable name");
	c->at += brace;
	return WEIR_OK;
}

/* c->at is behind a '$'. */
static int
compile_dollar(struct compiling *c)
{
	struct weir_str	name;
	unsigned	number;

	if (c->at < c->text.n && c->text.p[c->at] >= '1' && c->text.p[c->at] <= '9') {
		add(c, STR_NONE, CAPTURE(c->text.p[c->at++] - '0'));
		c->captures = true;
		return WEIR_OK;
	}
	if (take_name(c, &name) != WEIR_OK)
		return WEIR_FAIL;
	number = vars_use(vars_now, name);
	vars_used_at(vars_now, number, c->node, c->word);
	add(c, STR_NONE, (int32_t)number);
	return WEIR_OK;
}

static int
compile_parts(struct compiling *c)
{
	struct weir_str	rest;
	ssize_t		dollar;

	while (c->at < c->text.n) {
		rest = str_from(c->text, c->at);
		dollar = str_chr(rest, '$');
		if (dollar != 0)
			add(c, str_of(rest.p, dollar < 0 ? rest.n : (size_t)dollar), -1);
		if (dollar < 0)
			return WEIR_OK;
		c->at += (size_t)dollar + 1;
		if (compile_dollar(c) != WEIR_OK)
			return WEIR_FAIL;
	}
	return WEIR_OK;
}

int
expr_compile(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str text,
    struct weir_expr *e)
{
	struct compiling c = { .cf = cf, .node = node, .word = w, .text = text };

	*e = (struct weir_expr){ .source = text, .set = true };
	if (str_chr(text, '$') < 0)
		return WEIR_OK;
	assert(vars_now != NULL);
	if (compile_parts(&c) != WEIR_OK)
		return WEIR_FAIL;
	e->parts = c.parts.v;
	e->n = c.parts.n;
	e->uses_captures = c.captures;
	return WEIR_OK;
}

int
expr_field(struct weir_conf *cf, struct weir_node *node, unsigned w, struct weir_expr *e)
{
	return expr_compile(cf, node, w, node->w[w].s, e);
}

static struct weir_str
join(struct weir_sess *s, const struct weir_expr *e, const struct weir_str *v, size_t total)
{
	char	*p = pool_bytes(s->pool, total), *at = p;
	unsigned i;

	for (i = 0; i < e->n; i++) {
		if (v[i].n == 0)
			continue;
		memcpy(at, v[i].p, v[i].n);
		at += v[i].n;
	}
	return str_of(p, total);
}

static struct weir_str
part_value(struct weir_sess *s, const struct weir_expr_part *p, const struct weir_captures *cap,
    struct weir_str (*capture)(struct weir_sess *, struct weir_str))
{
	struct weir_str v;

	if (p->var == -1)
		return p->text;
	if (p->var >= 0)
		return var_get(s, (unsigned)p->var, NULL);
	v = sess_capture(cap, (unsigned)(-2 - p->var));
	return capture != NULL && v.n != 0 ? capture(s, v) : v;
}

struct weir_str
expr_eval_with(struct weir_sess *s, const struct weir_expr *e,
    struct weir_str (*capture)(struct weir_sess *, struct weir_str))
{
	struct weir_str		 few[PARTS_ON_STACK], *v = few;
	struct weir_captures	 cap = s->cap;
	size_t			 total = 0;
	unsigned		 i;

	if (e->parts == NULL)
		return e->source;
	if (e->n == 1)
		return part_value(s, e->parts, &cap, capture);
	if (e->n > PARTS_ON_STACK)
		v = pool_alloc(s->pool, e->n * sizeof(*v));
	for (i = 0; i < e->n; i++) {
		v[i] = part_value(s, &e->parts[i], &cap, capture);
		if (weir_add(total, v[i].n, &total) || total > EXPR_VALUE_MAX) {
			log_errorx(&s->log, "the value of \"%.*s\" is too long", STR_ARG(e->source));
			return STR_NONE;
		}
	}
	return join(s, e, v, total);
}

WEIR_HOT struct weir_str
expr_eval(struct weir_sess *s, const struct weir_expr *e)
{
	return expr_eval_with(s, e, NULL);
}
