/*
 * stats.h - what processes and connections count; for this room.  stats_sum() is in cycle.h.
 */
#ifndef WEIR_PROC_STATS_H
#define WEIR_PROC_STATS_H

#include "core/metric/metric.h"

/* The rows of module core. */
extern const struct weir_metric_row stats_rows[];

/* In master and workers. */
enum { WORKER_SERVES, WORKER_RETIRES };
enum { RELOAD_OK, RELOAD_FAILED };
extern struct weir_metric stats_workers, stats_reloads, stats_deaths;

/* Before a configuration is bound. */
void	stats_declare(struct weir_conf *);
/* As metric_use(); accept_stats points there from now on. */
void	stats_use(int slot);

#endif
