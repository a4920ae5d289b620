/*
 * session.c - what nghttp2 tells us and asks us for.
 *
 * Nothing here calls anybody above: callbacks take notes (h2_note), and submit frames.
 */
#include <arpa/inet.h>

#include "http/h2/field.h"
#include "http/h2/memory.h"
#include "http/h2/server.h"
#include "http/h2/setup.h"

enum { FRAME_HEAD = 9, DEFAULT_WINDOW = 65535, NO_LIMIT = 1 << 30,
	SETTING = 6, SETTINGS_MOST = 8, COPY_MOST = 256 };

/* Many calls about the same stream come one after the other. */
static struct h2_stream *
stream_of(struct h2_server *s, int32_t id)
{
	struct h2_stream *e;

	if (s->latest != NULL && s->latest->id == id)
		return s->latest;
	e = nghttp2_session_get_stream_user_data(s->ng, id);
	if (e == NULL || e->x.magic != WEIR_XCHG_MAGIC)
		return NULL;
	s->latest = e;
	return e;
}

/* The stream is refused before anybody hears of it. */
static int
turn_away(struct h2_server *s, const nghttp2_frame_hd *hd, uint32_t code)
{
	s->head_open = !(hd->flags & NGHTTP2_FLAG_END_HEADERS);
	(void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, hd->stream_id, code);
	return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* ---- heads ---- */

static int
on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e;

	(void)ng;
	s->head_open = hd->type == NGHTTP2_HEADERS || hd->type == NGHTTP2_CONTINUATION;
	if (s->head_open && hd->stream_id <= s->closed.last &&
	    (e = stream_of(arg, hd->stream_id)) != NULL)		/* a continuation, or trailers */
		e->x.msg.size += (uint32_t)hd->length;
	if (hd->type == NGHTTP2_HEADERS)
		h2_closed_headers(s, hd->stream_id);
	h2_budget_frame(s, hd);
	return 0;
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_server *s = arg;
	int32_t id = frame->hd.stream_id;
	struct h2_stream *e;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	if (s->n_streams - s->n_going >= (uint64_t)s->conf->streams)
		return turn_away(s, &frame->hd, NGHTTP2_REFUSED_STREAM);
	/* who sends a body before he knows how much of it may come does so again (as nginx) */
	if (!s->acked && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && s->conf->preread < DEFAULT_WINDOW)
		return turn_away(s, &frame->hd, NGHTTP2_REFUSED_STREAM);
	if (frame->hd.flags & NGHTTP2_FLAG_PRIORITY)
		h2_priority_hint(s, id, &frame->headers.pri_spec);
	e = h2_stream_new(s, id);
	e->x.msg.size = (uint32_t)frame->hd.length;
	(void)nghttp2_session_set_stream_user_data(ng, id, e);
	s->latest = e;
	return 0;
}

