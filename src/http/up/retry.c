/*
 * retry.c - may the request be tried with another peer?
 *
 * Not when the response has begun, not when a part of the body has gone out that cannot be
 * had again, not beyond the number and the time that the configuration allows; and a request
 * that must not be done twice (RFC 9110, 9.2.2) only before the first byte of it was sent, or with
 * `non_idempotent`.
 */
#include "core/base/clock.h"
#include "http/up/up.h"

static const struct { int status; unsigned bit; } statuses[] = {
	{ 500, NEXT_500 }, { 502, NEXT_502 }, { 503, NEXT_503 }, { 504, NEXT_504 },
	{ 403, NEXT_403 }, { 404, NEXT_404 }, { 429, NEXT_429 },
};

unsigned
up_status_bit(int status)
{
	for (unsigned i = 0; i < WEIR_COUNT(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].bit;
	return 0;
}

static bool
is_idempotent(enum weir_method m)
{
	return m != M_POST && m != M_PATCH && m != M_LOCK && m != M_CONNECT && m != M_OTHER;
}

/* Whatever the method is, and the configuration says: for the upstream it is the first time (RFC 9113, 8.7). */
bool
up_may_repeat(const struct weir_up *u)
{
	return !u->responded && !u->r->head_sent &&
	    (!u->streaming || !u->body_begun || (u->replay != NULL && !u->replay->lost));
}

static bool
is_harmless(const struct weir_up *u)
{
	return is_idempotent(u->r->method_id) || (u->p->next & NEXT_NON_IDEMPOTENT);
}

bool
up_can_replay(const struct weir_up *u)
{
	return is_harmless(u) && (u->kept || u->p->body.set || !u->p->pass_request_body || !req_has_body(u->r));
}

bool
up_may_do_twice(const struct weir_up *u)
{
	return up_may_repeat(u) && (!u->sent_any || is_harmless(u));
}

/*
 * A kept connection that ends before a byte of the answer has come says nothing about the peer, which may have closed
 * it when the request was on its way.  Whoever may do the request twice repeats it, and that is no further try,
 * so proxy_next_upstream has no say.
 */
bool
up_is_stale(const struct weir_up *u)
{
	return u->reused && u->x != NULL && !u->responded && u->x->received == 0 && u->x->came == 0;
}

bool
up_may_send_again(const struct weir_up *u, unsigned bit)
{
	const struct weir_up_params *p = u->p;

	if ((p->next & NEXT_OFF) || !(p->next & bit) || !up_may_do_twice(u))
		return false;
	if (u->late)
		return false;
	if (p->next_tries != 0 && u->tries >= p->next_tries)
		return false;
	if (p->next_timeout_ms != 0 && weir_now_ms - u->began_ms >= p->next_timeout_ms)
		return false;
	return true;
}

static bool
has_budget(struct weir_up *u)
{
	if (u->p->budget == 0 || pick_may_again(&u->pick, u->p->budget, u->p->budget_min))
		return true;
	log_warnx(&u->r->s.log, "the retry budget of upstream \"%.*s\" is spent", STR_ARG(u->pick.group->name));
	return false;
}

bool
up_may_retry(struct weir_up *u, unsigned bit)
{
	return u->tries < pick_most(&u->pick) && up_may_send_again(u, bit) && has_budget(u);
}
