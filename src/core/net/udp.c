/*
 * udp.c - sessions of clients that send datagrams.
 *
 *	a datagram -> its session, by both addresses (table) -> on_data
 *	              or a new one -> the listener's on_conn
 *
 * The table is of fixed size.  Each session is on one of two lists by age, those whose clients are proven and the
 * others; when there is no room, the last of the others goes if they have more than a share of all, else the last of
 * the proven.  So neither can push the other kind out.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/hash.h"
#include "core/base/mem.h"
#include "core/net/conn_new.h"
#include "core/net/udp.h"

enum {
	BATCHES		= 4,	/* of a socket in one turn */
	SHARE		= 4,	/* sessions that are not proven may have a fourth of the room for sure */
	COMPLAIN_MS	= 60000
};

struct udp_socket {
	struct weir_fd	 ev;
	struct weir_listen *from;
	unsigned	 sessions;
	bool		 wild;		/* bound to all addresses */
};

static struct weir_slab slab = WEIR_SLAB(weir_udp);
static struct udp_socket *sockets;
static unsigned n_sockets, most, n_sessions, n_others;
static struct weir_udp **table;
static size_t mask;
static struct weir_list proven = { &proven, &proven }, others = { &others, &others };
static bool stopped;
static uint64_t complained_ms;

static struct weir_metric begun, evicted, refused, now;

const struct weir_metric_row udp_rows[] = {
	{ "udp_sessions_total", METRIC_COUNTER, "Sessions of clients that send datagrams.", .at = &begun },
	{ "udp_sessions_active", METRIC_GAUGE, "Such sessions now.", .at = &now },
	{ "udp_evicted_total", METRIC_COUNTER, "Sessions that were ended because there was no room for another.",
	  .at = &evicted },
	{ "udp_refused_total", METRIC_COUNTER, "Datagrams of new clients for whom there was no room.", .at = &refused },
	{ .name = NULL }
};

/* ---- the table ---- */

struct key {
	struct weir_addr from, to;
	const struct weir_listen *at;
};

static size_t
put_bytes(char *to, const struct weir_addr *a)
{
	struct weir_str s = addr_bytes(a);
	unsigned port = addr_port(a);

	memcpy(to, s.p, s.n);
	memcpy(to + s.n, &port, sizeof port);
	return s.n + sizeof port;
}

static uint64_t
hash_of(const struct key *k)
{
	char b[64];
	size_t n = put_bytes(b, &k->from);

	n += put_bytes(b + n, &k->to);
	memcpy(b + n, &k->at, sizeof(void *));
	return siphash(b, n + sizeof(void *));
}

static struct weir_udp *
find(const struct key *k, uint64_t hash)
{
	struct weir_udp *u;

	for (u = table[hash & mask]; u != NULL; u = u->chain)
		if (u->hash == hash && u->conn.from == k->at && addr_eq(&u->conn.peer, &k->from) &&
		    addr_eq(&u->local, &k->to))
			return u;
	return NULL;
}

static void
age_off(struct weir_udp *u)
{
	if (!list_empty(&u->age) && !u->proven)
		n_others--;
	list_remove(&u->age);
}

/* It was heard. */
static void
age_on(struct weir_udp *u)
{
	age_off(u);
	u->proven = u->proven || u->answered != 0;
	n_others += !u->proven;
	list_push(u->proven ? &proven : &others, &u->age);
}

void
udp_forget(struct weir_udp *u)
{
	struct weir_udp **at = &table[u->hash & mask];

	if (!u->known)
		return;
	u->known = false;
	while (*at != u)
		at = &(*at)->chain;
	*at = u->chain;
}

/* ---- sessions ---- */

static void
on_free(struct weir_task *t)
{
	struct weir_udp *u = WEIR_OF(t, struct weir_udp, conn.tcp.notice);

	dgramq_clear(&u->kept);
	conn_fini(&u->conn);
	slab_give(&slab, u);
}

