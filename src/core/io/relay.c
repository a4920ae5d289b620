/*
 * relay.c - two pumps, one end.
 */
#include "core/io/relay.h"

static void
over(struct weir_relay *r, enum weir_relay_end how)
{
	r->over = true;
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
	if (r->on_moved != NULL)
		r->on_moved(r);
}

/* The reset that writing found will not be told to who reads from there, if that is the socket itself. */
static void
spoil(struct weir_relay *r, bool b)
{
	r->spoiled = b ? RELAY_B_FAIL : RELAY_A_FAIL;
	if (b)
		r->ba.torn = r->b->in.ops->fd != NULL;
	else
		r->ab.torn = r->a->in.ops->fd != NULL;
}

static void
on_done(struct weir_pump *p, enum weir_pump_end how)
{
	struct weir_relay *r = p->owner;
	bool from_a = p == &r->ab;

	if (how == PUMP_SRC_FAIL) {
		over(r, from_a ? RELAY_A_FAIL : RELAY_B_FAIL);
		return;
	}
	r->open--;
	if (how == PUMP_EOF && r->first == 0)
		r->first = from_a ? 1 : 2;
	r->ab.closing = r->ba.closing = true;	/* the other is the last */
	/* who does not hear may have something to say all the same */
	if (how == PUMP_SINK_FAIL && !p->deaf)
		spoil(r, from_a);
	if (r->open == 0 || (how == PUMP_EOF && r->whole))
		over(r, r->spoiled);
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
	r->over = false;
	r->first = 0;
	r->spoiled = RELAY_EOF;
	r->idle_ms = idle_ms;
	timer_init(&r->idle, on_idle);
	if (idle_ms != 0)
		timer_set(&r->idle, idle_ms);
	r->ab.owner = r->ba.owner = r;
	r->ab.done = r->ba.done = on_done;
	r->ab.on_progress = r->ba.on_progress = on_progress;
	r->ab.closing = r->ba.closing = r->whole;
	pump_start(&r->ab, r->from_a != NULL ? r->from_a : &a->in, &b->out, cap);
	/* the first may have ended everything */
	if (!r->over)
		pump_start(&r->ba, r->from_b != NULL ? r->from_b : &b->in, &a->out, cap);
}

void
relay_off(struct weir_relay *r)
{
	timer_off(&r->idle);
	pump_off(&r->ab);
	pump_off(&r->ba);
}
