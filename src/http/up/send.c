/*
 * send.c - the request goes to the upstream: its head, then its body.
 */
#include "core/io/qsrc.h"
#include "http/up/up.h"

enum { PUMP_CAP = 65536 };

static void
on_request_sent(struct weir_pump *p, enum weir_pump_end how)
{
	struct weir_up *u = p->owner;

	if (how == PUMP_EOF) {
		u->request_sent = true;
		if (!u->responded)
			req_doing(u->r, "reading response header from upstream");
		timer_set(&u->timer, u->p->read_ms);
		return;
	}
	if (how == PUMP_SINK_FAIL) {
		/* an early answer may be waiting to be read; the read timeout bounds the wait */
		log_info(&u->r->s.log, "upstream does not take the request body: %s",
		    p->sink->err != NULL ? p->sink->err : "write failed");
		timer_set(&u->timer, u->p->read_ms);
		return;
	}
	const char *err = p->src->err;

	if (u->responded)
		return;		/* the answer is under way; the exchange cannot be used again anyway */
	log_info(&u->r->s.log, "%s", err != NULL ? err : "reading the request body failed");
	xchg_cancel(u->x, CANCEL_PEER);
	up_let_go(u, WENT_NOWHERE);
	if (u->r->body_refused) {
		up_give_up(u, 413);
	} else if (err != NULL && strstr(err, "timed out") != NULL) {
		u->r->timed_out = true;
		up_give_up(u, 408);
	} else if (err != NULL && (strstr(err, "closed") != NULL || strstr(err, "reset") != NULL)) {
		up_over(u);
		u->r->rsp.status = 499;
		req_abort(u->r, err);
	} else {
		up_give_up(u, 400);
	}
}

static void
on_request_progress(struct weir_pump *p)
{
	struct weir_up *u = p->owner;

	timer_set(&u->timer, u->p->send_ms);
}

static void
clear(void *arg)
{
	bufq_clear(arg);
}

static struct weir_src *
shared(struct weir_up *u)
{
	struct weir_qsrc *s = POOL_NEW(u->r->s.pool, weir_qsrc);

	qsrc_init(s);
	bufq_share(&s->q, u->whole);
	pool_on_free(u->r->s.pool, clear, &s->q);
	return &s->src;
}

static void
end_replay(void *arg)
{
	replay_end(arg);
}

/* The body as it comes, from its beginning as long as not too much has gone. */
static struct weir_src *
replayed(struct weir_up *u)
{
	if (u->replay == NULL) {
		u->replay = POOL_NEW(u->r->s.pool, weir_replay);
		replay_init(u->replay, req_body_stream(u->r), u->p->replay_size);
		pool_on_free(u->r->s.pool, end_replay, u->replay);
	} else if (!u->replay->lost) {
		replay_again(u->replay);
	}
	return &u->replay->src;
}

/* Where the body that goes to the upstream comes from; NULL: there is none. */
static struct weir_src *
body_source(struct weir_up *u)
{
	struct weir_qsrc *s;
	struct weir_src *body;

	if (u->p->body.set) {
		s = POOL_NEW(u->r->s.pool, weir_qsrc);
		qsrc_init(s);
		if (u->body.n != 0)
			bufq_put_view(&s->q, u->body.p, u->body.n);
		return &s->src;
	}
	if (!u->with_body)
		return NULL;
	u->streaming = !u->kept && u->whole == NULL;
	body = u->whole != NULL ? shared(u) : u->kept ? req_body_again(u->r) : u->p->replay_size != 0 ? replayed(u) : req_body_stream(u->r);
	return up_request_trailers(u) ? up_with_request_trailers(u, body) : body;
}

void
up_send(struct weir_up *u)
{
	struct weir_req *r = u->r;
	unsigned flags = up_upgrades(u) ? HEAD_TUNNEL : 0;
	struct weir_src *body = body_source(u);

	req_doing(r, "sending request to upstream");
	u->x->limits.line = u->x->limits.total = (uint32_t)u->p->buffer_size;
	u->x->limits.fields = 1000;
	if (body == NULL)
		flags |= HEAD_END;
	if (u->head.flags & MSG_CLOSE)
		flags |= HEAD_CLOSE;
	if (xchg_head(u->x, &u->head, flags) != WEIR_OK) {
		up_failed(u, UP_ERROR, "sending the request failed");
		return;
	}
	u->sent_any = true;
	timer_set(&u->timer, u->p->send_ms);
	if (body == NULL) {
		int sent = sink_finish(&u->x->io.out);

		if (sent == WEIR_FAIL) {
			up_failed(u, UP_ERROR, u->x->io.out.err != NULL ? u->x->io.out.err :
			    "sending the request failed");
		} else if (sent == WEIR_OK) {
			u->request_sent = true;
			req_doing(r, "reading response header from upstream");
			timer_set(&u->timer, u->p->read_ms);
			return;
		} else {
			struct weir_qsrc *nothing = POOL_NEW(r->s.pool, weir_qsrc);

			qsrc_init(nothing);
			body = &nothing->src;
		}
		if (sent == WEIR_FAIL)
			return;
	}
	memset(&u->request, 0, sizeof u->request);
	u->request.owner = u;
	u->request.done = on_request_sent;
	u->request.on_progress = on_request_progress;
	u->body_begun = u->streaming;	/* what the pump takes cannot be had again */
	pump_start(&u->request, body, &u->x->io.out, PUMP_CAP);
}
