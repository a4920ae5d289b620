/*
 * relay.c - two pumps, one end.
 */
#include "core/io/relay.h"

static void
over(struct weir_relay *r, enum weir_relay_end how)
{
	timer_off(&r->idle);
	pump_off(&r->ab);
	pump_off(&r->ba);
	if (how != RELAY_EOF) {
		sink_abort(&r->a->out);
		sink_abort(&r->b->out);
	}
	r->done(r, how);
}

static void
on_idle(struct weir_timer *t)
{
	over(WEIR_OF(t, struct weir_relay, idle), RELAY_IDLE);
}

static void
on_progress(struct weir_pump *p)
{
	struct weir_relay *r = p->owner;

	if (r->idle_ms != 0)
		timer_set(&r->idle, r->idle_ms);
}

static void
on_done(struct weir_pump *p, enum weir_pump_end how)
{
	struct weir_relay *r = p->owner;
	bool from_a = p == &r->ab;

	if (how == PUMP_EOF && --r->open > 0)
		return;		/* half-closed: the other direction goes on */
	if (how == PUMP_EOF)
		over(r, RELAY_EOF);
	else if ((how == PUMP_SRC_FAIL) == from_a)
		over(r, RELAY_A_FAIL);
	else
		over(r, RELAY_B_FAIL);
}

void
relay_preload(struct weir_relay *r, struct weir_bufq *to_b, struct weir_bufq *to_a)
{
	if (to_b != NULL)
		bufq_move(&r->ab.q, to_b, to_b->len);
	if (to_a != NULL)
		bufq_move(&r->ba.q, to_a, to_a->len);
}

void
relay_start(struct weir_relay *r, struct weir_io *a, struct weir_io *b, size_t cap,
    uint64_t idle_ms)
{
	r->a = a;
	r->b = b;
	r->open = 2;
	r->idle_ms = idle_ms;
	timer_init(&r->idle, on_idle);
	if (idle_ms != 0)
		timer_set(&r->idle, idle_ms);
	r->ab.owner = r->ba.owner = r;
	r->ab.done = r->ba.done = on_done;
	r->ab.on_progress = r->ba.on_progress = on_progress;
	/*
	 * The second pump is started by name, not after looking at the relay again: the first
	 * may have ended everything.
	 */
	pump_start(&r->ab, &a->in, &b->out, cap);
	if (r->open > 0 && !r->ab.over)
		pump_start(&r->ba, &b->in, &a->out, cap);
	else if (r->open == 1)
		pump_start(&r->ba, &b->in, &a->out, cap);
}

void
relay_off(struct weir_relay *r)
{
	timer_off(&r->idle);
	pump_off(&r->ab);
	pump_off(&r->ba);
}
