/*
 * preread.c - what a client sends first, looked at before it is passed on.
 */
#include <errno.h>
#include <sys/socket.h>

#include "core/net/udp.h"
#include "stream/preread.h"

struct weir_str
stream_preread(struct weir_stream *st)
{
	struct weir_str first = bufq_first(&st->preread);
	char *all;

	if (stream_is_udp(st))
		return udp_first(udp_of(st->s.conn));
	if (st->peeked != NULL)
		return str_of(st->peeked, st->peeked_n);
	if (first.n == st->preread.len)
		return first;
	all = pool_bytes(st->s.pool, st->preread.len);
	return str_of(all, bufq_peek(&st->preread, 0, all, st->preread.len));
}

static void
on_readable(void *arg)
{
	struct weir_stream *st = arg;

	if (!st->over)
		weir_resume(&st->s);
}

/*
 * Without TLS the bytes stay in the kernel: then it is not too late to hand the connection over, and nothing is held while it
 * is passed on.  WEIR_AGAIN when there are no more than before.
 */
static ssize_t
peek(struct weir_stream *st, size_t most)
{
	struct weir_fdio *tcp = &st->s.conn->tcp;
	ssize_t n;

	if (st->peeked == NULL)
		st->peeked = pool_bytes(st->s.pool, most);
	do
		n = recv(tcp->ev.fd, st->peeked, most, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n > 0 && (size_t)n > st->peeked_n)
		return (ssize_t)(st->peeked_n = (size_t)n);
	if (n == 0 || (n > 0 && (tcp->ev.ready & (EV_HUP | EV_ERR))))
		return WEIR_EOF;
	if (n < 0 && errno != EAGAIN)
		return WEIR_FAIL;
	tcp->ev.ready &= (uint8_t)~EV_READ;
	return WEIR_AGAIN;
}

enum weir_next
stream_preread_more(struct weir_stream *st)
{
	struct weir_conn *c = st->s.conn;
	struct weir_src *in = &c->io->in;
	size_t most = (size_t)STREAM_CONF(st)->preread_size, have = c->layer == NULL ? st->peeked_n : st->preread.len;
	ssize_t n;

	if (have >= most || stream_is_udp(st)) {	/* a datagram is all that there is */
		log_errorx(&st->s.log, "preread buffer full");
		return stream_finish(st, 400, "preread_full");
	}
	n = c->layer == NULL ? peek(st, most) : src_read(in, &st->preread, most - have);
	if (n > 0)
		return WEIR_NEXT;
	if (n == WEIR_EOF)
		return stream_finish(st, 200, "client_closed");
	if (n == WEIR_FAIL) {
		log_info(&st->s.log, "client broke the connection");
		return stream_finish(st, 200, "client_reset");
	}
	if (!st->prereading) {
		st->prereading = true;
		timer_set(&st->timer, STREAM_CONF(st)->preread_ms);
	}
	src_on_ready(in, on_readable, st);
	src_want(in, true);
	return WEIR_WAIT;
}

void
stream_preread_late(struct weir_stream *st)
{
	log_info(&st->s.log, "client sent nothing that was waited for in time");
	(void)stream_finish(st, 200, "preread_timeout");
}

void
stream_preread_end(struct weir_stream *st)
{
	if (st->prereading) {
		st->prereading = false;
		timer_off(&st->timer);
		src_want(&st->s.conn->io->in, false);
		src_on_ready(&st->s.conn->io->in, NULL, NULL);
	}
	if (st->peeked != NULL)
		st->s.conn->tcp.ev.ready |= EV_READ;	/* what was looked at is still there */
}
