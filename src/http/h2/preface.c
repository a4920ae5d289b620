/*
 * preface.c - is it HTTP/2?
 *
 * A client with prior knowledge begins with 24 bytes that no other version of HTTP can begin with
 * (RFC 9113, 3.4).  They are looked at and left in the socket for whoever serves the connection.
 */
#include "core/base/mem.h"
#include "core/net/peek.h"
#include "http/h2/server.h"

const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct look {
	struct weir_peek peek;
	void		(*done)(struct weir_conn *, bool);
};

static struct weir_slab slab = WEIR_SLAB(look);
static char room[H2_PREFACE];

static struct weir_conn *
end(struct look *l)
{
	struct weir_conn *c = peek_end(&l->peek);

	accept_stats->waiting--;
	slab_give(&slab, l);
	return c;
}

static void
decide(struct look *l, bool h2)
{
	void (*done)(struct weir_conn *, bool) = l->done;

	done(end(l), h2);
}

static bool
see(struct weir_peek *p, size_t old, size_t all)
{
	struct look *l = WEIR_OF(p, struct look, peek);
	bool same = memcmp(room + old, h2_preface + old, all - old) == 0;

	if (same && all < H2_PREFACE)
		return false;
	decide(l, same);
	return true;
}

static void
on_end(struct weir_peek *p)
{
	decide(WEIR_OF(p, struct look, peek), false);
}

static void
on_late(struct weir_peek *p)
{
	conn_close(end(WEIR_OF(p, struct look, peek)));
}

static void
on_drain(struct weir_peek *p, enum weir_drain how)
{
	struct weir_conn *c = p->conn;

	on_end(p);
	if (c->on_drain != NULL)
		c->on_drain(c, how);
}

void
h2_look(struct weir_conn *c, uint64_t wait_ms, void (*done)(struct weir_conn *, bool))
{
	static const struct weir_peek_ops ops = {
		.room = room, .max = sizeof room, .see = see, .over = on_end, .late = on_late, .drain = on_drain,
	};
	struct look *l = slab_take(&slab);

	l->done = done;
	accept_stats->waiting++;
	peek_begin(&l->peek, c, &ops, wait_ms);
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
