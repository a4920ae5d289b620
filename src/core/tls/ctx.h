/*
 * ctx.h - TLS contexts: what is the same for all connections of a server, or to an upstream.
 *
 * Made while the configuration is bound, by the master, which alone may read keys; workers inherit them.
 */
#ifndef WEIR_TLS_CTX_H
#define WEIR_TLS_CTX_H

#include "core/tls/fp_db.h"

enum { TLS_V1_2 = 1, TLS_V1_3 = 2 };		/* older ones are not offered at all (RFC 8996) */

/* Key exchange that quantum computers do not break (ML-KEM): as the groups say, nothing else, or not at all. */
enum weir_tls_pqc { PQC_PREFER, PQC_REQUIRE, PQC_OFF };

enum weir_tls_verify { VERIFY_OFF, VERIFY_ON, VERIFY_OPTIONAL, VERIFY_OPTIONAL_NO_CA };

/* auto: where certificates name a responder. */
enum weir_tls_stapling { STAPLE_OFF, STAPLE_ON, STAPLE_AUTO };

/* Key files that others than their owner can read: worth a warning when all can, refused, or nobody's business. */
enum weir_tls_key_mode { KEYS_WARN, KEYS_STRICT, KEYS_OFF };

enum weir_tls_ocsp { ASK_NONE, ASK_CHAIN, ASK_LEAF };

/* Where something was written, for messages. */
struct weir_tls_word {
	struct weir_str	 s;
	const struct weir_node *node;
	unsigned	 w;
};

struct weir_tls_words {
	struct weir_tls_word *v;
	unsigned	 n, room;
};

/* What is done with fingerprints of clients. */
struct weir_tls_fp {
	bool		 on;		/* they are taken */
	struct weir_fp_db *db;		/* whose they are; NULL: nobody knows */
	unsigned	 deny;		/* classes that are refused: enum weir_fp_class */
};

/* What directives say; paths are absolute.  A word with an empty `s` was not given. */
struct weir_tls_opts {
	struct weir_tls_words certificates, keys;	/* in pairs */
	bool		 dynamic;	/* they have variables: words as they were written */
	uint64_t	 cache_max, cache_inactive_ms, cache_valid_ms;	/* of them; max 0: none */
	enum weir_tls_key_mode key_mode;
	struct weir_tls_word passwords;		/* a file: one on each line */
	bool		 watch;		/* notice when the files change */
	uint64_t	 watch_ms;	/* by looking at them so often; 0: by being told */
	unsigned	 protocols;		/* TLS_V1_... */
	struct weir_tls_word ciphers, curves, dhparam;
	bool		 prefer_server;
	enum weir_tls_pqc pqc;
	unsigned	 pqc_level;		/* of groups with ML-KEM, at least; 0: any */
	unsigned	 pqc_status;		/* of PQC_REQUIRE: for requests, instead of refusing handshakes; 0: no */
	bool		 pqc_tell;		/* who has a classical one is logged */
	enum weir_tls_verify verify;
	int64_t		 depth;
	struct weir_tls_word client_ca;		/* verifies, and is told to clients */
	struct weir_tls_word trusted;		/* verifies, and is not */
	struct weir_tls_word crl;
	uint64_t	 record;		/* bytes of a record, at most */
	enum weir_tls_stapling stapling;
	struct weir_tls_word staple;		/* a file with an OCSP response */
	struct weir_tls_word staple_responder;	/* whom to ask for one, whatever certificates say */
	enum weir_tls_ocsp ocsp;		/* what responders are asked about */
	struct weir_tls_word responder;		/* whatever certificates say */
	struct weir_table *ocsp_cache;		/* of their answers; NULL: none */
	bool		 tickets;
	uint64_t	 session_ms;		/* how long a session can be resumed */
	struct weir_table *cache;		/* where sessions are kept; NULL: nowhere that is shared */
	uint64_t	 builtin;		/* so many in each worker; 0: none */
	struct weir_tls_words ticket_keys;
	uint64_t	 rotate_ms;		/* how long a key that was made here seals */
	struct weir_tls_words commands;		/* name and value in turn: SSL_CONF_cmd(3) */
	bool		 early;			/* take data before the handshake is over */
	bool		 compress;		/* certificates, for clients that know how to (RFC 8879) */
	bool		 reject;		/* refuse every handshake that names this server */
	struct weir_tls_fp fp;
	const bool	*fp_anywhere;		/* `on` in any server of the configuration; decided later */
};

struct weir_tls_ctx;

/*
 * A server's context; it lives as long as the configuration.  NULL after complaining.  `place` is the
 * node for what nobody wrote.
 */
struct weir_tls_ctx *tls_server_ctx(struct weir_conf *, const struct weir_node *place,
	    const struct weir_tls_opts *);

/*
 * A context for connections to servers.  Of the options count: certificates, keys, passwords, protocols, ciphers,
 * curves, depth, trusted, crl, commands.  `verify` other than VERIFY_OFF: certificates may be
 * judged, so when nothing is trusted by name, what the system trusts is.  `dynamic`: which certificate is shown is said
 * with each connection (struct weir_tls_connect).
 */
struct weir_tls_ctx *tls_client_ctx(struct weir_conf *, const struct weir_node *place,
	    const struct weir_tls_opts *);

/* For ssl_protocols and its like: words from 1 on.  Older protocols are worth a warning. */
int	tls_protocols(struct weir_conf *, const struct weir_node *, unsigned *to) WEIR_MUST_USE;

/* For ssl_certificate_cache and its like: off | max=n [inactive=time] [valid=time]. */
int	tls_cache_conf(struct weir_conf *, const struct weir_node *, struct weir_tls_opts *) WEIR_MUST_USE;

/*
 * Certificates whose names have variables.  Who serves knows what these are: eval() gives the names of all pairs, absolute
 * and NUL-terminated, in the pool.  `owner` is tls_owner()'s.
 */
enum { TLS_PAIRS_MAX = 8 };

struct weir_conn;

struct weir_tls_names {
	const char	*certificate[TLS_PAIRS_MAX], *key[TLS_PAIRS_MAX];
	unsigned	 n;
};

struct weir_tls_dynamic {
	struct weir_tls_words certificates, keys;
	bool		 (*eval)(struct weir_conn *, void *owner, void *arg, struct weir_pool *,
		    struct weir_tls_names *);
	void		*arg;
};

/* Has a word a variable in it? */
bool	tls_has_variables(const struct weir_tls_words *);
/*
 * The path, in the pool, of what variables made of a name; a relative one begins at `prefix`.  NULL: it is empty, or
 * leads out of the folder that was meant.
 */
const char *tls_file_name(struct weir_pool *, const char *prefix, struct weir_str name);
/* To be filled in by who serves; NULL: the context needs none. */
struct weir_tls_dynamic *tls_ctx_dynamic(struct weir_tls_ctx *);

/* What level the key exchange of its requests must have (groups.h); 0: any.  *status: if it has not. */
unsigned tls_ctx_level(const struct weir_tls_ctx *, int *status);
/* Refuses every handshake? */
bool	tls_ctx_rejects(const struct weir_tls_ctx *);
/* Does it ask clients for certificates, and what if they have none? */
enum weir_tls_verify tls_ctx_verify(const struct weir_tls_ctx *);

#endif
