/*
 * proxy_accept.c - the PROXY header of a new connection.
 *
 * The bytes are only looked at (MSG_PEEK) until the header is whole, and then exactly it is taken. So
 * nothing has to be given back to the layer above, and a header that comes byte by byte, or never to its
 * end, holds no buffer of ours.  Looking again costs at most PROXY_V2_MAX bytes for each segment.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "core/base/mem.h"
#include "core/net/conn.h"
#include "core/net/proxy_protocol.h"

enum { DRAIN_MS = 2000 };	/* a retiring worker waits so long for a header */

struct reader {
	struct weir_conn *conn;
	const struct weir_log *log;
	struct weir_timer timer;
	void		(*done)(struct weir_conn *);
};

static struct weir_slab slab = WEIR_SLAB(reader);

static void
who(void *arg, struct weir_log_line *l)
{
	const struct weir_conn *c = arg;
	char addr[ADDR_TEXT_MAX];
	struct weir_str client = str_of(addr, addr_put_ip(addr, &c->peer));
	struct weir_str server = str_c(c->from->text);

	log_fact(l, "client", FACT_PLAIN, &client, 1);
	log_fact(l, "server", FACT_PLAIN, &server, 1);
}

void
proxy_complain(const struct weir_conn *c, const struct weir_log *log, enum weir_level level,
    const char *text)
{
	struct weir_log l = { .outs = log->outs, .level = log->level, .id = c->id,
		.doing = "reading PROXY protocol", .who = who, .arg = (void *)(uintptr_t)c };

	log_at(&l, level, 0, "%s", text);
}

/* Nothing of the reader may be used after this. */
static struct weir_conn *
reader_end(struct reader *r)
{
	struct weir_conn *c = r->conn;

	timer_off(&r->timer);
	src_on_ready(&c->io->in, NULL, NULL);
	c->owner = NULL;
	c->on_drain = NULL;
	accept_stats->waiting--;
	slab_give(&slab, r);
	return c;
}

static void
give_up(struct reader *r, enum weir_level level, const char *why)
{
	proxy_complain(r->conn, r->log, level, why);
	conn_close(reader_end(r));
}

/* Takes bytes that were looked at; what lies behind them stays. */
static bool
take(struct weir_fdio *f, char *buf, size_t n)
{
	while (n > 0) {
		ssize_t got = recv(f->ev.fd, buf, n, 0);

		if (got <= 0 && errno != EINTR)
			return false;
		if (got > 0) {
			f->got += (uint64_t)got;
			n -= (size_t)got;
		}
	}
	return true;
}

/* What came is named, as far as it is text, and taken: the end would be a reset else. */
static void
refuse(struct reader *r, char *p, size_t n, const char *why)
{
	char text[PROXY_V1_MAX + 32];
	size_t end = 0;

	while (end < n && end < PROXY_V1_MAX && p[end] != '\r' && p[end] != '\n')
		end++;
	if (end != 0)
		(void)snprintf(text, sizeof text, "%s: \"%.*s\"", why, (int)end, p);
	(void)take(&r->conn->tcp, p, n);
	give_up(r, LOG_ERROR_, end != 0 ? text : why);
}

static ssize_t
look(struct weir_fdio *f, char *buf, size_t room)
{
	ssize_t n;

	do
		n = recv(f->ev.fd, buf, room, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	return n;
}

/* A part of the header is here.  More comes with another event, unless the end came too. */
static void
wait_on(struct reader *r)
{
	struct weir_fdio *f = &r->conn->tcp;

	if (f->ev.ready & (EV_HUP | EV_ERR))
		give_up(r, LOG_INFO_, "client closed connection");
	else
		f->ev.ready &= (uint8_t)~EV_READ;
}

static void
on_readable(void *arg)
{
	struct reader *r = arg;
	struct weir_conn *c = r->conn;
	void (*done)(struct weir_conn *) = r->done;
	char buf[PROXY_V2_MAX];
	ssize_t n = look(&c->tcp, buf, sizeof buf), head;
	struct weir_proxied p;
	const char *why;

	if (n < 0 && errno == EAGAIN) {
		wait_on(r);
		return;
	}
	if (n <= 0) {
		give_up(r, LOG_INFO_, n == 0 ? "client closed connection" : strerror(errno));
		return;
	}
	head = proxy_parse(buf, (size_t)n, &p, &why);
	if (head == WEIR_AGAIN) {
		wait_on(r);
		return;
	}
	if (head < 0) {
		refuse(r, buf, (size_t)n, why);
		return;
	}
	if (p.known && !p.datagram)
		c->proxied = proxied_keep(&p);
	if (!take(&c->tcp, buf, (size_t)head)) {
		give_up(r, LOG_ERROR_, "the PROXY header could not be taken");
		return;
	}
	done(reader_end(r));
}

static void
on_timer(struct weir_timer *t)
{
	give_up(WEIR_OF(t, struct reader, timer), LOG_INFO_, "client timed out");
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	struct reader *r = c->owner;

	if (how == DRAIN_CUT || (how == DRAIN_NOW && !(c->tcp.ev.ready & EV_READ))) {
		conn_close(reader_end(r));
		return;
	}
	timer_off(&r->timer);
	timer_set(&r->timer, DRAIN_MS);
}

void
proxy_accept(struct weir_conn *c, uint64_t ms, const struct weir_log *log,
    void (*done)(struct weir_conn *))
{
	struct reader *r = slab_take(&slab);

	r->conn = c;
	r->log = log;
	r->done = done;
	timer_init(&r->timer, on_timer);
	timer_set(&r->timer, ms);
	c->owner = r;
	c->on_drain = on_drain;
	accept_stats->waiting++;
	src_on_ready(&c->io->in, on_readable, r);
	src_want(&c->io->in, true);
}
