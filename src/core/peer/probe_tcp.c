/*
 * probe_tcp.c - does a server let us connect, with TLS or without, and say what is expected?
 */
#include "core/peer/health.h"

enum { TRIES = 200, READ_SIZE = 16384 };	/* how often an answer that comes in bits is looked at */

struct talk {
	struct weir_probe *p;
	struct weir_bufq out, in;
	char		*text;		/* what came, in one piece */
	size_t		 n, room;
	unsigned	 tries;
};

static bool
look(struct talk *t, bool last)
{
	if (!last && ++t->tries > TRIES)
		return false;
	if (!expect_met(t->p->h->expect, str_of(t->text, t->n)))
		return false;
	probe_pass(t->p);
	return true;
}

static void
keep(struct talk *t)
{
	size_t n = (size_t)t->in.len;

	if (t->n + n > t->room) {
		char *to;

		t->room = WEIR_MAX(t->room * 2, t->n + n);
		to = pool_bytes(t->p->pool, t->room);
		if (t->n != 0)
			memcpy(to, t->text, t->n);
		t->text = to;
	}
	t->n += bufq_take(&t->in, t->text + t->n, n);
}

static void
on_readable(void *arg)
{
	struct talk *t = arg;
	struct weir_src *in = &t->p->conn->io->in;
	ssize_t r;

	if (t->p->ended)
		return;
	while ((r = src_read(in, &t->in, READ_SIZE)) > 0) {
		keep(t);
		if (look(t, false))
			return;
		if (t->n >= PROBE_BODY_MAX) {
			probe_fail(t->p, "no match in the first %u bytes of the answer", PROBE_BODY_MAX);
			return;
		}
	}
	if (r == WEIR_AGAIN || look(t, true))
		return;
	probe_fail(t->p, r == WEIR_EOF ? "the connection ended without a match" : "the connection broke: %s",
	    in->err != NULL ? in->err : "reset");
}

static void
on_writable(void *arg)
{
	struct talk *t = arg;
	struct weir_sink *out = &t->p->conn->io->out;

	if (t->p->ended)
		return;
	if (sink_write(out, &t->out) == WEIR_FAIL) {
		probe_fail(t->p, "sending failed: %s", out->err != NULL ? out->err : "reset");
		return;
	}
	sink_want(out, t->out.len != 0);
	if (t->out.len == 0 && !expects_any(t->p->h->expect))
		probe_pass(t->p);
}

static void
on_connected(struct weir_probe *p)
{
	const struct weir_expect *e = p->h->expect;
	struct talk *t;

	if (e == NULL) {
		probe_pass(p);
		return;
	}
	p->own = t = POOL_NEW(p->pool, talk);
	t->p = p;
	t->text = (char *)(uintptr_t)"";
	src_on_ready(&p->conn->io->in, on_readable, t);
	sink_on_ready(&p->conn->io->out, on_writable, t);
	if (e->send.n != 0)
		bufq_put_view(&t->out, e->send.p, e->send.n);
	p->doing = "sending";
	on_writable(t);
	if (p->ended || !expects_any(e))
		return;
	p->doing = "waiting for what is expected";
	src_want(&p->conn->io->in, true);
}

static void
start(struct weir_probe *p)
{
	probe_connect(p, NULL, on_connected);
}

static void
end(struct weir_probe *p)
{
	struct talk *t = p->own;

	if (t == NULL)
		return;
	src_on_ready(&p->conn->io->in, NULL, NULL);
	sink_on_ready(&p->conn->io->out, NULL, NULL);
	bufq_clear(&t->in);
	bufq_clear(&t->out);
}

const struct weir_probe_kind probe_tcp = { .name = "tcp", .start = start, .end = end };
const struct weir_probe_kind probe_tls = { .name = "tls", .secure = true, .start = start, .end = end };
