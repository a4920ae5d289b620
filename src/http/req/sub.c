/*
 * sub.c - sub-requests, and the exchange that stands in for their client.
 */
#include "core/net/conn.h"
#include "http/req/steps.h"
#include "http/req/sub.h"
#include "http/req/vars.h"

enum {
	ROOM = 65536,		/* of a body that somebody reads */
	DROP_MOST = 1 << 20	/* of a body that nobody wants: after that its maker is stopped */
};

static unsigned in_background;

static struct weir_sub *
sub_of(struct weir_xchg *x)
{
	return WEIR_OF(x, struct weir_sub, x);
}

/* ---- telling ---- */

static void
tell(struct weir_sub *sub)
{
	void (*fn)(struct weir_sub *) = sub->on_head;

	if (sub->told)
		return;
	sub->told = true;
	if (fn != NULL)
		fn(sub);
}

static bool
has_room(const struct weir_sub *sub)
{
	return sub->keep == SUB_DROP || sub->q.len < ROOM;
}

/* Those who wait: for the head, for bytes to read, for room to write. */
static void
on_tell(struct weir_task *t)
{
	struct weir_sub *sub = WEIR_OF(t, struct weir_sub, tell);

	if (sub->status != 0)
		tell(sub);
	if (sub->want_body && sub->body.ready != NULL && (sub->q.len != 0 || sub->ended)) {
		sub->want_body = false;
		sub->body.ready(sub->body.arg);
	}
	if (sub->want_room && has_room(sub) && sub->x.io.out.ready != NULL) {
		sub->want_room = false;
		sub->x.io.out.ready(sub->x.io.out.arg);
	}
}

/* ---- the request's body: none that is not in r->req_body ---- */

static ssize_t
in_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	(void)src, (void)to, (void)max;
	return WEIR_EOF;
}

/* Who asks for a notice has not looked. */
static void
in_want(struct weir_src *src, bool on)
{
	if (on && src->ready != NULL)
		src->ready(src->arg);
}

static void
in_stop(struct weir_src *src)
{
	(void)src;
}

static const struct weir_src_ops in_ops = { .read = in_read, .want = in_want, .stop = in_stop };

/* ---- the response's body ---- */

static ssize_t
drop(struct weir_sub *sub, struct weir_bufq *from)
{
	size_t n = from->len;

	bufq_clear(from);
	sub->dropped += n;
	sub->x.sent += n;
	if (sub->dropped <= DROP_MOST)
		return (ssize_t)n;
	sub->x.io.out.err = "nobody wants the rest of the body";
	return WEIR_FAIL;
}

static ssize_t
out_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct weir_sub *sub = WEIR_OF(sink, struct weir_sub, x.io.out);
	size_t n = from->len;

	if (sub->keep == SUB_DROP)
		return drop(sub, from);
	if (n != 0 && !has_room(sub))
		return WEIR_AGAIN;
	bufq_move(&sub->q, from, n);
	sub->x.sent += n;
	if (sub->want_body)
		task_post(&sub->tell);
	return (ssize_t)n;
}

static int
out_finish(struct weir_sink *sink)
{
	struct weir_sub *sub = WEIR_OF(sink, struct weir_sub, x.io.out);

	sub->ended = true;
	task_post(&sub->tell);
	return WEIR_OK;
}

static void
out_want(struct weir_sink *sink, bool on)
{
	struct weir_sub *sub = WEIR_OF(sink, struct weir_sub, x.io.out);

	sub->want_room = on;
	if (on && has_room(sub))
		task_post(&sub->tell);
}

static void
out_abort(struct weir_sink *sink)
{
	(void)out_finish(sink);
}

static const struct weir_sink_ops out_ops = {
	.write = out_write, .finish = out_finish, .want = out_want, .abort = out_abort,
};

static ssize_t
body_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_sub *sub = WEIR_OF(src, struct weir_sub, body);
	size_t n = bufq_move(to, &sub->q, max);

	if (sub->want_room)
		task_post(&sub->tell);
	if (n != 0)
		return (ssize_t)n;
	return sub->ended ? WEIR_EOF : WEIR_AGAIN;
}

