/*
 * map.c - a variable whose value depends on another text: map { }.
 *
 * Keys are looked for in this order, as nginx does: the text itself; with `hostnames`, the longest
 * *.suffix, then the longest prefix.*; regular expressions as written; default.  Case matters for
 * regular expressions only.
 */
#include "core/base/hash.h"
#include "core/sess/expr.h"
#include "core/sess/regex.h"

extern const struct weir_module map_module;

struct regex_row {
	struct weir_regex	*re;
	struct weir_expr	*value;
};

struct map {
	struct weir_expr	 source;
	struct weir_expr	*fallback;	/* NULL: the empty text */
	struct weir_hash	 exact;		/* -> struct weir_expr */
	struct weir_hash	 suffixes;	/* ".example.com" */
	struct weir_hash	 prefixes;	/* "www.example." */
	bool			 hostnames;
	struct {
		struct regex_row *v;
		unsigned	  n, room;
	}			 regexes;
};

static unsigned module_index;

/* ---- at work ---- */

/* The longest ".rest" of the host that is in the table; as nginx has it, with something before it or not. */
static struct weir_expr *
by_suffix(const struct map *m, struct weir_str host)
{
	struct weir_expr *e;
	size_t		  i;

	for (i = 0; i + 1 < host.n; i++)
		if (host.p[i] == '.' && (e = hash_get(&m->suffixes, str_from(host, i))) != NULL)
			return e;
	return NULL;
}

/* The longest "begin." of the host that is in the table, with something behind it. */
static struct weir_expr *
by_prefix(const struct map *m, struct weir_str host)
{
	struct weir_expr *e;
	size_t		  i;

	for (i = host.n - 1; i > 1; i--)
		if (host.p[i - 1] == '.' && (e = hash_get(&m->prefixes, str_of(host.p, i))) != NULL)
			return e;
	return NULL;
}

static struct weir_expr *
by_text(const struct map *m, struct weir_str text)
{
	struct weir_expr *e;

	if (m->hostnames && text.n != 0 && text.p[text.n - 1] == '.')
		text.n--;
	if ((e = hash_get(&m->exact, text)) != NULL || !m->hostnames || text.n == 0)
		return e;
	if (m->suffixes.n != 0 && (e = by_suffix(m, text)) != NULL)
		return e;
	return m->prefixes.n != 0 ? by_prefix(m, text) : NULL;
}

/* A regex that gave up is logged, and the value missing: neither this key nor the default. */
static int
find(struct weir_sess *s, const struct map *m, struct weir_expr **to)
{
	struct weir_str	text = expr_eval(s, &m->source);
	unsigned	i;
	int		rc;

	if ((*to = by_text(m, text)) != NULL)
		return WEIR_OK;
	for (i = 0; i < m->regexes.n; i++) {
		rc = regex_match(s, m->regexes.v[i].re, text);
		if (rc == WEIR_FAIL)
			return rc;
		if (rc == WEIR_OK) {
			*to = m->regexes.v[i].value;
			return WEIR_OK;
		}
	}
	*to = m->fallback;
	return WEIR_OK;
}

static int
get_map(struct weir_sess *s, struct weir_str *to, const void *data)
{
	struct weir_expr *e;

	if (find(s, data, &e) != WEIR_OK)
		return WEIR_FAIL;
	*to = e != NULL ? expr_eval(s, e) : STR("");
	return WEIR_OK;
}

/* ---- configuration ---- */

static int
put(struct weir_conf *cf, const struct weir_node *row, struct weir_hash *h, struct weir_str key,
    struct weir_expr *value)
{
	if (hash_put(h, key, value) != NULL)
		return conf_error(cf, row, 0, "conflicting parameter \"%.*s\"", STR_ARG(row->w[0].s));
	return WEIR_OK;
}

static int
add_regex(struct weir_conf *cf, struct map *m, const struct weir_node *row, struct weir_expr *value)
{
	bool		  nocase = str_begins(row->w[0].s, STR("~*"));
	struct regex_row *r;
	struct weir_regex *re;

	if (regex_compile(cf, row, 0, str_from(row->w[0].s, 1 + nocase), nocase, &re) != WEIR_OK)
		return WEIR_FAIL;
	r = POOL_PUSH(cf->pool, &m->regexes);
	r->re = re;
	r->value = value;
	return WEIR_OK;
}

static int
bad_hostname(struct weir_conf *cf, const struct weir_node *row)
{
	return conf_error(cf, row, 0, "invalid hostname or wildcard \"%.*s\"", STR_ARG(row->w[0].s));
}

/* name, *.name, .name (both), name.* */
static int
add_hostname(struct weir_conf *cf, struct map *m, const struct weir_node *row, struct weir_str key,
    struct weir_expr *value)
{
	ssize_t star = str_chr(key, '*');

