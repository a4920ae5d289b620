/*
 * server.c - HTTP/1 towards clients.
 *
 * A connection goes round in these states:
 *
 *	IDLE	between requests, nothing of the next one is here	-> HEAD, closed
 *	HEAD	part of a head is here					-> BUSY, closed
 *	BUSY	an exchange is under way; its owner reads the body	-> IDLE, LINGER, closed
 *	LINGER	our direction is shut; what still comes is thrown away,
 *		so that no reset overtakes the response (RFC 9112, 9.6)	-> closed
 *
 * The exchange lives in its own pool and only while BUSY; an idle connection is
 * a struct weir_conn and a struct h1_server.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/proc/cycle.h"
#include "http/h1/h1.h"
#include "http/h1/server.h"
#include "http/h1/write.h"

enum {
	POOL_FIRST	= 8192,		/* of an exchange: a proxied request fits in */
	DRAIN_GRACE_MS	= 2000		/* an idle connection of a retiring worker may send one more */
};

static struct weir_slab slab = WEIR_SLAB(h1_server);

/* ---- the end of a connection ---- */

static void
on_free(struct weir_task *t)
{
	struct h1_server *s = WEIR_OF(t, struct h1_server, task);

	assert(s->now == NULL);
	s->magic = 0;
	slab_give(&slab, s);
}

static void
close_conn(struct h1_server *s, bool reset)
{
	if (s->state == CLOSED)
		return;
	if (s->state == IDLE)
		accept_stats->waiting--;
	else if (s->state == HEAD)
		accept_stats->reading--;
	s->state = CLOSED;
	timer_off(&s->rtimer);
	bufq_clear(&s->in);
	if (s->now != NULL) {
		timer_off(&s->now->wtimer);
		bufq_clear(&s->now->out);
	}
	s->conn->on_drain = NULL;
	if (reset)
		conn_abort(s->conn);
	else
		conn_close(s->conn);
	if (s->now == NULL) {	/* else release() comes and frees */
		task_off(&s->task);
		task_init(&s->task, on_free);
		task_post(&s->task);
	}
}

/* ---- the exchange ---- */

static bool
has_no_body(const struct exchange *e, int status)
{
	return e->x.msg.method_id == M_HEAD || status < 200 || status == 204 || status == 304;
}

/* The lines that frame a final response; decides out_mode and whether the connection lives on. */
static struct weir_str
framing(struct exchange *e, const struct weir_msg *m, unsigned flags, char *to)
{
	struct h1_server *s = e->s;
	bool old = e->x.version < 0x101, none = has_no_body(e, m->status);
	char *p = to;

	if ((flags & HEAD_CLOSE) || s->draining || weir_retiring)
		s->keep = false;
	e->tx.mode = H1_NOTHING;
	e->tx.left = 0;
	if (m->length >= 0 && m->status != 204 && m->status >= 200) {
		if (!none) {
			e->tx.mode = H1_LENGTH;
			e->tx.left = (uint64_t)m->length;
		}
		if (!none || m->length > 0 || e->x.msg.method_id == M_HEAD) {
			p = mempcpy(p, "Content-Length: ", 16);
			p = num_put(p, (uint64_t)m->length);
			p = mempcpy(p, "\r\n", 2);
		}
	} else if (!none) {
		if (!old && (flags & HEAD_CHUNKED)) {
			e->tx.mode = H1_CHUNKED;
			p = mempcpy(p, "Transfer-Encoding: chunked\r\n", 28);
		} else {
			e->tx.mode = H1_UNTIL_CLOSE;
			s->keep = false;
		}
	} else if (m->length < 0 && e->x.msg.method_id == M_HEAD && m->status != 204 &&
	    m->status != 304 && !old && (flags & HEAD_CHUNKED)) {
		p = mempcpy(p, "Transfer-Encoding: chunked\r\n", 28);
	}
	if (unlikely(m->status == 426) && fields_known(&m->fields, H_UPGRADE) != NULL)
		p = mempcpy(p, "Connection: upgrade\r\n", 21);
	if (s->keep) {
		p = mempcpy(p, "Connection: keep-alive\r\n", 24);
		if (e->x.after.keepalive_header_ms != 0) {
			p = mempcpy(p, "Keep-Alive: timeout=", 20);
			p = num_put(p, e->x.after.keepalive_header_ms / 1000);
			p = mempcpy(p, "\r\n", 2);
		}
	} else {
		p = mempcpy(p, "Connection: close\r\n", 19);
	}
	return str_of(to, (size_t)(p - to));
}

