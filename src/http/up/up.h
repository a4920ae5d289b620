/*
 * up.h - an exchange with an upstream, on behalf of a request.
 *
 * up_start() does all of it: reads the request's body if it is to be kept, picks a peer, takes a
 * link or dials, sends the head and the body, waits for the response, tries another peer where that is allowed,
 * and then either answers the request with req_respond(), joins the two in a tunnel, or
 * gives up with req_error().
 *
 *	up.c      the course of it
 *	connect.c a connection to the upstream
 *	race.c    several addresses of a name
 *	send.c    the request goes to the upstream
 *	hedge.c   two servers at a time
 *	retry.c   may the request be tried again, and what is a failure
 *	target.c  what proxy_pass names: its parts
 *	request.c the head that the upstream gets
 *	forwarded.c its field Forwarded
 *	upgrade.c  is a 101 what was asked for
 *	join.c    the client and the upstream become a tunnel
 *	response.c the head that the client gets
 *	trailers.c fields behind bodies
 *	cookie.c  Set-Cookie is changed
 *	sticky.c  clients stay with their servers
 *	store.c   responses are kept as files
 *	links.c   connections kept for the next request
 *	dials.c   who waits for one that another request is making
 *	pass.c    the content hook of modules that pass requests on
 *	pass_conf.c, rules_conf.c  their directives
 *	health.c  servers are asked how they are (health.h)
 *	vars.c    $upstream_*
 */
#ifndef WEIR_HTTP_UP_UP_H
#define WEIR_HTTP_UP_UP_H

#include "core/io/ahead.h"
#include "core/io/replay.h"
#include "core/peer/bind.h"
#include "core/peer/budget.h"
#include "core/peer/peer.h"
#include "core/peer/preface.h"
#include "core/peer/queue.h"
#include "core/tls/tls.h"
#include "http/req/req.h"
#include "http/up/dials.h"

/* proxy_next_upstream */
enum {
	NEXT_ERROR	= 1 << 0,
	NEXT_TIMEOUT	= 1 << 1,
	NEXT_INVALID	= 1 << 2,
	NEXT_500	= 1 << 3,
	NEXT_502	= 1 << 4,
	NEXT_503	= 1 << 5,
	NEXT_504	= 1 << 6,
	NEXT_403	= 1 << 7,
	NEXT_404	= 1 << 8,
	NEXT_429	= 1 << 9,
	NEXT_NON_IDEMPOTENT = 1 << 10,
	NEXT_OFF	= 1 << 11
};

/* proxy_ignore_headers */
enum {
	IGNORE_ACCEL_REDIRECT	= 1 << 0,
	IGNORE_ACCEL_LIMIT_RATE	= 1 << 1,
	IGNORE_ACCEL_BUFFERING	= 1 << 2,
	IGNORE_ACCEL_EXPIRES	= 1 << 3,
	IGNORE_ACCEL_CHARSET	= 1 << 4,
	IGNORE_EXPIRES		= 1 << 5,
	IGNORE_CACHE_CONTROL	= 1 << 6,
	IGNORE_SET_COOKIE	= 1 << 7,
	IGNORE_VARY		= 1 << 8
};

struct weir_up_header {			/* proxy_set_header */
	struct weir_str	 name;
	enum weir_known	 known;
	struct weir_expr value;
};

struct weir_up_redirect {		/* proxy_redirect */
	struct weir_up_redirect *next;
	struct weir_expr from, to;
	struct weir_regex *regex;
};

/* proxy_cookie_flags */
enum {
	COOKIE_SECURE		= 1 << 0,
	COOKIE_NOSECURE		= 1 << 1,
	COOKIE_HTTPONLY		= 1 << 2,
	COOKIE_NOHTTPONLY	= 1 << 3,
	COOKIE_STRICT		= 1 << 4,
	COOKIE_LAX		= 1 << 5,
	COOKIE_NONE		= 1 << 6,
	COOKIE_NOSAMESITE	= 1 << 7
};

