/*
 * pairs.h - certificates with their keys that may change while they are served (ssl_certificate_watch).
 *
 * A configuration has a list of them and of the contexts that use them, in an order that all its processes
 * know.  The master reads what has changed and judges it; workers, which may not read keys, are given it
 * in a file without a name that nobody can write to.
 *
 * Connections keep what they began with.
 */
#ifndef WEIR_TLS_PAIRS_H
#define WEIR_TLS_PAIRS_H

#include <openssl/ssl.h>
#include <sys/stat.h>

#include "core/tls/ctx.h"

/* A file as it was when it was looked at. */
struct weir_tls_stamp {
	dev_t		 dev;
	ino_t		 ino;
	off_t		 size;
	struct timespec	 changed, written;
};

enum { PAIR_CERT, PAIR_KEY, PAIR_PASSWORDS, PAIR_FILES };

struct weir_tls_pair {
	const char	*path[PAIR_FILES];	/* no passwords: NULL */
	bool		 by_kernel;		/* which tells of changes */
	uint64_t	 every_ms;		/* how often it is looked at; UINT64_MAX: never for its own sake */
	enum weir_tls_key_mode key_mode;	/* the strictest of who uses it */
	X509		*leaf;
	STACK_OF(X509)	*rest;
	EVP_PKEY	*key;
	const char	*kind;			/* of the key that contexts were made with */
	bool		 changed;		/* since the configuration was read */
	bool		 fresh;			/* and contexts do not have it yet */
	/* watch.c's */
	bool		 dirty, bad;
	struct weir_tls_stamp seen[PAIR_FILES], told[PAIR_FILES];
};

struct weir_tls_user {				/* a context */
	SSL_CTX		*ssl;
	struct { struct weir_tls_pair **v; unsigned n, room; } pairs;
	bool		 by_callback;
};

struct weir_tls_pairs {
	struct { struct weir_tls_pair **v; unsigned n, room; } all;
	struct { struct weir_tls_user **v; unsigned n, room; } users;
};

/* Of cf->watch: the pair that `ssl` has just got from files i of `o`.  WEIR_FAIL: no memory. */
int	pairs_add(struct weir_conf *, SSL_CTX *, const struct weir_tls_opts *, unsigned i) WEIR_MUST_USE;

/*
 * Reads the files again.  NULL: contexts may have what is there, and `fresh` tells whether it is anything new; else
 * why not, and the pair is as it was.
 */
const char *pair_read(struct weir_tls_pair *, char *why, size_t room);
/* Gives contexts what is fresh. */
void	pairs_apply(struct weir_tls_pairs *);

/* All that has changed since the configuration was read, in a sealed file; -1 with errno. */
int	pairs_pack(const struct weir_tls_pairs *) WEIR_MUST_USE;
/* In a worker: takes it over.  WEIR_FAIL: what can be used of it is used. */
int	pairs_unpack(struct weir_tls_pairs *, int fd) WEIR_MUST_USE;

#endif
