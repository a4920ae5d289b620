/* unit: src/core/peer/group_conf.c */
#include "unit.h"

#include "core/base/clock.h"
#include "core/peer/group_conf.c"

static struct weir_pool *pool;
static struct weir_group *group;
static struct weir_block *block;
static struct weir_sess sess;

static void
make_with(unsigned n, unsigned backups, const unsigned *weights, const struct weir_balancer *b)
{
	group = POOL_NEW(pool, weir_group);
	group->name = STR("g");
	group->n = n;
	group->balancer = b;
	group->peers = pool_zalloc(pool, n * sizeof *group->peers);
	for (unsigned i = 0; i < n; i++) {
		struct weir_peer *p = &group->peers[i];

		server_fill(pool, p, &(struct weir_addr){ .sa.sa_family = AF_INET },
		    pool_printf(pool, "127.0.0.1:%u", 8001 + i));
		p->text = p->name;
		p->weight = weights != NULL ? weights[i] : 1;
		if (i >= n - backups)
			p->priority = PRIORITY_BACKUP;
	}
}

static void
ready_now(void)
{
	assert_int_equal(settle_group(&(struct weir_conf){ .pool = pool }, group), WEIR_OK);
	block = group->block;
	weir_now_ms = 1000000;
}

static void
make(unsigned n, unsigned backups, const unsigned *weights)
{
	make_with(n, backups, weights, &lb_round_robin);
	ready_now();
}

/* One request to one peer: its number, or -1. */
static int
one(enum weir_outcome how)
{
	struct weir_pick p;
	struct weir_peer *q;

	pick_init(&p, group, pool, NULL);
	q = pick_next(&p);
	if (q == NULL)
		return -1;
	pick_done(&p, how);
	assert_int_equal(block_state(block, q->number)->conns, 0);
	return (int)q->number;
}

static int
held(struct weir_pick *p)
{
	struct weir_peer *q;

	pick_init(p, group, pool, NULL);
	q = pick_next(p);
	return q != NULL ? (int)q->number : -1;
}

static void
test_smooth(void **state)
{
	static const unsigned weights[] = { 5, 1, 1 };
	static const int want[] = { 0, 0, 1, 0, 2, 0, 0 };

	(void)state;
	make(3, 0, weights);
	for (int round = 0; round < 5; round++)
		for (size_t i = 0; i < WEIR_COUNT(want); i++)
			assert_int_equal(one(WENT_WELL), want[i]);
}

static void
test_shares(void **state)
{
	static const unsigned weights[] = { 7, 2, 1, 10 };
	unsigned seen[4] = { 0 };

	(void)state;
	make(4, 0, weights);
	for (int i = 0; i < 2000; i++)
		seen[one(WENT_WELL)]++;
	for (int i = 0; i < 4; i++)
		assert_int_equal(seen[i], weights[i] * 100);
}

/* As many as do not fit into one vector, or into the words for what was tried. */
static void
test_many(void **state)
{
	static const unsigned sizes[] = { 2, 15, 16, 33, 63, 65, 300, 1000 };
	struct weir_pick p;

	(void)state;
	for (size_t s = 0; s < WEIR_COUNT(sizes); s++) {
		make(sizes[s], 0, NULL);
		for (unsigned i = 0; i < sizes[s] * 2; i++)
			assert_int_equal(one(WENT_WELL), i % sizes[s]);
		pick_init(&p, group, pool, NULL);
		for (unsigned i = 0; i < sizes[s]; i++) {
			assert_non_null(pick_next(&p));
			pick_done(&p, WENT_ON);
		}
		assert_null(pick_next(&p));
		pick_again(&p);
		assert_non_null(pick_next(&p));
		pick_done(&p, WENT_ON);
	}
}

static void
test_each_once(void **state)
{
	struct weir_pick p;
	unsigned seen = 0;

	(void)state;
	make(4, 1, NULL);
	pick_init(&p, group, pool, NULL);
	assert_int_equal(pick_most(&p), 4);
	for (int i = 0; i < 4; i++) {
		struct weir_peer *q = pick_next(&p);

		assert_non_null(q);
		assert_int_equal(seen >> q->number & 1, 0);
		if (i == 3)
			assert_int_equal(q->number, 3);	/* the backup comes last */
		seen |= 1u << q->number;
		pick_done(&p, WENT_NOWHERE);
	}
	assert_null(pick_next(&p));
}

