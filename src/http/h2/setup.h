/*
 * setup.h - a session of nghttp2, as either side begins one.
 */
#ifndef WEIR_HTTP_H2_SETUP_H
#define WEIR_HTTP_H2_SETUP_H

#include <nghttp2/nghttp2.h>

#include "core/base/defs.h"

/* What a side hears and is asked for, and how it differs from the other one. */
struct h2_side {
	bool		 server;
	nghttp2_on_begin_frame_callback on_begin_frame;
	nghttp2_on_begin_headers_callback on_begin_headers;
	nghttp2_on_header_callback2 on_header;
	nghttp2_on_frame_recv_callback on_frame_recv;
	nghttp2_on_data_chunk_recv_callback on_data;
	nghttp2_on_stream_close_callback on_stream_close;
	nghttp2_send_data_callback send_data;
	nghttp2_on_frame_send_callback on_frame_send;
	/* NULL: it does not care */
	nghttp2_on_invalid_frame_recv_callback on_invalid_frame;
	nghttp2_before_frame_send_callback before_frame_send;
	nghttp2_on_frame_not_send_callback on_frame_not_send;
	/* Options beside those of both sides. */
	void		 (*options)(nghttp2_option *);
};

/* Of a connection: its settings and the window of all its streams together, in our direction. */
struct h2_offer {
	const nghttp2_settings_entry *v;
	size_t		 n;
	int32_t		 window;
};

/*
 * A session whose first frames are on their way; callbacks get `arg`.  Its memory is h2_memory()'s, and it shares the
 * room for frames (memory.h).  WEIR_FAIL: no memory, and `*to` is NULL.
 */
int	h2_setup(nghttp2_session **to, const struct h2_side *, void *arg, const struct h2_offer *) WEIR_MUST_USE;

#endif
