/*
 * stats.c - what processes and connections count: metrics, and the numbers of stub_status.
 */
#include "config.h"
#include "core/base/clock.h"
#include "core/net/udp.h"
#include "core/proc/cycle.h"
#include "core/proc/stats.h"

/* In the order of struct weir_accept_stats. */
enum { ACCEPTED, HANDLED, REQUESTS, ACTIVE, READING, WRITING, WAITING, N_STATS };

static const char *const names[] = { "accepted", "handled", "requests", "active", "reading", "writing", "waiting",
	NULL };
static struct weir_metric accepting;

_Static_assert(sizeof(struct weir_accept_stats) == N_STATS * sizeof(uint64_t), "one number for each name");

static uint64_t
sum(unsigned which)
{
	uint64_t n;

	metric_sum(&accepting, which, 1, &n);
	return n;
}

static int64_t
held(unsigned which)
{
	return WEIR_MAX((int64_t)sum(which), 0);
}

static int64_t get_accepted(void) { return (int64_t)sum(ACCEPTED); }
static int64_t get_handled(void) { return (int64_t)sum(HANDLED); }
static int64_t get_active(void) { return held(ACTIVE); }
static int64_t get_reading(void) { return held(READING); }
static int64_t get_waiting(void) { return held(WAITING); }
static int64_t get_writing(void) { return held(WRITING); }

static int64_t
get_uptime(void)
{
	return WEIR_MAX((int64_t)(weir_wall_ms / 1000 - metric_since()), 0);
}

static int64_t
get_build(const void *arg)
{
	(void)arg;
	return 1;
}

static const char *const states[] = { "serving", "retiring", NULL };
static const char *const results[] = { "ok", "failed", NULL };

struct weir_metric stats_workers, stats_reloads, stats_deaths;

const struct weir_metric_row stats_rows[] = {
	{ "build_info", METRIC_GAUGE, "The version; always 1.", .labels = { { "version", NULL } } },
	{ "uptime_seconds", METRIC_GAUGE, "Since when these numbers are counted: reloads and changes of the binary do not "
	  "end them.", .get = get_uptime },
	{ "workers", METRIC_GAUGE, "Worker processes.", .labels = { { "state", states } }, .at = &stats_workers },
	{ "worker_crashes_total", METRIC_COUNTER, "Worker processes that ended by a signal or an error.",
	  .at = &stats_deaths },
	{ "config_reloads_total", METRIC_COUNTER, "Reloads of the configuration.",
	  .labels = { { "result", results } }, .at = &stats_reloads },
	{ "accept", METRIC_HIDDEN, "", .labels = { { "what", names } }, .at = &accepting, .held = ACTIVE },
	{ "connections_accepted_total", METRIC_COUNTER, "Connections of clients.", .get = get_accepted },
	{ "connections_handled_total", METRIC_COUNTER, "Those that there was room for.", .get = get_handled },
	{ "connections_active", METRIC_GAUGE, "Connections of clients now, idle ones included.", .get = get_active },
	{ "connections_reading", METRIC_GAUGE, "Connections on which the head of a request is being read.",
	  .get = get_reading },
	{ "connections_waiting", METRIC_GAUGE, "Idle connections.", .get = get_waiting },
	{ "http_requests_in_progress", METRIC_GAUGE, "Requests that are being answered, and tunnels.",
	  .get = get_writing },
	{ .name = NULL }
};

void
stats_declare(struct weir_conf *cf)
{
	metrics_begin(cf);
	metric_rows(cf, accept_rows);
	metric_rows(cf, dial_rows);
	metric_rows(cf, dgram_rows);
	metric_rows(cf, udp_rows);
	metric_value(cf, &stats_rows[0], &STR(WEIR_VERSION), get_build, NULL);
}

void
stats_use(int slot)
{
	metric_use(slot);
	accept_stats = (struct weir_accept_stats *)(void *)&metric_slot[accepting.cell];
}

void
stats_sum(struct weir_accept_stats *to)
{
	metric_sum(&accepting, 0, N_STATS, (uint64_t *)(void *)to);
}
