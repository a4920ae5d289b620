/*
 * limit_conn.c - how many may be served at once: counts by key, in shared memory.
 *
 * Each worker has a list of what its sessions hold.  That is the truth; a row is the sum of it over
 * all workers, made by each as it goes.  When a worker dies, or a part of the table was lost,
 * sums and lists disagree: the zone's number of deaths (zone.h) has risen then.  Rows say to which
 * number they belong, and those of an earlier one count nothing; each worker, before it does
 * anything else with the zone, enters all that it holds anew.  So nobody stays locked out by
 * the dead, and nothing is counted twice.
 *
 * A hold ends with its session: a tunnel takes it along, an internal redirect keeps it.
 */
#include "core/base/clock.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/metric/metric.h"
#include "core/proc/cycle.h"
#include "core/sess/keyed.h"
#include "http/req/req.h"

#define TRIES	8	/* so often somebody may die between looking and locking */

struct sum {			/* a row */
	uint32_t	 deaths;	/* to which number of the zone it belongs */
	uint32_t	 n;
};

struct zone {
	struct weir_keyed k;
	struct weir_metric requests;
	/* Of this worker: */
	struct weir_list held;
	uint32_t	 deaths;	/* what it holds is entered under this number */
};

struct hold {
	struct weir_hold h;
	struct weir_list node;		/* of zone->held */
	struct zone	*zone;
	uint32_t	 size;
	uint32_t	 key_n;
	char		 key[];
};

struct limit {
	struct zone	*zone;
	uint32_t	 most;
};

struct limit_conn_conf {
	struct weir_keyed_set *zones;
	struct limits {
		struct limit	*v;
		unsigned	 n, room;
	}		 limits;
	int		 log_level;
	int64_t		 status;
	bool		 dry_run;
};

enum verdict { NOT_ASKED, PASSED, REJECTED, REJECTED_DRY_RUN };

struct limited {
	enum verdict	 verdict;
};

extern const struct weir_module limit_conn_module;
static unsigned index_;

/* ---- sums ---- */

static struct weir_zone *
memory(const struct zone *z)
{
	return table_zone(z->k.table);
}

static void
put_back(struct zone *z, struct sum *s)
{
	/* Counted for as long as it is not 0, and no time makes it so. */
	if (s->n == 0)
		table_drop(z->k.table, s);
	else
		table_put(z->k.table, s, weir_now_ms, ROW_PINNED);
}

/* Not written before the last death that this worker knows of. */
static bool
is_current(const struct table_row *row, void *arg)
{
	const struct sum *s = row->row;

	return (int32_t)(s->deaths - ((const struct zone *)arg)->deaths) >= 0;
}

static void
enter(struct zone *z, const struct hold *h)
{
	struct sum *s = table_get(z->k.table, str_of(h->key, h->key_n), true);

	if (s == NULL)
		return;
	if ((int32_t)(s->deaths - z->deaths) < 0)
		*s = (struct sum){ .deaths = z->deaths };
	/* Of a later one: there was another death, and all will be entered once more. */
	s->n += s->deaths == z->deaths;
	put_back(z, s);
}

/* Somebody has died since the last time: what this worker holds is entered anew. */
static void
keep_up(struct zone *z)
{
	uint32_t	  deaths = zone_deaths(memory(z));
	struct weir_list *at;

	if (likely(deaths == z->deaths))
		return;
	z->deaths = deaths;
	/* Nobody comes back for what the dead have pinned. */
	table_each(z->k.table, is_current, z);
	list_each(at, &z->held)
		enter(z, WEIR_OF(at, struct hold, node));
}

/* The sum of a key, locked.  One of later times says that there was another death meanwhile. */
static struct sum *
take_sum(struct zone *z, struct weir_str key, bool make)
{
	struct sum	*s;
	unsigned	 i;

	for (i = 0;; i++) {
		keep_up(z);
		s = table_get(z->k.table, key, make);
		if (s == NULL || s->deaths == z->deaths)
			return s;
		if ((int32_t)(s->deaths - z->deaths) < 0 || i == TRIES)
			break;
		put_back(z, s);
	}
	*s = (struct sum){ .deaths = z->deaths };
	return s;
}

/* ---- holds ---- */

static void
let_go(struct hold *h)
{
	struct sum *s = take_sum(h->zone, str_of(h->key, h->key_n), false);

	/* Not earlier: taking the sum may have entered it anew. */
	list_remove(&h->node);
	if (s == NULL)
		return;
	s->n -= s->n > 0;
	put_back(h->zone, s);
}

static void
on_release(struct weir_hold *base)
{
	struct hold *h = WEIR_OF(base, struct hold, h);

	let_go(h);
	slab_sized_give(h, h->size);
}

static void
hold(struct weir_sess *s, struct zone *z, struct weir_str key)
{
	size_t		 size = sizeof(struct hold) + key.n;
	struct hold	*h = slab_sized_take(size);

	h->size = (uint32_t)size;
	h->zone = z;
	h->key_n = (uint32_t)key.n;
	memcpy(h->key, key.p, key.n);
	h->h.release = on_release;
	list_append(&z->held, &h->node);
	sess_hold(s, &h->h);
}

