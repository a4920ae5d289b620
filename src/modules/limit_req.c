/*
 * limit_req.c - how often requests may come: a leaky bucket for each key of a zone, in shared memory.
 *
 * A bucket holds `excess`, in thousandths of a request.  It runs out at the rate of the zone, and each
 * request puts 1000 in.  Who would make it fuller than `burst` is refused, and what it holds
 * above `delay` is waited for.  Refused requests put nothing in.
 *
 * With several limits all are asked first and then all are charged, so that a request that one of
 * them refuses costs nothing elsewhere.
 *
 * A bucket that has run out, and a request more, is like one that never was: so long a row is kept.
 */
#include "core/base/clock.h"
#include "core/base/num.h"
#include "core/metric/metric.h"
#include "core/sess/keyed.h"
#include "http/req/req.h"

#define REQUEST		1000			/* what a request puts in */
#define NEVER		(INT64_MAX / 4)		/* delay= of nodelay */

struct bucket {			/* a row */
	uint64_t	 last_ms;
	int64_t		 excess;
};

struct zone {
	struct weir_keyed k;
	int64_t		 rate;			/* thousandths of a request a second */
	struct weir_metric requests;
};

struct limit {
	struct zone	*zone;
	int64_t		 burst, delay;		/* thousandths */
};

struct limit_req_conf {
	struct weir_keyed_set *zones;
	struct limits {
		struct limit	*v;
		unsigned	 n, room;
	}		 limits;
	int		 log_level;
	int64_t		 status;
	bool		 dry_run, headers;
};

enum verdict { NOT_ASKED, PASSED, DELAYED, REJECTED, DELAYED_DRY_RUN, REJECTED_DRY_RUN };

/* What became of a request; the status is kept for the request that the client made. */
struct limited {
	enum verdict	 verdict;
	int64_t		 excess;		/* of the bucket that decided */
	const struct limit *limit;
	bool		 headers, waits;
	struct weir_sess *s;
	struct weir_timer timer;
};

extern const struct weir_module limit_req_module;
static unsigned index_;

/* ---- buckets ---- */

static int64_t
now_in(const struct bucket *b, int64_t rate)
{
	uint64_t ms = weir_now_ms > b->last_ms ? weir_now_ms - b->last_ms : 0;
	int64_t	 out;

	if (b->last_ms == 0)
		return 0;
	/* More milliseconds than it can hold thousandths: empty in any case. */
	if (__builtin_mul_overflow((int64_t)ms, rate, &out))
		return 0;
	return WEIR_MAX(b->excess - out / 1000 + REQUEST, 0);
}

static void
put_back(const struct zone *z, struct bucket *b)
{
	table_put(z->k.table, b, b->last_ms + (uint64_t)((b->excess + REQUEST) * 1000 / z->rate) + 1,
	    b->excess > 0 ? ROW_HELD : ROW_PLAIN);
}

static void
charge(const struct zone *z, struct bucket *b, int64_t excess)
{
	if (b->last_ms == 0 || weir_now_ms > b->last_ms)
		b->last_ms = weir_now_ms;
	b->excess = excess;
	put_back(z, b);
}

/* How full it would be; with `pay`, it is charged unless that is too much. */
static int64_t
ask(const struct limit *l, struct weir_str key, bool pay)
{
	struct bucket	*b = table_get(l->zone->k.table, key, pay);
	int64_t		 excess;

	if (b == NULL)
		return pay ? l->burst + REQUEST : 0;	/* no room at all: as if it was full */
	excess = now_in(b, l->zone->rate);
	if (pay && excess <= l->burst)
		charge(l->zone, b, excess);
	else
		put_back(l->zone, b);
	return excess;
}

static int64_t
pay(const struct limit *l, struct weir_str key)
{
	struct bucket	*b = table_get(l->zone->k.table, key, true);
	int64_t		 excess;

	if (b == NULL)
		return 0;
	excess = now_in(b, l->zone->rate);
	charge(l->zone, b, excess);
	return excess;
}

