/*
 * pump.h - one direction: from a source to a sink, until either ends.
 *
 * Reads only while less than `cap` bytes are held, so a slow sink stops
 * the source and memory is bounded.  When both ends are plain sockets and the
 * stretch ahead is long, the bytes stay in the kernel (splice).
 */
#ifndef WEIR_IO_PUMP_H
#define WEIR_IO_PUMP_H

#include "core/ev/loop.h"
#include "core/io/io.h"

enum weir_pump_end {
	PUMP_EOF,		/* source ended, sink took and finished it all */
	PUMP_SRC_FAIL,		/* src->err says what */
	PUMP_SINK_FAIL
};

struct weir_pump {
	struct weir_src	 *src;
	struct weir_sink *sink;
	struct weir_bufq  q;
	size_t		  cap;
	uint64_t	  moved;	/* taken by the sink */
	int		  pipe[2];	/* while splicing; -1: none */
	uint32_t	  in_pipe;
	bool		  eof, over, busy;
	bool		  bulk;		/* the source gives much at a time: a pipe is worth its while */
	bool		  broke;	/* the source did, while the kernel moved; what is in the pipe still goes */
	bool		  deaf;		/* after PUMP_SINK_FAIL: its peer had ended its own direction before, in order */
	bool		  torn;		/* a write has told that the source's peer reset: its end is no orderly one */
	bool		  keep_open;	/* at the end do not finish the sink */
	bool		  closing;	/* done() closes the sink */
	/* Called whenever bytes moved, for idle timers; may be NULL. */
	void		(*on_progress)(struct weir_pump *);
	/* Called once, and last: it may free the pump. */
	void		(*done)(struct weir_pump *, enum weir_pump_end);
	void		 *owner;
};

/*
 * Takes over both notices.  done() may be called from inside, so treat pump_start() as the
 * last statement.
 */
void	pump_start(struct weir_pump *, struct weir_src *, struct weir_sink *, size_t cap);
/* Go on now, for those who changed something behind the pump's back. */
void	pump_run(struct weir_pump *);
/* Forget it: drops what is held and takes the notices back; calls nothing. */
void	pump_off(struct weir_pump *);

#endif
