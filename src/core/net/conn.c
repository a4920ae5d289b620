/*
 * conn.c - connections: making, closing, freeing.
 */
#include <errno.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/net/conn_new.h"
#include "core/net/udp.h"
#include "core/net/proxy_protocol.h"

struct likeness {
	struct weir_conn conn;
	struct weir_addr local;
};

static struct weir_slab slab = WEIR_SLAB(weir_conn);
static uint64_t last_id;

void
conn_fini(struct weir_conn *c)
{
	if (c->layer != NULL)
		c->layer->ops->free(c->layer);
	c->magic = 0;
	proxied_free(c->proxied);
	if (c->preface != NULL)
		slab_sized_give(c->preface, sizeof *c->preface + c->preface->n);
}

static void
on_free(struct weir_task *t)
{
	struct weir_conn *c = WEIR_OF(t, struct weir_conn, tcp.notice);

	conn_fini(c);
	slab_give(&slab, c);
}

void
conn_init(struct weir_conn *c)
{
	memset(c, 0, offsetof(struct weir_conn, tcp));
	c->magic = WEIR_CONN_MAGIC;
	c->tcp.ev.fd = -1;
	c->from = NULL;
	c->proxied = NULL;
	c->preface = NULL;
	c->on_drain = NULL;
	c->owner = NULL;
	c->id = ++last_id;
	c->began_ms = weir_now_ms;
	c->io = &c->tcp.io;
	list_init(&c->all);
}

void
conn_free_soon(struct weir_conn *c, void (*fn)(struct weir_task *))
{
	task_init(&c->tcp.notice, fn);
	task_post(&c->tcp.notice);
}

struct weir_conn *
conn_new(int fd)
{
	struct weir_conn *c = slab_take(&slab);

	conn_init(c);
	if (fdio_init(&c->tcp, fd) != WEIR_OK) {
		c->tcp.ev.fd = -1;
		slab_give(&slab, c);
		return NULL;
	}
	return c;
}

static void
end(struct weir_conn *c, bool reset)
{
	if (c->flags & CONN_UDP) {
		udp_left(c);
		return;
	}
	if (c->tcp.ev.fd < 0)
		return;
	if (c->layer != NULL)
		c->layer->ops->end(c->layer, reset);
	fdio_end(&c->tcp, reset);
	c->tcp.io.in.ready = c->tcp.io.out.ready = NULL;
	c->tcp.on_gone = NULL;
	if (c->from != NULL)
		conn_left(c);
	conn_free_soon(c, on_free);
}

void
conn_close(struct weir_conn *c)
{
	end(c, false);
}

void
conn_abort(struct weir_conn *c)
{
	end(c, true);
}

bool
conn_quiet(struct weir_conn *c)
{
	if (c->flags & CONN_UDP)
		return true;
	return c->layer != NULL ? c->layer->ops->quiet(c->layer) : fdio_quiet(&c->tcp);
}

bool
conn_quiet_now(struct weir_conn *c)
{
	c->tcp.ev.ready |= EV_READ;
	return conn_quiet(c);
}

bool
conn_preface_is(const struct weir_conn *c, struct weir_str s)
{
	if (c->preface == NULL || s.n == 0)
		return c->preface == NULL && s.n == 0;
	return str_eq(str_of(c->preface->bytes, c->preface->n), s);
}

const struct weir_addr *
conn_local(struct weir_conn *c, struct weir_addr *to)
{
	union weir_sockaddr sa;
	socklen_t n = sizeof sa;

	if (c->flags & CONN_LIKENESS) {
		*to = WEIR_OF(c, struct likeness, conn)->local;
		return to;
	}
	if (c->flags & CONN_UDP) {
		*to = WEIR_OF(c, struct weir_udp, conn)->local;
		return to;
	}
	memset(to, 0, sizeof *to);
	if (c->tcp.ev.fd >= 0 && getsockname(c->tcp.ev.fd, &sa.sa, &n) == 0)
		addr_from_kernel(to, &sa, n, NULL);
	return to;
}

/* The IPv4 address that one of IPv6 stands for, on a socket that takes both. */
static void
unmap(struct weir_addr *a)
{
	struct weir_addr four = { .in = { .sin_family = AF_INET } };

	if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
		return;
	memcpy(&four.in.sin_addr, a->in6.sin6_addr.s6_addr + 12, sizeof four.in.sin_addr);
	four.in.sin_port = a->in6.sin6_port;
	*a = four;
}

bool
conn_wanted(struct weir_conn *c, struct weir_addr *to)
{
	enum { ORIGINAL_DST = 80 };	/* SO_ORIGINAL_DST, the same for both families (linux/netfilter_ipv4.h) */
	struct weir_addr own;
	union weir_sockaddr sa;
	socklen_t n = sizeof sa;

	if ((c->flags & (CONN_LIKENESS | CONN_UDP)) || c->tcp.ev.fd < 0)
		return false;
	conn_local(c, &own);
	unmap(&own);
	if (own.sa.sa_family != AF_INET && own.sa.sa_family != AF_INET6)
		return false;
	if (getsockopt(c->tcp.ev.fd, own.sa.sa_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, ORIGINAL_DST, &sa, &n) != 0)
		return false;
	addr_from_kernel(to, &sa, n, NULL);
	return !addr_eq(to, &own);
}

struct weir_conn *
conn_likeness(struct weir_conn *of, struct weir_pool *pool)
{
	struct likeness *l = POOL_NEW(pool, likeness);
	struct weir_conn *c = &l->conn;

	conn_local(of, &l->local);
	c->magic = WEIR_CONN_MAGIC;
	c->flags = of->flags | CONN_LIKENESS;
	c->peer = of->peer;
	c->from = of->from;
	c->id = of->id;
	c->began_ms = of->began_ms;
	c->tcp.ev.fd = -1;
	c->io = &c->tcp.io;
	if (of->layer != NULL)
		c->layer = of->layer->ops->likeness(of->layer, pool);
	list_init(&c->all);
	return c;
}
