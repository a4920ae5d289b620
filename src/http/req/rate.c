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

struct weir_src *
rate_limit(struct weir_req *r, struct weir_src *body)
{
	const struct weir_http_conf *c = REQ_CORE(r);
	uint64_t rate = r->rate_set ? r->limit_rate : size_of(r, &c->limit_rate);
	struct weir_rate *limiter;

	if (rate == 0)
		return body;
	limiter = POOL_NEW(r->s.pool, weir_rate);
	rate_init(limiter, body, rate, size_of(r, &c->limit_rate_after));
	return &limiter->src;
}
