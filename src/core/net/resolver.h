/*
 * resolver.h - names to addresses while the server runs, by DNS (c-ares).
 *
 * Each `resolver` directive is a resolver of its own, with servers of its own and, in each worker, a cache.
 * A name is asked for once, however many wait for it; its addresses are kept as long as their TTL says, or as long as
 * `valid=` says.  An answer that names nothing (no such name, no addresses) is kept for as long as its zone says, and
 * resolver_negative_ttl at most; one that says nothing (failure, silence) is not kept: then who asks gets the
 * addresses that were known last, when they are not older than `stale=` lets them be.
 *
 * What strangers decide is bounded: RESOLVER_NAMES names in the cache, of which the one not used for longest
 * goes first; RESOLVER_ADDRS addresses of a name; RESOLVER_CNAMES names behind one another.
 */
#ifndef WEIR_NET_RESOLVER_H
#define WEIR_NET_RESOLVER_H

#include "core/conf/conf.h"
#include "core/ev/loop.h"
#include "core/net/addr.h"

#define RESOLVER_NAMES	4096
#define RESOLVER_ADDRS	256
#define RESOLVER_CNAMES	8

struct weir_resolver;

enum weir_resolved {
	RESOLVED,
	RESOLVE_NO_NAME,	/* there is no such name, or it has no addresses */
	RESOLVE_FAIL,		/* the servers do not answer sensibly */
	RESOLVE_TIMEOUT,
	RESOLVE_BUSY		/* too many names are being asked for */
};
/* As nginx words it: "Host not found". */
const char *resolve_error(enum weir_resolved);

/* A server of a service (RFC 2782). */
#define RESOLVER_NAME_MAX 255
struct weir_srv {
	uint16_t	 priority, weight, port;
	char		 name[RESOLVER_NAME_MAX + 1];
};

/* One who asks; lies in its owner. */
struct weir_lookup {
	struct weir_list node;
	struct weir_timer timer;
	enum weir_resolved how;
	bool		 cached;	/* resolver.c's: it was known when the question came */
	unsigned	 turn;		/* how often the same answer was given before */
	const struct weir_addr *addrs;	/* without ports; only while done() runs */
	const struct weir_srv *srvs;	/* instead of addrs, of lookup_start_srv(); the same */
	unsigned	 n;
	/* Called once, last, never from inside lookup_start(). */
	void		(*done)(struct weir_lookup *);
};

/* The resolver of a place, NULL: it has none; and how long to wait for it. */
struct weir_resolver *resolver_of(void *const *conf, uint64_t *timeout_ms);

/* `name`: without a port; its case does not matter. */
void	lookup_start(struct weir_lookup *, struct weir_resolver *, struct weir_str name, uint64_t timeout_ms,
	    void (*done)(struct weir_lookup *));
/* The same for the servers of a service, "_http._tcp.example.org": their names, not their addresses. */
void	lookup_start_srv(struct weir_lookup *, struct weir_resolver *, struct weir_str service, uint64_t timeout_ms,
	    void (*done)(struct weir_lookup *));
/* done() will not be called.  Harmless when it was. */
void	lookup_cancel(struct weir_lookup *);

extern const struct weir_module resolver_module;

#endif
