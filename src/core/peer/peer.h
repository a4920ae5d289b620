/*
 * peer.h - upstream groups and their servers.
 *
 * A group is what `upstream name { }` says, or one made of a proxy_pass that names an address.
 * A request picks a peer, tells how it went, and may pick another; what it has tried is in its own
 * struct weir_pick.
 *
 *	peer.c       weighted round robin, failures
 *	group_conf.c the upstream block
 */
#ifndef WEIR_PEER_PEER_H
#define WEIR_PEER_PEER_H

#include "core/base/hash.h"
#include "core/conf/conf.h"
#include "core/net/addr.h"

struct weir_peer {
	struct weir_addr addr;
	struct weir_str	 text;		/* "127.0.0.1:80", "unix:/path" */
	struct weir_str	 name;		/* as written in `server` */
	unsigned	 number;	/* in its group */
	unsigned	 weight, max_fails, max_conns;
	uint64_t	 fail_timeout_ms;
	bool		 down, backup;
	/* of this worker */
	int		 current, effective;
	unsigned	 fails, conns;
	uint64_t	 failed_ms;	/* the last failure; 0: none */
	uint64_t	 checked_ms;	/* the last time it was tried again */
	struct weir_links *links;	/* of the room above: idle connections */
	struct weir_tls_sessions *tls;	/* sessions to resume */
};

struct weir_group {
	struct weir_str	 name;
	struct weir_str	 host;		/* for $proxy_host and Host: name, or host[:port] */
	const struct weir_node *node;	/* NULL: implicit */
	bool		 brief;		/* of one request: nothing is kept for another */
	struct weir_peer *peers;
	unsigned	 n, n_backup;	/* n: all, the backups are the last */
	unsigned	 keepalive;	/* idle links kept in each worker */
	unsigned	 keepalive_requests;
	uint64_t	 keepalive_ms, keepalive_time_ms;
};

/* Of one request. */
#define PICK_WORDS 4
struct weir_pick {
	struct weir_group *group;
	uint64_t	 few[PICK_WORDS];
	uint64_t	*tried;		/* bits; few, or in the request's pool */
	struct weir_peer *peer;		/* the one at work */
};

enum weir_outcome {
	WENT_WELL,
	WENT_BADLY,		/* counts against max_fails */
	WENT_NOWHERE		/* says nothing about the peer (the client left) */
};

void	pick_init(struct weir_pick *, struct weir_group *, struct weir_pool *);
/*
 * The next peer, not one that was tried.  NULL: there is none; the failures of all are
 * forgotten then, so that the next request tries again.
 */
struct weir_peer *pick_next(struct weir_pick *);
/* A connection to the peer that outlives its request counts for max_conns until it is let go. */
void	peer_hold(struct weir_peer *);
void	peer_let_go(struct weir_peer *);
/* How many peers a request may try: all that are not `down`. */
unsigned pick_most(const struct weir_pick *);
/* How it went with pick->peer. */
void	pick_done(struct weir_pick *, enum weir_outcome);

/*
 * The group of a name, or of an address that is used without one (made once).  `host` without scheme.
 * A name that no upstream block defines, also not further down, is resolved when all was read; when that
 * fails the complaint is about word w.
 */
int	group_get(struct weir_conf *, const struct weir_node *, unsigned w, struct weir_str host,
	    unsigned port, struct weir_group **) WEIR_MUST_USE;
/* At run time, for names that come out of variables: a group that the session's configuration defines, or NULL. */
struct weir_group *group_find(void *const *conf, struct weir_str name);
/*
 * A group of addresses, in a pool: for those that come out of variables.  They are asked in turn from one to the next
 * request.  `text`: the name that they came from.
 */
struct weir_group *group_of_addrs(struct weir_pool *, const struct weir_addr *, unsigned n, struct weir_str text);

extern const struct weir_module upstream_module;

#endif
