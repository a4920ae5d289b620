/*
 * tls_conf.h - TLS to upstreams: what proxy_ssl_* say.  `module` is the one whose directives count.
 *
 * Certificates are verified unless the connection stays on this machine: to a loopback address or a unix
 * socket there is no wire that somebody could sit on, and who serves there seldom has a certificate that an
 * authority signed (doc/why/016).  `proxy_ssl_verify on` verifies those, too.
 */
#ifndef WEIR_PEER_TLS_CONF_H
#define WEIR_PEER_TLS_CONF_H

#include "core/peer/peer.h"
#include "core/sess/expr.h"
#include "core/tls/tls.h"

extern const struct weir_module proxy_ssl_module, grpc_ssl_module;

/*
 * For a place that wants TLS: makes its context.  Called while binding, from the ready() of the module
 * that passes requests on.  WEIR_FAIL after complaining.
 */
int	peer_tls_need(struct weir_conf *, struct weir_scope *, const struct weir_module *) WEIR_MUST_USE;

/*
 * Fills in what a session's place says about connecting to this peer by TLS: context, name, verification, what is
 * shown, sessions.  `host`: the name when proxy_ssl_name gives none, without a port.  False: our own certificate has a
 * name that cannot be, and that was logged.
 */
bool	peer_tls(struct weir_sess *, const struct weir_module *, struct weir_peer *, struct weir_str host,
	    struct weir_tls_connect *) WEIR_MUST_USE;
/*
 * The same without a session, for whoever connects in nobody's name: what has variables is as if it were not there.
 */
void	peer_tls_plain(void *const *conf, const struct weir_module *, const struct weir_addr *, struct weir_str host,
	    struct weir_tls_connect *);
/* While binding: does something of the place depend on the session? */
bool	peer_tls_varies(const struct weir_scope *, const struct weir_module *);
/*
 * A number that is the same for connections that may serve each other's requests; never 0.  Those with a `shown` of their
 * own serve one request only: the certificate may be another the next time, or be gone.
 */
uint64_t peer_tls_kind(const struct weir_tls_connect *);

#endif
