/*
 * resolve.h - servers whose addresses DNS tells while the server runs: `server name resolve`.
 *
 * Such a line has RESOLVE_PLACES places among the group's peers, vacant until the name has addresses.  One of
 * the workers asks, every second, and writes addresses into the block; the resolver answers from its cache until
 * their time is over.  All workers notice the new version when they choose next.  A place that was
 * left gets another address only when nobody uses the old one any more.
 *
 * With `service=` the name has SRV records, whose names are asked for in turn; ports and weights are theirs.  Those with
 * the lowest priority are the servers; all others are backups, in places of their own, unless the balancer knows none.
 *
 * An answer that there are none vacates all places; one that says nothing (failures, silence) changes nothing.  When
 * some names of a service could not be asked for, others are added and none is taken away.
 */
#ifndef WEIR_PEER_RESOLVE_H
#define WEIR_PEER_RESOLVE_H

#include "core/net/resolver.h"
#include "core/peer/peer.h"

#define RESOLVE_PLACES	64
#define RESOLVE_TARGETS	32

struct resolve_found {
	struct weir_addr a;
	unsigned	 weight, port;	/* port 0: the one of the line */
	bool		 spare;		/* a backup, because of its priority */
};

struct resolve_target {			/* a server of a service, while its address is asked for */
	struct weir_lookup lookup;
	struct weir_resolve *r;
	unsigned	 weight, port;
	bool		 spare;
};

struct weir_resolve {			/* a line */
	struct weir_resolve *next;	/* of its group */
	struct weir_group *group;
	struct weir_str	 name;		/* without the port */
	struct weir_str	 service;	/* "_http._tcp.name", asked for instead; "": an address is */
	unsigned	 port;
	unsigned	 priority;	/* as peers have it */
	unsigned	 first;		/* place */
	unsigned	 first_spare;	/* of those for backups, */
	bool		 spares;	/* if there are any */
	struct weir_resolver *resolver;
	uint64_t	 timeout_ms;
	/* of this worker: */
	struct weir_lookup lookup;
	struct weir_timer timer;
	bool		 asking, told_full;
	bool		 failed, partly;	/* nothing was said; of some names */
	unsigned	 waiting, n_found;
	struct resolve_target *targets;
	struct resolve_found *found;	/* in this round */
	enum weir_resolved told;	/* the last failure that was logged */
};

/* While binding: a service of the line's name, "http" or "_http._tcp". */
void	resolve_service(struct weir_conf *, struct weir_resolve *, struct weir_str service);
/* As many peers as it has places, all like this one. */
void	resolve_make_room(struct weir_conf *, struct weir_resolve *, struct weir_peer *);
/* The first of its places in a tier is this peer. */
void	resolve_begins(const struct weir_peer *, unsigned number);
/* A number for the name, for places to be found again. */
uint64_t resolve_key(const struct weir_peer *);
unsigned resolve_port(const struct weir_resolve *);
/* The peers get the addresses that the block has, if those are others.  `locked`: the block is. */
void	resolve_keep_up(struct weir_group *, bool locked);
/* In a worker. */
void	resolve_start(struct weir_group *);

#endif
