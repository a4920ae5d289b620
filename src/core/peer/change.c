/*
 * change.c - servers of a group come, go and change while it works.
 */
#include <stdatomic.h>

#include "core/base/clock.h"
#include "core/peer/change.h"
#include "core/peer/resolve.h"
#include "core/peer/share.h"
#include "core/tls/tls.h"

enum { COUNT_MAX = 1000000, WEIGHT_MAX = 65535, WARM_SCALE = 100, DEFAULT_WARM_MIN = 10 };

static const char *const errors[SERVERS_ERRORS] = {
	[SERVERS_OK] = "done",
	[SERVERS_STATIC] = "upstream is static: it has no zone that workers share",
	[SERVERS_BUSY] = "a reload is under way, try again",
	[SERVERS_FULL] = "upstream memory exhausted: its zone has no place for another server",
	[SERVERS_UNKNOWN] = "server not found",
	[SERVERS_FIXED] = "server is immutable: its name is resolved at run time",
	[SERVERS_ADDRESS] = "server is no address",
	[SERVERS_PORT] = "server has no port",
	[SERVERS_NAME] = "server is a name: at run time only addresses can be added",
	[SERVERS_ROUTE] = "route is no text of at most 32 visible characters without quotes and separators",
	[SERVERS_BACKUP] = "upstream has no place for backup servers",
	[SERVERS_WEIGHT] = "invalid weight",
	[SERVERS_WEIGHTS] = "the weights would sum up to more than the balancing method can do",
	[SERVERS_CONNS] = "invalid max_conns",
	[SERVERS_FAILS] = "invalid max_fails",
	[SERVERS_WARM] = "slow_start has no meaning with this balancing method",
};

const char *
servers_error(enum server_error e)
{
	return errors[e];
}

void
servers_default(struct weir_server *s)
{
	*s = (struct weir_server){ .weight = 1, .max_fails = 1, .fail_timeout_ms = 10000, .priority = 1,
		.slow_start_min = DEFAULT_WARM_MIN };
}

/* ---- addresses ---- */

/* What may be written into a file and read again without quotes, and into a cookie. */
static bool
is_plain(struct weir_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\"'\\;,{}#$", s.p[i]) != NULL)
			return false;
	return true;
}

/* `name` ends with NUL and lives as long as *to. */
static enum server_error
parse(const struct weir_group *g, struct weir_str name, struct weir_addr *to)
{
	struct weir_pool *pool;
	struct weir_str host;
	unsigned port;
	bool no_port;
	int r;

	if (name.n == 0 || name.n >= PLACE_NAME || !is_plain(name))
		return SERVERS_ADDRESS;
	pool = pool_new(0);
	r = addr_parse(pool, name, group_port(g), to, &host, &port);
	if (r == WEIR_OK && to->sa.sa_family == AF_UNIX)
		to->path = name.p + (sizeof("unix:") - 1);
	no_port = group_port(g) == 0 && addr_lacks_port(pool, name);
	pool_free(pool);
	if (r == WEIR_AGAIN)
		return SERVERS_NAME;
	if (r != WEIR_OK && no_port)
		return SERVERS_PORT;
	if (r != WEIR_OK || (to->sa.sa_family == AF_UNIX ? to->path[0] == '\0' : addr_is_wild(to)))
		return SERVERS_ADDRESS;
	return SERVERS_OK;
}

/* A peer's texts were made for the longest that may come. */
static void
set_text(struct weir_str *to, const char *from, size_t n)
{
	char *p = (char *)(uintptr_t)to->p;

	memcpy(p, from, n);
	to->n = n;
}

void
change_take(struct weir_peer *p, const struct weir_place *from)
{
	char text[ADDR_TEXT_MAX];
	size_t n;

	memset((char *)(uintptr_t)p->name.p, 0, PLACE_NAME);
	set_text(&p->name, from->name, from->n_name);
	set_text(&p->route, from->route, from->n_route);
	if (parse(p->group, p->name, &p->addr) != SERVERS_OK)
		return;		/* nobody has written such a thing there */
	n = addr_put(text, &p->addr);
	set_text(&p->text, text, WEIR_MIN(n, PLACE_NAME));
	tls_sessions_free(&p->tls);
}

