/*
 * proxy_protocol.c - the header of the PROXY protocol (haproxy's proxy-protocol.txt).
 *
 *	version 1:  PROXY TCP4 192.0.2.1 192.0.2.2 40000 80 CR LF
 *	            PROXY UNKNOWN anything CR LF
 *	version 2:  12 bytes of signature | version, command | family, transport |
 *	            length, 16 bits | addresses | TLVs: type, length (16 bits), value
 *
 * What is doubtful is refused.  As with nginx, a header without addresses that we could use
 * (LOCAL, UNKNOWN, unix sockets, families that nobody has defined yet) is fine, and says nothing.
 */
#include "core/base/mem.h"
#include "core/base/num.h"
#include "core/net/proxy_protocol.h"

enum {
	V2_HEAD		= 16,
	CMD_LOCAL	= 0,
	CMD_PROXY	= 1,
	INET		= 0x1,		/* families; the transport is 1 for streams, 2 for datagrams */
	INET6		= 0x2,
	TLV_HEAD	= 3,
	TLV_CRC32C	= 0x03,
	TLV_SSL		= 0x20,
	SSL_HEAD	= 5		/* what the client did, and whether its certificate was good */
};

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n";
static const char broken[] = "broken header";

/* ---- version 1 ---- */

/* The next word; words are divided by exactly one space. */
static bool
next_word(struct weir_str *line, struct weir_str *word)
{
	ssize_t	at = str_chr(*line, ' ');

	*word = at < 0 ? *line : str_of(line->p, (size_t)at);
	*line = at < 0 ? STR("") : str_from(*line, (size_t)at + 1);
	return word->n != 0;
}

static bool
next_addr(struct weir_str *line, int family, struct weir_addr *to, struct weir_str *text)
{
	return next_word(line, text) && text->p[0] != '[' && addr_parse_ip(*text, to) == WEIR_OK &&
	    to->sa.sa_family == family;
}

static bool
next_port(struct weir_str *line, struct weir_addr *to)
{
	struct weir_str	word;
	uint64_t	n;

	if (!next_word(line, &word) || word.n > 5 || num_u64(word, &n) != WEIR_OK || n > 65535)
		return false;
	addr_set_port(to, (unsigned)n);
	return true;
}

static bool
parse_line(struct weir_str line, struct weir_proxied *to)
{
	struct weir_str	word;
	int		family;

	line = str_from(line, 6);	/* "PROXY " */
	if (!next_word(&line, &word))
		return false;
	if (str_eq(word, STR("UNKNOWN")))
		return true;
	if (str_eq(word, STR("TCP4")))
		family = AF_INET;
	else if (str_eq(word, STR("TCP6")))
		family = AF_INET6;
	else
		return false;
	to->known = next_addr(&line, family, &to->src, &to->src_text) &&
	    next_addr(&line, family, &to->dst, &to->dst_text) &&
	    next_port(&line, &to->src) && str_chr(line, ' ') < 0 && next_port(&line, &to->dst);
	return to->known;
}

static ssize_t
parse_v1(const char *p, size_t n, struct weir_proxied *to, const char **why)
{
	size_t		 most = WEIR_MIN(n, PROXY_V1_MAX);
	const char	*cr = memchr(p, '\r', most);
	size_t		 end = cr != NULL ? (size_t)(cr - p) : most;

	*why = broken;
	to->version = 1;
	for (size_t i = 0; i < end; i++)
		if ((unsigned char)p[i] < ' ' || (unsigned char)p[i] > '~')
			return WEIR_FAIL;
	if (end + 2 > most)	/* its CRLF is not here, or would come too late */
		return most < PROXY_V1_MAX ? WEIR_AGAIN : WEIR_FAIL;
	if (p[end + 1] != '\n' || !parse_line(str_of(p, end), to))
		return WEIR_FAIL;
	return (ssize_t)end + 2;
}

/* ---- version 2 ---- */

static unsigned
u16(const char *p)
{
	return (unsigned)(unsigned char)p[0] << 8 | (unsigned char)p[1];
}

static uint32_t
u32(const char *p)
{
	return (uint32_t)u16(p) << 16 | u16(p + 2);
}

struct tlv {
	unsigned	 type;
	struct weir_str	 value;
};

/* WEIR_OK, WEIR_EOF, or WEIR_FAIL when what is left is not one. */
static int
next_tlv(struct weir_str *rest, struct tlv *t)
{
	if (rest->n == 0)
		return WEIR_EOF;
	if (rest->n < TLV_HEAD)
		return WEIR_FAIL;
	t->type = (unsigned char)rest->p[0];
	t->value = str_of(rest->p + TLV_HEAD, u16(rest->p + 1));
	if (t->value.n > rest->n - TLV_HEAD)
		return WEIR_FAIL;
	*rest = str_from(*rest, TLV_HEAD + t->value.n);
	return WEIR_OK;
}

