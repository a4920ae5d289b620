/*
 * ocsp.h - clients' certificates that OCSP responders are asked about (ssl_ocsp).
 */
#ifndef WEIR_TLS_OCSP_H
#define WEIR_TLS_OCSP_H

#include <openssl/ssl.h>

#include "core/base/log.h"
#include "core/tls/ctx.h"
#include "core/tls/ocsp_ask.h"

/* How a client's certificates stand; OCSP_NONE: they were not asked for. */
enum weir_ocsp_result { OCSP_NONE, OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN, OCSP_FAILED };
/* As $ssl_client_verify words it; NULL: there is nothing against it. */
const char *ocsp_fault(enum weir_ocsp_result);

struct weir_ocsp;
/*
 * The handshake is over: is there something to ask?  NULL: no, or it was known: *result tells.  Otherwise done() is called
 * once, last, never from inside ocsp_start(); then it is freed already.  The log must last as long.
 */
struct weir_ocsp *ocsp_start(SSL *, struct weir_log *, struct weir_resolver *, uint64_t resolver_ms,
	    enum weir_ocsp_result *, void (*done)(void *arg, enum weir_ocsp_result), void *arg);
/* done() will not be called. */
void	ocsp_cancel(struct weir_ocsp *);
/*
 * May the session be resumed?  Not where nobody could be asked about its certificate, because what stands between it and a
 * root came with the first handshake only.
 */
bool	ocsp_may_resume(SSL *, const SSL_SESSION *);

/* shared:NAME:SIZE of ssl_ocsp_cache.  NULL with *why. */
struct weir_table *ocsp_cache_declare(struct weir_conf *, struct weir_str name, uint64_t size, const char **why);
/* For every context: what the options say.  WEIR_FAIL after complaining. */
int	ocsp_use(struct weir_conf *, SSL_CTX *, const struct weir_node *place, const struct weir_tls_opts *)
	    WEIR_MUST_USE;

#endif
