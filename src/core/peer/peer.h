/*
 * peer.h - upstream groups and their servers.
 *
 * A group is what `upstream name { }` says, or one made of a proxy_pass that names an address.
 * A session picks a peer, tells how it went, and may pick another; what it has tried is in its own
 * struct weir_pick.
 *
 * What a peer is (address, name, links) belongs to a configuration; how it is doing (connections, failures,
 * times) is its state in the group's block (block.h): in the worker's memory, or with `zone` in memory
 * that all workers share.
 *
 *	pick.c       a session picks, and tells how it went
 *	block.c      the state of a group's peers
 *	share.c      blocks in zones: found again by reloads, given back by the dead
 *	budget.c     how many further tries there may be (budget.h)
 *	queue.c      sessions wait until a server is free (queue.h)
 *	scan.c       the loops over many peers
 *	breaker.c    circuit breakers; breaker_tell.c: what they say
 *	lb_*.c       the balancers
 *	count.c      metrics
 *	health.c     servers are asked how they are (health.h)
 *	resolve.c    servers whose addresses DNS tells while the server runs
 *	change.c     servers come, go and change while the server runs; change_json.c: as JSON
 *	save.c       and are written into a file
 *	group_conf.c the upstream block, and groups without one
 *	server_conf.c its servers
 *	lb_conf.c    the directives that choose a balancer
 *	breaker_conf.c those of circuit breakers
 *	target.c     a group that only the session tells
 *	bind.c       the local address of connections
 */
#ifndef WEIR_PEER_PEER_H
#define WEIR_PEER_PEER_H

#include "core/base/hash.h"
#include "core/conf/conf.h"
#include "core/net/addr.h"
#include "core/peer/count.h"
#include "core/sess/expr.h"

struct weir_block;
struct weir_health;
struct weir_breaker;

struct weir_peer {
	struct weir_addr addr;
	struct weir_str	 text;		/* "127.0.0.1:80", "unix:/path" */
	struct weir_str	 name;		/* as written in `server` */
	struct weir_group *group;
	unsigned	 number;	/* in its group */
	unsigned	 tier;		/* of its group: the first is asked first */
	/* As written; what counts is in its state. */
	unsigned	 priority;	/* 1 ...; BACKUP */
	unsigned	 weight, max_fails, max_conns;
	uint64_t	 fail_timeout_ms;
	uint64_t	 warm_ms;	/* slow_start */
	unsigned	 warm_min;	/* slow_start_min, per cent */
	bool		 down, backup, drain;
	struct weir_resolve *resolve;	/* its address comes from there, and may be none; NULL: it is fixed */
	bool		 spare;		/* a place for who comes at run time: change.h */
	uint32_t	 serial;	/* of the address that it has */
	struct weir_str	 route;		/* route= */
	struct weir_str	 sid;		/* what those who stick know it by; the room above makes it */
	unsigned	 alike;		/* the next with the same sid, + 1; 0: none */
	/* of this worker */
	struct weir_links *links;	/* of the room above: idle connections */
	struct weir_tls_sessions *tls;	/* sessions to resume */
};

/* Peers that are asked when all of the tiers before are out. */
struct weir_tier {
	unsigned	 first, n;	/* up to the last who is there; 0: nobody */
	unsigned	 room;		/* with the places behind */
	unsigned	 total;		/* of the weights */
	struct weir_points *points;	/* lb_hash.c's */
};

struct weir_group {
	struct weir_str	 name;
	struct weir_str	 host;		/* for $proxy_host and Host: name, or host[:port] */
	const struct weir_node *node;	/* NULL: implicit */
	bool		 in_stream;	/* its block is one of stream's */
	bool		 brief;		/* of one request: nothing is kept for another */
	struct weir_peer *peers;	/* by tier */
	unsigned	 n;
	struct weir_tier *tiers;
	unsigned	 n_tiers;
	struct weir_tier whole;		/* what tiers points at when there is one */
	unsigned	*sums;		/* of the weights in a tier up to and with this peer */
	const struct weir_balancer *balancer;
	struct weir_sticky *sticky;	/* of the room above; NULL: nobody sticks */
	struct weir_resolve *resolves;	/* resolve.c's */
	bool		 moves;		/* its peers may become others: resolve.h, change.h */
	bool		 lags;		/* they did, and the balancer was not told yet */
	bool		 may_be_empty;	/* no server need be written in its block */
	uint64_t	 drain_ms;	/* drain_timeout; 0: for ever */
	struct weir_pool *points_pool;	/* lb_hash.c's, from the first time that they moved */
	uint32_t	 version;	/* of the addresses that the peers have */
	void		(*on_change)(struct weir_group *);	/* other addresses; of the room above, may be NULL */
	struct weir_queue *queue;	/* queue.c's: who waits */
	void		(*on_free)(struct weir_group *);	/* a connection of this worker has ended; may be NULL */
	struct weir_expr key;		/* of `hash` */
	bool		 two;		/* of `random` */
	bool		 inflight;	/* of `least_time` */
	bool		 by_connect;	/* of `least_time`: pick_heard() when there is a connection */
	struct weir_block *block;
	struct weir_breaker *breaker;	/* NULL: there is none */
	struct weir_shared *shared;	/* its zone; NULL: the block is this process's own */
	struct weir_health *health;	/* its checks: health.h */
	struct weir_group *next_shared;	/* of that zone */
	struct weir_group_count count;
	unsigned	 keepalive;	/* idle links kept in each worker */
	bool		 keepalive_said;	/* somebody wrote so: they are fit to be kept */
	unsigned	 keepalive_requests;
	uint64_t	 keepalive_ms, keepalive_time_ms;
};

