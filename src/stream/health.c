/*
 * health.c - health_check, match and health_check_timeout in stream.
 *
 * In a server the check is about the group that its proxy_pass names, over TLS when proxy_ssl is on, after a PROXY header
 * where proxy_protocol wants one.  In an upstream block it is about that group.
 */
#include "core/peer/health.h"
#include "core/peer/tls_conf.h"
#include "core/proc/keeper.h"
#include "stream/up.h"

struct checks {				/* of a configuration */
	struct weir_keeper_job job;
	struct weir_checks list;
};

struct health_conf {
	struct checks	*checks;
	uint64_t	 timeout_ms;	/* health_check_timeout */
	struct { struct weir_node **v; unsigned n, room; } written;	/* here */
};

extern const struct weir_module stream_health_module;
static unsigned index_;

/* ---- in the keeper ---- */

static void
begin(struct weir_keeper_job *job)
{
	const struct checks *c = WEIR_OF(job, struct checks, job);

	checks_start(&c->list);
}

/* ---- where it stands ---- */

static struct checks *
checks_of(struct weir_conf *cf)
{
	return ((struct health_conf *)cf->main->conf[index_])->checks;
}

static int
set_check(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct health_conf *c = conf;

	(void)scope;
	*POOL_PUSH(cf->pool, &c->written) = node;
	return WEIR_OK;
}

static int
set_match(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct weir_match *m = checks_match(cf, &checks_of(cf)->list, node);

	(void)scope, (void)conf;
	if (m == NULL)
		return WEIR_FAIL;
	m->what = POOL_NEW(cf->pool, weir_expect);
	if (node->child == NULL)
		return conf_error(cf, node, 0, "it has no conditions");
	for (const struct weir_node *n = node->child; n != NULL; n = n->next)
		switch (expect_line(cf, n, m->what)) {
		case WEIR_AGAIN:
			return conf_error(cf, n, 0, "unknown condition \"%.*s\": there are send and expect",
			    STR_ARG(n->w[0].s));
		case WEIR_FAIL:
			return WEIR_FAIL;
		}
	return WEIR_OK;
}

/* What says nothing about bytes. */
static int
check_words(struct weir_conf *cf, const struct weir_health *h)
{
	const char *word = h->uri.n != 0 ? "uri" : h->keepalive_ms != 0 ? "keepalive_time" :
	    h->service.n != 0 ? "grpc_service" : h->grpc_status != 0 ? "grpc_status" : NULL;

	return word == NULL ? WEIR_OK : conf_error(cf, h->node, 0, "\"%s\" has no meaning with type %s", word, h->kind->name);
}

/* `p`: of the server; NULL: it stands in the group's own block. */
static int
take(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, const struct weir_stream_params *p)
{
	static const struct weir_probe_kind *const kinds[] = { &probe_tcp, &probe_tls, &probe_udp, NULL };
	const struct health_conf *here = conf_of(scope, &stream_health_module);
	struct weir_group *g = p != NULL ? p->group : scope->owner;
	struct weir_health *h = health_parse(cf, node, kinds, p != NULL && p->ssl, here->timeout_ms);

	if (h == NULL || check_words(cf, h) != WEIR_OK)
		return WEIR_FAIL;
	h->host = p != NULL ? p->host : g->name;
	h->preface = p != NULL ? p->preface.version : 0;
	h->tls = &proxy_ssl_module;
	return checks_add(cf, scope, &checks_of(cf)->list, h, g);
}

static int
take_server(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node)
{
	const struct weir_stream_params *p = conf_of(scope, &stream_proxy_module);

	if (!p->given)
		return conf_error(cf, node, 0, "there is no proxy_pass here that says which group is to be checked");
	if (p->group == NULL)
		return conf_error(cf, node, 0, "proxy_pass has variables: nobody knows which group is to be checked");
	return take(cf, scope, node, p);
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct health_conf *c = conf;

	if (scope->in == IN_MAIN)
		c->checks = POOL_NEW(cf->pool, checks);
	for (unsigned i = 0; i < c->written.n; i++)
		if ((scope->in == IN_STREAM_SERVER && take_server(cf, scope, c->written.v[i]) != WEIR_OK) ||
		    (scope->in == IN_STREAM_UPSTREAM && take(cf, scope, c->written.v[i], NULL) != WEIR_OK))
			return WEIR_FAIL;
	return WEIR_OK;
}

/* ---- when all is known ---- */

static int
settle_match(struct weir_conf *cf, struct weir_health *h)
{
	struct weir_match *m = checks_find(cf, &checks_of(cf)->list, h);

	if (m == NULL)
		return WEIR_FAIL;
	h->expect = m->what;
	return WEIR_OK;
}

static int
done(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct checks *c = ((struct health_conf *)conf)->checks;
	int r = WEIR_OK;

	if (scope->in != IN_MAIN)
		return WEIR_OK;
	for (unsigned i = 0; i < c->list.all.n; i++) {
		struct weir_health *h = c->list.all.v[i];

		if (health_join(cf, h, c->list.groups.v[i]) != WEIR_OK || (h->match.n != 0 && settle_match(cf, h) != WEIR_OK))
			r = WEIR_FAIL;
	}
	if (r == WEIR_OK)
		checks_unused(cf, &c->list);
	c->job = (struct weir_keeper_job){ .name = "health checks of stream", .fn = begin };
	if (r == WEIR_OK && c->list.all.n != 0)
		keeper_add(cycle_of(cf), &c->job);
	return r;
}

static const struct weir_cmd cmds[] = {
	{ "health_check", IN_STREAM_SERVER | IN_STREAM_UPSTREAM, CONF_CUSTOM, CONF_AT(health_conf, written),
	  .args_max = CONF_ANY, .set = set_check, .flags = CONF_MULTI | CONF_NOINHERIT,
	  .args = "[interval=time] [jitter=time] [timeout=time] [fails=n] [passes=n] [match=name] [port=n] [type=tcp|tls|udp] [ssl] [udp] "
	  "[mandatory [persistent]]",
	  .doc = "The servers of a group with a zone are asked how they are, as health_check of http has it.  In a server the group "
	  "of proxy_pass is meant, and servers are asked over TLS when proxy_ssl is on, after a PROXY header where proxy_protocol "
	  "wants one; in upstream with ssl, or type=tls.  Without match it is enough that they can be connected to.  "
	  "With udp, or type=udp, they get a datagram, \"weir health check\" or what match says; who refuses it (ICMP), or does not "
	  "answer what match expects within timeout, fails, and who says nothing, and need not, has passed when timeout is over." },
	{ "health_check_timeout", IN_STREAM | IN_STREAM_SERVER, CONF_MSEC, CONF_AT(health_conf, timeout_ms), .def = "5s", .min = 1,
	  .doc = "How long answers to health_check may take that does not say it by timeout." },
	{ "match", IN_STREAM, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_match, .flags = CONF_RAW | CONF_MULTI,
	  .args = "name { ... }",
	  .doc = "What answers to health_check must be like.  send text; expect text, which must be somewhere in the answer; expect "
	  "~|~* regex.  \\x and two digits are a byte in the texts." },
	{ 0 }
};

const struct weir_module stream_health_module = {
	.name = "stream_health", .index = &index_, .conf_size = sizeof(struct health_conf),
	.cmds = cmds, .ready = ready, .done = done,
	.doc = "Servers of stream are asked how they are.",
};
