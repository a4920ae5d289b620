/*
 * h2.h - HTTP/2 (RFC 9113), towards clients.
 *
 *	preface.c  is it HTTP/2?  Clear connections that may begin with its preface
 *	server.c   a connection: reading, writing, timeouts, draining
 *	stream.c   an exchange: head, bodies, release
 *	tail.c     the rest of a request that is answered already
 *	session.c  what nghttp2 tells us and asks us for
 *	closed.c   frames on streams that are closed
 *	head.c     fields of a request to a message, strictly
 *	respond.c  heads of responses
 *	budget.c   what a client may do that costs us more than it costs him
 *	conf.c     directives
 *
 * Frames, HPACK, windows and the order of streams are nghttp2's.  It checks nothing of messages here:
 * that is head.c's, so that one set of rules and one set of answers holds for all versions.
 */
#ifndef WEIR_HTTP_H2_H2_H
#define WEIR_HTTP_H2_H2_H

#include "core/conf/conf.h"
#include "http/codec.h"

extern const struct weir_codec h2_codec;
extern const struct weir_module http_v2_module;

/* Is it switched on in a server, by `http2 on`? */
bool	h2_is_on(void *const *conf);

/*
 * A clear connection whose server speaks HTTP/2 as well: waits for its first bytes, without taking them, and
 * says whether they are the preface (RFC 9113, 3.4).  A connection on which nothing comes within `wait_ms`
 * is closed.
 */
void	h2_look(struct weir_conn *, uint64_t wait_ms, void (*done)(struct weir_conn *, bool h2));

#endif
