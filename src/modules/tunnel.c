/*
 * tunnel.c - tunnel_pass: CONNECT (RFC 9110, 9.3.6).  The client is joined with whom it names, or with an upstream.
 *
 * Dialling, further tries and the log are http/up's; there is no HTTP with the other side.  Who may come in, and where to,
 * is for allow, auth_basic and a map of $host and $request_port to say.
 */
#include "http/req/core.h"
#include "http/up/pass.h"

extern const struct weir_module tunnel_module;
static unsigned index_;

static const struct weir_up_kind kind = {
	.module = &tunnel_module, .pass = "tunnel_pass", .clear = "", .bare = true,
};

static enum weir_next
on_content(struct weir_sess *s)
{
	const struct weir_up_conf *c = s->conf[index_];
	struct weir_req *r = req_of(s);

	if (c->pass.given && r->method_id != M_CONNECT)
		return req_error(r, 405);
	return up_pass(r, c, &kind);
}

static const struct weir_hook hooks[] = { { ON_CONTENT, on_content, up_pass_idle }, { 0 } };

static int
set_pass(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_up_conf *c = conf;

	scope_server(s)->connects = true;
	if (n->n == 2)
		return up_conf_pass(cf, s, n, c, &kind);
	c->pass.given = true;
	return expr_compile(cf, n, 0, STR("$host:$request_port"), &c->pass.variable);
}

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct weir_up_conf *c = conf;

	c->up.tunnel = true;
	return s->in != IN_MAIN ? up_conf_ready(cf, s, c, &kind) : WEIR_OK;
}

/* What nginx has and weir does without.  A directive is never silently without effect. */
static int
set_no_effect(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	static const struct { const char *name, *why; } none[] = {
		{ "tunnel_buffer_size", "an idle tunnel has no buffer, and a busy one borrows" },
		{ "tunnel_send_lowat", "Linux has no such option for sending" },
		{ "tunnel_send_timeout", "tunnel_read_timeout counts what moves in either direction" },
	};
	unsigned i;

	(void)s, (void)conf;
	for (i = 0; i < WEIR_COUNT(none) - 1 && !str_eq(n->w[0].s, str_c(none[i].name)); i++)
		;
	return conf_warn(cf, n, 0, "has no effect: %s", none[i].why);
}

static const struct weir_choice nexts[] = {
	{ "error", NEXT_ERROR }, { "timeout", NEXT_TIMEOUT }, { "off", NEXT_OFF }, { NULL, 0 }
};

static const struct weir_cmd cmds[] = {
	{ "tunnel_pass", IN_SERVER | IN_LOCATION | IN_IF, CONF_CUSTOM, UP_AT(pass), .args_max = 1, .set = set_pass,
	  .flags = CONF_NOINHERIT, .args = "[address]",
	  .doc = "Answers CONNECT: the client is joined with host[:port], unix:/path or the name of an upstream group, by "
	  "default with the host and port that it asks for ($host:$request_port).  Names that variables give need "
	  "a resolver.  Other methods get 405.  Say with allow, auth_basic or a map of $host and $request_port "
	  "who may use it, and where to: it reaches what the server reaches." },
#define P "tunnel_"
#include "http/up/conn_rows.h"
#undef P
	{ "tunnel_next_upstream", IN_HTTP_ANY, CONF_BITS, UP(next), .def = "error timeout", .choices = nexts,
	  .doc = "When to try the next server of a group." },
	{ "tunnel_send_timeout", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_no_effect,
	  .doc = "Has no effect: tunnel_read_timeout counts what moves in either direction." },
	{ "tunnel_buffer_size", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_no_effect,
	  .doc = "Has no effect: an idle tunnel has no buffer, and a busy one borrows." },
	{ "tunnel_send_lowat", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_no_effect,
	  .doc = "Has no effect: Linux has no such option for sending." },
	{ 0 }
};

const struct weir_module tunnel_module = {
	.name = "tunnel", .index = &index_, .conf_size = sizeof(struct weir_up_conf), .cmds = cmds,
	.hooks = hooks, .ready = ready,
	.doc = "CONNECT: clients are joined with the hosts that they name.",
};
