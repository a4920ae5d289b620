/*
 * links.h - connections to upstreams, kept for the next request.
 *
 * A link is lent to one exchange, or to as many as its codec can carry at a time (h2).  Who borrowed it never
 * closes it: links_return() decides.
 */
#ifndef WEIR_HTTP_UP_LINKS_H
#define WEIR_HTTP_UP_LINKS_H

#include "core/peer/peer.h"
#include "http/codec.h"

/* Which links may serve a request. */
struct weir_links_want {
	const struct weir_codec *codec;		/* that speaks its version */
	uint64_t	 kind;			/* 0: clear; else peer_tls_kind() */
	unsigned	 most;			/* exchanges on a link, of a codec with many */
	uint64_t	 fresh_ms;		/* made since then; 0: whenever */
	struct weir_str	 preface;		/* what was said first: a link speaks for one client only */
};

/*
 * A link to this peer: an idle one, the one used last; of a codec with many, rather one that others use
 * and that has room.  NULL when there is none.
 */
struct weir_link *links_take(struct weir_group *, struct weir_peer *, const struct weir_links_want *);
/* A fresh link of a codec with many, that others may use from now on as well, unless the group keeps none. */
void	links_share(struct weir_link *, struct weir_group *);
/* How many exchanges at a time a link of the group will probably carry; 0: nobody knows. */
unsigned links_limit(const struct weir_group *);
/*
 * After the release of its exchange: keeps an idle link if the group wants it, else ends it, unless others
 * still use it.  `keep` false: the borrower, the only one, knows a reason not to.
 */
void	links_return(struct weir_link *, struct weir_group *, struct weir_peer *, bool keep);
/* Idle links of this worker. */
unsigned links_idle(void);
/* End all idle links: the worker retires. */
void	links_end_all(void);

#endif
