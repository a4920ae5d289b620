/*
 * preread.h - what a client sends first, looked at before it is passed on.
 *
 * Without TLS it stays in the kernel, and is never taken out; of TLS it lies in the session's queue, which the relay begins
 * with.  Of datagrams the first one is all that there is.
 *
 * A hook that is not content with what is here either insists on more, or makes do with what comes within a time of its own.
 */
#ifndef WEIR_STREAM_PREREAD_H
#define WEIR_STREAM_PREREAD_H

#include "stream/stream.h"

/* ON_PREREAD: the bytes that are here, in one piece, which holds until there are more. */
struct weir_str stream_preread(struct weir_stream *);
/*
 * I need more of them.  WEIR_NEXT: here they are; else what the hook shall return, which is asked again when they have come.
 * The session ends when none can come: at the client's end, when preread_buffer_size is full, and when preread_timeout is over.
 */
enum weir_next stream_preread_more(struct weir_stream *);
/*
 * Are there more?  How many, 0: preread_buffer_size is full, or WEIR_AGAIN, WEIR_EOF, WEIR_FAIL.  After WEIR_AGAIN a hook may
 * return what stream_preread_wait() returns, and is asked again when there may be; or when its own timer resumes the session.
 */
ssize_t	stream_preread_try(struct weir_stream *) WEIR_MUST_USE;
enum weir_next stream_preread_wait(struct weir_stream *);

/* For serve.c: the hooks have seen enough; and: its timer is over, and they have not. */
void	stream_preread_end(struct weir_stream *);
void	stream_preread_late(struct weir_stream *);

#endif
