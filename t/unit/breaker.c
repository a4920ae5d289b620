/* unit: src/core/peer/share.c */
/* unit: src/core/peer/group_conf.c */
#include <stdio.h>

#include "child.h"
#include "unit.h"

#include "core/base/clock.h"
#include "core/os/shmap.h"
#include "core/peer/group_conf.c"
#include "core/peer/share.c"

enum { WORKERS = 6 };

static struct weir_log quiet;
static struct weir_pool *pool;
static struct weir_group *group;
static uint64_t now;

/* ---- groups ---- */

static struct weir_breaker
standard(void)
{
	return (struct weir_breaker){ .failures = 5, .half_open = 3, .success = 2, .open_ms = 30000, .max_open_ms = 30000,
		.window_ms = 10000, .min = 20, .on = 1u << TROUBLE_ERROR | 1u << TROUBLE_TIMEOUT | 1u << TROUBLE_STATUS,
		.statuses = { [503 / 64] = 1ull << (503 % 64) } };
}

static struct weir_group *
group_new(struct weir_pool *to, const char *names, struct weir_breaker br)
{
	struct weir_group *g = POOL_NEW(to, weir_group);

	g->name = STR("g");
	g->n = (unsigned)strlen(names);
	g->balancer = &lb_round_robin;
	g->breaker = pool_dup(to, &br, sizeof br);
	g->peers = pool_zalloc(to, g->n * sizeof *g->peers);
	for (unsigned i = 0; i < g->n; i++) {
		struct weir_peer *p = &g->peers[i];

		server_fill(to, p, &(struct weir_addr){ .sa.sa_family = AF_INET },
		    pool_printf(to, "127.0.0.%u:80", (unsigned)names[i]));
		p->text = p->name;
		p->max_fails = 0;
	}
	return g;
}

static void
make(const char *names, struct weir_breaker br)
{
	group = group_new(pool, names, br);
	assert_int_equal(settle_group(&(struct weir_conf){ .pool = pool }, group), WEIR_OK);
	weir_now_ms = now = 1000000;
}

/* Writing to the log may move the clock. */
static int
begin(struct weir_pick *p)
{
	struct weir_peer *q;

	weir_now_ms = now;
	pick_init(p, group, pool, NULL);
	q = pick_next(p);
	return q != NULL ? (int)q->number : -1;
}

static void
end(struct weir_pick *p, enum weir_outcome how)
{
	weir_now_ms = now;
	pick_done(p, how);
}

static int
one(enum weir_outcome how)
{
	struct weir_pick p;
	int i = begin(&p);

	end(&p, how);
	return i;
}

static void
some(int n, enum weir_outcome how)
{
	while (n-- > 0)
		assert_int_equal(one(how), 0);
}

static struct weir_circuit *
circuit(unsigned i)
{
	return breaker_circuit(group->block, i);
}

#define assert_state(i, what)	assert_int_equal(circuit(i)->state, CIRCUIT_##what)

/* ---- in one process ---- */

static void
test_row(void **state)
{
	(void)state;
	make("a", standard());
	some(4, WENT_BADLY);
	some(1, WENT_WELL);
	some(4, WENT_BADLY);
	some(3, WENT_NOWHERE);
	assert_state(0, CLOSED);
	some(1, WENT_BADLY);
	assert_state(0, OPEN);
	assert_int_equal(one(WENT_WELL), -1);
	now += 29999;
	assert_int_equal(one(WENT_WELL), -1);
	now += 1;
	some(1, WENT_WELL);
	assert_state(0, HALF_OPEN);
	some(1, WENT_WELL);
	assert_state(0, CLOSED);
	assert_int_equal(group->block->tripped, 0);
	some(4, WENT_BADLY);
	assert_state(0, CLOSED);
}

static void
trip(void)
{
	some((int)group->breaker->failures, WENT_BADLY);
	assert_state(0, OPEN);
}

