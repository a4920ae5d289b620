/*
 * fdio.h - the io of a stream socket.
 */
#ifndef WEIR_IO_FDIO_H
#define WEIR_IO_FDIO_H

#include "core/ev/loop.h"
#include "core/io/io.h"

struct weir_fdio {
	struct weir_io	 io;
	struct weir_fd	 ev;
	uint8_t		 rd_want, wr_want;
	uint8_t		 eof, broken, wr_broken;	/* broken: errno is in err_no */
	uint8_t		 shut;		/* our direction was ended */
	uint8_t		 greed;		/* how many large segments a read asks for */
	uint8_t		 tcp;		/* it is TCP: a short count before an announced end was the rest */
	uint8_t		 nagle;		/* TCP_NODELAY is wanted and not set yet: FDIO_FRESH, FDIO_DUE */
	int		 err_no;
	struct weir_task notice;	/* `ready` wanted though no event will come */
	/* The peer ended or reset while nobody was reading; may be NULL. */
	void		(*on_gone)(void *);
	void		*gone_arg;
	uint64_t	 got, put;	/* bytes, for logs; a layer counts what it carries */
};

/*
 * Nagle's algorithm waits only while something is on its way, so that who says one short thing needs no TCP_NODELAY: it is
 * set when more is to be sent.
 */
enum { FDIO_FRESH = 1, FDIO_DUE };

/* Takes over a nonblocking, connected (or connecting) descriptor and watches it. */
int	fdio_init(struct weir_fdio *, int fd) WEIR_MUST_USE;
/* Ends it: closes the descriptor.  `reset`: SO_LINGER 0 first. */
void	fdio_end(struct weir_fdio *, bool reset);
/* Has the peer ended its direction, or is the connection broken?  Reads nothing. */
bool	fdio_gone(const struct weir_fdio *);
/*
 * For layers that have memory of their own: read and write without queues, and count nothing.  A number of
 * bytes, WEIR_AGAIN, WEIR_EOF (reading), or WEIR_FAIL.
 */
ssize_t	fdio_recv(struct weir_fdio *, void *, size_t);
ssize_t	fdio_send(struct weir_fdio *, const void *, size_t, bool more);	/* follows at once */
/* Nothing to read, now, and no end either?  Asks the kernel only when that is not known. */
bool	fdio_quiet(struct weir_fdio *);
/* Would a read find something: bytes, perhaps, or the end?  No: an event will tell. */
static inline bool
fdio_may_read(const struct weir_fdio *f)
{
	return (f->ev.ready & EV_READ) || f->eof || f->broken;
}
/* Was it a reset rather than an orderly end? */
static inline bool
fdio_reset(const struct weir_fdio *f)
{
	return f->broken || f->wr_broken || (f->ev.ready & EV_ERR);
}

extern const struct weir_src_ops fdio_src_ops;
extern const struct weir_sink_ops fdio_sink_ops;

#endif
