/*
 * metrics.c - what weir counts, for Prometheus and as JSON; and the counts of requests.
 *
 * Requests count for the status_zone of their server, or for the one without a name; and for that of the location in
 * which they ended, if it has one.  They are counted when they are logged.  Where no place shows metrics, no
 * request is counted.
 */
#include "core/base/clock.h"
#include "core/metric/metric.h"
#include "http/req/req.h"

/* How long most things take, and most people wait. */
#define BUCKETS_DEFAULT	{ 5, 10, 20, 30, 50, 75, 100, 200, 300, 500, 750, 1000, 2000, 3000, 5000, 7500, 10000 }

struct zone {
	struct zone	*next;
	struct weir_str	 name;
	struct weir_metric requests, received, sent;
	struct weir_histogram seconds;
};

/* Of a configuration. */
struct all {
	struct zone	*servers, *locations;
	struct zone	 nameless;		/* of servers without a status_zone */
	bool		 shown;			/* somewhere */
	uint32_t	 bounds[METRIC_BOUNDS_MAX];
	unsigned	 n_bounds;
};

struct metrics_conf {
	struct all	*all;
	struct zone	*server, *location;	/* location NULL: none */
	struct weir_expr exclude;
	bool		 text, json;		/* it is shown here */
};

static unsigned index_;
extern const struct weir_module metrics_module;

/* ---- rows ---- */

enum { HTTP1, HTTP2, N_PROTOS };
enum { NO_STATUS = 5 };

static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx", "none", NULL };
static const char *const protos[] = { "http1", "http2", NULL };

enum { REQUESTS, RECEIVED, SENT, SECONDS };

#define ROWS(prefix, label, of)									\
	[REQUESTS] = { prefix "requests_total", METRIC_COUNTER, "Requests that have ended, by " of	\
	  ", class of status and protocol.", .labels = { { label, NULL }, { "class", classes }, { "proto", protos } } }, \
	[RECEIVED] = { prefix "received_bytes_total", METRIC_COUNTER, "Bytes of requests, by " of ".",	\
	  .labels = { { label, NULL } } },								\
	[SENT] = { prefix "sent_bytes_total", METRIC_COUNTER, "Bytes of responses, by " of ".",		\
	  .labels = { { label, NULL } } },								\
	[SECONDS] = { prefix "request_seconds", METRIC_HISTOGRAM, "How long requests took, by " of ".",	\
	  .labels = { { label, NULL } } }

static const struct weir_metric_row rows[] = {
	ROWS("http_", "server", "status_zone of the server"),
	{ .name = NULL }
};

static const struct weir_metric_row location_rows[] = {
	ROWS("http_location_", "location", "status_zone of the location"),
	{ .name = NULL }
};

static void
declare(struct weir_conf *cf, const struct weir_metric_row *of, const struct all *all, struct zone *z)
{
	metric_series(cf, &of[REQUESTS], &z->name, &z->requests);
	metric_series(cf, &of[RECEIVED], &z->name, &z->received);
	metric_series(cf, &of[SENT], &z->name, &z->sent);
	metric_histogram(cf, &of[SECONDS], &z->name, all->bounds, all->n_bounds, &z->seconds);
}

/* ---- counting ---- */

static inline unsigned
kind_of(const struct weir_req *r)
{
	unsigned class = (unsigned)r->rsp.status / 100 - 1;

	return WEIR_MIN(class, NO_STATUS) * N_PROTOS + (r->x->version >= 0x200 ? HTTP2 : HTTP1);
}

/* $request_length and $bytes_sent, of what is no sub-request. */
static inline void
count(const struct zone *z, const struct weir_req *r)
{
	metric_add(&z->requests, kind_of(r), 1);
	metric_add(&z->received, 0, r->msg->size + r->x->received);
	metric_add(&z->sent, 0, r->x->sent);
	metric_observe(&z->seconds, weir_now_ms - r->s.began_ms);
}

/* Apart, so that the usual case needs no stack. */
static enum weir_next __attribute__((noinline))
count_unusual(struct weir_sess *s)
{
	const struct metrics_conf	*c = SESS_CONF(s, index_);
	struct weir_req			*r = req_of(s);

	if (r->parent != NULL || (c->exclude.set && expr_true(expr_eval(s, &c->exclude))))
		return WEIR_NEXT;
	count(c->server, r);
	if (c->location != NULL)
		count(c->location, r);
	return WEIR_NEXT;
}

