/*
 * rate.c - limit_rate and limit_rate_after for a response.
 */
#include "core/base/num.h"
#include "core/io/rate.h"
#include "http/req/rate.h"

static uint64_t
size_of(struct weir_req *r, const struct weir_expr *e)
{
	uint64_t n = 0;

	if (e->source.n != 0 && num_size(expr_eval(&r->s, e), &n) != WEIR_OK)
		n = 0;
	return n;
}

struct limiter {
	struct weir_rate rate;
	struct weir_req	*r;
	void		(*go)(struct weir_req *);
};

/* As text, about: what other versions make of it is not known before it is sent. */
static uint64_t
head_size(const struct weir_msg *m)
{
	uint64_t n = sizeof "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";

	for (unsigned i = 0; i < m->fields.n; i++)
		n += m->fields.v[i].name.n + m->fields.v[i].value.n + 4;
	return n;
}

/* Lets go what is allowed of the head.  WEIR_AGAIN: not all is. */
static int
let_go(struct limiter *l)
{
	struct weir_xchg *x = l->r->x;
	struct weir_bufq nothing = { 0 };

	x->hold = rate_spend(&l->rate, 0);
	if (x->hold == 0)
		return WEIR_OK;
	return sink_write(&x->io.out, &nothing) == WEIR_FAIL ? WEIR_FAIL : WEIR_AGAIN;
}

static void
on_allowed(void *arg)
{
	struct limiter *l = arg;
	struct weir_req *r = l->r;
	int rc = r->finished ? WEIR_AGAIN : let_go(l);

	if (rc == WEIR_AGAIN)
		return;
	src_want(&l->rate.src, false);
	src_on_ready(&l->rate.src, NULL, NULL);
	if (rc == WEIR_OK) {
		l->go(r);
		return;
	}
	log_info(&r->s.log, "%s while sending to client", r->x->io.out.err != NULL ? r->x->io.out.err : "connection lost");
	req_abort(r, NULL);
}

bool
rate_limit(struct weir_req *r, void (*go)(struct weir_req *))
{
	const struct weir_http_conf *c = REQ_CORE(r);
	uint64_t rate = r->rate_set ? r->limit_rate : size_of(r, &c->limit_rate);
	struct limiter *l;

	if (rate == 0)
		return true;
	l = POOL_NEW(r->s.pool, limiter);
	l->r = r;
	l->go = go;
	rate_init(&l->rate, r->body, rate, size_of(r, &c->limit_rate_after));
	r->body = &l->rate.src;
	if (rate_spend(&l->rate, head_size(&r->rsp)) == 0)
		return true;
	src_on_ready(&l->rate.src, on_allowed, l);
	src_want(&l->rate.src, true);
	(void)let_go(l);	/* what is wrong will be noticed again */
	return false;
}
