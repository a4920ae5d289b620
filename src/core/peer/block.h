/*
 * block.h - how the peers of a group are doing.
 *
 * A block is one piece of memory without pointers in it, so it may lie in a zone; there it has a lock, which
 * all below but block_init() expect to be held, and a table of who holds how many connections, so that
 * the connections of a worker that died can be given back.
 *
 * What every choice looks at lies apart, in three arrays of numbers: with thousands of peers they are
 * all that is read.  Whoever is out of service has OUT_CURRENT, 0 and OUT_RANK in them, so that loops need not ask.
 *
 * Who was added at run time is described by its place, too, because no configuration does.
 *
 * A group whose servers were changed by a reload has another block.  The old one, as long as workers use
 * it, tells its heir which connections it still has.
 */
#ifndef WEIR_PEER_BLOCK_H
#define WEIR_PEER_BLOCK_H

#include <pthread.h>

#include "core/base/clock.h"
#include "core/peer/health.h"
#include "core/peer/peer.h"

/* Why a peer is out. */
enum {
	OUT_DOWN	= 1 << 0,
	OUT_DRAIN	= 1 << 1,	/* only those who stick to it */
	OUT_FAILED	= 1 << 2,
	OUT_FULL	= 1 << 3,
	OUT_VACANT	= 1 << 4,	/* nobody is there: resolve.h, change.h */
	OUT_OPEN	= 1 << 5,	/* its circuit: see breaker.h */
	OUT_UNHEALTHY	= 1 << 6	/* see health.h */
};

#define OUT_CURRENT	(INT32_MIN / 2)
#define OUT_RANK	INT32_MAX
#define BLOCK_WEIGHTS	(1 << 28)	/* the sum of weights stays below, so nothing overflows */

#define PLACE_NAME	128

struct weir_place {		/* of a spare peer */
	char		 name[PLACE_NAME], route[ROUTE_MAX];
	uint8_t		 n_name, n_route;
};

struct weir_state {
	uint64_t	 key;		/* of address and name */
	uint64_t	 fail_timeout_ms;
	uint64_t	 failed_ms;	/* the last failure; 0: none */
	uint64_t	 checked_ms;	/* the last time it was tried again */
	uint64_t	 warm_ms, warm_from_ms;	/* slow start; from 0: it is warm */
	uint64_t	 inflight_sum_ms, inflight_at_ms;
	uint64_t	 drain_until_ms;	/* until then those who stick may come */
	uint64_t	 requests, failures, outages;
	uint32_t	 weight, max_fails, max_conns, warm_min;
	int32_t		 effective;	/* the weight, less after failures */
	int32_t		 current, rank;	/* kept while it is out */
	uint32_t	 fails, conns;
	uint32_t	 inherited;	/* of conns: held by users of older blocks */
	uint32_t	 heir;		/* its number in the heir, + 1; 0: it has none */
	uint32_t	 header_ms, response_ms, inflight_ms;	/* averages */
	uint32_t	 inflight;	/* requests */
	uint32_t	 serial;	/* of its address, when that is not fixed */
	uint32_t	 id;		/* for changes; nobody else in the group ever gets it */
	uint32_t	 place;		/* + 1; 0: it is described by the configuration */
	uint8_t		 family;	/* of the address: 4 or 6 */
	uint16_t	 port;		/* 0: the one of the line */
	uint8_t		 ip[16];
	uint8_t		 out;		/* OUT_ bits */
	bool		 alone;		/* nobody else to ask: failures do not count */
	struct weir_health_state health;
};

/* budget.c's */
struct weir_budget_sum { uint32_t asked, again; };

struct weir_budget {
	uint64_t	 since_ms;	/* when the window of `now` began */
	struct weir_budget_sum now, before;
};

enum { STALE_RANKS = 1, STALE_COUNTS = 2, STALE_SUMS = 4 };	/* sums: those of a scan may be half of two */

struct weir_block {
	pthread_mutex_t	 lock;		/* when shared */
	uint64_t	 id;		/* of all that was configured */
	uint64_t	 size;
	uint64_t	 wake_ms;	/* somebody's fail_timeout is over then */
	uint64_t	 warmed_ms, ranked_ms;
	uint32_t	 n, n_slots;	/* slots 0: not shared */
	uint32_t	 scale;		/* of weights: slow start needs finer steps */
	/* Peers (requests) that are so; weak: in service with less than their weight. */
	uint32_t	 failed, weak, warming, inflight;
	struct weir_budget budget;
	uint32_t	 stale;		/* STALE_ bits: to be made anew before use */
	_Atomic uint32_t version;	/* rises when addresses or weights change */
	uint32_t	 next_id;
	uint32_t	 changes, saved;	/* at run time, and as far as they are in a file: change.h, save.h */
	uint64_t	 frozen_ms;	/* a reload reads that file since then; 0: none does */
	pthread_mutex_t	 saving;
	uint32_t	 leader;	/* slot, + 1, of the process that resolves names; 0: nobody does */
	uint64_t	 heir;		/* offset in the zone; 0: there is none */
	uint64_t	 probed_ms;	/* health_state.c's: who asks the servers was alive then */
	uint32_t	 prober;
	uint64_t	 circuits_ms;	/* whose circuit is open may be tried then; 0: not everything is settled */
	uint32_t	 tripped;	/* circuits that are not closed */
	uint32_t	 at_circuits;	/* breaker.c's; 0: there are none */
	uint32_t	 at_state, at_current, at_effective, at_rank, at_held, at_pins, at_places;
};

