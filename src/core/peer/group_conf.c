/*
 * group_conf.c - the upstream block, and groups that a proxy_pass makes by itself.
 */
#include <limits.h>

#include "core/peer/breaker.h"
#include "core/peer/resolve.h"
#include "core/peer/server_conf.h"
#include "core/peer/share.h"

struct upstream_conf {			/* the module's struct: of an upstream block */
	struct groups	*groups;	/* of http, and behind them of stream */
	struct server_list servers;
	uint64_t	 keepalive_ms, keepalive_time_ms;
	int64_t		 keepalive, keepalive_requests;
};

/* A name that was used before any upstream block of that name: settled at the end. */
struct pending {
	struct pending	*next;
	struct weir_group *group;
	const struct weir_node *node;
	unsigned	 port;
};

/* A group that lies in a zone; a zone without a size is declared by another group. */
struct zoned {
	struct zoned	*next;
	struct weir_group *group;
	const struct weir_node *node;
	uint64_t	 size;
	unsigned	 spares;
};

/* The groups of http or stream in one configuration; every struct of the module points at both. */
enum { OF_HTTP, OF_STREAM, N_GROUPS };

struct groups {
	struct weir_hash byname;
	struct pending	*pendings;
	struct zoned	*zoneds;
	bool		 changes;	/* servers of groups with a zone may be changed at run time */
};

enum { DEFAULT_KEEPALIVE = 32, DEFAULT_REQUESTS = 1000 };

static unsigned index_;

static struct groups *
groups_all(struct weir_conf *cf)
{
	return ((struct upstream_conf *)cf->main->conf[index_])->groups;
}

static struct groups *
groups_of(struct weir_conf *cf, const struct weir_scope *s)
{
	return &groups_all(cf)[server_in_stream(s) ? OF_STREAM : OF_HTTP];
}

/* ---- groups ---- */

static int
set_server(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	return server_read(cf, s, n, &((struct upstream_conf *)conf)->servers);
}

int
group_server(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n)
{
	if (!str_eq(n->w[0].s, STR("server")) || n->block || n->n < 2)
		return conf_error(cf, n, 0, "only lines like \"server address;\" may stand here");
	if (server_resolves(n))
		return conf_error(cf, n, 1, "names that are resolved at run time stand in an upstream block: this file is "
		    "written with addresses");
	return set_server(cf, s, n, conf_own(cf, s, &upstream_module));
}

static void
number_tiers(struct weir_group *g)
{
	struct weir_tier *t = g->tiers;

	for (unsigned i = 0; i < g->n; i++) {
		struct weir_peer *p = &g->peers[i];

		if (i != 0 && p->priority != p[-1].priority)
			*++t = (struct weir_tier){ .first = i };
		if (p->resolve != NULL && (i == 0 || p[-1].resolve != p->resolve || p[-1].priority != p->priority))
			resolve_begins(p, i);
		t->room++;
		if (!p->spare) {
			t->n = t->room;
			t->total += p->weight;
		}
		g->sums[i] = t->total;
		p->tier = (unsigned)(t - g->tiers);
		p->number = i;
		p->group = g;
	}
	g->n_tiers = (unsigned)(t - g->tiers) + 1;
}

/* The peers are there, by tier. */
static void
finish(struct weir_pool *pool, struct weir_group *g)
{
	unsigned n = 1;

	for (unsigned i = 1; i < g->n; i++)
		n += g->peers[i].priority != g->peers[i - 1].priority;
	g->tiers = n == 1 ? &g->whole : pool_zalloc(pool, n * sizeof *g->tiers);
	g->sums = pool_alloc(pool, g->n * sizeof *g->sums);
	number_tiers(g);
	g->moves |= g->resolves != NULL;
	if (g->balancer == NULL)
		g->balancer = &lb_round_robin;
	if (g->shared != NULL)
		return;
	g->block = pool_zalloc(pool, block_size(g, 0));
	block_init(g->block, g, 0);
}

/* The group that a proxy_pass above has made in the hope of this block. */
static struct weir_group *
claim(struct groups *gs, struct weir_str name)
{
	for (struct pending *p = gs->pendings; p != NULL; p = p->next)
		if (p->group->n == 0 && str_ieq(p->group->host, name))
			return p->group;
	return NULL;
}

