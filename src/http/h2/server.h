/*
 * server.h - what the files of this room share: a connection and the streams on it.
 *
 * nghttp2 calls back while it reads and while it writes, and must not be called for either meanwhile.  So
 * callbacks only take notes; whoever is above is told afterwards, by h2_tell().
 */
#ifndef WEIR_HTTP_H2_SERVER_H
#define WEIR_HTTP_H2_SERVER_H

#include <nghttp2/nghttp2.h>

#include "core/ev/loop.h"
#include "core/metric/metric.h"
#include "http/h2/conf.h"
#include "http/h2/points.h"

enum {
	H2_PREFACE	= 24,
	H2_OUT_MOST	= 1 << 16,	/* frames that wait for the socket: no more are made then */
	H2_QUEUE_MOST	= 1 << 15,	/* a response's bytes that wait for their frames */
	H2_CONN_WINDOW	= 1 << 20,
	H2_FRAME_LEAST	= 1 << 14,	/* RFC 9113, 6.5.2: SETTINGS_MAX_FRAME_SIZE is not less */
	H2_FRAME_MOST	= 1 << 20,
	H2_HELD_MOST	= 1 << 22,	/* unread bodies of a connection: then its credit is held back, too */
	H2_STREAMS_MORE = 4096,		/* that nghttp2 lets begin, so that they can be refused */
	H2_STREAM_WINDOW = 1 << 18	/* of a body that somebody reads */
};

/* Parts of a request's head that were seen. */
enum {
	H2_METHOD = 1, H2_SCHEME = 2, H2_PATH = 4, H2_AUTHORITY = 8, H2_PROTOCOL = 16,
	H2_REGULAR = 32		/* a field that is not one of these */
};

/* What the owner of a stream is to be told. */
enum {
	TELL_FRESH = 1,		/* a head is complete, or is to be refused */
	TELL_READ = 2, TELL_WRITE = 4, TELL_GONE = 8
};

struct h2_head {		/* a head while it comes */
	uint8_t		 seen;
	uint32_t	 once, twice;	/* fields that must be single */
	uint32_t	 fields, bytes, crumbs;
	int		 status;	/* 0: fine; else it is refused with this */
	const char	*why;
};

struct h2_stream {		/* in the exchange's pool */
	struct weir_xchg x;
	struct h2_server *s;
	struct weir_list node, todo;
	int32_t		 id;
	uint8_t		 tell;
	struct h2_head	 head;
	/* the request's body */
	struct weir_bufq in;
	uint64_t	 got;
	bool		 in_end;	/* all of it came */
	bool		 in_failed, want_in, reading, expects;
	/* the response */
	struct weir_bufq out;
	const struct weir_fields *trailers;
	uint32_t	 chunk;
	int64_t		 left;		/* of its length; -1: not known */
	bool		 head_done;	/* the final one */
	bool		 nothing;	/* it has no body: END_STREAM went with the head */
	bool		 finishing, ended;	/* finish() was called; END_STREAM was made a frame */
	bool		 deferred;	/* nghttp2 waits to be told that there is something */
	bool		 want_out, broken;
	bool		 reset;		/* by the client */
	bool		 dead;		/* nghttp2 knows it no longer */
	bool		 released;
	bool		 rated;		/* somebody has said how urgent it is */
	bool		 raw;		/* a tunnel: no message, no pool, no timeouts of its own */
	uint32_t	 code;		/* of RST_STREAM, after the release */
	const char	*why;		/* TELL_GONE */
	struct weir_timer rtimer, wtimer;	/* client_body_timeout, send_timeout */
};

enum h2_server_state {
	H2_OPEN,
	H2_LOST,	/* nothing goes in or out any more; streams are still to be released */
	H2_LINGER,	/* our direction is shut; what comes is thrown away */
	H2_CLOSED
};

struct h2_closed {			/* closed.c */
	int32_t		 last;		/* the latest stream */
	int32_t		 skipped_from, skipped_to;
	int32_t		 lax;		/* of those up to it nothing is known */
	int32_t		 reset[32];
	unsigned	 at;
	/* where in the frames we are */
	uint8_t		 head[14], n;
	uint32_t	 payload;	/* still to come */
};

/* What ends a connection with ENHANCE_YOUR_CALM; the first ones cost points (budget.c). */
enum h2_abuse {
	ABUSE_EMPTY, ABUSE_SETTINGS, ABUSE_PING, ABUSE_WINDOWS, ABUSE_RESETS, ABUSE_PROVOKED, ABUSE_CLOSED, ABUSE_FRAMES,
	ABUSE_CHARGED,
	ABUSE_UNKNOWN = ABUSE_CHARGED, ABUSE_CONTINUATION, ABUSE_HEAD, ABUSE_INVALID
};