static void
body_want(struct weir_src *src, bool on)
{
	struct weir_sub *sub = WEIR_OF(src, struct weir_sub, body);

	sub->want_body = on;
	if (on && (sub->q.len != 0 || sub->ended))
		task_post(&sub->tell);
}

static void
body_stop(struct weir_src *src)
{
	struct weir_sub *sub = WEIR_OF(src, struct weir_sub, body);

	sub->want_body = false;
	sub->keep = SUB_DROP;
	bufq_clear(&sub->q);
	if (sub->want_room)
		task_post(&sub->tell);
}

static const struct weir_src_ops body_ops = {
	.read = body_read, .want = body_want, .stop = body_stop,
};

/* ---- the exchange ---- */

static int
head(struct weir_xchg *x, const struct weir_msg *m, unsigned flags)
{
	struct weir_sub *sub = sub_of(x);

	(void)flags;
	if (m->status < 200)		/* 103 and the like are for clients */
		return WEIR_OK;
	sub->status = m->status;
	task_post(&sub->tell);
	return WEIR_OK;
}

static int
trailers(struct weir_xchg *x, const struct weir_fields *f)
{
	(void)x, (void)f;
	return WEIR_OK;
}

static void
cancel(struct weir_xchg *x, enum weir_cancel why)
{
	(void)why;
	out_abort(&x->io.out);
}

static void
release(struct weir_xchg *x)
{
	sub_of(x)->ended = true;
}

static const struct weir_xchg_ops ops = {
	.head = head, .trailers = trailers, .cancel = cancel, .release = release,
};

static bool
is_condition(const struct weir_field *f)
{
	return f->known == H_RANGE || f->known == H_IF_RANGE || f->known == H_IF_MATCH ||
	    f->known == H_IF_NONE_MATCH || f->known == H_IF_MODIFIED_SINCE ||
	    f->known == H_IF_UNMODIFIED_SINCE;
}

/* What the client asks about its own resource says nothing about another one. */
static struct weir_fields
without_conditions(struct weir_pool *pool, const struct weir_fields *from)
{
	struct weir_fields to = { .v = pool_alloc(pool, (from->n + 1) * sizeof *to.v), .room = from->n };

	for (unsigned i = 0; i < from->n; i++)
		if (!is_condition(&from->v[i]))
			to.v[to.n++] = from->v[i];
	return to;
}

static void
make_msg(struct weir_msg *m, const struct weir_req *parent, bool clone)
{
	*m = *parent->msg;
	m->flags &= (uint16_t)~(MSG_CHUNKED | MSG_EXPECT | MSG_UPGRADE | MSG_HAS_LENGTH | MSG_CLOSE |
	    MSG_EXTENDED);
	m->length = 0;
	if (!clone) {
		m->method_id = M_GET;
		m->method = STR("GET");
		m->fields = without_conditions(parent->s.pool, &parent->msg->fields);
	} else if (parent->req_body != NULL && parent->req_body->len != 0) {
		m->length = (int64_t)parent->req_body->len;
		m->flags |= MSG_HAS_LENGTH;
	}
}

static void
make_xchg(struct weir_sub *sub, struct weir_req *parent, bool clone)
{
	struct weir_xchg *x = &sub->x;

	x->magic = WEIR_XCHG_MAGIC;
	x->version = parent->msg->version;
	x->io.in.ops = &in_ops;
	x->io.out.ops = &out_ops;
	x->ops = &ops;
	x->conn = conn_likeness(parent->s.conn, parent->s.pool);
	x->pool = parent->s.pool;
	make_msg(&x->msg, parent, clone);
	x->in_eof = 1;
	x->number = parent->x->number;
}

static void
clear_queue(void *arg)
{
	bufq_clear(arg);
}

/* A body of its own: whoever streams it takes it out of the queue. */
static struct weir_req_body *
share_body(struct weir_req *r, const struct weir_req_body *from)
{
	struct weir_req_body *b;

	if (from == NULL)
		return NULL;
	b = POOL_NEW(r->s.pool, weir_req_body);
	b->r = r;
	b->len = from->len;
	b->path = from->path;
	b->complete = true;
	bufq_share(&b->q, &from->q);
	pool_on_free(r->s.pool, clear_queue, &b->q);
	return b;
}

