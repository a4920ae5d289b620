/* unit: src/core/peer/change.c */
/* unit: src/core/peer/group_conf.c */
/* unit: src/core/peer/save.c */
#include "child.h"
#include "unit.h"

#include "core/peer/change.c"
#include "core/peer/group_conf.c"
#include "core/peer/save.c"

enum { SPARES = 8 };

static struct weir_log quiet;

struct generation {
	struct weir_pool *pool;
	struct weir_zones *zones;
	struct weir_group *g;
};

static const struct weir_balancer *balancer = &lb_round_robin;

/* Servers with such last bytes of their addresses, and room for more. */
static struct generation
opened(const char *names, const struct generation *old)
{
	struct generation n = { .pool = pool_new(0) };
	struct weir_conf cf = { .pool = n.pool };
	struct weir_group *g = n.g = POOL_NEW(n.pool, weir_group);
	struct weir_shared *sh;
	const char *why;

	n.zones = zones_new(n.pool);
	g->name = STR("g");
	g->balancer = balancer;
	g->moves = true;
	g->n = (unsigned)strlen(names);
	g->peers = pool_zalloc(n.pool, (g->n + 1) * sizeof *g->peers);
	for (unsigned i = 0; i < g->n; i++) {
		struct weir_addr a;
		struct weir_str text = pool_printf(n.pool, "127.0.0.%u:80", (unsigned)names[i] - '0');

		assert_int_equal(addr_parse(n.pool, text, 80, &a, NULL, NULL), WEIR_OK);
		server_fill(cf.pool, &g->peers[i], &a, text);
	}
	sh = share_declare(n.zones, STR("z"), 131072, &why);
	assert_non_null(sh);
	share_join(sh, g);
	add_spares(&cf, g, SPARES);
	finish(n.pool, g);
	if (balancer->ready != NULL)
		assert_int_equal(balancer->ready(&cf, g), WEIR_OK);
	assert_int_equal(zones_open(n.zones, old != NULL ? old->zones : NULL, &quiet), WEIR_OK);
	return n;
}

static struct weir_server
server(const char *name)
{
	struct weir_server s;

	servers_default(&s);
	s.name = str_c(name);
	return s;
}

static int
add(const struct generation *n, const char *name)
{
	struct weir_server s = server(name);

	return servers_add(n->g, &s) == SERVERS_OK ? (int)s.id : -1;
}

/* The last bytes of those who are asked, `n` times, sorted; '-': nobody. */
static const char *
asked(const struct generation *gen, unsigned n, enum weir_outcome how)
{
	static char seen[64];

	for (unsigned i = 0; i < n; i++) {
		struct weir_pick p;
		struct weir_peer *q;
		unsigned at = i;
		char c = '-';

		pick_init(&p, gen->g, NULL, NULL);
		if ((q = pick_next(&p)) != NULL) {
			c = q->text.p[q->text.n - 4];
			pick_done(&p, how);
		}
		for (; at > 0 && seen[at - 1] > c; at--)
			seen[at] = seen[at - 1];
		seen[at] = c;
	}
	seen[n] = '\0';
	return seen;
}

static struct weir_servers
list(const struct generation *n)
{
	struct weir_servers all;

	servers_list(n->g, n->pool, &all);
	return all;
}

