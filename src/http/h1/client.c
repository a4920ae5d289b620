/*
 * client.c - HTTP/1 towards upstreams.
 *
 * A link carries one exchange at a time.  It is fit for another when the request was
 * sent whole, the response was read to its end by its own framing, nothing came behind it, and
 * neither side said close.  Whatever comes on an idle link ends it: an upstream that
 * speaks unasked must not answer somebody else's request (security row S-45).
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/num.h"
#include "http/h1/body.h"
#include "http/h1/h1.h"
#include "http/h1/write.h"

enum {
	MAX_INTERIM	= 20		/* 1xx before the final response (S-47) */
};

struct h1_link {
	struct weir_link l;
	struct exchange	*now;
	struct weir_bufq in, out;
	size_t		 scanned;
	struct weir_task task;
	bool		 closed;
	bool		 full;		/* the kernel could not take spliced bytes */
};

struct exchange {			/* in the pool that open() was given */
	struct weir_xchg x;
	struct h1_link	*k;
	struct h1_rx	 rx;		/* the response's body */
	struct h1_tx	 tx;		/* the request's */
	bool		 head_request, sent_head, broken, upgrade_asked;
	unsigned	 interims;
};

static struct weir_slab slab = WEIR_SLAB(h1_link);

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

static void
close_link(struct h1_link *k, bool reset)
{
	if (k->closed)
		return;
	k->closed = true;
	bufq_clear(&k->in);
	bufq_clear(&k->out);
	if (reset)
		conn_abort(k->l.conn);
	else
		conn_close(k->l.conn);
}

/* ---- writing the request ---- */

static int
flush(struct h1_link *k)
{
	ssize_t n = 0;

	if (k->out.len != 0)
		n = sink_write(&k->l.conn->io->out, &k->out);
	if (n == WEIR_FAIL)
		return WEIR_FAIL;
	return k->out.len == 0 ? WEIR_OK : WEIR_AGAIN;
}

static ssize_t
out_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct exchange *e = of_sink(sink);
	struct h1_link *k = e->k;
	uint64_t n = from->len;
	int r;

	if (k->closed)
		return WEIR_FAIL;
	/* a head alone waits for the body that comes with it */
	if (k->out.len >= SEG_LARGE && (r = flush(k)) != WEIR_OK) {
		sink->err = k->l.conn->io->out.err;
		return r;
	}
	if (h1_frame(&e->tx, &k->out, from, &sink->err) != WEIR_OK)
		return WEIR_FAIL;
	r = flush(k);
	if (r == WEIR_FAIL) {
		sink->err = k->l.conn->io->out.err;
		return WEIR_FAIL;
	}
	return n == 0 ? r : (ssize_t)n;
}

static int
out_finish(struct weir_sink *sink)
{
	struct exchange *e = of_sink(sink);
	int r;

	if (e->k->closed)
		return WEIR_FAIL;
	if (h1_frame_end(&e->tx, &e->k->out, &sink->err) != WEIR_OK)
		return WEIR_FAIL;
	r = flush(e->k);
	if (r == WEIR_FAIL)
		sink->err = e->k->l.conn->io->out.err;
	if (r == WEIR_OK && e->tx.mode == H1_RAW)
		return sink_finish(&e->k->l.conn->io->out);
	return r;
}

static void
out_want(struct weir_sink *sink, bool on)
{
	struct exchange *e = of_sink(sink);

	if (e->k->closed)
		return;
	if (on && e->k->out.len == 0 && !e->k->full)
		task_post(&e->k->task);
	sink_want(&e->k->l.conn->io->out, on);
}

static void
out_abort(struct weir_sink *sink)
{
	of_sink(sink)->broken = true;
}

static int
out_fd(struct weir_sink *sink, uint64_t *room)
{
	struct exchange *e = of_sink(sink);
	struct weir_sink *below;
	int fd;

	if (e->k->closed || !h1_direct(e->tx.mode))
		return -1;
	below = &e->k->l.conn->io->out;
	if (below->ops->fd == NULL || flush(e->k) != WEIR_OK)
		return -1;
	fd = below->ops->fd(below, room);
	if (e->tx.mode == H1_LENGTH)
		*room = e->tx.left;
	return fd;
}