enum got { TAKEN, FULL, NO_MEMORY };

static enum got
count(const struct limit *l, struct weir_str key)
{
	struct sum	*s;
	bool		 full;

	if ((s = take_sum(l->zone, key, true)) == NULL)
		return NO_MEMORY;
	full = s->n >= l->most;
	s->n += !full;
	put_back(l->zone, s);
	return full ? FULL : TAKEN;
}

/* ---- sessions ---- */

/* What was taken here is given back when a later limit refuses. */
static enum weir_next
reject(struct weir_sess *s, struct limited *d, const struct zone *by, struct weir_hold *before)
{
	const struct limit_conn_conf	*c = SESS_CONF(s, index_);
	struct weir_hold		*h;

	while ((h = s->holds) != before) {
		s->holds = h->next;
		h->release(h);
	}
	d->verdict = c->dry_run ? REJECTED_DRY_RUN : REJECTED;
	metric_add(&by->requests, d->verdict - PASSED, 1);
	return c->dry_run ? WEIR_NEXT : weir_refuse(s, s->is_http ? (int)c->status : 503);
}

static struct weir_sess *
whole(struct weir_sess *s)
{
	return s->is_http ? &req_main(req_of(s))->s : s;
}

static enum weir_next
on_preaccess(struct weir_sess *s)
{
	const struct limit_conn_conf	*c = SESS_CONF(s, index_);
	struct weir_hold		*before = s->holds;
	struct weir_hold		*h;
	struct limited			*d;
	struct weir_str			 key;
	char				 buf[KEYED_BUF];
	unsigned			 i;

	if (c->limits.n == 0)
		return WEIR_NEXT;
	d = sess_kept_make(whole(s), index_, sizeof(*d));
	if (d->verdict != NOT_ASKED)
		return WEIR_NEXT;
	for (i = 0; i < c->limits.n; i++) {
		const struct limit *l = &c->limits.v[i];

		key = keyed_key(s, &l->zone->k, buf);
		if (key.n == 0)
			continue;
		d->verdict = PASSED;
		switch (count(l, key)) {
		case TAKEN:
			hold(s, l->zone, key);
			continue;
		case FULL:
			log_at(&s->log, (enum weir_level)c->log_level, 0,
			    "limiting connections%s by zone \"%.*s\"", c->dry_run ? ", dry run," : "",
			    STR_ARG(l->zone->k.name));
			break;
		case NO_MEMORY:
			break;		/* the table has said so */
		}
		return reject(s, d, l->zone, before);
	}
	/* what was taken here is on top */
	for (h = s->holds; h != before; h = h->next)
		metric_add(&WEIR_OF(h, struct hold, h)->zone->requests, 0, 1);
	return WEIR_NEXT;
}

/* Nobody knows when others will be ready; but at once is too soon. */
static enum weir_next
on_response(struct weir_sess *s)
{
	const struct limited	*d = sess_kept(s, index_);
	struct weir_req		*r = req_of(s);

	if (d != NULL && d->verdict == REJECTED && r->parent == NULL &&
	    (r->rsp.status == 429 || r->rsp.status == 503) &&
	    fields_value(&r->rsp.fields, H_RETRY_AFTER).n == 0)
		req_add(r, "Retry-After", STR("1"));
	return WEIR_NEXT;
}

static int
get_status(struct weir_sess *s, struct weir_str *to, const void *data)
{
	static const char *const names[] = {
		[PASSED] = "PASSED", [REJECTED] = "REJECTED", [REJECTED_DRY_RUN] = "REJECTED_DRY_RUN",
	};
	const struct limited *d = sess_kept(whole(s), index_);

	(void)data;
	if (d == NULL || d->verdict == NOT_ASKED)
		return WEIR_FAIL;
	*to = str_c(names[d->verdict]);
	return WEIR_OK;
}

/* What ends with the worker, and not by itself before: sub-requests in the background. */
static void
stop(void)
{
	const struct limit_conn_conf	*c = conf_of(weir_cycle->main, &limit_conn_module);
	struct weir_keyed		*k;

	for (k = c->zones->first; k != NULL; k = k->next) {
		struct weir_list *held = &((struct zone *)k)->held;

		while (!list_empty(held))
			let_go(list_first(held, struct hold, node));
	}
}

/* ---- configuration ---- */

static const char *const results[] = { "passed", "rejected", "rejected_dry_run", NULL };

static const struct weir_metric_row rows[] = {
	{ "limit_conn_requests_total", METRIC_COUNTER, "Requests, by zone of limit_conn and what it did.",
	  .labels = { { "zone", NULL }, { "result", results } } },
	{ .name = NULL }
};

