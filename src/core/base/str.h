/*
 * str.h - views of bytes.
 *
 * A view owns nothing and is not NUL-terminated.  Where C wants a string,
 * pool_cstr() makes one.
 */
#ifndef WEIR_BASE_STR_H
#define WEIR_BASE_STR_H

#include <string.h>

#include "core/base/defs.h"

struct weir_str {
	const char	*p;
	size_t		 n;
};

#define STR(literal)	((struct weir_str){ (literal), sizeof(literal) - 1 })
#define STR_NONE	((struct weir_str){ NULL, 0 })
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s)	(int)(s).n, (s).p

static inline struct weir_str
str_of(const char *p, size_t n)
{
	return (struct weir_str){ p, n };
}

static inline struct weir_str
str_c(const char *c)
{
	return (struct weir_str){ c, c != NULL ? strlen(c) : 0 };
}

static inline bool
str_eq(struct weir_str a, struct weir_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Part of `s` from `from` on; empty when there is no such part. */
static inline struct weir_str
str_from(struct weir_str s, size_t from)
{
	if (from > s.n)
		from = s.n;
	return from != 0 ? str_of(s.p + from, s.n - from) : s;	/* nothing is added to NULL */
}

static inline unsigned char
ascii_lower(unsigned char c)
{
	return c | (unsigned char)(((unsigned)c - 'A' < 26) << 5);
}

bool	 str_ieq(struct weir_str, struct weir_str);		/* ASCII, any case */
int	 str_cmp(struct weir_str, struct weir_str);		/* for sorting: bytes, then length */
bool	 str_begins(struct weir_str, struct weir_str prefix);
bool	 str_ends(struct weir_str, struct weir_str suffix);
bool	 str_ibegins(struct weir_str, struct weir_str prefix);
/* Index of a byte, or -1. */
ssize_t	 str_chr(struct weir_str, char);
ssize_t	 str_rchr(struct weir_str, char);
/* Index of `what`, or -1.  str_ifind ignores ASCII case. */
ssize_t	 str_find(struct weir_str, struct weir_str what);
ssize_t	 str_ifind(struct weir_str, struct weir_str what);
/* Without spaces and tabs at both ends. */
struct weir_str str_trim(struct weir_str);
/*
 * The next element of a comma-separated list (RFC 9110, 5.6.1): trimmed, empty
 * elements skipped, quoted strings kept whole.  False at the end; `*rest` moves on.
 */
bool	 str_next_item(struct weir_str *rest, struct weir_str *item);
/* Lower-cases n bytes from `from` to `to`, which may be the same. */
void	 str_lower(char *to, const char *from, size_t n);
/* A hash of bytes for tables that no peer fills (FNV-1a, 32 bit). */
uint32_t str_hash(struct weir_str);
uint32_t str_ihash(struct weir_str);				/* of the lower-cased bytes */
/*
 * How near two words are: the number of edits (insert, delete, replace, swap of
 * neighbours) from one to the other, or `most` + 1 when it is more than `most`.
 * `most` is at most STR_DISTANCE_MAX; a larger one counts as that.
 */
#define STR_DISTANCE_MAX 31
unsigned str_distance(struct weir_str, struct weir_str, unsigned most);

#endif