static void
test_failures(void **state)
{
	(void)state;
	make_with(2, 0, NULL, &lb_round_robin);
	group->peers[0].max_fails = 3;
	ready_now();
	for (int fails = 0; fails < 3; ) {
		struct weir_pick p;

		pick_init(&p, group, pool, NULL);
		if (pick_next(&p) == &group->peers[0]) {
			pick_done(&p, WENT_BADLY);
			fails++;
		} else {
			pick_done(&p, WENT_WELL);
		}
	}
	weir_now_ms = block_state(block, 0)->checked_ms + 1;	/* writing to the log may move the clock */
	assert_int_equal(block->weak, 0);	/* who is out costs nothing */
	for (int i = 0; i < 10; i++)
		assert_int_equal(one(WENT_WELL), 1);
	weir_now_ms += 10001;			/* fail_timeout has passed: it is tried, */
	struct weir_pick p[8];
	unsigned seen = 0;
	for (int i = 0; i < 8; i++)
		seen += held(&p[i]) == 0;
	assert_int_equal(seen, 1);		/* but once only, until that went well */
	for (int i = 0; i < 8; i++)
		pick_done(&p[i], WENT_WELL);
	weir_now_ms += 1;
	seen = 0;
	for (int i = 0; i < 20; i++)
		seen += one(WENT_WELL) == 0;
	assert_true(seen >= 8);
	assert_int_equal(block_state(block, 0)->fails, 0);
	assert_int_equal(block_state(block, 0)->effective, 1);
	assert_int_equal(block->failed, 0);
	assert_int_equal(block->weak, 0);
}

/* Those that fail now and then, within fail_timeout, are counted together. */
static void
test_window(void **state)
{
	(void)state;
	make_with(2, 0, NULL, &lb_round_robin);
	group->peers[0].max_fails = 2;
	ready_now();
	while (one(WENT_BADLY) != 0)
		weir_now_ms++;
	weir_now_ms += 100;
	while (one(WENT_WELL) != 0)
		;
	assert_int_equal(block_state(block, 0)->fails, 1);	/* that went well soon after says nothing */
	weir_now_ms += 10001;
	while (one(WENT_WELL) != 0)
		;
	weir_now_ms++;
	assert_int_equal(block_state(block, 0)->fails, 0);
}

static void
test_all_out(void **state)
{
	(void)state;
	make(2, 0, NULL);
	assert_true(one(WENT_BADLY) >= 0);
	assert_true(one(WENT_BADLY) >= 0);
	assert_int_equal(one(WENT_BADLY), -1);
	weir_now_ms = WEIR_MAX(block_state(block, 0)->checked_ms, block_state(block, 1)->checked_ms) + 10001;
	assert_true(one(WENT_WELL) >= 0);
}

static void
test_alone(void **state)
{
	(void)state;
	make(1, 0, NULL);
	for (int i = 0; i < 5; i++)
		assert_int_equal(one(WENT_BADLY), 0);	/* nobody else to ask */
}

static void
test_limits(void **state)
{
	struct weir_pick a, b, c;

	(void)state;
	make_with(3, 0, NULL, &lb_round_robin);
	group->peers[0].down = true;
	group->peers[1].max_conns = 1;
	ready_now();
	pick_init(&a, group, pool, NULL);
	pick_init(&b, group, pool, NULL);
	pick_init(&c, group, pool, NULL);
	assert_int_equal(pick_most(&a), 2);
	struct weir_peer *p = pick_next(&a), *q = pick_next(&b), *r = pick_next(&c);

	assert_true(p != q && p != &group->peers[0] && q != &group->peers[0]);
	assert_ptr_equal(r, &group->peers[2]);
	pick_done(&a, WENT_NOWHERE);
	pick_done(&b, WENT_NOWHERE);
	pick_done(&c, WENT_NOWHERE);
	pick_done(&c, WENT_BADLY);		/* nothing is at work: no effect */
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(block_state(block, i)->conns, 0);
		assert_int_equal(block_state(block, i)->fails, 0);
	}
	/* what outlives its request counts as well */
	peer_hold(&group->peers[1]);
	for (int i = 0; i < 4; i++)
		assert_int_equal(one(WENT_WELL), 2);
	peer_let_go(&group->peers[1]);
	assert_int_not_equal(one(WENT_WELL), one(WENT_WELL));
}

