/*
 * body.h - how the bytes of a body are framed, for the server and the client side alike.
 *
 * Nothing here reads or writes a connection: h1_take() decodes what was read, h1_frame() puts what is
 * to be sent into a queue.
 */
#ifndef WEIR_HTTP_H1_BODY_H
#define WEIR_HTTP_H1_BODY_H

#include "http/codec.h"
#include "http/h1/parse.h"

enum h1_framing {
	H1_HEAD,		/* not known yet: the head is still to come */
	H1_NOTHING,		/* there is no body */
	H1_LENGTH,
	H1_CHUNKED,
	H1_UNTIL_CLOSE,		/* the end of the connection is its end */
	H1_RAW			/* a tunnel: no body, just bytes */
};

enum { H1_MAX_TRAILER = 16384, H1_READ_STEP = 65536 };

struct h1_rx {			/* a body that comes in */
	struct h1_chunks chunks;
	uint64_t	 left;		/* H1_LENGTH: still to come */
	uint8_t		 mode;
	bool		 failed;
};

struct h1_tx {			/* a body that goes out */
	struct weir_fields trailers;
	uint64_t	 left;		/* H1_LENGTH: still to be given */
	uint8_t		 mode;
	bool		 finished;	/* its end was framed */
};

/* How much to ask the connection for. */
static inline uint64_t
h1_wants(const struct h1_rx *rx)
{
	return rx->mode == H1_LENGTH ? WEIR_MIN(rx->left, (uint64_t)H1_READ_STEP) : H1_READ_STEP;
}

/*
 * Decode from `have` to `to`: a count; WEIR_AGAIN: more has to be read; WEIR_EOF: the body is complete, x->in_eof is
 * set and trailers are in x->msg; WEIR_FAIL: malformed, x->io.in.err says how.  Not for H1_UNTIL_CLOSE and H1_RAW.
 */
ssize_t	h1_take(struct h1_rx *, struct weir_xchg *x, struct weir_bufq *have, struct weir_bufq *to,
	    size_t max, const struct h1_limits *);
/* Bytes that the kernel moved past us. */
void	h1_taken(struct h1_rx *, struct weir_xchg *x, uint64_t n);
/* May the kernel move them?  Then how many. */
static inline bool
h1_direct(unsigned mode)
{
	return mode == H1_LENGTH || mode == H1_UNTIL_CLOSE || mode == H1_RAW;
}

/* Move all of `from` to `held`, framed.  WEIR_FAIL with *err: more than was announced. */
int	h1_frame(struct h1_tx *, struct weir_bufq *held, struct weir_bufq *from, const char **err)
	    WEIR_MUST_USE;
/* The end, once.  WEIR_FAIL with *err: less than was announced. */
int	h1_frame_end(struct h1_tx *, struct weir_bufq *held, const char **err) WEIR_MUST_USE;

#endif
