/*
 * lb_hash.c - by a key, plainly or consistently.
 *
 * Both choose what nginx chooses: plainly as Cache::Memcached does, by CRC-32 and the sum of weights;
 * consistently as Cache::Memcached::Fast does, where each server has 160 points for each unit of weight on a
 * circle of 32 bits, so that only the keys of a server that leaves go elsewhere.
 */
#include <stdlib.h>

#include "core/peer/block.h"
#include "core/peer/sums.h"

enum { SPINS = 20, POINTS = 160, POINTS_MAX = 1 << 24 };

struct point {
	uint32_t	 hash;
	uint32_t	 peer;		/* the first of those that were written alike */
};

struct weir_points {
	unsigned	 n;
	struct point	*v;
	uint32_t	*next;		/* by peer, in the tier: the next written alike, + 1; 0: none */
};

/* ---- CRC-32 (ISO 3309, as in zlib) ---- */

static uint32_t crc_table[256];

static void
make_crc_table(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0xedb88320 : c >> 1;
		crc_table[i] = c;
	}
}

static uint32_t
crc_more(uint32_t c, const void *from, size_t n)
{
	const unsigned char *p = from;

	while (n-- > 0)
		c = crc_table[(c ^ *p++) & 0xff] ^ c >> 8;
	return c;
}

/* ---- plainly ---- */

static void
key(struct weir_pick *p)
{
	if (p->s != NULL)
		p->key = expr_eval(p->s, &p->group->key);
}

/* Each time another server is needed the hash goes on by that of the key behind a number. */
static void
rehash(struct weir_pick *p)
{
	char digits[12];
	uint32_t c = UINT32_MAX;

	if (p->rehash > 0)
		c = crc_more(c, digits, (size_t)snprintf(digits, sizeof digits, "%u", p->rehash));
	c = ~crc_more(c, p->key.p, p->key.n);
	p->hash += c >> 16 & 0x7fff;
	p->rehash++;
}

static int
choose(struct weir_pick *p, const struct weir_tier *t)
{
	if (p->tier != t->first) {
		p->tier = t->first;
		p->spins = p->rehash = 0;
		p->hash = 0;
	}
	while (t->n > 1 && p->key.n != 0 && p->spins <= SPINS) {
		unsigned i;

		rehash(p);
		i = sums_find(p->group, t, p->hash % t->total);
		if (!pick_cannot(p, i))
			return (int)i;
		p->spins++;
	}
	return pick_round(p, t, false);
}

/* ---- consistently ---- */

static int
compare(const void *a, const void *b)
{
	uint32_t x = ((const struct point *)a)->hash, y = ((const struct point *)b)->hash;

	return (x > y) - (x < y);
}

/* Host and port of what was written; a unix path has no port. */
static void
split(struct weir_str name, struct weir_str *host, struct weir_str *port)
{
	size_t n = name.n;

	*host = name;
	*port = STR("");
	if (str_ibegins(name, STR("unix:"))) {
		*host = str_from(name, 5);
		return;
	}
	while (n > 0 && name.p[n - 1] >= '0' && name.p[n - 1] <= '9')
		n--;
	if (n == 0 || name.p[n - 1] != ':')
		return;
	*host = str_of(name.p, n - 1);
	*port = str_from(name, n);
}

static void
add_points(struct weir_points *to, const struct weir_peer *p, unsigned number)
{
	struct weir_str host, port;
	uint32_t base = UINT32_MAX, prev = 0;

	split(p->name, &host, &port);
	base = crc_more(base, host.p, host.n);
	base = crc_more(base, "", 1);
	base = crc_more(base, port.p, port.n);
	for (unsigned k = 0; k < p->weight * POINTS; k++) {
		const unsigned char le[4] = { (unsigned char)prev, (unsigned char)(prev >> 8),
			(unsigned char)(prev >> 16), (unsigned char)(prev >> 24) };

		prev = ~crc_more(base, le, sizeof le);
		to->v[to->n++] = (struct point){ prev, number };
	}
}

static void
sort_points(struct weir_points *ps)
{
	unsigned kept = 0;

	if (ps->n == 0)
		return;
	qsort(ps->v, ps->n, sizeof *ps->v, compare);
	for (unsigned i = 1; i < ps->n; i++)
		if (ps->v[i].hash != ps->v[kept].hash)
			ps->v[++kept] = ps->v[i];
	ps->n = kept + 1;
}

/* Whoever left has none; a name without addresses keeps its own. */
static bool
has_points(const struct weir_group *g, unsigned i)
{
	if (g->peers[i].resolve != NULL || g->block == NULL)
		return !g->peers[i].spare;
	return !(block_state(g->block, i)->out & OUT_VACANT);
}

