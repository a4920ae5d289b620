/*
 * up.c - the course of an exchange with an upstream.
 *
 *	start -> [keep the body] -> next_peer -> (link | dial) -> send -> on_head -> respond | tunnel
 *	                               ^                                    |
 *	                               +------------ up_failed -------------+-> error
 *
 * Everything that can happen ends in one of: the response's body was sent (on_body_end), the tunnel is
 * over, or up_give_up().  Each of them lets the link go, once.
 */
#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/io/qsrc.h"
#include "core/io/rate.h"
#include "http/up/up.h"

enum { LEAVE_GRACE_MS = 500 };	/* a client that only half-closed gets its answer if it comes soon */

/* ---- letting go ---- */

/* Nothing that goes on for it goes on any longer. */
static void
stop(struct weir_up *u)
{
	queue_leave(&u->wait);
	u->pausing = false;
	timer_off(&u->timer);
	timer_off(&u->leave);
	if (u->dialling) {
		u->dialling = false;
		dial_cancel(&u->dial);
	}
	up_race_off(u);
	if (u->securing != NULL) {
		conn_abort(u->securing);
		u->securing = NULL;
	}
	if (u->joint != NULL) {
		dials_end(&u->joint->making, DIALS_LEFT, NULL);
		dials_wait_off(&u->joint->wait);
	}
	if (u->request.src != NULL)
		pump_off(&u->request);
	/* nobody may touch the body's source after the release: its link serves others then */
	if (u->responded && u->r->body != NULL && u->ahead.ended != WEIR_EOF) {
		src_stop(u->r->body);
		u->r->body = NULL;
	}
}

void
up_attempt_begin(struct weir_up *u, const struct weir_peer *peer)
{
	struct weir_up_attempt *a;

	count_attempt(u->pick.group, u->tries > 0);
	u->tries++;
	u->attempt_ms = weir_now_ms;
	a = POOL_PUSH(u->r->s.pool, &u->attempts);
	a->queue_ms = u->wait.ms;
	u->wait.ms = 0;
	a->connect_ms = a->header_ms = a->response_ms = UINT64_MAX;
	up_attempt_at(u, peer);
}

void
up_attempt_at(struct weir_up *u, const struct weir_peer *peer)
{
	struct weir_pool *pool = u->r->s.pool;

	/* one that is resolved may have another address before this is logged */
	u->r->upstream_peer = up_attempt(u)->addr = peer->resolve != NULL ? pool_str(pool, peer->text) : peer->text;
}

void
up_attempt_end(struct weir_up *u)
{
	struct weir_up_attempt *a;

	if (u->attempts.n == 0 || u->pick.peer == NULL)
		return;
	a = up_attempt(u);
	a->response_ms = u->pick.response_ms = weir_now_ms - u->attempt_ms;
	if (u->x != NULL) {
		bool many = u->link->codec->many;

		a->length = u->x->received;
		a->received = many ? u->x->came : u->x->conn->tcp.got - u->got_before;
		a->sent = many ? u->x->sent : u->x->conn->tcp.put - u->put_before;
	}
	count_attempt_end(u->pick.group, a->received, a->sent);
}

static void
return_link(struct weir_up *u)
{
	struct weir_link *link = u->link;
	struct weir_xchg *x = u->x;

	if (link == NULL)
		return;
	u->link = NULL;
	u->x = NULL;
	if (x != NULL) {
		x->on_head = NULL;
		x->on_gone = NULL;
		src_on_ready(&x->io.in, NULL, NULL);
		sink_on_ready(&x->io.out, NULL, NULL);
		xchg_release(x);
	}
	/* what is bound to an address or a certificate of its own must not serve those who asked for another */
	links_return(link, u->pick.group, u->pick.peer, up_shares(u));
}

void
up_drop(struct weir_up *u)
{
	stop(u);
	return_link(u);
}

/*
 * The exchange is over; `outcome` is about the peer.  The link goes back to the others if it is
 * fit for them.
 */
void
up_let_go(struct weir_up *u, enum weir_outcome outcome)
{
	if (outcome == WENT_WELL && u->pick.peer != NULL)
		up_sticky_well(u);
	stop(u);
	up_attempt_end(u);
	return_link(u);
	pick_done(&u->pick, outcome);
}

void
up_over(struct weir_up *u)
{
	u->ended = true;
	if (u->p->hedge_ms != 0)
		up_hedge_alone(u);
	if (u->p->total_ms != 0)
		timer_off(&u->total);
	u->r->on_client_gone = NULL;
}

void
up_give_up(struct weir_up *u, int status)
{
	struct weir_req *r = u->r;

	up_over(u);
	req_doing(r, NULL);
	req_error(r, status);
}

