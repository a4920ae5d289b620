/*
 * pump.c - the loop that moves bytes from a source to a sink.
 *
 * A visit first reads until the source has no more or the cap is reached, then
 * writes, so that what came together leaves together.  It goes round while both
 * sides make progress, but not for ever: after TURN_BYTES others get their turn.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>

#include "core/io/pipes.h"
#include "core/io/pump.h"

enum {
	TURN_BYTES	= 1 << 20,	/* per visit */
	SPLICE_MIN	= 1 << 16	/* shorter stretches are copied: a pipe is not free either */
};

/* What one step found. */
enum step {
	MOVED,
	STUCK,		/* it said AGAIN */
	FULL,		/* the source was not even asked */
	SRC_END, SRC_BROKE, SINK_BROKE
};

static void
end(struct weir_pump *p, enum weir_pump_end how)
{
	p->over = true;
	bufq_clear(&p->q);
	pipe_give(p->pipe, p->in_pipe == 0);
	src_want(p->src, false);
	sink_want(p->sink, false);
	p->busy = false;
	p->done(p, how);
}

/*
 * The kernel says EPIPE when a reset came behind the peer's orderly end: so all that it had to say is here, and only
 * what is said to it is lost.  Else it is ECONNRESET, once: who reads from there finds an end then.
 */
static enum step
sink_broke(struct weir_pump *p)
{
	p->deaf = errno == EPIPE;
	return SINK_BROKE;
}

static enum step
fill(struct weir_pump *p)
{
	enum step found = FULL;

	while (p->q.len < p->cap) {
		ssize_t n = src_read(p->src, &p->q, p->cap - p->q.len);

		if (n == WEIR_EOF && p->torn) {
			p->src->err = "connection reset by peer";
			return SRC_BROKE;
		}
		if (n == WEIR_EOF) {
			p->eof = true;
			return SRC_END;
		}
		if (n == WEIR_FAIL)
			return SRC_BROKE;
		if (n == WEIR_AGAIN)
			return found == MOVED ? MOVED : STUCK;
		p->bulk |= n >= (ssize_t)SEG_LARGE;
		found = MOVED;
	}
	return found;
}

static enum step
drain(struct weir_pump *p, bool *held)
{
	ssize_t n;

	errno = 0;
	p->sink->last = p->eof && !p->keep_open;
	n = sink_write(p->sink, &p->q);
	*held = n == WEIR_AGAIN;
	if (n == WEIR_FAIL)
		return sink_broke(p);
	if (n > 0) {
		p->moved += (uint64_t)n;
		return MOVED;
	}
	return STUCK;
}

/* ---- in the kernel ---- */

static bool
can_splice(struct weir_pump *p, int *from, int *to, uint64_t *left)
{
	uint64_t room;

	if (p->q.len != 0 || p->src->ops->fd == NULL || p->sink->ops->fd == NULL)
		return false;
	*from = p->src->ops->fd(p->src, left);
	if (*from < 0 || (*left < SPLICE_MIN && p->in_pipe == 0))
		return false;
	if (*left == UINT64_MAX && !p->bulk)	/* nobody knows how much will come: small messages are copied */
		return false;
	*to = p->sink->ops->fd(p->sink, &room);
	if (*to < 0)
		return false;
	if (room < *left)
		*left = room;
	return p->pipe[0] >= 0 || pipe_take(p->pipe) == WEIR_OK;
}

static enum step
splice_in(struct weir_pump *p, int from, uint64_t left)
{
	size_t room = PIPE_ROOM - p->in_pipe;
	ssize_t n;

	if (room == 0 || left == 0)
		return STUCK;
	n = splice(from, NULL, p->pipe[1], NULL, WEIR_MIN(room, left),
	    SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		p->in_pipe += (uint32_t)n;
		p->src->ops->moved(p->src, (uint64_t)n, false);
		return MOVED;
	}
	if (n == 0)
		return SRC_END;	/* read() will say so in the source's own terms */
	if (errno == EAGAIN) {
		if (p->in_pipe == 0)	/* with bytes in it, it may be the pipe that is full */
			p->src->ops->moved(p->src, 0, true);
		return STUCK;
	}
	if (errno == EINVAL)	/* it is not for splicing */
		return SRC_END;
	/* the kernel tells a reset once: read() would say that this is an orderly end */
	p->broke = true;
	p->src->err = errno == ECONNRESET || errno == EPIPE ? "connection reset by peer" : strerror(errno);
	return SRC_BROKE;
}