static void
test_tiers(void **state)
{
	struct weir_pick p[4];

	(void)state;
	make_with(4, 1, NULL, &lb_least_conn);
	group->peers[1].priority = group->peers[2].priority = 7;
	group->peers[0].max_conns = group->peers[1].max_conns = group->peers[2].max_conns = 1;
	ready_now();
	assert_int_equal(group->n_tiers, 3);
	assert_int_equal(held(&p[0]), 0);
	assert_int_equal(held(&p[1]) + held(&p[2]), 1 + 2);
	assert_int_equal(held(&p[3]), 3);
	pick_done(&p[0], WENT_WELL);
	assert_int_equal(one(WENT_WELL), 0);
}

static void
test_wanted(void **state)
{
	struct weir_pick p;

	(void)state;
	make_with(3, 0, NULL, &lb_round_robin);
	group->peers[1].drain = true;
	ready_now();
	for (int i = 0; i < 6; i++)
		assert_int_not_equal(one(WENT_WELL), 1);	/* nobody new */
	for (int i = 0; i < 3; i++) {
		pick_init(&p, group, pool, NULL);
		p.want = 1;
		assert_ptr_equal(pick_next(&p), &group->peers[1]);
		pick_done(&p, WENT_ON);
		assert_ptr_not_equal(pick_next(&p), &group->peers[1]);
		pick_done(&p, WENT_WELL);
	}
	/* whoever sticks does not take the turns of others away */
	make(2, 0, NULL);
	for (int i = 0; i < 50; i++) {
		pick_init(&p, group, pool, NULL);
		p.want = 0;
		pick_next(&p);
		pick_done(&p, WENT_WELL);
	}
	assert_int_equal(one(WENT_WELL), 1);
	int zero = 0;
	for (int i = 0; i < 10; i++)
		zero += one(WENT_WELL) == 0;
	assert_true(zero >= 4);
}

static void
test_least_conn(void **state)
{
	static const unsigned weights[] = { 1, 2, 1 };
	struct weir_pick p[9];
	unsigned seen[3] = { 0 };

	(void)state;
	make_with(3, 0, weights, &lb_least_conn);
	ready_now();
	for (int i = 0; i < 8; i++)
		seen[held(&p[i])]++;
	assert_int_equal(seen[0], 2);
	assert_int_equal(seen[1], 4);
	assert_int_equal(seen[2], 2);
	for (int i = 0; i < 8; i++)
		if (p[i].peer->number == 2)
			pick_done(&p[i], WENT_WELL);
	assert_int_equal(held(&p[8]), 2);
	assert_int_equal(block_state(block, 2)->conns, 1);
}

static void
test_random(void **state)
{
	static const unsigned weights[] = { 1, 2, 3, 4 };
	unsigned seen[4] = { 0 };

	(void)state;
	make_with(4, 0, weights, &lb_random);
	ready_now();
	for (int i = 0; i < 100000; i++)
		seen[one(WENT_WELL)]++;
	for (int i = 0; i < 4; i++) {
		assert_in_range(seen[i], weights[i] * 10000 - 1000, weights[i] * 10000 + 1000);
		seen[i] = 0;
	}
	/* of two: the busy one is avoided unless it is alone */
	make_with(3, 0, NULL, &lb_random);
	group->two = true;
	ready_now();
	for (int i = 0; i < 100; i++)
		peer_hold(&group->peers[1]);
	for (int i = 0; i < 1000; i++) {
		struct weir_pick p;

		assert_int_not_equal(held(&p), 1);
		pick_done(&p, WENT_WELL);
	}
	/* nobody but one is there: found all the same */
	make_with(50, 0, NULL, &lb_random);
	for (int i = 0; i < 49; i++)
		group->peers[i].down = true;
	ready_now();
	for (int i = 0; i < 50; i++)
		assert_int_equal(one(WENT_WELL), 49);
}

static void
slow(unsigned who, uint64_t header_ms, uint64_t response_ms)
{
	struct weir_pick p;

	pick_init(&p, group, pool, NULL);
	p.want = (int)who;
	assert_ptr_equal(pick_next(&p), &group->peers[who]);
	pick_heard(&p, header_ms);
	p.response_ms = response_ms;
	pick_done(&p, WENT_WELL);
}

