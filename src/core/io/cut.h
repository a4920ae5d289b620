/*
 * cut.h - a part of what another source gives.
 *
 * What comes before the part is read and thrown away, what comes behind it is not read.
 */
#ifndef WEIR_IO_CUT_H
#define WEIR_IO_CUT_H

#include "core/io/io.h"

struct weir_cut {
	struct weir_src	 src;		/* for the reader */
	struct weir_src	*below;
	uint64_t	 skip, left;	/* bytes still to be thrown away, to be given */
};

/* Takes over below's `ready`. */
void	cut_init(struct weir_cut *, struct weir_src *below, uint64_t off, uint64_t len);

#endif