static int64_t
delay_ms(const struct limit *l, int64_t excess)
{
	return excess <= l->delay ? 0 : (excess - l->delay) * 1000 / l->zone->rate;
}

/* ---- a request ---- */

/* False: one of the limits refuses, which d->limit is. */
static bool
ask_all(struct weir_sess *s, const struct limits *all, struct limited *d)
{
	char		buf[KEYED_BUF];
	struct weir_str key;
	unsigned	i;

	for (i = 0; i < all->n; i++) {
		const struct limit *l = &all->v[i];

		key = keyed_key(s, &l->zone->k, buf);
		if (key.n == 0)
			continue;
		/* The last one pays at once, for most have but one. */
		d->excess = ask(l, key, i == all->n - 1);
		d->limit = l;
		if (d->excess > l->burst)
			return false;
	}
	return true;
}

/* The longest of all delays.  The last limit has been charged already, when it has a key. */
static int64_t
pay_all(struct weir_sess *s, const struct limits *all, struct limited *d)
{
	const struct limit *last = &all->v[all->n - 1];
	char		buf[KEYED_BUF];
	struct weir_str key;
	int64_t		longest, ms, excess;
	unsigned	i;

	if (d->limit != last)
		d->excess = 0;
	longest = d->limit == last ? delay_ms(last, d->excess) : 0;
	for (i = all->n - 1; i-- > 0; ) {
		const struct limit *l = &all->v[i];

		key = keyed_key(s, &l->zone->k, buf);
		if (key.n == 0)
			continue;
		excess = pay(l, key);
		ms = delay_ms(l, excess);
		if (ms > longest || (longest == 0 && excess > d->excess)) {
			longest = ms;
			d->excess = excess;
			d->limit = l;
		}
	}
	return longest;
}

static void
say(struct weir_sess *s, int level, const char *what, const char *by, const struct limited *d)
{
	const struct limit_req_conf *c = SESS_CONF(s, index_);

	log_at(&s->log, (enum weir_level)level, 0, "%s%s, excess: %lld.%03lld%s by zone \"%.*s\"", what,
	    c->dry_run ? ", dry run" : "", (long long)d->excess / 1000, (long long)d->excess % 1000, by,
	    STR_ARG(d->limit->zone->k.name));
}

/* It counts for the zone that decided. */
static void
judge(struct limited *d, enum verdict v)
{
	d->verdict = v;
	metric_add(&d->limit->zone->requests, v - PASSED, 1);
}

static enum weir_next
reject(struct weir_sess *s, struct limited *d)
{
	const struct limit_req_conf *c = SESS_CONF(s, index_);

	say(s, c->log_level, "limiting requests", "", d);
	judge(d, c->dry_run ? REJECTED_DRY_RUN : REJECTED);
	return c->dry_run ? WEIR_NEXT : weir_refuse(s, (int)c->status);
}

static void
on_timer(struct weir_timer *t)
{
	struct limited *w = WEIR_OF(t, struct limited, timer);

	w->waits = false;
	req_of(w->s)->on_client_gone = NULL;
	weir_resume(w->s);
}

/* Waiting is not worth it for one who will not be there. */
static void
on_client_gone(struct weir_req *r, const char *why, bool broken)
{
	struct limited *w = sess_kept(&r->s, index_);

	(void)broken;
	timer_off(&w->timer);
	w->waits = false;
	r->on_client_gone = NULL;
	log_info(&r->s.log, "%s while it was delayed", why);
	r->rsp.status = 499;
	req_abort(r, why);
}

static void
end_wait(void *arg)
{
	timer_off(&((struct limited *)arg)->timer);
}

