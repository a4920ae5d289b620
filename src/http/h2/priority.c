/*
 * priority.c - which response goes first (RFC 9218).
 *
 * nghttp2 sends by urgency, of the same urgency first those that are of no use in parts, one after the other, then the
 * others in turns.  What the client says in the field Priority counts, then in PRIORITY_UPDATE, then what the response says
 * itself.  Of a request without any of these nothing is known: it takes turns with others.
 *
 * Clients that know only the signals of RFC 7540 gave streams weights and dependencies.  These are taken as hints: who
 * depends on another is less urgent.  Records are kept of the latest streams only, and of none when the client
 * has said that it does not use them.
 */
#include "core/base/mem.h"
#include "http/h2/server.h"

enum { HINTS = 64, DEPTH_MOST = 2, HEAVY = 64 };

struct h2_hints {
	struct hint {
		int32_t	 id, on;	/* 0: none */
		int32_t	 weight;
	}		 v[HINTS];
	unsigned	 n;
};

static struct weir_slab slab = WEIR_SLAB(h2_hints);

static struct hint *
find(struct h2_hints *all, int32_t id)
{
	for (unsigned i = 0; i < HINTS; i++)
		if (all->v[i].id == id)
			return &all->v[i];
	return NULL;
}

static void
set(struct h2_stream *e, nghttp2_extpri pri)
{
	(void)nghttp2_session_change_extpri_stream_priority(e->s->ng, e->id, &pri, 0);
}

static void
set_by_hint(struct h2_stream *e)
{
	nghttp2_extpri pri = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1 };
	struct h2_hints *all = e->s->hints;
	const struct hint *h = all != NULL ? find(all, e->id) : NULL;
	unsigned depth = 0;

	if (h != NULL) {
		for (const struct hint *up = h; depth < DEPTH_MOST && up != NULL && up->on != 0; depth++)
			up = find(all, up->on);
		pri.urgency += 2 * depth - (h->weight >= HEAVY);
	}
	set(e, pri);
}

static bool
is_updated(const struct h2_stream *e)
{
	nghttp2_extpri now = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY };

	(void)nghttp2_session_get_extpri_stream_priority(e->s->ng, &now, e->id);
	return now.urgency != NGHTTP2_EXTPRI_DEFAULT_URGENCY || now.inc != 0;
}

/*
 * Alone on the connection it takes turns with nobody, and is mostly over before there is anybody; then it has cost
 * nothing.
 */
static void
set_when_not_alone(struct h2_stream *e)
{
	struct h2_server *s = e->s;

	if (s->n_streams == 1) {
		s->alone = e;
		return;
	}
	if (s->alone != NULL && !s->alone->rated && !s->alone->dead)
		set_by_hint(s->alone);
	s->alone = NULL;
	set_by_hint(e);
}

void
h2_priority_request(struct h2_stream *e)
{
	struct weir_field *f = fields_known(&e->x.msg.fields, H_PRIORITY);
	nghttp2_extpri pri = { .urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY };

	e->rated = true;
	if (e->s->updates && is_updated(e))
		return;		/* PRIORITY_UPDATE was faster, and is to be believed (RFC 9218, 7) */
	if (f != NULL && nghttp2_extpri_parse_priority(&pri, (const uint8_t *)f->value.p, f->value.n) == 0) {
		set(e, pri);
		return;
	}
	e->rated = false;
	set_when_not_alone(e);
}

/* The server may know better (RFC 9218, 8). */
void
h2_priority_response(struct h2_stream *e, const struct weir_msg *m)
{
	const struct weir_field *f = fields_known(&m->fields, H_PRIORITY);
	nghttp2_extpri pri;

	if (f == NULL || nghttp2_session_get_extpri_stream_priority(e->s->ng, &pri, e->id) != 0 ||
	    nghttp2_extpri_parse_priority(&pri, (const uint8_t *)f->value.p, f->value.n) != 0)
		return;
	e->rated = true;
	set(e, pri);
}

static struct hint *
record(struct h2_server *s, int32_t id)
{
	struct hint *h;

	if (s->hints == NULL) {
		s->hints = slab_take(&slab);
		memset(s->hints, 0, sizeof *s->hints);
	}
	h = find(s->hints, id);
	if (h == NULL)
		h = &s->hints->v[s->hints->n++ % HINTS];
	h->id = id;
	return h;
}

void
h2_priority_hint(struct h2_server *s, int32_t id, const nghttp2_priority_spec *spec)
{
	struct weir_list *at;
	struct hint *h;

	if (nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES) == 1)
		return;
	h = record(s, id);
	h->on = spec->stream_id;
	h->weight = spec->weight;
	if (spec->exclusive) {
		for (unsigned i = 0; i < HINTS; i++)
			if (s->hints->v[i].on == h->on && s->hints->v[i].id != 0 && &s->hints->v[i] != h)
				s->hints->v[i].on = id;
	}
	list_each(at, &s->streams) {
		struct h2_stream *e = WEIR_OF(at, struct h2_stream, node);

		if (!e->rated && !e->dead && !e->raw)
			set_by_hint(e);
	}
}

void
h2_priority_free(struct h2_server *s)
{
	if (s->hints != NULL)
		slab_give(&slab, s->hints);
	s->hints = NULL;
}
