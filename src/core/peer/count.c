/*
 * count.c - metrics of upstream groups.
 *
 * The servers of a group with a zone are shown with their state, which all workers share; of others each worker
 * has its own opinion.
 */
#include "core/peer/block.h"

static const char *const classes[] = { "1xx", "2xx", "3xx", "4xx", "5xx", NULL };
static const char *const reasons[] = { "error", "timeout", "invalid", "no_server", NULL };
static const uint32_t bounds[] = { 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000 };

enum { RESPONSES, SECONDS, FAILURES, RETRIES, BUSY, RECEIVED, SENT, SERVER_UP, SERVER_CONNS, REFUSED, HEDGES, CHECKS,
	CHECKS_FAILED, UNHEALTHY };

#define GROUP { "upstream", NULL }

const struct weir_metric_row upstream_rows[] = {
	[RESPONSES] = { "upstream_responses_total", METRIC_COUNTER, "Responses of the servers of an upstream group.",
	  .labels = { GROUP, { "class", classes } } },
	[SECONDS] = { "upstream_response_seconds", METRIC_HISTOGRAM,
	  "How long it took until the head of a response was there.", .labels = { GROUP } },
	[FAILURES] = { "upstream_failures_total", METRIC_COUNTER, "Attempts that failed, and requests for which there was "
	  "no server.", .labels = { GROUP, { "reason", reasons } } },
	[RETRIES] = { "upstream_retries_total", METRIC_COUNTER, "Attempts of requests that had made another before.",
	  .labels = { GROUP } },
	[BUSY] = { "upstream_requests_in_progress", METRIC_GAUGE, "Requests that servers are working on.",
	  .labels = { GROUP } },
	[RECEIVED] = { "upstream_received_bytes_total", METRIC_COUNTER, "Bytes from servers.", .labels = { GROUP } },
	[SENT] = { "upstream_sent_bytes_total", METRIC_COUNTER, "Bytes to servers.", .labels = { GROUP } },
	[SERVER_UP] = { "upstream_server_up", METRIC_GAUGE, "Is the server of a group with a zone asked?  0: it is down, has "
	  "failed, is unhealthy or has an open circuit.", .labels = { GROUP, { "server", NULL } } },
	[SERVER_CONNS] = { "upstream_server_connections", METRIC_GAUGE, "Requests and tunnels that the server of a group "
	  "with a zone has.", .labels = { GROUP, { "server", NULL } } },
	[HEDGES] = { "upstream_hedges_total", METRIC_COUNTER, "Attempts beside another that had no answer yet.",
	  .labels = { GROUP } },
	[REFUSED] = { "upstream_retries_refused_total", METRIC_COUNTER, "Further attempts that a budget did not allow.",
	  .labels = { GROUP } },
	[CHECKS] = { "upstream_server_checks_total", METRIC_COUNTER, "How often health_check asked the server.",
	  .labels = { GROUP, { "server", NULL } } },
	[CHECKS_FAILED] = { "upstream_server_checks_failed_total", METRIC_COUNTER, "How often the server did not pass.",
	  .labels = { GROUP, { "server", NULL } } },
	[UNHEALTHY] = { "upstream_server_unhealthy_total", METRIC_COUNTER, "How often the server became unhealthy.",
	  .labels = { GROUP, { "server", NULL } } },
	{ .name = NULL }
};

static struct weir_group_count others;

/* ---- while binding ---- */

static void
declare(struct weir_conf *cf, struct weir_str name, struct weir_group_count *c)
{
	metric_series(cf, &upstream_rows[RESPONSES], &name, &c->responses);
	metric_histogram(cf, &upstream_rows[SECONDS], &name, bounds, WEIR_COUNT(bounds), &c->seconds);
	metric_series(cf, &upstream_rows[FAILURES], &name, &c->failures);
	metric_series(cf, &upstream_rows[RETRIES], &name, &c->retries);
	metric_series(cf, &upstream_rows[REFUSED], &name, &c->refused);
	metric_series(cf, &upstream_rows[HEDGES], &name, &c->hedges);
	metric_series(cf, &upstream_rows[BUSY], &name, &c->busy);
	metric_series(cf, &upstream_rows[RECEIVED], &name, &c->received);
	metric_series(cf, &upstream_rows[SENT], &name, &c->sent);
}

