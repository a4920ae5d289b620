/*
 * server_conf.c - a server of an upstream block: its address, and what the line says of it.
 */
#include "core/peer/resolve.h"
#include "core/peer/server_conf.h"

enum { PRIORITY_MAX = PRIORITY_BACKUP - 1, WARM_MIN = 10 };

bool
server_in_stream(const struct weir_scope *s)
{
	return (s->in & (IN_STREAM | IN_STREAM_SERVER | IN_STREAM_UPSTREAM)) != 0;
}

/* Of servers that say none. */
static unsigned
default_port(const struct weir_scope *s)
{
	return server_in_stream(s) ? 0 : 80;
}

void
server_fill(struct weir_pool *pool, struct weir_peer *p, const struct weir_addr *a, struct weir_str name)
{
	char text[ADDR_TEXT_MAX];

	p->addr = *a;
	p->name = name;
	p->text = pool_str(pool, str_of(text, addr_put(text, a)));
	p->weight = 1;
	p->priority = 1;
	p->max_fails = 1;
	p->fail_timeout_ms = 10000;
	p->warm_min = WARM_MIN;
}

/* A name that has no addresses now: an address where nobody can be, for a server that is down. */
static struct weir_addr *
nowhere(struct weir_conf *cf, unsigned port)
{
	struct weir_addr *a = POOL_NEW(cf->pool, weir_addr);

	a->in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = INADDR_BROADCAST };
	addr_set_port(a, port);
	return a;
}

struct weir_addr *
server_addrs(struct weir_conf *cf, const struct weir_node *n, struct weir_str s, unsigned port, unsigned *count,
    struct server_late **late)
{
	struct weir_addr *a = POOL_NEW(cf->pool, weir_addr);
	struct weir_str host;
	unsigned real_port = port;
	const char *err = NULL;
	int r = addr_parse(cf->pool, s, port, a, &host, &real_port);

	*count = 1;
	if (r == WEIR_OK && !(a->sa.sa_family == AF_UNIX && a->path[0] == '\0'))
		return a;
	if (r == WEIR_FAIL && port == 0 && addr_lacks_port(cf->pool, s)) {
		conf_error(cf, n, 1, "no port in upstream \"%.*s\"", STR_ARG(s));
		return NULL;
	}
	if (r != WEIR_AGAIN) {
		conf_error(cf, n, 1, "invalid address \"%.*s\"", STR_ARG(s));
		return NULL;
	}
	a = addr_lookup(cf->pool, host, real_port, count, &err);
	if ((a == NULL || *count == 0) && late != NULL) {
		*count = 1;
		*late = POOL_NEW(cf->pool, server_late);
		**late = (struct server_late){ .node = n, .host = host, .port = real_port, .err = err };
		return nowhere(cf, real_port);
	}
	if (a == NULL || *count == 0) {
		conf_error(cf, n, 1, "host not found in upstream \"%.*s\"%s%s", STR_ARG(host),
		    err != NULL ? ": " : "", err != NULL ? err : "");
		return NULL;
	}
	return a;
}

/* ---- parameters ---- */

static int
set_count(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, int64_t min, int64_t max,
    unsigned *to)
{
	uint64_t num;

	if (conf_u64(cf, n, w, v, min, max, &num) != WEIR_OK)
		return WEIR_FAIL;
	*to = (unsigned)num;
	return WEIR_OK;
}

static int
set_warm_min(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, unsigned *to)
{
	if (v.n < 2 || v.p[v.n - 1] != '%')
		return conf_error(cf, n, w, "a share is written as a number from 1 to 100 and %%");
	return set_count(cf, n, w, str_of(v.p, v.n - 1), 1, 100, to);
}

static int
set_route(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, struct weir_peer *p,
    const struct weir_group *g)
{
	if (g->in_stream)
		return conf_error(cf, n, w, "route has no meaning in stream: nothing sticks there");
	if (v.n == 0)
		return conf_error(cf, n, w, "route is empty");
	if (v.n > ROUTE_MAX)
		return conf_error(cf, n, w, "route is longer than %d", ROUTE_MAX);
	p->route = v;
	return WEIR_OK;
}

