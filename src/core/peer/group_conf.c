/*
 * group_conf.c - the upstream block, and groups that a proxy_pass makes by itself.
 */
#include "core/peer/peer.h"

struct peer_list { struct weir_peer *v; unsigned n, room; };

struct upstream_conf {			/* the module's struct: of an upstream block */
	struct groups	*groups;
	struct peer_list main, backup;
	uint64_t	 keepalive_ms, keepalive_time_ms;
	int64_t		 keepalive, keepalive_requests;
};

/* A name that was used before any upstream block of that name: settled at the end. */
struct pending {
	struct pending	*next;
	struct weir_group *group;
	const struct weir_node *node;
	unsigned	 w, port;
};

/* The groups of one configuration; every struct of the module points at it. */
struct groups {
	struct weir_hash byname;
	struct pending	*pendings;
};

enum { DEFAULT_KEEPALIVE = 32, DEFAULT_REQUESTS = 1000 };

static unsigned index_;

static struct groups *
groups_of(struct weir_conf *cf)
{
	return ((struct upstream_conf *)cf->main->conf[index_])->groups;
}

static void
fill_peer(struct weir_conf *cf, struct weir_peer *p, const struct weir_addr *a, struct weir_str name)
{
	char text[ADDR_TEXT_MAX];

	p->addr = *a;
	p->name = name;
	p->text = pool_str(cf->pool, str_of(text, addr_put(text, a)));
	p->weight = 1;
	p->max_fails = 1;
	p->fail_timeout_ms = 10000;
}

/* The addresses of "host:port", "unix:/path"; at word w. */
static struct weir_addr *
resolve(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str s, unsigned port,
    unsigned *count)
{
	struct weir_addr *a = POOL_NEW(cf->pool, weir_addr);
	struct weir_str host;
	unsigned real_port = port;
	const char *err = NULL;
	int r = addr_parse(cf->pool, s, port, a, &host, &real_port);

	*count = 1;
	if (r == WEIR_OK && !(a->sa.sa_family == AF_UNIX && a->path[0] == '\0'))
		return a;
	if (r != WEIR_AGAIN) {
		conf_error(cf, n, w, "invalid address \"%.*s\"", STR_ARG(s));
		return NULL;
	}
	a = addr_lookup(cf->pool, host, real_port, count, &err);
	if (a == NULL || *count == 0) {
		conf_error(cf, n, w, "host not found in upstream \"%.*s\"%s%s", STR_ARG(host),
		    err != NULL ? ": " : "", err != NULL ? err : "");
		return NULL;
	}
	return a;
}

static int
server_params(struct weir_conf *cf, struct weir_node *n, struct weir_peer *p)
{
	static const char *const known[] = { "weight=", "max_fails=", "fail_timeout=", "max_conns=",
		"down", "backup", NULL };
	struct weir_str v;
	uint64_t num;

	for (unsigned w = 2; w < n->n; w++) {
		if (conf_param(n, w, "weight", &v)) {
			if (conf_u64(cf, n, w, v, 1, 65535, &num) != WEIR_OK)
				return WEIR_FAIL;
			p->weight = (unsigned)num;
		} else if (conf_param(n, w, "max_fails", &v)) {
			if (conf_u64(cf, n, w, v, 0, 1000000, &num) != WEIR_OK)
				return WEIR_FAIL;
			p->max_fails = (unsigned)num;
		} else if (conf_param(n, w, "max_conns", &v)) {
			if (conf_u64(cf, n, w, v, 0, 1000000, &num) != WEIR_OK)
				return WEIR_FAIL;
			p->max_conns = (unsigned)num;
		} else if (conf_param(n, w, "fail_timeout", &v)) {
			if (conf_msec(cf, n, w, v, &p->fail_timeout_ms) != WEIR_OK)
				return WEIR_FAIL;
		} else if (str_eq(n->w[w].s, STR("down"))) {
			p->down = true;
		} else if (str_eq(n->w[w].s, STR("backup"))) {
			p->backup = true;
		} else {
			return conf_bad_param(cf, n, w, known);
		}
	}
	return WEIR_OK;
}

static int
set_server(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct upstream_conf *u = conf;
	struct weir_peer like;
	struct weir_addr *a;
	unsigned count;

	(void)s;
	memset(&like, 0, sizeof like);
	a = resolve(cf, n, 1, n->w[1].s, 80, &count);
	if (a == NULL)
		return WEIR_FAIL;
	fill_peer(cf, &like, a, n->w[1].s);
	if (server_params(cf, n, &like) != WEIR_OK)
		return WEIR_FAIL;
	for (unsigned i = 0; i < count; i++) {
		struct peer_list *l = like.backup ? &u->backup : &u->main;
		struct weir_peer *p = POOL_PUSH(cf->pool, l);
		char text[ADDR_TEXT_MAX];

		*p = like;
		p->addr = a[i];
		p->text = pool_str(cf->pool, str_of(text, addr_put(text, &a[i])));
	}
	return WEIR_OK;
}

