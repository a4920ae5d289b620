/*
 * breaker.h - circuit breakers: a server that fails is left alone for a while, and then tried with care.
 *
 *	closed -- too many failures --> open -- its time is over --> half-open -- enough successes --> closed
 *	                                  ^                              |
 *	                                  +-------- a failure -----------+
 *
 * Each server of a group with `circuit_breaker` has a circuit, which lies behind the arrays of the group's block: with a
 * zone all workers see the same one.  While it is open the server has OUT_OPEN; half-open it has it while as many
 * trials are under way as may be.  An attempt knows in which era of its circuit it began, and says nothing about
 * a later one: an era ends when the circuit opens.
 *
 * A trial is counted by process, so that those of a worker that died are given back.  It is over when the head of a good
 * response has come, or with the attempt: a response without an end keeps nobody from being tried.
 *
 * How an attempt goes is told by the room above: pick_answer() and others in peer.h, which this room has here.
 */
#ifndef WEIR_PEER_BREAKER_H
#define WEIR_PEER_BREAKER_H

#include "core/peer/block.h"

enum weir_circuit_state { CIRCUIT_CLOSED, CIRCUIT_HALF_OPEN, CIRCUIT_OPEN, CIRCUIT_STATES };

enum { CIRCUIT_STEPS = 10 };		/* of a window */

struct weir_circuit {
	uint64_t	 since_ms;	/* of this state */
	uint64_t	 step;		/* the newest, in steps of the clock */
	uint32_t	 era;
	uint32_t	 streak;	/* failures in a row; half-open: successes */
	uint32_t	 trips;		/* since it was closed the last time */
	uint32_t	 trials;	/* under way */
	uint32_t	 inherited;	/* of these: of users of older blocks */
	uint8_t		 state;
	struct {
		uint32_t all, bad;
	}		 seen[CIRCUIT_STEPS];
};

/* What circuit_breaker and circuit_breaker_on say. */
struct weir_breaker {
	uint64_t	 failures;	/* in a row; 0: any number */
	uint64_t	 half_open, success;
	uint64_t	 open_ms, max_open_ms;
	uint64_t	 rate, min;	/* per cent, 0: any; of so many requests at least */
	uint64_t	 window_ms;
	unsigned	 on;		/* bits by enum weir_trouble */
	uint64_t	 statuses[10];	/* bits */
	uint64_t	 slow_ms;	/* 0: never */
	struct weir_metric *changes;	/* by peer, then by state */
};

/* What is known of an attempt; the greater one stays. */
enum { VERDICT_NONE, VERDICT_GOOD, VERDICT_NEUTRAL, VERDICT_BAD };

enum circuit_reason { CIRCUIT_ROW, CIRCUIT_RATE, CIRCUIT_TRIAL, CIRCUIT_WAITED, CIRCUIT_WELL };

/* Changes of circuits, for the log: they are told when the block is not locked any more. */
enum { NEWS_MOST = 16 };
struct weir_circuit_news {
	unsigned	 n;
	bool		 barred;	/* this process must not try anybody */
	struct {
		uint32_t peer, bad, all;
		uint8_t	 from, to, reason;
	}		 v[NEWS_MOST];
};

/* ---- for block.c and share.c: the block is locked ---- */

/* Bytes behind a block; 0: its group has no breaker. */
size_t	breaker_size(const struct weir_group *, unsigned n_slots);
struct weir_circuit *breaker_circuit(struct weir_block *, unsigned i);
/* Trials of the process of this slot, by peer.  Only of a block with circuits. */
uint32_t *breaker_held(struct weir_block *, unsigned slot);
/* Peer i of the new block is number j of the old one. */
void	breaker_inherit(struct weir_block *, unsigned i, struct weir_block *old, unsigned j);
/* Another server has its place. */
void	breaker_forget(struct weir_block *, unsigned i);
/* Trials, from who holds them; what was half done is made whole before the next choice. */
void	breaker_recount(struct weir_block *);
/* A user of an older block has begun (1) or ended (-1) trials. */
void	breaker_told(struct weir_block *, unsigned i, int by);

/* ---- for pick.c, in groups with a breaker: the block is locked ---- */

/* Before a choice: whose time is over?  Begins the news. */
void	breaker_before(struct weir_group *, int slot, struct weir_circuit_news *);
/* This one was chosen; -1: nobody was. */
void	breaker_chosen(struct weir_pick *, int i, int slot, struct weir_circuit_news *);
/* The attempt with peer i is over.  Begins the news. */
void	breaker_ended(struct weir_pick *, unsigned i, enum weir_outcome, int slot, struct weir_circuit_news *);

/* ---- breaker_tell.c: without a lock ---- */

/* Logs and counts what has changed; `why` is the last failure. */
void	breaker_tell(const struct weir_group *, const struct weir_circuit_news *, const struct weir_pick *);
/* Why a peer with OUT_OPEN is not asked. */
const char *breaker_why(struct weir_block *, unsigned i);
extern const struct weir_metric_row breaker_rows[];
/* Metrics: when zones and peers are known. */
void	breaker_count(struct weir_conf *, struct weir_group *);

#endif