static void
test_come_and_go(void **state)
{
	struct generation n = opened("12", NULL);
	struct weir_server s;
	struct weir_pick p;
	struct weir_peer *q;

	(void)state;
	assert_int_equal(n.g->tiers[0].room, 2 + SPARES - SPARES / 4);
	assert_int_equal(n.g->n_tiers, 2);
	assert_string_equal(asked(&n, 4, WENT_WELL), "1122");
	assert_int_equal(n.g->tiers[0].n, 2);
	assert_int_equal(add(&n, "127.0.0.3:80"), 2);
	assert_string_equal(asked(&n, 6, WENT_WELL), "112233");
	assert_int_equal(n.g->tiers[0].n, 3);
	assert_int_equal(servers_remove(n.g, 0), SERVERS_OK);
	assert_int_equal(servers_remove(n.g, 0), SERVERS_UNKNOWN);
	assert_string_equal(asked(&n, 4, WENT_WELL), "2233");
	/* the place of who is not through yet is nobody else's */
	pick_init(&p, n.g, NULL, NULL);
	while ((q = pick_next(&p)) != NULL && q->number != 2)
		pick_done(&p, WENT_WELL);
	assert_non_null(q);
	assert_int_equal(servers_remove(n.g, 2), SERVERS_OK);
	assert_int_equal(list(&n).zombies, 1);
	assert_int_equal(add(&n, "127.0.0.4:80"), 3);
	assert_str(q->text, "127.0.0.3:80");
	assert_string_equal(asked(&n, 4, WENT_WELL), "2244");
	pick_done(&p, WENT_WELL);
	assert_int_equal(list(&n).zombies, 0);
	assert_int_equal(add(&n, "127.0.0.5:80"), 4);
	assert_string_equal(asked(&n, 3, WENT_WELL), "245");
	assert_str(q->text, "127.0.0.5:80");		/* now it is */
	/* a backup */
	s = server("[::1]:80");
	s.backup = true;
	assert_int_equal(servers_add(n.g, &s), SERVERS_OK);
	assert_string_equal(asked(&n, 3, WENT_WELL), "245");
	for (uint32_t id = 0; id < 5; id++)
		(void)!servers_remove(n.g, id);
	assert_int_equal(list(&n).n, 1);
	assert_true(list(&n).v[0].backup);
	assert_string_equal(asked(&n, 1, WENT_WELL), "]");
	assert_int_equal(servers_remove(n.g, s.id), SERVERS_OK);
	assert_string_equal(asked(&n, 1, WENT_WELL), "-");
	pool_free(n.pool);
}

static void
test_numbers(void **state)
{
	struct generation n = opened("12", NULL);
	struct weir_server s = { .id = 1, .set = SET_WEIGHT, .weight = 3 };

	(void)state;
	weir_now_ms = 100000;
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	assert_string_equal(asked(&n, 4, WENT_WELL), "1222");
	assert_int_equal(n.g->tiers[0].total, 4);
	s = (struct weir_server){ .id = 1, .set = SET_DRAIN, .drain = true };
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	assert_int_equal(list(&n).v[1].state, SERVER_DRAINING);
	assert_string_equal(asked(&n, 2, WENT_WELL), "11");
	s.drain = false;
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	s = (struct weir_server){ .id = 0, .set = SET_DOWN, .down = true };
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	assert_string_equal(asked(&n, 2, WENT_WELL), "22");
	s.down = false;
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	/* who has failed comes back when failures do not count any more */
	while (list(&n).v[0].state != SERVER_UNAVAILABLE)
		(void)asked(&n, 1, WENT_BADLY);
	assert_int_equal(list(&n).v[0].outages, 1);
	s = (struct weir_server){ .id = 0, .set = SET_MAX_FAILS, .max_fails = 0 };
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	assert_int_equal(list(&n).v[0].state, SERVER_UP);
	/* slow_start, where nobody had one: everything is counted in finer steps */
	s = (struct weir_server){ .id = 0, .set = SET_SLOW_START | SET_DOWN, .slow_start_ms = 60000, .down = true };
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	s = (struct weir_server){ .id = 0, .set = SET_DOWN | SET_WEIGHT, .down = false, .weight = 3 };
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	weir_now_ms += 20000;				/* the other one's fail_timeout is over */
	(void)asked(&n, 8, WENT_WELL);
	weir_now_ms -= 20000;
	assert_true(strchr(asked(&n, 3, WENT_WELL), '1') == NULL);
	weir_now_ms += 100000;
	assert_string_equal(asked(&n, 6, WENT_WELL), "111222");
	pool_free(n.pool);
}

static void
test_refused(void **state)
{
	static const struct { const char *name; enum server_error e; } bad[] = {
		{ "", SERVERS_ADDRESS }, { "1.2.3.4:0", SERVERS_ADDRESS }, { "1.2.3.4:x", SERVERS_ADDRESS },
		{ ":80", SERVERS_ADDRESS }, { "0.0.0.0:80", SERVERS_ADDRESS }, { "name", SERVERS_NAME },
		{ "name.test:8", SERVERS_NAME }, { "unix:", SERVERS_ADDRESS }, { "unix:/a b", SERVERS_ADDRESS },
		{ "unix:/a;", SERVERS_ADDRESS }, { "1.2.3.4:80\n", SERVERS_ADDRESS },
	};
	struct generation n = opened("1", NULL);
	struct weir_server s;

	(void)state;
	for (unsigned i = 0; i < WEIR_COUNT(bad); i++) {
		s = server(bad[i].name);
		assert_int_equal(servers_add(n.g, &s), bad[i].e);
		assert_true(strlen(servers_error(bad[i].e)) > 10);
	}
	s = server("1.2.3.4:80");
	s.weight = 65536;
	assert_int_equal(servers_add(n.g, &s), SERVERS_WEIGHT);
	s.weight = 1;
	s.route = STR("a\"b");
	assert_int_equal(servers_add(n.g, &s), SERVERS_ROUTE);
	s.route = STR("");
	s.max_conns = 1000001;
	assert_int_equal(servers_add(n.g, &s), SERVERS_CONNS);
	s.max_conns = 0;
	s.max_fails = 1000001;
	assert_int_equal(servers_add(n.g, &s), SERVERS_FAILS);
	assert_int_equal(list(&n).n, 1);
	assert_int_equal(list(&n).changes, 0);
	for (unsigned i = 0; i < SPARES - SPARES / 4; i++)
		assert_true(add(&n, "unix:/x") >= 0);
	s = server("1.2.3.4:80");
	assert_int_equal(servers_add(n.g, &s), SERVERS_FULL);
	n.g->moves = false;
	assert_int_equal(servers_add(n.g, &s), SERVERS_STATIC);
	pool_free(n.pool);
}