static void
finish(struct weir_group *g)
{
	for (unsigned i = 0; i < g->n; i++) {
		g->peers[i].number = i;
		g->peers[i].effective = (int)g->peers[i].weight;
	}
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
	struct groups *gs = groups_of(cf);
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
	hash_put(h, g->name, g);
	inner = conf_block(cf, s, n, IN_UPSTREAM, g);
	if (inner == NULL)
		return WEIR_FAIL;
	/* done() is not called for a block without anything of this module. */
	if (!conf_is_own(inner, &upstream_module))
		return no_servers(cf, n);
	return WEIR_OK;
}

int
group_get(struct weir_conf *cf, const struct weir_node *n, unsigned w, struct weir_str host,
    unsigned port, struct weir_group **to)
{
	struct groups *gs = groups_of(cf);
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
	*p = (struct pending){ gs->pendings, g, n, w, port };
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
	a = resolve(cf, p->node, p->w, g->host, p->port, &count);
	if (a == NULL)
		return WEIR_FAIL;
	g->n = count;
	g->peers = pool_zalloc(cf->pool, count * sizeof *g->peers);
	for (unsigned i = 0; i < count; i++)
		fill_peer(cf, &g->peers[i], &a[i], g->host);
	g->keepalive = DEFAULT_KEEPALIVE;
	g->keepalive_requests = DEFAULT_REQUESTS;
	g->keepalive_ms = 60000;
	g->keepalive_time_ms = 3600000;
	finish(g);
	return WEIR_OK;
}

static int
settle_all(struct weir_conf *cf)
{
	int r = WEIR_OK;

	for (struct pending *p = groups_of(cf)->pendings; p != NULL; p = p->next)
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
	c->groups = POOL_NEW(cf->pool, groups);
	hash_init(&c->groups->byname, cf->pool, true);
	return WEIR_OK;
}

/* At the end of an upstream block: its servers become the group's. */
static int
done(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	struct upstream_conf *u = conf;
	struct weir_group *g = s->owner;

	if (s->in == IN_MAIN)
		return settle_all(cf);
	if (s->in != IN_UPSTREAM)
		return WEIR_OK;
	if (u->main.n == 0)
		return no_servers(cf, s->node);
	g->n = u->main.n + u->backup.n;
	g->n_backup = u->backup.n;
	g->peers = pool_alloc(cf->pool, g->n * sizeof *g->peers);
	memcpy(g->peers, u->main.v, u->main.n * sizeof *g->peers);
	if (u->backup.n != 0)
		memcpy(g->peers + u->main.n, u->backup.v, u->backup.n * sizeof *g->peers);
	g->keepalive = (unsigned)u->keepalive;
	g->keepalive_requests = (unsigned)u->keepalive_requests;
	g->keepalive_ms = u->keepalive_ms;
	g->keepalive_time_ms = u->keepalive_time_ms;
	finish(g);
	return WEIR_OK;
}

struct weir_group *
group_find(void *const *conf, struct weir_str name)
{
	const struct upstream_conf *c = conf[index_];
	struct weir_group *g = hash_get(&c->groups->byname, name);

	return g != NULL && g->node != NULL ? g : NULL;
}

struct weir_group *
group_of_addrs(struct weir_pool *pool, const struct weir_addr *addrs, unsigned n, struct weir_str text)
{
	static unsigned turn;
	struct weir_group *g = POOL_NEW(pool, weir_group);
	unsigned first = turn++;

	g->name = g->host = text;
	g->brief = true;
	g->n = n;
	g->peers = pool_zalloc(pool, n * sizeof *g->peers);
	for (unsigned i = 0; i < n; i++) {
		struct weir_peer *p = &g->peers[i];
		char addr[ADDR_TEXT_MAX];

		p->addr = addrs[(first + i) % n];
		p->text = p->name = pool_str(pool, str_of(addr, addr_put(addr, &p->addr)));
		p->weight = 1;		/* its failures are forgotten with the request */
	}
	finish(g);
	return g;
}

static const struct weir_cmd cmds[] = {
	{ "upstream", IN_HTTP, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_upstream,
	  .flags = CONF_BLOCK | CONF_MULTI, .args = "name { ... }",
	  .doc = "Defines a group of servers that proxy_pass can name." },
	{ "server", IN_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_server,
	  .flags = CONF_MULTI,
	  .args = "address [weight=n] [max_fails=n] [fail_timeout=time] [max_conns=n] [backup] [down]",
	  .doc = "A server of the group: a host or address with an optional port (80), or unix:/path. "
	  "Requests are spread by weight; after max_fails failures (1; 0: never) within fail_timeout "
	  "(10s) it is left alone for fail_timeout. Backups are asked when all others are out." },
	{ "keepalive", IN_UPSTREAM, CONF_INT, CONF_AT(upstream_conf, keepalive), .def = "32",
	  .min = 0, .max = 100000,
	  .doc = "How many idle connections to the group each worker keeps; 0 keeps none." },
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
	.cmds = cmds, .ready = ready, .done = done,
	.doc = "Groups of upstream servers.",
};
