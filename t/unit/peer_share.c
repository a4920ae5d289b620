/* unit: src/core/peer/share.c */
/* unit: src/core/peer/group_conf.c */
#include "child.h"
#include "unit.h"

#include "core/base/clock.h"
#include "core/os/shmap.h"
#include "core/peer/group_conf.c"
#include "core/peer/share.c"

enum { WORKERS = 4, EACH = 2500 };

static struct weir_log quiet;

struct generation {
	struct weir_pool *pool;
	struct weir_zones *zones;
	struct weir_group *g;
};

/* Servers a b c ... as in `names`, with weights. */
static struct weir_group *
group_new(struct weir_pool *pool, const char *names, const unsigned *weights)
{
	struct weir_group *g = POOL_NEW(pool, weir_group);

	g->name = STR("g");
	g->n = (unsigned)strlen(names);
	g->balancer = &lb_round_robin;
	g->peers = pool_zalloc(pool, g->n * sizeof *g->peers);
	for (unsigned i = 0; i < g->n; i++) {
		struct weir_peer *p = &g->peers[i];

		server_fill(pool, p, &(struct weir_addr){ .sa.sa_family = AF_INET },
		    pool_printf(pool, "127.0.0.%u:80", (unsigned)names[i]));
		p->text = p->name;
		p->weight = weights != NULL ? weights[i] : 1;
	}
	return g;
}

static struct generation
opened(struct weir_group *(*make)(struct weir_pool *), const struct generation *old)
{
	struct generation n = { .pool = pool_new(0) };
	struct weir_shared *sh;
	const char *why;

	n.zones = zones_new(n.pool);
	n.g = make(n.pool);
	sh = share_declare(n.zones, STR("z"), 65536, &why);
	assert_non_null(sh);
	share_join(sh, n.g);
	finish(n.pool, n.g);
	assert_int_equal(zones_open(n.zones, old != NULL ? old->zones : NULL, &quiet), WEIR_OK);
	return n;
}

static struct generation gen;		/* for children */

static int
pick_one(struct weir_pick *p, struct weir_group *g)
{
	struct weir_peer *q;

	pick_init(p, g, NULL, NULL);
	q = pick_next(p);
	return q != NULL ? (int)q->number : -1;
}

static struct weir_state *
state_of(const struct generation *n, unsigned i)
{
	return block_state(n->g->block, i);
}

static struct weir_group *
weighted(struct weir_pool *pool)
{
	static const unsigned weights[] = { 5, 3, 2 };

	return group_new(pool, "abc", weights);
}

/* Several workers at once: weights hold over all of them, and nothing is lost. */
static void
test_workers(void **state)
{
	static const unsigned want[] = { 5, 3, 2 };
	unsigned (*seen)[3] = shmap_new(4096, "seen"), sum = 0;
	pid_t pids[WORKERS];

	(void)state;
	gen = opened(weighted, NULL);
	assert_non_null(gen.g->block);
	for (int w = 0; w < WORKERS; w++) {
		if ((pids[w] = fork()) != 0)
			continue;
		share_forked();
		for (int i = 0; i < EACH; i++) {
			struct weir_pick p;
			int q = pick_one(&p, gen.g);

			if (q < 0)
				_exit(1);
			seen[w][q]++;
			pick_done(&p, WENT_WELL);
		}
		_exit(0);
	}
	for (int w = 0; w < WORKERS; w++) {
		int status;

		assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
		assert_int_equal(status, 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		unsigned n = 0;

		for (int w = 0; w < WORKERS; w++)
			n += seen[w][i];
		sum += n;
		assert_in_range(n, want[i] * 980, want[i] * 1020);	/* of 10,000: 2 % */
		assert_int_equal(state_of(&gen, i)->conns, 0);
	}
	assert_int_equal(sum, WORKERS * EACH);
	pool_free(gen.pool);
	shmap_free(seen, 4096);
}

static struct weir_group *
limited(struct weir_pool *pool)
{
	struct weir_group *g = group_new(pool, "ab", NULL);

	g->peers[0].max_conns = 2;
	g->peers[1].down = true;
	return g;
}

static void
take_and_die(void)
{
	struct weir_pick p;

	share_forked();
	MUST(pick_one(&p, gen.g) == 0);
	raise(SIGKILL);
}

static void
die_locked(void)
{
	struct weir_pick p;

	share_forked();
	MUST(pick_one(&p, gen.g) == 0);
	share_lock(gen.g);
	block_current(gen.g->block)[0] = 12345;
	block_state(gen.g->block, 0)->conns = 77;
	raise(SIGKILL);
}

static void
fail_once(void)
{
	struct weir_pick p;

	share_forked();
	MUST(pick_one(&p, gen.g) >= 0);
	pick_done(&p, WENT_BADLY);
	_exit(0);
}

/* What one worker sees, others know; what a dead one held is given back. */
static void
test_deaths(void **state)
{
	struct weir_pick p, q;
	char text[1000];

	(void)state;
	gen = opened(limited, NULL);
	weir_now_ms = 1000;
	assert_int_equal(pick_one(&p, gen.g), 0);
	assert_int_equal(WTERMSIG(child_run(take_and_die, text, sizeof text)), SIGKILL);
	assert_int_equal(state_of(&gen, 0)->conns, 2);
	assert_int_equal(pick_one(&q, gen.g), -1);
	zones_hurt(gen.zones);			/* as the master does */
	assert_int_equal(pick_one(&q, gen.g), 0);
	assert_int_equal(state_of(&gen, 0)->conns, 2);
	pick_done(&q, WENT_WELL);
	/* in the middle of a change; found also when nobody was told */
	assert_int_equal(WTERMSIG(child_run(die_locked, text, sizeof text)), SIGKILL);
	weir_now_ms += 2000;
	assert_int_equal(pick_one(&q, gen.g), 0);
	assert_int_equal(state_of(&gen, 0)->conns, 2);
	pick_done(&q, WENT_WELL);
	pick_done(&p, WENT_WELL);
	assert_int_equal(state_of(&gen, 0)->conns, 0);
	pool_free(gen.pool);
}

static struct weir_group *
two(struct weir_pool *pool)
{
	return group_new(pool, "ab", NULL);
}

static void
take_and_go(void)
{
	struct weir_pick p;

	share_forked();
	MUST(pick_one(&p, gen.g) == 1);
	pick_done(&p, WENT_WELL);
	_exit(0);
}

/* Who goes in peace leaves it to the others to go on where they are. */
static void
test_turns(void **state)
{
	char text[1000];
	struct weir_pick p;

	(void)state;
	gen = opened(two, NULL);
	weir_now_ms = 100000;
	assert_int_equal(pick_one(&p, gen.g), 0);
	pick_done(&p, WENT_WELL);
	assert_int_equal(child_run(take_and_go, text, sizeof text), 0);
	assert_int_equal(pick_one(&p, gen.g), 0);
	pick_done(&p, WENT_WELL);
	zones_hurt(gen.zones);			/* its slot is free again */
	assert_int_equal(pick_one(&p, gen.g), 1);
	pick_done(&p, WENT_WELL);
	pool_free(gen.pool);
}

static void
test_failures(void **state)
{
	char text[1000];
	struct weir_pick p;

	(void)state;
	gen = opened(two, NULL);
	weir_now_ms = 100000;
	assert_int_equal(child_run(fail_once, text, sizeof text), 0);
	assert_int_equal(state_of(&gen, 0)->fails, 1);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(pick_one(&p, gen.g), 1);
		pick_done(&p, WENT_WELL);
	}
	pool_free(gen.pool);
}

