/* unit: src/core/peer/peer.c */
#include "unit.h"

#include "core/peer/peer.c"

static struct weir_peer peers[6];
static struct weir_group group;

static void
make(unsigned n, unsigned backups, const unsigned *weights)
{
	memset(peers, 0, sizeof peers);
	memset(&group, 0, sizeof group);
	group.name = STR("g");
	group.peers = peers;
	group.n = n;
	group.n_backup = backups;
	for (unsigned i = 0; i < n; i++) {
		peers[i].number = i;
		peers[i].weight = weights != NULL ? weights[i] : 1;
		peers[i].effective = (int)peers[i].weight;
		peers[i].max_fails = 1;
		peers[i].fail_timeout_ms = 10000;
		peers[i].text = STR("p");
	}
	weir_now_ms = 1000000;
}

/* One request to one peer: its number, or -1. */
static int
one(enum weir_outcome how)
{
	struct weir_pick p;
	struct weir_peer *q;

	pick_init(&p, &group, NULL);
	q = pick_next(&p);
	if (q == NULL)
		return -1;
	pick_done(&p, how);
	assert_int_equal(q->conns, 0);
	return (int)q->number;
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

static void
test_each_once(void **state)
{
	struct weir_pick p;
	unsigned seen = 0;

	(void)state;
	make(4, 1, NULL);
	pick_init(&p, &group, NULL);
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
	make(2, 0, NULL);
	peers[0].max_fails = 3;
	for (int fails = 0; fails < 3; ) {
		struct weir_pick p;

		pick_init(&p, &group, NULL);
		if (pick_next(&p) == &peers[0]) {
			pick_done(&p, WENT_BADLY);
			fails++;
		} else {
			pick_done(&p, WENT_WELL);
		}
	}
	weir_now_ms = peers[0].checked_ms + 1;	/* writing to the log may move the clock */
	for (int i = 0; i < 10; i++)
		assert_int_equal(one(WENT_WELL), 1);
	weir_now_ms += 10001;			/* fail_timeout has passed: it is tried, */
	unsigned seen = 0;
	for (int i = 0; i < 8; i++)
		seen += one(WENT_WELL) == 0;
	assert_true(seen >= 1);
	weir_now_ms += 1;			/* and trusted again after it went well */
	seen = 0;
	for (int i = 0; i < 20; i++)
		seen += one(WENT_WELL) == 0;
	assert_true(seen >= 8);
	assert_int_equal(peers[0].fails, 0);
	assert_int_equal(peers[0].effective, 1);
}

/* All are out: told once, then all are tried again. */
static void
test_all_out(void **state)
{
	(void)state;
	make(2, 0, NULL);
	assert_true(one(WENT_BADLY) >= 0);
	assert_true(one(WENT_BADLY) >= 0);
	assert_int_equal(one(WENT_BADLY), -1);
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
	make(3, 0, NULL);
	peers[0].down = true;
	peers[1].max_conns = 1;
	pick_init(&a, &group, NULL);
	pick_init(&b, &group, NULL);
	pick_init(&c, &group, NULL);
	assert_int_equal(pick_most(&a), 2);
	struct weir_peer *p = pick_next(&a), *q = pick_next(&b), *r = pick_next(&c);

	assert_true(p != q && p != &peers[0] && q != &peers[0]);
	assert_ptr_equal(r, &peers[2]);
	pick_done(&a, WENT_NOWHERE);
	pick_done(&b, WENT_NOWHERE);
	pick_done(&c, WENT_NOWHERE);
	pick_done(&c, WENT_BADLY);		/* nothing is at work: no effect */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(peers[i].conns, 0);
		assert_int_equal(peers[i].fails, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smooth),
		cmocka_unit_test(test_shares),
		cmocka_unit_test(test_each_once),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_all_out),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_limits),
	};

	return RUN(tests);
}
