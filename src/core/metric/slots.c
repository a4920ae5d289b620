/*
 * slots.c - the memory: slots, the past, sums.
 *
 *	head	places: where the cells of which series are
 *		owners: whose slot this is
 *	past	what processes counted that are no more
 *	slots	one for each process; pages that nobody wrote take no memory
 *
 * Two masters, before and after a change of the binary, use it at once: places and slots are taken by compare and
 * swap, the past is added to atomically.  Who reads while something moves from a slot to the past sees `begun` and
 * `ended` differ, and reads again.
 *
 * A place is never given up, so the cells of a series are the same for all generations.
 */
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/metric/registry.h"

enum {
	CELLS		= 16384,	/* of a slot; the first METRIC_WIDTH_MAX are nobody's */
	PLACES		= 4096,		/* a power of two */
	SLOTS		= 512,
	TRIES		= 1000,
	VERSION		= 1
};

enum { PLACE_FREE, PLACE_TAKEN, PLACE_READY };
enum { CELL_FREE, CELL_COUNTER, CELL_GAUGE };

struct place {
	_Atomic uint32_t state;
	uint32_t	 cell, width, held;
	uint64_t	 id[2];
};

struct owner {
	_Atomic int32_t	 master;	/* 0: free */
	_Atomic int32_t	 pid;		/* 0: not known yet */
};

struct memory {
	_Atomic uint64_t since;
	_Atomic uint32_t begun, ended;	/* moves to the past */
	_Atomic uint32_t used;		/* slots that were ever taken */
	_Atomic uint32_t cells;		/* that are given to series */
	struct owner	 owner[SLOTS];
	struct place	 place[PLACES];
	uint8_t		 kind[CELLS];	/* CELL_... */
	uint64_t	 past[CELLS] __attribute__((aligned(4096)));
	uint64_t	 slot[SLOTS][CELLS] __attribute__((aligned(4096)));
};

/* For a process without a slot: what it counts counts for itself. */
static uint64_t		 nowhere[CELLS];
static struct memory	*memory;	/* NULL: there is none */

uint64_t		*metric_slot = nowhere;

/* Zones begin with a head of their own, which is less than a page. */
#define ALIGNED(p)	((struct memory *)(((uintptr_t)(p) + 4095) & ~(uintptr_t)4095))

void
slots_want(struct weir_zone_want *want)
{
	want->size = sizeof(struct memory) + 4096;
	want->kind = "metrics";
	want->version = VERSION;
}

void
slots_open(struct weir_zone *z)
{
	struct memory *m = ALIGNED(z->mem);

	if (m != memory)
		metric_slot = nowhere;
	memory = m;
	if (z->fresh) {
		clock_update();
		atomic_store(&m->since, weir_wall_ms / 1000);
		atomic_store(&m->cells, METRIC_WIDTH_MAX);
	}
}

void
slots_close(const struct weir_zone *z)
{
	/* Somebody else may have it still: a generation that came later. */
	if (memory != ALIGNED(z->mem) || zone_users(z) > 1)
		return;
	memory = NULL;
	metric_slot = nowhere;
}

/* ---- places ---- */

static uint32_t
take_cells(uint32_t width)
{
	uint32_t at = atomic_load(&memory->cells);

	do {
		if (at < METRIC_WIDTH_MAX || width > CELLS || at > CELLS - width)
			return 0;
	} while (!atomic_compare_exchange_weak(&memory->cells, &at, at + width));
	return at;
}

/* Another master is writing it at this moment, or died in the middle. */
static void
wait_for(struct place *p)
{
	unsigned i;

	for (i = 0; i < TRIES && atomic_load(&p->state) == PLACE_TAKEN; i++)
		;
}

static bool
is_place(struct place *p, const uint64_t id[2], uint32_t width, uint32_t held)
{
	wait_for(p);
	return atomic_load(&p->state) == PLACE_READY && p->id[0] == id[0] && p->id[1] == id[1] &&
	    p->width == width && p->held == held && p->cell <= CELLS - width;
}

static void
set_kinds(const struct place *p)
{
	if (p->cell == 0)
		return;
	memset(memory->kind + p->cell, CELL_COUNTER, p->held);
	memset(memory->kind + p->cell + p->held, CELL_GAUGE, p->width - p->held);
}

