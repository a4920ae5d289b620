/* unit: src/core/metric/slots.c objs/modules.c */
#include "unit.h"

#include <stdlib.h>
#include <sys/wait.h>

#include "core/metric/slots.c"

static const char *const colours[] = { "red", "green", NULL };
static const char *const sizes[] = { "s", "m", "l", NULL };

static struct weir_metric plain, table, mixed;
static int64_t the_answer(void) { return 42; }

enum { PLAIN, TABLE, GIVEN, LEVEL, TIMES, MIXED, ANSWER, RARE };

static struct weir_metric rare;

static const struct weir_metric_row rows[] = {
	[PLAIN] = { "plain_total", METRIC_COUNTER, "Plain.", .at = &plain },
	[TABLE] = { "table_total", METRIC_COUNTER, "A table.", .labels = { { "colour", colours }, { "size", sizes } },
	    .at = &table },
	[GIVEN] = { "given_total", METRIC_COUNTER, "Given.", .labels = { { "zone", NULL }, { "colour", colours } } },
	[LEVEL] = { "level", METRIC_GAUGE, "A level.", .labels = { { "zone", NULL } } },
	[TIMES] = { "times_seconds", METRIC_HISTOGRAM, "Times.", .labels = { { "zone", NULL } } },
	[MIXED] = { "mixed", METRIC_HIDDEN, "", .labels = { { "what", sizes } }, .at = &mixed, .held = 1 },
	[ANSWER] = { "answer", METRIC_GAUGE, "The answer.", .get = the_answer },
	[RARE] = { "rare_total", METRIC_COUNTER, "Rare.", .labels = { { "colour", colours } }, .at = &rare, .sparse = true },
	{ .name = NULL }
};

static unsigned index_;
static const struct weir_module module = { .name = "test", .index = &index_, .metrics = rows };
const struct weir_module *const weir_modules[] = { &module, NULL };
const unsigned weir_n_modules = 1;
const struct weir_absent weir_absent[] = { { NULL, NULL, NULL } };

static struct weir_log quiet;

/* A generation whose zone is still to be opened. */
static struct weir_conf *
generation(void)
{
	struct weir_pool *pool = pool_new(0);
	struct weir_conf *cf = POOL_NEW(pool, weir_conf);

	weir_log = &quiet;
	cf->pool = pool;
	cf->zones = zones_new(pool);
	metrics_begin(cf);
	return cf;
}

static void
open_it(struct weir_conf *cf, const struct weir_conf *old)
{
	assert_int_equal(zones_open(cf->zones, old != NULL ? old->zones : NULL, &quiet), WEIR_OK);
}

static uint64_t
sum(const struct weir_metric *m, unsigned i)
{
	uint64_t n;

	metric_sum(m, i, 1, &n);
	return n;
}

static struct weir_metric
given(struct weir_conf *cf, const char *zone)
{
	/* Lives as long as the configuration. */
	struct weir_metric	*m = POOL_NEW(cf->pool, weir_metric);
	struct weir_str		 value = str_c(zone);

	metric_series(cf, &rows[GIVEN], &value, m);
	open_it(cf, NULL);
	return *m;
}

static void
test_nowhere(void **state)
{
	struct weir_conf	bare = { .metrics = NULL };
	struct weir_metric	m = { .cell = 7 };
	struct weir_str		zone = STR("z");

	(void)state;
	metric_series(&bare, &rows[GIVEN], &zone, &m);
	assert_int_equal(m.cell, 0);
	metric_add(&m, 0, 1);
	assert_int_equal(metric_claim(), -1);
	metric_use(-1);
	metric_give_back(-1);
	assert_int_equal(metric_since(), 0);
	metric_sub(&m, 0, 1);
}

