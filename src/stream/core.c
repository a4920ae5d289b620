/*
 * core.c - module stream: the blocks stream and server, and the directives of every place.
 */
#include "core/tls/server_conf.h"
#include "stream/stream.h"

static unsigned index_;

static const struct weir_site_kind kind = { .other = "an http server", .on_conn = stream_on_conn };

/* ---- blocks ---- */

int
stream_conf_block(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_stream_main *m = POOL_NEW(cf->pool, weir_stream_main);
	struct weir_stream_conf *top = conf;
	int rc;

	top->main = m;
	m->vars = vars_new(cf, true);
	vars_now = m->vars;
	m->scope = conf_block(cf, scope, node, IN_STREAM, m);
	rc = vars_check(m->vars, cf);
	vars_now = NULL;
	return m->scope != NULL && rc == WEIR_OK ? site_check(cf, &kind) : WEIR_FAIL;
}

static int
set_server(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_stream_server *server = POOL_NEW(cf->pool, weir_stream_server);

	(void)conf;
	server->site.node = node;
	server->site.scope = conf_block(cf, scope, node, IN_STREAM_SERVER, server);
	if (server->site.scope == NULL)
		return WEIR_FAIL;
	server->conf = server->site.scope->conf;
	if (server->serves == NULL)
		return conf_error(cf, node, 0, "no handler for server: say proxy_pass or return");
	if (server->site.listens == NULL)
		return conf_error(cf, node, 0, "no \"listen\" is defined for server");
	if (tls_server_conf(cf, server->site.scope) != WEIR_OK ||
	    site_tls_names(cf, server->site.scope, stream_likeness) != WEIR_OK)
		return WEIR_FAIL;
	return site_done(cf, &server->site, &kind, 1);
}

int
stream_serves(struct weir_conf *cf, const struct weir_scope *scope, const struct weir_node *node)
{
	struct weir_stream_server *server = scope->owner;

	if (server->serves != NULL)
		return conf_error(cf, node, 0, "is duplicate: line %u serves already", server->serves->w[0].line);
	server->serves = node;
	return WEIR_OK;
}

/* ---- directives ---- */

static int
set_listen(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)conf;
	return site_listen(cf, scope, node, &kind, &((struct weir_stream_server *)scope->owner)->site);
}

static int
set_server_name(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)conf;
	return site_server_name(cf, node, &((struct weir_stream_server *)scope->owner)->site);
}

static int
set_error_log(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	return core_set_error_log(cf, scope, node, &((struct weir_stream_conf *)conf)->error_log);
}

static int
set_no_effect(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope, (void)conf;
	return conf_warn(cf, node, 0, "has no effect: weir's tables size themselves");
}

#define NO_EFFECT	CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_no_effect, .flags = CONF_MULTI, \
			.args = "value", .doc = "Understood for nginx's sake, without effect; a warning says why."

static const struct weir_cmd cmds[] = {
	{ "stream", IN_MAIN, CONF_CUSTOM, .set = stream_conf_block, .flags = CONF_BLOCK,
	  .doc = "Connections of TCP that are served without looking into them, whatever their protocol is." },
	{ "server", IN_STREAM, CONF_CUSTOM, .set = set_server, .flags = CONF_BLOCK | CONF_MULTI,
	  .doc = "A server of stream: its addresses are said by listen, what it does with connections by proxy_pass or return." },
	{ "listen", IN_STREAM_SERVER, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_listen,
	  .flags = CONF_MULTI, .args = "address:port | port | unix:path [default_server] [ssl] [udp] [proxy_protocol[=trusted]] "
	  "[backlog=number] [rcvbuf=size] [sndbuf=size] [fastopen=number] [ipv6only=on | off] "
	  "[so_keepalive=on | off | idle:interval:count] [deferred] [bind] [reuseport] [transparent]",
	  .doc = "An address of the server; of ports there may be a range, 127.0.0.1:8000-8010.  Every address has a socket of its "
	  "own for each worker, so reuseport and bind say what is done anyway.  With ssl connections are encrypted: see "
	  "ssl_certificate.  With udp datagrams come there instead of connections: all that an address and port sends is a session, "
	  "see udp_sessions, proxy_requests and proxy_responses.  With proxy_protocol every connection begins with a header of the PROXY protocol, version 1 or 2, "
	  "within proxy_protocol_timeout, and is closed when it does not; with proxy_protocol=trusted only those whom "
	  "set_real_ip_from of the default server names may connect.  With transparent the address may be one that is not this machine's, and connections to others that "
	  "the kernel routes here, by TPROXY or a local route, are taken too: $server_addr and $server_port are where they wanted to go.  It "
	  "needs root, or CAP_NET_RAW.  Datagrams are answered from the address that they "
	  "were sent to, but with the port of listen." },
	{ "server_name", IN_STREAM_SERVER, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_server_name,
	  .flags = CONF_MULTI, .args = "name ...",
	  .doc = "The names of the server, as in http.  Of servers with the same address clients choose by the name that they ask for "
	  "in the TLS handshake; who asks for none gets the default server." },
	{ "preread_timeout", IN_STREAM_ANY, CONF_MSEC, CONF_AT(weir_stream_conf, preread_ms), .def = "30s",
	  .doc = "How long clients may take to send what has to be known before a connection is passed on." },
	{ "preread_buffer_size", IN_STREAM_ANY, CONF_SIZE, CONF_AT(weir_stream_conf, preread_size), .def = "16k",
	  .min = 1, .max = 1048576, .doc = "How much of it is read at most." },
	{ "proxy_protocol_timeout", IN_STREAM_ANY, CONF_MSEC, CONF_AT(weir_stream_conf, proxied_ms), .def = "30s",
	  .doc = "How long the header of the PROXY protocol may take." },
	{ "tcp_nodelay", IN_STREAM_ANY, CONF_FLAG, CONF_AT(weir_stream_conf, tcp_nodelay), .def = "on",
	  .doc = "Whether small pieces are sent at once (TCP_NODELAY), to clients and to upstreams." },
	{ "error_log", IN_STREAM_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 3,
	  .set = set_error_log, .flags = CONF_MULTI, .args = CORE_ERROR_LOG_ARGS,
	  .doc = "Where errors of these connections are logged, as in main." },
	{ "server_names_hash_bucket_size", IN_STREAM, NO_EFFECT },
	{ "server_names_hash_max_size", IN_STREAM, NO_EFFECT },
	{ "variables_hash_bucket_size", IN_STREAM, NO_EFFECT },
	{ "variables_hash_max_size", IN_STREAM, NO_EFFECT },
	{ 0 }
};

static int
start(void)
{
	const struct weir_stream_conf *top = conf_of(weir_cycle->main, &stream_module);

	vars_stream = top->main != NULL ? top->main->vars : NULL;
	return WEIR_OK;
}

const struct weir_module stream_module = {
	.name = "stream", .index = &index_, .conf_size = sizeof(struct weir_stream_conf),
	.cmds = cmds, .start = start, .metrics = stream_rows,
	.doc = "Connections of TCP, passed on or answered.",
};
