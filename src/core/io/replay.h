/*
 * replay.h - a source that can begin again, as long as not too much of it has gone.
 *
 * What is read is copied, up to a bound; whoever reads it next, after replay_again(), gets that first, then what has
 * not come yet.  Beyond the bound the copy is dropped, and the source can only go on.
 */
#ifndef WEIR_IO_REPLAY_H
#define WEIR_IO_REPLAY_H

#include "core/io/io.h"

struct weir_replay {
	struct weir_src	 src;		/* read this */
	struct weir_src	*live;
	struct weir_bufq kept;		/* all that has come, unless it is lost */
	struct weir_bufq again;		/* what the present reader has yet to get of it */
	uint64_t	 most;
	bool		 lost;
	bool		 whole;		/* its end has come */
};

/* Over `live`, which nobody else reads, and which lives longer. */
void	replay_init(struct weir_replay *, struct weir_src *live, uint64_t most);
/* The next read is of the first byte.  Only when it is not lost. */
void	replay_again(struct weir_replay *);
/* It is not going to begin again: what is kept is not needed. */
void	replay_lose(struct weir_replay *);
/* Frees what it holds. */
void	replay_end(struct weir_replay *);

#endif
