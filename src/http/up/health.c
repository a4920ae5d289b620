/*
 * health.c - health_check and match.
 *
 * In a location the check is about the group that the location passes to, in the way in which it passes requests:
 * version, TLS, fields that do not depend on requests.  In an upstream block it is about that group, by HTTP/1.1
 * unless it says otherwise, and what proxy_ssl_* say in http counts.
 */
#include "core/peer/tls_conf.h"
#include "core/proc/cycle.h"
#include "core/proc/keeper.h"
#include "http/up/health.h"

struct checks {				/* of a configuration */
	struct weir_keeper_job job;
	struct weir_checks list;
};

struct upstream_health_conf {
	struct checks	*checks;
	struct { struct weir_node **v; unsigned n, room; } written;	/* here */
	const struct weir_scope *claimed;	/* the place whose checks have found their group */
};

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
	return ((struct upstream_health_conf *)cf->main->conf[index_])->checks;
}

static int
set_check(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct upstream_health_conf *c = conf;

	(void)s;
	*POOL_PUSH(cf->pool, &c->written) = n;
	return WEIR_OK;
}

static int
set_match(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct weir_match *m = checks_match(cf, &checks_of(cf)->list, n);

	(void)s, (void)conf;
	if (m == NULL)
		return WEIR_FAIL;
	m->what = up_match_parse(cf, n);
	return m->what != NULL ? WEIR_OK : WEIR_FAIL;
}

static struct up_check *
check_new(struct weir_conf *cf, struct weir_health *h, const struct weir_up_params *up)
{
	struct up_check *c = POOL_NEW(cf->pool, up_check);

	c->up = up;
	h->judge = c;
	return c;
}

/* In an upstream block. */
static int
take_group(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n)
{
	static const struct weir_probe_kind *const kinds[] = { &probe_http, &probe_h2, &probe_grpc, &probe_tcp, &probe_tls,
		NULL };
	struct weir_group *g = s->owner;
	struct weir_health *h = health_parse(cf, n, kinds, false, HEALTH_TIMEOUT_MS);

	if (h == NULL)
		return WEIR_FAIL;
	check_new(cf, h, NULL);
	h->host = g->name;
	h->tls = &proxy_ssl_module;
	return checks_add(cf, s, &checks_of(cf)->list, h, g);
}

/* In a location. */
static int
take_place(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, const struct weir_up_conf *up,
    const struct weir_up_kind *k)
{
	static const struct weir_probe_kind *const http[] = { &probe_http, &probe_h2, &probe_grpc, &probe_tcp, &probe_tls, NULL },
	    *const h2[] = { &probe_h2, &probe_http, &probe_grpc, &probe_tcp, &probe_tls, NULL },
	    *const grpc[] = { &probe_grpc, &probe_h2, &probe_http, &probe_tcp, &probe_tls, NULL };
	bool is_grpc = str_eq(str_c(k->pass), STR("grpc_pass"));
	struct weir_health *h;

	if (up->pass.group == NULL)
		return conf_error(cf, n, 0, "%s has variables: nobody knows which group is to be checked", k->pass);
	h = health_parse(cf, n, is_grpc ? grpc : up->up.http_version >= 0x200 ? h2 : http, up->pass.secure,
	    HEALTH_TIMEOUT_MS);
	if (h == NULL)
		return WEIR_FAIL;
	check_new(cf, h, &up->up);
	h->host = up->pass.host;
	h->tls = k->tls;
	h->preface = up->up.preface.version;
	return checks_add(cf, s, &checks_of(cf)->list, h, up->pass.group);
}

