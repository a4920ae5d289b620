/*
 * types_conf.c - which extension is which media type.
 *
 * All types blocks of one level make one map, which replaces that of the level above.
 */
#include "http/req/core.h"

static struct weir_hash *
map_new(struct weir_pool *pool)
{
	struct weir_hash	*h = POOL_NEW(pool, weir_hash);

	hash_init(h, pool, true);
	return h;
}

static void
read_line(struct weir_conf *cf, const struct weir_node *line, struct weir_hash *h)
{
	struct weir_str	*old, *type = pool_alloc(cf->pool, sizeof(*type));
	unsigned	 w;

	*type = line->w[0].s;
	for (w = 1; w < line->n; w++) {
		if ((old = hash_put(h, line->w[w].s, type)) != NULL && !str_eq(*old, *type))
			conf_warn(cf, line, w, "duplicate extension \"%.*s\", content type: "
			    "\"%.*s\", previous content type: \"%.*s\"",
			    STR_ARG(line->w[w].s), STR_ARG(*type), STR_ARG(*old));
	}
}

int
conf_types(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_http_conf	*c = conf;
	const struct weir_node	*line;

	(void)scope;
	if (c->types == NULL)
		c->types = map_new(cf->pool);
	for (line = node->child; line != NULL; line = line->next) {
		if (line->n < 2)
			return conf_error(cf, line, 0, "a line of types is a media type and "
			    "its extensions");
		if (str_chr(line->w[0].s, '/') < 0)
			conf_warn(cf, line, 0, "\"%.*s\" does not look like a media type",
			    STR_ARG(line->w[0].s));
		read_line(cf, line, c->types);
	}
	return WEIR_OK;
}
