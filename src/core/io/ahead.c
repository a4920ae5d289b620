/*
 * ahead.c - a source that is read further than its reader has come.
 */
#include "core/base/log.h"
#include "core/io/ahead.h"
#include "core/io/pipes.h"

enum { STEP = 65536 };

static struct weir_ahead *
of(struct weir_src *src)
{
	return WEIR_OF(src, struct weir_ahead, src);
}

static ssize_t
ahead_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_ahead *a = of(src);
	ssize_t n;

	a->direct = false;
	if (a->q.len != 0) {
		n = (ssize_t)bufq_move(to, &a->q, max);
		if (a->q.len == 0)
			a->in_file = false;
		return n;
	}
	if (a->ended != 0)
		return a->ended;
	n = src_read(a->below, to, max);
	if (n == WEIR_FAIL)
		src->err = a->below->err;
	return n;
}

/* Put `more` behind the queue by way of the file. */
static bool
to_file(struct weir_ahead *a, struct weir_bufq *more)
{
	uint64_t n = more->len;

	if (a->file == NULL) {
		a->file = spill_open(a->dir);
		if (a->file != NULL)
			a->file->refs++;	/* ours */
	}
	if (a->file == NULL || spill_write(a->file, more) != WEIR_OK) {
		log_crit(weir_log, "buffering an upstream response in \"%s\" failed", a->dir);
		a->broken_file = true;
		return false;
	}
	bufq_put_file(&a->q, a->file, a->file_len, n);
	a->file_len += n;
	return true;
}

/* How much may still be read ahead. */
static uint64_t
room(struct weir_ahead *a)
{
	if (!a->in_file && a->q.len < a->cap)
		return a->cap - a->q.len;
	if (a->dir == NULL || a->broken_file || a->file_len >= a->file_cap)
		return 0;
	a->in_file = true;
	return a->file_cap - a->file_len;
}

static void
fill(struct weir_ahead *a)
{
	uint64_t n;

	while (a->ended == 0 && (n = room(a)) != 0) {
		struct weir_bufq got = { 0 };
		ssize_t r = src_read(a->below, a->in_file ? &got : &a->q, WEIR_MIN(n, STEP));

		if (r == WEIR_AGAIN)
			break;
		if (r < 0) {
			a->ended = (int)r;
			a->src.err = a->below->err;
			if (a->on_end != NULL && r == WEIR_EOF)
				a->on_end(a);
			return;
		}
		if (a->in_file && !to_file(a, &got)) {
			/* what could not be written waits in memory; nothing more is read until it has gone */
			bufq_move(&a->q, &got, got.len);
			break;
		}
	}
	src_want(a->below, a->ended == 0 && room(a) != 0);
}

static void
on_below(void *arg)
{
	struct weir_ahead *a = arg;

	if (!a->wanted)
		fill(a);
	else if (a->src.ready != NULL)
		a->src.ready(a->src.arg);
}

static void
on_notice(struct weir_task *t)
{
	struct weir_ahead *a = WEIR_OF(t, struct weir_ahead, notice);

	if (a->wanted && a->src.ready != NULL)
		a->src.ready(a->src.arg);
}

/*
 * While the kernel moves the bytes, a pipe holds what the reader has not taken.  Reading them
 * ourselves pays only where more than that is wanted.
 */
static bool
enough_in_pipe(const struct weir_ahead *a)
{
	return a->direct && a->cap <= PIPE_ROOM;
}

static void
ahead_want(struct weir_src *src, bool on)
{
	struct weir_ahead *a = of(src);

	a->wanted = on;
	if (on && (a->q.len != 0 || a->ended != 0)) {
		task_post(&a->notice);
		return;
	}
	if (a->ended == 0)
		src_want(a->below, on || (!enough_in_pipe(a) && room(a) != 0));
}

static void
ahead_stop(struct weir_src *src)
{
	struct weir_ahead *a = of(src);

	if (a->ended == 0)
		src_stop(a->below);
	ahead_free(a);
}

static int
ahead_fd(struct weir_src *src, uint64_t *left)
{
	struct weir_ahead *a = of(src);

	/* with a file to fill, the bytes must come through here */
	if (a->q.len != 0 || a->ended != 0 || a->dir != NULL || a->below->ops->fd == NULL)
		return -1;
	return a->below->ops->fd(a->below, left);
}

static void
ahead_moved(struct weir_src *src, uint64_t n, bool drained)
{
	struct weir_ahead *a = of(src);

	a->direct = true;
	a->below->ops->moved(a->below, n, drained);
}

static const struct weir_src_ops ops = {
	.read = ahead_read, .want = ahead_want, .stop = ahead_stop, .fd = ahead_fd,
	.moved = ahead_moved,
};

void
ahead_init(struct weir_ahead *a, struct weir_src *below, uint64_t cap, uint64_t file_cap,
    const char *dir)
{
	memset(a, 0, sizeof *a);
	a->src.ops = &ops;
	a->below = below;
	a->cap = cap;
	a->file_cap = file_cap;
	a->dir = file_cap != 0 ? dir : NULL;
	task_init(&a->notice, on_notice);
	src_on_ready(below, on_below, a);
}

void
ahead_free(struct weir_ahead *a)
{
	task_off(&a->notice);
	bufq_clear(&a->q);
	a->on_end = NULL;
	if (a->file != NULL && --a->file->refs == 0)
		a->file->close(a->file);
	a->file = NULL;
	if (a->ended == 0)
		a->ended = WEIR_FAIL;
}
