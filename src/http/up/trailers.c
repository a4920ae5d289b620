/*
 * trailers.c - proxy_pass_trailers: fields behind a body are passed on, both ways.
 *
 * They are known when the body has ended, so each body goes through a source that looks for them
 * at its end.
 */
#include "http/up/up.h"

struct at_end {
	struct weir_src	 src;
	struct weir_src	*below;
	struct weir_up	*u;
	void		(*end)(struct weir_up *);	/* called once; NULL: it was */
};

static ssize_t
end_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct at_end	*e = WEIR_OF(src, struct at_end, src);
	void		(*end)(struct weir_up *) = e->end;
	ssize_t		 n = src_read(e->below, to, max);

	if (n == WEIR_FAIL)
		src->err = e->below->err;
	if (n == WEIR_EOF && end != NULL) {
		e->end = NULL;
		end(e->u);
	}
	return n;
}

static void
end_want(struct weir_src *src, bool on)
{
	src_want(WEIR_OF(src, struct at_end, src)->below, on);
}

static void
end_stop(struct weir_src *src)
{
	src_stop(WEIR_OF(src, struct at_end, src)->below);
}

static void
on_ready(void *arg)
{
	struct at_end	*e = arg;

	if (e->src.ready != NULL)
		e->src.ready(e->src.arg);
}

static const struct weir_src_ops ops = { .read = end_read, .want = end_want, .stop = end_stop };

static struct weir_src *
at_end(struct weir_up *u, struct weir_src *body, void (*end)(struct weir_up *))
{
	struct at_end	*e = POOL_NEW(u->r->s.pool, at_end);

	e->src.ops = &ops;
	e->below = body;
	e->u = u;
	e->end = end;
	src_on_ready(body, on_ready, e);
	return &e->src;
}

/* What may be passed on. */
static void
copy(struct weir_pool *pool, struct weir_fields *to, const struct weir_fields *from)
{
	for (unsigned i = 0; i < from->n; i++)
		if (!from->v[i].hop)
			fields_add(to, pool, from->v[i].name, from->v[i].value);
}

/* ---- to the client ---- */

static void
response_ended(struct weir_up *u)
{
	copy(u->r->s.pool, &u->r->trailers, &u->rsp->trailers);
	req_trailers(u->r);
}

struct weir_src *
up_with_trailers(struct weir_up *u, struct weir_src *body)
{
	return at_end(u, body, response_ended);
}

/* ---- to the upstream ---- */

bool
up_request_trailers(const struct weir_up *u)
{
	return u->p->pass_trailers && u->p->http_version > 0x100 && !u->p->body.set &&
	    (u->kept ? u->r->msg->trailers.n != 0 : u->r->msg->length < 0);
}

static void
request_ended(struct weir_up *u)
{
	struct weir_fields	fs = { 0 };

	copy(u->r->s.pool, &fs, &u->r->msg->trailers);
	if (fs.n != 0 && u->x != NULL)
		xchg_trailers(u->x, &fs);
}

struct weir_src *
up_with_request_trailers(struct weir_up *u, struct weir_src *body)
{
	return at_end(u, body, request_ended);
}
