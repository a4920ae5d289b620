/*
 * dials.h - who waits for a connection that another request is making.
 *
 * A link that carries many exchanges is worth waiting for: without this, a hundred requests that come while none is
 * there would make a hundred connections.
 */
#ifndef WEIR_HTTP_UP_DIALS_H
#define WEIR_HTTP_UP_DIALS_H

#include "core/ev/loop.h"
#include "http/up/links.h"

enum weir_dials_end {
	DIALS_DONE,		/* links_take() has it now, unless others were quicker */
	DIALS_LEFT,		/* who was making it went away: make your own */
	DIALS_FAILED, DIALS_TIMEOUT	/* `why` says more, when it is not empty */
};

struct weir_dials_wait {
	struct weir_list node;
	struct weir_task task;
	struct weir_dials_making *at;
	bool		 on;
	enum weir_dials_end how;
	char		 why[120];
	/* Called once, last, at the end of a turn; not after dials_wait_off(). */
	void		(*done)(struct weir_dials_wait *);
};

struct weir_dials_making {
	struct weir_list node, waiters;
	struct weir_group *group;
	struct weir_addr addr;
	struct weir_links_want want;
	unsigned	 waiting;
	bool		 on;
};

/* A link is being made, others may wait for it, until dials_end(). */
void	dials_begin(struct weir_dials_making *, struct weir_group *, const struct weir_peer *,
	    const struct weir_links_want *);
/* Those who wait are told; `why` may be NULL.  Harmless when nothing was begun, or it has ended. */
void	dials_end(struct weir_dials_making *, enum weir_dials_end, const char *why);
/* Wait for one that is being made, if it will have room.  False: there is none. */
bool	dials_wait(struct weir_dials_wait *, struct weir_group *, const struct weir_peer *,
	    const struct weir_links_want *) WEIR_MUST_USE;
/* Harmless when it does not wait. */
void	dials_wait_off(struct weir_dials_wait *);

#endif
