/*
 * fdio.c - reading and writing a stream socket.
 *
 * The watch is edge-triggered, so a direction is asked again only after the kernel
 * said that something changed; a short count already tells that it is drained or full, and
 * saves the call that would say EAGAIN.
 */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/io/fdio.h"
#include "core/os/sock.h"

enum {
	IOVS = 32, GREED_MAX = 4, ROOM_MIN = 4096,
	ONE_SEGMENT = 1200	/* so much is one segment nearly everywhere */
};

/*
 * The directions break singly: after a failed write there may still be an answer to read.
 */
static const char *
broke(struct weir_fdio *f, int err)
{
	f->err_no = err;
	return err == ECONNRESET || err == EPIPE ? "connection reset by peer" : strerror(err);
}

static ssize_t
read_one(struct weir_fdio *f, struct weir_bufq *to, size_t *asked)
{
	char *p = bufq_room(to, ROOM_MIN, asked);
	ssize_t n;

	do
		n = recv(f->ev.fd, p, *asked, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		bufq_added(to, (size_t)n);
	return n;
}

static ssize_t
read_many(struct weir_fdio *f, struct weir_bufq *to, size_t *asked)
{
	struct weir_fill fill;
	ssize_t n;

	bufq_fill(to, &fill, f->greed);
	*asked = 0;
	for (int i = 0; i < fill.n; i++)
		*asked += fill.iov[i].iov_len;
	do
		n = readv(f->ev.fd, fill.iov, fill.n);
	while (n < 0 && errno == EINTR);
	int err = errno;
	bufq_fill_done(to, &fill, n > 0 ? (size_t)n : 0);
	errno = err;
	return n;
}

/* What a read of `asked` bytes gave: errno tells why when it failed. */
static ssize_t
was_read(struct weir_fdio *f, ssize_t n, size_t asked)
{
	if (n > 0) {
		/* drained; an end that was already announced is still to be read */
		if ((size_t)n < asked && !(f->ev.ready & (EV_HUP | EV_ERR)))
			f->ev.ready &= (uint8_t)~EV_READ;
		else if ((size_t)n < asked && f->tcp && (f->ev.ready & (EV_LAST | EV_ERR)) == EV_LAST) {
			f->eof = 1;	/* as the next call would say */
			f->ev.ready &= (uint8_t)~EV_READ;
		}
		return n;
	}
	if (n == 0) {
		f->eof = 1;
		f->ev.ready &= (uint8_t)~EV_READ;
		return WEIR_EOF;
	}
	if (errno == EAGAIN) {
		f->ev.ready &= (uint8_t)~EV_READ;
		return WEIR_AGAIN;
	}
	f->broken = 1;
	f->io.in.err = broke(f, errno);
	return WEIR_FAIL;
}

/* What is read has to be kept: many who read at once would use the reserve up, which is for those who end. */
static ssize_t
no_memory(struct weir_fdio *f)
{
	f->broken = 1;
	f->io.in.err = broke(f, ENOMEM);
	return WEIR_FAIL;
}

static ssize_t
fd_read(struct weir_src *src, struct weir_bufq *to, size_t max)
{
	struct weir_fdio *f = WEIR_OF(src, struct weir_fdio, io.in);
	size_t asked;
	ssize_t n;

	if (f->broken)
		return WEIR_FAIL;
	if (!(f->ev.ready & EV_READ) || max == 0)
		return f->eof ? WEIR_EOF : WEIR_AGAIN;
	if (mem_scarce())
		return no_memory(f);
	n = f->greed > 1 && max > SEG_LARGE && !mem_low() ? read_many(f, to, &asked) : read_one(f, to, &asked);
	f->got += n > 0 ? (uint64_t)n : 0;
	if (n > 0 && (size_t)n == asked && f->greed < GREED_MAX)
		f->greed = (uint8_t)(f->greed * 2);
	else if (n > 0 && (size_t)n < asked && (size_t)n < SEG_LARGE)
		f->greed = 1;
	return was_read(f, n, asked);
}

ssize_t
fdio_recv(struct weir_fdio *f, void *to, size_t max)
{
	ssize_t n;

	if (f->broken)
		return WEIR_FAIL;
	if (!(f->ev.ready & EV_READ))
		return f->eof ? WEIR_EOF : WEIR_AGAIN;
	if (mem_scarce())
		return no_memory(f);
	do
		n = recv(f->ev.fd, to, max, 0);
	while (n < 0 && errno == EINTR);
	return was_read(f, n, max);
}

static void
will_send(struct weir_fdio *f, size_t n)
{
	if (f->nagle == FDIO_FRESH && n <= ONE_SEGMENT) {
		f->nagle = FDIO_DUE;
		return;
	}
	f->nagle = 0;
	(void)!sock_nodelay(f->ev.fd, true);
}

static ssize_t
send_memory(struct weir_fdio *f, struct weir_bufq *from, size_t *asked)
{
	struct iovec iov[IOVS];
	int n = bufq_iov(from, iov, IOVS, asked);
	/* with the end at its heels, both fit into one segment */
	int more = *asked < from->len || f->io.out.last ? MSG_MORE : 0;

	if (f->nagle != 0)
		will_send(f, *asked);

	if (n == 1)
		return send(f->ev.fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL | more);
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	return sendmsg(f->ev.fd, &m, MSG_NOSIGNAL | more);
}

static ssize_t
send_file(struct weir_fdio *f, struct weir_bufq *from, size_t *asked)
{
	struct weir_ref *ref = from->head;
	off_t off = (off_t)ref->off;
	ssize_t n;

	*asked = (size_t)WEIR_MIN(ref->len, 0x7fff0000u);
	if (f->nagle != 0)
		will_send(f, *asked);
	n = sendfile(f->ev.fd, ref->seg->file->fd, &off, *asked);
	if (n == 0 && *asked != 0) {	/* the file became shorter under our hands */
		errno = EIO;
		return -1;
	}
	return n;
}

static ssize_t
fd_write(struct weir_sink *sink, struct weir_bufq *from)
{
	struct weir_fdio *f = WEIR_OF(sink, struct weir_fdio, io.out);
	ssize_t total = 0;

	if (f->wr_broken)
		return WEIR_FAIL;
	while (from->len != 0) {
		bool file = bufq_first_is_file(from);
		size_t asked;
		ssize_t n;

		if (!(f->ev.ready & EV_WRITE))
			return total > 0 ? total : WEIR_AGAIN;
		n = file ? send_file(f, from, &asked) : send_memory(f, from, &asked);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN) {
				f->ev.ready &= (uint8_t)~EV_WRITE;
				continue;
			}
			f->wr_broken = 1;
			f->io.out.err = broke(f, errno);
			return WEIR_FAIL;
		}
		bufq_drop(from, (uint64_t)n);
		f->put += (uint64_t)n;
		total += n;
		if ((size_t)n < asked && !file)
			f->ev.ready &= (uint8_t)~EV_WRITE;
	}
	return total;
}