/* ---- looking ---- */

static enum server_state
state_of(const struct weir_state *st)
{
	if (st->out & OUT_DOWN)
		return SERVER_DOWN;
	if (st->out & OUT_DRAIN)
		return weir_now_ms < st->drain_until_ms ? SERVER_DRAINING : SERVER_DOWN;
	if (st->out & OUT_UNHEALTHY)
		return st->health.pending != 0 ? SERVER_CHECKING : SERVER_UNHEALTHY;
	if (st->out == OUT_FAILED && weir_now_ms > st->checked_ms + st->fail_timeout_ms)
		return SERVER_UP;	/* the next choice will find out */
	return st->out != 0 ? SERVER_UNAVAILABLE : SERVER_UP;
}

/* One name may have stood for several addresses when the configuration was read. */
static void
name_it(const struct weir_peer *p, struct weir_pool *pool, struct weir_server *to)
{
	struct weir_addr a;
	bool is_address = p->resolve == NULL &&
	    addr_parse(pool, p->name, group_port(p->group), &a, &(struct weir_str){ 0 }, &(unsigned){ 0 }) == WEIR_OK;

	to->text = pool_str(pool, p->text);
	to->name = is_address ? pool_str(pool, p->name) : to->text;
	to->host = is_address ? STR_NONE : pool_str(pool, p->name);
	to->route = pool_str(pool, p->route);
}

static void
tell(const struct weir_group *g, unsigned i, struct weir_pool *pool, struct weir_server *to)
{
	const struct weir_peer *p = &g->peers[i];
	const struct weir_state *st = block_state(g->block, i);

	name_it(p, pool, to);
	to->id = st->id;
	to->weight = st->weight;
	to->max_conns = st->max_conns;
	to->max_fails = st->max_fails;
	to->fail_timeout_ms = st->fail_timeout_ms;
	to->slow_start_ms = st->warm_ms;
	to->slow_start_min = st->warm_min;
	to->backup = p->backup;
	to->priority = p->backup ? 0 : p->priority;
	to->down = st->out & OUT_DOWN;
	to->drain = st->out & OUT_DRAIN;
	to->fixed = p->resolve != NULL;
	to->state = state_of(st);
	to->active = st->conns;
	to->requests = st->requests;
	to->failures = st->failures;
	to->outages = st->outages;
	to->checked = g->health != NULL;
	to->last_passed = st->health.last_passed;
	to->checks = st->health.checks;
	to->check_fails = st->health.fails;
	to->unhealthy = st->health.unhealthy;
	to->header_ms = st->header_ms;
	to->response_ms = st->response_ms;
}

void
servers_list(struct weir_group *g, struct weir_pool *pool, struct weir_servers *to)
{
	*to = (struct weir_servers){ .v = pool_zalloc(pool, (g->n + 1) * sizeof *to->v) };
	share_look(g);
	share_lock(g);
	if (g->moves)
		resolve_keep_up(g, true);
	for (unsigned i = 0; i < g->n; i++) {
		const struct weir_state *st = block_state(g->block, i);

		if (st->out & OUT_VACANT)
			to->zombies += st->conns != 0;
		else
			tell(g, i, pool, &to->v[to->n++]);
	}
	to->changes = g->block->changes;
	share_unlock(g);
}

/* ---- changing ---- */

static enum server_error
begin(struct weir_group *g)
{
	if (g->shared == NULL || !g->moves)
		return SERVERS_STATIC;
	share_look(g);
	return share_lock_current(g) == WEIR_OK ? SERVERS_OK : SERVERS_BUSY;
}

static enum server_error
end(struct weir_group *g, enum server_error how)
{
	if (how == SERVERS_OK) {
		g->block->stale |= STALE_RANKS;
		g->block->changes++;
		g->block->version++;
	}
	share_unlock_current(g);
	return how;
}

