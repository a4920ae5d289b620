/*
 * client_session.c - what nghttp2 tells us of an upstream, and asks us for.
 *
 * Nothing here calls anybody above: callbacks take notes (h2c_note), and submit frames.
 */
#include <stdio.h>

#include "http/h2/client.h"
#include "http/h2/field.h"
#include "http/h2/memory.h"
#include "http/h2/setup.h"

enum { FRAME_HEAD = 9 };

static struct h2_call *
call_of(nghttp2_session *ng, int32_t id)
{
	struct h2_call *e = id != 0 ? nghttp2_session_get_stream_user_data(ng, id) : NULL;

	assert(e == NULL || e->x.magic == WEIR_XCHG_MAGIC);
	return e;
}

/* One whose stream nghttp2 knows no longer, or not yet. */
static struct h2_call *
call_find(const struct h2_link *k, int32_t id)
{
	struct weir_list *at;

	list_each(at, &k->calls) {
		struct h2_call *e = WEIR_OF(at, struct h2_call, node);

		if (e->id == id)
			return e;
	}
	return NULL;
}

/* What came is no response.  The stream goes, the link may stay. */
static void
refuse(struct h2_call *e, const char *why)
{
	if (e->in_failed || (e->tell & CALL_GONE))
		return;
	e->in_end = false;
	if (!e->final || (e->tell & CALL_HEAD)) {	/* its owner has not heard of it: there is no response at all */
		e->final = false;
		e->tell &= (uint8_t)~CALL_HEAD;
	}
	h2c_consumed(e, e->in.len, false);
	bufq_clear(&e->in);
	h2c_call_lost(e, why, false, false);
	e->code = NGHTTP2_PROTOCOL_ERROR;
	if (!e->dead)
		(void)nghttp2_submit_rst_stream(e->k->ng, NGHTTP2_FLAG_NONE, e->id, NGHTTP2_PROTOCOL_ERROR);
}

/* Once refused, no more of it is looked at. */
static bool
is_refused(const struct h2_call *e)
{
	return e->in_failed || (e->tell & CALL_GONE);
}

/* ---- heads ---- */

static int
on_begin_frame(nghttp2_session *ng, const nghttp2_frame_hd *hd, void *arg)
{
	struct h2_link *k = arg;
	struct h2_call *e = call_of(ng, hd->stream_id);

	if (e != NULL)
		e->x.came += FRAME_HEAD + hd->length;
	if (hd->type == NGHTTP2_PUSH_PROMISE) {		/* our settings said no */
		h2c_blame(k, "upstream sent unexpected push promise frame");
		(void)nghttp2_session_terminate_session(ng, NGHTTP2_PROTOCOL_ERROR);
	}
	h2c_budget_frame(k, hd);
	return 0;
}

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_call *e = frame->hd.type == NGHTTP2_HEADERS ? call_of(ng, frame->hd.stream_id) : NULL;

	(void)arg;
	if (e != NULL && !is_refused(e))	/* who goes on after that gets no memory */
		h2c_head_begin(e);
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value,
    uint8_t flags, void *arg)
{
	struct h2_call *e = frame->hd.type == NGHTTP2_HEADERS ? call_of(ng, frame->hd.stream_id) : NULL;
	const char *fault;

	(void)flags, (void)arg;
	if (e == NULL || is_refused(e) || e->coming == NULL)
		return 0;
	fault = h2c_field(e, h2_text(name), h2_text(value));
	if (fault != NULL)
		refuse(e, fault);
	return 0;
}

/* ---- the end of frames ---- */

static void
body_end(struct h2_call *e)
{
	if (e->length >= 0 && e->got < (uint64_t)e->length) {
		refuse(e, "upstream prematurely closed stream: the body is shorter than Content-Length says");
		return;
	}
	e->in_end = true;
	h2_points_done(&e->k->points);
	if (e->in.len == 0 && e->behind.n == 0)
		e->x.in_eof = 1;
	h2c_note(e, CALL_READ);
}

static void
on_headers_frame(struct h2_call *e, bool end)
{
	const char *fault;

	if (is_refused(e) || e->coming == NULL)
		return;
	fault = h2c_head_end(e, end);
	if (fault != NULL)
		refuse(e, fault);
	else if (end)
		body_end(e);
}