struct weir_up_flags {
	struct weir_up_flags *next;
	struct weir_expr name;		/* of the cookie */
	struct weir_regex *regex;	/* or what it matches */
	struct weir_expr *words;	/* of up_cookie_flags, or variables with such a value */
	unsigned	 n;
};

struct weir_up_names {			/* proxy_hide_header, proxy_pass_header */
	struct weir_str	*v;
	unsigned	 n, room;
};

/* What the directives say; inside the proxy module's struct. */
struct weir_up_params {
	uint64_t	 connect_ms, send_ms, read_ms;
	bool		 request_buffering, buffering, intercept_errors, ignore_client_abort;
	bool		 pass_request_headers, pass_request_body, pass_trailers, websocket;
	bool		 te_of_client;		/* ask for trailers only when the client does */
	bool		 socket_keepalive;
	uint64_t	 rcvbuf, sndbuf;	/* 0: the kernel's */
	int		 http_version;		/* 0x100, 0x101, 0x200: which codec, see up_codec() */
	bool		 tunnel;		/* none: CONNECT, the client is joined with the bare connection */
	uint64_t	 http2_streams;		/* requests at a time on a connection of HTTP/2 */
	struct weir_preface_conf preface;	/* proxy_protocol */
	uint64_t	 buffer_size;		/* of a response head */
	uint64_t	 buffers_n, buffers_size;
	uint64_t	 max_temp_file;
	struct weir_str	 temp_path;
	struct weir_expr limit_rate;
	unsigned	 next;			/* NEXT_ bits */
	uint64_t	 next_tries, next_timeout_ms, next_delay_ms;
	struct weir_budget_conf budget;	/* proxy_retry_budget */
	uint64_t	 total_ms;		/* 0: no limit */
	uint64_t	 hedge_ms;		/* 0: off */
	uint64_t	 replay_size;		/* of a streamed body that is kept to be sent again; 0: none */
	struct weir_expr method;
	struct weir_expr body;			/* proxy_set_body */
	struct weir_bind bind;
	struct weir_up_header *headers;		/* compiled, what is always set included */
	unsigned	 n_headers;
	uint64_t	 overridden[(H_COUNT + 63) / 64]; /* known names among headers */
	bool		 overrides_unknown;
	struct weir_up_names hide, pass;
	struct weir_up_redirect *redirects;
	struct weir_up_redirect *cookie_domains, *cookie_paths;
	struct weir_up_flags *cookie_flags;
	bool		 force_ranges;
	uint64_t	 busy_size;		/* proxy_busy_buffers_size; 0: not given */
	bool		 store;			/* proxy_store */
	struct weir_expr store_path;		/* not set: root or alias */
	unsigned	 store_access;		/* mode of the file */
	unsigned	 ignore;		/* IGNORE_ bits */
	const struct weir_module *tls;		/* whose directives say what TLS is like */
	const char	*schemes[2];		/* without and with it: "http://" */
};

struct weir_up_attempt {		/* one for each peer that was tried */
	struct weir_str	 addr;
	int		 status;		/* 0: none came */
	uint64_t	 queue_ms;		/* it waited for a server */
	uint64_t	 connect_ms, header_ms, response_ms;	/* durations; UINT64_MAX: did not get so far */
	uint64_t	 length;		/* bytes of the response's body */
	uint64_t	 received, sent;	/* bytes on the wire */
};

struct weir_up_joint {
	struct weir_up	*up;
	struct weir_dials_making making;
	struct weir_dials_wait wait;
};