/* The socket of a worker that retires is its own copy. */
static void
socket_left(struct udp_socket *s)
{
	s->sessions--;
	if (stopped && s->sessions == 0)
		fd_end(&s->ev);
}

void
udp_left(struct weir_conn *c)
{
	struct weir_udp *u = udp_of(c);

	if (u->gone)
		return;
	u->gone = true;
	udp_forget(u);
	age_off(u);
	n_sessions--;
	metric_sub(&now, 0, 1);
	socket_left(u->socket);
	conn_free_soon(c, on_free);
	conn_left(c);
}

static void
complain(void)
{
	if (complained_ms != 0 && weir_now_ms - complained_ms < COMPLAIN_MS)
		return;
	complained_ms = weir_now_ms;
	log_alertx(weir_log, "%u UDP sessions are not enough: those that were quiet for longest give way", n_sessions);
}

/* One of them ends.  Its owner is asked, so that it has its line in the log. */
static bool
evict(void)
{
	struct weir_list *from = list_empty(&proven) || n_others > most / SHARE ? &others : &proven;
	struct weir_udp *u;

	if (list_empty(from))
		return false;
	complain();
	u = list_last(from, struct weir_udp, age);
	metric_add(&evicted, 0, 1);
	u->evicted = true;
	if (u->conn.on_drain != NULL)
		u->conn.on_drain(&u->conn, DRAIN_CUT);
	if (!u->gone)
		conn_close(&u->conn);
	return true;
}

/* Counts what it takes. */
static void
count(struct weir_udp *u, const struct weir_bundle *b)
{
	u->taken += bundle_count(b);
	u->conn.tcp.got += b->n;
	if (u->most != 0 && u->taken >= u->most)
		udp_forget(u);
}

/* A session for the first of these datagrams.  It may be over when this returns. */
static struct weir_udp *
make(struct udp_socket *s, const struct key *k, uint64_t hash, struct weir_bundle *rest)
{
	struct weir_udp *u;

	accept_stats->accepted++;
	if (((n_sessions >= most || !conn_room()) && !evict()) || n_sessions >= most || !conn_room()) {
		metric_add(&refused, 0, 1);
		return NULL;
	}
	u = slab_take(&slab);
	memset(u, 0, sizeof *u);
	conn_init(&u->conn);
	u->conn.flags = CONN_UDP;
	u->conn.peer = k->from;
	u->conn.from = s->from;
	u->local = k->to;
	u->socket = s;
	u->hash = hash;
	u->chain = table[hash & mask];
	table[hash & mask] = u;
	u->known = true;
	dgramq_init(&u->kept);
	list_init(&u->age);
	age_on(u);
	s->sessions++;
	n_sessions++;
	metric_add(&begun, 0, 1);
	metric_add(&now, 0, 1);
	conn_came(&u->conn);
	(void)bundle_cut(rest, 1, &u->now);
	count(u, &u->now);
	s->from->on_conn(&u->conn);
	if (!u->gone && u->now.p != NULL)
		(void)dgramq_put(&u->kept, &u->now);
	u->now.p = NULL;
	return u;
}

/* ---- what comes ---- */

/* Takes of the bundle what is this session's. */
static void
hand_over(struct weir_udp *u, struct weir_bundle *rest)
{
	struct weir_bundle b;

	if (!bundle_cut(rest, u->most != 0 ? u->most - u->taken : SIZE_MAX, &b))
		return;
	count(u, &b);
	if (u->on_data != NULL)
		u->on_data(u, b);
	else
		(void)dgramq_put(&u->kept, &b);		/* who sends so much before it is served loses some */
}

static void
take(struct udp_socket *s, struct weir_dgram_in *in)
{
	struct key k = { .from = in->from, .to = in->to, .at = s->from };
	struct weir_bundle rest = in->bundle;
	uint64_t hash;

	if (!s->wild || k.to.sa.sa_family == AF_UNSPEC)
		k.to = s->from->addr;
	addr_set_port(&k.to, addr_port(&s->from->addr));
	if (addr_port(&k.from) == 0)	/* nobody can be answered there */
		return;
	hash = hash_of(&k);
	while (rest.p != NULL) {
		struct weir_udp *u = find(&k, hash);

		if (u != NULL) {
			age_on(u);
			hand_over(u, &rest);
		} else if (make(s, &k, hash, &rest) == NULL) {
			return;
		}
	}
}