static void
out_moved(struct weir_sink *sink, uint64_t n, bool full)
{
	struct exchange *e = of_sink(sink);
	struct weir_sink *below = &e->k->l.conn->io->out;

	if (e->tx.mode == H1_LENGTH)
		e->tx.left -= n;
	e->k->full = full;
	below->ops->moved(below, n, full);
}

static const struct weir_sink_ops out_ops = {
	.write = out_write, .finish = out_finish, .want = out_want, .abort = out_abort,
	.fd = out_fd, .moved = out_moved,
};

static void
on_writable(void *arg)
{
	struct h1_link *k = arg;
	struct exchange *e = k->now;

	if (k->closed)
		return;
	k->full = false;
	/* a failure is seen, and named, by whoever reads the response */
	if (k->out.len != 0 && flush(k) == WEIR_AGAIN)
		return;
	if (e != NULL && e->x.io.out.ready != NULL)
		e->x.io.out.ready(e->x.io.out.arg);
	else
		sink_want(&k->l.conn->io->out, false);
}

/* ---- reading the response ---- */

static ssize_t
more(struct exchange *e, uint64_t most)
{
	struct h1_link *k = e->k;
	struct weir_src *below = &k->l.conn->io->in;
	ssize_t n = src_read(below, &k->in, (size_t)most);

	if (n > 0 || n == WEIR_AGAIN)
		return n;
	e->x.io.in.err = n == WEIR_EOF ? "upstream prematurely closed connection" : below->err;
	e->rx.failed = true;
	return WEIR_FAIL;
}

static ssize_t
read_rest(struct exchange *e, struct weir_bufq *to, size_t max)
{
	struct h1_link *k = e->k;
	ssize_t n;

	if (k->in.len != 0)
		n = (ssize_t)bufq_move(to, &k->in, max);
	else
		n = src_read(&k->l.conn->io->in, to, max);
	if (n > 0)
		e->x.received += (uint64_t)n;
	else if (n == WEIR_EOF)
		e->x.in_eof = 1;
	else if (n == WEIR_FAIL)
		e->x.io.in.err = k->l.conn->io->in.err;
	return n;
}

static ssize_t
body_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct exchange *e = of_src(src);
	struct h1_limits l = { .line = H1_MAX_TRAILER, .total = H1_MAX_TRAILER,
		.fields = e->x.limits.fields, .ignore_invalid = true, .underscores = true };

	if (e->k->closed || e->rx.mode == H1_HEAD)
		return e->k->closed ? WEIR_FAIL : WEIR_AGAIN;
	if (e->rx.failed)
		return WEIR_FAIL;
	if (e->rx.mode == H1_UNTIL_CLOSE || e->rx.mode == H1_RAW)
		return read_rest(e, to, max);
	for (;;) {
		ssize_t n = h1_take(&e->rx, &e->x, &e->k->in, to, max, &l);

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

	if (e->k->closed)
		return;
	if (on && e->rx.mode != H1_HEAD && (e->k->in.len != 0 || e->x.in_eof || e->rx.failed))
		task_post(&e->k->task);
	/* while the head is awaited we listen in any case */
	src_want(&e->k->l.conn->io->in, on || e->rx.mode == H1_HEAD);
}

static void
body_stop(struct weir_src *src)
{
	body_want(src, false);
}

static int
body_fd(struct weir_src *src, uint64_t *left)
{
	struct exchange *e = of_src(src);
	struct weir_src *below;
	int fd;

	if (e->k->closed || e->k->in.len != 0)
		return -1;
	if (!h1_direct(e->rx.mode))
		return -1;
	below = &e->k->l.conn->io->in;
	if (below->ops->fd == NULL)
		return -1;
	fd = below->ops->fd(below, left);
	if (e->rx.mode == H1_LENGTH)
		*left = e->rx.left;
	return fd;
}

static void
body_moved(struct weir_src *src, uint64_t n, bool drained)
{
	struct exchange *e = of_src(src);
	struct weir_src *below = &e->k->l.conn->io->in;

	below->ops->moved(below, n, drained);
	h1_taken(&e->rx, &e->x, n);
}

static const struct weir_src_ops body_ops = {
	.read = body_read, .want = body_want, .stop = body_stop, .fd = body_fd, .moved = body_moved,
};

/* ---- heads ---- */