static int
on_trailer(struct h2_server *s, const nghttp2_frame_hd *hd, struct weir_str name, struct weir_str value)
{
	struct h2_stream *e = stream_of(s, hd->stream_id);

	if (e == NULL)
		return h2_tail_trailer(s, hd->stream_id, name, value) == WEIR_OK ? 0 :
		    NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	/* none in tunnels (RFC 9113, 8.5) */
	if (!e->raw && !msg_connects(&e->x.msg) && h2_trailer(e, name, value) == WEIR_OK)
		return 0;
	e->x.io.in.err = "client sent malformed trailers";
	e->in_failed = true;
	h2_note(e, TELL_READ);
	return turn_away(s, hd, NGHTTP2_PROTOCOL_ERROR);
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
    uint8_t flags, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e = stream_of(arg, frame->hd.stream_id);

	(void)ng, (void)flags;
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return on_trailer(s, &frame->hd, h2_text(name), h2_text(value));
	if (e == NULL || h2_head_field(e, h2_text(name), h2_text(value)) != WEIR_OK)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

/* ---- the end of frames ---- */

static void
body_failed(struct h2_stream *e, const char *why)
{
	e->x.io.in.err = why;
	e->in_failed = true;
	e->code = NGHTTP2_PROTOCOL_ERROR;
	h2_consumed(e, e->in.len, false);	/* so that no upstream sees something that looks whole */
	bufq_clear(&e->in);
	h2_note(e, TELL_READ);
}

static void
body_end(struct h2_stream *e)
{
	e->in_end = true;
	if (e->x.msg.flags & MSG_HAS_LENGTH && e->got < (uint64_t)e->x.msg.length && !e->in_failed)
		body_failed(e, "client ended its body early");
	else
		h2_note(e, TELL_READ);
}

static void
on_headers_frame(struct h2_server *s, struct h2_stream *e, const nghttp2_frame *frame)
{
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	s->head_open = false;
	if (e == NULL) {
		h2_tail_headers(s, frame->hd.stream_id, end);
		return;
	}
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
		e->in_end = end;
		h2_head_end(e, end);
		if (e->head.status == 0)
			h2_priority_request(e);
		h2_note(e, TELL_FRESH);
	} else if (end) {
		body_end(e);
	} else {		/* RFC 9113, 8.1 */
		body_failed(e, "client sent trailers that are not the end");
		(void)nghttp2_submit_rst_stream(s->ng, NGHTTP2_FLAG_NONE, e->id, NGHTTP2_PROTOCOL_ERROR);
	}
}

static void
on_priority_update(struct h2_server *s, const nghttp2_ext_priority_update *u)
{
	struct h2_stream *e = u->stream_id != 0 ? stream_of(s, u->stream_id) : NULL;

	s->updates = true;
	if (u->stream_id == 0)
		h2_broken(s, NGHTTP2_PROTOCOL_ERROR, "PRIORITY_UPDATE of no stream");
	else if (e != NULL)
		e->rated = true;
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e = frame->hd.stream_id != 0 ? stream_of(arg, frame->hd.stream_id) : NULL;

	(void)ng;
	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		on_headers_frame(s, e, frame);
		break;
	case NGHTTP2_DATA:
		h2_budget_data(s, &frame->data);
		if (e != NULL && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
			body_end(e);
		else if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
			h2_tail_end(s, frame->hd.stream_id);
		break;
	case NGHTTP2_RST_STREAM:
		if (e != NULL)
			e->reset = true;
		break;
	case NGHTTP2_PRIORITY_UPDATE:
		on_priority_update(s, frame->ext.payload);
		break;
	case NGHTTP2_SETTINGS:
		s->greeted = true;
		if (frame->hd.flags & NGHTTP2_FLAG_ACK)
			s->acked = true;
		break;
	default:
		break;
	}
	return 0;
}

static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e = stream_of(arg, id);

	(void)flags;
	h2_points_bytes(&s->points, n);
	if (e == NULL && h2_tail_data(s, id, n))
		return 0;
	if (e == NULL || e->in_failed) {
		(void)nghttp2_session_consume(ng, id, n);
		return 0;
	}
	e->got += n;
	s->held += n;
	if (s->held <= H2_HELD_MOST)
		(void)nghttp2_session_consume_connection(ng, n);
	else
		s->owed += n;
	bufq_put(&e->in, data, n);
	if (e->x.msg.flags & MSG_HAS_LENGTH && e->got > (uint64_t)e->x.msg.length)
		body_failed(e, "client sent more of a body than its Content-Length says");
	else
		h2_note(e, TELL_READ);
	return 0;
}

void
h2_consumed(struct h2_stream *e, uint64_t n, bool stream)
{
	struct h2_server *s = e->s;

	s->held -= n;
	if (s->owed != 0 && s->held <= H2_HELD_MOST) {
		(void)nghttp2_session_consume_connection(s->ng, (size_t)s->owed);
		s->owed = 0;
	}
	if (stream && !e->dead && n != 0)
		(void)nghttp2_session_consume_stream(s->ng, e->id, (size_t)n);
	if (nghttp2_session_want_write(s->ng))
		h2_post(s);
}

