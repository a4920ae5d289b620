/*
 * sock.c - socket options by their names.
 */
#include <errno.h>
#include <limits.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/os/sock.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif
#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#endif

static int
set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? WEIR_OK : WEIR_FAIL;
}

/* What does not fit an int is too large for every option there is. */
static int
set_size(int fd, int level, int name, size_t value)
{
	return set(fd, level, name, value > INT_MAX ? INT_MAX : (int)value);
}

int
sock_reuseaddr(int fd, bool on)
{
	return set(fd, SOL_SOCKET, SO_REUSEADDR, on);
}

int
sock_reuseport(int fd, bool on)
{
	return set(fd, SOL_SOCKET, SO_REUSEPORT, on);
}

int
sock_v6only(int fd, bool on)
{
	return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, on);
}

int
sock_rcvbuf(int fd, size_t bytes)
{
	return set_size(fd, SOL_SOCKET, SO_RCVBUF, bytes);
}

int
sock_sndbuf(int fd, size_t bytes)
{
	return set_size(fd, SOL_SOCKET, SO_SNDBUF, bytes);
}

int
sock_transparent(int fd, int family)
{
	return family == AF_INET6 ? set(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1) :
	    set(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

int
sock_bind_address_no_port(int fd)
{
	return set(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
}

int
sock_error(int fd)
{
	int		err = 0;
	socklen_t	len = sizeof(err);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
}

int
sock_nodelay(int fd, bool on)
{
	return set(fd, IPPROTO_TCP, TCP_NODELAY, on);
}

int
sock_cork(int fd, bool on)
{
	return set(fd, IPPROTO_TCP, TCP_CORK, on);
}

int
sock_keepalive(int fd, unsigned idle, unsigned intvl, unsigned cnt)
{
	if (set(fd, SOL_SOCKET, SO_KEEPALIVE, 1) != WEIR_OK)
		return WEIR_FAIL;
	if (idle != 0 && set_size(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle) != WEIR_OK)
		return WEIR_FAIL;
	if (intvl != 0 && set_size(fd, IPPROTO_TCP, TCP_KEEPINTVL, intvl) != WEIR_OK)
		return WEIR_FAIL;
	if (cnt != 0 && set_size(fd, IPPROTO_TCP, TCP_KEEPCNT, cnt) != WEIR_OK)
		return WEIR_FAIL;
	return WEIR_OK;
}

int
sock_keepalive_off(int fd)
{
	return set(fd, SOL_SOCKET, SO_KEEPALIVE, 0);
}

int
sock_fastopen(int fd, unsigned queue)
{
	return set_size(fd, IPPROTO_TCP, TCP_FASTOPEN, queue);
}

int
sock_fastopen_connect(int fd, bool on)
{
	return set(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, on);
}

int
sock_defer_accept(int fd, unsigned sec)
{
	return set_size(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, sec);
}

int
sock_user_timeout(int fd, unsigned ms)
{
	return set_size(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
}

int
sock_linger0(int fd)
{
	struct linger l = { .l_onoff = 1, .l_linger = 0 };

	return setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l)) == 0 ? WEIR_OK : WEIR_FAIL;
}

ssize_t
sock_unread(int fd)
{
	int n = 0;

	return ioctl(fd, FIONREAD, &n) == 0 ? n : WEIR_FAIL;
}

ssize_t
sock_unsent(int fd)
{
	int n = 0;

	return ioctl(fd, SIOCOUTQ, &n) == 0 ? n : WEIR_FAIL;
}

int
sock_peer(int fd, pid_t *pid, uid_t *uid, gid_t *gid)
{
	struct ucred	c;
	socklen_t	len = sizeof(c);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &len) != 0)
		return WEIR_FAIL;
	/* A socket of another family answers too, with nobody. */
	if (c.pid == 0) {
		errno = ENOTCONN;
		return WEIR_FAIL;
	}
	if (pid != NULL)
		*pid = c.pid;
	if (uid != NULL)
		*uid = c.uid;
	if (gid != NULL)
		*gid = c.gid;
	return WEIR_OK;
}