#define ROUTE_MAX	32
#define PICK_NO_TIME	UINT64_MAX

/* What went wrong, in words that circuit_breaker_on knows. */
enum weir_trouble { TROUBLE_ERROR, TROUBLE_TIMEOUT, TROUBLE_INVALID, TROUBLE_STATUS, TROUBLE_SLOW };

/* Of one session. */
#define PICK_WORDS 4
struct weir_pick {
	struct weir_group *group;
	struct weir_sess *s;		/* for keys; NULL: there are none */
	uint64_t	 few[PICK_WORDS];
	uint64_t	*tried;		/* bits; few, or in the session's pool */
	unsigned	 n_tried;
	struct weir_peer *peer;		/* the one at work */
	int		 want;		/* who should serve it, or one that is alike; -1: anybody */
	/* Of the attempt; PICK_NO_TIME: it did not get so far. */
	uint64_t	 header_ms, response_ms;
	bool		 inflight;	/* it counts as such */
	bool		 budget;	/* the request counts for the budget of further tries */
	struct {			/* breaker.c's */
		const char *why;	/* of the failure, with its status or its time */
		uint64_t number;
		uint32_t era;
		uint8_t	 trouble, verdict, counted;
		bool	 trial;
	}		 circuit;
	/* The balancers' own: */
	unsigned	 tier;		/* that the following is about; UINT_MAX: none yet */
	unsigned	 spins, rehash;
	uint32_t	 hash;
	bool		 keyed;
	struct weir_str	 key;
};

enum weir_outcome {
	WENT_WELL,
	WENT_BADLY,		/* counts against max_fails */
	WENT_ON,		/* an answer, but another peer is asked: says nothing about times */
	WENT_NOWHERE		/* says nothing about the peer (the client left) */
};

/*
 * A balancer chooses a peer of a tier.  It is called with the block locked: so it neither logs nor
 * evaluates anything; that is for key(), which runs before, once.
 */
struct weir_balancer {
	const char	*name;
	/* The number of a peer that is in service and was not tried, or -1. */
	int		(*choose)(struct weir_pick *, const struct weir_tier *);
	void		(*key)(struct weir_pick *);		/* may be NULL */
	/* What a peer is compared by: the least wins.  NULL: nothing. */
	double		(*rank)(const struct weir_group *, unsigned i);
	bool		 timely;	/* rank changes as time goes by */
	bool		 times;		/* it wants to know times */
	bool		 fixed;		/* goes by fixed weights: no slow_start */
	bool		 no_backup;
	unsigned	 weights_max;	/* the sum that it can do; 0: any */
	/* While binding: when the peers are known.  May be NULL. */
	int		(*ready)(struct weir_conf *, struct weir_group *);
	/* At run time, unlocked: they are others, or have other weights.  May be NULL. */
	void		(*follow)(struct weir_group *);
};
extern const struct weir_balancer lb_round_robin, lb_least_conn, lb_random, lb_random_header,
	lb_random_last_byte, lb_hash, lb_hash_consistent, lb_ip_hash, lb_header, lb_last_byte;

/* `s` NULL only where no key is asked for: tests. */
void	pick_init(struct weir_pick *, struct weir_group *, struct weir_pool *, struct weir_sess *s);
/* The next peer, not one that was tried.  NULL: there is none. */
struct weir_peer *pick_next(struct weir_pick *);
/* Why nobody is there for it, server by server; of many the first few. */
struct weir_str pick_why(struct weir_pick *, struct weir_pool *);
/*
 * Another peer, that the session may try, takes the place of the one at work, which is as if it had not been picked;
 * or nobody is at work.
 */
