/*
 * count.h - metrics of TLS; for this room.
 */
#ifndef WEIR_TLS_COUNT_H
#define WEIR_TLS_COUNT_H

#include <openssl/ssl.h>

#include "core/metric/metric.h"

/* The rows of module ssl. */
extern const struct weir_metric_row tls_rows[];

enum tls_failure { TLS_FAILED_TIMEOUT, TLS_FAILED_CLOSED, TLS_FAILED_PLAIN, TLS_FAILED_DENIED, TLS_FAILED_ERROR };

/* A handshake is over; `server`: with a client. */
void	count_handshake(const SSL *, bool server);
void	count_failure(bool server, enum tls_failure);

/* Until when is this certificate valid?  `leaf` is looked at whenever somebody asks; lives as long as the configuration. */
void	count_certificate(struct weir_conf *, const char *path, X509 *const *leaf);
/* An OCSP responder was asked, and has answered or has not. */
void	count_ocsp(bool answered);
/* A certificate that changed is served, or is not. */
void	count_change(bool served);

#endif
