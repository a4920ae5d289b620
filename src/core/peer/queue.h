/*
 * queue.h - sessions wait until a server of their group is free: the `queue` directive.
 *
 * A session that found nobody to pick joins the queue of its group, if that has one and it has not tried anybody.  One of
 * three things ends that: served() with the server that is picked for it now, vain() when the time is over, or queue_leave().
 *
 * There is a queue in each worker.  It knows those who wait by their struct weir_wait, which belongs to the session and
 * stays where it is, with the pick, until it has left.
 */
#ifndef WEIR_PEER_QUEUE_H
#define WEIR_PEER_QUEUE_H

#include "core/ev/loop.h"
#include "core/peer/peer.h"

struct weir_wait {
	struct weir_pick *pick;
	struct weir_list node;
	struct weir_timer timer;
	uint64_t	 since_ms;
	uint64_t	 ms;		/* when it has left: how long it waited */
	bool		 on;
	/* It does not wait any more when these are called. */
	void		(*served)(struct weir_wait *, struct weir_peer *);
	void		(*vain)(struct weir_wait *);
};

/* Would the session be one that comes before others who wait?  Then it must not pick, but join. */
bool	queue_is_before(const struct weir_pick *);
/* Waits, of zeroes but for the two functions; false: it must not, which was logged if there is a queue. */
bool	queue_join(struct weir_wait *, struct weir_pick *) WEIR_MUST_USE;
/* Harmless when it does not wait. */
void	queue_leave(struct weir_wait *);

extern const struct weir_module upstream_queue_module;

#endif
