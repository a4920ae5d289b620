/*
 * conn_new.h - for accept.c and dial.c: making a connection of a descriptor.
 */
#ifndef WEIR_NET_CONN_NEW_H
#define WEIR_NET_CONN_NEW_H

#include "core/net/conn.h"

/* Takes the descriptor over; NULL with errno when it cannot be watched (it is still open then). */
struct weir_conn *conn_new(int fd);
/* An accepted connection was closed. */
void	conn_left(struct weir_conn *);

#endif