/* The parameters with a value: WEIR_AGAIN when it is none of them. */
static int
server_value(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_peer *p,
    const struct weir_group *g)
{
	struct weir_str v;

	if (conf_param(n, w, "weight", &v))
		return set_count(cf, n, w, v, 1, 65535, &p->weight);
	if (conf_param(n, w, "max_fails", &v))
		return set_count(cf, n, w, v, 0, 1000000, &p->max_fails);
	if (conf_param(n, w, "max_conns", &v))
		return set_count(cf, n, w, v, 0, 1000000, &p->max_conns);
	if (conf_param(n, w, "fail_timeout", &v))
		return conf_msec(cf, n, w, v, &p->fail_timeout_ms);
	if (conf_param(n, w, "slow_start", &v))
		return conf_msec(cf, n, w, v, &p->warm_ms);
	if (conf_param(n, w, "slow_start_min", &v))
		return set_warm_min(cf, n, w, v, &p->warm_min);
	if (conf_param(n, w, "priority", &v))
		return set_count(cf, n, w, v, 1, PRIORITY_MAX, &p->priority);
	if (conf_param(n, w, "route", &v))
		return set_route(cf, n, w, v, p, g);
	if (conf_param(n, w, "service", &v))
		return WEIR_OK;		/* it was looked at before */
	return WEIR_AGAIN;
}

static int
server_word(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_peer *p,
    const struct weir_group *g)
{
	static const char *const known[] = { "weight=", "max_fails=", "fail_timeout=", "max_conns=",
		"down", "backup", "drain", "resolve", "service=", "slow_start=", "slow_start_min=", "priority=", "route=", NULL };

	if (str_eq(n->w[w].s, STR("down"))) {
		p->down = true;
	} else if (str_eq(n->w[w].s, STR("drain"))) {
		p->drain = true;
	} else if (str_eq(n->w[w].s, STR("resolve"))) {
		return WEIR_OK;		/* it was looked at before */
	} else if (str_eq(n->w[w].s, STR("backup"))) {
		if (g->balancer != NULL && g->balancer->no_backup)
			return conf_error(cf, n, w, "balancing method does not support parameter \"backup\"");
		p->backup = true;
	} else {
		return conf_bad_param(cf, n, w, known);
	}
	return WEIR_OK;
}

static int
server_params(struct weir_conf *cf, struct weir_node *n, struct weir_peer *p, const struct weir_group *g)
{
	for (unsigned w = 2; w < n->n; w++) {
		int r = server_value(cf, n, w, p, g);

		if (r == WEIR_AGAIN)
			r = server_word(cf, n, w, p, g);
		if (r != WEIR_OK)
			return WEIR_FAIL;
	}
	if (p->backup)
		p->priority = PRIORITY_BACKUP;
	return WEIR_OK;
}

bool
server_resolves(const struct weir_node *n)
{
	for (unsigned w = 2; w < n->n; w++)
		if (str_eq(n->w[w].s, STR("resolve")))
			return true;
	return false;
}

static int
set_service(struct weir_conf *cf, struct weir_node *n, struct weir_resolve *r)
{
	struct weir_str v = STR_NONE;

	for (unsigned w = 2; w < n->n; w++) {
		if (!conf_param(n, w, "service", &v))
			continue;
		if (v.n == 0)
			return conf_error(cf, n, w, "service is empty");
		if (r->name.n != n->w[1].s.n)
			return conf_error(cf, n, 1, "service upstream \"%.*s\" may not have port",
			    STR_ARG(n->w[1].s));
		resolve_service(cf, r, v);
	}
	return WEIR_OK;
}

static bool
says_service(const struct weir_node *n)
{
	struct weir_str v;

	for (unsigned w = 2; w < n->n; w++)
		if (conf_param(n, w, "service", &v))
			return true;
	return false;
}

static void
add_places(struct weir_conf *cf, struct server_list *servers, const struct weir_peer *like)
{
	for (unsigned i = 0; i < RESOLVE_PLACES; i++) {
		struct weir_peer *p = POOL_PUSH(cf->pool, servers);

		*p = *like;
		resolve_make_room(cf, like->resolve, p);
	}
}

