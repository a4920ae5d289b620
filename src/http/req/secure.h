/*
 * secure.h - what the TLS of a connection means for its requests.
 */
#ifndef WEIR_HTTP_REQ_SECURE_H
#define WEIR_HTTP_REQ_SECURE_H

#include "http/req/req.h"

/*
 * May this request come in, now that its server is known?  0, or a status: 497 clear text on a port for TLS,
 * 495 a bad client certificate, 496 none where one is needed, 421 the connection was made
 * with a server whose rules are others (RFC 9110, 15.5.20), and that or another status of pqc_policy where the key
 * exchange is too weak.  *why for the log.
 */
int	secure_judge(struct weir_req *, const char **why);
/* For a status from 495 to 497: the text of its page; NULL for others. */
const char *secure_text(int status);

#endif
