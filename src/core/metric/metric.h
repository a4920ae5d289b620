/*
 * metric.h - what is counted, where, and how it is read.
 *
 * A module declares rows:
 *
 *	static const char *const results[] = { "passed", "rejected", NULL };
 *	static struct weir_metric doors;
 *	static const struct weir_metric_row rows[] = {
 *		{ "doors_total", METRIC_COUNTER, "Doors that were tried.",
 *		  .labels = { { "result", results } }, .at = &doors },
 *		{ .name = NULL }
 *	};
 *
 * names them in its struct weir_module (.metrics = rows), and counts:
 *
 *	metric_add(&doors, DOOR_REJECTED, 1);
 *
 * Names go out as weir_NAME; those of counters end with _total, those of times with _seconds.
 *
 * Every process has a slot in shared memory that only it writes, so counting is an addition to one's own
 * memory: no lock, no locked instruction.  Who reads adds the slots up.  When a process has ended, the master adds
 * its counters to those of the past and forgets its gauges.  The memory is a zone (zone.h), so
 * counters go on over reloads, crashes and a change of the binary.
 *
 * What a label can be is known when the configuration is: either words of the row, or values that stand
 * in the configuration (`words` NULL), made by metric_series().  Nothing that a peer sends becomes a label.  A row has
 * METRIC_SERIES_MAX values from the configuration at most; what is beyond counts as "other".
 *
 *	registry.c  rows and series of a configuration
 *	slots.c     the memory: slots, the past, sums
 *	text.c      for Prometheus, OpenMetrics, and as JSON
 */
#ifndef WEIR_METRIC_METRIC_H
#define WEIR_METRIC_METRIC_H

#include "core/conf/conf.h"

enum {
	METRIC_LABELS		= 4,
	METRIC_WIDTH_MAX	= 512,	/* numbers of one series, all its words */
	METRIC_SERIES_MAX	= 256,
	METRIC_BOUNDS_MAX	= 32
};

enum weir_metric_kind {
	METRIC_COUNTER,
	METRIC_GAUGE,		/* what a process holds now: forgotten with it */
	METRIC_HISTOGRAM,	/* of milliseconds; goes out as seconds */
	METRIC_HIDDEN		/* counters, and gauges from word `held` on, that other rows show */
};

/* Where something counts: `cell` and those behind it, one for each combination of words. */
struct weir_metric {
	uint32_t	 cell;		/* 0: nowhere, which is harmless */
};

struct weir_histogram {
	struct weir_metric m;
	uint32_t	 n;
	const uint32_t	*bounds;	/* in ms, ascending */
};

struct weir_metric_label {
	const char	*name;
	const char	*const *words;	/* ends with NULL; NULL: values from the configuration */
};

struct weir_metric_row {
	const char	*name;
	enum weir_metric_kind kind;
	const char	*help;
	/* Those from the configuration first; of words the last changes fastest. */
	struct weir_metric_label labels[METRIC_LABELS];
	struct weir_metric *at;		/* of a row without labels from the configuration; not of histograms */
	int64_t		 (*get)(void);	/* instead: asked when somebody reads */
	bool		 sparse;	/* combinations that never happened are not shown */
	unsigned	 held;
};

/* Of this process. */
extern uint64_t *metric_slot;

static inline void
metric_add(const struct weir_metric *m, unsigned i, uint64_t n)
{
	/* One writer, and an aligned word: nothing needs to be locked, and others read whole numbers. */
	metric_slot[m->cell + i] += n;
}

/* For gauges. */
static inline void
metric_sub(const struct weir_metric *m, unsigned i, uint64_t n)
{
	metric_add(m, i, -n);
}

static inline void
metric_observe(const struct weir_histogram *h, uint64_t ms)
{
	uint32_t i = 0;

	while (i < h->n && ms > h->bounds[i])
		i++;
	metric_add(&h->m, i, 1);
	metric_add(&h->m, h->n + 1, ms);
}

/* ---- while the configuration is bound ---- */

struct weir_metrics;

/*
 * The metrics of a configuration, with those of all modules that have an `at`; becomes cf->metrics.  Its zone
 * is declared in cf->zones.
 */
void	metrics_begin(struct weir_conf *);
/* More rows with an `at`, of a room that has no module. */
void	metric_rows(struct weir_conf *, const struct weir_metric_row *);
/*
 * A series with values from the configuration, as many as the row has such labels.  `to`, which lives as long as the
 * configuration, is filled in when zones are opened.  The same values twice are one series.
 */
void	metric_series(struct weir_conf *, const struct weir_metric_row *, const struct weir_str *values,
	    struct weir_metric *to);
/* The same of a row that is METRIC_HISTOGRAM.  Other bounds make another series, which begins with 0. */
void	metric_histogram(struct weir_conf *, const struct weir_metric_row *, const struct weir_str *values,
	    const uint32_t *bounds, unsigned n, struct weir_histogram *to);
/* A gauge, or a counter that is kept elsewhere, which is asked for when somebody reads. */
void	metric_value(struct weir_conf *, const struct weir_metric_row *, const struct weir_str *values,
	    int64_t (*get)(const void *), const void *arg);

/* ---- processes; for proc ---- */

/* Master: a slot for a new process, or -1: there is none, it counts for itself then. */
int	metric_claim(void);
/* In that process, or for itself: counts there from now on. */
void	metric_use(int slot);
/* Master: the process has ended. */
void	metric_give_back(int slot);

/* ---- reading ---- */

/* Of all processes: cells i ... i+n-1 of a metric. */
void	metric_sum(const struct weir_metric *, unsigned i, unsigned n, uint64_t *to);
/* Since when there are these numbers: seconds of 1970. */
uint64_t metric_since(void);

enum weir_metric_form {
	METRIC_PROMETHEUS,	/* text format 0.0.4 */
	METRIC_OPENMETRICS,	/* 1.0.0 */
	METRIC_JSON
};
/* All of them, in the pool. */
struct weir_str metrics_text(const struct weir_metrics *, enum weir_metric_form, struct weir_pool *);

#endif
