/*
 * rate.h - limit_rate and limit_rate_after for a response.
 *
 * The head counts too, as with nginx: one that is more than the first second allows goes out by and by, before the body.
 */
#ifndef WEIR_HTTP_REQ_RATE_H
#define WEIR_HTTP_REQ_RATE_H

#include "http/req/req.h"

/*
 * Wraps r->body into a source that gives no more than the rate allows, if there is a rate.  True: go on, else go()
 * is called when the head is out, or the request is aborted.
 */
bool	rate_limit(struct weir_req *, void (*go)(struct weir_req *));

#endif
