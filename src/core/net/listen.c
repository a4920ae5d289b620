/*
 * listen.c - opens listening sockets, and keeps them over reloads.
 *
 * The sockets of an address are a SO_REUSEPORT group.  Closing one of them would lose the
 * connections in its accept queue, so a group only grows.  SO_REUSEPORT
 * also hides that somebody else listens there already, so before the first socket of a
 * group is opened a bind without it is tried.
 */
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/net/dgram.h"
#include "core/net/listen_in.h"

enum { TRIES = 5, RETRY_MS = 500 };

static const struct weir_listen_opts default_opts = {
	.backlog = 511, .ipv6only = 1, .keepalive = -1,
};

size_t
listen_key(char to[LISTEN_KEY_MAX], const struct weir_addr *a, int type)
{
	struct weir_str	bytes = addr_bytes(a);
	uint16_t	port = (uint16_t)addr_port(a);
	uint32_t	scope = a->sa.sa_family == AF_INET6 ? a->in6.sin6_scope_id : 0;

	assert(bytes.n <= ADDR_TEXT_MAX);
	to[0] = (char)type;
	to[1] = (char)a->sa.sa_family;
	memcpy(to + 2, &port, 2);
	memcpy(to + 4, &scope, 4);
	memcpy(to + 8, bytes.p, bytes.n);
	return 8 + bytes.n;
}

struct weir_listen *
listen_find(const struct weir_listeners *ls, const struct weir_addr *a, int type)
{
	char key[LISTEN_KEY_MAX];

	return ls != NULL ? hash_get(&ls->by_key, str_of(key, listen_key(key, a, type))) : NULL;
}

/* ipv6only is decided when a socket is bound, so another value is another socket. */
static struct weir_listen *
find_same(const struct weir_listeners *ls, const struct weir_listen *like)
{
	struct weir_listen *l = listen_find(ls, &like->addr, like->type);

	if (l != NULL && like->addr.sa.sa_family == AF_INET6 &&
	    !l->opts.ipv6only != !like->opts.ipv6only)
		return NULL;
	return l;
}

struct weir_listen *
listen_get(struct weir_listeners *ls, struct weir_pool *pool, const struct weir_addr *a, int type)
{
	struct weir_listen	*l = listen_find(ls, a, type);
	char			 text[ADDR_TEXT_MAX], key[LISTEN_KEY_MAX];
	size_t			 n;

	if (l != NULL)
		return l;
	l = POOL_NEW(pool, weir_listen);
	l->addr = *a;
	if (a->path != NULL)
		l->addr.path = pool_cstr(pool, str_c(a->path));
	l->type = type;
	l->opts = default_opts;
	l->pool = pool;
	l->text = pool_cstr(pool, str_of(text, addr_put(text, a)));
	if (ls->tail == NULL)
		ls->tail = &ls->first;
	if (ls->by_key.pool == NULL)
		hash_init(&ls->by_key, pool, false);
	n = listen_key(key, &l->addr, type);
	hash_put(&ls->by_key, str_of(pool_dup(pool, key, n), n), l);
	*ls->tail = l;
	ls->tail = &l->next;
	return l;
}

/*
 * Opening one socket.
 */

static void
option(const struct weir_listen *l, int fd, int level, int name, const char *what, int value,
    struct weir_log *log)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) != 0)
		log_alert(log, "setsockopt(%s, %d) for %s failed", what, value, l->text);
}

