/*
 * stats.c - where workers count, in shared memory.
 *
 * Each child has a place that only it writes.  When it has ended, the master adds what it
 * counted to `past` and clears the place; `turn` is odd meanwhile, so that whoever sums
 * up at this moment does it again.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "core/os/shmap.h"
#include "core/proc/cycle.h"
#include "core/proc/stats.h"

#define PLACES 1024

struct place {
	struct weir_accept_stats s;
	bool			 taken;
} __attribute__((aligned(64)));

static struct shared {
	_Atomic unsigned	 turn;
	_Atomic unsigned	 used;		/* places that were ever taken */
	struct weir_accept_stats past;
	struct place		 place[PLACES];
} *shared;

int
stats_init(void)
{
	shared = shmap_new(sizeof(*shared), "weir stats");
	return shared != NULL ? WEIR_OK : WEIR_FAIL;
}

int
stats_claim(void)
{
	int i;

	for (i = 0; i < PLACES; i++) {
		if (shared->place[i].taken)
			continue;
		shared->place[i].taken = true;
		if ((unsigned)i >= shared->used)
			shared->used = (unsigned)i + 1;
		return i;
	}
	return -1;
}

void
stats_use(int place)
{
	if (place >= 0)
		accept_stats = &shared->place[place].s;
}

static void
add(struct weir_accept_stats *to, const volatile struct weir_accept_stats *s)
{
	to->accepted += s->accepted;
	to->handled += s->handled;
	to->requests += s->requests;
	to->active += s->active;
	to->reading += s->reading;
	to->writing += s->writing;
	to->waiting += s->waiting;
}

void
stats_give_back(int place)
{
	struct weir_accept_stats *s;

	if (place < 0)
		return;
	s = &shared->place[place].s;
	/* Connections that it had are gone with it. */
	s->active = s->reading = s->writing = s->waiting = 0;
	atomic_fetch_add(&shared->turn, 1);
	add(&shared->past, s);
	memset(s, 0, sizeof(*s));
	atomic_fetch_add(&shared->turn, 1);
	shared->place[place].taken = false;
}

static void
sum_once(struct weir_accept_stats *to)
{
	unsigned i;

	memset(to, 0, sizeof(*to));
	add(to, &shared->past);
	for (i = 0; i < shared->used; i++)
		add(to, &shared->place[i].s);
}

void
stats_sum(struct weir_accept_stats *to)
{
	unsigned before, tries;

	if (shared == NULL) {
		*to = *accept_stats;
		return;
	}
	/* Bounded: the master may have died in the middle. */
	for (tries = 0; tries < 1000; tries++) {
		before = atomic_load(&shared->turn);
		sum_once(to);
		atomic_thread_fence(memory_order_seq_cst);
		if ((before & 1) == 0 && before == atomic_load(&shared->turn))
			return;
	}
}
