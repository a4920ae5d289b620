/*
 * h2.h - HTTP/2 (RFC 9113), towards clients and towards upstreams.
 *
 *	preface.c  is it HTTP/2?  Clear connections that may begin with its preface
 *	server.c   a connection: reading, writing, timeouts, draining
 *	stream.c   an exchange: head, bodies, release
 *	raw.c      a stream that has become a tunnel
 *	tail.c     the rest of a request that is answered already
 *	session.c  what nghttp2 tells us and asks us for
 *	priority.c which response goes first
 *	closed.c   frames on streams that are closed
 *	head.c     fields of a request to a message, strictly
 *	respond.c  heads of responses
 *	budget.c   what a client may do that costs us more than it costs him
 *	conf.c     directives
 *
 *	client.c   a link to an upstream: reading, writing, its end
 *	client_call.c  an exchange on it
 *	client_session.c  what nghttp2 tells us and asks us for
 *	client_budget.c  what an upstream may do that costs us more than it costs it
 *	client_head.c  a message to the fields of a request, and fields of a response to a message, strictly
 *
 *	field.c    one field, whichever side it comes from
 *	memory.c   memory for nghttp2
 *	setup.c    a session of nghttp2, as either side begins one
 *
 * Frames, HPACK, windows and the order of streams are nghttp2's.  It checks nothing of messages here:
 * that is head.c's and client_head.c's, so that one set of rules and one set of answers holds for all versions.
 */
#ifndef WEIR_HTTP_H2_H2_H
#define WEIR_HTTP_H2_H2_H

#include "core/conf/conf.h"
#include "http/codec.h"

extern const struct weir_codec h2_codec;
/*
 * The client side.  A link carries many exchanges at a time (weir_link.room says how many more may be opened now).  It
 * is for connections that speak HTTP/2 for certain: clear ones by prior knowledge, TLS after ALPN chose "h2".
 *
 * The head of a request is an HTTP/1 one in all but its fields' fate: Host becomes :authority, TE goes only as
 * "trailers", fields about the connection stay here.  msg->length < 0 sends a body without Content-Length.
 * HEAD_TUNNEL is refused.  xchg_cancel() and a release in the middle reset the stream, not the link.
 *
 * Responses: msg.length is -1 where none was said; trailers are in msg.trailers at the end of the body.  What is
 * malformed is told by on_gone() with x->gone 0; x->untouched says that the request may be sent again in any case.
 */
extern const struct weir_codec h2_client_codec;
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
