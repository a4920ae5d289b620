/*
 * req.h - a request's life.
 *
 * steps.c is the table of what happens in which order.  A step or a hook answers NEXT,
 * WAIT or DONE; who waits calls weir_resume() later.  Redirects set the step back
 * to route, counted.  That is all the flow control there is.
 *
 *	steps.c     the life of a request, in order
 *	route.c     listener, Host -> server;  path -> location
 *	names.c     server names: exact, wildcard, regex
 *	locations.c locations: longest prefix and regexes
 *	respond.c   the head goes out, the body is pumped
 *	error.c     error_page and the built-in pages
 *	redirect.c  back to route, without the client knowing
 *	sub.c       requests to the server itself
 *	tunnel.c    101: the client and another io are joined
 *	rate.c      limit_rate
 *	body.c      the request's body: streamed, kept in memory, in a file, thrown away
 *	core.c      the directives of http, server, location
 *	vars.c      $uri, $host, $args...
 */
#ifndef WEIR_HTTP_REQ_REQ_H
#define WEIR_HTTP_REQ_REQ_H

#include "core/io/pump.h"
#include "core/sess/expr.h"
#include "core/sess/regex.h"
#include "http/codec.h"
#include "http/msg/uri.h"
#include "http/req/conf.h"

#define WEIR_REQ_MAGIC 0x72657175u
#define REQ_MAX_REDIRECTS 10

struct weir_req_body;

struct weir_req {
	struct weir_sess	 s;		/* first: a request is a session */
	uint32_t		 magic;
	struct weir_xchg	*x;		/* towards the client; NULL after its end */
	struct weir_msg		*msg;		/* the client's head: &x->msg */
	enum weir_method	 method_id;	/* what we treat it as now: error_page may make it GET */
	struct weir_str		 method;
	struct weir_uri		 uri;		/* now; changes with redirects and rewrites */
	struct weir_str		 host;		/* lower case, no port; "" when there was none */
	struct weir_str		 port;		/* of the Host field, "" when it had none */
	struct weir_str		 id;		/* req_id()'s; n 0: nobody has asked yet */
	struct weir_http_server	*server;
	struct weir_location	*loc;		/* NULL: server level */

	/* the response */
	struct weir_msg		 rsp;		/* status, length, fields; edited by hooks */
	struct weir_str		 content_type;	/* becomes a field when the head goes out */
	struct weir_str		 accel_type;	/* X-Accel-Redirect came with this Content-Type: it wins over the file's */
	bool			 charset_done;	/* content_type says it, or wants none */
	struct weir_str		 accel_charset;	/* X-Accel-Charset: the charset module's */
	struct weir_src		*body;		/* NULL: none; hooks may wrap it */
	struct weir_qsrc	*at_hand;	/* a body that is a short text; NULL: it is not */
	void			(*body_end)(struct weir_req *, bool whole);	/* the maker is told when the body
						   was sent or given up; may be NULL */
	struct weir_up		*up;		/* of http/up: the exchange with an upstream; stays for the log */
	struct weir_pump	 pump;

