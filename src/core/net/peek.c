/*
 * peek.c - what a client sends first is looked at, and stays in the socket.
 */
#include <errno.h>
#include <sys/socket.h>

#include "core/net/peek.h"

/* What is here now.  WEIR_AGAIN: nothing new; WEIR_EOF: and nothing will be. */
static int
look(const struct weir_peek *p, size_t *all)
{
	struct weir_fdio *tcp = &p->conn->tcp;
	ssize_t n;

	do
		n = recv(tcp->ev.fd, p->ops->room, p->ops->max, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	if (n > 0 && (size_t)n > p->seen) {
		*all = (size_t)n;
		return WEIR_OK;
	}
	if (n == 0 || (n < 0 && errno != EAGAIN) || p->seen == p->ops->max || (tcp->ev.ready & (EV_HUP | EV_ERR)))
		return WEIR_EOF;
	return WEIR_AGAIN;
}

static void
on_ready(void *arg)
{
	struct weir_peek *p = arg;
	size_t all;
	int rc;

	while ((rc = look(p, &all)) == WEIR_OK) {
		size_t old = p->seen;

		p->seen = all;
		if (p->ops->see(p, old, all))
			return;
	}
	if (rc == WEIR_EOF)
		p->ops->over(p);
	else
		p->conn->tcp.ev.ready &= (uint8_t)~EV_READ;
}

static void
on_timer(struct weir_timer *t)
{
	struct weir_peek *p = WEIR_OF(t, struct weir_peek, timer);

	p->ops->late(p);
}

static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	struct weir_peek *p = c->owner;

	p->ops->drain(p, how);
}

struct weir_conn *
peek_end(struct weir_peek *p)
{
	struct weir_conn *c = p->conn;

	timer_off(&p->timer);
	c->owner = NULL;
	c->on_drain = NULL;
	src_want(&c->io->in, false);
	src_on_ready(&c->io->in, NULL, NULL);
	c->tcp.ev.ready |= EV_READ;
	return c;
}

void
peek_begin(struct weir_peek *p, struct weir_conn *c, const struct weir_peek_ops *ops, uint64_t ms)
{
	p->conn = c;
	p->ops = ops;
	p->seen = 0;
	c->owner = p;
	c->on_drain = on_drain;
	timer_init(&p->timer, on_timer);
	timer_set(&p->timer, ms);
	src_on_ready(&c->io->in, on_ready, p);
	src_want(&c->io->in, true);
}