static void
gone(struct exchange *e, const char *why, bool lost)
{
	e->broken = true;
	e->rx.failed = true;
	e->x.io.in.err = why;
	e->x.gone = lost ? 2 : 0;	/* else it is there, but nothing that it says can be used */
	e->x.came += e->k->in.len;
	src_want(&e->k->l.conn->io->in, false);
	if (e->x.on_gone != NULL)
		e->x.on_gone(&e->x, why);
}

static void
frame_body(struct exchange *e)
{
	const struct weir_msg *m = &e->x.msg;

	if (m->flags & MSG_CHUNKED) {
		e->rx.mode = H1_CHUNKED;
	} else if (m->flags & MSG_UNTIL_CLOSE) {
		e->rx.mode = H1_UNTIL_CLOSE;
	} else if (m->length > 0) {
		e->rx.mode = H1_LENGTH;
		e->rx.left = (uint64_t)m->length;
	} else {
		e->rx.mode = H1_NOTHING;
		e->x.in_eof = 1;
	}
	/* HEAD, 204, 304: a length that was given describes what is not there */
	if (e->head_request || m->status == 204 || m->status == 304) {
		e->rx.mode = H1_NOTHING;
		e->x.in_eof = 1;
	}
}

/* Parse one head.  True: go on reading, it was an interim one that is dealt with. */
static bool
on_head(struct exchange *e, size_t head)
{
	struct h1_link *k = e->k;
	struct h1_limits l = { .line = e->x.limits.line, .total = e->x.limits.total,
		.fields = e->x.limits.fields, .ignore_invalid = true, .underscores = true };
	char *text;
	struct h1_verdict v;

	if (head > l.total) {
		gone(e, "upstream sent too big header", false);
		return false;
	}
	text = pool_bytes(e->x.pool, head);
	bufq_take(&k->in, text, head);
	e->x.came += head;
	k->scanned = 0;
	memset(&e->x.msg, 0, sizeof e->x.msg);
	v = h1_parse_response(e->x.pool, text, head, &l, e->head_request, &e->x.msg);
	if (v.status != 0) {
		gone(e, pool_cstr(e->x.pool, pool_printf(e->x.pool, "upstream sent invalid header: %s", v.why)),
		    false);
		return false;
	}
	e->x.version = e->x.msg.version;
	if (e->x.msg.status == 101) {
		if (!e->upgrade_asked) {
			gone(e, "upstream sent an unexpected 101 response", false);
			return false;
		}
		e->rx.mode = H1_RAW;
		e->tx.mode = H1_RAW;
	} else if (e->x.msg.status < 200) {
		if (++e->interims > MAX_INTERIM) {
			gone(e, "upstream sent too many interim responses", false);
			return false;
		}
		if (e->x.msg.status != 100) {
			e->x.on_head(&e->x);
			return !k->closed && k->now == e && !e->broken;
		}
		return true;
	} else {
		frame_body(e);
	}
	src_want(&k->l.conn->io->in, false);
	e->x.on_head(&e->x);
	return false;
}

static const char *
gather(struct exchange *e, size_t *n)
{
	struct h1_link *k = e->k;
	struct weir_str first = bufq_first(&k->in);

	if (first.n >= k->in.len) {
		*n = first.n;
		return first.p;
	}
	*n = (size_t)WEIR_MIN(k->in.len, (uint64_t)e->x.limits.total + 1);
	char *wide = pool_bytes(e->x.pool, *n);
	bufq_peek(&k->in, 0, wide, *n);
	return wide;
}

static void
read_head(struct exchange *e)
{
	struct h1_link *k = e->k;

	for (;;) {
		size_t n, head;
		const char *p;
		ssize_t r;

		if (k->in.len != 0) {
			p = gather(e, &n);
			head = h1_head_end(p, n, &k->scanned);
			if (head != 0) {
				if (!on_head(e, head))
					return;
				continue;
			}
			if (n > e->x.limits.total) {
				gone(e, "upstream sent too big header", false);
				return;
			}
			if (n >= 5 && memcmp(p, "HTTP/", 5) != 0 && p[0] != '\r' && p[0] != '\n') {
				gone(e, "upstream sent no valid HTTP/1.0 header", false);
				return;
			}
		}
		r = src_read(&k->l.conn->io->in, &k->in, SEG_LARGE);
		if (r == WEIR_AGAIN)
			return;
		if (r < 0) {
			gone(e, r == WEIR_EOF ?
			    "upstream prematurely closed connection while reading response header "
			    "from upstream" : k->l.conn->io->in.err, true);
			return;
		}
	}
}

