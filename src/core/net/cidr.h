/*
 * cidr.h - ranges of IP addresses: 10.0.0.0/8, 2001:db8::/32, 192.0.2.1.
 */
#ifndef WEIR_NET_CIDR_H
#define WEIR_NET_CIDR_H

#include "core/net/addr.h"

struct weir_cidr {
	uint8_t		 bytes[16];	/* only the first `bits` are not 0 */
	uint8_t		 bits;
	uint8_t		 len;		/* of an address: 4 or 16 */
};

/*
 * From text; without "/bits" it is one address.  *low (may be NULL): bits behind the range were set, and
 * are not any more.  WEIR_FAIL when it is malformed.
 */
int	cidr_parse(struct weir_str, struct weir_cidr *, bool *low) WEIR_MUST_USE;
/* An IPv6 address that stands for an IPv4 one (::ffff:1.2.3.4) counts as that. */
bool	cidr_has(const struct weir_cidr *, const struct weir_addr *);

#endif
