/*
 * race.h - connect to whichever address of a name answers first (RFC 8305, "Happy Eyeballs").
 *
 * The addresses are dialled one after the other, in the order that race_order() gives them; the next one begins
 * when the one before has failed, or has not answered within RACE_STEP_MS.  The first connection wins, and the others are given up.
 *
 * This process remembers for a while who was slower or failed, and asks it last.  It remembers few, and
 * only for the order.
 */
#ifndef WEIR_NET_RACE_H
#define WEIR_NET_RACE_H

#include "core/net/conn.h"

enum {
	RACE_MOST	= 8,	/* addresses of one race */
	RACE_STEP_MS	= 250,	/* RFC 8305, 5 */
	RACE_MEMORY_MS	= 10000
};

struct weir_racer {
	struct weir_dial dial;
	struct weir_race *race;
	const struct weir_addr *addr;
	bool		 on;
	int		 err;		/* it failed; 0: it did not, so far */
};

struct weir_race {
	struct weir_racer racers[RACE_MOST];
	unsigned	 n, begun;
	struct weir_dial_opts opts;
	uint64_t	 began_ms;
	struct weir_timer timer;
	/*
	 * Called once, last, never from inside race_start().  `which` has won; or conn is NULL, and `which` was the last to
	 * fail.
	 */
	void		(*done)(struct weir_race *, struct weir_conn *, unsigned which);
};

/*
 * Numbers of addresses in the order to dial them: beginning with a[0], then one of the other family by turns; those
 * that did badly lately at the end.
 */
void	race_order(const struct weir_addr *const *a, unsigned n, unsigned *order);
/*
 * Up to RACE_MOST addresses, which live until done().  opts->timeout_ms is for all of it; at least one address.  Everything
 * in the struct but `done` is set here.
 */
void	race_start(struct weir_race *, const struct weir_addr *const *a, unsigned n, const struct weir_dial_opts *opts);
/* done() will not be called. */
void	race_cancel(struct weir_race *);

#endif
