/*
 * body.c - how the bytes of a body are framed, for the server and the client side alike.
 */
#include "http/h1/body.h"
#include "http/h1/write.h"

static ssize_t
complete(struct weir_xchg *x)
{
	x->in_eof = 1;
	return WEIR_EOF;
}

static ssize_t
take_length(struct h1_rx *rx, struct weir_xchg *x, struct weir_bufq *have, struct weir_bufq *to,
    size_t max)
{
	uint64_t n;

	if (rx->left == 0)
		return complete(x);
	if (have->len == 0)
		return WEIR_AGAIN;
	n = bufq_move(to, have, WEIR_MIN(rx->left, max));
	h1_taken(rx, x, n);
	return (ssize_t)n;
}

static ssize_t
take_chunks(struct h1_rx *rx, struct weir_xchg *x, struct weir_bufq *have, struct weir_bufq *to,
    size_t max, const struct h1_limits *limits)
{
	const char *why = NULL;
	ssize_t n;

	if (x->in_eof)
		return WEIR_EOF;
	n = h1_chunks_read(&rx->chunks, have, to, max, H1_MAX_TRAILER, &why);
	if (n > 0)
		x->received += (uint64_t)n;
	if (n == WEIR_EOF && h1_chunks_trailers(&rx->chunks, x->pool, limits, &x->msg.trailers,
	    &why) == WEIR_OK)
		return complete(x);
	if (n != WEIR_EOF && n != WEIR_FAIL)
		return n;
	x->io.in.err = why;
	rx->failed = true;
	return WEIR_FAIL;
}

ssize_t
h1_take(struct h1_rx *rx, struct weir_xchg *x, struct weir_bufq *have, struct weir_bufq *to,
    size_t max, const struct h1_limits *limits)
{
	if (rx->failed)
		return WEIR_FAIL;
	switch (rx->mode) {
	case H1_LENGTH:
		return take_length(rx, x, have, to, max);
	case H1_CHUNKED:
		return take_chunks(rx, x, have, to, max, limits);
	case H1_NOTHING:
		return complete(x);
	default:
		return WEIR_AGAIN;
	}
}

void
h1_taken(struct h1_rx *rx, struct weir_xchg *x, uint64_t n)
{
	x->received += n;
	if (rx->mode != H1_LENGTH)
		return;
	rx->left -= n;
	if (rx->left == 0)
		x->in_eof = 1;
}

int
h1_frame(struct h1_tx *tx, struct weir_bufq *held, struct weir_bufq *from, const char **err)
{
	uint64_t n = from->len;

	switch (tx->mode) {
	case H1_NOTHING:
		bufq_clear(from);
		return WEIR_OK;
	case H1_LENGTH:
		if (n > tx->left) {
			*err = "the body is longer than its Content-Length";
			return WEIR_FAIL;
		}
		tx->left -= n;
		break;
	case H1_CHUNKED:
		if (n == 0)
			return WEIR_OK;
		h1_put_chunk_size(held, n);
		bufq_move(held, from, n);
		bufq_put(held, "\r\n", 2);
		return WEIR_OK;
	default:
		break;
	}
	bufq_move(held, from, n);
	return WEIR_OK;
}

int
h1_frame_end(struct h1_tx *tx, struct weir_bufq *held, const char **err)
{
	if (tx->finished)
		return WEIR_OK;
	if (tx->mode == H1_LENGTH && tx->left != 0) {
		*err = "the body is shorter than its Content-Length";
		return WEIR_FAIL;
	}
	if (tx->mode == H1_CHUNKED)
		h1_put_last_chunk(held, tx->trailers.n != 0 ? &tx->trailers : NULL);
	tx->finished = true;
	return WEIR_OK;
}
