/*
 * listen.h - listening sockets, owned by the master for their whole life.
 *
 * The configuration makes a struct weir_listen for each address; the master
 * matches it by address with what it already holds, so a reload keeps descriptors
 * and with them every connection that waits in an accept queue.
 *
 * TCP sockets form a reuseport group of `n_fds` sockets.  There are at least as many as
 * workers, and the number never falls while the address is listened on: the kernel deals new
 * connections out over all of them, so worker i of n serves sockets i, i + n, i + 2n...
 * A unix socket is one socket shared by all.
 */
#ifndef WEIR_NET_LISTEN_H
#define WEIR_NET_LISTEN_H

#include "core/base/hash.h"
#include "core/base/log.h"
#include "core/net/addr.h"

struct weir_conn;

struct weir_listen_opts {
	int	backlog;		/* 511 */
	int	rcvbuf, sndbuf;		/* 0: the system's */
	int	fastopen;		/* 0: off */
	int	ipv6only;		/* 1 */
	int	defer_accept;		/* seconds, 0: off */
	bool	transparent;		/* it may be an address that is not the machine's, and takes what is routed here */
	int	keepalive;		/* -1: the system's, 0: off, 1: on */
	int	keepidle, keepintvl, keepcnt;	/* 0: the system's */
};

/* Do connections begin with a PROXY header, and from whom? */
enum weir_proxy_header {
	PROXY_HEADER_NO,
	PROXY_HEADER_ANY,		/* from everybody: what it says is believed or not later */
	PROXY_HEADER_TRUSTED		/* who is not trusted is closed before anything is read */
};

struct weir_listen {
	struct weir_listen *next;
	struct weir_addr addr;
	int		 type;		/* SOCK_STREAM or SOCK_DGRAM */
	struct weir_listen_opts opts;
	int		*fds;		/* n_fds of them; -1: not open */
	unsigned	 n_fds;
	unsigned	 n_lent;	/* the first of them were inherited from the master that started us */
	/* A new connection: in a worker, from the loop. */
	void		(*on_conn)(struct weir_conn *);
	void		*owner;		/* the room's: servers of this address */
	enum weir_proxy_header proxied;
	char		*text;		/* "127.0.0.1:80", for messages */
	void		*serve;		/* worker: what the assembly keeps for the address */
	struct weir_pool *pool;		/* its memory: the cycle's */
};

struct weir_listeners {
	struct weir_listen *first, **tail;
	struct weir_hash by_key;	/* a range of ports may be thousands of them */
};

/* For hashes: bytes that are the same for the same address, port and type.  Returns how many. */
#define LISTEN_KEY_MAX	(8 + ADDR_TEXT_MAX)
size_t	listen_key(char to[LISTEN_KEY_MAX], const struct weir_addr *, int type);

/* The one for this address and type, made when it is new. */
struct weir_listen *listen_get(struct weir_listeners *, struct weir_pool *,
	    const struct weir_addr *, int type);

/* The one for this address and type, or NULL; `ls` may be NULL. */
struct weir_listen *listen_find(const struct weir_listeners *ls, const struct weir_addr *, int type);

/*
 * Master: take descriptors over from `old` (may be NULL), open what is missing
 * so that each has `workers` sockets, bind and listen.  Descriptors that `old` has and the new
 * set has not stay with `old`: listen_close_others() ends them after the new generation works.
 * Options of kept sockets are set anew where the kernel lets us.
 * WEIR_FAIL after complaining; then nothing of `old` was harmed and what was opened is closed.
 */
int	listen_open(struct weir_listeners *, struct weir_listeners *old, unsigned workers,
	    struct weir_log *) WEIR_MUST_USE;
/*
 * For -t: would binding work?  An address in use is fine, because that is what one
 * finds when the server runs.  Unix sockets are not tried.
 */
int	listen_probe(struct weir_listeners *, struct weir_log *) WEIR_MUST_USE;
/*
 * Master: the generation with `failed` will not run after all.  Sockets that it added to
 * groups of `old` may hold connections already, so they become `old`'s; whoever calls this
 * starts workers that serve them.  Returns whether there were any.  Its other sockets are closed.
 */
bool	listen_give_back(struct weir_listeners *old, struct weir_listeners *failed);
/*
 * Master that gives way to the one that started it: the kernel is told to put new
 * connections only on sockets that were inherited, so that ending the others loses nothing
 * once what waits in them has been accepted.
 */
void	listen_leave(struct weir_listeners *);
/* Master: close what `old` holds and `now` does not; unlinks unix sockets. */
void	listen_close_others(struct weir_listeners *old, struct weir_listeners *now);
/* A child: close its copies of what `other` holds and `mine` does not. */
void	listen_forget(struct weir_listeners *other, struct weir_listeners *mine);
/* Master at exit: close all; unlink_unix: also remove unix sockets. */
void	listen_close_all(struct weir_listeners *, bool unlink_unix);
/*
 * Binary upgrade: the descriptors are passed through exec(), so between fork and exec the child
 * calls listen_keep_open().
 */
void	listen_keep_open(struct weir_listeners *);
/*
 * Binary upgrade: all descriptors as text "fd:address;..." for the environment, and back.
 * Inherited ones are kept aside and taken by the next listen_open().
 */
struct weir_str listen_export(struct weir_listeners *, struct weir_pool *);
void	listen_inherit(const char *text, struct weir_log *);

#endif