static void
on_state(struct h1_link *k, enum weir_link_state state)
{
	k->l.state = state;
	if (k->l.on_state != NULL)
		k->l.on_state(&k->l);
}

static void
on_readable(void *arg)
{
	struct h1_link *k = arg;
	struct exchange *e = k->now;

	if (k->closed)
		return;
	if (e == NULL) {
		/* idle: bytes or an end, either way it is of no more use; or an old notice */
		if (!conn_quiet(k->l.conn))
			on_state(k, LINK_DEAD);
		return;
	}
	if (e->rx.mode == H1_HEAD && e->sent_head)
		read_head(e);
	else if (e->x.io.in.ready != NULL)
		e->x.io.in.ready(e->x.io.in.arg);
}

static void
on_conn_gone(void *arg)
{
	struct h1_link *k = arg;

	if (k->closed)
		return;
	if (k->now == NULL)
		on_state(k, LINK_DEAD);
	else if (k->now->x.on_gone != NULL && fdio_reset(&k->l.conn->tcp) && k->now->rx.mode != H1_HEAD)
		gone(k->now, "connection reset by upstream", true);
}

static void
on_task(struct weir_task *t)
{
	struct h1_link *k = WEIR_OF(t, struct h1_link, task);
	struct exchange *e = k->now;

	if (k->closed || e == NULL)
		return;
	if (e->rx.mode != H1_HEAD && e->x.io.in.ready != NULL &&
	    (k->in.len != 0 || e->x.in_eof || e->rx.failed))
		e->x.io.in.ready(e->x.io.in.arg);
	if (!k->closed && k->now == e && k->out.len == 0 && e->x.io.out.ready != NULL)
		e->x.io.out.ready(e->x.io.out.arg);
}

/* ---- the exchange ---- */

/* TE ends at this hop, so Connection names it (RFC 9110, 10.1.4). */
static struct weir_str
connection(const struct weir_msg *m, unsigned flags)
{
	bool te = fields_known(&m->fields, H_TE) != NULL;

	if (flags & HEAD_TUNNEL)
		return te ? STR("Connection: Upgrade, TE\r\n") : STR("Connection: Upgrade\r\n");
	if (flags & HEAD_CLOSE)
		return te ? STR("Connection: close, TE\r\n") : STR("Connection: close\r\n");
	if (m->version == 0x100)
		return te ? STR("Connection: keep-alive, TE\r\n") : STR("Connection: keep-alive\r\n");
	return te ? STR("Connection: TE\r\n") : STR("");
}

static int
x_head(struct weir_xchg *x, const struct weir_msg *m, unsigned flags)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);
	struct h1_link *k = e->k;
	char extra[96], *p = extra;
	struct weir_str conn = connection(m, flags);

	if (k->closed)
		return WEIR_FAIL;
	e->head_request = m->method_id == M_HEAD;
	e->upgrade_asked = (flags & HEAD_TUNNEL) != 0;
	if (m->length > 0 || (m->length == 0 && (m->flags & MSG_HAS_LENGTH))) {
		p = mempcpy(p, "Content-Length: ", 16);
		p = num_put(p, (uint64_t)m->length);
		p = mempcpy(p, "\r\n", 2);
		e->tx.mode = m->length > 0 ? H1_LENGTH : H1_NOTHING;
		e->tx.left = (uint64_t)m->length;
	} else if (m->length < 0) {
		p = mempcpy(p, "Transfer-Encoding: chunked\r\n", 28);
		e->tx.mode = H1_CHUNKED;
	} else {
		e->tx.mode = H1_NOTHING;
	}
	p = mempcpy(p, conn.p, conn.n);
	h1_put_request(&k->out, m, str_of(extra, (size_t)(p - extra)));
	e->sent_head = true;
	src_want(&k->l.conn->io->in, true);
	return WEIR_OK;
}

static int
x_trailers(struct weir_xchg *x, const struct weir_fields *t)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);

	e->tx.trailers = *t;
	return WEIR_OK;
}

