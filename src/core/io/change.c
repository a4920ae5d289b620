/*
 * change.c - a source whose bytes are changed on their way.
 */
#include "core/io/change.h"

static struct weir_change *
of(struct weir_src *src)
{
	return WEIR_OF(src, struct weir_change, src);
}

/* Ask below for a step's worth: what is to be done with what there is now, or WEIR_FAIL, or WEIR_AGAIN. */
static int
ask(struct weir_change *c)
{
	ssize_t	n = src_read(c->below, &c->in, CHANGE_ENOUGH);

	if (n == WEIR_EOF)
		return CHANGE_END;
	if (n == WEIR_AGAIN && c->flushed)
		return WEIR_AGAIN;
	if (n == WEIR_AGAIN)
		return CHANGE_FLUSH;
	if (n == WEIR_FAIL) {
		c->src.err = c->below->err;
		return WEIR_FAIL;
	}
	if (bufq_load(&c->in, c->in.len) != WEIR_OK) {
		c->src.err = "reading a file failed";
		return WEIR_FAIL;
	}
	return CHANGE_MORE;
}

/* One run: WEIR_OK, WEIR_AGAIN when nothing is there to run for, WEIR_FAIL. */
static int
step(struct weir_change *c)
{
	int	what = c->unfinished ? (int)c->how : ask(c), rc;

	if (what < 0)
		return what;
	c->how = (enum weir_change_how)what;
	c->flushed = c->how == CHANGE_FLUSH;
	rc = c->run(c, c->how);
	c->unfinished = rc == WEIR_AGAIN;
	if (rc == WEIR_OK && c->how == CHANGE_END)
		c->ended = WEIR_EOF;
	return rc == WEIR_FAIL ? WEIR_FAIL : WEIR_OK;
}

static ssize_t
change_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_change	*c = of(src);
	int			 rc;

	while (c->out.len == 0) {
		if (c->ended != 0)
			return c->ended;
		rc = step(c);
		if (rc == WEIR_FAIL)
			c->ended = WEIR_FAIL;	/* after what is in `out` already */
		else if (rc == WEIR_AGAIN)
			return WEIR_AGAIN;
	}
	return (ssize_t)bufq_move(to, &c->out, max);
}

static bool
has_some(const struct weir_change *c)
{
	return c->out.len != 0 || c->ended != 0 || c->unfinished;
}

static void
on_notice(struct weir_task *t)
{
	struct weir_change	*c = WEIR_OF(t, struct weir_change, notice);

	if (c->wanted && c->src.ready != NULL)
		c->src.ready(c->src.arg);
}

static void
change_want(struct weir_src *src, bool on)
{
	struct weir_change	*c = of(src);

	c->wanted = on;
	if (c->over)
		return;
	if (on && has_some(c))
		task_post(&c->notice);
	else
		src_want(c->below, on);
}

static void
change_stop(struct weir_src *src)
{
	struct weir_change	*c = of(src);

	if (!c->over)
		src_stop(c->below);
	change_end(c);
}

static void
on_below(void *arg)
{
	struct weir_change	*c = arg;

	if (c->src.ready != NULL)
		c->src.ready(c->src.arg);
}

static const struct weir_src_ops ops = {
	.read = change_read, .want = change_want, .stop = change_stop
};

void
change_init(struct weir_change *c, struct weir_src *below)
{
	c->src.ops = &ops;
	c->below = below;
	if (c->enough == 0)
		c->enough = CHANGE_ENOUGH;
	task_init(&c->notice, on_notice);
	src_on_ready(below, on_below, c);
}

void
change_end(struct weir_change *c)
{
	if (c->over)
		return;
	c->over = true;
	task_off(&c->notice);
	bufq_clear(&c->in);
	bufq_clear(&c->out);
	if (c->ended == 0)
		c->ended = WEIR_FAIL;
	if (c->end != NULL)
		c->end(c);
}
