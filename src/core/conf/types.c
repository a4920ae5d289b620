/*
 * types.c - the types: words to fields.
 *
 * Each reads its words, complains about them itself, and stores what it read
 * where the directive's row says.
 */
#include <sys/stat.h>

#include "core/base/num.h"
#include "core/conf/parts.h"

#define SECONDS_MAX	((int64_t)INT32_MAX * 1000)

static const struct {
	size_t	 size;
	unsigned args_max;
} types[] = {
	[CONF_FLAG]	= { sizeof(bool), 1 },
	[CONF_INT]	= { sizeof(int64_t), 1 },
	[CONF_SIZE]	= { sizeof(uint64_t), 1 },
	[CONF_MSEC]	= { sizeof(uint64_t), 1 },
	[CONF_STR]	= { sizeof(struct weir_str), 1 },
	[CONF_PATH]	= { sizeof(struct weir_str), 1 },
	[CONF_ENUM]	= { sizeof(int), 1 },
	[CONF_BITS]	= { sizeof(unsigned), CONF_ANY },
	[CONF_LIST]	= { sizeof(struct weir_conf_list), CONF_ANY },
	[CONF_CUSTOM]	= { 0, 0 },
};

size_t
type_size(enum weir_type t)
{
	return types[t].size;
}

void
type_args(const struct weir_cmd *cmd, unsigned *min, unsigned *max)
{
	*min = cmd->args_min;
	*max = cmd->args_max;
	if (*min != 0 || *max != 0) {
		*max = WEIR_MAX(*min, *max);
		return;
	}
	*max = types[cmd->type].args_max;
	*min = *max != 0;
}

/*
 * Words.
 */

int
conf_flag(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str s, bool *to)
{
	bool on = str_ieq(s, STR("on"));

	if (!on && !str_ieq(s, STR("off")))
		return conf_error(cf, n, w, "invalid value \"%.*s\", it must be \"on\" or \"off\"",
		    STR_ARG(s));
	*to = on;
	return WEIR_OK;
}

static int
out_of_bounds(struct weir_conf *cf, const struct weir_node *n, unsigned w, int64_t min, int64_t max)
{
	if (max == INT64_MAX)
		return conf_error(cf, n, w, "value must be equal to or greater than %lld",
		    (long long)min);
	return conf_error(cf, n, w, "value must be between %lld and %lld", (long long)min,
	    (long long)max);
}

int
conf_u64(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str s,
    int64_t min, int64_t max, uint64_t *to)
{
	uint64_t v;

	if (max == 0)
		max = INT64_MAX;
	if (num_u64(s, &v) != WEIR_OK)
		return conf_error(cf, n, w, "invalid number \"%.*s\"", STR_ARG(s));
	if (v > (uint64_t)max || (min > 0 && v < (uint64_t)min))
		return out_of_bounds(cf, n, w, WEIR_MAX(min, 0), max);
	*to = v;
	return WEIR_OK;
}

int
conf_size(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str s,
    uint64_t *to)
{
	uint64_t v;

	if (num_size(s, &v) != WEIR_OK || v > INT64_MAX)
		return conf_error(cf, n, w, "invalid size \"%.*s\", it is a number, maybe "
		    "with k, m or g behind it", STR_ARG(s));
	*to = v;
	return WEIR_OK;
}

int
conf_msec(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str s,
    uint64_t *to)
{
	uint64_t v;

	if (num_msec(s, &v) != WEIR_OK || v > SECONDS_MAX)
		return conf_error(cf, n, w, "invalid time \"%.*s\", it is a number of seconds, or "
		    "numbers with ms, s, m, h, d, w, M or y behind them", STR_ARG(s));
	*to = v;
	return WEIR_OK;
}

bool
conf_param(const struct weir_node *n, unsigned w, const char *name, struct weir_str *value)
{
	size_t		len = strlen(name);
	struct weir_str s;

	if (w >= n->n)
		return false;
	s = n->w[w].s;
	if (s.n <= len || s.p[len] != '=' || memcmp(s.p, name, len) != 0)
		return false;
	*value = str_from(s, len + 1);
	return true;
}

