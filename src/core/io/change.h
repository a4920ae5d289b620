/*
 * change.h - a source whose bytes are changed on their way.
 *
 * What all of them have in common: the source below is read as its owner is read, a little at a
 * time; what is held back goes out when the source below says AGAIN, so that a stream stays
 * a stream; errors pass through; and what the owner allocated is freed once.
 *
 * An owner embeds struct weir_change, gives it a run() and puts &change.src in the place of `below`.
 */
#ifndef WEIR_IO_CHANGE_H
#define WEIR_IO_CHANGE_H

#include "core/ev/loop.h"
#include "core/io/io.h"

enum weir_change_how {
	CHANGE_MORE,		/* more will come */
	CHANGE_FLUSH,		/* nothing comes for now: give what can be given */
	CHANGE_END		/* that was all */
};

struct weir_change {
	struct weir_src	 src;		/* for the reader */
	struct weir_src	*below;
	/*
	 * Take from `in` and add to `out`, which both are the change's own.  WEIR_OK: all was
	 * looked at (some bytes may stay in `in`, unless how is CHANGE_END).  WEIR_AGAIN: `out` has `enough`
	 * bytes or more, and there is something to go on with; the same call comes again.
	 * WEIR_FAIL: src.err says why.
	 */
	int		(*run)(struct weir_change *, enum weir_change_how);
	void		(*end)(struct weir_change *);	/* once, however it ends; may be NULL */
	size_t		 enough;	/* about how many bytes are made at a time; 0: CHANGE_ENOUGH */
	struct weir_bufq in, out;	/* memory only, no file parts */
	struct weir_task notice;
	enum weir_change_how how;	/* of the run that is not finished */
	int		 ended;		/* 0, WEIR_EOF or WEIR_FAIL: after `out` nothing comes */
	bool		 unfinished;	/* run() said AGAIN */
	bool		 flushed;	/* and nothing has come since */
	bool		 wanted, over;
};

#define CHANGE_ENOUGH	16384u

/* The fields above are zero but for run, end and enough.  Takes over below's `ready`. */
void	change_init(struct weir_change *, struct weir_src *below);
/* Frees what is held, and calls end(), unless that was done; the source below is not touched. */
void	change_end(struct weir_change *);

#endif
