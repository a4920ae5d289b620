/*
 * race.c - connect to whichever address of a name answers first.
 */
#include <errno.h>

#include "core/base/clock.h"
#include "core/net/race.h"

/* ---- who did badly lately ---- */

enum { REMEMBERED = 64 };

static struct { uint64_t key, until_ms; } losers[REMEMBERED];	/* of this process; a newer one takes the place of an older */

static uint64_t
key_of(const struct weir_addr *a)
{
	struct weir_str ip = addr_bytes(a);

	return (uint64_t)str_hash(ip) << 16 | addr_port(a);
}

static unsigned
place_of(uint64_t key)
{
	return (unsigned)((key ^ key >> 16) % REMEMBERED);
}

static void
remember(const struct weir_addr *a, bool lost)
{
	uint64_t key = key_of(a);
	unsigned at = place_of(key);

	if (lost || losers[at].key == key)
		losers[at].until_ms = lost ? weir_now_ms + RACE_MEMORY_MS : 0;
	if (lost)
		losers[at].key = key;
}

static bool
lost_lately(const struct weir_addr *a)
{
	uint64_t key = key_of(a);
	unsigned at = place_of(key);

	return losers[at].key == key && losers[at].until_ms > weir_now_ms;
}

/* ---- the order ---- */

/* The first that has no place yet, of this family (0: of any), that did badly or not.  `n`: there is none. */
static unsigned
find(const struct weir_addr *const *a, unsigned n, const bool *placed, int family, bool lost)
{
	for (unsigned i = 0; i < n; i++)
		if (!placed[i] && lost_lately(a[i]) == lost && (family == 0 || a[i]->sa.sa_family == family))
			return i;
	return n;
}

void
race_order(const struct weir_addr *const *a, unsigned n, unsigned *order)
{
	bool placed[RACE_MOST] = { false }, lost = false;
	int family = a[0]->sa.sa_family;

	assert(n <= RACE_MOST);
	for (unsigned k = 0; k < n; ) {
		unsigned i = find(a, n, placed, family, lost);

		if (i == n)
			i = find(a, n, placed, 0, lost);
		if (i == n) {		/* the others did badly */
			lost = true;
			continue;
		}
		placed[i] = true;
		order[k++] = i;
		family = a[i]->sa.sa_family == AF_INET6 ? AF_INET : AF_INET6;
	}
}

/* ---- the race ---- */

static void
give_up(struct weir_race *r)
{
	timer_off(&r->timer);
	for (unsigned i = 0; i < r->begun; i++)
		if (r->racers[i].on) {
			r->racers[i].on = false;
			dial_cancel(&r->racers[i].dial);
		}
}

static bool
is_on(const struct weir_race *r)
{
	for (unsigned i = 0; i < r->begun; i++)
		if (r->racers[i].on)
			return true;
	return false;
}

static void next(struct weir_race *);	/* the cycle: next -> on_dialled -> next */

static void
on_dialled(struct weir_dial *d, struct weir_conn *c, int err)
{
	struct weir_racer *racer = WEIR_OF(d, struct weir_racer, dial);
	struct weir_race *r = racer->race;

	racer->on = false;
	racer->err = err;
	remember(racer->addr, c == NULL);
	if (c == NULL && r->begun < r->n && err != ETIMEDOUT) {
		next(r);
		return;
	}
	if (c == NULL && is_on(r))
		return;
	/* whoever had its time and did not use it */
	for (struct weir_racer *o = r->racers; c != NULL && o < racer; o++)
		if (o->on)
			remember(o->addr, true);
	give_up(r);
	r->done(r, c, (unsigned)(racer - r->racers));
}

static void
next(struct weir_race *r)
{
	struct weir_racer *racer = &r->racers[r->begun++];
	struct weir_dial_opts o = r->opts;
	uint64_t gone = weir_now_ms - r->began_ms;

	o.timeout_ms = o.timeout_ms > gone ? o.timeout_ms - gone : 1;
	racer->on = true;
	racer->dial.done = on_dialled;
	dial_start(&racer->dial, racer->addr, &o);
	if (r->begun < r->n)
		timer_set(&r->timer, RACE_STEP_MS);
	else
		timer_off(&r->timer);
}

static void
on_step(struct weir_timer *t)
{
	next(WEIR_OF(t, struct weir_race, timer));
}

void
race_start(struct weir_race *r, const struct weir_addr *const *a, unsigned n, const struct weir_dial_opts *opts)
{
	assert(n != 0 && n <= RACE_MOST);
	r->n = n;
	r->begun = 0;
	r->opts = *opts;
	r->began_ms = weir_now_ms;
	timer_init(&r->timer, on_step);
	for (unsigned i = 0; i < n; i++) {
		r->racers[i].race = r;
		r->racers[i].addr = a[i];
		r->racers[i].on = false;
		r->racers[i].err = 0;
	}
	next(r);
}

void
race_cancel(struct weir_race *r)
{
	give_up(r);
}