void
count_groups(struct weir_conf *cf)
{
	declare(cf, STR("other"), &others);
}

static const struct weir_state *
state_of(const struct weir_peer *p)
{
	return p->group->block != NULL ? block_state(p->group->block, p->number) : NULL;
}

static int64_t
get_up(const void *arg)
{
	const struct weir_state *s = state_of(arg);

	return s != NULL && !(s->out & (OUT_DOWN | OUT_DRAIN | OUT_FAILED | OUT_VACANT | OUT_UNHEALTHY | OUT_OPEN));
}

static int64_t
get_conns(const void *arg)
{
	const struct weir_state *s = state_of(arg);

	return s != NULL ? (int64_t)s->conns : 0;
}

static int64_t
get_checks(const void *arg)
{
	const struct weir_state *s = state_of(arg);

	return s != NULL ? (int64_t)s->health.checks : 0;
}

static int64_t
get_checks_failed(const void *arg)
{
	const struct weir_state *s = state_of(arg);

	return s != NULL ? (int64_t)s->health.fails : 0;
}

static int64_t
get_unhealthy(const void *arg)
{
	const struct weir_state *s = state_of(arg);

	return s != NULL ? (int64_t)s->health.unhealthy : 0;
}

void
count_checks(struct weir_conf *cf, struct weir_group *g)
{
	for (unsigned i = 0; i < g->n; i++) {
		const struct weir_str values[] = { g->name, g->peers[i].text };

		if (g->peers[i].resolve != NULL || g->peers[i].spare)
			continue;
		metric_value(cf, &upstream_rows[CHECKS], values, get_checks, &g->peers[i]);
		metric_value(cf, &upstream_rows[CHECKS_FAILED], values, get_checks_failed, &g->peers[i]);
		metric_value(cf, &upstream_rows[UNHEALTHY], values, get_unhealthy, &g->peers[i]);
	}
}

void
count_group(struct weir_conf *cf, struct weir_group *g)
{
	declare(cf, g->name, &g->count);
	for (unsigned i = 0; g->shared != NULL && i < g->n; i++) {
		const struct weir_str values[] = { g->name, g->peers[i].text };

		if (g->peers[i].resolve != NULL || g->peers[i].spare)	/* labels stay, addresses do not */
			continue;
		metric_value(cf, &upstream_rows[SERVER_UP], values, get_up, &g->peers[i]);
		metric_value(cf, &upstream_rows[SERVER_CONNS], values, get_conns, &g->peers[i]);
	}
}

void
count_brief(struct weir_group *g)
{
	g->count = others;
}

/* ---- at work ---- */

void
count_attempt(const struct weir_group *g, bool again)
{
	metric_add(&g->count.busy, 0, 1);
	if (again)
		metric_add(&g->count.retries, 0, 1);
}

void
count_attempt_end(const struct weir_group *g, uint64_t received, uint64_t sent)
{
	metric_sub(&g->count.busy, 0, 1);
	metric_add(&g->count.received, 0, received);
	metric_add(&g->count.sent, 0, sent);
}

void
count_response(const struct weir_group *g, int status, uint64_t ms)
{
	if (status >= 100 && status < 600)
		metric_add(&g->count.responses, (unsigned)status / 100 - 1, 1);
	metric_observe(&g->count.seconds, ms);
}

void
count_failed(const struct weir_group *g, enum group_failure why)
{
	metric_add(&g->count.failures, why, 1);
}

void
count_hedge(const struct weir_group *g)
{
	metric_add(&g->count.hedges, 0, 1);
}

void
count_refused(const struct weir_group *g)
{
	metric_add(&g->count.refused, 0, 1);
}
