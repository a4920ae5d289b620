/*
 * up_conf.c - the directives of proxying in stream.
 */
#include "core/peer/tls_conf.h"
#include "stream/up.h"

static unsigned index_;

/* Connections of http's listeners may go to its groups, as far as these know what to do without requests. */
static int
take_http_group(struct weir_conf *cf, const struct weir_node *node, struct weir_stream_params *p)
{
	struct weir_group *g = group_find(cf->main->conf, p->host);

	p->group = g;
	if (g == NULL || !g->key.set || expr_is_const(&g->key))
		return WEIR_OK;
	return conf_error(cf, node, 1, "upstream \"%.*s\" of http chooses by variables of requests: define it in stream",
	    STR_ARG(p->host));
}

static int
set_pass(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_stream_params *p = conf;
	struct weir_str to = node->w[1].s;

	if (stream_serves(cf, scope, node) != WEIR_OK)
		return WEIR_FAIL;
	p->given = true;
	p->host = to;
	if (str_chr(to, '$') >= 0)
		return expr_field(cf, node, 1, &p->variable);
	if (((struct weir_stream_server *)scope->owner)->site.through && take_http_group(cf, node, p) != WEIR_OK)
		return WEIR_FAIL;
	return p->group != NULL ? WEIR_OK : group_get(cf, scope, node, to, 0, &p->group);
}

static int
set_bind(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return bind_conf(cf, node, &((struct weir_stream_params *)conf)->bind);
}

static int
set_rate(struct weir_conf *cf, struct weir_node *node, struct weir_expr *to)
{
	uint64_t n;

	memset(to, 0, sizeof *to);
	if (expr_field(cf, node, 1, to) != WEIR_OK)
		return WEIR_FAIL;
	return expr_is_const(to) ? conf_size(cf, node, 1, to->source, &n) : WEIR_OK;
}

static int
set_upload(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return set_rate(cf, node, &((struct weir_stream_params *)conf)->upload);
}

static int
set_download(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return set_rate(cf, node, &((struct weir_stream_params *)conf)->download);
}

static int
set_budget(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return budget_conf(cf, node, &((struct weir_stream_params *)conf)->budget);
}

static int
set_tlv(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return preface_conf_tlv(cf, node, &((struct weir_stream_params *)conf)->preface);
}

/* A place that encrypts wants a context. */
static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	const struct weir_stream_params *p = conf;

	if (scope != cf->main && preface_conf_ready(cf, scope->node, &p->preface) != WEIR_OK)
		return WEIR_FAIL;
	return scope->in == IN_STREAM_SERVER && p->ssl ? peer_tls_need(cf, scope, &proxy_ssl_module) : WEIR_OK;
}

static enum weir_next
on_serve(struct weir_sess *s)
{
	return stream_up_pass(stream_of(s), SESS_CONF(s, index_));
}

static bool
idle(const void *conf)
{
	return !((const struct weir_stream_params *)conf)->given;
}

static const struct weir_hook hooks[] = { { ON_SERVE, on_serve, idle }, { .fn = NULL } };

#define AT(field)	CONF_AT(weir_stream_params, field)

static const struct weir_choice any_number[] = { { "unlimited", -1 }, { NULL, 0 } };

