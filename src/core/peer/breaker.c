/*
 * breaker.c - circuit breakers: what the circuits of a group's servers go through.
 *
 * Everything that changes a circuit does so with its block locked, so that each change happens once, in one process,
 * which logs it afterwards.  Whoever finds the block after its holder died has all circuits settled anew: their
 * states are single bytes, and OUT_OPEN follows from them.
 */
#include "core/base/clock.h"
#include "core/peer/breaker.h"
#include "core/peer/share.h"

/* ---- where it lies ---- */

static size_t
aligned(size_t n)
{
	return (n + 63) & ~(size_t)63;
}

size_t
breaker_size(const struct weir_group *g, unsigned n_slots)
{
	if (g->breaker == NULL)
		return 0;
	return aligned(g->n * sizeof(struct weir_circuit)) + aligned((size_t)g->n * n_slots * sizeof(uint32_t));
}

struct weir_circuit *
breaker_circuit(struct weir_block *b, unsigned i)
{
	return (struct weir_circuit *)(void *)((char *)b + b->at_circuits) + i;
}

uint32_t *
breaker_held(struct weir_block *b, unsigned slot)
{
	char *held = (char *)b + b->at_circuits + aligned(b->n * sizeof(struct weir_circuit));

	return (uint32_t *)(void *)held + (size_t)slot * b->n;
}

void
breaker_inherit(struct weir_block *b, unsigned i, struct weir_block *old, unsigned j)
{
	struct weir_circuit *c;

	if (b->at_circuits == 0 || old->at_circuits == 0)
		return;
	c = breaker_circuit(b, i);
	*c = *breaker_circuit(old, j);
	c->inherited = c->trials;
	b->circuits_ms = 0;
}

void
breaker_forget(struct weir_block *b, unsigned i)
{
	struct weir_circuit *c, was;

	if (b->at_circuits == 0)
		return;
	c = breaker_circuit(b, i);
	was = *c;
	/* trials of the one before end as ever, and say nothing */
	*c = (struct weir_circuit){ .era = was.era + 1, .trials = was.trials, .inherited = was.inherited };
	b->circuits_ms = 0;
}

void
breaker_recount(struct weir_block *b)
{
	for (unsigned i = 0; b->at_circuits != 0 && i < b->n; i++) {
		struct weir_circuit *c = breaker_circuit(b, i);

		c->trials = c->inherited;
		for (unsigned s = 0; s < b->n_slots; s++)
			c->trials += breaker_held(b, s)[i];
	}
	b->circuits_ms = 0;
}

void
breaker_told(struct weir_block *b, unsigned i, int by)
{
	if (b->at_circuits == 0)
		return;
	breaker_circuit(b, i)->inherited += (uint32_t)by;
	breaker_circuit(b, i)->trials += (uint32_t)by;
	b->circuits_ms = 0;
}

/* ---- states ---- */

/* Processes' clocks may differ by a turn of their loops. */
static uint64_t
since(uint64_t ms)
{
	return weir_now_ms > ms ? weir_now_ms - ms : 0;
}

/* How long it stays open: twice as long after each trial that failed, as far as that is wanted. */
static uint64_t
open_time(const struct weir_breaker *br, const struct weir_circuit *c)
{
	uint64_t ms = br->open_ms << WEIR_MIN(c->trips - 1, 20);

	return WEIR_MIN(ms, br->max_open_ms);
}

/*
 * OUT_OPEN follows from the state.  Who is barred begins no trials: a process whose death would not be noticed, and users of a
 * block that has an heir, where others do so.
 */
static void
show(struct weir_group *g, unsigned i, bool barred)
{
	const struct weir_circuit *c = breaker_circuit(g->block, i);

	if (c->state == CIRCUIT_OPEN ||
	    (c->state == CIRCUIT_HALF_OPEN && (barred || c->trials >= g->breaker->half_open)))
		block_out(g, i, OUT_OPEN);
	else
		block_in(g, i, OUT_OPEN);
}

