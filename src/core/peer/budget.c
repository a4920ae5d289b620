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
#include "core/peer/budget.h"
#include "core/peer/share.h"
#include "core/sess/sess.h"

enum { WINDOW_MS = 10000, MIN = 10 };

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

bool
budget_allows(struct weir_pick *p, const struct weir_budget_conf *c)
{
	if (c->percent == 0 || pick_may_again(p, c->percent, c->min))
		return true;
	log_warnx(&p->s->log, "the retry budget of upstream \"%.*s\" is spent", STR_ARG(p->group->name));
	return false;
}

int
budget_conf(struct weir_conf *cf, struct weir_node *n, struct weir_budget_conf *to)
{
	static const char *const known[] = { "min=", NULL };
	struct weir_str v = n->w[1].s;
	uint64_t percent, min = MIN;

	to->percent = 0;
	if (n->n == 2 && str_eq(v, STR("off")))
		return WEIR_OK;
	if (v.n < 2 || v.p[v.n - 1] != '%')
		return conf_error(cf, n, 1, "a budget is \"off\", or a number from 1 to 100 and %%");
	if (conf_u64(cf, n, 1, str_of(v.p, v.n - 1), 1, 100, &percent) != WEIR_OK)
		return WEIR_FAIL;
	if (n->n == 3 && !conf_param(n, 2, "min", &v))
		return conf_bad_param(cf, n, 2, known);
	if (n->n == 3 && conf_u64(cf, n, 2, v, 0, 1000000, &min) != WEIR_OK)
		return WEIR_FAIL;
	to->percent = (unsigned)percent;
	to->min = (unsigned)min;
	return WEIR_OK;
}