static enum step
splice_out(struct weir_pump *p, int to)
{
	ssize_t n;

	if (p->in_pipe == 0)
		return STUCK;
	/* not SPLICE_F_MORE: when nothing follows soon, the kernel would keep the end back for 200 ms */
	n = splice(p->pipe[0], NULL, to, NULL, p->in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
	if (n > 0) {
		p->in_pipe -= (uint32_t)n;
		p->moved += (uint64_t)n;
		p->sink->ops->moved(p->sink, (uint64_t)n, false);
		return MOVED;
	}
	if (n < 0 && errno == EAGAIN) {
		p->sink->ops->moved(p->sink, 0, true);
		return STUCK;
	}
	return sink_broke(p);
}

/*
 * Splice while it goes.  STUCK: wait; SRC_END: go on by reading; the others are
 * final.  MOVED: the turn is used up.
 */
static enum step
splice_run(struct weir_pump *p, bool *any)
{
	uint64_t turn = 0, left;
	int from, to;

	while (turn < TURN_BYTES) {
		uint64_t before = p->moved;

		enum step in = STUCK;

		if (p->broke && p->in_pipe == 0)
			return SRC_BROKE;
		if (!p->broke && can_splice(p, &from, &to, &left))
			in = splice_in(p, from, left);
		else if (p->in_pipe == 0)
			return SRC_END;
		else if ((to = p->sink->ops->fd(p->sink, &left)) < 0)
			return STUCK;	/* what is in the pipe goes first all the same */
		if (in == SRC_BROKE && p->in_pipe == 0)
			return SRC_BROKE;
		enum step out = splice_out(p, to);
		if (out == SINK_BROKE)
			return SINK_BROKE;
		if (in == MOVED || out == MOVED)
			*any = true;
		turn += p->moved - before;
		if (out == STUCK && in != MOVED)
			return p->in_pipe == 0 && in != STUCK ? SRC_END : STUCK;
	}
	return MOVED;
}

/* ---- the visit ---- */

/* At the end of the source: hand the end on.  True when the pump is over. */
static bool
close_down(struct weir_pump *p)
{
	int r;

	if (p->keep_open) {
		end(p, PUMP_EOF);
		return true;
	}
	p->sink->closing = p->closing;
	errno = 0;
	r = sink_finish(p->sink);
	if (r == WEIR_AGAIN)
		return false;
	p->deaf = errno == ENOTCONN;	/* reading is still to be told why */
	end(p, r == WEIR_OK ? PUMP_EOF : PUMP_SINK_FAIL);
	return true;
}

void
pump_run(struct weir_pump *p)
{
	uint64_t start = p->moved;
	bool any = false, held = false, turn_over = false;

	if (p->busy || p->over)
		return;
	p->busy = true;
	for (;;) {
		enum step in = STUCK, out;

		if (!p->eof) {
			uint64_t left = 0;
			int a, b;

			if (p->broke || p->in_pipe != 0 || can_splice(p, &a, &b, &left)) {
				in = splice_run(p, &any);
				if (in == SINK_BROKE || in == SRC_BROKE) {
					end(p, in == SINK_BROKE ? PUMP_SINK_FAIL : PUMP_SRC_FAIL);
					return;
				}
				turn_over = in == MOVED;
				if (p->in_pipe == 0)	/* who rests keeps no descriptors */
					pipe_give(p->pipe, true);
				if (in == STUCK && p->in_pipe == 0 && p->moved - start < SEG_LARGE)
					p->bulk = false;
				if (in == MOVED || in == STUCK)
					break;
			}
			in = fill(p);
			if (in == SRC_BROKE) {
				/* what came before the break is still delivered as far as it goes */
				if (p->q.len != 0)
					(void)sink_write(p->sink, &p->q);
				end(p, PUMP_SRC_FAIL);
				return;
			}
		}
		if (p->eof && p->q.len == 0) {
			if (close_down(p))
				return;
			held = true;
			break;
		}
		out = drain(p, &held);
		if (out == SINK_BROKE) {
			end(p, PUMP_SINK_FAIL);
			return;
		}
		if (in == MOVED || out == MOVED)
			any = true;
		if (p->eof && p->q.len == 0)
			continue;
		turn_over = p->moved - start >= TURN_BYTES;
		if (out != MOVED || turn_over)
			break;
		/* only a source that was asked, and had nothing, gives a notice later */
		if (in == STUCK && p->q.len == 0)
			break;
	}
	/*
	 * Wait only for what can help: a notice of a side that is ready already comes at
	 * once, and would come for ever.  When the turn is over that is just what is needed, and it
	 * is the sink that can give it: a source that is always ready (a file) gives no notices.
	 */
	src_want(p->src, !p->eof && p->q.len < p->cap && p->in_pipe == 0);
	sink_want(p->sink, held || p->q.len != 0 || p->in_pipe != 0 || turn_over);
	p->busy = false;
	if (any && p->on_progress != NULL)
		p->on_progress(p);
}

static void
on_ready(void *arg)
{
	pump_run(arg);
}

void
pump_start(struct weir_pump *p, struct weir_src *src, struct weir_sink *sink, size_t cap)
{
	p->src = src;
	p->sink = sink;
	p->cap = cap;
	p->pipe[0] = p->pipe[1] = -1;
	src_on_ready(src, on_ready, p);
	sink_on_ready(sink, on_ready, p);
	pump_run(p);
}

void
pump_off(struct weir_pump *p)
{
	if (p->src == NULL)
		return;
	p->over = true;
	bufq_clear(&p->q);
	pipe_give(p->pipe, p->in_pipe == 0);
	if (p->src->arg == p)
		src_on_ready(p->src, NULL, NULL);
	if (p->sink->arg == p)
		sink_on_ready(p->sink, NULL, NULL);
	p->src = NULL;
	p->sink = NULL;
}
