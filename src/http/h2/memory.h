/*
 * memory.h - what both sides give nghttp2, and how bytes go into a connection's queue.
 */
#ifndef WEIR_HTTP_H2_MEMORY_H
#define WEIR_HTTP_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

#include "core/io/bufq.h"

/*
 * Memory that does not run out before all other does: when nghttp2 had none for a response it took the request for
 * answered, and the client waited.
 */
nghttp2_mem *h2_memory(void);
/*
 * A session begins with 16k in which it puts frames together.  Those that are made meanwhile have the same 16k: for
 * sessions whose frames are copied elsewhere at once, and whose send_data() puts none off, so that nothing
 * is in it while another session is asked for frames.  A client's session has its preface in it from the beginning on:
 * ask it for frames at once.
 */
void	h2_share_room(bool on);
/*
 * Into the connection's queue, which outlives the exchange: what only refers to the memory of somebody
 * else is copied.
 */
void	h2_move_out(struct weir_bufq *to, struct weir_bufq *from, uint64_t n);

#endif
