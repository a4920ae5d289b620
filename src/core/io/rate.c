/*
 * rate.c - a source that gives its bytes no faster than a rate.
 */
#include "core/base/clock.h"
#include "core/io/rate.h"

enum { STEP_LEAST_MS = 10, STEP_MOST_MS = 1000 };

static unsigned
step_of(uint64_t bytes_s)
{
	uint64_t ms = RATE_CHUNK * 1000ull / bytes_s;

	return (unsigned)WEIR_MAX(WEIR_MIN(ms, (uint64_t)STEP_MOST_MS), (uint64_t)STEP_LEAST_MS);
}

/* What may have been given by now. */
static uint64_t
allowed_now(const struct weir_rate *r)
{
	uint64_t ms = weir_now_ms - r->began_ms;

	return r->after + r->bytes_s * (ms - ms % r->step_ms + 1000) / 1000;
}

static void
wait_for_step(struct weir_rate *r)
{
	timer_set(&r->timer, r->step_ms - (weir_now_ms - r->began_ms) % r->step_ms);
}

/* At most so much of what is held, or else of what is below; of that no byte more, if it is to be exact. */
static ssize_t
read_some(struct weir_rate *r, struct weir_bufq *to, uint64_t most)
{
	ssize_t n = 1;

	if (r->held.len == 0 && !r->exact)
		return src_read(r->below, to, (size_t)most);
	if (r->held.len == 0)
		n = src_read(r->below, &r->held, (size_t)most);
	return n > 0 ? (ssize_t)bufq_move(to, &r->held, most) : n;
}

/* Nothing is allowed now.  An end needs no allowance, so a look at what comes next is taken. */
static ssize_t
look_ahead(struct weir_rate *r)
{
	ssize_t n = r->held.len == 0 ? src_read(r->below, &r->held, 1) : 1;

	if (n == WEIR_EOF || n == WEIR_FAIL) {
		timer_off(&r->timer);
		r->src.err = r->below->err;
		return n;
	}
	wait_for_step(r);
	return WEIR_AGAIN;
}

static ssize_t
rate_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_rate *r = WEIR_OF(src, struct weir_rate, src);
	uint64_t allowed = allowed_now(r), before = to->len;
	ssize_t n;

	if (r->given >= allowed)
		return look_ahead(r);
	timer_off(&r->timer);	/* who reads needs no waking, and may be done with us afterwards */
	n = read_some(r, to, WEIR_MIN(max, allowed - r->given));
	if (n > 0)
		r->given += to->len - before;
	else
		r->src.err = r->below->err;
	return n;
}

static void
rate_want(struct weir_src *src, bool on)
{
	struct weir_rate *r = WEIR_OF(src, struct weir_rate, src);

	r->wanted = on;
	/* while the timer runs, what lies below is of no interest */
	src_want(r->below, on && r->timer.at == 0);
}

static void
rate_stop(struct weir_src *src)
{
	struct weir_rate *r = WEIR_OF(src, struct weir_rate, src);

	timer_off(&r->timer);
	bufq_clear(&r->held);
	src_stop(r->below);
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_rate *r = WEIR_OF(t, struct weir_rate, timer);

	if (r->wanted && r->src.ready != NULL)
		r->src.ready(r->src.arg);
}

static void
on_below(void *arg)
{
	struct weir_rate *r = arg;

	if (r->wanted && r->src.ready != NULL)
		r->src.ready(r->src.arg);
}

static const struct weir_src_ops ops = { .read = rate_read, .want = rate_want, .stop = rate_stop };

void
rate_init(struct weir_rate *r, struct weir_src *below, uint64_t bytes_s, uint64_t after)
{
	memset(r, 0, sizeof *r);
	r->src.ops = &ops;
	r->below = below;
	r->bytes_s = bytes_s;
	r->after = after;
	r->step_ms = step_of(bytes_s);
	r->began_ms = weir_now_ms;
	timer_init(&r->timer, on_timer);
	src_on_ready(below, on_below, r);
}

uint64_t
rate_spend(struct weir_rate *r, uint64_t n)
{
	uint64_t allowed = allowed_now(r);

	r->given += n;
	if (r->given <= allowed)
		return 0;
	wait_for_step(r);
	return r->given - allowed;
}

void
rate_end(struct weir_rate *r)
{
	timer_off(&r->timer);
	bufq_clear(&r->held);
	if (r->below->arg == r)
		src_on_ready(r->below, NULL, NULL);
}
