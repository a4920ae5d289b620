/*
 * text.c - a text that grows, in a pool.
 */
#include "core/base/json.h"
#include "core/base/text.h"

void
text_put(struct weir_text *t, struct weir_str s)
{
	while (t->room - t->n < s.n)
		t->v = pool_grow(t->pool, t->v, t->n, &t->room, 1);
	if (s.n != 0)
		memcpy(t->v + t->n, s.p, s.n);
	t->n += (unsigned)s.n;
}

void
text_putf(struct weir_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	text_put(t, pool_vprintf(t->pool, fmt, ap));
	va_end(ap);
}

struct weir_str
text_quoted(struct weir_pool *pool, struct weir_str s)
{
	char *p = pool_bytes(pool, json_escaped(s) + 2), *end;

	*p = '"';
	end = json_escape(p + 1, s);
	*end++ = '"';
	return str_of(p, (size_t)(end - p));
}
