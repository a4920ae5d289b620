/*
 * relay.h - join two ios until both directions have ended.
 *
 * CONNECT, WebSocket, SOCKS5, Shadowsocks and passthrough all end up here.  One
 * direction ending is passed on as a half-close and the other goes on; an
 * error in either ends both, but what a side has said before it refused to hear more is delivered.  One idle timer runs for both, reset by bytes in either.
 */
#ifndef WEIR_IO_RELAY_H
#define WEIR_IO_RELAY_H

#include "core/io/pump.h"

enum weir_relay_end { RELAY_EOF, RELAY_A_FAIL, RELAY_B_FAIL, RELAY_IDLE };

struct weir_relay {
	struct weir_io	*a, *b;
	struct weir_pump ab, ba;
	struct weir_timer idle;
	uint64_t	 idle_ms;
	/* Said before it starts, or left 0: */
	struct weir_src	*from_a, *from_b; /* what is read in the ios' stead: something above them */
	bool		 whole;		/* when one direction ends, both end */
	void		(*on_moved)(struct weir_relay *);	/* bytes did, in either direction */
	int		 open;		/* directions still running */
	uint8_t		 first;		/* who ended its own first: 1: a, 2: b */
	bool		 over;
	enum weir_relay_end spoiled;	/* a side takes no more; what it has said itself is still delivered */
	void		(*done)(struct weir_relay *, enum weir_relay_end);
	void		*owner;
};

/*
 * Does not own the ios.  done() is called once and last, after which both ios have been
 * finished or aborted; it must close both, because where that says the end as well they were not told.  idle_ms 0: no limit.
 */
void	relay_start(struct weir_relay *, struct weir_io *a, struct weir_io *b, size_t cap,
	    uint64_t idle_ms);
/* Bytes that were read before the relay began, to go to b, or to a. */
void	relay_preload(struct weir_relay *, struct weir_bufq *to_b, struct weir_bufq *to_a);
void	relay_off(struct weir_relay *);

#endif
