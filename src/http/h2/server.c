/*
 * server.c - a connection with a client.
 *
 * In a turn everything that came is given to nghttp2, whose callbacks take notes; then owners of streams are
 * told, and answer; then all frames that this made are put together and written at once.  A connection
 * that rests holds no buffer: only this struct and nghttp2's session.
 *
 *	H2_OPEN		it is served				-> LOST, LINGER, CLOSED
 *	H2_LOST		it broke, or was ended; streams are told,
 *			and the last one to be released ends it	-> LINGER, CLOSED
 *	H2_LINGER	our direction is shut, so that GOAWAY is not
 *			overtaken by a reset			-> CLOSED
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/proc/cycle.h"
#include "http/h2/server.h"

enum {
	READ_STEP	= 1 << 16,
	TURN_BYTES	= 1 << 20,	/* of a turn, in each direction */
	DRAIN_MS	= 1000,		/* from the first GOAWAY to the last: requests on their way count */
	LINGER_SOON_MS	= 2000
};

/* What rtimer is for. */
enum { NOTHING, GREETING, HEAD, REST, DRAIN, LINGER };

static struct weir_slab slab = WEIR_SLAB(h2_server);

/* ---- what is said ---- */

static void
who(void *arg, struct weir_log_line *line)
{
	const struct weir_conn *c = arg;
	char addr[ADDR_TEXT_MAX];
	struct weir_str s = str_of(addr, addr_put_ip(addr, &c->peer));

	log_fact(line, "client", FACT_PLAIN, &s, 1);
}

void
h2_say(const struct h2_server *s, const char *what, ...)
{
	struct weir_log l = *s->opts->log;
	char text[200];
	va_list ap;

	va_start(ap, what);
	(void)vsnprintf(text, sizeof text, what, ap);
	va_end(ap);
	l.id = s->conn->id;
	l.who = who;
	l.arg = s->conn;
	log_info(&l, "%s", text);
}

/* ---- timers ---- */

static void
set_timer(struct h2_server *s, unsigned what, uint64_t ms)
{
	if (what == NOTHING)
		timer_off(&s->rtimer);
	else if (s->timing != what || what == LINGER)
		timer_set(&s->rtimer, ms);
	s->timing = (uint8_t)what;
}

static void
rest(struct h2_server *s, bool on)
{
	if (s->resting == on)
		return;
	s->resting = on;
	accept_stats->waiting += on ? 1 : -1;
}

/* Which timeout counts now. */
static void
set_time(struct h2_server *s)
{
	rest(s, s->n_streams == 0);
	if (s->draining && !s->goodbye)
		set_timer(s, DRAIN, DRAIN_MS);
	else if (s->head_open)
		set_timer(s, HEAD, s->opts->header_ms);
	else if (s->n_streams != 0)
		set_timer(s, NOTHING, 0);
	else if (!s->greeted || s->after.keepalive_ms == 0)
		set_timer(s, GREETING, s->opts->header_ms);
	else
		set_timer(s, REST, s->after.keepalive_ms);
}

/* ---- the end ---- */

static void
on_free(struct weir_task *t)
{
	struct h2_server *s = WEIR_OF(t, struct h2_server, task);

	assert(s->n_streams == 0);
	h2_tails_free(s);
	h2_priority_free(s);
	nghttp2_session_del(s->ng);
	h2_wide_end(&s->wide);
	s->magic = 0;
	slab_give(&slab, s);
}

static void
close_conn(struct h2_server *s, bool reset)
{
	if (s->state == H2_CLOSED)
		return;
	assert(s->n_streams == 0);
	rest(s, false);
	s->state = H2_CLOSED;
	timer_off(&s->rtimer);
	timer_off(&s->wtimer);
	bufq_clear(&s->out);
	s->conn->on_drain = NULL;
	if (reset)
		conn_abort(s->conn);
	else
		conn_close(s->conn);
	task_off(&s->task);
	task_init(&s->task, on_free);
	task_post(&s->task);
}