#define H2_SERVER_MAGIC 0x68327376u

/* wide.c's: a head that is put together */
struct h2_wide {
	uint8_t		 head[9];
	uint8_t		*p;		/* NULL: there is none */
	size_t		 n;
};

struct h2_server {
	uint32_t	 magic;
	uint8_t		 state;
	bool		 inside;	/* nghttp2 is on the stack */
	bool		 fresh;		/* it was given something: it may have frames to make */
	bool		 stirred;	/* it was given what came, which may have made it fresh */
	uint8_t		 begun;		/* bytes of `first` that are here; all: they were given on */
	bool		 unacked;	/* the client sent no SETTINGS, so none are acknowledged to it */
	char		 first[H2_PREFACE + 9];	/* the preface and the head of a frame */
	bool		 updates;	/* PRIORITY_UPDATE came */
	bool		 acked, greeted;	/* the client has confirmed, has sent, settings */
	bool		 head_open;	/* in the middle of a head */
	bool		 resting;	/* counted as waiting */
	bool		 blocked;	/* the socket did not take all of `out` */
	bool		 draining, goodbye;	/* the first GOAWAY was made; the last one */
	bool		 calmed;	/* it was ended by GOAWAY with an error */
	bool		 linger_after;	/* H2_LOST ends in H2_LINGER */
	uint8_t		 timing;	/* what rtimer is for: enum in server.c */
	nghttp2_session	*ng;
	struct weir_conn *conn;
	const struct weir_serve *opts;
	const struct h2_conf *conf;
	struct weir_bufq out;		/* frames */
	struct h2_wide	 wide;
	struct weir_list streams, todo, tails;
	struct h2_stream *latest;	/* that session.c looked for; NULL: none, or it is gone */
	struct h2_stream *alone;	/* priority.c; NULL: none */
	uint32_t	 n_streams, requests;
	uint32_t	 n_going;	/* streams whose owners are still to be told that they are gone */
	uint64_t	 held, owed;	/* bytes of unread bodies; credit of the connection not given back */
	uint64_t	 send_ms;
	struct weir_after after;	/* of the latest exchange */
	struct h2_points points;
	uint16_t	 charged[ABUSE_CHARGED];	/* what they were for, since there were none */
	uint64_t	 came, unknown;	/* bytes; of frames of unknown types */
	uint64_t	 linger_until;
	struct h2_closed closed;
	struct h2_hints	*hints;		/* priority.c; NULL: none came */
	struct weir_timer rtimer, wtimer;
	struct weir_task task;
};

/* ---- server.c ---- */

/* Frames are to be made and sent at the end of this turn: whoever gave nghttp2 something says so by this. */
void	h2_post(struct h2_server *);
/* Make frames of what waits, as far as there is room. */
int	h2_pack(struct h2_server *);
/* As far as the end of a head that nghttp2 was just given, however little room there is: what it was made of may go then. */
int	h2_pack_head(struct h2_server *, int32_t id) WEIR_MUST_USE;
/* Its owner is to be told something. */
void	h2_note(struct h2_stream *, unsigned what);
/* A stream was released: the connection rests, or goes on to its end. */
void	h2_settle(struct h2_server *);
/* No request behind those that came is served. */
void	h2_goodbye(struct h2_server *);
/* A line of the log about the connection, at level info. */
void	h2_say(const struct h2_server *, const char *what, ...) WEIR_PRINTF(2, 3);

/* ---- preface.c ---- */

extern const char h2_preface[];
/* Takes what a connection begins with, until all of it was given on.  WEIR_FAIL: it is no HTTP/2. */
int	h2_begin(struct h2_server *, struct weir_bufq *) WEIR_MUST_USE;

/* ---- session.c ---- */

/* A session with its settings on their way.  WEIR_FAIL: no memory. */
extern const nghttp2_data_provider2 h2_provider;
int	h2_session_new(struct h2_server *) WEIR_MUST_USE;
/* So many bytes of a body left the stream's queue. */
void	h2_consumed(struct h2_stream *, uint64_t n, bool stream);

/* ---- stream.c ---- */

struct h2_stream *h2_stream_new(struct h2_server *, int32_t id);
/* Forget one that nobody above has heard of. */
void	h2_stream_drop(struct h2_stream *);
/* Nobody will see more of it. */
void	h2_stream_lost(struct h2_stream *, const char *why);

