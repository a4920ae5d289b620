/* unit: src/core/peer/group_conf.c */
/* unit: src/core/peer/share.c */
/*
 * pick.c - what choosing a server costs, with each balancer, in the worker's memory and in a shared zone.
 *
 *	objs/bench/pick [SERVERS [LOOPS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/peer/group_conf.c"
#include "core/peer/share.c"

enum { BUSY = 500 };		/* requests under way */

static const struct {
	const char	*name;
	const struct weir_balancer *b;
	bool		 two, inflight, breaker;
} all[] = {
	{ "round robin", &lb_round_robin, false, false, false },
	{ "round robin, one has failed", &lb_round_robin, false, false, false },
	{ "round robin, circuit_breaker", &lb_round_robin, false, false, true },
	{ "least_conn", &lb_least_conn, false, false, false },
	{ "least_time header", &lb_header, false, false, false },
	{ "least_time last_byte inflight", &lb_last_byte, false, true, false },
	{ "random", &lb_random, false, false, false },
	{ "random two", &lb_random, true, false, false },
	{ "random two least_time", &lb_random_last_byte, true, false, false },
	{ "ip_hash", &lb_ip_hash, false, false, false },
	{ "hash", &lb_hash, false, false, false },
	{ "hash consistent", &lb_hash_consistent, false, false, false },
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static struct weir_group *
group_new(struct weir_pool *pool, unsigned n, unsigned which)
{
	struct weir_group *g = POOL_NEW(pool, weir_group);

	g->name = STR("bench");
	g->n = n;
	g->balancer = all[which].b;
	g->two = all[which].two;
	g->inflight = all[which].inflight;
	if (all[which].breaker) {
		g->breaker = POOL_NEW(pool, weir_breaker);
		*g->breaker = (struct weir_breaker){ .failures = 5, .half_open = 3, .success = 2, .open_ms = 30000,
			.max_open_ms = 30000, .rate = 50, .window_ms = 10000, .min = 20 };
	}
	g->peers = pool_zalloc(pool, n * sizeof *g->peers);
	for (unsigned i = 0; i < n; i++) {
		struct weir_peer *p = &g->peers[i];

		server_fill(pool, p, &(struct weir_addr){ .sa.sa_family = AF_INET },
		    pool_printf(pool, "10.0.%u.%u:80", i / 256, i % 256));
		p->text = p->name;
		p->weight = 1 + i % 3;
	}
	return g;
}

static void
share(struct weir_pool *pool, struct weir_group *g)
{
	struct weir_zones *zs = zones_new(pool);
	const char *why;
	struct weir_shared *sh = share_declare(zs, STR("bench"), 64 << 20, &why);

	if (sh == NULL)
		abort();
	share_join(sh, g);
	finish(pool, g);
	if (zones_open(zs, NULL, weir_log) != WEIR_OK)
		abort();
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Half of them took less: what else the machine does is in the other half. */
static double
median(uint32_t *v, unsigned n)
{
	qsort(v, n, sizeof *v, compare);
	return v[n / 2];
}

/* The oldest of BUSY requests ends, and another one begins; its key is another each time. */
static double
measure(struct weir_group *g, struct weir_pool *pool, unsigned loops)
{
	static struct weir_pick picks[BUSY];
	struct weir_addr client = { .sa.sa_family = AF_INET };
	struct weir_sess s = { .peer = &client };
	char key[16];
	uint32_t *spent = mem_alloc(loops * sizeof *spent);
	uint64_t begin;
	double ns;

	for (unsigned i = 0; i < loops; i++) {
		struct weir_pick *p = &picks[i % BUSY];

		clock_update();
		pick_heard(p, i % 50);
		p->response_ms = i % 100;
		pick_done(p, WENT_WELL);
		g->key.source = str_of(key, (size_t)snprintf(key, sizeof key, "%u", i));
		client.in.sin_addr.s_addr = htonl(0x0a000000 + i * 65537);
		pick_init(p, g, pool, &s);
		begin = now_ns();
		if (pick_next(p) == NULL)
			abort();
		spent[i] = (uint32_t)(now_ns() - begin);
	}
	for (unsigned i = 0; i < BUSY; i++)
		pick_done(&picks[i], WENT_NOWHERE);
	ns = median(spent, loops);
	mem_free(spent);
	return ns;
}

static double
one(unsigned which, unsigned n, unsigned loops, bool shared)
{
	struct weir_pool *pool = pool_new(0);
	struct weir_conf cf = { .pool = pool };
	struct weir_group *g = group_new(pool, n, which);
	double ns;

	g->peers[0].fail_timeout_ms = 3600000;
	if (shared)
		share(pool, g);
	else
		finish(pool, g);
	if (g->balancer->ready != NULL && g->balancer->ready(&cf, g) != WEIR_OK)
		abort();
	if (strstr(all[which].name, "failed") != NULL)
		block_failed(g, 0);
	ns = measure(g, pool, loops);
	pool_free(pool);
	return ns;
}

int
main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 1000;
	unsigned loops = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100000;
	uint64_t begin;

	clock_update();
	begin = now_ns();
	for (unsigned i = 0; i < loops; i++)
		(void)now_ns();
	printf("pick() of %u servers, median, with reading the clock (%.0f ns)\n%-32s %10s %10s\n", n,
	    (double)(now_ns() - begin) / loops, "", "own", "shared");
	for (unsigned i = 0; i < WEIR_COUNT(all); i++)
		printf("%-32s %7.0f ns %7.0f ns\n", all[i].name, one(i, n, loops, false),
		    one(i, n, loops, true));
	return 0;
}