static void
forget_results(struct weir_circuit *c)
{
	c->streak = 0;
	memset(c->seen, 0, sizeof c->seen);
}

static void
change(struct weir_group *g, unsigned i, enum weir_circuit_state to, enum circuit_reason reason, uint32_t bad,
    uint32_t all, struct weir_circuit_news *news)
{
	struct weir_block *b = g->block;
	struct weir_circuit *c = breaker_circuit(b, i);

	assert(news->n < NEWS_MOST);
	news->v[news->n].peer = i;
	news->v[news->n].bad = bad;
	news->v[news->n].all = all;
	news->v[news->n].from = c->state;
	news->v[news->n].to = (uint8_t)to;
	news->v[news->n++].reason = (uint8_t)reason;
	b->tripped += (uint32_t)(to != CIRCUIT_CLOSED) - (uint32_t)(c->state != CIRCUIT_CLOSED);
	forget_results(c);
	c->since_ms = weir_now_ms;
	c->state = (uint8_t)to;
	if (to == CIRCUIT_OPEN) {
		c->era++;
		c->trips++;
		b->circuits_ms = WEIR_MIN(b->circuits_ms, weir_now_ms + open_time(g->breaker, c));
	} else if (to == CIRCUIT_CLOSED) {
		c->trips = 0;
		block_warm(g, i);
	}
	show(g, i, b->heir != 0);
}

/* Is its time over? */
static void
look_at_open(struct weir_group *g, unsigned i, struct weir_circuit_news *news)
{
	struct weir_block *b = g->block;
	struct weir_circuit *c = breaker_circuit(b, i);
	uint64_t ms = open_time(g->breaker, c);

	if (since(c->since_ms) < ms)
		b->circuits_ms = WEIR_MIN(b->circuits_ms, c->since_ms + ms);
	else if (news->n == NEWS_MOST)
		b->circuits_ms = 0;		/* with the next choice */
	else if (!news->barred)
		change(g, i, CIRCUIT_HALF_OPEN, CIRCUIT_WAITED, 0, 0, news);
}

static void
settle(struct weir_group *g, struct weir_circuit_news *news)
{
	struct weir_block *b = g->block;

	b->circuits_ms = UINT64_MAX;
	b->tripped = 0;
	for (unsigned i = 0; i < b->n; i++) {
		const struct weir_circuit *c = breaker_circuit(b, i);

		/* of who has gone nothing is told; when it comes back, or another one, all is settled again */
		if (c->state == CIRCUIT_OPEN && !(block_state(b, i)->out & OUT_VACANT))
			look_at_open(g, i, news);
		b->tripped += c->state != CIRCUIT_CLOSED;
		show(g, i, news->barred);
	}
}

/* ---- a choice ---- */

void
breaker_before(struct weir_group *g, int slot, struct weir_circuit_news *news)
{
	struct weir_block *b = g->block;

	news->n = 0;
	news->barred = b->heir != 0 || (g->shared != NULL && slot < 0);
	if (weir_now_ms >= b->circuits_ms || (news->barred && b->tripped != 0))
		settle(g, news);
}

void
breaker_chosen(struct weir_pick *p, int i, int slot, struct weir_circuit_news *news)
{
	struct weir_group *g = p->group;
	struct weir_block *b = g->block;
	struct weir_circuit *c;

	if (news->barred && b->heir == 0)
		b->circuits_ms = 0;		/* others may try them */
	if (i < 0)
		return;
	c = breaker_circuit(b, (unsigned)i);
	memset(&p->circuit, 0, sizeof p->circuit);
	p->circuit.era = c->era;
	if (c->state != CIRCUIT_HALF_OPEN)
		return;
	p->circuit.trial = true;
	c->trials++;
	if (slot >= 0)
		breaker_held(b, (unsigned)slot)[i]++;
	show(g, (unsigned)i, false);
}