int
conf_bad_param(struct weir_conf *cf, const struct weir_node *n, unsigned w,
    const char *const *known)
{
	struct weir_str	 s = n->w[w].s, name = s, why;
	ssize_t		 eq = str_chr(s, '=');
	const char	*near;
	unsigned	 count = 0;

	while (known[count] != NULL)
		count++;
	if (eq >= 0)
		name.n = (size_t)eq;
	near = conf_nearest(name, known, count);
	why = conf_foreign(cf, n, pool_printf(cf->pool, "%.*s/", STR_ARG(n->w[0].s)).p, name);
	if (why.n != 0)
		return conf_error(cf, n, w, "invalid parameter \"%.*s\"%.*s", STR_ARG(s), STR_ARG(why));
	/* The name alone may be right, and its `=` too much or missing. */
	if (near == NULL || str_eq(name, str_c(near)))
		return conf_error(cf, n, w, "invalid parameter \"%.*s\"", STR_ARG(s));
	return conf_error(cf, n, w, "invalid parameter \"%.*s\", did you mean \"%s\"?", STR_ARG(s),
	    near);
}

struct weir_str
conf_path(struct weir_conf *cf, struct weir_str s, bool to_conf_prefix)
{
	const char *prefix = to_conf_prefix ? cf->conf_prefix : cf->prefix;

	if (prefix == NULL || (s.n != 0 && s.p[0] == '/'))
		return str_of(pool_cstr(cf->pool, s), s.n);
	return pool_printf(cf->pool, "%s%.*s", prefix, STR_ARG(s));
}

int
conf_folder(struct weir_conf *cf, const struct weir_node *n, struct weir_str path)
{
	struct stat st;

	if (stat(path.p, &st) == 0 && !S_ISDIR(st.st_mode))
		return conf_error(cf, n, 1, "\"%.*s\" is not a directory", STR_ARG(path));
	return WEIR_OK;
}

int
conf_no_folder(struct weir_conf *cf, const struct weir_node *n, struct weir_str path)
{
	struct stat st;

	if (stat(path.p, &st) == 0 && S_ISDIR(st.st_mode))
		return conf_error(cf, n, 1, "\"%.*s\" is a directory", STR_ARG(path));
	return WEIR_OK;
}

/*
 * Words that stand for numbers.
 */

static const struct weir_choice *
find_choice(const struct weir_choice *c, struct weir_str s)
{
	for (; c != NULL && c->name != NULL; c++)
		if (str_ieq(s, str_c(c->name)))
			return c;
	return NULL;
}

static int
bad_choice(struct weir_conf *cf, const struct weir_cmd *cmd, const struct weir_node *n, unsigned w)
{
	const char		*names[32], *near;
	const struct weir_choice *c;
	struct weir_str		 s = n->w[w].s, all = STR_NONE;
	unsigned		 count = 0;

	for (c = cmd->choices; c->name != NULL && count < WEIR_COUNT(names); c++) {
		all = pool_printf(cf->pool, "%.*s%s\"%s\"", STR_ARG(all), all.n != 0 ? ", " : "",
		    c->name);
		names[count++] = c->name;
	}
	near = conf_nearest(s, names, count);
	if (near != NULL)
		return conf_error(cf, n, w, "invalid value \"%.*s\", did you mean \"%s\"?",
		    STR_ARG(s), near);
	return conf_error(cf, n, w, "invalid value \"%.*s\", it must be one of %.*s", STR_ARG(s),
	    STR_ARG(all));
}

static int
store_enum(struct weir_conf *cf, const struct weir_cmd *cmd, const struct weir_node *n, void *to)
{
	const struct weir_choice *c = find_choice(cmd->choices, n->w[1].s);

	if (c == NULL)
		return bad_choice(cf, cmd, n, 1);
	*(int *)to = (int)c->value;
	return WEIR_OK;
}