static struct weir_group *
bcd(struct weir_pool *pool)
{
	return group_new(pool, "bcd", NULL);
}

/* Servers that stay keep what is known of them, and connections of the old generation count for the new one. */
static void
test_reload(void **state)
{
	struct generation a, b, c;
	struct weir_pick p, q, r;

	(void)state;
	weir_now_ms = 100000;
	a = opened(two, NULL);
	b = opened(two, &a);			/* nothing changed: the very same */
	assert_ptr_equal(b.g->block, a.g->block);
	pool_free(a.pool);
	a = b;
	assert_int_equal(pick_one(&p, a.g), 0);
	pick_done(&p, WENT_WELL);
	assert_int_equal(pick_one(&p, a.g), 1);
	assert_int_equal(pick_one(&q, a.g), 0);
	pick_done(&q, WENT_WELL);
	assert_int_equal(pick_one(&q, a.g), 1);
	pick_done(&q, WENT_BADLY);
	weir_now_ms = 100001;			/* writing to the log may move the clock */
	b = opened(bcd, &a);			/* b stays, as number 0 */
	assert_ptr_not_equal(b.g->block, a.g->block);
	assert_int_equal(state_of(&b, 0)->fails, 1);
	assert_int_equal(state_of(&b, 0)->conns, 1);
	assert_int_equal(pick_one(&r, b.g), 1);	/* it is left alone there, too */
	pick_done(&r, WENT_WELL);
	c = opened(two, &b);			/* a third one, and the second goes */
	assert_ptr_not_equal(c.g->block, a.g->block);
	assert_int_equal(state_of(&c, 1)->conns, 1);
	pool_free(b.pool);
	b = opened(two, &c);			/* it is cut out of the chain */
	assert_ptr_equal(b.g->block, c.g->block);
	pick_done(&p, WENT_NOWHERE);
	assert_int_equal(state_of(&a, 1)->conns, 0);
	assert_int_equal(state_of(&c, 1)->conns, 0);
	pool_free(a.pool);
	pool_free(b.pool);
	pool_free(c.pool);
}

/* A reload that fails leaves nothing behind. */
static void
test_failed_reload(void **state)
{
	struct generation a, b;
	struct weir_pick p;

	(void)state;
	weir_now_ms = 100000;
	a = opened(two, NULL);
	b = opened(bcd, &a);
	pool_free(b.pool);
	assert_int_equal(pick_one(&p, a.g), 0);
	b = opened(two, &a);
	assert_ptr_equal(b.g->block, a.g->block);
	assert_int_equal(a.g->block->heir, 0);
	assert_int_equal(state_of(&b, 0)->conns, 1);
	pick_done(&p, WENT_WELL);
	pool_free(a.pool);
	pool_free(b.pool);
}

static struct weir_group *
large(struct weir_pool *pool)
{
	static unsigned turn;
	char names[101];

	for (unsigned i = 0; i < 100; i++)
		names[i] = (char)('!' + (i + turn) % 90);
	names[80] = '\0';
	turn++;
	return group_new(pool, names, NULL);
}

/* Room of generations that went is used again; when there is none for two, the new one is not shared. */
static void
test_room(void **state)
{
	struct generation a, b;
	struct weir_pick p;
	unsigned alone = 0;

	(void)state;
	a = opened(large, NULL);
	assert_non_null(a.g->shared);
	for (int i = 0; i < 20; i++) {
		b = opened(large, &a);
		assert_true(pick_one(&p, b.g) >= 0);
		alone += b.g->shared == NULL;
		pick_done(&p, WENT_WELL);
		pool_free(a.pool);
		a = b;
	}
	print_message("%u of 20 were alone\n", alone);
	assert_true(alone < 20);
	pool_free(a.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers), cmocka_unit_test(test_deaths), cmocka_unit_test(test_turns),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_reload), cmocka_unit_test(test_failed_reload), cmocka_unit_test(test_room),
	};

	return RUN(tests);
}