static int
x_head(struct weir_xchg *x, const struct weir_msg *m, unsigned flags)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);
	struct h1_server *s = e->s;
	char extra[160];

	if (s->state == CLOSED)
		return WEIR_FAIL;
	if (flags & HEAD_TUNNEL) {
		e->head_done = true;
		s->keep = false;
		h1_put_response(&e->out, m, m->status == 101 ? STR("Connection: upgrade\r\n") : STR(""));
		e->rx.mode = H1_RAW;
		e->tx.mode = H1_RAW;
		timer_off(&s->rtimer);
		return h1_server_flush(e) == WEIR_FAIL ? WEIR_FAIL : WEIR_OK;
	}
	if (m->status < 200) {
		if (e->x.version < 0x101)
			return WEIR_OK;		/* RFC 9110, 15.2: never to a 1.0 client */
		if (m->status == 100)
			e->expects = false;
		h1_put_response(&e->out, m, STR(""));
		return h1_server_flush(e) == WEIR_FAIL ? WEIR_FAIL : WEIR_OK;
	}
	if (e->expects && !e->x.in_eof) {
		/*
		 * The client was never told to send its body, and may or may not do so: what
		 * comes next cannot be told apart from a request (RFC 9110, 10.1.1).
		 */
		s->keep = false;
	}
	e->head_done = true;
	h1_put_response(&e->out, m, framing(e, m, flags, extra));
	return WEIR_OK;
}

static int
x_trailers(struct weir_xchg *x, const struct weir_fields *t)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);

	if (e->tx.mode == H1_CHUNKED)
		e->tx.trailers = *t;
	return WEIR_OK;
}

static void
x_cancel(struct weir_xchg *x, enum weir_cancel why)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);

	(void)why;
	e->broken = true;
}

static void
x_want_body(struct weir_xchg *x)
{
	h1_server_continue(WEIR_OF(x, struct exchange, x));
}

static void
go_idle(struct h1_server *s)
{
	s->state = IDLE;
	accept_stats->waiting++;
	s->piped = s->in.len != 0;
	if (s->piped) {
		task_post(&s->task);
		return;
	}
	/* Its head promised to keep the connection; the worker has been told to go since. */
	s->moment_ms = weir_now_ms;
	timer_set(&s->rtimer, s->draining ? WEIR_MIN(s->after.keepalive_ms,
	    WEIR_MAX(s->drain_ms, s->after.keepalive_min_ms)) : s->after.keepalive_ms);
	src_want(&s->conn->io->in, true);
}

static void
go_linger(struct h1_server *s)
{
	if (s->state != LINGER)
		s->moment_ms = weir_now_ms + s->after.linger_ms;
	s->state = LINGER;
	bufq_clear(&s->in);
	sink_finish(&s->conn->io->out);
	timer_set(&s->rtimer, s->after.linger_each_ms);
	src_want(&s->conn->io->in, true);
}

static void
x_release(struct weir_xchg *x)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);
	struct h1_server *s = e->s;
	bool whole = e->head_done && e->tx.finished && !e->broken;
	bool body_done = x->in_eof || e->rx.mode == H1_NOTHING ||
	    (e->rx.mode == H1_LENGTH && e->rx.left == 0);
	uint8_t linger = x->after.linger;

	accept_stats->writing--;
	s->after = x->after;
	s->now = NULL;
	h1_chunks_clear(&e->rx.chunks);
	timer_off(&s->rtimer);
	timer_off(&e->wtimer);
	bufq_clear(&e->out);
	if (s->state == CLOSED) {	/* closed before the owner let go */
		task_off(&s->task);
		task_init(&s->task, on_free);
		task_post(&s->task);
		return;
	}
	if (!whole || e->tx.mode == H1_RAW) {
		/* only a reset tells a client that waits for the close that something is missing */
		close_conn(s, !whole && e->head_done &&
		    (e->tx.mode == H1_UNTIL_CLOSE || x->after.reset));
		return;
	}
	if (s->keep && body_done && !e->rx.failed && s->after.keepalive_ms != 0) {
		go_idle(s);
		return;
	}
	if (linger != 0 && !x->gone && (linger == 2 || !body_done || s->in.len != 0 ||
	    (s->conn->tcp.ev.ready & EV_READ))) {
		go_linger(s);
		return;
	}
	close_conn(s, false);
}

