/*
 * tail.c - the rest of a request whose response is out.
 *
 * RST_STREAM could say at once that nobody wants it (RFC 9113, 8.1), but clients that are busy sending may
 * then never look at the response.  So for a moment what comes is counted and thrown away, up to some size.
 * It is what lingering_close is to a connection.
 */
#include "core/base/mem.h"
#include "http/h2/server.h"

enum { TAIL_MS = 1000, TAIL_MOST = 1 << 20 };	/* without a byte; of all */

#define TAIL_MAGIC 0x6832746cu

struct tail {
	uint32_t	 magic;		/* where an exchange has its own: both are data of streams */
	int32_t		 id;
	struct h2_server *s;
	struct weir_list node;
	uint64_t	 seen;
	int64_t		 left;		/* of its Content-Length; -1: not known */
	struct weir_timer timer;
};

static struct weir_slab slab = WEIR_SLAB(tail);

static struct tail *
tail_of(const struct h2_server *s, int32_t id)
{
	struct tail *t = nghttp2_session_get_stream_user_data(s->ng, id);

	return t != NULL && t->magic == TAIL_MAGIC ? t : NULL;
}

static void
free_tail(struct tail *t)
{
	timer_off(&t->timer);
	list_remove(&t->node);
	slab_give(&slab, t);
}

static void
reset(struct tail *t, uint32_t code)
{
	struct h2_server *s = t->s;
	int32_t id = t->id;

	(void)nghttp2_session_set_stream_user_data(s->ng, id, NULL);
	free_tail(t);
	(void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, id, code);
	h2_post(s);
}

static void
on_timer(struct weir_timer *timer)
{
	reset(WEIR_OF(timer, struct tail, timer), NGHTTP2_NO_ERROR);
}

void
h2_tail_begin(struct h2_stream *e)
{
	struct tail *t = slab_take(&slab);

	t->magic = TAIL_MAGIC;
	t->id = e->id;
	t->s = e->s;
	t->seen = 0;
	t->left = e->x.msg.flags & MSG_HAS_LENGTH ? e->x.msg.length - (int64_t)e->got : -1;
	list_append(&e->s->tails, &t->node);
	timer_init(&t->timer, on_timer);
	timer_set(&t->timer, TAIL_MS);
	(void)nghttp2_session_set_stream_user_data(e->s->ng, e->id, t);
}

bool
h2_tail_data(struct h2_server *s, int32_t id, size_t n)
{
	struct tail *t = tail_of(s, id);

	if (t == NULL)
		return false;
	(void)nghttp2_session_consume(s->ng, id, n);
	t->seen += n;
	if (t->left >= 0 && (t->left -= (int64_t)n) < 0)
		reset(t, NGHTTP2_PROTOCOL_ERROR);
	else if (t->seen > TAIL_MOST)
		reset(t, NGHTTP2_NO_ERROR);
	else
		timer_set(&t->timer, TAIL_MS);
	return true;
}

void
h2_tail_end(struct h2_server *s, int32_t id)
{
	struct tail *t = tail_of(s, id);

	if (t != NULL && t->left > 0)
		reset(t, NGHTTP2_PROTOCOL_ERROR);
}

/* RFC 9113, 8.1: trailers are the end, or malformed. */
void
h2_tail_headers(struct h2_server *s, int32_t id, bool end)
{
	struct tail *t = tail_of(s, id);

	if (t != NULL && !end)
		reset(t, NGHTTP2_PROTOCOL_ERROR);
	else if (t != NULL)
		h2_tail_end(s, id);
}

int
h2_tail_trailer(struct h2_server *s, int32_t id, struct weir_str name, struct weir_str value)
{
	struct tail *t = tail_of(s, id);

	if (t == NULL || h2_trailer_ok(name, value))
		return WEIR_OK;
	reset(t, NGHTTP2_PROTOCOL_ERROR);
	return WEIR_FAIL;
}

void
h2_tail_closed(struct h2_server *s, int32_t id)
{
	struct tail *t = tail_of(s, id);

	if (t != NULL)
		free_tail(t);
}

void
h2_tails_free(struct h2_server *s)
{
	while (!list_empty(&s->tails))
		free_tail(list_first(&s->tails, struct tail, node));
}