/* Keys go to who has come, and the others stay where they were. */
static void
test_ring(void **state)
{
	struct generation n;
	struct weir_server s;
	int id;

	(void)state;
	balancer = &lb_hash_consistent;
	n = opened("12", NULL);
	(void)asked(&n, 1, WENT_WELL);
	assert_int_equal(n.g->tiers[0].total, 2);
	id = add(&n, "127.0.0.3:80");
	(void)asked(&n, 1, WENT_WELL);
	assert_non_null(n.g->points_pool);
	assert_int_equal(n.g->tiers[0].total, 3);
	s = (struct weir_server){ .id = (uint32_t)id, .set = SET_WEIGHT, .weight = 65535 };
	assert_int_equal(servers_change(n.g, &s), SERVERS_OK);
	s.id = 0;
	assert_int_equal(servers_change(n.g, &s), SERVERS_WEIGHTS);
	s = server("127.0.0.3:80");
	s.slow_start_ms = 1;
	assert_int_equal(servers_add(n.g, &s), SERVERS_WARM);
	s = server("127.0.0.3:80");
	s.backup = true;
	assert_int_equal(servers_add(n.g, &s), SERVERS_BACKUP);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(servers_remove(n.g, i), SERVERS_OK);
	assert_string_equal(asked(&n, 1, WENT_WELL), "-");
	assert_true(add(&n, "127.0.0.4:80") >= 0);
	assert_string_equal(asked(&n, 1, WENT_WELL), "4");
	pool_free(n.pool);
	balancer = &lb_round_robin;
}

static struct generation shared_gen;

static void
in_another_process(void)
{
	share_forked();
	MUST(strcmp(asked(&shared_gen, 4, WENT_WELL), "2233") == 0);
	MUST(add(&shared_gen, "127.0.0.7:80") >= 0);
	raise(SIGKILL);
}

static void
test_workers(void **state)
{
	char text[1000];

	(void)state;
	shared_gen = opened("12", NULL);
	assert_int_equal(servers_remove(shared_gen.g, 0), SERVERS_OK);
	assert_true(add(&shared_gen, "127.0.0.3:80") >= 0);
	assert_int_equal(WTERMSIG(child_run(in_another_process, text, sizeof text)), SIGKILL);
	assert_string_equal(asked(&shared_gen, 6, WENT_WELL), "223377");
	pool_free(shared_gen.pool);
}

static void
dies_in_a_change(void)
{
	share_forked();
	MUST(share_lock_current(shared_gen.g) == WEIR_OK);
	block_out(shared_gen.g, 1, OUT_VACANT);
	raise(SIGKILL);
}

/* Half a change: nobody is stuck, and all know who is there. */
static void
test_crash(void **state)
{
	char text[1000];

	(void)state;
	shared_gen = opened("123", NULL);
	assert_string_equal(asked(&shared_gen, 3, WENT_WELL), "123");
	assert_int_equal(WTERMSIG(child_run(dies_in_a_change, text, sizeof text)), SIGKILL);
	assert_string_equal(asked(&shared_gen, 4, WENT_WELL), "1133");
	assert_int_equal(list(&shared_gen).n, 2);
	assert_int_equal(shared_gen.g->tiers[0].total, 2);
	assert_true(add(&shared_gen, "127.0.0.4:80") >= 0);
	assert_string_equal(asked(&shared_gen, 3, WENT_WELL), "134");
	pool_free(shared_gen.pool);
}

