/*
 * lb_ip_hash.c - by the client's address: the first three bytes of an IPv4 address, all of an IPv6 one.
 *
 * The mapping is nginx's, so clients stay where they were when weir takes its place, and where they are behind
 * both.
 */
#include "core/peer/sums.h"

enum { SPINS = 20, SEED = 89, FACTOR = 113, MODULUS = 6271 };

static void
key(struct weir_pick *p)
{
	static const struct weir_str nobody = { "\0\0\0", 3 };

	p->key = nobody;
	if (p->s == NULL || p->s->peer->sa.sa_family == AF_UNIX)
		return;
	p->key = addr_bytes(p->s->peer);
	if (p->s->peer->sa.sa_family == AF_INET)
		p->key.n = 3;
}

static int
choose(struct weir_pick *p, const struct weir_tier *t)
{
	if (p->tier != t->first) {
		p->tier = t->first;
		p->spins = 0;
		p->hash = SEED;
	}
	while (t->n > 1 && p->spins <= SPINS) {
		unsigned i;

		for (size_t k = 0; k < p->key.n; k++)
			p->hash = (p->hash * FACTOR + (unsigned char)p->key.p[k]) % MODULUS;
		i = sums_find(p->group, t, p->hash % t->total);
		if (!pick_cannot(p, i))
			return (int)i;
		p->spins++;
	}
	return pick_round(p, t, false);
}

const struct weir_balancer lb_ip_hash = { .name = "ip_hash", .choose = choose, .key = key, .fixed = true,
	.no_backup = true };
