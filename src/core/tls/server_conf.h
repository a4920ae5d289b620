/*
 * server_conf.h - what ssl_* directives say of a place that serves.
 */
#ifndef WEIR_TLS_SERVER_CONF_H
#define WEIR_TLS_SERVER_CONF_H

#include "core/tls/ctx.h"

extern const struct weir_module ssl_module;

/* A server was read: makes its context, if it has a certificate or refuses all.  WEIR_FAIL after complaining. */
int	tls_server_conf(struct weir_conf *, const struct weir_scope *) WEIR_MUST_USE;
/*
 * The context of a server's scope.  NULL: no certificate was given, nor ssl_reject_handshake, so nobody can
 * be served there but by the default server's.
 */
const struct weir_tls_ctx *tls_ctx_of(const struct weir_scope *);
/* Of that context: whose names somebody has to evaluate; NULL: none. */
struct weir_tls_dynamic *tls_dynamic_of(const struct weir_scope *);
/* ssl_key_permissions there: for keys that are not of servers, too. */
enum weir_tls_key_mode tls_key_mode_of(const struct weir_scope *);
/* ssl_alpn, as RFC 7301 writes a list, or empty; ssl_handshake_timeout: both of stream. */
struct weir_str tls_alpn_in(void *const *conf);
uint64_t tls_handshake_ms_in(void *const *conf);
/* tls_ctx_of() with the frozen structs. */
const struct weir_tls_ctx *tls_ctx_in(void *const *conf);

#endif