/* There is no server for it. */
static void
no_peer(struct weir_up *u, int status)
{
	struct weir_up_attempt *a = POOL_PUSH(u->r->s.pool, &u->attempts);

	count_failed(u->pick.group, GROUP_NOBODY);
	a->addr = u->pick.group->name;
	a->status = status;
	a->queue_ms = u->wait.ms;
	a->connect_ms = a->header_ms = UINT64_MAX;
	up_give_up(u, status);
}

/* ---- time ---- */

/* Is it the client who sends no more of the body?  That has a timeout of its own. */
static bool
waits_for_client(struct weir_up *u)
{
	struct weir_pump *p = &u->request;

	return u->x != NULL && u->streaming && p->src != NULL && !p->over && p->q.len == 0 && p->in_pipe == 0 &&
	    sink_write(&u->x->io.out, &p->q) >= 0;
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_up *u = WEIR_OF(t, struct weir_up, timer);

	if (u->ended)
		return;
	if (u->pausing) {
		u->pausing = false;
		up_next_peer(u);
		return;
	}
	if (u->responded && (u->r->pump.q.len != 0 || u->r->pump.in_pipe != 0)) {
		/* it is the client who does not take what is here */
		timer_set(&u->timer, u->p->read_ms);
		return;
	}
	if (!u->responded && waits_for_client(u)) {
		timer_set(&u->timer, u->p->send_ms);
		return;
	}
	up_failed(u, UP_TIMEOUT, "upstream timed out (110: Connection timed out)");
}

static void
on_total(struct weir_timer *t)
{
	struct weir_up *u = WEIR_OF(t, struct weir_up, total);

	if (u->ended)
		return;
	u->late = true;
	up_hedge_alone(u);
	up_failed(u, UP_TIMEOUT, "upstream timed out: all of it took too long");
}

/* ---- the client's side ---- */

static void
client_left(struct weir_up *u)
{
	struct weir_req *r = u->r;

	log_info(&r->s.log, "client closed the connection while waiting for the upstream");
	if (!u->streaming)
		pick_left(&u->pick, weir_now_ms - u->attempt_ms);
	up_let_go(u, WENT_NOWHERE);
	up_over(u);
	r->rsp.status = 499;
	req_abort(r, NULL);
}

/*
 * A while after the client ended its direction: before the response it is gone, later it is when
 * the upstream has nothing for it either.
 */
static void
on_leave_timer(struct weir_timer *t)
{
	struct weir_up *u = WEIR_OF(t, struct weir_up, leave);
	struct weir_pump *p = &u->r->pump;

	if (u->ended)
		return;
	if (!u->responded) {
		client_left(u);
		return;
	}
	if (u->left_at != p->moved || p->q.len != 0 || p->in_pipe != 0) {
		u->left_at = p->moved;
		timer_set(&u->leave, LEAVE_GRACE_MS);
		return;
	}
	log_info(&u->r->s.log, "client closed the connection and nothing comes from the upstream");
	req_abort(u->r, NULL);
}

static void
on_client_gone(struct weir_req *r, const char *why, bool broken)
{
	struct weir_up *u = r->up;

	if (u->responded && broken) {
		log_info(&r->s.log, "%s while sending to client", why);
		req_abort(r, why);
		return;
	}
	if (u->p->ignore_client_abort)
		return;
	if (broken) {
		client_left(u);
	} else if (u->leave.at == 0) {
		u->left_at = r->pump.moved;
		timer_set(&u->leave, LEAVE_GRACE_MS);
	}
}

/* ---- the response ---- */

static void
on_body_end(struct weir_req *r, bool whole)
{
	struct weir_up *u = r->up;

	if (!whole && u->x != NULL) {
		if (u->x->gone || u->x->io.in.err != NULL)
			pick_trouble(&u->pick, TROUBLE_ERROR, u->x->io.in.err);
		xchg_cancel(u->x, CANCEL_PEER);
	}
	up_let_go(u, whole ? WENT_WELL : u->x != NULL && u->x->gone ? WENT_BADLY : WENT_NOWHERE);
	up_over(u);
}

static void
on_response_progress(struct weir_pump *p)
{
	struct weir_req *r = p->owner;

	if (!r->up->ended)
		timer_set(&r->up->timer, r->up->p->read_ms);
}

static void
early_hints(struct weir_up *u)
{
	struct weir_req *r = u->r;

	const struct weir_expr *wanted = &REQ_CORE(r)->early_hints;

	if (u->x->msg.status != 103 || !wanted->set || r->head_sent || !expr_true(expr_eval(&r->s, wanted)))
		return;
	struct weir_msg m = u->x->msg;

	m.fields = (struct weir_fields){ 0 };
	for (unsigned i = 0; i < u->x->msg.fields.n; i++) {
		struct weir_field *f = &u->x->msg.fields.v[i];

		if (!f->hop)
			fields_add(&m.fields, r->s.pool, f->name, f->value);
	}
	(void)xchg_head(r->x, &m, 0);
}

