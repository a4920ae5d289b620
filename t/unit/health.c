/* unit: src/core/peer/health_state.c */
/* unit: src/http/up/health_grpc.c */
/*
 * health.c - what checks find: in and out, one check and several, what is carried from block to block; gRPC's messages.
 */
#include <stdlib.h>

#include "unit.h"

#include "core/base/clock.h"
#include "core/peer/health_state.c"
#include "http/up/health_grpc.c"

static struct weir_group g;
static struct weir_peer peers[2];
static struct weir_health checks[2];
static struct weir_probe probe[2];	/* of server 0 */

static void
begin(bool mandatory, unsigned fails, unsigned passes)
{
	struct weir_tier *t = &g.whole;

	if (g.block != NULL)
		free(g.block);
	memset(&g, 0, sizeof g);
	memset(checks, 0, sizeof checks);
	memset(probe, 0, sizeof probe);
	weir_now_ms = 1000000;
	g.name = STR("g");
	g.n = 2;
	g.peers = peers;
	g.balancer = &lb_round_robin;
	g.health = checks;
	checks[0].next = &checks[1];
	*t = (struct weir_tier){ .n = 2, .total = 2 };
	for (unsigned i = 0; i < 2; i++) {
		peers[i] = (struct weir_peer){ .group = &g, .number = i, .weight = 1, .warm_ms = 1000, .warm_min = 10 };
		checks[i].group = &g;
		checks[i].number = i;
		checks[i].mandatory = mandatory;
		checks[i].fails = fails;
		checks[i].passes = passes;
		probe[i] = (struct weir_probe){ .h = &checks[i], .peer = &peers[0] };
	}
	g.block = calloc(1, block_size(&g, 0));
	block_init(g.block, &g, 0);
}

static enum weir_health_change
found(unsigned check, bool passed)
{
	probe[check].passed = passed;
	return health_record(&probe[check]);
}

static bool
is_out(void)
{
	return (block_state(g.block, 0)->out & OUT_UNHEALTHY) != 0;
}

static void
test_in_a_row(void **state)
{
	(void)state;
	begin(false, 3, 2);
	assert_false(is_out());
	for (unsigned i = 0; i < 5; i++) {	/* never three in a row */
		assert_int_equal(found(0, false), HEALTH_SAME);
		assert_int_equal(found(0, false), HEALTH_SAME);
		assert_int_equal(found(0, true), HEALTH_SAME);
	}
	assert_int_equal(found(0, false), HEALTH_SAME);
	assert_int_equal(found(0, false), HEALTH_SAME);
	assert_int_equal(found(0, false), HEALTH_WORSE);
	assert_true(is_out());
	assert_int_equal(found(0, false), HEALTH_SAME);
	assert_int_equal(found(0, true), HEALTH_SAME);
	assert_int_equal(found(0, false), HEALTH_SAME);
	assert_int_equal(found(0, true), HEALTH_SAME);
	assert_int_equal(found(0, true), HEALTH_BETTER);
	assert_false(is_out());
	assert_int_equal(block_state(g.block, 0)->health.unhealthy, 1);
	assert_int_equal(block_state(g.block, 0)->warm_from_ms, weir_now_ms);
	assert_false(block_state(g.block, 1)->out & OUT_UNHEALTHY);
}

static void
test_two_checks(void **state)
{
	(void)state;
	begin(false, 1, 1);
	assert_int_equal(found(0, false), HEALTH_WORSE);
	assert_int_equal(found(1, false), HEALTH_SAME);
	assert_int_equal(found(0, true), HEALTH_SAME);
	assert_true(is_out());
	assert_int_equal(found(1, true), HEALTH_BETTER);
	assert_false(is_out());
}

