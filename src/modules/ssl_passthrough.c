/*
 * ssl_passthrough.c - one port for servers whose TLS ends here and for others whose TLS ends elsewhere.
 *
 * Each directive is a server of stream without a listener: http/http.c looks at what a client asks for, and gives the
 * connection to it before a byte was taken.  What it does with it is said by directives of stream, so the directive is
 * turned into some of these.
 */
#include "http/req/core.h"
#include "stream/stream.h"

extern const struct weir_module ssl_passthrough_module;

struct passed {				/* a directive */
	struct weir_node *node;
	const struct weir_scope *scope;
	struct weir_stream_server *server;
};

struct passthrough_conf {		/* of main */
	struct { struct passed *v; unsigned n, room; } *all;
};

static unsigned index_;

static int
take_names(struct weir_conf *cf, const struct weir_node *node, struct weir_site *to)
{
	to->n_names = to->names_room = node->n - 2;
	to->names = pool_zalloc(cf->pool, to->n_names * sizeof *to->names);
	for (unsigned i = 0; i < to->n_names; i++) {
		if (node->w[i + 1].s.n == 0)
			return conf_error(cf, node, i + 1, "clients that ask for no name cannot be told apart by one");
		if (names_parse(cf, node, i + 1, &to->names[i]) != WEIR_OK)
			return WEIR_FAIL;
	}
	to->name = to->names[0].name;
	return WEIR_OK;
}

static int
set_passthrough(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct passthrough_conf *c = conf_of(cf->main, &ssl_passthrough_module);
	struct passed *p = POOL_PUSH(cf->pool, c->all);

	(void)conf;
	p->node = node;
	p->scope = scope;
	p->server = POOL_NEW(cf->pool, weir_stream_server);
	p->server->site.node = node;
	return take_names(cf, node, &p->server->site);
}

/* ---- when all is read ---- */

static struct weir_node *
directive(struct weir_conf *cf, const struct weir_node *like, const char *name, const struct weir_conf_word *arg)
{
	struct weir_node *n = pool_dup(cf->pool, like, sizeof *n);

	n->child = NULL;
	n->block = false;
	n->n = 2;
	n->w = pool_alloc(cf->pool, 2 * sizeof *n->w);
	n->w[0] = like->w[0];
	n->w[0].s = str_c(name);
	n->w[1] = *arg;
	return n;
}

static bool
says(const struct weir_node *block, struct weir_str name)
{
	for (const struct weir_node *n = block->child; n != NULL; n = n->next)
		if (str_eq(n->w[0].s, name))
			return true;
	return false;
}

static bool
can_preread(void)
{
	for (unsigned i = 0; i < weir_n_modules; i++)
		if (strcmp(weir_modules[i]->name, "ssl_preread") == 0)
			return true;
	return false;
}

/* The block, or the lack of one, with `pass`; and with ssl_preread, whose variables tell about the hello. */
static struct weir_node *
as_stream(struct weir_conf *cf, const struct weir_node *node, struct weir_node *pass)
{
	struct weir_node *block = pool_dup(cf->pool, node, sizeof *block), *preread;
	struct weir_conf_word on = node->w[0];

	on.s = STR("on");
	preread = directive(cf, node, "ssl_preread", &on);
	pass->next = node->child;
	preread->next = pass;
	block->child = can_preread() && !says(node, STR("ssl_preread")) ? preread : pass;
	return block;
}

static int
settle(struct weir_conf *cf, const struct passed *p)
{
	const struct weir_http_conf *c = conf_of(p->scope, &http_module);
	struct weir_node *pass = directive(cf, p->node, "proxy_pass", &p->node->w[p->node->n - 1]);
	int rc = stream_conf_through(cf, p->server, as_stream(cf, p->node, pass), p->scope, &c->error_log);

	pass->w[0].s = p->node->w[0].s;		/* what is still to be said of it is about what was written */
	if (rc != WEIR_OK)
		return WEIR_FAIL;
	for (unsigned i = 0; i < p->server->site.n_names; i++)
		route_know(p->scope, &p->server->site.names[i]);
	return site_pass_through(cf, &scope_server(p->scope)->site, &p->server->site);
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct passthrough_conf *c = conf;

	if (scope == cf->main)
		c->all = pool_zalloc(cf->pool, sizeof *c->all);
	return WEIR_OK;
}

static int
done(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	const struct passthrough_conf *c = conf;
	int rc = WEIR_OK;

	if (scope != cf->main)
		return WEIR_OK;
	for (unsigned i = 0; i < c->all->n; i++)
		if (settle(cf, &c->all->v[i]) != WEIR_OK)
			rc = WEIR_FAIL;
	return rc;
}

static const struct weir_cmd cmds[] = {
	{ "ssl_passthrough", IN_SERVER, CONF_CUSTOM, .args_min = 2, .args_max = CONF_ANY, .set = set_passthrough,
	  .flags = CONF_BLOCK | CONF_OPT_BLOCK | CONF_MULTI, .args = "name ... address | upstream [{ ... }]",
	  .doc = "On the addresses of this server that have ssl, clients that ask for one of these names in the TLS handshake "
	  "are not served here: their connections are joined, as they come, with this upstream, which ends TLS.  Names "
	  "are written as in server_name and compete with those of all servers of the address: an exact one wins over "
	  "a wildcard, and what is said twice is a mistake.  Clients that ask for no name, for another, or speak no "
	  "TLS, are served as if there were no ssl_passthrough.  A request that comes for such a name by a handshake "
	  "that was made here gets 421.  The upstream is an address with a port, unix:/path, an upstream block of "
	  "http, or else of stream; it may contain variables.  The connection is one of stream: what the stream block "
	  "says of proxy_timeout, proxy_connect_timeout, proxy_protocol, access_log... counts for it, and so do such "
	  "directives of a server of stream in the block that may follow.  error_log and set_real_ip_from count as the "
	  "server around has them." },
	{ 0 }
};

const struct weir_module ssl_passthrough_module = {
	.name = "ssl_passthrough", .index = &index_, .conf_size = sizeof(struct passthrough_conf),
	.cmds = cmds, .ready = ready, .done = done,
	.doc = "One port for TLS that ends here and for TLS that passes through.",
};