static const struct weir_cmd cmds[] = {
	{ "proxy_pass", IN_STREAM_SERVER, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_pass,
	  .args = "address | upstream",
	  .doc = "Join connections with this upstream: an address with a port, unix:/path, or an upstream block.  May contain "
	  "variables; a name that they give is asked of the resolver." },
	{ "proxy_connect_timeout", IN_STREAM_ANY, CONF_MSEC, AT(connect_ms), .def = "60s",
	  .doc = "How long connecting to the upstream may take." },
	{ "proxy_timeout", IN_STREAM_ANY, CONF_MSEC, AT(timeout_ms), .def = "10m",
	  .doc = "After so long without a byte in either direction the connection is closed; a session of datagrams, too." },
	{ "proxy_buffer_size", IN_STREAM_ANY, CONF_SIZE, AT(buffer_size), .def = "16k", .min = 1, .max = 16777216,
	  .doc = "How much is read of one side before the other takes it.  It does not matter between two connections without TLS "
	  "and rates: there the kernel moves the bytes." },
	{ "proxy_upload_rate", IN_STREAM_ANY, CONF_CUSTOM, AT(upload), .args_min = 1, .args_max = 1, .set = set_upload,
	  .args = "rate", .doc = "How many bytes a second are read of a client; 0: no limit.  May contain variables." },
	{ "proxy_download_rate", IN_STREAM_ANY, CONF_CUSTOM, AT(download), .args_min = 1, .args_max = 1, .set = set_download,
	  .args = "rate", .doc = "How many bytes a second are read of an upstream for one client; 0: no limit.  May contain "
	  "variables." },
	{ "proxy_next_upstream", IN_STREAM_ANY, CONF_FLAG, AT(next), .def = "on",
	  .doc = "Whether another server is tried when one cannot be connected to." },
	{ "proxy_next_upstream_tries", IN_STREAM_ANY, CONF_INT, AT(next_tries), .def = "0", .max = 1000,
	  .doc = "How many servers to try at most; 0: all." },
	{ "proxy_next_upstream_timeout", IN_STREAM_ANY, CONF_MSEC, AT(next_timeout_ms), .def = "0",
	  .doc = "For how long to try further servers; 0: no limit." },
	{ "proxy_retry_budget", IN_STREAM_ANY, CONF_CUSTOM, AT(budget), .set = set_budget, BUDGET_ROW },
	{ "proxy_session_drop", IN_STREAM_ANY, CONF_FLAG, AT(drop), .def = "off",
	  .doc = "Whether a session ends, within a second, when its server was removed (by api, or by DNS where it has resolve), is "
	  "set down, or has become unhealthy.  A reload leaves the sessions of the workers before it as they are." },
	{ "proxy_half_close", IN_STREAM_ANY, CONF_FLAG, AT(half_close), .def = "on",
	  .doc = "Whether the end of one direction is handed on, and the other goes on until it ends itself.  off: when one ends, "
	  "and all that it carried is delivered, both are closed." },
	{ "proxy_socket_keepalive", IN_STREAM_ANY, CONF_FLAG, AT(keepalive), .def = "off",
	  .doc = "TCP keepalive on connections to the upstream." },
	{ "proxy_bind", IN_STREAM_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_bind, .args = BIND_ARGS,
	  .doc = BIND_DOC },
	{ "proxy_requests", IN_STREAM_ANY, CONF_INT, AT(requests), .def = "0",
	  .doc = "How many datagrams of a client are one session; the next begins another, perhaps with another server.  0: all." },
	{ "proxy_responses", IN_STREAM_ANY, CONF_INT, AT(responses), .def = "unlimited", .choices = any_number,
	  .doc = "How many datagrams the upstream answers each one of the client with.  When all have come, the session is over; "
	  "when proxy_timeout is over before, the server has failed.  Unlimited: a session ends by proxy_timeout only." },
#define PP		"proxy_protocol"
#define PP_IN		IN_STREAM_ANY
#define PP_AT(field)	CONF_AT(weir_stream_params, preface.field)
#define PP_TLV		set_tlv
#include "core/peer/preface_rows.h"
	{ "proxy_ssl", IN_STREAM_ANY, CONF_FLAG, AT(ssl), .def = "off",
	  .doc = "Encrypt connections to the upstream, as proxy_ssl_... say." },
	{ 0 }
};

const struct weir_module stream_proxy_module = {
	.name = "stream_proxy", .index = &index_, .conf_size = sizeof(struct weir_stream_params),
	.cmds = cmds, .hooks = hooks, .ready = ready,
	.doc = "Connections are joined with upstreams.",
};