static void
on_data_frame(struct h2_call *e, bool end)
{
	if (is_refused(e))
		return;
	if (!e->final)
		refuse(e, "upstream sent a body before its header");
	else if (end)
		body_end(e);
}

static void
on_reset(struct h2_link *k, const nghttp2_frame *frame)
{
	struct h2_call *e = call_find(k, frame->hd.stream_id);
	uint32_t code = frame->rst_stream.error_code;
	bool again;

	if (e == NULL)
		return;
	again = e->reset;
	e->reset = true;
	if (code == NGHTTP2_NO_ERROR && !again)
		return;		/* RFC 9113, 8.1: what came so far counts; on_stream_close() sees whether it was all */
	if (e->in_end && !(e->tell & CALL_HEAD))
		return;		/* its owner has it all */
	if (again)		/* 5.1: nothing may come for a stream that was reset */
		refuse(e, "upstream sent a frame for a closed stream");
	else if (e->in_end)
		refuse(e, pool_cstr(e->x.pool, pool_printf(e->x.pool, "upstream rejected request with error %u", code)));
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_link *k = arg;
	struct h2_call *e = call_of(ng, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

	switch (frame->hd.type) {
	case NGHTTP2_HEADERS:
		if (e != NULL)
			on_headers_frame(e, end);
		break;
	case NGHTTP2_DATA:
		if (e != NULL)
			on_data_frame(e, end);
		break;
	case NGHTTP2_RST_STREAM:
		on_reset(k, frame);
		break;
	case NGHTTP2_SETTINGS:
		k->greeted = true;
		h2c_count(k);
		break;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK)
			k->proved = true;
		h2c_count(k);
		break;
	case NGHTTP2_GOAWAY:
		k->last = true;
		h2c_count(k);
		h2c_post(k);
		break;
	default:
		break;
	}
	return 0;
}

static int
on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg)
{
	struct h2_link *k = arg;
	struct h2_call *e = call_of(ng, id);

	(void)flags;
	h2_points_bytes(&k->points, n);
	if (e == NULL || is_refused(e) || !e->final) {
		(void)nghttp2_session_consume(ng, id, n);
		return 0;
	}
	e->got += n;
	if (e->none || (e->length >= 0 && e->got > (uint64_t)e->length)) {
		(void)nghttp2_session_consume(ng, id, n);
		refuse(e, e->none ? "upstream sent a body where none may be" :
		    "upstream sent response body larger than indicated content length");
		return 0;
	}
	k->held += n;
	if (k->held <= H2C_HELD_MOST)
		(void)nghttp2_session_consume_connection(ng, n);
	else
		k->owed += n;
	bufq_put(&e->in, data, n);
	h2c_note(e, CALL_READ);
	return 0;
}

void
h2c_consumed(struct h2_call *e, uint64_t n, bool stream)
{
	struct h2_link *k = e->k;

	k->held -= n;
	if (k->state != H2L_OPEN)
		return;
	if (k->l.room == 0)
		h2c_count(k);
	if (k->owed != 0 && k->held <= H2C_HELD_MOST) {
		(void)nghttp2_session_consume_connection(k->ng, (size_t)k->owed);
		k->owed = 0;
	}
	if (stream && !e->dead && n != 0)
		(void)nghttp2_session_consume_stream(k->ng, e->id, (size_t)n);
	if (nghttp2_session_want_write(k->ng))
		h2c_post(k);
}

/* ---- the end of streams ---- */

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
	struct h2_call *e = call_of(ng, id);
	bool rejected;

	(void)arg;
	if (e == NULL)
		return 0;
	e->dead = true;
	if (e->in_end) {
		h2c_note(e, CALL_WRITE);	/* who still sends finds out */
		return 0;
	}
	if (e->final && (e->tell & CALL_HEAD) && code != NGHTTP2_NO_ERROR)
		e->final = false;	/* and it is refused as a whole: it can be had elsewhere */
	if (!e->final)
		e->tell &= (uint8_t)~CALL_HEAD;
	/* as in nginx, who resets a request has answered it, in a way that makes no sense: invalid_header */
	rejected = !e->final && code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM;
	h2c_call_lost(e, code == NGHTTP2_NO_ERROR ? "upstream prematurely closed stream" :
	    code == NGHTTP2_REFUSED_STREAM ? "upstream did not take the request" :
	    pool_cstr(e->x.pool, pool_printf(e->x.pool, "upstream rejected request with error %u", code)),
	    !rejected, code == NGHTTP2_REFUSED_STREAM);
	return 0;
}