static int
no_servers(struct weir_conf *cf, const struct weir_node *n)
{
	return conf_error(cf, n, 0, "no servers are inside upstream \"%.*s\"", STR_ARG(n->w[1].s));
}

static int
set_upstream(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct groups *gs = groups_of(cf, s);
	struct weir_hash *h = &gs->byname;
	struct weir_group *g = hash_get(h, n->w[1].s);
	struct weir_scope *inner;

	(void)conf;
	if (g != NULL)
		return conf_error(cf, n, 1, "duplicate upstream \"%.*s\", the first is at %s:%u",
		    STR_ARG(n->w[1].s), g->node->file->path, g->node->w[0].line);
	g = claim(gs, n->w[1].s);
	if (g == NULL)
		g = POOL_NEW(cf->pool, weir_group);
	g->name = g->host = n->w[1].s;
	g->node = n;
	g->in_stream = server_in_stream(s);
	hash_put(h, g->name, g);
	inner = conf_block(cf, s, n, server_in_stream(s) ? IN_STREAM_UPSTREAM : IN_UPSTREAM, g);
	if (inner == NULL)
		return WEIR_FAIL;
	/* done() is not called for a block without anything of this module. */
	if (!conf_is_own(inner, &upstream_module))
		return no_servers(cf, n);
	return WEIR_OK;
}

int
group_get(struct weir_conf *cf, const struct weir_scope *s, const struct weir_node *n, struct weir_str host,
    unsigned port, struct weir_group **to)
{
	struct groups *gs = groups_of(cf, s);
	struct weir_hash *h = &gs->byname;
	struct weir_group *g = hash_get(h, host);
	struct pending *p;
	struct weir_str key;

	if (g != NULL && g->node != NULL) {
		*to = g;
		return WEIR_OK;
	}
	/* without a name: a group of its own for each host and port */
	key = pool_printf(cf->pool, "%.*s|%u", STR_ARG(host), port);
	g = hash_get(h, key);
	if (g != NULL) {
		*to = g;
		return WEIR_OK;
	}
	g = POOL_NEW(cf->pool, weir_group);
	g->name = g->host = host;
	hash_put(h, key, g);
	p = POOL_NEW(cf->pool, pending);
	*p = (struct pending){ gs->pendings, g, n, port };
	gs->pendings = p;
	*to = g;
	return WEIR_OK;
}

/* No block came: it is a host. */
static int
settle(struct weir_conf *cf, struct pending *p)
{
	struct weir_group *g = p->group;
	struct weir_addr *a;
	unsigned count;

	if (g->node != NULL || g->n != 0)
		return WEIR_OK;
	a = server_addrs(cf, p->node, g->host, p->port, &count, NULL);
	if (a == NULL)
		return WEIR_FAIL;
	g->n = count;
	g->peers = pool_zalloc(cf->pool, count * sizeof *g->peers);
	for (unsigned i = 0; i < count; i++)
		server_fill(cf->pool, &g->peers[i], &a[i], g->host);
	g->keepalive = DEFAULT_KEEPALIVE;
	g->keepalive_requests = DEFAULT_REQUESTS;
	g->keepalive_ms = 60000;
	g->keepalive_time_ms = 3600000;
	finish(cf->pool, g);
	count_group(cf, g);
	return WEIR_OK;
}

static int
settle_all(struct weir_conf *cf)
{
	int r = WEIR_OK;

	for (unsigned i = 0; i < N_GROUPS; i++)
		for (struct pending *p = groups_all(cf)[i].pendings; p != NULL; p = p->next)
			if (settle(cf, p) != WEIR_OK)
				r = WEIR_FAIL;
	return r;
}

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct upstream_conf *c = conf;

	if (s->in != IN_MAIN)
		return WEIR_OK;
	c->groups = pool_zalloc(cf->pool, N_GROUPS * sizeof *c->groups);
	count_groups(cf);
	for (unsigned i = 0; i < N_GROUPS; i++)
		hash_init(&c->groups[i].byname, cf->pool, true);
	return WEIR_OK;
}

static bool
has_primary(const struct upstream_conf *u)
{
	for (unsigned i = 0; i < u->servers.n; i++)
		if (!u->servers.v[i].backup)
			return true;
	return false;
}