/* As many trials as there may be, not one more; each place is given back, however it went. */
static void
test_trials(void **state)
{
	struct weir_pick p[4];

	(void)state;
	make("a", standard());
	trip();
	now += 30000;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(begin(&p[i]), 0);
		assert_int_equal(begin(&p[3]), -1);
		assert_true(pick_is_open(&p[3], true));
		assert_str(pick_why(&p[3], pool), "127.0.0.97:80 has a half-open circuit and is being tried");
		for (int i = 0; i < 3; i++)
			end(&p[i], WENT_NOWHERE);
		assert_state(0, HALF_OPEN);
		assert_int_equal(circuit(0)->trials, 0);
	}
	for (int i = 0; i < 3; i++)
		begin(&p[i]);
	end(&p[0], WENT_WELL);
	end(&p[1], WENT_BADLY);
	assert_state(0, OPEN);
	assert_int_equal(begin(&p[3]), -1);
	assert_str(pick_why(&p[3], pool), "127.0.0.97:80 has an open circuit");
	end(&p[2], WENT_WELL);			/* it began before */
	assert_int_equal(circuit(0)->trials, 0);
	assert_int_equal(circuit(0)->streak, 0);
}

/* Trials that outlive their half-open circuit still take their places. */
static void
test_old_trials(void **state)
{
	struct weir_pick p[4];

	(void)state;
	make("a", standard());
	trip();
	now += 30000;
	for (int i = 0; i < 3; i++)
		begin(&p[i]);
	end(&p[0], WENT_BADLY);
	now += 30000;
	assert_int_equal(begin(&p[0]), 0);
	assert_int_equal(begin(&p[3]), -1);
	end(&p[1], WENT_WELL);
	end(&p[2], WENT_BADLY);
	assert_state(0, HALF_OPEN);		/* they say nothing of it */
	assert_int_equal(circuit(0)->streak, 0);
	end(&p[0], WENT_WELL);
	some(1, WENT_WELL);
	assert_state(0, CLOSED);
}

/* A good head is enough for a trial: what follows may never end. */
static void
test_heads(void **state)
{
	struct weir_pick p[3], q;

	(void)state;
	make("a", standard());
	group->breaker->success = 4;
	trip();
	now += 30000;
	for (int i = 0; i < 3; i++) {
		begin(&p[i]);
		pick_answer(&p[i], 200, 1);
		assert_int_equal(circuit(0)->trials, 0);
	}
	assert_int_equal(circuit(0)->streak, 3);
	end(&p[0], WENT_WELL);			/* it was counted */
	assert_int_equal(circuit(0)->streak, 3);
	pick_trouble(&p[1], TROUBLE_ERROR, "cut");
	end(&p[1], WENT_NOWHERE);
	assert_state(0, OPEN);
	now += 30000;
	begin(&q);
	pick_answer(&q, 503, 1);		/* known with the head */
	assert_state(0, OPEN);
	assert_int_equal(circuit(0)->trials, 0);
	end(&q, WENT_WELL);
	end(&p[2], WENT_WELL);
	assert_int_equal(circuit(0)->trips, 3);
}

static void
answer(int status, uint64_t ms)
{
	struct weir_pick p;

	assert_int_equal(begin(&p), 0);
	pick_heard(&p, ms);
	pick_answer(&p, status, ms);
	end(&p, WENT_WELL);
}

static void
trouble(enum weir_trouble what)
{
	struct weir_pick p;

	assert_int_equal(begin(&p), 0);
	pick_trouble(&p, what, "why");
	end(&p, WENT_BADLY);
}

static void
leave(uint64_t ms)
{
	struct weir_pick p;

	assert_int_equal(begin(&p), 0);
	pick_left(&p, ms);
	end(&p, WENT_NOWHERE);
}

