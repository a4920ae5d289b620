/*
 * udp.c - datagrams between a client and its upstream.
 *
 * Rates count as nginx's: at any time a second's worth more than what the rate has allowed since the beginning may have
 * been passed on, and a datagram is never cut.  What the client sends too early is held, not without end; of
 * the upstream nothing is read meanwhile.
 */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "stream/udp.h"

enum { UP, DOWN };	/* rates, moved, timers */

static struct weir_slab slab = WEIR_SLAB(weir_stream_udp);

static void
heard(struct weir_stream_udp *d)
{
	timer_set(&d->idle, d->u->p->timeout_ms);
}

static bool
is_answered(const struct weir_stream_udp *d)
{
	const struct weir_stream_params *p = d->u->p;

	return p->responses >= 0 && d->responses >= (uint64_t)p->responses * d->requests;
}

static void
tell_end(struct weir_stream_udp *d, const char *what)
{
	const struct weir_udp *c = udp_of(d->u->st->s.conn);

	log_info(&d->u->st->s.log, "%s, packets from/to client:%llu/%llu, bytes from/to client:%llu/%llu, bytes from/to "
	    "upstream:%llu/%llu", what, (unsigned long long)c->taken, (unsigned long long)c->answered,
	    (unsigned long long)c->conn.tcp.got, (unsigned long long)c->conn.tcp.put,
	    (unsigned long long)d->link.got, (unsigned long long)d->link.put);
}

/* Has everything come that was waited for?  Then nothing of the session may be used any more. */
static bool
is_over(struct weir_stream_udp *d)
{
	const struct weir_stream_params *p = d->u->p;

	if ((p->requests != 0 && d->requests < (uint64_t)p->requests) || !is_answered(d) || d->held.n != 0)
		return false;
	tell_end(d, "udp done");
	(void)stream_finish(d->u->st, 200, "answered");
	return true;
}

static void
on_idle(struct weir_timer *t)
{
	struct weir_stream_udp *d = WEIR_OF(t, struct weir_stream_udp, idle);
	struct weir_stream_up *u = d->u;

	if (u->p->responses < 0 || is_answered(d)) {
		tell_end(d, "udp timed out");
		(void)stream_finish(u->st, 200, "idle");
		return;
	}
	log_errorx(&u->st->s.log, "upstream timed out (110: Connection timed out)");
	stream_up_lost(u, TROUBLE_TIMEOUT, "it did not answer", false);
}

/* The upstream does not take what is sent to it. */
static void
refused(struct weir_stream_udp *d, int err, const char *call)
{
	struct weir_stream *st = d->u->st;
	char why[128];

	snprintf(why, sizeof why, "%s failed (%d: %s)", call, err, strerror(err));
	log_at(&st->s.log, LOG_ERROR_, err, "%s failed", call);
	stream_up_lost(d->u, TROUBLE_ERROR, why, d->responses == 0);
}

/* ---- rates ---- */

/* In how many ms something may go on in this direction; 0: now. */
static uint64_t
wait_ms(const struct weir_stream_udp *d, unsigned i)
{
	uint64_t elapsed = weir_now_ms - d->u->st->s.began_ms, due;

	if (d->rates[i] == 0 || d->moved[i] < d->rates[i])
		return 0;
	due = (d->moved[i] - d->rates[i]) * 1000 / d->rates[i] + 1;
	return due > elapsed ? due - elapsed : 0;
}

static uint64_t
rate_of(struct weir_stream *st, const struct weir_expr *e)
{
	uint64_t rate = 0;

	return e->set && num_size(expr_eval(&st->s, e), &rate) == WEIR_OK ? rate : 0;
}

/* ---- from the client ---- */

/* False: that was the session's end. */
static bool
pass_on(struct weir_stream_udp *d, struct weir_bundle b)
{
	size_t n = bundle_count(&b);

	d->moved[UP] += b.n;
	if (dgram_put(&d->link, b, d->head) == n) {
		d->head = STR_NONE;
		return true;
	}
	if (errno == EAGAIN || errno == ENOBUFS || errno == EMSGSIZE)
		return true;		/* lost, as datagrams are */
	refused(d, errno, "send()");
	return false;
}

static void
on_client(struct weir_udp *c, struct weir_bundle b)
{
	struct weir_stream *st = c->conn.owner;
	struct weir_stream_udp *d = st->up->udp;

	d->requests += bundle_count(&b);
	heard(d);
	if (d->responses == 0 && d->u->p->next)
		(void)dgramq_put(&d->sent, &b);
	if (d->link.ev.fd < 0)		/* between two servers: it goes with what is kept */
		return;
	if (d->held.n != 0 || wait_ms(d, UP) != 0) {
		(void)dgramq_put(&d->held, &b);
		if (d->held.n == 1)
			timer_set(&d->timers[UP], wait_ms(d, UP));
		return;
	}
	if (pass_on(d, b) && d->u->p->responses == 0)
		(void)is_over(d);
}

