/*
 * hello.h - the ClientHello (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2): what a client says of itself before anything is
 * encrypted.
 *
 * The only reader of it.  Who terminates TLS gives it the message that OpenSSL has put together, hello_parse(); who passes
 * TLS through gives it the bytes of the connection as they come, hello_feed(): in segments of any size, in as many
 * records as the client likes, up to HELLO_MAX bytes of the message, because key shares of ML-KEM alone are longer than
 * a packet.  It never looks behind the message, and believes no length before it was checked.
 *
 *	struct weir_hello_reader r;
 *	struct weir_hello h;
 *
 *	hello_begin(&r);
 *	switch (hello_feed(&r, p, n, &h)) {	each byte once, in order
 *	case HELLO_MORE:	...		wait: for as long as the caller likes
 *	case HELLO_DONE:	...		h is filled; its views last until hello_end()
 *	case HELLO_NOT_TLS:	...		something else is spoken
 *	case HELLO_BAD:		...		TLS, but nonsense: hello_why(&r)
 *	}
 *	hello_end(&r);
 */
#ifndef WEIR_TLS_HELLO_H
#define WEIR_TLS_HELLO_H

#include "core/base/str.h"

enum {
	HELLO_MAX = 16384,		/* bytes of the message, with its header of four */
	HELLO_NAME_MAX = 255,
	HELLO_ALPN_TEXT_MAX = HELLO_MAX
};

enum weir_hello_end { HELLO_MORE, HELLO_DONE, HELLO_NOT_TLS, HELLO_BAD };

/*
 * Views of the message.  Lists are as they came, numbers of two bytes for hello_next(), and empty when there is
 * no such extension.
 */
struct weir_hello {
	uint16_t	 legacy;	/* the field client_version: 0x0303 also of TLSv1.3 */
	bool		 old;		/* of SSL 2.0: only `legacy` is known */
	bool		 has_name;	/* there is the extension server_name */
	bool		 ech;		/* encrypted_client_hello: the name is that of the outer one */
	uint8_t		 name_n;
	char		 name[HELLO_NAME_MAX];
	struct weir_str	 session;
	struct weir_str	 ciphers;
	struct weir_str	 extensions;	/* all, for hello_next_extension() */
	struct weir_str	 versions, groups, signatures;
	struct weir_str	 formats;	/* of points: a byte each */
	struct weir_str	 shares;	/* for hello_next_share() */
	struct weir_str	 alpn;		/* for hello_next_alpn() */
};

/* The name that is asked for: lower case, without its last dot, no NUL in it.  Empty: none. */
static inline struct weir_str
hello_name(const struct weir_hello *h)
{
	return str_of(h->name, h->name_n);
}

/* ---- a whole message ---- */

/*
 * A message with its header of type and length, as SSL_set_msg_callback() gives it.  NULL: *h is filled, with views of the
 * message; else what is wrong with it.
 */
const char *hello_parse(const void *msg, size_t n, struct weir_hello *) WEIR_MUST_USE;

/* ---- bytes of a connection ---- */

struct weir_hello_reader {
	unsigned char	*msg;		/* what came of the message */
	uint32_t	 n, room;
	uint16_t	 record;	/* bytes that are still to come of this record */
	uint8_t		 head[5], head_n;	/* of the next one */
	bool		 begun;		/* a whole header of a record was there */
	enum weir_hello_end end;
	const char	*why;
};

void	hello_begin(struct weir_hello_reader *);
/* After another answer than HELLO_MORE it gives the same again, and reads nothing; *h is filled only once. */
enum weir_hello_end hello_feed(struct weir_hello_reader *, const void *, size_t, struct weir_hello *) WEIR_MUST_USE;
/* What is wrong, after HELLO_BAD. */
const char *hello_why(const struct weir_hello_reader *);
/* Gives the memory back; the views are gone. */
void	hello_end(struct weir_hello_reader *);

/* ---- what is in it ---- */

/* Values that mean nothing: a server that cannot bear them would show (RFC 8701). */
bool	hello_is_grease(unsigned);

/* The next number of a list; false: there is none.  *rest moves on. */
bool	hello_next(struct weir_str *rest, uint16_t *number);
/* Of `extensions`: type and content, in the order of the client. */
bool	hello_next_extension(struct weir_str *rest, uint16_t *type, struct weir_str *body);
/* Of `shares`: the groups of which the client has sent a key. */
bool	hello_next_share(struct weir_str *rest, uint16_t *group);
/* Of `alpn`: a protocol; never empty. */
bool	hello_next_alpn(struct weir_str *rest, struct weir_str *protocol);

/* All protocols, "h2,http/1.1", to `to`, which has room for HELLO_ALPN_TEXT_MAX; returns the end. */
char	*hello_put_alpn(char *to, const struct weir_hello *);
/* The highest version that the client offers, in OpenSSL's words: "TLSv1.3", "TLSv1.2", "SSLv3"; "": nobody knows it. */
const char *hello_protocol(const struct weir_hello *);

/*
 * The name in the content of an extension server_name (RFC 6066, 3), a list of one name of type 0, to `to`, which has
 * room for HELLO_NAME_MAX: lower case, without its last dot.  WEIR_FAIL: it is anything else.
 */
int	hello_read_name(struct weir_str body, char *to, uint8_t *n) WEIR_MUST_USE;

#endif