/* By priority, else as they were written. */
static void
sort_servers(struct weir_conf *cf, const struct upstream_conf *u, struct weir_group *g)
{
	struct weir_peer *to = g->peers = pool_alloc(cf->pool, u->servers.n * sizeof *g->peers);
	unsigned at = 0;

	g->n = u->servers.n;
	while (to < g->peers + g->n) {
		unsigned next = UINT_MAX;

		for (unsigned i = 0; i < g->n; i++) {
			unsigned priority = u->servers.v[i].priority;

			if (priority == at)
				*to++ = u->servers.v[i];
			else if (priority > at && priority < next)
				next = priority;
		}
		at = next;
	}
}

static int
check_group(struct weir_conf *cf, const struct weir_node *n, const struct weir_group *g)
{
	uint64_t sum = 0;
	bool warms = false;

	for (unsigned i = 0; i < g->n; i++) {
		sum += g->peers[i].weight;
		warms |= g->peers[i].warm_ms != 0;
	}
	if (warms && g->balancer != NULL && g->balancer->fixed)
		return conf_error(cf, n, 0, "slow_start has no meaning with \"%s\", which goes by fixed weights",
		    g->balancer->name);
	if (sum >= BLOCK_WEIGHTS / (warms ? 100 : 1))
		return conf_error(cf, n, 0, "the weights of upstream \"%.*s\" are too large: use smaller ones in "
		    "the same proportion", STR_ARG(g->name));
	return WEIR_OK;
}

/* Names need a resolver, and memory in which one worker tells the others. */
static int
check_resolves(struct weir_conf *cf, const struct weir_scope *s, struct weir_group *g)
{
	for (struct weir_resolve *r = g->resolves; r != NULL; r = r->next) {
		r->resolver = resolver_of(s->conf, &r->timeout_ms);
		if (r->resolver == NULL)
			return conf_error(cf, s->node, 0, "no resolver defined to resolve names at run time in "
			    "upstream \"%.*s\"", STR_ARG(g->name));
		if (conf_written(s, &upstream_module, "zone") == NULL)
			return conf_error(cf, s->node, 0, "resolving names at run time requires upstream \"%.*s\" "
			    "to be in shared memory: give it a zone", STR_ARG(g->name));
	}
	return WEIR_OK;
}

/* Behind those of the same tier, each with room for what it will be called. */
static struct weir_peer *
put_spares(struct weir_conf *cf, struct weir_peer *to, unsigned n, unsigned priority)
{
	for (; n > 0; n--, to++) {
		memset(to, 0, sizeof *to);
		server_fill(cf->pool, to, &(struct weir_addr){ .sa.sa_family = AF_INET }, STR_NONE);
		to->spare = true;
		to->priority = priority;
		to->backup = priority == PRIORITY_BACKUP;
		to->text = str_of(pool_zalloc(cf->pool, PLACE_NAME), 0);
		to->name = str_of(pool_zalloc(cf->pool, PLACE_NAME), 0);
		to->route = str_of(pool_zalloc(cf->pool, ROUTE_MAX), 0);
	}
	return to;
}

/* A quarter of them for backups. */
static void
add_spares(struct weir_conf *cf, struct weir_group *g, unsigned n)
{
	struct weir_peer *from = g->peers, *to, *end = g->peers + g->n;
	unsigned backups = g->balancer != NULL && g->balancer->no_backup ? 0 : n / 4;

	to = g->peers = pool_alloc(cf->pool, (g->n + n) * sizeof *g->peers);
	while (from < end && from->priority == 1)
		*to++ = *from++;
	to = put_spares(cf, to, n - backups, 1);
	while (from < end)
		*to++ = *from++;
	to = put_spares(cf, to, backups, PRIORITY_BACKUP);
	g->n += n;
	assert(to == g->peers + g->n);
}

/* The servers of a file are addresses. */
static bool
can_resolve(const struct weir_scope *s, const struct weir_group *g)
{
	uint64_t timeout_ms;

	return !g->may_be_empty && resolver_of(s->conf, &timeout_ms) != NULL &&
	    conf_written(s, &upstream_module, "zone") != NULL;
}

