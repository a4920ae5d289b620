/* unit: src/core/shm/table.c */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/shm/table.c"

struct count {
	uint64_t n;
};

static struct weir_log	 quiet;
static struct weir_zones *zones;
static unsigned		 number;

static struct weir_table *
make(uint64_t size, size_t row)
{
	char			 name[16];
	const char		*why;
	struct weir_table	*t;
	struct weir_table_want	 w = { .size = size, .kind = "test", .row = row, .key_max = 16 };

	snprintf(name, sizeof(name), "t%u", number++);
	w.name = str_c(name);
	zones = zones_new(pool_new(0));
	t = table_declare(zones, &w, &why);
	assert_non_null(t);
	assert_ptr_equal(table_declare(zones, &w, &why), t);
	assert_int_equal(zones_open(zones, NULL, &quiet), WEIR_OK);
	return t;
}

static void
done(void)
{
	pool_free(zones_pool(zones));
}

static struct weir_str
key(unsigned i)
{
	static char text[16];

	return str_of(text, (size_t)snprintf(text, sizeof(text), "key %u", i));
}

static uint64_t
add_one(struct weir_table *t, struct weir_str k, enum row_how how)
{
	struct count	*c = table_get(t, k, true);
	uint64_t	 n;

	if (c == NULL)
		return 0;
	n = ++c->n;
	table_put(t, c, weir_now_ms + 1000, how);
	return n;
}

static uint64_t
value(struct weir_table *t, struct weir_str k)
{
	struct count	*c = table_get(t, k, false);
	uint64_t	 n;

	if (c == NULL)
		return 0;
	n = c->n;
	table_put(t, c, weir_now_ms + 1000, ROW_PLAIN);
	return n;
}

static uint64_t
rows(struct weir_table *t)
{
	struct table_fill f;

	table_fill(t, &f);
	return f.rows;
}

static void
test_rows(void **state)
{
	struct weir_table	*t = make(65536, sizeof(struct count));
	char			 long_key[300];
	struct count		*c;

	(void)state;
	assert_int_equal(value(t, STR("a")), 0);
	assert_int_equal(add_one(t, STR("a"), ROW_PLAIN), 1);
	assert_int_equal(add_one(t, STR("a"), ROW_PLAIN), 2);
	assert_int_equal(add_one(t, STR(""), ROW_PLAIN), 1);
	assert_int_equal(add_one(t, STR_NONE, ROW_PLAIN), 2);
	assert_int_equal(add_one(t, STR("0123456789abcdef"), ROW_PLAIN), 1);
	/* Longer than what is kept; the difference is at the end. */
	memset(long_key, 'k', sizeof(long_key));
	assert_int_equal(add_one(t, str_of(long_key, 300), ROW_PLAIN), 1);
	assert_int_equal(add_one(t, str_of(long_key, 299), ROW_PLAIN), 1);
	long_key[299] = 'x';
	assert_int_equal(add_one(t, str_of(long_key, 300), ROW_PLAIN), 1);
	assert_int_equal(add_one(t, str_of(long_key, 300), ROW_PLAIN), 2);
	assert_int_equal(rows(t), 6);
	c = table_get(t, STR("a"), false);
	assert_int_equal((uintptr_t)c % 8, 0);
	table_drop(t, c);
	assert_int_equal(value(t, STR("a")), 0);
	assert_int_equal(rows(t), 5);
	done();
}

static void
test_expiry(void **state)
{
	struct weir_table *t = make(65536, sizeof(struct count));

	(void)state;
	weir_now_ms = 5000;
	add_one(t, STR("a"), ROW_PLAIN);
	add_one(t, STR("p"), ROW_PINNED);
	weir_now_ms = 6000;
	assert_int_equal(value(t, STR("a")), 1);	/* asked for again: until 7000 */
	weir_now_ms = 7000;
	assert_int_equal(value(t, STR("a")), 1);
	weir_now_ms = 8001;
	assert_int_equal(value(t, STR("a")), 0);
	assert_int_equal(add_one(t, STR("a"), ROW_PLAIN), 1);
	assert_int_equal(add_one(t, STR("p"), ROW_PLAIN), 2);
	weir_now_ms = 9002;
	assert_int_equal(value(t, STR("p")), 0);
	weir_now_ms = 1000;
	done();
}

