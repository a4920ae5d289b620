/*
 * udp.h - clients that send datagrams: a session for each, of what one address and port sends to one of ours.
 *
 * A session is a struct weir_conn with CONN_UDP, so it counts as a connection, drains as one, and is ended by
 * conn_close().  No bytes go through its io: what came is handed to on_data(), what is to go out is for udp_put().
 *
 * A worker has at most so many of them as udp_start() says.  When a client comes for whom there is no room, the session that was quiet
 * for longest gives way; rather one whose client never answered an answer, so that many made-up addresses do not
 * push out those who are really there.
 *
 * A worker that retires takes nothing from its sockets any more (others do), but its sessions can still answer.
 */
#ifndef WEIR_NET_UDP_H
#define WEIR_NET_UDP_H

#include "core/net/conn.h"
#include "core/net/dgram.h"

struct weir_udp {
	struct weir_conn conn;		/* tcp.got, tcp.put: bytes, for logs */
	struct weir_addr local;		/* what the client sends to */
	/*
	 * Datagrams came; NULL: they are kept, some of them, until udp_begin().  Bytes are good until it returns.  It may
	 * close the session.
	 */
	void		(*on_data)(struct weir_udp *, struct weir_bundle);
	uint64_t	 most;		/* how many datagrams it takes before another session begins; 0: all */
	uint64_t	 taken;		/* datagrams so far */
	uint64_t	 answered;	/* datagrams that went out */
	/* udp.c's own: */
	struct udp_socket *socket;
	struct weir_udp	*chain;		/* in the table; of the same hash */
	uint64_t	 hash;
	struct weir_list age;		/* of its kind, the one that was heard last in front */
	struct weir_bundle now;		/* while on_conn is told: what made the session */
	struct weir_dgramq kept;
	bool		 known;		/* it is in the table */
	bool		 proven;	/* the client has heard us: it sent after an answer */
	bool		 evicted;	/* it ends because there is no room for it */
	bool		 gone;
};

static inline struct weir_udp *
udp_of(struct weir_conn *c)
{
	return WEIR_OF(c, struct weir_udp, conn);
}

/* Take from the sockets of this worker, with at most so many sessions. */
int	udp_start(struct weir_listeners *, unsigned worker, unsigned workers, unsigned most) WEIR_MUST_USE;
void	udp_stop(void);

/* The first bytes that came, before udp_begin(). */
struct weir_str udp_first(const struct weir_udp *);
/* From now on this gets what comes, and, first, what came before; `most` counts from the first. */
void	udp_begin(struct weir_udp *, void (*on_data)(struct weir_udp *, struct weir_bundle));
/* To the client, from the address that it sent to.  Returns how many of the datagrams were sent. */
size_t	udp_put(struct weir_udp *, struct weir_bundle);
/* What the client sends from now on is another session's. */
void	udp_forget(struct weir_udp *);
/* Sessions of this worker. */
unsigned udp_count(void);

extern const struct weir_metric_row udp_rows[];

#endif
