/*
 * basic.h - the name and the password of a request: Basic authentication (RFC 7617).
 */
#ifndef WEIR_HTTP_REQ_BASIC_H
#define WEIR_HTTP_REQ_BASIC_H

#include "http/req/req.h"

/*
 * Take an Authorization value apart.  `room` has BASE64_ROOM(value.n) bytes, of which *user and *pass are views:
 * any bytes, the user not empty and without a colon.  WEIR_FAIL: it is another scheme, or malformed.
 */
int	 basic_read(struct weir_str value, char *room, struct weir_str *user, struct weir_str *pass)
	    WEIR_MUST_USE;
/* The same of a request, in its pool; Proxy-Authorization of CONNECT.  Nobody has checked the password. */
int	 req_basic(struct weir_req *, struct weir_str *user, struct weir_str *pass) WEIR_MUST_USE;

#endif
