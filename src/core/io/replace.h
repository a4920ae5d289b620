/*
 * replace.h - a source in which texts are replaced by others.
 *
 * In any letter case (ASCII), wherever the bytes were cut.  Of matches that overlap the leftmost counts,
 * of those that begin at the same byte the one that was written first.  What is replaced is not
 * looked at again.  No more is held back than the longest text has bytes.
 */
#ifndef WEIR_IO_REPLACE_H
#define WEIR_IO_REPLACE_H

#include "core/base/pool.h"
#include "core/io/change.h"

/* What is looked for, in the order in which it counts; an empty text is never found.  Lives in the pool. */
struct replace_machine;
const struct replace_machine *replace_machine(struct weir_pool *, const struct weir_str *texts, unsigned n);
/* How many texts are not empty. */
unsigned replace_machine_size(const struct replace_machine *);

#define REPLACE_LOOK	4096

struct weir_replace {
	struct weir_change change;		/* change.src is what is read; change_end() is the end of it */
	/* set by the owner, the rest is zero */
	const struct replace_machine *m;
	bool		 once;			/* each text is replaced once only */
	struct weir_str	(*value)(void *arg, unsigned i);	/* what text i becomes; asked for at its first
							   match, must live as long as this */
	void		*arg;
	/* replace.c's */
	struct weir_str	*values;
	bool		*known;			/* was it asked for? */
	unsigned	 left;			/* texts still to be found */
	uint64_t	 at, pos;		/* offsets: of the first byte in change.in, of the next to look at */
	uint32_t	 state;
	uint64_t	 from;			/* the best match so far */
	uint32_t	 best;			/* its text, from 1; 0: none */
	uint32_t	 length;		/* and its bytes */
	uint64_t	 look_at;		/* the bytes looked at, copied: the queue has them in pieces */
	size_t		 look_n;
	unsigned char	 look[REPLACE_LOOK];
};

void	replace_init(struct weir_replace *, struct weir_pool *, struct weir_src *below);

#endif
