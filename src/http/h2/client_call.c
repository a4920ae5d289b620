/*
 * client_call.c - an exchange on a link: its head, its bodies as source and sink, its release.
 *
 * There are no timeouts here: who waits for a response, or for room, knows for how long.
 */
#include "core/base/clock.h"
#include "http/h2/client.h"

enum { SILENT_MS = 1000 };	/* a link on which so long nothing came while somebody waited is not lent again */

static struct h2_call *
of_src(struct weir_src *src)
{
	return WEIR_OF(src, struct h2_call, x.io.in);
}

static struct h2_call *
of_sink(struct weir_sink *sink)
{
	return WEIR_OF(sink, struct h2_call, x.io.out);
}

/* Can nothing be sent for it any more? */
static bool
is_gone(const struct h2_call *e)
{
	return e->dead || e->x.gone > 1 || e->k->state != H2L_OPEN;
}

static void
resume(struct h2_call *e)
{
	if (e->deferred) {
		e->deferred = false;
		(void)nghttp2_session_resume_data(e->k->ng, e->id);
	}
	h2c_post(e->k);
}

/* ---- the head ---- */

static int
x_head(struct weir_xchg *x, const struct weir_msg *m, unsigned flags)
{
	struct h2_call *e = WEIR_OF(x, struct h2_call, x);

	if (is_gone(e) || (flags & HEAD_TUNNEL))
		return WEIR_FAIL;
	e->head_only = m->method_id == M_HEAD;
	e->nothing = (flags & HEAD_END) != 0;
	e->left = e->nothing ? 0 : m->length > 0 || (m->flags & MSG_HAS_LENGTH) ? m->length : -1;
	h2c_post(e->k);
	return h2c_put_head(e, m);
}

static int
x_trailers(struct weir_xchg *x, const struct weir_fields *t)
{
	WEIR_OF(x, struct h2_call, x)->trailers = *t;
	return WEIR_OK;
}

static void
x_cancel(struct weir_xchg *x, enum weir_cancel why)
{
	(void)why;
	WEIR_OF(x, struct h2_call, x)->broken = true;
}

/* ---- the release ---- */

static void
forget(struct h2_call *e)
{
	struct h2_link *k = e->k;

	e->released = true;
	list_remove(&e->node);
	list_remove(&e->todo);
	if (e->in.len != 0)
		h2c_consumed(e, e->in.len, false);
	bufq_clear(&e->in);
	bufq_clear(&e->out);
	k->l.open--;
	if (e->wide)
		k->wide--;
}

/* The peer is told that nobody waits for it any more; the link lives on. */
static void
end_stream(struct h2_call *e)
{
	struct h2_link *k = e->k;
	uint32_t code = e->code;

	if (e->dead || e->id == 0 || k->state != H2L_OPEN)
		return;
	(void)nghttp2_session_set_stream_user_data(k->ng, e->id, NULL);
	if (code == NGHTTP2_NO_ERROR && !(e->in_end && !e->broken))
		code = NGHTTP2_CANCEL;
	if (!e->reset && !(e->in_end && e->ended)) {
		(void)nghttp2_submit_rst_stream(k->ng, NGHTTP2_FLAG_NONE, e->id, code);
		h2c_post(k);
	}
	if (!e->in_end && k->came_ms < e->began_ms && weir_now_ms - e->began_ms >= SILENT_MS)
		k->last = true;
}

static void
x_release(struct weir_xchg *x)
{
	struct h2_call *e = WEIR_OF(x, struct h2_call, x);
	struct h2_link *k = e->k;

	end_stream(e);
	forget(e);
	h2c_settle(k);
}

static const struct weir_xchg_ops xchg_ops = {
	.head = x_head, .trailers = x_trailers, .cancel = x_cancel, .release = x_release,
};

void
h2c_call_lost(struct h2_call *e, const char *why, bool lost, bool untouched)
{
	if (e->x.gone == 2 || (e->tell & CALL_GONE) || e->in_failed)	/* what was said first counts */
		return;
	e->x.gone = lost ? 2 : 0;
	e->why = why;
	if (!e->final) {
		e->x.untouched = untouched;
		h2c_note(e, CALL_GONE);
		return;
	}
	if (e->in_end)		/* the response is whole; the rest of the request is of no interest */
		return;
	e->in_failed = true;
	e->x.io.in.err = why;
	h2c_note(e, CALL_READ | CALL_WRITE);
}

/* ---- the response's body ---- */

/*
 * Somebody reads: more of it may come than before.  Not of all bodies at a time: what came, and is not read, must
 * never be so much that the connection's credit is held back, which would let everybody wait for who is slow.
 */
