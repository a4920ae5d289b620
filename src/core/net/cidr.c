/*
 * cidr.c - ranges of IP addresses (RFC 4632, RFC 4291 2.3).
 */
#include "core/base/num.h"
#include "core/net/cidr.h"

/* The bits of byte i that belong to a range. */
static uint8_t
mask(unsigned bits, unsigned i)
{
	if (bits >= 8 * (i + 1))
		return 0xff;
	return bits <= 8 * i ? 0 : (uint8_t)(0xff << (8 * (i + 1) - bits));
}

int
cidr_parse(struct weir_str s, struct weir_cidr *c, bool *low)
{
	ssize_t		 slash = str_chr(s, '/');
	struct weir_str	 ip = slash < 0 ? s : str_of(s.p, (size_t)slash), bytes;
	struct weir_addr a;
	uint64_t	 bits;
	unsigned	 i;
	bool		 cut = false;

	if ((ip.n != 0 && ip.p[0] == '[') || addr_parse_ip(ip, &a) != WEIR_OK)
		return WEIR_FAIL;
	bytes = addr_bytes(&a);
	bits = 8 * bytes.n;
	if (slash >= 0 && (num_u64(str_from(s, (size_t)slash + 1), &bits) != WEIR_OK ||
	    bits > 8 * bytes.n))
		return WEIR_FAIL;
	c->len = (uint8_t)bytes.n;
	c->bits = (uint8_t)bits;
	for (i = 0; i < bytes.n; i++) {
		c->bytes[i] = (uint8_t)bytes.p[i] & mask((unsigned)bits, i);
		cut = cut || c->bytes[i] != (uint8_t)bytes.p[i];
	}
	if (low != NULL)
		*low = cut;
	return WEIR_OK;
}

bool
cidr_has(const struct weir_cidr *c, const struct weir_addr *a)
{
	static const char	mapped[12] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";
	struct weir_str		b = STR_NONE;
	unsigned		whole = c->bits / 8, i;

	if (a->sa.sa_family == AF_INET || a->sa.sa_family == AF_INET6)
		b = addr_bytes(a);
	if (b.n == 16 && memcmp(b.p, mapped, sizeof(mapped)) == 0 && c->len == 4)
		b = str_from(b, sizeof(mapped));
	if (b.n != c->len || memcmp(b.p, c->bytes, whole) != 0)
		return false;
	i = whole;
	return c->bits % 8 == 0 || ((uint8_t)b.p[i] & mask(c->bits, i)) == c->bytes[i];
}
