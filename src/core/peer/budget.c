/*
 * budget.c - how much of a group's work may be requests that are sent once more.
 *
 * A group that fails is asked more by everybody who tries again, which does not help it up.  A budget bounds that:
 * of what was asked within the last ten seconds or so, further tries are a share.  The numbers lie in the group's
 * block: with a zone they are those of all workers.
 *
 * Two windows are kept, the one that runs and the one before, which counts less and less as time goes by.
 */
#include "core/base/clock.h"
#include "core/peer/share.h"

enum { WINDOW_MS = 10000 };

static void
turn(struct weir_budget *b)
{
	uint64_t ms = weir_now_ms > b->since_ms ? weir_now_ms - b->since_ms : 0;

	if (ms < WINDOW_MS)
		return;
	b->before = ms < 2 * WINDOW_MS ? b->now : (struct weir_budget_sum){ 0 };
	b->now = (struct weir_budget_sum){ 0 };
	b->since_ms = weir_now_ms - ms % WINDOW_MS;
}

/* Of the window before as much as the sliding one still sees. */
static uint64_t
sum(const struct weir_budget *b, uint32_t now, uint32_t before)
{
	uint64_t ms = weir_now_ms > b->since_ms ? weir_now_ms - b->since_ms : 0;

	return now + (uint64_t)before * (WINDOW_MS - WEIR_MIN(ms, (uint64_t)WINDOW_MS)) / WINDOW_MS;
}

void
budget_asked(struct weir_group *g)
{
	struct weir_budget *b = &g->block->budget;

	turn(b);
	b->now.asked++;
}

bool
pick_may_again(struct weir_pick *p, unsigned percent, unsigned min)
{
	struct weir_group *g = p->group;
	struct weir_budget *b = &g->block->budget;
	uint64_t most;
	bool may;

	if (g->brief)
		return true;
	share_lock(g);
	turn(b);
	most = sum(b, b->now.asked, b->before.asked) * percent / 100;
	may = sum(b, b->now.again, b->before.again) < WEIR_MAX(most, (uint64_t)min);
	b->now.again += may;
	share_unlock(g);
	if (!may)
		count_refused(g);
	return may;
}