static struct weir_conn *
x_detach(struct weir_xchg *x, struct weir_bufq *in, struct weir_bufq *out)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);
	struct h1_server *s = e->s;

	bufq_move(in, &s->in, s->in.len);
	bufq_move(out, &e->out, e->out.len);
	s->state = CLOSED;
	timer_off(&s->rtimer);
	timer_off(&e->wtimer);
	task_off(&s->task);
	s->conn->on_drain = NULL;
	s->conn->tcp.on_gone = NULL;
	src_want(&s->conn->io->in, false);
	sink_want(&s->conn->io->out, false);
	return s->conn;
}

static const struct weir_xchg_ops xchg_ops = {
	.head = x_head, .trailers = x_trailers, .cancel = x_cancel, .release = x_release,
	.want_body = x_want_body, .detach = x_detach,
};

/* `broken`: not just the end of the client's direction. */
static void
tell_gone(struct h1_server *s, const char *why, bool broken)
{
	struct exchange *e = s->now;

	e->x.gone = broken ? 2 : 1;
	if (e->x.on_gone != NULL)
		e->x.on_gone(&e->x, why);
}

static void
on_wtimer(struct weir_timer *t)
{
	struct exchange *e = WEIR_OF(t, struct exchange, wtimer);

	e->broken = true;
	e->s->conn->io->out.err = "client timed out while receiving the response";
	tell_gone(e->s, "client timed out while receiving the response", true);
}

static struct exchange *
exchange_new(struct h1_server *s, struct weir_pool *pool)
{
	struct exchange *e = POOL_NEW(pool, exchange);

	e->s = s;
	e->x.magic = WEIR_XCHG_MAGIC;
	e->x.version = 0x101;
	e->x.io.in.ops = &h1_server_src_ops;
	e->x.io.out.ops = &h1_server_sink_ops;
	e->x.ops = &xchg_ops;
	e->x.conn = s->conn;
	e->x.codec = &h1_codec;
	e->put_before = s->conn->tcp.put;
	e->x.pool = pool;
	e->x.number = ++s->requests;
	e->x.piped = s->piped;
	e->x.send_ms = e->x.recv_ms = s->opts->header_ms;
	e->x.after.linger_ms = 30000;
	e->x.after.linger_each_ms = 5000;
	e->x.after.linger = 1;
	h1_chunks_init(&e->rx.chunks);
	e->rx.mode = e->tx.mode = H1_NOTHING;
	timer_init(&e->wtimer, on_wtimer);
	s->now = e;
	if (s->state == IDLE)
		accept_stats->waiting--;
	else if (s->state == HEAD)
		accept_stats->reading--;
	accept_stats->writing++;
	s->state = BUSY;
	return e;
}

/* ---- heads ---- */

void
h1_reread(struct weir_pool *pool, struct weir_str raw, struct weir_msg *m)
{
	struct h1_limits l = { .line = UINT32_MAX, .total = UINT32_MAX, .fields = UINT32_MAX,
		.ignore_invalid = true, .underscores = true };
	char *text = pool_bytes(pool, raw.n);

	memcpy(text, raw.p, raw.n);
	(void)h1_parse_request(pool, text, raw.n, &l, m);
}

static void
refuse(struct h1_server *s, struct weir_pool *pool, int status, const char *why)
{
	struct exchange *e = s->now;

	if (e == NULL) {
		if (pool == NULL)
			pool = pool_new(POOL_FIRST);
		e = exchange_new(s, pool);
	}
	s->keep = false;
	e->rx.mode = H1_NOTHING;
	src_want(&s->conn->io->in, false);
	timer_off(&s->rtimer);
	s->opts->on_bad(&e->x, status, why);
}

