/*
 * files.h - what certificates, keys and lists are read from.
 */
#ifndef WEIR_TLS_FILES_H
#define WEIR_TLS_FILES_H

#include <openssl/bio.h>

#include "core/conf/conf.h"

/*
 * The text of a file, to be freed by BIO_free(); NULL with OpenSSL's reason.  While a configuration is read, a file is
 * read once, however many servers name it; the texts are wiped out with its pool.
 */
BIO	*file_open(struct weir_conf *, const char *path);

#endif
