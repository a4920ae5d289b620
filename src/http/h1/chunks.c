/*
 * chunks.c - bodies in chunks (RFC 9112, 7.1).
 *
 *	SIZE -> [BLANK ->] [EXTENSION ->] SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *	                                    | size 0
 *	                                    v
 *	                                  FIELD -> LINE -> LINE_LF -> FIELD ... -> LAST_LF -> END
 *
 * Every line end is CRLF and nothing else: who takes a bare LF here and passes
 * the body on to somebody who does not, smuggles.
 */
#include "http/h1/fields.h"
#include "http/msg/chars.h"

enum {
	SIZE_DIGITS = 16,
	LINE_MAX_BYTES = 4096,		/* of a size with its extensions */
	OVERHEAD_FREE = 16384,		/* framing that is fine in any case, */
	OVERHEAD_TIMES = 16		/* and how much more there may be than data */
};

enum state {
	S_SIZE, S_BLANK, S_EXTENSION, S_SIZE_LF, S_DATA, S_DATA_CR, S_DATA_LF,
	S_FIELD, S_LINE, S_LINE_LF, S_LAST_LF, S_END, S_FAILED
};

void
h1_chunks_init(struct h1_chunks *c)
{
	memset(c, 0, sizeof(*c));
}

void
h1_chunks_clear(struct h1_chunks *c)
{
	bufq_clear(&c->trailer);
}

static bool
refuse(struct h1_chunks *c, const char *why)
{
	c->state = S_FAILED;
	c->why = why;
	return false;
}

/*
 * The size is known.  The data counts already: no more framing can come before
 * it.  `line` has all of this line but its LF; the data's CRLF follows.
 */
static bool
begin_chunk(struct h1_chunks *c)
{
	if (c->digits == 0)
		return refuse(c, "chunk without a size");
	if (c->left > INT64_MAX || weir_add(c->data, c->left, &c->data) || c->data > INT64_MAX)
		return refuse(c, "chunk too large");
	c->overhead += c->line + 3;
	if (c->overhead > OVERHEAD_FREE && (c->overhead - OVERHEAD_FREE) / OVERHEAD_TIMES > c->data)
		return refuse(c, "chunks have more framing than data");
	c->state = S_SIZE_LF;
	return true;
}

static bool
size_byte(struct h1_chunks *c, char b)
{
	if (ch(b) & CH_HEX) {
		if (++c->digits > SIZE_DIGITS)
			return refuse(c, "chunk size too long");
		c->left = c->left << 4 | hex_value(b);
		return true;
	}
	if (b == '\r')
		return begin_chunk(c);
	if (c->digits == 0 || (b != ';' && b != ' ' && b != '\t'))
		return refuse(c, "invalid chunk size");
	c->state = b == ';' ? S_EXTENSION : S_BLANK;
	return true;
}

static bool
extension_byte(struct h1_chunks *c, char b)
{
	if (b == '\r')
		return begin_chunk(c);
	if (((unsigned char)b < ' ' && b != '\t') || b == 0x7f)
		return refuse(c, "invalid chunk extension");
	return true;
}

static bool
next_chunk(struct h1_chunks *c)
{
	c->state = S_SIZE;
	c->digits = 0;
	c->left = 0;
	c->line = 0;
	return true;
}

/* Between the chunks. */
static bool
framing_byte(struct h1_chunks *c, char b)
{
	switch (c->state) {
	case S_SIZE:
		return size_byte(c, b);
	case S_BLANK:
		if (b == ';')
			c->state = S_EXTENSION;
		return b == ';' || b == ' ' || b == '\t' || refuse(c, "blank behind a chunk size");
	case S_EXTENSION:
		return extension_byte(c, b);
	case S_SIZE_LF:
		c->state = c->left != 0 ? S_DATA : S_FIELD;
		c->line = 0;
		return b == '\n' || refuse(c, "bare CR behind a chunk size");
	case S_DATA_CR:
		c->state = S_DATA_LF;
		return b == '\r' || refuse(c, "chunk data longer than its size");
	default:
		return b == '\n' ? next_chunk(c) : refuse(c, "bare CR behind a chunk");
	}
}

