/*
 * sub.h - sub-requests: what a request asks of this very server.
 *
 * A sub-request is a request like any other: it is routed, its place's hooks run, and whatever answers
 * there answers here.  Only its exchange is special: behind it is no codec but sub.c, which
 * keeps the response for whoever asked.  What differs:
 *
 *	- it is internal, so `internal` places are open to it;
 *	- nobody is refused: ON_ACCESS hooks do not run, because they ran for the parent;
 *	- add_header, expires, add_trailer and conditions of the client (ranges, If-...) are the parent's business;
 *	- it shares the parent's variables: what either has set, both see;
 *	- it is logged only with log_subrequest, or instead of its parent.
 *
 * It lives in the parent's pool, which stays until the last sub-request has ended, also when the
 * parent is long answered and logged: a client never waits for a sub-request that its
 * response does not need.  Sub-requests do not make sub-requests.
 */
#ifndef WEIR_HTTP_REQ_SUB_H
#define WEIR_HTTP_REQ_SUB_H

#include "http/req/req.h"

enum weir_sub_body {
	SUB_DROP,		/* the response's body is of no interest */
	SUB_KEEP		/* it is read from sub->body */
};

struct weir_sub_told {		/* of a parent that has ended */
	uint64_t	 sent, body_sent, length;
	bool		 whole;
};

struct weir_sub {
	/* for whoever asked: */
	int		 status;	/* of the response; 0: it ended without one */
	struct weir_req	*r;		/* the sub-request: r->rsp is the head that was sent */
	/*
	 * SUB_KEEP: the body as it comes, bounded by what nobody has read yet.  WEIR_EOF also when it
	 * was cut short: who includes it has no better use for that.
	 */
	struct weir_src	 body;
	void		*arg;
	const struct weir_sub_told *instead;	/* for $bytes_sent and its kind; NULL: it is not logged instead */
	/* sub.c's own */
	struct weir_xchg x;
	struct weir_req	*parent;
	struct weir_list node;		/* of parent->subs */
	enum weir_sub_body keep;
	bool		 named, background, told, ended, want_body, want_room;
	uint64_t	 dropped;
	struct weir_bufq q;		/* SUB_KEEP: what came and was not read */
	struct weir_task tell;
	void		(*on_head)(struct weir_sub *);
};

struct weir_sub_opts {
	struct weir_str	 uri;		/* decoded path, or the name of a place: @name */
	struct weir_str	 args;		/* .p NULL: none */
	bool		 clone;		/* the parent's method and its body, which was kept (req_body_keep);
					   else it is a GET without a body */
	/*
	 * It goes on when the parent has ended.  Only SUB_BACKGROUND_MAX of a worker do at the same
	 * time; else the parent's end is its end.
	 */
	bool		 background;
	/*
	 * The parent has ended and is not logged: this is, when it ends, with what the parent's client got.  Only
	 * for hooks of ON_LOG.
	 */
	bool		 instead;
	enum weir_sub_body keep;
	/*
	 * The head of the response is known (or there will be none).  Never called from inside sub_start(),
	 * nor after the parent has ended.  NULL: nobody wants to know.
	 */
	void		(*on_head)(struct weir_sub *);
	void		*arg;
};

#define SUB_BACKGROUND_MAX	1024

/* NULL: too many are in the background, or there is no place of that name. */
struct weir_sub *sub_start(struct weir_req *parent, const struct weir_sub_opts *);

/* ---- for steps.c and respond.c ---- */

/* The parent has ended: its sub-requests end too, those in the background excepted. */
void	sub_parent_ends(struct weir_req *parent);
/* Everything of a sub-request was freed; gives the pool back if it was the last to need it. */
void	sub_free(struct weir_sub *);

#endif