static int
settle_group(struct weir_conf *cf, struct weir_group *g)
{
	finish(cf->pool, g);
	count_group(cf, g);
	if (g->breaker != NULL)
		breaker_count(cf, g);
	return g->balancer->ready != NULL ? g->balancer->ready(cf, g) : WEIR_OK;
}

static int
set_drain_timeout(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	uint64_t *to = &((struct weir_group *)s->owner)->drain_ms;

	(void)conf;
	if (conf_msec(cf, n, 1, n->w[1].s, to) != WEIR_OK)
		return WEIR_FAIL;
	return *to != 0 ? WEIR_OK : conf_error(cf, n, 1, "a server that is to get nothing at once is \"down\"");
}

/* ---- zones ---- */

static int
set_zone(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct groups *gs = groups_all(cf);	/* those of both are with the first */
	struct zoned *z = POOL_NEW(cf->pool, zoned);

	(void)conf;
	if (n->w[1].s.n == 0)
		return conf_error(cf, n, 1, "invalid zone name \"\"");
	if (n->n > 2 && conf_size(cf, n, 2, n->w[2].s, &z->size) != WEIR_OK)
		return WEIR_FAIL;
	if (n->n > 2 && z->size < ZONE_SIZE_MIN)
		return conf_error(cf, n, 2, "zone \"%.*s\" is too small", STR_ARG(n->w[1].s));
	z->group = s->owner;
	z->node = n;
	z->next = gs->zoneds;
	gs->zoneds = z;
	return WEIR_OK;
}

static uint64_t
size_of(const struct groups *gs, struct weir_str name)
{
	for (const struct zoned *z = gs->zoneds; z != NULL; z = z->next)
		if (z->size != 0 && str_eq(z->node->w[1].s, name))
			return z->size;
	return 0;
}

void
group_allow_changes(struct weir_conf *cf)
{
	groups_all(cf)->changes = true;	/* zones are with the first */
}

static bool
is_filled(const struct weir_group *g)
{
	return g->n != 0 || g->may_be_empty;
}

static int
join_zone(struct weir_conf *cf, struct groups *gs, struct zoned *z)
{
	struct weir_str name = z->node->w[1].s;
	uint64_t size = z->size != 0 ? z->size : size_of(gs, name);
	struct weir_shared *sh;
	const char *why;

	if (size == 0)
		return conf_error(cf, z->node, 1, "zero size shared memory zone \"%.*s\": no upstream says its "
		    "size", STR_ARG(name));
	sh = share_declare(cf->zones, name, size, &why);
	if (sh == NULL)
		return conf_error(cf, z->node, 1, "%s", why);
	share_join(sh, z->group);
	return WEIR_OK;
}

static int
settle_zoned(struct weir_conf *cf, const struct groups *gs, struct zoned *z)
{
	struct weir_group *g = z->group;

	if (gs->changes) {
		g->moves = true;
		add_spares(cf, g, z->spares);
	}
	if (g->n == 0)
		return conf_error(cf, z->node, 1, "zone \"%.*s\" has no room for servers that come at run time",
		    STR_ARG(z->node->w[1].s));
	return settle_group(cf, g);
}

static int
join_zones(struct weir_conf *cf)
{
	struct groups *gs = groups_all(cf);
	const struct weir_group *most;
	int r = WEIR_OK;

	for (struct zoned *z = gs->zoneds; z != NULL; z = z->next)
		if (is_filled(z->group) && join_zone(cf, gs, z) != WEIR_OK)
			r = WEIR_FAIL;
	for (struct zoned *z = gs->zoneds; z != NULL && gs->changes; z = z->next)
		z->spares = z->group->shared != NULL ? share_spares(z->group->shared) : 0;
	for (struct zoned *z = gs->zoneds; z != NULL; z = z->next)
		if (z->group->shared != NULL && settle_zoned(cf, gs, z) != WEIR_OK)
			r = WEIR_FAIL;
	for (struct zoned *z = gs->zoneds; z != NULL; z = z->next)
		if (z->group->shared != NULL && share_check(z->group->shared, &most) != WEIR_OK)
			r = conf_error(cf, z->node, 1, "zone \"%.*s\" is too small for the servers of its "
			    "upstreams (%.*s has %u)", STR_ARG(z->node->w[1].s), STR_ARG(most->name), most->n);
	return r;
}