/* Behind the last chunk. */
static bool
trailer_byte(struct h1_chunks *c, char b)
{
	switch (c->state) {
	case S_FIELD:
		c->state = b == '\r' ? S_LAST_LF : S_LINE;
		return b != '\n' || refuse(c, "bare LF in the trailers");
	case S_LINE:
		if (b == '\r')
			c->state = S_LINE_LF;
		return (b != '\n' && b != '\0') || refuse(c, "bare LF or NUL in the trailers");
	case S_LINE_LF:
		c->state = S_FIELD;
		return b == '\n' || refuse(c, "bare CR in the trailers");
	default:
		c->state = S_END;
		return b == '\n' || refuse(c, "bare CR in the trailers");
	}
}

/* Size lines and line ends; stops at the data, at the trailers, or when `s` is used up. */
static size_t
read_framing(struct h1_chunks *c, struct weir_str s)
{
	size_t i;

	for (i = 0; i < s.n && c->state != S_DATA && c->state < S_FIELD; i++) {
		if (++c->line > LINE_MAX_BYTES) {
			refuse(c, "chunk extension too long");
			break;
		}
		if (!framing_byte(c, s.p[i]))
			break;
	}
	return i;
}

/* The lines are kept, the empty one is not. */
static size_t
read_trailer(struct h1_chunks *c, struct weir_str s, uint32_t max)
{
	size_t i, kept = 0;

	for (i = 0; i < s.n && c->state < S_END; i++) {
		if (!trailer_byte(c, s.p[i]))
			break;
		if (c->state >= S_LAST_LF)
			continue;
		if (++c->line > max) {
			refuse(c, "trailers too long");
			break;
		}
		kept = i + 1;
	}
	bufq_put(&c->trailer, s.p, kept);
	return i;
}

ssize_t
h1_chunks_read(struct h1_chunks *c, struct weir_bufq *from, struct weir_bufq *to, uint64_t max,
    uint32_t max_trailer, const char **why)
{
	uint64_t got = 0;

	assert(max > 0);
	while (c->state < S_END) {
		struct weir_str s;

		if (c->state == S_DATA) {
			uint64_t k = bufq_move(to, from, WEIR_MIN(c->left, max - got));

			got += k;
			c->left -= k;
			if (c->left == 0)
				c->state = S_DATA_CR;
			else if (got == max || from->len == 0)
				break;
			continue;
		}
		s = bufq_first(from);
		if (s.n == 0)
			break;
		bufq_drop(from, c->state < S_FIELD ? read_framing(c, s) :
		    read_trailer(c, s, max_trailer));
	}
	if (got > 0)
		return (ssize_t)got;
	if (c->state == S_END)
		return WEIR_EOF;
	if (c->state == S_FAILED) {
		*why = c->why;
		return WEIR_FAIL;
	}
	return WEIR_AGAIN;
}

/*
 * RFC 9110, 6.5.1: nothing that frames, routes, authenticates or changes how
 * the content is read.  Of the names that we know, these are harmless; of the
 * others, those that intermediaries trust are not.
 */
static bool
may_trail(const struct weir_field *f)
{
	switch (f->known) {
	case H_ETAG: case H_LAST_MODIFIED: case H_LINK:
		return true;
	case H_UNKNOWN:
		return !str_ibegins(f->name, STR("x-forwarded-")) &&
		    !str_ibegins(f->name, STR("x-accel-")) &&
		    !str_ibegins(f->name, STR("proxy-"));
	default:
		return false;
	}
}

int
h1_chunks_trailers(struct h1_chunks *c, struct weir_pool *pool, const struct h1_limits *limits,
    struct weir_fields *to, const char **why)
{
	size_t			 n = (size_t)c->trailer.len;
	struct h1_reader	 r = { .pool = pool, .limits = limits };
	struct h1_seen		 seen;
	struct h1_verdict	 v;
	char			*text;
	unsigned		 i, kept = 0;

	assert(c->state == S_END);
	*to = (struct weir_fields){ NULL, 0, 0 };
	if (n == 0)
		return WEIR_OK;
	text = pool_bytes(pool, n + 2);
	bufq_take(&c->trailer, text, n);
	memcpy(text + n, "\r\n", 2);
	r.p = text;
	r.end = text + n + 2;
	v = h1_fields(&r, to, &seen);
	if (v.status != 0) {
		*why = v.why;
		return WEIR_FAIL;
	}
	for (i = 0; i < to->n; i++)
		if (may_trail(&to->v[i]))
			to->v[kept++] = to->v[i];
	to->n = kept;
	return WEIR_OK;
}