static void
go_linger(struct h2_server *s)
{
	const struct weir_after *a = &s->after;

	if (a->linger == 0 || fdio_gone(&s->conn->tcp)) {
		close_conn(s, false);
		return;
	}
	rest(s, false);
	s->state = H2_LINGER;
	s->linger_until = weir_now_ms + a->linger_ms;
	timer_off(&s->wtimer);
	bufq_clear(&s->out);
	sink_finish(&s->conn->io->out);
	sink_want(&s->conn->io->out, false);
	set_timer(s, LINGER, weir_retiring ? WEIR_MIN(a->linger_each_ms, (uint32_t)LINGER_SOON_MS) :
	    a->linger_each_ms);
	src_want(&s->conn->io->in, true);
}

/* Nobody will see more of any stream.  Owners are told at the end of the turn. */
static void
lose(struct h2_server *s, const char *why, bool linger)
{
	struct weir_list *at, *next;

	if (s->state != H2_OPEN)
		return;
	s->state = H2_LOST;
	s->linger_after = linger;
	timer_off(&s->rtimer);
	timer_off(&s->wtimer);
	src_want(&s->conn->io->in, false);
	sink_want(&s->conn->io->out, false);
	bufq_clear(&s->out);
	h2_tails_free(s);
	list_each_safe(at, next, &s->streams) {
		struct h2_stream *e = WEIR_OF(at, struct h2_stream, node);

		if (e->x.owner == NULL)
			h2_stream_drop(e);
		else
			h2_stream_lost(e, why);
	}
	h2_post(s);
}

/* LOST, and all streams are released. */
static void
lost_end(struct h2_server *s)
{
	if (s->linger_after)
		go_linger(s);
	else
		close_conn(s, false);
}

/* ---- writing ---- */

void
h2_post(struct h2_server *s)
{
	s->fresh = true;
	task_post(&s->task);
}

/* Is it the last frame of that stream's head? */
static bool
ends_head(const uint8_t *p, int32_t id)
{
	uint32_t stream;

	memcpy(&stream, p + 5, sizeof stream);
	return (p[3] == NGHTTP2_HEADERS || p[3] == NGHTTP2_CONTINUATION) && (p[4] & NGHTTP2_FLAG_END_HEADERS) &&
	    ntohl(stream) == (uint32_t)id;
}

/* Heads go before bodies, so there is little before it. */
int
h2_pack_head(struct h2_server *s, int32_t id)
{
	const uint8_t *p;
	nghttp2_ssize n;
	bool done;

	assert(!s->inside);
	s->inside = true;
	do {
		n = nghttp2_session_mem_send2(s->ng, &p);
		done = n <= 0 || ends_head(p, id);
		if (n > 0)
			h2_put_frame(s, p, (size_t)n);
	} while (!done);
	s->inside = false;
	return n >= 0 ? WEIR_OK : WEIR_FAIL;
}

int
h2_pack(struct h2_server *s)
{
	const uint8_t *p;
	nghttp2_ssize n;

	if (s->state != H2_OPEN)
		return WEIR_FAIL;
	if (s->inside)
		return WEIR_OK;
	if (s->stirred && !s->fresh)
		s->fresh = nghttp2_session_want_write(s->ng) != 0;
	s->stirred = false;
	if (!s->fresh)
		return WEIR_OK;
	s->inside = true;
	while (s->out.len < H2_OUT_MOST) {
		n = nghttp2_session_mem_send2(s->ng, &p);
		if (n <= 0) {
			s->inside = false;
			s->fresh = s->out.len >= H2_OUT_MOST;	/* a body waits for room */
			return n == 0 ? WEIR_OK : WEIR_FAIL;
		}
		h2_put_frame(s, p, (size_t)n);
	}
	s->inside = false;
	return WEIR_OK;
}

