/*
 * closed.c - frames on streams that are closed (RFC 9113, 5.1).
 *
 * nghttp2 forgets a stream when it is closed, and passes over what comes for one that it does not know.  That is
 * right while the client may not have seen yet that we reset it, and wrong when the client itself has ended it.
 * So the streams that we reset are remembered, the latest ones; with older ones nobody is strict.
 *
 * It tells nobody of DATA on such streams, so heads of frames are looked at here before it gets them.
 */
#include "http/h2/server.h"

void
h2_closed_by_us(struct h2_server *s, int32_t id)
{
	struct h2_closed *c = &s->closed;
	unsigned at = c->at++ % WEIR_COUNT(c->reset);

	c->lax = WEIR_MAX(c->lax, c->reset[at]);
	c->reset[at] = id;
}

static bool
is_ours(const struct h2_closed *c, int32_t id)
{
	for (unsigned i = 0; i < WEIR_COUNT(c->reset); i++)
		if (c->reset[i] == id)
			return true;
	return id <= c->lax;
}

/* A new one; those between it and the one before were never used, and never will be (5.1.1). */
static void
opened(struct h2_closed *c, int32_t id)
{
	if (id > c->last + 2) {
		c->skipped_from = c->last + 2;
		c->skipped_to = id - 2;
	}
	c->last = id;
}

static void
broken(struct h2_server *s, uint32_t code)
{
	(void)nghttp2_session_terminate_session(s->ng, code);
	s->calmed = true;
	h2_say(s, "client broke the rules of HTTP/2: a frame on a closed stream");
	h2_post(s);
}

void
h2_closed_headers(struct h2_server *s, int32_t id)
{
	struct h2_closed *c = &s->closed;

	if (id % 2 == 0)
		return;
	if (id > c->last)
		opened(c, id);
	else if (s->draining || s->calmed || nghttp2_session_find_stream(s->ng, id) != NULL || is_ours(c, id))
		return;
	else
		broken(s, id >= c->skipped_from && id <= c->skipped_to ? NGHTTP2_PROTOCOL_ERROR :
		    NGHTTP2_STREAM_CLOSED);
}

static void
data(struct h2_server *s, const uint8_t *head)
{
	const struct h2_closed *c = &s->closed;
	int32_t id = (int32_t)((head[5] & 127u) << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 | head[8]);

	if (id % 2 == 0 || id > c->last || nghttp2_session_find_stream(s->ng, id) != NULL)
		return;
	h2_budget_stray(s, (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2]);
	if (!s->draining && !s->calmed && !is_ours(c, id))
		broken(s, NGHTTP2_STREAM_CLOSED);
}

size_t
h2_closed_look(struct h2_server *s, const uint8_t *p, size_t n)
{
	struct h2_closed *c = &s->closed;
	size_t i = 0;

	while (i < n) {
		if (c->payload != 0) {
			size_t part = WEIR_MIN((size_t)c->payload, n - i);

			c->payload -= (uint32_t)part;
			i += part;
			continue;
		}
		if (c->n == sizeof c->head - 1 && c->head[3] == NGHTTP2_DATA && i != 0)
			return i;	/* nghttp2 first sees what came before */
		c->head[c->n++] = p[i++];
		if (c->n < sizeof c->head)
			continue;
		c->n = 0;
		c->payload = (uint32_t)c->head[0] << 16 | (uint32_t)c->head[1] << 8 | c->head[2];
		if (c->head[3] == NGHTTP2_DATA)
			data(s, c->head);
	}
	return n;
}