static void
test_reload(void **state)
{
	struct generation a = opened("12", NULL), b, c;
	struct weir_server s = { .id = 1, .set = SET_WEIGHT, .weight = 3 };
	struct weir_pick p;

	(void)state;
	weir_now_ms = 1000000;
	assert_int_equal(servers_change(a.g, &s), SERVERS_OK);
	assert_int_equal(add(&a, "127.0.0.3:80"), 2);
	assert_int_equal(servers_remove(a.g, 0), SERVERS_OK);
	pick_init(&p, a.g, NULL, NULL);
	assert_non_null(pick_next(&p));
	/* while it reads */
	servers_freeze(a.g);
	assert_int_equal(servers_change(a.g, &s), SERVERS_BUSY);
	servers_thaw(a.g);
	assert_int_equal(servers_change(a.g, &s), SERVERS_OK);
	servers_freeze(a.g);
	weir_now_ms += 60000;
	assert_int_equal(servers_change(a.g, &s), SERVERS_OK);	/* it must be dead */
	weir_now_ms -= 60000;
	/* the configuration has 3 as well, and counts */
	b = opened("123", &a);
	assert_int_equal(list(&b).n, 3);
	assert_int_equal(list(&b).v[1].weight, 1);
	assert_int_equal(list(&b).v[2].id, 2);
	assert_int_equal(list(&b).v[0].id, 0);
	assert_int_equal(list(&b).v[0].active + list(&b).v[1].active + list(&b).v[2].active, 1);
	assert_int_equal(servers_change(a.g, &s), SERVERS_BUSY);
	assert_int_equal(servers_remove(a.g, 2), SERVERS_BUSY);
	assert_int_equal(add(&b, "127.0.0.4:80"), 3);
	/* it has failed: the old one goes on */
	pool_free(b.pool);
	assert_int_equal(servers_change(a.g, &s), SERVERS_OK);
	c = opened("12", &a);
	assert_ptr_not_equal(c.g->block, a.g->block);
	pick_done(&p, WENT_WELL);
	pool_free(a.pool);
	/* nothing was changed: the same block */
	a = opened("12", &c);
	assert_ptr_equal(a.g->block, c.g->block);
	assert_int_equal(list(&a).v[0].active + list(&a).v[1].active, 0);
	pool_free(a.pool);
	pool_free(c.pool);
}

static struct weir_str
content(struct weir_pool *pool, const char *path)
{
	char *p = pool_zalloc(pool, 4096);
	FILE *f = fopen(path, "r");
	size_t n;

	assert_non_null(f);
	n = fread(p, 1, 4096, f);
	fclose(f);
	return str_of(p, n);
}

static void
test_save(void **state)
{
	char dir[] = "/tmp/weir-unit-XXXXXX", path[64], none[64];
	struct generation a = opened("12", NULL), b;
	struct weir_server s = server("unix:/run/x");

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/state", dir);
	snprintf(none, sizeof none, "%s/none/state", dir);
	assert_int_equal(servers_save(a.g, none), WEIR_OK);	/* there is nothing to write */
	s.weight = 7;
	s.max_conns = 1;
	s.max_fails = 0;
	s.fail_timeout_ms = 1;
	s.slow_start_ms = 2000;
	s.slow_start_min = 20;
	s.route = STR("r");
	s.backup = s.down = s.drain = true;
	assert_int_equal(servers_add(a.g, &s), SERVERS_OK);
	assert_int_equal(servers_save(a.g, none), WEIR_FAIL);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(servers_save(a.g, path), WEIR_OK);
	assert_str(content(a.pool, path), "# Servers of upstream g.  Written when they are changed at run time.\n"
	    "server 127.0.0.1:80;\nserver 127.0.0.2:80;\n"
	    "server unix:/run/x weight=7 max_conns=1 max_fails=0 fail_timeout=1ms slow_start=2s slow_start_min=20% "
	    "route=r backup down drain;\n");
	unlink(path);
	assert_int_equal(servers_save(a.g, path), WEIR_OK);	/* nothing new */
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(servers_remove(a.g, 0), SERVERS_OK);
	b = opened("12", &a);
	assert_int_equal(servers_save(a.g, path), WEIR_OK);	/* that is the next one's now */
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(servers_remove(b.g, 1), SERVERS_OK);
	assert_int_equal(servers_save(b.g, path), WEIR_OK);
	assert_str(content(b.pool, path), "# Servers of upstream g.  Written when they are changed at run time.\n"
	    "server 127.0.0.1:80;\n");
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	pool_free(a.pool);
	pool_free(b.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_come_and_go),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_workers),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_save),
	};

	return RUN(tests);
}
