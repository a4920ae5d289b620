/*
 * server_io.c - the bodies of an exchange with a client: the request's as a source, the response's as a sink.
 */
#include "core/base/clock.h"
#include "http/h1/h1.h"
#include "http/h1/server.h"

static struct exchange *
of_src(struct weir_src *src)
{
	return WEIR_OF(src, struct exchange, x.io.in);
}

static struct exchange *
of_sink(struct weir_sink *sink)
{
	return WEIR_OF(sink, struct exchange, x.io.out);
}

/* ---- writing ---- */

/* What may go of a head that is let go piece by piece.  Whoever holds it comes again, so nobody need wait for the socket. */
static int
flush_part(struct exchange *e)
{
	struct weir_bufq part = { 0 };
	ssize_t n = 0;

	if (e->out.len > e->x.hold)
		bufq_move(&part, &e->out, e->out.len - e->x.hold);
	if (part.len != 0)
		n = sink_write(&e->s->conn->io->out, &part);
	bufq_move(&part, &e->out, UINT64_MAX);
	bufq_move(&e->out, &part, UINT64_MAX);
	e->x.sent = e->s->conn->tcp.put - e->put_before;
	return n == WEIR_FAIL ? WEIR_FAIL : WEIR_AGAIN;
}

/* Send what is held.  WEIR_AGAIN: some of it is still held. */
int
h1_server_flush(struct exchange *e)
{
	ssize_t n = 0;

	if (unlikely(e->x.hold != 0))
		return flush_part(e);
	if (e->out.len != 0)
		n = sink_write(&e->s->conn->io->out, &e->out);
	e->x.sent = e->s->conn->tcp.put - e->put_before;
	if (n == WEIR_FAIL)
		return WEIR_FAIL;
	if (e->out.len == 0) {
		if (e->blocked) {
			e->blocked = false;
			timer_off(&e->wtimer);
		}
		return WEIR_OK;
	}
	if (!e->blocked || n > 0) {
		e->blocked = true;
		timer_set(&e->wtimer, e->x.send_ms);
	}
	return WEIR_AGAIN;
}

static ssize_t
out_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct exchange *e = of_sink(sink);
	struct h1_server *s = e->s;
	uint64_t n = from->len;

	if (s->state == CLOSED)
		return WEIR_FAIL;
	if (e->blocked) {
		int r = h1_server_flush(e);

		if (r != WEIR_OK)
			return r;
	}
	if (h1_frame(&e->tx, &e->out, from, &sink->err) != WEIR_OK)
		return WEIR_FAIL;
	int r = h1_server_flush(e);
	if (r == WEIR_FAIL) {
		sink->err = s->conn->io->out.err;
		return WEIR_FAIL;
	}
	if (n == 0)
		return r;
	return (ssize_t)n;
}

static int
out_finish(struct weir_sink *sink)
{
	struct exchange *e = of_sink(sink);
	struct h1_server *s = e->s;

	if (s->state == CLOSED)
		return WEIR_FAIL;
	if (h1_frame_end(&e->tx, &e->out, &sink->err) != WEIR_OK)
		return WEIR_FAIL;
	int r = h1_server_flush(e);
	if (r == WEIR_OK && e->tx.mode == H1_RAW)
		return sink_finish(&s->conn->io->out);
	return r;
}

static void
out_want(struct weir_sink *sink, bool on)
{
	struct exchange *e = of_sink(sink);

	if (e->s->state == CLOSED)
		return;
	if (on && !e->blocked)
		task_post(&e->s->task);
	sink_want(&e->s->conn->io->out, on || e->blocked);
}

static void
out_abort(struct weir_sink *sink)
{
	struct exchange *e = of_sink(sink);

	e->broken = true;
}

/* The kernel may put body bytes behind what we sent, when nothing is held and no framing is due. */
static int
out_fd(struct weir_sink *sink, uint64_t *room)
{
	struct exchange *e = of_sink(sink);
	struct weir_sink *below = &e->s->conn->io->out;

	if (e->s->state == CLOSED || below->ops->fd == NULL)
		return -1;
	if (!h1_direct(e->tx.mode) || h1_server_flush(e) != WEIR_OK)
		return -1;
	int fd = below->ops->fd(below, room);
	if (e->tx.mode == H1_LENGTH)
		*room = e->tx.left;
	return fd;
}

static void
out_moved(struct weir_sink *sink, uint64_t n, bool full)
{
	struct exchange *e = of_sink(sink);
	struct weir_sink *below = &e->s->conn->io->out;

	if (e->tx.mode == H1_LENGTH)
		e->tx.left -= n;
	e->x.sent += n;
	below->ops->moved(below, n, full);
	if (full) {
		e->blocked = true;
		timer_set(&e->wtimer, e->x.send_ms);
	}
}

const struct weir_sink_ops h1_server_sink_ops = {
	.write = out_write, .finish = out_finish, .want = out_want, .abort = out_abort,
	.fd = out_fd, .moved = out_moved,
};