static int
set_zone(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const char *const known[] = { "zone=", "ipv6_prefix=", NULL };
	struct keyed_params	 params = { .zone_w = 0 };
	struct zone		*z;
	unsigned		 w;

	(void)scope;
	for (w = 2; w < node->n; w++)
		if (!keyed_param(node, w, &params))
			return conf_bad_param(cf, node, w, known);
	z = (struct zone *)keyed_declare(cf, ((struct limit_conn_conf *)conf)->zones, node, &params);
	if (z == NULL)
		return WEIR_FAIL;
	list_init(&z->held);
	metric_series(cf, rows, &z->k.name, &z->requests);
	return WEIR_OK;
}

static int
set_limit(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct limit_conn_conf	*c = conf;
	struct limit		 l;
	uint64_t		 most;
	unsigned		 i;

	(void)scope;
	if (conf_u64(cf, node, 2, node->w[2].s, 1, 65535, &most) != WEIR_OK)
		return WEIR_FAIL;
	l.most = (uint32_t)most;
	l.zone = (struct zone *)keyed_named(cf, c->zones, node, 1, node->w[1].s);
	for (i = 0; i < c->limits.n; i++)
		if (c->limits.v[i].zone == l.zone)
			return conf_error(cf, node, 0, "it is duplicate: zone \"%.*s\" is limited here "
			    "already", STR_ARG(l.zone->k.name));
	*POOL_PUSH(cf->pool, &c->limits) = l;
	return WEIR_OK;
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	static const struct keyed_kind kind = { .name = "limit_conn", .directive = "limit_conn_zone",
		.size = sizeof(struct zone), .row = sizeof(struct sum), .version = 1 };

	if (scope->in == IN_MAIN)
		((struct limit_conn_conf *)conf)->zones = keyed_new(cf, &kind);
	return WEIR_OK;
}

static int
done(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	if (scope->in != IN_MAIN)
		return WEIR_OK;
	return keyed_check(cf, ((struct limit_conn_conf *)conf)->zones);
}

static const struct weir_choice levels[] = {
	{ "info", LOG_INFO_ }, { "notice", LOG_NOTICE_ }, { "warn", LOG_WARN_ }, { "error", LOG_ERROR_ },
	{ NULL, 0 }
};

static const struct weir_cmd cmds[] = {
	{ "limit_conn_zone", IN_HTTP | IN_STREAM, CONF_CUSTOM, .args_min = 2, .args_max = CONF_ANY, .set = set_zone,
	  .flags = CONF_MULTI, .args = "key zone=name:size [ipv6_prefix=bits]",
	  .doc = "Shared memory that counts, by a key which may contain variables, how many requests are being served; "
	  "a request whose key is empty is not counted.  When the key is $binary_remote_addr alone, IPv6 addresses "
	  "count by their first 64 bits, or as many as ipv6_prefix says: 128 tells all addresses apart, as nginx "
	  "does.  When the zone is full of keys in use, requests with others are refused.  What a worker that "
	  "crashed had counted is forgotten.  A reload keeps a zone whose key and size stay the same." },
	{ "limit_conn", IN_HTTP_ANY | IN_STREAM_ANY, CONF_CUSTOM, CONF_AT(limit_conn_conf, limits), .args_min = 2,
	  .args_max = 2, .set = set_limit, .flags = CONF_MULTI, .args = "zone number",
	  .doc = "So many requests of a key may be served at once; more are refused.  A request counts from when its head "
	  "was read until it is over, a tunnel (WebSocket) or a connection of stream as long as it lasts." },
	{ "limit_conn_log_level", IN_HTTP_ANY | IN_STREAM_ANY, CONF_ENUM, CONF_AT(limit_conn_conf, log_level), .def = "error",
	  .choices = levels,
	  .doc = "The level at which refused requests are logged." },
	{ "limit_conn_status", IN_HTTP_ANY, CONF_INT, CONF_AT(limit_conn_conf, status), .def = "429",
	  .min = 400, .max = 599, .args = "status",
	  .doc = "The status of refused requests.  429 and 503 come with a field Retry-After." },
	{ "limit_conn_dry_run", IN_HTTP_ANY | IN_STREAM_ANY, CONF_FLAG, CONF_AT(limit_conn_conf, dry_run), .def = "off",
	  .doc = "Requests are counted and what would be done is logged, but nobody is refused." },
	{ 0 }
};

static const struct weir_var vars[] = {
	{ .name = "limit_conn_status", .get = get_status, .flags = VAR_VOLATILE | VAR_KEEP | VAR_STREAM,
	  .doc = "What limit_conn did: PASSED, REJECTED or REJECTED_DRY_RUN." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct limit_conn_conf *)conf)->limits.n == 0;
}

static const struct weir_hook hooks[] = {
	{ ON_PREACCESS, on_preaccess, idle }, { ON_RESPONSE, on_response, NULL }, { .fn = NULL }
};

const struct weir_module limit_conn_module = {
	.name = "limit_conn", .index = &index_, .conf_size = sizeof(struct limit_conn_conf), .cmds = cmds,
	.vars = vars, .hooks = hooks, .stream_too = true, .ready = ready, .done = done, .stop = stop,
	.metrics = rows,
	.doc = "How many may be served at once, by any key.",
};
