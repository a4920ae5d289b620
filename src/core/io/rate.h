/*
 * rate.h - a source that gives its bytes no faster than a rate.
 *
 * The first `after` bytes are free.  What may be given is what the rate has allowed since the beginning, with a second's worth
 * to begin with, so the average over the whole body is the rate, however it is read.  It is allowed in steps of up to a
 * second, each worth RATE_CHUNK if that is less: a slow rate is no reason for packets of a few bytes.
 */
#ifndef WEIR_IO_RATE_H
#define WEIR_IO_RATE_H

#include "core/ev/loop.h"
#include "core/io/io.h"

enum { RATE_CHUNK = 16384 };

struct weir_rate {
	struct weir_src	 src;
	struct weir_src	*below;
	struct weir_timer timer;
	uint64_t	 bytes_s, after, given, began_ms;
	unsigned	 step_ms;
	bool		 wanted;
	bool		 exact;		/* said by the owner: not a byte too early, for the price of holding what came too early */
	struct weir_bufq held;		/* what came too early */
};

void	rate_init(struct weir_rate *, struct weir_src *below, uint64_t bytes_s, uint64_t after);
/*
 * So many bytes go the same way before the first of these; or 0, to ask again.  Returns how many of them have to wait: while
 * some do, a notice will come for whoever wants one.
 */
uint64_t rate_spend(struct weir_rate *, uint64_t n);
/* It is not used any more, without src_stop(). */
void	rate_end(struct weir_rate *);

#endif
