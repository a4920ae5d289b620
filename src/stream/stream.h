/*
 * stream.h - connections that are served without looking into them: stream { }.
 *
 * A connection is a session.  Its life is a table of steps (serve.c), in nginx's order:
 *
 *	post accept -> preaccess -> access -> ssl -> preread -> serve -> log
 *
 * Who serves it answers with a text, or joins it with an upstream (up.h).  A session that is joined may rest
 * for days, so it keeps no pool meanwhile (stream_rest()).
 *
 *	core.c   module stream: the blocks, and the directives of every place
 *	through_conf.c servers of connections that come from elsewhere
 *	serve.c  the life of a session
 *	preread.c what its client sends first, looked at
 *	vars.c   its variables
 *	up.c     the upstream's side of it
 *	udp.c    the same of datagrams
 *	up_conf.c its directives: proxy_pass ...
 *	up_vars.c $upstream_*
 *	drop.c   sessions end when their servers go
 *	health.c servers are asked how they are
 */
#ifndef WEIR_STREAM_STREAM_H
#define WEIR_STREAM_STREAM_H

#include "core/ev/loop.h"
#include "core/io/bufq.h"
#include "core/proc/cycle.h"
#include "core/sess/expr.h"
#include "core/site/site.h"

#define WEIR_STREAM_MAGIC 0x73747265u

struct weir_stream_server {
	struct weir_site site;		/* its name is for $server_name */
	void *const	*conf;
	const struct weir_node *serves;	/* the directive that does */
};

struct weir_stream_main {		/* the stream block */
	struct weir_scope *scope;
	struct weir_vars *vars;
};

struct weir_stream_conf {		/* the core's directives */
	uint64_t	 preread_ms, preread_size;
	uint64_t	 proxied_ms;	/* proxy_protocol_timeout */
	bool		 tcp_nodelay;
	struct core_log	 error_log;
	struct weir_stream_main *main;	/* of the stream block; only for core.c and through_conf.c */
};

struct weir_stream {
	struct weir_sess s;		/* first: a session is cast to it */
	uint32_t	 magic;
	uint16_t	 status;	/* when it is over: as nginx has it, 200 unless something went wrong */
	uint8_t		 step;
	bool		 running, over, secured;
	bool		 prereading, preread_timed;	/* preread.c's */
	bool		 silent;	/* the client waits for the server's first word: no hook shall wait for its own */
	bool		 cut;		/* both sides shall see a reset */
	bool		 handed;	/* the connection is somebody else's now */
	unsigned	 hook;		/* of the step */
	struct weir_stream_server *server;
	const char	*closed;	/* who ended it, or why: $close_reason */
	uint64_t	 before;	/* bytes that had come when it began: a PROXY header */
	struct weir_bufq preread;	/* of TLS: what was read of the client, and goes on with the rest */
	char		*peeked;	/* else: what was only looked at; or `preread` in one piece */
	size_t		 peeked_n, peeked_room;
	struct weir_timer timer;
	struct weir_task end;
	struct weir_answer *answer;	/* serve.c's */
	struct weir_stream_up *up;	/* up.c's */
	/* stream_rest()'s, as long as there is no pool */
	char		*kept;		/* values of variables */
	size_t		 kept_n;
};

extern const struct weir_module stream_module, stream_vars_module;
extern const struct weir_metric_row stream_rows[];	/* serve.c */

static inline bool
stream_is_udp(const struct weir_stream *st)
{
	return (st->s.conn->flags & CONN_UDP) != 0;
}

static inline struct weir_stream *
stream_of(struct weir_sess *s)
{
	struct weir_stream *st = (struct weir_stream *)(void *)s;

	assert(st->magic == WEIR_STREAM_MAGIC);
	return st;
}

#define STREAM_CONF(st)	((const struct weir_stream_conf *)(st)->s.conf[*stream_module.index])

/* Where a place logs: what it says, or else what main says. */
static inline const struct weir_log *
stream_log(const struct weir_stream_conf *c)
{
	return c->error_log.scope != NULL ? &c->error_log.log : &weir_cycle->log;
}

static inline struct weir_stream_server *
stream_server(struct weir_site *site)
{
	return site != NULL ? WEIR_OF(site, struct weir_stream_server, site) : NULL;
}

/* Bytes from and to the client. */
uint64_t stream_received(const struct weir_stream *);
uint64_t stream_sent(const struct weir_stream *);

/* A new connection of a listener. */
void	stream_on_conn(struct weir_conn *);

/*
 * Servers that have no listener: connections of somebody else's are given to them before anything but a PROXY header was
 * read, and their TLS goes through.  Such a server is what `node` has in it, as if that stood in the stream block, which may be
 * missing, but what `around`, a place in http, says of logs and of clients behind proxies counts, and names of groups are those of
 * http, too.  `site` has its names already.  While binding, when all blocks are read.
 */
int	stream_conf_through(struct weir_conf *, struct weir_stream_server *, struct weir_node *, const struct weir_scope *around,
	    const struct core_log *error_log) WEIR_MUST_USE;
void	stream_take(struct weir_conn *, struct weir_stream_server *);

/* A session for site_tls_names(). */
struct weir_sess *stream_likeness(struct weir_conn *, void *server, struct weir_pool *);

/* set() of stream { }. */
int	stream_conf_block(struct weir_conf *, struct weir_scope *, struct weir_node *, void *conf) WEIR_MUST_USE;

/* ---- for hooks ---- */

/*
 * It is over: is logged, and its connection closed.  `closed`: who ended it, or why, in a word.  Returns WEIR_DONE.  Does
 * nothing the second time.
 */
enum weir_next stream_finish(struct weir_stream *, int status, const char *closed);
/* ON_SERVE: this text is all that the client gets. */
enum weir_next stream_answer(struct weir_stream *, struct weir_str text);
/* ON_PREREAD: the client wants the server with this name, lower case, if there is one.  False: a regex gave up. */
bool	stream_choose(struct weir_stream *, struct weir_str name) WEIR_MUST_USE;
/*
 * ON_SERVE: the connection, with what it has sent, belongs to this listener from now on, whatever that is of.  `to` must have
 * been found by stream_listener().
 */
enum weir_next stream_hand_over(struct weir_stream *, struct weir_listen *to);
/* Who listens at this address in this process; NULL: nobody. */
struct weir_listen *stream_listener(const struct weir_addr *);
/*
 * From now on until stream_wake() the session has no pool, if it can do without.  For up.c, which has given all that lay in it
 * up.
 */
void	stream_rest(struct weir_stream *);
void	stream_wake(struct weir_stream *);
/* For directives that serve: proxy_pass, return.  Complains when there is one already. */
int	stream_serves(struct weir_conf *, const struct weir_scope *, const struct weir_node *) WEIR_MUST_USE;

#endif