/* -1: there is none. */
static int
find_server(struct weir_group *g, uint32_t id)
{
	for (unsigned i = 0; i < g->n; i++)
		if (!(block_state(g->block, i)->out & OUT_VACANT) && block_state(g->block, i)->id == id)
			return (int)i;
	return -1;
}

static enum server_error
check_numbers(const struct weir_group *g, const struct weir_server *s)
{
	if ((s->set & SET_WEIGHT) && (s->weight < 1 || s->weight > WEIGHT_MAX))
		return SERVERS_WEIGHT;
	if ((s->set & SET_MAX_CONNS) && s->max_conns > COUNT_MAX)
		return SERVERS_CONNS;
	if ((s->set & SET_MAX_FAILS) && s->max_fails > COUNT_MAX)
		return SERVERS_FAILS;
	if ((s->set & SET_SLOW_START) && s->slow_start_ms != 0 && g->balancer->fixed)
		return SERVERS_WARM;
	return SERVERS_OK;
}

/* With this server of such a weight, maybe one that is warming up. */
static enum server_error
check_sum(struct weir_group *g, unsigned server, const struct weir_server *s)
{
	bool fine = g->block->scale != 1 || ((s->set & SET_SLOW_START) && s->slow_start_ms != 0);
	uint64_t sum = 0, most = BLOCK_WEIGHTS / (fine ? WARM_SCALE : 1);

	if (g->balancer->weights_max != 0)
		most = WEIR_MIN(most, g->balancer->weights_max);
	for (unsigned i = 0; i < g->n; i++) {
		const struct weir_state *st = block_state(g->block, i);

		if (i == server)
			sum += s->set & SET_WEIGHT ? s->weight : st->weight;
		else if (!(st->out & OUT_VACANT))
			sum += st->weight;
	}
	return sum < most ? SERVERS_OK : SERVERS_WEIGHTS;
}

static void
set_slow_start(struct weir_block *b, struct weir_state *st, uint64_t ms)
{
	st->warm_ms = ms;
	if (ms != 0 && b->scale == 1)
		b->scale = WARM_SCALE;		/* STALE_RANKS makes the shares anew */
}

static void
set_down(struct weir_group *g, unsigned i, bool down)
{
	bool was = block_state(g->block, i)->out & OUT_DOWN;

	if (down == was)
		return;
	if (down) {
		block_out(g, i, OUT_DOWN);
		return;
	}
	block_in(g, i, OUT_DOWN);
	block_warm(g, i);
}

static void
apply(struct weir_group *g, unsigned i, const struct weir_server *s)
{
	struct weir_state *st = block_state(g->block, i);

	if (s->set & SET_WEIGHT)
		block_reweight(g, i, s->weight);
	if (s->set & SET_MAX_CONNS)
		st->max_conns = s->max_conns;
	if (s->set & SET_MAX_FAILS)
		st->max_fails = s->max_fails;
	if (st->max_fails == 0)
		block_in(g, i, OUT_FAILED);
	if (s->set & SET_FAIL_TIMEOUT) {
		st->fail_timeout_ms = s->fail_timeout_ms;
		g->block->wake_ms = 0;		/* whoever is out may come back sooner */
	}
	if (s->set & SET_SLOW_START)
		set_slow_start(g->block, st, s->slow_start_ms);
	if (s->set & SET_DOWN)
		set_down(g, i, s->down);
	if ((s->set & SET_DRAIN) && s->drain)
		block_drain(g, i);
	else if (s->set & SET_DRAIN)
		block_in(g, i, OUT_DRAIN);
}

/* A spare peer that nobody uses any more, of the backups or of the others. */
static int
vacant(struct weir_group *g, bool backup, bool *any)
{
	*any = false;
	for (unsigned i = 0; i < g->n; i++) {
		const struct weir_state *st = block_state(g->block, i);

		if (!g->peers[i].spare || g->peers[i].backup != backup)
			continue;
		*any = true;
		if ((st->out & OUT_VACANT) && st->conns == 0)
			return (int)i;
	}
	return -1;
}