void	pick_swap(struct weir_pick *, struct weir_peer *);
/* For a second server beside the one at work; then `to` is a pick of its own, which has tried what `from` has. */
void	pick_beside(struct weir_pick *to, const struct weir_pick *from, struct weir_pool *);
/* One of two such picks is over: the other one has tried what it has. */
void	pick_join(struct weir_pick *, const struct weir_pick *over);
/* Was the peer at work removed since, is it down, or known to be unhealthy?  Others do not come into its place meanwhile. */
bool	pick_is_gone(const struct weir_pick *);
/* Begin anew: those that were tried may be tried again. */
void	pick_again(struct weir_pick *);
/*
 * May the group be asked once more, when further tries may be so many per cent of the requests of the last ten seconds, and
 * `min` in any case?  Yes means that it will be: it counts.  Only requests with pick->budget are known.
 */
bool	pick_may_again(struct weir_pick *, unsigned percent, unsigned min);
/* A connection to the peer that outlives its request counts for max_conns until it is let go. */
void	peer_hold(struct weir_peer *);
void	peer_let_go(struct weir_peer *);
/* How many peers a session may try: all that are not `down`. */
unsigned pick_most(const struct weir_pick *);
/* The head of the response has come, or the first byte; so long after the attempt began. */
void	pick_heard(struct weir_pick *, uint64_t ms);
/*
 * For circuit breakers, of the attempt at work; nothing happens without one.  pick_answer(): there is a head, with
 * this status (of HTTP, or 0), after so long; the time is 0 when it is not the server's.  pick_trouble(): it failed; `why` is for the
 * log, and may be NULL.  pick_left(): the client did not wait longer than that.  pick_sure(): a good answer counts now, in place of at the
 * end, which may be far.  All of these come before pick_done().
 */
void	pick_answer(struct weir_pick *, int status, uint64_t ms);
void	pick_sure(struct weir_pick *);
void	pick_trouble(struct weir_pick *, enum weir_trouble, const char *why);
void	pick_left(struct weir_pick *, uint64_t ms);
/* When there was nobody to pick and nobody was tried: because of open circuits, of some or of all that could be asked. */
bool	pick_is_open(struct weir_pick *, bool all);
/* How it went with pick->peer.  response_ms is set before, if it is known. */
void	pick_done(struct weir_pick *, enum weir_outcome);
/* The peer is well, although what it does for this session goes on for who knows how long. */
void	pick_well(struct weir_pick *);

/* ---- for balancers ---- */

/* Was it tried, or is it out of service? */
bool	pick_cannot(const struct weir_pick *, unsigned i);
/* Smooth weighted round robin, among those of least rank if `ranked`. */
int	pick_round(struct weir_pick *, const struct weir_tier *, bool ranked);

/*
 * The group of a name, or of an address that is used without one (made once), of http or stream, as the scope is.  `host`
 * without scheme; `port` 0: it must have one.  A name that no upstream block defines, also not further down, is resolved when
 * all was read; when that fails the complaint is about word 1.
 */
int	group_get(struct weir_conf *, const struct weir_scope *, const struct weir_node *, struct weir_str host,
	    unsigned port, struct weir_group **) WEIR_MUST_USE;
/* While binding: servers of groups with a zone may be changed at run time, so they get room for more. */
void	group_allow_changes(struct weir_conf *);
/* For a `server` line that stands elsewhere: as if it stood in this upstream block. */
int	group_server(struct weir_conf *, struct weir_scope *, struct weir_node *) WEIR_MUST_USE;
/* In a worker, when its loop is there: names that are to be resolved are asked for from now on. */
void	group_start(void *const *conf);
/* At run time, for names that come out of variables: a group that an upstream block of http, or of stream, defines, or NULL. */
struct weir_group *group_find(void *const *conf, struct weir_str name);
struct weir_group *group_find_stream(void *const *conf, struct weir_str name);
/* Of a server that says none; 0: it must say one. */
static inline unsigned
group_port(const struct weir_group *g)
{
	return g->in_stream ? 0 : 80;
}
/* Its zone's name; "": it has none. */
struct weir_str group_zone(const struct weir_group *);
/* All that upstream blocks define, by *i, which is 0 at first; NULL at the end. */
struct weir_group *group_next(void *const *conf, unsigned *i);
/*
 * A group of addresses, in a pool: for those that come out of variables.  Asked are those of IPv4 before those of IPv6, as nginx
 * does; `turn`, of any size, says which of that order is the first.  `text`: the name that they came from.
 */
struct weir_group *group_of_addrs(struct weir_pool *, const struct weir_addr *, unsigned n, struct weir_str text,
    unsigned turn);

extern const struct weir_module upstream_module, upstream_lb_module, upstream_breaker_module;

#endif
