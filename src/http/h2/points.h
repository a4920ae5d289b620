/*
 * points.h - what a peer has cost more than it has moved.  Clients and upstreams are measured alike.
 *
 * What moves nothing costs a point.  Points are forgotten with time, against bytes of bodies in either direction, and
 * against exchanges that came to their end, so those who really load something never come near the limit: peers open
 * windows again every 4k at the worst, by two frames, or after each small message that a stream consists of.
 */
#ifndef WEIR_HTTP_H2_POINTS_H
#define WEIR_HTTP_H2_POINTS_H

#include "core/base/defs.h"

struct h2_points {
	int32_t		 n;
	uint32_t	 bytes;		/* that have earned nothing yet */
	uint64_t	 since_ms;	/* time has been counted up to then */
};

void	h2_points_begin(struct h2_points *);
/* One more.  True: that is too many.  When n is 1 all earlier ones had been forgotten. */
bool	h2_points_charge(struct h2_points *) WEIR_MUST_USE;
/* Bytes of a body came. */
void	h2_points_bytes(struct h2_points *, size_t n);
/* A frame DATA was sent; `all`: with all that there was, and more is to come. */
void	h2_points_sent(struct h2_points *, size_t n, bool all);
/* A request was answered. */
void	h2_points_done(struct h2_points *);

#endif