static enum weir_next
wait(struct weir_sess *s, uint64_t ms)
{
	struct limited	*w = sess_kept_make(s, index_, sizeof(*w));
	struct weir_req *r = req_of(s);

	w->s = s;
	w->waits = true;
	timer_init(&w->timer, on_timer);
	pool_on_free(s->pool, end_wait, w);
	timer_set(&w->timer, ms);
	r->on_client_gone = on_client_gone;
	if (r->x->gone == 0)
		return WEIR_WAIT;
	on_client_gone(r, "client closed connection", r->x->gone > 1);
	return WEIR_DONE;
}

static enum weir_next
on_preaccess(struct weir_sess *s)
{
	const struct limit_req_conf *c = SESS_CONF(s, index_);
	struct limited	*d;
	int64_t		 ms;

	if (c->limits.n == 0)
		return WEIR_NEXT;
	/* Once for each request of a client, whatever it causes inside. */
	d = sess_kept_make(&req_main(req_of(s))->s, index_, sizeof(*d));
	if (d->verdict != NOT_ASKED)
		return WEIR_NEXT;
	if (!ask_all(s, &c->limits, d)) {
		d->headers = c->headers;
		return reject(s, d);
	}
	ms = pay_all(s, &c->limits, d);
	if (d->limit == NULL)
		return WEIR_NEXT;		/* no key had a value */
	d->headers = c->headers;
	if (ms == 0) {
		judge(d, PASSED);
		return WEIR_NEXT;
	}
	say(s, WEIR_MIN(c->log_level + 1, LOG_INFO_), "delaying request", ",", d);
	judge(d, c->dry_run ? DELAYED_DRY_RUN : DELAYED);
	return c->dry_run ? WEIR_NEXT : wait(s, (uint64_t)ms);
}

/* ---- fields of the response ---- */

static void
add_number(struct weir_req *r, const char *name, int64_t n)
{
	char *p = pool_bytes(r->s.pool, NUM_MAX);

	req_add(r, name, str_of(p, (size_t)(num_put(p, (uint64_t)n) - p)));
}

/* Whole seconds until so many thousandths have run out. */
static int64_t
seconds(const struct limited *d, int64_t thousandths)
{
	int64_t rate = d->limit->zone->rate;

	return thousandths <= 0 ? 0 : (thousandths + rate - 1) / rate;
}

static enum weir_next
on_response(struct weir_sess *s)
{
	const struct limited	*d = sess_kept(s, index_);
	struct weir_req		*r = req_of(s);

	if (d == NULL || d->verdict == NOT_ASKED || r->parent != NULL)
		return WEIR_NEXT;
	if (d->verdict == REJECTED && (r->rsp.status == 429 || r->rsp.status == 503) &&
	    fields_value(&r->rsp.fields, H_RETRY_AFTER).n == 0)
		add_number(r, "Retry-After", WEIR_MAX(seconds(d, d->excess - d->limit->burst), 1));
	if (!d->headers)
		return WEIR_NEXT;
	add_number(r, "RateLimit-Limit", d->limit->burst / 1000 + 1);
	add_number(r, "RateLimit-Remaining", WEIR_MAX(d->limit->burst - d->excess, 0) / 1000);
	add_number(r, "RateLimit-Reset", seconds(d, d->excess));
	return WEIR_NEXT;
}

static int
get_status(struct weir_sess *s, struct weir_str *to, const void *data)
{
	static const char *const names[] = {
		[PASSED] = "PASSED", [DELAYED] = "DELAYED", [REJECTED] = "REJECTED",
		[DELAYED_DRY_RUN] = "DELAYED_DRY_RUN", [REJECTED_DRY_RUN] = "REJECTED_DRY_RUN",
	};
	const struct limited *d = sess_kept(&req_main(req_of(s))->s, index_);

	(void)data;
	if (d == NULL || d->verdict == NOT_ASKED)
		return WEIR_FAIL;
	*to = str_c(names[d->verdict]);
	return WEIR_OK;
}

/* ---- configuration ---- */

static const char *const results[] = { "passed", "delayed", "rejected", "delayed_dry_run", "rejected_dry_run", NULL };