/* A name that is asked for while the server runs: WEIR_AGAIN when it is none, but an address. */
static int
add_resolved(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, struct server_list *servers)
{
	struct weir_resolve *r = POOL_NEW(cf->pool, weir_resolve);
	struct weir_peer like = { 0 };
	struct weir_addr a;

	r->port = says_service(n) ? 80 : default_port(s);	/* of a service, records tell it */
	if (addr_parse(cf->pool, n->w[1].s, r->port, &a, &r->name, &r->port) != WEIR_AGAIN)
		return WEIR_AGAIN;
	r->group = s->owner;
	if (set_service(cf, n, r) != WEIR_OK)
		return WEIR_FAIL;
	like.resolve = r;
	server_fill(cf->pool, &like, &(struct weir_addr){ .sa.sa_family = AF_INET }, n->w[1].s);
	if (server_params(cf, n, &like, s->owner) != WEIR_OK)
		return WEIR_FAIL;
	r->priority = like.priority;
	r->next = r->group->resolves;
	r->group->resolves = r;
	add_places(cf, servers, &like);
	r->spares = r->service.n != 0 && !like.backup &&
	    (r->group->balancer == NULL || !r->group->balancer->no_backup);
	if (r->spares) {
		like.backup = true;
		like.priority = PRIORITY_BACKUP;
		add_places(cf, servers, &like);
	}
	return WEIR_OK;
}

int
server_read(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, struct server_list *servers)
{
	struct weir_peer like;
	struct server_late *late = NULL;
	struct weir_addr *a;
	struct weir_str v;
	unsigned count;

	if (server_resolves(n)) {
		int r = add_resolved(cf, s, n, servers);

		if (r != WEIR_AGAIN)
			return r;
	}
	for (unsigned w = 2; w < n->n; w++)
		if (conf_param(n, w, "service", &v))
			return conf_error(cf, n, w, "service upstream \"%.*s\" requires \"resolve\" and a domain "
			    "name", STR_ARG(n->w[1].s));
	memset(&like, 0, sizeof like);
	a = server_addrs(cf, n, n->w[1].s, default_port(s), &count, &late);
	if (a == NULL)
		return WEIR_FAIL;
	server_fill(cf->pool, &like, a, n->w[1].s);
	if (server_params(cf, n, &like, s->owner) != WEIR_OK)
		return WEIR_FAIL;
	if (late != NULL) {
		late->at = servers->n;
		late->next = servers->lates;
		servers->lates = late;
	}
	for (unsigned i = 0; i < count; i++) {
		struct weir_peer *p = POOL_PUSH(cf->pool, servers);
		char text[ADDR_TEXT_MAX];

		*p = like;
		p->addr = a[i];
		p->text = late != NULL ? p->name : pool_str(cf->pool, str_of(text, addr_put(text, &a[i])));
	}
	return WEIR_OK;
}

static struct server_late *
late_at(const struct server_list *l, unsigned i)
{
	for (struct server_late *late = l->lates; late != NULL; late = late->next)
		if (late->at == i)
			return late;
	return NULL;
}

/* The places of its name take the place of the one peer. */
static void
make_resolved(struct weir_conf *cf, struct weir_group *g, const struct server_late *late, const struct weir_peer *p,
    struct server_list *to)
{
	struct weir_resolve *r = POOL_NEW(cf->pool, weir_resolve);
	struct weir_peer like = *p;

	r->group = g;
	r->name = late->host;
	r->port = late->port;
	r->priority = like.priority;
	r->next = g->resolves;
	g->resolves = r;
	like.resolve = r;
	add_places(cf, to, &like);
}

void
server_settle_late(struct weir_conf *cf, struct weir_scope *s, struct server_list *servers, bool resolves)
{
	struct server_list all = { 0 };

	if (servers->lates == NULL)
		return;
	for (unsigned i = 0; i < servers->n; i++) {
		const struct server_late *late = late_at(servers, i);

		if (late != NULL)
			conf_warn(cf, late->node, 1, "host not found in upstream \"%.*s\"%s%s: %s", STR_ARG(late->host),
			    late->err != NULL ? ": " : "", late->err != NULL ? late->err : "", resolves ?
			    "it is asked for while the server runs" :
			    "it is down until the next reload, or give the upstream a zone and a resolver, or say \"resolve\"");
		if (late != NULL && resolves) {
			make_resolved(cf, s->owner, late, &servers->v[i], &all);
			continue;
		}
		servers->v[i].down |= late != NULL;
		*POOL_PUSH(cf->pool, &all) = servers->v[i];
	}
	*servers = all;
}