static void
x_cancel(struct weir_xchg *x, enum weir_cancel why)
{
	(void)why;
	WEIR_OF(x, struct exchange, x)->broken = true;
}

/* May somebody else use the link after this exchange? */
static bool
fit(const struct exchange *e)
{
	const struct h1_link *k = e->k;

	if (e->broken || e->rx.failed || !e->tx.finished || !e->x.in_eof || k->in.len != 0 ||
	    k->out.len != 0 || e->rx.mode == H1_RAW || e->rx.mode == H1_UNTIL_CLOSE ||
	    e->rx.mode == H1_HEAD)
		return false;
	/* what has come behind the response must not become somebody else's (S-45) */
	return !(e->x.msg.flags & MSG_CLOSE) && conn_quiet(k->l.conn);
}

static void
x_release(struct weir_xchg *x)
{
	struct exchange *e = WEIR_OF(x, struct exchange, x);
	struct h1_link *k = e->k;
	bool ok = fit(e);

	h1_chunks_clear(&e->rx.chunks);
	k->now = NULL;
	task_off(&k->task);
	if (k->closed)
		return;
	bufq_clear(&k->in);
	bufq_clear(&k->out);
	if (!ok) {
		on_state(k, LINK_DEAD);
		return;
	}
	sink_want(&k->l.conn->io->out, false);
	src_want(&k->l.conn->io->in, true);
	k->l.idle_since_ms = weir_now_ms;
	on_state(k, LINK_IDLE);
}

static struct weir_conn *
x_detach(struct weir_xchg *x, struct weir_bufq *in, struct weir_bufq *out)
{
	struct h1_link *k = WEIR_OF(x, struct exchange, x)->k;

	bufq_move(in, &k->in, k->in.len);
	bufq_move(out, &k->out, k->out.len);
	k->closed = true;
	task_off(&k->task);
	k->l.conn->tcp.on_gone = NULL;
	src_want(&k->l.conn->io->in, false);
	sink_want(&k->l.conn->io->out, false);
	return k->l.conn;
}

static const struct weir_xchg_ops xchg_ops = {
	.head = x_head, .trailers = x_trailers, .cancel = x_cancel, .release = x_release,
	.detach = x_detach,
};

struct weir_xchg *
h1_open(struct weir_link *l, struct weir_pool *pool)
{
	struct h1_link *k = WEIR_OF(l, struct h1_link, l);
	struct exchange *e;

	if (k->now != NULL || k->closed)
		return NULL;
	e = POOL_NEW(pool, exchange);
	e->k = k;
	e->x.magic = WEIR_XCHG_MAGIC;
	e->x.version = 0x101;
	e->x.io.in.ops = &body_ops;
	e->x.io.out.ops = &out_ops;
	e->x.ops = &xchg_ops;
	e->x.conn = l->conn;
	e->x.pool = pool;
	e->x.number = ++l->requests;
	h1_chunks_init(&e->rx.chunks);
	e->tx.mode = H1_NOTHING;
	k->now = e;
	k->scanned = 0;
	l->state = LINK_BUSY;
	return &e->x;
}

struct weir_link *
h1_link(struct weir_conn *c)
{
	struct h1_link *k = slab_take(&slab);

	memset(k, 0, sizeof *k);
	k->l.magic = WEIR_LINK_MAGIC;
	k->l.codec = &h1_codec;
	k->l.conn = c;
	list_init(&k->l.node);
	task_init(&k->task, on_task);
	c->owner = k;
	c->tcp.on_gone = on_conn_gone;
	c->tcp.gone_arg = k;
	src_on_ready(&c->io->in, on_readable, k);
	sink_on_ready(&c->io->out, on_writable, k);
	return &k->l;
}

static void
on_free(struct weir_task *t)
{
	struct h1_link *k = WEIR_OF(t, struct h1_link, task);

	k->l.magic = 0;
	slab_give(&slab, k);
}

void
h1_end(struct weir_link *l)
{
	struct h1_link *k = WEIR_OF(l, struct h1_link, l);

	assert(k->now == NULL);
	list_remove(&l->node);
	close_link(k, false);
	task_off(&k->task);
	task_init(&k->task, on_free);
	task_post(&k->task);
}
