/*
 * sticky.c - clients stay with their servers.
 *
 * A server is known by its sid: what `route=` says, or a token made of its address with a secret, so that it
 * tells nobody where the server is.  `cookie` gives the sid to the client, `route` finds it in variables,
 * `learn` remembers in shared memory which server a session has.
 *
 * The secret lies in a zone of its own, so reloads and other binaries make the same tokens; with `secret=` also
 * other machines and later starts do.
 */
#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/os/random.h"
#include "core/shm/table.h"
#include "http/req/vars.h"
#include "http/up/up.h"

enum { TOKEN = 32, MAX_EXPIRES = INT32_MAX, DEFAULT_LEARN_MS = 600000 };
#define NO_EXPIRES	INT64_MIN

_Static_assert(TOKEN <= ROUTE_MAX, "either may lie there");

struct secret { uint64_t key[2][2]; };

struct exprs { struct weir_expr *v; unsigned n, room; };

struct weir_sticky {
	struct weir_sticky *next;
	struct weir_group *group;
	struct weir_pool *pool;
	const struct weir_node *node;
	struct weir_str	 cookie;		/* its name; "": there is none */
	struct weir_str	 secret;		/* "": the common one */
	const struct secret *common;		/* in shared memory */
	struct exprs	 lookup, create;
	struct weir_expr domain, samesite;
	struct weir_str	 path;
	int64_t		 expires;		/* seconds; NO_EXPIRES; MAX_EXPIRES: for ever */
	bool		 secure, httponly;
	struct weir_table *sessions;		/* of learn */
	uint64_t	 timeout_ms;
	bool		 by_head;		/* learns with the head, not at the end */
	struct weir_hash sids;			/* peers */
};

struct upstream_sticky_conf {
	struct stickies	*all;
};

struct stickies { struct weir_sticky *first; };

struct learnt {				/* a row */
	uint32_t	 n;
	char		 sid[ROUTE_MAX];
};

static unsigned index_;

/* ---- sids ---- */

static char *
put_hex16(char *p, uint64_t v)
{
	for (int i = 60; i >= 0; i -= 4)
		*p++ = "0123456789abcdef"[v >> i & 15];
	return p;
}

static struct weir_str
token(const struct weir_sticky *st, const struct weir_peer *p, char *to)
{
	char *at = to;
	struct secret own = *st->common;

	if (st->secret.n != 0)
		for (unsigned i = 0; i < 4; i++) {
			const uint64_t which[2] = { 0x737469636b79, i };

			own.key[i / 2][i % 2] = siphash_with(which, st->secret.p, st->secret.n);
		}
	for (unsigned i = 0; i < 2; i++)
		at = put_hex16(at, siphash_with(own.key[i], p->text.p, p->text.n));
	return str_of(to, TOKEN);
}

/* Its sid is not for ever. */
static bool
is_changeable(const struct weir_peer *p)
{
	return p->spare || (p->resolve != NULL && p->route.n == 0);
}

static bool
is_there(const struct weir_peer *p)
{
	return p->text.n != 0;
}

/* Behind those of the same sid that came before: the fixed ones, and then these in their order. */
static void
append_alike(struct weir_group *g, struct weir_peer *p)
{
	struct weir_peer *last = hash_get(&g->sticky->sids, p->sid);

	for (unsigned i = 0; last == NULL && i < p->number; i++)
		if (g->peers[i].spare && is_there(&g->peers[i]) && str_eq(g->peers[i].sid, p->sid))
			last = &g->peers[i];
	if (last == NULL)
		return;
	while (last->alike != 0)
		last = &g->peers[last->alike - 1];
	last->alike = p->number + 1;
}

static void
forget_alike(struct weir_group *g)
{
	for (unsigned i = 0; i < g->n; i++) {
		struct weir_peer *p = &g->peers[i];

		if (p->spare || (p->alike != 0 && g->peers[p->alike - 1].spare))
			p->alike = 0;
	}
}

/* Other addresses: other tokens. */
static void
on_change(struct weir_group *g)
{
	forget_alike(g);
	for (unsigned i = 0; i < g->n; i++) {
		struct weir_peer *p = &g->peers[i];
		char *room = (char *)(uintptr_t)p->sid.p;

		if (!is_changeable(p))
			continue;
		if (p->route.n == 0)
			p->sid = token(g->sticky, p, room);
		else
			p->sid = str_of(memcpy(room, p->route.p, p->route.n), p->route.n);
		if (p->spare && is_there(p))
			append_alike(g, p);
	}
}