static void
test_least_time(void **state)
{
	struct weir_pick p[4];

	(void)state;
	make_with(2, 0, NULL, &lb_last_byte);
	ready_now();
	slow(0, 5, 900);
	slow(1, 800, 850);
	for (int i = 0; i < 10; i++)
		slow(1, 800, 10);
	for (int i = 0; i < 5; i++)
		assert_int_equal(one(WENT_WELL), 1);
	make_with(2, 0, NULL, &lb_header);
	ready_now();
	slow(0, 5, 900);
	slow(1, 300, 310);
	for (int i = 0; i < 5; i++)
		assert_int_equal(one(WENT_WELL), 0);
	/* what it has to do already counts as well: 15 of 20 ms are less than one of 320 */
	for (int i = 0; i < 4; i++)
		assert_int_equal(held(&p[i]), 0);
	for (int i = 0; i < 4; i++)
		pick_done(&p[i], WENT_NOWHERE);
	/* after a while the slow one gets another chance */
	weir_now_ms += 200000;
	assert_int_not_equal(one(WENT_WELL), one(WENT_WELL));
}

static void
test_inflight(void **state)
{
	struct weir_pick p[2], q;

	(void)state;
	make_with(2, 0, NULL, &lb_last_byte);
	group->inflight = true;
	ready_now();
	assert_int_equal(held(&p[0]), 0);
	pick_init(&q, group, pool, NULL);
	q.want = 1;
	for (int i = 0; i < 200; i++) {		/* the first hangs, the other one answers */
		weir_now_ms += 10;
		pick_again(&q);
		assert_ptr_equal(pick_next(&q), &group->peers[1]);
		weir_now_ms += 2;
		pick_heard(&q, 1);
		q.response_ms = 2;
		pick_done(&q, WENT_WELL);
	}
	assert_int_equal(block->inflight, 1);
	for (int i = 0; i < 5; i++)
		assert_int_equal(one(WENT_WELL) == 1, 1);
	pick_done(&p[0], WENT_BADLY);
	assert_int_equal(block->inflight, 0);
	assert_int_equal(block_state(block, 0)->inflight, 0);
}

static void
test_slow_start(void **state)
{
	unsigned seen[3] = { 0 };

	(void)state;
	make_with(2, 0, NULL, &lb_round_robin);
	group->peers[0].warm_ms = 10000;
	group->peers[0].warm_min = 10;
	group->peers[0].fail_timeout_ms = 1000;
	ready_now();
	while (one(WENT_BADLY) != 0)
		weir_now_ms += 20000;
	weir_now_ms = block_state(block, 0)->checked_ms + 1001;
	while (one(WENT_WELL) != 0)
		weir_now_ms++;
	weir_now_ms++;
	assert_int_equal(block->warming, 1);
	for (int i = 0; i < 110; i++)
		seen[one(WENT_WELL)]++;
	assert_in_range(seen[0], 5, 15);		/* about 10 of 110 */
	weir_now_ms += 5000;
	memset(seen, 0, sizeof seen);
	for (int i = 0; i < 155; i++)
		seen[one(WENT_WELL)]++;
	assert_in_range(seen[0], 45, 65);		/* 55 : 100 */
	weir_now_ms += 5000;
	memset(seen, 0, sizeof seen);
	for (int i = 0; i < 200; i++)
		seen[one(WENT_WELL)]++;
	assert_in_range(seen[0], 98, 102);
	assert_int_equal(block->warming, 0);
}

static struct weir_addr client;

static int
hashed(struct weir_str key)
{
	struct weir_pick p;
	struct weir_peer *q;

	group->key.source = key;
	pick_init(&p, group, pool, &sess);
	q = pick_next(&p);
	pick_done(&p, WENT_WELL);
	return (int)q->number;
}

static int
hashed_number(unsigned i)
{
	char text[16];

	return hashed(str_of(text, (size_t)snprintf(text, sizeof text, "%u", i)));
}

/*
 * What nginx 1.22 answered: upstreams of 127.0.0.1:8001 ... 8005 with weights 1, 2, 3, 1, 1, and keys
 * 1 ... 100.
 */
static const unsigned nginx_weights[] = { 1, 2, 3, 1, 1 };
#include "peer_nginx.h"