/* Four bits at a time: it is asked for once in a connection's life. */
uint32_t
proxy_crc32c(uint32_t crc, const char *p, size_t n)
{
	static const uint32_t	table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362,
		0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab,
		0xe330a81a, 0xf36e6f75
	};

	while (n-- > 0) {
		crc ^= (unsigned char)*p++;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return crc;
}

/* The sum is made of the whole header with zeros where the sum itself is. */
static bool
sum_is_right(const char *p, size_t n, struct weir_str sum)
{
	size_t		before = (size_t)(sum.p - p);
	uint32_t	crc;

	if (sum.n != 4)
		return false;
	crc = proxy_crc32c(UINT32_MAX, p, before);
	crc = proxy_crc32c(crc, "\0\0\0", 4);
	crc = proxy_crc32c(crc, p + before + 4, n - before - 4);
	return ~crc == u32(sum.p);
}

static int
check_nested(struct weir_str ssl)
{
	struct tlv	t;
	int		rc;

	if (ssl.n < SSL_HEAD)
		return WEIR_FAIL;
	ssl = str_from(ssl, SSL_HEAD);
	while ((rc = next_tlv(&ssl, &t)) == WEIR_OK)
		;
	return rc == WEIR_EOF ? WEIR_OK : WEIR_FAIL;
}

/* `p`, `n`: the whole header. */
static int
check_tlvs(const char *p, size_t n, struct weir_str rest, const char **why)
{
	struct tlv	t;
	bool		summed = false;
	int		rc;

	while ((rc = next_tlv(&rest, &t)) == WEIR_OK) {
		if (t.type == TLV_SSL && check_nested(t.value) != WEIR_OK)
			break;
		if (t.type != TLV_CRC32C)
			continue;
		if (summed || !sum_is_right(p, n, t.value)) {
			*why = "the checksum of the PROXY header is wrong";
			return WEIR_FAIL;
		}
		summed = true;
	}
	if (rc == WEIR_EOF)
		return WEIR_OK;
	*why = "broken PROXY protocol TLV";
	return WEIR_FAIL;
}

static void
take_inet(const char *p, struct weir_proxied *to)
{
	to->src.in.sin_family = to->dst.in.sin_family = AF_INET;
	memcpy(&to->src.in.sin_addr, p, 4);
	memcpy(&to->dst.in.sin_addr, p + 4, 4);
	addr_set_port(&to->src, u16(p + 8));
	addr_set_port(&to->dst, u16(p + 10));
}

static void
take_inet6(const char *p, struct weir_proxied *to)
{
	to->src.in6.sin6_family = to->dst.in6.sin6_family = AF_INET6;
	memcpy(&to->src.in6.sin6_addr, p, 16);
	memcpy(&to->dst.in6.sin6_addr, p + 16, 16);
	addr_set_port(&to->src, u16(p + 32));
	addr_set_port(&to->dst, u16(p + 34));
}

/* Behind the length; `p`, `n`: the whole header. */
static int
take_v2(const char *p, size_t n, struct weir_proxied *to, const char **why)
{
	unsigned	family = (unsigned char)p[13] >> 4, transport = p[13] & 15;
	size_t		need = family == INET ? 12 : 36;

	if ((p[12] & 15) == CMD_LOCAL || (family != INET && family != INET6) || (transport != 1 && transport != 2))
		return WEIR_OK;
	if (n < V2_HEAD + need) {
		*why = "the PROXY header is too short for its addresses";
		return WEIR_FAIL;
	}
	(family == INET ? take_inet : take_inet6)(p + V2_HEAD, to);
	to->known = true;
	to->datagram = transport == 2;
	to->tlvs = str_of(p + V2_HEAD + need, n - V2_HEAD - need);
	return check_tlvs(p, n, to->tlvs, why);
}

static ssize_t
parse_v2(const char *p, size_t n, struct weir_proxied *to, const char **why)
{
	size_t	whole;

	to->version = 2;
	if (n > 12 && (unsigned char)p[12] >> 4 != 2) {
		*why = "unknown PROXY protocol version";
		return WEIR_FAIL;
	}
	if (n > 12 && (p[12] & 15) != CMD_LOCAL && (p[12] & 15) != CMD_PROXY) {
		*why = "unknown PROXY protocol command";
		return WEIR_FAIL;
	}
	if (n < V2_HEAD)
		return WEIR_AGAIN;
	whole = V2_HEAD + u16(p + 14);
	if (whole > PROXY_V2_MAX) {
		*why = "header is too large";
		return WEIR_FAIL;
	}
	if (n < whole)
		return WEIR_AGAIN;
	return take_v2(p, whole, to, why) == WEIR_OK ? (ssize_t)whole : WEIR_FAIL;
}

