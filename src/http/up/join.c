/*
 * join.c - the client and what is left of the upstream become a tunnel.
 *
 * The request's pool goes with the request, so that an idle tunnel is small: what the log will want of the attempts
 * is kept, and a request that is made anew at the end of the tunnel gets it.
 */
#include "core/base/clock.h"
#include "http/up/up.h"

/* What a tunnel remembers of its up: the peer, then the attempts, then their addresses as text. */
struct kept {
	struct weir_peer *peer;		/* NULL: it was the request's own */
	const struct weir_up_params *p;
	uint64_t	 attempt_ms;
	unsigned	 n;
	struct weir_up_attempt attempts[];
};

static char *
texts_of(struct kept *k)
{
	return (char *)(k->attempts + k->n);
}

static size_t
texts_size(const struct weir_up *u)
{
	size_t n = 0;

	for (unsigned i = 0; i < u->attempts.n; i++)
		n += u->attempts.v[i].addr.n;
	return n;
}

static void
keep_attempts(const struct weir_up *u, struct kept *k)
{
	char *p;

	k->n = u->attempts.n;
	memcpy(k->attempts, u->attempts.v, k->n * sizeof *k->attempts);
	p = texts_of(k);
	for (unsigned i = 0; i < k->n; i++)
		p = mempcpy(p, k->attempts[i].addr.p, k->attempts[i].addr.n);
}

static void
take_attempts(struct weir_up *u, const void *keep, size_t size)
{
	struct kept *k = pool_dup(u->r->s.pool, keep, size);
	const char *p = texts_of(k);

	for (unsigned i = 0; i < k->n; i++) {
		k->attempts[i].addr.p = p;
		p += k->attempts[i].addr.n;
	}
	u->attempts.v = k->attempts;
	u->attempts.n = u->attempts.room = k->n;
}

/* The tunnel is over and the request is here again, for the log. */
static void
on_revive(struct weir_req *r, const void *keep, size_t size)
{
	const struct kept *k = keep;
	struct weir_up *u = POOL_NEW(r->s.pool, weir_up);

	if (k->peer != NULL)
		peer_let_go(k->peer);
	u->r = r;
	u->p = k->p;
	u->ended = u->responded = true;
	take_attempts(u, keep, size);
	up_attempt(u)->response_ms = weir_now_ms - k->attempt_ms;
	up_attempt(u)->length = r->body_sent;
	up_attempt(u)->received += r->body_sent;
	r->up = u;
}

/* The client and what is left of the upstream: the connection of the exchange, or `bare`, which never had one. */
static void
join(struct weir_up *u, struct weir_conn *bare)
{
	struct weir_bufq from_other = { 0 }, to_other = { 0 };
	size_t size = sizeof(struct kept) + u->attempts.n * sizeof(struct weir_up_attempt) + texts_size(u);
	struct kept *k = pool_zalloc(u->r->s.pool, size);
	struct weir_tunnel_to to = { .from_other = &from_other, .to_other = &to_other,
		.idle_ms = u->p->read_ms, .keep = k, .keep_size = size, .revive = on_revive };

	k->peer = u->pick.group->brief ? NULL : u->pick.peer;	/* that of variables ends with the request */
	k->p = u->p;
	k->attempt_ms = u->attempt_ms;
	to.other = bare != NULL ? bare : u->x->ops->detach(u->x, &from_other, &to_other);
	if (k->peer != NULL)
		peer_hold(k->peer);
	up_let_go(u, WENT_WELL);
	up_over(u);
	up_attempt(u)->received -= from_other.len;		/* counted when the tunnel hands it on */
	keep_attempts(u, k);
	req_tunnel(u->r, &to);
}

void
up_join(struct weir_up *u)
{
	join(u, NULL);
}

/* CONNECT: what was dialled is all that the client wants. */
void
up_join_bare(struct weir_up *u, struct weir_conn *c)
{
	struct weir_up_attempt *a = up_attempt(u);

	a->connect_ms = a->header_ms = weir_now_ms - u->attempt_ms;
	a->status = u->r->rsp.status = 200;
	pick_heard(&u->pick, a->header_ms);
	pick_answer(&u->pick, 200, a->header_ms);
	count_response(u->pick.group, 200, a->header_ms);
	u->responded = true;
	timer_off(&u->timer);
	join(u, c);
}
