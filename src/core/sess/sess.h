/*
 * sess.h - what an HTTP request and a TCP connection have in common.
 *
 * A request *is* a session, a stream connection *is* a session.  Access lists, limits,
 * maps, logs and balancers take a session and never ask which it is.
 */
#ifndef WEIR_SESS_SESS_H
#define WEIR_SESS_SESS_H

#include "core/base/log.h"
#include "core/base/pool.h"
#include "core/conf/conf.h"
#include "core/net/conn.h"

#define WEIR_SESS_MAGIC 0x73657373u

/* What a hook says. */
enum weir_next {
	WEIR_NEXT,	/* go on */
	WEIR_PASS,	/* ON_ACCESS: go on, and I vouch for it: with `satisfy any` nobody else is asked */
	WEIR_WAIT,	/* my state will call the session's resume; then I am asked again */
	WEIR_DONE	/* I have answered; go no further in this phase */
};

enum weir_phase {
	/* hooks take a session: a request, or a connection of stream, when the module says so */
	ON_PREACCESS,		/* limits */
	ON_ACCESS, ON_LOG,
	/* hooks take a connection of stream */
	ON_POST_ACCEPT,		/* who is it? */
	ON_PREREAD,		/* TLS is there if there is any; may look at the first bytes */
	ON_SERVE,		/* answers, or passes on */
	/* hooks take a request */
	ON_SERVER_REWRITE,	/* after the server is known, before the location */
	ON_REWRITE,		/* in the location; may send the request back to route */
	ON_CONTENT,		/* makes the response */
	ON_RESPONSE,		/* the head is known: edit it, wrap the body */
	N_PHASES
};

struct weir_sess;

struct weir_hook {
	enum weir_phase	 at;
	enum weir_next	(*fn)(struct weir_sess *);	/* NULL ends the table */
	/*
	 * With this struct of a place, is there nothing to do there?  Then the hook is not called.
	 * NULL: that is not to be known.
	 */
	bool		(*idle)(const void *conf);
};

struct weir_captures {		/* of the last regex that matched: $1 ... */
	struct weir_str	 subject;
	uint32_t	*offs;		/* pairs, in the session's pool */
	unsigned	 n;		/* pairs */
};

/*
 * Something that a session holds until it ends, and a tunnel goes on holding, although it frees the session's
 * pool: so its memory is not the pool's.  release() is called once, and frees it.
 */
struct weir_hold {
	struct weir_hold *next;
	void		(*release)(struct weir_hold *);
};

struct weir_sess {
	uint32_t	 magic;
	bool		 is_http;
	bool		 early;		/* it came before the TLS handshake was over: maybe a copy */
	struct weir_pool *pool;
	struct weir_conn *conn;
	void *const	*conf;		/* typed structs, by module */
	struct weir_value *vars;	/* evaluated variables; NULL until the first is kept */
	struct weir_captures cap;
	struct weir_log	 log;		/* outs and level of the place, context of the session */
	const struct weir_addr *peer;	/* the client's address: the connection's, or what realip found */
	uint64_t	 began_ms;	/* weir_now_ms */
	uint64_t	 began_wall_ms;
	struct weir_hold *holds;
	struct weir_kept *kept;		/* sess_kept() */
	void		**ctx;		/* a module's own state, by module; NULL until the first */
	void		(*resume)(struct weir_sess *);	/* after WEIR_WAIT */
	/* Turn it away: an HTTP status, or for a stream a plain close. */
	enum weir_next	(*refuse)(struct weir_sess *, int status);
};

#define weir_refuse(s, status)	((s)->refuse((s), (status)))
#define weir_resume(s)		((s)->resume(s))

/* The module's struct of the place that the session is in. */
#define SESS_CONF(s, index)	((s)->conf[index])
/* A module's state for this session; sess_ctx_make gives zeroed memory the first time. */
void	*sess_ctx(struct weir_sess *, unsigned module);
void	*sess_ctx_make(struct weir_sess *, unsigned module, size_t);
/* The same, but an internal redirect, which clears the other state, leaves it. */
void	*sess_kept(const struct weir_sess *, unsigned module);
void	*sess_kept_make(struct weir_sess *, unsigned module, size_t);

/*
 * Does set_real_ip_from of a place name this address?  Set by module realip; NULL without it: nobody is trusted.
 */
extern bool (*sess_trusts)(void *const *conf, const struct weir_addr *);

void	 sess_hold(struct weir_sess *, struct weir_hold *);
/* The session has ended, as http and stream know it. */
void	 sess_release(struct weir_sess *);

/* Group n (from 1) of a match, empty when there is none or it took no part. */
struct weir_str sess_capture(const struct weir_captures *, unsigned n);
/*
 * The hooks for a phase that have something to do where the session is, in the order of LIST, ended by NULL.  They
 * are found out once for each place, by the first session that comes there.
 */
typedef enum weir_next (*const *weir_hook_list)(struct weir_sess *);
struct weir_place_hooks {
	weir_hook_list	at[N_PHASES];
};
const struct weir_place_hooks *sess_hooks_make(void *const *conf, bool is_http);

static inline weir_hook_list
sess_hooks(const struct weir_sess *s, enum weir_phase at)
{
	const struct weir_place_hooks *h = s->conf[weir_n_modules];	/* the room that bind.c leaves */

	return (likely(h != NULL) ? h : sess_hooks_make(s->conf, s->is_http))->at[at];
}

#endif
