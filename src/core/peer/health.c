/*
 * health.c - who is asked when.
 *
 *	on_due -> (not now | wait for a place | begin) -> kind->start -> probe_pass, probe_fail, on_limit
 *	  ^                                                                       |
 *	  +--------- next turn --- record, say what has changed <--- on_over -----+
 *
 * The first round is at once, as far as there are places; from then on each server has its turn at a time of its own
 * within the interval.
 */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/os/limit.h"
#include "core/os/random.h"
#include "core/peer/block.h"
#include "core/peer/resolve.h"
#include "core/peer/share.h"

enum { LOOK_MS = 1000, POOL_FIRST = 1024 };

/* Of this process: checks with servers that wait for a place, whose turn it is first. */
static struct weir_list turns = { &turns, &turns };
static unsigned under_way;

static unsigned
most(void)
{
	return (unsigned)WEIR_MIN(limit_nofile() / 4 + 1, (uint64_t)PROBES_AT_ONCE);
}

/* ---- turns ---- */

static void
set_next(struct weir_probe *p)
{
	const struct weir_health *h = p->h;

	p->next_ms += h->interval_ms;
	if (p->next_ms < weir_now_ms)
		p->next_ms = weir_now_ms;
	timer_set(&p->due, p->next_ms - weir_now_ms + random_below((uint32_t)WEIR_MIN(h->jitter_ms, UINT32_MAX - 1) + 1));
}

/* Is there somebody to be asked? */
static bool
is_wanted(const struct weir_probe *p)
{
	return !(block_state(p->h->group->block, p->peer->number)->out & (OUT_VACANT | OUT_DOWN));
}

static void
take_address(struct weir_probe *p)
{
	resolve_keep_up(p->h->group, false);
	p->addr = p->peer->addr;
	if (p->h->port != 0 && p->addr.sa.sa_family != AF_UNIX)
		addr_set_port(&p->addr, p->h->port);
	if (p->serial == p->peer->serial)
		return;
	p->serial = p->peer->serial;
	p->fails = p->passes = 0;
	if (p->h->kind->forget != NULL)
		p->h->kind->forget(p);
}

static void
begin(struct weir_probe *p)
{
	under_way++;
	p->h->under_way++;
	p->busy = true;
	p->ended = p->passed = false;
	p->doing = "beginning";
	p->why[0] = '\0';
	p->own = NULL;
	p->pool = pool_new(POOL_FIRST);
	take_address(p);
	timer_set(&p->limit, p->h->timeout_ms);
	p->h->kind->start(p);
}

/* Whose turn it is: one that may have another under way.  It goes to the end, or leaves when nobody waits. */
static struct weir_probe *
take_turn(void)
{
	struct weir_list *at;

	list_each(at, &turns) {
		struct weir_health *h = WEIR_OF(at, struct weir_health, turn);
		struct weir_probe *p = list_first(&h->waiting, struct weir_probe, node);

		if (h->under_way >= PROBES_OF_ONE)
			continue;
		list_remove(&p->node);
		list_remove(&h->turn);
		if (!list_empty(&h->waiting))
			list_append(&turns, &h->turn);
		p->waiting = false;
		return p;
	}
	return NULL;
}

static void
begin_waiting(void)
{
	struct weir_probe *p;

	while (under_way < most() && (p = take_turn()) != NULL)
		begin(p);
}

static void
ask(struct weir_probe *p)
{
	if (p->busy || p->waiting)
		return;
	p->waiting = true;
	if (list_empty(&p->h->waiting))
		list_append(&turns, &p->h->turn);
	list_append(&p->h->waiting, &p->node);
	begin_waiting();
}

static void
on_due(struct weir_timer *t)
{
	struct weir_probe *p = WEIR_OF(t, struct weir_probe, due);

	if (!is_wanted(p))
		return;		/* on_look() notices when it is */
	if (health_is_prober(p->h->group, false))
		ask(p);
	else
		set_next(p);
}

/* ---- verdicts ---- */

static void
end(struct weir_probe *p)
{
	p->ended = true;
	timer_off(&p->limit);
	task_post(&p->over);
}

void
probe_pass(struct weir_probe *p)
{
	if (p->ended)
		return;
	p->passed = true;
	end(p);
}

