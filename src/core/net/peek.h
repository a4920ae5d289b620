/*
 * peek.h - what a client sends first is looked at, and stays in the socket.
 *
 * For connections where it depends on the first bytes who serves them.  Every look begins at the first byte again
 * (MSG_PEEK), so little should be looked at.
 */
#ifndef WEIR_NET_PEEK_H
#define WEIR_NET_PEEK_H

#include "core/ev/loop.h"
#include "core/net/conn.h"

struct weir_peek;

/* Whoever has decided says peek_end() first, and does not touch the peek after it. */
struct weir_peek_ops {
	char	*room;		/* shared by all looks: nothing stays in it */
	size_t	 max;
	/* `all` bytes are in room, the first `old` of them were there the last time.  false: more are needed. */
	bool	(*see)(struct weir_peek *, size_t old, size_t all);
	void	(*over)(struct weir_peek *);	/* no more will come, or no more than `max` are looked at: decide */
	void	(*late)(struct weir_peek *);	/* the time is over: decide */
	void	(*drain)(struct weir_peek *, enum weir_drain);
};

struct weir_peek {
	struct weir_conn *conn;
	const struct weir_peek_ops *ops;
	struct weir_timer timer;
	size_t		 seen;
};

/*
 * Takes a connection from which nothing was read yet; conn->owner is the peek then, in memory of the caller's.  Nothing is
 * called from inside.
 */
void	peek_begin(struct weir_peek *, struct weir_conn *, const struct weir_peek_ops *, uint64_t ms);
/* The connection belongs to nobody then, and will be told of what was seen as if it had just come. */
struct weir_conn *peek_end(struct weir_peek *);

#endif