/* GOAWAY came before a request could go. */
static int
on_frame_not_send(nghttp2_session *ng, const nghttp2_frame *frame, int code, void *arg)
{
	struct h2_call *e;

	(void)ng, (void)code;
	if (frame->hd.type != NGHTTP2_HEADERS || (e = call_find(arg, frame->hd.stream_id)) == NULL)
		return 0;
	e->dead = true;
	h2c_call_lost(e, "upstream did not take the request", true, true);
	return 0;
}

/* ---- bodies of requests ---- */

static nghttp2_ssize
give_data(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t most, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
	struct h2_link *k = arg;
	struct h2_call *e = call_of(ng, id);
	size_t n;

	(void)buf, (void)source;
	if (k->out.len >= H2C_OUT_MOST)
		return NGHTTP2_ERR_PAUSE;
	if (e == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	n = (size_t)WEIR_MIN(e->out.len, (uint64_t)most);
	if (n == 0 && !e->finishing) {
		e->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n == e->out.len && e->finishing) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (e->trailers.n != 0 && h2c_put_trailers(e) == WEIR_OK)
			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	}
	return (nghttp2_ssize)n;
}

const nghttp2_data_provider2 h2c_provider = { .read_callback = give_data };

static int
send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n,
    nghttp2_data_source *source, void *arg)
{
	struct h2_link *k = arg;
	struct h2_call *e = call_of(ng, frame->hd.stream_id);

	(void)source;
	if (e == NULL)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (k->secure && bufq_load(&e->out, n) != WEIR_OK) {
		e->x.io.out.err = "the file became shorter";
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	bufq_put(&k->out, head, FRAME_HEAD);
	h2_move_out(&k->out, &e->out, n);
	e->x.sent += FRAME_HEAD + n;
	h2_points_sent(&k->points, n, e->out.len == 0 && !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM));
	if (e->want_out && e->out.len < H2C_QUEUE_MOST)
		h2c_note(e, CALL_WRITE);
	return 0;
}

/* nghttp2 found that the peer broke the rules, and says so in its last frame. */
static void
blame(struct h2_link *k, const nghttp2_goaway *g)
{
	char text[sizeof k->why];

	(void)snprintf(text, sizeof text, "upstream broke the rules of HTTP/2: %.*s (%s)",
	    (int)g->opaque_data_len, (const char *)g->opaque_data, nghttp2_http2_strerror(g->error_code));
	h2c_blame(k, text);
}

static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2_link *k = arg;
	struct h2_call *e = call_of(ng, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_RST_STREAM)
		h2c_budget_cancel(k);
	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		blame(k, &frame->goaway);
	if (e == NULL || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		e->x.sent += FRAME_HEAD + frame->hd.length;
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	e->ended = true;
	if (e->want_out)
		h2c_note(e, CALL_WRITE);
	return 0;
}

/* ---- a session ---- */

static void
options(nghttp2_option *o)
{
	nghttp2_option_set_max_reserved_remote_streams(o, 0);
}

static const struct h2_side side = {
	.options = options,
	.on_begin_frame = on_begin_frame, .on_begin_headers = on_begin_headers, .on_header = on_header,
	.on_frame_recv = on_frame_recv, .on_data = on_data, .on_stream_close = on_stream_close,
	.on_frame_not_send = on_frame_not_send, .send_data = send_data, .on_frame_send = on_frame_send,
};

int
h2c_session_new(struct h2_link *k)
{
	static const uint8_t word[8] = "weir";
	static const nghttp2_settings_entry v[] = { { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 } };
	static const struct h2_offer offer = { v, WEIR_COUNT(v), H2C_CONN_WINDOW };

	return h2_setup(&k->ng, &side, k, &offer) == WEIR_OK &&
	    nghttp2_submit_ping(k->ng, NGHTTP2_FLAG_NONE, word) == 0 ? WEIR_OK : WEIR_FAIL;
}