/* All of the response was read ahead of the client: the link is free for others. */
static void
on_all_read(struct weir_ahead *a)
{
	struct weir_up *u = a->owner;

	u->r->body_end = NULL;
	u->r->pump.on_progress = NULL;
	up_let_go(u, WENT_WELL);
	up_over(u);
}

static struct weir_src *
response_body(struct weir_up *u)
{
	const struct weir_up_params *p = u->p;
	struct weir_str v = fields_value(&u->x->msg.fields, H_X_ACCEL_BUFFERING);
	bool buffering = p->buffering;
	struct weir_src *body = &u->x->io.in;
	uint64_t rate = 0;

	if (v.n != 0 && !(p->ignore & IGNORE_ACCEL_BUFFERING)) {
		if (str_ieq(v, STR("yes")))
			buffering = true;
		else if (str_ieq(v, STR("no")))
			buffering = false;
	}
	if (p->limit_rate.set && num_size(expr_eval(&u->r->s, &p->limit_rate), &rate) == WEIR_OK &&
	    rate != 0) {
		struct weir_rate *slow = POOL_NEW(u->r->s.pool, weir_rate);

		rate_init(slow, body, rate, 0);
		body = &slow->src;
	}
	if (!buffering)
		return body;
	ahead_init(&u->ahead, body, p->buffers_n * p->buffers_size, p->max_temp_file,
	    p->temp_path.p);
	u->ahead.owner = u;
	u->ahead.on_end = on_all_read;
	return &u->ahead.src;
}

static void
on_head(struct weir_xchg *x)
{
	struct weir_up *u = x->owner;
	struct weir_req *r = u->r;
	int status = x->msg.status;

	if (status < 200 && status != 101) {
		timer_set(&u->timer, u->p->read_ms);
		early_hints(u);
		return;
	}
	up_attempt(u)->header_ms = weir_now_ms - u->attempt_ms;
	pick_heard(&u->pick, up_attempt(u)->header_ms);
	up_attempt(u)->status = status;
	pick_answer(&u->pick, status, u->streaming ? 0 : up_attempt(u)->header_ms);
	count_response(u->pick.group, status, up_attempt(u)->header_ms);
	u->rsp = &x->msg;
	if (status == 101 && !u->request_sent) {
		up_failed(u, UP_INVALID, "upstream switched protocols before it had the request");
		return;
	}
	if (status != 101 && up_status_bit(status) != 0 && (u->rival != NULL ?
	    up_may_send_again(u, up_status_bit(status)) : up_may_retry(u, up_status_bit(status)))) {
		up_let_go(u, status == 403 || status == 404 ? WENT_ON : WENT_BADLY);
		if (u->rival != NULL) {
			up_hedge_alone(u->rival);
			return;
		}
		up_try_next(u);
		return;
	}
	if (status == 101 && !up_upgrade_ok(u)) {
		up_failed(u, UP_INVALID, "upstream gave a wrong Sec-WebSocket-Accept");
		return;
	}
	if (u->p->hedge_ms != 0)
		up_hedge_alone(u);
	req_doing(r, "reading upstream");
	u->responded = true;
	if (u->replay != NULL)
		replay_lose(u->replay);
	r->body_end = on_body_end;
	if (up_take_head(u))
		return;
	if (status == 101) {
		timer_off(&u->timer);
		r->body_end = NULL;
		up_join(u);
		return;
	}
	r->pump.on_progress = on_response_progress;
	timer_set(&u->timer, u->p->read_ms);
	r->body = x->in_eof ? NULL : response_body(u);
	r->send_ahead = (uint32_t)u->p->busy_size;
	if (u->p->store && status == 200 && r->msg->method_id != M_HEAD)
		r->body = up_with_store(u, r->body);
	if (r->body != NULL && r->late_trailers)
		r->body = up_with_trailers(u, r->body);
	req_respond(r);
}

static void
on_gone(struct weir_xchg *x, const char *why)
{
	struct weir_up *u = x->owner;

	if (u->r->tunnel)
		u->r->on_client_gone(u->r, why, true);
	else
		up_failed(u, x->gone ? UP_ERROR : UP_INVALID, why);
}

/* ---- connected ---- */

void
up_use_link(struct weir_up *u, struct weir_link *link)
{
	u->link = link;
	u->x = link->codec->open(link, u->r->s.pool);
	u->got_before = link->conn->tcp.got;
	u->put_before = link->conn->tcp.put;
	assert(u->x != NULL);
	up_attempt(u)->connect_ms = weir_now_ms - u->attempt_ms;
	u->x->owner = u;
	u->x->on_head = on_head;
	u->x->on_gone = on_gone;
	up_send(u);
}

