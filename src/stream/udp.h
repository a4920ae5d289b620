/*
 * udp.h - sessions whose client sends datagrams: the upstream's side of them.
 *
 *	up.c picks a server -> stream_udp_dial -> datagrams both ways -> end
 *	      ^                      |                 |
 *	      +------- refused ------+----- refused, and nothing was heard yet
 *
 * The session ends when as many answers have come as proxy_responses says, when proxy_timeout is over, when the upstream
 * refuses, or when another client needs the room (core/net/udp.h).
 */
#ifndef WEIR_STREAM_UDP_H
#define WEIR_STREAM_UDP_H

#include "core/net/udp.h"
#include "stream/up.h"

struct weir_stream_udp {
	struct weir_stream_up *u;
	struct weir_dgram link;			/* with the upstream */
	uint64_t	 requests, responses;	/* datagrams of the client, and for it */
	struct weir_dgramq sent;		/* while nothing was heard: for another server */
	struct weir_dgramq held;		/* of the client, by proxy_upload_rate */
	uint64_t	 rates[2];		/* bytes a second of the client, and of the upstream; 0: any */
	uint64_t	 moved[2];
	struct weir_timer timers[2];		/* when they may go on */
	struct weir_timer idle;
	struct weir_str	 head;			/* in front of the first datagram */
	bool		 begun, paused;
};

/* To the peer that was picked.  False: it cannot be, with errno. */
bool	stream_udp_dial(struct weir_stream_up *, const struct weir_addr *, const struct weir_dial_opts *) WEIR_MUST_USE;
/* Then: what the client sent goes there, and what comes, to the client. */
void	stream_udp_begin(struct weir_stream_up *);
/* The link, if there is one, ends; what is kept for another stays. */
void	stream_udp_let_go(struct weir_stream_up *);
/* All of it ends. */
void	stream_udp_end(struct weir_stream_up *);
void	stream_udp_free(struct weir_stream_up *);

#endif
