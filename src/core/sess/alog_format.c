/*
 * alog_format.c - log_format.
 */
#include "core/sess/alog_parts.h"

static const struct { const char *word; enum weir_format_escape escape; } escape_words[] = {
	{ "default", FORMAT_DEFAULT }, { "json", FORMAT_JSON }, { "none", FORMAT_NONE },
};

static int
read_escape(struct weir_conf *cf, const struct weir_node *node, struct weir_str word,
    enum weir_format_escape *to)
{
	unsigned i;

	for (i = 0; i < WEIR_COUNT(escape_words); i++)
		if (str_eq(word, str_c(escape_words[i].word))) {
			*to = escape_words[i].escape;
			return WEIR_OK;
		}
	return conf_error(cf, node, 2, "unknown log format escaping \"%.*s\": it is one of default, "
	    "json and none", STR_ARG(word));
}

int
alog_set_format(struct weir_conf *cf, struct weir_node *node, struct weir_alog_all *all)
{
	struct weir_str		 name = node->w[1].s, word;
	enum weir_format_escape	 escape = FORMAT_DEFAULT;
	struct weir_format	*f;
	unsigned		 w = 2;

	if ((all->kind->combined != NULL && str_eq(name, STR("combined"))) ||
	    hash_get(&all->formats, name) != NULL)
		return conf_error(cf, node, 1, "duplicate \"log_format\" name \"%.*s\"",
		    STR_ARG(name));
	if (conf_param(node, 2, "escape", &word)) {
		if (read_escape(cf, node, word, &escape) != WEIR_OK)
			return WEIR_FAIL;
		if (++w == node->n)
			return conf_error(cf, node, 2, "the format \"%.*s\" is empty", STR_ARG(name));
	}
	f = format_new(cf, escape, all->kind->direct);
	for (; w < node->n; w++)
		if (format_add(cf, f, node, w, node->w[w].s) != WEIR_OK)
			return WEIR_FAIL;
	hash_put(&all->formats, name, f);
	return WEIR_OK;
}

/* A predefined format is made when it is used for the first time. */
static const struct weir_format *
predefined(struct weir_conf *cf, struct weir_alog_all *all, const struct weir_node *node, bool json)
{
	struct weir_str name = json ? STR("json") : STR("combined");
	struct weir_format *f = hash_get(&all->formats, name);

	if (f != NULL)
		return f;
	f = format_new(cf, json ? FORMAT_JSON : FORMAT_DEFAULT, all->kind->direct);
	if (format_add(cf, f, node, 0, str_c(json ? all->kind->json : all->kind->combined)) != WEIR_OK)
		return NULL;
	hash_put(&all->formats, name, f);
	return f;
}

static int
unknown(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_alog_all *all)
{
	const char			*names[64], *like;
	const struct weir_hash_slot	*slot;
	unsigned			 i, n = 0;

	if (all->kind->combined != NULL)
		names[n++] = "combined";
	if (all->kind->json != NULL)
		names[n++] = "json";
	for (i = 0; n < WEIR_COUNT(names) && (slot = hash_next(&all->formats, &i)) != NULL; )
		names[n++] = pool_cstr(cf->pool, slot->key);
	like = conf_nearest(node->w[w].s, names, n);
	return conf_error(cf, node, w, "unknown log format \"%.*s\"%s%s%s", STR_ARG(node->w[w].s),
	    like != NULL ? ", did you mean \"" : "", like != NULL ? like : "",
	    like != NULL ? "\"?" : "");
}

/* As nginx does, a name is found in any case; one that is equal is found first. */
static const struct weir_format *
find(const struct weir_alog_all *all, struct weir_str name)
{
	const struct weir_format	*f = hash_get(&all->formats, name);
	const struct weir_hash_slot	*slot;
	unsigned			 i;

	for (i = 0; f == NULL && (slot = hash_next(&all->formats, &i)) != NULL; )
		if (str_ieq(slot->key, name))
			f = slot->value;
	return f;
}

const struct weir_format *
alog_format(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_alog_all *all)
{
	struct weir_str			 name = node->n > w ? node->w[w].s : STR("combined");
	const struct weir_format	*f;

	if (all->kind->combined != NULL && str_ieq(name, STR("combined")))
		return predefined(cf, all, node, false);
	f = find(all, name);
	if (f == NULL && all->kind->json != NULL && str_ieq(name, STR("json")))
		return predefined(cf, all, node, true);
	if (f == NULL) {
		if (node->n > w)
			unknown(cf, node, w, all);
		else
			conf_error(cf, node, 0, "log format is not specified");
	}
	return f;
}
