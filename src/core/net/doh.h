/*
 * doh.h - DNS over HTTPS (RFC 8484) as the resolver sees it: bytes to a server, bytes back.
 *
 * HTTP is spoken in a room above, which fills this in.  It connects, verifies who is there, keeps the connection for the
 * next question, and knows nothing of DNS.
 */
#ifndef WEIR_NET_DOH_H
#define WEIR_NET_DOH_H

#include "core/base/list.h"
#include "core/conf/conf.h"
#include "core/net/addr.h"

struct weir_doh;			/* a server */

/* What the directive says of it. */
struct weir_doh_want {
	const struct weir_node *node;
	unsigned	 w;		/* the word with the URL */
	unsigned	 trusted_w;	/* the word with the certificates that are trusted; 0: those of the system, */
	struct weir_str	 trusted;	/* and the file */
	bool		 verify;
	struct weir_addr *addrs;	/* where it is; their ports do not count */
	unsigned	 n_addrs;	/* 0: the URL has the address, or a name that is looked up now */
};

/* A question on its way; lies in its owner. */
struct weir_doh_ask {
	const unsigned char *wire;
	size_t		 n;
	/*
	 * Called once, last, never from inside ask(): the answer, only while this runs, and how many seconds it has spent in
	 * caches.  NULL: there is none, and why was logged.
	 */
	void		(*done)(struct weir_doh_ask *, const unsigned char *answer, size_t n, uint64_t age_s);
	/* of who carries it */
	struct weir_list node;
	void		*at;
	bool		 again;
};

struct weir_doh_ops {
	/* While binding.  NULL after complaining. */
	struct weir_doh *(*make)(struct weir_conf *, const struct weir_doh_want *);
	void		(*ask)(struct weir_doh *, struct weir_doh_ask *);
	/* It takes too long: done() will not be called. */
	void		(*give_up)(struct weir_doh *, struct weir_doh_ask *);
};

#define DOH_ANSWER_MAX	65535u		/* what a message of DNS can have */

/* NULL: nobody can. */
extern const struct weir_doh_ops *doh_ops;

#endif
