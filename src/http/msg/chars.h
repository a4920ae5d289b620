/*
 * chars.h - what each byte may be in a message, as bits of one table.
 *
 * Every scanner of heads and URIs asks this table, so that no two of them
 * disagree about a byte.
 */
#ifndef WEIR_HTTP_MSG_CHARS_H
#define WEIR_HTTP_MSG_CHARS_H

#include "core/base/str.h"

enum {
	CH_TOKEN = 1 << 0,	/* tchar (RFC 9110, 5.6.2) */
	CH_NAME = 1 << 1,	/* letter, digit or '-': what names of fields are made of */
	CH_TARGET = 1 << 2,	/* may stand in a request target; 8-bit bytes may, '#' may not */
	CH_PATH = 1 << 3,	/* and says nothing in a path: neither '/' nor '%' nor '?' */
	CH_HOST = 1 << 4,	/* unreserved or sub-delims (RFC 3986, 2.2), but not '.' */
	CH_DIGIT = 1 << 5,
	CH_HEX = 1 << 6,
	CH_UPPER = 1 << 7
};

extern const uint8_t http_chars[256];

static inline unsigned
ch(char c)
{
	return http_chars[(unsigned char)c];
}

/* The value of a byte for which CH_HEX holds. */
static inline unsigned
hex_value(char c)
{
	return ((unsigned)c & 15) + (ch(c) & CH_DIGIT ? 0 : 9);
}

#endif
