/*
 * text.h - a text that grows, in a pool.
 */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include "core/base/pool.h"

struct weir_text {			/* of zeroes but for the pool */
	struct weir_pool *pool;
	char		*v;
	unsigned	 n, room;
};

void	text_put(struct weir_text *, struct weir_str);
void	text_putf(struct weir_text *, const char *, ...) WEIR_PRINTF(2, 3);
/* What it is by now. */
static inline struct weir_str
text_str(const struct weir_text *t)
{
	return str_of(t->v, t->n);
}
/* As a string of JSON, with its quotes. */
struct weir_str text_quoted(struct weir_pool *, struct weir_str);

#endif
