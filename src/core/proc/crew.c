/*
 * crew.c - the workers and the keeper that run one configuration together.
 */
#include <signal.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/proc/crew.h"

#define SHORT_LIFE_MS	5000
#define AT_ONCE		3	/* short lives that are replaced without a pause */
#define FIRST_PAUSE_MS	50
#define LAST_PAUSE_MS	1000
#define START_MS	30000	/* a new crew is up by then, or gives up */

static void
fill(struct slot *s)
{
	s->child = child_start(s->kind, s->crew->cycle, s->index);
	if (s->child != NULL)
		s->child->slot = s;
	else
		timer_set(&s->timer, LAST_PAUSE_MS);
}

static void
on_timer(struct weir_timer *t)
{
	fill(WEIR_OF(t, struct slot, timer));
}

/* Once only, and last: the crew is freed there. */
static void
fail(struct crew *w)
{
	timer_off(&w->patience);
	w->on_failed(w);
}

static void
on_patience_over(struct weir_timer *t)
{
	struct crew *w = WEIR_OF(t, struct crew, patience);

	log_alertx(weir_log, "the new processes did not get ready in %d s", START_MS / 1000);
	fail(w);
}

struct crew *
crew_start(struct weir_cycle *c, void (*on_up)(struct crew *), void (*on_failed)(struct crew *))
{
	unsigned	 n = c->workers + 1, i;
	struct crew	*w = mem_zalloc(sizeof(*w) + n * sizeof(w->slots[0]));

	w->cycle = c;
	w->on_up = on_up;
	w->on_failed = on_failed;
	w->n = n;
	timer_init(&w->patience, on_patience_over);
	timer_set(&w->patience, START_MS);
	for (i = 0; i < n; i++) {
		struct slot *s = &w->slots[i];

		s->crew = w;
		s->kind = i < c->workers ? CHILD_WORKER : CHILD_KEEPER;
		s->index = i;
		timer_init(&s->timer, on_timer);
		fill(s);
	}
	return w;
}

void
crew_ready(struct crew *w)
{
	unsigned i;

	if (w->up)
		return;
	for (i = 0; i < w->n; i++)
		if (w->slots[i].child == NULL || !w->slots[i].child->ready)
			return;
	w->up = true;
	timer_off(&w->patience);
	w->on_up(w);
}

static uint64_t
pause_after(unsigned streak)
{
	unsigned n = streak > AT_ONCE ? streak - AT_ONCE : 0;

	if (n == 0)
		return 0;
	return n > 5 ? LAST_PAUSE_MS : WEIR_MIN(LAST_PAUSE_MS, FIRST_PAUSE_MS << (n - 1));
}

void
crew_lost(struct slot *s, struct child *c, int code)
{
	struct crew	*w = s->crew;
	uint64_t	 wait;

	s->child = NULL;
	if (w->idle)
		return;
	s->streak = weir_now_ms - c->born_ms < SHORT_LIFE_MS ? s->streak + 1 : 0;
	if (!w->up && (code > 0 || s->streak > AT_ONCE)) {
		fail(w);
		return;
	}
	if ((wait = pause_after(s->streak)) == 0)
		fill(s);
	else
		timer_set(&s->timer, wait);
}

static void
stop_filling(struct crew *w)
{
	unsigned i;

	w->idle = true;
	timer_off(&w->patience);
	for (i = 0; i < w->n; i++)
		timer_off(&w->slots[i].timer);
}

void
crew_retire(struct crew *w)
{
	unsigned i;

	stop_filling(w);
	for (i = 0; i < w->n; i++) {
		if (w->slots[i].child != NULL)
			child_retire(w->slots[i].child);
		w->slots[i].child = NULL;
	}
}

void
crew_dismiss(struct crew *w)
{
	unsigned i;

	stop_filling(w);
	for (i = 0; i < w->n; i++) {
		struct child *c = w->slots[i].child;

		w->slots[i].child = NULL;
		if (c == NULL)
			continue;
		c->slot = NULL;
		kill(c->pid, SIGTERM);
	}
}

void
crew_free(struct crew *w)
{
	unsigned i;

	if (w == NULL)
		return;
	stop_filling(w);
	for (i = 0; i < w->n; i++)
		if (w->slots[i].child != NULL)
			w->slots[i].child->slot = NULL;
	mem_free(w);
}
