/*
 * location_conf.c - the blocks location and limit_except.
 */
#include "http/msg/msg.h"
#include "http/req/core.h"
#include "http/req/locations.h"

static const struct loc_mark {
	const char	*mark;
	enum weir_loc_kind kind;
	bool		 nocase;
} marks[] = {			/* in the order in which a glued one ("~*x") is tried */
	{ "=", LOC_EXACT, false },
	{ "^~", LOC_PREFIX_FINAL, false },
	{ "~*", LOC_REGEX, true },
	{ "~", LOC_REGEX, false },
};

/* ---- what kind is it ---- */

static const struct loc_mark *
mark_of(struct weir_str word, bool glued)
{
	unsigned	i;

	for (i = 0; i < WEIR_COUNT(marks); i++)
		if (glued ? str_begins(word, str_c(marks[i].mark))
		    : str_eq(word, str_c(marks[i].mark)))
			return &marks[i];
	return NULL;
}

/* `location [= | ~ | ~* | ^~] name`, where the mark may stick to the name. */
static int
read_name(struct weir_conf *cf, const struct weir_node *node, struct weir_location *loc)
{
	const struct loc_mark	*mark = mark_of(node->w[1].s, node->n == 2);
	unsigned		 word = node->n - 1;

	loc->name = node->w[word].s;
	if (mark == NULL && node->n == 3)
		return conf_error(cf, node, 1, "invalid location modifier \"%.*s\": "
		    "it is one of =, ^~, ~ and ~*", STR_ARG(node->w[1].s));
	if (mark == NULL) {
		loc->kind = loc->name.n != 0 && loc->name.p[0] == '@' ? LOC_NAMED : LOC_PREFIX;
	} else {
		loc->kind = mark->kind;
		if (node->n == 2)
			loc->name = str_from(loc->name, strlen(mark->mark));
	}
	if (loc->kind != LOC_REGEX) {
		if (loc->kind != LOC_NAMED && (loc->name.n == 0 || loc->name.p[0] != '/'))
			conf_warn(cf, node, word, "location \"%.*s\" does not begin with \"/\", "
			    "so no path can match it%s", STR_ARG(loc->name),
			    loc->name.n == 0 ? " but all do" : "");
		return WEIR_OK;
	}
	return regex_compile(cf, node, word, loc->name, mark->nocase, &loc->regex);
}

/* ---- where may it stand ---- */

static int
check_nesting(struct weir_conf *cf, const struct weir_node *node, const struct weir_location *loc)
{
	const struct weir_location	*up = loc->parent;

	if (up == NULL)
		return WEIR_OK;
	if (up->kind == LOC_EXACT || up->kind == LOC_NAMED)
		return conf_error(cf, node, 0, "location \"%.*s\" cannot be inside the %s location "
		    "\"%.*s\"", STR_ARG(loc->name), up->kind == LOC_EXACT ? "exact" : "named",
		    STR_ARG(up->name));
	if (loc->kind == LOC_NAMED)
		return conf_error(cf, node, 0, "named location \"%.*s\" can be on the server level "
		    "only", STR_ARG(loc->name));
	if (loc->kind != LOC_REGEX && !str_begins(loc->name, up->name))
		return conf_error(cf, node, 0, "location \"%.*s\" is outside location \"%.*s\"",
		    STR_ARG(loc->name), STR_ARG(up->name));
	return WEIR_OK;
}

static struct weir_location *
add_named(struct weir_http_server *server, struct weir_location *loc)
{
	struct weir_location	*twin = hash_get(&server->named, loc->name);

	if (twin == NULL)
		hash_put(&server->named, loc->name, loc);
	return twin;
}

static int
add(struct weir_conf *cf, struct weir_scope *scope, struct weir_location *loc)
{
	struct weir_http_server	*server = scope_server(scope);
	struct weir_loc_index	**level = loc->parent != NULL ? &loc->parent->nested
				    : &server->locations;
	struct weir_location	*twin;

	if (loc->kind == LOC_NAMED) {
		twin = add_named(server, loc);
	} else {
		if (*level == NULL)
			*level = locations_new(cf->pool);
		twin = locations_add(*level, loc);
	}
	if (twin == NULL)
		return WEIR_OK;
	return conf_error(cf, loc->node, loc->node->n - 1, "duplicate location \"%.*s\", the first "
	    "is in %s:%u", STR_ARG(loc->name), twin->node->file->path, twin->node->w[0].line);
}

int
conf_location(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_location	*loc = POOL_NEW(cf->pool, weir_location);
	bool			 ok;

	(void)conf;
	loc->node = node;
	loc->parent = scope_location(scope);
	ok = read_name(cf, node, loc) == WEIR_OK && check_nesting(cf, node, loc) == WEIR_OK &&
	    add(cf, scope, loc) == WEIR_OK;
	/* What stands inside is read in any case, for the mistakes in it. */
	loc->scope = conf_block(cf, scope, node, IN_LOCATION, loc);
	if (loc->scope == NULL || !ok)
		return WEIR_FAIL;
	loc->conf = loc->scope->conf;
	if (loc->nested != NULL)
		locations_done(loc->nested);
	return WEIR_OK;
}

/* ---- limit_except ---- */

/* As nginx has it, here case does not matter. */
static enum weir_method
read_method(struct weir_str s)
{
	char		big[16];
	size_t		i;

	if (s.n > sizeof(big))
		return M_OTHER;
	for (i = 0; i < s.n; i++)
		big[i] = s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 'a' + 'A') : s.p[i];
	return method_of(str_of(big, s.n));
}

static int
read_methods(struct weir_conf *cf, const struct weir_node *node, unsigned *methods)
{
	enum weir_method	m;
	unsigned		w;

	*methods = 0;
	for (w = 1; w < node->n; w++) {
		if ((m = read_method(node->w[w].s)) == M_OTHER)
			return conf_error(cf, node, w, "invalid method \"%.*s\"",
			    STR_ARG(node->w[w].s));
		*methods |= 1u << m;
		if (m == M_GET)
			*methods |= 1u << M_HEAD;
	}
	return WEIR_OK;
}

int
conf_limit_except(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node,
    void *conf)
{
	struct weir_limit_except *le = POOL_NEW(cf->pool, weir_limit_except);
	struct weir_location	*outer = scope_location(scope);
	bool			 ok = read_methods(cf, node, &le->methods) == WEIR_OK;

	(void)conf;
	le->inner = POOL_NEW(cf->pool, weir_location);
	le->inner->kind = LOC_PSEUDO;
	le->inner->name = outer->name;
	le->inner->node = node;
	le->inner->parent = outer;
	le->inner->scope = conf_block(cf, scope, node, IN_LIMIT, le->inner);
	if (le->inner->scope == NULL || !ok)
		return WEIR_FAIL;
	le->inner->conf = le->inner->scope->conf;
	outer->limit_except = le;
	return WEIR_OK;
}