/* ---- the end of streams ---- */

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e = stream_of(s, id);

	(void)ng;
	if (e == NULL) {
		h2_tail_closed(s, id);
		return 0;
	}
	s->latest = NULL;
	if (e->x.owner == NULL) {	/* nobody has heard of it yet */
		h2_stream_drop(e);
		return 0;
	}
	if (!e->ended || code != NGHTTP2_NO_ERROR)
		h2_stream_lost(e, e->reset ? "client canceled the stream" :
		    "the stream was reset, the client broke the rules");
	e->dead = true;
	return 0;
}

static int
on_invalid_frame(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *arg)
{
	(void)ng, (void)frame, (void)code;
	h2_budget_reset(arg);
	return 0;
}

/* ---- bodies of responses ---- */

static nghttp2_ssize
give_data(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t most, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e = stream_of(s, id);
	size_t n;

	(void)ng, (void)buf, (void)source;
	if (s->out.len >= H2_OUT_MOST)
		return NGHTTP2_ERR_PAUSE;
	if (e == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = (size_t)WEIR_MIN(e->out.len, (uint64_t)WEIR_MIN(most, (size_t)e->chunk));
	if (n == 0 && !e->finishing) {
		e->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n == e->out.len && e->finishing) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (e->trailers != NULL && h2_put_trailers(e, e->trailers) == WEIR_OK)
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	}
	return (nghttp2_ssize)n;
}

const nghttp2_data_provider2 h2_provider = { .read_callback = give_data };

/* A frame of DATA, into the connection's queue. */
static int
put_data(struct h2_server *s, struct h2_stream *e, const uint8_t *head, size_t n)
{
	struct weir_str first = bufq_first(&e->out);
	size_t room;
	char *p;

	if (n <= COPY_MOST && first.n >= n) {
		p = bufq_room_small(&s->out, FRAME_HEAD + n, &room);
		p = mempcpy(p, head, FRAME_HEAD);
		if (n != 0)
			memcpy(p, first.p, n);
		bufq_added(&s->out, FRAME_HEAD + n);
		bufq_drop(&e->out, n);
		return WEIR_OK;
	}
	/* through TLS it must be read in any case; a file that became shorter is this stream's trouble only */
	if (s->conn->layer != NULL && bufq_load(&e->out, n) != WEIR_OK)
		return WEIR_FAIL;
	bufq_put(&s->out, head, FRAME_HEAD);
	h2_move_out(&s->out, &e->out, n);
	return WEIR_OK;
}

static int
send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n,
    nghttp2_data_source *source, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e = stream_of(arg, frame->hd.stream_id);

	(void)ng, (void)source;
	if (e == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (put_data(s, e, head, n) != WEIR_OK) {
		e->x.io.out.err = "the file became shorter";
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	e->x.sent += FRAME_HEAD + n;
	h2_points_sent(&s->points, n, e->out.len == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM));
	if (e->wtimer.at != 0 && e->out.len == 0 && !e->finishing)
		timer_off(&e->wtimer);
	else if (e->wtimer.at != 0)
		timer_set(&e->wtimer, e->x.send_ms);
	if (e->want_out && e->out.len < H2_QUEUE_MOST)
		h2_note(e, TELL_WRITE);
	return 0;
}

/* What was made up in h2_begin() is not acknowledged. */
static int
before_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_server *s = arg;

	(void)ng;
	if (likely(!s->unacked) || frame->hd.type != NGHTTP2_SETTINGS || !(frame->hd.flags & NGHTTP2_FLAG_ACK))
		return 0;
	s->unacked = false;
	return NGHTTP2_ERR_CANCEL;
}

