/*
 * stream_pass.c - pass: a connection goes to another listener of this server, of stream or http, as it is.
 */
#include "stream/stream.h"

extern const struct weir_module stream_pass_module;

struct pass_conf {
	bool		 given;
	struct weir_expr to;
	struct weir_addr addr;		/* when it is constant */
};

static unsigned index_;

static enum weir_next
on_serve(struct weir_sess *s)
{
	const struct pass_conf *c = SESS_CONF(s, index_);
	struct weir_stream *st = stream_of(s);
	struct weir_addr addr = c->addr;
	struct weir_listen *to;
	struct weir_str text = c->to.source, host;
	unsigned port;

	if (!expr_is_const(&c->to)) {
		text = expr_eval(s, &c->to);
		if (addr_parse(s->pool, text, 0, &addr, &host, &port) != WEIR_OK) {
			log_errorx(&s->log, "invalid address \"%.*s\" in pass", STR_ARG(text));
			return stream_finish(st, 500, "error");
		}
	}
	to = stream_listener(&addr);
	if (to != NULL)
		return stream_hand_over(st, to);
	log_errorx(&s->log, "port not found for \"%.*s\"", STR_ARG(text));
	return stream_finish(st, 500, "error");
}

static bool
idle(const void *conf)
{
	return !((const struct pass_conf *)conf)->given;
}

static const struct weir_hook hooks[] = { { ON_SERVE, on_serve, idle }, { .fn = NULL } };

static int
set_pass(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct pass_conf *c = conf;
	struct weir_str host;
	unsigned port = 0;

	if (stream_serves(cf, scope, node) != WEIR_OK || expr_field(cf, node, 1, &c->to) != WEIR_OK)
		return WEIR_FAIL;
	c->given = true;
	if (!expr_is_const(&c->to))
		return WEIR_OK;
	if (addr_parse(cf->pool, node->w[1].s, 0, &c->addr, &host, &port) != WEIR_OK ||
	    (c->addr.sa.sa_family != AF_UNIX && addr_port(&c->addr) == 0))
		return conf_error(cf, node, 1, "invalid address \"%.*s\": it is written like one of listen, with its port",
		    STR_ARG(node->w[1].s));
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "pass", IN_STREAM_SERVER, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_pass, .args = "address",
	  .doc = "Give connections to a server that listens on this very address, of stream or of http, without connecting to it: it sees the "
	  "client's own address.  With listen ... ssl of this server TLS ends here, and the other gets what is in it; with ssl_preread "
	  "the other one may make the handshake.  May contain variables.  It is for connections, not for datagrams." },
	{ 0 }
};

const struct weir_module stream_pass_module = {
	.name = "stream_pass", .index = &index_, .conf_size = sizeof(struct pass_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Connections go to other servers of this process.",
};
