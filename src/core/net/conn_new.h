/*
 * conn_new.h - for accept.c and dial.c: making a connection of a descriptor.
 */
#ifndef WEIR_NET_CONN_NEW_H
#define WEIR_NET_CONN_NEW_H

#include "core/net/conn.h"

/* Takes the descriptor over; NULL with errno when it cannot be watched (it is still open then). */
struct weir_conn *conn_new(int fd);
/* All but its descriptor, which is -1. */
void	conn_init(struct weir_conn *);
/* It was closed: at the end of the turn on_free() gives its memory back, told by c->tcp.notice, which nobody else has now. */
void	conn_free_soon(struct weir_conn *, void (*on_free)(struct weir_task *));
/* What conn_init() made goes: what it has of its own, but not its memory. */
void	conn_fini(struct weir_conn *);
/* Accepted connections: is there room for one more; one has come; one was closed. */
bool	conn_room(void);
void	conn_came(struct weir_conn *);
void	conn_left(struct weir_conn *);
/* udp.c's: the session of a client is closed. */
void	udp_left(struct weir_conn *);
/* A socket that is, or is being, connected; -1 with errno. */
int	dial_socket(const struct weir_addr *, int type, const struct weir_dial_opts *) WEIR_MUST_USE;

#endif
