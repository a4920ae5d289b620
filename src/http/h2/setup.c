/*
 * setup.c - a session of nghttp2, as either side begins one.
 */
#include "http/h2/memory.h"
#include "http/h2/setup.h"

enum { HEADER_BLOCK_MOST = 1 << 20 };

/* What nghttp2 copies into every session, made once a side. */
static struct made {
	nghttp2_session_callbacks *cb;
	nghttp2_option	*options;
} made[2];

static nghttp2_session_callbacks *
callbacks(const struct h2_side *side)
{
	nghttp2_session_callbacks *cb;

	if (nghttp2_session_callbacks_new(&cb) != 0)
		return NULL;
	nghttp2_session_callbacks_set_on_begin_frame_callback(cb, side->on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, side->on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback2(cb, side->on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, side->on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, side->on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, side->on_stream_close);
	nghttp2_session_callbacks_set_send_data_callback(cb, side->send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, side->on_frame_send);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, side->on_invalid_frame);
	nghttp2_session_callbacks_set_before_frame_send_callback(cb, side->before_frame_send);
	nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, side->on_frame_not_send);
	return cb;
}

static nghttp2_option *
options(const struct h2_side *side)
{
	nghttp2_option *o;

	if (nghttp2_option_new(&o) != 0)
		return NULL;
	nghttp2_option_set_no_http_messaging(o, 1);	/* head.c's and client_head.c's */
	nghttp2_option_set_no_auto_window_update(o, 1);
	nghttp2_option_set_no_closed_streams(o, 1);
	nghttp2_option_set_max_send_header_block_length(o, HEADER_BLOCK_MOST);
	side->options(o);
	return o;
}

static int
session_new(nghttp2_session **to, const struct h2_side *side, void *arg)
{
	struct made *m = &made[side->server];
	int rc;

	if (m->cb == NULL)
		m->cb = callbacks(side);
	if (m->options == NULL)
		m->options = options(side);
	if (m->cb == NULL || m->options == NULL)
		return WEIR_FAIL;
	h2_share_room(true);
	rc = side->server ? nghttp2_session_server_new3(to, m->cb, arg, m->options, h2_memory()) :
	    nghttp2_session_client_new3(to, m->cb, arg, m->options, h2_memory());
	h2_share_room(false);
	return rc == 0 ? WEIR_OK : WEIR_FAIL;
}

int
h2_setup(nghttp2_session **to, const struct h2_side *side, void *arg, const struct h2_offer *offer)
{
	*to = NULL;
	if (session_new(to, side, arg) != WEIR_OK)
		return WEIR_FAIL;
	if (nghttp2_submit_settings(*to, NGHTTP2_FLAG_NONE, offer->v, offer->n) == 0 &&
	    nghttp2_session_set_local_window_size(*to, NGHTTP2_FLAG_NONE, 0, offer->window) == 0)
		return WEIR_OK;
	nghttp2_session_del(*to);
	*to = NULL;
	return WEIR_FAIL;
}