int
up_health_claim(struct weir_conf *cf, struct weir_scope *s, const struct weir_up_conf *up, const struct weir_up_kind *k)
{
	struct upstream_health_conf *c;

	if (s->in != IN_LOCATION || !up->pass.given || !conf_is_own(s, &upstream_health_module))
		return WEIR_OK;
	c = conf_of(s, &upstream_health_module);
	c->claimed = s;
	for (unsigned i = 0; i < c->written.n; i++)
		if (take_place(cf, s, c->written.v[i], up, k) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct upstream_health_conf *c = conf;

	if (s->in == IN_MAIN)
		c->checks = POOL_NEW(cf->pool, checks);
	for (unsigned i = 0; s->in == IN_UPSTREAM && i < c->written.n; i++)
		if (take_group(cf, s, c->written.v[i]) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

/* ---- when all is known ---- */

static int
settle_match(struct weir_conf *cf, struct weir_health *h, bool http)
{
	struct up_check *c = (struct up_check *)(uintptr_t)h->judge;
	struct weir_match *found = checks_find(cf, &checks_of(cf)->list, h);
	const struct up_match *m;

	if (found == NULL)
		return WEIR_FAIL;
	m = found->what;
	if (http && up_match_bytes(m) != NULL)
		return conf_error(cf, h->node, 0, "match \"%.*s\" has send or expect, which are for types tcp and tls",
		    STR_ARG(h->match));
	if (!http && up_match_is_http(m))
		return conf_error(cf, h->node, 0, "match \"%.*s\" has conditions for HTTP, and the type is %s", STR_ARG(h->match),
		    h->kind->name);
	c->match = m;
	h->expect = up_match_bytes(m);
	return WEIR_OK;
}

/* Words that say nothing for this type. */
static int
check_words(struct weir_conf *cf, const struct weir_health *h, bool http)
{
	bool grpc = h->kind == &probe_grpc;

	if (h->uri.n != 0 && (!http || grpc))
		return conf_error(cf, h->node, 0, "\"uri\" has no meaning with type %s", h->kind->name);
	if (h->match.n != 0 && grpc)
		return conf_error(cf, h->node, 0, "\"match\" has no meaning with type grpc");
	if ((h->service.n != 0 || h->grpc_status != 0) && !grpc)
		return conf_error(cf, h->node, 0, "\"%s\" has no meaning with type %s", h->service.n != 0 ? "grpc_service" :
		    "grpc_status", h->kind->name);
	if (h->keepalive_ms != 0 && !http)
		return conf_error(cf, h->node, 0, "\"keepalive_time\" has no meaning with type %s", h->kind->name);
	return WEIR_OK;
}

static int
settle(struct weir_conf *cf, struct weir_health *h, struct weir_group *g)
{
	bool http = h->kind == &probe_http || h->kind == &probe_h2 || h->kind == &probe_grpc;

	if (check_words(cf, h, http) != WEIR_OK || health_join(cf, h, g) != WEIR_OK)
		return WEIR_FAIL;
	if (h->uri.n == 0)
		h->uri = STR("/");
	return h->match.n != 0 ? settle_match(cf, h, http) : WEIR_OK;
}

static int
settle_all(struct weir_conf *cf, struct checks *c)
{
	int r = WEIR_OK;

	for (unsigned i = 0; i < c->list.all.n; i++)
		if (settle(cf, c->list.all.v[i], c->list.groups.v[i]) != WEIR_OK)
			r = WEIR_FAIL;
	if (r == WEIR_OK)
		checks_unused(cf, &c->list);
	c->job = (struct weir_keeper_job){ .name = "health checks", .fn = begin };
	if (r == WEIR_OK && c->list.all.n != 0)
		keeper_add(cycle_of(cf), &c->job);
	return r;
}

static int
done(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct upstream_health_conf *c = conf;

	if (s->in == IN_MAIN)
		return settle_all(cf, c->checks);
	if (s->in == IN_LOCATION && c->written.n != 0 && c->claimed != s)
		return conf_error(cf, c->written.v[0], 0, "there is no proxy_pass or grpc_pass here that says which group is "
		    "to be checked");
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "health_check", IN_LOCATION | IN_UPSTREAM, CONF_CUSTOM, CONF_AT(upstream_health_conf, written),
	  .args_max = CONF_ANY, .set = set_check, .flags = CONF_MULTI | CONF_NOINHERIT,
	  .args = "[interval=time] [jitter=time] [timeout=time] [fails=n] [passes=n] [uri=uri] [match=name] [port=n] "
	  "[type=http|h2|grpc|tcp|tls] [ssl] [mandatory [persistent]] [keepalive_time=time] [grpc_service=name] [grpc_status=n]",
	  .doc = "The servers of a group with a zone are asked how they are, by one process for all workers, every interval "
	  "(5s), up to jitter (0) later, and have timeout (5s) for their answer.  Who fails as often as fails (1) says in a row is "
	  "not given requests until it has passed as often as passes (1) says in a row; then it has its slow_start.  With mandatory "
	  "it is not given any before it has passed once, after a reload either, unless persistent.  In a location the "
	  "group of proxy_pass or grpc_pass is meant, and servers are asked as requests are passed: over TLS or not, by "
	  "proxy_http_version, after a PROXY header where proxy_protocol wants one, with those fields of proxy_set_header that have no "
	  "variables.  In upstream they are asked by HTTP/1.1, "
	  "with ssl over TLS.  type http and h2 ask for uri (/), and want a status of 200 to 399, or what match says; grpc calls "
	  "grpc.health.v1.Health/Check for grpc_service, and wants SERVING or, when that is not 0, grpc_status; tcp and tls "
	  "connect, and send and expect what match says.  port (the server's own) is asked instead.  With keepalive_time "
	  "a connection is used again for so long.  Several checks of a group must all be passed." },
	{ "match", IN_HTTP, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_match,
	  .flags = CONF_RAW | CONF_MULTI, .args = "name { ... }",
	  .doc = "What answers to health_check must be like.  status [!] code|code-code ...; header name; header ! name; "
	  "header name =|!=|~|~*|!~|!~* value; body ~|~*|!~|!~* regex, of which the first 256k are looked at.  For the types tcp "
	  "and tls: send text; expect text, which must be somewhere in the answer; expect ~|~* regex.  \\x and two digits are a "
	  "byte in their texts.  All lines must hold." },
	{ 0 }
};

const struct weir_module upstream_health_module = {
	.name = "upstream_health", .index = &index_, .conf_size = sizeof(struct upstream_health_conf),
	.cmds = cmds, .ready = ready, .done = done,
	.doc = "Servers are asked how they are.",
};