static const struct weir_metric_row rows[] = {
	{ "limit_req_requests_total", METRIC_COUNTER, "Requests, by the zone of limit_req that decided and what it did.",
	  .labels = { { "zone", NULL }, { "result", results } } },
	{ .name = NULL }
};

/* "10r/s", "30r/m" */
static int
read_rate(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str text,
    int64_t *to)
{
	int64_t	 per = str_ends(text, STR("r/s")) ? 1 : str_ends(text, STR("r/m")) ? 60 : 0;
	uint64_t n;

	if (per == 0 || num_u64(str_of(text.p, text.n - 3), &n) != WEIR_OK || n == 0 ||
	    n > INT32_MAX)
		return conf_error(cf, node, w, "invalid rate \"%.*s\": it is a number of requests, "
		    "as 10r/s or 30r/m", STR_ARG(text));
	*to = WEIR_MAX((int64_t)n * 1000 / per, 1);
	return WEIR_OK;
}

static int
set_zone(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	static const char *const known[] = { "zone=", "rate=", "ipv6_prefix=", NULL };
	struct limit_req_conf	*c = conf;
	struct keyed_params	 params = { .zone_w = 0 };
	struct weir_str		 text;
	struct zone		*z;
	int64_t			 rate = REQUEST;
	unsigned		 w;

	(void)scope;
	for (w = 2; w < node->n; w++) {
		if (keyed_param(node, w, &params))
			continue;
		if (str_eq(node->w[w].s, STR("sync")))
			return conf_error(cf, node, w, "zones of several servers cannot be synchronized");
		if (!conf_param(node, w, "rate", &text))
			return conf_bad_param(cf, node, w, known);
		if (read_rate(cf, node, w, text, &rate) != WEIR_OK)
			return WEIR_FAIL;
	}
	z = (struct zone *)keyed_declare(cf, c->zones, node, &params);
	if (z == NULL)
		return WEIR_FAIL;
	z->rate = rate;
	metric_series(cf, rows, &z->k.name, &z->requests);
	return WEIR_OK;
}

static int
read_thousandths(struct weir_conf *cf, const struct weir_node *node, unsigned w, struct weir_str text,
    int64_t *to)
{
	uint64_t n;

	if (conf_u64(cf, node, w, text, 0, INT32_MAX, &n) != WEIR_OK)
		return WEIR_FAIL;
	*to = (int64_t)n * 1000;
	return WEIR_OK;
}

static int
read_limit(struct weir_conf *cf, struct limit_req_conf *c, const struct weir_node *node, unsigned w,
    struct limit *l)
{
	static const char *const known[] = { "zone=", "burst=", "delay=", "nodelay", NULL };
	struct weir_str text;

	if (conf_param(node, w, "zone", &text)) {
		l->zone = (struct zone *)keyed_named(cf, c->zones, node, w, text);
		return WEIR_OK;
	}
	if (conf_param(node, w, "burst", &text))
		return read_thousandths(cf, node, w, text, &l->burst);
	if (conf_param(node, w, "delay", &text))
		return read_thousandths(cf, node, w, text, &l->delay);
	if (!str_eq(node->w[w].s, STR("nodelay")))
		return conf_bad_param(cf, node, w, known);
	l->delay = NEVER;
	return WEIR_OK;
}

static int
set_limit(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct limit_req_conf	*c = conf;
	struct limit		 l = { .zone = NULL };
	unsigned		 w, i;

	(void)scope;
	for (w = 1; w < node->n; w++)
		if (read_limit(cf, c, node, w, &l) != WEIR_OK)
			return WEIR_FAIL;
	if (l.zone == NULL)
		return conf_error(cf, node, 0, "it must have the parameter zone=name");
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
	static const struct keyed_kind kind = { .name = "limit_req", .directive = "limit_req_zone",
		.size = sizeof(struct zone), .row = sizeof(struct bucket), .version = 1 };

	if (scope->in == IN_MAIN)
		((struct limit_req_conf *)conf)->zones = keyed_new(cf, &kind);
	return WEIR_OK;
}

