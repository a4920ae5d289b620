/*
 * stream.h - for tests of streams: bytes that can be recognized, and turns of the loop.
 */
#ifndef UNIT_STREAM_H
#define UNIT_STREAM_H

#include "core/io/fault.h"
#include "core/io/qsrc.h"

/* Bytes that differ by their place. */
static inline void
stream_fill(struct weir_bufq *q, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)(i * 7 + i / 251);

		bufq_put(q, &c, 1);
	}
}

/* Are these the first n of them? */
static inline void
stream_check(struct weir_bufq *q, size_t n)
{
	assert_int_equal(q->len, n);
	for (size_t i = 0; i < n; i++) {
		unsigned char c;

		assert_int_equal(bufq_take(q, &c, 1), 1);
		assert_int_equal(c, (unsigned char)(i * 7 + i / 251));
	}
}

/* Turns until `done`, but not for ever. */
static inline void
stream_turns(const bool *done)
{
	for (int i = 0; i < 20000 && !*done; i++)
		loop_turn(0);
}

#endif