/* At the end of an upstream block: its servers become the group's. */
static int
done(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct upstream_conf *u = conf;
	struct weir_group *g = s->owner;

	if (s->in == IN_MAIN)
		return settle_all(cf) == WEIR_OK ? join_zones(cf) : WEIR_FAIL;
	if (!(s->in & (IN_UPSTREAM | IN_STREAM_UPSTREAM)))
		return WEIR_OK;
	if (!has_primary(u) && !g->may_be_empty)
		return no_servers(cf, s->node);
	server_settle_late(cf, s, &u->servers, can_resolve(s, g));
	sort_servers(cf, u, g);
	if (check_group(cf, s->node, g) != WEIR_OK || check_resolves(cf, s, g) != WEIR_OK)
		return WEIR_FAIL;
	g->keepalive = (unsigned)u->keepalive;
	g->keepalive_said = conf_written(s, &upstream_module, "keepalive") != NULL;
	g->keepalive_requests = (unsigned)u->keepalive_requests;
	g->keepalive_ms = u->keepalive_ms;
	g->keepalive_time_ms = u->keepalive_time_ms;
	if (conf_written(s, &upstream_module, "zone") != NULL)
		return WEIR_OK;		/* at the end, when all zones are known */
	return settle_group(cf, g);
}

static struct weir_group *
find(const struct groups *gs, struct weir_str name)
{
	struct weir_group *g = hash_get(&gs->byname, name);

	return g != NULL && g->node != NULL ? g : NULL;
}

struct weir_group *
group_find(void *const *conf, struct weir_str name)
{
	return find(&((const struct upstream_conf *)conf[index_])->groups[OF_HTTP], name);
}

struct weir_group *
group_find_stream(void *const *conf, struct weir_str name)
{
	return find(&((const struct upstream_conf *)conf[index_])->groups[OF_STREAM], name);
}

/* IPv4 before the others, as nginx has them; and in turn, from the `first` of that order on. */
static void
order_addrs(const struct weir_addr *a, unsigned n, unsigned first, const struct weir_addr **to)
{
	unsigned at = n - first;

	for (unsigned i = 0; i < n; i++)
		if (a[i].sa.sa_family != AF_INET6)
			to[at++ % n] = &a[i];
	for (unsigned i = 0; i < n; i++)
		if (a[i].sa.sa_family == AF_INET6)
			to[at++ % n] = &a[i];
}

struct weir_group *
group_of_addrs(struct weir_pool *pool, const struct weir_addr *addrs, unsigned n, struct weir_str text, unsigned turn)
{
	struct weir_group *g = POOL_NEW(pool, weir_group);
	const struct weir_addr **order = pool_alloc(pool, n * sizeof *order);

	order_addrs(addrs, n, turn % n, order);
	g->name = g->host = text;
	g->brief = true;
	g->n = n;
	g->peers = pool_zalloc(pool, n * sizeof *g->peers);
	for (unsigned i = 0; i < n; i++) {
		struct weir_peer *p = &g->peers[i];
		char addr[ADDR_TEXT_MAX];

		p->addr = *order[i];
		p->text = p->name = pool_str(pool, str_of(addr, addr_put(addr, &p->addr)));
		p->weight = 1;		/* its failures are forgotten with the request */
	}
	finish(pool, g);
	count_brief(g);
	return g;
}

struct weir_str
group_zone(const struct weir_group *g)
{
	return g->shared != NULL ? str_c(g->shared->zone->name) : STR("");
}

static struct weir_group *
next_of(const struct groups *gs, unsigned *i)
{
	const struct weir_hash_slot *slot;

	while ((slot = hash_next(&gs->byname, i)) != NULL) {
		struct weir_group *g = slot->value;

		/* it may be known by the name of a proxy_pass before it, too */
		if (g->node != NULL && str_ieq(slot->key, g->name))
			return g;
	}
	return NULL;
}

/* Those of stream have numbers from here on. */
#define STREAM_FROM	(1u << 31)

