/*
 * wheel.c - timers, in a hierarchical wheel.
 *
 * Six levels of 64 slots; a slot of level n spans 64^n milliseconds, so the wheel
 * reaches over two years and setting a timer is one list insertion.  A bitmap
 * for each level finds the next slot that may hold something without looking
 * at the empty ones.  A bit may be stale (the timer was taken off); it is
 * cleared when somebody looks.
 *
 * `turned` is the time up to which the wheel has been turned.  A timer lies at level
 * n when it is due in less than 64^(n+1) ms after `turned`; its slot is reached
 * when `turned` gets to the slot's begin, and is then dealt out to lower levels.
 *
 * What a timer's function sets to 0 ms waits in `next_turn`: else wheel_run() would find it again and again,
 * and never come back to the loop.
 */
#include "core/base/clock.h"
#include "core/ev/wheel.h"

enum { LEVELS = 6, BITS = 6, SLOTS = 1 << BITS };

static struct weir_list slots[LEVELS][SLOTS];
static uint64_t used[LEVELS];
static uint64_t turned;
static uint64_t soonest;	/* before this no used slot is reached; none may be, then: it is only a bound */
static struct weir_list next_turn;
static bool running;

void
wheel_init(void)
{
	for (int l = 0; l < LEVELS; l++) {
		for (int s = 0; s < SLOTS; s++)
			list_init(&slots[l][s]);
		used[l] = 0;
	}
	list_init(&next_turn);
	running = false;
	turned = weir_now_ms;
	soonest = UINT64_MAX;
}

static void
insert(struct weir_timer *t)
{
	uint64_t at = t->at > turned ? t->at : turned;
	uint64_t ahead = at - turned;
	unsigned level = ahead < SLOTS ? 0 : (63u - (unsigned)__builtin_clzll(ahead)) / BITS;
	unsigned slot;

	if (level >= LEVELS) {		/* beyond the rim: as far as it goes, then again */
		level = LEVELS - 1;
		at = turned + (1ull << (LEVELS * BITS)) - 1;
	}
	slot = (at >> (level * BITS)) & (SLOTS - 1);
	t->queued = at;
	list_append(&slots[level][slot], &t->node);
	used[level] |= 1ull << slot;
	soonest = WEIR_MIN(soonest, at >> (level * BITS) << (level * BITS));
}

void
timer_init(struct weir_timer *t, void (*fn)(struct weir_timer *))
{
	list_init(&t->node);
	t->at = t->queued = 0;
	t->fn = fn;
}

void
timer_set(struct weir_timer *t, uint64_t ms)
{
	t->at = weir_now_ms + ms;
	if (t->queued != 0) {
		if (t->queued <= t->at)
			return;		/* moved when its old time comes */
		list_remove(&t->node);
	}
	if (running && ms == 0) {
		t->queued = t->at;
		list_append(&next_turn, &t->node);
		return;
	}
	insert(t);
}

void
timer_off(struct weir_timer *t)
{
	if (t->queued != 0)
		list_remove(&t->node);
	t->at = t->queued = 0;
}

/*
 * How many slots after `from` the next used one of a level lies: 0 to 63, or -1.
 */
static int
next_used(unsigned level, unsigned from)
{
	while (used[level] != 0) {
		uint64_t turn = used[level] >> from;

		if (from != 0)
			turn |= used[level] << (SLOTS - from);
		unsigned ahead = (unsigned)__builtin_ctzll(turn);
		unsigned slot = (from + ahead) & (SLOTS - 1);

		if (!list_empty(&slots[level][slot]))
			return (int)ahead;
		used[level] &= ~(1ull << slot);
	}
	return -1;
}

/* When the next slot is reached; UINT64_MAX when all are empty. */
static uint64_t
next_time(void)
{
	uint64_t best = UINT64_MAX;

	for (unsigned l = 0; l < LEVELS; l++) {
		uint64_t here = turned >> (l * BITS);
		/* at level 0 this very slot counts, above it was already dealt out */
		unsigned first = l == 0 ? 0 : 1;
		int ahead = next_used(l, (unsigned)(here + first) & (SLOTS - 1));

		if (ahead >= 0)
			best = WEIR_MIN(best, (here + first + (unsigned)ahead) << (l * BITS));
	}
	return best;
}

/*
 * Take out every slot that begins at `at`.  Slots of several levels may, and all must go
 * before the time is turned to it: after that they would count as dealt out.
 */
static void
take_slots(uint64_t at, struct weir_list *due)
{
	for (unsigned l = 0; l < LEVELS; l++) {
		unsigned slot = (at >> (l * BITS)) & (SLOTS - 1);
		struct weir_list *head = &slots[l][slot];

		if (l != 0 && (at == turned || (at & ((1ull << (l * BITS)) - 1)) != 0))
			return;
		used[l] &= ~(1ull << slot);
		while (!list_empty(head)) {
			struct weir_list *first = head->next;

			list_remove(first);
			list_append(due, first);
		}
	}
}

void
wheel_run(void)
{
	uint64_t at;

	while (!list_empty(&next_turn)) {
		struct weir_timer *t = list_first(&next_turn, struct weir_timer, node);

		list_remove(&t->node);
		insert(t);
	}
	if (weir_now_ms < soonest) {
		turned = weir_now_ms;
		return;
	}
	running = true;
	while ((at = next_time()) <= weir_now_ms) {
		struct weir_list due;

		list_init(&due);
		take_slots(at, &due);
		turned = at;
		while (!list_empty(&due)) {
			struct weir_timer *t = list_first(&due, struct weir_timer, node);

			list_remove(&t->node);
			if (t->at > turned) {	/* a higher level's, or set to later meanwhile */
				insert(t);
				continue;
			}
			t->at = t->queued = 0;
			t->fn(t);
		}
	}
	running = false;
	turned = weir_now_ms;
	soonest = at;
}

int
wheel_wait(void)
{
	uint64_t at = soonest = next_time();

	if (!list_empty(&next_turn))
		return 0;
	if (at == UINT64_MAX)
		return -1;
	if (at <= weir_now_ms)
		return 0;
	return at - weir_now_ms > 3600000 ? 3600000 : (int)(at - weir_now_ms);
}