static void
test_classes(void **state)
{
	struct weir_pick p;

	(void)state;
	make("a", standard());
	group->breaker->slow_ms = 100;
	answer(503, 1);
	assert_int_equal(circuit(0)->streak, 1);
	trouble(TROUBLE_TIMEOUT);
	assert_int_equal(circuit(0)->streak, 2);
	trouble(TROUBLE_INVALID);		/* not listed: neither */
	assert_int_equal(circuit(0)->streak, 2);
	answer(200, 101);
	assert_int_equal(circuit(0)->streak, 3);
	leave(101);
	assert_int_equal(circuit(0)->streak, 4);
	leave(100);
	assert_int_equal(circuit(0)->streak, 4);
	begin(&p);
	pick_heard(&p, 1);
	pick_answer(&p, 200, 1);
	pick_left(&p, 5000);			/* there was a head */
	end(&p, WENT_NOWHERE);
	assert_int_equal(circuit(0)->streak, 4);
	answer(500, 100);			/* not listed: a success */
	assert_int_equal(circuit(0)->streak, 0);
	begin(&p);
	pick_answer(&p, 500, 1);
	end(&p, WENT_BADLY);			/* another server was asked, and max_fails counts it */
	assert_int_equal(circuit(0)->streak, 0);
	answer(999, 1);
	answer(-1, 1);
	assert_int_equal(circuit(0)->streak, 0);
	group->breaker->slow_ms = 0;
	answer(200, 1000000);
	leave(1000000);
	assert_int_equal(circuit(0)->streak, 0);
}

static struct weir_breaker
by_rate(void)
{
	struct weir_breaker br = standard();

	br.failures = 0;
	br.rate = 50;
	return br;
}

static void
test_rate(void **state)
{
	(void)state;
	make("a", by_rate());
	some(19, WENT_BADLY);
	assert_state(0, CLOSED);		/* too few */
	now += 10000;
	some(10, WENT_WELL);			/* the others are forgotten */
	some(9, WENT_BADLY);
	assert_state(0, CLOSED);
	some(1, WENT_BADLY);
	assert_state(0, OPEN);
	make("a", by_rate());
	some(12, WENT_BADLY);
	some(7, WENT_WELL);
	assert_state(0, CLOSED);
	some(1, WENT_WELL);			/* enough to judge */
	assert_state(0, OPEN);
}

/* Step by step, over many windows: never more than what a window holds is seen. */
static void
test_window(void **state)
{
	uint32_t all = 0;

	(void)state;
	make("a", by_rate());
	for (int i = 0; i < 200; i++) {
		some(1, i % 20 < 8 ? WENT_BADLY : WENT_WELL);
		all = 0;
		for (int k = 0; k < CIRCUIT_STEPS; k++)
			all += circuit(0)->seen[k].all;
		assert_in_range(all, WEIR_MIN(i + 1, 19), 20);
		now += 500;
	}
	assert_state(0, CLOSED);
	for (int i = 0; i < 20 && circuit(0)->state == CIRCUIT_CLOSED; i++, now += 500)
		some(1, WENT_BADLY);
	assert_state(0, OPEN);
}

static void
test_growth(void **state)
{
	static const uint64_t want[] = { 10000, 20000, 40000, 50000, 50000 };
	struct weir_breaker br = standard();

	(void)state;
	br.open_ms = 10000;
	br.max_open_ms = 50000;
	make("a", br);
	trip();
	for (unsigned i = 0; i < WEIR_COUNT(want); i++) {
		now += want[i] - 1;
		assert_int_equal(one(WENT_WELL), -1);
		now++;
		some(1, WENT_BADLY);
		assert_state(0, OPEN);
	}
	for (int i = 0; i < 100; i++) {
		now += 50000;
		some(1, WENT_BADLY);		/* no overflow */
	}
	now += 50000;
	some(2, WENT_WELL);
	assert_state(0, CLOSED);
	trip();
	now += 10000;				/* as in the beginning */
	some(1, WENT_WELL);
}

/* A clock that goes back neither opens nor closes anything, and nothing is lost for longer than it went back. */
static void
test_clock(void **state)
{
	(void)state;
	make("a", standard());
	trip();
	now -= 900000;
	assert_int_equal(one(WENT_WELL), -1);
	assert_state(0, OPEN);
	now += 929999;
	assert_int_equal(one(WENT_WELL), -1);
	now++;
	some(2, WENT_WELL);
	assert_state(0, CLOSED);
	make("a", by_rate());
	some(10, WENT_BADLY);
	now -= 5000;
	some(5, WENT_WELL);
	some(5, WENT_WELL);			/* which still belong to the ten */
	assert_state(0, OPEN);
	make("a", by_rate());
	some(10, WENT_BADLY);
	now -= 900000;				/* too far: a window of its own */
	some(19, WENT_WELL);
	assert_state(0, CLOSED);
	some(19, WENT_BADLY);
	assert_state(0, OPEN);
}