static int
done(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	if (scope->in != IN_MAIN)
		return WEIR_OK;
	return keyed_check(cf, ((struct limit_req_conf *)conf)->zones);
}

static const struct weir_choice levels[] = {
	{ "info", LOG_INFO_ }, { "notice", LOG_NOTICE_ }, { "warn", LOG_WARN_ }, { "error", LOG_ERROR_ },
	{ NULL, 0 }
};

static const struct weir_cmd cmds[] = {
	{ "limit_req_zone", IN_HTTP, CONF_CUSTOM, .args_min = 2, .args_max = CONF_ANY, .set = set_zone,
	  .flags = CONF_MULTI, .args = "key zone=name:size [rate=rate] [ipv6_prefix=bits]",
	  .doc = "Shared memory that counts requests by a key, which may contain variables; a request whose key is "
	  "empty is not counted.  rate is so many requests a second (10r/s) or a minute (30r/m); 1r/s unless told.  "
	  "When the key is $binary_remote_addr alone, IPv6 addresses count by their first 64 bits, or as "
	  "many as ipv6_prefix says: 128 tells all addresses apart, as nginx does.  "
	  "A full zone forgets the oldest keys that do not come often and have nothing to wait for.  "
	  "A reload keeps a zone whose key and size stay the same." },
	{ "limit_req", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(limit_req_conf, limits), .args_min = 1,
	  .args_max = CONF_ANY, .set = set_limit, .flags = CONF_MULTI,
	  .args = "zone=name [burst=number] [nodelay | delay=number]",
	  .doc = "Requests that come faster than the zone's rate wait, so that they go on at that rate; when more than "
	  "burst (0) would wait, they are refused.  With nodelay nobody waits, with delay=number only what is above "
	  "that number.  Of several limits all must let a request pass, and the longest delay counts." },
	{ "limit_req_log_level", IN_HTTP_ANY, CONF_ENUM, CONF_AT(limit_req_conf, log_level), .def = "error",
	  .choices = levels,
	  .doc = "The level at which refused requests are logged; delayed ones are logged one level below." },
	{ "limit_req_status", IN_HTTP_ANY, CONF_INT, CONF_AT(limit_req_conf, status), .def = "429",
	  .min = 400, .max = 599, .args = "status",
	  .doc = "The status of refused requests.  429 and 503 come with a field Retry-After." },
	{ "limit_req_dry_run", IN_HTTP_ANY, CONF_FLAG, CONF_AT(limit_req_conf, dry_run), .def = "off",
	  .doc = "Requests are counted and what would be done is logged, but nobody is delayed or refused." },
	{ "limit_headers", IN_HTTP_ANY, CONF_FLAG, CONF_AT(limit_req_conf, headers), .def = "off",
	  .doc = "Tells clients how they stand with limit_req: RateLimit-Limit (how many requests may come at once), "
	  "RateLimit-Remaining, and RateLimit-Reset (seconds until all may come again)." },
	{ 0 }
};

static const struct weir_var vars[] = {
	{ .name = "limit_req_status", .get = get_status, .flags = VAR_VOLATILE | VAR_KEEP,
	  .doc = "What limit_req did: PASSED, DELAYED, REJECTED, DELAYED_DRY_RUN or REJECTED_DRY_RUN." },
	{ 0 }
};

static bool
idle(const void *conf)
{
	return ((const struct limit_req_conf *)conf)->limits.n == 0;
}

static const struct weir_hook hooks[] = {
	{ ON_PREACCESS, on_preaccess, idle }, { ON_RESPONSE, on_response, NULL }, { .fn = NULL }
};

const struct weir_module limit_req_module = {
	.name = "limit_req", .index = &index_, .conf_size = sizeof(struct limit_req_conf), .cmds = cmds,
	.vars = vars, .hooks = hooks, .ready = ready, .done = done, .metrics = rows,
	.doc = "How often requests may come, by any key.",
};
