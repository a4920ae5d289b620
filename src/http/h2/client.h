/*
 * client.h - what the files of the client side share: a link to an upstream, and the calls on it.
 *
 * As on the server's side nghttp2's callbacks only take notes; owners are told at the end of a turn, and what
 * they do then leaves in one write.
 *
 *	h2_link		an upstream's connection: l.open calls are on it, l.room more may be
 *	h2_call		one exchange, in the pool of whoever opened it
 *
 * A link is lent again only after the peer has answered a PING that went out with the preface: who takes a
 * request from a connection and then never reads from it again would let the next one wait.  One that is `trusted` need not.
 */
#ifndef WEIR_HTTP_H2_CLIENT_H
#define WEIR_HTTP_H2_CLIENT_H

#include <nghttp2/nghttp2.h>

#include "core/ev/loop.h"
#include "http/h2/h2.h"
#include "http/h2/points.h"

enum {
	H2C_OUT_MOST	= 1 << 16,	/* frames that wait for the socket: no more are made then */
	H2C_QUEUE_MOST	= 1 << 15,	/* a request's bytes that wait for their frames */
	H2C_CONN_WINDOW	= 1 << 20,
	H2C_FIRST_WINDOW = 65535,	/* of a stream */
	H2C_STREAM_WINDOW = 1 << 18,	/* of a body that somebody reads, */
	H2C_WIDE_MOST	= 16,		/* of so many at a time */
	/* unread bodies of a link: then its credit is held back, too; those of 100 requests do not come so far */
	H2C_HELD_MOST	= 12 << 20,
	H2C_FIRST_STREAMS = 100,	/* at a time, before the peer has said how many */
	H2C_INTERIM_MOST = 20		/* 1xx before the final response (S-47) */
};

/* What the owner of a call is to be told. */
enum {
	CALL_HEAD = 1,		/* heads came */
	CALL_READ = 2, CALL_WRITE = 4, CALL_GONE = 8
};

struct h2_reply {		/* a head that came */
	struct h2_reply	*next;
	struct weir_msg	 msg;
	bool		 status;	/* :status was seen */
	bool		 regular;	/* a field that is none of these */
};

struct h2_call {
	struct weir_xchg x;
	struct h2_link	*k;
	struct weir_list node, todo;
	int32_t		 id;		/* 0: no head was sent yet */
	uint8_t		 tell;
	bool		 dead;		/* nghttp2 knows it no longer */
	bool		 released;
	uint64_t	 began_ms;
	uint32_t	 code;		/* of RST_STREAM, after the release */
	const char	*why;		/* CALL_GONE */
	/* the response */
	struct h2_reply	*replies, **replies_end;	/* whole, but not told yet */
	struct h2_reply	*coming;	/* a head, or trailers */
	uint32_t	 fields, bytes;	/* of it */
	unsigned	 interims;
	bool		 final;		/* the head of the response is whole */
	bool		 head_only;	/* to HEAD: there is no body */
	bool		 none;		/* a body may not come: HEAD, 204, 304 */
	bool		 reset;		/* by the peer */
	struct weir_fields behind;	/* trailers */
	int64_t		 length;	/* of the body; -1: not known */
	struct weir_bufq in;
	uint64_t	 got;
	bool		 in_end, in_failed, want_in, reading;
	bool		 wide;		/* its window was opened */
	/* the request */
	struct weir_bufq out;
	struct weir_fields trailers;
	int64_t		 left;		/* of its length; -1: not known */
	bool		 nothing;	/* END_STREAM goes with the head */
	bool		 finishing, ended;	/* finish() was called; END_STREAM was made a frame */
	bool		 deferred;	/* nghttp2 waits to be told that there is something */
	bool		 want_out, broken;
};

enum h2_link_state {
	H2L_OPEN,
	H2L_LOST,	/* nothing goes in or out any more; calls are still to be released */
	H2L_CLOSED
};

/* client_frames.c's */
struct h2_frames {
	uint8_t		 head[9], n_head;	/* of a head that came in part */
	uint8_t		 first[9];		/* the head of the HEADERS that the block belongs to */
	uint32_t	 payload;		/* of the frame at hand: still to come, */
	bool		 holds;			/* and it goes into the block */
	uint8_t		*block;			/* NULL: there is none */
	size_t		 n_block;
	unsigned	 n_frames;		/* that it came in */
	size_t		 head_most;		/* the most that a call of the link has allowed of a head */
};