static void
went_out(struct h2_server *s)
{
	if (s->out.len == 0) {
		if (s->blocked)
			sink_want(&s->conn->io->out, false);
		s->blocked = false;
		timer_off(&s->wtimer);
		return;
	}
	if (!s->blocked)
		sink_want(&s->conn->io->out, true);
	s->blocked = true;
	timer_set(&s->wtimer, s->send_ms);
}

/* All frames that there are, into the socket as far as it takes them. */
static void
flush(struct h2_server *s)
{
	uint64_t turn = 0;
	ssize_t n;

	while (s->state == H2_OPEN) {
		if (h2_pack(s) != WEIR_OK) {
			lose(s, "HTTP/2 went wrong", true);
			return;
		}
		if (s->out.len == 0)
			break;
		n = sink_write(&s->conn->io->out, &s->out);
		if (n == WEIR_FAIL) {
			lose(s, "client closed connection", false);
			return;
		}
		if (s->out.len != 0) {
			if (n > 0 || !s->blocked)
				went_out(s);
			return;
		}
		turn += (uint64_t)n;
		if (turn >= TURN_BYTES) {
			h2_post(s);
			break;
		}
	}
	if (s->blocked)
		went_out(s);
}

/* ---- owners are told ---- */

void
h2_note(struct h2_stream *e, unsigned what)
{
	if (e->released)
		return;
	if (e->tell == 0)
		list_append(&e->s->todo, &e->todo);
	e->tell |= (uint8_t)what;
	task_post(&e->s->task);
}

static void
start_drain(struct h2_server *s)
{
	if (s->draining)
		return;
	s->draining = true;
	(void)nghttp2_submit_shutdown_notice(s->ng);
	h2_post(s);
}

/* A request begins.  It may be over when this returns. */
static void
begin(struct h2_stream *e)
{
	struct h2_server *s = e->s;
	struct weir_msg *m = &e->x.msg;

	e->x.number = ++s->requests;
	accept_stats->requests++;
	if (weir_retiring)
		start_drain(s);
	if (e->head.status != 0) {
		e->code = e->head.status == 400 ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
		s->opts->on_bad(&e->x, e->head.status, e->head.why);
	} else {
		e->expects = !msg_connects(m) && (m->flags & MSG_EXPECT) != 0 && e->got == 0 && !e->in_end;
		if (e->in_end && m->length < 0 && !e->in_failed && e->x.msg.trailers.n == 0)
			m->length = (int64_t)e->got;	/* all of it is here already */
		e->x.in_eof = (e->in_end && e->in.len == 0 && !e->in_failed) || msg_connects(m);
		s->opts->on_xchg(&e->x);
	}
	if (e->released && e->x.end != NULL)	/* answered at once: the next one gets the same memory */
		task_now(e->x.end);
}

static void
tell(struct h2_stream *e)
{
	struct h2_server *s = e->s;
	unsigned what = e->tell;

	e->tell = 0;
	if (what & TELL_FRESH) {
		if (what & ~(unsigned)TELL_FRESH)
			h2_note(e, what & ~(unsigned)TELL_FRESH);
		begin(e);
		return;
	}
	if (what & TELL_GONE) {
		s->n_going--;
		if (e->x.on_gone != NULL)
			e->x.on_gone(&e->x, e->why);
		if (e->released)
			return;
		what |= TELL_READ | TELL_WRITE;		/* who waits finds out */
	}
	if ((what & TELL_READ) && e->want_in && e->x.io.in.ready != NULL)
		e->x.io.in.ready(e->x.io.in.arg);
	else if (what & TELL_READ)
		bufq_pack(&e->in);
	if (!e->released && (what & TELL_WRITE) && e->want_out && e->x.io.out.ready != NULL)
		e->x.io.out.ready(e->x.io.out.arg);
}

