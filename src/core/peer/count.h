/*
 * count.h - metrics of upstream groups.
 */
#ifndef WEIR_PEER_COUNT_H
#define WEIR_PEER_COUNT_H

#include "core/metric/metric.h"

struct weir_group;

/* In struct weir_group; its name is the label. */
struct weir_group_count {
	struct weir_metric responses, failures, retries, refused, hedges, busy, received, sent;
	struct weir_histogram seconds;
};

/* Why an attempt failed; GROUP_NOBODY: there was no server to ask. */
enum group_failure { GROUP_ERROR, GROUP_TIMEOUT, GROUP_INVALID, GROUP_NOBODY };

/* The rows of module upstream. */
extern const struct weir_metric_row upstream_rows[];

/* While binding: of a configuration, and of each of its groups. */
void	count_groups(struct weir_conf *);
void	count_group(struct weir_conf *, struct weir_group *);
/* Of a group whose servers are checked, once. */
void	count_checks(struct weir_conf *, struct weir_group *);
/* Of a group of addresses that came out of variables: all of these are "other". */
void	count_brief(struct weir_group *);

/* A server is asked, again or for the first time; it is not any more; it has answered, with a status of HTTP; it failed. */
void	count_attempt(const struct weir_group *, bool again);
void	count_attempt_end(const struct weir_group *, uint64_t received, uint64_t sent);
void	count_response(const struct weir_group *, int status, uint64_t ms);
/* A second server is asked as well. */
void	count_hedge(const struct weir_group *);
/* It is not asked again: the budget is spent. */
void	count_refused(const struct weir_group *);
void	count_failed(const struct weir_group *, enum group_failure);

#endif
