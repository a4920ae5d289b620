/*
 * listen_in.h - what the files of listening sockets share.
 *
 *	listen.c	opens them, and keeps them over reloads
 *	listen_hand.c	hands them to another master, and has those of an earlier one until they are wanted
 */
#ifndef WEIR_NET_LISTEN_IN_H
#define WEIR_NET_LISTEN_IN_H

#include "core/net/listen.h"

static inline bool
is_unix(const struct weir_listen *l)
{
	return l->addr.sa.sa_family == AF_UNIX;
}

/* Ports that somebody has, at whatever address; no unix sockets. */
struct listen_ports {
	uint8_t has[2][65536 / 8];
};

void	listen_ports_add(struct listen_ports *, int type, const struct weir_addr *);

/* What listen_inherit() found and nobody took yet: its ports, how many sockets there are for an address, and these. */
void	 inherited_ports(struct listen_ports *);
unsigned inherited_count(const struct weir_listen *);
unsigned inherited_take(const struct weir_listen *, int *fds);	/* as many as were counted */
/* Closes what is left. */
void	 inherited_drop(void);

#endif
