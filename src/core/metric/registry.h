/*
 * registry.h - what the files of this room share.
 */
#ifndef WEIR_METRIC_REGISTRY_H
#define WEIR_METRIC_REGISTRY_H

#include "core/base/hash.h"
#include "core/metric/metric.h"
#include "core/shm/zone.h"

/* Who wants to know where a series counts. */
struct metric_user {
	struct metric_user *next;
	struct weir_metric *to;
};

struct metric_series {
	struct metric_series *next;	/* of its family, in order of declaration */
	struct weir_str	 values[METRIC_LABELS];
	struct weir_metric m;
	struct metric_user *users;
	uint32_t	 width;		/* cells */
	uint64_t	 id[2];
	unsigned	 n_bounds;
	const uint32_t	*bounds;
	int64_t		 (*get)(const void *);
	const void	*arg;
};

struct metric_family {
	struct metric_family *next;
	const struct weir_metric_row *row;
	struct metric_series *first, **tail;
	unsigned	 n;
};

struct weir_metrics {
	struct weir_pool *pool;
	struct metric_family *first, **tail;
	struct weir_hash byid;		/* series */
	struct weir_zone *zone;		/* NULL: there is no memory, as in unit tests */
};

/* How many labels have values from the configuration. */
unsigned row_given(const struct weir_metric_row *);
/* How many combinations of words a row has. */
unsigned row_width(const struct weir_metric_row *);

/* slots.c: what a zone must be like, and where a series is in one that is open. */
void	slots_want(struct weir_zone_want *);
void	slots_open(struct weir_zone *);
/* The memory goes: what counted there counts for itself. */
void	slots_close(const struct weir_zone *);
/* Cells of a series, the same whenever it is asked for; 0: no room. */
uint32_t slots_find(const uint64_t id[2], uint32_t width, uint32_t held);

#endif