static void
test_slots(void **state)
{
	struct weir_conf *cf = generation();
	int		  a, b;

	(void)state;
	open_it(cf, NULL);
	assert_true(plain.cell >= METRIC_WIDTH_MAX);
	assert_true(table.cell >= METRIC_WIDTH_MAX && table.cell != plain.cell);
	assert_true(metric_since() > 0);
	/* One process alone counts for itself. */
	metric_add(&plain, 0, 1);
	assert_int_equal(sum(&plain, 0), 1);
	metric_sub(&plain, 0, 1);
	a = metric_claim();
	b = metric_claim();
	assert_int_not_equal(a, b);
	metric_use(a);
	metric_add(&plain, 0, 5);
	metric_add(&mixed, 0, 3);
	metric_add(&mixed, 1, 4);
	metric_use(b);
	metric_add(&plain, 0, 7);
	metric_add(&mixed, 1, 2);
	metric_sub(&mixed, 1, 1);
	assert_int_equal(sum(&plain, 0), 12);
	assert_int_equal(sum(&mixed, 1), 5);
	/* What it counted stays, what it held does not. */
	metric_give_back(a);
	assert_int_equal(sum(&plain, 0), 12);
	assert_int_equal(sum(&mixed, 0), 3);
	assert_int_equal(sum(&mixed, 1), 1);
	/* The next one begins with nothing. */
	assert_int_equal(metric_claim(), a);
	metric_use(a);
	assert_int_equal(metric_slot[plain.cell], 0);
	/* When all are taken, processes count for themselves. */
	while (metric_claim() >= 0)
		;
	metric_use(-1);
	assert_ptr_equal(metric_slot, nowhere);
	pool_free(cf->pool);
	assert_null(memory);
}

/* The next generation goes on where this one was; also one that knows more, or less. */
static void
test_generations(void **state)
{
	struct weir_conf	*cf = generation(), *next = generation();
	struct weir_metric	*m = POOL_NEW(cf->pool, weir_metric), *n = POOL_NEW(next->pool, weir_metric);
	struct weir_metric	*more = POOL_NEW(next->pool, weir_metric);
	struct weir_str		 one = STR("one"), two = STR("two");
	struct weir_histogram	 h, other;
	static const uint32_t	 bounds[] = { 10, 100 };

	(void)state;
	metric_series(cf, &rows[GIVEN], &one, m);
	metric_histogram(cf, &rows[TIMES], &one, bounds, 2, &h);
	open_it(cf, NULL);
	metric_add(m, 1, 9);
	metric_use(metric_claim());
	metric_add(m, 1, 1);
	metric_observe(&h, 10);
	metric_observe(&h, 11);
	metric_observe(&h, 1000);
	assert_int_equal(sum(&h.m, 0), 1);
	assert_int_equal(sum(&h.m, 1), 1);
	assert_int_equal(sum(&h.m, 2), 1);
	assert_int_equal(sum(&h.m, 3), 1021);
	metric_series(next, &rows[GIVEN], &two, more);
	metric_series(next, &rows[GIVEN], &one, n);
	metric_histogram(next, &rows[TIMES], &one, bounds, 1, &other);
	open_it(next, cf);
	assert_int_equal(n->cell, m->cell);
	assert_int_not_equal(more->cell, m->cell);
	assert_int_not_equal(other.m.cell, h.m.cell);
	pool_free(cf->pool);
	assert_int_equal(sum(n, 1), 1);
	assert_int_equal(sum(more, 1), 0);
	pool_free(next->pool);
}