static void
make_sids(struct weir_sticky *st)
{
	struct weir_group *g = st->group;

	g->on_change = on_change;
	hash_init(&st->sids, st->pool, false);
	for (unsigned i = g->n; i-- > 0; ) {	/* the first of those that are alike is found first */
		struct weir_peer *p = &g->peers[i], *was;

		p->sid = p->route.n != 0 ? p->route : token(st, p, pool_bytes(st->pool, ROUTE_MAX));
		if (is_changeable(p))
			continue;	/* it will change: find() looks there */
		was = hash_put(&st->sids, p->sid, p);
		p->alike = was != NULL ? was->number + 1 : 0;
	}
}

static void
on_open(struct weir_zone *z)
{
	struct stickies *all = z->owner;

	if (z->fresh)
		random_bytes(z->mem, sizeof(struct secret));
	for (struct weir_sticky *st = all->first; st != NULL; st = st->next) {
		st->common = z->mem;
		make_sids(st);
	}
}

static const struct weir_peer *
find(const struct weir_sticky *st, struct weir_str sid)
{
	const struct weir_group *g = st->group;
	const struct weir_peer *p = hash_get(&st->sids, sid);

	for (unsigned i = 0; p == NULL && g->moves && i < g->n; i++)
		if (is_changeable(&g->peers[i]) && is_there(&g->peers[i]) && str_eq(g->peers[i].sid, sid))
			p = &g->peers[i];
	return p;
}

/* ---- requests ---- */

/* The first that has a value. */
static struct weir_str
first_of(struct weir_sess *s, const struct exprs *e)
{
	struct weir_str v = STR_NONE;

	for (unsigned i = 0; i < e->n && v.n == 0; i++)
		v = expr_eval(s, &e->v[i]);
	return v;
}

static struct weir_str
remembered(struct weir_sticky *st, struct weir_str id, char to[ROUTE_MAX])
{
	struct learnt *row = table_get(st->sessions, id, false);
	struct weir_str sid = STR_NONE;

	if (row == NULL)
		return sid;
	sid = str_of(to, WEIR_MIN(row->n, ROUTE_MAX));
	memcpy(to, row->sid, sid.n);
	/* being asked for does not make it stay longer; see learn() */
	table_put(st->sessions, row, table_until(st->sessions, row), ROW_PLAIN);
	return sid;
}

void
up_sticky_want(struct weir_up *u)
{
	struct weir_sticky *st = u->pick.group->sticky;
	struct weir_str id = STR_NONE;
	char sid[ROUTE_MAX];
	const struct weir_peer *p;

	if (st == NULL)
		return;
	if (st->cookie.n != 0)
		(void)!req_cookie(u->r, st->cookie, &id);
	else
		id = first_of(&u->r->s, &st->lookup);
	if (st->sessions != NULL && id.n != 0) {
		struct weir_str its = remembered(st, id, sid);

		/* who was not known had not been sent anywhere: what is learnt meanwhile is not for it to change */
		u->sticky_id = its.n != 0 ? id : STR_NONE;
		id = its;
	}
	if (id.n != 0 && (p = find(st, id)) != NULL)
		u->pick.want = (int)p->number;
}

/* Which server a session has; one that nobody created is not kept only because somebody asked for it. */
static void
learn(struct weir_up *u)
{
	struct weir_sticky *st = u->pick.group->sticky;
	const struct weir_str sid = u->pick.peer->sid;
	struct weir_str id = first_of(&u->r->s, &st->create);
	bool create = id.n != 0;
	struct learnt *row;

	if (!create)
		id = u->sticky_id;
	if (id.n == 0 || (row = table_get(st->sessions, id, create)) == NULL)
		return;
	row->n = (uint32_t)sid.n;
	memcpy(row->sid, sid.p, sid.n);
	table_put(st->sessions, row, weir_now_ms + st->timeout_ms, ROW_PLAIN);
}

void
up_sticky_well(struct weir_up *u)
{
	const struct weir_sticky *st = u->pick.group->sticky;

	if (st != NULL && st->sessions != NULL && !st->by_head)
		learn(u);
}

/* ---- the cookie ---- */

static bool
is_samesite(struct weir_str v)
{
	return str_ieq(v, STR("strict")) || str_ieq(v, STR("lax")) || str_ieq(v, STR("none"));
}

