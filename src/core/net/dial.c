/*
 * dial.c - connect to an address.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/net/conn_new.h"
#include "core/os/sock.h"

enum { SAID, CUT_OFF };

static const char *const results[] = { "sent", "failed", NULL };
static struct weir_metric prefaces;

const struct weir_metric_row dial_rows[] = {
	{ "proxy_headers_total", METRIC_COUNTER, "PROXY headers to upstreams.  When one failed, the connection was "
	  "closed before anything else was sent.",
	  .labels = { { "result", results } }, .at = &prefaces },
	{ .name = NULL }
};

/* 0, or errno.  A fresh connection has room for so little; if not, what it took is of no use to anybody. */
static int
say(struct weir_conn *c, struct weir_str what)
{
	ssize_t n;

	do
		n = send(c->tcp.ev.fd, what.p, what.n, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)what.n) {
		metric_add(&prefaces, CUT_OFF, 1);
		return n >= 0 || errno == EAGAIN ? ENOBUFS : errno;
	}
	metric_add(&prefaces, SAID, 1);
	c->tcp.put += what.n;
	if (c->tcp.nagle != 0)
		c->tcp.nagle = FDIO_DUE;
	c->preface = slab_sized_take(sizeof *c->preface + what.n);
	c->preface->n = what.n;
	memcpy(c->preface->bytes, what.p, what.n);
	return 0;
}

static void
finish(struct weir_dial *d, int err)
{
	struct weir_conn *c = d->conn;

	timer_off(&d->timer);
	task_off(&d->task);
	d->conn = NULL;
	if (c != NULL && err == 0 && d->preface.n != 0)
		err = say(c, d->preface);
	if (c != NULL && err != 0) {
		conn_close(c);
		c = NULL;
	} else if (c != NULL) {
		c->tcp.on_gone = NULL;
		sink_on_ready(&c->tcp.io.out, NULL, NULL);
		c->tcp.wr_want = 0;
	}
	d->done(d, c, err);
}

static void
on_connected(void *arg)
{
	struct weir_dial *d = arg;
	struct weir_fd *ev = &d->conn->tcp.ev;
	int err = 0;
	socklen_t n = sizeof err;

	/* what is writable and has no error is connected */
	if ((ev->ready & (EV_HUP | EV_ERR)) && getsockopt(ev->fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
		err = errno;
	finish(d, err);
}

static void
on_timeout(struct weir_timer *t)
{
	finish(WEIR_OF(t, struct weir_dial, timer), ETIMEDOUT);
}

static void
on_task(struct weir_task *t)
{
	struct weir_dial *d = WEIR_OF(t, struct weir_dial, task);

	finish(d, d->err);
}

static int
set_options(int fd, const struct weir_addr *to, int type, const struct weir_dial_opts *o)
{
	union weir_sockaddr sa;
	int one = 1;

	if (o->keepalive && type == SOCK_STREAM)
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
	if (o->rcvbuf != 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &o->rcvbuf, sizeof o->rcvbuf);
	if (o->sndbuf != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &o->sndbuf, sizeof o->sndbuf);
	if (o->bind == NULL || to->sa.sa_family == AF_UNIX ||
	    o->bind->sa.sa_family != to->sa.sa_family)
		return 0;
	if (o->transparent && sock_transparent(fd, to->sa.sa_family) != WEIR_OK)
		return errno;
	if (!o->bind_port)	/* the kernel picks the port at connect(), so more fit */
		setsockopt(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	socklen_t n = addr_to_kernel(o->bind, &sa);
	return bind(fd, &sa.sa, n) == 0 ? 0 : errno;
}

int
dial_socket(const struct weir_addr *to, int type, const struct weir_dial_opts *o)
{
	union weir_sockaddr sa;
	socklen_t n = addr_to_kernel(to, &sa);
	int fd = socket(to->sa.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -1;
	err = set_options(fd, to, type, o);
	if (err == 0 && (connect(fd, &sa.sa, n) == 0 || errno == EINPROGRESS))
		return fd;
	if (err == 0)
		err = errno;
	close(fd);
	errno = err;
	return -1;
}

/* 0, or errno. */
static int
begin(struct weir_dial *d, const struct weir_addr *to, const struct weir_dial_opts *o)
{
	int fd = dial_socket(to, SOCK_STREAM, o), err;

	if (fd < 0)
		return errno;
	d->conn = conn_new(fd);
	if (d->conn == NULL) {
		err = errno;
		close(fd);
		return err;
	}
	d->conn->peer = *to;
	d->conn->tcp.tcp = to->sa.sa_family != AF_UNIX;
	d->conn->tcp.nagle = d->conn->tcp.tcp && !o->nagle ? FDIO_FRESH : 0;
	return 0;
}

void
dial_start(struct weir_dial *d, const struct weir_addr *to, const struct weir_dial_opts *o)
{
	d->conn = NULL;
	d->preface = o->preface;
	timer_init(&d->timer, on_timeout);
	task_init(&d->task, on_task);
	d->err = begin(d, to, o);
	if (d->err != 0) {
		task_post(&d->task);
		return;
	}
	sink_on_ready(&d->conn->tcp.io.out, on_connected, d);
	d->conn->tcp.wr_want = 1;	/* the edge of being connected comes as an event */
	timer_set(&d->timer, o->timeout_ms);
}

void
dial_cancel(struct weir_dial *d)
{
	timer_off(&d->timer);
	task_off(&d->task);
	if (d->conn != NULL)
		conn_abort(d->conn);
	d->conn = NULL;
}
