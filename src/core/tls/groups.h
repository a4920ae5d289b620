/*
 * groups.h - the names of key exchange groups (ssl_ecdh_curve).
 */
#ifndef WEIR_TLS_GROUPS_H
#define WEIR_TLS_GROUPS_H

#include "core/tls/ctx.h"

/*
 * The hybrid of ML-KEM-768 and X25519 first; then what everybody has.  The slash makes it more than an order:
 * a client that knows the first and sent a share of the others only is asked again (HelloRetryRequest).
 */
#define TLS_GROUPS_DEFAULT	"X25519MLKEM768/X25519:P-256:P-384"
/* Where the policy chooses, all hybrids. */
#define TLS_GROUPS_ALL	"X25519MLKEM768/SecP256r1MLKEM768:SecP384r1MLKEM1024/X25519:P-256:P-384"

/*
 * Checks each name and makes OpenSSL's list of them, in the pool and NUL-terminated; "auto" is the
 * default.  Names are separated by colons, or by slashes as OpenSSL has them, and may have its marks
 * (* ? -) in front.  Of the options count pqc...: they leave some of them out.  NULL after complaining: about a name that nobody
 * knows, and with a hint about those that once were, or were never, groups of TLS.
 */
const char *groups_list(struct weir_conf *, const struct weir_tls_word *, const struct weir_tls_opts *);
/*
 * How hard quantum computers find it to break a group, by NIST's levels: 1, 3 or 5; 0: they break it.  By the name that
 * OpenSSL says was agreed on; NULL is fine.
 */
unsigned group_level(const char *name);

#endif
