/*
 * forwarded.c - the field Forwarded (RFC 7239) of a request to an upstream.
 *
 * Each proxy adds an element about the one who sent it the request.  What came with the request is kept only
 * when a trusted proxy sent it.  Who that was: behind a PROXY header from a trusted peer the request itself
 * comes from the client that the header names, so that client has written what the request says.
 */
#include "core/net/proxy_protocol.h"
#include "http/up/up.h"

struct forwarded_conf {
	bool		 on, by;
	struct weir_str	 by_name;	/* "": the address that the client connected to */
	struct weir_expr scheme;
};

static unsigned index_;
extern const struct weir_module forwarded_module;

static bool
trusted(const struct weir_req *r, const struct weir_addr *a)
{
	return sess_trusts != NULL && sess_trusts(r->s.conf, a);
}

/* Who has written the request. */
static const struct weir_addr *
sender(const struct weir_req *r)
{
	const struct weir_conn *c = r->s.conn;

	return c->proxied != NULL && trusted(r, &c->peer) ? &c->proxied->src : &c->peer;
}

/* A node (RFC 7239, 6) as a value: IPv6 has brackets, and with them quotes. */
static struct weir_str
node(struct weir_pool *pool, const struct weir_addr *a)
{
	char text[ADDR_TEXT_MAX];
	int n;

	if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
		return STR("unknown");
	n = (int)addr_put_ip(text, a);
	return a->sa.sa_family == AF_INET ? pool_str(pool, str_of(text, (size_t)n))
	    : pool_printf(pool, "\"[%.*s]\"", n, text);
}

/* A token, or a quoted string. */
static struct weir_str
value(struct weir_pool *pool, struct weir_str s)
{
	char *to, *at;

	if (is_token(s))
		return s;
	at = to = pool_bytes(pool, 2 * s.n + 2);
	*at++ = '"';
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			*at++ = '\\';
		*at++ = s.p[i];
	}
	*at++ = '"';
	return str_of(to, (size_t)(at - to));
}

/* Does no quoted string stay open?  It would swallow what we add. */
static bool
is_closed(struct weir_str s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (quoted && s.p[i] == '\\')
			i++;
	}
	return !quoted;
}

static struct weir_str
by(struct weir_req *r, const struct forwarded_conf *f)
{
	struct weir_addr own;

	if (!f->by)
		return STR("");
	return pool_printf(r->s.pool, ";by=%.*s", STR_ARG(f->by_name.n != 0 ? f->by_name
	    : node(r->s.pool, conn_local(r->s.conn, &own))));
}

bool
up_wants_forwarded(const struct weir_req *r)
{
	return REQ_CONF(r, forwarded_conf, forwarded_module)->on;
}

struct weir_str
up_forwarded(struct weir_req *r, const struct weir_up_params *p)
{
	const struct forwarded_conf *c = REQ_CONF(r, forwarded_conf, forwarded_module);
	struct weir_pool *pool = r->s.pool;
	const struct weir_addr *from = sender(r);
	struct weir_str had = STR(""), host = STR(""), scheme, whom, last;

	if (trusted(r, from)) {
		if (p->pass_request_headers)
			had = fields_join(&r->msg->fields, pool, STR("Forwarded"), ", ");
		if (!is_closed(had))
			had = STR("");
		if (had.n == 0)
			from = r->s.peer;	/* it may have told of its client in another way */
	}
	whom = node(pool, from);
	if (r->msg->authority.n != 0) {
		struct weir_str v = value(pool, r->msg->authority);

		host = pool_printf(pool, ";host=%.*s", STR_ARG(v));
	}
	scheme = expr_eval(&r->s, &c->scheme);
	last = by(r, c);
	return pool_printf(pool, "%.*s%sfor=%.*s%.*s;proto=%.*s%.*s", STR_ARG(had), had.n != 0 ? ", " : "",
	    STR_ARG(whom), STR_ARG(host), STR_ARG(scheme), STR_ARG(last));
}

/* ---- the directive ---- */

/* RFC 7239, 6.3: a name that means something to those who know it only. */
static bool
is_obfuscated(struct weir_str s)
{
	if (s.n < 2 || s.p[0] != '_')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_token(str_of(s.p + i, 1)) || strchr("!#$%&'*+^`|~", s.p[i]) != NULL)
			return false;
	return true;
}

static int
set_forwarded(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct forwarded_conf *f = conf;

	memset(f, 0, sizeof *f);
	if (conf_flag(cf, n, 1, n->w[1].s, &f->on) != WEIR_OK)
		return WEIR_FAIL;
	if (f->on && expr_compile(cf, s->node, 0, STR("$scheme"), &f->scheme) != WEIR_OK)
		return WEIR_FAIL;
	if (n->n == 2)
		return WEIR_OK;
	f->by = true;
	if (conf_param(n, 2, "by", &f->by_name)) {
		if (!is_obfuscated(f->by_name))
			return conf_error(cf, n, 2, "a name begins with \"_\", and letters, digits, \".\", "
			    "\"_\" and \"-\" follow");
	} else if (!str_eq(n->w[2].s, STR("by"))) {
		return conf_error(cf, n, 2, "the only parameter is \"by\"");
	}
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "forwarded", IN_HTTP_ANY, CONF_CUSTOM, .args_min = 1, .args_max = 2,
	  .set = set_forwarded, .args = "off | on [by | by=_name]",
	  .doc = "Adds an element with for, host and proto to the field Forwarded (RFC 7239) of requests to the upstream; "
	  "with `by' also the address that the client connected to, or a name that begins with an underscore. What "
	  "came from an address that set_real_ip_from names is added to, what anybody else has sent is replaced. "
	  "proxy_set_header Forwarded wins.  off unless said otherwise." },
	{ 0 }
};

const struct weir_module forwarded_module = {
	.name = "forwarded", .index = &index_, .conf_size = sizeof(struct forwarded_conf), .cmds = cmds,
	.doc = "The field Forwarded of requests to upstreams.",
};
