/*
 * resolver_conf.c - resolver and resolver_timeout.
 */
#include "core/net/resolver.h"

struct resolver_conf {
	struct weir_resolver *r;
	uint64_t	 timeout_ms;
};

enum { DNS_PORT = 53 };

static unsigned index_;

struct weir_resolver *
resolver_of(void *const *conf, uint64_t *timeout_ms)
{
	const struct resolver_conf *c = conf[index_];

	*timeout_ms = c->timeout_ms;
	return c->r;
}

struct servers {
	struct weir_addr *v;
	unsigned	 n, room;
};

static int
add_server(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct servers *to)
{
	struct weir_str word = node->w[w].s, host;
	const char *err = "host not found";
	struct weir_addr a, *found;
	unsigned port, n;

	switch (addr_parse(cf->pool, word, DNS_PORT, &a, &host, &port)) {
	case WEIR_OK:
		if (a.sa.sa_family == AF_UNIX)
			break;
		*POOL_PUSH(cf->pool, to) = a;
		return WEIR_OK;
	case WEIR_AGAIN:
		found = addr_lookup(cf->pool, host, port, &n, &err);
		if (found == NULL)
			return conf_error(cf, node, w, "%s in resolver \"%.*s\"", err, STR_ARG(word));
		for (unsigned i = 0; i < n; i++)
			*POOL_PUSH(cf->pool, to) = found[i];
		return WEIR_OK;
	}
	return conf_error(cf, node, w, "invalid address of a name server \"%.*s\"", STR_ARG(word));
}

static int
set_resolver(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const char *const known[] = { "valid=", "ipv4=", "ipv6=", NULL };
	struct resolver_conf *c = conf;
	struct servers servers = { .n = 0 };
	struct weir_str value;
	uint64_t valid_ms = 0;
	bool v4 = true, v6 = true;
	int rc = WEIR_OK;

	(void)scope;
	for (unsigned w = 1; w < node->n && rc == WEIR_OK; w++) {
		if (conf_param(node, w, "valid", &value)) {
			rc = conf_msec(cf, node, w, value, &valid_ms);
			if (rc == WEIR_OK && valid_ms == 0)
				rc = conf_error(cf, node, w, "addresses are valid for some time at least");
		} else if (conf_param(node, w, "ipv4", &value)) {
			rc = conf_flag(cf, node, w, value, &v4);
		} else if (conf_param(node, w, "ipv6", &value)) {
			rc = conf_flag(cf, node, w, value, &v6);
		} else if (str_chr(node->w[w].s, '=') >= 0) {
			rc = conf_bad_param(cf, node, w, known);
		} else {
			rc = add_server(cf, node, w, &servers);
		}
	}
	if (rc != WEIR_OK)
		return rc;
	if (!v4 && !v6)
		return conf_error(cf, node, 0, "ipv4 and ipv6 cannot both be off");
	if (servers.n == 0)
		return conf_error(cf, node, 0, "no name servers defined");
	c->r = resolver_new(cf->pool, servers.v, servers.n, valid_ms, v4, v6);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "resolver", IN_HTTP_ANY | IN_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_resolver,
	  .args = "address ... [valid=time] [ipv4=on|off] [ipv6=on|off]",
	  .doc = "Name servers that resolve names which are known only when a request is there: proxy_pass with "
	  "variables.  Answers are kept as long as their TTL says, or for the time of valid=.  All servers are asked in turn "
	  "until one answers." },
	{ "resolver_timeout", IN_HTTP_ANY | IN_UPSTREAM, CONF_MSEC, CONF_AT(resolver_conf, timeout_ms), .def = "30s", .min = 1,
	  .doc = "How long a request waits for a name." },
	{ 0 }
};

const struct weir_module resolver_module = {
	.name = "resolver", .index = &index_, .conf_size = sizeof(struct resolver_conf),
	.cmds = cmds,
	.doc = "Names that are resolved while the server runs.",
};
