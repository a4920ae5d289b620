/*
 * server.h - what server.c and server_io.c share: a connection and the exchange on it.
 */
#ifndef WEIR_HTTP_H1_SERVER_H
#define WEIR_HTTP_H1_SERVER_H

#include "http/h1/body.h"

enum h1_server_state { IDLE, HEAD, BUSY, LINGER, CLOSED };
#define H1_SERVER_MAGIC 0x68317376u

struct exchange {			/* in the exchange's pool */
	struct weir_xchg x;
	struct h1_server *s;
	struct h1_rx	 rx;		/* the request's body */
	struct h1_tx	 tx;		/* the response's */
	uint64_t	 put_before;
	bool		 expects;	/* the client waits for 100 */
	bool		 head_done, broken;
	bool		 blocked;	/* the socket did not take all of `out` */
	struct weir_bufq out;
	struct weir_timer wtimer;	/* send_timeout */
};

struct h1_server {
	uint32_t	 magic;
	uint8_t		 state;
	bool		 keep, draining;
	bool		 piped;		/* the next request came together with the last one */
	uint16_t	 drain_ms;	/* how long it may stay idle then */
	uint32_t	 requests;
	uint64_t	 moment_ms;	/* IDLE: since when; LINGER: when patience ends */
	struct weir_conn *conn;
	const struct weir_serve *opts;
	struct exchange	*now;
	struct weir_bufq in;
	size_t		 scanned;
	struct weir_after after;
	struct weir_timer rtimer;
	struct weir_task task;		/* the next request, a notice of the body, the end */
};

/* ---- server_io.c: the body io of an exchange ---- */

extern const struct weir_src_ops h1_server_src_ops;
extern const struct weir_sink_ops h1_server_sink_ops;
/* Send what is held.  WEIR_AGAIN: some of it is still held, and a notice will come. */
int	h1_server_flush(struct exchange *);
/* The connection's sink can take more. */
void	h1_server_writable(void *server);
/* 100 (Continue), if the client waits for it. */
void	h1_server_continue(struct exchange *);

#endif
