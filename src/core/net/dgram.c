/*
 * dgram.c - sockets for datagrams.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/mem.h"
#include "core/net/conn_new.h"
#include "core/net/dgram.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT	103
#endif
#ifndef UDP_GRO
#define UDP_GRO		104
#endif

enum {
	BUNDLE_MOST	= 64,	/* datagrams that older kernels take at once */
	BATCHES		= 4,	/* of a socket in one turn: others want theirs, too */
	CONTROL		= 128	/* room for what the kernel says beside */
};

enum { FULL, TOO_BIG, FAILED };

static const char *const reasons[] = { "full", "too_big", "error", NULL };
static struct weir_metric drops;

const struct weir_metric_row dgram_rows[] = {
	{ "udp_dropped_total", METRIC_COUNTER, "Datagrams that were not sent: the socket's buffer was full, they were longer than "
	  "a datagram can be, or the system refused them.",
	  .labels = { { "reason", reasons } }, .at = &drops },
	{ .name = NULL }
};

/* Of a process: what is being taken. */
struct batch {
	struct mmsghdr	 msgs[DGRAM_BATCH];
	struct iovec	 iov[DGRAM_BATCH];
	union weir_sockaddr from[DGRAM_BATCH];
	union {
		struct cmsghdr	align;
		char		bytes[CONTROL];
	}		 control[DGRAM_BATCH];
	struct weir_dgram_in in[DGRAM_BATCH];
	char		 bytes[DGRAM_BATCH][DGRAM_MAX];
};

static struct batch *batch;

bool
bundle_cut(struct weir_bundle *b, size_t count, struct weir_bundle *to)
{
	size_t n = count >= bundle_count(b) ? b->n : count * b->each;

	if (b->p == NULL)
		return false;
	*to = (struct weir_bundle){ b->p, n, WEIR_MIN(b->each, n) };
	if (n == b->n)
		*b = (struct weir_bundle){ NULL, 0, 0 };
	else
		*b = (struct weir_bundle){ b->p + n, b->n - n, b->each };
	return true;
}

/* ---- keeping ---- */

struct dgram_kept {
	struct dgram_kept *next;
	struct weir_bundle bundle;
	char		 bytes[];
};

void
dgramq_init(struct weir_dgramq *q)
{
	memset(q, 0, sizeof *q);
	q->tail = &q->first;
}

bool
dgramq_put(struct weir_dgramq *q, const struct weir_bundle *b)
{
	struct dgram_kept *k;

	if (q->n >= DGRAMQ_MOST || q->bytes + b->n > DGRAMQ_BYTES)
		return false;
	k = slab_sized_take(sizeof *k + b->n);
	if (b->n != 0)
		memcpy(k->bytes, b->p, b->n);
	k->bundle = (struct weir_bundle){ k->bytes, b->n, b->each };
	k->next = NULL;
	*q->tail = k;
	q->tail = &k->next;
	q->n++;
	q->bytes += b->n;
	return true;
}

bool
dgramq_first(const struct weir_dgramq *q, struct weir_bundle *to)
{
	if (q->first == NULL)
		return false;
	*to = q->first->bundle;
	return true;
}

bool
dgramq_next(const struct weir_dgramq *q, struct dgram_kept **at, struct weir_bundle *to)
{
	*at = *at == NULL ? q->first : (*at)->next;
	if (*at == NULL)
		return false;
	*to = (*at)->bundle;
	return true;
}

void
dgramq_drop(struct weir_dgramq *q)
{
	struct dgram_kept *k = q->first;

	q->first = k->next;
	if (q->first == NULL)
		q->tail = &q->first;
	q->n--;
	q->bytes -= k->bundle.n;
	slab_sized_give(k, sizeof *k + k->bundle.n);
}

void
dgramq_clear(struct weir_dgramq *q)
{
	while (q->first != NULL)
		dgramq_drop(q);
}

/* ---- taking ---- */

static void
take_pktinfo(const struct cmsghdr *c, struct weir_addr *to)
{
	struct in_pktinfo four;
	struct in6_pktinfo six;

	if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
		memcpy(&four, CMSG_DATA(c), sizeof four);
		to->in.sin_family = AF_INET;
		to->in.sin_addr = four.ipi_addr;
	} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
		memcpy(&six, CMSG_DATA(c), sizeof six);
		to->in6.sin6_family = AF_INET6;
		to->in6.sin6_addr = six.ipi6_addr;
		if (IN6_IS_ADDR_LINKLOCAL(&six.ipi6_addr))
			to->in6.sin6_scope_id = six.ipi6_ifindex;
	}
}