static void
end_trial(struct weir_pick *p, unsigned i, int slot)
{
	struct weir_group *g = p->group;

	if (!p->circuit.trial)
		return;
	p->circuit.trial = false;
	breaker_circuit(g->block, i)->trials--;
	if (slot >= 0)
		breaker_held(g->block, (unsigned)slot)[i]--;
	share_tell_trials(g, i, -1);
	show(g, i, g->block->heir != 0);
}

/* ---- results ---- */

/* The clock's step; older ones than a window ago are gone. */
static unsigned
step_now(const struct weir_breaker *br, struct weir_circuit *c)
{
	uint64_t now = weir_now_ms / WEIR_MAX(br->window_ms / CIRCUIT_STEPS, 1);

	/* the clock of who was here before was a little ahead */
	if (now < c->step && c->step - now < CIRCUIT_STEPS)
		now = c->step;
	if (now - c->step >= CIRCUIT_STEPS) {
		memset(c->seen, 0, sizeof c->seen);
		c->step = now;
	}
	while (c->step < now) {
		c->step++;
		memset(&c->seen[c->step % CIRCUIT_STEPS], 0, sizeof c->seen[0]);
	}
	return (unsigned)(now % CIRCUIT_STEPS);
}

/* Into the window; true when too much of it is bad. */
static bool
see(const struct weir_breaker *br, struct weir_circuit *c, bool bad, uint32_t *n_bad, uint32_t *n_all)
{
	unsigned at = step_now(br, c);

	c->seen[at].all++;
	c->seen[at].bad += bad;
	*n_bad = *n_all = 0;
	for (unsigned i = 0; i < CIRCUIT_STEPS; i++) {
		*n_bad += c->seen[i].bad;
		*n_all += c->seen[i].all;
	}
	return *n_all >= br->min && (uint64_t)*n_bad * 100 >= br->rate * *n_all;
}

static void
count_closed(struct weir_group *g, unsigned i, bool bad, struct weir_circuit_news *news)
{
	const struct weir_breaker *br = g->breaker;
	struct weir_circuit *c = breaker_circuit(g->block, i);
	uint32_t n_bad, n_all;

	c->streak = bad ? c->streak + 1 : 0;
	if (br->failures != 0 && c->streak >= br->failures)
		change(g, i, CIRCUIT_OPEN, CIRCUIT_ROW, c->streak, 0, news);
	else if (br->rate != 0 && see(br, c, bad, &n_bad, &n_all))
		change(g, i, CIRCUIT_OPEN, CIRCUIT_RATE, n_bad, n_all, news);
}

static void
count_trial(struct weir_group *g, unsigned i, bool bad, struct weir_circuit_news *news)
{
	struct weir_circuit *c = breaker_circuit(g->block, i);

	if (bad)
		change(g, i, CIRCUIT_OPEN, CIRCUIT_TRIAL, 0, 0, news);
	else if (++c->streak >= g->breaker->success)
		change(g, i, CIRCUIT_CLOSED, CIRCUIT_WELL, 0, c->streak, news);
}

/* What is known now, if it was not counted before. */
static void
judge(struct weir_pick *p, unsigned i, struct weir_circuit_news *news)
{
	struct weir_group *g = p->group;
	const struct weir_circuit *c = breaker_circuit(g->block, i);
	bool bad = p->circuit.verdict == VERDICT_BAD;

	if ((!bad && p->circuit.verdict != VERDICT_GOOD) || p->circuit.counted >= p->circuit.verdict)
		return;
	p->circuit.counted = p->circuit.verdict;
	if (p->circuit.era != c->era)
		return;
	if (c->state == CIRCUIT_CLOSED)
		count_closed(g, i, bad, news);
	else if (c->state == CIRCUIT_HALF_OPEN)
		count_trial(g, i, bad, news);
}

static void
find(struct weir_pick *p, unsigned verdict, enum weir_trouble what, const char *why, uint64_t number)
{
	if (verdict <= p->circuit.verdict)
		return;
	p->circuit.verdict = (uint8_t)verdict;
	p->circuit.trouble = (uint8_t)what;
	p->circuit.why = why;
	p->circuit.number = number;
}

