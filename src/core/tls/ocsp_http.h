/*
 * ocsp_http.h - how an OCSP responder is asked over HTTP (RFC 6960, appendix A): texts only, no connection.
 */
#ifndef WEIR_TLS_OCSP_HTTP_H
#define WEIR_TLS_OCSP_HTTP_H

#include "core/net/addr.h"

enum { OCSP_URL_MAX = 1024, OCSP_HOST_MAX = 255, OCSP_REPLY_MAX = 65536 };

struct weir_ocsp_url {
	struct weir_str	 host;		/* a name, or an address without brackets */
	struct weir_str	 authority;	/* for Host */
	struct weir_str	 path;		/* "/" at least */
	unsigned	 port;
	struct weir_addr addr;		/* of a host that is an address; else AF_UNSPEC */
};

/* All views of `text`.  WEIR_FAIL with *why. */
int	ocsp_url_parse(struct weir_str text, struct weir_ocsp_url *, const char **why) WEIR_MUST_USE;

/* What is sent: GET with `der`, a request for the status, in the path.  In the pool. */
struct weir_str ocsp_request(struct weir_pool *, const struct weir_ocsp_url *, struct weir_str der);

/*
 * What has come so far; `eof`: no more will come.  WEIR_OK: *body is a view of it; WEIR_AGAIN: it is not whole;
 * WEIR_FAIL with *why: it is no answer.
 */
int	ocsp_reply_parse(struct weir_str text, bool eof, struct weir_str *body, const char **why) WEIR_MUST_USE;

#endif