/* The next one is asked at once; with nobody left that is known. */
static void
test_others(void **state)
{
	struct weir_pick p;

	(void)state;
	make("ab", standard());
	for (int i = 0; i < 10; i++) {
		int who = begin(&p);

		end(&p, who == 0 ? WENT_BADLY : WENT_WELL);
	}
	assert_state(0, OPEN);
	assert_state(1, CLOSED);
	for (int i = 0; i < 8; i++)
		assert_int_equal(one(WENT_WELL), 1);
	block_out(group, 1, OUT_FULL);
	assert_int_equal(begin(&p), -1);
	assert_true(pick_is_open(&p, false));
	assert_false(pick_is_open(&p, true));
	assert_str(pick_why(&p, pool), "127.0.0.97:80 has an open circuit, 127.0.0.98:80 has max_conns connections");
	block_in(group, 1, OUT_FULL);
	assert_int_equal(begin(&p), 1);
	end(&p, WENT_WELL);
	assert_false(pick_is_open(&p, false));	/* one was tried */
}

/* max_fails has its own opinion, and both must agree. */
static void
test_max_fails(void **state)
{
	struct weir_pick p;

	(void)state;
	group = group_new(pool, "ab", standard());
	group->peers[0].max_fails = 1;
	group->peers[0].fail_timeout_ms = 100000;
	group->breaker->failures = 2;
	group->peers[1].down = true;
	assert_int_equal(settle_group(&(struct weir_conf){ .pool = pool }, group), WEIR_OK);
	now = 1000000;
	some(1, WENT_BADLY);
	assert_state(0, CLOSED);
	assert_int_equal(begin(&p), -1);
	assert_str(pick_why(&p, pool), "127.0.0.97:80 has failed, 127.0.0.98:80 is down");
	assert_false(pick_is_open(&p, false));
	now += 100001;
	some(1, WENT_BADLY);
	assert_state(0, OPEN);
	now += 30000;
	assert_int_equal(begin(&p), -1);
	assert_state(0, HALF_OPEN);
	assert_str(pick_why(&p, pool), "127.0.0.97:80 has failed, 127.0.0.98:80 is down");
	now += 70001;
	some(2, WENT_WELL);
	assert_state(0, CLOSED);
}

/* More than one choice can log. */
static void
test_many(void **state)
{
	char names[51];
	unsigned half = 0;

	(void)state;
	memset(names, 'a', 50);
	names[50] = '\0';
	make(names, standard());
	group->breaker->failures = 1;
	for (int i = 0; i < 50; i++)
		assert_true(one(WENT_BADLY) >= 0);
	assert_int_equal(group->block->tripped, 50);
	assert_int_equal(one(WENT_WELL), -1);
	now += 30000;
	for (int i = 0; i < 4; i++)
		assert_true(one(WENT_NOWHERE) >= 0);
	for (unsigned i = 0; i < 50; i++)
		half += circuit(i)->state == CIRCUIT_HALF_OPEN;
	assert_int_equal(half, 50);
}

/* Another server in its place begins anew; slow_start follows a circuit that was closed. */
static void
test_places(void **state)
{
	struct weir_pick p, q;

	(void)state;
	group = group_new(pool, "a", standard());
	group->peers[0].warm_ms = 100000;
	group->peers[0].warm_min = 10;
	assert_int_equal(settle_group(&(struct weir_conf){ .pool = pool }, group), WEIR_OK);
	now = 1000000;
	begin(&p);
	trip();
	now += 30000;
	begin(&q);
	block_renew(group, 0);
	assert_state(0, CLOSED);
	assert_int_equal(circuit(0)->trials, 1);
	end(&q, WENT_BADLY);
	end(&p, WENT_BADLY);
	assert_int_equal(circuit(0)->streak, 0);
	assert_int_equal(circuit(0)->trials, 0);
	block_state(group->block, 0)->warm_from_ms = 0;
	trip();
	block_out(group, 0, OUT_VACANT);
	now += 30000;
	assert_int_equal(one(WENT_WELL), -1);
	assert_state(0, OPEN);			/* nobody is there to be tried */
	block_in(group, 0, OUT_VACANT);
	some(1, WENT_WELL);
	assert_int_equal(block_state(group->block, 0)->warm_from_ms, 0);
	some(1, WENT_WELL);
	assert_int_equal(block_state(group->block, 0)->warm_from_ms, now);
}

