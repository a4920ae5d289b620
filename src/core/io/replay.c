/*
 * replay.c - a source that can begin again.
 *
 * The bytes are copied, not shared: a source that gives a byte at a time may give a segment with each.
 */
#include "core/io/replay.h"

enum { VECTORS = 8 };

static struct weir_replay *
of_src(struct weir_src *src)
{
	return WEIR_OF(src, struct weir_replay, src);
}

/* `from` goes to `to`, and a copy is kept. */
static void
keep(struct weir_replay *p, struct weir_bufq *to, struct weir_bufq *from)
{
	struct iovec iov[VECTORS];
	size_t n;

	while (from->len != 0) {
		int k = bufq_iov(from, iov, VECTORS, &n);

		if (n == 0 || p->kept.len + n > p->most) {	/* or a part of a file */
			replay_lose(p);
			bufq_move(to, from, from->len);
			return;
		}
		for (int i = 0; i < k; i++)
			bufq_put(&p->kept, iov[i].iov_base, iov[i].iov_len);
		bufq_move(to, from, n);
	}
}

static ssize_t
re_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_replay *p = of_src(src);
	struct weir_bufq q = { 0 };
	ssize_t n;

	if (p->again.len != 0)
		return (ssize_t)bufq_move(to, &p->again, max);
	n = src_read(p->live, p->lost ? to : &q, max);
	if (n == WEIR_FAIL)
		src->err = p->live->err;
	p->whole |= n == WEIR_EOF;
	if (!p->lost)
		keep(p, to, &q);
	return n;
}

/* While there is something to repeat it gives no AGAIN, so nobody waits for a notice. */
static void
re_want(struct weir_src *src, bool on)
{
	src_want(of_src(src)->live, on);
}

static void
re_stop(struct weir_src *src)
{
	replay_end(of_src(src));
	src_stop(of_src(src)->live);
}

static int
re_fd(struct weir_src *src, uint64_t *left)
{
	struct weir_replay *p = of_src(src);

	if (!p->lost || p->again.len != 0 || p->live->ops->fd == NULL)
		return -1;
	return p->live->ops->fd(p->live, left);
}

static void
re_moved(struct weir_src *src, uint64_t n, bool drained)
{
	struct weir_src *live = of_src(src)->live;

	live->ops->moved(live, n, drained);
}

static const struct weir_src_ops ops = {
	.read = re_read, .want = re_want, .stop = re_stop, .fd = re_fd, .moved = re_moved,
};

static void
on_ready(void *arg)
{
	struct weir_replay *p = arg;

	if (p->src.ready != NULL)
		p->src.ready(p->src.arg);
}

void
replay_init(struct weir_replay *p, struct weir_src *live, uint64_t most)
{
	memset(p, 0, sizeof *p);
	p->src.ops = &ops;
	p->live = live;
	p->most = most;
	src_on_ready(live, on_ready, p);
}

void
replay_again(struct weir_replay *p)
{
	assert(!p->lost);
	bufq_clear(&p->again);
	bufq_share(&p->again, &p->kept);
}

void
replay_lose(struct weir_replay *p)
{
	p->lost = true;
	bufq_clear(&p->kept);
}

void
replay_end(struct weir_replay *p)
{
	replay_lose(p);
	bufq_clear(&p->again);
}
