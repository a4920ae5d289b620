/*
 * proxy_protocol.h - the PROXY protocol, versions 1 and 2: a header in front of a
 * connection, by which the proxy before us says who its client is.
 *
 *	proxy_protocol.c  the header: bytes to addresses and TLVs
 *	proxy_accept.c    reading it from a new connection
 *	proxy_write.c     the header that we say ourselves, to whom we dial (dial_opts.preface)
 *
 * It knows no HTTP.  What it says is the word of whoever connected: it stands beside
 * conn->peer and never takes its place.  Who believes it asks first who that was.
 */
#ifndef WEIR_NET_PROXY_PROTOCOL_H
#define WEIR_NET_PROXY_PROTOCOL_H

#include "core/base/log.h"
#include "core/net/addr.h"

struct weir_conn;

#define PROXY_V1_MAX	107u		/* with its CRLF */
#define PROXY_V2_MAX	4096u		/* with its 16 bytes of signature, command and length */

struct weir_proxied {
	unsigned	 version;	/* 1, 2 */
	bool		 known;		/* there are addresses: else LOCAL, UNKNOWN, a unix socket... */
	bool		 datagram;	/* they are UDP's: nobody has them in front of a connection */
	struct weir_addr src, dst;	/* with ports */
	struct weir_str	 src_text, dst_text;	/* version 1: as they were written */
	struct weir_str	 tlvs;		/* version 2: whole and well-formed */
	size_t		 size;		/* proxied_keep()'s */
};

/*
 * Look at the first bytes of a connection.  Returns how many the header has, with *to filled (views of
 * `p`), or WEIR_AGAIN when its end is not here, or WEIR_FAIL with *why.  Never looks at a byte behind the
 * header.  With PROXY_V2_MAX bytes it does not answer WEIR_AGAIN.
 */
ssize_t	proxy_parse(const char *p, size_t n, struct weir_proxied *to, const char **why)
	    WEIR_MUST_USE;
/*
 * What a header is to say.  `src` NULL: nothing but that we speak for ourselves (LOCAL, UNKNOWN), which is for checks.
 * IPv4 beside IPv6 is written as IPv6 (RFC 4291, 2.5.5.2).  A unix socket has no place beside an IP address: zeros stand
 * there.
 */
struct weir_proxy_tlv {
	unsigned	 type;
	struct weir_str	 value;
};
struct weir_proxy_say {
	unsigned	 version;	/* 1: no TLVs, no datagrams */
	bool		 datagram, crc32c;
	const struct weir_addr *src, *dst;
	const struct weir_proxy_tlv *tlvs;
	unsigned	 n_tlvs;
};
/* Its bytes, at most PROXY_V2_MAX.  WEIR_FAIL: it would be longer. */
ssize_t	proxy_write(char *to, const struct weir_proxy_say *) WEIR_MUST_USE;
/* One TLV behind another; *n of `room` bytes are used. */
int	proxy_put_tlv(char *to, size_t *n, size_t room, const struct weir_proxy_tlv *) WEIR_MUST_USE;
/* The number of a TLV's name, 0x01 ... 0xff or one of proxied_tlv()'s outside of ssl; WEIR_FAIL: there is none. */
int	proxy_tlv_type(struct weir_str name) WEIR_MUST_USE;
/* CRC32c (RFC 3720, appendix B.4) goes on from `crc`; begins with UINT32_MAX, and the sum is the complement. */
uint32_t proxy_crc32c(uint32_t crc, const char *, size_t);
/* A copy that owns its text; for proxied_free(), which takes NULL too. */
struct weir_proxied *proxied_keep(const struct weir_proxied *);
void	proxied_free(struct weir_proxied *);

/*
 * The value of a TLV by nginx's name: alpn, authority, unique_id, ssl, netns, ssl_version, ssl_cn, ssl_cipher,
 * ssl_sig_alg, ssl_key_alg, ssl_verify, or by number: 0x05, ssl_0x21.  WEIR_AGAIN: the header has none; WEIR_FAIL:
 * there is no such name.  The value is a copy in the pool.
 */
int	proxied_tlv(const struct weir_proxied *, struct weir_pool *, struct weir_str name,
	    struct weir_str *to) WEIR_MUST_USE;

/*
 * For a listener's on_conn: reads the header, and not a byte more, then calls done(), whose connection it is from then
 * on; conn->proxied is set when there were addresses.  A connection that sends something else, or not all of it
 * within `ms`, is closed and logged to outs of `log`.  The bytes stay in the kernel until all are there, so a
 * connection costs a struct of a hundred bytes meanwhile.  done() is never called from inside.
 */
void	proxy_accept(struct weir_conn *, uint64_t ms, const struct weir_log *log,
	    void (*done)(struct weir_conn *));
/* One line about a connection that has no session: "TEXT while DOING, client: 1.2.3.4, server: 0.0.0.0:80". */
void	proxy_complain(const struct weir_conn *, const struct weir_log *, enum weir_level,
	    const char *text);

#endif
