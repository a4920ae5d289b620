/*
 * rate.h - limit_rate and limit_rate_after for a response.
 */
#ifndef WEIR_HTTP_REQ_RATE_H
#define WEIR_HTTP_REQ_RATE_H

#include "http/req/req.h"

/* The body as it is, or wrapped in a source that gives no more than the rate allows. */
struct weir_src *rate_limit(struct weir_req *, struct weir_src *);

#endif