static void
on_readable(struct weir_fd *ev, unsigned what)
{
	struct udp_socket *s = WEIR_OF(ev, struct udp_socket, ev);
	struct weir_dgram_in *in;
	ssize_t n = DGRAM_BATCH;

	(void)what;
	for (unsigned i = 0; i < BATCHES && n == DGRAM_BATCH && !stopped; i++) {
		n = dgram_recv(ev->fd, &in);
		for (ssize_t j = 0; j < n; j++)
			take(s, &in[j]);
	}
}

void
udp_begin(struct weir_udp *u, void (*on_data)(struct weir_udp *, struct weir_bundle))
{
	struct weir_bundle b = u->now;

	u->on_data = on_data;
	u->now.p = NULL;
	if (u->most != 0 && u->taken >= u->most)
		udp_forget(u);
	if (b.p != NULL)
		on_data(u, b);
	while (!u->gone && dgramq_first(&u->kept, &b)) {
		on_data(u, b);
		dgramq_drop(&u->kept);
	}
}

struct weir_str
udp_first(const struct weir_udp *u)
{
	struct weir_bundle b = u->now;

	if (b.p == NULL && !dgramq_first(&u->kept, &b))
		return STR_NONE;
	return str_of(b.p, b.each);
}

size_t
udp_put(struct weir_udp *u, struct weir_bundle b)
{
	struct weir_dgram_out o = { .bundle = b, .to = &u->conn.peer, .from = u->socket->wild ? &u->local : NULL };
	size_t sent = dgram_send(u->socket->ev.fd, &o);

	u->answered += sent;
	if (sent == bundle_count(&b))
		u->conn.tcp.put += b.n;
	return sent;
}

/* ---- the worker's sockets ---- */

static unsigned
find_mine(struct weir_listeners *ls, unsigned worker, unsigned workers, struct udp_socket *to)
{
	unsigned n = 0;

	for (struct weir_listen *l = ls->first; l != NULL; l = l->next)
		for (unsigned i = worker; l->type == SOCK_DGRAM && i < l->n_fds; i += workers, n++)
			if (to != NULL)
				to[n] = (struct udp_socket){ .ev = { .fd = l->fds[i], .on = on_readable }, .from = l,
				    .wild = addr_is_wild(&l->addr) };
	return n;
}

int
udp_start(struct weir_listeners *ls, unsigned worker, unsigned workers, unsigned sessions)
{
	size_t room = 16;

	stopped = false;
	most = sessions;
	n_sockets = find_mine(ls, worker, workers, NULL);
	if (n_sockets == 0)
		return WEIR_OK;
	while (room < most)
		room *= 2;
	mask = room - 1;
	table = mem_zalloc(room * sizeof *table);
	sockets = mem_zalloc(n_sockets * sizeof *sockets);
	find_mine(ls, worker, workers, sockets);
	for (unsigned i = 0; i < n_sockets; i++)
		if (fd_watch_level(&sockets[i].ev) != WEIR_OK) {
			log_alert(weir_log, "watching %s failed", sockets[i].from->text);
			return WEIR_FAIL;
		}
	return WEIR_OK;
}

/* Whoever closes the listeners does not take our sessions' way to answer with them. */
void
udp_stop(void)
{
	stopped = true;
	for (unsigned i = 0; i < n_sockets; i++) {
		struct udp_socket *s = &sockets[i];

		fd_unwatch(&s->ev);
		s->ev.fd = s->sessions != 0 ? fcntl(s->ev.fd, F_DUPFD_CLOEXEC, 3) : -1;
	}
}

unsigned
udp_count(void)
{
	return n_sessions;
}