ssize_t
proxy_parse(const char *p, size_t n, struct weir_proxied *to, const char **why)
{
	memset(to, 0, sizeof(*to));
	*why = broken;
	if (n == 0)
		return WEIR_AGAIN;
	if (memcmp(p, signature, WEIR_MIN(n, sizeof(signature))) == 0)
		return parse_v2(p, n, to, why);
	if (memcmp(p, "PROXY ", WEIR_MIN(n, 6u)) == 0)
		return parse_v1(p, n, to, why);
	return WEIR_FAIL;
}

/* ---- keeping ---- */

static struct weir_str
keep_text(char **at, struct weir_str s)
{
	char	*to = *at;

	if (s.n != 0)
		memcpy(to, s.p, s.n);
	*at += s.n;
	return str_of(to, s.n);
}

struct weir_proxied *
proxied_keep(const struct weir_proxied *from)
{
	size_t			 size = sizeof(*from) + from->src_text.n + from->dst_text.n +
				    from->tlvs.n;
	struct weir_proxied	*to = slab_sized_take(size);
	char			*at = (char *)(to + 1);

	*to = *from;
	to->src_text = keep_text(&at, from->src_text);
	to->dst_text = keep_text(&at, from->dst_text);
	to->tlvs = keep_text(&at, from->tlvs);
	to->size = size;
	return to;
}

void
proxied_free(struct weir_proxied *p)
{
	if (p != NULL)
		slab_sized_give(p, p->size);
}

/* ---- TLVs by name ---- */

struct tlv_name {
	const char	*name;
	unsigned	 type;
};

static const struct tlv_name names[] = {
	{ "alpn", 0x01 }, { "authority", 0x02 }, { "unique_id", 0x05 }, { "ssl", TLV_SSL },
	{ "netns", 0x30 }, { NULL, 0 }
};

static const struct tlv_name ssl_names[] = {
	{ "version", 0x21 }, { "cn", 0x22 }, { "cipher", 0x23 }, { "sig_alg", 0x24 },
	{ "key_alg", 0x25 }, { NULL, 0 }
};

static int
find_tlv(struct weir_str tlvs, unsigned type, struct weir_str *value)
{
	struct tlv	t;

	while (next_tlv(&tlvs, &t) == WEIR_OK)
		if (t.type == type) {
			*value = t.value;
			return WEIR_OK;
		}
	return WEIR_AGAIN;
}

static int
find_named(struct weir_str tlvs, const struct tlv_name *known, struct weir_str name,
    struct weir_str *value)
{
	uint64_t	n;

	if (str_begins(name, STR("0x")))
		return num_hex(str_from(name, 2), &n) != WEIR_OK || n > 0xff ? WEIR_FAIL
		    : find_tlv(tlvs, (unsigned)n, value);
	for (; known->name != NULL; known++)
		if (str_eq(name, str_c(known->name)))
			return find_tlv(tlvs, known->type, value);
	return WEIR_FAIL;
}

int
proxy_tlv_type(struct weir_str name)
{
	uint64_t	n;

	if (str_begins(name, STR("0x")))
		return num_hex(str_from(name, 2), &n) != WEIR_OK || n == 0 || n > 0xff ? WEIR_FAIL : (int)n;
	for (const struct tlv_name *known = names; known->name != NULL; known++)
		if (str_eq(name, str_c(known->name)))
			return (int)known->type;
	return WEIR_FAIL;
}

/* Within the ssl TLV: what the client did, whether its certificate was good, and TLVs of its own. */
static int
find_ssl(struct weir_str ssl, struct weir_pool *pool, struct weir_str name, struct weir_str *value)
{
	if (str_eq(name, STR("verify"))) {
		*value = pool_printf(pool, "%u", u32(ssl.p + 1));
		return WEIR_OK;
	}
	return find_named(str_from(ssl, SSL_HEAD), ssl_names, name, value);
}

int
proxied_tlv(const struct weir_proxied *p, struct weir_pool *pool, struct weir_str name,
    struct weir_str *to)
{
	struct weir_str	value, ssl;
	int		rc;

	if (!str_begins(name, STR("ssl_")))
		rc = find_named(p->tlvs, names, name, &value);
	else if ((rc = find_tlv(p->tlvs, TLV_SSL, &ssl)) == WEIR_OK)
		rc = find_ssl(ssl, pool, str_from(name, 4), &value);
	if (rc == WEIR_OK)
		*to = pool_str(pool, value);
	return rc;
}