struct weir_up {
	struct weir_req	*r;
	const struct weir_up_params *p;
	struct weir_str	 target;	/* of the request line to the upstream */
	struct weir_str	 host;		/* $proxy_host */
	bool		 secure;	/* by TLS */
	struct weir_tls_connect tls;	/* with this peer, when secure */
	struct weir_conn *securing;	/* in the handshake */
	struct weir_pick pick;
	struct weir_wait wait;		/* for a server */
	bool		 wait_known;	/* its end with the request is seen to */
	struct weir_str	 sticky_id;	/* of learn: the session that is known */
	struct weir_link *link;
	struct weir_xchg *x;
	struct weir_up_race *race;	/* of addresses, once there was one */
	struct weir_up_joint *joint;	/* of a codec with many, once it had to dial or to wait */
	uint64_t	 fresh_ms;	/* kept links turned out to be dead: only those that are younger; 0: any */
	bool		 own_link;	/* the second time: no kept link at all */
	struct weir_dial dial;
	struct weir_dial_opts dial_opts;
	struct weir_timer timer;	/* send, read; the pause before a further try */
	struct weir_timer total;	/* proxy_total_timeout */
	struct weir_timer hedge;	/* until a second server is asked as well */
	struct weir_up	*rival;		/* the other one, while there are two */
	unsigned	 tries_before;	/* when there began to be two */
	struct weir_timer leave;	/* the client ended its direction: a moment of grace */
	uint64_t	 left_at;	/* what it had got then */
	struct weir_ahead ahead;	/* the response's body, with proxy_buffering */
	struct weir_replay *replay;	/* of the body, with proxy_replay_buffer; NULL: it is not streamed so */
	const struct weir_bufq *whole;	/* the body that the other one's replay has; NULL: there is none */
	struct weir_pump request;	/* the body towards the upstream */
	struct weir_msg	 head;		/* of the request, towards the upstream */
	struct weir_str	 body;		/* proxy_set_body's */
	struct {
		struct weir_up_attempt *v;
		unsigned n, room;
	}		 attempts;
	uint64_t	 began_ms, attempt_ms, got_before, put_before;
	unsigned	 tries;
	const struct weir_msg *rsp;	/* the response's head, also after the exchange; NULL: none came */
	bool		 pausing;	/* before a further try */
	bool		 late;		/* proxy_total_timeout is over */
	bool		 dialling, racing, reused, responded, ended, streaming;
	bool		 sent_any;	/* this peer has been sent something */
	bool		 request_sent;	/* all of it */
	bool		 body_begun;	/* bytes of a streamed body are gone: no other peer can have them, but for replay */
	bool		 with_body;	/* the client's goes with it; known when it begins, as a stream that has ended forgets it */
	bool		 kept;		/* the request body is kept and can be sent again */
};

/*
 * Begin.  `target`: what the request line says; `host`: for $proxy_host; `secure`: https.  Returns WEIR_DONE or WEIR_WAIT for the
 * content hook to return.
 */
enum weir_next up_start(struct weir_req *, const struct weir_up_params *, struct weir_group *,
	    struct weir_str target, struct weir_str host, bool secure);

/* ---- between the files of this room ---- */

/* request.c: fills up->head. */
void	up_make_head(struct weir_up *);
/* Is the client's wish to upgrade the connection passed on? */
bool	up_upgrades(const struct weir_up *);
/* forwarded.c: is the field wanted, and its value. */
bool	up_wants_forwarded(const struct weir_req *);
struct weir_str up_forwarded(struct weir_req *, const struct weir_up_params *);
/* response.c: from up->x->msg to the request's rsp; true when it went elsewhere (X-Accel-Redirect, an error page). */
bool	up_take_head(struct weir_up *);
/*
 * trailers.c: at its end this source gives the request, or the upstream, the trailers that came.  Those of a request
 * need a body in chunks.
 */