/* A value of a cookie's attribute that comes from variables must stay one. */
static bool
is_attribute(struct weir_str v)
{
	return v.n != 0 && is_field_value(v) && str_chr(v, ';') < 0 && str_chr(v, ',') < 0;
}

static struct weir_str
expires(struct weir_pool *pool, int64_t secs)
{
	struct weir_civil t;

	if (secs == MAX_EXPIRES)
		return STR("; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000");
	civil_of(&t, (int64_t)(weir_wall_ms / 1000) + secs);
	return pool_printf(pool, "; expires=%s, %02u-%s-%02u %02u:%02u:%02u GMT; max-age=%lld", civil_days[t.wday],
	    t.day, civil_months[t.month - 1], (unsigned)(t.year > 2037 ? t.year : t.year % 100), t.hour, t.min,
	    t.sec, (long long)secs);
}

static struct weir_str
attribute(struct weir_pool *pool, const char *name, struct weir_str v)
{
	return v.n != 0 ? pool_printf(pool, "; %s=%.*s", name, STR_ARG(v)) : STR_NONE;
}

static void
set_cookie(struct weir_up *u, const struct weir_sticky *st)
{
	struct weir_pool *pool = u->r->s.pool;
	struct weir_str sid = u->pick.peer->sid, domain = STR_NONE, samesite = STR_NONE, age = STR_NONE, all;

	if (st->domain.set)
		domain = expr_eval(&u->r->s, &st->domain);
	if (!is_attribute(domain))
		domain = STR_NONE;
	if (st->samesite.set)
		samesite = expr_eval(&u->r->s, &st->samesite);
	if (samesite.n != 0 && !is_samesite(samesite))
		samesite = STR("strict");
	if (st->expires != NO_EXPIRES)
		age = expires(pool, st->expires);
	domain = attribute(pool, "domain", domain);
	samesite = attribute(pool, "samesite", samesite);
	all = pool_printf(pool, "%.*s=%.*s%.*s%.*s%s%s%.*s%.*s", STR_ARG(st->cookie), STR_ARG(sid), STR_ARG(age),
	    STR_ARG(domain), st->httponly ? "; httponly" : "", st->secure ? "; secure" : "", STR_ARG(samesite),
	    STR_ARG(st->path));
	fields_add_known(&u->r->rsp.fields, pool, H_SET_COOKIE, all);
}

void
up_sticky_head(struct weir_up *u)
{
	const struct weir_sticky *st = u->pick.group->sticky;

	if (st == NULL || u->pick.peer == NULL)
		return;
	if (st->sessions != NULL && st->by_head)
		learn(u);
	if (st->cookie.n != 0)
		set_cookie(u, st);
}

/* ---- configuration ---- */

static int
twice(struct weir_conf *cf, struct weir_node *n, unsigned w, const char *name)
{
	return conf_error(cf, n, w, "parameter \"%s\" is duplicate", name);
}

static int
empty(struct weir_conf *cf, struct weir_node *n, unsigned w, const char *name)
{
	return conf_error(cf, n, w, "no value for \"%s\"", name);
}

static int
add_variable(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, struct exprs *to)
{
	struct weir_expr *e;

	if (v.n < 2 || v.p[0] != '$')
		return conf_error(cf, n, w, "invalid variable name \"%.*s\"", STR_ARG(v));
	e = POOL_PUSH(cf->pool, to);
	return expr_compile(cf, n, w, v, e);
}

static int
set_expr(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, const char *name,
    struct weir_expr *to)
{
	if (to->set)
		return twice(cf, n, w, name);
	if (v.n == 0)
		return empty(cf, n, w, name);
	to->set = true;
	return expr_compile(cf, n, w, v, to);
}

static int
set_expires(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, struct weir_sticky *st)
{
	uint64_t ms;

	if (st->expires != NO_EXPIRES)
		return twice(cf, n, w, "expires");
	st->expires = MAX_EXPIRES;
	if (str_eq(v, STR("max")))
		return WEIR_OK;
	if (conf_msec(cf, n, w, v, &ms) != WEIR_OK)
		return WEIR_FAIL;
	st->expires = (int64_t)(ms / 1000);
	return WEIR_OK;
}

