/*
 * stapling.h - OCSP responses that are sent with the certificate (RFC 6066, 8; RFC 6960).
 */
#ifndef WEIR_TLS_STAPLING_H
#define WEIR_TLS_STAPLING_H

#include <openssl/ssl.h>

#include "core/tls/ctx.h"

/*
 * Clients that ask for it get the response in the file, until its time is over.  One that clients would not
 * believe (another certificate's, a signature that is wrong, too old) is worth a warning and is
 * not sent; WEIR_FAIL after complaining about a file that is none.  The certificates are in the context.
 */
int	stapling_use(struct weir_conf *, SSL_CTX *, const struct weir_tls_word *file) WEIR_MUST_USE;

/*
 * The same with responses that each worker fetches from the certificates' responders, or from the one that the options
 * name; WEIR_FAIL after complaining about that.  Of whom nobody can be asked is worth a warning.
 */
int	stapling_ask(struct weir_conf *, SSL_CTX *, const struct weir_tls_opts *) WEIR_MUST_USE;

/*
 * The context's certificates, the first of which is named there, are served without a response: a warning when one
 * says that it comes with one (RFC 7633), because clients that look refuse it.
 */
void	stapling_missing(struct weir_conf *, SSL_CTX *, const struct weir_tls_word *);

#endif