static void
test_nginx_hash(void **state)
{
	static const struct { const struct weir_balancer *b; const char *want; } all[] = {
		{ &lb_hash, nginx_hash }, { &lb_hash_consistent, nginx_consistent },
	};

	(void)state;
	for (size_t k = 0; k < WEIR_COUNT(all); k++) {
		make_with(5, 0, nginx_weights, all[k].b);
		ready_now();
		for (unsigned i = 0; all[k].want[i] != '\0'; i++)
			assert_int_equal(hashed_number(i + 1), all[k].want[i] - '1');
	}
}

static void
test_nginx_ip_hash(void **state)
{
	(void)state;
	make_with(5, 0, nginx_weights, &lb_ip_hash);
	ready_now();
	sess.peer = &client;
	for (size_t i = 0; i < WEIR_COUNT(nginx_ip_hash); i++) {
		assert_int_equal(addr_parse_ip(str_c(nginx_ip_hash[i].ip), &client), WEIR_OK);
		assert_int_equal(hashed(STR("")), nginx_ip_hash[i].server - 1);
	}
}

/* When one of N leaves, no more than 1/N of the keys go elsewhere: those that were its own. */
static void
test_consistent(void **state)
{
	enum { KEYS = 20000, N = 10, GONE = 4 };
	static unsigned before[KEYS];
	unsigned moved = 0, wrong = 0;

	(void)state;
	make_with(N, 0, NULL, &lb_hash_consistent);
	ready_now();
	for (unsigned i = 0; i < KEYS; i++)
		before[i] = (unsigned)hashed_number(i);
	/* out of service for a while */
	block_out(group, GONE, OUT_DOWN);
	for (unsigned i = 0; i < KEYS; i++) {
		unsigned now = (unsigned)hashed_number(i);

		moved += now != before[i];
		wrong += now != before[i] && before[i] != GONE;
	}
	assert_int_equal(wrong, 0);
	assert_true(moved <= KEYS / N + KEYS / 50);
	/* or taken out of the configuration */
	make_with(N - 1, 0, NULL, &lb_hash_consistent);
	for (unsigned i = GONE; i < N - 1; i++)
		group->peers[i].name = group->peers[i].text = pool_printf(pool, "127.0.0.1:%u", 8001 + i + 1);
	ready_now();
	moved = wrong = 0;
	for (unsigned i = 0; i < KEYS; i++) {
		unsigned now = (unsigned)hashed_number(i);

		now += now >= GONE;
		moved += now != before[i];
		wrong += now != before[i] && before[i] != GONE;
	}
	assert_int_equal(wrong, 0);
	assert_true(moved <= KEYS / N + KEYS / 50);
}

/* A server of which all keys are gone is found by those that have no key, and the other way round. */
static void
test_hash_falls_back(void **state)
{
	static const struct weir_balancer *const all[] = { &lb_hash, &lb_hash_consistent };

	(void)state;
	for (size_t k = 0; k < WEIR_COUNT(all); k++) {
		make_with(3, 0, NULL, all[k]);
		ready_now();
		for (int i = 0; i < 6; i++)
			assert_int_equal(hashed(STR("")), i % 3);	/* no key: in turns */
		block_out(group, 0, OUT_DOWN);
		block_out(group, 2, OUT_DOWN);
		for (unsigned i = 0; i < 50; i++)
			assert_int_equal(hashed_number(i), 1);
	}
	/* addresses of one name share its points, and take turns */
	make_with(3, 0, NULL, &lb_hash_consistent);
	group->peers[1].name = group->peers[2].name = group->peers[0].name;
	ready_now();
	assert_int_equal(hashed_number(7), 0);
	assert_int_equal(hashed_number(7), 1);
	assert_int_equal(hashed_number(8), 2);
}

static int
set_up(void **state)
{
	(void)state;
	pool = pool_new(0);
	memset(&sess, 0, sizeof sess);
	sess.pool = pool;
	client.sa.sa_family = AF_INET;
	sess.peer = &client;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	return 0;
}

#define TEST(fn)	cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_smooth), TEST(test_shares), TEST(test_many), TEST(test_each_once), TEST(test_failures),
		TEST(test_window), TEST(test_all_out), TEST(test_alone), TEST(test_limits), TEST(test_tiers),
		TEST(test_wanted), TEST(test_least_conn), TEST(test_random), TEST(test_least_time),
		TEST(test_inflight), TEST(test_slow_start), TEST(test_nginx_hash), TEST(test_nginx_ip_hash),
		TEST(test_consistent), TEST(test_hash_falls_back),
	};

	return RUN(tests);
}