static void
open_window(struct h2_call *e)
{
	struct h2_link *k = e->k;

	if (e->reading)
		return;
	e->reading = true;
	if (e->in_end || e->dead || k->wide >= H2C_WIDE_MOST ||
	    (e->length >= 0 && (uint64_t)e->length <= H2C_FIRST_WINDOW))
		return;
	e->wide = true;
	k->wide++;
	(void)nghttp2_session_set_local_window_size(k->ng, NGHTTP2_FLAG_NONE, e->id, H2C_STREAM_WINDOW);
	h2c_post(k);
}

static ssize_t
take(struct h2_call *e, struct weir_bufq *to, size_t max)
{
	uint64_t n = bufq_move(to, &e->in, max);

	e->x.received += n;
	h2c_consumed(e, n, true);
	if (e->in_end && e->in.len == 0 && !e->in_failed && e->behind.n == 0)
		e->x.in_eof = 1;
	return (ssize_t)n;
}

static ssize_t
body_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct h2_call *e = of_src(src);

	if (!e->final)
		return is_gone(e) ? WEIR_FAIL : WEIR_AGAIN;
	if (!is_gone(e))
		open_window(e);
	if (e->in.len != 0 && max != 0)
		return take(e, to, max);
	if (e->in_failed)
		return WEIR_FAIL;
	if (!e->in_end)
		return WEIR_AGAIN;
	e->x.msg.trailers = e->behind;
	e->x.in_eof = 1;
	return WEIR_EOF;
}

static void
body_want(struct weir_src *src, bool on)
{
	struct h2_call *e = of_src(src);

	e->want_in = on;
	if (!on || !e->final)
		return;
	if (e->in.len != 0 || e->in_end || e->in_failed)
		h2c_note(e, CALL_READ);
	else if (!is_gone(e))
		open_window(e);
}

static void
body_stop(struct weir_src *src)
{
	of_src(src)->want_in = false;
}

static const struct weir_src_ops src_ops = { .read = body_read, .want = body_want, .stop = body_stop };

/* ---- the request's body ---- */

static ssize_t
out_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct h2_call *e = of_sink(sink);
	uint64_t n = from->len;

	if (is_gone(e)) {
		sink->err = e->reset || e->dead ? "upstream does not want the rest of it" : "the connection is lost";
		return WEIR_FAIL;
	}
	if (n == 0) {
		h2c_post(e->k);
		return e->out.len != 0 ? WEIR_AGAIN : 0;
	}
	if (e->left >= 0 && n > (uint64_t)e->left) {
		sink->err = "the body is longer than its head said";
		return WEIR_FAIL;
	}
	if (e->out.len >= H2C_QUEUE_MOST)
		return WEIR_AGAIN;
	if (e->left > 0)
		e->left -= (int64_t)n;
	bufq_move(&e->out, from, n);
	resume(e);
	return (ssize_t)n;
}

static int
out_finish(struct weir_sink *sink)
{
	struct h2_call *e = of_sink(sink);

	if (e->ended)
		return WEIR_OK;
	if (is_gone(e))
		return WEIR_FAIL;
	if (e->nothing)
		return WEIR_OK;
	if (e->left > 0) {
		sink->err = "the body is shorter than its head said";
		return WEIR_FAIL;
	}
	e->finishing = true;
	resume(e);
	if (h2c_pack(e->k) != WEIR_OK)
		return WEIR_FAIL;
	return e->ended ? WEIR_OK : WEIR_AGAIN;
}

static void
out_want(struct weir_sink *sink, bool on)
{
	struct h2_call *e = of_sink(sink);

	e->want_out = on;
	if (on && (is_gone(e) || e->ended || (e->out.len < H2C_QUEUE_MOST && !e->finishing)))
		h2c_note(e, CALL_WRITE);
}

static void
out_abort(struct weir_sink *sink)
{
	of_sink(sink)->broken = true;
}

static const struct weir_sink_ops sink_ops = {
	.write = out_write, .finish = out_finish, .want = out_want, .abort = out_abort,
};

/* ---- a new one ---- */

struct weir_xchg *
h2c_open(struct weir_link *l, struct weir_pool *pool)
{
	struct h2_link *k = WEIR_OF(l, struct h2_link, l);
	struct h2_call *e;

	if (l->room == 0)
		return NULL;
	e = POOL_NEW(pool, h2_call);
	e->k = k;
	e->left = e->length = -1;
	e->began_ms = weir_now_ms;
	e->replies_end = &e->replies;
	e->x.magic = WEIR_XCHG_MAGIC;
	e->x.version = 0x200;
	e->x.io.in.ops = &src_ops;
	e->x.io.out.ops = &sink_ops;
	e->x.ops = &xchg_ops;
	e->x.conn = l->conn;
	e->x.codec = l->codec;
	e->x.pool = pool;
	e->x.number = ++l->requests;
	list_init(&e->todo);
	list_append(&k->calls, &e->node);
	l->open++;
	l->state = LINK_BUSY;
	h2c_count(k);
	return &e->x;
}
