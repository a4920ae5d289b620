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

void
h2_broken(struct h2_server *s, uint32_t code, const char *why)
{
	if (s->calmed)
		return;
	(void)nghttp2_session_terminate_session(s->ng, code);
	s->calmed = true;
	h2_say(s, "client broke the rules of HTTP/2: %s", why);
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
		h2_broken(s, id >= c->skipped_from && id <= c->skipped_to ? NGHTTP2_PROTOCOL_ERROR :
		    NGHTTP2_STREAM_CLOSED, "a frame on a closed stream");
}

static uint32_t
number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void
data(struct h2_server *s, const uint8_t *head)
{
	const struct h2_closed *c = &s->closed;
	int32_t id = (int32_t)(number(head + 5) & INT32_MAX);

	if (id % 2 == 0 || id > c->last || nghttp2_session_find_stream(s->ng, id) != NULL)
		return;
	h2_budget_stray(s);
	if (!s->draining && !s->calmed && !is_ours(c, id))
		h2_broken(s, NGHTTP2_STREAM_CLOSED, "a frame on a closed stream");
}

/* The stream's number, then flag, dependency and weight. */
static void
priority(struct h2_server *s, const uint8_t *head)
{
	nghttp2_priority_spec spec = { (int32_t)(number(head + 9) & INT32_MAX), head[13] + 1, head[9] >> 7 };
	int32_t id = (int32_t)(number(head + 5) & INT32_MAX);

	if (id == 0 || id == spec.stream_id)
		h2_broken(s, NGHTTP2_PROTOCOL_ERROR, "PRIORITY of no stream, or that depends on itself");
	else
		h2_priority_hint(s, id, &spec);
}

enum { HEAD = 9, PRIORITY = 5 };

static uint32_t
length_of(const uint8_t *head)
{
	return number(head) >> 8;
}

/* All of a frame's head, of which there is no more to know than how long the frame is. */
static bool
is_whole(const struct h2_closed *c, const uint8_t *p, size_t n)
{
	return c->n == 0 && n >= HEAD && p[3] != NGHTTP2_DATA && p[3] != NGHTTP2_PRIORITY && length_of(p) <= H2_FRAME_LEAST;
}

/* Must nghttp2 see what came before this frame, before it is judged? */
static bool
waits(const uint8_t *head)
{
	return head[3] == NGHTTP2_DATA || length_of(head) > H2_FRAME_LEAST;
}

/* nghttp2 passes over frames of types that it does not know without a word. */
static void
go_past(struct h2_server *s, const uint8_t *head)
{
	s->closed.payload = length_of(head);
	if (head[3] > NGHTTP2_CONTINUATION && head[3] != NGHTTP2_PRIORITY_UPDATE)
		h2_budget_unknown(s, HEAD + s->closed.payload);
}

/* One byte of a frame's head, or of the little that PRIORITY carries. */
static void
one_byte(struct h2_server *s, uint8_t b)
{
	struct h2_closed *c = &s->closed;
	uint32_t length;

	c->head[c->n++] = b;
	if (c->n < HEAD)
		return;
	length = length_of(c->head);
	if (length > nghttp2_session_get_local_settings(s->ng, NGHTTP2_SETTINGS_MAX_FRAME_SIZE))
		h2_broken(s, NGHTTP2_FRAME_SIZE_ERROR, "a frame that is too large");
	if (c->head[3] == NGHTTP2_PRIORITY && length == PRIORITY && c->n < HEAD + PRIORITY)
		return;
	if (c->n == HEAD + PRIORITY)
		priority(s, c->head);
	else
		go_past(s, c->head);
	c->n = 0;
	if (c->head[3] == NGHTTP2_DATA)
		data(s, c->head);
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
		} else if (is_whole(c, p + i, n - i)) {
			go_past(s, p + i);
			i += HEAD;
		} else if (c->n == HEAD - 1 && i != 0 && waits(c->head)) {
			return i;	/* nghttp2 first sees what came before */
		} else {
			one_byte(s, p[i++]);
		}
	}
	return n;
}