#define H2_LINK_MAGIC 0x68326c6bu

struct h2_link {
	struct weir_link l;
	uint32_t	 magic;
	uint8_t		 state;
	bool		 inside;	/* nghttp2 is on the stack */
	bool		 fresh;		/* it was given something: it may have frames to make */
	bool		 greeted;	/* the peer's settings came */
	bool		 proved;	/* it has answered our PING */
	bool		 last;		/* no call is opened any more */
	bool		 told;		/* the keeper knows that it is dead */
	bool		 blocked;	/* the socket did not take all of `out` */
	bool		 secure;
	nghttp2_session	*ng;
	struct weir_bufq out;		/* frames */
	struct weir_list calls, todo;
	uint64_t	 held, owed;	/* bytes of unread bodies; credit of the connection not given back */
	unsigned	 wide;		/* calls whose windows were opened */
	uint64_t	 came_ms;	/* when something came last */
	struct h2_points points;
	uint64_t	 came, unknown;	/* bytes; of frames of unknown types */
	int64_t		 stray;		/* of bodies that nobody waits for, less what was allowed */
	struct h2_frames frames;	/* where in them we are */
	char		 why[160];	/* what the peer did wrong, when it did */
	struct weir_task task;
};

/* ---- client.c ---- */

/* Frames are to be made and sent at the end of this turn: whoever gave nghttp2 something says so by this. */
void	h2c_post(struct h2_link *);
/* The peer is at fault; what is said first counts. */
void	h2c_blame(struct h2_link *, const char *why);
/* Make frames of what waits, as far as there is room. */
int	h2c_pack(struct h2_link *) WEIR_MUST_USE;
void	h2c_note(struct h2_call *, unsigned what);
/* How many more calls it can carry has changed. */
void	h2c_count(struct h2_link *);
/* The last call was released, or the link is not to be used again. */
void	h2c_settle(struct h2_link *);

/* ---- client_session.c ---- */

extern const nghttp2_data_provider2 h2c_provider;
int	h2c_session_new(struct h2_link *) WEIR_MUST_USE;
/* So many bytes of a body left the call's queue. */
void	h2c_consumed(struct h2_call *, uint64_t n, bool stream);

/* ---- client_frames.c ---- */

/* What came goes to nghttp2.  0, or its error. */
int	h2c_frames(struct h2_link *, const uint8_t *, size_t n) WEIR_MUST_USE;
void	h2c_frames_end(struct h2_frames *);

/* ---- client_budget.c ---- */

/* A frame came: GOAWAY when that has been too much. */
void	h2c_budget_frame(struct h2_link *, const nghttp2_frame_hd *);
/* A frame is coming that nghttp2 may pass over in silence: what that costs is judged after it did. */
void	h2c_budget_coming(struct h2_link *, uint8_t type, uint32_t n);
void	h2c_budget_judge(struct h2_link *);
/* We reset a stream: some of it may still be on its way. */
void	h2c_budget_cancel(struct h2_link *);

/* ---- client_call.c ---- */

struct weir_xchg *h2c_open(struct weir_link *, struct weir_pool *);
/* Nothing more comes for it.  `why` lives as long as the call.  `untouched`: as struct weir_xchg has it. */
void	h2c_call_lost(struct h2_call *, const char *why, bool lost, bool untouched);

/* ---- client_head.c ---- */

/* The head of the request to nghttp2. */
int	h2c_put_head(struct h2_call *, const struct weir_msg *) WEIR_MUST_USE;
int	h2c_put_trailers(struct h2_call *) WEIR_MUST_USE;
/* A head, or trailers, begin / one field of them / they are whole; `end`: so is the response.  NULL, or what is wrong with it. */
void	h2c_head_begin(struct h2_call *);
const char *h2c_field(struct h2_call *, struct weir_str name, struct weir_str value) WEIR_MUST_USE;
const char *h2c_head_end(struct h2_call *, bool end) WEIR_MUST_USE;

#endif