/* ---- in several ---- */

struct generation {
	struct weir_pool *pool;
	struct weir_zones *zones;
	struct weir_group *g;
};

static struct breaker_board {		/* what children tell */
	_Atomic unsigned ready, go, picked, refused, done, leave;
} *board;

static struct generation
opened(const char *names, struct weir_breaker br, const struct generation *old)
{
	struct generation n = { .pool = pool_new(0) };
	struct weir_shared *sh;
	const char *why;

	n.zones = zones_new(n.pool);
	n.g = group_new(n.pool, names, br);
	sh = share_declare(n.zones, STR("z"), 65536, &why);
	assert_non_null(sh);
	share_join(sh, n.g);
	assert_int_equal(settle_group(&(struct weir_conf){ .pool = n.pool }, n.g), WEIR_OK);
	assert_int_equal(zones_open(n.zones, old != NULL ? old->zones : NULL, &quiet), WEIR_OK);
	assert_non_null(n.g->shared);
	weir_now_ms = now = 1000000;
	return n;
}

static void
await(_Atomic unsigned *what, unsigned n)
{
	for (int i = 0; *what < n; i++) {
		assert_true(i < 60000);
		usleep(1000);
	}
}

static void
begin_workers(pid_t *pids, void (*work)(void))
{
	memset(board, 0, sizeof *board);
	for (int w = 0; w < WORKERS; w++) {
		pids[w] = fork();
		assert_true(pids[w] >= 0);
		if (pids[w] != 0)
			continue;
		alarm(60);
		share_forked();
		weir_now_ms = now;
		board->ready++;
		while (!board->go)
			;
		work();
		_exit(0);
	}
	await(&board->ready, WORKERS);
	board->go = 1;
}

static void
wait_workers(const pid_t *pids)
{
	for (int w = 0; w < WORKERS; w++) {
		int status;

		assert_int_equal(waitpid(pids[w], &status, 0), pids[w]);
		assert_int_equal(status, 0);
	}
}

static char	log_path[] = "/tmp/weir-breaker-XXXXXX";

static unsigned
logged(const char *what)
{
	FILE *f = fopen(log_path, "r");
	char line[LOG_LINE_MAX + 1];
	unsigned n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL)
		n += strstr(line, what) != NULL;
	fclose(f);
	return n;
}

static void
fail_until_open(void)
{
	struct weir_pick p;

	while (begin(&p) == 0) {
		board->picked++;
		end(&p, WENT_BADLY);
	}
}

static void
ask_many_times(void)
{
	struct weir_pick p[50];
	unsigned mine = 0;

	for (int i = 0; i < 50; i++) {
		if (begin(&p[mine]) == 0) {
			mine++;
			board->picked++;
		} else {
			board->refused++;
		}
	}
	board->done++;
	while (!board->leave)
		usleep(1000);
	while (mine > 0)
		end(&p[--mine], WENT_WELL);
}

/*
 * Six workers fail, and one of them opens the circuit, once; six ask three hundred times at once, and three get
 * through; two good answers close it, once.
 */
