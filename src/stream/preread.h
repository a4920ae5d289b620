/*
 * preread.h - what a client sends first, looked at before it is passed on.
 *
 * Without TLS it stays in the kernel, and is never taken out; of TLS it lies in the session's queue, which the relay begins
 * with.  Of datagrams the first one is all that there is.
 *
 * The session ends when none can come: at the client's end, when preread_buffer_size is full, and when preread_timeout is over.
 */
#ifndef WEIR_STREAM_PREREAD_H
#define WEIR_STREAM_PREREAD_H

#include "stream/stream.h"

/*
 * ON_PREREAD: the bytes that are here, in one piece, which holds until there are more; and: I need more of them.  WEIR_NEXT:
 * here they are; else what the hook shall return, which is asked again when they have come.
 */
struct weir_str stream_preread(struct weir_stream *);
enum weir_next stream_preread_more(struct weir_stream *);

/* For serve.c: the hooks have seen enough; and: its timer is over, and they have not. */
void	stream_preread_end(struct weir_stream *);
void	stream_preread_late(struct weir_stream *);

#endif
