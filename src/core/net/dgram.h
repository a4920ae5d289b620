/*
 * dgram.h - datagrams: taken and sent in batches.
 *
 * Where the kernel can (UDP_GRO, UDP_SEGMENT), datagrams of one sender that came together stay together: a bundle is
 * some bytes and how long each datagram in it is, but for the last, which may be shorter.  Who cannot use a
 * bundle asks dgram_cut() for its parts.
 *
 *	dgram.c  sockets
 *	udp.c    clients: sessions of listeners
 *
 * Datagrams get lost: what cannot be sent at once is dropped, and counted.
 */
#ifndef WEIR_NET_DGRAM_H
#define WEIR_NET_DGRAM_H

#include "core/ev/loop.h"
#include "core/metric/metric.h"
#include "core/net/addr.h"

struct weir_dial_opts;

#define DGRAM_MAX	65536u		/* more than a datagram can have, and than a bundle has */

struct weir_bundle {
	const char	*p;
	size_t		 n;
	size_t		 each;		/* bytes of each datagram; n: it is one */
};

/* How many datagrams it has. */
static inline size_t
bundle_count(const struct weir_bundle *b)
{
	return b->n <= b->each ? 1 : (b->n + b->each - 1) / b->each;
}

/* The first `count` of them, at least 1; the others stay in *b.  False: there are none left (*b is n 0, each 0). */
bool	bundle_cut(struct weir_bundle *b, size_t count, struct weir_bundle *to);

/* Copies of some, in order: while nobody takes them, or because they may have to be sent once more. */
struct weir_dgramq {
	struct dgram_kept *first, **tail;
	unsigned	 n;
	size_t		 bytes;
};
enum { DGRAMQ_MOST = 16, DGRAMQ_BYTES = 131072 };

void	dgramq_init(struct weir_dgramq *);
/* False: there is no room, nothing was taken. */
bool	dgramq_put(struct weir_dgramq *, const struct weir_bundle *);
/* The first; it stays until dgramq_drop().  False: there is none. */
bool	dgramq_first(const struct weir_dgramq *, struct weir_bundle *);
void	dgramq_drop(struct weir_dgramq *);
/* One after the other; *at begins with NULL. */
bool	dgramq_next(const struct weir_dgramq *, struct dgram_kept **at, struct weir_bundle *);
void	dgramq_clear(struct weir_dgramq *);

/* What came to a socket that many send to. */
struct weir_dgram_in {
	struct weir_bundle bundle;
	struct weir_addr from;
	struct weir_addr to;		/* where it was sent to, without a port; AF_UNSPEC: the kernel did not say */
};

/*
 * As many as came, at most a batch; their bytes are good until the next call.  Returns their number, or WEIR_AGAIN,
 * or WEIR_FAIL with errno (of a connected socket: what became of datagrams that it sent).
 */
ssize_t	dgram_recv(int fd, struct weir_dgram_in **) WEIR_MUST_USE;
#define DGRAM_BATCH	16		/* who got fewer knows that there were no more */

struct weir_dgram_out {
	struct weir_bundle bundle;
	struct weir_str	 head;		/* goes in front of the first datagram */
	const struct weir_addr *to;	/* NULL: the socket is connected */
	const struct weir_addr *from;	/* NULL: the kernel chooses, as the socket is bound */
};
/* Returns how many datagrams were sent; if not all, errno says why of the last that was not, and the metric has them. */
size_t	dgram_send(int fd, const struct weir_dgram_out *);

/* What a socket gets where it is bound: bundles where the kernel has them, and addresses when it is bound to all. */
void	dgram_prepare(int fd, const struct weir_addr *);

/* ---- a connected socket ---- */

struct weir_dgram {
	struct weir_fd	 ev;
	uint64_t	 got, put;	/* bytes, for logs */
	void		*owner;
	/* Bytes are good until it returns.  It may end the socket. */
	void		(*on_data)(struct weir_dgram *, struct weir_bundle);
	/* What was sent did not arrive: ECONNREFUSED and the like.  The same. */
	void		(*on_error)(struct weir_dgram *, int err);
};

/*
 * Makes a socket that is connected to an address, and watches it.  Of the options those about the local address and buffers
 * count.  WEIR_FAIL with errno.
 */
int	dgram_dial(struct weir_dgram *, const struct weir_addr *, const struct weir_dial_opts *) WEIR_MUST_USE;
/* All of it, or less: what a datagram did not reach is found out later, by on_error. */
size_t	dgram_put(struct weir_dgram *, struct weir_bundle, struct weir_str head);
/* Harmless when it has ended. */
void	dgram_end(struct weir_dgram *);

extern const struct weir_metric_row dgram_rows[];

#endif
