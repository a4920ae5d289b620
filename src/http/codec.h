/*
 * codec.h - what a version of HTTP looks like to everybody above it.
 *
 * An exchange (struct weir_xchg) is one request and its response: a body io
 * plus two heads.  The same struct serves both sides, which makes a proxy symmetrical:
 *
 *			server side			client side
 *	io.in		the request's body		the response's body
 *	io.out		the response's body		the request's body
 *	head()		sends a response head (1xx too)	sends the request head
 *	on_head		(given with on_xchg)		a response head came (1xx too)
 *
 * Order on the sending side: head(), then sink_write() any number of times,
 * trailers() if there are any, sink_finish().  Nothing is sent before the first write, flush or
 * finish, so head and body leave in one system call; sink_write() of an empty
 * queue flushes.
 *
 * Body sources give WEIR_EOF only when the message was complete; a body cut short is
 * WEIR_FAIL.  Trailers that came are in msg.trailers then.
 */
#ifndef WEIR_HTTP_CODEC_H
#define WEIR_HTTP_CODEC_H

#include "core/io/io.h"
#include "core/net/conn.h"
#include "http/msg/msg.h"

enum weir_cancel {
	CANCEL_PEER,		/* the other side went away */
	CANCEL_TIMEOUT,
	CANCEL_REFUSED,		/* we do not want it */
	CANCEL_INTERNAL
};

/* Flags of head(). */
enum {
	HEAD_END	= 1,	/* no body follows: finish() comes next without writes */
	HEAD_CLOSE	= 2,	/* the connection shall end after this exchange */
	HEAD_CHUNKED	= 4,	/* length -1: frame it as chunks if the version needs that (else by closing) */
	HEAD_TUNNEL	= 8	/* 101 or 2xx to CONNECT: after it the io carries raw bytes both ways */
};

/* How the server side goes on when an exchange was released; set by its owner before. */
struct weir_after {
	uint32_t	 keepalive_ms;		/* 0: close */
	uint32_t	 keepalive_min_ms;	/* so long it stays open even when the worker retires */
	uint32_t	 keepalive_header_ms;	/* told to the client in Keep-Alive; 0: not */
	uint32_t	 linger_ms, linger_each_ms;	/* lingering_time, lingering_timeout */
	uint8_t		 linger;		/* 0 off, 1 when needed, 2 always */
	bool		 reset;			/* close what was not completed with a reset */
	bool		 last;			/* by its number or its age the connection has served enough */
};

struct weir_xchg;

struct weir_xchg_ops {
	/*
	 * The codec adds what frames the message and the connection (Content-Length from msg->length,
	 * Transfer-Encoding, Connection, Keep-Alive); fields of msg that do so are skipped.
	 */
	int	(*head)(struct weir_xchg *, const struct weir_msg *, unsigned flags);
	/* Takes effect at finish(); copied. */
	int	(*trailers)(struct weir_xchg *, const struct weir_fields *);
	/* End it now; the peer sees that it is not complete, unless it was. */
	void	(*cancel)(struct weir_xchg *, enum weir_cancel);
	/*
	 * The owner has finished with the exchange: nothing of it is used again, no notice
	 * is given.  The server side goes on to the next request (or closes), the client side
	 * decides whether the link can be used again.
	 */
	void	(*release)(struct weir_xchg *);
	/*
	 * After the head of a tunnel: give the connection up.  `in` gets what was read and not yet taken, `out`
	 * what was not yet sent.  Nothing but release() may be called then.
	 */
	struct weir_conn *(*detach)(struct weir_xchg *, struct weir_bufq *in, struct weir_bufq *out);
	/*
	 * In place of detach(), where the connection serves others, too: what is left is a stream, an exchange
	 * of nothing but its io, on_gone, owner and counts, without a pool.  Both are to be released.
	 */
	struct weir_xchg *(*raw)(struct weir_xchg *);
	/*
	 * Server side: the client waits for 100 (Continue); send it now, once.  Called
	 * when somebody really wants the body.
	 */
	void	(*want_body)(struct weir_xchg *);
};

#define WEIR_XCHG_MAGIC 0x78636867u

