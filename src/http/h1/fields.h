/*
 * fields.h - inside the h1 room: the lines of a head, and what they say about framing.
 */
#ifndef WEIR_HTTP_H1_FIELDS_H
#define WEIR_HTTP_H1_FIELDS_H

#include "http/h1/parse.h"

struct h1_reader {
	struct weir_pool	*pool;		/* for the array of fields */
	const char		*p, *end;	/* the first line of a field; behind the empty line */
	const struct h1_limits	*limits;
	bool			 lf;		/* a bare LF ends a line, too */
	bool			 response;	/* every token is a name, blanks before the colon are removed */
};

/* Fields that somebody asks for after reading: bits of h1_seen. */
enum {
	SEEN_HOST		= 1 << 0,
	SEEN_LENGTH		= 1 << 1,
	SEEN_CODING		= 1 << 2,	/* Transfer-Encoding */
	SEEN_CONNECTION		= 1 << 3,
	SEEN_EXPECT		= 1 << 4,
	SEEN_UPGRADE		= 1 << 5,
	SEEN_TE			= 1 << 6,
	SEEN_IF_MODIFIED	= 1 << 7,
	SEEN_IF_UNMODIFIED	= 1 << 8,
	SEEN_IF_MATCH		= 1 << 9,
	SEEN_IF_NONE_MATCH	= 1 << 10,
	SEEN_IF_RANGE		= 1 << 11,
	SEEN_RANGE_OF		= 1 << 12,	/* Content-Range */
	SEEN_AUTHORIZATION	= 1 << 13
};

struct h1_seen {
	uint32_t	 once, twice;
};

static inline struct h1_verdict
h1_bad(int status, const char *why)
{
	return (struct h1_verdict){ status, why };
}

static const struct h1_verdict h1_fine = { 0, NULL };

/* Read all lines up to the empty one, which must be the last. */
struct h1_verdict h1_fields(struct h1_reader *, struct weir_fields *, struct h1_seen *)
	    WEIR_MUST_USE;

/* Body length, flags and hop-by-hop marks, from fields and version (and status). */
struct h1_verdict h1_frame_request(struct weir_msg *, const struct h1_seen *) WEIR_MUST_USE;
struct h1_verdict h1_frame_response(struct weir_msg *, const struct h1_seen *, bool head_request)
	    WEIR_MUST_USE;

#endif