static void
on_may_send(struct weir_timer *t)
{
	struct weir_stream_udp *d = WEIR_OF(t, struct weir_stream_udp, timers[UP]);
	struct weir_bundle b;

	while (dgramq_first(&d->held, &b) && wait_ms(d, UP) == 0) {
		if (!pass_on(d, b))
			return;
		dgramq_drop(&d->held);
	}
	if (d->held.n != 0)
		timer_set(t, wait_ms(d, UP));
	else
		(void)is_over(d);
}

/* ---- from the upstream ---- */

static void
on_first(struct weir_stream_udp *d)
{
	dgramq_clear(&d->sent);
	stream_up_heard(d->u);
}

static void
on_upstream(struct weir_dgram *l, struct weir_bundle b)
{
	struct weir_stream_udp *d = l->owner;

	if (d->responses == 0)
		on_first(d);
	d->responses += bundle_count(&b);
	d->moved[DOWN] += b.n;
	heard(d);
	(void)udp_put(udp_of(d->u->st->s.conn), b);
	if (is_over(d))
		return;
	if (!d->paused && wait_ms(d, DOWN) != 0) {
		d->paused = true;
		fd_unwatch(&l->ev);
		timer_set(&d->timers[DOWN], wait_ms(d, DOWN));
	}
}

static void
on_may_read(struct weir_timer *t)
{
	struct weir_stream_udp *d = WEIR_OF(t, struct weir_stream_udp, timers[DOWN]);

	d->paused = false;
	if (d->link.ev.fd >= 0 && fd_watch_level(&d->link.ev) != WEIR_OK)
		refused(d, errno, "epoll_ctl()");
}

static void
on_error(struct weir_dgram *l, int err)
{
	refused(l->owner, err, "recv()");
}

/* ---- begin and end ---- */

static struct weir_stream_udp *
make(struct weir_stream_up *u)
{
	struct weir_stream_udp *d = slab_take(&slab);

	memset(d, 0, sizeof *d);
	d->u = u;
	u->udp = d;
	d->link.ev.fd = -1;
	dgramq_init(&d->sent);
	dgramq_init(&d->held);
	d->rates[UP] = rate_of(u->st, &u->p->upload);
	d->rates[DOWN] = rate_of(u->st, &u->p->download);
	timer_init(&d->timers[UP], on_may_send);
	timer_init(&d->timers[DOWN], on_may_read);
	timer_init(&d->idle, on_idle);
	return d;
}

/* What the server before did not answer. */
static void
send_again(struct weir_stream_udp *d)
{
	struct dgram_kept *k = NULL;
	struct weir_bundle b;

	while (dgramq_next(&d->sent, &k, &b))
		if (!pass_on(d, b))
			return;
}

bool
stream_udp_dial(struct weir_stream_up *u, const struct weir_addr *to, const struct weir_dial_opts *o)
{
	struct weir_stream_udp *d = u->udp != NULL ? u->udp : make(u);

	d->link.owner = d;
	d->link.on_data = on_upstream;
	d->link.on_error = on_error;
	d->head = o->preface;
	return dgram_dial(&d->link, to, o) == WEIR_OK;
}

void
stream_udp_begin(struct weir_stream_up *u)
{
	struct weir_stream_udp *d = u->udp;
	struct weir_udp *c = udp_of(u->st->s.conn);

	heard(d);
	if (d->begun) {
		send_again(d);
		return;
	}
	d->begun = true;
	c->most = (uint64_t)u->p->requests;
	udp_begin(c, on_client);
}

void
stream_udp_let_go(struct weir_stream_up *u)
{
	if (u->udp == NULL)
		return;
	timer_off(&u->udp->timers[DOWN]);
	u->udp->paused = false;
	dgram_end(&u->udp->link);
}

void
stream_udp_end(struct weir_stream_up *u)
{
	struct weir_stream_udp *d = u->udp;

	if (d == NULL)
		return;
	dgramq_clear(&d->sent);
	dgramq_clear(&d->held);
	timer_off(&d->timers[UP]);
	timer_off(&d->idle);
	stream_udp_let_go(u);
}

void
stream_udp_free(struct weir_stream_up *u)
{
	if (u->udp != NULL)
		slab_give(&slab, u->udp);
	u->udp = NULL;
}
