/*
 * judge.h - what a finished handshake means for who is to be served by it.
 */
#ifndef WEIR_TLS_JUDGE_H
#define WEIR_TLS_JUDGE_H

#include "core/tls/tls.h"

enum weir_tls_client { TLS_CLIENT_FINE, TLS_CLIENT_BAD, TLS_CLIENT_NONE };

/* The client's certificate, by ssl_verify_client: is it good, or not, or missing?  What is bad is logged. */
enum weir_tls_client tls_judge_client(const struct weir_conn *, enum weir_tls_verify, struct weir_log *);
/* Is the key exchange as strong as pqc_policy wants it?  0, or the status that it says. */
int	tls_judge_exchange(const struct weir_conn *, const struct weir_tls_ctx *);

#endif
