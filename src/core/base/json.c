/*
 * json.c - text that is safe inside a JSON string (RFC 8259, 7).
 *
 * Bytes that are not UTF-8 become \u00HH: what peers send may be anything, and
 * a reader of JSON may refuse the whole document for one of them (8.1).
 */
#include "core/base/json.h"

/* The escape letter of a byte, 'u' for \u00HH, 0 for none. */
static char
letter(unsigned char c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	}
	return c < 0x20 || c == 0x7f ? 'u' : 0;
}

size_t
utf8_len(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t		     len, i;
	unsigned char	     lo = 0x80, hi = 0xbf;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (p[0] == 0xe0)
		lo = 0xa0;
	else if (p[0] == 0xed)
		hi = 0x9f;
	else if (p[0] == 0xf0)
		lo = 0x90;
	else if (p[0] == 0xf4)
		hi = 0x8f;
	if (n < len || p[1] < lo || p[1] > hi)
		return 0;
	for (i = 2; i < len; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

/*
 * The next unit of `s` at `i`: how many bytes of it stay as they are (and 0 in
 * *esc), or 1 and the letter of the escape.
 */
static size_t
unit(struct weir_str s, size_t i, char *esc)
{
	unsigned char	c = (unsigned char)s.p[i];
	size_t		n;

	if (c < 0x80) {
		*esc = letter(c);
		return 1;
	}
	n = utf8_len(s.p + i, s.n - i);
	*esc = n != 0 ? 0 : 'u';
	return n != 0 ? n : 1;
}

size_t
json_escaped(struct weir_str s)
{
	size_t	i, n, len = 0;
	char	esc;

	for (i = 0; i < s.n; i += n) {
		n = unit(s, i, &esc);
		len += esc == 0 ? n : esc == 'u' ? 6 : 2;
	}
	return len;
}

/* The unit of n bytes at `p`, as unit() has found it; returns the end. */
static char *
put_unit(char *to, const char *p, size_t n, char esc)
{
	static const char hex[] = "0123456789abcdef";

	if (esc == 0)
		return (char *)memcpy(to, p, n) + n;
	*to++ = '\\';
	*to++ = esc;
	if (esc == 'u') {
		*to++ = '0';
		*to++ = '0';
		*to++ = hex[(unsigned char)*p >> 4];
		*to++ = hex[*p & 15];
	}
	return to;
}

char *
json_escape(char *to, struct weir_str s)
{
	size_t	i, n;
	char	esc;

	for (i = 0; i < s.n; i += n) {
		n = unit(s, i, &esc);
		to = put_unit(to, s.p + i, n, esc);
	}
	return to;
}

size_t
json_escape_some(char **at, const char *end, struct weir_str s)
{
	size_t	i, n, len;
	char	esc;

	for (i = 0; i < s.n; i += n) {
		n = unit(s, i, &esc);
		len = esc == 0 ? n : esc == 'u' ? 6 : 2;
		if ((size_t)(end - *at) < len)
			break;
		*at = put_unit(*at, s.p + i, n, esc);
	}
	return i;
}
