/*
 * server_conf.h - a server of an upstream block: its address, and what the line says of it.
 */
#ifndef WEIR_PEER_SERVER_CONF_H
#define WEIR_PEER_SERVER_CONF_H

#include "core/peer/peer.h"

enum { PRIORITY_BACKUP = 256 };		/* behind all that priority= can say */

/* A line whose name had no address when it was read: a peer that is down. */
struct server_late {
	struct server_late *next;
	const struct weir_node *node;
	struct weir_str	 host;		/* without the port */
	unsigned	 port;
	const char	*err;		/* may be NULL */
	unsigned	 at;		/* of the list */
};

struct server_list {
	struct weir_peer *v;
	unsigned	 n, room;
	struct server_late *lates;
};

/*
 * `server ADDRESS ...`, in an upstream block: adds a peer for each address, or, when names are to be resolved at run time,
 * the places for them.
 */
int	server_read(struct weir_conf *, struct weir_scope *, struct weir_node *, struct server_list *) WEIR_MUST_USE;
/*
 * When the block is read: names that had no address are asked for while the server runs, as if their lines said `resolve`, or
 * remain down.  Warns of each.
 */
void	server_settle_late(struct weir_conf *, struct weir_scope *, struct server_list *, bool resolves);
/* Does the line say `resolve`?  Its other parameters are read when there is a peer to put them into. */
bool	server_resolves(const struct weir_node *);
/* Is the block one of stream? */
bool	server_in_stream(const struct weir_scope *);
/* A peer of which only the address is known. */
void	server_fill(struct weir_pool *, struct weir_peer *, const struct weir_addr *, struct weir_str name);
/*
 * The addresses of "host:port", "unix:/path", which word 1 is; NULL after a complaint.  `port` 0: it must have one.
 * With `late` a name without addresses has one where nobody is, and that is set.
 */
struct weir_addr *server_addrs(struct weir_conf *, const struct weir_node *, struct weir_str, unsigned port,
	    unsigned *count, struct server_late **late) WEIR_MUST_USE;

#endif
