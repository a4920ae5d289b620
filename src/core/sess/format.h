/*
 * format.h - log formats: texts with variables, written with escapes.
 *
 * A record is made in two steps: format_begin() finds all values out and says how
 * long the record can become at most, format_put() writes it into room of that size, with no
 * further checks.  A value is cut after FORMAT_VALUE_MAX bytes, with "..." as a mark (S-205).
 */
#ifndef WEIR_SESS_FORMAT_H
#define WEIR_SESS_FORMAT_H

#include "core/sess/var.h"

enum weir_format_escape {
	FORMAT_DEFAULT,	/* control and 8-bit bytes, quotes and backslashes as \xHH; "-": no such value */
	FORMAT_JSON,	/* as a JSON string wants it; nothing: no such value */
	FORMAT_NONE	/* as it is, but line ends and NUL as \xHH: a record stays one line */
};

#define FORMAT_VALUE_MAX	8192
#define FORMAT_FEW		24

/* Variables that are written without being made first; name NULL ends the table. */
struct weir_format_direct {
	const char	*name;
	size_t		 max;		/* the most bytes that put() writes */
	/* Write what needs no escaping, return the end. */
	char		*(*put)(struct weir_sess *, char *to);
};

struct weir_format;

/* `direct`: of variables that only some sessions have, may be NULL. */
struct weir_format *format_new(struct weir_conf *, enum weir_format_escape,
	    const struct weir_format_direct *direct);
/* Add word w of a node, or `text` of it, to the end. */
int	format_add(struct weir_conf *, struct weir_format *, const struct weir_node *, unsigned w,
	    struct weir_str text) WEIR_MUST_USE;

struct weir_record {
	const struct weir_format *format;
	struct weir_sess *s;
	struct weir_value *v;
	struct weir_value few[FORMAT_FEW];
};

/* Find the values out; returns the most bytes that format_put() will write. */
size_t	format_begin(struct weir_record *, const struct weir_format *, struct weir_sess *);
/* Write the record, without a line end; returns the end. */
char	*format_put(const struct weir_record *, char *to);

#endif
