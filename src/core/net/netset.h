/*
 * netset.h - many networks at once: which of them holds an address?
 *
 * A set is filled while a configuration is read and then frozen: its networks, in one another or side by side,
 * are cut into stretches that do not overlap, and finding the stretch of an address is one binary search,
 * however many networks there are.  A thousand rules cost ten steps.
 *
 * A zeroed struct is an empty set.  Everything it has comes from the pool that it is filled with.  A frozen set is
 * only read.
 */
#ifndef WEIR_NET_NETSET_H
#define WEIR_NET_NETSET_H

#include "core/net/cidr.h"

#define NET_BITS	unsigned __int128	/* an address; of IPv4 the lower 32 */
#define NETSET_NONE	UINT32_MAX		/* no network has it; ids are smaller */

struct weir_netrange {
	NET_BITS		 from, to;	/* both of it */
	uint64_t		 rank;		/* of those that hold an address the highest counts */
	uint32_t		 id;
};

struct weir_netset_family {
	struct {
		struct weir_netrange *v;
		unsigned	 n, room;
	}			 ranges;	/* as they came; forgotten when the set is frozen */
	struct {
		NET_BITS	*v;
		unsigned	 n, room;
	}			 from6;		/* where stretches begin, up to the next one */
	struct {
		uint32_t	*v;
		unsigned	 n, room;
	}			 from4, ids;
};

struct weir_netset {
	struct weir_netset_family four, six;
	uint32_t		 other;		/* id + 1 for clients that have no IP address */
};

/*
 * Rules of which the first counts: one network, unix sockets (and whatever else has no IP address), everybody.
 * `id` is what netset_find() gives; it rises, or stays, from call to call.
 */
void	 netset_add(struct weir_pool *, struct weir_netset *, const struct weir_cidr *, uint32_t id);
void	 netset_add_unix(struct weir_netset *, uint32_t id);
void	 netset_add_all(struct weir_pool *, struct weir_netset *, uint32_t id);
/* Or with ranks of one's own; of two equal ranks it is not said which counts. */
void	 netset_add_range(struct weir_pool *, struct weir_netset *, bool six, const struct weir_netrange *);
/* Take all of the very same extent out; false when there was none. */
bool	 netset_drop(struct weir_netset *, bool six, const struct weir_netrange *);
void	 netset_freeze(struct weir_pool *, struct weir_netset *);

/* Does a frozen set hold nobody at all?  For those who ask with every request. */
static inline bool
netset_is_empty(const struct weir_netset *s)
{
	return (s->four.ids.n | s->six.ids.n | s->other) == 0;
}

/*
 * The id of the first rule that holds the address, or NETSET_NONE.  As with cidr_has(), an IPv6 address that
 * stands for an IPv4 one is looked for as both.
 */
uint32_t netset_find(const struct weir_netset *, const struct weir_addr *);
/* The same for the 4 or 16 bytes of an address, only as what they are. */
uint32_t netset_find_bytes(const struct weir_netset *, struct weir_str);
NET_BITS net_bits(struct weir_str bytes);
void	 net_extent(const struct weir_cidr *, struct weir_netrange *);	/* sets from and to */

#endif
