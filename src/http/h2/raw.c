/*
 * raw.c - a stream that has become a tunnel (RFC 8441, RFC 9113, 8.5).
 *
 * Its exchange goes, with message and pool; this is what is left: queues, flow control, the end of each direction.
 * An idle one holds no buffer.  To nghttp2 and to everybody in this room it is a stream as others are, which is
 * why it begins with the same struct.
 */
#include "core/base/mem.h"
#include "http/h2/server.h"

struct raw {
	struct h2_stream e;
	struct weir_task free;
};

static struct weir_slab slab = WEIR_SLAB(raw);

/* ---- the request's head, as a text for the time after ---- */

static void
strings_of(struct weir_msg *m, struct weir_str **to)
{
	to[0] = &m->line;
	to[1] = &m->method;
	to[2] = &m->target;
	to[3] = &m->scheme;
	to[4] = &m->authority;
	to[5] = &m->protocol;
}

enum { STRINGS = 6 };

struct fixed {
	uint32_t	 size;
	uint16_t	 flags;
};

static char *
put(char *to, struct weir_str s)
{
	uint32_t n = (uint32_t)s.n;

	to = mempcpy(to, &n, sizeof n);
	return n != 0 ? mempcpy(to, s.p, n) : to;
}

static size_t
room_of(struct weir_str s)
{
	return sizeof(uint32_t) + s.n;
}

void
h2_keep_head(struct h2_stream *e)
{
	struct weir_msg *m = &e->x.msg;
	struct fixed fixed = { m->size, m->flags };
	struct weir_str *s[STRINGS];
	size_t n = sizeof fixed;
	char *p, *begin;

	strings_of(m, s);
	for (unsigned i = 0; i < STRINGS; i++)
		n += room_of(*s[i]);
	for (unsigned i = 0; i < m->fields.n; i++)
		n += room_of(m->fields.v[i].name) + room_of(m->fields.v[i].value);
	begin = pool_bytes(e->x.pool, n);
	p = mempcpy(begin, &fixed, sizeof fixed);
	for (unsigned i = 0; i < STRINGS; i++)
		p = put(p, *s[i]);
	for (unsigned i = 0; i < m->fields.n; i++)
		p = put(put(p, m->fields.v[i].name), m->fields.v[i].value);
	e->x.raw = str_of(begin, n);
}

static struct weir_str
take(const char **p)
{
	struct weir_str s;
	uint32_t n;

	memcpy(&n, *p, sizeof n);
	s = str_of(*p + sizeof n, n);
	*p += sizeof n + n;
	return s;
}

void
h2_reread(struct weir_pool *pool, struct weir_str raw, struct weir_msg *m)
{
	struct weir_str copy = pool_str(pool, raw), *s[STRINGS];
	const char *p = copy.p, *end = p + copy.n;
	struct fixed fixed;

	memcpy(&fixed, p, sizeof fixed);
	p += sizeof fixed;
	m->size = fixed.size;
	m->flags = fixed.flags;
	m->version = 0x200;
	strings_of(m, s);
	for (unsigned i = 0; i < STRINGS; i++)
		*s[i] = take(&p);
	m->method_id = method_of(m->method);
	while (p < end) {
		struct weir_str name = take(&p);

		fields_add(&m->fields, pool, name, take(&p));
	}
}

/* ---- the stream ---- */

static void
on_free(struct weir_task *t)
{
	slab_give(&slab, WEIR_OF(t, struct raw, free));
}

void
h2_raw_free(struct h2_stream *e)
{
	struct raw *r = WEIR_OF(e, struct raw, e);

	task_init(&r->free, on_free);
	task_post(&r->free);
}

/* What was of the message, the owner and the pool. */
static void
strip(struct h2_stream *e)
{
	struct weir_xchg *x = &e->x;

	memset(&x->msg, 0, sizeof x->msg);
	memset(&e->head, 0, sizeof e->head);
	x->raw = STR_NONE;
	x->pool = NULL;
	x->conf = NULL;
	x->end = NULL;
	x->on_head = NULL;
	x->on_gone = NULL;
	x->in_eof = 0;
	src_on_ready(&x->io.in, NULL, NULL);
	sink_on_ready(&x->io.out, NULL, NULL);
	x->io.in.err = x->io.out.err = NULL;
	e->trailers = NULL;
	e->want_in = e->want_out = e->reading = e->expects = false;
}

struct weir_xchg *
h2_raw(struct weir_xchg *x)
{
	struct h2_stream *old = WEIR_OF(x, struct h2_stream, x);
	struct raw *r = slab_take(&slab);
	struct h2_stream *e = &r->e;
	struct h2_server *s = old->s;

	timer_off(&old->rtimer);
	timer_off(&old->wtimer);
	memcpy(e, old, sizeof *e);
	e->raw = true;
	strip(e);
	list_init(&e->todo);
	list_remove(&old->node);
	list_append(&s->streams, &e->node);
	if (old->tell != 0) {
		list_remove(&old->todo);
		list_append(&s->todo, &e->todo);
		h2_post(s);
	}
	e->in = e->out = (struct weir_bufq){ 0 };
	bufq_move(&e->in, &old->in, old->in.len);
	bufq_move(&e->out, &old->out, old->out.len);
	bufq_clear(&old->in);
	bufq_clear(&old->out);
	h2_stream_timers(e);
	if (!e->dead)
		(void)nghttp2_session_set_stream_user_data(s->ng, e->id, e);
	s->latest = NULL;
	if (s->alone == old)
		s->alone = e;
	old->released = true;
	return &e->x;
}
