/*
 * stream.c - an exchange on a stream: its head, its bodies as source and sink, its release.
 */
#include "http/h2/server.h"

enum { POOL_FIRST = 8192 };

static struct h2_stream *
of_src(struct weir_src *src)
{
	return WEIR_OF(src, struct h2_stream, x.io.in);
}

static struct h2_stream *
of_sink(struct weir_sink *sink)
{
	return WEIR_OF(sink, struct h2_stream, x.io.out);
}

static bool
is_gone(const struct h2_stream *e)
{
	return e->dead || e->x.gone > 1 || e->s->state != H2_OPEN;
}

/* There is something to send again. */
static void
resume(struct h2_stream *e)
{
	if (e->deferred) {
		e->deferred = false;
		(void)nghttp2_session_resume_data(e->s->ng, e->id);
	}
	h2_post(e->s);
}

/* ---- heads ---- */

/* 101 has no place here: it is 200 to who asks by CONNECT (RFC 8441, 5). */
static int
tunnel_head(struct h2_stream *e, const struct weir_msg *m)
{
	static const struct weir_str accept = { "sec-websocket-accept", 20 };
	struct weir_msg ok = *m;

	ok.fields.v = pool_dup(e->x.pool, m->fields.v, m->fields.n * sizeof *m->fields.v);
	ok.length = -1;
	if (m->status == 101) {
		ok.status = 200;
		fields_remove(&ok.fields, accept);
	}
	h2_keep_head(e);
	e->expects = false;
	e->head_done = true;
	e->left = -1;
	return h2_put_head(e, &ok, &h2_provider);
}

static int
x_head(struct weir_xchg *x, const struct weir_msg *m, unsigned flags)
{
	struct h2_stream *e = WEIR_OF(x, struct h2_stream, x);
	bool none;

	if (is_gone(e))
		return WEIR_FAIL;
	h2_post(e->s);
	if (flags & HEAD_TUNNEL)
		return tunnel_head(e, m);
	if (m->status < 200) {
		if (m->status == 101)		/* RFC 9113, 8.6 */
			return WEIR_OK;
		if (m->status == 100)
			e->expects = false;
		return h2_put_head(e, m, NULL);
	}
	e->expects = false;
	e->head_done = true;
	none = x->msg.method_id == M_HEAD || m->status == 204 || m->status == 304;
	e->left = none ? 0 : m->length;
	e->nothing = none || ((flags & HEAD_END) && m->length == 0);
	h2_priority_response(e, m);
	if (x->conf != NULL)
		e->chunk = (uint32_t)h2_conf_in(x->conf)->chunk;
	return h2_put_head(e, m, e->nothing ? NULL : &h2_provider);
}

static int
x_trailers(struct weir_xchg *x, const struct weir_fields *t)
{
	WEIR_OF(x, struct h2_stream, x)->trailers = t->n != 0 ? t : NULL;
	return WEIR_OK;
}

static void
x_cancel(struct weir_xchg *x, enum weir_cancel why)
{
	struct h2_stream *e = WEIR_OF(x, struct h2_stream, x);

	e->broken = true;
	if (e->code == NGHTTP2_NO_ERROR)
		e->code = why == CANCEL_REFUSED ? NGHTTP2_REFUSED_STREAM : NGHTTP2_INTERNAL_ERROR;
}

/* 100 (Continue), if the client waits for it. */
static void
x_want_body(struct weir_xchg *x)
{
	struct h2_stream *e = WEIR_OF(x, struct h2_stream, x);
	struct weir_msg m = { .status = 100, .length = -1 };

	if (!e->expects || is_gone(e))
		return;
	e->expects = false;
	if (e->got != 0 || e->in_end)
		return;
	(void)!h2_put_head(e, &m, NULL);
	h2_post(e->s);
}

/* ---- the release ---- */

static void
forget(struct h2_stream *e)
{
	e->released = true;
	if (e->s->latest == e)
		e->s->latest = NULL;
	if (e->s->alone == e)
		e->s->alone = NULL;
	if (e->tell & TELL_GONE)
		e->s->n_going--;
	list_remove(&e->node);
	list_remove(&e->todo);
	timer_off(&e->rtimer);
	timer_off(&e->wtimer);
	if (e->in.len != 0)
		h2_consumed(e, e->in.len, false);
	bufq_clear(&e->in);
	bufq_clear(&e->out);
	e->s->n_streams--;
	if (!e->raw)
		accept_stats->writing--;
}

