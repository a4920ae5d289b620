/*
 * netset.c - many networks at once: cut into stretches when frozen, found by binary search.
 */
#include <stdlib.h>

#include "core/base/mem.h"
#include "core/net/netset.h"

NET_BITS
net_bits(struct weir_str bytes)
{
	NET_BITS b = 0;
	size_t	 i;

	for (i = 0; i < bytes.n; i++)
		b = b << 8 | (uint8_t)bytes.p[i];
	return b;
}

void
net_extent(const struct weir_cidr *c, struct weir_netrange *to)
{
	unsigned host = 8u * c->len - c->bits;

	to->from = net_bits(str_of((const char *)c->bytes, c->len));
	to->to = to->from | (host == 128 ? ~(NET_BITS)0 : ((NET_BITS)1 << host) - 1);
}

/* ---- filling ---- */

static struct weir_netset_family *
family(struct weir_netset *set, bool six)
{
	return six ? &set->six : &set->four;
}

void
netset_add_range(struct weir_pool *pool, struct weir_netset *set, bool six, const struct weir_netrange *r)
{
	*POOL_PUSH(pool, &family(set, six)->ranges) = *r;
}

void
netset_add(struct weir_pool *pool, struct weir_netset *set, const struct weir_cidr *c, uint32_t id)
{
	struct weir_netrange r = { .rank = NETSET_NONE - id, .id = id };

	net_extent(c, &r);
	netset_add_range(pool, set, c->len == 16, &r);
}

void
netset_add_unix(struct weir_netset *set, uint32_t id)
{
	if (set->other == 0)
		set->other = id + 1;
}

void
netset_add_all(struct weir_pool *pool, struct weir_netset *set, uint32_t id)
{
	netset_add(pool, set, &(struct weir_cidr){ .len = 4 }, id);
	netset_add(pool, set, &(struct weir_cidr){ .len = 16 }, id);
	netset_add_unix(set, id);
}

bool
netset_drop(struct weir_netset *set, bool six, const struct weir_netrange *like)
{
	struct weir_netset_family *f = family(set, six);
	unsigned		   i, n = 0, before = f->ranges.n;

	for (i = 0; i < before; i++)
		if (f->ranges.v[i].from != like->from || f->ranges.v[i].to != like->to)
			f->ranges.v[n++] = f->ranges.v[i];
	f->ranges.n = n;
	return n != before;
}

/* ---- from ranges to stretches ---- */

static int
by_begin(const void *a, const void *b)
{
	const struct weir_netrange *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/* A heap of those ranges that hold the place where we are, the highest rank on top. */
struct heap {
	const struct weir_netrange **v;
	unsigned		     n;
};

static void
heap_push(struct heap *h, const struct weir_netrange *r)
{
	unsigned i;

	for (i = h->n++; i > 0 && h->v[(i - 1) / 2]->rank < r->rank; i = (i - 1) / 2)
		h->v[i] = h->v[(i - 1) / 2];
	h->v[i] = r;
}

static void
heap_pop(struct heap *h)
{
	const struct weir_netrange *last = h->v[--h->n];
	unsigned		    i = 0, child;

	while ((child = 2 * i + 1) < h->n) {
		if (child + 1 < h->n && h->v[child + 1]->rank > h->v[child]->rank)
			child++;
		if (h->v[child]->rank <= last->rank)
			break;
		h->v[i] = h->v[child];
		i = child;
	}
	h->v[i] = last;
}

static void
add_stretch(struct weir_pool *pool, struct weir_netset_family *f, bool six, NET_BITS from, uint32_t id)
{
	if (f->ids.n != 0 && f->ids.v[f->ids.n - 1] == id)
		return;
	*POOL_PUSH(pool, &f->ids) = id;
	if (six)
		*POOL_PUSH(pool, &f->from6) = from;
	else
		*POOL_PUSH(pool, &f->from4) = (uint32_t)from;
}

static void
cut(struct weir_pool *pool, struct weir_netset_family *f, bool six, struct heap *h)
{
	const struct weir_netrange *r = f->ranges.v, *end = r + f->ranges.n;
	const NET_BITS		    last = six ? ~(NET_BITS)0 : UINT32_MAX;
	NET_BITS		    at = 0;

	if (r->from != 0)
		add_stretch(pool, f, six, 0, NETSET_NONE);
	while (r < end || h->n != 0) {
		if (h->n == 0)
			at = r->from;
		for (; r < end && r->from == at; r++)
			heap_push(h, r);
		while (h->n != 0 && h->v[0]->to < at)
			heap_pop(h);
		add_stretch(pool, f, six, at, h->n != 0 ? h->v[0]->id : NETSET_NONE);
		if (h->n == 0)
			continue;
		if (r < end && r->from <= h->v[0]->to)
			at = r->from;
		else if (h->v[0]->to == last)
			return;		/* and behind the last address there is nothing */
		else
			at = h->v[0]->to + 1;
	}
}

static void
freeze(struct weir_pool *pool, struct weir_netset_family *f, bool six)
{
	struct heap h = { .n = 0 };

	if (f->ranges.n == 0)
		return;
	qsort(f->ranges.v, f->ranges.n, sizeof(*f->ranges.v), by_begin);
	h.v = mem_alloc(f->ranges.n * sizeof(*h.v));
	cut(pool, f, six, &h);
	mem_free(h.v);
	f->ranges.v = NULL;
	f->ranges.n = f->ranges.room = 0;
}

void
netset_freeze(struct weir_pool *pool, struct weir_netset *set)
{
	freeze(pool, &set->four, false);
	freeze(pool, &set->six, true);
}

/* ---- at work ---- */

/*
 * The last of n ordered numbers that is not above `key`; the first one is 0.  Every turn halves what is left by a
 * conditional move: addresses come in no order, and a branch would be guessed wrong every other time.
 */
#define LAST_NOT_ABOVE(v, n, key, at) do {				\
	unsigned left_ = (n);						\
									\
	for ((at) = 0; left_ > 1; left_ -= left_ / 2)			\
		(at) += (v)[(at) + left_ / 2] <= (key) ? left_ / 2 : 0;	\
} while (0)

uint32_t
netset_find_bytes(const struct weir_netset *set, struct weir_str bytes)
{
	const struct weir_netset_family *f = bytes.n == 16 ? &set->six : &set->four;
	NET_BITS		key;
	uint32_t		four;
	unsigned		at;

	if (f->ids.n == 0)
		return NETSET_NONE;
	key = net_bits(bytes);
	four = (uint32_t)key;
	if (bytes.n == 16)
		LAST_NOT_ABOVE(f->from6.v, f->ids.n, key, at);
	else
		LAST_NOT_ABOVE(f->from4.v, f->ids.n, four, at);
	return f->ids.v[at];
}

uint32_t
netset_find(const struct weir_netset *set, const struct weir_addr *a)
{
	static const char	mapped[12] = "\0\0\0\0\0\0\0\0\0\0\xff\xff";
	struct weir_str		b;
	uint32_t		id, other;

	if (a->sa.sa_family != AF_INET && a->sa.sa_family != AF_INET6)
		return set->other - 1;	/* NETSET_NONE when there is none */
	b = addr_bytes(a);
	id = netset_find_bytes(set, b);
	if (b.n != 16 || memcmp(b.p, mapped, sizeof(mapped)) != 0)
		return id;
	other = netset_find_bytes(set, str_from(b, sizeof(mapped)));
	return other < id ? other : id;
}
