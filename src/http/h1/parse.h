/*
 * parse.h - HTTP/1 heads and chunks, strictly (RFC 9112).
 *
 * The head is parsed in one go once all of it is there; every framing ambiguity is
 * refused here, so nobody above has to think of it again (security rows S-1 to S-22, S-40 to S-48).
 */
#ifndef WEIR_HTTP_H1_PARSE_H
#define WEIR_HTTP_H1_PARSE_H

#include "core/io/bufq.h"
#include "http/msg/msg.h"

struct h1_limits {
	uint32_t	 line;		/* longest line */
	uint32_t	 total;		/* whole head */
	uint32_t	 fields;	/* how many fields */
	/*
	 * For requests: drop fields whose name is not made of letters, digits and '-'
	 * (nginx's ignore_invalid_headers); without it they are kept.  What is no token is always refused.
	 */
	bool		 ignore_invalid;
	bool		 underscores;	/* '_' is one of those characters, too */
};

/* Why a head is refused: a status for the client (or 502's reason), and words for the log. */
struct h1_verdict {
	int		 status;	/* 0: fine */
	const char	*why;
};

/*
 * The length of the head with its empty line, when all of it is in p[0..n); 0 when not yet.  `*scanned`
 * remembers how far was looked (start with 0).  Lines may end in CRLF or LF; the parser decides later:
 * a head whose first line ends with CRLF must use CRLF throughout, one that begins with LF may use both.
 * Empty lines before the head count as part of it.
 */
size_t	h1_head_end(const char *p, size_t n, size_t *scanned);

/*
 * Is what has come of an incomplete head already hopeless?  (not HTTP, line or total too
 * long, bad request line.)  status 0: go on reading.
 */
struct h1_verdict h1_check_request_start(const char *p, size_t n, const struct h1_limits *)
	    WEIR_MUST_USE;

/*
 * Parse a complete head, which lies in memory of `pool`.  On success everything of `msg` is
 * filled in, including length and flags; fields that Connection names are marked hop (but fields that
 * identify or protect somebody are not: Connection cannot make them go away).  On failure `msg` has what
 * was understood, at least the first line.
 *
 * An absolute-form target gives scheme and authority, and the authority replaces the value
 * of Host; so does the target of CONNECT, which stays in target.
 */
struct h1_verdict h1_parse_request(struct weir_pool *, char *head, size_t n,
	    const struct h1_limits *, struct weir_msg *);
/*
 * `head_request`: the request was HEAD, so there is no body.  Then, and for 1xx, 204 and 304, length is 0
 * and neither MSG_CHUNKED nor MSG_UNTIL_CLOSE is set; a HEAD's or 304's Content-Length stays among the fields.
 * Every refusal has the status 502.
 */
struct h1_verdict h1_parse_response(struct weir_pool *, char *head, size_t n,
	    const struct h1_limits *, bool head_request, struct weir_msg *);

/*
 * Chunks (RFC 9112, 7.1).  Feeds on a queue, moves the data's references, copies nothing.
 */
struct h1_chunks {
	uint64_t	 left;		/* of the current chunk's data */
	uint64_t	 data, overhead;	/* sums, for the bound on extensions */
	uint32_t	 line;		/* bytes of the current size line, or of the trailer section */
	uint8_t		 digits;	/* of the current size */
	uint8_t		 state;
	const char	*why;		/* after WEIR_FAIL */
	struct weir_bufq trailer;	/* the lines of the trailer section, without the empty one */
};
void	h1_chunks_init(struct h1_chunks *);
void	h1_chunks_clear(struct h1_chunks *);
/*
 * Move up to `max` bytes of data to `to`.  A count above 0; WEIR_AGAIN: `from` is used up; WEIR_EOF: the
 * end, trailers included, was read (what follows stays in `from`); WEIR_FAIL and *why.
 * max_trailer bounds the trailer section's bytes.
 */
ssize_t	h1_chunks_read(struct h1_chunks *, struct weir_bufq *from, struct weir_bufq *to, uint64_t max,
	    uint32_t max_trailer, const char **why);
/*
 * After WEIR_EOF: the trailer fields; fields that must not be trailers (framing, routing, authentication,
 * RFC 9110, 6.5.1) are left out.  WEIR_FAIL and *why when malformed.
 */
int	h1_chunks_trailers(struct h1_chunks *, struct weir_pool *, const struct h1_limits *,
	    struct weir_fields *, const char **why) WEIR_MUST_USE;

#endif
