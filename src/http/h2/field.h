/*
 * field.h - one field of a head, whichever side it comes from (RFC 9113, 8.2).
 */
#ifndef WEIR_HTTP_H2_FIELD_H
#define WEIR_HTTP_H2_FIELD_H

#include <nghttp2/nghttp2.h>

#include "http/msg/msg.h"

/* What a name is: lower case letters, digits, hyphens; with other characters that a token may have; with a "_"; none. */
enum h2_name { NAME_FINE, NAME_ODD, NAME_UNDERSCORE, NAME_BAD };

/* Which also says whether weir knows it. */
enum h2_name h2_name_judge(struct weir_str, enum weir_known *);
/* No blanks at its ends, no CR, LF and NUL anywhere (8.2.1). */
bool	h2_value_ok(struct weir_str);
/* Does it speak of a connection, which is none of its own here (8.2.2)? */
bool	h2_is_connection_field(enum weir_known);
/* May it stand behind a body (RFC 9110, 6.5.1)?  Not what is about framing, routing, who somebody is, how to read the body. */
bool	h2_may_be_behind(enum weir_known);
/* A copy of the value in the pool, and of the name unless it is a known one; it was judged, and is not NAME_BAD. */
void	h2_field_keep(struct weir_fields *, struct weir_pool *, enum weir_known, struct weir_str name,
	    struct weir_str value);

/* As nghttp2 wants it; it copies both, and writes names in lower case. */
static inline nghttp2_nv
h2_pair(struct weir_str name, struct weir_str value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name.p, .namelen = name.n,
		.value = (uint8_t *)(uintptr_t)(value.n != 0 ? value.p : ""), .valuelen = value.n };
}

static inline struct weir_str
h2_text(nghttp2_rcbuf *b)
{
	nghttp2_vec v = nghttp2_rcbuf_get_buf(b);

	return str_of((const char *)v.base, v.len);
}

#endif
