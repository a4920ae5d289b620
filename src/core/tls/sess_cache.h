/*
 * sess_cache.h - sessions that clients resume by their number, shared by all workers.
 */
#ifndef WEIR_TLS_SESS_CACHE_H
#define WEIR_TLS_SESS_CACHE_H

#include <openssl/ssl.h>

#include "core/tls/ctx.h"

/* shared:NAME:SIZE.  The same name means the same cache everywhere.  NULL with *why. */
struct weir_table *sess_cache_declare(struct weir_conf *, struct weir_str name, uint64_t size, const char **why);
/*
 * From now on the context keeps its sessions there, NULL: nowhere; and in this process, when `builtin`.  To be
 * called for every context: OpenSSL calls back by the context that a connection began with, which is the
 * default server's, but the table is that of the server which is meant.
 */
void	sess_cache_use(SSL_CTX *, struct weir_table *, bool builtin);

#endif
