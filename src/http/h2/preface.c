/*
 * preface.c - is it HTTP/2?
 *
 * A client with prior knowledge begins with 24 bytes that no other version of HTTP can begin with
 * (RFC 9113, 3.4).  They are looked at and left in the socket for whoever serves the connection.
 */
#include <errno.h>
#include <sys/socket.h>

#include "core/base/mem.h"
#include "http/h2/server.h"

const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct look {
	struct weir_conn *conn;
	void		(*done)(struct weir_conn *, bool);
	struct weir_timer timer;
};

static struct weir_slab slab = WEIR_SLAB(look);

static struct weir_conn *
end(struct look *l)
{
	struct weir_conn *c = l->conn;

	accept_stats->waiting--;
	timer_off(&l->timer);
	c->owner = NULL;
	c->on_drain = NULL;
	src_want(&c->io->in, false);
	src_on_ready(&c->io->in, NULL, NULL);
	c->tcp.ev.ready |= EV_READ;	/* what was looked at is still there */
	slab_give(&slab, l);
	return c;
}

static void
decide(struct look *l, bool h2)
{
	void (*done)(struct weir_conn *, bool) = l->done;

	done(end(l), h2);
}

static void
on_ready(void *arg)
{
	struct look *l = arg;
	struct weir_fdio *tcp = &l->conn->tcp;
	char seen[H2_PREFACE];
	ssize_t n = recv(tcp->ev.fd, seen, H2_PREFACE, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		tcp->ev.ready &= (uint8_t)~EV_READ;
		return;
	}
	if (n <= 0 || memcmp(seen, h2_preface, (size_t)n) != 0) {
		decide(l, false);
	} else if (n == H2_PREFACE) {
		decide(l, true);
	} else if (tcp->ev.ready & (EV_HUP | EV_ERR)) {		/* that was all */
		decide(l, false);
	} else {
		tcp->ev.ready &= (uint8_t)~EV_READ;
	}
}

static void
on_timer(struct weir_timer *t)
{
	conn_close(end(WEIR_OF(t, struct look, timer)));
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	decide(c->owner, false);
	if (c->on_drain != NULL)
		c->on_drain(c, how);
}

void
h2_look(struct weir_conn *c, uint64_t wait_ms, void (*done)(struct weir_conn *, bool))
{
	struct look *l = slab_take(&slab);

	l->conn = c;
	l->done = done;
	c->owner = l;
	c->on_drain = on_drain;
	accept_stats->waiting++;
	timer_init(&l->timer, on_timer);
	timer_set(&l->timer, wait_ms);
	src_on_ready(&c->io->in, on_ready, l);
	src_want(&c->io->in, true);
}

/*
 * A frame SETTINGS belongs to the preface.  nginx does without, and so do clients that were only tried
 * with it; nghttp2 does not, and is given an empty one then.
 */
int
h2_begin(struct h2_server *s, struct weir_bufq *q)
{
	static const uint8_t empty[] = { 0, 0, 0, NGHTTP2_SETTINGS, 0, 0, 0, 0, 0 };
	const uint8_t *frame = (const uint8_t *)s->first + H2_PREFACE;

	s->begun += (uint8_t)bufq_take(q, s->first + s->begun, sizeof s->first - s->begun);
	if (memcmp(s->first, h2_preface, WEIR_MIN((size_t)s->begun, (size_t)H2_PREFACE)) != 0)
		return WEIR_FAIL;
	if (s->begun < sizeof s->first)
		return WEIR_OK;
	s->unacked = frame[3] != NGHTTP2_SETTINGS || frame[4] & NGHTTP2_FLAG_ACK;
	if (s->unacked && nghttp2_session_mem_recv2(s->ng, empty, sizeof empty) < 0)
		return WEIR_FAIL;
	s->closed.payload = (uint32_t)frame[0] << 16 | (uint32_t)frame[1] << 8 | frame[2];
	return nghttp2_session_mem_recv2(s->ng, frame, sizeof s->first - H2_PREFACE) < 0 ? WEIR_FAIL : WEIR_OK;
}