static size_t
most_points(const struct weir_group *g, const struct weir_tier *t)
{
	size_t n = 0;

	for (unsigned i = t->first; i < t->first + t->room; i++)
		n += has_points(g, i) ? g->peers[i].weight : 0;
	return n * POINTS;
}

/* Addresses of one name, and a server that is written twice, share their points: they take turns. */
static struct weir_points *
make_points(struct weir_pool *pool, struct weir_group *g, const struct weir_tier *t)
{
	struct weir_points *ps = POOL_NEW(pool, weir_points);
	struct weir_hash first;

	hash_init(&first, pool, false);
	ps->v = pool_alloc(pool, (most_points(g, t) + 1) * sizeof *ps->v);
	ps->next = pool_zalloc(pool, t->room * sizeof *ps->next);
	for (unsigned k = 0; k < t->room; k++) {
		struct weir_peer *p = &g->peers[t->first + k];
		uint32_t *at;

		if (!has_points(g, t->first + k))
			continue;
		at = hash_put(&first, p->name, &ps->next[k]);
		if (at != NULL) {	/* `first` has the last one: append to it */
			*at = k + 1;
			continue;
		}
		add_points(ps, p, k);
	}
	sort_points(ps);
	return ps;
}

static void
free_moved(void *arg)
{
	pool_free(((struct weir_group *)arg)->points_pool);
}

static int
ready_consistent(struct weir_conf *cf, struct weir_group *g)
{
	make_crc_table();
	for (unsigned i = 0; i < g->n_tiers; i++) {
		struct weir_tier *t = &g->tiers[i];

		if ((uint64_t)t->total * POINTS > POINTS_MAX)
			return conf_error(cf, g->node, 0, "the weights of upstream \"%.*s\" sum up to more "
			    "than consistent hashing can do: use smaller ones in the same proportion",
			    STR_ARG(g->name));
		t->points = make_points(cf->pool, g, t);
	}
	if (g->moves)
		pool_on_free(cf->pool, free_moved, g);
	return WEIR_OK;
}

/* At run time they lie in a pool of their own, which goes when they are others. */
static void
follow(struct weir_group *g)
{
	struct weir_pool *was = g->points_pool;

	g->points_pool = pool_new(0);
	for (unsigned i = 0; i < g->n_tiers; i++)
		g->tiers[i].points = make_points(g->points_pool, g, &g->tiers[i]);
	pool_free(was);
}

static int
ready_plain(struct weir_conf *cf, struct weir_group *g)
{
	(void)cf;
	(void)g;
	make_crc_table();
	return WEIR_OK;
}

/* The first point that is not below. */
static uint32_t
find_point(const struct weir_points *ps, uint32_t hash)
{
	uint32_t lo = 0, hi = ps->n;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (ps->v[mid].hash < hash)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Of those that share a point: round robin. */
static int
choose_alike(struct weir_pick *p, const struct weir_tier *t, uint32_t first)
{
	struct weir_block *b = p->group->block;
	int32_t total = 0;
	int best = -1;

	for (uint32_t k = first + 1; k != 0; k = t->points->next[k - 1]) {
		unsigned i = t->first + k - 1;

		if (pick_cannot(p, i))
			continue;
		block_current(b)[i] += block_effective(b)[i];
		total += block_effective(b)[i];
		if (best < 0 || block_current(b)[i] > block_current(b)[best])
			best = (int)i;
	}
	if (best >= 0)
		block_current(b)[best] -= total;
	return best;
}

static int
choose_consistent(struct weir_pick *p, const struct weir_tier *t)
{
	const struct weir_points *ps = t->points;

	if (p->tier != t->first) {
		p->tier = t->first;
		p->spins = 0;
		p->hash = find_point(ps, ~crc_more(UINT32_MAX, p->key.p, p->key.n));
	}
	while (t->n > 1 && ps->n != 0 && p->key.n != 0 && p->spins <= SPINS) {
		int i = choose_alike(p, t, ps->v[p->hash % ps->n].peer);

		if (i >= 0)
			return i;
		p->hash++;
		p->spins++;
	}
	return pick_round(p, t, false);
}

const struct weir_balancer lb_hash = { .name = "hash", .choose = choose, .key = key, .fixed = true,
	.no_backup = true, .ready = ready_plain };
const struct weir_balancer lb_hash_consistent = { .name = "hash consistent", .choose = choose_consistent,
	.key = key, .fixed = true, .no_backup = true, .weights_max = POINTS_MAX / POINTS, .ready = ready_consistent,
	.follow = follow };
