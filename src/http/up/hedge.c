/*
 * hedge.c - a request without an answer is sent to a second server as well (proxy_hedge).
 *
 * The second exchange is a struct weir_up of its own, with its own pick, link, timers and attempts; the two are
 * rivals.  Whoever has the head of a response first goes on alone, and is the request's; the other one is let go.  When one of them
 * fails, so does it, and the one that is left may be tried again as if it had never had a rival.
 */
#include "core/base/clock.h"
#include "http/up/up.h"

/*
 * Only what changes nothing (RFC 9110, 9.2.1): the one that is given up may still be done, after the client has gone on
 * to something else.
 */
static bool
is_safe(enum weir_method m)
{
	return m == M_GET || m == M_HEAD || m == M_OPTIONS || m == M_PROPFIND || m == M_TRACE;
}

/* Does it wait for a server's answer, and may another one be asked? */
static bool
may_begin(struct weir_up *u)
{
	const struct weir_up_params *p = u->p;

	if (u->ended || u->responded || u->rival != NULL || u->pick.peer == NULL || u->pick.want >= 0 ||
	    !up_has_all(u))
		return false;
	if (p->next_tries != 0 && u->tries >= p->next_tries)
		return false;
	return u->tries < pick_most(&u->pick) && budget_allows(&u->pick, &u->p->budget);
}

static struct weir_up *
make_rival(struct weir_up *u)
{
	struct weir_up *v = POOL_NEW(u->r->s.pool, weir_up);

	up_init(v, u->r, u->p);
	v->target = u->target;
	v->host = u->host;
	v->secure = u->secure;
	v->dial_opts = u->dial_opts;
	v->head = u->head;
	v->body = u->body;
	v->with_body = u->with_body;
	v->kept = u->kept;
	v->whole = u->replay != NULL ? &u->replay->kept : NULL;
	v->sticky_id = u->sticky_id;
	v->began_ms = u->began_ms;
	v->tries = v->tries_before = u->tries_before = u->tries;
	pick_beside(&v->pick, &u->pick, u->r->s.pool);
	return v;
}

static void
on_time(struct weir_timer *t)
{
	struct weir_up *u = WEIR_OF(t, struct weir_up, hedge), *v;
	struct weir_peer *peer;

	if (!may_begin(u))
		return;
	v = make_rival(u);
	peer = pick_next(&v->pick);
	if (peer == NULL)
		return;
	log_info(&u->r->s.log, "no answer for %llu ms, another server is asked as well",
	    (unsigned long long)u->p->hedge_ms);
	count_hedge(u->pick.group);
	u->rival = v;
	v->rival = u;
	up_with_peer(v, peer);
}

void
up_hedge_arm(struct weir_up *u)
{
	if (u->p->tunnel || u->ended || up_upgrades(u) ||
	    !(is_safe(u->r->method_id) || (u->p->next & NEXT_NON_IDEMPOTENT)))
		return;
	timer_init(&u->hedge, on_time);
	timer_set(&u->hedge, u->p->hedge_ms);
}

/* The attempts of the one that is over, before the last one of the other. */
static void
take_attempts(struct weir_up *u, const struct weir_up *over)
{
	struct weir_up_attempt last = *up_attempt(u);

	u->attempts.n--;
	for (unsigned i = 0; i < over->attempts.n; i++)
		*POOL_PUSH(u->r->s.pool, &u->attempts) = over->attempts.v[i];
	*POOL_PUSH(u->r->s.pool, &u->attempts) = last;
}

/* What counts for all of the request. */
static void
take_clocks(struct weir_up *u, struct weir_up *over)
{
	uint64_t gone = weir_now_ms - u->began_ms;

	if (u->p->total_ms != 0 && u->ended)
		timer_off(&over->total);
	if (u->ended)
		return;
	if (u->p->total_ms != 0 && over->total.at != 0) {
		timer_off(&over->total);
		timer_set(&u->total, u->p->total_ms > gone ? u->p->total_ms - gone : 0);
	}
	if (over->leave.at != 0) {
		u->left_at = over->left_at;
		timer_set(&u->leave, over->leave.at > weir_now_ms ? over->leave.at - weir_now_ms : 0);
	}
}

void
up_hedge_alone(struct weir_up *u)
{
	struct weir_up *over = u->rival;

	timer_off(&u->hedge);
	if (over == NULL)
		return;
	u->rival = over->rival = NULL;
	timer_off(&over->hedge);
	take_clocks(u, over);
	if (over->pick.peer != NULL)
		pick_left(&over->pick, weir_now_ms - over->attempt_ms);
	up_let_go(over, WENT_NOWHERE);
	over->ended = true;
	take_attempts(u, over);
	pick_join(&u->pick, &over->pick);
	u->tries += over->tries - over->tries_before;
	u->r->up = u;
}