static enum weir_next
on_log(struct weir_sess *s)
{
	const struct metrics_conf	*c = SESS_CONF(s, index_);
	struct weir_req			*r = req_of(s);

	if (r->parent != NULL || c->exclude.set || c->location != NULL)
		return count_unusual(s);
	count(c->server, r);
	return WEIR_NEXT;
}

/* Nobody would see it. */
static bool
nothing_shown(const void *conf)
{
	return !((const struct metrics_conf *)conf)->all->shown;
}

/* ---- showing ---- */

static const struct weir_str types[] = {
	[METRIC_PROMETHEUS] = { "text/plain; version=0.0.4; charset=utf-8", 40 },
	[METRIC_OPENMETRICS] = { "application/openmetrics-text; version=1.0.0; charset=utf-8", 58 },
	[METRIC_JSON] = { "application/json", 16 },
};

static enum weir_next
on_content(struct weir_sess *s)
{
	struct weir_req			*r = req_of(s);
	const struct metrics_conf	*c = SESS_CONF(s, index_);
	enum weir_metric_form		 form = c->json ? METRIC_JSON : METRIC_PROMETHEUS;

	if (r->method_id != M_GET && r->method_id != M_HEAD)
		return req_error(r, 405);
	if (c->text && str_ifind(fields_value(&r->msg->fields, H_ACCEPT), STR("application/openmetrics-text")) >= 0)
		form = METRIC_OPENMETRICS;
	return req_respond_text(r, 200, types[form], metrics_text(weir_cycle->conf->metrics, form, s->pool));
}

static bool
not_here(const void *conf)
{
	const struct metrics_conf *c = conf;

	return !c->text && !c->json;
}

/* ---- configuration ---- */

static int
show(struct weir_conf *cf, const struct weir_node *node, struct metrics_conf *c, bool *here)
{
	*here = true;
	c->all->shown = true;
	if (c->text && c->json)
		return conf_error(cf, node, 0, "a place shows either metrics or metrics_json");
	return WEIR_OK;
}

static int
set_text(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct metrics_conf *c = conf;

	(void)scope;
	return show(cf, node, c, &c->text);
}

static int
set_json(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct metrics_conf *c = conf;

	(void)scope;
	return show(cf, node, c, &c->json);
}

static struct zone *
zone_of(struct weir_conf *cf, struct zone **list, struct weir_str name)
{
	struct zone *z;

	for (; (z = *list) != NULL; list = &z->next)
		if (str_eq(z->name, name))
			return z;
	z = *list = POOL_NEW(cf->pool, zone);
	z->name = name;
	return z;
}

static int
set_zone(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct metrics_conf	*c = conf;
	struct weir_str		 name = node->w[1].s;

	if (name.n == 0)
		return conf_error(cf, node, 1, "the zone has no name");
	if (str_chr(name, '$') >= 0)
		return conf_error(cf, node, 1, "the name of a zone cannot have variables: clients would choose how many "
		    "there are");
	if (scope->in == IN_SERVER)
		c->server = zone_of(cf, &c->all->servers, name);
	else if (str_eq(name, STR("off")))
		c->location = NULL;
	else
		c->location = zone_of(cf, &c->all->locations, name);
	return WEIR_OK;
}

static int
set_exclude(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	(void)scope;
	return expr_field(cf, node, 1, &((struct metrics_conf *)conf)->exclude);
}

static int
set_buckets(struct weir_conf *cf, struct weir_scope *scope, struct weir_node *node, void *conf)
{
	struct all	*all = ((struct metrics_conf *)conf)->all;
	uint64_t	 ms, last = 0;
	unsigned	 w;

	(void)scope;
	if (node->n - 1 > METRIC_BOUNDS_MAX)
		return conf_error(cf, node, METRIC_BOUNDS_MAX + 1, "%d bounds are enough", METRIC_BOUNDS_MAX);
	for (w = 1; w < node->n; w++, last = ms) {
		if (conf_msec(cf, node, w, node->w[w].s, &ms) != WEIR_OK)
			return WEIR_FAIL;
		if (ms <= last || ms > UINT32_MAX)
			return conf_error(cf, node, w, "each bound must be longer than the one before");
		all->bounds[w - 1] = (uint32_t)ms;
	}
	all->n_bounds = node->n - 1;
	return WEIR_OK;
}