/* Those that are noted now; what that leads to is told in the next turn. */
static void
tell_all(struct h2_server *s)
{
	struct weir_list now;

	if (list_empty(&s->todo))
		return;
	now = s->todo;
	now.next->prev = now.prev->next = &now;
	list_init(&s->todo);
	while (!list_empty(&now)) {
		struct h2_stream *e = list_first(&now, struct h2_stream, todo);

		list_remove(&e->todo);
		tell(e);
	}
}

/* ---- the life of a connection ---- */

void
h2_goodbye(struct h2_server *s)
{
	if (s->goodbye || s->state != H2_OPEN)
		return;
	s->draining = s->goodbye = true;
	(void)nghttp2_submit_goaway(s->ng, NGHTTP2_FLAG_NONE,
	    nghttp2_session_get_last_proc_stream_id(s->ng), NGHTTP2_NO_ERROR, NULL, 0);
	h2_post(s);
}

/* nghttp2 neither reads nor writes any more, and all of its last words are out. */
static bool
is_over(struct h2_server *s)
{
	return s->out.len == 0 && !nghttp2_session_want_read(s->ng) && !nghttp2_session_want_write(s->ng);
}

/* The end of a turn. */
static void
go_on(struct h2_server *s)
{
	tell_all(s);
	if (s->state == H2_OPEN && s->n_streams == 0 && s->requests != 0 && s->after.keepalive_ms == 0)
		h2_goodbye(s);
	if (s->state == H2_OPEN)
		flush(s);
	if (s->state == H2_OPEN && is_over(s))
		lose(s, "the connection was ended for an error", true);
	if (s->state == H2_LOST && s->n_streams == 0)
		lost_end(s);
	else if (s->state == H2_OPEN)
		set_time(s);
	if (s->state == H2_OPEN && !s->fresh && list_empty(&s->todo))
		task_off(&s->task);
}

static void
on_task(struct weir_task *t)
{
	go_on(WEIR_OF(t, struct h2_server, task));
}

void
h2_settle(struct h2_server *s)
{
	task_post(&s->task);
}

static void
on_writable(void *arg)
{
	struct h2_server *s = arg;

	if (s->state == H2_OPEN)
		go_on(s);
}

/* ---- reading ---- */

/* nghttp2 cannot go on. */
static void
bad_input(struct h2_server *s, nghttp2_ssize rc)
{
	if (rc == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
		(void)nghttp2_session_terminate_session(s->ng, NGHTTP2_PROTOCOL_ERROR);
		h2_post(s);
	} else {
		h2_calm(s, rc == NGHTTP2_ERR_FLOODED ? ABUSE_FRAMES :
		    rc == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS ? ABUSE_CONTINUATION : ABUSE_INVALID);
	}
	flush(s);
	lose(s, "the connection was ended for an error", true);
}

static void
feed(struct h2_server *s, struct weir_bufq *q)
{
	if (s->begun < sizeof s->first) {
		s->inside = true;
		if (h2_begin(s, q) != WEIR_OK) {
			s->inside = false;
			h2_say(s, "client sent an invalid preface");
			bad_input(s, NGHTTP2_ERR_BAD_CLIENT_MAGIC);
		}
		s->inside = false;
	}
	while (q->len != 0 && s->state == H2_OPEN) {
		struct weir_str part = bufq_first(q);
		nghttp2_ssize n;

		part.n = h2_closed_look(s, (const uint8_t *)part.p, part.n);
		s->inside = true;
		n = nghttp2_session_mem_recv2(s->ng, (const uint8_t *)part.p, part.n);
		s->inside = false;
		if (n < 0)
			bad_input(s, n);
		else
			bufq_drop(q, part.n);
	}
	bufq_clear(q);
}

static void
throw_away(struct h2_server *s)
{
	struct weir_bufq q = { 0 };

	for (;;) {
		ssize_t n = src_read(&s->conn->io->in, &q, READ_STEP);

		bufq_clear(&q);
		if (n == WEIR_AGAIN)
			return;
		if (n < 0 || weir_now_ms >= s->linger_until) {
			close_conn(s, false);
			return;
		}
	}
}