static bool
counts_status(const struct weir_breaker *br, int status)
{
	return status >= 0 && (unsigned)status < sizeof br->statuses * 8 &&
	    (br->statuses[status / 64] >> (status % 64) & 1);
}

void
pick_answer(struct weir_pick *p, int status, uint64_t ms)
{
	struct weir_group *g = p->group;
	const struct weir_breaker *br = g->breaker;
	struct weir_circuit_news news = { 0 };
	unsigned i;
	int slot;

	if (br == NULL || p->peer == NULL)
		return;
	find(p, VERDICT_GOOD, TROUBLE_ERROR, NULL, 0);
	if (counts_status(br, status))
		find(p, VERDICT_BAD, TROUBLE_STATUS, NULL, (uint64_t)status);
	else if (br->slow_ms != 0 && ms > br->slow_ms)
		find(p, VERDICT_BAD, TROUBLE_SLOW, "the response came after", ms);
	if (!p->circuit.trial && p->circuit.verdict != VERDICT_BAD)
		return;			/* good is what is good to the end */
	i = p->peer->number;
	slot = share_slot(g);
	share_lock(g);
	judge(p, i, &news);
	end_trial(p, i, slot);
	share_unlock(g);
	breaker_tell(g, &news, p);
}

void
pick_sure(struct weir_pick *p)
{
	struct weir_group *g = p->group;
	struct weir_circuit_news news = { 0 };

	if (g->breaker == NULL || p->peer == NULL)
		return;
	share_lock(g);
	judge(p, p->peer->number, &news);
	share_unlock(g);
	breaker_tell(g, &news, p);
}

void
pick_trouble(struct weir_pick *p, enum weir_trouble what, const char *why)
{
	const struct weir_breaker *br = p->group->breaker;

	if (br == NULL || p->peer == NULL)
		return;
	/* it may be a connection's, which goes before this is told */
	if (why != NULL && p->s != NULL)
		why = pool_cstr(p->s->pool, str_c(why));
	find(p, br->on >> what & 1 ? VERDICT_BAD : VERDICT_NEUTRAL, what, why, 0);
}

void
pick_left(struct weir_pick *p, uint64_t ms)
{
	const struct weir_breaker *br = p->group->breaker;

	if (br != NULL && p->peer != NULL && br->slow_ms != 0 && ms > br->slow_ms && p->header_ms == PICK_NO_TIME)
		find(p, VERDICT_BAD, TROUBLE_SLOW, "no response came within", ms);
}

void
breaker_ended(struct weir_pick *p, unsigned i, enum weir_outcome how, int slot, struct weir_circuit_news *news)
{
	news->n = 0;
	if (how == WENT_WELL || how == WENT_ON)
		find(p, VERDICT_GOOD, TROUBLE_ERROR, NULL, 0);
	else if (how == WENT_BADLY && p->circuit.verdict == VERDICT_NONE)
		find(p, p->group->breaker->on >> TROUBLE_ERROR & 1 ? VERDICT_BAD : VERDICT_NEUTRAL, TROUBLE_ERROR,
		    NULL, 0);
	/* a good head of something that the client did not take to its end says nothing */
	if (how != WENT_NOWHERE || p->circuit.verdict == VERDICT_BAD)
		judge(p, i, news);
	end_trial(p, i, slot);
}

bool
pick_is_open(struct weir_pick *p, bool all)
{
	struct weir_group *g = p->group;
	unsigned open = 0, others = 0;

	if (g->breaker == NULL || p->n_tried != 0)
		return false;
	for (unsigned i = 0; i < g->n; i++) {
		unsigned out = block_state(g->block, i)->out;

		if (out & (OUT_DOWN | OUT_DRAIN | OUT_VACANT))
			continue;
		open += (out & OUT_OPEN) != 0;
		others += !(out & OUT_OPEN);
	}
	return open != 0 && (!all || others == 0);
}