static void
take_control(struct msghdr *m, struct weir_dgram_in *in)
{
	int each;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_UDP || c->cmsg_type != UDP_GRO) {
			take_pktinfo(c, &in->to);
			continue;
		}
		memcpy(&each, CMSG_DATA(c), sizeof each);
		if (each > 0 && (size_t)each < in->bundle.n)
			in->bundle.each = (size_t)each;
	}
}

static void
prepare(struct batch *b)
{
	for (unsigned i = 0; i < DGRAM_BATCH; i++) {
		b->iov[i] = (struct iovec){ b->bytes[i], DGRAM_MAX };
		b->msgs[i].msg_hdr = (struct msghdr){ .msg_iov = &b->iov[i], .msg_iovlen = 1,
			.msg_name = &b->from[i], .msg_namelen = sizeof b->from[i],
			.msg_control = b->control[i].bytes, .msg_controllen = CONTROL };
	}
}

ssize_t
dgram_recv(int fd, struct weir_dgram_in **to)
{
	struct batch *b = batch;
	int n;

	if (b == NULL)
		b = batch = mem_alloc(sizeof *b);
	prepare(b);
	do
		n = recvmmsg(fd, b->msgs, DGRAM_BATCH, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? WEIR_AGAIN : WEIR_FAIL;
	for (int i = 0; i < n; i++) {
		struct weir_dgram_in *in = &b->in[i];

		memset(in, 0, sizeof *in);
		in->bundle = (struct weir_bundle){ b->bytes[i], b->msgs[i].msg_len, b->msgs[i].msg_len };
		if (b->msgs[i].msg_hdr.msg_namelen != 0)
			addr_from_kernel(&in->from, &b->from[i], b->msgs[i].msg_hdr.msg_namelen, NULL);
		take_control(&b->msgs[i].msg_hdr, in);
	}
	*to = b->in;
	return n;
}

/* ---- sending ---- */

static void
put_control(struct msghdr *m, int level, int type, const void *data, size_t n)
{
	struct cmsghdr *c = (struct cmsghdr *)(void *)((char *)m->msg_control + m->msg_controllen);

	c->cmsg_level = level;
	c->cmsg_type = type;
	c->cmsg_len = CMSG_LEN(n);
	memcpy(CMSG_DATA(c), data, n);
	m->msg_controllen += CMSG_SPACE(n);
}

/* The answer leaves from the address that was asked. */
static void
put_from(struct msghdr *m, const struct weir_addr *from)
{
	struct in_pktinfo four = { 0 };
	struct in6_pktinfo six = { 0 };

	if (from->sa.sa_family == AF_INET) {
		four.ipi_spec_dst = from->in.sin_addr;
		put_control(m, IPPROTO_IP, IP_PKTINFO, &four, sizeof four);
	} else if (from->sa.sa_family == AF_INET6) {
		six.ipi6_addr = from->in6.sin6_addr;
		six.ipi6_ifindex = from->in6.sin6_scope_id;
		put_control(m, IPPROTO_IPV6, IPV6_PKTINFO, &six, sizeof six);
	}
}

/* One call.  0, or errno. */
static int
send_bytes(int fd, const struct weir_dgram_out *o, struct weir_bundle b, struct weir_str head)
{
	union { struct cmsghdr align; char bytes[CONTROL]; } control;
	union weir_sockaddr to;
	struct iovec iov[2] = { { (void *)(uintptr_t)head.p, head.n }, { (void *)(uintptr_t)b.p, b.n } };
	struct msghdr m = { .msg_iov = head.n != 0 ? iov : iov + 1, .msg_iovlen = head.n != 0 ? 2 : 1,
		.msg_control = control.bytes };
	uint16_t each = (uint16_t)b.each;
	ssize_t n;

	memset(&control, 0, sizeof control);
	if (o->to != NULL) {
		m.msg_name = &to;
		m.msg_namelen = addr_to_kernel(o->to, &to);
	}
	if (o->from != NULL)
		put_from(&m, o->from);
	if (b.each < b.n)
		put_control(&m, SOL_UDP, UDP_SEGMENT, &each, sizeof each);
	if (m.msg_controllen == 0)
		m.msg_control = NULL;
	do
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? errno : 0;
}

static bool
is_late_news(int err)
{
	return err == ECONNREFUSED || err == EHOSTUNREACH || err == ENETUNREACH;
}

/* 0, or errno, counted. */
static int
send_one(int fd, const struct weir_dgram_out *o, struct weir_bundle b, struct weir_str head)
{
	int err = send_bytes(fd, o, b, head);

	if (err != 0)
		metric_add(&drops, err == EAGAIN || err == ENOBUFS ? FULL : err == EMSGSIZE ? TOO_BIG : FAILED,
		    bundle_count(&b));
	return err;
}

/* All of a bundle in one call.  False: one by one, then; this kernel or this way knows no such thing. */
static bool
send_bundle(int fd, const struct weir_dgram_out *o, struct weir_bundle b, size_t *sent, int *err)
{
	if (b.each == b.n || b.each == 0 || o->head.n != 0 || bundle_count(&b) > BUNDLE_MOST)
		return false;
	*err = send_bytes(fd, o, b, STR_NONE);
	if (*err != 0 && *err != EAGAIN && *err != ENOBUFS && !is_late_news(*err))
		return false;
	if (*err == 0)
		*sent = bundle_count(&b);
	else
		metric_add(&drops, is_late_news(*err) ? FAILED : FULL, bundle_count(&b));
	return true;
}

size_t
dgram_send(int fd, const struct weir_dgram_out *o)
{
	struct weir_bundle rest = o->bundle, one;
	struct weir_str head = o->head;
	size_t sent = 0;
	int err = 0, last = 0;

	if (!send_bundle(fd, o, rest, &sent, &last))
		while (bundle_cut(&rest, 1, &one)) {
			err = send_one(fd, o, one, head);
			head = STR_NONE;
			sent += err == 0;
			last = err != 0 ? err : last;
		}
	errno = last;
	return sent;
}

void
dgram_prepare(int fd, const struct weir_addr *bound)
{
	int on = 1;

	(void)!setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on);	/* since Linux 5.0 */
	if (bound == NULL || !addr_is_wild(bound))
		return;
	if (bound->sa.sa_family == AF_INET6)
		(void)!setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
	else
		(void)!setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

/* ---- a connected socket ---- */

/* False: it has ended. */
static bool
take_batch(struct weir_dgram *d, ssize_t *n)
{
	struct weir_dgram_in *in;
	int fd = d->ev.fd;

	*n = dgram_recv(fd, &in);
	if (*n == WEIR_FAIL)
		d->on_error(d, errno);
	for (ssize_t i = 0; i < *n && d->ev.fd == fd; i++) {
		d->got += in[i].bundle.n;
		d->on_data(d, in[i].bundle);
	}
	return d->ev.fd == fd;
}

static void
on_event(struct weir_fd *ev, unsigned what)
{
	struct weir_dgram *d = WEIR_OF(ev, struct weir_dgram, ev);
	ssize_t n = 0;

	(void)what;
	for (unsigned i = 0; i < BATCHES; i++)
		if (!take_batch(d, &n) || n == WEIR_AGAIN || (n > 0 && n < DGRAM_BATCH))
			return;
}

int
dgram_dial(struct weir_dgram *d, const struct weir_addr *to, const struct weir_dial_opts *o)
{
	int fd = dial_socket(to, SOCK_DGRAM, o);

	d->got = d->put = 0;
	d->ev = (struct weir_fd){ .fd = fd, .on = on_event };
	if (fd < 0)
		return WEIR_FAIL;
	if (to->sa.sa_family != AF_UNIX)
		dgram_prepare(fd, NULL);
	if (fd_watch_level(&d->ev) == WEIR_OK)
		return WEIR_OK;
	dgram_end(d);
	return WEIR_FAIL;
}

size_t
dgram_put(struct weir_dgram *d, struct weir_bundle b, struct weir_str head)
{
	struct weir_dgram_out o = { .bundle = b, .head = head };
	size_t sent = dgram_send(d->ev.fd, &o);

	if (sent == bundle_count(&b))
		d->put += b.n + head.n;
	return sent;
}

void
dgram_end(struct weir_dgram *d)
{
	if (d->ev.fd >= 0)
		fd_end(&d->ev);
	d->ev.fd = -1;
}