	if (key.n > 1 && key.p[0] != '*' && key.p[key.n - 1] == '.')
		key.n--;
	if (star < 0 && key.n > 1 && key.p[0] == '.') {
		if (put(cf, row, &m->exact, str_from(key, 1), value) != WEIR_OK)
			return WEIR_FAIL;
		return put(cf, row, &m->suffixes, key, value);
	}
	if (str_find(key, STR("..")) >= 0)
		return bad_hostname(cf, row);
	if (star < 0)
		return put(cf, row, &m->exact, key, value);
	if (star != str_rchr(key, '*') || key.n < 3)
		return bad_hostname(cf, row);
	if (star == 0 && key.p[1] == '.')
		return put(cf, row, &m->suffixes, str_from(key, 1), value);
	if ((size_t)star == key.n - 1 && key.p[star - 1] == '.')
		return put(cf, row, &m->prefixes, str_of(key.p, key.n - 1), value);
	return bad_hostname(cf, row);
}

static int
add_row(struct weir_conf *cf, struct map *m, const struct weir_node *row)
{
	struct weir_str	  key = row->w[0].s;
	struct weir_expr *value = POOL_NEW(cf->pool, weir_expr);

	if (row->n == 1 && str_eq(key, STR("volatile")))
		return WEIR_OK;		/* looked for before */
	if (row->n == 1 && str_eq(key, STR("hostnames")))
		return WEIR_OK;
	if (row->n != 2)
		return conf_error(cf, row, 0, "invalid number of the map parameters");
	if (expr_compile(cf, row, 1, row->w[1].s, value) != WEIR_OK)
		return WEIR_FAIL;
	if (str_eq(key, STR("default"))) {
		if (m->fallback != NULL)
			return conf_error(cf, row, 0, "duplicate default map parameter");
		m->fallback = value;
		return WEIR_OK;
	}
	if (key.n != 0 && key.p[0] == '~')
		return add_regex(cf, m, row, value);
	if (key.n != 0 && key.p[0] == '\\')
		key = str_from(key, 1);		/* \default, \~: as it is */
	if (m->hostnames)
		return add_hostname(cf, m, row, key, value);
	return put(cf, row, &m->exact, key, value);
}

static bool
has_word(const struct weir_node *block, const char *word)
{
	const struct weir_node *n;

	for (n = block->child; n != NULL; n = n->next)
		if (n->n == 1 && str_eq(n->w[0].s, str_c(word)))
			return true;
	return false;
}

static int
set_map(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct map		*m = POOL_NEW(cf->pool, map);
	struct weir_var		 def = { .get = get_map, .flags = VAR_CHANGEABLE, .data = m };
	struct weir_str		 name = str_from(node->w[2].s, 1);
	const struct weir_node	*n;
	unsigned		 number;
	int			 rc = WEIR_OK;

	(void)scope, (void)conf;
	if (node->w[2].s.n < 2 || node->w[2].s.p[0] != '$')
		return conf_error(cf, node, 2, "invalid variable name \"%.*s\"",
		    STR_ARG(node->w[2].s));
	hash_init(&m->exact, cf->pool, true);
	hash_init(&m->suffixes, cf->pool, true);
	hash_init(&m->prefixes, cf->pool, true);
	m->hostnames = has_word(node, "hostnames");
	if (has_word(node, "volatile"))
		def.flags |= VAR_VOLATILE;
	if (expr_compile(cf, node, 1, node->w[1].s, &m->source) != WEIR_OK)
		return WEIR_FAIL;
	if (vars_define(vars_now, name, &def, &number) != WEIR_OK)
		return conf_error(cf, node, 2, "the duplicate \"%.*s\" variable: it is built in",
		    STR_ARG(name));
	for (n = node->child; n != NULL; n = n->next)
		if (add_row(cf, m, n) != WEIR_OK)
			rc = WEIR_FAIL;
	return rc;
}

static int
set_no_effect(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope, (void)conf;
	return conf_warn(cf, node, 0, "has no effect: weir's tables size themselves");
}

static const struct weir_cmd cmds[] = {
	{ "map", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_map,
	  .flags = CONF_RAW | CONF_MULTI, .args = "string $variable { key value; ... }",
	  .doc = "Define a variable whose value depends on the string.  A key is a text, or ~ or ~* (any "
	  "case) and a regular expression, whose captures the value may use; \\ before a key "
	  "takes its first character as it is.  default: the value when no key fits, else empty.  "
	  "hostnames: keys may be *.example.com, .example.com and www.example.*.  volatile: the "
	  "value is found out anew each time.  include file: more lines.  Values may contain variables." },
	{ "map_hash_bucket_size", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_no_effect, .args = "size", .doc = "Without effect in weir." },
	{ "map_hash_max_size", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 1, .args_max = 1,
	  .set = set_no_effect, .args = "size", .doc = "Without effect in weir." },
	{ 0 }
};

const struct weir_module map_module = {
	.name = "map", .index = &module_index, .cmds = cmds,
	.doc = "Variables whose values depend on others.",
};
