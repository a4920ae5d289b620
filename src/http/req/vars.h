/*
 * vars.h - what logs and rewrites share with the variables of a request.
 */
#ifndef WEIR_HTTP_REQ_VARS_H
#define WEIR_HTTP_REQ_VARS_H

#include "http/req/req.h"

/* $request_length: bytes of the request so far, head and body. */
uint64_t req_length(const struct weir_req *);
/* $bytes_sent and $body_bytes_sent. */
uint64_t req_sent(const struct weir_req *);
uint64_t req_body_sent(const struct weir_req *);
/* $request_id, which stays the same for the request's life. */
struct weir_str req_id(struct weir_req *);
/* The cookie of that name (whose case does not matter); WEIR_FAIL: there is none. */
int	req_cookie(const struct weir_req *, struct weir_str name, struct weir_str *to);
/* $status: three digits. */
#define REQ_STATUS_LEN 3
void	req_put_status(char to[REQ_STATUS_LEN], const struct weir_req *);
/*
 * Arguments as they may stand in a request line: spaces and control characters are escaped, so that
 * what a configuration makes of a request never splits another (S-204).  No copy when they are clean.
 */
struct weir_str req_clean_args(struct weir_req *, struct weir_str);

/* ---- for the variables' own files ---- */

/*
 * The value of all fields that a variable's name stands for: case does not matter, '_' is '-', too; several are
 * joined by ", ", cookies by "; ".  WEIR_FAIL: there is none.
 */
int	vars_join_fields(struct weir_sess *, const struct weir_fields *, struct weir_str name,
	    struct weir_str *to);

static inline int
give(struct weir_str *to, struct weir_str value)
{
	*to = value;
	return WEIR_OK;
}

/* There is such a value, or there is none. */
static inline int
give_some(struct weir_str *to, struct weir_str value)
{
	*to = value;
	return value.n != 0 ? WEIR_OK : WEIR_FAIL;
}

#endif
