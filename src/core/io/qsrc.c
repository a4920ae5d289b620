/*
 * qsrc.c - a source over bytes that are at hand.
 */
#include "core/io/qsrc.h"

static ssize_t
q_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_qsrc *s = WEIR_OF(src, struct weir_qsrc, src);

	if (s->q.len == 0)
		return WEIR_EOF;
	return (ssize_t)bufq_move(to, &s->q, max);
}

/* It is always ready, and never gives AGAIN, so nobody waits for a notice. */
static void
q_want(struct weir_src *src, bool on)
{
	(void)src;
	(void)on;
}

static void
q_stop(struct weir_src *src)
{
	bufq_clear(&WEIR_OF(src, struct weir_qsrc, src)->q);
}

static const struct weir_src_ops ops = { .read = q_read, .want = q_want, .stop = q_stop };

void
qsrc_init(struct weir_qsrc *s)
{
	memset(s, 0, sizeof *s);
	s->src.ops = &ops;
}
