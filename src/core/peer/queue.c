/*
 * queue.c - sessions wait until a server is free.
 *
 * Each worker has a queue for each group that says `queue`.  It is looked at whenever this worker frees a
 * connection, and every LOOK_MS, because another worker may have, or a fail_timeout may be over.  Whoever
 * comes while others wait goes behind them.
 */
#include "core/base/clock.h"
#include "core/peer/queue.h"
#include "core/sess/sess.h"

enum { LOOK_MS = 20, DEFAULT_TIMEOUT_MS = 60000 };

struct weir_queue {
	struct weir_group *group;
	uint64_t	 most, timeout_ms;
	/* of this worker: */
	bool		 begun;
	struct weir_list waiting;
	unsigned	 n;
	struct weir_timer look;
	struct weir_task task;
};

struct upstream_queue_conf { char none; };

static unsigned index_;

/* ---- waiting ---- */

void
queue_leave(struct weir_wait *w)
{
	struct weir_queue *q;

	if (!w->on)
		return;
	q = w->pick->group->queue;
	w->on = false;
	w->ms = weir_now_ms - w->since_ms;
	list_remove(&w->node);
	timer_off(&w->timer);
	if (--q->n == 0)
		timer_off(&q->look);
}

/* Those who can be served are, in order of coming. */
static void
serve(struct weir_queue *q)
{
	while (!list_empty(&q->waiting)) {
		struct weir_wait *w = list_first(&q->waiting, struct weir_wait, node);
		struct weir_peer *peer = pick_next(w->pick);

		if (peer == NULL)
			return;
		queue_leave(w);
		w->served(w, peer);
	}
}

static void
on_vain(struct weir_timer *t)
{
	struct weir_wait *w = WEIR_OF(t, struct weir_wait, timer);

	queue_leave(w);
	log_errorx(&w->pick->s->log, "waited in vain for a server of upstream \"%.*s\"",
	    STR_ARG(w->pick->group->name));
	w->vain(w);
}

static void
on_task(struct weir_task *t)
{
	serve(WEIR_OF(t, struct weir_queue, task));
}

static void
on_look(struct weir_timer *t)
{
	struct weir_queue *q = WEIR_OF(t, struct weir_queue, look);

	timer_set(&q->look, LOOK_MS);
	serve(q);
}

static void
on_free(struct weir_group *g)
{
	struct weir_queue *q = g->queue;

	if (q->n != 0)
		task_post(&q->task);
}

static void
begin(struct weir_queue *q)
{
	if (q->begun)
		return;
	q->begun = true;
	list_init(&q->waiting);
	timer_init(&q->look, on_look);
	task_init(&q->task, on_task);
	q->group->on_free = on_free;
}

bool
queue_is_before(const struct weir_pick *p)
{
	const struct weir_queue *q = p->group->queue;

	return q != NULL && q->n != 0 && p->n_tried == 0;
}

bool
queue_join(struct weir_wait *w, struct weir_pick *p)
{
	struct weir_queue *q = p->group->queue;

	if (q == NULL || p->n_tried != 0)
		return false;
	begin(q);
	if (q->n >= q->most) {
		log_errorx(&p->s->log, "the queue of upstream \"%.*s\" is full: %u requests wait",
		    STR_ARG(q->group->name), q->n);
		return false;
	}
	w->pick = p;
	w->on = true;
	w->since_ms = weir_now_ms;
	list_append(&q->waiting, &w->node);
	if (q->n++ == 0)
		timer_set(&q->look, LOOK_MS);
	timer_init(&w->timer, on_vain);
	timer_set(&w->timer, q->timeout_ms);
	return true;
}

/* ---- configuration ---- */

static int
set_queue(struct weir_conf *cf, struct weir_scope *s, struct weir_node *n, void *conf)
{
	static const char *const known[] = { "timeout=", NULL };
	struct weir_queue *q = POOL_NEW(cf->pool, weir_queue);
	struct weir_str v;

	(void)conf;
	q->group = s->owner;
	q->timeout_ms = DEFAULT_TIMEOUT_MS;
	if (conf_u64(cf, n, 1, n->w[1].s, 1, 1000000, &q->most) != WEIR_OK)
		return WEIR_FAIL;
	if (n->n > 2 && !conf_param(n, 2, "timeout", &v))
		return conf_bad_param(cf, n, 2, known);
	if (n->n > 2 && conf_msec(cf, n, 2, v, &q->timeout_ms) != WEIR_OK)
		return WEIR_FAIL;
	if (q->timeout_ms == 0)
		return conf_error(cf, n, 2, "invalid timeout");
	q->group->queue = q;
	return WEIR_OK;
}

static const struct weir_cmd cmds[] = {
	{ "queue", IN_UPSTREAM | IN_STREAM_UPSTREAM, CONF_CUSTOM, .args_min = 1, .args_max = 2, .set = set_queue,
	  .args = "number [timeout=time]",
	  .doc = "When no server of the group can be asked, because of max_conns or failures, so many requests of each "
	  "worker wait for one, for timeout (60s) at most, in order of coming. Others, and those who waited in vain, "
	  "get 503. Of stream it is connections that wait; that of the others is closed, and $status is 503." },
	{ 0 }
};

const struct weir_module upstream_queue_module = {
	.name = "upstream_queue", .index = &index_, .conf_size = sizeof(struct upstream_queue_conf), .cmds = cmds,
	.doc = "Requests wait until a server is free.",
};
