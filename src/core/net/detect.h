/*
 * detect.h - what is spoken on a connection, told by its first bytes.
 *
 * Only protocols whose client speaks first can be told.  With the others (SMTP, MySQL...) the client waits: so does
 * DETECT_MORE, and it is the caller who gives up after a while and takes the connection for one of those.
 */
#ifndef WEIR_NET_DETECT_H
#define WEIR_NET_DETECT_H

#include "core/base/str.h"

enum weir_detected {
	DETECT_MORE,		/* these bytes may begin several, or no byte is here yet */
	DETECT_UNKNOWN,
	DETECT_TLS,
	DETECT_HTTP,		/* 1.x */
	DETECT_HTTP2,		/* the preface of clients that know it (RFC 9113, 3.4) */
	DETECT_SSH,
	DETECT_SOCKS4,
	DETECT_SOCKS5,
	DETECT_BITTORRENT,
	DETECT_PROXY,		/* the PROXY protocol, 1 or 2 */
	N_DETECTED
};

/* With so many bytes it never answers DETECT_MORE. */
#define DETECT_MOST	257u

/*
 * All bytes that are here, from the first on; called again with more of them it goes on from DETECT_MORE, and no other answer
 * changes when more come.
 */
enum weir_detected detect(const char *, size_t n) WEIR_MUST_USE;
/* "tls", "http", "http2", "ssh", "socks4", "socks5", "bittorrent", "proxy", "unknown"; "" of DETECT_MORE. */
const char *detect_name(enum weir_detected);
/* The protocol of that name, but for "unknown"; DETECT_UNKNOWN: there is none. */
enum weir_detected detect_by_name(struct weir_str);

#endif