ssize_t
fdio_send(struct weir_fdio *f, const void *from, size_t len, bool more)
{
	ssize_t n;

	if (f->wr_broken)
		return WEIR_FAIL;
	if (!(f->ev.ready & EV_WRITE))
		return WEIR_AGAIN;
	if (f->nagle != 0)
		will_send(f, len);
	do
		n = send(f->ev.fd, from, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
	while (n < 0 && errno == EINTR);
	if (n >= 0) {
		if ((size_t)n < len)
			f->ev.ready &= (uint8_t)~EV_WRITE;
		return n;
	}
	if (errno == EAGAIN) {
		f->ev.ready &= (uint8_t)~EV_WRITE;
		return WEIR_AGAIN;
	}
	f->wr_broken = 1;
	f->io.out.err = broke(f, errno);
	return WEIR_FAIL;
}

static void
fd_want_read(struct weir_src *src, bool on)
{
	struct weir_fdio *f = WEIR_OF(src, struct weir_fdio, io.in);

	if (f->ev.fd < 0)
		return;		/* it may be freed at the end of this turn: post nothing */
	f->rd_want = on;
	if (on && ((f->ev.ready & EV_READ) || f->eof || f->broken))
		task_post(&f->notice);
}

static void
fd_want_write(struct weir_sink *sink, bool on)
{
	struct weir_fdio *f = WEIR_OF(sink, struct weir_fdio, io.out);

	if (f->ev.fd < 0)
		return;
	f->wr_want = on;
	if (on && ((f->ev.ready & EV_WRITE) || f->wr_broken))
		task_post(&f->notice);
}

static void
fd_stop(struct weir_src *src)
{
	fd_want_read(src, false);
}

static int
fd_finish(struct weir_sink *sink)
{
	struct weir_fdio *f = WEIR_OF(sink, struct weir_fdio, io.out);

	if (f->shut || f->ev.fd < 0)
		return WEIR_OK;
	f->shut = 1;
	if (sink->closing && !(f->ev.ready & EV_ERR))
		return WEIR_OK;		/* closing says the same */
	return shutdown(f->ev.fd, SHUT_WR) == 0 ? WEIR_OK : WEIR_FAIL;
}

static void
fd_abort(struct weir_sink *sink)
{
	struct weir_fdio *f = WEIR_OF(sink, struct weir_fdio, io.out);
	struct linger l = { 1, 0 };

	if (f->ev.fd >= 0)
		setsockopt(f->ev.fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
}

static int
src_fd(struct weir_src *src, uint64_t *left)
{
	struct weir_fdio *f = WEIR_OF(src, struct weir_fdio, io.in);

	*left = UINT64_MAX;
	return f->broken ? -1 : f->ev.fd;
}

static void
src_moved(struct weir_src *src, uint64_t n, bool drained)
{
	struct weir_fdio *f = WEIR_OF(src, struct weir_fdio, io.in);

	f->got += n;
	if (drained && !(f->ev.ready & (EV_HUP | EV_ERR)))
		f->ev.ready &= (uint8_t)~EV_READ;
}

static int
sink_fd(struct weir_sink *sink, uint64_t *room)
{
	struct weir_fdio *f = WEIR_OF(sink, struct weir_fdio, io.out);

	*room = UINT64_MAX;
	if (f->wr_broken || f->shut)
		return -1;
	if (f->nagle != 0)
		will_send(f, SIZE_MAX);
	return f->ev.fd;
}

static void
sink_moved(struct weir_sink *sink, uint64_t n, bool full)
{
	struct weir_fdio *f = WEIR_OF(sink, struct weir_fdio, io.out);

	f->put += n;
	if (full)
		f->ev.ready &= (uint8_t)~EV_WRITE;
}

const struct weir_src_ops fdio_src_ops = {
	.read = fd_read, .want = fd_want_read, .stop = fd_stop, .fd = src_fd, .moved = src_moved,
};

const struct weir_sink_ops fdio_sink_ops = {
	.write = fd_write, .finish = fd_finish, .want = fd_want_write, .abort = fd_abort,
	.fd = sink_fd, .moved = sink_moved,
};

/*
 * Readers first.  They may end the connection, so look again before the
 * writers; the object itself lives until the tasks of this turn.
 */
static void
tell(struct weir_fdio *f, unsigned ev)
{
	if ((ev & EV_READ) && f->rd_want && f->io.in.ready != NULL)
		f->io.in.ready(f->io.in.arg);
	if (f->ev.fd >= 0 && (ev & EV_WRITE) && f->wr_want && f->io.out.ready != NULL)
		f->io.out.ready(f->io.out.arg);
	/* who still reads will find the end; else it may have come together with the last bytes */
	if (f->ev.fd >= 0 && (ev & (EV_HUP | EV_ERR)) && !f->rd_want && f->on_gone != NULL)
		f->on_gone(f->gone_arg);
}

static void
on_event(struct weir_fd *ev, unsigned what)
{
	struct weir_fdio *f = WEIR_OF(ev, struct weir_fdio, ev);

	tell(f, what);
}

static void
on_notice(struct weir_task *t)
{
	struct weir_fdio *f = WEIR_OF(t, struct weir_fdio, notice);
	unsigned ev = f->ev.ready;

	if (f->eof || f->broken)
		ev |= EV_READ;
	if (f->wr_broken)
		ev |= EV_WRITE;
	tell(f, ev);
}

int
fdio_init(struct weir_fdio *f, int fd)
{
	memset(f, 0, sizeof *f);
	f->io.in.ops = &fdio_src_ops;
	f->io.out.ops = &fdio_sink_ops;
	f->ev.fd = fd;
	f->ev.on = on_event;
	f->greed = 1;
	task_init(&f->notice, on_notice);
	return fd_watch(&f->ev);
}

void
fdio_end(struct weir_fdio *f, bool reset)
{
	if (f->ev.fd >= 0 && reset)
		fd_abort(&f->io.out);
	task_off(&f->notice);
	fd_end(&f->ev);
	f->rd_want = f->wr_want = 0;
}

bool
fdio_gone(const struct weir_fdio *f)
{
	return f->ev.fd < 0 || f->broken || f->eof || (f->ev.ready & (EV_HUP | EV_ERR));
}

bool
fdio_quiet(struct weir_fdio *f)
{
	char c;

	if (fdio_gone(f))
		return false;
	if (!(f->ev.ready & EV_READ))
		return true;
	if (recv(f->ev.fd, &c, 1, MSG_PEEK) >= 0 || errno != EAGAIN)
		return false;
	f->ev.ready &= (uint8_t)~EV_READ;
	return true;
}
