/*
 * ctx_ssl.h - a context as OpenSSL has it; for the files of this room.
 */
#ifndef WEIR_TLS_CTX_SSL_H
#define WEIR_TLS_CTX_SSL_H

#include <openssl/ssl.h>

#include "core/tls/ctx.h"

struct weir_tls_ctx {
	SSL_CTX		*ssl;
	const char	*groups;	/* as OpenSSL wants them */
	uint32_t	 record;	/* ssl_buffer_size */
	enum weir_tls_verify verify;
	bool		 reject, early;
	unsigned	 level;		/* pqc_policy require: of the key exchange */
	int		 level_status;
	bool		 tell_classical;
	struct weir_tls_dynamic *dynamic;
	struct weir_tls_fp fp;
	const bool	*fp_anywhere;	/* a client's hello is wanted, whichever server it will name */
};

/* ctx.c: a connection that began with another context goes on with this one. */
int	ctx_apply(const struct weir_tls_ctx *, SSL *) WEIR_MUST_USE;
/* handshake.c: for SSL_CTX_set_client_hello_cb() and SSL_CTX_set_tlsext_servername_callback(). */
int	handshake_on_hello(SSL *, int *alert, void *arg);
int	handshake_on_name(SSL *, int *alert, void *arg);

/* client.c: SSL_CTX_sess_set_new_cb(). */
int	client_on_session(SSL *, SSL_SESSION *);
/* handshake.c: SSL_CTX_set_alpn_select_cb(). */
int	handshake_on_alpn(SSL *, const unsigned char **, unsigned char *, const unsigned char *, unsigned,
	    void *arg);

/* keys.c: certificates with their keys into a context.  WEIR_FAIL after complaining. */
int	keys_load(struct weir_conf *, SSL_CTX *, const struct weir_tls_opts *) WEIR_MUST_USE;
/* Has each certificate its key? */
int	keys_check(struct weir_conf *, const struct weir_tls_opts *) WEIR_MUST_USE;
/* dynamic.c: certificates are looked for when a client comes. */
int	dynamic_use(struct weir_conf *, struct weir_tls_ctx *, const struct weir_tls_opts *) WEIR_MUST_USE;
/* The same of a client: for this connection.  False: it failed, and that was logged. */
bool	dynamic_apply(const struct weir_tls_ctx *, SSL *, const struct weir_tls_names *);

/* ctx.c: the context's certificates are others now: as ssl_certificate_compression says, they are compressed.  False: they cannot be. */
bool	ctx_compress(SSL_CTX *);

/* ctx.c: complains with OpenSSL's reason at a word. */
int	ctx_error(struct weir_conf *, const struct weir_tls_word *, const char *what);

#endif