/* A master that died cannot bury its children: the next one does. */
static void
test_orphans(void **state)
{
	struct weir_conf *cf = generation();
	int		  status, slot;
	pid_t		  pid;

	(void)state;
	open_it(cf, NULL);
	metric_use(metric_claim());
	pid = fork();
	if (pid == 0) {
		/* master and worker in one */
		slot = metric_claim();
		metric_use(slot);
		metric_add(&plain, 0, 4);
		metric_add(&mixed, 1, 4);
		_exit(slot == 1 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(sum(&plain, 0), 4);
	assert_int_equal(sum(&mixed, 1), 4);
	assert_int_equal(metric_claim(), 1);
	assert_int_equal(sum(&plain, 0), 4);
	assert_int_equal(sum(&mixed, 1), 0);
	pool_free(cf->pool);
}

/* While others are buried, nobody sees a number twice or not at all. */
static void
test_moves(void **state)
{
	struct weir_conf *cf = generation();
	int		  i, k, slot, status;
	uint64_t	  last = 0, n;
	pid_t		  pid;

	(void)state;
	open_it(cf, NULL);
	pid = fork();
	if (pid == 0) {
		for (i = 0; i < 2000; i++) {
			slot = metric_claim();
			metric_use(slot);
			for (k = 0; k < 10; k++)
				metric_add(&plain, 0, 1);
			metric_give_back(slot);
		}
		_exit(0);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		n = sum(&plain, 0);
		assert_true(n >= last && n <= 20000);
		last = n;
	}
	assert_int_equal(status, 0);
	assert_int_equal(sum(&plain, 0), 20000);
	pool_free(cf->pool);
}

/* A row has so many names; what is beyond has one. */
static void
test_bounded(void **state)
{
	struct weir_conf	*cf = generation();
	struct weir_metric	*m = pool_zalloc(cf->pool, 300 * sizeof(*m)), again;
	struct weir_str		 name;
	unsigned		 i;

	(void)state;
	for (i = 0; i < 300; i++) {
		name = pool_printf(cf->pool, "zone%u", i);
		metric_series(cf, &rows[GIVEN], &name, &m[i]);
	}
	name = STR("zone3");
	metric_series(cf, &rows[GIVEN], &name, &again);
	open_it(cf, NULL);
	assert_int_equal(again.cell, m[3].cell);
	for (i = 1; i < METRIC_SERIES_MAX; i++)
		assert_int_not_equal(m[i].cell, m[i - 1].cell);
	assert_int_equal(m[METRIC_SERIES_MAX].cell, m[299].cell);
	assert_int_not_equal(m[METRIC_SERIES_MAX].cell, m[0].cell);
	/* which shows when it has something to show */
	assert_true(str_find(metrics_text(cf->metrics, METRIC_PROMETHEUS, cf->pool), STR("other")) < 0);
	metric_use(metric_claim());
	metric_add(&m[280], 0, 1);
	assert_true(str_find(metrics_text(cf->metrics, METRIC_PROMETHEUS, cf->pool),
	    STR("weir_given_total{zone=\"other\",colour=\"red\"} 1\n")) > 0);
	pool_free(cf->pool);
}

/* When there are no cells any more, what comes counts nowhere. */
static void
test_full(void **state)
{
	struct weir_conf	*cf = generation();
	uint64_t		 id[2] = { 1, 1 };
	uint32_t		 was = 0, at;

	(void)state;
	open_it(cf, NULL);
	while ((at = slots_find(id, 400, 400)) != 0) {
		assert_true(at > was && at + 400 <= CELLS);
		was = at;
		assert_int_equal(slots_find(id, 400, 400), at);
		id[0]++;
		id[1] *= 3;
	}
	assert_true(id[0] > 30);
	assert_int_equal(slots_find(id, METRIC_WIDTH_MAX, 0), 0);
	pool_free(cf->pool);
}

static const char text[] =
    "# HELP weir_plain_total Plain.\n# TYPE weir_plain_total counter\nweir_plain_total 3\n"
    "# HELP weir_table_total A table.\n# TYPE weir_table_total counter\n"
    "weir_table_total{colour=\"red\",size=\"s\"} 0\n"
    "weir_table_total{colour=\"red\",size=\"m\"} 0\n"
    "weir_table_total{colour=\"red\",size=\"l\"} 0\n"
    "weir_table_total{colour=\"green\",size=\"s\"} 0\n"
    "weir_table_total{colour=\"green\",size=\"m\"} 8\n"
    "weir_table_total{colour=\"green\",size=\"l\"} 0\n"
    "# HELP weir_level A level.\n# TYPE weir_level gauge\n"
    "weir_level{zone=\"a\\\\b\\\"c\\nd\xef\xbf\xbd" "e\"} 0\n"
    "# HELP weir_times_seconds Times.\n# TYPE weir_times_seconds histogram\n"
    "weir_times_seconds_bucket{zone=\"z\",le=\"0.005\"} 1\n"
    "weir_times_seconds_bucket{zone=\"z\",le=\"2.5\"} 1\n"
    "weir_times_seconds_bucket{zone=\"z\",le=\"10\"} 2\n"
    "weir_times_seconds_bucket{zone=\"z\",le=\"+Inf\"} 3\n"
    "weir_times_seconds_sum{zone=\"z\"} 20.06\n"
    "weir_times_seconds_count{zone=\"z\"} 3\n"
    "# HELP weir_answer The answer.\n# TYPE weir_answer gauge\nweir_answer 42\n"
    "# HELP weir_rare_total Rare.\n# TYPE weir_rare_total counter\n"
    "weir_rare_total{colour=\"green\"} 1\n";

static void
test_text(void **state)
{
	static const uint32_t	 bounds[] = { 5, 2500, 10000 };
	struct weir_conf	*cf = generation();
	struct weir_metric	*level = POOL_NEW(cf->pool, weir_metric);
	struct weir_str		 zone = STR("a\\b\"c\nd\xff" "e"), z = STR("z"), got;
	struct weir_histogram	 h;

	(void)state;
	metric_series(cf, &rows[LEVEL], &zone, level);
	metric_histogram(cf, &rows[TIMES], &z, bounds, 3, &h);
	open_it(cf, NULL);
	metric_use(metric_claim());
	metric_add(&plain, 0, 3);
	metric_add(&table, 4, 8);
	metric_sub(level, 0, 1);	/* never below nothing */
	metric_observe(&h, 5);
	metric_observe(&h, 10000);
	metric_observe(&h, 10055);
	metric_add(&rare, 1, 1);
	assert_str(metrics_text(cf->metrics, METRIC_PROMETHEUS, cf->pool), text);
	got = metrics_text(cf->metrics, METRIC_OPENMETRICS, cf->pool);
	assert_true(str_begins(got, STR("# HELP weir_plain Plain.\n# TYPE weir_plain counter\nweir_plain_total 3\n")));
	assert_true(str_find(got, STR("le=\"10.0\"} 2\n")) > 0);
	assert_true(str_ends(got, STR("\n# EOF\n")));
	got = metrics_text(cf->metrics, METRIC_JSON, cf->pool);
	assert_true(str_begins(got, STR("{\n\t\"weir_plain_total\":{\"type\":\"counter\",\"help\":\"Plain.\",\"series\":[\n"
	    "\t\t{\"labels\":{},\"value\":3}]},\n\t\"weir_table_total\":{")));
	assert_true(str_find(got, STR("{\"labels\":{\"zone\":\"z\"},\"buckets\":{\"0.005\":1,\"2.5\":1,\"10\":2,\"+Inf\":3},"
	    "\"sum\":20.06,\"count\":3}]}")) > 0);
	assert_true(str_ends(got, STR("\"value\":1}]}\n}\n")));
	pool_free(cf->pool);
}

static int64_t
get(const void *arg)
{
	return *(const int64_t *)arg;
}

static void
test_value(void **state)
{
	static const int64_t	 v = -5;
	struct weir_conf	*cf = generation();
	struct weir_str		 zone = STR("here");

	(void)state;
	metric_value(cf, &rows[LEVEL], &zone, get, &v);
	open_it(cf, NULL);
	assert_true(str_find(metrics_text(cf->metrics, METRIC_PROMETHEUS, cf->pool),
	    STR("weir_level{zone=\"here\"} -5\n")) > 0);
	pool_free(cf->pool);
}

/* The other binary knows the same things by the same names, whatever it calls on first. */
static void
test_identity(void **state)
{
	struct weir_conf	*cf = generation(), *next = generation();
	struct weir_metric	 a = given(cf, "a"), was_plain = plain;
	struct weir_str		 fds = zones_export(cf->zones, cf->pool);
	struct weir_metric	*b = POOL_NEW(next->pool, weir_metric);
	struct weir_str		 value = STR("a");

	(void)state;
	metric_use(metric_claim());
	metric_add(&a, 0, 6);
	zones_inherit(pool_cstr(cf->pool, pool_printf(cf->pool, "%d;", dup(atoi(fds.p)))));
	metric_series(next, &rows[GIVEN], &value, b);
	plain.cell = 0;
	open_it(next, NULL);
	assert_int_equal(b->cell, a.cell);
	assert_int_equal(plain.cell, was_plain.cell);
	assert_int_equal(sum(b, 0), 6);
	pool_free(cf->pool);
	pool_free(next->pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nowhere), cmocka_unit_test(test_slots), cmocka_unit_test(test_generations),
		cmocka_unit_test(test_orphans), cmocka_unit_test(test_moves), cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_full), cmocka_unit_test(test_text), cmocka_unit_test(test_value),
		cmocka_unit_test(test_identity),
	};

	return RUN(tests);
}