void
h2_stream_drop(struct h2_stream *e)
{
	forget(e);
	(void)nghttp2_session_set_stream_user_data(e->s->ng, e->id, NULL);
	pool_free(e->x.pool);
}

/* RST_STREAM for what is not whole, or to say that the rest of a body is not wanted (RFC 9113, 8.1). */
static void
end_stream(struct h2_stream *e)
{
	struct h2_server *s = e->s;
	uint32_t code = e->code;

	if (!e->dead)
		(void)nghttp2_session_set_stream_user_data(s->ng, e->id, NULL);
	if (s->state != H2_OPEN || (e->dead && e->code == NGHTTP2_NO_ERROR) || e->reset)
		return;
	if ((!e->ended || e->broken) && code == NGHTTP2_NO_ERROR)
		code = e->raw ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR;
	if (code == NGHTTP2_NO_ERROR && !e->in_end && !e->in_failed && !e->dead && e->x.after.linger != 0)
		h2_tail_begin(e);
	else if (code != NGHTTP2_NO_ERROR || !e->in_end) {
		(void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, e->id, code);
		h2_post(s);
	}
}

static void
release_raw(struct h2_stream *e)
{
	end_stream(e);
	forget(e);
	h2_settle(e->s);
	h2_raw_free(e);
}

static void
x_release(struct weir_xchg *x)
{
	struct h2_stream *e = WEIR_OF(x, struct h2_stream, x);
	struct h2_server *s = e->s;

	if (e->raw) {
		release_raw(e);
		return;
	}
	if (e->released) {		/* it has become a tunnel, which is released for itself */
		accept_stats->writing--;
		return;
	}
	s->after = x->after;
	s->send_ms = x->send_ms;
	end_stream(e);
	forget(e);
	if (x->after.last)
		h2_goodbye(s);
	h2_settle(s);
}

static const struct weir_xchg_ops xchg_ops = {
	.head = x_head, .trailers = x_trailers, .cancel = x_cancel, .release = x_release,
	.want_body = x_want_body, .raw = h2_raw,
};

void
h2_stream_lost(struct h2_stream *e, const char *why)
{
	e->why = why;
	if (e->x.gone == 2)
		return;
	e->x.gone = 2;
	e->s->n_going++;
	h2_note(e, TELL_GONE);
}

/* ---- the request's body ---- */

/* Somebody reads: more of it may come than before. */
static void
open_window(struct h2_stream *e)
{
	int32_t window;

	if (e->reading)
		return;
	e->reading = true;
	x_want_body(&e->x);
	window = nghttp2_session_get_stream_local_window_size(e->s->ng, e->id);
	if (e->in_end || window >= H2_STREAM_WINDOW ||
	    (e->x.msg.flags & MSG_HAS_LENGTH && e->x.msg.length <= window))
		return;
	(void)nghttp2_session_set_local_window_size(e->s->ng, NGHTTP2_FLAG_NONE, e->id, H2_STREAM_WINDOW);
	h2_post(e->s);
}

static ssize_t
take(struct h2_stream *e, struct weir_bufq *to, size_t max)
{
	uint64_t n = bufq_move(to, &e->in, max);

	e->x.received += n;
	h2_consumed(e, n, true);
	if (e->in_end && e->in.len == 0 && !e->in_failed)
		e->x.in_eof = 1;
	if (e->x.in_eof)
		timer_off(&e->rtimer);
	else if (!e->in_end && !e->raw)
		timer_set(&e->rtimer, e->x.recv_ms);
	return (ssize_t)n;
}

static ssize_t
body_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct h2_stream *e = of_src(src);

	if (!is_gone(e))
		open_window(e);
	if (e->in.len != 0 && max != 0)
		return take(e, to, max);
	if (e->in_failed)
		return WEIR_FAIL;
	if (e->in_end) {
		e->x.in_eof = 1;
		timer_off(&e->rtimer);
		return WEIR_EOF;
	}
	if (is_gone(e)) {
		src->err = "client closed the connection within the body";
		return WEIR_FAIL;
	}
	if (e->rtimer.at == 0 && !e->raw)
		timer_set(&e->rtimer, e->x.recv_ms);
	return WEIR_AGAIN;
}

static void
body_want(struct weir_src *src, bool on)
{
	struct h2_stream *e = of_src(src);

	e->want_in = on;
	if (!on) {
		timer_off(&e->rtimer);		/* it is us who do not read */
		return;
	}
	if (e->in.len != 0 || e->in_end || e->in_failed || is_gone(e))
		h2_note(e, TELL_READ);
	else
		open_window(e);
}

