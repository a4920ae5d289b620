/*
 * look.h - which name does the client of a new connection ask for?
 *
 * For listeners where it depends on the name who ends TLS.  The first message is only looked at, in as many pieces as it
 * comes, and stays in the socket for whoever does.
 */
#ifndef WEIR_TLS_LOOK_H
#define WEIR_TLS_LOOK_H

#include "core/net/conn.h"
#include "core/tls/hello.h"

enum { LOOK_MAX = HELLO_MAX + 4096 };	/* bytes, with the headers of eight hundred records */

/*
 * Takes a connection from which nothing was read since TLS might begin, and whose owner uses it no further until done(), which is
 * called once and last, never from inside, or never when the connection is cut off.
 *
 * The name is lower case, without its last dot, and lives until done() returns.  It is empty when there is none: no name is
 * asked for, or the first message is no ClientHello, nonsense, or longer than HELLO_MAX (LOOK_MAX in its records), or it did not come within `ms`,
 * or to its end.  left_ms: what is left of that time, at least 1, for a handshake, which will find out what is wrong.
 */
void	hello_look(struct weir_conn *, uint64_t ms, void (*done)(struct weir_conn *, struct weir_str name, uint64_t left_ms));

#endif
