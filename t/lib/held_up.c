/*
 * held_up.c - a library between weir and the system that holds it up, for contrib/held-up.
 *
 * Before and behind some calls it lets time pass, as on a machine that has other things to do.  What only works
 * because it is quick, or because two processes never meet in the wrong moment, fails then.
 *
 *	HELD_UP_PERCENT		of calls (5)
 *	HELD_UP_US		the longest time, in microseconds (8000)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static uint64_t percent = 5, most_us = 8000;
static __thread uint64_t seed;

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void __attribute__((constructor))
begin(void)
{
	const char *v;

	if ((v = getenv("HELD_UP_PERCENT")) != NULL)
		percent = strtoull(v, NULL, 10);
	if ((v = getenv("HELD_UP_US")) != NULL)
		most_us = strtoull(v, NULL, 10);
}

/* It works and does not sleep: then the test and the other processes have less of the processor, too. */
static void
hold_up(void)
{
	uint64_t until;

	if (seed == 0)
		seed = now_ns() * 2 + 1;
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	if ((seed >> 20) % 100 >= percent)
		return;
	until = now_ns() + (seed >> 30) % (most_us * 1000 + 1);
	while (now_ns() < until)
		;
}

#define HOLD_UP(type, name, params, args)				\
	type								\
	name params							\
	{								\
		static type (*real) params;				\
		type r;							\
		int err;						\
									\
		if (real == NULL)					\
			real = (type (*) params)dlsym(RTLD_NEXT, #name);	\
		hold_up();						\
		r = real args;						\
		err = errno;						\
		hold_up();						\
		errno = err;						\
		return r;						\
	}

HOLD_UP(int, accept4, (int fd, struct sockaddr *a, socklen_t *n, int flags), (fd, a, n, flags))
HOLD_UP(int, close, (int fd), (fd))
HOLD_UP(int, connect, (int fd, const struct sockaddr *a, socklen_t n), (fd, a, n))
HOLD_UP(int, epoll_wait, (int fd, struct epoll_event *e, int n, int ms), (fd, e, n, ms))
HOLD_UP(pid_t, fork, (void), ())
HOLD_UP(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
HOLD_UP(ssize_t, readv, (int fd, const struct iovec *v, int n), (fd, v, n))
HOLD_UP(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags))
HOLD_UP(ssize_t, recvfrom, (int fd, void *p, size_t n, int flags, struct sockaddr *a, socklen_t *an),
    (fd, p, n, flags, a, an))
HOLD_UP(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags))
HOLD_UP(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags))
HOLD_UP(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags))
HOLD_UP(ssize_t, sendto, (int fd, const void *p, size_t n, int flags, const struct sockaddr *a, socklen_t an),
    (fd, p, n, flags, a, an))
HOLD_UP(int, shutdown, (int fd, int how), (fd, how))
HOLD_UP(ssize_t, splice, (int from, off64_t *a, int to, off64_t *b, size_t n, unsigned flags), (from, a, to, b, n, flags))
HOLD_UP(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
HOLD_UP(ssize_t, writev, (int fd, const struct iovec *v, int n), (fd, v, n))
