/*
 * mirror.c - requests are made once more, somewhere else, and nobody looks at the answers.
 *
 * The copies go their own way: the client's response does not wait for them, nor does the
 * next request of its connection.
 */
#include "core/base/clock.h"
#include "http/req/sub.h"

struct uris {
	struct weir_str	*v;
	unsigned	 n, room;
	bool		 off;
};

struct mirror_conf {
	struct uris	uris;
	bool		request_body;
};

struct state {				/* of a request */
	bool	kept, done;
	int	status;			/* of reading the body */
};

static unsigned index_;
extern const struct weir_module mirror_module;

static void
start(struct weir_req *r, const struct uris *uris)
{
	static uint64_t told_ms;

	for (unsigned i = 0; i < uris->n; i++) {
		struct weir_sub_opts o = { .uri = uris->v[i], .args = r->uri.has_args ? r->uri.args : STR_NONE,
			.clone = true, .background = true, .keep = SUB_DROP };

		if (sub_start(r, &o) != NULL)
			continue;
		if (told_ms == 0 || weir_now_ms - told_ms >= 60000) {
			told_ms = weir_now_ms;
			log_warnx(&r->s.log, "%d mirrored requests are under way: this one is not mirrored",
			    SUB_BACKGROUND_MAX);
		}
	}
}

static void
on_body(struct weir_req *r, int status)
{
	struct state *st = sess_ctx_make(&r->s, index_, sizeof *st);

	st->kept = true;
	st->status = status;
	weir_resume(&r->s);
}

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);
	const struct mirror_conf *c = REQ_CONF(r, mirror_conf, mirror_module);
	struct state *st;

	if (c->uris.n == 0 || r->parent != NULL)
		return WEIR_NEXT;
	st = sess_ctx_make(s, index_, sizeof *st);
	if (st->done)
		return WEIR_NEXT;
	if (c->request_body && req_has_body(r) && !st->kept) {
		if (r->x->ops->want_body != NULL && (r->msg->flags & MSG_EXPECT))
			r->x->ops->want_body(r->x);
		if (!req_body_keep(r, on_body))
			return WEIR_WAIT;
	}
	if (st->status != 0)
		return req_error(r, st->status);
	st->done = true;
	start(r, &c->uris);
	return WEIR_NEXT;
}

static int
set_mirror(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct mirror_conf *c = conf;
	struct weir_str uri = node->w[1].s;

	(void)scope;
	if (str_eq(uri, STR("off"))) {
		if (c->uris.n != 0)
			return conf_error(cf, node, 1, "\"off\" cannot stand beside a URI to mirror to");
		c->uris.off = true;
		return WEIR_OK;
	}
	if (c->uris.off)
		return conf_error(cf, node, 1, "a URI to mirror to cannot stand beside \"off\"");
	if (uri.n == 0 || uri.p[0] != '/')
		return conf_error(cf, node, 1, "\"%.*s\" is no URI: it begins with a slash", STR_ARG(uri));
	*POOL_PUSH(cf->pool, &c->uris) = uri;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "mirror", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(mirror_conf, uris), .args_min = 1, .args_max = 1,
	  .set = set_mirror, .flags = CONF_MULTI, .args = "uri | off",
	  .doc = "Make a sub-request to this URI for each request, with its method, fields, arguments and body, and "
	  "throw the answer away.  Several may stand in one block.  Neither the response nor the client's next "
	  "request waits for it; a worker has at most 1024 of them under way." },
	{ "mirror_request_body", IN_HTTP_ANY, CONF_FLAG, CONF_AT(mirror_conf, request_body), .def = "on",
	  .doc = "Whether the body is mirrored too.  Then it is read before the request goes anywhere." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct mirror_conf *)conf)->uris.n == 0;
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, idle }, { 0 } };

const struct weir_module mirror_module = {
	.name = "mirror", .index = &index_, .conf_size = sizeof(struct mirror_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Requests are made once more, somewhere else.",
};
