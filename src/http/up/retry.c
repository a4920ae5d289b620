/*
 * retry.c - what a failure leads to: may the request be tried again?
 *
 * Not when the response has begun, not when a part of the body has gone out that cannot be
 * had again, not beyond the number and the time that the configuration allows; and a request
 * that must not be done twice (RFC 9110, 9.2.2) only before the first byte of it was sent, or with
 * `non_idempotent`.
 */
#include "core/base/clock.h"
#include "http/up/up.h"

enum { MOST_DOUBLED = 10 };	/* so often does the pause before a further try grow */

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

static bool
has_body_kept(const struct weir_up *u)
{
	return u->kept || u->p->body.set || !u->with_body;
}

bool
up_can_replay(const struct weir_up *u)
{
	return is_harmless(u) && has_body_kept(u);
}

bool
up_has_all(const struct weir_up *u)
{
	return has_body_kept(u) || (u->replay != NULL && u->replay->whole && !u->replay->lost);
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

bool
up_may_retry(struct weir_up *u, unsigned bit)
{
	return u->tries < pick_most(&u->pick) && up_may_send_again(u, bit) && budget_allows(&u->pick, &u->p->budget);
}

/* ---- failures ---- */

static int
status_of(enum up_failure how)
{
	return how == UP_TIMEOUT ? 504 : 502;
}

static unsigned
bit_of(enum up_failure how)
{
	switch (how) {
	case UP_TIMEOUT:
		return NEXT_TIMEOUT;
	case UP_INVALID:
		return NEXT_INVALID;
	default:
		return NEXT_ERROR;
	}
}

static enum group_failure
failure_of(enum up_failure how)
{
	return how == UP_TIMEOUT ? GROUP_TIMEOUT : how == UP_INVALID ? GROUP_INVALID : GROUP_ERROR;
}

/* Another server, perhaps after a moment, which doubles with each try. */
void
up_try_next(struct weir_up *u)
{
	if (u->p->next_delay_ms == 0) {
		up_next_peer(u);
		return;
	}
	u->pausing = true;
	req_doing(u->r, "waiting before a further try");
	timer_set(&u->timer, u->p->next_delay_ms << WEIR_MIN(u->tries - 1, (unsigned)MOST_DOUBLED));
}

/*
 * The same peer gets the same request by a younger connection, which for the log is the same attempt; the second
 * time by one that nobody else has used.
 */
static void
repeat(struct weir_up *u, const char *why)
{
	log_info(&u->r->s.log, "%s, on a connection that was kept: once more", why);
	up_drop(u);
	u->own_link = u->fresh_ms != 0;
	u->fresh_ms = weir_now_ms;
	u->request_sent = u->sent_any = false;
	req_doing(u->r, "connecting to upstream");
	up_connect(u);
}

static enum weir_trouble
trouble_of(enum up_failure how)
{
	return how == UP_TIMEOUT ? TROUBLE_TIMEOUT : how == UP_INVALID ? TROUBLE_INVALID : TROUBLE_ERROR;
}

void
up_failed(struct weir_up *u, enum up_failure how, const char *why)
{
	bool untouched = u->x != NULL && u->x->untouched && !u->responded, stale;

	if (u->ended)
		return;
	/* what was not begun to be taken can be taken by another try */
	if (u->request.src != NULL && u->request.moved == 0 && u->request.q.len == 0)
		u->body_begun = false;
	if (u->x != NULL && !u->link->codec->many && u->x->conn->tcp.put == u->put_before)
		u->sent_any = false;
	stale = how == UP_ERROR && up_is_stale(u);
	if (stale && !untouched && up_may_do_twice(u)) {
		repeat(u, why);
		return;
	}
	if (!stale && !untouched)
		count_failed(u->pick.group, failure_of(how));
	if (u->responded) {
		/* mid-body: the client must see that it is cut short */
		pick_trouble(&u->pick, trouble_of(how), why);
		log_errorx(&u->r->s.log, "%s", why);
		req_abort(u->r, why);
		return;
	}
	untouched = untouched && up_may_repeat(u) && u->tries <= pick_most(&u->pick);
	if (why != NULL)
		log_at(&u->r->s.log, untouched ? LOG_INFO_ : LOG_ERROR_, 0, "%s", why);
	if (u->attempts.n != 0 && up_attempt(u)->status == 0)
		up_attempt(u)->status = status_of(how);	/* as nginx has it in $upstream_status */
	if (u->joint != NULL)
		dials_end(&u->joint->making, how == UP_TIMEOUT ? DIALS_TIMEOUT : DIALS_FAILED, why);
	if (!stale && !untouched)
		pick_trouble(&u->pick, trouble_of(how), why);
	up_let_go(u, stale || untouched ? WENT_NOWHERE : WENT_BADLY);
	if (u->rival != NULL) {
		up_hedge_alone(u->rival);
		return;
	}
	if (u->r->body_refused) {
		up_give_up(u, 413);
		return;
	}
	if (untouched) {
		pick_again(&u->pick);
		/* it was no try: $upstream_addr does not have it, proxy_next_upstream_tries does not count it */
		if (u->fresh_ms == 0) {
			u->tries--;
			u->attempts.n--;
		}
		u->fresh_ms = weir_now_ms;
		up_next_peer(u);
		return;
	}
	if (up_may_retry(u, bit_of(how))) {
		up_try_next(u);
		return;
	}
	up_give_up(u, status_of(how));
}