static int
store_bits(struct weir_conf *cf, const struct weir_cmd *cmd, const struct weir_node *n, void *to)
{
	const struct weir_choice *c;
	unsigned		  bits = 0, i;

	for (i = 1; i < n->n; i++) {
		if ((c = find_choice(cmd->choices, n->w[i].s)) == NULL)
			return bad_choice(cf, cmd, n, i);
		if ((bits & (unsigned)c->value) == (unsigned)c->value && c->value != 0)
			conf_warn(cf, n, i, "duplicate value \"%s\"", c->name);
		bits |= (unsigned)c->value;
	}
	*(unsigned *)to = bits;
	return WEIR_OK;
}

/*
 * Numbers.
 */

static int
store_int(struct weir_conf *cf, const struct weir_cmd *cmd, const struct weir_node *n, void *to)
{
	int64_t v, max = cmd->max != 0 ? cmd->max : INT32_MAX;

	if (num_i64(n->w[1].s, &v) != WEIR_OK)
		return conf_error(cf, n, 1, "invalid number \"%.*s\"", STR_ARG(n->w[1].s));
	if (v < cmd->min || v > max)
		return out_of_bounds(cf, n, 1, cmd->min, max);
	*(int64_t *)to = v;
	return WEIR_OK;
}

static int
store_amount(struct weir_conf *cf, const struct weir_cmd *cmd, const struct weir_node *n, void *to)
{
	uint64_t v = 0;
	int	 rc;

	if (cmd->type == CONF_SIZE)
		rc = conf_size(cf, n, 1, n->w[1].s, &v);
	else
		rc = conf_msec(cf, n, 1, n->w[1].s, &v);
	if (rc != WEIR_OK)
		return rc;
	if ((int64_t)v < cmd->min || (cmd->max != 0 && (int64_t)v > cmd->max))
		return out_of_bounds(cf, n, 1, cmd->min, cmd->max != 0 ? cmd->max : INT64_MAX);
	*(uint64_t *)to = v;
	return WEIR_OK;
}

static int
store_number(struct weir_conf *cf, const struct weir_cmd *cmd, const struct weir_node *n, void *to)
{
	const struct weir_choice *c = find_choice(cmd->choices, n->w[1].s);

	if (c != NULL) {
		/* int64_t or uint64_t: the same bits. */
		*(int64_t *)to = c->value;
		return WEIR_OK;
	}
	return cmd->type == CONF_INT ? store_int(cf, cmd, n, to) : store_amount(cf, cmd, n, to);
}

int
type_store(struct weir_conf *cf, const struct weir_cmd *cmd, const struct weir_node *n, void *conf)
{
	struct weir_conf_list	*list;
	void			*to = (char *)conf + cmd->at;
	unsigned		 i;

	switch (cmd->type) {
	case CONF_FLAG:
		return conf_flag(cf, n, 1, n->w[1].s, to);
	case CONF_INT:
	case CONF_SIZE:
	case CONF_MSEC:
		return store_number(cf, cmd, n, to);
	case CONF_STR:
		*(struct weir_str *)to = n->w[1].s;
		return WEIR_OK;
	case CONF_PATH:
		if (n->w[1].s.n == 0)
			return conf_error(cf, n, 1, "the path is empty");
		*(struct weir_str *)to = conf_path(cf, n->w[1].s, false);
		return WEIR_OK;
	case CONF_ENUM:
		return store_enum(cf, cmd, n, to);
	case CONF_BITS:
		return store_bits(cf, cmd, n, to);
	case CONF_LIST:
		list = to;
		for (i = 1; i < n->n; i++)
			*POOL_PUSH(cf->pool, list) = n->w[i].s;
		return WEIR_OK;
	case CONF_CUSTOM:
		break;
	}
	return WEIR_OK;
}
