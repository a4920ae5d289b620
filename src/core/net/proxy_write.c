/*
 * proxy_write.c - the header of the PROXY protocol that we say ourselves.
 */
#include <stdio.h>

#include "core/net/proxy_protocol.h"

enum {
	HEAD		= 16,
	VERSION		= 0x20,
	LOCAL		= 0,
	PROXY		= 1,
	STREAM		= 1,
	DGRAM		= 2,
	INET		= 0x10,
	INET6		= 0x20,
	UNIX		= 0x30,
	UNIX_PATH	= 108,
	TLV_CRC32C	= 0x03,
	TLV_HEAD	= 3
};

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";

/* Both in one family, as they are written. */
struct pair {
	int		 family;	/* AF_UNIX: paths */
	struct weir_addr src, dst;
};

static void
map(struct weir_addr *a)
{
	struct sockaddr_in	in = a->in;

	if (a->sa.sa_family != AF_INET)
		return;
	memset(a, 0, sizeof(*a));
	a->in6.sin6_family = AF_INET6;
	a->in6.sin6_port = in.sin_port;
	memset(&a->in6.sin6_addr.s6_addr[10], 0xff, 2);
	memcpy(&a->in6.sin6_addr.s6_addr[12], &in.sin_addr, 4);
}

/* A unix socket beside an IP address has none: zeros of that family. */
static void
stand_in(struct weir_addr *a, int family)
{
	if (a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6)
		return;
	memset(a, 0, sizeof(*a));
	a->sa.sa_family = (sa_family_t)family;
}

static void
pair_up(const struct weir_proxy_say *say, struct pair *p)
{
	p->src = *say->src;
	p->dst = *say->dst;
	if (p->src.sa.sa_family == AF_UNIX && p->dst.sa.sa_family == AF_UNIX) {
		p->family = AF_UNIX;
		return;
	}
	stand_in(&p->src, p->dst.sa.sa_family);
	stand_in(&p->dst, p->src.sa.sa_family);
	p->family = p->src.sa.sa_family;
	if (p->src.sa.sa_family != p->dst.sa.sa_family) {
		p->family = AF_INET6;
		map(&p->src);
		map(&p->dst);
	}
}

static ssize_t
write_v1(char *to, const struct weir_proxy_say *say)
{
	char		src[ADDR_TEXT_MAX], dst[ADDR_TEXT_MAX];
	struct pair	p = { .family = AF_UNIX };

	if (say->src != NULL)
		pair_up(say, &p);
	if (p.family == AF_UNIX)	/* there is no word for it */
		return snprintf(to, PROXY_V2_MAX, "PROXY UNKNOWN\r\n");
	src[addr_put_ip(src, &p.src)] = '\0';
	dst[addr_put_ip(dst, &p.dst)] = '\0';
	return snprintf(to, PROXY_V2_MAX, "PROXY TCP%c %s %s %u %u\r\n", p.family == AF_INET ? '4' : '6',
	    src, dst, addr_port(&p.src), addr_port(&p.dst));
}

static void
put_u16(char *to, size_t v)
{
	to[0] = (char)(v >> 8);
	to[1] = (char)v;
}

/* The address part of one end. */
static size_t
put_bytes(char *to, const struct weir_addr *a)
{
	struct weir_str	bytes = a->sa.sa_family == AF_UNIX && a->path == NULL ? STR("") : addr_bytes(a);

	if (a->sa.sa_family == AF_UNIX) {
		memset(to, 0, UNIX_PATH);
		bytes.n = WEIR_MIN(bytes.n, (size_t)UNIX_PATH);
	}
	if (bytes.n != 0)
		memcpy(to, bytes.p, bytes.n);
	return a->sa.sa_family == AF_UNIX ? UNIX_PATH : bytes.n;
}

static size_t
put_addrs(char *to, const struct pair *p)
{
	size_t	n = put_bytes(to, &p->src);

	n += put_bytes(to + n, &p->dst);
	if (p->family == AF_UNIX)
		return n;
	put_u16(to + n, addr_port(&p->src));
	put_u16(to + n + 2, addr_port(&p->dst));
	return n + 4;
}

int
proxy_put_tlv(char *to, size_t *n, size_t room, const struct weir_proxy_tlv *t)
{
	if (t->value.n > UINT16_MAX || *n + TLV_HEAD + t->value.n > room)
		return WEIR_FAIL;
	to[*n] = (char)t->type;
	put_u16(to + *n + 1, t->value.n);
	if (t->value.n != 0)
		memcpy(to + *n + TLV_HEAD, t->value.p, t->value.n);
	*n += TLV_HEAD + t->value.n;
	return WEIR_OK;
}

/* Of the whole header, with zeros where it will be itself: it is the last. */
static void
put_sum(char *to, size_t n)
{
	uint32_t	crc = ~proxy_crc32c(UINT32_MAX, to, n);

	put_u16(to + n - 4, crc >> 16);
	put_u16(to + n - 2, crc & 0xffff);
}

static ssize_t
write_v2(char *to, const struct weir_proxy_say *say)
{
	const struct weir_proxy_tlv sum = { TLV_CRC32C, str_of("\0\0\0\0", 4) };
	struct pair	p;
	size_t		n = HEAD;

	memcpy(to, signature, sizeof(signature));
	to[12] = VERSION | LOCAL;
	to[13] = 0;
	if (say->src != NULL) {
		pair_up(say, &p);
		to[12] = VERSION | PROXY;
		to[13] = (char)((p.family == AF_INET ? INET : p.family == AF_INET6 ? INET6 : UNIX) |
		    (say->datagram ? DGRAM : STREAM));
		n += put_addrs(to + n, &p);
	}
	for (unsigned i = 0; i < say->n_tlvs; i++)
		if (proxy_put_tlv(to, &n, PROXY_V2_MAX, &say->tlvs[i]) != WEIR_OK)
			return WEIR_FAIL;
	if (say->crc32c && proxy_put_tlv(to, &n, PROXY_V2_MAX, &sum) != WEIR_OK)
		return WEIR_FAIL;
	put_u16(to + 14, n - HEAD);
	if (say->crc32c)
		put_sum(to, n);
	return (ssize_t)n;
}

ssize_t
proxy_write(char *to, const struct weir_proxy_say *say)
{
	return say->version == 1 ? write_v1(to, say) : write_v2(to, say);
}
