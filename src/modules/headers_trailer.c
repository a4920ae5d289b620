/*
 * headers_trailer.c - add_trailer: fields that follow the body.
 *
 * Their values are asked for when the last of the body was given, so they may tell what only
 * is known then ($upstream_response_length).
 */
#include "modules/headers.h"

struct trailer_conf {
	struct header_list own;
	const struct header_list *trailers;
	int		 inherit;
};

struct trailer_src {
	struct weir_src	 src;
	struct weir_src	*below;
	struct weir_req	*r;
	bool		 done;
};

static unsigned index_;
extern const struct weir_module headers_trailer_module;

static void
evaluate(struct weir_req *r)
{
	const struct header_list	*l = REQ_CONF(r, trailer_conf, headers_trailer_module)->trailers;
	struct weir_str			 value;
	unsigned			 i;

	for (i = 0; i < l->n; i++) {
		if (!header_applies(&l->v[i], r->rsp.status))
			continue;
		value = expr_eval(&r->s, &l->v[i].value);
		if (value.n != 0 && is_field_value(value))
			fields_add(&r->trailers, r->s.pool, l->v[i].name, value);
	}
}

/* ---- the source ---- */

static ssize_t
trailer_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct trailer_src	*t = WEIR_OF(src, struct trailer_src, src);
	ssize_t			 n = src_read(t->below, to, max);

	if (n == WEIR_FAIL)
		src->err = t->below->err;
	if (n == WEIR_EOF && !t->done) {
		t->done = true;
		evaluate(t->r);
		req_trailers(t->r);
	}
	return n;
}

static void
trailer_want(struct weir_src *src, bool on)
{
	src_want(WEIR_OF(src, struct trailer_src, src)->below, on);
}

static void
trailer_stop(struct weir_src *src)
{
	src_stop(WEIR_OF(src, struct trailer_src, src)->below);
}

static void
on_ready(void *arg)
{
	struct trailer_src	*t = arg;

	if (t->src.ready != NULL)
		t->src.ready(t->src.arg);
}

static const struct weir_src_ops ops = {
	.read = trailer_read, .want = trailer_want, .stop = trailer_stop
};

static void
wrap(struct weir_req *r)
{
	struct trailer_src	*t = POOL_NEW(r->s.pool, trailer_src);

	t->src.ops = &ops;
	t->below = r->body;
	t->r = r;
	src_on_ready(t->below, on_ready, t);
	r->body = &t->src;
	r->late_trailers = true;
}

/* ---- the module ---- */

static bool
any_applies(const struct header_list *l, int status)
{
	unsigned	i;

	for (i = 0; l != NULL && i < l->n; i++)
		if (header_applies(&l->v[i], status))
			return true;
	return false;
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	const struct header_list	*l = REQ_CONF(r, trailer_conf, headers_trailer_module)->trailers;
	int				 status = r->rsp.status;

	if (r->parent != NULL || r->msg->method_id == M_HEAD || status == 204 || status == 304 || !any_applies(l, status))
		return WEIR_NEXT;
	if (r->body == NULL)
		evaluate(r);
	else
		wrap(r);
	return WEIR_NEXT;
}

static int
set_trailer(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const char *const framing[] = { "Transfer-Encoding", "Content-Length", "Host",
	    "Trailer", "Connection", "Content-Encoding", "Content-Type", "Content-Range", NULL };
	const char *const	*f;

	(void)scope;
	/* RFC 9110, 6.5.1: what is needed before the body cannot follow it. */
	for (f = framing; *f != NULL; f++)
		if (str_ieq(node->w[1].s, str_c(*f)))
			return conf_error(cf, node, 1, "%s cannot be a trailer", *f);
	return header_read(cf, node, &((struct trailer_conf *)conf)->own);
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct trailer_conf	*c = conf;
	bool			 here = conf_set_here(scope, &headers_trailer_module, "add_trailer");

	c->trailers = header_resolve(cf, here ? &c->own : NULL, c->trailers,
	    (enum header_inherit)c->inherit);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "add_trailer", IN_HTTP_ANY | IN_IF, CONF_CUSTOM, CONF_AT(trailer_conf, own),
	  .args_min = 2, .args_max = 3, .set = set_trailer, .flags = CONF_MULTI,
	  .args = "name value [always]",
	  .doc = "Add a field behind the body of responses, as add_header does before it.  HTTP/1.1 "
	  "carries it in chunks only." },
	{ "add_trailer_inherit", IN_HTTP_ANY, CONF_ENUM, CONF_AT(trailer_conf, inherit),
	  .def = "on", .choices = header_inherits,
	  .doc = "What add_header_inherit says, for add_trailer." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	const struct header_list *l = ((const struct trailer_conf *)conf)->trailers;

	return l == NULL || l->n == 0;
}

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, idle }, { 0 } };

const struct weir_module headers_trailer_module = {
	.name = "headers_trailer", .index = &index_, .conf_size = sizeof(struct trailer_conf),
	.cmds = cmds, .ready = ready, .hooks = hooks,
	.doc = "Trailers that the configuration adds to responses.",
};