static void
test_workers(void **state)
{
	struct weir_breaker br = standard();
	pid_t pids[WORKERS];
	struct generation gen;

	(void)state;
	assert_int_equal(truncate(log_path, 0), 0);
	br.failures = 1000;
	gen = opened("a", br, NULL);
	group = gen.g;
	for (unsigned round = 1; round <= 5; round++) {
		begin_workers(pids, fail_until_open);
		wait_workers(pids);
		assert_in_range(board->picked, 1000, 1000 + WORKERS - 1);
		assert_state(0, OPEN);
		assert_int_equal(logged("closed -> open: 1000 failures in a row, the last: an error"), round);
		assert_int_equal(logged("closed -> open"), round);
		now += 30000;
		begin_workers(pids, ask_many_times);
		await(&board->done, WORKERS);
		assert_int_equal(board->picked, 3);
		assert_int_equal(board->refused, WORKERS * 50 - 3);
		assert_int_equal(circuit(0)->trials, 3);
		assert_int_equal(logged("open -> half-open: its time is over; trials at a time: 3"), round);
		board->leave = 1;
		wait_workers(pids);
		assert_state(0, CLOSED);
		assert_int_equal(circuit(0)->trials, 0);
		assert_int_equal(logged("half-open -> closed: trials that went well: 2"), round);
	}
	assert_int_equal(logged("circuit of upstream server"), 15);
	pool_free(gen.pool);
}

static void
try_and_die(void)
{
	struct weir_pick p;

	share_forked();
	for (int i = 0; i < 3; i++)
		MUST(begin(&p) == 0);
	MUST(begin(&p) == -1);
	raise(SIGKILL);
}

static void
die_in_a_change(void)
{
	struct weir_pick p;

	share_forked();
	MUST(begin(&p) == 0);
	share_lock(group);
	circuit(0)->state = CIRCUIT_OPEN;
	circuit(0)->trials = 77;
	group->block->tripped = 5;
	raise(SIGKILL);
}

static void
test_deaths(void **state)
{
	struct weir_pick p;
	struct generation gen;
	char text[1000];

	(void)state;
	gen = opened("a", standard(), NULL);
	group = gen.g;
	trip();
	now += 30000;
	for (int round = 0; round < 3; round++) {
		one(WENT_NOWHERE);		/* it has just looked who is alive */
		assert_int_equal(WTERMSIG(child_run(try_and_die, text, sizeof text)), SIGKILL);
		assert_int_equal(circuit(0)->trials, 3);
		assert_int_equal(begin(&p), -1);
		now += 2000;			/* somebody looks */
		assert_int_equal(begin(&p), 0);
		assert_int_equal(circuit(0)->trials, 1);
		end(&p, WENT_NOWHERE);
	}
	assert_int_equal(WTERMSIG(child_run(die_in_a_change, text, sizeof text)), SIGKILL);
	now += 2000;
	assert_int_equal(begin(&p), -1);	/* that state holds, wholly */
	assert_int_equal(circuit(0)->trials, 0);
	assert_int_equal(group->block->tripped, 1);
	assert_true(block_state(group->block, 0)->out & OUT_OPEN);
	now += 30000;
	some(2, WENT_WELL);
	assert_state(0, CLOSED);
	assert_int_equal(block_state(group->block, 0)->out, 0);
	pool_free(gen.pool);
}

/* A process without a slot: if it died nobody would notice, so it does not try servers. */
static void
test_no_slot(void **state)
{
	struct weir_pick p;
	struct generation gen;
	struct mine *m;
	int slot;

	(void)state;
	gen = opened("ab", standard(), NULL);
	group = gen.g;
	for (int i = 0; i < 10; i++) {
		int who = begin(&p);

		end(&p, who == 0 ? WENT_BADLY : WENT_WELL);
	}
	now += 30000;
	m = mine_of(group->shared->area);
	slot = group->shared->slot;
	group->shared->slot = m->slot = -1;
	for (int i = 0; i < 6; i++)
		assert_int_equal(one(WENT_WELL), 1);
	assert_state(0, OPEN);
	group->shared->slot = m->slot = slot;
	for (int i = 0; i < 2 && begin(&p) != 0; i++)
		end(&p, WENT_WELL);
	assert_state(0, HALF_OPEN);
	assert_int_equal(circuit(0)->trials, 1);
	group->shared->slot = m->slot = -1;
	for (int i = 0; i < 6; i++)
		assert_int_equal(one(WENT_WELL), 1);
	group->shared->slot = m->slot = slot;
	end(&p, WENT_WELL);
	for (int i = 0; i < 2; i++)
		assert_true(one(WENT_WELL) >= 0);
	assert_state(0, CLOSED);
	pool_free(gen.pool);
}