struct weir_src *up_with_trailers(struct weir_up *, struct weir_src *body);
struct weir_src *up_with_request_trailers(struct weir_up *, struct weir_src *body);
bool	up_request_trailers(const struct weir_up *);
/* cookie.c: what becomes of a Set-Cookie field; `value` itself when no rule changes it. */
struct weir_str up_cookie(struct weir_up *, struct weir_str value);
extern const struct weir_choice up_cookie_flags[];
/* store.c: proxy_store.  At its end, when all of it came, a copy of what went through this source is a file. */
struct weir_src *up_with_store(struct weir_up *, struct weir_src *body);
/* sticky.c: whom the request wants; its cookie for the response; what is learnt, with the head or at the end. */
void	up_sticky_want(struct weir_up *);
void	up_sticky_head(struct weir_up *);
void	up_sticky_well(struct weir_up *);
void	up_with_peer(struct weir_up *, struct weir_peer *);
/* retry.c */
enum up_failure { UP_ERROR, UP_TIMEOUT, UP_INVALID, UP_STATUS };
unsigned up_status_bit(int status);
bool	up_may_send_again(const struct weir_up *, unsigned bit);	/* to whomever */
bool	up_may_retry(struct weir_up *, unsigned bit);	/* and is there anybody else?  Yes counts for the budget */
bool	up_may_repeat(const struct weir_up *);	/* when the upstream certainly did nothing of it */
bool	up_may_do_twice(const struct weir_up *);	/* when it may have done all of it */
bool	up_can_replay(const struct weir_up *);	/* will it be so, at any time? */
bool	up_has_all(const struct weir_up *);	/* is all of the body here, or in the replay, or is there none? */
bool	up_is_stale(const struct weir_up *);	/* the link was kept, and ended before the peer said anything */
/* send.c: head and body, over u->x; how that goes is heard by way of up_failed() and the exchange's notices. */
void	up_send(struct weir_up *);
/*
 * join.c: the client is joined with the connection of the exchange, after 101; or with one that never had any (CONNECT).
 */
void	up_join(struct weir_up *);
void	up_join_bare(struct weir_up *, struct weir_conn *);
/* upgrade.c: is the upstream's 101 an answer to what was asked? */
bool	up_upgrade_ok(const struct weir_up *);
/* up.c: the try that is being made. */
static inline struct weir_up_attempt *
up_attempt(struct weir_up *u)
{
	return &u->attempts.v[u->attempts.n - 1];
}
/* connect.c: once, how to (false: that cannot be, and was logged); for each peer.  Who speaks the version that the params want. */
bool	up_connect_how(struct weir_up *) WEIR_MUST_USE;
void	up_connect(struct weir_up *);
const struct weir_codec *up_codec(const struct weir_up_params *);
/* May others use the connections of this request, and this request theirs? */
bool	up_shares(const struct weir_up *);
/* A connection was dialled, or not; `other`: with another peer than up_connect() was called for. */
void	up_dialled(struct weir_up *, struct weir_conn *, int err, bool other);
/* race.c: dial several addresses of a name, if there are; ends in up_dialled(). */
bool	up_race(struct weir_up *) WEIR_MUST_USE;
void	up_race_off(struct weir_up *);
/* up.c: of zeroes. */
void	up_init(struct weir_up *, struct weir_req *, const struct weir_up_params *);
/*
 * hedge.c: the clock runs until a second server is asked as well.  up_hedge_alone(): this one goes on, is the request's up, and
 * the other, if there is one, is let go.
 */
void	up_hedge_arm(struct weir_up *);
void	up_hedge_alone(struct weir_up *);
/* up.c: an attempt begins, the one that has begun is about another peer, it ends. */
void	up_attempt_begin(struct weir_up *, const struct weir_peer *);
void	up_attempt_at(struct weir_up *, const struct weir_peer *);
void	up_attempt_end(struct weir_up *);
/* up.c: what up_connect() comes to. */
void	up_use_link(struct weir_up *, struct weir_link *);
/* up.c: the cycle: up_next_peer -> ... -> up_failed -> up_next_peer.  up_try_next(), of retry.c: perhaps after a moment. */
void	up_next_peer(struct weir_up *);
void	up_try_next(struct weir_up *);
/* retry.c; `why` NULL: it was logged already. */
void	up_failed(struct weir_up *, enum up_failure, const char *why);
/* Nothing goes on for it any longer; the peer stays the one at work. */
void	up_drop(struct weir_up *);
/* The exchange is over; the outcome is about the peer.  The link goes back to the others if it is fit for them. */
void	up_let_go(struct weir_up *, enum weir_outcome);
void	up_over(struct weir_up *);
void	up_give_up(struct weir_up *, int status);

extern const struct weir_module upstream_vars_module, upstream_sticky_module;

#endif