static void
begin(struct h1_server *s, size_t head)
{
	struct h1_limits l = {
		.line = s->opts->line, .total = s->opts->total, .fields = s->opts->fields,
		.ignore_invalid = s->opts->ignore_invalid, .underscores = s->opts->underscores
	};
	struct weir_pool *pool = pool_new(POOL_FIRST);
	char *text = pool_bytes(pool, head);
	struct exchange *e;
	struct h1_verdict v;

	bufq_take(&s->in, text, head);
	s->scanned = 0;
	e = exchange_new(s, pool);
	e->x.raw = str_of(text, head);
	v = h1_parse_request(pool, text, head, &l, &e->x.msg);
	if (e->x.msg.version != 0)
		e->x.version = e->x.msg.version;
	if (v.status != 0) {
		refuse(s, pool, v.status, v.why);
		return;
	}
	accept_stats->requests++;
	e->expects = (e->x.msg.flags & MSG_EXPECT) != 0;
	s->keep = !(e->x.msg.flags & MSG_CLOSE);
	if (e->x.msg.flags & MSG_CHUNKED) {
		e->rx.mode = H1_CHUNKED;
	} else if (e->x.msg.length > 0) {
		e->rx.mode = H1_LENGTH;
		e->rx.left = (uint64_t)e->x.msg.length;
	} else {
		e->x.in_eof = 1;
	}
	/* nobody reads: only the client's leaving is of interest */
	src_want(&s->conn->io->in, false);
	timer_off(&s->rtimer);
	s->opts->on_xchg(&e->x);
	if (e->x.end != NULL)	/* answered at once: the next request gets the same memory, still warm */
		task_now(e->x.end);
	if (s->state == BUSY && s->in.len != 0)
		bufq_pack(&s->in);
}

/* All of `in` in one piece; heads of more than a segment are gathered. */
static const char *
gather(struct h1_server *s, size_t *n)
{
	static char *wide;
	static size_t wide_size;
	struct weir_str first = bufq_first(&s->in);
	size_t want = (size_t)WEIR_MIN(s->in.len, (uint64_t)s->opts->total + 1);

	if (first.n >= s->in.len) {
		*n = first.n;
		return first.p;
	}
	if (wide_size < want) {
		mem_free(wide);
		wide_size = (size_t)s->opts->total + 1;
		wide = mem_alloc(wide_size);
	}
	*n = bufq_peek(&s->in, 0, wide, want);
	return wide;
}

/* Look for a whole head in what came. */
static void
on_head_bytes(struct h1_server *s)
{
	struct h1_limits l = {
		.line = s->opts->line, .total = s->opts->total, .fields = s->opts->fields
	};
	size_t n, head;
	const char *p = gather(s, &n);
	struct h1_verdict v;

	head = h1_head_end(p, n, &s->scanned);
	if (head != 0) {
		begin(s, head);
		return;
	}
	v = h1_check_request_start(p, n, &l);
	if (v.status != 0) {
		size_t line = 0;
		struct weir_pool *pool = pool_new(POOL_FIRST);
		struct exchange *e = exchange_new(s, pool);

		while (line < n && line < 1024 && p[line] != '\r' && p[line] != '\n')
			line++;
		e->x.msg.line = pool_str(pool, str_of(p, line));
		bufq_clear(&s->in);
		refuse(s, pool, v.status, v.why);
		return;
	}
	if (s->state == IDLE) {
		s->state = HEAD;
		accept_stats->waiting--;
		accept_stats->reading++;
		timer_set(&s->rtimer, s->opts->header_ms);
	}
	bufq_pack(&s->in);
	src_want(&s->conn->io->in, true);
}

static void
read_head(struct h1_server *s)
{
	for (;;) {
		ssize_t n = src_read(&s->conn->io->in, &s->in, SEG_LARGE);

		if (n == WEIR_AGAIN)
			return;
		if (n < 0) {
			if (s->state == HEAD)
				log_info(weir_log, "*%lu client closed connection while sending its "
				    "request head", (unsigned long)s->conn->id);
			close_conn(s, false);
			return;
		}
		on_head_bytes(s);
		if (s->state != IDLE && s->state != HEAD)
			return;
	}
}

static void
throw_away(struct h1_server *s)
{
	for (;;) {
		ssize_t n = src_read(&s->conn->io->in, &s->in, SEG_LARGE);

		bufq_clear(&s->in);
		if (n == WEIR_AGAIN)
			return;
		if (n < 0 || weir_now_ms >= s->moment_ms) {
			close_conn(s, false);
			return;
		}
		timer_set(&s->rtimer, s->after.linger_each_ms);
	}
}