static void
test_mandatory(void **state)
{
	(void)state;
	begin(true, 5, 2);
	assert_true(is_out());
	assert_int_equal(found(0, true), HEALTH_SAME);
	assert_true(is_out());		/* the other check does not know yet */
	assert_int_equal(found(1, true), HEALTH_BETTER);
	assert_false(is_out());
	assert_int_equal(block_state(g.block, 0)->warm_from_ms, 0);
	begin(true, 5, 2);
	assert_int_equal(found(0, false), HEALTH_WORSE);	/* the first result is one */
	assert_int_equal(found(1, true), HEALTH_SAME);
	assert_int_equal(found(0, true), HEALTH_SAME);
	assert_int_equal(found(0, true), HEALTH_BETTER);
}

/* From one configuration to the next. */
static void
test_carried(void **state)
{
	(void)state;
	begin(false, 1, 1);
	found(0, false);
	health_reopen(&g);
	assert_true(is_out());
	/* it has to pass both now */
	assert_int_equal(found(0, true), HEALTH_SAME);
	assert_int_equal(found(1, true), HEALTH_BETTER);
	found(1, false);
	g.health = NULL;
	health_reopen(&g);
	assert_false(is_out());

	begin(true, 1, 1);
	checks[0].persistent = checks[1].persistent = true;
	health_reopen(&g);
	assert_true(is_out());		/* nothing was known that could persist */
	found(0, true);
	found(1, true);
	health_reopen(&g);
	assert_false(is_out());
	checks[1].persistent = false;
	health_reopen(&g);
	assert_true(is_out());
	assert_int_equal(found(1, true), HEALTH_BETTER);
	health_renew(&g, 0);		/* another server */
	assert_true(is_out());
}

/* Who began last asks, unless it is silent. */
static void
test_prober(void **state)
{
	(void)state;
	begin(false, 1, 1);
	assert_true(health_is_prober(&g, true));
	g.block->prober++;		/* somebody else */
	assert_false(health_is_prober(&g, false));
	weir_now_ms += LEASE_MS;
	assert_false(health_is_prober(&g, false));
	weir_now_ms += 1;
	assert_true(health_is_prober(&g, false));
	g.block->prober++;
	assert_true(health_is_prober(&g, true));
}

static int
status_of(const char *bytes, size_t n)
{
	return grpc_health_status(str_of(bytes, n));
}

static void
test_grpc(void **state)
{
	struct weir_pool *pool = pool_new(0);
	struct weir_str s = grpc_health_request(pool, STR("ab"));
	char name[1200];

	(void)state;
	assert_int_equal(s.n, 9);
	assert_memory_equal(s.p, "\0\0\0\0\4\012\2ab", 9);
	assert_int_equal(grpc_health_request(pool, STR("")).n, 5);
	memset(name, 'a', sizeof name);
	s = grpc_health_request(pool, str_of(name, 200));
	assert_int_equal(s.n, 208);
	assert_memory_equal(s.p, "\0\0\0\0\xcb\012\xc8\1a", 9);
	s = grpc_health_request(pool, str_of(name, sizeof name));	/* cut */
	assert_int_equal(s.n, 5 + 3 + SERVICE_MAX);

	assert_int_equal(status_of("\0\0\0\0\0", 5), 0);
	assert_int_equal(status_of("\0\0\0\0\2\x08\1", 7), 1);
	assert_int_equal(status_of("\0\0\0\0\2\x08\1x", 8), -1);
	assert_int_equal(status_of("\1\0\0\0\2\x08\1", 7), -1);
	assert_int_equal(status_of("\0\0\0\0\1\x08", 6), -1);
	assert_int_equal(status_of("\0\0\0\0\3\x08\xe9\x07", 8), -1);	/* 1001 */
	assert_int_equal(status_of("\0\0\0\0\6\x12\2ab\x08\3", 11), 3);
	assert_int_equal(status_of("\0\0\0\0\2\x12\3", 7), -1);
	assert_int_equal(status_of("\0\0\0\0\1\x0b", 6), -1);		/* a group */
	assert_int_equal(status_of("", 0), -1);
	pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_a_row),
		cmocka_unit_test(test_two_checks),
		cmocka_unit_test(test_mandatory),
		cmocka_unit_test(test_carried),
		cmocka_unit_test(test_prober),
		cmocka_unit_test(test_grpc),
	};

	return RUN(tests);
}