uint32_t
slots_find(const uint64_t id[2], uint32_t width, uint32_t held)
{
	uint32_t i;

	for (i = 0; i < PLACES; i++) {
		struct place	*p = &memory->place[(id[0] + i) % PLACES];
		uint32_t	 state = PLACE_FREE;

		if (atomic_compare_exchange_strong(&p->state, &state, PLACE_TAKEN)) {
			p->cell = take_cells(width);
			p->width = width;
			p->held = held;
			memcpy(p->id, id, sizeof(p->id));
			set_kinds(p);
			atomic_store(&p->state, p->cell != 0 ? PLACE_READY : PLACE_FREE);
			return p->cell;
		}
		if (is_place(p, id, width, held))
			return p->cell;
	}
	return 0;
}

/* ---- processes ---- */

/* What it counted goes to the past; what it held is gone with it. */
static void
bury(unsigned slot)
{
	uint64_t *s = memory->slot[slot], n;
	uint32_t  used = WEIR_MIN(atomic_load(&memory->cells), (uint32_t)CELLS), i;

	atomic_fetch_add(&memory->begun, 1);
	for (i = 0; i < used; i++) {
		if ((n = s[i]) == 0)
			continue;
		if (memory->kind[i] == CELL_COUNTER)
			__atomic_fetch_add(&memory->past[i], n, __ATOMIC_RELAXED);
		s[i] = 0;
	}
	atomic_fetch_add(&memory->ended, 1);
}

static bool
is_dead(int32_t pid)
{
	return pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

/* Of a master that was killed, nobody but another one can bury the children. */
static void
adopt(int32_t self)
{
	uint32_t i;

	for (i = 0; i < atomic_load(&memory->used); i++) {
		struct owner	*o = &memory->owner[i];
		int32_t		 master = atomic_load(&o->master), pid = atomic_load(&o->pid);

		if (master == 0 || master == self || !is_dead(master) || !(pid == 0 || is_dead(pid)))
			continue;
		if (!atomic_compare_exchange_strong(&o->master, &master, self))
			continue;
		metric_give_back((int)i);
	}
}

static void
note_used(uint32_t n)
{
	uint32_t used = atomic_load(&memory->used);

	while (used < n && !atomic_compare_exchange_weak(&memory->used, &used, n))
		;
}

int
metric_claim(void)
{
	int32_t	 self = (int32_t)getpid(), nobody;
	uint32_t i;

	if (memory == NULL)
		return -1;
	adopt(self);
	for (i = 0; i < SLOTS; i++) {
		nobody = 0;
		if (!atomic_compare_exchange_strong(&memory->owner[i].master, &nobody, self))
			continue;
		note_used(i + 1);
		return (int)i;
	}
	return -1;
}

void
metric_use(int slot)
{
	metric_slot = nowhere;
	if (slot < 0)
		return;
	atomic_store(&memory->owner[slot].pid, (int32_t)getpid());
	metric_slot = memory->slot[slot];
}

void
metric_give_back(int slot)
{
	if (slot < 0 || memory == NULL)
		return;
	bury((unsigned)slot);
	atomic_store(&memory->owner[slot].pid, 0);
	atomic_store(&memory->owner[slot].master, 0);
}

/* ---- reading ---- */

static void
add(const uint64_t *cells, unsigned n, uint64_t *to)
{
	unsigned i;

	for (i = 0; i < n; i++)
		to[i] += __atomic_load_n(&cells[i], __ATOMIC_RELAXED);
}

static void
sum_once(uint32_t at, unsigned n, uint64_t *to)
{
	uint32_t used = WEIR_MIN(atomic_load(&memory->used), (uint32_t)SLOTS), i;

	memset(to, 0, n * sizeof(*to));
	add(memory->past + at, n, to);
	for (i = 0; i < used; i++)
		if (atomic_load(&memory->owner[i].master) != 0)
			add(memory->slot[i] + at, n, to);
	if (metric_slot == nowhere)
		add(nowhere + at, n, to);
}

void
metric_sum(const struct weir_metric *m, unsigned i, unsigned n, uint64_t *to)
{
	unsigned tries;
	uint32_t ended;

	if (memory == NULL) {
		memset(to, 0, n * sizeof(*to));
		add(nowhere + m->cell + i, n, to);
		return;
	}
	/* Bounded: a master may have died in the middle. */
	for (tries = 0; tries < TRIES; tries++) {
		ended = atomic_load(&memory->ended);
		if (ended != atomic_load(&memory->begun))
			continue;
		sum_once(m->cell + i, n, to);
		atomic_thread_fence(memory_order_seq_cst);
		if (ended == atomic_load(&memory->begun))
			return;
	}
	sum_once(m->cell + i, n, to);
}

uint64_t
metric_since(void)
{
	return memory != NULL ? atomic_load(&memory->since) : 0;
}
