/*
 * tls.h - TLS over a connection (RFC 8446, RFC 5246), by OpenSSL.
 *
 * A handshake turns a connection's io into one that carries plain text: conn->io is TLS from then on, and
 * whoever uses it does not notice.  What the layer holds while nothing moves is OpenSSL's own
 * state; its buffers are given back.
 *
 *	io.c         reading and writing
 *	handshake.c  accepting; the name that a client asks for
 *	client.c     connecting, verifying, resuming
 *	hello.c, fingerprint.c, fp_db.c  what a client says before anything is encrypted, and what kind of program says so
 *	look.c       which name it asks for, before it is known who ends TLS
 *	ctx.c        contexts: certificates, keys, groups, verification
 *	sess_cache.c, tickets.c  sessions that are resumed
 *	keys.c, groups.c  what contexts are made of
 *	watch.c, pairs.c  certificates that change while they are served
 *	stapling.c, staple_ask.c  what responders say of our certificates, from a file or from them
 *	ocsp.c, ocsp_ask.c, ocsp_http.c, ocsp_judge.c  clients' certificates: what responders say of them
 *	info.c       what was agreed: for variables and logs
 *	server_conf.c  the directives ssl_*
 *
 * Secrets: keys are read by the master and inherited; they appear in no log, and no process of
 * weir dumps core unless worker_rlimit_core asks for it.
 */
#ifndef WEIR_TLS_TLS_H
#define WEIR_TLS_TLS_H

#include "core/net/conn.h"
#include "core/tls/ctx.h"

/* How a handshake ended. */
enum weir_tls_end {
	TLS_OK,			/* conn->io is encrypted */
	TLS_PLAIN,		/* the client speaks something else: nothing was read, conn->io is as it was */
	TLS_FAIL,		/* refused, broken off or not understood: logged; the connection is to be closed */
	TLS_TIMEOUT,
	TLS_NO_KEY		/* of a client: its own certificate cannot be loaded; logged, and nothing was sent */
};

struct ssl_st;
struct weir_resolver;

struct weir_tls_accept {
	const struct weir_tls_ctx *ctx;		/* of the default server */
	/*
	 * Which context is meant by the name that a client asks for (lower case, no trailing dot; empty: it
	 * asked for none, or for nonsense)?  *owner: kept for tls_owner().  NULL: none, the handshake
	 * is refused with unrecognized_name.
	 */
	const struct weir_tls_ctx *(*find)(struct weir_conn *, struct weir_str name, void **owner);
	/*
	 * What is spoken there, the best first, as RFC 7301 writes a list; `owner` is find()'s.  A client that
	 * offers protocols and none of these is refused.  An empty list: that is nobody's business.
	 */
	struct weir_str	(*alpn)(struct weir_conn *, void *owner);
	/* With what names of OCSP responders are resolved there; NULL: with nothing. */
	struct weir_resolver *(*resolver)(struct weir_conn *, void *owner, uint64_t *timeout_ms);
	const struct weir_log *log;	/* copied */
	uint64_t	 timeout_ms;
	/* Called once, last, never from inside tls_accept(). */
	void		(*done)(struct weir_conn *, enum weir_tls_end);
};

/*
 * Sessions that a peer gave us, each for the context and name that it came with: elsewhere the peer's certificate
 * would have to be looked at again.  A handful; NULL at first.  Of one process.
 */
struct weir_tls_sessions;
void	tls_sessions_free(struct weir_tls_sessions **);

struct weir_tls_connect {
	const struct weir_tls_ctx *ctx;
	/* Whom we want: the certificate must have this name or address, when `verify`. */
	struct weir_str	 name;
	bool		 sni;		/* and the name is asked for, unless it is an address */
	bool		 verify;
	const char	*alpn;		/* the one protocol that we speak: "http/1.1"; NULL: none is said */
	struct weir_str	 alpns;		/* or several, as RFC 7301 writes a list; lives until done() */
	/* Of a context that is `dynamic`: what we show, and then no session is resumed.  NULL: nothing. */
	const struct weir_tls_names *shown;
	struct weir_tls_sessions **sessions;	/* outlives the connection; NULL: nothing is resumed */
	const struct weir_log *log;	/* copied, with its context */
	uint64_t	 timeout_ms;
	/* Called once, last, never from inside tls_connect(). */
	void		(*done)(struct weir_conn *, enum weir_tls_end);
};

/* Both take a connection whose owner uses it no further until done().  The options are copied. */
void	tls_accept(struct weir_conn *, const struct weir_tls_accept *);
void	tls_connect(struct weir_conn *, const struct weir_tls_connect *);

/* Is the handshake not over yet, although there is something to read?  It may be a copy of what another client sent. */
bool	tls_is_early(const struct weir_conn *);
/* Is it encrypted? */
bool	conn_is_tls(const struct weir_conn *);
/* What find() said of the server that was asked for; NULL: it was not asked, or there is no TLS. */
void	*tls_owner(const struct weir_conn *);
/* The connection goes to who knows nothing of that server: nobody was asked for. */
void	tls_disown(struct weir_conn *);

/* ---- what was agreed; empty when there is no TLS, or no such thing ---- */

struct weir_str tls_alpn(const struct weir_conn *);		/* the protocol above: "h2" */
struct weir_str tls_server_name(const struct weir_conn *);	/* as it was asked for */
const char	*tls_protocol(const struct weir_conn *);	/* "TLSv1.3" */
const char	*tls_cipher(const struct weir_conn *);
const char	*tls_curve(const struct weir_conn *);		/* the group: "X25519MLKEM768" */
/* A group by OpenSSL's number, with the name that nginx gives it: "prime256v1"; NULL: it has none. */
const char	*tls_group_name(struct ssl_st *, int id);
/* What is wrong with the certificate that the client showed; NULL: nothing, or it showed none. */
const char	*tls_client_fault(const struct weir_conn *);
/* The client's fingerprint; NULL: ssl_fingerprint is off where it went, or it was not understood. */
struct weir_fp *tls_fp(const struct weir_conn *);
/* What ssl_fingerprint_db of that server says of it; NULL: there is none, or it is empty. */
const struct weir_fp_entry *tls_fp_entry(const struct weir_conn *);
bool	tls_resumed(const struct weir_conn *);
/* Did the client show a certificate, in this connection or in the one that is resumed? */
bool	tls_client_certified(const struct weir_conn *);
/* The first common name in that certificate, as UTF-8, in the pool; empty: there is none. */
struct weir_str tls_client_cn(const struct weir_conn *, struct weir_pool *);
/* Before anybody uses OpenSSL: where it takes its memory (core/base/small.h). */
void	tls_memory(void);
/* The OpenSSL object itself, for info.c's callers in this rank; NULL without TLS. */
struct ssl_st	*tls_ssl(const struct weir_conn *);

#endif