static inline struct weir_state *
block_state(struct weir_block *b, unsigned i)
{
	return (struct weir_state *)(void *)((char *)b + b->at_state) + i;
}

static inline int32_t *
block_current(struct weir_block *b)
{
	return (int32_t *)(void *)((char *)b + b->at_current);
}

static inline int32_t *
block_effective(struct weir_block *b)
{
	return (int32_t *)(void *)((char *)b + b->at_effective);
}

static inline int32_t *
block_rank(struct weir_block *b)
{
	return (int32_t *)(void *)((char *)b + b->at_rank);
}

/* What the process of this slot holds, by peer. */
static inline uint32_t *
block_held(struct weir_block *b, unsigned slot)
{
	return (uint32_t *)(void *)((char *)b + b->at_held) + (size_t)slot * b->n;
}

/* NULL: the configuration describes it. */
static inline struct weir_place *
block_place(struct weir_block *b, const struct weir_state *st)
{
	struct weir_place *all = (struct weir_place *)(void *)((char *)b + b->at_places);

	return st->place != 0 ? &all[st->place - 1] : NULL;
}

/* How many generations the process of a slot has that use it; by slot. */
static inline uint32_t *
block_pins(struct weir_block *b)
{
	return (uint32_t *)(void *)((char *)b + b->at_pins);
}

/* Bytes that a block of the group's peers needs. */
size_t	block_size(const struct weir_group *, unsigned n_slots);
/* What a spare peer adds to that, about. */
size_t	block_spare_size(unsigned n_slots);
/* In zeroed memory: a block of the group's peers, without a history. */
void	block_init(struct weir_block *, const struct weir_group *, unsigned n_slots);
/* A number for all that the configuration says. */
uint64_t block_id(const struct weir_group *);
/* Is one alone?  Those that are vacant do not count. */
void	block_count(struct weir_group *);
/* Connections, from who holds them. */
void	block_recount(struct weir_block *);
/* Takes from an older block what is known of peers that both have.  Both are locked. */
void	block_inherit(struct weir_group *, struct weir_block *b, struct weir_block *old);

/* When one that drains has drained, if that begins now. */
static inline uint64_t
block_drain_until(const struct weir_group *g)
{
	return g->drain_ms != 0 ? weir_now_ms + g->drain_ms : UINT64_MAX;
}

/* What of its weight counts now. */
int32_t	block_share(const struct weir_block *, const struct weir_state *);
/* Who failed not long ago is out. */
void	block_keep_out(struct weir_group *);
/* Before a choice: who may come back, who is warmer, what was left stale. */
void	block_refresh(struct weir_group *);
void	block_out(struct weir_group *, unsigned i, unsigned bit);
void	block_in(struct weir_group *, unsigned i, unsigned bit);
/* A connection more, or one less, of the process with this slot (-1: none). */
void	block_taken(struct weir_group *, unsigned i, int slot);
void	block_freed(struct weir_group *, unsigned i, int slot);
void	block_failed(struct weir_group *, unsigned i);
void	block_well(struct weir_group *, unsigned i);
/* It comes back: it has its slow start. */
void	block_warm(struct weir_group *, unsigned i);
/* What those who stick to it are told until it has drained. */
void	block_drain(struct weir_group *, unsigned i);
/* A number for a server, the same in all configurations. */
uint64_t block_key(struct weir_str text, struct weir_str name);
/* Its weight is another one. */
void	block_reweight(struct weir_group *, unsigned i, unsigned weight);
/* Another server has its place: nothing is known of it. */
void	block_renew(struct weir_group *, unsigned i);
/* For the time of one choice: as if it were out, and not any more. */
void	block_hide(struct weir_block *, unsigned i);
void	block_show(struct weir_group *, unsigned i);
/* A request is sent to the group for the first time. */
void	budget_asked(struct weir_group *);
/* Its rank has changed. */
void	block_rerank(struct weir_group *, unsigned i);

#endif
