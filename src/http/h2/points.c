/*
 * points.c - what a peer has cost more than it has moved.
 */
#include "core/base/clock.h"
#include "http/h2/points.h"

enum {
	MOST		= 1000,
	FORGOTTEN_MS	= 10,		/* a point is, after so long */
	BYTES_EARN	= 1024,		/* so many bytes earn one */
	DONE_EARNS	= 4,
	SENT_EARNS	= 3		/* two windows and a PING are what gRPC's libraries answer DATA with */
};

static void
earn(struct h2_points *p, uint64_t n)
{
	p->n = n >= (uint64_t)p->n ? 0 : p->n - (int32_t)n;
}

void
h2_points_begin(struct h2_points *p)
{
	*p = (struct h2_points){ .since_ms = weir_now_ms };
}

bool
h2_points_charge(struct h2_points *p)
{
	uint64_t forgotten = (weir_now_ms - p->since_ms) / FORGOTTEN_MS;

	if (forgotten != 0) {
		earn(p, forgotten);
		p->since_ms = weir_now_ms;
	}
	return ++p->n > MOST;
}

void
h2_points_bytes(struct h2_points *p, size_t n)
{
	p->bytes += (uint32_t)n;
	if (p->bytes < BYTES_EARN)
		return;
	earn(p, p->bytes / BYTES_EARN);
	p->bytes %= BYTES_EARN;
}

/* Only windows that leave nothing behind earn: small messages do, windows of a byte do not. */
void
h2_points_sent(struct h2_points *p, size_t n, bool all)
{
	if (all)
		earn(p, SENT_EARNS);
	h2_points_bytes(p, n);
}

void
h2_points_done(struct h2_points *p)
{
	earn(p, DONE_EARNS);
}
