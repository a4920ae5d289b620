/*
 * base64.h - base64 (RFC 4648).
 */
#ifndef WEIR_BASE_BASE64_H
#define WEIR_BASE_BASE64_H

#include "core/base/str.h"

/* The most bytes that n characters can mean. */
#define BASE64_ROOM(n)	((n) / 4 * 3 + 3)

/*
 * Reads all of `in` to `to`, which has BASE64_ROOM(in.n) and may be in.p.  Padding may be missing.  Returns the
 * number of bytes, or -1 when it is malformed: another character, a rest of one character, "=" elsewhere.
 * `url`: with "-" and "_" (section 5), and only those, for "+" and "/".
 */
ssize_t	 base64_read(char *to, struct weir_str in, bool url);
/* Writes it, with padding; `to` has BASE64_PUT_ROOM(n).  Returns the end. */
#define BASE64_PUT_ROOM(n)	(((n) + 2) / 3 * 4)
char	*base64_put(char *to, struct weir_str);

#endif
