/*
 * conn.h - a TCP (or unix) connection, accepted or dialled.
 *
 * conn->io is the topmost io: the socket, later perhaps TLS over it.  An idle
 * connection holds no buffer.
 */
#ifndef WEIR_NET_CONN_H
#define WEIR_NET_CONN_H

#include "core/ev/loop.h"
#include "core/io/fdio.h"
#include "core/metric/metric.h"
#include "core/net/listen.h"

struct weir_proxied;

/* What was said on a connection that we dialled, before anything else. */
struct weir_preface {
	size_t	n;
	char	bytes[];
};

#define WEIR_CONN_MAGIC 0x636f6e6eu

/* How a worker wants its connections to go. */
enum weir_drain {
	DRAIN_SOON,	/* a reload: idle ones get a moment for a request that may be on its way */
	DRAIN_NOW,	/* quit: idle ones close at once */
	DRAIN_CUT	/* the time is over: end everything, visibly, and log it */
};

struct weir_conn;

/* What was put between the socket and conn->io: TLS.  It begins with this and goes with the connection. */
struct weir_layer {
	const struct weir_layer_ops {
		/*
		 * The connection is being closed, with a reset or not: the last to be said is said now, and no
		 * timer and no task comes after this.
		 */
		void	(*end)(struct weir_layer *, bool reset);
		/* The end of that turn: the memory goes. */
		void	(*free)(struct weir_layer *);
		/* As conn_quiet(). */
		bool	(*quiet)(struct weir_layer *);
		/* As conn_likeness(): what tells about it, in the pool. */
		struct weir_layer *(*likeness)(struct weir_layer *, struct weir_pool *);
	} *ops;
};

enum {
	CONN_LIKENESS	= 1,	/* conn_likeness() made it */
	CONN_NOT_TLS	= 2,	/* clear text came where TLS was expected; conn->io is as it came */
	CONN_UDP	= 4	/* a client that sends datagrams: it lies in a struct weir_udp (udp.h), and nothing goes
				   through conn->io */
};

struct weir_conn {
	uint32_t		 magic;
	uint32_t		 flags;
	struct weir_io		*io;		/* topmost */
	struct weir_layer	*layer;		/* NULL: io is the socket's */
	struct weir_fdio	 tcp;
	struct weir_addr	 peer;
	struct weir_listen	*from;		/* NULL: we dialled */
	struct weir_proxied	*proxied;	/* what a PROXY header said; NULL: there was none, or no address in it */
	struct weir_preface	*preface;	/* of one that we dialled; NULL: there was none */
	uint64_t		 id;		/* for logs: *id */
	uint64_t		 began_ms;	/* weir_now_ms at accept or connect */
	struct weir_list	 all;		/* on the worker's list of accepted connections */
	/* The owner is asked to end an idle connection (worker retires, pressure). */
	void			(*on_drain)(struct weir_conn *, enum weir_drain);
	void			*owner;
};

/* Start and stop accepting on the sockets of this worker. */
int	accept_start(struct weir_listeners *, unsigned worker, unsigned workers,
	    unsigned max_conns, bool multi) WEIR_MUST_USE;
void	accept_stop(void);
/* Tell every accepted connection that the worker wants to go: calls on_drain of each. */
void	accept_drain(enum weir_drain);
/* Accepted connections alive. */
unsigned accept_count(void);
/*
 * What this worker counts: cumulative, and how many are what now.  One writer, so plain
 * stores; proc lets it point into shared memory, where others add up and read.
 */
struct weir_accept_stats {
	uint64_t accepted, handled, requests;
	int64_t	 active, reading, writing, waiting;
};
extern struct weir_accept_stats *accept_stats;	/* never NULL */
/* And by metrics. */
extern const struct weir_metric_row accept_rows[];
/* Called when the last accepted connection has gone. */
extern void (*accept_on_empty)(void);

/*
 * Nothing to read, now, and no end either?  For connections that rest: what a layer gets for itself
 * (session tickets) is taken in.
 */
bool	conn_quiet(struct weir_conn *);
/* The same, and the kernel is asked in any case: a notice may be on its way. */
bool	conn_quiet_now(struct weir_conn *);
/* The local address of a connection (getsockname, once). */
const struct weir_addr *conn_local(struct weir_conn *, struct weir_addr *to);
/* Where an accepted connection wanted to go before the kernel's address translation brought it here; false: nowhere else. */
bool	conn_wanted(struct weir_conn *, struct weir_addr *to);

/*
 * A likeness of an accepted connection, for who may outlive it: its addresses, number and times, without a
 * socket.  Lives in the pool; only to be looked at.
 */
struct weir_conn *conn_likeness(struct weir_conn *, struct weir_pool *);

/*
 * Closes now, and frees at the end of the turn.  conn_abort() makes the peer see a
 * reset instead of an orderly end.
 */
void	conn_close(struct weir_conn *);
void	conn_abort(struct weir_conn *);

/* Was exactly this said first? */
bool	conn_preface_is(const struct weir_conn *, struct weir_str);

/*
 * Connect to an address.  done() is called once, never from inside dial(), with the connection,
 * or with NULL and errno.  dial_cancel(): done will not be called; a peer that has taken the connection already, which
 * nobody here knew yet, sees a reset, for there was never anything to end in order.
 *
 * A preface (a PROXY header) is said before done(), and so before TLS, and is whole then: a connection that took
 * only a part of it is closed, is counted, and is done() with ENOBUFS, so nobody mistakes the rest for payload.
 */
struct weir_dial {
	struct weir_conn *conn;
	struct weir_str	 preface;
	struct weir_timer timer;
	struct weir_task task;
	int		 err;
	void		(*done)(struct weir_dial *, struct weir_conn *, int err);
};
struct weir_dial_opts {
	const struct weir_addr *bind;	/* NULL: any */
	bool		 bind_port;	/* the port of bind counts too */
	bool		 transparent;
	bool		 keepalive;	/* SO_KEEPALIVE */
	bool		 nagle;		/* no TCP_NODELAY */
	int		 rcvbuf, sndbuf; /* SO_RCVBUF, SO_SNDBUF; 0: the kernel's */
	uint64_t	 timeout_ms;
	struct weir_str	 preface;	/* lives until done(); empty: none */
};
extern const struct weir_metric_row dial_rows[];
void	dial_start(struct weir_dial *, const struct weir_addr *, const struct weir_dial_opts *);
void	dial_cancel(struct weir_dial *);

#endif
