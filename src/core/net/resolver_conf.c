/*
 * resolver_conf.c - resolver, resolver_timeout and resolver_negative_ttl; and what is counted.
 */
#include "core/net/resolver_in.h"

struct resolver_conf {
	struct weir_resolver *r;
	uint64_t	 timeout_ms, none_ms;
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

/* What the words of a directive say, until all are read. */
struct reading {
	struct weir_resolver *r;
	struct servers	 servers;
	struct { struct weir_doh_want *v; unsigned n, room; } https;
	struct servers	 bootstrap;	/* of the last of those */
	unsigned	 trusted_w, verify_w, tcp_w;
	struct weir_str	 trusted;
	bool		 verify;
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

/* ---- what is counted ---- */

static const char *const results[] = { "found", "none", "failed", "timeout", NULL };
static const char *const sources[] = { "cache", "answer", "stale", NULL };

enum { QUESTIONS, ANSWERS, LOOKUPS };

#define ZONE { "resolver", NULL }

static const struct weir_metric_row rows[] = {
	[QUESTIONS] = { "resolver_questions_total", METRIC_COUNTER, "Questions for records of names.",
	  .labels = { ZONE } },
	[ANSWERS] = { "resolver_answers_total", METRIC_COUNTER, "What came of asking for a name.",
	  .labels = { ZONE, { "result", results } } },
	[LOOKUPS] = { "resolver_lookups_total", METRIC_COUNTER, "Names that were wanted, by where the answer came from.",
	  .labels = { ZONE, { "from", sources } } },
	{ .name = NULL }
};

static void
declare(struct weir_conf *cf, struct weir_resolver *r)
{
	metric_series(cf, &rows[QUESTIONS], &r->zone, &r->questions);
	metric_series(cf, &rows[ANSWERS], &r->zone, &r->answers);
	metric_series(cf, &rows[LOOKUPS], &r->zone, &r->lookups);
}

/* ---- the directives ---- */

static int
set_time(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str value, uint64_t *to)
{
	if (conf_msec(cf, node, w, value, to) != WEIR_OK)
		return WEIR_FAIL;
	return *to != 0 ? WEIR_OK : conf_error(cf, node, w, "addresses are valid for some time at least");
}

static int
set_zone(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str value, struct weir_str *to)
{
	if (value.n == 0)
		return conf_error(cf, node, w, "status_zone is empty");
	*to = value;
	return WEIR_OK;
}

/* ---- by HTTPS ---- */

static void
end_bootstrap(struct reading *rd)
{
	if (rd->https.n == 0)
		return;
	rd->https.v[rd->https.n - 1].addrs = rd->bootstrap.v;
	rd->https.v[rd->https.n - 1].n_addrs = rd->bootstrap.n;
	memset(&rd->bootstrap, 0, sizeof rd->bootstrap);
}

static int
add_bootstrap(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str value, struct reading *rd)
{
	struct weir_addr a;

	if (rd->https.n == 0)
		return conf_error(cf, node, w, "it says where a server is whose URL stands before it");
	if (addr_parse_ip(value, &a) != WEIR_OK)
		return conf_error(cf, node, w, "invalid address \"%.*s\"", STR_ARG(value));
	*POOL_PUSH(cf->pool, &rd->bootstrap) = a;
	return WEIR_OK;
}

/* WEIR_AGAIN when it is none of them. */
static int
set_https(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct reading *rd)
{
	struct weir_str value;

	if (str_ibegins(node->w[w].s, STR("https://"))) {
		end_bootstrap(rd);
		POOL_PUSH(cf->pool, &rd->https)->w = w;
		return WEIR_OK;
	}
	if (conf_param(node, w, "bootstrap", &value))
		return add_bootstrap(cf, node, w, value, rd);
	if (conf_param(node, w, "trusted_certificate", &value)) {
		rd->trusted_w = w;
		rd->trusted = value;
		return value.n != 0 ? WEIR_OK : conf_error(cf, node, w, "it is empty");
	}
	if (conf_param(node, w, "verify", &value)) {
		rd->verify_w = w;
		return conf_flag(cf, node, w, value, &rd->verify);
	}
	return WEIR_AGAIN;
}

static int
use_https(struct weir_conf *cf, const struct weir_node *node, struct reading *rd)
{
	struct weir_resolver *r = rd->r;

	end_bootstrap(rd);
	if (rd->servers.n != 0)
		return conf_error(cf, node, 0, "servers by HTTPS do not stand together with others, which would be asked in "
		    "the clear");
	if (rd->tcp_w != 0)
		return conf_error(cf, node, rd->tcp_w, "it has no meaning for servers by HTTPS");
	if (rd->https.n > RESOLVER_HTTPS_MOST)
		return conf_error(cf, node, 0, "there are more than %d servers", RESOLVER_HTTPS_MOST);
	if (doh_ops == NULL)
		return conf_error(cf, node, rd->https.v[0].w, "nobody here can ask by HTTPS");
	if (!rd->verify)
		conf_warn(cf, node, rd->verify_w, "without verification anybody can be the server");
	r->way = &resolver_https;
	r->n_https = rd->https.n;
	r->https = pool_zalloc(cf->pool, r->n_https * sizeof *r->https);
	for (unsigned i = 0; i < r->n_https; i++) {
		struct weir_doh_want *want = &rd->https.v[i];

		want->node = node;
		want->verify = rd->verify;
		want->trusted_w = rd->trusted_w;
		want->trusted = rd->trusted;
		r->https[i].doh = doh_ops->make(cf, want);
		if (r->https[i].doh == NULL)
			return WEIR_FAIL;
	}
	return WEIR_OK;
}

/* ---- by UDP and TCP ---- */

static int
use_servers(struct weir_conf *cf, const struct weir_node *node, struct reading *rd)
{
	if (rd->servers.n == 0)
		return conf_error(cf, node, 0, "no name servers defined");
	if (rd->trusted_w + rd->verify_w != 0)
		return conf_error(cf, node, WEIR_MAX(rd->trusted_w, rd->verify_w), "it has a meaning for servers by HTTPS "
		    "only");
	rd->r->way = &resolver_ares;
	rd->r->servers = rd->servers.v;
	rd->r->n_servers = rd->servers.n;
	return WEIR_OK;
}

/* WEIR_AGAIN when it is no parameter. */
static int
set_param(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct reading *rd)
{
	static const char *const known[] = { "valid=", "ipv4=", "ipv6=", "stale=", "tcp=", "status_zone=", "bootstrap=",
		"trusted_certificate=", "verify=", NULL };
	struct weir_resolver *r = rd->r;
	struct weir_str value;
	int rc = set_https(cf, node, w, rd);

	if (rc != WEIR_AGAIN)
		return rc;

	if (conf_param(node, w, "valid", &value))
		return set_time(cf, node, w, value, &r->valid_ms);
	if (conf_param(node, w, "stale", &value))
		return conf_msec(cf, node, w, value, &r->stale_ms);
	if (conf_param(node, w, "ipv4", &value))
		return conf_flag(cf, node, w, value, &r->v4);
	if (conf_param(node, w, "ipv6", &value))
		return conf_flag(cf, node, w, value, &r->v6);
	if (conf_param(node, w, "tcp", &value)) {
		rd->tcp_w = w;
		return conf_flag(cf, node, w, value, &r->tcp);
	}
	if (conf_param(node, w, "status_zone", &value))
		return set_zone(cf, node, w, value, &r->zone);
	return str_chr(node->w[w].s, '=') >= 0 ? conf_bad_param(cf, node, w, known) : WEIR_AGAIN;
}

static int
set_resolver(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct resolver_conf *c = conf;
	struct weir_resolver *r = POOL_NEW(cf->pool, weir_resolver);
	struct reading rd = { .r = r, .verify = true };
	int rc;

	(void)scope;
	r->v4 = r->v6 = true;
	r->zone = STR("default");
	for (unsigned w = 1; w < node->n; w++) {
		rc = set_param(cf, node, w, &rd);
		if (rc == WEIR_AGAIN)
			rc = add_server(cf, node, w, &rd.servers);
		if (rc != WEIR_OK)
			return rc;
	}
	if (!r->v4 && !r->v6)
		return conf_error(cf, node, 0, "ipv4 and ipv6 cannot both be off");
	rc = rd.https.n != 0 ? use_https(cf, node, &rd) : use_servers(cf, node, &rd);
	if (rc != WEIR_OK)
		return rc;
	declare(cf, r);
	c->r = r;
	return WEIR_OK;
}

/* A place that has another resolver_negative_ttl than its resolver's gets one of its own. */
static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct resolver_conf *c = conf;
	struct weir_resolver *r = c->r;