static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_server *s = arg;
	struct h2_stream *e = frame->hd.stream_id != 0 ? stream_of(arg, frame->hd.stream_id) : NULL;

	(void)ng;
	switch (frame->hd.type) {
	case NGHTTP2_RST_STREAM:
		h2_closed_by_us(s, frame->hd.stream_id);
		if (frame->rst_stream.error_code != NGHTTP2_NO_ERROR)
			h2_budget_reset(s);
		return 0;
	case NGHTTP2_GOAWAY:
		if (frame->goaway.error_code != NGHTTP2_NO_ERROR && !s->calmed)
			h2_say(s, "client broke the rules of HTTP/2: %.*s (%s)",
			    (int)frame->goaway.opaque_data_len, (const char *)frame->goaway.opaque_data,
			    nghttp2_http2_strerror(frame->goaway.error_code));
		return 0;
	case NGHTTP2_HEADERS:
		if (e != NULL)
			e->x.sent += FRAME_HEAD + frame->hd.length;
		break;
	case NGHTTP2_DATA:
		break;
	default:
		return 0;
	}
	if (e == NULL || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	e->ended = true;
	timer_off(&e->wtimer);
	if (e->head.status == 0 && !e->in_failed)
		h2_points_done(&s->points);
	if (e->want_out)
		h2_note(e, TELL_WRITE);
	return 0;
}

/* ---- a session ---- */

static void
options(nghttp2_option *o)
{
	nghttp2_option_set_no_recv_client_magic(o, 1);	/* h2_begin()'s */
	nghttp2_option_set_builtin_recv_extension_type(o, NGHTTP2_PRIORITY_UPDATE);
	nghttp2_option_set_stream_reset_rate_limit(o, NO_LIMIT, NO_LIMIT);	/* budget.c's */
}

static const struct h2_side side = {
	.server = true, .options = options,
	.on_begin_frame = on_begin_frame, .on_begin_headers = on_begin_headers, .on_header = on_header,
	.on_frame_recv = on_frame_recv, .on_invalid_frame = on_invalid_frame, .on_data = on_data,
	.on_stream_close = on_stream_close, .send_data = send_data, .before_frame_send = before_frame_send,
	.on_frame_send = on_frame_send,
};

/*
 * nghttp2 ends the connection of who opens more streams than it has announced.  They shall be refused one by one
 * (RFC 9113, 5.1.2), so it is told a larger number than the client, to whom its first frame goes.
 */
static int
announce(struct h2_server *s)
{
	uint32_t streams = htonl((uint32_t)s->conf->streams);
	const uint8_t *frame;
	nghttp2_ssize n = nghttp2_session_mem_send2(s->ng, &frame);
	uint8_t p[FRAME_HEAD + SETTINGS_MOST * SETTING];

	if (n < FRAME_HEAD || n > (nghttp2_ssize)sizeof p)
		return WEIR_FAIL;
	memcpy(p, frame, (size_t)n);
	for (nghttp2_ssize i = FRAME_HEAD; i < n; i += SETTING)
		if (p[i + 1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
			memcpy(p + i + 2, &streams, sizeof streams);
	bufq_put(&s->out, p, (size_t)n);
	return WEIR_OK;
}

/* Where large_client_header_buffers allows larger fields than usual, a whole head may come in one frame. */
static uint32_t
frame_most(const struct weir_serve *opts)
{
	return opts->large <= H2_FRAME_LEAST / 2 ? H2_FRAME_LEAST :
	    WEIR_MAX(WEIR_MIN(opts->large_total, (uint32_t)H2_FRAME_MOST), (uint32_t)H2_FRAME_LEAST);
}

int
h2_session_new(struct h2_server *s)
{
	nghttp2_settings_entry v[] = {
		{ NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)s->conf->streams + H2_STREAMS_MORE },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)s->conf->preread },
		{ NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1 },
		/* what may be left out */
		{ NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
		{ 0 },
	};
	struct h2_offer offer = { v, WEIR_COUNT(v) - 1 - !s->conf->extended, H2_CONN_WINDOW };
	uint32_t frame = frame_most(s->opts);

	if (frame > H2_FRAME_LEAST)
		v[offer.n++] = (nghttp2_settings_entry){ NGHTTP2_SETTINGS_MAX_FRAME_SIZE, frame };
	if (h2_setup(&s->ng, &side, s, &offer) != WEIR_OK)
		return WEIR_FAIL;
	if (announce(s) == WEIR_OK)
		return WEIR_OK;
	nghttp2_session_del(s->ng);
	return WEIR_FAIL;
}
