/*
 * keys.h - certificates and keys out of PEM.
 */
#ifndef WEIR_TLS_KEYS_H
#define WEIR_TLS_KEYS_H

#include <openssl/ssl.h>

#include "core/tls/ctx.h"

enum { PASSWORDS_MAX = 4096 };

/* One on each line of a file, tried in turn.  To be wiped out. */
struct weir_tls_passwords {
	char	text[PASSWORDS_MAX];
	size_t	n;
	const char *next;		/* the one to try */
	bool	asked;			/* the key wanted one */
};

/* A word with an empty `s`: none.  WEIR_FAIL after complaining. */
int	passwords_read(struct weir_conf *, const struct weir_tls_word *, struct weir_tls_passwords *)
	    WEIR_MUST_USE;
/* The key; NULL with OpenSSL's reason, or because no password fits: then `asked`. */
EVP_PKEY *key_parse(BIO *, struct weir_tls_passwords *);
/*
 * The server's own certificate, and those of the authorities between it and a root, both the caller's.  False with
 * OpenSSL's reason: there is none, or what follows is none.
 */
bool	chain_parse(BIO *, X509 **leaf, STACK_OF(X509) **rest);

#endif
