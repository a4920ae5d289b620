/*
 * grpc.c - grpc_pass: gRPC, which is HTTP/2 with trailers (gRPC over HTTP2, grpc.io).
 *
 * The course of such a request is http/up's, and most directives are those of proxy_pass.  Messages go both ways as they
 * come, and the response may begin before the request has ended.
 */
#include "core/peer/tls_conf.h"
#include "http/up/pass.h"

extern const struct weir_module grpc_module;
static unsigned index_;

static const struct weir_up_kind kind = {
	.module = &grpc_module, .tls = &grpc_ssl_module, .pass = "grpc_pass",
	.clear = "grpc://", .secure = "grpcs://", .bare = true,
};

static enum weir_next
on_content(struct weir_sess *s)
{
	return up_pass(req_of(s), s->conf[index_], &kind);
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, up_pass_idle }, { 0 } };

static int
set_pass(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return up_conf_pass(cf, s, n, conf, &kind);
}

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct weir_up_conf *c = conf;

	if (s->in != IN_MAIN)
		return up_conf_ready(cf, s, c, &kind);
	c->up.http_version = 0x200;
	c->up.pass_request_headers = c->up.pass_request_body = true;
	c->up.pass_trailers = c->up.te_of_client = true;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "grpc_pass", IN_PASS, CONF_CUSTOM, UP_AT(pass), .args_min = 1, .args_max = 1, .set = set_pass,
	  .flags = CONF_NOINHERIT, .args = "address",
	  .doc = "Passes requests to a gRPC server: [grpc://]host[:port], grpcs://host[:port] (TLS), grpc://unix:/path, or the "
	  "name of an upstream group.  Bodies are passed on as they come, in both directions, and so are trailers.  May "
	  "contain variables." },
#define P "grpc_"
#define PP "grpc_proxy_protocol"
#include "http/up/pass_rows.h"
#undef P
	{ 0 }
};

const struct weir_module grpc_module = {
	.name = "grpc", .index = &index_, .conf_size = sizeof(struct weir_up_conf), .cmds = cmds,
	.hooks = hooks, .ready = ready,
	.doc = "gRPC: requests are answered by an upstream that speaks HTTP/2.",
};
