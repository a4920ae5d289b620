/*
 * ocsp_ask.h - asking an OCSP responder about one certificate.
 *
 * The answer has OCSP_REPLY_MAX bytes at most, and comes in OCSP_ASK_MS at most, or it is none.  It is not judged here.
 */
#ifndef WEIR_TLS_OCSP_ASK_H
#define WEIR_TLS_OCSP_ASK_H

#include <openssl/x509.h>

#include "core/net/conn.h"
#include "core/net/resolver.h"
#include "core/tls/ctx.h"
#include "core/tls/ocsp_http.h"

enum { OCSP_ASK_MS = 15000, OCSP_TRIES = 3 };

struct weir_ocsp_ask {
	struct weir_pool *pool;		/* for as long as it lasts */
	struct weir_ocsp_url url;
	struct weir_str	 request;
	struct weir_addr addrs[OCSP_TRIES];
	unsigned	 n, at;
	bool		 resolving, dialling;
	struct weir_lookup lookup;
	struct weir_dial dial;
	struct weir_conn *conn;
	struct weir_bufq out;
	char		*in;
	size_t		 in_n, in_room;
	struct weir_timer timer;
	char		 why[192];
	/* Called once, last, never from inside ocsp_ask_start().  `der`: the response; NULL: there is none, `why` tells. */
	void		(*done)(struct weir_ocsp_ask *, const unsigned char *der, size_t n);
};

/* Who answers, when that is not for the certificate to say; NULL `resolver`: names cannot be resolved. */
struct weir_ocsp_whom {
	struct weir_str	 url;		/* empty: the certificate tells */
	const struct weir_addr *addrs;	/* of a name in it, as they were when the configuration was read */
	unsigned	 n;
	struct weir_resolver *resolver;
	uint64_t	 resolver_ms;
};

/* Of a URL in the configuration; a name is looked up now, for places without a resolver.  WEIR_FAIL after complaining. */
int	ocsp_whom(struct weir_conf *, const struct weir_tls_word *, struct weir_ocsp_whom *) WEIR_MUST_USE;

/* WEIR_FAIL: nobody can be asked, `why` tells; then done() is not called, and there is nothing to cancel. */
int	ocsp_ask_start(struct weir_ocsp_ask *, const struct weir_ocsp_whom *, X509 *cert, X509 *issuer,
	    void (*done)(struct weir_ocsp_ask *, const unsigned char *, size_t)) WEIR_MUST_USE;
/* done() will not be called. */
void	ocsp_ask_cancel(struct weir_ocsp_ask *);

#endif
