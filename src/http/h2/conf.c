/*
 * conf.c - the directives http2*.
 */
#include "http/h2/server.h"

enum { PREREAD_MAX = 1 << 24 };

static unsigned index_;

bool
h2_is_on(void *const *conf)
{
	return h2_conf_in(conf)->on;
}

/* What nginx has or once had, and weir does without.  A directive is never silently without effect. */
static const struct no_effect {
	const char	*name, *why;
} no_effects[] = {
	{ "http2_recv_buffer_size", "weir borrows a buffer only while it reads" },
	{ "http2_pool_size", "weir's memory pools size themselves" },
	{ "http2_streams_index_size", "weir's tables size themselves" },
	{ "http2_idle_timeout", "it is obsolete, use \"keepalive_timeout\" instead" },
	{ "http2_recv_timeout", "it is obsolete, use \"client_header_timeout\" instead" },
	{ "http2_max_requests", "it is obsolete, use \"keepalive_requests\" instead" },
	{ "http2_max_field_size", "it is obsolete, use \"large_client_header_buffers\" instead" },
	{ "http2_max_header_size", "it is obsolete, use \"large_client_header_buffers\" instead" },
	{ "http2_push", "nobody takes pushed responses any more" },
	{ "http2_push_preload", "nobody takes pushed responses any more" },
	{ "http2_max_concurrent_pushes", "nobody takes pushed responses any more" },
};

static int
set_no_effect(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	unsigned i;

	(void)scope, (void)conf;
	for (i = 0; i < WEIR_COUNT(no_effects); i++)
		if (str_eq(node->w[0].s, str_c(no_effects[i].name)))
			return conf_warn(cf, node, 0, "has no effect: %s", no_effects[i].why);
	assert(!"every directive without effect says why");
	return WEIR_OK;
}

#define HTTP_SERVER	(IN_HTTP | IN_SERVER)

#define NO_EFFECT	CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_no_effect, \
			.flags = CONF_MULTI, .args = "value ...", \
			.doc = "Understood for nginx's sake, without effect; a warning says why."

static const struct weir_cmd cmds[] = {
	{ "http2", HTTP_SERVER, CONF_FLAG, CONF_AT(h2_conf, on), .def = "off",
	  .doc = "Whether HTTP/2 is spoken, too: over TLS clients choose it by ALPN, on other addresses they begin with "
	  "it.  The default server of an address, or over TLS the one whose name was asked for, decides." },
	{ "http2_max_concurrent_streams", HTTP_SERVER, CONF_INT, CONF_AT(h2_conf, streams), .def = "128",
	  .min = 1, .max = 65535, .doc = "How many requests of a connection are answered at the same time." },
	{ "http2_body_preread_size", HTTP_SERVER, CONF_SIZE, CONF_AT(h2_conf, preread), .def = "64k",
	  .max = PREREAD_MAX, .doc = "How much of a request's body a client may send before anybody reads it." },
	{ "http2_chunk_size", IN_HTTP_ANY, CONF_SIZE, CONF_AT(h2_conf, chunk), .def = "8k",
	  .min = 1, .max = 16384, .doc = "The largest piece of a response's body that is sent before other responses "
	  "have their turn." },
	{ "http2_extended_connect", HTTP_SERVER, CONF_FLAG, CONF_AT(h2_conf, extended), .def = "on",
	  .doc = "Whether clients may open tunnels on streams (RFC 8441), which is how browsers use WebSocket over HTTP/2.  "
	  "Such a request is handled as GET with the field Upgrade; what answers it otherwise than by a tunnel gives 501." },
	{ "http2_recv_buffer_size", IN_HTTP, NO_EFFECT },
	{ "http2_pool_size", HTTP_SERVER, NO_EFFECT },
	{ "http2_streams_index_size", HTTP_SERVER, NO_EFFECT },
	{ "http2_idle_timeout", HTTP_SERVER, NO_EFFECT },
	{ "http2_recv_timeout", HTTP_SERVER, NO_EFFECT },
	{ "http2_max_requests", HTTP_SERVER, NO_EFFECT },
	{ "http2_max_field_size", HTTP_SERVER, NO_EFFECT },
	{ "http2_max_header_size", HTTP_SERVER, NO_EFFECT },
	{ "http2_push", IN_HTTP_ANY, NO_EFFECT },
	{ "http2_push_preload", IN_HTTP_ANY, NO_EFFECT },
	{ "http2_max_concurrent_pushes", HTTP_SERVER, NO_EFFECT },
	{ 0 }
};

const struct weir_module http_v2_module = {
	.name = "http_v2", .index = &index_, .conf_size = sizeof(struct h2_conf), .cmds = cmds,
	.metrics = h2_rows, .doc = "HTTP/2.",
};
