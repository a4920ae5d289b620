/*
 * crew.h - the workers and the keeper that run one configuration together; for this room.
 *
 * A crew has a slot for each process.  Who ends is replaced: at once the first times,
 * then after ever longer pauses, at most a second.  When every slot has reported
 * that it serves, the crew is up.  A crew that is not up yet gives up when a member is unfit,
 * dies again and again, or is not ready in time.
 */
#ifndef WEIR_PROC_CREW_H
#define WEIR_PROC_CREW_H

#include "core/proc/child.h"

struct crew;

struct slot {
	struct crew	 *crew;
	enum child_kind	  kind;
	unsigned	  index;
	struct child	 *child;	/* NULL: will be started when the timer says so */
	unsigned	  streak;	/* short lives, one after the other */
	struct weir_timer timer;
};

struct crew {
	struct weir_cycle *cycle;
	bool		  up, idle;	/* idle: nobody is replaced any more */
	void		  (*on_up)(struct crew *);
	void		  (*on_failed)(struct crew *);
	struct weir_timer patience;
	unsigned	  n;
	struct slot	  slots[];
};

struct crew *crew_start(struct weir_cycle *, void (*on_up)(struct crew *),
	    void (*on_failed)(struct crew *));
/* A member reported, or has ended. */
void	crew_ready(struct crew *);
void	crew_lost(struct slot *, struct child *, int code);
/* Tells every member to retire; nobody is replaced.  The crew stays, empty. */
void	crew_retire(struct crew *);
/* The same with SIGTERM, for those that were never needed. */
void	crew_dismiss(struct crew *);
/* Members know it no longer; they live on.  NULL is fine. */
void	crew_free(struct crew *);

#endif
