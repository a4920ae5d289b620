/*
 * fd.h - descriptors: closing, flags, opening for appending, passing, and one kept in reserve.
 *
 * Functions that return int say WEIR_OK, or WEIR_FAIL with errno; nothing is logged here.
 * Every descriptor that is made here is close-on-exec.
 */
#ifndef WEIR_OS_FD_H
#define WEIR_OS_FD_H

#include "core/base/defs.h"

/* Closes *fd and makes it -1; harmless when it is -1 already.  errno is kept. */
void	 fd_close(int *fd);
int	 fd_nonblock(int fd);
/* With `on` false the descriptor is inherited by a program that is executed. */
int	 fd_cloexec(int fd, bool on);

/*
 * Opens for appending, creates with `mode`; never blocks, also not on a FIFO without
 * reader, and does not follow a symbolic link in the last part of the path.  -1 with errno.
 */
int	 fd_open_append(const char *path, mode_t mode) WEIR_MUST_USE;

/*
 * A file in memory with these bytes, which nobody can change any more: for passing them on.  -1 with errno.
 */
int	 fd_sealed(const char *name, const void *, size_t) WEIR_MUST_USE;

/*
 * Messages with descriptors, over a Unix socket of type SOCK_SEQPACKET or SOCK_DGRAM: each is
 * sent and received whole.  Neither function trusts the other side: what is longer or
 * carries more than announced is refused, and its descriptors are closed.
 */
#define FD_PASS_BYTES	4096		/* of one message; at least 1 */
#define FD_PASS_FDS	32

/* WEIR_OK, WEIR_AGAIN when the socket is full, WEIR_FAIL.  The descriptors stay the caller's. */
int	 fd_pass_send(int sock, const void *msg, size_t n, const int *fds, unsigned nfds)
	    WEIR_MUST_USE;
/*
 * The length of the message, WEIR_AGAIN, WEIR_EOF or WEIR_FAIL (EMSGSIZE: too large for `room`, or for
 * *nfds descriptors; the message is gone).  *nfds becomes how many came; they are the caller's.
 */
ssize_t	 fd_pass_recv(int sock, void *msg, size_t room, int *fds, unsigned *nfds)
	    WEIR_MUST_USE;

/*
 * One descriptor is kept aside, so that with none left (EMFILE) something can still be done:
 * accept and close a connection, open a file for a moment.
 */
int	 fd_reserve(void);			/* once in each process */
bool	 fd_reserve_release(void);		/* true: one can be opened now */
bool	 fd_reserve_retake(void);		/* true: it is there again */

#endif
