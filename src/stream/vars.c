/*
 * vars.c - the variables of a connection of stream.
 */
#include "core/base/clock.h"
#include "stream/stream.h"

static unsigned index_;

static int
get_received(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_u64(s, to, stream_received(stream_of(s)));
}

static int
get_sent(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_u64(s, to, stream_sent(stream_of(s)));
}

static int
get_time(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	return var_seconds(s, to, weir_now_ms - s->began_ms);
}

static int
get_protocol(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	*to = stream_is_udp(stream_of(s)) ? STR("UDP") : STR("TCP");
	return WEIR_OK;
}

static int
get_status(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_stream *st = stream_of(s);

	(void)data;
	*to = pool_printf(s->pool, "%03u", st->status);
	return WEIR_OK;
}

static int
get_closed(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_stream *st = stream_of(s);

	(void)data;
	if (st->closed == NULL)
		return WEIR_FAIL;
	*to = str_c(st->closed);
	return WEIR_OK;
}

static int
get_server_name(struct weir_sess *s, struct weir_str *to, const void *data)
{
	(void)data;
	*to = stream_of(s)->server->site.name;
	return WEIR_OK;
}

#define V	(VAR_VOLATILE | VAR_STREAM | VAR_NOT_HTTP)

static const struct weir_var vars[] = {
	{ "bytes_received", get_received, NULL, V, NULL, "Bytes from the client." },
	{ "bytes_sent", get_sent, NULL, V, NULL, "In stream: bytes to the client." },
	{ "session_time", get_time, NULL, V, NULL, "How long the connection has lasted, in seconds with milliseconds." },
	{ "protocol", get_protocol, NULL, V, NULL, "TCP or UDP." },
	{ "status", get_status, NULL, V, NULL,
	  "In stream: 200 when a connection ended as it should, 400 when what the client sent is not understood, 403 when it may not, 500, 502 "
	  "when no upstream can be connected to, 503 when there are too many." },
	{ "close_reason", get_closed, NULL, V, NULL,
	  "Who ended the connection, or why: client_closed, upstream_closed, client_reset, upstream_reset, idle (proxy_timeout), answered, refused, "
	  "preread_timeout, preread_full, evicted, handshake_timeout, handshake_failed, no_upstream, upstream_failed, memory, shutdown, error." },
	{ "server_name", get_server_name, NULL, V, NULL, "In stream: the first name of the server." },
	{ .name = NULL }
};

const struct weir_module stream_vars_module = {
	.name = "stream_vars", .index = &index_, .vars = vars,
	.doc = "Variables of connections of stream.",
};
