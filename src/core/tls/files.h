/*
 * files.h - what certificates, keys and lists are read from.
 *
 * While a configuration is read, a file is read and parsed once, however many servers name it.  What a later
 * configuration needs again is taken over from the one before it, unless the file has changed since
 * (ssl_object_cache_inheritable): no other file under the name, no other time of modification.  All goes, and texts are
 * wiped out, with the configuration's pool.
 */
#ifndef WEIR_TLS_FILES_H
#define WEIR_TLS_FILES_H

#include <openssl/bio.h>
#include <openssl/x509.h>

#include "core/conf/conf.h"

/* A configuration begins; may it take over what the last one has read? */
void	files_begin(struct weir_conf *, bool inherit);

/* The text of a file, to be freed by BIO_free(); NULL with OpenSSL's reason. */
BIO	*file_open(struct weir_conf *, const char *path);

/* What a file means; NULL: nobody has parsed it yet.  Who does may put a reference of its own here, for the others. */
struct weir_tls_objects {
	X509		*leaf;		/* with those behind it */
	STACK_OF(X509)	*rest;
	EVP_PKEY	*key;		/* of which no password was asked */
};
/* NULL with OpenSSL's reason: there is no such file. */
struct weir_tls_objects *file_objects(struct weir_conf *, const char *path);

#endif