/* Its timers, off. */
void	h2_stream_timers(struct h2_stream *);

/* ---- raw.c: streams that have become tunnels ---- */

/* For x.raw, before the message goes. */
void	h2_keep_head(struct h2_stream *);
void	h2_reread(struct weir_pool *, struct weir_str raw, struct weir_msg *);
struct weir_xchg *h2_raw(struct weir_xchg *);
/* At the end of the turn, after its release. */
void	h2_raw_free(struct h2_stream *);

/* ---- tail.c: streams that were released while their requests still come ---- */

void	h2_tail_begin(struct h2_stream *);
/* So many bytes came for one.  False: it is none. */
bool	h2_tail_data(struct h2_server *, int32_t id, size_t n);
/* Its request has come to its end / nghttp2 closes it; it may be none. */
void	h2_tail_end(struct h2_server *, int32_t id);
/* Trailers came for it; `end`: and its end. */
void	h2_tail_headers(struct h2_server *, int32_t id, bool end);
/* A field behind the body.  WEIR_FAIL: it is malformed; the stream is reset. */
int	h2_tail_trailer(struct h2_server *, int32_t id, struct weir_str name, struct weir_str value) WEIR_MUST_USE;
void	h2_tail_closed(struct h2_server *, int32_t id);
void	h2_tails_free(struct h2_server *);

/* ---- closed.c ---- */

/* GOAWAY: what came is against the rules. */
void	h2_broken(struct h2_server *, uint32_t code, const char *why);

/* We reset a stream: what is on its way for it is passed over. */
void	h2_closed_by_us(struct h2_server *, int32_t id);
/* HEADERS begin.  GOAWAY when the client itself has closed that stream before. */
void	h2_closed_headers(struct h2_server *, int32_t id);
/* Looks for DATA on such streams and for PRIORITY, which nghttp2 passes over, in what comes next: so much may be given to nghttp2 until it is asked again. */
size_t	h2_closed_look(struct h2_server *, const uint8_t *, size_t n) WEIR_MUST_USE;

/* ---- priority.c ---- */

/* A head is complete / goes out: when is the stream's turn? */
void	h2_priority_request(struct h2_stream *);
void	h2_priority_response(struct h2_stream *, const struct weir_msg *);
/* A signal of RFC 7540. */
void	h2_priority_hint(struct h2_server *, int32_t id, const nghttp2_priority_spec *);
void	h2_priority_free(struct h2_server *);

/* ---- head.c ---- */

/* One field of a request.  WEIR_FAIL: the client went too far, the connection ends. */
int	h2_head_field(struct h2_stream *, struct weir_str name, struct weir_str value) WEIR_MUST_USE;
/* All fields are here; `end`: so is the request.  head.status says whether it is refused. */
void	h2_head_end(struct h2_stream *, bool end);
/* May it stand behind a body? */
bool	h2_trailer_ok(struct weir_str name, struct weir_str value);
/* One field behind the body.  WEIR_FAIL: it is malformed. */
int	h2_trailer(struct h2_stream *, struct weir_str name, struct weir_str value) WEIR_MUST_USE;

/* ---- respond.c ---- */

/* Give a head to nghttp2. */
int	h2_put_head(struct h2_stream *, const struct weir_msg *, const nghttp2_data_provider2 *) WEIR_MUST_USE;
/* Fields behind the body. */
int	h2_put_trailers(struct h2_stream *, const struct weir_fields *) WEIR_MUST_USE;

/* ---- wide.c ---- */

/* A frame that nghttp2 made goes out; one in which a head begins or goes on may wait for the rest of it. */
void	h2_put_frame(struct h2_server *, const uint8_t *, size_t n);
void	h2_wide_end(struct h2_wide *);

/* ---- budget.c ---- */

/* A frame came, or was refused: GOAWAY when that has been too much. */
void	h2_budget_frame(struct h2_server *, const nghttp2_frame_hd *);
/* All of a frame DATA came. */
void	h2_budget_data(struct h2_server *, const nghttp2_data *);
/* A frame so large of an unknown type is coming. */
void	h2_budget_unknown(struct h2_server *, size_t n);
void	h2_budget_reset(struct h2_server *);
/* A frame DATA came for a stream that is closed. */
void	h2_budget_stray(struct h2_server *);
/* End the connection with ENHANCE_YOUR_CALM. */
void	h2_calm(struct h2_server *, enum h2_abuse);
extern const struct weir_metric_row h2_rows[];

#endif
