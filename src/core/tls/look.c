/*
 * look.c - which name does the client of a new connection ask for?
 *
 * Every look begins at the first byte again (MSG_PEEK), but the reader of hellos gets each byte once.
 */
#include <errno.h>
#include <sys/socket.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/tls/look.h"

struct look {
	struct weir_conn *conn;
	void		(*done)(struct weir_conn *, struct weir_str, uint64_t);
	struct weir_timer timer;
	uint64_t	 until_ms;
	size_t		 fed;
	struct weir_hello_reader reader;
	struct weir_hello hello;
};

static struct weir_slab slab = WEIR_SLAB(look);

static void
end(struct look *l)
{
	struct weir_conn *c = l->conn;

	timer_off(&l->timer);
	hello_end(&l->reader);
	c->owner = NULL;
	c->on_drain = NULL;
	src_want(&c->io->in, false);
	src_on_ready(&c->io->in, NULL, NULL);
	c->tcp.ev.ready |= EV_READ;	/* what was looked at is still there */
	slab_give(&slab, l);
}

static void
decide(struct look *l, bool known)
{
	void (*done)(struct weir_conn *, struct weir_str, uint64_t) = l->done;
	struct weir_conn *c = l->conn;
	uint64_t left_ms = l->until_ms > weir_now_ms ? l->until_ms - weir_now_ms : 1;
	char name[HELLO_NAME_MAX];
	struct weir_str s = str_of(name, known ? hello_name(&l->hello).n : 0);

	memcpy(name, l->hello.name, s.n);
	end(l);
	done(c, s, left_ms);
}

/* What is new since the last look.  WEIR_AGAIN: nothing; WEIR_EOF: and nothing will be. */
static int
look(struct look *l, const char **p, size_t *fresh)
{
	static char buf[LOOK_MAX];
	struct weir_fdio *tcp = &l->conn->tcp;
	ssize_t n;

	do
		n = recv(tcp->ev.fd, buf, sizeof buf, MSG_PEEK);
	while (n < 0 && errno == EINTR);
	*p = buf + l->fed;
	*fresh = n > 0 && (size_t)n > l->fed ? (size_t)n - l->fed : 0;
	if (*fresh != 0)
		return WEIR_OK;
	if (n == 0 || (n < 0 && errno != EAGAIN) || n == LOOK_MAX || (tcp->ev.ready & (EV_HUP | EV_ERR)))
		return WEIR_EOF;
	return WEIR_AGAIN;
}

static void
on_ready(void *arg)
{
	struct look *l = arg;
	enum weir_hello_end how;
	const char *p;
	size_t n;
	int rc;

	while ((rc = look(l, &p, &n)) == WEIR_OK) {
		l->fed += n;
		how = hello_feed(&l->reader, p, n, &l->hello);
		if (how != HELLO_MORE) {
			decide(l, how == HELLO_DONE);
			return;
		}
	}
	if (rc == WEIR_EOF)
		decide(l, false);
	else
		l->conn->tcp.ev.ready &= (uint8_t)~EV_READ;
}

static void
on_timer(struct weir_timer *t)
{
	decide(WEIR_OF(t, struct look, timer), false);
}

/* In the middle of a hello there is nothing to lose but the time it took. */
static void
on_drain(struct weir_conn *c, enum weir_drain how)
{
	if (how != DRAIN_CUT)
		return;
	end(c->owner);
	conn_close(c);
}

void
hello_look(struct weir_conn *c, uint64_t ms, void (*done)(struct weir_conn *, struct weir_str, uint64_t))
{
	struct look *l = slab_take(&slab);

	l->conn = c;
	l->done = done;
	l->until_ms = weir_now_ms + ms;
	l->fed = 0;
	l->hello.name_n = 0;
	hello_begin(&l->reader);
	c->owner = l;
	c->on_drain = on_drain;
	timer_init(&l->timer, on_timer);
	timer_set(&l->timer, ms);
	src_on_ready(&c->io->in, on_ready, l);
	src_want(&c->io->in, true);
}
