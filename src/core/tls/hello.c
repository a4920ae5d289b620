/*
 * hello.c - the ClientHello.
 *
 * Two steps: records become a message, which is complete before anybody looks into it; the message is taken apart
 * with a cursor that cannot leave it.  So no state of a half-read extension exists.
 *
 * Memory grows with what has come, not with what a header promises: four bytes cannot ask for 16 kB.
 */
#include "core/base/mem.h"
#include "core/tls/hello.h"

enum {
	RECORD_HEAD = 5, RECORD_MAX = 16384, MESSAGE_HEAD = 4, ROOM_MIN = 512,
	TYPE_HANDSHAKE = 22, TYPE_CLIENT_HELLO = 1,
	RANDOM = 32, SESSION_MAX = 32,
	EXT_SERVER_NAME = 0, EXT_GROUPS = 10, EXT_FORMATS = 11, EXT_SIGNATURES = 13, EXT_ALPN = 16, EXT_VERSIONS = 43,
	EXT_SHARES = 51, EXT_ECH = 0xfe0d
};

/* ---- a cursor ---- */

struct cursor {
	const unsigned char *p, *end;
	bool		 bad;		/* something was longer than what is there */
};

static struct cursor
cursor_of(struct weir_str s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	return (struct cursor){ .p = p, .end = s.n != 0 ? p + s.n : p };
}

static size_t
left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* n bytes; when they are not there, none, and the cursor is bad and at its end. */
static struct weir_str
take(struct cursor *c, size_t n)
{
	struct weir_str s = str_of((const char *)c->p, n);

	if (c->bad || n > left(c)) {
		c->bad = true;
		c->p = c->end;
		return STR_NONE;
	}
	c->p += n;
	return s;
}