#define OPTION(l, fd, level, name, value, log) \
	option((l), (fd), (level), (name), #name, (value), (log))

/* What may be set at any time, so also on sockets that are kept. */
static void
set_options(const struct weir_listen *l, int fd, struct weir_log *log)
{
	const struct weir_listen_opts *o = &l->opts;

	if (o->rcvbuf > 0)
		OPTION(l, fd, SOL_SOCKET, SO_RCVBUF, o->rcvbuf, log);
	if (o->sndbuf > 0)
		OPTION(l, fd, SOL_SOCKET, SO_SNDBUF, o->sndbuf, log);
	if (l->type == SOCK_DGRAM)
		dgram_prepare(fd, &l->addr);
	if (is_unix(l) || l->type != SOCK_STREAM)
		return;
	/* accepted sockets inherit it, which saves a call for each connection */
	OPTION(l, fd, IPPROTO_TCP, TCP_NODELAY, 1, log);
	if (o->keepalive >= 0)
		OPTION(l, fd, SOL_SOCKET, SO_KEEPALIVE, o->keepalive, log);
	if (o->keepidle > 0)
		OPTION(l, fd, IPPROTO_TCP, TCP_KEEPIDLE, o->keepidle, log);
	if (o->keepintvl > 0)
		OPTION(l, fd, IPPROTO_TCP, TCP_KEEPINTVL, o->keepintvl, log);
	if (o->keepcnt > 0)
		OPTION(l, fd, IPPROTO_TCP, TCP_KEEPCNT, o->keepcnt, log);
}

/* After listen(); a kept socket may have had another value, so 0 is set there too. */
static int
set_listening(const struct weir_listen *l, int fd, bool kept, struct weir_log *log)
{
	if (l->type != SOCK_STREAM)
		return WEIR_OK;
	if (listen(fd, l->opts.backlog) != 0) {
		log_at(log, LOG_EMERG_, errno, "listen() to %s, backlog %d failed", l->text,
		    l->opts.backlog);
		return WEIR_FAIL;
	}
	if (is_unix(l))
		return WEIR_OK;
	if (l->opts.fastopen > 0 || kept)
		OPTION(l, fd, IPPROTO_TCP, TCP_FASTOPEN, l->opts.fastopen, log);
	if (l->opts.defer_accept > 0 || kept)
		OPTION(l, fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, l->opts.defer_accept, log);
	return WEIR_OK;
}

static int
open_socket(const struct weir_listen *l, bool reuseport, struct weir_log *log)
{
	int fd = socket(l->addr.sa.sa_family, l->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		log_at(log, LOG_EMERG_, errno, "socket() for %s failed", l->text);
		return -1;
	}
	if (is_unix(l))
		return fd;
	if (l->type == SOCK_STREAM)
		OPTION(l, fd, SOL_SOCKET, SO_REUSEADDR, 1, log);
	if (reuseport)
		OPTION(l, fd, SOL_SOCKET, SO_REUSEPORT, 1, log);
	if (l->addr.sa.sa_family == AF_INET6)
		OPTION(l, fd, IPPROTO_IPV6, IPV6_V6ONLY, l->opts.ipv6only != 0, log);
	if (l->opts.transparent)
		OPTION(l, fd, IPPROTO_IP, IP_TRANSPARENT, 1, log);	/* IPV6_TRANSPARENT is the same bit */
	return fd;
}

static int
bind_to(const struct weir_listen *l, int fd)
{
	union weir_sockaddr	sa;
	socklen_t		n = addr_to_kernel(&l->addr, &sa);

	return bind(fd, &sa.sa, n);
}

static void
bind_failed(const struct weir_listen *l, struct weir_log *log)
{
	log_at(log, LOG_EMERG_, errno, "bind() to %s failed", l->text);
}

/* A file that a server left behind which is no more. */
static bool
unix_stale(const struct weir_listen *l)
{
	union weir_sockaddr	sa;
	socklen_t		n = addr_to_kernel(&l->addr, &sa);
	struct stat		st;
	int			fd, rc, err;

	if (lstat(l->addr.path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, l->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	rc = connect(fd, &sa.sa, n);
	err = errno;
	close(fd);
	return rc != 0 && err == ECONNREFUSED;
}

static int
bind_unix(const struct weir_listen *l, int fd, struct weir_log *log)
{
	if (bind_to(l, fd) != 0) {
		if (errno != EADDRINUSE)
			return WEIR_FAIL;
		if (!unix_stale(l)) {
			errno = EADDRINUSE;
			return WEIR_FAIL;
		}
		unlink(l->addr.path);
		if (bind_to(l, fd) != 0)
			return WEIR_FAIL;
	}
	/* Who may talk to us is decided by the folder, as with TCP by the network. */
	if (chmod(l->addr.path, 0666) != 0)
		log_alert(log, "chmod() of %s failed", l->text);
	return WEIR_OK;
}

/* A bound, listening socket, or -1 after complaining. */
static int
open_one(const struct weir_listen *l, struct weir_log *log)
{
	int fd = open_socket(l, true, log);

	if (fd < 0)
		return -1;
	set_options(l, fd, log);
	if ((is_unix(l) ? bind_unix(l, fd, log) : bind_to(l, fd)) != 0)
		bind_failed(l, log);
	else if (set_listening(l, fd, false, log) == WEIR_OK)
		return fd;
	close(fd);
	return -1;
}

/*
 * Is the address free?
 */

/* WEIR_AGAIN: in use; said so when `say`. */
static int
probe(const struct weir_listen *l, bool say, struct weir_log *log)
{
	int fd, rc = WEIR_OK;

	if ((fd = open_socket(l, false, log)) < 0)
		return WEIR_FAIL;
	if (bind_to(l, fd) != 0) {
		rc = errno == EADDRINUSE ? WEIR_AGAIN : WEIR_FAIL;
		if (rc == WEIR_FAIL || say)
			bind_failed(l, log);
	}
	close(fd);
	return rc;
}

void
listen_ports_add(struct listen_ports *p, int type, const struct weir_addr *a)
{
	unsigned port = addr_port(a);

	if (a->sa.sa_family != AF_UNIX)
		p->has[type == SOCK_DGRAM][port / 8] |= (uint8_t)(1 << port % 8);
}

static bool
ports_has(const struct listen_ports *p, const struct weir_listen *l)
{
	unsigned port = addr_port(&l->addr);

	return (p->has[l->type == SOCK_DGRAM][port / 8] >> port % 8 & 1) != 0;
}

/*
 * A socket of ours on the same port may overlap (0.0.0.0:80 and 127.0.0.1:80), and
 * then the trial would fail for no good reason: only ports that are wholly new are tried.
 */
static int
probe_new(struct weir_listeners *now, struct weir_listeners *old, bool in_use_is_fine,
    struct weir_log *log)
{
	struct weir_listen	*l;
	struct listen_ports	 ours = { 0 };
	int			 rc = WEIR_OK, got;

	for (l = old != NULL ? old->first : NULL; l != NULL; l = l->next)
		if (l->n_fds > 0)
			listen_ports_add(&ours, l->type, &l->addr);
	inherited_ports(&ours);
	for (l = now->first; l != NULL; l = l->next) {
		if (is_unix(l) || ports_has(&ours, l))
			continue;
		got = probe(l, !in_use_is_fine, log);
		if (got == WEIR_FAIL)
			return WEIR_FAIL;
		if (got == WEIR_AGAIN && !in_use_is_fine)
			rc = WEIR_AGAIN;
	}
	return rc;
}

int
listen_probe(struct weir_listeners *ls, struct weir_log *log)
{
	return probe_new(ls, NULL, true, log);
}

/* A server that is just ending may still hold its ports for a moment. */
static int
wait_until_free(struct weir_listeners *now, struct weir_listeners *old, struct weir_log *log)
{
	const struct timespec pause = { 0, RETRY_MS * 1000000L };
	int i, rc;

	for (i = 0; i < TRIES; i++) {
		if ((rc = probe_new(now, old, false, log)) != WEIR_AGAIN)
			return rc;
		log_at(log, LOG_NOTICE_, 0, "try again to bind() after %dms", RETRY_MS);
		nanosleep(&pause, NULL);
	}
	log_at(log, LOG_EMERG_, 0, "still could not bind()");
	return WEIR_FAIL;
}

/*
 * Opening, keeping and closing all.
 */

/* Its descriptors so far: those of the old generation, or of the old master. */
static void
take(struct weir_listen *l, const struct weir_listen *o, unsigned want, struct weir_log *log)
{
	unsigned i, room = WEIR_MAX(want, o != NULL ? o->n_fds : inherited_count(l));

	l->fds = pool_alloc(l->pool, room * sizeof(*l->fds));
	l->n_fds = l->n_lent = 0;
	if (o != NULL) {
		memcpy(l->fds, o->fds, o->n_fds * sizeof(*l->fds));
		l->n_fds = o->n_fds;
		l->n_lent = o->n_lent;
	} else
		l->n_fds = l->n_lent = inherited_take(l, l->fds);
	for (i = 0; i < l->n_fds; i++) {
		set_options(l, l->fds[i], log);
		if (!is_unix(l))
			OPTION(l, l->fds[i], IPPROTO_IP, IP_TRANSPARENT, l->opts.transparent, log);
		/* Such a socket listens already: what fails here is not worth refusing a reload. */
		(void)!set_listening(l, l->fds[i], true, log);
	}
#ifdef SO_DETACH_REUSEPORT_BPF
	/* What listen_leave() attached would keep new members from getting anything. */
	if (l->n_fds > 0 && l->n_fds < want)
		setsockopt(l->fds[0], SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &want, sizeof(want));
#endif
}

/* A descriptor only ever goes to the same address of another generation. */
static bool
has_fd(const struct weir_listen *l, int fd)
{
	for (unsigned i = 0; l != NULL && i < l->n_fds; i++)
		if (l->fds[i] == fd)
			return true;
	return false;
}

/* Close what `ls` holds and `kept` does not. */
static void
close_but(struct weir_listeners *ls, const struct weir_listeners *kept, bool unlink_unix)
{
	struct weir_listen	*l, *same;
	unsigned		 i;

	for (l = ls->first; l != NULL; l = l->next) {
		same = listen_find(kept, &l->addr, l->type);
		for (i = 0; i < l->n_fds; i++) {
			if (l->fds[i] < 0 || has_fd(same, l->fds[i]))
				continue;
			close(l->fds[i]);
			if (is_unix(l) && unlink_unix)
				unlink(l->addr.path);
		}
		l->n_fds = 0;
	}
}

static int
open_missing(struct weir_listen *l, unsigned want, struct weir_log *log)
{
	int fd;

	while (l->n_fds < want) {
		if ((fd = open_one(l, log)) < 0)
			return WEIR_FAIL;
		l->fds[l->n_fds++] = fd;
	}
	return WEIR_OK;
}

int
listen_open(struct weir_listeners *now, struct weir_listeners *old, unsigned workers,
    struct weir_log *log)
{
	struct weir_listen *l;

	assert(workers > 0);
	if (wait_until_free(now, old, log) != WEIR_OK)
		return WEIR_FAIL;
	for (l = now->first; l != NULL; l = l->next)
		take(l, find_same(old, l), is_unix(l) ? 1 : workers, log);
	for (l = now->first; l != NULL; l = l->next)
		if (open_missing(l, is_unix(l) ? 1 : workers, log) != WEIR_OK) {
			close_but(now, old, true);
			return WEIR_FAIL;
		}
	inherited_drop();
	return WEIR_OK;
}

void
listen_close_others(struct weir_listeners *old, struct weir_listeners *now)
{
	close_but(old, now, true);
}

void
listen_forget(struct weir_listeners *other, struct weir_listeners *mine)
{
	close_but(other, mine, false);
}

void
listen_close_all(struct weir_listeners *ls, bool unlink_unix)
{
	close_but(ls, NULL, unlink_unix);
}

bool
listen_give_back(struct weir_listeners *old, struct weir_listeners *failed)
{
	struct weir_listen	*l, *o;
	bool			 any = false;

	for (l = failed->first; l != NULL; l = l->next) {
		if ((o = find_same(old, l)) == NULL || o->n_fds >= l->n_fds)
			continue;
		o->fds = pool_dup(o->pool, l->fds, l->n_fds * sizeof(*l->fds));
		o->n_fds = l->n_fds;
		any = true;
	}
	close_but(failed, old, true);
	return any;
}
