/*
 * tickets.h - the keys that session tickets are sealed with (RFC 5077, RFC 8446 4.6.1).
 */
#ifndef WEIR_TLS_TICKETS_H
#define WEIR_TLS_TICKETS_H

#include <openssl/ssl.h>

#include "core/tls/ctx.h"

/*
 * Keys from files of 80 bytes, or of 48 (AES-128), as nginx has them: the first seals, all open.
 * Files that everybody can read are refused.  No files: keys that are made here, shared by all workers.  To be
 * called for every context: OpenSSL calls back by the context that a connection began with, but the keys are
 * those of the server which is meant.
 */
int	tickets_use(struct weir_conf *, SSL_CTX *, const struct weir_node *place,
	    const struct weir_tls_opts *) WEIR_MUST_USE;

#endif