/* A flood of keys: the table keeps its size, and those who come often, are in penalty, or pinned. */
static void
test_flood(void **state)
{
	struct weir_table	*t = make(1 << 20, sizeof(struct count));
	struct table_fill	 f;
	unsigned		 i;

	(void)state;
	add_one(t, STR("held"), ROW_HELD);
	add_one(t, STR("pinned"), ROW_PINNED);
	add_one(t, STR("once"), ROW_PLAIN);
	add_one(t, STR("twice"), ROW_PLAIN);
	add_one(t, STR("twice"), ROW_PLAIN);
	for (i = 0; i < 200000; i++) {
		assert_int_equal(add_one(t, key(i), ROW_PLAIN), 1);
		if (i % 50000 == 0)
			add_one(t, STR("hot"), ROW_PLAIN);
	}
	table_fill(t, &f);
	assert_true(f.capacity > 10000);
	assert_true(f.rows <= f.capacity && f.rows > f.capacity * 9 / 10);
	assert_true(f.evicted >= 200000 - f.capacity);
	assert_int_equal(f.refused, 0);
	assert_int_equal(value(t, STR("held")), 1);
	assert_int_equal(value(t, STR("pinned")), 1);
	assert_int_equal(value(t, STR("once")), 0);
	assert_int_equal(value(t, STR("twice")), 2);
	assert_int_equal(value(t, key(0)), 0);
	assert_int_equal(value(t, key(199999)), 1);
	done();
}

/* Even when every key of the flood comes twice, penalties last longer than the others. */
static void
test_flood_of_known(void **state)
{
	struct weir_table	*t = make(65536, sizeof(struct count));
	unsigned		 i;

	(void)state;
	add_one(t, STR("held"), ROW_HELD);
	add_one(t, STR("known"), ROW_PLAIN);
	add_one(t, STR("known"), ROW_PLAIN);
	for (i = 0; i < 20000; i++) {
		add_one(t, key(i), ROW_PLAIN);
		add_one(t, key(i), ROW_PLAIN);
	}
	assert_int_equal(value(t, STR("held")), 1);
	assert_int_equal(value(t, STR("known")), 0);
	done();
}

static void
test_all_pinned(void **state)
{
	struct weir_table	*t = make(32768, sizeof(struct count));
	struct table_fill	 f;
	unsigned		 i;

	(void)state;
	for (i = 0; add_one(t, key(i), ROW_PINNED) != 0; i++)
		;
	table_fill(t, &f);
	assert_int_equal(t->shards, 1);
	assert_int_equal(f.rows, f.capacity);
	assert_int_equal(i, f.capacity);
	assert_int_equal(f.refused, 1);
	assert_int_equal(f.evicted, 0);
	table_put(t, table_get(t, key(7), false), weir_now_ms - 1, ROW_PLAIN);
	assert_int_equal(add_one(t, STR("now there is room"), ROW_PLAIN), 1);
	assert_int_equal(value(t, key(7)), 0);
	assert_int_equal(value(t, key(8)), 1);
	done();
}

static bool
sum(const struct table_row *r, void *arg)
{
	uint64_t *to = arg;

	to[0] += ((struct count *)r->row)->n;
	to[1]++;
	to[2] += r->hashed;
	to[3] += r->how == ROW_HELD;
	return !str_eq(r->key, STR("key 5"));
}

static void
test_each(void **state)
{
	struct weir_table	*t = make(1 << 20, sizeof(struct count));
	uint64_t		 got[4] = { 0 };
	unsigned		 i;

	(void)state;
	for (i = 0; i < 100; i++)
		add_one(t, key(i), i < 10 ? ROW_HELD : ROW_PLAIN);
	add_one(t, STR("a key that is longer than 16 bytes"), ROW_PLAIN);
	table_each(t, sum, got);
	assert_int_equal(got[0], 101);
	assert_int_equal(got[1], 101);
	assert_int_equal(got[2], 1);
	assert_int_equal(got[3], 10);
	assert_int_equal(rows(t), 100);
	assert_int_equal(value(t, key(5)), 0);
	weir_now_ms += 2000;
	table_each(t, sum, got);
	assert_int_equal(got[1], 101);
	assert_int_equal(rows(t), 0);
	done();
}