static struct weir_req *
make_req(struct weir_sub *sub, struct weir_req *parent, const struct weir_sub_opts *o,
    struct weir_location *named)
{
	struct weir_req *r = req_make(&sub->x);

	r->parent = parent;
	r->sub = sub;
	r->internal = true;
	r->server = parent->server;
	r->host = parent->host;
	r->port = parent->port;
	if (parent->s.peer != &parent->s.conn->peer)
		r->s.peer = parent->s.peer;
	vars_make(&parent->s);
	r->s.vars = parent->s.vars;
	r->s.cap = parent->s.cap;
	r->uri.path = o->uri;
	r->uri.args = o->args;
	r->uri.has_args = o->args.p != NULL;
	r->uri_rewritten = true;
	r->req_body = o->clone ? share_body(r, parent->req_body) : NULL;
	if (named != NULL)
		r->uri = parent->uri;
	req_set_location(r, named);
	return r;
}

/* The memory of both goes. */
static void
on_pool(void *arg)
{
	struct weir_sub *sub = arg;

	task_off(&sub->tell);
	bufq_clear(&sub->q);
}

static void
on_begin(struct weir_task *t)
{
	struct weir_sub *sub = WEIR_OF(t, struct weir_sub, tell);

	task_init(&sub->tell, on_tell);
	req_go(sub->r, sub->named ? STEP_REWRITE : STEP_SERVER_REWRITE);
}

static const struct weir_sub_told *
tell_of(const struct weir_req *r)
{
	struct weir_sub_told *t = POOL_NEW(r->s.pool, weir_sub_told);

	t->sent = r->x->sent;
	t->body_sent = r->body_sent;
	t->length = req_length(r);
	t->whole = r->body_whole;
	return t;
}

struct weir_sub *
sub_start(struct weir_req *parent, const struct weir_sub_opts *o)
{
	struct weir_location	*named = NULL;
	struct weir_sub		*sub;

	assert(parent->parent == NULL);
	if (o->uri.p[0] == '@' && (named = hash_get(&parent->server->named, o->uri)) == NULL)
		return NULL;
	if (o->background && in_background >= SUB_BACKGROUND_MAX)
		return NULL;
	sub = POOL_NEW(parent->s.pool, weir_sub);
	sub->parent = parent;
	sub->keep = o->keep;
	sub->background = o->background;
	sub->on_head = o->on_head;
	sub->arg = o->arg;
	sub->body.ops = &body_ops;
	in_background += o->background;
	if (parent->subs.next == NULL)
		list_init(&parent->subs);
	list_append(&parent->subs, &sub->node);
	make_xchg(sub, parent, o->clone);
	sub->r = make_req(sub, parent, o, named);
	sub->named = named != NULL;
	if (o->instead) {
		sub->instead = tell_of(parent);
		sub->r->s.began_ms = parent->s.began_ms;
	}
	pool_on_free(parent->s.pool, on_pool, sub);
	task_init(&sub->tell, on_begin);
	task_post(&sub->tell);
	return sub;
}

/* ---- the end ---- */

void
sub_parent_ends(struct weir_req *parent)
{
	struct weir_list *at, *next;

	if (parent->subs.next == NULL)
		return;
	list_each_safe(at, next, &parent->subs) {
		struct weir_sub *sub = WEIR_OF(at, struct weir_sub, node);

		sub->on_head = NULL;
		sub->body.ready = NULL;
		sub->want_body = false;
		if (sub->background || sub->r->finished)
			continue;
		body_stop(&sub->body);
		sub->x.gone = 2;
		if (sub->x.on_gone != NULL)
			sub->x.on_gone(&sub->x, "the request that asked has ended");
	}
}

void
sub_free(struct weir_sub *sub)
{
	struct weir_req *parent = sub->parent;

	in_background -= sub->background;
	list_remove(&sub->node);
	tell(sub);
	if (sub->want_body)
		task_post(&sub->tell);
	if (parent->unfreed && list_empty(&parent->subs))
		pool_free(parent->s.pool);
}
