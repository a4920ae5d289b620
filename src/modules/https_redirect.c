/*
 * https_redirect.c - clients that came without TLS are sent to where there is TLS.
 *
 * Only to names that the configuration knows: whoever makes a victim send another Host would otherwise choose
 * where it goes.
 */
#include "core/tls/tls.h"
#include "http/req/req.h"

struct redirect_conf {
	bool		 on;
	int		 status;
	unsigned	 port;
};

static unsigned index_;
extern const struct weir_module https_redirect_module;

static struct weir_str
destination(struct weir_req *r, const struct redirect_conf *c)
{
	struct weir_str target = r->msg->target;

	if (target.n == 0 || target.p[0] != '/')	/* OPTIONS * */
		target = STR("/");
	if (c->port == 443)
		return pool_printf(r->s.pool, "https://%.*s%.*s", STR_ARG(r->host), STR_ARG(target));
	return pool_printf(r->s.pool, "https://%.*s:%u%.*s", STR_ARG(r->host), c->port, STR_ARG(target));
}

static enum weir_next
on_rewrite(struct weir_sess *s)
{
	struct weir_req *r = req_of(s);
	const struct redirect_conf *c = REQ_CONF(r, redirect_conf, https_redirect_module);

	if (!c->on || r->parent != NULL || r->internal || conn_is_tls(s->conn))
		return WEIR_NEXT;
	if (!route_knows(s->conn->from, r->server, r->host)) {
		log_info(&s->log, "no server is called \"%.*s\": not redirected to https", STR_ARG(r->host));
		return req_error(r, 400);
	}
	req_add(r, "Location", destination(r, c));
	return req_error(r, c->status);
}

static bool
idle(const void *conf)
{
	return !((const struct redirect_conf *)conf)->on;
}

static const struct weir_hook hooks[] = { { ON_REWRITE, on_rewrite, idle }, { 0 } };

/* off | on [status] [port=number] */
static int
set_redirect(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const struct { const char *word; int status; } known[] = {
		{ "301", 301 }, { "302", 302 }, { "307", 307 }, { "308", 308 },
	};
	struct redirect_conf *c = conf;
	struct weir_str v;
	uint64_t n;

	c->status = 308;
	c->port = 443;
	if (conf_flag(cf, node, 1, node->w[1].s, &c->on) != WEIR_OK)
		return WEIR_FAIL;
	if (c->on)
		route_want_tls_names(scope);
	for (unsigned w = 2; w < node->n; w++) {
		unsigned i = 0;

		while (i < WEIR_COUNT(known) && !str_eq(node->w[w].s, str_c(known[i].word)))
			i++;
		if (i < WEIR_COUNT(known)) {
			c->status = known[i].status;
		} else if (conf_param(node, w, "port", &v)) {
			if (conf_u64(cf, node, w, v, 1, 65535, &n) != WEIR_OK)
				return WEIR_FAIL;
			c->port = (unsigned)n;
		} else {
			return conf_error(cf, node, w, "it is a status (301, 302, 307 or 308) or port=number");
		}
	}
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "https_redirect", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 3, .set = set_redirect,
	  .args = "off | on [status] [port=number]",
	  .doc = "Answers requests that came without TLS with a redirect (308, unless a status is given) to the same URI by "
	  "https.  Only where the host is a server_name of this address, or of a server that listens with ssl; "
	  "others get 400, so that nobody can be sent elsewhere by a forged Host.  A location may say off, as "
	  "for ACME's challenges.  Not for a server behind a proxy that ends TLS: it would redirect forever.  "
	  "off unless said otherwise." },
	{ 0 }
};

const struct weir_module https_redirect_module = {
	.name = "https_redirect", .index = &index_, .conf_size = sizeof(struct redirect_conf),
	.cmds = cmds, .hooks = hooks,
	.doc = "Redirects from http to https.",
};
