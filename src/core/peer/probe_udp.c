/*
 * probe_udp.c - does a server take datagrams, and answer what is expected?
 *
 * Nobody says that a datagram has arrived, only that it has not (ICMP): a server of which nothing else is expected has passed
 * when it answers anything, or when the time is over and nothing was refused.
 */
#include <errno.h>
#include <string.h>

#include "core/net/dgram.h"
#include "core/net/conn.h"
#include "core/peer/health.h"

enum { LOOKS = 200 };		/* at so many datagrams */

static const struct weir_str question = { "weir health check", 17 };

struct talk {
	struct weir_probe *p;
	struct weir_dgram link;
	unsigned	 looks;
};

static void
on_data(struct weir_dgram *l, struct weir_bundle all)
{
	struct talk *t = l->owner;
	struct weir_probe *p = t->p;
	struct weir_bundle one;

	while (!p->ended && bundle_cut(&all, 1, &one)) {
		if (!expects_any(p->h->expect) || expect_met(p->h->expect, str_of(one.p, one.n)))
			probe_pass(p);
		else if (++t->looks == LOOKS)
			probe_fail(p, "no match in %u datagrams", LOOKS);
	}
}

static void
on_error(struct weir_dgram *l, int err)
{
	probe_fail(((struct talk *)l->owner)->p, "a datagram was refused (%d: %s)", err, strerror(err));
}

static void
start(struct weir_probe *p)
{
	const struct weir_expect *e = p->h->expect;
	struct weir_str say = e != NULL && e->send.n != 0 ? e->send : question;
	struct talk *t = POOL_NEW(p->pool, talk);

	p->own = t;
	t->p = p;
	t->link.ev.fd = -1;
	t->link.owner = t;
	t->link.on_data = on_data;
	t->link.on_error = on_error;
	p->doing = "waiting for what is expected";
	if (dgram_dial(&t->link, &p->addr, &(struct weir_dial_opts){ 0 }) != WEIR_OK)
		probe_fail(p, "connect() failed (%d: %s)", errno, strerror(errno));
	else if (dgram_put(&t->link, (struct weir_bundle){ say.p, say.n, say.n }, probe_preface(p)) == 0 && errno != EAGAIN)
		probe_fail(p, "send() failed (%d: %s)", errno, strerror(errno));
}

static bool
silence(struct weir_probe *p)
{
	return !expects_any(p->h->expect);
}

static void
end(struct weir_probe *p)
{
	dgram_end(&((struct talk *)p->own)->link);
}

const struct weir_probe_kind probe_udp = { .name = "udp", .dgrams = true, .start = start, .silence = silence, .end = end };