struct weir_group *
group_next(void *const *conf, unsigned *i)
{
	const struct upstream_conf *c = conf[index_];
	struct weir_group *g;
	unsigned at;

	if (*i < STREAM_FROM && (g = next_of(&c->groups[OF_HTTP], i)) != NULL)
		return g;
	at = *i < STREAM_FROM ? 0 : *i - STREAM_FROM;
	g = next_of(&c->groups[OF_STREAM], &at);
	*i = STREAM_FROM + at;
	return g;
}

void
group_start(void *const *conf)
{
	struct weir_group *g;

	for (unsigned i = 0; (g = group_next(conf, &i)) != NULL; )
		if (g->resolves != NULL)
			resolve_start(g);
}

static int
start(void)
{
	share_forked();
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "upstream", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_upstream,
	  .flags = CONF_BLOCK | CONF_MULTI, .args = "name { ... }",
	  .doc = "Defines a group of servers that proxy_pass can name: one of http, or one of stream." },
	{ "server", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_server,
	  .flags = CONF_MULTI,
	  .args = "address [weight=n] [max_fails=n] [fail_timeout=time] [max_conns=n] [backup] [down] [drain] "
	  "[priority=n] [slow_start=time] [slow_start_min=n%] [route=text] [resolve] [service=name]",
	  .doc = "A server of the group: a host or address with a port (80, unless it is said; in stream it must be), or unix:/path. "
	  "Requests are spread by weight; after max_fails failures (1; 0: never) within fail_timeout "
	  "(10s) it is left alone for fail_timeout, and then gets one request to try. No more than max_conns "
	  "connections are made to it at a time. Servers of a higher priority (a larger number; 1) are asked when "
	  "all of the lower ones are out, and backups when all others are. One that drains gets only requests "
	  "that stick to it. After it was away it begins with slow_start_min (10%) of its weight, and has all of "
	  "it after slow_start. A route is what sticky knows it by. A name that has no address when the configuration is "
	  "read is worth a warning, and a server that is down; with a zone and a resolver it is asked for while the server runs, "
	  "as with resolve. "
	  "With resolve the name is asked for while the server runs, by the resolver of the group or of http, and "
	  "all of its addresses (64 at most) are servers; it needs a zone. With service the SRV records of "
	  "_service._tcp.name, or of service.name when there is a dot in it, say which servers there are, with their ports and "
	  "weights: those of the lowest priority, and all others as backups; there are none of these where the method of "
	  "balancing knows no backups, or the line is one." },
	{ "zone", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_zone, .args = "name [size]",
	  .doc = "Shared memory in which all workers count connections, failures and times of the group's servers, "
	  "and take turns. Reloads keep what it knows of servers that stay. Several groups may use one zone; the "
	  "size is given once. Without it each worker counts for itself." },
	{ "drain_timeout", IN_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_drain_timeout, .args = "time",
	  .doc = "How long a server that drains goes on to get the requests that stick to it; then it is as if it were down.  "
	  "Requests that it has are finished in either case.  Without it there is no limit." },
	{ "keepalive", IN_UPSTREAM, CONF_INT, CONF_AT(upstream_conf, keepalive), .def = "32",
	  .min = 0, .max = 100000,
	  .doc = "How many idle connections to the group each worker keeps; 0 keeps none.  An upstream "
	  "of HTTP/2 for which this is written is trusted with a further request on a connection, even if it has not "
	  "answered PING." },
	{ "keepalive_requests", IN_UPSTREAM, CONF_INT, CONF_AT(upstream_conf, keepalive_requests),
	  .def = "1000", .min = 1, .max = 4294967295,
	  .doc = "After so many requests a connection to the group is closed." },
	{ "keepalive_timeout", IN_UPSTREAM, CONF_MSEC, CONF_AT(upstream_conf, keepalive_ms), .def = "60s",
	  .doc = "How long an idle connection to the group is kept." },
	{ "keepalive_time", IN_UPSTREAM, CONF_MSEC, CONF_AT(upstream_conf, keepalive_time_ms), .def = "1h",
	  .doc = "How old a connection to the group may get before it is no longer kept." },
	{ 0 }
};

const struct weir_module upstream_module = {
	.name = "upstream", .index = &index_, .conf_size = sizeof(struct upstream_conf),
	.cmds = cmds, .ready = ready, .done = done, .start = start,
	.metrics = upstream_rows,
	.doc = "Groups of upstream servers.",
};