static void
describe(struct weir_place *to, const struct weir_server *s)
{
	memset(to, 0, sizeof *to);
	memcpy(to->name, s->name.p, s->name.n);
	to->n_name = (uint8_t)s->name.n;
	if (s->route.n != 0)
		memcpy(to->route, s->route.p, s->route.n);
	to->n_route = (uint8_t)s->route.n;
}

static void
move_in(struct weir_group *g, unsigned i, struct weir_server *s)
{
	struct weir_block *b = g->block;
	struct weir_state *st = block_state(b, i);

	describe(block_place(b, st), s);
	st->key = block_key(s->text, s->name);
	st->serial++;
	s->id = st->id = b->next_id++;
	st->requests = st->failures = st->outages = 0;
	st->heir = 0;
	st->warm_min = s->slow_start_min;
	block_in(g, i, OUT_DOWN);
	block_in(g, i, OUT_DRAIN);
	block_in(g, i, OUT_FULL);
	apply(g, i, s);
	block_renew(g, i);
	block_in(g, i, OUT_VACANT);
	block_count(g);
}

static enum server_error
find_place(struct weir_group *g, struct weir_server *s)
{
	enum server_error e;
	bool any;
	int i = vacant(g, s->backup, &any);

	if (i < 0)
		return s->backup && !any ? SERVERS_BACKUP : SERVERS_FULL;
	e = check_sum(g, (unsigned)i, s);
	if (e == SERVERS_OK)
		move_in(g, (unsigned)i, s);
	return e;
}

enum server_error
servers_add(struct weir_group *g, struct weir_server *s)
{
	char name[PLACE_NAME] = "", text[ADDR_TEXT_MAX];
	struct weir_addr a;
	enum server_error e;

	if (s->name.n >= sizeof name)
		return SERVERS_ADDRESS;
	if (s->name.n != 0)
		memcpy(name, s->name.p, s->name.n);
	if ((e = parse(g, str_of(name, s->name.n), &a)) != SERVERS_OK)
		return e;
	if (s->route.n > ROUTE_MAX || !is_plain(s->route))
		return SERVERS_ROUTE;
	s->set = SET_WEIGHT | SET_MAX_CONNS | SET_MAX_FAILS | SET_FAIL_TIMEOUT | SET_SLOW_START | SET_DOWN | SET_DRAIN;
	if ((e = check_numbers(g, s)) != SERVERS_OK || (e = begin(g)) != SERVERS_OK)
		return e;
	s->text = str_of(text, addr_put(text, &a));
	e = end(g, find_place(g, s));
	s->text = STR_NONE;
	return e;
}

static enum server_error
move_out(struct weir_group *g, uint32_t id)
{
	int i = find_server(g, id);
	struct weir_state *st;

	if (i < 0)
		return SERVERS_UNKNOWN;
	if (g->peers[i].resolve != NULL)
		return SERVERS_FIXED;
	st = block_state(g->block, (unsigned)i);
	block_out(g, (unsigned)i, OUT_VACANT);
	if (g->peers[i].spare)
		st->key = 0;
	block_count(g);
	return SERVERS_OK;
}

enum server_error
servers_remove(struct weir_group *g, uint32_t id)
{
	enum server_error e = begin(g);

	return e == SERVERS_OK ? end(g, move_out(g, id)) : e;
}

static enum server_error
change(struct weir_group *g, const struct weir_server *s)
{
	enum server_error e;
	int i = find_server(g, s->id);

	if (i < 0)
		return SERVERS_UNKNOWN;
	if (g->peers[i].resolve != NULL)
		return SERVERS_FIXED;
	e = check_sum(g, (unsigned)i, s);
	if (e == SERVERS_OK)
		apply(g, (unsigned)i, s);
	return e;
}

enum server_error
servers_change(struct weir_group *g, const struct weir_server *s)
{
	enum server_error e = check_numbers(g, s);

	if (e == SERVERS_OK)
		e = begin(g);
	return e == SERVERS_OK ? end(g, change(g, s)) : e;
}
