/*
 * rate.c - a source that gives its bytes no faster than a rate.
 */
#include "core/base/clock.h"
#include "core/io/rate.h"

/* Of what is below, at most so much: what is more is held. */
static ssize_t
read_exactly(struct weir_rate *r, struct weir_bufq *to, uint64_t most)
{
	ssize_t n = 1;

	if (r->held.len == 0)
		n = src_read(r->below, &r->held, (size_t)most);
	return n > 0 ? (ssize_t)bufq_move(to, &r->held, most) : n;
}

static ssize_t
rate_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_rate *r = WEIR_OF(src, struct weir_rate, src);
	uint64_t allowed = r->after + r->bytes_s * (weir_now_ms - r->began_ms + 1000) / 1000;
	uint64_t before = to->len;
	ssize_t n;

	if (r->given >= allowed) {
		uint64_t wait = (r->given - allowed + 1) * 1000 / r->bytes_s + 1;

		timer_set(&r->timer, WEIR_MIN(wait, 1000u));
		return WEIR_AGAIN;
	}
	timer_off(&r->timer);	/* who reads needs no waking, and may be done with us afterwards */
	if (r->exact)
		n = read_exactly(r, to, WEIR_MIN(max, allowed - r->given));
	else
		n = src_read(r->below, to, (size_t)WEIR_MIN(max, allowed - r->given));
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
	r->began_ms = weir_now_ms;
	timer_init(&r->timer, on_timer);
	src_on_ready(below, on_below, r);
}

void
rate_end(struct weir_rate *r)
{
	timer_off(&r->timer);
	bufq_clear(&r->held);
	if (r->below->arg == r)
		src_on_ready(r->below, NULL, NULL);
}
