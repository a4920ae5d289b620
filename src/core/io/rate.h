/*
 * rate.h - a source that gives its bytes no faster than a rate.
 *
 * The first `after` bytes are free.  What may be given is what the rate has allowed since the first
 * read, so the average over the whole body is the rate, however it is read.
 */
#ifndef WEIR_IO_RATE_H
#define WEIR_IO_RATE_H

#include "core/ev/loop.h"
#include "core/io/io.h"

struct weir_rate {
	struct weir_src	 src;
	struct weir_src	*below;
	struct weir_timer timer;
	uint64_t	 bytes_s, after, given, began_ms;
	bool		 wanted;
	bool		 exact;		/* said by the owner: not a byte too early, for the price of holding what came too early */
	struct weir_bufq held;		/* that */
};

void	rate_init(struct weir_rate *, struct weir_src *below, uint64_t bytes_s, uint64_t after);
/* It is not used any more; wanted only of one that is `exact`. */
void	rate_end(struct weir_rate *);

#endif