/* The connection can take more: first what is held, then the exchange. */
void
h1_server_writable(void *arg)
{
	struct h1_server *s = arg;
	struct exchange *e = s->now;

	if (s->state == CLOSED)
		return;
	if (e == NULL) {
		sink_want(&s->conn->io->out, false);
		return;
	}
	if (e->out.len != 0 && h1_server_flush(e) == WEIR_AGAIN)
		return;
	if (e->blocked && e->out.len == 0) {	/* it was the kernel's own bytes that did not fit */
		e->blocked = false;
		timer_off(&e->wtimer);
	}
	if (e->x.io.out.ready != NULL)
		e->x.io.out.ready(e->x.io.out.arg);
}

/* ---- reading the body ---- */

void
h1_server_continue(struct exchange *e)
{
	if (!e->expects)
		return;
	e->expects = false;
	if (e->head_done || e->s->in.len != 0)
		return;		/* it has begun, or the final answer is out */
	bufq_put(&e->out, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	(void)h1_server_flush(e);
}

static ssize_t
more(struct exchange *e, uint64_t most)
{
	struct h1_server *s = e->s;
	struct weir_src *below = &s->conn->io->in;
	ssize_t n;

	h1_server_continue(e);
	n = src_read(below, &s->in, (size_t)most);
	if (n > 0) {
		if (s->state == BUSY && e->rx.mode != H1_RAW)
			timer_set(&s->rtimer, e->x.recv_ms);
		return n;
	}
	if (n == WEIR_AGAIN) {
		if (s->state == BUSY && e->rx.mode != H1_RAW && s->rtimer.at == 0)
			timer_set(&s->rtimer, e->x.recv_ms);
		return WEIR_AGAIN;
	}
	if (e->rx.mode == H1_RAW)
		return n;
	e->x.io.in.err = n == WEIR_EOF ? "client closed the connection within the body" : below->err;
	e->rx.failed = true;
	return WEIR_FAIL;
}

static ssize_t
body_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct exchange *e = of_src(src);
	struct h1_server *s = e->s;
	struct h1_limits l = {
		.line = s->opts->line, .total = H1_MAX_TRAILER, .fields = s->opts->fields,
		.ignore_invalid = s->opts->ignore_invalid, .underscores = s->opts->underscores
	};

	if (s->state == CLOSED)
		return WEIR_FAIL;
	if (e->rx.mode == H1_RAW)
		return s->in.len != 0 ? (ssize_t)bufq_move(to, &s->in, max) :
		    src_read(&s->conn->io->in, to, max);
	for (;;) {
		ssize_t n = h1_take(&e->rx, &e->x, &s->in, to, max, &l);

		if (e->x.in_eof)
			timer_off(&s->rtimer);
		if (n != WEIR_AGAIN)
			return n;
		n = more(e, h1_wants(&e->rx));
		if (n < 0)
			return n;
	}
}

static void
body_want(struct weir_src *src, bool on)
{
	struct exchange *e = of_src(src);
	struct h1_server *s = e->s;

	if (s->state == CLOSED)
		return;
	if (on && (s->in.len != 0 || e->x.in_eof || e->rx.failed || e->rx.mode == H1_NOTHING))
		task_post(&s->task);
	if (on)
		h1_server_continue(e);
	else if (!e->x.in_eof && e->rx.mode != H1_RAW)
		timer_off(&s->rtimer);	/* it is us who do not read */
	src_want(&s->conn->io->in, on);
}

static void
body_stop(struct weir_src *src)
{
	struct exchange *e = of_src(src);

	if (e->s->state != CLOSED)
		src_want(&e->s->conn->io->in, false);
	timer_off(&e->s->rtimer);
}

static int
body_fd(struct weir_src *src, uint64_t *left)
{
	struct exchange *e = of_src(src);
	struct weir_src *below = &e->s->conn->io->in;

	if (e->s->state == CLOSED || e->s->in.len != 0 || below->ops->fd == NULL || e->expects)
		return -1;
	if (!h1_direct(e->rx.mode))
		return -1;
	int fd = below->ops->fd(below, left);
	if (e->rx.mode == H1_LENGTH)
		*left = e->rx.left;
	return fd;
}

static void
body_moved(struct weir_src *src, uint64_t n, bool drained)
{
	struct exchange *e = of_src(src);
	struct weir_src *below = &e->s->conn->io->in;

	below->ops->moved(below, n, drained);
	if (e->rx.mode != H1_LENGTH)
		return;
	h1_taken(&e->rx, &e->x, n);
	if (e->x.in_eof)
		timer_off(&e->s->rtimer);
	else
		timer_set(&e->s->rtimer, e->x.recv_ms);
}

const struct weir_src_ops h1_server_src_ops = {
	.read = body_read, .want = body_want, .stop = body_stop, .fd = body_fd, .moved = body_moved,
};