static unsigned
take_number(struct cursor *c, unsigned bytes)
{
	struct weir_str s = take(c, bytes);
	unsigned v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

/* What has its length before it, in so many bytes. */
static struct weir_str
take_list(struct cursor *c, unsigned bytes)
{
	return take(c, take_number(c, bytes));
}

/* ---- extensions ---- */

/* The content is one list and nothing else, with a length of so many bytes, of elements of that size. */
static bool
whole_list(struct weir_str body, unsigned bytes, unsigned each, struct weir_str *to)
{
	struct cursor c = cursor_of(body);

	*to = take_list(&c, bytes);
	return !c.bad && left(&c) == 0 && to->n != 0 && to->n % each == 0;
}

int
hello_read_name(struct weir_str body, char *to, uint8_t *n)
{
	struct weir_str list, name;
	struct cursor c;

	*n = 0;
	if (!whole_list(body, 2, 1, &list))
		return WEIR_FAIL;
	c = cursor_of(list);
	if (take_number(&c, 1) != 0)		/* host_name, and no other was ever defined */
		return WEIR_FAIL;
	name = take_list(&c, 2);
	if (c.bad || left(&c) != 0 || name.n == 0 || name.n > HELLO_NAME_MAX || str_chr(name, '\0') >= 0)
		return WEIR_FAIL;
	str_lower(to, name.p, name.n);
	*n = (uint8_t)(name.n - (name.p[name.n - 1] == '.'));
	return WEIR_OK;
}

static bool
read_name(struct weir_hello *h, struct weir_str body)
{
	h->has_name = true;
	return hello_read_name(body, h->name, &h->name_n) == WEIR_OK;
}

static bool
read_groups(struct weir_hello *h, struct weir_str body)
{
	return whole_list(body, 2, 2, &h->groups);
}

static bool
read_formats(struct weir_hello *h, struct weir_str body)
{
	return whole_list(body, 1, 1, &h->formats);
}

static bool
read_signatures(struct weir_hello *h, struct weir_str body)
{
	return whole_list(body, 2, 2, &h->signatures);
}

static bool
read_versions(struct weir_hello *h, struct weir_str body)
{
	return whole_list(body, 1, 2, &h->versions);
}

static bool
read_alpn(struct weir_hello *h, struct weir_str body)
{
	struct cursor c;

	if (!whole_list(body, 2, 1, &h->alpn))
		return false;
	for (c = cursor_of(h->alpn); left(&c) != 0; )
		if (take_list(&c, 1).n == 0)
			return false;
	return true;
}

/* No share at all is a way to ask for a HelloRetryRequest (RFC 8446, 4.2.8). */
static bool
read_shares(struct weir_hello *h, struct weir_str body)
{
	struct cursor all = cursor_of(body), c;

	h->shares = take_list(&all, 2);
	if (all.bad || left(&all) != 0)
		return false;
	for (c = cursor_of(h->shares); left(&c) != 0; ) {
		take_number(&c, 2);
		if (take_list(&c, 2).n == 0)
			return false;
	}
	return true;
}

static bool
read_ech(struct weir_hello *h, struct weir_str body)
{
	(void)body;
	h->ech = true;
	return true;
}

static const struct {
	unsigned	 type;
	bool		 (*read)(struct weir_hello *, struct weir_str);
	const char	*why;
} known[] = {
	{ EXT_SERVER_NAME, read_name, "the server name is malformed" },
	{ EXT_GROUPS, read_groups, "the groups are malformed" },
	{ EXT_FORMATS, read_formats, "the point formats are malformed" },
	{ EXT_SIGNATURES, read_signatures, "the signature algorithms are malformed" },
	{ EXT_ALPN, read_alpn, "the protocols (ALPN) are malformed" },
	{ EXT_VERSIONS, read_versions, "the versions are malformed" },
	{ EXT_SHARES, read_shares, "the key shares are malformed" },
	{ EXT_ECH, read_ech, NULL },
};

static const char *
read_extension(struct weir_hello *h, unsigned type, struct weir_str body)
{
	for (unsigned i = 0; i < WEIR_COUNT(known); i++)
		if (known[i].type == type)
			return known[i].read(h, body) ? NULL : known[i].why;
	return NULL;
}

/*
 * One that is there twice could mean one thing to us and another to whom the bytes go (RFC 8446, 4.2).  The last may claim
 * to be longer than it is, as in nginx: what is there is looked at, and whoever answers will refuse it.
 */
static const char *
read_extensions(struct weir_hello *h)
{
	uint64_t seen[65536 / 64] = { 0 };
	struct cursor c = cursor_of(h->extensions);
	const char *why = NULL;

	while (why == NULL && left(&c) != 0) {
		unsigned type = take_number(&c, 2), n = take_number(&c, 2);
		struct weir_str body = take(&c, WEIR_MIN((size_t)n, left(&c)));
		uint64_t bit = (uint64_t)1 << type % 64;

		if (c.bad)
			return "an extension is cut";
		if (seen[type / 64] & bit)
			return "an extension is there twice";
		seen[type / 64] |= bit;
		why = read_extension(h, type, body);
	}
	return why;
}

/* ---- the message ---- */

const char *
hello_parse(const void *msg, size_t n, struct weir_hello *h)
{
	struct cursor c = cursor_of(str_of(msg, n));

	memset(h, 0, sizeof *h);
	if (n > HELLO_MAX)
		return "it is too long";
	if (take_number(&c, 1) != TYPE_CLIENT_HELLO)
		return "it is no ClientHello";
	if (take_number(&c, 3) != left(&c))
		return "its length is another one";
	h->legacy = (uint16_t)take_number(&c, 2);
	take(&c, RANDOM);
	h->session = take_list(&c, 1);
	h->ciphers = take_list(&c, 2);
	take_list(&c, 1);	/* compression methods: there are none any more */
	if (c.bad)
		return "it is cut";
	if (h->session.n > SESSION_MAX)
		return "the session is malformed";
	if (h->ciphers.n % 2 != 0)
		return "the ciphers are malformed";
	if (left(&c) == 0)	/* extensions came with TLS 1.2 */
		return NULL;
	h->extensions = take_list(&c, 2);
	if (c.bad || left(&c) != 0)
		return "the extensions end somewhere else";
	return read_extensions(h);
}

/* ---- records ---- */

void
hello_begin(struct weir_hello_reader *r)
{
	memset(r, 0, sizeof *r);
}

void
hello_end(struct weir_hello_reader *r)
{
	mem_free(r->msg);
	r->msg = NULL;
	r->n = r->room = 0;
}

const char *
hello_why(const struct weir_hello_reader *r)
{
	return r->why;
}

static enum weir_hello_end
bad(struct weir_hello_reader *r, const char *why)
{
	r->why = why;
	return HELLO_BAD;
}

/* Of a connection's first record: can it still be one?  What is wrong with a later one is wrong with TLS. */
static enum weir_hello_end
check_head(struct weir_hello_reader *r)
{
	bool type = r->head[0] == TYPE_HANDSHAKE, version = r->head_n < 2 || r->head[1] == 3;
	unsigned n = (unsigned)(r->head[3] << 8 | r->head[4]);

	if (!type || !version)
		return r->begun ? bad(r, "the record behind is no handshake") : HELLO_NOT_TLS;
	if (r->head_n < RECORD_HEAD)
		return HELLO_MORE;
	if (n == 0)		/* RFC 8446, 5.1 */
		return bad(r, "a record is empty");
	if (n > RECORD_MAX)
		return bad(r, "a record is too long");
	r->record = (uint16_t)n;
	r->head_n = 0;
	r->begun = true;
	return HELLO_MORE;
}

/*
 * A hello of SSL 2.0, by which old clients ask for newer versions, too (RFC 5246, E.2): two bytes of length, type, version.
 * Its length has another meaning, so it is told from a record by the first bit.
 */
static enum weir_hello_end
check_old(struct weir_hello_reader *r, struct weir_hello *h)
{
	if ((r->head_n >= 3 && r->head[2] != TYPE_CLIENT_HELLO) || (r->head_n >= 4 && r->head[3] != 0 && r->head[3] != 3))
		return HELLO_NOT_TLS;
	if (r->head_n < RECORD_HEAD)
		return HELLO_MORE;
	memset(h, 0, sizeof *h);
	h->old = true;
	h->legacy = (uint16_t)(r->head[3] << 8 | r->head[4]);
	return HELLO_DONE;
}

static enum weir_hello_end
feed_head(struct weir_hello_reader *r, struct cursor *c, struct weir_hello *h)
{
	r->head[r->head_n++] = (uint8_t)take_number(c, 1);
	return !r->begun && (r->head[0] & 0x80) ? check_old(r, h) : check_head(r);
}

static void
make_room(struct weir_hello_reader *r, uint32_t n)
{
	uint32_t room = r->room != 0 ? r->room : ROOM_MIN;

	while (room < n)
		room *= 2;
	if (room != r->room)
		r->msg = mem_realloc(r->msg, r->room, room);
	r->room = room;
}

/* How long the message is, as far as one knows. */
static uint32_t
whole(const struct weir_hello_reader *r)
{
	if (r->n < MESSAGE_HEAD)
		return MESSAGE_HEAD;
	return MESSAGE_HEAD + ((uint32_t)r->msg[1] << 16 | (uint32_t)r->msg[2] << 8 | r->msg[3]);
}

static enum weir_hello_end
feed_body(struct weir_hello_reader *r, struct cursor *c, struct weir_hello *h)
{
	size_t n = WEIR_MIN(WEIR_MIN((size_t)r->record, left(c)), (size_t)(whole(r) - r->n));
	struct weir_str s = take(c, n);

	make_room(r, r->n + (uint32_t)n);
	memcpy(r->msg + r->n, s.p, n);
	r->n += (uint32_t)n;
	r->record -= (uint16_t)n;
	if (r->msg[0] != TYPE_CLIENT_HELLO)
		return bad(r, "it is no ClientHello");
	if (whole(r) > HELLO_MAX)
		return bad(r, "it is too long");
	if (r->n < MESSAGE_HEAD || r->n < whole(r))
		return HELLO_MORE;
	r->why = hello_parse(r->msg, r->n, h);
	return r->why == NULL ? HELLO_DONE : HELLO_BAD;
}

enum weir_hello_end
hello_feed(struct weir_hello_reader *r, const void *p, size_t n, struct weir_hello *h)
{
	struct cursor c = cursor_of(str_of(p, n));

	while (r->end == HELLO_MORE && left(&c) != 0)
		r->end = r->record == 0 ? feed_head(r, &c, h) : feed_body(r, &c, h);
	return r->end;
}

/* ---- what is in it ---- */

bool
hello_is_grease(unsigned v)
{
	return (v & 0x0f0f) == 0x0a0a && v >> 8 == (v & 0xff);
}

static bool
moved(struct weir_str *rest, const struct cursor *c)
{
	*rest = str_of((const char *)c->p, left(c));
	return !c->bad;
}

bool
hello_next(struct weir_str *rest, uint16_t *number)
{
	struct cursor c = cursor_of(*rest);

	*number = (uint16_t)take_number(&c, 2);
	return moved(rest, &c);
}

bool
hello_next_extension(struct weir_str *rest, uint16_t *type, struct weir_str *body)
{
	struct cursor c = cursor_of(*rest);

	*type = (uint16_t)take_number(&c, 2);
	*body = take_list(&c, 2);
	return moved(rest, &c);
}

bool
hello_next_share(struct weir_str *rest, uint16_t *group)
{
	struct weir_str key;

	return hello_next_extension(rest, group, &key);	/* both have a number and a length */
}

bool
hello_next_alpn(struct weir_str *rest, struct weir_str *protocol)
{
	struct cursor c = cursor_of(*rest);

	*protocol = take_list(&c, 1);
	return moved(rest, &c);
}

char *
hello_put_alpn(char *to, const struct weir_hello *h)
{
	struct weir_str rest = h->alpn, protocol;
	char *p = to;

	while (hello_next_alpn(&rest, &protocol)) {
		if (p != to)
			*p++ = ',';
		p = (char *)memcpy(p, protocol.p, protocol.n) + protocol.n;
	}
	return p;
}

const char *
hello_protocol(const struct weir_hello *h)
{
	static const struct { unsigned version; const char *name; } names[] = {
		{ 0x0002, "SSLv2" }, { 0x0300, "SSLv3" }, { 0x0301, "TLSv1" }, { 0x0302, "TLSv1.1" }, { 0x0303, "TLSv1.2" },
		{ 0x0304, "TLSv1.3" },
	};
	struct weir_str rest = h->versions;
	unsigned best = h->legacy;
	uint16_t v;

	if (rest.n != 0)	/* the other field is of no importance then (RFC 8446, 4.2.1) */
		best = 0;
	while (hello_next(&rest, &v)) {
		if (v >> 8 == 0x7f)	/* drafts of it */
			v = 0x0304;
		if (v > best && v <= names[WEIR_COUNT(names) - 1].version)
			best = v;
	}
	for (unsigned i = 0; i < WEIR_COUNT(names); i++)
		if (names[i].version == best)
			return names[i].name;
	return "";
}