static void
on_served(struct weir_wait *w, struct weir_peer *peer)
{
	up_with_peer(WEIR_OF(w, struct weir_up, wait), peer);
}

static void
on_vain(struct weir_wait *w)
{
	no_peer(WEIR_OF(w, struct weir_up, wait), 503);
}

static void
leave_queue(void *arg)
{
	queue_leave(&((struct weir_up *)arg)->wait);
}

static bool
waits(struct weir_up *u)
{
	u->wait.served = on_served;
	u->wait.vain = on_vain;
	if (!queue_join(&u->wait, &u->pick))
		return false;
	if (!u->wait_known)
		pool_on_free(u->r->s.pool, leave_queue, u);
	u->wait_known = true;
	req_doing(u->r, "waiting for an upstream");
	return true;
}

void
up_next_peer(struct weir_up *u)
{
	struct weir_peer *peer = queue_is_before(&u->pick) ? NULL : pick_next(&u->pick);
	bool open;
	struct weir_str why;

	u->request_sent = u->sent_any = false;
	if (peer != NULL) {
		up_with_peer(u, peer);
		return;
	}
	/* those who wait for an open circuit would do so for long */
	open = pick_is_open(&u->pick, u->pick.group->queue != NULL);
	if (!open && waits(u))
		return;
	why = pick_why(&u->pick, u->r->s.pool);
	log_errorx(&u->r->s.log, "no live upstreams while connecting to upstream: %.*s", STR_ARG(why));
	no_peer(u, open || (u->pick.group->queue != NULL && u->pick.n_tried == 0) ? 503 : 502);
}

void
up_with_peer(struct weir_up *u, struct weir_peer *peer)
{
	up_attempt_begin(u, peer);
	u->r->upstream_target = u->target;
	req_doing(u->r, "connecting to upstream");
	up_connect(u);
}

/* ---- the beginning ---- */

void
up_init(struct weir_up *u, struct weir_req *r, const struct weir_up_params *p)
{
	u->r = r;
	u->p = p;
	timer_init(&u->timer, on_timer);
	timer_init(&u->leave, on_leave_timer);
	if (p->total_ms != 0)
		timer_init(&u->total, on_total);
}

static void
go(struct weir_up *u)
{
	if (!u->p->tunnel)
		up_make_head(u);
	u->with_body = u->p->pass_request_body && req_has_body(u->r);
	u->began_ms = weir_now_ms;
	if (u->p->total_ms != 0)
		timer_set(&u->total, u->p->total_ms);
	u->r->on_client_gone = on_client_gone;
	if (u->r->x->gone)
		on_client_gone(u->r, "client closed connection", u->r->x->gone > 1);
	if (u->p->hedge_ms != 0)
		up_hedge_arm(u);
	if (!u->ended)
		up_next_peer(u);
}

static void
on_kept(struct weir_req *r, int status)
{
	struct weir_up *u = r->up;

	if (status != 0) {
		up_over(u);
		if (status == 400 && r->x->io.in.err != NULL &&
		    strstr(r->x->io.in.err, "closed") != NULL) {
			r->rsp.status = 499;
			req_abort(r, NULL);
			return;
		}
		req_error(r, status);
		return;
	}
	u->kept = true;
	go(u);
}

enum weir_next
up_start(struct weir_req *r, const struct weir_up_params *p, struct weir_group *g,
    struct weir_str target, struct weir_str host, bool secure)
{
	struct weir_up *u = POOL_NEW(r->s.pool, weir_up);

	/* an earlier one of this request (an error page that is proxied too) stays in its attempts */
	if (r->up != NULL)
		u->attempts = r->up->attempts;
	r->up = u;
	up_init(u, r, p);
	u->target = target;
	u->host = host;
	u->secure = secure;
	r->upstream_scheme = p->schemes[secure];
	pick_init(&u->pick, g, r->s.pool, &r->s);
	u->pick.budget = p->budget.percent != 0;
	up_sticky_want(u);
	if (!up_connect_how(u)) {
		up_over(u);
		return req_error(r, 500);
	}
	if (p->body.set)
		u->body = expr_eval(&r->s, &p->body);
	if (r->x->ops->want_body != NULL && (r->msg->flags & MSG_EXPECT))
		r->x->ops->want_body(r->x);
	if (p->pass_request_body && req_has_body(r)) {
		/* HTTP/1.0 has no chunks: the length must be known */
		if (p->request_buffering || (p->http_version == 0x100 && r->msg->length < 0)) {
			if (!req_body_keep(r, on_kept))
				return WEIR_WAIT;
			u->kept = true;
		} else {
			/* what is all here already can be sent twice, and is of use to $request_body */
			u->kept = req_body_here(r);
		}
	}
	go(u);
	return WEIR_DONE;
}
