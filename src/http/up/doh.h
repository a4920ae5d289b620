/*
 * doh.h - servers that are asked by DNS over HTTPS: what the files of it share.
 *
 *	doh_conf.c  the URL, where that is, whom to trust
 *	doh_conn.c  connections: made, kept, given up
 *	doh.c       a question and its answer on one of them
 *
 * HTTP/2 is preferred: then all questions of a worker share a connection.  With HTTP/1.1 a few connections have one
 * question at a time each, and the others wait.
 */
#ifndef WEIR_HTTP_UP_DOH_H
#define WEIR_HTTP_UP_DOH_H

#include "core/net/doh.h"
#include "core/tls/tls.h"
#include "http/codec.h"

enum {
	DOH_LINKS_MAX	= 4,		/* to a server, of a worker */
	DOH_CONNECT_MS	= 4000,		/* connecting, and the handshake; each */
	DOH_IDLE_MS	= 30000
};

struct weir_doh {
	struct weir_str	 url, authority, path;
	struct weir_str	 name;		/* whom the certificate is for */
	struct weir_addr *addrs;
	unsigned	 n_addrs;
	struct weir_tls_ctx *ctx;
	bool		 verify;
	/* of this worker */
	bool		 begun;
	bool		 told;		/* that it does not answer */
	struct weir_list all;		/* of all servers */
	struct weir_list queue;		/* questions that wait for a connection */
	struct weir_task task;		/* looks at the queue */
	struct weir_list links;
	unsigned	 n_links;
	struct weir_timer idle;
	struct weir_tls_sessions *sessions;
	/* while a connection is made */
	bool		 dialling;
	struct weir_dial dial;
	struct weir_conn *securing;
	unsigned	 addr, tried;	/* which of its addresses; how many in this attempt */
};

/* ---- doh.c ---- */

extern const struct weir_doh_ops doh_by_http;
/* What is wrong; said once until it answers again. */
void	doh_tell(struct weir_doh *, const char *why);
/* There is, or will be, a link: go on with the queue, at the end of the turn. */
void	doh_go_on(struct weir_doh *);
/* Nobody who waits will get a link. */
void	doh_no_link(struct weir_doh *, const char *why);

/* ---- doh_conf.c ---- */

struct weir_doh *doh_make(struct weir_conf *, const struct weir_doh_want *);

/* ---- doh_conn.c ---- */

void	doh_conn_begin(struct weir_doh *);
/* One with room for a question; NULL: there is none now, but one is being made, or will be free. */
struct weir_link *doh_link(struct weir_doh *);
/* After the release of an exchange. */
void	doh_link_return(struct weir_doh *, struct weir_link *);
/* The worker ends. */
void	doh_links_end(struct weir_doh *);

#endif
