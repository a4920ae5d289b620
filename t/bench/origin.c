/*
 * origin.c - the server behind the proxies that bench.py measures.
 *
 *	origin PORT
 *
 * One thread, one epoll, answers ready-made: what it costs must not hide what the
 * proxies cost.  It believes its clients, which are proxies under test, so it is no
 * example of a server.
 *
 *	GET /NUMBER	that many bytes, by Content-Length
 *	GET /...	"ok"
 *	Upgrade: ...	101, then an echo (to the Sec-WebSocket-Key of RFC 6455, 1.3)
 *
 * Requests have no bodies; Connection: close is honoured.
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <err.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_MAX = 8192, FILLING = 1 << 18, EVENTS = 256 };

struct client {
	int	 fd;
	bool	 echo, last;
	size_t	 have;			/* bytes of `in` */
	unsigned long long owed;	/* bytes of body not sent yet */
	char	 in[HEAD_MAX + 1];
};

static char	 filling[FILLING];
static int	 ep;

static void
watch(struct client *c, int op, bool writing)
{
	struct epoll_event e = { .events = writing ? EPOLLOUT : EPOLLIN, .data.ptr = c };

	if (epoll_ctl(ep, op, c->fd, &e) != 0)
		err(1, "epoll_ctl");
}

static void
drop(struct client *c)
{
	close(c->fd);
	free(c);
}

static bool
send_all(struct client *c, const char *p, size_t n)
{
	return send(c->fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/* Pay what is owed as far as the socket takes it.  False: the client is gone. */
static bool
pay(struct client *c)
{
	ssize_t w;

	while (c->owed > 0) {
		w = send(c->fd, filling, c->owed < FILLING ? c->owed : FILLING, MSG_NOSIGNAL);
		if (w < 0)
			return errno == EAGAIN;
		c->owed -= (unsigned long long)w;
	}
	return true;
}

static bool
answer(struct client *c, const char *head)
{
	const char *path = strchr(head, '/');
	char out[1024];
	int n;

	if (strcasestr(head, "\nupgrade:") != NULL) {
		c->echo = true;
		n = snprintf(out, sizeof out, "HTTP/1.1 101 Switching Protocols\r\n"
		    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
		return send_all(c, out, (size_t)n);
	}
	c->last = strcasestr(head, "\nconnection: close") != NULL;
	c->owed = path != NULL ? strtoull(path + 1, NULL, 10) : 0;
	n = snprintf(out, sizeof out, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n%s"
	    "Content-Length: %llu\r\n\r\n", c->last ? "Connection: close\r\n" : "",
	    c->owed > 0 ? c->owed : 2);
	if (c->owed == 0)
		n += snprintf(out + n, sizeof out - (size_t)n, "ok");
	else if (c->owed <= sizeof out - (size_t)n) {
		/* One packet where one is enough. */
		memcpy(out + n, filling, c->owed);
		n += (int)c->owed;
		c->owed = 0;
	}
	return send_all(c, out, (size_t)n) && pay(c);
}

/* Answer every whole head of `in`.  False: the client is done with. */
static bool
answer_all(struct client *c)
{
	char *end;
	size_t used;

	while (c->owed == 0 && !c->echo && (end = strstr(c->in, "\r\n\r\n")) != NULL) {
		end[2] = '\0';
		used = (size_t)(end + 4 - c->in);
		if (!answer(c, c->in))
			return false;
		c->have -= used;
		memmove(c->in, c->in + used, c->have + 1);
		if (c->last && c->owed == 0)
			return false;
	}
	return c->have < HEAD_MAX;
}

static bool
readable(struct client *c)
{
	ssize_t r = recv(c->fd, c->in + c->have, HEAD_MAX - c->have, 0);

	if (r <= 0)
		return r < 0 && errno == EAGAIN;
	if (c->echo)
		return send_all(c, c->in, (size_t)r);
	c->have += (size_t)r;
	c->in[c->have] = '\0';
	if (!answer_all(c))
		return false;
	if (c->owed > 0)
		watch(c, EPOLL_CTL_MOD, true);
	return true;
}

static bool
writable(struct client *c)
{
	if (!pay(c))
		return false;
	if (c->owed > 0)
		return true;
	if (c->last || !answer_all(c))
		return false;
	if (c->owed == 0)
		watch(c, EPOLL_CTL_MOD, false);
	return true;
}

static void
greet(int ls)
{
	struct client *c;
	int fd, one = 1;

	while ((fd = accept4(ls, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) != -1) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		c = calloc(1, sizeof *c);
		if (c == NULL)
			err(1, "calloc");
		c->fd = fd;
		watch(c, EPOLL_CTL_ADD, false);
	}
}

static int
listen_on(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(port)) };
	int one = 1, ls = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (ls == -1 || setsockopt(ls, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(ls, (struct sockaddr *)&a, sizeof a) != 0 || listen(ls, 4096) != 0)
		err(1, "port %s", port);
	return ls;
}

int
main(int argc, char **argv)
{
	struct epoll_event ev[EVENTS], listening = { .events = EPOLLIN };
	struct client *c;
	int i, ls, n;

	if (argc != 2)
		errx(2, "usage: origin PORT");
	memset(filling, 'x', sizeof filling);
	ls = listen_on(argv[1]);
	ep = epoll_create1(EPOLL_CLOEXEC);
	if (ep == -1 || epoll_ctl(ep, EPOLL_CTL_ADD, ls, &listening) != 0)
		err(1, "epoll");
	for (;;) {
		n = epoll_wait(ep, ev, EVENTS, -1);
		for (i = 0; i < n; i++) {
			c = ev[i].data.ptr;
			if (c == NULL)
				greet(ls);
			else if (!(ev[i].events & EPOLLOUT ? writable(c) : readable(c)))
				drop(c);
		}
	}
}
