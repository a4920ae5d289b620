/*
 * sub_filter.c - texts in response bodies are replaced by others.
 */
#include "core/io/replace.h"
#include "http/req/edit.h"

struct sub {
	struct weir_expr match, value;
};

struct sub_conf {
	struct {
		struct sub *v;
		unsigned n, room;
	} subs;
	const struct replace_machine *machine;	/* NULL: patterns have variables */
	struct weir_media_types types;
	bool		 once, last_modified;
};

static unsigned index_;
extern const struct weir_module sub_filter_module;

/* ---- the response ---- */

static struct weir_str
value_of(void *arg, unsigned i)
{
	struct weir_req	*r = arg;

	return expr_eval(&r->s, &REQ_CONF(r, sub_conf, sub_filter_module)->subs.v[i].value);
}

static void
on_free(void *arg)
{
	change_end(arg);
}

static void
wrap(struct weir_req *r, const struct replace_machine *m, bool once)
{
	struct weir_replace	*run = POOL_NEW(r->s.pool, weir_replace);

	run->m = m;
	run->once = once;
	run->value = value_of;
	run->arg = r;
	replace_init(run, r->s.pool, r->body);
	pool_on_free(r->s.pool, on_free, &run->change);
	r->body = &run->change.src;
}

/* Patterns with variables are this response's own. */
static const struct replace_machine *
machine_of(struct weir_req *r, const struct sub_conf *conf)
{
	struct weir_str	*texts;
	unsigned	 i;

	if (conf->machine != NULL)
		return conf->machine;
	texts = pool_alloc(r->s.pool, conf->subs.n * sizeof(*texts));
	for (i = 0; i < conf->subs.n; i++)
		texts[i] = expr_eval(&r->s, &conf->subs.v[i].match);
	return replace_machine(r->s.pool, texts, conf->subs.n);
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	const struct sub_conf		*conf = REQ_CONF(r, sub_conf, sub_filter_module);
	const struct replace_machine	*m;

	if (conf->subs.n == 0 || !req_has_content(r) || !media_types_has(&conf->types, r))
		return WEIR_NEXT;
	/* what is compressed has other bytes than it seems */
	if (fields_value(&r->rsp.fields, H_CONTENT_ENCODING).n != 0)
		return WEIR_NEXT;
	m = machine_of(r, conf);
	if (replace_machine_size(m) == 0)
		return WEIR_NEXT;
	req_length_unknown(r);
	if (conf->last_modified) {
		req_etag_weaken(r);
	} else {
		fields_remove_known(&r->rsp.fields, H_LAST_MODIFIED);
		fields_remove_known(&r->rsp.fields, H_ETAG);
	}
	if (r->body != NULL)
		wrap(r, m, conf->once);
	return WEIR_NEXT;
}

/* ---- the module ---- */

static int
set_sub(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct sub_conf	*c = conf;
	struct sub	*sub = POOL_PUSH(cf->pool, &c->subs);

	(void)scope;
	memset(sub, 0, sizeof(*sub));
	if (node->w[1].s.n == 0)
		return conf_error(cf, node, 1, "empty search pattern");
	if (expr_field(cf, node, 1, &sub->match) != WEIR_OK)
		return WEIR_FAIL;
	return expr_field(cf, node, 2, &sub->value);
}

static int
set_types(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return media_types_set(cf, node, &((struct sub_conf *)conf)->types);
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct sub_conf	*c = conf;
	struct weir_str	*texts;
	unsigned	 i;

	if (!conf_set_here(scope, &sub_filter_module, "sub_filter"))
		return WEIR_OK;
	c->machine = NULL;
	texts = pool_alloc(cf->pool, c->subs.n * sizeof(*texts));
	for (i = 0; i < c->subs.n; i++) {
		if (!expr_is_const(&c->subs.v[i].match))
			return WEIR_OK;
		texts[i] = c->subs.v[i].match.source;
	}
	c->machine = replace_machine(cf->pool, texts, c->subs.n);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "sub_filter", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(sub_conf, subs), .args_min = 2,
	  .args_max = 2, .set = set_sub, .flags = CONF_MULTI, .args = "string replacement",
	  .doc = "Replaces a text in response bodies by another.  Both may contain variables; letter case "
	  "does not matter in the text that is looked for.  May be given several times." },
	{ "sub_filter_types", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(sub_conf, types), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_types, .flags = CONF_MULTI, .args = "mime-type ...",
	  .doc = "Media types of responses in which is replaced, beside text/html; \"*\" stands for all." },
	{ "sub_filter_once", IN_HTTP_ANY, CONF_FLAG, CONF_AT(sub_conf, once), .def = "on",
	  .doc = "Whether each text is looked for once only, or again and again." },
	{ "sub_filter_last_modified", IN_HTTP_ANY, CONF_FLAG, CONF_AT(sub_conf, last_modified),
	  .def = "off", .doc = "Keeps Last-Modified, and a weakened ETag, of a response in which is replaced; "
	  "otherwise both are removed." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct sub_conf *)conf)->subs.n == 0;
}

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, idle }, { 0 } };

const struct weir_module sub_filter_module = {
	.name = "sub_filter", .index = &index_, .conf_size = sizeof(struct sub_conf), .cmds = cmds,
	.ready = ready, .hooks = hooks,
	.doc = "Replaces texts in response bodies.",
};
