/*
 * wide.c - large heads for clients that take large frames.
 *
 * nghttp2 makes HEADERS and CONTINUATION of 16k at most, whatever the client's SETTINGS_MAX_FRAME_SIZE says.  For who allows
 * more they are put together again, as far as it allows; nginx does so, too, and some of its clients want it.
 */
#include "core/base/mem.h"
#include "http/h2/server.h"

enum { FRAME_HEAD = 9 };

/* The block, in as few frames as the client takes. */
static void
put(struct h2_server *s, uint32_t most)
{
	struct h2_wide *w = &s->wide;
	size_t at = 0;

	do {
		size_t part = WEIR_MIN(w->n - at, (size_t)most);
		uint8_t head[FRAME_HEAD], end = at + part == w->n ? NGHTTP2_FLAG_END_HEADERS : 0;

		memcpy(head, w->head, sizeof head);
		head[0] = (uint8_t)(part >> 16);
		head[1] = (uint8_t)(part >> 8);
		head[2] = (uint8_t)part;
		head[3] = at == 0 ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION;
		head[4] = at == 0 ? w->head[4] | end : end;
		bufq_put(&s->out, head, sizeof head);
		bufq_put(&s->out, w->p + at, part);
		at += part;
	} while (at < w->n);
	h2_wide_end(w);
}

static void
gather(struct h2_wide *w, const uint8_t *p, size_t n)
{
	w->p = mem_realloc(w->p, w->n, w->n + n);
	memcpy(w->p + w->n, p, n);
	w->n += n;
}

void
h2_put_frame(struct h2_server *s, const uint8_t *p, size_t n)
{
	struct h2_wide *w = &s->wide;
	uint32_t most;

	if (w->p == NULL && (n <= H2_FRAME_LEAST || p[3] != NGHTTP2_HEADERS || (p[4] & NGHTTP2_FLAG_END_HEADERS) ||
	    (p[4] & (NGHTTP2_FLAG_PADDED | NGHTTP2_FLAG_PRIORITY)))) {
		bufq_put(&s->out, p, n);
		return;
	}
	most = nghttp2_session_get_remote_settings(s->ng, NGHTTP2_SETTINGS_MAX_FRAME_SIZE);
	if (w->p == NULL && most <= H2_FRAME_LEAST) {
		bufq_put(&s->out, p, n);
		return;
	}
	if (w->p == NULL)
		memcpy(w->head, p, FRAME_HEAD);
	gather(w, p + FRAME_HEAD, n - FRAME_HEAD);
	if (p[4] & NGHTTP2_FLAG_END_HEADERS)
		put(s, most);
}

void
h2_wide_end(struct h2_wide *w)
{
	mem_free(w->p);
	w->p = NULL;
	w->n = 0;
}