static int
set_samesite(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, struct weir_sticky *st)
{
	if (set_expr(cf, n, w, v, "samesite", &st->samesite) != WEIR_OK)
		return WEIR_FAIL;
	if (expr_is_const(&st->samesite) && !is_samesite(v))
		return conf_error(cf, n, w, "invalid \"samesite\" parameter value");
	return WEIR_OK;
}

static int
set_text(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, const char *name,
    struct weir_str *to)
{
	if (to->n != 0)
		return twice(cf, n, w, name);
	if (v.n == 0)
		return empty(cf, n, w, name);
	*to = v;
	return WEIR_OK;
}

static int
cookie_param(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_sticky *st)
{
	static const char *const known[] = { "domain=", "path=", "expires=", "samesite=", "httponly", "secure",
		"secret=", NULL };
	struct weir_str v;
	bool *flag;

	if (conf_param(n, w, "domain", &v))
		return set_expr(cf, n, w, v, "domain", &st->domain);
	if (conf_param(n, w, "path", &v))
		return set_text(cf, n, w, v, "path", &st->path);
	if (conf_param(n, w, "secret", &v))
		return set_text(cf, n, w, v, "secret", &st->secret);
	if (conf_param(n, w, "expires", &v))
		return set_expires(cf, n, w, v, st);
	if (conf_param(n, w, "samesite", &v))
		return set_samesite(cf, n, w, v, st);
	if (str_eq(n->w[w].s, STR("httponly")))
		flag = &st->httponly;
	else if (str_eq(n->w[w].s, STR("secure")))
		flag = &st->secure;
	else
		return conf_bad_param(cf, n, w, known);
	if (*flag)
		return twice(cf, n, w, flag == &st->secure ? "secure" : "httponly");
	*flag = true;
	return WEIR_OK;
}

static int
set_cookie_words(struct weir_conf *cf, struct weir_node *n, struct weir_sticky *st)
{
	st->cookie = n->w[2].s;
	if (st->cookie.n == 0)
		return conf_error(cf, n, 2, "empty cookie name");
	if (!is_token(st->cookie))
		return conf_error(cf, n, 2, "\"%.*s\" is no name for a cookie", STR_ARG(st->cookie));
	for (unsigned w = 3; w < n->n; w++)
		if (cookie_param(cf, n, w, st) != WEIR_OK)
			return WEIR_FAIL;
	if (st->path.n != 0)
		st->path = pool_printf(cf->pool, "; path=%.*s", STR_ARG(st->path));
	return WEIR_OK;
}

static int
set_route_words(struct weir_conf *cf, struct weir_node *n, struct weir_sticky *st)
{
	for (unsigned w = 2; w < n->n; w++)
		if (add_variable(cf, n, w, n->w[w].s, &st->lookup) != WEIR_OK)
			return WEIR_FAIL;
	return WEIR_OK;
}

static int
set_sessions(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_str v, struct weir_sticky *st,
    const struct stickies *all)
{
	struct weir_table_want want = { .kind = "sticky", .version = 1, .row = sizeof(struct learnt),
		.key_max = 64 };
	const char *why;

	if (st->sessions != NULL)
		return conf_error(cf, n, w, "duplicate zone");
	if (zone_spec(v, &want.name, &want.size, &why) != WEIR_OK)
		return conf_error(cf, n, w, "%s", why);
	st->sessions = table_declare(cf->zones, &want, &why);
	if (st->sessions == NULL)
		return conf_error(cf, n, w, "%s", why);
	for (const struct weir_sticky *o = all->first; o != NULL; o = o->next)
		if (o->sessions == st->sessions)
			return conf_error(cf, n, w, "sticky zone \"%.*s\" is already used in upstream \"%.*s\"",
			    STR_ARG(want.name), STR_ARG(o->group->name));
	return WEIR_OK;
}

static int
learn_param(struct weir_conf *cf, struct weir_node *n, unsigned w, struct weir_sticky *st,
    const struct stickies *all)
{
	static const char *const known[] = { "zone=", "timeout=", "create=", "lookup=", "header", "secret=", NULL };
	struct weir_str v;

	if (conf_param(n, w, "zone", &v))
		return set_sessions(cf, n, w, v, st, all);
	if (conf_param(n, w, "create", &v))
		return add_variable(cf, n, w, v, &st->create);
	if (conf_param(n, w, "lookup", &v))
		return add_variable(cf, n, w, v, &st->lookup);
	if (conf_param(n, w, "secret", &v))
		return set_text(cf, n, w, v, "secret", &st->secret);
	if (conf_param(n, w, "timeout", &v)) {
		if (st->timeout_ms != 0)
			return conf_error(cf, n, w, "duplicate timeout");
		if (conf_msec(cf, n, w, v, &st->timeout_ms) != WEIR_OK)
			return WEIR_FAIL;
		return st->timeout_ms != 0 ? WEIR_OK : conf_error(cf, n, w, "invalid timeout");
	}
	if (!str_eq(n->w[w].s, STR("header")))
		return conf_bad_param(cf, n, w, known);
	st->by_head = true;
	return WEIR_OK;
}

