/*
 * base64.c - base64 (RFC 4648).
 */
#include "core/base/base64.h"

/* 64 of them, then the letter's value is wrong. */
static unsigned
value(char c, bool url)
{
	if (c >= 'A' && c <= 'Z')
		return (unsigned)(c - 'A');
	if (c >= 'a' && c <= 'z')
		return (unsigned)(c - 'a') + 26;
	if (c >= '0' && c <= '9')
		return (unsigned)(c - '0') + 52;
	if (c == (url ? '-' : '+'))
		return 62;
	return c == (url ? '_' : '/') ? 63 : 64;
}

ssize_t
base64_read(char *to, struct weir_str in, bool url)
{
	uint32_t bits = 0;
	unsigned have = 0, v;
	size_t	 i;
	ssize_t	 n = 0;

	for (i = 0; i < 2 && in.n != 0 && in.p[in.n - 1] == '='; i++)
		in.n--;
	if (in.n % 4 == 1)
		return -1;
	for (i = 0; i < in.n; i++) {
		if ((v = value(in.p[i], url)) > 63)
			return -1;
		bits = bits << 6 | v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		to[n++] = (char)(bits >> have);
	}
	return n;
}

char *
base64_put(char *to, struct weir_str s)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; s.n != 0; s = str_from(s, WEIR_MIN(s.n, (size_t)3))) {
		const uint8_t *p = (const uint8_t *)s.p;
		uint32_t bits = (uint32_t)p[0] << 16 | (s.n > 1 ? (uint32_t)p[1] << 8 : 0) | (s.n > 2 ? p[2] : 0);

		*to++ = letters[bits >> 18];
		*to++ = letters[bits >> 12 & 63];
		*to++ = s.n > 1 ? letters[bits >> 6 & 63] : '=';
		*to++ = s.n > 2 ? letters[bits & 63] : '=';
	}
	return to;
}
