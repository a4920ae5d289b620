/*
 * channel.c - messages between the master and its children.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/os/fd.h"
#include "core/proc/channel.h"

#define MAGIC 0x77656972u

struct message {
	uint32_t magic, kind, arg;
};

int
channel_open(int fds[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0
	    ? WEIR_OK : WEIR_FAIL;
}

int
channel_send(int channel, enum channel_kind kind, uint32_t arg, int fd)
{
	struct message m = { MAGIC, kind, arg };

	return fd_pass_send(channel, &m, sizeof(m), &fd, fd >= 0);
}

int
channel_recv(int channel, enum channel_kind *kind, uint32_t *arg, int *fd)
{
	struct message	m;
	unsigned	nfds = fd != NULL;
	int		got = -1;
	ssize_t		n = fd_pass_recv(channel, &m, sizeof(m), &got, &nfds);

	if (n == WEIR_AGAIN || n == WEIR_EOF)
		return (int)n;
	/* The other side died and left messages of ours unread. */
	if (n == WEIR_FAIL && errno == ECONNRESET)
		return WEIR_EOF;
	if (n != sizeof(m) || m.magic != MAGIC || m.kind < CHANNEL_READY || m.kind > CHANNEL_CERTS) {
		if (n >= 0 && nfds > 0)
			close(got);
		return WEIR_FAIL;
	}
	*kind = m.kind;
	*arg = m.arg;
	if (fd != NULL)
		*fd = nfds > 0 ? got : -1;
	return WEIR_OK;
}