static int
ready(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	static const uint32_t	 bounds[] = BUCKETS_DEFAULT;
	struct metrics_conf	*c = conf;

	if (scope->in != IN_MAIN)
		return WEIR_OK;
	c->all = POOL_NEW(cf->pool, all);
	memcpy(c->all->bounds, bounds, sizeof(bounds));
	c->all->n_bounds = WEIR_COUNT(bounds);
	c->server = &c->all->nameless;
	return WEIR_OK;
}

static int
done(struct weir_conf *cf, struct weir_scope *scope, void *conf)
{
	struct all	*all = ((struct metrics_conf *)conf)->all;
	struct zone	*z;

	if (scope->in != IN_MAIN || !all->shown)
		return WEIR_OK;
	all->nameless.name = STR("");
	declare(cf, rows, all, &all->nameless);
	for (z = all->servers; z != NULL; z = z->next)
		declare(cf, rows, all, z);
	for (z = all->locations; z != NULL; z = z->next)
		declare(cf, location_rows, all, z);
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "metrics", IN_SERVER | IN_LOCATION, CONF_CUSTOM, CONF_AT(metrics_conf, text), .set = set_text,
	  .flags = CONF_NOINHERIT, .args = "",
	  .doc = "Answer with what is counted, in the text format of Prometheus, or as OpenMetrics to those who ask for it by "
	  "Accept.  The numbers are those of all workers, and go on over reloads, crashes of workers and changes of the "
	  "binary.  Requests are counted when some place of the configuration has this directive or metrics_json.  "
	  "Who may ask is said by allow, deny and auth_basic, as anywhere." },
	{ "metrics_json", IN_SERVER | IN_LOCATION, CONF_CUSTOM, CONF_AT(metrics_conf, json), .set = set_json,
	  .flags = CONF_NOINHERIT, .args = "",
	  .doc = "The same as JSON: an object with the type, the help and the series of each metric." },
	{ "metrics_buckets", IN_HTTP, CONF_CUSTOM, .args_min = 1, .args_max = CONF_ANY, .set = set_buckets,
	  .args = "time ...",
	  .doc = "The bounds of the histograms of how long requests took, ascending; at most 32.  Without it: 5ms 10ms 20ms "
	  "30ms 50ms 75ms 100ms 200ms 300ms 500ms 750ms 1s 2s 3s 5s 7500ms 10s.  Histograms with other bounds begin "
	  "anew." },
	{ "metrics_exclude", IN_HTTP_ANY, CONF_CUSTOM, CONF_AT(metrics_conf, exclude), .args_min = 1, .args_max = 1,
	  .set = set_exclude, .args = "condition",
	  .doc = "Requests for which this, with its variables, is neither empty nor 0 are not counted: those of health "
	  "checks, for example.  Let the address decide, or the place; what a client can say by itself hides it." },
	{ "status_zone", IN_SERVER | IN_LOCATION | IN_IF, CONF_CUSTOM, .args_min = 1, .args_max = 1, .set = set_zone,
	  .args = "name | off",
	  .doc = "In server: requests of the server are counted under this name (weir_http_*, label server), which servers may "
	  "share.  In location, besides: those that end there (weir_http_location_*, label location); off ends what an "
	  "outer location began.  More than 256 names count as \"other\"." },
	{ 0 }
};

static const struct weir_hook hooks[] = {
	{ ON_CONTENT, on_content, not_here }, { ON_LOG, on_log, nothing_shown }, { .fn = NULL }
};

const struct weir_module metrics_module = {
	.name = "metrics", .index = &index_, .conf_size = sizeof(struct metrics_conf),
	.cmds = cmds, .hooks = hooks, .ready = ready, .done = done, .metrics = rows,
	.doc = "What weir counts, for monitoring systems.",
};
