/*
 * breaker_tell.c - what circuit breakers say: lines of the log, reasons, metrics.
 */
#include <stdio.h>

#include "core/peer/breaker.h"

enum { WHY_MAX = 300 };

static const char *const state_names[] = { "closed", "half-open", "open" };
static const char *const state_words[] = { "closed", "half_open", "open", NULL };

const struct weir_metric_row breaker_rows[] = {
	{ "upstream_circuit_state", METRIC_GAUGE, "The circuit of a server of a group with a zone: 0 closed, 1 half-open, "
	  "2 open.", .labels = { { "upstream", NULL }, { "server", NULL } } },
	{ "upstream_circuit_changes_total", METRIC_COUNTER, "How often a circuit came into a state.",
	  .labels = { { "upstream", NULL }, { "server", NULL }, { "to", state_words } } },
	{ .name = NULL }
};

/* ---- the log ---- */

/* The last failure. */
static const char *
last(const struct weir_pick *p, char *to, size_t room)
{
	if (p->circuit.trouble == TROUBLE_STATUS)
		snprintf(to, room, "status %u", (unsigned)p->circuit.number);
	else if (p->circuit.trouble == TROUBLE_SLOW)
		snprintf(to, room, "%s %llu ms", p->circuit.why, (unsigned long long)p->circuit.number);
	else if (p->circuit.why != NULL)
		snprintf(to, room, "%s", p->circuit.why);
	else
		snprintf(to, room, "%s", p->circuit.trouble == TROUBLE_TIMEOUT ? "it timed out" : "an error");
	return to;
}

static void
put_reason(const struct weir_breaker *br, const struct weir_circuit_news *news, unsigned k, const struct weir_pick *p,
    char *to, size_t room)
{
	unsigned bad = news->v[k].bad, all = news->v[k].all;
	bool known = p->circuit.verdict == VERDICT_BAD;
	char text[WHY_MAX];

	switch ((enum circuit_reason)news->v[k].reason) {
	case CIRCUIT_ROW:
		snprintf(to, room, "%u failure%s in a row, the last: %s", bad, bad == 1 ? "" : "s",
		    last(p, text, sizeof text));
		break;
	case CIRCUIT_RATE:
		snprintf(to, room, "%u of %u requests failed within %llu ms%s%s", bad, all,
		    (unsigned long long)br->window_ms, known ? ", the last: " : "",
		    known ? last(p, text, sizeof text) : "");
		break;
	case CIRCUIT_TRIAL:
		snprintf(to, room, "a trial failed: %s", last(p, text, sizeof text));
		break;
	case CIRCUIT_WAITED:
		snprintf(to, room, "its time is over; trials at a time: %u", (unsigned)br->half_open);
		break;
	case CIRCUIT_WELL:
		snprintf(to, room, "trials that went well: %u", all);
		break;
	}
}

void
breaker_tell(const struct weir_group *g, const struct weir_circuit_news *news, const struct weir_pick *p)
{
	for (unsigned k = 0; k < news->n; k++) {
		const struct weir_peer *q = &g->peers[news->v[k].peer];
		enum weir_level level = news->v[k].to == CIRCUIT_OPEN ? LOG_WARN_ : LOG_NOTICE_;
		char why[WHY_MAX + 100];

		if (g->breaker->changes != NULL)
			metric_add(&g->breaker->changes[q->number], news->v[k].to, 1);
		put_reason(g->breaker, news, k, p, why, sizeof why);
		log_at(weir_log, level, 0, "circuit of upstream server %.*s of %.*s: %s -> %s: %s", STR_ARG(q->text),
		    STR_ARG(g->name), state_names[news->v[k].from], state_names[news->v[k].to], why);
	}
}

const char *
breaker_why(struct weir_block *b, unsigned i)
{
	return breaker_circuit(b, i)->state == CIRCUIT_OPEN ? "has an open circuit" :
	    "has a half-open circuit and is being tried";
}

/* ---- metrics ---- */

static int64_t
get_state(const void *arg)
{
	const struct weir_peer *q = arg;
	struct weir_block *b = q->group->block;

	return b != NULL && b->at_circuits != 0 ? breaker_circuit(b, q->number)->state : 0;
}

void
breaker_count(struct weir_conf *cf, struct weir_group *g)
{
	struct weir_metric *changes = pool_zalloc(cf->pool, g->n * sizeof *changes);

	for (unsigned i = 0; i < g->n; i++) {
		const struct weir_peer *q = &g->peers[i];
		/* addresses of a name come and go, and so do servers; labels stay */
		const struct weir_str values[] = { g->name, q->spare ? STR("other") :
			q->resolve != NULL ? q->name : q->text };

		metric_series(cf, &breaker_rows[1], values, &changes[i]);
		if (g->shared != NULL && q->resolve == NULL && !q->spare)
			metric_value(cf, &breaker_rows[0], values, get_state, q);
	}
	g->breaker->changes = changes;
}
