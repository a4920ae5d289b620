/*
 * write.h - HTTP/1 heads to text.
 */
#ifndef WEIR_HTTP_H1_WRITE_H
#define WEIR_HTTP_H1_WRITE_H

#include "core/io/bufq.h"
#include "http/msg/msg.h"

/* Does this field frame the message or the connection?  The codec writes those itself. */
bool	h1_is_framing(const struct weir_field *);

/*
 * First line, the fields of msg except framing ones, `extra` (whole lines with
 * CRLF, e.g. "Connection: close\r\n"), and the empty line.
 */
void	h1_put_response(struct weir_bufq *, const struct weir_msg *, struct weir_str extra);
void	h1_put_request(struct weir_bufq *, const struct weir_msg *, struct weir_str extra);
/* The last chunk with its trailers. */
void	h1_put_last_chunk(struct weir_bufq *, const struct weir_fields *trailers);
/* "1f4\r\n" before a chunk's data. */
void	h1_put_chunk_size(struct weir_bufq *, uint64_t);

#endif