/* Another configuration: circuits of servers that stay are as they were, and trials of the old one count. */
static void
test_reload(void **state)
{
	struct generation a, b, c;
	struct weir_pick p[3], q;
	struct weir_breaker br = standard();

	(void)state;
	a = opened("a", br, NULL);
	group = a.g;
	trip();
	br.half_open = 1;
	b = opened("a", br, &a);		/* other numbers, the same block */
	assert_ptr_equal(b.g->block, a.g->block);
	now += 30000;
	for (int i = 0; i < 2; i++)
		assert_int_equal(begin(&p[i]), 0);
	br.half_open = 3;
	c = opened("ba", br, &b);
	assert_ptr_not_equal(c.g->block, a.g->block);
	assert_int_equal(begin(&q), -1);	/* now that is the heir's */
	group = c.g;
	assert_state(1, HALF_OPEN);
	assert_state(0, CLOSED);
	assert_int_equal(circuit(1)->trials, 2);
	for (int i = 0; i < 4; i++) {
		int who = begin(&q);

		if (who == 1)
			p[2] = q;
		else
			end(&q, WENT_WELL);
	}
	assert_int_equal(circuit(1)->trials, 3);
	end(&p[0], WENT_WELL);
	assert_int_equal(circuit(1)->trials, 2);
	assert_int_equal(circuit(1)->streak, 0);	/* it told its own block */
	end(&p[2], WENT_WELL);
	end(&p[1], WENT_NOWHERE);
	assert_int_equal(circuit(1)->trials, 0);
	pool_free(a.pool);
	pool_free(b.pool);
	a = c;
	b.g = group_new(pool, "ba", br);
	assert_state(1, HALF_OPEN);
	pool_free(c.pool);
}

static void
take_trial_of_old(void)
{
	struct weir_pick p;

	share_forked();
	MUST(begin(&p) == 0);
	board->ready = 1;
	while (!board->go)
		usleep(1000);
	raise(SIGKILL);
}

/* A worker of the old generation dies with a trial: the heir learns it. */
static void
test_reload_death(void **state)
{
	struct generation a, b;
	struct weir_pick p;
	pid_t pid;
	int status;

	(void)state;
	memset(board, 0, sizeof *board);
	a = opened("a", standard(), NULL);
	a.g->breaker->half_open = 1;
	group = a.g;
	trip();
	now += 30000;
	pid = fork();
	if (pid == 0) {
		take_trial_of_old();
		_exit(1);
	}
	await(&board->ready, 1);
	b = opened("ab", standard(), &a);
	b.g->breaker->half_open = 1;
	group = b.g;
	now += 30000;
	assert_int_equal(circuit(0)->trials, 1);
	board->go = 1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	now += 2000;
	for (int i = 0; i < 4; i++) {
		begin(&p);
		end(&p, WENT_WELL);
	}
	assert_state(0, CLOSED);
	assert_int_equal(circuit(0)->trials, 0);
	pool_free(a.pool);
	pool_free(b.pool);
}

static int
set_up(void **state)
{
	struct weir_log_file *f;
	int fd = mkstemp(log_path);

	(void)state;
	pool = pool_new(0);
	board = shmap_new(4096, "board");
	if (fd < 0)
		return -1;
	close(fd);
	f = log_file_for(NULL, log_path);
	weir_log = &quiet;
	log_add(pool, weir_log, f, LOG_NOTICE_);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(log_path);
	shmap_free(board, 4096);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row), cmocka_unit_test(test_trials), cmocka_unit_test(test_old_trials),
		cmocka_unit_test(test_heads), cmocka_unit_test(test_classes), cmocka_unit_test(test_rate),
		cmocka_unit_test(test_window), cmocka_unit_test(test_growth), cmocka_unit_test(test_clock),
		cmocka_unit_test(test_others), cmocka_unit_test(test_max_fails), cmocka_unit_test(test_many),
		cmocka_unit_test(test_places), cmocka_unit_test(test_workers), cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_no_slot), cmocka_unit_test(test_reload), cmocka_unit_test(test_reload_death),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
