/*
 * addition.c - text before and after responses, made by sub-requests.
 *
 * The body becomes a row of up to three sources, read one after the other.  The sub-request behind
 * is made when its turn comes.
 */
#include "http/req/edit.h"
#include "http/req/sub.h"

struct addition_conf {
	struct weir_expr	 before, after;
	struct weir_media_types	 types;
};

struct row {				/* the body that the client gets */
	struct weir_src		 src;
	struct weir_req		*r;
	struct weir_src		*now;		/* the one that is read; NULL: all ended */
	struct weir_src		*own;		/* what was the body, until its turn; NULL: there was none */
	const struct addition_conf *c;
	enum { BEFORE, OWN, AFTER, OVER } turn;
};

static unsigned index_;
extern const struct weir_module addition_module;

static void
on_ready(void *arg)
{
	struct row *row = arg;

	if (row->src.ready != NULL)
		row->src.ready(row->src.arg);
}

static struct weir_src *
ask(struct row *row, const struct weir_expr *uri)
{
	struct weir_sub_opts o = { .uri = expr_eval(&row->r->s, uri), .keep = SUB_KEEP };
	ssize_t q = str_chr(o.uri, '?');

	if (o.uri.n == 0)
		return NULL;
	if (q >= 0) {
		o.args = str_from(o.uri, (size_t)q + 1);
		o.uri.n = (size_t)q;
	}
	return &sub_start(row->r, &o)->body;
}

/* The next source that there is. */
static void
turn(struct row *row)
{
	row->now = NULL;
	while (row->now == NULL && ++row->turn != OVER)
		row->now = row->turn == OWN ? row->own : ask(row, &row->c->after);
	if (row->now == row->own)
		row->own = NULL;
	if (row->now != NULL)
		src_on_ready(row->now, on_ready, row);
}

static ssize_t
row_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct row *row = WEIR_OF(src, struct row, src);

	while (row->now != NULL) {
		ssize_t n = src_read(row->now, to, max);

		if (n == WEIR_FAIL)
			src->err = row->now->err;
		if (n != WEIR_EOF)
			return n;
		turn(row);
	}
	return WEIR_EOF;
}

static void
row_want(struct weir_src *src, bool on)
{
	struct row *row = WEIR_OF(src, struct row, src);

	if (row->now != NULL)
		src_want(row->now, on);
}

static void
row_stop(struct weir_src *src)
{
	struct row *row = WEIR_OF(src, struct row, src);

	if (row->now != NULL)
		src_stop(row->now);
	if (row->own != NULL)
		src_stop(row->own);
	row->now = row->own = NULL;
}

static const struct weir_src_ops row_ops = { .read = row_read, .want = row_want, .stop = row_stop };

static bool
applies(struct weir_req *r, const struct addition_conf *c)
{
	return (c->before.source.n != 0 || c->after.source.n != 0) && r->parent == NULL &&
	    r->rsp.status == 200 && r->msg->method_id != M_HEAD && media_types_has(&c->types, r);
}

static enum weir_next
on_response(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);
	const struct addition_conf *c = REQ_CONF(r, addition_conf, addition_module);
	struct row *row;

	if (!applies(r, c))
		return WEIR_NEXT;
	row = POOL_NEW(r->s.pool, row);
	row->src.ops = &row_ops;
	row->r = r;
	row->c = c;
	row->own = r->body;
	req_length_unknown(r);
	req_etag_weaken(r);
	fields_remove_known(&r->rsp.fields, H_LAST_MODIFIED);
	r->at_hand = NULL;
	r->body = &row->src;
	row->turn = BEFORE;
	row->now = ask(row, &c->before);
	if (row->now == NULL)
		turn(row);
	else
		src_on_ready(row->now, on_ready, row);
	return WEIR_NEXT;
}

static int
set_uri(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct addition_conf *c = conf;
	bool before = str_eq(node->w[0].s, STR("add_before_body"));

	(void)scope;
	return expr_field(cf, node, 1, before ? &c->before : &c->after);
}

static int
set_types(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return media_types_set(cf, node, &((struct addition_conf *)conf)->types);
}

static const struct weir_cmd cmds[] = {
	{ "add_before_body", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_uri,
	  .args = "uri",
	  .doc = "Put what a sub-request to this URI answers in front of bodies.  May contain variables; empty: "
	  "nothing." },
	{ "add_after_body", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_uri,
	  .args = "uri",
	  .doc = "Put what a sub-request to this URI answers behind bodies.  May contain variables; empty: "
	  "nothing." },
	{ "addition_types", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(addition_conf, types), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_types, .flags = CONF_MULTI, .args = "mime-type ...",
	  .doc = "The media types of responses that get additions, besides text/html; \"*\": all." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	const struct addition_conf *c = conf;

	return c->before.source.n == 0 && c->after.source.n == 0;
}

static const struct weir_hook hooks[] = { { ON_RESPONSE, on_response, idle }, { 0 } };

const struct weir_module addition_module = {
	.name = "addition", .index = &index_, .conf_size = sizeof(struct addition_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Text before and after responses, made by sub-requests.",
};
