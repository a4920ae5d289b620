/*
 * json.h - text that is safe inside a JSON string (RFC 8259, 7).
 */
#ifndef WEIR_BASE_JSON_H
#define WEIR_BASE_JSON_H

#include "core/base/str.h"

/*
 * How many bytes at the front of `s` are one character beyond ASCII, 0 when
 * they are not UTF-8 (RFC 3629, 4: shortest form, no surrogates, up to 10FFFF).
 */
size_t	utf8_len(const char *s, size_t n);
/* How many bytes json_escape() will write for `s`. */
size_t	 json_escaped(struct weir_str s);
/* Writes `s` with quotes, backslashes and control characters escaped; returns the end. */
char	*json_escape(char *to, struct weir_str s);
/*
 * The same at *at up to `end`, never with half a character or escape; moves *at, returns
 * how many bytes of `s` were taken.
 */
size_t	 json_escape_some(char **at, const char *end, struct weir_str s);

#endif