	if (r == NULL || r->none_ms == c->none_ms)
		return WEIR_OK;
	if (!conf_set_here(scope, &resolver_module, "resolver")) {
		c->r = pool_dup(cf->pool, r, sizeof *r);
		declare(cf, c->r);
	}
	c->r->none_ms = c->none_ms;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "resolver", IN_HTTP_ANY | IN_UPSTREAM | IN_STREAM_ANY | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_resolver,
	  .args = "address ... | https://host[:port]/path [bootstrap=address ...] ... [trusted_certificate=file] [verify=on|off] "
	  "[valid=time] [stale=time] [ipv4=on|off] [ipv6=on|off] [tcp=on|off] [status_zone=name]",
	  .doc = "Name servers that resolve names which are known only when a request is there: proxy_pass with "
	  "variables, and servers of an upstream with resolve.  Answers are kept as long as their TTL says, or for the time "
	  "of valid=.  All servers are asked in turn until one answers; one that did not is asked last for a while.  Questions "
	  "go by UDP, and by TCP when the answer is too long for that, or always with tcp=on.  With stale= the last "
	  "addresses of a name are used for that time after their end, as long as no server answers.  status_zone is the "
	  "name by which it is counted in metrics.  A URL is a server that is asked by DNS over HTTPS (RFC 8484), with HTTP/2 or "
	  "1.1, by POST; the path is /dns-query unless it is given.  bootstrap= has the addresses of the server whose URL stands "
	  "before it; without that its name is looked up when the configuration is read.  Its certificate must be one that "
	  "the system trusts, or that the file of trusted_certificate= has signed, unless verify is off." },
	{ "resolver_timeout", IN_HTTP_ANY | IN_UPSTREAM | IN_STREAM_ANY | IN_STREAM_UPSTREAM, CONF_MSEC, CONF_AT(resolver_conf, timeout_ms), .def = "30s", .min = 1,
	  .doc = "How long a request waits for a name." },
	{ "resolver_negative_ttl", IN_HTTP_ANY | IN_UPSTREAM | IN_STREAM_ANY | IN_STREAM_UPSTREAM, CONF_MSEC, CONF_AT(resolver_conf, none_ms), .def = "5s",
	  .doc = "How long an answer that there is no such name, or that it has no addresses, is believed at most.  "
	  "It is believed for a shorter time when the zone of the name (the TTL of its SOA record, and the minimum in it) or "
	  "valid= says so, and for 5 seconds when the answer has no SOA record.  0: it is not kept." },
	{ 0 }
};

const struct weir_module resolver_module = {
	.name = "resolver", .index = &index_, .conf_size = sizeof(struct resolver_conf),
	.cmds = cmds, .ready = ready, .metrics = rows,
	.doc = "Names that are resolved while the server runs.",
};
