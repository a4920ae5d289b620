/*
 * up_vars.c - $upstream_* of stream: a list, one element for each server that was tried.
 */
#include "core/base/num.h"
#include "stream/up.h"

static unsigned index_;

enum { TIME_CONNECT, TIME_QUEUE, TIME_FIRST, TIME_SESSION, BYTES_SENT, BYTES_RECEIVED };

static int
get_addr(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_stream *st = stream_of(s);
	unsigned n = stream_up_attempts(st);

	(void)data;
	if (n == 0)
		return WEIR_FAIL;
	*to = stream_up_attempt(st, 0)->addr;
	for (unsigned i = 1; i < n; i++)
		*to = pool_printf(s->pool, "%.*s, %.*s", STR_ARG(*to), STR_ARG(stream_up_attempt(st, i)->addr));
	return WEIR_OK;
}

static char *
put_time(char *to, uint64_t ms)
{
	if (ms != UINT64_MAX)
		return put_seconds(to, ms);
	*to++ = '-';
	return to;
}

static char *
put_one(char *to, const struct weir_stream_attempt *a, uintptr_t what)
{
	switch (what) {
	case TIME_CONNECT:
		return put_time(to, a->connect_ms);
	case TIME_QUEUE:
		return put_time(to, a->queue_ms);
	case TIME_FIRST:
		return put_time(to, a->first_ms);
	case TIME_SESSION:
		return put_time(to, a->session_ms);
	case BYTES_SENT:
		return num_put(to, a->sent);
	default:
		return num_put(to, a->received);
	}
}

static int
get_number(struct weir_sess *s, struct weir_str *to, const void *data)
{
	const struct weir_stream *st = stream_of(s);
	unsigned n = stream_up_attempts(st);
	char *p;

	if (n == 0)
		return WEIR_FAIL;
	to->p = p = pool_bytes(s->pool, n * (NUM_MAX + 6));
	for (unsigned i = 0; i < n; i++) {
		if (i != 0) {
			*p++ = ',';
			*p++ = ' ';
		}
		p = put_one(p, stream_up_attempt(st, i), (uintptr_t)data);
	}
	to->n = (size_t)(p - to->p);
	return WEIR_OK;
}

#define V	(VAR_VOLATILE | VAR_STREAM | VAR_NOT_HTTP)

static const struct weir_var vars[] = {
	{ "upstream_addr", get_addr, NULL, V, NULL, "In stream: addresses of the servers that were connected to." },
	{ "upstream_connect_time", get_number, NULL, V, (const void *)TIME_CONNECT,
	  "In stream: seconds until they were connected to, with TLS." },
	{ "upstream_queue_time", get_number, NULL, V, (const void *)TIME_QUEUE,
	  "In stream: seconds that a connection waited in the queue." },
	{ "upstream_first_byte_time", get_number, NULL, V, (const void *)TIME_FIRST, "Seconds until their first byte came." },
	{ "upstream_session_time", get_number, NULL, V, (const void *)TIME_SESSION, "Seconds until it was over with them." },
	{ "upstream_bytes_sent", get_number, NULL, V, (const void *)BYTES_SENT, "In stream: bytes to them." },
	{ "upstream_bytes_received", get_number, NULL, V, (const void *)BYTES_RECEIVED, "In stream: bytes from them." },
	{ .name = NULL }
};

const struct weir_module stream_up_vars_module = {
	.name = "stream_up_vars", .index = &index_, .vars = vars,
	.doc = "Variables about upstreams of stream.",
};
