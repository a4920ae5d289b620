/*
 * lb_least_time.c - whoever answers soonest: by what it took on average, and what it has to do already.
 *
 * `header` goes by the time until the head came, `last_byte` by the whole.  With `inflight` those that are not
 * over count too, so that a peer that hangs is noticed before its first timeout.
 */
#include "core/base/clock.h"
#include "core/peer/block.h"

enum { STEP_MS = 20, MOST_MS = 5000 };

/* What those that are under way took until now, on average. */
static void
look_at_inflight(struct weir_state *st)
{
	uint64_t ms = st->inflight_sum_ms / st->inflight;

	if (weir_now_ms > st->inflight_at_ms)
		ms += weir_now_ms - st->inflight_at_ms;
	ms = WEIR_MIN(ms, 3600000);
	st->inflight_ms = st->inflight_ms == 0 ? (uint32_t)ms
	    : (uint32_t)(0.5 + (double)ms * 0.05 + (double)st->inflight_ms * 0.95);
}

static double
estimate(const struct weir_group *g, unsigned i, uint64_t ms)
{
	struct weir_state *st = block_state(g->block, i);
	uint64_t idle = weir_now_ms > st->checked_ms ? weir_now_ms - st->checked_ms : 0;

	/* who was not asked for long gets another chance: each fail_timeout makes it twice as good */
	if (idle > st->fail_timeout_ms)
		ms >>= WEIR_MIN(idle / (st->fail_timeout_ms + 1000), 63);
	if (st->inflight > 0) {
		look_at_inflight(st);
		ms = WEIR_MAX(ms, st->inflight_ms);
	}
	/* in steps, so that those who are close take turns; the very slow are all the same */
	ms = ms > MOST_MS ? MOST_MS : ms + STEP_MS - ms % STEP_MS;
	return (double)ms * (1 + st->conns) / st->weight;
}

static double
rank_header(const struct weir_group *g, unsigned i)
{
	return estimate(g, i, block_state(g->block, i)->header_ms);
}

static double
rank_last_byte(const struct weir_group *g, unsigned i)
{
	return estimate(g, i, block_state(g->block, i)->response_ms);
}

static int
choose(struct weir_pick *p, const struct weir_tier *t)
{
	return pick_round(p, t, true);
}

const struct weir_balancer lb_header = { .name = "least_time header", .choose = choose, .rank = rank_header,
	.timely = true, .times = true };
const struct weir_balancer lb_last_byte = { .name = "least_time last_byte", .choose = choose,
	.rank = rank_last_byte, .timely = true, .times = true };
