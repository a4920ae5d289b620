/*
 * io.h - byte streams: whoever wants bytes asks for them.
 *
 * A source gives bytes, a sink takes them, an io is one of each that belong
 * to the same connection or stream.  Nothing is ever pushed: bytes that nobody
 * reads stay where they are, and that is the whole of backpressure.  A socket
 * leaves them in the kernel, a later protocol withholds window credit, a wrapping
 * layer simply does not read the stream below it.
 *
 * A `ready` notice only says "come and look": WEIR_AGAIN must always be
 * handled.  After WEIR_AGAIN a notice comes once there is something, if it is wanted.
 * A `ready` callback is the last thing that its caller does with the object.
 */
#ifndef WEIR_IO_IO_H
#define WEIR_IO_IO_H

#include "core/io/bufq.h"

struct weir_src {
	const struct weir_src_ops *ops;
	void	(*ready)(void *);	/* owned by whoever reads; may be NULL */
	void	*arg;
	const char *err;		/* after WEIR_FAIL: what happened, in a few words */
};

struct weir_src_ops {
	/*
	 * Append up to `max` bytes (more or less: a source may give up to a segment more
	 * when it has them at hand) to `to`: a count above 0, or a weir_rc.
	 */
	ssize_t	(*read)(struct weir_src *, struct weir_bufq *to, size_t max);
	/* Turn the `ready` notice on or off.  Already ready: the notice comes soon. */
	void	(*want)(struct weir_src *, bool on);
	/* The reader has lost interest in the rest. */
	void	(*stop)(struct weir_src *);
	/*
	 * Optional.  The descriptor behind the source, when its next `*left` bytes may be
	 * moved by the kernel; -1 when they may not.  moved() tells the source that
	 * they were, and whether the descriptor is now drained.
	 */
	int	(*fd)(struct weir_src *, uint64_t *left);
	void	(*moved)(struct weir_src *, uint64_t n, bool drained);
};

struct weir_sink {
	const struct weir_sink_ops *ops;
	void	(*ready)(void *);	/* owned by whoever writes */
	void	*arg;
	const char *err;
	/* Hints of who writes, which a sink may ignore: */
	bool	last;			/* finish() comes right after the write that takes everything */
	bool	closing;		/* and right after finish() the owner closes all of it */
};

struct weir_sink_ops {
	/*
	 * Take from the front of `from` what fits now: a count (0 for an empty queue), or a
	 * weir_rc.  What the sink itself still holds goes out first, so an empty
	 * queue flushes; WEIR_AGAIN then says that something is still held.
	 */
	ssize_t	(*write)(struct weir_sink *, struct weir_bufq *from);
	/*
	 * Everything was written: send FIN, close_notify, the last chunk.  WEIR_AGAIN: it is
	 * on its way, a notice comes when it may be asked again.
	 */
	int	(*finish)(struct weir_sink *);
	void	(*want)(struct weir_sink *, bool on);
	/* Give up without an orderly end: the peer must see that something is missing. */
	void	(*abort)(struct weir_sink *);
	/* Optional, as in weir_src_ops: where the kernel may put the next bytes. */
	int	(*fd)(struct weir_sink *, uint64_t *room);
	void	(*moved)(struct weir_sink *, uint64_t n, bool full);
};

struct weir_io {
	struct weir_src	 in;
	struct weir_sink out;
};

#define src_read(s, q, n)	((s)->ops->read((s), (q), (n)))
#define src_want(s, on)		((s)->ops->want((s), (on)))
#define src_stop(s)		((s)->ops->stop((s)))
#define sink_write(s, q)	((s)->ops->write((s), (q)))
#define sink_finish(s)		((s)->ops->finish((s)))
#define sink_want(s, on)	((s)->ops->want((s), (on)))
#define sink_abort(s)		((s)->ops->abort((s)))

static inline void
src_on_ready(struct weir_src *s, void (*ready)(void *), void *arg)
{
	s->ready = ready;
	s->arg = arg;
}

static inline void
sink_on_ready(struct weir_sink *s, void (*ready)(void *), void *arg)
{
	s->ready = ready;
	s->arg = arg;
}

#endif
