/*
 * fd.c - descriptors: closing, flags, opening for appending, passing, and one kept in reserve.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/os/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

void
fd_close(int *fd)
{
	int saved = errno;

	if (*fd < 0)
		return;
	/* Linux has closed it whatever close(2) says; trying again could hit another's. */
	close(*fd);
	*fd = -1;
	errno = saved;
}

int
fd_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return WEIR_FAIL;
	if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return WEIR_FAIL;
	return WEIR_OK;
}

int
fd_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? WEIR_FAIL : WEIR_OK;
}

int
fd_open_append(const char *path, mode_t mode)
{
	int flags = O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
	int fd = open(path, O_WRONLY | flags, mode);

	/* A FIFO that nobody reads can only be opened for both directions (fifo(7)). */
	if (fd < 0 && errno == ENXIO)
		fd = open(path, O_RDWR | (flags & ~O_CREAT));
	return fd;
}

/* Before Linux 6.3 nobody knows that a file in memory may be one that is not executed. */
int
fd_sealed(const char *name, const void *p, size_t n)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL), saved;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (write(fd, p, n) == (ssize_t)n &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == 0)
		return fd;
	saved = errno != 0 ? errno : EIO;
	close(fd);
	errno = saved;
	return -1;
}

/*
 * Passing.
 */

union control {
	struct cmsghdr	head;			/* for its alignment */
	char		room[CMSG_SPACE(FD_PASS_FDS * sizeof(int))];
};

int
fd_pass_send(int sock, const void *msg, size_t n, const int *fds, unsigned nfds)
{
	struct iovec	 v = { (void *)(uintptr_t)msg, n };
	struct msghdr	 m = { .msg_iov = &v, .msg_iovlen = 1 };
	union control	 c;
	struct cmsghdr	*h;
	ssize_t		 sent;

	if (n == 0 || n > FD_PASS_BYTES || nfds > FD_PASS_FDS) {
		errno = EMSGSIZE;
		return WEIR_FAIL;
	}
	if (nfds != 0) {
		memset(&c, 0, sizeof(c));
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, nfds * sizeof(int));
	}
	do
		sent = sendmsg(sock, &m, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == EAGAIN || errno == ENOBUFS ? WEIR_AGAIN : WEIR_FAIL;
	return WEIR_OK;
}

/* The descriptors of a message; returns how many there are. */
static unsigned
take_fds(struct msghdr *m, int fds[FD_PASS_FDS])
{
	struct cmsghdr	*h;
	unsigned	 n = 0, i, more;

	for (h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		more = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (i = 0; i < more && n < FD_PASS_FDS; i++, n++)
			memcpy(&fds[n], CMSG_DATA(h) + i * sizeof(int), sizeof(int));
	}
	return n;
}

ssize_t
fd_pass_recv(int sock, void *msg, size_t room, int *fds, unsigned *nfds)
{
	struct iovec	v = { msg, room };
	union control	c;
	struct msghdr	m = {
		.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c),
	};
	int		got[FD_PASS_FDS];
	unsigned	n, i, want = *nfds;
	ssize_t		len;

	*nfds = 0;
	do
		len = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
	while (len < 0 && errno == EINTR);
	if (len < 0)
		return errno == EAGAIN ? WEIR_AGAIN : WEIR_FAIL;
	n = take_fds(&m, got);
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || n > want) {
		for (i = 0; i < n; i++)
			close(got[i]);
		errno = EMSGSIZE;
		return WEIR_FAIL;
	}
	if (n != 0)
		memcpy(fds, got, n * sizeof(int));
	*nfds = n;
	/* No message is empty (fd_pass_send): this is the end, or as good as one. */
	if (len == 0) {
		for (i = 0; i < n; i++)
			close(got[i]);
		*nfds = 0;
		return WEIR_EOF;
	}
	return len;
}

/*
 * The reserve is an eventfd, because that needs no path: it can be had again
 * in a process that may no longer open files.
 */
static int spare = -1;

int
fd_reserve(void)
{
	return fd_reserve_retake() ? WEIR_OK : WEIR_FAIL;
}

bool
fd_reserve_release(void)
{
	if (spare < 0)
		return false;
	fd_close(&spare);
	return true;
}

bool
fd_reserve_retake(void)
{
	if (spare < 0)
		spare = eventfd(0, EFD_CLOEXEC);
	return spare >= 0;
}
