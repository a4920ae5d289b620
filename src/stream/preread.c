/*
 * preread.c - what a client sends first, looked at before it is passed on.
 */
#include <errno.h>
#include <sys/socket.h>

#include "core/net/udp.h"
#include "stream/preread.h"

enum { LOOK = 16384, ROOM_LEAST = 1024 };

/*
 * Room for n bytes in one piece.  It at least doubles, so that a client that sends them singly does not fill the pool; and
 * there is none for one that sends nothing.
 */
static char *
room_for(struct weir_stream *st, size_t n)
{
	if (n > st->peeked_room) {
		st->peeked_room = WEIR_MAX(n, WEIR_MAX(st->peeked_room * 2, (size_t)ROOM_LEAST));
		st->peeked = pool_bytes(st->s.pool, st->peeked_room);
	}
	return st->peeked;
}

struct weir_str
stream_preread(struct weir_stream *st)
{
	struct weir_str first = bufq_first(&st->preread);
	char *all;

	if (stream_is_udp(st))
		return udp_first(udp_of(st->s.conn));
	if (st->s.conn->layer == NULL)
		return str_of(st->peeked, st->peeked_n);
	if (first.n == st->preread.len)
		return first;
	all = room_for(st, st->preread.len);
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
	static char look[LOOK];
	struct weir_fdio *tcp = &st->s.conn->tcp;
	char *to = most <= LOOK ? look : room_for(st, most);
	ssize_t n;

	do
		n = recv(tcp->ev.fd, to, most, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n > 0 && (size_t)n > st->peeked_n) {
		if (to == look)
			memcpy(room_for(st, (size_t)n), look, (size_t)n);
		return (ssize_t)(st->peeked_n = (size_t)n);
	}
	if ((n < 0 && errno != EAGAIN) || fdio_reset(tcp))	/* what came before a reset can still be looked at */
		return WEIR_FAIL;
	if (n == 0 || (n > 0 && (tcp->ev.ready & EV_HUP)))
		return WEIR_EOF;
	tcp->ev.ready &= (uint8_t)~EV_READ;
	return WEIR_AGAIN;
}

ssize_t
stream_preread_try(struct weir_stream *st)
{
	struct weir_conn *c = st->s.conn;
	size_t most = (size_t)STREAM_CONF(st)->preread_size, have = c->layer == NULL ? st->peeked_n : st->preread.len;

	if (have >= most || stream_is_udp(st))		/* a datagram is all that there is */
		return 0;
	return c->layer == NULL ? peek(st, most) : src_read(&c->io->in, &st->preread, most - have);
}

enum weir_next
stream_preread_wait(struct weir_stream *st)
{
	struct weir_src *in = &st->s.conn->io->in;

	st->prereading = true;
	src_on_ready(in, on_readable, st);
	src_want(in, true);
	return WEIR_WAIT;
}

enum weir_next
stream_preread_more(struct weir_stream *st)
{
	ssize_t n = stream_preread_try(st);

	if (n > 0)
		return WEIR_NEXT;
	if (n == 0) {
		log_errorx(&st->s.log, "preread buffer full");
		return stream_finish(st, 400, "preread_full");
	}
	if (n == WEIR_EOF)
		return stream_finish(st, 200, "client_closed");
	if (n == WEIR_FAIL) {
		log_info(&st->s.log, "client broke the connection");
		return stream_finish(st, 200, "client_reset");
	}
	if (!st->preread_timed) {
		st->preread_timed = true;
		timer_set(&st->timer, STREAM_CONF(st)->preread_ms);
	}
	return stream_preread_wait(st);
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
		st->prereading = st->preread_timed = false;
		timer_off(&st->timer);
		src_want(&st->s.conn->io->in, false);
		src_on_ready(&st->s.conn->io->in, NULL, NULL);
	}
	if (st->peeked_n != 0)
		st->s.conn->tcp.ev.ready |= EV_READ;	/* what was looked at is still there */
}