static int
set_learn_words(struct weir_conf *cf, struct weir_node *n, struct weir_sticky *st, const struct stickies *all)
{
	for (unsigned w = 2; w < n->n; w++)
		if (learn_param(cf, n, w, st, all) != WEIR_OK)
			return WEIR_FAIL;
	if (st->lookup.n == 0)
		return conf_error(cf, n, 0, "\"lookup\" parameter is not specified");
	if (st->create.n == 0)
		return conf_error(cf, n, 0, "\"create\" parameter is not specified");
	if (st->sessions == NULL)
		return conf_error(cf, n, 0, "\"zone\" parameter is not specified");
	if (st->timeout_ms == 0)
		st->timeout_ms = DEFAULT_LEARN_MS;
	return WEIR_OK;
}

static int
declare_secret(struct weir_conf *cf, const struct weir_node *n, struct stickies *all)
{
	struct weir_zone_want want = { .name = STR("sticky secret"), .size = ZONE_SIZE_MIN, .kind = "sticky_secret",
		.version = 1, .open = on_open, .owner = all };
	const char *why;

	if (zone_declare(cf->zones, &want, &why) == NULL)
		return conf_error(cf, n, 0, "%s", why);
	return WEIR_OK;
}

static int
set_sticky(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	struct stickies *all = ((struct upstream_sticky_conf *)cf->main->conf[index_])->all;
	struct weir_sticky *st = POOL_NEW(cf->pool, weir_sticky);
	struct weir_str how = n->w[1].s;
	int r;

	(void)conf;
	st->group = s->owner;
	st->pool = cf->pool;
	st->node = n;
	st->expires = NO_EXPIRES;
	if (str_eq(how, STR("cookie")))
		r = set_cookie_words(cf, n, st);
	else if (str_eq(how, STR("route")))
		r = set_route_words(cf, n, st);
	else if (str_eq(how, STR("learn")))
		r = set_learn_words(cf, n, st, all);
	else
		return conf_error(cf, n, 1, "unknown parameter \"%.*s\"", STR_ARG(how));
	if (r != WEIR_OK || declare_secret(cf, n, all) != WEIR_OK)
		return WEIR_FAIL;
	st->next = all->first;
	all->first = st;
	st->group->sticky = st;
	return WEIR_OK;
}

static int
ready(struct weir_conf *cf, struct weir_scope *s, void *conf)
{
	if (s->in == IN_MAIN)
		((struct upstream_sticky_conf *)conf)->all = POOL_NEW(cf->pool, stickies);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "sticky", IN_UPSTREAM, CONF_CUSTOM, .args_min = 2, .args_max = CONF_ANY, .set = set_sticky,
	  .args = "cookie name [expires=time | max] [domain=text] [path=text] [samesite=strict | lax | none] [httponly] "
	  "[secure] [secret=text] | route $variable ... | learn create=$variable lookup=$variable zone=name:size "
	  "[timeout=time] [header] [secret=text]",
	  .doc = "Clients stay with the server that they had first. cookie tells them by a cookie whose value is "
	  "the route of the server, or a token from which nobody learns its address. route finds it in variables. "
	  "learn remembers which server a session has (whose name the first create variable with a value gives), and "
	  "looks it up by the first lookup variable with a value, until it was not used for timeout (10m); with "
	  "header it learns as soon as the head of a response has come. Tokens stay the same over reloads; "
	  "with secret also over restarts, and on several machines. A server that drains keeps its clients." },
	{ 0 }
};

const struct weir_module upstream_sticky_module = {
	.name = "upstream_sticky", .index = &index_, .conf_size = sizeof(struct upstream_sticky_conf),
	.cmds = cmds, .ready = ready,
	.doc = "Clients stay with their servers.",
};
