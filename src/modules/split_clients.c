/*
 * split_clients.c - a variable that divides clients into groups of given sizes.
 *
 * The hash is MurmurHash2, as nginx has it: who moves from it keeps the groups.
 */
#include "core/sess/expr.h"

extern const struct weir_module split_clients_module;

struct part {
	uint32_t		 end;		/* hashes below it; the last part has all */
	bool			 rest;
	struct weir_expr	 value;
};

struct split {
	struct weir_expr	 source;
	struct {
		struct part	*v;
		unsigned	 n, room;
	}			 parts;
};

static unsigned module_index;

static uint32_t
hash_of(struct weir_str s)
{
	const uint32_t	m = 0x5bd1e995;
	uint32_t	h = (uint32_t)s.n, k;
	size_t		n = s.n;
	const uint8_t  *p = (const uint8_t *)s.p;

	for (; n >= 4; p += 4, n -= 4) {
		k = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		k *= m;
		k ^= k >> 24;
		h = (h * m) ^ (k * m);
	}
	for (k = 0; n > 0; n--)
		k = k << 8 | p[n - 1];
	if (s.n % 4 != 0)
		h = (h ^ k) * m;
	h ^= h >> 13;
	h *= m;
	return h ^ h >> 15;
}

static int
get_split(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct split	*sp = data;
	uint32_t		 h = hash_of(expr_eval(s, &sp->source));
	unsigned		 i;

	*to = STR("");
	for (i = 0; i < sp->parts.n; i++)
		if (sp->parts.v[i].rest || h < sp->parts.v[i].end) {
			*to = expr_eval(s, &sp->parts.v[i].value);
			break;
		}
	return WEIR_OK;
}

/* "51.2%" in hundredths of a percent; WEIR_FAIL when it is malformed. */
static int
read_percent(struct weir_str s, unsigned *to)
{
	unsigned after = 0, n = 0;
	bool	 point = false;
	size_t	 i;

	if (s.n < 2 || s.p[s.n - 1] != '%')
		return WEIR_FAIL;
	for (i = 0; i < s.n - 1; i++) {
		if (s.p[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s.p[i] < '0' || s.p[i] > '9' || n > 10000 || (after += point) > 2)
			return WEIR_FAIL;
		n = n * 10 + (unsigned)(s.p[i] - '0');
	}
	for (; after < 2; after++)
		n *= 10;
	*to = n;
	return n != 0 ? WEIR_OK : WEIR_FAIL;
}

static int
add_part(struct weir_conf *cf, struct split *sp, const struct weir_node *row, unsigned *sum)
{
	struct weir_str	 share = row->w[0].s;
	struct part	 part = { .rest = str_eq(share, STR("*")) };
	unsigned	 percent = 0;

	if (row->n != 2)
		return conf_error(cf, row, 0, "invalid number of the split_clients parameters");
	if (!part.rest && read_percent(share, &percent) != WEIR_OK)
		return conf_error(cf, row, 0, "invalid percent value \"%.*s\"", STR_ARG(share));
	if (sp->parts.n != 0 && sp->parts.v[sp->parts.n - 1].rest)
		return conf_error(cf, row, 0, "nothing is left after \"*\"");
	*sum += percent;
	if (*sum > 10000)
		return conf_error(cf, row, 0, "percent total is greater than 100%%");
	/* Each share is rounded for itself, as nginx does it. */
	part.end = sp->parts.n != 0 ? sp->parts.v[sp->parts.n - 1].end : 0;
	part.end += (uint32_t)(percent * (uint64_t)UINT32_MAX / 10000);
	if (expr_compile(cf, row, 1, row->w[1].s, &part.value) != WEIR_OK)
		return WEIR_FAIL;
	*POOL_PUSH(cf->pool, &sp->parts) = part;
	return WEIR_OK;
}

static int
set_split(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct split		*sp = POOL_NEW(cf->pool, split);
	struct weir_var		 def = { .get = get_split, .flags = VAR_CHANGEABLE, .data = sp };
	struct weir_str		 name = str_from(node->w[2].s, 1);
	const struct weir_node	*n;
	unsigned		 number, sum = 0;
	int			 rc = WEIR_OK;

	(void)scope, (void)conf;
	if (name.n == 0 || node->w[2].s.p[0] != '$')
		return conf_error(cf, node, 2, "invalid variable name \"%.*s\"",
		    STR_ARG(node->w[2].s));
	if (expr_compile(cf, node, 1, node->w[1].s, &sp->source) != WEIR_OK)
		return WEIR_FAIL;
	if (vars_define(vars_now, name, &def, &number) != WEIR_OK)
		return conf_error(cf, node, 2, "the duplicate \"%.*s\" variable: it is built in",
		    STR_ARG(name));
	for (n = node->child; n != NULL && rc == WEIR_OK; n = n->next)
		rc = add_part(cf, sp, n, &sum);
	return rc;
}

static const struct weir_cmd cmds[] = {
	{ "split_clients", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 2, .args_max = 2, .set = set_split,
	  .flags = CONF_RAW | CONF_MULTI, .args = "string $variable { percent% value; ... * value; }",
	  .doc = "Define a variable that has each value for so many percent of all strings; * stands for the "
	  "rest.  The same string always has the same value.  Values may contain variables." },
	{ 0 }
};

const struct weir_module split_clients_module = {
	.name = "split_clients", .index = &module_index, .cmds = cmds,
	.doc = "Divide clients into groups.",
};