/* Processes that count together lose nothing. */
static void
test_together(void **state)
{
	enum { CHILDREN = 4, TIMES = 50000, KEYS = 7 };
	struct weir_table	*t = make(65536, sizeof(struct count));
	uint64_t		 all = 0;
	pid_t			 pids[CHILDREN];
	unsigned		 i;
	int			 status;

	(void)state;
	for (i = 0; i < CHILDREN; i++)
		if ((pids[i] = fork()) == 0) {
			for (i = 0; i < TIMES; i++)
				add_one(t, key(i % KEYS), ROW_PLAIN);
			_exit(0);
		}
	for (i = 0; i < CHILDREN; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	for (i = 0; i < KEYS; i++)
		all += value(t, key(i));
	assert_int_equal(all, CHILDREN * TIMES);
	done();
}

/* S-268: who held the lock was killed, and had left the shard in disorder. */
static void
test_killed_holder(void **state)
{
	struct weir_table	*t = make(1 << 20, sizeof(struct count));
	struct table_fill	 f;
	uint64_t		 before;
	unsigned		 i, there = 0;
	int			 status;
	pid_t			 pid;

	(void)state;
	for (i = 0; i < 1000; i++)
		add_one(t, key(i), ROW_PLAIN);
	before = rows(t);
	pid = fork();
	if (pid == 0) {
		struct count *c = table_get(t, key(1), true);

		memset((char *)lent_cell(t, c), 0xff, sizeof(struct cell) + 8);
		memset(&t->lent->list, 0xff, sizeof(t->lent->list));
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(zone_deaths(table_zone(t)), 0);
	for (i = 0; i < 1000; i++)
		there += value(t, key(i)) == 1;
	assert_int_equal(zone_deaths(table_zone(t)), 1);
	table_fill(t, &f);
	assert_int_equal(f.emptied, 1);
	assert_true(t->shards > 1);
	assert_true(there < before && there > before / 2);
	/* And it works again. */
	for (i = 0; i < 50000; i++)
		assert_int_equal(add_one(t, key(1000000 + i), ROW_PLAIN), 1);
	assert_int_equal(add_one(t, key(1), ROW_PLAIN), 1);
	done();
}

/* Killed at any moment of real work, again and again. */
static void
test_killed_anywhere(void **state)
{
	struct weir_table	*t = make(32768, sizeof(struct count));
	struct timespec		 wait = { 0 };
	unsigned		 round, i;
	int			 status;
	pid_t			 pid;

	(void)state;
	for (round = 0; round < 60; round++) {
		pid = fork();
		if (pid == 0)
			for (i = round;; i = i * 1103515245 + 12345)
				add_one(t, key(i >> 16), (enum row_how)(i >> 12 & 1));
		wait.tv_nsec = (long)(round % 10) * 200000 + 100000;
		nanosleep(&wait, NULL);		/* any time will do: this chooses where it dies */
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		for (i = 0; i < 2000; i++)
			assert_true(add_one(t, key(i), ROW_PLAIN) > 0);
		assert_true(rows(t) <= t->rows);
	}
	done();
}

/* The next generation finds rows by the same keys. */
static void
test_next_generation(void **state)
{
	struct weir_table	*t = make(65536, sizeof(struct count)), *next;
	struct weir_table_want	 w = { .size = 65536, .kind = "test", .row = sizeof(struct count),
		.key_max = 16 };
	struct weir_zones	*old = zones, *new = zones_new(pool_new(0));
	const char		*why;
	char			 name[16];

	(void)state;
	strcpy(name, t->zone->name);	/* that one goes with the first generation */
	w.name = str_c(name);
	add_one(t, STR("a"), ROW_PLAIN);
	next = table_declare(new, &w, &why);
	assert_int_equal(zones_open(new, old, &quiet), WEIR_OK);
	assert_int_equal(add_one(next, STR("a"), ROW_PLAIN), 2);
	assert_int_equal(value(t, STR("a")), 2);
	done();
	assert_int_equal(value(next, STR("a")), 2);
	zones = zones_new(pool_new(0));
	w.row = 16;
	next = table_declare(zones, &w, &why);
	assert_int_equal(zones_open(zones, new, &quiet), WEIR_OK);
	assert_int_equal(rows(next), 0);
	done();
	zones = new;
	done();
}

/* Not a test of time, which belongs to the machine: it prints what getting and putting costs. */
static void
test_cost(void **state)
{
	enum { TIMES = 500000 };
	struct weir_table	*t = make(10 << 20, 24);
	struct timespec		 a, b;
	uint32_t		 address[4] = { 0 };
	unsigned		 i;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < TIMES; i++) {
		address[0] = i % 50000 * 2654435761u;
		add_one(t, str_of((const char *)address, 4), ROW_PLAIN);
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	print_message("# get and put: %.0f ns\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 +
	    (double)(b.tv_nsec - a.tv_nsec)) / TIMES);
	assert_int_equal(rows(t), 50000);
	done();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_flood_of_known),
		cmocka_unit_test(test_all_pinned),
		cmocka_unit_test(test_each),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_killed_holder),
		cmocka_unit_test(test_killed_anywhere),
		cmocka_unit_test(test_next_generation),
		cmocka_unit_test(test_cost),
	};

	weir_now_ms = 1000;
	weir_log = &quiet;
	return RUN(tests);
}
