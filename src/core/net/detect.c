/*
 * detect.c - what is spoken on a connection.
 *
 * Most protocols begin with bytes that are always the same: a table.  Of the others a few bytes are looked at.  All of them
 * are asked; the first that is sure wins, and when none is but one may still become so, more bytes are wanted.
 */
#include "core/net/detect.h"

static const struct {
	const char	*bytes;
	uint8_t		 n;
	uint8_t		 is;
} prefixes[] = {
#define BEGINS(text, what)	{ (text), sizeof(text) - 1, (what) }
	BEGINS("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", DETECT_HTTP2),
	BEGINS("PROXY TCP4 ", DETECT_PROXY),
	BEGINS("PROXY TCP6 ", DETECT_PROXY),
	BEGINS("PROXY UNKNOWN", DETECT_PROXY),
	BEGINS("\r\n\r\n\0\r\nQUIT\n", DETECT_PROXY),
	BEGINS("SSH-", DETECT_SSH),
	BEGINS("\x13" "BitTorrent protocol", DETECT_BITTORRENT),
	BEGINS("GET ", DETECT_HTTP),
	BEGINS("HEAD ", DETECT_HTTP),
	BEGINS("POST ", DETECT_HTTP),
	BEGINS("PUT ", DETECT_HTTP),
	BEGINS("DELETE ", DETECT_HTTP),
	BEGINS("CONNECT ", DETECT_HTTP),
	BEGINS("OPTIONS ", DETECT_HTTP),
	BEGINS("TRACE ", DETECT_HTTP),
	BEGINS("PATCH ", DETECT_HTTP),
	BEGINS("QUERY ", DETECT_HTTP),
	/* WebDAV (RFC 4918, 3253, 5323) */
	BEGINS("PROPFIND ", DETECT_HTTP),
	BEGINS("PROPPATCH ", DETECT_HTTP),
	BEGINS("MKCOL ", DETECT_HTTP),
	BEGINS("COPY ", DETECT_HTTP),
	BEGINS("MOVE ", DETECT_HTTP),
	BEGINS("LOCK ", DETECT_HTTP),
	BEGINS("UNLOCK ", DETECT_HTTP),
	BEGINS("REPORT ", DETECT_HTTP),
	BEGINS("SEARCH ", DETECT_HTTP),
#undef BEGINS
};

static enum weir_detected
by_prefix(const unsigned char *p, size_t n)
{
	enum weir_detected so_far = DETECT_UNKNOWN;

	for (unsigned i = 0; i < WEIR_COUNT(prefixes); i++) {
		if (memcmp(p, prefixes[i].bytes, WEIR_MIN(n, (size_t)prefixes[i].n)) != 0)
			continue;
		if (n >= prefixes[i].n)
			return (enum weir_detected)prefixes[i].is;
		so_far = DETECT_MORE;
	}
	return so_far;
}

/* A record with a handshake in it, whose first message is a ClientHello. */
static enum weir_detected
tls(const unsigned char *p, size_t n)
{
	if (p[0] != 0x16 || (n >= 2 && p[1] != 3) || (n >= 5 && (p[3] << 8 | p[4]) == 0) ||
	    (n >= 4 && p[3] > 0x40) || (n >= 6 && p[5] != 1))
		return DETECT_UNKNOWN;
	return n >= 6 ? DETECT_TLS : DETECT_MORE;
}

/* Version, command (connect, bind), port, address. */
static enum weir_detected
socks4(const unsigned char *p, size_t n)
{
	if (p[0] != 4 || (n >= 2 && (p[1] == 0 || p[1] > 2)))
		return DETECT_UNKNOWN;
	return n >= 8 ? DETECT_SOCKS4 : DETECT_MORE;
}

/* Version, and so many methods as a byte says (RFC 1928, 3); 255 is the answer that none will do. */
static enum weir_detected
socks5(const unsigned char *p, size_t n)
{
	if (p[0] != 5 || (n >= 2 && p[1] == 0) || (n > 2 && memchr(p + 2, 255, WEIR_MIN(n - 2, (size_t)p[1])) != NULL))
		return DETECT_UNKNOWN;
	return n >= 2 && n >= 2u + p[1] ? DETECT_SOCKS5 : DETECT_MORE;
}

static enum weir_detected (*const ways[])(const unsigned char *, size_t) = { by_prefix, tls, socks4, socks5 };

enum weir_detected
detect(const char *p, size_t n)
{
	enum weir_detected so_far = DETECT_UNKNOWN;

	if (n == 0)
		return DETECT_MORE;
	for (unsigned i = 0; i < WEIR_COUNT(ways); i++) {
		enum weir_detected one = ways[i]((const unsigned char *)p, n);

		if (one > DETECT_UNKNOWN)
			return one;
		if (one == DETECT_MORE)
			so_far = DETECT_MORE;
	}
	return so_far;
}

static const char *const names[N_DETECTED] = {
	[DETECT_MORE] = "", [DETECT_UNKNOWN] = "unknown", [DETECT_TLS] = "tls", [DETECT_HTTP] = "http",
	[DETECT_HTTP2] = "http2", [DETECT_SSH] = "ssh", [DETECT_SOCKS4] = "socks4", [DETECT_SOCKS5] = "socks5",
	[DETECT_BITTORRENT] = "bittorrent", [DETECT_PROXY] = "proxy",
};

const char *
detect_name(enum weir_detected d)
{
	return names[d];
}

enum weir_detected
detect_by_name(struct weir_str s)
{
	for (unsigned i = DETECT_TLS; i < N_DETECTED; i++)
		if (str_eq(s, str_c(names[i])))
			return (enum weir_detected)i;
	return DETECT_UNKNOWN;
}