static void
body_stop(struct weir_src *src)
{
	struct h2_stream *e = of_src(src);

	e->want_in = false;
	timer_off(&e->rtimer);
}

static const struct weir_src_ops src_ops = { .read = body_read, .want = body_want, .stop = body_stop };

/* ---- the response's body ---- */

/* send_timeout runs while something waits that the client does not take. */
static void
watch(struct h2_stream *e)
{
	if (e->raw)
		return;		/* it may be idle for long: that is the relay's */
	if (e->ended || (e->out.len == 0 && !e->finishing))
		timer_off(&e->wtimer);
	else if (e->wtimer.at == 0)
		timer_set(&e->wtimer, e->x.send_ms);
}

static ssize_t
out_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct h2_stream *e = of_sink(sink);
	uint64_t n = from->len;

	if (is_gone(e)) {
		if (sink->err == NULL)
			sink->err = "client closed connection";
		return WEIR_FAIL;
	}
	if (n == 0) {
		h2_post(e->s);
		return 0;
	}
	if (e->left >= 0 && n > (uint64_t)e->left && !e->nothing) {
		sink->err = "the body is longer than its head said";
		return WEIR_FAIL;
	}
	if (e->nothing) {
		bufq_drop(from, n);
		return (ssize_t)n;
	}
	if (e->out.len >= H2_QUEUE_MOST)
		return WEIR_AGAIN;
	if (e->left > 0)
		e->left -= (int64_t)n;
	bufq_move(&e->out, from, n);
	resume(e);
	watch(e);
	return (ssize_t)n;
}

/* The frames are made now, so that what comes next knows whether the client has room for all of it. */
static int
out_finish(struct weir_sink *sink)
{
	struct h2_stream *e = of_sink(sink);

	if (!e->ended && is_gone(e))
		return WEIR_FAIL;
	if (!e->nothing && e->left > 0) {
		sink->err = "the body is shorter than its head said";
		return WEIR_FAIL;
	}
	e->finishing = true;
	resume(e);
	if (!e->ended && h2_pack(e->s) == WEIR_FAIL)
		return WEIR_FAIL;
	watch(e);
	return e->ended ? WEIR_OK : WEIR_AGAIN;
}

static void
out_want(struct weir_sink *sink, bool on)
{
	struct h2_stream *e = of_sink(sink);

	e->want_out = on;
	if (on && (is_gone(e) || e->ended || (e->out.len < H2_QUEUE_MOST && !e->finishing)))
		h2_note(e, TELL_WRITE);
}

static void
out_abort(struct weir_sink *sink)
{
	of_sink(sink)->broken = true;
}

static const struct weir_sink_ops sink_ops = {
	.write = out_write, .finish = out_finish, .want = out_want, .abort = out_abort,
};

/* ---- timeouts ---- */

static void
on_rtimer(struct weir_timer *t)
{
	struct h2_stream *e = WEIR_OF(t, struct h2_stream, rtimer);

	e->x.io.in.err = "client timed out while sending its body";
	e->in_failed = true;
	h2_note(e, TELL_READ);
}

static void
on_wtimer(struct weir_timer *t)
{
	struct h2_stream *e = WEIR_OF(t, struct h2_stream, wtimer);

	e->broken = true;
	e->code = NGHTTP2_CANCEL;
	e->x.io.out.err = "client timed out while receiving the response";
	h2_stream_lost(e, "client timed out while receiving the response");
}

void
h2_stream_timers(struct h2_stream *e)
{
	timer_init(&e->rtimer, on_rtimer);
	timer_init(&e->wtimer, on_wtimer);
}

/* ---- a new one ---- */

struct h2_stream *
h2_stream_new(struct h2_server *s, int32_t id)
{
	struct weir_pool *pool = pool_new(POOL_FIRST);
	struct h2_stream *e = POOL_NEW(pool, h2_stream);

	e->s = s;
	e->id = id;
	e->left = -1;
	e->chunk = (uint32_t)s->conf->chunk;
	e->x.magic = WEIR_XCHG_MAGIC;
	e->x.version = 0x200;
	e->x.io.in.ops = &src_ops;
	e->x.io.out.ops = &sink_ops;
	e->x.ops = &xchg_ops;
	e->x.conn = s->conn;
	e->x.codec = &h2_codec;
	e->x.pool = pool;
	e->x.send_ms = e->x.recv_ms = s->opts->header_ms;
	e->x.after = s->after;
	e->x.after.last = false;
	h2_stream_timers(e);
	list_init(&e->todo);
	list_append(&s->streams, &e->node);
	s->n_streams++;
	accept_stats->writing++;
	return e;
}