struct weir_xchg {
	uint32_t		 magic;
	uint16_t		 version;	/* 0x101, 0x200, 0x300 */
	uint8_t			 gone;		/* the peer: 1 has ended its direction, 2 is lost */
	uint8_t			 in_eof;	/* the body that comes in is complete */
	uint8_t			 piped;		/* server side: it came together with the one before ($pipe) */
	struct weir_io		 io;
	const struct weir_xchg_ops *ops;
	struct weir_conn	*conn;
	struct weir_pool	*pool;		/* of this exchange; made by the codec on the server
						   side, by whoever opens on the client side */
	struct weir_msg		 msg;		/* the head that came in */
	struct weir_str		 raw;		/* server side: that head as text, for codec->reread() */
	const struct weir_codec	*codec;
	uint64_t		 sent;		/* bytes put on the wire for it, heads included */
	uint64_t		 received;	/* body bytes that came in, framing not counted */
	uint64_t		 send_ms;	/* timeouts, set by the owner: between two writes, */
	uint64_t		 recv_ms;	/* between two reads of the body */
	uint64_t		 hold;		/* server side: so many of the last bytes of the head may not go yet; set by
						   the owner, who then writes nothing but nothing.  Not all versions can. */
	struct weir_after	 after;		/* server side: what follows the release */
	void *const		*conf;		/* of the place that serves it, set by the owner; NULL: not known yet */
	unsigned		 number;	/* how many exchanges this connection has had, this one counted */
	void			*owner;
	/*
	 * Server side: after the release, the task that frees the exchange with its pool.  The codec may run it
	 * early, when nothing of the exchange is on the stack any more.
	 */
	struct weir_task	*end;
	/* client side */
	bool			 untouched;	/* when it is gone: the peer did nothing of the request (RFC 9113, 8.7),
						   so anybody may have it, whatever its method is */
	uint64_t		 came;		/* bytes that came on the wire for it, as far as the version can tell */
	struct weir_head_limits {
		uint32_t	 line, total, fields;
	}			 limits;	/* of a response head; set by the owner before head() */
	/* client side: a head has come, in msg */
	void	(*on_head)(struct weir_xchg *);
	/*
	 * The peer left, or a timeout of this exchange passed, while nobody was reading or writing.
	 * The owner is expected to cancel and release, in its own time.
	 */
	void	(*on_gone)(struct weir_xchg *, const char *why);
};

#define xchg_head(x, m, f)	((x)->ops->head((x), (m), (f)))
#define xchg_trailers(x, t)	((x)->ops->trailers((x), (t)))
#define xchg_cancel(x, why)	((x)->ops->cancel((x), (why)))
#define xchg_release(x)		((x)->ops->release((x)))

/* What the server side of a codec needs to know of the address it serves. */
struct weir_serve {
	void *const	*conf;			/* of the server that is meant, as far as it is known */
	const struct weir_log *log;
	uint64_t	 header_ms;		/* client_header_timeout */
	uint32_t	 keepalive_ms;		/* keepalive_timeout, before a request has said another */
	uint32_t	 line, total, fields;	/* limits of a head */
	uint32_t	 large, large_total;	/* large_client_header_buffers: a field, and all of them */
	bool		 ignore_invalid, underscores;
	/* A request's head is complete and well-formed.  Last statement of its caller. */
	void		(*on_xchg)(struct weir_xchg *);
	/*
	 * What came is not a request that can be served: answer with this status and close.  The exchange
	 * has as much of msg as could be read.  Last statement of its caller.
	 */
	void		(*on_bad)(struct weir_xchg *, int status, const char *why);
	/* A connection ended without a request, for logs; may be NULL. */
	void		*owner;
};

/* A live connection to an upstream, with room for one exchange (h1) or many (h2). */
struct weir_link;

struct weir_codec {
	const char	*name, *alpn;
	bool		 many;		/* a link carries many exchanges at a time */
	/* Serve a connection. */
	void		(*serve)(struct weir_conn *, const struct weir_serve *);
	/* Make a link of a connection that was dialled; it owns the connection. */
	struct weir_link *(*link)(struct weir_conn *);
	/* A new exchange on a link, NULL when it has no room. */
	struct weir_xchg *(*open)(struct weir_link *, struct weir_pool *);
	/* End a link (idle or not). */
	void		(*end)(struct weir_link *);
	/*
	 * Parse a request head that was accepted before once more; the text lives as long as the pool.
	 */
	void		(*reread)(struct weir_pool *, struct weir_str raw, struct weir_msg *);
};

enum weir_link_state { LINK_IDLE, LINK_BUSY, LINK_DEAD };

#define WEIR_LINK_MAGIC 0x6c696e6bu

struct weir_link {
	uint32_t		 magic;
	enum weir_link_state	 state;
	const struct weir_codec	*codec;
	struct weir_conn	*conn;
	unsigned		 requests;	/* exchanges so far */
	unsigned		 open, room;	/* of a codec with many: exchanges now, and how many more there may be */
	unsigned		 limit;		/* all of them, as the peer said; 0: it did not yet, and nobody who keeps
						   its links remembers */
	bool			 trusted;	/* by whoever keeps it, to go on reading: the peer need not prove it */
	uint64_t		 kind;		/* of whoever keeps it: links of different kinds cannot stand in for each other */
	uint64_t		 idle_since_ms;
	/*
	 * The loan of an exchange has ended (after its release) with the link idle and fit for another, or
	 * dead (then codec->end() is the only thing to do); or an idle link died.  A link with many exchanges
	 * that dies has no room from then on; each of its exchanges is told.
	 */
	void			(*on_state)(struct weir_link *);
	struct weir_list	 node;		/* of whoever keeps it */
	void			*keeper;
};

#endif