	unsigned		 step;		/* index in steps[] */
	unsigned		 hook;		/* where in the phase's hooks */
	uint8_t			 redirects;	/* internal ones, counted together with uri_changes */
	uint8_t			 in_error;	/* an error page is being made; its cause: err_status; 2: it has none itself */
	bool			 running;	/* steps are on the stack */
	bool			 again;		/* a redirect was made: the steps go on from r->step */
	bool			 uri_changed;	/* rewrite: back to route when its hooks are through */
	bool			 uri_rewritten;	/* r->uri is not what the client sent */
	bool			 internal;	/* came here by a redirect: `internal` places are open */
	bool			 head_sent;
	bool			 header_only;	/* no body goes out: HEAD, 204, 304 */
	bool			 body_whole;	/* the response went out completely */
	bool			 finished;
	bool			 keepalive;	/* the connection may go on */
	bool			 body_refused;	/* client_max_body_size was passed while streaming */
	bool			 too_large;	/* refused for its length: the error page is not refused again */
	bool			 tunnel;
	bool			 stranded;	/* one `if` had somebody to pass it on to, and another took that away */
	bool			 timed_out;	/* the client took too long */
	bool			 allow_ranges;	/* the body's source can be cut */
	bool			 vary_encoding;	/* other clients get another coding: gzip_ok.h */
	bool			 conditional;	/* If-Modified-Since and its kind are ours to answer */
	bool			 uri_to_alias;	/* files.c: the URI goes behind an alias of a regex location */
	bool			 local_location; /* Location was made here: may become absolute */
	bool			 rate_set;	/* limit_rate below counts, not the configuration */
	int			 err_status;	/* original status of an error page */
	int			 refused;	/* `satisfy any`: what to answer if nobody vouches */
	struct weir_str		 proxy_host;	/* $proxy_host */
	const char		*upstream_scheme;	/* for the error log: who is asked what */
	struct weir_str		 upstream_peer, upstream_target;
	struct weir_req_body	*req_body;	/* what was read of the request's body; NULL: nothing asked for it */
	uint64_t		 body_sent;	/* bytes of response body given to the client: $body_bytes_sent */
	uint64_t		 limit_rate;
	uint32_t		 send_ahead;	/* how much may wait for the client, with 0 the usual */
	/*
	 * The client left or does not take our bytes.  `broken` false: it ended its direction and may
	 * still read.  Set by the content handler, may be NULL.
	 */
	void			(*on_client_gone)(struct weir_req *, const char *why, bool broken);
	struct weir_task	 end;
	struct weir_req		*parent;	/* a sub-request's; NULL: it is none */
	struct weir_sub		*sub;		/* of a sub-request: sub.h */
	struct weir_list	 subs;		/* sub-requests of this one; next NULL: there never was any */
	bool			 unfreed;	/* nothing but sub-requests needs the pool any more */
	struct weir_fields	 trailers;	/* to send after the body */
	bool			 late_trailers;	/* they will be known at the body's end only: req_trailers() */
};

/* What the error log says is being done: "connecting to upstream". */
#define req_doing(r, what)	((r)->s.log.doing = (what))

/* A session that is a request. */
static inline struct weir_req *
req_of(struct weir_sess *s)
{
	struct weir_req *r = (struct weir_req *)(void *)s;

	assert(r->magic == WEIR_REQ_MAGIC);
	return r;
}

/* The request that a client made, of a sub-request. */
static inline struct weir_req *
req_main(struct weir_req *r)
{
	return r->parent != NULL ? r->parent : r;
}

/* A request's struct of module m. */
#define REQ_CONF(r, type, module)	((const struct type *)(r)->s.conf[*(module).index])
/* The http core's struct of the place. */
#define REQ_CORE(r)	REQ_CONF(r, weir_http_conf, http_module)

/* ---- for content hooks ---- */

/*
 * Send the response described by r->rsp (status, length, fields), r->content_type and r->body.  Response hooks
 * run now.  Returns WEIR_DONE for the hook to return.  rsp.length -1: unknown; 0 and body NULL: empty.
 */
enum weir_next req_respond(struct weir_req *);
/* A short text that outlives the request or lies in its pool. */
enum weir_next req_respond_text(struct weir_req *, int status, struct weir_str type, struct weir_str text);
/*
 * Answer with a status and what error_page or the built-in page says.  May redirect internally, so it
 * can come before anything was sent at any time of a request's life.  Returns WEIR_DONE.
 */