static void
on_readable(void *arg)
{
	struct h1_server *s = arg;

	switch (s->state) {
	case IDLE:
	case HEAD:
		read_head(s);
		break;
	case BUSY:
		if (s->now->x.io.in.ready != NULL)
			s->now->x.io.in.ready(s->now->x.io.in.arg);
		break;
	case LINGER:
		throw_away(s);
		break;
	default:
		break;
	}
}

/* Bytes of a body that are here already, a sink that could go on, or the next request. */
static void
on_task(struct weir_task *t)
{
	struct h1_server *s = WEIR_OF(t, struct h1_server, task);

	if (s->state == BUSY) {
		struct exchange *e = s->now;

		if (e->x.io.in.ready != NULL && (s->in.len != 0 || e->x.in_eof || e->rx.failed))
			e->x.io.in.ready(e->x.io.in.arg);
		if (s->state == BUSY && s->now == e && !e->blocked && e->x.io.out.ready != NULL)
			e->x.io.out.ready(e->x.io.out.arg);
	} else if (s->state == IDLE && s->in.len != 0) {
		on_head_bytes(s);
		if (s->state == HEAD || s->state == IDLE)
			read_head(s);
	}
}

static void
on_gone(void *arg)
{
	struct h1_server *s = arg;

	bool broken = fdio_reset(&s->conn->tcp);

	if (s->state == BUSY && s->now != NULL && s->now->x.gone < (broken ? 2 : 1))
		tell_gone(s, broken ? "connection reset by client" : "client closed connection",
		    broken);
}

static void
on_rtimer(struct weir_timer *t)
{
	struct h1_server *s = WEIR_OF(t, struct h1_server, rtimer);

	switch (s->state) {
	case HEAD:
		log_info(weir_log, "*%lu client timed out while sending its request head",
		    (unsigned long)s->conn->id);
		bufq_clear(&s->in);
		refuse(s, NULL, 408, "client timed out while sending its request head");
		break;
	case BUSY:
		s->now->x.io.in.err = "client timed out while sending its body";
		s->now->rx.failed = true;
		if (s->now->x.io.in.ready != NULL)
			s->now->x.io.in.ready(s->now->x.io.in.arg);
		break;
	default:
		close_conn(s, false);
	}
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	struct h1_server *s = c->owner;
	uint64_t idle = weir_now_ms - s->moment_ms, least = s->after.keepalive_min_ms;

	bool now = how != DRAIN_SOON;

	s->draining = true;
	if (how == DRAIN_CUT) {
		if (s->state != BUSY || s->now == NULL) {
			close_conn(s, false);
			return;
		}
		sink_abort(&c->io->out);	/* whatever follows, the client sees a reset */
		tell_gone(s, "the worker ends", true);
		return;
	}
	s->drain_ms = now ? 1 : DRAIN_GRACE_MS;
	if (s->state != IDLE)
		return;
	least = idle < least ? least - idle : 0;
	if (now && least == 0 && !(c->tcp.ev.ready & EV_READ)) {
		close_conn(s, false);
		return;
	}
	/* a request may be on its way; it is answered with Connection: close */
	timer_off(&s->rtimer);
	timer_set(&s->rtimer, WEIR_MAX(least, now && least != 0 ? 1 : DRAIN_GRACE_MS));
}

void
h1_serve(struct weir_conn *c, const struct weir_serve *opts)
{
	struct h1_server *s = slab_take(&slab);

	memset(s, 0, sizeof *s);
	s->magic = H1_SERVER_MAGIC;
	s->conn = c;
	s->opts = opts;
	s->after.linger_each_ms = 5000;
	s->after.linger_ms = 30000;
	timer_init(&s->rtimer, on_rtimer);
	task_init(&s->task, on_task);
	c->owner = s;
	c->on_drain = on_drain;
	c->tcp.on_gone = on_gone;
	c->tcp.gone_arg = s;
	src_on_ready(&c->io->in, on_readable, s);
	sink_on_ready(&c->io->out, h1_server_writable, s);
	s->state = IDLE;
	accept_stats->waiting++;
	timer_set(&s->rtimer, opts->header_ms);
	src_want(&c->io->in, true);
}
