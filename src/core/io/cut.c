/*
 * cut.c - a part of what another source gives.
 */
#include "core/io/cut.h"

enum { SKIP_STEP = 65536 };

static struct weir_cut *
of(struct weir_src *src)
{
	return WEIR_OF(src, struct weir_cut, src);
}

/* Throw away up to what is to be given; the begin of that may come along, in `to`. */
static ssize_t
skip(struct weir_cut *c, struct weir_bufq *to)
{
	uint64_t	n;
	ssize_t		rc;

	while (c->skip != 0) {
		rc = src_read(c->below, to, (size_t)WEIR_MIN(c->skip, (uint64_t)SKIP_STEP));
		if (rc < 0)
			return rc;
		n = WEIR_MIN(to->len, c->skip);
		bufq_drop(to, n);
		c->skip -= n;
	}
	return WEIR_OK;
}

static ssize_t
cut_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_cut		*c = of(src);
	struct weir_bufq	 got = { NULL, NULL, 0 };
	ssize_t			 n;

	if (c->left == 0)
		return WEIR_EOF;
	n = skip(c, &got);
	if (n == WEIR_OK && got.len == 0)
		n = src_read(c->below, &got, (size_t)WEIR_MIN(c->left, max));
	if (n == WEIR_FAIL)
		src->err = c->below->err;
	if (n == WEIR_EOF) {
		src->err = "the response was shorter than it was said to be";
		n = WEIR_FAIL;
	}
	if (n < 0)
		return n;
	n = (ssize_t)bufq_move(to, &got, c->left);
	c->left -= (uint64_t)n;
	bufq_clear(&got);
	return n;
}

static void
cut_want(struct weir_src *src, bool on)
{
	src_want(of(src)->below, on);
}

static void
cut_stop(struct weir_src *src)
{
	src_stop(of(src)->below);
}

static void
on_ready(void *arg)
{
	struct weir_cut	*c = arg;

	if (c->src.ready != NULL)
		c->src.ready(c->src.arg);
}

static const struct weir_src_ops ops = { .read = cut_read, .want = cut_want, .stop = cut_stop };

void
cut_init(struct weir_cut *c, struct weir_src *below, uint64_t off, uint64_t len)
{
	memset(c, 0, sizeof(*c));
	c->src.ops = &ops;
	c->below = below;
	c->skip = off;
	c->left = len;
	src_on_ready(below, on_ready, c);
}