void
probe_fail(struct weir_probe *p, const char *why, ...)
{
	va_list ap;

	if (p->ended)
		return;
	va_start(ap, why);
	(void)vsnprintf(p->why, sizeof p->why, why, ap);
	va_end(ap);
	end(p);
}

static void
on_limit(struct weir_timer *t)
{
	struct weir_probe *p = WEIR_OF(t, struct weir_probe, limit);

	if (p->h->kind->silence != NULL && p->h->kind->silence(p))
		probe_pass(p);
	else
		probe_fail(p, "timed out while %s", p->doing);
}

static void
say(const struct weir_probe *p, enum weir_health_change change)
{
	struct weir_str group = p->h->group->name, server = p->peer->text;

	if (change == HEALTH_WORSE)
		log_warnx(weir_log, "upstream \"%.*s\": server %.*s is unhealthy: %s", STR_ARG(group), STR_ARG(server),
		    p->why);
	else if (change == HEALTH_BETTER)
		log_notice(weir_log, "upstream \"%.*s\": server %.*s is healthy", STR_ARG(group), STR_ARG(server));
	else if (!p->passed)
		log_info(weir_log, "upstream \"%.*s\": server %.*s did not pass its check: %s", STR_ARG(group),
		    STR_ARG(server), p->why);
}

/* Nothing is learnt of a server that is another one by now, or by a keeper that another one has taken over from. */
static void
conclude(struct weir_probe *p)
{
	struct weir_group *g = p->h->group;
	enum weir_health_change change;
	const struct weir_state *st;

	if (!health_is_prober(g, false))
		return;
	share_lock(g);
	st = block_state(g->block, p->peer->number);
	change = st->serial == p->serial && !(st->out & OUT_VACANT) ? health_record(p) : HEALTH_SAME;
	share_unlock(g);
	say(p, change);
}

static void
on_over(struct weir_task *t)
{
	struct weir_probe *p = WEIR_OF(t, struct weir_probe, over);

	if (p->h->kind->end != NULL)
		p->h->kind->end(p);
	probe_disconnect(p);
	conclude(p);
	pool_free(p->pool);
	p->pool = NULL;
	p->busy = false;
	p->h->under_way--;
	under_way--;
	set_next(p);
	begin_waiting();
}

/* ---- in the keeper ---- */

static bool
is_new(const struct weir_probe *p)
{
	return (p->due.at == 0 || p->serial != p->peer->serial) && is_wanted(p);
}

/* Servers that have come, or got another address, are asked at once. */
static void
on_look(struct weir_timer *t)
{
	struct weir_health *h = WEIR_OF(t, struct weir_health, look);

	timer_set(&h->look, LOOK_MS);
	if (!health_is_prober(h->group, false))
		return;
	resolve_keep_up(h->group, false);
	for (unsigned i = 0; i < h->group->n; i++)
		if (is_new(&h->probes[i]))
			ask(&h->probes[i]);
}

/*
 * When the second turn of a server is, as a share of the interval: all for the first, and for any number of them well
 * spread, however many of a group's places are vacant.  (Multiples of the golden ratio are.)
 */
static uint64_t
second_turn(const struct weir_health *h, unsigned i)
{
	return h->interval_ms - (h->interval_ms * (uint32_t)(i * 2654435769u) >> 32);
}

static void
probe_init(struct weir_probe *p, struct weir_health *h, unsigned i)
{
	p->h = h;
	p->peer = &h->group->peers[i];
	p->serial = p->peer->serial;
	timer_init(&p->due, on_due);
	timer_init(&p->limit, on_limit);
	task_init(&p->over, on_over);
	p->next_ms = weir_now_ms + second_turn(h, i) - h->interval_ms;
	timer_set(&p->due, 1);
}

void
health_start(struct weir_health *h)
{
	if (h->group->health == NULL)	/* its zone had no room */
		return;
	(void)health_is_prober(h->group, true);
	resolve_keep_up(h->group, false);
	list_init(&h->waiting);
	h->probes = mem_zalloc(h->group->n * sizeof *h->probes);
	for (unsigned i = 0; i < h->group->n; i++)
		probe_init(&h->probes[i], h, i);
	timer_init(&h->look, on_look);
	timer_set(&h->look, LOOK_MS);
}