static void
on_readable(void *arg)
{
	struct h2_server *s = arg;
	struct weir_bufq q = { 0 };
	uint64_t turn = 0;

	if (s->state == H2_LINGER) {
		throw_away(s);
		return;
	}
	while (s->state == H2_OPEN) {
		ssize_t n = src_read(&s->conn->io->in, &q, READ_STEP);

		if (n == WEIR_AGAIN)
			break;
		if (n < 0) {
			lose(s, fdio_reset(&s->conn->tcp) ? "connection reset by client" :
			    "client closed connection", false);
			break;
		}
		turn += (uint64_t)n;
		s->came += (uint64_t)n;
		feed(s, &q);
		s->stirred = true;
		if (turn >= TURN_BYTES) {
			src_want(&s->conn->io->in, true);
			break;
		}
	}
	bufq_clear(&q);		/* a read that gave nothing may have left room in it */
	go_on(s);
}

/* ---- timeouts, drain ---- */

static void
on_rtimer(struct weir_timer *t)
{
	struct h2_server *s = WEIR_OF(t, struct h2_server, rtimer);
	unsigned what = s->timing;

	s->timing = NOTHING;
	if (s->state == H2_LINGER) {
		close_conn(s, false);
		return;
	}
	switch (what) {
	case HEAD:
		h2_say(s, "client timed out while sending its request head");
		s->head_open = false;
		h2_goodbye(s);
		flush(s);
		lose(s, "client timed out", true);
		break;
	case GREETING:
		h2_goodbye(s);
		flush(s);
		lose(s, "client timed out", false);
		break;
	default:
		h2_goodbye(s);
	}
	go_on(s);
}

static void
on_wtimer(struct weir_timer *t)
{
	struct h2_server *s = WEIR_OF(t, struct h2_server, wtimer);

	h2_say(s, "client timed out while receiving responses");
	sink_abort(&s->conn->io->out);
	lose(s, "client timed out while receiving the response", false);
	go_on(s);
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	struct h2_server *s = c->owner;

	if (how == DRAIN_CUT) {
		sink_abort(&c->io->out);
		if (s->state == H2_LINGER)
			close_conn(s, true);
		lose(s, "the worker ends", false);
	} else if (s->state == H2_LINGER && how == DRAIN_NOW) {
		close_conn(s, false);
	} else if (s->n_streams == 0) {
		/* a request that is on its way will be made again: GOAWAY says that it was not served */
		h2_goodbye(s);
	} else {
		start_drain(s);
	}
	if (s->state == H2_OPEN || s->state == H2_LOST)
		h2_post(s);
}

static void
serve(struct weir_conn *c, const struct weir_serve *opts)
{
	struct h2_server *s = slab_take(&slab);

	memset(s, 0, sizeof *s);
	s->magic = H2_SERVER_MAGIC;
	s->conn = c;
	s->opts = opts;
	s->conf = h2_conf_in(opts->conf);
	s->send_ms = opts->header_ms;
	s->after.keepalive_ms = opts->keepalive_ms;
	s->after.linger = 1;
	s->after.linger_ms = 30000;
	s->after.linger_each_ms = 5000;
	h2_points_begin(&s->points);
	list_init(&s->streams);
	list_init(&s->todo);
	list_init(&s->tails);
	timer_init(&s->rtimer, on_rtimer);
	timer_init(&s->wtimer, on_wtimer);
	task_init(&s->task, on_task);
	if (h2_session_new(s) != WEIR_OK) {
		slab_give(&slab, s);
		conn_close(c);
		return;
	}
	c->owner = s;
	c->on_drain = on_drain;
	src_on_ready(&c->io->in, on_readable, s);
	sink_on_ready(&c->io->out, on_writable, s);
	src_want(&c->io->in, true);
	h2_post(s);
}

const struct weir_codec h2_codec = { .name = "h2", .alpn = "h2", .serve = serve, .reread = h2_reread };
