/*
 * sock.h - socket options by their names.
 *
 * All return WEIR_OK, or WEIR_FAIL with errno, and log nothing: whether a missing
 * option is an error is for the caller to say.
 */
#ifndef WEIR_OS_SOCK_H
#define WEIR_OS_SOCK_H

#include "core/base/defs.h"

/* Any socket. */
int	 sock_reuseaddr(int fd, bool on);
int	 sock_reuseport(int fd, bool on);
int	 sock_v6only(int fd, bool on);
int	 sock_rcvbuf(int fd, size_t bytes);
int	 sock_sndbuf(int fd, size_t bytes);
/* Addresses that are not the machine's own (needs CAP_NET_ADMIN or CAP_NET_RAW); AF_INET or AF_INET6. */
int	 sock_transparent(int fd, int family);
/* bind(2) to an address without port leaves the choice of the port to connect(2). */
int	 sock_bind_address_no_port(int fd);
/* The error that waits in the socket, which it then no longer has; 0: none. */
int	 sock_error(int fd);

/* TCP. */
int	 sock_nodelay(int fd, bool on);
int	 sock_cork(int fd, bool on);			/* nginx: tcp_nopush */
/* Seconds; 0 leaves the system's value.  `idle`, `intvl` and `cnt` all 0: only switches it on. */
int	 sock_keepalive(int fd, unsigned idle, unsigned intvl, unsigned cnt);
int	 sock_keepalive_off(int fd);
int	 sock_fastopen(int fd, unsigned queue);		/* of a listener */
int	 sock_fastopen_connect(int fd, bool on);
int	 sock_defer_accept(int fd, unsigned sec);	/* 0: off */
int	 sock_user_timeout(int fd, unsigned ms);	/* unacknowledged for so long: broken */
/* close(2) sends RST and throws away what was not sent. */
int	 sock_linger0(int fd);

/* Bytes that could be read (FIONREAD), and bytes not yet acknowledged (SIOCOUTQ); WEIR_FAIL. */
ssize_t	 sock_unread(int fd);
ssize_t	 sock_unsent(int fd);

/* Who is at the other end of a Unix socket, as the kernel says; any pointer may be NULL. */
int	 sock_peer(int fd, pid_t *, uid_t *, gid_t *);

#endif
