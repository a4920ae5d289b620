/*
 * msg.h - a request's or a response's head, whatever the version of HTTP.
 *
 * A codec fills it in, having refused what is malformed; everybody else only
 * reads it.  Strings live as long as the pool that the codec was given.
 */
#ifndef WEIR_HTTP_MSG_MSG_H
#define WEIR_HTTP_MSG_MSG_H

#include "core/base/pool.h"
#include "http/msg/names.h"

struct weir_field {
	struct weir_str	 name, value;	/* as received; value without blanks around it */
	uint16_t	 known;		/* enum weir_known */
	uint16_t	 hop;		/* hop-by-hop: by its name or because Connection lists it */
};

struct weir_fields {
	struct weir_field *v;
	unsigned	 n, room;
};

enum weir_method {
	M_OTHER, M_GET, M_HEAD, M_POST, M_PUT, M_DELETE, M_OPTIONS, M_PATCH, M_CONNECT, M_TRACE,
	M_MKCOL, M_COPY, M_MOVE, M_PROPFIND, M_PROPPATCH, M_LOCK, M_UNLOCK
};

/* What the head says about framing and connection, decoded once. */
enum {
	MSG_CHUNKED	= 1 << 0,	/* Transfer-Encoding: chunked (h1) */
	MSG_CLOSE	= 1 << 1,	/* the connection ends after this message (h1) */
	MSG_EXPECT	= 1 << 2,	/* Expect: 100-continue */
	MSG_UPGRADE	= 1 << 3,	/* Connection: upgrade and an Upgrade field */
	MSG_HAS_LENGTH	= 1 << 4,	/* a Content-Length field */
	MSG_UNTIL_CLOSE	= 1 << 5,	/* response body ends with the connection */
	MSG_ABSOLUTE	= 1 << 6,	/* absolute-form target: authority comes from it */
	MSG_TE_TRAILERS	= 1 << 7,	/* TE: trailers */
	MSG_EXTENDED	= 1 << 8	/* it came as extended CONNECT (RFC 8441), and is told as an Upgrade */
};

struct weir_msg {
	/* request */
	enum weir_method method_id;
	struct weir_str	 method;
	struct weir_str	 target;	/* as received: what $request_uri shows, origin-form part for absolute-form */
	struct weir_str	 scheme, authority;	/* of an absolute-form target; authority else from Host */
	struct weir_str	 protocol;	/* extended CONNECT */
	/* response */
	int		 status;
	struct weir_str	 reason;
	/* both */
	struct weir_str	 line;		/* h1: the first line as received, for $request */
	uint16_t	 version;	/* 0x100, 0x101, 0x200, 0x300 */
	uint16_t	 flags;
	int64_t		 length;	/* of the body; 0: none; -1: not known beforehand */
	uint32_t	 size;		/* bytes of the head on the wire, for $request_length */
	struct weir_fields fields, trailers;
};

/* Does the request ask for a tunnel by CONNECT?  What comes behind it is no body. */
static inline bool
msg_connects(const struct weir_msg *m)
{
	return m->method_id == M_CONNECT || (m->flags & MSG_EXTENDED);
}

/* The first field of a known name; NULL when there is none. */
struct weir_field *fields_known(const struct weir_fields *, enum weir_known);
/* By name, ASCII case does not matter; `from` NULL: the first, else the next after it. */
struct weir_field *fields_find(const struct weir_fields *, struct weir_str name,
	    const struct weir_field *from);
/* Append a field; name and value must live as long as the pool. */
struct weir_field *fields_add(struct weir_fields *, struct weir_pool *, struct weir_str name,
	    struct weir_str value);
/* The same for a name that weir knows, as we write it. */
struct weir_field *fields_add_known(struct weir_fields *, struct weir_pool *, enum weir_known,
	    struct weir_str value);
/* The same for who has looked the name up, and writes it in another way. */
struct weir_field *fields_add_as(struct weir_fields *, struct weir_pool *, enum weir_known,
	    struct weir_str name, struct weir_str value);
/* Remove every field of that name. */
void	fields_remove(struct weir_fields *, struct weir_str name);
void	fields_remove_known(struct weir_fields *, enum weir_known);
/* The value of a known field, or STR_NONE. */
struct weir_str fields_value(const struct weir_fields *, enum weir_known);
/*
 * All values of one name, joined by `sep` (", ", for Cookie "; "); no copy when there is one.
 */
struct weir_str fields_join(const struct weir_fields *, struct weir_pool *, struct weir_str name,
	    const char *sep);

enum weir_method method_of(struct weir_str);
/* nginx's reason phrases: 404 is "Not Found"; "" for those without. */
struct weir_str status_reason(int status);

/* RFC 9110: is this a token / can it stand in a field value (no CR, LF, NUL)? */
bool	is_token(struct weir_str);
bool	is_field_value(struct weir_str);
/*
 * The same, of a value that is made here.  Lines that are folded ($ssl_client_cert), which nobody may send any more,
 * become one, with a space between (RFC 9112, 5.2); then it may be a new string in the pool.
 */
bool	fit_field_value(struct weir_pool *, struct weir_str *);
/*
 * A Host or authority: name, IPv4 or [IPv6], optional port.  Lower-cases into `pool` (only when needed),
 * strips one trailing dot and the port.  False when it is malformed (S-12).
 */
bool	host_parse(struct weir_pool *, struct weir_str, struct weir_str *host, struct weir_str *port);
/* The same question without the parts. */
bool	host_valid(struct weir_str);

#endif