enum weir_next req_error(struct weir_req *, int status);
/* The same without error_page. */
enum weir_next req_error_builtin(struct weir_req *, int status);
/* The head was sent and the body cannot be completed: the client must see it. */
void	req_abort(struct weir_req *, const char *why);
/* Go back to route with another URI (and arguments), internally.  Returns WEIR_DONE; 500 after too many. */
enum weir_next req_redirect(struct weir_req *, struct weir_str uri, struct weir_str args);
/* Go to a named location, keeping the URI. */
enum weir_next req_redirect_named(struct weir_req *, struct weir_str name);
/*
 * 101 or a 2xx to CONNECT was decided: send r->rsp, then join the client's connection with `other` (detached, as is
 * what came with it: `from_other` is for the client, `to_other` is still to be sent) until both directions have ended or
 * nothing moved for idle_ms.
 *
 * While it lasts there is no request: what the log will need is packed, the rest is freed, so that an idle tunnel
 * costs two connections and a few hundred bytes.  At the end the request is made again, `revive` is called with a
 * copy of `keep`, and the log hooks run.  The caller has nothing left to do with r.
 */
struct weir_tunnel_to {
	struct weir_conn *other;
	struct weir_bufq *from_other, *to_other;
	uint64_t	 idle_ms;
	const void	*keep;
	size_t		 keep_size;
	void		(*revive)(struct weir_req *, const void *keep, size_t);
};
enum weir_next req_tunnel(struct weir_req *, const struct weir_tunnel_to *);
/* The request has nothing more to send: logs, lets the connection go on or ends it, frees.  Once. */
void	req_finish(struct weir_req *);
/* ON_RESPONSE hooks and fields that every response has; for those who send heads themselves. */
void	req_head_ready(struct weir_req *);

/*
 * For a source of the body: r->trailers is complete now.  Called before its WEIR_EOF, when the
 * response hook that put it there has set r->late_trailers.
 */
void	req_trailers(struct weir_req *);

struct weir_field *req_add(struct weir_req *, const char *name, struct weir_str value);	/* response field */

/* ---- the request's body (body.c) ---- */

/*
 * Where it is kept once it was read.  `q` holds memory (and file parts); `file` when it was spooled.
 */
struct weir_req_body {
	struct weir_bufq	 q;		/* all of it, for reading by bufq_peek or sending a copy of references */
	uint64_t		 len;
	struct weir_seg_file	*file;		/* NULL: in memory */
	struct weir_str		 path;		/* of the file, when it has a name (client_body_in_file_only) */
	bool			 complete;
	void			(*done)(struct weir_req *, int status);	/* status 0 or an error: 400, 408, 413, 500 */
	struct weir_task	 task;
	struct weir_req		*r;
	int			 status;	/* of reading: 0 or the error */
};
/*
 * Read all of the body into memory or a file.  True: it is all here now, done will not be called.  False: done
 * will be called, never from inside; status 0, or the error that the caller should answer with.
 */
bool	req_body_keep(struct weir_req *, void (*done)(struct weir_req *, int status));
/*
 * Take what is here of the body without waiting, up to client_body_buffer_size.  True: that was all of it, as
 * after req_body_keep().  What was taken comes first in req_body_stream().
 */
bool	req_body_here(struct weir_req *);
/* A source over what was kept, from its begin, any number of times; it lives in the request's pool. */
struct weir_src *req_body_again(struct weir_req *);
/*
 * Read and forget what is here of an unread body.  WEIR_OK: its end was reached, so the connection can go on;
 * WEIR_AGAIN: there is more to come; WEIR_FAIL: it is malformed.
 */
int	req_body_skip(struct weir_req *);
/*
 * A source for the body as it comes, bounded by client_max_body_size (its err is then "body too large" and
 * r->body_refused).
 */
struct weir_src *req_body_stream(struct weir_req *);
/* Does the request have (or may have) a body? */
bool	req_has_body(const struct weir_req *);
/* client_max_body_size against Content-Length: 0 or 413. */
int	req_body_check(struct weir_req *);

/* ---- the beginning and the end ---- */

/* For http.c: what a codec gets for an address. */
void	req_begin(struct weir_xchg *);
void	req_begin_bad(struct weir_xchg *, int status, const char *why);
/* Run the steps on; for resume. */
void	req_run(struct weir_req *);
/* Requests alive in this worker. */
extern unsigned req_count;

#endif
